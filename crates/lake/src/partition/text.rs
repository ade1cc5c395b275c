//! Partition values as DuckDB writes them.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};

use super::calendar::{DAY_MICROS, civil};
use crate::error::{LakeError, Result};

/// The text of a value; none for NULL. `physical` is the DuckLake type of a value that was not
/// transformed.
pub fn of(array: &ArrayRef, row: usize, physical: Option<&str>) -> Result<Option<String>> {
    if array.is_null(row) {
        return Ok(None);
    }
    let zone = if physical == Some("timestamptz") { "+00" } else { "" };
    let count = physical.is_some_and(|physical| physical.starts_with("int"));
    Ok(Some(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Utf8View => array.as_string_view().value(row).to_string(),
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            match physical {
                Some("float32") => {
                    let narrow = value as f32;
                    float(value, format!("{narrow}"), format!("{narrow:e}"))
                }
                _ => float(value, format!("{value}"), format!("{value:e}")),
            }
        }
        DataType::Date32 => date(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Time64(TimeUnit::Microsecond) => {
            time(array.as_primitive::<Time64MicrosecondType>().value(row) * 1000)
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            let nanos = array.as_primitive::<Time64NanosecondType>().value(row);
            if count { nanos.to_string() } else { time(nanos) }
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let (days, rest) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
            format!("{} {}{zone}", date(days), time(rest * 1000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanos = array.as_primitive::<TimestampNanosecondType>().value(row);
            let day = DAY_MICROS * 1000;
            format!("{} {}{zone}", date(nanos.div_euclid(day)), time(nanos.rem_euclid(day)))
        }
        other => {
            return Err(LakeError::Damaged(format!("a partition value of type {other}")));
        }
    }))
}

fn date(days: i64) -> String {
    let (year, month, day) = civil(days);
    match year > 0 {
        true => format!("{year:04}-{month:02}-{day:02}"),
        false => format!("{:04}-{month:02}-{day:02} (BC)", 1 - year),
    }
}

/// A time of the day in nanoseconds.
fn time(nanos: i64) -> String {
    let (seconds, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let whole = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match part {
        0 => whole,
        _ => format!("{whole}.{}", format!("{part:09}").trim_end_matches('0')),
    }
}

/// A number of which `plain` has all digits and `exponent` one before the point.
fn float(value: f64, plain: String, exponent: String) -> String {
    if value.is_nan() {
        return "nan".to_string();
    }
    if value.is_infinite() {
        return plain;
    }
    let (digits, power) = exponent.split_once('e').unwrap_or((&plain, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    if value != 0.0 && !(-4..16).contains(&power) {
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", power.abs());
    }
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_duckdb_writes_them() {
        let text = |value: f64| float(value, format!("{value}"), format!("{value:e}"));
        for (value, expected) in [
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (123_456_789_012_345_678.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e100, "1e+100"),
            (-0.0, "-0.0"),
            (0.0, "0.0"),
            (1.5, "1.5"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn dates_and_times_are_written_as_duckdb_writes_them() {
        assert_eq!(date(-1), "1969-12-31");
        assert_eq!(date(2_932_897), "10000-01-01");
        assert_eq!(date(-719_529), "0002-12-31 (BC)");
        assert_eq!(date(-719_528), "0001-01-01 (BC)");
        assert_eq!(time(0), "00:00:00");
        assert_eq!(time(3_600_500_000_000), "01:00:00.5");
    }
}
