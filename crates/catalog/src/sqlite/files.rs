//! Reads a table's files at a snapshot, whole or from an older answer on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use frazil_common::SnapshotId;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection, SqlitePool};

use super::expire::FOLDERS;
use super::expire_rows;
use super::inlined;
use super::partitions;

use crate::changes::ColumnStatistics;
use crate::error::Result;
use crate::files::{DeleteFileEntry, FileEntry, FileSet, NameMapping, VisibleFile};
use crate::objects::TableSize;

/// Loads the files and inlined rows visible at `snapshot`; `known` must be of an older snapshot.
pub async fn load(
    pool: &SqlitePool,
    table_id: i64,
    snapshot: SnapshotId,
    known: Option<(SnapshotId, &FileSet)>,
) -> Result<FileSet> {
    // One read transaction: a flush in between would hide rows or show them twice.
    let mut tx = pool.begin().await?;
    let set = load_in(&mut tx, table_id, snapshot, known).await?;
    tx.rollback().await?;
    Ok(set)
}

async fn load_in(
    pool: &mut SqliteConnection,
    table_id: i64,
    snapshot: SnapshotId,
    known: Option<(SnapshotId, &FileSet)>,
) -> Result<FileSet> {
    let (layout, exists, known_exists): (i64, bool, bool) = sqlx::query_as(
        "SELECT COALESCE((SELECT snapshot_id FROM frazil_layout WHERE table_id = ?), 0), \
         EXISTS (SELECT 1 FROM ducklake_snapshot WHERE snapshot_id = ?), \
         EXISTS (SELECT 1 FROM ducklake_snapshot WHERE snapshot_id = ?)",
    )
    .bind(table_id)
    .bind(snapshot)
    .bind(known.map_or(-1, |(at, _)| at))
    .fetch_one(&mut *pool)
    .await?;
    if !exists {
        // Expired since it was looked up: its files may be gone from the lists.
        return Err(crate::no_travel(snapshot));
    }
    let past = expire_rows::past(pool, table_id).await?.unwrap_or_default();
    if !past.is_whole_at(snapshot) {
        return Err(crate::no_travel(snapshot));
    }
    // What ended since and was forgotten would seem to go on.
    let whole = |at: SnapshotId| known_exists && past.is_whole_at(at);
    let known = known.filter(|(at, known)| known.layout == layout && whole(*at));
    let since = known.map_or(-1, |(at, _)| at);
    let mut gone: HashSet<i64> = HashSet::new();
    let mut delete_files: HashMap<i64, Arc<DeleteFileEntry>> = HashMap::new();
    let mut deletes: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut files: Vec<Arc<FileEntry>> = Vec::new();
    if let Some((_, known)) = known {
        gone.extend(
            sqlx::query_scalar::<_, i64>(
                "SELECT data_file_id FROM ducklake_data_file \
                 WHERE table_id = ? AND end_snapshot > ? AND end_snapshot <= ?",
            )
            .bind(table_id)
            .bind(since)
            .bind(snapshot)
            .fetch_all(&mut *pool)
            .await?,
        );
        let mut stale: HashSet<i64> = HashSet::new();
        stale.extend(
            sqlx::query_scalar::<_, i64>(
                "SELECT delete_file_id FROM ducklake_delete_file \
                 WHERE table_id = ? AND end_snapshot > ? AND end_snapshot <= ?",
            )
            .bind(table_id)
            .bind(since)
            .bind(snapshot)
            .fetch_all(&mut *pool)
            .await?,
        );
        for visible in &known.files {
            if gone.contains(&visible.file.file_id) {
                continue;
            }
            files.push(Arc::clone(&visible.file));
            if let Some(entry) = &visible.delete_file
                && !stale.contains(&entry.delete_file_id)
            {
                delete_files.insert(visible.file.file_id, Arc::clone(entry));
            }
            if !visible.inlined_deletes.is_empty() {
                deletes.insert(visible.file.file_id, visible.inlined_deletes.to_vec());
            }
        }
    }
    files.extend(load_files(pool, table_id, since, snapshot).await?);
    // A client that merges delete files changes rows in place, so all live ones are read again.
    let fresh = load_delete_files(pool, table_id, snapshot).await?;
    delete_files.clear();
    for entry in fresh {
        delete_files.insert(entry.data_file_id, Arc::new(entry));
    }
    load_inlined_deletes(pool, table_id, since, snapshot, &mut deletes).await?;
    let files = files
        .into_iter()
        .map(|file| {
            let mut positions = deletes.remove(&file.file_id).unwrap_or_default();
            positions.sort_unstable();
            positions.dedup();
            VisibleFile {
                delete_file: delete_files.remove(&file.file_id),
                inlined_deletes: Arc::new(positions),
                file,
            }
        })
        .collect();
    let tables = known.map_or(&[][..], |(_, known)| known.inlined_tables.as_slice());
    let inlined_tables = inlined::tables(pool, table_id, tables).await?;
    let parts = known.map(|(at, known)| (at, known.inlined.as_slice()));
    let parts = inlined::load(pool, &inlined_tables, parts, snapshot).await?;
    Ok(FileSet { files, inlined: parts, inlined_tables, layout })
}

