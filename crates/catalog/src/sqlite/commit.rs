//! One commit: checks for conflicts against the newest snapshot, then writes the next.

use std::collections::{HashMap, HashSet};

use frazil_common::SnapshotId;
use futures::future::BoxFuture;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite};

use super::ahead::{Ahead, Newest, adds_to_one};
use super::batch::Batch;
use super::inlined::InlinedPlace;
use super::snapshots::{format_time, now_micros};
use super::writer::WriterTurn;
use super::{bounds, effects, inlined, loads, partitions, relocate, tables};
use crate::changes::{
    ColumnStatistics, CommitOutcome, CommitRequest, DeleteTarget, FileDelete, TableChange,
};
use crate::error::{CatalogError, Result};

/// SQLite's limit of bound values in one statement, with room.
const ROWS_PER_INSERT: usize = 500;

/// What the last commit of a statement of several says is what counts.
macro_rules! statement_again {
    () => {
        " ON CONFLICT (query_id) DO UPDATE SET \
         before_snapshot = excluded.before_snapshot, snapshot_id = excluded.snapshot_id"
    };
}

/// The snapshot under construction.
pub struct NewSnapshot<'a> {
    tx: &'a mut WriterTurn,
    /// Writes that the commit's next question, or its end, sends.
    pub batch: Batch,
    pub snapshot: SnapshotId,
    /// Snapshot that the request's definitions were read at.
    pub base: SnapshotId,
    pub next_catalog_id: i64,
    pub next_file_id: i64,
    pub schema_version: i64,
    pub definitions_changed: bool,
    /// A table has its first place for inlined rows since its columns are what they are: other
    /// clients look for such places when the schema's version is new to them.
    pub inlined_table_made: bool,
    /// Tables' statistics change: other clients read them anew when the next file's id is another.
    pub statistics_changed: bool,
    first_file_id: i64,
    /// DuckLake's words for what changed.
    pub changes_made: Vec<String>,
    /// Lasting ids of local ones.
    pub ids: HashMap<i64, i64>,
    /// Ids of clones' partition keys, by the clone and the id the source knows them by.
    pub partition_ids: HashMap<(i64, i64), i64>,
    /// Absolute data folder with a slash at its end.
    pub data_path: &'a str,
    pub micros: i64,
    /// How the table of a commit that adds rows to one stands after it.
    after: Option<TableState>,
}

/// A commit that is written but for its end.
pub struct Written {
    pub outcome: CommitOutcome,
    /// To be sent with what ends the transaction.
    pub rest: Batch,
    /// What the next commit may go by once this one is done.
    pub ahead: Option<Ahead>,
}

impl NewSnapshot<'_> {
    /// The database, with everything written that was put off.
    pub async fn transaction(&mut self) -> Result<&mut WriterTurn> {
        self.batch.run(self.tx).await?;
        Ok(self.tx)
    }

    /// The schema's version with this snapshot.
    fn version(&self) -> i64 {
        self.schema_version + i64::from(self.definitions_changed || self.inlined_table_made)
    }

    fn insert_snapshot(&mut self) {
        if self.statistics_changed && self.next_file_id == self.first_file_id {
            self.next_file_id += 1;
        }
        let schema_version = self.version();
        // If another process has made a snapshot, one that is there already is named, which fails. To
        // try this one's number is not enough: others may have come and gone.
        self.batch
            .statement(
                "INSERT INTO ducklake_snapshot SELECT CASE WHEN MAX(snapshot_id) = ? THEN ? \
                 ELSE MAX(snapshot_id) END, ?, ?, ?, ? FROM ducklake_snapshot",
            )
            .bind(self.snapshot - 1)
            .bind(self.snapshot)
            .bind(format_time(self.micros))
            .bind(schema_version)
            .bind(self.next_catalog_id)
            .bind(self.next_file_id);
    }

    /// A new id for a schema, table, view or database.
    pub fn new_id(&mut self, local: i64) -> i64 {
        let id = self.next_catalog_id;
        self.next_catalog_id += 1;
        self.ids.insert(local, id);
        id
    }

    /// The lasting id of an id that may be local.
    pub fn id(&self, id: i64) -> i64 {
        self.ids.get(&id).copied().unwrap_or(id)
    }
}

