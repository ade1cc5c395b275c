//! Text functions. Positions count characters from 1.

use frazil_common::{Code, SqlType, UserError};

use super::binary;
use crate::arguments::{Arguments, SMALL_INTEGER};
use crate::kernel::{KernelResult, Rows};
use crate::made::{TEXT_BYTES_MAX, too_long};
use crate::registry::Registry;
use crate::typed::TypedExpr;

type Bound = Result<TypedExpr, UserError>;

const TEXT: SqlType = SqlType::TEXT;
const INT: SqlType = SMALL_INTEGER;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["CONCAT"], concat);
    registry.add(&["CONCAT_WS"], |a| {
        a.expect(2..=usize::MAX)?;
        a.kernel("frazil_concat_ws", &[TEXT], TEXT, concat_ws)
    });
    registry.add(&["LENGTH", "LEN"], |a| {
        a.expect(1..=1)?;
        if matches!(a.get(0)?.sql_type, SqlType::Binary { .. }) {
            let args = vec![a.get(0)?.expr.clone()];
            return Ok(a.call("frazil_binary_octets", args, INT, binary_octets));
        }
        a.kernel("frazil_length", &[TEXT], INT, length)
    });
    registry.add(&["OCTET_LENGTH"], |a| {
        a.expect(1..=1)?;
        if matches!(a.get(0)?.sql_type, SqlType::Binary { .. }) {
            let args = vec![a.get(0)?.expr.clone()];
            return Ok(a.call("frazil_binary_octets", args, INT, binary_octets));
        }
        a.kernel("frazil_octet_length", &[TEXT], INT, octet_length)
    });
    registry.add(&["BIT_LENGTH"], |a| {
        a.expect(1..=1)?;
        if matches!(a.get(0)?.sql_type, SqlType::Binary { .. }) {
            let args = vec![a.get(0)?.expr.clone()];
            return Ok(a.call("frazil_binary_bits", args, INT, |rows| {
                let bytes = rows.bytes(0)?;
                rows.build_integers(|row| Ok(bytes.get(row).map(|b| count(b.len() * 8))))
            }));
        }
        a.kernel("frazil_bit_length", &[TEXT], INT, bit_length)
    });
    registry.add(&["UPPER"], |a| one(a, "frazil_upper", upper));
    registry.add(&["LOWER"], |a| one(a, "frazil_lower", lower));
    registry.add(&["LIKE"], |a| like(a, false));
    registry.add(&["ILIKE"], |a| like(a, true));
    registry.add(&["RTRIMMED_LENGTH"], |a| {
        a.expect(1..=1)?;
        a.kernel("frazil_rtrimmed_length", &[TEXT], INT, rtrimmed_length)
    });
    registry.add(&["REVERSE"], |a| one(a, "frazil_reverse", reverse));
    registry.add(&["SOUNDEX"], |a| one(a, "frazil_soundex", soundex));
    registry.add(&["INITCAP"], |a| {
        a.expect(1..=2)?;
        a.kernel("frazil_initcap", &[TEXT], TEXT, initcap)
    });
    registry.add(&["TRIM"], |a| trimming(a, "frazil_trim", trim));
    registry.add(&["LTRIM"], |a| trimming(a, "frazil_ltrim", ltrim));
    registry.add(&["RTRIM"], |a| trimming(a, "frazil_rtrim", rtrim));
    registry.add(&["LPAD"], |a| match binary::is_binary(&a, 0) {
        true => binary::pad(&a, true),
        false => padding(a, "frazil_lpad", lpad),
    });
    registry.add(&["RPAD"], |a| match binary::is_binary(&a, 0) {
        true => binary::pad(&a, false),
        false => padding(a, "frazil_rpad", rpad),
    });
    registry.add(&["SUBSTR", "SUBSTRING"], |a| {
        a.expect(2..=3)?;
        a.kernel("frazil_substr", &[TEXT, INT], TEXT, substr)
    });
    registry.add(&["LEFT"], |a| {
        a.expect(2..=2)?;
        a.kernel("frazil_left", &[TEXT, INT], TEXT, left)
    });
    registry.add(&["RIGHT"], |a| {
        a.expect(2..=2)?;
        a.kernel("frazil_right", &[TEXT, INT], TEXT, right)
    });
    registry.add(&["REPLACE"], |a| {
        a.expect(2..=3)?;
        a.kernel("frazil_replace", &[TEXT], TEXT, replace)
    });
    registry.add(&["SPLIT_PART"], |a| {
        a.expect(3..=3)?;
        a.kernel("frazil_split_part", &[TEXT, TEXT, INT], TEXT, split_part)
    });
    registry.add(&["STRTOK"], |a| {
        a.expect(1..=3)?;
        let mut out = a.kernel("frazil_strtok", &[TEXT, TEXT, INT], TEXT, strtok)?;
        out.nullable = true;
        Ok(out)
    });
    registry.add(&["CONTAINS"], |a| test(a, "frazil_contains", contains));
    registry.add(&["STARTSWITH", "STARTS_WITH"], |a| test(a, "frazil_startswith", startswith));
    registry.add(&["ENDSWITH", "ENDS_WITH"], |a| test(a, "frazil_endswith", endswith));
    registry.add(&["POSITION", "CHARINDEX"], |a| {
        a.expect(2..=3)?;
        if binary::is_binary(&a, 1) {
            return binary::position(&a);
        }
        a.kernel("frazil_position", &[TEXT, TEXT, INT], INT, position)
    });
    registry.add(&["REPEAT"], |a| {
        a.expect(2..=2)?;
        a.kernel("frazil_repeat", &[TEXT, INT], TEXT, repeat)
    });
    registry.add(&["SPACE"], |a| {
        a.expect(1..=1)?;
        a.kernel("frazil_space", &[INT], TEXT, space)
    });
    registry.add(&["ASCII", "UNICODE"], |a| {
        a.expect(1..=1)?;
        a.kernel("frazil_ascii", &[TEXT], INT, ascii)
    });
    registry.add(&["CHR", "CHAR"], |a| {
        a.expect(1..=1)?;
        a.kernel("frazil_chr", &[INT], TEXT, chr)
    });
    registry.add(&["TRANSLATE"], |a| {
        a.expect(3..=3)?;
        a.kernel("frazil_translate", &[TEXT], TEXT, translate)
    });
    registry.add(&["EDITDISTANCE"], |a| {
        a.expect(2..=3)?;
        a.kernel("frazil_editdistance", &[TEXT, TEXT, INT], INT, editdistance)
    });
    registry.add(&["JAROWINKLER_SIMILARITY"], |a| {
        a.expect(2..=2)?;
        a.kernel("frazil_jarowinkler", &[TEXT], INT, jarowinkler)
    });
    registry.add(&["INSERT"], |a| {
        a.expect(4..=4)?;
        a.kernel("frazil_insert", &[TEXT, INT, INT, TEXT], TEXT, insert)
    });
    registry.add(&["COLLATE"], |a| {
        a.expect(2..=2)?;
        let collation = a.constant_text(1)?;
        // Texts compare by their UTF-8 bytes; other orders are not there.
        if !collation.is_empty() && !collation.eq_ignore_ascii_case("utf8") {
            return Err(UserError::unsupported(format!("COLLATE '{collation}'")));
        }
        match a.get(0)?.sql_type {
            SqlType::Varchar { .. } | SqlType::Null => Ok(a.get(0)?.clone()),
            _ => Err(a.wrong_types()),
        }
    });
}

