//! File format options, from named formats, stages and statements.

use std::collections::BTreeMap;

use frazil_catalog::account::FileFormat as StoredFormat;
use frazil_common::{Code, ObjectKind, ObjectRef, Privilege, UserError};
use frazil_dialect::{OptionValue, Options, parse_object_name_text};
use frazil_governance::Requirement;
use serde_json::Value;

use crate::resolve::objects::parents_of;
use crate::statements::context::StatementContext;

/// Longest field or record delimiter, in bytes.
const DELIMITER_BYTES_MAX: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FormatType {
    Csv,
    Json,
    Parquet,
}

/// How a file's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// By the file's name when loading; the format's usual one when unloading.
    Auto,
    None,
    Gzip,
    Zstd,
    Deflate,
    RawDeflate,
    /// Parquet only.
    Snappy,
    /// Parquet only.
    Lz4,
}

/// A file format with every option given a value. Names and defaults are Snowflake's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileFormat {
    pub format: FormatType,
    pub compression: Compression,
    pub file_extension: Option<String>,
    /// None: the record is one field.
    pub field_delimiter: Option<String>,
    pub record_delimiter: RecordDelimiter,
    pub skip_header: u64,
    pub parse_header: bool,
    pub skip_blank_lines: bool,
    pub trim_space: bool,
    pub multi_line: bool,
    pub enclosed_by: Option<u8>,
    /// In enclosed and unenclosed fields.
    pub escape: Option<u8>,
    /// In unenclosed fields, where there is no `escape`.
    pub escape_unenclosed: Option<u8>,
    pub null_if: Vec<String>,
    pub empty_field_as_null: bool,
    pub error_on_column_count_mismatch: bool,
    pub replace_invalid_characters: bool,
    pub skip_byte_order_mark: bool,
    pub date_format: Option<String>,
    pub time_format: Option<String>,
    pub timestamp_format: Option<String>,
    pub binary_format: BinaryFormat,
    pub strip_outer_array: bool,
    pub strip_null_values: bool,
    pub allow_duplicate: bool,
}

/// What ends a record of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordDelimiter {
    /// Line feed, carriage return, or both.
    NewLine,
    Text(String),
    /// The file is one record.
    None,
}

/// How binary values are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryFormat {
    Hex,
    Base64,
    Utf8,
}

impl BinaryFormat {
    /// The word TO_BINARY and TO_CHAR take.
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryFormat::Hex => "HEX",
            BinaryFormat::Base64 => "BASE64",
            BinaryFormat::Utf8 => "UTF-8",
        }
    }
}

impl FileFormat {
    fn new(format: FormatType) -> Self {
        FileFormat {
            format,
            compression: Compression::Auto,
            file_extension: None,
            field_delimiter: Some(",".to_string()),
            record_delimiter: RecordDelimiter::NewLine,
            skip_header: 0,
            parse_header: false,
            skip_blank_lines: false,
            trim_space: false,
            multi_line: true,
            enclosed_by: None,
            escape: None,
            escape_unenclosed: Some(b'\\'),
            null_if: if format == FormatType::Csv { vec!["\\N".to_string()] } else { Vec::new() },
            empty_field_as_null: true,
            error_on_column_count_mismatch: true,
            replace_invalid_characters: false,
            skip_byte_order_mark: true,
            date_format: None,
            time_format: None,
            timestamp_format: None,
            binary_format: BinaryFormat::Hex,
            strip_outer_array: false,
            strip_null_values: false,
            allow_duplicate: false,
        }
    }

    /// The escape character of unenclosed fields.
    pub fn unenclosed_escape(&self) -> Option<u8> {
        self.escape.or(self.escape_unenclosed)
    }

    fn check(self) -> Result<Self, UserError> {
        let wrong = |text: &str| Err(UserError::new(Code::InvalidArgument, text));
        if self.parse_header && self.skip_header > 0 {
            return wrong("PARSE_HEADER = TRUE and SKIP_HEADER cannot be used together.");
        }
        if let (Some(field), RecordDelimiter::Text(record)) =
            (&self.field_delimiter, &self.record_delimiter)
            && (field.contains(record.as_str()) || record.contains(field.as_str()))
        {
            return wrong("FIELD_DELIMITER and RECORD_DELIMITER must not contain each other.");
        }
        Ok(self)
    }
}

