//! One file per verb.

mod doctor;
mod quickstart;
mod serve;
mod sql;

use frazil_common::UserError;

use crate::cli::{Cli, Command};

/// Why a command failed, in the words the user reads.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Server(#[from] frazil_server::ServerError),
    #[error("{context}: {source}")]
    Io { context: String, source: std::io::Error },
    #[error("{0}")]
    Message(String),
}

/// Adds what was being done to an IO error.
pub fn io(context: impl Into<String>) -> impl FnOnce(std::io::Error) -> CommandError {
    let context = context.into();
    move |source| CommandError::Io { context, source }
}

pub async fn run(arguments: Cli) -> Result<(), CommandError> {
    match arguments.command {
        Command::Serve(serve) => serve::run(serve).await,
        Command::Sql(sql) => sql::run(sql).await,
        Command::Quickstart(quickstart) => quickstart::run(quickstart).await,
        Command::Doctor(doctor) => doctor::run(doctor).await,
    }
}
