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
    /// Counts the changes of the session's tables.
    pub version: u64,
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
    /// Held by the commit that changes a session's tables.
    turns: Mutex<HashMap<i64, Arc<tokio::sync::Mutex<()>>>>,
    taken: AtomicI64,
}

impl Temporaries {
    /// What a session has.
    pub fn get(&self, session_id: i64) -> SessionTables {
        self.sessions.lock().get(&session_id).cloned().unwrap_or_default()
    }

    /// Counts the changes of what a session has.
    pub fn version(&self, session_id: i64) -> u64 {
        self.sessions.lock().get(&session_id).map_or(0, |tables| tables.version)
    }

    /// Whoever replaces what a session has holds this from reading to [`Temporaries::set`].
    pub fn turn(&self, session_id: i64) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.turns.lock().entry(session_id).or_default())
    }

    /// Replaces what a session has.
    pub fn set(&self, session_id: i64, tables: SessionTables) {
        let mut sessions = self.sessions.lock();
        let entry = sessions.entry(session_id).or_default();
        let version = entry.version + 1;
        *entry = SessionTables { version, ..tables };
    }

    /// Forgets a session.
    pub fn remove(&self, session_id: i64) {
        self.sessions.lock().remove(&session_id);
        self.turns.lock().remove(&session_id);
    }

    /// An id no other temporary table has had.
    pub fn new_id(&self) -> i64 {
        FIRST_ID - self.taken.fetch_add(1, Ordering::Relaxed)
    }
}
