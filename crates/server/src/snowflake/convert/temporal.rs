//! Times and timestamps: units, and the "seconds.fraction" text of the JSON format.

/// Ticks of 10^-`scale` seconds, floored, from ticks of 10^-`from` seconds.
pub fn rescale(value: i64, from: u32, scale: u32) -> i64 {
    if scale >= from {
        value.saturating_mul(10_i64.pow(scale - from))
    } else {
        value.div_euclid(10_i64.pow(from - scale))
    }
}

/// Whole seconds (floored) and nanoseconds within the second, from ticks of 10^-`from` seconds.
pub fn seconds_and_nanos(value: i64, from: u32) -> (i64, i32) {
    let per_second = 10_i64.pow(from);
    let seconds = value.div_euclid(per_second);
    let nanos = value.rem_euclid(per_second) * 10_i64.pow(9 - from);
    (seconds, nanos as i32)
}

/// Writes ticks of 10^-`from` seconds as a decimal number of seconds with exactly `scale` fraction
/// digits: some clients count the digits to know the unit.
pub fn write_seconds(out: &mut String, value: i64, from: u32, scale: u32) {
    let ticks = i128::from(rescale(value, from, scale));
    write_decimal(out, ticks, scale);
}

/// Writes `unscaled` × 10^-`scale` in plain decimal notation with exactly `scale` fraction digits.
pub fn write_decimal(out: &mut String, unscaled: i128, scale: u32) {
    use std::fmt::Write;
    if unscaled < 0 {
        out.push('-');
    }
    let magnitude = unscaled.unsigned_abs();
    // Writing to a String cannot fail.
    let _ = if scale == 0 {
        write!(out, "{magnitude}")
    } else {
        let unit = 10_u128.pow(scale);
        write!(out, "{}.{:0width$}", magnitude / unit, magnitude % unit, width = scale as usize)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(value: i64, from: u32, scale: u32) -> String {
        let mut out = String::new();
        write_seconds(&mut out, value, from, scale);
        out
    }

    #[test]
    fn seconds_have_exactly_scale_digits() {
        assert_eq!(seconds(1_704_074_584_000_005, 6, 9), "1704074584.000005000");
        assert_eq!(seconds(1_704_074_584_123_456, 6, 3), "1704074584.123");
        assert_eq!(seconds(1_704_074_584_999_999, 6, 0), "1704074584");
        assert_eq!(seconds(-500_000, 6, 9), "-0.500000000");
        assert_eq!(seconds(-1, 6, 0), "-1");
    }

    #[test]
    fn decimals_keep_their_sign_below_one() {
        let mut out = String::new();
        write_decimal(&mut out, -5, 2);
        assert_eq!(out, "-0.05");
        out.clear();
        write_decimal(&mut out, 1_234_567, 2);
        assert_eq!(out, "12345.67");
        out.clear();
        write_decimal(&mut out, i128::MIN, 0);
        assert_eq!(out, "-170141183460469231731687303715884105728");
    }

    #[test]
    fn before_the_epoch_seconds_are_floored() {
        assert_eq!(seconds_and_nanos(-1, 6), (-1, 999_999_000));
        assert_eq!(seconds_and_nanos(1_500_000_000, 9), (1, 500_000_000));
    }
}