async fn load_files(
    pool: &mut SqliteConnection,
    table_id: i64,
    since: SnapshotId,
    snapshot: SnapshotId,
) -> Result<Vec<Arc<FileEntry>>> {
    let rows = sqlx::query(
        "SELECT data_file_id, begin_snapshot, path, path_is_relative, record_count, \
         file_size_bytes, footer_size, row_id_start, partial_max, mapping_id, encryption_key, \
         partition_id FROM ducklake_data_file WHERE table_id = ?1 AND begin_snapshot > ?2 \
         AND begin_snapshot <= ?3 AND (end_snapshot IS NULL OR end_snapshot > ?3) \
         ORDER BY data_file_id",
    )
    .bind(table_id)
    .bind(since)
    .bind(snapshot)
    .fetch_all(&mut *pool)
    .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut statistics: HashMap<i64, Vec<ColumnStatistics>> = HashMap::new();
    for row in sqlx::query(
        "SELECT c.data_file_id, c.column_id, c.column_size_bytes, c.value_count, c.null_count, \
         c.min_value, c.max_value, c.contains_nan FROM ducklake_data_file f \
         JOIN ducklake_file_column_stats c ON c.data_file_id = f.data_file_id \
         WHERE f.table_id = ?1 AND f.begin_snapshot > ?2 AND f.begin_snapshot <= ?3 \
         AND (f.end_snapshot IS NULL OR f.end_snapshot > ?3)",
    )
    .bind(table_id)
    .bind(since)
    .bind(snapshot)
    .fetch_all(&mut *pool)
    .await?
    {
        let integer = |index: usize| -> Result<i64> {
            Ok(row.try_get::<Option<i64>, _>(index)?.unwrap_or(-1))
        };
        statistics.entry(row.try_get(0)?).or_default().push(ColumnStatistics {
            field_id: row.try_get(1)?,
            bytes: integer(2)?,
            value_count: integer(3)?,
            null_count: integer(4)?,
            min: row.try_get(5)?,
            max: row.try_get(6)?,
            contains_nan: row.try_get::<Option<i64>, _>(7)?.map(|flag| flag != 0),
        });
    }
    let (mut parted, mut named) = (false, false);
    for row in &rows {
        parted |= row.try_get::<Option<i64>, _>(11)?.is_some();
        named |= row.try_get::<Option<i64>, _>(9)?.is_some();
    }
    let names = match named {
        true => load_names(pool, table_id).await?,
        false => HashMap::new(),
    };
    let mut parts = match parted {
        true => partitions::of_files(pool, table_id, since, snapshot).await?,
        false => HashMap::new(),
    };
    rows.iter()
        .map(|row| {
            let file_id: i64 = row.try_get(0)?;
            let mapping_id: Option<i64> = row.try_get(9)?;
            Ok(Arc::new(FileEntry {
                file_id,
                begin_snapshot: row.try_get(1)?,
                path: row.try_get(2)?,
                rows: row.try_get(4)?,
                bytes: row.try_get(5)?,
                footer_bytes: row.try_get::<Option<i64>, _>(6)?.unwrap_or(0),
                row_id_start: row.try_get(7)?,
                partial_max: row.try_get(8)?,
                mapping_id,
                names: mapping_id.and_then(|id| names.get(&id)).cloned(),
                encrypted: row.try_get::<Option<String>, _>(10)?.is_some_and(|key| !key.is_empty()),
                partition: parts.remove(&file_id),
                statistics: statistics.remove(&file_id).unwrap_or_default(),
            }))
        })
        .collect()
}

/// The name mappings of a table's files; without those that take values from elsewhere, as from the
/// names of folders.
async fn load_names(
    pool: &mut SqliteConnection,
    table_id: i64,
) -> Result<HashMap<i64, Arc<NameMapping>>> {
    let rows: Vec<(i64, Option<String>, Option<i64>, bool)> = sqlx::query_as(
        "SELECT m.mapping_id, n.source_name, n.target_field_id, \
         m.type <> 'map_by_name' OR COALESCE(n.is_partition, 0) <> 0 \
         FROM ducklake_column_mapping m LEFT JOIN ducklake_name_mapping n \
         ON n.mapping_id = m.mapping_id AND n.parent_column IS NULL WHERE m.table_id = ?",
    )
    .bind(table_id)
    .fetch_all(&mut *pool)
    .await?;
    let mut names: HashMap<i64, NameMapping> = HashMap::new();
    for (mapping, source, field, _) in &rows {
        let own = names.entry(*mapping).or_default();
        own.columns.extend(source.clone().zip(*field));
    }
    for (mapping, ..) in rows.iter().filter(|(.., other)| *other) {
        names.remove(mapping);
    }
    Ok(names.into_iter().map(|(mapping, own)| (mapping, Arc::new(own))).collect())
}

