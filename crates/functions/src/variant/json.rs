//! JSON text: reading with all digits kept, writing as Snowflake prints.

use std::collections::BTreeMap;

use arrow::array::Array;
use frazil_common::{Code, UserError};
use parquet_variant::Variant;

use super::codec::VariantColumn;
use super::value::Value;
use crate::number::{float_text, to_text};
use crate::temporal::Moment;
use crate::temporal::format::{elements, write};

/// Deepest nesting of arrays and objects.
const DEPTH_MAX: usize = 500;

/// Reads one JSON value; blank text is `None` (SQL NULL).
pub fn parse_json(text: &str) -> Result<Option<Value>, UserError> {
    parse_json_with(text, false)
}

/// The same; with `allow_duplicate` the last of several members of one name counts.
pub fn parse_json_with(text: &str, allow_duplicate: bool) -> Result<Option<Value>, UserError> {
    let mut parser = Parser { bytes: text.as_bytes(), text, at: 0, allow_duplicate };
    parser.blank();
    if parser.at == parser.bytes.len() {
        return Ok(None);
    }
    let value = parser.value(0)?;
    parser.blank();
    if parser.at < parser.bytes.len() {
        return Err(parser.error("unexpected characters after the value"));
    }
    Ok(Some(value))
}

struct Parser<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    allow_duplicate: bool,
}

impl Parser<'_> {
    fn error(&self, what: &str) -> UserError {
        UserError::new(
            Code::InvalidJson,
            format!("Error parsing JSON: {what}, pos {}", self.at + 1),
        )
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if found {
            self.at += word.len();
        }
        found
    }

    /// A word in any case.
    fn keyword(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let found = self.text.get(self.at..end).is_some_and(|t| t.eq_ignore_ascii_case(word));
        if found {
            self.at = end;
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, UserError> {
        if depth > DEPTH_MAX {
            return Err(self.error("nested too deeply"));
        }
        self.blank();
        match self.peek() {
            None => Err(self.error("unfinished value")),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"' | b'\'') => Ok(Value::Text(self.string()?)),
            Some(b't' | b'T') if self.keyword("true") => Ok(Value::Boolean(true)),
            Some(b'f' | b'F') if self.keyword("false") => Ok(Value::Boolean(false)),
            Some(b'n' | b'N') if self.keyword("null") => Ok(Value::Null),
            Some(b'u') if self.word("undefined") => Ok(Value::Null),
            Some(b'N') if self.word("NaN") => Ok(Value::Double(f64::NAN)),
            Some(b'-' | b'+' | b'.' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.error("unknown keyword or character")),
        }
    }

    fn number(&mut self) -> Result<Value, UserError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let text = self.text.get(start..self.at).unwrap_or("");
        let exponent = text.contains(['e', 'E']);
        if !exponent
            && let Some((value, scale)) = crate::number::parse(text)
            && let Ok(scale) = u8::try_from(scale)
            && scale <= 37
        {
            return Ok(Value::Number { value, scale });
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Value::Double(value)),
            _ => Err(self.error("malformed number")),
        }
    }

    fn string(&mut self) -> Result<String, UserError> {
        let quote = self.peek().unwrap_or(b'"');
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|b| b != quote && b != b'\\') {
                self.at += 1;
            }
            out.push_str(self.text.get(start..self.at).unwrap_or(""));
            match self.peek() {
                Some(b'\\') => {
                    self.at += 1;
                    let escape = self.peek().ok_or_else(|| self.error("unfinished string"))?;
                    self.at += 1;
                    out.push(match escape {
                        b'n' => '\n',
                        b't' => '\t',
                        b'r' => '\r',
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'u' => self.unicode()?,
                        b'"' | b'\\' | b'/' | b'\'' => escape as char,
                        _ => return Err(self.error("unknown escape")),
                    });
                }
                Some(_) => {
                    self.at += 1;
                    return Ok(out);
                }
                None => return Err(self.error("unfinished string")),
            }
        }
    }

    fn hex4(&mut self) -> Result<u32, UserError> {
        let digits = self.text.get(self.at..self.at + 4);
        let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
        self.at += 4;
        code.ok_or_else(|| self.error("bad unicode escape"))
    }

    fn unicode(&mut self) -> Result<char, UserError> {
        let first = self.hex4()?;
        let code = if (0xD800..0xDC00).contains(&first) && self.word("\\u") {
            let second = self.hex4()?;
            if !(0xDC00..0xE000).contains(&second) {
                return Err(self.error("bad surrogate pair"));
            }
            0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.error("bad unicode escape"))
    }

    fn list(&mut self, depth: usize) -> Result<Value, UserError> {
        self.at += 1;
        let mut items = Vec::new();
        self.blank();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            // A place without a value, as in `[1, , 2]` and `[1, ]`, is undefined.
            self.blank();
            match self.peek() {
                Some(b',' | b']') => items.push(Value::Null),
                _ => items.push(self.value(depth + 1)?),
            }
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::List(items));
                }
                _ => return Err(self.error("missing comma or closing bracket")),
            }
        }
    }

    /// A field's name, quoted or a plain word.
    fn field_name(&mut self) -> Result<String, UserError> {
        if matches!(self.peek(), Some(b'"' | b'\'')) {
            return self.string();
        }
        let start = self.at;
        let part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$');
        while self.peek().is_some_and(part) {
            self.at += 1;
        }
        match self.text.get(start..self.at) {
            Some(name) if !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() => {
                Ok(name.to_string())
            }
            _ => Err(self.error("missing field name")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, UserError> {
        self.at += 1;
        let mut fields = BTreeMap::new();
        loop {
            self.blank();
            if self.peek() == Some(b'}') {
                self.at += 1;
                return Ok(Value::Object(fields));
            }
            let name = self.field_name()?;
            self.blank();
            if self.peek() != Some(b':') {
                return Err(self.error("missing colon"));
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            if fields.insert(name.clone(), value).is_some() && !self.allow_duplicate {
                return Err(self.error(&format!("duplicate object attribute \"{name}\"")));
            }
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {}
                _ => return Err(self.error("missing comma or closing brace")),
            }
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn stamp_text(moment: Moment, instant: bool) -> String {
    let format =
        if instant { "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM" } else { "YYYY-MM-DD HH24:MI:SS.FF3" };
    write(moment, 0, &elements(format))
}

/// Text of a value that is no container and no JSON null, unquoted.
pub(crate) fn scalar_text(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Boolean(v) => v.to_string(),
        Value::Number { value, scale } => to_text(*value, *scale),
        Value::Double(v) => float_text(*v),
        Value::Text(text) => text.clone(),
        Value::Binary(bytes) => hex::encode_upper(bytes),
        Value::Date(days) => write(Moment::from_days(*days as i64), 0, &elements("YYYY-MM-DD")),
        Value::Time(nanos) => {
            let moment =
                Moment { seconds: nanos / 1_000_000_000, nanos: (nanos % 1_000_000_000) as u32 };
            write(moment, 0, &elements("HH24:MI:SS"))
        }
        Value::Timestamp { moment, instant, .. } => stamp_text(*moment, *instant),
        Value::List(_) | Value::Object(_) => json_text(value),
    }
}

/// Compact JSON of a value.
pub(crate) fn json_text(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, None, &mut out);
    out
}

fn line(indent: Option<usize>, out: &mut String) {
    if let Some(depth) = indent {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
}

fn write_value(value: &Value, indent: Option<usize>, out: &mut String) {
    let deeper = indent.map(|d| d + 1);
    match value {
        Value::List(items) if items.is_empty() => out.push_str("[]"),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(deeper, out);
                write_value(item, deeper, out);
            }
            line(indent, out);
            out.push(']');
        }
        Value::Object(fields) if fields.is_empty() => out.push_str("{}"),
        Value::Object(fields) => {
            out.push('{');
            for (index, (name, item)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(deeper, out);
                quote(name, out);
                out.push_str(if indent.is_some() { ": " } else { ":" });
                write_value(item, deeper, out);
            }
            line(indent, out);
            out.push('}');
        }
        Value::Null | Value::Boolean(_) | Value::Number { .. } => out.push_str(&scalar_text(value)),
        Value::Double(v) if v.is_finite() => out.push_str(&float_text(*v)),
        Value::Double(v) if v.is_nan() => out.push_str("NaN"),
        Value::Double(v) => out.push_str(if *v > 0.0 { "Infinity" } else { "-Infinity" }),
        other => quote(&scalar_text(other), out),
    }
}

/// Appends the compact JSON of a stored variant.
pub fn write_json(variant: &Variant, out: &mut String) {
    match variant {
        Variant::Object(object) => {
            out.push('{');
            for (index, (name, value)) in object.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(name, out);
                out.push(':');
                write_json(&value, out);
            }
            out.push('}');
        }
        Variant::List(list) => {
            out.push('[');
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(&value, out);
            }
            out.push(']');
        }
        Variant::String(text) => quote(text, out),
        Variant::ShortString(text) => quote(text.as_str(), out),
        scalar => write_value(&Value::decode(scalar), None, out),
    }
}

