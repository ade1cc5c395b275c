//! TABLES, VIEWS and COLUMNS.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_catalog::{Autoincrement, TableInfo, TableKind, TableSize, ViewInfo};
use frazil_common::{Column, ObjectRef, QualifiedName, SqlType, UserError};

use super::{INSTANT, NUMBER, Rows, Scope, TEXT, count, yes_no};
use crate::account_usage::storage::{METRICS, metrics_row};
use crate::resolve::policies::hides_row_count;
use crate::resolve::relation::listed_columns;
use crate::statements::column_types;
use crate::statements::context::Work;
use crate::statements::lookup::{of_table, of_view};
use crate::statements::outcome::Cell;

pub(super) fn visible_tables(scope: &Scope<'_>) -> Vec<Arc<TableInfo>> {
    scope
        .view
        .tables()
        .filter(|table| table.name.database == scope.database.name)
        .filter(|table| of_table(&scope.view, (*table).clone()).is_visible(scope.context))
        .cloned()
        .collect()
}

fn visible_views(scope: &Scope<'_>) -> Vec<Arc<ViewInfo>> {
    scope
        .view
        .views()
        .filter(|view| view.name.database == scope.database.name)
        .filter(|view| of_view(&scope.view, (*view).clone()).is_visible(scope.context))
        .cloned()
        .collect()
}

pub(super) async fn tables(scope: &Scope<'_>, work: &mut Work) -> Result<Rows, UserError> {
    let mut rows = Rows::new(
        "TABLES",
        &[
            ("TABLE_CATALOG", TEXT),
            ("TABLE_SCHEMA", TEXT),
            ("TABLE_NAME", TEXT),
            ("TABLE_OWNER", TEXT),
            ("TABLE_TYPE", TEXT),
            ("IS_TRANSIENT", TEXT),
            ("CLUSTERING_KEY", TEXT),
            ("ROW_COUNT", NUMBER),
            ("BYTES", NUMBER),
            ("RETENTION_TIME", NUMBER),
            ("SELF_REFERENCING_COLUMN_NAME", TEXT),
            ("REFERENCE_GENERATION", TEXT),
            ("USER_DEFINED_TYPE_CATALOG", TEXT),
            ("USER_DEFINED_TYPE_SCHEMA", TEXT),
            ("USER_DEFINED_TYPE_NAME", TEXT),
            ("IS_INSERTABLE_INTO", TEXT),
            ("IS_TYPED", TEXT),
            ("COMMIT_ACTION", TEXT),
            ("CREATED", INSTANT),
            ("LAST_ALTERED", INSTANT),
            ("LAST_DDL", INSTANT),
            ("LAST_DDL_BY", TEXT),
            ("AUTO_CLUSTERING_ON", TEXT),
            ("COMMENT", TEXT),
            ("IS_TEMPORARY", TEXT),
            ("IS_ICEBERG", TEXT),
            ("IS_DYNAMIC", TEXT),
            ("IS_IMMUTABLE", TEXT),
            ("IS_HYBRID", TEXT),
        ],
    );
    let catalog = &scope.context.shared.catalog;
    let mut sizes = catalog.table_sizes(scope.view.snapshot).await?;
    let times: HashMap<i64, i64> = catalog
        .snapshots(-1)
        .await?
        .into_iter()
        .map(|snapshot| (snapshot.snapshot, snapshot.micros))
        .collect();
    let account = scope.context.shared.accounts.view().await?;
    for table in visible_tables(scope) {
        if table.kind == TableKind::Temporary {
            let version = work.lake()?.table_version(&table).await?;
            let size = TableSize { rows: version.row_count(), bytes: version.byte_count() };
            sizes.insert(table.table_id, size);
        }
        let size = sizes.get(&table.table_id).copied().unwrap_or_default();
        let object = of_table(&scope.view, table.clone()).object;
        let told = !hides_row_count(scope.context, &account, &object);
        let measure = |value: u64| if told { count(value) } else { Cell::Null };
        let defined = times.get(&table.defined_at).copied().unwrap_or(table.created_micros);
        let owner = match table.kind {
            TableKind::Temporary => Cell::from(scope.context.role()),
            _ => scope.owner(&object),
        };
        let kind = match table.kind {
            TableKind::Temporary => "LOCAL TEMPORARY",
            TableKind::Permanent | TableKind::Transient => "BASE TABLE",
        };
        rows.push(table_row(
            &table.name,
            owner,
            kind,
            &[
                yes_no(table.kind == TableKind::Transient),
                Cell::from(table.cluster_by.clone()),
                measure(size.rows),
                measure(size.bytes),
                Cell::Number(scope.retention.table(&scope.view, &table).into()),
                yes_no(!table.sort_keys.is_empty() && !table.recluster_suspended),
            ],
            true,
            (table.created_micros, defined),
            table.comment.clone(),
            table.kind == TableKind::Temporary,
        ));
    }
    for view in visible_views(scope) {
        let owner = scope.owner(&of_view(&scope.view, view.clone()).object);
        rows.push(table_row(
            &view.name,
            owner,
            "VIEW",
            &[Cell::Null, Cell::Null, Cell::Null, Cell::Null, Cell::Null, yes_no(false)],
            false,
            (view.created_micros, view.created_micros),
            view.comment.clone(),
            false,
        ));
    }
    Ok(rows)
}

