//! The answer to a finished statement.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use frazil_common::UserError;
use frazil_engine::{Session, StoredResult};
use serde_json::{Map, Value, json};

use super::chunks::{CHUNK_SECONDS, ChunkClaims, Format, Rows, cells, split, write_all};
use super::errors::Failure;
use super::login::parameters;
use super::rowtype::row_types;
use super::wire::Envelope;
use super::{sessions, transfer};
use crate::state::ServerState;

/// Rows of so many bytes in memory are encoded in less time than a change of threads costs.
const LITTLE_BYTES: u64 = 16 << 10;

/// What a request says about its answer, beside the statement itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplyOptions {
    /// JSON rows were asked for by a parameter of this statement alone.
    pub json_requested: bool,
    /// The driver made the statement itself: a PUT will not be repeated for each file.
    pub direct_upload: bool,
    /// Its client has no session, and asks for the answer by the statement's id.
    pub by_handle: bool,
}

/// Whether a statement's own parameters ask for JSON rows.
pub fn asks_for_json(parameters: &HashMap<String, Value>) -> bool {
    parameters.iter().any(|(name, value)| {
        matches!(
            name.to_uppercase().as_str(),
            "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT" | "QUERY_RESULT_FORMAT"
        ) && is_json(value)
    })
}

fn is_json(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("JSON"))
}

/// The format a client gets: what it can read, what the session asks for, what the answer is.
fn format(session: &Session, result: &StoredResult, json_requested: bool) -> Format {
    let client = session.client();
    let own_parameter = match client.split_whitespace().next().unwrap_or_default() {
        // This driver reads JSON only.
        "JavaScript" => return Format::Json,
        "JDBC" => "JDBC_QUERY_RESULT_FORMAT",
        _ => "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT",
    };
    let asks = |name: &str| session.parameter(name).eq_ignore_ascii_case("JSON");
    let set = asks(own_parameter) || asks("QUERY_RESULT_FORMAT");
    if set || json_requested || result.prefers_json { Format::Json } else { Format::Arrow }
}

/// Answers with a finished statement's result: rows inline, the rest as chunk URLs.
///
/// # Errors
/// When the stored result cannot be read.
pub async fn respond(
    state: &Arc<ServerState>,
    session: &Arc<Session>,
    result: Arc<StoredResult>,
    options: ReplyOptions,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let base_url = state.base_url(headers);
    let mut data = common(session, &result);
    if let Some(files) = &result.transfer {
        let client = transfer::Client {
            session_id: session.id(),
            universal: sessions::is_universal(session.client()),
            direct_upload: options.direct_upload,
            base_url: &base_url,
        };
        transfer::describe(state, &client, files, &mut data)
            .map_err(|error| Failure::Statement(error, Some(result.query_id)))?;
    } else {
        let format = format(session, &result, options.json_requested);
        let (inline, chunks) = split(result.total_rows(), result.rows.bytes());
        let query_id = result.query_id;
        rows(&mut data, result, inline, format).await?;
        if !chunks.is_empty() {
            let entries: Vec<Value> = chunks
                .iter()
                .map(|rows| chunk(state, &base_url, query_id, *rows, format))
                .collect();
            data.insert("chunks".into(), Value::Array(entries));
            data.insert("chunkHeaders".into(), json!({}));
        }
    }
    Ok(axum::Json(Envelope::success(data)).into_response())
}

fn chunk(
    state: &ServerState,
    base_url: &str,
    query_id: uuid::Uuid,
    rows: Rows,
    format: Format,
) -> Value {
    let token = state
        .signer
        .sign(ChunkClaims { query_id: query_id.to_string(), rows, format }, CHUNK_SECONDS);
    // Sizes steer clients' prefetching only; the true ones are not known before conversion.
    let size = 8 << 20;
    json!({
        "url": format!("{base_url}/results/chunks/{token}"),
        "rowCount": rows.count,
        "uncompressedSize": size,
        "compressedSize": size,
    })
}

/// Everything but rows.
fn common(session: &Session, result: &StoredResult) -> Map<String, Value> {
    let mut data = Map::new();
    let context = &result.context;
    let entries = [
        ("queryId", json!(result.query_id.to_string())),
        ("statementTypeId", json!(result.statement_type_id)),
        ("parameters", json!(parameters(session))),
        ("rowtype", json!(row_types(&result.columns))),
        ("total", json!(result.total_rows())),
        ("returned", json!(result.total_rows())),
        ("finalDatabaseName", json!(context.database)),
        ("finalSchemaName", json!(context.schema)),
        ("finalWarehouseName", json!(context.warehouse)),
        ("finalRoleName", json!(context.role)),
        ("numberOfBinds", json!(result.number_of_binds)),
        ("arrayBindSupported", json!(result.array_bind_supported)),
        ("sqlState", json!("00000")),
        ("version", json!(1)),
        ("sendResultTime", json!(chrono::Utc::now().timestamp_millis())),
        ("queryResultFormat", json!("json")),
    ];
    data.extend(entries.into_iter().map(|(name, value)| (name.to_string(), value)));
    if let Some(changes) = result.changes {
        let stats = json!({
            "numRowsInserted": changes.inserted,
            "numRowsUpdated": changes.updated,
            "numRowsDeleted": changes.deleted,
            "numDmlDuplicates": 0,
        });
        data.insert("stats".into(), stats);
    }
    if !result.children.is_empty() {
        let list = |texts: Vec<String>| Value::String(texts.join(","));
        let ids = result.children.iter().map(|(id, _)| id.to_string()).collect();
        let types = result.children.iter().map(|(_, kind)| kind.to_string()).collect();
        data.insert("resultIds".into(), list(ids));
        data.insert("resultTypes".into(), list(types));
    }
    data
}

/// The inline rows. An empty Arrow result is an empty text: one driver crashes on a batch without
/// rows and another refuses a stream without batches.
async fn rows(
    data: &mut Map<String, Value>,
    result: Arc<StoredResult>,
    inline: Rows,
    format: Format,
) -> Result<(), Failure> {
    let little = result.rows.in_memory() && result.rows.bytes() <= LITTLE_BYTES;
    let encode = move || -> Result<_, UserError> {
        match format {
            Format::Arrow if inline.count == 0 => Ok(("rowsetBase64", json!(""))),
            Format::Arrow => {
                let bytes = write_all(&result, inline, format)?;
                Ok(("rowsetBase64", Value::String(STANDARD.encode(bytes))))
            }
            Format::Json => Ok(("rowset", json!(cells(&result, inline)?))),
        }
    };
    let (name, value) = match little {
        true => encode()?,
        false => tokio::task::spawn_blocking(encode).await.map_err(Failure::internal)??,
    };
    data.insert(name.into(), value);
    data.insert("queryResultFormat".into(), json!(format.as_str()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_by_parameter() {
        let with = |name: &str, value: &str| HashMap::from([(name.to_string(), json!(value))]);
        assert!(asks_for_json(&with("PYTHON_CONNECTOR_QUERY_RESULT_FORMAT", "json")));
        assert!(!asks_for_json(&with("PYTHON_CONNECTOR_QUERY_RESULT_FORMAT", "ARROW")));
        assert!(!asks_for_json(&with("QUERY_TAG", "JSON")));
    }
}
