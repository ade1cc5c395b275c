//! Lists, structs and maps of other clients as ARRAYs and OBJECTs.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewBuilder, NullBufferBuilder, StructArray, new_null_array,
};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType, UInt64Type,
};
use datafusion::parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use frazil_catalog::foreign_types::column_of_texts;
use frazil_catalog::objects::ChildColumn;
use frazil_catalog::physical::inlined_type;
use frazil_common::SqlType;
use parquet_variant::{
    BuilderSpecificState, ListBuilder, ObjectBuilder, Variant, VariantBuilder, VariantDecimal4,
    VariantDecimal8, VariantDecimal16,
};

use super::{Misfit, texts, uuids};

/// A column with all that is nested in it.
pub enum Nested {
    /// In the Arrow type of its DuckLake type; UUIDs are texts.
    Leaf(ArrayRef),
    List {
        valid: Vec<bool>,
        /// Where each row's items are.
        ends: Vec<(usize, usize)>,
        items: Box<Nested>,
    },
    Fields {
        valid: Vec<bool>,
        fields: Vec<(String, Nested)>,
    },
    Map {
        valid: Vec<bool>,
        ends: Vec<(usize, usize)>,
        keys: ArrayRef,
        values: Box<Nested>,
    },
}

fn validity(array: &dyn Array) -> Vec<bool> {
    (0..array.len()).map(|row| array.is_valid(row)).collect()
}

fn places(offsets: &[i32]) -> Result<Vec<(usize, usize)>, Misfit> {
    let place = |offset: i32| usize::try_from(offset).map_err(|_| Misfit);
    offsets.windows(2).map(|pair| Ok((place(pair[0])?, place(pair[1])?))).collect()
}

impl Nested {
    /// A file's column.
    pub fn of_file(
        physical: &str,
        children: &[ChildColumn],
        array: &ArrayRef,
    ) -> Result<Nested, Misfit> {
        let inner = |child: &ChildColumn, array: &ArrayRef| {
            Nested::of_file(&child.physical_type, &child.children, array)
        };
        Ok(match (physical, children) {
            ("list", [item]) => {
                let list = array.as_list_opt::<i32>().ok_or(Misfit)?;
                Nested::List {
                    valid: validity(list),
                    ends: places(list.value_offsets())?,
                    items: Box::new(inner(item, list.values())?),
                }
            }
            ("map", [key, value]) => {
                let map = array.as_map_opt().ok_or(Misfit)?;
                let keys = match inner(key, map.keys())? {
                    Nested::Leaf(keys) if keys.as_string_view_opt().is_some() => keys,
                    _ => return Err(Misfit),
                };
                Nested::Map {
                    valid: validity(map),
                    ends: places(map.value_offsets())?,
                    keys,
                    values: Box::new(inner(value, map.values())?),
                }
            }
            ("struct", [_, ..]) => {
                let group = array.as_struct_opt().ok_or(Misfit)?;
                let fields = children
                    .iter()
                    .map(|child| {
                        let found = match field_of(group, child)? {
                            Some(array) => inner(child, array)?,
                            None => Nested::nulls(child, group.len())?,
                        };
                        Ok((child.name.clone(), found))
                    })
                    .collect::<Result<_, Misfit>>()?;
                Nested::Fields { valid: validity(group), fields }
            }
            (leaf, []) => Nested::Leaf(shaped(leaf, array)?),
            _ => return Err(Misfit),
        })
    }

    /// A column of DuckDB's texts.
    pub fn of_texts(
        physical: &str,
        children: &[ChildColumn],
        all: &[Option<&str>],
    ) -> Result<Nested, Misfit> {
        // A struct's own text is a literal, in which a backslash is none that escapes.
        if physical == "struct" && all.iter().flatten().any(|text| text.contains('\\')) {
            return Err(Misfit);
        }
        Nested::of_tokens(physical, children, all)
    }

