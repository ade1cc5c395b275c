//! Rows that other DuckLake clients keep in the catalog instead of files.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use frazil_catalog::files::{InlinedRows, InlinedValue};
use frazil_common::UserError;

use crate::error::{LakeError, Result};
use crate::version::TableVersion;
use crate::write::statistics::from_text;

/// The inlined rows with the provider's whole schema.
pub fn batches(version: &TableVersion, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    version
        .inlined
        .iter()
        .enumerate()
        .filter(|(_, rows)| !rows.rows.is_empty())
        .map(|(index, rows)| batch(version, schema, version.files.len() + index, rows))
        .collect()
}

fn batch(
    version: &TableVersion,
    schema: &SchemaRef,
    file: usize,
    rows: &InlinedRows,
) -> Result<RecordBatch> {
    for name in &rows.column_names {
        if version.table.column(name).is_none() {
            return Err(LakeError::User(UserError::unsupported(format!(
                "rows of {} that another client inlined before column {name} was renamed or \
                 dropped; flush them with ducklake_flush_inlined_data",
                version.table.name
            ))));
        }
    }
    let count = rows.rows.len();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for column in &version.table.columns {
        let data_type = column.sql_type.to_arrow();
        let null = ScalarValue::try_from(&data_type)?;
        let place = rows.column_names.iter().position(|name| *name == column.name);
        let array = match place {
            None => {
                let initial =
                    column.initial_default.as_deref().and_then(|t| from_text(t, &data_type));
                initial.unwrap_or(null).to_array_of_size(count)?
            }
            Some(place) => {
                let values = rows
                    .rows
                    .iter()
                    .map(|(_, cells)| match cells.get(place) {
                        None | Some(InlinedValue::Null) => Ok(null.clone()),
                        Some(cell) => scalar(cell, &data_type).ok_or_else(|| {
                            LakeError::User(UserError::unsupported(format!(
                                "inlined values of column {} ({}); flush them with \
                                 ducklake_flush_inlined_data",
                                column.name, column.physical_type
                            )))
                        }),
                    })
                    .collect::<Result<Vec<_>>>()?;
                ScalarValue::iter_to_array(values)?
            }
        };
        columns.push(array);
    }
    let index = i32::try_from(file).unwrap_or(i32::MAX);
    columns.push(Arc::new(Int32Array::from(vec![index; count])));
    columns.push(Arc::new(Int64Array::from_iter_values(0..count as i64)));
    columns.push(Arc::new(Int64Array::from_iter_values(rows.rows.iter().map(|(id, _)| *id))));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn scalar(cell: &InlinedValue, data_type: &DataType) -> Option<ScalarValue> {
    match (cell, data_type) {
        (InlinedValue::Blob(bytes), DataType::Binary) => {
            Some(ScalarValue::Binary(Some(bytes.clone())))
        }
        (InlinedValue::Blob(bytes), DataType::Utf8View) => {
            Some(ScalarValue::Utf8View(Some(String::from_utf8(bytes.clone()).ok()?)))
        }
        (InlinedValue::Real(value), DataType::Float64) => Some(ScalarValue::Float64(Some(*value))),
        (InlinedValue::Real(value), _) => from_text(&value.to_string(), data_type),
        (InlinedValue::Integer(value), DataType::Boolean) => {
            Some(ScalarValue::Boolean(Some(*value != 0)))
        }
        (InlinedValue::Integer(value), _) => from_text(&value.to_string(), data_type),
        (InlinedValue::Text(text), _) => from_text(text, data_type),
        _ => None,
    }
}
