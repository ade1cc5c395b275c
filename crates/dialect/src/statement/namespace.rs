//! CREATE DATABASE, CREATE SCHEMA.

use frazil_common::UserError;

use super::Statement;
use super::common::{comment, refuse_governance};
use super::create::CreateHead;
use crate::identifier::{identifier, object_name_of_identifiers};
use crate::tokens::Tokens;

use frazil_common::ObjectName;

use super::common::{CreateMode, Persistence, TimeTravelPoint};
use super::options::Options;
use super::tag::{self, TagValue};

/// `CLONE source [AT | BEFORE (…)]`.
#[derive(Debug, Clone, PartialEq)]
pub struct NamespaceClone {
    pub source: ObjectName,
    pub point: Option<TimeTravelPoint>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateDatabase {
    pub mode: CreateMode,
    /// Permanent or transient.
    pub persistence: Persistence,
    pub name: String,
    pub clone: Option<NamespaceClone>,
    pub comment: Option<String>,
    pub tags: Vec<TagValue>,
    /// DATA_RETENTION_TIME_IN_DAYS and the like.
    pub options: Options,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateSchema {
    pub mode: CreateMode,
    pub persistence: Persistence,
    /// `[database.]schema`: the schema is the name's `name`, the database its `schema` part,
    /// as everywhere a schema is named.
    pub name: ObjectName,
    pub managed_access: bool,
    pub clone: Option<NamespaceClone>,
    pub comment: Option<String>,
    pub tags: Vec<TagValue>,
    pub options: Options,
}

const PROPERTIES: &[&str] = &[
    "DATA_RETENTION_TIME_IN_DAYS",
    "MAX_DATA_EXTENSION_TIME_IN_DAYS",
    "DEFAULT_DDL_COLLATION",
    "LOG_LEVEL",
    "TRACE_LEVEL",
];

fn clone(tokens: &mut Tokens<'_>) -> Result<Option<NamespaceClone>, UserError> {
    if !tokens.words("CLONE") {
        return Ok(None);
    }
    let source = tokens.name()?;
    Ok(Some(NamespaceClone { source, point: TimeTravelPoint::parse(tokens)? }))
}

pub(super) fn parse_database(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.identifier()?;
    mode.if_not_exists(tokens);
    for words in ["FROM SHARE", "FROM LISTING", "AS REPLICA OF"] {
        if tokens.peek_words(words) {
            return Err(tokens.unsupported(format!("CREATE DATABASE … {words}")));
        }
    }
    let clone = clone(tokens)?;
    let (mut text, mut tags, mut options) = (None, Vec::new(), Options::default());
    loop {
        let found = tag::values(tokens, &tags)?;
        if !found.is_empty() {
            tags = found;
            continue;
        }
        refuse_governance(tokens)?;
        if text.is_none() && tokens.peek_words("COMMENT") {
            text = comment(tokens)?;
        } else if PROPERTIES.iter().any(|key| tokens.peek_words(key)) {
            options.parse_known(tokens, PROPERTIES)?;
        } else {
            break;
        }
    }
    Ok(Statement::CreateDatabase(CreateDatabase {
        mode,
        persistence: head.persistence,
        name,
        clone,
        comment: text,
        tags,
        options,
    }))
}

pub(super) fn parse_schema(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = schema_name(tokens)?;
    mode.if_not_exists(tokens);
    let clone = clone(tokens)?;
    let (mut text, mut options, mut managed_access) = (None, Options::default(), false);
    let mut tags = Vec::new();
    loop {
        let found = tag::values(tokens, &tags)?;
        if !found.is_empty() {
            tags = found;
            continue;
        }
        refuse_governance(tokens)?;
        if !managed_access && tokens.words("WITH MANAGED ACCESS") {
            managed_access = true;
        } else if text.is_none() && tokens.peek_words("COMMENT") {
            text = comment(tokens)?;
        } else if PROPERTIES.iter().any(|key| tokens.peek_words(key)) {
            options.parse_known(tokens, PROPERTIES)?;
        } else {
            break;
        }
    }
    Ok(Statement::CreateSchema(CreateSchema {
        mode,
        persistence: head.persistence,
        name,
        managed_access,
        clone,
        comment: text,
        tags,
        options,
    }))
}

/// `[database.]schema`.
fn schema_name(tokens: &mut Tokens<'_>) -> Result<ObjectName, UserError> {
    let position = tokens.position();
    let parts = tokens.name_parts()?;
    if parts.len() > 2 || parts.iter().any(|part| identifier(part).is_empty()) {
        return Err(tokens.invalid("a schema's name has at most two parts.", position));
    }
    object_name_of_identifiers(&parts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{error, statement, unexpected, unsupported};

    #[test]
    fn databases_and_schemas() {
        let Statement::CreateDatabase(create) = statement(
            "CREATE OR REPLACE TRANSIENT DATABASE d DATA_RETENTION_TIME_IN_DAYS = 0 COMMENT = 'x'",
        ) else {
            panic!()
        };
        assert_eq!((create.name.as_str(), create.persistence), ("D", Persistence::Transient));
        assert_eq!(create.comment.as_deref(), Some("x"));
        let Statement::CreateSchema(create) = statement(
            "CREATE SCHEMA IF NOT EXISTS d.s CLONE t BEFORE (TIMESTAMP => '2020-01-01'::TIMESTAMP) WITH MANAGED ACCESS",
        ) else {
            panic!()
        };
        assert_eq!((create.name.schema.as_deref(), create.name.name.as_str()), (Some("D"), "S"));
        assert!(create.managed_access && create.mode.if_not_exists);
        assert!(create.clone.and_then(|clone| clone.point).is_some());
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE DATABASE d FROB = 1", "FROB");
        unexpected("CREATE TEMP SCHEMA s", "SCHEMA");
        unsupported("CREATE DATABASE d FROM SHARE a.b", "FROM SHARE");
        unsupported("CREATE SCHEMA s WITH ROW ACCESS POLICY p ON (a)", "ROW ACCESS POLICY");
        assert!(error("CREATE SCHEMA a.b.c").message.contains("two parts"));
    }
}