#[allow(clippy::too_many_arguments)]
fn table_row(
    name: &QualifiedName,
    owner: Cell,
    kind: &str,
    storage: &[Cell; 6],
    insertable: bool,
    (created, altered): (i64, i64),
    comment: Option<String>,
    temporary: bool,
) -> Vec<Cell> {
    let mut row = vec![
        Cell::from(name.database.as_str()),
        Cell::from(name.schema.as_str()),
        Cell::from(name.name.as_str()),
        owner,
        Cell::from(kind),
    ];
    let (clustered, storage) = (storage[5].clone(), &storage[..5]);
    row.extend_from_slice(storage);
    row.extend([
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        yes_no(insertable),
        yes_no(insertable),
        Cell::Null,
        Cell::Instant(created),
        Cell::Instant(altered),
        Cell::Instant(altered),
        Cell::Null,
        clustered,
        Cell::from(comment),
        yes_no(temporary),
        yes_no(false),
        yes_no(false),
        yes_no(false),
        yes_no(false),
    ]);
    row
}

/// Of the tables that the role sees, and of dropped ones that it owned.
pub(super) async fn table_storage_metrics(scope: &Scope<'_>) -> Result<Rows, UserError> {
    let mut rows = Rows::new("TABLE_STORAGE_METRICS", &METRICS);
    let catalog = &scope.context.shared.catalog;
    let storage = catalog.table_storage().await?;
    let account = scope.context.shared.accounts.view().await?;
    let of = |table: &TableInfo, object: &ObjectRef| {
        let told = !hides_row_count(scope.context, &account, object);
        told.then(|| storage.get(&table.table_id).copied().unwrap_or_default())
    };
    for table in visible_tables(scope) {
        if table.kind != TableKind::Temporary {
            let object = of_table(&scope.view, table.clone()).object;
            rows.push(metrics_row(&scope.view, &table, None, of(&table, &object)));
        }
    }
    for dropped in catalog.dropped_tables(0, |_| true).await? {
        let (view, table) = (&dropped.view, &dropped.object);
        let target = of_table(view, table.clone());
        let database = view.database(&table.name.database).map(|found| found.database_id);
        if database == Some(scope.database.database_id) && target.is_owned(scope.context) {
            let at = Some(dropped.dropped_micros);
            rows.push(metrics_row(view, table, at, of(table, &target.object)));
        }
    }
    Ok(rows)
}

