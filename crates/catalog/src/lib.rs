//! The metadata database: DuckLake 1.0's tables and Frazil's own, versioned by snapshot.
//!
//! Every commit is one snapshot; what a snapshot shows never changes, so answers are cached by
//! snapshot and never invalidated.

pub mod account;
pub mod changes;
mod error;
pub mod files;
mod loads;
mod migrations;
pub mod objects;
pub mod physical;
mod sqlite;
mod store;
pub mod view;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use frazil_common::{Code, SnapshotId, UserError};
use parking_lot::Mutex;
use sqlx::{Sqlite, SqlitePool, Transaction};

pub use changes::{CatalogChange, CommitMeta, CommitOutcome, CommitRequest};
pub use error::{CatalogError, Result};
pub use files::FileSet;
pub use loads::{CommittedLoad, FileLoad, LOAD_METADATA_DAYS, LoadError, LoadStatus, TableLoads};
pub use migrations::Migration;
pub use objects::{
    Autoincrement, ColumnInfo, DatabaseInfo, Head, SchemaInfo, SnapshotInfo, TableInfo, TableKind,
    TableSize, ViewInfo,
};
pub use sqlite::SqliteStore;
pub use store::CatalogStore;
pub use view::{CatalogView, Definitions, Relation};

/// A write transaction on the catalog database; dropping it rolls back.
pub type WriteTransaction = Transaction<'static, Sqlite>;

const DEFINITIONS_CACHED_MAX: usize = 64;
const FILE_SETS_CACHED_MAX: usize = 4096;

/// The catalog. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: SqliteStore,
    /// By schema version: equal versions have equal definitions.
    definitions: Mutex<HashMap<i64, Arc<Definitions>>>,
    /// Newest known file set of each table.
    files: Mutex<HashMap<i64, (SnapshotId, Arc<FileSet>)>>,
    /// Snapshots and their times, oldest first.
    times: Mutex<Vec<(SnapshotId, i64)>>,
    /// Snapshots after the first up to the second were all committed here.
    own: Mutex<Option<(SnapshotId, SnapshotId)>>,
}

impl Catalog {
    /// Opens the catalog file, makes it where absent and brings it up to date.
    ///
    /// Fails when the file is of a version this build does not read.
    pub async fn open(path: &Path) -> Result<Catalog> {
        let store = SqliteStore::open(path).await?;
        Ok(Catalog {
            inner: Arc::new(Inner {
                store,
                definitions: Mutex::default(),
                files: Mutex::default(),
                times: Mutex::default(),
                own: Mutex::default(),
            }),
        })
    }

    /// Connections for reading Frazil's own tables.
    pub fn read_pool(&self) -> &SqlitePool {
        self.inner.store.read_pool()
    }

    /// The one write transaction (`BEGIN IMMEDIATE`); waits for its turn. Dropping rolls back.
    pub async fn begin_write(&self) -> Result<WriteTransaction> {
        self.inner.store.begin_write().await
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.inner.store.close().await;
    }

    /// Number of the newest snapshot.
    pub async fn head(&self) -> Result<SnapshotId> {
        Ok(self.inner.store.head().await?.snapshot)
    }

    /// The definitions of the newest snapshot.
    pub async fn head_view(&self) -> Result<Arc<CatalogView>> {
        let head = self.inner.store.head().await?;
        self.view_of(head).await
    }

    /// The definitions of a snapshot; an error where it is unknown or expired.
    pub async fn view(&self, snapshot: SnapshotId) -> Result<Arc<CatalogView>> {
        let head = self.inner.store.head_at(snapshot).await?.ok_or_else(|| no_travel(snapshot))?;
        self.view_of(head).await
    }

    async fn view_of(&self, head: Head) -> Result<Arc<CatalogView>> {
        let cached = self.inner.definitions.lock().get(&head.schema_version).cloned();
        let definitions = match cached {
            Some(definitions) => definitions,
            None => {
                let loaded = Arc::new(self.inner.store.definitions(head.snapshot).await?);
                let mut cache = self.inner.definitions.lock();
                if cache.len() >= DEFINITIONS_CACHED_MAX {
                    // Old versions are read for time travel only; the newest is asked for again.
                    cache.clear();
                }
                cache.insert(head.schema_version, Arc::clone(&loaded));
                loaded
            }
        };
        Ok(Arc::new(CatalogView::new(head.snapshot, head.schema_version, definitions)))
    }

    /// A table's files at a snapshot.
    pub async fn files(&self, table_id: i64, snapshot: SnapshotId) -> Result<Arc<FileSet>> {
        let known = self.inner.files.lock().get(&table_id).cloned();
        if let Some((at, files)) = &known
            && *at == snapshot
        {
            return Ok(Arc::clone(files));
        }
        // Other clients rewrite catalog rows when they compact; only own commits are built upon.
        let own = *self.inner.own.lock();
        let older = known.as_ref().filter(|(at, _)| {
            *at < snapshot && own.is_some_and(|(first, last)| *at >= first && snapshot <= last)
        });
        let loaded = self
            .inner
            .store
            .files(table_id, snapshot, older.map(|(at, files)| (*at, files.as_ref())))
            .await?;
        let loaded = Arc::new(loaded);
        if known.is_none_or(|(at, _)| at < snapshot) {
            let mut cache = self.inner.files.lock();
            if cache.len() >= FILE_SETS_CACHED_MAX {
                cache.clear();
            }
            cache.insert(table_id, (snapshot, Arc::clone(&loaded)));
        }
        Ok(loaded)
    }

