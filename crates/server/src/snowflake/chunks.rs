//! Result parts: the inline rows of an answer, and chunks fetched later by signed URL.
//!
//! A chunk is converted while it is being sent, one stored batch at a time and only as fast as the
//! client reads, so memory does not grow with the result or with slow clients.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use frazil_common::UserError;
use frazil_engine::StoredResult;
use futures::stream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::convert::arrow::ArrowLayout;
use super::convert::json;
use crate::body;
use crate::state::ServerState;
use crate::tokens::{Claims, TokenError};

/// Rows of about this many bytes travel in the answer itself.
const INLINE_BYTES: u64 = 256 << 10;
/// Size of one chunk before compression, about.
const CHUNK_BYTES: u64 = 8 << 20;
/// Seconds a chunk URL works, as with the real service.
pub const CHUNK_SECONDS: i64 = 6 * 3600;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Arrow,
    Json,
}

impl Format {
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Arrow => "arrow",
            Format::Json => "json",
        }
    }
}

/// Consecutive rows of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    pub offset: u64,
    pub count: u64,
}

/// What a chunk URL stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChunkClaims {
    pub query_id: String,
    pub rows: Rows,
    pub format: Format,
}

impl Claims for ChunkClaims {
    const PURPOSE: &'static str = "chunk";
}

/// Splits a result into its inline rows and its chunks. Together they are all rows, in order.
pub fn split(total_rows: u64, bytes: u64) -> (Rows, Vec<Rows>) {
    let row_bytes = bytes.div_ceil(total_rows.max(1)).max(1);
    // A result a little over the limit is not worth a second request.
    let inline = if bytes <= INLINE_BYTES * 5 / 4 {
        total_rows
    } else {
        (INLINE_BYTES / row_bytes).clamp(1, total_rows)
    };
    let per_chunk = (CHUNK_BYTES / row_bytes).max(1);
    let mut chunks = Vec::new();
    let mut offset = inline;
    while offset < total_rows {
        let count = per_chunk.min(total_rows - offset);
        chunks.push(Rows { offset, count });
        offset += count;
    }
    (Rows { offset: 0, count: inline }, chunks)
}

/// The stored batches that hold `rows`: index, first row within it, number of rows.
fn pieces(batch_rows: &[usize], rows: Rows) -> VecDeque<(usize, usize, usize)> {
    let (start, end) = (rows.offset, rows.offset + rows.count);
    let mut found = VecDeque::new();
    let mut first = 0_u64;
    for (index, length) in batch_rows.iter().enumerate() {
        let last = first + *length as u64;
        let (from, to) = (start.max(first), end.min(last));
        if from < to {
            found.push_back((index, (from - first) as usize, (to - from) as usize));
        }
        first = last;
    }
    found
}

/// Writes a range of a result piece by piece.
pub struct RowWriter {
    result: Arc<StoredResult>,
    pieces: VecDeque<(usize, usize, usize)>,
    encoder: Encoder,
    gzip: Option<GzEncoder<Vec<u8>>>,
    finished: bool,
}

enum Encoder {
    Arrow { layout: ArrowLayout, writer: Box<StreamWriter<Vec<u8>>> },
    Json { first: bool },
}

impl RowWriter {
    /// # Errors
    /// When the Arrow schema cannot be written.
    pub fn new(
        result: Arc<StoredResult>,
        rows: Rows,
        format: Format,
        gzip: bool,
    ) -> Result<RowWriter, UserError> {
        let encoder = match format {
            Format::Arrow => {
                let layout = ArrowLayout::new(&result.columns, result.rows.integer_ranges());
                let writer = StreamWriter::try_new(Vec::new(), &layout.schema())
                    .map_err(UserError::internal)?;
                Encoder::Arrow { layout, writer: Box::new(writer) }
            }
            Format::Json => Encoder::Json { first: true },
        };
        Ok(RowWriter {
            pieces: pieces(result.rows.batch_rows(), rows),
            result,
            encoder,
            gzip: gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast())),
            finished: false,
        })
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, UserError> {
        let Some((index, start, count)) = self.pieces.pop_front() else { return Ok(None) };
        let batch = self.result.rows.read_batch(index)?;
        Ok(Some(batch.slice(start, count)))
    }

    /// The next bytes, or `None` at the end. Blocking: reads from disk and converts.
    ///
    /// # Errors
    /// When the stored result cannot be read or does not match its description.
    pub fn next_bytes(&mut self) -> Result<Option<Bytes>, UserError> {
        loop {
            if self.finished {
                return Ok(None);
            }
            let batch = self.next_batch()?;
            self.finished = batch.is_none();
            let plain = self.encode(batch)?;
            let bytes = match &mut self.gzip {
                None => plain,
                Some(gzip) => {
                    gzip.write_all(&plain).map_err(UserError::internal)?;
                    if self.finished {
                        gzip.try_finish().map_err(UserError::internal)?;
                    }
                    std::mem::take(gzip.get_mut())
                }
            };
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
        }
    }

    fn encode(&mut self, batch: Option<RecordBatch>) -> Result<Vec<u8>, UserError> {
        match (&mut self.encoder, batch) {
            (Encoder::Arrow { layout, writer }, Some(batch)) => {
                let batch = layout.convert(&batch).map_err(UserError::internal)?;
                writer.write(&batch).map_err(UserError::internal)?;
                Ok(std::mem::take(writer.get_mut()))
            }
            (Encoder::Arrow { writer, .. }, None) => {
                writer.finish().map_err(UserError::internal)?;
                Ok(std::mem::take(writer.get_mut()))
            }
            (Encoder::Json { first }, Some(batch)) => {
                let rows =
                    json::chunk_text(&self.result.columns, &batch).map_err(UserError::internal)?;
                let separator = if std::mem::take(first) { "" } else { "," };
                Ok(format!("{separator}{rows}").into_bytes())
            }
            (Encoder::Json { .. }, None) => Ok(Vec::new()),
        }
    }
}

