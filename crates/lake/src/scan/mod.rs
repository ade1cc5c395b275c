//! Reads a table version: a DataFusion table over its Parquet files.

mod adapter;
pub(crate) mod foreign;
mod guard;
pub(crate) mod inlined;
mod named;
mod pruning;
mod reader;
mod variants;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetRowSelection,
};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as PlanResult;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown};
use datafusion::parquet::arrow::RowNumber;
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNotNullExpr, case};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use frazil_common::hidden;
use object_store::ObjectMeta;

use crate::error::LakeError;
use crate::files::FileStore;
use crate::version::{DataFile, TableVersion};
use adapter::FieldIdAdapterFactory;
use guard::{FileNames, GuardedSource};
use reader::TableFiles;

/// Hidden column: place of the row's file in `TableVersion::files` (Int32).
pub const FILE_COLUMN: &str = hidden::FILE;
/// Hidden column: position of the row in its file, from 0 (Int64).
pub const ROW_NUMBER_COLUMN: &str = hidden::FILE_ROW_NUMBER;
/// Hidden column: the row's lasting id (Int64).
pub const ROW_ID: &str = hidden::ROW_ID;
/// Number of hidden columns after the visible ones.
pub const HIDDEN_COLUMNS: usize = 3;

/// The row id that a file brings. Another client's table may have a column of the name it has there.
pub(crate) const KEPT_ROW_ID: &str = "\0KEPT_ROW_ID";
const ROW_ID_START: &str = "\0ROW_ID_START";

/// A table version as DataFusion reads it: the visible columns, then the hidden ones.
#[derive(Debug)]
pub struct LakeTable {
    store: FileStore,
    version: Arc<TableVersion>,
    schema: SchemaRef,
}

/// The hidden identity columns.
pub fn hidden_fields() -> [Field; HIDDEN_COLUMNS] {
    [
        Field::new(FILE_COLUMN, DataType::Int32, false),
        Field::new(ROW_NUMBER_COLUMN, DataType::Int64, false),
        Field::new(ROW_ID, DataType::Int64, true),
    ]
}

impl LakeTable {
    /// A provider over the version's files.
    pub fn new(store: FileStore, version: Arc<TableVersion>) -> LakeTable {
        let mut fields: Vec<Field> =
            version.table.columns.iter().map(|c| c.to_column().to_field()).collect();
        fields.extend(hidden_fields());
        LakeTable { store, version, schema: Arc::new(Schema::new(fields)) }
    }

    /// The version read.
    pub fn version(&self) -> &Arc<TableVersion> {
        &self.version
    }

    /// The rows that lie in the catalog, with the provider's whole schema.
    pub(crate) fn inlined_batches(&self) -> crate::error::Result<Vec<RecordBatch>> {
        inlined::batches(&self.version, &self.schema, None)
    }

    fn visible_len(&self) -> usize {
        self.version.table.columns.len()
    }

    fn visible_schema(&self) -> SchemaRef {
        let fields: Vec<_> =
            self.schema.fields().iter().take(self.visible_len()).cloned().collect();
        Arc::new(Schema::new(fields))
    }

    fn partitioned(&self, index: usize, hidden: bool, schema: &SchemaRef) -> PartitionedFile {
        let file = &self.version.files[index];
        let mut part = PartitionedFile::new_from_meta(ObjectMeta {
            location: file.path.clone(),
            // Files never change, so neither may what the metadata cache checks.
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: file.bytes,
            e_tag: None,
            version: None,
        });
        if file.footer_bytes > 0 {
            let hint = usize::try_from(file.footer_bytes).unwrap_or(0) + 8;
            part = part.with_metadata_size_hint(hint.max(16 << 10));
        }
        if hidden {
            part = part.with_partition_values(vec![
                ScalarValue::Int32(i32::try_from(index).ok()),
                ScalarValue::Int64(Some(file.row_id_start)),
            ]);
        } else {
            let statistics = pruning::file_statistics(&self.version.table, &[file], schema);
            part = part.with_statistics(Arc::new(statistics));
        }
        if !file.deleted.is_empty() {
            part = part.with_extension(ParquetRowSelection::new(live_rows(file)));
        }
        part
    }

