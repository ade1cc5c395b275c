//! Instructions of PUT and GET: the client moves the bytes, this says where to.
//!
//! Files travel through endpoints of this server shaped like Google's storage, the one scheme that
//! all drivers follow over plain HTTP. Drivers on the shared core get an endpoint and a token;
//! older ones insist on HTTPS there, so they get a signed URL per file.

use std::collections::{HashMap, VecDeque};

use frazil_common::UserError;
use frazil_engine::{BindValue, FileTransfer, TransferDirection};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::storage::{StageClaims, bucket};
use crate::state::ServerState;

/// Seconds a file token works. Clients ask for a new one when it has expired.
const TOKEN_SECONDS: i64 = 3600;
/// Files above this many bytes would be sent in parts, which the endpoints do not take.
const PART_THRESHOLD: u64 = 1 << 50;

const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Who gets the instructions.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    pub session_id: i64,
    /// Built on the shared driver core.
    pub universal: bool,
    /// The driver made the PUT itself and will not repeat it for each file.
    pub direct_upload: bool,
    /// Base of the URLs, without a trailing slash.
    pub base_url: &'a str,
}

/// Adds the transfer's keys to the `data` of an answer.
///
/// # Errors
/// For uploads that the client has no way to name its files in.
pub fn describe(
    state: &ServerState,
    client: &Client<'_>,
    files: &FileTransfer,
    data: &mut Map<String, Value>,
) -> Result<(), UserError> {
    let mut entries = match files.direction {
        TransferDirection::Upload => json!({
            "command": "UPLOAD",
            "autoCompress": files.auto_compress,
            "sourceCompression": files.source_compression,
            "encryptionMaterial": null,
        }),
        TransferDirection::Download => json!({
            "command": "DOWNLOAD",
            "localLocation": files.local_directory,
            "encryptionMaterial": [],
            "autoCompress": false,
            "sourceCompression": "none",
        }),
    };
    entries["src_locations"] = json!(files.sources);
    entries["overwrite"] = json!(files.overwrite);
    entries["parallel"] = json!(files.parallel);
    // The shared driver core would send parts, which the endpoints do not take.
    let threshold = files.threshold.filter(|_| !client.universal).unwrap_or(PART_THRESHOLD);
    entries["threshold"] = json!(threshold);
    entries["stageInfo"] = stage_info(state, client, files)?;
    if files.direction == TransferDirection::Download && !client.universal {
        let urls: Vec<String> =
            files.sources.iter().map(|path| signed_url(state, client, files, path)).collect();
        entries["presignedUrls"] = json!(urls);
    }
    if let Value::Object(entries) = entries {
        data.extend(entries);
    }
    Ok(())
}

fn stage_info(
    state: &ServerState,
    client: &Client<'_>,
    files: &FileTransfer,
) -> Result<Value, UserError> {
    let upload = files.direction == TransferDirection::Upload;
    // Sources of a download are paths below the stage, so its location is the stage itself.
    let directory = if upload { files.stage_path.as_str() } else { "" };
    let mut info = json!({
        "locationType": "GCS",
        "location": format!("{}/{directory}", bucket(files.stage_id)),
        "path": directory,
        "region": "",
        "storageAccount": null,
        "isClientSideEncrypted": false,
        "creds": {},
        "presignedUrl": null,
    });
    if client.universal {
        let claims = StageClaims {
            stage_id: files.stage_id,
            session_id: client.session_id,
            path: files.stage_path.clone(),
            exact: false,
            write: upload,
            keep_existing: false,
            name_gzip: false,
        };
        info["creds"] = json!({"GCS_ACCESS_TOKEN": state.signer.sign(claims, TOKEN_SECONDS)});
        info["endPoint"] = json!(format!("{}/storage", client.base_url));
    } else if upload && let [source] = files.sources.as_slice() {
        let name = source.rsplit(['/', '\\']).next().unwrap_or(source);
        if client.direct_upload && name.contains(['*', '?', '[']) {
            return Err(UserError::unsupported(format!(
                "direct upload of the pattern '{name}'; run it as a PUT statement, or upload the \
                 files one by one"
            )));
        }
        // A PUT statement is repeated for each file, under the name it will have on the stage.
        let path = format!("{}{name}", files.stage_path);
        info["presignedUrl"] = json!(signed_url(state, client, files, &path));
    }
    Ok(info)
}

