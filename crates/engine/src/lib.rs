//! The one road of every statement: session → resolve → plan → govern → run.

mod account_usage;
pub mod api;
mod cell_text;
mod engine;
mod health;
mod history;
mod information_schema;
mod limits;
mod local_transfer;
mod maintenance;
mod models;
mod resolve;
mod run;
mod serving;
mod session;
mod stage_files;
mod stages;
mod statements;
mod storage_usage;
mod warehouses;

pub use api::*;
pub use cell_text::cell_text;
pub use engine::{Engine, Gauges, GeneratedPassword, Repair};
pub use frazil_lake::MaintenanceReport;
pub use frazil_lake::backup;
pub use limits::Limits;
pub use maintenance::{inspect, repair_format};
pub use run::spool::Spool;
pub use session::Session;
pub use session::arrival::Arrival;
pub use session::authenticate::shortened_client;
pub use session::login::LoginOk;
pub use statements::split::{SplitStatement, split_statements};

/// A fresh query id.
pub fn new_query_id() -> uuid::Uuid {
    uuid::Uuid::now_v7()
}
