//! Moves rows between the catalog and files without changing any: flush and compaction.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_common::SnapshotId;
use sqlx::{AssertSqlSafe, SqlitePool};

use super::commit::{NewSnapshot, conflict};
use super::inlined::{self, quoted};
use super::{bounds, files, partitions};
use crate::changes::{NewDeleteFile, RelocatedFile, Relocation};
use crate::error::Result;
use crate::files::{DeleteHistory, InlinedHistory};
use crate::objects::ColumnInfo;

/// All rows in the inlined tables of a lake table that began up to `base`; those that no snapshot
/// shows any more are left out.
pub async fn inlined_history(
    pool: &SqlitePool,
    table_id: i64,
    base: SnapshotId,
) -> Result<Vec<InlinedHistory>> {
    let mut tx = pool.begin().await?;
    let oldest: i64 = sqlx::query_scalar("SELECT MIN(snapshot_id) FROM ducklake_snapshot")
        .fetch_one(&mut *tx)
        .await?;
    let mut all = Vec::new();
    for table in inlined::tables(&mut tx, table_id, &[]).await? {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT * FROM {} WHERE begin_snapshot <= ? \
             AND (end_snapshot IS NULL OR end_snapshot > ?) ORDER BY row_id, begin_snapshot",
            quoted(&table.name)
        )))
        .bind(base)
        .bind(oldest)
        .fetch_all(&mut *tx)
        .await?;
        let ends = rows
            .iter()
            .map(|row| Ok(sqlx::Row::try_get::<Option<i64>, _>(row, 2)?.filter(|at| *at <= base)))
            .collect::<Result<Vec<_>>>()?;
        all.push(InlinedHistory {
            batch: inlined::read_batch(&mut tx, &table, &rows).await?,
            ends,
        });
    }
    tx.rollback().await?;
    Ok(all)
}

/// The deletes from a data file up to `base`.
pub async fn delete_history(
    pool: &SqlitePool,
    table_id: i64,
    file_id: i64,
    base: SnapshotId,
) -> Result<DeleteHistory> {
    let mut tx = pool.begin().await?;
    let entries = files::delete_files_of(&mut tx, file_id, base).await?;
    let mut history = DeleteHistory {
        delete_files: entries.into_iter().map(|(at, entry)| (at, Arc::new(entry))).collect(),
        inlined: Vec::new(),
    };
    let name = format!("ducklake_inlined_delete_{table_id}");
    if files::has_table(&mut tx, &name).await? {
        history.inlined = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT row_id, begin_snapshot FROM {name} WHERE file_id = ? AND begin_snapshot <= ?"
        )))
        .bind(file_id)
        .bind(base)
        .fetch_all(&mut *tx)
        .await?;
    }
    tx.rollback().await?;
    Ok(history)
}

/// A table's columns as files that begin at `snapshot` have them, by their storage alone.
pub async fn stored_columns(
    pool: &SqlitePool,
    table_id: i64,
    snapshot: SnapshotId,
) -> Result<Vec<ColumnInfo>> {
    let mut connection = pool.acquire().await?;
    inlined::columns_at(&mut connection, table_id, snapshot).await
}

/// Writes a relocation as part of the next snapshot.
pub async fn apply(new: &mut NewSnapshot<'_>, change: &Relocation) -> Result<()> {
    let table_id = change.table_id;
    let live: Option<i64> = sqlx::query_scalar(
        "SELECT table_id FROM ducklake_table WHERE table_id = ? AND end_snapshot IS NULL",
    )
    .bind(table_id)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    if live.is_none() {
        return Err(conflict(&change.table_name, "the table was dropped"));
    }
    let mut late = Vec::new();
    for table in &change.flushed {
        late.extend(flush(new, change, table).await?);
    }
    let mut freed = 0_i64;
    for file in &change.replaced {
        freed += replace(new, change, *file).await?;
    }
    let mut bytes = 0_i64;
    let mut places: HashMap<(i64, SnapshotId), (i64, i64)> = HashMap::new();
    for file in &change.added {
        let id = add(new, change, file).await?;
        bytes += file.file.bytes;
        if !late.is_empty() {
            let rows = file.rows.iter().enumerate();
            places.extend(rows.map(|(position, row)| (*row, (id, position as i64))));
        }
    }
    let mut deletes = Vec::with_capacity(late.len());
    for (row_id, begin, end) in late {
        let (file, position) = places
            .get(&(row_id, begin))
            .ok_or_else(|| conflict(&change.table_name, "the same rows were changed"))?;
        deletes.push((*file, *position, end));
    }
    super::commit::add_inlined_deletes(new, table_id, &deletes).await?;
    sqlx::query(
        "UPDATE ducklake_table_stats SET file_size_bytes = file_size_bytes + ? WHERE table_id = ?",
    )
    .bind(bytes - freed)
    .bind(table_id)
    .execute(&mut **new.transaction().await?)
    .await?;
    sqlx::query(
        "INSERT INTO frazil_layout VALUES (?, ?) \
         ON CONFLICT (table_id) DO UPDATE SET snapshot_id = excluded.snapshot_id",
    )
    .bind(table_id)
    .bind(new.snapshot)
    .execute(&mut **new.transaction().await?)
    .await?;
    let what = if change.replaced.is_empty() { "inline_flush" } else { "merge_adjacent" };
    new.changes_made.push(format!("{what}:{table_id}"));
    Ok(())
}

