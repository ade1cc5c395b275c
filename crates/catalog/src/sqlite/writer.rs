//! The one connection that writes, and its transactions.
//!
//! The driver would begin and end each transaction by a question of its own, and test the connection when it
//! comes back to its pool. A commit of one row has few questions besides, and each waits for two switches
//! between threads: so the connection is kept here, and both ends of a transaction may ride along with what
//! is sent anyway.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Sqlite, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::ahead::Ahead;
use super::batch::Batch;
use crate::error::{CatalogError, Result};

/// Times a write transaction is begun before its error is told.
const TRIES_MAX: usize = 3;

/// What begins a write transaction.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// The connection and the line before it.
#[derive(Debug, Clone)]
pub struct Writer {
    /// Makes a connection where the last one was given up.
    pool: SqlitePool,
    kept: Arc<Mutex<Kept>>,
    dated: Dated,
}

/// The earliest time (microseconds since 1970 UTC) that a commit may have which nobody sees yet.
#[derive(Debug, Clone)]
struct Dated(Arc<AtomicI64>);

/// There is no such commit.
const NONE: i64 = i64::MAX;

#[derive(Debug, Default)]
struct Kept {
    /// None before the first write, and after a transaction that did not end.
    connection: Option<PoolConnection<Sqlite>>,
    /// What the last transaction left, where it was a commit that tells.
    ahead: Option<Ahead>,
}

impl Writer {
    pub fn new(pool: SqlitePool) -> Writer {
        Writer { pool, kept: Arc::default(), dated: Dated(Arc::new(AtomicI64::new(NONE))) }
    }

    /// Whether a commit under way may have a time that is no later than this one.
    pub fn may_be_at(&self, micros: i64) -> bool {
        self.dated.0.load(Ordering::SeqCst) <= micros
    }

    /// Waits for the connection; no transaction has begun on it.
    pub async fn turn(&self) -> Result<WriterTurn> {
        let mut kept = Arc::clone(&self.kept).lock_owned().await;
        if kept.connection.is_none() {
            kept.connection = Some(self.pool.acquire().await?);
        }
        // Whatever this transaction does, it is no longer so.
        let ahead = kept.ahead.take();
        Ok(WriterTurn { kept, open: false, ahead, dated: self.dated.clone() })
    }

    /// Starts the only write transaction; dropping it rolls back.
    pub async fn begin(&self) -> Result<WriterTurn> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut turn = self.turn().await?;
            match turn.send(BEGIN).await {
                // Another connection may do better.
                Err(CatalogError::Database(error @ sqlx::Error::WorkerCrashed))
                    if tries < TRIES_MAX =>
                {
                    tracing::warn!(%error, "the catalog's connection is replaced by a new one");
                }
                other => return other.map(|()| turn),
            }
        }
    }

    /// Waits for the transaction under way and closes the connection.
    pub async fn close(&self) {
        let mut kept = self.kept.lock().await;
        let closing = self.pool.close();
        kept.connection.take();
        closing.await;
    }
}

/// The writing connection in one's own hands. Whatever transaction is open on it when it is dropped is
/// rolled back.
#[derive(Debug)]
pub struct WriterTurn {
    kept: OwnedMutexGuard<Kept>,
    /// A transaction may have begun that has not ended.
    open: bool,
    ahead: Option<Ahead>,
    dated: Dated,
}

impl WriterTurn {
    /// Tells that the transaction takes the time of now, or a later one, for its commits.
    pub fn takes_a_time(&self, now: i64) {
        self.dated.0.fetch_min(now, Ordering::SeqCst);
    }

    /// What the last transaction left.
    pub fn ahead(&mut self) -> Option<Ahead> {
        self.ahead.take()
    }

    /// The statement that begins the transaction, for a caller that sends it before the others.
    pub fn opening(&mut self) -> &'static str {
        self.open = true;
        BEGIN
    }

    /// Runs what is left of a transaction and commits it; `ahead` is how things stand then.
    pub async fn commit_after(mut self, mut rest: Batch, ahead: Option<Ahead>) -> Result<()> {
        rest.statement("COMMIT");
        rest.run(&mut self).await?;
        self.open = false;
        self.kept.ahead = ahead;
        Ok(())
    }

    /// Makes all changes of the transaction last, or none.
    pub async fn commit(mut self) -> Result<()> {
        self.send("COMMIT").await?;
        self.open = false;
        Ok(())
    }

    /// Takes all changes back. Dropping does too, and costs the connection.
    pub async fn roll_back(mut self) {
        if self.open && self.send("ROLLBACK").await.is_ok() {
            self.open = false;
        }
    }

    async fn send(&mut self, sql: &'static str) -> Result<()> {
        self.open = true;
        sqlx::query(sql).execute(&mut **self).await?;
        Ok(())
    }
}

impl Drop for WriterTurn {
    /// Nobody knows what the database has made of a transaction that was broken off: it rolls back what a
    /// closed connection leaves.
    fn drop(&mut self) {
        self.dated.0.store(NONE, Ordering::SeqCst);
        if self.open
            && let Some(connection) = self.kept.connection.take()
        {
            drop(connection.detach());
        }
    }
}

/// The connection is there from the turn's start to its drop.
const HELD: &str = "a turn holds its connection";

#[expect(clippy::expect_used, reason = "HELD says why")]
impl Deref for WriterTurn {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.kept.connection.as_ref().expect(HELD)
    }
}

#[expect(clippy::expect_used, reason = "HELD says why")]
impl DerefMut for WriterTurn {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.kept.connection.as_mut().expect(HELD)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::path::PathBuf;

    use frazil_common::{Code, UserError};

    use super::super::SqliteStore;
    use crate::{CatalogError, CatalogStore};

    async fn store() -> (PathBuf, SqliteStore) {
        let name = format!("frazil-writer-{}", uuid::Uuid::now_v7());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store = SqliteStore::open(&folder.join("catalog.sqlite")).await.unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn a_full_disk_ends_no_later_write() {
        let (folder, store) = store().await;
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

    #[tokio::test]
    async fn what_does_not_commit_leaves_nothing_and_keeps_nobody_waiting() {
        let (folder, store) = store().await;
        let insert = "INSERT INTO ducklake_metadata VALUES ('mark', ?, NULL, NULL)";
        for end in ["dropped", "rolled back", "not begun", "committed"] {
            let mut turn = match end {
                "not begun" => store.writer.turn().await.unwrap(),
                _ => store.writer.begin().await.unwrap(),
            };
            if end == "not begun" {
                // The text that opens it was handed out and never sent.
                assert_eq!(turn.opening(), super::BEGIN);
                continue;
            }
            sqlx::query(insert).bind(end).execute(&mut *turn).await.unwrap();
            match end {
                "rolled back" => turn.roll_back().await,
                "committed" => turn.commit().await.unwrap(),
                _ => drop(turn),
            }
        }
        let marks: Vec<String> =
            sqlx::query_scalar("SELECT value FROM ducklake_metadata WHERE key = 'mark'")
                .fetch_all(&mut *store.reader().await.unwrap())
                .await
                .unwrap();
        assert_eq!(marks, ["committed"]);
        store.close().await;
        assert!(store.begin_write().await.is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
