//! Buckets of values: Murmur3 (x86, 32 bits, seed 0) of what DuckDB hashes for each type.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};

use crate::error::{LakeError, Result};

/// The widest decimal that is stored in 64 bits.
const NARROW_DECIMAL: u8 = 18;

/// What values are hashed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Their number (of days, microseconds, units of the last digit), in 64 bits.
    Integer,
    Seconds,
    Milliseconds,
    Float,
    /// Their own bytes.
    Bytes,
    /// Their text's bytes.
    Text,
}

/// What values of a DuckLake type are hashed as.
pub fn form(physical: &str) -> Form {
    match physical {
        "varchar" | "json" | "blob" => Form::Bytes,
        "float32" | "float64" => Form::Float,
        "uint8" | "uint16" | "uint32" | "uint64" => Form::Text,
        "timestamp_s" => Form::Seconds,
        "timestamp_ms" => Form::Milliseconds,
        other => {
            let digits = other.strip_prefix("decimal(").and_then(|rest| rest.split_once(','));
            match digits.map(|(digits, _)| digits.trim().parse::<u8>()) {
                Some(Ok(digits)) if digits > NARROW_DECIMAL => Form::Text,
                _ => Form::Integer,
            }
        }
    }
}

/// The bucket of each value, of `count`, as Int64.
pub fn buckets(array: &ArrayRef, physical: &str, count: u32) -> Result<ArrayRef> {
    let form = form(physical);
    let bucket = |hash: u32| i64::from((hash & 0x7fff_ffff) % count.max(1));
    let of_integer = |value: i64| match form {
        Form::Text => bucket(murmur3(value.to_string().as_bytes())),
        Form::Seconds => bucket(murmur3(&value.div_euclid(1_000_000).to_le_bytes())),
        Form::Milliseconds => bucket(murmur3(&value.div_euclid(1000).to_le_bytes())),
        _ => bucket(murmur3(&value.to_le_bytes())),
    };
    let all: Int64Array = match array.data_type() {
        DataType::Boolean => {
            array.as_boolean().iter().map(|v| v.map(|v| of_integer(i64::from(v)))).collect()
        }
        DataType::Int64 => array.as_primitive::<Int64Type>().unary(of_integer),
        DataType::Date32 => array.as_primitive::<Date32Type>().unary(|v| of_integer(v.into())),
        DataType::Time64(TimeUnit::Microsecond) => {
            array.as_primitive::<Time64MicrosecondType>().unary(of_integer)
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            array.as_primitive::<Time64NanosecondType>().unary(of_integer)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().unary(of_integer)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().unary(of_integer)
        }
        DataType::Decimal128(..) => {
            let decimals = array.as_primitive::<Decimal128Type>();
            let value = |row: usize| {
                decimals.is_valid(row).then(|| match i64::try_from(decimals.value(row)) {
                    Ok(narrow) if form == Form::Integer => of_integer(narrow),
                    _ => bucket(murmur3(decimals.value_as_string(row).as_bytes())),
                })
            };
            (0..decimals.len()).map(value).collect()
        }
        DataType::Float64 => {
            // Both zeros are one value.
            let value = |v: f64| if v == 0.0 { 0.0_f64 } else { v };
            array.as_primitive::<Float64Type>().unary(|v| bucket(murmur3(&value(v).to_le_bytes())))
        }
        DataType::Utf8View => {
            let texts = array.as_string_view().iter();
            texts.map(|v| v.map(|v| bucket(murmur3(v.as_bytes())))).collect()
        }
        DataType::Binary => {
            array.as_binary::<i32>().iter().map(|v| v.map(|v| bucket(murmur3(v)))).collect()
        }
        other => return Err(LakeError::Damaged(format!("buckets of values of type {other}"))),
    };
    Ok(Arc::new(all))
}

fn murmur3(bytes: &[u8]) -> u32 {
    let mix = |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (words, tail) = bytes.as_chunks::<4>();
    let mut hash = 0_u32;
    for word in words {
        hash = (hash ^ mix(u32::from_le_bytes(*word))).rotate_left(13);
        hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let rest = tail.iter().rev().fold(0_u32, |rest, byte| rest << 8 | u32::from(*byte));
    hash ^= mix(rest) ^ bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_duckdbs() {
        // What DuckDB's murmur3_32 gives, as unsigned.
        assert_eq!(murmur3(b""), 0);
        assert_eq!(murmur3(b"abc"), (-1_277_324_294_i32).cast_unsigned());
        assert_eq!(murmur3(&34_i64.to_le_bytes()), 2_017_239_379);
        assert_eq!(murmur3(&(-1_i64).to_le_bytes()), 1_651_860_712);
        assert_eq!(murmur3(&1.5_f64.to_le_bytes()), (-260_406_309_i32).cast_unsigned());
        assert_eq!(murmur3(b"14.20"), (-1_660_625_346_i32).cast_unsigned());
        assert_eq!(murmur3(&[0, 1, 2, 3]), (-188_683_207_i32).cast_unsigned());
    }

    #[test]
    fn wide_decimals_are_hashed_as_text() {
        assert_eq!(form("decimal(18,2)"), Form::Integer);
        assert_eq!(form("decimal(19,2)"), Form::Text);
        assert_eq!(form("int64"), Form::Integer);
        assert_eq!(form("uint32"), Form::Text);
    }
}