const DELETE_FILE_COLUMNS: &str = "begin_snapshot, delete_file_id, data_file_id, path, delete_count, \
     file_size_bytes, footer_size, partial_max";

fn delete_file(row: &SqliteRow) -> Result<(SnapshotId, DeleteFileEntry)> {
    let entry = DeleteFileEntry {
        delete_file_id: row.try_get(1)?,
        data_file_id: row.try_get(2)?,
        path: row.try_get(3)?,
        rows: row.try_get(4)?,
        bytes: row.try_get(5)?,
        footer_bytes: row.try_get::<Option<i64>, _>(6)?.unwrap_or(0),
        partial_max: row.try_get(7)?,
    };
    Ok((row.try_get(0)?, entry))
}

async fn load_delete_files(
    pool: &mut SqliteConnection,
    table_id: i64,
    snapshot: SnapshotId,
) -> Result<Vec<DeleteFileEntry>> {
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT {DELETE_FILE_COLUMNS} FROM ducklake_delete_file WHERE table_id = ?1 \
         AND begin_snapshot <= ?2 AND (end_snapshot IS NULL OR end_snapshot > ?2)"
    )))
    .bind(table_id)
    .bind(snapshot)
    .fetch_all(&mut *pool)
    .await?;
    rows.iter().map(|row| Ok(delete_file(row)?.1)).collect()
}

/// All delete files a data file had up to a snapshot, oldest first, with their begins.
pub async fn delete_files_of(
    pool: &mut SqliteConnection,
    file_id: i64,
    snapshot: SnapshotId,
) -> Result<Vec<(SnapshotId, DeleteFileEntry)>> {
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT {DELETE_FILE_COLUMNS} FROM ducklake_delete_file WHERE data_file_id = ? \
         AND begin_snapshot <= ? ORDER BY begin_snapshot"
    )))
    .bind(file_id)
    .bind(snapshot)
    .fetch_all(&mut *pool)
    .await?;
    rows.iter().map(delete_file).collect()
}

/// Whether the database has a table of this name.
pub async fn has_table(pool: &mut SqliteConnection, name: &str) -> Result<bool> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?")
            .bind(name)
            .fetch_optional(&mut *pool)
            .await?;
    Ok(found.is_some())
}

async fn load_inlined_deletes(
    pool: &mut SqliteConnection,
    table_id: i64,
    since: SnapshotId,
    snapshot: SnapshotId,
    inlined: &mut HashMap<i64, Vec<i64>>,
) -> Result<()> {
    let name = format!("ducklake_inlined_delete_{table_id}");
    if !has_table(pool, &name).await? {
        return Ok(());
    }
    let rows: Vec<(i64, i64)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT file_id, row_id FROM {name} WHERE begin_snapshot > ? AND begin_snapshot <= ?"
    )))
    .bind(since)
    .bind(snapshot)
    .fetch_all(&mut *pool)
    .await?;
    for (file, position) in rows {
        inlined.entry(file).or_default().push(position);
    }
    Ok(())
}

/// Rows in the inlined tables, the ended ones too, by lake table.
pub async fn inlined_counts(connection: &mut SqliteConnection) -> Result<Vec<(i64, u64)>> {
    let tables: Vec<(i64, String)> =
        sqlx::query_as("SELECT table_id, table_name FROM ducklake_inlined_data_tables")
            .fetch_all(&mut *connection)
            .await?;
    let mut counts: HashMap<i64, u64> = HashMap::new();
    for (table, name) in tables {
        let sql = format!("SELECT count(*) FROM {}", inlined::quoted(&name));
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await?;
        *counts.entry(table).or_default() += u64::try_from(count).unwrap_or(0);
    }
    Ok(counts.into_iter().filter(|(_, count)| *count > 0).collect())
}

/// Rows and bytes of tables, each at a snapshot of its own.
pub async fn sizes_at(
    connection: &mut SqliteConnection,
    tables: &[(i64, SnapshotId)],
) -> Result<Vec<TableSize>> {
    let mut all = Vec::with_capacity(tables.len());
    for (table_id, snapshot) in tables {
        let found = sizes_of(connection, *snapshot, Some(*table_id)).await?;
        let own = found.into_iter().find(|(id, _)| id == table_id);
        all.push(own.map(|(_, size)| size).unwrap_or_default());
    }
    Ok(all)
}

