//! Databases, schemas, tables and views as the catalog describes them.

use std::sync::Arc;

use frazil_common::{Column, QualifiedName, SnapshotId, SqlType};
use serde::{Deserialize, Serialize};

use crate::defaults::DucklakeDefault;
use crate::foreign_views::ForeignView;
use crate::partitioning::Partitioning;

/// Database under which DuckLake schemas without a dot in their name appear.
pub const EXTERNAL_DATABASE: &str = "EXTERNAL";

/// A database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// Never used again. Negative while the transaction that makes it is open; -0 for EXTERNAL.
    pub database_id: i64,
    pub name: String,
    pub comment: Option<String>,
    pub transient: bool,
    /// Own DATA_RETENTION_TIME_IN_DAYS; none inherits.
    pub retention_days: Option<u16>,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_micros: i64,
}

/// A schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaInfo {
    /// Never used again. Negative while the transaction that makes it is open.
    pub schema_id: i64,
    pub database: String,
    pub name: String,
    /// DuckLake's name of it: `DB.S`.
    pub ducklake_name: String,
    pub uuid: String,
    /// Folder of its tables; relative to the data folder unless it starts with a slash.
    pub path: String,
    pub comment: Option<String>,
    pub transient: bool,
    /// Own DATA_RETENTION_TIME_IN_DAYS; none inherits.
    pub retention_days: Option<u16>,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_micros: i64,
}

impl SchemaInfo {
    /// The schema under another one's name.
    pub fn named_as(&self, other: &SchemaInfo) -> SchemaInfo {
        SchemaInfo {
            database: other.database.clone(),
            name: other.name.clone(),
            ducklake_name: other.ducklake_name.clone(),
            ..self.clone()
        }
    }
}

/// How long a table lives and what protects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum TableKind {
    #[default]
    Permanent,
    Transient,
    /// Belongs to one session; never in the catalog database.
    Temporary,
}

impl TableKind {
    /// Snowflake's word in SHOW TABLES.
    pub fn as_str(self) -> &'static str {
        match self {
            TableKind::Permanent => "TABLE",
            TableKind::Transient => "TRANSIENT",
            TableKind::Temporary => "TEMPORARY",
        }
    }
}

/// A column that numbers its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoincrement {
    /// The durable counter behind it; see `Catalog::next_values`.
    pub sequence_id: i64,
    pub start: i64,
    pub step: i64,
}

/// A nested column: a struct's field or a list's element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildColumn {
    pub field_id: i64,
    pub name: String,
    pub physical_type: String,
    /// Value of rows written before the field was added, in DuckLake's text form.
    pub initial_default: Option<String>,
    /// Columns nested in this one, which other clients' columns alone have.
    pub children: Vec<ChildColumn>,
}

impl ChildColumn {
    /// A nested column without columns of its own.
    pub fn new(field_id: i64, name: impl Into<String>, physical_type: impl Into<String>) -> Self {
        ChildColumn {
            field_id,
            name: name.into(),
            physical_type: physical_type.into(),
            initial_default: None,
            children: Vec::new(),
        }
    }

    /// The field ids of this column and of all that are nested in it.
    pub fn field_ids(&self) -> Vec<i64> {
        let nested = self.children.iter().flat_map(ChildColumn::field_ids);
        std::iter::once(self.field_id).chain(nested).collect()
    }
}

/// A table's column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Parquet field id; unique in the table's whole life. 0 until the catalog assigned one.
    pub field_id: i64,
    pub name: String,
    pub sql_type: SqlType,
    pub nullable: bool,
    /// Default as SQL text.
    pub default: Option<String>,
    /// The default as other clients have it.
    pub ducklake_default: Option<DucklakeDefault>,
    /// `default` is the text of another client's expression, which is not understood here.
    pub foreign_default: bool,
    pub autoincrement: Option<Autoincrement>,
    pub comment: Option<String>,
    /// DuckLake type, such as `int64`.
    pub physical_type: String,
    pub children: Vec<ChildColumn>,
    /// Value of rows written before the column was added, in DuckLake's text form.
    pub initial_default: Option<String>,
    /// False for a type of another client that has no SQL type here: such a column can be seen
    /// but not read.
    pub readable: bool,
}

impl ColumnInfo {
    /// A column to be made; ids are assigned at commit.
    pub fn new(name: impl Into<String>, sql_type: SqlType, nullable: bool) -> Self {
        let physical = crate::physical::to_physical(&sql_type);
        ColumnInfo {
            field_id: 0,
            name: name.into(),
            sql_type,
            nullable,
            default: None,
            ducklake_default: None,
            foreign_default: false,
            autoincrement: None,
            comment: None,
            physical_type: physical.name,
            children: physical
                .children
                .into_iter()
                .map(|(name, ty)| ChildColumn::new(0, name, ty))
                .collect(),
            initial_default: None,
            readable: true,
        }
    }

    /// Name, type and nullability.
    pub fn to_column(&self) -> Column {
        Column::new(&self.name, self.sql_type.clone(), self.nullable)
    }
}

/// What a constraint says of its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConstraintKind {
    PrimaryKey,
    Unique,
    ForeignKey {
        /// The table referred to. Local (negative) while the transaction that makes it is open.
        table_id: i64,
        /// Field ids of its columns, in the order of the constraint's own.
        columns: Vec<i64>,
    },
}

