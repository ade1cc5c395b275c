//! CASE and what is made of it.

use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Case;
use frazil_common::{SqlType, UserError};

use super::comparison;
use crate::cast::{CastMode, cast};
use crate::coerce::unify;
use crate::facts::Facts;
use crate::typed::TypedExpr;

/// `CASE [operand] WHEN … THEN … [ELSE …] END`
pub fn case(
    operand: Option<TypedExpr>,
    whens: Vec<(TypedExpr, TypedExpr)>,
    otherwise: Option<TypedExpr>,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let (mut conditions, mut results) = (Vec::new(), Vec::new());
    for (when, then) in whens {
        let condition = match &operand {
            Some(operand) => comparison::compare(
                datafusion::logical_expr::Operator::Eq,
                operand.clone(),
                when,
                facts,
            )?,
            None => cast(when, &SqlType::Boolean, CastMode::Implicit, facts)?,
        };
        conditions.push(condition);
        results.push(then);
    }
    let has_else = otherwise.is_some();
    results.extend(otherwise);
    let (mut results, sql_type) = unify(results, facts)?;
    let nullable = !has_else || results.iter().any(|r| r.nullable);
    let otherwise = if has_else { results.pop() } else { None };
    let branches = conditions
        .into_iter()
        .zip(results)
        .map(|(when, then)| (Box::new(when.expr), Box::new(then.expr)))
        .collect();
    let expr = Expr::Case(Case::new(None, branches, otherwise.map(|e| Box::new(e.expr))));
    Ok(TypedExpr::new(expr, sql_type, nullable))
}

/// The first value that is not NULL; later values are not computed.
pub fn coalesce(values: Vec<TypedExpr>, facts: &Facts) -> Result<TypedExpr, UserError> {
    let (values, sql_type) = unify(values, facts)?;
    let mut kept = Vec::new();
    for value in values {
        if value.is_null_literal() {
            continue;
        }
        let last = !value.nullable;
        kept.push(value);
        if last {
            break;
        }
    }
    // A CASE, as the engine's COALESCE runs only after the optimizer has made it one.
    let Some(last) = kept.pop() else { return Ok(TypedExpr::null_of(sql_type)) };
    if kept.is_empty() {
        return Ok(last);
    }
    let nullable = last.nullable;
    let branches = kept
        .into_iter()
        .map(|v| (Box::new(Expr::IsNotNull(Box::new(v.expr.clone()))), Box::new(v.expr)))
        .collect();
    let expr = Expr::Case(Case::new(None, branches, Some(Box::new(last.expr))));
    Ok(TypedExpr::new(expr, sql_type, nullable))
}
