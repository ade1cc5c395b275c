//! Writes rows to new files with their ids, the snapshots they began at and those they ended at.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionConfig;
use frazil_catalog::changes::{NewDataFile, NewDeleteFile, RelocatedFile, Relocation};
use frazil_catalog::files::{InlinedHistory, InlinedPart, VisibleFile};
use frazil_catalog::{
    CatalogError, ColumnInfo, CommitMeta, CommitRequest, FilePartition, TableInfo,
};
use frazil_common::SnapshotId;
use futures::StreamExt;
use object_store::path::Path;

use crate::Lake;
use crate::claims::Moving;
use crate::error::{LakeError, Result};
use crate::partition::Partitioner;
use crate::scan::{HIDDEN_COLUMNS, LakeTable, ROW_ID};
use crate::unclaimed::Unclaimed;
use crate::version::{DataFile, RowChunk, TableVersion};
use crate::write::schema::{SystemColumns, is_system_name};
use crate::write::{Parts, TableWriter, delete_file, sorted};

/// Rows that one relocation moves at most: what is kept of each in memory is small.
pub(super) const ROWS_MAX: u64 = 4_000_000;

/// Files of more rows than this are not written anew on their own.
const FILE_ROWS_MAX: u64 = 16_000_000;

/// A file is worn when one of so many parts of its rows is gone for good.
const WORN_FILE_PARTS: u64 = 5;

/// Columns of described rows.
const BEGIN: &str = "\0BEGIN_SNAPSHOT";
const END: &str = "\0END_SNAPSHOT";

/// When the rows of a source began.
enum Begins {
    Same(SnapshotId),
    Each(Vec<SnapshotId>),
}

impl Begins {
    fn of(&self, position: i64) -> Option<SnapshotId> {
        match self {
            Begins::Same(at) => Some(*at),
            Begins::Each(all) => usize::try_from(position).ok().and_then(|at| all.get(at).copied()),
        }
    }
}

/// Whether one of some snapshots, ascending, shows a row that lived from `begin` to before `end`.
fn shows(snapshots: &[SnapshotId], begin: SnapshotId, end: SnapshotId) -> bool {
    let first = snapshots.partition_point(|at| *at < begin);
    snapshots.get(first).is_some_and(|at| *at < end)
}

fn is_worn(gone: u64, rows: u64) -> bool {
    gone > 0 && gone.saturating_mul(WORN_FILE_PARTS) >= rows
}

/// Rows to move that lie in one place.
struct Source {
    /// The table with the columns these rows are stored with.
    table: Arc<TableInfo>,
    file: Option<(i64, DataFile)>,
    chunk: Option<RowChunk>,
    begins: Begins,
    /// Snapshot at which rows ended, by position.
    ends: HashMap<i64, SnapshotId>,
    /// Rows of a file stay in its partition.
    parts: Parts,
}

impl Source {
    /// Whether rows of both may lie in one file: it has one set of columns and one partition.
    fn goes_with(&self, other: &Source) -> bool {
        self.table.columns == other.table.columns
            && match (&self.parts, &other.parts) {
                (Parts::Within(own), Parts::Within(other)) => own == other,
                (Parts::By(_), Parts::By(_)) => true,
                _ => false,
            }
    }
}

/// What a relocation moves.
#[derive(Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Names of the inlined tables.
    pub fn inlined_tables(&self) -> Vec<String> {
        let names = self.0.iter().filter_map(|source| match &source.chunk {
            Some(RowChunk::Committed(part)) => Some(part.batch.table.name.clone()),
            _ => None,
        });
        names.collect()
    }

    /// Ids of the data files.
    pub fn files(&self) -> Vec<i64> {
        self.0.iter().filter_map(|source| source.file.as_ref().map(|(id, _)| *id)).collect()
    }
}

