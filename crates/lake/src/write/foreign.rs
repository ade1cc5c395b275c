//! Whether values fit the types that another client gave its columns. They are told as Snowflake's types,
//! some of which take more: a TINYINT of DuckDB is a NUMBER(3,0).

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::arrow::util::display::array_value_to_string;
use frazil_catalog::{ColumnInfo, TableInfo};
use frazil_common::{Code, UserError, quote_identifier};
use serde::de::IgnoredAny;

use super::schema::narrower;
use crate::error::{LakeError, Result};

/// Refuses the first value that the column's own type does not take: it would be NULL, or unreadable for
/// those who made the column.
pub fn check_fits(table: &TableInfo, column: &ColumnInfo, array: &ArrayRef) -> Result<()> {
    if !column.is_written() {
        return check_left_out(table, column, array);
    }
    if column.physical_type == "json" {
        return check_json(column, array);
    }
    let Some(narrow) = narrower(&column.physical_type) else { return Ok(()) };
    // Columns made here are of the type that is told.
    if array.data_type() == &narrow || !column.sql_type.is_numeric() {
        return Ok(());
    }
    let stored = cast(array, &narrow)?;
    let misfit = match &narrow {
        DataType::Float32 => first_beyond(array, &stored),
        _ if stored.null_count() == array.null_count() => None,
        _ => (0..array.len()).find(|row| stored.is_null(*row) && array.is_valid(*row)),
    };
    let Some(row) = misfit else { return Ok(()) };
    Err(LakeError::User(UserError::new(
        Code::NumericOutOfRange,
        format!(
            "Numeric value '{}' is out of range of column '{}', which is of DuckDB's type {}",
            array_value_to_string(array, row)?,
            column.name,
            column.physical_type
        ),
    )))
}

/// Refuses values of a type that is not written here. Rows without one get what those have that are older
/// than the column.
fn check_left_out(table: &TableInfo, column: &ColumnInfo, array: &ArrayRef) -> Result<()> {
    if array.logical_null_count() == array.len() && column.initial_default.is_none() {
        return Ok(());
    }
    Err(LakeError::User(UserError::unsupported(format!(
        "writing column {} of table {}, which is of DuckDB's type {}",
        quote_identifier(&column.name),
        table.name,
        column.foreign_type()
    ))))
}

/// The first finite value that is infinite in the narrower type.
fn first_beyond(array: &ArrayRef, stored: &ArrayRef) -> Option<usize> {
    let values = array.as_primitive_opt::<Float64Type>()?;
    let stored = stored.as_primitive_opt::<Float32Type>()?;
    (0..values.len()).find(|row| {
        values.is_valid(*row) && values.value(*row).is_finite() && stored.value(*row).is_infinite()
    })
}

fn check_json(column: &ColumnInfo, array: &ArrayRef) -> Result<()> {
    let texts = cast(array, &DataType::Utf8View)?;
    let texts = texts.as_string_view().iter().flatten();
    for text in texts {
        if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
            return Err(LakeError::User(UserError::new(
                Code::InvalidArgument,
                format!(
                    "A value of column '{}', which is of DuckDB's type json, is no JSON: {error}",
                    column.name
                ),
            )));
        }
    }
    Ok(())
}
