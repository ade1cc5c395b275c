//! Result batches in the Arrow layout that Snowflake's drivers expect.
//!
//! | SQL | logicalType | Arrow on the wire |
//! |---|---|---|
//! | NUMBER | FIXED | int8/16/32/64 of value × 10^scale, or decimal128(38, scale) |
//! | TIME | TIME | int64 in 10^-scale seconds |
//! | TIMESTAMP_NTZ, _LTZ, scale ≤ 7 | the same | int64 in 10^-scale seconds |
//! | TIMESTAMP_NTZ, _LTZ, scale 8–9 | the same | struct{epoch s, fraction ns} |
//! | TIMESTAMP_TZ, scale ≤ 3 | the same | struct{epoch in 10^-scale s, timezone = minutes + 1440} |
//! | TIMESTAMP_TZ, scale > 3 | the same | struct{epoch s, fraction ns, timezone} |
//! | VARIANT, OBJECT, ARRAY | the same | utf8 JSON text |
//! | VECTOR | VECTOR | fixed_size_list |

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Builder, Int32Builder, PrimitiveArray, RecordBatch,
    StringBuilder, StructArray, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Field, Fields, Int8Type, Int16Type, Int32Type,
    Int64Type, Schema, SchemaRef, TimeUnit,
};
use arrow::error::ArrowError;
use frazil_common::{Column, SqlType, TimeZoneKind, VectorElement};
use frazil_functions::variant::to_json_pretty;

use super::integers::Width;
use super::temporal::{rescale, seconds_and_nanos};

/// The conversion of one result: decided once from its columns and the ranges over all its rows,
/// then applied to every batch alike.
#[derive(Debug, Clone)]
pub struct ArrowLayout {
    columns: Vec<Column>,
    schema: SchemaRef,
}

impl ArrowLayout {
    /// `ranges` holds, per column, the smallest and largest unscaled value of a NUMBER column over
    /// the whole result; missing entries count as unknown.
    pub fn new(columns: &[Column], ranges: &[Option<(i128, i128)>]) -> ArrowLayout {
        let fields: Vec<Field> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| wire_field(column, ranges.get(index).copied().flatten()))
            .collect();
        ArrowLayout { columns: columns.to_vec(), schema: Arc::new(Schema::new(fields)) }
    }

    /// The schema of every batch of this result.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Converts one batch.
    ///
    /// # Errors
    /// When the batch's columns are not those the layout was made for.
    pub fn convert(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        if batch.num_columns() != self.columns.len() {
            return Err(ArrowError::SchemaError(format!(
                "result has {} columns, its description {}",
                batch.num_columns(),
                self.columns.len()
            )));
        }
        let arrays = self
            .columns
            .iter()
            .zip(self.schema.fields())
            .zip(batch.columns())
            .map(|((column, field), array)| convert_column(column, field, array))
            .collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new_with_options(
            self.schema(),
            arrays,
            &arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
        )
    }
}

/// Snowflake's name of a type, in the upper case of Arrow metadata.
pub fn logical_type(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Number { .. } => "FIXED",
        SqlType::Float => "REAL",
        SqlType::Varchar { .. } | SqlType::Null => "TEXT",
        SqlType::Binary { .. } => "BINARY",
        SqlType::Boolean => "BOOLEAN",
        SqlType::Date => "DATE",
        SqlType::Time { .. } => "TIME",
        SqlType::Timestamp { zone: TimeZoneKind::Ntz, .. } => "TIMESTAMP_NTZ",
        SqlType::Timestamp { zone: TimeZoneKind::Ltz, .. } => "TIMESTAMP_LTZ",
        SqlType::Timestamp { zone: TimeZoneKind::Tz, .. } => "TIMESTAMP_TZ",
        SqlType::Variant => "VARIANT",
        SqlType::Object => "OBJECT",
        SqlType::Array => "ARRAY",
        SqlType::Vector { .. } => "VECTOR",
    }
}

/// Timestamps of this scale or more travel as a struct: int64 ticks would end in 2262.
const STRUCT_SCALE: u8 = 8;

fn metadata(pairs: &[(&str, String)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.clone())).collect()
}

