//! Tables that another client parts into files by keys (DuckLake's partitioning): which part a row
//! belongs to, and which parts a filter needs.

mod calendar;
mod hash;
mod text;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::partition;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::scalar::ScalarValue;
use frazil_catalog::{ColumnInfo, FilePartition, PartitionKey, TableInfo, Transform};
use frazil_common::hidden::MARK;
use frazil_common::{SqlType, UserError};
use futures::StreamExt;

use crate::error::{LakeError, Result};
use crate::version::DataFile;
use crate::write::schema::reshape;
use crate::write::statistics::{from_text, initial_value};

/// Where a key's values come from.
#[derive(Debug, Clone)]
enum Source {
    /// A column of the rows.
    Place(usize),
    /// The column is younger than the rows.
    Value(ScalarValue),
}

#[derive(Debug, Clone)]
struct Key {
    source: Source,
    column: ColumnInfo,
    transform: Transform,
}

/// Tells the partition of rows.
#[derive(Debug, Clone)]
pub struct Partitioner {
    partition_id: i64,
    keys: Vec<Key>,
}

impl Partitioner {
    /// For new rows of a table; none where it has no partition keys.
    ///
    /// # Errors
    /// The keys are of a kind that is not understood: rows cannot be written to the table.
    pub fn of(table: &TableInfo) -> Result<Option<Arc<Partitioner>>> {
        Partitioner::of_stored(table, &table.columns)
    }

    /// For rows of a table that have the columns it had at some time.
    pub fn of_stored(table: &TableInfo, stored: &[ColumnInfo]) -> Result<Option<Arc<Partitioner>>> {
        let Some(partitioning) = &table.partitioning else { return Ok(None) };
        let mut keys = Vec::with_capacity(partitioning.keys.len());
        for key in &partitioning.keys {
            let column = table.columns.iter().find(|column| column.field_id == key.field_id);
            let column = column.filter(|column| is_supported(column, &key.transform));
            let Some(column) = column else { return Err(unsupported(table, key)) };
            let source = match stored.iter().position(|own| own.field_id == key.field_id) {
                Some(place) => Source::Place(place),
                None => Source::Value(initial_value(column)?),
            };
            keys.push(Key { source, column: column.clone(), transform: key.transform.clone() });
        }
        let partition_id = partitioning.partition_id;
        Ok(Some(Arc::new(Partitioner { partition_id, keys })))
    }

