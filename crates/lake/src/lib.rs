//! Rows at rest: DuckLake tables as Parquet files, and transactions over them.
//!
//! A transaction reads one catalog snapshot per statement with its own changes on top, writes new
//! files that nobody sees, and publishes all of it as one catalog snapshot.

pub mod backup;
mod caught;
mod changes;
mod checksum;
mod claims;
mod directory;
mod doctor;
mod durable;
mod error;
mod files;
mod folder;
mod local_disk;
mod maintenance;
mod partition;
mod quarantine;
mod read_point;
mod row_identity;
mod scan;
mod settings;
mod temporary;
mod transaction;
mod unclaimed;
mod version;
mod write;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use datafusion::catalog::TableProvider;
use datafusion::execution::runtime_env::RuntimeEnv;
use frazil_catalog::files::{DeleteFileEntry, FileSet, VisibleFile};
use frazil_catalog::{Catalog, CatalogView, TableInfo, TableKind};
use frazil_common::{QualifiedName, SnapshotId, UserError};
use parking_lot::Mutex;

pub use changes::{CHANGE_ACTION, CHANGE_IS_UPDATE, CHANGE_ROW_ID, ChangeRange};
pub use directory::{DataDirectory, FormatFault, format_fault};
pub use doctor::DoctorReport;
pub use error::{LakeError, Result};
pub use files::{DurableStore, FileStore, NewObject};
pub use folder::ObjectFolder;
pub use frazil_catalog::{AccountEffects, CommitMeta};
pub use maintenance::{ClusteringInformation, MaintenanceReport};
pub use quarantine::{Quarantined, batch_name, batch_time};
pub use read_point::ReadPoint;
pub use scan::{FILE_COLUMN, HIDDEN_COLUMNS, LakeTable, ROW_ID, ROW_NUMBER_COLUMN, hidden_fields};
pub use settings::{Compression, LakeSettings};
pub use transaction::{
    Clustering, DeleteOutcome, LakeTransaction, MergeOutcome, NewClone, NewTable, NewView,
    Savepoint, SeveralActions, UpdateOutcome,
};
pub use version::{DataFile, FileKey, RowChunk, StagedChunk, TableVersion};
pub use write::statistics::default_text;

use claims::Claims;
use temporary::Temporaries;
use write::delete_file::DeletedRows;

/// Positions by file id and the snapshot they were cut at.
type PositionCache = HashMap<(i64, SnapshotId), Arc<Vec<i64>>>;

const DELETES_CACHED_MAX: usize = 4096;

/// All tables of an account. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    catalog: Catalog,
    store: FileStore,
    settings: LakeSettings,
    temporaries: Temporaries,
    /// Rows by delete file.
    deletes: Mutex<HashMap<i64, Arc<DeletedRows>>>,
    /// Rows hidden in merged files, by data file and snapshot.
    later_rows: Mutex<PositionCache>,
    written: Mutex<maintenance::Written>,
    flush_wanted: tokio::sync::Notify,
    claims: Claims,
    /// Open transactions by number.
    active: Mutex<HashMap<u64, Active>>,
    begun: AtomicU64,
    /// Files that clean-up found nameless beside transactions that were open.
    suspects: Mutex<Option<quarantine::Suspects>>,
    /// Memory and spill space for rows that are sorted.
    runtime: OnceLock<Arc<RuntimeEnv>>,
}

/// An open transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Active {
    /// Microseconds since 1970 UTC.
    pub began_micros: i64,
    /// The snapshot its statements read.
    pub snapshot: SnapshotId,
}

impl Lake {
    /// Opens the lake of a data directory; temporary tables left by an earlier run are removed.
    pub async fn open(catalog: Catalog, data_dir: &Path, settings: LakeSettings) -> Result<Lake> {
        let io = |source| LakeError::Io { path: data_dir.display().to_string(), source };
        let root = data_dir.canonicalize().map_err(io)?;
        Lake::open_on(catalog, FileStore::local(&root), settings).await
    }

    /// The same on a given store of files.
    pub async fn open_on(
        catalog: Catalog,
        store: FileStore,
        settings: LakeSettings,
    ) -> Result<Lake> {
        store.clear_sessions().await?;
        let lake = Lake::on(catalog, store, settings);
        lake.find_inlined().await?;
        Ok(lake)
    }

    /// A lake to look at while another process may be writing it; nothing is made or removed.
    pub fn inspect(catalog: Catalog, data_dir: &Path) -> Result<Lake> {
        let io = |source| LakeError::Io { path: data_dir.display().to_string(), source };
        let store = FileStore::local(&data_dir.canonicalize().map_err(io)?);
        Ok(Lake::on(catalog, store, LakeSettings::default()))
    }