/// A conflict with another transaction.
pub fn conflict(object: impl Into<String>, reason: impl Into<String>) -> CatalogError {
    CatalogError::Conflict { object: object.into(), reason: reason.into() }
}

/// Writes the request as the next snapshot inside `tx`. The statement `opening` is sent first; `ahead`, where
/// it serves the request, takes the place of what is read otherwise.
pub fn commit<'a>(
    tx: &'a mut WriterTurn,
    opening: &'static str,
    ahead: Option<Ahead>,
    request: &'a CommitRequest,
    data_path: &'a str,
) -> BoxFuture<'a, Result<Written>> {
    Box::pin(write(tx, opening, ahead, request, data_path))
}

async fn write(
    tx: &mut WriterTurn,
    opening: &'static str,
    ahead: Option<Ahead>,
    request: &CommitRequest,
    data_path: &str,
) -> Result<Written> {
    let foreseen = ahead.is_some();
    let (head, mut known) = match (ahead, only_table(request)) {
        (Some(ahead), _) => (ahead.newest, Some(ahead.state)),
        (None, None) => {
            let text = format!("{opening}; {HEAD}");
            let row = sqlx::query(AssertSqlSafe(text)).fetch_one(&mut **tx).await?;
            (Newest::from_row(&row)?, None)
        }
        (None, Some(table_id)) => {
            let (head, known) = TableState::with_head(tx, opening, table_id).await?;
            (head, Some(known))
        }
    };
    let head_id = head.id;
    // Before the clock is asked: who asks for an earlier time does not wait for this commit.
    tx.takes_a_time(now_micros());
    let mut new = NewSnapshot {
        tx,
        batch: Batch::default(),
        snapshot: head_id + 1,
        base: request.base,
        schema_version: head.schema_version,
        next_catalog_id: head.next_catalog_id,
        next_file_id: head.next_file_id,
        definitions_changed: false,
        inlined_table_made: false,
        statistics_changed: request.tables.iter().any(|change| !change.inlined.is_empty()),
        first_file_id: head.next_file_id,
        changes_made: Vec::new(),
        ids: HashMap::new(),
        partition_ids: HashMap::new(),
        data_path,
        // Times grow with snapshots even when the clock does not.
        micros: now_micros().max(head.micros + 1),
        after: None,
    };
    if foreseen {
        // First of all: if another process has made this snapshot, nothing else was so either.
        new.batch.statement(opening);
        new.insert_snapshot();
    }
    for change in &request.changes {
        tables::apply(&mut new, change).await?;
    }
    for change in &request.tables {
        apply_rows(&mut new, change, known.take()).await?;
    }
    for change in &request.loads {
        loads::apply(&mut new, change).await?;
    }
    for change in &request.relocations {
        relocate::apply(&mut new, change).await?;
    }
    effects::apply(&mut new, &request.account).await?;
    if !foreseen {
        new.insert_snapshot();
    }
    let renumbered = new.inlined_table_made && !new.definitions_changed;
    let outcome = CommitOutcome {
        snapshot: new.snapshot,
        ids: std::mem::take(&mut new.ids),
        same_definitions: renumbered.then(|| (new.schema_version, new.version())),
    };
    let meta = &request.meta;
    let extra = meta.query_id.as_ref().map(|id| serde_json::json!({ "query_id": id }).to_string());
    new.batch
        .statement("INSERT INTO ducklake_snapshot_changes VALUES (?, ?, ?, ?, ?)")
        .bind(new.snapshot)
        .bind(new.changes_made.join(","))
        .bind(&meta.user)
        .bind(&meta.message)
        .bind(extra);
    let statements: HashSet<&String> = meta.query_id.iter().chain(&meta.statements).collect();
    let statements: Vec<&String> = statements.into_iter().collect();
    let snapshot = new.snapshot;
    if let [statement] = statements.as_slice() {
        new.batch
            .statement(concat!("INSERT INTO frazil_statement VALUES (?, ?, ?)", statement_again!()))
            .bind(*statement)
            .bind(head_id)
            .bind(snapshot);
    } else if let [one, other] = statements.as_slice() {
        new.batch
            .statement(concat!(
                "INSERT INTO frazil_statement VALUES (?, ?, ?), (?, ?, ?)",
                statement_again!()
            ))
            .bind(*one)
            .bind(head_id)
            .bind(snapshot)
            .bind(*other)
            .bind(head_id)
            .bind(snapshot);
    } else {
        for chunk in statements.chunks(ROWS_PER_INSERT) {
            let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO frazil_statement ");
            insert.push_values(chunk, |mut row, statement| {
                row.push_bind(*statement).push_bind(head_id).push_bind(snapshot);
            });
            insert.push(statement_again!());
            insert.build().persistent(false).execute(&mut **new.transaction().await?).await?;
        }
    }
    let newest = Newest {
        id: new.snapshot,
        micros: new.micros,
        schema_version: new.version(),
        next_catalog_id: new.next_catalog_id,
        next_file_id: new.next_file_id,
    };
    let after = adds_to_one(request).zip(new.after);
    let ahead = after.map(|(table_id, state)| Ahead { newest, table_id, state });
    Ok(Written { outcome, rest: new.batch, ahead })
}

