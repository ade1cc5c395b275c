//! How a kernel learns that its statement was cancelled or ran out of time.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};
use frazil_common::{Code, UserError};

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
    pub fn check(&self) -> std::result::Result<(), UserError> {
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

impl ConfigExtension for StatementStop {
    const PREFIX: &'static str = "frazil_statement";
}

impl ExtensionOptions for StatementStop {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        Err(DataFusionError::Configuration(format!("{key} is no setting")))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
