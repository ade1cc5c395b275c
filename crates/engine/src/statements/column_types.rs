//! Column types in the words of SHOW COLUMNS and INFORMATION_SCHEMA.

use frazil_common::{SqlType, TimeZoneKind};
use serde_json::json;

/// Bytes of a character of VARCHAR at most.
const BYTES_PER_CHARACTER: u64 = 4;
/// Longest VARCHAR in bytes, which INFORMATION_SCHEMA does not exceed.
const OCTETS_MAX: u64 = 16_777_216;

/// A type as SHOW COLUMNS gives it: JSON with the wire's words for types.
pub(crate) fn data_type_json(sql_type: &SqlType, nullable: bool) -> String {
    let value = match sql_type {
        SqlType::Number { precision, scale } => json!({
            "type": "FIXED", "precision": precision, "scale": scale, "nullable": nullable
        }),
        SqlType::Float => json!({ "type": "REAL", "nullable": nullable }),
        SqlType::Varchar { length } => json!({
            "type": "TEXT", "length": length, "byteLength": octets(*length),
            "nullable": nullable, "fixed": false
        }),
        SqlType::Binary { length } => json!({
            "type": "BINARY", "length": length, "byteLength": length,
            "nullable": nullable, "fixed": true
        }),
        SqlType::Time { scale, .. } | SqlType::Timestamp { scale, .. } => json!({
            "type": name(sql_type), "precision": 0, "scale": scale, "nullable": nullable
        }),
        SqlType::Vector { dimension, .. } => json!({
            "type": "VECTOR", "dimension": dimension, "nullable": nullable
        }),
        SqlType::Boolean
        | SqlType::Date
        | SqlType::Variant
        | SqlType::Object
        | SqlType::Array
        | SqlType::Null => json!({ "type": name(sql_type), "nullable": nullable }),
    };
    value.to_string()
}

/// The same for a type of another client that has no counterpart.
pub(crate) fn foreign_type_json(words: &str, nullable: bool) -> String {
    json!({ "type": words, "nullable": nullable }).to_string()
}

/// A type's name alone, as INFORMATION_SCHEMA gives it.
pub(crate) fn name(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Number { .. } => "NUMBER",
        SqlType::Float => "FLOAT",
        SqlType::Varchar { .. } | SqlType::Null => "TEXT",
        SqlType::Binary { .. } => "BINARY",
        SqlType::Boolean => "BOOLEAN",
        SqlType::Date => "DATE",
        SqlType::Time { .. } => "TIME",
        SqlType::Timestamp { zone, .. } => match zone {
            TimeZoneKind::Ntz => "TIMESTAMP_NTZ",
            TimeZoneKind::Ltz => "TIMESTAMP_LTZ",
            TimeZoneKind::Tz => "TIMESTAMP_TZ",
        },
        SqlType::Variant => "VARIANT",
        SqlType::Object => "OBJECT",
        SqlType::Array => "ARRAY",
        SqlType::Vector { .. } => "VECTOR",
    }
}

/// Most bytes of a VARCHAR of that many characters.
pub(crate) fn octets(length: u32) -> u64 {
    (u64::from(length) * BYTES_PER_CHARACTER).min(OCTETS_MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn show_columns_speaks_json() {
        let text = data_type_json(&SqlType::Number { precision: 38, scale: 0 }, true);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, json!({"type":"FIXED","precision":38,"scale":0,"nullable":true}));
        let text = data_type_json(&SqlType::Varchar { length: 10 }, false);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["byteLength"], 40);
        assert_eq!(value["type"], "TEXT");
    }
}
