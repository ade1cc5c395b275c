//! Rows outside of files: those in the catalog database, and those a transaction staged.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use frazil_common::{UserError, quote_identifier};

use crate::error::{LakeError, Result};
use crate::scan::foreign;
use crate::version::{RowChunk, TableVersion};
use crate::write::schema::reshape;
use crate::write::statistics::initial_value;

/// The rows with the provider's whole schema. Columns that are not in the projection, where there is one,
/// may hold anything.
pub fn batches(
    version: &TableVersion,
    schema: &SchemaRef,
    projection: Option<&[usize]>,
) -> Result<Vec<RecordBatch>> {
    version
        .chunks
        .iter()
        .enumerate()
        .filter(|(_, chunk)| chunk.live_rows() > 0)
        .map(|(index, chunk)| {
            batch(version, schema, projection, version.files.len() + index, chunk)
        })
        .collect()
}

fn batch(
    version: &TableVersion,
    schema: &SchemaRef,
    projection: Option<&[usize]>,
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
            && let Some(kept) = part.batch.table.columns.get(at)
        {
            if column.is_converted() || !column.readable {
                let read = projection.is_none_or(|wanted| wanted.contains(&place));
                columns.push(match (read, column.readable) {
                    (false, _) => ScalarValue::new_default(&data_type)?.to_array_of_size(count)?,
                    (true, false) => return Err(foreign::unread(&version.table, column)),
                    (true, true) => {
                        let array = rows.column(at);
                        foreign::of_catalog(&version.table, column, array, chunk.deleted())?
                    }
                });
                continue;
            }
            let expected = kept.inlined_type();
            let as_text = expected.as_ref().is_some_and(|ty| rows.column(at).data_type() != ty);
            if as_text && let Some(array) = part.batch.decoded(at, chunk.deleted()) {
                columns.push(reshape(&array, &data_type)?);
                continue;
            }
            if as_text || expected.is_none() && data_type.is_nested() {
                if projection.is_some_and(|wanted| !wanted.contains(&place)) {
                    columns.push(ScalarValue::new_default(&data_type)?.to_array_of_size(count)?);
                    continue;
                }
                // Without the value: policies may hide it.
                let what = match as_text {
                    true => format!(
                        "a value in column {} of {}: another client wrote what is no {}",
                        quote_identifier(&column.name),
                        version.table.name,
                        kept.physical_type
                    ),
                    false => format!(
                        "inlined values of column {} ({}) that another client wrote",
                        column.name, column.physical_type
                    ),
                };
                return Err(LakeError::User(UserError::unsupported(what)));
            }
        }
        columns.push(match found.and_then(|at| rows.columns().get(at)) {
            Some(array) => reshape(array, &data_type)?,
            None if projection.is_some_and(|wanted| !wanted.contains(&place)) => {
                ScalarValue::new_default(&data_type)?.to_array_of_size(count)?
            }
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
