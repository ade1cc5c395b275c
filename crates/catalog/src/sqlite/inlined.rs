//! Rows kept in the catalog database: DuckLake's inlined data tables.
//!
//! A lake table has one such table for each version of its columns that rows were inlined for.
//! Rows of an older version stay where they are until a flush.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use frazil_common::{
    SnapshotId, SqlType, TimeZoneKind, UserError, VectorElement, quote_identifier,
};
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite, SqliteConnection};

use super::commit::{NewSnapshot, conflict};
use super::inlined_values::{Value, declared_type, decode, encode, texts, value_of};
use crate::changes::{InlinedRow, NewInlinedRows};
use crate::error::{CatalogError, Result};
use crate::files::{InlinedBatch, InlinedPart, InlinedTable};
use crate::foreign_types::{StoredColumn, children_of, converted_type};
use crate::objects::{ChildColumn, ColumnInfo, TableInfo};
use crate::physical::from_physical;

/// SQLite takes 32 766 bound values in one statement.
const VALUES_PER_STATEMENT: usize = 30_000;
/// Row ids in one list.
const IDS_PER_STATEMENT: usize = 500;

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

// ---- writing ----

/// Makes the inlined table of a schema version: columns are (name, DuckLake type, children).
async fn create(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    version: i64,
    columns: &[(String, DataType)],
) -> Result<String> {
    let name = format!("ducklake_inlined_data_{table_id}_{version}");
    let columns: Vec<String> = columns
        .iter()
        .map(|(column, ty)| format!("{} {}", quoted(column), declared_type(ty)))
        .collect();
    // Reading since a snapshot, and changing single rows, must not cost more with every row.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "CREATE TABLE {name}(row_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, {});\
         CREATE INDEX frazil_{name}_begin ON {name}(begin_snapshot);\
         CREATE INDEX frazil_{name}_end ON {name}(end_snapshot) WHERE end_snapshot IS NOT NULL;\
         CREATE INDEX frazil_{name}_row ON {name}(row_id)",
        columns.join(", ")
    )))
    .execute(&mut **new.transaction().await?)
    .await?;
    sqlx::query("INSERT INTO ducklake_inlined_data_tables VALUES (?, ?, ?)")
        .bind(table_id)
        .bind(&name)
        .bind(version)
        .execute(&mut **new.transaction().await?)
        .await?;
    Ok(name)
}

/// The newest inlined table of a lake table, with its schema version.
async fn newest(new: &mut NewSnapshot<'_>, table_id: i64) -> Result<Option<(String, i64)>> {
    Ok(sqlx::query_as(
        "SELECT table_name, schema_version FROM ducklake_inlined_data_tables \
         WHERE table_id = ? ORDER BY schema_version DESC LIMIT 1",
    )
    .bind(table_id)
    .fetch_optional(&mut **new.transaction().await?)
    .await?)
}

