//! Reading dates, times and timestamps, with a format or by Snowflake's AUTO detection.

use super::format::{DAYS, Element, MONTHS, MONTHS_FULL, elements};
use super::{Moment, SECONDS_PER_DAY, days_from_civil, days_in_month};

/// What a text told: a wall clock and perhaps an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed {
    pub moment: Moment,
    /// Minutes east of UTC, where the text named it.
    pub offset: Option<i32>,
    /// The text was a count since 1970-01-01 UTC.
    pub epoch: bool,
}

#[derive(Default)]
struct Fields {
    year: Option<i64>,
    month: Option<u32>,
    day: Option<u32>,
    hour: Option<u32>,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    nanos: u32,
    zone_sign: i32,
    zone_hours: Option<i32>,
    zone_minutes: i32,
}

impl Fields {
    fn finish(self) -> Option<Parsed> {
        let (year, month, day) =
            (self.year.unwrap_or(1970), self.month.unwrap_or(1), self.day.unwrap_or(1));
        if !(1..=12).contains(&month)
            || day < 1
            || day > days_in_month(year, month)
            || !(0..=9999).contains(&year)
        {
            return None;
        }
        let mut hour = self.hour.unwrap_or(0);
        if let Some(afternoon) = self.afternoon {
            if !(1..=12).contains(&hour) {
                return None;
            }
            hour = hour % 12 + if afternoon { 12 } else { 0 };
        }
        if hour > 23 || self.minute > 59 || self.second > 59 {
            return None;
        }
        let seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY
            + (hour * 3600 + self.minute * 60 + self.second) as i64;
        let offset = match self.zone_hours {
            Some(hours) if hours <= 14 && self.zone_minutes < 60 => {
                Some(self.zone_sign * (hours * 60 + self.zone_minutes))
            }
            Some(_) => return None,
            None => None,
        };
        Some(Parsed { moment: Moment { seconds, nanos: self.nanos }, offset, epoch: false })
    }
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let length = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if length < least {
            return None;
        }
        let (head, tail) = self.0.split_at(length);
        self.0 = tail;
        head.parse().ok()
    }

    fn eat(&mut self, wanted: char) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self, names: &[&str]) -> Option<usize> {
        let index = names.iter().position(|name| {
            self.0.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
        })?;
        self.0 = &self.0[names[index].len()..];
        Some(index)
    }

    fn fraction(&mut self) -> Option<u32> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 || length > 9 {
            return None;
        }
        let (head, tail) = self.0.split_at(length);
        self.0 = tail;
        Some(head.parse::<u32>().ok()? * 10u32.pow(9 - length as u32))
    }
}

/// Reads a text with a format. Text and format must match to the end.
pub fn with_format(text: &str, format: &str) -> Option<Parsed> {
    if format.trim().is_empty() || format.eq_ignore_ascii_case("AUTO") {
        return auto(text);
    }
    with_elements(text, &elements(format))
}

/// As [`with_format`], with the format split already.
pub fn with_elements(text: &str, elements: &[(Element, bool)]) -> Option<Parsed> {
    let mut cursor = Cursor(text.trim());
    let mut fields = Fields::default();
    for (index, (element, _)) in elements.iter().enumerate() {
        match element {
            Element::Year => fields.year = Some(cursor.number(4, 4)? as i64),
            Element::YearShort => {
                let short = cursor.number(2, 2)? as i64;
                fields.year = Some(if short < 70 { 2000 + short } else { 1900 + short });
            }
            Element::Month => fields.month = Some(cursor.number(1, 2)?),
            Element::MonthName => fields.month = Some(cursor.word(&MONTHS)? as u32 + 1),
            Element::MonthNameFull => {
                fields.month =
                    Some(cursor.word(&MONTHS_FULL).or_else(|| cursor.word(&MONTHS))? as u32 + 1);
            }
            Element::Day => fields.day = Some(cursor.number(1, 2)?),
            Element::DayName => {
                cursor.word(&DAYS)?;
            }
            Element::Hour24 | Element::Hour12 => fields.hour = Some(cursor.number(1, 2)?),
            Element::Meridiem => fields.afternoon = Some(cursor.word(&["AM", "PM"])? == 1),
            Element::Minute => fields.minute = cursor.number(1, 2)?,
            Element::Second => fields.second = cursor.number(1, 2)?,
            Element::Fraction(_) => match cursor.fraction() {
                Some(nanos) => fields.nanos = nanos,
                None if cursor.0.is_empty() => {}
                None => return None,
            },
            Element::ZoneHour => {
                if cursor.eat('Z') || cursor.eat('z') {
                    fields.zone_sign = 1;
                    fields.zone_hours = Some(0);
                    continue;
                }
                fields.zone_sign = if cursor.eat('-') {
                    -1
                } else {
                    cursor.eat('+');
                    1
                };
                fields.zone_hours = Some(cursor.number(1, 2)? as i32);
            }
            Element::ZoneMinute => {
                cursor.eat(':');
                fields.zone_minutes = cursor.number(2, 2).unwrap_or(0) as i32;
            }
            Element::Literal(wanted) => {
                if !cursor.eat(*wanted) {
                    // A fraction and its point may be missing at the end.
                    let fraction_next =
                        matches!(elements.get(index + 1), Some((Element::Fraction(_), _)));
                    if !(*wanted == '.' && fraction_next) {
                        return None;
                    }
                }
            }
        }
    }
    if cursor.0.trim().is_empty() { fields.finish() } else { None }
}

