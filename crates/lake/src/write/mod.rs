//! Writes rows to Parquet files.

pub mod delete_file;
mod encoder;
mod foreign;
mod pages;
pub mod schema;
pub mod sink;
pub mod sorted;
pub mod statistics;

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::basic::Compression as ParquetCompression;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;
use frazil_catalog::{ColumnInfo, FilePartition, TableInfo};
use frazil_common::{Code, UserError};
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;

use crate::checksum;
use crate::error::{LakeError, Result};
use crate::files::FileStore;
use crate::partition::Partitioner;
use crate::settings::{Compression, LakeSettings};
use crate::unclaimed::Unclaimed;
use crate::version::{DataFile, FileKey};
use encoder::Encoder;
use schema::{FileSchema, SystemColumns, file_schema};
use sorted::SortRun;
use statistics::Bounds;

/// Rows looked at to choose encodings.
const SAMPLE_ROWS: usize = 8192;
/// A dictionary pays when a value stands for at least this many rows of the sample.
const DICTIONARY_REPEATS_MIN: usize = 8;
/// Bytes kept before a file is uploaded in parts.
const UPLOAD_PART_BYTES: usize = 8 << 20;

/// Which partitions rows belong to.
#[derive(Debug, Clone)]
pub enum Parts {
    /// All of them to this one, or to none.
    Within(Option<Arc<FilePartition>>),
    /// To those that their values tell.
    By(Arc<Partitioner>),
}

impl Parts {
    /// Of new rows of a table.
    pub fn of(table: &TableInfo) -> Result<Parts> {
        Ok(Partitioner::of(table)?.map_or(Parts::Within(None), Parts::By))
    }

    /// What tells the partition of a row, if anything has to.
    pub fn partitioner(&self) -> Option<&Arc<Partitioner>> {
        match self {
            Parts::Within(_) => None,
            Parts::By(partitioner) => Some(partitioner),
        }
    }
}

struct OpenFile {
    partition: Option<Arc<FilePartition>>,
    writer: Encoder,
    key: uuid::Uuid,
    path: Path,
    name: String,
    rows: u64,
    bounds: Vec<Bounds>,
}

/// Writes a table's rows into files of bounded size. Nothing is visible before a commit.
pub struct TableWriter {
    store: FileStore,
    settings: LakeSettings,
    table: Arc<TableInfo>,
    folder: String,
    schema: FileSchema,
    system: SystemColumns,
    parts: Parts,
    /// Rows of a table with sort keys or partitions wait here until they are a run to sort; none
    /// where they come in their order.
    run: Option<SortRun>,
    /// One at a time: rows of a partition come together.
    open: Option<OpenFile>,
    finished: Vec<DataFile>,
}

impl TableWriter {
    /// A writer into `folder` (as in the catalog, or absolute); the rows bring the `system`
    /// columns.
    pub fn new(
        store: FileStore,
        settings: LakeSettings,
        table: Arc<TableInfo>,
        folder: String,
        system: SystemColumns,
    ) -> Result<TableWriter> {
        let parts = Parts::of(&table)?;
        TableWriter::with_parts(store, settings, table, folder, system, parts)
    }

    /// A writer of rows that belong to these partitions.
    pub fn with_parts(
        store: FileStore,
        settings: LakeSettings,
        table: Arc<TableInfo>,
        folder: String,
        system: SystemColumns,
        parts: Parts,
    ) -> Result<TableWriter> {
        let schema = file_schema(&table, system)?;
        let run = SortRun::of(&table, parts.partitioner());
        Ok(TableWriter {
            store,
            settings,
            table,
            folder,
            schema,
            system,
            parts,
            run,
            open: None,
            finished: Vec::new(),
        })
    }

    /// For rows that come in the order they shall have, those of one partition together.
    pub fn in_order(mut self) -> TableWriter {
        self.run = None;
        self
    }

