//! Date and time functions. Parts come as text literals.

use arrow::datatypes::Date32Type;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use frazil_common::{Code, SqlType, TimeZoneKind, UserError, excerpt};

use crate::arguments::{Arguments, SMALL_INTEGER};
use crate::cast::{CastMode, build_times, build_timestamps, cast, text_lit};
use crate::facts::Facts;
use crate::kernel::{KernelResult, Rows};
use crate::registry::Registry;
use crate::temporal::parts::{self, Part};
use crate::temporal::{
    self, MICROS_PER_DAY, Moment, civil_from_days, days_from_civil, days_in_month, offset_at,
    weekday,
};
use crate::typed::TypedExpr;

type Bound = Result<TypedExpr, UserError>;
const INT: SqlType = SMALL_INTEGER;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["CURRENT_DATE"], |a| {
        a.expect(0..=0)?;
        Ok(TypedExpr::date(local_now(a.facts).div_euclid(MICROS_PER_DAY) as i32))
    });
    registry.add(&["CURRENT_TIME", "LOCALTIME"], |a| {
        a.expect(0..=1)?;
        let micros = local_now(a.facts).rem_euclid(MICROS_PER_DAY);
        Ok(TypedExpr::literal(ScalarValue::Time64Microsecond(Some(micros)), SqlType::TIME))
    });
    registry.add(&["CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "GETDATE", "SYSTIMESTAMP", "NOW"], |a| {
        a.expect(0..=1)?;
        let value = ScalarValue::TimestampMicrosecond(Some(a.facts.now_micros), Some("UTC".into()));
        Ok(TypedExpr::literal(value, SqlType::TIMESTAMP_LTZ))
    });
    registry.add(&["SYSDATE"], |a| {
        a.expect(0..=0)?;
        let value = ScalarValue::TimestampMicrosecond(Some(a.facts.now_micros), None);
        Ok(TypedExpr::literal(value, SqlType::TIMESTAMP_NTZ))
    });
    registry.add(&["DATE_TRUNC"], |a| {
        a.expect(2..=2)?;
        // The part comes first, or last as in TRUNC(date, part).
        let first = a.get(0)?.as_text_literal().is_some_and(|t| Part::parse(&t).is_ok());
        let (part, value) = if first { (0, 1) } else { (1, 0) };
        date_trunc(&a, &a.constant_text(part)?, value)
    });
    registry.add(&["DATEADD", "TIMEADD", "TIMESTAMPADD", "DATE_ADD"], dateadd);
    registry.add(&["DATEDIFF", "TIMEDIFF", "TIMESTAMPDIFF"], |a| {
        a.expect(3..=3)?;
        let part = Part::parse(&a.constant_text(0)?)?;
        let (mut from, mut to) = (moment(&a, 1)?, moment(&a, 2)?);
        if is_instant(&from.sql_type) && is_instant(&to.sql_type) {
            // Clocks with different offsets cannot be compared as written.
            from = cast(from, &SqlType::TIMESTAMP_LTZ, CastMode::Implicit, a.facts)?;
            to = cast(to, &SqlType::TIMESTAMP_LTZ, CastMode::Implicit, a.facts)?;
        }
        let mut args = vec![text_lit(part.name()), from.expr, to.expr];
        args.extend(session(a.facts));
        Ok(a.call("frazil_datediff", args, INT, datediff))
    });
    registry.add(&["DATE_PART", "EXTRACT"], |a| {
        a.expect(2..=2)?;
        let part = Part::parse(&a.constant_text(0)?)?;
        date_part(&a, part, 1)
    });
    macro_rules! parts {
        ($($name:literal => $part:ident),*) => {
            $(registry.add(&[$name], |a| { a.expect(1..=1)?; date_part(&a, Part::$part, 0) });)*
        };
    }
    parts!("YEAR" => Year, "QUARTER" => Quarter, "MONTH" => Month, "DAY" => Day,
        "DAYOFMONTH" => Day, "DAYOFWEEK" => DayOfWeek, "DAYOFWEEKISO" => DayOfWeekIso,
        "DAYOFWEEK_ISO" => DayOfWeekIso, "DAYOFYEAR" => DayOfYear, "WEEK" => Week,
        "WEEKOFYEAR" => Week, "WEEKISO" => WeekIso, "YEAROFWEEK" => YearOfWeek,
        "YEAROFWEEKISO" => YearOfWeekIso, "HOUR" => Hour, "MINUTE" => Minute,
        "SECOND" => Second);
    registry.add(&["LAST_DAY"], |a| {
        a.expect(1..=2)?;
        let part = if a.len() > 1 { Part::parse(&a.constant_text(1)?)? } else { Part::Month };
        if !matches!(part, Part::Year | Part::Quarter | Part::Month | Part::Week) {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("'{}' is not a supported date/time component for LAST_DAY", part.name()),
            ));
        }
        let mut args = vec![day(&a, 0)?, text_lit(part.name())];
        args.extend(session(a.facts));
        Ok(a.call("frazil_last_day", args, SqlType::Date, last_day))
    });
    registry.add(&["NEXT_DAY"], |a| near_day(a, "frazil_next_day", next_day));
    registry.add(&["PREVIOUS_DAY"], |a| near_day(a, "frazil_previous_day", previous_day));
    registry.add(&["ADD_MONTHS"], add_months);
    registry.add(&["MONTHS_BETWEEN"], |a| {
        a.expect(2..=2)?;
        let (left, right) = (moment(&a, 0)?, moment(&a, 1)?);
        let mut args = vec![left.expr, right.expr];
        args.extend(session(a.facts));
        Ok(a.call("frazil_months_between", args, SqlType::Float, months_between))
    });
    registry.add(&["DAYNAME"], |a| {
        a.expect(1..=1)?;
        let args = vec![day(&a, 0)?];
        Ok(a.call("frazil_dayname", args, SqlType::Varchar { length: 3 }, dayname))
    });
    registry.add(&["MONTHNAME"], |a| {
        a.expect(1..=1)?;
        let args = vec![day(&a, 0)?];
        Ok(a.call("frazil_monthname", args, SqlType::Varchar { length: 3 }, monthname))
    });
    registry.add(&["DATE_FROM_PARTS", "DATEFROMPARTS"], |a| {
        a.expect(3..=3)?;
        a.kernel("frazil_date_from_parts", &[INT], SqlType::Date, date_from_parts)
    });
    registry.add(&["TIME_FROM_PARTS", "TIMEFROMPARTS"], |a| {
        a.expect(3..=4)?;
        a.kernel("frazil_time_from_parts", &[INT], SqlType::TIME, time_from_parts)
    });
    registry.add(
        &[
            "TIMESTAMP_NTZ_FROM_PARTS",
            "TIMESTAMP_FROM_PARTS",
            "TIMESTAMPNTZFROMPARTS",
            "TIMESTAMPFROMPARTS",
        ],
        |a| timestamp_from_parts(a, SqlType::TIMESTAMP_NTZ),
    );
    registry.add(&["TIMESTAMP_LTZ_FROM_PARTS", "TIMESTAMPLTZFROMPARTS"], |a| {
        timestamp_from_parts(a, SqlType::TIMESTAMP_LTZ)
    });
    registry.add(&["TIMESTAMP_TZ_FROM_PARTS", "TIMESTAMPTZFROMPARTS"], |a| {
        timestamp_from_parts(a, SqlType::TIMESTAMP_TZ)
    });
    registry.add(&["CONVERT_TIMEZONE"], convert_timezone);
    registry.add(&["TIME_SLICE"], time_slice);
}

