//! A table's data files at one snapshot.

use std::sync::Arc;

use frazil_common::SnapshotId;

use crate::changes::ColumnStatistics;

/// A visible data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    pub file_id: i64,
    pub begin_snapshot: SnapshotId,
    /// Relative to the table's folder unless it starts with a slash.
    pub path: String,
    pub rows: i64,
    pub bytes: i64,
    pub footer_bytes: i64,
    /// Row id of the first row, for files that do not bring their own.
    pub row_id_start: Option<i64>,
    /// Newest snapshot among the rows of a file that was merged from several; such a file shows
    /// only the rows up to the snapshot read.
    pub partial_max: Option<SnapshotId>,
    /// Name mapping of a file that has no field ids.
    pub mapping_id: Option<i64>,
    pub encrypted: bool,
    pub statistics: Vec<ColumnStatistics>,
}

/// The delete file of a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteFileEntry {
    pub delete_file_id: i64,
    pub data_file_id: i64,
    /// Relative to the table's folder unless it starts with a slash.
    pub path: String,
    pub rows: i64,
    pub bytes: i64,
    pub footer_bytes: i64,
    /// Newest snapshot among its rows, where they carry their snapshots.
    pub partial_max: Option<SnapshotId>,
}

/// A visible file with what is deleted from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleFile {
    pub file: Arc<FileEntry>,
    pub delete_file: Option<Arc<DeleteFileEntry>>,
    /// Positions deleted by catalog rows, ascending.
    pub inlined_deletes: Arc<Vec<i64>>,
}

/// Rows that another client keeps in the catalog database instead of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct InlinedRows {
    /// The catalog database's table that holds them.
    pub inlined_table: String,
    pub column_names: Vec<String>,
    /// Row id, then the values as SQLite holds them.
    pub rows: Vec<(i64, Vec<InlinedValue>)>,
}

/// A value as the catalog database holds it.
#[derive(Debug, Clone, PartialEq)]
pub enum InlinedValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// All files of a table at a snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileSet {
    pub files: Vec<VisibleFile>,
    /// Inlined rows of other clients; empty for tables only Frazil wrote.
    pub inlined: Vec<Arc<InlinedRows>>,
}
