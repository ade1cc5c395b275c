//! Numeric functions.

use datafusion::logical_expr::lit;
use frazil_common::{Code, SqlType, UserError};

use crate::arguments::{Arguments, SMALL_INTEGER};
use crate::kernel::{KernelResult, Rows, call};
use crate::number;
use crate::operators::{self, BinaryOperator, number_type_of};
use crate::registry::Registry;
use crate::typed::TypedExpr;

type Bound = Result<TypedExpr, UserError>;
const INT: SqlType = SMALL_INTEGER;
const FLOAT: SqlType = SqlType::Float;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["ABS"], |a| {
        a.expect(1..=1)?;
        let value = numeric(&a, 0)?;
        let (to, nullable) = (value.sql_type.clone(), value.nullable);
        let run = if to == FLOAT { abs_float } else { abs };
        Ok(call("frazil_abs", vec![value.expr], to, nullable, run))
    });
    registry.add(&["SIGN"], |a| {
        a.expect(1..=1)?;
        let value = numeric(&a, 0)?;
        let run = if value.sql_type == FLOAT { sign_float } else { sign };
        Ok(call(
            "frazil_sign",
            vec![value.expr],
            SqlType::Number { precision: 1, scale: 0 },
            value.nullable,
            run,
        ))
    });
    registry.add(&["CEIL", "CEILING"], |a| rounding(a, Mode::Ceil));
    registry.add(&["FLOOR"], |a| rounding(a, Mode::Floor));
    registry.add(&["ROUND"], |a| {
        if a.len() == 3 {
            let mode = a.constant_text(2)?;
            let mode = match mode.to_uppercase().as_str() {
                "HALF_AWAY_FROM_ZERO" => Mode::Round,
                "HALF_TO_EVEN" => Mode::Even,
                _ => {
                    return Err(UserError::new(
                        Code::InvalidArgument,
                        format!("Invalid rounding mode '{mode}'"),
                    ));
                }
            };
            return rounding(a, mode);
        }
        rounding(a, Mode::Round)
    });
    registry.add(&["TRUNC", "TRUNCATE"], |a| {
        a.expect(1..=2)?;
        let first = &a.get(0)?.sql_type;
        if first.is_temporal() {
            let part = a.constant_text(1)?;
            return super::date_time::date_trunc(&a, &part, 0);
        }
        rounding(a, Mode::Trunc)
    });
    registry.add(&["MOD"], |a| {
        a.expect(2..=2)?;
        let (left, right) = (a.get(0)?.clone(), a.get(1)?.clone());
        operators::binary(BinaryOperator::Modulo, left, right, a.facts)
    });
    macro_rules! real {
        ($($name:literal, $udf:literal => $f:expr);* $(;)?) => {
            $(registry.add(&[$name], |a| {
                a.expect(1..=1)?;
                a.kernel($udf, &[FLOAT], FLOAT, |rows| real(rows, $f))
            });)*
        };
    }
    real!(
        "SQRT", "frazil_sqrt" => |x| if x < 0.0 { Err(domain("SQRT")) } else { Ok(x.sqrt()) };
        "CBRT", "frazil_cbrt" => |x| Ok(x.cbrt());
        "EXP", "frazil_exp" => |x| Ok(x.exp());
        "LN", "frazil_ln" => |x| if x <= 0.0 { Err(domain("LN")) } else { Ok(x.ln()) };
        "SQUARE", "frazil_square" => |x| Ok(x * x);
        "SIN", "frazil_sin" => |x| Ok(x.sin());
        "COS", "frazil_cos" => |x| Ok(x.cos());
        "TAN", "frazil_tan" => |x| Ok(x.tan());
        "COT", "frazil_cot" => |x| Ok(1.0 / x.tan());
        "ASIN", "frazil_asin" => |x| if x.abs() > 1.0 { Err(domain("ASIN")) } else { Ok(x.asin()) };
        "ACOS", "frazil_acos" => |x| if x.abs() > 1.0 { Err(domain("ACOS")) } else { Ok(x.acos()) };
        "ATAN", "frazil_atan" => |x| Ok(x.atan());
        "SINH", "frazil_sinh" => |x| Ok(x.sinh());
        "COSH", "frazil_cosh" => |x| Ok(x.cosh());
        "TANH", "frazil_tanh" => |x| Ok(x.tanh());
        "ASINH", "frazil_asinh" => |x| Ok(x.asinh());
        "ACOSH", "frazil_acosh" => |x| if x < 1.0 { Err(domain("ACOSH")) } else { Ok(x.acosh()) };
        "ATANH", "frazil_atanh" => |x| if x.abs() >= 1.0 { Err(domain("ATANH")) } else { Ok(x.atanh()) };
        "DEGREES", "frazil_degrees" => |x| Ok(x.to_degrees());
        "RADIANS", "frazil_radians" => |x| Ok(x.to_radians());
    );
    registry.add(&["POWER", "POW"], |a| {
        a.expect(2..=2)?;
        a.kernel("frazil_power", &[FLOAT], FLOAT, |rows| real2(rows, |x, y| Ok(x.powf(y))))
    });
    registry.add(&["ATAN2"], |a| {
        a.expect(2..=2)?;
        a.kernel("frazil_atan2", &[FLOAT], FLOAT, |rows| real2(rows, |y, x| Ok(y.atan2(x))))
    });
    registry.add(&["LOG"], |a| {
        a.expect(2..=2)?;
        a.kernel("frazil_log", &[FLOAT], FLOAT, |rows| {
            real2(rows, |base, x| {
                if base <= 0.0 || base == 1.0 || x <= 0.0 {
                    return Err(domain("LOG"));
                }
                Ok(if base == 10.0 {
                    x.log10()
                } else if base == 2.0 {
                    x.log2()
                } else {
                    x.ln() / base.ln()
                })
            })
        })
    });
    registry.add(&["PI"], |a| {
        a.expect(0..=0)?;
        Ok(TypedExpr::float(std::f64::consts::PI))
    });
    registry.add(&["FACTORIAL"], |a| {
        a.expect(1..=1)?;
        a.kernel("frazil_factorial", &[INT], SqlType::INTEGER, factorial)
    });
    registry.add(&["HAVERSINE"], |a| {
        a.expect(4..=4)?;
        a.kernel("frazil_haversine", &[FLOAT], FLOAT, haversine)
    });
    registry.add(&["WIDTH_BUCKET"], |a| {
        a.expect(4..=4)?;
        a.kernel("frazil_width_bucket", &[FLOAT, FLOAT, FLOAT, INT], INT, width_bucket)
    });
}

