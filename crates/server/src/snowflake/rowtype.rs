//! Column descriptions as Snowflake's clients index them: every key is always present.

use frazil_common::{Column, SqlType, VectorElement};
use serde::Serialize;

/// One entry of `rowtype`.
#[derive(Debug, Clone, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RowType {
    pub name: String,
    pub database: String,
    pub schema: String,
    pub table: String,
    pub nullable: bool,
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// Characters of text, bytes of binary.
    pub length: Option<u32>,
    pub byte_length: Option<u32>,
    pub precision: Option<u32>,
    pub scale: Option<u32>,
    pub collation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector_dimension: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<Nested>>,
}

/// The element type of a vector.
#[derive(Debug, Clone, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Nested {
    #[serde(rename = "type")]
    pub type_name: &'static str,
    pub nullable: bool,
    pub length: Option<u32>,
    pub byte_length: Option<u32>,
    pub precision: Option<u32>,
    pub scale: Option<u32>,
}

/// The bytes that a VARCHAR of that many characters can take, as clients are told.
pub fn byte_length(characters: u32) -> u32 {
    characters.saturating_mul(4).min(frazil_common::types::VARCHAR_LENGTH_MAX)
}

/// Describes the columns of a result.
pub fn row_types(columns: &[Column]) -> Vec<RowType> {
    columns.iter().map(row_type).collect()
}

fn row_type(column: &Column) -> RowType {
    let (length, bytes, precision, scale) = match &column.sql_type {
        SqlType::Number { precision, scale } => {
            (None, None, Some((*precision).into()), Some((*scale).into()))
        }
        SqlType::Varchar { length } => (Some(*length), Some(byte_length(*length)), None, None),
        SqlType::Null => {
            let length = frazil_common::types::VARCHAR_LENGTH_MAX;
            (Some(length), Some(length), None, None)
        }
        SqlType::Binary { length } => (Some(*length), Some(*length), None, None),
        SqlType::Time { scale, .. } | SqlType::Timestamp { scale, .. } => {
            (None, None, Some(0), Some((*scale).into()))
        }
        SqlType::Float
        | SqlType::Boolean
        | SqlType::Date
        | SqlType::Variant
        | SqlType::Object
        | SqlType::Array
        | SqlType::Vector { .. } => (None, None, None, None),
    };
    let (vector_dimension, fields) = match &column.sql_type {
        SqlType::Vector { element, dimension } => {
            let (type_name, precision, scale) = match element {
                VectorElement::Float => ("real", None, None),
                VectorElement::Int => ("fixed", Some(10), Some(0)),
            };
            let nested = Nested {
                type_name,
                nullable: true,
                length: None,
                byte_length: None,
                precision,
                scale,
            };
            (Some(*dimension), Some(vec![nested]))
        }
        _ => (None, None),
    };
    RowType {
        name: column.name.clone(),
        database: String::new(),
        schema: String::new(),
        table: String::new(),
        nullable: column.nullable,
        type_name: type_name(&column.sql_type),
        length,
        byte_length: bytes,
        precision,
        scale,
        collation: None,
        vector_dimension,
        fields,
    }
}

fn type_name(sql_type: &SqlType) -> &'static str {
    match super::convert::arrow::logical_type(sql_type) {
        "FIXED" => "fixed",
        "REAL" => "real",
        "BINARY" => "binary",
        "BOOLEAN" => "boolean",
        "DATE" => "date",
        "TIME" => "time",
        "TIMESTAMP_NTZ" => "timestamp_ntz",
        "TIMESTAMP_LTZ" => "timestamp_ltz",
        "TIMESTAMP_TZ" => "timestamp_tz",
        "VARIANT" => "variant",
        "OBJECT" => "object",
        "ARRAY" => "array",
        "VECTOR" => "vector",
        _ => "text",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_indexed_keys_are_present() {
        let column = Column::new("A", SqlType::Varchar { length: 5 }, true);
        let value = serde_json::to_value(row_type(&column)).unwrap();
        for key in ["name", "nullable", "length", "byteLength", "precision", "scale", "collation"] {
            assert!(value.get(key).is_some(), "{key}");
        }
        assert_eq!(value["type"], "text");
        assert_eq!(value["length"], 5);
        assert_eq!(value["byteLength"], 20);
    }

    #[test]
    fn vectors_name_their_dimension_and_element() {
        let sql_type = SqlType::Vector { element: VectorElement::Float, dimension: 3 };
        let value = serde_json::to_value(row_type(&Column::new("V", sql_type, true))).unwrap();
        assert_eq!(value["vectorDimension"], 3);
        assert_eq!(value["fields"][0]["type"], "real");
    }
}
