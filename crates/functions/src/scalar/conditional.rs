//! IFF, NVL, DECODE and other functions that choose among values.

use datafusion::logical_expr::Operator;
use frazil_common::{SqlType, UserError};

use crate::arguments::Arguments;
use crate::cast::{CastMode, cast};
use crate::coerce::unify;
use crate::facts::Facts;
use crate::operators::{self, case, coalesce, compare};
use crate::registry::Registry;
use crate::typed::TypedExpr;

type Bound = Result<TypedExpr, UserError>;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["IFF", "IF"], iff);
    registry.add(&["IFNULL", "NVL"], ifnull);
    registry.add(&["COALESCE"], |a| {
        a.expect(1..=usize::MAX)?;
        coalesce(a.values, a.facts)
    });
    registry.add(&["NVL2"], nvl2);
    registry.add(&["NULLIF"], nullif);
    registry.add(&["NULLIFZERO"], nullifzero);
    registry.add(&["ZEROIFNULL"], zeroifnull);
    registry.add(&["DECODE"], decode);
    registry.add(&["EQUAL_NULL"], equal_null);
    registry.add(&["BOOLAND"], |a| logic(a, "and"));
    registry.add(&["BOOLOR"], |a| logic(a, "or"));
    registry.add(&["BOOLXOR"], |a| logic(a, "xor"));
    registry.add(&["BOOLNOT"], boolnot);
    registry.add(&["GREATEST"], |a| extreme(a, Operator::GtEq, false));
    registry.add(&["LEAST"], |a| extreme(a, Operator::LtEq, false));
    registry.add(&["GREATEST_IGNORE_NULLS"], |a| extreme(a, Operator::GtEq, true));
    registry.add(&["LEAST_IGNORE_NULLS"], |a| extreme(a, Operator::LtEq, true));
    registry.add(&["DIV0"], |a| div0(a, false));
    registry.add(&["DIV0NULL"], |a| div0(a, true));
    registry.add(&["REGR_VALX"], |a| regr_value(a, 1));
    registry.add(&["REGR_VALY"], |a| regr_value(a, 0));
}

fn iff(a: Arguments) -> Bound {
    a.expect(3..=3)?;
    let [condition, yes, no] = three(a.values)?;
    case(None, vec![(condition, yes)], Some(no), a.facts)
}

fn three(values: Vec<TypedExpr>) -> Result<[TypedExpr; 3], UserError> {
    <[TypedExpr; 3]>::try_from(values).map_err(|_| UserError::internal("three arguments"))
}

fn two(values: Vec<TypedExpr>) -> Result<[TypedExpr; 2], UserError> {
    <[TypedExpr; 2]>::try_from(values).map_err(|_| UserError::internal("two arguments"))
}

fn ifnull(a: Arguments) -> Bound {
    a.expect(2..=2)?;
    coalesce(a.values, a.facts)
}

fn nvl2(a: Arguments) -> Bound {
    a.expect(3..=3)?;
    let [value, yes, no] = three(a.values)?;
    case(None, vec![(operators::is_not_null(value), yes)], Some(no), a.facts)
}

fn nullif(a: Arguments) -> Bound {
    a.expect(2..=2)?;
    let [left, right] = two(a.values)?;
    let same = compare(Operator::Eq, left.clone(), right, a.facts)?;
    let null = TypedExpr::null_of(left.sql_type.clone());
    case(None, vec![(same, null)], Some(left), a.facts)
}

fn zero() -> TypedExpr {
    TypedExpr::number(0, 1, 0)
}

fn nullifzero(a: Arguments) -> Bound {
    a.expect(1..=1)?;
    let value = numeric(&a, 0)?;
    let same = compare(Operator::Eq, value.clone(), zero(), a.facts)?;
    let null = TypedExpr::null_of(value.sql_type.clone());
    case(None, vec![(same, null)], Some(value), a.facts)
}

fn zeroifnull(a: Arguments) -> Bound {
    a.expect(1..=1)?;
    if a.get(0)?.sql_type == SqlType::Null {
        return Ok(zero());
    }
    let value = numeric(&a, 0)?;
    let zero = cast(zero(), &value.sql_type, CastMode::Implicit, a.facts)?;
    coalesce(vec![value, zero], a.facts)
}

