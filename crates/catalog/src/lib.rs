//! The metadata database: DuckLake 1.0's tables and Frazil's own, versioned by snapshot.
//!
//! Every commit is one snapshot; what a snapshot shows never changes, so answers are cached by
//! snapshot and never invalidated.

pub mod account;
pub mod changes;
mod connections;
pub mod defaults;
pub mod effects;
mod error;
pub mod files;
pub mod foreign_types;
pub mod foreign_views;
mod loads;
mod migrations;
pub mod objects;
pub mod partitioning;
pub mod physical;
mod sqlite;
mod store;
pub mod view;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use frazil_common::{Code, SnapshotId, UserError};
use parking_lot::Mutex;

pub use changes::{CatalogChange, CommitMeta, CommitOutcome, CommitRequest};
pub use connections::{CommitGate, ReadConnection, WriteTransaction};
pub use defaults::DucklakeDefault;
pub use effects::{
    AccountEffects, CopiedGrants, CopiedObjects, CopiedPolicies, NewOwner, RenamedSchema,
};
pub use error::{CatalogError, Result};
pub use files::FileSet;
pub use loads::{CommittedLoad, FileLoad, LOAD_METADATA_DAYS, LoadError, LoadStatus, TableLoads};
pub use migrations::Migration;
pub use objects::{
    Autoincrement, ClonedFile, ColumnInfo, ConstraintInfo, ConstraintKind, DatabaseInfo, Head,
    SchemaInfo, SnapshotInfo, SortBy, SortKey, TableClone, TableInfo, TableKind, TableSize,
    TableStorage, ViewInfo,
};
pub use partitioning::{FilePartition, PartitionKey, Partitioning, Transform};
pub use sqlite::{CatalogFile, SqliteStore};
/// An error of the database driver.
pub use sqlx::Error as DatabaseError;
pub use store::{CatalogStore, DropKind, DropRow};
pub use view::{CatalogView, Definitions, Dropped, Relation};

/// The catalog's file in a data directory.
pub const CATALOG_FILE: &str = "catalog.sqlite";

const DEFINITIONS_CACHED_MAX: usize = 64;
const FILE_SETS_CACHED_MAX: usize = 4096;
/// Commits at once are microseconds apart, and some clocks are set by small steps: times so little ahead tell
/// of no clock that was wrong.
const CLOCK_SLACK_MICROS: i64 = 1_000_000;

/// The catalog. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The database: the lake's tables and Frazil's own.
    store: Arc<dyn CatalogStore>,
    /// By schema version: equal versions have equal definitions.
    definitions: Mutex<HashMap<i64, Arc<Definitions>>>,
    /// Newest known file set of each table.
    files: Mutex<HashMap<i64, (SnapshotId, Arc<FileSet>)>>,
    /// Snapshot of the last relocation of each table, by this process.
    relocated: Mutex<HashMap<i64, SnapshotId>>,
    last_commit: AtomicI64,
    account_changes: Arc<AtomicU64>,
    /// Snapshots and their times, oldest first.
    times: Mutex<Vec<(SnapshotId, i64)>>,
}

impl Catalog {
    /// Opens the catalog file, makes it where absent and brings it up to date.
    ///
    /// Fails when the file is of a version this build does not read.
    pub async fn open(path: &Path) -> Result<Catalog> {
        Ok(Catalog::over(Arc::new(SqliteStore::open(path).await?)))
    }

    /// Opens a catalog file to look at it; another process may be writing it.
    ///
    /// Fails when the file is absent or of a version this build does not read.
    pub async fn inspect(path: &Path) -> Result<Catalog> {
        Ok(Catalog::over(Arc::new(SqliteStore::inspect(path).await?)))
    }

    /// A catalog in any database, such as one that fails on purpose.
    pub fn over(store: Arc<dyn CatalogStore>) -> Catalog {
        Catalog {
            inner: Arc::new(Inner {
                store,
                definitions: Mutex::default(),
                files: Mutex::default(),
                relocated: Mutex::default(),
                last_commit: AtomicI64::new(-1),
                account_changes: Arc::default(),
                times: Mutex::default(),
            }),
        }
    }

