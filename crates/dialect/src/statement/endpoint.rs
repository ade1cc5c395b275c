//! CREATE ENDPOINT, ALTER ENDPOINT.

use frazil_common::UserError;

use super::Statement;
use super::common::comment;
use super::create::CreateHead;
use super::options::keys;
use crate::tokens::Tokens;

use frazil_common::ObjectName;

use super::common::CreateMode;
use super::options::Options;

/// `CREATE [OR REPLACE] ENDPOINT [IF NOT EXISTS] e FROM MODEL m [VERSION v] [COMMENT = '…']`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateEndpoint {
    pub mode: CreateMode,
    /// An account-level name.
    pub name: String,
    pub model: ObjectName,
    /// None: follows the model's default version.
    pub version: Option<String>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterEndpoint {
    pub name: String,
    pub if_exists: bool,
    pub action: AlterEndpointAction,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterEndpointAction {
    SetVersion(String),
    /// Back to the model's default version.
    UnsetVersion,
    RenameTo(String),
    Suspend,
    Resume,
    Set(Options),
    Unset(Vec<String>),
}

pub(super) fn parse_create(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.identifier()?;
    mode.if_not_exists(tokens);
    tokens.expect_words("FROM MODEL")?;
    let model = tokens.name()?;
    let version = if tokens.words("VERSION") { Some(tokens.identifier_or_text()?) } else { None };
    let comment = comment(tokens)?;
    Ok(Statement::CreateEndpoint(CreateEndpoint { mode, name, model, version, comment }))
}

pub(super) fn parse_alter(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let if_exists = tokens.words("IF EXISTS");
    let name = tokens.identifier()?;
    let action = if tokens.words("SET VERSION") {
        tokens.optional_equals();
        AlterEndpointAction::SetVersion(tokens.identifier_or_text()?)
    } else if tokens.words("UNSET VERSION") {
        AlterEndpointAction::UnsetVersion
    } else if tokens.words("RENAME TO") {
        AlterEndpointAction::RenameTo(tokens.identifier()?)
    } else if tokens.words("SUSPEND") {
        AlterEndpointAction::Suspend
    } else if tokens.words("RESUME") {
        AlterEndpointAction::Resume
    } else if tokens.words("SET") {
        AlterEndpointAction::Set(Options::parse_to_end(tokens, true)?)
    } else if tokens.words("UNSET") {
        AlterEndpointAction::Unset(keys(tokens)?)
    } else {
        return Err(tokens.unexpected());
    };
    Ok(Statement::AlterEndpoint(AlterEndpoint { name, if_exists, action }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{statement, unexpected};

    #[test]
    fn creates_and_alters() {
        assert_eq!(
            statement("CREATE OR REPLACE ENDPOINT e FROM MODEL d.s.m VERSION v2"),
            Statement::CreateEndpoint(CreateEndpoint {
                mode: CreateMode { or_replace: true, if_not_exists: false },
                name: "E".into(),
                model: ObjectName {
                    database: Some("D".into()),
                    schema: Some("S".into()),
                    name: "M".into()
                },
                version: Some("V2".into()),
                comment: None,
            })
        );
        let Statement::CreateEndpoint(create) =
            statement("CREATE ENDPOINT IF NOT EXISTS e FROM MODEL m")
        else {
            panic!()
        };
        assert!(create.mode.if_not_exists && create.version.is_none());
        for (sql, action) in [
            ("ALTER ENDPOINT e SET VERSION v2", AlterEndpointAction::SetVersion("V2".into())),
            ("ALTER ENDPOINT e SET VERSION = v2", AlterEndpointAction::SetVersion("V2".into())),
            ("ALTER ENDPOINT e UNSET VERSION", AlterEndpointAction::UnsetVersion),
            ("ALTER ENDPOINT e SUSPEND", AlterEndpointAction::Suspend),
        ] {
            let Statement::AlterEndpoint(alter) = statement(sql) else { panic!("{sql}") };
            assert_eq!(alter.action, action, "{sql}");
        }
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE ENDPOINT e MODEL m", "MODEL");
        unexpected("CREATE ENDPOINT e FROM MODEL m FROB", "FROB");
        unexpected("CREATE TEMP ENDPOINT e FROM MODEL m", "ENDPOINT");
        unexpected("ALTER ENDPOINT e FROB", "FROB");
    }
}