/// A key of a table. None is enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConstraintInfo {
    pub name: String,
    pub kind: ConstraintKind,
    /// Field ids, in order.
    pub columns: Vec<i64>,
    pub comment: Option<String>,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_micros: i64,
}

/// What a key sorts by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortBy {
    /// A column, by field id.
    Column(i64),
    /// Another client's expression, in its dialect: kept, not understood.
    Expression { text: String, dialect: String },
}

/// A key that files' rows are sorted by; DuckLake's sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    pub by: SortBy,
    pub descending: bool,
    pub nulls_first: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Never used again. Negative while the transaction that makes it is open, and always for
    /// temporary tables.
    pub table_id: i64,
    pub schema_id: i64,
    pub name: QualifiedName,
    pub uuid: String,
    /// Folder of its files; relative to the data folder unless it starts with a slash.
    pub path: String,
    pub columns: Vec<ColumnInfo>,
    pub kind: TableKind,
    pub comment: Option<String>,
    /// CLUSTER BY as SQL text.
    pub cluster_by: Option<String>,
    /// What `cluster_by` comes to, by which rows are sorted in files; the first key first.
    pub sort_keys: Vec<SortKey>,
    /// The keys by which another client parts the rows into files.
    pub partitioning: Option<Arc<Partitioning>>,
    /// SUSPEND RECLUSTER: files that overlap are left as they are.
    pub recluster_suspended: bool,
    pub constraints: Vec<ConstraintInfo>,
    /// Own DATA_RETENTION_TIME_IN_DAYS; none inherits.
    pub retention_days: Option<u16>,
    /// Snapshot since which CHANGE_TRACKING is on; 0 when staged.
    pub change_tracking: Option<SnapshotId>,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_micros: i64,
    /// Highest field id ever given in this table.
    pub last_field_id: i64,
    /// Snapshot of the last change of its name or columns; 0 when staged.
    pub defined_at: SnapshotId,
}

impl TableInfo {
    /// The visible columns.
    pub fn column_list(&self) -> Vec<Column> {
        self.columns.iter().map(ColumnInfo::to_column).collect()
    }

    /// The column of exactly this name.
    pub fn column(&self, name: &str) -> Option<&ColumnInfo> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The primary key or unique key over exactly these columns, in any order.
    pub fn key_over(&self, columns: &[i64]) -> Option<&ConstraintInfo> {
        let same = |key: &&ConstraintInfo| {
            !matches!(key.kind, ConstraintKind::ForeignKey { .. })
                && key.columns.len() == columns.len()
                && columns.iter().all(|id| key.columns.contains(id))
        };
        self.constraints.iter().find(same)
    }

    /// The sort keys up to the first that is no column: place of the column, and the key.
    pub fn sorted_columns(&self) -> Vec<(usize, &SortKey)> {
        let place = |key: &SortKey| match key.by {
            SortBy::Column(id) => self.columns.iter().position(|c| c.field_id == id),
            SortBy::Expression { .. } => None,
        };
        self.sort_keys.iter().map_while(|key| Some((place(key)?, key))).collect()
    }

    /// Gives field ids to columns that have none, in order.
    pub fn assign_field_ids(&mut self) {
        let last = &mut self.last_field_id;
        for column in self.columns.iter_mut().filter(|c| c.field_id == 0) {
            *last += 1;
            column.field_id = *last;
            for child in &mut column.children {
                *last += 1;
                child.field_id = *last;
            }
        }
    }
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewInfo {
    /// Never used again. Negative while the transaction that makes it is open.
    pub view_id: i64,
    pub schema_id: i64,
    pub name: QualifiedName,
    pub uuid: String,
    /// The query's text.
    pub text: String,
    /// Of another client's view, whose text is not ours.
    pub foreign: Option<ForeignView>,
    /// `snowflake` for ours, `duckdb` for a view another client made.
    pub dialect: String,
    pub columns: Vec<Column>,
    pub column_comments: Vec<Option<String>>,
    pub secure: bool,
    pub comment: Option<String>,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_micros: i64,
}

/// A data file of a table as its clone takes it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClonedFile {
    pub file_id: i64,
    /// The delete file to share.
    pub delete_file: Option<i64>,
    /// Positions deleted besides, ascending.
    pub deleted: Arc<Vec<i64>>,
}

/// A table that starts with another's rows: its files are shared, not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableClone {
    /// The new table; its columns have the source's field ids.
    pub table: Arc<TableInfo>,
    pub source_id: i64,
    /// Folder of the source's files, as `TableInfo::path`.
    pub source_path: String,
    pub files: Vec<ClonedFile>,
}

/// Rows and bytes of a table at one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableSize {
    pub rows: u64,
    pub bytes: u64,
}

/// Bytes of the files that a table owns: a clone's do not count those it shares with its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableStorage {
    /// Of its present rows.
    pub active: u64,
    /// Of past rows alone.
    pub time_travel: u64,
    /// Of no rows of its own any more, but of clones.
    pub retained_for_clones: u64,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    pub snapshot: SnapshotId,
    /// Commit time in microseconds since 1970 UTC.
    pub micros: i64,
    pub schema_version: i64,
    /// DuckLake's list of changes.
    pub changes: String,
    pub author: Option<String>,
    pub message: Option<String>,
    pub query_id: Option<String>,
}

/// The newest snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub snapshot: SnapshotId,
    /// Grows with every change of a definition.
    pub schema_version: i64,
}