/// Follows a change of columns: other clients insert into the newest inlined table, whatever its
/// columns are.
pub async fn follow_definition(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    table: &TableInfo,
) -> Result<()> {
    let version = new.schema_version + 1;
    let Some((name, at)) = newest(new, table_id).await? else { return Ok(()) };
    if at == version {
        // Made by an earlier change of this commit, so it is empty.
        sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {}", quoted(&name))))
            .execute(&mut **new.transaction().await?)
            .await?;
        sqlx::query("DELETE FROM ducklake_inlined_data_tables WHERE table_name = ?")
            .bind(&name)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    let typed: Option<Vec<(String, DataType)>> =
        table.columns.iter().map(|c| Some((c.name.clone(), c.inlined_type()?))).collect();
    match typed {
        Some(typed) if table.can_inline() => {
            create(new, table_id, version, &typed).await.map(|_| ())
        }
        _ => Ok(()),
    }
}

/// Where new rows of a lake table go.
#[derive(Debug)]
pub struct InlinedPlace {
    /// Schema version of the table's definition.
    pub current: i64,
    /// The newest inlined table, with its schema version.
    pub newest: Option<(String, i64)>,
}

/// Inserts rows of one commit; `next_row` is the id of the next new row and grows.
pub async fn insert(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    rows: &NewInlinedRows,
    place: &mut InlinedPlace,
    next_row: &mut i64,
) -> Result<()> {
    let schema = rows.rows.schema();
    let name = match &place.newest {
        Some((name, version)) if *version >= place.current => name.clone(),
        _ => {
            let columns: Vec<(String, DataType)> =
                schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect();
            let name = create(new, table_id, place.current, &columns).await?;
            new.inlined_table_made = true;
            place.newest = Some((name.clone(), place.current));
            name
        }
    };
    let columns: Vec<Vec<Value>> = rows.rows.columns().iter().map(encode).collect::<Result<_>>()?;
    let names: Vec<String> = schema.fields().iter().map(|f| quoted(f.name())).collect();
    let head = format!(
        "INSERT INTO {}(row_id, begin_snapshot, end_snapshot, {}) VALUES ",
        quoted(&name),
        names.join(", ")
    );
    let row = format!("(?, ?, NULL{})", ", ?".repeat(columns.len()));
    let count = rows.rows.num_rows();
    let at_once = (VALUES_PER_STATEMENT / (columns.len() + 2)).max(1);
    let ids: Vec<i64> = match &rows.row_ids {
        Some(ids) => ids.clone(),
        None => {
            let first = *next_row;
            *next_row += count as i64;
            (first..*next_row).collect()
        }
    };
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    for chunk in ids.chunks(at_once) {
        let snapshot = new.snapshot;
        let values = vec![row.as_str(); chunk.len()].join(", ");
        let insert = new.batch.statement(&format!("{head}{values}"));
        for id in chunk {
            insert.bind(*id).bind(snapshot);
            for column in &mut columns {
                match column.next() {
                    Some(Value::Integer(value)) => insert.bind(value),
                    Some(Value::Real(value)) => insert.bind(value),
                    Some(Value::Text(value)) => insert.bind(value),
                    Some(Value::Blob(value)) => insert.bind(value),
                    Some(Value::Null) | None => insert.bind(None::<i64>),
                };
            }
        }
        if chunk.len() > 1 {
            insert.once();
            new.transaction().await?;
        }
    }
    Ok(())
}

/// Ends rows of an inlined table, each live since the snapshot it began at.
pub async fn end_rows(
    new: &mut NewSnapshot<'_>,
    rows: &[InlinedRow],
    table_name: &str,
) -> Result<()> {
    let mut by_table: HashMap<&str, Vec<&InlinedRow>> = HashMap::new();
    for row in rows {
        by_table.entry(&row.table).or_default().push(row);
    }
    for (table, rows) in by_table {
        // A flush drops tables of former columns.
        if !super::files::has_table(new.transaction().await?, table).await? {
            return Err(conflict(table_name, "the rows were moved or deleted"));
        }
        for chunk in rows.chunks(IDS_PER_STATEMENT) {
            let mut update = QueryBuilder::<Sqlite>::new(format!(
                "UPDATE {} SET end_snapshot = ",
                quoted(table)
            ));
            update.push_bind(new.snapshot);
            update.push(" WHERE end_snapshot IS NULL AND (row_id, begin_snapshot) IN (");
            update.push_values(chunk, |mut value, row| {
                value.push_bind(row.row_id).push_bind(row.begin);
            });
            update.push(")");
            let ended = update
                .build()
                .persistent(chunk.len() == 1)
                .execute(&mut **new.transaction().await?)
                .await?;
            if ended.rows_affected() != chunk.len() as u64 {
                return Err(conflict(table_name, "the same rows were changed"));
            }
        }
    }
    Ok(())
}

// ---- reading ----

/// The inlined tables of a lake table; those in `known` are not looked up again.
pub async fn tables(
    connection: &mut SqliteConnection,
    table_id: i64,
    known: &[Arc<InlinedTable>],
) -> Result<Vec<Arc<InlinedTable>>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT table_name, schema_version FROM ducklake_inlined_data_tables \
         WHERE table_id = ? ORDER BY schema_version",
    )
    .bind(table_id)
    .fetch_all(&mut *connection)
    .await?;
    let mut tables = Vec::with_capacity(rows.len());
    for (name, schema_version) in rows {
        let same = known.iter().find(|t| t.name == name && t.schema_version == schema_version);
        tables.push(match same {
            Some(table) => Arc::clone(table),
            None => Arc::new(describe(connection, table_id, name, schema_version).await?),
        });
    }
    Ok(tables)
}

