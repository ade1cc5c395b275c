//! Login, renewal, heartbeat and logout.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use frazil_common::{Code, UserError};
use frazil_engine::{Credential, LoginRequest, Session, shortened_client};
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::Failure;
use super::sessions::{authenticate, bearer, client_text};
use super::wire::{Envelope, LoginBody, LoginData, LoginQuery, Parameter, RenewBody};
use crate::body;
use crate::listener::Peer;
use crate::state::ServerState;

/// The version clients are told; drivers branch on the shape of real ones.
const SERVER_VERSION: &str = concat!("10.0.0-frazil-", env!("CARGO_PKG_VERSION"));

/// Largest body of a login or a renewal: hundreds that come slowly have a place in their budget, and keep
/// nobody out.
const LOGIN_BYTES_MAX: usize = 128 * 1024;

/// `POST /session/v1/login-request`
pub async fn login(
    State(state): State<Arc<ServerState>>,
    query: Result<Query<LoginQuery>, QueryRejection>,
    peer: Option<Extension<ConnectInfo<Peer>>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let Query(query) = query?;
    let bytes = body::read(&headers, body, LOGIN_BYTES_MAX, &state.bodies.unknown).await?;
    let LoginBody { data } = serde_json::from_slice(&bytes).map_err(|error| {
        UserError::new(Code::InvalidArgument, format!("SQL login request is not valid: {error}"))
    })?;
    let credential = credential(&data)?;
    let present = |text: Option<String>| text.filter(|text| !text.is_empty());
    let result = state
        .engine
        .login(LoginRequest {
            user: data.login_name,
            credential,
            client_ip: peer.map(|Extension(ConnectInfo(Peer(address)))| address.ip().to_string()),
            database: present(query.database_name),
            schema: present(query.schema_name),
            warehouse: present(query.warehouse),
            role: present(query.role_name),
            parameters: data.session_parameters,
            client: client_text(
                &shortened_client(&data.client_app_id),
                &shortened_client(&data.client_app_version),
                data.client_capabilities.smk_id_as_string,
            ),
        })
        .await;
    state.metrics.login(result.is_ok());
    let ok = result?;
    let context = ok.session.current();
    let data = json!({
        "token": ok.tokens.session_token,
        "masterToken": ok.tokens.master_token,
        "validityInSeconds": ok.tokens.session_seconds,
        "masterValidityInSeconds": ok.tokens.master_seconds,
        "sessionId": ok.session.id(),
        "serverVersion": SERVER_VERSION,
        "displayUserName": context.user,
        "firstLogin": false,
        "healthCheckInterval": 45,
        "sessionInfo": {
            "databaseName": context.database,
            "schemaName": context.schema,
            "warehouseName": context.warehouse,
            "roleName": context.role,
        },
        "parameters": parameters(&ok.session),
    });
    Ok(axum::Json(Envelope::success(data)).into_response())
}

/// The session's parameters as every answer carries them: one driver reads its formats from each.
pub fn parameters(session: &Session) -> Vec<Parameter> {
    session.parameters().into_iter().map(|(name, value)| Parameter { name, value }).collect()
}

fn credential(data: &LoginData) -> Result<Credential, Failure> {
    let missing = |what: &str| {
        UserError::new(Code::AuthenticationFailed, format!("The login carries no {what}."))
    };
    let refused = |code: &'static str, what: &str| {
        Failure::Door(
            (code, "28000"),
            format!(
                "{what} is not supported by this server yet. Use a password, a key pair or a \
                 programmatic access token."
            ),
            None,
        )
    };
    let authenticator = data.authenticator.as_deref().unwrap_or_default().to_uppercase();
    match authenticator.as_str() {
        "" | "SNOWFLAKE" => {
            let password = data.password.clone().ok_or_else(|| missing("password"))?;
            Ok(Credential::Password(password))
        }
        "PROGRAMMATIC_ACCESS_TOKEN" => {
            let token = data.token.clone().or_else(|| data.password.clone());
            Ok(Credential::AccessToken(token.ok_or_else(|| missing("token"))?))
        }
        "SNOWFLAKE_JWT" => {
            Ok(Credential::KeyPair(data.token.clone().ok_or_else(|| missing("token"))?))
        }
        "OAUTH" => Err(refused("390303", "OAuth authentication")),
        other => Err(refused("390190", &format!("The authenticator '{other}'"))),
    }
}

/// `POST /session/authenticator-request`: the first step of browser sign-on.
pub async fn authenticator_request() -> Failure {
    Failure::Door(
        ("390190", "28000"),
        "Single sign-on is not supported by this server yet. Use a password, a key pair or a \
         programmatic access token."
            .to_string(),
        None,
    )
}

/// `POST /session/token-request`: a new session token for the master token.
pub async fn renew(
    State(state): State<Arc<ServerState>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let master = bearer(&headers)
        .ok_or_else(|| UserError::new(Code::MasterTokenInvalid, "The master token is missing."))?;
    let bytes = body::read(&headers, body, LOGIN_BYTES_MAX, &state.bodies.unknown).await?;
    let request: RenewBody = serde_json::from_slice(&bytes).unwrap_or_default();
    if !matches!(request.request_type.as_str(), "" | "RENEW") {
        return Err(
            UserError::unsupported(format!("token request {}", request.request_type)).into()
        );
    }
    let (session_id, tokens) = state.engine.renew(master).await?;
    let data = json!({
        "sessionToken": tokens.session_token,
        "validityInSecondsST": tokens.session_seconds,
        "masterToken": tokens.master_token,
        "validityInSecondsMT": tokens.master_seconds,
        "sessionId": session_id,
    });
    Ok(axum::Json(Envelope::success(data)).into_response())
}

/// `POST /session/heartbeat`: finding the session is what keeps it alive.
pub async fn heartbeat(
    State(state): State<Arc<ServerState>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    authenticate(&state, &headers).await?;
    Ok(axum::Json(Envelope::success(Value::Null)).into_response())
}

#[derive(Debug, Default, Deserialize)]
pub struct SessionQuery {
    #[serde(default)]
    delete: bool,
}

/// `POST /session?delete=true`
pub async fn session(
    State(state): State<Arc<ServerState>>,
    query: Result<Query<SessionQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Query(query) = query?;
    let session = authenticate(&state, &headers).await?;
    if query.delete {
        state.running.cancel_session(session.id());
        state.engine.close_session(&session).await?;
    }
    Ok(axum::Json(Envelope::success(Value::Null)).into_response())
}

/// Telemetry beyond this is not even read.
const TELEMETRY_BYTES_MAX: usize = 4 << 20;

/// `POST /telemetry/send`: taken and dropped; an error would only cost the client retries.
pub async fn telemetry(body: Body) -> Response {
    // Read to the end, so that the connection can be used again.
    body::drain(body, TELEMETRY_BYTES_MAX).await;
    axum::Json(Envelope::success(json!("Log Received"))).into_response()
}
