//! Snowflake's SQL types and the Arrow types that hold them.
//!
//! | SQL | Arrow |
//! |---|---|
//! | NUMBER(p ≤ 18, 0) | Int64 |
//! | NUMBER(p, s) otherwise | Decimal128(p, s) |
//! | FLOAT | Float64 |
//! | VARCHAR | Utf8View |
//! | BINARY | Binary |
//! | BOOLEAN, DATE | Boolean, Date32 |
//! | TIME(s) | Time64(µs), ns where s > 6 was declared |
//! | TIMESTAMP_NTZ | Timestamp(µs), ns where s > 6 was declared |
//! | TIMESTAMP_LTZ | the same with zone "UTC" |
//! | TIMESTAMP_TZ | Struct{instant: Timestamp(µs, "UTC"), offset: Int32 minutes} |
//! | VARIANT, OBJECT, ARRAY | Struct{metadata, value: BinaryView}: Parquet Variant |
//! | VECTOR(FLOAT, n) | List<Float32> |

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::error::{Code, UserError};

/// Longest VARCHAR, in characters (16 MiB).
pub const VARCHAR_LENGTH_MAX: u32 = 16_777_216;
/// Longest BINARY, in bytes (8 MiB).
pub const BINARY_LENGTH_MAX: u32 = 8_388_608;
/// Field metadata key that carries the SQL type's text through Arrow schemas.
pub const TYPE_METADATA_KEY: &str = "frazil.type";

/// How a timestamp relates to time zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TimeZoneKind {
    /// Wall clock without a zone.
    Ntz,
    /// An instant, shown in the session's zone.
    Ltz,
    /// An instant with the offset it was written with.
    Tz,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VectorElement {
    Float,
    Int,
}

/// A Snowflake SQL type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SqlType {
    /// 1 ≤ precision ≤ 38, scale ≤ min(precision, 37).
    Number {
        precision: u8,
        scale: u8,
    },
    Float,
    /// Length in characters.
    Varchar {
        length: u32,
    },
    /// Length in bytes.
    Binary {
        length: u32,
    },
    Boolean,
    Date,
    /// Fraction digits 0–9; `nanos` when more than six were declared.
    Time {
        scale: u8,
        nanos: bool,
    },
    /// Fraction digits 0–9. Undeclared is shown as 9 but held in microseconds, so that year 9999
    /// can live; nanoseconds only where a scale above 6 was declared.
    Timestamp {
        zone: TimeZoneKind,
        scale: u8,
        nanos: bool,
    },
    Variant,
    Object,
    Array,
    Vector {
        element: VectorElement,
        dimension: u32,
    },
    /// The type of a bare NULL, until something gives it another.
    Null,
}

impl SqlType {
    /// NUMBER(38,0): INT, INTEGER, BIGINT and NUMBER without precision.
    pub const INTEGER: SqlType = SqlType::Number { precision: 38, scale: 0 };
    /// VARCHAR without a length.
    pub const TEXT: SqlType = SqlType::Varchar { length: VARCHAR_LENGTH_MAX };
    pub const BYTES: SqlType = SqlType::Binary { length: BINARY_LENGTH_MAX };
    pub const TIMESTAMP_NTZ: SqlType =
        SqlType::Timestamp { zone: TimeZoneKind::Ntz, scale: 9, nanos: false };
    pub const TIMESTAMP_LTZ: SqlType =
        SqlType::Timestamp { zone: TimeZoneKind::Ltz, scale: 9, nanos: false };
    pub const TIMESTAMP_TZ: SqlType =
        SqlType::Timestamp { zone: TimeZoneKind::Tz, scale: 9, nanos: false };
    pub const TIME: SqlType = SqlType::Time { scale: 9, nanos: false };

    pub fn is_numeric(&self) -> bool {
        matches!(self, SqlType::Number { .. } | SqlType::Float)
    }

    pub fn is_text(&self) -> bool {
        matches!(self, SqlType::Varchar { .. })
    }

    pub fn is_semi_structured(&self) -> bool {
        matches!(self, SqlType::Variant | SqlType::Object | SqlType::Array)
    }

    pub fn is_temporal(&self) -> bool {
        matches!(self, SqlType::Date | SqlType::Time { .. } | SqlType::Timestamp { .. })
    }

