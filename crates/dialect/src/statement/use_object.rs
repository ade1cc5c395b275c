//! USE.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::Statement;
use crate::tokens::Tokens;

use frazil_common::ObjectName;

/// `USE …`.
#[derive(Debug, Clone, PartialEq)]
pub enum Use {
    Database(String),
    Schema(ObjectName),
    /// `USE name`: a database, or with two parts a schema.
    Name(ObjectName),
    Warehouse(String),
    Role(String),
    SecondaryRoles(SecondaryRoles),
}

#[derive(Debug, Clone, PartialEq)]
pub enum SecondaryRoles {
    All,
    None,
    List(Vec<String>),
}

pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    // A kind's word alone is a name: `USE role` is a database called ROLE.
    let followed = matches!(tokens.peek_nth(1).token, Token::Word(_));
    let target = if !followed {
        Use::Name(tokens.name()?)
    } else if tokens.words("DATABASE") {
        Use::Database(tokens.identifier()?)
    } else if tokens.words("SCHEMA") {
        Use::Schema(tokens.name()?)
    } else if tokens.words("WAREHOUSE") {
        Use::Warehouse(tokens.identifier()?)
    } else if tokens.words("ROLE") {
        Use::Role(tokens.identifier()?)
    } else if tokens.words("SECONDARY ROLES") {
        Use::SecondaryRoles(match tokens.one_of(&["ALL", "NONE"]) {
            Some("ALL") => SecondaryRoles::All,
            Some(_) => SecondaryRoles::None,
            None => SecondaryRoles::List(tokens.comma_separated(|tokens| tokens.identifier())?),
        })
    } else {
        Use::Name(tokens.name()?)
    };
    Ok(Statement::Use(target))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{statement, unexpected};

    #[test]
    fn every_kind() {
        let name = |schema: Option<&str>, name: &str| ObjectName {
            database: None,
            schema: schema.map(ToString::to_string),
            name: name.to_string(),
        };
        for (sql, expected) in [
            ("USE DATABASE d", Use::Database("D".into())),
            ("USE SCHEMA d.s", Use::Schema(name(Some("D"), "S"))),
            ("USE WAREHOUSE \"w\"", Use::Warehouse("w".into())),
            ("USE ROLE r", Use::Role("R".into())),
            ("USE d.s", Use::Name(name(Some("D"), "S"))),
            ("USE role", Use::Name(name(None, "ROLE"))),
            ("USE SECONDARY ROLES ALL", Use::SecondaryRoles(SecondaryRoles::All)),
            ("USE SECONDARY ROLES NONE", Use::SecondaryRoles(SecondaryRoles::None)),
        ] {
            assert_eq!(statement(sql), Statement::Use(expected), "{sql}");
        }
        assert_eq!(
            statement("USE DATABASE IDENTIFIER('d')"),
            Statement::Use(Use::Database("D".into()))
        );
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("USE ROLE r s", "s");
        unexpected("USE", "");
    }
}
