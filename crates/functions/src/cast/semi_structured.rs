//! Conversions to and from VARIANT, OBJECT, ARRAY and VECTOR.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Float32Builder, Int32Builder, ListBuilder};
use arrow::datatypes::{DataType, Date32Type, Float32Type, Int32Type};
use frazil_common::{Code, UserError, excerpt};

use super::temporal::{build_times, build_timestamps, date_error, time_error, timestamp_error};
use super::text::{decode_binary, parse_boolean};
use super::{attempt, lenient};
use crate::kernel::{KernelResult, Rows};
use crate::number;
use crate::temporal::{Moment, parse};
use crate::variant::{Value, json_text, row_to_value, scalar_text};

fn failed(value: &Value, to: &str) -> UserError {
    UserError::new(
        Code::FailedCast,
        format!("Failed to cast variant value {} to {to}", excerpt(&json_text(value))),
    )
}

/// JSON null converts to SQL NULL.
fn known(value: Option<Value>) -> Option<Value> {
    value.filter(|v| *v != Value::Null)
}

pub(super) fn to_variant(rows: &Rows) -> KernelResult {
    let input = rows.input(0)?;
    rows.build_variants(|row| Ok(row_to_value(input.array.as_ref(), input.row(row))?))
}

pub(super) fn variant_to_text(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    rows.build_texts(|row| Ok(known(values.value(row)).map(|v| scalar_text(&v))))
}

/// A VARIANT that holds no object fails; text is not read as JSON.
pub(super) fn variant_to_object(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    let lenient = lenient(rows, 1)?;
    rows.build_variants(|row| match known(values.value(row)) {
        Some(value @ Value::Object(_)) => Ok(Some(value)),
        Some(other) => attempt(lenient, Err(failed(&other, "OBJECT"))),
        None => Ok(None),
    })
}

/// A VARIANT that holds no array becomes an array of one.
pub(super) fn variant_to_array(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    rows.build_variants(|row| {
        Ok(known(values.value(row)).map(|value| match value {
            list @ Value::List(_) => list,
            other => Value::List(vec![other]),
        }))
    })
}

fn as_number(value: &Value, precision: u8, scale: u8) -> Result<i128, UserError> {
    let found = match value {
        Value::Number { value: v, scale: s } => number::fit(*v, *s as i32, precision, scale),
        Value::Double(v) => number::from_float(*v, precision, scale),
        Value::Text(text) => number::parse_scaled(text, precision, scale).flatten(),
        Value::Boolean(v) => number::fit(i128::from(*v), 0, precision, scale),
        _ => None,
    };
    found.ok_or_else(|| failed(value, "FIXED"))
}

fn as_float(value: &Value) -> Result<f64, UserError> {
    match value {
        Value::Number { value: v, scale } => Ok(number::to_float(*v, *scale)),
        Value::Double(v) => Ok(*v),
        Value::Text(text) => super::numeric::parse_float(text).ok_or_else(|| failed(value, "REAL")),
        Value::Boolean(v) => Ok(f64::from(u8::from(*v))),
        _ => Err(failed(value, "REAL")),
    }
}

fn as_boolean(value: &Value) -> Result<bool, UserError> {
    match value {
        Value::Boolean(v) => Ok(*v),
        Value::Number { value: v, .. } => Ok(*v != 0),
        Value::Double(v) => Ok(*v != 0.0),
        Value::Text(text) => parse_boolean(text).ok_or_else(|| failed(value, "BOOLEAN")),
        _ => Err(failed(value, "BOOLEAN")),
    }
}

fn as_moment(value: &Value) -> Result<(Moment, Option<i32>), UserError> {
    match value {
        Value::Timestamp { moment, instant, .. } => Ok((*moment, instant.then_some(0))),
        Value::Date(days) => Ok((Moment::from_days(*days as i64), None)),
        Value::Text(text) => parse::auto(text)
            .map(|p| {
                let offset = p.offset.map(|minutes| minutes * 60);
                (p.moment, if p.epoch { Some(0) } else { offset })
            })
            .ok_or_else(|| timestamp_error(text)),
        Value::Number { value: v, scale: 0 } => i64::try_from(*v)
            .map(|v| (parse::epoch_moment(v), Some(0)))
            .map_err(|_| failed(value, "TIMESTAMP")),
        _ => Err(failed(value, "TIMESTAMP")),
    }
}

fn as_date(value: &Value) -> Result<i32, UserError> {
    match value {
        Value::Date(days) => Ok(*days),
        Value::Timestamp { moment, .. } => Ok(moment.days() as i32),
        Value::Text(text) => {
            parse::auto(text).map(|p| p.moment.days() as i32).ok_or_else(|| date_error(text))
        }
        _ => Err(failed(value, "DATE")),
    }
}

