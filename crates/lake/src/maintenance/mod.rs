//! Upkeep of tables: inlined rows go to files, small files are merged, old snapshots expire, and
//! files that nobody names are removed. None of it changes a row at any snapshot that remains.

mod cluster;
mod relocate;
mod retention;

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use frazil_catalog::{CatalogView, TableInfo, TableKind};
use frazil_common::SnapshotId;

pub use cluster::ClusteringInformation;
use relocate::Work;

use crate::Lake;
use crate::error::{LakeError, Result};
use crate::partition::Partitioner;

/// With so many times the rows that are due, a flush goes before the transactions that come to change the
/// table.
const OVERDUE: u64 = 4;
/// How long it waits for those that change it already, and those to come with it.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Crowded places of one table that a full round sorts anew.
const RECLUSTERINGS_MAX: usize = 16;

/// What a round of upkeep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaintenanceReport {
    /// Tables whose inlined rows went to files.
    pub flushed_tables: usize,
    /// Tables of which small files were merged.
    pub merged_tables: usize,
    /// Files written anew without the rows that no snapshot shows any more.
    pub reclaimed_files: usize,
    /// Snapshots forgotten.
    pub expired_snapshots: u64,
    /// Files removed.
    pub removed_files: usize,
    /// Files set aside that no snapshot ever named.
    pub orphan_files: usize,
}

/// Tables that commits of this process wrote to since they were last looked after.
#[derive(Debug, Default)]
pub(crate) struct Written {
    inlined: HashMap<i64, Inlined>,
    files: HashMap<i64, ()>,
    /// Tables whose upkeep failed, and when.
    failed: HashMap<i64, Instant>,
}

/// How long a table whose upkeep failed is left alone.
const FAILED_PAUSE: Duration = Duration::from_secs(10 * 60);

/// What a round of upkeep does where a table's fails: the others have theirs.
#[derive(Default)]
struct Round {
    error: Option<LakeError>,
}

impl Round {
    /// Losing a race against a statement is no error: the next round tries again.
    fn done(&mut self, lake: &Lake, table_id: i64, outcome: Result<bool>) -> bool {
        match outcome {
            Ok(done) => done,
            Err(LakeError::Conflict { object, reason }) => {
                tracing::debug!(object, reason, "upkeep gave way to a statement");
                false
            }
            Err(error) => {
                tracing::warn!(table_id, %error, "upkeep of a table failed");
                lake.written().lock().failed.insert(table_id, Instant::now());
                self.error = Some(error);
                false
            }
        }
    }

    /// # Errors
    /// The last of those met.
    fn end(self) -> Result<()> {
        self.error.map_or(Ok(()), Err)
    }
}

#[derive(Debug, Clone, Copy)]
struct Inlined {
    since: Instant,
    rows: u64,
}

impl Written {
    /// Notes rows in the catalog; gives how many there are now.
    pub fn inlined(&mut self, table_id: i64, rows: u64) -> u64 {
        let entry = self.inlined.entry(table_id);
        let entry = entry.or_insert(Inlined { since: Instant::now(), rows: 0 });
        entry.rows += rows;
        entry.rows
    }

    /// Notes new files.
    pub fn files(&mut self, table_id: i64) {
        self.files.insert(table_id, ());
    }
}

impl Lake {
    /// Finds the rows an earlier run left in the catalog; their age counts from now.
    pub(crate) async fn find_inlined(&self) -> Result<()> {
        let counts = self.catalog().inlined_counts().await?;
        let mut written = self.written().lock();
        for (table, rows) in counts {
            written.inlined(table, rows);
        }
        Ok(())
    }

    /// Waits until a table has so many inlined rows that they should be flushed at once.
    pub async fn many_inlined(&self) {
        self.flush_wanted().notified().await;
    }

