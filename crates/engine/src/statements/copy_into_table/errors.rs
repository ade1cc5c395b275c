//! Where load errors happened, and how they are told.

use std::collections::HashMap;
use std::io::Read;

use frazil_catalog::{LoadError, TableInfo};
use frazil_common::{SqlType, UserError, quote_identifier};

use crate::api::StageFile;
use crate::stages::csv_reader::{CsvReader, Found, Place};
use crate::stages::file_format::{FileFormat, FormatType};
use crate::stages::load_log::RowError;
use crate::stages::location::StageLocation;
use crate::stages::{bytes, csv_files};
use crate::statements::context::StatementContext;
use crate::statements::outcome::{COUNT, Cell};

/// Longest piece of a rejected record that is kept.
const RECORD_SHOWN_MAX: usize = 4096;

/// An error with its place.
#[derive(Debug, Clone)]
pub(super) struct Located {
    pub error: RowError,
    pub line: i64,
    pub character: Option<i64>,
    pub byte: i64,
    /// Line of the record's first byte.
    pub start_line: i64,
    /// The record as it stands in the file.
    pub record: Option<String>,
}

impl Located {
    fn plain(error: &RowError) -> Located {
        Located {
            error: error.clone(),
            line: error.row,
            character: None,
            byte: error.offset,
            start_line: error.row,
            record: None,
        }
    }

    /// The error as it is told and kept.
    pub fn into_load_error(self, file: &str, table: &TableInfo) -> LoadError {
        let column = self.column_name(table);
        let Located { error, line, character, byte, start_line, record } = self;
        LoadError {
            message: error.error.message,
            file: file.to_string(),
            line,
            character,
            byte_offset: byte,
            category: error.category.as_str().to_string(),
            code: i64::from(error.error.code.number()),
            sql_state: error.error.code.sqlstate().to_string(),
            column,
            row: error.row,
            start_line,
            record,
        }
    }

    /// `"T"["A":1]`: the table's column that the value was for.
    pub fn column_name(&self, table: &TableInfo) -> Option<String> {
        let name = quoted(&table.name.name);
        let index = self.error.column.or(self.error.field)?;
        Some(match table.columns.get(index) {
            Some(column) => format!("{name}[{}:{}]", quoted(&column.name), index + 1),
            None => format!("{name}[{}]", index + 1),
        })
    }
}

fn quoted(name: &str) -> String {
    let text = quote_identifier(name);
    if text.starts_with('"') { text } else { format!("\"{text}\"") }
}

