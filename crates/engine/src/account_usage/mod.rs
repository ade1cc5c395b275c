//! SNOWFLAKE.ACCOUNT_USAGE: what happened in the whole account, for those who may monitor it.

mod access_history;

use frazil_common::{ObjectName, Privilege, UserError};
use frazil_planner::Relation;

use crate::statements::context::StatementContext;

/// Name of the database that holds the schema.
const DATABASE: &str = "SNOWFLAKE";
const SCHEMA: &str = "ACCOUNT_USAGE";

/// Whether a name means a view of this schema.
pub(crate) fn holds(name: &ObjectName) -> bool {
    name.database.as_deref() == Some(DATABASE) && name.schema.as_deref() == Some(SCHEMA)
}

/// The relation of `SNOWFLAKE.ACCOUNT_USAGE.name`.
///
/// # Errors
/// There is no such view, or the role may not monitor the account.
pub(crate) async fn relation(
    context: &StatementContext,
    name: &ObjectName,
) -> Result<Relation, UserError> {
    if !context.model.has_global(&context.roles, Privilege::Monitor) {
        return Err(UserError::not_found("Object", name));
    }
    let rows = match name.name.as_str() {
        "ACCESS_HISTORY" => access_history::access_history(context).await?,
        _ => return Err(UserError::not_found("Object", name)),
    };
    rows.into_relation()
}
