//! COPY_HISTORY and LOAD_HISTORY: what COPY INTO loaded, as long as the catalog knows it.

use std::collections::HashMap;

use frazil_catalog::{CommittedLoad, TableInfo};
use frazil_common::UserError;

use super::gone::Known;
use super::{INSTANT, NUMBER, Source, TEXT, Table};
use crate::information_schema::loads::{
    COPY_FACTS, COPY_PIPE, LOAD_FACTS, copy_facts, hides_quotes, is_own, load_facts,
};
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
    let of_table = [
        ("TABLE_ID", NUMBER),
        ("TABLE_NAME", TEXT),
        ("TABLE_SCHEMA_ID", NUMBER),
        ("TABLE_SCHEMA_NAME", TEXT),
        ("TABLE_CATALOG_ID", NUMBER),
        ("TABLE_CATALOG_NAME", TEXT),
    ];
    let columns = [&COPY_FACTS[..], &of_table, &COPY_PIPE].concat();
    let mut table = Table::new(source.context, "COPY_HISTORY", &columns);
    each(source, |found, known, quotes| {
        let of = &known.object;
        let mut row = copy_facts(found, quotes);
        row.extend(known.place(of.table_id, of.schema_id, &of.name));
        row.extend(COPY_PIPE.map(|_| Cell::Null));
        table.push(row)
    })
    .await?;
    Ok(table)
}

pub(super) async fn load_history(source: &Source<'_>) -> Result<Table, UserError> {
    let place = [
        ("TABLE_ID", NUMBER),
        ("TABLE_NAME", TEXT),
        ("SCHEMA_ID", NUMBER),
        ("SCHEMA_NAME", TEXT),
        ("CATALOG_ID", NUMBER),
        ("CATALOG_NAME", TEXT),
        ("FILE_NAME", TEXT),
        ("LAST_LOAD_TIME", INSTANT),
    ];
    let columns = [&place[..], &LOAD_FACTS].concat();
    let mut table = Table::new(source.context, "LOAD_HISTORY", &columns);
    each(source, |found, known, quotes| {
        let (load, of) = (&found.load, &known.object);
        let mut row = known.place(of.table_id, of.schema_id, &of.name);
        row.push(Cell::from(format!("{}{}", load.stage, load.path)));
        row.push(Cell::Instant(load.loaded_on));
        row.extend(load_facts(found, quotes));
        table.push(row)
    })
    .await?;
    Ok(table)
}
