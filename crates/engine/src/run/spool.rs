//! Results at rest: small ones in memory, larger ones in an Arrow IPC file, readable batch by batch.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, SchemaRef};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use frazil_common::UserError;
use parking_lot::Mutex;

/// Bytes of texts in one slice of a batch, unless one row alone has more.
const SLICE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A result with at most this many bytes stays in memory.
const MEMORY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Rows of one stored batch, so that a reader of any batch needs bounded memory.
const BATCH_ROWS_MAX: usize = 16_384;

#[derive(Debug)]
enum Store {
    Memory(Vec<RecordBatch>),
    File(StoredFile),
}

/// A result's file and its length. It goes with its last holder.
#[derive(Debug)]
struct StoredFile {
    path: PathBuf,
    bytes: u64,
}

impl StoredFile {
    /// Makes a file below a directory. What is written of it goes too where that fails.
    fn create(
        directory: &Path,
        name: &str,
        schema: &SchemaRef,
    ) -> Result<(StoredFile, FileWriter<File>), UserError> {
        let path = directory.join(format!("{name}.arrow"));
        let cannot = |error| UserError::internal(format!("the result cannot be stored: {error}"));
        let file = File::create(&path).map_err(cannot)?;
        let stored = StoredFile { path, bytes: 0 };
        let writer = FileWriter::try_new(file, schema).map_err(UserError::internal)?;
        Ok((stored, writer))
    }

    fn finish(&mut self, writer: &mut FileWriter<File>) -> Result<(), UserError> {
        writer.finish().map_err(UserError::internal)?;
        self.bytes = writer.get_ref().metadata().map_or(0, |meta| meta.len());
        Ok(())
    }
}

