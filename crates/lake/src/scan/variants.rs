//! VARIANTs of other clients in the form that readers rely on.
//!
//! DuckDB lists the names of a value's objects as it meets them, repeated ones again, and calls that list
//! sorted; its objects have their fields in the same order. Readers that check refuse both, and those
//! that do not miss fields.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BinaryViewBuilder, ListArray, StructArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field};
use parquet_variant::{VariantMetadata, WritableMetadataBuilder};

use crate::error::{LakeError, Result};

/// Kinds of values that hold others, in the lowest bits of a value's first byte.
const KIND: u8 = 0b11;
const OBJECT: u8 = 2;
const LIST: u8 = 3;
/// Elements of a list that no row has.
const NO_ROW: usize = usize::MAX;

/// A VARIANT column, shredded or not, whose names are what they are said to be: sorted, each once, and
/// in that order in every object.
pub fn ordered(array: &ArrayRef) -> Result<ArrayRef> {
    let same = || Ok(Arc::clone(array));
    let Some(whole) = array.as_struct_opt() else { return same() };
    let Some(metadata) = whole.column_by_name("metadata") else { return same() };
    let metadata = cast(metadata, &DataType::BinaryView)?;
    let metadata = metadata.as_binary_view();
    let is_there = |row: usize| whole.is_valid(row) && metadata.is_valid(row);
    let names = (0..whole.len())
        .map(|row| if is_there(row) { Names::of(metadata.value(row)) } else { Ok(None) })
        .collect::<Result<Vec<_>>>()?;
    if names.iter().all(Option::is_none) {
        return same();
    }
    let sorted: BinaryViewArray = names
        .iter()
        .enumerate()
        .map(|(row, names)| match names {
            Some(names) => Some(names.metadata.as_slice()),
            None => metadata.is_valid(row).then(|| metadata.value(row)),
        })
        .collect();
    let sorted: ArrayRef = Arc::new(sorted);
    let rows: Vec<usize> = (0..whole.len()).collect();
    let columns = Columns { names };
    let ordered = replaced(whole, |name, column| match name {
        "metadata" => Ok(Arc::clone(&sorted)),
        _ => columns.of_pair(name, column, &rows),
    })?;
    Ok(Arc::new(ordered))
}

fn damaged() -> LakeError {
    LakeError::Damaged("a VARIANT's bytes are not of its encoding".to_string())
}

/// A row's names, sorted and each once.
struct Names {
    metadata: Vec<u8>,
    /// Place in it by place in the row's own list.
    places: Vec<usize>,
}

impl Names {
    /// Nothing where the row's own list is what it says.
    fn of(metadata: &[u8]) -> Result<Option<Names>> {
        if VariantMetadata::try_new(metadata).is_ok() {
            return Ok(None);
        }
        let names = names(metadata).ok_or_else(damaged)?;
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let places = names.iter().map(|name| sorted.partition_point(|other| other < name));
        let places = places.collect();
        let mut builder = WritableMetadataBuilder::default();
        for name in sorted {
            builder.upsert_field_name(name);
        }
        builder.finish();
        Ok(Some(Names { metadata: builder.into_inner(), places }))
    }
}

/// The names that metadata lists.
fn names(metadata: &[u8]) -> Option<Vec<&str>> {
    let header = *metadata.first()?;
    if header & 0x0f != 1 {
        return None;
    }
    let size = usize::from(header >> 6) + 1;
    let count = number(metadata, 1, size)?;
    let offset = |index: usize| number(metadata, 1 + size * (index + 1), size);
    let texts = 1 + size * (count + 2);
    (0..count)
        .map(|index| {
            let text = texts + offset(index)?..texts + offset(index + 1)?;
            std::str::from_utf8(metadata.get(text)?).ok()
        })
        .collect()
}

/// The number that `size` bytes make, lowest first.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
}

fn set_number(bytes: &mut [u8], at: usize, size: usize, number: usize) -> Option<()> {
    bytes.get_mut(at..at + size)?.copy_from_slice(number.to_le_bytes().get(..size)?);
    Some(())
}

