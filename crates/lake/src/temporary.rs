//! Temporary tables: metadata in memory, per session; files below `temp/<session>/`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use frazil_catalog::TableInfo;
use frazil_common::QualifiedName;
use parking_lot::Mutex;

use crate::version::DataFile;

/// Ids of temporary tables count down from here, far from a transaction's local ids.
const FIRST_ID: i64 = -(1 << 40);

/// Temporary tables of one session. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SessionTables {
    pub tables: BTreeMap<QualifiedName, Arc<TableInfo>>,
    pub rows: HashMap<i64, Arc<TemporaryRows>>,
}

/// Rows of one temporary table.
#[derive(Debug, Clone, Default)]
pub struct TemporaryRows {
    pub files: Vec<DataFile>,
    pub next_row_id: i64,
    /// What COPY INTO loaded.
    pub loads: Vec<frazil_catalog::FileLoad>,
}

/// Temporary tables of all sessions.
#[derive(Debug, Default)]
pub struct Temporaries {
    sessions: Mutex<HashMap<i64, SessionTables>>,
    taken: AtomicI64,
}

impl Temporaries {
    /// What a session has.
    pub fn get(&self, session_id: i64) -> SessionTables {
        self.sessions.lock().get(&session_id).cloned().unwrap_or_default()
    }

    /// Replaces what a session has.
    pub fn set(&self, session_id: i64, tables: SessionTables) {
        self.sessions.lock().insert(session_id, tables);
    }

    /// Forgets a session.
    pub fn remove(&self, session_id: i64) {
        self.sessions.lock().remove(&session_id);
    }

    /// An id no other temporary table has had.
    pub fn new_id(&self) -> i64 {
        FIRST_ID - self.taken.fetch_add(1, Ordering::Relaxed)
    }
}
