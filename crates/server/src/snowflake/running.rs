//! Statements in flight, and those finished a moment ago, by query id and by request id.
//!
//! A statement runs in a task of its own: requests come and go (polls, retries, lost connections)
//! while it runs on.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use frazil_common::UserError;
use frazil_engine::{ResultReader, Session, StatementRequest, StoredResult};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::results::ReplyOptions;
use crate::metrics::Metrics;

/// How a statement ended.
pub type Outcome = Result<Arc<StoredResult>, UserError>;

/// One statement and its outcome, once there is one.
pub struct Statement {
    pub query_id: Uuid,
    pub session_id: i64,
    pub owner: ResultReader,
    pub text: String,
    pub started_millis: i64,
    pub reply: ReplyOptions,
    request_id: Option<String>,
    cancel: CancellationToken,
    given_up: AtomicBool,
    secret_taken: AtomicBool,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Statement {
    /// Whether a secret in its answer was not asked for before.
    pub fn take_secret(&self) -> bool {
        !self.secret_taken.swap(true, Ordering::SeqCst)
    }

    /// The outcome if the statement has ended.
    pub fn outcome(&self) -> Option<Outcome> {
        // Looked at first: what was sent before that is seen.
        let ended = self.outcome.has_changed().is_err();
        match self.outcome.borrow().clone() {
            None if ended => Some(Err(died())),
            outcome => outcome,
        }
    }

    /// Waits for the end, at most `hold`. While the server is `closing` a wait goes on to the end, which is
    /// near then: nobody could be asked for the outcome later.
    pub async fn wait(&self, hold: Duration, closing: &CancellationToken) -> Option<Outcome> {
        let mut receiver = self.outcome.clone();
        let done = async {
            match receiver.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone(),
                Err(_) => Some(Err(died())),
            }
        };
        tokio::pin!(done);
        tokio::select! {
            biased;
            outcome = &mut done => return outcome,
            () = tokio::time::sleep(hold) => {}
        }
        if hold.is_zero() || !closing.is_cancelled() {
            return None;
        }
        done.await
    }

    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Cancels it because the server closes. One that its client has cancelled is answered so.
    fn give_up(&self) {
        if !self.cancel.is_cancelled() && self.outcome().is_none() {
            self.given_up.store(true, Ordering::SeqCst);
            self.cancel.cancel();
        }
    }

    /// Whether the server closed before it ended: an error is then no answer to its client, which is to
    /// send the request again.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    /// What it holds in memory, about.
    fn bytes(&self) -> u64 {
        let outcome = match &*self.outcome.borrow() {
            Some(Ok(result)) if result.rows.in_memory() => result.rows.bytes(),
            Some(Err(error)) => error.message.len() as u64,
            _ => 0,
        };
        (size_of::<Statement>() + self.text.len()) as u64 + outcome
    }
}

fn died() -> UserError {
    UserError::internal("the statement's task died")
}

/// What identifies a new statement beyond its text.
pub struct StartOptions {
    pub request_id: Option<String>,
    pub reply: ReplyOptions,
}

/// How long a finished statement waits for a retry of its request.
const RETRY_WINDOW: Duration = Duration::from_secs(120);
/// Most requests that are aborted before they come.
const ABORTED_MAX: usize = 10_000;
/// How often those that waited long enough are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How much of what has finished may wait for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    statements: usize,
    bytes: u64,
}

const OF_A_SESSION: Bounds = Bounds { statements: 128, bytes: 8 << 20 };
const OF_ALL: Bounds = Bounds { statements: 8192, bytes: 64 << 20 };

impl Bounds {
    fn exceeded(self, statements: usize, bytes: u64) -> bool {
        statements > self.statements || bytes > self.bytes
    }
}

/// A session's finished statements, oldest first, with what they take.
#[derive(Default)]
struct Finished {
    statements: VecDeque<(Instant, Uuid, u64)>,
    bytes: u64,
}

impl Finished {
    fn pop(&mut self) -> Option<Uuid> {
        let (_, id, bytes) = self.statements.pop_front()?;
        self.bytes -= bytes;
        Some(id)
    }
}

