//! What a statement answers: rows, a status line, counts, or transfer instructions.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use frazil_common::{Column, SqlType, UserError};
use frazil_functions::variant::{VariantBuilder, parse_json};

use crate::api::FileTransfer;
use crate::run::spool::{Spool, SpoolWriter};

/// A finished statement's answer, before it is stored under its query id.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub columns: Vec<Column>,
    pub rows: Spool,
    pub rows_affected: Option<u64>,
    pub transfer: Option<FileTransfer>,
    /// Whether clients expect this answer in JSON.
    pub prefers_json: bool,
    /// Rows that were inserted, updated and deleted, for the history.
    pub changes: Changes,
    /// Replaces the statement's own type number (EXECUTE IMMEDIATE, CALL).
    pub statement_type_id: Option<u32>,
    /// It cannot be read again.
    pub shows_secret: bool,
}

pub(crate) use crate::api::Changes;

/// One value of an answer made row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Number(i64),
    Boolean(bool),
    /// Microseconds since 1970 UTC, in a TIMESTAMP_LTZ column.
    Instant(i64),
    /// Days since 1970.
    Date(i32),
    /// The unscaled value of a NUMBER that has a scale.
    Decimal(i128),
    /// A value of an ARRAY, OBJECT or VARIANT column.
    Json(serde_json::Value),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_string())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Cell::Number(number)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Cell::Boolean(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// The type of counts and sizes in answers.
pub(crate) const COUNT: SqlType = SqlType::Number { precision: 18, scale: 0 };

/// The Arrow schema of a list of columns.
pub(crate) fn schema_of(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(Column::to_field).collect::<Vec<_>>()))
}

impl Outcome {
    pub fn new(columns: Vec<Column>, rows: Spool) -> Self {
        Outcome {
            columns,
            rows,
            rows_affected: None,
            transfer: None,
            prefers_json: false,
            changes: Changes::default(),
            statement_type_id: None,
            shows_secret: false,
        }
    }

    /// One row, one column named `status`: the answer of DDL.
    pub fn status(message: impl Into<String>) -> Result<Self, UserError> {
        Self::table(&[("status", SqlType::TEXT)], vec![vec![Cell::Text(message.into())]])
    }

    /// Rows made one by one, as SHOW and DESCRIBE do. Each row has one cell per column.
    pub fn table(columns: &[(&str, SqlType)], rows: Vec<Vec<Cell>>) -> Result<Self, UserError> {
        let columns: Vec<Column> =
            columns.iter().map(|(name, ty)| Column::new(*name, ty.clone(), true)).collect();
        let batch = batch_of(&columns, &rows)?;
        let mut outcome = Self::new(columns, spool_of(&batch)?);
        outcome.prefers_json = true;
        Ok(outcome)
    }

    /// DML counts, such as `number of rows inserted`.
    pub fn counts(counts: &[(&str, u64)], changes: Changes) -> Result<Self, UserError> {
        let columns: Vec<(&str, SqlType)> = counts.iter().map(|(name, _)| (*name, COUNT)).collect();
        let row = counts.iter().map(|(_, count)| Cell::Number(*count as i64)).collect();
        let mut outcome = Self::table(&columns, vec![row])?;
        outcome.rows_affected = Some(changes.inserted + changes.updated + changes.deleted);
        outcome.changes = changes;
        Ok(outcome)
    }
}

fn spool_of(batch: &RecordBatch) -> Result<Spool, UserError> {
    // Answers made row by row are small: no directory is needed below the memory bound, and the
    // system's own serves above it.
    let name = format!("frazil-answer-{}", uuid::Uuid::new_v4());
    let mut writer = SpoolWriter::new(batch.schema(), &std::env::temp_dir(), &name, None);
    writer.write(batch)?;
    writer.finish()
}

/// Cells as an Arrow batch.
pub(crate) fn batch_of(columns: &[Column], rows: &[Vec<Cell>]) -> Result<RecordBatch, UserError> {
    let schema = schema_of(columns);
    let arrays = columns
        .iter()
        .enumerate()
        .map(|(index, column)| array_of(column, rows.iter().map(|row| &row[index])))
        .collect::<Result<Vec<_>, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema, arrays, &options).map_err(UserError::internal)
}

fn array_of<'a>(
    column: &Column,
    cells: impl ExactSizeIterator<Item = &'a Cell>,
) -> Result<ArrayRef, UserError> {
    let wrong =
        |cell: &Cell| UserError::internal(format!("column {} cannot hold {cell:?}", column.name));
    let data_type = column.sql_type.to_arrow();
    if column.sql_type.is_semi_structured() {
        let mut values = VariantBuilder::with_capacity(cells.len());
        for cell in cells {
            match cell {
                Cell::Null => values.append_null(),
                Cell::Json(value) => values.append(parse_json(&value.to_string())?.as_ref()),
                other => return Err(wrong(other)),
            }
        }
        return Ok(Arc::new(values.finish()));
    }
    Ok(match &data_type {
        DataType::Utf8View => {
            let values = cells
                .map(|cell| match cell {
                    Cell::Null => Ok(None),
                    Cell::Text(text) => Ok(Some(text.clone())),
                    Cell::Number(number) => Ok(Some(number.to_string())),
                    Cell::Boolean(value) => Ok(Some(value.to_string())),
                    other => Err(wrong(other)),
                })
                .collect::<Result<Vec<Option<String>>, _>>()?;
            Arc::new(StringViewArray::from_iter(values))
        }
        DataType::Int64 => Arc::new(
            cells
                .map(|cell| match cell {
                    Cell::Null => Ok(None),
                    Cell::Number(number) => Ok(Some(*number)),
                    other => Err(wrong(other)),
                })
                .collect::<Result<Int64Array, _>>()?,
        ),
        DataType::Date32 => Arc::new(
            cells
                .map(|cell| match cell {
                    Cell::Null => Ok(None),
                    Cell::Date(days) => Ok(Some(*days)),
                    other => Err(wrong(other)),
                })
                .collect::<Result<Date32Array, _>>()?,
        ),
        DataType::Decimal128(precision, scale) => {
            let values = cells
                .map(|cell| match cell {
                    Cell::Null => Ok(None),
                    Cell::Decimal(unscaled) => Ok(Some(*unscaled)),
                    other => Err(wrong(other)),
                })
                .collect::<Result<Decimal128Array, _>>()?;
            let values = values.with_precision_and_scale(*precision, *scale);
            Arc::new(values.map_err(UserError::internal)?)
        }
        DataType::Boolean => Arc::new(
            cells
                .map(|cell| match cell {
                    Cell::Null => Ok(None),
                    Cell::Boolean(value) => Ok(Some(*value)),
                    other => Err(wrong(other)),
                })
                .collect::<Result<BooleanArray, _>>()?,
        ),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let values = cells
                .map(|cell| match cell {
                    Cell::Null => Ok(None),
                    Cell::Instant(micros) => Ok(Some(*micros)),
                    other => Err(wrong(other)),
                })
                .collect::<Result<TimestampMicrosecondArray, _>>()?;
            match zone {
                Some(zone) => Arc::new(values.with_timezone(zone.clone())),
                None => Arc::new(values),
            }
        }
        other => {
            let length = cells.len();
            for cell in cells {
                if *cell != Cell::Null {
                    return Err(wrong(cell));
                }
            }
            new_null_array(other, length)
        }
    })
}
