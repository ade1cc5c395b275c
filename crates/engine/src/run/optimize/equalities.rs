//! Filters that equate a column with an expression tell nothing of the order of rows.
//!
//! DataFusion takes both sides of `ABS(c) = c` for one, and puts the one in the other's place wherever rows
//! are sorted. As the expression holds the column itself, windows of such rows found their own order no more.
//! A filter keeps the same rows where it asks whether the equality `IS TRUE`, and nothing is made of that.

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};

/// The plan whose filters equate no column with an expression of columns.
pub(super) fn of_filters(plan: LogicalPlan) -> Result<LogicalPlan> {
    let asked = plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::Filter(mut filter)
            if split_conjunction(&filter.predicate).into_iter().any(equates) =>
        {
            let conditions = split_conjunction_owned(filter.predicate.clone()).into_iter();
            let conditions = conditions.map(|condition| match equates(&condition) {
                true => condition.is_true(),
                false => condition,
            });
            if let Some(predicate) = conjunction(conditions) {
                filter.predicate = predicate;
            }
            Ok(Transformed::yes(LogicalPlan::Filter(filter)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(asked.data)
}

/// Whether a condition is `column = expression of columns`, either way round.
fn equates(condition: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
        return false;
    };
    let computed = |side: &Expr| !matches!(side, Expr::Column(_)) && side.any_column_refs();
    matches!(left.as_ref(), Expr::Column(_)) && computed(right)
        || matches!(right.as_ref(), Expr::Column(_)) && computed(left)
}
