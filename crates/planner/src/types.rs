//! Data types of the syntax tree as SQL types.

use frazil_common::types::{BINARY_LENGTH_MAX, VARCHAR_LENGTH_MAX};
use frazil_common::{Code, SqlType, TimeZoneKind, UserError, VectorElement};
use sqlparser::ast::{
    ArrayElemTypeDef, BinaryLength, CharacterLength, DataType, ExactNumberInfo, TimezoneInfo,
};

use crate::names;

/// The SQL type that a data type names, as Snowflake reads it.
pub fn sql_type(data_type: &DataType) -> Result<SqlType, UserError> {
    use DataType as D;
    Ok(match data_type {
        D::Numeric(info) | D::Decimal(info) | D::Dec(info) => exact_number(info)?,
        D::TinyInt(None)
        | D::SmallInt(None)
        | D::Int(None)
        | D::Integer(None)
        | D::BigInt(None)
        | D::Int2(None)
        | D::Int4(None)
        | D::Int8(None) => SqlType::INTEGER,
        D::Float(ExactNumberInfo::None)
        | D::Float4
        | D::Float8
        | D::Float64
        | D::Real
        | D::Double(ExactNumberInfo::None)
        | D::DoublePrecision => SqlType::Float,
        D::Boolean | D::Bool => SqlType::Boolean,
        D::Text | D::String(None) => SqlType::TEXT,
        D::String(Some(length)) => varchar(*length)?,
        D::Varchar(length)
        | D::Nvarchar(length)
        | D::CharVarying(length)
        | D::CharacterVarying(length) => match length {
            None => SqlType::TEXT,
            Some(length) => character_length(length)?,
        },
        D::Char(length) | D::Character(length) => match length {
            None => SqlType::Varchar { length: 1 },
            Some(length) => character_length(length)?,
        },
        D::Binary(length) => binary(*length)?,
        D::Varbinary(length) => match length {
            None | Some(BinaryLength::Max) => SqlType::BYTES,
            Some(BinaryLength::IntegerLength { length }) => binary(Some(*length))?,
        },
        D::Date => SqlType::Date,
        D::Time(scale, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => time(*scale)?,
        D::Datetime(scale) | D::TimestampNtz(scale) => timestamp(TimeZoneKind::Ntz, *scale)?,
        D::Timestamp(scale, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            timestamp(TimeZoneKind::Ntz, *scale)?
        }
        D::Timestamp(scale, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            timestamp(TimeZoneKind::Tz, *scale)?
        }
        D::Array(ArrayElemTypeDef::None) => SqlType::Array,
        D::Custom(name, arguments) => return custom(name, arguments, data_type),
        other => return Err(unknown(other)),
    })
}

fn unknown(data_type: &DataType) -> UserError {
    UserError::new(
        Code::InvalidDataType,
        format!("Unsupported data type '{}'.", data_type.to_string().to_uppercase()),
    )
}

fn exact_number(info: &ExactNumberInfo) -> Result<SqlType, UserError> {
    match info {
        ExactNumberInfo::None => Ok(SqlType::INTEGER),
        ExactNumberInfo::Precision(precision) => number(*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => number(*precision, *scale),
    }
}

fn number(precision: u64, scale: i64) -> Result<SqlType, UserError> {
    if !(1..=38).contains(&precision) {
        return Err(UserError::new(
            Code::InvalidDataType,
            format!("Invalid number precision: {precision}. Must be between 1 and 38."),
        ));
    }
    if !(0..=37).contains(&scale) || scale as u64 > precision {
        return Err(UserError::new(
            Code::InvalidDataType,
            format!("Invalid number scale: {scale}. Must be between 0 and {}.", precision.min(37)),
        ));
    }
    Ok(SqlType::Number { precision: precision as u8, scale: scale as u8 })
}

fn character_length(length: &CharacterLength) -> Result<SqlType, UserError> {
    match length {
        CharacterLength::IntegerLength { length, unit: None } => varchar(*length),
        CharacterLength::IntegerLength { length: _, unit: Some(unit) } => {
            Err(UserError::unsupported(format!("length in {unit}")))
        }
        CharacterLength::Max => Ok(SqlType::TEXT),
    }
}

fn varchar(length: u64) -> Result<SqlType, UserError> {
    // The newer limit of 128 MiB is accepted and held as the longest VARCHAR.
    if length == 0 || length > 134_217_728 {
        return Err(UserError::new(
            Code::InvalidDataType,
            format!("Invalid length for type VARCHAR: {length}."),
        ));
    }
    Ok(SqlType::Varchar { length: (length as u32).min(VARCHAR_LENGTH_MAX) })
}

fn binary(length: Option<u64>) -> Result<SqlType, UserError> {
    match length {
        None => Ok(SqlType::BYTES),
        Some(length) if length == 0 || length > 67_108_864 => Err(UserError::new(
            Code::InvalidDataType,
            format!("Invalid length for type BINARY: {length}."),
        )),
        Some(length) => Ok(SqlType::Binary { length: (length as u32).min(BINARY_LENGTH_MAX) }),
    }
}

fn fraction(scale: Option<u64>, name: &str) -> Result<(u8, bool), UserError> {
    match scale {
        None => Ok((9, false)),
        Some(scale) if scale <= 9 => Ok((scale as u8, scale > 6)),
        Some(scale) => Err(UserError::new(
            Code::InvalidDataType,
            format!("Invalid precision for type {name}: {scale}. Must be between 0 and 9."),
        )),
    }
}

fn time(scale: Option<u64>) -> Result<SqlType, UserError> {
    let (scale, nanos) = fraction(scale, "TIME")?;
    Ok(SqlType::Time { scale, nanos })
}

fn timestamp(zone: TimeZoneKind, scale: Option<u64>) -> Result<SqlType, UserError> {
    let (scale, nanos) = fraction(scale, "TIMESTAMP")?;
    Ok(SqlType::Timestamp { zone, scale, nanos })
}

/// Type names that the parser leaves to us.
fn custom(
    name: &sqlparser::ast::ObjectName,
    arguments: &[String],
    whole: &DataType,
) -> Result<SqlType, UserError> {
    let name = names::single(name).map_err(UserError::from)?.value.to_uppercase();
    let integer = |index: usize| -> Result<Option<u64>, UserError> {
        arguments
            .get(index)
            .map(|text| text.trim().parse::<u64>().map_err(|_| unknown(whole)))
            .transpose()
    };
    let at_most = |count: usize| {
        if arguments.len() <= count { Ok(()) } else { Err(unknown(whole)) }
    };
    match name.as_str() {
        "NUMBER" => {
            at_most(2)?;
            number(integer(0)?.unwrap_or(38), integer(1)?.unwrap_or(0) as i64)
        }
        "BYTEINT" => {
            at_most(0)?;
            Ok(SqlType::INTEGER)
        }
        "TIMESTAMP_NTZ" | "TIMESTAMPNTZ" | "DATETIME" => {
            at_most(1)?;
            timestamp(TimeZoneKind::Ntz, integer(0)?)
        }
        "TIMESTAMP_LTZ" | "TIMESTAMPLTZ" => {
            at_most(1)?;
            timestamp(TimeZoneKind::Ltz, integer(0)?)
        }
        "TIMESTAMP_TZ" | "TIMESTAMPTZ" => {
            at_most(1)?;
            timestamp(TimeZoneKind::Tz, integer(0)?)
        }
        "STRING" | "TEXT" | "VARCHAR" | "NVARCHAR2" | "NCHAR VARYING" => {
            at_most(1)?;
            integer(0)?.map_or(Ok(SqlType::TEXT), varchar)
        }
        "CHAR" | "NCHAR" => {
            at_most(1)?;
            varchar(integer(0)?.unwrap_or(1))
        }
        "VARBINARY" => {
            at_most(1)?;
            binary(integer(0)?)
        }
        "FLOAT4" | "FLOAT8" | "DOUBLE" => {
            at_most(0)?;
            Ok(SqlType::Float)
        }
        "VARIANT" => {
            at_most(0)?;
            Ok(SqlType::Variant)
        }
        "OBJECT" => {
            if !arguments.is_empty() {
                return Err(UserError::unsupported("structured OBJECT types"));
            }
            Ok(SqlType::Object)
        }
        "ARRAY" => {
            if !arguments.is_empty() {
                return Err(UserError::unsupported("structured ARRAY types"));
            }
            Ok(SqlType::Array)
        }
        "VECTOR" => {
            at_most(2)?;
            let element = match arguments.first().map(|text| text.trim().to_uppercase()).as_deref()
            {
                Some("FLOAT") => VectorElement::Float,
                Some("INT") => VectorElement::Int,
                _ => return Err(unknown(whole)),
            };
            match integer(1)? {
                Some(dimension @ 1..=4096) => {
                    Ok(SqlType::Vector { element, dimension: dimension as u32 })
                }
                _ => Err(unknown(whole)),
            }
        }
        "GEOGRAPHY" | "GEOMETRY" => Err(UserError::unsupported(format!("data type {name}"))),
        _ => Err(unknown(whole)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use sqlparser::dialect::SnowflakeDialect;
    use sqlparser::parser::Parser;

    fn read(text: &str) -> Result<SqlType, UserError> {
        let data_type = Parser::new(&SnowflakeDialect {})
            .try_with_sql(text)
            .unwrap()
            .parse_data_type()
            .unwrap();
        sql_type(&data_type)
    }

    /// Synonyms and defaults: "Summary of data types" in Snowflake's SQL reference.
    #[test]
    fn names_of_types() {
        let cases = [
            ("INT", "NUMBER(38,0)"),
            ("BIGINT", "NUMBER(38,0)"),
            ("BYTEINT", "NUMBER(38,0)"),
            ("NUMBER", "NUMBER(38,0)"),
            ("NUMBER(10)", "NUMBER(10,0)"),
            ("DECIMAL(12, 3)", "NUMBER(12,3)"),
            ("NUMERIC(5,5)", "NUMBER(5,5)"),
            ("FLOAT4", "FLOAT"),
            ("DOUBLE PRECISION", "FLOAT"),
            ("REAL", "FLOAT"),
            ("STRING", "VARCHAR(16777216)"),
            ("TEXT", "VARCHAR(16777216)"),
            ("CHAR", "VARCHAR(1)"),
            ("CHARACTER(7)", "VARCHAR(7)"),
            ("VARCHAR(20)", "VARCHAR(20)"),
            ("BINARY", "BINARY(8388608)"),
            ("VARBINARY", "BINARY(8388608)"),
            ("BOOLEAN", "BOOLEAN"),
            ("DATE", "DATE"),
            ("TIME(3)", "TIME(3)"),
            ("DATETIME", "TIMESTAMP_NTZ(9)"),
            ("TIMESTAMP", "TIMESTAMP_NTZ(9)"),
            ("TIMESTAMP_NTZ(9)", "TIMESTAMP_NTZ(9) NANOS"),
            ("TIMESTAMP_LTZ(3)", "TIMESTAMP_LTZ(3)"),
            ("TIMESTAMP_TZ", "TIMESTAMP_TZ(9)"),
            ("VARIANT", "VARIANT"),
            ("OBJECT", "OBJECT"),
            ("ARRAY", "ARRAY"),
            ("VECTOR(FLOAT, 3)", "VECTOR(FLOAT, 3)"),
        ];
        for (written, expected) in cases {
            assert_eq!(read(written).unwrap().storage_text(), expected, "{written}");
        }
    }

    #[test]
    fn refusals_name_the_type() {
        for written in
            ["GEOGRAPHY", "GEOMETRY", "UUID", "NUMBER(39,0)", "NUMBER(5,6)", "VARCHAR(0)"]
        {
            assert!(read(written).is_err(), "{written}");
        }
        assert!(read("GEOGRAPHY").unwrap_err().message.contains("GEOGRAPHY"));
    }
}
