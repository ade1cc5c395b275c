//! SHOW: lists objects with Snowflake's columns, filtered by LIKE, STARTS WITH and LIMIT.

mod absent;
mod account;
mod database_roles;
mod keys;
mod models;
mod namespaces;
mod policies;
mod relations;
mod resource_monitors;
mod schema_objects;
mod tags;
mod transactions;

use std::sync::Arc;

use frazil_catalog::{CatalogView, ConstraintKind, Relation as CatalogRelation, SchemaInfo};
use frazil_common::{ObjectName, ObjectRef, QualifiedName, SqlType, TimeZoneKind, UserError};
use frazil_dialect::{ObjectWord, Show, ShowObject, ShowScope};

use crate::account_usage;
use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::{cannot_be_performed, find, no_current_database, of_schema};
use crate::statements::outcome::{Cell, Outcome};
use crate::statements::retention::Retention;

pub(crate) use models::metadata;
pub(crate) use schema_objects::{format_options, sequence_columns, sequence_row};

/// The type of times in answers.
pub(crate) const INSTANT: SqlType =
    SqlType::Timestamp { zone: TimeZoneKind::Ltz, scale: 3, nanos: false };
pub(crate) const TEXT: SqlType = SqlType::TEXT;

pub(crate) const MINUTE_MICROS: i64 = 60_000_000;
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// How many days or minutes, those begun too, are left until a time: as users are told it.
pub(crate) fn time_left(until: i64, now: i64, unit: i64) -> String {
    let left = (until - now).max(0);
    (left / unit + i64::from(left % unit != 0)).to_string()
}

/// What a kind of SHOW gives before it is filtered.
pub(crate) struct Listing {
    pub columns: Vec<(&'static str, SqlType)>,
    pub rows: Vec<Vec<Cell>>,
    /// Column that LIKE, STARTS WITH and LIMIT … FROM look at.
    pub name: usize,
    /// TERSE's `kind`: the column of that name, a constant, or NULL.
    pub terse_kind: TerseKind,
}

/// Where TERSE's `kind` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TerseKind {
    /// This kind of SHOW has no TERSE form.
    None,
    Column,
    Constant(&'static str),
    Null,
}

impl Listing {
    /// An empty list; the names are looked at in the column called `name`.
    pub fn new(columns: Vec<(&'static str, SqlType)>, name: &str) -> Self {
        let name = columns.iter().position(|(column, _)| *column == name).unwrap_or_default();
        Listing { columns, rows: Vec::new(), name, terse_kind: TerseKind::None }
    }

    pub fn terse(mut self, kind: TerseKind) -> Self {
        self.terse_kind = kind;
        self
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, _)| *column == name)
    }

    /// The five columns of TERSE.
    fn shortened(self) -> Self {
        let kind = match self.terse_kind {
            TerseKind::None => return self,
            other => other,
        };
        let places =
            ["created_on", "name", "database_name", "schema_name", "kind"].map(|n| self.index(n));
        let [created_on, name, database, schema, kind_column] = places;
        let cell = |row: &[Cell], place: Option<usize>| {
            place.and_then(|place| row.get(place).cloned()).unwrap_or(Cell::Null)
        };
        let rows = self
            .rows
            .iter()
            .map(|row| {
                let kind = match kind {
                    TerseKind::Column => cell(row, kind_column),
                    TerseKind::Constant(kind) => Cell::from(kind),
                    TerseKind::Null | TerseKind::None => Cell::Null,
                };
                vec![
                    cell(row, created_on),
                    cell(row, name),
                    kind,
                    cell(row, database),
                    cell(row, schema),
                ]
            })
            .collect();
        Listing {
            columns: vec![
                ("created_on", INSTANT),
                ("name", TEXT),
                ("kind", TEXT),
                ("database_name", TEXT),
                ("schema_name", TEXT),
            ],
            rows,
            name: 1,
            terse_kind: TerseKind::None,
        }
    }

