//! JSON text ⇄ [`Value`], with the tokens `NaN` and `Infinity` that XGBoost writes.

use std::fmt::Write;

use super::document::{MAX_DEPTH, Value};
use crate::MlError;

/// Reads one JSON document.
pub fn parse(bytes: &[u8]) -> Result<Value, MlError> {
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    // Serialised buffers may end in one NUL byte.
    if reader.bytes[reader.at..].iter().any(|&b| b != 0) {
        return Err(reader.error("text after the end of the document"));
    }
    Ok(value)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

enum Number {
    Int(i64),
    Float(f32),
}

impl Reader<'_> {
    fn error(&self, what: &str) -> MlError {
        MlError::Format(format!("model JSON, byte {}: {what}", self.at))
    }

    fn blanks(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Result<u8, MlError> {
        self.blanks();
        match self.bytes.get(self.at) {
            Some(&b) => Ok(b),
            None => Err(self.error("the document ends too early")),
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), MlError> {
        if self.peek()? == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(self.error(&format!("'{}' expected", byte as char)))
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.bytes[self.at..].starts_with(word.as_bytes());
        if found {
            self.at += word.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, MlError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => Ok(Value::Text(self.string()?)),
            b't' if self.word("true") => Ok(Value::Bool(true)),
            b'f' if self.word("false") => Ok(Value::Bool(false)),
            b'n' if self.word("null") => Ok(Value::Null),
            _ => Ok(match self.number()? {
                Number::Int(i) => Value::Int(i),
                Number::Float(f) => Value::Float(f),
            }),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, MlError> {
        self.expect(b'{')?;
        let mut members = Vec::new();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(Value::Map(members));
        }
        loop {
            if self.peek()? != b'"' {
                return Err(self.error("a member name expected"));
            }
            let key = self.string()?;
            self.expect(b':')?;
            members.push((key, self.value(depth + 1)?));
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(Value::Map(members));
                }
                _ => return Err(self.error("',' or '}' expected")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, MlError> {
        self.expect(b'[')?;
        let mut packed = Value::Ints(Vec::new());
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(Value::List(Vec::new()));
        }
        loop {
            let numeric = matches!(self.peek()?, b'-' | b'+' | b'0'..=b'9' | b'N' | b'I');
            packed = if numeric {
                let number = self.number()?;
                push_number(packed, number)
            } else {
                let mut list = unpack(packed);
                list.push(self.value(depth + 1)?);
                Value::List(list)
            };
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(packed);
                }
                _ => return Err(self.error("',' or ']' expected")),
            }
        }
    }

    fn number(&mut self) -> Result<Number, MlError> {
        let start = self.at;
        if self.word("NaN") {
            return Ok(Number::Float(f32::NAN));
        }
        if self.word("-Infinity") {
            return Ok(Number::Float(f32::NEG_INFINITY));
        }
        if self.word("Infinity") {
            return Ok(Number::Float(f32::INFINITY));
        }
        let mut integer = true;
        while let Some(&b) = self.bytes.get(self.at) {
            match b {
                b'0'..=b'9' | b'-' | b'+' => {}
                b'.' | b'e' | b'E' => integer = false,
                _ => break,
            }
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or("");
        if integer && let Ok(i) = text.parse::<i64>() {
            return Ok(Number::Int(i));
        }
        match text.parse::<f32>() {
            Ok(f) => Ok(Number::Float(f)),
            Err(_) => {
                self.at = start;
                Err(self.error("a value expected"))
            }
        }
    }

    fn string(&mut self) -> Result<String, MlError> {
        self.expect(b'"')?;
        let mut out = Vec::new();
        loop {
            let Some(&b) = self.bytes.get(self.at) else {
                return Err(self.error("a text without its end"));
            };
            self.at += 1;
            match b {
                b'"' => break,
                b'\\' => self.escape(&mut out)?,
                _ => out.push(b),
            }
        }
        String::from_utf8(out).map_err(|_| self.error("a text that is not UTF-8"))
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), MlError> {
        let code = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        let plain = match code {
            b'"' | b'\\' | b'/' => code,
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                let mut unit = self.hex4()?;
                if (0xD800..0xDC00).contains(&unit) && self.word("\\u") {
                    let low = self.hex4()?;
                    if !(0xDC00..0xE000).contains(&low) {
                        return Err(self.error("half of a surrogate pair"));
                    }
                    unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                }
                let c = char::from_u32(unit).ok_or_else(|| self.error("not a character"))?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.error("an unknown escape")),
        };
        out.push(plain);
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, MlError> {
        let digits = self
            .bytes
            .get(self.at..self.at + 4)
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| u32::from_str_radix(d, 16).ok());
        self.at += 4;
        digits.ok_or_else(|| self.error("four hexadecimal digits expected"))
    }
}

fn push_number(array: Value, number: Number) -> Value {
    match (array, number) {
        (Value::Ints(mut v), Number::Int(i)) => {
            v.push(i);
            Value::Ints(v)
        }
        (Value::Ints(v), Number::Float(f)) => {
            let mut floats: Vec<f32> = v.into_iter().map(|i| i as f32).collect();
            floats.push(f);
            Value::Floats(floats)
        }
        (Value::Floats(mut v), Number::Int(i)) => {
            v.push(i as f32);
            Value::Floats(v)
        }
        (Value::Floats(mut v), Number::Float(f)) => {
            v.push(f);
            Value::Floats(v)
        }
        (other, number) => {
            let mut list = unpack(other);
            list.push(match number {
                Number::Int(i) => Value::Int(i),
                Number::Float(f) => Value::Float(f),
            });
            Value::List(list)
        }
    }
}

fn unpack(array: Value) -> Vec<Value> {
    match array {
        Value::Ints(v) => v.into_iter().map(Value::Int).collect(),
        Value::Floats(v) => v.into_iter().map(Value::Float).collect(),
        Value::List(v) => v,
        other => vec![other],
    }
}

/// Writes a document as JSON. Floats are written in the shortest form that reads back equal.
pub fn write(value: &Value) -> Vec<u8> {
    let mut out = String::new();
    put(value, &mut out);
    out.into_bytes()
}

fn put(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => put_int(*i, out),
        Value::Float(f) => put_float(*f, out),
        Value::Text(s) => put_text(s, out),
        Value::Ints(v) => put_list(v, out, |i, out| put_int(*i, out)),
        Value::Floats(v) => put_list(v, out, |f, out| put_float(*f, out)),
        Value::List(v) => put_list(v, out, put),
        Value::Map(members) => {
            out.push('{');
            for (i, (key, member)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                put_text(key, out);
                out.push(':');
                put(member, out);
            }
            out.push('}');
        }
    }
}

fn put_list<T>(items: &[T], out: &mut String, each: impl Fn(&T, &mut String)) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(']');
}

