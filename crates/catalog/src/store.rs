//! What a database must do to hold the catalog: the one door to it. SQL dialects live behind this.

use async_trait::async_trait;
use frazil_common::SnapshotId;

use crate::changes::{CommitOutcome, CommitRequest, Expired};
use crate::connections::{ReadConnection, WriteTransaction};
use crate::error::Result;
use crate::files::{DeleteHistory, FileSet, InlinedHistory};
use crate::loads::{CommittedLoad, LoadError};
use crate::objects::{ColumnInfo, Head, SnapshotInfo, TableSize, TableStorage};
use crate::view::Definitions;

/// What was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropKind {
    Table,
    View,
    Schema,
    Database,
}

/// An object that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropRow {
    pub id: i64,
    /// Its last name; of a schema DuckLake's, `DB.S`.
    pub name: String,
    /// Of a table or view, its schema.
    pub schema_id: Option<i64>,
    /// The snapshot that dropped it.
    pub dropped_at: SnapshotId,
    /// When, in microseconds since 1970 UTC.
    pub dropped_micros: i64,
}

/// The metadata database: DuckLake's tables, by calls, and Frazil's own, by connections that
/// [`crate::account`] alone puts statements on.
#[async_trait]
pub trait CatalogStore: Send + Sync + std::fmt::Debug {
    /// The newest snapshot.
    async fn head(&self) -> Result<Head>;
    /// A snapshot that still exists.
    async fn head_at(&self, snapshot: SnapshotId) -> Result<Option<Head>>;
    /// All definitions at a snapshot; none where it is unknown or expired.
    async fn definitions(&self, snapshot: SnapshotId) -> Result<Option<Definitions>>;
    /// As [`CatalogStore::definitions`]: databases and schemas, and of tables and views at least
    /// what the object with this id is or holds.
    async fn definitions_of(
        &self,
        snapshot: SnapshotId,
        kind: DropKind,
        id: i64,
    ) -> Result<Option<Definitions>>;
    /// A table's files at a snapshot; `known` is an older answer to build on.
    async fn files(
        &self,
        table_id: i64,
        snapshot: SnapshotId,
        known: Option<(SnapshotId, &FileSet)>,
    ) -> Result<FileSet>;
    /// Rows and bytes of every table that has any.
    async fn table_sizes(&self, snapshot: SnapshotId) -> Result<Vec<(i64, TableSize)>>;
    /// Rows and bytes of tables, each at a snapshot of its own, in the order asked.
    async fn sizes_at(&self, tables: &[(i64, SnapshotId)]) -> Result<Vec<TableSize>>;
    /// What the files take that each table owns, dropped ones too.
    async fn table_storage(&self) -> Result<Vec<(i64, TableStorage)>>;
    /// Snapshots after `after`, oldest first.
    async fn snapshots(&self, after: SnapshotId) -> Result<Vec<SnapshotInfo>>;
    /// The snapshots (before, after) of the commit that a statement was part of.
    async fn snapshot_of_statement(
        &self,
        query_id: &str,
    ) -> Result<Option<(SnapshotId, SnapshotId)>>;
    /// The last entry among those of committed statements that begins with a text.
    async fn statement_with_prefix(&self, prefix: &str) -> Result<Option<String>>;
    /// Objects of a kind that are gone, the last dropped first.
    async fn dropped(&self, kind: DropKind) -> Result<Vec<DropRow>>;
    /// The longest DATA_RETENTION_TIME_IN_DAYS that is or was set for anything; 0 for none.
    async fn longest_retention_days(&self) -> Result<u16>;
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
    /// All rows in a table's inlined tables that began up to `base`, the ended ones too.
    async fn inlined_history(&self, table_id: i64, base: SnapshotId)
    -> Result<Vec<InlinedHistory>>;
    /// The deletes from a data file up to `base`.
    async fn delete_history(
        &self,
        table_id: i64,
        file_id: i64,
        base: SnapshotId,
    ) -> Result<DeleteHistory>;
    /// The snapshots at which a table shows all rows it did, ascending.
    async fn whole_snapshots(&self, table_id: i64) -> Result<Vec<SnapshotId>>;
    /// A table's columns as rows that began at a snapshot are stored.
    async fn stored_columns(&self, table_id: i64, snapshot: SnapshotId) -> Result<Vec<ColumnInfo>>;
    /// Rows in the inlined tables, by lake table.
    async fn inlined_counts(&self) -> Result<Vec<(i64, u64)>>;
    /// Forgets snapshots that were superseded before a time, but for those in `keep`.
    async fn expire(&self, before_micros: i64, keep: &[SnapshotId]) -> Result<Expired>;
    /// Forgets rows of tables that ended before a time (by table, microseconds since 1970 UTC), but
    /// for those that snapshots in `keep` show; gives the number of files.
    async fn expire_rows(&self, tables: &[(i64, i64)], keep: &[SnapshotId]) -> Result<u64>;
    /// Paths scheduled for removal before a time that no snapshot names.
    async fn scheduled_files(&self, before_micros: i64) -> Result<Vec<String>>;
    /// Takes removed files off the schedule.
    async fn unschedule_files(&self, paths: &[String]) -> Result<()>;
    /// Waits for the commits of this store that have begun and whose time may be this one (microseconds
    /// since 1970 UTC) or an earlier one. Later commits have later times, if this one is past.
    async fn settle(&self, micros: i64);
    /// Whether this store committed all snapshots after `from` up to `to`.
    fn committed_alone(&self, from: SnapshotId, to: SnapshotId) -> bool;
    /// Whether it did, and none of them touched the rows of a table.
    fn left_rows_alone(&self, table_id: i64, from: SnapshotId, to: SnapshotId) -> bool;
    /// Commits everything or nothing, as one snapshot. Commits that wait together share one
    /// transaction of the database; each is answered when that is durable.
    async fn commit(&self, request: CommitRequest) -> Result<CommitOutcome>;
    /// A connection to read Frazil's own tables.
    async fn reader(&self) -> Result<ReadConnection>;
    /// The one write transaction on Frazil's own tables; waits for its turn.
    async fn begin_write(&self) -> Result<WriteTransaction>;
    /// Ends all connections.
    async fn close(&self);
}
