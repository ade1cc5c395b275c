//! All definitions of one snapshot, and how a change turns them into the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use frazil_common::{QualifiedName, SnapshotId, UserError};

use crate::changes::CatalogChange;
use crate::objects::{DatabaseInfo, SchemaInfo, TableInfo, ViewInfo};

/// Databases, schemas, tables and views. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions {
    pub(crate) databases: BTreeMap<String, Arc<DatabaseInfo>>,
    pub(crate) schemas: BTreeMap<(String, String), Arc<SchemaInfo>>,
    pub(crate) tables: BTreeMap<QualifiedName, Arc<TableInfo>>,
    pub(crate) views: BTreeMap<QualifiedName, Arc<ViewInfo>>,
}

/// The catalog as one snapshot shows it. Immutable.
#[derive(Debug, Clone)]
pub struct CatalogView {
    /// The snapshot read; a transaction's own changes may lie on top.
    pub snapshot: SnapshotId,
    pub schema_version: i64,
    pub(crate) definitions: Arc<Definitions>,
}

/// A table, schema or database that was dropped and may come back.
#[derive(Debug, Clone)]
pub struct Dropped<T> {
    /// As it was last.
    pub object: Arc<T>,
    /// The account as it was last with the object: databases and schemas, but of tables and views
    /// at least what the object is or holds.
    pub view: Arc<CatalogView>,
    /// The snapshot that dropped it.
    pub dropped_at: SnapshotId,
    /// When, in microseconds since 1970 UTC.
    pub dropped_micros: i64,
}

/// A table or a view: they share one name space.
#[derive(Debug, Clone)]
pub enum Relation {
    Table(Arc<TableInfo>),
    View(Arc<ViewInfo>),
}

impl CatalogView {
    /// A view of these definitions at `snapshot`.
    pub fn new(snapshot: SnapshotId, schema_version: i64, definitions: Arc<Definitions>) -> Self {
        CatalogView { snapshot, schema_version, definitions }
    }

    /// The definitions, to lay changes on top.
    pub fn definitions(&self) -> &Arc<Definitions> {
        &self.definitions
    }

    /// All databases by name.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<DatabaseInfo>> {
        self.definitions.databases.values()
    }

    /// The database of exactly this name.
    pub fn database(&self, name: &str) -> Option<&Arc<DatabaseInfo>> {
        self.definitions.databases.get(name)
    }

    /// The database with this id.
    pub fn database_by_id(&self, database_id: i64) -> Option<&Arc<DatabaseInfo>> {
        self.definitions.database_by_id(database_id)
    }

    /// All schemas by database and name.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<SchemaInfo>> {
        self.definitions.schemas.values()
    }

    /// The schemas of a database.
    pub fn schemas_in<'a>(
        &'a self,
        database: &'a str,
    ) -> impl Iterator<Item = &'a Arc<SchemaInfo>> {
        self.definitions.schemas.values().filter(move |s| s.database == database)
    }

    /// The schema of exactly this name.
    pub fn schema(&self, database: &str, name: &str) -> Option<&Arc<SchemaInfo>> {
        self.definitions.schemas.get(&(database.to_string(), name.to_string()))
    }

    /// All tables by name.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableInfo>> {
        self.definitions.tables.values()
    }

    /// The tables of a schema.
    pub fn tables_in<'a>(
        &'a self,
        database: &'a str,
        schema: &'a str,
    ) -> impl Iterator<Item = &'a Arc<TableInfo>> {
        let from = QualifiedName::new(database, schema, "");
        self.definitions
            .tables
            .range(from..)
            .take_while(move |(name, _)| name.database == database && name.schema == schema)
            .map(|(_, table)| table)
    }

    /// The table of exactly this name.
    pub fn table(&self, name: &QualifiedName) -> Option<&Arc<TableInfo>> {
        self.definitions.tables.get(name)
    }

    /// The table with this id.
    pub fn table_by_id(&self, table_id: i64) -> Option<&Arc<TableInfo>> {
        self.definitions.tables.values().find(|t| t.table_id == table_id)
    }

    /// All views by name.
    pub fn views(&self) -> impl Iterator<Item = &Arc<ViewInfo>> {
        self.definitions.views.values()
    }

    /// The views of a schema.
    pub fn views_in<'a>(
        &'a self,
        database: &'a str,
        schema: &'a str,
    ) -> impl Iterator<Item = &'a Arc<ViewInfo>> {
        let from = QualifiedName::new(database, schema, "");
        self.definitions
            .views
            .range(from..)
            .take_while(move |(name, _)| name.database == database && name.schema == schema)
            .map(|(_, view)| view)
    }

    /// The view of exactly this name.
    pub fn view(&self, name: &QualifiedName) -> Option<&Arc<ViewInfo>> {
        self.definitions.views.get(name)
    }

    /// The table or view of exactly this name.
    pub fn relation(&self, name: &QualifiedName) -> Option<Relation> {
        match self.table(name) {
            Some(table) => Some(Relation::Table(Arc::clone(table))),
            None => self.view(name).map(|view| Relation::View(Arc::clone(view))),
        }
    }
}