    /// Files that may hold rows for the filters.
    fn candidates(&self, state: &dyn Session, filters: &[Expr]) -> PlanResult<Vec<usize>> {
        let alive: Vec<usize> = self
            .version
            .files
            .iter()
            .enumerate()
            .filter(|(_, f)| f.live_rows() > 0)
            .map(|(index, _)| index)
            .collect();
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(alive) };
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let filter = state.create_physical_expr(filter, &schema)?;
        Ok(pruning::prune(&self.version, &self.schema, filter, alive))
    }

    /// A scan of the given files whose columns are `projection` over the provider's schema.
    fn scan_files(
        &self,
        state: &dyn Session,
        projection: &[usize],
        filters: &[Expr],
        limit: Option<usize>,
        files: Vec<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let visible = self.visible_len();
        let hidden = projection.iter().any(|i| *i >= visible);
        let visible_schema = self.visible_schema();
        let table_schema = if hidden {
            let mut fields: Vec<_> = visible_schema.fields().iter().cloned().collect();
            fields.push(Arc::new(Field::new(KEPT_ROW_ID, DataType::Int64, true)));
            let row_number = Field::new(ROW_NUMBER_COLUMN, DataType::Int64, false)
                .with_extension_type(RowNumber);
            TableSchema::builder(Arc::new(Schema::new(fields)))
                .with_table_partition_cols(vec![
                    Arc::new(Field::new(FILE_COLUMN, DataType::Int32, false)),
                    Arc::new(Field::new(ROW_ID_START, DataType::Int64, false)),
                ])
                .with_virtual_columns(vec![Arc::new(row_number)])
                .build()
        } else {
            TableSchema::from(Arc::clone(&visible_schema))
        };
        let full_schema = Arc::clone(table_schema.table_schema());
        let groups = self.group(state, files, hidden, &visible_schema);
        let mut options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        // Other clients' oldest form of times reaches farther than nanoseconds, as which it is read else.
        options.global.coerce_int96 = Some("us".to_string());
        let names = Arc::new(FileNames::of(&self.version));
        let mut source = ParquetSource::new(table_schema)
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(TableFiles::new(
                CachedParquetFileReaderFactory::new(
                    Arc::clone(self.store.object_store()),
                    state.runtime_env().cache_manager.get_file_metadata_cache(),
                ),
                &self.store,
                &self.version,
                Arc::clone(&names),
            )));
        // Hidden columns are made by the reader or above it, so filters on them stay above.
        let stored = filters.iter().filter(|filter| {
            filter.column_refs().iter().all(|c| visible_schema.index_of(&c.name).is_ok())
        });
        if let Some(filter) = conjunction(stored.cloned()) {
            let schema = DFSchema::try_from(Arc::clone(&full_schema))?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let statistics = if hidden {
            let mut statistics = Statistics::new_unknown(&full_schema);
            statistics.num_rows = self.rows_of(&groups);
            statistics
        } else {
            self.group_statistics(&groups, &visible_schema)
        };
        let layout = Layout { visible };
        let scanned: Vec<usize> =
            if hidden { layout.scanned(projection) } else { projection.to_vec() };
        let source = Arc::new(GuardedSource::new(Arc::new(source), names));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(groups.into_iter().map(|(group, _)| group).collect())
            .with_statistics(statistics)
            .with_projection_indices(Some(scanned.clone()))?
            .with_limit(if filters.is_empty() { limit } else { None })
            .with_expr_adapter(Some(Arc::new(FieldIdAdapterFactory::new(&self.version))))
            .build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
        if !hidden {
            return Ok(scan);
        }
        let exprs = projection
            .iter()
            .map(|index| {
                let name = self.schema.field(*index).name().clone();
                layout.output(*index, &scanned, &full_schema).map(|expr| (expr, name))
            })
            .collect::<PlanResult<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(exprs, scan)?))
    }

    fn group(
        &self,
        state: &dyn Session,
        files: Vec<usize>,
        hidden: bool,
        schema: &SchemaRef,
    ) -> Vec<(FileGroup, Vec<usize>)> {
        let count = state.config().target_partitions().max(1).min(files.len().max(1));
        let mut groups: Vec<(u64, Vec<PartitionedFile>, Vec<usize>)> =
            (0..count).map(|_| (0, Vec::new(), Vec::new())).collect();
        let mut by_size = files;
        by_size.sort_by_key(|i| std::cmp::Reverse(self.version.files[*i].bytes));
        for index in by_size {
            // The least loaded group takes the next largest file.
            if let Some(group) = groups.iter_mut().min_by_key(|g| g.0) {
                group.0 += self.version.files[index].bytes;
                group.1.push(self.partitioned(index, hidden, schema));
                group.2.push(index);
            }
        }
        groups.into_iter().map(|(_, parts, indexes)| (FileGroup::new(parts), indexes)).collect()
    }

    fn rows_of(&self, groups: &[(FileGroup, Vec<usize>)]) -> Precision<usize> {
        let rows: u64 = groups
            .iter()
            .flat_map(|(_, indexes)| indexes)
            .map(|i| self.version.files[*i].live_rows())
            .sum();
        Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    fn group_statistics(
        &self,
        groups: &[(FileGroup, Vec<usize>)],
        schema: &SchemaRef,
    ) -> Statistics {
        let files: Vec<&DataFile> = groups
            .iter()
            .flat_map(|(_, indexes)| indexes)
            .map(|i| &self.version.files[*i])
            .collect();
        pruning::file_statistics(&self.version.table, &files, schema)
    }
}

