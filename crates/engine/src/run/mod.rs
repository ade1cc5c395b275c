//! Running governed plans and keeping their results.

pub(crate) mod apart;
mod asof;
pub(crate) mod counted;
pub(crate) mod execute;
mod filter_pushdown;
mod forgetful;
pub(crate) mod halved;
mod one_input;
pub(crate) mod optimize;
mod part_pool;
pub(crate) mod profile;
pub(crate) mod results;
pub(crate) mod runtime;
pub(crate) mod sealed;
pub(crate) mod sliced;
pub(crate) mod slight;
pub(crate) mod spill;
pub mod spool;
pub(crate) mod stoppable;
pub(crate) mod watched;
