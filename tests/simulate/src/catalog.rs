//! A catalog database that fails, and whose unsynced log is lost when the process dies.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use frazil_catalog::changes::Expired;
use frazil_catalog::files::{DeleteHistory, FileSet, InlinedHistory};
use frazil_catalog::{
    CATALOG_FILE, CatalogError, CatalogStore, ColumnInfo, CommitGate, CommitOutcome, CommitRequest,
    CommittedLoad, DatabaseError, Definitions, DropKind, DropRow, Head, LoadError, ReadConnection,
    SnapshotInfo, SqliteStore, TableSize, TableStorage, WriteTransaction,
};
use frazil_common::SnapshotId;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use crate::faults::{Call, Faults, Verdict};

type Result<T> = std::result::Result<T, CatalogError>;

/// The database's write-ahead log as it was after the last change that was acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct LogMark {
    /// Changes when the log starts anew.
    salt: Vec<u8>,
    length: u64,
}

/// `SqliteStore` with faults.
#[derive(Debug)]
pub struct FaultyCatalog {
    inner: SqliteStore,
    gate: Arc<Gate>,
}

/// What every durable change passes, those of the account's own tables too.
#[derive(Debug)]
struct Gate {
    faults: Arc<Faults>,
    file: PathBuf,
    acknowledged: Mutex<LogMark>,
}

fn broken(what: &str) -> CatalogError {
    CatalogError::Database(DatabaseError::Protocol(what.to_string()))
}

fn log_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_os_string();
    name.push("-wal");
    PathBuf::from(name)
}

fn mark(file: &Path) -> LogMark {
    let bytes = std::fs::read(log_path(file)).unwrap_or_default();
    LogMark { salt: bytes.get(16..24).unwrap_or_default().to_vec(), length: bytes.len() as u64 }
}

impl FaultyCatalog {
    /// Faults over the database in `file`.
    pub fn new(inner: SqliteStore, faults: Arc<Faults>, file: &Path) -> FaultyCatalog {
        let acknowledged = Mutex::new(mark(file));
        let gate = Gate { faults, file: file.to_path_buf(), acknowledged };
        FaultyCatalog { inner, gate: Arc::new(gate) }
    }

    /// Copies what a crash leaves of the database into the folder `to`: all that was
    /// acknowledged, and any part of what was written since.
    pub fn after_crash(&self, to: &Path) -> std::io::Result<()> {
        let gate = &self.gate;
        let copy = to.join(CATALOG_FILE);
        std::fs::copy(&gate.file, &copy)?;
        let mut log = std::fs::read(log_path(&gate.file)).unwrap_or_default();
        let before = gate.acknowledged.lock().clone();
        let now = mark(&gate.file);
        if now.salt == before.salt && now.length > before.length {
            let fresh = usize::try_from(now.length - before.length).unwrap_or(0);
            log.truncate(log.len() - gate.faults.below(fresh + 1));
        }
        std::fs::write(log_path(&copy), log)
    }

    async fn read(&self) -> Result<()> {
        match self.gate.faults.judge(Call::CatalogRead).await {
            Verdict::Work => Ok(()),
            Verdict::Fail | Verdict::WorkAndFail => Err(broken("input/output error")),
            _ => Err(broken("the process has died")),
        }
    }

    async fn write<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.gate.write(work).await
    }
}

#[async_trait]
impl CommitGate for Gate {
    async fn pass(&self, commit: BoxFuture<'static, Result<()>>) -> Result<()> {
        self.write(commit).await
    }
}

impl Gate {
    async fn write<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let verdict = self.faults.judge(Call::CatalogWrite).await;
        match verdict {
            Verdict::Fail => return Err(broken("disk is full")),
            Verdict::Die | Verdict::Dead => return Err(broken("the process has died")),
            _ => {}
        }
        let done = work.await?;
        match verdict {
            Verdict::Work => {
                *self.acknowledged.lock() = mark(&self.file);
                Ok(done)
            }
            Verdict::WorkAndFail => {
                *self.acknowledged.lock() = mark(&self.file);
                Err(broken("the answer was lost"))
            }
            _ => Err(broken("the process has died")),
        }
    }
}

#[async_trait]
impl CatalogStore for FaultyCatalog {
    async fn head(&self) -> Result<Head> {
        self.read().await?;
        self.inner.head().await
    }

    async fn head_at(&self, snapshot: SnapshotId) -> Result<Option<Head>> {
        self.read().await?;
        self.inner.head_at(snapshot).await
    }

    async fn definitions(&self, snapshot: SnapshotId) -> Result<Option<Definitions>> {
        self.read().await?;
        self.inner.definitions(snapshot).await
    }

    async fn definitions_of(
        &self,
        snapshot: SnapshotId,
        kind: DropKind,
        id: i64,
    ) -> Result<Option<Definitions>> {
        self.read().await?;
        self.inner.definitions_of(snapshot, kind, id).await
    }

    async fn files(
        &self,
        table_id: i64,
        snapshot: SnapshotId,
        known: Option<(SnapshotId, &FileSet)>,
    ) -> Result<FileSet> {
        self.read().await?;
        self.inner.files(table_id, snapshot, known).await
    }

