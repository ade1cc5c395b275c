//! Statements in flight, and those finished a moment ago, by query id and by request id.
//!
//! A statement runs in a task of its own: requests come and go (polls, retries, lost connections)
//! while it runs on.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use frazil_common::UserError;
use frazil_engine::{Session, StatementRequest, StoredResult};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::results::ReplyOptions;
use crate::metrics::Metrics;

/// How a statement ended.
pub type Outcome = Result<Arc<StoredResult>, UserError>;

/// One statement and its outcome, once there is one.
pub struct Statement {
    pub query_id: Uuid,
    pub session_id: i64,
    pub user: String,
    pub text: String,
    pub started_millis: i64,
    pub reply: ReplyOptions,
    request_id: Option<String>,
    cancel: CancellationToken,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Statement {
    /// The outcome if the statement has ended.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.borrow().clone()
    }

    /// Waits for the end, at most `hold`, and not beyond the server's `closing`.
    pub async fn wait(&self, hold: Duration, closing: &CancellationToken) -> Option<Outcome> {
        let mut receiver = self.outcome.clone();
        let done = async {
            match receiver.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone(),
                Err(_) => Some(Err(UserError::internal("the statement's task died"))),
            }
        };
        tokio::select! {
            biased;
            outcome = done => outcome,
            () = tokio::time::sleep(hold) => None,
            () = closing.cancelled() => None,
        }
    }

    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

/// What identifies a new statement beyond its text.
pub struct StartOptions {
    pub request_id: Option<String>,
    pub reply: ReplyOptions,
}

#[derive(Default)]
struct Entries {
    by_id: HashMap<Uuid, Arc<Statement>>,
    by_request: HashMap<(i64, String), Uuid>,
    finished: VecDeque<(Instant, Uuid)>,
}

impl Entries {
    /// Forgets statements that ended long enough ago that no retry of their request will come.
    fn purge(&mut self) {
        while let Some((at, id)) = self.finished.front().copied() {
            if at.elapsed() < RETRY_WINDOW && self.finished.len() <= FINISHED_MAX {
                break;
            }
            self.finished.pop_front();
            if let Some(statement) = self.by_id.remove(&id)
                && let Some(request_id) = &statement.request_id
            {
                let key = (statement.session_id, request_id.clone());
                if self.by_request.get(&key) == Some(&id) {
                    self.by_request.remove(&key);
                }
            }
        }
    }
}

/// How long a finished statement waits for a retry of its request.
const RETRY_WINDOW: Duration = Duration::from_secs(120);
/// And how many may wait.
const FINISHED_MAX: usize = 128;

/// All statements in flight.
#[derive(Clone)]
pub struct RunningStatements {
    entries: Arc<Mutex<Entries>>,
    metrics: Arc<Metrics>,
}

impl RunningStatements {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        RunningStatements { entries: Arc::default(), metrics }
    }

    /// Starts a statement in its own task.
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
            user: session.user().to_string(),
            text: request.text.clone(),
            started_millis: chrono::Utc::now().timestamp_millis(),
            reply: options.reply,
            request_id: options.request_id,
            cancel: request.cancel.clone(),
            outcome: receiver,
        });
        {
            let mut entries = self.entries.lock();
            entries.purge();
            entries.by_id.insert(statement.query_id, statement.clone());
            if let Some(request_id) = &statement.request_id {
                let key = (statement.session_id, request_id.clone());
                entries.by_request.insert(key, statement.query_id);
            }
        }
        let finishing = FinishGuard { entries: self.entries.clone(), query_id: statement.query_id };
        let session = session.clone();
        let metrics = self.metrics.clone();
        tokio::spawn(async move {
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

    /// The statement that a request of this session started.
    pub fn by_request(&self, session_id: i64, request_id: &str) -> Option<Arc<Statement>> {
        let entries = self.entries.lock();
        let id = entries.by_request.get(&(session_id, request_id.to_string()))?;
        entries.by_id.get(id).cloned()
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
        self.entries.lock().finished.push_back((Instant::now(), self.query_id));
    }
}