    fn of_tokens(
        physical: &str,
        children: &[ChildColumn],
        all: &[Option<&str>],
    ) -> Result<Nested, Misfit> {
        let inner = |child: &ChildColumn, tokens: &[Option<&str>]| {
            Nested::of_tokens(&child.physical_type, &child.children, tokens)
        };
        let mut all: Vec<Option<&str>> = all.to_vec();
        if !children.is_empty() {
            for token in &mut all {
                *token = token.filter(|token| *token != texts::NULL);
            }
        }
        let valid: Vec<bool> = all.iter().map(Option::is_some).collect();
        let mut ends = Vec::with_capacity(all.len());
        match (physical, children) {
            ("list", [item]) => {
                let mut items: Vec<Option<&str>> = Vec::new();
                for text in &all {
                    let from = items.len();
                    if let Some(text) = text {
                        items.extend(texts::items(text, '[', ']')?.into_iter().map(Some));
                    }
                    ends.push((from, items.len()));
                }
                Ok(Nested::List { valid, ends, items: Box::new(inner(item, &items)?) })
            }
            ("map", [_, value]) => {
                let mut keys: Vec<Option<String>> = Vec::new();
                let mut values: Vec<Option<&str>> = Vec::new();
                for text in &all {
                    let from = keys.len();
                    if let Some(text) = text {
                        for item in texts::items(text, '{', '}')? {
                            let (key, value) = texts::pair(item, '=')?;
                            keys.push(texts::plain(key)?);
                            values.push(Some(value));
                        }
                    }
                    ends.push((from, keys.len()));
                }
                let keys = column_of_texts(keys, "varchar").ok_or(Misfit)?;
                Ok(Nested::Map { valid, ends, keys, values: Box::new(inner(value, &values)?) })
            }
            ("struct", [_, ..]) => {
                let mut columns: Vec<Vec<Option<&str>>> = vec![Vec::new(); children.len()];
                for text in &all {
                    let items = text.map(|text| texts::items(text, '{', '}')).transpose()?;
                    if items.as_ref().is_some_and(|items| items.len() != children.len()) {
                        return Err(Misfit);
                    }
                    for (at, (child, column)) in children.iter().zip(&mut columns).enumerate() {
                        let item = items.as_ref().and_then(|items| items.get(at)).copied();
                        column.push(match item {
                            None => None,
                            Some(item) => {
                                let (name, value) = texts::pair(item, ':')?;
                                if texts::plain(name)?.as_deref() != Some(&child.name) {
                                    return Err(Misfit);
                                }
                                Some(value)
                            }
                        });
                    }
                }
                let fields = children
                    .iter()
                    .zip(&columns)
                    .map(|(child, column)| Ok((child.name.clone(), inner(child, column)?)))
                    .collect::<Result<_, Misfit>>()?;
                Ok(Nested::Fields { valid, fields })
            }
            (leaf, []) => {
                let plain = all.into_iter().map(|token| match token {
                    Some(token) => texts::plain(token),
                    None => Ok(None),
                });
                let plain = plain.collect::<Result<Vec<_>, _>>()?;
                let physical = if leaf == "uuid" { "varchar" } else { leaf };
                Ok(Nested::Leaf(widened(&column_of_texts(plain, physical).ok_or(Misfit)?)?))
            }
            _ => Err(Misfit),
        }
    }

    fn nulls(child: &ChildColumn, rows: usize) -> Result<Nested, Misfit> {
        match child.initial_default {
            None => Ok(Nested::Leaf(new_null_array(&DataType::Null, rows))),
            // Rows older than the field have a value that is not NULL.
            Some(_) => Err(Misfit),
        }
    }

    /// The column as VARIANTs.
    pub fn encoded(&self) -> Result<ArrayRef, Misfit> {
        let rows = match self {
            Nested::Leaf(array) => array.len(),
            Nested::List { valid, .. }
            | Nested::Fields { valid, .. }
            | Nested::Map { valid, .. } => valid.len(),
        };
        let mut metadata = BinaryViewBuilder::with_capacity(rows);
        let mut value = BinaryViewBuilder::with_capacity(rows);
        let mut nulls = NullBufferBuilder::new(rows);
        for row in 0..rows {
            let mut builder = VariantBuilder::new();
            let tree = self.tree(row)?;
            nulls.append(!matches!(tree, Tree::Leaf(Variant::Null)));
            match &tree {
                Tree::Leaf(leaf) => builder.append_value(leaf.clone()),
                Tree::List(items) => {
                    let mut list = builder.new_list();
                    fill_list(items, &mut list);
                    list.finish();
                }
                Tree::Object(fields) => {
                    let mut object = builder.new_object();
                    fill_object(fields, &mut object);
                    object.finish();
                }
            }
            let (names, bytes) = builder.finish();
            metadata.append_value(names);
            value.append_value(bytes);
        }
        let DataType::Struct(fields) = SqlType::Variant.to_arrow() else { return Err(Misfit) };
        let columns: Vec<ArrayRef> = vec![Arc::new(metadata.finish()), Arc::new(value.finish())];
        Ok(Arc::new(StructArray::try_new(fields, columns, nulls.finish())?))
    }

