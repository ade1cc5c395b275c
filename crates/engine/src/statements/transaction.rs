//! BEGIN, COMMIT, ROLLBACK.

use frazil_catalog::CommitMeta;
use frazil_common::UserError;
use frazil_dialect::Begin;

use crate::session::OpenTransaction;
use crate::statements::context::StatementContext;
use crate::statements::outcome::Outcome;

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
    if !context.describe_only
        && let Some(open) = slot.take()
    {
        let meta = CommitMeta {
            query_id: Some(context.query_id().to_string()),
            statements: open.query_ids.clone(),
            user: Some(context.session.user.clone()),
            message: open.name().map(str::to_string),
        };
        open.lake.commit(meta).await?;
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
