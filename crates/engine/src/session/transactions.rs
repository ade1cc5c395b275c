//! Running transactions of all sessions and the tables they have locked.
//!
//! UPDATE, DELETE, MERGE and TRUNCATE lock their table until their transaction ends, so that two of them
//! wait for each other instead of one losing its work at commit. INSERT and COPY lock nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use frazil_catalog::account::now_micros;
use frazil_common::{Code, UserError};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::statements::context::cancelled;
use crate::warehouses::Place;

/// A transaction as SHOW TRANSACTIONS lists it.
#[derive(Debug, Clone)]
pub(crate) struct TransactionInfo {
    pub id: i64,
    pub session_id: i64,
    pub user: String,
    pub name: String,
    pub started_micros: i64,
}

/// A lock as SHOW LOCKS lists it.
#[derive(Debug, Clone)]
pub(crate) struct LockInfo {
    pub transaction: TransactionInfo,
    pub table: String,
    pub table_id: i64,
    pub query_id: String,
    /// None while it is waited for.
    pub acquired_micros: Option<i64>,
}

#[derive(Debug)]
struct Held {
    transaction: i64,
    table: String,
    query_id: String,
    acquired_micros: i64,
}

/// Waiters of one table are served in the order of this list.
#[derive(Debug)]
struct Waiting {
    transaction: i64,
    table_id: i64,
    table: String,
    query_id: String,
}

/// Transactions that DESCRIBE TRANSACTION tells of after their end.
const ENDED_KEPT: usize = 10_000;

/// A transaction that has ended.
#[derive(Debug)]
struct Ended {
    info: TransactionInfo,
    committed: bool,
    micros: i64,
}

#[derive(Debug, Default)]
struct State {
    last_id: i64,
    /// The oldest first.
    ended: VecDeque<Ended>,
    open: BTreeMap<i64, TransactionInfo>,
    held: HashMap<i64, Held>,
    waiting: Vec<Waiting>,
}

impl State {
    /// Whether waiting for the table would close a circle of waiters.
    fn deadlocks(&self, transaction: i64, table_id: i64) -> bool {
        let mut table = table_id;
        // Each transaction waits for one table at most, so the way is a line or a circle.
        for _ in 0..=self.waiting.len() {
            let Some(held) = self.held.get(&table) else { return false };
            if held.transaction == transaction {
                return true;
            }
            let next = self.waiting.iter().find(|w| w.transaction == held.transaction);
            match next {
                Some(waiting) => table = waiting.table_id,
                None => return false,
            }
        }
        true
    }
}

/// The running transactions. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transactions {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

/// A running transaction; dropping it releases its locks.
#[derive(Debug)]
pub(crate) struct Running {
    registry: Transactions,
    pub info: TransactionInfo,
    /// Whether it is told of after its end, as those of several statements are.
    kept: bool,
    committed: AtomicBool,
}

/// What a statement asks to lock, and on whose behalf.
#[derive(Debug, Clone)]
pub(crate) struct LockRequest<'a> {
    pub table_id: i64,
    /// The table's full name.
    pub table: &'a str,
    pub query_id: &'a str,
    /// LOCK_TIMEOUT.
    pub seconds: i64,
    /// Where the statement computes; others do while it waits.
    pub place: Option<&'a Place>,
}

impl Transactions {
    /// Registers a transaction; its id is higher than any before.
    pub fn begin(&self, session_id: i64, user: &str, name: Option<String>) -> Running {
        let mut state = self.inner.state.lock();
        let started_micros = now_micros();
        let id = started_micros.max(state.last_id + 1);
        state.last_id = id;
        let info = TransactionInfo {
            id,
            session_id,
            user: user.to_string(),
            name: name.unwrap_or_else(|| id.to_string()),
            started_micros,
        };
        state.open.insert(id, info.clone());
        Running { registry: self.clone(), info, kept: false, committed: AtomicBool::new(false) }
    }

    /// A transaction that is running or has ended; of the latter whether it committed, and when it ended.
    pub fn find(&self, id: i64) -> Option<(TransactionInfo, Option<(bool, i64)>)> {
        let state = self.inner.state.lock();
        if let Some(running) = state.open.get(&id) {
            return Some((running.clone(), None));
        }
        let ended = state.ended.iter().rev().find(|ended| ended.info.id == id)?;
        Some((ended.info.clone(), Some((ended.committed, ended.micros))))
    }