fn one(a: Arguments, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    a.expect(1..=1)?;
    a.kernel(name, &[TEXT], TEXT, run)
}

/// LIKE and ILIKE as functions, with an escape character as the third argument.
fn like(a: Arguments, fold: bool) -> Bound {
    a.expect(2..=3)?;
    let escape = if a.len() > 2 { Some(a.constant_text(2)?) } else { None };
    let escape = match escape.as_deref().map(|text| (text.chars().next(), text.chars().count())) {
        None => None,
        Some((Some(c), 1)) => Some(c),
        Some(_) => {
            return Err(UserError::new(
                Code::InvalidArgument,
                "the escape of LIKE must be one character",
            ));
        }
    };
    crate::operators::like(a.get(0)?.clone(), a.get(1)?.clone(), escape, fold, false, a.facts)
}

fn trimming(a: Arguments, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    a.expect(1..=2)?;
    a.kernel(name, &[TEXT], TEXT, run)
}

fn padding(a: Arguments, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    a.expect(2..=3)?;
    a.kernel(name, &[TEXT, INT, TEXT], TEXT, run)
}

fn test(a: Arguments, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    a.expect(2..=2)?;
    a.kernel(name, &[TEXT], SqlType::Boolean, run)
}

/// Two binaries give a binary; anything else is text. NULL if any is NULL.
fn concat(a: Arguments) -> Bound {
    a.expect(1..=usize::MAX)?;
    if a.values.iter().all(|v| matches!(v.sql_type, SqlType::Binary { .. })) {
        let args = a.values.iter().map(|v| v.expr.clone()).collect();
        return Ok(a.call("frazil_concat_binary", args, SqlType::BYTES, concat_binary));
    }
    a.kernel("frazil_concat", &[TEXT], TEXT, concat_text)
}

