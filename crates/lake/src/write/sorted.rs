//! Rows in the order of their table's sort keys: whole streams, and runs of rows that come one
//! batch at a time.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute::{SortColumn, SortOptions, concat, lexsort_to_indices, take};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result as PlanResult};
use datafusion::execution::context::SessionContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::prelude::SessionConfig;
use frazil_catalog::TableInfo;
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::error::{LakeError, Result};
use crate::partition::Partitioner;

/// Rows that are sorted at once where they come one batch at a time.
const RUN_ROWS: usize = 128 * 1024;

/// Places of the columns a table's rows are sorted by, with their order.
fn keys(table: &TableInfo) -> Vec<(usize, SortOptions)> {
    let columns = table.sorted_columns().into_iter();
    columns
        .map(|(place, key)| {
            (place, SortOptions { descending: key.descending, nulls_first: key.nulls_first })
        })
        .collect()
}

/// Collects rows until they are worth sorting.
#[derive(Debug)]
pub struct SortRun {
    partitioner: Option<Arc<Partitioner>>,
    keys: Vec<(usize, SortOptions)>,
    batches: Vec<Vec<ArrayRef>>,
    rows: usize,
}

impl SortRun {
    /// A run for a table with sort keys or partitions; the latter come first.
    pub fn of(table: &TableInfo, partitioner: Option<&Arc<Partitioner>>) -> Option<SortRun> {
        let keys = keys(table);
        let needed = !keys.is_empty() || partitioner.is_some();
        needed.then(|| SortRun {
            partitioner: partitioner.cloned(),
            keys,
            batches: Vec::new(),
            rows: 0,
        })
    }

    /// Takes columns, the table's first; gives the run's sorted rows when there are enough.
    pub fn add(&mut self, columns: Vec<ArrayRef>) -> Result<Option<Vec<ArrayRef>>> {
        self.rows += columns.first().map_or(0, |column| column.len());
        self.batches.push(columns);
        if self.rows < RUN_ROWS { Ok(None) } else { self.take() }
    }

    /// The rows that are left, sorted.
    pub fn take(&mut self) -> Result<Option<Vec<ArrayRef>>> {
        let rows = std::mem::take(&mut self.rows);
        let batches = std::mem::take(&mut self.batches);
        let Some(width) = batches.first().map(Vec::len) else { return Ok(None) };
        let mut columns = Vec::with_capacity(width);
        for index in 0..width {
            let parts: Vec<&dyn Array> =
                batches.iter().filter_map(|batch| batch.get(index)).map(AsRef::as_ref).collect();
            columns.push(concat(&parts)?);
        }
        let parts = match &self.partitioner {
            Some(partitioner) => partitioner.keys(&columns, rows)?,
            None => Vec::new(),
        };
        let mut sorted: Vec<SortColumn> =
            parts.into_iter().map(|values| SortColumn { values, options: None }).collect();
        sorted.extend(self.keys.iter().filter_map(|(place, options)| {
            let values = Arc::clone(columns.get(*place)?);
            Some(SortColumn { values, options: Some(*options) })
        }));
        let order = lexsort_to_indices(&sorted, None)?;
        let columns = columns.iter().map(|column| take(column, &order, None));
        Ok(Some(columns.collect::<std::result::Result<_, _>>()?))
    }
}

/// A stream that a plan reads once.
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rows to sort")
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        self.rows.lock().take().unwrap_or_else(|| {
            let read = DataFusionError::Internal("rows to sort were read before".into());
            let rows = futures::stream::iter([Err(read)]);
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
        })
    }
}

/// Rows that come batch by batch, to be had in order when all are there. Dropping it forgets them.
pub struct Sorter {
    schema: SchemaRef,
    rows: mpsc::Sender<RecordBatch>,
    /// Gives the first rows with the rest of them, when no more are added.
    sorting: SpawnedTask<(Option<PlanResult<RecordBatch>>, SendableRecordBatchStream)>,
}

impl Sorter {
    /// Sorts rows of `schema`, whose first columns are the table's.
    pub fn new(
        table: &TableInfo,
        partitioner: &Arc<Partitioner>,
        schema: SchemaRef,
        runtime: Arc<RuntimeEnv>,
    ) -> Result<Sorter> {
        let (sender, receiver) = mpsc::channel(1);
        let rows = futures::stream::unfold(receiver, async |mut receiver| {
            let batch = receiver.recv().await?;
            Some((Ok(batch), receiver))
        });
        let rows = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), rows));
        let mut rows = stream(table, Some(partitioner), rows, runtime)?;
        let sorting = SpawnedTask::spawn(async move { (rows.next().await, rows) });
        Ok(Sorter { schema, rows: sender, sorting })
    }

    /// Takes a batch.
    pub async fn add(&mut self, columns: Vec<ArrayRef>) -> Result<()> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        if self.rows.send(batch).await.is_ok() {
            return Ok(());
        }
        // Sorting ended before its time.
        match (&mut self.sorting).await {
            Ok((Some(Err(error)), _)) => Err(LakeError::from(error)),
            _ => Err(LakeError::Damaged("sorting was broken off".into())),
        }
    }

    /// All rows, in order.
    pub async fn finish(self) -> Result<SendableRecordBatchStream> {
        drop(self.rows);
        let (first, rest) = self
            .sorting
            .await
            .map_err(|error| LakeError::Damaged(format!("sorting was broken off: {error}")))?;
        let rows = futures::stream::iter(first).chain(rest);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema, rows)))
    }
}

/// The rows of a stream, whose first columns are the table's, by partition and then in the order
/// of its sort keys. They are sorted within the runtime's limit of memory.
pub fn stream(
    table: &TableInfo,
    partitioner: Option<&Arc<Partitioner>>,
    rows: SendableRecordBatchStream,
    runtime: Arc<RuntimeEnv>,
) -> Result<SendableRecordBatchStream> {
    let width = rows.schema().fields().len();
    let rows = match partitioner {
        Some(partitioner) => partitioner.with_keys(rows),
        None => rows,
    };
    let schema = rows.schema();
    let parts = (width..schema.fields().len()).map(|place| (place, SortOptions::default()));
    let order = parts.chain(keys(table)).map(|(place, options)| {
        let column = Column::new(schema.field(place).name(), place);
        PhysicalSortExpr::new(Arc::new(column), options)
    });
    let Some(order) = LexOrdering::new(order) else { return Ok(rows) };
    let once = Once { schema: Arc::clone(&schema), rows: Mutex::new(Some(rows)) };
    let input =
        StreamingTableExec::try_new(schema, vec![Arc::new(once)], None, Vec::new(), false, None)?;
    let sort = SortExec::new(order, Arc::new(input));
    let config = SessionConfig::new().with_target_partitions(1);
    let context = SessionContext::new_with_config_rt(config, runtime);
    let sorted = sort.execute(0, context.task_ctx())?;
    if partitioner.is_none() {
        return Ok(sorted);
    }
    let kept: Vec<usize> = (0..width).collect();
    let schema = Arc::new(sorted.schema().project(&kept)?);
    let rows = sorted.map(move |batch| Ok(batch?.project(&kept)?));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}
