//! Conversions between text and booleans, numbers and binary.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use frazil_common::{Code, UserError, excerpt};

use super::{attempt, lenient};
use crate::kernel::{KernelResult, Rows};
use crate::number;

/// Bytes of a value that an error shows, of which it quotes a part.
const SHOWN_BYTES: usize = 256;

pub(super) fn number_to_text(rows: &Rows) -> KernelResult {
    let values = rows.numbers(0)?;
    rows.build_texts(|row| Ok(values.get(row).map(|v| number::to_text(v, values.scale))))
}

pub(super) fn float_to_text(rows: &Rows) -> KernelResult {
    let values = rows.floats(0)?;
    rows.build_texts(|row| Ok(values.get(row).map(number::float_text)))
}

pub(super) fn boolean_to_text(rows: &Rows) -> KernelResult {
    let values = rows.booleans(0)?;
    rows.build_texts(|row| Ok(values.get(row).map(|v| if v { "true" } else { "false" })))
}

/// A text of at most that many characters, else NULL.
pub(super) fn text_fits(rows: &Rows) -> KernelResult {
    let (texts, lengths) = (rows.texts(0)?, rows.integers(1)?);
    let length = lengths.get(0).unwrap_or(0).max(0) as usize;
    rows.build_texts(|row| Ok(texts.get(row).filter(|text| text.chars().nth(length).is_none())))
}

/// Snowflake's boolean words, in any case.
pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

pub(super) fn text_to_boolean(rows: &Rows) -> KernelResult {
    let values = rows.texts(0)?;
    let lenient = lenient(rows, 1)?;
    rows.build_booleans(|row| {
        let Some(text) = values.get(row) else { return Ok(None) };
        attempt(
            lenient,
            parse_boolean(text).ok_or_else(|| {
                UserError::new(
                    Code::BooleanNotRecognized,
                    format!("Boolean value '{}' is not recognized", excerpt(text)),
                )
            }),
        )
    })
}

/// Bytes of a text in `HEX`, `BASE64` or `UTF-8` form.
pub(crate) fn decode_binary(text: &str, format: &str) -> Result<Vec<u8>, UserError> {
    let bad = || {
        UserError::new(
            Code::InvalidHex,
            format!(
                "The following string is not a legal {} value: '{}'",
                format.to_uppercase(),
                excerpt(text)
            ),
        )
    };
    match format.to_ascii_uppercase().as_str() {
        "HEX" => hex::decode(text).map_err(|_| bad()),
        "BASE64" => BASE64.decode(text).map_err(|_| bad()),
        "UTF-8" | "UTF8" => Ok(text.as_bytes().to_vec()),
        _ => {
            Err(UserError::new(Code::InvalidArgument, format!("Invalid binary format '{format}'")))
        }
    }
}

/// Text of bytes in `HEX`, `BASE64` or `UTF-8` form.
pub(crate) fn encode_binary(bytes: &[u8], format: &str) -> Result<String, UserError> {
    match format.to_ascii_uppercase().as_str() {
        "HEX" => Ok(hex::encode_upper(bytes)),
        "BASE64" => Ok(BASE64.encode(bytes)),
        "UTF-8" | "UTF8" => String::from_utf8(bytes.to_vec()).map_err(|_| {
            UserError::new(Code::FailedCast, "Invalid UTF8 detected while converting BINARY")
        }),
        _ => {
            Err(UserError::new(Code::InvalidArgument, format!("Invalid binary format '{format}'")))
        }
    }
}

pub(crate) fn text_to_binary(rows: &Rows) -> KernelResult {
    let values = rows.texts(0)?;
    let lenient = lenient(rows, 1)?;
    let formats = rows.texts(2)?;
    rows.build_bytes(|row| match (values.get(row), formats.get(row)) {
        (Some(text), Some(format)) => attempt(lenient, decode_binary(text, format)),
        _ => Ok(None),
    })
}

pub(crate) fn binary_to_text(rows: &Rows) -> KernelResult {
    let values = rows.bytes(0)?;
    let lenient = lenient(rows, 1)?;
    let formats = rows.texts(2)?;
    rows.build_texts(|row| match (values.get(row), formats.get(row)) {
        (Some(bytes), Some(format)) => attempt(lenient, encode_binary(bytes, format)),
        _ => Ok(None),
    })
}

pub(super) fn binary_length(rows: &Rows) -> KernelResult {
    let values = rows.bytes(0)?;
    let lenient = lenient(rows, 1)?;
    let most = rows.integers(2)?.get(0).unwrap_or(0) as usize;
    rows.build_bytes(|row| {
        let Some(bytes) = values.get(row) else { return Ok(None) };
        let result = if bytes.len() <= most {
            Ok(bytes.to_vec())
        } else {
            let shown = hex::encode_upper(&bytes[..bytes.len().min(SHOWN_BYTES)]);
            Err(UserError::new(
                Code::StringTooLong,
                format!("Binary '{}' is too long and would be truncated", excerpt(&shown)),
            ))
        };
        attempt(lenient, result)
    })
}

/// Checks (or cuts to) a length in characters.
pub(super) fn text_length(rows: &Rows) -> KernelResult {
    let values = rows.texts(0)?;
    let most = rows.integers(1)?.get(0).unwrap_or(0) as usize;
    let cut = lenient(rows, 2)?;
    rows.build_texts(|row| {
        let Some(text) = values.get(row) else { return Ok(None) };
        if text.len() <= most {
            return Ok(Some(text));
        }
        match text.char_indices().nth(most) {
            None => Ok(Some(text)),
            Some((end, _)) if cut => Ok(text.get(..end)),
            Some(_) => Err(UserError::new(
                Code::StringTooLong,
                format!("String '{}' is too long and would be truncated", excerpt(text)),
            )
            .into()),
        }
    })
}