/// Options as JSON, the form stages and named formats keep them in.
pub(crate) fn to_json(options: &Options) -> BTreeMap<String, Value> {
    options.iter().map(|(name, value)| (name.to_uppercase(), option_json(value))).collect()
}

fn option_json(value: &OptionValue) -> Value {
    match value {
        OptionValue::Null => return Value::Null,
        OptionValue::Map(options) => {
            let entries =
                options.iter().map(|(name, value)| (name.to_string(), option_json(value)));
            return Value::Object(entries.collect());
        }
        OptionValue::List(values) => return values.iter().map(option_json).collect(),
        // Text stays text: '007' in NULL_IF is no number.
        OptionValue::Text(text) => return Value::from(text.as_str()),
        _ => {}
    }
    if let Some(flag) = value.as_boolean() {
        return Value::Bool(flag);
    }
    match (value.as_integer(), value.as_text()) {
        (Some(number), _) => Value::from(number),
        (None, Some(text)) => Value::from(text),
        (None, None) => Value::Null,
    }
}

/// The format of a statement: its own options over a named format over the stage's.
///
/// # Errors
/// A named format that is absent; an unknown or unsupported option.
pub(crate) async fn effective(
    context: &StatementContext,
    stage: &BTreeMap<String, Value>,
    own: &BTreeMap<String, Value>,
) -> Result<FileFormat, UserError> {
    let mut merged = if own.is_empty() { stage.clone() } else { own.clone() };
    if let Some(name) = merged.remove("FORMAT_NAME") {
        let name = name.as_str().unwrap_or_default().to_string();
        let mut named = named_format(context, &name).await?;
        named.extend(merged);
        merged = named;
    }
    build(&merged)
}

async fn named_format(
    context: &StatementContext,
    name: &str,
) -> Result<BTreeMap<String, Value>, UserError> {
    let qualified = context.qualify(&parse_object_name_text(name)?)?;
    let absent = || UserError::not_found("File format", &qualified);
    let view = context.shared.catalog.head_view().await?;
    let schema = view.schema(&qualified.database, &qualified.schema).ok_or_else(absent)?;
    let found = context
        .shared
        .accounts
        .object::<StoredFormat>(schema.schema_id, &qualified.name, context.session.id)
        .await?
        .ok_or_else(absent)?;
    if found.place.session_id == 0 {
        let object =
            ObjectRef { kind: ObjectKind::FileFormat, id: found.id, name: qualified.to_string() };
        let parents = parents_of(&view, &qualified);
        context.authorize(&[Requirement::new(object, parents, Privilege::Usage)])?;
    }
    let mut options = found.body.options;
    options.insert("TYPE".to_string(), Value::from(found.body.format_type));
    Ok(options)
}

/// A format from its options; TYPE defaults to CSV.
pub(crate) fn build(options: &BTreeMap<String, Value>) -> Result<FileFormat, UserError> {
    let kind = options.get("TYPE").and_then(Value::as_str).unwrap_or("CSV").to_uppercase();
    let mut format = FileFormat::new(match kind.as_str() {
        "CSV" => FormatType::Csv,
        "JSON" => FormatType::Json,
        "PARQUET" => FormatType::Parquet,
        other => return Err(UserError::unsupported(format!("file format type {other}"))),
    });
    for (name, value) in options {
        set(&mut format, name, value)?;
    }
    format.check()
}

/// Options of one type of format; another type's are refused.
fn belongs(format: FormatType, name: &str) -> bool {
    let csv = [
        "RECORD_DELIMITER",
        "FIELD_DELIMITER",
        "SKIP_HEADER",
        "PARSE_HEADER",
        "SKIP_BLANK_LINES",
        "FIELD_OPTIONALLY_ENCLOSED_BY",
        "ESCAPE",
        "ESCAPE_UNENCLOSED_FIELD",
        "EMPTY_FIELD_AS_NULL",
        "ERROR_ON_COLUMN_COUNT_MISMATCH",
        "ENCODING",
    ];
    let json = ["STRIP_OUTER_ARRAY", "STRIP_NULL_VALUES", "ALLOW_DUPLICATE", "ENABLE_OCTAL"];
    let parquet =
        ["BINARY_AS_TEXT", "USE_LOGICAL_TYPE", "USE_VECTORIZED_SCANNER", "SNAPPY_COMPRESSION"];
    if csv.contains(&name) {
        return format == FormatType::Csv;
    }
    if json.contains(&name) {
        return format == FormatType::Json;
    }
    if parquet.contains(&name) {
        return format == FormatType::Parquet;
    }
    true
}

