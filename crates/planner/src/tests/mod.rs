//! Queries bound and run on small relations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Plans are run here without governance: there are no users.
#![allow(clippy::disallowed_methods)]

mod audit;
mod bounds;
mod data_types;
mod dml;
mod grouping;
mod harness;
mod models;
mod references;
mod relations;
mod select;
mod syntax;