fn wire_field(column: &Column, range: Option<(i128, i128)>) -> Field {
    let sql_type = &column.sql_type;
    let logical = ("logicalType", logical_type(sql_type).to_string());
    let sized = |precision: u32, scale: u32, char_length: u32, byte_length: u32| {
        metadata(&[
            logical.clone(),
            ("precision", precision.to_string()),
            ("scale", scale.to_string()),
            ("charLength", char_length.to_string()),
            ("byteLength", byte_length.to_string()),
            ("finalType", "T".to_string()),
        ])
    };
    let (data_type, meta) = match sql_type {
        SqlType::Number { precision, scale } => (
            Width::choose(*precision, range).data_type(*scale),
            sized((*precision).into(), (*scale).into(), 0, 16),
        ),
        SqlType::Float => (DataType::Float64, sized(38, 0, 0, 8)),
        SqlType::Varchar { length } => {
            (DataType::Utf8, sized(38, 0, *length, super::super::rowtype::byte_length(*length)))
        }
        SqlType::Null => (DataType::Utf8, sized(38, 0, 0, 0)),
        SqlType::Binary { length } => (DataType::Binary, sized(38, 0, 0, *length)),
        SqlType::Boolean => (DataType::Boolean, sized(38, 0, 0, 1)),
        SqlType::Date => (DataType::Date32, sized(38, 0, 0, 4)),
        SqlType::Time { scale, .. } => (DataType::Int64, sized(0, (*scale).into(), 0, 8)),
        SqlType::Timestamp { zone: TimeZoneKind::Tz, scale, .. } => {
            let parts = zoned_layout(*scale);
            // The number of bytes is how clients tell the two structs apart.
            let bytes = if parts.contains(&Part::Fraction) { 16 } else { 8 };
            (DataType::Struct(timestamp_fields(parts)), sized(0, (*scale).into(), 0, bytes))
        }
        SqlType::Timestamp { scale, .. } if *scale >= STRUCT_SCALE => {
            (DataType::Struct(timestamp_fields(UNZONED)), sized(0, (*scale).into(), 0, 16))
        }
        SqlType::Timestamp { scale, .. } => (DataType::Int64, sized(0, (*scale).into(), 0, 8)),
        SqlType::Variant | SqlType::Object | SqlType::Array => {
            (DataType::Utf8, sized(38, 0, 16_777_216, 16_777_216))
        }
        SqlType::Vector { element, dimension } => (
            DataType::FixedSizeList(Arc::new(vector_item(*element)), *dimension as i32),
            sized(38, 0, 0, 4 * dimension),
        ),
    };
    Field::new(&column.name, data_type, column.nullable || *sql_type == SqlType::Null)
        .with_metadata(meta)
}

/// A field of a timestamp that travels as a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Epoch,
    Fraction,
    Zone,
}

const UNZONED: &[Part] = &[Part::Epoch, Part::Fraction];

/// Pandas readers multiply the seconds of low scales wrongly, so those travel as plain ticks.
fn zoned_layout(scale: u8) -> &'static [Part] {
    if scale <= 3 { &[Part::Epoch, Part::Zone] } else { &[Part::Epoch, Part::Fraction, Part::Zone] }
}

fn timestamp_fields(parts: &[Part]) -> Fields {
    let fields = parts.iter().map(|part| {
        let (name, data_type) = match part {
            Part::Epoch => ("epoch", DataType::Int64),
            Part::Fraction => ("fraction", DataType::Int32),
            Part::Zone => ("timezone", DataType::Int32),
        };
        Field::new(name, data_type, true).with_metadata(metadata(&[
            ("logicalType", "FIXED".into()),
            ("precision", "38".into()),
            ("scale", "0".into()),
        ]))
    });
    fields.collect()
}

fn vector_item(element: VectorElement) -> Field {
    // A child without logicalType makes one client core raise and another abort.
    match element {
        VectorElement::Float => Field::new("item", DataType::Float32, true)
            .with_metadata(metadata(&[("logicalType", "REAL".into())])),
        VectorElement::Int => Field::new("item", DataType::Int32, true).with_metadata(metadata(&[
            ("logicalType", "FIXED".into()),
            ("precision", "10".into()),
            ("scale", "0".into()),
        ])),
    }
}

