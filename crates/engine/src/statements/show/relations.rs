//! SHOW TABLES, VIEWS, OBJECTS and COLUMNS.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_catalog::{CatalogView, TableInfo, TableKind, TableSize, ViewInfo};
use frazil_common::{QualifiedName, UserError};

use super::{Area, INSTANT, Lister, Listing, TEXT, TerseKind};
use crate::account_usage;
use crate::resolve::objects::table_object;
use crate::resolve::policies::hides_row_count;
use crate::resolve::relation::listed_columns;
use crate::statements::column_types::{data_type_json, foreign_type_json};
use crate::statements::context::Work;
use crate::statements::lookup::{of_table, of_view};
use crate::statements::outcome::{COUNT, Cell};
use crate::statements::retention::{longest_reach, reaches_back};

/// Sizes of the tables shown: committed ones from the catalog, temporary ones from the session. Of
/// tables whose rows are counted for nobody like the role there is none.
async fn sizes(
    lister: &Lister<'_>,
    work: &mut Work,
    tables: &[Arc<TableInfo>],
) -> Result<HashMap<i64, TableSize>, UserError> {
    let mut sizes = lister.context.shared.catalog.table_sizes(lister.view.snapshot).await?;
    for table in tables.iter().filter(|table| table.kind == TableKind::Temporary) {
        let version = work.lake()?.table_version(table).await?;
        let size = TableSize { rows: version.row_count(), bytes: version.byte_count() };
        sizes.insert(table.table_id, size);
    }
    let account = lister.context.shared.accounts.view().await?;
    for table in tables {
        if hides_row_count(lister.context, &account, &table_object(table)) {
            sizes.remove(&table.table_id);
        } else {
            sizes.entry(table.table_id).or_default();
        }
    }
    Ok(sizes)
}

pub(super) fn visible_tables(lister: &Lister<'_>, area: &Area) -> Vec<Arc<TableInfo>> {
    lister
        .view
        .tables()
        .filter(|table| area.holds(&table.name))
        .filter(|table| of_table(&lister.view, (*table).clone()).is_visible(lister.context))
        .cloned()
        .collect()
}

fn visible_views(lister: &Lister<'_>, area: &Area) -> Vec<Arc<ViewInfo>> {
    lister
        .view
        .views()
        .filter(|view| area.holds(&view.name))
        .filter(|view| of_view(&lister.view, (*view).clone()).is_visible(lister.context))
        .cloned()
        .collect()
}

fn count(value: u64) -> Cell {
    Cell::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

/// The owner's cell; temporary tables have none on record.
fn table_owner(lister: &Lister<'_>, table: &Arc<TableInfo>) -> Cell {
    match table.kind {
        TableKind::Temporary => Cell::from(lister.context.role()),
        _ => lister.owner(&of_table(&lister.view, table.clone()).object),
    }
}

pub(super) async fn tables(lister: &Lister<'_>, work: &mut Work) -> Result<Listing, UserError> {
    let mut columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("kind", TEXT),
        ("comment", TEXT),
        ("cluster_by", TEXT),
        ("rows", COUNT),
        ("bytes", COUNT),
        ("owner", TEXT),
        ("retention_time", TEXT),
        ("automatic_clustering", TEXT),
        ("change_tracking", TEXT),
        ("search_optimization", TEXT),
        ("search_optimization_progress", TEXT),
        ("search_optimization_bytes", COUNT),
        ("is_external", TEXT),
        ("enable_schema_evolution", TEXT),
        ("owner_role_type", TEXT),
        ("is_event", TEXT),
        ("budget", TEXT),
        ("is_hybrid", TEXT),
        ("is_iceberg", TEXT),
        ("is_dynamic", TEXT),
        ("is_immutable", TEXT),
    ];
    lister.with_history(&mut columns);
    let mut listing = Listing::new(columns, "name").terse(TerseKind::Column);
    let area = lister.area().await?;
    let tables = visible_tables(lister, &area);
    let sizes = sizes(lister, work, &tables).await?;
    for table in &tables {
        let size = sizes.get(&table.table_id).copied();
        listing.rows.push(table_row(lister, &lister.view, table, size, None));
    }
    if lister.show.history {
        let now = lister.context.facts.now_micros;
        let catalog = &lister.context.shared.catalog;
        let account = lister.context.shared.accounts.view().await?;
        let mut shown = Vec::new();
        for gone in catalog.dropped_tables(longest_reach(now), |_| true).await? {
            let table = &gone.object;
            let days = lister.retention.table(&gone.view, table);
            // Its database and schema may have other names by now.
            let database = gone.view.database(&table.name.database);
            let database = database.and_then(|then| lister.view.database_by_id(then.database_id));
            let database = database.map_or(&table.name.database, |now| &now.name);
            let mut schemas = lister.view.schemas();
            let schema = schemas.find(|schema| schema.schema_id == table.schema_id);
            let schema = schema.map_or(&table.name.schema, |now| &now.name);
            let name = QualifiedName::new(database, schema, &table.name.name);
            if gone.dropped_micros < reaches_back(now, days)
                || !area.holds(&name)
                || !of_table(&gone.view, table.clone()).is_visible(lister.context)
            {
                continue;
            }
            shown.push(gone);
        }
        let asked: Vec<_> =
            shown.iter().map(|gone| (gone.object.table_id, gone.view.snapshot)).collect();
        let sizes = catalog.sizes_at(&asked).await?;
        for (gone, size) in shown.iter().zip(sizes) {
            let told = !hides_row_count(lister.context, &account, &table_object(&gone.object));
            let dropped = Some(gone.dropped_micros);
            let size = told.then_some(size);
            listing.rows.push(table_row(lister, &gone.view, &gone.object, size, dropped));
        }
    }
    Ok(listing)
}