    fn filter(&mut self, show: &Show) {
        let at = self.name;
        let name = |row: &Vec<Cell>| match row.get(at) {
            Some(Cell::Text(text)) => text.clone(),
            _ => String::new(),
        };
        if let Some(pattern) = &show.like {
            self.rows.retain(|row| like(pattern, &name(row)));
        }
        if let Some(start) = &show.starts_with {
            self.rows.retain(|row| name(row).starts_with(start.as_str()));
        }
        if let Some(from) = &show.limit_from
            && let Some(first) =
                self.rows.iter().position(|row| name(row).starts_with(from.as_str()))
        {
            self.rows.drain(..=first);
        }
        if let Some(limit) = show.limit {
            self.rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
    }
}

/// Whether a text fits a pattern with `%` and `_`, whatever the case; `\` takes the next
/// character as it is.
pub(crate) fn like(pattern: &str, text: &str) -> bool {
    #[derive(Clone, Copy)]
    enum Part {
        Any,
        One,
        Exactly(char),
    }
    let mut parts = Vec::new();
    let mut chars = pattern.chars().flat_map(char::to_lowercase);
    while let Some(c) = chars.next() {
        parts.push(match c {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => Part::Exactly(chars.next().unwrap_or('\\')),
            other => Part::Exactly(other),
        });
    }
    let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    // The places in the pattern that the text read so far can have led to.
    let mut states = vec![false; parts.len() + 1];
    let close = |states: &mut Vec<bool>| {
        for (index, part) in parts.iter().enumerate() {
            if states[index] && matches!(part, Part::Any) {
                states[index + 1] = true;
            }
        }
    };
    states[0] = true;
    close(&mut states);
    for c in text {
        let mut next = vec![false; parts.len() + 1];
        for (index, part) in parts.iter().enumerate().filter(|(index, _)| states[*index]) {
            match part {
                Part::Any => next[index] = true,
                Part::One => next[index + 1] = true,
                Part::Exactly(wanted) => next[index + 1] |= *wanted == c,
            }
        }
        close(&mut next);
        states = next;
    }
    states[parts.len()]
}

/// Where a SHOW of schema objects looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Area {
    Account,
    Database(String),
    Schema(String, String),
    Relation(QualifiedName),
}

impl Area {
    pub fn holds_schema(&self, schema: &SchemaInfo) -> bool {
        match self {
            Area::Account => true,
            Area::Database(database) => schema.database == *database,
            Area::Schema(database, name) => schema.database == *database && schema.name == *name,
            Area::Relation(relation) => {
                schema.database == relation.database && schema.name == relation.schema
            }
        }
    }

    pub fn holds(&self, name: &QualifiedName) -> bool {
        match self {
            Area::Account => true,
            Area::Database(database) => name.database == *database,
            Area::Schema(database, schema) => name.database == *database && name.schema == *schema,
            Area::Relation(relation) => name == relation,
        }
    }
}

/// One SHOW at work.
pub(crate) struct Lister<'a> {
    pub context: &'a StatementContext,
    pub view: Arc<CatalogView>,
    pub show: &'a Show,
    pub retention: Retention,
}

