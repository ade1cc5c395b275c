//! `POST /endpoints/{name}/invocations` and `GET /endpoints/{name}/ping`.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::convert;
use super::errors::ServingError;
use super::wire::{InvocationQuery, Reply};
use crate::body;
use crate::state::ServerState;

/// Names the version that scored, so that callers can tell during a switch.
const VERSION_HEADER: &str = "x-frazil-model-version";

pub fn routes() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/endpoints/{name}/invocations", post(invoke))
        .route("/endpoints/{name}/ping", get(ping))
        .layer(DefaultBodyLimit::disable())
}

async fn invoke(
    State(state): State<Arc<ServerState>>,
    Path(name): Path<String>,
    query: Result<Query<InvocationQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ServingError> {
    let token = bearer(&headers)?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = convert::media(content_type)?;
    let Query(query) =
        query.map_err(|rejection| ServingError::BadRequest(rejection.body_text()))?;
    if !body::is_small(&headers) {
        // Nothing large is read for somebody who may not use the endpoint.
        if let Err(error) = state.engine.ping_endpoint(&name, token).await {
            body::drain(body, body::SMALL_BYTES_MAX).await;
            return Err(error.into());
        }
    }
    let bytes_max = state.settings.body_bytes_max;
    let bytes = body::read(&headers, body, bytes_max, &state.bodies.known).await?;
    let (rows, held) = state.bodies.parse(bytes, move |bytes| convert::rows(media, bytes)).await?;
    let rows = rows?;
    let started = Instant::now();
    let reply = state.engine.invoke_endpoint(&name, token, query.method.as_deref(), rows).await;
    state.metrics.invocation(reply.is_ok(), started);
    drop(held);
    let reply = reply?;
    let version = HeaderValue::from_str(&reply.version).ok();
    let body = Reply { predictions: reply.predictions, model: reply.model, version: reply.version };
    let mut response = Json(body).into_response();
    if let Some(version) = version {
        response.headers_mut().insert(VERSION_HEADER, version);
    }
    Ok(response)
}

async fn ping(
    State(state): State<Arc<ServerState>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ServingError> {
    let token = bearer(&headers)?;
    state.engine.ping_endpoint(&name, token).await?;
    Ok(Json(json!({"status": "ok", "endpoint": name})).into_response())
}

fn bearer(headers: &HeaderMap) -> Result<&str, ServingError> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty())
        .map(|(_, token)| token.trim())
        .ok_or(ServingError::Unauthorized)
}