/// Reads the forms that Snowflake detects by itself.
pub fn auto(text: &str) -> Option<Parsed> {
    let text = text.trim();
    if let Some(count) = epoch(text) {
        return Some(count);
    }
    let mut cursor = Cursor(text);
    let mut fields = Fields::default();
    let first = cursor.number(1, 4);
    match first {
        Some(year) if text.as_bytes().get(4) == Some(&b'-') => {
            fields.year = Some(year as i64);
            cursor.eat('-');
            fields.month = Some(cursor.number(1, 2)?);
            if cursor.eat('-') {
                fields.day = Some(cursor.number(1, 2)?);
            } else if !cursor.0.is_empty() {
                return None;
            }
        }
        Some(day) if cursor.eat('-') => {
            // DD-MON-YYYY, the month's name in full too.
            fields.day = Some(day);
            let month = cursor.word(&MONTHS_FULL).or_else(|| cursor.word(&MONTHS))?;
            fields.month = Some(month as u32 + 1);
            if !cursor.eat('-') {
                return None;
            }
            fields.year = Some(cursor.number(4, 4)? as i64);
        }
        Some(month) if cursor.eat('/') => {
            fields.month = Some(month);
            fields.day = Some(cursor.number(1, 2)?);
            if !cursor.eat('/') {
                return None;
            }
            fields.year = Some(cursor.number(4, 4)? as i64);
        }
        Some(_) => return None,
        None => return internet(cursor),
    }
    if cursor.0.is_empty() {
        return fields.finish();
    }
    if !(cursor.eat('T') || cursor.eat(' ')) {
        return None;
    }
    clock(&mut cursor, &mut fields)?;
    zone(&mut cursor, &mut fields)?;
    if cursor.0.is_empty() { fields.finish() } else { None }
}

/// `DY, DD MON YYYY HH24:MI:SS TZHTZM` and `DY MON DD HH24:MI:SS TZHTZM YYYY`.
fn internet(mut cursor: Cursor) -> Option<Parsed> {
    let mut fields = Fields::default();
    cursor.word(&DAYS)?;
    if cursor.eat(',') {
        cursor.eat(' ');
        fields.day = Some(cursor.number(1, 2)?);
        cursor.eat(' ');
        fields.month = Some(cursor.word(&MONTHS)? as u32 + 1);
        cursor.eat(' ');
        fields.year = Some(cursor.number(4, 4)? as i64);
        cursor.eat(' ');
        clock(&mut cursor, &mut fields)?;
        zone(&mut cursor, &mut fields)?;
    } else {
        cursor.eat(' ');
        fields.month = Some(cursor.word(&MONTHS)? as u32 + 1);
        cursor.eat(' ');
        fields.day = Some(cursor.number(1, 2)?);
        cursor.eat(' ');
        clock(&mut cursor, &mut fields)?;
        cursor.eat(' ');
        if !cursor.0.starts_with(|c: char| c.is_ascii_digit()) {
            zone(&mut cursor, &mut fields)?;
            cursor.eat(' ');
        }
        fields.year = Some(cursor.number(4, 4)? as i64);
    }
    if cursor.0.is_empty() { fields.finish() } else { None }
}

fn clock(cursor: &mut Cursor, fields: &mut Fields) -> Option<()> {
    fields.hour = Some(cursor.number(1, 2)?);
    if !cursor.eat(':') {
        return Some(());
    }
    fields.minute = cursor.number(1, 2)?;
    if cursor.eat(':') {
        fields.second = cursor.number(1, 2)?;
        if cursor.eat('.') {
            fields.nanos = cursor.fraction()?;
        }
    }
    let spaced = cursor.eat(' ');
    match cursor.word(&["AM", "PM"]) {
        Some(index) => fields.afternoon = Some(index == 1),
        None if spaced && cursor.0.is_empty() => return None,
        None => {}
    }
    Some(())
}

