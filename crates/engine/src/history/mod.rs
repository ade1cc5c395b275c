//! Query and access history: recorded in the background, in batches.

pub(crate) mod access;
pub(crate) mod definitions;
pub(crate) mod lineage;
pub(crate) mod pages;
pub(crate) mod query_hash;

use std::time::Duration;

use frazil_catalog::account::{AccessRecord, AccountStore, QueryRecord};
use frazil_common::{Code, UserError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Records waiting to be written; more wait in their statement.
const QUEUE_DEPTH: usize = 4096;
/// Longest time a record stays unwritten.
const WRITE_EVERY: Duration = Duration::from_millis(500);
/// Records kept for another try while the disk is full.
const KEPT_MAX: usize = 4 * QUEUE_DEPTH;
/// Time to the next try.
const RETRY_EVERY: Duration = Duration::from_secs(5);

enum Message {
    Record(Box<QueryRecord>, Option<AccessRecord>),
    Flush(oneshot::Sender<()>),
}

/// Takes records from statements and writes them together.
pub(crate) struct History {
    sender: mpsc::Sender<Message>,
}

impl History {
    pub fn start(accounts: AccountStore) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_DEPTH);
        tokio::spawn(write(accounts, receiver));
        History { sender }
    }

    pub async fn record(&self, query: QueryRecord, access: Option<AccessRecord>) {
        if self.sender.send(Message::Record(Box::new(query), access)).await.is_err() {
            tracing::warn!("the query history is closed; a record was not kept");
        }
    }

    /// Returns when everything recorded so far is written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            // A writer that is gone has nothing left to write.
            let _ = written.await;
        }
    }
}

async fn write(accounts: AccountStore, mut receiver: mpsc::Receiver<Message>) {
    let mut queries = Vec::new();
    let mut accesses = Vec::new();
    // When the oldest record that waits must be written, however many come.
    let mut deadline = Instant::now() + WRITE_EVERY;
    let mut gathered_max = QUEUE_DEPTH;
    loop {
        let mut waiting = None;
        if queries.is_empty() {
            deadline = Instant::now() + WRITE_EVERY;
        }
        match tokio::time::timeout_at(deadline, receiver.recv()).await {
            Ok(Some(Message::Record(query, access))) => {
                if queries.is_empty() {
                    deadline = Instant::now() + WRITE_EVERY;
                }
                queries.push(*query);
                accesses.extend(access);
                if queries.len() < gathered_max {
                    // Gather what follows at once; the time-out writes.
                    continue;
                }
            }
            Ok(Some(Message::Flush(done))) => waiting = Some(done),
            Ok(None) => {
                store(&accounts, &mut queries, &mut accesses).await;
                return;
            }
            Err(_) => {}
        }
        store(&accounts, &mut queries, &mut accesses).await;
        gathered_max = if queries.is_empty() { QUEUE_DEPTH } else { KEPT_MAX };
        deadline = Instant::now() + RETRY_EVERY;
        if let Some(done) = waiting {
            // The asker may have given up.
            let _ = done.send(());
        }
    }
}

/// Writes the records; those for which the disk has no room stay for another try, while they are few.
async fn store(
    accounts: &AccountStore,
    queries: &mut Vec<QueryRecord>,
    accesses: &mut Vec<AccessRecord>,
) {
    if queries.is_empty() {
        return;
    }
    if let Err(error) = accounts.record_queries(queries, accesses).await {
        let words = error.to_string();
        if UserError::from(error).code == Code::DiskFull && queries.len() < KEPT_MAX {
            tracing::warn!("the query history waits for room on the disk: {words}");
            return;
        }
        tracing::error!("{} records of the query history were lost: {words}", queries.len());
    }
    queries.clear();
    accesses.clear();
}
