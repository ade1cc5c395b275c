//! Logical optimisation: DataFusion's rules, then those that need estimates of row counts.

mod aggregate_keys;
mod cardinality;
mod constant;
mod constant_filters;
mod cross_joins;
mod equalities;
mod existence;
mod join_order;
mod names;
mod not_in;
mod stopping;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{Optimizer, OptimizerConfig, OptimizerRule};
use frazil_governance::check_refusals;

pub(crate) use constant::is_constant;
use constant_filters::keep_constants_above;
use cross_joins::keep_nulls_apart;
use not_in::keep_unknown;
use stopping::stopping;

/// The rules on every plan.
pub(crate) fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = frazil_planner::optimizer_rules();
    keep_nulls_apart(&mut rules);
    keep_constants_above(&mut rules);
    keep_unknown(&mut rules);
    stopping(rules)
}

/// The plan that is run.
///
/// # Errors
/// A column that it reads and that cannot be read.
pub(crate) fn optimize(state: &SessionState, plan: &LogicalPlan) -> Result<LogicalPlan> {
    if is_constant(plan) {
        return constant::simplify(state, plan);
    }
    names::pass_by(plan, state.alias_generator());
    let plan = state.optimize(plan)?;
    check_refusals(&plan)?;
    // DataFusion's rules keep joins as they are written, so the order is chosen after them.
    let (plan, keys) = aggregate_keys::push_down(plan)?;
    let (plan, joins) = join_order::reorder(plan)?;
    if !keys && !joins {
        return equalities::of_filters(existence::of_one_row(plan)?);
    }
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> =
        vec![Arc::new(PushDownFilter::new()), Arc::new(OptimizeProjections::new())];
    keep_constants_above(&mut rules);
    let rules = Optimizer::with_rules(stopping(rules));
    let plan = existence::of_one_row(rules.optimize(plan, state, |_, _| {})?)?;
    equalities::of_filters(plan)
}