    /// Flushes tables whose inlined rows are many or old, and merges small files of tables written
    /// to; gives what was done. A table that changes meanwhile is left for the next round, one whose
    /// upkeep fails for some minutes.
    pub async fn tidy(&self) -> Result<MaintenanceReport> {
        let settings = self.settings().clone();
        let due: Vec<i64> = {
            let mut written = self.written().lock();
            written.failed.retain(|_, at| at.elapsed() < FAILED_PAUSE);
            let due = written.inlined.iter().filter(|(table, inlined)| {
                !written.failed.contains_key(table)
                    && (inlined.rows >= settings.flush_rows
                        || inlined.since.elapsed() >= settings.flush_age)
            });
            due.map(|(table, _)| *table).collect()
        };
        let mut report = MaintenanceReport::default();
        let mut round = Round::default();
        for table in due {
            let flushed = self.flush(table).await;
            report.flushed_tables += usize::from(round.done(self, table, flushed));
        }
        let tables: Vec<i64> = {
            let mut written = self.written().lock();
            let (left, taken): (Vec<i64>, Vec<i64>) =
                written.files.keys().partition(|table| written.failed.contains_key(table));
            written.files = left.into_iter().map(|table| (table, ())).collect();
            taken
        };
        for table in tables {
            let merged = self.merge(table).await;
            let merged = round.done(self, table, merged);
            let sorted = self.recluster(table, None).await;
            let sorted = round.done(self, table, sorted);
            report.merged_tables += usize::from(merged || sorted);
            let mut written = self.written().lock();
            if written.failed.contains_key(&table) {
                written.files(table);
            }
        }
        round.end()?;
        Ok(report)
    }

    /// Flushes every table, and merges the files of every table that has two small ones.
    ///
    /// # Errors
    /// That of the last table whose upkeep failed: the others have had theirs.
    pub async fn tidy_all(&self) -> Result<MaintenanceReport> {
        let mut report = MaintenanceReport::default();
        let mut round = Round::default();
        for (table, _) in self.catalog().inlined_counts().await? {
            let flushed = self.flush(table).await;
            report.flushed_tables += usize::from(round.done(self, table, flushed));
        }
        let view = self.view().await?;
        for table in view.tables() {
            let merged = self.merge_from(table.table_id, 2).await;
            let mut changed = round.done(self, table.table_id, merged);
            let most = table.sorted_columns().len().min(1) * RECLUSTERINGS_MAX;
            for _ in 0..most {
                let sorted = self.recluster(table.table_id, Some(2)).await;
                changed |= round.done(self, table.table_id, sorted);
                if self.written().lock().files.remove(&table.table_id).is_none() {
                    break;
                }
            }
            report.merged_tables += usize::from(changed);
        }
        round.end()?;
        Ok(report)
    }

    /// Whether open transactions have changed rows of a table: these stay where they are.
    pub(crate) fn is_claimed(&self, table_id: i64) -> bool {
        self.claims().contains(table_id)
    }

    /// Whether a table has many more rows in the catalog than it should, and upkeep may not move them:
    /// new ones go into files.
    pub(crate) fn takes_no_inlined(&self, table_id: i64) -> bool {
        self.is_claimed(table_id)
            && self.written().lock().inlined.get(&table_id).is_some_and(|i| self.is_overdue(i.rows))
    }

    fn is_overdue(&self, rows: u64) -> bool {
        rows >= OVERDUE.saturating_mul(self.settings().flush_rows)
    }

