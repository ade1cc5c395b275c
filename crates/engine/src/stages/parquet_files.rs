//! Parquet files of a stage: each row as one VARIANT, and the files' own columns with their types.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::file_format::FileFormat as _;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use frazil_common::{Code, Column, SqlType, UserError};
use frazil_functions::variant::{Value, VariantBuilder, row_to_value};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryFutureExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::api::StageFile;
use crate::stage_files::StageFiles;
use crate::stages::file_format::FileFormat;
use crate::stages::json_files::adjusted;
use crate::stages::scan::{BatchSender, FilePart, Rows, ValueRows, WHOLE_ROW};
use crate::statements::context::StatementContext;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

fn not_parquet(error: impl std::fmt::Display) -> UserError {
    UserError::new(Code::FileParse, format!("A file cannot be read as Parquet: {error}"))
}

/// What reading a file gives. Readers rely on much that they do not look at: damaged files make them panic.
async fn unless_damaged<T>(work: impl Future<Output = T>) -> Result<T, UserError> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.map_err(|_| not_parquet("it is damaged"))
}

/// The union of the files' schemas, columns in order of first appearance.
///
/// # Errors
/// A file that is no Parquet, or a column with two types.
pub(crate) async fn schema(
    context: &StatementContext,
    stage_id: i64,
    files: &[StageFile],
) -> Result<SchemaRef, UserError> {
    let store = context.shared.stages.object_store();
    let mut metas = Vec::with_capacity(files.len());
    for file in files {
        let location = StageFiles::location(stage_id, &file.path)?;
        let found = store.head(&location).await.map_err(UserError::internal)?;
        // A store below a folder tells where the file lies in the whole one.
        metas.push(ObjectMeta { location, ..found });
    }
    let format = ParquetFormat::default();
    unless_damaged(format.infer_schema(context.runtime.state(), &store, &metas))
        .await?
        .map_err(|error| not_parquet(error.find_root()))
}

/// `$1`, then the files' columns with the types they have in SQL.
///
/// # Errors
/// An unsupported column, by name.
pub(crate) fn value_columns(schema: &Schema) -> Result<Vec<Column>, UserError> {
    let mut columns = vec![Column::new(WHOLE_ROW, SqlType::Variant, true)];
    columns.extend(columns_of(schema)?);
    Ok(columns)
}

/// The columns a schema gives in SQL.
///
/// # Errors
/// An unsupported column, by name.
pub(crate) fn columns_of(schema: &Schema) -> Result<Vec<Column>, UserError> {
    schema
        .fields()
        .iter()
        .map(|field| {
            let sql_type = sql_type(field).ok_or_else(|| {
                UserError::unsupported(format!(
                    "Parquet type {} of column {}",
                    field.data_type(),
                    field.name()
                ))
            })?;
            Ok(Column::new(field.name(), sql_type, true))
        })
        .collect()
}