    async fn table_sizes(&self, snapshot: SnapshotId) -> Result<Vec<(i64, TableSize)>> {
        self.read().await?;
        self.inner.table_sizes(snapshot).await
    }

    async fn sizes_at(&self, tables: &[(i64, SnapshotId)]) -> Result<Vec<TableSize>> {
        self.read().await?;
        self.inner.sizes_at(tables).await
    }

    async fn table_storage(&self) -> Result<Vec<(i64, TableStorage)>> {
        self.read().await?;
        self.inner.table_storage().await
    }

    async fn snapshots(&self, after: SnapshotId) -> Result<Vec<SnapshotInfo>> {
        self.read().await?;
        self.inner.snapshots(after).await
    }

    async fn snapshot_of_statement(
        &self,
        query_id: &str,
    ) -> Result<Option<(SnapshotId, SnapshotId)>> {
        self.read().await?;
        self.inner.snapshot_of_statement(query_id).await
    }

    async fn statement_with_prefix(&self, prefix: &str) -> Result<Option<String>> {
        self.read().await?;
        self.inner.statement_with_prefix(prefix).await
    }

    async fn dropped(&self, kind: DropKind) -> Result<Vec<DropRow>> {
        self.read().await?;
        self.inner.dropped(kind).await
    }

    async fn longest_retention_days(&self) -> Result<u16> {
        self.read().await?;
        self.inner.longest_retention_days().await
    }

    async fn file_paths(&self) -> Result<Vec<(String, i64)>> {
        self.read().await?;
        self.inner.file_paths().await
    }

    async fn integrity(&self) -> Result<Vec<String>> {
        self.read().await?;
        self.inner.integrity().await
    }

    async fn next_values(&self, counter: i64, count: u64) -> Result<i64> {
        self.write(self.inner.next_values(counter, count)).await
    }

    async fn create_counter(&self, start: i64, step: i64) -> Result<i64> {
        self.write(self.inner.create_counter(start, step)).await
    }

    async fn loads(&self, table_id: Option<i64>) -> Result<Vec<CommittedLoad>> {
        self.read().await?;
        self.inner.loads(table_id).await
    }

    async fn load_errors(&self, table_id: i64, query_id: &str) -> Result<Vec<LoadError>> {
        self.read().await?;
        self.inner.load_errors(table_id, query_id).await
    }

    async fn inlined_history(
        &self,
        table_id: i64,
        base: SnapshotId,
    ) -> Result<Vec<InlinedHistory>> {
        self.read().await?;
        self.inner.inlined_history(table_id, base).await
    }

    async fn delete_history(
        &self,
        table_id: i64,
        file_id: i64,
        base: SnapshotId,
    ) -> Result<DeleteHistory> {
        self.read().await?;
        self.inner.delete_history(table_id, file_id, base).await
    }

    async fn whole_snapshots(&self, table_id: i64) -> Result<Vec<SnapshotId>> {
        self.read().await?;
        self.inner.whole_snapshots(table_id).await
    }

    async fn stored_columns(&self, table_id: i64, snapshot: SnapshotId) -> Result<Vec<ColumnInfo>> {
        self.read().await?;
        self.inner.stored_columns(table_id, snapshot).await
    }

    async fn inlined_counts(&self) -> Result<Vec<(i64, u64)>> {
        self.read().await?;
        self.inner.inlined_counts().await
    }

    async fn expire(&self, before_micros: i64, keep: &[SnapshotId]) -> Result<Expired> {
        self.write(self.inner.expire(before_micros, keep)).await
    }

    async fn expire_rows(&self, tables: &[(i64, i64)], keep: &[SnapshotId]) -> Result<u64> {
        self.write(self.inner.expire_rows(tables, keep)).await
    }

    async fn scheduled_files(&self, before_micros: i64) -> Result<Vec<String>> {
        self.read().await?;
        self.inner.scheduled_files(before_micros).await
    }

    async fn unschedule_files(&self, paths: &[String]) -> Result<()> {
        self.write(self.inner.unschedule_files(paths)).await
    }

    async fn settle(&self, micros: i64) {
        self.inner.settle(micros).await;
    }

    fn committed_alone(&self, from: SnapshotId, to: SnapshotId) -> bool {
        self.inner.committed_alone(from, to)
    }

    fn left_rows_alone(&self, table_id: i64, from: SnapshotId, to: SnapshotId) -> bool {
        self.inner.left_rows_alone(table_id, from, to)
    }

    async fn commit(&self, request: CommitRequest) -> Result<CommitOutcome> {
        self.write(self.inner.commit(request)).await
    }

    async fn reader(&self) -> Result<ReadConnection> {
        self.read().await?;
        self.inner.reader().await
    }

    async fn begin_write(&self) -> Result<WriteTransaction> {
        self.read().await?;
        let gate = Arc::clone(&self.gate) as Arc<dyn CommitGate>;
        Ok(self.inner.begin_write().await?.through(gate))
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
