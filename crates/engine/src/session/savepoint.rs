//! Statements in an open transaction: one that fails is rolled back alone. And transactions that
//! are gone without their session's doing, which it must learn of before anything else runs.

use frazil_common::{Code, UserError};
use frazil_dialect::Statement;
use frazil_lake::Savepoint;
use tokio::sync::MutexGuard;

use crate::session::{OpenTransaction, Session};
use crate::statements;
use crate::statements::outcome::Outcome;

/// What an open transaction was before the statement that runs in it. It lies in the transaction, so
/// that it outlives a statement which is dropped midway.
#[derive(Debug)]
pub(crate) struct StatementSavepoint {
    lake: Savepoint,
    done: usize,
    purged: usize,
}

impl OpenTransaction {
    /// A statement that writes begins.
    pub fn begin_statement(&mut self) {
        self.savepoint = Some(StatementSavepoint {
            lake: self.lake.savepoint(),
            done: self.done.len(),
            purged: self.purged.len(),
        });
    }

    /// The statement is done: what it changed belongs to the transaction.
    pub fn keep_statement(&mut self) {
        self.savepoint = None;
    }

    /// Takes back what a statement did that began and did not end.
    pub async fn undo_statement(&mut self) {
        if let Some(savepoint) = self.savepoint.take() {
            self.done.truncate(savepoint.done);
            self.purged.truncate(savepoint.purged);
            self.lake.restore(savepoint.lake).await;
        }
    }
}

/// Why a session's transaction is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LostTransaction {
    /// The server stopped while it was open.
    Restart,
    /// SYSTEM$ABORT_TRANSACTION; its id.
    Aborted(String),
    /// Others waited for a lock of it, and its session did nothing; its id.
    Abandoned(String),
}

impl LostTransaction {
    fn error(&self) -> UserError {
        let message = match self {
            LostTransaction::Restart => {
                "The transaction was aborted because the server restarted: none of its changes \
                 were committed. Run ROLLBACK and begin it again."
                    .to_string()
            }
            LostTransaction::Aborted(id) => format!(
                "Transaction {id} was aborted by SYSTEM$ABORT_TRANSACTION: none of its changes \
                 were committed. Run ROLLBACK and begin it again."
            ),
            LostTransaction::Abandoned(id) => format!(
                "Transaction {id} was aborted because another one waited for a lock that it held \
                 while its session was idle for five minutes: none of its changes were committed. \
                 Run ROLLBACK and begin it again."
            ),
        };
        UserError::new(Code::TransactionConflict, message)
    }
}

/// The entry that a commit makes for its transaction among those for its statements. A server that
/// starts again learns from it whether the transaction was committed.
pub(crate) fn commit_entry(session_id: i64, transaction_id: &str) -> String {
    format!("transaction {session_id}.{transaction_id}")
}

impl Session {
    /// What a statement is told when the session's transaction is gone; none where it is not. Nothing
    /// runs until the client has ended it, or half of its changes would be committed.
    pub(crate) fn end_lost_transaction(
        &self,
        statement: &Statement,
    ) -> Option<Result<Outcome, UserError>> {
        let mut lost = self.lost_transaction.lock();
        let error = lost.as_ref()?.error();
        if matches!(statement, Statement::Commit | Statement::Rollback) {
            *lost = None;
        }
        if matches!(statement, Statement::Rollback) {
            return Some(Outcome::status("Statement executed successfully."));
        }
        Some(Err(error))
    }

    /// Rolls back the open transaction in the slot, which is the session's. Tells whether it was still the
    /// one of this id.
    pub(crate) async fn abort_open(
        &self,
        mut slot: MutexGuard<'_, Option<OpenTransaction>>,
        id: &str,
        why: LostTransaction,
    ) -> Result<bool, UserError> {
        // It may have ended by itself, and another begun.
        if slot.as_ref().is_none_or(|open| open.id() != id) {
            return Ok(false);
        }
        // The session must not take what it runs next for a part of it.
        *self.lost_transaction.lock() = Some(why);
        statements::transaction::rollback(&mut slot).await?;
        drop(slot);
        self.save().await?;
        Ok(true)
    }

    /// Takes back what a statement did in the open transaction that was cancelled. Where another
    /// statement has the transaction, that one has done so before it began.
    pub(crate) async fn undo_cancelled(&self) {
        let Ok(mut guard) = self.transaction.clone().try_lock_owned() else { return };
        if let Some(open) = guard.as_mut() {
            open.undo_statement().await;
        }
    }
}