/// Finds the field ids and types of an inlined table's columns.
async fn describe(
    connection: &mut SqliteConnection,
    table_id: i64,
    name: String,
    schema_version: i64,
) -> Result<InlinedTable> {
    // Another client may number a version that changed nothing of this table.
    let begin: Option<i64> = sqlx::query_scalar(
        "SELECT COALESCE((SELECT MAX(begin_snapshot) FROM ducklake_schema_versions \
         WHERE table_id = ?1 AND schema_version <= ?2), \
         (SELECT MIN(begin_snapshot) FROM ducklake_table WHERE table_id = ?1))",
    )
    .bind(table_id)
    .bind(schema_version)
    .fetch_one(&mut *connection)
    .await?;
    let all = columns_at(connection, table_id, begin.unwrap_or(0)).await?;
    let stored: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)")
        .bind(&name)
        .fetch_all(&mut *connection)
        .await?;
    let mut columns = Vec::new();
    // The first three are the database's own.
    for column in stored.iter().skip(3) {
        let found = all.iter().find(|c| c.name == *column).cloned();
        columns.push(found.ok_or_else(|| {
            CatalogError::Damaged(format!("column {column} of {name} belongs to no column"))
        })?);
    }
    Ok(InlinedTable { name, schema_version, columns })
}

/// A table's columns at a snapshot, by their storage alone.
pub async fn columns_at(
    connection: &mut SqliteConnection,
    table_id: i64,
    snapshot: SnapshotId,
) -> Result<Vec<ColumnInfo>> {
    type Stored = (i64, String, String, Option<i64>, Option<String>);
    let rows: Vec<Stored> = sqlx::query_as(
        "SELECT column_id, column_name, column_type, parent_column, initial_default \
         FROM ducklake_column WHERE table_id = ?1 AND begin_snapshot <= ?2 \
         AND (end_snapshot IS NULL OR end_snapshot > ?2) ORDER BY column_order, column_id",
    )
    .bind(table_id)
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    let nested: Vec<StoredColumn<'_>> = rows
        .iter()
        .map(|row| StoredColumn {
            field_id: row.0,
            name: &row.1,
            physical_type: &row.2,
            initial_default: row.4.as_deref(),
            parent: row.3,
        })
        .collect();
    let children = |parent: i64| children_of(&nested, parent);
    let columns = rows.iter().filter(|row| row.3.is_none());
    // A clone's files may be older than its columns, and lack values that the default stands for.
    Ok(columns
        .map(|row| ColumnInfo {
            initial_default: row.4.clone(),
            ..stored_column(row.0, &row.1, &row.2, children(row.0))
        })
        .collect())
}

/// A column by its storage alone.
fn stored_column(
    field_id: i64,
    name: &str,
    physical: &str,
    children: Vec<ChildColumn>,
) -> ColumnInfo {
    let sql_type = match (physical, children.as_slice()) {
        ("list", [child]) if child.physical_type == "int32" => {
            Some(SqlType::Vector { element: VectorElement::Int, dimension: 0 })
        }
        ("list", [child]) if child.physical_type == "float32" => {
            Some(SqlType::Vector { element: VectorElement::Float, dimension: 0 })
        }
        ("struct", [instant, offset]) if instant.name == "instant" && offset.name == "offset" => {
            let nanos = instant.physical_type == "timestamp_ns";
            Some(SqlType::Timestamp { zone: TimeZoneKind::Tz, scale: 9, nanos })
        }
        _ => from_physical(physical).or_else(|| converted_type(physical, &children)),
    };
    ColumnInfo {
        field_id,
        readable: sql_type.is_some(),
        physical_type: physical.to_string(),
        children,
        ..ColumnInfo::new(name, sql_type.unwrap_or(SqlType::TEXT), true)
    }
}

