//! A table as a statement sees it: its files, and the rows deleted from them.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::{concat_batches, filter_record_batch};
use frazil_catalog::changes::ColumnStatistics;
use frazil_catalog::files::{InlinedPart, NameMapping};
use frazil_catalog::{FilePartition, TableInfo};
use frazil_common::SnapshotId;
use object_store::path::Path;

use crate::error::{LakeError, Result};

/// Names a data file in a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKey {
    /// By catalog id.
    Committed(i64),
    /// Written by this transaction, or a temporary table's.
    Staged(uuid::Uuid),
}

/// A file of the catalog by id and name, for messages.
pub fn described(id: i64, name: &str) -> String {
    format!("{id} ('{}')", file_name(name))
}

fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
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
    /// What the rows have in common, in a table that is partitioned.
    pub partition: Option<Arc<FilePartition>>,
    pub statistics: Vec<ColumnStatistics>,
    /// Which columns its names stand for, where it has no field ids.
    pub names: Option<Arc<NameMapping>>,
    /// Positions deleted from the file, ascending, without repeats.
    pub deleted: Arc<Vec<i64>>,
    /// Catalog id of the file's delete file.
    pub delete_file: Option<i64>,
    /// Snapshot that made it visible; 0 while it is staged.
    pub begun: SnapshotId,
}

impl DataFile {
    /// Id and name, for messages: where the file lies is nobody's business but the doctor's.
    pub fn described(&self) -> String {
        match self.key {
            FileKey::Committed(id) => described(id, &self.name),
            FileKey::Staged(_) => format!("'{}' of an open transaction", file_name(&self.name)),
        }
    }

    /// Whether it was written here: what other clients tell of a file's columns may be looser, or not
    /// told at all.
    pub fn is_own(&self) -> bool {
        let named = self.name.starts_with("frazil-") && self.names.is_none();
        named || matches!(self.key, FileKey::Staged(_))
    }

    /// Rows that are left.
    pub fn live_rows(&self) -> u64 {
        self.rows.saturating_sub(self.deleted.len() as u64)
    }
}

/// Few rows that lie in no file.
#[derive(Debug, Clone)]
pub enum RowChunk {
    /// In the catalog database.
    Committed(InlinedPart),
    /// Of an open transaction.
    Staged(StagedChunk),
}

/// Rows of an open transaction that will go into the catalog database.
#[derive(Debug, Clone)]
pub struct StagedChunk {
    pub key: uuid::Uuid,
    /// The table's columns in order, as the catalog keeps them.
    pub rows: RecordBatch,
    /// Ids of rows moved from elsewhere; rows without get theirs at commit.
    pub row_ids: Option<Arc<Vec<i64>>>,
    /// Positions deleted since, ascending.
    pub deleted: Arc<Vec<i64>>,
}

impl StagedChunk {
    /// The rows that are left, with their ids.
    pub fn live(&self) -> Result<(RecordBatch, Option<Vec<i64>>)> {
        let ids = self.row_ids.as_ref();
        if self.deleted.is_empty() {
            return Ok((self.rows.clone(), ids.map(|ids| ids.to_vec())));
        }
        let live = crate::scan::inlined::live_rows(self.rows.num_rows(), &self.deleted);
        let rows = filter_record_batch(&self.rows, &live)?;
        let kept = |ids: &Arc<Vec<i64>>| {
            let kept = ids.iter().zip(live.values()).filter(|(_, live)| *live);
            kept.map(|(id, _)| *id).collect()
        };
        Ok((rows, ids.map(kept)))
    }

    /// The rows left of several chunks, of which all or none have ids, as one.
    pub fn concat(chunks: &[&StagedChunk]) -> Result<StagedChunk> {
        let mut batches = Vec::with_capacity(chunks.len());
        let mut row_ids: Option<Vec<i64>> = None;
        for chunk in chunks {
            let (rows, ids) = chunk.live()?;
            batches.push(rows);
            if let Some(ids) = ids {
                row_ids.get_or_insert_default().extend(ids);
            }
        }
        let schema = batches.first().map(RecordBatch::schema);
        let schema = schema.ok_or_else(|| LakeError::Damaged("no rows to put together".into()))?;
        Ok(StagedChunk {
            key: uuid::Uuid::now_v7(),
            rows: concat_batches(&schema, &batches)?,
            row_ids: row_ids.map(Arc::new),
            deleted: Arc::default(),
        })
    }
}

impl RowChunk {
    /// All rows, the deleted ones too.
    pub fn rows(&self) -> &RecordBatch {
        match self {
            RowChunk::Committed(part) => &part.batch.rows,
            RowChunk::Staged(chunk) => &chunk.rows,
        }
    }

    /// Positions deleted, ascending.
    pub fn deleted(&self) -> &Arc<Vec<i64>> {
        match self {
            RowChunk::Committed(part) => &part.deleted,
            RowChunk::Staged(chunk) => &chunk.deleted,
        }
    }

    /// The row ids, where the rows have any yet.
    pub fn row_ids(&self) -> Option<&[i64]> {
        match self {
            RowChunk::Committed(part) => Some(&part.batch.row_ids),
            RowChunk::Staged(chunk) => chunk.row_ids.as_ref().map(|ids| ids.as_slice()),
        }
    }

    /// Rows that are left.
    pub fn live_rows(&self) -> u64 {
        (self.rows().num_rows() as u64).saturating_sub(self.deleted().len() as u64)
    }
}

/// A table at one snapshot, with a transaction's own changes. Immutable.
#[derive(Debug, Clone)]
pub struct TableVersion {
    pub table: Arc<TableInfo>,
    /// The snapshot read.
    pub snapshot: SnapshotId,
    /// `FILE_COLUMN` is the place in this list.
    pub files: Vec<DataFile>,
    /// Rows outside of files; their `FILE_COLUMN` follows the files'.
    pub chunks: Vec<RowChunk>,
}

impl TableVersion {
    /// Exact number of rows.
    pub fn row_count(&self) -> u64 {
        let chunks: u64 = self.chunks.iter().map(RowChunk::live_rows).sum();
        self.files.iter().map(DataFile::live_rows).sum::<u64>() + chunks
    }

    /// Bytes of all files.
    pub fn byte_count(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }
}