    /// All running transactions by age.
    pub fn list(&self) -> Vec<TransactionInfo> {
        self.inner.state.lock().open.values().cloned().collect()
    }

    /// Those that hold a lock for which others wait.
    pub fn waited_for(&self) -> Vec<TransactionInfo> {
        let state = self.inner.state.lock();
        let tables: HashSet<i64> = state.waiting.iter().map(|w| w.table_id).collect();
        let holders: BTreeSet<i64> = tables
            .iter()
            .filter_map(|table| state.held.get(table))
            .map(|held| held.transaction)
            .collect();
        holders.iter().filter_map(|id| state.open.get(id).cloned()).collect()
    }

    /// All locks held and waited for.
    pub fn locks(&self) -> Vec<LockInfo> {
        let state = self.inner.state.lock();
        let mut locks: Vec<LockInfo> = Vec::new();
        for (table_id, held) in &state.held {
            if let Some(transaction) = state.open.get(&held.transaction) {
                locks.push(LockInfo {
                    transaction: transaction.clone(),
                    table: held.table.clone(),
                    table_id: *table_id,
                    query_id: held.query_id.clone(),
                    acquired_micros: Some(held.acquired_micros),
                });
            }
        }
        locks.sort_by_key(|lock| (lock.transaction.id, lock.table_id));
        for waiting in &state.waiting {
            if let Some(transaction) = state.open.get(&waiting.transaction) {
                locks.push(LockInfo {
                    transaction: transaction.clone(),
                    table: waiting.table.clone(),
                    table_id: waiting.table_id,
                    query_id: waiting.query_id.clone(),
                    acquired_micros: None,
                });
            }
        }
        locks
    }
}

impl Running {
    /// The same, told of after its end.
    pub fn kept(self) -> Running {
        let mut running = self;
        running.kept = true;
        running
    }

    /// Its changes are there for all to see.
    pub fn note_committed(&self) {
        self.committed.store(true, Ordering::Relaxed);
    }

    /// Locks a table until the transaction ends; waits for the transaction that has it.
    ///
    /// # Errors
    /// LOCK_TIMEOUT passed, the statement was cancelled, or each of several transactions would wait
    /// for another: the one that came last gives up its statement.
    pub async fn lock(
        &self,
        request: LockRequest<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), UserError> {
        let mut queued = Queued { running: self, ticket: false };
        let seconds = u64::try_from(request.seconds).unwrap_or(0);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds);
        let mut aside = None;
        loop {
            let changed = self.registry.inner.changed.notified();
            tokio::pin!(changed);
            // From here on no release is missed.
            changed.as_mut().enable();
            if self.take(&request, &mut queued)? {
                return Ok(());
            }
            if aside.is_none() {
                aside = request.place.map(Place::step_aside);
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(deadline) => return Err(self.timed_out(&request)),
                () = cancel.cancelled() => return Err(cancelled()),
            }
        }
    }

    /// Gives up the locks of a transaction that has nothing left to protect.
    pub fn release_locks(&self) {
        let id = self.info.id;
        self.registry.inner.state.lock().held.retain(|_, held| held.transaction != id);
        self.registry.inner.changed.notify_waiters();
    }

    /// Takes the lock if it is this transaction's turn, else stands in the queue.
    fn take(&self, request: &LockRequest<'_>, queued: &mut Queued<'_>) -> Result<bool, UserError> {
        let id = self.info.id;
        let mut state = self.registry.inner.state.lock();
        let free = match state.held.get(&request.table_id) {
            Some(held) if held.transaction == id => return Ok(true),
            Some(_) => false,
            None => {
                let first = state.waiting.iter().find(|w| w.table_id == request.table_id);
                first.is_none_or(|first| first.transaction == id)
            }
        };
        if free {
            state.waiting.retain(|w| w.transaction != id);
            queued.ticket = false;
            state.held.insert(
                request.table_id,
                Held {
                    transaction: id,
                    table: request.table.to_string(),
                    query_id: request.query_id.to_string(),
                    acquired_micros: now_micros(),
                },
            );
            return Ok(true);
        }
        if !queued.ticket {
            if state.deadlocks(id, request.table_id) {
                return Err(UserError::new(
                    Code::LockTimeout,
                    format!(
                        "Statement '{}' was aborted: waiting for the lock on table {} would be a \
                         deadlock.",
                        request.query_id, request.table
                    ),
                ));
            }
            state.waiting.push(Waiting {
                transaction: id,
                table_id: request.table_id,
                table: request.table.to_string(),
                query_id: request.query_id.to_string(),
            });
            queued.ticket = true;
        }
        Ok(false)
    }

    fn timed_out(&self, request: &LockRequest<'_>) -> UserError {
        let state = self.registry.inner.state.lock();
        let holder = state.held.get(&request.table_id);
        let (query_id, transaction) =
            holder.map_or(("", 0), |held| (held.query_id.as_str(), held.transaction));
        UserError::new(
            Code::LockTimeout,
            format!(
                "Statement '{query_id}' has locked table {} in transaction {transaction} and this \
                 lock has not yet been released. Your statement '{}' was aborted because it \
                 waited longer than the LOCK_TIMEOUT of {} second(s).",
                request.table, request.query_id, request.seconds
            ),
        )
    }
}

