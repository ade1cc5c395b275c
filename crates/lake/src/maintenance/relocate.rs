//! Writes rows to new files with their ids, the snapshots they began at and those they ended at.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, Int64Array};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::catalog::TableProvider;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use frazil_catalog::changes::{NewDataFile, NewDeleteFile, RelocatedFile, Relocation};
use frazil_catalog::files::{InlinedHistory, InlinedPart, VisibleFile};
use frazil_catalog::{CatalogError, ColumnInfo, CommitMeta, CommitRequest, TableInfo};
use frazil_common::SnapshotId;
use futures::StreamExt;
use object_store::path::Path;

use crate::Lake;
use crate::error::{LakeError, Result};
use crate::scan::{HIDDEN_COLUMNS, LakeTable};
use crate::version::{DataFile, RowChunk, TableVersion};
use crate::write::schema::SystemColumns;
use crate::write::{TableWriter, delete_file};

/// Rows that one relocation moves at most: what is kept of each in memory is small.
const ROWS_MAX: u64 = 4_000_000;

/// When the rows of a source began.
enum Begins {
    Same(SnapshotId),
    Each(Vec<SnapshotId>),
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
pub fn inlined_sources(table: &TableInfo, history: Vec<InlinedHistory>) -> Sources {
    let sources = history.into_iter().map(|history| {
        let ends = history.ends.iter().enumerate();
        Source {
            table: stored_as(table, history.batch.table.columns.clone()),
            file: None,
            begins: Begins::Each(history.batch.begins.clone()),
            ends: ends.filter_map(|(at, end)| Some((at as i64, (*end)?))).collect(),
            chunk: Some(RowChunk::Committed(InlinedPart {
                batch: Arc::new(history.batch),
                deleted: Arc::default(),
            })),
        }
    });
    Sources(sources.collect())
}

/// What becomes of the places rows are moved from.
pub struct Work {
    /// The newest snapshot whose rows are moved.
    pub base: SnapshotId,
    /// Inlined tables to empty.
    pub flushed: Vec<String>,
    /// Data files to take out.
    pub replaced: Vec<i64>,
    /// Give way to open transactions that change rows of the table.
    pub patient: bool,
}

/// Files written so far, and facts of their rows in order.
#[derive(Default)]
struct Moved {
    row_ids: Vec<i64>,
    begins: Vec<SnapshotId>,
    /// Rows that ended, by place in the whole.
    ends: Vec<(usize, SnapshotId)>,
    /// They come from the catalog database.
    inlined: bool,
}

impl Lake {
    /// A table's small files, where there are enough to merge.
    pub(super) async fn small_files(
        &self,
        table: &Arc<TableInfo>,
        snapshot: SnapshotId,
        files_min: usize,
    ) -> Result<Option<Sources>> {
        let settings = self.settings();
        let set = self.catalog().files(table.table_id, snapshot).await?;
        let bytes = |visible: &VisibleFile| u64::try_from(visible.file.bytes).unwrap_or(0);
        let (mut total, mut rows) = (0_u64, 0_u64);
        let mut small: Vec<&VisibleFile> = Vec::new();
        for visible in &set.files {
            let count = u64::try_from(visible.file.rows).unwrap_or(0);
            let fits = bytes(visible) < settings.small_file_bytes
                && total + bytes(visible) <= settings.target_file_bytes
                && rows + count <= ROWS_MAX;
            if fits {
                total += bytes(visible);
                rows += count;
                small.push(visible);
            }
        }
        if small.len() < files_min.max(2) {
            return Ok(None);
        }
        let mut sources = Vec::with_capacity(small.len());
        for visible in small {
            sources.push(self.file_source(table, visible, snapshot).await?);
        }
        Ok(Some(Sources(sources)))
    }