    /// Moves a table's inlined rows into files, as one snapshot that changes no row. False where
    /// there was nothing to move.
    pub async fn flush(&self, table_id: i64) -> Result<bool> {
        let before = self.written().lock().inlined.get(&table_id).copied();
        let view = self.view().await?;
        let Some(table) = view.table_by_id(table_id).cloned() else {
            // Dropped: the rows go when no snapshot shows them any more.
            self.written().lock().inlined.remove(&table_id);
            return Ok(false);
        };
        if let Err(error) = Partitioner::of(&table) {
            // Another client's partitions: its own upkeep can flush.
            tracing::debug!(%error, "rows stay in the catalog");
            return Ok(false);
        }
        let overdue = before.is_some_and(|inlined| self.is_overdue(inlined.rows));
        let moving = match overdue {
            true => self.claims().begin_move_next(table_id, FLUSH_WAIT).await,
            false => None,
        };
        if moving.is_none() && self.is_claimed(table_id) {
            return Ok(false);
        }
        // What was committed while this waited is moved too.
        let view = self.view().await?;
        let Some(table) = view.table_by_id(table_id).cloned() else { return Ok(false) };
        let history = self.catalog().inlined_history(table_id, view.snapshot).await?;
        let sources = relocate::inlined_sources(&table, history)?;
        let flushed = sources.inlined_tables();
        let work = Work { base: view.snapshot, flushed, replaced: Vec::new(), moving };
        let moved = self.relocate(&table, sources, work).await?;
        let mut written = self.written().lock();
        if let (Some(before), Some(now)) = (before, written.inlined.get_mut(&table_id)) {
            now.rows -= before.rows.min(now.rows);
            now.since = Instant::now();
            if now.rows == 0 {
                written.inlined.remove(&table_id);
            }
        }
        if moved {
            written.files(table_id);
        }
        Ok(moved)
    }

    /// Merges a table's small files, as one snapshot that changes no row. False where there are
    /// too few of them.
    pub async fn merge(&self, table_id: i64) -> Result<bool> {
        self.merge_from(table_id, self.settings().small_files_max).await
    }

    async fn merge_from(&self, table_id: i64, files_min: usize) -> Result<bool> {
        let view = self.view().await?;
        let Some(table) = view.table_by_id(table_id).cloned() else { return Ok(false) };
        if table.kind == TableKind::Temporary || self.is_claimed(table_id) {
            return Ok(false);
        }
        let sources = self.small_files(&table, view.snapshot, files_min).await?;
        let Some(sources) = sources else { return Ok(false) };
        let replaced = sources.files();
        let work = Work { base: view.snapshot, flushed: Vec::new(), replaced, moving: None };
        self.relocate(&table, sources, work).await
    }

    /// Writes files anew of which many rows are shown by no snapshot any more, as snapshots that
    /// change no row; gives how many. Rows go when the snapshots do that show them, so this follows
    /// [`Lake::expire`].
    pub async fn reclaim(&self) -> Result<usize> {
        let mut reclaimed = 0;
        let mut round = Round::default();
        for table in self.view().await?.tables() {
            if table.kind == TableKind::Temporary || self.is_claimed(table.table_id) {
                continue;
            }
            let outcome = self.reclaim_table(table.table_id, &mut reclaimed).await;
            round.done(self, table.table_id, outcome.map(|()| true));
        }
        round.end()?;
        Ok(reclaimed)
    }

    async fn reclaim_table(&self, table_id: i64, reclaimed: &mut usize) -> Result<()> {
        let view = self.view().await?;
        let Some(table) = view.table_by_id(table_id).cloned() else { return Ok(()) };
        let worn = self.worn_files(&table, view.snapshot).await?;
        if worn.is_empty() {
            return Ok(());
        }
        let whole = self.catalog().whole_snapshots(table_id).await?;
        for file in worn {
            let sources = self.worn_source(&table, &file, view.snapshot, &whole).await?;
            let Some(sources) = sources else { continue };
            let replaced = sources.files();
            let work = Work { base: view.snapshot, flushed: Vec::new(), replaced, moving: None };
            *reclaimed += usize::from(self.relocate(&table, sources, work).await?);
        }
        Ok(())
    }

