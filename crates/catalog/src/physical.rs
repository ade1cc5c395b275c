//! Snowflake's types and the DuckLake types they are stored as.
//!
//! The logical type is kept in a column tag of Frazil's own; columns without it were made by another DuckLake
//! client and are read by their DuckLake type alone.

use frazil_common::{SqlType, TimeZoneKind, VectorElement};

/// A DuckLake column type with its nested columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalType {
    /// DuckLake's word, such as `int64` or `decimal(12,2)`.
    pub name: String,
    /// Nested columns in order: (name, type).
    pub children: Vec<(&'static str, &'static str)>,
}

/// The DuckLake type that stores values of `sql_type`.
pub fn to_physical(sql_type: &SqlType) -> PhysicalType {
    let plain = |name: &str| PhysicalType { name: name.to_string(), children: Vec::new() };
    match sql_type {
        SqlType::Number { precision, scale: 0 } if *precision <= 18 => plain("int64"),
        SqlType::Number { precision, scale } => plain(&format!("decimal({precision},{scale})")),
        SqlType::Float => plain("float64"),
        SqlType::Varchar { .. } | SqlType::Null => plain("varchar"),
        SqlType::Binary { .. } => plain("blob"),
        SqlType::Boolean => plain("boolean"),
        SqlType::Date => plain("date"),
        SqlType::Time { nanos: false, .. } => plain("time"),
        // Readers of the format know no Parquet time in nanoseconds: they are stored as a count.
        SqlType::Time { nanos: true, .. } => plain("int64"),
        SqlType::Timestamp { zone, nanos, .. } => match (zone, nanos) {
            (TimeZoneKind::Ntz, false) => plain("timestamp"),
            (TimeZoneKind::Ntz, true) => plain("timestamp_ns"),
            (TimeZoneKind::Ltz, false) => plain("timestamptz"),
            // DuckLake has no zoned nanoseconds: the UTC wall clock is stored.
            (TimeZoneKind::Ltz, true) => plain("timestamp_ns"),
            (TimeZoneKind::Tz, nanos) => PhysicalType {
                name: "struct".to_string(),
                children: vec![
                    ("instant", if *nanos { "timestamp_ns" } else { "timestamptz" }),
                    ("offset", "int32"),
                ],
            },
        },
        SqlType::Variant | SqlType::Object | SqlType::Array => plain("variant"),
        SqlType::Vector { element, .. } => PhysicalType {
            name: "list".to_string(),
            children: vec![(
                "element",
                match element {
                    VectorElement::Float => "float32",
                    VectorElement::Int => "int32",
                },
            )],
        },
    }
}

/// The SQL type of a DuckLake column that carries no logical type; none where there is no match.
pub fn from_physical(name: &str) -> Option<SqlType> {
    let number = |precision| Some(SqlType::Number { precision, scale: 0 });
    let ntz = |scale, nanos| Some(SqlType::Timestamp { zone: TimeZoneKind::Ntz, scale, nanos });
    match name {
        "boolean" => Some(SqlType::Boolean),
        "int8" | "uint8" => number(3),
        "int16" | "uint16" => number(5),
        "int32" | "uint32" => number(10),
        // Held in Int64, so nineteen digits still fit.
        "int64" => number(18),
        "uint64" => number(20),
        "float32" | "float64" => Some(SqlType::Float),
        "varchar" | "json" => Some(SqlType::TEXT),
        "blob" => Some(SqlType::BYTES),
        "date" => Some(SqlType::Date),
        "time" => Some(SqlType::TIME),
        "time_ns" => Some(SqlType::Time { scale: 9, nanos: true }),
        "timestamp" => Some(SqlType::TIMESTAMP_NTZ),
        "timestamp_s" => ntz(0, false),
        "timestamp_ms" => ntz(3, false),
        "timestamp_ns" => ntz(9, true),
        "timestamptz" => Some(SqlType::TIMESTAMP_LTZ),
        "variant" => Some(SqlType::Variant),
        _ => {
            let (precision, scale) =
                name.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
            Some(SqlType::Number {
                precision: precision.trim().parse().ok()?,
                scale: scale.trim().parse().ok()?,
            })
        }
    }
}
