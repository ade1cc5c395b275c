//! Subqueries that look at the row around them: which of them the engine computes rightly.
//!
//! It takes the conditions that name outer columns out of such a query and joins by them. What stands
//! between those conditions and the query's top must be the same for all rows together as for those of one
//! outer row. Windows are made so; what cannot be is refused.

use std::sync::Arc;

use datafusion::logical_expr::expr::{BinaryExpr, WindowFunctionParams};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, Operator, Projection, when};
use frazil_common::{Code, UserError};

use crate::error::{PlannerError, Result};

/// The name of a condition's value.
const MET: &str = "\0met";

/// Whether a query looks at the row around it.
pub(crate) fn is_correlated(plan: &LogicalPlan) -> bool {
    // What a lateral query looks at is beside it.
    !matches!(plan, LogicalPlan::Subquery(_))
        && (plan.contains_outer_reference() || plan.inputs().into_iter().any(is_correlated))
}

pub(crate) fn refused() -> PlannerError {
    UserError::new(Code::UnsupportedSubquery, "Unsupported subquery type cannot be evaluated")
        .into()
}

/// Whether a plan always gives one row.
pub(super) fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_one_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}

/// What is above a part of a query.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Above {
    /// Whether one aggregate of all rows may come: the query is one value.
    pub one_row: bool,
    /// Something is computed of the rows of a group: they are tied to their outer row by equality.
    pub aggregated: bool,
    /// Columns by which rows are tied come through as they are, and no further ones.
    pub joined: bool,
}

/// # Errors
/// 002031 for a query that looks at the row around it from below what mixes the rows of all.
pub(crate) fn check(plan: &LogicalPlan, above: Above) -> Result<()> {
    if !is_correlated(plan) {
        return Ok(());
    }
    let mut below = Above { one_row: false, ..above };
    match plan {
        // A select sees to its own windows.
        LogicalPlan::Window(_) | LogicalPlan::Unnest(_) => below.joined = true,
        LogicalPlan::Projection(_) if !above.joined => below.one_row = above.one_row,
        LogicalPlan::Filter(filter) => {
            let mut ties = split_conjunction(&filter.predicate).into_iter();
            if above.aggregated && ties.any(|tie| tie.contains_outer() && !is_column_tie(tie)) {
                return Err(refused());
            }
        }
        LogicalPlan::Distinct(_) if !above.joined => {}
        LogicalPlan::Aggregate(aggregate) if !above.joined => {
            if aggregate.group_expr.is_empty() && !above.one_row {
                return Err(refused());
            }
            below.aggregated |= !aggregate.aggr_expr.is_empty();
        }
        LogicalPlan::Join(join) => {
            let (left, right) = (is_correlated(&join.left), is_correlated(&join.right));
            let kept = match join.join_type {
                JoinType::Inner => true,
                JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                    !right
                }
                JoinType::Right
                | JoinType::RightSemi
                | JoinType::RightAnti
                | JoinType::RightMark => !left,
                JoinType::Full => false,
            };
            if !kept {
                return Err(refused());
            }
            below.joined = true;
        }
        _ => return Err(refused()),
    }
    // Only a condition is taken out.
    if !matches!(plan, LogicalPlan::Filter(_)) && plan.contains_outer_reference() {
        return Err(refused());
    }
    plan.inputs().into_iter().try_for_each(|input| check(input, below))
}

/// Whether a condition sets a column equal to what is one value for an outer row.
fn is_column_tie(condition: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
        return false;
    };
    let is_column = |expr: &Expr| match expr {
        Expr::Column(_) => true,
        Expr::Cast(cast) => matches!(cast.expr.as_ref(), Expr::Column(_)),
        _ => false,
    };
    (is_column(left) && !right.any_column_refs()) || (is_column(right) && !left.any_column_refs())
}

/// A query of one row, which HAVING may take away, as a query that always gives it, with NULLs for the row
/// that is not there; and the query of the condition's value.
pub(super) fn without_having(plan: &LogicalPlan) -> Result<Option<(LogicalPlan, LogicalPlan)>> {
    let LogicalPlan::Projection(projection) = plan else { return Ok(None) };
    let above = |exprs, input: LogicalPlan| -> Result<LogicalPlan> {
        Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?))
    };
    let LogicalPlan::Filter(filter) = projection.input.as_ref() else {
        let Some((rows, met)) = without_having(&projection.input)? else { return Ok(None) };
        return Ok(Some((above(projection.expr.clone(), rows)?, met)));
    };
    if !is_one_row(&filter.input) {
        return Ok(None);
    }
    let names = NamePreserver::new_for_projection();
    let exprs = projection
        .expr
        .iter()
        .map(|expr| {
            let name = names.save(expr);
            Ok(name.restore(when(filter.predicate.clone(), expr.clone().unalias()).end()?))
        })
        .collect::<Result<Vec<_>>>()?;
    let input = filter.input.as_ref();
    let met = above(vec![filter.predicate.clone().alias(MET)], input.clone())?;
    Ok(Some((above(exprs, input.clone())?, met)))
}

/// What a select's rows equal of the outer row, by its WHERE: a window over the rows of all outer rows is one
/// over those of each, if these come first among what it is partitioned by.
///
/// # Errors
/// 002031 where the rows are tied to the outer one in another way.
pub(crate) fn ties(rows: &LogicalPlan, condition: Option<&Expr>) -> Result<Vec<Expr>> {
    if is_correlated(rows) {
        return Err(refused());
    }
    let mut ties = Vec::new();
    for part in condition.into_iter().flat_map(split_conjunction) {
        if !part.contains_outer() {
            continue;
        }
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = part else {
            return Err(refused());
        };
        ties.push(match (left.contains_outer(), right.contains_outer()) {
            (false, true) if !right.any_column_refs() => left.as_ref().clone(),
            (true, false) if !left.any_column_refs() => right.as_ref().clone(),
            _ => return Err(refused()),
        });
    }
    Ok(ties)
}

/// The call of a window function partitioned by these too.
pub(crate) fn partitioned_by(call: Expr, ties: &[Expr]) -> Expr {
    let Expr::WindowFunction(mut call) = call else { return call };
    let WindowFunctionParams { partition_by, .. } = &mut call.params;
    partition_by.extend(ties.iter().cloned());
    Expr::WindowFunction(call)
}