fn set(format: &mut FileFormat, name: &str, value: &Value) -> Result<(), UserError> {
    let invalid = || {
        UserError::new(
            Code::InvalidArgument,
            format!("invalid value [{value}] for parameter '{name}'"),
        )
    };
    let flag = || match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(invalid()),
    };
    let text = || match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(invalid()),
    };
    let optional_text = || -> Result<Option<String>, UserError> {
        let text = text()?;
        let none = text.eq_ignore_ascii_case("NONE") || text.eq_ignore_ascii_case("AUTO");
        Ok((!none).then_some(text))
    };
    let delimiter = || -> Result<Option<String>, UserError> {
        let text = text()?;
        if text.eq_ignore_ascii_case("NONE") {
            return Ok(None);
        }
        let text = match text.strip_prefix("0x").map(hex::decode) {
            Some(Ok(bytes)) => String::from_utf8(bytes).map_err(|_| invalid())?,
            _ => unescape(&text),
        };
        if text.is_empty() || text.len() > DELIMITER_BYTES_MAX {
            return Err(invalid());
        }
        Ok(Some(text))
    };
    let character = || -> Result<Option<u8>, UserError> {
        let Some(text) = delimiter()? else { return Ok(None) };
        match text.as_bytes() {
            [byte] if byte.is_ascii() => Ok(Some(*byte)),
            _ => Err(invalid()),
        }
    };
    if !belongs(format.format, name) {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!("invalid parameter '{name}' for a file format of this type"),
        ));
    }
    match name {
        "TYPE" => {}
        "COMPRESSION" => {
            format.compression = match text()?.to_uppercase().as_str() {
                "AUTO" => Compression::Auto,
                "NONE" => Compression::None,
                "GZIP" => Compression::Gzip,
                "ZSTD" => Compression::Zstd,
                "DEFLATE" => Compression::Deflate,
                "RAW_DEFLATE" => Compression::RawDeflate,
                "SNAPPY" if format.format == FormatType::Parquet => Compression::Snappy,
                "LZ4" if format.format == FormatType::Parquet => Compression::Lz4,
                other => return Err(UserError::unsupported(format!("COMPRESSION = {other}"))),
            }
        }
        "SNAPPY_COMPRESSION" => {
            format.compression = if flag()? { Compression::Snappy } else { Compression::None };
        }
        "FIELD_DELIMITER" => format.field_delimiter = delimiter()?,
        "RECORD_DELIMITER" => {
            format.record_delimiter = match delimiter()?.as_deref() {
                None => RecordDelimiter::None,
                Some("\n" | "\r" | "\r\n") => RecordDelimiter::NewLine,
                Some(text) => RecordDelimiter::Text(text.to_string()),
            }
        }
        "SKIP_HEADER" => format.skip_header = text()?.parse().map_err(|_| invalid())?,
        "PARSE_HEADER" => format.parse_header = flag()?,
        "SKIP_BLANK_LINES" => format.skip_blank_lines = flag()?,
        "TRIM_SPACE" => format.trim_space = flag()?,
        "MULTI_LINE" => format.multi_line = flag()?,
        "FIELD_OPTIONALLY_ENCLOSED_BY" => {
            format.enclosed_by = character()?;
            if !matches!(format.enclosed_by, None | Some(b'"' | b'\'')) {
                return Err(invalid());
            }
        }
        "ESCAPE" => format.escape = character()?,
        "ESCAPE_UNENCLOSED_FIELD" => format.escape_unenclosed = character()?,
        "NULL_IF" => {
            format.null_if = match value {
                Value::Array(values) => values
                    .iter()
                    .map(|value| match value {
                        Value::String(text) => Ok(unescape(text)),
                        Value::Number(number) => Ok(number.to_string()),
                        _ => Err(invalid()),
                    })
                    .collect::<Result<_, _>>()?,
                Value::String(text) => vec![unescape(text)],
                _ => return Err(invalid()),
            }
        }
        "EMPTY_FIELD_AS_NULL" => format.empty_field_as_null = flag()?,
        "ERROR_ON_COLUMN_COUNT_MISMATCH" => format.error_on_column_count_mismatch = flag()?,
        // IGNORE_UTF8_ERRORS is the older name of the same.
        "REPLACE_INVALID_CHARACTERS" | "IGNORE_UTF8_ERRORS" => {
            format.replace_invalid_characters = flag()?;
        }
        "SKIP_BYTE_ORDER_MARK" => format.skip_byte_order_mark = flag()?,
        "DATE_FORMAT" => format.date_format = optional_text()?,
        "TIME_FORMAT" => format.time_format = optional_text()?,
        "TIMESTAMP_FORMAT" => format.timestamp_format = optional_text()?,
        "BINARY_FORMAT" => {
            format.binary_format = match text()?.to_uppercase().as_str() {
                "HEX" => BinaryFormat::Hex,
                "BASE64" => BinaryFormat::Base64,
                "UTF8" | "UTF-8" => BinaryFormat::Utf8,
                _ => return Err(invalid()),
            }
        }
        "STRIP_OUTER_ARRAY" => format.strip_outer_array = flag()?,
        "STRIP_NULL_VALUES" => format.strip_null_values = flag()?,
        "ALLOW_DUPLICATE" => format.allow_duplicate = flag()?,
        "ENABLE_OCTAL" => {
            if flag()? {
                return Err(UserError::unsupported("ENABLE_OCTAL = TRUE"));
            }
        }
        "ENCODING" => {
            let text = text()?;
            if !["UTF8", "UTF-8"].contains(&text.to_uppercase().as_str()) {
                return Err(UserError::unsupported(format!("ENCODING = {text}")));
            }
        }
        // How Parquet's bytes and logical types are read is fixed: as the file declares them.
        "BINARY_AS_TEXT" | "USE_LOGICAL_TYPE" | "USE_VECTORIZED_SCANNER" => {
            flag()?;
        }
        "FILE_EXTENSION" => format.file_extension = optional_text()?,
        other => {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("invalid parameter '{other}' for a file format"),
            ));
        }
    }
    Ok(())
}

