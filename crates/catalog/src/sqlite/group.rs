//! Group commit: commits that wait for the writer share one transaction of the database, and so
//! one sync of the disk. Each is checked against those before it. Commits that only add rows to
//! the catalog itself, which cannot get in each other's way, share a snapshot too; all others make
//! their own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::compute::concat_batches;
use frazil_common::SnapshotId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::ahead::{Ahead, only_adds_inlined};
use super::batch::Batch;
use super::commit;
use super::writer::{Writer, WriterTurn};
use crate::changes::{
    CatalogChange, CommitMeta, CommitOutcome, CommitRequest, NewInlinedRows, TableChange,
};
use crate::error::{CatalogError, Result};

/// More members would make the first ones wait.
const MEMBERS_MAX: usize = 64;

struct Member {
    request: CommitRequest,
    answer: oneshot::Sender<Result<CommitOutcome>>,
}

/// The commits that wait, and who may lead them.
#[derive(Default)]
pub struct CommitQueue {
    waiting: Arc<Mutex<Vec<Member>>>,
    /// Told of each that begins to wait.
    arrived: tokio::sync::Notify,
    turn: Arc<tokio::sync::Mutex<()>>,
    rhythm: Arc<Mutex<Rhythm>>,
    own: Arc<Mutex<OwnCommits>>,
}

/// How commits come and go, to tell whether waiting for more of them pays off.
#[derive(Debug, Default, Clone, Copy)]
struct Rhythm {
    /// Commits of the last group, and those that waited when it was done: so many writers are at
    /// work.
    writers: usize,
    /// How long the last group took.
    took: Duration,
}

/// The timers are no finer.
const GATHER_LEAST: Duration = Duration::from_millis(1);
const GATHER_MOST: Duration = Duration::from_millis(20);

impl Rhythm {
    /// How long a leader waits for writers that come back from the last group. Without it the first
    /// one back leads a group of its own, and all others wait for two syncs of the disk. Where a
    /// commit is fast there is nothing to gain.
    fn gather(&self) -> Option<Duration> {
        let time = (self.took / 2).min(GATHER_MOST);
        (self.writers > 1 && time >= GATHER_LEAST).then_some(time)
    }
}

/// What is known of commits made here.
#[derive(Debug, Default)]
pub struct OwnCommits {
    /// Snapshots after the first up to the second were all committed here.
    range: Option<(SnapshotId, SnapshotId)>,
    /// The last commit that touched a table's rows.
    last: HashMap<i64, SnapshotId>,
}

impl OwnCommits {
    fn note(&mut self, request: &CommitRequest, outcome: &CommitOutcome) {
        let tables = request.tables.iter().map(|change| change.table_id);
        for table in tables.chain(request.relocations.iter().map(|change| change.table_id)) {
            let table = outcome.ids.get(&table).copied().unwrap_or(table);
            self.last.insert(table, outcome.snapshot);
        }
        // What is dropped takes files along that no table change lists; what is cloned or comes
        // back brings some.
        let moves_files = request.changes.iter().any(|change| {
            matches!(
                change,
                CatalogChange::DropDatabase(_)
                    | CatalogChange::DropSchema(_)
                    | CatalogChange::DropTable(_)
                    | CatalogChange::CloneTable(_)
                    | CatalogChange::UndropDatabase { .. }
                    | CatalogChange::UndropSchema { .. }
                    | CatalogChange::UndropTable { .. }
            )
        });
        self.range = Some(match self.range {
            // Members of a group may share their snapshot.
            Some((first, last)) if last == outcome.snapshot => (first, last),
            Some((first, last)) if last + 1 == outcome.snapshot && !moves_files => {
                (first, outcome.snapshot)
            }
            _ => (outcome.snapshot - 1, outcome.snapshot),
        });
    }
}

impl std::fmt::Debug for CommitQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CommitQueue({} waiting)", self.waiting.lock().len())
    }
}