/// Removes rows from an inlined table; a table of former columns goes when it is empty. Gives the
/// rows that ended while they were moved: (row id, begin, end).
async fn flush(
    new: &mut NewSnapshot<'_>,
    change: &Relocation,
    table: &str,
) -> Result<Vec<(i64, SnapshotId, SnapshotId)>> {
    if !files::has_table(new.transaction().await?, table).await? {
        return Err(conflict(&change.table_name, "the rows were moved or deleted"));
    }
    let name = quoted(table);
    let late = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT row_id, begin_snapshot, end_snapshot FROM {name} \
         WHERE end_snapshot > ?1 AND begin_snapshot <= ?1"
    )))
    .bind(change.base)
    .fetch_all(&mut **new.transaction().await?)
    .await?;
    sqlx::query(AssertSqlSafe(format!("DELETE FROM {name} WHERE begin_snapshot <= ?")))
        .bind(change.base)
        .execute(&mut **new.transaction().await?)
        .await?;
    let left: Option<i64> =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT 1 FROM {name} LIMIT 1")))
            .fetch_optional(&mut **new.transaction().await?)
            .await?;
    let newest: Option<String> = sqlx::query_scalar(
        "SELECT table_name FROM ducklake_inlined_data_tables WHERE table_id = ? \
         ORDER BY schema_version DESC LIMIT 1",
    )
    .bind(change.table_id)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    if left.is_none() && newest.as_deref() != Some(table) {
        sqlx::query(
            "DELETE FROM ducklake_inlined_data_tables WHERE table_id = ? AND table_name = ?",
        )
        .bind(change.table_id)
        .bind(table)
        .execute(&mut **new.transaction().await?)
        .await?;
        sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {name}")))
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    Ok(late)
}

/// Takes a data file out of the catalog and schedules its file; gives its bytes.
async fn replace(new: &mut NewSnapshot<'_>, change: &Relocation, file: i64) -> Result<i64> {
    let table_id = change.table_id;
    let (base, moved) = (change.base, "the rows were moved or deleted");
    let found: Option<(Option<i64>, i64)> = sqlx::query_as(
        "SELECT end_snapshot, file_size_bytes FROM ducklake_data_file WHERE data_file_id = ?",
    )
    .bind(file)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    let Some((None, bytes)) = found else { return Err(conflict(&change.table_name, moved)) };
    let newer: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM ducklake_delete_file WHERE data_file_id = ?1 \
         AND (begin_snapshot > ?2 OR end_snapshot > ?2 OR partial_max > ?2)",
    )
    .bind(file)
    .bind(base)
    .fetch_one(&mut **new.transaction().await?)
    .await?;
    let inlined = format!("ducklake_inlined_delete_{table_id}");
    let has_inlined = files::has_table(new.transaction().await?, &inlined).await?;
    let mut newer_rows = 0_i64;
    if has_inlined {
        newer_rows = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT count(*) FROM {inlined} WHERE file_id = ? AND begin_snapshot > ?"
        )))
        .bind(file)
        .bind(base)
        .fetch_one(&mut **new.transaction().await?)
        .await?;
    }
    if newer + newer_rows > 0 {
        return Err(conflict(&change.table_name, "rows of the same file were changed"));
    }
    if has_inlined {
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {inlined} WHERE file_id = ?")))
            .bind(file)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    super::expire::remove_files(new, "f.data_file_id = ?", file).await?;
    Ok(bytes)
}

/// Adds a file of moved rows; gives its id.
async fn add(new: &mut NewSnapshot<'_>, change: &Relocation, file: &RelocatedFile) -> Result<i64> {
    let id = new.next_file_id;
    new.next_file_id += 1;
    sqlx::query(
        "INSERT INTO ducklake_data_file VALUES (?, ?, ?, NULL, NULL, ?, 1, 'parquet', ?, ?, ?, ?, ?, NULL, NULL, ?)",
    )
    .bind(id)
    .bind(change.table_id)
    .bind(file.begin)
    .bind(&file.file.path)
    .bind(file.file.rows)
    .bind(file.file.bytes)
    .bind(file.file.footer_bytes)
    .bind(file.row_id_start)
    .bind(partitions::id(new, change.table_id, file.file.partition.as_deref()))
    .bind(file.newest)
    .execute(&mut **new.transaction().await?)
    .await?;
    partitions::add_values(new, change.table_id, id, file.file.partition.as_deref()).await?;
    super::commit::add_file_statistics(new, change.table_id, id, &file.file.statistics).await?;
    let statistics: Vec<_> = file.file.statistics.iter().collect();
    let bounds = bounds::stored(new, change.table_id).await?;
    bounds::widen(new, change.table_id, bounds, &statistics);
    if let Some((deleted, begin, newest)) = &file.deleted {
        add_delete_file(new, change.table_id, id, deleted, *begin, *newest).await?;
    }
    Ok(id)
}

async fn add_delete_file(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    data_file: i64,
    file: &NewDeleteFile,
    begin: SnapshotId,
    newest: SnapshotId,
) -> Result<()> {
    let id = new.next_file_id;
    new.next_file_id += 1;
    sqlx::query(
        "INSERT INTO ducklake_delete_file VALUES (?, ?, ?, NULL, ?, ?, 1, 'parquet', ?, ?, ?, NULL, ?)",
    )
    .bind(id)
    .bind(table_id)
    .bind(begin)
    .bind(data_file)
    .bind(&file.path)
    .bind(file.rows)
    .bind(file.bytes)
    .bind(file.footer_bytes)
    .bind(newest)
    .execute(&mut **new.transaction().await?)
    .await?;
    Ok(())
}
