//! What all handlers share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use frazil_engine::Engine;
use tokio_util::sync::CancellationToken;

use crate::budget::Bodies;
use crate::listener::Tls;
use crate::metrics::Metrics;
use crate::snowflake::object_metadata::ObjectMetadata;
use crate::snowflake::running::RunningStatements;
use crate::snowflake::sql_api::Requests;
use crate::snowflake::transfer::PutBinds;
use crate::tokens::Signer;

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Base of the URLs handed out for chunks and files, such as `https://warehouse.example`. By
    /// default the host that the client itself used.
    pub external_url: Option<String>,
    /// Certificate and key for HTTPS; without them connections are in the clear.
    pub tls: Option<Tls>,
    /// How long a request waits for its statement before the client is told to poll.
    pub poll_hold: Duration,
    /// Largest request body in bytes, after decompression.
    pub body_bytes_max: usize,
    /// Bytes of all request bodies of known users that are being read and parsed at a time.
    pub body_bytes_at_once: usize,
    /// Connections open at a time; further clients wait.
    pub connections_max: usize,
    /// Largest stage file in bytes.
    pub upload_bytes_max: u64,
    /// Whether result chunks are gzipped; worth it on slow networks only.
    pub compress_chunks: bool,
    /// How long requests in flight may go on after shutdown was asked for.
    pub shutdown_grace: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            external_url: None,
            tls: None,
            poll_hold: crate::POLL_HOLD,
            body_bytes_max: 256 << 20,
            body_bytes_at_once: 512 << 20,
            connections_max: 512,
            upload_bytes_max: 64 << 30,
            compress_chunks: false,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// Shared by every request.
pub struct ServerState {
    pub engine: Arc<Engine>,
    pub settings: ServerSettings,
    pub signer: Signer,
    pub running: RunningStatements,
    pub put_binds: PutBinds,
    pub object_metadata: ObjectMetadata,
    pub metrics: Arc<Metrics>,
    pub sql_api_requests: Requests,
    pub bodies: Bodies,
    address: SocketAddr,
    closing: CancellationToken,
}

impl ServerState {
    pub fn new(engine: Arc<Engine>, settings: ServerSettings, address: SocketAddr) -> Arc<Self> {
        let metrics = Arc::new(Metrics::default());
        let bodies = Bodies::new(settings.body_bytes_at_once);
        Arc::new(ServerState {
            engine,
            bodies,
            settings,
            signer: Signer::random(),
            running: RunningStatements::new(metrics.clone()),
            put_binds: PutBinds::default(),
            object_metadata: ObjectMetadata::default(),
            metrics,
            sql_api_requests: Requests::default(),
            address,
            closing: CancellationToken::new(),
        })
    }

    /// Cancelled when the server begins to shut down.
    pub fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// The base of absolute URLs for this client, without a trailing slash.
    pub fn base_url(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.settings.external_url {
            return url.trim_end_matches('/').to_string();
        }
        let scheme = if self.settings.tls.is_some() { "https" } else { "http" };
        match headers.get(header::HOST).and_then(|host| host.to_str().ok()) {
            Some(host) => format!("{scheme}://{host}"),
            None => format!("{scheme}://{}", self.address),
        }
    }
}
