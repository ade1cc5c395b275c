//! SYSTEM$TYPEOF: the SQL type of an expression and how it is stored.

use frazil_common::SqlType;

use crate::registry::Registry;
use crate::typed::TypedExpr;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["SYSTEM$TYPEOF"], |a| {
        a.expect(1..=1)?;
        let sql_type = &a.get(0)?.sql_type;
        let text = format!("{}[{}]", compact(sql_type), storage(sql_type));
        Ok(TypedExpr { sql_type: SqlType::TEXT, ..TypedExpr::text(&text) })
    });
}

/// The type as this function writes it: no blank after commas.
fn compact(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Null => "NULL".to_string(),
        other => other.to_string().replace(", ", ","),
    }
}

/// Snowflake's physical types: SB with a number of bytes for exact numbers, LOB for what has no
/// fixed width.
fn storage(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Number { precision: 0..=2, .. } => "SB1",
        SqlType::Number { precision: 3..=4, .. } => "SB2",
        SqlType::Number { precision: 5..=9, .. } | SqlType::Date => "SB4",
        SqlType::Number { precision: 10..=18, .. } | SqlType::Time { .. } => "SB8",
        SqlType::Number { .. } | SqlType::Timestamp { .. } => "SB16",
        SqlType::Float => "DOUBLE",
        SqlType::Boolean => "BOOLEAN",
        _ => "LOB",
    }
}
