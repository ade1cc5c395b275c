//! The documents of a JSON file, one after another, without holding the file.

use std::io::Read;

/// Bytes read at first; doubled while a document does not fit.
const CHUNK_BYTES: usize = 256 * 1024;
/// Largest document.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Cuts a file into its JSON documents.
pub(crate) struct JsonReader {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    position: usize,
    ended: bool,
    base: u64,
    /// The outer array's elements are the documents.
    strip_outer: bool,
    inside: bool,
    started: bool,
}

/// A document: its text, and where it begins in the unpacked file.
pub(crate) struct Document<'a> {
    pub text: &'a [u8],
    pub offset: u64,
}

impl JsonReader {
    pub fn new(input: Box<dyn Read + Send>, strip_outer: bool) -> JsonReader {
        JsonReader {
            input,
            buffer: Vec::new(),
            position: 0,
            ended: false,
            base: 0,
            strip_outer,
            inside: false,
            started: false,
        }
    }

    /// The next document. It may be no JSON: what stands between separators is given as it is.
    ///
    /// # Errors
    /// The file cannot be read, or a document is larger than the bound.
    pub fn next(&mut self) -> std::io::Result<Option<Document<'_>>> {
        if !self.started {
            self.started = true;
            self.more()?;
            if self.buffer.starts_with(b"\xEF\xBB\xBF") {
                self.position = 3;
            }
        }
        loop {
            // Separators before the document.
            match self.buffer.get(self.position) {
                None => {
                    if !self.more()? {
                        return Ok(None);
                    }
                    continue;
                }
                Some(b' ' | b'\t' | b'\r' | b'\n') => {
                    self.position += 1;
                    continue;
                }
                Some(b',') if self.inside => {
                    self.position += 1;
                    continue;
                }
                Some(b'[') if self.strip_outer && !self.inside => {
                    self.inside = true;
                    self.position += 1;
                    continue;
                }
                Some(b']') if self.inside => {
                    self.inside = false;
                    self.position += 1;
                    continue;
                }
                Some(_) => {}
            }
            match document_end(&self.buffer[self.position..], self.inside) {
                Some(length) => {
                    let start = self.position;
                    self.position += length;
                    return Ok(Some(Document {
                        text: &self.buffer[start..start + length],
                        offset: self.base + start as u64,
                    }));
                }
                None if self.ended => {
                    let start = self.position;
                    self.position = self.buffer.len();
                    return Ok(Some(Document {
                        text: &self.buffer[start..],
                        offset: self.base + start as u64,
                    }));
                }
                None => {
                    self.more()?;
                }
            }
        }
    }

    fn more(&mut self) -> std::io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.position);
        self.base += self.position as u64;
        self.position = 0;
        let held = self.buffer.len();
        if held > DOCUMENT_BYTES_MAX {
            return Err(std::io::Error::other(format!(
                "a document is longer than {DOCUMENT_BYTES_MAX} bytes"
            )));
        }
        self.buffer.resize(held + CHUNK_BYTES.max(held), 0);
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

/// Length of the document at the bytes' start; none where its end is not in sight.
fn document_end(bytes: &[u8], inside: bool) -> Option<usize> {
    let mut depth = 0_usize;
    let mut index = 0;
    let nested = matches!(bytes.first(), Some(b'{' | b'['));
    while let Some(byte) = bytes.get(index) {
        match byte {
            b'"' => {
                index += 1;
                loop {
                    match bytes.get(index)? {
                        b'\\' => index += 2,
                        b'"' => break,
                        _ => index += 1,
                    }
                }
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if nested => {
                depth -= 1;
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            b']' | b',' if inside && depth == 0 => return Some(index),
            b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return Some(index),
            _ => {}
        }
        index += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn documents(text: &str, strip: bool) -> Vec<(String, u64)> {
        let input = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut reader = JsonReader::new(input, strip);
        let mut found = Vec::new();
        while let Some(document) = reader.next().unwrap() {
            found.push((String::from_utf8_lossy(document.text).into_owned(), document.offset));
        }
        found
    }

    fn texts(text: &str, strip: bool) -> Vec<String> {
        documents(text, strip).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn lines_and_runs_of_documents() {
        assert_eq!(
            documents("{\"a\": \"}\\\"\"}\n[1, 2]{\"b\":[{}]}\n 12 \"x y\"\n", false),
            vec![
                ("{\"a\": \"}\\\"\"}".to_string(), 0),
                ("[1, 2]".to_string(), 13),
                ("{\"b\":[{}]}".to_string(), 19),
                ("12".to_string(), 31),
                ("\"x y\"".to_string(), 34),
            ]
        );
    }

    #[test]
    fn an_outer_array_is_taken_apart() {
        assert_eq!(
            texts("[ {\"a\":1}, [2], 3,\"x\" ]\n[4]", true),
            ["{\"a\":1}", "[2]", "3", "\"x\"", "4"]
        );
        assert_eq!(texts("[1,2]", false), ["[1,2]"]);
    }

    #[test]
    fn an_unfinished_document_is_given_as_it_is() {
        assert_eq!(texts("{\"a\":1}\n{\"b\":", false), ["{\"a\":1}", "{\"b\":"]);
    }
}