/// A table with the columns that rows of some snapshot are stored with.
fn stored_as(table: &TableInfo, columns: Vec<ColumnInfo>) -> Arc<TableInfo> {
    Arc::new(TableInfo { columns, ..table.clone() })
}

/// The rows in a table's inlined tables.
pub fn inlined_sources(table: &TableInfo, history: Vec<InlinedHistory>) -> Result<Sources> {
    let sources = history.into_iter().map(|history| {
        let ends = history.ends.iter().enumerate();
        let stored = &history.batch.table.columns;
        let partitioner = Partitioner::of_stored(table, stored)?;
        Ok(Source {
            parts: partitioner.map_or(Parts::Within(None), Parts::By),
            table: stored_as(table, stored.clone()),
            file: None,
            begins: Begins::Each(history.batch.begins.clone()),
            ends: ends.filter_map(|(at, end)| Some((at as i64, (*end)?))).collect(),
            chunk: Some(RowChunk::Committed(InlinedPart {
                batch: Arc::new(history.batch),
                deleted: Arc::default(),
            })),
        })
    });
    Ok(Sources(sources.collect::<Result<_>>()?))
}

/// What becomes of the places rows are moved from.
pub struct Work<'a> {
    /// The newest snapshot whose rows are moved.
    pub base: SnapshotId,
    /// Inlined tables to empty.
    pub flushed: Vec<String>,
    /// Data files to take out.
    pub replaced: Vec<i64>,
    /// Where it is settled already that no open transaction changes rows of the table; else this gives way
    /// to those that do.
    pub moving: Option<Moving<'a>>,
}

/// Rows that follow each other with ids in sequence and one begin.
struct Run {
    /// Place of the first row in the whole.
    first: usize,
    rows: usize,
    row_id: i64,
    begin: SnapshotId,
}

/// Facts of the rows written so far, in order.
#[derive(Default)]
struct Moved {
    rows: usize,
    runs: Vec<Run>,
    /// Rows that ended, by place in the whole.
    ends: Vec<(usize, SnapshotId)>,
    /// They come from the catalog database.
    inlined: bool,
}

/// Files by partition, in the order these come.
pub(super) fn by_partition(files: &[VisibleFile]) -> Vec<Vec<&VisibleFile>> {
    let mut places: HashMap<&Option<Arc<FilePartition>>, usize> = HashMap::new();
    let mut groups: Vec<Vec<&VisibleFile>> = Vec::new();
    for visible in files {
        let place = *places.entry(&visible.file.partition).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(visible),
            None => groups.push(vec![visible]),
        }
    }
    groups
}

impl Lake {
    /// A table's small files, where there are enough of one partition to merge.
    pub(super) async fn small_files(
        &self,
        table: &Arc<TableInfo>,
        snapshot: SnapshotId,
        files_min: usize,
    ) -> Result<Option<Sources>> {
        let settings = self.settings();
        let set = self.catalog().files(table.table_id, snapshot).await?;
        let bytes = |visible: &VisibleFile| u64::try_from(visible.file.bytes).unwrap_or(0);
        let mut rows = 0_u64;
        let mut small: Vec<&VisibleFile> = Vec::new();
        for files in by_partition(&set.files) {
            let mut total = 0_u64;
            let mut own: Vec<&VisibleFile> = Vec::new();
            let mut own_rows = 0_u64;
            for visible in files {
                let count = u64::try_from(visible.file.rows).unwrap_or(0);
                let fits = bytes(visible) < settings.small_file_bytes
                    && total + bytes(visible) <= settings.target_file_bytes
                    && rows + own_rows + count <= ROWS_MAX;
                if fits {
                    total += bytes(visible);
                    own_rows += count;
                    own.push(visible);
                }
            }
            if own.len() >= files_min.max(2) {
                rows += own_rows;
                small.append(&mut own);
            }
        }
        if small.is_empty() {
            return Ok(None);
        }
        self.sources_of(table, &small, snapshot).await.map(Some)
    }

