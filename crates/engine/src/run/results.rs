//! Running and finished statements, by query id.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use frazil_catalog::account::now_micros;
use frazil_common::UserError;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::{QueryStatus, ResultReader, StoredResult};
use crate::session::Session;

/// How long a result can be read again: a day, as Snowflake keeps it.
const KEPT_MICROS: i64 = 24 * 3600 * 1_000_000;
/// Most results kept, whatever their age.
const KEPT_MAX: usize = 20_000;
/// Most bytes of what stays in memory of them: errors, columns, file lists.
const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of results held in memory together; older ones move to disk.
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;

struct Running {
    cancel: CancellationToken,
    session_id: i64,
    owner: ResultReader,
}

struct Finished {
    outcome: Result<Arc<StoredResult>, UserError>,
    /// Errors quote values as results do.
    owner: ResultReader,
    /// The length of its file.
    file_bytes: u64,
}

#[derive(Default)]
struct Entries {
    running: HashMap<Uuid, Running>,
    finished: HashMap<Uuid, Finished>,
    /// Finished ids, oldest first, with their time and the bytes that stay in memory.
    order: VecDeque<(Uuid, i64, u64)>,
    kept_bytes: u64,
    /// Results in memory, oldest first, with their bytes.
    in_memory: VecDeque<(Uuid, u64)>,
    memory_bytes: u64,
    /// Results in files, oldest first; some may be gone.
    on_disk: VecDeque<Uuid>,
    disk_bytes: u64,
}

impl Entries {
    /// Lets go of how a statement ended.
    fn remove(&mut self, query_id: &Uuid) {
        if let Some(finished) = self.finished.remove(query_id) {
            self.disk_bytes -= finished.file_bytes;
        }
        while self.on_disk.front().is_some_and(|id| !self.finished.contains_key(id)) {
            self.on_disk.pop_front();
        }
    }

    /// Counts a result's file, and lets go of the oldest ones where all together are too large. This one
    /// stays, whatever its length: somebody is about to read it.
    fn count_file(&mut self, query_id: Uuid, bytes: u64, bytes_max: u64) {
        let Some(finished) = self.finished.get_mut(&query_id).filter(|_| bytes > 0) else { return };
        finished.file_bytes = bytes;
        self.disk_bytes += bytes;
        self.on_disk.push_back(query_id);
        while self.disk_bytes > bytes_max
            && let Some(oldest) = self.on_disk.front().copied().filter(|oldest| *oldest != query_id)
        {
            self.remove(&oldest);
        }
    }
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
    /// Bytes of all files together.
    disk_bytes_max: u64,
    opened_micros: i64,
    entries: Mutex<Entries>,
}

