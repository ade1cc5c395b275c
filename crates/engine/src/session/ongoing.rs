//! Statements that have begun and not ended, for QUERY_HISTORY.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_catalog::account::{QueryDetail, QueryRecord, now_micros};
use parking_lot::Mutex;

use crate::session::kept::Kept;

/// All of them, by their query ids. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ongoing {
    all: Arc<Mutex<HashMap<String, Entry>>>,
}

#[derive(Debug, Clone)]
struct Entry {
    record: QueryRecord,
    /// Whether it stands in the line for a place.
    queued: bool,
    /// Since when it waits for a lock.
    blocked_since: Option<i64>,
}

/// A statement that runs, as far as the history can tell of it.
#[derive(Debug, Clone)]
pub(crate) struct OngoingStatement {
    pub record: QueryRecord,
    pub status: &'static str,
}

/// A statement that is told of; no more once this is dropped.
pub(crate) struct Begun {
    ongoing: Ongoing,
    query_id: String,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.ongoing.all.lock().remove(&self.query_id);
    }
}

/// The wait of a statement for a lock.
pub(crate) struct Wait {
    since: i64,
}

impl Ongoing {
    /// Tells of a statement. The text of its record is the whole one; what is secret in it is taken out for
    /// those who ask.
    pub fn begin(&self, record: QueryRecord) -> Begun {
        let query_id = record.query_id.clone();
        let entry = Entry { record, queued: false, blocked_since: None };
        self.all.lock().insert(query_id.clone(), entry);
        Begun { ongoing: self.clone(), query_id }
    }

    fn change(&self, query_id: &str, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.all.lock().get_mut(query_id) {
            change(entry);
        }
    }

    /// The statement waits for a place.
    pub fn queue(&self, query_id: &str) {
        self.change(query_id, |entry| entry.queued = true);
    }

    /// The statement has a place.
    pub fn compute(&self, query_id: &str, detail: QueryDetail) {
        self.change(query_id, |entry| {
            entry.queued = false;
            entry.record.detail = Some(detail);
        });
    }

    /// The statement asks for a lock.
    pub fn block(&self, query_id: &str) -> Wait {
        let since = now_micros();
        self.change(query_id, |entry| entry.blocked_since = Some(since));
        Wait { since }
    }

    /// The statement has its lock, or has given up; how long that took, in microseconds.
    pub fn unblock(&self, query_id: &str, wait: &Wait) -> i64 {
        let waited = (now_micros() - wait.since).max(0);
        self.change(query_id, |entry| {
            entry.blocked_since = None;
            entry.record.detail.get_or_insert_default().blocked += waited;
        });
        waited
    }

    /// The statements that run, the newest first. `waits` tells whether one stands in the line for a lock.
    pub fn list(&self, waits: impl Fn(&str) -> bool) -> Vec<OngoingStatement> {
        let entries: Vec<Entry> = self.all.lock().values().cloned().collect();
        let now = now_micros();
        let mut all: Vec<OngoingStatement> = entries
            .into_iter()
            .map(|Entry { mut record, queued, blocked_since }| {
                let status = match (queued, waits(&record.query_id)) {
                    (true, _) => "QUEUED",
                    (false, true) => "BLOCKED",
                    (false, false) => "RUNNING",
                };
                if let Some(since) = blocked_since {
                    record.detail.get_or_insert_default().blocked += (now - since).max(0);
                }
                record.end_time = now;
                record.query_text = Kept::of(&record.query_text, None).text;
                OngoingStatement { record, status }
            })
            .collect();
        all.sort_by_key(|one| {
            std::cmp::Reverse((one.record.start_time, one.record.query_id.clone()))
        });
        all
    }
}