pub(super) fn views(scope: &Scope<'_>) -> Rows {
    let mut rows = Rows::new(
        "VIEWS",
        &[
            ("TABLE_CATALOG", TEXT),
            ("TABLE_SCHEMA", TEXT),
            ("TABLE_NAME", TEXT),
            ("TABLE_OWNER", TEXT),
            ("VIEW_DEFINITION", TEXT),
            ("CHECK_OPTION", TEXT),
            ("IS_UPDATABLE", TEXT),
            ("INSERTABLE_INTO", TEXT),
            ("IS_SECURE", TEXT),
            ("CREATED", INSTANT),
            ("LAST_ALTERED", INSTANT),
            ("LAST_DDL", INSTANT),
            ("LAST_DDL_BY", TEXT),
            ("COMMENT", TEXT),
        ],
    );
    for view in visible_views(scope) {
        let found = of_view(&scope.view, view.clone());
        let told = !view.secure || found.is_owned(scope.context);
        rows.push(vec![
            Cell::from(view.name.database.as_str()),
            Cell::from(view.name.schema.as_str()),
            Cell::from(view.name.name.as_str()),
            scope.owner(&found.object),
            Cell::from(told.then(|| view.text.clone())),
            Cell::from("NONE"),
            yes_no(false),
            yes_no(false),
            yes_no(view.secure),
            Cell::Instant(view.created_micros),
            Cell::Instant(view.created_micros),
            Cell::Instant(view.created_micros),
            Cell::Null,
            Cell::from(view.comment.clone()),
        ]);
    }
    rows
}

/// Place of DATA_TYPE in COLUMNS.
const DATA_TYPE: usize = 7;

const COLUMNS: [(&str, SqlType); 45] = [
    ("TABLE_CATALOG", TEXT),
    ("TABLE_SCHEMA", TEXT),
    ("TABLE_NAME", TEXT),
    ("COLUMN_NAME", TEXT),
    ("ORDINAL_POSITION", NUMBER),
    ("COLUMN_DEFAULT", TEXT),
    ("IS_NULLABLE", TEXT),
    ("DATA_TYPE", TEXT),
    ("CHARACTER_MAXIMUM_LENGTH", NUMBER),
    ("CHARACTER_OCTET_LENGTH", NUMBER),
    ("NUMERIC_PRECISION", NUMBER),
    ("NUMERIC_PRECISION_RADIX", NUMBER),
    ("NUMERIC_SCALE", NUMBER),
    ("DATETIME_PRECISION", NUMBER),
    ("INTERVAL_TYPE", TEXT),
    ("INTERVAL_PRECISION", NUMBER),
    ("CHARACTER_SET_CATALOG", TEXT),
    ("CHARACTER_SET_SCHEMA", TEXT),
    ("CHARACTER_SET_NAME", TEXT),
    ("COLLATION_CATALOG", TEXT),
    ("COLLATION_SCHEMA", TEXT),
    ("COLLATION_NAME", TEXT),
    ("DOMAIN_CATALOG", TEXT),
    ("DOMAIN_SCHEMA", TEXT),
    ("DOMAIN_NAME", TEXT),
    ("UDT_CATALOG", TEXT),
    ("UDT_SCHEMA", TEXT),
    ("UDT_NAME", TEXT),
    ("SCOPE_CATALOG", TEXT),
    ("SCOPE_SCHEMA", TEXT),
    ("SCOPE_NAME", TEXT),
    ("MAXIMUM_CARDINALITY", NUMBER),
    ("DTD_IDENTIFIER", TEXT),
    ("IS_SELF_REFERENCING", TEXT),
    ("IS_IDENTITY", TEXT),
    ("IDENTITY_GENERATION", TEXT),
    ("IDENTITY_START", TEXT),
    ("IDENTITY_INCREMENT", TEXT),
    ("IDENTITY_MAXIMUM", TEXT),
    ("IDENTITY_MINIMUM", TEXT),
    ("IDENTITY_CYCLE", TEXT),
    ("IDENTITY_ORDERED", TEXT),
    ("SCHEMA_EVOLUTION_RECORD", TEXT),
    ("COMMENT", TEXT),
    ("DATA_TYPE_ALIAS", TEXT),
];

