//! Session variables as the session's row keeps them over a restart: type and value, lossless.

use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::common::ScalarValue;
use frazil_common::{SqlType, UserError};
use frazil_functions::TypedExpr;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "type")]
    sql_type: String,
    /// An Arrow stream of one row, in Base64.
    value: String,
}

/// A variable's value for the row.
pub(crate) fn stored(variable: &TypedExpr) -> Result<Value, UserError> {
    let value = variable
        .as_literal()
        .ok_or_else(|| UserError::internal("a variable's value is not constant"))?;
    let column = value.to_array_of_size(1).map_err(UserError::internal)?;
    let batch = RecordBatch::try_from_iter([("value", column)]).map_err(UserError::internal)?;
    let mut writer =
        StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(UserError::internal)?;
    writer.write(&batch).map_err(UserError::internal)?;
    let bytes = writer.into_inner().map_err(UserError::internal)?;
    let stored =
        Stored { sql_type: variable.sql_type.storage_text(), value: STANDARD.encode(bytes) };
    serde_json::to_value(stored).map_err(UserError::internal)
}

/// The variable of what [`stored`] gave.
pub(crate) fn restored(value: &Value) -> Result<TypedExpr, UserError> {
    let stored = Stored::deserialize(value).map_err(UserError::internal)?;
    let sql_type: SqlType = stored.sql_type.parse()?;
    let bytes = STANDARD.decode(&stored.value).map_err(UserError::internal)?;
    let mut rows = StreamReader::try_new(Cursor::new(bytes), None).map_err(UserError::internal)?;
    let batch = rows
        .next()
        .ok_or_else(|| UserError::internal("a variable was kept without its value"))?
        .map_err(UserError::internal)?;
    let value = ScalarValue::try_from_array(batch.column(0), 0).map_err(UserError::internal)?;
    Ok(TypedExpr::literal(value, sql_type))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        for variable in [
            TypedExpr::number(123, 20, 2),
            TypedExpr::integer(-7),
            TypedExpr::float(0.1),
            TypedExpr::text("é'\n"),
            TypedExpr::boolean(true),
            TypedExpr::date(-1),
            TypedExpr::binary(vec![0, 255]),
            TypedExpr::null(),
            TypedExpr::null_of(SqlType::Variant),
        ] {
            assert_eq!(restored(&stored(&variable).unwrap()).unwrap(), variable);
        }
        assert!(restored(&Value::Null).is_err());
    }
}
