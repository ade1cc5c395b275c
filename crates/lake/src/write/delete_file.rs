//! DuckLake's delete files: positions of rows that are gone.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::arrow::{AsyncArrowWriter, ProjectionMask};
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use frazil_common::SnapshotId;
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;

use super::schema::{DELETE_PATH_FIELD, DELETE_POSITION_FIELD, SNAPSHOT_COLUMN, with_field_id};
use crate::error::{LakeError, Result};
use crate::files::FileStore;

/// A written delete file.
#[derive(Debug, Clone)]
pub struct WrittenDeleteFile {
    pub path: Path,
    /// Path relative to the table's folder.
    pub name: String,
    pub bytes: u64,
    pub footer_bytes: u64,
}

/// Writes the positions (ascending) deleted from `data_file` into `folder`; the file is durable.
pub async fn write(
    store: &FileStore,
    folder: &str,
    data_file: &Path,
    positions: &[i64],
) -> Result<WrittenDeleteFile> {
    let name = format!("frazil-{}-delete.parquet", uuid::Uuid::now_v7());
    let path = store.locate(&format!("{folder}{name}"))?;
    let schema = Arc::new(Schema::new(vec![
        with_field_id(Field::new("file_path", DataType::Utf8, true), DELETE_PATH_FIELD),
        with_field_id(Field::new("pos", DataType::Int64, true), DELETE_POSITION_FIELD),
    ]));
    let target = format!("/{data_file}");
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&target, positions.len()))),
            Arc::new(Int64Array::from(positions.to_vec())),
        ],
    )?;
    let sink = BufWriter::new(Arc::clone(store.object_store()), path.clone());
    let properties = WriterProperties::builder().set_compression(Compression::LZ4_RAW).build();
    let mut writer = AsyncArrowWriter::try_new(sink, schema, Some(properties))?;
    writer.write(&batch).await?;
    writer.finish().await?;
    let (bytes, footer_bytes) = super::file_facts(store, &path, writer.bytes_written()).await?;
    store.sync(vec![path.clone()]).await?;
    Ok(WrittenDeleteFile { path, name, bytes, footer_bytes })
}

/// Reads the positions of a delete file, ascending. Rows that carry a snapshot after `snapshot`
/// are left out.
pub async fn read(store: &FileStore, path: &Path, snapshot: SnapshotId) -> Result<Vec<i64>> {
    let mut positions = Vec::new();
    read_columns(store, path, |batch| {
        let column = batch
            .column_by_name("pos")
            .ok_or_else(|| LakeError::Damaged(format!("delete file {path} has no positions")))?;
        let values = datafusion::arrow::compute::cast(column, &DataType::Int64)?;
        let values = values.as_primitive::<Int64Type>();
        let snapshots = snapshots_of(batch)?;
        for row in 0..values.len() {
            let later = snapshots.as_ref().is_some_and(|s| s.value(row) > snapshot);
            if !later {
                positions.push(values.value(row));
            }
        }
        Ok(())
    })
    .await?;
    positions.sort_unstable();
    positions.dedup();
    Ok(positions)
}

/// Positions in a merged data file of rows that were written after `snapshot`, ascending.
pub async fn later_rows(store: &FileStore, path: &Path, snapshot: SnapshotId) -> Result<Vec<i64>> {
    let mut positions = Vec::new();
    let mut offset = 0_i64;
    read_columns(store, path, |batch| {
        let snapshots = snapshots_of(batch)?.ok_or_else(|| {
            LakeError::Damaged(format!("merged file {path} does not tell its rows' snapshots"))
        })?;
        for row in 0..snapshots.len() {
            if snapshots.value(row) > snapshot {
                positions.push(offset + row as i64);
            }
        }
        offset += snapshots.len() as i64;
        Ok(())
    })
    .await?;
    Ok(positions)
}

fn snapshots_of(batch: &RecordBatch) -> Result<Option<Int64Array>> {
    match batch.column_by_name(SNAPSHOT_COLUMN) {
        None => Ok(None),
        Some(column) => {
            let values = datafusion::arrow::compute::cast(column, &DataType::Int64)?;
            Ok(Some(values.as_primitive::<Int64Type>().clone()))
        }
    }
}

async fn read_columns(
    store: &FileStore,
    path: &Path,
    mut each: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    // Positions pack well: such a file is small next to the rows it stands for.
    let bytes = store.object_store().get(path).await?.bytes().await?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let wanted = builder
        .schema()
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, f)| f.name() == "pos" || f.name() == SNAPSHOT_COLUMN)
        .map(|(index, _)| index)
        .collect::<Vec<_>>();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    for batch in builder.with_projection(mask).build()? {
        each(&batch?)?;
    }
    Ok(())
}
