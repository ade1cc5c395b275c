//! Databases, schemas, tables, views and columns of the whole account, dropped ones that are still known too.

use std::collections::HashMap;

use frazil_catalog::{Autoincrement, TableKind};
use frazil_common::{Column, ObjectKind, SqlType, UserError};

use super::gone::Known;
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

/// OWNER_ROLE_TYPE.
fn role_type(owner: Option<&String>) -> Cell {
    Cell::from(owner.map(|_| "ROLE"))
}

impl Source<'_> {
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
        ("LAST_ALTERED", INSTANT),
        ("DELETED", INSTANT),
        ("RETENTION_TIME", NUMBER),
        ("RESOURCE_GROUP", TEXT),
        ("TYPE", TEXT),
        ("OWNER_ROLE_TYPE", TEXT),
    ];
    let mut table = Table::new(source.context, "DATABASES", &columns);
    let owners = source.owners().await?;
    let retention = Retention::load(source.context).await?;
    for known in source.known_databases().await? {
        let database = &known.object;
        let owner = owners.get(&(ObjectKind::Database, database.database_id)).cloned();
        table.push(vec![
            Cell::Number(database.database_id),
            Cell::from(database.name.as_str()),
            Cell::from(owner.clone()),
            yes_no(database.transient),
            Cell::from(database.comment.clone()),
            Cell::Instant(database.created_micros),
            Cell::Instant(known.dropped.unwrap_or(database.created_micros)),
            known.deleted(),
            Cell::Number(retention.database(database).into()),
            Cell::Null,
            Cell::from("STANDARD"),
            role_type(owner.as_ref()),
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
        ("RETENTION_TIME", NUMBER),
        ("IS_TRANSIENT", TEXT),
        ("IS_MANAGED_ACCESS", TEXT),
        ("DEFAULT_CHARACTER_SET_CATALOG", TEXT),
        ("DEFAULT_CHARACTER_SET_SCHEMA", TEXT),
        ("DEFAULT_CHARACTER_SET_NAME", TEXT),
        ("SQL_PATH", TEXT),
        ("COMMENT", TEXT),
        ("CREATED", INSTANT),
        ("LAST_ALTERED", INSTANT),
        ("DELETED", INSTANT),
        ("OWNER_ROLE_TYPE", TEXT),
    ];
    let mut table = Table::new(source.context, "SCHEMATA", &columns);
    let owners = source.owners().await?;
    let retention = Retention::load(source.context).await?;
    let account = source.context.shared.accounts.view().await?;
    for known in source.known_schemas().await? {
        let schema = &known.object;
        let owner = owners.get(&(ObjectKind::Schema, schema.schema_id)).cloned();
        table.push(vec![
            Cell::Number(schema.schema_id),
            Cell::from(schema.name.as_str()),
            known.database_id(&schema.database),
            Cell::from(schema.database.as_str()),
            Cell::from(owner.clone()),
            Cell::Number(retention.schema(&known.view, schema).into()),
            yes_no(schema.transient),
            yes_no(account.managed_schemas.contains(&schema.schema_id)),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::from(schema.comment.clone()),
            Cell::Instant(schema.created_micros),
            Cell::Instant(known.dropped.unwrap_or(schema.created_micros)),
            known.deleted(),
            role_type(owner.as_ref()),
        ])?;
    }
    Ok(table)
}

/// LAST_ALTERED, LAST_DDL, LAST_DDL_BY and DELETED.
fn altered<T>(known: &Known<T>, defined: i64) -> [Cell; 4] {
    let at = Cell::Instant(known.dropped.unwrap_or(defined));
    [at.clone(), at, Cell::Null, known.deleted()]
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
        ("DELETED", INSTANT),
        ("AUTO_CLUSTERING_ON", TEXT),
        ("COMMENT", TEXT),
        ("OWNER_ROLE_TYPE", TEXT),
    ];
    let mut table = Table::new(source.context, "TABLES", &columns);
    let owners = source.owners().await?;
    let retention = Retention::load(source.context).await?;
    let catalog = &source.context.shared.catalog;
    let account = source.context.shared.accounts.view().await?;
    let snapshots = catalog.snapshots(-1).await?;
    let times: HashMap<i64, i64> =
        snapshots.into_iter().map(|found| (found.snapshot, found.micros)).collect();
    let tables = source.known_tables().await?;
    let mut sizes = catalog.table_sizes(source.view.snapshot).await?;
    let gone = tables.iter().filter(|known| known.dropped.is_some());
    let gone: Vec<_> = gone.map(|known| (known.object.table_id, known.view.snapshot)).collect();
    let last = catalog.sizes_at(&gone).await?;
    sizes.extend(gone.iter().map(|(table, _)| *table).zip(last));
    for known in tables {
        let found = &known.object;
        let size = sizes.get(&found.table_id).copied().unwrap_or_default();
        let told = !hides_row_count(source.context, &account, &table_object(found));
        let defined = times.get(&found.defined_at).copied().unwrap_or(found.created_micros);
        let owner = owners.get(&(ObjectKind::Table, found.table_id)).cloned();
        let mut row = known.place(found.table_id, found.schema_id, &found.name);
        row.extend([
            Cell::from(owner.clone()),
            Cell::from("BASE TABLE"),
            yes_no(found.kind == TableKind::Transient),
            Cell::from(found.cluster_by.clone()),
            if told { count(size.rows) } else { Cell::Null },
            if told { count(size.bytes) } else { Cell::Null },
            Cell::Number(retention.table(&known.view, found).into()),
        ]);
        row.extend([const { Cell::Null }; 5]);
        row.extend([yes_no(true), yes_no(true), Cell::Null, Cell::Instant(found.created_micros)]);
        row.extend(altered(&known, defined));
        row.extend([
            yes_no(!found.sort_keys.is_empty() && !found.recluster_suspended),
            Cell::from(found.comment.clone()),
            role_type(owner.as_ref()),
        ]);
        table.push(row)?;
    }
    for known in source.known_views().await? {
        let found = &known.object;
        let owner = owners.get(&(ObjectKind::View, found.view_id)).cloned();
        let mut row = known.place(found.view_id, found.schema_id, &found.name);
        row.extend([Cell::from(owner.clone()), Cell::from("VIEW")]);
        row.extend([const { Cell::Null }; 10]);
        row.extend([yes_no(false), yes_no(false), Cell::Null, Cell::Instant(found.created_micros)]);
        row.extend(altered(&known, found.created_micros));
        row.extend([yes_no(false), Cell::from(found.comment.clone()), role_type(owner.as_ref())]);
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
        ("CHECK_OPTION", TEXT),
        ("IS_UPDATABLE", TEXT),
        ("INSERTABLE_INTO", TEXT),
        ("IS_SECURE", TEXT),
        ("CREATED", INSTANT),
        ("LAST_ALTERED", INSTANT),
        ("LAST_DDL", INSTANT),
        ("LAST_DDL_BY", TEXT),
        ("DELETED", INSTANT),
        ("COMMENT", TEXT),
        ("OWNER_ROLE_TYPE", TEXT),
    ];
    let mut table = Table::new(source.context, "VIEWS", &columns);
    let owners = source.owners().await?;
    for known in source.known_views().await? {
        let found = &known.object;
        // The text of a secure view is its owner's.
        let text = (!found.secure).then(|| found.text.clone());
        let owner = owners.get(&(ObjectKind::View, found.view_id)).cloned();
        let mut row = known.place(found.view_id, found.schema_id, &found.name);
        row.extend([
            Cell::from(owner.clone()),
            Cell::from(text),
            Cell::from("NONE"),
            yes_no(false),
            yes_no(false),
            yes_no(found.secure),
            Cell::Instant(found.created_micros),
        ]);
        row.extend(altered(&known, found.created_micros));
        row.extend([Cell::from(found.comment.clone()), role_type(owner.as_ref())]);
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
        ("COLUMN_ID", NUMBER),
        ("COLUMN_NAME", TEXT),
        ("TABLE_ID", NUMBER),
        ("TABLE_NAME", TEXT),
        ("TABLE_SCHEMA_ID", NUMBER),
        ("TABLE_SCHEMA", TEXT),
        ("TABLE_CATALOG_ID", NUMBER),
        ("TABLE_CATALOG", TEXT),
        ("ORDINAL_POSITION", NUMBER),
        ("COLUMN_DEFAULT", TEXT),
        ("IS_NULLABLE", TEXT),
        ("DATA_TYPE", TEXT),
        ("CHARACTER_MAXIMUM_LENGTH", NUMBER),
        ("CHARACTER_OCTET_LENGTH", NUMBER),
        ("NUMERIC_PRECISION", NUMBER),
        ("NUMERIC_SCALE", NUMBER),
        ("DATETIME_PRECISION", NUMBER),
        ("NUMERIC_PRECISION_RADIX", NUMBER),
        ("IS_IDENTITY", TEXT),
        ("IDENTITY_START", TEXT),
        ("IDENTITY_INCREMENT", TEXT),
        ("COMMENT", TEXT),
        ("DELETED", INSTANT),
    ];
    let mut table = Table::new(source.context, "COLUMNS", &columns);
    let row = |id: i64,
               place: Vec<Cell>,
               at: usize,
               column: &Column,
               default: Option<String>,
               identity: Option<Autoincrement>,
               comment: Option<String>,
               deleted: Cell| {
        let mut row = vec![Cell::Number(id), Cell::from(column.name.as_str())];
        row.extend(place);
        row.extend([
            count(at as u64 + 1),
            Cell::from(default),
            yes_no(column.nullable),
            Cell::from(column_types::name(&column.sql_type)),
        ]);
        row.extend(measures(&column.sql_type));
        let number = matches!(column.sql_type, SqlType::Number { .. });
        row.extend([
            if number { Cell::Number(10) } else { Cell::Null },
            yes_no(identity.is_some()),
            Cell::from(identity.map(|counter| counter.start.to_string())),
            Cell::from(identity.map(|counter| counter.step.to_string())),
            Cell::from(comment),
            deleted,
        ]);
        row
    };
    for known in source.known_tables().await? {
        let found = &known.object;
        for (at, column) in found.columns.iter().enumerate() {
            let place = known.place(found.table_id, found.schema_id, &found.name);
            let (default, comment) = (column.default.clone(), column.comment.clone());
            table.push(row(
                column.field_id,
                place,
                at,
                &column.to_column(),
                default,
                column.autoincrement,
                comment,
                known.deleted(),
            ))?;
        }
    }
    for known in source.known_views().await? {
        let found = &known.object;
        for (at, column) in found.columns.iter().enumerate() {
            let place = known.place(found.view_id, found.schema_id, &found.name);
            let comment = found.column_comments.get(at).cloned().flatten();
            let id = at as i64 + 1;
            table.push(row(id, place, at, column, None, None, comment, known.deleted()))?;
        }
    }
    Ok(table)
}