fn zone(cursor: &mut Cursor, fields: &mut Fields) -> Option<()> {
    cursor.eat(' ');
    if cursor.0.is_empty() {
        return Some(());
    }
    if cursor.eat('Z') || cursor.eat('z') || cursor.word(&["UTC", "GMT"]).is_some() {
        fields.zone_sign = 1;
        fields.zone_hours = Some(0);
        return Some(());
    }
    fields.zone_sign = if cursor.eat('-') {
        -1
    } else if cursor.eat('+') {
        1
    } else {
        return None;
    };
    fields.zone_hours = Some(cursor.number(1, 2)? as i32);
    cursor.eat(':');
    if let Some(minutes) = cursor.number(2, 2) {
        fields.zone_minutes = minutes as i32;
    }
    Some(())
}

/// A whole number: seconds, milliseconds, microseconds or nanoseconds by its size.
fn epoch(text: &str) -> Option<Parsed> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: i64 = text.parse().ok()?;
    Some(Parsed { moment: epoch_moment(count), offset: None, epoch: true })
}

/// Snowflake's reading of a count: below 31536000000 seconds, then ms, µs and ns.
pub fn epoch_moment(count: i64) -> Moment {
    const YEAR_MILLIS: u64 = 31_536_000_000;
    let per_second = match count.unsigned_abs() {
        n if n < YEAR_MILLIS => 1,
        n if n < YEAR_MILLIS * 1000 => 1000,
        n if n < YEAR_MILLIS * 1_000_000 => 1_000_000,
        _ => 1_000_000_000,
    };
    Moment {
        seconds: count.div_euclid(per_second),
        nanos: (count.rem_euclid(per_second) * (1_000_000_000 / per_second)) as u32,
    }
}

/// Reads a time of day, in nanoseconds since midnight.
pub fn time(text: &str, format: Option<&str>) -> Option<i64> {
    let parsed = match format {
        Some(format) if !format.eq_ignore_ascii_case("AUTO") => with_format(text, format)?,
        _ => {
            let trimmed = text.trim();
            if let Some(count) = epoch(trimmed) {
                count
            } else {
                let mut cursor = Cursor(trimmed);
                let mut fields = Fields::default();
                let clock_only = trimmed.as_bytes().iter().take(3).any(|b| *b == b':');
                if clock_only {
                    clock(&mut cursor, &mut fields)?;
                    // An offset may be written; the time of day is the one before it.
                    zone(&mut cursor, &mut fields)?;
                    if !cursor.0.is_empty() {
                        return None;
                    }
                    fields.finish()?
                } else {
                    auto(trimmed)?
                }
            }
        }
    };
    Some(parsed.moment.second_of_day() * 1_000_000_000 + parsed.moment.nanos as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn detects_documented_forms() {
        let at = |text: &str| auto(text).unwrap();
        assert_eq!(at("1970-01-02").moment.seconds, 86_400);
        assert_eq!(at("2013-04-05T01:02:03.123456789").moment.nanos, 123_456_789);
        assert_eq!(at("2013-04-05 01:02 +07:30").offset, Some(450));
        assert_eq!(at("2013-04-05 01:02:03 -0700").offset, Some(-420));
        assert_eq!(at("2013-04-05T01:02:03Z").offset, Some(0));
        assert_eq!(at("17-DEC-1980").moment.days(), at("12/17/1980").moment.days());
        // Milliseconds below 31536000000000, microseconds from there on.
        assert_eq!(at("31536000000").moment.seconds, 31_536_000);
        assert_eq!(at("31536000000000").moment.seconds, 31_536_000);
        assert_eq!(
            at("Mon, 08 Jul 2013 18:09:51 +0000").moment.days(),
            at("2013-07-08").moment.days()
        );
        assert!(auto("2013-02-30").is_none());
        assert!(auto("hello").is_none());
        assert!(auto("2013-04-05x").is_none());
    }

    fn at_date(text: &str) -> i64 {
        auto(text).unwrap().moment.days()
    }

    #[test]
    fn reads_with_formats() {
        let p = with_format("3/4/2013, 2:05 pm", "mm/dd/yyyy, hh12:mi pm").unwrap();
        assert_eq!(p.moment.second_of_day(), 14 * 3600 + 300);
        assert!(with_format("2013.13.01", "YYYY.MM.DD").is_none());
        assert_eq!(time("01:02:03.5", None), Some(3_723_500_000_000));
        assert_eq!(time("01:02:03.5+07:00", None), Some(3_723_500_000_000));
        assert_eq!(at_date("03-April-2024"), at_date("2024-04-03"));
    }
}