    /// A connection to read Frazil's own tables.
    pub async fn reader(&self) -> Result<ReadConnection> {
        self.inner.store.reader().await
    }

    /// The one write transaction on Frazil's own tables; waits for its turn. Dropping rolls back.
    pub async fn begin_write(&self) -> Result<WriteTransaction> {
        let transaction = self.inner.store.begin_write().await?;
        Ok(transaction.counted(Arc::clone(&self.inner.account_changes)))
    }

    /// Writes of Frazil's own tables that this process has tried to commit, and commits with effects on them.
    pub fn account_changes(&self) -> u64 {
        self.inner.account_changes.load(Ordering::SeqCst)
    }

    /// Whether the database can be written; nothing is.
    ///
    /// # Errors
    /// No write transaction can be begun, or the database takes no write.
    pub async fn check_writable(&self) -> Result<()> {
        let mut tx = self.begin_write().await?;
        // That a transaction begins tells nothing of a file that can only be read.
        sqlx::query("UPDATE frazil_counter SET value = value WHERE name = ''")
            .execute(&mut *tx)
            .await?;
        Ok(())
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
        loop {
            let head = self.inner.store.head().await?;
            // What is no longer the newest may expire before its definitions are read.
            if let Some(view) = self.view_of(head).await? {
                return Ok(view);
            }
        }
    }

    /// The definitions of a snapshot; an error where it is unknown or expired.
    pub async fn view(&self, snapshot: SnapshotId) -> Result<Arc<CatalogView>> {
        let head = self.inner.store.head_at(snapshot).await?.ok_or_else(|| no_travel(snapshot))?;
        self.view_of(head).await?.ok_or_else(|| no_travel(snapshot))
    }

    /// The newest snapshot that this process committed; -1 before its first.
    pub fn last_commit(&self) -> SnapshotId {
        self.inner.last_commit.load(Ordering::SeqCst)
    }

    /// The definitions of a snapshot that was looked up; none where it has expired since.
    pub async fn view_of(&self, head: Head) -> Result<Option<Arc<CatalogView>>> {
        let cached = self.inner.definitions.lock().get(&head.schema_version).cloned();
        let definitions = match cached {
            Some(definitions) => definitions,
            None => {
                let Some(loaded) = self.inner.store.definitions(head.snapshot).await? else {
                    return Ok(None);
                };
                let loaded = Arc::new(loaded);
                let mut cache = self.inner.definitions.lock();
                if cache.len() >= DEFINITIONS_CACHED_MAX {
                    // Old versions are read for time travel only; the newest is asked for again.
                    cache.clear();
                }
                cache.insert(head.schema_version, Arc::clone(&loaded));
                loaded
            }
        };
        let view = CatalogView::new(head.snapshot, head.schema_version, definitions);
        Ok(Some(Arc::new(view)))
    }