impl Drop for StoredFile {
    fn drop(&mut self) {
        // A leftover file is removed when the server next starts.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A complete result. Reading needs memory for one batch at a time.
#[derive(Debug)]
pub struct Spool {
    schema: SchemaRef,
    batch_rows: Vec<usize>,
    integer_ranges: Vec<Option<(i128, i128)>>,
    bytes: u64,
    store: Mutex<Store>,
}

impl Spool {
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub fn total_rows(&self) -> u64 {
        self.batch_rows.iter().map(|rows| *rows as u64).sum()
    }

    /// Rows of each stored batch, in order.
    pub fn batch_rows(&self) -> &[usize] {
        &self.batch_rows
    }

    /// Bytes of the batches in memory form.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Smallest and largest unscaled value over the whole result for each Int64 and Decimal128
    /// column; None for other columns and for columns without a value.
    pub fn integer_ranges(&self) -> &[Option<(i128, i128)>] {
        &self.integer_ranges
    }

    /// Reads one batch. Blocking where the result lies on disk.
    pub fn read_batch(&self, index: usize) -> Result<RecordBatch, UserError> {
        let path = match &*self.store.lock() {
            Store::Memory(batches) => {
                return batches
                    .get(index)
                    .cloned()
                    .ok_or_else(|| UserError::internal("result batch out of range"));
            }
            Store::File(file) => file.path.clone(),
        };
        let file = File::open(&path)
            .map_err(|e| UserError::internal(format!("stored result is gone: {e}")))?;
        let mut reader =
            FileReader::try_new(BufReader::new(file), None).map_err(UserError::internal)?;
        reader.set_index(index).map_err(UserError::internal)?;
        reader
            .next()
            .ok_or_else(|| UserError::internal("result batch out of range"))?
            .map_err(UserError::internal)
    }

    /// All rows; for results known to be small.
    pub fn read_all(&self) -> Result<Vec<RecordBatch>, UserError> {
        (0..self.batch_rows.len()).map(|index| self.read_batch(index)).collect()
    }

    /// Moves a result from memory to a file in `directory`.
    pub fn spill(&self, directory: &Path, name: &str) -> Result<(), UserError> {
        let mut store = self.store.lock();
        let Store::Memory(batches) = &*store else { return Ok(()) };
        if batches.is_empty() {
            return Ok(());
        }
        let (mut file, mut writer) = StoredFile::create(directory, name, &self.schema)?;
        for batch in batches {
            writer.write(batch).map_err(UserError::internal)?;
        }
        file.finish(&mut writer)?;
        *store = Store::File(file);
        Ok(())
    }

    /// The length of its file; 0 in memory.
    pub fn file_bytes(&self) -> u64 {
        match &*self.store.lock() {
            Store::Memory(_) => 0,
            Store::File(file) => file.bytes,
        }
    }

    pub fn in_memory(&self) -> bool {
        matches!(&*self.store.lock(), Store::Memory(_))
    }
}

/// Builds a [`Spool`] batch by batch.
pub struct SpoolWriter {
    schema: SchemaRef,
    directory: PathBuf,
    name: String,
    memory: Vec<RecordBatch>,
    memory_bytes: usize,
    file: Option<(StoredFile, FileWriter<File>)>,
    batch_rows: Vec<usize>,
    integer_ranges: Vec<Option<(i128, i128)>>,
    bytes: u64,
    bytes_max: Option<u64>,
}

impl SpoolWriter {
    /// `name` must be unique (the query id). `bytes_max` is the limit on a result's size.
    pub fn new(schema: SchemaRef, directory: &Path, name: &str, bytes_max: Option<u64>) -> Self {
        SpoolWriter {
            integer_ranges: vec![None; schema.fields().len()],
            schema,
            directory: directory.to_path_buf(),
            name: name.to_string(),
            memory: Vec::new(),
            memory_bytes: 0,
            file: None,
            batch_rows: Vec::new(),
            bytes: 0,
            bytes_max,
        }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), UserError> {
        let mut offset = 0;
        while offset < batch.num_rows() {
            let mut rows = BATCH_ROWS_MAX.min(batch.num_rows() - offset);
            // Many rows may share one text, which each of them gets of its own below.
            while rows > 1 && text_bytes(&batch.slice(offset, rows)) > SLICE_BYTES_MAX {
                rows = rows.div_ceil(2);
            }
            // A slice keeps the whole buffers alive, so string views are compacted below.
            self.write_slice(compact(&batch.slice(offset, rows))?)?;
            offset += rows;
        }
        Ok(())
    }

    fn write_slice(&mut self, batch: RecordBatch) -> Result<(), UserError> {
        let batch = RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec())
            .map_err(UserError::internal)?;
        for (range, column) in self.integer_ranges.iter_mut().zip(batch.columns()) {
            widen(range, column.as_ref());
        }
        let bytes = batch.get_array_memory_size();
        self.bytes += bytes as u64;
        if self.bytes_max.is_some_and(|max| self.bytes > max) {
            return Err(UserError::new(
                frazil_common::Code::ResourceLimit,
                format!(
                    "The result is larger than {} bytes, the limit of --result-limit. Select fewer \
                     rows, write them to a table, or raise the limit.",
                    self.bytes_max.unwrap_or_default()
                ),
            ));
        }
        self.batch_rows.push(batch.num_rows());
        if let Some((_, writer)) = &mut self.file {
            return writer.write(&batch).map_err(UserError::internal);
        }
        self.memory_bytes += bytes;
        self.memory.push(batch);
        if self.memory_bytes > MEMORY_BYTES_MAX {
            let (file, mut writer) = StoredFile::create(&self.directory, &self.name, &self.schema)?;
            for batch in self.memory.drain(..) {
                writer.write(&batch).map_err(UserError::internal)?;
            }
            self.file = Some((file, writer));
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<Spool, UserError> {
        let store = match self.file.take() {
            Some((mut file, mut writer)) => {
                file.finish(&mut writer)?;
                Store::File(file)
            }
            None => Store::Memory(std::mem::take(&mut self.memory)),
        };
        Ok(Spool {
            schema: self.schema.clone(),
            batch_rows: std::mem::take(&mut self.batch_rows),
            integer_ranges: std::mem::take(&mut self.integer_ranges),
            bytes: self.bytes,
            store: Mutex::new(store),
        })
    }
}

/// The bytes of a batch's texts if no two rows shared any.
fn text_bytes(batch: &RecordBatch) -> usize {
    // The lower half of a view's first eight bytes is its length.
    let of = |views: &[u128]| -> usize { views.iter().map(|view| *view as u32 as usize).sum() };
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => of(column.as_string_view().views()),
        DataType::BinaryView => of(column.as_binary_view().views()),
        _ => 0,
    });
    columns.sum()
}

/// Copies view arrays so that a batch holds only its own bytes.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, UserError> {
    let columns = batch
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Utf8View => {
                std::sync::Arc::new(column.as_string_view().gc()) as arrow::array::ArrayRef
            }
            DataType::BinaryView => std::sync::Arc::new(column.as_binary_view().gc()),
            _ => column.clone(),
        })
        .collect();
    RecordBatch::try_new(batch.schema(), columns).map_err(UserError::internal)
}

