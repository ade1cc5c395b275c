//! The history read in pages: it may be longer than what memory takes.

use std::ops::ControlFlow;

use frazil_catalog::account::{AccessRecord, LoginFilter, LoginRecord, QueryFilter, QueryRecord};
use frazil_common::UserError;

use crate::statements::context::StatementContext;

/// Records read at a time.
const PAGE: i64 = 10_000;

/// Whether the reader wants more.
pub(crate) type Taken = Result<ControlFlow<()>, UserError>;

fn is_full<T>(page: &[T]) -> bool {
    page.len() as i64 == PAGE
}

/// Hands on the queries that a filter selects, newest first.
pub(crate) async fn each_query(
    context: &StatementContext,
    mut filter: QueryFilter,
    mut take: impl FnMut(QueryRecord) -> Taken,
) -> Result<(), UserError> {
    context.shared.history.flush().await;
    filter.limit = Some(PAGE);
    loop {
        let page = context.shared.accounts.query_history(&filter).await?;
        let more = is_full(&page);
        filter.after = page.last().map(|last| (last.start_time, last.query_id.clone()));
        for record in page {
            if take(record)?.is_break() {
                return Ok(());
            }
        }
        context.check_cancelled()?;
        if !more {
            return Ok(());
        }
    }
}

/// Hands on what the queries touched, newest first.
pub(crate) async fn each_access(
    context: &StatementContext,
    mut take: impl FnMut(AccessRecord) -> Taken,
) -> Result<(), UserError> {
    context.shared.history.flush().await;
    let mut after = None;
    loop {
        let page = context.shared.accounts.access_history(after.take(), PAGE).await?;
        let more = is_full(&page);
        after = page.last().map(|last| (last.query_start_time, last.query_id.clone()));
        for record in page {
            if take(record)?.is_break() {
                return Ok(());
            }
        }
        context.check_cancelled()?;
        if !more {
            return Ok(());
        }
    }
}

/// Hands on the logins that a filter selects up to the statement's start, newest first.
pub(crate) async fn each_login(
    context: &StatementContext,
    mut filter: LoginFilter,
    mut take: impl FnMut(LoginRecord) -> Taken,
) -> Result<(), UserError> {
    // Later ones would shift the pages.
    let now = context.facts.now_micros;
    filter.to = Some(filter.to.map_or(now, |to| to.min(now)));
    filter.limit = Some(PAGE);
    loop {
        let page = context.shared.accounts.login_history(&filter).await?;
        let more = is_full(&page);
        for record in page {
            if take(record)?.is_break() {
                return Ok(());
            }
        }
        context.check_cancelled()?;
        if !more {
            return Ok(());
        }
        filter.offset += PAGE;
    }
}