fn numeric(a: &Arguments, index: usize) -> Bound {
    let value = a.get(index)?;
    if value.sql_type.is_numeric() {
        return Ok(value.clone());
    }
    if value.sql_type == SqlType::Variant {
        return a.as_type(index, &SqlType::Float);
    }
    a.as_type(index, &SqlType::Number { precision: 18, scale: 5 })
}

/// NULLs are equal in DECODE.
fn decode(a: Arguments) -> Bound {
    a.expect(3..=usize::MAX)?;
    let mut values = a.values.into_iter();
    let operand = values.next().ok_or_else(|| UserError::internal("DECODE"))?;
    let (mut branches, mut otherwise) = (Vec::new(), None);
    while let Some(search) = values.next() {
        match values.next() {
            Some(result) => {
                let found = if search.is_null_literal() {
                    operators::is_null(operand.clone())
                } else if search.as_literal().is_some() {
                    compare(Operator::Eq, operand.clone(), search, a.facts)?
                } else {
                    operators::is_distinct_from(operand.clone(), search, true, a.facts)?
                };
                branches.push((found, result));
            }
            None => otherwise = Some(search),
        }
    }
    case(None, branches, otherwise, a.facts)
}

fn equal_null(a: Arguments) -> Bound {
    a.expect(2..=2)?;
    let [left, right] = two(a.values)?;
    operators::is_distinct_from(left, right, true, a.facts)
}

fn logic(a: Arguments, kind: &str) -> Bound {
    a.expect(2..=2)?;
    let left = a.as_type(0, &SqlType::Boolean)?;
    let right = a.as_type(1, &SqlType::Boolean)?;
    match kind {
        "and" => operators::and(left, right, a.facts),
        "or" => operators::or(left, right, a.facts),
        _ => compare(Operator::NotEq, left, right, a.facts),
    }
}

fn boolnot(a: Arguments) -> Bound {
    a.expect(1..=1)?;
    operators::not(a.as_type(0, &SqlType::Boolean)?, a.facts)
}

/// NULL if any value is NULL, unless NULLs are ignored.
fn extreme(a: Arguments, op: Operator, ignore_nulls: bool) -> Bound {
    a.expect(1..=usize::MAX)?;
    let (values, _) = unify(a.values, a.facts)?;
    let mut values = values.into_iter();
    let mut best = values.next().ok_or_else(|| UserError::internal("no values"))?;
    for value in values {
        let wins = compare(op, best.clone(), value.clone(), a.facts)?;
        best = if ignore_nulls {
            case(
                None,
                vec![
                    (operators::is_null(value.clone()), best.clone()),
                    (operators::is_null(best.clone()), value.clone()),
                    (wins, best),
                ],
                Some(value),
                a.facts,
            )?
        } else {
            let missing = operators::or(
                operators::is_null(best.clone()),
                operators::is_null(value.clone()),
                a.facts,
            )?;
            let null = TypedExpr::null_of(value.sql_type.clone());
            case(None, vec![(missing, null), (wins, best)], Some(value), a.facts)?
        };
    }
    Ok(best)
}

/// Zero where the divisor is zero (or NULL, for DIV0NULL).
fn div0(a: Arguments, null_too: bool) -> Bound {
    a.expect(2..=2)?;
    let (left, right) = (numeric(&a, 0)?, numeric(&a, 1)?);
    let facts: &Facts = a.facts;
    let mut is_zero = compare(Operator::Eq, right.clone(), zero(), facts)?;
    if null_too {
        is_zero = operators::or(operators::is_null(right.clone()), is_zero, facts)?;
    }
    let quotient = operators::divide(left.clone(), right, facts)?;
    let zero = cast(zero(), &quotient.sql_type, CastMode::Implicit, facts)?;
    let null = TypedExpr::null_of(quotient.sql_type.clone());
    let mut branches = vec![(operators::is_null(left), null)];
    branches.push((is_zero, zero));
    case(None, branches, Some(quotient), facts)
}

/// REGR_VALX(y, x) is x where y is known; REGR_VALY is y where x is known.
fn regr_value(a: Arguments, wanted: usize) -> Bound {
    a.expect(2..=2)?;
    let value = a.as_type(wanted, &SqlType::Float)?;
    let other = a.get(1 - wanted)?.clone();
    let null = TypedExpr::null_of(SqlType::Float);
    case(None, vec![(operators::is_null(other), null)], Some(value), a.facts)
}
