//! REGEXP functions. Parameters: c, i (case), m (lines), s (dot matches newline), e (groups).

use frazil_common::{Code, SqlType, UserError};
use regex::{Regex, RegexBuilder};

use crate::arguments::SMALL_INTEGER;
use crate::kernel::{KernelResult, Rows};
use crate::made::{TEXT_BYTES_MAX, too_long};
use crate::operators::{Patterns, regex_error};
use crate::registry::Registry;
use crate::variant::Value;

const TEXT: SqlType = SqlType::TEXT;
const INT: SqlType = SMALL_INTEGER;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["REGEXP_LIKE", "RLIKE", "REGEXP"], |a| {
        a.expect(2..=3)?;
        a.kernel("frazil_regexp_like", &[TEXT], SqlType::Boolean, regexp_like)
    });
    registry.add(&["REGEXP_COUNT"], |a| {
        a.expect(2..=4)?;
        a.kernel("frazil_regexp_count", &[TEXT, TEXT, INT, TEXT], INT, regexp_count)
    });
    registry.add(&["REGEXP_REPLACE"], |a| {
        a.expect(2..=6)?;
        let types = [TEXT, TEXT, TEXT, INT, INT, TEXT];
        a.kernel("frazil_regexp_replace", &types, TEXT, regexp_replace)
    });
    registry.add(&["REGEXP_SUBSTR"], |a| {
        a.expect(2..=6)?;
        let types = [TEXT, TEXT, INT, INT, TEXT, INT];
        let mut out = a.kernel("frazil_regexp_substr", &types, TEXT, regexp_substr)?;
        out.nullable = true;
        Ok(out)
    });
    registry.add(&["REGEXP_SUBSTR_ALL", "REGEXP_EXTRACT_ALL"], |a| {
        a.expect(2..=6)?;
        let types = [TEXT, TEXT, INT, INT, TEXT, INT];
        a.kernel("frazil_regexp_substr_all", &types, SqlType::Array, regexp_substr_all)
    });
    registry.add(&["REGEXP_INSTR"], |a| {
        a.expect(2..=7)?;
        let types = [TEXT, TEXT, INT, INT, INT, TEXT, INT];
        a.kernel("frazil_regexp_instr", &types, INT, regexp_instr)
    });
}

/// Compiles a pattern with Snowflake's parameters.
fn compile(pattern: &str, flags: &str, whole: bool) -> Result<Regex, UserError> {
    let text = if whole { format!("^(?:{pattern})$") } else { pattern.to_string() };
    let mut builder = RegexBuilder::new(&text);
    for flag in flags.chars() {
        match flag {
            'c' => builder.case_insensitive(false),
            'i' => builder.case_insensitive(true),
            'm' => builder.multi_line(true),
            's' => builder.dot_matches_new_line(true),
            'e' => &mut builder,
            other => {
                return Err(UserError::new(
                    Code::InvalidArgument,
                    format!("Invalid regular expression parameter '{other}'"),
                ));
            }
        };
    }
    builder.build().map_err(|_| regex_error(pattern))
}

/// An optional integer argument: absent gives the default, NULL gives `None`.
fn number(rows: &Rows, index: usize, row: usize, default: i64) -> KernelResult<Option<i64>> {
    if rows.inputs.len() <= index {
        return Ok(Some(default));
    }
    Ok(rows.integers(index)?.get(row))
}

fn flags(rows: &Rows, index: usize, row: usize) -> KernelResult<Option<&str>> {
    if rows.inputs.len() <= index {
        return Ok(Some("c"));
    }
    Ok(rows.texts(index)?.get(row))
}

/// Byte offset of a 1-based character position.
fn offset(text: &str, position: i64) -> Result<Option<usize>, UserError> {
    if position < 1 {
        return Err(UserError::new(
            Code::InvalidArgument,
            "Position of a regular expression function must be positive",
        ));
    }
    Ok(text.char_indices().map(|(i, _)| i).chain([text.len()]).nth(position as usize - 1))
}

fn regexp_like(rows: &Rows) -> KernelResult {
    let (texts, patterns) = (rows.texts(0)?, rows.texts(1)?);
    let mut compiled = Patterns::default();
    rows.build_booleans(|row| {
        let (Some(text), Some(pattern), Some(flags)) =
            (texts.get(row), patterns.get(row), flags(rows, 2, row)?)
        else {
            return Ok(None);
        };
        Ok(Some(compiled.get(pattern, flags, |p| compile(p, flags, true))?.is_match(text)))
    })
}

fn regexp_count(rows: &Rows) -> KernelResult {
    let (texts, patterns) = (rows.texts(0)?, rows.texts(1)?);
    let mut compiled = Patterns::default();
    rows.build_integers(|row| {
        let (Some(text), Some(pattern), Some(position), Some(flags)) =
            (texts.get(row), patterns.get(row), number(rows, 2, row, 1)?, flags(rows, 3, row)?)
        else {
            return Ok(None);
        };
        let Some(from) = offset(text, position)? else { return Ok(Some(0)) };
        let regex = compiled.get(pattern, flags, |p| compile(p, flags, false))?;
        Ok(Some(regex.find_iter(&text[from..]).count() as i64))
    })
}

/// Snowflake writes groups as `\1`.
fn expand(replacement: &str, captures: &regex::Captures, out: &mut String) {
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' {
            match chars.peek().copied() {
                Some(d) if d.is_ascii_digit() => {
                    chars.next();
                    let group = d.to_digit(10).unwrap_or(0) as usize;
                    out.push_str(captures.get(group).map_or("", |m| m.as_str()));
                }
                Some('\\') => {
                    chars.next();
                    out.push('\\');
                }
                _ => out.push(c),
            }
        } else {
            out.push(c);
        }
    }
}

