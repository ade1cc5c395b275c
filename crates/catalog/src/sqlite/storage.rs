//! What tables take on the disk.

use std::collections::{HashMap, HashSet};

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::expire::FOLDERS;
use crate::error::Result;
use crate::objects::TableStorage;

/// The bytes of the files that each table owns.
pub async fn of_tables(
    connection: &mut SqliteConnection,
    data_path: &str,
) -> Result<Vec<(i64, TableStorage)>> {
    let mut all: HashMap<i64, TableStorage> = HashMap::new();
    let unsigned = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
    for table in ["ducklake_data_file", "ducklake_delete_file"] {
        let own: Vec<(i64, bool, i64)> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT table_id, end_snapshot IS NULL, SUM(file_size_bytes) FROM {table} \
             WHERE path_is_relative = 1 GROUP BY 1, 2"
        )))
        .fetch_all(&mut *connection)
        .await?;
        for (table, live, bytes) in own {
            let storage = all.entry(table).or_default();
            let part = if live { &mut storage.active } else { &mut storage.time_travel };
            *part += unsigned(bytes);
        }
    }
    let shared: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT min(table_id), path, max(file_size_bytes) FROM ducklake_data_file \
         WHERE path_is_relative = 0 GROUP BY path",
    )
    .fetch_all(&mut *connection)
    .await?;
    if shared.is_empty() {
        return Ok(all.into_iter().collect());
    }
    let folders: Vec<(i64, String)> = sqlx::query_as(FOLDERS).fetch_all(&mut *connection).await?;
    let folders: HashMap<String, i64> =
        folders.into_iter().map(|(table, path)| (path, table)).collect();
    let own: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT folder.path || f.path FROM ducklake_data_file f \
         JOIN ({FOLDERS}) folder ON folder.table_id = f.table_id WHERE f.path_is_relative = 1"
    )))
    .fetch_all(&mut *connection)
    .await?;
    let own: HashSet<String> = own.into_iter().collect();
    for (clone, path, bytes) in shared {
        let below = path.strip_prefix(data_path).unwrap_or(&path);
        if own.contains(below) {
            continue;
        }
        let folder = below.rfind('/').map_or("", |end| &below[..=end]);
        match folders.get(folder) {
            Some(source) => all.entry(*source).or_default().retained_for_clones += unsigned(bytes),
            // The source is gone for good: the first of its clones takes the file over.
            None => all.entry(clone).or_default().active += unsigned(bytes),
        }
    }
    Ok(all.into_iter().collect())
}
