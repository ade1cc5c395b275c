//! GRANT, REVOKE.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::Statement;
use crate::tokens::Tokens;

use frazil_common::{ObjectName, Position};

use super::common::ObjectWord;

/// `GRANT <privileges> ON <target> TO <grantee> [WITH GRANT OPTION]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    pub privileges: Privileges,
    pub on: GrantTarget,
    pub to: Grantee,
    pub with_grant_option: bool,
}

/// `REVOKE [GRANT OPTION FOR] <privileges> ON <target> FROM <grantee> [CASCADE | RESTRICT]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Revoke {
    pub grant_option_for: bool,
    pub privileges: Privileges,
    pub on: GrantTarget,
    pub from: Grantee,
    pub cascade: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Privileges {
    /// ALL [PRIVILEGES].
    All,
    List(Vec<PrivilegeWord>),
}

/// A privilege as written, upper case, one space between words: `CREATE FILE FORMAT`.
#[derive(Debug, Clone, PartialEq)]
pub struct PrivilegeWord {
    pub name: String,
    pub position: Position,
}

#[derive(Debug, Clone, PartialEq)]
pub enum GrantTarget {
    Account,
    Object {
        kind: ObjectWord,
        name: ObjectName,
    },
    /// ALL <kind plural> IN {DATABASE | SCHEMA} <name>: the objects of now.
    AllIn {
        kind: ObjectWord,
        scope: Scope,
    },
    /// FUTURE <kind plural> IN {DATABASE | SCHEMA} <name>: the objects to come.
    FutureIn {
        kind: ObjectWord,
        scope: Scope,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Scope {
    Database(String),
    Schema(ObjectName),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GranteeKind {
    Role,
    DatabaseRole,
    User,
    Share,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Grantee {
    pub kind: GranteeKind,
    /// Of more than one part only for database roles.
    pub name: ObjectName,
}

/// A role that is granted: of the account, or of a database.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantedRole {
    pub of_database: bool,
    /// Of more than one part only for database roles.
    pub name: ObjectName,
}

/// `GRANT [DATABASE] ROLE <role> TO {[DATABASE] ROLE <name> | USER <name>}`.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantRole {
    pub role: GrantedRole,
    pub to: Grantee,
}

/// `REVOKE [DATABASE] ROLE <role> FROM {[DATABASE] ROLE <name> | USER <name>}`.
#[derive(Debug, Clone, PartialEq)]
pub struct RevokeRole {
    pub role: GrantedRole,
    pub from: Grantee,
}

/// `GRANT OWNERSHIP ON <target> TO ROLE <name> [{COPY | REVOKE} CURRENT GRANTS]`.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantOwnership {
    pub on: GrantTarget,
    pub to: Grantee,
    pub grants: Option<OwnershipTransfer>,
}

/// What happens to the grants the object has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnershipTransfer {
    CopyCurrentGrants,
    RevokeCurrentGrants,
}

pub(super) fn parse_grant(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    if let Some(role) = granted_role(tokens)? {
        tokens.expect_words("TO")?;
        let to = grantee(tokens)?;
        return Ok(Statement::GrantRole(GrantRole { role, to }));
    }
    if tokens.words("OWNERSHIP ON") {
        let on = target(tokens)?;
        tokens.expect_words("TO")?;
        let to = grantee(tokens)?;
        let grants = match tokens.one_of(&["COPY CURRENT GRANTS", "REVOKE CURRENT GRANTS"]) {
            Some("COPY CURRENT GRANTS") => Some(OwnershipTransfer::CopyCurrentGrants),
            Some(_) => Some(OwnershipTransfer::RevokeCurrentGrants),
            None => None,
        };
        return Ok(Statement::GrantOwnership(GrantOwnership { on, to, grants }));
    }
    let privileges = privileges(tokens)?;
    tokens.expect_words("ON")?;
    let on = target(tokens)?;
    tokens.expect_words("TO")?;
    let to = grantee(tokens)?;
    let with_grant_option = tokens.words("WITH GRANT OPTION");
    Ok(Statement::Grant(Grant { privileges, on, to, with_grant_option }))
}