fn put_int(i: i64, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{i}");
}

fn put_float(f: f32, out: &mut String) {
    if f.is_nan() {
        out.push_str("NaN");
    } else if f.is_infinite() {
        out.push_str(if f > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        let _ = write!(out, "{f:?}");
    }
}

fn put_text(s: &str, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn arrays_are_packed_by_what_they_hold() {
        let v = parse(br#"{"a":[1,2],"b":[1,2.5,-3e-2],"c":["x",1],"d":[],"e":[NaN,-Infinity]}"#)
            .unwrap();
        assert_eq!(v.get("a"), Some(&Value::Ints(vec![1, 2])));
        assert_eq!(v.get("b"), Some(&Value::Floats(vec![1.0, 2.5, -0.03])));
        assert_eq!(v.get("c"), Some(&Value::List(vec![Value::text("x"), Value::Int(1)])));
        assert_eq!(v.need_ints("d").unwrap(), Vec::<i64>::new());
        let e = v.need_floats("e").unwrap();
        assert!(e[0].is_nan() && e[1] == f32::NEG_INFINITY);
    }

    #[test]
    fn texts_with_escapes_come_back() {
        let text = "a\"\\\n\u{1}é😀";
        let bytes = write(&Value::text(text));
        assert_eq!(parse(&bytes).unwrap(), Value::text(text));
        assert_eq!(parse(br#""\ud83d\ude00""#).unwrap(), Value::text("😀"));
    }

    #[test]
    fn floats_come_back_bit_for_bit() {
        for bits in [1u32, 0x0080_0000, 0x3DCC_CCCD, 0x7F7F_FFFF, 0x8000_0001] {
            let f = f32::from_bits(bits);
            let bytes = write(&Value::Floats(vec![f]));
            assert_eq!(parse(&bytes).unwrap().as_floats().unwrap()[0].to_bits(), bits);
        }
    }

    #[test]
    fn broken_text_is_an_error() {
        for text in ["", "{", "[1,", "{\"a\"}", "\"x", "[1 2]", "{} x", "tru", "--1", "\"\\u12"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
