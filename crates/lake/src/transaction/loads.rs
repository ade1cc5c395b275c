//! Load metadata of COPY INTO, staged and committed with the rows.

use std::sync::Arc;

use frazil_catalog::{FileLoad, TableInfo, TableKind, TableLoads};
use frazil_common::SnapshotId;

use super::LakeTransaction;
use crate::error::Result;

/// What a transaction does to one table's load metadata.
#[derive(Debug, Clone)]
pub(super) struct StagedLoads {
    pub(super) table: Arc<TableInfo>,
    /// What was committed up to this snapshot is forgotten (TRUNCATE).
    pub(super) forget: Option<SnapshotId>,
    pub(super) files: Vec<FileLoad>,
}

impl LakeTransaction {
    /// The loads this transaction knows of, oldest first: committed ones that were not forgotten,
    /// then its own.
    pub async fn loads(&self, table: &TableInfo) -> Result<Vec<FileLoad>> {
        let staged = self.loads.get(&table.table_id);
        let forgotten = staged.and_then(|staged| staged.forget);
        let mut known: Vec<FileLoad> = if table.kind == TableKind::Temporary {
            let rows = self.temporary.rows.get(&table.table_id).filter(|_| forgotten.is_none());
            rows.map(|rows| rows.loads.clone()).unwrap_or_default()
        } else if table.table_id < 0 {
            Vec::new()
        } else {
            let committed = self.lake.catalog().loads(Some(table.table_id)).await?;
            let live = committed.into_iter().filter(|load| {
                !load.forgotten && forgotten.is_none_or(|until| load.snapshot > until)
            });
            live.map(|load| load.load).collect()
        };
        known.extend(staged.into_iter().flat_map(|staged| staged.files.iter().cloned()));
        Ok(known)
    }

    /// Remembers loaded files when this transaction commits.
    pub fn record_loads(&mut self, table: &Arc<TableInfo>, files: Vec<FileLoad>) {
        if !files.is_empty() {
            self.staged_loads(table).files.extend(files);
        }
    }

    /// Forgets what was loaded, as TRUNCATE does.
    pub(super) fn forget_loads(&mut self, table: &Arc<TableInfo>) {
        let until = self.base.snapshot;
        let staged = self.staged_loads(table);
        staged.forget = Some(until);
        staged.files.clear();
    }

    fn staged_loads(&mut self, table: &Arc<TableInfo>) -> &mut StagedLoads {
        self.touch();
        self.loads.entry(table.table_id).or_insert_with(|| StagedLoads {
            table: Arc::clone(table),
            forget: None,
            files: Vec::new(),
        })
    }

    /// The commit's part, and that of temporary tables, which the session keeps.
    pub(super) fn take_loads(&mut self) -> (Vec<TableLoads>, Vec<StagedLoads>) {
        let (mut lasting, mut temporary) = (Vec::new(), Vec::new());
        for (table_id, staged) in std::mem::take(&mut self.loads) {
            if staged.table.kind == TableKind::Temporary {
                temporary.push(staged);
                continue;
            }
            // A table made in this transaction has nothing committed to forget.
            if staged.files.is_empty() && table_id < 0 {
                continue;
            }
            lasting.push(TableLoads {
                table_id,
                table_name: staged.table.name.to_string(),
                forget_until: staged.forget.filter(|_| table_id >= 0),
                files: staged.files,
            });
        }
        lasting.sort_by_key(|loads| loads.table_id);
        (lasting, temporary)
    }
}
