//! Subqueries in expressions: scalar, EXISTS, IN, ANY and ALL.

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue, Spans};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Subquery, lit, when,
};
use frazil_common::{Code, SqlType, UserError};
use frazil_functions::TypedExpr;
use frazil_functions::coerce::common_type;
use frazil_functions::operators;
use sqlparser::ast::{self, Expr as Syntax, Query, Spanned};

use super::binary_operator;
use super::operator::tuple;
use super::window::key_of;
use crate::binder::{Binder, Bound};
use crate::error::{Result, position, unsupported};
use crate::scope::{Env, Truth};

/// How deep subqueries may be nested in expressions: the engine's time doubles with each level.
const NESTED_QUERIES_MAX: usize = 12;

impl Binder<'_> {
    /// Plans a query whose expressions may refer to the columns here.
    pub(crate) fn nested_query(&mut self, query: &Query, env: &Env) -> Result<Bound> {
        if self.outer.len() >= NESTED_QUERIES_MAX {
            return Err(UserError::new(
                Code::ResourceLimit,
                format!(
                    "SQL statement is too complex: subqueries are nested too deeply, more than \
                     {NESTED_QUERIES_MAX} deep."
                ),
            )
            .at(position(query.span()))
            .into());
        }
        self.outer.push(env.scope.clone());
        // What the query binds is no part of the expression around it.
        let depth = std::mem::take(&mut self.expr_depth);
        let bound = self.query(query);
        self.expr_depth = depth;
        self.outer.pop();
        bound
    }

    pub(super) fn scalar_subquery(&mut self, query: &Query, env: &Env) -> Result<TypedExpr> {
        let bound = self.nested_query(query, env)?;
        let [column] = bound.columns.as_slice() else {
            return Err(one_column(bound.columns.len()));
        };
        let sql_type = column.sql_type.clone();
        let mut subquery = as_subquery(bound.plan);
        if !subquery.outer_ref_columns.is_empty() && !is_one_row(&subquery.subquery) {
            subquery = as_subquery(checked_single_row(&subquery.subquery)?);
        }
        Ok(TypedExpr::new(Expr::ScalarSubquery(subquery), sql_type, true))
    }

    /// The number of a query's rows, as a value.
    fn count_rows(plan: LogicalPlan) -> Result<Expr> {
        let count = datafusion::functions_aggregate::expr_fn::count(lit(1i64));
        let plan = LogicalPlanBuilder::from(plan)
            .aggregate(Vec::<Expr>::new(), vec![count.alias("count")])?
            .build()?;
        Ok(Expr::ScalarSubquery(as_subquery(plan)))
    }

    pub(super) fn exists(&mut self, query: &Query, negated: bool, env: &Env) -> Result<TypedExpr> {
        let plan = rows_only(self.nested_query(query, env)?.plan);
        let expr = if env.is_filter() {
            Expr::Exists(Exists { subquery: as_subquery(plan), negated })
        } else {
            let count = Self::count_rows(plan)?;
            if negated { count.eq(lit(0i64)) } else { count.gt(lit(0i64)) }
        };
        Ok(TypedExpr::new(expr, SqlType::Boolean, false))
    }

    pub(super) fn in_subquery(
        &mut self,
        expr: &Syntax,
        query: &Query,
        negated: bool,
        env: &Env,
    ) -> Result<TypedExpr> {
        let operands = env.with_truth(Truth::Value);
        if let Some(items) = tuple(expr) {
            return self.tuple_in_subquery(items, query, negated, env, &operands);
        }
        let value = self.expr(expr, &operands)?;
        let bound = self.nested_query(query, env)?;
        let (value, plan) = self.comparable(value, bound)?;
        // The join has two values: what is not known is FALSE, which is all the same where nothing below
        // the filter turns it round.
        let two_valued = match env.truth {
            Truth::Conjunct => true,
            Truth::Disjunct => !negated,
            Truth::Value => false,
        };
        let expr = if env.is_filter() && two_valued && negated && is_correlated(&plan) {
            in_none(value, plan, env)?
        } else if env.is_filter() && two_valued {
            Expr::InSubquery(InSubquery {
                expr: Box::new(value),
                subquery: as_subquery(plan),
                negated,
            })
        } else {
            in_as_value(value, plan, negated, env)?
        };
        Ok(TypedExpr::new(expr, SqlType::Boolean, true))
    }

    /// `(a, b) IN (SELECT …)`: rows compare by an array of their values' keys.
    fn tuple_in_subquery(
        &mut self,
        items: &[Syntax],
        query: &Query,
        negated: bool,
        env: &Env,
        operands: &Env,
    ) -> Result<TypedExpr> {
        if negated {
            return unsupported("NOT IN of rows and a query");
        }
        if env.is_filter() && env.truth == Truth::Value {
            return unsupported("IN of rows and a query below NOT, CASE or a function");
        }
        let values = self.exprs(items, operands)?;
        let bound = self.nested_query(query, env)?;
        if bound.columns.len() != values.len() {
            return Err(one_column(bound.columns.len()));
        }
        // EXISTS (SELECT … WHERE a = x AND b = y), for which rows with a NULL never match.
        let outputs = bound.outputs();
        let mut all: Option<TypedExpr> = None;
        for (value, output) in values.into_iter().zip(outputs) {
            let outer = env.scope.outer(value.expr)?;
            let value = TypedExpr::new(outer, value.sql_type, value.nullable);
            let equal =
                operators::binary(operators::BinaryOperator::Eq, output, value, self.ctx.facts)?;
            all = Some(match all {
                None => equal,
                Some(all) => operators::and(all, equal, self.ctx.facts)?,
            });
        }
        let condition = all.ok_or_else(|| UserError::internal("empty row"))?;
        let plan = LogicalPlanBuilder::from(bound.plan).filter(condition.expr)?.build()?;
        let expr = if env.is_filter() {
            Expr::Exists(Exists { subquery: as_subquery(plan), negated: false })
        } else {
            Self::count_rows(plan)?.gt(lit(0i64))
        };
        Ok(TypedExpr::new(expr, SqlType::Boolean, true))
    }

    /// A value and a query of one column, both brought to one type.
    fn comparable(&mut self, value: TypedExpr, bound: Bound) -> Result<(Expr, LogicalPlan)> {
        let outputs = bound.outputs();
        let [output] = outputs.as_slice() else {
            return Err(one_column(outputs.len()));
        };
        let common = common_type(&value.sql_type, &output.sql_type).ok_or_else(|| {
            UserError::new(
                Code::IncompatibleTypes,
                format!("Can not compare {} with {}", value.sql_type, output.sql_type),
            )
        })?;
        let value = self.cast_to(value, &common)?;
        let output = self.cast_to(output.clone(), &common)?;
        let key = key_of(&output).alias("key");
        let plan = LogicalPlan::Projection(Projection::try_new(vec![key], Arc::new(bound.plan))?);
        Ok((key_of(&value), plan))
    }

    /// `x = ANY (…)` and `x > ALL (…)`.
    pub(super) fn quantified(
        &mut self,
        left: &Syntax,
        op: &ast::BinaryOperator,
        right: &Syntax,
        all: bool,
        env: &Env,
    ) -> Result<TypedExpr> {
        let word = if all { "ALL" } else { "ANY" };
        let query = match right {
            Syntax::Subquery(query) => query,
            Syntax::Nested(inner) => match inner.as_ref() {
                Syntax::Subquery(query) => query,
                _ => return self.quantified_list(left, op, std::slice::from_ref(inner), all, env),
            },
            Syntax::Tuple(items) => return self.quantified_list(left, op, items, all, env),
            other => return self.quantified_list(left, op, std::slice::from_ref(other), all, env),
        };
        match (op, all) {
            (ast::BinaryOperator::Eq, false) => return self.in_subquery(left, query, false, env),
            (ast::BinaryOperator::NotEq, true) => return self.in_subquery(left, query, true, env),
            _ => {}
        }
        let operator = match op {
            ast::BinaryOperator::Eq => Operator::Eq,
            ast::BinaryOperator::NotEq => Operator::NotEq,
            ast::BinaryOperator::Lt => Operator::Lt,
            ast::BinaryOperator::LtEq => Operator::LtEq,
            ast::BinaryOperator::Gt => Operator::Gt,
            ast::BinaryOperator::GtEq => Operator::GtEq,
            other => return unsupported(format!("{other} {word}")),
        };
        let value = self.expr(left, &env.with_truth(Truth::Value))?;
        let bound = self.nested_query(query, env)?;
        let (value, plan) = self.comparable(value, bound)?;
        let quantifier = if all { SetQuantifier::All } else { SetQuantifier::Any };
        let comparison =
            SetComparison::new(Box::new(value), as_subquery(plan), operator, quantifier);
        Ok(TypedExpr::new(Expr::SetComparison(comparison), SqlType::Boolean, true))
    }

    fn quantified_list(
        &mut self,
        left: &Syntax,
        op: &ast::BinaryOperator,
        items: &[Syntax],
        all: bool,
        env: &Env,
    ) -> Result<TypedExpr> {
        let facts = self.ctx.facts;
        let Some(op) = binary_operator(op) else {
            return unsupported(format!("operator {op}"));
        };
        let value = self.expr(left, env)?;
        let mut result: Option<TypedExpr> = None;
        for item in items {
            let item = self.expr(item, env)?;
            let one = operators::binary(op, value.clone(), item, facts)?;
            result = Some(match result {
                None => one,
                Some(so_far) if all => operators::and(so_far, one, facts)?,
                Some(so_far) => operators::or(so_far, one, facts)?,
            });
        }
        let result = result.ok_or_else(|| UserError::syntax("an empty list after ANY or ALL"))?;
        Ok(operators::balanced(result))
    }
}

