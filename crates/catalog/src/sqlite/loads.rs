//! Load metadata of COPY INTO.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::commit::{NewSnapshot, conflict};
use super::writer::WriterTurn;
use crate::error::{CatalogError, Result};
use crate::loads::{
    CommittedLoad, FileLoad, LOAD_METADATA_DAYS, LoadError, LoadStatus, TableLoads,
};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Writes a transaction's loads beside its rows. A file that another transaction has loaded since
/// this one looked is a conflict: its rows must not come twice.
pub(super) async fn apply(new: &mut NewSnapshot<'_>, change: &TableLoads) -> Result<()> {
    let table_id = new.id(change.table_id);
    if let Some(until) = change.forget_until {
        sqlx::query("UPDATE frazil_load SET forgotten = 1 WHERE table_id = ? AND snapshot_id <= ?")
            .bind(table_id)
            .bind(until)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    if change.files.is_empty() {
        return Ok(());
    }
    let expired = new.micros - LOAD_METADATA_DAYS * MICROS_PER_DAY;
    for file in &change.files {
        if !file.forced && file.status != LoadStatus::LoadFailed {
            let other: Option<i64> = sqlx::query_scalar(
                "SELECT load_id FROM frazil_load WHERE table_id = ? AND location = ? AND etag = ? \
                 AND forgotten = 0 AND status <> 'LOAD_FAILED' AND loaded_on > ? LIMIT 1",
            )
            .bind(table_id)
            .bind(&file.location)
            .bind(&file.etag)
            .bind(expired)
            .fetch_optional(&mut **new.transaction().await?)
            .await?;
            if other.is_some() {
                return Err(conflict(
                    &change.table_name,
                    format!("file {} was loaded by another statement", file.path),
                ));
            }
        }
        let snapshot = new.snapshot;
        insert(new.transaction().await?, table_id, snapshot, file).await?;
    }
    // A living table's oldest record stays: it tells when the table was first loaded.
    let gone = sqlx::query(
        "DELETE FROM frazil_load WHERE loaded_on < ? AND (EXISTS (SELECT 1 FROM frazil_load older \
         WHERE older.table_id = frazil_load.table_id AND older.load_id < frazil_load.load_id) \
         OR NOT EXISTS (SELECT 1 FROM ducklake_table live \
         WHERE live.table_id = frazil_load.table_id AND live.end_snapshot IS NULL))",
    )
    .bind(expired)
    .execute(&mut **new.transaction().await?)
    .await?;
    if gone.rows_affected() > 0 {
        sqlx::query(
            "DELETE FROM frazil_load_error WHERE load_id NOT IN (SELECT load_id FROM frazil_load)",
        )
        .execute(&mut **new.transaction().await?)
        .await?;
    }
    Ok(())
}

async fn insert(tx: &mut WriterTurn, table_id: i64, snapshot: i64, file: &FileLoad) -> Result<()> {
    let load_id: i64 = sqlx::query_scalar(
        "INSERT INTO frazil_load (table_id, snapshot_id, forgotten, location, stage, path, etag, \
         bytes, loaded_on, status, rows_parsed, rows_loaded, error_limit, error_count, first_error, \
         first_error_line, first_error_character, first_error_column, forced, user_name, query_id) \
         VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         RETURNING load_id",
    )
    .bind(table_id)
    .bind(snapshot)
    .bind(&file.location)
    .bind(&file.stage)
    .bind(&file.path)
    .bind(&file.etag)
    .bind(file.bytes)
    .bind(file.loaded_on)
    .bind(file.status.as_str())
    .bind(file.rows_parsed)
    .bind(file.rows_loaded)
    .bind(file.error_limit)
    .bind(file.error_count)
    .bind(&file.first_error)
    .bind(file.first_error_line)
    .bind(file.first_error_character)
    .bind(&file.first_error_column)
    .bind(i64::from(file.forced))
    .bind(&file.user)
    .bind(&file.query_id)
    .fetch_one(&mut **tx)
    .await?;
    for error in &file.errors {
        sqlx::query("INSERT INTO frazil_load_error VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(load_id)
            .bind(&error.message)
            .bind(&error.file)
            .bind(error.line)
            .bind(error.character)
            .bind(error.byte_offset)
            .bind(&error.category)
            .bind(error.code)
            .bind(&error.sql_state)
            .bind(&error.column)
            .bind(error.row)
            .bind(error.start_line)
            .bind(&error.record)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Rows that a statement's load into a table left out.
pub(super) async fn errors(
    connection: &mut SqliteConnection,
    table_id: i64,
    query_id: &str,
) -> Result<Vec<LoadError>> {
    let rows = sqlx::query(
        "SELECT e.* FROM frazil_load l JOIN frazil_load_error e ON e.load_id = l.load_id \
         WHERE l.table_id = ? AND l.query_id = ? ORDER BY l.load_id, e.row_number",
    )
    .bind(table_id)
    .bind(query_id)
    .fetch_all(&mut *connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(LoadError {
                message: row.try_get("message")?,
                file: row.try_get("file")?,
                line: row.try_get("line")?,
                character: row.try_get("character")?,
                byte_offset: row.try_get("byte_offset")?,
                category: row.try_get("category")?,
                code: row.try_get("code")?,
                sql_state: row.try_get("sql_state")?,
                column: row.try_get("column_name")?,
                row: row.try_get("row_number")?,
                start_line: row.try_get("start_line")?,
                record: row.try_get("record")?,
            })
        })
        .collect()
}

/// Loads of one table, or of all; oldest first.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    table_id: Option<i64>,
) -> Result<Vec<CommittedLoad>> {
    let query = match table_id {
        Some(_) => "SELECT * FROM frazil_load WHERE table_id = ? ORDER BY load_id",
        None => "SELECT * FROM frazil_load WHERE ? IS NULL ORDER BY load_id",
    };
    let rows = sqlx::query(query).bind(table_id).fetch_all(&mut *connection).await?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<CommittedLoad> {
    let status: String = row.try_get("status")?;
    Ok(CommittedLoad {
        table_id: row.try_get("table_id")?,
        snapshot: row.try_get("snapshot_id")?,
        forgotten: row.try_get::<i64, _>("forgotten")? != 0,
        load: FileLoad {
            location: row.try_get("location")?,
            stage: row.try_get("stage")?,
            path: row.try_get("path")?,
            etag: row.try_get("etag")?,
            bytes: row.try_get("bytes")?,
            loaded_on: row.try_get("loaded_on")?,
            status: LoadStatus::parse(&status)
                .ok_or_else(|| CatalogError::Damaged(format!("load status '{status}'")))?,
            rows_parsed: row.try_get("rows_parsed")?,
            rows_loaded: row.try_get("rows_loaded")?,
            error_limit: row.try_get("error_limit")?,
            error_count: row.try_get("error_count")?,
            first_error: row.try_get("first_error")?,
            first_error_line: row.try_get("first_error_line")?,
            first_error_character: row.try_get("first_error_character")?,
            first_error_column: row.try_get("first_error_column")?,
            forced: row.try_get::<i64, _>("forced")? != 0,
            user: row.try_get("user_name")?,
            query_id: row.try_get("query_id")?,
            errors: Vec::new(),
        },
    })
}
