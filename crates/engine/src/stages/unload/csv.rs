//! Rows of text as CSV, written so that the same format reads them back.

use arrow::array::{Array, AsArray, RecordBatch};
use frazil_common::{Code, Column, SqlType, UserError};

use super::pack::Packer;
use crate::stages::file_format::{FileFormat, RecordDelimiter};

/// Writes CSV. The batches' columns are texts already.
pub(super) struct CsvEncoder {
    packer: Packer,
    format: FileFormat,
    /// Whether a column's values are enclosed.
    enclosed: Vec<bool>,
    null: String,
    record_delimiter: String,
    buffer: Vec<u8>,
    input_bytes: u64,
}

impl CsvEncoder {
    pub fn new(
        packer: Packer,
        format: FileFormat,
        columns: &[Column],
        header: bool,
    ) -> Result<CsvEncoder, UserError> {
        let enclosed = columns
            .iter()
            .map(|column| {
                let plain = matches!(
                    column.sql_type,
                    SqlType::Number { .. } | SqlType::Float | SqlType::Boolean
                );
                format.enclosed_by.is_some() && !plain
            })
            .collect();
        let record_delimiter = match &format.record_delimiter {
            RecordDelimiter::NewLine => "\n".to_string(),
            RecordDelimiter::Text(text) => text.clone(),
            RecordDelimiter::None => String::new(),
        };
        let mut encoder = CsvEncoder {
            packer,
            null: format.null_if.first().cloned().unwrap_or_default(),
            format,
            enclosed,
            record_delimiter,
            buffer: Vec::new(),
            input_bytes: 0,
        };
        if header {
            let enclosed = encoder.format.enclosed_by.is_some();
            for (index, column) in columns.iter().enumerate() {
                encoder.delimit(index);
                encoder.value(&column.name, enclosed)?;
            }
            encoder.end_record();
            encoder.flush()?;
        }
        Ok(encoder)
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), UserError> {
        for row in 0..batch.num_rows() {
            for (index, column) in batch.columns().iter().enumerate() {
                self.delimit(index);
                let texts = column.as_string_view();
                if texts.is_null(row) {
                    self.buffer.extend_from_slice(self.null.as_bytes());
                } else {
                    self.value(texts.value(row), self.enclosed[index])?;
                }
            }
            self.end_record();
        }
        self.flush()
    }

    pub fn finish(self) -> Result<u64, UserError> {
        self.packer.finish()?;
        Ok(self.input_bytes)
    }

    fn flush(&mut self) -> Result<(), UserError> {
        self.input_bytes += self.buffer.len() as u64;
        self.packer.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn delimit(&mut self, index: usize) {
        if index > 0
            && let Some(delimiter) = &self.format.field_delimiter
        {
            self.buffer.extend_from_slice(delimiter.as_bytes());
        }
    }

    fn end_record(&mut self) {
        self.buffer.extend_from_slice(self.record_delimiter.as_bytes());
    }

    fn value(&mut self, text: &str, enclosed: bool) -> Result<(), UserError> {
        if enclosed && let Some(quote) = self.format.enclosed_by {
            self.buffer.push(quote);
            for byte in text.bytes() {
                if byte == quote {
                    self.buffer.push(quote);
                } else if self.format.escape == Some(byte) {
                    self.buffer.push(byte);
                }
                self.buffer.push(byte);
            }
            self.buffer.push(quote);
            return Ok(());
        }
        if text.is_empty() && self.format.empty_field_as_null && self.format.enclosed_by.is_none() {
            return Err(UserError::new(
                Code::InvalidArgument,
                "Cannot unload empty string without file format option \
                 field_optionally_enclosed_by being specified.",
            ));
        }
        let Some(escape) = self.format.unenclosed_escape() else {
            self.buffer.extend_from_slice(text.as_bytes());
            return Ok(());
        };
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let special = rest.starts_with(escape as char)
                || self.format.field_delimiter.as_deref().is_some_and(|d| rest.starts_with(d))
                || match &self.format.record_delimiter {
                    RecordDelimiter::NewLine => matches!(first, '\n' | '\r'),
                    RecordDelimiter::Text(delimiter) => rest.starts_with(delimiter.as_str()),
                    RecordDelimiter::None => false,
                };
            if special {
                self.buffer.push(escape);
            }
            self.buffer.extend_from_slice(first.to_string().as_bytes());
            rest = &rest[first.len_utf8()..];
        }
        Ok(())
    }
}
