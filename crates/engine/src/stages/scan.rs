//! Stage files as a table: the formats' columns, then the files' metadata columns.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::TableReference;
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use frazil_common::{Column, SqlType, TimeZoneKind, UserError};
use frazil_governance::INTERNAL_SCHEMA;
use frazil_planner::Relation;

use crate::api::StageFile;
use crate::stage_files::StageFiles;
use crate::stages::csv_files::CsvColumns;
use crate::stages::file_format::FileFormat;
use crate::stages::load_log::LoadLog;
use crate::stages::{csv_files, json_files, parquet_files};
use crate::statements::outcome::COUNT;

/// Row of the file, from 1.
pub(crate) const ROW_NUMBER: &str = "METADATA$FILE_ROW_NUMBER";
/// Where the row's record begins in the unpacked file; for COPY alone.
pub(crate) const ROW_OFFSET: &str = "FRAZIL$ROW_OFFSET";
/// The metadata columns users may name.
pub(crate) const METADATA_COLUMNS: [&str; 5] = [
    "METADATA$FILENAME",
    ROW_NUMBER,
    "METADATA$FILE_CONTENT_KEY",
    "METADATA$FILE_LAST_MODIFIED",
    "METADATA$START_SCAN_TIME",
];

/// What the name of a file's own column follows where the scan has another of its name.
const OWN: &str = "FRAZIL$FILE$";

/// The name that a column of a scan has in its files; none for what the scan adds.
pub(crate) fn name_in_file(name: &str) -> Option<&str> {
    let added = [WHOLE_ROW, ROW_OFFSET].contains(&name) || METADATA_COLUMNS.contains(&name);
    (!added).then(|| name.strip_prefix(OWN).unwrap_or(name))
}

/// The whole row as one VARIANT, as `$1` of JSON and Parquet files.
pub(crate) const WHOLE_ROW: &str = "$1";

/// What the rows of the files hold.
#[derive(Debug)]
pub(crate) enum Rows {
    Csv(CsvColumns),
    Json,
    /// `$1`, then the columns of the files' common schema.
    Parquet(SchemaRef),
}

/// Files to read, all of one stage and one format.
#[derive(Debug)]
pub(crate) struct StageScan {
    pub stages: Arc<StageFiles>,
    pub stage_id: i64,
    /// The stage's name as METADATA$FILENAME shows it; empty for named stages.
    pub files: Vec<StageFile>,
    pub format: FileFormat,
    pub rows: Rows,
    /// Row errors go here, and are errors of the statement where there is none.
    pub log: Option<Arc<LoadLog>>,
    pub started_micros: i64,
    /// Value columns, then metadata columns.
    schema: SchemaRef,
    /// Number of value columns.
    values: usize,
}

fn metadata_columns(with_offset: bool) -> Vec<Column> {
    let types = [
        SqlType::TEXT,
        COUNT,
        SqlType::TEXT,
        SqlType::Timestamp { zone: TimeZoneKind::Ntz, scale: 6, nanos: false },
        SqlType::Timestamp { zone: TimeZoneKind::Ltz, scale: 6, nanos: false },
    ];
    let named = METADATA_COLUMNS.into_iter().zip(types);
    let mut columns: Vec<Column> =
        named.map(|(name, sql_type)| Column::new(name, sql_type, true)).collect();
    if with_offset {
        columns.push(Column::new(ROW_OFFSET, COUNT, true));
    }
    columns
}

impl StageScan {
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        stages: Arc<StageFiles>,
        stage_id: i64,
        files: Vec<StageFile>,
        format: FileFormat,
        rows: Rows,
        values: &[Column],
        log: Option<Arc<LoadLog>>,
        started_micros: i64,
    ) -> StageScan {
        let metadata = metadata_columns(log.is_some());
        // A file's own column of such a name gives way: the metadata goes by it.
        let mut taken: HashSet<&str> = metadata.iter().map(|column| column.name.as_str()).collect();
        let own = values.iter().map(|column| match taken.insert(&column.name) {
            true => column.to_field(),
            false => column.to_field().with_name(format!("{OWN}{}", column.name)),
        });
        let fields: Vec<_> = own.chain(metadata.iter().map(Column::to_field)).collect();
        StageScan {
            stages,
            stage_id,
            files,
            format,
            rows,
            log,
            started_micros,
            schema: Arc::new(Schema::new(fields)),
            values: values.len(),
        }
    }

    /// The files as a relation that shows the first `visible` columns.
    pub fn into_relation(self, visible: usize) -> Result<Relation, UserError> {
        let name = TableReference::partial(INTERNAL_SCHEMA, format!("stage {}", self.stage_id));
        let columns: Vec<Column> = self
            .schema
            .fields()
            .iter()
            .take(visible)
            .map(|field| {
                let sql_type = SqlType::of_field(field)
                    .ok_or_else(|| UserError::internal("a stage column has no type"))?;
                Ok(Column::new(field.name(), sql_type, true))
            })
            .collect::<Result<_, UserError>>()?;
        let hidden = self.schema.fields().len() - visible;
        let plan =
            LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(self.shared())), None)
                .and_then(LogicalPlanBuilder::build)
                .map_err(UserError::internal)?;
        Ok(Relation { object: None, name: None, columns, plan, accesses: Vec::new(), hidden })
    }

    fn shared(self) -> StageTable {
        StageTable(Arc::new(self))
    }
}

