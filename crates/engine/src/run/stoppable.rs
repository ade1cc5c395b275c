//! Joins and the like look at whether their statement goes on.
//!
//! A task that computes is cancelled where it waits, and it waits when it takes a batch from a
//! source. An operator that makes many rows of few takes none for minutes: a cross join of a million
//! rows with a million. Above each such operator stands one that looks at every batch. A join whose
//! condition no pair of rows meets gives no batch either: its condition looks each time it is asked.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, PlanProperties};
use frazil_functions::StatementStop;
use futures::StreamExt;

use crate::run::one_input::{hands_on_filters, no_expressions, one_input, shown_by_name};

/// The operators that can give many rows for each batch they take.
const MULTIPLYING: &[&str] = &[
    "CrossJoinExec",
    "NestedLoopJoinExec",
    "HashJoinExec",
    "SortMergeJoinExec",
    "PiecewiseMergeJoinExec",
    "UnnestExec",
];

const NAME: &str = "StoppableExec";

/// After so long others that wait for the thread have a turn: whoever takes these batches may never
/// wait for anything else.
const TURN: Duration = Duration::from_millis(20);

/// Puts a [`StoppableExec`] above every operator that multiplies rows.
#[derive(Debug)]
pub(crate) struct StopMultiplying;

impl PhysicalOptimizerRule for StopMultiplying {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(stop) = options.extensions.get::<StatementStop>() else { return Ok(plan) };
        let wrapped = plan.transform_up(|node| {
            if !MULTIPLYING.contains(&node.name()) {
                return Ok(Transformed::no(node));
            }
            let node = with_stoppable_condition(node, stop)?;
            Ok(Transformed::yes(Arc::new(StoppableExec::new(node, stop.clone())) as _))
        })?;
        Ok(wrapped.data)
    }

    fn name(&self) -> &str {
        "stop_multiplying"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The join with a condition that looks whether the statement goes on; other operators as they are.
fn with_stoppable_condition(
    node: Arc<dyn ExecutionPlan>,
    stop: &StatementStop,
) -> Result<Arc<dyn ExecutionPlan>> {
    let stoppable = |filter: &JoinFilter| {
        let condition = StoppableExpr { expr: Arc::clone(filter.expression()), stop: stop.clone() };
        JoinFilter::new(
            Arc::new(condition),
            filter.column_indices().to_vec(),
            Arc::clone(filter.schema()),
        )
    };
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        let filter = match join.filter() {
            Some(filter) => stoppable(filter),
            // One that tells of rows whether there are others gives them at its end.
            None if gives_rows_late(join.join_type()) => {
                let always = JoinFilter::new(lit(true), Vec::new(), Arc::new(Schema::empty()));
                stoppable(&always)
            }
            None => return Ok(node),
        };
        let builder = NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter));
        return Ok(Arc::new(builder.build()?));
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>()
        && let Some(filter) = join.filter()
    {
        return join.builder().with_filter(Some(stoppable(filter))).build_exec();
    }
    Ok(node)
}

fn gives_rows_late(join_type: &JoinType) -> bool {
    match join_type {
        JoinType::LeftSemi
        | JoinType::LeftAnti
        | JoinType::LeftMark
        | JoinType::RightSemi
        | JoinType::RightAnti
        | JoinType::RightMark => true,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => false,
    }
}

/// An expression that is not evaluated once the statement is to stop.
#[derive(Debug, Clone)]
struct StoppableExpr {
    expr: Arc<dyn PhysicalExpr>,
    stop: StatementStop,
}

impl fmt::Display for StoppableExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl PartialEq for StoppableExpr {
    fn eq(&self, other: &Self) -> bool {
        self.expr.eq(&other.expr)
    }
}

impl Eq for StoppableExpr {}

impl Hash for StoppableExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expr.hash(state);
    }
}

impl PhysicalExpr for StoppableExpr {
    fn return_field(&self, input_schema: &Schema) -> Result<FieldRef> {
        self.expr.return_field(input_schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.stop.check().map_err(|error| DataFusionError::External(Box::new(error)))?;
        self.expr.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.expr]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match children.into_iter().next() {
            Some(expr) => Ok(Arc::new(StoppableExpr { expr, stop: self.stop.clone() })),
            None => Err(DataFusionError::Internal("a condition has one expression".to_string())),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt_sql(f)
    }
}

/// Hands on its input's batches until the statement is to stop.
#[derive(Debug)]
struct StoppableExec {
    input: Arc<dyn ExecutionPlan>,
    stop: StatementStop,
    properties: Arc<PlanProperties>,
}

impl StoppableExec {
    fn new(input: Arc<dyn ExecutionPlan>, stop: StatementStop) -> Self {
        let properties = Arc::clone(input.properties());
        StoppableExec { input, stop, properties }
    }
}

shown_by_name!(StoppableExec, NAME);

impl ExecutionPlan for StoppableExec {
    fn name(&self) -> &str {
        NAME
    }

    one_input!(NAME, |own, input| StoppableExec::new(input, own.stop.clone()));

    no_expressions!();

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let mut batches = self.input.execute(partition, context)?;
        let stop = self.stop.clone();
        let mut since = Instant::now();
        let checked = futures::stream::poll_fn(move |cx| {
            if since.elapsed() > TURN {
                since = Instant::now();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let batch = std::task::ready!(batches.poll_next_unpin(cx));
            Poll::Ready(batch.map(|batch| {
                stop.check().map_err(|error| DataFusionError::External(Box::new(error)))?;
                batch
            }))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), checked)))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    hands_on_filters!();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::physical_plan::empty::EmptyExec;

    use super::*;

    #[test]
    fn a_join_without_a_condition_that_gives_rows_late_has_one_to_look_in() {
        let mut options = ConfigOptions::new();
        options.extensions.insert(StatementStop::when(|| false));
        let empty =
            || Arc::new(EmptyExec::new(Arc::new(Schema::empty()))) as Arc<dyn ExecutionPlan>;
        for (join_type, looks) in [(JoinType::LeftSemi, true), (JoinType::Left, false)] {
            let join =
                NestedLoopJoinExec::try_new(empty(), empty(), None, &join_type, None).unwrap();
            let plan = StopMultiplying.optimize(Arc::new(join), &options).unwrap();
            let below = Arc::clone(plan.children()[0]);
            let join = below.downcast_ref::<NestedLoopJoinExec>().unwrap();
            assert_eq!(join.filter().is_some(), looks, "{join_type}");
        }
    }
}
