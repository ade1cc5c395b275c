//! Decimal arithmetic on i128 units: digits, rounding, reading and writing.

use arrow::datatypes::i256;
use frazil_common::{Code, UserError, excerpt};

/// 10^exponent, `None` above 38.
pub(crate) fn power_of_ten(exponent: u8) -> Option<i128> {
    10i128.checked_pow(exponent as u32)
}

/// Number of decimal digits; 0 has none.
pub(crate) fn digits(value: i128) -> u8 {
    let mut rest = value.unsigned_abs();
    let mut count = 0;
    while rest > 0 {
        rest /= 10;
        count += 1;
    }
    count
}

/// Snowflake's overflow error.
pub(crate) fn out_of_range(value: i128, precision: u8, scale: u8) -> UserError {
    UserError::new(
        Code::NumericOutOfRange,
        format!(
            "Number out of representable range: type FIXED({precision},{scale}), value {}",
            to_text(value, scale)
        ),
    )
}

pub(crate) fn overflow() -> UserError {
    UserError::new(Code::NumericOutOfRange, "Number out of representable range")
}

pub(crate) fn division_by_zero() -> UserError {
    UserError::new(Code::DivisionByZero, "Division by zero")
}

pub(crate) fn not_recognized(text: &str) -> UserError {
    UserError::new(
        Code::NumericNotRecognized,
        format!("Numeric value '{}' is not recognized", excerpt(text)),
    )
}

/// `value / divisor`, halves rounded away from zero; `divisor` is positive.
pub(crate) fn divide_rounded(value: i128, divisor: i128) -> i128 {
    let quotient = value / divisor;
    let rest = (value % divisor).unsigned_abs();
    if rest >= (divisor as u128).div_ceil(2) { quotient + value.signum() } else { quotient }
}

/// The same value in other units, halves rounded away from zero; `None` when it does not fit.
pub(crate) fn rescale(value: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        value.checked_mul(power_of_ten(to - from)?)
    } else {
        match power_of_ten(from - to) {
            Some(unit) => Some(divide_rounded(value, unit)),
            None => Some(0),
        }
    }
}

/// `left * 10^shift / right`, halves away from zero; `None` when it does not fit. `right` ≠ 0.
pub(crate) fn divide_scaled(left: i128, right: i128, shift: u8) -> Option<i128> {
    if let Some(unit) = power_of_ten(shift)
        && let Some(scaled) = left.checked_mul(unit)
    {
        let (value, divisor) =
            if right < 0 { (scaled.checked_neg()?, right.checked_neg()?) } else { (scaled, right) };
        return Some(divide_rounded(value, divisor));
    }
    let mut wide = i256::from_i128(left);
    for _ in 0..shift {
        wide = wide.checked_mul(i256::from_i128(10))?;
    }
    let divisor = i256::from_i128(right);
    let quotient = wide.checked_div(divisor)?;
    let rest = wide.checked_rem(divisor)?.wrapping_abs();
    let half = rest.checked_mul(i256::from_i128(2))? >= divisor.wrapping_abs();
    let step = if !half {
        i256::from_i128(0)
    } else if (left < 0) != (right < 0) {
        i256::from_i128(-1)
    } else {
        i256::from_i128(1)
    };
    quotient.checked_add(step)?.to_i128()
}

/// The product in units of `scale`, halves away from zero.
pub(crate) fn multiply_scaled(left: i128, right: i128, drop: u8) -> Option<i128> {
    if let Some(product) = left.checked_mul(right) {
        return if drop == 0 { Some(product) } else { rescale(product, drop, 0) };
    }
    if drop == 0 {
        return None;
    }
    let product = i256::from_i128(left).checked_mul(i256::from_i128(right))?;
    let unit = i256::from_i128(power_of_ten(drop)?);
    let quotient = product.checked_div(unit)?;
    let rest = product.checked_rem(unit)?.wrapping_abs();
    let step = if rest.checked_mul(i256::from_i128(2))? >= unit {
        i256::from_i128(if (left < 0) != (right < 0) { -1 } else { 1 })
    } else {
        i256::from_i128(0)
    };
    quotient.checked_add(step)?.to_i128()
}