/// NUMBER and FLOAT as they are; anything else as NUMBER(18,5), as Snowflake reads text.
fn numeric(a: &Arguments, index: usize) -> Bound {
    let value = a.get(index)?;
    match value.sql_type {
        SqlType::Number { .. } | SqlType::Float => Ok(value.clone()),
        SqlType::Variant => a.as_type(index, &FLOAT),
        SqlType::Varchar { .. } | SqlType::Boolean | SqlType::Null => {
            a.as_type(index, &SqlType::Number { precision: 18, scale: 5 })
        }
        _ => Err(a.wrong_types()),
    }
}

fn domain(function: &str) -> UserError {
    UserError::new(
        Code::InvalidArgument,
        format!("Invalid floating point operation: {function} of a value outside its domain"),
    )
}

fn real(rows: &Rows, f: impl Fn(f64) -> Result<f64, UserError>) -> KernelResult {
    let values = rows.floats(0)?;
    rows.build_floats(|row| Ok(values.get(row).map(&f).transpose()?))
}

fn real2(rows: &Rows, f: impl Fn(f64, f64) -> Result<f64, UserError>) -> KernelResult {
    let (left, right) = (rows.floats(0)?, rows.floats(1)?);
    rows.build_floats(|row| match (left.get(row), right.get(row)) {
        (Some(x), Some(y)) => Ok(Some(f(x, y)?)),
        _ => Ok(None),
    })
}

fn abs(rows: &Rows) -> KernelResult {
    let values = rows.numbers(0)?;
    rows.build_numbers(|row| Ok(values.get(row).map(i128::abs)))
}

fn abs_float(rows: &Rows) -> KernelResult {
    real(rows, |x| Ok(x.abs()))
}

fn sign(rows: &Rows) -> KernelResult {
    let values = rows.numbers(0)?;
    rows.build_integers(|row| Ok(values.get(row).map(|v| v.signum() as i64)))
}

fn sign_float(rows: &Rows) -> KernelResult {
    let values = rows.floats(0)?;
    rows.build_integers(|row| {
        Ok(values.get(row).map(|v| {
            if v > 0.0 {
                1
            } else if v < 0.0 {
                -1
            } else {
                0
            }
        }))
    })
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Round,
    Even,
    Ceil,
    Floor,
    Trunc,
}

/// The result keeps min(scale, digits) of a constant digit count, and one more leading digit
/// where rounding can carry.
fn rounding(a: Arguments, mode: Mode) -> Bound {
    a.expect(1..=if matches!(mode, Mode::Round | Mode::Even) { 3 } else { 2 })?;
    let value = numeric(&a, 0)?;
    let digits = if a.len() > 1 { a.integer(1)? } else { TypedExpr::number(0, 18, 0).expr };
    let constant = match a.len() {
        1 => Some(0),
        _ => a.get(1)?.as_integer_literal(),
    };
    let nullable = a.nullable();
    let mode_lit = lit(mode as i64);
    if value.sql_type == FLOAT {
        return Ok(call(
            "frazil_round_float",
            vec![value.expr, digits, mode_lit],
            FLOAT,
            nullable,
            round_float,
        ));
    }
    let SqlType::Number { precision, scale } = value.sql_type else { return Err(a.wrong_types()) };
    let kept = match constant {
        Some(n) => n.clamp(0, scale as i64) as u8,
        None => scale,
    };
    let carry = u8::from(mode != Mode::Trunc && (kept < scale || constant.is_none_or(|n| n < 0)));
    let to = number_type_of(precision - scale + carry, kept);
    Ok(call("frazil_round", vec![value.expr, digits, mode_lit], to, nullable, round_number))
}

