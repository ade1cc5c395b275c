//! Parts of dates and times, as DuckDB numbers them. Zoned values count in UTC.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Int64Type, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use frazil_catalog::Transform;

use crate::error::{LakeError, Result};

pub const HOUR_MICROS: i64 = 3_600_000_000;
pub const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// Year, month and day of a day since 1970; year 0 is 1 BC.
pub fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The part of each value, as Int64.
pub fn parts(array: &ArrayRef, part: &Transform) -> Result<ArrayRef> {
    fn each<T: ArrowPrimitiveType>(array: &ArrayRef, part: impl Fn(T::Native) -> i64) -> ArrayRef {
        Arc::new(array.as_primitive::<T>().unary::<_, Int64Type>(part))
    }
    let of = |micros: i64| of_micros(micros, part);
    Ok(match array.data_type() {
        DataType::Date32 => each::<Date32Type>(array, |days| of(i64::from(days) * DAY_MICROS)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            each::<TimestampMicrosecondType>(array, of)
        }
        // As DuckDB casts them: towards 1970.
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            each::<TimestampNanosecondType>(array, |nanos| of(nanos / 1000))
        }
        DataType::Time64(TimeUnit::Microsecond) => each::<Time64MicrosecondType>(array, of),
        other => {
            return Err(LakeError::Damaged(format!("{part} of a partition key of type {other}")));
        }
    })
}

fn of_micros(micros: i64, part: &Transform) -> i64 {
    if *part == Transform::Hour {
        return micros.rem_euclid(DAY_MICROS) / HOUR_MICROS;
    }
    let (year, month, day) = civil(micros.div_euclid(DAY_MICROS));
    match part {
        Transform::Year => year,
        Transform::Month => month,
        _ => day,
    }
}

#[cfg(test)]
mod tests {
    use chrono::Datelike;

    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let epoch = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap_or_default();
        for days in (-1_000_000..1_000_000).step_by(97).chain(-800..800) {
            let date = epoch + chrono::Duration::days(days);
            let expected = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
            assert_eq!(civil(days), expected, "{days}");
        }
    }

    #[test]
    fn parts_before_1970_are_those_of_their_day() {
        let of = |part: Transform| of_micros(-1, &part);
        assert_eq!(of(Transform::Year), 1969);
        assert_eq!(of(Transform::Month), 12);
        assert_eq!(of(Transform::Day), 31);
        assert_eq!(of(Transform::Hour), 23);
    }
}
