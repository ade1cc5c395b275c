//! The change feed: what lies between two snapshots of a table, row by row.
//!
//! Rows are told apart by their lasting ids. A row that is in both snapshots under one id but in
//! different places was updated, unless compaction moved it and its values are the same.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::{Column, JoinType, NullEquality, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit};
use frazil_catalog::TableInfo;
use frazil_catalog::files::InlinedPart;
use frazil_common::SnapshotId;

use crate::Lake;
use crate::error::Result;
use crate::row_identity::row_identity;
use crate::scan::{LakeTable, ROW_ID};
use crate::version::{DataFile, FileKey, RowChunk, TableVersion};

/// Column of a change feed: `INSERT` or `DELETE`.
pub const CHANGE_ACTION: &str = "METADATA$ACTION";
/// Column of a change feed: whether the row is half of an update.
pub const CHANGE_IS_UPDATE: &str = "METADATA$ISUPDATE";
/// Column of a change feed: the row's id.
pub const CHANGE_ROW_ID: &str = "METADATA$ROW_ID";

/// What the plan calls these: the table may have columns of their names.
const ACTION: &str = frazil_common::hidden::ACTION;
const IS_UPDATE: &str = "\0ISUPDATE";

/// Names that the two sides of a comparison go by inside a plan.
const GONE: &str = "frazil_gone";
const ARRIVED: &str = "frazil_arrived";
const OTHER: &str = "frazil_other";
const SAME: &str = "frazil_same";

/// Between which states, and what of it.
#[derive(Debug, Clone)]
pub struct ChangeRange {
    /// The table as it is at the end; its columns are those of the feed.
    pub table: Arc<TableInfo>,
    /// Changes after this snapshot …
    pub from: SnapshotId,
    /// … up to this one.
    pub to: SnapshotId,
    /// Inserted rows only, each as it was inserted.
    pub append_only: bool,
}

impl Lake {
    /// The changes of a permanent table as a plan whose scans go by `reference`: the table's
    /// columns, then [`CHANGE_ACTION`], [`CHANGE_IS_UPDATE`] and [`CHANGE_ROW_ID`] by other names.
    pub async fn changes(
        &self,
        range: &ChangeRange,
        reference: &TableReference,
    ) -> Result<LogicalPlan> {
        let feed = Feed { lake: self, range, reference };
        if range.append_only { feed.appended().await } else { feed.net().await }
    }
}

struct Feed<'a> {
    lake: &'a Lake,
    range: &'a ChangeRange,
    reference: &'a TableReference,
}

/// One side of a comparison.
struct Side {
    files: Vec<DataFile>,
    chunks: Vec<RowChunk>,
}

impl Side {
    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.chunks.is_empty()
    }
}

