//! Running and finished statements, by query id.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use frazil_common::UserError;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::{QueryStatus, StoredResult};

/// How long a result can be read again: a day, as Snowflake keeps it.
const KEPT_MICROS: i64 = 24 * 3600 * 1_000_000;
/// Most results kept, whatever their age.
const KEPT_MAX: usize = 20_000;
/// Most bytes of what stays in memory of them: errors, columns, file lists.
const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of results held in memory together; older ones move to disk.
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Default)]
struct Entries {
    running: HashMap<Uuid, (CancellationToken, i64)>,
    finished: HashMap<Uuid, (Result<Arc<StoredResult>, UserError>, i64)>,
    /// Finished ids, oldest first, with their time and the bytes that stay in memory.
    order: VecDeque<(Uuid, i64, u64)>,
    kept_bytes: u64,
    /// Results in memory, oldest first, with their bytes.
    in_memory: VecDeque<(Uuid, u64)>,
    memory_bytes: u64,
}

/// What an outcome takes in memory beside its rows, about.
fn kept_bytes(outcome: &Result<Arc<StoredResult>, UserError>) -> u64 {
    /// A column's type, and what the spool knows of its values.
    const COLUMN: usize = 128;
    let bytes = match outcome {
        Ok(stored) => {
            let columns: usize =
                stored.columns.iter().map(|column| COLUMN + column.name.len()).sum();
            let transfer = stored.transfer.iter().flat_map(|transfer| &transfer.sources);
            let sources: usize = transfer.map(|source| size_of::<String>() + source.len()).sum();
            size_of::<StoredResult>()
                + columns
                + sources
                + stored.children.len() * size_of::<(Uuid, u32)>()
        }
        Err(error) => size_of::<UserError>() + error.message.len(),
    };
    bytes as u64
}

/// All statements this server knows of.
pub(crate) struct Results {
    directory: PathBuf,
    entries: Mutex<Entries>,
}

impl Results {
    /// Results of an earlier run cannot be read again and are removed.
    pub fn open(directory: &Path) -> Result<Self, UserError> {
        if directory.exists() {
            std::fs::remove_dir_all(directory).map_err(UserError::internal)?;
        }
        std::fs::create_dir_all(directory).map_err(UserError::internal)?;
        Ok(Results { directory: directory.to_path_buf(), entries: Mutex::default() })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn start(&self, query_id: Uuid, session_id: i64, cancel: CancellationToken) {
        self.entries.lock().running.insert(query_id, (cancel, session_id));
    }

    pub fn finish(
        &self,
        query_id: Uuid,
        result: Result<Arc<StoredResult>, UserError>,
        now_micros: i64,
    ) {
        let mut spill = Vec::new();
        let kept = kept_bytes(&result);
        {
            let mut entries = self.entries.lock();
            entries.running.remove(&query_id);
            if let Ok(stored) = &result
                && stored.rows.in_memory()
            {
                let bytes = stored.rows.bytes();
                entries.memory_bytes += bytes;
                entries.in_memory.push_back((query_id, bytes));
            }
            entries.finished.insert(query_id, (result, now_micros));
            entries.order.push_back((query_id, now_micros, kept));
            entries.kept_bytes += kept;
            while let Some((id, at, bytes)) = entries.order.front().copied() {
                let few = entries.order.len() <= KEPT_MAX && entries.kept_bytes <= KEPT_BYTES_MAX;
                if few && at + KEPT_MICROS > now_micros {
                    break;
                }
                entries.order.pop_front();
                entries.kept_bytes -= bytes;
                entries.finished.remove(&id);
            }
            while entries.memory_bytes > MEMORY_BYTES_MAX {
                let Some((id, bytes)) = entries.in_memory.pop_front() else { break };
                entries.memory_bytes = entries.memory_bytes.saturating_sub(bytes);
                if let Some((Ok(stored), _)) = entries.finished.get(&id) {
                    spill.push(stored.clone());
                }
            }
        }
        for stored in spill {
            if let Err(error) = stored.rows.spill(&self.directory, &stored.query_id.to_string()) {
                tracing::warn!("a result could not be moved to disk: {}", error.message);
            }
        }
    }

    pub fn get(&self, query_id: &Uuid) -> Option<Result<Arc<StoredResult>, UserError>> {
        self.entries.lock().finished.get(query_id).map(|(result, _)| result.clone())
    }

    pub fn status(&self, query_id: &Uuid) -> Option<QueryStatus> {
        let entries = self.entries.lock();
        if entries.running.contains_key(query_id) {
            return Some(QueryStatus::Running);
        }
        entries.finished.get(query_id).map(|(result, _)| match result {
            Ok(_) => QueryStatus::Success,
            Err(error) => QueryStatus::Failed(error.clone()),
        })
    }

    /// Statements that run.
    pub fn running(&self) -> usize {
        self.entries.lock().running.len()
    }

    /// The session that runs a statement.
    pub fn session_of(&self, query_id: &Uuid) -> Option<i64> {
        self.entries.lock().running.get(query_id).map(|(_, session)| *session)
    }

    /// Asks a running statement to stop. Tells whether there was one.
    pub fn cancel(&self, query_id: &Uuid) -> bool {
        match self.entries.lock().running.get(query_id) {
            Some((cancel, _)) => {
                cancel.cancel();
                true
            }
            None => false,
        }
    }

    /// Asks all of a session's statements to stop, but for one. Tells how many there were.
    pub fn cancel_session(&self, session_id: i64, except: Option<Uuid>) -> usize {
        let entries = self.entries.lock();
        let tokens = entries
            .running
            .iter()
            .filter(|(id, (_, session))| *session == session_id && Some(**id) != except);
        tokens.map(|(_, (cancel, _))| cancel.cancel()).count()
    }

    pub fn cancel_all(&self) {
        for (cancel, _) in self.entries.lock().running.values() {
            cancel.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use frazil_common::Code;

    use super::*;

    #[test]
    fn outcomes_are_kept_as_long_as_their_bytes_fit() {
        let directory = tempfile::tempdir().unwrap();
        let results = Results::open(&directory.path().join("results")).unwrap();
        // Made by hand: errors of this size come from nowhere else.
        let error = UserError {
            code: Code::SyntaxError,
            message: "x".repeat(KEPT_BYTES_MAX as usize / 4),
            position: None,
        };
        let ids: Vec<Uuid> = (0..10).map(|_| Uuid::new_v4()).collect();
        for id in &ids {
            results.finish(*id, Err(error.clone()), 1);
        }
        let kept: Vec<bool> = ids.iter().map(|id| results.get(id).is_some()).collect();
        assert_eq!(kept.iter().filter(|kept| **kept).count(), 3);
        assert!(kept.ends_with(&[true, true, true]));
        assert!(results.entries.lock().kept_bytes <= KEPT_BYTES_MAX);
    }
}
