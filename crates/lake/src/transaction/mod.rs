//! A transaction: staged definitions and rows over a snapshot, and their commit.

mod clones;
mod commit;
mod definitions;
mod loads;
mod rows;
mod savepoint;
mod session_tables;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use frazil_catalog::changes::InlinedRow;
use frazil_catalog::{
    AccountEffects, CatalogChange, CatalogView, Definitions, TableInfo, TableKind,
};
use frazil_common::{QualifiedName, SnapshotId, UserError};
use object_store::path::Path;

pub use clones::NewClone;
pub use definitions::{Clustering, NewTable, NewView};
pub use rows::{DeleteOutcome, MergeOutcome, SeveralActions, UpdateOutcome};
pub use savepoint::Savepoint;

use crate::Lake;
use crate::error::{LakeError, Result};
use crate::read_point::ReadPoint;
use crate::temporary::SessionTables;
use crate::unclaimed::Unclaimed;
use crate::version::{DataFile, FileKey, RowChunk, StagedChunk, TableVersion};

/// Rows staged for one table.
#[derive(Debug, Clone)]
struct StagedRows {
    table: Arc<TableInfo>,
    /// Oldest snapshot that deletes were computed on.
    base: Option<SnapshotId>,
    added: Vec<DataFile>,
    /// Rows that go into the catalog database.
    chunks: Vec<StagedChunk>,
    /// Positions deleted here, by file.
    deletes: HashMap<FileKey, BTreeSet<i64>>,
    /// Files of which every row goes.
    ended: HashSet<FileKey>,
    /// Rows of the catalog database that go.
    inlined: BTreeSet<InlinedRow>,
}

impl StagedRows {
    /// Whether the files are all there of which rows are to go.
    fn finds_files(&self, files: &[DataFile]) -> bool {
        if self.deletes.is_empty() && self.ended.is_empty() {
            return true;
        }
        let known: HashSet<FileKey> = files.iter().map(|file| file.key).collect();
        let mut wanted = self.deletes.keys().chain(&self.ended);
        wanted.all(|key| matches!(key, FileKey::Staged(_)) || known.contains(key))
    }

    /// Marks rows that are to go as deleted; gives their number.
    fn hide(&self, chunk: &mut RowChunk) -> usize {
        let RowChunk::Committed(part) = chunk else { return 0 };
        let batch = &part.batch;
        let from =
            InlinedRow { table: batch.table.name.clone(), row_id: i64::MIN, begin: i64::MIN };
        let gone: HashSet<(i64, SnapshotId)> = self
            .inlined
            .range(from..)
            .take_while(|row| row.table == batch.table.name)
            .map(|row| (row.row_id, row.begin))
            .collect();
        if gone.is_empty() {
            return 0;
        }
        let rows = batch.row_ids.iter().copied().zip(batch.begins.iter().copied()).enumerate();
        let own = rows.filter(|(_, row)| gone.contains(row)).map(|(at, _)| at as i64);
        let own: Arc<Vec<i64>> = Arc::new(own.collect());
        part.deleted = crate::union(&part.deleted, &own);
        own.len()
    }
}

/// A transaction over any number of statements. Dropping it without commit rolls back.
#[derive(Debug)]
pub struct LakeTransaction {
    lake: Lake,
    session_id: i64,
    base: Arc<CatalogView>,
    view: Arc<CatalogView>,
    /// `view` without the temporary tables.
    permanent: Arc<CatalogView>,
    /// Snapshot at the first staged change.
    first_base: Option<SnapshotId>,
    changes: Vec<CatalogChange>,
    account: AccountEffects,
    /// Shared with savepoints.
    rows: HashMap<i64, Arc<StagedRows>>,
    /// Load metadata by table.
    loads: HashMap<i64, loads::StagedLoads>,
    /// The session's temporary tables as they were when this transaction last looked.
    temporary_base: SessionTables,
    temporary: SessionTables,
    temporary_changed: bool,
    /// Files written here, to remove on rollback.
    written: Vec<Path>,
    /// Files of `written` that the commit names.
    kept: HashSet<Path>,
    /// Files of temporary tables that go with a commit.
    discarded: Vec<Path>,
    next_local: i64,
    /// Tables whose rows upkeep should leave where they are.
    claimed: HashSet<i64>,
    /// Its number among the open transactions.
    number: u64,
}

