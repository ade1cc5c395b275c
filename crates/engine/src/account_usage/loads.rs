//! COPY_HISTORY and LOAD_HISTORY: what COPY INTO loaded, as long as the catalog knows it.

use std::collections::HashMap;

use frazil_catalog::{CommittedLoad, TableInfo};
use frazil_common::{SqlType, UserError};

use super::gone::Known;
use super::{INSTANT, NUMBER, Source, TEXT, Table};
use crate::information_schema::loads::{hides_quotes, is_own, status};
use crate::statements::outcome::Cell;

/// Hands on every load with its table, and whether its errors' quotes may be told.
async fn each(
    source: &Source<'_>,
    mut take: impl FnMut(&CommittedLoad, &Known<TableInfo>, bool) -> Result<(), UserError>,
) -> Result<(), UserError> {
    let tables = source.known_tables().await?;
    let tables: HashMap<i64, _> =
        tables.into_iter().map(|known| (known.object.table_id, known)).collect();
    let mut hidden: HashMap<i64, bool> = HashMap::new();
    for load in source.context.shared.catalog.loads(None).await? {
        let Some(known) = tables.get(&load.table_id) else { continue };
        let hides = match hidden.get(&load.table_id) {
            Some(hides) => *hides,
            None => {
                let hides = hides_quotes(source.context, &known.view, &known.object).await?;
                hidden.insert(load.table_id, hides);
                hides
            }
        };
        let quotes = !hides || is_own(source.context, &load.load.query_id);
        take(&load, known, quotes)?;
    }
    Ok(())
}

pub(super) async fn copy_history(source: &Source<'_>) -> Result<Table, UserError> {
    let columns: [(&str, SqlType); 23] = [
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
        ("TABLE_ID", NUMBER),
        ("TABLE_NAME", TEXT),
        ("TABLE_SCHEMA_ID", NUMBER),
        ("TABLE_SCHEMA_NAME", TEXT),
        ("TABLE_CATALOG_ID", NUMBER),
        ("TABLE_CATALOG_NAME", TEXT),
        ("PIPE_CATALOG_NAME", TEXT),
        ("PIPE_SCHEMA_NAME", TEXT),
        ("PIPE_NAME", TEXT),
        ("PIPE_RECEIVED_TIME", INSTANT),
    ];
    let mut table = Table::new(source.context, "COPY_HISTORY", &columns);
    each(source, |found, known, quotes| {
        let (load, of) = (&found.load, &known.object);
        let mut row = vec![
            Cell::from(load.path.as_str()),
            Cell::from(load.stage.as_str()),
            Cell::Instant(load.loaded_on),
            Cell::Number(load.rows_loaded),
            Cell::Number(load.rows_parsed),
            Cell::Number(load.bytes),
            Cell::from(load.first_error.clone().filter(|_| quotes)),
            Cell::from(load.first_error_line),
            Cell::from(load.first_error_character),
            Cell::from(load.first_error_column.clone()),
            Cell::Number(load.error_count),
            Cell::Number(load.error_limit),
            Cell::from(status(found)),
        ];
        row.extend(known.place(of.table_id, of.schema_id, &of.name));
        row.extend([Cell::Null, Cell::Null, Cell::Null, Cell::Null]);
        table.push(row)
    })
    .await?;
    Ok(table)
}

pub(super) async fn load_history(source: &Source<'_>) -> Result<Table, UserError> {
    let columns: [(&str, SqlType); 17] = [
        ("TABLE_ID", NUMBER),
        ("TABLE_NAME", TEXT),
        ("SCHEMA_ID", NUMBER),
        ("SCHEMA_NAME", TEXT),
        ("CATALOG_ID", NUMBER),
        ("CATALOG_NAME", TEXT),
        ("FILE_NAME", TEXT),
        ("LAST_LOAD_TIME", INSTANT),
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
    let mut table = Table::new(source.context, "LOAD_HISTORY", &columns);
    each(source, |found, known, quotes| {
        let (load, of) = (&found.load, &known.object);
        let mut row = known.place(of.table_id, of.schema_id, &of.name);
        row.extend([
            Cell::from(format!("{}{}", load.stage, load.path)),
            Cell::Instant(load.loaded_on),
            Cell::from(load.status.as_str()),
            Cell::Number(load.rows_loaded),
            Cell::Number(load.rows_parsed),
            Cell::from(load.first_error.clone().filter(|_| quotes)),
            Cell::from(load.first_error_line),
            Cell::from(load.first_error_character),
            Cell::from(load.first_error_column.clone()),
            Cell::Number(load.error_count),
            Cell::Number(load.error_limit),
        ]);
        table.push(row)
    })
    .await?;
    Ok(table)
}