/// Compact JSON of one row of a variant column; `None` for SQL NULL.
pub fn to_json_string(array: &dyn Array, row: usize) -> Option<String> {
    let variant = VariantColumn::new(array).ok()?.get(row)?;
    let mut out = String::new();
    write_json(&variant, &mut out);
    Some(out)
}

/// JSON of one row, indented by two spaces as Snowflake sends VARIANT results.
pub fn to_json_pretty(array: &dyn Array, row: usize) -> Option<String> {
    let value = VariantColumn::new(array).ok()?.value(row)?;
    let mut out = String::new();
    write_value(&value, Some(0), &mut out);
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn json_keeps_digits_and_sorts_keys() {
        for (text, wanted) in [
            (r#"{"b": [1, 2.50, null], "a": "x\n"}"#, r#"{"a":"x\n","b":[1,2.50,null]}"#),
            ("12345678901234567890.123", "12345678901234567890.123"),
            (r#""A\uD83D\uDE00""#, "\"A\u{1F600}\""),
            ("[1,]", "[1,null]"),
            ("[1, ,77]", "[1,null,77]"),
            ("{r:255, g_1: NULL, 'b': TRUE}", r#"{"b":true,"g_1":null,"r":255}"#),
            ("[]", "[]"),
        ] {
            let value = parse_json(text).unwrap().unwrap();
            assert_eq!(json_text(&value), wanted);
            let (metadata, bytes) = value.encode();
            let stored = Variant::try_new(&metadata, &bytes).unwrap();
            let mut out = String::new();
            write_json(&stored, &mut out);
            assert_eq!(out, wanted);
        }
        assert!(parse_json("  ").unwrap().is_none());
        for bad in ["{", "{\"a\":1,\"a\":2}", "nul", "1 2", "{'a' 1}"] {
            assert_eq!(parse_json(bad).unwrap_err().code, Code::InvalidJson, "{bad}");
        }
    }
}