/// A place in the queue, given up when the wait ends in any way.
struct Queued<'a> {
    running: &'a Running,
    ticket: bool,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if self.ticket {
            let inner = &self.running.registry.inner;
            let id = self.running.info.id;
            inner.state.lock().waiting.retain(|w| w.transaction != id);
            inner.changed.notify_waiters();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let id = self.info.id;
        let mut state = self.registry.inner.state.lock();
        state.open.remove(&id);
        if self.kept {
            if state.ended.len() >= ENDED_KEPT {
                state.ended.pop_front();
            }
            state.ended.push_back(Ended {
                info: self.info.clone(),
                committed: self.committed.load(Ordering::Relaxed),
                micros: now_micros(),
            });
        }
        state.held.retain(|_, held| held.transaction != id);
        drop(state);
        self.registry.inner.changed.notify_waiters();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(table_id: i64, seconds: i64) -> LockRequest<'static> {
        LockRequest { table_id, table: "T", query_id: "q", seconds, place: None }
    }

    #[tokio::test]
    async fn a_lock_is_held_until_the_transaction_ends() {
        let all = Transactions::default();
        let cancel = CancellationToken::new();
        let one = all.begin(1, "U", None);
        let two = all.begin(2, "U", Some("named".into()));
        assert!(two.info.id > one.info.id);
        one.lock(request(7, 0), &cancel).await.unwrap();
        one.lock(request(7, 0), &cancel).await.unwrap();
        let error = two.lock(request(7, 0), &cancel).await.unwrap_err();
        assert_eq!(error.code, Code::LockTimeout);
        two.lock(request(8, 0), &cancel).await.unwrap();
        let waits = two.lock(request(7, 600), &cancel);
        tokio::pin!(waits);
        assert!(futures::poll!(waits.as_mut()).is_pending());
        assert_eq!(all.locks().iter().filter(|lock| lock.acquired_micros.is_none()).count(), 1);
        assert_eq!(all.waited_for().iter().map(|info| info.id).collect::<Vec<_>>(), [one.info.id]);
        drop(one);
        assert!(all.waited_for().is_empty());
        waits.await.unwrap();
        assert_eq!(all.list().len(), 1);
        // That of one statement is not told of once it is over.
        let three = all.begin(3, "U", None);
        let id = three.info.id;
        assert!(all.find(id).is_some_and(|(_, ended)| ended.is_none()));
        drop(three);
        assert!(all.find(id).is_none());
        let kept = all.begin(1, "U", None).kept();
        let id = kept.info.id;
        kept.note_committed();
        drop(kept);
        assert!(all.find(id).is_some_and(|(_, ended)| ended.is_some_and(|(done, _)| done)));
    }

    #[tokio::test]
    async fn the_one_who_would_close_the_circle_gives_up() {
        let all = Transactions::default();
        let cancel = CancellationToken::new();
        let (one, two) = (all.begin(1, "U", None), all.begin(2, "U", None));
        one.lock(request(1, 0), &cancel).await.unwrap();
        two.lock(request(2, 0), &cancel).await.unwrap();
        let waits = one.lock(request(2, 600), &cancel);
        tokio::pin!(waits);
        assert!(futures::poll!(waits.as_mut()).is_pending());
        let error = two.lock(request(1, 600), &cancel).await.unwrap_err();
        assert!(error.message.contains("deadlock"));
        // The transaction itself goes on.
        two.lock(request(3, 0), &cancel).await.unwrap();
        drop(two);
        waits.await.unwrap();
    }
}