impl Results {
    /// Results of an earlier run cannot be read again and are removed.
    pub fn open(directory: &Path, disk_bytes_max: u64) -> Result<Self, UserError> {
        if directory.exists() {
            std::fs::remove_dir_all(directory).map_err(UserError::internal)?;
        }
        std::fs::create_dir_all(directory).map_err(UserError::internal)?;
        Ok(Results {
            directory: directory.to_path_buf(),
            disk_bytes_max,
            opened_micros: now_micros(),
            entries: Mutex::default(),
        })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn start(&self, query_id: Uuid, session: &Session, cancel: CancellationToken) {
        let running = Running { cancel, session_id: session.id, owner: session.reader() };
        self.entries.lock().running.insert(query_id, running);
    }

    pub fn finish(
        &self,
        query_id: Uuid,
        owner: ResultReader,
        outcome: Result<Arc<StoredResult>, UserError>,
        now_micros: i64,
    ) {
        let mut spill = Vec::new();
        let kept = kept_bytes(&outcome);
        let file_bytes = outcome.as_ref().map_or(0, |stored| stored.rows.file_bytes());
        {
            let mut entries = self.entries.lock();
            entries.running.remove(&query_id);
            if let Ok(stored) = &outcome
                && stored.rows.in_memory()
            {
                let bytes = stored.rows.bytes();
                entries.memory_bytes += bytes;
                entries.in_memory.push_back((query_id, bytes));
            }
            // A request that is answered again may end under the same id.
            entries.remove(&query_id);
            entries.finished.insert(query_id, Finished { outcome, owner, file_bytes: 0 });
            entries.order.push_back((query_id, now_micros, kept));
            entries.kept_bytes += kept;
            while let Some((id, at, bytes)) = entries.order.front().copied() {
                let few = entries.order.len() <= KEPT_MAX && entries.kept_bytes <= KEPT_BYTES_MAX;
                if few && at + KEPT_MICROS > now_micros {
                    break;
                }
                entries.order.pop_front();
                entries.kept_bytes -= bytes;
                entries.remove(&id);
            }
            entries.count_file(query_id, file_bytes, self.disk_bytes_max);
            while entries.memory_bytes > MEMORY_BYTES_MAX {
                let Some((id, bytes)) = entries.in_memory.pop_front() else { break };
                entries.memory_bytes = entries.memory_bytes.saturating_sub(bytes);
                if let Some(Finished { outcome: Ok(stored), .. }) = entries.finished.get(&id) {
                    spill.push(stored.clone());
                }
            }
        }
        for stored in spill {
            let moved = stored.rows.spill(&self.directory, &stored.query_id.to_string());
            let mut entries = self.entries.lock();
            match moved {
                Ok(()) => {
                    let bytes = stored.rows.file_bytes();
                    entries.count_file(stored.query_id, bytes, self.disk_bytes_max);
                }
                // Memory has no place for it either.
                Err(error) => {
                    tracing::warn!("a result is not kept: {}", error.message);
                    entries.remove(&stored.query_id);
                }
            }
        }
    }

    /// Takes back a result that has been shown and must not be shown again.
    pub fn forget(&self, query_id: &Uuid) {
        self.entries.lock().remove(query_id);
    }

    /// How a statement ended, for those who may know. A result with a secret is none.
    pub fn get(
        &self,
        query_id: &Uuid,
        reader: &ResultReader,
    ) -> Option<Result<Arc<StoredResult>, UserError>> {
        let entries = self.entries.lock();
        let finished = entries.finished.get(query_id)?;
        let secret = finished.outcome.as_ref().is_ok_and(|stored| stored.secret_of.is_some());
        (!secret && reader.may_read(&finished.owner)).then(|| finished.outcome.clone())
    }

    /// The same for a session, which is shown the secrets of its own statements: of one among several, or
    /// that nobody waited for, this once.
    pub fn get_in(
        &self,
        query_id: &Uuid,
        session: &Session,
    ) -> Option<Result<Arc<StoredResult>, UserError>> {
        let mut entries = self.entries.lock();
        let outcome = entries.finished.get(query_id)?.outcome.clone();
        match outcome.as_ref().ok().and_then(|stored| stored.secret_of) {
            None => {
                drop(entries);
                self.get(query_id, &session.reader())
            }
            Some(own) if own == session.id => {
                entries.remove(query_id);
                Some(outcome)
            }
            Some(_) => None,
        }
    }

    /// Whether a statement began before this server did, by the time that its id holds.
    pub fn is_older(&self, query_id: &Uuid) -> bool {
        let Some(made) = query_id.get_timestamp() else { return false };
        let (seconds, nanos) = made.to_unix();
        let millis = seconds.saturating_mul(1000).saturating_add(u64::from(nanos / 1_000_000));
        i64::try_from(millis).is_ok_and(|millis| millis < self.opened_micros / 1000)
    }

    /// A result, whoever asks.
    pub fn get_unchecked(&self, query_id: &Uuid) -> Option<Arc<StoredResult>> {
        let stored = self.entries.lock().finished.get(query_id)?.outcome.clone().ok();
        stored.filter(|stored| stored.secret_of.is_none())
    }

    /// Where a statement stands, for those who may know.
    pub fn status(&self, query_id: &Uuid, reader: &ResultReader) -> Option<QueryStatus> {
        let entries = self.entries.lock();
        if let Some(running) = entries.running.get(query_id) {
            return reader.may_read(&running.owner).then_some(QueryStatus::Running);
        }
        let finished = entries.finished.get(query_id)?;
        reader.may_read(&finished.owner).then(|| match &finished.outcome {
            Ok(_) => QueryStatus::Success,
            Err(error) => QueryStatus::Failed(error.clone()),
        })
    }

    /// Statements that run.
    pub fn running(&self) -> usize {
        self.entries.lock().running.len()
    }

    /// Whether a session runs anything.
    pub fn runs(&self, session_id: i64) -> bool {
        self.entries.lock().running.values().any(|running| running.session_id == session_id)
    }

    /// The session that runs a statement.
    pub fn session_of(&self, query_id: &Uuid) -> Option<i64> {
        self.entries.lock().running.get(query_id).map(|running| running.session_id)
    }

    /// Asks a running statement to stop. Tells whether there was one.
    pub fn cancel(&self, query_id: &Uuid) -> bool {
        match self.entries.lock().running.get(query_id) {
            Some(running) => {
                running.cancel.cancel();
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
            .filter(|(id, running)| running.session_id == session_id && Some(**id) != except);
        tokens.map(|(_, running)| running.cancel.cancel()).count()
    }

    pub fn cancel_all(&self) {
        for running in self.entries.lock().running.values() {
            running.cancel.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Decimal128Array, RecordBatch};
    use frazil_common::{Code, Column, SqlType};

    use super::*;
    use crate::run::spool::SpoolWriter;

    fn reader() -> ResultReader {
        ResultReader { user_id: 1, user: "ANN".to_string(), restricted_role_id: None }
    }

    #[test]
    fn the_oldest_files_go_where_all_are_too_large() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("results");
        let column = Column::new("N", SqlType::INTEGER, false);
        let stored = |query_id: Uuid, rows: i128| {
            let schema = crate::statements::outcome::schema_of(std::slice::from_ref(&column));
            let values = Decimal128Array::from_iter_values(0..rows);
            let values = values.with_precision_and_scale(38, 0).unwrap();
            let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(values)]).unwrap();
            let mut writer = SpoolWriter::new(schema, &folder, &query_id.to_string(), None);
            writer.write(&batch).unwrap();
            StoredResult {
                query_id,
                statement_type_id: 0,
                columns: vec![column.clone()],
                rows: writer.finish().unwrap(),
                context: Default::default(),
                transfer: None,
                children: Vec::new(),
                owner: reader(),
                number_of_binds: 0,
                array_bind_supported: false,
                prefers_json: false,
                rows_affected: None,
                changes: None,
                secret_of: None,
                finished_micros: 0,
            }
        };
        // Each has more than 4 MiB, so that it lies in a file.
        let results = Results::open(&folder, 20_000_000).unwrap();
        let ids: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
        for id in &ids {
            results.finish(*id, reader(), Ok(Arc::new(stored(*id, 400_000))), 1);
        }
        let kept = || ids.iter().filter(|id| results.get(id, &reader()).is_some()).count();
        let files = || std::fs::read_dir(&folder).unwrap().count();
        assert_eq!((kept(), files()), (3, 3));
        assert!(results.get(&ids[4], &reader()).is_some());
        // One that is read goes when it has been; one larger than all may be stays alone.
        let read = results.get(&ids[2], &reader());
        let large = Uuid::new_v4();
        results.finish(large, reader(), Ok(Arc::new(stored(large, 2_000_000))), 1);
        assert_eq!((kept(), files()), (0, 2));
        drop(read);
        assert_eq!(files(), 1);
        results.forget(&large);
        assert_eq!(files(), 0);
        let entries = results.entries.lock();
        assert_eq!((entries.disk_bytes, entries.on_disk.len()), (0, 0));
    }

    #[test]
    fn outcomes_are_kept_as_long_as_their_bytes_fit() {
        let directory = tempfile::tempdir().unwrap();
        let results = Results::open(&directory.path().join("results"), 0).unwrap();
        // Made by hand: errors of this size come from nowhere else.
        let error = UserError {
            code: Code::SyntaxError,
            message: "x".repeat(KEPT_BYTES_MAX as usize / 4),
            position: None,
        };
        let reader = reader();
        let ids: Vec<Uuid> = (0..10).map(|_| Uuid::new_v4()).collect();
        for id in &ids {
            results.finish(*id, reader.clone(), Err(error.clone()), 1);
        }
        let kept: Vec<bool> = ids.iter().map(|id| results.get(id, &reader).is_some()).collect();
        assert_eq!(kept.iter().filter(|kept| **kept).count(), 3);
        assert!(kept.ends_with(&[true, true, true]));
        assert!(results.entries.lock().kept_bytes <= KEPT_BYTES_MAX);
    }
}
