//! Records of a CSV file by the rules of Snowflake's CSV format, with the place of every field.
//!
//! A record that breaks the rules is told and skipped up to the next record delimiter, so that a
//! load may go on behind it.

use std::io::Read;

use crate::stages::file_format::{FileFormat, RecordDelimiter};

/// Bytes read at first; doubled while a record does not fit.
const CHUNK_BYTES: usize = 256 * 1024;
/// Largest record.
const RECORD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A field of the current record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    /// Range in the reader's buffer, or in the record's own bytes where escapes were resolved.
    start: usize,
    end: usize,
    own: bool,
    /// Where the field's text begins in the file's buffer, delimiters and quotes before it left out.
    at: usize,
    pub enclosed: bool,
}

/// Why a record is not well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub message: String,
    /// Index of the field it happened in.
    pub field: usize,
    /// Place of the offending byte.
    pub place: Place,
}

/// A place in a file, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// From 1.
    pub line: u64,
    /// From 1, in bytes of the line.
    pub character: u64,
    /// From 0.
    pub byte: u64,
}

/// What `next` found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Record,
    Malformed(Malformed),
    End,
}

/// Reads records one after another. The current record's fields are read by index until the next
/// call of [`CsvReader::next`].
pub(crate) struct CsvReader {
    input: Box<dyn Read + Send>,
    rules: Rules,
    buffer: Vec<u8>,
    /// The unread part of the buffer.
    position: usize,
    ended: bool,
    /// File offset of the buffer's first byte.
    base: u64,
    /// Line of the next record, from 1.
    line: u64,
    /// File offset where the line of `line` began.
    line_start: u64,
    /// Start of the current record in the buffer, and its length with the delimiter.
    record: (usize, usize),
    record_line: u64,
    record_line_start: u64,
    fields: Vec<Field>,
    resolved: Vec<u8>,
}

/// The format as the inner loop wants it.
#[derive(Debug, Clone)]
struct Rules {
    field: Option<Vec<u8>>,
    record: RecordDelimiter,
    enclosed_by: Option<u8>,
    escape: Option<u8>,
    escape_unenclosed: Option<u8>,
    trim: bool,
    multi_line: bool,
    skip_blank: bool,
    /// Bytes at which an unenclosed field may end or change its meaning.
    special: [bool; 256],
}

/// How far a record was read.
enum Step {
    /// The record ended; the number of bytes it took with its delimiter.
    Done(usize),
    More,
    Bad {
        message: String,
        field: usize,
        at: usize,
    },
}

