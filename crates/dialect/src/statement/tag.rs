//! Tags: CREATE, ALTER, and ALTER of any object that sets them or takes them off.

use frazil_common::{ObjectName, UserError};
use sqlparser::tokenizer::Token;

use super::Statement;
use super::common::{CreateMode, ObjectWord, comment};
use super::create::CreateHead;
use super::options::Options;
use crate::tokens::Tokens;

/// `CREATE [OR REPLACE] TAG [IF NOT EXISTS] <name> [ALLOWED_VALUES 'a', …] [COMMENT = '…']`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTag {
    pub mode: CreateMode,
    pub name: ObjectName,
    /// Empty: any value.
    pub allowed_values: Vec<String>,
    pub comment: Option<String>,
}

/// `ALTER TAG [IF EXISTS] <name> …`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterTag {
    pub if_exists: bool,
    pub name: ObjectName,
    pub action: AlterTagAction,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterTagAction {
    RenameTo(ObjectName),
    AddAllowedValues(Vec<String>),
    DropAllowedValues(Vec<String>),
    UnsetAllowedValues,
    /// None: UNSET COMMENT.
    Comment(Option<String>),
    /// `SET MASKING POLICY p [, MASKING POLICY q …] [FORCE]`.
    SetMasking {
        policies: Vec<ObjectName>,
        force: bool,
    },
    /// `UNSET MASKING POLICY p [, MASKING POLICY q …]`.
    UnsetMasking(Vec<ObjectName>),
}

/// `<tag> = '<value>'`.
#[derive(Debug, Clone, PartialEq)]
pub struct TagValue {
    pub name: ObjectName,
    pub value: String,
}