/// CHARACTER_MAXIMUM_LENGTH up to DATETIME_PRECISION.
fn measures(sql_type: &SqlType) -> [Cell; 6] {
    let number = |value: u64| count(value);
    let none = || Cell::Null;
    match sql_type {
        SqlType::Varchar { length } => {
            let octets = number(column_types::octets(*length));
            [number(u64::from(*length)), octets, none(), none(), none(), none()]
        }
        SqlType::Binary { length } => {
            let length = u64::from(*length);
            [number(length), number(length), none(), none(), none(), none()]
        }
        SqlType::Number { precision, scale } => [
            none(),
            none(),
            number(u64::from(*precision)),
            number(10),
            number(u64::from(*scale)),
            none(),
        ],
        SqlType::Time { scale, .. } | SqlType::Timestamp { scale, .. } => {
            [none(), none(), none(), none(), none(), number(u64::from(*scale))]
        }
        _ => [none(), none(), none(), none(), none(), none()],
    }
}

fn column_row(
    table: &QualifiedName,
    place: usize,
    column: &Column,
    default: Option<String>,
    counter: Option<Autoincrement>,
    comment: Option<String>,
) -> Vec<Cell> {
    let mut row = vec![
        Cell::from(table.database.as_str()),
        Cell::from(table.schema.as_str()),
        Cell::from(table.name.as_str()),
        Cell::from(column.name.as_str()),
        count(place as u64 + 1),
        Cell::from(default),
        yes_no(column.nullable),
        Cell::from(column_types::name(&column.sql_type)),
    ];
    row.extend(measures(&column.sql_type));
    // INTERVAL_TYPE up to DTD_IDENTIFIER.
    row.extend(std::iter::repeat_n(Cell::Null, 19));
    row.push(yes_no(false));
    row.push(yes_no(counter.is_some()));
    match counter {
        Some(counter) => row.extend([
            Cell::from("BY DEFAULT"),
            Cell::from(counter.start.to_string()),
            Cell::from(counter.step.to_string()),
            Cell::Null,
            Cell::Null,
            yes_no(false),
            yes_no(false),
        ]),
        None => row.extend(std::iter::repeat_n(Cell::Null, 7)),
    }
    row.push(Cell::Null);
    row.push(Cell::from(comment));
    row.push(Cell::from(column.sql_type.to_string()));
    row
}

pub(super) async fn columns(scope: &Scope<'_>, work: &mut Work) -> Result<Rows, UserError> {
    let mut rows = Rows::new("COLUMNS", &COLUMNS);
    for table in visible_tables(scope) {
        for (place, column) in table.columns.iter().enumerate() {
            let mut row = column_row(
                &table.name,
                place,
                &column.to_column(),
                column.default.clone(),
                column.autoincrement,
                column.comment.clone(),
            );
            if !column.readable {
                row[DATA_TYPE] = Cell::from(column.shown_type());
                if let Some(alias) = row.last_mut() {
                    *alias = Cell::from(column.shown_type());
                }
            }
            rows.push(row);
        }
    }
    for view in visible_views(scope) {
        let columns = listed_columns(scope.context, work, &view).await?;
        for (place, column) in columns.iter().enumerate() {
            let comment = view.column_comments.get(place).cloned().flatten();
            rows.push(column_row(&view.name, place, column, None, None, comment));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_fills_every_place() {
        let name = QualifiedName::new("D", "S", "T");
        let column = Column::new("C", SqlType::Varchar { length: 8 }, false);
        let row = column_row(&name, 0, &column, None, None, None);
        assert_eq!(row.len(), COLUMNS.len());
        assert_eq!(row[4], Cell::Number(1));
        assert_eq!(row[8], Cell::Number(8));
        let counter = Autoincrement { sequence_id: 1, start: 5, step: 2 };
        let row = column_row(&name, 1, &column, None, Some(counter), None);
        assert_eq!(row.len(), COLUMNS.len());
        assert_eq!(row[36], Cell::from("5"));
    }
}
