//! One Parquet file being written: columns are encoded on several threads, rows keep their order.

use std::sync::Arc;

use bytes::Bytes;
use crc32fast::Hasher;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::parquet::arrow::arrow_writer::{
    ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriter, ArrowWriterOptions, compute_leaves,
};
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::metadata::{KeyValue, ParquetMetaData};
use datafusion::parquet::file::writer::SerializedFileWriter;
use object_store::buffered::BufWriter;
use tokio::io::AsyncWriteExt;

use super::pages::{self, PageStores, Pages};
use crate::checksum;
use crate::error::{LakeError, Result};

/// Rows kept until they are encoded together; fewer are encoded without other threads.
const ROWS_TOGETHER: usize = 64 * 1024;
/// Work of encoding a column of text, next to a column of numbers.
const TEXT_WEIGHT: usize = 3;

/// A column of the table with the writers of its leaves.
type Column = (usize, Vec<(ArrowColumnWriter, Pages)>);

/// Writes batches of one schema into one file.
pub struct Encoder {
    file: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    stores: Arc<PageStores>,
    /// Of the bytes handed on.
    checksum: Hasher,
    sink: BufWriter,
    schema: SchemaRef,
    /// Leaves of each column.
    leaves: Vec<usize>,
    group_rows_max: usize,
    /// The open row group, by column; empty if none is open.
    columns: Vec<Column>,
    group_rows: usize,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
}

impl Encoder {
    /// A file of `schema` into `sink`, with row groups of at most so many rows.
    pub fn try_new(
        sink: BufWriter,
        schema: SchemaRef,
        options: ArrowWriterOptions,
        group_rows_max: usize,
    ) -> Result<Encoder> {
        let stores = Arc::new(PageStores::default());
        let options = options.with_page_store_factory(Arc::clone(&stores) as _);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options)?;
        let (file, factory) = writer.into_serialized_writer()?;
        let mut leaves = vec![0; schema.fields().len()];
        let parquet = file.schema_descr();
        for leaf in 0..parquet.num_columns() {
            if let Some(count) = leaves.get_mut(parquet.get_column_root_idx(leaf)) {
                *count += 1;
            }
        }
        Ok(Encoder {
            file,
            factory,
            stores,
            checksum: Hasher::new(),
            sink,
            schema,
            leaves,
            group_rows_max: group_rows_max.max(1),
            columns: Vec::new(),
            group_rows: 0,
            pending: Vec::new(),
            pending_rows: 0,
        })
    }

    /// Takes in a batch.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut offset = 0;
        while offset < batch.num_rows() {
            let room = self.group_rows_max - self.group_rows - self.pending_rows;
            let take = room.min(batch.num_rows() - offset);
            self.pending.push(batch.slice(offset, take));
            self.pending_rows += take;
            offset += take;
            let full = self.group_rows + self.pending_rows >= self.group_rows_max;
            if full || self.pending_rows >= ROWS_TOGETHER {
                self.encode().await?;
            }
            if full {
                self.end_group().await?;
            }
        }
        Ok(())
    }

    /// Bytes of the file so far, about.
    pub fn size(&self) -> usize {
        let open = self.columns.iter().flat_map(|(_, writers)| writers);
        let open: usize = open.map(|(writer, _)| writer.get_estimated_total_bytes()).sum();
        let pending: usize = self.pending.iter().map(RecordBatch::get_array_memory_size).sum();
        self.file.bytes_written() + open + pending / 4
    }

    /// Bytes written to the file.
    pub fn bytes_written(&self) -> usize {
        self.file.bytes_written()
    }

    /// Ends the file.
    pub async fn finish(&mut self) -> Result<ParquetMetaData> {
        self.encode().await?;
        self.end_group().await?;
        self.flush().await?;
        let blank = KeyValue::new(checksum::KEY.to_string(), checksum::BLANK.to_string());
        self.file.append_key_value_metadata(blank);
        let metadata = self.file.finish()?;
        self.file.flush().map_err(io)?;
        checksum::seal(self.checksum.clone(), self.file.inner_mut())?;
        self.flush().await?;
        self.sink.shutdown().await.map_err(io)?;
        Ok(metadata)
    }

    /// Encodes what is pending, each thread some of the columns.
    async fn encode(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.pending);
        let rows = std::mem::take(&mut self.pending_rows);
        if rows == 0 {
            return Ok(());
        }
        let columns = match std::mem::take(&mut self.columns) {
            open if !open.is_empty() => open,
            _ => self.new_columns()?,
        };
        self.group_rows += rows;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        if rows < ROWS_TOGETHER / 4 || threads == 1 {
            self.columns = encode_columns(&self.schema, &batches, columns)?;
            return Ok(());
        }
        let batches = Arc::new(batches);
        let mut tasks = tokio::task::JoinSet::new();
        for share in self.shares(columns, threads) {
            let (schema, batches) = (Arc::clone(&self.schema), Arc::clone(&batches));
            tasks.spawn_blocking(move || encode_columns(&schema, &batches, share));
        }
        let mut encoded = Vec::with_capacity(self.leaves.len());
        while let Some(share) = tasks.join_next().await {
            match share {
                Ok(share) => encoded.extend(share?),
                Err(error) => {
                    return Err(LakeError::Damaged(format!("encoding was broken off: {error}")));
                }
            }
        }
        encoded.sort_unstable_by_key(|(index, _)| *index);
        self.columns = encoded;
        Ok(())
    }

    fn new_columns(&self) -> Result<Vec<Column>> {
        let group = self.file.flushed_row_groups().len();
        let writers = self.factory.create_column_writers(group)?;
        let mut writers = writers.into_iter().zip(self.stores.take());
        let columns = self.leaves.iter().enumerate();
        Ok(columns
            .map(|(index, leaves)| (index, writers.by_ref().take(*leaves).collect()))
            .collect())
    }

    /// The columns in as many shares of like work as there are threads.
    fn shares(&self, columns: Vec<Column>, threads: usize) -> Vec<Vec<Column>> {
        let mut shares: Vec<(usize, Vec<Column>)> =
            (0..threads.min(columns.len()).max(1)).map(|_| (0, Vec::new())).collect();
        for column in columns {
            let narrow = self.schema.fields().get(column.0).is_some_and(|field| {
                field.data_type().is_primitive() || field.data_type() == &DataType::Boolean
            });
            let weight = if narrow { 1 } else { TEXT_WEIGHT * column.1.len().max(1) };
            if let Some(share) = shares.iter_mut().min_by_key(|(work, _)| *work) {
                share.0 += weight;
                share.1.push(column);
            }
        }
        shares.into_iter().map(|(_, share)| share).collect()
    }

    async fn end_group(&mut self) -> Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        self.group_rows = 0;
        let mut group = self.file.next_row_group()?;
        for (_, writers) in std::mem::take(&mut self.columns) {
            for (writer, pages) in writers {
                pages::append(writer.close()?, &pages, &mut group)?;
            }
        }
        group.close()?;
        self.flush().await
    }

    /// Hands the file's bytes on to the store.
    async fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(io)?;
        let bytes = std::mem::take(self.file.inner_mut());
        if !bytes.is_empty() {
            self.checksum.update(&bytes);
            self.sink.put(Bytes::from(bytes)).await?;
        }
        Ok(())
    }
}