/// Decimal text with exactly `scale` fraction digits.
pub(crate) fn to_text(value: i128, scale: u8) -> String {
    if scale == 0 {
        return value.to_string();
    }
    let unsigned = value.unsigned_abs().to_string();
    let width = scale as usize + 1;
    let padded = if unsigned.len() < width {
        format!("{}{unsigned}", "0".repeat(width - unsigned.len()))
    } else {
        unsigned
    };
    let (whole, fraction) = padded.split_at(padded.len() - scale as usize);
    format!("{}{whole}.{fraction}", if value < 0 { "-" } else { "" })
}

/// Digits and scale of a decimal or exponent text, as written; `None` if it is no number or has
/// more than 38 digits.
pub(crate) fn parse(text: &str) -> Option<(i128, i32)> {
    let text = text.trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => {
            let exponent = text.get(at + 1..)?;
            (text.get(..at)?, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().ok()?)
        }
        None => (text, 0),
    };
    let (negative, body) = match mantissa.as_bytes().first()? {
        b'-' => (true, mantissa.get(1..)?),
        b'+' => (false, mantissa.get(1..)?),
        _ => (false, mantissa),
    };
    let mut value: i128 = 0;
    let mut scale: i32 = 0;
    let mut seen_point = false;
    let mut seen_digit = false;
    let mut full = false;
    for byte in body.bytes() {
        match byte {
            b'0'..=b'9' => {
                seen_digit = true;
                let next = value
                    .checked_mul(10)
                    .and_then(|v| v.checked_add((byte - b'0') as i128))
                    .filter(|v| !full && *v < 10i128.pow(38));
                match next {
                    Some(next) => {
                        value = next;
                        scale += seen_point as i32;
                    }
                    // Further fraction digits cannot matter after 38.
                    None if seen_point => full = true,
                    None => return None,
                }
            }
            b'.' if !seen_point => seen_point = true,
            _ => return None,
        }
    }
    if !seen_digit {
        return None;
    }
    Some((if negative { -value } else { value }, scale - exponent))
}

/// A text as units of 10^-scale, rounded; `None` if it is no number; `Some(None)` out of range.
pub(crate) fn parse_scaled(text: &str, precision: u8, scale: u8) -> Option<Option<i128>> {
    let (value, found) = parse(text)?;
    Some(fit(value, found, precision, scale))
}

/// The value in units of 10^-scale if it fits the precision.
pub(crate) fn fit(value: i128, found: i32, precision: u8, scale: u8) -> Option<i128> {
    let scaled = if value == 0 {
        0
    } else if found < 0 {
        let up = u8::try_from(-found).ok()?;
        rescale(value, 0, up.checked_add(scale)?)?
    } else if found > 80 {
        0
    } else {
        rescale(value, found as u8, scale)?
    };
    (scaled.unsigned_abs() < 10u128.pow(precision as u32)).then_some(scaled)
}

/// A float as units of 10^-scale, halves away from zero.
pub(crate) fn from_float(value: f64, precision: u8, scale: u8) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    // The shortest text that reads back keeps 0.1 from becoming 0.1000000000000000055.
    let (digits, found) = parse(&format!("{value:e}"))?;
    fit(digits, found, precision, scale)
}

pub(crate) fn to_float(value: i128, scale: u8) -> f64 {
    if scale == 0 {
        return value as f64;
    }
    if value.unsigned_abs() < (1 << 53) && scale <= 22 {
        return value as f64 / 10f64.powi(scale as i32);
    }
    to_text(value, scale).parse().unwrap_or(f64::NAN)
}

/// Snowflake's text of a FLOAT: shortest that reads back, exponent form outside 1e-5..1e15.
pub(crate) fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let size = value.abs();
    if size == 0.0 || (1e-5..1e15).contains(&size) {
        return format!("{}", if value == 0.0 { 0.0 } else { value });
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let number: i32 = exponent.parse().unwrap_or(0);
            format!("{mantissa}e{}{:02}", if number < 0 { '-' } else { '+' }, number.abs())
        }
        None => text,
    }
}