/// Adds and removes rows of one table.
async fn apply_rows(
    new: &mut NewSnapshot<'_>,
    change: &TableChange,
    known: Option<TableState>,
) -> Result<()> {
    let table_id = new.id(change.table_id);
    let state = match known {
        Some(state) => state,
        None => TableState::read(new, table_id).await?,
    };
    if change.table_id >= 0 {
        let (begin, columns) = (state.begin, state.columns_changed);
        tables::check_same(new, begin, columns, change.defined_at, &change.table_name)?;
    }
    let file_ids = add_rows(new, table_id, state, change).await?;
    if !change.added.is_empty() {
        new.changes_made.push(format!("inserted_into_table:{table_id}"));
    }
    if !change.inlined.is_empty() {
        new.changes_made.push(format!("inlined_insert:{table_id}"));
    }
    let mut deleted_in_files = false;
    let mut deletes: Vec<(i64, i64, SnapshotId)> = Vec::new();
    for delete in &change.deletes {
        let file_id = match delete.target {
            DeleteTarget::Committed(id) => {
                check_file(new, table_id, id, delete, change).await?;
                id
            }
            DeleteTarget::Added(index) => *file_ids
                .get(index)
                .ok_or_else(|| CatalogError::Damaged("delete from a file not added".into()))?,
        };
        match &delete.delete_file {
            None => deletes.extend(delete.positions.iter().map(|p| (file_id, *p, new.snapshot))),
            Some(file) => {
                deleted_in_files = true;
                let id = new.next_file_id;
                new.next_file_id += 1;
                sqlx::query(
                    "INSERT INTO ducklake_delete_file VALUES (?, ?, ?, NULL, ?, ?, 1, 'parquet', ?, ?, ?, NULL, NULL)",
                )
                .bind(id)
                .bind(table_id)
                .bind(new.snapshot)
                .bind(file_id)
                .bind(&file.path)
                .bind(file.rows)
                .bind(file.bytes)
                .bind(file.footer_bytes)
                .execute(&mut **new.transaction().await?)
                .await?;
            }
        }
    }
    for file_id in &change.ended_files {
        deleted_in_files = true;
        end_file(new, table_id, *file_id, change).await?;
    }
    if !change.ended_inlined_rows.is_empty() {
        inlined::end_rows(new, &change.ended_inlined_rows, &change.table_name).await?;
    }
    add_inlined_deletes(new, table_id, &deletes).await?;
    if !deletes.is_empty() || !change.ended_inlined_rows.is_empty() {
        new.changes_made.push(format!("inlined_delete:{table_id}"));
    }
    if deleted_in_files {
        new.changes_made.push(format!("deleted_from_table:{table_id}"));
    }
    Ok(())
}

