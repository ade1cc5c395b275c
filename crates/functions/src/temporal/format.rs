//! Format elements of Snowflake's date and time formats, and writing with them.

use super::{Moment, civil_from_days, weekday};

pub const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
pub const MONTHS_FULL: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Monday first.
pub const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// One piece of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    Year,
    YearShort,
    Month,
    MonthName,
    MonthNameFull,
    Day,
    DayName,
    Hour24,
    Hour12,
    Meridiem,
    Minute,
    Second,
    /// Fraction digits.
    Fraction(u8),
    ZoneHour,
    ZoneMinute,
    Literal(char),
}

/// Letter case of a name element, as the format writes it.
fn cased(name: &str, upper: bool) -> String {
    if upper { name.to_uppercase() } else { name.to_string() }
}

/// Splits a format into elements, each with the case its text was written in.
pub fn elements(format: &str) -> Vec<(Element, bool)> {
    const NAMES: [(&str, Element); 22] = [
        ("YYYY", Element::Year),
        ("UUUU", Element::Year),
        ("YY", Element::YearShort),
        ("MMMM", Element::MonthNameFull),
        ("MON", Element::MonthName),
        ("MM", Element::Month),
        ("DD", Element::Day),
        ("DY", Element::DayName),
        ("HH24", Element::Hour24),
        ("HH12", Element::Hour12),
        ("HH", Element::Hour24),
        ("AM", Element::Meridiem),
        ("PM", Element::Meridiem),
        ("MI", Element::Minute),
        ("SS", Element::Second),
        ("TZH", Element::ZoneHour),
        ("TZM", Element::ZoneMinute),
        ("TZISO", Element::ZoneHour),
        ("FF0", Element::Fraction(0)),
        ("FF3", Element::Fraction(3)),
        ("FF6", Element::Fraction(6)),
        ("FF9", Element::Fraction(9)),
    ];
    let mut out = Vec::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            rest = &rest[1..];
            match rest.split_once('"') {
                Some((literal, after)) => {
                    out.extend(literal.chars().map(|c| (Element::Literal(c), false)));
                    rest = after;
                }
                None => {
                    out.extend(rest.chars().map(|c| (Element::Literal(c), false)));
                    rest = "";
                }
            }
            continue;
        }
        let found = NAMES.iter().find(|(name, _)| {
            rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
        });
        if let Some((name, element)) = found {
            let upper = rest[..name.len()].chars().all(|c| !c.is_lowercase());
            out.push((element.clone(), upper));
            rest = &rest[name.len()..];
        } else if rest.get(..2).is_some_and(|h| h.eq_ignore_ascii_case("FF")) {
            let digit = rest[2..].chars().next().and_then(|c| c.to_digit(10));
            out.push((Element::Fraction(digit.unwrap_or(9) as u8), true));
            rest = &rest[2 + usize::from(digit.is_some())..];
        } else {
            out.push((Element::Literal(first), false));
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// Writes a wall-clock moment; `offset` is minutes east of UTC.
pub fn write(moment: Moment, offset: i32, elements: &[(Element, bool)]) -> String {
    use std::fmt::Write;
    let (year, month, day) = civil_from_days(moment.days());
    let second_of_day = moment.second_of_day();
    let (hour, minute, second) =
        (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    let twelve = elements.iter().any(|(e, _)| *e == Element::Meridiem);
    let mut out = String::with_capacity(32);
    for (element, upper) in elements {
        // Writing to a String cannot fail.
        let _ = match element {
            Element::Year => write!(out, "{year:04}"),
            Element::YearShort => write!(out, "{:02}", year.rem_euclid(100)),
            Element::Month => write!(out, "{month:02}"),
            Element::MonthName => {
                write!(out, "{}", MONTHS.get(month as usize - 1).copied().unwrap_or(""))
            }
            Element::MonthNameFull => write!(
                out,
                "{}",
                cased(MONTHS_FULL.get(month as usize - 1).copied().unwrap_or(""), false)
            ),
            Element::Day => write!(out, "{day:02}"),
            Element::DayName => {
                write!(out, "{}", DAYS.get(weekday(moment.days()) as usize).copied().unwrap_or(""))
            }
            Element::Hour24 if !twelve => write!(out, "{hour:02}"),
            Element::Hour24 | Element::Hour12 => {
                write!(out, "{:02}", if hour % 12 == 0 { 12 } else { hour % 12 })
            }
            Element::Meridiem => {
                let text = if hour < 12 { "am" } else { "pm" };
                write!(out, "{}", cased(text, *upper))
            }
            Element::Minute => write!(out, "{minute:02}"),
            Element::Second => write!(out, "{second:02}"),
            Element::Fraction(0) => Ok(()),
            Element::Fraction(digits) => {
                let text = format!("{:09}", moment.nanos);
                write!(out, "{}", &text[..(*digits as usize).min(9)])
            }
            Element::ZoneHour => {
                write!(out, "{}{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 60)
            }
            Element::ZoneMinute => write!(out, "{:02}", offset.abs() % 60),
            Element::Literal(c) => write!(out, "{c}"),
        };
    }
    out
}
