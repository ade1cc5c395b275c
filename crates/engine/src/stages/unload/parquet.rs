//! Rows as Parquet that any reader takes: plain types, VARIANT as JSON text.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use frazil_common::{Column, SqlType, TimeZoneKind, UserError};
use frazil_functions::variant::to_json_string;

use super::pack::Drain;

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Writes Parquet.
pub(super) struct ParquetEncoder {
    writer: ArrowWriter<Drain>,
    schema: SchemaRef,
    input_bytes: u64,
}

impl ParquetEncoder {
    pub fn new(
        drain: Drain,
        columns: &[Column],
        header: bool,
        compression: Compression,
    ) -> Result<ParquetEncoder, UserError> {
        let fields = columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let name = if header { column.name.clone() } else { format!("_COL_{index}") };
                Ok(Field::new(name, file_type(column)?, true))
            })
            .collect::<Result<Vec<_>, UserError>>()?;
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_created_by(concat!("frazil ", env!("CARGO_PKG_VERSION")).to_string())
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(drain, Arc::clone(&schema), Some(properties))
            .map_err(UserError::internal)?;
        Ok(ParquetEncoder { writer, schema, input_bytes: 0 })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), UserError> {
        let columns = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(array, field)| {
                if matches!(array.data_type(), DataType::Struct(_)) {
                    let texts = (0..array.len()).map(|row| to_json_string(array, row));
                    return Ok(Arc::new(StringArray::from_iter(texts)) as ArrayRef);
                }
                cast(array, field.data_type()).map_err(UserError::internal)
            })
            .collect::<Result<Vec<_>, UserError>>()?;
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(UserError::internal)?;
        for column in batch.columns() {
            let bytes = column.to_data().get_slice_memory_size().map_err(UserError::internal)?;
            self.input_bytes += bytes as u64;
        }
        self.writer.write(&batch).map_err(UserError::internal)
    }

    /// Bytes of the row group under way.
    pub fn pending(&self) -> usize {
        self.writer.in_progress_size()
    }

    pub fn finish(self) -> Result<u64, UserError> {
        self.writer.close().map_err(UserError::internal)?;
        Ok(self.input_bytes)
    }
}

/// The Arrow type a column is written with.
fn file_type(column: &Column) -> Result<DataType, UserError> {
    Ok(match &column.sql_type {
        SqlType::Varchar { .. } | SqlType::Variant | SqlType::Object | SqlType::Array => {
            DataType::Utf8
        }
        SqlType::Timestamp { zone: TimeZoneKind::Tz, .. } | SqlType::Vector { .. } => {
            return Err(UserError::unsupported(format!(
                "unloading column {} of type {} to Parquet",
                column.name, column.sql_type
            )));
        }
        SqlType::Null => DataType::Utf8,
        other => other.to_arrow(),
    })
}
