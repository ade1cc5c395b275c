//! Values of inlined rows as SQLite holds them: numbers up to 64 bits and bytes as they are, all
//! else as DuckDB's text.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StringArray,
    StringViewArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Field, Float32Type, Float64Type, Int32Type,
    Int64Type,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, TypeInfo, ValueRef};

use crate::error::{CatalogError, Result};

/// A value as SQLite holds it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// SQLite's declared type of a column that holds values of an Arrow type.
pub fn declared_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "BIGINT",
        DataType::UInt64 => "VARCHAR",
        integer if integer.is_integer() => "BIGINT",
        DataType::Binary => "BLOB",
        _ => "VARCHAR",
    }
}

fn unreadable(data_type: &DataType) -> CatalogError {
    CatalogError::Damaged(format!("an inlined value is no {data_type}"))
}

/// The values of a column.
pub fn encode(array: &ArrayRef) -> Result<Vec<Value>> {
    let text = |strings: &StringArray, shape: fn(&str) -> String| -> Vec<Value> {
        strings.iter().map(|v| v.map_or(Value::Null, |v| Value::Text(shape(v)))).collect()
    };
    Ok(match array.data_type() {
        DataType::Boolean => array
            .as_boolean()
            .iter()
            .map(|v| v.map_or(Value::Null, |v| Value::Integer(i64::from(v))))
            .collect(),
        DataType::UInt64 => text(cast(array, &DataType::Utf8)?.as_string(), str::to_string),
        integer if integer.is_integer() => cast(array, &DataType::Int64)?
            .as_primitive::<Int64Type>()
            .iter()
            .map(|v| v.map_or(Value::Null, Value::Integer))
            .collect(),
        DataType::Float32 => floats(array.as_primitive::<Float32Type>()),
        DataType::Float64 => floats(array.as_primitive::<Float64Type>()),
        DataType::Utf8View => array
            .as_string_view()
            .iter()
            .map(|v| v.map_or(Value::Null, |v| Value::Text(v.to_string())))
            .collect(),
        DataType::Binary => array
            .as_binary::<i32>()
            .iter()
            .map(|v| v.map_or(Value::Null, |v| Value::Blob(v.to_vec())))
            .collect(),
        DataType::Timestamp(_, None) => {
            text(cast(array, &DataType::Utf8)?.as_string(), |v| v.replacen('T', " ", 1))
        }
        DataType::Timestamp(_, Some(_)) => text(cast(array, &DataType::Utf8)?.as_string(), |v| {
            format!("{}+00", v.trim_end_matches('Z').replacen('T', " ", 1))
        }),
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let mut values = Vec::with_capacity(lists.len());
            for row in 0..lists.len() {
                if lists.is_null(row) {
                    values.push(Value::Null);
                    continue;
                }
                let items: Vec<String> = encode(&lists.value(row))?
                    .into_iter()
                    .map(|item| match item {
                        Value::Integer(v) => v.to_string(),
                        Value::Text(v) => v,
                        _ => "NULL".to_string(),
                    })
                    .collect();
                values.push(Value::Text(format!("[{}]", items.join(", "))));
            }
            values
        }
        _ => text(cast(array, &DataType::Utf8)?.as_string(), str::to_string),
    })
}

fn floats<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> Vec<Value>
where
    T::Native: std::fmt::Debug,
{
    // Rust's text has all digits and keeps the sign of zero.
    let shape = |v: T::Native| Value::Text(format!("{v:?}").to_lowercase());
    array.iter().map(|v| v.map_or(Value::Null, shape)).collect()
}

/// The value of a row's column.
pub fn value_of(row: &SqliteRow, index: usize) -> Result<Value> {
    let raw = row.try_get_raw(index)?;
    Ok(match raw.type_info().name() {
        _ if raw.is_null() => Value::Null,
        "INTEGER" | "BIGINT" | "BOOLEAN" => Value::Integer(row.try_get_unchecked(index)?),
        "REAL" | "DOUBLE" => Value::Real(row.try_get_unchecked(index)?),
        "BLOB" => Value::Blob(row.try_get_unchecked(index)?),
        _ => Value::Text(row.try_get_unchecked(index)?),
    })
}