fn local_now(facts: &Facts) -> i64 {
    let seconds = facts.now_micros.div_euclid(1_000_000);
    facts.now_micros + offset_at(facts.timezone, seconds) * 1_000_000
}

/// Literal arguments that calendar kernels take last: zone and rules of weeks.
fn session(facts: &Facts) -> [Expr; 2] {
    let rules = parts::week_rules(facts.week_start, facts.week_of_year_policy);
    [text_lit(&facts.timezone.to_string()), lit(rules as i64)]
}

fn is_instant(sql_type: &SqlType) -> bool {
    use frazil_common::TimeZoneKind;
    matches!(sql_type, SqlType::Timestamp { zone: TimeZoneKind::Ltz | TimeZoneKind::Tz, .. })
}

/// A date, time or timestamp argument; text is read as a timestamp, a literal date as a date.
fn moment(a: &Arguments, index: usize) -> Bound {
    let value = a.get(index)?;
    if value.sql_type.is_temporal() {
        return Ok(value.clone());
    }
    if let Some(text) = value.as_text_literal()
        && text.len() <= 10
        && text.contains('-')
        && let Ok(date) = cast(value.clone(), &SqlType::Date, CastMode::Implicit, a.facts)
        && date.as_literal().is_some()
    {
        return Ok(date);
    }
    match value.sql_type {
        SqlType::Varchar { .. } | SqlType::Variant | SqlType::Null => {
            a.as_type(index, &SqlType::TIMESTAMP_NTZ)
        }
        _ => Err(a.wrong_types()),
    }
}