    /// All rows of some files.
    pub(super) async fn sources_of(
        &self,
        table: &Arc<TableInfo>,
        files: &[&VisibleFile],
        snapshot: SnapshotId,
    ) -> Result<Sources> {
        let deletes = |visible: &&VisibleFile| {
            visible.delete_file.is_some() || !visible.inlined_deletes.is_empty()
        };
        // Where no row was deleted none is gone.
        let whole = match files.iter().any(deletes) {
            true => self.catalog().whole_snapshots(table.table_id).await?,
            false => Vec::new(),
        };
        let mut sources = Vec::with_capacity(files.len());
        for visible in files {
            sources.push(self.file_source(table, visible, snapshot, &whole).await?);
        }
        Ok(Sources(sources))
    }

    /// Files of which so many rows are deleted that writing the others anew may pay.
    pub(super) async fn worn_files(
        &self,
        table: &Arc<TableInfo>,
        snapshot: SnapshotId,
    ) -> Result<Vec<VisibleFile>> {
        let set = self.catalog().files(table.table_id, snapshot).await?;
        let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
        let worn = |visible: &VisibleFile| {
            let deleted = visible.delete_file.as_ref().map_or(0, |entry| unsigned(entry.rows))
                + visible.inlined_deletes.len() as u64;
            let rows = unsigned(visible.file.rows);
            rows <= FILE_ROWS_MAX && is_worn(deleted, rows)
        };
        Ok(set.files.iter().filter(|visible| worn(visible)).cloned().collect())
    }

    /// The rows of a worn file, where enough of the deleted ones are shown by no snapshot any more.
    pub(super) async fn worn_source(
        &self,
        table: &Arc<TableInfo>,
        visible: &VisibleFile,
        snapshot: SnapshotId,
        whole: &[SnapshotId],
    ) -> Result<Option<Sources>> {
        let file = &visible.file;
        let history = self.catalog().delete_history(table.table_id, file.file_id, snapshot).await?;
        let ends = history.delete_files.iter().map(|(at, _)| *at);
        let first_end = ends.chain(history.inlined.iter().map(|(_, at)| *at)).min();
        // Nothing need be read where a snapshot shows the file as it was before any delete.
        let untouched = |end| shows(whole, file.begin_snapshot, end);
        if file.partial_max.is_none() && first_end.is_none_or(untouched) {
            return Ok(None);
        }
        let source = self.file_source(table, visible, snapshot, whole).await?;
        let worn = source
            .file
            .as_ref()
            .is_some_and(|(_, file)| is_worn(file.deleted.len() as u64, file.rows));
        Ok(worn.then(|| Sources(vec![source])))
    }

    /// The rows of a file that a snapshot may show; `whole` are the snapshots that there are.
    async fn file_source(
        &self,
        table: &Arc<TableInfo>,
        visible: &VisibleFile,
        snapshot: SnapshotId,
        whole: &[SnapshotId],
    ) -> Result<Source> {
        let id = visible.file.file_id;
        let columns =
            self.catalog().stored_columns(table.table_id, visible.file.begin_snapshot).await?;
        let mut file = self.data_file(table, visible, snapshot).await?;
        let begins = match visible.file.partial_max {
            None => Begins::Same(visible.file.begin_snapshot),
            Some(_) => Begins::Each(
                delete_file::row_snapshots(self.store(), &file.path)
                    .await
                    .map_err(|error| error.of_file(table, file.described()))?,
            ),
        };
        let history = self.catalog().delete_history(table.table_id, id, snapshot).await?;
        let mut ends: HashMap<i64, SnapshotId> = HashMap::new();
        let mut end = |position: i64, at: SnapshotId| {
            if at <= snapshot {
                let first = ends.entry(position).or_insert(at);
                *first = at.min(*first);
            }
        };
        for (begin, entry) in &history.delete_files {
            for (position, at) in self.deleted_rows(table, entry).await?.rows() {
                end(position, at.unwrap_or(*begin));
            }
        }
        for (position, at) in history.inlined {
            end(position, at);
        }
        let mut gone: Vec<i64> = ends
            .iter()
            .filter(|(position, end)| {
                !begins.of(**position).is_some_and(|begin| shows(whole, begin, **end))
            })
            .map(|(position, _)| *position)
            .collect();
        gone.sort_unstable();
        for position in &gone {
            ends.remove(position);
        }
        file.deleted = Arc::new(gone);
        Ok(Source {
            table: stored_as(table, columns),
            parts: Parts::Within(visible.file.partition.clone()),
            file: Some((id, file)),
            chunk: None,
            begins,
            ends,
        })
    }