    /// Writes a batch of the visible columns in table order, with the system columns.
    pub async fn write(&mut self, batch: &RecordBatch, system: &[&Int64Array]) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        check_rows(&self.table, batch)?;
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns.extend(system.iter().map(|ids| Arc::new(Int64Array::clone(ids)) as ArrayRef));
        if columns.len() != self.schema.given {
            return Err(LakeError::Damaged("row ids are missing".into()));
        }
        match &mut self.run {
            None => self.write_columns(columns).await,
            Some(run) => match run.add(columns)? {
                Some(sorted) => self.write_columns(sorted).await,
                None => Ok(()),
            },
        }
    }

    async fn write_columns(&mut self, columns: Vec<ArrayRef>) -> Result<()> {
        let count = columns.first().map_or(0, |column| column.len());
        let runs = match &self.parts {
            Parts::Within(partition) => vec![(0..count, partition.clone())],
            Parts::By(partitioner) => {
                let runs = partitioner.runs(&columns, count)?.into_iter();
                runs.map(|(run, partition)| (run, Some(partition))).collect()
            }
        };
        let rows = self.settings.row_group_rows.max(1);
        for (run, partition) in runs {
            let mut offset = run.start;
            while offset < run.end {
                let take = rows.min(run.end - offset);
                let part: Vec<ArrayRef> = columns.iter().map(|c| c.slice(offset, take)).collect();
                self.write_part(part, partition.as_ref()).await?;
                offset += take;
            }
        }
        Ok(())
    }

    async fn write_part(
        &mut self,
        columns: Vec<ArrayRef>,
        partition: Option<&Arc<FilePartition>>,
    ) -> Result<()> {
        let rows = columns.first().map_or(0, |c| c.len());
        let written = self.schema.places.iter().filter_map(|place| columns.get(*place));
        let columns: Vec<ArrayRef> = written
            .zip(self.schema.arrow.fields())
            .map(|(array, field)| schema::reshape(array, field.data_type()))
            .collect::<Result<_>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema.arrow), columns)?;
        if self.open.as_ref().is_some_and(|open| open.partition.as_ref() != partition) {
            self.close_file().await?;
        }
        if self.open.is_none() {
            self.open = Some(self.open_file(&batch, partition.cloned())?);
        }
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        add_bounds(&mut open.bounds, &self.table, &batch)?;
        open.writer.write(&batch).await?;
        open.rows += rows as u64;
        if open.writer.size() as u64 >= self.settings.target_file_bytes {
            self.close_file().await?;
        }
        Ok(())
    }

    fn open_file(
        &self,
        sample: &RecordBatch,
        partition: Option<Arc<FilePartition>>,
    ) -> Result<OpenFile> {
        let key = uuid::Uuid::now_v7();
        let name = format!("frazil-{key}.parquet");
        let path = self.store.locate(&format!("{}{name}", self.folder))?;
        let sink = BufWriter::with_capacity(
            Arc::clone(self.store.object_store()),
            path.clone(),
            UPLOAD_PART_BYTES,
        );
        let mut properties = WriterProperties::builder()
            .set_created_by(checksum::CREATED_BY.to_string())
            .set_compression(match self.settings.compression {
                Compression::None => ParquetCompression::UNCOMPRESSED,
                Compression::Lz4 => ParquetCompression::LZ4_RAW,
            })
            .set_max_row_group_row_count(Some(self.settings.row_group_rows.max(1)))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_dictionary_enabled(false);
        for (index, field) in self.schema.arrow.fields().iter().enumerate() {
            if matches!(field.data_type(), DataType::Float64 | DataType::Float32) {
                // They leave NaN out, and readers would leave rows out by them; the catalog's bounds
                // tell of NaN.
                let path = ColumnPath::new(vec![field.name().clone()]);
                properties =
                    properties.set_column_statistics_enabled(path, EnabledStatistics::None);
            }
            if repeats(sample.column(index)) {
                let path = ColumnPath::new(vec![field.name().clone()]);
                properties = properties.set_column_dictionary_enabled(path, true);
            }
        }
        let options = ArrowWriterOptions::new()
            .with_properties(properties.build())
            .with_skip_arrow_metadata(true)
            .with_parquet_schema(self.schema.parquet.clone());
        Ok(OpenFile {
            partition,
            writer: Encoder::try_new(
                sink,
                Arc::clone(&self.schema.arrow),
                options,
                self.settings.row_group_rows,
            )?,
            key,
            path,
            name,
            rows: 0,
            bounds: written_columns(&self.table).map(|c| Bounds::new(c.field_id)).collect(),
        })
    }

    async fn close_file(&mut self) -> Result<()> {
        // It stays open until it is whole: given up here, it is removed.
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        let metadata = open.writer.finish().await?;
        let (bytes, footer_bytes) =
            file_facts(&self.store, &open.path, open.writer.bytes_written()).await?;
        let mut sizes = vec![0_i64; self.schema.arrow.fields().len()];
        let schema = metadata.file_metadata().schema_descr();
        for group in metadata.row_groups() {
            for (leaf, chunk) in group.columns().iter().enumerate() {
                if let Some(size) = sizes.get_mut(schema.get_column_root_idx(leaf)) {
                    *size += chunk.compressed_size();
                }
            }
        }
        let Some(open) = self.open.take() else { return Ok(()) };
        let statistics = open
            .bounds
            .into_iter()
            .zip(sizes)
            .map(|(bounds, bytes)| bounds.finish(bytes))
            .collect();
        self.finished.push(DataFile {
            key: FileKey::Staged(open.key),
            path: open.path,
            name: open.name,
            rows: open.rows,
            bytes,
            footer_bytes,
            row_id_start: 0,
            keeps_row_ids: self.system >= SystemColumns::RowIds,
            partition: open.partition,
            statistics,
            names: None,
            deleted: Arc::default(),
            delete_file: None,
            begun: 0,
        });
        Ok(())
    }

    /// Ends the last file and gives all; they are durable.
    pub async fn finish(mut self) -> Result<Vec<DataFile>> {
        if let Some(rest) = self.run.as_mut().map(SortRun::take).transpose()?.flatten() {
            self.write_columns(rest).await?;
        }
        self.close_file().await?;
        self.store.sync(self.finished.iter().map(|f| f.path.clone()).collect()).await?;
        Ok(std::mem::take(&mut self.finished))
    }

    /// Removes what was written.
    pub async fn abort(mut self) {
        let mut paths: Vec<Path> = self.finished.iter().map(|f| f.path.clone()).collect();
        paths.extend(self.open.as_ref().map(|open| open.path.clone()));
        self.store.remove(&paths).await;
        self.finished.clear();
        self.open = None;
    }
}

