//! Readers of Parquet do not look at everything before they rely on it: what is damaged can make them panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What some work gave, or the words of its panic. What the work has changed is not to be used then.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| words(panic.as_ref()))
}

/// What a panic says.
pub fn words(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    said.unwrap_or_else(|| "the reader broke off".to_string())
}
