//! Arrow columns read as the single-precision values trees compare.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::types::{ArrowPrimitiveType, Float32Type, Float64Type};
use arrow::array::{
    Array, ArrayRef, AsArray, LargeStringArray, PrimitiveArray, StringArray, StringViewArray,
};
use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float16Type, Int8Type,
    Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::MlError;

/// Whether values of this type are categories (text) rather than numbers.
pub fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// Whether values of this type are read as numbers.
pub fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_number(value),
        DataType::Boolean | DataType::Null => true,
        t => t.is_numeric(),
    }
}

/// Unpacks dictionary arrays; other arrays are returned as they are.
pub fn plain(array: &ArrayRef) -> Result<ArrayRef, MlError> {
    match array.data_type() {
        DataType::Dictionary(_, value) => Ok(arrow::compute::cast(array, value)?),
        _ => Ok(array.clone()),
    }
}

/// Reads rows `start..start + out.len()` as numbers; NULL becomes NaN.
///
/// # Errors
/// [`MlError::Invalid`] when the column is not of a numeric type.
pub fn read_numbers(array: &dyn Array, start: usize, out: &mut [f32]) -> Result<(), MlError> {
    match array.data_type() {
        DataType::Float64 => copy::<Float64Type>(array, start, out, |v| v as f32),
        DataType::Float32 => copy::<Float32Type>(array, start, out, |v| v),
        DataType::Float16 => copy::<Float16Type>(array, start, out, |v| v.to_f32()),
        DataType::Int8 => copy::<Int8Type>(array, start, out, f32::from),
        DataType::Int16 => copy::<Int16Type>(array, start, out, f32::from),
        DataType::Int32 => copy::<Int32Type>(array, start, out, |v| v as f32),
        DataType::Int64 => copy::<Int64Type>(array, start, out, |v| v as f32),
        DataType::UInt8 => copy::<UInt8Type>(array, start, out, f32::from),
        DataType::UInt16 => copy::<UInt16Type>(array, start, out, f32::from),
        DataType::UInt32 => copy::<UInt32Type>(array, start, out, |v| v as f32),
        DataType::UInt64 => copy::<UInt64Type>(array, start, out, |v| v as f32),
        DataType::Decimal32(_, s) => {
            let scale = unit(*s);
            copy::<Decimal32Type>(array, start, out, |v| (f64::from(v) / scale) as f32);
        }
        DataType::Decimal64(_, s) => {
            let scale = unit(*s);
            copy::<Decimal64Type>(array, start, out, |v| (v as f64 / scale) as f32);
        }
        DataType::Decimal128(_, s) => {
            let scale = unit(*s);
            copy::<Decimal128Type>(array, start, out, |v| (v as f64 / scale) as f32);
        }
        DataType::Decimal256(_, s) => {
            let scale = unit(*s);
            copy::<Decimal256Type>(array, start, out, |v| {
                (v.to_i128().map_or(f64::NAN, |v| v as f64) / scale) as f32
            });
        }
        DataType::Boolean => {
            let bools = array.as_boolean();
            for (i, o) in out.iter_mut().enumerate() {
                *o = f32::from(u8::from(bools.value(start + i)));
            }
        }
        DataType::Null => out.fill(f32::NAN),
        other => {
            return Err(MlError::Invalid(format!(
                "values of type {other} are neither numbers, booleans nor text"
            )));
        }
    }
    if let Some(nulls) = array.nulls()
        && nulls.null_count() > 0
    {
        for (i, o) in out.iter_mut().enumerate() {
            if nulls.is_null(start + i) {
                *o = f32::NAN;
            }
        }
    }
    Ok(())
}

fn unit(scale: i8) -> f64 {
    10f64.powi(i32::from(scale))
}

fn copy<T: ArrowPrimitiveType>(
    array: &dyn Array,
    start: usize,
    out: &mut [f32],
    to: impl Fn(T::Native) -> f32,
) {
    let values: &PrimitiveArray<T> = array.as_primitive();
    for (o, v) in out.iter_mut().zip(&values.values()[start..]) {
        *o = to(*v);
    }
}

/// FNV-1a: category names are short, and the table is looked up once per value.
#[derive(Debug)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Category names with the code of each.
#[derive(Debug, Clone, Default)]
pub struct Codes {
    by_name: HashMap<String, u32, BuildHasherDefault<Fnv>>,
    /// Number categories by their value's bits, for columns that hold numbers.
    by_number: HashMap<u64, u32>,
}

impl Codes {
    /// Codes are places in `categories`.
    pub fn new(categories: &[String]) -> Self {
        let mut codes = Codes::default();
        for (i, name) in categories.iter().enumerate() {
            codes.by_name.entry(name.clone()).or_insert(i as u32);
            if let Ok(v) = name.parse::<f64>() {
                codes.by_number.entry((v + 0.0).to_bits()).or_insert(i as u32);
            }
        }
        codes
    }

    /// Code of a name, if it is known.
    pub fn code(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// Reads rows as codes; NULL and unknown categories become NaN. Booleans are the
    /// categories `false` and `true`, numbers are matched by value.
    pub fn read(&self, array: &dyn Array, start: usize, out: &mut [f32]) -> Result<(), MlError> {
        if let Some(strings) = Strings::of(array) {
            for (i, o) in out.iter_mut().enumerate() {
                *o = match strings.get(start + i).and_then(|s| self.code(s)) {
                    Some(code) => code as f32,
                    None => f32::NAN,
                };
            }
            return Ok(());
        }
        if let DataType::Boolean = array.data_type() {
            let bools = array.as_boolean();
            for (i, o) in out.iter_mut().enumerate() {
                let name = (!bools.is_null(start + i))
                    .then(|| if bools.value(start + i) { "true" } else { "false" });
                *o = name.and_then(|n| self.code(n)).map_or(f32::NAN, |c| c as f32);
            }
            return Ok(());
        }
        // Codes may be larger than f32 holds exactly, so they are looked up as f64.
        let part = arrow::compute::cast(&array.slice(start, out.len()), &DataType::Float64)?;
        for (o, v) in out.iter_mut().zip(part.as_primitive::<Float64Type>()) {
            *o = v
                .and_then(|v| self.by_number.get(&(v + 0.0).to_bits()))
                .map_or(f32::NAN, |&c| c as f32);
        }
        Ok(())
    }
}

/// A text column of any Arrow layout.
#[derive(Debug)]
pub enum Strings<'a> {
    Plain(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Strings<'a> {
    /// The column as text, if it is text and not dictionary-encoded.
    pub fn of(array: &'a dyn Array) -> Option<Self> {
        match array.data_type() {
            DataType::Utf8 => Some(Strings::Plain(array.as_string())),
            DataType::LargeUtf8 => Some(Strings::Large(array.as_string())),
            DataType::Utf8View => Some(Strings::View(array.as_string_view())),
            _ => None,
        }
    }

    /// Row `i`, `None` for NULL.
    pub fn get(&self, i: usize) -> Option<&'a str> {
        match self {
            Strings::Plain(a) => (!a.is_null(i)).then(|| a.value(i)),
            Strings::Large(a) => (!a.is_null(i)).then(|| a.value(i)),
            Strings::View(a) => (!a.is_null(i)).then(|| a.value(i)),
        }
    }
}
