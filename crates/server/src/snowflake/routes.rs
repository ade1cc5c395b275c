//! Paths of Snowflake's protocol, and of the chunks and files its answers point to.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use super::{chunks, login, monitoring, query, sql_api, storage};
use crate::state::ServerState;

pub fn routes() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/session/v1/login-request", post(login::login))
        .route("/session/authenticator-request", post(login::authenticator_request))
        .route("/session/token-request", post(login::renew))
        .route("/session/heartbeat", post(login::heartbeat))
        .route("/session", post(login::session))
        .route("/queries/v1/query-request", post(query::query_request))
        .route("/queries/v1/abort-request", post(query::abort_request))
        .route("/queries/{id}/result", get(query::result))
        .route("/queries/{id}/abort-request", post(query::abort_query))
        .route("/monitoring/queries/{id}", get(monitoring::query_status))
        .route("/telemetry/send", post(login::telemetry))
        .route("/telemetry/send/sessionless", post(login::telemetry))
        .route("/api/v2/statements", post(sql_api::submit))
        .route("/api/v2/statements/{handle}", get(sql_api::status))
        .route("/api/v2/statements/{handle}/cancel", post(sql_api::cancel))
        .route("/results/chunks/{token}", get(chunks::chunk))
        .route("/storage/{bucket}/{*path}", get(storage::object).put(storage::object))
        // Handlers read bodies themselves, within limits of their own.
        .layer(DefaultBodyLimit::disable())
}