fn concat_text(rows: &Rows) -> KernelResult {
    let parts = (0..rows.inputs.len()).map(|i| rows.texts(i)).collect::<KernelResult<Vec<_>>>()?;
    rows.write_texts(|row, text| {
        for part in &parts {
            match part.get(row) {
                Some(part) => text.push_str(part),
                None => return Ok(false),
            }
        }
        Ok(true)
    })
}

fn concat_binary(rows: &Rows) -> KernelResult {
    let parts = (0..rows.inputs.len()).map(|i| rows.bytes(i)).collect::<KernelResult<Vec<_>>>()?;
    rows.build_bytes(|row| {
        let mut out = Vec::new();
        for part in &parts {
            match part.get(row) {
                Some(bytes) => out.extend(bytes),
                None => return Ok(None),
            }
        }
        Ok(Some(out))
    })
}

fn concat_ws(rows: &Rows) -> KernelResult {
    let parts = (0..rows.inputs.len()).map(|i| rows.texts(i)).collect::<KernelResult<Vec<_>>>()?;
    rows.build_texts(|row| {
        let all: Option<Vec<&str>> = parts.iter().map(|p| p.get(row)).collect();
        Ok(all.and_then(|all| all.split_first().map(|(s, rest)| rest.join(s))))
    })
}

fn count(n: usize) -> i64 {
    n as i64
}

fn length(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_integers(|row| Ok(texts.get(row).map(|t| count(t.chars().count()))))
}

/// Characters up to the last one that is no blank.
fn rtrimmed_length(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_integers(|row| {
        Ok(texts.get(row).map(|t| count(t.trim_end_matches(' ').chars().count())))
    })
}

fn octet_length(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_integers(|row| Ok(texts.get(row).map(|t| count(t.len()))))
}

fn bit_length(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_integers(|row| Ok(texts.get(row).map(|t| count(t.len() * 8))))
}

fn binary_octets(rows: &Rows) -> KernelResult {
    let bytes = rows.bytes(0)?;
    rows.build_integers(|row| Ok(bytes.get(row).map(|b| count(b.len()))))
}

fn upper(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_texts(|row| Ok(texts.get(row).map(str::to_uppercase)))
}

fn lower(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_texts(|row| Ok(texts.get(row).map(str::to_lowercase)))
}

fn reverse(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_texts(|row| Ok(texts.get(row).map(|t| t.chars().rev().collect::<String>())))
}

/// Snowflake's default word delimiters of INITCAP.
const DELIMITERS: &str = " \t\n\r\u{c}\u{b}!?@\"^#$&~_,.:;+-*%/|\\[](){}<>";