/// A plan as a subquery, with the outer columns it refers to.
pub(crate) fn as_subquery(plan: LogicalPlan) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Spans::new() }
}

/// A plan with as many rows, whatever their columns. What EXISTS selects is never looked at, and
/// a selected column may have the name of one by which the query is tied to its outer row.
fn rows_only(plan: LogicalPlan) -> LogicalPlan {
    match plan {
        LogicalPlan::Projection(projection) => rows_only(Arc::unwrap_or_clone(projection.input)),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            rows_only(Arc::unwrap_or_clone(sort.input))
        }
        plan => plan,
    }
}

/// Whether a query looks at the row around it.
fn is_correlated(plan: &LogicalPlan) -> bool {
    !plan.all_out_ref_exprs().is_empty()
}

/// NOT IN as a filter, of a query that looks at the row around it: no row of it equals or leaves open
/// whether it does. A join that knows NULLs would take those of other rows for this one's.
fn in_none(value: Expr, plan: LogicalPlan, env: &Env) -> Result<Expr> {
    let key = Expr::Column(Column::from_name("key"));
    let outer = env.scope.outer(value)?;
    let met = key.clone().eq(outer.clone()).or(key.is_null()).or(outer.is_null());
    let plan = LogicalPlanBuilder::from(plan).filter(met)?.build()?;
    Ok(Expr::Exists(Exists { subquery: as_subquery(plan), negated: true }))
}

