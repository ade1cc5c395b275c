//! What is known of the account and of the lake when a request comes in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use frazil_lake::ReadPoint;
use parking_lot::Mutex;

/// After so long the account is asked again.
const FRESH_FOR: Duration = Duration::from_millis(50);

/// Read together with the request's session, in one question to the catalog. The first statement that
/// begins soon after needs no other.
#[derive(Debug, Clone)]
pub struct Arrival(Arc<Mutex<Option<Moment>>>);

/// The account and the lake at one moment.
#[derive(Debug)]
pub(crate) struct Moment {
    pub security_version: i64,
    pub point: ReadPoint,
    pub at: Instant,
}

impl Arrival {
    pub(crate) fn new(security_version: i64, point: ReadPoint) -> Arrival {
        let moment = Moment { security_version, point, at: Instant::now() };
        Arrival(Arc::new(Mutex::new(Some(moment))))
    }

    /// The moment, once, where it is not long ago.
    pub(crate) fn take(&self) -> Option<Moment> {
        self.0.lock().take().filter(|moment| moment.at.elapsed() < FRESH_FOR)
    }
}