    /// The Arrow type that holds values of this type, in memory and in results.
    pub fn to_arrow(&self) -> DataType {
        let unit = |nanos: bool| if nanos { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
        match self {
            SqlType::Number { precision, scale: 0 } if *precision <= 18 => DataType::Int64,
            SqlType::Number { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
            SqlType::Float => DataType::Float64,
            SqlType::Varchar { .. } => DataType::Utf8View,
            SqlType::Binary { .. } => DataType::Binary,
            SqlType::Boolean => DataType::Boolean,
            SqlType::Date => DataType::Date32,
            SqlType::Time { nanos, .. } => DataType::Time64(unit(*nanos)),
            SqlType::Timestamp { zone, nanos, .. } => match zone {
                TimeZoneKind::Ntz => DataType::Timestamp(unit(*nanos), None),
                TimeZoneKind::Ltz => DataType::Timestamp(unit(*nanos), Some("UTC".into())),
                TimeZoneKind::Tz => DataType::Struct(Fields::from(vec![
                    Field::new(
                        "instant",
                        DataType::Timestamp(unit(*nanos), Some("UTC".into())),
                        false,
                    ),
                    Field::new("offset", DataType::Int32, false),
                ])),
            },
            SqlType::Variant | SqlType::Object | SqlType::Array => {
                DataType::Struct(Fields::from(vec![
                    Field::new("metadata", DataType::BinaryView, false),
                    Field::new("value", DataType::BinaryView, false),
                ]))
            }
            SqlType::Vector { element, .. } => {
                let item = match element {
                    VectorElement::Float => DataType::Float32,
                    VectorElement::Int => DataType::Int32,
                };
                DataType::List(Arc::new(Field::new("item", item, true)))
            }
            SqlType::Null => DataType::Null,
        }
    }

    /// The SQL type that fits an Arrow type best, for files and results made elsewhere.
    pub fn from_arrow(data_type: &DataType) -> Option<SqlType> {
        let time = |unit: &TimeUnit| match unit {
            TimeUnit::Second => (0, false),
            TimeUnit::Millisecond => (3, false),
            TimeUnit::Microsecond => (6, false),
            TimeUnit::Nanosecond => (9, true),
        };
        let number = |precision| Some(SqlType::Number { precision, scale: 0 });
        Some(match data_type {
            DataType::Null => SqlType::Null,
            DataType::Boolean => SqlType::Boolean,
            DataType::Int8 | DataType::UInt8 => return number(3),
            DataType::Int16 | DataType::UInt16 => return number(5),
            DataType::Int32 | DataType::UInt32 => return number(10),
            // Held in Int64; files with nineteen digits are widened by their reader.
            DataType::Int64 => return number(18),
            DataType::UInt64 => return number(20),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => SqlType::Float,
            DataType::Decimal32(p, s)
            | DataType::Decimal64(p, s)
            | DataType::Decimal128(p, s)
            | DataType::Decimal256(p, s)
                if *p <= 38 && *s >= 0 =>
            {
                SqlType::Number { precision: *p, scale: *s as u8 }
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => SqlType::TEXT,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => SqlType::BYTES,
            DataType::Date32 | DataType::Date64 => SqlType::Date,
            DataType::Time32(unit) | DataType::Time64(unit) => {
                let (scale, nanos) = time(unit);
                SqlType::Time { scale, nanos }
            }
            DataType::Timestamp(unit, zone) => {
                let (scale, nanos) = time(unit);
                let zone = if zone.is_some() { TimeZoneKind::Ltz } else { TimeZoneKind::Ntz };
                SqlType::Timestamp { zone, scale, nanos }
            }
            DataType::Dictionary(_, values) => return SqlType::from_arrow(values),
            DataType::Struct(fields)
                if fields.len() == 2
                    && fields[0].name() == "metadata"
                    && fields[1].name() == "value" =>
            {
                SqlType::Variant
            }
            DataType::Struct(fields)
                if fields.len() == 2
                    && fields[0].name() == "instant"
                    && fields[1].name() == "offset" =>
            {
                let nanos =
                    matches!(fields[0].data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _));
                SqlType::Timestamp { zone: TimeZoneKind::Tz, scale: 9, nanos }
            }
            _ => return None,
        })
    }

    /// The type of a field: its own metadata first, else from the Arrow type.
    pub fn of_field(field: &Field) -> Option<SqlType> {
        match field.metadata().get(TYPE_METADATA_KEY) {
            Some(text) => text.parse().ok(),
            None => SqlType::from_arrow(field.data_type()),
        }
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SqlType::Number { precision, scale } => write!(f, "NUMBER({precision},{scale})"),
            SqlType::Float => f.write_str("FLOAT"),
            SqlType::Varchar { length } => write!(f, "VARCHAR({length})"),
            SqlType::Binary { length } => write!(f, "BINARY({length})"),
            SqlType::Boolean => f.write_str("BOOLEAN"),
            SqlType::Date => f.write_str("DATE"),
            SqlType::Time { scale, .. } => write!(f, "TIME({scale})"),
            SqlType::Timestamp { zone, scale, .. } => {
                let name = match zone {
                    TimeZoneKind::Ntz => "TIMESTAMP_NTZ",
                    TimeZoneKind::Ltz => "TIMESTAMP_LTZ",
                    TimeZoneKind::Tz => "TIMESTAMP_TZ",
                };
                write!(f, "{name}({scale})")
            }
            SqlType::Variant => f.write_str("VARIANT"),
            SqlType::Object => f.write_str("OBJECT"),
            SqlType::Array => f.write_str("ARRAY"),
            SqlType::Vector { element, dimension } => {
                let element = match element {
                    VectorElement::Float => "FLOAT",
                    VectorElement::Int => "INT",
                };
                write!(f, "VECTOR({element}, {dimension})")
            }
            SqlType::Null => f.write_str("NULL"),
        }
    }
}

impl SqlType {
    /// Text for storage: as `Display`, with `NANOS` where nanoseconds were declared.
    pub fn storage_text(&self) -> String {
        match self {
            SqlType::Time { nanos: true, .. } | SqlType::Timestamp { nanos: true, .. } => {
                format!("{self} NANOS")
            }
            _ => self.to_string(),
        }
    }
}

impl FromStr for SqlType {
    type Err = UserError;

