//! What COPY INTO loaded: the view LOAD_HISTORY and the table function COPY_HISTORY.

use std::collections::HashSet;
use std::sync::Arc;

use frazil_catalog::{CatalogView, CommittedLoad, TableInfo};
use frazil_common::{Code, Privilege, QualifiedName, SqlType, UserError};
use frazil_dialect::parse_object_name_text;
use frazil_governance::{HiddenError, REDACTED, Requirement};
use frazil_planner::FunctionValue;

use super::history::{Arguments, Given};
use super::{INSTANT, NUMBER, Rows, Scope, TEXT};
use crate::resolve::objects::{parents_of, table_object};
use crate::resolve::policies::hides_values;
use crate::statements::context::StatementContext;
use crate::statements::copy_into_table::{ERROR_COLUMNS, error_cells};
use crate::statements::lookup::of_table;
use crate::statements::outcome::Cell;

/// How far back the view and the function look, as Snowflake's do.
const DAYS_SHOWN: i64 = 14;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// How a load ended, in COPY_HISTORY's words.
pub(crate) fn status(load: &CommittedLoad) -> &'static str {
    use frazil_catalog::LoadStatus::*;
    match load.load.status {
        Loaded => "Loaded",
        PartiallyLoaded => "Partially loaded",
        LoadFailed => "Load failed",
    }
}

fn since(context: &StatementContext) -> i64 {
    context.facts.now_micros - DAYS_SHOWN * MICROS_PER_DAY
}

/// Whether what errors of a table's loads quote is kept from who asks, as policies may hide it.
pub(crate) async fn hides_quotes(
    context: &StatementContext,
    view: &CatalogView,
    table: &TableInfo,
) -> Result<bool, UserError> {
    let account = context.shared.accounts.view().await?;
    hides_values(context, &account, view, table).await
}

/// Whether the session itself has run the load: it knows the file.
pub(crate) fn is_own(context: &StatementContext, query_id: &str) -> bool {
    context.state.query_ids.iter().any(|own| own == query_id)
}

/// What LOAD_HISTORY tells of how a load ended.
pub(crate) const LOAD_FACTS: [(&str, SqlType); 9] = [
    ("STATUS", TEXT),
    ("ROW_COUNT", NUMBER),
    ("ROW_PARSED", NUMBER),
    ("FIRST_ERROR_MESSAGE", TEXT),
    ("FIRST_ERROR_LINE_NUMBER", NUMBER),
    ("FIRST_ERROR_CHARACTER_POSITION", NUMBER),
    ("FIRST_ERROR_COL_NAME", TEXT),
    ("ERROR_COUNT", NUMBER),
    ("ERROR_LIMIT", NUMBER),
];

/// The cells of [`LOAD_FACTS`].
pub(crate) fn load_facts(found: &CommittedLoad, quotes: bool) -> [Cell; 9] {
    let load = &found.load;
    [
        Cell::from(load.status.as_str()),
        Cell::from(load.rows_loaded),
        Cell::from(load.rows_parsed),
        Cell::from(load.first_error.clone().filter(|_| quotes)),
        Cell::from(load.first_error_line),
        Cell::from(load.first_error_character),
        Cell::from(load.first_error_column.clone()),
        Cell::from(load.error_count),
        Cell::from(load.error_limit),
    ]
}

/// Loads into the database's tables that the role sees, of the last 14 days.
pub(super) async fn load_history(scope: &Scope<'_>) -> Result<Rows, UserError> {
    let place = [
        ("SCHEMA_NAME", TEXT),
        ("FILE_NAME", TEXT),
        ("TABLE_NAME", TEXT),
        ("LAST_LOAD_TIME", INSTANT),
    ];
    let mut rows = Rows::new("LOAD_HISTORY", &[&place[..], &LOAD_FACTS].concat());
    let since = since(scope.context);
    let tables: Vec<_> = scope
        .view
        .tables()
        .filter(|table| table.name.database == scope.database.name && table.table_id >= 0)
        .filter(|table| of_table(&scope.view, (*table).clone()).is_visible(scope.context))
        .cloned()
        .collect();
    let mut hidden = HashSet::new();
    for table in &tables {
        if hides_quotes(scope.context, &scope.view, table).await? {
            hidden.insert(table.table_id);
        }
    }
    for found in scope.context.shared.catalog.loads(None).await? {
        let Some(table) = tables.iter().find(|table| table.table_id == found.table_id) else {
            continue;
        };
        if found.load.loaded_on < since {
            continue;
        }
        let load = &found.load;
        let quotes = !hidden.contains(&table.table_id) || is_own(scope.context, &load.query_id);
        let mut row = vec![
            Cell::from(table.name.schema.as_str()),
            Cell::from(format!("{}{}", load.stage, load.path)),
            Cell::from(table.name.name.as_str()),
            Cell::Instant(load.loaded_on),
        ];
        row.extend(load_facts(&found, quotes));
        rows.push(row);
    }
    Ok(rows)
}

fn missing(given: &Given<'_>, name: &str) -> UserError {
    UserError::new(
        Code::InvalidArgument,
        format!("Required argument '{name}' of function {} is missing.", given.function()),
    )
}

/// The table of the argument TABLE_NAME, which the role must hold one of the privileges on, and whether
/// what errors of its loads quote is kept from it.
async fn loaded_table(
    context: &StatementContext,
    given: &Given<'_>,
    privileges: &[Privilege],
) -> Result<(Arc<TableInfo>, bool), UserError> {
    let name = match given.value("TABLE_NAME") {
        Some(FunctionValue::Identifier(name)) => name.clone(),
        Some(FunctionValue::Text(text)) => parse_object_name_text(text)?,
        _ => return Err(missing(given, "TABLE_NAME")),
    };
    let name = context.qualify(&name)?;
    let view = context.shared.catalog.head_view().await?;
    let table = view.table(&name).cloned().ok_or_else(|| UserError::not_found("Object", &name))?;
    let mut requirement =
        Requirement::new(table_object(&table), parents_of(&view, &name), Privilege::Ownership);
    for privilege in privileges {
        requirement = requirement.or(*privilege);
    }
    context.authorize(&[requirement.hidden_as(HiddenError::DoesNotExist)])?;
    let hidden = hides_quotes(context, &view, &table).await?;
    Ok((table, hidden))
}