/// The cells of a range. Blocking: reads from disk and converts.
pub fn cells(result: &StoredResult, rows: Rows) -> Result<Vec<Vec<json::Cell>>, UserError> {
    let mut all = Vec::with_capacity(rows.count as usize);
    for (index, start, count) in pieces(result.rows.batch_rows(), rows) {
        let batch = result.rows.read_batch(index)?.slice(start, count);
        all.extend(json::rows(&result.columns, &batch).map_err(UserError::internal)?);
    }
    Ok(all)
}

/// All bytes of a range; for the small inline part.
pub fn write_all(
    result: &Arc<StoredResult>,
    rows: Rows,
    format: Format,
) -> Result<Vec<u8>, UserError> {
    let mut writer = RowWriter::new(result.clone(), rows, format, false)?;
    let mut all = Vec::new();
    while let Some(bytes) = writer.next_bytes()? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

/// `GET /results/chunks/{token}`: works without a session, as clients send none.
pub async fn chunk(
    State(state): State<Arc<ServerState>>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Response {
    let claims: ChunkClaims = match state.signer.verify(&token) {
        Ok(claims) => claims,
        Err(error @ (TokenError::Invalid | TokenError::Expired)) => {
            return body::error(StatusCode::FORBIDDEN, "ACCESS_DENIED", error.to_string());
        }
    };
    let stored = match Uuid::parse_str(&claims.query_id) {
        Ok(id) => state.engine.result_by_address(&id).await,
        Err(_) => Ok(None),
    };
    let stored = match stored {
        Ok(stored) => stored,
        Err(error) => {
            return body::error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", error.to_string());
        }
    };
    let Some(result) = stored else {
        return body::error(StatusCode::NOT_FOUND, "NOT_FOUND", "the result is no longer kept");
    };
    let gzip = state.settings.compress_chunks && accepts_gzip(&headers);
    let writer = match RowWriter::new(result, claims.rows, claims.format, gzip) {
        Ok(writer) => writer,
        Err(error) => {
            return body::error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", error.to_string());
        }
    };
    // Pulled by the connection: nothing is converted before the client has read what came earlier.
    let pulled = stream::try_unfold(writer, |mut writer| async move {
        tokio::task::spawn_blocking(move || match writer.next_bytes() {
            Ok(Some(bytes)) => Ok(Some((bytes, writer))),
            Ok(None) => Ok(None),
            Err(error) => Err(io::Error::other(error.to_string())),
        })
        .await
        .map_err(io::Error::other)?
    });
    let content_type = match claims.format {
        Format::Arrow => "application/vnd.apache.arrow.stream",
        Format::Json => "application/json",
    };
    let mut response = Body::from_stream(pulled).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if gzip {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("gzip"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_rows_in_order() {
        for (rows, bytes) in [(0, 0), (1, 50 << 20), (10_000_000, 400 << 20), (3, 256 << 10)] {
            let (inline, chunks) = split(rows, bytes);
            let mut next = 0;
            for part in std::iter::once(inline).chain(chunks) {
                assert_eq!(part.offset, next);
                assert!(part.count > 0 || rows == 0);
                next += part.count;
            }
            assert_eq!(next, rows);
        }
    }

    #[test]
    fn the_inline_part_stays_small() {
        let (inline, chunks) = split(1_000_000, 100 << 20);
        assert!(inline.count * 105 <= INLINE_BYTES);
        assert!(chunks.len() > 10);
        assert_eq!(split(1000, INLINE_BYTES).1, Vec::new());
    }

    #[test]
    fn pieces_cut_batches_at_the_range() {
        let found = pieces(&[10, 10, 10], Rows { offset: 5, count: 17 });
        assert_eq!(found, [(0, 5, 5), (1, 0, 10), (2, 0, 2)]);
        assert!(pieces(&[10], Rows { offset: 10, count: 0 }).is_empty());
    }
}
