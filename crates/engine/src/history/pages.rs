//! The history read in pages: it may be longer than what memory takes.

use std::ops::ControlFlow;

use frazil_catalog::account::{AccessRecord, LoginFilter, LoginRecord, QueryFilter, QueryRecord};
use frazil_common::UserError;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::statements::context::StatementContext;

/// Records read at a time.
const PAGE: i64 = 10_000;

/// Whether the reader wants more.
pub(crate) type Taken = Result<ControlFlow<()>, UserError>;

/// Start time and id of the last record of a page.
type Place = (i64, String);

/// Hands on what `read` gives page by page: at most a page of records, after the last one of the page
/// before, which is so many records in.
async fn each<'c, T>(
    context: &'c StatementContext,
    read: impl Fn(Option<Place>, i64) -> BoxFuture<'c, Result<Vec<T>, UserError>>,
    place: impl Fn(&T) -> Option<Place>,
    mut take: impl FnMut(T) -> Taken,
) -> Result<(), UserError> {
    let (mut after, mut read_so_far) = (None, 0);
    loop {
        let page = read(after, read_so_far).await?;
        let count = page.len() as i64;
        after = page.last().and_then(&place);
        read_so_far += count;
        for record in page {
            if take(record)?.is_break() {
                return Ok(());
            }
        }
        context.check_cancelled()?;
        if count < PAGE {
            return Ok(());
        }
    }
}

/// Hands on the queries that a filter selects, newest first.
pub(crate) async fn each_query(
    context: &StatementContext,
    filter: QueryFilter,
    take: impl FnMut(QueryRecord) -> Taken,
) -> Result<(), UserError> {
    context.shared.history.flush().await;
    let read = |after: Option<Place>, _| {
        let first = filter.after.clone();
        let page = QueryFilter { after: after.or(first), limit: Some(PAGE), ..filter.clone() };
        async move { Ok(context.shared.accounts.query_history(&page).await?) }.boxed()
    };
    each(context, read, |last| Some((last.start_time, last.query_id.clone())), take).await
}

/// Hands on what the queries touched, newest first.
pub(crate) async fn each_access(
    context: &StatementContext,
    take: impl FnMut(AccessRecord) -> Taken,
) -> Result<(), UserError> {
    context.shared.history.flush().await;
    let read = |after, _| {
        async move { Ok(context.shared.accounts.access_history(after, PAGE).await?) }.boxed()
    };
    each(context, read, |last| Some((last.query_start_time, last.query_id.clone())), take).await
}

/// Hands on the logins that a filter selects up to the statement's start, newest first.
pub(crate) async fn each_login(
    context: &StatementContext,
    mut filter: LoginFilter,
    take: impl FnMut(LoginRecord) -> Taken,
) -> Result<(), UserError> {
    // Later ones would shift the pages.
    let now = context.facts.now_micros;
    filter.to = Some(filter.to.map_or(now, |to| to.min(now)));
    let read = |_, before| {
        let offset = filter.offset + before;
        let page = LoginFilter { offset, limit: Some(PAGE), ..filter.clone() };
        async move { Ok(context.shared.accounts.login_history(&page).await?) }.boxed()
    };
    each(context, read, |_: &LoginRecord| None, take).await
}
