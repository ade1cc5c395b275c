//! Result rows as the strings of Snowflake's JSON result format.
//!
//! Booleans are "1" and "0", dates days since 1970, times and timestamps seconds with exactly
//! `scale` fraction digits, zoned ones followed by minutes + 1440, binary in hex.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use frazil_common::{Column, SqlType, TimeZoneKind, VectorElement};
use frazil_functions::variant::to_json_pretty;

use super::arrow::{ticks, zoned_parts};
use super::temporal::{write_decimal, write_seconds};

/// A value of the JSON rowset: text, or null.
pub type Cell = Option<String>;

/// All rows of a batch.
///
/// # Errors
/// When the batch's columns are not those described.
pub fn rows(columns: &[Column], batch: &RecordBatch) -> Result<Vec<Vec<Cell>>, ArrowError> {
    let readers = columns
        .iter()
        .zip(batch.columns())
        .map(|(column, array)| Reader::new(&column.sql_type, array))
        .collect::<Result<Vec<_>, _>>()?;
    (0..batch.num_rows())
        .map(|row| readers.iter().map(|reader| reader.cell(row)).collect())
        .collect()
}

/// Rows as JSON text, joined by commas and without outer brackets: the body of a JSON chunk.
///
/// # Errors
/// As [`rows`].
pub fn chunk_text(columns: &[Column], batch: &RecordBatch) -> Result<String, ArrowError> {
    let rows = rows(columns, batch)?;
    let mut text =
        serde_json::to_string(&rows).map_err(|error| ArrowError::JsonError(error.to_string()))?;
    text.pop();
    if !text.is_empty() {
        text.remove(0);
    }
    Ok(text)
}

enum Reader {
    Integer(PrimitiveArray<Int64Type>),
    Decimal(PrimitiveArray<Decimal128Type>, u32),
    Float(PrimitiveArray<Float64Type>),
    Text(ArrayRef),
    Binary(ArrayRef),
    Boolean(ArrayRef),
    Date(PrimitiveArray<Date32Type>),
    Ticks {
        ticks: PrimitiveArray<Int64Type>,
        from: u32,
        scale: u32,
    },
    Zoned {
        array: ArrayRef,
        ticks: PrimitiveArray<Int64Type>,
        from: u32,
        scale: u32,
        offsets: PrimitiveArray<Int32Type>,
    },
    SemiStructured(ArrayRef),
    Vector(ArrayRef, VectorElement),
    Null,
}

impl Reader {
    fn new(sql_type: &SqlType, array: &ArrayRef) -> Result<Reader, ArrowError> {
        Ok(match sql_type {
            SqlType::Number { scale, .. } => match array.data_type() {
                DataType::Int64 => Reader::Integer(array.as_primitive().clone()),
                DataType::Decimal128(_, _) => {
                    Reader::Decimal(array.as_primitive().clone(), (*scale).into())
                }
                other => {
                    return Err(ArrowError::SchemaError(format!(
                        "a NUMBER column came as {other}"
                    )));
                }
            },
            SqlType::Float => {
                Reader::Float(cast(array, &DataType::Float64)?.as_primitive().clone())
            }
            SqlType::Varchar { .. } => Reader::Text(cast(array, &DataType::Utf8)?),
            SqlType::Binary { .. } => Reader::Binary(cast(array, &DataType::Binary)?),
            SqlType::Boolean => Reader::Boolean(cast(array, &DataType::Boolean)?),
            SqlType::Date => Reader::Date(cast(array, &DataType::Date32)?.as_primitive().clone()),
            SqlType::Timestamp { zone: TimeZoneKind::Tz, scale, .. } => {
                let (ticks, from, offsets) = zoned_parts(array)?;
                Reader::Zoned { array: array.clone(), ticks, from, scale: (*scale).into(), offsets }
            }
            SqlType::Time { scale, .. } | SqlType::Timestamp { scale, .. } => {
                let (ticks, from) = ticks(array)?;
                Reader::Ticks { ticks, from, scale: (*scale).into() }
            }
            SqlType::Variant | SqlType::Object | SqlType::Array => {
                Reader::SemiStructured(array.clone())
            }
            SqlType::Vector { element, .. } => Reader::Vector(array.clone(), *element),
            SqlType::Null => Reader::Null,
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Reader::Integer(array) => array.is_null(row),
            Reader::Decimal(array, _) => array.is_null(row),
            Reader::Float(array) => array.is_null(row),
            Reader::Date(array) => array.is_null(row),
            Reader::Ticks { ticks, .. } => ticks.is_null(row),
            Reader::Text(array)
            | Reader::Binary(array)
            | Reader::Boolean(array)
            | Reader::SemiStructured(array)
            | Reader::Vector(array, _)
            | Reader::Zoned { array, .. } => array.is_null(row),
            Reader::Null => true,
        }
    }

    fn cell(&self, row: usize) -> Result<Cell, ArrowError> {
        if self.is_null(row) {
            return Ok(None);
        }
        let mut out = String::new();
        match self {
            Reader::Integer(array) => out = array.value(row).to_string(),
            Reader::Decimal(array, scale) => write_decimal(&mut out, array.value(row), *scale),
            Reader::Float(array) => out = float_text(array.value(row)),
            Reader::Text(array) => out = array.as_string::<i32>().value(row).to_string(),
            Reader::Binary(array) => out = hex::encode_upper(array.as_binary::<i32>().value(row)),
            Reader::Boolean(array) => {
                out.push(if array.as_boolean().value(row) { '1' } else { '0' });
            }
            Reader::Date(array) => out = array.value(row).to_string(),
            Reader::Ticks { ticks, from, scale } => {
                write_seconds(&mut out, ticks.value(row), *from, *scale);
            }
            Reader::Zoned { ticks, from, scale, offsets, .. } => {
                write_seconds(&mut out, ticks.value(row), *from, *scale);
                out.push(' ');
                out.push_str(&(offsets.value(row) + 1440).to_string());
            }
            Reader::SemiStructured(array) => return Ok(to_json_pretty(array.as_ref(), row)),
            Reader::Vector(array, element) => out = vector_text(array, *element, row)?,
            Reader::Null => return Ok(None),
        }
        Ok(Some(out))
    }
}

/// The shortest text that reads back as the same double; exponents outside the everyday range.
fn float_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "inf".into() } else { "-inf".into() }
    } else if value == 0.0 || (1e-5..1e15).contains(&value.abs()) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

