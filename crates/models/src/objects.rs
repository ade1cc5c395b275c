//! Building VARIANT values of scores: objects of class probabilities, arrays of recommendations.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder, NullBufferBuilder, StructArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Fields};
use frazil_common::SqlType;
use parquet_variant::{EMPTY_VARIANT_METADATA_BYTES, VariantBuilder};

use crate::{ModelsError, Result};

/// First byte of a double in the Variant encoding: primitive type 7.
const DOUBLE: u8 = 7 << 2;

/// Objects that all have the same keys and differ in one double per key: encoded once, then
/// copied with the doubles put in.
pub(crate) struct ProbabilityObjects {
    metadata: Vec<u8>,
    value: Vec<u8>,
    /// Where the double of each label begins, in label order.
    places: Vec<usize>,
}

impl ProbabilityObjects {
    pub(crate) fn new(labels: &[String]) -> Result<Self> {
        // Numbers that no other byte sequence of the object can be taken for.
        let marks: Vec<f64> =
            (0..labels.len()).map(|at| f64::from_bits(0x7EAD_BEEF_0000_0000 + at as u64)).collect();
        let mut builder = VariantBuilder::new();
        let mut object = builder.new_object();
        for (label, mark) in labels.iter().zip(&marks) {
            object.insert(label, *mark);
        }
        object.finish();
        let (metadata, value) = builder.finish();
        let places = marks
            .iter()
            .map(|mark| {
                let mut encoded = vec![DOUBLE];
                encoded.extend(mark.to_le_bytes());
                value
                    .windows(encoded.len())
                    .position(|window| window == encoded)
                    .map(|at| at + 1)
                    .ok_or_else(|| {
                        ModelsError::Internal("class labels are not distinct".to_string())
                    })
            })
            .collect::<Result<_>>()?;
        Ok(ProbabilityObjects { metadata, value, places })
    }

    /// One object per row; `probabilities[label][row]`.
    pub(crate) fn build(mut self, rows: usize, probabilities: &[&[f64]]) -> Result<ArrayRef> {
        let mut metadata = BinaryViewBuilder::with_capacity(rows);
        let length = self.metadata.len() as u32;
        let block = metadata.append_block(Buffer::from_vec(self.metadata));
        let mut values = BinaryViewBuilder::with_capacity(rows);
        for row in 0..rows {
            for (place, column) in self.places.iter().zip(probabilities) {
                let bytes = column.get(row).copied().unwrap_or(f64::NAN).to_le_bytes();
                self.value[*place..*place + bytes.len()].copy_from_slice(&bytes);
            }
            values.append_value(&self.value);
            metadata
                .try_append_view(block, 0, length)
                .map_err(|error| ModelsError::Internal(error.to_string()))?;
        }
        structure(&SqlType::Object, metadata, values, NullBufferBuilder::new(0))
    }
}

/// An array of {item, score} objects per row; `None` is SQL NULL.
pub(crate) fn recommendations(rows: &[Option<Vec<(String, f64)>>]) -> Result<ArrayRef> {
    let mut metadata = BinaryViewBuilder::with_capacity(rows.len());
    let mut values = BinaryViewBuilder::with_capacity(rows.len());
    let mut nulls = NullBufferBuilder::new(rows.len());
    for row in rows {
        match row {
            Some(items) => {
                let mut builder = VariantBuilder::new();
                let mut list = builder.new_list();
                for (item, score) in items {
                    let mut object = list.new_object();
                    object.insert("item", item.as_str());
                    object.insert("score", *score);
                    object.finish();
                }
                list.finish();
                let (names, value) = builder.finish();
                metadata.append_value(names);
                values.append_value(value);
                nulls.append_non_null();
            }
            None => {
                // Readable bytes under a NULL: no names, and the null value.
                metadata.append_value(EMPTY_VARIANT_METADATA_BYTES);
                values.append_value([0u8]);
                nulls.append_null();
            }
        }
    }
    structure(&SqlType::Array, metadata, values, nulls)
}

fn structure(
    sql_type: &SqlType,
    mut metadata: BinaryViewBuilder,
    mut values: BinaryViewBuilder,
    mut nulls: NullBufferBuilder,
) -> Result<ArrayRef> {
    let fields = match sql_type.to_arrow() {
        DataType::Struct(fields) => fields,
        _ => Fields::empty(),
    };
    StructArray::try_new(
        fields,
        vec![Arc::new(metadata.finish()), Arc::new(values.finish())],
        nulls.finish(),
    )
    .map(|array| Arc::new(array) as ArrayRef)
    .map_err(|error| ModelsError::Internal(error.to_string()))
}
