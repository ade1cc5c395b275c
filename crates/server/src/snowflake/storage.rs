//! Stage files over HTTP in the shape of Google's storage: HEAD, GET and PUT of one object.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use frazil_common::{Code, UserError};
use frazil_engine::{StageFile, StageStore};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::body;
use crate::state::ServerState;
use crate::tokens::{Claims, TokenError};

type Pieces = BoxStream<'static, Result<Bytes, io::Error>>;

/// What a file token allows: reading or writing one file, or everything below a directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageClaims {
    pub stage_id: i64,
    /// The token ends with this session.
    pub session_id: i64,
    /// Path below the stage: a file when `exact`, else a prefix.
    pub path: String,
    pub exact: bool,
    pub write: bool,
    /// OVERWRITE = FALSE, for clients that do not look before they write.
    pub keep_existing: bool,
    /// The client may have gzipped the file without saying so: then the name gets its `.gz` here.
    pub name_gzip: bool,
}

impl Claims for StageClaims {
    const PURPOSE: &'static str = "stage";
}

impl StageClaims {
    fn covers(&self, stage_id: i64, path: &str) -> bool {
        let within = if self.exact { path == self.path } else { path.starts_with(&self.path) };
        self.stage_id == stage_id && within
    }
}

/// The bucket that stands for a stage.
pub fn bucket(stage_id: i64) -> String {
    format!("stage-{stage_id}")
}

#[derive(Debug, Default, Deserialize)]
pub struct TokenQuery {
    token: Option<String>,
}

/// Refusals as HTTP statuses, which is what storage clients read.
struct Refusal(StatusCode, &'static str, String);

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal(status, code, message.into())
    }

    fn internal(error: impl std::fmt::Display) -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", error.to_string())
    }

    /// A file that could not be stored. Clients send it again and again on 500, but not on 507.
    fn of_put(error: &UserError) -> Refusal {
        match error.code {
            Code::DiskFull => {
                Refusal::new(StatusCode::INSUFFICIENT_STORAGE, "DISK_FULL", error.message.as_str())
            }
            _ => Refusal::internal(error),
        }
    }

    fn not_found() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is no such file on the stage")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        body::error(self.0, self.1, self.2)
    }
}

/// `HEAD`, `GET` and `PUT /storage/{bucket}/{path}`
pub async fn object(
    State(state): State<Arc<ServerState>>,
    Path((bucket, path)): Path<(String, String)>,
    query: Result<Query<TokenQuery>, QueryRejection>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let handled = async {
        let Query(query) = query.map_err(|rejection| {
            Refusal::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", rejection.body_text())
        })?;
        let write = method == Method::PUT;
        let claims =
            authorise(&state, &bucket, &path, query.token.as_deref(), write, &headers).await?;
        if write {
            put(&state, &claims, &path, &headers, body).await
        } else {
            get(&state, &claims, &path, method == Method::GET, &headers).await
        }
    };
    handled.await.unwrap_or_else(IntoResponse::into_response)
}

async fn authorise(
    state: &ServerState,
    bucket_name: &str,
    path: &str,
    url_token: Option<&str>,
    write: bool,
    headers: &HeaderMap,
) -> Result<StageClaims, Refusal> {
    let denied = |text: &str| Refusal::new(StatusCode::FORBIDDEN, "ACCESS_DENIED", text);
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let token = url_token.or(bearer).ok_or_else(|| {
        Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "a token is required")
    })?;
    let claims: StageClaims = state.signer.verify(token).map_err(|error| match error {
        TokenError::Invalid => denied("the token is not valid"),
        // The statuses on which clients ask for a new token, or for a new URL.
        TokenError::Expired if url_token.is_some() => {
            Refusal::new(StatusCode::BAD_REQUEST, "EXPIRED", "the URL has expired")
        }
        TokenError::Expired => {
            Refusal::new(StatusCode::UNAUTHORIZED, "EXPIRED", "the token has expired")
        }
    })?;
    if !state.engine.session_is_open(claims.session_id).await.map_err(Refusal::internal)? {
        return Err(denied("the session has ended"));
    }
    let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !plain || path.contains(['\\', '\0']) {
        return Err(denied("the path is not valid"));
    }
    if bucket_name != bucket(claims.stage_id)
        || !claims.covers(claims.stage_id, path)
        || claims.write != write
    {
        // One driver looks whether the file is there through the URL it will write to.
        let looks = claims.write && !write && claims.covers(claims.stage_id, path);
        if !looks || bucket_name != bucket(claims.stage_id) {
            return Err(denied("the token does not allow this"));
        }
    }
    // The token tells what the statement's role could do when it was made.
    let may = state.engine.may_transfer(claims.session_id, claims.stage_id, claims.write).await;
    if !may.map_err(Refusal::internal)? {
        return Err(denied("the stage does not exist or not authorized"));
    }
    Ok(claims)
}