/// The inlined rows visible at `snapshot`, built on what was visible at an older one.
pub async fn load(
    connection: &mut SqliteConnection,
    tables: &[Arc<InlinedTable>],
    known: Option<(SnapshotId, &[InlinedPart])>,
    snapshot: SnapshotId,
) -> Result<Vec<InlinedPart>> {
    let since = known.map_or(-1, |(at, _)| at);
    let mut parts: Vec<InlinedPart> = known.map(|(_, parts)| parts.to_vec()).unwrap_or_default();
    for table in tables {
        if parts.iter().any(|part| part.batch.table.name == table.name) {
            end_known(connection, table, &mut parts, since, snapshot).await?;
        }
        let Some(batch) = load_batch(connection, table, since, snapshot).await? else { continue };
        parts.push(InlinedPart { batch: Arc::new(batch), deleted: Arc::default() });
        merge_last(&mut parts)?;
    }
    Ok(parts)
}

async fn load_batch(
    connection: &mut SqliteConnection,
    table: &Arc<InlinedTable>,
    since: SnapshotId,
    snapshot: SnapshotId,
) -> Result<Option<InlinedBatch>> {
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT * FROM {} WHERE begin_snapshot > ?1 AND begin_snapshot <= ?2 \
         AND (end_snapshot IS NULL OR end_snapshot > ?2) ORDER BY row_id, begin_snapshot",
        quoted(&table.name)
    )))
    .bind(since)
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    read_batch(connection, table, &rows).await.map(Some)
}

/// Rows as the database gave them (all columns, in its order).
pub async fn read_batch(
    connection: &mut SqliteConnection,
    table: &Arc<InlinedTable>,
    rows: &[sqlx::sqlite::SqliteRow],
) -> Result<InlinedBatch> {
    let unreadable = match decode_batch(table, rows)? {
        Ok(batch) => return Ok(batch),
        Err(column) => column,
    };
    let owner: Option<String> = sqlx::query_scalar(
        "SELECT s.schema_name || '.' || t.table_name FROM ducklake_inlined_data_tables i \
         JOIN ducklake_table t ON t.table_id = i.table_id \
         JOIN ducklake_schema s ON s.schema_id = t.schema_id \
         WHERE i.table_name = ? ORDER BY t.begin_snapshot DESC LIMIT 1",
    )
    .bind(&table.name)
    .fetch_optional(&mut *connection)
    .await?;
    // Without the value: policies may hide it.
    Err(CatalogError::User(UserError::unsupported(format!(
        "a value in column {} of {}: another client wrote what is no {}",
        quote_identifier(&unreadable.name),
        owner.as_ref().unwrap_or(&table.name),
        unreadable.physical_type
    ))))
}

/// The rows, or the column with a value that cannot be read.
fn decode_batch<'a>(
    table: &'a Arc<InlinedTable>,
    rows: &[sqlx::sqlite::SqliteRow],
) -> Result<std::result::Result<InlinedBatch, &'a ColumnInfo>> {
    let mut row_ids = Vec::with_capacity(rows.len());
    let mut begins = Vec::with_capacity(rows.len());
    for row in rows {
        row_ids.push(row.try_get(0)?);
        begins.push(row.try_get(1)?);
    }
    let mut fields = Vec::with_capacity(table.columns.len());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(table.columns.len());
    for (index, column) in table.columns.iter().enumerate() {
        // Types without a form here are kept as text, and refused where they are read.
        let data_type = column.inlined_type().unwrap_or(DataType::Utf8View);
        let read = || rows.iter().map(|row| value_of(row, index + 3)).collect::<Result<Vec<_>>>();
        let values = match decode(read()?, &data_type) {
            Ok(values) => values,
            Err(_) if data_type == DataType::Utf8View => return Ok(Err(column)),
            // A value that the type has not, as dates beyond it: refused where the column is read.
            Err(_) => texts(read()?),
        };
        fields.push(Field::new(&column.name, values.data_type().clone(), true));
        columns.push(values);
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    Ok(Ok(InlinedBatch { table: Arc::clone(table), rows, row_ids, begins }))
}

