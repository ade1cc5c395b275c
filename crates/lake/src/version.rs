//! A table as a statement sees it: its files, and the rows deleted from them.

use std::sync::Arc;

use frazil_catalog::TableInfo;
use frazil_catalog::changes::ColumnStatistics;
use frazil_catalog::files::InlinedRows;
use frazil_common::SnapshotId;
use object_store::path::Path;

/// Names a data file in a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKey {
    /// By catalog id.
    Committed(i64),
    /// Written by this transaction, or a temporary table's.
    Staged(uuid::Uuid),
}

/// A data file of a table version.
#[derive(Debug, Clone)]
pub struct DataFile {
    pub key: FileKey,
    pub path: Path,
    /// Path relative to the table's folder, where it lies there.
    pub name: String,
    pub rows: u64,
    pub bytes: u64,
    pub footer_bytes: u64,
    /// Row id of the first row, for rows that do not bring their own.
    pub row_id_start: i64,
    /// The rows bring their ids in a column of the file.
    pub keeps_row_ids: bool,
    pub statistics: Vec<ColumnStatistics>,
    /// Positions deleted from the file, ascending, without repeats.
    pub deleted: Arc<Vec<i64>>,
    /// Catalog id of the file's delete file.
    pub delete_file: Option<i64>,
}

impl DataFile {
    /// Rows that are left.
    pub fn live_rows(&self) -> u64 {
        self.rows.saturating_sub(self.deleted.len() as u64)
    }
}

/// A table at one snapshot, with a transaction's own changes. Immutable.
#[derive(Debug, Clone)]
pub struct TableVersion {
    pub table: Arc<TableInfo>,
    /// The snapshot read.
    pub snapshot: SnapshotId,
    /// `METADATA$FILE` is the place in this list.
    pub files: Vec<DataFile>,
    /// Rows other clients keep in the catalog; their `METADATA$FILE` follows the files'.
    pub inlined: Vec<Arc<InlinedRows>>,
}

impl TableVersion {
    /// Exact number of rows.
    pub fn row_count(&self) -> u64 {
        let inlined: usize = self.inlined.iter().map(|i| i.rows.len()).sum();
        self.files.iter().map(DataFile::live_rows).sum::<u64>() + inlined as u64
    }

    /// Bytes of all files.
    pub fn byte_count(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }
}