/// Puts the fields of a value's objects in the order of their names. Of fields with one name the first
/// stays, which is the one that DuckDB reads. No value in it gets longer, so all is done in place.
fn order(value: &mut [u8], places: &[usize]) -> Option<()> {
    let mut seen = HashSet::new();
    let mut waiting = vec![0];
    while let Some(at) = waiting.pop() {
        let header = *value.get(at)?;
        let kind = header & KIND;
        // Several fields may share one value.
        if !matches!(kind, OBJECT | LIST) || !seen.insert(at) {
            continue;
        }
        let offset_size = usize::from((header >> 2) & 3) + 1;
        if kind == LIST {
            let count_size = if header & 0x10 == 0 { 1 } else { 4 };
            let count = number(value, at + 1, count_size)?;
            let offsets = at + 1 + count_size;
            let items = offsets + (count + 1) * offset_size;
            for index in 0..count {
                waiting.push(items + number(value, offsets + index * offset_size, offset_size)?);
            }
            continue;
        }
        let id_size = usize::from((header >> 4) & 3) + 1;
        let count_size = if header & 0x40 == 0 { 1 } else { 4 };
        let count = number(value, at + 1, count_size)?;
        let ids = at + 1 + count_size;
        let offsets = ids + count * id_size;
        let items = offsets + (count + 1) * offset_size;
        let bytes = number(value, offsets + count * offset_size, offset_size)?;
        let mut fields = (0..count)
            .map(|index| {
                let id = number(value, ids + index * id_size, id_size)?;
                let offset = number(value, offsets + index * offset_size, offset_size)?;
                Some((*places.get(id)?, offset))
            })
            .collect::<Option<Vec<_>>>()?;
        fields.sort_by_key(|(id, _)| *id);
        fields.dedup_by_key(|(id, _)| *id);
        let offsets = ids + fields.len() * id_size;
        let kept = offsets + (fields.len() + 1) * offset_size;
        if kept < items {
            value.get(items..items + bytes)?;
            value.copy_within(items..items + bytes, kept);
        }
        set_number(value, at + 1, count_size, fields.len())?;
        for (index, (id, offset)) in fields.iter().enumerate() {
            set_number(value, ids + index * id_size, id_size, *id)?;
            set_number(value, offsets + index * offset_size, offset_size, *offset)?;
            waiting.push(kept + offset);
        }
        set_number(value, offsets + fields.len() * offset_size, offset_size, bytes)?;
    }
    Some(())
}

/// The same struct with other columns.
fn replaced(
    array: &StructArray,
    mut column: impl FnMut(&str, &ArrayRef) -> Result<ArrayRef>,
) -> Result<StructArray> {
    let mut fields: Vec<Field> = Vec::with_capacity(array.num_columns());
    let mut columns = Vec::with_capacity(array.num_columns());
    for (field, old) in array.fields().iter().zip(array.columns()) {
        let new = column(field.name(), old)?;
        fields.push(field.as_ref().clone().with_data_type(new.data_type().clone()));
        columns.push(new);
    }
    Ok(StructArray::try_new(fields.into(), columns, array.nulls().cloned())?)
}

/// What of a shredded VARIANT holds encoded values.
struct Columns {
    /// By row.
    names: Vec<Option<Names>>,
}

impl Columns {
    /// A column of a pair of `value` and `typed_value`; `rows` has the row of each of its elements.
    fn of_pair(&self, name: &str, column: &ArrayRef, rows: &[usize]) -> Result<ArrayRef> {
        match name {
            "value" => self.values(column, rows),
            "typed_value" => self.typed(column, rows),
            _ => Ok(Arc::clone(column)),
        }
    }

    fn pair(&self, column: &ArrayRef, rows: &[usize]) -> Result<ArrayRef> {
        let pair = column.as_struct_opt().ok_or_else(damaged)?;
        Ok(Arc::new(replaced(pair, |name, column| self.of_pair(name, column, rows))?))
    }

