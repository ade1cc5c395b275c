//! `+ - * / %` with Snowflake's precision and scale.
//!
//! Source of the rules: Snowflake's "Arithmetic operators" page. With L = leading digits and
//! S = scale: sum L = max(L1, L2) + 1, S = max(S1, S2); product L = L1 + L2,
//! S = min(S1 + S2, max(S1, S2, 12)); quotient L = L1 + S2, S = max(S1, min(S1 + 6, 12)).
//! Precision is at most 38; what does not fit fails when the row is computed.

use arrow::array::{AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::{Expr, Operator, lit};
use frazil_common::{Code, SqlType, UserError};
use std::sync::Arc;

use crate::cast::{CastMode, cast};
use crate::facts::Facts;
use crate::kernel::{KernelResult, Rows, call};
use crate::number;
use crate::typed::TypedExpr;

fn wrong(op: &str, left: &SqlType, right: &SqlType) -> UserError {
    UserError::new(
        Code::InvalidArgumentTypes,
        format!("Invalid argument types for function '{op}': ({left}, {right})"),
    )
}

/// Both operands as NUMBER or FLOAT.
fn numeric_pair(
    op: &str,
    left: TypedExpr,
    right: TypedExpr,
    facts: &Facts,
) -> Result<(TypedExpr, TypedExpr), UserError> {
    use SqlType as T;
    let error = wrong(op, &left.sql_type, &right.sql_type);
    let one = |value: TypedExpr| match value.sql_type {
        T::Number { .. } | T::Float => Ok(value),
        T::Null => Ok(TypedExpr::null_of(T::Number { precision: 1, scale: 0 })),
        T::Varchar { .. } => number_of_text(value, facts),
        T::Boolean => cast(value, &T::Number { precision: 1, scale: 0 }, CastMode::Implicit, facts),
        // A VARIANT holds any number; FLOAT is what fits all.
        T::Variant => cast(value, &T::Float, CastMode::Implicit, facts),
        _ => Err(error.clone()),
    };
    let (left, right) = (one(left)?, one(right)?);
    if left.sql_type == T::Float || right.sql_type == T::Float {
        return Ok((
            cast(left, &T::Float, CastMode::Implicit, facts)?,
            cast(right, &T::Float, CastMode::Implicit, facts)?,
        ));
    }
    Ok((left, right))
}

/// A text in arithmetic: a literal takes the type it spells, else NUMBER(18,5) as Snowflake.
fn number_of_text(value: TypedExpr, facts: &Facts) -> Result<TypedExpr, UserError> {
    if let Some(text) = value.as_text_literal()
        && let Some((digits, scale)) = number::parse(&text)
        && (0..=37).contains(&scale)
    {
        let precision = number::digits(digits).max(scale as u8).max(1);
        return Ok(TypedExpr::number(digits, precision, scale as u8));
    }
    cast(value, &SqlType::Number { precision: 18, scale: 5 }, CastMode::Implicit, facts)
}

fn parts(value: &TypedExpr) -> (u8, u8) {
    match value.sql_type {
        SqlType::Number { precision, scale } => (precision - scale.min(precision), scale),
        _ => (0, 0),
    }
}

/// NUMBER with these leading digits and scale, cut to 38 digits.
pub(crate) fn number_type_of(leading: u8, scale: u8) -> SqlType {
    SqlType::Number { precision: leading.saturating_add(scale).clamp(1, 38), scale }
}

fn native(op: Operator, left: TypedExpr, right: TypedExpr, to: SqlType) -> TypedExpr {
    let nullable = left.nullable || right.nullable;
    let both = left.as_literal().is_some() && right.as_literal().is_some();
    let expr = Expr::BinaryExpr(BinaryExpr::new(Box::new(left.expr), op, Box::new(right.expr)));
    let value = TypedExpr::new(expr, to, nullable);
    if both && let Ok(result) = crate::evaluate::evaluate_constant(&value) {
        return TypedExpr::literal(result, value.sql_type);
    }
    value
}

pub(crate) fn add(
    left: TypedExpr,
    right: TypedExpr,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    use SqlType as T;
    match (&left.sql_type, &right.sql_type) {
        (T::Date | T::Timestamp { .. }, T::Number { .. }) => {
            return add_days(left, right, facts);
        }
        (T::Number { .. }, T::Date | T::Timestamp { .. }) => return add_days(right, left, facts),
        _ => {}
    }
    sum(Operator::Plus, "+", left, right, facts)
}

pub(crate) fn subtract(
    left: TypedExpr,
    right: TypedExpr,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    use SqlType as T;
    match (&left.sql_type, &right.sql_type) {
        (T::Date | T::Timestamp { .. }, T::Number { .. }) => {
            let days = negate(right, facts)?;
            return add_days(left, days, facts);
        }
        (T::Date, T::Date) => {
            let nullable = left.nullable || right.nullable;
            let args = vec![left.expr, right.expr];
            let to = T::Number { precision: 9, scale: 0 };
            return Ok(call("frazil_date_difference", args, to, nullable, date_difference));
        }
        _ => {}
    }
    sum(Operator::Minus, "-", left, right, facts)
}

fn add_days(date: TypedExpr, days: TypedExpr, facts: &Facts) -> Result<TypedExpr, UserError> {
    match crate::scalar("DATEADD") {
        Some(function) => function.bind(vec![TypedExpr::text("DAY"), days, date], facts),
        None => Err(UserError::internal("DATEADD is missing")),
    }
}

fn date_difference(rows: &Rows) -> KernelResult {
    let (left, right) = (rows.dates(0)?, rows.dates(1)?);
    rows.build_integers(|row| match (left.get(row), right.get(row)) {
        (Some(a), Some(b)) => Ok(Some(a as i64 - b as i64)),
        _ => Ok(None),
    })
}

fn sum(
    op: Operator,
    name: &str,
    left: TypedExpr,
    right: TypedExpr,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    use SqlType as T;
    let (left, right) = numeric_pair(name, left, right, facts)?;
    if left.sql_type == T::Float {
        return Ok(native(op, left, right, T::Float));
    }
    let ((l1, s1), (l2, s2)) = (parts(&left), parts(&right));
    let scale = s1.max(s2);
    let leading = l1.max(l2) + 1;
    let to = number_type_of(leading, scale);
    if to.to_arrow() == DataType::Int64 {
        return Ok(native(op, left, right, to));
    }
    // Operands of the result's scale need no rescaling per row.
    let widen = |value: TypedExpr, digits: u8| {
        cast(value, &number_type_of(digits, scale), CastMode::Implicit, facts)
    };
    if leading + scale <= 38 {
        let left = decimal(widen(left, l1)?, facts)?;
        let right = decimal(widen(right, l2)?, facts)?;
        let arrow_precision = match (&left.sql_type, &right.sql_type) {
            (T::Number { precision: p1, .. }, T::Number { precision: p2, .. }) => p1.max(p2) + 1,
            _ => 0,
        };
        let held = T::Number { precision: arrow_precision.min(38), scale };
        let value = native(op, left, right, held);
        return cast(value, &to, CastMode::Implicit, facts);
    }
    let nullable = left.nullable || right.nullable;
    let subtract = op == Operator::Minus;
    let args = vec![left.expr, right.expr, lit(subtract)];
    Ok(call("frazil_add", args, to, nullable, checked_add))
}

/// The NUMBER held in Decimal128, which Arrow wants of both operands.
fn decimal(value: TypedExpr, facts: &Facts) -> Result<TypedExpr, UserError> {
    match value.sql_type {
        SqlType::Number { precision, scale: 0 } if precision <= 18 => {
            cast(value, &SqlType::Number { precision: 19, scale: 0 }, CastMode::Implicit, facts)
        }
        _ => Ok(value),
    }
}

fn out_scale(rows: &Rows) -> u8 {
    match rows.out {
        DataType::Decimal128(_, scale) => scale as u8,
        _ => 0,
    }
}

fn checked_add(rows: &Rows) -> KernelResult {
    let (left, right) = (rows.numbers(0)?, rows.numbers(1)?);
    let subtract = rows.booleans(2)?.get(0).unwrap_or(false);
    let scale = out_scale(rows);
    rows.build_numbers(|row| {
        let (Some(a), Some(b)) = (left.get(row), right.get(row)) else { return Ok(None) };
        let sum = || {
            let a = number::rescale(a, left.scale, scale)?;
            let b = number::rescale(b, right.scale, scale)?;
            if subtract { a.checked_sub(b) } else { a.checked_add(b) }
        };
        Ok(Some(sum().ok_or_else(number::overflow)?))
    })
}

pub(crate) fn multiply(
    left: TypedExpr,
    right: TypedExpr,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let (left, right) = numeric_pair("*", left, right, facts)?;
    if left.sql_type == SqlType::Float {
        return Ok(native(Operator::Multiply, left, right, SqlType::Float));
    }
    let ((l1, s1), (l2, s2)) = (parts(&left), parts(&right));
    let scale = (s1 + s2).min(s1.max(s2).max(12));
    let to = number_type_of(l1.saturating_add(l2), scale);
    if to.to_arrow() == DataType::Int64 {
        return Ok(native(Operator::Multiply, left, right, to));
    }
    let nullable = left.nullable || right.nullable;
    Ok(call("frazil_multiply", vec![left.expr, right.expr], to, nullable, multiply_kernel))
}

/// Without checks per row where the operands cannot overflow: by their declared digits, or by the
/// largest values there are. Else checked row by row.
fn multiply_kernel(rows: &Rows) -> KernelResult {
    let (left, right) = (rows.numbers(0)?, rows.numbers(1)?);
    let scale = out_scale(rows);
    let drop = left.scale + right.scale - scale.min(left.scale + right.scale);
    if drop == 0
        && let DataType::Decimal128(precision, _) = rows.out
        && let (Some(a), Some(b)) = (largest(rows, 0), largest(rows, 1))
        && let Some(limit) = number::power_of_ten(precision)
        && a.checked_mul(b).is_some_and(|product| product < limit as u128)
        && let (Some(x), Some(y)) = (units(rows, 0), units(rows, 1))
    {
        let narrow = a <= INT64_MAX && b <= INT64_MAX;
        let product = if narrow {
            product_of(&x, &y, |x, y| (x as i64 as i128) * (y as i64 as i128))?
        } else {
            product_of(&x, &y, i128::wrapping_mul)?
        };
        return Ok(Arc::new(product.with_data_type(rows.out.clone())));
    }
    rows.build_numbers(|row| {
        let (Some(a), Some(b)) = (left.get(row), right.get(row)) else { return Ok(None) };
        Ok(Some(number::multiply_scaled(a, b, drop).ok_or_else(number::overflow)?))
    })
}

/// The largest magnitude of a 64-bit integer.
const INT64_MAX: u128 = i64::MIN.unsigned_abs() as u128;

/// An operand's values in units of its scale.
enum Units {
    Constant(i128),
    Column(Decimal128Array),
}

/// None for a constant NULL, and where both are constants.
fn units(rows: &Rows, index: usize) -> Option<Units> {
    let input = rows.inputs.get(index)?;
    if input.constant {
        let value = rows.numbers(index).ok()?.get(0)?;
        return Some(Units::Constant(value));
    }
    if let Some(column) = input.array.as_primitive_opt::<Decimal128Type>() {
        return Some(Units::Column(column.clone()));
    }
    let column = input.array.as_primitive_opt::<Int64Type>()?;
    Some(Units::Column(column.unary::<_, Decimal128Type>(i128::from)))
}

fn product_of(
    left: &Units,
    right: &Units,
    multiply: impl Fn(i128, i128) -> i128,
) -> KernelResult<Decimal128Array> {
    Ok(match (left, right) {
        (Units::Column(x), Units::Column(y)) => arrow::compute::binary(x, y, multiply)?,
        (Units::Column(x), Units::Constant(y)) => x.unary(|x| multiply(x, *y)),
        (Units::Constant(x), Units::Column(y)) => y.unary(|y| multiply(*x, y)),
        (Units::Constant(x), Units::Constant(y)) => Decimal128Array::from(vec![multiply(*x, *y)]),
    })
}

/// A bound on an argument's magnitude: by its declared digits while they are few, else by its
/// values.
fn largest(rows: &Rows, index: usize) -> Option<u128> {
    const FEW_DIGITS: u8 = 18;
    let input = rows.inputs.get(index)?;
    match input.array.data_type() {
        DataType::Int64 => Some(INT64_MAX),
        DataType::Decimal128(digits, _) if *digits <= FEW_DIGITS => {
            Some(10u128.pow(*digits as u32) - 1)
        }
        DataType::Decimal128(_, _) => {
            let column = input.array.as_primitive::<Decimal128Type>();
            let low = arrow::compute::min(column).unwrap_or(0).unsigned_abs();
            let high = arrow::compute::max(column).unwrap_or(0).unsigned_abs();
            Some(low.max(high))
        }
        _ => None,
    }
}

pub(crate) fn divide(
    left: TypedExpr,
    right: TypedExpr,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let (left, right) = numeric_pair("/", left, right, facts)?;
    let nullable = left.nullable || right.nullable;
    if left.sql_type == SqlType::Float {
        let args = vec![left.expr, right.expr];
        return Ok(call("frazil_divide_float", args, SqlType::Float, nullable, divide_float));
    }
    let to = quotient_type(&left, &right);
    Ok(call("frazil_divide", vec![left.expr, right.expr], to, nullable, divide_kernel))
}

fn quotient_type(left: &TypedExpr, right: &TypedExpr) -> SqlType {
    let ((l1, s1), (_, s2)) = (parts(left), parts(right));
    let scale = s1.max((s1 + 6).min(12));
    number_type_of(l1.saturating_add(s2), scale)
}

fn divide_float(rows: &Rows) -> KernelResult {
    let (left, right) = (rows.floats(0)?, rows.floats(1)?);
    rows.build::<Float64Type>(|row| match (left.get(row), right.get(row)) {
        (Some(_), Some(0.0)) => Err(number::division_by_zero().into()),
        (Some(a), Some(b)) => Ok(Some(a / b)),
        _ => Ok(None),
    })
}

fn divide_kernel(rows: &Rows) -> KernelResult {
    let (left, right) = (rows.numbers(0)?, rows.numbers(1)?);
    let shift = out_scale(rows) + right.scale - left.scale;
    rows.build_numbers(|row| {
        let (Some(a), Some(b)) = (left.get(row), right.get(row)) else { return Ok(None) };
        if b == 0 {
            return Err(number::division_by_zero().into());
        }
        Ok(Some(number::divide_scaled(a, b, shift).ok_or_else(number::overflow)?))
    })
}

/// DIV0 and DIV0NULL: zero where the divisor is zero, and for the latter also where it is NULL.
pub(crate) fn divide_or_zero(
    left: TypedExpr,
    right: TypedExpr,
    null_too: bool,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let (left, right) = numeric_pair("/", left, right, facts)?;
    let nullable = left.nullable || right.nullable;
    let float = left.sql_type == SqlType::Float;
    let to = if float { SqlType::Float } else { quotient_type(&left, &right) };
    let args = vec![left.expr, right.expr];
    Ok(match (float, null_too) {
        (true, false) => {
            call("frazil_div0_float", args, to, nullable, |rows| divide_or_zero_float(rows, false))
        }
        (true, true) => call("frazil_div0null_float", args, to, nullable, |rows| {
            divide_or_zero_float(rows, true)
        }),
        (false, false) => {
            call("frazil_div0", args, to, nullable, |rows| divide_or_zero_kernel(rows, false))
        }
        (false, true) => {
            call("frazil_div0null", args, to, nullable, |rows| divide_or_zero_kernel(rows, true))
        }
    })
}

fn divide_or_zero_float(rows: &Rows, null_too: bool) -> KernelResult {
    let (left, right) = (rows.floats(0)?, rows.floats(1)?);
    rows.build::<Float64Type>(|row| {
        Ok(match (left.get(row), right.get(row)) {
            (None, _) => None,
            (Some(_), None) => null_too.then_some(0.0),
            (Some(_), Some(0.0)) => Some(0.0),
            (Some(a), Some(b)) => Some(a / b),
        })
    })
}

fn divide_or_zero_kernel(rows: &Rows, null_too: bool) -> KernelResult {
    let (left, right) = (rows.numbers(0)?, rows.numbers(1)?);
    let shift = out_scale(rows) + right.scale - left.scale;
    rows.build_numbers(|row| {
        Ok(match (left.get(row), right.get(row)) {
            (None, _) => None,
            (Some(_), None) => null_too.then_some(0),
            (Some(_), Some(0)) => Some(0),
            (Some(a), Some(b)) => {
                Some(number::divide_scaled(a, b, shift).ok_or_else(number::overflow)?)
            }
        })
    })
}

pub(crate) fn modulo(
    left: TypedExpr,
    right: TypedExpr,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let (left, right) = numeric_pair("%", left, right, facts)?;
    let nullable = left.nullable || right.nullable;
    let args = vec![left.expr.clone(), right.expr.clone()];
    if left.sql_type == SqlType::Float {
        return Ok(call("frazil_modulo_float", args, SqlType::Float, nullable, modulo_float));
    }
    let ((l1, s1), (l2, s2)) = (parts(&left), parts(&right));
    let to = number_type_of(l1.max(l2), s1.max(s2));
    Ok(call("frazil_modulo", args, to, nullable, modulo_kernel))
}

fn modulo_float(rows: &Rows) -> KernelResult {
    let (left, right) = (rows.floats(0)?, rows.floats(1)?);
    rows.build::<Float64Type>(|row| match (left.get(row), right.get(row)) {
        (Some(_), Some(0.0)) => Err(number::division_by_zero().into()),
        (Some(a), Some(b)) => Ok(Some(a % b)),
        _ => Ok(None),
    })
}

fn modulo_kernel(rows: &Rows) -> KernelResult {
    let (left, right) = (rows.numbers(0)?, rows.numbers(1)?);
    let scale = left.scale.max(right.scale);
    rows.build_numbers(|row| {
        let (Some(a), Some(b)) = (left.get(row), right.get(row)) else { return Ok(None) };
        if b == 0 {
            return Err(number::division_by_zero().into());
        }
        let rest = || {
            let a = number::rescale(a, left.scale, scale)?;
            a.checked_rem(number::rescale(b, right.scale, scale)?)
        };
        Ok(Some(rest().ok_or_else(number::overflow)?))
    })
}

pub(crate) fn negate(value: TypedExpr, facts: &Facts) -> Result<TypedExpr, UserError> {
    use datafusion::common::ScalarValue;
    let (value, _) = numeric_pair("-", value, TypedExpr::null(), facts)?;
    if let Some(literal) = value.as_literal() {
        let negated = match literal {
            ScalarValue::Int64(Some(v)) => ScalarValue::Int64(Some(-v)),
            ScalarValue::Decimal128(Some(v), p, s) => ScalarValue::Decimal128(Some(-v), *p, *s),
            ScalarValue::Float64(Some(v)) => ScalarValue::Float64(Some(negated_float(*v))),
            other => other.clone(),
        };
        return Ok(TypedExpr::literal(negated, value.sql_type));
    }
    if value.sql_type == SqlType::Float {
        return Ok(call(
            "frazil_negate",
            vec![value.expr],
            SqlType::Float,
            value.nullable,
            |rows| {
                let values = rows.floats(0)?;
                rows.build::<Float64Type>(|row| Ok(values.get(row).map(negated_float)))
            },
        ));
    }
    Ok(TypedExpr { expr: Expr::Negative(Box::new(value.expr)), ..value })
}

/// There is one NaN: with a sign it would be another value, below all others.
fn negated_float(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { -value }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::kernel::Input;

    fn column(values: Vec<Option<i128>>, precision: u8, scale: i8) -> Input {
        let array = Decimal128Array::from(values);
        let array = array.with_precision_and_scale(precision, scale).unwrap();
        Input { array: Arc::new(array), constant: false }
    }

    fn multiply(inputs: Vec<Input>, precision: u8, scale: i8) -> KernelResult<Vec<Option<i128>>> {
        let rows = inputs.iter().map(|i| i.array.len()).max().unwrap_or(0);
        let out = multiply_kernel(&Rows {
            inputs,
            rows,
            out: DataType::Decimal128(precision, scale),
            stop: None,
            made_max: None,
        })?;
        assert_eq!(out.data_type(), &DataType::Decimal128(precision, scale));
        Ok(out.as_primitive::<Decimal128Type>().iter().collect())
    }

    #[test]
    fn products_of_wide_types_hold_as_long_as_the_values_fit() {
        let price = vec![Some(10_495_000_000), None, Some(-90_100)];
        let tax = vec![Some(108), Some(100), Some(-2)];
        let product = multiply(vec![column(price, 31, 4), column(tax, 16, 2)], 38, 6).unwrap();
        assert_eq!(product, [Some(10_495_000_000 * 108), None, Some(180_200)]);
    }

    #[test]
    fn a_product_beyond_38_digits_is_an_error() {
        let large = vec![Some(10i128.pow(30))];
        let factor = vec![Some(10i128.pow(15))];
        assert!(multiply(vec![column(large, 31, 0), column(factor, 16, 0)], 38, 0).is_err());
        let almost = vec![Some(10i128.pow(30))];
        let small = vec![Some(9_999_999)];
        let product = multiply(vec![column(almost, 31, 0), column(small, 16, 0)], 38, 0).unwrap();
        assert_eq!(product, [Some(9_999_999 * 10i128.pow(30))]);
    }

    #[test]
    fn constants_and_integers_multiply_columns() {
        let constant = Input {
            array: Arc::new(
                Decimal128Array::from(vec![150]).with_precision_and_scale(3, 2).unwrap(),
            ),
            constant: true,
        };
        let integers = Input {
            array: Arc::new(arrow::array::Int64Array::from(vec![Some(7), None])),
            constant: false,
        };
        assert_eq!(multiply(vec![constant, integers], 21, 2).unwrap(), [Some(1050), None]);
    }
}
