//! A transaction: staged definitions and rows over a snapshot, and their commit.

mod commit;
mod definitions;
mod loads;
mod rows;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use frazil_catalog::{CatalogChange, CatalogView, Definitions, TableInfo, TableKind};
use frazil_common::{QualifiedName, SnapshotId, UserError};
use object_store::path::Path;

pub use definitions::{NewTable, NewView};
pub use rows::{DeleteOutcome, MergeOutcome, UpdateOutcome};

use crate::Lake;
use crate::error::{LakeError, Result};
use crate::temporary::SessionTables;
use crate::version::{DataFile, FileKey, TableVersion};

/// Rows staged for one table.
#[derive(Debug, Clone)]
struct StagedRows {
    table: Arc<TableInfo>,
    /// Oldest snapshot that deletes were computed on.
    base: Option<SnapshotId>,
    added: Vec<DataFile>,
    /// Positions deleted here, by file.
    deletes: HashMap<FileKey, BTreeSet<i64>>,
    /// Files of which every row goes.
    ended: HashSet<FileKey>,
    /// Inlined rows of other clients that go: (inlined table, row id).
    inlined: BTreeSet<(String, i64)>,
}

/// A transaction over any number of statements. Dropping it without commit rolls back.
#[derive(Debug)]
pub struct LakeTransaction {
    lake: Lake,
    session_id: i64,
    base: Arc<CatalogView>,
    view: Arc<CatalogView>,
    /// Snapshot at the first staged change.
    first_base: Option<SnapshotId>,
    changes: Vec<CatalogChange>,
    rows: HashMap<i64, StagedRows>,
    /// Load metadata by table.
    loads: HashMap<i64, loads::StagedLoads>,
    temporary: SessionTables,
    temporary_changed: bool,
    /// Files written here, to remove on rollback.
    written: Vec<Path>,
    /// Files of `written` that the commit names.
    kept: HashSet<Path>,
    /// Files of temporary tables that go with a commit.
    discarded: Vec<Path>,
    next_local: i64,
}

impl LakeTransaction {
    pub(crate) async fn begin(lake: Lake, session_id: i64) -> Result<LakeTransaction> {
        let base = lake.catalog().head_view().await?;
        let temporary = lake.temporaries().get(session_id);
        let mut transaction = LakeTransaction {
            lake,
            session_id,
            view: Arc::clone(&base),
            base,
            first_base: None,
            changes: Vec::new(),
            rows: HashMap::new(),
            loads: HashMap::new(),
            temporary,
            temporary_changed: false,
            written: Vec::new(),
            kept: HashSet::new(),
            discarded: Vec::new(),
            next_local: -1,
        };
        transaction.rebuild_view()?;
        Ok(transaction)
    }

    /// Moves to the newest snapshot for the next statement (READ COMMITTED); own changes stay on
    /// top. Fails with a conflict when a staged definition no longer fits.
    pub async fn refresh(&mut self) -> Result<()> {
        let head = self.lake.catalog().head_view().await?;
        if head.snapshot != self.base.snapshot {
            self.base = head;
            self.rebuild_view()?;
        }
        Ok(())
    }

    /// The definitions this transaction sees: its snapshot, own changes, the session's temporary
    /// tables.
    pub fn view(&self) -> &Arc<CatalogView> {
        &self.view
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
                inlined: Vec::new(),
            }
        } else {
            self.lake.committed_version(table, self.base.snapshot).await?
        };
        if let Some(staged) = self.rows.get(&table.table_id) {
            version.files.retain(|f| !staged.ended.contains(&f.key));
            version.files.extend(staged.added.iter().cloned());
            for file in &mut version.files {
                if let Some(positions) = staged.deletes.get(&file.key) {
                    let own = Arc::new(positions.iter().copied().collect::<Vec<_>>());
                    file.deleted = crate::union(&file.deleted, &own);
                }
            }
            if !staged.inlined.is_empty() {
                for inlined in &mut version.inlined {
                    let mut rows = frazil_catalog::files::InlinedRows::clone(inlined);
                    rows.rows.retain(|(id, _)| {
                        !staged.inlined.contains(&(rows.inlined_table.clone(), *id))
                    });
                    *inlined = Arc::new(rows);
                }
            }
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
        if self.changes.is_empty() && self.temporary.tables.is_empty() {
            self.view = Arc::clone(&self.base);
            return Ok(());
        }
        let mut definitions = Definitions::clone(self.base.definitions());
        for change in &self.changes {
            definitions.apply(change).map_err(|error| LakeError::Conflict {
                object: "a definition".to_string(),
                reason: error.message,
            })?;
        }
        for table in self.temporary.tables.values() {
            definitions.shadow(Arc::clone(table));
        }
        self.view = Arc::new(CatalogView::new(
            self.base.snapshot,
            self.base.schema_version,
            Arc::new(definitions),
        ));
        Ok(())
    }

    fn touch(&mut self) {
        self.first_base.get_or_insert(self.base.snapshot);
    }

    fn local_id(&mut self) -> i64 {
        let id = self.next_local;
        self.next_local -= 1;
        id
    }

    fn staged(&mut self, table: &Arc<TableInfo>) -> &mut StagedRows {
        self.touch();
        self.rows.entry(table.table_id).or_insert_with(|| StagedRows {
            table: Arc::clone(table),
            base: None,
            added: Vec::new(),
            deletes: HashMap::new(),
            ended: HashSet::new(),
            inlined: BTreeSet::new(),
        })
    }
}

impl Drop for LakeTransaction {
    fn drop(&mut self) {
        let written = std::mem::take(&mut self.written);
        if written.is_empty() {
            return;
        }
        // Without a runtime the files stay as orphans until the next clean-up.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let store = self.lake.store().clone();
            runtime.spawn(async move { store.remove(&written).await });
        }
    }
}
