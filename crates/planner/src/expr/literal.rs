//! Literals, binds, session variables and interval texts.

use frazil_common::{Code, UserError, excerpt};
use frazil_functions::TypedExpr;
use sqlparser::ast::{self, DateTimeField, Value};

use crate::binder::Binder;
use crate::error::{Result, refuse, unsupported};
use crate::scope::Env;

/// One part of an interval, such as two days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IntervalPart {
    pub count: i64,
    /// A date or time part of DATEADD, in lower case.
    pub unit: &'static str,
}

impl Binder<'_> {
    pub(super) fn value(&mut self, value: &Value, env: &Env) -> Result<TypedExpr> {
        match value {
            Value::Number(digits, long) => {
                refuse(*long, "numbers with the suffix L")?;
                number(digits)
            }
            Value::SingleQuotedString(text) => Ok(TypedExpr::text(text)),
            Value::DollarQuotedString(ast::DollarQuotedString { value, tag }) => {
                refuse(tag.is_some(), "tagged dollar quotes")?;
                Ok(TypedExpr::text(value))
            }
            Value::HexStringLiteral(digits) => Ok(TypedExpr::binary(hex(digits)?)),
            Value::Boolean(value) => Ok(TypedExpr::boolean(*value)),
            Value::Null => Ok(TypedExpr::null()),
            Value::Placeholder(name) => self.placeholder(name, env),
            other => unsupported(format!("literal {other}")),
        }
    }

    /// `?3` and `:3` are binds, `$3` a column by its place, `$name` a session variable.
    fn placeholder(&mut self, name: &str, env: &Env) -> Result<TypedExpr> {
        let bind = name.strip_prefix('?').or_else(|| name.strip_prefix(':'));
        if let Some(number) = bind {
            let missing =
                || UserError::new(Code::BindMissing, format!("Bind variable {name} not set."));
            let index: usize = number.parse().map_err(|_| missing())?;
            let value = index.checked_sub(1).and_then(|index| self.ctx.binds.get(index));
            return Ok(value.cloned().ok_or_else(missing)?);
        }
        let Some(rest) = name.strip_prefix('$') else {
            return unsupported(format!("placeholder {name}"));
        };
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            return self.name(&[ast::Ident::new(name)], env);
        }
        let upper = rest.to_uppercase();
        match self.ctx.variables.get(&upper) {
            Some(value) => Ok(value.clone()),
            None => Err(UserError::new(
                Code::InvalidIdentifier,
                format!("Session variable '${upper}' does not exist"),
            )
            .into()),
        }
    }

    /// The parts of `INTERVAL '1 year, 3 days'` or `INTERVAL '1' DAY`.
    pub(super) fn interval_parts(
        &mut self,
        interval: &ast::Interval,
        env: &Env,
    ) -> Result<Vec<IntervalPart>> {
        let ast::Interval {
            value,
            leading_field,
            leading_precision,
            last_field,
            fractional_seconds_precision,
        } = interval;
        refuse(leading_precision.is_some(), "interval precision")?;
        refuse(last_field.is_some(), "intervals of a range of parts")?;
        refuse(fractional_seconds_precision.is_some(), "interval precision")?;
        let value = self.expr(value, env)?;
        let text = match (value.as_text_literal(), value.as_integer_literal()) {
            (Some(text), _) => text,
            (None, Some(number)) => number.to_string(),
            (None, None) => return unsupported("an INTERVAL that is not a constant"),
        };
        let text = match leading_field {
            Some(field) => format!("{text} {}", date_time_field(field)?),
            None => text,
        };
        parse_interval(&text)
    }
}

/// A number as written: NUMBER with the digits' precision and scale, FLOAT with an exponent.
pub(super) fn number(text: &str) -> Result<TypedExpr> {
    let bad = || {
        UserError::new(
            Code::NumericNotRecognized,
            format!("Numeric value '{}' is not recognized", excerpt(text)),
        )
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let float = || -> Result<TypedExpr> {
        let value: f64 = text.parse().map_err(|_| bad())?;
        Ok(TypedExpr::float(value))
    };
    if digits.contains(['e', 'E']) {
        return float();
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let precision = (whole.len() + fraction.len()).max(1);
    if precision > 38 || fraction.len() > 37 {
        return float();
    }
    let mut value: i128 = 0;
    for digit in whole.chars().chain(fraction.chars()) {
        let digit = digit.to_digit(10).ok_or_else(bad)?;
        value = value * 10 + i128::from(digit);
    }
    let value = if negative { -value } else { value };
    Ok(TypedExpr::number(value, precision as u8, fraction.len() as u8))
}

fn hex(digits: &str) -> Result<Vec<u8>> {
    let bad = || {
        UserError::new(
            Code::InvalidHex,
            format!("The following string is not a legal hex-encoded value: '{digits}'"),
        )
    };
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return Err(bad().into());
    }
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).map_err(|_| bad().into()))
        .collect()
}

