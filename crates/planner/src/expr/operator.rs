//! Operators of one and two operands, intervals among them.

use frazil_common::{Code, UserError};
use frazil_functions::TypedExpr;
use frazil_functions::operators::{self, BinaryOperator};
use sqlparser::ast::{self, Expr as Syntax, Spanned};

use super::binary_operator;
use super::literal::IntervalPart;
use crate::binder::Binder;
use crate::error::{At, Result, unsupported};
use crate::scope::Env;

/// The members of `(a, b, …)`.
pub(super) fn tuple(expr: &Syntax) -> Option<&[Syntax]> {
    match expr {
        Syntax::Tuple(items) => Some(items),
        _ => None,
    }
}

impl Binder<'_> {
    /// A chain such as `a AND b AND c` leans to the left; it is bound without recursion along it,
    /// so that thousands of terms do not exhaust the stack.
    pub(super) fn binary_chain(&mut self, expr: &Syntax, env: &Env) -> Result<TypedExpr> {
        let mut spine = Vec::new();
        let mut leftmost = expr;
        while let Syntax::BinaryOp { left, op, right } = leftmost {
            spine.push((left.as_ref(), op, right.as_ref()));
            leftmost = left;
        }
        let mut value: Option<TypedExpr> = None;
        for (left, op, right) in spine.into_iter().rev() {
            // Rows and intervals are no values: they are bound with their operator.
            let bound = match (tuple(left), tuple(right)) {
                (Some(left), Some(right)) => self.compare_tuples(left, op, right, env)?,
                _ => {
                    if let Syntax::Interval(interval) = left
                        && matches!(op, ast::BinaryOperator::Plus)
                    {
                        let moment = self.expr(right, env)?;
                        self.add_interval(moment, interval, false, env)?
                    } else {
                        let left = match value.take() {
                            Some(value) => value,
                            None => self.expr(left, env)?,
                        };
                        self.binary(left, op, right, env).at(right.span())?
                    }
                }
            };
            value = Some(bound);
        }
        let value = value.ok_or_else(|| UserError::internal("empty operator chain"))?;
        Ok(operators::balanced(value))
    }

    fn binary(
        &mut self,
        left: TypedExpr,
        op: &ast::BinaryOperator,
        right: &Syntax,
        env: &Env,
    ) -> Result<TypedExpr> {
        if let Syntax::Interval(interval) = right {
            match op {
                ast::BinaryOperator::Plus => {
                    return self.add_interval(left, interval, false, env);
                }
                ast::BinaryOperator::Minus => {
                    return self.add_interval(left, interval, true, env);
                }
                _ => {}
            }
        }
        let Some(op) = binary_operator(op) else {
            return unsupported(format!("operator {op}"));
        };
        let right = self.expr(right, env)?;
        Ok(operators::binary(op, left, right, self.ctx.facts)?)
    }

    fn compare_tuples(
        &mut self,
        left: &[Syntax],
        op: &ast::BinaryOperator,
        right: &[Syntax],
        env: &Env,
    ) -> Result<TypedExpr> {
        let equal = self.tuples_equal(left, right, env)?;
        match op {
            ast::BinaryOperator::Eq => Ok(equal),
            ast::BinaryOperator::NotEq => Ok(operators::not(equal, self.ctx.facts)?),
            other => unsupported(format!("comparison of rows with {other}")),
        }
    }

    /// `(a, b) = (c, d)`.
    pub(super) fn tuples_equal(
        &mut self,
        left: &[Syntax],
        right: &[Syntax],
        env: &Env,
    ) -> Result<TypedExpr> {
        if left.len() != right.len() || left.is_empty() {
            return Err(UserError::syntax("rows compared differ in length").into());
        }
        let facts = self.ctx.facts;
        let mut all: Option<TypedExpr> = None;
        for (l, r) in left.iter().zip(right) {
            let (l, r) = (self.expr(l, env)?, self.expr(r, env)?);
            let equal = operators::binary(BinaryOperator::Eq, l, r, facts)?;
            all = Some(match all {
                None => equal,
                Some(all) => operators::and(all, equal, facts)?,
            });
        }
        all.ok_or_else(|| UserError::internal("empty row").into())
    }

    /// Adds the parts of an interval one after the other, as Snowflake does.
    fn add_interval(
        &mut self,
        mut moment: TypedExpr,
        interval: &ast::Interval,
        subtract: bool,
        env: &Env,
    ) -> Result<TypedExpr> {
        for IntervalPart { count, unit } in self.interval_parts(interval, env)? {
            let count = if subtract { -count } else { count };
            let args = vec![TypedExpr::text(unit), TypedExpr::integer(count), moment];
            moment = self.call("DATEADD", args)?;
        }
        Ok(moment)
    }

    pub(super) fn unary(
        &mut self,
        op: ast::UnaryOperator,
        expr: &Syntax,
        env: &Env,
    ) -> Result<TypedExpr> {
        let facts = self.ctx.facts;
        match op {
            ast::UnaryOperator::Minus => {
                if let Syntax::Value(ast::ValueWithSpan {
                    value: ast::Value::Number(digits, false),
                    span: _,
                }) = expr
                {
                    return super::literal::number(&format!("-{digits}"));
                }
                let value = self.expr(expr, env)?;
                Ok(operators::negate(value, facts)?)
            }
            ast::UnaryOperator::Plus => {
                let value = self.expr(expr, env)?;
                if value.sql_type.is_numeric() {
                    Ok(value)
                } else {
                    Err(UserError::new(
                        Code::InvalidArgumentTypes,
                        format!("Invalid argument types for function '+': ({})", value.sql_type),
                    )
                    .into())
                }
            }
            ast::UnaryOperator::Not => {
                if let Some((value, query, negated)) = super::in_subquery(expr) {
                    return self.in_subquery(value, query, !negated, env);
                }
                let value = self.condition(expr, env)?;
                Ok(operators::not(value, facts)?)
            }
            other => unsupported(format!("operator {other}")),
        }
    }
}
