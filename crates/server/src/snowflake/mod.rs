//! The door for Snowflake's drivers.

mod chunks;
pub mod convert;
mod errors;
mod login;
mod monitoring;
pub(crate) mod object_metadata;
mod query;
mod results;
pub(crate) mod routes;
pub(crate) mod rowtype;
pub(crate) mod running;
pub(crate) mod sessions;
pub(crate) mod sql_api;
mod storage;
pub(crate) mod transfer;
mod wire;
