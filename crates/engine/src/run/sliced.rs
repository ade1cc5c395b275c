//! Batches small enough for what is made of their rows.
//!
//! FLATTEN and its like make a list of each row, for a whole batch at once, and then a row of each
//! element. Lists of thousands of elements make gigabytes of one batch of rows, outside any memory
//! limit. So the rows come in slices: as many as make about [`MADE_ROWS`] elements by what the rows
//! before them made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ExecutionPlan, PlanProperties, ReplaceChildrenOptions};
use futures::{StreamExt, stream};

use crate::run::one_input::{hands_on_filters, no_expressions, one_input, shown_by_name};

const NAME: &str = "SlicedExec";

/// Elements that a slice of rows may make, unless one row alone makes more.
const MADE_ROWS: usize = 16_384;

/// Rows of a first slice, of which it is not known yet what they make.
const FIRST_ROWS: usize = 256;

/// Slices the rows below every operator that makes rows of lists: once before the lists are made,
/// once before they are taken apart.
#[derive(Debug)]
pub(crate) struct SliceUnnested;

impl PhysicalOptimizerRule for SliceUnnested {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let sliced = plan.transform_up(|node| {
            let Some(unnest) = node.downcast_ref::<UnnestExec>() else {
                return Ok(Transformed::no(node));
            };
            let lists = unnest.list_column_indices().iter();
            let lists: Vec<usize> = lists.map(|list| list.index_in_input_schema).collect();
            let rows = Arc::new(AtomicUsize::new(FIRST_ROWS));
            let made = below_projections(Arc::clone(unnest.input()), &rows)?;
            let input = SlicedExec::new(made, Slices::ByLists { lists, rows });
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok(Transformed::yes(node.replace_children(vec![Arc::new(input)], options)?))
        })?;
        Ok(sliced.data)
    }

    fn name(&self) -> &str {
        "slice_unnested"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with sliced rows below its topmost projections, which make the lists.
fn below_projections(
    plan: Arc<dyn ExecutionPlan>,
    rows: &Arc<AtomicUsize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    match plan.downcast_ref::<ProjectionExec>() {
        Some(projection) => {
            let input = below_projections(Arc::clone(projection.input()), rows)?;
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            plan.replace_children(vec![input], options)
        }
        None => Ok(sliced(plan, Arc::clone(rows))),
    }
}

/// How batches are cut.
#[derive(Debug, Clone)]
enum Slices {
    /// Into so many rows.
    ByRows(Arc<AtomicUsize>),
    /// Where the lists of these columns have enough elements; tells how many rows that was.
    ByLists { lists: Vec<usize>, rows: Arc<AtomicUsize> },
}

impl Slices {
    /// Rows of the next slice, starting at `start`; at least one.
    fn next(&self, batch: &RecordBatch, start: usize) -> usize {
        let left = batch.num_rows() - start;
        match self {
            Slices::ByRows(rows) => rows.load(Ordering::Relaxed).clamp(1, left),
            Slices::ByLists { lists, rows } => {
                let mut made = 0;
                let mut taken = 0;
                while taken < left && made < MADE_ROWS {
                    let longest =
                        lists.iter().map(|list| length(batch.column(*list), start + taken));
                    made += longest.max().unwrap_or(0);
                    taken += 1;
                }
                let each = made.div_ceil(taken.max(1)).max(1);
                rows.store((MADE_ROWS / each).clamp(1, MADE_ROWS), Ordering::Relaxed);
                taken.max(1)
            }
        }
    }
}

fn length(lists: &dyn Array, row: usize) -> usize {
    if lists.is_null(row) {
        return 0;
    }
    match lists.data_type() {
        DataType::List(_) => lists.as_list::<i32>().value_length(row) as usize,
        DataType::LargeList(_) => lists.as_list::<i64>().value_length(row) as usize,
        _ => 1,
    }
}

/// The plan with its batches in slices of so many rows.
pub(crate) fn sliced(
    plan: Arc<dyn ExecutionPlan>,
    rows: Arc<AtomicUsize>,
) -> Arc<dyn ExecutionPlan> {
    Arc::new(SlicedExec::new(plan, Slices::ByRows(rows)))
}

/// Hands on its input's batches in slices.
#[derive(Debug)]
struct SlicedExec {
    input: Arc<dyn ExecutionPlan>,
    slices: Slices,
    properties: Arc<PlanProperties>,
}

impl SlicedExec {
    fn new(input: Arc<dyn ExecutionPlan>, slices: Slices) -> Self {
        let properties = Arc::clone(input.properties());
        SlicedExec { input, slices, properties }
    }
}

shown_by_name!(SlicedExec, NAME);

impl ExecutionPlan for SlicedExec {
    fn name(&self) -> &str {
        NAME
    }

    one_input!(NAME, |own, input| SlicedExec::new(input, own.slices.clone()));

    no_expressions!();

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batches = self.input.execute(partition, context)?;
        let slices = self.slices.clone();
        let sliced = batches.flat_map(move |batch| match batch {
            Ok(batch) => {
                let (slices, mut start) = (slices.clone(), 0);
                stream::iter(std::iter::from_fn(move || {
                    if start >= batch.num_rows() {
                        return None;
                    }
                    let rows = slices.next(&batch, start);
                    let slice = batch.slice(start, rows);
                    start += rows;
                    Some(Ok(slice))
                }))
                .left_stream()
            }
            Err(error) => stream::iter([Err(error)]).right_stream(),
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), sliced)))
    }

    hands_on_filters!();
}
