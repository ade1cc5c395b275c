//! Ending a computation from outside.

use std::fmt;
use std::sync::Arc;

use crate::MlError;

type Ended = dyn Fn() -> bool + Send + Sync;

/// Tells a computation whether it was ended. Long loops ask often enough that a fit ends within a
/// second; what was computed until then is thrown away. The default never ends anything.
#[derive(Clone, Default)]
pub struct Stop(Option<Arc<Ended>>);

impl Stop {
    /// Ends once `ended` says so. It is asked from many threads, about a thousand times a second.
    pub fn when(ended: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Stop(Some(Arc::new(ended)))
    }

    pub fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|ended| ended())
    }

    /// # Errors
    /// [`MlError::Stopped`] once it was ended.
    pub fn check(&self) -> Result<(), MlError> {
        if self.is_set() { Err(MlError::Stopped) } else { Ok(()) }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}
