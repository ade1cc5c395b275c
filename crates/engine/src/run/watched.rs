//! Aggregates that collect their rows look whether the statement goes on, and over a window count what
//! they make.
//!
//! An operator over sliding frames makes a value for every row of a batch, and with some frames for every
//! row of a partition, before it hands on any. Arrays of thousands of elements come to gigabytes in this
//! way, outside any memory limit. So they count what they make, an operator above tells them what has
//! left, and rows come in slices where their values can leave early.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::{
    AggregateUDF, Expr, LogicalPlan, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::physical_expr::window::{
    PlainAggregateWindowExpr, SlidingAggregateWindowExpr, WindowExpr,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{
    ExecutionPlan, InputOrderMode, PlanProperties, ReplaceChildrenOptions,
};
use frazil_functions::{MadeBytesMax, StatementStop, Watch, counting_watch, value_bytes};
use futures::StreamExt;

use crate::run::one_input::{no_expressions, one_input, shown_by_name};
use crate::run::sliced::sliced;

const NAME: &str = "HandedOnExec";

/// The plan whose collecting aggregates stop with the statement. Those over windows hold no more than
/// `held_max` until it is handed on.
pub(crate) fn watched(
    plan: LogicalPlan,
    stop: &StatementStop,
    held_max: &MadeBytesMax,
) -> Result<LogicalPlan> {
    let watched = plan.transform_down_with_subqueries(|node| {
        if !matches!(node, LogicalPlan::Window(_) | LogicalPlan::Aggregate(_)) {
            return Ok(Transformed::no(node));
        }
        let stopping = Watch::stopping(stop.clone());
        let counting = Watch::counting(stop.clone(), held_max.clone());
        node.map_expressions(|expr| {
            expr.transform_down(|expr| Ok(watched_call(expr, &stopping, &counting)))
        })
    })?;
    Ok(watched.data)
}

/// A call is at the top of an expression, perhaps under an alias.
fn watched_call(expr: Expr, stopping: &Watch, counting: &Watch) -> Transformed<Expr> {
    let (expr, changed) = match expr {
        Expr::Alias(_) => return Transformed::no(expr),
        Expr::AggregateFunction(mut call) => {
            let aggregate = frazil_functions::watched(&call.func, stopping).map(Arc::new);
            let changed = aggregate.is_some();
            call.func = aggregate.unwrap_or(call.func);
            (Expr::AggregateFunction(call), changed)
        }
        Expr::WindowFunction(mut call) => {
            let watch = if has_one_value(&call.params) { stopping } else { counting };
            let aggregate = match &call.fun {
                WindowFunctionDefinition::AggregateUDF(aggregate) => {
                    frazil_functions::watched(aggregate, watch)
                }
                WindowFunctionDefinition::WindowUDF(_) => None,
            };
            let changed = aggregate.is_some();
            if let Some(aggregate) = aggregate {
                call.fun = WindowFunctionDefinition::AggregateUDF(Arc::new(aggregate));
            }
            (Expr::WindowFunction(call), changed)
        }
        other => (other, false),
    };
    Transformed::new(expr, changed, TreeNodeRecursion::Jump)
}

/// Whether all rows of a partition have the same frame: they share one value, which is made of no more
/// than what is held of them.
fn has_one_value(over: &WindowFunctionParams) -> bool {
    let frame = &over.window_frame;
    [&frame.start_bound, &frame.end_bound].into_iter().all(|bound| match bound {
        WindowFrameBound::CurrentRow => {
            frame.units == WindowFrameUnits::Range && over.order_by.is_empty()
        }
        bound => bound.is_unbounded(),
    })
}

/// Puts a [`HandedOnExec`] above every window operator whose aggregates count.
#[derive(Debug)]
pub(crate) struct CountWindows;

impl PhysicalOptimizerRule for CountWindows {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let counted = plan.transform_up(|node| {
            // The bounded one hands on what it can of each batch; where partitions are not in order
            // it looks at all of them for each, and small batches would cost too much.
            let (exprs, input, slices) =
                if let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() {
                    let in_order = window.input_order_mode == InputOrderMode::Sorted;
                    (window.window_expr(), window.input(), in_order)
                } else if let Some(window) = node.downcast_ref::<WindowAggExec>() {
                    (window.window_expr(), window.input(), false)
                } else {
                    return Ok(Transformed::no(node));
                };
            let first = input.schema().fields().len();
            let counted = exprs.iter().enumerate().filter_map(|(index, expr)| {
                Some((first + index, counting_watch(aggregate(expr.as_ref())?)?.clone()))
            });
            let counted: Vec<(usize, Watch)> = counted.collect();
            let Some((_, watch)) = counted.first() else { return Ok(Transformed::no(node)) };
            let window = if slices {
                let input = sliced(Arc::clone(input), watch.slice_rows());
                let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
                node.replace_children(vec![input], options)?
            } else {
                node
            };
            Ok(Transformed::yes(Arc::new(HandedOnExec::new(window, counted)) as _))
        })?;
        Ok(counted.data)
    }

    fn name(&self) -> &str {
        "count_windows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn aggregate(expr: &dyn WindowExpr) -> Option<&AggregateUDF> {
    let any = expr.as_any();
    if let Some(sliding) = any.downcast_ref::<SlidingAggregateWindowExpr>() {
        return Some(sliding.get_aggregate_expr().fun());
    }
    Some(any.downcast_ref::<PlainAggregateWindowExpr>()?.get_aggregate_expr().fun())
}

/// Hands on its input's batches, and tells those who count.
#[derive(Debug)]
struct HandedOnExec {
    input: Arc<dyn ExecutionPlan>,
    /// Columns, and what counts their bytes.
    counted: Vec<(usize, Watch)>,
    properties: Arc<PlanProperties>,
}

impl HandedOnExec {
    fn new(input: Arc<dyn ExecutionPlan>, counted: Vec<(usize, Watch)>) -> Self {
        let properties = Arc::clone(input.properties());
        HandedOnExec { input, counted, properties }
    }
}

shown_by_name!(HandedOnExec, NAME);

impl ExecutionPlan for HandedOnExec {
    fn name(&self) -> &str {
        NAME
    }

    one_input!(NAME, |own, input| HandedOnExec::new(input, own.counted.clone()));

    no_expressions!();

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batches = self.input.execute(partition, context)?;
        let counted = self.counted.clone();
        let told = batches.inspect(move |batch| {
            let Ok(batch) = batch else { return };
            for (column, watch) in &counted {
                watch.handed_on(value_bytes(batch.column(*column).as_ref()));
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), told)))
    }
}