fn day(a: &Arguments, index: usize) -> Result<Expr, UserError> {
    Ok(cast(moment(a, index)?, &SqlType::Date, CastMode::Explicit, a.facts)?.expr)
}

fn date_part(a: &Arguments, part: Part, index: usize) -> Bound {
    let value = moment(a, index)?;
    let nullable = value.nullable;
    let mut args = vec![text_lit(part.name()), value.expr];
    args.extend(session(a.facts));
    let mut out = a.call("frazil_date_part", args, INT, date_part_kernel);
    out.nullable = nullable;
    Ok(out)
}

fn constant_part(rows: &Rows, index: usize) -> KernelResult<Part> {
    let names = rows.texts(index)?;
    Ok(Part::parse(names.get(0).unwrap_or(""))?)
}

/// (part, value, zone, week start)
fn date_part_kernel(rows: &Rows) -> KernelResult {
    let part = constant_part(rows, 0)?;
    let values = rows.clocks(1)?;
    let zone = rows.zone(2)?;
    let week_rules = rows.integers(3)?.get(0).unwrap_or(0) as u8;
    rows.build_integers(|row| {
        Ok(values.get(row, zone).map(|c| parts::extract(part, c.wall, c.offset, week_rules)))
    })
}

/// (part, from, to, zone, week start)
fn datediff(rows: &Rows) -> KernelResult {
    let part = constant_part(rows, 0)?;
    let (from, to) = (rows.clocks(1)?, rows.clocks(2)?);
    let zone = rows.zone(3)?;
    let week_rules = rows.integers(4)?.get(0).unwrap_or(0) as u8;
    rows.build_integers(|row| match (from.get(row, zone), to.get(row, zone)) {
        (Some(a), Some(b)) => Ok(Some(parts::difference(part, a.wall, b.wall, week_rules)?)),
        _ => Ok(None),
    })
}

/// Also TRUNC(date, part). A DATE stays a DATE.
pub(crate) fn date_trunc(a: &Arguments, part: &str, index: usize) -> Bound {
    let part = Part::parse(part)?;
    let value = moment(a, index)?;
    let mut args = vec![text_lit(part.name()), value.expr];
    args.extend(session(a.facts));
    let mut out = a.call("frazil_date_trunc", args, value.sql_type, date_trunc_kernel);
    out.nullable = value.nullable;
    Ok(out)
}