/// A URL that reads or writes exactly one file.
fn signed_url(
    state: &ServerState,
    client: &Client<'_>,
    files: &FileTransfer,
    path: &str,
) -> String {
    let upload = files.direction == TransferDirection::Upload;
    let claims = StageClaims {
        stage_id: files.stage_id,
        session_id: client.session_id,
        path: path.to_string(),
        exact: true,
        write: upload,
        keep_existing: upload && !files.overwrite,
        name_gzip: upload && client.direct_upload && files.auto_compress,
    };
    let token = state.signer.sign(claims, TOKEN_SECONDS);
    let path = utf8_percent_encode(path, PATH);
    format!("{}/storage/{}/{path}?token={token}", client.base_url, bucket(files.stage_id))
}

/// Binds of recent PUT statements.
///
/// Older drivers repeat a PUT once per file to get its signed URL, with the file's name in place of
/// the pattern, but leave out the binds the statement had. The repeat takes those of the original.
#[derive(Default)]
pub struct PutBinds {
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    binds: HashMap<(i64, String), Vec<BindValue>>,
    order: VecDeque<(i64, String)>,
}

const RECENT_MAX: usize = 256;

impl PutBinds {
    /// Remembers the binds of a PUT, or fills in those that a repeated PUT lacks.
    pub fn complete(&self, session_id: i64, text: &str, binds: &mut Vec<BindValue>) {
        let Some(shape) = put_shape(text) else { return };
        if !shape.contains('?') {
            return;
        }
        let key = (session_id, shape);
        let mut recent = self.recent.lock();
        if binds.is_empty() {
            if let Some(found) = recent.binds.get(&key) {
                *binds = found.clone();
            }
            return;
        }
        if recent.binds.insert(key.clone(), binds.clone()).is_none() {
            recent.order.push_back(key);
        }
        while recent.order.len() > RECENT_MAX {
            if let Some(oldest) = recent.order.pop_front() {
                recent.binds.remove(&oldest);
            }
        }
    }
}

/// The text of a PUT without its local path; `None` for other statements.
fn put_shape(text: &str) -> Option<String> {
    let start = text.find("file://")?;
    let head = &text[..start];
    if !head.split(|c: char| !c.is_ascii_alphabetic()).any(|word| word.eq_ignore_ascii_case("PUT"))
    {
        return None;
    }
    let rest = &text[start..];
    let end = if head.ends_with('\'') {
        rest.find('\'')
    } else {
        rest.find(|c: char| c.is_whitespace() || c == ';')
    };
    Some(format!("{head}{}", &rest[end.unwrap_or(rest.len())..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(text: &str) -> BindValue {
        BindValue {
            type_name: "TEXT".into(),
            values: vec![Some(text.to_string())],
            is_array: false,
        }
    }

    #[test]
    fn a_repeated_put_takes_the_binds_of_the_first() {
        let recent = PutBinds::default();
        let mut binds = vec![bind("@s")];
        recent.complete(1, "PUT 'file:///tmp/x/*' ? parallel=4", &mut binds);
        let mut repeated = Vec::new();
        recent.complete(1, "PUT 'file://a.csv.gz' ? parallel=4", &mut repeated);
        assert_eq!(repeated.len(), 1);
        assert_eq!(repeated[0].values, binds[0].values);
        let mut other_session = Vec::new();
        recent.complete(2, "PUT 'file://a.csv.gz' ? parallel=4", &mut other_session);
        assert!(other_session.is_empty());
    }

    #[test]
    fn other_statements_are_left_alone() {
        assert_eq!(put_shape("SELECT 'file://x' WHERE a = ?"), None);
        assert_eq!(put_shape("put file:///a b.csv @s").as_deref(), Some("put  b.csv @s"));
    }
}
