//! Calendar arithmetic, and reading and writing of dates and times in Snowflake's formats.

pub mod format;
pub mod parse;
pub mod parts;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use frazil_common::{Code, UserError};

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;
pub const SECONDS_PER_DAY: i64 = 86_400;
pub const MICROS_PER_DAY: i64 = SECONDS_PER_DAY * MICROS_PER_SECOND;

/// Days since 1970-01-01 of a civil date (proleptic Gregorian).
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = (month as i64 + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + day as i64 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day number.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

pub fn is_leap_year(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

pub fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap_year(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Day of week, Monday = 0.
pub fn weekday(days: i64) -> u32 {
    (days + 3).rem_euclid(7) as u32
}

/// A wall-clock moment: whole seconds since 1970-01-01 00:00 and nanoseconds within the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub seconds: i64,
    pub nanos: u32,
}

impl Moment {
    pub fn from_units(value: i64, nanos: bool) -> Moment {
        let per_second = if nanos { NANOS_PER_SECOND } else { MICROS_PER_SECOND };
        let rest = value.rem_euclid(per_second);
        Moment {
            seconds: value.div_euclid(per_second),
            nanos: if nanos { rest as u32 } else { rest as u32 * 1000 },
        }
    }

    /// Microseconds, or nanoseconds if `nanos`; `None` when they do not fit.
    pub fn to_units(self, nanos: bool) -> Option<i64> {
        if nanos {
            self.seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(self.nanos as i64)
        } else {
            self.seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(self.nanos as i64 / 1000)
        }
    }

    pub fn from_days(days: i64) -> Moment {
        Moment { seconds: days * SECONDS_PER_DAY, nanos: 0 }
    }

    pub fn days(self) -> i64 {
        self.seconds.div_euclid(SECONDS_PER_DAY)
    }

    pub fn second_of_day(self) -> i64 {
        self.seconds.rem_euclid(SECONDS_PER_DAY)
    }

    pub fn plus_seconds(self, seconds: i64) -> Moment {
        Moment { seconds: self.seconds.saturating_add(seconds), nanos: self.nanos }
    }
}

/// Whether a Time64 or Timestamp type counts nanoseconds.
pub fn counts_nanos(data_type: &DataType) -> bool {
    match data_type {
        DataType::Time64(unit) | DataType::Timestamp(unit, _) => *unit == TimeUnit::Nanosecond,
        DataType::Struct(fields) => fields.first().is_some_and(|f| counts_nanos(f.data_type())),
        _ => false,
    }
}

/// Seconds east of UTC that the zone has at an instant.
pub fn offset_at(zone: Tz, utc_seconds: i64) -> i64 {
    match DateTime::from_timestamp(utc_seconds, 0) {
        Some(instant) => {
            zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc() as i64
        }
        None => 0,
    }
}

/// UTC seconds of a wall clock in a zone; the earlier where it occurs twice, and shifted forward
/// where it does not occur.
pub fn local_to_utc(zone: Tz, local_seconds: i64) -> i64 {
    let Some(local) = DateTime::from_timestamp(local_seconds, 0).map(|d| d.naive_utc()) else {
        return local_seconds;
    };
    let offset = |local: &NaiveDateTime| match zone.offset_from_local_datetime(local) {
        LocalResult::Single(o) => Some(o.fix().local_minus_utc() as i64),
        LocalResult::Ambiguous(first, _) => Some(first.fix().local_minus_utc() as i64),
        LocalResult::None => None,
    };
    match offset(&local) {
        Some(offset) => local_seconds - offset,
        None => local_seconds - offset_at(zone, local_seconds - 86_400),
    }
}

/// The zone of an IANA name.
pub fn zone(name: &str) -> Result<Tz, UserError> {
    name.parse::<Tz>()
        .or_else(|_| name.to_ascii_uppercase().parse::<Tz>())
        .map_err(|_| UserError::new(Code::InvalidArgument, format!("Invalid time zone '{name}'")))
}

/// Error for a date, time or timestamp out of the range that can be held.
pub fn out_of_range(what: &str) -> UserError {
    UserError::new(Code::TimestampNotRecognized, format!("{what} is out of range"))
}