/// A column of the same temporal type, each moment changed.
fn change(
    rows: &Rows,
    index: usize,
    zone_index: usize,
    mut f: impl FnMut(usize, Moment) -> KernelResult<Option<Moment>>,
) -> KernelResult {
    use arrow::datatypes::DataType;
    let values = rows.clocks(index)?;
    let zone = rows.zone(zone_index)?;
    match &rows.out {
        DataType::Date32 => rows.build::<Date32Type>(|row| match values.get(row, zone) {
            Some(c) => Ok(f(row, c.wall)?.map(|m| m.days() as i32)),
            None => Ok(None),
        }),
        DataType::Time64(_) => build_times(rows, |row| match values.get(row, zone) {
            Some(c) => {
                Ok(f(row, c.wall)?.map(|m| m.second_of_day() * 1_000_000_000 + m.nanos as i64))
            }
            None => Ok(None),
        }),
        out => {
            let keep_offset = matches!(out, DataType::Struct(_));
            build_timestamps(rows, zone, |row| match values.get(row, zone) {
                Some(c) => Ok(f(row, c.wall)?.map(|m| (m, keep_offset.then_some(c.offset)))),
                None => Ok(None),
            })
        }
    }
}

/// (part, value, zone, week start)
fn date_trunc_kernel(rows: &Rows) -> KernelResult {
    let part = constant_part(rows, 0)?;
    let week_rules = rows.integers(3)?.get(0).unwrap_or(0) as u8;
    change(rows, 1, 2, |_, wall| Ok(Some(parts::truncate(part, wall, week_rules)?)))
}

/// A clock part added to a DATE gives a TIMESTAMP_NTZ.
fn dateadd(a: Arguments) -> Bound {
    a.expect(3..=3)?;
    let part = Part::parse(&a.constant_text(0)?)?;
    let count = a.as_type(1, &INT)?;
    let mut value = moment(&a, 2)?;
    let nullable = count.nullable || value.nullable;
    if value.sql_type == SqlType::Date && part.is_clock() {
        value = cast(value, &SqlType::TIMESTAMP_NTZ, CastMode::Implicit, a.facts)?;
    }
    let mut args = vec![text_lit(part.name()), count.expr, value.expr];
    args.extend(session(a.facts));
    let mut out = a.call("frazil_dateadd", args, value.sql_type, dateadd_kernel);
    out.nullable = nullable;
    Ok(out)
}

/// (part, count, value, zone, week start)
fn dateadd_kernel(rows: &Rows) -> KernelResult {
    let part = constant_part(rows, 0)?;
    let counts = rows.integers(1)?;
    change(rows, 2, 3, |row, wall| match counts.get(row) {
        Some(count) => Ok(Some(parts::add(part, count, wall)?)),
        None => Ok(None),
    })
}

/// (date, part, zone, week start)
fn last_day(rows: &Rows) -> KernelResult {
    let dates = rows.dates(0)?;
    let part = constant_part(rows, 1)?;
    let week_rules = rows.integers(3)?.get(0).unwrap_or(0) as u8;
    rows.build::<Date32Type>(|row| {
        Ok(dates.get(row).map(|date| {
            let (year, month, _) = civil_from_days(date as i64);
            let last = match part {
                Part::Year => days_from_civil(year, 12, 31),
                Part::Quarter => {
                    let month = (month - 1) / 3 * 3 + 3;
                    days_from_civil(year, month, days_in_month(year, month))
                }
                Part::Week => parts::start_of_week(date as i64, week_rules) + 6,
                _ => days_from_civil(year, month, days_in_month(year, month)),
            };
            last as i32
        }))
    })
}

fn near_day(a: Arguments, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    a.expect(2..=2)?;
    let args = vec![day(&a, 0)?, a.text(1)?];
    Ok(a.call(name, args, SqlType::Date, run))
}

/// Monday = 0, by the first two letters.
fn day_number(text: &str) -> Result<i64, UserError> {
    let start: String = text.trim().to_lowercase().chars().take(2).collect();
    ["mo", "tu", "we", "th", "fr", "sa", "su"]
        .iter()
        .position(|d| *d == start)
        .map(|d| d as i64)
        .ok_or_else(|| {
            let message = format!("'{}' is not a day of the week", excerpt(text));
            UserError::new(Code::InvalidArgument, message)
        })
}