impl CommitQueue {
    /// Whether all snapshots after `from` up to `to` were committed here.
    pub fn covers(&self, from: SnapshotId, to: SnapshotId) -> bool {
        self.own.lock().range.is_some_and(|(first, last)| from >= first && to <= last)
    }

    /// Whether they were, and none of them touched the rows of a table.
    pub fn leaves(&self, table_id: i64, from: SnapshotId, to: SnapshotId) -> bool {
        let own = self.own.lock();
        own.range.is_some_and(|(first, last)| from >= first && to <= last)
            && own.last.get(&table_id).is_none_or(|last| *last <= from)
    }

    /// Waits for the commits under way, where one may have a time that is no later than this one.
    pub async fn settle(&self, writer: &Writer, micros: i64) {
        if writer.may_be_at(micros) {
            drop(self.turn.lock().await);
        }
    }

    /// Commits a request, alone or with others that wait. A caller that goes away before its
    /// turn commits nothing; after that the commit runs to its end.
    pub async fn commit(
        &self,
        writer: &Writer,
        data_path: &str,
        request: CommitRequest,
    ) -> Result<CommitOutcome> {
        let (answer, mut answered) = oneshot::channel();
        self.waiting.lock().push(Member { request, answer });
        self.arrived.notify_one();
        let turn = Arc::clone(&self.turn).lock_owned();
        tokio::pin!(turn);
        let lead = tokio::select! {
            biased;
            outcome = &mut answered => return outcome.unwrap_or_else(|_| Err(lost())),
            lead = &mut turn => lead,
        };
        if let Ok(outcome) = answered.try_recv() {
            return outcome;
        }
        self.gather().await;
        let members = {
            let mut waiting = self.waiting.lock();
            let count = waiting.len().min(MEMBERS_MAX);
            waiting.drain(..count).collect::<Vec<_>>()
        };
        // A task of its own: whoever leads may be cancelled, those who follow may not.
        let (writer, data_path) = (writer.clone(), data_path.to_string());
        let own = Arc::clone(&self.own);
        let (waiting, rhythm) = (Arc::clone(&self.waiting), Arc::clone(&self.rhythm));
        tokio::spawn(async move {
            let _lead = lead;
            let (started, count) = (Instant::now(), members.len());
            run(&writer, &data_path, members, &own).await;
            let writers = count + waiting.lock().len();
            *rhythm.lock() = Rhythm { writers, took: started.elapsed() };
        });
        answered.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Lets the writers of the last group join before the next begins. Whoever leads may be
    /// cancelled here: the turn goes to another.
    async fn gather(&self) {
        let rhythm = *self.rhythm.lock();
        let Some(time) = rhythm.gather() else { return };
        let all = async {
            while self.waiting.lock().len() < rhythm.writers.min(MEMBERS_MAX) {
                self.arrived.notified().await;
            }
        };
        // Those that do not come in time form the next group.
        let _ = tokio::time::timeout(time, all).await;
    }
}

/// Nobody knows whether the commit took place; the caller must find out.
fn unknown(reason: impl std::fmt::Display) -> CatalogError {
    CatalogError::Database(sqlx::Error::Io(std::io::Error::other(reason.to_string())))
}

fn lost() -> CatalogError {
    unknown("the commit was broken off")
}

async fn run(writer: &Writer, data_path: &str, members: Vec<Member>, own: &Mutex<OwnCommits>) {
    let members: Vec<Member> = members.into_iter().filter(|m| !m.answer.is_closed()).collect();
    if members.len() > 1 {
        let requests: Vec<&CommitRequest> = members.iter().map(|m| &m.request).collect();
        match at_once(writer, data_path, &requests, own).await {
            Ok(outcomes) => {
                for (member, outcome) in members.into_iter().zip(outcomes) {
                    // A caller that went away meanwhile finds its commit done.
                    let _ = member.answer.send(outcome);
                }
                return;
            }
            Err(Failed::Before(error)) => {
                tracing::warn!(%error, "a group of commits failed; each is tried alone");
            }
            // Trying again could commit twice.
            Err(Failed::While(error)) => {
                for member in members {
                    let _ = member.answer.send(Err(unknown(&error)));
                }
                return;
            }
        }
    }
    for member in members {
        let outcome = alone(writer, data_path, &member.request, own).await;
        let _ = member.answer.send(outcome.map_err(Failed::into_error));
    }
}

/// Commits a request in a transaction of its own.
async fn alone(
    writer: &Writer,
    data_path: &str,
    request: &CommitRequest,
    own: &Mutex<OwnCommits>,
) -> Result<CommitOutcome, Failed> {
    let mut turn = writer.turn().await.map_err(Failed::Before)?;
    let ahead = turn.ahead().filter(|ahead| ahead.serves(request));
    let foreseen = ahead.is_some();
    let outcome = match attempt(turn, ahead, data_path, request).await {
        // Another process has made that snapshot.
        Err(failed) if foreseen && failed.is_taken() => {
            let turn = writer.turn().await.map_err(Failed::Before)?;
            attempt(turn, None, data_path, request).await?
        }
        other => other?,
    };
    own.lock().note(request, &outcome);
    Ok(outcome)
}

async fn attempt(
    mut turn: WriterTurn,
    ahead: Option<Ahead>,
    data_path: &str,
    request: &CommitRequest,
) -> Result<CommitOutcome, Failed> {
    let opening = turn.opening();
    match commit::commit(&mut turn, opening, ahead, request, data_path).await {
        Ok(written) => {
            turn.commit_after(written.rest, written.ahead).await.map_err(Failed::at_end)?;
            Ok(written.outcome)
        }
        Err(error) => {
            turn.roll_back().await;
            Err(Failed::Before(error))
        }
    }
}

/// Why a commit, or a whole group, failed.
enum Failed {
    /// Nothing was committed.
    Before(CatalogError),
    /// The database failed while it committed.
    While(CatalogError),
}

impl Failed {
    /// What the database said to the last writes and the COMMIT after them.
    fn at_end(error: CatalogError) -> Failed {
        let refused = match &error {
            CatalogError::Database(sqlx::Error::Database(error)) => {
                error.code().and_then(|code| code.parse::<i32>().ok()).is_some_and(is_refusal)
            }
            _ => false,
        };
        if refused { Failed::Before(error) } else { Failed::While(error) }
    }

