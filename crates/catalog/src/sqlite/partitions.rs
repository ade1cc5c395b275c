//! DuckLake's partition keys and the partition values of files.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_common::SnapshotId;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::commit::NewSnapshot;
use super::writer::WriterTurn;
use crate::error::Result;
use crate::objects::TableClone;
use crate::partitioning::{FilePartition, PartitionKey, Partitioning, Transform};

/// Partition keys by table.
pub async fn load(
    connection: &mut SqliteConnection,
    snapshot: SnapshotId,
    wanted: &str,
) -> Result<HashMap<i64, Partitioning>> {
    let rows: Vec<(i64, i64, i64, String, Option<i64>)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT i.table_id, i.partition_id, p.column_id, p.\"transform\", \
         (SELECT MAX(o.end_snapshot) FROM ducklake_column o WHERE o.table_id = i.table_id \
         AND o.column_id = p.column_id AND o.column_type <> c.column_type \
         AND o.end_snapshot <= ?1) \
         FROM ducklake_partition_info i \
         JOIN ducklake_partition_column p ON p.partition_id = i.partition_id \
         LEFT JOIN ducklake_column c ON c.table_id = i.table_id AND c.column_id = p.column_id \
         AND c.begin_snapshot <= ?1 AND (c.end_snapshot IS NULL OR c.end_snapshot > ?1) \
         WHERE i.begin_snapshot <= ?1 AND (i.end_snapshot IS NULL OR i.end_snapshot > ?1){wanted} \
         ORDER BY i.table_id, i.partition_id, p.partition_key_index"
    )))
    .persistent(wanted.is_empty())
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    let mut tables: HashMap<i64, Partitioning> = HashMap::new();
    for (table, partition_id, field_id, transform, since) in rows {
        let partitioning =
            tables.entry(table).or_insert_with(|| Partitioning { partition_id, keys: Vec::new() });
        partitioning.keys.push(PartitionKey {
            field_id,
            transform: Transform::parse(&transform),
            since: since.unwrap_or(0),
        });
    }
    Ok(tables)
}

/// Partitions by file, of a table's files that began after `since` and are visible at `snapshot`.
pub async fn of_files(
    connection: &mut SqliteConnection,
    table_id: i64,
    since: SnapshotId,
    snapshot: SnapshotId,
) -> Result<HashMap<i64, Arc<FilePartition>>> {
    let rows: Vec<(i64, i64, Option<i64>, Option<String>)> = sqlx::query_as(
        "SELECT f.data_file_id, f.partition_id, v.partition_key_index, v.partition_value \
         FROM ducklake_data_file f \
         LEFT JOIN ducklake_file_partition_value v ON v.data_file_id = f.data_file_id \
         WHERE f.table_id = ?1 AND f.begin_snapshot > ?2 AND f.begin_snapshot <= ?3 \
         AND (f.end_snapshot IS NULL OR f.end_snapshot > ?3) AND f.partition_id IS NOT NULL \
         ORDER BY f.data_file_id, v.partition_key_index",
    )
    .bind(table_id)
    .bind(since)
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    let mut found: HashMap<i64, FilePartition> = HashMap::new();
    for (file, partition_id, key, value) in rows {
        let partition =
            found.entry(file).or_insert_with(|| FilePartition { partition_id, values: Vec::new() });
        if key.is_some() {
            partition.values.push(value);
        }
    }
    Ok(found.into_iter().map(|(file, partition)| (file, Arc::new(partition))).collect())
}

/// Writes the partition values of a new file.
pub async fn add_values(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    file: i64,
    partition: Option<&FilePartition>,
) -> Result<()> {
    let Some(partition) = partition else { return Ok(()) };
    for (key, value) in partition.values.iter().enumerate() {
        sqlx::query("INSERT INTO ducklake_file_partition_value VALUES (?, ?, ?, ?)")
            .bind(file)
            .bind(table_id)
            .bind(i64::try_from(key).unwrap_or(i64::MAX))
            .bind(value)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    Ok(())
}

/// The id of a new file's partition keys: a table that this commit clones has ids of its own.
pub fn id(new: &NewSnapshot<'_>, table_id: i64, partition: Option<&FilePartition>) -> Option<i64> {
    let id = partition?.partition_id;
    Some(new.partition_ids.get(&(table_id, id)).copied().unwrap_or(id))
}

/// Gives a clone, whose rows of files were copied, the partition keys that these and its source
/// have.
pub async fn share(new: &mut NewSnapshot<'_>, id: i64, clone: &TableClone) -> Result<()> {
    let current = clone.table.partitioning.as_ref().map(|keys| keys.partition_id);
    let mut named: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT partition_id FROM ducklake_data_file WHERE table_id = ? \
         AND partition_id IS NOT NULL ORDER BY 1",
    )
    .bind(id)
    .fetch_all(&mut **new.transaction().await?)
    .await?;
    if let Some(current) = current
        && !named.contains(&current)
    {
        named.push(current);
    }
    for former in &named {
        let own = new.next_catalog_id;
        new.next_catalog_id += 1;
        new.partition_ids.insert((id, *former), own);
        // Keys the source has no more are nobody's, but files name them.
        let end = (current != Some(*former)).then_some(new.snapshot);
        sqlx::query("INSERT INTO ducklake_partition_info VALUES (?, ?, ?, ?)")
            .bind(own)
            .bind(id)
            .bind(new.snapshot)
            .bind(end)
            .execute(&mut **new.transaction().await?)
            .await?;
        sqlx::query(
            "INSERT INTO ducklake_partition_column SELECT ?1, ?2, partition_key_index, column_id, \
             \"transform\" FROM ducklake_partition_column WHERE partition_id = ?3",
        )
        .bind(own)
        .bind(id)
        .bind(former)
        .execute(&mut **new.transaction().await?)
        .await?;
        // Ids only grow: no file names this one yet.
        sqlx::query(
            "UPDATE ducklake_data_file SET partition_id = ? WHERE table_id = ? AND partition_id = ?",
        )
        .bind(own)
        .bind(id)
        .bind(former)
        .execute(&mut **new.transaction().await?)
        .await?;
    }
    Ok(())
}

/// Removes partition keys that no snapshot shows and no file names; `unseen` is the condition on
/// `x` for the former.
pub async fn forget(tx: &mut WriterTurn, unseen: &str) -> Result<()> {
    let gone = format!(
        "DELETE FROM ducklake_partition_info AS x WHERE {unseen} AND NOT EXISTS \
         (SELECT 1 FROM ducklake_data_file f WHERE f.table_id = x.table_id \
         AND f.partition_id = x.partition_id)"
    );
    sqlx::query(sqlx::AssertSqlSafe(gone)).execute(&mut **tx).await?;
    sqlx::query(
        "DELETE FROM ducklake_partition_column WHERE partition_id NOT IN \
         (SELECT partition_id FROM ducklake_partition_info)",
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