    async fn file_source(
        &self,
        table: &Arc<TableInfo>,
        visible: &VisibleFile,
        snapshot: SnapshotId,
    ) -> Result<Source> {
        let id = visible.file.file_id;
        let columns =
            self.catalog().stored_columns(table.table_id, visible.file.begin_snapshot).await?;
        let mut file = self.data_file(table, visible, snapshot).await?;
        file.deleted = Arc::default();
        let begins = match visible.file.partial_max {
            None => Begins::Same(visible.file.begin_snapshot),
            Some(_) => Begins::Each(delete_file::row_snapshots(self.store(), &file.path).await?),
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
        Ok(Source {
            table: stored_as(table, columns),
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
        work: Work,
    ) -> Result<bool> {
        let Work { base, flushed, replaced, patient } = work;
        if sources.0.iter().any(|source| source.table.columns.iter().any(|c| !c.readable)) {
            // Another client's types: its own upkeep can move them.
            return Ok(false);
        }
        let mut paths: Vec<Path> = Vec::new();
        let mut in_doubt = false;
        let work = async {
            let mut added = Vec::new();
            let mut rest = sources.0;
            while let Some(first) = rest.first() {
                // A file has one set of columns.
                let columns = first.table.columns.clone();
                let (alike, other): (Vec<_>, Vec<_>) =
                    rest.into_iter().partition(|source| source.table.columns == columns);
                rest = other;
                added.extend(self.write_moved(alike, &mut paths).await?);
            }
            if added.is_empty() && replaced.is_empty() {
                return Ok(false);
            }
            if patient && self.is_claimed(table.table_id) {
                return Err(LakeError::Conflict {
                    object: table.name.to_string(),
                    reason: "an open transaction changes its rows".to_string(),
                });
            }
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
            self.store().remove(&paths).await;
        }
        outcome
    }

    async fn write_moved(
        &self,
        sources: Vec<Source>,
        paths: &mut Vec<Path>,
    ) -> Result<Vec<RelocatedFile>> {
        let Some(table) = sources.first().map(|source| Arc::clone(&source.table)) else {
            return Ok(Vec::new());
        };
        let mut writer = TableWriter::new(
            self.store().clone(),
            self.settings().clone(),
            Arc::clone(&table),
            table.path.clone(),
            SystemColumns::RowIdsAndSnapshots,
        )?;
        let inlined = sources.iter().all(|source| source.chunk.is_some());
        let mut moved = Moved { inlined, ..Moved::default() };
        for source in sources {
            if let Err(error) = self.move_source(source, &mut writer, &mut moved).await {
                writer.abort().await;
                return Err(error);
            }
        }
        let files = writer.finish().await?;
        paths.extend(files.iter().map(|file| file.path.clone()));
        let mut added = Vec::with_capacity(files.len());
        let mut first = 0_usize;
        for file in files {
            let rows = usize::try_from(file.rows).unwrap_or(usize::MAX);
            let deleted = self.write_deleted(&table, &file, first, &moved, paths).await?;
            added.push(moved.describe(file, first, rows, deleted)?);
            first += rows;
        }
        Ok(added)
    }

    async fn move_source(
        &self,
        source: Source,
        writer: &mut TableWriter,
        moved: &mut Moved,
    ) -> Result<()> {
        let visible = source.table.columns.len();
        let version = Arc::new(TableVersion {
            table: Arc::clone(&source.table),
            snapshot: 0,
            files: source.file.into_iter().map(|(_, file)| file).collect(),
            chunks: source.chunk.into_iter().collect(),
        });
        // One partition: rows stay in their order.
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config(config);
        let provider = LakeTable::new(self.store().clone(), version);
        let plan = provider.scan(&context.state(), None, &[], None).await?;
        let mut stream = execute_stream(plan, context.task_ctx())?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            if batch.num_columns() != visible + HIDDEN_COLUMNS {
                return Err(LakeError::Damaged("columns are missing from a scan".into()));
            }
            let positions = batch.column(visible + 1).as_primitive::<Int64Type>();
            let row_ids = batch.column(visible + 2).as_primitive::<Int64Type>();
            let begins: Int64Array = positions
                .values()
                .iter()
                .map(|position| match &source.begins {
                    Begins::Same(at) => Ok(*at),
                    Begins::Each(all) => usize::try_from(*position)
                        .ok()
                        .and_then(|at| all.get(at).copied())
                        .ok_or_else(|| LakeError::Damaged("a row without a snapshot".into())),
                })
                .collect::<Result<Vec<_>>>()?
                .into();
            for (row, position) in positions.values().iter().enumerate() {
                if let Some(end) = source.ends.get(position) {
                    moved.ends.push((moved.row_ids.len() + row, *end));
                }
            }
            moved.row_ids.extend_from_slice(row_ids.values());
            moved.begins.extend_from_slice(begins.values());
            let values = batch.project(&(0..visible).collect::<Vec<_>>())?;
            writer.write(&values, &[row_ids, &begins]).await?;
        }
        Ok(())
    }

    /// Writes the delete file of a new file whose rows begin at `first` of the whole.
    async fn write_deleted(
        &self,
        table: &TableInfo,
        file: &DataFile,
        first: usize,
        moved: &Moved,
        paths: &mut Vec<Path>,
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
        paths.push(written.path);
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
    /// The catalog's facts of a file that holds `rows` rows from `first` on.
    fn describe(
        &self,
        file: DataFile,
        first: usize,
        rows: usize,
        deleted: Option<(NewDeleteFile, SnapshotId, SnapshotId)>,
    ) -> Result<RelocatedFile> {
        let lost = || LakeError::Damaged("rows were lost while they were moved".into());
        let begins = self.begins.get(first..first + rows).ok_or_else(lost)?;
        let row_ids = self.row_ids.get(first..first + rows).ok_or_else(lost)?;
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Ok(RelocatedFile {
            row_id_start: row_ids.iter().copied().min().ok_or_else(lost)?,
            begin: begins.iter().copied().min().ok_or_else(lost)?,
            newest: begins.iter().copied().max().ok_or_else(lost)?,
            deleted,
            rows: match self.inlined {
                true => row_ids.iter().copied().zip(begins.iter().copied()).collect(),
                false => Vec::new(),
            },
            file: NewDataFile {
                path: file.name,
                rows: signed(file.rows),
                bytes: signed(file.bytes),
                footer_bytes: signed(file.footer_bytes),
                keeps_row_ids: true,
                statistics: file.statistics,
            },
        })
    }
}