    /// Sorts files of a clustered table anew, together, where many overlap, as one snapshot that
    /// changes no row. False where few do.
    async fn recluster(&self, table_id: i64, files_min: Option<usize>) -> Result<bool> {
        let view = self.view().await?;
        let Some(table) = view.table_by_id(table_id).cloned() else { return Ok(false) };
        let left_alone = table.sort_keys.is_empty() || table.recluster_suspended;
        if left_alone || table.kind == TableKind::Temporary || self.is_claimed(table_id) {
            return Ok(false);
        }
        let set = self.catalog().files(table_id, view.snapshot).await?;
        let Some(files) = self.crowded(&table, &set.files, files_min) else { return Ok(false) };
        let crowded = cluster::overlaps(&table, &set.files);
        let sources = self.sources_of(&table, &files, view.snapshot).await?;
        let replaced = sources.files();
        let work = Work { base: view.snapshot, flushed: Vec::new(), replaced, moving: None };
        let sorted = self.relocate(&table, sources, work).await?;
        let view = self.view().await?;
        let set = self.catalog().files(table_id, view.snapshot).await?;
        if sorted && cluster::overlaps(&table, &set.files) < crowded {
            // There may be another crowded place. Where sorting changed nothing, more of it will
            // not either: keys that are alike, or longer than their bounds.
            self.written().lock().files(table_id);
        }
        Ok(sorted)
    }

    /// Forgets the past of tables that keep it for less long than the account keeps snapshots:
    /// `days` tells for how long a table does, in the catalog as it is or, for a dropped one, as it
    /// was last. What snapshots in `pinned` and open transactions show stays; gives the number of
    /// files that are not needed any more.
    pub async fn expire_tables(
        &self,
        pinned: &[SnapshotId],
        days: impl Fn(&CatalogView, &TableInfo) -> u16,
    ) -> Result<u64> {
        let longest = self.catalog().longest_retention_days().await?;
        let now = chrono::Utc::now().timestamp_micros();
        let least = i64::try_from(self.settings().retention.as_micros()).unwrap_or(i64::MAX);
        let before = |days: u16| now.saturating_sub(least.max(i64::from(days) * DAY_MICROS));
        let view = self.view().await?;
        let mut tables = Vec::new();
        for table in view.tables() {
            let days = days(&view, table);
            if days < longest {
                tables.push((table.table_id, before(days)));
            }
        }
        for gone in self.catalog().dropped_tables(0, |_| true).await? {
            let days = days(&gone.view, &gone.object);
            if days < longest {
                tables.push((gone.object.table_id, before(days)));
            }
        }
        if tables.is_empty() {
            return Ok(0);
        }
        let mut keep = pinned.to_vec();
        keep.extend(self.active().lock().values().map(|active| active.snapshot));
        Ok(self.catalog().expire_rows(&tables, &keep).await?)
    }

    /// Forgets snapshots older than the retention time, but for those in `pinned` and those that
    /// open transactions read, and removes files that nobody names any more.
    pub async fn expire(&self, pinned: &[SnapshotId]) -> Result<MaintenanceReport> {
        let mut keep = pinned.to_vec();
        keep.extend(self.active().lock().values().map(|active| active.snapshot));
        let now = chrono::Utc::now().timestamp_micros();
        let micros =
            |time: std::time::Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        // What is set for any object holds for all: snapshots are of the whole account.
        let days = u64::from(self.catalog().longest_retention_days().await?);
        let set = std::time::Duration::from_secs(days * 24 * 60 * 60);
        let kept = self.settings().retention.max(set);
        let before = now.saturating_sub(micros(kept));
        let expired = self.catalog().expire(before, &keep).await?;
        let now = chrono::Utc::now().timestamp_micros();
        let mut removed =
            self.remove_scheduled(now - micros(self.settings().removal_delay)).await?;
        if let Some(before) = SystemTime::now().checked_sub(kept) {
            removed += self.purge_quarantine(before).await?;
        }
        Ok(MaintenanceReport {
            expired_snapshots: expired.snapshots,
            removed_files: removed,
            ..MaintenanceReport::default()
        })
    }
}