/// Rows and bytes of all tables.
pub async fn sizes(
    connection: &mut SqliteConnection,
    snapshot: SnapshotId,
) -> Result<Vec<(i64, TableSize)>> {
    sizes_of(connection, snapshot, None).await
}

async fn sizes_of(
    connection: &mut SqliteConnection,
    snapshot: SnapshotId,
    only: Option<i64>,
) -> Result<Vec<(i64, TableSize)>> {
    let own = |condition: &str| only.map(|id| format!("{condition}{id}")).unwrap_or_default();
    let persistent = only.is_none();
    let mut sizes: HashMap<i64, (i64, i64)> = HashMap::new();
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT table_id, SUM(record_count), SUM(file_size_bytes) FROM ducklake_data_file \
         WHERE begin_snapshot <= ?1 AND (end_snapshot IS NULL OR end_snapshot > ?1){} \
         GROUP BY table_id",
        own(" AND table_id = ")
    )))
    .persistent(persistent)
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    for (table, count, bytes) in rows {
        sizes.insert(table, (count, bytes));
    }
    let rows: Vec<(i64, i64)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT d.table_id, SUM(d.delete_count) FROM ducklake_delete_file d \
         JOIN ducklake_data_file f USING (data_file_id) WHERE d.begin_snapshot <= ?1 \
         AND (d.end_snapshot IS NULL OR d.end_snapshot > ?1) \
         AND (f.end_snapshot IS NULL OR f.end_snapshot > ?1){} GROUP BY d.table_id",
        own(" AND d.table_id = ")
    )))
    .persistent(persistent)
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    for (table, count) in rows {
        sizes.entry(table).or_default().0 -= count;
    }
    let own_name = only.map(|id| format!("ducklake_inlined_delete_{id}"));
    let deletes: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' \
         AND name LIKE 'ducklake_inlined_delete_%' AND (?1 IS NULL OR name = ?1)",
    )
    .bind(own_name)
    .fetch_all(&mut *connection)
    .await?;
    for name in deletes {
        let Some(table) = name.rsplit('_').next().and_then(|id| id.parse::<i64>().ok()) else {
            continue;
        };
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT count(*) FROM {name} d JOIN ducklake_data_file f ON f.data_file_id = d.file_id \
             WHERE d.begin_snapshot <= ?1 AND f.begin_snapshot <= ?1 \
             AND (f.end_snapshot IS NULL OR f.end_snapshot > ?1)"
        )))
        .bind(snapshot)
        .fetch_one(&mut *connection)
        .await?;
        sizes.entry(table).or_default().0 -= count;
    }
    let inlined: Vec<(i64, String)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT table_id, table_name FROM ducklake_inlined_data_tables{}",
        own(" WHERE table_id = ")
    )))
    .persistent(persistent)
    .fetch_all(&mut *connection)
    .await?;
    for (table, name) in inlined {
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT count(*) FROM \"{}\" WHERE begin_snapshot <= ?1 \
             AND (end_snapshot IS NULL OR end_snapshot > ?1)",
            name.replace('"', "\"\"")
        )))
        .bind(snapshot)
        .fetch_one(&mut *connection)
        .await?;
        sizes.entry(table).or_default().0 += count;
    }
    let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(sizes
        .into_iter()
        .map(|(table, (rows, bytes))| {
            (table, TableSize { rows: unsigned(rows), bytes: unsigned(bytes) })
        })
        .collect())
}

/// Every file any snapshot knows, with its size.
pub async fn named_paths(connection: &mut SqliteConnection) -> Result<Vec<(String, i64)>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(format!(
        "WITH folder AS ({FOLDERS}) \
         SELECT CASE WHEN f.path_is_relative = 0 THEN f.path ELSE folder.path || f.path END, \
         f.file_size_bytes FROM ducklake_data_file f JOIN folder USING (table_id) \
         UNION ALL SELECT CASE WHEN d.path_is_relative = 0 THEN d.path \
         ELSE folder.path || d.path END, d.file_size_bytes FROM ducklake_delete_file d \
         JOIN folder USING (table_id)"
    )))
    .fetch_all(&mut *connection)
    .await?;
    Ok(rows)
}

/// As [`named_paths`], with the files that wait for their removal (of size -1).
pub async fn all_paths(connection: &mut SqliteConnection) -> Result<Vec<(String, i64)>> {
    let mut paths = named_paths(connection).await?;
    let waiting: Vec<(String, i64)> =
        sqlx::query_as("SELECT path, -1 FROM ducklake_files_scheduled_for_deletion")
            .fetch_all(&mut *connection)
            .await?;
    paths.extend(waiting);
    Ok(paths)
}
