//! What one transaction asks the catalog to commit.

use std::sync::Arc;

use arrow::array::RecordBatch;
use frazil_common::SnapshotId;

use crate::effects::AccountEffects;
use crate::loads::TableLoads;
use crate::objects::{DatabaseInfo, SchemaInfo, TableClone, TableInfo, ViewInfo};
use crate::partitioning::FilePartition;

/// A change of a definition. Ids below zero are local to the transaction; the commit gives the
/// lasting ones.
#[derive(Debug, Clone)]
pub enum CatalogChange {
    CreateDatabase(Arc<DatabaseInfo>),
    /// With all schemas, tables and views in it.
    DropDatabase(Arc<DatabaseInfo>),
    /// Name, comment or flags. A new name is part of the names of all that is in it.
    AlterDatabase {
        before: Arc<DatabaseInfo>,
        after: Arc<DatabaseInfo>,
    },
    /// Exchanges two names.
    SwapDatabases {
        first: Arc<DatabaseInfo>,
        second: Arc<DatabaseInfo>,
    },
    CreateSchema(Arc<SchemaInfo>),
    /// With all tables and views in it.
    DropSchema(Arc<SchemaInfo>),
    /// Name, comment or flags. A new name is part of the names of all that is in it.
    AlterSchema {
        before: Arc<SchemaInfo>,
        after: Arc<SchemaInfo>,
    },
    /// Exchanges two names.
    SwapSchemas {
        first: Arc<SchemaInfo>,
        second: Arc<SchemaInfo>,
    },
    CreateTable(Arc<TableInfo>),
    DropTable(Arc<TableInfo>),
    /// Creates a table from another's files.
    CloneTable(Arc<TableClone>),
    /// Brings back a table as its drop in snapshot `dropped_at` left it.
    UndropTable {
        table: Arc<TableInfo>,
        dropped_at: SnapshotId,
    },
    /// Brings back a schema with the tables and views that were dropped with it.
    UndropSchema {
        schema: Arc<SchemaInfo>,
        tables: Vec<Arc<TableInfo>>,
        views: Vec<Arc<ViewInfo>>,
        dropped_at: SnapshotId,
    },
    /// Brings back a database alone; its schemas are changes of their own.
    UndropDatabase {
        database: Arc<DatabaseInfo>,
        dropped_at: SnapshotId,
    },
    /// Any difference between the two is written: name, columns, comments.
    AlterTable {
        before: Arc<TableInfo>,
        after: Arc<TableInfo>,
    },
    /// Exchanges two names.
    SwapTables {
        first: Arc<TableInfo>,
        second: Arc<TableInfo>,
    },
    CreateView(Arc<ViewInfo>),
    DropView(Arc<ViewInfo>),
    AlterView {
        before: Arc<ViewInfo>,
        after: Arc<ViewInfo>,
    },
}

/// Statistics of one column in one file, values in DuckLake's text form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnStatistics {
    pub field_id: i64,
    pub bytes: i64,
    /// Values that are not NULL.
    pub value_count: i64,
    pub null_count: i64,
    pub min: Option<String>,
    pub max: Option<String>,
    /// For floats: whether a NaN is among the values.
    pub contains_nan: Option<bool>,
}

/// A written Parquet file that the commit makes visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDataFile {
    /// Relative to the table's folder.
    pub path: String,
    pub rows: i64,
    pub bytes: i64,
    pub footer_bytes: i64,
    /// Its rows were moved from other files and bring their row ids.
    pub keeps_row_ids: bool,
    /// What the rows have in common, in a table with partition keys.
    pub partition: Option<Arc<FilePartition>>,
    pub statistics: Vec<ColumnStatistics>,
}

/// Rows that the commit keeps in the catalog database.
#[derive(Debug, Clone, PartialEq)]
pub struct NewInlinedRows {
    /// The table's columns by name, in the types of [`crate::physical::inlined_type`].
    pub rows: RecordBatch,
    /// Ids of rows moved from elsewhere; none gives them new ones.
    pub row_ids: Option<Vec<i64>>,
    pub statistics: Vec<ColumnStatistics>,
}

/// Names a row in an inlined table: an updated row has the id of its former self.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InlinedRow {
    /// The catalog database's table.
    pub table: String,
    pub row_id: i64,
    /// Snapshot it began at.
    pub begin: SnapshotId,
}

/// A written Parquet file of deleted positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeleteFile {
    /// Relative to the table's folder.
    pub path: String,
    /// All positions in the file: those deleted before, and now.
    pub rows: i64,
    pub bytes: i64,
    pub footer_bytes: i64,
}

