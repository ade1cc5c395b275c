//! Exact bounds of written columns, and their text form in the catalog.

use std::cmp::Ordering;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{
    cast, max, max_boolean, max_string_view, min, min_boolean, min_string_view,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use datafusion::scalar::ScalarValue;
use frazil_catalog::ColumnInfo;
use frazil_catalog::changes::ColumnStatistics;
use frazil_catalog::defaults::{blob_bytes, blob_text};
use frazil_common::UserError;

use crate::error::{LakeError, Result};

/// Longer text is cut: the bounds stay bounds, but are no longer values.
const TEXT_BOUND_CHARS: usize = 128;

/// Bounds of one column while its file is written.
#[derive(Debug, Clone)]
pub struct Bounds {
    field_id: i64,
    values: i64,
    nulls: i64,
    min: Option<ScalarValue>,
    max: Option<ScalarValue>,
    nan: Option<bool>,
}

impl Bounds {
    /// Of the column with this field id.
    pub fn new(field_id: i64) -> Bounds {
        Bounds { field_id, values: 0, nulls: 0, min: None, max: None, nan: None }
    }

    /// Takes in more values (in the table's Arrow type).
    pub fn add(&mut self, array: &ArrayRef) {
        let nulls = array.null_count();
        self.nulls += nulls as i64;
        self.values += (array.len() - nulls) as i64;
        if nulls == array.len() {
            if matches!(array.data_type(), DataType::Float64) {
                self.nan.get_or_insert(false);
            }
            return;
        }
        let (low, high) = match array.data_type() {
            DataType::Boolean => {
                let a = array.as_boolean();
                (ScalarValue::Boolean(min_boolean(a)), ScalarValue::Boolean(max_boolean(a)))
            }
            DataType::Int64 => {
                let a = array.as_primitive::<Int64Type>();
                (ScalarValue::Int64(min(a)), ScalarValue::Int64(max(a)))
            }
            DataType::Decimal128(p, s) => {
                let a = array.as_primitive::<Decimal128Type>();
                (ScalarValue::Decimal128(min(a), *p, *s), ScalarValue::Decimal128(max(a), *p, *s))
            }
            DataType::Float64 => {
                let a = array.as_primitive::<Float64Type>();
                let mut bounds: Option<(f64, f64)> = None;
                let mut nan = false;
                for value in a.iter().flatten() {
                    if value.is_nan() {
                        nan = true;
                    } else {
                        let (low, high) = bounds.unwrap_or((value, value));
                        bounds = Some((low.min(value), high.max(value)));
                    }
                }
                self.nan = Some(nan || self.nan == Some(true));
                let (low, high) = bounds.unzip();
                (ScalarValue::Float64(low), ScalarValue::Float64(high))
            }
            DataType::Utf8View => {
                let a = array.as_string_view();
                let text = |v: Option<&str>| ScalarValue::Utf8View(v.map(str::to_string));
                (text(min_string_view(a)), text(max_string_view(a)))
            }
            DataType::Date32 => {
                let a = array.as_primitive::<Date32Type>();
                (ScalarValue::Date32(min(a)), ScalarValue::Date32(max(a)))
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                let a = array.as_primitive::<Time64MicrosecondType>();
                (ScalarValue::Time64Microsecond(min(a)), ScalarValue::Time64Microsecond(max(a)))
            }
            DataType::Time64(TimeUnit::Nanosecond) => {
                let a = array.as_primitive::<Time64NanosecondType>();
                (ScalarValue::Time64Nanosecond(min(a)), ScalarValue::Time64Nanosecond(max(a)))
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let a = array.as_primitive::<TimestampMicrosecondType>();
                (
                    ScalarValue::TimestampMicrosecond(min(a), zone.clone()),
                    ScalarValue::TimestampMicrosecond(max(a), zone.clone()),
                )
            }
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                let a = array.as_primitive::<TimestampNanosecondType>();
                (
                    ScalarValue::TimestampNanosecond(min(a), zone.clone()),
                    ScalarValue::TimestampNanosecond(max(a), zone.clone()),
                )
            }
            // Nested values, variants and bytes have no bounds here.
            _ => return,
        };
        widen(&mut self.min, low, Ordering::Less);
        widen(&mut self.max, high, Ordering::Greater);
    }

    /// The catalog's row for a file; `bytes` is the column's size in it.
    pub fn finish(self, bytes: i64) -> ColumnStatistics {
        ColumnStatistics {
            field_id: self.field_id,
            bytes,
            value_count: self.values,
            null_count: self.nulls,
            min: self.min.as_ref().and_then(|v| to_text(v, Ordering::Less)),
            max: self.max.as_ref().and_then(|v| to_text(v, Ordering::Greater)),
            contains_nan: self.nan,
        }
    }
}

fn widen(bound: &mut Option<ScalarValue>, value: ScalarValue, outward: Ordering) {
    if value.is_null() {
        return;
    }
    let wider = match bound.as_ref() {
        None => true,
        Some(current) => value.partial_cmp(current) == Some(outward),
    };
    if wider {
        *bound = Some(value);
    }
}

/// DuckLake's text of a bound; long text is cut outward.
fn to_text(value: &ScalarValue, outward: Ordering) -> Option<String> {
    match value {
        ScalarValue::Utf8View(Some(text)) => cut(text, outward),
        other => value_text(other),
    }
}