impl Definitions {
    /// The database with this id.
    pub(crate) fn database_by_id(&self, database_id: i64) -> Option<&Arc<DatabaseInfo>> {
        self.databases.values().find(|database| database.database_id == database_id)
    }

    /// Puts a table over whatever permanent table or view has its name (temporary tables).
    pub fn shadow(&mut self, table: Arc<TableInfo>) {
        self.views.remove(&table.name);
        self.tables.insert(table.name.clone(), table);
    }

    /// Applies a change; refuses names that are taken, or that differ from one only in case.
    pub fn apply(&mut self, change: &CatalogChange) -> Result<(), UserError> {
        match change {
            CatalogChange::CreateDatabase(database) => {
                check_free(self.databases.keys().map(String::as_str), &database.name, "Database")?;
                self.databases.insert(database.name.clone(), Arc::clone(database));
            }
            CatalogChange::DropDatabase(database) => {
                self.databases.remove(&database.name);
                self.schemas.retain(|(db, _), _| *db != database.name);
                self.tables.retain(|name, _| name.database != database.name);
                self.views.retain(|name, _| name.database != database.name);
            }
            CatalogChange::AlterDatabase { before, after } => {
                self.databases.remove(&before.name);
                if before.name != after.name {
                    let names = self.databases.keys().map(String::as_str);
                    check_free(names, &after.name, "Database")?;
                    self.rename_databases(&[(&before.name, &after.name)]);
                }
                self.databases.insert(after.name.clone(), Arc::clone(after));
            }
            CatalogChange::SwapDatabases { first, second } => {
                let mut one = DatabaseInfo::clone(first);
                let mut two = DatabaseInfo::clone(second);
                std::mem::swap(&mut one.name, &mut two.name);
                self.rename_databases(&[(&first.name, &second.name), (&second.name, &first.name)]);
                self.databases.insert(one.name.clone(), Arc::new(one));
                self.databases.insert(two.name.clone(), Arc::new(two));
            }
            CatalogChange::CreateSchema(schema) => {
                let names = self.schemas.keys().filter(|(db, _)| *db == schema.database);
                check_free(names.map(|(_, name)| name.as_str()), &schema.name, "Schema")?;
                let key = (schema.database.clone(), schema.name.clone());
                self.schemas.insert(key, Arc::clone(schema));
            }
            CatalogChange::DropSchema(schema) => {
                let inside = |name: &QualifiedName| {
                    name.database == schema.database && name.schema == schema.name
                };
                self.schemas.remove(&(schema.database.clone(), schema.name.clone()));
                self.tables.retain(|name, _| !inside(name));
                self.views.retain(|name, _| !inside(name));
            }
            CatalogChange::AlterSchema { before, after } => {
                self.schemas.remove(&(before.database.clone(), before.name.clone()));
                if place_of(before) != place_of(after) {
                    let names = self.schemas.keys().filter(|(db, _)| *db == after.database);
                    check_free(names.map(|(_, name)| name.as_str()), &after.name, "Schema")?;
                    self.rename_schemas(&[(before, after)]);
                }
                let key = (after.database.clone(), after.name.clone());
                self.schemas.insert(key, Arc::clone(after));
            }
            CatalogChange::SwapSchemas { first, second } => {
                self.rename_schemas(&[(first, second), (second, first)]);
                for (schema, other) in [(first, second), (second, first)] {
                    let moved = Arc::new(schema.named_as(other));
                    self.schemas.insert((moved.database.clone(), moved.name.clone()), moved);
                }
            }
            CatalogChange::CreateTable(table) => {
                self.check_relation_name(&table.name)?;
                self.tables.insert(table.name.clone(), Arc::clone(table));
            }
            CatalogChange::DropTable(table) => {
                self.tables.remove(&table.name);
            }
            CatalogChange::CloneTable(clone) => {
                self.check_relation_name(&clone.table.name)?;
                self.tables.insert(clone.table.name.clone(), Arc::clone(&clone.table));
            }
            CatalogChange::UndropTable { table, dropped_at: _ } => {
                self.check_relation_name(&table.name)?;
                self.tables.insert(table.name.clone(), Arc::clone(table));
            }
            CatalogChange::UndropSchema { schema, tables, views, dropped_at: _ } => {
                let names = self.schemas.keys().filter(|(db, _)| *db == schema.database);
                check_free(names.map(|(_, name)| name.as_str()), &schema.name, "Schema")?;
                let key = (schema.database.clone(), schema.name.clone());
                self.schemas.insert(key, Arc::clone(schema));
                self.tables.extend(tables.iter().map(|t| (t.name.clone(), Arc::clone(t))));
                self.views.extend(views.iter().map(|v| (v.name.clone(), Arc::clone(v))));
            }
            CatalogChange::UndropDatabase { database, dropped_at: _ } => {
                check_free(self.databases.keys().map(String::as_str), &database.name, "Database")?;
                self.databases.insert(database.name.clone(), Arc::clone(database));
            }
            CatalogChange::AlterTable { before, after } => {
                self.tables.remove(&before.name);
                self.check_relation_name(&after.name)?;
                self.tables.insert(after.name.clone(), Arc::clone(after));
            }
            CatalogChange::SwapTables { first, second } => {
                let mut one = TableInfo::clone(first);
                let mut two = TableInfo::clone(second);
                std::mem::swap(&mut one.name, &mut two.name);
                std::mem::swap(&mut one.schema_id, &mut two.schema_id);
                self.tables.insert(one.name.clone(), Arc::new(one));
                self.tables.insert(two.name.clone(), Arc::new(two));
            }
            CatalogChange::CreateView(view) => {
                self.check_relation_name(&view.name)?;
                self.views.insert(view.name.clone(), Arc::clone(view));
            }
            CatalogChange::DropView(view) => {
                self.views.remove(&view.name);
            }
            CatalogChange::AlterView { before, after } => {
                self.views.remove(&before.name);
                self.check_relation_name(&after.name)?;
                self.views.insert(after.name.clone(), Arc::clone(after));
            }
        }
        Ok(())
    }

