//! DuckLake's delete files: positions of rows that are gone.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::arrow::{PARQUET_FIELD_ID_META_KEY, ProjectionMask};
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use frazil_common::SnapshotId;
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;

use super::encoder::Encoder;
use super::schema::{
    DELETE_PATH_FIELD, DELETE_POSITION_FIELD, SNAPSHOT_COLUMN, SNAPSHOT_FIELD, with_field_id,
};
use crate::caught::caught;
use crate::checksum;
use crate::error::{LakeError, Result};
use crate::files::FileStore;
use crate::unclaimed::Unclaimed;

const ROW_GROUP_ROWS: usize = 1 << 20;

/// A written delete file.
#[derive(Debug, Clone)]
pub struct WrittenDeleteFile {
    pub path: Path,
    /// Path relative to the table's folder.
    pub name: String,
    pub bytes: u64,
    pub footer_bytes: u64,
}

/// Writes the positions (ascending) deleted from `data_file` into `folder`, with the snapshots
/// they were deleted at where these differ; the file is durable.
pub async fn write(
    store: &FileStore,
    folder: &str,
    data_file: &Path,
    positions: &[i64],
    snapshots: Option<&[SnapshotId]>,
) -> Result<WrittenDeleteFile> {
    let name = format!("frazil-{}-delete.parquet", uuid::Uuid::now_v7());
    let path = store.locate(&format!("{folder}{name}"))?;
    let mut fields = vec![
        with_field_id(Field::new("file_path", DataType::Utf8, true), DELETE_PATH_FIELD),
        with_field_id(Field::new("pos", DataType::Int64, true), DELETE_POSITION_FIELD),
    ];
    let target = format!("/{data_file}");
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&target, positions.len()))),
        Arc::new(Int64Array::from(positions.to_vec())),
    ];
    if let Some(snapshots) = snapshots {
        let field = Field::new(SNAPSHOT_COLUMN, DataType::Int64, true);
        fields.push(with_field_id(field, SNAPSHOT_FIELD));
        columns.push(Arc::new(Int64Array::from(snapshots.to_vec())));
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let unclaimed = Unclaimed::in_the_making(store, path.clone());
    let sink = BufWriter::new(Arc::clone(store.object_store()), path.clone());
    let properties = WriterProperties::builder()
        .set_created_by(checksum::CREATED_BY.to_string())
        .set_compression(Compression::LZ4_RAW)
        .build();
    let options =
        ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = Encoder::try_new(sink, schema, options, ROW_GROUP_ROWS)?;
    writer.write(&batch).await?;
    writer.finish().await?;
    let (bytes, footer_bytes) = super::file_facts(store, &path, writer.bytes_written()).await?;
    store.sync(vec![path.clone()]).await?;
    // Whoever called has it in the same moment.
    unclaimed.claim();
    Ok(WrittenDeleteFile { path, name, bytes, footer_bytes })
}

/// The rows a delete file names.
#[derive(Debug, Clone)]
pub struct DeletedRows {
    /// Ascending, without repeats.
    pub positions: Arc<Vec<i64>>,
    /// The snapshot each was deleted at, where the file tells.
    snapshots: Option<Vec<SnapshotId>>,
}

impl DeletedRows {
    /// Each position with the snapshot it was deleted at, where the file tells.
    pub fn rows(&self) -> impl Iterator<Item = (i64, Option<SnapshotId>)> {
        let snapshots = self.snapshots.as_deref();
        let at = move |row: usize| snapshots.and_then(|s| s.get(row)).copied();
        self.positions.iter().enumerate().map(move |(row, position)| (*position, at(row)))
    }

    /// Those deleted up to a snapshot.
    pub fn at(&self, snapshot: SnapshotId) -> Arc<Vec<i64>> {
        match &self.snapshots {
            Some(snapshots) if snapshots.iter().any(|at| *at > snapshot) => {
                let rows = self.positions.iter().zip(snapshots);
                Arc::new(rows.filter(|(_, at)| **at <= snapshot).map(|(p, _)| *p).collect())
            }
            _ => Arc::clone(&self.positions),
        }
    }
}

