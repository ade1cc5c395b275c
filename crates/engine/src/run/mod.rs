//! Running governed plans and keeping their results.

pub(crate) mod execute;
pub(crate) mod results;
pub(crate) mod runtime;
pub mod spool;