fn table_row(
    lister: &Lister<'_>,
    view: &CatalogView,
    table: &Arc<TableInfo>,
    size: Option<TableSize>,
    dropped: Option<i64>,
) -> Vec<Cell> {
    let mut row = vec![
        Cell::Instant(table.created_micros),
        Cell::from(table.name.name.as_str()),
        Cell::from(table.name.database.as_str()),
        Cell::from(table.name.schema.as_str()),
        Cell::from(table.kind.as_str()),
        Cell::from(table.comment.clone().unwrap_or_default()),
        Cell::from(table.cluster_by.clone().unwrap_or_default()),
        size.map_or(Cell::Null, |size| count(size.rows)),
        size.map_or(Cell::Null, |size| count(size.bytes)),
        table_owner(lister, table),
    ];
    row.extend(lister.lifetime(lister.retention.table(view, table), dropped));
    let clusters = !table.sort_keys.is_empty() && !table.recluster_suspended;
    row.extend([
        Cell::from(if clusters { "ON" } else { "OFF" }),
        Cell::from(if table.change_tracking.is_some() { "ON" } else { "OFF" }),
        Cell::from("OFF"),
        Cell::Null,
        Cell::Null,
        Cell::from("N"),
        Cell::from("N"),
        Cell::from("ROLE"),
        Cell::from("N"),
        Cell::Null,
        Cell::from("N"),
        Cell::from("N"),
        Cell::from("N"),
        Cell::from("N"),
    ]);
    row
}

pub(super) async fn views(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("reserved", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("text", TEXT),
        ("is_secure", TEXT),
        ("is_materialized", TEXT),
        ("owner_role_type", TEXT),
        ("change_tracking", TEXT),
    ];
    let mut listing = Listing::new(columns, "name").terse(TerseKind::Constant("VIEW"));
    let area = lister.area().await?;
    for view in visible_views(lister, &area) {
        let found = of_view(&lister.view, view.clone());
        let told = !view.secure || found.is_owned(lister.context);
        listing.rows.push(vec![
            Cell::Instant(view.created_micros),
            Cell::from(view.name.name.as_str()),
            Cell::from(""),
            Cell::from(view.name.database.as_str()),
            Cell::from(view.name.schema.as_str()),
            lister.owner(&found.object),
            Cell::from(view.comment.clone().unwrap_or_default()),
            Cell::from(if told { view.text.as_str() } else { "" }),
            Cell::from(if view.secure { "true" } else { "false" }),
            Cell::from("false"),
            Cell::from("ROLE"),
            Cell::from("OFF"),
        ]);
    }
    if lister.holds_account_usage(&area) {
        listing.rows.extend(account_usage::names().map(|name| {
            vec![
                Cell::Null,
                Cell::from(name),
                Cell::from(""),
                Cell::from(account_usage::DATABASE),
                Cell::from(account_usage::SCHEMA),
                Cell::from(""),
                Cell::from(""),
                Cell::from(""),
                Cell::from("true"),
                Cell::from("false"),
                Cell::from(""),
                Cell::from("OFF"),
            ]
        }));
    }
    Ok(listing)
}

