//! One HTTP port, several doors. A door translates a protocol to engine calls and back, nothing
//! more: `snowflake` for Snowflake's drivers, `serving` for model endpoints.

mod body;
mod budget;
mod connections;
mod impatient;
mod listener;
mod metrics;
mod path;
pub mod serving;
pub mod snowflake;
mod state;
pub mod tokens;
mod validity;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use frazil_engine::Engine;
use thiserror::Error;
use tokio::net::TcpListener;

pub use listener::{Tls, TlsError};
pub use state::ServerSettings;
use state::ServerState;

/// Why the server stopped.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Accepting connections failed.
    #[error("the HTTP server failed: {0}")]
    Io(#[from] io::Error),
}

/// Serves all doors on `listener` until `shutdown` resolves, then finishes requests in flight for
/// at most `settings.shutdown_grace`. Statements may go on for a part of it; those that run still are
/// cancelled then, but for commits that have begun.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    engine: Arc<Engine>,
    listener: TcpListener,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServerError> {
    let grace = settings.shutdown_grace;
    let state = ServerState::new(engine, settings, listener.local_addr()?);
    let closing = state.closing();
    let signal = closing.clone();
    let signalled = tokio::spawn(async move {
        shutdown.await;
        signal.cancel();
    });
    let overdue = async {
        closing.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    let (tls, connections_max) = (state.settings.tls.clone(), state.settings.connections_max);
    let running = state.running.clone();
    let give_up = async {
        closing.cancelled().await;
        tokio::time::sleep(grace / STATEMENTS_PART).await;
        running.give_up();
        std::future::pending::<()>().await;
    };
    let served = connections::serve(listener, router(state), tls, connections_max, closing.clone());
    let ended = async {
        served.await;
        // Nobody waits for what runs still.
        running.give_up();
        running.ended().await;
    };
    tokio::select! {
        () = ended => {}
        () = give_up => {}
        () = overdue => {
            running.give_up();
            tracing::warn!("requests were cut off at shutdown");
        }
    }
    signalled.abort();
    Ok(())
}

/// All routes, behind path normalisation.
fn router(state: Arc<ServerState>) -> Router {
    let doors = Router::new()
        .merge(snowflake::routes::routes())
        .merge(serving::routes::routes())
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .fallback(body::not_found)
        .method_not_allowed_fallback(body::method_not_allowed)
        .with_state(state);
    // Routing happens before layers of the same router, so the paths are mended one level above.
    Router::new().fallback_service(doors).layer(from_fn(path::normalise))
}

/// Whether statements can be run: 200, or 503 with what is wrong in the server's log.
async fn health(State(state): State<Arc<ServerState>>) -> Response {
    let (status, text) = match state.engine.check_health().await {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(error) => {
            tracing::error!("the health check failed: {error}");
            (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
        }
    };
    let body = serde_json::json!({"status": text, "version": env!("CARGO_PKG_VERSION")});
    (status, axum::Json(body)).into_response()
}

/// Numbers for Prometheus.
async fn metrics(State(state): State<Arc<ServerState>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match state.metrics.text(&state.engine) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => body::error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", error.to_string()),
    }
}

/// The part of the grace in which statements may end by themselves.
const STATEMENTS_PART: u32 = 3;

/// Default for [`ServerSettings::poll_hold`]: how long the real service holds a poll.
pub const POLL_HOLD: Duration = Duration::from_secs(45);