impl CsvReader {
    /// A reader at the start of the file: a byte order mark and SKIP_HEADER's lines are passed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn new(input: Box<dyn Read + Send>, format: &FileFormat) -> std::io::Result<CsvReader> {
        let mut reader = CsvReader {
            input,
            rules: Rules::new(format),
            buffer: Vec::new(),
            position: 0,
            ended: false,
            base: 0,
            line: 1,
            line_start: 0,
            record: (0, 0),
            record_line: 1,
            record_line_start: 0,
            fields: Vec::new(),
            resolved: Vec::new(),
        };
        reader.fill()?;
        if format.skip_byte_order_mark && reader.buffer.starts_with(b"\xEF\xBB\xBF") {
            reader.position = 3;
            reader.line_start = 3;
        }
        for _ in 0..format.skip_header {
            if !reader.skip_line()? {
                break;
            }
        }
        Ok(reader)
    }

    /// Moves to the next record.
    ///
    /// # Errors
    /// The file cannot be read, or a record is larger than the bound.
    pub fn next(&mut self) -> std::io::Result<Found> {
        loop {
            if self.position >= self.buffer.len() && !self.more()? {
                return Ok(Found::End);
            }
            self.fields.clear();
            self.resolved.clear();
            let step = parse(
                &self.rules,
                &self.buffer[self.position..],
                self.ended,
                &mut self.fields,
                &mut self.resolved,
            );
            match step {
                Step::More => {
                    self.more()?;
                }
                Step::Done(length) => {
                    self.begin(length);
                    let blank = self.fields.len() == 1
                        && !self.fields[0].enclosed
                        && self.fields[0].start == self.fields[0].end;
                    if blank && self.rules.skip_blank {
                        continue;
                    }
                    return Ok(Found::Record);
                }
                Step::Bad { message, field, at } => {
                    let start = self.position;
                    let Some(length) = self.resynchronise(at)? else { continue };
                    debug_assert_eq!(start, self.position);
                    self.begin(length);
                    let place = self.place(self.record.0 + at);
                    return Ok(Found::Malformed(Malformed { message, field, place }));
                }
            }
        }
    }

    /// Number of fields of the current record.
    pub fn width(&self) -> usize {
        self.fields.len()
    }

    /// A field of the current record: its bytes, escapes resolved, and whether it was enclosed.
    pub fn field(&self, index: usize) -> Option<(&[u8], bool)> {
        let field = self.fields.get(index)?;
        let bytes = if field.own {
            &self.resolved[field.start..field.end]
        } else {
            &self.buffer[self.record.0 + field.start..self.record.0 + field.end]
        };
        Some((bytes, field.enclosed))
    }

    /// A field as it stands in the file, where that differs from what it means.
    pub fn raw_field(&self, index: usize) -> Option<&[u8]> {
        let field = self.fields.get(index).filter(|field| field.own)?;
        let rest = &self.buffer[self.record.0 + field.at..self.record.0 + self.record.1];
        let end = self.rules.field.as_ref().and_then(|delimiter| find(rest, delimiter));
        let end = end.unwrap_or_else(|| {
            rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len())
        });
        Some(&rest[..end])
    }

    /// Where a field of the current record begins; behind the last one where the record ends.
    pub fn field_place(&self, index: usize) -> Place {
        let at = match self.fields.get(index) {
            Some(field) => field.at,
            None => self.content_length(),
        };
        self.place(self.record.0 + at)
    }

    /// Where the current record begins.
    pub fn record_place(&self) -> Place {
        Place {
            line: self.record_line,
            character: 1 + self.base + self.record.0 as u64 - self.record_line_start,
            byte: self.base + self.record.0 as u64,
        }
    }

    /// The current record as it stands in the file, without its delimiter.
    pub fn raw(&self) -> &[u8] {
        &self.buffer[self.record.0..self.record.0 + self.content_length()]
    }

    fn content_length(&self) -> usize {
        let (start, length) = self.record;
        let bytes = &self.buffer[start..start + length];
        match &self.rules.record {
            RecordDelimiter::NewLine => {
                let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                bytes.strip_suffix(b"\r").unwrap_or(bytes).len()
            }
            RecordDelimiter::Text(text) => {
                bytes.strip_suffix(text.as_bytes()).unwrap_or(bytes).len()
            }
            RecordDelimiter::None => length,
        }
    }

    /// Makes the next `length` bytes the current record.
    fn begin(&mut self, length: usize) {
        self.record = (self.position, length);
        self.record_line = self.line;
        self.record_line_start = self.line_start;
        let bytes = &self.buffer[self.position..self.position + length];
        let (lines, last) = count_lines(bytes);
        if lines > 0 {
            self.line += lines;
            self.line_start = self.base + (self.position + last) as u64;
        }
        self.position += length;
    }

    /// The place of a byte of the buffer inside the current record.
    fn place(&self, at: usize) -> Place {
        let before = &self.buffer[self.record.0..at.min(self.buffer.len())];
        let (lines, last) = count_lines(before);
        let line_start = if lines == 0 {
            self.record_line_start
        } else {
            self.base + (self.record.0 + last) as u64
        };
        let byte = self.base + at as u64;
        Place { line: self.record_line + lines, character: 1 + byte - line_start, byte }
    }

    /// Length of a broken record: up to the first record delimiter behind `at`. None where more
    /// bytes had to be read and the record must be looked at again.
    fn resynchronise(&mut self, at: usize) -> std::io::Result<Option<usize>> {
        let rest = &self.buffer[self.position + at.min(self.buffer.len() - self.position)..];
        let found = match &self.rules.record {
            RecordDelimiter::NewLine => {
                rest.iter().position(|b| matches!(b, b'\n' | b'\r')).map(|index| {
                    let pair = rest[index] == b'\r' && rest.get(index + 1) == Some(&b'\n');
                    (index, 1 + usize::from(pair))
                })
            }
            RecordDelimiter::Text(text) => {
                find(rest, text.as_bytes()).map(|index| (index, text.len()))
            }
            RecordDelimiter::None => None,
        };
        match found {
            // A carriage return at the buffer's end may be half of a pair.
            Some((index, length)) if self.ended || index + length < rest.len() => {
                Ok(Some(at + index + length))
            }
            _ if self.ended => Ok(Some(self.buffer.len() - self.position)),
            _ => {
                self.more()?;
                Ok(None)
            }
        }
    }

    fn skip_line(&mut self) -> std::io::Result<bool> {
        loop {
            let rest = &self.buffer[self.position..];
            let found = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
            if let Some(index) = found {
                let pair = rest[index] == b'\r' && rest.get(index + 1) == Some(&b'\n');
                let length = index + 1 + usize::from(pair);
                if self.ended || length < rest.len() {
                    self.begin(length);
                    return Ok(true);
                }
            }
            if !self.more()? {
                let rest = self.buffer.len() - self.position;
                self.begin(rest);
                return Ok(false);
            }
        }
    }

    /// Gets more bytes behind the unread ones; false at the end of the file.
    fn more(&mut self) -> std::io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.position);
        self.base += self.position as u64;
        self.position = 0;
        if self.buffer.len() > RECORD_BYTES_MAX {
            return Err(std::io::Error::other(format!(
                "a record is longer than {RECORD_BYTES_MAX} bytes"
            )));
        }
        self.fill()
    }

    fn fill(&mut self) -> std::io::Result<bool> {
        let held = self.buffer.len();
        let wanted = CHUNK_BYTES.max(held);
        self.buffer.resize(held + wanted, 0);
        let mut filled = held;
        while filled < self.buffer.len() {
            match self.input.read(&mut self.buffer[filled..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(filled);
        Ok(filled > held)
    }
}

/// Line ends in the bytes, and where the last line begins.
fn count_lines(bytes: &[u8]) -> (u64, usize) {
    let mut lines = 0;
    let mut last = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let ends = match byte {
            b'\n' => true,
            b'\r' => bytes.get(index + 1).is_none_or(|next| *next != b'\n'),
            _ => false,
        };
        if ends {
            lines += 1;
            last = index + 1;
        }
    }
    (lines, last)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

impl Rules {
    fn new(format: &FileFormat) -> Rules {
        let mut rules = Rules {
            field: format.field_delimiter.clone().map(String::into_bytes),
            record: format.record_delimiter.clone(),
            enclosed_by: format.enclosed_by,
            escape: format.escape,
            escape_unenclosed: format.unenclosed_escape(),
            trim: format.trim_space,
            multi_line: format.multi_line,
            skip_blank: format.skip_blank_lines,
            special: [false; 256],
        };
        let mut mark = |byte: u8| rules.special[usize::from(byte)] = true;
        if let Some(byte) = format.field_delimiter.as_ref().and_then(|text| text.bytes().next()) {
            mark(byte);
        }
        match &format.record_delimiter {
            RecordDelimiter::NewLine => {
                mark(b'\n');
                mark(b'\r');
            }
            RecordDelimiter::Text(text) => text.bytes().take(1).for_each(&mut mark),
            RecordDelimiter::None => {}
        }
        if let Some(byte) = format.unenclosed_escape() {
            mark(byte);
        }
        rules
    }

    /// Length of the field delimiter at the bytes' start.
    fn ends_field(&self, bytes: &[u8]) -> Option<usize> {
        let delimiter = self.field.as_deref()?;
        bytes.starts_with(delimiter).then_some(delimiter.len())
    }

    /// Length of the record delimiter at the bytes' start.
    fn ends_record(&self, bytes: &[u8]) -> Option<usize> {
        match &self.record {
            RecordDelimiter::NewLine => match bytes {
                [b'\r', b'\n', ..] => Some(2),
                [b'\r' | b'\n', ..] => Some(1),
                _ => None,
            },
            RecordDelimiter::Text(text) => bytes.starts_with(text.as_bytes()).then_some(text.len()),
            RecordDelimiter::None => None,
        }
    }

    /// Bytes that must be at hand to tell a delimiter from data.
    fn lookahead(&self) -> usize {
        let field = self.field.as_ref().map_or(0, Vec::len);
        let record = match &self.record {
            RecordDelimiter::NewLine => 2,
            RecordDelimiter::Text(text) => text.len(),
            RecordDelimiter::None => 0,
        };
        field.max(record)
    }
}

/// The character an escaped byte stands for.
fn escaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'0' => 0,
        other => other,
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Reads one record from the start of `bytes`.
fn parse(
    rules: &Rules,
    bytes: &[u8],
    ended: bool,
    fields: &mut Vec<Field>,
    resolved: &mut Vec<u8>,
) -> Step {
    let lookahead = rules.lookahead();
    // Whether what stands at `at` can be judged.
    let short = |at: usize| !ended && bytes.len() - at < lookahead;
    let mut at = 0;
    loop {
        let field_start = at;
        if rules.trim {
            while at < bytes.len()
                && is_blank(bytes[at])
                && rules.ends_field(&bytes[at..]).is_none()
                && rules.ends_record(&bytes[at..]).is_none()
            {
                at += 1;
            }
        }
        if at == bytes.len() && !ended {
            return Step::More;
        }
        let quote = rules.enclosed_by.filter(|quote| bytes.get(at) == Some(quote));
        if let Some(quote) = quote {
            match enclosed(rules, bytes, at, quote, ended, resolved) {
                Enclosed::More => return Step::More,
                Enclosed::Bad(message, place) => {
                    return Step::Bad { message, field: fields.len(), at: place };
                }
                Enclosed::Done(field, next) => {
                    fields.push(field);
                    at = next;
                }
            }
            if rules.trim {
                while at < bytes.len() && is_blank(bytes[at]) {
                    at += 1;
                }
            }
            if short(at) {
                return Step::More;
            }
            if at == bytes.len() {
                return Step::Done(at);
            }
            if let Some(length) = rules.ends_field(&bytes[at..]) {
                at += length;
                continue;
            }
            if let Some(length) = rules.ends_record(&bytes[at..]) {
                return Step::Done(at + length);
            }
            let shown = String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 4)]);
            let shown = shown.chars().next().unwrap_or('?');
            let expected = match &rules.field {
                Some(field) => {
                    format!("field delimiter '{}'", String::from_utf8_lossy(field))
                }
                None => "record delimiter".to_string(),
            };
            return Step::Bad {
                message: format!("Found character '{shown}' instead of {expected}"),
                field: fields.len().saturating_sub(1),
                at,
            };
        }
        // Unenclosed. Leading blanks that are no part of the value were passed.
        let value_start = if rules.trim { at } else { field_start };
        let own_start = resolved.len();
        let mut own = false;
        let ending = loop {
            let mut next = at;
            while next < bytes.len() && !rules.special[usize::from(bytes[next])] {
                next += 1;
            }
            if own {
                resolved.extend_from_slice(&bytes[at..next]);
            }
            at = next;
            if short(at) {
                return Step::More;
            }
            if at == bytes.len() {
                break (0, true);
            }
            if let Some(length) = rules.ends_field(&bytes[at..]) {
                break (length, false);
            }
            if let Some(length) = rules.ends_record(&bytes[at..]) {
                break (length, true);
            }
            if rules.escape_unenclosed == Some(bytes[at]) {
                match bytes.get(at + 1) {
                    Some(following) => {
                        if !own {
                            own = true;
                            resolved.extend_from_slice(&bytes[value_start..at]);
                        }
                        resolved.push(escaped(*following));
                        at += 2;
                        continue;
                    }
                    None if !ended => return Step::More,
                    None => {}
                }
            }
            if own {
                resolved.push(bytes[at]);
            }
            at += 1;
        };
        let (mut start, mut end) =
            if own { (own_start, resolved.len()) } else { (value_start, at) };
        if rules.trim {
            let held: &[u8] = if own { &resolved[..] } else { bytes };
            while end > start && is_blank(held[end - 1]) {
                end -= 1;
            }
            while start < end && is_blank(held[start]) {
                start += 1;
            }
        }
        fields.push(Field { start, end, own, at: value_start, enclosed: false });
        let (length, record_ends) = ending;
        at += length;
        if record_ends {
            return Step::Done(at);
        }
    }
}