    fn typed(&self, column: &ArrayRef, rows: &[usize]) -> Result<ArrayRef> {
        match column.data_type() {
            DataType::Struct(_) => {
                let fields = replaced(column.as_struct(), |_, field| self.pair(field, rows))?;
                Ok(Arc::new(fields))
            }
            DataType::List(item) => {
                let list = column.as_list::<i32>();
                let mut inner = vec![NO_ROW; list.values().len()];
                for (index, row) in rows.iter().enumerate() {
                    let offsets = &list.value_offsets()[index..index + 2];
                    let place = |offset: i32| usize::try_from(offset).unwrap_or(0);
                    inner[place(offsets[0])..place(offsets[1])].fill(*row);
                }
                let items = self.pair(list.values(), &inner)?;
                let item = item.as_ref().clone().with_data_type(items.data_type().clone());
                let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
                Ok(Arc::new(ListArray::try_new(Arc::new(item), offsets, items, nulls)?))
            }
            other if other.is_nested() => Err(damaged()),
            _ => Ok(Arc::clone(column)),
        }
    }

    fn values(&self, column: &ArrayRef, rows: &[usize]) -> Result<ArrayRef> {
        let values = cast(column, &DataType::BinaryView)?;
        let values = values.as_binary_view();
        let mut ordered = BinaryViewBuilder::with_capacity(values.len());
        for (index, row) in rows.iter().enumerate() {
            let names = self.names.get(*row).and_then(Option::as_ref);
            match names {
                _ if values.is_null(index) => ordered.append_null(),
                None => ordered.append_value(values.value(index)),
                Some(names) => {
                    let mut bytes = values.value(index).to_vec();
                    order(&mut bytes, &names.places).ok_or_else(damaged)?;
                    ordered.append_value(bytes);
                }
            }
        }
        Ok(Arc::new(ordered.finish()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::arrow::array::{Int64Array, new_null_array};
    use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
    use parquet_variant::Variant;
    use parquet_variant_compute::{VariantArray, unshred_variant};

    use super::*;

    /// `{b: 1, a: 2, x: {z: 1, y: [{n: 1, m: 2}]}}` as DuckDB writes it.
    const METADATA: &[u8] = b"\x11\x07\x00\x01\x02\x03\x04\x05\x06\x07baxzynm";
    const VALUE: &[u8] = b"\x02\x03\x00\x01\x02\x00\x05\x0a\x2b\x14\x01\x00\x00\x00\x14\x02\x00\x00\x00\
        \x02\x02\x03\x04\x00\x05\x1a\x14\x01\x00\x00\x00\x03\x01\x00\x11\x02\x02\x05\x06\x00\x05\x0a\
        \x14\x01\x00\x00\x00\x14\x02\x00\x00\x00";
    /// `{b: 1, "": 2, b: 3}`.
    const TWICE: (&[u8], &[u8]) = (
        b"\x11\x03\x00\x01\x01\x02bb",
        b"\x02\x03\x00\x01\x02\x00\x05\x0a\x0f\x14\x01\x00\x00\x00\x14\x02\x00\x00\x00\x14\x03\x00\x00\x00",
    );

    fn binary(values: Vec<Option<&[u8]>>) -> ArrayRef {
        Arc::new(BinaryViewArray::from(values))
    }

    fn group(columns: Vec<(&str, ArrayRef)>, nulls: Option<NullBuffer>) -> ArrayRef {
        let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns
            .into_iter()
            .map(|(name, column)| (Field::new(name, column.data_type().clone(), true), column))
            .unzip();
        Arc::new(StructArray::try_new(fields.into(), columns, nulls).unwrap())
    }

    fn part<'a>(array: &'a ArrayRef, name: &str, row: usize) -> &'a [u8] {
        array.as_struct().column_by_name(name).unwrap().as_binary_view().value(row)
    }

    #[test]
    fn objects_are_searched_whatever_order_they_were_written_in() {
        let good: (&[u8], &[u8]) = (b"\x11\x01\x00\x01a", b"\x02\x01\x00\x00\x02\x0c\x07");
        let metadata = vec![Some(METADATA), None, Some(TWICE.0), Some(good.0)];
        let value = vec![Some(VALUE), None, Some(TWICE.1), Some(good.1)];
        let nulls = NullBuffer::from(vec![true, false, true, true]);
        let array =
            group(vec![("metadata", binary(metadata)), ("value", binary(value))], Some(nulls));
        let read = ordered(&array).unwrap();
        assert!(read.is_null(1));
        let variant = |row| {
            Variant::try_new(part(&read, "metadata", row), part(&read, "value", row)).unwrap()
        };
        let whole = variant(0);
        assert_eq!(whole.get_object_field("a"), Some(Variant::Int32(2)));
        assert_eq!(whole.get_object_field("b"), Some(Variant::Int32(1)));
        let inner = whole.get_object_field("x").unwrap();
        assert_eq!(inner.get_object_field("z"), Some(Variant::Int32(1)));
        let item = inner.get_object_field("y").unwrap().get_list_element(0).unwrap();
        assert_eq!(item.get_object_field("m"), Some(Variant::Int32(2)));
        assert_eq!(item.get_object_field("n"), Some(Variant::Int32(1)));
        let twice = variant(2);
        assert_eq!(twice.as_object().unwrap().len(), 2);
        assert_eq!(twice.get_object_field("b"), Some(Variant::Int32(1)));
        assert_eq!(twice.get_object_field(""), Some(Variant::Int32(2)));
        assert_eq!((part(&read, "metadata", 3), part(&read, "value", 3)), good);
        // What has nothing to order is left as it is.
        assert!(Arc::ptr_eq(&ordered(&read).unwrap(), &read));
    }

    #[test]
    fn shredded_fields_and_what_is_left_beside_them_come_together() {
        // `[{b: 1, rest}, {b: 1, rest}]` in the second row; the field b is a column.
        let metadata: &[u8] = b"\x11\x04\x00\x01\x02\x03\x04bcac";
        let rest: &[u8] = b"\x02\x02\x01\x02\x00\x02\x04\x0c\x01\x0c\x02";
        let (none, two) = (None, vec![Some(rest), Some(rest)]);
        let b = group(
            vec![
                ("value", binary(vec![none, none])),
                ("typed_value", Arc::new(Int64Array::from(vec![1, 1]))),
            ],
            None,
        );
        let typed = group(vec![("b", b)], None);
        let items = group(vec![("value", binary(two)), ("typed_value", typed)], None);
        let list = ListArray::try_new(
            Arc::new(Field::new("element", items.data_type().clone(), true)),
            OffsetBuffer::from_lengths([0, 2]),
            items,
            Some(NullBuffer::from(vec![false, true])),
        )
        .unwrap();
        let array = group(
            vec![
                ("metadata", binary(vec![Some(METADATA), Some(metadata)])),
                ("value", binary(vec![Some(VALUE), None])),
                ("typed_value", Arc::new(list)),
            ],
            None,
        );
        let refused = unshred_variant(&VariantArray::try_new(array.as_ref()).unwrap());
        assert!(refused.is_err());
        let read = ordered(&array).unwrap();
        let whole = unshred_variant(&VariantArray::try_new(read.as_ref()).unwrap()).unwrap();
        assert_eq!(whole.value(0).get_object_field("a"), Some(Variant::Int32(2)));
        let list = whole.value(1);
        for index in 0..2 {
            let item = list.get_list_element(index).unwrap();
            let fields = ["a", "b", "c"].map(|name| item.get_object_field(name).unwrap());
            assert_eq!(fields, [Variant::Int8(2), Variant::Int64(1), Variant::Int8(1)]);
        }
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let read = |metadata: &[u8], value: &[u8]| {
            let parts = vec![
                ("metadata", binary(vec![Some(metadata)])),
                ("value", binary(vec![Some(value)])),
            ];
            ordered(&group(parts, None))
        };
        for end in 0..VALUE.len() - 4 {
            assert!(read(METADATA, &VALUE[..end]).is_err(), "{end}");
        }
        for end in 0..METADATA.len() {
            assert!(read(&METADATA[..end], VALUE).is_err(), "{end}");
        }
        let nothing = new_null_array(&DataType::Int64, 2);
        assert!(Arc::ptr_eq(&ordered(&nothing).unwrap(), &nothing));
    }
}