/// The provider of a scan.
#[derive(Debug)]
struct StageTable(Arc<StageScan>);

#[async_trait]
impl TableProvider for StageTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let projection: Vec<usize> = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.0.schema.fields().len()).collect(),
        };
        let schema = Arc::new(self.0.schema.project(&projection)?);
        if self.0.files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let parts = (0..self.0.files.len())
            .map(|index| {
                Arc::new(FilePart {
                    scan: Arc::clone(&self.0),
                    index,
                    projection: projection.clone(),
                    schema: Arc::clone(&schema),
                }) as Arc<dyn PartitionStream>
            })
            .collect();
        Ok(Arc::new(StreamingTableExec::try_new(schema, parts, None, [], false, limit)?))
    }
}

/// One file of a scan, with the columns that are wanted of it.
#[derive(Debug, Clone)]
pub(crate) struct FilePart {
    pub scan: Arc<StageScan>,
    pub index: usize,
    /// Indexes in the scan's schema.
    projection: Vec<usize>,
    schema: SchemaRef,
}

/// Rows as a reader made them: the wanted value columns, and where each row stands.
pub(crate) struct ValueRows {
    /// One array per entry of [`FilePart::wanted_values`].
    pub values: Vec<ArrayRef>,
    /// Row numbers of the file, from 1.
    pub numbers: Vec<i64>,
    /// Where the records begin.
    pub offsets: Vec<i64>,
}

impl FilePart {
    pub fn file(&self) -> &StageFile {
        &self.scan.files[self.index]
    }

    /// Indexes of the value columns to make, ascending in the projection's order.
    pub fn wanted_values(&self) -> Vec<usize> {
        self.projection.iter().copied().filter(|index| *index < self.scan.values).collect()
    }

    /// The batch of rows with their metadata columns.
    pub fn batch(&self, rows: ValueRows) -> Result<RecordBatch, UserError> {
        let count = rows.numbers.len();
        let mut values = rows.values.into_iter();
        let file = self.file();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.projection.len());
        for index in &self.projection {
            let Some(metadata) = index.checked_sub(self.scan.values) else {
                let value = values.next();
                columns.push(value.ok_or_else(|| UserError::internal("a column was not read"))?);
                continue;
            };
            columns.push(match metadata {
                0 => same_text(&file.path, count),
                1 => Arc::new(Int64Array::from(rows.numbers.clone())),
                2 => same_text(file.digest.trim_matches('"'), count),
                3 => Arc::new(TimestampMicrosecondArray::from_value(file.modified_micros, count)),
                4 => Arc::new(
                    TimestampMicrosecondArray::from_value(self.scan.started_micros, count)
                        .with_timezone("UTC"),
                ),
                _ => Arc::new(Int64Array::from(rows.offsets.clone())),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(UserError::internal)
    }
}

fn same_text(text: &str, count: usize) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(text, count)))
}

impl PartitionStream for FilePart {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        let part = self.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let failed = sender.clone();
            let scan = Arc::clone(&part.scan);
            let result = match &scan.rows {
                Rows::Csv(_) => csv_files::read(part, sender).await,
                Rows::Json => json_files::read(part, sender).await,
                Rows::Parquet(_) => parquet_files::read(part, sender).await,
            };
            if let Err(error) = result {
                // A reader that is gone needs no error.
                let _ = failed.send(Err(DataFusionError::External(Box::new(error)))).await;
            }
        });
        let stream = crate::run::execute::task_stream(receiver, tasks);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream))
    }
}

/// Where a reader puts its batches.
pub(crate) type BatchSender = tokio::sync::mpsc::Sender<PlanResult<RecordBatch>>;
