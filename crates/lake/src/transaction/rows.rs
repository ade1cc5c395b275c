//! Staged rows: INSERT, DELETE, UPDATE, MERGE, TRUNCATE.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::{cast, filter, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, Int8Type, Int32Type, Int64Type};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::execute_stream;
use frazil_catalog::changes::InlinedRow;
use frazil_catalog::files::InlinedPart;
use frazil_catalog::{TableInfo, TableKind};
use frazil_common::{Code, UserError};
use futures::StreamExt;

use super::LakeTransaction;
use crate::error::{LakeError, Result};
use crate::partition::Partitioner;
use crate::version::{FileKey, RowChunk, StagedChunk, TableVersion};
use crate::write::schema::SystemColumns;
use crate::write::sink::{RowSink, Written};
use crate::write::sorted;

/// What a DELETE did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeleteOutcome {
    pub rows: u64,
    /// Rows that came more than once (joined with several source rows).
    pub duplicates: u64,
}

/// What an UPDATE did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpdateOutcome {
    pub updated: u64,
    /// Rows that joined with more than one source row; the first was taken.
    pub multi_joined: u64,
}

/// What a MERGE did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MergeOutcome {
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
}

/// What becomes of a row for which a MERGE has several updates, or an update and a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeveralActions {
    Error,
    /// The first that comes is carried out.
    First,
}

const ACTION_UPDATE: i8 = 1;
const ACTION_DELETE: i8 = 2;
const ACTION_INSERT: i8 = 3;

/// A row's place: its file's place in the version and its position.
type Place = (i32, i64);

/// The identity columns of a batch.
struct Identity {
    files: datafusion::arrow::array::Int32Array,
    positions: Int64Array,
    row_ids: Int64Array,
}

impl Identity {
    fn read(batch: &RecordBatch, first: usize) -> Result<Identity> {
        let column = |offset: usize, data_type: DataType| -> Result<_> {
            if batch.num_columns() <= first + offset {
                return Err(LakeError::Damaged("identity columns are missing".into()));
            }
            Ok(cast(batch.column(first + offset), &data_type)?)
        };
        Ok(Identity {
            files: column(0, DataType::Int32)?.as_primitive::<Int32Type>().clone(),
            positions: column(1, DataType::Int64)?.as_primitive::<Int64Type>().clone(),
            row_ids: column(2, DataType::Int64)?.as_primitive::<Int64Type>().clone(),
        })
    }

    fn place(&self, row: usize) -> Result<Place> {
        if self.files.is_null(row) || self.positions.is_null(row) {
            return Err(LakeError::Damaged("a row without a place was to be changed".into()));
        }
        Ok((self.files.value(row), self.positions.value(row)))
    }
}

/// Where a statement's rows go.
#[derive(Default)]
struct Writers {
    /// Rows that keep their ids.
    moved: Option<RowSink>,
    /// Rows that get new ids.
    fresh: Option<RowSink>,
}

/// A transaction holds so many times the rows of one statement in memory before they go to files.
const STAGED_STATEMENTS_MAX: usize = 16;

impl LakeTransaction {
    fn sink(&self, table: &Arc<TableInfo>, row_ids: bool) -> Result<RowSink> {
        // Rows for the catalog go to files at some time too.
        Partitioner::of(table)?;
        let (store, mut settings) = (self.lake.store().clone(), self.lake.settings().clone());
        if self.lake.takes_no_inlined(table.table_id) {
            settings.inlined_rows_max = 0;
        }
        let runtime = self.lake.runtime();
        Ok(RowSink::new(store, settings, Arc::clone(table), row_ids, runtime))
    }

