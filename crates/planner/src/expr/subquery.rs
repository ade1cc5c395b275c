//! Subqueries in expressions: scalar, EXISTS, IN, ANY and ALL.

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue, Spans};
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{BinaryExpr, Exists, InSubquery};
use datafusion::logical_expr::{
    Expr, FetchType, LogicalPlan, LogicalPlanBuilder, Operator, Projection, SkipType, Subquery,
    lit, when,
};
use frazil_common::{Code, SqlType, UserError};
use frazil_functions::TypedExpr;
use frazil_functions::coerce::common_type;
use frazil_functions::operators;
use sqlparser::ast::{self, Expr as Syntax, Query, Spanned};

use super::binary_operator;
use super::correlated::{Above, check, is_correlated, is_one_row, refused, without_having};
use super::function::{contains_aggregate, contains_window};
use super::operator::tuple;
use super::window::key_of;
use crate::binder::{Binder, Bound};
use crate::error::{Result, position, unsupported};
use crate::join::has_correlated_subquery;
use crate::nullable::nullable_udf;
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
        let mut plan = unordered(bound.plan)?;
        if is_correlated(&plan) {
            if let Some((one_row, _)) = without_having(&plan)? {
                plan = one_row;
            }
            let one_row = is_one_row(&plan);
            check(&plan, Above { one_row, aggregated: !one_row, ..Above::default() })?;
            if !one_row {
                plan = checked_single_row(plan)?;
            }
        }
        // The engine takes a query's value for NULL only where its column may be, but there may be no row.
        let told = plan.schema().field(0).is_nullable() || is_one_row(&plan);
        let mut value = Expr::ScalarSubquery(as_subquery(plan));
        if !told {
            value = nullable_udf().call(vec![value]);
        }
        Ok(TypedExpr::new(value, sql_type, true))
    }

    pub(super) fn exists(&mut self, query: &Query, negated: bool, env: &Env) -> Result<TypedExpr> {
        let expr = match rows_only(self.nested_query(query, env)?.plan)? {
            Rows::Some => lit(!negated),
            Rows::None => lit(negated),
            Rows::MoreThan(skipped, plan) if is_correlated(&plan) => {
                check(&plan, Above { aggregated: true, ..Above::default() })?;
                let count = count_rows(plan)?;
                if negated { count.lt_eq(lit(skipped)) } else { count.gt(lit(skipped)) }
            }
            Rows::MoreThan(skipped, plan) => {
                let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
                let plan = LogicalPlanBuilder::from(plan).limit(skipped, Some(1))?.build()?;
                has_rows(plan, negated, env)?
            }
            Rows::Of(LogicalPlan::Filter(filter))
                if is_one_row(&filter.input) && is_correlated(&filter.input) =>
            {
                let met = vec![filter.predicate.alias(KEY)];
                let plan = LogicalPlan::Projection(Projection::try_new(met, filter.input)?);
                check(&plan, Above { one_row: true, ..Above::default() })?;
                let met = Expr::ScalarSubquery(as_subquery(plan));
                if negated { met.is_not_true() } else { met.is_true() }
            }
            Rows::Of(plan) => {
                check(&plan, Above::default())?;
                has_rows(plan, negated, env)?
            }
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
        let expr = any_of(value, Operator::Eq, plan, negated, env)?;
        Ok(TypedExpr::new(expr, SqlType::Boolean, true))
    }

    /// `(a, b) IN (SELECT …)`.
    fn tuple_in_subquery(
        &mut self,
        items: &[Syntax],
        query: &Query,
        negated: bool,
        env: &Env,
        operands: &Env,
    ) -> Result<TypedExpr> {
        let values = self.exprs(items, operands)?;
        let bound = self.nested_query(query, env)?;
        if bound.columns.len() != values.len() {
            return Err(one_column(bound.columns.len()));
        }
        let outputs = bound.outputs();
        let mut all: Option<TypedExpr> = None;
        for (value, output) in values.into_iter().zip(outputs) {
            let outer = as_outer(value.expr, env)?;
            let value = TypedExpr::new(outer, value.sql_type, value.nullable);
            let equal =
                operators::binary(operators::BinaryOperator::Eq, output, value, self.ctx.facts)?;
            all = Some(match all {
                None => equal,
                Some(all) => operators::and(all, equal, self.ctx.facts)?,
            });
        }
        let equal = all.ok_or_else(|| UserError::internal("empty row"))?.expr;
        let plan = unordered(bound.plan)?;
        check(&plan, Above::default())?;
        let unknown = equal.clone().is_null();
        let expr = if is_two_valued(negated, env) {
            met_by_any(plan, if negated { equal.is_not_false() } else { equal }, negated, env)?
        } else {
            let met = met_by_any(plan.clone(), equal, false, env)?;
            let unknown = met_by_any(plan, unknown, false, env)?;
            three_valued(met, unknown, negated)?
        };
        Ok(TypedExpr::new(expr, SqlType::Boolean, true))
    }

    /// A value and a query of one column, [`KEY`], both brought to one type.
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
        let key = key_of(&output).alias(KEY);
        let plan = Arc::new(unordered(bound.plan)?);
        let plan = LogicalPlan::Projection(Projection::try_new(vec![key], plan)?);
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
        // What holds for all is what the opposite holds for none of.
        let operator = match all {
            true => operator.negate().ok_or_else(|| UserError::internal("an operator of ALL"))?,
            false => operator,
        };
        let expr = any_of(value, operator, plan, all, env)?;
        Ok(TypedExpr::new(expr, SqlType::Boolean, true))
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

/// The one column of a query that a value is compared with.
const KEY: &str = "\0key";

fn key() -> Expr {
    Expr::Column(Column::from_name(KEY))
}

fn compared(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// The number of a query's rows, as a value.
fn count_rows(plan: LogicalPlan) -> Result<Expr> {
    aggregate_of(plan, count(lit(1i64)))
}

/// An aggregate of all rows of a query, as a value.
fn aggregate_of(plan: LogicalPlan, call: Expr) -> Result<Expr> {
    let plan = LogicalPlanBuilder::from(plan)
        .aggregate(Vec::<Expr>::new(), vec![call.alias(KEY)])?
        .build()?;
    Ok(Expr::ScalarSubquery(as_subquery(plan)))
}

/// Whether a query has rows. In a filter it becomes a join; so does elsewhere what looks at the row around
/// it, and nothing else.
fn has_rows(plan: LogicalPlan, negated: bool, env: &Env) -> Result<Expr> {
    if env.is_filter() || is_correlated(&plan) {
        return Ok(Expr::Exists(Exists { subquery: as_subquery(plan), negated }));
    }
    let count = count_rows(plan)?;
    Ok(if negated { count.eq(lit(0i64)) } else { count.gt(lit(0i64)) })
}

/// Whether a query has rows that meet a condition.
fn met_by_any(plan: LogicalPlan, condition: Expr, negated: bool, env: &Env) -> Result<Expr> {
    has_rows(LogicalPlanBuilder::from(plan).filter(condition)?.build()?, negated, env)
}

/// TRUE, NULL or FALSE; the other way round if negated.
fn three_valued(met: Expr, unknown: Expr, negated: bool) -> Result<Expr> {
    Ok(when(met, lit(!negated))
        .when(unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(negated))?)
}

/// Whether what is not known may count as FALSE, as it does in a join: where nothing below the filter
/// turns it round.
fn is_two_valued(negated: bool, env: &Env) -> bool {
    env.is_filter()
        && match env.truth {
            Truth::Conjunct => true,
            Truth::Disjunct => !negated,
            Truth::Value => false,
        }
}

/// A value as a query below it sees it. One of a group or of a window is not there yet, nor is that of another
/// query which looks at the row.
fn as_outer(value: Expr, env: &Env) -> Result<Expr> {
    if contains_aggregate(&value) || contains_window(&value) || has_correlated_subquery(&value) {
        return Err(refused());
    }
    env.scope.outer(value)
}

/// Whether a value compares so with any (if negated, with none) of a query's [`KEY`]s.
fn any_of(value: Expr, op: Operator, plan: LogicalPlan, negated: bool, env: &Env) -> Result<Expr> {
    let turned = |expr: Expr| if negated { !expr } else { expr };
    let tied = is_correlated(&plan);
    if is_one_row(&plan) {
        check(&plan, Above { one_row: true, ..Above::default() })?;
        return Ok(turned(compared(value, op, Expr::ScalarSubquery(as_subquery(plan)))));
    }
    if tied && let Some((one_row, met)) = without_having(&plan)? {
        for plan in [&one_row, &met] {
            check(plan, Above { one_row: true, ..Above::default() })?;
        }
        let one_row = compared(value, op, Expr::ScalarSubquery(as_subquery(one_row)));
        let met = Expr::ScalarSubquery(as_subquery(met));
        return Ok(turned(when(met.is_true(), one_row).otherwise(lit(false))?));
    }
    check(&plan, Above::default())?;
    if op != Operator::Eq && !tied {
        return extremes(value, op, plan, negated);
    }
    if is_two_valued(negated, env) {
        if op == Operator::Eq && !(negated && tied) {
            if has_correlated_subquery(&value) {
                return Err(refused());
            }
            let (expr, subquery) = (Box::new(value), as_subquery(plan));
            return Ok(Expr::InSubquery(InSubquery { expr, subquery, negated }));
        }
        // A join that knows NULLs would take those of other rows for this one's.
        let outer = as_outer(value, env)?;
        let mut met = compared(outer.clone(), op, key());
        if negated {
            met = met.or(key().is_null()).or(outer.is_null());
        }
        return met_by_any(plan, met, negated, env);
    }
    let outer = as_outer(value.clone(), env)?;
    let met = met_by_any(plan.clone(), compared(outer.clone(), op, key()), false, env)?;
    let unknown = if tied {
        met_by_any(plan, key().is_null().or(outer.is_null()), false, env)?
    } else {
        let nulls = LogicalPlanBuilder::from(plan.clone()).filter(key().is_null())?.build()?;
        let (nulls, all) = (count_rows(nulls)?, count_rows(plan)?);
        nulls.gt(lit(0i64)).or(value.is_null().and(all.gt(lit(0i64))))
    };
    three_valued(met, unknown, negated)
}

/// [`any_of`] by the query's least and greatest key.
fn extremes(value: Expr, op: Operator, plan: LogicalPlan, negated: bool) -> Result<Expr> {
    let least = || aggregate_of(plan.clone(), min(key()));
    let greatest = || aggregate_of(plan.clone(), max(key()));
    let met = match op {
        Operator::Lt | Operator::LtEq => compared(value.clone(), op, greatest()?),
        Operator::Gt | Operator::GtEq => compared(value.clone(), op, least()?),
        _ => {
            let least = compared(value.clone(), op, least()?);
            least.or(compared(value.clone(), op, greatest()?))
        }
    };
    let all = count_rows(plan.clone())?;
    let known = aggregate_of(plan.clone(), count(key()))?;
    let unknown = value.is_null().and(all.clone().gt(lit(0i64))).or(known.lt(all));
    three_valued(met, unknown, negated)
}

/// What EXISTS asks of a query.
enum Rows {
    Some,
    None,
    /// Whether it has any.
    Of(LogicalPlan),
    /// Whether it has more than so many.
    MoreThan(i64, LogicalPlan),
}

/// A query whatever its columns: what EXISTS selects is never looked at, and a selected column may have the
/// name of one by which the query is tied to its outer row. Nor is the order, or all but one row.
fn rows_only(plan: LogicalPlan) -> Result<Rows> {
    if is_one_row(&plan) {
        return Ok(Rows::Some);
    }
    match plan {
        LogicalPlan::Projection(projection) => rows_only(Arc::unwrap_or_clone(projection.input)),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            rows_only(Arc::unwrap_or_clone(sort.input))
        }
        LogicalPlan::Limit(limit) => match (limit.get_skip_type()?, limit.get_fetch_type()?) {
            (_, FetchType::Literal(Some(0))) => Ok(Rows::None),
            (SkipType::Literal(0), FetchType::Literal(_)) => {
                rows_only(Arc::unwrap_or_clone(limit.input))
            }
            (SkipType::Literal(skipped), FetchType::Literal(_)) => {
                let skipped = i64::try_from(skipped).unwrap_or(i64::MAX);
                Ok(Rows::MoreThan(skipped, unordered(Arc::unwrap_or_clone(limit.input))?))
            }
            _ => Ok(Rows::Of(LogicalPlan::Limit(limit))),
        },
        plan => Ok(Rows::Of(plan)),
    }
}

/// A query without an order of its rows, which says nothing where all of them count.
fn unordered(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            unordered(Arc::unwrap_or_clone(sort.input))
        }
        LogicalPlan::Projection(Projection { expr, input, .. })
            if matches!(input.as_ref(), LogicalPlan::Sort(_)) =>
        {
            let input = unordered(Arc::unwrap_or_clone(input))?;
            Ok(LogicalPlan::Projection(Projection::try_new(expr, Arc::new(input))?))
        }
        plan => Ok(plan),
    }
}

/// The single value of a query, or an error if it has several rows.
fn checked_single_row(plan: LogicalPlan) -> Result<LogicalPlan> {
    let Some(column) = plan.schema().columns().into_iter().next() else {
        return Err(one_column(0));
    };
    const FIRST: &str = "\0first";
    const COUNT: &str = "\0count";
    let name = column.name.clone();
    let first = first_value_udaf().call(vec![Expr::Column(column)]).alias(FIRST);
    let plan = LogicalPlanBuilder::from(plan)
        .aggregate(Vec::<Expr>::new(), vec![first, count(lit(1i64)).alias(COUNT)])?
        .build()?;
    let count = Expr::Column(Column::from_name(COUNT));
    let single = crate::single_row::single_row_udf().call(vec![count]);
    let value = when(single, Expr::Column(Column::from_name(FIRST))).end()?;
    Ok(LogicalPlan::Projection(Projection::try_new(vec![value.alias(name)], Arc::new(plan))?))
}

fn one_column(found: usize) -> crate::error::PlannerError {
    UserError::new(
        Code::ColumnCountMismatch,
        format!("a subquery here must give one column, not {found}"),
    )
    .into()
}