fn initcap(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    let delimiters = if rows.inputs.len() > 1 { Some(rows.texts(1)?) } else { None };
    rows.build_texts(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let ends = match &delimiters {
            Some(d) => match d.get(row) {
                Some(d) => d,
                None => return Ok(None),
            },
            None => DELIMITERS,
        };
        let mut start = true;
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            // A delimiter stays as it is, a letter among them too.
            let ends_word = ends.contains(c);
            if start && !ends_word {
                out.extend(c.to_uppercase());
            } else {
                out.extend(c.to_lowercase());
            }
            start = ends_word;
        }
        Ok(Some(out))
    })
}

fn trim_by(rows: &Rows, left: bool, right: bool) -> KernelResult {
    let texts = rows.texts(0)?;
    let chars = if rows.inputs.len() > 1 { Some(rows.texts(1)?) } else { None };
    rows.build_texts(|row| {
        let Some(mut text) = texts.get(row) else { return Ok(None) };
        let set = match &chars {
            Some(c) => match c.get(row) {
                Some(c) => c,
                None => return Ok(None),
            },
            None => " ",
        };
        if left {
            text = text.trim_start_matches(|c| set.contains(c));
        }
        if right {
            text = text.trim_end_matches(|c| set.contains(c));
        }
        Ok(Some(text))
    })
}

fn trim(rows: &Rows) -> KernelResult {
    trim_by(rows, true, true)
}

fn ltrim(rows: &Rows) -> KernelResult {
    trim_by(rows, true, false)
}

fn rtrim(rows: &Rows) -> KernelResult {
    trim_by(rows, false, true)
}

fn pad(rows: &Rows, left: bool) -> KernelResult {
    let texts = rows.texts(0)?;
    let lengths = rows.integers(1)?;
    let pads = if rows.inputs.len() > 2 { Some(rows.texts(2)?) } else { None };
    rows.build_texts(|row| {
        let (Some(text), Some(length)) = (texts.get(row), lengths.get(row)) else {
            return Ok(None);
        };
        let pad = match &pads {
            Some(p) => match p.get(row) {
                Some(p) => p,
                None => return Ok(None),
            },
            None => " ",
        };
        let length = length.max(0) as usize;
        if length > frazil_common::types::VARCHAR_LENGTH_MAX as usize {
            return Err(too_long().into());
        }
        rows.room_for(length)?;
        let held = text.chars().count();
        if held >= length {
            return Ok(Some(text.chars().take(length).collect::<String>()));
        }
        let filler: String = pad.chars().cycle().take(length - held).collect();
        Ok(Some(if left { format!("{filler}{text}") } else { format!("{text}{filler}") }))
    })
}

fn lpad(rows: &Rows) -> KernelResult {
    pad(rows, true)
}

fn rpad(rows: &Rows) -> KernelResult {
    pad(rows, false)
}

/// Characters `from..from + length` (0-based, in characters) of a text.
fn slice(text: &str, from: usize, length: usize) -> &str {
    if text.is_ascii() {
        let start = from.min(text.len());
        let end = start.saturating_add(length).min(text.len());
        return text.get(start..end).unwrap_or("");
    }
    let mut indices = text.char_indices().map(|(i, _)| i).chain([text.len()]);
    let Some(start) = indices.nth(from) else { return "" };
    let end = if length == 0 {
        start
    } else {
        text[start..].char_indices().nth(length).map_or(text.len(), |(i, _)| start + i)
    };
    text.get(start..end).unwrap_or("")
}

/// A start of 0 counts as 1; a negative start counts from the end, and one before the beginning
/// gives an empty text.
fn substr(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    let starts = rows.integers(1)?;
    let lengths = if rows.inputs.len() > 2 { Some(rows.integers(2)?) } else { None };
    rows.build_texts(|row| {
        let (Some(text), Some(start)) = (texts.get(row), starts.get(row)) else {
            return Ok(None);
        };
        let length = match &lengths {
            Some(l) => match l.get(row) {
                Some(l) => l.max(0) as usize,
                None => return Ok(None),
            },
            None => usize::MAX,
        };
        let from = match start {
            0 => 0,
            start if start > 0 => start as usize - 1,
            start => {
                let held = text.chars().count() as i64;
                if held + start < 0 {
                    return Ok(Some(""));
                }
                (held + start) as usize
            }
        };
        Ok(Some(slice(text, from, length)))
    })
}

