//! Files without field ids: another client added them, and tells which columns their names stand for.

use std::sync::Arc;

use datafusion::parquet::arrow::ARROW_SCHEMA_META_KEY;
use datafusion::parquet::basic::ConvertedType;
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataBuilder};
use datafusion::parquet::schema::types::{SchemaDescriptor, Type};
use frazil_catalog::files::NameMapping;

/// Field id of what is no column of the table.
const NONE: i32 = -1;

/// The same with the field ids of the columns that the names stand for, and of no others.
pub fn with_field_ids(metadata: &ParquetMetaData, names: &NameMapping) -> Result<ParquetMetaData> {
    let file = metadata.file_metadata();
    let root = file.schema();
    let mut fields = Vec::with_capacity(root.get_fields().len());
    for field in root.get_fields() {
        let id = names.field_id(field.name()).and_then(|id| i32::try_from(id).ok());
        fields.push(Arc::new(with_id(field, id.unwrap_or(NONE))?));
    }
    let root = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    // The writer's own Arrow schema would be taken for the fields, without these ids.
    Ok(with_schema(metadata, Arc::new(SchemaDescriptor::new(Arc::new(root)))))
}

/// Whether the writer left its Arrow schema.
pub fn has_arrow_schema(metadata: &ParquetMetaData) -> bool {
    let pairs = metadata.file_metadata().key_value_metadata();
    pairs.is_some_and(|pairs| pairs.iter().any(|pair| pair.key == ARROW_SCHEMA_META_KEY))
}

/// The same without the writer's Arrow schema. The columns' types are the table's, and a damaged one
/// makes its reader panic.
pub fn without_arrow_schema(metadata: &ParquetMetaData) -> ParquetMetaData {
    with_schema(metadata, metadata.file_metadata().schema_descr_ptr())
}

/// The same with this schema, and without the writer's Arrow schema.
fn with_schema(metadata: &ParquetMetaData, schema: Arc<SchemaDescriptor>) -> ParquetMetaData {
    let file = metadata.file_metadata();
    let told = file.key_value_metadata().map(|pairs| {
        pairs.iter().filter(|pair| pair.key != ARROW_SCHEMA_META_KEY).cloned().collect()
    });
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_string),
        told,
        schema,
        file.column_orders().cloned(),
    );
    ParquetMetaDataBuilder::new(file)
        .set_row_groups(metadata.row_groups().to_vec())
        .set_column_index(metadata.column_index().cloned())
        .set_offset_index(metadata.offset_index().cloned())
        .build()
}

fn with_id(field: &Type, id: i32) -> Result<Type> {
    let info = field.get_basic_info();
    let logical = info.logical_type_ref().cloned();
    // Some writers' older annotation is not that of the newer one, which stands for both.
    let converted = match &logical {
        Some(_) => ConvertedType::NONE,
        None => info.converted_type(),
    };
    if field.is_group() {
        // Its own ids, where it has some, are those of another table.
        let nested = field.get_fields().iter();
        let nested = nested.map(|inner| Ok(Arc::new(with_id(inner, NONE)?)));
        let nested = nested.collect::<Result<Vec<_>>>()?;
        return Type::group_type_builder(field.name())
            .with_repetition(info.repetition())
            .with_converted_type(converted)
            .with_logical_type(logical)
            .with_fields(nested)
            .with_id(Some(id))
            .build();
    }
    let Type::PrimitiveType { physical_type, type_length, scale, precision, .. } = field else {
        return Ok(field.clone());
    };
    Type::primitive_type_builder(field.name(), *physical_type)
        .with_repetition(info.repetition())
        .with_converted_type(converted)
        .with_logical_type(logical)
        .with_length(*type_length)
        .with_precision(*precision)
        .with_scale(*scale)
        .with_id(Some(id))
        .build()
}