/// IN where its value is wanted: TRUE if a row equals, else NULL if it or a row is NULL.
fn in_as_value(value: Expr, plan: LogicalPlan, negated: bool, env: &Env) -> Result<Expr> {
    let key = Expr::Column(Column::from_name("key"));
    let outer = env.scope.outer(value.clone())?;
    let equal = LogicalPlanBuilder::from(plan.clone()).filter(key.clone().eq(outer))?.build()?;
    let nulls = LogicalPlanBuilder::from(plan.clone()).filter(key.is_null())?.build()?;
    let (equal, nulls) = (Binder::count_rows(equal)?, Binder::count_rows(nulls)?);
    let all = Binder::count_rows(plan)?;
    let unknown = nulls.gt(lit(0i64)).or(value.is_null().and(all.gt(lit(0i64))));
    Ok(when(equal.gt(lit(0i64)), lit(!negated))
        .when(unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(negated))?)
}

/// Whether a plan always gives one row.
fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_one_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}

/// The single value of a query, or an error if it has several rows.
fn checked_single_row(plan: &Arc<LogicalPlan>) -> Result<LogicalPlan> {
    let Some(column) = plan.schema().columns().into_iter().next() else {
        return Err(one_column(0));
    };
    let name = column.name.clone();
    let first = first_value_udaf().call(vec![Expr::Column(column)]).alias("first");
    let count = datafusion::functions_aggregate::expr_fn::count(lit(1i64)).alias("count");
    let plan = LogicalPlanBuilder::from(plan.as_ref().clone())
        .aggregate(Vec::<Expr>::new(), vec![first, count])?
        .build()?;
    let count = Expr::Column(Column::from_name("count"));
    let single = crate::single_row::single_row_udf().call(vec![count]);
    let value = when(single, Expr::Column(Column::from_name("first"))).end()?;
    Ok(LogicalPlan::Projection(Projection::try_new(vec![value.alias(name)], Arc::new(plan))?))
}

fn one_column(found: usize) -> crate::error::PlannerError {
    UserError::new(
        Code::ColumnCountMismatch,
        format!("a subquery here must give one column, not {found}"),
    )
    .into()
}