    fn tree(&self, row: usize) -> Result<Tree<'_>, Misfit> {
        let null = || Ok(Tree::Leaf(Variant::Null));
        match self {
            Nested::Leaf(array) => Ok(Tree::Leaf(leaf(array.as_ref(), row)?)),
            Nested::List { valid, ends, items } => match (valid.get(row), ends.get(row)) {
                (Some(true), Some((from, to))) => {
                    let items = (*from..*to).map(|item| items.tree(item));
                    Ok(Tree::List(items.collect::<Result<_, _>>()?))
                }
                _ => null(),
            },
            Nested::Fields { valid, fields } => match valid.get(row) {
                Some(true) => {
                    let fields =
                        fields.iter().map(|(name, field)| Ok((name.as_str(), field.tree(row)?)));
                    Ok(Tree::Object(fields.collect::<Result<_, Misfit>>()?))
                }
                _ => null(),
            },
            Nested::Map { valid, ends, keys, values } => match (valid.get(row), ends.get(row)) {
                (Some(true), Some((from, to))) => {
                    let keys = keys.as_string_view();
                    let fields = (*from..*to).map(|item| match keys.is_valid(item) {
                        true => Ok((keys.value(item), values.tree(item)?)),
                        false => Err(Misfit),
                    });
                    Ok(Tree::Object(fields.collect::<Result<_, _>>()?))
                }
                _ => null(),
            },
        }
    }
}

/// A struct's field by its id; by its name in a file without ids. None where the file is older.
fn field_of<'a>(
    group: &'a StructArray,
    child: &ChildColumn,
) -> Result<Option<&'a ArrayRef>, Misfit> {
    let mut numbered = false;
    for (field, column) in group.fields().iter().zip(group.columns()) {
        let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY);
        let id = id.and_then(|id| id.parse::<i64>().ok()).filter(|id| *id >= 0);
        numbered |= id.is_some();
        if id == Some(child.field_id) {
            return Ok(Some(column));
        }
    }
    match numbered {
        true => Ok(None),
        // What is not there may have another name in it.
        false => group.column_by_name(&child.name).map(Some).ok_or(Misfit),
    }
}

/// A leaf in the widest type of its kind.
fn widened(array: &ArrayRef) -> Result<ArrayRef, Misfit> {
    let wanted = match array.data_type() {
        DataType::UInt64 => return Ok(Arc::clone(array)),
        integer if integer.is_integer() => DataType::Int64,
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        _ => return Ok(Arc::clone(array)),
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, &wanted, &options)?)
}

/// A leaf in its DuckLake type's Arrow type, or a wider one.
fn shaped(physical: &str, array: &ArrayRef) -> Result<ArrayRef, Misfit> {
    if physical == "uuid" {
        return uuids(array);
    }
    let wanted = inlined_type(physical, &[]).ok_or(Misfit)?;
    let options = CastOptions { safe: false, ..CastOptions::default() };
    widened(&cast_with_options(array, &wanted, &options)?)
}

/// A value with those nested in it.
enum Tree<'a> {
    Leaf(Variant<'a, 'a>),
    List(Vec<Tree<'a>>),
    Object(BTreeMap<&'a str, Tree<'a>>),
}

fn whole<'a>(value: i64) -> Variant<'a, 'a> {
    if let Ok(value) = i8::try_from(value) {
        Variant::Int8(value)
    } else if let Ok(value) = i16::try_from(value) {
        Variant::Int16(value)
    } else if let Ok(value) = i32::try_from(value) {
        Variant::Int32(value)
    } else {
        Variant::Int64(value)
    }
}

