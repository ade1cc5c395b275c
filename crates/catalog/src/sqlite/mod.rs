//! The catalog in SQLite. All SQL text of the catalog lies in this folder.

mod ahead;
mod batch;
mod bounds;
mod clones;
mod commit;
mod constraints;
mod copy;
mod definitions;
mod effects;
mod expire;
mod expire_rows;
mod files;
mod group;
mod inlined;
pub(crate) mod inlined_values;
mod layout;
mod loads;
mod partitions;
mod reading;
mod relocate;
mod rename;
mod rows;
mod snapshots;
mod storage;
mod tables;
mod undrop;
mod views;
pub(crate) mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use frazil_common::SnapshotId;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, Transaction};

use crate::changes::{CommitOutcome, CommitRequest, Expired};
use crate::connections::{READY_MAX, ReadConnection, Readers, WriteTransaction};
use crate::error::{CatalogError, Result};
use crate::files::{DeleteHistory, FileSet, InlinedHistory};
use crate::loads::{CommittedLoad, LoadError};
use crate::migrations::{MIGRATIONS, Migration};
use crate::objects::{ColumnInfo, Head, SnapshotInfo, TableSize, TableStorage};
use crate::store::{CatalogStore, DropKind, DropRow};
use crate::view::Definitions;
use group::CommitQueue;
use writer::{Writer, WriterTurn};

pub use copy::CatalogFile;

/// The DuckLake version this store reads and writes.
const DUCKLAKE_VERSION: &str = "1.0";
/// How long a connection waits for a writer of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Reads of several statements at once, and connections that [`Readers`] keeps ready.
const READERS_MAX: u32 = 8 + READY_MAX as u32;

/// A catalog in one SQLite file: one writer connection, several readers.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    readers: Readers,
    writer: Writer,
    /// Absolute folder of the data files, with a slash at its end.
    data_path: String,
    queue: Arc<CommitQueue>,
}

impl SqliteStore {
    /// Opens the file, makes it where absent, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<SqliteStore> {
        let data_path = data_path(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(256)
            .pragma("cache_size", "-65536")
            .pragma("temp_store", "memory");
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .min_connections(1)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        let readers = Readers::new(readers);
        let writer = Writer::new(writer);
        let store = SqliteStore { readers, writer, data_path, queue: Arc::default() };
        store.bootstrap().await?;
        Ok(store)
    }

    /// Opens an existing file to read it alone; another process may be writing it.
    pub async fn inspect(path: &Path) -> Result<SqliteStore> {
        let readers = reading::open(path, READERS_MAX).await?;
        let version: Option<String> = sqlx::query_scalar(
            "SELECT value FROM ducklake_metadata WHERE key = 'version' AND scope IS NULL",
        )
        .fetch_optional(&readers)
        .await?;
        if version.as_deref() != Some(DUCKLAKE_VERSION) {
            return Err(CatalogError::Format(format!(
                "the catalog has DuckLake version {}; this program reads {DUCKLAKE_VERSION}",
                version.as_deref().unwrap_or("none")
            )));
        }
        let data_path = data_path(path)?;
        // Writes fail: the connections are read-only.
        let writer = Writer::new(readers.clone());
        Ok(SqliteStore { readers: Readers::new(readers), writer, data_path, queue: Arc::default() })
    }

    /// Starts the only write transaction; dropping it rolls back.
    async fn begin(&self) -> Result<WriterTurn> {
        self.writer.begin().await
    }