/// Adds files and inlined rows, and counts them in the table's statistics; gives the files' ids.
async fn add_rows(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    state: TableState,
    change: &TableChange,
) -> Result<Vec<i64>> {
    if change.added.is_empty() && change.inlined.is_empty() {
        return Ok(Vec::new());
    }
    let TableState { begin, columns_changed, stats, mut place, bounds } = state;
    let (mut records, mut next_row, mut bytes) = stats.unwrap_or((0, 0, 0));
    let mut ids = Vec::with_capacity(change.added.len());
    for file in &change.added {
        let id = new.next_file_id;
        new.next_file_id += 1;
        ids.push(id);
        sqlx::query(
            "INSERT INTO ducklake_data_file VALUES (?, ?, ?, NULL, NULL, ?, 1, 'parquet', ?, ?, ?, ?, ?, NULL, NULL, NULL)",
        )
        .bind(id)
        .bind(table_id)
        .bind(new.snapshot)
        .bind(&file.path)
        .bind(file.rows)
        .bind(file.bytes)
        .bind(file.footer_bytes)
        .bind(next_row)
        .bind(partitions::id(new, table_id, file.partition.as_deref()))
        .execute(&mut **new.transaction().await?)
        .await?;
        partitions::add_values(new, table_id, id, file.partition.as_deref()).await?;
        add_file_statistics(new, table_id, id, &file.statistics).await?;
        records += file.rows;
        next_row += file.rows;
        bytes += file.bytes;
    }
    for rows in &change.inlined {
        inlined::insert(new, table_id, rows, &mut place, &mut next_row).await?;
        records += rows.rows.num_rows() as i64;
    }
    let statement = match stats {
        Some(_) => {
            "UPDATE ducklake_table_stats SET record_count = ?, next_row_id = ?, \
             file_size_bytes = ? WHERE table_id = ?"
        }
        None => {
            "INSERT INTO ducklake_table_stats(record_count, next_row_id, file_size_bytes, table_id) \
             VALUES (?, ?, ?, ?)"
        }
    };
    new.batch.statement(statement).bind(records).bind(next_row).bind(bytes).bind(table_id);
    let statistics = change.added.iter().map(|file| &file.statistics);
    let statistics = statistics.chain(change.inlined.iter().map(|rows| &rows.statistics));
    let statistics: Vec<&ColumnStatistics> = statistics.flatten().collect();
    let bounds = bounds::widen(new, table_id, bounds, &statistics);
    let stats = Some((records, next_row, bytes));
    new.after = Some(TableState { begin, columns_changed, stats, place, bounds });
    Ok(ids)
}

/// What a commit of rows must know of their table.
#[derive(Debug)]
pub struct TableState {
    /// Where its live definition begins; none once it is dropped.
    begin: Option<SnapshotId>,
    /// The last snapshot that changed a column.
    columns_changed: SnapshotId,
    /// Rows, next row id and bytes; none before the first rows.
    stats: Option<(i64, i64, i64)>,
    place: InlinedPlace,
    /// Its columns' types and bounds.
    bounds: bounds::Stored,
}

/// The newest snapshot.
pub const HEAD: &str = "SELECT snapshot_id, snapshot_time, schema_version, next_catalog_id, \
     next_file_id FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1";

/// One row of what is known of table `?1`.
const STATE: &str = "SELECT (SELECT t.begin_snapshot FROM ducklake_table t WHERE t.table_id = ?1 \
     AND t.end_snapshot IS NULL), (SELECT MAX(CASE WHEN c.end_snapshot > c.begin_snapshot \
     THEN c.end_snapshot ELSE c.begin_snapshot END) FROM ducklake_column c \
     WHERE c.table_id = ?1), \
     s.record_count, s.next_row_id, s.file_size_bytes, \
     (SELECT MAX(v.schema_version) FROM ducklake_schema_versions v WHERE v.table_id = ?1), \
     n.table_name, n.schema_version FROM (SELECT 1) one \
     LEFT JOIN ducklake_table_stats s ON s.table_id = ?1 \
     LEFT JOIN (SELECT table_name, schema_version FROM ducklake_inlined_data_tables \
     WHERE table_id = ?1 ORDER BY schema_version DESC LIMIT 1) n ON 1 = 1 LIMIT 1";

/// The table of a request that changes the rows of one table and nothing else.
pub fn only_table(request: &CommitRequest) -> Option<i64> {
    let nothing_else =
        request.changes.is_empty() && request.loads.is_empty() && request.relocations.is_empty();
    match request.tables.as_slice() {
        [change] if nothing_else => Some(change.table_id),
        _ => None,
    }
}

