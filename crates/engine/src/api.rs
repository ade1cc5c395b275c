//! What the doors see of the engine: requests in, stored results out.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use frazil_common::{Column, UserError};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::limits::Limits;
use crate::run::spool::Spool;
use crate::session::arrival::Arrival;

/// How to open an engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    pub data_dir: PathBuf,
    /// Bytes that all running statements may hold together; beyond it operators spill or fail.
    pub memory_limit: Option<usize>,
    /// Worker threads for queries and training; the number of cores if not given.
    pub threads: Option<usize>,
    /// Administrator made when the data directory is first opened.
    pub bootstrap_user: String,
    /// Its password; one is generated when none is given.
    pub bootstrap_password: Option<String>,
    /// What CURRENT_REGION answers, such as `EU_NORTH`; without it the function is refused.
    pub region: Option<String>,
    /// What CURRENT_ORGANIZATION_NAME answers; without it the function is refused.
    pub organization: Option<String>,
    /// How much all users together may take.
    pub limits: Limits,
}

impl EngineSettings {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        EngineSettings {
            data_dir: data_dir.into(),
            memory_limit: None,
            threads: None,
            bootstrap_user: "admin".to_string(),
            bootstrap_password: None,
            region: None,
            organization: None,
            limits: Limits::default(),
        }
    }
}

/// What a client proves its identity with.
#[derive(Clone)]
pub enum Credential {
    /// A password; a programmatic access token is taken here too.
    Password(String),
    /// A programmatic access token.
    AccessToken(String),
    /// A token signed with the user's private key (RS256 JWT).
    KeyPair(String),
    /// The embedded administrator: who can open the data directory owns it.
    Embedded,
}

#[derive(Clone)]
pub struct LoginRequest {
    pub user: String,
    pub credential: Credential,
    /// Where the client connects from, for the login history.
    pub client_ip: Option<String>,
    pub database: Option<String>,
    pub schema: Option<String>,
    pub warehouse: Option<String>,
    pub role: Option<String>,
    /// SESSION_PARAMETERS of the login.
    pub parameters: HashMap<String, serde_json::Value>,
    /// Such as "PythonConnector 4.8.1".
    pub client: String,
}

impl LoginRequest {
    /// A login that leaves the rest to the user's defaults.
    pub fn new(user: impl Into<String>, credential: Credential) -> Self {
        LoginRequest {
            user: user.into(),
            credential,
            client_ip: None,
            database: None,
            schema: None,
            warehouse: None,
            role: None,
            parameters: HashMap::new(),
            client: String::new(),
        }
    }
}

/// Bearer secrets of a session. Only their digests are stored.
#[derive(Clone)]
pub struct SessionTokens {
    pub session_token: String,
    pub session_seconds: u64,
    pub master_token: String,
    pub master_seconds: u64,
}

/// The session's current objects, reported after each statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionContext {
    pub user: String,
    pub database: Option<String>,
    pub schema: Option<String>,
    pub warehouse: Option<String>,
    pub role: String,
}

/// One bind variable as the wire carries it (types and texts of the wire protocol, section 5.6).
#[derive(Debug, Clone)]
pub struct BindValue {
    /// FIXED, TEXT, REAL, BOOLEAN, DATE, TIME, TIMESTAMP_NTZ, TIMESTAMP_LTZ, TIMESTAMP_TZ, BINARY, ANY.
    pub type_name: String,
    /// One value, or one per row of an array bind.
    pub values: Vec<Option<String>>,
    pub is_array: bool,
}

/// One request to run SQL text.
#[derive(Debug, Clone)]
pub struct StatementRequest {
    pub text: String,
    pub query_id: Uuid,
    /// The client's id of the request, the same when it sends the request again.
    pub request_id: Option<Uuid>,
    /// In position order: `?` number 1 first.
    pub binds: Vec<BindValue>,
    /// Stage path (`@stage/path`) of CSV files with the values of an array bind.
    pub bind_stage: Option<String>,
    /// Plan only: columns, no rows.
    pub describe_only: bool,
    /// Statement parameters; unknown ones are ignored.
    pub parameters: HashMap<String, serde_json::Value>,
    /// Number of statements allowed in the text; 0 any, absent one.
    pub multi_statement_count: Option<u32>,
    /// The client does not wait: it reads the result later.
    pub detached: bool,
    /// The client's own doing, which nobody asked for in these words.
    pub client_generated: bool,
    /// What was read when it came in.
    pub arrival: Option<Arrival>,
    pub cancel: CancellationToken,
}

impl StatementRequest {
    /// One statement, no binds.
    pub fn new(text: impl Into<String>) -> Self {
        StatementRequest {
            text: text.into(),
            query_id: Uuid::now_v7(),
            request_id: None,
            binds: Vec::new(),
            bind_stage: None,
            describe_only: false,
            parameters: HashMap::new(),
            multi_statement_count: None,
            detached: false,
            client_generated: false,
            arrival: None,
            cancel: CancellationToken::new(),
        }
    }
}

