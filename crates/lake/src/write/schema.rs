//! The Parquet schema of a table's files: field ids, and the marks other readers need.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::parquet::arrow::{ArrowSchemaConverter, PARQUET_FIELD_ID_META_KEY};
use datafusion::parquet::basic::LogicalType;
use datafusion::parquet::schema::types::{SchemaDescriptor, Type};
use frazil_catalog::{ColumnInfo, TableInfo};
use frazil_common::{SqlType, TimeZoneKind};

use crate::error::{LakeError, Result};

/// Column of rewritten files that carries row ids; name and field id are DuckLake's.
pub const ROW_ID_COLUMN: &str = "_ducklake_internal_row_id";
/// DuckLake's field id of [`ROW_ID_COLUMN`].
pub const ROW_ID_FIELD: i64 = 2_147_483_540;
/// Column of merged files that carries the snapshot of each row.
pub const SNAPSHOT_COLUMN: &str = "_ducklake_internal_snapshot_id";
/// DuckLake's field id of [`SNAPSHOT_COLUMN`].
pub const SNAPSHOT_FIELD: i64 = 2_147_483_539;
/// DuckLake's field ids of a delete file's columns.
pub const DELETE_PATH_FIELD: i64 = 2_147_483_646;
/// See [`DELETE_PATH_FIELD`].
pub const DELETE_POSITION_FIELD: i64 = 2_147_483_645;

/// The Arrow and the Parquet schema of new files.
#[derive(Debug, Clone)]
pub struct FileSchema {
    pub arrow: SchemaRef,
    pub parquet: SchemaDescriptor,
    /// Places of its columns among the table's and those of the system after them.
    pub places: Vec<usize>,
    /// How many columns there are with those that the file lacks.
    pub given: usize,
}

/// Adds a field id.
pub fn with_field_id(field: Field, id: i64) -> Field {
    field.with_metadata([(PARQUET_FIELD_ID_META_KEY.to_string(), id.to_string())].into())
}

/// The Arrow field a column is written as.
fn file_field(column: &ColumnInfo) -> Field {
    let child = |index: usize, field: Field| match column.children.get(index) {
        Some(child) => with_field_id(field, child.field_id),
        None => field,
    };
    let data_type = match &column.sql_type {
        SqlType::Timestamp { zone: TimeZoneKind::Tz, nanos, .. } => {
            let instant = if *nanos {
                DataType::Timestamp(TimeUnit::Nanosecond, None)
            } else {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            };
            DataType::Struct(
                vec![
                    child(0, Field::new("instant", instant, true)),
                    child(1, Field::new("offset", DataType::Int32, true)),
                ]
                .into(),
            )
        }
        SqlType::Timestamp { zone: TimeZoneKind::Ltz, nanos: true, .. } => {
            DataType::Timestamp(TimeUnit::Nanosecond, None)
        }
        SqlType::Vector { .. } => match column.sql_type.to_arrow() {
            DataType::List(item) => DataType::List(Arc::new(child(
                0,
                Field::new("element", item.data_type().clone(), true),
            ))),
            other => other,
        },
        SqlType::Time { nanos: true, .. } if column.physical_type == "int64" => DataType::Int64,
        // Columns of other clients keep their narrower type.
        other => narrower(&column.physical_type).unwrap_or_else(|| other.to_arrow()),
    };
    with_field_id(Field::new(&column.name, data_type, true), column.field_id)
}

/// The type of another client's column that takes less than the SQL type it is told as.
pub fn narrower(physical_type: &str) -> Option<DataType> {
    Some(match physical_type {
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        // Told as a NUMBER(19,0), which takes nearly ten times as much.
        "int64" => DataType::Int64,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "float32" => DataType::Float32,
        _ => return None,
    })
}

/// Columns of a file beside the table's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemColumns {
    None,
    /// The ids of rows that were moved.
    RowIds,
    /// Ids, and the snapshot each row began at.
    RowIdsAndSnapshots,
}

