//! Whom a request comes from, and the certificate that connections are encrypted with.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use crate::validity;

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("the certificate file holds no certificate that can be read: {0}")]
    Certificate(String),
    #[error("the key file holds no private key that can be read: {0}")]
    Key(String),
    #[error("the certificate and its key cannot be used: {0}")]
    Config(#[from] rustls::Error),
}

/// The server's certificate chain and private key.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    /// Begin and end, in seconds since 1970.
    validity: Option<(i64, i64)>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads a chain (the server's certificate first) and its key, both in PEM form.
    ///
    /// # Errors
    /// Either cannot be read, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Tls, TlsError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(TlsError::Certificate("no certificate found".to_string()));
        }
        let validity = chain.first().and_then(|own| validity::read(own));
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { config: Arc::new(config), validity })
    }

    /// From when until when the server's own certificate is valid, in seconds since 1970, as far as
    /// it can be read.
    pub fn validity(&self) -> Option<(i64, i64)> {
        self.validity
    }

    /// What agrees on encryption with clients.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }
}