/// A number in its shortest form, which is that of numbers made here.
fn decimal<'a>(mut value: i128, mut scale: u8) -> Result<Variant<'a, 'a>, Misfit> {
    while scale > 0 && value % 10 == 0 {
        value /= 10;
        scale -= 1;
    }
    if scale == 0
        && let Ok(value) = i64::try_from(value)
    {
        return Ok(whole(value));
    }
    if let Ok(small) = i32::try_from(value)
        && let Ok(small) = VariantDecimal4::try_new(small, scale)
    {
        return Ok(small.into());
    }
    if let Ok(middle) = i64::try_from(value)
        && let Ok(middle) = VariantDecimal8::try_new(middle, scale)
    {
        return Ok(middle.into());
    }
    Ok(VariantDecimal16::try_new(value, scale).map_err(|_| Misfit)?.into())
}

fn in_calendar<D: Datelike>(day: D) -> Result<D, Misfit> {
    (1..=9999).contains(&day.year()).then_some(day).ok_or(Misfit)
}

fn leaf(array: &dyn Array, row: usize) -> Result<Variant<'_, '_>, Misfit> {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return Ok(Variant::Null);
    }
    let moment = |array: &dyn Array, nanos: bool| {
        let at = match nanos {
            true => Some(DateTime::from_timestamp_nanos(
                array.as_primitive::<TimestampNanosecondType>().value(row),
            )),
            false => DateTime::from_timestamp_micros(
                array.as_primitive::<TimestampMicrosecondType>().value(row),
            ),
        };
        in_calendar(at.ok_or(Misfit)?)
    };
    use TimeUnit::{Microsecond, Nanosecond};
    Ok(match array.data_type() {
        DataType::Boolean if array.as_boolean().value(row) => Variant::BooleanTrue,
        DataType::Boolean => Variant::BooleanFalse,
        DataType::Int64 => whole(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => decimal(array.as_primitive::<UInt64Type>().value(row).into(), 0)?,
        DataType::Decimal128(_, scale) => {
            let scale = u8::try_from(*scale).map_err(|_| Misfit)?;
            decimal(array.as_primitive::<Decimal128Type>().value(row), scale)?
        }
        DataType::Float32 => Variant::Double(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Variant::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8View => Variant::from(array.as_string_view().value(row)),
        DataType::Binary => Variant::Binary(array.as_binary::<i32>().value(row)),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row).into();
            let days = TimeDelta::try_days(days).ok_or(Misfit)?;
            let day = NaiveDate::default().checked_add_signed(days).ok_or(Misfit)?;
            Variant::Date(in_calendar(day)?)
        }
        DataType::Time64(Microsecond) => {
            let micros = array.as_primitive::<Time64MicrosecondType>().value(row);
            let micros = u64::try_from(micros).map_err(|_| Misfit)?;
            let seconds = u32::try_from(micros / 1_000_000).map_err(|_| Misfit)?;
            let nanos = (micros % 1_000_000 * 1000) as u32;
            let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos);
            Variant::Time(time.ok_or(Misfit)?)
        }
        DataType::Timestamp(Microsecond, Some(_)) => {
            Variant::TimestampMicros(moment(array, false)?)
        }
        DataType::Timestamp(Microsecond, None) => {
            Variant::TimestampNtzMicros(moment(array, false)?.naive_utc())
        }
        DataType::Timestamp(Nanosecond, None) => {
            Variant::TimestampNtzNanos(moment(array, true)?.naive_utc())
        }
        _ => return Err(Misfit),
    })
}

fn fill_list<S: BuilderSpecificState>(items: &[Tree<'_>], list: &mut ListBuilder<'_, S>) {
    for item in items {
        match item {
            Tree::Leaf(leaf) => list.append_value(leaf.clone()),
            Tree::List(items) => {
                let mut inner = list.new_list();
                fill_list(items, &mut inner);
                inner.finish();
            }
            Tree::Object(fields) => {
                let mut inner = list.new_object();
                fill_object(fields, &mut inner);
                inner.finish();
            }
        }
    }
}

fn fill_object<S: BuilderSpecificState>(
    fields: &BTreeMap<&str, Tree<'_>>,
    object: &mut ObjectBuilder<'_, S>,
) {
    for (name, field) in fields {
        match field {
            Tree::Leaf(leaf) => object.insert(name, leaf.clone()),
            Tree::List(items) => {
                let mut inner = object.new_list(name);
                fill_list(items, &mut inner);
                inner.finish();
            }
            Tree::Object(fields) => {
                let mut inner = object.new_object(name);
                fill_object(fields, &mut inner);
                inner.finish();
            }
        }
    }
}
