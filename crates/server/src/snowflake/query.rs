//! Statements: start, wait, poll, abort.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use frazil_common::{Code, UserError};
use frazil_engine::{Arrival, BindValue, PastEnd, QueryStatus, Session, StatementRequest};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::errors::{Failure, codes};
use super::results::{self, ReplyOptions};
use super::running::{StartOptions, Statement};
use super::sessions::{arrive, authenticate};
use super::wire::{AbortBody, Binding, Envelope, QueryBody, RequestIds};
use crate::body::{self, SMALL_BYTES_MAX};
use crate::state::ServerState;

/// How long an abort waits for what it stops.
const ABORT_HOLD: Duration = Duration::from_secs(2);

/// `POST /queries/v1/query-request`
pub async fn query_request(
    State(state): State<Arc<ServerState>>,
    ids: Result<Query<RequestIds>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let (session, arrival) = arrive(&state, &headers).await?;
    let Query(ids) = ids?;
    let bytes_max = state.settings.body_bytes_max;
    let bytes = body::read(&headers, body, bytes_max, &state.bodies.known).await?;
    let (body, held) = state.bodies.parse(bytes, |bytes| parse::<QueryBody>(bytes)).await?;
    drop(held);
    let body = body?;
    let retried = is_retried(&ids);
    if retried && let Some(statement) = started_before(&state, &session, &ids, &body.sql_text) {
        return answer(&state, &session, &statement, &headers).await;
    }
    let detached = body.async_exec;
    let reply = ReplyOptions {
        json_requested: results::asks_for_json(&body.parameters),
        direct_upload: body.is_internal,
        by_handle: false,
    };
    let mut request = statement_request(&state, &session, body, arrival)?;
    request.request_id = ids.request_id.as_deref().and_then(|id| Uuid::parse_str(id).ok());
    if retried && let Some(result) = session.committed_before(&request).await? {
        return results::respond(&state, &session, result, reply, &headers).await;
    }
    let options = StartOptions { request_id: ids.request_id, reply };
    let statement = state.running.start(&session, request, options);
    if detached {
        return Ok(in_progress(&statement, codes::DETACHED, &session));
    }
    answer(&state, &session, &statement, &headers).await
}

fn parse<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, UserError> {
    serde_json::from_slice(bytes).map_err(|error| {
        UserError::new(Code::InvalidArgument, format!("SQL request is not valid JSON: {error}"))
    })
}

fn is_retried(ids: &RequestIds) -> bool {
    let attempt = ids.retry_count.as_deref().and_then(|count| count.parse::<u32>().ok());
    attempt.unwrap_or(0) > 0
}

/// The statement that an earlier attempt of this very request started, so that a retry after a lost
/// connection does not run it twice.
fn started_before(
    state: &ServerState,
    session: &Session,
    ids: &RequestIds,
    text: &str,
) -> Option<Arc<Statement>> {
    state
        .running
        .by_request(session.id(), ids.request_id.as_deref()?)
        .filter(|statement| statement.text == text)
}

fn statement_request(
    state: &ServerState,
    session: &Session,
    body: QueryBody,
    arrival: Arrival,
) -> Result<StatementRequest, Failure> {
    let mut binds = binds(body.bindings)?;
    state.put_binds.complete(session.id(), &body.sql_text, &mut binds);
    if body.describe_only {
        describe_without_values(&body.sql_text, &mut binds);
    }
    Ok(StatementRequest {
        text: body.sql_text,
        query_id: Uuid::now_v7(),
        request_id: None,
        binds,
        bind_stage: body.bind_stage.filter(|stage| !stage.is_empty()),
        describe_only: body.describe_only,
        multi_statement_count: multi_statement_count(&body.parameters),
        parameters: body.parameters,
        detached: body.async_exec,
        client_generated: body.is_internal,
        arrival: Some(arrival),
        cancel: CancellationToken::new(),
    })
}

/// The number of statements that a request says it brings; a number, or a text with one.
pub(super) fn multi_statement_count(parameters: &HashMap<String, Value>) -> Option<u32> {
    match parameters.get("MULTI_STATEMENT_COUNT")? {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64().and_then(|count| u32::try_from(count).ok()),
    }
}