#[derive(Default)]
struct Entries {
    by_id: HashMap<Uuid, Arc<Statement>>,
    by_request: HashMap<(i64, String), Uuid>,
    finished: HashMap<i64, Finished>,
    /// Requests that were aborted before they came, and when.
    aborted: HashMap<(i64, String), Instant>,
    /// Of all sessions.
    finished_count: usize,
    finished_bytes: u64,
    swept: Option<Instant>,
    /// What begins is given up at once.
    closed: bool,
}

impl Entries {
    fn of_request(&self, session_id: i64, request_id: &str) -> Option<Arc<Statement>> {
        let id = self.by_request.get(&(session_id, request_id.to_string()))?;
        self.by_id.get(id).cloned()
    }

    /// Forgets statements that ended long enough ago that no retry of their request will come.
    fn sweep(&mut self) {
        if self.swept.is_some_and(|at| at.elapsed() < SWEEP_EVERY) {
            return;
        }
        self.swept = Some(Instant::now());
        self.aborted.retain(|_, at| at.elapsed() < RETRY_WINDOW);
        let sessions: Vec<i64> = self.finished.keys().copied().collect();
        for session in sessions {
            let expired = |finished: &Finished| {
                finished.statements.front().is_some_and(|(at, ..)| at.elapsed() >= RETRY_WINDOW)
            };
            while self.finished.get(&session).is_some_and(expired) {
                self.forget_oldest(session);
            }
        }
    }

    fn finish(&mut self, query_id: Uuid, of_a_session: Bounds, of_all: Bounds) {
        let Some(statement) = self.by_id.get(&query_id) else { return };
        let (session, bytes) = (statement.session_id, statement.bytes());
        let finished = self.finished.entry(session).or_default();
        finished.statements.push_back((Instant::now(), query_id, bytes));
        finished.bytes += bytes;
        self.finished_count += 1;
        self.finished_bytes += bytes;
        // The last one always stays: its answer may be the one that was lost.
        while let Some(own) = self.finished.get(&session)
            && own.statements.len() > 1
            && of_a_session.exceeded(own.statements.len(), own.bytes)
        {
            self.forget_oldest(session);
        }
        while of_all.exceeded(self.finished_count, self.finished_bytes) {
            let Some(largest) = self.largest(of_all) else { return };
            self.forget_oldest(largest);
        }
    }

    /// The session that has most of what there is too much of.
    fn largest(&self, of_all: Bounds) -> Option<i64> {
        let by_bytes = self.finished_bytes > of_all.bytes;
        let share = |finished: &Finished| {
            if by_bytes { finished.bytes } else { finished.statements.len() as u64 }
        };
        self.finished
            .iter()
            .max_by_key(|(_, finished)| share(finished))
            .map(|(session, _)| *session)
    }

    fn forget_oldest(&mut self, session: i64) {
        let Some(finished) = self.finished.get_mut(&session) else { return };
        let before = finished.bytes;
        let id = finished.pop();
        self.finished_bytes -= before - finished.bytes;
        if finished.statements.is_empty() {
            self.finished.remove(&session);
        }
        let Some(id) = id else { return };
        self.finished_count -= 1;
        if let Some(statement) = self.by_id.remove(&id)
            && let Some(request_id) = &statement.request_id
        {
            let key = (session, request_id.clone());
            if self.by_request.get(&key) == Some(&id) {
                self.by_request.remove(&key);
            }
        }
    }
}

/// All statements in flight.
#[derive(Clone)]
pub struct RunningStatements {
    entries: Arc<Mutex<Entries>>,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
}

