//! CASE and what is made of it.

use datafusion::common::Column;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, Operator};
use frazil_common::{SqlType, UserError};

use super::comparison;
use crate::cast::{CastMode, cast};
use crate::coerce::{comparable, unify};
use crate::facts::Facts;
use crate::size::is_small;
use crate::typed::TypedExpr;

/// `CASE [operand] WHEN … THEN … [ELSE …] END`
pub fn case(
    operand: Option<TypedExpr>,
    whens: Vec<(TypedExpr, TypedExpr)>,
    otherwise: Option<TypedExpr>,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let (mut searched, mut results) = (Vec::new(), Vec::new());
    for (when, then) in whens {
        searched.push(when);
        results.push(then);
    }
    let (operand, conditions) = match operand {
        None => {
            let conditions = searched
                .into_iter()
                .map(|when| cast(when, &SqlType::Boolean, CastMode::Implicit, facts))
                .collect::<Result<Vec<_>, _>>()?;
            (None, conditions)
        }
        Some(operand) if is_small(&operand.expr) => {
            let conditions = searched
                .into_iter()
                .map(|when| comparison::compare(Operator::Eq, operand.clone(), when, facts))
                .collect::<Result<Vec<_>, _>>()?;
            (None, conditions)
        }
        Some(operand) => {
            let (operand, whens) = of_one_type(operand, searched, facts)?;
            (Some(Box::new(comparison::keyed(operand))), whens)
        }
    };
    let keyed = operand.is_some();
    let has_else = otherwise.is_some();
    results.extend(otherwise);
    let (mut results, sql_type) = unify(results, facts)?;
    let nullable = !has_else || results.iter().any(|r| r.nullable);
    let otherwise = if has_else { results.pop() } else { None };
    let branches = conditions
        .into_iter()
        .zip(results)
        .map(|(when, then)| {
            let when = if keyed { comparison::keyed(when) } else { when.expr };
            (Box::new(when), Box::new(then.expr))
        })
        .collect();
    let expr = Expr::Case(Case::new(operand, branches, otherwise.map(|e| Box::new(e.expr))));
    Ok(TypedExpr::new(expr, sql_type, nullable))
}

/// The operand of a CASE and what it is compared with, in one type: so the operand is there once.
fn of_one_type(
    operand: TypedExpr,
    whens: Vec<TypedExpr>,
    facts: &Facts,
) -> Result<(TypedExpr, Vec<TypedExpr>), UserError> {
    // Only its type counts here.
    let held = TypedExpr { expr: Expr::Column(Column::from_name("operand")), ..operand.clone() };
    let mut types = Vec::with_capacity(whens.len());
    let mut values = Vec::with_capacity(whens.len());
    for when in whens {
        let (left, right) = comparable(held.clone(), when, facts)?;
        types.push(left.sql_type);
        values.push(right);
    }
    match types.first() {
        Some(first) if types.iter().all(|one| one == first) => {
            Ok((cast(operand, first, CastMode::Implicit, facts)?, values))
        }
        _ => {
            values.push(operand);
            let (mut values, _) = unify(values, facts)?;
            let operand = values.pop().ok_or_else(|| UserError::internal("CASE"))?;
            Ok((operand, values))
        }
    }
}

/// The first value that is not NULL; later values are not computed.
pub fn coalesce(values: Vec<TypedExpr>, facts: &Facts) -> Result<TypedExpr, UserError> {
    let (values, sql_type) = unify(values, facts)?;
    // Values behind one that is never NULL stay: a grouping set that leaves its column out makes it NULL.
    let mut kept: Vec<TypedExpr> =
        values.into_iter().filter(|value| !value.is_null_literal()).collect();
    let nullable = kept.iter().all(|value| value.nullable);
    // A CASE, as the engine's COALESCE runs only after the optimizer has made it one.
    let Some(last) = kept.pop() else { return Ok(TypedExpr::null_of(sql_type)) };
    if kept.is_empty() {
        return Ok(last);
    }
    let branches = kept
        .into_iter()
        .map(|v| (Box::new(Expr::IsNotNull(Box::new(v.expr.clone()))), Box::new(v.expr)))
        .collect();
    let expr = Expr::Case(Case::new(None, branches, Some(Box::new(last.expr))));
    Ok(TypedExpr::new(expr, sql_type, nullable))
}