enum Enclosed {
    Done(Field, usize),
    More,
    Bad(String, usize),
}

/// Reads an enclosed field whose quote stands at `open`; gives where the closing quote ended.
fn enclosed(
    rules: &Rules,
    bytes: &[u8],
    open: usize,
    quote: u8,
    ended: bool,
    resolved: &mut Vec<u8>,
) -> Enclosed {
    let start = open + 1;
    let own_start = resolved.len();
    let mut own = false;
    let mut at = start;
    loop {
        let Some(byte) = bytes.get(at).copied() else {
            if !ended {
                return Enclosed::More;
            }
            return Enclosed::Bad(
                format!("Found end of file instead of the closing '{}'", quote as char),
                bytes.len(),
            );
        };
        if byte == quote {
            match bytes.get(at + 1) {
                None if !ended => return Enclosed::More,
                Some(next) if *next == quote => {
                    if !own {
                        own = true;
                        resolved.extend_from_slice(&bytes[start..at]);
                    }
                    resolved.push(quote);
                    at += 2;
                    continue;
                }
                _ => {
                    let (from, to) = if own { (own_start, resolved.len()) } else { (start, at) };
                    let field = Field { start: from, end: to, own, at: start, enclosed: true };
                    return Enclosed::Done(field, at + 1);
                }
            }
        }
        if rules.escape == Some(byte) {
            match bytes.get(at + 1) {
                Some(next) => {
                    if !own {
                        own = true;
                        resolved.extend_from_slice(&bytes[start..at]);
                    }
                    resolved.push(escaped(*next));
                    at += 2;
                    continue;
                }
                None if !ended => return Enclosed::More,
                None => {}
            }
        }
        if !rules.multi_line && rules.ends_record(&bytes[at..]).is_some() {
            return Enclosed::Bad("Found record delimiter inside an enclosed field".into(), at);
        }
        if own {
            resolved.push(byte);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::stages::file_format::build;
    use serde_json::{Value, json};

    /// Gives one byte at a time, so that every boundary is met.
    struct Trickle(Vec<u8>, usize);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some(byte) = self.0.get(self.1) else { return Ok(0) };
            buffer[0] = *byte;
            self.1 += 1;
            Ok(1)
        }
    }

    fn all(text: &str, options: &[(&str, Value)]) -> Vec<Result<Vec<String>, String>> {
        let options = options.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
        let format = build(&options).unwrap();
        let input = Box::new(Trickle(text.as_bytes().to_vec(), 0));
        let mut reader = CsvReader::new(input, &format).unwrap();
        let mut found = Vec::new();
        loop {
            match reader.next().unwrap() {
                Found::End => return found,
                Found::Malformed(bad) => found.push(Err(format!(
                    "{} at {}:{}",
                    bad.message, bad.place.line, bad.place.character
                ))),
                Found::Record => found.push(Ok((0..reader.width())
                    .map(|i| String::from_utf8_lossy(reader.field(i).unwrap().0).into_owned())
                    .collect())),
            }
        }
    }

    fn good(text: &str, options: &[(&str, Value)]) -> Vec<Vec<String>> {
        all(text, options).into_iter().map(|record| record.unwrap()).collect()
    }

    #[test]
    fn line_ends_of_every_kind_end_records() {
        let expected = vec![vec!["1", "a"], vec!["2", "b"], vec!["3", "c"], vec!["4", ""]];
        assert_eq!(good("1,a\n2,b\r\n3,c\r4,", &[]), expected);
    }

    #[test]
    fn enclosed_fields_hold_delimiters_quotes_and_lines() {
        let quoted = [("FIELD_OPTIONALLY_ENCLOSED_BY", json!("\""))];
        assert_eq!(
            good("\"a,\"\"b\"\"\nc\",d\nx,\"\"\n", &quoted),
            vec![vec!["a,\"b\"\nc", "d"], vec!["x", ""]]
        );
        let found = all("\"a\"x,1\n\"b\",2\n", &quoted);
        assert_eq!(
            found[0],
            Err("Found character 'x' instead of field delimiter ',' at 1:4".into())
        );
        assert_eq!(found[1], Ok(vec!["b".to_string(), "2".to_string()]));
    }

    #[test]
    fn delimiters_may_be_long() {
        let options = [("FIELD_DELIMITER", json!("||")), ("RECORD_DELIMITER", json!("<>\n"))];
        assert_eq!(good("a|b||c<>\nd||e<", &options), vec![vec!["a|b", "c"], vec!["d", "e<"]]);
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(good("a\\,b,c\\\\d,\\tx\n", &[]), vec![vec!["a,b", "c\\d", "\tx"]]);
        let off = [("ESCAPE_UNENCLOSED_FIELD", json!("NONE"))];
        assert_eq!(good("a\\,b\n", &off), vec![vec!["a\\", "b"]]);
        let both = [("ESCAPE", json!("!")), ("FIELD_OPTIONALLY_ENCLOSED_BY", json!("'"))];
        assert_eq!(good("'a!'b',c!,d\n", &both), vec![vec!["a'b", "c,d"]]);
    }

    #[test]
    fn headers_marks_blanks_and_spaces_are_passed() {
        let options = [
            ("SKIP_HEADER", json!(2)),
            ("SKIP_BLANK_LINES", json!(true)),
            ("TRIM_SPACE", json!(true)),
            ("FIELD_OPTIONALLY_ENCLOSED_BY", json!("\"")),
        ];
        assert_eq!(
            good("\u{feff}h1\r\nh2\n\n  a , \" b \" ,c\n\n", &options),
            vec![vec!["a", " b ", "c"]]
        );
    }

    #[test]
    fn places_count_lines_and_characters() {
        let options = [("FIELD_OPTIONALLY_ENCLOSED_BY".to_string(), json!("\""))].into();
        let format = build(&options).unwrap();
        let text = "ab,c\n\"x\ny\",zz\n";
        let input = Box::new(std::io::Cursor::new(text.as_bytes()));
        let mut reader = CsvReader::new(input, &format).unwrap();
        assert_eq!(reader.next().unwrap(), Found::Record);
        assert_eq!(reader.field_place(1), Place { line: 1, character: 4, byte: 3 });
        assert_eq!(reader.next().unwrap(), Found::Record);
        assert_eq!(reader.record_place(), Place { line: 2, character: 1, byte: 5 });
        assert_eq!(reader.field_place(1), Place { line: 3, character: 4, byte: 11 });
        assert_eq!(reader.raw(), b"\"x\ny\",zz");
        assert_eq!(reader.next().unwrap(), Found::End);
    }

    #[test]
    fn an_open_quote_at_the_end_is_told() {
        let quoted = [("FIELD_OPTIONALLY_ENCLOSED_BY", json!("\""))];
        let found = all("1,\"open\n2,b", &quoted);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].as_ref().unwrap_err().starts_with("Found end of file"));
    }
}