fn left(rows: &Rows) -> KernelResult {
    let (texts, lengths) = (rows.texts(0)?, rows.integers(1)?);
    rows.build_texts(|row| match (texts.get(row), lengths.get(row)) {
        (Some(text), Some(length)) => Ok(Some(slice(text, 0, length.max(0) as usize))),
        _ => Ok(None),
    })
}

fn right(rows: &Rows) -> KernelResult {
    let (texts, lengths) = (rows.texts(0)?, rows.integers(1)?);
    rows.build_texts(|row| match (texts.get(row), lengths.get(row)) {
        (Some(text), Some(length)) => {
            let held = text.chars().count();
            Ok(Some(slice(text, held.saturating_sub(length.max(0) as usize), usize::MAX)))
        }
        _ => Ok(None),
    })
}

fn replace(rows: &Rows) -> KernelResult {
    let (texts, from) = (rows.texts(0)?, rows.texts(1)?);
    let to = if rows.inputs.len() > 2 { Some(rows.texts(2)?) } else { None };
    rows.build_texts(|row| {
        let (Some(text), Some(from)) = (texts.get(row), from.get(row)) else { return Ok(None) };
        let to = match &to {
            Some(t) => match t.get(row) {
                Some(t) => t,
                None => return Ok(None),
            },
            None => "",
        };
        if from.is_empty() {
            return Ok(Some(text.to_string()));
        }
        if to.len() > from.len() {
            let more = text.matches(from).count().saturating_mul(to.len() - from.len());
            if more.saturating_add(text.len()) > TEXT_BYTES_MAX {
                return Err(too_long().into());
            }
        }
        Ok(Some(text.replace(from, to)))
    })
}

/// Part 0 counts as 1, negative parts count from the end; a part that is not there is empty.
fn split_part(rows: &Rows) -> KernelResult {
    let (texts, by, part) = (rows.texts(0)?, rows.texts(1)?, rows.integers(2)?);
    rows.build_texts(|row| {
        let (Some(text), Some(by), Some(part)) = (texts.get(row), by.get(row), part.get(row))
        else {
            return Ok(None);
        };
        let index = part.unsigned_abs().max(1) as usize - 1;
        if by.is_empty() {
            return Ok(Some(if index == 0 { text } else { "" }));
        }
        let found = if part < 0 { text.rsplit(by).nth(index) } else { text.split(by).nth(index) };
        Ok(Some(found.unwrap_or("")))
    })
}

/// Tokens between any of the delimiter characters; empty tokens do not count.
pub(crate) fn tokens<'a>(text: &'a str, by: &str) -> Vec<&'a str> {
    text.split(|c| by.contains(c)).filter(|t| !t.is_empty()).collect()
}

fn strtok(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    let by = if rows.inputs.len() > 1 { Some(rows.texts(1)?) } else { None };
    let part = if rows.inputs.len() > 2 { Some(rows.integers(2)?) } else { None };
    rows.build_texts(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let by = match &by {
            Some(b) => match b.get(row) {
                Some(b) => b,
                None => return Ok(None),
            },
            None => " ",
        };
        let part = match &part {
            Some(p) => match p.get(row) {
                Some(p) => p,
                None => return Ok(None),
            },
            None => 1,
        };
        if part < 1 || (text.is_empty() && by.is_empty()) {
            return Ok(None);
        }
        if by.is_empty() {
            return Ok((part == 1).then_some(text));
        }
        Ok(tokens(text, by).get(part as usize - 1).copied())
    })
}

fn pair(rows: &Rows, found: fn(&str, &str) -> bool) -> KernelResult {
    let (texts, parts) = (rows.texts(0)?, rows.texts(1)?);
    rows.build_booleans(|row| match (texts.get(row), parts.get(row)) {
        (Some(text), Some(part)) => Ok(Some(found(text, part))),
        _ => Ok(None),
    })
}

fn contains(rows: &Rows) -> KernelResult {
    pair(rows, |text, part| text.contains(part))
}

