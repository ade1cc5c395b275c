//! Refusals of the scoring door, as JSON with a fitting HTTP status.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use frazil_common::{Code, UserError};
use thiserror::Error;

use crate::body::{self, BodyError};

/// Why a request was not scored.
#[derive(Debug, Error)]
pub enum ServingError {
    /// A body that is not one of the accepted shapes; says which row and column.
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    UnsupportedMediaType(String),
    #[error("an Authorization header with a bearer token is required")]
    Unauthorized,
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("{}", .0.message)]
    Engine(#[from] UserError),
}

impl ServingError {
    fn status(&self) -> StatusCode {
        match self {
            ServingError::BadRequest(_) => StatusCode::BAD_REQUEST,
            ServingError::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ServingError::Unauthorized => StatusCode::UNAUTHORIZED,
            ServingError::Body(error) => error.status(),
            ServingError::Engine(error) => match error.code {
                Code::AuthenticationFailed
                | Code::TokenInvalid
                | Code::TokenExpired
                | Code::SessionGone => StatusCode::UNAUTHORIZED,
                Code::InsufficientPrivileges | Code::RoleNotGranted => StatusCode::FORBIDDEN,
                Code::ObjectNotFound | Code::ObjectNotFoundOrNotAuthorized => StatusCode::NOT_FOUND,
                Code::ResourceLimit | Code::DiskFull => StatusCode::SERVICE_UNAVAILABLE,
                Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            },
        }
    }

    fn code(&self) -> String {
        match self {
            ServingError::Engine(error) => format!("{:06}", error.code.number()),
            other => other
                .status()
                .canonical_reason()
                .unwrap_or("error")
                .to_uppercase()
                .replace(' ', "_"),
        }
    }
}

impl IntoResponse for ServingError {
    fn into_response(self) -> Response {
        body::error(self.status(), &self.code(), self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_one_word() {
        assert_eq!(ServingError::BadRequest(String::new()).code(), "BAD_REQUEST");
    }

    #[test]
    fn engine_errors_map_to_statuses() {
        let status = |code| ServingError::from(UserError::new(code, "x")).status().as_u16();
        assert_eq!(status(Code::TokenInvalid), 401);
        assert_eq!(status(Code::InsufficientPrivileges), 403);
        assert_eq!(status(Code::ObjectNotFound), 404);
        assert_eq!(status(Code::InvalidArgument), 400);
        assert_eq!(ServingError::from(BodyError::TooLarge(1)).status().as_u16(), 413);
    }
}