fn next_day(rows: &Rows) -> KernelResult {
    let (dates, names) = (rows.dates(0)?, rows.texts(1)?);
    rows.build::<Date32Type>(|row| match (dates.get(row), names.get(row)) {
        (Some(date), Some(name)) => {
            let ahead = (day_number(name)? - weekday(date as i64) as i64 - 1).rem_euclid(7) + 1;
            Ok(Some(date + ahead as i32))
        }
        _ => Ok(None),
    })
}

fn previous_day(rows: &Rows) -> KernelResult {
    let (dates, names) = (rows.dates(0)?, rows.texts(1)?);
    rows.build::<Date32Type>(|row| match (dates.get(row), names.get(row)) {
        (Some(date), Some(name)) => {
            let back = (weekday(date as i64) as i64 - day_number(name)? - 1).rem_euclid(7) + 1;
            Ok(Some(date - back as i32))
        }
        _ => Ok(None),
    })
}

/// As DATEADD by months, but the last day of a month stays a last day.
fn add_months(a: Arguments) -> Bound {
    a.expect(2..=2)?;
    let value = moment(&a, 0)?;
    let mut args = vec![value.expr, a.integer(1)?];
    args.extend(session(a.facts));
    Ok(a.call("frazil_add_months", args, value.sql_type, add_months_kernel))
}

fn add_months_kernel(rows: &Rows) -> KernelResult {
    let counts = rows.integers(1)?;
    change(rows, 0, 2, |row, wall| {
        let Some(count) = counts.get(row) else { return Ok(None) };
        let (year, month, day) = civil_from_days(wall.days());
        let moved = parts::add(Part::Month, count, wall)?;
        if day == days_in_month(year, month) {
            let (year, month, day) = civil_from_days(moved.days());
            let more = days_in_month(year, month) - day;
            return Ok(Some(parts::add(Part::Day, more as i64, moved)?));
        }
        Ok(Some(moved))
    })
}

/// Whole months where the days agree or both are last days, else with a fraction of 31 days.
fn months_between(rows: &Rows) -> KernelResult {
    let (left, right) = (rows.clocks(0)?, rows.clocks(1)?);
    let zone = rows.zone(2)?;
    rows.build_floats(|row| {
        let (Some(a), Some(b)) = (left.get(row, zone), right.get(row, zone)) else {
            return Ok(None);
        };
        let (y1, m1, d1) = civil_from_days(a.wall.days());
        let (y2, m2, d2) = civil_from_days(b.wall.days());
        let months = ((y1 - y2) * 12 + m1 as i64 - m2 as i64) as f64;
        let last = d1 == days_in_month(y1, m1) && d2 == days_in_month(y2, m2);
        if d1 == d2 || last {
            return Ok(Some(months));
        }
        let seconds = (a.wall.second_of_day() - b.wall.second_of_day()) as f64;
        let days = d1 as f64 - d2 as f64 + seconds / 86_400.0;
        Ok(Some(((months + days / 31.0) * 1e6).round() / 1e6))
    })
}

fn dayname(rows: &Rows) -> KernelResult {
    let dates = rows.dates(0)?;
    rows.build_texts(|row| {
        Ok(dates
            .get(row)
            .and_then(|d| temporal::format::DAYS.get(weekday(d as i64) as usize).copied()))
    })
}

fn monthname(rows: &Rows) -> KernelResult {
    let dates = rows.dates(0)?;
    rows.build_texts(|row| {
        Ok(dates.get(row).and_then(|d| {
            temporal::format::MONTHS.get(civil_from_days(d as i64).1 as usize - 1).copied()
        }))
    })
}

/// Months and days may lie outside their usual range.
fn civil_days(year: i64, month: i64, day: i64) -> i64 {
    let months = year * 12 + month - 1;
    days_from_civil(months.div_euclid(12), months.rem_euclid(12) as u32 + 1, 1) + day - 1
}

