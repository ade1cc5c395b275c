//! Groups that no row will ask for are not made.
//!
//! `… JOIN (SELECT k, agg FROM big GROUP BY k) ON x = k`, which a correlated subquery becomes,
//! aggregates all of `big`, though `x` may take few values. Where the relation that `x` comes from
//! is estimated to keep few of them, `big` is first reduced to those by a semi join.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinConstraint, JoinType, NullEquality, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::{
    Aggregate, Expr, Join, LogicalPlan, LogicalPlanBuilder, Projection, SubqueryAlias,
};

use super::cardinality::estimate;
use super::join_order::has_subquery;

/// Part of the groups that may be asked for at most.
const PART_MAX: f64 = 0.2;
/// Aggregates over fewer rows are left alone.
const ROWS_MIN: f64 = 50_000.0;

/// Reduces the input of aggregates that are joined by their groups. Tells whether there were any.
pub(super) fn push_down(plan: LogicalPlan) -> Result<(LogicalPlan, bool)> {
    let mut count = 0;
    let result = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Join(join) = node else { return Ok(Transformed::no(node)) };
        reduced(join, &mut count)
    })?;
    Ok((result.data, result.transformed))
}

fn reduced(mut join: Join, count: &mut usize) -> Result<Transformed<LogicalPlan>> {
    let (left, right) = match join.join_type {
        JoinType::Inner => (true, true),
        // Groups without a row on the other side never show.
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => (false, true),
        JoinType::Right => (true, false),
        _ => (false, false),
    };
    if join.null_equality != NullEquality::NullEqualsNothing || join.null_aware {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let mut changed = false;
    for (l, r) in &join.on {
        let (Expr::Column(l), Expr::Column(r)) = (l, r) else { continue };
        if right && let Some(plan) = with_keys(&join.right, r, &join.left, l, count)? {
            join.right = Arc::new(plan);
            changed = true;
            break;
        }
        if left && let Some(plan) = with_keys(&join.left, l, &join.right, r, count)? {
            join.left = Arc::new(plan);
            changed = true;
            break;
        }
    }
    let plan = LogicalPlan::Join(join);
    Ok(if changed { Transformed::yes(plan) } else { Transformed::no(plan) })
}

/// `groups` with the input of its aggregate reduced to the values that `asking` has for its column
/// `key`; none where that is not possible or does not pay.
fn with_keys(
    groups: &LogicalPlan,
    group: &Column,
    asking: &LogicalPlan,
    key: &Column,
    count: &mut usize,
) -> Result<Option<LogicalPlan>> {
    match groups {
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(inner) = renamed(&alias.input, groups, group) else { return Ok(None) };
            let Some(input) = with_keys(&alias.input, &inner, asking, key, count)? else {
                return Ok(None);
            };
            let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?;
            Ok(Some(LogicalPlan::SubqueryAlias(alias)))
        }
        LogicalPlan::Projection(projection) => {
            let place = projection.schema.maybe_index_of_column(group);
            let expr = place.and_then(|place| projection.expr.get(place));
            let inner = match expr {
                Some(Expr::Column(inner)) => inner,
                Some(Expr::Alias(alias)) => match alias.expr.as_ref() {
                    Expr::Column(inner) => inner,
                    _ => return Ok(None),
                },
                _ => return Ok(None),
            };
            let Some(input) = with_keys(&projection.input, inner, asking, key, count)? else {
                return Ok(None);
            };
            let projection = Projection::try_new(projection.expr.clone(), Arc::new(input))?;
            Ok(Some(LogicalPlan::Projection(projection)))
        }
        LogicalPlan::Aggregate(aggregate) => {
            let place = aggregate.schema.maybe_index_of_column(group);
            let Some(Expr::Column(inner)) = place.and_then(|p| aggregate.group_expr.get(p)) else {
                return Ok(None);
            };
            let rows = estimate(&aggregate.input);
            if rows.rows < ROWS_MIN {
                return Ok(None);
            }
            let Some(source) = source_of(asking, key) else { return Ok(None) };
            if is_volatile(source) {
                return Ok(None);
            }
            let asked = estimate(source).rows;
            if asked > PART_MAX * rows.column(&Expr::Column(inner.clone())).distinct {
                return Ok(None);
            }
            let input = Arc::clone(&aggregate.input);
            let input = semi_join(input, inner, source.clone(), key, count)?;
            Ok(Some(LogicalPlan::Aggregate(Aggregate::try_new(
                Arc::new(input),
                aggregate.group_expr.clone(),
                aggregate.aggr_expr.clone(),
            )?)))
        }
        _ => Ok(None),
    }
}

/// The column of an alias's input.
fn renamed(input: &LogicalPlan, alias: &LogicalPlan, column: &Column) -> Option<Column> {
    let place = alias.schema().maybe_index_of_column(column)?;
    input.schema().columns().into_iter().nth(place)
}

fn semi_join(
    input: Arc<LogicalPlan>,
    group: &Column,
    source: LogicalPlan,
    key: &Column,
    count: &mut usize,
) -> Result<LogicalPlan> {
    *count += 1;
    let relation = TableReference::bare(format!("__keys_{count}"));
    let keys = LogicalPlanBuilder::from(source)
        .project(vec![Expr::Column(key.clone()).alias("key")])?
        .alias(relation.clone())?
        .build()?;
    let right = Expr::Column(Column::new(Some(relation), "key"));
    Ok(LogicalPlan::Join(Join::try_new(
        input,
        Arc::new(keys),
        vec![(Expr::Column(group.clone()), right)],
        None,
        JoinType::LeftSemi,
        JoinConstraint::On,
        NullEquality::NullEqualsNothing,
        false,
    )?))
}

/// The relation below inner joins that a column comes from: a superset of the column's values.
fn source_of<'a>(plan: &'a LogicalPlan, column: &Column) -> Option<&'a LogicalPlan> {
    plan.schema().maybe_index_of_column(column)?;
    match plan {
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner => {
                source_of(&join.left, column).or_else(|| source_of(&join.right, column))
            }
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::Left => {
                source_of(&join.left, column)
            }
            _ => None,
        },
        LogicalPlan::Projection(node)
            if node.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) =>
        {
            source_of(&node.input, column)
        }
        LogicalPlan::Filter(_) | LogicalPlan::TableScan(_) | LogicalPlan::SubqueryAlias(_) => {
            is_cheap(plan).then_some(plan)
        }
        _ => None,
    }
}

/// A relation that may be read twice: a table with filters.
fn is_cheap(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Filter(_) | LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().into_iter().all(is_cheap)
        }
        _ => false,
    }
}

fn is_volatile(plan: &LogicalPlan) -> bool {
    plan.exists(|node| {
        let mut found = false;
        node.apply_expressions(|expr| {
            found |= expr.is_volatile() || has_subquery(expr);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    })
    .unwrap_or(true)
}
