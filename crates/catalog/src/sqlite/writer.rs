//! The beginning of write transactions.

use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::Result;

/// Times a write transaction is begun before its error is told.
const TRIES_MAX: usize = 3;

/// Starts the only write transaction; dropping it rolls back.
///
/// Where the disk is full or fails, SQLite may end a transaction by itself, and the driver goes on
/// counting it as open: such a connection begins none any more. It makes room for a new one.
pub(super) async fn begin(writer: &SqlitePool) -> Result<Transaction<'static, Sqlite>> {
    let mut tries = 0;
    loop {
        tries += 1;
        match writer.begin_with("BEGIN IMMEDIATE").await {
            Err(error) if is_of_connection(&error) && tries < TRIES_MAX => {
                tracing::warn!(%error, "the catalog's connection is replaced by a new one");
                // The error of the next try tells more than one of closing.
                if let Err(error) = writer.acquire().await?.close().await {
                    tracing::warn!(%error, "a connection to the catalog could not be closed");
                }
            }
            other => return Ok(other?),
        }
    }
}

/// Whether another connection may do better.
fn is_of_connection(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::InvalidSavePointStatement
            | sqlx::Error::BeginFailed
            | sqlx::Error::WorkerCrashed
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use frazil_common::{Code, UserError};

    use super::super::SqliteStore;
    use crate::{CatalogError, CatalogStore};

    #[tokio::test]
    async fn a_full_disk_ends_no_later_write() {
        let name = format!("frazil-full-{}", uuid::Uuid::now_v7());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store = SqliteStore::open(&folder.join("catalog.sqlite")).await.unwrap();
        // Of one row, SQLite takes the whole transaction back.
        let fill = "INSERT INTO ducklake_metadata VALUES ('x', randomblob(10000000), NULL, NULL)";
        for _ in 0..3 {
            let mut tx = store.begin_write().await.unwrap();
            sqlx::query("PRAGMA max_page_count = 1").execute(&mut *tx).await.unwrap();
            let error = sqlx::query(fill).execute(&mut *tx).await.unwrap_err();
            let error = UserError::from(CatalogError::from(error));
            assert_eq!(error.code, Code::DiskFull, "{error}");
        }
        let mut tx = store.begin_write().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1000000").execute(&mut *tx).await.unwrap();
        drop(tx);
        for _ in 0..2 {
            let counter = store.create_counter(1, 1).await.unwrap();
            assert_eq!(store.next_values(counter, 2).await.unwrap(), 1);
        }
        store.close().await;
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
