//! EXISTS whose value is wanted, in a select list or a CASE.
//!
//! DataFusion joins the EXISTS of a filter with the rows that are filtered. Elsewhere it leaves them, and
//! nothing computes them: here the same join marks the rows that have a match.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::alias::AliasGenerator;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::expr_rewriter::replace_col;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, lit};
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{Optimizer, OptimizerConfig, OptimizerRule};

/// Its name among the rules.
const NAME: &str = "mark_exists";

/// DataFusion's rules, and the one for what the binder makes of EXISTS.
pub fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::default().rules;
    let place = rules.iter().position(|rule| rule.name() == "decorrelate_predicate_subquery");
    rules.insert(place.unwrap_or(0), Arc::new(MarkExists));
    rules
}

/// Joins a projection's input with the queries of its EXISTS.
#[derive(Debug)]
struct MarkExists;

impl OptimizerRule for MarkExists {
    fn name(&self) -> &str {
        NAME
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Projection(projection) = plan else { return Ok(Transformed::no(plan)) };
        if !projection.expr.iter().any(has_exists) {
            return Ok(Transformed::no(LogicalPlan::Projection(projection)));
        }
        let mut input = projection.input.as_ref().clone();
        let mut exprs = Vec::with_capacity(projection.expr.len());
        for expr in &projection.expr {
            let marked = expr.clone().transform_down(|part| {
                let Expr::Exists(Exists { subquery, negated }) = &part else {
                    return Ok(Transformed::no(part));
                };
                // What stands in there stands below the join from now on.
                let query = subquery.subquery.as_ref().clone();
                let query = query.transform_down(|node| self.rewrite(node, config)).data()?;
                let Some((joined, mark)) = marked(&input, query, config.alias_generator())? else {
                    return Ok(Transformed::no(part));
                };
                input = joined;
                let mark = if *negated { !mark } else { mark };
                Ok(Transformed::new(mark, true, TreeNodeRecursion::Jump))
            })?;
            exprs.push(match marked.transformed {
                true => marked.data.alias_if_changed(expr.schema_name().to_string())?,
                false => marked.data,
            });
        }
        let projection = Projection::try_new(exprs, Arc::new(input))?;
        Ok(Transformed::yes(LogicalPlan::Projection(projection)))
    }
}

fn has_exists(expr: &Expr) -> bool {
    expr.exists(|part| Ok(matches!(part, Expr::Exists(_)))).unwrap_or(false)
}

/// The rows with a mark that tells which of them the query has a row for; none where the query looks at
/// its outer row in a way that no join does.
fn marked(
    rows: &LogicalPlan,
    query: LogicalPlan,
    names: &Arc<AliasGenerator>,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let mut pull_up = PullUpCorrelatedExpr::new().with_exists_sub_query(true);
    let query = query.rewrite(&mut pull_up).data()?;
    if !pull_up.can_pull_up {
        return Ok(None);
    }
    let name = names.next("__correlated_sq");
    let query = LogicalPlanBuilder::from(query).alias(name.as_str())?.build()?;
    let renamed: Vec<(Column, Column)> = pull_up
        .correlated_subquery_cols_map
        .into_values()
        .flatten()
        .map(|column| {
            let to = Column::new(Some(name.as_str()), &column.name);
            (column, to)
        })
        .collect();
    let renamed: HashMap<&Column, &Column> = renamed.iter().map(|(from, to)| (from, to)).collect();
    let condition = match conjunction(pull_up.join_filters) {
        Some(condition) => replace_col(condition, &renamed)?,
        None => lit(true),
    };
    let compared = condition.column_refs();
    let compared: Vec<Expr> = query
        .schema()
        .columns()
        .into_iter()
        .filter(|column| compared.contains(column))
        .map(Expr::Column)
        .collect();
    let query = match compared.is_empty() {
        true => query,
        false => LogicalPlanBuilder::from(query).project(compared)?.build()?,
    };
    let joined = LogicalPlanBuilder::from(rows.clone())
        .join_on(query, JoinType::LeftMark, Some(condition))?
        .build()?;
    Ok(Some((joined, Expr::Column(Column::new(Some(name), "mark")))))
}
