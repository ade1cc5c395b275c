//! What a commit leaves for the next one to know.
//!
//! Before a commit writes it reads the newest snapshot and what is on record of its table. Where the last
//! commit of this connection was one to the same table, and nobody else has written since, that is known:
//! the next one goes to the database in one call. Another process may have come between; then the new
//! snapshot's number is taken, and the commit starts again and reads.

use frazil_common::SnapshotId;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::commit::{TableState, only_table};
use super::snapshots::parse_time;
use crate::changes::CommitRequest;
use crate::error::Result;

/// The newest snapshot, as a commit must know it.
#[derive(Debug, Clone, Copy)]
pub struct Newest {
    pub id: SnapshotId,
    /// Microseconds since 1970 UTC.
    pub micros: i64,
    pub schema_version: i64,
    pub next_catalog_id: i64,
    pub next_file_id: i64,
}

impl Newest {
    /// A row of [`super::commit::HEAD`].
    pub fn from_row(row: &SqliteRow) -> Result<Newest> {
        Ok(Newest {
            id: row.try_get(0)?,
            micros: parse_time(row.try_get(1)?),
            schema_version: row.try_get(2)?,
            next_catalog_id: row.try_get(3)?,
            next_file_id: row.try_get(4)?,
        })
    }
}

/// How things stand after a commit that added rows to one table.
#[derive(Debug)]
pub struct Ahead {
    pub newest: Newest,
    pub table_id: i64,
    pub state: TableState,
}

impl Ahead {
    /// Whether a request needs to know nothing else.
    pub fn serves(&self, request: &CommitRequest) -> bool {
        adds_to_one(request) == Some(self.table_id)
    }
}

/// The lasting table of a request that adds new rows to it in the catalog and does nothing else.
pub fn adds_to_one(request: &CommitRequest) -> Option<i64> {
    let table = only_table(request).filter(|table| *table >= 0)?;
    only_adds_inlined(request).then_some(table)
}

/// Whether a request adds new rows to the catalog and does nothing else.
pub fn only_adds_inlined(request: &CommitRequest) -> bool {
    request.changes.is_empty()
        && request.relocations.is_empty()
        && request.loads.is_empty()
        && request.account.is_empty()
        && request.tables.iter().all(|change| {
            change.added.is_empty()
                && change.deletes.is_empty()
                && change.ended_files.is_empty()
                && change.ended_inlined_rows.is_empty()
                && change.inlined.iter().all(|rows| rows.row_ids.is_none())
        })
}
