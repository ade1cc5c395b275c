//! Plans that read no rows but those written in the statement, such as `SELECT 1` and the rows of
//! `INSERT … VALUES`. Of all rules only those on expressions change anything there, and looking
//! whether another one does takes longer than running the plan.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::Optimizer;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;

/// Whether a plan computes its rows from literals alone, without any operator that changes their
/// number or order.
pub(crate) fn is_constant(plan: &LogicalPlan) -> bool {
    let input = match plan {
        LogicalPlan::EmptyRelation(_) => return true,
        LogicalPlan::Values(_) => None,
        LogicalPlan::Projection(projection) => Some(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => Some(&alias.input),
        _ => return false,
    };
    let mut nested = false;
    let walked = plan.apply_expressions(|expr| {
        expr.apply(|part| {
            nested |= is_query(part);
            Ok(if nested { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    });
    walked.is_ok() && !nested && input.is_none_or(|input| is_constant(input))
}

fn is_query(expr: &Expr) -> bool {
    use Expr::*;
    matches!(
        expr,
        ScalarSubquery(_)
            | InSubquery(_)
            | Exists(_)
            | SetComparison(_)
            | Unnest(_)
            | OuterReferenceColumn(..)
            | Placeholder(_)
    )
}

/// A constant plan as it is run.
pub(super) fn simplify(state: &SessionState, plan: &LogicalPlan) -> Result<LogicalPlan> {
    let options = state.config_options();
    let plan = state.analyzer().execute_and_check(plan.clone(), options, |_, _| {})?;
    let rules = Optimizer::with_rules(vec![Arc::new(SimplifyExpressions::new())]);
    rules.optimize(plan, state, |_, _| {})
}