    /// Puts what is in databases under their new names, all at once.
    fn rename_databases(&mut self, names: &[(&str, &str)]) {
        let new = |name: &str| names.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
        let moved = |name: &QualifiedName| {
            new(&name.database).map(|to| QualifiedName::new(to, &name.schema, &name.name))
        };
        rename_all(&mut self.schemas, |schema: &SchemaInfo| {
            let database = new(&schema.database)?.to_string();
            let key = (database.clone(), schema.name.clone());
            let ducklake_name = format!("{database}.{}", schema.name);
            Some((key, SchemaInfo { database, ducklake_name, ..schema.clone() }))
        });
        rename_all(&mut self.tables, |table: &TableInfo| {
            let name = moved(&table.name)?;
            Some((name.clone(), TableInfo { name, ..table.clone() }))
        });
        rename_all(&mut self.views, |view: &ViewInfo| {
            let name = moved(&view.name)?;
            Some((name.clone(), ViewInfo { name, ..view.clone() }))
        });
    }

    /// Puts what is in schemas under the names of others, all at once.
    fn rename_schemas(&mut self, moves: &[(&Arc<SchemaInfo>, &Arc<SchemaInfo>)]) {
        let moved = |name: &QualifiedName| {
            let place = (name.database.as_str(), name.schema.as_str());
            let (_, to) = moves.iter().find(|(from, _)| place_of(from) == place)?;
            Some(QualifiedName::new(&to.database, &to.name, &name.name))
        };
        rename_all(&mut self.tables, |table: &TableInfo| {
            let name = moved(&table.name)?;
            Some((name.clone(), TableInfo { name, ..table.clone() }))
        });
        rename_all(&mut self.views, |view: &ViewInfo| {
            let name = moved(&view.name)?;
            Some((name.clone(), ViewInfo { name, ..view.clone() }))
        });
    }

    fn check_relation_name(&self, name: &QualifiedName) -> Result<(), UserError> {
        let same_schema =
            |other: &&QualifiedName| other.database == name.database && other.schema == name.schema;
        let taken = self.tables.keys().chain(self.views.keys()).filter(same_schema);
        check_free(taken.map(|other| other.name.as_str()), &name.name, "Object")
    }
}

/// A schema's database and name.
fn place_of(schema: &SchemaInfo) -> (&str, &str) {
    (&schema.database, &schema.name)
}

/// Puts what `renamed` gives under its new name, all at once.
fn rename_all<K: Ord, V>(all: &mut BTreeMap<K, Arc<V>>, renamed: impl Fn(&V) -> Option<(K, V)>) {
    *all = std::mem::take(all)
        .into_iter()
        .map(|(key, value)| match renamed(&value) {
            Some((key, value)) => (key, Arc::new(value)),
            None => (key, value),
        })
        .collect();
}

fn check_free<'a>(
    taken: impl Iterator<Item = &'a str>,
    name: &str,
    kind: &str,
) -> Result<(), UserError> {
    let folded = name.to_lowercase();
    for other in taken {
        if other == name {
            return Err(UserError::exists(name));
        }
        // DuckLake's clients fold case, so such a pair could not be told apart there.
        if other.to_lowercase() == folded {
            return Err(UserError::new(
                frazil_common::Code::ObjectExists,
                format!(
                    "{kind} '{other}' already exists, and '{name}' differs from it only in case."
                ),
            ));
        }
    }
    Ok(())
}
