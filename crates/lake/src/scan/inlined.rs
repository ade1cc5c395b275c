//! Rows outside of files: those in the catalog database, and those a transaction staged.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use frazil_common::UserError;

use crate::error::{LakeError, Result};
use crate::version::{RowChunk, TableVersion};
use crate::write::schema::reshape;
use crate::write::statistics::initial_value;

/// The rows with the provider's whole schema.
pub fn batches(version: &TableVersion, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    version
        .chunks
        .iter()
        .enumerate()
        .filter(|(_, chunk)| chunk.live_rows() > 0)
        .map(|(index, chunk)| batch(version, schema, version.files.len() + index, chunk))
        .collect()
}

fn batch(
    version: &TableVersion,
    schema: &SchemaRef,
    file: usize,
    chunk: &RowChunk,
) -> Result<RecordBatch> {
    let rows = chunk.rows();
    let count = rows.num_rows();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for (place, column) in version.table.columns.iter().enumerate() {
        let data_type = column.sql_type.to_arrow();
        let found = match chunk {
            RowChunk::Staged(_) => Some(place),
            RowChunk::Committed(part) => {
                part.batch.table.columns.iter().position(|c| c.field_id == column.field_id)
            }
        };
        if let (RowChunk::Committed(part), Some(at)) = (chunk, found)
            && part.batch.table.columns.get(at).is_some_and(|c| c.inlined_type().is_none())
            && data_type.is_nested()
        {
            return Err(LakeError::User(UserError::unsupported(format!(
                "inlined values of column {} ({}) that another client wrote",
                column.name, column.physical_type
            ))));
        }
        columns.push(match found.and_then(|at| rows.columns().get(at)) {
            Some(array) => reshape(array, &data_type)?,
            None => {
                // The column is younger than the rows.
                initial_value(column)?.to_array_of_size(count)?
            }
        });
    }
    let index = i32::try_from(file).map_err(|_| LakeError::Damaged("too many files".into()))?;
    columns.push(Arc::new(Int32Array::from(vec![index; count])));
    columns.push(Arc::new(Int64Array::from_iter_values(0..count as i64)));
    columns.push(match chunk.row_ids() {
        Some(ids) => Arc::new(Int64Array::from(ids.to_vec())),
        None => Arc::new(Int64Array::from_iter_values(0..count as i64)),
    });
    let all = RecordBatch::try_new(Arc::clone(schema), columns)?;
    if chunk.deleted().is_empty() {
        return Ok(all);
    }
    Ok(filter_record_batch(&all, &live_rows(count, chunk.deleted()))?)
}

/// Which of `count` rows are not deleted.
pub fn live_rows(count: usize, deleted: &[i64]) -> BooleanArray {
    let mut live = vec![true; count];
    for position in deleted {
        if let Some(flag) = usize::try_from(*position).ok().and_then(|p| live.get_mut(p)) {
            *flag = false;
        }
    }
    BooleanArray::from(live)
}