    /// A table's files at a snapshot.
    pub async fn files(&self, table_id: i64, snapshot: SnapshotId) -> Result<Arc<FileSet>> {
        let known = self.inner.files.lock().get(&table_id).cloned();
        let moved = self.inner.relocated.lock().get(&table_id).copied().unwrap_or(0);
        // A set from before its rows were moved names files that may be gone.
        let known = known.filter(|(_, files)| files.layout >= moved);
        if let Some((at, files)) = &known
            && *at == snapshot
        {
            return Ok(Arc::clone(files));
        }
        // Other clients rewrite catalog rows when they compact; only own commits are built upon.
        let older = known
            .as_ref()
            .filter(|(at, _)| *at < snapshot && self.inner.store.committed_alone(*at, snapshot));
        if let Some((at, files)) = older
            && self.inner.store.left_rows_alone(table_id, *at, snapshot)
        {
            return Ok(Arc::clone(files));
        }
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

    /// Rows and bytes of tables, each at a snapshot of its own, in the order asked.
    pub async fn sizes_at(&self, tables: &[(i64, SnapshotId)]) -> Result<Vec<TableSize>> {
        self.inner.store.sizes_at(tables).await
    }

    /// What the files take that each table owns, by table, dropped ones too.
    pub async fn table_storage(&self) -> Result<HashMap<i64, TableStorage>> {
        Ok(self.inner.store.table_storage().await?.into_iter().collect())
    }

    /// Learns of snapshots made since.
    async fn load_times(&self) -> Result<()> {
        let last = self.inner.times.lock().last().map_or(-1, |(snapshot, _)| *snapshot);
        let fresh = self.inner.store.snapshots(last).await?;
        let mut times = self.inner.times.lock();
        for info in fresh {
            if times.last().is_none_or(|(snapshot, _)| *snapshot < info.snapshot) {
                times.push((info.snapshot, info.micros));
            }
        }
        Ok(())
    }

    /// The snapshot that was newest at a time (microseconds since 1970 UTC).
    ///
    /// # Errors
    /// 000707 for a time that no snapshot is known to be the newest at: after one whose successor
    /// expired, that one may have been.
    pub async fn snapshot_at(&self, micros: i64) -> Result<SnapshotId> {
        self.load_times().await?;
        let times = self.inner.times.lock();
        let later = times.iter().rev().take_while(|(_, at)| *at > micros).count();
        let newest = times.len().checked_sub(later + 1);
        let found = newest.and_then(|index| Some((times.get(index)?.0, times.get(index + 1))));
        match found {
            Some((snapshot, next)) if next.is_none_or(|(id, _)| *id == snapshot + 1) => {
                Ok(snapshot)
            }
            _ => Err(CatalogError::User(UserError::new(
                Code::TimeTravelUnavailable,
                "Time travel data is not available. The requested time is either beyond the \
                 allowed time travel period or before the object creation time.",
            ))),
        }
    }

    /// The snapshot that a statement means which asks at `now` for the newest one of a time: as
    /// [`Catalog::snapshot_at`], but that a clock which was ahead and was set back hides nothing. Commits since
    /// then have times in the future, for times grow with snapshots; asked for `now` it is the newest of all.
    ///
    /// # Errors
    /// 000707 also for earlier times at which one of those may have been the newest.
    pub async fn snapshot_asked_for(&self, micros: i64, now: i64) -> Result<SnapshotId> {
        // A commit has its time before anybody sees it: asked again, the answer would be another.
        self.inner.store.settle(micros).await;
        self.load_times().await?;
        {
            let times = self.inner.times.lock();
            let ahead =
                times.partition_point(|(_, at)| *at <= now.saturating_add(CLOCK_SLACK_MICROS));
            match (times.last(), ahead.checked_sub(1).and_then(|last| times.get(last))) {
                (Some((newest, _)), _) if ahead < times.len() && micros >= now => {
                    return Ok(*newest);
                }
                (_, Some((_, before))) if ahead < times.len() && micros >= *before => {
                    return Err(CatalogError::User(UserError::new(
                        Code::TimeTravelUnavailable,
                        "The system clock was set back: the times of the last commits are in the future, and \
                         which of them were there at this time is not known. Ask for the present, or AT \
                         (STATEMENT => …).",
                    )));
                }
                _ => {}
            }
        }
        self.snapshot_at(micros).await
    }

    /// Tables that are gone and were dropped at or after a time, the last dropped first; only
    /// those `wanted`, and whose last state can still be read.
    pub async fn dropped_tables(
        &self,
        since: i64,
        wanted: impl Fn(&DropRow) -> bool,
    ) -> Result<Vec<Dropped<TableInfo>>> {
        let find = |view: &CatalogView, row: &DropRow| view.table_by_id(row.id).cloned();
        self.dropped(DropKind::Table, since, wanted, find).await
    }

    /// As [`Catalog::dropped_tables`], of views.
    pub async fn dropped_views(
        &self,
        since: i64,
        wanted: impl Fn(&DropRow) -> bool,
    ) -> Result<Vec<Dropped<ViewInfo>>> {
        let find = |view: &CatalogView, row: &DropRow| {
            view.views().find(|found| found.view_id == row.id).cloned()
        };
        self.dropped(DropKind::View, since, wanted, find).await
    }

    /// As [`Catalog::dropped_tables`], of schemas.
    pub async fn dropped_schemas(
        &self,
        since: i64,
        wanted: impl Fn(&DropRow) -> bool,
    ) -> Result<Vec<Dropped<SchemaInfo>>> {
        let find = |view: &CatalogView, row: &DropRow| {
            let schema = view.schemas().find(|schema| schema.schema_id == row.id)?;
            // Its database may have another name by now.
            let ducklake_name = row.name.clone();
            Some(Arc::new(SchemaInfo { ducklake_name, ..SchemaInfo::clone(schema) }))
        };
        self.dropped(DropKind::Schema, since, wanted, find).await
    }

    /// As [`Catalog::dropped_tables`], of databases.
    pub async fn dropped_databases(
        &self,
        since: i64,
        wanted: impl Fn(&DropRow) -> bool,
    ) -> Result<Vec<Dropped<DatabaseInfo>>> {
        let find = |view: &CatalogView, row: &DropRow| view.database_by_id(row.id).cloned();
        self.dropped(DropKind::Database, since, wanted, find).await
    }

    async fn dropped<T>(
        &self,
        kind: DropKind,
        since: i64,
        wanted: impl Fn(&DropRow) -> bool,
        find: impl Fn(&CatalogView, &DropRow) -> Option<Arc<T>>,
    ) -> Result<Vec<Dropped<T>>> {
        let mut all = Vec::new();
        for row in self.inner.store.dropped(kind).await? {
            if row.dropped_micros < since || !wanted(&row) {
                continue;
            }
            let Some(head) = self.inner.store.head_at(row.dropped_at - 1).await? else { continue };
            // Not the whole of each: of many that were dropped it is much, and not seen again.
            let part = self.inner.store.definitions_of(head.snapshot, kind, row.id).await?;
            let Some(part) = part else { continue };
            let view =
                Arc::new(CatalogView::new(head.snapshot, head.schema_version, Arc::new(part)));
            if let Some(object) = find(&view, &row) {
                let DropRow { dropped_at, dropped_micros, .. } = row;
                all.push(Dropped { object, view, dropped_at, dropped_micros });
            }
        }
        Ok(all)
    }

    /// The longest DATA_RETENTION_TIME_IN_DAYS that is or was set for anything; 0 for none.
    pub async fn longest_retention_days(&self) -> Result<u16> {
        self.inner.store.longest_retention_days().await
    }

    /// When a snapshot stopped being the newest (microseconds since 1970 UTC); none while it is.
    /// Where its successor expired, the last moment that it is known to have been.
    pub async fn current_until(&self, snapshot: SnapshotId) -> Result<Option<i64>> {
        self.load_times().await?;
        let times = self.inner.times.lock();
        let next = times.partition_point(|(known, _)| *known <= snapshot);
        Ok(times.get(next).map(|(id, at)| match *id == snapshot + 1 {
            true => *at,
            false => {
                let own = next.checked_sub(1).and_then(|index| times.get(index));
                own.filter(|(known, _)| *known == snapshot).map_or(i64::MIN, |(_, at)| *at)
            }
        }))
    }

    /// The snapshot a committed statement read: the one before its commit.
    pub async fn snapshot_before_statement(&self, query_id: &str) -> Result<Option<SnapshotId>> {
        Ok(self.inner.store.snapshot_of_statement(query_id).await?.map(|(before, _)| before))
    }

    /// The snapshot a statement's commit made; none when it committed nothing.
    pub async fn snapshot_of_statement(&self, query_id: &str) -> Result<Option<SnapshotId>> {
        Ok(self.inner.store.snapshot_of_statement(query_id).await?.map(|(_, after)| after))
    }

    /// The last entry among those of committed statements that begins with a text.
    pub async fn statement_with_prefix(&self, prefix: &str) -> Result<Option<String>> {
        self.inner.store.statement_with_prefix(prefix).await
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
    pub async fn commit(&self, request: CommitRequest) -> Result<CommitOutcome> {
        let moved: Vec<i64> = request.relocations.iter().map(|r| r.table_id).collect();
        let comes_back = request.changes.iter().any(|change| {
            matches!(change, CatalogChange::UndropTable { .. } | CatalogChange::UndropSchema { .. })
        });
        let changes_account = !request.account.is_empty();
        let outcome = self.inner.store.commit(request).await;
        if changes_account {
            self.inner.account_changes.fetch_add(1, Ordering::SeqCst);
        }
        let outcome = outcome?;
        self.inner.last_commit.fetch_max(outcome.snapshot, Ordering::SeqCst);
        if let Some((before, after)) = outcome.same_definitions {
            let mut definitions = self.inner.definitions.lock();
            if let Some(known) = definitions.get(&before).cloned() {
                definitions.insert(after, known);
            }
        }
        let mut relocated = self.inner.relocated.lock();
        for table in moved {
            let last = relocated.entry(table).or_default();
            *last = outcome.snapshot.max(*last);
        }
        drop(relocated);
        if comes_back {
            // Files that are back do not look new to an answer from while they were gone.
            self.inner.files.lock().clear();
        }
        Ok(outcome)
    }

    /// All rows in a table's inlined tables that began up to `base`, the ended ones too.
    pub async fn inlined_history(
        &self,
        table_id: i64,
        base: SnapshotId,
    ) -> Result<Vec<files::InlinedHistory>> {
        self.inner.store.inlined_history(table_id, base).await
    }

    /// The deletes from a data file up to `base`.
    pub async fn delete_history(
        &self,
        table_id: i64,
        file_id: i64,
        base: SnapshotId,
    ) -> Result<files::DeleteHistory> {
        self.inner.store.delete_history(table_id, file_id, base).await
    }

    /// The snapshots at which a table shows all rows it did, ascending: rows that none of them shows
    /// are nobody's any more.
    pub async fn whole_snapshots(&self, table_id: i64) -> Result<Vec<SnapshotId>> {
        self.inner.store.whole_snapshots(table_id).await
    }

    /// A table's columns as rows that began at `snapshot` are stored.
    pub async fn stored_columns(
        &self,
        table_id: i64,
        snapshot: SnapshotId,
    ) -> Result<Vec<ColumnInfo>> {
        self.inner.store.stored_columns(table_id, snapshot).await
    }

    /// Rows in the catalog's inlined tables, the ended ones too, by table.
    pub async fn inlined_counts(&self) -> Result<Vec<(i64, u64)>> {
        self.inner.store.inlined_counts().await
    }

    /// Forgets snapshots that were superseded before a time (microseconds since 1970 UTC), but
    /// for those in `keep`, and schedules the files that no other snapshot shows.
    pub async fn expire(
        &self,
        before_micros: i64,
        keep: &[SnapshotId],
    ) -> Result<changes::Expired> {
        let expired = self.inner.store.expire(before_micros, keep).await?;
        if expired.snapshots > 0 {
            self.inner.times.lock().clear();
        }
        Ok(expired)
    }

    /// Forgets rows of tables that ended before a time (by table, microseconds since 1970 UTC), but
    /// for those that snapshots in `keep` show, and schedules their files; gives their number.
    /// Older snapshots of such a table cannot be read any more.
    pub async fn expire_rows(&self, tables: &[(i64, i64)], keep: &[SnapshotId]) -> Result<u64> {
        self.inner.store.expire_rows(tables, keep).await
    }

    /// Paths scheduled for removal before a time that no snapshot of any table names.
    pub async fn scheduled_files(&self, before_micros: i64) -> Result<Vec<String>> {
        self.inner.store.scheduled_files(before_micros).await
    }

    /// Takes removed files off the schedule.
    pub async fn unschedule_files(&self, paths: &[String]) -> Result<()> {
        self.inner.store.unschedule_files(paths).await
    }
}

fn no_travel(snapshot: SnapshotId) -> CatalogError {
    CatalogError::User(UserError::new(
        Code::TimeTravelUnavailable,
        format!("Time travel data is not available for snapshot {snapshot}."),
    ))
}
