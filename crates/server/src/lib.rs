//! One HTTP port, several doors. A door translates a protocol to engine calls and back, nothing
//! more: `snowflake` for Snowflake's drivers, `serving` for model endpoints.

mod body;
mod path;
pub mod serving;
pub mod snowflake;
mod state;
pub mod tokens;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use axum::serve::ListenerExt;
use frazil_engine::Engine;
use thiserror::Error;
use tokio::net::TcpListener;

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
/// at most `settings.shutdown_grace`.
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
    let signalled = closing.clone();
    // Answers are written whole: waiting to fill packets only adds latency.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let server = axum::serve(listener, router(state.clone())).with_graceful_shutdown(async move {
        shutdown.await;
        // Held polls answer at once, so that they do not hold up the shutdown.
        closing.cancel();
    });
    let overdue = async {
        signalled.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        result = server => result?,
        () = overdue => tracing::warn!("requests were cut off at shutdown"),
    }
    Ok(())
}

/// All routes, behind path normalisation.
fn router(state: Arc<ServerState>) -> Router {
    let doors = Router::new()
        .merge(snowflake::routes::routes())
        .merge(serving::routes::routes())
        .route("/healthz", get(health))
        .fallback(body::not_found)
        .method_not_allowed_fallback(body::method_not_allowed)
        .with_state(state);
    // Routing happens before layers of the same router, so the paths are mended one level above.
    Router::new().fallback_service(doors).layer(from_fn(path::normalise))
}

async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

/// Default for [`ServerSettings::poll_hold`]: how long the real service holds a poll.
pub const POLL_HOLD: Duration = Duration::from_secs(45);