impl Feed<'_> {
    async fn net(&self) -> Result<LogicalPlan> {
        let range = self.range;
        let before = self.lake.committed_version(&range.table, range.from).await?;
        let after = self.lake.committed_version(&range.table, range.to).await?;
        let compacted = self.compactions().await?;
        let gone = difference(&before, &after);
        let arrived = difference(&after, &before);
        let (moved, arrived_files): (Vec<DataFile>, Vec<DataFile>) =
            arrived.files.iter().cloned().partition(|file| compacted.contains(&file.begun));
        let same = match moved.is_empty() || gone.is_empty() {
            true => None,
            false => Some(self.unmoved(&gone, moved.clone())?),
        };
        let mut deletes = self.rows(&gone, GONE)?;
        let mut inserts = self.rows(
            &Side { files: [arrived_files, moved].concat(), chunks: arrived.chunks.clone() },
            ARRIVED,
        )?;
        if let Some(same) = &same {
            deletes = without(deletes, GONE, same.clone())?;
            inserts = without(inserts, ARRIVED, same.clone())?;
        }
        let halves = !gone.is_empty() && !arrived.is_empty();
        let deletes =
            self.half(deletes, GONE, "DELETE", halves.then(|| self.rows(&arrived, OTHER)))?;
        let inserts =
            self.half(inserts, ARRIVED, "INSERT", halves.then(|| self.rows(&gone, OTHER)))?;
        Ok(LogicalPlanBuilder::from(deletes).union(inserts)?.build()?)
    }

    /// Snapshots in the range that moved rows without changing them.
    async fn compactions(&self) -> Result<HashSet<SnapshotId>> {
        let mut found = HashSet::new();
        for info in self.lake.catalog().snapshots(self.range.from).await? {
            if info.snapshot <= self.range.to && is_compaction(&info.changes) {
                found.insert(info.snapshot);
            }
        }
        Ok(found)
    }

    fn scan(&self, side: &Side, alias: &str) -> Result<LogicalPlanBuilder> {
        let version = TableVersion {
            table: Arc::clone(&self.range.table),
            snapshot: self.range.to,
            files: side.files.clone(),
            chunks: side.chunks.clone(),
        };
        let provider = LakeTable::new(self.lake.store().clone(), Arc::new(version));
        let source = provider_as_source(Arc::new(provider));
        Ok(LogicalPlanBuilder::scan(self.reference.clone(), source, None)?.alias(alias)?)
    }

    fn rows(&self, side: &Side, alias: &str) -> Result<LogicalPlan> {
        Ok(self.scan(side, alias)?.build()?)
    }

    fn visible(&self, alias: &str) -> Vec<Expr> {
        self.range.table.columns.iter().map(|c| column(alias, &c.name)).collect()
    }

    /// Ids of rows that compaction moved and left as they were.
    fn unmoved(&self, gone: &Side, moved: Vec<DataFile>) -> Result<LogicalPlan> {
        let moved = self.rows(&Side { files: moved, chunks: Vec::new() }, ARRIVED)?;
        let mut on = vec![column(GONE, ROW_ID).eq(column(ARRIVED, ROW_ID))];
        for (left, right) in self.visible(GONE).into_iter().zip(self.visible(ARRIVED)) {
            on.push(binary_expr(left, Operator::IsNotDistinctFrom, right));
        }
        Ok(LogicalPlanBuilder::from(self.rows(gone, GONE)?)
            .join_on(moved, JoinType::Inner, on)?
            .project(vec![column(GONE, ROW_ID)])?
            .alias(SAME)?
            .build()?)
    }

    /// The rows of one side with the feed's own columns; `other` are those of the other side.
    fn half(
        &self,
        rows: LogicalPlan,
        alias: &str,
        action: &str,
        other: Option<Result<LogicalPlan>>,
    ) -> Result<LogicalPlan> {
        let mut plan = LogicalPlanBuilder::from(rows);
        let mut is_update = lit(false);
        if let Some(other) = other {
            let ids = LogicalPlanBuilder::from(other?)
                .project(vec![column(OTHER, ROW_ID).alias(ROW_ID)])?
                .distinct()?
                .alias(OTHER)?
                .build()?;
            let keys = (vec![key(alias)], vec![key(OTHER)]);
            plan = plan.join_detailed(
                ids,
                JoinType::Left,
                keys,
                None,
                NullEquality::NullEqualsNothing,
            )?;
            is_update = column(OTHER, ROW_ID).is_not_null();
        }
        self.feed(plan, alias, action, is_update)
    }

    fn feed(
        &self,
        plan: LogicalPlanBuilder,
        alias: &str,
        action: &str,
        is_update: Expr,
    ) -> Result<LogicalPlan> {
        let text = |text: &str| lit(ScalarValue::Utf8View(Some(text.to_string())));
        let id = row_identity(&self.range.table.uuid, column(alias, ROW_ID));
        let columns = self.range.table.columns.iter();
        let mut output: Vec<Expr> =
            columns.map(|c| column(alias, &c.name).alias(&c.name)).collect();
        output.push(text(action).alias(ACTION));
        output.push(is_update.alias(IS_UPDATE));
        output.push(id.alias(ROW_ID));
        Ok(plan.project(output)?.build()?)
    }

    /// Rows as they were inserted, whatever became of them: those that arrive in a step in which
    /// none of their id go. Steps reach over all commits that only insert.
    async fn appended(&self) -> Result<LogicalPlan> {
        let range = self.range;
        let mut ends: Vec<SnapshotId> = Vec::new();
        for info in self.lake.catalog().snapshots(range.from).await? {
            if info.snapshot <= range.to && !only_inserts(&info.changes, range.table.table_id) {
                ends.extend([info.snapshot - 1, info.snapshot]);
            }
        }
        ends.push(range.to);
        let table = &range.table;
        let mut before = self.lake.committed_version(table, range.from).await?;
        let mut plan: Option<LogicalPlanBuilder> = None;
        for end in ends {
            if end <= before.snapshot {
                continue;
            }
            let after = self.lake.committed_version(table, end).await?;
            let (arrived, gone) = (difference(&after, &before), difference(&before, &after));
            before = after;
            if arrived.is_empty() {
                continue;
            }
            let mut rows = self.rows(&arrived, ARRIVED)?;
            if !gone.is_empty() {
                let ids = LogicalPlanBuilder::from(self.rows(&gone, GONE)?)
                    .project(vec![column(GONE, ROW_ID)])?
                    .alias(SAME)?
                    .build()?;
                rows = without(rows, ARRIVED, ids)?;
            }
            let rows = self.feed(LogicalPlanBuilder::from(rows), ARRIVED, "INSERT", lit(false))?;
            plan = Some(match plan {
                None => LogicalPlanBuilder::from(rows),
                Some(earlier) => earlier.union(rows)?,
            });
        }
        match plan {
            Some(plan) => Ok(plan.build()?),
            None => {
                let none = Side { files: Vec::new(), chunks: Vec::new() };
                let rows = LogicalPlanBuilder::from(self.rows(&none, ARRIVED)?);
                self.feed(rows, ARRIVED, "INSERT", lit(false))
            }
        }
    }
}

fn column(relation: &str, name: &str) -> Expr {
    Expr::Column(Column::new(Some(TableReference::bare(relation)), name))
}

