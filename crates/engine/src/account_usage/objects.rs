//! Databases, schemas, tables, views and columns of the whole account.

use std::collections::HashMap;

use frazil_catalog::TableKind;
use frazil_common::{Column, ObjectKind, QualifiedName, SqlType, UserError};

use super::{INSTANT, NUMBER, Source, TEXT, Table};
use crate::resolve::objects::table_object;
use crate::resolve::policies::hides_row_count;
use crate::statements::column_types;
use crate::statements::outcome::Cell;
use crate::statements::retention::Retention;

fn yes_no(value: bool) -> Cell {
    Cell::from(if value { "YES" } else { "NO" })
}

fn count(value: u64) -> Cell {
    Cell::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

impl Source<'_> {
    fn database_id(&self, name: &str) -> Cell {
        Cell::from(self.view.database(name).map(|database| database.database_id))
    }

    async fn owners(&self) -> Result<HashMap<(ObjectKind, i64), String>, UserError> {
        Ok(self.context.shared.accounts.view().await?.owners.clone())
    }
}

pub(super) async fn databases(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("DATABASE_ID", NUMBER),
        ("DATABASE_NAME", TEXT),
        ("DATABASE_OWNER", TEXT),
        ("IS_TRANSIENT", TEXT),
        ("COMMENT", TEXT),
        ("CREATED", INSTANT),
        ("RETENTION_TIME", NUMBER),
    ];
    let mut table = Table::new(source.context, "DATABASES", &columns);
    let owners = source.owners().await?;
    let retention = Retention::load(source.context).await?;
    for database in source.view.databases() {
        table.push(vec![
            Cell::Number(database.database_id),
            Cell::from(database.name.as_str()),
            Cell::from(owners.get(&(ObjectKind::Database, database.database_id)).cloned()),
            yes_no(database.transient),
            Cell::from(database.comment.clone()),
            Cell::Instant(database.created_micros),
            Cell::Number(retention.database(database).into()),
        ])?;
    }
    Ok(table)
}

pub(super) async fn schemata(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("SCHEMA_ID", NUMBER),
        ("SCHEMA_NAME", TEXT),
        ("CATALOG_ID", NUMBER),
        ("CATALOG_NAME", TEXT),
        ("SCHEMA_OWNER", TEXT),
        ("IS_TRANSIENT", TEXT),
        ("COMMENT", TEXT),
        ("CREATED", INSTANT),
    ];
    let mut table = Table::new(source.context, "SCHEMATA", &columns);
    let owners = source.owners().await?;
    for schema in source.view.schemas() {
        table.push(vec![
            Cell::Number(schema.schema_id),
            Cell::from(schema.name.as_str()),
            source.database_id(&schema.database),
            Cell::from(schema.database.as_str()),
            Cell::from(owners.get(&(ObjectKind::Schema, schema.schema_id)).cloned()),
            yes_no(schema.transient),
            Cell::from(schema.comment.clone()),
            Cell::Instant(schema.created_micros),
        ])?;
    }
    Ok(table)
}

/// The names and ids with which rows of relations and their columns begin.
fn place(source: &Source<'_>, id: i64, schema_id: i64, name: &QualifiedName) -> Vec<Cell> {
    vec![
        Cell::Number(id),
        Cell::from(name.name.as_str()),
        Cell::Number(schema_id),
        Cell::from(name.schema.as_str()),
        source.database_id(&name.database),
        Cell::from(name.database.as_str()),
    ]
}

pub(super) async fn tables(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("TABLE_ID", NUMBER),
        ("TABLE_NAME", TEXT),
        ("TABLE_SCHEMA_ID", NUMBER),
        ("TABLE_SCHEMA", TEXT),
        ("TABLE_CATALOG_ID", NUMBER),
        ("TABLE_CATALOG", TEXT),
        ("TABLE_OWNER", TEXT),
        ("TABLE_TYPE", TEXT),
        ("IS_TRANSIENT", TEXT),
        ("CLUSTERING_KEY", TEXT),
        ("ROW_COUNT", NUMBER),
        ("BYTES", NUMBER),
        ("RETENTION_TIME", NUMBER),
        ("CREATED", INSTANT),
        ("COMMENT", TEXT),
    ];
    let mut table = Table::new(source.context, "TABLES", &columns);
    let owners = source.owners().await?;
    let retention = Retention::load(source.context).await?;
    let sizes = source.context.shared.catalog.table_sizes(source.view.snapshot).await?;
    let account = source.context.shared.accounts.view().await?;
    for found in source.view.tables() {
        if found.kind == TableKind::Temporary {
            continue;
        }
        let size = sizes.get(&found.table_id).copied().unwrap_or_default();
        let told = !hides_row_count(source.context, &account, &table_object(found));
        let mut row = place(source, found.table_id, found.schema_id, &found.name);
        row.extend([
            Cell::from(owners.get(&(ObjectKind::Table, found.table_id)).cloned()),
            Cell::from("BASE TABLE"),
            yes_no(found.kind == TableKind::Transient),
            Cell::from(found.cluster_by.clone()),
            if told { count(size.rows) } else { Cell::Null },
            if told { count(size.bytes) } else { Cell::Null },
            Cell::Number(retention.table(&source.view, found).into()),
            Cell::Instant(found.created_micros),
            Cell::from(found.comment.clone()),
        ]);
        table.push(row)?;
    }
    for found in source.view.views() {
        let mut row = place(source, found.view_id, found.schema_id, &found.name);
        row.extend([
            Cell::from(owners.get(&(ObjectKind::View, found.view_id)).cloned()),
            Cell::from("VIEW"),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Instant(found.created_micros),
            Cell::from(found.comment.clone()),
        ]);
        table.push(row)?;
    }
    Ok(table)
}