/// `ALTER <kind> [IF EXISTS] <name> [MODIFY COLUMN c] {SET TAG t = 'v', … | UNSET TAG t, …}`.
#[derive(Debug, Clone, PartialEq)]
pub struct SetTags {
    pub kind: ObjectWord,
    pub if_exists: bool,
    /// None: the account, or the session's current schema or database.
    pub name: Option<ObjectName>,
    pub column: Option<String>,
    pub action: SetTagsAction,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SetTagsAction {
    Set(Vec<TagValue>),
    Unset(Vec<ObjectName>),
}

fn texts(tokens: &mut Tokens<'_>) -> Result<Vec<String>, UserError> {
    tokens.comma_separated(|tokens| tokens.expect_text())
}

fn value(tokens: &mut Tokens<'_>) -> Result<TagValue, UserError> {
    let name = tokens.name()?;
    tokens.expect(&Token::Eq)?;
    Ok(TagValue { name, value: tokens.expect_text()? })
}

/// `[WITH] TAG (t = 'v', …)`, if it comes next and none was there before.
pub(super) fn values(
    tokens: &mut Tokens<'_>,
    before: &[TagValue],
) -> Result<Vec<TagValue>, UserError> {
    let follows =
        |n: usize| tokens.peek_nth_word(n, "TAG") && tokens.peek_nth(n + 1).token == Token::LParen;
    let with = tokens.peek_words("WITH") && follows(1);
    if !(with || follows(0)) {
        return Ok(Vec::new());
    }
    if !before.is_empty() {
        return Err(tokens.unexpected());
    }
    let _ = tokens.words("WITH");
    tokens.expect_words("TAG")?;
    tokens.parenthesized(value)
}

/// `KEY = value …` up to the statement's end, and the tags, which may stand anywhere among them. At
/// least one of the two where `required`.
pub(super) fn options_and_values(
    tokens: &mut Tokens<'_>,
    mut required: bool,
) -> Result<(Options, Vec<TagValue>), UserError> {
    let (mut options, mut tags) = (Options::default(), Vec::new());
    loop {
        let found = values(tokens, &tags)?;
        if !found.is_empty() {
            tags = found;
            required = false;
        } else if tokens.at_end() && !required {
            return Ok((options, tags));
        } else {
            options.parse_one(tokens, 0)?;
            required = tokens.token(&Token::Comma);
        }
    }
}

pub(super) fn parse_create(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.name()?;
    let mut create = CreateTag { mode, name, allowed_values: Vec::new(), comment: None };
    loop {
        if create.allowed_values.is_empty() && tokens.words("ALLOWED_VALUES") {
            create.allowed_values = texts(tokens)?;
        } else if create.comment.is_none() && tokens.peek_words("COMMENT") {
            create.comment = comment(tokens)?;
        } else if tokens.peek_words("PROPAGATE") {
            return Err(tokens.unsupported("PROPAGATE"));
        } else {
            return Ok(Statement::CreateTag(create));
        }
    }
}

fn policies(tokens: &mut Tokens<'_>) -> Result<Vec<ObjectName>, UserError> {
    tokens.comma_separated(|tokens| {
        tokens.expect_words("MASKING POLICY")?;
        tokens.name()
    })
}

pub(super) fn parse_alter(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let if_exists = tokens.words("IF EXISTS");
    let name = tokens.name()?;
    let action = if tokens.words("RENAME TO") {
        AlterTagAction::RenameTo(tokens.name()?)
    } else if tokens.words("ADD ALLOWED_VALUES") {
        AlterTagAction::AddAllowedValues(texts(tokens)?)
    } else if tokens.words("DROP ALLOWED_VALUES") {
        AlterTagAction::DropAllowedValues(texts(tokens)?)
    } else if tokens.words("UNSET ALLOWED_VALUES") {
        AlterTagAction::UnsetAllowedValues
    } else if tokens.words("SET COMMENT") {
        AlterTagAction::Comment(Some(tokens.equals_text()?))
    } else if tokens.words("UNSET COMMENT") {
        AlterTagAction::Comment(None)
    } else if tokens.peek_words("SET MASKING POLICY") {
        tokens.expect_words("SET")?;
        let policies = policies(tokens)?;
        AlterTagAction::SetMasking { policies, force: tokens.words("FORCE") }
    } else if tokens.peek_words("UNSET MASKING POLICY") {
        tokens.expect_words("UNSET")?;
        AlterTagAction::UnsetMasking(policies(tokens)?)
    } else if tokens.peek_words("SET PROPAGATE") || tokens.peek_words("UNSET PROPAGATE") {
        return Err(tokens.unsupported("PROPAGATE"));
    } else {
        return Err(tokens.unexpected());
    };
    Ok(Statement::AlterTag(Box::new(AlterTag { if_exists, name, action })))
}

/// What follows `ALTER <kind>`, where it is about tags of the object.
pub(super) fn parse_set(
    tokens: &mut Tokens<'_>,
    kind: ObjectWord,
) -> Result<Option<Statement>, UserError> {
    let tags_follow = |tokens: &Tokens<'_>, n: usize| {
        (tokens.peek_nth_word(n, "SET") || tokens.peek_nth_word(n, "UNSET"))
            && tokens.peek_nth_word(n + 1, "TAG")
    };
    let unnamed = matches!(kind, ObjectWord::Account | ObjectWord::Database | ObjectWord::Schema)
        && tags_follow(tokens, 0);
    let if_exists = tokens.peek_words("IF EXISTS");
    let mut column = false;
    if !unnamed {
        // Nothing is read before it is known to be about tags.
        let mut at = if if_exists { 2 } else { 0 };
        while matches!(tokens.peek_nth(at).token, Token::Word(_)) {
            at += 1;
            let dotted = at;
            while tokens.peek_nth(at).token == Token::Period {
                at += 1;
            }
            if at == dotted {
                break;
            }
        }
        let has_columns = matches!(kind, ObjectWord::Table | ObjectWord::View);
        if has_columns && (tokens.peek_nth_word(at, "ALTER") || tokens.peek_nth_word(at, "MODIFY"))
        {
            column = true;
            at += if tokens.peek_nth_word(at + 1, "COLUMN") { 3 } else { 2 };
        }
        if !tags_follow(tokens, at) {
            return Ok(None);
        }
    }
    let _ = tokens.words("IF EXISTS");
    let name = if unnamed { None } else { Some(tokens.name()?) };
    let column = if column {
        tokens.advance();
        let _ = tokens.words("COLUMN");
        Some(tokens.identifier()?)
    } else {
        None
    };
    let action = if tokens.words("SET TAG") {
        SetTagsAction::Set(tokens.comma_separated(value)?)
    } else {
        tokens.expect_words("UNSET TAG")?;
        SetTagsAction::Unset(tokens.comma_separated(|tokens| tokens.name())?)
    };
    Ok(Some(Statement::SetTags(SetTags { kind, if_exists, name, column, action })))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, statement, unexpected, unsupported};

    #[test]
    fn tags_are_made_and_altered() {
        let Statement::CreateTag(create) =
            statement("CREATE OR REPLACE TAG d.s.cost ALLOWED_VALUES 'a', 'b' COMMENT = 'c'")
        else {
            panic!()
        };
        assert_eq!(create.allowed_values, ["a", "b"]);
        assert_eq!(create.comment.as_deref(), Some("c"));
        let Statement::AlterTag(alter) =
            statement("ALTER TAG IF EXISTS t SET MASKING POLICY p, MASKING POLICY s.q FORCE")
        else {
            panic!()
        };
        let AlterTagAction::SetMasking { policies, force } = alter.action else { panic!() };
        assert_eq!((policies.len(), force), (2, true));
        all_parse(&[
            "CREATE TAG IF NOT EXISTS t",
            "ALTER TAG t RENAME TO u",
            "ALTER TAG t ADD ALLOWED_VALUES 'x', 'y'",
            "ALTER TAG t DROP ALLOWED_VALUES 'x'",
            "ALTER TAG t UNSET ALLOWED_VALUES",
            "ALTER TAG t SET COMMENT = 'x'",
            "ALTER TAG t UNSET COMMENT",
            "ALTER TAG t UNSET MASKING POLICY p",
            "DROP TAG IF EXISTS t",
            "SHOW TAGS LIKE 'x' IN SCHEMA d.s",
        ]);
    }

    #[test]
    fn tags_are_set_on_objects() {
        let Statement::SetTags(set) =
            statement("ALTER TABLE IF EXISTS d..t MODIFY COLUMN a SET TAG s.t = 'x', u = 'y'")
        else {
            panic!()
        };
        assert!(set.if_exists);
        assert_eq!(set.column.as_deref(), Some("A"));
        let SetTagsAction::Set(values) = set.action else { panic!() };
        assert_eq!(values[1], TagValue { name: ObjectName::bare("U"), value: "y".into() });
        let Statement::SetTags(set) = statement("ALTER ACCOUNT SET TAG t = 'x'") else { panic!() };
        assert_eq!((set.kind, set.name), (ObjectWord::Account, None));
        let Statement::SetTags(set) = statement("ALTER SCHEMA d.s UNSET TAG t, u") else {
            panic!()
        };
        assert_eq!(
            set.action,
            SetTagsAction::Unset(vec![ObjectName::bare("T"), ObjectName::bare("U")])
        );
        all_parse(&[
            "ALTER TABLE t ALTER a UNSET TAG t",
            "ALTER VIEW v SET TAG t = 'x'",
            "ALTER WAREHOUSE w SET TAG t = 'x'",
            "ALTER DATABASE SET TAG t = 'x'",
            "ALTER ROLE r UNSET TAG t",
        ]);
    }

    #[test]
    fn tags_come_with_definitions() {
        let Statement::CreateTable(table) = statement(
            "CREATE TABLE t (a INT WITH TAG (x = '1'), b INT TAG (y = '2')) TAG (z = '3')",
        ) else {
            panic!()
        };
        assert_eq!(table.tags.len(), 1);
        let Statement::CreateView(view) =
            statement("CREATE VIEW v (a WITH TAG (x = '1')) WITH TAG (z = '3') AS SELECT 1")
        else {
            panic!()
        };
        assert_eq!((view.tags.len(), view.columns[0].tags.len()), (1, 1));
        for sql in [
            "CREATE DATABASE d COMMENT = 'c' WITH TAG (x = '1')",
            "CREATE SCHEMA d.s TAG (x = '1') WITH MANAGED ACCESS",
            "CREATE STAGE st WITH TAG (x = '1') COMMENT = 'c'",
            "CREATE WAREHOUSE w WITH TAG (x = '1') WAREHOUSE_SIZE = 'SMALL'",
            "CREATE WAREHOUSE w WITH WAREHOUSE_SIZE = 'SMALL' WITH TAG (x = '1')",
            "CREATE ROLE r TAG (x = '1') COMMENT = 'c'",
            "CREATE USER u PASSWORD = 'p', COMMENT = 'c' TAG (x = '1')",
            "CREATE OR REPLACE TABLE t LIKE u COPY TAGS WITH TAG (x = '1')",
        ] {
            assert!(format!("{:?}", statement(sql)).contains("TagValue"), "{sql}");
        }
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE TAG t ALLOWED_VALUES 1", "1");
        unexpected("ALTER TAG t FROB", "FROB");
        unexpected("ALTER TABLE t SET TAG x", "");
        unexpected("CREATE TABLE t (a INT) TAG (x = '1') TAG (y = '2')", "TAG (y");
        unexpected("CREATE USER u TAG (x = '1'), COMMENT = 'c'", ",");
        unexpected("CREATE ROLE r TAG (x = '1') TAG (y = '2')", "TAG (y");
        unsupported("CREATE TAG t PROPAGATE = ON_DEPENDENCY", "PROPAGATE");
    }
}