    fn check_target(&self, table: &Arc<TableInfo>) -> Result<()> {
        if !self.view.tables().any(|t| t.table_id == table.table_id) {
            return Err(LakeError::User(UserError::not_found("Table", &table.name)));
        }
        // Rows of two definitions do not go together; the commit would be refused for it.
        let earlier = self.rows.get(&table.table_id).map(|staged| staged.table.defined_at);
        match earlier {
            Some(earlier) if earlier != table.defined_at && earlier != 0 => {
                Err(LakeError::Conflict {
                    object: table.name.to_string(),
                    reason: "the table was altered".to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Adds rows; the stream has the visible columns in table order. Gives their number.
    pub async fn append(
        &mut self,
        table: &Arc<TableInfo>,
        rows: SendableRecordBatchStream,
    ) -> Result<u64> {
        self.check_target(table)?;
        self.spill_chunks(table).await?;
        let partitioner = Partitioner::of(table)?;
        let mut rows = sorted::stream(table, partitioner.as_ref(), rows, self.lake.runtime())?;
        let mut writer = self.sink(table, false)?.in_order();
        let mut count = 0_u64;
        while let Some(batch) = rows.next().await {
            let written = match batch {
                Ok(batch) => {
                    count += batch.num_rows() as u64;
                    writer.write(&batch, None).await
                }
                Err(error) => Err(LakeError::from(error)),
            };
            if let Err(error) = written {
                writer.abort().await;
                return Err(error);
            }
        }
        let written = Writers { moved: None, fresh: Some(writer) }.finish().await?;
        self.stage_written(table, written)?;
        Ok(count)
    }

    /// Whether a column of a table has NULLs, as this transaction sees its rows. The future reads the
    /// column and may be awaited anywhere.
    ///
    /// # Errors
    /// There is no such column, or the rows cannot be read.
    pub async fn nulls(
        &self,
        table: &Arc<TableInfo>,
        column: &str,
    ) -> Result<impl Future<Output = Result<bool>> + Send + 'static + use<>> {
        let place = table.columns.iter().position(|own| own.name == column);
        let place = place.ok_or_else(|| UserError::not_found("Column", column))?;
        let version = self.table_version(table).await?;
        let provider = self.scan(&version);
        Ok(async move {
            let context = SessionContext::new();
            let plan = provider.scan(&context.state(), Some(&vec![place]), &[], None).await?;
            let mut rows = execute_stream(plan, context.task_ctx())?;
            while let Some(batch) = rows.next().await {
                let batch = batch?;
                if batch.columns().first().is_some_and(|values| values.null_count() > 0) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Deletes rows; the stream has the three identity columns of `version`.
    pub async fn delete(
        &mut self,
        version: &TableVersion,
        mut rows: SendableRecordBatchStream,
    ) -> Result<DeleteOutcome> {
        self.check_target(&version.table)?;
        let mut places: Vec<Place> = Vec::new();
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(LakeError::from)?;
            let identity = Identity::read(&batch, 0)?;
            places.reserve(batch.num_rows());
            for row in 0..batch.num_rows() {
                places.push(identity.place(row)?);
            }
        }
        // Rows come nearly in their order, so sorting them costs less than hashing each.
        let found = places.len();
        places.sort_unstable();
        places.dedup();
        let outcome =
            DeleteOutcome { rows: places.len() as u64, duplicates: (found - places.len()) as u64 };
        self.stage_deletes(version, places.into_iter())?;
        Ok(outcome)
    }

    /// Replaces rows; the stream has the identity columns of `version`, then all new values in
    /// table order. Rows keep their ids.
    pub async fn update(
        &mut self,
        version: &TableVersion,
        mut rows: SendableRecordBatchStream,
    ) -> Result<UpdateOutcome> {
        self.check_target(&version.table)?;
        // The value counts how often the row came.
        let mut seen: HashMap<Place, u32> = HashMap::new();
        let mut outcome = UpdateOutcome::default();
        let mut writers = Writers::default();
        while let Some(batch) = rows.next().await {
            let work = async {
                let batch = batch.map_err(LakeError::from)?;
                let identity = Identity::read(&batch, 0)?;
                let mut keep = Vec::with_capacity(batch.num_rows());
                for row in 0..batch.num_rows() {
                    let times = seen.entry(identity.place(row)?).or_default();
                    *times += 1;
                    keep.push(*times == 1);
                    outcome.updated += u64::from(*times == 1);
                    outcome.multi_joined += u64::from(*times == 2);
                }
                self.write_moved(&mut writers, version, &batch, 3, &identity, &keep).await
            };
            if let Err(error) = work.await {
                writers.abort().await;
                return Err(error);
            }
        }
        let written = writers.finish().await?;
        // First the deletes: they name chunks as this statement saw them.
        self.stage_deletes(version, seen.into_keys())?;
        self.stage_written(&version.table, written)?;
        Ok(outcome)
    }

    /// Applies a MERGE; the stream has the action (1 update, 2 delete, 3 insert), the
    /// identity columns of `version`, then all new values in table order. A row that several
    /// actions are for is an error, or has the first of them.
    pub async fn merge(
        &mut self,
        version: &TableVersion,
        mut rows: SendableRecordBatchStream,
        several: SeveralActions,
    ) -> Result<MergeOutcome> {
        self.check_target(&version.table)?;
        let mut seen: HashMap<Place, i8> = HashMap::new();
        let mut outcome = MergeOutcome::default();
        let mut writers = Writers::default();
        while let Some(batch) = rows.next().await {
            let work = async {
                let batch = batch.map_err(LakeError::from)?;
                let actions = cast(batch.column(0), &DataType::Int8)?;
                let actions = actions.as_primitive::<Int8Type>();
                let identity = Identity::read(&batch, 1)?;
                let mut inserts = vec![false; batch.num_rows()];
                let mut updates = vec![false; batch.num_rows()];
                for row in 0..batch.num_rows() {
                    match actions.value(row) {
                        ACTION_INSERT => {
                            inserts[row] = true;
                            outcome.inserted += 1;
                        }
                        action @ (ACTION_UPDATE | ACTION_DELETE) => {
                            match seen.entry(identity.place(row)?) {
                                Entry::Vacant(first) => {
                                    first.insert(action);
                                    if action == ACTION_UPDATE {
                                        updates[row] = true;
                                        outcome.updated += 1;
                                    } else {
                                        outcome.deleted += 1;
                                    }
                                }
                                // Deleting a row twice gives one result, all else several.
                                Entry::Occupied(first)
                                    if *first.get() == ACTION_DELETE && action == ACTION_DELETE => {
                                }
                                Entry::Occupied(_) if several == SeveralActions::First => {}
                                Entry::Occupied(_) => return Err(duplicate_row(&batch, row)),
                            }
                        }
                        other => {
                            return Err(LakeError::Damaged(format!("MERGE action {other}")));
                        }
                    }
                }
                if inserts.contains(&true) {
                    let values = values_of(&batch, 4, &version.table)?;
                    let chosen = filter_record_batch(&values, &BooleanArray::from(inserts))?;
                    writers.fresh(self, &version.table)?.write(&chosen, None).await?;
                }
                self.write_moved(&mut writers, version, &batch, 4, &identity, &updates).await
            };
            if let Err(error) = work.await {
                writers.abort().await;
                return Err(error);
            }
        }
        let written = writers.finish().await?;
        // First the deletes: they name chunks as this statement saw them.
        self.stage_deletes(version, seen.into_keys())?;
        self.stage_written(&version.table, written)?;
        Ok(outcome)
    }

    /// Deletes all rows; gives their number.
    pub async fn truncate(&mut self, table: &Arc<TableInfo>) -> Result<u64> {
        self.check_target(table)?;
        let version = self.table_version(table).await?;
        let count = version.row_count();
        self.forget_loads(table);
        let base = self.base.snapshot;
        self.claim_now(table.table_id);
        let staged = self.staged(table);
        staged.base = Some(staged.base.map_or(base, |b| b.min(base)));
        let added: Vec<FileKey> = staged.added.iter().map(|f| f.key).collect();
        staged.added.clear();
        staged.chunks.clear();
        for file in &version.files {
            staged.deletes.remove(&file.key);
            if !added.contains(&file.key) {
                staged.ended.insert(file.key);
            }
        }
        for chunk in &version.chunks {
            let RowChunk::Committed(part) = chunk else { continue };
            for position in 0..part.batch.row_ids.len() as i64 {
                if part.deleted.binary_search(&position).is_err() {
                    staged.inlined.insert(inlined_row(part, position)?);
                }
            }
        }
        Ok(count)
    }

    /// Writes changed rows of a batch; rows this transaction added itself get ids at commit.
    async fn write_moved(
        &self,
        writers: &mut Writers,
        version: &TableVersion,
        batch: &RecordBatch,
        first_value: usize,
        identity: &Identity,
        keep: &[bool],
    ) -> Result<()> {
        if !keep.contains(&true) {
            return Ok(());
        }
        let own = self.rows.get(&version.table.table_id);
        let is_fresh = |row: usize| {
            let file = usize::try_from(identity.files.value(row)).unwrap_or(usize::MAX);
            let Some(file) = version.files.get(file) else {
                let chunk = version.chunks.get(file - version.files.len());
                return chunk.is_some_and(|chunk| chunk.row_ids().is_none());
            };
            !file.keeps_row_ids
                && own.is_some_and(|staged| staged.added.iter().any(|f| f.key == file.key))
        };
        let mut fresh = vec![false; keep.len()];
        let mut moved = vec![false; keep.len()];
        for (row, keep) in keep.iter().enumerate() {
            if *keep {
                let target = if is_fresh(row) { &mut fresh } else { &mut moved };
                target[row] = true;
            }
        }
        let values = values_of(batch, first_value, &version.table)?;
        if fresh.contains(&true) {
            let chosen = filter_record_batch(&values, &BooleanArray::from(fresh))?;
            writers.fresh(self, &version.table)?.write(&chosen, None).await?;
        }
        if moved.contains(&true) {
            let mask = BooleanArray::from(moved);
            let chosen = filter_record_batch(&values, &mask)?;
            let ids = filter(&identity.row_ids, &mask)?;
            let writer = writers.moved(self, &version.table)?;
            writer.write(&chosen, Some(ids.as_primitive::<Int64Type>())).await?;
        }
        Ok(())
    }

    fn stage_written(&mut self, table: &Arc<TableInfo>, written: Vec<Written>) -> Result<()> {
        for written in written {
            self.written.extend(written.files.iter().map(|f| f.path.clone()));
            if let Some(unclaimed) = written.unclaimed {
                unclaimed.claim();
            }
            if !written.files.is_empty() {
                self.staged(table).added.extend(written.files);
            }
            if let Some(chunk) = written.chunk {
                let chunks = &mut self.staged(table).chunks;
                chunks.push(chunk);
                merge_last(chunks)?;
            }
        }
        Ok(())
    }

    /// Writes new rows that were staged in memory to files when they have become many.
    async fn spill_chunks(&mut self, table: &Arc<TableInfo>) -> Result<()> {
        let most = self.lake.settings().inlined_rows_max.saturating_mul(STAGED_STATEMENTS_MAX);
        let Some(staged) = self.rows.get(&table.table_id) else { return Ok(()) };
        let fresh: Vec<&StagedChunk> =
            staged.chunks.iter().filter(|chunk| chunk.row_ids.is_none()).collect();
        if fresh.iter().map(|chunk| chunk.rows.num_rows()).sum::<usize>() < most {
            return Ok(());
        }
        let settings = self.lake.settings().clone();
        let mut writer = crate::write::TableWriter::new(
            self.lake.store().clone(),
            settings,
            Arc::clone(table),
            table.path.clone(),
            SystemColumns::None,
        )?;
        for chunk in fresh {
            if let Err(error) = writer.write(&chunk.live()?.0, &[]).await {
                writer.abort().await;
                return Err(error);
            }
        }
        let files = writer.finish().await?;
        self.written.extend(files.iter().map(|f| f.path.clone()));
        let staged = self.staged(table);
        staged.chunks.retain(|chunk| chunk.row_ids.is_some());
        staged.added.extend(files);
        Ok(())
    }

    fn stage_deletes(
        &mut self,
        version: &TableVersion,
        places: impl Iterator<Item = Place>,
    ) -> Result<()> {
        let mut by_file: HashMap<usize, Vec<i64>> = HashMap::new();
        for (file, position) in places {
            by_file.entry(usize::try_from(file).unwrap_or(usize::MAX)).or_default().push(position);
        }
        if by_file.is_empty() {
            return Ok(());
        }
        let temporary = version.table.kind == TableKind::Temporary;
        self.claim_now(version.table.table_id);
        let staged = self.staged(&version.table);
        if !temporary {
            staged.base = Some(staged.base.map_or(version.snapshot, |b| b.min(version.snapshot)));
        }
        for (index, positions) in by_file {
            let Some(file) = version.files.get(index) else {
                let chunk = index.checked_sub(version.files.len());
                let chunk = chunk.and_then(|i| version.chunks.get(i)).ok_or_else(|| {
                    LakeError::Damaged(format!("file {index} is not in the table version"))
                })?;
                staged.delete_from(chunk, positions)?;
                continue;
            };
            // Made as a whole, a set is built from sorted rows at once.
            let mut deleted: BTreeSet<i64> = positions.into_iter().collect();
            staged.deletes.entry(file.key).or_default().append(&mut deleted);
            let gone = staged.deletes.get(&file.key).map_or(0, |d| d.len());
            let before = file.deleted.len();
            // `deleted` may hold this transaction's earlier deletes too, so this is a lower bound
            // of the rows left only when nothing was deleted before.
            if (before == 0 && gone as u64 == file.rows) || file.rows == 0 {
                staged.deletes.remove(&file.key);
                if let Some(at) = staged.added.iter().position(|f| f.key == file.key) {
                    staged.added.remove(at);
                } else {
                    staged.ended.insert(file.key);
                }
            }
        }
        Ok(())
    }
}

impl super::StagedRows {
    /// Deletes rows of a chunk.
    fn delete_from(&mut self, chunk: &RowChunk, positions: Vec<i64>) -> Result<()> {
        match chunk {
            RowChunk::Committed(part) => {
                for position in positions {
                    self.inlined.insert(inlined_row(part, position)?);
                }
            }
            RowChunk::Staged(chunk) => {
                let at = self.chunks.iter().position(|own| own.key == chunk.key);
                let own = at.and_then(|at| self.chunks.get_mut(at)).ok_or_else(|| {
                    LakeError::Damaged("staged rows are not in the transaction".into())
                })?;
                let mut positions = positions;
                positions.sort_unstable();
                own.deleted = crate::union(&own.deleted, &Arc::new(positions));
                self.chunks.retain(|own| own.deleted.len() < own.rows.num_rows());
            }
        }
        Ok(())
    }
}

fn inlined_row(part: &InlinedPart, position: i64) -> Result<InlinedRow> {
    let batch = &part.batch;
    let at = usize::try_from(position).ok();
    let found = at.and_then(|at| Some((*batch.row_ids.get(at)?, *batch.begins.get(at)?)));
    let (row_id, begin) =
        found.ok_or_else(|| LakeError::Damaged("an inlined row is not in the version".into()))?;
    Ok(InlinedRow { table: batch.table.name.clone(), row_id, begin })
}

/// Chunks of like size become one, so that many statements leave few.
fn merge_last(chunks: &mut Vec<StagedChunk>) -> Result<()> {
    while let [.., left, right] = chunks.as_slice() {
        let alike = left.row_ids.is_some() == right.row_ids.is_some()
            && left.rows.num_rows() < 2 * right.rows.num_rows();
        if !alike {
            break;
        }
        let merged = StagedChunk::concat(&[left, right])?;
        chunks.truncate(chunks.len() - 2);
        chunks.push(merged);
    }
    Ok(())
}

impl Writers {
    fn fresh(
        &mut self,
        transaction: &LakeTransaction,
        table: &Arc<TableInfo>,
    ) -> Result<&mut RowSink> {
        open(&mut self.fresh, || transaction.sink(table, false))
    }

    fn moved(
        &mut self,
        transaction: &LakeTransaction,
        table: &Arc<TableInfo>,
    ) -> Result<&mut RowSink> {
        open(&mut self.moved, || transaction.sink(table, true))
    }

    async fn finish(self) -> Result<Vec<Written>> {
        let mut written = Vec::new();
        for sink in [self.moved, self.fresh].into_iter().flatten() {
            written.push(sink.finish().await?);
        }
        Ok(written)
    }

    async fn abort(self) {
        for sink in [self.moved, self.fresh].into_iter().flatten() {
            sink.abort().await;
        }
    }
}

fn open(
    sink: &mut Option<RowSink>,
    make: impl FnOnce() -> Result<RowSink>,
) -> Result<&mut RowSink> {
    Ok(match sink {
        Some(sink) => sink,
        none => none.insert(make()?),
    })
}

fn values_of(batch: &RecordBatch, first: usize, table: &TableInfo) -> Result<RecordBatch> {
    let wanted = first + table.columns.len();
    if batch.num_columns() != wanted {
        return Err(LakeError::Damaged(format!(
            "{} columns where {wanted} were expected for {}",
            batch.num_columns(),
            table.name
        )));
    }
    Ok(batch.project(&(first..wanted).collect::<Vec<_>>())?)
}

fn duplicate_row(batch: &RecordBatch, row: usize) -> LakeError {
    let shown: Vec<String> = batch
        .columns()
        .iter()
        .skip(4)
        .map(|column| {
            datafusion::arrow::util::display::array_value_to_string(column, row).unwrap_or_default()
        })
        .collect();
    LakeError::User(UserError::new(
        Code::DuplicateRowInDml,
        format!("Duplicate row detected during DML action\nRow Values: [{}]", shown.join(", ")),
    ))
}