async fn get(
    state: &ServerState,
    claims: &StageClaims,
    path: &str,
    with_body: bool,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let stage_id = claims.stage_id;
    let store = state.engine.stage_store();
    let file = store.head(stage_id, path).await.map_err(Refusal::internal)?;
    let file = file.ok_or_else(Refusal::not_found)?;
    if claims.write && with_body {
        // Whoever may write learns that the file is there, not what is in it.
        let mut response = StatusCode::OK.into_response();
        describe(response.headers_mut(), &file);
        return Ok(response);
    }
    let range = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| parse_range(text, file.size));
    let (start, length) = range.unwrap_or((0, file.size));
    let mut response = if with_body {
        let bytes = store.get(stage_id, path).await.map_err(Refusal::internal)?;
        Body::from_stream(cut(bytes, start, length)).into_response()
    } else {
        StatusCode::OK.into_response()
    };
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("bytes {start}-{}/{}", start + length.max(1) - 1, file.size);
        insert(response.headers_mut(), header::CONTENT_RANGE, &text);
    }
    let out = response.headers_mut();
    insert(out, header::CONTENT_LENGTH, &length.to_string());
    insert(out, header::CONTENT_TYPE, "application/octet-stream");
    describe(out, &file);
    state.object_metadata.restore(stage_id, path, out);
    Ok(response)
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

fn describe(headers: &mut HeaderMap, file: &StageFile) {
    insert(headers, header::ETAG, &format!("\"{}\"", file.digest.trim_matches('"')));
    let generation = header::HeaderName::from_static("x-goog-generation");
    insert(headers, generation, &file.modified_micros.to_string());
    insert(
        headers,
        header::HeaderName::from_static("x-goog-stored-content-length"),
        &file.size.to_string(),
    );
}

/// First byte and length of a `bytes=a-b`, `bytes=a-` or `bytes=-n` range within a file.
fn parse_range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (first.trim(), last.trim()) {
        ("", count) => (size.saturating_sub(count.parse().ok()?), size),
        (first, "") => (first.parse().ok()?, size),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.saturating_add(1)),
    };
    let end = end.min(size);
    (start < end).then_some((start, end - start))
}

/// `length` bytes of a stream from `start` on.
fn cut(bytes: Pieces, start: u64, length: u64) -> Pieces {
    let mut skip = start;
    let mut left = length;
    bytes
        .map_ok(move |mut piece| {
            let dropped = skip.min(piece.len() as u64);
            skip -= dropped;
            let _ = piece.split_to(dropped as usize);
            piece.truncate(left.min(piece.len() as u64) as usize);
            left -= piece.len() as u64;
            piece
        })
        .try_filter(|piece| futures::future::ready(!piece.is_empty()))
        .boxed()
}