    /// Rows and bytes of every table at a snapshot; tables without files are absent.
    pub async fn table_sizes(&self, snapshot: SnapshotId) -> Result<HashMap<i64, TableSize>> {
        Ok(self.inner.store.table_sizes(snapshot).await?.into_iter().collect())
    }

    /// The snapshot that was newest at a time (microseconds since 1970 UTC).
    pub async fn snapshot_at(&self, micros: i64) -> Result<SnapshotId> {
        let last = self.inner.times.lock().last().map_or(-1, |(snapshot, _)| *snapshot);
        let fresh = self.inner.store.snapshots(last).await?;
        let mut times = self.inner.times.lock();
        for info in fresh {
            if times.last().is_none_or(|(snapshot, _)| *snapshot < info.snapshot) {
                times.push((info.snapshot, info.micros));
            }
        }
        times.iter().rev().find(|(_, at)| *at <= micros).map(|(snapshot, _)| *snapshot).ok_or_else(
            || {
                CatalogError::User(UserError::new(
                    Code::TimeTravelUnavailable,
                    "Time travel data is not available. The requested time is either beyond the \
                     allowed time travel period or before the object creation time.",
                ))
            },
        )
    }

    /// The snapshot a committed statement read: the one before its commit.
    pub async fn snapshot_before_statement(&self, query_id: &str) -> Result<Option<SnapshotId>> {
        Ok(self.inner.store.snapshot_of_statement(query_id).await?.map(|(before, _)| before))
    }

    /// The snapshot a statement's commit made; none when it committed nothing.
    pub async fn snapshot_of_statement(&self, query_id: &str) -> Result<Option<SnapshotId>> {
        Ok(self.inner.store.snapshot_of_statement(query_id).await?.map(|(_, after)| after))
    }

    /// Snapshots after `after` (-1 for all), oldest first.
    pub async fn snapshots(&self, after: SnapshotId) -> Result<Vec<SnapshotInfo>> {
        self.inner.store.snapshots(after).await
    }

    /// Path and size of every file that any snapshot knows; paths as the catalog has them below
    /// the data folder, absolute ones with a leading slash.
    pub async fn file_paths(&self) -> Result<Vec<(String, i64)>> {
        self.inner.store.file_paths().await
    }

    /// What COPY INTO loaded into one table, or into all; oldest first. Records older than
    /// [`LOAD_METADATA_DAYS`] may be among them.
    pub async fn loads(&self, table_id: Option<i64>) -> Result<Vec<CommittedLoad>> {
        self.inner.store.loads(table_id).await
    }

    /// The rows that a statement's load into a table left out, as far as they were kept.
    pub async fn load_errors(&self, table_id: i64, query_id: &str) -> Result<Vec<LoadError>> {
        self.inner.store.load_errors(table_id, query_id).await
    }

    /// Faults in the catalog database; empty when sound.
    pub async fn integrity(&self) -> Result<Vec<String>> {
        self.inner.store.integrity().await
    }

    /// Makes a durable counter for an AUTOINCREMENT column or a sequence; gives its id.
    pub async fn create_counter(&self, start: i64, step: i64) -> Result<i64> {
        self.inner.store.create_counter(start, step).await
    }

    /// Takes `count` values of a counter and gives the first; the others follow by the counter's
    /// step. Durable before it returns; gaps are possible.
    pub async fn next_values(&self, sequence_id: i64, count: u64) -> Result<i64> {
        self.inner.store.next_values(sequence_id, count).await
    }

    /// Commits everything or nothing, as one snapshot.
    ///
    /// Fails with [`CatalogError::Conflict`] when another commit got in the way.
    pub async fn commit(&self, request: &CommitRequest) -> Result<CommitOutcome> {
        let outcome = self.inner.store.commit(request).await?;
        let mut own = self.inner.own.lock();
        *own = Some(match *own {
            Some((first, last)) if last + 1 == outcome.snapshot => (first, outcome.snapshot),
            // Commits may report out of order; the range then starts anew, which is only slower.
            Some((first, last)) if outcome.snapshot <= last => (first, last),
            _ => (outcome.snapshot - 1, outcome.snapshot),
        });
        Ok(outcome)
    }
}

fn no_travel(snapshot: SnapshotId) -> CatalogError {
    CatalogError::User(UserError::new(
        Code::TimeTravelUnavailable,
        format!("Time travel data is not available for snapshot {snapshot}."),
    ))
}
