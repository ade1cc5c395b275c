//! Conversions to and from NUMBER and FLOAT.

use arrow::datatypes::DataType;
use frazil_common::{Code, UserError};

use super::{attempt, lenient};
use crate::kernel::{KernelResult, Rows};
use crate::number;

/// Declared precision (literal argument 2) and scale of the result.
fn target(rows: &Rows) -> KernelResult<(u8, u8)> {
    let precision = rows.integers(2)?.get(0).unwrap_or(38) as u8;
    let scale = match rows.out {
        DataType::Decimal128(_, scale) => scale as u8,
        _ => 0,
    };
    Ok((precision, scale))
}

pub(super) fn number_to_number(rows: &Rows) -> KernelResult {
    let values = rows.numbers(0)?;
    let lenient = lenient(rows, 1)?;
    let (precision, scale) = target(rows)?;
    let limit = 10u128.pow(precision as u32);
    rows.build_numbers(|row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        let result = number::rescale(value, values.scale, scale)
            .filter(|v| v.unsigned_abs() < limit)
            .ok_or_else(|| {
                UserError::new(
                    Code::NumericOutOfRange,
                    format!(
                        "Number out of representable range: type FIXED({precision},{scale}), value {}",
                        number::to_text(value, values.scale)
                    ),
                )
            });
        attempt(lenient, result)
    })
}

pub(super) fn float_to_number(rows: &Rows) -> KernelResult {
    let values = rows.floats(0)?;
    let lenient = lenient(rows, 1)?;
    let (precision, scale) = target(rows)?;
    rows.build_numbers(|row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        attempt(
            lenient,
            number::from_float(value, precision, scale).ok_or_else(|| {
                UserError::new(
                    Code::NumericOutOfRange,
                    format!("Number out of representable range: type FIXED({precision},{scale}), value {value}"),
                )
            }),
        )
    })
}

pub(super) fn text_to_number(rows: &Rows) -> KernelResult {
    let values = rows.texts(0)?;
    let lenient = lenient(rows, 1)?;
    let (precision, scale) = target(rows)?;
    rows.build_numbers(|row| {
        let Some(text) = values.get(row) else { return Ok(None) };
        let result = match number::parse_scaled(text, precision, scale) {
            Some(Some(value)) => Ok(value),
            _ => Err(number::not_recognized(text)),
        };
        attempt(lenient, result)
    })
}

pub(super) fn boolean_to_number(rows: &Rows) -> KernelResult {
    let values = rows.booleans(0)?;
    let unit = match rows.out {
        DataType::Decimal128(_, scale) => number::power_of_ten(scale as u8).unwrap_or(1),
        _ => 1,
    };
    rows.build_numbers(|row| Ok(values.get(row).map(|v| if v { unit } else { 0 })))
}

pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "nan" => return Some(f64::NAN),
        "inf" | "infinity" | "+inf" => return Some(f64::INFINITY),
        "-inf" | "-infinity" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if plain { text.parse().ok() } else { None }
}

pub(super) fn text_to_float(rows: &Rows) -> KernelResult {
    let values = rows.texts(0)?;
    let lenient = lenient(rows, 1)?;
    rows.build_floats(|row| {
        let Some(text) = values.get(row) else { return Ok(None) };
        attempt(lenient, parse_float(text).ok_or_else(|| number::not_recognized(text)))
    })
}

pub(super) fn number_to_boolean(rows: &Rows) -> KernelResult {
    let values = rows.numbers(0)?;
    rows.build_booleans(|row| Ok(values.get(row).map(|v| v != 0)))
}

pub(super) fn float_to_boolean(rows: &Rows) -> KernelResult {
    let values = rows.floats(0)?;
    rows.build_booleans(|row| Ok(values.get(row).map(|v| v != 0.0)))
}
