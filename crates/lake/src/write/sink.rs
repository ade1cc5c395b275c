//! Takes a statement's rows: few stay in memory for the catalog database, many go to files.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::{concat, concat_batches, max, min};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use datafusion::execution::runtime_env::RuntimeEnv;
use frazil_catalog::changes::ColumnStatistics;
use frazil_catalog::{TableInfo, TableKind};
use futures::StreamExt;

use super::schema::{SystemColumns, reshape};
use super::sorted::Sorter;
use super::{TableWriter, add_bounds, check_rows};
use crate::error::{LakeError, Result};
use crate::files::FileStore;
use crate::partition::Partitioner;
use crate::scan::ROW_ID;
use crate::settings::LakeSettings;
use crate::unclaimed::Unclaimed;
use crate::version::{DataFile, StagedChunk};
use crate::write::statistics::Bounds;

/// What a sink made: nothing of it is visible yet.
#[derive(Debug, Default)]
pub struct Written {
    pub files: Vec<DataFile>,
    pub chunk: Option<StagedChunk>,
    /// Removes the files where the transaction does not take them.
    pub(crate) unclaimed: Option<Unclaimed>,
}

struct Buffer {
    schema: SchemaRef,
    batches: Vec<(RecordBatch, Option<ArrayRef>)>,
    rows: usize,
    bytes: usize,
}

/// The rows of one statement for one table.
pub struct RowSink {
    store: FileStore,
    settings: LakeSettings,
    table: Arc<TableInfo>,
    row_ids: bool,
    /// The rows come sorted by the table's partitions and keys.
    in_order: bool,
    /// None once the rows go to files.
    buffer: Option<Buffer>,
    /// Rows of a partitioned table that come in no order.
    sorter: Option<Sorter>,
    writer: Option<TableWriter>,
    runtime: Arc<RuntimeEnv>,
}

impl RowSink {
    /// A sink; with `row_ids` the rows bring their ids.
    pub fn new(
        store: FileStore,
        settings: LakeSettings,
        table: Arc<TableInfo>,
        row_ids: bool,
        runtime: Arc<RuntimeEnv>,
    ) -> RowSink {
        let inline = table.kind != TableKind::Temporary && settings.inlined_rows_max > 0;
        let buffer = inline.then(|| inlined_schema(&table)).flatten().map(|schema| Buffer {
            schema,
            batches: Vec::new(),
            rows: 0,
            bytes: 0,
        });
        RowSink {
            store,
            settings,
            table,
            row_ids,
            in_order: false,
            buffer,
            sorter: None,
            writer: None,
            runtime,
        }
    }

    /// For rows that come sorted by the table's partitions and keys.
    pub fn in_order(self) -> RowSink {
        RowSink { in_order: true, ..self }
    }