impl RunningStatements {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        RunningStatements { entries: Arc::default(), metrics, tasks: TaskTracker::new() }
    }

    /// Starts a statement in its own task, unless another attempt of its request has: that one's is given
    /// then. Attempts come in any order, and together.
    pub fn start(
        &self,
        session: &Arc<Session>,
        request: StatementRequest,
        options: StartOptions,
    ) -> Arc<Statement> {
        let (sender, receiver) = watch::channel(None);
        let statement = Arc::new(Statement {
            query_id: request.query_id,
            session_id: session.id(),
            owner: session.reader(),
            text: request.text.clone(),
            started_millis: chrono::Utc::now().timestamp_millis(),
            reply: options.reply,
            request_id: options.request_id,
            cancel: request.cancel.clone(),
            given_up: AtomicBool::new(false),
            secret_taken: AtomicBool::new(false),
            outcome: receiver,
        });
        {
            let mut entries = self.entries.lock();
            entries.sweep();
            if let Some(request_id) = &statement.request_id
                && let Some(earlier) = entries.of_request(statement.session_id, request_id)
                && earlier.text == statement.text
            {
                return earlier;
            }
            entries.by_id.insert(statement.query_id, statement.clone());
            if let Some(request_id) = &statement.request_id {
                let key = (statement.session_id, request_id.clone());
                if entries.aborted.contains_key(&key) {
                    statement.cancel();
                }
                entries.by_request.insert(key, statement.query_id);
            }
            if entries.closed {
                statement.give_up();
            }
        }
        let finishing = FinishGuard { entries: self.entries.clone(), query_id: statement.query_id };
        let session = session.clone();
        let metrics = self.metrics.clone();
        self.tasks.spawn(async move {
            let _finishing = finishing;
            let started = Instant::now();
            let outcome = session.execute(request).await;
            metrics.statement(outcome.as_ref().err(), started);
            // Without receivers nobody wants it any more.
            let _ = sender.send(Some(outcome));
        });
        statement
    }

    pub fn by_id(&self, query_id: &Uuid) -> Option<Arc<Statement>> {
        self.entries.lock().by_id.get(query_id).cloned()
    }

    /// The statement that a request of this session started, which is to be aborted. Of a request that is
    /// still on its way, as a large one may be, the statement ends when it begins.
    pub fn to_abort(&self, session_id: i64, request_id: &str) -> Option<Arc<Statement>> {
        let mut entries = self.entries.lock();
        entries.sweep();
        let found = entries.of_request(session_id, request_id);
        if found.is_none() && entries.aborted.len() < ABORTED_MAX {
            entries.aborted.insert((session_id, request_id.to_string()), Instant::now());
        }
        found
    }

    /// The statement that a request of this session started.
    pub fn by_request(&self, session_id: i64, request_id: &str) -> Option<Arc<Statement>> {
        self.entries.lock().of_request(session_id, request_id)
    }

    /// The server closes: cancels all that runs and whatever begins from here on. A commit that has begun
    /// goes on to its outcome.
    pub fn give_up(&self) {
        let mut entries = self.entries.lock();
        entries.closed = true;
        for statement in entries.by_id.values() {
            statement.give_up();
        }
    }

    /// Waits until nothing runs any more.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Cancels everything a session runs; for its logout.
    pub fn cancel_session(&self, session_id: i64) {
        for statement in self.entries.lock().by_id.values() {
            if statement.session_id == session_id {
                statement.cancel();
            }
        }
    }
}

/// Marks the statement finished even when its task panics.
struct FinishGuard {
    entries: Arc<Mutex<Entries>>,
    query_id: Uuid,
}

