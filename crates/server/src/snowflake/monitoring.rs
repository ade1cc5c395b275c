//! The state of a statement, for clients that started it detached.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use frazil_common::{Code, UserError};
use frazil_engine::QueryStatus;
use serde_json::{Value, json};
use uuid::Uuid;

use super::errors::{Failure, code_text, message};
use super::sessions::authenticate;
use super::wire::Envelope;
use crate::state::ServerState;

/// `GET /monitoring/queries/{id}`. An unknown id, or another user's, gives an empty list.
pub async fn query_status(
    State(state): State<Arc<ServerState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let session = authenticate(&state, &headers).await?;
    let queries = match Uuid::parse_str(&id).ok().and_then(|id| entry(&state, &session, id)) {
        Some(entry) => vec![entry],
        None => Vec::new(),
    };
    Ok(axum::Json(Envelope::success(json!({"queries": queries}))).into_response())
}

fn entry(state: &ServerState, session: &frazil_engine::Session, id: Uuid) -> Option<Value> {
    let user = session.user().to_string();
    if let Some(statement) = state.running.by_id(&id) {
        if statement.user != user {
            return None;
        }
        let failure = match statement.outcome() {
            None => return Some(describe(id, "RUNNING", None, Some(statement.started_millis))),
            Some(outcome) => outcome.err(),
        };
        return Some(ended(id, failure, Some(statement.started_millis)));
    }
    if state.engine.result(&id).is_some_and(|result| result.user != user) {
        return None;
    }
    match state.engine.query_status(&id)? {
        QueryStatus::Running => Some(describe(id, "RUNNING", None, None)),
        QueryStatus::Success => Some(ended(id, None, None)),
        QueryStatus::Failed(error) => Some(ended(id, Some(error), None)),
    }
}

fn ended(id: Uuid, failure: Option<UserError>, started: Option<i64>) -> Value {
    let status = match &failure {
        None => "SUCCESS",
        Some(error) if error.code == Code::Cancelled => "ABORTED",
        Some(_) => "FAILED_WITH_ERROR",
    };
    describe(id, status, failure.as_ref(), started)
}

fn describe(id: Uuid, status: &str, failure: Option<&UserError>, started: Option<i64>) -> Value {
    json!({
        "id": id.to_string(),
        "status": status,
        "state": status,
        "errorCode": failure.map(|error| code_text(error.code)),
        "errorMessage": failure.map(message),
        "startTime": started,
    })
}
