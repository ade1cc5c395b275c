//! Bytes of tables, databases and stages.

use std::collections::BTreeMap;

use frazil_catalog::account::{StorageDay, day_of, now_micros};
use frazil_catalog::{CatalogView, TableInfo, TableKind, TableStorage};
use frazil_common::{SqlType, UserError};

use super::{INSTANT, NUMBER, Source, TEXT, Table};
use crate::resolve::objects::table_object;
use crate::resolve::policies::hides_row_count;
use crate::statements::outcome::Cell;
use crate::storage_usage;

const BYTES: SqlType = SqlType::Number { precision: 38, scale: 6 };

/// The columns of TABLE_STORAGE_METRICS.
pub(crate) const METRICS: [(&str, SqlType); 21] = [
    ("ID", NUMBER),
    ("TABLE_NAME", TEXT),
    ("TABLE_SCHEMA_ID", NUMBER),
    ("TABLE_SCHEMA", TEXT),
    ("TABLE_CATALOG_ID", NUMBER),
    ("TABLE_CATALOG", TEXT),
    ("CLONE_GROUP_ID", NUMBER),
    ("IS_TRANSIENT", TEXT),
    ("ACTIVE_BYTES", NUMBER),
    ("TIME_TRAVEL_BYTES", NUMBER),
    ("FAILSAFE_BYTES", NUMBER),
    ("RETAINED_FOR_CLONE_BYTES", NUMBER),
    ("DELETED", SqlType::Boolean),
    ("TABLE_CREATED", INSTANT),
    ("TABLE_DROPPED", INSTANT),
    ("TABLE_ENTERED_FAILSAFE", INSTANT),
    ("SCHEMA_CREATED", INSTANT),
    ("SCHEMA_DROPPED", INSTANT),
    ("CATALOG_CREATED", INSTANT),
    ("CATALOG_DROPPED", INSTANT),
    ("COMMENT", TEXT),
];

/// A table's row in TABLE_STORAGE_METRICS; `view` is the catalog when the table was there last,
/// `dropped` the time of its drop, `storage` none where the role may not know.
pub(crate) fn metrics_row(
    view: &CatalogView,
    table: &TableInfo,
    dropped: Option<i64>,
    storage: Option<TableStorage>,
) -> Vec<Cell> {
    let database = view.database(&table.name.database);
    let schema = view.schema(&table.name.database, &table.name.schema);
    let instant = |at: Option<i64>| at.map_or(Cell::Null, Cell::Instant);
    let bytes = |of: fn(TableStorage) -> u64| match storage {
        Some(storage) => Cell::Number(i64::try_from(of(storage)).unwrap_or(i64::MAX)),
        None => Cell::Null,
    };
    vec![
        Cell::Number(table.table_id),
        Cell::from(table.name.name.as_str()),
        Cell::Number(table.schema_id),
        Cell::from(table.name.schema.as_str()),
        Cell::from(database.map(|found| found.database_id)),
        Cell::from(table.name.database.as_str()),
        Cell::Null,
        Cell::from(if table.kind == TableKind::Transient { "YES" } else { "NO" }),
        bytes(|storage| storage.active),
        bytes(|storage| storage.time_travel),
        Cell::Number(0),
        bytes(|storage| storage.retained_for_clones),
        Cell::from(dropped.is_some()),
        Cell::Instant(table.created_micros),
        instant(dropped),
        Cell::Null,
        instant(schema.map(|found| found.created_micros)),
        Cell::Null,
        instant(database.map(|found| found.created_micros)),
        Cell::Null,
        Cell::from(table.comment.clone()),
    ]
}

pub(super) async fn table_storage_metrics(source: &Source<'_>) -> Result<Table, UserError> {
    let mut rows = Table::new(source.context, "TABLE_STORAGE_METRICS", &METRICS);
    let shared = &source.context.shared;
    let storage = shared.catalog.table_storage().await?;
    let account = shared.accounts.view().await?;
    let of = |table: &TableInfo| {
        let told = !hides_row_count(source.context, &account, &table_object(table));
        told.then(|| storage.get(&table.table_id).copied().unwrap_or_default())
    };
    for table in source.view.tables() {
        if table.kind != TableKind::Temporary {
            rows.push(metrics_row(&source.view, table, None, of(table)))?;
        }
    }
    for dropped in shared.catalog.dropped_tables(0, |_| true).await? {
        let at = Some(dropped.dropped_micros);
        rows.push(metrics_row(&dropped.view, &dropped.object, at, of(&dropped.object)))?;
    }
    Ok(rows)
}

/// The averages of each day; today's are there from the first look on.
async fn days(source: &Source<'_>) -> Result<Vec<StorageDay>, UserError> {
    let shared = &source.context.shared;
    let days = shared.accounts.storage_days().await?;
    let today = day_of(now_micros());
    if days.last().is_some_and(|last| last.day == today) {
        return Ok(days);
    }
    storage_usage::sample(&shared.lake, &shared.accounts).await?;
    Ok(shared.accounts.storage_days().await?)
}

fn date(day: i64) -> Result<Cell, UserError> {
    Ok(Cell::Date(i32::try_from(day).map_err(UserError::internal)?))
}

fn bytes(value: f64) -> Cell {
    Cell::Decimal((value * 1e6).round() as i128)
}

pub(super) async fn storage_usage(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("USAGE_DATE", SqlType::Date),
        ("STORAGE_BYTES", BYTES),
        ("STAGE_BYTES", BYTES),
        ("FAILSAFE_BYTES", BYTES),
    ];
    let mut rows = Table::new(source.context, "STORAGE_USAGE", &columns);
    let mut totals: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for day in days(source).await? {
        let (tables, stages) = totals.entry(day.day).or_default();
        *(if day.database.is_some() { tables } else { stages }) += day.average_bytes;
    }
    for (day, (tables, stages)) in totals {
        rows.push(vec![date(day)?, bytes(tables), bytes(stages), bytes(0.0)])?;
    }
    Ok(rows)
}

pub(super) async fn database_storage_usage_history(
    source: &Source<'_>,
) -> Result<Table, UserError> {
    let columns = [
        ("USAGE_DATE", SqlType::Date),
        ("DATABASE_ID", NUMBER),
        ("DATABASE_NAME", TEXT),
        ("AVERAGE_DATABASE_BYTES", BYTES),
        ("AVERAGE_FAILSAFE_BYTES", BYTES),
    ];
    let mut rows = Table::new(source.context, "DATABASE_STORAGE_USAGE_HISTORY", &columns);
    for day in days(source).await? {
        let Some((id, name)) = day.database else { continue };
        rows.push(vec![
            date(day.day)?,
            Cell::Number(id),
            Cell::from(name),
            bytes(day.average_bytes),
            bytes(0.0),
        ])?;
    }
    Ok(rows)
}

pub(super) async fn stage_storage_usage_history(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [("USAGE_DATE", SqlType::Date), ("AVERAGE_STAGE_BYTES", BYTES)];
    let mut rows = Table::new(source.context, "STAGE_STORAGE_USAGE_HISTORY", &columns);
    for day in days(source).await?.into_iter().filter(|day| day.database.is_none()) {
        rows.push(vec![date(day.day)?, bytes(day.average_bytes)])?;
    }
    Ok(rows)
}