fn mode_of(rows: &Rows) -> KernelResult<Mode> {
    Ok(match rows.integers(2)?.get(0) {
        Some(1) => Mode::Even,
        Some(2) => Mode::Ceil,
        Some(3) => Mode::Floor,
        Some(4) => Mode::Trunc,
        _ => Mode::Round,
    })
}

/// `value` to a multiple of `unit`, in units of `unit`.
fn quotient(value: i128, unit: i128, mode: Mode) -> i128 {
    match mode {
        Mode::Round => number::divide_rounded(value, unit),
        Mode::Ceil => value.div_euclid(unit) + i128::from(value.rem_euclid(unit) != 0),
        Mode::Floor => value.div_euclid(unit),
        Mode::Trunc => value / unit,
        Mode::Even => {
            let floor = value.div_euclid(unit);
            let rest = value.rem_euclid(unit) * 2;
            let up = rest > unit || (rest == unit && floor % 2 != 0);
            floor + i128::from(up)
        }
    }
}

fn round_number(rows: &Rows) -> KernelResult {
    let (values, digits) = (rows.numbers(0)?, rows.integers(1)?);
    let mode = mode_of(rows)?;
    let out_scale = match rows.out {
        arrow::datatypes::DataType::Decimal128(_, scale) => scale as i64,
        _ => 0,
    };
    rows.build_numbers(|row| {
        let (Some(value), Some(digits)) = (values.get(row), digits.get(row)) else {
            return Ok(None);
        };
        let scale = values.scale as i64;
        let kept = digits.min(scale);
        let drop = scale - kept;
        let Some(unit) = u8::try_from(drop).ok().and_then(number::power_of_ten) else {
            return Ok(Some(0));
        };
        let rounded = quotient(value, unit, mode);
        let up = u8::try_from(out_scale - kept).ok().and_then(number::power_of_ten);
        Ok(Some(up.and_then(|u| rounded.checked_mul(u)).ok_or_else(number::overflow)?))
    })
}

fn round_float(rows: &Rows) -> KernelResult {
    let (values, digits) = (rows.floats(0)?, rows.integers(1)?);
    let mode = mode_of(rows)?;
    let apply = |x: f64| match mode {
        Mode::Round => x.round(),
        Mode::Even => x.round_ties_even(),
        Mode::Ceil => x.ceil(),
        Mode::Floor => x.floor(),
        Mode::Trunc => x.trunc(),
    };
    rows.build_floats(|row| {
        let (Some(value), Some(digits)) = (values.get(row), digits.get(row)) else {
            return Ok(None);
        };
        if digits == 0 || !value.is_finite() {
            return Ok(Some(apply(value)));
        }
        let unit = 10f64.powi(digits.clamp(-308, 308) as i32);
        let scaled = value * unit;
        // Beyond 2^53 there is no fraction left to round.
        Ok(Some(if scaled.is_finite() && scaled.abs() < 9e15 {
            apply(scaled) / unit
        } else {
            value
        }))
    })
}

fn factorial(rows: &Rows) -> KernelResult {
    let values = rows.integers(0)?;
    rows.build_numbers(|row| match values.get(row) {
        Some(n @ 0..=33) => Ok(Some((1..=n as i128).product())),
        Some(_) => {
            Err(UserError::new(Code::InvalidArgument, "FACTORIAL takes an integer from 0 to 33")
                .into())
        }
        None => Ok(None),
    })
}

/// Kilometres on a sphere of radius 6371 km.
fn haversine(rows: &Rows) -> KernelResult {
    let parts = (0..4).map(|i| rows.floats(i)).collect::<KernelResult<Vec<_>>>()?;
    rows.build_floats(|row| {
        let v: Option<Vec<f64>> = parts.iter().map(|p| p.get(row)).collect();
        Ok(v.map(|v| {
            let (lat1, lat2) = (v[0].to_radians(), v[2].to_radians());
            let half_lat = ((lat2 - lat1) / 2.0).sin();
            let half_lon = ((v[3] - v[1]).to_radians() / 2.0).sin();
            let h = half_lat * half_lat + lat1.cos() * lat2.cos() * half_lon * half_lon;
            2.0 * 6371.0 * h.sqrt().asin()
        }))
    })
}

fn width_bucket(rows: &Rows) -> KernelResult {
    let (values, low, high) = (rows.floats(0)?, rows.floats(1)?, rows.floats(2)?);
    let buckets = rows.integers(3)?;
    rows.build_integers(|row| {
        let (Some(v), Some(low), Some(high), Some(n)) =
            (values.get(row), low.get(row), high.get(row), buckets.get(row))
        else {
            return Ok(None);
        };
        if n < 1 || low == high {
            return Err(UserError::new(
                Code::InvalidArgument,
                "WIDTH_BUCKET needs a positive number of buckets and two different bounds",
            )
            .into());
        }
        let share = (v - low) / (high - low);
        Ok(Some(if share < 0.0 {
            0
        } else if share >= 1.0 {
            n + 1
        } else {
            (share * n as f64).floor() as i64 + 1
        }))
    })
}
