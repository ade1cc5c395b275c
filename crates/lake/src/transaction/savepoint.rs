//! What a transaction had staged before a statement: a statement that fails leaves nothing behind,
//! and what came before it stays.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_catalog::{AccountEffects, CatalogChange, CatalogView};
use frazil_common::SnapshotId;

use super::{LakeTransaction, StagedRows, loads};
use crate::temporary::SessionTables;

/// The state of a transaction at one moment. Staged rows are shared with it until it changes them.
#[derive(Debug)]
pub struct Savepoint {
    base: Arc<CatalogView>,
    view: Arc<CatalogView>,
    permanent: Arc<CatalogView>,
    first_base: Option<SnapshotId>,
    changes: Vec<CatalogChange>,
    account: AccountEffects,
    rows: HashMap<i64, Arc<StagedRows>>,
    loads: HashMap<i64, loads::StagedLoads>,
    temporary_base: SessionTables,
    temporary: SessionTables,
    temporary_changed: bool,
    /// How many files were written and discarded.
    written: usize,
    discarded: usize,
}

impl LakeTransaction {
    /// Remembers what is staged now.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint {
            base: Arc::clone(&self.base),
            view: Arc::clone(&self.view),
            permanent: Arc::clone(&self.permanent),
            first_base: self.first_base,
            changes: self.changes.clone(),
            account: self.account.clone(),
            rows: self.rows.clone(),
            loads: self.loads.clone(),
            temporary_base: self.temporary_base.clone(),
            temporary: self.temporary.clone(),
            temporary_changed: self.temporary_changed,
            written: self.written.len(),
            discarded: self.discarded.len(),
        }
    }

    /// Goes back to a savepoint of this transaction and removes the files written since. Tables that
    /// were claimed since stay claimed.
    pub async fn restore(&mut self, savepoint: Savepoint) {
        self.base = savepoint.base;
        self.view = savepoint.view;
        self.permanent = savepoint.permanent;
        self.first_base = savepoint.first_base;
        self.changes = savepoint.changes;
        self.account = savepoint.account;
        self.rows = savepoint.rows;
        self.loads = savepoint.loads;
        self.temporary_base = savepoint.temporary_base;
        self.temporary = savepoint.temporary;
        self.temporary_changed = savepoint.temporary_changed;
        self.discarded.truncate(savepoint.discarded);
        self.note_snapshot();
        let kept = savepoint.written.min(self.written.len());
        let written = self.written.split_off(kept);
        self.lake.store().remove(&written).await;
    }
}
