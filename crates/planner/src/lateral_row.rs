//! `LATERAL (SELECT t.a + 1 AS b)`: a query without FROM that looks at the row beside it. It gives one row or
//! none for each, so its expressions are computed on the rows of the left; nothing is joined.

use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{EmptyRelation, Expr, Filter, LogicalPlan, Projection};
use sqlparser::ast::{SetExpr, TableFactor};

use crate::binder::Binder;
use crate::error::{Result, refuse};
use crate::expr::correlated::{is_correlated, refused};
use crate::from::Input;
use crate::join::has_correlated_subquery;
use crate::scope::{Env, Scope};

impl Binder<'_> {
    /// `left, factor`, where the factor is such a query; gives the left back where it is none.
    pub(crate) fn lateral_row(
        &mut self,
        left: Input,
        factor: &TableFactor,
    ) -> Result<std::result::Result<Input, Input>> {
        let TableFactor::Derived { lateral: true, subquery, alias, sample } = factor else {
            return Ok(Err(left));
        };
        let no_rows =
            |select: &sqlparser::ast::Select| select.from.is_empty() && subquery.with.is_none();
        if !matches!(subquery.body.as_ref(), SetExpr::Select(select) if no_rows(select)) {
            return Ok(Err(left));
        }
        let scope = Rc::new(left.scope.clone());
        let bound = self.nested_query(subquery, &Env::new(scope, "FROM"))?;
        let correlated = is_correlated(&bound.plan);
        let right = self.derived(bound.plan, &bound.columns, alias.as_ref())?;
        if !correlated {
            let right = self.sampled(right, sample.as_ref())?;
            return self.cross_join(left, right).map(Ok);
        }
        refuse(sample.is_some(), "SAMPLE of a LATERAL query")?;
        let Some(row) = row_of(&right.plan)? else { return Err(refused()) };
        let beside = left.plan.schema().clone();
        let mut plan = left.plan;
        for condition in row.conditions {
            let condition = looked_up(condition, &beside)?;
            plan = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?);
        }
        let mut exprs: Vec<Expr> = beside.columns().into_iter().map(Expr::Column).collect();
        for (expr, column) in row.exprs.into_iter().zip(right.plan.schema().columns()) {
            exprs.push(looked_up(expr, &beside)?.alias_qualified(column.relation, column.name));
        }
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
        let scope = Scope::joined(left.scope, right.scope, &plan);
        Ok(Ok(Input::new((plan, scope))))
    }
}

/// One row, and on which conditions it is there.
#[derive(Default)]
struct Row {
    exprs: Vec<Expr>,
    conditions: Vec<Expr>,
}

/// What a plan computes without reading any rows; none for one that does more than that.
fn row_of(plan: &LogicalPlan) -> Result<Option<Row>> {
    Ok(match plan {
        LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, schema: _ }) => {
            Some(Row::default())
        }
        LogicalPlan::SubqueryAlias(aliased) => row_of(&aliased.input)?,
        LogicalPlan::Filter(filter) => match row_of(&filter.input)? {
            Some(mut row) => {
                row.conditions.push(computed(&filter.predicate, &filter.input, &row.exprs)?);
                Some(row)
            }
            None => None,
        },
        LogicalPlan::Projection(projection) => match row_of(&projection.input)? {
            Some(row) => {
                let compute = |expr| computed(expr, &projection.input, &row.exprs);
                let exprs = projection.expr.iter().map(compute).collect::<Result<_>>()?;
                Some(Row { exprs, conditions: row.conditions })
            }
            None => None,
        },
        _ => None,
    })
}

/// An expression with what its columns stand for.
fn computed(expr: &Expr, input: &LogicalPlan, values: &[Expr]) -> Result<Expr> {
    let transformed = expr.clone().transform_up(|expr| {
        let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
        let value = input.schema().index_of_column(column)?;
        Ok(match values.get(value) {
            Some(value) => Transformed::yes(value.clone()),
            None => Transformed::no(expr),
        })
    })?;
    Ok(transformed.data.unalias_nested().data)
}

/// An expression in the place of its row: the columns it looked at from outside are at hand.
fn looked_up(expr: Expr, beside: &DFSchema) -> Result<Expr> {
    if has_correlated_subquery(&expr) {
        return Err(refused());
    }
    let transformed = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(_, column) if beside.has_column(&column) => {
                Transformed::yes(Expr::Column(column))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(transformed.data)
}