impl Drop for FinishGuard {
    fn drop(&mut self) {
        self.entries.lock().finish(self.query_id, OF_A_SESSION, OF_ALL);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const BOUNDS: Bounds = Bounds { statements: 3, bytes: 100_000 };
    const ALL: Bounds = Bounds { statements: 5, bytes: 250_000 };

    fn statement(
        query_id: Uuid,
        session_id: i64,
        bytes: usize,
        outcome: watch::Receiver<Option<Outcome>>,
    ) -> Statement {
        Statement {
            query_id,
            session_id,
            owner: ResultReader { user_id: 1, user: "U".to_string(), restricted_role_id: None },
            text: "x".repeat(bytes),
            started_millis: 0,
            reply: ReplyOptions::default(),
            request_id: Some(query_id.to_string()),
            cancel: CancellationToken::new(),
            given_up: AtomicBool::new(false),
            secret_taken: AtomicBool::new(false),
            outcome,
        }
    }

    /// Runs and ends a statement of so many bytes; gives its request's id.
    fn ended(entries: &mut Entries, session: i64, bytes: usize) -> String {
        let query_id = Uuid::new_v4();
        let request_id = query_id.to_string();
        let (_, outcome) = watch::channel(Some(Err(UserError::syntax("x"))));
        let statement = statement(query_id, session, bytes, outcome);
        entries.by_id.insert(query_id, Arc::new(statement));
        entries.by_request.insert((session, request_id.clone()), query_id);
        entries.finish(query_id, BOUNDS, ALL);
        request_id
    }

    fn knows(entries: &Entries, session: i64, request: &str) -> bool {
        let id = entries.by_request.get(&(session, request.to_string()));
        id.is_some_and(|id| entries.by_id.contains_key(id))
    }

    #[test]
    fn a_busy_session_pushes_out_its_own_statements_only() {
        let mut entries = Entries::default();
        let quiet = ended(&mut entries, 1, 10);
        let busy: Vec<String> = (0..50).map(|_| ended(&mut entries, 2, 10)).collect();
        assert!(knows(&entries, 1, &quiet));
        assert!(!knows(&entries, 2, &busy[46]));
        assert!(busy[47..].iter().all(|request| knows(&entries, 2, request)));
        // Above the bound of all, the sessions with most give way.
        let third = ended(&mut entries, 3, 10);
        let fourth = ended(&mut entries, 4, 10);
        assert!(!knows(&entries, 2, &busy[47]));
        for (session, request) in [(1, &quiet), (2, &busy[49]), (3, &third), (4, &fourth)] {
            assert!(knows(&entries, session, request), "{session}");
        }
        assert_eq!((entries.finished_count, entries.by_id.len()), (5, 5));
    }

    #[test]
    fn a_statement_whose_task_died_has_ended() {
        let (sender, outcome) = watch::channel(None);
        let statement = statement(Uuid::new_v4(), 1, 10, outcome);
        assert!(statement.outcome().is_none());
        drop(sender);
        assert!(statement.outcome().is_some_and(|outcome| outcome.is_err()));
    }

    #[tokio::test]
    async fn while_the_server_closes_statements_are_waited_for() {
        let closing = CancellationToken::new();
        let (sender, outcome) = watch::channel(None);
        let statement = statement(Uuid::new_v4(), 1, 10, outcome);
        let hold = Duration::from_millis(1);
        assert!(statement.wait(hold, &closing).await.is_none());
        closing.cancel();
        let waits = statement.wait(hold, &closing);
        tokio::pin!(waits);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(futures::poll!(waits.as_mut()).is_pending());
        sender.send(Some(Err(UserError::syntax("x")))).unwrap();
        assert!(waits.await.is_some_and(|outcome| outcome.is_err()));
    }

    #[test]
    fn what_its_client_cancelled_is_not_given_up() {
        let (_sender, running) = watch::channel(None);
        let given_up = statement(Uuid::new_v4(), 1, 10, running.clone());
        let cancelled = statement(Uuid::new_v4(), 1, 10, running);
        cancelled.cancel();
        for statement in [&given_up, &cancelled] {
            statement.give_up();
        }
        assert!(given_up.is_given_up() && given_up.cancel.is_cancelled());
        assert!(!cancelled.is_given_up());
        let (_, ended) = watch::channel(Some(Err(UserError::syntax("x"))));
        let ended = statement(Uuid::new_v4(), 1, 10, ended);
        ended.give_up();
        assert!(!ended.is_given_up());
    }

    #[test]
    fn bytes_are_bounded_and_the_last_statement_stays() {
        let mut entries = Entries::default();
        let small = ended(&mut entries, 1, 10);
        let large = ended(&mut entries, 1, 99_990);
        assert!(!knows(&entries, 1, &small) && knows(&entries, 1, &large));
        let larger = ended(&mut entries, 2, 200_000);
        // Together they are above the bound of all: the larger one gives way, though it came last.
        assert!(knows(&entries, 1, &large) && !knows(&entries, 2, &larger));
        assert_eq!(entries.finished_count, 1);
        assert!(entries.finished_bytes < ALL.bytes);
    }
}