impl LakeTransaction {
    pub(crate) async fn begin(
        lake: Lake,
        session_id: i64,
        point: ReadPoint,
    ) -> Result<LakeTransaction> {
        let base = point.view().await?;
        // Known as open since before it read: no file it may come to read is removed.
        let number = point.hand_over(base.snapshot);
        let temporary = lake.temporaries().get(session_id);
        let mut transaction = LakeTransaction {
            lake,
            session_id,
            view: Arc::clone(&base),
            permanent: Arc::clone(&base),
            base,
            first_base: None,
            changes: Vec::new(),
            account: AccountEffects::default(),
            rows: HashMap::new(),
            loads: HashMap::new(),
            temporary_base: temporary.clone(),
            temporary,
            temporary_changed: false,
            written: Vec::new(),
            kept: HashSet::new(),
            discarded: Vec::new(),
            next_local: -1,
            claimed: HashSet::new(),
            number,
        };
        transaction.rebuild_view()?;
        Ok(transaction)
    }

    /// Moves to the newest snapshot for the next statement (READ COMMITTED); own changes stay on
    /// top. Fails with a conflict when a staged definition no longer fits.
    pub async fn refresh(&mut self) -> Result<()> {
        let head = self.lake.catalog().head_view().await?;
        let moved = head.snapshot != self.base.snapshot;
        if moved {
            self.base = head;
            self.note_snapshot();
        }
        if self.refresh_temporary() || moved {
            self.rebuild_view()?;
        }
        Ok(())
    }

    fn note_snapshot(&self) {
        if let Some(active) = self.lake.active().lock().get_mut(&self.number) {
            active.snapshot = self.base.snapshot;
        }
    }

    /// The definitions this transaction sees: its snapshot, own changes, the session's temporary
    /// tables.
    pub fn view(&self) -> &Arc<CatalogView> {
        &self.view
    }

    /// The same without the session's temporary tables: what the texts of views and policies are read
    /// in. A table of the asking session's own must not stand in for one that they name.
    pub fn permanent_view(&self) -> &Arc<CatalogView> {
        &self.permanent
    }

    /// The snapshot statements read now.
    pub fn snapshot(&self) -> SnapshotId {
        self.base.snapshot
    }

    /// Whether anything is staged.
    pub fn has_changes(&self) -> bool {
        self.temporary_changed
            || !self.changes.is_empty()
            || !self.rows.is_empty()
            || !self.loads.is_empty()
    }

    /// What the commit does to the account's records besides.
    pub fn account(&mut self) -> &mut AccountEffects {
        &mut self.account
    }

    /// The lake this transaction works on.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The table of exactly this name, or Snowflake's error for a missing one.
    pub fn table(&self, name: &QualifiedName) -> Result<Arc<TableInfo>> {
        let found = self.view.table(name).cloned();
        found.ok_or_else(|| LakeError::User(UserError::not_found("Table", name)))
    }

