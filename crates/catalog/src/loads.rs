//! What COPY INTO has loaded into a table: one record per file, committed with its rows.

use frazil_common::SnapshotId;

/// How long a load is remembered, in days (Snowflake's load metadata).
pub const LOAD_METADATA_DAYS: i64 = 64;

/// How the load of a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadStatus {
    Loaded,
    /// Some rows had errors and were left out.
    PartiallyLoaded,
    /// No row was taken; the file may be loaded again.
    LoadFailed,
}

impl LoadStatus {
    /// The word COPY answers with.
    pub fn as_str(self) -> &'static str {
        match self {
            LoadStatus::Loaded => "LOADED",
            LoadStatus::PartiallyLoaded => "PARTIALLY_LOADED",
            LoadStatus::LoadFailed => "LOAD_FAILED",
        }
    }

    /// The status of that word.
    pub fn parse(word: &str) -> Option<LoadStatus> {
        [LoadStatus::Loaded, LoadStatus::PartiallyLoaded, LoadStatus::LoadFailed]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// One file's load into one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLoad {
    /// `<stage id>/<path>`: what identifies the file beside its tag.
    pub location: String,
    /// The stage as shown to people, such as `@DB.S.ST/`.
    pub stage: String,
    /// Path below the stage.
    pub path: String,
    /// The file's content tag when it was loaded.
    pub etag: String,
    /// Size of the file in bytes.
    pub bytes: i64,
    /// Microseconds since 1970 UTC.
    pub loaded_on: i64,
    pub status: LoadStatus,
    pub rows_parsed: i64,
    pub rows_loaded: i64,
    pub error_limit: i64,
    pub error_count: i64,
    pub first_error: Option<String>,
    pub first_error_line: Option<i64>,
    pub first_error_character: Option<i64>,
    pub first_error_column: Option<String>,
    /// Loaded with FORCE: another load of the same file does not stand against it.
    pub forced: bool,
    pub user: String,
    pub query_id: String,
    /// The first errors, for VALIDATE. Empty when read back with the load.
    pub errors: Vec<LoadError>,
}

/// A row that a load left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    pub message: String,
    /// The file as COPY's answer names it.
    pub file: String,
    pub line: i64,
    pub character: Option<i64>,
    pub byte_offset: i64,
    /// `parsing` or `conversion`.
    pub category: String,
    pub code: i64,
    pub sql_state: String,
    pub column: Option<String>,
    pub row: i64,
    pub start_line: i64,
    pub record: Option<String>,
}

impl FileLoad {
    /// Whether rows of exactly this file are in the table.
    pub fn covers(&self, location: &str, etag: &str) -> bool {
        self.status != LoadStatus::LoadFailed && self.location == location && self.etag == etag
    }
}

/// A committed load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedLoad {
    pub table_id: i64,
    /// The snapshot it was committed in.
    pub snapshot: SnapshotId,
    /// The table was truncated since: the file may be loaded again.
    pub forgotten: bool,
    pub load: FileLoad,
}

/// What a transaction adds to and takes from a table's load metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableLoads {
    /// Local (negative) for a table this transaction makes.
    pub table_id: i64,
    /// Table name as SQL text, for messages.
    pub table_name: String,
    /// Loads committed up to this snapshot are forgotten (TRUNCATE).
    pub forget_until: Option<SnapshotId>,
    pub files: Vec<FileLoad>,
}