fn convert_column(
    column: &Column,
    field: &Field,
    array: &ArrayRef,
) -> Result<ArrayRef, ArrowError> {
    match &column.sql_type {
        SqlType::Number { .. } => convert_fixed(field.data_type(), array),
        SqlType::Null => Ok(new_null_array(&DataType::Utf8, array.len())),
        SqlType::Time { scale, .. } => {
            let (ticks, from) = ticks(array)?;
            Ok(Arc::new(rescaled(&ticks, from, *scale)))
        }
        SqlType::Timestamp { zone: TimeZoneKind::Tz, scale, .. } => convert_zoned(array, *scale),
        SqlType::Timestamp { scale, .. } => {
            let (ticks, from) = ticks(array)?;
            if *scale >= STRUCT_SCALE {
                let (epoch, fraction) = split(&ticks, from, *scale);
                struct_array(UNZONED, vec![epoch, fraction], ticks.nulls().cloned())
            } else {
                Ok(Arc::new(rescaled(&ticks, from, *scale)))
            }
        }
        SqlType::Variant | SqlType::Object | SqlType::Array => {
            let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 16);
            for row in 0..array.len() {
                builder.append_option(to_json_pretty(array.as_ref(), row));
            }
            Ok(Arc::new(builder.finish()))
        }
        SqlType::Vector { element, dimension } => convert_vector(array, *element, *dimension),
        SqlType::Float
        | SqlType::Varchar { .. }
        | SqlType::Binary { .. }
        | SqlType::Boolean
        | SqlType::Date => cast(array, field.data_type()),
    }
}

fn convert_fixed(to: &DataType, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    fn narrow<S: ArrowPrimitiveType, T: ArrowPrimitiveType>(
        array: &PrimitiveArray<S>,
        convert: impl Fn(S::Native) -> T::Native,
    ) -> ArrayRef {
        // The range was measured over all rows, so only the slots under NULLs can be cut.
        Arc::new(array.unary::<_, T>(convert))
    }
    match array.data_type() {
        DataType::Int64 => {
            let array = array.as_primitive::<Int64Type>();
            match to {
                DataType::Int8 => Ok(narrow::<_, Int8Type>(array, |v| v as i8)),
                DataType::Int16 => Ok(narrow::<_, Int16Type>(array, |v| v as i16)),
                DataType::Int32 => Ok(narrow::<_, Int32Type>(array, |v| v as i32)),
                DataType::Int64 => Ok(Arc::new(array.clone())),
                other => cast(array, other),
            }
        }
        DataType::Decimal128(_, _) => {
            let array = array.as_primitive::<Decimal128Type>();
            match to {
                DataType::Int8 => Ok(narrow::<_, Int8Type>(array, |v| v as i8)),
                DataType::Int16 => Ok(narrow::<_, Int16Type>(array, |v| v as i16)),
                DataType::Int32 => Ok(narrow::<_, Int32Type>(array, |v| v as i32)),
                DataType::Int64 => Ok(narrow::<_, Int64Type>(array, |v| v as i64)),
                DataType::Decimal128(precision, scale) => {
                    Ok(Arc::new(array.clone().with_precision_and_scale(*precision, *scale)?))
                }
                other => cast(array, other),
            }
        }
        other => Err(ArrowError::SchemaError(format!("a NUMBER column came as {other}"))),
    }
}

/// The raw ticks of a time or timestamp array, and the decimal places of its unit.
pub fn ticks(array: &ArrayRef) -> Result<(PrimitiveArray<Int64Type>, u32), ArrowError> {
    let places = match array.data_type() {
        DataType::Time64(unit) | DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => 0,
            TimeUnit::Millisecond => 3,
            TimeUnit::Microsecond => 6,
            TimeUnit::Nanosecond => 9,
        },
        other => {
            return Err(ArrowError::SchemaError(format!("a time column came as {other}")));
        }
    };
    let data = array.to_data().into_builder().data_type(DataType::Int64).build()?;
    Ok((PrimitiveArray::from(data), places))
}

fn rescaled(ticks: &PrimitiveArray<Int64Type>, from: u32, scale: u8) -> PrimitiveArray<Int64Type> {
    ticks.unary(|value| rescale(value, from, scale.into()))
}

