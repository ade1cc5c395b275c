//! Rows of operators that do not count them: scans of memory and of streams, and what a recursion runs again
//! and again, of which each round is a plan of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::config::ConfigOptions;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::metrics::{Count, Metric, MetricValue, MetricsSet};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::{ExecutionPlan, PlanProperties, ReplaceChildrenOptions};
use futures::TryStreamExt;

use crate::run::one_input::{hands_on_filters, no_expressions, one_input, shown_by_name};
use crate::run::profile::passes_on;

/// The operator's name in plans.
pub(crate) const NAME: &str = "CountedExec";

/// Puts a [`CountedExec`] above every operator whose rows nobody counts.
#[derive(Debug)]
pub(crate) struct CountRows;

impl PhysicalOptimizerRule for CountRows {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        counted(plan, false)
    }

    fn name(&self) -> &str {
        "count_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with rows counted where nobody does, or those of every operator.
fn counted(node: Arc<dyn ExecutionPlan>, every: bool) -> Result<Arc<dyn ExecutionPlan>> {
    let recursion = node.downcast_ref::<RecursiveQueryExec>().is_some();
    let inputs = node.children();
    let children = inputs
        .iter()
        .enumerate()
        .map(|(place, input)| counted(Arc::clone(input), every || (recursion && place > 0)))
        .collect::<Result<Vec<_>>>()?;
    let same = children.iter().zip(&inputs).all(|(new, old)| Arc::ptr_eq(new, old));
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    let node = if same { node } else { node.replace_children(children, options)? };
    Ok(match (every && !passes_on(node.name())) || counts_nothing(node.as_ref()) {
        true => Arc::new(CountedExec::new(node)),
        false => node,
    })
}

fn counts_nothing(node: &dyn ExecutionPlan) -> bool {
    if let Some(scan) = node.downcast_ref::<DataSourceExec>() {
        return scan.data_source().downcast_ref::<MemorySourceConfig>().is_some();
    }
    node.downcast_ref::<StreamingTableExec>().is_some()
}

/// Counts the rows of its input, over all plans that are made of it.
#[derive(Debug)]
struct CountedExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    rows: Arc<AtomicUsize>,
}

impl CountedExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = Arc::clone(input.properties());
        CountedExec { input, properties, rows: Arc::default() }
    }
}

shown_by_name!(CountedExec, NAME);

impl ExecutionPlan for CountedExec {
    fn name(&self) -> &str {
        NAME
    }

    one_input!(NAME, |own, input| CountedExec {
        rows: own.rows.clone(),
        ..CountedExec::new(input)
    });

    no_expressions!();

    fn metrics(&self) -> Option<MetricsSet> {
        let rows = Count::new();
        rows.add(self.rows.load(Ordering::Relaxed));
        let mut metrics = MetricsSet::new();
        metrics.push(Arc::new(Metric::new(MetricValue::OutputRows(rows), None)));
        Some(metrics)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batches = self.input.execute(partition, context)?;
        let rows = self.rows.clone();
        let counted = batches.inspect_ok(move |batch| {
            rows.fetch_add(batch.num_rows(), Ordering::Relaxed);
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    hands_on_filters!();
}