/// Whether a column's name is one that DuckLake has for its own in files.
pub fn is_system_name(name: &str) -> bool {
    [ROW_ID_COLUMN, SNAPSHOT_COLUMN].iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// The schema of new files of a table.
pub fn file_schema(table: &TableInfo, system: SystemColumns) -> Result<FileSchema> {
    if system >= SystemColumns::RowIds
        && let Some(column) = table.columns.iter().find(|column| is_system_name(&column.name))
    {
        return Err(LakeError::User(frazil_common::UserError::unsupported(format!(
            "changing rows of a table with a column named {}, which is DuckLake's own in files: \
             rename the column first",
            column.name
        ))));
    }
    // Of another client's type there are NULLs alone, as in a file from before the column.
    let mut places: Vec<usize> = Vec::with_capacity(table.columns.len());
    let columns = table.columns.iter().enumerate();
    places.extend(columns.filter(|(_, column)| column.is_written()).map(|(place, _)| place));
    let written: Vec<&ColumnInfo> = table.columns.iter().filter(|c| c.is_written()).collect();
    let mut fields: Vec<Field> = written.iter().map(|column| file_field(column)).collect();
    if system >= SystemColumns::RowIds {
        fields.push(with_field_id(Field::new(ROW_ID_COLUMN, DataType::Int64, true), ROW_ID_FIELD));
    }
    if system == SystemColumns::RowIdsAndSnapshots {
        let field = Field::new(SNAPSHOT_COLUMN, DataType::Int64, true);
        fields.push(with_field_id(field, SNAPSHOT_FIELD));
    }
    let given = table.columns.len() + fields.len() - written.len();
    places.extend(table.columns.len()..given);
    let arrow = Arc::new(Schema::new(fields));
    let plain = ArrowSchemaConverter::new().schema_root("frazil_schema").convert(&arrow)?;
    let semi_structured: Vec<bool> =
        written.iter().map(|c| c.sql_type.is_semi_structured()).collect();
    let root = plain.root_schema();
    let mut children = Vec::with_capacity(root.get_fields().len());
    for (index, field) in root.get_fields().iter().enumerate() {
        let marked = semi_structured.get(index).copied().unwrap_or(false);
        children.push(if marked { mark_variant(field)? } else { Arc::clone(field) });
    }
    let root = Type::group_type_builder(root.name()).with_fields(children).build()?;
    let parquet = SchemaDescriptor::new(Arc::new(root));
    Ok(FileSchema { arrow, parquet, places, given })
}

/// The same group with the Variant annotation.
fn mark_variant(field: &Arc<Type>) -> Result<Arc<Type>> {
    let info = field.get_basic_info();
    let group = Type::group_type_builder(field.name())
        .with_repetition(info.repetition())
        .with_logical_type(Some(LogicalType::variant(Some(1))))
        .with_id(info.has_id().then(|| info.id()))
        .with_fields(field.get_fields().to_vec())
        .build()?;
    Ok(Arc::new(group))
}

/// Converts between two spellings of one type: nested names, nullability, views.
pub fn reshape(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    if array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), target) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let source = array.as_struct();
            let mut columns = Vec::with_capacity(fields.len());
            for field in fields {
                let column = source.column_by_name(field.name()).ok_or_else(|| {
                    LakeError::Damaged(format!("a struct has no field {}", field.name()))
                })?;
                let column = reshape(column, field.data_type())?;
                // A field that may not be NULL can be one under a NULL struct only.
                columns.push(if field.is_nullable() || column.null_count() == 0 {
                    column
                } else {
                    fill_nulls(&column)?
                });
            }
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, source.nulls().cloned())?))
        }
        (DataType::List(_), DataType::List(item)) => {
            let source = array.as_list::<i32>();
            let values = reshape(source.values(), item.data_type())?;
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(item),
                source.offsets().clone(),
                values,
                source.nulls().cloned(),
            )?))
        }
        _ => Ok(cast(array, target)?),
    }
}

/// Replaces NULLs by some value.
fn fill_nulls(array: &ArrayRef) -> Result<ArrayRef> {
    use datafusion::scalar::ScalarValue;
    let default = match array.data_type() {
        DataType::BinaryView => ScalarValue::BinaryView(Some(Vec::new())),
        DataType::Binary => ScalarValue::Binary(Some(Vec::new())),
        other => ScalarValue::new_zero(other)?,
    };
    let mask = datafusion::arrow::compute::is_not_null(array)?;
    let filler = default.to_array_of_size(array.len())?;
    Ok(datafusion::arrow::compute::kernels::zip::zip(&mask, array, &filler)?)
}
