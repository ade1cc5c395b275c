//! Whether there is a row at all is told by one.
//!
//! `EXISTS (SELECT … )` that compares with nothing outside becomes a join without a condition, which would
//! meet every row of the one side with every row of the other.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{JoinType, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Join, Limit, LogicalPlan, lit};

/// The plan that reads one row of what is only asked whether it has any.
pub(super) fn of_one_row(plan: LogicalPlan) -> Result<LogicalPlan> {
    let read = plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::Join(join) if !has_condition(&join) => Ok(with_one_row(join)),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(read.data)
}

fn has_condition(join: &Join) -> bool {
    let always = |filter: &Expr| {
        matches!(filter, Expr::Literal(ScalarValue::Boolean(Some(true)), _metadata))
    };
    !join.on.is_empty() || join.null_aware || !join.filter.as_ref().is_none_or(always)
}

fn with_one_row(mut join: Join) -> Transformed<LogicalPlan> {
    let asked = match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => &mut join.right,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => &mut join.left,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            return Transformed::no(LogicalPlan::Join(join));
        }
    };
    let fetch = Some(Box::new(lit(1_i64)));
    *asked = Arc::new(LogicalPlan::Limit(Limit { skip: None, fetch, input: Arc::clone(asked) }));
    Transformed::yes(LogicalPlan::Join(join))
}