fn startswith(rows: &Rows) -> KernelResult {
    pair(rows, |text, part| text.starts_with(part))
}

fn endswith(rows: &Rows) -> KernelResult {
    pair(rows, |text, part| text.ends_with(part))
}

fn position(rows: &Rows) -> KernelResult {
    let (parts, texts) = (rows.texts(0)?, rows.texts(1)?);
    let starts = if rows.inputs.len() > 2 { Some(rows.integers(2)?) } else { None };
    rows.build_integers(|row| {
        let (Some(part), Some(text)) = (parts.get(row), texts.get(row)) else { return Ok(None) };
        let start = match &starts {
            Some(s) => match s.get(row) {
                Some(s) => s.max(1) as usize - 1,
                None => return Ok(None),
            },
            None => 0,
        };
        let Some(from) = text.char_indices().map(|(i, _)| i).chain([text.len()]).nth(start) else {
            return Ok(Some(0));
        };
        Ok(Some(match text[from..].find(part) {
            Some(at) => count(text[..from + at].chars().count() + 1),
            None => 0,
        }))
    })
}

fn repeat(rows: &Rows) -> KernelResult {
    let (texts, times) = (rows.texts(0)?, rows.integers(1)?);
    rows.build_texts(|row| match (texts.get(row), times.get(row)) {
        (Some(text), Some(times)) => {
            let times = times.max(0) as usize;
            let total = text.len().saturating_mul(times);
            if total > TEXT_BYTES_MAX {
                return Err(too_long().into());
            }
            rows.room_for(total)?;
            Ok(Some(text.repeat(times)))
        }
        _ => Ok(None),
    })
}

fn space(rows: &Rows) -> KernelResult {
    let times = rows.integers(0)?;
    rows.build_texts(|row| match times.get(row) {
        Some(n) if n > frazil_common::types::VARCHAR_LENGTH_MAX as i64 => Err(too_long().into()),
        Some(n) => {
            let spaces = n.max(0) as usize;
            rows.room_for(spaces)?;
            Ok(Some(" ".repeat(spaces)))
        }
        None => Ok(None),
    })
}

fn ascii(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_integers(|row| Ok(texts.get(row).map(|t| t.chars().next().map_or(0, |c| c as i64))))
}

fn chr(rows: &Rows) -> KernelResult {
    let codes = rows.integers(0)?;
    rows.build_texts(|row| {
        let Some(code) = codes.get(row) else { return Ok(None) };
        match u32::try_from(code).ok().and_then(char::from_u32) {
            Some(c) => Ok(Some(c.to_string())),
            None => Err(UserError::new(
                Code::InvalidArgument,
                format!("Invalid Unicode code point {code} in CHR"),
            )
            .into()),
        }
    })
}

fn translate(rows: &Rows) -> KernelResult {
    let (texts, from, to) = (rows.texts(0)?, rows.texts(1)?, rows.texts(2)?);
    rows.build_texts(|row| {
        let (Some(text), Some(from), Some(to)) = (texts.get(row), from.get(row), to.get(row))
        else {
            return Ok(None);
        };
        let to: Vec<char> = to.chars().collect();
        let out: String = text
            .chars()
            .filter_map(|c| match from.chars().position(|f| f == c) {
                Some(at) => to.get(at).copied(),
                None => Some(c),
            })
            .collect();
        Ok(Some(out))
    })
}

/// Characters from which a text is compared with an eye on the statement's end.
const LONG_TEXT: usize = 1024;

fn editdistance(rows: &Rows) -> KernelResult {
    let (left, right) = (rows.texts(0)?, rows.texts(1)?);
    let most = if rows.inputs.len() > 2 { Some(rows.integers(2)?) } else { None };
    rows.build_integers(|row| {
        let (Some(a), Some(b)) = (left.get(row), right.get(row)) else { return Ok(None) };
        let limit = match &most {
            Some(m) => match m.get(row) {
                Some(m) => m.max(0),
                None => return Ok(None),
            },
            None => i64::MAX,
        };
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let mut costs: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            // The work is the product of the lengths: minutes for one pair of long texts.
            if b.len() > LONG_TEXT || i.is_multiple_of(LONG_TEXT) {
                rows.check()?;
            }
            let mut diagonal = costs[0];
            costs[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let change = diagonal + usize::from(x != y);
                diagonal = costs[j + 1];
                costs[j + 1] = change.min(costs[j] + 1).min(diagonal + 1);
            }
        }
        Ok(Some(count(costs[b.len()]).min(limit)))
    })
}