/// Where hidden columns lie in the scan: visible columns, kept row id, file, first row id,
/// row number.
struct Layout {
    visible: usize,
}

impl Layout {
    fn embedded(&self) -> usize {
        self.visible
    }
    fn file(&self) -> usize {
        self.visible + 1
    }
    fn start(&self) -> usize {
        self.visible + 2
    }
    fn row_number(&self) -> usize {
        self.visible + 3
    }

    /// Columns of the scan that the projection needs, ascending.
    fn scanned(&self, projection: &[usize]) -> Vec<usize> {
        let mut wanted: Vec<usize> = Vec::new();
        for index in projection {
            match index.checked_sub(self.visible) {
                None => wanted.push(*index),
                Some(0) => wanted.push(self.file()),
                Some(1) => wanted.push(self.row_number()),
                Some(_) => wanted.extend([self.embedded(), self.start(), self.row_number()]),
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// The expression over the scanned columns for a column of the provider.
    fn output(
        &self,
        index: usize,
        scanned: &[usize],
        schema: &SchemaRef,
    ) -> PlanResult<Arc<dyn PhysicalExpr>> {
        let column = |at: usize| -> PlanResult<Arc<dyn PhysicalExpr>> {
            let place = scanned.iter().position(|s| *s == at).ok_or_else(|| {
                LakeError::Damaged(format!("column {at} is missing from the scan"))
            })?;
            Ok(Arc::new(Column::new(schema.field(at).name(), place)))
        };
        match index.checked_sub(self.visible) {
            None => column(index),
            Some(0) => column(self.file()),
            Some(1) => column(self.row_number()),
            Some(_) => {
                let kept = column(self.embedded())?;
                let counted: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(
                    column(self.start())?,
                    Operator::Plus,
                    column(self.row_number())?,
                ));
                let has_own = Arc::new(IsNotNullExpr::new(Arc::clone(&kept)));
                case(None, vec![(has_own, kept)], Some(counted))
            }
        }
    }
}

/// The rows of a file that are not deleted.
fn live_rows(file: &DataFile) -> RowSelection {
    let mut selectors: Vec<RowSelector> = Vec::new();
    let mut at = 0_usize;
    let total = usize::try_from(file.rows).unwrap_or(usize::MAX);
    for position in file.deleted.iter() {
        let position = usize::try_from(*position).unwrap_or(usize::MAX).min(total);
        if position > at {
            selectors.push(RowSelector::select(position - at));
        }
        if position < total {
            selectors.push(RowSelector::skip(1));
            at = position + 1;
        }
    }
    if at < total {
        selectors.push(RowSelector::select(total - at));
    }
    RowSelection::from(selectors)
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let projection: Vec<usize> = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let table = &self.version.table;
        let named: HashSet<&str> =
            filters.iter().flat_map(Expr::column_refs).map(|column| column.name()).collect();
        for (index, column) in table.columns.iter().enumerate() {
            let read = projection.contains(&index) || named.contains(column.name.as_str());
            if read && !column.readable {
                return Err(foreign::unread(table, column).into());
            }
        }
        let projected = Arc::new(self.schema.project(&projection)?);
        let files = self.candidates(state, filters)?;
        let inlined = self.version.chunks.iter().any(|chunk| chunk.live_rows() > 0);
        if files.is_empty() && !inlined {
            return Ok(Arc::new(EmptyExec::new(projected)));
        }
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !files.is_empty() {
            parts.push(self.scan_files(state, &projection, filters, limit, files)?);
        }
        if inlined {
            let batches = inlined::batches(&self.version, &self.schema, Some(&projection))?;
            parts.push(MemorySourceConfig::try_new_exec(
                &[batches],
                Arc::clone(&self.schema),
                Some(projection),
            )?);
        }
        match parts.len() {
            1 => Ok(parts.swap_remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        let files: Vec<&DataFile> = self.version.files.iter().collect();
        let mut statistics =
            pruning::file_statistics(&self.version.table, &files, &self.visible_schema());
        let chunks: u64 = self.version.chunks.iter().map(|chunk| chunk.live_rows()).sum();
        if chunks > 0 {
            // Few rows more: bounds and counts of the files are still near.
            let bytes = statistics.total_byte_size;
            statistics = statistics.to_inexact();
            let rows = self.version.row_count();
            statistics.num_rows = Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
            statistics.total_byte_size = bytes;
        }
        statistics.column_statistics.extend(
            (0..HIDDEN_COLUMNS).map(|_| datafusion::common::ColumnStatistics::new_unknown()),
        );
        Some(statistics)
    }
}