fn key(relation: &str) -> Column {
    Column::new(Some(TableReference::bare(relation)), ROW_ID)
}

/// The rows whose id is not among `ids`.
fn without(rows: LogicalPlan, alias: &str, ids: LogicalPlan) -> Result<LogicalPlan> {
    let on = (vec![key(alias)], vec![key(SAME)]);
    Ok(LogicalPlanBuilder::from(rows)
        .join_detailed(ids, JoinType::LeftAnti, on, None, NullEquality::NullEqualsNothing)?
        .build()?)
}

/// DuckLake's words for commits that only move rows.
fn is_compaction(changes: &str) -> bool {
    let moves = |entry: &str| {
        ["compact", "merge_adjacent", "rewrite", "flush"].iter().any(|word| entry.contains(word))
    };
    let verbs = changes.split(',').map(|entry| entry.split(':').next().unwrap_or_default());
    !changes.is_empty() && verbs.into_iter().all(moves)
}

/// Whether a commit did nothing to a table but insert rows, by DuckLake's words for it.
fn only_inserts(changes: &str, table_id: i64) -> bool {
    let id = table_id.to_string();
    changes.split(',').filter_map(|entry| entry.split_once(':')).all(|(verb, object)| {
        object != id || matches!(verb, "inserted_into_table" | "inlined_insert" | "altered_table")
    })
}

/// The rows of `left` that are not in the same place in `right`.
fn difference(left: &TableVersion, right: &TableVersion) -> Side {
    let others: HashMap<FileKey, &DataFile> = right.files.iter().map(|f| (f.key, f)).collect();
    let mut files = Vec::new();
    for file in &left.files {
        let mut file = file.clone();
        if let Some(other) = others.get(&file.key) {
            if Arc::ptr_eq(&file.deleted, &other.deleted) || file.deleted == other.deleted {
                continue;
            }
            file.deleted =
                Arc::new(all_but_newly_deleted(file.rows, &file.deleted, &other.deleted));
        }
        if file.live_rows() > 0 {
            files.push(file);
        }
    }
    let mut chunks = Vec::new();
    for chunk in &left.chunks {
        let RowChunk::Committed(part) = chunk else { continue };
        let others: HashSet<(i64, SnapshotId)> = right
            .chunks
            .iter()
            .filter_map(|other| match other {
                RowChunk::Committed(other) if other.batch.table == part.batch.table => Some(other),
                _ => None,
            })
            .flat_map(live)
            .map(|(_, row)| row)
            .collect();
        let kept: HashSet<i64> = live(part)
            .filter(|(_, row)| !others.contains(row))
            .map(|(position, _)| position)
            .collect();
        if !kept.is_empty() {
            let rows = i64::try_from(part.batch.row_ids.len()).unwrap_or(i64::MAX);
            let deleted = (0..rows).filter(|position| !kept.contains(position)).collect();
            let batch = Arc::clone(&part.batch);
            chunks.push(RowChunk::Committed(InlinedPart { batch, deleted: Arc::new(deleted) }));
        }
    }
    Side { files, chunks }
}

/// The rows of a part that are left: position, and what tells the row from its other versions.
fn live(part: &InlinedPart) -> impl Iterator<Item = (i64, (i64, SnapshotId))> {
    let rows = part.batch.row_ids.iter().zip(&part.batch.begins).enumerate();
    rows.filter_map(|(position, (id, begin))| {
        let position = i64::try_from(position).ok()?;
        let gone = part.deleted.binary_search(&position).is_ok();
        (!gone).then_some((position, (*id, *begin)))
    })
}

/// Every position except those in `other` that are not in `own`.
fn all_but_newly_deleted(rows: u64, own: &[i64], other: &[i64]) -> Vec<i64> {
    let own: HashSet<i64> = own.iter().copied().collect();
    let newly: HashSet<i64> = other.iter().copied().filter(|p| !own.contains(p)).collect();
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    (0..rows).filter(|position| !newly.contains(position)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commits_that_move_rows_are_compactions() {
        assert!(is_compaction("compacted_table:7"));
        assert!(is_compaction("merge_adjacent:7,rewrite_delete:8"));
        assert!(!is_compaction("inserted_into_table:7,deleted_from_table:7"));
        assert!(!is_compaction("compacted_table:7,inserted_into_table:8"));
        assert!(!is_compaction(""));
    }

    #[test]
    fn steps_end_where_a_table_loses_rows() {
        assert!(only_inserts("inserted_into_table:7,deleted_from_table:8", 7));
        assert!(!only_inserts("inserted_into_table:7,deleted_from_table:7", 7));
        assert!(!only_inserts("inlined_delete:7", 7));
        assert!(only_inserts("created_table:\"a:b\".\"7\"", 7));
    }

    #[test]
    fn positions_left_are_those_deleted_since() {
        assert_eq!(all_but_newly_deleted(5, &[1], &[1, 3]), [0, 1, 2, 4]);
        assert_eq!(all_but_newly_deleted(3, &[], &[]), [0, 1, 2]);
    }
}
