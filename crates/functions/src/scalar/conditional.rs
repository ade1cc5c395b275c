//! IFF, NVL, DECODE and other functions that choose among values.

use datafusion::logical_expr::Operator;
use frazil_common::{SqlType, UserError};

use crate::arguments::Arguments;
use crate::cast::{CastMode, cast};
use crate::operators::{self, case, coalesce, compare};
use crate::registry::Registry;
use crate::typed::TypedExpr;

pub(super) type Bound = Result<TypedExpr, UserError>;

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

/// Zero where the divisor is zero (or NULL, for DIV0NULL).
fn div0(a: Arguments, null_too: bool) -> Bound {
    a.expect(2..=2)?;
    operators::divide_or_zero(numeric(&a, 0)?, numeric(&a, 1)?, null_too, a.facts)
}

/// REGR_VALX(y, x) is x where y is known; REGR_VALY is y where x is known.
fn regr_value(a: Arguments, wanted: usize) -> Bound {
    a.expect(2..=2)?;
    let value = a.as_type(wanted, &SqlType::Float)?;
    let other = a.get(1 - wanted)?.clone();
    let null = TypedExpr::null_of(SqlType::Float);
    case(None, vec![(operators::is_null(other), null)], Some(value), a.facts)
}