/// A column of values.
pub fn decode(values: Vec<Value>, data_type: &DataType) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Boolean => {
            let read = |value: Value| match value {
                Value::Null => Ok(None),
                Value::Integer(v) => Ok(Some(v != 0)),
                Value::Text(v) => match v.as_str() {
                    "true" | "1" => Ok(Some(true)),
                    "false" | "0" => Ok(Some(false)),
                    _ => Err(unreadable(data_type)),
                },
                _ => Err(unreadable(data_type)),
            };
            Arc::new(values.into_iter().map(read).collect::<Result<BooleanArray>>()?)
        }
        DataType::Float32 => read_floats::<Float32Type>(values, data_type, |v| v as f32)?,
        DataType::Float64 => read_floats::<Float64Type>(values, data_type, |v| v)?,
        DataType::Utf8View => {
            let read = |value: Value| match value {
                Value::Null => Ok(None),
                Value::Text(v) => Ok(Some(v)),
                Value::Integer(v) => Ok(Some(v.to_string())),
                Value::Blob(v) => {
                    Ok(Some(String::from_utf8(v).map_err(|_| unreadable(data_type))?))
                }
                Value::Real(_) => Err(unreadable(data_type)),
            };
            Arc::new(values.into_iter().map(read).collect::<Result<StringViewArray>>()?)
        }
        DataType::Binary => {
            let read = |value: Value| match value {
                Value::Null => Ok(None),
                Value::Blob(v) => Ok(Some(v)),
                Value::Text(v) => Ok(Some(v.into_bytes())),
                _ => Err(unreadable(data_type)),
            };
            let all = values.into_iter().map(read).collect::<Result<Vec<_>>>()?;
            Arc::new(BinaryArray::from_iter(all))
        }
        DataType::Decimal128(precision, scale) => {
            let read = |value: Value| {
                let text = match value {
                    Value::Null => return Ok(None),
                    Value::Text(v) => v,
                    Value::Integer(v) => v.to_string(),
                    Value::Real(v) => v.to_string(),
                    Value::Blob(_) => return Err(unreadable(data_type)),
                };
                let parsed = arrow::compute::kernels::cast_utils::parse_decimal::<Decimal128Type>(
                    &text, *precision, *scale,
                );
                parsed.map(Some).map_err(|_| unreadable(data_type))
            };
            let all =
                values.into_iter().map(read).collect::<Result<PrimitiveArray<Decimal128Type>>>()?;
            Arc::new(all.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::List(item) => read_lists(values, data_type, item)?,
        integer if integer.is_integer() && *integer != DataType::UInt64 => {
            let read = |value: Value| match value {
                Value::Null => Ok(None),
                Value::Integer(v) => Ok(Some(v)),
                Value::Text(v) => v.parse().map(Some).map_err(|_| unreadable(data_type)),
                _ => Err(unreadable(data_type)),
            };
            let all =
                values.into_iter().map(read).collect::<Result<PrimitiveArray<Int64Type>>>()?;
            strictly(&(Arc::new(all) as ArrayRef), data_type)?
        }
        _ => {
            let zoned = matches!(data_type, DataType::Timestamp(_, Some(_)));
            let read = |value: Value| match value {
                Value::Null => Ok(None),
                // An offset of whole hours comes as `+00`.
                Value::Text(v)
                    if zoned && v.len() > 3 && matches!(v.as_bytes()[v.len() - 3], b'+' | b'-') =>
                {
                    Ok(Some(format!("{v}:00")))
                }
                Value::Text(v) => Ok(Some(v)),
                Value::Integer(v) => Ok(Some(v.to_string())),
                _ => Err(unreadable(data_type)),
            };
            let all = values.into_iter().map(read).collect::<Result<StringArray>>()?;
            strictly(&(Arc::new(all) as ArrayRef), data_type)?
        }
    })
}

/// Values as texts, for a column of which some are none of its type.
pub fn texts(values: Vec<Value>) -> ArrayRef {
    let text = |value: Value| match value {
        Value::Null => None,
        Value::Integer(v) => Some(v.to_string()),
        Value::Real(v) => Some(v.to_string()),
        Value::Text(v) => Some(v),
        Value::Blob(v) => Some(String::from_utf8_lossy(&v).into_owned()),
    };
    Arc::new(values.into_iter().map(text).collect::<StringViewArray>())
}

/// A cast that fails on what it cannot convert.
fn strictly(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, data_type, &options)?)
}