    /// Takes a batch of the visible columns in table order.
    pub async fn write(&mut self, batch: &RecordBatch, row_ids: Option<&Int64Array>) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let settings = &self.settings;
        if let Some(buffer) = &mut self.buffer {
            check_rows(&self.table, batch)?;
            if self.row_ids != row_ids.is_some() {
                return Err(LakeError::Damaged("row ids are missing".into()));
            }
            let ids = row_ids.map(|ids| Arc::new(ids.clone()) as ArrayRef);
            buffer.rows += batch.num_rows();
            buffer.bytes += batch.columns().iter().map(bytes_of).sum::<usize>();
            buffer.batches.push((batch.clone(), ids));
            let few = buffer.rows <= settings.inlined_rows_max
                && buffer.bytes <= settings.inlined_bytes_max
                && batch.columns().iter().all(has_plain_text);
            return match few {
                true => Ok(()),
                false => self.spill().await,
            };
        }
        self.write_out(batch, row_ids).await
    }

    /// Takes a batch that goes to files.
    async fn write_out(&mut self, batch: &RecordBatch, row_ids: Option<&Int64Array>) -> Result<()> {
        if self.in_order || self.table.partitioning.is_none() {
            return self.writer()?.write(batch, row_ids.as_slice()).await;
        }
        check_rows(&self.table, batch)?;
        let mut columns = batch.columns().to_vec();
        columns.extend(row_ids.map(|ids| Arc::new(ids.clone()) as ArrayRef));
        self.sorter(batch)?.add(columns).await
    }

    /// Sorts rows that have the types of `batch`.
    fn sorter(&mut self, batch: &RecordBatch) -> Result<&mut Sorter> {
        if self.sorter.is_none()
            && let Some(partitioner) = Partitioner::of(&self.table)?
        {
            let mut fields: Vec<Field> = self
                .table
                .columns
                .iter()
                .zip(batch.columns())
                .map(|(column, array)| Field::new(&column.name, array.data_type().clone(), true))
                .collect();
            if self.row_ids {
                fields.push(Field::new(ROW_ID, DataType::Int64, true));
            }
            let schema = Arc::new(Schema::new(fields));
            let runtime = Arc::clone(&self.runtime);
            self.sorter = Some(Sorter::new(&self.table, &partitioner, schema, runtime)?);
        }
        self.sorter.as_mut().ok_or_else(|| LakeError::Damaged("no sorter".into()))
    }

    /// Writes the rows that were sorted.
    async fn write_sorted(&mut self) -> Result<()> {
        let Some(sorter) = self.sorter.take() else { return Ok(()) };
        let mut rows = sorter.finish().await?;
        let visible: Vec<usize> = (0..self.table.columns.len()).collect();
        self.in_order = true;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let ids = self.row_ids.then(|| batch.column(visible.len()).as_primitive().clone());
            self.writer()?.write(&batch.project(&visible)?, ids.as_ref().as_slice()).await?;
        }
        Ok(())
    }

    fn writer(&mut self) -> Result<&mut TableWriter> {
        if self.writer.is_none() {
            let writer = TableWriter::new(
                self.store.clone(),
                self.settings.clone(),
                Arc::clone(&self.table),
                self.table.path.clone(),
                if self.row_ids { SystemColumns::RowIds } else { SystemColumns::None },
            )?;
            self.writer = Some(if self.in_order { writer.in_order() } else { writer });
        }
        self.writer.as_mut().ok_or_else(|| LakeError::Damaged("no writer".into()))
    }

    async fn spill(&mut self) -> Result<()> {
        let Some(buffer) = self.buffer.take() else { return Ok(()) };
        for (batch, ids) in buffer.batches {
            self.write_out(&batch, ids.as_ref().map(|ids| ids.as_primitive())).await?;
        }
        Ok(())
    }

    /// Ends the sink; its files are durable.
    pub async fn finish(mut self) -> Result<Written> {
        let mut written = Written::default();
        if let Err(error) = self.write_sorted().await {
            self.abort().await;
            return Err(error);
        }
        if let Some(writer) = self.writer {
            written.files = writer.finish().await?;
            let paths = written.files.iter().map(|file| file.path.clone()).collect();
            written.unclaimed = Some(Unclaimed::new(&self.store, paths));
        }
        if let Some(buffer) = self.buffer
            && buffer.rows > 0
        {
            let shaped = buffer
                .batches
                .iter()
                .map(|(batch, _)| inlined_rows(batch, &buffer.schema))
                .collect::<Result<Vec<_>>>()?;
            let ids: Vec<&dyn Array> =
                buffer.batches.iter().filter_map(|(_, ids)| ids.as_deref()).collect();
            let row_ids = match ids.is_empty() {
                true => None,
                false => {
                    let all = concat(&ids)?;
                    let all = all.as_primitive::<datafusion::arrow::datatypes::Int64Type>();
                    Some(Arc::new(all.values().to_vec()))
                }
            };
            written.chunk = Some(StagedChunk {
                key: uuid::Uuid::now_v7(),
                rows: concat_batches(&buffer.schema, &shaped)?,
                row_ids,
                deleted: Arc::default(),
            });
        }
        Ok(written)
    }

    /// Removes what was written.
    pub async fn abort(self) {
        if let Some(writer) = self.writer {
            writer.abort().await;
        }
    }
}

/// The columns of a table as the catalog database keeps them; none where it cannot.
pub fn inlined_schema(table: &TableInfo) -> Option<SchemaRef> {
    if !table.can_inline() {
        return None;
    }
    let fields = table.columns.iter().map(|c| Some(Field::new(&c.name, c.inlined_type()?, true)));
    Some(Arc::new(Schema::new(fields.collect::<Option<Vec<_>>>()?)))
}

/// A batch of the visible columns in the types the catalog keeps.
fn inlined_rows(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(array, field)| reshape(array, field.data_type()))
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Statistics of inlined rows.
pub fn statistics_of(table: &TableInfo, rows: &RecordBatch) -> Result<Vec<ColumnStatistics>> {
    let mut bounds: Vec<Bounds> = table.columns.iter().map(|c| Bounds::new(c.field_id)).collect();
    add_bounds(&mut bounds, table, rows)?;
    Ok(bounds.into_iter().map(|bounds| bounds.finish(0)).collect())
}

/// Bytes of a column's values; the buffers of views hold more than the values.
fn bytes_of(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8View => {
            array.as_string_view().iter().map(|v| v.map_or(0, str::len)).sum::<usize>()
        }
        DataType::Binary => {
            array.as_binary::<i32>().iter().map(|v| v.map_or(0, <[u8]>::len)).sum::<usize>()
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            (0..lists.len()).map(|row| 4 * lists.value(row).len()).sum()
        }
        other => other.primitive_width().unwrap_or(1) * array.len(),
    }
}

/// First microsecond and day of year 1, and the last ones of year 9999.
const PLAIN_MICROS: (i64, i64) = (-62_135_596_800_000_000, 253_402_300_799_999_999);
const PLAIN_DAYS: (i32, i32) = (-719_162, 2_932_896);

/// Whether the values have a text that every client reads alike: years of four digits.
fn has_plain_text(array: &ArrayRef) -> bool {
    match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            min(days).is_none_or(|v| v >= PLAIN_DAYS.0)
                && max(days).is_none_or(|v| v <= PLAIN_DAYS.1)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>();
            min(micros).is_none_or(|v| v >= PLAIN_MICROS.0)
                && max(micros).is_none_or(|v| v <= PLAIN_MICROS.1)
        }
        _ => true,
    }
}
