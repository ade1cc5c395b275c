//! Takes out of the catalog what no snapshot shows: expiry, and the list of files to remove.

use std::collections::HashSet;

use frazil_common::SnapshotId;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, SqliteConnection};

use super::commit::NewSnapshot;
use super::inlined::quoted;
use super::snapshots::{format_time, now_micros, parse_time};
use super::writer::WriterTurn;
use crate::changes::Expired;
use crate::error::Result;

/// A row's life in which no snapshot is left; `%` stands for the table's alias.
const UNSEEN: &str = "%.end_snapshot IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ducklake_snapshot s \
     WHERE s.snapshot_id >= %.begin_snapshot AND s.snapshot_id < %.end_snapshot)";

fn unseen(alias: &str) -> String {
    UNSEEN.replace('%', alias)
}

/// Folder of a table; a table keeps it for life, whatever it is renamed to.
pub(super) const FOLDERS: &str = "SELECT t.table_id, CASE WHEN t.path_is_relative = 0 THEN t.path \
     ELSE s.path || t.path END AS path FROM ducklake_table t \
     JOIN ducklake_schema s ON s.schema_id = t.schema_id GROUP BY t.table_id";

/// Schedules and forgets the data files that a condition on `f` chooses, with their delete files.
pub async fn remove_files(new: &mut NewSnapshot<'_>, condition: &str, value: i64) -> Result<()> {
    let time = format_time(new.micros);
    schedule(new.transaction().await?, condition, Some(value), &time).await.map(|_| ())
}

/// Schedules and forgets data files with their delete files; gives the number of both.
pub(super) async fn schedule(
    tx: &mut WriterTurn,
    condition: &str,
    value: Option<i64>,
    time: &str,
) -> Result<u64> {
    let mut count = 0;
    // The delete files first: they are found through their data files.
    for (table, id, condition) in [
        (
            "ducklake_delete_file",
            "delete_file_id",
            format!(
                "f.data_file_id IN (SELECT data_file_id FROM ducklake_data_file f WHERE {condition})"
            ),
        ),
        ("ducklake_data_file", "data_file_id", condition.to_string()),
    ] {
        count += schedule_rows(tx, table, id, &condition, value, time).await?;
    }
    Ok(count)
}

/// As [`schedule`], of one of the two tables.
pub(super) async fn schedule_rows(
    tx: &mut WriterTurn,
    table: &str,
    id: &str,
    condition: &str,
    value: Option<i64>,
    time: &str,
) -> Result<u64> {
    let scheduled = format!(
        "INSERT INTO ducklake_files_scheduled_for_deletion \
         SELECT f.{id}, CASE WHEN f.path_is_relative = 0 THEN f.path ELSE folder.path || f.path END, \
         CASE WHEN f.path_is_relative = 0 OR folder.path LIKE '/%' THEN 0 ELSE 1 END, '{time}' \
         FROM {table} f JOIN ({FOLDERS}) folder ON folder.table_id = f.table_id WHERE {condition}"
    );
    let mut statements = vec![scheduled];
    if table == "ducklake_data_file" {
        for statistics in [
            "ducklake_file_column_stats",
            "ducklake_file_variant_stats",
            "ducklake_file_partition_value",
        ] {
            statements.push(format!(
                "DELETE FROM {statistics} WHERE data_file_id IN \
                 (SELECT data_file_id FROM ducklake_data_file f WHERE {condition})"
            ));
        }
    }
    statements.push(format!("DELETE FROM {table} AS f WHERE {condition}"));
    let mut removed = 0;
    for statement in statements {
        let query = sqlx::query(AssertSqlSafe(statement));
        let query = match value {
            Some(value) => query.bind(value),
            None => query,
        };
        removed = query.execute(&mut **tx).await?.rows_affected();
    }
    Ok(removed)
}