impl Lister<'_> {
    /// The owner of an object, as SHOW gives it.
    pub fn owner(&self, object: &ObjectRef) -> Cell {
        Cell::from(self.context.model.owner(object).unwrap_or_default())
    }

    /// Puts in the column that HISTORY adds after the retention.
    pub fn with_history(&self, columns: &mut Vec<(&'static str, SqlType)>) {
        let at = columns.iter().position(|(name, _)| *name == "retention_time");
        if let (true, Some(at)) = (self.show.history, at) {
            columns.insert(at + 1, ("dropped_on", INSTANT));
        }
    }

    /// The retention's cell and, with HISTORY, that of the time of the drop.
    pub fn lifetime(&self, days: u16, dropped: Option<i64>) -> Vec<Cell> {
        let mut cells = vec![Cell::from(days.to_string())];
        if self.show.history {
            cells.push(dropped.map_or(Cell::Null, Cell::Instant));
        }
        cells
    }

    /// Where to look: what IN says, else the current schema, the current database, the account.
    pub async fn area(&self) -> Result<Area, UserError> {
        let state = &self.context.state;
        let Some(scope) = &self.show.scope else {
            return Ok(match (&state.database, &state.schema) {
                (Some(database), Some(schema)) => Area::Schema(database.clone(), schema.clone()),
                (Some(database), None) => Area::Database(database.clone()),
                _ => Area::Account,
            });
        };
        match scope {
            ShowScope::Account => Ok(Area::Account),
            ShowScope::Database(name) => self.database(name.as_deref()).await,
            ShowScope::Schema(Some(name)) => self.schema(name).await,
            ShowScope::Schema(None) => match (&state.database, &state.schema) {
                (Some(database), Some(schema)) => {
                    Ok(Area::Schema(database.clone(), schema.clone()))
                }
                (None, _) => Err(no_current_database()),
                (_, None) => Err(UserError::new(
                    frazil_common::Code::NoCurrentSchema,
                    "Cannot perform SHOW. This session does not have a current schema. Call 'USE \
                     SCHEMA', or use a qualified name.",
                )),
            },
            ShowScope::Name(name) => {
                if name.schema.is_none() && self.show.object == ShowObject::Schemas {
                    return self.database(Some(&name.name)).await;
                }
                if self.names_relation() {
                    return self.relation(name).await;
                }
                // A bare name is a schema of the current database, or else a database.
                match self.schema(name).await {
                    Err(_) if name.schema.is_none() => self.database(Some(&name.name)).await,
                    found => found,
                }
            }
            ShowScope::Object(ObjectWord::Table | ObjectWord::View, Some(name))
                if self.names_relation() =>
            {
                self.relation(name).await
            }
            ShowScope::Object(kind, _) => {
                Err(UserError::unsupported(format!("SHOW {} IN {kind}", self.show.object.as_str())))
            }
            ShowScope::Session => Err(UserError::unsupported(format!(
                "SHOW {} IN SESSION",
                self.show.object.as_str()
            ))),
        }
    }

    /// The kinds whose IN names a table.
    fn names_relation(&self) -> bool {
        matches!(
            self.show.object,
            ShowObject::Columns
                | ShowObject::PrimaryKeys
                | ShowObject::UniqueKeys
                | ShowObject::ImportedKeys
                | ShowObject::ExportedKeys
        )
    }

    async fn database(&self, name: Option<&str>) -> Result<Area, UserError> {
        let current = self.context.state.database.as_deref();
        let name = name.or(current).ok_or_else(no_current_database)?;
        if self.is_shared(name) {
            return Ok(Area::Database(name.to_string()));
        }
        let object = ObjectName::bare(name);
        match find(self.context, &self.view, ObjectWord::Database, &object).await? {
            Some(_) => Ok(Area::Database(name.to_string())),
            None => Err(cannot_be_performed()),
        }
    }

    /// Whether a database is the one with ACCOUNT_USAGE, and the roles may read that.
    fn is_shared(&self, database: &str) -> bool {
        account_usage::is_shared(database, &self.view)
            && account_usage::is_seen(&self.context.model, &self.context.roles)
    }

    /// Whether the area is in the database with ACCOUNT_USAGE. Areas without a name leave it out.
    pub fn holds_account_usage(&self, area: &Area) -> bool {
        match area {
            Area::Database(database) => self.is_shared(database),
            Area::Schema(database, schema) => {
                schema == account_usage::SCHEMA && self.is_shared(database)
            }
            Area::Account | Area::Relation(_) => false,
        }
    }

    async fn schema(&self, name: &ObjectName) -> Result<Area, UserError> {
        let current = self.context.state.database.as_deref();
        let database = name.schema.as_deref().or(current);
        if let Some(database) = database.filter(|database| self.is_shared(database))
            && name.name == account_usage::SCHEMA
        {
            return Ok(Area::Schema(database.to_string(), name.name.clone()));
        }
        if find(self.context, &self.view, ObjectWord::Schema, name).await?.is_none() {
            return Err(cannot_be_performed());
        }
        let (database, schema) = crate::statements::lookup::schema_name(self.context, name)?;
        Ok(Area::Schema(database, schema))
    }

    async fn relation(&self, name: &ObjectName) -> Result<Area, UserError> {
        let full = self.context.qualify(name)?;
        let word = match self.view.relation(&full) {
            Some(CatalogRelation::View(_)) => ObjectWord::View,
            _ => ObjectWord::Table,
        };
        match find(self.context, &self.view, word, name).await? {
            Some(_) => Ok(Area::Relation(full)),
            None => Err(cannot_be_performed()),
        }
    }

    /// The visible schemas of an area.
    pub fn schemas(&self, area: &Area) -> Vec<Arc<SchemaInfo>> {
        self.view
            .schemas()
            .filter(|schema| area.holds_schema(schema))
            .filter(|schema| of_schema(&self.view, (*schema).clone()).is_visible(self.context))
            .cloned()
            .collect()
    }
}

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    show: &Show,
) -> Result<Outcome, UserError> {
    use ShowObject as O;
    let has_history = matches!(show.object, O::Tables | O::Schemas | O::Databases);
    if show.history && !has_history {
        return Err(UserError::unsupported(format!("SHOW {} HISTORY", show.object.as_str())));
    }
    let view = work.lake()?.view().clone();
    let retention = Retention::load(context).await?;
    let lister = Lister { context, view, show, retention };
    let mut listing = match show.object {
        O::Databases => namespaces::databases(&lister).await?,
        O::Schemas => namespaces::schemas(&lister).await?,
        O::Tables => relations::tables(&lister, work).await?,
        O::Views => relations::views(&lister).await?,
        O::Objects => relations::objects(&lister, work).await?,
        O::Columns => relations::columns(&lister, work).await?,
        O::PrimaryKeys => keys::keys(&lister, &ConstraintKind::PrimaryKey).await?,
        O::UniqueKeys => keys::keys(&lister, &ConstraintKind::Unique).await?,
        O::ImportedKeys => keys::foreign_keys(&lister, false).await?,
        O::ExportedKeys => keys::foreign_keys(&lister, true).await?,
        O::Stages => schema_objects::stages(&lister).await?,
        O::FileFormats => schema_objects::file_formats(&lister).await?,
        O::Sequences => schema_objects::sequences(&lister).await?,
        O::MaskingPolicies | O::RowAccessPolicies => policies::policies(&lister).await?,
        O::Tags => tags::tags(&lister).await?,
        O::Models => models::models(&lister).await?,
        O::VersionsInModel => models::versions(&lister).await?,
        O::FunctionsInModel => models::functions(&lister).await?,
        O::Endpoints => models::endpoints(&lister).await?,
        O::Warehouses => account::warehouses(&lister).await?,
        O::ResourceMonitors => resource_monitors::resource_monitors(&lister).await?,
        O::Roles => account::roles(&lister).await?,
        O::DatabaseRoles => database_roles::database_roles(&lister).await?,
        O::Users => account::users(&lister).await?,
        O::UserAccessTokens => account::access_tokens(&lister).await?,
        O::Parameters => account::parameters(&lister).await?,
        O::Variables => account::variables(&lister)?,
        O::Transactions => transactions::transactions(&lister),
        O::Locks => transactions::locks(&lister),
        O::Functions | O::BuiltinFunctions => account::functions(&lister),
        other => {
            // A scope that does not exist is an error for these too.
            if !matches!(show.scope, None | Some(ShowScope::Session | ShowScope::Account)) {
                lister.area().await?;
            }
            absent::listing(other)?
        }
    };
    if show.terse {
        listing = listing.shortened();
    }
    listing.filter(show);
    if context.describe_only {
        listing.rows.clear();
    }
    Outcome::table(&listing.columns, listing.rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_ignores_case_and_knows_wildcards() {
        assert!(like("ord%", "ORDERS"));
        assert!(like("%", ""));
        assert!(like("o_d%s", "ORDERS"));
        assert!(like("a\\_b", "A_B"));
        assert!(!like("a\\_b", "AxB"));
        assert!(!like("ord", "ORDERS"));
        assert!(like("%e%s", "ORDERS"));
        assert!(!like("", "X"));
    }

    #[test]
    fn filters_apply_in_order() {
        let show = Show {
            object: ShowObject::Databases,
            terse: false,
            history: false,
            like: Some("t%".to_string()),
            scope: None,
            version: None,
            starts_with: Some("T".to_string()),
            limit: Some(1),
            limit_from: Some("T1".to_string()),
        };
        let mut listing = Listing::new(vec![("name", TEXT)], "name");
        listing.rows = ["A", "T1", "T2", "T3", "t4"].map(|n| vec![Cell::from(n)]).to_vec();
        listing.filter(&show);
        assert_eq!(listing.rows, vec![vec![Cell::from("T2")]]);
    }
}
