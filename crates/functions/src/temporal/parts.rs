//! Date parts and the arithmetic on them.

use frazil_common::{Code, UserError};

use super::{
    Moment, NANOS_PER_SECOND, SECONDS_PER_DAY, civil_from_days, days_from_civil, days_in_month,
    weekday,
};

/// A date or time part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Year,
    Quarter,
    Month,
    Week,
    WeekIso,
    Day,
    DayOfWeek,
    DayOfWeekIso,
    DayOfYear,
    YearOfWeek,
    YearOfWeekIso,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    EpochSecond,
    EpochMillisecond,
    EpochMicrosecond,
    EpochNanosecond,
    ZoneHour,
    ZoneMinute,
}

impl Part {
    /// The part of a name or one of its documented abbreviations.
    pub fn parse(name: &str) -> Result<Part, UserError> {
        Ok(match name.trim().to_ascii_lowercase().as_str() {
            "year" | "y" | "yy" | "yyy" | "yyyy" | "yr" | "years" | "yrs" => Part::Year,
            "quarter" | "q" | "qtr" | "qtrs" | "quarters" => Part::Quarter,
            "month" | "mm" | "mon" | "mons" | "months" => Part::Month,
            "week" | "w" | "wk" | "weekofyear" | "woy" | "wy" | "weeks" => Part::Week,
            "weekiso" | "week_iso" | "weekofyeariso" | "weekofyear_iso" => Part::WeekIso,
            "day" | "d" | "dd" | "days" | "dayofmonth" => Part::Day,
            "dayofweek" | "weekday" | "dow" | "dw" => Part::DayOfWeek,
            "dayofweekiso" | "dayofweek_iso" | "weekday_iso" | "dow_iso" | "dw_iso" => {
                Part::DayOfWeekIso
            }
            "dayofyear" | "yearday" | "doy" | "dy" => Part::DayOfYear,
            "yearofweek" => Part::YearOfWeek,
            "yearofweekiso" => Part::YearOfWeekIso,
            "hour" | "h" | "hh" | "hr" | "hours" | "hrs" => Part::Hour,
            "minute" | "m" | "mi" | "min" | "minutes" | "mins" => Part::Minute,
            "second" | "s" | "sec" | "seconds" | "secs" => Part::Second,
            "millisecond" | "ms" | "msec" | "milliseconds" => Part::Millisecond,
            "microsecond" | "us" | "usec" | "microseconds" => Part::Microsecond,
            "nanosecond" | "ns" | "nsec" | "nanosec" | "nsecond" | "nanoseconds" | "nanosecs"
            | "nseconds" => Part::Nanosecond,
            "epoch_second" | "epoch" | "epoch_seconds" => Part::EpochSecond,
            "epoch_millisecond" | "epoch_milliseconds" => Part::EpochMillisecond,
            "epoch_microsecond" | "epoch_microseconds" => Part::EpochMicrosecond,
            "epoch_nanosecond" | "epoch_nanoseconds" => Part::EpochNanosecond,
            "timezone_hour" | "tzh" => Part::ZoneHour,
            "timezone_minute" | "tzm" => Part::ZoneMinute,
            _ => {
                return Err(UserError::new(
                    Code::InvalidArgument,
                    format!("'{name}' is not a valid date/time component"),
                ));
            }
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Part::Year => "year",
            Part::Quarter => "quarter",
            Part::Month => "month",
            Part::Week => "week",
            Part::WeekIso => "weekiso",
            Part::Day => "day",
            Part::DayOfWeek => "dayofweek",
            Part::DayOfWeekIso => "dayofweekiso",
            Part::DayOfYear => "dayofyear",
            Part::YearOfWeek => "yearofweek",
            Part::YearOfWeekIso => "yearofweekiso",
            Part::Hour => "hour",
            Part::Minute => "minute",
            Part::Second => "second",
            Part::Millisecond => "millisecond",
            Part::Microsecond => "microsecond",
            Part::Nanosecond => "nanosecond",
            Part::EpochSecond => "epoch_second",
            Part::EpochMillisecond => "epoch_millisecond",
            Part::EpochMicrosecond => "epoch_microsecond",
            Part::EpochNanosecond => "epoch_nanosecond",
            Part::ZoneHour => "timezone_hour",
            Part::ZoneMinute => "timezone_minute",
        }
    }

    /// Whether the part is smaller than a day.
    pub fn is_clock(self) -> bool {
        self.nanos().is_some()
    }

    /// Length of a clock part in nanoseconds.
    pub fn nanos(self) -> Option<i64> {
        Some(match self {
            Part::Hour => 3600 * NANOS_PER_SECOND,
            Part::Minute => 60 * NANOS_PER_SECOND,
            Part::Second => NANOS_PER_SECOND,
            Part::Millisecond => 1_000_000,
            Part::Microsecond => 1000,
            Part::Nanosecond => 1,
            _ => return None,
        })
    }
}

/// How weeks are counted, in one number: WEEK_START, and 16 more where WEEK_OF_YEAR_POLICY is 1.
pub fn week_rules(week_start: u8, week_of_year_policy: u8) -> u8 {
    week_start | (week_of_year_policy.min(1) << 4)
}

/// WEEK_START as Monday = 0; ISO and 1 are Monday.
fn first_day(week_rules: u8) -> i64 {
    i64::from((week_rules & 15).clamp(1, 7)) - 1
}

/// WEEK and YEAROFWEEK. By policy 0 a week belongs to the year that has four of its days or more;
/// by policy 1 a year's first week begins on the 1st of January and its last ends with the year.
fn week_of_year(days: i64, week_rules: u8) -> (i64, i64) {
    let start = start_of_week(days, week_rules);
    let year_of = |days: i64| civil_from_days(days).0;
    let (year, first) = if week_rules >> 4 == 0 {
        let year = year_of(start + 3);
        (year, days_from_civil(year, 1, 4))
    } else {
        let year = year_of(days);
        (year, days_from_civil(year, 1, 1))
    };
    (year, (start - start_of_week(first, week_rules)) / 7 + 1)
}

/// The first day of the week that holds `days`.
pub fn start_of_week(days: i64, week_rules: u8) -> i64 {
    days - (weekday(days) as i64 - first_day(week_rules)).rem_euclid(7)
}

/// ISO week number and its year.
pub fn iso_week(days: i64) -> (i64, i64) {
    // The Thursday of a week tells its year.
    let thursday = days - weekday(days) as i64 + 3;
    let (year, _, _) = civil_from_days(thursday);
    let first = days_from_civil(year, 1, 1);
    (year, (thursday - first) / 7 + 1)
}

fn stored_nanos(moment: Moment) -> i128 {
    moment.seconds as i128 * NANOS_PER_SECOND as i128 + moment.nanos as i128
}

/// The value of a part; `offset` is seconds east of UTC.
pub fn extract(part: Part, wall: Moment, offset: i32, week_rules: u8) -> i64 {
    let days = wall.days();
    let (year, month, day) = civil_from_days(days);
    let second = wall.second_of_day();
    let instant = wall.plus_seconds(-(offset as i64));
    // With WEEK_START 0 Sunday is 0.
    match part {
        Part::Year => year,
        Part::Quarter => (month as i64 - 1) / 3 + 1,
        Part::Month => month as i64,
        Part::Day => day as i64,
        Part::DayOfWeek if week_rules & 15 == 0 => (weekday(days) as i64 + 1) % 7,
        Part::DayOfWeek => (weekday(days) as i64 - first_day(week_rules)).rem_euclid(7) + 1,
        Part::DayOfWeekIso => weekday(days) as i64 + 1,
        Part::DayOfYear => days - days_from_civil(year, 1, 1) + 1,
        Part::Week => week_of_year(days, week_rules).1,
        Part::YearOfWeek => week_of_year(days, week_rules).0,
        Part::WeekIso => iso_week(days).1,
        Part::YearOfWeekIso => iso_week(days).0,
        Part::Hour => second / 3600,
        Part::Minute => second / 60 % 60,
        Part::Second => second % 60,
        Part::Millisecond => wall.nanos as i64 / 1_000_000,
        Part::Microsecond => wall.nanos as i64 / 1000,
        Part::Nanosecond => wall.nanos as i64,
        Part::EpochSecond => instant.seconds,
        Part::EpochMillisecond => instant.seconds * 1000 + instant.nanos as i64 / 1_000_000,
        Part::EpochMicrosecond => instant.seconds * 1_000_000 + instant.nanos as i64 / 1000,
        Part::EpochNanosecond => {
            instant.seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(instant.nanos as i64)
        }
        Part::ZoneHour => offset as i64 / 3600,
        Part::ZoneMinute => offset as i64 / 60 % 60,
    }
}

/// The moment cut down to the start of the part.
pub fn truncate(part: Part, wall: Moment, week_rules: u8) -> Result<Moment, UserError> {
    if let Some(unit) = part.nanos() {
        let total = stored_nanos(wall);
        return Ok(from_nanos(total - total.rem_euclid(unit as i128)));
    }
    let days = wall.days();
    let (year, month, _) = civil_from_days(days);
    let start = match part {
        Part::Year => days_from_civil(year, 1, 1),
        Part::Quarter => days_from_civil(year, (month - 1) / 3 * 3 + 1, 1),
        Part::Month => days_from_civil(year, month, 1),
        Part::Week => start_of_week(days, week_rules),
        Part::WeekIso => start_of_week(days, 1),
        Part::Day => days,
        _ => return Err(unsuited(part, "DATE_TRUNC")),
    };
    Ok(Moment::from_days(start))
}

fn unsuited(part: Part, function: &str) -> UserError {
    UserError::new(
        Code::InvalidArgument,
        format!("'{}' is not a supported date/time component for function {function}", part.name()),
    )
}

fn from_nanos(total: i128) -> Moment {
    let unit = NANOS_PER_SECOND as i128;
    Moment { seconds: total.div_euclid(unit) as i64, nanos: total.rem_euclid(unit) as u32 }
}

/// Adds whole months; the day is cut to the month's last.
pub fn add_months(days: i64, months: i64) -> i64 {
    let (year, month, day) = civil_from_days(days);
    let total = year * 12 + month as i64 - 1 + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) as u32 + 1);
    days_from_civil(year, month, day.min(days_in_month(year, month)))
}

