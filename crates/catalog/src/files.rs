//! A table's data files at one snapshot.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use frazil_common::SnapshotId;

use crate::changes::ColumnStatistics;
use crate::objects::ColumnInfo;
use crate::partitioning::FilePartition;
use crate::sqlite::inlined_values::{Value, decode};

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
    /// What it says; none where that is of a kind that is not understood.
    pub names: Option<Arc<NameMapping>>,
    pub encrypted: bool,
    /// What the rows have in common, where the table was parted when they were written.
    pub partition: Option<Arc<FilePartition>>,
    pub statistics: Vec<ColumnStatistics>,
}

/// Which columns the names in a file without field ids stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameMapping {
    /// Name in the file, and the column's field id.
    pub columns: Vec<(String, i64)>,
}

impl NameMapping {
    /// The field id of the column that a name in the file stands for.
    pub fn field_id(&self, name: &str) -> Option<i64> {
        self.columns.iter().find(|(source, _)| source == name).map(|(_, id)| *id)
    }
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

/// A table of the catalog database that holds rows of one version of a lake table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlinedTable {
    pub name: String,
    /// Schema version whose columns it has.
    pub schema_version: i64,
    /// Its columns in order, with the types of their storage.
    pub columns: Vec<ColumnInfo>,
}

/// Rows kept in the catalog database instead of a file. Immutable.
#[derive(Debug, Clone, PartialEq)]
pub struct InlinedBatch {
    pub table: Arc<InlinedTable>,
    /// The columns of `table`, in the Arrow types of [`crate::physical::inlined_type`]; as texts where some
    /// value is none of the type.
    pub rows: RecordBatch,
    pub row_ids: Vec<i64>,
    /// Snapshot each row began at.
    pub begins: Vec<SnapshotId>,
}

impl InlinedBatch {
    /// A column that is kept as texts, in the type it should have; rows `gone` are NULL. None where some
    /// other value is none of the type.
    pub fn decoded(&self, column: usize, gone: &[i64]) -> Option<ArrayRef> {
        let data_type = self.table.columns.get(column)?.inlined_type()?;
        let texts = self.rows.columns().get(column)?.as_string_view_opt()?;
        let value = |(row, text): (usize, Option<&str>)| match text {
            Some(text) if gone.binary_search(&(row as i64)).is_err() => {
                Value::Text(text.to_string())
            }
            _ => Value::Null,
        };
        decode(texts.iter().enumerate().map(value).collect(), &data_type).ok()
    }
}

/// Inlined rows of which some may be gone.
#[derive(Debug, Clone, PartialEq)]
pub struct InlinedPart {
    pub batch: Arc<InlinedBatch>,
    /// Positions of deleted rows, ascending.
    pub deleted: Arc<Vec<i64>>,
}

/// Where and when rows of a data file were deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteHistory {
    /// Delete files, oldest first, with the snapshots they were current from.
    pub delete_files: Vec<(SnapshotId, Arc<DeleteFileEntry>)>,
    /// Positions deleted by catalog rows, with their snapshots.
    pub inlined: Vec<(i64, SnapshotId)>,
}

/// All rows a table ever had in an inlined table and that a snapshot may still show.
#[derive(Debug, Clone, PartialEq)]
pub struct InlinedHistory {
    pub batch: InlinedBatch,
    /// Snapshot each row ended at, where it did.
    pub ends: Vec<Option<SnapshotId>>,
}

/// All rows of a table at a snapshot: its files, and the rows in the catalog itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileSet {
    pub files: Vec<VisibleFile>,
    pub inlined: Vec<InlinedPart>,
    /// The catalog database's tables that hold, or may get, inlined rows.
    pub inlined_tables: Vec<Arc<InlinedTable>>,
    /// Snapshot of the last rewrite that moved rows without changing them; sets of different
    /// layouts are not built on each other.
    pub layout: SnapshotId,
}