/// Marks the rows of known parts that ended since.
async fn end_known(
    connection: &mut SqliteConnection,
    table: &InlinedTable,
    parts: &mut Vec<InlinedPart>,
    since: SnapshotId,
    snapshot: SnapshotId,
) -> Result<()> {
    let ended: Vec<(i64, i64)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT row_id, begin_snapshot FROM {} WHERE end_snapshot > ? AND end_snapshot <= ? \
         AND begin_snapshot <= ?",
        quoted(&table.name)
    )))
    .bind(since)
    .bind(snapshot)
    .bind(since)
    .fetch_all(&mut *connection)
    .await?;
    if ended.is_empty() {
        return Ok(());
    }
    for part in parts.iter_mut().filter(|part| part.batch.table.name == table.name) {
        let batch = &part.batch;
        let mut deleted: Vec<i64> = part.deleted.to_vec();
        for (id, begin) in &ended {
            // Parts are in order of row id.
            let first = batch.row_ids.partition_point(|other| other < id);
            let same = batch.row_ids.iter().skip(first).take_while(|other| *other == id).count();
            let found = (first..first + same).find(|at| batch.begins.get(*at) == Some(begin));
            deleted.extend(found.map(|at| at as i64));
        }
        if deleted.len() > part.deleted.len() {
            deleted.sort_unstable();
            deleted.dedup();
            part.deleted = Arc::new(deleted);
        }
    }
    parts.retain(|part| part.deleted.len() < part.batch.row_ids.len());
    Ok(())
}

/// Keeps the number of parts logarithmic: parts of like size become one.
fn merge_last(parts: &mut Vec<InlinedPart>) -> Result<()> {
    while let [.., left, right] = parts.as_slice() {
        let alike = left.batch.table.name == right.batch.table.name
            && left.batch.rows.schema_ref() == right.batch.rows.schema_ref()
            && left.batch.row_ids.len() < 2 * right.batch.row_ids.len();
        if !alike {
            break;
        }
        let merged = merge(left, right)?;
        parts.truncate(parts.len() - 2);
        parts.push(merged);
    }
    Ok(())
}

fn merge(left: &InlinedPart, right: &InlinedPart) -> Result<InlinedPart> {
    let schema = left.batch.rows.schema();
    let mut batches = Vec::with_capacity(2);
    let mut keys: Vec<(i64, i64)> = Vec::new();
    for part in [left, right] {
        let mut keep = vec![true; part.batch.row_ids.len()];
        for position in part.deleted.iter() {
            if let Some(flag) = usize::try_from(*position).ok().and_then(|p| keep.get_mut(p)) {
                *flag = false;
            }
        }
        let ids = part.batch.row_ids.iter().zip(&part.batch.begins).zip(&keep);
        keys.extend(ids.filter(|(_, keep)| **keep).map(|((id, begin), _)| (*id, *begin)));
        batches.push(match part.deleted.is_empty() {
            true => part.batch.rows.clone(),
            false => filter_record_batch(&part.batch.rows, &BooleanArray::from(keep))?,
        });
    }
    let mut rows = concat_batches(&schema, &batches)?;
    if !keys.is_sorted() {
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        order.sort_by_key(|at| keys.get(*at as usize).copied());
        rows = take_record_batch(&rows, &UInt32Array::from(order))?;
        keys.sort_unstable();
    }
    let (row_ids, begins) = keys.into_iter().unzip();
    let batch = InlinedBatch { table: Arc::clone(&left.batch.table), rows, row_ids, begins };
    Ok(InlinedPart { batch: Arc::new(batch), deleted: Arc::default() })
}