impl TableState {
    async fn read(new: &mut NewSnapshot<'_>, table_id: i64) -> Result<TableState> {
        let schema_version = new.schema_version;
        let rows = sqlx::query(AssertSqlSafe(format!("{STATE}; {}", bounds::STORED)))
            .bind(table_id)
            .fetch_all(&mut **new.transaction().await?)
            .await?;
        TableState::from_rows(&rows, schema_version)
    }

    /// The row of [`HEAD`] too: every question to the database waits for two switches between threads.
    async fn with_head(
        tx: &mut WriterTurn,
        opening: &'static str,
        table_id: i64,
    ) -> Result<(Newest, TableState)> {
        let text = format!("{opening}; {HEAD}; {STATE}; {}", bounds::STORED);
        let mut rows = sqlx::query(AssertSqlSafe(text)).bind(table_id).fetch_all(&mut **tx).await?;
        if rows.is_empty() {
            return Err(sqlx::Error::RowNotFound.into());
        }
        let head = Newest::from_row(&rows.remove(0))?;
        let state = TableState::from_rows(&rows, head.schema_version)?;
        Ok((head, state))
    }

    /// What the rows of [`STATE`] and [`bounds::STORED`] tell.
    fn from_rows(rows: &[SqliteRow], schema_version: i64) -> Result<TableState> {
        let Some((row, columns)) = rows.split_first() else {
            return Err(sqlx::Error::RowNotFound.into());
        };
        let integer = |index: usize| row.try_get::<Option<i64>, _>(index);
        let (next_row, bytes) = (integer(3)?.unwrap_or(0), integer(4)?.unwrap_or(0));
        let newest = row.try_get::<Option<String>, _>(6)?.zip(integer(7)?);
        // Where no version is on record, the place that is there serves.
        let current = integer(5)?.or(newest.as_ref().map(|(_, version)| *version));
        Ok(TableState {
            begin: integer(0)?,
            columns_changed: integer(1)?.unwrap_or(0),
            stats: integer(2)?.map(|records| (records, next_row, bytes)),
            place: InlinedPlace { current: current.unwrap_or(schema_version), newest },
            bounds: bounds::Stored::from_rows(columns)?,
        })
    }
}

/// Writes a file's column statistics.
pub async fn add_file_statistics(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    id: i64,
    statistics: &[ColumnStatistics],
) -> Result<()> {
    for chunk in statistics.chunks(ROWS_PER_INSERT) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO ducklake_file_column_stats ");
        insert.push_values(chunk, |mut row, s| {
            row.push_bind(id)
                .push_bind(table_id)
                .push_bind(s.field_id)
                .push_bind(s.bytes)
                .push_bind(s.value_count)
                .push_bind(s.null_count)
                .push_bind(s.min.clone())
                .push_bind(s.max.clone())
                .push_bind(s.contains_nan.map(i64::from))
                .push_bind(None::<String>);
        });
        insert.build().execute(&mut **new.transaction().await?).await?;
    }
    Ok(())
}