    async fn bootstrap(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::raw_sql(include_str!("schema.sql")).execute(&mut *tx).await?;
        let version: Option<String> = sqlx::query_scalar(
            "SELECT value FROM ducklake_metadata WHERE key = 'version' AND scope IS NULL",
        )
        .fetch_optional(&mut *tx)
        .await?;
        match version.as_deref() {
            None => self.initialise(&mut tx).await?,
            Some(DUCKLAKE_VERSION) => {
                self.follow_data_folder(&mut tx).await?;
            }
            Some(other) => {
                return Err(CatalogError::Format(format!(
                    "the catalog has DuckLake version {other}; this server reads {DUCKLAKE_VERSION}"
                )));
            }
        }
        self.migrate(&mut tx, MIGRATIONS).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn initialise(&self, tx: &mut WriterTurn) -> Result<()> {
        for (key, value) in [
            ("version", DUCKLAKE_VERSION),
            ("created_by", concat!("Frazil ", env!("CARGO_PKG_VERSION"))),
            ("data_path", self.data_path.as_str()),
            ("encrypted", "false"),
        ] {
            sqlx::query("INSERT INTO ducklake_metadata VALUES (?, ?, NULL, NULL)")
                .bind(key)
                .bind(value)
                .execute(&mut **tx)
                .await?;
        }
        let time = snapshots::format_time(snapshots::now_micros());
        sqlx::query("INSERT INTO ducklake_snapshot VALUES (0, ?, 0, 1, 0)")
            .bind(time)
            .execute(&mut **tx)
            .await?;
        sqlx::query(
            "INSERT INTO ducklake_snapshot_changes VALUES (0, 'created_schema:\"main\"', NULL, NULL, NULL)",
        )
        .execute(&mut **tx)
        .await?;
        sqlx::query("INSERT INTO ducklake_schema VALUES (0, ?, 0, NULL, 'main', 'main/', 1)")
            .bind(uuid::Uuid::now_v7().to_string())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The folder may have been moved or restored elsewhere since the last time. Relative paths
    /// stay right; absolute ones below the former data folder (shared files of clones) move along.
    async fn follow_data_folder(&self, tx: &mut WriterTurn) -> Result<()> {
        let former = former_data_path(tx).await?;
        if former == self.data_path {
            return Ok(());
        }
        for statement in [
            "UPDATE ducklake_data_file SET path = ?1 || substr(path, length(?2) + 1) \
             WHERE path_is_relative = 0 AND substr(path, 1, length(?2)) = ?2",
            "UPDATE ducklake_delete_file SET path = ?1 || substr(path, length(?2) + 1) \
             WHERE path_is_relative = 0 AND substr(path, 1, length(?2)) = ?2",
            "UPDATE ducklake_table SET path = ?1 || substr(path, length(?2) + 1) \
             WHERE path_is_relative = 0 AND substr(path, 1, length(?2)) = ?2",
            "UPDATE ducklake_files_scheduled_for_deletion \
             SET path = ?1 || substr(path, length(?2) + 1) \
             WHERE path_is_relative = 0 AND substr(path, 1, length(?2)) = ?2",
            "UPDATE ducklake_metadata SET value = ?1 WHERE key = 'data_path' AND value = ?2",
        ] {
            sqlx::query(statement).bind(&self.data_path).bind(&former).execute(&mut **tx).await?;
        }
        Ok(())
    }

    /// A read transaction: all its statements see the same commit. Between two of them apart, tables
    /// of inlined rows and what names them may go.
    async fn reading(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.readers.pool().begin().await?)
    }

    async fn migrate(&self, tx: &mut WriterTurn, migrations: &[Migration]) -> Result<()> {
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS frazil_migration(name TEXT PRIMARY KEY) WITHOUT ROWID",
        )
        .execute(&mut **tx)
        .await?;
        for migration in migrations {
            let done: Option<String> =
                sqlx::query_scalar("SELECT name FROM frazil_migration WHERE name = ?")
                    .bind(migration.name)
                    .fetch_optional(&mut **tx)
                    .await?;
            if done.is_some() {
                continue;
            }
            sqlx::raw_sql(migration.sql).execute(&mut **tx).await?;
            sqlx::query("INSERT INTO frazil_migration VALUES (?)")
                .bind(migration.name)
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }
}

/// The data folder beside the catalog file, absolute, with a slash at its end.
fn data_path(path: &Path) -> Result<String> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder
        .canonicalize()
        .map_err(|e| CatalogError::Format(format!("folder {}: {e}", folder.display())))?;
    Ok(format!("{}/data/", folder.display()))
}

#[async_trait]
impl CatalogStore for SqliteStore {
    async fn head(&self) -> Result<Head> {
        snapshots::head(&mut *self.readers.acquire().await?).await
    }

    async fn head_at(&self, snapshot: SnapshotId) -> Result<Option<Head>> {
        snapshots::head_at(self.readers.pool(), snapshot).await
    }

    async fn definitions(&self, snapshot: SnapshotId) -> Result<Option<Definitions>> {
        definitions::load(&mut *self.reading().await?, snapshot).await
    }

    async fn definitions_of(
        &self,
        snapshot: SnapshotId,
        kind: DropKind,
        id: i64,
    ) -> Result<Option<Definitions>> {
        definitions::load_of(&mut *self.reading().await?, snapshot, kind, id).await
    }

    async fn files(
        &self,
        table_id: i64,
        snapshot: SnapshotId,
        known: Option<(SnapshotId, &FileSet)>,
    ) -> Result<FileSet> {
        files::load(self.readers.pool(), table_id, snapshot, known).await
    }

    async fn table_sizes(&self, snapshot: SnapshotId) -> Result<Vec<(i64, TableSize)>> {
        files::sizes(&mut *self.reading().await?, snapshot).await
    }

    async fn sizes_at(&self, tables: &[(i64, SnapshotId)]) -> Result<Vec<TableSize>> {
        files::sizes_at(&mut *self.reading().await?, tables).await
    }

    async fn table_storage(&self) -> Result<Vec<(i64, TableStorage)>> {
        storage::of_tables(&mut *self.reading().await?, &self.data_path).await
    }

    async fn snapshots(&self, after: SnapshotId) -> Result<Vec<SnapshotInfo>> {
        snapshots::list(self.readers.pool(), after).await
    }

    async fn snapshot_of_statement(
        &self,
        query_id: &str,
    ) -> Result<Option<(SnapshotId, SnapshotId)>> {
        snapshots::of_statement(self.readers.pool(), query_id).await
    }

    async fn statement_with_prefix(&self, prefix: &str) -> Result<Option<String>> {
        snapshots::statement_with_prefix(self.readers.pool(), prefix).await
    }

