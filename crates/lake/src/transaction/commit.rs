//! Publishes a transaction as one snapshot.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_catalog::changes::{
    DeleteTarget, FileDelete, NewDataFile, NewDeleteFile, NewInlinedRows, TableChange,
};
use frazil_catalog::{CatalogError, CommitMeta, CommitOutcome, CommitRequest, TableKind};
use frazil_common::SnapshotId;

use super::{LakeTransaction, StagedRows};
use crate::error::{LakeError, Result};
use crate::version::{DataFile, FileKey, StagedChunk};
use crate::write::{delete_file, sink};

/// Table, rows for the catalog, whether there are new files.
fn rows_added(change: &TableChange) -> (i64, u64, bool) {
    let inlined: usize = change.inlined.iter().map(|rows| rows.rows.num_rows()).sum();
    (change.table_id, inlined as u64, !change.added.is_empty())
}

/// A commit that was not acknowledged.
enum Unpublished {
    /// It did not take place.
    Nothing(LakeError),
    /// Nobody knows.
    Unknown(LakeError),
}

impl From<LakeError> for Unpublished {
    fn from(error: LakeError) -> Self {
        Unpublished::Nothing(error)
    }
}

impl LakeTransaction {
    /// Commits everything as one snapshot and gives its number; without changes the number of
    /// the snapshot read. On any error the transaction is rolled back.
    ///
    /// Fails with [`LakeError::Conflict`] when another transaction got in the way.
    pub async fn commit(mut self, meta: CommitMeta) -> Result<SnapshotId> {
        match self.publish(meta).await {
            Ok(snapshot) => {
                // Kept files belong to the catalog now; others held rows that are gone again.
                let kept = std::mem::take(&mut self.kept);
                let mut discarded = std::mem::take(&mut self.discarded);
                discarded.extend(
                    std::mem::take(&mut self.written).into_iter().filter(|p| !kept.contains(p)),
                );
                self.lake.store().remove(&discarded).await;
                Ok(snapshot)
            }
            Err(Unpublished::Nothing(error)) => {
                let written = std::mem::take(&mut self.written);
                self.lake.store().remove(&written).await;
                Err(error)
            }
            Err(Unpublished::Unknown(error)) => {
                // A snapshot may name the files; if none does, clean-up finds them.
                tracing::warn!(%error, "the catalog did not say whether a commit took place");
                self.written.clear();
                Err(error)
            }
        }
    }

    /// What became of a commit that answered an error: a database that fails may have failed
    /// after it was done.
    async fn settle(
        &self,
        error: LakeError,
        query_id: Option<&str>,
    ) -> Result<SnapshotId, Unpublished> {
        if !matches!(error, LakeError::Catalog(CatalogError::Database(_))) {
            return Err(Unpublished::Nothing(error));
        }
        let Some(query_id) = query_id else { return Err(Unpublished::Unknown(error)) };
        match self.lake.catalog().snapshot_of_statement(query_id).await {
            Ok(Some(snapshot)) => Ok(snapshot),
            Ok(None) => Err(Unpublished::Nothing(error)),
            Err(_) => Err(Unpublished::Unknown(error)),
        }
    }

    async fn publish(&mut self, meta: CommitMeta) -> Result<SnapshotId, Unpublished> {
        let mut tables = Vec::new();
        let mut temporary = Vec::new();
        for (_, staged) in std::mem::take(&mut self.rows) {
            let staged = Arc::unwrap_or_clone(staged);
            self.kept.extend(staged.added.iter().map(|file| file.path.clone()));
            match staged.table.kind {
                TableKind::Temporary => temporary.push(staged),
                _ => tables.push(self.table_change(staged).await?),
            }
        }
        // A table's rows follow its definition in a fixed order.
        tables.sort_by_key(|change| change.table_id);
        tables.retain(|change| {
            !(change.added.is_empty()
                && change.inlined.is_empty()
                && change.deletes.is_empty()
                && change.ended_files.is_empty()
                && change.ended_inlined_rows.is_empty())
        });
        let (loads, temporary_loads) = self.take_loads();
        // Of a session's commits that change its temporary tables one goes at a time: none of them
        // writes back what it read before another.
        let _turn =
            if self.temporary_changed || !temporary.is_empty() || !temporary_loads.is_empty() {
                let turn = self.lake.temporaries().turn(self.session_id);
                let turn = turn.lock_owned().await;
                self.apply_temporary(temporary, temporary_loads)?;
                Some(turn)
            } else {
                None
            };
        let mut snapshot = self.base.snapshot;
        let nothing = self.changes.is_empty()
            && tables.is_empty()
            && loads.is_empty()
            && self.account.is_empty();
        if !nothing {
            let request = CommitRequest {
                base: self.first_base.unwrap_or(self.base.snapshot),
                changes: std::mem::take(&mut self.changes),
                tables,
                loads,
                relocations: Vec::new(),
                account: std::mem::take(&mut self.account),
                meta,
            };
            // Nobody may remove files that a commit names: while it runs they are this call's
            // alone, and they stay as orphans when it is broken off.
            let written = std::mem::take(&mut self.written);
            let changed: Vec<(i64, u64, bool)> = request.tables.iter().map(rows_added).collect();
            let query_id = request.meta.query_id.clone();
            let outcome = self.lake.catalog().commit(request).await;
            self.written = written;
            snapshot = match outcome {
                Ok(outcome) => {
                    self.note_written(&changed, &outcome);
                    outcome.snapshot
                }
                Err(error) => self.settle(error.into(), query_id.as_deref()).await?,
            };
        }
        if self.temporary_changed {
            let tables = std::mem::take(&mut self.temporary);
            self.lake.temporaries().set(self.session_id, tables);
        }
        Ok(snapshot)
    }