pub(super) fn parse_revoke(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    if let Some(role) = granted_role(tokens)? {
        tokens.expect_words("FROM")?;
        let from = grantee(tokens)?;
        return Ok(Statement::RevokeRole(RevokeRole { role, from }));
    }
    let grant_option_for = tokens.words("GRANT OPTION FOR");
    let privileges = privileges(tokens)?;
    tokens.expect_words("ON")?;
    let on = target(tokens)?;
    tokens.expect_words("FROM")?;
    let from = grantee(tokens)?;
    let cascade = tokens.one_of(&["CASCADE", "RESTRICT"]) == Some("CASCADE");
    Ok(Statement::Revoke(Revoke { grant_option_for, privileges, on, from, cascade }))
}

/// `[DATABASE] ROLE r` if it comes next.
fn granted_role(tokens: &mut Tokens<'_>) -> Result<Option<GrantedRole>, UserError> {
    Ok(if tokens.words("DATABASE ROLE") {
        Some(GrantedRole { of_database: true, name: tokens.name()? })
    } else if tokens.words("ROLE") {
        let name = ObjectName::bare(tokens.identifier()?);
        Some(GrantedRole { of_database: false, name })
    } else {
        None
    })
}

/// Privileges up to ON. A privilege is as many words as come before a comma or ON.
fn privileges(tokens: &mut Tokens<'_>) -> Result<Privileges, UserError> {
    if tokens.words("ALL") {
        let _ = tokens.words("PRIVILEGES");
        return Ok(Privileges::All);
    }
    let list = tokens.comma_separated(|tokens| {
        if tokens.peek_words("ON") {
            return Err(tokens.unexpected());
        }
        let position = tokens.position();
        let mut name = tokens.identifier()?;
        while tokens.peek_ident().is_some() && !tokens.peek_words("ON") {
            name.push(' ');
            name.push_str(&tokens.identifier()?);
        }
        if tokens.peek().token == Token::LParen {
            return Err(tokens.unsupported(format!("{name} on columns")));
        }
        Ok(PrivilegeWord { name, position })
    })?;
    Ok(Privileges::List(list))
}

fn target(tokens: &mut Tokens<'_>) -> Result<GrantTarget, UserError> {
    if tokens.words("ACCOUNT") {
        return Ok(GrantTarget::Account);
    }
    let group = tokens.one_of(&["ALL", "FUTURE"]);
    let Some(group) = group else {
        let kind = ObjectWord::parse(tokens)?;
        let name = tokens.name()?;
        if tokens.peek().token == Token::LParen {
            return Err(tokens.unsupported(format!("grants on a {kind}")));
        }
        return Ok(GrantTarget::Object { kind, name });
    };
    let kind = ObjectWord::parse_plural(tokens)?;
    tokens.expect_words("IN")?;
    let scope = scope(tokens)?;
    Ok(match group {
        "ALL" => GrantTarget::AllIn { kind, scope },
        _ => GrantTarget::FutureIn { kind, scope },
    })
}

/// `{DATABASE | SCHEMA} <name>`.
pub(super) fn scope(tokens: &mut Tokens<'_>) -> Result<Scope, UserError> {
    if tokens.words("DATABASE") {
        Ok(Scope::Database(tokens.identifier()?))
    } else {
        tokens.expect_words("SCHEMA")?;
        Ok(Scope::Schema(tokens.name()?))
    }
}