/// Instructions for a client that moves the bytes itself (PUT and GET).
#[derive(Debug, Clone)]
pub struct FileTransfer {
    pub direction: TransferDirection,
    pub stage_id: i64,
    /// Path below the stage, no leading slash; a directory ends with `/` or is empty.
    pub stage_path: String,
    /// PUT: the local pattern as written, `file://` removed. GET: stage paths of the files.
    pub sources: Vec<String>,
    /// GET: byte sizes matching `sources`.
    pub sizes: Vec<u64>,
    /// GET: the local directory as written, `file://` removed.
    pub local_directory: Option<String>,
    pub auto_compress: bool,
    /// `auto_detect`, `none`, `gzip` …
    pub source_compression: String,
    pub overwrite: bool,
    pub parallel: u32,
    /// PUT: bytes above which the client sends a file in parts, where the statement says so.
    pub threshold: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferDirection {
    Upload,
    Download,
}

/// A finished statement's answer, kept for RESULT_SCAN and chunk reads.
#[derive(Debug)]
pub struct StoredResult {
    pub query_id: Uuid,
    /// Snowflake's statement type number (wire protocol, section 5.3).
    pub statement_type_id: u32,
    /// `rows` holds exactly these columns, in the Arrow types of `SqlType::to_arrow`.
    pub columns: Vec<Column>,
    pub rows: Spool,
    pub context: SessionContext,
    pub transfer: Option<FileTransfer>,
    /// Results of a multi-statement request: id and statement type of each.
    pub children: Vec<(Uuid, u32)>,
    /// Who was shown it, and may read it again.
    pub owner: ResultReader,
    pub number_of_binds: u32,
    pub array_bind_supported: bool,
    /// SHOW, DDL and DML answers, which clients expect in JSON.
    pub prefers_json: bool,
    /// Rows changed by DML; None for everything else.
    pub rows_affected: Option<u64>,
    /// What those changes were; None where no row was touched.
    pub changes: Option<Changes>,
    /// The session that it answers, where its rows hold a secret: that session alone is shown them, once.
    pub secret_of: Option<i64>,
    pub finished_micros: i64,
}

/// Who asks for a result, or was shown one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultReader {
    /// Names are given again to other users, this number is not.
    pub user_id: i64,
    pub user: String,
    /// The one role that the session or token is held to, by its id: its name may be given to another.
    pub restricted_role_id: Option<i64>,
}

impl ResultReader {
    /// Whether these may read again what that owner was shown, an error too. Who is held to one role
    /// reads what sessions held to that role were shown.
    pub fn may_read(&self, owner: &ResultReader) -> bool {
        let held = self.restricted_role_id.is_some();
        self.user_id == owner.user_id
            && (!held || self.restricted_role_id == owner.restricted_role_id)
    }
}

impl StoredResult {
    pub fn total_rows(&self) -> u64 {
        self.rows.total_rows()
    }
}

/// Rows changed by a statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
}

/// Where a statement stands.
#[derive(Debug, Clone)]
pub enum QueryStatus {
    Running,
    Success,
    Failed(UserError),
}

/// What is still known of a statement whose result is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastStatement {
    pub end: PastEnd,
    /// None where the query history has no record of it.
    pub started_micros: Option<i64>,
    pub error_number: Option<i64>,
    pub error_message: Option<String>,
}

/// How a statement ended whose result is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastEnd {
    Success,
    Failed,
    Cancelled,
    /// With the server that ran it: nothing tells that it was done.
    Lost,
}

/// Rows to score at an endpoint: one vector per row, in column order.
#[derive(Debug, Clone)]
pub struct EndpointRows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<serde_json::Value>>,
}

#[derive(Debug, Clone)]
pub struct EndpointReply {
    pub model: String,
    pub version: String,
    pub predictions: Vec<serde_json::Value>,
}

/// The files of internal stages, by stage id and path below it.
#[async_trait::async_trait]
pub trait StageBytes: Send + Sync {
    /// Writes a whole file; the bytes are on disk when it returns.
    async fn put(
        &self,
        stage_id: i64,
        path: &str,
        body: futures::stream::BoxStream<'static, Result<bytes::Bytes, std::io::Error>>,
    ) -> Result<u64, UserError>;
    async fn get(
        &self,
        stage_id: i64,
        path: &str,
    ) -> Result<futures::stream::BoxStream<'static, Result<bytes::Bytes, std::io::Error>>, UserError>;
    async fn head(&self, stage_id: i64, path: &str) -> Result<Option<StageFile>, UserError>;
    async fn list(&self, stage_id: i64, prefix: &str) -> Result<Vec<StageFile>, UserError>;
    async fn delete(&self, stage_id: i64, path: &str) -> Result<(), UserError>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageFile {
    /// Path below the stage.
    pub path: String,
    pub size: u64,
    /// Hex MD5, or the store's tag where no digest is kept.
    pub digest: String,
    pub modified_micros: i64,
}

/// Shared handle to the stage files.
pub type StageStore = Arc<dyn StageBytes>;