    /// Moves all rows of the sources into new files and commits that. False for no rows.
    pub(super) async fn relocate(
        &self,
        table: &Arc<TableInfo>,
        sources: Sources,
        work: Work<'_>,
    ) -> Result<bool> {
        let Work { base, flushed, replaced, moving } = work;
        let foreign = |column: &ColumnInfo| !column.is_written() || is_system_name(&column.name);
        let has_foreign = |table: &Arc<TableInfo>| table.columns.iter().any(foreign);
        if has_foreign(table) || sources.0.iter().any(|source| has_foreign(&source.table)) {
            // Another client's types and names: its own upkeep can move them.
            return Ok(false);
        }
        let mut written = Unclaimed::new(self.store(), Vec::new());
        let mut paths: Vec<Path> = Vec::new();
        let mut in_doubt = false;
        let work = async {
            let mut added = Vec::new();
            let mut rest = sources.0;
            while let Some(first) = rest.pop() {
                let (mut alike, other): (Vec<_>, Vec<_>) =
                    rest.into_iter().partition(|source| source.goes_with(&first));
                alike.push(first);
                rest = other;
                added.extend(self.write_moved(alike, &mut written).await?);
            }
            if added.is_empty() && replaced.is_empty() {
                return Ok(false);
            }
            // Until the commit is there: whoever comes to change rows reads it then.
            let moving = moving.or_else(|| self.claims().begin_move(table.table_id));
            let Some(_moving) = moving else {
                return Err(LakeError::Conflict {
                    object: table.name.to_string(),
                    reason: "an open transaction changes its rows".to_string(),
                });
            };
            let relocation = Relocation {
                table_id: table.table_id,
                table_name: table.name.to_string(),
                base,
                added,
                flushed,
                replaced,
            };
            let request = CommitRequest {
                base,
                relocations: vec![relocation],
                meta: CommitMeta {
                    message: Some("upkeep: rows moved, none changed".to_string()),
                    ..CommitMeta::default()
                },
                ..CommitRequest::default()
            };
            // Broken off in the commit, they stay: a snapshot may name them.
            paths = written.take();
            if let Err(error) = self.catalog().commit(request).await {
                in_doubt = matches!(error, CatalogError::Database(_));
                return Err(error.into());
            }
            Ok(true)
        };
        let outcome: Result<bool> = work.await;
        // A database that fails may have failed after it was done: clean-up finds the files if
        // nothing names them.
        if outcome.is_err() && !in_doubt {
            paths.extend(written.take());
            self.store().remove(&paths).await;
        }
        outcome
    }