    /// Tells the upkeep what there is to look after.
    fn note_written(&self, changed: &[(i64, u64, bool)], outcome: &CommitOutcome) {
        let mut many = false;
        let mut written = self.lake.written().lock();
        for (table, inlined, files) in changed {
            let table = outcome.ids.get(table).copied().unwrap_or(*table);
            if *inlined > 0 {
                many |= written.inlined(table, *inlined) >= self.lake.settings().flush_rows;
            }
            if *files {
                written.files(table);
            }
        }
        drop(written);
        if many {
            self.lake.flush_wanted().notify_one();
        }
    }

    async fn table_change(&mut self, staged: StagedRows) -> Result<TableChange> {
        let StagedRows { table, base, added, chunks, deletes, ended, inlined } = staged;
        let mut change = TableChange {
            table_id: table.table_id,
            table_name: table.name.to_string(),
            base,
            defined_at: table.defined_at,
            added: Vec::with_capacity(added.len()),
            inlined: Vec::new(),
            deletes: Vec::new(),
            ended_files: Vec::new(),
            ended_inlined_rows: inlined.into_iter().collect(),
        };
        let (moved, fresh): (Vec<&StagedChunk>, Vec<&StagedChunk>) =
            chunks.iter().partition(|chunk| chunk.row_ids.is_some());
        for chunks in [moved, fresh].into_iter().filter(|chunks| !chunks.is_empty()) {
            let whole = StagedChunk::concat(&chunks)?;
            change.inlined.push(NewInlinedRows {
                statistics: sink::statistics_of(&table, &whole.rows)?,
                rows: whole.rows,
                row_ids: whole.row_ids.map(Arc::unwrap_or_clone),
            });
        }
        let mut own: HashMap<FileKey, usize> = HashMap::new();
        for file in &added {
            own.insert(file.key, change.added.len());
            let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
            change.added.push(NewDataFile {
                path: file.name.clone(),
                rows: signed(file.rows),
                bytes: signed(file.bytes),
                footer_bytes: signed(file.footer_bytes),
                keeps_row_ids: file.keeps_row_ids,
                partition: file.partition.clone(),
                statistics: file.statistics.clone(),
            });
        }
        for key in ended {
            if let FileKey::Committed(id) = key {
                change.ended_files.push(id);
            }
        }
        change.ended_files.sort_unstable();
        let committed: Vec<DataFile> = if deletes.keys().any(|k| matches!(k, FileKey::Committed(_)))
        {
            // As last read: a later statement may have changed rows of files that came after an earlier one.
            self.lake.committed_version(&table, self.base.snapshot).await?.files
        } else {
            Vec::new()
        };
        for (key, positions) in deletes {
            let positions: Vec<i64> = positions.into_iter().collect();
            let (target, file) = match key {
                FileKey::Committed(id) => {
                    let file = committed.iter().find(|f| f.key == key);
                    (DeleteTarget::Committed(id), file)
                }
                FileKey::Staged(_) => match own.get(&key) {
                    Some(index) => (DeleteTarget::Added(*index), added.get(*index)),
                    // The whole file was given up since.
                    None => continue,
                },
            };
            let file = file.ok_or_else(|| LakeError::Conflict {
                object: change.table_name.clone(),
                reason: "the rows were moved or deleted".to_string(),
            })?;
            let (delete_file, replaces) =
                if positions.len() <= self.lake.settings().inlined_deletes_max {
                    (None, None)
                } else {
                    self.write_delete_file(&table.path, file, &positions).await?
                };
            change.deletes.push(FileDelete { target, positions, delete_file, replaces });
        }
        Ok(change)
    }

    async fn write_delete_file(
        &mut self,
        folder: &str,
        file: &DataFile,
        positions: &[i64],
    ) -> Result<(Option<NewDeleteFile>, Option<i64>)> {
        let mut all = Arc::new(positions.to_vec());
        if let Some(id) = file.delete_file {
            // Reading the version has read the former delete file.
            let former = self.lake.cached_delete_positions(id).unwrap_or_else(|| {
                // It was cut at a snapshot: what the version shows is what it held.
                Arc::clone(&file.deleted)
            });
            all = crate::union(&all, &former);
        }
        let written =
            delete_file::write(self.lake.store(), folder, &file.path, all.as_slice(), None).await?;
        self.kept.insert(written.path.clone());
        self.written.push(written.path);
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let new = NewDeleteFile {
            path: written.name,
            rows: signed(all.len() as u64),
            bytes: signed(written.bytes),
            footer_bytes: signed(written.footer_bytes),
        };
        Ok((Some(new), file.delete_file))
    }
}
