//! Snowflake's SQL API, version 2: statements over plain HTTP, without a session.
//!
//! Every request proves its identity by itself, runs in a session of its own that ends with the
//! statement, and gets JSON. A result is read in parts ("partitions") under the statement's handle.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use frazil_common::{Code, SqlType, UserError};
use frazil_engine::{
    Credential, LoginRequest, PastEnd, QueryStatus, ResultReader, StatementRequest, StoredResult,
    new_query_id,
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::chunks::{Rows, cells, split};
use super::convert::json::Cell;
use super::errors::{CLOSING, code_text, codes, message};
use super::query::{binds, multi_statement_count};
use super::results::ReplyOptions;
use super::rowtype::row_types;
use super::running::{StartOptions, Statement};
use super::wire::Binding;
use crate::body::{self, BodyError};
use crate::listener::Peer;
use crate::state::ServerState;

const SUCCESS: &str = "090001";
/// Longest time a request waits for its statement, as with the real service.
const HOLD: Duration = Duration::from_secs(45);
/// Digits of a fraction of a second.
const FRACTION: usize = 9;
/// How long the id of a request is remembered for its repetition.
const REPEATED_WITHIN: Duration = Duration::from_secs(600);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubmitQuery {
    request_id: Option<String>,
    /// The request is sent again because its answer was lost.
    retry: Option<bool>,
    r#async: Option<bool>,
    /// False: NULL is the text `null`.
    nullable: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Submission {
    statement: String,
    /// Seconds the statement may run; 0 is the maximum.
    timeout: Option<u64>,
    database: Option<String>,
    schema: Option<String>,
    warehouse: Option<String>,
    role: Option<String>,
    bindings: std::collections::BTreeMap<String, Binding>,
    parameters: HashMap<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PartQuery {
    partition: Option<u64>,
}

/// Statements by the id of the request that brought them.
#[derive(Default)]
pub struct Requests {
    recent: Mutex<HashMap<(String, String), Attempt>>,
}

/// The attempt of a request that started its statement.
struct Attempt {
    at: Instant,
    query_id: Uuid,
    /// It said that another one came before it.
    retry: bool,
}

impl Requests {
    fn find(&self, user: &str, request_id: &str) -> Option<Uuid> {
        let key = (user.to_string(), request_id.to_string());
        self.recent.lock().get(&key).map(|attempt| attempt.query_id)
    }

    /// Starts the statement of a request.
    ///
    /// # Errors
    /// The statement that another attempt has started and that is known. Without `retry` a request is
    /// another one of its id, or comes behind its own repetition.
    fn start(
        &self,
        (user, request_id): (&str, &str),
        retry: bool,
        known: impl Fn(&Uuid) -> bool,
        start: impl FnOnce() -> Arc<Statement>,
    ) -> Result<Arc<Statement>, Uuid> {
        let key = (user.to_string(), request_id.to_string());
        // Held while it starts: attempts come together too.
        let mut recent = self.recent.lock();
        recent.retain(|_, attempt| attempt.at.elapsed() < REPEATED_WITHIN);
        if let Some(earlier) = recent.get(&key)
            && (retry || earlier.retry)
            && known(&earlier.query_id)
        {
            return Err(earlier.query_id);
        }
        let statement = start();
        let attempt = Attempt { at: Instant::now(), query_id: statement.query_id, retry };
        recent.insert(key, attempt);
        Ok(statement)
    }
}

/// A refused request: HTTP status, code, message, and the statement it belongs to.
pub struct Refusal {
    status: StatusCode,
    code: String,
    message: String,
    state: &'static str,
    handle: Option<Uuid>,
}

impl Refusal {
    fn statement(error: &UserError, handle: Option<Uuid>) -> Refusal {
        Refusal {
            status: match error.code {
                Code::StatementTimeout => StatusCode::REQUEST_TIMEOUT,
                Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            },
            code: code_text(error.code),
            message: message(error),
            state: error.code.sqlstate(),
            handle,
        }
    }

    fn unauthorised(error: &UserError) -> Refusal {
        Refusal { status: StatusCode::UNAUTHORIZED, ..Refusal::statement(error, None) }
    }

    /// The request is to be sent again with `retry=true`.
    fn closing(handle: Uuid) -> Refusal {
        let error = UserError::new(Code::Cancelled, CLOSING);
        Refusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            ..Refusal::statement(&error, Some(handle))
        }
    }

    fn bad_request(message: impl Into<String>) -> Refusal {
        let error = UserError::new(Code::InvalidArgument, message);
        Refusal { status: StatusCode::BAD_REQUEST, ..Refusal::statement(&error, None) }
    }

    fn secret_shown(handle: Uuid) -> Refusal {
        Refusal {
            message: "The statement ended with success, but the secret in its answer is shown once, to who \
                      asked for it. Rotate the token, or remove it and add another one."
                .to_string(),
            handle: Some(handle),
            ..Refusal::not_found("")
        }
    }

    fn not_found(handle: &str) -> Refusal {
        let (code, state) = codes::STATEMENT_NOT_FOUND;
        Refusal {
            status: StatusCode::NOT_FOUND,
            code: code.to_string(),
            message: format!("Statement {handle} not found"),
            state,
            handle: None,
        }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        Refusal { status: error.status(), ..Refusal::bad_request(error.to_string()) }
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Refusal::bad_request(rejection.body_text())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({"code": self.code, "message": self.message, "sqlState": self.state});
        if let Some(handle) = self.handle {
            body["statementHandle"] = json!(handle.to_string());
        }
        (self.status, axum::Json(body)).into_response()
    }
}

/// Who is asking: a bearer token and what kind it is said to be.
fn credential(headers: &HeaderMap) -> Result<Credential, Refusal> {
    let refused =
        |text: &str| Refusal::unauthorised(&UserError::new(Code::AuthenticationFailed, text));
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty())
        .map(|(_, token)| token.trim().to_string())
        .ok_or_else(|| refused("A bearer token is required in the Authorization header."))?;
    let kind = headers
        .get("x-snowflake-authorization-token-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("OAUTH");
    match kind.to_ascii_uppercase().as_str() {
        "PROGRAMMATIC_ACCESS_TOKEN" => Ok(Credential::AccessToken(token)),
        "KEYPAIR_JWT" => Ok(Credential::KeyPair(token)),
        other => Err(refused(&format!(
            "Tokens of type {other} are not supported by this server. Send \
             X-Snowflake-Authorization-Token-Type: PROGRAMMATIC_ACCESS_TOKEN or KEYPAIR_JWT."
        ))),
    }
}

fn login_request(
    headers: &HeaderMap,
    peer: Option<Extension<ConnectInfo<Peer>>>,
) -> Result<LoginRequest, Refusal> {
    Ok(LoginRequest {
        user: String::new(),
        credential: credential(headers)?,
        client_ip: peer.map(|Extension(ConnectInfo(Peer(address)))| address.ip().to_string()),
        database: None,
        schema: None,
        warehouse: None,
        role: None,
        parameters: HashMap::new(),
        client: "SqlApi 2".to_string(),
    })
}

/// `POST /api/v2/statements`
pub async fn submit(
    State(state): State<Arc<ServerState>>,
    query: Result<Query<SubmitQuery>, QueryRejection>,
    peer: Option<Extension<ConnectInfo<Peer>>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let Query(query) = query?;
    let mut login = login_request(&headers, peer)?;
    if !body::is_small(&headers) && state.engine.identify(&login).await.is_err() {
        body::drain(body, body::SMALL_BYTES_MAX).await;
        // The same refusal again, and this time the history of logins has it.
        let result = state.engine.login(login).await;
        state.metrics.login(result.is_ok());
        return match result {
            Err(error) => Err(Refusal::unauthorised(&error)),
            Ok(ok) => {
                close(&state, &ok.session).await;
                Err(Refusal::from(BodyError::Busy))
            }
        };
    }
    let bytes_max = state.settings.body_bytes_max;
    let bytes = body::read(&headers, body, bytes_max, &state.bodies.known).await?;
    let parse = |bytes: &[u8]| serde_json::from_slice::<Submission>(bytes);
    let (submission, held) = state.bodies.parse(bytes, parse).await?;
    drop(held);
    let submission = submission
        .map_err(|error| Refusal::bad_request(format!("The request is not valid JSON: {error}")))?;
    let request =
        statement_request(submission.statement, submission.bindings, submission.parameters);
    login.database = submission.database;
    login.schema = submission.schema;
    login.warehouse = submission.warehouse;
    login.role = submission.role;
    if let Some(seconds) = submission.timeout {
        login.parameters.insert("STATEMENT_TIMEOUT_IN_SECONDS".to_string(), json!(seconds));
    }
    // Where the client goes away now, the session that is opened ends all the same.
    tokio::spawn(run(state, query, login, request))
        .await
        .unwrap_or_else(|error| Err(Refusal::statement(&UserError::internal(error), None)))
}

/// Runs a request's statement in a session of its own.
async fn run(
    state: Arc<ServerState>,
    query: SubmitQuery,
    login: LoginRequest,
    request: Result<StatementRequest, UserError>,
) -> Result<Response, Refusal> {
    let result = state.engine.login(login).await;
    state.metrics.login(result.is_ok());
    let session = result.map_err(|error| Refusal::unauthorised(&error))?.session;
    let reader = session.reader();
    if query.retry == Some(true)
        && let Some(request_id) = &query.request_id
        && let Some(earlier) = state.running_or_done(&reader, request_id)
    {
        close(&state, &session).await;
        return part(&state, &reader, earlier, 0, query.nullable != Some(false), HOLD).await;
    }
    let request = match request {
        Ok(mut request) => {
            let id = query.request_id.as_deref();
            request.request_id = id.and_then(|id| Uuid::parse_str(id).ok());
            request.detached = query.r#async == Some(true);
            request
        }
        Err(error) => {
            close(&state, &session).await;
            return Err(Refusal::statement(&error, None));
        }
    };
    if query.retry == Some(true) {
        match session.committed_before(&request).await {
            Ok(None) => {}
            Ok(Some(result)) => {
                close(&state, &session).await;
                let nullable = query.nullable != Some(false);
                return part(&state, &reader, result.query_id, 0, nullable, HOLD).await;
            }
            Err(error) => {
                close(&state, &session).await;
                return Err(Refusal::statement(&error, None));
            }
        }
    }
    let query_id = request.query_id;
    let reply = ReplyOptions { by_handle: true, ..ReplyOptions::default() };
    let options = StartOptions { request_id: None, reply };
    let start = || state.running.start(&session, request, options);
    let statement = match &query.request_id {
        None => start(),
        Some(request_id) => {
            let retry = query.retry == Some(true);
            let known = |id: &Uuid| state.knows(&reader, id);
            let key = (reader.user.as_str(), request_id.as_str());
            match state.sql_api_requests.start(key, retry, known, start) {
                Ok(statement) => statement,
                Err(earlier) => {
                    close(&state, &session).await;
                    let nullable = query.nullable != Some(false);
                    return part(&state, &reader, earlier, 0, nullable, HOLD).await;
                }
            }
        }
    };
    // The session ends with its statement, whoever is still listening.
    let (ending, ended) = (state.clone(), statement.clone());
    tokio::spawn(async move {
        while ended.wait(HOLD, &CancellationToken::new()).await.is_none() {}
        close(&ending, &session).await;
    });
    if query.r#async == Some(true) {
        return Ok(in_progress(query_id, codes::DETACHED));
    }
    part(&state, &reader, query_id, 0, query.nullable != Some(false), HOLD).await
}

async fn close(state: &ServerState, session: &frazil_engine::Session) {
    if let Err(error) = state.engine.close_session(session).await {
        tracing::warn!("a session of the SQL API could not be closed: {error}");
    }
}

fn statement_request(
    text: String,
    bindings: std::collections::BTreeMap<String, Binding>,
    parameters: HashMap<String, Value>,
) -> Result<StatementRequest, UserError> {
    let mut request = StatementRequest::new(text);
    request.query_id = new_query_id();
    request.binds = binds(bindings)?;
    request.multi_statement_count = multi_statement_count(&parameters);
    request.parameters = parameters;
    Ok(request)
}

/// `GET /api/v2/statements/{handle}?partition=n`
pub async fn status(
    State(state): State<Arc<ServerState>>,
    Path(handle): Path<String>,
    query: Result<Query<PartQuery>, QueryRejection>,
    peer: Option<Extension<ConnectInfo<Peer>>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(query) = query?;
    let reader = identify(&state, &headers, peer).await?;
    let query_id = Uuid::parse_str(&handle).map_err(|_| Refusal::not_found(&handle))?;
    // Asking does not wait: the caller decides when to ask again.
    part(&state, &reader, query_id, query.partition.unwrap_or(0), true, Duration::ZERO).await
}

/// `POST /api/v2/statements/{handle}/cancel`
pub async fn cancel(
    State(state): State<Arc<ServerState>>,
    Path(handle): Path<String>,
    peer: Option<Extension<ConnectInfo<Peer>>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let reader = identify(&state, &headers, peer).await?;
    let statement = Uuid::parse_str(&handle)
        .ok()
        .and_then(|id| state.running.by_id(&id))
        .filter(|statement| reader.may_read(&statement.owner))
        .ok_or_else(|| Refusal::not_found(&handle))?;
    if statement.outcome().is_some() {
        let (code, state) = codes::NOT_EXECUTING;
        return Err(Refusal {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: code.to_string(),
            message: "Identified SQL statement is not currently executing.".to_string(),
            state,
            handle: Some(statement.query_id),
        });
    }
    statement.cancel();
    state.engine.cancel(&statement.query_id);
    let body = json!({
        "code": code_text(Code::Cancelled),
        "sqlState": Code::Cancelled.sqlstate(),
        "message": "Statement execution canceled.",
        "statementHandle": handle,
        "statementStatusUrl": format!("/api/v2/statements/{handle}"),
    });
    Ok(axum::Json(body).into_response())
}

async fn identify(
    state: &ServerState,
    headers: &HeaderMap,
    peer: Option<Extension<ConnectInfo<Peer>>>,
) -> Result<ResultReader, Refusal> {
    let login = login_request(headers, peer)?;
    state.engine.identify(&login).await.map_err(|error| Refusal::unauthorised(&error))
}

impl ServerState {
    /// The statement that an earlier attempt of this very request started.
    fn running_or_done(&self, reader: &ResultReader, request_id: &str) -> Option<Uuid> {
        let id = self.sql_api_requests.find(&reader.user, request_id)?;
        self.knows(reader, &id).then_some(id)
    }

    fn knows(&self, reader: &ResultReader, id: &Uuid) -> bool {
        self.running.by_id(id).is_some() || self.engine.query_status(id, reader).is_some()
    }
}

/// One part of a statement's answer, or where it stands.
async fn part(
    state: &Arc<ServerState>,
    reader: &ResultReader,
    query_id: Uuid,
    partition: u64,
    nullable: bool,
    hold: Duration,
) -> Result<Response, Refusal> {
    let result = match state.running.by_id(&query_id) {
        Some(statement) => match outcome(state, &statement, reader, hold).await? {
            None => return Ok(in_progress(query_id, codes::IN_PROGRESS)),
            Some(result) if result.secret_of.is_some() => {
                let first = statement.take_secret();
                // A request that is repeated is answered again; who asks by the handle is answered once.
                let shown = statement.reply.by_handle && (first || !hold.is_zero());
                if !shown {
                    return Err(Refusal::secret_shown(query_id));
                }
                result
            }
            Some(result) => result,
        },
        None => match state.engine.result(&query_id, reader) {
            Some(result) => result,
            None => {
                return match state.engine.query_status(&query_id, reader) {
                    Some(QueryStatus::Running) => Ok(in_progress(query_id, codes::IN_PROGRESS)),
                    Some(QueryStatus::Failed(error)) => {
                        Err(Refusal::statement(&error, Some(query_id)))
                    }
                    _ => Err(past(state, reader, query_id).await),
                };
            }
        },
    };
    tokio::task::spawn_blocking(move || reply(&result, partition, nullable))
        .await
        .map_err(|error| Refusal::statement(&UserError::internal(error), Some(query_id)))?
}

/// What is told of a statement whose result is gone, as after a restart.
async fn past(state: &ServerState, reader: &ResultReader, query_id: Uuid) -> Refusal {
    let past = match state.engine.past_statement(&query_id, reader).await {
        Ok(Some(past)) => past,
        Ok(None) => return Refusal::not_found(&query_id.to_string()),
        Err(error) => return Refusal::statement(&error, Some(query_id)),
    };
    let refusal = Refusal::statement(&past.error(&query_id), Some(query_id));
    if past.end != PastEnd::Success {
        return refusal;
    }
    let (code, state) = codes::STATEMENT_NOT_FOUND;
    Refusal { code: code.to_string(), state, ..refusal }
}

async fn outcome(
    state: &ServerState,
    statement: &Statement,
    reader: &ResultReader,
    hold: Duration,
) -> Result<Option<Arc<StoredResult>>, Refusal> {
    if !reader.may_read(&statement.owner) {
        return Err(Refusal::not_found(&statement.query_id.to_string()));
    }
    match statement.wait(hold, &state.closing()).await {
        None => Ok(None),
        Some(Ok(result)) => Ok(Some(result)),
        Some(Err(_)) if statement.is_given_up() => Err(Refusal::closing(statement.query_id)),
        Some(Err(error)) => Err(Refusal::statement(&error, Some(statement.query_id))),
    }
}

fn in_progress(query_id: Uuid, code: &str) -> Response {
    let text = match code {
        codes::DETACHED => {
            "Asynchronous execution in progress. Use provided query id to perform \
                            query monitoring and management."
        }
        _ => "Statement execution in progress.",
    };
    let body = json!({
        "code": code,
        "message": text,
        "statementHandle": query_id.to_string(),
        "statementStatusUrl": format!("/api/v2/statements/{query_id}"),
    });
    (StatusCode::ACCEPTED, axum::Json(body)).into_response()
}

fn reply(result: &Arc<StoredResult>, partition: u64, nullable: bool) -> Result<Response, Refusal> {
    let failed = |error: UserError| Refusal::statement(&error, Some(result.query_id));
    if result.transfer.is_some() {
        return Err(failed(UserError::unsupported("PUT and GET in the SQL API")));
    }
    let (inline, chunks) = split(result.total_rows(), result.rows.bytes());
    let parts: Vec<Rows> = std::iter::once(inline).chain(chunks).collect();
    let index = usize::try_from(partition).unwrap_or(usize::MAX);
    let rows = *parts.get(index).ok_or_else(|| {
        Refusal::bad_request(format!(
            "There is no partition {partition}: there are {}.",
            parts.len()
        ))
    })?;
    let data: Vec<Vec<Cell>> = cells(result, rows)
        .map_err(failed)?
        .into_iter()
        .map(|row| shown(result, row, nullable))
        .collect();
    if index > 0 {
        return gzipped(&json!({"data": data})).map_err(failed);
    }
    let row_bytes = result.rows.bytes() / result.total_rows().max(1);
    let partitions: Vec<Value> = parts
        .iter()
        .map(|rows| json!({"rowCount": rows.count, "uncompressedSize": rows.count * row_bytes}))
        .collect();
    let handle = result.query_id.to_string();
    let mut body = json!({
        "resultSetMetaData": {
            "numRows": result.total_rows(),
            "format": "jsonv2",
            "partitionInfo": partitions,
            "rowType": row_types(&result.columns),
        },
        "data": data,
        "code": SUCCESS,
        "sqlState": "00000",
        "message": "Statement executed successfully.",
        "statementHandle": handle,
        "statementStatusUrl": format!("/api/v2/statements/{handle}"),
        "createdOn": result.finished_micros / 1000,
    });
    if !result.children.is_empty() {
        let handles: Vec<String> = result.children.iter().map(|(id, _)| id.to_string()).collect();
        body["statementHandles"] = json!(handles);
    }
    Ok(axum::Json(body).into_response())
}

/// A row as this API writes it: like the drivers' JSON rows, but for booleans as words and nine
/// digits of every fraction of a second.
fn shown(result: &StoredResult, row: Vec<Cell>, nullable: bool) -> Vec<Cell> {
    row.into_iter()
        .zip(&result.columns)
        .map(|(cell, column)| {
            let Some(text) = cell else { return (!nullable).then(|| "null".to_string()) };
            Some(match column.sql_type {
                SqlType::Boolean => (text == "1").to_string(),
                SqlType::Time { .. } | SqlType::Timestamp { .. } => nine_digits(&text),
                _ => text,
            })
        })
        .collect()
}

fn nine_digits(text: &str) -> String {
    let (seconds, offset) = match text.split_once(' ') {
        Some((seconds, offset)) => (seconds, Some(offset)),
        None => (text, None),
    };
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let padded = format!("{whole}.{fraction:0<FRACTION$}");
    match offset {
        Some(offset) => format!("{padded} {offset}"),
        None => padded,
    }
}

fn gzipped(body: &Value) -> Result<Response, UserError> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body.to_string().as_bytes()).map_err(UserError::internal)?;
    let bytes = gzip.finish().map_err(UserError::internal)?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_have_nine_digits() {
        assert_eq!(nine_digits("1.5"), "1.500000000");
        assert_eq!(nine_digits("3723"), "3723.000000000");
        assert_eq!(nine_digits("-1.25 1770"), "-1.250000000 1770");
    }
}
