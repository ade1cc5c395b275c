//! UBJSON bytes ⇄ [`Value`], in the dialect XGBoost writes: big-endian numbers, arrays with a
//! count and often one element type.

use super::document::{MAX_DEPTH, Value};
use crate::MlError;

/// Whether the bytes look like a UBJSON object (a JSON object's second token is a quote).
pub fn is_ubj(bytes: &[u8]) -> bool {
    matches!(bytes, [b'{', b'L' | b'l' | b'I' | b'U' | b'i' | b'#' | b'$', ..])
}

/// Reads one UBJSON document.
pub fn parse(bytes: &[u8]) -> Result<Value, MlError> {
    let mut reader = Reader { bytes, at: 0 };
    let marker = reader.byte()?;
    reader.value(marker, 0)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, what: &str) -> MlError {
        MlError::Format(format!("model UBJSON, byte {}: {what}", self.at))
    }

    fn take(&mut self, n: usize) -> Result<&[u8], MlError> {
        let end = self.at.checked_add(n).filter(|&e| e <= self.bytes.len());
        match end {
            Some(end) => {
                let part = &self.bytes[self.at..end];
                self.at = end;
                Ok(part)
            }
            None => Err(self.error("the document ends too early")),
        }
    }

    fn byte(&mut self) -> Result<u8, MlError> {
        Ok(self.take(1)?[0])
    }

    fn int(&mut self, marker: u8) -> Result<i64, MlError> {
        let width = match marker {
            b'i' | b'U' => 1,
            b'I' => 2,
            b'l' => 4,
            b'L' => 8,
            _ => return Err(self.error("an integer expected")),
        };
        Ok(int_from(marker, self.take(width)?))
    }

    fn length(&mut self) -> Result<usize, MlError> {
        let marker = self.byte()?;
        let n = self.int(marker)?;
        usize::try_from(n).map_err(|_| self.error("a negative length"))
    }

    fn text(&mut self) -> Result<String, MlError> {
        let n = self.length()?;
        let bytes = self.take(n)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.error("a text that is not UTF-8"))
    }

    fn value(&mut self, marker: u8, depth: usize) -> Result<Value, MlError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        Ok(match marker {
            b'Z' => Value::Null,
            b'T' => Value::Bool(true),
            b'F' => Value::Bool(false),
            b'i' | b'U' | b'I' | b'l' | b'L' => Value::Int(self.int(marker)?),
            b'd' => Value::Float(float32(self.take(4)?)),
            b'D' => Value::Float(float64(self.take(8)?)),
            b'S' => Value::Text(self.text()?),
            b'C' => Value::Text((self.byte()? as char).to_string()),
            b'{' => self.object(depth)?,
            b'[' => self.array(depth)?,
            _ => return Err(self.error("an unknown type marker")),
        })
    }

    fn object(&mut self, depth: usize) -> Result<Value, MlError> {
        let mut members = Vec::new();
        while self.peek()? != b'}' {
            let key = self.text()?;
            let marker = self.byte()?;
            members.push((key, self.value(marker, depth + 1)?));
        }
        self.at += 1;
        Ok(Value::Map(members))
    }

    fn peek(&self) -> Result<u8, MlError> {
        self.bytes.get(self.at).copied().ok_or_else(|| self.error("the document ends too early"))
    }

    fn array(&mut self, depth: usize) -> Result<Value, MlError> {
        match self.peek()? {
            b'$' => {
                self.at += 1;
                let kind = self.byte()?;
                if self.byte()? != b'#' {
                    return Err(self.error("'#' expected after the element type"));
                }
                let n = self.length()?;
                self.packed(kind, n)
            }
            b'#' => {
                self.at += 1;
                let n = self.length()?;
                if n > self.bytes.len() - self.at {
                    return Err(self.error("an array longer than the file"));
                }
                let mut items = Vec::with_capacity(n);
                for _ in 0..n {
                    let marker = self.byte()?;
                    items.push(self.value(marker, depth + 1)?);
                }
                Ok(Value::List(items))
            }
            _ => {
                let mut items = Vec::new();
                loop {
                    let marker = self.byte()?;
                    if marker == b']' {
                        return Ok(Value::List(items));
                    }
                    items.push(self.value(marker, depth + 1)?);
                }
            }
        }
    }

    fn packed(&mut self, kind: u8, n: usize) -> Result<Value, MlError> {
        let width = match kind {
            b'i' | b'U' => 1,
            b'I' => 2,
            b'l' | b'd' => 4,
            b'L' | b'D' => 8,
            _ => return Err(self.error("an array of an unknown element type")),
        };
        let size =
            n.checked_mul(width).ok_or_else(|| self.error("an array longer than the file"))?;
        let parts = self.take(size)?.chunks_exact(width);
        Ok(match kind {
            b'd' => Value::Floats(parts.map(float32).collect()),
            b'D' => Value::Floats(parts.map(float64).collect()),
            _ => Value::Ints(parts.map(|p| int_from(kind, p)).collect()),
        })
    }
}