fn as_time(value: &Value) -> Result<i64, UserError> {
    match value {
        Value::Time(nanos) => Ok(*nanos),
        Value::Timestamp { moment, .. } => {
            Ok(moment.second_of_day() * 1_000_000_000 + moment.nanos as i64)
        }
        Value::Text(text) => parse::time(text, None).ok_or_else(|| time_error(text)),
        _ => Err(failed(value, "TIME")),
    }
}

/// (variant, lenient, zone, precision, scale) → number, float, boolean, date, time, timestamp or
/// binary
pub(crate) fn variant_to(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    let lenient = lenient(rows, 1)?;
    let get = |row: usize| known(values.value(row));
    match &rows.out {
        DataType::Int64 | DataType::Decimal128(..) => {
            let precision = rows.integers(3)?.get(0).unwrap_or(38) as u8;
            let scale = rows.integers(4)?.get(0).unwrap_or(0) as u8;
            rows.build_numbers(|row| match get(row) {
                Some(value) => attempt(lenient, as_number(&value, precision, scale)),
                None => Ok(None),
            })
        }
        DataType::Float64 => rows.build_floats(|row| match get(row) {
            Some(value) => attempt(lenient, as_float(&value)),
            None => Ok(None),
        }),
        DataType::Boolean => rows.build_booleans(|row| match get(row) {
            Some(value) => attempt(lenient, as_boolean(&value)),
            None => Ok(None),
        }),
        DataType::Date32 => rows.build::<Date32Type>(|row| match get(row) {
            Some(value) => attempt(lenient, as_date(&value)),
            None => Ok(None),
        }),
        DataType::Time64(_) => build_times(rows, |row| match get(row) {
            Some(value) => attempt(lenient, as_time(&value)),
            None => Ok(None),
        }),
        DataType::Timestamp(..) | DataType::Struct(_) => {
            let zone = rows.zone(2)?;
            let wall = matches!(rows.out, DataType::Timestamp(_, None));
            build_timestamps(rows, zone, |row| match get(row) {
                // A count in a VARIANT is an instant; without a zone it shows the session's clock.
                Some(value @ Value::Number { .. }) if wall => attempt(lenient, as_moment(&value))
                    .map(|found| {
                        let (moment, _) = found?;
                        let offset = crate::temporal::offset_at(zone, moment.seconds);
                        Some((moment.plus_seconds(offset), None))
                    }),
                Some(value) => attempt(lenient, as_moment(&value)),
                None => Ok(None),
            })
        }
        DataType::Binary => rows.build_bytes(|row| match get(row) {
            Some(Value::Binary(bytes)) => Ok(Some(bytes)),
            Some(Value::Text(text)) => attempt(lenient, decode_binary(&text, "HEX")),
            Some(other) => attempt(lenient, Err(failed(&other, "BINARY"))),
            None => Ok(None),
        }),
        other => Err(UserError::unsupported(format!("VARIANT to {other}")).into()),
    }
}

/// (array, lenient, dimension) → VECTOR
pub(super) fn variant_to_vector(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    let lenient = lenient(rows, 1)?;
    let dimension = rows.integers(2)?.get(0).unwrap_or(0) as usize;
    let read = |row: usize| -> KernelResult<Option<Vec<f64>>> {
        match known(values.value(row)) {
            Some(Value::List(items)) if items.len() == dimension => attempt(
                lenient,
                items.iter().map(as_float).collect::<Result<Vec<f64>, UserError>>(),
            ),
            Some(other) => attempt(lenient, Err(failed(&other, "VECTOR"))),
            None => Ok(None),
        }
    };
    let whole = matches!(&rows.out, DataType::List(f) if f.data_type() == &DataType::Int32);
    if whole {
        let mut builder = ListBuilder::new(Int32Builder::new());
        for row in 0..rows.rows {
            builder.append_option(read(row)?.map(|v| v.into_iter().map(|x| Some(x as i32))));
        }
        Ok(Arc::new(builder.finish()))
    } else {
        let mut builder = ListBuilder::new(Float32Builder::new());
        for row in 0..rows.rows {
            builder.append_option(read(row)?.map(|v| v.into_iter().map(|x| Some(x as f32))));
        }
        Ok(Arc::new(builder.finish()))
    }
}

pub(super) fn vector_to_text(rows: &Rows) -> KernelResult {
    let input = rows.input(0)?;
    let lists = input.array.as_list_opt::<i32>();
    rows.build_texts(|row| {
        let Some(lists) = lists else { return Ok(None) };
        let row = input.row(row);
        if lists.is_null(row) {
            return Ok(None);
        }
        let items = lists.value(row);
        let parts: Vec<String> = match items.data_type() {
            DataType::Float32 => items
                .as_primitive::<Float32Type>()
                .values()
                .iter()
                .map(|v| format!("{v:.6}"))
                .collect(),
            DataType::Int32 => {
                items.as_primitive::<Int32Type>().values().iter().map(i32::to_string).collect()
            }
            other => return Err(UserError::internal(format!("vector of {other}")).into()),
        };
        Ok(Some(format!("[{}]", parts.join(","))))
    })
}
