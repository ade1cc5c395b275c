//! Staged definitions: databases, schemas, tables and views.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use frazil_catalog::foreign_views::ForeignView;
use frazil_catalog::objects::EXTERNAL_DATABASE;
use frazil_catalog::{
    CatalogChange, ColumnInfo, DatabaseInfo, DucklakeDefault, PartitionKey, SchemaInfo, SortBy,
    SortKey, TableInfo, TableKind, Transform, ViewInfo,
};
use frazil_common::hidden::MARK;
use frazil_common::{Code, Column, QualifiedName, SqlType, UserError};

use super::LakeTransaction;
use crate::error::{LakeError, Result};
use crate::partition::hashes_differ;
use crate::temporary::TemporaryRows;
use crate::write::schema::is_system_name;
use crate::write::statistics::default_text;

/// CLUSTER BY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clustering {
    /// As SQL text.
    pub text: String,
    /// The columns whose order the keys keep, by name; the first key's first.
    pub columns: Vec<String>,
}

/// A table to create.
#[derive(Debug, Clone)]
pub struct NewTable {
    pub name: QualifiedName,
    pub columns: Vec<ColumnInfo>,
    pub kind: TableKind,
    pub comment: Option<String>,
    pub cluster_by: Option<Clustering>,
    /// Own DATA_RETENTION_TIME_IN_DAYS.
    pub retention_days: Option<u16>,
    pub change_tracking: bool,
}

/// A view to create.
#[derive(Debug, Clone)]
pub struct NewView {
    pub name: QualifiedName,
    /// The query's text.
    pub text: String,
    /// What another client wrote, in a clone of its view.
    pub foreign: Option<ForeignView>,
    pub columns: Vec<Column>,
    pub column_comments: Vec<Option<String>>,
    pub secure: bool,
    pub comment: Option<String>,
}

pub(super) fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

impl LakeTransaction {
    pub(super) fn stage(&mut self, change: CatalogChange) -> Result<()> {
        let mut definitions = frazil_catalog::Definitions::clone(self.base.definitions());
        for earlier in &self.changes {
            definitions.apply(earlier).map_err(LakeError::User)?;
        }
        definitions.apply(&change).map_err(LakeError::User)?;
        self.touch();
        self.changes.push(change);
        self.rebuild_view()
    }

    /// Creates a database without any schema.
    pub fn create_database(
        &mut self,
        name: &str,
        transient: bool,
        comment: Option<String>,
        retention_days: Option<u16>,
    ) -> Result<Arc<DatabaseInfo>> {
        check_database_name(name)?;
        let database = Arc::new(DatabaseInfo {
            database_id: self.local_id(),
            name: name.to_string(),
            comment,
            transient,
            retention_days,
            created_micros: now_micros(),
        });
        self.stage(CatalogChange::CreateDatabase(Arc::clone(&database)))?;
        Ok(database)
    }

    /// Drops a database with everything in it.
    pub fn drop_database(&mut self, name: &str) -> Result<Arc<DatabaseInfo>> {
        let database = self.view.database(name).cloned();
        let database = database.ok_or_else(|| UserError::not_found("Database", name))?;
        self.forget_temporary(|table| table.database == name);
        self.forget_rows(|table| table.name.database == name);
        self.stage(CatalogChange::DropDatabase(Arc::clone(&database)))?;
        Ok(database)
    }