    fn into_error(self) -> CatalogError {
        let (Failed::Before(error) | Failed::While(error)) = self;
        error
    }

    /// Whether something was there already that was to be made.
    fn is_taken(&self) -> bool {
        let (Failed::Before(error) | Failed::While(error)) = self;
        matches!(
            error,
            CatalogError::Database(sqlx::Error::Database(error)) if error.is_unique_violation()
        )
    }
}

/// Whether SQLite ends no transaction with such a result but by taking it back: BUSY, READONLY, FULL,
/// CONSTRAINT, whatever their extension.
fn is_refusal(code: i32) -> bool {
    matches!(code & 0xff, 5 | 8 | 13 | 19)
}

/// One outcome for each request, or the error that made all of them fail. Requests that can share a snapshot
/// are one commit, as if one had made them.
async fn at_once(
    writer: &Writer,
    data_path: &str,
    requests: &[&CommitRequest],
    own: &Mutex<OwnCommits>,
) -> Result<Vec<Result<CommitOutcome>>, Failed> {
    if requests.iter().all(|request| only_adds_inlined(request))
        && let Some(merged) = merge(requests)
    {
        match alone(writer, data_path, &merged, own).await {
            Ok(outcome) => return Ok(requests.iter().map(|_| Ok(outcome.clone())).collect()),
            // One of them lost a race.
            Err(Failed::Before(CatalogError::Conflict { .. } | CatalogError::User(_))) => {}
            Err(failed) => return Err(failed),
        }
    }
    together(writer, data_path, requests, own).await
}

/// The same, each with what undoes it.
async fn together(
    writer: &Writer,
    data_path: &str,
    requests: &[&CommitRequest],
    own: &Mutex<OwnCommits>,
) -> Result<Vec<Result<CommitOutcome>>, Failed> {
    let mut tx = writer.begin().await.map_err(Failed::Before)?;
    let mut outcomes = Vec::with_capacity(requests.len());
    let mut rest = requests;
    while let Some((first, others)) = rest.split_first() {
        let alike = rest.iter().take_while(|request| only_adds_inlined(request)).count();
        if alike > 1
            && let Some(merged) = merge(&rest[..alike])
            && let Ok(outcome) =
                member(&mut tx, &merged, data_path).await.map_err(Failed::Before)?
        {
            outcomes.extend((0..alike).map(|_| Ok(outcome.clone())));
            rest = &rest[alike..];
            continue;
        }
        outcomes.push(member(&mut tx, first, data_path).await.map_err(Failed::Before)?);
        rest = others;
    }
    tx.commit().await.map_err(Failed::While)?;
    let mut own = own.lock();
    for (request, outcome) in requests.iter().zip(&outcomes) {
        if let Ok(outcome) = outcome {
            own.note(request, outcome);
        }
    }
    drop(own);
    Ok(outcomes)
}

/// One member's outcome, without a trace where it lost; an error ends the group.
async fn member(
    tx: &mut WriterTurn,
    request: &CommitRequest,
    data_path: &str,
) -> Result<Result<CommitOutcome>> {
    let written = commit::commit(tx, "SAVEPOINT member", None, request, data_path).await;
    let (outcome, mut rest) = match written {
        Ok(written) => (Ok(written.outcome), written.rest),
        Err(error @ (CatalogError::Conflict { .. } | CatalogError::User(_))) => {
            let mut back = Batch::default();
            back.statement("ROLLBACK TO member");
            (Err(error), back)
        }
        // The database may have ended the whole transaction by itself.
        Err(error) => return Err(error),
    };
    rest.statement("RELEASE member");
    rest.run(tx).await?;
    Ok(outcome)
}

/// Several such requests as one; none where tables changed between them.
fn merge(requests: &[&CommitRequest]) -> Option<CommitRequest> {
    let mut tables: Vec<TableChange> = Vec::new();
    let mut meta = CommitMeta::default();
    for request in requests {
        for change in &request.tables {
            match tables.iter_mut().find(|known| known.table_id == change.table_id) {
                None => tables.push(change.clone()),
                Some(known) if known.defined_at == change.defined_at => {
                    known.inlined.extend(change.inlined.iter().cloned());
                }
                Some(_) => return None,
            }
        }
        meta.statements.extend(request.meta.query_id.iter().cloned());
        meta.statements.extend(request.meta.statements.iter().cloned());
    }
    for table in &mut tables {
        let batches: Vec<_> = table.inlined.iter().map(|rows| &rows.rows).collect();
        let rows = concat_batches(&batches.first()?.schema(), batches).ok()?;
        let statistics = table.inlined.iter().flat_map(|rows| rows.statistics.clone()).collect();
        table.inlined = vec![NewInlinedRows { rows, row_ids: None, statistics }];
    }
    let user = requests.first()?.meta.user.clone();
    // A snapshot of several users has no author.
    meta.user = user.filter(|user| requests.iter().all(|r| r.meta.user.as_ref() == Some(user)));
    let base = requests.iter().map(|request| request.base).min()?;
    Some(CommitRequest { base, tables, meta, ..CommitRequest::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_wait_for_others_only_where_a_commit_takes_long() {
        let rhythm = |writers, millis| Rhythm { writers, took: Duration::from_millis(millis) };
        assert_eq!(Rhythm::default().gather(), None);
        assert_eq!(rhythm(1, 100).gather(), None);
        assert_eq!(rhythm(8, 1).gather(), None);
        assert_eq!(rhythm(8, 6).gather(), Some(Duration::from_millis(3)));
        assert_eq!(rhythm(8, 900).gather(), Some(GATHER_MOST));
    }
}