fn date_from_parts(rows: &Rows) -> KernelResult {
    let (years, months, days) = (rows.integers(0)?, rows.integers(1)?, rows.integers(2)?);
    rows.build::<Date32Type>(|row| match (years.get(row), months.get(row), days.get(row)) {
        (Some(y), Some(m), Some(d)) => i32::try_from(civil_days(y, m, d))
            .map(Some)
            .map_err(|_| temporal::out_of_range("Date").into()),
        _ => Ok(None),
    })
}

fn time_from_parts(rows: &Rows) -> KernelResult {
    let parts =
        (0..rows.inputs.len()).map(|i| rows.integers(i)).collect::<KernelResult<Vec<_>>>()?;
    build_times(rows, |row| {
        let values: Option<Vec<i64>> = parts.iter().map(|p| p.get(row)).collect();
        let Some(values) = values else { return Ok(None) };
        let seconds = values[0] * 3600 + values[1] * 60 + values[2];
        let nanos = seconds * 1_000_000_000 + values.get(3).copied().unwrap_or(0);
        Ok(Some(nanos.rem_euclid(86_400 * 1_000_000_000)))
    })
}

/// (date, time) or (year, month, day, hour, minute, second [, nanosecond [, zone]])
fn timestamp_from_parts(a: Arguments, to: SqlType) -> Bound {
    if a.len() == 2 {
        let date = a.as_type(0, &SqlType::Date)?;
        let time = a.as_type(1, &SqlType::TIME)?;
        let args = vec![date.expr, time.expr];
        let wall = a.call("frazil_date_and_time", args, SqlType::TIMESTAMP_NTZ, date_and_time);
        return cast(wall, &to, CastMode::Implicit, a.facts);
    }
    a.expect(6..=8)?;
    let zone = if a.len() > 7 { a.constant_text(7)? } else { a.facts.timezone.to_string() };
    let mut args = vec![text_lit(&zone)];
    for index in 0..a.len().min(7) {
        args.push(a.integer(index)?);
    }
    Ok(a.call("frazil_timestamp_from_parts", args, to, timestamp_from_parts_kernel))
}

fn date_and_time(rows: &Rows) -> KernelResult {
    let (dates, times) = (rows.clocks(0)?, rows.clocks(1)?);
    let utc = chrono_tz::Tz::UTC;
    build_timestamps(rows, utc, |row| match (dates.get(row, utc), times.get(row, utc)) {
        (Some(d), Some(t)) => Ok(Some((
            Moment { seconds: d.wall.seconds + t.wall.second_of_day(), nanos: t.wall.nanos },
            None,
        ))),
        _ => Ok(None),
    })
}

fn timestamp_from_parts_kernel(rows: &Rows) -> KernelResult {
    let zone = rows.zone(0)?;
    let parts =
        (1..rows.inputs.len()).map(|i| rows.integers(i)).collect::<KernelResult<Vec<_>>>()?;
    build_timestamps(rows, zone, |row| {
        let values: Option<Vec<i64>> = parts.iter().map(|p| p.get(row)).collect();
        let Some(v) = values else { return Ok(None) };
        let days = civil_days(v[0], v[1], v[2]);
        let seconds = days * 86_400 + v[3] * 3600 + v[4] * 60 + v[5];
        let nanos = v.get(6).copied().unwrap_or(0);
        let moment = Moment {
            seconds: seconds + nanos.div_euclid(1_000_000_000),
            nanos: nanos.rem_euclid(1_000_000_000) as u32,
        };
        Ok(Some((moment, None)))
    })
}