/// COPY_HISTORY(TABLE_NAME => 'db.schema.table', START_TIME => … [, END_TIME => …]).
pub(super) async fn copy_history(
    context: &StatementContext,
    arguments: &Arguments,
) -> Result<Rows, UserError> {
    let given =
        Given::read(context, "COPY_HISTORY", &["TABLE_NAME", "START_TIME", "END_TIME"], arguments)?;
    let start = given.instant("START_TIME")?.ok_or_else(|| missing(&given, "START_TIME"))?;
    let end = given.instant("END_TIME")?.unwrap_or(i64::MAX);
    let privileges = [Privilege::Select, Privilege::Insert];
    let (table, hidden) = loaded_table(context, &given, &privileges).await?;
    let start = start.max(since(context));
    let columns = [&COPY_FACTS[..], &COPY_TABLE, &COPY_PIPE].concat();
    let mut rows = Rows::new("COPY_HISTORY", &columns);
    for found in context.shared.catalog.loads(Some(table.table_id)).await? {
        if (start..=end).contains(&found.load.loaded_on) {
            let quotes = !hidden || is_own(context, &found.load.query_id);
            rows.push(copy_row(&found, &table, quotes));
        }
    }
    Ok(rows)
}

/// VALIDATE(table, JOB_ID => '_last' or a query id): the rows that a past COPY left out.
pub(super) async fn validate(
    context: &StatementContext,
    arguments: &Arguments,
) -> Result<Rows, UserError> {
    let given = Given::read(context, "VALIDATE", &["TABLE_NAME", "JOB_ID"], arguments)?;
    // Rejected records are the loader's business; from others policies keep them as they keep rows.
    let (table, hidden) = loaded_table(context, &given, &[Privilege::Insert]).await?;
    let job = given.text("JOB_ID")?.ok_or_else(|| missing(&given, "JOB_ID"))?;
    let job = match job.as_str() {
        "_last" => {
            let own = &context.state.query_ids;
            let loads = context.shared.catalog.loads(Some(table.table_id)).await?;
            let last = loads.into_iter().rev().find(|found| own.contains(&found.load.query_id));
            last.map(|found| found.load.query_id).unwrap_or_default()
        }
        id => id.to_string(),
    };
    let mut rows = Rows::new("VALIDATE", &ERROR_COLUMNS);
    let quotes = !hidden || is_own(context, &job);
    for mut error in context.shared.catalog.load_errors(table.table_id, &job).await? {
        if !quotes {
            error.message = REDACTED.to_string();
            error.record = None;
        }
        rows.push(error_cells(error));
    }
    Ok(rows)
}

/// What COPY_HISTORY tells of a load before its table.
pub(crate) const COPY_FACTS: [(&str, SqlType); 13] = [
    ("FILE_NAME", TEXT),
    ("STAGE_LOCATION", TEXT),
    ("LAST_LOAD_TIME", INSTANT),
    ("ROW_COUNT", NUMBER),
    ("ROW_PARSED", NUMBER),
    ("FILE_SIZE", NUMBER),
    ("FIRST_ERROR_MESSAGE", TEXT),
    ("FIRST_ERROR_LINE_NUMBER", NUMBER),
    ("FIRST_ERROR_CHARACTER_POS", NUMBER),
    ("FIRST_ERROR_COLUMN_NAME", TEXT),
    ("ERROR_COUNT", NUMBER),
    ("ERROR_LIMIT", NUMBER),
    ("STATUS", TEXT),
];

/// Its table.
const COPY_TABLE: [(&str, SqlType); 3] =
    [("TABLE_CATALOG_NAME", TEXT), ("TABLE_SCHEMA_NAME", TEXT), ("TABLE_NAME", TEXT)];

/// The pipe that brought it: none, as there are no pipes.
pub(crate) const COPY_PIPE: [(&str, SqlType); 4] = [
    ("PIPE_CATALOG_NAME", TEXT),
    ("PIPE_SCHEMA_NAME", TEXT),
    ("PIPE_NAME", TEXT),
    ("PIPE_RECEIVED_TIME", INSTANT),
];

/// The cells of [`COPY_FACTS`].
pub(crate) fn copy_facts(found: &CommittedLoad, quotes: bool) -> Vec<Cell> {
    let load = &found.load;
    vec![
        Cell::from(load.path.as_str()),
        Cell::from(load.stage.as_str()),
        Cell::Instant(load.loaded_on),
        Cell::from(load.rows_loaded),
        Cell::from(load.rows_parsed),
        Cell::from(load.bytes),
        Cell::from(load.first_error.clone().filter(|_| quotes)),
        Cell::from(load.first_error_line),
        Cell::from(load.first_error_character),
        Cell::from(load.first_error_column.clone()),
        Cell::from(load.error_count),
        Cell::from(load.error_limit),
        Cell::from(status(found)),
    ]
}

fn copy_row(found: &CommittedLoad, table: &TableInfo, quotes: bool) -> Vec<Cell> {
    let QualifiedName { database, schema, name } = &table.name;
    let mut row = copy_facts(found, quotes);
    row.extend([database, schema, name].map(|part| Cell::from(part.as_str())));
    row.extend(COPY_PIPE.map(|_| Cell::Null));
    row
}
