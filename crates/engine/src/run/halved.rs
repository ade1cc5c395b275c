//! Projections whose functions make too much of a whole batch of rows take it in parts.
//!
//! What one call of a function makes is limited ([`frazil_functions::MadeBytesMax`]), for the batch it
//! makes is in memory at once. Long texts reach the limit with the rows of a batch where they would not
//! with fewer: then the batch is halved, until it fits or is a single row. What was made is reserved
//! until the next batch is asked for; where the memory has no place for it, that is too much as well.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use frazil_common::{Code, UserError};
use futures::StreamExt;

use crate::run::one_input::one_input;

/// Its name as an operator; a profile calls it what it does.
pub(crate) const NAME: &str = "HalvedExec";

/// Puts a [`HalvedExec`] in the place of every projection that calls functions. Where one of them gives
/// another value each time it is asked, nothing may be asked twice: those projections stay.
#[derive(Debug)]
pub(crate) struct HalveProjections;

impl PhysicalOptimizerRule for HalveProjections {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let halved = plan.transform_up(|node| {
            let Some(projection) = node.downcast_ref::<ProjectionExec>() else {
                return Ok(Transformed::no(node));
            };
            let exprs = projection.expr().iter().map(|expr| &expr.expr);
            if !exprs.clone().any(calls) || exprs.clone().any(is_volatile) {
                return Ok(Transformed::no(node));
            }
            let exprs = projection.expr().to_vec();
            let properties = Arc::clone(projection.properties());
            let input = Arc::clone(projection.input());
            Ok(Transformed::yes(Arc::new(HalvedExec {
                exprs,
                input,
                properties,
                metrics: ExecutionPlanMetricsSet::new(),
            }) as _))
        })?;
        Ok(halved.data)
    }

    fn name(&self) -> &str {
        "halve_projections"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn calls(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.downcast_ref::<ScalarFunctionExpr>().is_some() || expr.children().into_iter().any(calls)
}

/// What functions make of one batch is counted from so many bytes on: most make less, and each count
/// would have all threads wait for one lock.
const COUNTED_BYTES: usize = 4 * 1024 * 1024;

/// Whether a batch of fewer rows may do where this error came.
fn is_too_much(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => true,
        DataFusionError::External(inner) => {
            inner.downcast_ref::<UserError>().is_some_and(|error| error.code == Code::ResourceLimit)
        }
        _ => false,
    }
}

/// A projection that takes batches in parts where it must.
#[derive(Debug)]
pub(crate) struct HalvedExec {
    exprs: Vec<ProjectionExpr>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl HalvedExec {
    /// What it makes, column by column.
    pub fn exprs(&self) -> &[ProjectionExpr] {
        &self.exprs
    }

    /// Where it takes its rows from.
    pub fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }
}

/// The parts of batches that are still to be taken, the first one last.
struct Parts {
    /// For what was made of the last one.
    reservation: MemoryReservation,
    waiting: Vec<RecordBatch>,
    /// Rows that were not too many so far.
    rows: usize,
}

impl Parts {
    /// Cuts a batch into parts of so many rows as were not too many.
    fn add(&mut self, batch: &RecordBatch) {
        let rows = self.rows.max(1);
        let starts = (0..batch.num_rows().max(1)).step_by(rows);
        let parts = starts.map(|start| batch.slice(start, rows.min(batch.num_rows() - start)));
        let mut parts: Vec<RecordBatch> = parts.collect();
        parts.reverse();
        self.waiting.append(&mut parts);
    }

    /// What is made of the next part.
    fn next(
        &mut self,
        exprs: &[ProjectionExpr],
        schema: &SchemaRef,
    ) -> Option<Result<RecordBatch>> {
        // Whoever has the last one counts it by now.
        self.reservation.free();
        loop {
            let part = self.waiting.pop()?;
            match evaluate(exprs, schema, &part, &mut self.reservation) {
                Err(error) if part.num_rows() > 1 && is_too_much(&error) => {
                    self.rows = part.num_rows().div_ceil(2);
                    self.add(&part);
                }
                done => return Some(done),
            }
        }
    }
}

