//! CREATE ROLE, CREATE USER.

use frazil_common::{ObjectName, UserError};

use super::Statement;
use super::common::comment;
use super::create::CreateHead;
use crate::tokens::Tokens;

use super::common::CreateMode;
use super::options::Options;
use super::tag::{self, TagValue};

#[derive(Debug, Clone, PartialEq)]
pub struct CreateRole {
    pub mode: CreateMode,
    pub name: String,
    pub comment: Option<String>,
    pub tags: Vec<TagValue>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateDatabaseRole {
    pub mode: CreateMode,
    /// `[database.]role`: the database is the name's `schema` part.
    pub name: ObjectName,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateUser {
    pub mode: CreateMode,
    pub name: String,
    /// PASSWORD, LOGIN_NAME, DISPLAY_NAME, EMAIL, DEFAULT_ROLE, DEFAULT_WAREHOUSE,
    /// DEFAULT_NAMESPACE, MUST_CHANGE_PASSWORD, DISABLED, TYPE, COMMENT, session parameters.
    pub options: Options,
    pub tags: Vec<TagValue>,
}

pub(super) fn parse_role(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.identifier()?;
    let (mut text, mut tags) = (None, Vec::new());
    loop {
        let found = tag::values(tokens, &tags)?;
        if !found.is_empty() {
            tags = found;
        } else if text.is_none() && tokens.peek_words("COMMENT") {
            text = comment(tokens)?;
        } else {
            return Ok(Statement::CreateRole(CreateRole { mode, name, comment: text, tags }));
        }
    }
}

pub(super) fn parse_database_role(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.name()?;
    let comment = comment(tokens)?;
    Ok(Statement::CreateDatabaseRole(CreateDatabaseRole { mode, name, comment }))
}

pub(super) fn parse_user(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.identifier()?;
    let (options, tags) = tag::options_and_values(tokens, false)?;
    Ok(Statement::CreateUser(CreateUser { mode, name, options, tags }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{error, statement, unexpected};

    #[test]
    fn roles_and_users() {
        assert_eq!(
            statement("CREATE ROLE IF NOT EXISTS r COMMENT = 'x'"),
            Statement::CreateRole(CreateRole {
                mode: CreateMode { or_replace: false, if_not_exists: true },
                name: "R".into(),
                comment: Some("x".into()),
                tags: Vec::new(),
            })
        );
        let Statement::CreateUser(create) = statement(
            "CREATE USER joe PASSWORD = 'p' DEFAULT_ROLE = r, DEFAULT_NAMESPACE = d.s MUST_CHANGE_PASSWORD = TRUE",
        ) else {
            panic!()
        };
        assert_eq!(create.options.0.len(), 4);
        assert_eq!(
            create.options.get("DEFAULT_NAMESPACE").and_then(|value| value.as_text()),
            Some("D.S")
        );
        let Statement::CreateUser(create) = statement("CREATE USER \"a.b@c.d\"") else { panic!() };
        assert!(create.name == "a.b@c.d" && create.options.is_empty());
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE ROLE r FROB", "FROB");
        unexpected("CREATE USER u PASSWORD 'x'", "'x'");
        unexpected("CREATE USER u PASSWORD =", "");
        assert!(
            error("CREATE USER u TYPE = x TYPE = y").message.contains("duplicate property 'TYPE'")
        );
    }
}
