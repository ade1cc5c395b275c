//! ALTER: dispatch by kind.

use frazil_common::UserError;

use super::common::ObjectWord;
use super::{
    Statement, access_token, alter_object, alter_table, endpoint, model, policy, resource_monitor,
    session, tag, warehouse,
};
use crate::tokens::Tokens;

pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let position = tokens.position();
    if tokens.words("SESSION") {
        return session::parse_alter(tokens);
    }
    let kind = ObjectWord::parse(tokens)?;
    if let Some(statement) = tag::parse_set(tokens, kind)? {
        return Ok(statement);
    }
    match kind {
        ObjectWord::Table => alter_table::parse(tokens),
        ObjectWord::Warehouse => warehouse::parse_alter(tokens),
        ObjectWord::ResourceMonitor => resource_monitor::parse_alter(tokens),
        ObjectWord::Model => model::parse_alter(tokens),
        ObjectWord::Endpoint => endpoint::parse_alter(tokens),
        ObjectWord::Tag => tag::parse_alter(tokens),
        ObjectWord::MaskingPolicy | ObjectWord::RowAccessPolicy => {
            policy::parse_alter(tokens, kind)
        }
        ObjectWord::User => match access_token::parse(tokens)? {
            Some(statement) => Ok(statement),
            None => alter_object::parse(tokens, kind),
        },
        ObjectWord::View
        | ObjectWord::Account
        | ObjectWord::Schema
        | ObjectWord::Database
        | ObjectWord::Role
        | ObjectWord::DatabaseRole
        | ObjectWord::Stage
        | ObjectWord::FileFormat
        | ObjectWord::Sequence => alter_object::parse(tokens, kind),
        other => Err(UserError::unsupported(format!("ALTER {other}")).at(Some(position))),
    }
}