/// Forgets snapshots that ended before `before_micros`, but for the newest and those in `keep`,
/// and all that no other snapshot shows.
pub async fn expire(
    tx: &mut WriterTurn,
    before_micros: i64,
    keep: &[SnapshotId],
) -> Result<Expired> {
    let snapshots: Vec<(i64, Option<String>)> =
        sqlx::query_as("SELECT snapshot_id, snapshot_time FROM ducklake_snapshot ORDER BY 1")
            .fetch_all(&mut **tx)
            .await?;
    // A snapshot shows the time up to its successor: it goes when that one is old enough.
    let gone: Vec<i64> = snapshots
        .windows(2)
        .filter_map(|pair| match pair {
            [(id, _), (_, next)] => {
                let ended = parse_time(next.as_deref().unwrap_or_default());
                (ended <= before_micros && !keep.contains(id)).then_some(*id)
            }
            _ => None,
        })
        .collect();
    if gone.is_empty() {
        return Ok(Expired::default());
    }
    for chunk in gone.chunks(500) {
        for table in ["ducklake_snapshot", "ducklake_snapshot_changes", "frazil_statement"] {
            let mut delete =
                QueryBuilder::<Sqlite>::new(format!("DELETE FROM {table} WHERE snapshot_id IN ("));
            let mut list = delete.separated(", ");
            for id in chunk {
                list.push_bind(*id);
            }
            delete.push(")");
            delete.build().persistent(false).execute(&mut **tx).await?;
        }
    }
    let time = format_time(now_micros());
    // Tables gone for good take everything of theirs along.
    let dead_tables = format!(
        "SELECT t.table_id FROM ducklake_table t GROUP BY t.table_id HAVING MIN({}) = 1",
        unseen("t")
    );
    let dead: Vec<i64> =
        sqlx::query_scalar(AssertSqlSafe(dead_tables)).fetch_all(&mut **tx).await?;
    let mut files = 0;
    for table in &dead {
        files += schedule(tx, "f.table_id = ?", Some(*table), &time).await?;
    }
    files += schedule(tx, &unseen("f"), None, &time).await?;
    let condition = unseen("f");
    files += schedule_rows(tx, "ducklake_delete_file", "delete_file_id", &condition, None, &time)
        .await?;
    for table in &dead {
        drop_table(tx, *table).await?;
    }
    forget_rows(tx).await?;
    Ok(Expired { snapshots: gone.len() as u64, files })
}

/// Removes every row of a table that no snapshot shows.
async fn drop_table(tx: &mut WriterTurn, table_id: i64) -> Result<()> {
    let inlined: Vec<String> = sqlx::query_scalar(
        "SELECT table_name FROM ducklake_inlined_data_tables WHERE table_id = ?1 UNION ALL \
         SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'ducklake_inlined_delete_' || ?1",
    )
    .bind(table_id)
    .fetch_all(&mut **tx)
    .await?;
    for name in inlined {
        let sql = format!("DROP TABLE IF EXISTS {}", quoted(&name));
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **tx).await?;
    }
    for table in [
        "ducklake_inlined_data_tables",
        "ducklake_table",
        "ducklake_column",
        "ducklake_column_tag",
        "frazil_column_tag",
        "ducklake_table_stats",
        "ducklake_table_column_stats",
        "ducklake_schema_versions",
        "ducklake_sort_info",
        "ducklake_sort_expression",
        "ducklake_partition_info",
        "ducklake_partition_column",
        "frazil_layout",
        "frazil_expired_rows",
    ] {
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {table} WHERE table_id = ?")))
            .bind(table_id)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Removes rows of definitions, and inlined rows, that no snapshot shows. Columns stay while
/// their table does: older files and inlined tables are read by them.
async fn forget_rows(tx: &mut WriterTurn) -> Result<()> {
    let mut tables: Vec<String> = [
        "ducklake_view",
        "ducklake_schema",
        "ducklake_tag",
        "frazil_tag",
        "ducklake_column_tag",
        "frazil_column_tag",
        "frazil_database",
    ]
    .map(str::to_string)
    .into();
    let inlined: Vec<String> =
        sqlx::query_scalar("SELECT table_name FROM ducklake_inlined_data_tables")
            .fetch_all(&mut **tx)
            .await?;
    tables.extend(inlined);
    for table in tables {
        let sql = format!("DELETE FROM {} AS x WHERE {}", quoted(&table), unseen("x"));
        sqlx::query(AssertSqlSafe(sql)).execute(&mut **tx).await?;
    }
    super::partitions::forget(tx, &unseen("x")).await
}

/// Paths scheduled for removal before a time. Those that a snapshot of any table still names are
/// left out: a table names its own files below the data folder, a clone names them from the root.
pub async fn scheduled(
    connection: &mut SqliteConnection,
    before_micros: i64,
    data_path: &str,
) -> Result<Vec<String>> {
    let rows: Vec<(String, Option<String>)> =
        sqlx::query_as("SELECT path, schedule_start FROM ducklake_files_scheduled_for_deletion")
            .fetch_all(&mut *connection)
            .await?;
    let old = rows
        .into_iter()
        .filter(|(_, time)| parse_time(time.as_deref().unwrap_or_default()) < before_micros);
    let paths: Vec<String> = old.map(|(path, _)| path).collect();
    if paths.is_empty() {
        return Ok(paths);
    }
    let absolute = |path: &str| match path.starts_with('/') {
        true => path.to_string(),
        false => format!("{data_path}{path}"),
    };
    let named = super::files::named_paths(connection).await?;
    let named: HashSet<String> = named.iter().map(|(path, _)| absolute(path)).collect();
    Ok(paths.into_iter().filter(|path| !named.contains(&absolute(path))).collect())
}

/// Takes removed files off the schedule; with those that a snapshot names again.
pub async fn unschedule(tx: &mut WriterTurn, paths: &[String]) -> Result<()> {
    for path in paths {
        sqlx::query("DELETE FROM ducklake_files_scheduled_for_deletion WHERE path = ?")
            .bind(path)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}