/// Another transaction must not have touched the rows that are to go.
async fn check_file(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    file_id: i64,
    delete: &FileDelete,
    change: &TableChange,
) -> Result<()> {
    let base = change.base.unwrap_or(new.base);
    let live: Option<i64> = sqlx::query_scalar(
        "SELECT data_file_id FROM ducklake_data_file WHERE data_file_id = ? AND end_snapshot IS NULL",
    )
    .bind(file_id)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    if live.is_none() {
        return Err(conflict(&change.table_name, "the rows were moved or deleted"));
    }
    if base + 1 == new.snapshot && delete.delete_file.is_none() {
        return Ok(());
    }
    if base + 1 < new.snapshot && inlined_delete_table_exists(new, table_id).await? {
        let wanted: HashSet<i64> = delete.positions.iter().copied().collect();
        let others: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT row_id FROM ducklake_inlined_delete_{table_id} WHERE file_id = ? AND begin_snapshot > ?"
        )))
        .bind(file_id)
        .bind(base)
        .fetch_all(&mut **new.transaction().await?)
        .await?;
        if others.iter().any(|position| wanted.contains(position)) {
            return Err(conflict(&change.table_name, "the same rows were changed"));
        }
    }
    let current: Option<(i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT delete_file_id, begin_snapshot, partial_max FROM ducklake_delete_file \
         WHERE data_file_id = ? AND end_snapshot IS NULL",
    )
    .bind(file_id)
    .fetch_optional(&mut **new.transaction().await?)
    .await?;
    let newer = current.is_some_and(|(_, begin, partial_max)| {
        begin > base || partial_max.is_some_and(|m| m > base)
    });
    if newer {
        return Err(conflict(&change.table_name, "rows of the same file were changed"));
    }
    if delete.delete_file.is_some() {
        if current.map(|(id, _, _)| id) != delete.replaces {
            return Err(conflict(&change.table_name, "rows of the same file were changed"));
        }
        if let Some(id) = delete.replaces {
            sqlx::query(
                "UPDATE ducklake_delete_file SET end_snapshot = ? WHERE delete_file_id = ?",
            )
            .bind(new.snapshot)
            .bind(id)
            .execute(&mut **new.transaction().await?)
            .await?;
        }
    }
    Ok(())
}

async fn inlined_delete_table_exists(new: &mut NewSnapshot<'_>, table_id: i64) -> Result<bool> {
    super::files::has_table(
        new.transaction().await?,
        &format!("ducklake_inlined_delete_{table_id}"),
    )
    .await
}

/// Keeps deletes from data files as catalog rows: (file, position, snapshot of the delete).
pub async fn add_inlined_deletes(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    rows: &[(i64, i64, SnapshotId)],
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    if !inlined_delete_table_exists(new, table_id).await? {
        sqlx::query(AssertSqlSafe(format!(
            "CREATE TABLE ducklake_inlined_delete_{table_id}(file_id BIGINT, row_id BIGINT, begin_snapshot BIGINT)"
        )))
        .execute(&mut **new.transaction().await?)
        .await?;
    }
    for chunk in rows.chunks(ROWS_PER_INSERT) {
        let mut insert =
            QueryBuilder::<Sqlite>::new(format!("INSERT INTO ducklake_inlined_delete_{table_id} "));
        insert.push_values(chunk, |mut row, (file, position, at)| {
            row.push_bind(*file).push_bind(*position).push_bind(*at);
        });
        insert.build().execute(&mut **new.transaction().await?).await?;
    }
    Ok(())
}

/// Ends a file of which every row goes.
async fn end_file(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    file_id: i64,
    change: &TableChange,
) -> Result<()> {
    let base = change.base.unwrap_or(new.base);
    if base + 1 < new.snapshot {
        let newer: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM ducklake_delete_file WHERE data_file_id = ? \
             AND (begin_snapshot > ? OR partial_max > ?)",
        )
        .bind(file_id)
        .bind(base)
        .bind(base)
        .fetch_one(&mut **new.transaction().await?)
        .await?;
        let inlined: i64 = if inlined_delete_table_exists(new, table_id).await? {
            sqlx::query_scalar(AssertSqlSafe(format!(
                "SELECT count(*) FROM ducklake_inlined_delete_{table_id} WHERE file_id = ? AND begin_snapshot > ?"
            )))
            .bind(file_id)
            .bind(base)
            .fetch_one(&mut **new.transaction().await?)
            .await?
        } else {
            0
        };
        if newer + inlined > 0 {
            return Err(conflict(&change.table_name, "rows of the same file were changed"));
        }
    }
    let ended = sqlx::query(
        "UPDATE ducklake_data_file SET end_snapshot = ? WHERE data_file_id = ? AND end_snapshot IS NULL",
    )
    .bind(new.snapshot)
    .bind(file_id)
    .execute(&mut **new.transaction().await?)
    .await?;
    if ended.rows_affected() != 1 {
        return Err(conflict(&change.table_name, "the rows were moved or deleted"));
    }
    sqlx::query(
        "UPDATE ducklake_delete_file SET end_snapshot = ? WHERE data_file_id = ? AND end_snapshot IS NULL",
    )
    .bind(new.snapshot)
    .bind(file_id)
    .execute(&mut **new.transaction().await?)
    .await?;
    Ok(())
}