/// `\t`, `\n`, `\x09`, `\011`, `\\` as the characters they stand for.
fn unescape(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '\\' {
            result.push(character);
            continue;
        }
        match rest.next() {
            Some('t') => result.push('\t'),
            Some('n') => result.push('\n'),
            Some('r') => result.push('\r'),
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                match u8::from_str_radix(&digits, 16) {
                    Ok(byte) => result.push(byte as char),
                    Err(_) => result.push_str(&digits),
                }
            }
            Some('\\') => result.push('\\'),
            Some('\'') => result.push('\''),
            Some(digit @ '0'..='3') => {
                let mut digits = digit.to_string();
                while digits.len() < 3 && rest.peek().is_some_and(|c| ('0'..='7').contains(c)) {
                    digits.extend(rest.next());
                }
                match u8::from_str_radix(&digits, 8) {
                    Ok(byte) => result.push(byte as char),
                    Err(_) => result.push_str(&digits),
                }
            }
            Some(other) => {
                result.push('\\');
                result.push(other);
            }
            None => result.push('\\'),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn options_are_read_and_unknown_ones_refused() {
        let options: BTreeMap<String, Value> = [
            ("TYPE", Value::from("csv")),
            ("FIELD_DELIMITER", Value::from("\\t")),
            ("NULL_IF", serde_json::json!(["", "NA"])),
            ("SKIP_HEADER", Value::from(1)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .collect();
        let format = build(&options).unwrap();
        assert_eq!(format.field_delimiter.as_deref(), Some("\t"));
        assert_eq!(format.null_if, vec!["", "NA"]);
        assert_eq!(format.skip_header, 1);
        let bad = [("NO_SUCH".to_string(), Value::from(1))].into();
        assert!(build(&bad).is_err());
        let orc = [("TYPE".to_string(), Value::from("ORC"))].into();
        assert!(build(&orc).unwrap_err().message.contains("ORC"));
    }
}
