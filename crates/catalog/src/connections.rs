//! Connections to Frazil's own tables as a [`crate::CatalogStore`] gives them out. Which database lies
//! below is this crate's business alone.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Sqlite, Transaction};

use crate::error::Result;

/// A connection that reads.
#[derive(Debug)]
pub struct ReadConnection(PoolConnection<Sqlite>);

impl ReadConnection {
    pub(crate) fn new(connection: PoolConnection<Sqlite>) -> ReadConnection {
        ReadConnection(connection)
    }
}

impl Deref for ReadConnection {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0
    }
}

impl DerefMut for ReadConnection {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0
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
    transaction: Transaction<'static, Sqlite>,
    gate: Option<Arc<dyn CommitGate>>,
}

impl WriteTransaction {
    pub(crate) fn new(transaction: Transaction<'static, Sqlite>) -> WriteTransaction {
        WriteTransaction { transaction, gate: None }
    }

    /// The same, whose commit passes through `gate`.
    #[must_use]
    pub fn through(self, gate: Arc<dyn CommitGate>) -> WriteTransaction {
        WriteTransaction { gate: Some(gate), ..self }
    }

    /// Makes all changes of the transaction last, or none.
    ///
    /// # Errors
    /// The database fails; whether the changes were made is then unknown.
    pub async fn commit(self) -> Result<()> {
        let WriteTransaction { transaction, gate } = self;
        let commit = async move { Ok(transaction.commit().await?) };
        match gate {
            Some(gate) => gate.pass(Box::pin(commit)).await,
            None => commit.await,
        }
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