/// `wall` plus `count` parts.
pub fn add(part: Part, count: i64, wall: Moment) -> Result<Moment, UserError> {
    if count.unsigned_abs() > 400_000_000_000_000_000 {
        return Err(super::out_of_range("Timestamp"));
    }
    if let Some(unit) = part.nanos() {
        return Ok(from_nanos(stored_nanos(wall) + count as i128 * unit as i128));
    }
    let moved = |days: i64| Moment {
        seconds: days * SECONDS_PER_DAY + wall.second_of_day(),
        nanos: wall.nanos,
    };
    if count.unsigned_abs() > 4_000_000 {
        return Err(super::out_of_range("Date"));
    }
    let days = wall.days();
    Ok(match part {
        Part::Year => moved(add_months(days, count * 12)),
        Part::Quarter => moved(add_months(days, count * 3)),
        Part::Month => moved(add_months(days, count)),
        Part::Week | Part::WeekIso => moved(days + count * 7),
        Part::Day | Part::DayOfWeek | Part::DayOfYear => moved(days + count),
        _ => return Err(unsuited(part, "DATEADD")),
    })
}

/// Number of part boundaries between two moments.
pub fn difference(part: Part, from: Moment, to: Moment, week_rules: u8) -> Result<i64, UserError> {
    if let Some(unit) = part.nanos() {
        let unit = unit as i128;
        let count = stored_nanos(to).div_euclid(unit) - stored_nanos(from).div_euclid(unit);
        return i64::try_from(count).map_err(|_| super::out_of_range("DATEDIFF"));
    }
    let (a, b) = (from.days(), to.days());
    let (y1, m1, _) = civil_from_days(a);
    let (y2, m2, _) = civil_from_days(b);
    let quarter = |y: i64, m: u32| y * 4 + (m as i64 - 1) / 3;
    Ok(match part {
        Part::Year => y2 - y1,
        Part::Quarter => quarter(y2, m2) - quarter(y1, m1),
        Part::Month => (y2 - y1) * 12 + m2 as i64 - m1 as i64,
        Part::Week => (start_of_week(b, week_rules) - start_of_week(a, week_rules)) / 7,
        Part::WeekIso => (start_of_week(b, 1) - start_of_week(a, 1)) / 7,
        Part::Day | Part::DayOfWeek | Part::DayOfYear => b - a,
        _ => return Err(unsuited(part, "DATEDIFF")),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn day(y: i64, m: u32, d: u32) -> Moment {
        Moment::from_days(days_from_civil(y, m, d))
    }

    #[test]
    fn weeks_follow_iso() {
        // ISO 8601: 2016-01-01 is in week 53 of 2015, 2019-12-30 in week 1 of 2020.
        assert_eq!(iso_week(day(2016, 1, 1).days()), (2015, 53));
        assert_eq!(iso_week(day(2019, 12, 30).days()), (2020, 1));
        assert_eq!(extract(Part::DayOfWeek, day(2013, 8, 4), 0, 0), 0);
        assert_eq!(extract(Part::DayOfWeek, day(2013, 8, 5), 0, 1), 1);
    }

    #[test]
    fn arithmetic_matches_documentation() {
        assert_eq!(add(Part::Month, 1, day(2023, 1, 31)).unwrap(), day(2023, 2, 28));
        assert_eq!(difference(Part::Year, day(2021, 12, 31), day(2022, 1, 1), 0).unwrap(), 1);
        assert_eq!(difference(Part::Month, day(2021, 1, 31), day(2021, 2, 1), 0).unwrap(), 1);
        assert_eq!(truncate(Part::Quarter, day(2015, 5, 8), 0).unwrap(), day(2015, 4, 1));
    }
}