/// DuckLake's text of a value; none for types without one.
pub fn value_text(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Boolean(Some(value)) => Some(if *value { "1" } else { "0" }.to_string()),
        ScalarValue::Int64(Some(value)) => Some(value.to_string()),
        ScalarValue::Float64(Some(value)) => Some(format!("{value:?}")),
        ScalarValue::Utf8View(Some(text)) => Some(text.clone()),
        other if is_beyond_years(other) => None,
        other if other.data_type().is_nested() || other.is_null() => None,
        other => {
            let text = cast(&other.to_array().ok()?, &DataType::Utf8).ok()?;
            let text = text.as_string::<i32>().value(0).to_string();
            match other {
                ScalarValue::TimestampMicrosecond(_, zone)
                | ScalarValue::TimestampNanosecond(_, zone) => {
                    let plain = text.trim_end_matches('Z').replacen('T', " ", 1);
                    Some(if zone.is_some() { format!("{plain}+00") } else { plain })
                }
                _ => Some(text),
            }
        }
    }
}

/// Whether a date or timestamp is after the year 9999, for which DuckDB has another text.
fn is_beyond_years(value: &ScalarValue) -> bool {
    /// Days from 1970 to the year 10000.
    const END_DAYS: i64 = 2_932_897;
    let end = |in_a_day: i64| END_DAYS.saturating_mul(in_a_day);
    match value {
        ScalarValue::Date32(Some(days)) => i64::from(*days) >= END_DAYS,
        ScalarValue::TimestampMicrosecond(Some(count), _) => *count >= end(86_400_000_000),
        _ => false,
    }
}

fn cut(text: &str, outward: Ordering) -> Option<String> {
    let Some((end, _)) = text.char_indices().nth(TEXT_BOUND_CHARS) else {
        return Some(text.to_string());
    };
    let mut head = text.get(..end)?.to_string();
    if outward == Ordering::Greater {
        // The next greater text of that length.
        loop {
            let last = head.pop()?;
            if let Some(next) = char::from_u32(last as u32 + 1) {
                head.push(next);
                break;
            }
        }
    }
    Some(head)
}

/// Whether a text bound may have been cut, so that it is no value of the column.
pub fn is_cut(text: &str) -> bool {
    text.chars().count() >= TEXT_BOUND_CHARS
}

/// What rows that are older than a column have in it: NULL, or its first default.
///
/// # Errors
/// Another client's default of a kind that is not read here: NULL would be wrong.
pub fn initial_value(column: &ColumnInfo) -> Result<ScalarValue> {
    let data_type = column.sql_type.to_arrow();
    let Some(text) = &column.initial_default else { return Ok(ScalarValue::try_from(&data_type)?) };
    let value = match column.physical_type.as_str() {
        "uuid" => {
            let id = uuid::Uuid::parse_str(text).ok();
            id.map(|id| ScalarValue::Utf8View(Some(id.hyphenated().to_string())))
        }
        "int128" | "uint128" => default_value(text, &data_type),
        _ => default_value(text, &data_type).filter(|_| column.is_written()),
    };
    value.ok_or_else(|| {
        LakeError::User(UserError::unsupported(format!(
            "the default '{text}' that rows older than column {} ({}) have; another client set it",
            column.name, column.physical_type
        )))
    })
}

fn default_value(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::Binary => blob_bytes(text).map(|bytes| ScalarValue::Binary(Some(bytes))),
        other => from_text(text, other),
    }
}

/// DuckLake's text of a column's default (in the column's Arrow type); none where other clients, or
/// this one, would read something else.
pub fn default_text(column: &ColumnInfo, value: &ScalarValue) -> Option<String> {
    let text = match value {
        // Kept as a count, which is what other readers take the column for.
        ScalarValue::Time64Nanosecond(Some(count)) if column.physical_type == "int64" => {
            Some(count.to_string())
        }
        ScalarValue::Binary(Some(bytes)) => Some(blob_text(bytes)),
        other => value_text(other),
    };
    text.filter(|text| default_value(text, &value.data_type()).as_ref() == Some(value))
}

/// Reads a bound in DuckLake's text form; none where it has no such value.
pub fn from_text(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::Boolean => match text {
            "1" | "true" => Some(ScalarValue::Boolean(Some(true))),
            "0" | "false" => Some(ScalarValue::Boolean(Some(false))),
            _ => None,
        },
        DataType::Utf8View => Some(ScalarValue::Utf8View(Some(text.to_string()))),
        DataType::Binary | DataType::Struct(_) | DataType::List(_) => None,
        DataType::Time64(TimeUnit::Nanosecond) if text.parse::<i64>().is_ok() => {
            text.parse().ok().map(|count| ScalarValue::Time64Nanosecond(Some(count)))
        }
        DataType::Timestamp(_, Some(_)) => {
            let text = text.strip_suffix("+00").map_or(text.to_string(), |t| format!("{t}+00:00"));
            ScalarValue::try_from_string(text, data_type).ok()
        }
        _ => ScalarValue::try_from_string(text.to_string(), data_type).ok(),
    }
    .filter(|value| !value.is_null())
}
