//! Errors as Snowflake's clients read them: HTTP 200, a six-digit code, SQLSTATE and position.
//!
//! HTTP error statuses mean "retry" to the drivers, some of them without end, so a statement that
//! fails never answers with one; one that a closing server gave up does.

use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use frazil_common::{Code, Position, UserError};
use serde::Serialize;
use uuid::Uuid;

use super::wire::Envelope;
use crate::body::{self, BodyError};

/// The `data` of a failed statement.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorData {
    pub internal_error: bool,
    pub error_code: String,
    pub sql_state: String,
    pub query_id: Option<String>,
    pub line: i64,
    pub pos: i64,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub age: u64,
}

/// Codes this door raises by itself, beside those of [`Code`].
pub mod codes {
    /// Statement still running: poll `getResultUrl`.
    pub const IN_PROGRESS: &str = "333333";
    /// Statement runs detached from the request.
    pub const DETACHED: &str = "333334";
    /// Nothing to abort.
    pub const NOT_EXECUTING: (&str, &str) = ("000605", "57014");
    /// No such query, or another user's.
    pub const STATEMENT_NOT_FOUND: (&str, &str) = ("000709", "02000");
}

/// What a client is told whose statement was given up because the server closes.
pub const CLOSING: &str = "the server is closing; send the request again";

/// A number as the six digits of the wire.
pub fn code_text(code: Code) -> String {
    format!("{:06}", code.number())
}

/// The message with the heading and position that Snowflake prints.
pub fn message(error: &UserError) -> String {
    if error.message.starts_with("SQL ") {
        return error.message.clone();
    }
    if error.code == Code::InsufficientPrivileges {
        return format!("SQL access control error:\n{}", error.message);
    }
    match (error.is_compilation(), error.position) {
        (true, Some(Position { line, column })) => format!(
            "SQL compilation error: error line {line} at position {}\n{}",
            column.saturating_sub(1),
            error.message
        ),
        (true, None) => format!("SQL compilation error:\n{}", error.message),
        (false, _) => error.message.clone(),
    }
}

/// A failed statement.
fn statement_error(error: &UserError, query_id: Option<Uuid>) -> Response {
    let (line, pos) = match error.position {
        Some(Position { line, column }) => (line as i64, column.saturating_sub(1) as i64),
        None => (-1, -1),
    };
    let code = code_text(error.code);
    let data = ErrorData {
        internal_error: error.code == Code::Internal,
        error_code: code.clone(),
        sql_state: error.sqlstate().to_string(),
        query_id: query_id.map(|id| id.to_string()),
        line,
        pos,
        kind: if error.is_compilation() { "COMPILATION" } else { "EXECUTION" },
        age: 0,
    };
    failure(data, code, message(error))
}

/// A failure with a code that only this door knows.
fn door_error((code, state): (&str, &str), text: String, query_id: Option<Uuid>) -> Response {
    let data = ErrorData {
        error_code: code.to_string(),
        sql_state: state.to_string(),
        query_id: query_id.map(|id| id.to_string()),
        line: -1,
        pos: -1,
        kind: "EXECUTION",
        ..ErrorData::default()
    };
    failure(data, code.to_string(), text)
}

fn failure(data: ErrorData, code: String, message: String) -> Response {
    let envelope = Envelope { data, code: Some(code), message: Some(message), success: false };
    axum::Json(envelope).into_response()
}

/// Why a handler of this door stops early; each becomes an answer of HTTP 200.
#[derive(Debug)]
pub enum Failure {
    /// The engine's error, with the statement it belongs to.
    Statement(UserError, Option<Uuid>),
    /// A code that only this door knows.
    Door((&'static str, &'static str), String, Option<Uuid>),
    Body(BodyError),
    /// The server closes and gave the statement up; nobody is told that it failed.
    Closing,
}

impl Failure {
    /// A fault of the server itself.
    pub fn internal(what: impl std::fmt::Display) -> Failure {
        Failure::Statement(UserError::internal(what), None)
    }
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Self {
        Failure::Statement(error, None)
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        Failure::Body(error)
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        let text = format!("SQL request error: {}", rejection.body_text());
        Failure::Statement(UserError::new(Code::InvalidArgument, text), None)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Failure::Statement(error, query_id) => statement_error(&error, query_id),
            Failure::Door(code, text, query_id) => door_error(code, text, query_id),
            // Drivers send a statement again on this status, after a pause: what is wanted here.
            Failure::Body(error @ BodyError::Busy) => {
                body::error(error.status(), "SERVICE_UNAVAILABLE", error.to_string())
            }
            Failure::Body(error) => body_error(&error),
            // The same request id comes again to the server that starts next: what has committed all the
            // same, in a part or at the last moment, is known to it.
            Failure::Closing => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                body::error(status, "SERVICE_UNAVAILABLE", CLOSING.to_string())
            }
        }
    }
}

/// A body that cannot be read. The statuses for it mean "retry" to some drivers, so an oversized
/// request is a failed statement too.
fn body_error(error: &BodyError) -> Response {
    let code = match error {
        BodyError::TooLarge(_) | BodyError::Busy => Code::ResourceLimit,
        BodyError::Unreadable(_) | BodyError::Slow => Code::InvalidArgument,
    };
    statement_error(&UserError::new(code, format!("SQL request error: {error}")), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilation_errors_carry_heading_and_position() {
        let error = UserError::invalid_identifier("X").at(Some(Position { line: 1, column: 8 }));
        assert_eq!(
            message(&error),
            "SQL compilation error: error line 1 at position 7\ninvalid identifier 'X'"
        );
        let error = UserError::not_found("Object", "T");
        assert_eq!(
            message(&error),
            "SQL compilation error:\nObject 'T' does not exist or not authorized."
        );
    }

    #[test]
    fn execution_errors_stand_alone() {
        let error = UserError::new(Code::DivisionByZero, "Division by zero");
        assert_eq!(message(&error), "Division by zero");
        assert_eq!(code_text(error.code), "100051");
        assert_eq!(code_text(Code::Cancelled), "000604");
    }
}