fn widen(range: &mut Option<(i128, i128)>, column: &dyn Array) {
    let found = match column.data_type() {
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            compute::min(values).zip(compute::max(values)).map(|(a, b)| (a as i128, b as i128))
        }
        DataType::Decimal128(_, _) => {
            let values = column.as_primitive::<Decimal128Type>();
            compute::min(values).zip(compute::max(values))
        }
        _ => None,
    };
    *range = match (*range, found) {
        (Some((low, high)), Some((a, b))) => Some((low.min(a), high.max(b))),
        (None, found) => found,
        (range, None) => range,
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringViewArray};

    use super::*;

    fn batch(values: Vec<i64>) -> RecordBatch {
        let text: StringViewArray =
            values.iter().map(|v| Some(format!("row number {v} with a long text"))).collect();
        RecordBatch::try_from_iter([
            ("A", Arc::new(Int64Array::from(values)) as ArrayRef),
            ("B", Arc::new(text) as ArrayRef),
        ])
        .unwrap()
    }

    #[test]
    fn rows_that_share_a_long_text_are_counted_before_they_are_copied() {
        let directory = tempfile::tempdir().unwrap();
        let long = "x".repeat(1 << 20);
        let shared = StringViewArray::from(vec![long.as_str()]);
        let indices = arrow::array::UInt32Array::from(vec![0; 1000]);
        let texts = arrow::compute::take(&shared, &indices, None).unwrap();
        let batch = RecordBatch::try_from_iter([("T", texts)]).unwrap();
        let most = 100 << 20;
        let mut writer = SpoolWriter::new(batch.schema(), directory.path(), "q", Some(most));
        assert!(writer.write(&batch).is_err());
        // It was told within one slice of the limit.
        assert!(writer.bytes < most + 2 * SLICE_BYTES_MAX as u64);
    }

    #[test]
    fn large_results_go_to_disk_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let first = batch((0..100_000).collect());
        let mut writer = SpoolWriter::new(first.schema(), directory.path(), "q", None);
        writer.write(&first).unwrap();
        writer.write(&batch(vec![-5])).unwrap();
        let spool = writer.finish().unwrap();
        assert!(!spool.in_memory());
        assert_eq!(spool.total_rows(), 100_001);
        assert_eq!(spool.integer_ranges()[0], Some((-5, 99_999)));
        let last = spool.read_batch(spool.batch_rows().len() - 1).unwrap();
        assert_eq!(last, batch(vec![-5]));
        drop(spool);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_told_and_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let full = || std::os::unix::fs::symlink("/dev/full", directory.path().join("q.arrow"));
        let files = || std::fs::read_dir(directory.path()).unwrap().count();
        full().unwrap();
        let rows = batch((0..100_000).collect());
        let mut writer = SpoolWriter::new(rows.schema(), directory.path(), "q", None);
        let error = writer.write(&rows).and_then(|()| writer.finish().map(drop)).unwrap_err();
        assert_eq!(error.code, frazil_common::Code::DiskFull);
        assert_eq!(files(), 0);
        // One that is moved out of memory later.
        let few = batch((0..1000).collect());
        let mut writer = SpoolWriter::new(few.schema(), directory.path(), "q", None);
        writer.write(&few).unwrap();
        let spool = writer.finish().unwrap();
        full().unwrap();
        let error = spool.spill(directory.path(), "q").unwrap_err();
        assert_eq!((error.code, files()), (frazil_common::Code::DiskFull, 0));
        assert_eq!((spool.total_rows(), spool.file_bytes()), (1000, 0));
        assert_eq!(spool.read_all().unwrap()[0].num_rows(), 1000);
    }

    #[test]
    fn a_limit_on_size_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let first = batch((0..1000).collect());
        let mut writer = SpoolWriter::new(first.schema(), directory.path(), "q", Some(1000));
        assert!(writer.write(&first).is_err());
    }
}
