//! JSON files of a stage: one VARIANT column, a row per document.

use std::sync::Arc;

use arrow::array::ArrayRef;
use frazil_common::{Code, UserError};
use frazil_functions::variant::{Value, VariantBuilder, parse_json_with};

use crate::stages::bytes;
use crate::stages::csv_files::unreadable;
use crate::stages::file_format::FileFormat;
use crate::stages::json_reader::JsonReader;
use crate::stages::load_log::{Category, RowError};
use crate::stages::scan::{BatchSender, FilePart, ValueRows};

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Bytes of JSON text of a batch, beyond which it is given out before it is full.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Reads one file into batches.
pub(super) async fn read(part: FilePart, sender: BatchSender) -> Result<(), UserError> {
    let scan = &part.scan;
    let input =
        bytes::open(&scan.stages, scan.stage_id, &part.file().path, scan.format.compression)
            .await?;
    let work = tokio::task::spawn_blocking(move || {
        let reader = input.reader().map_err(|error| unreadable(&part.file().path, &error))?;
        let reader = JsonReader::new(reader, part.scan.format.strip_outer_array);
        read_documents(&part, reader, &sender)
    });
    work.await.map_err(UserError::internal)?
}

fn read_documents(
    part: &FilePart,
    mut reader: JsonReader,
    sender: &BatchSender,
) -> Result<(), UserError> {
    let format = &part.scan.format;
    let wanted = part.wanted_values().len();
    let mut builder = VariantBuilder::with_capacity(BATCH_ROWS);
    let (mut numbers, mut offsets) = (Vec::new(), Vec::new());
    let mut held = 0;
    let mut row = 0_i64;
    loop {
        let document = reader.next().map_err(|error| unreadable(&part.file().path, &error))?;
        let Some(document) = document else { break };
        row += 1;
        let offset = i64::try_from(document.offset).unwrap_or(i64::MAX);
        match value_of(format, document.text) {
            Ok(value) => {
                held += document.text.len();
                builder.append(value.as_ref());
                numbers.push(row);
                offsets.push(offset);
            }
            Err(error) => {
                let strict = part.scan.log.as_ref().is_none_or(|log| log.is_strict());
                if strict && !numbers.is_empty() {
                    let rows =
                        std::mem::replace(&mut builder, VariantBuilder::with_capacity(BATCH_ROWS));
                    give(part, sender, rows, wanted, &mut numbers, &mut offsets)?;
                }
                note(part, row, offset, error)?;
            }
        }
        if numbers.len() == BATCH_ROWS || held > BATCH_BYTES {
            held = 0;
            let full = std::mem::replace(&mut builder, VariantBuilder::with_capacity(BATCH_ROWS));
            if !give(part, sender, full, wanted, &mut numbers, &mut offsets)? {
                return Ok(());
            }
        }
    }
    if !numbers.is_empty() {
        give(part, sender, builder, wanted, &mut numbers, &mut offsets)?;
    }
    Ok(())
}

/// A document's value, with the format's options applied.
pub(crate) fn value_of(format: &FileFormat, text: &[u8]) -> Result<Option<Value>, UserError> {
    let replaced;
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(_) if format.replace_invalid_characters => {
            replaced = String::from_utf8_lossy(text).into_owned();
            &replaced
        }
        Err(_) => {
            return Err(UserError::new(
                Code::InvalidUtf8,
                "Invalid UTF8 detected while decoding a JSON document",
            ));
        }
    };
    let value = parse_json_with(text, format.allow_duplicate)?;
    let untouched = !format.strip_null_values && !format.trim_space && format.null_if.is_empty();
    if untouched {
        return Ok(value);
    }
    Ok(value.map(|value| adjusted(format, value)))
}

/// NULL_IF, TRIM_SPACE and STRIP_NULL_VALUES, at every depth.
pub(super) fn adjusted(format: &FileFormat, value: Value) -> Value {
    let kept = |value: &Value| !format.strip_null_values || *value != Value::Null;
    match value {
        Value::Text(text) => {
            let text = if format.trim_space { text.trim().to_string() } else { text };
            if format.null_if.contains(&text) { Value::Null } else { Value::Text(text) }
        }
        Value::List(items) => {
            Value::List(items.into_iter().map(|item| adjusted(format, item)).filter(kept).collect())
        }
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| (name, adjusted(format, value)))
                .filter(|(_, value)| kept(value))
                .collect(),
        ),
        other => other,
    }
}

fn give(
    part: &FilePart,
    sender: &BatchSender,
    builder: VariantBuilder,
    wanted: usize,
    numbers: &mut Vec<i64>,
    offsets: &mut Vec<i64>,
) -> Result<bool, UserError> {
    if let Some(log) = &part.scan.log {
        log.parsed(part.index, numbers.len());
    }
    let array: ArrayRef = Arc::new(builder.finish());
    let rows = ValueRows {
        values: vec![array; wanted],
        numbers: std::mem::take(numbers),
        offsets: std::mem::take(offsets),
    };
    Ok(sender.blocking_send(Ok(part.batch(rows)?)).is_ok())
}

fn note(part: &FilePart, row: i64, offset: i64, error: UserError) -> Result<(), UserError> {
    let Some(log) = &part.scan.log else {
        let message = format!("{}\n  File '{}', row {row}", error.message, part.file().path);
        return Err(UserError::new(error.code, message));
    };
    log.parsed(part.index, 1);
    log.note(
        part.index,
        RowError {
            error,
            row,
            offset,
            column: None,
            field: None,
            place: None,
            category: Category::Parsing,
        },
    )
}