/// Reads a file again up to its last error, to tell where the errors stand.
pub(super) async fn locate(
    context: &StatementContext,
    location: &StageLocation,
    file: &StageFile,
    format: &FileFormat,
    errors: Vec<RowError>,
) -> Result<Vec<Located>, UserError> {
    if format.format == FormatType::Parquet || errors.is_empty() {
        return Ok(errors.iter().map(Located::plain).collect());
    }
    let stages = &context.shared.stages;
    let input = bytes::open(stages, location.stage_id, &file.path, format.compression).await?;
    let format = format.clone();
    let path = file.path.clone();
    let work = tokio::task::spawn_blocking(move || {
        let reader = input.reader()?;
        match format.format {
            FormatType::Csv => in_csv(CsvReader::new(reader, &format)?, errors),
            _ => in_text(reader, errors),
        }
    });
    work.await.map_err(UserError::internal)?.map_err(|error| csv_files::unreadable(&path, &error))
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn in_csv(mut reader: CsvReader, errors: Vec<RowError>) -> std::io::Result<Vec<Located>> {
    let mut wanted: HashMap<i64, Vec<usize>> = HashMap::new();
    for (index, error) in errors.iter().enumerate() {
        wanted.entry(error.offset).or_default().push(index);
    }
    let mut located: Vec<Located> = errors.iter().map(Located::plain).collect();
    while !wanted.is_empty() {
        if reader.next()? == Found::End {
            break;
        }
        let start = reader.record_place();
        let Some(indexes) = wanted.remove(&signed(start.byte)) else { continue };
        for index in indexes {
            let found = &mut located[index];
            let field = found.error.field.or(found.error.column);
            let place = found.error.place.unwrap_or_else(|| match field {
                Some(field) => reader.field_place(field),
                None => start,
            });
            put(found, place, start, reader.raw());
        }
    }
    Ok(located)
}

fn put(found: &mut Located, place: Place, start: Place, raw: &[u8]) {
    found.line = signed(place.line);
    found.character = Some(signed(place.character));
    found.byte = signed(place.byte);
    found.start_line = signed(start.line);
    let shown = &raw[..raw.len().min(RECORD_SHOWN_MAX)];
    found.record = Some(String::from_utf8_lossy(shown).into_owned());
}

/// Places of documents, by counting lines up to their offsets.
fn in_text(
    mut input: Box<dyn Read + Send>,
    errors: Vec<RowError>,
) -> std::io::Result<Vec<Located>> {
    let mut located: Vec<Located> = errors.iter().map(Located::plain).collect();
    located.sort_by_key(|found| found.error.offset);
    let mut pending = located.iter_mut().peekable();
    let (mut byte, mut line, mut line_start) = (0_i64, 1_i64, 0_i64);
    let mut buffer = vec![0; 64 * 1024];
    while pending.peek().is_some() {
        let count = input.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        for value in &buffer[..count] {
            while let Some(found) = pending.next_if(|found| found.error.offset == byte) {
                found.line = line;
                found.start_line = line;
                found.byte = byte;
                found.character = Some(byte - line_start + 1);
            }
            byte += 1;
            if *value == b'\n' {
                line += 1;
                line_start = byte;
            }
        }
    }
    Ok(located)
}

/// The statement's error in ABORT_STATEMENT, in Snowflake's words.
pub(super) fn aborted(found: &Located, file: &str, table: &TableInfo) -> UserError {
    let character = found.character.map_or_else(String::new, |at| format!(", character {at}"));
    let column =
        found.column_name(table).map_or_else(String::new, |name| format!(", column {name}"));
    let error = &found.error;
    UserError::new(
        error.error.code,
        format!(
            "{}\n  File '{file}', line {}{character}\n  Row {}{column}\n  If you would like to \
             continue loading when an error is encountered, use other values such as 'SKIP_FILE' \
             or 'CONTINUE' for the ON_ERROR option. For more information on loading options, \
             please run 'info loading_data' in a SQL client.",
            error.error.message, found.line, error.row,
        ),
    )
}

/// Columns of VALIDATION_MODE = RETURN_ERRORS and of VALIDATE.
pub(crate) const ERROR_COLUMNS: [(&str, SqlType); 12] = [
    ("ERROR", SqlType::TEXT),
    ("FILE", SqlType::TEXT),
    ("LINE", COUNT),
    ("CHARACTER", COUNT),
    ("BYTE_OFFSET", COUNT),
    ("CATEGORY", SqlType::TEXT),
    ("CODE", COUNT),
    ("SQL_STATE", SqlType::TEXT),
    ("COLUMN_NAME", SqlType::TEXT),
    ("ROW_NUMBER", COUNT),
    ("ROW_START_LINE", COUNT),
    ("REJECTED_RECORD", SqlType::TEXT),
];

/// An error's row in those columns.
pub(crate) fn error_cells(error: LoadError) -> Vec<Cell> {
    vec![
        Cell::from(error.message),
        Cell::from(error.file),
        Cell::from(error.line),
        Cell::from(error.character),
        Cell::from(error.byte_offset),
        Cell::from(error.category),
        Cell::from(error.code),
        Cell::from(error.sql_state),
        Cell::from(error.column),
        Cell::from(error.row),
        Cell::from(error.start_line),
        Cell::from(error.record),
    ]
}
