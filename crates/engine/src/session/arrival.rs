//! What is known of the account and of the lake when a request comes in.

use std::sync::Arc;

use frazil_catalog::account::AccountStore;
use frazil_lake::ReadPoint;
use parking_lot::Mutex;

/// Read together with the request's session, in one question to the catalog. The first statement that
/// begins soon after needs no other.
#[derive(Debug, Clone)]
pub struct Arrival(Arc<Mutex<Option<Moment>>>);

/// The account and the lake at one moment.
#[derive(Debug)]
pub(crate) struct Moment {
    /// The account's version.
    pub security_version: i64,
    /// [`AccountStore::changes`] before it was read.
    pub changes: u64,
    pub point: ReadPoint,
}

impl Moment {
    /// The account's version, where this process has changed nothing of the account since.
    pub fn account_version(&self, accounts: &AccountStore) -> Option<i64> {
        (accounts.changes() == self.changes).then_some(self.security_version)
    }
}

impl Arrival {
    pub(crate) fn new(moment: Moment) -> Arrival {
        Arrival(Arc::new(Mutex::new(Some(moment))))
    }

    /// The moment, once, where it is not long ago.
    pub(crate) fn take(&self) -> Option<Moment> {
        self.0.lock().take().filter(|moment| moment.point.is_fresh())
    }
}
