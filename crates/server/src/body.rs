//! Request bodies (gzip by header, size limits) and plain JSON errors.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use thiserror::Error;

/// Why a body could not be read.
#[derive(Debug, Error)]
pub enum BodyError {
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the request body cannot be read: {0}")]
    Unreadable(String),
}

impl BodyError {
    pub fn status(&self) -> StatusCode {
        match self {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Unreadable(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body, decompressing it when its header says gzip: some clients compress every body,
/// others none, so only the header tells.
///
/// # Errors
/// When the body exceeds `bytes_max` (also once decompressed) or is not what the header says.
pub async fn read(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    let raw = axum::body::to_bytes(body, bytes_max).await.map_err(|error| {
        use std::error::Error;
        let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        if text.contains("length limit") {
            BodyError::TooLarge(bytes_max)
        } else {
            BodyError::Unreadable(text)
        }
    })?;
    let encoding =
        headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    match encoding.trim() {
        "" | "identity" => Ok(raw),
        "gzip" => gunzip_blocking(raw, bytes_max).await,
        other => Err(BodyError::Unreadable(format!("unsupported Content-Encoding '{other}'"))),
    }
}

async fn gunzip_blocking(raw: Bytes, bytes_max: usize) -> Result<Bytes, BodyError> {
    // Small bodies are most of the traffic; a thread hop would cost more than the work.
    if raw.len() < 64 * 1024 {
        return gunzip(&raw, bytes_max);
    }
    tokio::task::spawn_blocking(move || gunzip(&raw, bytes_max))
        .await
        .map_err(|error| BodyError::Unreadable(error.to_string()))?
}

fn gunzip(raw: &[u8], bytes_max: usize) -> Result<Bytes, BodyError> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(raw)
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| BodyError::Unreadable(format!("bad gzip data: {error}")))?;
    if plain.len() > bytes_max {
        return Err(BodyError::TooLarge(bytes_max));
    }
    Ok(plain.into())
}

/// A JSON error body with a status.
pub fn error(status: StatusCode, code: &str, message: impl Into<String>) -> Response {
    let body = serde_json::json!({"error": code, "message": message.into()});
    (status, axum::Json(body)).into_response()
}

pub async fn not_found(uri: axum::http::Uri) -> Response {
    error(StatusCode::NOT_FOUND, "NOT_FOUND", format!("there is nothing at {}", uri.path()))
}

pub async fn method_not_allowed() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "the method is not allowed here")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn gzip_is_decoded_by_the_header_alone() {
        let mut headers = HeaderMap::new();
        let packed = gzip(b"{}");
        let plain = read(&headers, packed.clone().into(), 1000).await.unwrap();
        assert_eq!(plain, packed);
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert_eq!(read(&headers, packed.into(), 1000).await.unwrap(), "{}");
        assert!(matches!(read(&headers, "{}".into(), 1000).await, Err(BodyError::Unreadable(_))));
    }

    #[tokio::test]
    async fn the_limit_counts_before_and_after_decompression() {
        let mut headers = HeaderMap::new();
        assert!(matches!(
            read(&headers, vec![0_u8; 11].into(), 10).await,
            Err(BodyError::TooLarge(10))
        ));
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        let bomb = gzip(&vec![0_u8; 100_000]);
        assert!(matches!(
            read(&headers, bomb.into(), 10_000).await,
            Err(BodyError::TooLarge(10_000))
        ));
    }
}