/// Binds in position order.
pub(super) fn binds(
    bindings: std::collections::BTreeMap<String, Binding>,
) -> Result<Vec<BindValue>, UserError> {
    let mut placed = bindings
        .into_iter()
        .map(|(position, binding)| match position.parse::<usize>() {
            Ok(position) if position > 0 => Ok((position, binding)),
            _ => Err(UserError::unsupported(format!("named bind variable '{position}'"))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    // The keys are texts: "10" sorts before "2".
    placed.sort_by_key(|(position, _)| *position);
    placed
        .into_iter()
        .enumerate()
        .map(|(index, (position, binding))| {
            if position != index + 1 {
                return Err(UserError::new(
                    Code::BindMissing,
                    format!("Bind variable {} is not set.", index + 1),
                ));
            }
            Ok(bind_value(binding))
        })
        .collect()
}

/// Drivers describe a statement before they have values for it, so missing ones count as NULL.
/// Marks inside literals are counted too: a bind too many does no harm.
fn describe_without_values(text: &str, binds: &mut Vec<BindValue>) {
    let null = BindValue { type_name: "ANY".to_string(), values: vec![None], is_array: false };
    let marks = text.matches('?').count();
    if binds.len() < marks {
        binds.resize(marks, null);
    }
}

fn bind_value(binding: Binding) -> BindValue {
    fn text(value: Value) -> Option<String> {
        match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }
    let type_name = binding.type_name.unwrap_or_else(|| "ANY".to_string()).to_uppercase();
    match binding.value {
        Value::Array(values) => {
            BindValue { type_name, values: values.into_iter().map(text).collect(), is_array: true }
        }
        value => BindValue { type_name, values: vec![text(value)], is_array: false },
    }
}

/// Waits for a statement; one that takes longer than a request may wait is polled.
async fn answer(
    state: &Arc<ServerState>,
    session: &Arc<Session>,
    statement: &Statement,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    match statement.wait(state.settings.poll_hold, &state.closing()).await {
        None => Ok(in_progress(statement, codes::IN_PROGRESS, session)),
        // Addresses of files are signed for those who could ask for them now, and a secret is shown to who
        // asked for it.
        Some(Ok(result))
            if (result.transfer.is_some() || result.secret_of.is_some())
                && statement.session_id != session.id() =>
        {
            let text = format!("Statement {} not found", statement.query_id);
            Err(Failure::Door(codes::STATEMENT_NOT_FOUND, text, None))
        }
        Some(Ok(result)) => {
            results::respond(state, session, result, statement.reply, headers).await
        }
        Some(Err(_)) if statement.is_given_up() => Err(Failure::Closing),
        Some(Err(error)) => Err(Failure::Statement(error, Some(statement.query_id))),
    }
}

fn in_progress(statement: &Statement, code: &str, session: &Session) -> Response {
    let context = session.current();
    let message = match code {
        codes::DETACHED => "Query execution in progress. Asynchronous execution.",
        _ => "Query execution in progress.",
    };
    let envelope = Envelope {
        data: json!({
            "queryId": statement.query_id.to_string(),
            "getResultUrl": format!("/queries/{}/result", statement.query_id),
            "queryAbortsAfterSecs": 300,
            "progressDesc": null,
            "finalDatabaseName": context.database,
            "finalSchemaName": context.schema,
            "finalWarehouseName": context.warehouse,
            "finalRoleName": context.role,
        }),
        code: Some(code.to_string()),
        message: Some(message.to_string()),
        success: true,
    };
    axum::Json(envelope).into_response()
}

/// `GET /queries/{id}/result`: the answer of an earlier statement, or a held poll.
pub async fn result(
    State(state): State<Arc<ServerState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let session = authenticate(&state, &headers).await?;
    let reader = session.reader();
    let unknown =
        || Failure::Door(codes::STATEMENT_NOT_FOUND, format!("Statement {id} not found"), None);
    let query_id = Uuid::parse_str(&id).map_err(|_| unknown())?;
    if let Some(statement) = state.running.by_id(&query_id) {
        if !reader.may_read(&statement.owner) {
            return Err(unknown());
        }
        return answer(&state, &session, &statement, &headers).await;
    }
    if let Some(result) = session.result(&query_id) {
        if result.transfer.is_some() {
            return Err(unknown());
        }
        return results::respond(&state, &session, result, ReplyOptions::default(), &headers).await;
    }
    match state.engine.query_status(&query_id, &reader) {
        Some(QueryStatus::Failed(error)) => Err(Failure::Statement(error, Some(query_id))),
        Some(_) => Err(unknown()),
        None => Err(past_result(&session, query_id).await?.unwrap_or_else(unknown)),
    }
}

/// What is told in place of a result that is gone: a client whose statement is done must not run it
/// again.
async fn past_result(session: &Session, query_id: Uuid) -> Result<Option<Failure>, UserError> {
    let Some(past) = session.past_statement(&query_id).await? else { return Ok(None) };
    let words = past.error_message.unwrap_or_default();
    let text = match (past.end, past.error_number) {
        (PastEnd::Success, _) => {
            format!("Statement {query_id} ended with success, but its result is no longer kept.")
        }
        (PastEnd::Lost, _) => words,
        (PastEnd::Failed | PastEnd::Cancelled, Some(number)) => {
            format!("Statement {query_id} failed with error {number:06}: {words}")
        }
        (PastEnd::Failed | PastEnd::Cancelled, None) => {
            format!("Statement {query_id} failed: {words}")
        }
    };
    Ok(Some(Failure::Door(codes::STATEMENT_NOT_FOUND, text, Some(query_id))))
}

/// `POST /queries/v1/abort-request`: by the id of the request that started the statement.
pub async fn abort_request(
    State(state): State<Arc<ServerState>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let session = authenticate(&state, &headers).await?;
    let bytes = body::read(&headers, body, SMALL_BYTES_MAX, &state.bodies.known).await?;
    let body: AbortBody = parse(&bytes)?;
    let statement = state.running.to_abort(session.id(), &body.request_id);
    abort(&state, statement).await
}

/// `POST /queries/{id}/abort-request`
pub async fn abort_query(
    State(state): State<Arc<ServerState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let session = authenticate(&state, &headers).await?;
    let reader = session.reader();
    let statement = Uuid::parse_str(&id)
        .ok()
        .and_then(|id| state.running.by_id(&id))
        .filter(|statement| reader.may_read(&statement.owner));
    abort(&state, statement).await
}

/// Answers once the statement has stopped, or after [`ABORT_HOLD`]: a client that asks for its state
/// next is told that it was aborted, not that it runs.
async fn abort(
    state: &ServerState,
    statement: Option<Arc<Statement>>,
) -> Result<Response, Failure> {
    match statement {
        Some(statement) if statement.outcome().is_none() => {
            statement.cancel();
            state.engine.cancel(&statement.query_id);
            statement.wait(ABORT_HOLD, &state.closing()).await;
            Ok(axum::Json(Envelope::success(Value::Null)).into_response())
        }
        _ => Err(Failure::Door(
            codes::NOT_EXECUTING,
            "Identified SQL statement is not currently executing.".to_string(),
            None,
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse_binds(text: &str) -> Result<Vec<BindValue>, UserError> {
        binds(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn binds_are_ordered_by_number_not_by_text() {
        let text: Vec<String> =
            (1..=11).map(|n| format!(r#""{n}":{{"type":"fixed","value":"{n}"}}"#)).collect();
        let found = parse_binds(&format!("{{{}}}", text.join(","))).unwrap();
        let values: Vec<_> = found.iter().map(|bind| bind.values[0].clone().unwrap()).collect();
        assert_eq!(values, (1..=11).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!(found[0].type_name, "FIXED");
    }

    #[test]
    fn arrays_and_nulls_are_kept_apart() {
        let found = parse_binds(
            r#"{"1":{"type":"TEXT","value":["a",null]},"2":{"type":"ANY","value":null}}"#,
        )
        .unwrap();
        assert!(found[0].is_array);
        assert_eq!(found[0].values, [Some("a".to_string()), None]);
        assert!(!found[1].is_array);
        assert_eq!(found[1].values, [None]);
    }

    #[test]
    fn descriptions_need_no_values() {
        let mut binds = parse_binds(r#"{"1":{"type":"TEXT","value":"a"}}"#).unwrap();
        describe_without_values("INSERT INTO t VALUES (?, ?)", &mut binds);
        assert_eq!(binds.len(), 2);
        assert_eq!(binds[0].values, [Some("a".to_string())]);
        assert_eq!(binds[1].values, [None]);
    }

    #[test]
    fn a_gap_in_the_positions_is_an_error() {
        let error = parse_binds(r#"{"2":{"type":"TEXT","value":"a"}}"#).unwrap_err();
        assert_eq!(error.code, Code::BindMissing);
    }
}