    /// Reads the canonical form written by [`SqlType::storage_text`] (not user SQL; see `dialect`).
    fn from_str(text: &str) -> Result<Self, UserError> {
        let bad =
            || UserError::new(Code::InvalidDataType, format!("Unsupported data type '{text}'."));
        let (text_only, nanos) = match text.strip_suffix(" NANOS") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (name, arguments) = match text_only.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')').ok_or_else(bad)?),
            None => (text_only, ""),
        };
        let arguments: Vec<&str> =
            arguments.split(',').map(str::trim).filter(|a| !a.is_empty()).collect();
        let number = |index: usize, default: u32| match arguments.get(index) {
            Some(text) => text.parse::<u32>().map_err(|_| bad()),
            None => Ok(default),
        };
        let timestamp = |zone| Ok(SqlType::Timestamp { zone, scale: number(0, 9)? as u8, nanos });
        match name.trim() {
            "NUMBER" => {
                Ok(SqlType::Number { precision: number(0, 38)? as u8, scale: number(1, 0)? as u8 })
            }
            "FLOAT" => Ok(SqlType::Float),
            "VARCHAR" => Ok(SqlType::Varchar { length: number(0, VARCHAR_LENGTH_MAX)? }),
            "BINARY" => Ok(SqlType::Binary { length: number(0, BINARY_LENGTH_MAX)? }),
            "BOOLEAN" => Ok(SqlType::Boolean),
            "DATE" => Ok(SqlType::Date),
            "TIME" => Ok(SqlType::Time { scale: number(0, 9)? as u8, nanos }),
            "TIMESTAMP_NTZ" => timestamp(TimeZoneKind::Ntz),
            "TIMESTAMP_LTZ" => timestamp(TimeZoneKind::Ltz),
            "TIMESTAMP_TZ" => timestamp(TimeZoneKind::Tz),
            "VARIANT" => Ok(SqlType::Variant),
            "OBJECT" => Ok(SqlType::Object),
            "ARRAY" => Ok(SqlType::Array),
            "VECTOR" => {
                let element = match arguments.first().copied() {
                    Some("FLOAT") => VectorElement::Float,
                    Some("INT") => VectorElement::Int,
                    _ => return Err(bad()),
                };
                Ok(SqlType::Vector { element, dimension: number(1, 0)? })
            }
            "NULL" => Ok(SqlType::Null),
            _ => Err(bad()),
        }
    }
}

/// A column of a table, view or result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub sql_type: SqlType,
    pub nullable: bool,
}

impl Column {
    pub fn new(name: impl Into<String>, sql_type: SqlType, nullable: bool) -> Self {
        Column { name: name.into(), sql_type, nullable }
    }

    /// The Arrow field, with the SQL type in its metadata.
    pub fn to_field(&self) -> Field {
        Field::new(&self.name, self.sql_type.to_arrow(), self.nullable)
            .with_metadata([(TYPE_METADATA_KEY.to_string(), self.sql_type.storage_text())].into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn storage_text_round_trips() {
        for ty in [
            SqlType::INTEGER,
            SqlType::Number { precision: 12, scale: 3 },
            SqlType::Float,
            SqlType::Varchar { length: 5 },
            SqlType::TIMESTAMP_TZ,
            SqlType::Timestamp { zone: TimeZoneKind::Ntz, scale: 9, nanos: true },
            SqlType::Time { scale: 3, nanos: false },
            SqlType::Vector { element: VectorElement::Float, dimension: 3 },
        ] {
            assert_eq!(ty.storage_text().parse::<SqlType>().unwrap(), ty);
        }
    }
}
