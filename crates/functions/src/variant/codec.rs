//! Variant columns: reading, building, and making them of typed columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BinaryViewBuilder, NullBufferBuilder, StructArray,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow::error::ArrowError;
use frazil_common::{SqlType, UserError};
use parquet_variant::Variant;

use super::value::Value;
use crate::kernel::{KernelResult, Rows};
use crate::temporal::Moment;

/// Bytes from which on copies of a repeated value share one place.
const SHARED_BYTES: usize = 4096;

/// A column of variants, read by row.
#[derive(Debug)]
pub struct VariantColumn<'a> {
    column: &'a StructArray,
    metadata: &'a BinaryViewArray,
    value: &'a BinaryViewArray,
}

impl<'a> VariantColumn<'a> {
    /// The column, if it is Struct{metadata, value: BinaryView}.
    pub fn new(array: &'a dyn Array) -> Result<Self, UserError> {
        let wrong = || UserError::internal(format!("{} is no variant column", array.data_type()));
        let column = array.as_struct_opt().ok_or_else(wrong)?;
        let part = |index: usize| {
            column.columns().get(index).and_then(|c| c.as_binary_view_opt()).ok_or_else(wrong)
        };
        Ok(VariantColumn { column, metadata: part(0)?, value: part(1)? })
    }

    /// The variant of a row, `None` for SQL NULL.
    pub fn get(&self, row: usize) -> Option<Variant<'a, 'a>> {
        if self.column.is_null(row) {
            return None;
        }
        Some(Variant::new(self.metadata.value(row), self.value.value(row)))
    }

    /// The decoded value of a row, `None` for SQL NULL.
    pub fn value(&self, row: usize) -> Option<Value> {
        self.get(row).map(|v| Value::decode(&v))
    }
}

/// A value that several rows of a column have; the bytes of a large one lie there once.
#[derive(Debug)]
pub struct Repeated {
    metadata: Part,
    value: Part,
}

#[derive(Debug)]
enum Part {
    Copied(Vec<u8>),
    Shared { block: u32, length: u32 },
}

/// Builds a variant column.
#[derive(Debug)]
pub struct VariantBuilder {
    metadata: BinaryViewBuilder,
    value: BinaryViewBuilder,
    nulls: NullBufferBuilder,
}

impl VariantBuilder {
    pub fn with_capacity(rows: usize) -> Self {
        VariantBuilder {
            metadata: BinaryViewBuilder::with_capacity(rows),
            value: BinaryViewBuilder::with_capacity(rows),
            nulls: NullBufferBuilder::new(rows),
        }
    }

    /// For one value, in no more bytes than it needs: a block for many would stay with it.
    fn single() -> Self {
        const NO_BLOCK: u32 = 1;
        let part = || BinaryViewBuilder::with_capacity(1).with_fixed_block_size(NO_BLOCK);
        VariantBuilder { metadata: part(), value: part(), nulls: NullBufferBuilder::new(1) }
    }

    pub fn append_null(&mut self) {
        // Empty metadata and the null value, so that the bytes stay readable.
        self.metadata.append_value([1u8, 0, 0]);
        self.value.append_value([0u8]);
        self.nulls.append_null();
    }

    pub fn append(&mut self, value: Option<&Value>) {
        match value {
            Some(value) => {
                let (metadata, value) = value.encode();
                self.metadata.append_value(metadata);
                self.value.append_value(value);
                self.nulls.append_non_null();
            }
            None => self.append_null(),
        }
    }

    /// A value for [`VariantBuilder::append_repeated`], which will be called so many times.
    pub fn repeated(&mut self, value: &Value, times: usize) -> Repeated {
        let (metadata, value) = value.encode();
        let part = |column: &mut BinaryViewBuilder, bytes: Vec<u8>| {
            let copies = bytes.len().saturating_mul(times);
            match u32::try_from(bytes.len()) {
                // A place of its own is only worth it for many bytes: it splits the column.
                Ok(length) if copies >= SHARED_BYTES && times > 1 => {
                    Part::Shared { block: column.append_block(Buffer::from_vec(bytes)), length }
                }
                _ => Part::Copied(bytes),
            }
        };
        Repeated {
            metadata: part(&mut self.metadata, metadata),
            value: part(&mut self.value, value),
        }
    }