/// Seconds, and nanoseconds cut to `scale` digits.
fn split(ticks: &PrimitiveArray<Int64Type>, from: u32, scale: u8) -> (ArrayRef, ArrayRef) {
    let cut = 10_i32.pow(9 - u32::from(scale.min(9)));
    let epoch: PrimitiveArray<Int64Type> = ticks.unary(|value| seconds_and_nanos(value, from).0);
    let fraction: PrimitiveArray<Int32Type> =
        ticks.unary(|value| seconds_and_nanos(value, from).1 / cut * cut);
    (Arc::new(epoch), Arc::new(fraction))
}

fn struct_array(
    parts: &[Part],
    children: Vec<ArrayRef>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(StructArray::try_new(timestamp_fields(parts), children, nulls)?))
}

/// The instant's ticks, its decimal places, and the offsets in minutes, of a TIMESTAMP_TZ array.
pub fn zoned_parts(
    array: &ArrayRef,
) -> Result<(PrimitiveArray<Int64Type>, u32, PrimitiveArray<Int32Type>), ArrowError> {
    let parts = array
        .as_struct_opt()
        .filter(|parts| parts.num_columns() == 2)
        .ok_or_else(|| ArrowError::SchemaError("a TIMESTAMP_TZ column came unstructured".into()))?;
    let (instants, from) = ticks(parts.column(0))?;
    let offsets = parts
        .column(1)
        .as_primitive_opt::<Int32Type>()
        .ok_or_else(|| ArrowError::SchemaError("TIMESTAMP_TZ offsets are not Int32".into()))?;
    Ok((instants, from, offsets.clone()))
}

fn convert_zoned(array: &ArrayRef, scale: u8) -> Result<ArrayRef, ArrowError> {
    let (instants, from, offsets) = zoned_parts(array)?;
    let zone: PrimitiveArray<Int32Type> = offsets.unary(|minutes| minutes + 1440);
    let parts = zoned_layout(scale);
    let children: Vec<ArrayRef> = if parts.contains(&Part::Fraction) {
        let (epoch, fraction) = split(&instants, from, scale);
        vec![epoch, fraction, Arc::new(zone)]
    } else {
        vec![Arc::new(rescaled(&instants, from, scale)), Arc::new(zone)]
    };
    struct_array(parts, children, array.nulls().cloned())
}

fn convert_vector(
    array: &ArrayRef,
    element: VectorElement,
    dimension: u32,
) -> Result<ArrayRef, ArrowError> {
    use arrow::array::FixedSizeListArray;
    let lists = array
        .as_list_opt::<i32>()
        .ok_or_else(|| ArrowError::SchemaError("a VECTOR column came without lists".into()))?;
    let width = dimension as usize;
    let misfit = || ArrowError::InvalidArgumentError(format!("a VECTOR is not {width} long"));
    // A fixed-size list keeps slots under NULLs too.
    let values: ArrayRef = match element {
        VectorElement::Float => {
            let mut builder = Float32Builder::with_capacity(lists.len() * width);
            for row in 0..lists.len() {
                if lists.is_null(row) {
                    builder.append_nulls(width);
                    continue;
                }
                let item = cast(&lists.value(row), &DataType::Float32)?;
                let item = item.as_primitive::<arrow::datatypes::Float32Type>();
                if item.len() != width {
                    return Err(misfit());
                }
                builder.append_array(item);
            }
            Arc::new(builder.finish())
        }
        VectorElement::Int => {
            let mut builder = Int32Builder::with_capacity(lists.len() * width);
            for row in 0..lists.len() {
                if lists.is_null(row) {
                    builder.append_nulls(width);
                    continue;
                }
                let item = cast(&lists.value(row), &DataType::Int32)?;
                let item = item.as_primitive::<Int32Type>();
                if item.len() != width {
                    return Err(misfit());
                }
                builder.append_array(item);
            }
            Arc::new(builder.finish())
        }
    };
    Ok(Arc::new(FixedSizeListArray::try_new(
        Arc::new(vector_item(element)),
        dimension as i32,
        values,
        lists.nulls().cloned(),
    )?))
}

#[cfg(test)]
#[path = "arrow_tests.rs"]
mod tests;