    fn on(catalog: Catalog, store: FileStore, settings: LakeSettings) -> Lake {
        Lake {
            inner: Arc::new(Inner {
                catalog,
                store,
                settings,
                temporaries: Temporaries::default(),
                deletes: Mutex::default(),
                later_rows: Mutex::default(),
                written: Mutex::default(),
                flush_wanted: tokio::sync::Notify::new(),
                claims: Claims::default(),
                active: Mutex::default(),
                begun: AtomicU64::new(0),
                suspects: Mutex::default(),
                runtime: OnceLock::new(),
            }),
        }
    }

    /// The catalog below.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// The store of data files.
    pub fn store(&self) -> &FileStore {
        &self.inner.store
    }

    pub(crate) fn settings(&self) -> &LakeSettings {
        &self.inner.settings
    }

    pub(crate) fn written(&self) -> &Mutex<maintenance::Written> {
        &self.inner.written
    }

    pub(crate) fn flush_wanted(&self) -> &tokio::sync::Notify {
        &self.inner.flush_wanted
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.inner.claims
    }

    pub(crate) fn active(&self) -> &Mutex<HashMap<u64, Active>> {
        &self.inner.active
    }

    /// The number of the transaction that begins next.
    pub(crate) fn coming_number(&self) -> u64 {
        self.inner.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn suspects(&self) -> &Mutex<Option<quarantine::Suspects>> {
        &self.inner.suspects
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.inner.begun.fetch_add(1, Ordering::Relaxed)
    }

    /// Sets whose memory and spill space is used where rows are sorted; the first call counts.
    pub fn use_runtime(&self, runtime: Arc<RuntimeEnv>) {
        if self.inner.runtime.set(runtime).is_err() {
            tracing::debug!("the lake has a runtime already");
        }
    }

    pub(crate) fn runtime(&self) -> Arc<RuntimeEnv> {
        Arc::clone(self.inner.runtime.get_or_init(Arc::default))
    }

    pub(crate) fn temporaries(&self) -> &Temporaries {
        &self.inner.temporaries
    }

    /// Starts a transaction of a session at the newest snapshot.
    pub async fn begin(&self, session_id: i64) -> Result<LakeTransaction> {
        self.begin_at(session_id, self.read_point()).await
    }

    /// Starts one at the newest snapshot that `point` knows.
    pub async fn begin_at(&self, session_id: i64, point: ReadPoint) -> Result<LakeTransaction> {
        LakeTransaction::begin(self.clone(), session_id, point).await
    }

    /// Keeps what can be read from now on, for a transaction that begins soon.
    pub fn read_point(&self) -> ReadPoint {
        ReadPoint::new(self.clone())
    }

    /// The permanent objects of the newest snapshot.
    pub async fn view(&self) -> Result<Arc<CatalogView>> {
        Ok(self.catalog().head_view().await?)
    }

    /// A table as it was at a snapshot.
    pub async fn table_version_at(
        &self,
        name: &QualifiedName,
        snapshot: SnapshotId,
    ) -> Result<Arc<TableVersion>> {
        let view = self.catalog().view(snapshot).await?;
        let table = view.table(name).ok_or_else(|| UserError::not_found("Table", name))?;
        self.committed_version(table, snapshot).await.map(Arc::new)
    }

    /// A table as it was at a snapshot, whatever its name was then; none where it was not there.
    pub async fn table_version_by_id(
        &self,
        table_id: i64,
        snapshot: SnapshotId,
    ) -> Result<Option<Arc<TableVersion>>> {
        let view = self.catalog().view(snapshot).await?;
        match view.table_by_id(table_id) {
            Some(table) => Ok(Some(Arc::new(self.committed_version(table, snapshot).await?))),
            None => Ok(None),
        }
    }

    /// A provider that reads a table version.
    pub fn scan(&self, version: &Arc<TableVersion>) -> Arc<dyn TableProvider> {
        Arc::new(LakeTable::new(self.inner.store.clone(), Arc::clone(version)))
    }

    /// Whether a session has temporary tables.
    pub fn has_temporary_tables(&self, session_id: i64) -> bool {
        !self.inner.temporaries.get(session_id).tables.is_empty()
    }

    /// Forgets a session's temporary tables and removes their files.
    pub async fn drop_session(&self, session_id: i64) {
        self.inner.temporaries.remove(session_id);
        if let Err(error) = self.inner.store.clear_session(session_id).await {
            tracing::warn!(session_id, %error, "temporary files stay until the next start");
        }
    }

    /// The version of a permanent table that a snapshot shows.
    pub(crate) async fn committed_version(
        &self,
        table: &Arc<TableInfo>,
        snapshot: SnapshotId,
    ) -> Result<TableVersion> {
        if table.table_id < 0 {
            return Ok(TableVersion {
                table: Arc::clone(table),
                snapshot,
                files: Vec::new(),
                chunks: Vec::new(),
            });
        }
        debug_assert!(table.kind != TableKind::Temporary);
        let set: Arc<FileSet> = self.catalog().files(table.table_id, snapshot).await?;
        let mut files = Vec::with_capacity(set.files.len());
        for visible in &set.files {
            files.push(self.data_file(table, visible, snapshot).await?);
        }
        let chunks = set.inlined.iter().cloned().map(RowChunk::Committed).collect();
        Ok(TableVersion { table: Arc::clone(table), snapshot, files, chunks })
    }

    pub(crate) async fn data_file(
        &self,
        table: &TableInfo,
        visible: &VisibleFile,
        snapshot: SnapshotId,
    ) -> Result<DataFile> {
        let file = &visible.file;
        let refuse = |what: &str| {
            LakeError::User(UserError::unsupported(format!("{what} of table {}", table.name)))
        };
        if file.encrypted {
            return Err(refuse("encrypted files"));
        }
        if file.mapping_id.is_some() && file.names.is_none() {
            return Err(refuse("files whose columns come from elsewhere (hive partitions)"));
        }
        let path = self.inner.store.locate(&place(table, &file.path))?;
        let mut deleted: Arc<Vec<i64>> = Arc::clone(&visible.inlined_deletes);
        if let Some(entry) = &visible.delete_file {
            let rows = self.deleted_rows(table, entry).await?;
            // Some clients keep later deletes in the same file, and tell by the rows alone.
            let positions = rows.at(snapshot);
            deleted = union(&deleted, &positions);
        }
        if file.partial_max.is_some_and(|max| max > snapshot) {
            let key = (file.file_id, snapshot);
            let cached = self.inner.later_rows.lock().get(&key).cloned();
            let later = match cached {
                Some(later) => later,
                None => {
                    let read = write::delete_file::later_rows(&self.inner.store, &path, snapshot);
                    let read = read.await.map_err(|error| {
                        error.of_file(table, version::described(file.file_id, &file.path))
                    })?;
                    remember(&self.inner.later_rows, key, Arc::new(read))
                }
            };
            deleted = union(&deleted, &later);
        }
        let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(DataFile {
            key: FileKey::Committed(file.file_id),
            path,
            name: file.path.clone(),
            rows: unsigned(file.rows),
            bytes: unsigned(file.bytes),
            footer_bytes: unsigned(file.footer_bytes),
            row_id_start: file.row_id_start.unwrap_or(0),
            keeps_row_ids: file.row_id_start.is_none(),
            partition: file.partition.clone(),
            statistics: file.statistics.clone(),
            names: file.names.clone(),
            deleted,
            delete_file: visible.delete_file.as_ref().map(|entry| entry.delete_file_id),
            begun: file.begin_snapshot,
        })
    }

    /// The rows a delete file names.
    pub(crate) async fn deleted_rows(
        &self,
        table: &TableInfo,
        entry: &DeleteFileEntry,
    ) -> Result<Arc<DeletedRows>> {
        let cached = self.inner.deletes.lock().get(&entry.delete_file_id).cloned();
        if let Some(rows) = cached {
            return Ok(rows);
        }
        let path = self.inner.store.locate(&place(table, &entry.path))?;
        let read = write::delete_file::read(&self.inner.store, &path).await.map_err(|error| {
            error.of_file(table, version::described(entry.delete_file_id, &entry.path))
        })?;
        Ok(remember(&self.inner.deletes, entry.delete_file_id, Arc::new(read)))
    }

    /// All positions of a committed delete file that was read.
    pub(crate) fn cached_delete_positions(&self, delete_file: i64) -> Option<Arc<Vec<i64>>> {
        self.inner.deletes.lock().get(&delete_file).map(|rows| Arc::clone(&rows.positions))
    }
}

/// A path of the catalog as below the data folder, or absolute.
fn place(table: &TableInfo, path: &str) -> String {
    if path.starts_with('/') { path.to_string() } else { format!("{}{path}", table.path) }
}

fn remember<K: Eq + std::hash::Hash, V>(
    cache: &Mutex<HashMap<K, Arc<V>>>,
    key: K,
    value: Arc<V>,
) -> Arc<V> {
    let mut cache = cache.lock();
    if cache.len() >= DELETES_CACHED_MAX {
        cache.clear();
    }
    cache.insert(key, Arc::clone(&value));
    value
}

/// Both ascending lists as one.
pub(crate) fn union(left: &Arc<Vec<i64>>, right: &Arc<Vec<i64>>) -> Arc<Vec<i64>> {
    if left.is_empty() {
        return Arc::clone(right);
    }
    if right.is_empty() {
        return Arc::clone(left);
    }
    let mut all: Vec<i64> = left.iter().chain(right.iter()).copied().collect();
    all.sort_unstable();
    all.dedup();
    Arc::new(all)
}