    async fn write_moved(
        &self,
        sources: Vec<Source>,
        written: &mut Unclaimed,
    ) -> Result<Vec<RelocatedFile>> {
        let Some(Source { table, parts, .. }) = sources.first() else { return Ok(Vec::new()) };
        let (table, parts) = (Arc::clone(table), parts.clone());
        let mut writer = TableWriter::with_parts(
            self.store().clone(),
            self.settings().clone(),
            Arc::clone(&table),
            table.path.clone(),
            SystemColumns::RowIdsAndSnapshots,
            parts.clone(),
        )?
        .in_order();
        let inlined = sources.iter().all(|source| source.chunk.is_some());
        let mut moved = Moved { inlined, ..Moved::default() };
        let mut streams = Vec::with_capacity(sources.len());
        for source in sources {
            streams.push(self.described_rows(source).await?);
        }
        let Some(schema) = streams.first().map(|rows| rows.schema()) else { return Ok(Vec::new()) };
        let rows = futures::stream::iter(streams).flatten();
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
        let rows = sorted::stream(&table, parts.partitioner(), rows, self.runtime())?;
        if let Err(error) = moved.write(rows, table.columns.len(), &mut writer).await {
            writer.abort().await;
            return Err(error);
        }
        let files = writer.finish().await?;
        files.iter().for_each(|file| written.push(file.path.clone()));
        let mut added = Vec::with_capacity(files.len());
        let mut first = 0_usize;
        for file in files {
            let rows = usize::try_from(file.rows).unwrap_or(usize::MAX);
            let deleted = self.write_deleted(&table, &file, first, &moved, written).await?;
            added.push(moved.describe(file, first, rows, deleted)?);
            first += rows;
        }
        Ok(added)
    }

