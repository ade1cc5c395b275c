//! What a database must do to hold the catalog. SQL dialects live behind this.

use async_trait::async_trait;
use frazil_common::SnapshotId;

use crate::changes::{CommitOutcome, CommitRequest};
use crate::error::Result;
use crate::files::FileSet;
use crate::loads::{CommittedLoad, LoadError};
use crate::objects::{Head, SnapshotInfo, TableSize};
use crate::view::Definitions;

/// The metadata database.
#[async_trait]
pub trait CatalogStore: Send + Sync + std::fmt::Debug {
    /// The newest snapshot.
    async fn head(&self) -> Result<Head>;
    /// A snapshot that still exists.
    async fn head_at(&self, snapshot: SnapshotId) -> Result<Option<Head>>;
    /// All definitions at a snapshot.
    async fn definitions(&self, snapshot: SnapshotId) -> Result<Definitions>;
    /// A table's files at a snapshot; `known` is an older answer to build on.
    async fn files(
        &self,
        table_id: i64,
        snapshot: SnapshotId,
        known: Option<(SnapshotId, &FileSet)>,
    ) -> Result<FileSet>;
    /// Rows and bytes of every table that has any.
    async fn table_sizes(&self, snapshot: SnapshotId) -> Result<Vec<(i64, TableSize)>>;
    /// Snapshots after `after`, oldest first.
    async fn snapshots(&self, after: SnapshotId) -> Result<Vec<SnapshotInfo>>;
    /// The snapshots (before, after) of the commit that a statement was part of.
    async fn snapshot_of_statement(
        &self,
        query_id: &str,
    ) -> Result<Option<(SnapshotId, SnapshotId)>>;
    /// Path below the data folder (absolute ones as they are) and size of every file any
    /// snapshot knows.
    async fn file_paths(&self) -> Result<Vec<(String, i64)>>;
    /// Loads of one table, or of all; oldest first.
    async fn loads(&self, table_id: Option<i64>) -> Result<Vec<CommittedLoad>>;
    /// Rows that a statement's load into a table left out.
    async fn load_errors(&self, table_id: i64, query_id: &str) -> Result<Vec<LoadError>>;
    /// Faults found in the database; empty when sound.
    async fn integrity(&self) -> Result<Vec<String>>;
    /// Takes `count` values of a counter; gives the first. Durable, gaps are possible.
    async fn next_values(&self, counter: i64, count: u64) -> Result<i64>;
    /// Makes a counter.
    async fn create_counter(&self, start: i64, step: i64) -> Result<i64>;
    /// Commits everything or nothing, as one snapshot.
    async fn commit(&self, request: &CommitRequest) -> Result<CommitOutcome>;
}