fn encode_columns(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    mut columns: Vec<Column>,
) -> ParquetResult<Vec<Column>> {
    for (index, writers) in &mut columns {
        for batch in batches {
            let leaves = compute_leaves(schema.field(*index), batch.column(*index))?;
            for (leaf, (writer, _)) in leaves.iter().zip(writers.iter_mut()) {
                writer.write(leaf)?;
            }
        }
    }
    Ok(columns)
}

fn io(error: std::io::Error) -> LakeError {
    LakeError::Store(object_store::Error::Generic { store: "file", source: Box::new(error) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::arrow::array::{ArrayRef, Int64Array, ListArray, StringViewArray, StructArray};
    use datafusion::arrow::compute::concat_batches;
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::*;

    /// Columns of one and of several leaves, with NULLs.
    fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
        let some = |n: i64| (n % 7 != 0).then_some(n);
        let numbers: Int64Array = rows.clone().map(some).collect();
        let text: StringViewArray =
            rows.clone().map(|n| some(n).map(|n| format!("the text of row {n}"))).collect();
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(
            rows.map(|n| some(n).map(|n| (0..n % 3).map(Some).collect::<Vec<_>>())),
        );
        let both = StructArray::try_from(vec![
            ("n", Arc::new(numbers.clone()) as ArrayRef),
            ("l", Arc::new(lists) as ArrayRef),
        ]);
        RecordBatch::try_from_iter_with_nullable([
            ("A", Arc::new(text) as ArrayRef, true),
            ("B", Arc::new(both.unwrap()) as ArrayRef, true),
            ("C", Arc::new(numbers) as ArrayRef, true),
        ])
        .unwrap()
    }

    #[tokio::test]
    async fn rows_come_back_in_order_from_groups_of_the_asked_size() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = Path::from("t.parquet");
        let all = batch(0..150_000);
        let sink = BufWriter::new(Arc::clone(&store), path.clone());
        let options = ArrowWriterOptions::new();
        let mut encoder = Encoder::try_new(sink, all.schema(), options, 70_000).unwrap();
        for (offset, length) in [(0, 5), (5, 99_995), (100_000, 49_000), (149_000, 1000)] {
            encoder.write(&all.slice(offset, length)).await.unwrap();
            assert!(encoder.size() > 0);
        }
        let metadata = encoder.finish().await.unwrap();
        let groups: Vec<i64> = metadata.row_groups().iter().map(|g| g.num_rows()).collect();
        assert_eq!(groups, [70_000, 70_000, 10_000]);
        let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes.len(), encoder.bytes_written());
        let end = checksum::pages_end(&metadata);
        assert_eq!(checksum::tail_holds(&bytes[end as usize..], end), Some(true));
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        let read = concat_batches(&batches[0].schema(), &batches).unwrap();
        assert_eq!(read, all);
    }

    #[tokio::test]
    async fn no_changed_bit_gives_other_rows() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = Path::from("t.parquet");
        let all = batch(0..300);
        let sink = BufWriter::new(Arc::clone(&store), path.clone());
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
        let mut encoder = Encoder::try_new(sink, all.schema(), options, 200).unwrap();
        encoder.write(&all).await.unwrap();
        let metadata = encoder.finish().await.unwrap();
        let whole = store.get(&path).await.unwrap().bytes().await.unwrap();
        let read = |bytes: Bytes| {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
            let batches = reader.collect::<std::result::Result<Vec<RecordBatch>, _>>()?;
            Ok::<_, LakeError>(concat_batches(&batches[0].schema(), &batches)?)
        };
        let expected = read(whole.clone()).unwrap();
        assert_eq!(expected.num_rows(), 300);
        let mut found = 0;
        for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
            let (start, length) = column.byte_range();
            for at in (start..start + length).step_by(11) {
                let mut changed = whole.to_vec();
                changed[at as usize] ^= 1 << (at % 8);
                match crate::caught::caught(|| read(Bytes::from(changed))) {
                    Ok(Ok(rows)) => assert_eq!(rows, expected, "{at}"),
                    _ => found += 1,
                }
            }
        }
        assert!(found > 100, "{found}");
    }
}
