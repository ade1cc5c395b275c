//! Snowflake's SQL number formats: `9 0 D G . , $ MI S B X EEEE TM` and the fill modifier `FM`.

use frazil_common::{Code, UserError};

use crate::number::{self, divide_rounded, power_of_ten};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mark {
    Digit,
    Zero,
    Point,
    Group(char),
    Dollar,
    SignAfter,
    Sign,
    Literal(char),
}

/// A parsed format.
#[derive(Debug, Clone)]
pub(crate) struct NumberFormat {
    marks: Vec<Mark>,
    fill: bool,
    exponent: bool,
    hex: Option<(usize, bool)>,
    /// TM, TM9, TME: as few digits as the value needs.
    minimal: bool,
    /// TME: with an exponent.
    scientific: bool,
    /// Quoted text before the number; after it, it is among the marks.
    prefix: String,
    /// Quoted text after TM.
    suffix: String,
}

fn bad(format: &str) -> UserError {
    UserError::new(Code::InvalidArgument, format!("Bad number format '{format}'"))
}

/// Characters of a format; no number has as many digits.
const FORMAT_LENGTH_MAX: usize = 512;

impl NumberFormat {
    pub fn parse(format: &str) -> Result<NumberFormat, UserError> {
        let length = format.chars().count();
        if length > FORMAT_LENGTH_MAX {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!(
                    "A number format has at most {FORMAT_LENGTH_MAX} characters, this one has \
                     {length}."
                ),
            ));
        }
        let mut out = NumberFormat {
            marks: Vec::new(),
            fill: false,
            exponent: false,
            hex: None,
            minimal: false,
            scientific: false,
            prefix: String::new(),
            suffix: String::new(),
        };
        let mut rest = format;
        while let Some(c) = rest.chars().next() {
            let upper = rest.to_ascii_uppercase();
            let mut eat = c.len_utf8();
            if c == '"' {
                let text = rest.get(1..).and_then(|quoted| quoted.split_once('"'));
                let Some((literal, _)) = text else { return Err(bad(format)) };
                if out.minimal {
                    out.suffix.push_str(literal);
                } else if out.marks.is_empty() {
                    out.prefix.push_str(literal);
                } else {
                    out.marks.extend(literal.chars().map(Mark::Literal));
                }
                eat = literal.len() + 2;
            } else if upper.starts_with("FM") {
                out.fill = true;
                eat = 2;
            } else if upper.starts_with("MI") {
                out.marks.push(Mark::SignAfter);
                eat = 2;
            } else if upper.starts_with("EEEE") {
                out.exponent = true;
                eat = 4;
            } else if upper.starts_with("EEE") || upper.starts_with("EE") {
                out.exponent = true;
                eat = upper.len() - upper.trim_start_matches('E').len();
            } else if upper.starts_with("TM") {
                out.minimal = true;
                eat = upper
                    .find(|c: char| !matches!(c, 'T' | 'M' | '9' | 'E'))
                    .unwrap_or(upper.len());
                out.scientific = upper.get(..eat).is_some_and(|model| model.contains('E'));
            } else {
                match c {
                    '9' => out.marks.push(Mark::Digit),
                    '0' => out.marks.push(Mark::Zero),
                    '.' | 'D' | 'd' => out.marks.push(Mark::Point),
                    ',' | 'G' | 'g' => out.marks.push(Mark::Group(',')),
                    '$' => out.marks.push(Mark::Dollar),
                    'S' | 's' => out.marks.push(Mark::Sign),
                    'B' | 'b' => {}
                    'X' | 'x' => {
                        let width = out.hex.map_or(0, |(w, _)| w) + 1;
                        out.hex = Some((width, c == 'X'));
                    }
                    ' ' | '-' | '+' | '/' | ':' | ';' | '(' | ')' | '%' => {
                        out.marks.push(Mark::Literal(c));
                    }
                    _ => return Err(bad(format)),
                }
            }
            rest = rest.get(eat..).unwrap_or("");
        }
        if out.marks.iter().filter(|m| **m == Mark::Point).count() > 1 {
            return Err(bad(format));
        }
        Ok(out)
    }

    fn fraction_digits(&self) -> u8 {
        let after = self.marks.iter().skip_while(|m| **m != Mark::Point);
        after.filter(|m| matches!(m, Mark::Digit | Mark::Zero)).count() as u8
    }

    fn whole_digits(&self) -> usize {
        let before = self.marks.iter().take_while(|m| **m != Mark::Point);
        before.filter(|m| matches!(m, Mark::Digit | Mark::Zero)).count()
    }

    /// Writes `value` (units of 10^-scale); digits that do not fit become `#`.
    pub fn write(&self, value: i128, scale: u8) -> String {
        format!("{}{}{}", self.prefix, self.write_number(value, scale), self.suffix)
    }

    fn write_number(&self, value: i128, scale: u8) -> String {
        if self.scientific {
            // Four digits after the point, or as many as the value has.
            let digits = value.unsigned_abs().to_string();
            let held = digits.trim_end_matches('0').len().saturating_sub(1);
            let places = if value == 0 { 0 } else { held.max(4) };
            return format!("{:.places$E}", number::to_float(value, scale));
        }
        if self.minimal {
            let text = number::to_text(value, scale);
            return match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
                false => text,
            };
        }
        if let Some((width, upper)) = self.hex {
            let whole = divide_rounded(value, power_of_ten(scale).unwrap_or(1));
            let digits = whole.unsigned_abs();
            let text = if upper { format!("{digits:X}") } else { format!("{digits:x}") };
            let zeros = self.marks.iter().filter(|m| **m == Mark::Zero).count();
            // The sign of a negative value shows with S only.
            let sign = match (self.marks.contains(&Mark::Sign), whole < 0) {
                (true, true) => "-",
                (true, false) => "+",
                (false, _) => "",
            };
            let width = width + zeros;
            let text = match zeros {
                _ if text.len() > width => "#".repeat(width),
                0 => format!("{text:>width$}"),
                _ => format!("{text:0>width$}"),
            };
            let after: String = self
                .marks
                .iter()
                .filter_map(|mark| match mark {
                    Mark::Literal(c) => Some(*c),
                    _ => None,
                })
                .collect();
            return format!("{sign}{text}{after}");
        }
        if self.exponent {
            let text =
                format!("{:.*E}", self.fraction_digits() as usize, number::to_float(value, scale));
            let (mantissa, power) = text.split_once('E').unwrap_or((&text, "0"));
            let power: i32 = power.parse().unwrap_or(0);
            let sign = if power < 0 { '-' } else { '+' };
            let lead = if value < 0 { "" } else { " " };
            return format!("{lead}{mantissa}E{sign}{}", power.abs());
        }
        let fraction = self.fraction_digits();
        let Some(scaled) = number::rescale(value, scale, fraction) else { return "#".into() };
        let negative = scaled < 0;
        let digits = format!("{:0>width$}", scaled.unsigned_abs(), width = fraction as usize + 1);
        let (whole, decimals) = digits.split_at(digits.len() - fraction as usize);
        let whole = whole.trim_start_matches('0');
        let room = self.whole_digits();
        let overflow = whole.len() > room;
        // From which place on zeros are shown.
        let before: Vec<Mark> =
            self.marks.iter().copied().take_while(|m| *m != Mark::Point).collect();
        let has_zero = before.contains(&Mark::Zero);
        let zero_before =
            before.iter().take_while(|m| **m != Mark::Zero).filter(|m| **m == Mark::Digit).count();
        let mut place = room;
        let mut shown = false;
        let mut body = String::new();
        let explicit = self.marks.iter().any(|m| matches!(m, Mark::Sign | Mark::SignAfter));
        let mut sign_written = explicit;
        let mut dollar = false;
        let mut padded = String::new();
        let mut decimal_digits = decimals.chars();
        let mut seen_point = false;
        for mark in &self.marks {
            match mark {
                Mark::Digit | Mark::Zero if !seen_point => {
                    let digit =
                        whole.len().checked_sub(place).and_then(|i| whole.as_bytes().get(i));
                    let force = has_zero && room - place >= zero_before;
                    // A lone format without a point shows a single zero.
                    let last = place == 1 && whole.is_empty() && fraction == 0;
                    if overflow {
                        body.push('#');
                        shown = true;
                    } else if let Some(digit) = digit {
                        body.push(*digit as char);
                        shown = true;
                    } else if force || last {
                        body.push('0');
                        shown = true;
                    } else {
                        padded.push(' ');
                    }
                    place = place.saturating_sub(1);
                }
                Mark::Digit | Mark::Zero => {
                    body.push(if overflow { '#' } else { decimal_digits.next().unwrap_or('0') });
                }
                Mark::Point => {
                    seen_point = true;
                    body.push('.');
                }
                Mark::Group(c) if shown => body.push(*c),
                Mark::Group(_) => padded.push(' '),
                Mark::Dollar => dollar = true,
                Mark::Sign if body.is_empty() => {
                    sign_written = false;
                }
                Mark::Sign => body.push(if negative { '-' } else { '+' }),
                Mark::SignAfter => body.push(if negative { '-' } else { ' ' }),
                Mark::Literal(c) => body.push(*c),
            }
        }
        let leading_sign = matches!(self.marks.first(), Some(Mark::Sign));
        let sign = if sign_written {
            ""
        } else if negative {
            "-"
        } else if leading_sign {
            "+"
        } else {
            " "
        };
        let dollar = if dollar { "$" } else { "" };
        if self.fill {
            return format!("{}{dollar}{body}", sign.trim());
        }
        format!("{padded}{sign}{dollar}{body}")
    }

    /// Reads a text written with this format; `None` if it does not match.
    pub fn read(&self, text: &str) -> Option<(i128, i32)> {
        if let Some((width, _)) = self.hex {
            let zeros = self.marks.iter().filter(|m| **m == Mark::Zero).count();
            let text = text.trim();
            if text.trim_start_matches('-').len() > width + zeros {
                return None;
            }
            return i128::from_str_radix(text, 16).ok().map(|v| (v, 0));
        }
        let mut digits = String::new();
        let mut negative = false;
        for c in text.trim().chars() {
            match c {
                '0'..='9' | '.' => digits.push(c),
                'e' | 'E' if self.exponent => digits.push(c),
                '+' | '-' if digits.ends_with(['e', 'E']) => digits.push(c),
                '-' => negative = true,
                '+' | ' ' => {}
                ',' if self.marks.iter().any(|m| matches!(m, Mark::Group(_))) => {}
                '$' if self.marks.contains(&Mark::Dollar) => {}
                _ => return None,
            }
        }
        let (value, scale) = number::parse(&digits)?;
        if !self.exponent && !self.minimal {
            let whole = digits.split('.').next().unwrap_or("").trim_start_matches('0').len();
            if whole > self.whole_digits() || scale > self.fraction_digits() as i32 {
                return None;
            }
        }
        Some((if negative { -value } else { value }, scale))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn writes_documented_examples() {
        // TO_CHAR examples of Snowflake's documentation.
        let write = |format: &str, value: i128, scale: u8| {
            NumberFormat::parse(format).unwrap().write(value, scale)
        };
        assert_eq!(write("$99.0", 12, 0), " $12.0");
        assert_eq!(write("999,999", 123456, 0), " 123,456");
        assert_eq!(write("999,999", 1234, 0), "   1,234");
        assert_eq!(write("FM999,999", 1234, 0), "1,234");
        assert_eq!(write("99", 123, 0), " ##");
        assert_eq!(write("000", -7, 0), "-007");
        assert_eq!(write("S99", 12, 0), "+12");
        assert_eq!(write("XXX", 255, 0), " FF");
        assert_eq!(write("\">\"0XXX\"<\"", -12_391, 3), ">000C<");
        assert_eq!(write("\">\"S0XXX\"<\"", -12_391, 3), ">-000C<");
        assert_eq!(write("\">\"TM9\"<\"", -1000, 3), ">-1<");
        assert_eq!(write("\">\"TME\"<\"", 3_987_000, 3), ">3.9870E3<");
        assert_eq!(write("\">\"TME\"<\"", 0, 3), ">0E0<");
    }

    #[test]
    fn a_format_has_a_bounded_length() {
        assert!(NumberFormat::parse(&"9".repeat(FORMAT_LENGTH_MAX)).is_ok());
        let error = NumberFormat::parse(&"9".repeat(100_000)).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument);
        assert!(error.message.contains("100000"), "{}", error.message);
    }

    #[test]
    fn reads_groups_and_signs() {
        let read = |format: &str, text: &str| NumberFormat::parse(format).unwrap().read(text);
        assert_eq!(read("9,999.00", "1,234.50"), Some((123_450, 2)));
        assert_eq!(read("$99.0", "$12.3"), Some((123, 1)));
        assert_eq!(read("99", "123"), None);
        assert_eq!((read("XXX", "ae5"), read("XX", "ae5")), (Some((2789, 0)), None));
    }
}