    /// All rows of a source: the visible columns, the row's id, the snapshot it began at, and the
    /// one it ended at.
    async fn described_rows(&self, source: Source) -> Result<SendableRecordBatchStream> {
        let visible = source.table.columns.len();
        let Source { table, file, chunk, begins, ends, .. } = source;
        let version = Arc::new(TableVersion {
            table,
            snapshot: 0,
            files: file.into_iter().map(|(_, file)| file).collect(),
            chunks: chunk.into_iter().collect(),
        });
        // One partition: rows stay in their order.
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config(config);
        let provider = LakeTable::new(self.store().clone(), version);
        let mut fields: Vec<_> = provider.schema().fields().iter().take(visible).cloned().collect();
        for (name, nullable) in [(ROW_ID, false), (BEGIN, false), (END, true)] {
            fields.push(Arc::new(Field::new(name, DataType::Int64, nullable)));
        }
        let schema = Arc::new(Schema::new(fields));
        let plan = provider.scan(&context.state(), None, &[], None).await?;
        let shape = Arc::clone(&schema);
        let rows = execute_stream(plan, context.task_ctx())?.map(move |batch| {
            let batch = batch?;
            if batch.num_columns() != visible + HIDDEN_COLUMNS {
                return Err(LakeError::Damaged("columns are missing from a scan".into()).into());
            }
            let positions = batch.column(visible + 1).as_primitive::<Int64Type>();
            let began: Int64Array = positions
                .values()
                .iter()
                .map(|position| {
                    let lost = || LakeError::Damaged("a row without a snapshot".into());
                    begins.of(*position).ok_or_else(lost)
                })
                .collect::<Result<Vec<_>>>()?
                .into();
            let ended: Int64Array =
                positions.values().iter().map(|position| ends.get(position).copied()).collect();
            let mut columns = batch.columns()[..visible].to_vec();
            columns.push(Arc::clone(batch.column(visible + 2)));
            columns.push(Arc::new(began));
            columns.push(Arc::new(ended));
            Ok(RecordBatch::try_new(Arc::clone(&shape), columns)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    /// Writes the delete file of a new file whose rows begin at `first` of the whole.
    async fn write_deleted(
        &self,
        table: &TableInfo,
        file: &DataFile,
        first: usize,
        moved: &Moved,
        unclaimed: &mut Unclaimed,
    ) -> Result<Option<(NewDeleteFile, SnapshotId, SnapshotId)>> {
        let rows = usize::try_from(file.rows).unwrap_or(usize::MAX);
        let own = moved.ends.iter().filter(|(row, _)| *row >= first && *row - first < rows);
        let mut own: Vec<(i64, SnapshotId)> =
            own.map(|(row, end)| ((*row - first) as i64, *end)).collect();
        own.sort_unstable();
        let begin = own.iter().map(|(_, end)| *end).min();
        let newest = own.iter().map(|(_, end)| *end).max();
        let (Some(begin), Some(newest)) = (begin, newest) else { return Ok(None) };
        let (positions, snapshots): (Vec<i64>, Vec<SnapshotId>) = own.into_iter().unzip();
        let written =
            delete_file::write(self.store(), &table.path, &file.path, &positions, Some(&snapshots))
                .await?;
        unclaimed.push(written.path);
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let new = NewDeleteFile {
            path: written.name,
            rows: signed(positions.len() as u64),
            bytes: signed(written.bytes),
            footer_bytes: signed(written.footer_bytes),
        };
        Ok(Some((new, begin, newest)))
    }
}

impl Moved {
    fn add(&mut self, row_id: i64, begin: SnapshotId) {
        match self.runs.last_mut() {
            Some(run) if run.begin == begin && run.row_id + run.rows as i64 == row_id => {
                run.rows += 1;
            }
            _ => self.runs.push(Run { first: self.rows, rows: 1, row_id, begin }),
        }
        self.rows += 1;
    }

    /// Writes described rows, and keeps what is known of them.
    async fn write(
        &mut self,
        mut rows: SendableRecordBatchStream,
        visible: usize,
        writer: &mut TableWriter,
    ) -> Result<()> {
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let column = |offset: usize| batch.column(visible + offset).as_primitive::<Int64Type>();
            let (row_ids, begins, ends) = (column(0), column(1), column(2));
            for (row, end) in ends.iter().enumerate() {
                if let Some(end) = end {
                    self.ends.push((self.rows + row, end));
                }
            }
            for (row_id, begin) in row_ids.values().iter().zip(begins.values()) {
                self.add(*row_id, *begin);
            }
            let values = batch.project(&(0..visible).collect::<Vec<_>>())?;
            writer.write(&values, &[row_ids, begins]).await?;
        }
        Ok(())
    }

    /// The catalog's facts of a file that holds `rows` rows from `first` on.
    fn describe(
        &self,
        file: DataFile,
        first: usize,
        rows: usize,
        deleted: Option<(NewDeleteFile, SnapshotId, SnapshotId)>,
    ) -> Result<RelocatedFile> {
        let lost = || LakeError::Damaged("rows were lost while they were moved".into());
        // What of each run lies in the file: (first row id, rows, begin).
        let first_run = self.runs.partition_point(|run| run.first + run.rows <= first);
        let runs = self.runs[first_run..].iter().take_while(|run| run.first < first + rows);
        let own: Vec<(i64, i64, SnapshotId)> = runs
            .map(|run| {
                let skipped = first.saturating_sub(run.first);
                let end = (run.first + run.rows).min(first + rows);
                let count = end - run.first - skipped;
                (run.row_id + skipped as i64, count as i64, run.begin)
            })
            .collect();
        if own.iter().map(|(_, count, _)| *count).sum::<i64>() != rows as i64 {
            return Err(lost());
        }
        let begins = || own.iter().map(|(_, _, begin)| *begin);
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let each = |(row_id, count, begin): &(i64, i64, SnapshotId)| {
            let (row_id, begin) = (*row_id, *begin);
            (0..*count).map(move |offset| (row_id + offset, begin))
        };
        Ok(RelocatedFile {
            row_id_start: own.iter().map(|(row_id, ..)| *row_id).min().ok_or_else(lost)?,
            begin: begins().min().ok_or_else(lost)?,
            newest: begins().max().ok_or_else(lost)?,
            deleted,
            rows: match self.inlined {
                true => own.iter().flat_map(each).collect(),
                false => Vec::new(),
            },
            file: NewDataFile {
                path: file.name,
                rows: signed(file.rows),
                bytes: signed(file.bytes),
                footer_bytes: signed(file.footer_bytes),
                keeps_row_ids: true,
                partition: file.partition,
                statistics: file.statistics,
            },
        })
    }
}
