//! The door for scoring over HTTP: model endpoints.

mod convert;
mod errors;
pub(crate) mod routes;
mod wire;
