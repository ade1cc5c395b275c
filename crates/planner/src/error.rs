//! Errors inside the planner; callers see [`UserError`].

use datafusion::error::DataFusionError;
use frazil_common::{Position, UserError};
use sqlparser::tokenizer::Span;

/// A statement error, or one that DataFusion raised while a plan was put together.
#[derive(Debug, thiserror::Error)]
pub enum PlannerError {
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Plan(#[from] DataFusionError),
}

impl From<PlannerError> for UserError {
    fn from(error: PlannerError) -> Self {
        match error {
            PlannerError::User(error) => error,
            PlannerError::Plan(error) => frazil_functions::user_error(&error),
        }
    }
}

pub(crate) type Result<T> = std::result::Result<T, PlannerError>;

/// Start of a span, unless it is empty.
pub(crate) fn position(span: Span) -> Option<Position> {
    let start = span.start;
    (start.line > 0).then_some(Position { line: start.line, column: start.column })
}

/// Places user errors that have no place yet.
pub(crate) trait At {
    fn at(self, span: Span) -> Self;
}

impl<T> At for Result<T> {
    fn at(self, span: Span) -> Self {
        self.map_err(|error| PlannerError::User(UserError::from(error).at(position(span))))
    }
}

/// A clear refusal.
pub(crate) fn unsupported<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(UserError::unsupported(what).into())
}

/// Refuses a part of the syntax that is present and not offered.
pub(crate) fn refuse(present: bool, what: &str) -> Result<()> {
    if present { unsupported(what) } else { Ok(()) }
}