/// Similarity 0–100, ignoring case.
pub(crate) fn jarowinkler(rows: &Rows) -> KernelResult {
    let (left, right) = (rows.texts(0)?, rows.texts(1)?);
    rows.build_integers(|row| match (left.get(row), right.get(row)) {
        (Some(a), Some(b)) => Ok(Some((jaro_winkler(rows, a, b)? * 100.0).floor() as i64)),
        _ => Ok(None),
    })
}

fn jaro_winkler(rows: &Rows, a: &str, b: &str) -> KernelResult<f64> {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    if a.is_empty() || b.is_empty() {
        return Ok(0.0);
    }
    let window = (a.len().max(b.len()) / 2).saturating_sub(1);
    let mut used = vec![false; b.len()];
    let mut matched = Vec::new();
    for (i, x) in a.iter().enumerate() {
        if b.len() > LONG_TEXT || i.is_multiple_of(LONG_TEXT) {
            rows.check()?;
        }
        let from = i.saturating_sub(window);
        let to = (i + window + 1).min(b.len());
        if let Some(j) = (from..to).find(|&j| !used[j] && b[j] == *x) {
            used[j] = true;
            matched.push(*x);
        }
    }
    let m = matched.len() as f64;
    if m == 0.0 {
        return Ok(0.0);
    }
    let other = b.iter().zip(&used).filter(|(_, u)| **u).map(|(c, _)| *c);
    // Half the characters out of order, cut to a whole number.
    let swaps = (matched.iter().zip(other).filter(|(x, y)| **x != *y).count() / 2) as f64;
    let jaro = (m / a.len() as f64 + m / b.len() as f64 + (m - swaps) / m) / 3.0;
    let prefix = a.iter().zip(&b).take(4).take_while(|(x, y)| x == y).count() as f64;
    Ok(jaro + prefix * 0.1 * (1.0 - jaro))
}

fn insert(rows: &Rows) -> KernelResult {
    let (texts, at) = (rows.texts(0)?, rows.integers(1)?);
    let (lengths, new) = (rows.integers(2)?, rows.texts(3)?);
    rows.build_texts(|row| {
        let (Some(text), Some(at), Some(length), Some(new)) =
            (texts.get(row), at.get(row), lengths.get(row), new.get(row))
        else {
            return Ok(None);
        };
        let from = at.max(1) as usize - 1;
        let head = slice(text, 0, from);
        let tail = slice(text, from.saturating_add(length.max(0) as usize), usize::MAX);
        Ok(Some(format!("{head}{new}{tail}")))
    })
}

fn soundex(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    let digit = |c: char| match c.to_ascii_lowercase() {
        'b' | 'f' | 'p' | 'v' => '1',
        'c' | 'g' | 'j' | 'k' | 'q' | 's' | 'x' | 'z' => '2',
        'd' | 't' => '3',
        'l' => '4',
        'm' | 'n' => '5',
        'r' => '6',
        _ => '0',
    };
    rows.build_texts(|row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let mut letters = text.chars().filter(char::is_ascii_alphabetic);
        let Some(first) = letters.next() else { return Ok(Some(String::new())) };
        let mut out = first.to_ascii_uppercase().to_string();
        let mut last = digit(first);
        for c in letters {
            let code = digit(c);
            if code != '0' && code != last {
                out.push(code);
            }
            // H and W do not separate equal codes.
            if !matches!(c.to_ascii_lowercase(), 'h' | 'w') {
                last = code;
            }
            if out.len() == 4 {
                break;
            }
        }
        Ok(Some(format!("{out:0<4}")))
    })
}