/// (source, target, ntz) → NTZ; (target, timestamp) → TZ.
fn convert_timezone(a: Arguments) -> Bound {
    a.expect(2..=3)?;
    if a.len() == 3 {
        // With a source zone the timestamp must not bring one of its own.
        if matches!(a.get(2)?.sql_type, SqlType::Timestamp { zone: TimeZoneKind::Tz, .. }) {
            return Err(a.wrong_types());
        }
        let value = a.as_type(2, &SqlType::TIMESTAMP_NTZ)?;
        let args = vec![a.text(0)?, a.text(1)?, value.expr];
        return Ok(a.call("frazil_convert_zone", args, SqlType::TIMESTAMP_NTZ, convert_ntz));
    }
    let value = moment(&a, 1)?;
    let value = match value.sql_type {
        SqlType::Timestamp { zone: TimeZoneKind::Tz, .. } => value,
        _ => {
            let local = cast(value, &SqlType::TIMESTAMP_LTZ, CastMode::Implicit, a.facts)?;
            cast(local, &SqlType::TIMESTAMP_TZ, CastMode::Implicit, a.facts)?
        }
    };
    let args = vec![a.text(0)?, value.expr];
    Ok(a.call("frazil_convert_zone_tz", args, value.sql_type, convert_tz))
}

fn convert_ntz(rows: &Rows) -> KernelResult {
    let (sources, targets) = (rows.texts(0)?, rows.texts(1)?);
    let values = rows.clocks(2)?;
    let utc = chrono_tz::Tz::UTC;
    build_timestamps(rows, utc, |row| {
        let (Some(source), Some(target), Some(clock)) =
            (sources.get(row), targets.get(row), values.get(row, utc))
        else {
            return Ok(None);
        };
        let instant = temporal::local_to_utc(temporal::zone(source)?, clock.wall.seconds);
        let seconds = instant + offset_at(temporal::zone(target)?, instant);
        Ok(Some((Moment { seconds, nanos: clock.wall.nanos }, None)))
    })
}

fn convert_tz(rows: &Rows) -> KernelResult {
    let targets = rows.texts(0)?;
    let values = rows.clocks(1)?;
    let utc = chrono_tz::Tz::UTC;
    build_timestamps(rows, utc, |row| {
        let (Some(target), Some(clock)) = (targets.get(row), values.get(row, utc)) else {
            return Ok(None);
        };
        let instant = clock.wall.plus_seconds(-(clock.offset as i64));
        let offset = offset_at(temporal::zone(target)?, instant.seconds);
        Ok(Some((instant.plus_seconds(offset), Some(offset as i32))))
    })
}

/// TIME_SLICE(value, length, part [, 'START' | 'END'])
fn time_slice(a: Arguments) -> Bound {
    a.expect(3..=4)?;
    let part = Part::parse(&a.constant_text(2)?)?;
    let end = if a.len() > 3 { a.constant_text(3)?.to_uppercase() } else { "START".into() };
    if end != "START" && end != "END" {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!("Invalid value ['{end}'] for TIME_SLICE: START or END expected"),
        ));
    }
    let length = a.constant_integer(1)?;
    if length < 1 {
        return Err(UserError::new(Code::InvalidArgument, "TIME_SLICE needs a positive length"));
    }
    let value = moment(&a, 0)?;
    let mut args = vec![value.expr, lit(length), text_lit(part.name()), lit(end == "END")];
    args.extend(session(a.facts));
    Ok(a.call("frazil_time_slice", args, value.sql_type, time_slice_kernel))
}

/// Slices count from 1970-01-01; weeks from the week that holds it.
fn time_slice_kernel(rows: &Rows) -> KernelResult {
    let length = rows.integers(1)?.get(0).unwrap_or(1);
    let part = constant_part(rows, 2)?;
    let end = rows.booleans(3)?.get(0).unwrap_or(false);
    let week_rules = rows.integers(5)?.get(0).unwrap_or(0) as u8;
    let epoch = Moment::from_days(0);
    change(rows, 0, 4, |_, wall| {
        let origin = parts::truncate(part, epoch, week_rules)?;
        let count = parts::difference(part, origin, wall, week_rules)?;
        let slice = count.div_euclid(length) + i64::from(end);
        Ok(Some(parts::add(part, slice * length, origin)?))
    })
}