fn int_from(marker: u8, bytes: &[u8]) -> i64 {
    let unsigned = bytes.iter().fold(0u64, |n, &b| (n << 8) | u64::from(b));
    match marker {
        b'i' => i64::from(unsigned as u8 as i8),
        b'U' => i64::from(unsigned as u8),
        b'I' => i64::from(unsigned as u16 as i16),
        b'l' => i64::from(unsigned as u32 as i32),
        _ => unsigned as i64,
    }
}

fn float32(bytes: &[u8]) -> f32 {
    f32::from_bits(bytes.iter().fold(0u32, |n, &b| (n << 8) | u32::from(b)))
}

fn float64(bytes: &[u8]) -> f32 {
    f64::from_bits(bytes.iter().fold(0u64, |n, &b| (n << 8) | u64::from(b))) as f32
}

/// Writes a document as UBJSON.
pub fn write(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(value, &mut out);
    out
}

fn put_length(n: usize, out: &mut Vec<u8>) {
    out.push(b'L');
    out.extend_from_slice(&(n as i64).to_be_bytes());
}

fn put_text(s: &str, out: &mut Vec<u8>) {
    put_length(s.len(), out);
    out.extend_from_slice(s.as_bytes());
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(b'Z'),
        Value::Bool(b) => out.push(if *b { b'T' } else { b'F' }),
        Value::Int(i) => {
            out.push(b'L');
            out.extend_from_slice(&i.to_be_bytes());
        }
        Value::Float(f) => {
            out.push(b'd');
            out.extend_from_slice(&f.to_be_bytes());
        }
        Value::Text(s) => {
            out.push(b'S');
            put_text(s, out);
        }
        Value::Floats(v) => {
            out.extend_from_slice(b"[$d#");
            put_length(v.len(), out);
            v.iter().for_each(|f| out.extend_from_slice(&f.to_be_bytes()));
        }
        Value::Ints(v) => put_ints(v, out),
        Value::List(v) => {
            out.extend_from_slice(b"[#");
            put_length(v.len(), out);
            v.iter().for_each(|x| put(x, out));
        }
        Value::Map(members) => {
            out.push(b'{');
            for (key, member) in members {
                put_text(key, out);
                put(member, out);
            }
            out.push(b'}');
        }
    }
}

/// Which packed integer width the reader wants depends on the member (`default_left` is bytes,
/// segments are 64 bits, the rest 32); XGBoost accepts plain counted arrays everywhere instead.
fn put_ints(v: &[i64], out: &mut Vec<u8>) {
    out.extend_from_slice(b"[#");
    put_length(v.len(), out);
    for i in v {
        out.push(b'L');
        out.extend_from_slice(&i.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_document_comes_back() {
        let v = Value::map([
            ("a", Value::Floats(vec![1.5, f32::NAN])),
            ("b", Value::text("é")),
            ("c", Value::List(vec![Value::Int(-3), Value::Bool(true)])),
        ]);
        let bytes = write(&v);
        assert!(is_ubj(&bytes));
        let back = parse(&bytes).unwrap();
        assert_eq!(back.need_floats("a").unwrap()[0], 1.5);
        assert!(back.need_floats("a").unwrap()[1].is_nan());
        assert_eq!(back.need_text("b").unwrap(), "é");
        assert_eq!(back.need_ints("c").unwrap(), vec![-3, 1]);
    }

    #[test]
    fn packed_integers_keep_their_sign() {
        let bytes = b"{i\x01a[$i#i\x02\xff\x01i\x01b[$U#i\x01\xffi\x01c[$l#U\x01\xff\xff\xff\xfe}";
        let v = parse(bytes).unwrap();
        assert_eq!(v.need_ints("a").unwrap(), vec![-1, 1]);
        assert_eq!(v.need_ints("b").unwrap(), vec![255]);
        assert_eq!(v.need_ints("c").unwrap(), vec![-2]);
    }

    #[test]
    fn every_cut_of_a_document_is_an_error() {
        let bytes = write(&Value::map([("a", Value::Floats(vec![1.0])), ("b", Value::text("x"))]));
        for end in 0..bytes.len() {
            assert!(parse(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(parse(b"[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff").is_err());
        assert!(parse(b"[#L\x7f\xff\xff\xff\xff\xff\xff\xff").is_err());
        assert!(parse(&[b'['; 100_000]).is_err());
    }
}