fn evaluate(
    exprs: &[ProjectionExpr],
    schema: &SchemaRef,
    batch: &RecordBatch,
    reservation: &mut MemoryReservation,
) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let columns = exprs
        .iter()
        .map(|expr| expr.expr.evaluate(batch)?.into_array(rows))
        .collect::<Result<Vec<_>>>()?;
    let made = exprs.iter().zip(&columns).filter(|(expr, _)| calls(&expr.expr));
    let bytes: usize = made.map(|(_, column)| column.get_array_memory_size()).sum();
    if bytes >= COUNTED_BYTES {
        reservation.try_resize(bytes)?;
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

impl DisplayAs for HalvedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exprs: Vec<String> = self.exprs.iter().map(|expr| expr.expr.to_string()).collect();
        write!(f, "ProjectionExec: expr=[{}]", exprs.join(", "))
    }
}

impl ExecutionPlan for HalvedExec {
    fn name(&self) -> &str {
        NAME
    }

    one_input!(NAME, |own, input| HalvedExec {
        exprs: own.exprs.clone(),
        input,
        properties: Arc::clone(&own.properties),
        metrics: ExecutionPlanMetricsSet::new(),
    });

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut go_on = TreeNodeRecursion::Continue;
        for expr in &self.exprs {
            go_on = go_on.visit_sibling(|| f(&expr.expr))?;
        }
        Ok(go_on)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let reservation = MemoryConsumer::new(NAME).register(context.memory_pool());
        let mut input = self.input.execute(partition, context)?;
        let (exprs, schema) = (self.exprs.clone(), self.schema());
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut parts = Parts { reservation, waiting: Vec::new(), rows: usize::MAX };
        let made = futures::stream::poll_fn(move |cx| {
            loop {
                let timer = metrics.elapsed_compute().timer();
                let made = parts.next(&exprs, &schema);
                timer.done();
                if made.is_some() {
                    return metrics.record_poll(std::task::Poll::Ready(made));
                }
                match std::task::ready!(input.poll_next_unpin(cx)) {
                    Some(Ok(batch)) => parts.add(&batch),
                    Some(Err(error)) => return std::task::Poll::Ready(Some(Err(error))),
                    None => return std::task::Poll::Ready(None),
                }
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), made)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::arrow::array::{Int64Array, StringArray};
    use datafusion::arrow::datatypes::DataType;
    use datafusion::datasource::{MemTable, provider_as_source};
    use datafusion::logical_expr::{
        ColumnarValue, LogicalPlanBuilder, Volatility, col, create_udf,
    };
    use datafusion::physical_plan::execute_stream;
    use futures::TryStreamExt;

    use super::*;
    use crate::run::runtime::QueryRuntime;

    const MIB: usize = 1 << 20;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_functions_make_is_reserved_and_made_in_parts_that_fit() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = QueryRuntime::new(1, 24 * MIB, 0, folder.path()).unwrap();
        let numbers = Arc::new(Int64Array::from_iter_values(0..64)) as _;
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        // A mebibyte for each row.
        let long = create_udf(
            "long",
            vec![DataType::Int64],
            DataType::Utf8,
            Volatility::Immutable,
            Arc::new(|arguments: &[ColumnarValue]| {
                let numbers = ColumnarValue::values_to_arrays(arguments)?;
                let texts = std::iter::repeat_n("x".repeat(MIB), numbers[0].len());
                let texts = StringArray::from_iter_values(texts);
                Ok(ColumnarValue::Array(Arc::new(texts)))
            }),
        );
        let plan = LogicalPlanBuilder::scan("t", provider_as_source(Arc::new(table)), None)
            .unwrap()
            .project([long.call(vec![col("n")])])
            .unwrap()
            .build()
            .unwrap();
        let plan = runtime.state().create_physical_plan(&plan).await.unwrap();
        let pool = &runtime.state().runtime_env().memory_pool;
        let mut made = execute_stream(plan, runtime.task_context()).unwrap();
        let first = made.try_next().await.unwrap().unwrap();
        assert_eq!(first.num_rows(), 16);
        assert!(pool.reserved() >= 16 * MIB, "{}", pool.reserved());
        let mut rows = first.num_rows();
        while let Some(batch) = made.try_next().await.unwrap() {
            rows += batch.num_rows();
        }
        drop(made);
        assert_eq!((rows, pool.reserved()), (64, 0));
    }
}
