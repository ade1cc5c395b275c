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
use sqlx::{Sqlite, SqlitePool, Transaction};
use tokio::sync::oneshot;

use super::commit;
use super::writer::begin;
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

    /// Commits a request, alone or with others that wait. A caller that goes away before its
    /// turn commits nothing; after that the commit runs to its end.
    pub async fn commit(
        &self,
        writer: &SqlitePool,
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

async fn run(writer: &SqlitePool, data_path: &str, members: Vec<Member>, own: &Mutex<OwnCommits>) {
    let members: Vec<Member> = members.into_iter().filter(|m| !m.answer.is_closed()).collect();
    if members.len() > 1 {
        let requests: Vec<&CommitRequest> = members.iter().map(|m| &m.request).collect();
        match together(writer, data_path, &requests, own).await {
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
        let _ = member.answer.send(outcome);
    }
}

async fn alone(
    writer: &SqlitePool,
    data_path: &str,
    request: &CommitRequest,
    own: &Mutex<OwnCommits>,
) -> Result<CommitOutcome> {
    let mut tx = begin(writer).await?;
    let outcome = commit::commit(&mut tx, request, data_path).await?;
    tx.commit().await?;
    own.lock().note(request, &outcome);
    Ok(outcome)
}

/// Why a whole group failed.
enum Failed {
    /// Nothing was committed.
    Before(CatalogError),
    /// The database failed while it committed.
    While(sqlx::Error),
}

/// One outcome for each request, or the error that made all of them fail.
async fn together(
    writer: &SqlitePool,
    data_path: &str,
    requests: &[&CommitRequest],
    own: &Mutex<OwnCommits>,
) -> Result<Vec<Result<CommitOutcome>>, Failed> {
    let mut tx = begin(writer).await.map_err(Failed::Before)?;
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
    tx: &mut Transaction<'static, Sqlite>,
    request: &CommitRequest,
    data_path: &str,
) -> Result<Result<CommitOutcome>> {
    execute(tx, "SAVEPOINT member").await?;
    let outcome = commit::commit(tx, request, data_path).await;
    match &outcome {
        Ok(_) => {}
        Err(CatalogError::Conflict { .. } | CatalogError::User(_)) => {
            execute(tx, "ROLLBACK TO member").await?;
        }
        // The database may have ended the whole transaction by itself.
        Err(_) => return outcome.map(Ok),
    }
    execute(tx, "RELEASE member").await?;
    Ok(outcome)
}

/// Whether a request adds new rows to the catalog and does nothing else.
fn only_adds_inlined(request: &CommitRequest) -> bool {
    request.changes.is_empty()
        && request.relocations.is_empty()
        && request.loads.is_empty()
        && request.tables.iter().all(|change| {
            change.added.is_empty()
                && change.deletes.is_empty()
                && change.ended_files.is_empty()
                && change.ended_inlined_rows.is_empty()
                && change.inlined.iter().all(|rows| rows.row_ids.is_none())
        })
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

async fn execute(tx: &mut Transaction<'static, Sqlite>, sql: &'static str) -> Result<()> {
    sqlx::query(sql).execute(&mut **tx).await?;
    Ok(())
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
