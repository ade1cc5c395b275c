//! Snowflake's types and the DuckLake types they are stored as.
//!
//! The logical type is kept in a column tag of Frazil's own; columns without it were made by another DuckLake
//! client and are read by their DuckLake type alone.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use frazil_common::{SqlType, TimeZoneKind, VectorElement};

use crate::objects::{ColumnInfo, TableInfo};

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
        // Not the eighteen digits that are counted in 64 bits here: the greatest values have nineteen.
        "int64" => number(19),
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

/// The Arrow type of a column whose values can be kept in the catalog database; none for types
/// that DuckLake keeps in files alone (variants) or that its clients misread there (structs).
pub fn inlined_type(physical: &str, children: &[&str]) -> Option<DataType> {
    Some(match physical {
        "boolean" => DataType::Boolean,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        "varchar" | "json" => DataType::Utf8View,
        "blob" => DataType::Binary,
        "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "time_ns" => DataType::Time64(TimeUnit::Nanosecond),
        "timestamp_s" => DataType::Timestamp(TimeUnit::Second, None),
        "timestamp_ms" => DataType::Timestamp(TimeUnit::Millisecond, None),
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamp_ns" => DataType::Timestamp(TimeUnit::Nanosecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "list" => match children {
            [element @ ("float32" | "int32")] => {
                DataType::List(Arc::new(Field::new("element", inlined_type(element, &[])?, true)))
            }
            _ => return None,
        },
        decimal => {
            let (precision, scale) =
                decimal.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
            DataType::Decimal128(precision.trim().parse().ok()?, scale.trim().parse().ok()?)
        }
    })
}

/// Names of columns that keep a table's rows out of the catalog database: its own columns there, what
/// DuckDB takes for the number of a row there, and what it calls these in files.
const NOT_INLINED: [&str; 6] = [
    "row_id",
    "begin_snapshot",
    "end_snapshot",
    "rowid",
    "_ducklake_internal_row_id",
    "_ducklake_internal_snapshot_id",
];

/// More columns than this make a row too wide for the catalog database.
const INLINED_COLUMNS_MAX: usize = 500;

impl ColumnInfo {
    /// The Arrow type of the column's values in the catalog database, where it may be kept there.
    pub fn inlined_type(&self) -> Option<DataType> {
        let children: Vec<&str> = self.children.iter().map(|c| c.physical_type.as_str()).collect();
        inlined_type(&self.physical_type, &children)
    }
}

impl TableInfo {
    /// Whether rows of the table may be kept in the catalog database: every column's type must
    /// allow it, and no name may be one of the database's own columns.
    pub fn can_inline(&self) -> bool {
        self.columns.len() <= INLINED_COLUMNS_MAX
            && self.columns.iter().all(|column| {
                column.is_written()
                    && column.inlined_type().is_some()
                    && !NOT_INLINED.iter().any(|own| own.eq_ignore_ascii_case(&column.name))
            })
    }
}