/// The file that deleted rows lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeleteTarget {
    /// A file that was visible before, by id.
    Committed(i64),
    /// A file this commit adds, by its place in `TableChange::added`.
    Added(usize),
}

/// Rows to delete from one data file.
#[derive(Debug, Clone)]
pub struct FileDelete {
    pub target: DeleteTarget,
    /// Positions deleted by this transaction, ascending.
    pub positions: Vec<i64>,
    /// The delete file that replaces the file's former one; none keeps the positions as catalog
    /// rows.
    pub delete_file: Option<NewDeleteFile>,
    /// The delete file that was merged into `delete_file`.
    pub replaces: Option<i64>,
}

/// What a transaction does to one table's rows.
#[derive(Debug, Clone)]
pub struct TableChange {
    /// Local (negative) for a table this transaction makes.
    pub table_id: i64,
    /// Table name as SQL text, for messages.
    pub table_name: String,
    /// Snapshot whose files the deletes were computed on; none when rows are only added.
    pub base: Option<SnapshotId>,
    /// `TableInfo::defined_at` the rows were made for; 0 for a table made here.
    pub defined_at: SnapshotId,
    pub added: Vec<NewDataFile>,
    pub inlined: Vec<NewInlinedRows>,
    pub deletes: Vec<FileDelete>,
    /// Files of which every row goes: they end at the new snapshot.
    pub ended_files: Vec<i64>,
    /// Inlined rows to end.
    pub ended_inlined_rows: Vec<InlinedRow>,
}

/// A file of rows that were elsewhere, each with its row id and the snapshot it began at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelocatedFile {
    pub file: NewDataFile,
    /// Lowest row id in the file.
    pub row_id_start: i64,
    /// Snapshots at which the first and the last of its rows began.
    pub begin: SnapshotId,
    pub newest: SnapshotId,
    /// The rows in it that were deleted again, each with the snapshot it ended at; with the
    /// first and the last of these.
    pub deleted: Option<(NewDeleteFile, SnapshotId, SnapshotId)>,
    /// Row id and begin of each row, where they came from the catalog: rows that ended while
    /// they were moved are found by these.
    pub rows: Vec<(i64, SnapshotId)>,
}

/// Rows of one table moved to new files, unchanged at every snapshot.
#[derive(Debug, Clone)]
pub struct Relocation {
    pub table_id: i64,
    /// Table name as SQL text, for messages.
    pub table_name: String,
    /// The newest snapshot whose rows were moved.
    pub base: SnapshotId,
    pub added: Vec<RelocatedFile>,
    /// Inlined tables of which all rows up to `base` were moved.
    pub flushed: Vec<String>,
    /// Data files of which all rows were moved.
    pub replaced: Vec<i64>,
}

/// What is left of a table's past.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// The oldest snapshot that shows all rows it did,
    pub since: SnapshotId,
    /// and older ones that still do, ascending.
    pub kept: Vec<SnapshotId>,
}

impl Past {
    /// Whether a snapshot shows all rows it did.
    pub fn is_whole_at(&self, snapshot: SnapshotId) -> bool {
        snapshot >= self.since || self.kept.contains(&snapshot)
    }
}

/// What an expiry removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    pub snapshots: u64,
    /// Data and delete files that no snapshot shows any more.
    pub files: u64,
}

/// Who commits and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitMeta {
    /// The committing statement.
    pub query_id: Option<String>,
    /// Statements whose changes the commit holds; `query_id` need not be repeated.
    pub statements: Vec<String>,
    pub user: Option<String>,
    pub message: Option<String>,
}

/// One catalog transaction.
#[derive(Debug, Clone, Default)]
pub struct CommitRequest {
    /// Snapshot the definitions in `changes` were read at.
    pub base: SnapshotId,
    pub changes: Vec<CatalogChange>,
    pub tables: Vec<TableChange>,
    /// Load metadata of COPY INTO, by table.
    pub loads: Vec<TableLoads>,
    /// Rows moved without being changed.
    pub relocations: Vec<Relocation>,
    /// Owners and grants that come and go with the definitions.
    pub account: AccountEffects,
    pub meta: CommitMeta,
}

/// What a commit made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitOutcome {
    pub snapshot: SnapshotId,
    /// Lasting ids for the local ones.
    pub ids: std::collections::HashMap<i64, i64>,
    /// Two versions of the schema, of which the second came with this commit, where they say the same.
    pub same_definitions: Option<(i64, i64)>,
}