/// Reads a delete file.
pub async fn read(store: &FileStore, path: &Path) -> Result<DeletedRows> {
    let mut rows: Vec<(i64, SnapshotId)> = Vec::new();
    let mut tells = true;
    read_columns(store, path, |batch| {
        let column = batch
            .column_by_name("pos")
            .ok_or_else(|| LakeError::Damaged("it has no positions".into()))?;
        let values = datafusion::arrow::compute::cast(column, &DataType::Int64)?;
        let values = values.as_primitive::<Int64Type>();
        let snapshots = snapshots_of(batch)?;
        tells &= snapshots.is_some();
        for row in 0..values.len() {
            rows.push((values.value(row), snapshots.as_ref().map_or(0, |s| s.value(row))));
        }
        Ok(())
    })
    .await?;
    rows.sort_unstable();
    rows.dedup_by_key(|(position, _)| *position);
    let (positions, snapshots) = rows.into_iter().unzip();
    Ok(DeletedRows { positions: Arc::new(positions), snapshots: tells.then_some(snapshots) })
}

/// Positions in a merged data file of rows that were written after `snapshot`, ascending.
pub async fn later_rows(store: &FileStore, path: &Path, snapshot: SnapshotId) -> Result<Vec<i64>> {
    let snapshots = row_snapshots(store, path).await?;
    let later = snapshots.iter().enumerate().filter(|(_, at)| **at > snapshot);
    Ok(later.map(|(position, _)| position as i64).collect())
}

/// The snapshot each row of a merged data file began at.
pub async fn row_snapshots(store: &FileStore, path: &Path) -> Result<Vec<SnapshotId>> {
    let mut all = Vec::new();
    read_columns(store, path, |batch| {
        let snapshots = snapshots_of(batch)?
            .ok_or_else(|| LakeError::Damaged("it does not tell its rows' snapshots".into()))?;
        all.extend_from_slice(snapshots.values());
        Ok(())
    })
    .await?;
    Ok(all)
}

fn snapshots_of(batch: &RecordBatch) -> Result<Option<Int64Array>> {
    match batch.schema_ref().fields().iter().rposition(|field| is_snapshot(field)) {
        None => Ok(None),
        Some(index) => {
            let column = batch.column(index);
            let values = datafusion::arrow::compute::cast(column, &DataType::Int64)?;
            Ok(Some(values.as_primitive::<Int64Type>().clone()))
        }
    }
}

/// Whether a field is DuckLake's own, and no column of another client's table of that name.
fn is_snapshot(field: &Field) -> bool {
    let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY);
    let own = id.is_none_or(|id| id.parse() == Ok(SNAPSHOT_FIELD));
    field.name() == SNAPSHOT_COLUMN && own
}

async fn read_columns(
    store: &FileStore,
    path: &Path,
    each: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    // Positions pack well: such a file is small next to the rows it stands for.
    let bytes = store.object_store().get(path).await?.bytes().await?;
    caught(|| decode(bytes, each)).unwrap_or_else(|panic| Err(LakeError::Damaged(panic)))
}

fn decode(bytes: Bytes, mut each: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
    // The writer's own Arrow schema tells nothing that is needed.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options)?;
    let end = usize::try_from(checksum::pages_end(builder.metadata())).unwrap_or(usize::MAX);
    let tail = bytes.get(end..).unwrap_or_default();
    if checksum::is_sealed(builder.metadata())
        && checksum::tail_holds(tail, end as u64) != Some(true)
    {
        return Err(LakeError::Damaged("the checksum of its footer is another".into()));
    }
    let wanted = builder
        .schema()
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, f)| f.name() == "pos" || is_snapshot(f))
        .map(|(index, _)| index)
        .collect::<Vec<_>>();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    for batch in builder.with_projection(mask).build()? {
        each(&batch?)?;
    }
    Ok(())
}
