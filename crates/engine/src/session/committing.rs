//! From when on a statement is no longer cancelled.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Held by a statement from the begin of its commit to its answer: the commit's outcome is what the client
/// must hear, so whoever cancels the statement waits for it.
#[derive(Debug, Default)]
pub(crate) struct Committing {
    turn: Arc<Turn<()>>,
    held: Mutex<Option<OwnedMutexGuard<()>>>,
}

impl Committing {
    /// A commit begins; what was cancelled before comes no further than here.
    pub async fn begin(&self) {
        if self.held.lock().is_some() {
            return;
        }
        let turn = self.turn.clone().lock_owned().await;
        *self.held.lock() = Some(turn);
    }

    /// The commit was not the statement's own: what comes after it may be cancelled.
    pub fn end(&self) {
        self.held.lock().take();
    }

    /// Waits for a commit that has begun; with it the statement ends.
    pub async fn ended(&self) {
        drop(self.turn.lock().await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_cancels_waits_for_a_commit_that_began() {
        let committing = Committing::default();
        committing.ended().await;
        committing.begin().await;
        // A statement may commit in several steps.
        committing.begin().await;
        let waits = committing.ended();
        tokio::pin!(waits);
        assert!(futures::poll!(waits.as_mut()).is_pending());
        committing.end();
        waits.await;
    }
}