    /// Appends a value that several rows have.
    ///
    /// # Errors
    /// The value was made by another builder.
    pub fn append_repeated(&mut self, repeated: &Repeated) -> Result<(), ArrowError> {
        let columns =
            [(&mut self.metadata, &repeated.metadata), (&mut self.value, &repeated.value)];
        for (column, part) in columns {
            match part {
                Part::Copied(bytes) => column.append_value(bytes),
                Part::Shared { block, length } => column.try_append_view(*block, 0, *length)?,
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Copies a stored variant, sharing its dictionary of names where it is a container.
    pub fn append_variant(&mut self, variant: Option<&Variant>) {
        match variant {
            Some(variant) => self.append(Some(&Value::decode(variant))),
            None => self.append_null(),
        }
    }

    pub fn finish(mut self) -> StructArray {
        let fields = match SqlType::Variant.to_arrow() {
            DataType::Struct(fields) => fields,
            _ => arrow::datatypes::Fields::empty(),
        };
        StructArray::new(
            fields,
            vec![Arc::new(self.metadata.finish()), Arc::new(self.value.finish())],
            self.nulls.finish(),
        )
    }
}

/// One kernel argument of variants.
pub(crate) struct Variants<'a> {
    column: Option<VariantColumn<'a>>,
    constant: bool,
}

impl<'a> Variants<'a> {
    pub fn get(&self, row: usize) -> Option<Variant<'a, 'a>> {
        self.column.as_ref()?.get(if self.constant { 0 } else { row })
    }

    pub fn value(&self, row: usize) -> Option<Value> {
        self.get(row).map(|v| Value::decode(&v))
    }
}

impl Rows {
    pub(crate) fn variants(&self, index: usize) -> KernelResult<Variants<'_>> {
        let input = self.input(index)?;
        if input.array.data_type() == &DataType::Null {
            return Ok(Variants { column: None, constant: input.constant });
        }
        let column = VariantColumn::new(input.array.as_ref())?;
        Ok(Variants { column: Some(column), constant: input.constant })
    }

    pub(crate) fn build_variants(
        &self,
        value: impl FnMut(usize) -> KernelResult<Option<Value>>,
    ) -> KernelResult {
        build(self.rows, value)
    }
}

pub(crate) fn build(
    rows: usize,
    mut value: impl FnMut(usize) -> KernelResult<Option<Value>>,
) -> KernelResult {
    let mut builder =
        if rows == 1 { VariantBuilder::single() } else { VariantBuilder::with_capacity(rows) };
    for row in 0..rows {
        builder.append(value(row)?.as_ref());
    }
    Ok(Arc::new(builder.finish()))
}

/// The value of one row of any column, `None` for SQL NULL.
pub fn row_to_value(array: &dyn Array, row: usize) -> Result<Option<Value>, UserError> {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return Ok(None);
    }
    let bad = || UserError::unsupported(format!("{} in a VARIANT", array.data_type()));
    let stamp = |value: i64, nanos: bool, instant: bool| Value::Timestamp {
        moment: Moment::from_units(value, nanos),
        instant,
        nanos,
    };
    Ok(Some(match array.data_type() {
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::Int64 => Value::integer(array.as_primitive::<Int64Type>().value(row)),
        DataType::Int32 => Value::integer(array.as_primitive::<Int32Type>().value(row) as i64),
        DataType::Decimal128(_, scale) => {
            trimmed(array.as_primitive::<Decimal128Type>().value(row), *scale as u8)
        }
        DataType::Float64 => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => Value::Double(array.as_primitive::<Float32Type>().value(row) as f64),
        DataType::Utf8View => Value::Text(array.as_string_view().value(row).to_string()),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).to_string()),
        DataType::Binary => Value::Binary(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Date32 => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Time64(TimeUnit::Microsecond) => {
            Value::Time(array.as_primitive::<Time64MicrosecondType>().value(row) * 1000)
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            Value::Time(array.as_primitive::<Time64NanosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => stamp(
            array.as_primitive::<TimestampMicrosecondType>().value(row),
            false,
            zone.is_some(),
        ),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            stamp(array.as_primitive::<TimestampNanosecondType>().value(row), true, zone.is_some())
        }
        DataType::Struct(fields) if fields.len() == 2 && fields[0].name() == "metadata" => {
            return Ok(VariantColumn::new(array)?.value(row));
        }
        DataType::Struct(fields) if fields.len() == 2 && fields[0].name() == "instant" => {
            let column = array.as_struct();
            return row_to_value(column.column(0).as_ref(), row);
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let items = (0..items.len())
                .map(|i| Ok(row_to_value(items.as_ref(), i)?.unwrap_or(Value::Null)))
                .collect::<Result<Vec<_>, UserError>>()?;
            Value::List(items)
        }
        _ => return Err(bad()),
    }))
}

/// A decimal with its trailing zeros cut, as a NUMBER looks inside a VARIANT.
fn trimmed(mut value: i128, mut scale: u8) -> Value {
    while scale > 0 && value % 10 == 0 {
        value /= 10;
        scale -= 1;
    }
    Value::Number { value, scale }
}

/// Any column as a variant column.
pub fn column_to_variants(array: &dyn Array) -> Result<ArrayRef, UserError> {
    let mut builder = VariantBuilder::with_capacity(array.len());
    for row in 0..array.len() {
        builder.append(row_to_value(array, row)?.as_ref());
    }
    Ok(Arc::new(builder.finish()))
}
