//! Values as people read them, for the command line and tests.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use frazil_common::{Column, SqlType};

/// One value as text; None is NULL.
pub fn cell_text(column: &Column, array: &ArrayRef, row: usize) -> Option<String> {
    // An array of the NULL type has no null mask.
    if array.is_null(row) || *array.data_type() == DataType::Null {
        return None;
    }
    if column.sql_type.is_semi_structured() {
        return frazil_functions::variant::to_json_string(array, row);
    }
    Some(match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Decimal128(_, _) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Float64 => float_text(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8View => array.as_string_view().value(row).to_string(),
        DataType::Binary => hex_text(array.as_binary::<i32>().value(row)),
        DataType::Boolean => if array.as_boolean().value(row) { "TRUE" } else { "FALSE" }.into(),
        DataType::Date32 => array
            .as_primitive::<Date32Type>()
            .value_as_date(row)
            .map_or_else(String::new, |date| date.format("%Y-%m-%d").to_string()),
        DataType::Time64(TimeUnit::Microsecond) => array
            .as_primitive::<Time64MicrosecondType>()
            .value_as_time(row)
            .map_or_else(String::new, |time| time.format("%H:%M:%S%.f").to_string()),
        DataType::Time64(TimeUnit::Nanosecond) => array
            .as_primitive::<Time64NanosecondType>()
            .value_as_time(row)
            .map_or_else(String::new, |time| time.format("%H:%M:%S%.f").to_string()),
        DataType::Timestamp(unit, zone) => {
            let time = match unit {
                TimeUnit::Nanosecond => {
                    array.as_primitive::<TimestampNanosecondType>().value_as_datetime(row)
                }
                _ => array.as_primitive::<TimestampMicrosecondType>().value_as_datetime(row),
            };
            let suffix = if zone.is_some() { " +0000" } else { "" };
            time.map_or_else(String::new, |time| {
                format!("{}{suffix}", time.format("%Y-%m-%d %H:%M:%S%.3f"))
            })
        }
        DataType::Struct(_) if matches!(column.sql_type, SqlType::Timestamp { .. }) => {
            let fields = array.as_struct();
            let offset = fields.column(1).as_primitive::<Int32Type>().value(row);
            let micros = fields.column(0).as_primitive::<TimestampMicrosecondType>();
            let shifted = micros.value_as_datetime(row).and_then(|time| {
                time.checked_add_signed(chrono::TimeDelta::minutes(offset.into()))
            });
            shifted.map_or_else(String::new, |time| {
                let sign = if offset < 0 { '-' } else { '+' };
                let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
                format!("{} {sign}{hours:02}{minutes:02}", time.format("%Y-%m-%d %H:%M:%S%.3f"))
            })
        }
        _ => arrow::util::display::array_value_to_string(array, row).unwrap_or_default(),
    })
}

fn float_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_string()
    } else if value.is_infinite() {
        if value > 0.0 { "inf" } else { "-inf" }.to_string()
    } else {
        value.to_string()
    }
}

fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