pub(super) async fn views(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("TABLE_ID", NUMBER),
        ("TABLE_NAME", TEXT),
        ("TABLE_SCHEMA_ID", NUMBER),
        ("TABLE_SCHEMA", TEXT),
        ("TABLE_CATALOG_ID", NUMBER),
        ("TABLE_CATALOG", TEXT),
        ("TABLE_OWNER", TEXT),
        ("VIEW_DEFINITION", TEXT),
        ("IS_SECURE", TEXT),
        ("CREATED", INSTANT),
        ("COMMENT", TEXT),
    ];
    let mut table = Table::new(source.context, "VIEWS", &columns);
    let owners = source.owners().await?;
    for found in source.view.views() {
        // The text of a secure view is its owner's.
        let text = (!found.secure).then(|| found.text.clone());
        let mut row = place(source, found.view_id, found.schema_id, &found.name);
        row.extend([
            Cell::from(owners.get(&(ObjectKind::View, found.view_id)).cloned()),
            Cell::from(text),
            yes_no(found.secure),
            Cell::Instant(found.created_micros),
            Cell::from(found.comment.clone()),
        ]);
        table.push(row)?;
    }
    Ok(table)
}

/// CHARACTER_MAXIMUM_LENGTH up to DATETIME_PRECISION.
fn measures(sql_type: &SqlType) -> [Cell; 5] {
    let number = |value: u64| count(value);
    let mut cells = [Cell::Null, Cell::Null, Cell::Null, Cell::Null, Cell::Null];
    match sql_type {
        SqlType::Varchar { length } => {
            cells[0] = number(u64::from(*length));
            cells[1] = number(column_types::octets(*length));
        }
        SqlType::Binary { length } => {
            cells[0] = number(u64::from(*length));
            cells[1] = number(u64::from(*length));
        }
        SqlType::Number { precision, scale } => {
            cells[2] = number(u64::from(*precision));
            cells[3] = Cell::Number(i64::from(*scale));
        }
        SqlType::Time { scale, .. } | SqlType::Timestamp { scale, .. } => {
            cells[4] = Cell::Number(i64::from(*scale));
        }
        _ => {}
    }
    cells
}

pub(super) async fn columns(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("TABLE_ID", NUMBER),
        ("TABLE_NAME", TEXT),
        ("TABLE_SCHEMA_ID", NUMBER),
        ("TABLE_SCHEMA", TEXT),
        ("TABLE_CATALOG_ID", NUMBER),
        ("TABLE_CATALOG", TEXT),
        ("COLUMN_NAME", TEXT),
        ("ORDINAL_POSITION", NUMBER),
        ("COLUMN_DEFAULT", TEXT),
        ("IS_NULLABLE", TEXT),
        ("DATA_TYPE", TEXT),
        ("CHARACTER_MAXIMUM_LENGTH", NUMBER),
        ("CHARACTER_OCTET_LENGTH", NUMBER),
        ("NUMERIC_PRECISION", NUMBER),
        ("NUMERIC_SCALE", NUMBER),
        ("DATETIME_PRECISION", NUMBER),
        ("COMMENT", TEXT),
    ];
    let mut table = Table::new(source.context, "COLUMNS", &columns);
    let row = |start: Vec<Cell>,
               at: usize,
               column: &Column,
               default: Option<String>,
               comment: Option<String>| {
        let mut row = start;
        row.extend([
            Cell::from(column.name.as_str()),
            count(at as u64 + 1),
            Cell::from(default),
            yes_no(column.nullable),
            Cell::from(column_types::name(&column.sql_type)),
        ]);
        row.extend(measures(&column.sql_type));
        row.push(Cell::from(comment));
        row
    };
    for found in source.view.tables() {
        if found.kind == TableKind::Temporary {
            continue;
        }
        for (at, column) in found.columns.iter().enumerate() {
            let start = place(source, found.table_id, found.schema_id, &found.name);
            let (default, comment) = (column.default.clone(), column.comment.clone());
            table.push(row(start, at, &column.to_column(), default, comment))?;
        }
    }
    for found in source.view.views() {
        for (at, column) in found.columns.iter().enumerate() {
            let start = place(source, found.view_id, found.schema_id, &found.name);
            let comment = found.column_comments.get(at).cloned().flatten();
            table.push(row(start, at, column, None, comment))?;
        }
    }
    Ok(table)
}
