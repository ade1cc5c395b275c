//! Takes out of the catalog the past of single tables, where they keep it for less long than the
//! account keeps snapshots.

use std::collections::{HashMap, HashSet};

use frazil_common::SnapshotId;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::expire::{schedule, schedule_rows};
use super::inlined::quoted;
use super::snapshots::{format_time, now_micros, parse_time};
use super::writer::WriterTurn;
use crate::changes::Past;
use crate::error::{CatalogError, Result};

fn read(kept: &str) -> Result<Vec<SnapshotId>> {
    serde_json::from_str(kept)
        .map_err(|error| CatalogError::Damaged(format!("kept snapshots: {error}")))
}

/// What is left of one table's past; none where all is.
pub async fn past(connection: &mut SqliteConnection, table_id: i64) -> Result<Option<Past>> {
    let row: Option<(i64, String)> =
        sqlx::query_as("SELECT before_snapshot, kept FROM frazil_expired_rows WHERE table_id = ?")
            .bind(table_id)
            .fetch_optional(&mut *connection)
            .await?;
    row.map(|(since, kept)| Ok(Past { since, kept: read(&kept)? })).transpose()
}

/// The snapshots at which a table shows all rows it did, ascending.
pub async fn whole_snapshots(
    connection: &mut SqliteConnection,
    table_id: i64,
) -> Result<Vec<SnapshotId>> {
    let past = past(connection, table_id).await?.unwrap_or_default();
    let all: Vec<SnapshotId> =
        sqlx::query_scalar("SELECT snapshot_id FROM ducklake_snapshot ORDER BY 1")
            .fetch_all(&mut *connection)
            .await?;
    Ok(all.into_iter().filter(|at| past.is_whole_at(*at)).collect())
}

/// Tables with rows deleted from files that are still in use: upkeep reclaims them once no snapshot
/// shows them.
async fn with_deletes(tx: &mut WriterTurn) -> Result<HashSet<i64>> {
    let tables: Vec<i64> = sqlx::query_scalar("SELECT DISTINCT table_id FROM ducklake_delete_file")
        .fetch_all(&mut **tx)
        .await?;
    let inlined: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'ducklake_inlined_delete_%'",
    )
    .fetch_all(&mut **tx)
    .await?;
    let ids = inlined.iter().filter_map(|name| name.rsplit('_').next()?.parse().ok());
    Ok(tables.into_iter().chain(ids).collect())
}

/// Forgets files and inlined rows that ended before a time of each table's own.
pub async fn expire(
    tx: &mut WriterTurn,
    tables: &[(i64, i64)],
    keep: &[SnapshotId],
) -> Result<u64> {
    let mut inlined: HashMap<i64, Vec<String>> = HashMap::new();
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT table_id, table_name FROM ducklake_inlined_data_tables")
            .fetch_all(&mut **tx)
            .await?;
    for (table, name) in rows {
        inlined.entry(table).or_default().push(name);
    }
    let ended: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT table_id FROM ducklake_data_file WHERE end_snapshot IS NOT NULL UNION \
         SELECT DISTINCT table_id FROM ducklake_delete_file WHERE end_snapshot IS NOT NULL",
    )
    .fetch_all(&mut **tx)
    .await?;
    let ended: HashSet<i64> = ended.into_iter().collect();
    let deleted = with_deletes(tx).await?;
    let snapshots: Vec<(i64, Option<String>)> =
        sqlx::query_as("SELECT snapshot_id, snapshot_time FROM ducklake_snapshot ORDER BY 1")
            .fetch_all(&mut **tx)
            .await?;
    let snapshots: Vec<(i64, i64)> = snapshots
        .into_iter()
        .map(|(id, time)| (id, parse_time(time.as_deref().unwrap_or_default())))
        .collect();
    let time = format_time(now_micros());
    let mut files = 0;
    for (table, before) in tables {
        let own = inlined.get(table);
        if !ended.contains(table) && !deleted.contains(table) && own.is_none() {
            continue;
        }
        // The snapshot that was the newest at that time is the oldest to stay whole.
        let newer = snapshots.partition_point(|(_, at)| at <= before);
        let Some((since, _)) = newer.checked_sub(1).and_then(|i| snapshots.get(i)) else {
            continue;
        };
        let former = past(tx, *table).await?.unwrap_or_default();
        if *since <= former.since {
            continue;
        }
        let mut kept: Vec<SnapshotId> =
            keep.iter().copied().filter(|at| at < since && former.is_whole_at(*at)).collect();
        kept.sort_unstable();
        kept.dedup();
        let condition = |alias: &str| {
            let shown = kept.iter().map(|at| {
                format!(" AND NOT ({alias}.begin_snapshot <= {at} AND {alias}.end_snapshot > {at})")
            });
            format!("{alias}.end_snapshot <= {since}{}", shown.collect::<String>())
        };
        let of_table = format!("f.table_id = {table} AND {}", condition("f"));
        let mut removed = schedule(tx, &of_table, None, &time).await?;
        removed +=
            schedule_rows(tx, "ducklake_delete_file", "delete_file_id", &of_table, None, &time)
                .await?;
        files += removed;
        for name in own.into_iter().flatten() {
            let sql = format!("DELETE FROM {} AS x WHERE {}", quoted(name), condition("x"));
            let gone = sqlx::query(AssertSqlSafe(sql)).execute(&mut **tx).await?;
            removed += gone.rows_affected();
        }
        if removed > 0 || deleted.contains(table) {
            let kept = serde_json::to_string(&kept)
                .map_err(|error| CatalogError::Damaged(error.to_string()))?;
            sqlx::query(
                "INSERT INTO frazil_expired_rows VALUES (?, ?, ?) ON CONFLICT (table_id) \
                 DO UPDATE SET before_snapshot = excluded.before_snapshot, kept = excluded.kept",
            )
            .bind(table)
            .bind(since)
            .bind(kept)
            .execute(&mut **tx)
            .await?;
        }
    }
    Ok(files)
}