pub(super) async fn objects(lister: &Lister<'_>, work: &mut Work) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("kind", TEXT),
        ("comment", TEXT),
        ("cluster_by", TEXT),
        ("rows", COUNT),
        ("bytes", COUNT),
        ("owner", TEXT),
        ("retention_time", TEXT),
        ("owner_role_type", TEXT),
        ("budget", TEXT),
        ("is_hybrid", TEXT),
        ("is_dynamic", TEXT),
        ("is_iceberg", TEXT),
    ];
    let mut listing = Listing::new(columns, "name").terse(TerseKind::Column);
    let area = lister.area().await?;
    let tables = visible_tables(lister, &area);
    let sizes = sizes(lister, work, &tables).await?;
    let mut rows = Vec::new();
    for table in &tables {
        let size = sizes.get(&table.table_id).copied();
        rows.push((
            table.name.clone(),
            vec![
                Cell::Instant(table.created_micros),
                Cell::from(table.name.name.as_str()),
                Cell::from(table.name.database.as_str()),
                Cell::from(table.name.schema.as_str()),
                Cell::from(table.kind.as_str()),
                Cell::from(table.comment.clone().unwrap_or_default()),
                Cell::from(table.cluster_by.clone().unwrap_or_default()),
                size.map_or(Cell::Null, |size| count(size.rows)),
                size.map_or(Cell::Null, |size| count(size.bytes)),
                table_owner(lister, table),
                Cell::from(lister.retention.table(&lister.view, table).to_string()),
                Cell::from("ROLE"),
                Cell::Null,
                Cell::from("N"),
                Cell::from("N"),
                Cell::from("N"),
            ],
        ));
    }
    for view in visible_views(lister, &area) {
        rows.push((
            view.name.clone(),
            vec![
                Cell::Instant(view.created_micros),
                Cell::from(view.name.name.as_str()),
                Cell::from(view.name.database.as_str()),
                Cell::from(view.name.schema.as_str()),
                Cell::from("VIEW"),
                Cell::from(view.comment.clone().unwrap_or_default()),
                Cell::from(""),
                Cell::Null,
                Cell::Null,
                lister.owner(&of_view(&lister.view, view.clone()).object),
                // A view keeps no data.
                Cell::from(""),
                Cell::from("ROLE"),
                Cell::Null,
                Cell::from("N"),
                Cell::from("N"),
                Cell::from("N"),
            ],
        ));
    }
    rows.sort_by(|left, right| left.0.cmp(&right.0));
    listing.rows = rows.into_iter().map(|(_, row)| row).collect();
    Ok(listing)
}

pub(super) async fn columns(lister: &Lister<'_>, work: &mut Work) -> Result<Listing, UserError> {
    let columns = vec![
        ("table_name", TEXT),
        ("schema_name", TEXT),
        ("column_name", TEXT),
        ("data_type", TEXT),
        ("null?", TEXT),
        ("default", TEXT),
        ("kind", TEXT),
        ("expression", TEXT),
        ("comment", TEXT),
        ("database_name", TEXT),
        ("autoincrement", TEXT),
        ("schema_evolution_record", TEXT),
    ];
    let mut listing = Listing::new(columns, "column_name");
    let area = lister.area().await?;
    let null = |nullable: bool| Cell::from(if nullable { "true" } else { "NOT_NULL" });
    for table in visible_tables(lister, &area) {
        for column in &table.columns {
            let autoincrement = column.autoincrement.map(|counter| {
                format!("IDENTITY START {} INCREMENT {} NOORDER", counter.start, counter.step)
            });
            listing.rows.push(vec![
                Cell::from(table.name.name.as_str()),
                Cell::from(table.name.schema.as_str()),
                Cell::from(column.name.as_str()),
                Cell::from(match column.readable {
                    true => data_type_json(&column.sql_type, column.nullable),
                    false => foreign_type_json(&column.shown_type(), column.nullable),
                }),
                null(column.nullable),
                Cell::from(column.default.clone().unwrap_or_default()),
                Cell::from("COLUMN"),
                Cell::from(""),
                Cell::from(column.comment.clone().unwrap_or_default()),
                Cell::from(table.name.database.as_str()),
                Cell::from(autoincrement.unwrap_or_default()),
                Cell::Null,
            ]);
        }
    }
    for view in visible_views(lister, &area) {
        let columns = listed_columns(lister.context, work, &view).await?;
        for (index, column) in columns.iter().enumerate() {
            let comment = view.column_comments.get(index).cloned().flatten();
            listing.rows.push(vec![
                Cell::from(view.name.name.as_str()),
                Cell::from(view.name.schema.as_str()),
                Cell::from(column.name.as_str()),
                Cell::from(data_type_json(&column.sql_type, column.nullable)),
                null(column.nullable),
                Cell::from(""),
                Cell::from("COLUMN"),
                Cell::from(""),
                Cell::from(comment.unwrap_or_default()),
                Cell::from(view.name.database.as_str()),
                Cell::from(""),
                Cell::Null,
            ]);
        }
    }
    Ok(listing)
}