/// The name of a date or time part, as the functions take it.
pub(super) fn date_time_field(field: &DateTimeField) -> Result<String> {
    match field {
        DateTimeField::Week(Some(_)) => unsupported("WEEK with a first day"),
        DateTimeField::NoDateTime => unsupported("a missing date part"),
        DateTimeField::Custom(ident) => Ok(ident.value.to_lowercase()),
        other => Ok(other.to_string().to_lowercase()),
    }
}

/// Units of intervals, with the abbreviations of Snowflake's "Interval constants".
const INTERVAL_UNITS: &[(&str, &[&str])] = &[
    ("year", &["year", "years", "y", "yy", "yyy", "yyyy", "yr", "yrs"]),
    ("quarter", &["quarter", "quarters", "q", "qtr", "qtrs"]),
    ("month", &["month", "months", "mm", "mon", "mons"]),
    ("week", &["week", "weeks", "w", "wk", "weekofyear", "woy", "wy"]),
    ("day", &["day", "days", "d", "dd", "dayofmonth"]),
    ("hour", &["hour", "hours", "h", "hh", "hr", "hrs"]),
    ("minute", &["minute", "minutes", "m", "mi", "min", "mins"]),
    ("second", &["second", "seconds", "s", "sec", "secs"]),
    ("millisecond", &["millisecond", "milliseconds", "ms", "msec"]),
    ("microsecond", &["microsecond", "microseconds", "us", "usec"]),
    (
        "nanosecond",
        &["nanosecond", "nanoseconds", "ns", "nsec", "nanosec", "nsecond", "nseconds", "nanosecs"],
    ),
];

fn parse_interval(text: &str) -> Result<Vec<IntervalPart>> {
    let bad =
        || UserError::new(Code::InvalidArgument, format!("Invalid interval literal '{text}'."));
    let mut parts = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let end = part
            .char_indices()
            .find(|(index, c)| !(c.is_ascii_digit() || (*index == 0 && matches!(c, '-' | '+'))))
            .map_or(part.len(), |(index, _)| index);
        let count: i64 = part[..end].parse().map_err(|_| bad())?;
        let name = part[end..].trim().to_lowercase();
        // The unit may be left out: then it is seconds.
        let name = if name.is_empty() { "second" } else { name.as_str() };
        let unit = INTERVAL_UNITS
            .iter()
            .find(|(_, names)| names.contains(&name))
            .map(|(unit, _)| *unit)
            .ok_or_else(bad)?;
        parts.push(IntervalPart { count, unit });
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shown(text: &str) -> String {
        number(text).unwrap().sql_type.to_string()
    }

    /// "Numeric data types": a constant has the precision and scale of its digits.
    #[test]
    fn numbers_take_the_type_of_their_digits() {
        assert_eq!(shown("1"), "NUMBER(1,0)");
        assert_eq!(shown("15.40"), "NUMBER(4,2)");
        assert_eq!(shown(".5"), "NUMBER(1,1)");
        assert_eq!(shown("-12"), "NUMBER(2,0)");
        assert_eq!(shown("1.5e3"), "FLOAT");
        assert_eq!(shown("0"), "NUMBER(1,0)");
    }

    /// "Interval constants": several parts separated by commas, seconds if no unit is given.
    #[test]
    fn intervals() {
        assert_eq!(
            parse_interval("1 year, 3 quarters, 4 months, 5 days").unwrap(),
            vec![
                IntervalPart { count: 1, unit: "year" },
                IntervalPart { count: 3, unit: "quarter" },
                IntervalPart { count: 4, unit: "month" },
                IntervalPart { count: 5, unit: "day" },
            ]
        );
        assert_eq!(parse_interval("2").unwrap(), vec![IntervalPart { count: 2, unit: "second" }]);
        assert_eq!(
            parse_interval("-1mm").unwrap(),
            vec![IntervalPart { count: -1, unit: "month" }]
        );
        assert!(parse_interval("1 fortnight").is_err());
    }
}
