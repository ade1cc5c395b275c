//! One file per verb.

mod backup;
mod doctor;
mod maintain;
mod quickstart;
mod serve;
mod sql;
mod tls;

use std::time::Duration;

use frazil_common::{Position, UserError};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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
    /// What a server answers; the position, where there is one, is also in the message.
    #[error("{text}")]
    Remote { text: String, position: Option<Position> },
    #[error("{0}")]
    Message(String),
}

impl CommandError {
    /// Where in its statement the error is, counted from 1.
    pub fn position(&self) -> Option<Position> {
        match self {
            CommandError::User(error) => error.position,
            CommandError::Remote { position, .. } => *position,
            _ => None,
        }
    }

    /// The error with its position counted in a text of which the statement is a part.
    pub fn moved(self, line: u64, column: u64) -> CommandError {
        let moved = |at: Position| Position {
            line: at.line + line - 1,
            column: if at.line == 1 { at.column + column - 1 } else { at.column },
        };
        match self {
            CommandError::User(mut error) => {
                error.position = error.position.map(moved);
                CommandError::User(error)
            }
            CommandError::Remote { text, position: Some(at) } => {
                let to = moved(at);
                let text = text.replacen(&place_text(at), &place_text(to), 1);
                CommandError::Remote { text, position: Some(to) }
            }
            other => other,
        }
    }
}

/// A position as messages write it: columns from 0.
pub fn place_text(at: Position) -> String {
    format!("error line {} at position {}", at.line, at.column.saturating_sub(1))
}

/// A sign of life for long work, on a terminal only: it hides itself elsewhere.
pub fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} running, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
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
        Command::Maintain(arguments) => maintain::run(arguments).await,
        Command::Backup(backup) => backup::run(backup).await,
        Command::Restore(restore) => backup::restore(restore).await,
    }
}
