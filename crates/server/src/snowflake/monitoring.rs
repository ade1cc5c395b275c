//! The state of a statement, for clients that started it detached.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use frazil_common::{Code, UserError};
use frazil_engine::{PastEnd, PastStatement, QueryStatus, Session};
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
    let entry = match Uuid::parse_str(&id) {
        Ok(id) => entry(&state, &session, id).await?,
        Err(_) => None,
    };
    let queries: Vec<Value> = entry.into_iter().collect();
    Ok(axum::Json(Envelope::success(json!({"queries": queries}))).into_response())
}

async fn entry(
    state: &ServerState,
    session: &Session,
    id: Uuid,
) -> Result<Option<Value>, UserError> {
    let reader = session.reader();
    if let Some(statement) = state.running.by_id(&id) {
        if !reader.may_read(&statement.owner) {
            return Ok(None);
        }
        let started = Some(statement.started_millis);
        return Ok(Some(match statement.outcome() {
            None => describe(id, "RUNNING", None, started),
            Some(outcome) => ended(id, outcome.err(), started),
        }));
    }
    Ok(match state.engine.query_status(&id, &reader) {
        Some(QueryStatus::Running) => Some(describe(id, "RUNNING", None, None)),
        Some(QueryStatus::Success) => Some(ended(id, None, None)),
        Some(QueryStatus::Failed(error)) => Some(ended(id, Some(error), None)),
        // A client that is told of nothing asks again without end.
        None => session.past_statement(&id).await?.map(|past| past_entry(id, past)),
    })
}

fn past_entry(id: Uuid, past: PastStatement) -> Value {
    let status = match past.end {
        PastEnd::Success => "SUCCESS",
        PastEnd::Failed => "FAILED_WITH_ERROR",
        PastEnd::Cancelled => "ABORTED",
        PastEnd::Lost => "FAILED_WITH_INCIDENT",
    };
    let number = past.error_number.map(|number| format!("{number:06}"));
    let failure = number.zip(past.error_message);
    describe(id, status, failure, past.started_micros.map(|micros| micros / 1000))
}

fn ended(id: Uuid, failure: Option<UserError>, started: Option<i64>) -> Value {
    let status = match &failure {
        None => "SUCCESS",
        Some(error) if error.code == Code::Cancelled => "ABORTED",
        Some(_) => "FAILED_WITH_ERROR",
    };
    let failure = failure.map(|error| (code_text(error.code), message(&error)));
    describe(id, status, failure, started)
}

/// `failure`: the number of the error and its words.
fn describe(
    id: Uuid,
    status: &str,
    failure: Option<(String, String)>,
    started: Option<i64>,
) -> Value {
    let (number, words) = failure.unzip();
    json!({
        "id": id.to_string(),
        "status": status,
        "state": status,
        "errorCode": number,
        "errorMessage": words,
        "startTime": started,
    })
}