    /// Changes a database's properties.
    pub fn alter_database(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut DatabaseInfo),
    ) -> Result<()> {
        let before = self.view.database(name).cloned();
        let before = before.ok_or_else(|| UserError::not_found("Database", name))?;
        let mut after = DatabaseInfo::clone(&before);
        change(&mut after);
        self.stage(CatalogChange::AlterDatabase { before, after: Arc::new(after) })
    }

    /// Gives a database a new name; what is in it goes along.
    pub fn rename_database(&mut self, name: &str, to: &str) -> Result<()> {
        check_database_name(name)?;
        check_database_name(to)?;
        self.alter_database(name, |database| database.name = to.to_string())
    }

    /// Exchanges the names of two databases.
    pub fn swap_databases(&mut self, first: &str, second: &str) -> Result<()> {
        let find = |name: &str| {
            check_database_name(name)?;
            let found = self.view.database(name).cloned();
            found.ok_or_else(|| LakeError::User(UserError::not_found("Database", name)))
        };
        let (first, second) = (find(first)?, find(second)?);
        self.stage(CatalogChange::SwapDatabases { first, second })
    }

    /// Creates a schema.
    pub fn create_schema(
        &mut self,
        database: &str,
        name: &str,
        transient: bool,
        comment: Option<String>,
        retention_days: Option<u16>,
    ) -> Result<Arc<SchemaInfo>> {
        if self.view.database(database).is_none() {
            return Err(LakeError::User(UserError::not_found("Database", database)));
        }
        let uuid = uuid::Uuid::now_v7().to_string();
        let ducklake_name = match database {
            EXTERNAL_DATABASE => name.to_string(),
            _ => format!("{database}.{name}"),
        };
        let schema = Arc::new(SchemaInfo {
            schema_id: self.local_id(),
            database: database.to_string(),
            name: name.to_string(),
            ducklake_name,
            path: format!("{uuid}/"),
            uuid,
            comment,
            transient,
            retention_days,
            created_micros: now_micros(),
        });
        self.stage(CatalogChange::CreateSchema(Arc::clone(&schema)))?;
        Ok(schema)
    }

    /// Drops a schema with everything in it.
    pub fn drop_schema(&mut self, database: &str, name: &str) -> Result<Arc<SchemaInfo>> {
        let schema = self.view.schema(database, name).cloned();
        let schema =
            schema.ok_or_else(|| UserError::not_found("Schema", format!("{database}.{name}")))?;
        self.forget_temporary(|t| t.database == database && t.schema == name);
        self.forget_rows(|t| t.name.database == database && t.name.schema == name);
        self.stage(CatalogChange::DropSchema(Arc::clone(&schema)))?;
        Ok(schema)
    }

    /// Changes a schema's comment or retention.
    pub fn alter_schema(
        &mut self,
        database: &str,
        name: &str,
        change: impl FnOnce(&mut SchemaInfo),
    ) -> Result<()> {
        let before = self.schema(database, name)?;
        let mut after = SchemaInfo::clone(&before);
        change(&mut after);
        self.stage(CatalogChange::AlterSchema { before, after: Arc::new(after) })
    }

    /// Gives a schema a new name; what is in it goes along.
    pub fn rename_schema(&mut self, database: &str, name: &str, to: &str) -> Result<()> {
        check_database_name(database)?;
        self.alter_schema(database, name, |schema| {
            schema.name = to.to_string();
            schema.ducklake_name = format!("{database}.{to}");
        })
    }

    /// Exchanges the names of two schemas of a database.
    pub fn swap_schemas(&mut self, database: &str, first: &str, second: &str) -> Result<()> {
        check_database_name(database)?;
        let (first, second) = (self.schema(database, first)?, self.schema(database, second)?);
        self.stage(CatalogChange::SwapSchemas { first, second })
    }

    pub(super) fn schema(&self, database: &str, name: &str) -> Result<Arc<SchemaInfo>> {
        let schema = self.view.schema(database, name).cloned();
        let full = QualifiedName::new(database, name, "");
        schema.ok_or_else(|| {
            LakeError::User(UserError::not_found(
                "Schema",
                format!("{}.{}", full.database, full.schema),
            ))
        })
    }

    /// Creates an empty table. Counters of AUTOINCREMENT columns are made here.
    pub async fn create_table(&mut self, table: NewTable) -> Result<Arc<TableInfo>> {
        let schema = self.schema(&table.name.database, &table.name.schema)?;
        check_columns(&table.columns)?;
        let temporary = table.kind == TableKind::Temporary;
        let uuid = uuid::Uuid::now_v7().to_string();
        let path = if temporary {
            format!("{}/{uuid}/", self.lake.store().session_path(self.session_id).display())
        } else {
            format!("{}{uuid}/", schema.path)
        };
        let mut columns = table.columns;
        for column in &mut columns {
            column.field_id = 0;
            if let Some(autoincrement) = &mut column.autoincrement
                && autoincrement.sequence_id == 0
            {
                autoincrement.sequence_id = self
                    .lake
                    .catalog()
                    .create_counter(autoincrement.start, autoincrement.step)
                    .await?;
            }
        }
        let mut info = TableInfo {
            table_id: if temporary { self.lake.temporaries().new_id() } else { self.local_id() },
            schema_id: schema.schema_id,
            name: table.name,
            uuid,
            path,
            columns,
            kind: table.kind,
            comment: table.comment,
            cluster_by: None,
            sort_keys: Vec::new(),
            partitioning: None,
            recluster_suspended: false,
            constraints: Vec::new(),
            retention_days: table.retention_days,
            change_tracking: table.change_tracking.then_some(0),
            created_micros: now_micros(),
            last_field_id: 0,
            defined_at: 0,
        };
        info.assign_field_ids();
        cluster(&mut info, table.cluster_by)?;
        let info = Arc::new(info);
        if temporary {
            if self.temporary.tables.contains_key(&info.name) {
                return Err(LakeError::User(UserError::exists(&info.name.name)));
            }
            self.set_temporary(&info.name.clone(), Some(Arc::clone(&info)))?;
            self.temporary.rows.insert(info.table_id, Arc::new(TemporaryRows::default()));
        } else {
            self.stage(CatalogChange::CreateTable(Arc::clone(&info)))?;
        }
        Ok(info)
    }

    /// Drops a table; the temporary one of that name first.
    pub fn drop_table(&mut self, name: &QualifiedName) -> Result<Arc<TableInfo>> {
        let table = self.table(name)?;
        self.rows.remove(&table.table_id);
        if table.kind == TableKind::Temporary {
            self.forget_temporary(|other| other == name);
            self.rebuild_view()?;
        } else {
            self.stage(CatalogChange::DropTable(Arc::clone(&table)))?;
        }
        Ok(table)
    }

    /// Creates a view.
    pub fn create_view(&mut self, view: NewView) -> Result<Arc<ViewInfo>> {
        let schema = self.schema(&view.name.database, &view.name.schema)?;
        let info = Arc::new(ViewInfo {
            view_id: self.local_id(),
            schema_id: schema.schema_id,
            name: view.name,
            uuid: uuid::Uuid::now_v7().to_string(),
            text: view.text,
            dialect: if view.foreign.is_some() { "duckdb" } else { "snowflake" }.to_string(),
            foreign: view.foreign,
            columns: view.columns,
            column_comments: view.column_comments,
            secure: view.secure,
            comment: view.comment,
            created_micros: now_micros(),
        });
        self.stage(CatalogChange::CreateView(Arc::clone(&info)))?;
        Ok(info)
    }

    /// Drops a view.
    pub fn drop_view(&mut self, name: &QualifiedName) -> Result<Arc<ViewInfo>> {
        let view = self.view.view(name).cloned();
        let view = view.ok_or_else(|| UserError::not_found("View", name))?;
        self.stage(CatalogChange::DropView(Arc::clone(&view)))?;
        Ok(view)
    }

    /// Changes a view: name within its database, comment, secure flag, comments of columns.
    pub fn alter_view(
        &mut self,
        name: &QualifiedName,
        change: impl FnOnce(&mut ViewInfo),
    ) -> Result<Arc<ViewInfo>> {
        let before = self.view.view(name).cloned();
        let before = before.ok_or_else(|| UserError::not_found("View", name))?;
        let mut after = ViewInfo::clone(&before);
        change(&mut after);
        after.schema_id = self.schema(&after.name.database, &after.name.schema)?.schema_id;
        let after = Arc::new(after);
        self.stage(CatalogChange::AlterView { before, after: Arc::clone(&after) })?;
        Ok(after)
    }

    /// Renames a table, also into another schema.
    pub fn rename_table(&mut self, name: &QualifiedName, to: &QualifiedName) -> Result<()> {
        let schema_id = self.schema(&to.database, &to.schema)?.schema_id;
        if self.view.relation(to).is_some() {
            return Err(LakeError::User(UserError::exists(&to.name)));
        }
        self.alter_table(name, |table| {
            table.name = to.clone();
            table.schema_id = schema_id;
            Ok(())
        })?;
        Ok(())
    }

    /// Adds a column at the end. Rows already there get `initial`, else NULL.
    pub async fn add_column(
        &mut self,
        name: &QualifiedName,
        mut column: ColumnInfo,
        initial: Option<ScalarValue>,
    ) -> Result<()> {
        if let Some(autoincrement) = &mut column.autoincrement
            && autoincrement.sequence_id == 0
        {
            autoincrement.sequence_id =
                self.lake.catalog().create_counter(autoincrement.start, autoincrement.step).await?;
        }
        column.initial_default = match initial.filter(|value| !value.is_null()) {
            None => None,
            Some(value) => {
                let value = value.cast_to(&column.sql_type.to_arrow())?;
                // Rows that are there read it from the catalog: what cannot be read back would be NULL.
                Some(default_text(&column, &value).ok_or_else(|| {
                    UserError::unsupported(format!(
                        "a default such as this one of type {} in ADD COLUMN: add the column without \
                         it, update the rows, and set it with ALTER COLUMN … SET DEFAULT",
                        column.sql_type
                    ))
                })?)
            }
        };
        self.alter_table(name, |table| {
            column.field_id = 0;
            table.columns.push(column);
            table.assign_field_ids();
            check_columns(&table.columns)
        })?;
        Ok(())
    }

    /// Sets or removes a table's clustering keys.
    pub fn cluster_table(
        &mut self,
        name: &QualifiedName,
        clustering: Option<Clustering>,
    ) -> Result<Arc<TableInfo>> {
        self.alter_table(name, |table| {
            table.recluster_suspended = false;
            cluster(table, clustering)
        })
    }

    /// Drops a column.
    pub fn drop_column(&mut self, name: &QualifiedName, column: &str) -> Result<()> {
        self.alter_table(name, |table| {
            let sorted = table.sorted_columns();
            if sorted.iter().any(|(place, _)| table.columns[*place].name == column) {
                return Err(LakeError::User(UserError::new(
                    Code::InvalidStatement,
                    format!(
                        "Cannot drop column '{column}' of table {name}: it is in the clustering \
                         key. Drop or change the key first."
                    ),
                )));
            }
            refuse_foreign_sort(table, "dropping")?;
            if let Some(key) = partition_keys(table, column).next() {
                return Err(LakeError::User(UserError::unsupported(format!(
                    "dropping column {column}, by {} of which another client partitions the table",
                    key.transform
                ))));
            }
            let before = table.columns.len();
            if let Some(id) = table.column(column).map(|column| column.field_id) {
                // A key goes with any of its columns.
                table.constraints.retain(|constraint| !constraint.columns.contains(&id));
            }
            table.columns.retain(|c| c.name != column);
            if table.columns.len() == before {
                return Err(UserError::invalid_identifier(column).into());
            }
            if table.columns.is_empty() {
                return Err(LakeError::User(UserError::new(
                    Code::InvalidStatement,
                    format!("Cannot drop the only column '{column}' of a table."),
                )));
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Renames a column.
    pub fn rename_column(&mut self, name: &QualifiedName, from: &str, to: &str) -> Result<()> {
        let table = self.table(name)?;
        refuse_foreign_sort(&table, "renaming")?;
        self.alter_column(name, from, |column| {
            column.name = to.to_string();
            if column.ducklake_default.as_ref().is_some_and(DucklakeDefault::is_refusing) {
                column.ducklake_default = Some(DucklakeDefault::refusing(to));
            }
        })
    }

    /// Changes one column: comment, default, nullability, or a wider type of the same storage.
    pub fn alter_column(
        &mut self,
        name: &QualifiedName,
        column: &str,
        change: impl FnOnce(&mut ColumnInfo),
    ) -> Result<()> {
        self.alter_table(name, |table| {
            let found = table.columns.iter_mut().find(|c| c.name == column);
            let found = found.ok_or_else(|| UserError::invalid_identifier(column))?;
            let (before, stored) = (found.sql_type.clone(), found.physical_type.clone());
            change(found);
            if found.sql_type != before {
                check_stored_alike(found, &before)?;
            }
            let differs = hashes_differ(&stored, &found.physical_type);
            let mut keys = partition_keys(table, column);
            if differs && keys.any(|key| matches!(key.transform, Transform::Bucket(_))) {
                return Err(LakeError::User(UserError::unsupported(format!(
                    "changing column {column} from type {before} to one that is hashed another \
                     way: another client partitions the table by its hash"
                ))));
            }
            check_columns(&table.columns)
        })?;
        Ok(())
    }

    /// Sets or removes a table's comment.
    pub fn set_table_comment(
        &mut self,
        name: &QualifiedName,
        comment: Option<String>,
    ) -> Result<()> {
        self.alter_table(name, |table| {
            table.comment = comment;
            Ok(())
        })?;
        Ok(())
    }

    /// Changes a table's definition; any field but the ids.
    pub fn alter_table(
        &mut self,
        name: &QualifiedName,
        change: impl FnOnce(&mut TableInfo) -> Result<()>,
    ) -> Result<Arc<TableInfo>> {
        let before = self.table(name)?;
        if self.rows.contains_key(&before.table_id) {
            return Err(LakeError::User(UserError::unsupported(
                "altering a table that the open transaction has written rows to",
            )));
        }
        let mut after = TableInfo::clone(&before);
        change(&mut after)?;
        let after = Arc::new(after);
        if before.kind == TableKind::Temporary {
            self.temporary.tables.remove(&before.name);
            self.set_temporary(&after.name.clone(), Some(Arc::clone(&after)))?;
        } else {
            self.stage(CatalogChange::AlterTable { before, after: Arc::clone(&after) })?;
        }
        Ok(after)
    }

    /// Exchanges two tables' names.
    pub fn swap_tables(&mut self, first: &QualifiedName, second: &QualifiedName) -> Result<()> {
        let (first, second) = (self.table(first)?, self.table(second)?);
        let temporary = [&first, &second].iter().any(|t| t.kind == TableKind::Temporary);
        if temporary {
            return Err(LakeError::User(UserError::unsupported("SWAP WITH a temporary table")));
        }
        self.stage(CatalogChange::SwapTables { first, second })
    }

    fn set_temporary(&mut self, name: &QualifiedName, table: Option<Arc<TableInfo>>) -> Result<()> {
        self.temporary_changed = true;
        match table {
            Some(table) => self.temporary.tables.insert(name.clone(), table),
            None => self.temporary.tables.remove(name),
        };
        self.rebuild_view()
    }

    fn forget_temporary(&mut self, gone: impl Fn(&QualifiedName) -> bool) {
        let names: Vec<QualifiedName> =
            self.temporary.tables.keys().filter(|name| gone(name)).cloned().collect();
        for name in names {
            self.temporary_changed = true;
            if let Some(table) = self.temporary.tables.remove(&name) {
                self.rows.remove(&table.table_id);
                if let Some(rows) = self.temporary.rows.remove(&table.table_id) {
                    self.discarded.extend(rows.files.iter().map(|f| f.path.clone()));
                }
            }
        }
    }

    fn forget_rows(&mut self, gone: impl Fn(&TableInfo) -> bool) {
        self.rows.retain(|_, staged| !gone(&staged.table));
    }
}

/// Other clients' tables have a database of their own.
fn check_database_name(name: &str) -> Result<()> {
    if name == EXTERNAL_DATABASE {
        return Err(LakeError::User(UserError::exists(name)));
    }
    // `DB.S` must have one reading, or dropping a database would reach into another.
    if name.contains('.') {
        return Err(LakeError::User(UserError::unsupported("a dot in a database's name")));
    }
    Ok(())
}

/// Sets a table's clustering keys.
fn cluster(table: &mut TableInfo, clustering: Option<Clustering>) -> Result<()> {
    let (text, columns) = match clustering {
        Some(clustering) => (Some(clustering.text), clustering.columns),
        None => (None, Vec::new()),
    };
    let mut keys: Vec<SortKey> = Vec::with_capacity(columns.len());
    for name in columns {
        let column = table.column(&name).ok_or_else(|| UserError::invalid_identifier(&name))?;
        let by = SortBy::Column(column.field_id);
        // A second key on the same column sorts nothing.
        if keys.iter().all(|key| key.by != by) {
            keys.push(SortKey { by, descending: false, nulls_first: false });
        }
    }
    table.cluster_by = text;
    table.sort_keys = keys;
    Ok(())
}

/// The partition keys on a column.
fn partition_keys<'a>(
    table: &'a TableInfo,
    column: &str,
) -> impl Iterator<Item = &'a PartitionKey> {
    let id = table.column(column).map(|column| column.field_id);
    let keys = table.partitioning.iter().flat_map(|parts| &parts.keys);
    keys.filter(move |key| Some(key.field_id) == id)
}

/// Another client's sort expression may name any column.
fn refuse_foreign_sort(table: &TableInfo, what: &str) -> Result<()> {
    match table.sort_keys.iter().any(|key| matches!(key.by, SortBy::Expression { .. })) {
        true => Err(LakeError::User(UserError::unsupported(format!(
            "{what} a column of a table that another client sorts by an expression"
        )))),
        false => Ok(()),
    }
}

fn check_columns(columns: &[ColumnInfo]) -> Result<()> {
    for (index, column) in columns.iter().enumerate() {
        if column.name.contains(MARK) {
            // Such names are those of hidden columns.
            return Err(UserError::invalid_identifier(&column.name).into());
        }
        if is_system_name(&column.name) {
            return Err(LakeError::User(UserError::unsupported(format!(
                "a column named {}, which is DuckLake's own in files",
                column.name
            ))));
        }
        let folded = column.name.to_lowercase();
        if columns[..index].iter().any(|c| c.name.to_lowercase() == folded) {
            return Err(LakeError::User(UserError::new(
                Code::DuplicateColumn,
                format!("duplicate column name '{}'", column.name),
            )));
        }
    }
    Ok(())
}

/// A column may change to a type that reads every stored value: same storage, or a wider decimal.
fn check_stored_alike(column: &mut ColumnInfo, before: &SqlType) -> Result<()> {
    let physical = frazil_catalog::physical::to_physical(&column.sql_type);
    let wider = match (before, &column.sql_type) {
        (
            SqlType::Number { precision: p, scale: s },
            SqlType::Number { precision: to, scale: to_scale },
        ) => to >= p && s == to_scale,
        _ => physical.name == column.physical_type && physical.children.is_empty(),
    };
    if !wider {
        return Err(LakeError::User(UserError::new(
            Code::InvalidDataType,
            format!(
                "cannot change column {} from type {before} to {}",
                column.name, column.sql_type
            ),
        )));
    }
    column.physical_type = physical.name;
    Ok(())
}