fn vector_text(array: &ArrayRef, element: VectorElement, row: usize) -> Result<String, ArrowError> {
    let list = array
        .as_list_opt::<i32>()
        .ok_or_else(|| ArrowError::SchemaError("a VECTOR column came without lists".into()))?;
    let values = list.value(row);
    let items: Vec<String> = match element {
        VectorElement::Float => {
            let values = cast(&values, &DataType::Float32)?;
            let values = values.as_primitive::<arrow::datatypes::Float32Type>();
            values.values().iter().map(|value| value.to_string()).collect()
        }
        VectorElement::Int => {
            let values = cast(&values, &DataType::Int32)?;
            values.as_primitive::<Int32Type>().values().iter().map(|v| v.to_string()).collect()
        }
    };
    Ok(format!("[{}]", items.join(",")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::*;
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn column(sql_type: SqlType, array: ArrayRef) -> Vec<Cell> {
        let schema = Arc::new(Schema::new(vec![Field::new("c", array.data_type().clone(), true)]));
        let batch = RecordBatch::try_new(schema, vec![array]).unwrap();
        let columns = [Column::new("C", sql_type, true)];
        rows(&columns, &batch).unwrap().into_iter().map(|mut row| row.remove(0)).collect()
    }

    fn cell(sql_type: SqlType, array: ArrayRef) -> String {
        column(sql_type, array).remove(0).unwrap()
    }

    #[test]
    fn cells_follow_the_documented_texts() {
        let number = SqlType::Number { precision: 10, scale: 2 };
        let decimal = Decimal128Array::from(vec![1_234_567]).with_precision_and_scale(10, 2);
        assert_eq!(cell(number, Arc::new(decimal.unwrap())), "12345.67");
        assert_eq!(cell(SqlType::Boolean, Arc::new(BooleanArray::from(vec![true]))), "1");
        assert_eq!(cell(SqlType::Date, Arc::new(Date32Array::from(vec![-1]))), "-1");
        assert_eq!(
            cell(SqlType::BYTES, Arc::new(BinaryArray::from(vec![&[0xab_u8, 1][..]]))),
            "AB01"
        );
        let time = SqlType::Time { scale: 3, nanos: false };
        let array = Time64MicrosecondArray::from(vec![3_723_456_000]);
        assert_eq!(cell(time, Arc::new(array)), "3723.456");
        let array = TimestampMicrosecondArray::from(vec![1_704_074_584_000_005]);
        assert_eq!(cell(SqlType::TIMESTAMP_NTZ, Arc::new(array)), "1704074584.000005000");
    }

    #[test]
    fn zoned_timestamps_end_with_the_offset() {
        let DataType::Struct(fields) = SqlType::TIMESTAMP_TZ.to_arrow() else { unreachable!() };
        let array = StructArray::new(
            fields,
            vec![
                Arc::new(TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("UTC")),
                Arc::new(Int32Array::from(vec![60])),
            ],
            None,
        );
        assert_eq!(cell(SqlType::TIMESTAMP_TZ, Arc::new(array)), "1.500000000 1500");
    }

    #[test]
    fn floats_read_back() {
        for value in [0.1, -1.5, 1e300, 1e-300, 123_456_789.25, 0.0] {
            assert_eq!(float_text(value).parse::<f64>().unwrap(), value);
        }
        assert_eq!(float_text(f64::NEG_INFINITY), "-inf");
    }

    #[test]
    fn chunks_have_no_outer_brackets() {
        let schema = Arc::new(Schema::new(vec![Field::new("c", DataType::Int64, true)]));
        let array = Int64Array::from(vec![Some(1), None]);
        let batch = RecordBatch::try_new(schema, vec![Arc::new(array)]).unwrap();
        let columns = [Column::new("C", SqlType::INTEGER, true)];
        assert_eq!(chunk_text(&columns, &batch).unwrap(), r#"["1"],[null]"#);
    }
}
