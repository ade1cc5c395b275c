//! BEGIN, COMMIT, ROLLBACK, and the locks of statements.

use std::sync::Arc;

use frazil_catalog::{CommitMeta, TableInfo};
use frazil_common::{Code, Privilege, SqlType, UserError};
use frazil_dialect::{Begin, DescribeTransaction};

use crate::api::Changes;
use crate::session::ongoing::Wait;
use crate::session::repeated::RequestEntry;
use crate::session::savepoint::commit_entry;
use crate::session::transactions::{LockRequest, TransactionInfo};
use crate::session::{OpenTransaction, Session};
use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::{COUNT, Cell, Outcome};
use crate::statements::show::{INSTANT, TEXT};

const DONE: &str = "Statement executed successfully.";

/// Opens a transaction unless one is open.
pub(crate) async fn open(
    context: &StatementContext,
    slot: &mut Option<OpenTransaction>,
    name: Option<String>,
) -> Result<(), UserError> {
    if slot.is_none() {
        let lake = context.shared.lake.begin(context.session.id).await?;
        *slot = Some(OpenTransaction::open(&context.session, lake, name));
    }
    Ok(())
}

/// BEGIN inside a transaction is allowed and changes nothing.
pub(crate) async fn begin(
    context: &StatementContext,
    slot: &mut Option<OpenTransaction>,
    begin: &Begin,
) -> Result<Outcome, UserError> {
    if !context.describe_only {
        open(context, slot, begin.name.clone()).await?;
    }
    Outcome::status(DONE)
}

/// COMMIT without a transaction is allowed and changes nothing.
pub(crate) async fn commit(
    context: &StatementContext,
    slot: &mut Option<OpenTransaction>,
) -> Result<Outcome, UserError> {
    commit_for(context, slot, context.request.as_ref()).await
}

/// The commit that goes before a statement which commits on its own. A request of this statement alone
/// is not done with it.
pub(crate) async fn commit_before(
    context: &StatementContext,
    slot: &mut Option<OpenTransaction>,
) -> Result<Outcome, UserError> {
    commit_for(context, slot, context.request.as_ref().filter(|request| !request.alone)).await
}

async fn commit_for(
    context: &StatementContext,
    slot: &mut Option<OpenTransaction>,
    request: Option<&RequestEntry>,
) -> Result<Outcome, UserError> {
    if !context.describe_only
        && let Some(open) = slot.take()
    {
        if open.aborted {
            open.lake.rollback().await;
            return Outcome::status(DONE);
        }
        let mut statements: Vec<String> =
            open.done.iter().map(|done| done.query_id.to_string()).collect();
        statements.push(commit_entry(context.session.id, open.id()));
        statements.extend(request.map(|r| r.entry(context.query_id(), Changes::default())));
        let meta = CommitMeta {
            query_id: Some(context.query_id().to_string()),
            statements,
            user: Some(context.session.user.clone()),
            message: open.name().map(str::to_string),
        };
        // Locks end once the changes are there for all to see.
        open.lake.commit(meta).await?;
        open.running.note_committed();
        crate::statements::ownership::purge(context, &open.purged).await;
    }
    Outcome::status(DONE)
}

pub(crate) async fn rollback(slot: &mut Option<OpenTransaction>) -> Result<Outcome, UserError> {
    if let Some(open) = slot.take() {
        open.lake.rollback().await;
    }
    Outcome::status(DONE)
}

/// A wait for a lock, which is over when this is dropped: also where the statement was cancelled.
struct Waits<'c> {
    context: &'c StatementContext,
    wait: Wait,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let context = self.context;
        let waited = context.shared.ongoing.unblock(context.query_id(), &self.wait);
        // Of a statement without a place there is nothing to tell unless it waited.
        let mut record = context.record.lock();
        if record.detail.is_some() || waited >= 1000 {
            record.detail.get_or_insert_default().blocked += waited;
        }
    }
}