/// `[ROLE] r`, `USER u`, `DATABASE ROLE d.r`, `SHARE s`.
pub(super) fn grantee(tokens: &mut Tokens<'_>) -> Result<Grantee, UserError> {
    // A role may be called USER: only a further name makes it a kind.
    let followed = matches!(tokens.peek_nth(1).token, Token::Word(_));
    let kind = if !followed {
        GranteeKind::Role
    } else if tokens.words("DATABASE ROLE") {
        return Ok(Grantee { kind: GranteeKind::DatabaseRole, name: tokens.name()? });
    } else if tokens.words("USER") {
        GranteeKind::User
    } else if tokens.words("SHARE") {
        GranteeKind::Share
    } else {
        let _ = tokens.words("ROLE");
        GranteeKind::Role
    };
    Ok(Grantee { kind, name: ObjectName::bare(tokens.identifier()?) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, statement, unexpected, unsupported};

    #[test]
    fn privileges_on_objects() {
        let Statement::Grant(grant) =
            statement("GRANT SELECT, INSERT ON TABLE d.s.t TO ROLE r WITH GRANT OPTION")
        else {
            panic!()
        };
        let Privileges::List(list) = &grant.privileges else { panic!() };
        assert_eq!(
            list.iter().map(|word| word.name.as_str()).collect::<Vec<_>>(),
            ["SELECT", "INSERT"]
        );
        assert!(grant.with_grant_option);
        assert_eq!(grant.to, Grantee { kind: GranteeKind::Role, name: ObjectName::bare("R") });

        let Statement::Grant(grant) =
            statement("GRANT CREATE FILE FORMAT, USAGE ON SCHEMA d.s TO r")
        else {
            panic!()
        };
        let Privileges::List(list) = &grant.privileges else { panic!() };
        assert_eq!(list[0].name, "CREATE FILE FORMAT");
    }

    #[test]
    fn groups_of_objects() {
        let Statement::Grant(grant) =
            statement("GRANT ALL PRIVILEGES ON ALL TABLES IN SCHEMA d.s TO ROLE r")
        else {
            panic!()
        };
        assert_eq!(grant.privileges, Privileges::All);
        assert!(matches!(
            grant.on,
            GrantTarget::AllIn { kind: ObjectWord::Table, scope: Scope::Schema(_) }
        ));
        let Statement::Grant(grant) =
            statement("GRANT SELECT ON FUTURE VIEWS IN DATABASE d TO ROLE r")
        else {
            panic!()
        };
        assert_eq!(
            grant.on,
            GrantTarget::FutureIn { kind: ObjectWord::View, scope: Scope::Database("D".into()) }
        );
    }

    #[test]
    fn roles_and_ownership() {
        assert_eq!(
            statement("GRANT ROLE a TO USER b"),
            Statement::GrantRole(GrantRole {
                role: GrantedRole { of_database: false, name: ObjectName::bare("A") },
                to: Grantee { kind: GranteeKind::User, name: ObjectName::bare("B") }
            })
        );
        let Statement::GrantOwnership(grant) =
            statement("GRANT OWNERSHIP ON TABLE t TO ROLE r COPY CURRENT GRANTS")
        else {
            panic!()
        };
        assert_eq!(grant.grants, Some(OwnershipTransfer::CopyCurrentGrants));
        let Statement::Revoke(revoke) =
            statement("REVOKE GRANT OPTION FOR SELECT ON VIEW v FROM ROLE r CASCADE")
        else {
            panic!()
        };
        assert!(revoke.grant_option_for && revoke.cascade);
        all_parse(&[
            "REVOKE ROLE a FROM ROLE b",
            "GRANT CREATE DATABASE ON ACCOUNT TO ROLE r",
            "GRANT USAGE ON ENDPOINT e TO ROLE r",
            "GRANT USAGE ON MODEL m TO ROLE r",
            "GRANT USAGE, OPERATE ON WAREHOUSE w TO ROLE r",
            "REVOKE ALL ON SCHEMA s FROM r",
            "GRANT DATABASE ROLE d.a TO ROLE b",
            "REVOKE DATABASE ROLE a FROM DATABASE ROLE d.b",
        ]);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("GRANT SELECT ON t TO ROLE r", "t ");
        unexpected("GRANT SELECT ON TABLE t FROM ROLE r", "FROM");
        unexpected("GRANT ON TABLE t TO r", "ON");
        unexpected("GRANT SELECT ON ALL TABLE IN SCHEMA s TO r", "TABLE");
        unsupported("GRANT SELECT (a) ON TABLE t TO r", "columns");
    }
}