    /// The keys' values of rows, whose first columns are the stored ones.
    pub fn keys(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>> {
        let value = |key: &Key| {
            let array = match &key.source {
                Source::Value(value) => value.to_array_of_size(rows)?,
                Source::Place(place) => {
                    let column = columns.get(*place).ok_or_else(|| {
                        LakeError::Damaged("a partition key's column is missing".into())
                    })?;
                    reshape(column, &key.column.sql_type.to_arrow())?
                }
            };
            transformed(&array, &key.column, &key.transform)
        };
        self.keys.iter().map(value).collect()
    }

    /// Runs of neighbouring rows of one partition each.
    pub fn runs(
        &self,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<Vec<(Range<usize>, Arc<FilePartition>)>> {
        let keys = self.keys(columns, rows)?;
        let runs = partition(&keys)?.ranges().into_iter();
        runs.map(|run| {
            let value = |(key, array): (&Key, &ArrayRef)| {
                let identity = key.transform == Transform::Identity;
                text::of(array, run.start, identity.then_some(key.column.physical_type.as_str()))
            };
            let values = self.keys.iter().zip(&keys).map(value).collect::<Result<_>>()?;
            let partition = FilePartition { partition_id: self.partition_id, values };
            Ok((run, Arc::new(partition)))
        })
        .collect()
    }

    /// The rows of a stream with the keys' values in further columns.
    pub fn with_keys(
        self: &Arc<Self>,
        rows: SendableRecordBatchStream,
    ) -> SendableRecordBatchStream {
        let mut fields = rows.schema().fields().to_vec();
        for (index, key) in self.keys.iter().enumerate() {
            let data_type = match key.transform {
                Transform::Identity => key.column.sql_type.to_arrow(),
                _ => DataType::Int64,
            };
            fields.push(Arc::new(Field::new(format!("{MARK}KEY_{index}"), data_type, true)));
        }
        let schema = Arc::new(Schema::new(fields));
        let (shape, keys) = (Arc::clone(&schema), Arc::clone(self));
        let rows = rows.map(move |batch| {
            let batch = batch?;
            let mut columns = batch.columns().to_vec();
            columns.extend(keys.keys(batch.columns(), batch.num_rows())?);
            Ok(RecordBatch::try_new(Arc::clone(&shape), columns)?)
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

fn unsupported(table: &TableInfo, key: &PartitionKey) -> LakeError {
    let column = table.columns.iter().find(|column| column.field_id == key.field_id);
    let column = column.map_or_else(
        || "a column that is not there".to_string(),
        |column| format!("column {} of type {}", column.name, column.physical_type),
    );
    LakeError::User(UserError::unsupported(format!(
        "writing rows of table {}, which is partitioned by {} of {column}",
        table.name, key.transform
    )))
}

fn is_calendar(physical: &str) -> bool {
    physical == "date" || physical.starts_with("timestamp")
}

fn is_supported(column: &ColumnInfo, transform: &Transform) -> bool {
    let physical = column.physical_type.as_str();
    if !column.is_written() || column.sql_type.to_arrow().is_nested() || !column.children.is_empty()
    {
        return false;
    }
    match transform {
        // Bytes have no text.
        Transform::Identity => physical != "blob",
        Transform::Year | Transform::Month | Transform::Day => is_calendar(physical),
        Transform::Hour => is_calendar(physical) || physical == "time",
        Transform::Bucket(_) => true,
        Transform::Unknown(_) => false,
    }
}

fn transformed(array: &ArrayRef, column: &ColumnInfo, transform: &Transform) -> Result<ArrayRef> {
    Ok(match transform {
        Transform::Identity => Arc::clone(array),
        Transform::Bucket(count) => hash::buckets(array, &column.physical_type, *count)?,
        part => calendar::parts(array, part)?,
    })
}

/// Whether a change of a column's type changes what its values are hashed as.
pub fn hashes_differ(before: &str, after: &str) -> bool {
    hash::form(before) != hash::form(after)
}

/// Whether no row of a file has one of the values in a column.
pub fn excludes(
    table: &TableInfo,
    file: &DataFile,
    column: &ColumnInfo,
    values: &HashSet<ScalarValue>,
) -> bool {
    let (Some(keys), Some(own)) = (&table.partitioning, &file.partition) else { return false };
    if own.partition_id != keys.partition_id || own.values.len() != keys.keys.len() {
        return false;
    }
    keys.keys.iter().zip(&own.values).any(|(key, stored)| {
        key.field_id == column.field_id
            && is_supported(column, &key.transform)
            && values
                .iter()
                .all(|value| differs(column, key, file, stored.as_deref(), value).unwrap_or(false))
    })
}

/// Whether a value lies in another partition than a file's; none where that is not known.
fn differs(
    column: &ColumnInfo,
    key: &PartitionKey,
    file: &DataFile,
    stored: Option<&str>,
    value: &ScalarValue,
) -> Option<bool> {
    let data_type = column.sql_type.to_arrow();
    let value = match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) => {
            ScalarValue::Utf8View(text.clone())
        }
        other => other.clone(),
    };
    let is_nan = matches!(value, ScalarValue::Float64(Some(value)) if value.is_nan());
    if value.is_null() || value.data_type() != data_type || is_nan {
        return None;
    }
    match &key.transform {
        // Zeros of both signs are equal, and have texts of their own.
        Transform::Identity if column.sql_type == SqlType::Float => None,
        Transform::Identity => match stored {
            // NULLs alone equal nothing.
            None => Some(true),
            Some(text) => Some(from_text(text, &data_type)? != value),
        },
        Transform::Bucket(_) if file.begun < key.since => None,
        Transform::Bucket(_) if stored.is_none() => Some(true),
        // Zones and nanoseconds are not read alike by every client and version.
        Transform::Year | Transform::Month | Transform::Day | Transform::Hour
            if matches!(column.physical_type.as_str(), "timestamptz" | "timestamp_ns" | "time") =>
        {
            None
        }
        Transform::Unknown(_) => None,
        transform => {
            let array = transformed(&value.to_array().ok()?, column, transform).ok()?;
            let own = ScalarValue::try_from_array(&array, 0).ok()?;
            Some(own != ScalarValue::Int64(Some(stored?.parse().ok()?)))
        }
    }
}