/// Locks a table for a statement that changes rows which are there already, until the statement's
/// transaction ends; then what others committed meanwhile is read too.
///
/// # Errors
/// See [`crate::session::transactions::Running::lock`].
pub(crate) async fn lock(
    context: &StatementContext,
    work: &mut Work,
    table: &TableInfo,
) -> Result<(), UserError> {
    if context.describe_only {
        return Ok(());
    }
    let name = table.name.to_string();
    let request = LockRequest {
        table_id: table.table_id,
        table: &name,
        query_id: context.query_id(),
        seconds: context.parameters.get_number("LOCK_TIMEOUT"),
        place: context.place.as_ref(),
    };
    let running = match work {
        Work::Open(guard) => guard.as_ref().map(|open| Arc::clone(&open.running)),
        Work::Auto(_) => {
            let session = &context.session;
            let begin =
                || Arc::new(context.shared.transactions.begin(session.id, &session.user, None));
            // A statement may lock several tables.
            Some(Arc::clone(context.running.lock().get_or_insert_with(begin)))
        }
    };
    let running = running.ok_or_else(|| UserError::internal("the open transaction is gone"))?;
    let waits = Waits { context, wait: context.shared.ongoing.block(context.query_id()) };
    running.lock(request, &context.cancel).await?;
    drop(waits);
    let lake = work.lake()?;
    // What upkeep moved before this is read; after this it moves nothing.
    lake.claim(table.table_id).await;
    Ok(lake.refresh().await?)
}

/// TRANSACTION_ABORT_ON_ERROR: gives up what the open transaction has done so far, and its locks.
pub(crate) async fn fail(session: &Session) -> Result<(), UserError> {
    let mut guard = session.transaction.clone().lock_owned().await;
    if let Some(open) = guard.as_mut()
        && !open.aborted
    {
        let fresh = session.shared.lake.begin(session.id).await?;
        open.undo_statement().await;
        open.aborted = true;
        open.keep_statement();
        std::mem::replace(&mut open.lake, fresh).rollback().await;
        open.running.release_locks();
    }
    Ok(())
}

/// What a statement in an aborted transaction is told.
pub(crate) fn is_aborted(open: &OpenTransaction) -> UserError {
    UserError::new(
        Code::TransactionConflict,
        format!(
            "Transaction {} was aborted by an earlier error. Only COMMIT and ROLLBACK are possible \
             in it.",
            open.running.info.id
        ),
    )
}

/// What SHOW and DESCRIBE tell of a transaction, with its state.
pub(crate) const COLUMNS: [(&str, SqlType); 6] = [
    ("id", COUNT),
    ("user", TEXT),
    ("session", COUNT),
    ("name", TEXT),
    ("started_on", INSTANT),
    ("state", TEXT),
];

/// The cells under [`COLUMNS`].
pub(crate) fn cells(transaction: TransactionInfo, state: &str) -> Vec<Cell> {
    vec![
        Cell::Number(transaction.id),
        Cell::from(transaction.user),
        Cell::Number(transaction.session_id),
        Cell::from(transaction.name),
        Cell::Instant(transaction.started_micros),
        Cell::from(state),
    ]
}

/// DESCRIBE TRANSACTION: one's own, and for those who monitor the account everybody's.
pub(crate) fn describe(
    context: &StatementContext,
    describe: &DescribeTransaction,
) -> Result<Outcome, UserError> {
    let columns = [&COLUMNS[..], &[("ended_on", INSTANT)]].concat();
    if context.describe_only {
        return Outcome::table(&columns, Vec::new());
    }
    let all = context.model.has_global(&context.roles, Privilege::Monitor);
    let (info, ended) = context
        .shared
        .transactions
        .find(describe.id)
        .filter(|(info, _)| all || info.user == context.session.user)
        .ok_or_else(|| UserError::not_found("Transaction", describe.id))?;
    let (state, ended) = match ended {
        None => ("running", Cell::Null),
        Some((true, at)) => ("committed", Cell::Instant(at)),
        Some((false, at)) => ("rolled back", Cell::Instant(at)),
    };
    let mut row = cells(info, state);
    row.push(ended);
    Outcome::table(&columns, vec![row])
}
