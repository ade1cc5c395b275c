//! File format options, from named formats, stages and statements.

use std::collections::BTreeMap;

use frazil_catalog::account::FileFormat as StoredFormat;
use frazil_common::{Code, UserError};
use frazil_dialect::{OptionValue, Options, parse_object_name_text};
use serde_json::Value;

use crate::statements::context::StatementContext;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FormatType {
    Csv,
    Json,
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Auto,
    None,
    Gzip,
    Zstd,
}

/// A file format with every option given a value. Names and defaults are Snowflake's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileFormat {
    pub format: FormatType,
    pub compression: Compression,
    pub field_delimiter: Option<u8>,
    pub record_delimiter: Option<u8>,
    pub skip_header: u64,
    pub parse_header: bool,
    pub skip_blank_lines: bool,
    pub trim_space: bool,
    pub enclosed_by: Option<u8>,
    pub escape: Option<u8>,
    pub null_if: Vec<String>,
    pub empty_field_as_null: bool,
    pub error_on_column_count_mismatch: bool,
    pub date_format: Option<String>,
    pub time_format: Option<String>,
    pub timestamp_format: Option<String>,
    pub strip_outer_array: bool,
}

impl FileFormat {
    fn new(format: FormatType) -> Self {
        FileFormat {
            format,
            compression: Compression::Auto,
            field_delimiter: Some(b','),
            record_delimiter: None,
            skip_header: 0,
            parse_header: false,
            skip_blank_lines: false,
            trim_space: false,
            enclosed_by: None,
            escape: None,
            null_if: if format == FormatType::Csv { vec!["\\N".to_string()] } else { Vec::new() },
            empty_field_as_null: true,
            error_on_column_count_mismatch: true,
            date_format: None,
            time_format: None,
            timestamp_format: None,
            strip_outer_array: false,
        }
    }
}

/// Options as JSON, the form stages and named formats keep them in.
pub(crate) fn to_json(options: &Options) -> BTreeMap<String, Value> {
    options.iter().map(|(name, value)| (name.to_uppercase(), option_json(value))).collect()
}

fn option_json(value: &OptionValue) -> Value {
    if let Some(flag) = value.as_boolean() {
        return Value::Bool(flag);
    }
    if let Some(number) = value.as_integer() {
        return Value::from(number);
    }
    match value.as_text() {
        Some(text) => Value::from(text),
        None => Value::Array(value.as_list().into_iter().map(option_json).collect()),
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
    Ok(format)
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
    let character = || -> Result<Option<u8>, UserError> {
        let Some(text) = optional_text()? else { return Ok(None) };
        match unescape(&text).as_bytes() {
            [] => Ok(None),
            [byte] => Ok(Some(*byte)),
            [b'\r', b'\n'] => Ok(None),
            _ => Err(UserError::unsupported(format!("{name} of more than one character"))),
        }
    };
    match name {
        "TYPE" => {}
        "COMPRESSION" => {
            format.compression = match text()?.to_uppercase().as_str() {
                "AUTO" | "SNAPPY" => Compression::Auto,
                "NONE" => Compression::None,
                "GZIP" => Compression::Gzip,
                "ZSTD" => Compression::Zstd,
                other => return Err(UserError::unsupported(format!("COMPRESSION = {other}"))),
            }
        }
        "FIELD_DELIMITER" => format.field_delimiter = character()?,
        "RECORD_DELIMITER" => format.record_delimiter = character()?.filter(|byte| *byte != b'\n'),
        "SKIP_HEADER" => format.skip_header = value.as_u64().ok_or_else(invalid)?,
        "PARSE_HEADER" => format.parse_header = flag()?,
        "SKIP_BLANK_LINES" => format.skip_blank_lines = flag()?,
        "TRIM_SPACE" => format.trim_space = flag()?,
        "FIELD_OPTIONALLY_ENCLOSED_BY" => format.enclosed_by = character()?,
        "ESCAPE" => format.escape = character()?,
        "ESCAPE_UNENCLOSED_FIELD" => {
            if let Some(byte) = character()?
                && byte != b'\\'
            {
                return Err(UserError::unsupported("ESCAPE_UNENCLOSED_FIELD"));
            }
        }
        "NULL_IF" => {
            format.null_if = match value {
                Value::Array(values) => values
                    .iter()
                    .map(|value| value.as_str().map(unescape).ok_or_else(invalid))
                    .collect::<Result<_, _>>()?,
                Value::String(text) => vec![unescape(text)],
                _ => return Err(invalid()),
            }
        }
        "EMPTY_FIELD_AS_NULL" => format.empty_field_as_null = flag()?,
        "ERROR_ON_COLUMN_COUNT_MISMATCH" => format.error_on_column_count_mismatch = flag()?,
        "DATE_FORMAT" => format.date_format = optional_text()?,
        "TIME_FORMAT" => format.time_format = optional_text()?,
        "TIMESTAMP_FORMAT" => format.timestamp_format = optional_text()?,
        "STRIP_OUTER_ARRAY" => format.strip_outer_array = flag()?,
        "ENCODING" => {
            let text = text()?;
            if !["UTF8", "UTF-8"].contains(&text.to_uppercase().as_str()) {
                return Err(UserError::unsupported(format!("ENCODING = {text}")));
            }
        }
        "REPLACE_INVALID_CHARACTERS"
        | "STRIP_NULL_VALUES"
        | "IGNORE_UTF8_ERRORS"
        | "MULTI_LINE" => {
            let asks = flag()?;
            if asks && name != "MULTI_LINE" {
                return Err(UserError::unsupported(format!("{name} = TRUE")));
            }
        }
        // How Parquet's bytes and logical types are read is fixed: as the file declares them.
        "BINARY_AS_TEXT" | "USE_LOGICAL_TYPE" | "USE_VECTORIZED_SCANNER" | "SNAPPY_COMPRESSION" => {
            flag()?;
        }
        "BINARY_FORMAT" => {
            let text = text()?;
            if !text.eq_ignore_ascii_case("HEX") {
                return Err(UserError::unsupported(format!("BINARY_FORMAT = {text}")));
            }
        }
        "FILE_EXTENSION" | "SKIP_BYTE_ORDER_MARK" => {}
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
        assert_eq!(format.field_delimiter, Some(b'\t'));
        assert_eq!(format.null_if, vec!["", "NA"]);
        assert_eq!(format.skip_header, 1);
        let bad = [("NO_SUCH".to_string(), Value::from(1))].into();
        assert!(build(&bad).is_err());
        let orc = [("TYPE".to_string(), Value::from("ORC"))].into();
        assert!(build(&orc).unwrap_err().message.contains("ORC"));
    }
}