fn sql_type(field: &Field) -> Option<SqlType> {
    match field.data_type() {
        // pandas writes times in any unit; all fit the session's microseconds but nanoseconds.
        DataType::Timestamp(unit, zone) => {
            let nanos = matches!(unit, arrow::datatypes::TimeUnit::Nanosecond);
            let kind = if zone.is_some() {
                frazil_common::TimeZoneKind::Ltz
            } else {
                frazil_common::TimeZoneKind::Ntz
            };
            Some(SqlType::Timestamp { zone: kind, scale: 9, nanos })
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => {
            Some(SqlType::Array)
        }
        DataType::Map(_, _) => Some(SqlType::Object),
        other => match SqlType::from_arrow(other) {
            Some(known) => Some(known),
            None if matches!(other, DataType::Struct(_)) => Some(SqlType::Object),
            None => None,
        },
    }
}

/// A stage file as the Parquet reader wants it.
struct StageReader {
    store: Arc<dyn ObjectStore>,
    location: Path,
    bytes: u64,
}

impl AsyncFileReader for StageReader {
    fn get_bytes(
        &mut self,
        range: std::ops::Range<u64>,
    ) -> BoxFuture<'_, parquet::errors::Result<bytes::Bytes>> {
        let external = |error| ParquetError::External(Box::new(error));
        self.store.get_range(&self.location, range).map_err(external).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<std::ops::Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<bytes::Bytes>>> {
        let external = |error| ParquetError::External(Box::new(error));
        async move { self.store.get_ranges(&self.location, &ranges).await.map_err(external) }
            .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let options = options.map(|options| options.metadata_options().clone());
            let bytes = self.bytes;
            let reader = ParquetMetaDataReader::new().with_metadata_options(options);
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

/// Reads one file into batches.
pub(super) async fn read(part: FilePart, sender: BatchSender) -> Result<(), UserError> {
    let scan = &part.scan;
    let Rows::Parquet(file_schema) = &scan.rows else {
        return Err(UserError::internal("a Parquet reader was given other files"));
    };
    let location = StageFiles::location(scan.stage_id, &part.file().path)?;
    let reader =
        StageReader { store: scan.stages.object_store(), location, bytes: part.file().size };
    let builder = unless_damaged(ParquetRecordBatchStreamBuilder::new(reader)).await?;
    let builder = builder.map_err(not_parquet)?;
    // Value column 0 is the whole row; the others follow the files' schema.
    let wanted = part.wanted_values();
    let whole = wanted.contains(&0);
    let names: Vec<&str> = wanted
        .iter()
        .filter_map(|index| index.checked_sub(1))
        .map(|index| file_schema.field(index).name().as_str())
        .collect();
    let roots: Vec<usize> = builder
        .schema()
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| whole || names.contains(&field.name().as_str()))
        .map(|(index, _)| index)
        .collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let mut stream =
        builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(not_parquet)?;
    let mut row = 0_i64;
    while let Some(batch) = unless_damaged(stream.next()).await? {
        let batch = batch.map_err(not_parquet)?;
        let count = batch.num_rows();
        let values = wanted
            .iter()
            .map(|index| match index.checked_sub(1) {
                None => whole_rows(&batch, &scan.format),
                Some(index) => column(&batch, file_schema.field(index), &scan.format),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(log) = &scan.log {
            log.parsed(part.index, count);
        }
        let rows = ValueRows {
            values,
            numbers: (row + 1..=row + count as i64).collect(),
            offsets: vec![0; count],
        };
        row += count as i64;
        if sender.send(Ok(part.batch(rows)?)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// A column of the files' schema in its SQL type; NULL where this file lacks it.
fn column(batch: &RecordBatch, field: &Field, format: &FileFormat) -> Result<ArrayRef, UserError> {
    let sql_type = sql_type(field)
        .ok_or_else(|| UserError::unsupported(format!("Parquet type {}", field.data_type())))?;
    let target = sql_type.to_arrow();
    let Some(array) = batch.column_by_name(field.name()) else {
        return Ok(new_null_array(&target, batch.num_rows()));
    };
    if sql_type.is_semi_structured() && *array.data_type() != target {
        let mut builder = VariantBuilder::with_capacity(array.len());
        for row in 0..array.len() {
            let value = nested(array, row)?.map(|value| adjusted(format, value));
            builder.append(value.as_ref());
        }
        return Ok(Arc::new(builder.finish()));
    }
    let array = if *array.data_type() == target {
        Arc::clone(array)
    } else {
        cast(array, &target).map_err(|error| {
            UserError::new(Code::FailedCast, format!("Column {}: {error}", field.name()))
        })?
    };
    if sql_type.is_text() && (format.trim_space || !format.null_if.is_empty()) {
        let texts = array.as_string_view().iter().map(|text| {
            let text = if format.trim_space { text.map(str::trim) } else { text };
            text.filter(|text| !format.null_if.iter().any(|null| null == text))
        });
        return Ok(Arc::new(StringViewArray::from_iter(texts)));
    }
    Ok(array)
}

fn whole_rows(batch: &RecordBatch, format: &FileFormat) -> Result<ArrayRef, UserError> {
    let schema = batch.schema();
    let columns: Vec<(&str, ArrayRef)> = schema
        .fields()
        .iter()
        .map(|field| {
            let array = batch.column_by_name(field.name()).cloned();
            let array = array.ok_or_else(|| UserError::internal("a column vanished"))?;
            let typed =
                if is_nested(field.data_type()) { array } else { column(batch, field, format)? };
            Ok((field.name().as_str(), typed))
        })
        .collect::<Result<_, UserError>>()?;
    let mut builder = VariantBuilder::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut fields = BTreeMap::new();
        for (name, array) in &columns {
            // A NULL column is no member of the row's object.
            if let Some(value) = nested(array, row)? {
                let value = adjusted(format, value);
                fields.insert((*name).to_string(), value);
            }
        }
        builder.append(Some(&Value::Object(fields)));
    }
    Ok(Arc::new(builder.finish()))
}

fn is_nested(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(_, _)
        | DataType::Map(_, _) => true,
        DataType::Struct(_) => SqlType::from_arrow(data_type).is_none(),
        _ => false,
    }
}

/// One row of a column that may be nested.
fn nested(array: &ArrayRef, row: usize) -> Result<Option<Value>, UserError> {
    if array.is_null(row) {
        return Ok(None);
    }
    let list = |items: ArrayRef| -> Result<Option<Value>, UserError> {
        let items = (0..items.len())
            .map(|index| Ok(nested(&items, index)?.unwrap_or(Value::Null)))
            .collect::<Result<_, UserError>>()?;
        Ok(Some(Value::List(items)))
    };
    match array.data_type() {
        DataType::List(_) => list(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(_, _) => list(array.as_fixed_size_list().value(row)),
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let keys = cast(entries.column(0), &DataType::Utf8View).map_err(not_parquet)?;
            let keys = keys.as_string_view();
            let mut fields = BTreeMap::new();
            for index in 0..entries.len() {
                if let Some(value) = nested(entries.column(1), index)? {
                    fields.insert(keys.value(index).to_string(), value);
                }
            }
            Ok(Some(Value::Object(fields)))
        }
        DataType::Struct(members) if is_nested(array.data_type()) => {
            let mut fields = BTreeMap::new();
            for (member, values) in members.iter().zip(array.as_struct().columns()) {
                if let Some(value) = nested(values, row)? {
                    fields.insert(member.name().clone(), value);
                }
            }
            Ok(Some(Value::Object(fields)))
        }
        _ => {
            let target = SqlType::from_arrow(array.data_type()).map(|known| known.to_arrow());
            match target {
                Some(target) if target != *array.data_type() => {
                    let one = cast(&array.slice(row, 1), &target).map_err(not_parquet)?;
                    row_to_value(one.as_ref(), 0)
                }
                _ => row_to_value(array.as_ref(), row),
            }
        }
    }
}