    async fn dropped(&self, kind: DropKind) -> Result<Vec<DropRow>> {
        undrop::dropped(&mut *self.reading().await?, kind).await
    }

    async fn longest_retention_days(&self) -> Result<u16> {
        undrop::longest_retention_days(&mut *self.reading().await?).await
    }

    async fn file_paths(&self) -> Result<Vec<(String, i64)>> {
        let mut tx = self.reading().await?;
        let mut paths = files::all_paths(&mut tx).await?;
        // A folder that was moved is brought up to date where it is opened to write; until then as there.
        let former = former_data_path(&mut tx).await?;
        if former != self.data_path {
            for (path, _) in &mut paths {
                if let Some(rest) = path.strip_prefix(&former) {
                    *path = format!("{}{rest}", self.data_path);
                }
            }
        }
        Ok(paths)
    }

    async fn loads(&self, table_id: Option<i64>) -> Result<Vec<CommittedLoad>> {
        loads::list(&mut *self.reading().await?, table_id).await
    }

    async fn load_errors(&self, table_id: i64, query_id: &str) -> Result<Vec<LoadError>> {
        loads::errors(&mut *self.reading().await?, table_id, query_id).await
    }

    async fn integrity(&self) -> Result<Vec<String>> {
        snapshots::integrity(&mut *self.reading().await?).await
    }

    async fn next_values(&self, counter: i64, count: u64) -> Result<i64> {
        let mut tx = self.begin().await?;
        let first = rows::next_values(&mut tx, counter, count).await?;
        tx.commit().await?;
        Ok(first)
    }

    async fn create_counter(&self, start: i64, step: i64) -> Result<i64> {
        let mut tx = self.begin().await?;
        let id = sqlx::query_scalar(
            "INSERT INTO frazil_number_series(next_value, step) VALUES (?, ?) RETURNING counter_id",
        )
        .bind(start)
        .bind(step)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(id)
    }

    async fn commit(&self, request: CommitRequest) -> Result<CommitOutcome> {
        self.queue.commit(&self.writer, &self.data_path, request).await
    }

    async fn inlined_history(
        &self,
        table_id: i64,
        base: SnapshotId,
    ) -> Result<Vec<InlinedHistory>> {
        relocate::inlined_history(self.readers.pool(), table_id, base).await
    }

    async fn delete_history(
        &self,
        table_id: i64,
        file_id: i64,
        base: SnapshotId,
    ) -> Result<DeleteHistory> {
        relocate::delete_history(self.readers.pool(), table_id, file_id, base).await
    }

    async fn whole_snapshots(&self, table_id: i64) -> Result<Vec<SnapshotId>> {
        expire_rows::whole_snapshots(&mut *self.reading().await?, table_id).await
    }

    async fn stored_columns(&self, table_id: i64, snapshot: SnapshotId) -> Result<Vec<ColumnInfo>> {
        relocate::stored_columns(self.readers.pool(), table_id, snapshot).await
    }

    async fn inlined_counts(&self) -> Result<Vec<(i64, u64)>> {
        files::inlined_counts(&mut *self.reading().await?).await
    }

    async fn expire(&self, before_micros: i64, keep: &[SnapshotId]) -> Result<Expired> {
        let mut tx = self.begin().await?;
        let expired = expire::expire(&mut tx, before_micros, keep).await?;
        tx.commit().await?;
        Ok(expired)
    }

    async fn expire_rows(&self, tables: &[(i64, i64)], keep: &[SnapshotId]) -> Result<u64> {
        let mut tx = self.begin().await?;
        let files = expire_rows::expire(&mut tx, tables, keep).await?;
        tx.commit().await?;
        Ok(files)
    }

    async fn scheduled_files(&self, before_micros: i64) -> Result<Vec<String>> {
        expire::scheduled(&mut *self.reading().await?, before_micros, &self.data_path).await
    }

    async fn unschedule_files(&self, paths: &[String]) -> Result<()> {
        let mut tx = self.begin().await?;
        expire::unschedule(&mut tx, paths).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn reader(&self) -> Result<ReadConnection> {
        self.readers.acquire().await
    }

    async fn begin_write(&self) -> Result<WriteTransaction> {
        Ok(WriteTransaction::new(self.begin().await?))
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn settle(&self, micros: i64) {
        self.queue.settle(&self.writer, micros).await;
    }

    fn committed_alone(&self, from: SnapshotId, to: SnapshotId) -> bool {
        self.queue.covers(from, to)
    }

    fn left_rows_alone(&self, table_id: i64, from: SnapshotId, to: SnapshotId) -> bool {
        self.queue.leaves(table_id, from, to)
    }
}

/// The absolute data folder that a catalog was last used with, with a slash at its end.
async fn former_data_path(connection: &mut SqliteConnection) -> Result<String> {
    let path = "SELECT value FROM ducklake_metadata WHERE key = 'data_path' AND scope IS NULL";
    Ok(sqlx::query_scalar(path).fetch_one(connection).await?)
}