async fn put(
    state: &ServerState,
    claims: &StageClaims,
    path: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let store = state.engine.stage_store();
    let mut body = body::pieces(body);
    let mut path = path.to_string();
    if claims.name_gzip && !path.ends_with(".gz") {
        let (start, rest) = peek(body, GZIP_MAGIC.len()).await.map_err(Refusal::internal)?;
        if start.starts_with(&GZIP_MAGIC) {
            path.push_str(".gz");
        }
        body = rest;
    }
    let path = path.as_str();
    let create_only =
        headers.get("x-goog-if-generation-match").is_some_and(|value| value.as_bytes() == b"0");
    if create_only || claims.keep_existing {
        let existing = store.head(claims.stage_id, path).await.map_err(Refusal::internal)?;
        if let Some(file) = existing {
            if !create_only && same_content(&store, claims.stage_id, path, headers).await? {
                return Ok(stored(&file));
            }
            return Err(Refusal::new(
                StatusCode::PRECONDITION_FAILED,
                "EXISTS",
                "the file exists on the stage with other content; use OVERWRITE = TRUE",
            ));
        }
    }
    let limit = state.settings.upload_bytes_max;
    let too_large = || {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "TOO_LARGE",
            format!("the file is larger than {limit} bytes, the limit of --upload-limit"),
        )
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let received = Arc::new(AtomicU64::new(0));
    let counter = received.clone();
    let bytes = body
        .and_then(move |piece| {
            let size = piece.len() as u64;
            let total = counter.fetch_add(size, Ordering::Relaxed) + size;
            futures::future::ready(if total > limit {
                Err(io::Error::other("the file is too large"))
            } else {
                Ok(piece)
            })
        })
        .boxed();
    if let Err(error) = store.put(claims.stage_id, path, bytes).await {
        let over = received.load(Ordering::Relaxed) > limit;
        return Err(if over { too_large() } else { Refusal::of_put(&error) });
    }
    state.object_metadata.keep(claims.stage_id, path, headers);
    let file = store.head(claims.stage_id, path).await.map_err(Refusal::internal)?;
    Ok(stored(&file.ok_or_else(|| Refusal::internal("the stored file is gone"))?))
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The first bytes of a stream, at least `count` unless it ends before, and the whole stream again.
async fn peek(mut stream: Pieces, count: usize) -> Result<(Bytes, Pieces), io::Error> {
    let mut start = BytesMut::new();
    while start.len() < count
        && let Some(piece) = stream.try_next().await?
    {
        start.extend_from_slice(&piece);
    }
    let start = start.freeze();
    let first = futures::stream::iter([Ok(start.clone())]);
    Ok((start, first.chain(stream).boxed()))
}

fn stored(file: &StageFile) -> Response {
    let mut response = StatusCode::OK.into_response();
    describe(response.headers_mut(), file);
    response
}

/// Whether the upload announces (by its SHA-256) the bytes that are there already.
async fn same_content(
    store: &StageStore,
    stage_id: i64,
    path: &str,
    headers: &HeaderMap,
) -> Result<bool, Refusal> {
    let Some(announced) =
        headers.get("x-goog-meta-sfc-digest").and_then(|value| value.to_str().ok())
    else {
        return Ok(false);
    };
    let mut bytes = store.get(stage_id, path).await.map_err(Refusal::internal)?;
    let mut digest = Sha256::new();
    while let Some(piece) = bytes.try_next().await.map_err(Refusal::internal)? {
        digest.update(&piece);
    }
    Ok(STANDARD.encode(digest.finalize()) == announced)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn claims(path: &str, exact: bool) -> StageClaims {
        StageClaims {
            stage_id: 7,
            session_id: 1,
            path: path.into(),
            exact,
            write: true,
            keep_existing: false,
            name_gzip: false,
        }
    }

    #[test]
    fn tokens_cover_their_directory_or_their_file() {
        assert!(claims("in/", false).covers(7, "in/a.csv"));
        assert!(!claims("in/", false).covers(8, "in/a.csv"));
        assert!(!claims("in/", false).covers(7, "out/a.csv"));
        assert!(claims("in/a.csv", true).covers(7, "in/a.csv"));
        assert!(!claims("in/a.csv", true).covers(7, "in/a.csv.gz"));
    }

    #[test]
    fn ranges_stay_within_the_file() {
        assert_eq!(parse_range("bytes=0-9", 100), Some((0, 10)));
        assert_eq!(parse_range("bytes=90-", 100), Some((90, 10)));
        assert_eq!(parse_range("bytes=-5", 100), Some((95, 5)));
        assert_eq!(parse_range("bytes=50-500", 100), Some((50, 50)));
        assert_eq!(parse_range("bytes=100-", 100), None);
        assert_eq!(parse_range("lines=1-2", 100), None);
    }

    #[tokio::test]
    async fn a_peek_leaves_the_stream_whole() {
        let pieces = ["a", "b", "cd"].map(|text| Ok(Bytes::from_static(text.as_bytes())));
        let (start, rest) = peek(futures::stream::iter(pieces).boxed(), 2).await.unwrap();
        assert_eq!(start, "ab");
        let all: Vec<Bytes> = rest.try_collect().await.unwrap();
        assert_eq!(all.concat(), b"abcd");
    }

    #[tokio::test]
    async fn a_cut_crosses_pieces() {
        let pieces = ["abc", "def", "ghi"].map(|text| Ok(Bytes::from_static(text.as_bytes())));
        let stream = futures::stream::iter(pieces).boxed();
        let found: Vec<Bytes> = cut(stream, 2, 5).try_collect().await.unwrap();
        assert_eq!(found.concat(), b"cdefg");
    }
}