fn read_floats<T: ArrowPrimitiveType>(
    values: Vec<Value>,
    data_type: &DataType,
    narrow: fn(f64) -> T::Native,
) -> Result<ArrayRef>
where
    T::Native: std::str::FromStr,
{
    let read = |value: Value| match value {
        Value::Null => Ok(None),
        Value::Real(v) => Ok(Some(narrow(v))),
        Value::Integer(v) => Ok(Some(narrow(v as f64))),
        Value::Text(v) => v.parse().map(Some).map_err(|_| unreadable(data_type)),
        Value::Blob(_) => Err(unreadable(data_type)),
    };
    Ok(Arc::new(values.into_iter().map(read).collect::<Result<PrimitiveArray<T>>>()?))
}

fn read_lists(values: Vec<Value>, data_type: &DataType, item: &Arc<Field>) -> Result<ArrayRef> {
    let mut lengths = Vec::with_capacity(values.len());
    let mut present = Vec::with_capacity(values.len());
    let mut items: Vec<Value> = Vec::new();
    for value in values {
        let text = match value {
            Value::Null => {
                lengths.push(0);
                present.push(false);
                continue;
            }
            Value::Text(text) => text,
            _ => return Err(unreadable(data_type)),
        };
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let inner = inner.ok_or_else(|| unreadable(data_type))?;
        let before = items.len();
        if !inner.trim().is_empty() {
            items.extend(inner.split(',').map(|part| match part.trim() {
                "NULL" => Value::Null,
                other => Value::Text(other.to_string()),
            }));
        }
        lengths.push(items.len() - before);
        present.push(true);
    }
    let items = match item.data_type() {
        DataType::Int32 => {
            let read = |value: Value| match value {
                Value::Text(v) => v.parse().map(Some).map_err(|_| unreadable(data_type)),
                _ => Ok(None),
            };
            Arc::new(items.into_iter().map(read).collect::<Result<PrimitiveArray<Int32Type>>>()?)
        }
        other => decode(items, other)?,
    };
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = NullBuffer::from(present);
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, Some(nulls))?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use arrow::array::{Date32Array, Decimal128Array, Float64Array, TimestampMicrosecondArray};

    use super::*;

    fn text(value: &Value) -> &str {
        match value {
            Value::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    /// Texts as DuckDB 1.5.5 writes them into its inlined tables.
    #[test]
    fn texts_of_duckdb_are_read_and_ours_are_like_them() {
        let zoned =
            DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
        let read = |texts: &[&str], ty: &DataType| {
            decode(texts.iter().map(|t| Value::Text((*t).to_string())).collect(), ty).unwrap()
        };
        let dates = read(&["0001-01-01", "9999-12-31"], &DataType::Date32);
        assert_eq!(dates.as_ref(), &Date32Array::from(vec![-719_162, 2_932_896]));
        assert_eq!(text(&encode(&dates).unwrap()[0]), "0001-01-01");
        let times = read(&["2020-01-01 00:00:00.5+00", "2020-01-01 05:30:00+05:30"], &zoned);
        let wanted =
            TimestampMicrosecondArray::from(vec![1_577_836_800_500_000, 1_577_836_800_000_000]);
        assert_eq!(times.as_ref(), &wanted.with_timezone("UTC"));
        assert_eq!(text(&encode(&times).unwrap()[1]), "2020-01-01 00:00:00+00");
        let floats = read(&["nan", "-inf", "-0.0", "1e+300", "1e-320"], &DataType::Float64);
        let floats = floats.as_primitive::<Float64Type>();
        assert!(floats.value(0).is_nan() && floats.value(2).is_sign_negative());
        assert_eq!((floats.value(1), floats.value(3)), (f64::NEG_INFINITY, 1e300));
        let back: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, -0.0]));
        let back = encode(&back).unwrap();
        assert_eq!((text(&back[0]), text(&back[1])), ("nan", "-0.0"));
        let decimals = read(&["-0.0000000001", "1.5000000000"], &DataType::Decimal128(38, 10));
        let wanted = Decimal128Array::from(vec![-1, 15_000_000_000]);
        assert_eq!(decimals.as_ref(), &wanted.with_precision_and_scale(38, 10).unwrap());
        assert_eq!(text(&encode(&decimals).unwrap()[0]), "-0.0000000001");
        let list = DataType::List(Arc::new(Field::new("element", DataType::Float32, true)));
        let lists = read(&["[1.5, NULL, nan]", "[]"], &list);
        assert_eq!(text(&encode(&lists).unwrap()[0]), "[1.5, NULL, nan]");
        assert_eq!(text(&encode(&lists).unwrap()[1]), "[]");
        assert!(decode(vec![Value::Text("infinity".into())], &DataType::Date32).is_err());
    }
}