impl Drop for TableWriter {
    /// A statement that is cancelled ends anywhere: what it wrote goes with it.
    fn drop(&mut self) {
        let finished = self.finished.drain(..).map(|file| file.path).collect();
        drop(Unclaimed::new(&self.store, finished));
        if let Some(open) = self.open.take() {
            drop(Unclaimed::in_the_making(&self.store, open.path));
        }
    }
}

/// Refuses rows the table cannot take: NULLs where none may be.
fn check_rows(table: &TableInfo, batch: &RecordBatch) -> Result<()> {
    if batch.num_columns() != table.columns.len() {
        return Err(LakeError::Damaged(format!(
            "{} columns written to {} of {}",
            batch.num_columns(),
            table.columns.len(),
            table.name
        )));
    }
    for (column, array) in table.columns.iter().zip(batch.columns()) {
        if !column.nullable && array.logical_null_count() > 0 {
            return Err(LakeError::User(UserError::new(
                Code::NullNotAllowed,
                format!("NULL result in a non-nullable column '{}'", column.name),
            )));
        }
        foreign::check_fits(table, column, array)?;
    }
    Ok(())
}

/// The columns that are in a table's new files.
fn written_columns(table: &TableInfo) -> impl Iterator<Item = &ColumnInfo> {
    table.columns.iter().filter(|column| column.is_written())
}

/// Takes stored values into the columns' bounds.
fn add_bounds(bounds: &mut [Bounds], table: &TableInfo, batch: &RecordBatch) -> Result<()> {
    let columns = bounds.iter_mut().zip(written_columns(table)).zip(batch.columns());
    for ((bounds, column), array) in columns {
        let logical = column.sql_type.to_arrow();
        // Bounds are those of the stored values, but counted in the table's type where another
        // client chose a narrower one.
        let stored = matches!(
            array.data_type(),
            DataType::Int64 | DataType::Timestamp(TimeUnit::Nanosecond, None)
        );
        match stored || array.data_type() == &logical || logical.is_nested() {
            true => bounds.add(array),
            false => bounds.add(&schema::reshape(array, &logical)?),
        }
    }
    Ok(())
}

/// Size of a finished file and of its footer.
pub async fn file_facts(store: &FileStore, path: &Path, written: usize) -> Result<(u64, u64)> {
    let mut bytes = written as u64;
    if bytes < 8 {
        bytes = store.object_store().head(path).await?.size;
    }
    let tail = store.read(path, bytes.saturating_sub(8)..bytes).await?;
    let footer = match tail.get(0..4).and_then(|b| <[u8; 4]>::try_from(b).ok()) {
        Some(length) if tail.get(4..8) == Some(b"PAR1") => u64::from(u32::from_le_bytes(length)),
        _ => return Err(LakeError::Damaged(format!("{path} has no Parquet footer"))),
    };
    Ok((bytes, footer))
}

/// Whether the column has few different values, judged on its first rows.
fn repeats(array: &ArrayRef) -> bool {
    let sample = array.slice(0, array.len().min(SAMPLE_ROWS));
    let limit = sample.len() / DICTIONARY_REPEATS_MIN;
    if limit == 0 {
        return false;
    }
    match sample.data_type() {
        DataType::Utf8View => {
            let mut seen: HashSet<&str> = HashSet::new();
            sample.as_string_view().iter().flatten().all(|v| {
                seen.insert(v);
                seen.len() <= limit
            })
        }
        DataType::Int64 => {
            let mut seen: HashSet<i64> = HashSet::new();
            sample.as_primitive::<Int64Type>().iter().flatten().all(|v| {
                seen.insert(v);
                seen.len() <= limit
            })
        }
        _ => false,
    }
}
