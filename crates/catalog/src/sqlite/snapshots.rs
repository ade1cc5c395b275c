//! Snapshots: head, times, and which statement made which.

use chrono::{DateTime, NaiveDateTime, Utc};
use frazil_common::SnapshotId;
use sqlx::{Row, SqliteConnection, SqlitePool};

use crate::error::Result;
use crate::objects::{Head, SnapshotInfo};

/// The clock, in microseconds since 1970 UTC.
pub fn now_micros() -> i64 {
    Utc::now().timestamp_micros()
}

/// A time as DuckLake writes it on SQLite.
pub fn format_time(micros: i64) -> String {
    match DateTime::<Utc>::from_timestamp_micros(micros) {
        Some(time) => time.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string(),
        None => "1970-01-01 00:00:00+00".to_string(),
    }
}

/// Reads a time another client may have written in its own zone; 0 where it is unreadable.
pub fn parse_time(text: &str) -> i64 {
    let padded = match text.rfind(['+', '-']) {
        // The offset comes as `+00`, `+05:30` or `+0530`.
        Some(at) if at > 10 && text.len() - at == 3 => format!("{text}:00"),
        Some(at) if at > 10 => text.to_string(),
        _ => {
            return NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
                .map_or(0, |t| t.and_utc().timestamp_micros());
        }
    };
    DateTime::parse_from_str(&padded, "%Y-%m-%d %H:%M:%S%.f%:z").map_or(0, |t| t.timestamp_micros())
}

/// The newest snapshot.
pub async fn head(connection: &mut SqliteConnection) -> Result<Head> {
    let (snapshot, schema_version): (i64, i64) = sqlx::query_as(
        "SELECT snapshot_id, schema_version FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1",
    )
    .fetch_one(connection)
    .await?;
    Ok(Head { snapshot, schema_version })
}

/// A snapshot that still exists.
pub async fn head_at(pool: &SqlitePool, snapshot: SnapshotId) -> Result<Option<Head>> {
    let version: Option<i64> =
        sqlx::query_scalar("SELECT schema_version FROM ducklake_snapshot WHERE snapshot_id = ?")
            .bind(snapshot)
            .fetch_optional(pool)
            .await?;
    Ok(version.map(|schema_version| Head { snapshot, schema_version }))
}

/// Whether a snapshot is known and not expired.
pub async fn exists(connection: &mut SqliteConnection, snapshot: SnapshotId) -> Result<bool> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM ducklake_snapshot WHERE snapshot_id = ?")
            .bind(snapshot)
            .fetch_optional(&mut *connection)
            .await?;
    Ok(found.is_some())
}

/// Snapshots after `after`, oldest first.
pub async fn list(pool: &SqlitePool, after: SnapshotId) -> Result<Vec<SnapshotInfo>> {
    let rows = sqlx::query(
        "SELECT s.snapshot_id, s.snapshot_time, s.schema_version, c.changes_made, c.author, \
         c.commit_message, c.commit_extra_info \
         FROM ducklake_snapshot s LEFT JOIN ducklake_snapshot_changes c USING (snapshot_id) \
         WHERE s.snapshot_id > ? ORDER BY s.snapshot_id",
    )
    .bind(after)
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            let time: Option<String> = row.try_get(1)?;
            let changes: Option<String> = row.try_get(3)?;
            let extra: Option<String> = row.try_get(6)?;
            Ok(SnapshotInfo {
                snapshot: row.try_get(0)?,
                micros: parse_time(time.as_deref().unwrap_or_default()),
                schema_version: row.try_get(2)?,
                changes: changes.unwrap_or_default(),
                author: row.try_get(4)?,
                message: row.try_get(5)?,
                query_id: extra.and_then(|extra| query_id(&extra)),
            })
        })
        .collect()
}

/// The statement that a commit's further facts name. Other clients write there what they like.
fn query_id(extra: &str) -> Option<String> {
    let facts: serde_json::Value = serde_json::from_str(extra).ok()?;
    facts.get("query_id")?.as_str().map(str::to_string)
}

/// The snapshots (before, after) of a statement's commit.
pub async fn of_statement(
    pool: &SqlitePool,
    query_id: &str,
) -> Result<Option<(SnapshotId, SnapshotId)>> {
    Ok(sqlx::query_as(
        "SELECT before_snapshot, snapshot_id FROM frazil_statement WHERE query_id = ?",
    )
    .bind(query_id)
    .fetch_optional(pool)
    .await?)
}

/// The last entry of a statement that begins with a text.
pub async fn statement_with_prefix(pool: &SqlitePool, prefix: &str) -> Result<Option<String>> {
    Ok(sqlx::query_scalar(
        "SELECT query_id FROM frazil_statement WHERE query_id >= ? AND query_id < ? \
         ORDER BY snapshot_id DESC LIMIT 1",
    )
    .bind(prefix)
    .bind(format!("{prefix}{}", char::MAX))
    .fetch_optional(pool)
    .await?)
}

/// Faults: SQLite's own check, then rows that point nowhere.
pub async fn integrity(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    let mut faults: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut *connection).await?;
    faults.retain(|line| line != "ok");
    for (what, sql) in [
        (
            "data files of unknown tables",
            "SELECT count(*) FROM ducklake_data_file WHERE table_id NOT IN \
             (SELECT table_id FROM ducklake_table)",
        ),
        (
            "delete files of unknown data files",
            "SELECT count(*) FROM ducklake_delete_file WHERE data_file_id NOT IN \
             (SELECT data_file_id FROM ducklake_data_file)",
        ),
        (
            "columns of unknown tables",
            "SELECT count(*) FROM ducklake_column WHERE table_id NOT IN \
             (SELECT table_id FROM ducklake_table)",
        ),
        (
            "live tables in dropped schemas",
            "SELECT count(*) FROM ducklake_table t WHERE t.end_snapshot IS NULL AND t.schema_id \
             NOT IN (SELECT schema_id FROM ducklake_schema WHERE end_snapshot IS NULL)",
        ),
        (
            "data files with more than one live delete file",
            "SELECT count(*) FROM (SELECT data_file_id FROM ducklake_delete_file \
             WHERE end_snapshot IS NULL GROUP BY data_file_id HAVING count(*) > 1)",
        ),
        (
            "file ids not below the next file id",
            "SELECT count(*) FROM ducklake_data_file WHERE data_file_id >= (SELECT next_file_id \
             FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1)",
        ),
    ] {
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
        if count > 0 {
            faults.push(format!("{what}: {count}"));
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_other_zones_are_instants() {
        assert_eq!(parse_time("1970-01-01 00:00:01.5+00"), 1_500_000);
        assert_eq!(parse_time("1970-01-01 02:00:00+02"), 0);
        assert_eq!(parse_time("1970-01-01 05:30:00.000001+05:30"), 1);
        assert_eq!(parse_time(&format_time(1_234_567_890_123_456)), 1_234_567_890_123_456);
    }
}