    /// The table's rows as this transaction sees them.
    pub async fn table_version(&self, table: &Arc<TableInfo>) -> Result<Arc<TableVersion>> {
        let mut version = if table.kind == TableKind::Temporary {
            let rows = self.temporary.rows.get(&table.table_id);
            TableVersion {
                table: Arc::clone(table),
                snapshot: self.base.snapshot,
                files: rows.map(|r| r.files.clone()).unwrap_or_default(),
                chunks: Vec::new(),
            }
        } else {
            self.lake.committed_version(table, self.base.snapshot).await?
        };
        if let Some(staged) = self.rows.get(&table.table_id) {
            let mut found = 0;
            for chunk in &mut version.chunks {
                found += staged.hide(chunk);
            }
            let temporary = table.kind == TableKind::Temporary;
            if !temporary && (found < staged.inlined.len() || !staged.finds_files(&version.files)) {
                // Moved by another client. They would be there twice.
                return Err(LakeError::Conflict {
                    object: table.name.to_string(),
                    reason: "the rows were moved or deleted".to_string(),
                });
            }
            version.files.retain(|f| !staged.ended.contains(&f.key));
            version.files.extend(staged.added.iter().cloned());
            for file in &mut version.files {
                if let Some(positions) = staged.deletes.get(&file.key) {
                    let own = Arc::new(positions.iter().copied().collect::<Vec<_>>());
                    file.deleted = crate::union(&file.deleted, &own);
                }
            }
            version.chunks.extend(staged.chunks.iter().cloned().map(RowChunk::Staged));
        }
        Ok(Arc::new(version))
    }

    /// A provider that reads a table version.
    pub fn scan(&self, version: &Arc<TableVersion>) -> Arc<dyn TableProvider> {
        self.lake.scan(version)
    }

    /// Gives up all changes and removes the files written.
    pub async fn rollback(mut self) {
        let written = std::mem::take(&mut self.written);
        self.lake.store().remove(&written).await;
    }

    fn rebuild_view(&mut self) -> Result<()> {
        let (snapshot, version) = (self.base.snapshot, self.base.schema_version);
        let view_of =
            |definitions| Arc::new(CatalogView::new(snapshot, version, Arc::new(definitions)));
        self.permanent = Arc::clone(&self.base);
        if !self.changes.is_empty() {
            let mut definitions = Definitions::clone(self.base.definitions());
            for change in &self.changes {
                definitions.apply(change).map_err(|error| LakeError::Conflict {
                    object: "a definition".to_string(),
                    reason: error.message,
                })?;
            }
            self.permanent = view_of(definitions);
        }
        self.view = Arc::clone(&self.permanent);
        if !self.temporary.tables.is_empty() {
            self.follow_schemas();
            let mut definitions = Definitions::clone(self.permanent.definitions());
            for table in self.temporary.tables.values() {
                definitions.shadow(Arc::clone(table));
            }
            self.view = view_of(definitions);
        }
        Ok(())
    }

    fn touch(&mut self) {
        self.first_base.get_or_insert(self.base.snapshot);
    }

    /// Keeps upkeep from moving a table's rows that this transaction is about to change, once what it has
    /// begun is done. A snapshot read after this is not overtaken by upkeep.
    pub async fn claim(&mut self, table_id: i64) {
        if table_id >= 0 && !self.claimed.contains(&table_id) {
            let lake = self.lake.clone();
            loop {
                lake.claims().until_moved(table_id).await;
                if lake.claims().add_unless_moving(table_id) {
                    break;
                }
            }
            self.claimed.insert(table_id);
        }
    }

    /// The same from now on: what upkeep has begun makes the commit fail.
    fn claim_now(&mut self, table_id: i64) {
        if table_id >= 0 && self.claimed.insert(table_id) {
            self.lake.claims().add(table_id);
        }
    }

    fn local_id(&mut self) -> i64 {
        let id = self.next_local;
        self.next_local -= 1;
        id
    }

    fn staged(&mut self, table: &Arc<TableInfo>) -> &mut StagedRows {
        self.touch();
        let staged = self.rows.entry(table.table_id).or_insert_with(|| {
            Arc::new(StagedRows {
                table: Arc::clone(table),
                base: None,
                added: Vec::new(),
                chunks: Vec::new(),
                deletes: HashMap::new(),
                ended: HashSet::new(),
                inlined: BTreeSet::new(),
            })
        });
        Arc::make_mut(staged)
    }
}

impl Drop for LakeTransaction {
    fn drop(&mut self) {
        self.lake.active().lock().remove(&self.number);
        self.claimed.iter().for_each(|table| self.lake.claims().remove(*table));
        let written = std::mem::take(&mut self.written);
        drop(Unclaimed::new(self.lake.store(), written));
    }
}
