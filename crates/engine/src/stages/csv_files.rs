//! CSV files of a stage as rows of text: columns C1, C2, …, or the header's names.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use frazil_common::{Code, Column, SqlType, UserError};

use crate::stage_files::StageFiles;
use crate::stages::bytes;
use crate::stages::csv_reader::{CsvReader, Found, Malformed, Place};
use crate::stages::file_format::FileFormat;
use crate::stages::load_log::{Category, RowError};
use crate::stages::scan::{BatchSender, FilePart, Rows, ValueRows};

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Bytes of a batch, beyond which it is given out before it is full.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Positional columns that a query may name beyond the first row's width; they are NULL.
const POSITIONS: usize = 200;
/// Characters of a value that a message shows.
const SHOWN_MAX: usize = 100;

/// How records become columns.
#[derive(Debug)]
pub(crate) enum CsvColumns {
    /// By place. `checked` is the number of fields every record must have.
    Positions { checked: Option<usize> },
    /// By the names of each file's header.
    Header { names: Vec<String> },
}

/// Columns C1 … Cn of type VARCHAR, then further positions that nothing shows.
pub(crate) fn positional_columns(width: usize) -> Vec<Column> {
    (1..=width.max(POSITIONS))
        .map(|index| {
            let name = if index <= width { format!("C{index}") } else { format!("${index}") };
            Column::new(name, SqlType::TEXT, true)
        })
        .collect()
}

/// The header's names (when asked for) and the first rows, NULL where the format says so.
pub(crate) type Inspected = (Option<Vec<String>>, Vec<Vec<Option<String>>>);

/// The header and the first well-formed rows of a file.
pub(crate) async fn inspect(
    stages: &Arc<StageFiles>,
    stage_id: i64,
    path: &str,
    format: &FileFormat,
    rows: usize,
) -> Result<Inspected, UserError> {
    let input = bytes::open(stages, stage_id, path, format.compression).await?;
    let format = format.clone();
    let path = path.to_string();
    tokio::task::spawn_blocking(move || {
        let unreadable = |error: std::io::Error| unreadable(&path, &error);
        let reader = input.reader().map_err(unreadable)?;
        let mut reader = CsvReader::new(reader, &format).map_err(unreadable)?;
        let mut header = None;
        let mut found = Vec::new();
        while found.len() < rows {
            match reader.next().map_err(unreadable)? {
                Found::End => break,
                Found::Malformed(_) => {}
                Found::Record if format.parse_header && header.is_none() => {
                    header = Some(header_names(&reader));
                }
                Found::Record => found.push(
                    (0..reader.width())
                        .map(|index| {
                            text_of(&format, &reader, index).ok().flatten().map(Cow::into_owned)
                        })
                        .collect(),
                ),
            }
        }
        Ok((header, found))
    })
    .await
    .map_err(UserError::internal)?
}

fn header_names(reader: &CsvReader) -> Vec<String> {
    (0..reader.width())
        .filter_map(|index| reader.field(index))
        .map(|(bytes, _)| String::from_utf8_lossy(bytes).into_owned())
        .collect()
}

pub(crate) fn unreadable(path: &str, error: &std::io::Error) -> UserError {
    UserError::new(Code::FileParse, format!("File '{path}' cannot be read: {error}"))
}

/// A field's text, or NULL as the format says.
fn text_of<'a>(
    format: &FileFormat,
    reader: &'a CsvReader,
    index: usize,
) -> Result<Option<Cow<'a, str>>, UserError> {
    let Some((bytes, enclosed)) = reader.field(index) else { return Ok(None) };
    if is_null(format, reader, index, bytes, enclosed) {
        return Ok(None);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Some(Cow::Borrowed(text))),
        Err(_) if format.replace_invalid_characters => Ok(Some(String::from_utf8_lossy(bytes))),
        Err(_) => Err(not_utf8(bytes)),
    }
}

fn is_null(
    format: &FileFormat,
    reader: &CsvReader,
    index: usize,
    bytes: &[u8],
    enclosed: bool,
) -> bool {
    if bytes.is_empty() && format.empty_field_as_null && !enclosed {
        return true;
    }
    if format.null_if.is_empty() {
        return false;
    }
    let raw = reader.raw_field(index);
    format
        .null_if
        .iter()
        .any(|text| text.as_bytes() == bytes || raw.is_some_and(|raw| text.as_bytes() == raw))
}

fn not_utf8(bytes: &[u8]) -> UserError {
    let shown: String = bytes.iter().take(SHOWN_MAX).map(|byte| format!("{byte:02X}")).collect();
    UserError::new(Code::InvalidUtf8, format!("Invalid UTF8 detected in string '0x{shown}'"))
}

/// Reads one file into batches.
pub(super) async fn read(part: FilePart, sender: BatchSender) -> Result<(), UserError> {
    let scan = &part.scan;
    let input =
        bytes::open(&scan.stages, scan.stage_id, &part.file().path, scan.format.compression)
            .await?;
    let work = tokio::task::spawn_blocking(move || {
        let unreadable = |error: std::io::Error| unreadable(&part.file().path, &error);
        let reader = input.reader().map_err(unreadable)?;
        let reader = CsvReader::new(reader, &part.scan.format).map_err(unreadable)?;
        read_records(&part, reader, &sender)
    });
    work.await.map_err(UserError::internal)?
}

