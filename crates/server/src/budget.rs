//! How many bytes of request bodies the server holds at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::{BodyError, Received};

/// Bodies whose senders are not known yet share this, apart from those of users.
const UNKNOWN_BYTES: usize = 64 << 20;
/// Bodies above this are parsed one beside another, not all at once: what they become is several
/// times their size.
const LARGE_BYTES: usize = 256 * 1024;
/// Large bodies that are parsed at a time.
const LARGE_AT_ONCE: usize = 2;

/// The budgets of one server.
pub struct Bodies {
    /// For requests whose token is checked.
    pub known: Budget,
    /// For requests that say who they come from in their body.
    pub unknown: Budget,
    large: Arc<Semaphore>,
}

impl Bodies {
    pub fn new(known_bytes: usize) -> Bodies {
        Bodies {
            known: Budget::new(known_bytes),
            unknown: Budget::new(UNKNOWN_BYTES),
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
        }
    }

    /// Makes something of a body. A large one waits for its turn, and for a thread that answers
    /// nobody. What comes back beside the outcome is to be held while the outcome is worked on.
    ///
    /// # Errors
    /// The work was broken off.
    pub async fn parse<T: Send + 'static>(
        &self,
        body: Received,
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<(T, Held), BodyError> {
        if body.len() <= LARGE_BYTES {
            return Ok((work(&body), Held { _body: body, _turn: None }));
        }
        let turn = self.large.clone().acquire_owned().await.ok();
        let parse = move || (work(&body), Held { _body: body, _turn: turn });
        tokio::task::spawn_blocking(parse)
            .await
            .map_err(|error| BodyError::Unreadable(error.to_string()))
    }
}

/// A body's bytes in the budget, and its turn.
pub struct Held {
    _body: Received,
    _turn: Option<OwnedSemaphorePermit>,
}

/// A number of bytes that bodies take shares of as they come in. Nobody waits for a share: two
/// bodies that each hold half of it would wait for ever.
#[derive(Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
}

impl Budget {
    pub fn new(bytes: usize) -> Budget {
        Budget { free: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))) }
    }

    /// A share without any bytes yet.
    pub fn share(&self) -> Share {
        Share { budget: self.clone(), taken: None }
    }
}

/// What one body holds of a budget, until it is dropped.
pub struct Share {
    budget: Budget,
    taken: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Takes some more; false when the budget has not as many left.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        match self.budget.free.clone().try_acquire_many_owned(bytes) {
            Ok(more) => {
                match &mut self.taken {
                    Some(taken) => taken.merge(more),
                    None => self.taken = Some(more),
                }
                true
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_go_back_when_dropped() {
        let budget = Budget::new(100);
        let (mut one, mut two) = (budget.share(), budget.share());
        assert!(one.grow(60) && two.grow(30) && one.grow(10));
        assert!(!two.grow(1));
        drop(one);
        assert!(two.grow(70));
        assert!(!two.grow(1));
    }
}