fn regexp_replace(rows: &Rows) -> KernelResult {
    let (texts, patterns) = (rows.texts(0)?, rows.texts(1)?);
    let replacements = if rows.inputs.len() > 2 { Some(rows.texts(2)?) } else { None };
    let mut compiled = Patterns::default();
    rows.build_texts(|row| {
        let (Some(text), Some(pattern), Some(position), Some(occurrence), Some(flags)) = (
            texts.get(row),
            patterns.get(row),
            number(rows, 3, row, 1)?,
            number(rows, 4, row, 0)?,
            flags(rows, 5, row)?,
        ) else {
            return Ok(None);
        };
        let replacement = match &replacements {
            Some(r) => match r.get(row) {
                Some(r) => r,
                None => return Ok(None),
            },
            None => "",
        };
        let Some(from) = offset(text, position)? else { return Ok(Some(text.to_string())) };
        let regex = compiled.get(pattern, flags, |p| compile(p, flags, false))?;
        let (head, tail) = text.split_at(from);
        let mut out = head.to_string();
        let mut last = 0;
        for (index, captures) in regex.captures_iter(tail).enumerate() {
            if occurrence > 0 && index as i64 + 1 != occurrence {
                continue;
            }
            let Some(whole) = captures.get(0) else { continue };
            out.push_str(&tail[last..whole.start()]);
            expand(replacement, &captures, &mut out);
            if out.len() > TEXT_BYTES_MAX {
                return Err(too_long().into());
            }
            last = whole.end();
        }
        out.push_str(&tail[last..]);
        Ok(Some(out))
    })
}

/// The group to return: an explicit number, or 1 with parameter `e`, else the whole match.
fn group(rows: &Rows, index: usize, row: usize, flags: &str) -> KernelResult<Option<usize>> {
    let default = i64::from(flags.contains('e'));
    Ok(number(rows, index, row, default)?.map(|g| g.max(0) as usize))
}

fn regexp_substr(rows: &Rows) -> KernelResult {
    let (texts, patterns) = (rows.texts(0)?, rows.texts(1)?);
    let mut compiled = Patterns::default();
    rows.build_texts(|row| {
        let (Some(text), Some(pattern), Some(position), Some(occurrence), Some(flags)) = (
            texts.get(row),
            patterns.get(row),
            number(rows, 2, row, 1)?,
            number(rows, 3, row, 1)?,
            flags(rows, 4, row)?,
        ) else {
            return Ok(None);
        };
        let Some(group) = group(rows, 5, row, flags)? else { return Ok(None) };
        let Some(from) = offset(text, position)? else { return Ok(None) };
        let regex = compiled.get(pattern, flags, |p| compile(p, flags, false))?;
        let found = regex.captures_iter(&text[from..]).nth(occurrence.max(1) as usize - 1);
        Ok(found.and_then(|c| c.get(group).map(|m| m.as_str())))
    })
}

fn regexp_substr_all(rows: &Rows) -> KernelResult {
    let (texts, patterns) = (rows.texts(0)?, rows.texts(1)?);
    let mut compiled = Patterns::default();
    rows.build_variants(|row| {
        let (Some(text), Some(pattern), Some(position), Some(occurrence), Some(flags)) = (
            texts.get(row),
            patterns.get(row),
            number(rows, 2, row, 1)?,
            number(rows, 3, row, 1)?,
            flags(rows, 4, row)?,
        ) else {
            return Ok(None);
        };
        let Some(group) = group(rows, 5, row, flags)? else { return Ok(None) };
        let Some(from) = offset(text, position)? else {
            return Ok(Some(Value::List(Vec::new())));
        };
        let regex = compiled.get(pattern, flags, |p| compile(p, flags, false))?;
        let found = regex
            .captures_iter(&text[from..])
            .skip(occurrence.max(1) as usize - 1)
            .map(|c| c.get(group).map_or(Value::Null, |m| Value::Text(m.as_str().into())))
            .collect();
        Ok(Some(Value::List(found)))
    })
}

fn regexp_instr(rows: &Rows) -> KernelResult {
    let (texts, patterns) = (rows.texts(0)?, rows.texts(1)?);
    let mut compiled = Patterns::default();
    rows.build_integers(|row| {
        let (Some(text), Some(pattern), Some(position), Some(occurrence), Some(after)) = (
            texts.get(row),
            patterns.get(row),
            number(rows, 2, row, 1)?,
            number(rows, 3, row, 1)?,
            number(rows, 4, row, 0)?,
        ) else {
            return Ok(None);
        };
        let Some(flags) = flags(rows, 5, row)? else { return Ok(None) };
        let Some(group) = group(rows, 6, row, flags)? else { return Ok(None) };
        let Some(from) = offset(text, position)? else { return Ok(Some(0)) };
        let regex = compiled.get(pattern, flags, |p| compile(p, flags, false))?;
        let found = regex
            .captures_iter(&text[from..])
            .nth(occurrence.max(1) as usize - 1)
            .and_then(|c| c.get(group).map(|m| if after == 0 { m.start() } else { m.end() }));
        Ok(Some(match found {
            Some(at) => text[..from + at].chars().count() as i64 + 1,
            None => 0,
        }))
    })
}