fn read_records(
    part: &FilePart,
    mut reader: CsvReader,
    sender: &BatchSender,
) -> Result<(), UserError> {
    let scan = &part.scan;
    let format = &scan.format;
    let wanted = part.wanted_values();
    let mut builders: Vec<StringViewBuilder> =
        wanted.iter().map(|_| StringViewBuilder::new()).collect();
    let (mut numbers, mut offsets) = (Vec::new(), Vec::new());
    let mut held = 0;
    let mut row = 0_i64;
    // The record's field of each wanted column; with a header that is each file's own matter.
    let mut fields: Option<Vec<Option<usize>>> = match &scan.rows {
        Rows::Csv(CsvColumns::Header { .. }) => None,
        _ => Some(wanted.iter().map(|index| Some(*index)).collect()),
    };
    let checked = match &scan.rows {
        Rows::Csv(CsvColumns::Positions { checked }) => {
            checked.filter(|_| format.error_on_column_count_mismatch)
        }
        _ => None,
    };
    let mut header_seen = !format.parse_header;
    let strict = scan.log.as_ref().is_none_or(|log| log.is_strict());
    loop {
        let found = reader.next().map_err(|error| unreadable(&part.file().path, &error))?;
        match found {
            Found::End => break,
            Found::Malformed(bad) => {
                row += 1;
                let bad = malformed(bad, &reader);
                if strict && !numbers.is_empty() {
                    give(part, sender, &mut builders, &mut numbers, &mut offsets)?;
                }
                note(part, row, bad)?;
                continue;
            }
            Found::Record => {}
        }
        if !header_seen {
            header_seen = true;
            if let Rows::Csv(CsvColumns::Header { names }) = &scan.rows {
                let header = header_names(&reader);
                fields = Some(
                    wanted
                        .iter()
                        .map(|index| {
                            names
                                .get(*index)
                                .and_then(|name| header.iter().position(|found| found == name))
                        })
                        .collect(),
                );
            }
            continue;
        }
        row += 1;
        if let Some(width) = checked
            && reader.width() != width
        {
            let bad = wrong_width(&reader, width, width.min(reader.width()));
            if strict && !numbers.is_empty() {
                give(part, sender, &mut builders, &mut numbers, &mut offsets)?;
            }
            note(part, row, bad)?;
            continue;
        }
        let Some(fields) = &fields else { continue };
        // All fields are judged before the first is kept: a row is taken whole or not at all.
        let broken = fields
            .iter()
            .flatten()
            .find_map(|field| text_of(format, &reader, *field).err().map(|error| (error, *field)));
        if let Some((error, field)) = broken {
            let place = Some(reader.field_place(field));
            let bad = Bad { error, offset: reader.record_place().byte, field: Some(field), place };
            if strict && !numbers.is_empty() {
                give(part, sender, &mut builders, &mut numbers, &mut offsets)?;
            }
            note(part, row, bad)?;
            continue;
        }
        for (builder, field) in builders.iter_mut().zip(fields) {
            let text = field.map_or(Ok(None), |field| text_of(format, &reader, field))?;
            held += text.as_ref().map_or(0, |text| text.len());
            builder.append_option(text);
        }
        numbers.push(row);
        offsets.push(signed(reader.record_place().byte));
        if numbers.len() == BATCH_ROWS || held > BATCH_BYTES {
            held = 0;
            if !give(part, sender, &mut builders, &mut numbers, &mut offsets)? {
                return Ok(());
            }
        }
    }
    if !numbers.is_empty() {
        give(part, sender, &mut builders, &mut numbers, &mut offsets)?;
    }
    Ok(())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Sends a batch; false where nobody listens any more.
fn give(
    part: &FilePart,
    sender: &BatchSender,
    builders: &mut [StringViewBuilder],
    numbers: &mut Vec<i64>,
    offsets: &mut Vec<i64>,
) -> Result<bool, UserError> {
    if let Some(log) = &part.scan.log {
        log.parsed(part.index, numbers.len());
    }
    let values =
        builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
    let rows =
        ValueRows { values, numbers: std::mem::take(numbers), offsets: std::mem::take(offsets) };
    Ok(sender.blocking_send(Ok(part.batch(rows)?)).is_ok())
}

/// A record that cannot be taken.
struct Bad {
    error: UserError,
    offset: u64,
    field: Option<usize>,
    place: Option<Place>,
}

fn malformed(bad: Malformed, reader: &CsvReader) -> Bad {
    Bad {
        error: UserError::new(Code::UnexpectedDelimiter, bad.message),
        offset: reader.record_place().byte,
        field: Some(bad.field),
        place: Some(bad.place),
    }
}

fn wrong_width(reader: &CsvReader, width: usize, field: usize) -> Bad {
    Bad {
        error: UserError::new(
            Code::FileParse,
            format!(
                "Number of columns in file ({}) does not match that of the corresponding table \
                 ({width}), use file format option error_on_column_count_mismatch=false to ignore \
                 this error",
                reader.width()
            ),
        ),
        offset: reader.record_place().byte,
        field: Some(field),
        place: Some(reader.field_place(field)),
    }
}

/// Notes a bad record in a COPY's log; anywhere else it is the statement's error.
fn note(part: &FilePart, row: i64, bad: Bad) -> Result<(), UserError> {
    let Some(log) = &part.scan.log else {
        let place = bad.place.map_or_else(String::new, |place| {
            format!(", line {}, character {}", place.line, place.character)
        });
        let message = format!("{}\n  File '{}'{place}", bad.error.message, part.file().path);
        return Err(UserError::new(bad.error.code, message));
    };
    log.parsed(part.index, 1);
    log.note(
        part.index,
        RowError {
            error: bad.error,
            row,
            offset: signed(bad.offset),
            column: None,
            field: bad.field,
            place: bad.place,
            category: Category::Parsing,
        },
    )
}
