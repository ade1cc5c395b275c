//! Request bodies (gzip by header, size limits) and plain JSON errors.

use std::io::{self, Read};
use std::ops::Deref;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use futures::StreamExt;
use futures::stream::BoxStream;
use thiserror::Error;

use crate::budget::{Budget, Share};

/// Largest body of a request that is no statement and no rows, such as a login.
pub const SMALL_BYTES_MAX: usize = 1 << 20;
/// A body of at most this length is read before its token is checked: the check comes with the work
/// then, and costs nothing more.
const UNCHECKED_BYTES: u64 = 64 * 1024;
/// Longest time between two pieces of a body.
const PIECE: Duration = Duration::from_secs(30);
/// How much is decompressed before the budget is asked again.
const STEP: usize = 64 * 1024;

/// Why a body could not be read.
#[derive(Debug, Error)]
pub enum BodyError {
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the request body cannot be read: {0}")]
    Unreadable(String),
    #[error("the request body came too slowly, or not at all for {} seconds", PIECE.as_secs())]
    Slow,
    #[error(
        "the server is reading as many bytes of requests as it can hold; send the request again \
         later, or in smaller parts"
    )]
    Busy,
}

impl BodyError {
    pub fn status(&self) -> StatusCode {
        match self {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Unreadable(_) => StatusCode::BAD_REQUEST,
            BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A body as the server holds it: while it does, its bytes count in a budget.
pub struct Received {
    bytes: Bytes,
    _share: Share,
}

impl Deref for Received {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

/// Whether a body says that it is small, and can be no larger: neither compressed nor without a
/// length.
pub fn is_small(headers: &HeaderMap) -> bool {
    announced(headers).is_some_and(|length| length <= UNCHECKED_BYTES)
        && !headers.contains_key(header::CONTENT_ENCODING)
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a body, decompressing it when its header says gzip: some clients compress every body,
/// others none, so only the header tells.
///
/// # Errors
/// When the body exceeds `bytes_max` (also once decompressed), is not what the header says, stops
/// coming, or finds no place in the budget.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    budget: &Budget,
) -> Result<Received, BodyError> {
    if announced(headers).is_some_and(|length| length > bytes_max as u64) {
        return Err(BodyError::TooLarge(bytes_max));
    }
    let encoding =
        headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    let gzip = match encoding.trim() {
        "" | "identity" => false,
        "gzip" => true,
        other => {
            return Err(BodyError::Unreadable(format!("unsupported Content-Encoding '{other}'")));
        }
    };
    let mut share = budget.share();
    let raw = collect(body, bytes_max, &mut share).await?;
    if !gzip {
        return Ok(Received { bytes: raw, _share: share });
    }
    // Small bodies are most of the traffic; a thread hop would cost more than the work. How small
    // one is shows only once it is decompressed.
    let unpack = move || {
        let bytes = gunzip(&raw, bytes_max, &mut share)?;
        Ok(Received { bytes, _share: share })
    };
    if raw_is_short(headers) {
        return unpack();
    }
    tokio::task::spawn_blocking(unpack)
        .await
        .map_err(|error| BodyError::Unreadable(error.to_string()))?
}

/// Whether even the largest expansion of gzip, a thousandfold, is done in a few milliseconds.
fn raw_is_short(headers: &HeaderMap) -> bool {
    announced(headers).is_some_and(|length| length <= 4096)
}

async fn collect(body: Body, bytes_max: usize, share: &mut Share) -> Result<Bytes, BodyError> {
    let mut pieces = body.into_data_stream();
    let mut all = BytesMut::new();
    let mut first: Option<Bytes> = None;
    let started = Instant::now();
    loop {
        let piece = match tokio::time::timeout(PIECE, pieces.next()).await {
            Err(_) => return Err(BodyError::Slow),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(BodyError::Unreadable(error.to_string())),
            Ok(Some(Ok(piece))) => piece,
        };
        let so_far = all.len() + first.as_ref().map_or(0, Bytes::len);
        if so_far + piece.len() > bytes_max {
            return Err(BodyError::TooLarge(bytes_max));
        }
        // A kilobyte a second, when the first half minute is over: pieces of a byte hold nothing up.
        if started.elapsed() > PIECE + Duration::from_millis(so_far as u64) {
            return Err(BodyError::Slow);
        }
        if !share.grow(piece.len()) {
            return Err(BodyError::Busy);
        }
        // A body of one piece, as most are, is not copied.
        match first.take() {
            None if all.is_empty() => first = Some(piece),
            earlier => {
                all.extend_from_slice(&earlier.unwrap_or_default());
                all.extend_from_slice(&piece);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

/// Longest time spent on a body that nobody wants.
const DRAIN: Duration = Duration::from_secs(10);

/// Reads a body that nobody wants, so that the answer reaches a client that is still sending; beyond
/// `bytes_max` it is left.
pub async fn drain(body: Body, bytes_max: usize) {
    let mut pieces = body.into_data_stream();
    let read = async {
        let mut seen = 0;
        while let Some(Ok(piece)) = pieces.next().await {
            seen += piece.len();
            if seen > bytes_max {
                return;
            }
        }
    };
    // What has not come by then is not waited for.
    let _ = tokio::time::timeout(DRAIN, read).await;
}

/// A body piece by piece; one that does not go on ends with an error.
pub fn pieces(body: Body) -> BoxStream<'static, io::Result<Bytes>> {
    futures::stream::unfold(Some(body.into_data_stream()), |pieces| async {
        let mut pieces = pieces?;
        match tokio::time::timeout(PIECE, pieces.next()).await {
            Ok(piece) => Some((piece?.map_err(io::Error::other), Some(pieces))),
            Err(_) => Some((Err(io::Error::other(BodyError::Slow)), None)),
        }
    })
    .boxed()
}

fn gunzip(raw: &[u8], bytes_max: usize, share: &mut Share) -> Result<Bytes, BodyError> {
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(raw);
    loop {
        let read = decoder
            .by_ref()
            .take(STEP as u64)
            .read_to_end(&mut plain)
            .map_err(|error| BodyError::Unreadable(format!("bad gzip data: {error}")))?;
        if plain.len() > bytes_max {
            return Err(BodyError::TooLarge(bytes_max));
        }
        if !share.grow(read) {
            return Err(BodyError::Busy);
        }
        if read < STEP {
            return Ok(plain.into());
        }
    }
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
        let (mut headers, budget) = (HeaderMap::new(), Budget::new(1 << 20));
        let packed = gzip(b"{}");
        let plain = read(&headers, packed.clone().into(), 1000, &budget).await.unwrap();
        assert_eq!(*plain, packed);
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert_eq!(*read(&headers, packed.into(), 1000, &budget).await.unwrap(), "{}");
        let bad = read(&headers, "{}".into(), 1000, &budget).await;
        assert!(matches!(bad, Err(BodyError::Unreadable(_))));
    }

    #[tokio::test]
    async fn the_limit_counts_before_and_after_decompression() {
        let (mut headers, budget) = (HeaderMap::new(), Budget::new(1 << 20));
        assert!(matches!(
            read(&headers, vec![0_u8; 11].into(), 10, &budget).await,
            Err(BodyError::TooLarge(10))
        ));
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        let bomb = gzip(&vec![0_u8; 100_000]);
        assert!(matches!(
            read(&headers, bomb.into(), 10_000, &budget).await,
            Err(BodyError::TooLarge(10_000))
        ));
    }

    #[tokio::test]
    async fn an_announced_length_above_the_limit_is_refused_unread() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, "11".parse().unwrap());
        let endless =
            Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let read = read(&headers, endless, 10, &Budget::new(100)).await;
        assert!(matches!(read, Err(BodyError::TooLarge(10))));
    }

    #[tokio::test]
    async fn bodies_share_a_budget() {
        let (mut headers, budget) = (HeaderMap::new(), Budget::new(300_000));
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        let packed = gzip(&vec![b' '; 200_000]);
        let held = read(&headers, packed.clone().into(), 1 << 20, &budget).await.unwrap();
        let second = read(&headers, packed.clone().into(), 1 << 20, &budget).await;
        assert!(matches!(second, Err(BodyError::Busy)));
        drop(held);
        assert_eq!(read(&headers, packed.into(), 1 << 20, &budget).await.unwrap().len(), 200_000);
    }

    #[test]
    fn small_bodies_say_so() {
        let mut headers = HeaderMap::new();
        assert!(!is_small(&headers));
        headers.insert(header::CONTENT_LENGTH, "100".parse().unwrap());
        assert!(is_small(&headers));
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(!is_small(&headers));
        headers.remove(header::CONTENT_ENCODING);
        headers.insert(header::CONTENT_LENGTH, "1000000".parse().unwrap());
        assert!(!is_small(&headers));
    }
}
