//! INFORMATION_SCHEMA: a database's objects as tables, and history as table functions.

mod constraints;
mod history;
pub(crate) mod loads;
mod models;
mod namespaces;
mod operators;
pub(crate) mod policies;
mod privileges;
mod relations;
mod schema_objects;
mod tags;

use std::sync::Arc;

use frazil_catalog::{CatalogView, DatabaseInfo, SchemaInfo};
use frazil_common::{Column, ObjectName, ObjectRef, SqlType, TimeZoneKind, UserError};
use frazil_dialect::ObjectWord;
use frazil_planner::{FunctionValue, Relation};

use crate::resolve::results::batch_relation;
use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::{Target, find, no_current_database, of_schema};
use crate::statements::outcome::{Cell, batch_of};
use crate::statements::retention::Retention;

pub(crate) const TEXT: SqlType = SqlType::TEXT;
const NUMBER: SqlType = SqlType::Number { precision: 18, scale: 0 };
pub(crate) const INSTANT: SqlType =
    SqlType::Timestamp { zone: TimeZoneKind::Ltz, scale: 3, nanos: false };

/// A table made row by row.
pub(crate) struct Rows {
    name: &'static str,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Rows {
    pub fn new(name: &'static str, columns: &[(&str, SqlType)]) -> Self {
        let columns =
            columns.iter().map(|(name, ty)| Column::new(*name, ty.clone(), true)).collect();
        Rows { name, columns, rows: Vec::new() }
    }

    /// A table that there is nothing of, all text but for times and counts.
    fn empty(name: &'static str, columns: &[&str]) -> Self {
        let columns: Vec<(&str, SqlType)> = columns
            .iter()
            .map(|column| {
                let ty = match *column {
                    "CREATED" | "LAST_ALTERED" | "LAST_LOAD_TIME" => INSTANT,
                    "ROW_COUNT"
                    | "ROW_PARSED"
                    | "ERROR_COUNT"
                    | "ERROR_LIMIT"
                    | "FIRST_ERROR_LINE_NUMBER"
                    | "FIRST_ERROR_CHARACTER_POSITION"
                    | "CHARACTER_MAXIMUM_LENGTH"
                    | "CHARACTER_OCTET_LENGTH"
                    | "NUMERIC_PRECISION"
                    | "NUMERIC_PRECISION_RADIX"
                    | "NUMERIC_SCALE" => NUMBER,
                    _ => TEXT,
                };
                (*column, ty)
            })
            .collect();
        Rows::new(name, &columns)
    }

    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    pub fn into_relation(self) -> Result<Relation, UserError> {
        let batch = batch_of(&self.columns, &self.rows)?;
        batch_relation(self.name, self.columns, batch)
    }
}

fn yes_no(value: bool) -> Cell {
    Cell::from(if value { "YES" } else { "NO" })
}

fn count(value: u64) -> Cell {
    Cell::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

/// The database a view of INFORMATION_SCHEMA is about, and what the role sees of it.
struct Scope<'a> {
    context: &'a StatementContext,
    view: Arc<CatalogView>,
    database: Arc<DatabaseInfo>,
    retention: Retention,
}

impl Scope<'_> {
    fn schemas(&self) -> Vec<Arc<SchemaInfo>> {
        self.view
            .schemas_in(&self.database.name)
            .filter(|schema| of_schema(&self.view, (*schema).clone()).is_visible(self.context))
            .cloned()
            .collect()
    }

    fn owner(&self, object: &ObjectRef) -> Cell {
        Cell::from(self.context.model.owner(object).unwrap_or_default())
    }
}

/// The relation of `[db.]INFORMATION_SCHEMA.name`.
///
/// # Errors
/// There is no such database or view.
pub(crate) async fn relation(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
) -> Result<Relation, UserError> {
    let database = name
        .database
        .clone()
        .or_else(|| context.state.database.clone())
        .ok_or_else(no_current_database)?;
    let view = work.lake()?.view().clone();
    let found = find(context, &view, ObjectWord::Database, &ObjectName::bare(&database)).await?;
    let Some(Target::Database(database)) = found.map(|found| found.target) else {
        return Err(UserError::not_found("Database", frazil_common::quote_identifier(&database)));
    };
    let retention = Retention::load(context).await?;
    let scope = Scope { context, view, database, retention };
    let rows = match name.name.as_str() {
        "INFORMATION_SCHEMA_CATALOG_NAME" => namespaces::catalog_name(&scope),
        "DATABASES" => namespaces::databases(&scope),
        "SCHEMATA" => namespaces::schemata(&scope),
        "TABLES" => relations::tables(&scope, work).await?,
        "TABLE_STORAGE_METRICS" => relations::table_storage_metrics(&scope).await?,
        "VIEWS" => relations::views(&scope),
        "COLUMNS" => relations::columns(&scope, work).await?,
        "TABLE_CONSTRAINTS" => constraints::table_constraints(&scope),
        "REFERENTIAL_CONSTRAINTS" => constraints::referential_constraints(&scope),
        "STAGES" => schema_objects::stages(&scope).await?,
        "FILE_FORMATS" => schema_objects::file_formats(&scope).await?,
        "SEQUENCES" => schema_objects::sequences(&scope).await?,
        "FUNCTIONS" => schema_objects::functions(),
        "PROCEDURES" => schema_objects::procedures(),
        "PACKAGES" => schema_objects::packages(),
        "LOAD_HISTORY" => loads::load_history(&scope).await?,
        "MODELS" => models::models(&scope).await?,
        "MODEL_VERSIONS" => models::versions(&scope).await?,
        "APPLICABLE_ROLES" => privileges::applicable_roles(&scope).await?,
        "ENABLED_ROLES" => privileges::enabled_roles(&scope).await?,
        "OBJECT_PRIVILEGES" => privileges::object_privileges(&scope).await?,
        "TABLE_PRIVILEGES" => privileges::table_privileges(&scope).await?,
        _ => return Err(UserError::not_found("Object", name)),
    };
    rows.into_relation()
}

/// A table function of INFORMATION_SCHEMA, by its name's last part; none where it is not one.
///
/// # Errors
/// Wrong arguments.
pub(crate) async fn function(
    context: &StatementContext,
    name: &str,
    arguments: &[(Option<String>, FunctionValue)],
) -> Result<Option<Relation>, UserError> {
    let own = name.rsplit('.').next().unwrap_or(name).to_uppercase();
    let rows = match own.as_str() {
        "VALIDATE" => Some(loads::validate(context, arguments).await?),
        "GET_QUERY_OPERATOR_STATS" => Some(operators::operators(context, arguments).await?),
        policies::FUNCTION => Some(policies::function(context, &own, arguments).await?),
        "COPY_HISTORY" => Some(loads::copy_history(context, arguments).await?),
        _ => match tags::function(context, &own, arguments).await? {
            Some(rows) => Some(rows),
            None => history::function(context, &own, arguments).await?,
        },
    };
    match rows {
        Some(rows) => rows.into_relation().map(Some),
        None => Ok(None),
    }
}
