//! How a kernel learns that its statement was cancelled or ran out of time.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use frazil_common::{Code, UserError};

use crate::options::travels_in_options;

/// 000604: the statement was cancelled.
pub fn cancelled() -> UserError {
    UserError::new(Code::Cancelled, "SQL execution canceled")
}

/// Travels to the kernels in the plan's options: an operator stops between batches by itself, but
/// one batch of a costly function can take minutes.
#[derive(Clone)]
pub struct StatementStop(Arc<dyn Fn() -> bool + Send + Sync>);

impl StatementStop {
    /// Stops when the closure says so. It is asked often, and must be cheap.
    pub fn when(stopped: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        StatementStop(Arc::new(stopped))
    }

    /// # Errors
    /// The statement is to stop.
    pub fn check(&self) -> Result<(), UserError> {
        if (self.0)() { Err(cancelled()) } else { Ok(()) }
    }

    /// The one in a plan's options.
    pub(crate) fn of(options: &ConfigOptions) -> Option<Self> {
        options.extensions.get::<StatementStop>().cloned()
    }
}

impl fmt::Debug for StatementStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatementStop")
    }
}

travels_in_options!(StatementStop, "frazil_statement");
