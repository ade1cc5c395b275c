//! Connections to Frazil's own tables as a [`crate::CatalogStore`] gives them out. Which database lies
//! below is this crate's business alone.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Sqlite, SqlitePool};

use crate::error::Result;
use crate::sqlite::writer::WriterTurn;

/// Connections that are ready for the next read.
///
/// A pool tests each connection that comes back to it, by a task and a question of its own: more work than the
/// reads of one row that every statement has. So a few stay out of it between two reads.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    pool: SqlitePool,
    shelf: Arc<Shelf>,
}

/// Connections kept at most: the pool has others for reads of several statements.
pub(crate) const READY_MAX: usize = 3;

/// After so long the pool has the connection back and tests it.
const READY_FOR: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Ready {
    connection: PoolConnection<Sqlite>,
    since: Instant,
}

#[derive(Debug, Default)]
struct Shelf(Mutex<Vec<Ready>>);

impl Drop for Shelf {
    /// A connection that goes back to its pool needs a task to do so, and there may be no runtime any more.
    fn drop(&mut self) {
        for ready in self.0.get_mut().drain(..) {
            drop(ready.connection.detach());
        }
    }
}

impl Readers {
    pub(crate) fn new(pool: SqlitePool) -> Readers {
        Readers { pool, shelf: Arc::default() }
    }

    /// The connections for reads of several statements.
    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    pub(crate) async fn acquire(&self) -> Result<ReadConnection> {
        let ready = self.shelf.0.lock().pop();
        let ready = match ready {
            Some(ready) => ready,
            None => Ready { connection: self.pool.acquire().await?, since: Instant::now() },
        };
        Ok(ReadConnection { ready: Some(ready), home: self.clone() })
    }

    pub(crate) async fn close(&self) {
        // What comes back from here on goes to the pool, which waits for all of its connections.
        let closing = self.pool.close();
        self.shelf.0.lock().clear();
        closing.await;
    }

    fn take_back(&self, ready: Ready) {
        let mut kept = self.shelf.0.lock();
        if kept.len() < READY_MAX && ready.since.elapsed() < READY_FOR && !self.pool.is_closed() {
            kept.push(ready);
        }
    }
}

/// A connection that reads.
#[derive(Debug)]
pub struct ReadConnection {
    /// None once dropped.
    ready: Option<Ready>,
    home: Readers,
}

impl Drop for ReadConnection {
    fn drop(&mut self) {
        if let Some(ready) = self.ready.take() {
            self.home.take_back(ready);
        }
    }
}

/// A connection is taken out by its drop alone.
const TAKEN: &str = "a dropped connection is not used";

#[expect(clippy::expect_used, reason = "TAKEN says why")]
impl Deref for ReadConnection {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.ready.as_ref().expect(TAKEN).connection
    }
}

#[expect(clippy::expect_used, reason = "TAKEN says why")]
impl DerefMut for ReadConnection {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.ready.as_mut().expect(TAKEN).connection
    }
}

/// What a commit passes through, for a store that fails on purpose.
#[async_trait]
pub trait CommitGate: Send + Sync + std::fmt::Debug {
    /// Lets the commit happen, or not, and gives the answer that the caller hears.
    async fn pass(&self, commit: BoxFuture<'static, Result<()>>) -> Result<()>;
}

/// A write transaction; dropping it rolls back.
#[derive(Debug)]
pub struct WriteTransaction {
    transaction: WriterTurn,
    gate: Option<Arc<dyn CommitGate>>,
    /// Grows with each commit, whatever comes of it.
    commits: Arc<AtomicU64>,
}

impl WriteTransaction {
    pub(crate) fn new(transaction: WriterTurn) -> WriteTransaction {
        WriteTransaction { transaction, gate: None, commits: Arc::default() }
    }

    /// The same, whose commit passes through `gate`.
    #[must_use]
    pub fn through(self, gate: Arc<dyn CommitGate>) -> WriteTransaction {
        WriteTransaction { gate: Some(gate), ..self }
    }

    /// The same, counted where it commits.
    #[must_use]
    pub(crate) fn counted(self, commits: Arc<AtomicU64>) -> WriteTransaction {
        WriteTransaction { commits, ..self }
    }

    /// Makes all changes of the transaction last, or none.
    ///
    /// # Errors
    /// The database fails; whether the changes were made is then unknown.
    pub async fn commit(self) -> Result<()> {
        let WriteTransaction { transaction, gate, commits } = self;
        let commit = transaction.commit();
        let outcome = match gate {
            Some(gate) => gate.pass(Box::pin(commit)).await,
            None => commit.await,
        };
        commits.fetch_add(1, Ordering::SeqCst);
        outcome
    }
}

impl Deref for WriteTransaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for WriteTransaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}
