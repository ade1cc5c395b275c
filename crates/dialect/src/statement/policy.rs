//! Masking and row access policies: CREATE, ALTER, and putting them on tables and views.

use frazil_common::{ObjectName, UserError};
use sqlparser::ast::{DataType, Expr};
use sqlparser::tokenizer::Token;

use super::Statement;
use super::common::{CreateMode, ObjectWord, comment};
use super::create::CreateHead;
use crate::tokens::Tokens;

/// `CREATE [OR REPLACE] {MASKING | ROW ACCESS} POLICY [IF NOT EXISTS] <name> AS (<arg> <type>, …)
/// RETURNS <type> -> <body> [COMMENT = '…']`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatePolicy {
    pub mode: CreateMode,
    /// MASKING POLICY or ROW ACCESS POLICY.
    pub kind: ObjectWord,
    pub name: ObjectName,
    pub arguments: Vec<PolicyArgument>,
    pub returns: DataType,
    pub body: PolicyBody,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PolicyArgument {
    pub name: String,
    pub data_type: DataType,
}

/// What a policy computes, and its text.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyBody {
    pub expr: Expr,
    pub text: String,
}

/// `ALTER {MASKING | ROW ACCESS} POLICY [IF EXISTS] <name> …`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterPolicy {
    pub kind: ObjectWord,
    pub if_exists: bool,
    pub name: ObjectName,
    pub action: AlterPolicyAction,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterPolicyAction {
    /// SET BODY -> expression.
    SetBody(Box<PolicyBody>),
    RenameTo(ObjectName),
    /// None: UNSET COMMENT.
    Comment(Option<String>),
}

/// `ALTER {TABLE | VIEW} [IF EXISTS] <name> …` that puts policies on it or takes them off.
#[derive(Debug, Clone, PartialEq)]
pub struct SetPolicy {
    /// TABLE or VIEW.
    pub kind: ObjectWord,
    pub if_exists: bool,
    pub name: ObjectName,
    /// One, but for the masks of several columns.
    pub actions: Vec<SetPolicyAction>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SetPolicyAction {
    /// `MODIFY COLUMN c SET MASKING POLICY p [USING (c, d, …)] [FORCE]`.
    SetMasking {
        column: String,
        policy: ObjectName,
        /// The columns of its arguments; empty: the column alone.
        using: Vec<String>,
        force: bool,
    },
    /// `MODIFY COLUMN c UNSET MASKING POLICY`.
    UnsetMasking { column: String },
    /// `ADD ROW ACCESS POLICY p ON (c, d, …)`.
    AddRowAccess { policy: ObjectName, on: Vec<String> },
    /// `DROP ROW ACCESS POLICY p [, ADD ROW ACCESS POLICY q ON (…)]`.
    DropRowAccess { policy: ObjectName, then: Option<(ObjectName, Vec<String>)> },
    /// `DROP ALL ROW ACCESS POLICIES`.
    DropAllRowAccess,
}

/// `[WITH] MASKING POLICY p [USING (c, d, …)]` in a column's definition.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnMask {
    pub policy: ObjectName,
    /// The columns of its arguments; empty: the column alone.
    pub using: Vec<String>,
}

/// `[WITH] ROW ACCESS POLICY p ON (c, d, …)` in the definition of a table or view.
#[derive(Debug, Clone, PartialEq)]
pub struct RowFilter {
    pub policy: ObjectName,
    pub on: Vec<String>,
}

/// Reads the words, with or without WITH, if they come next.
fn clause(tokens: &mut Tokens<'_>, words: &str) -> bool {
    tokens.words(words) || tokens.words(&format!("WITH {words}"))
}

/// Reads a column's masking policy, if one comes next and none was there before.
pub(super) fn mask(
    tokens: &mut Tokens<'_>,
    before: &mut Option<ColumnMask>,
) -> Result<bool, UserError> {
    const WORDS: &str = "MASKING POLICY";
    if before.is_some() || !clause(tokens, WORDS) {
        return Ok(false);
    }
    let policy = tokens.name()?;
    *before = Some(ColumnMask { policy, using: using(tokens)? });
    Ok(true)
}

/// Reads the policy on the rows of a table or view, if one comes next and none was there before.
pub(super) fn row_filter(
    tokens: &mut Tokens<'_>,
    before: &mut Option<RowFilter>,
) -> Result<bool, UserError> {
    const WORDS: &str = "ROW ACCESS POLICY";
    if before.is_some() || !clause(tokens, WORDS) {
        return Ok(false);
    }
    let policy = tokens.name()?;
    *before = Some(RowFilter { policy, on: on(tokens)? });
    Ok(true)
}

fn using(tokens: &mut Tokens<'_>) -> Result<Vec<String>, UserError> {
    if tokens.words("USING") {
        tokens.parenthesized(|tokens| tokens.identifier())
    } else {
        Ok(Vec::new())
    }
}

fn on(tokens: &mut Tokens<'_>) -> Result<Vec<String>, UserError> {
    tokens.expect_words("ON")?;
    tokens.parenthesized(|tokens| tokens.identifier())
}

fn body(tokens: &mut Tokens<'_>) -> Result<PolicyBody, UserError> {
    tokens.expect(&Token::Arrow)?;
    let start = tokens.offset();
    let expr = tokens.expr()?;
    Ok(PolicyBody { expr, text: tokens.text_since(start) })
}

pub(super) fn parse_masking(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    parse_create(tokens, head, ObjectWord::MaskingPolicy)
}

pub(super) fn parse_row_access(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    parse_create(tokens, head, ObjectWord::RowAccessPolicy)
}

fn parse_create(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
    kind: ObjectWord,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.name()?;
    tokens.expect_words("AS")?;
    let arguments = tokens.parenthesized(|tokens| {
        let name = tokens.identifier()?;
        Ok(PolicyArgument { name, data_type: tokens.data_type()? })
    })?;
    tokens.expect_words("RETURNS")?;
    let returns = tokens.data_type()?;
    let body = body(tokens)?;
    let comment = comment(tokens)?;
    if tokens.peek_words("EXEMPT_OTHER_POLICIES") {
        return Err(tokens.unsupported("EXEMPT_OTHER_POLICIES"));
    }
    Ok(Statement::CreatePolicy(Box::new(CreatePolicy {
        mode,
        kind,
        name,
        arguments,
        returns,
        body,
        comment,
    })))
}

pub(super) fn parse_alter(
    tokens: &mut Tokens<'_>,
    kind: ObjectWord,
) -> Result<Statement, UserError> {
    let if_exists = tokens.words("IF EXISTS");
    let name = tokens.name()?;
    let action = if tokens.words("SET BODY") {
        AlterPolicyAction::SetBody(Box::new(body(tokens)?))
    } else if tokens.words("RENAME TO") {
        AlterPolicyAction::RenameTo(tokens.name()?)
    } else if tokens.words("SET COMMENT") {
        AlterPolicyAction::Comment(Some(tokens.equals_text()?))
    } else if tokens.words("UNSET COMMENT") {
        AlterPolicyAction::Comment(None)
    } else {
        return Err(tokens.unexpected());
    };
    Ok(Statement::AlterPolicy(Box::new(AlterPolicy { kind, if_exists, name, action })))
}

/// What follows the name in ALTER TABLE or ALTER VIEW, where it is about a policy.
pub(super) fn parse_set(
    tokens: &mut Tokens<'_>,
) -> Result<Option<Vec<SetPolicyAction>>, UserError> {
    if tokens.words("ADD ROW ACCESS POLICY") {
        let policy = tokens.name()?;
        return Ok(Some(vec![SetPolicyAction::AddRowAccess { policy, on: on(tokens)? }]));
    }
    if tokens.words("DROP ALL ROW ACCESS POLICIES") {
        return Ok(Some(vec![SetPolicyAction::DropAllRowAccess]));
    }
    if tokens.words("DROP ROW ACCESS POLICY") {
        let policy = tokens.name()?;
        let then = if tokens.token(&Token::Comma) {
            tokens.expect_words("ADD ROW ACCESS POLICY")?;
            let next = tokens.name()?;
            Some((next, on(tokens)?))
        } else {
            None
        };
        return Ok(Some(vec![SetPolicyAction::DropRowAccess { policy, then }]));
    }
    if !(tokens.peek_words("ALTER") || tokens.peek_words("MODIFY")) {
        return Ok(None);
    }
    let column = if tokens.peek_nth_word(1, "COLUMN") { 2 } else { 1 };
    let follows = |n: usize, word: &str| tokens.peek_nth_word(column + n, word);
    if !((follows(1, "SET") || follows(1, "UNSET"))
        && follows(2, "MASKING")
        && follows(3, "POLICY"))
    {
        return Ok(None);
    }
    tokens.advance();
    tokens.comma_separated(set_mask).map(Some)
}

/// `[COLUMN] c {SET MASKING POLICY p [USING (…)] [FORCE] | UNSET MASKING POLICY}`.
fn set_mask(tokens: &mut Tokens<'_>) -> Result<SetPolicyAction, UserError> {
    let _ = tokens.words("COLUMN");
    let column = tokens.identifier()?;
    if tokens.words("UNSET MASKING POLICY") {
        return Ok(SetPolicyAction::UnsetMasking { column });
    }
    tokens.expect_words("SET MASKING POLICY")?;
    let policy = tokens.name()?;
    let using = using(tokens)?;
    let force = tokens.words("FORCE");
    Ok(SetPolicyAction::SetMasking { column, policy, using, force })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, statement, unexpected, unsupported};

    #[test]
    fn policies_are_made_and_set() {
        let Statement::CreatePolicy(create) = statement(
            "CREATE OR REPLACE MASKING POLICY p AS (val VARCHAR, who VARCHAR) RETURNS VARCHAR -> \
             CASE WHEN who = 'x' THEN val ELSE '*' END COMMENT = 'c'",
        ) else {
            panic!()
        };
        assert_eq!(create.kind, ObjectWord::MaskingPolicy);
        assert_eq!(create.arguments.len(), 2);
        assert_eq!(create.body.text, "CASE WHEN who = 'x' THEN val ELSE '*' END");
        assert_eq!(create.comment.as_deref(), Some("c"));
        let Statement::SetPolicy(set) =
            statement("ALTER TABLE t MODIFY COLUMN a SET MASKING POLICY p USING (a, b) FORCE")
        else {
            panic!()
        };
        assert_eq!(
            set.actions,
            [SetPolicyAction::SetMasking {
                column: "A".into(),
                policy: ObjectName::bare("P"),
                using: vec!["A".into(), "B".into()],
                force: true,
            }]
        );
        let Statement::SetPolicy(set) =
            statement("ALTER VIEW v DROP ROW ACCESS POLICY p, ADD ROW ACCESS POLICY q ON (a)")
        else {
            panic!()
        };
        assert_eq!(
            set.actions,
            [SetPolicyAction::DropRowAccess {
                policy: ObjectName::bare("P"),
                then: Some((ObjectName::bare("Q"), vec!["A".into()])),
            }]
        );
        let Statement::SetPolicy(set) = statement(
            "ALTER TABLE t MODIFY COLUMN a SET MASKING POLICY p USING (a, b), b UNSET MASKING POLICY, \
             COLUMN c SET MASKING POLICY q FORCE",
        ) else {
            panic!()
        };
        assert_eq!(set.actions.len(), 3);
        assert_eq!(set.actions[1], SetPolicyAction::UnsetMasking { column: "B".into() });
        all_parse(&[
            "CREATE ROW ACCESS POLICY IF NOT EXISTS p AS (a INT) RETURNS BOOLEAN -> a > 1",
            "ALTER MASKING POLICY p SET BODY -> '*'",
            "ALTER ROW ACCESS POLICY IF EXISTS p RENAME TO q",
            "ALTER MASKING POLICY p UNSET COMMENT",
            "ALTER TABLE t ALTER a UNSET MASKING POLICY",
            "ALTER TABLE t ADD ROW ACCESS POLICY p ON (a, b)",
            "ALTER TABLE t DROP ALL ROW ACCESS POLICIES",
            "DROP MASKING POLICY p",
            "DESCRIBE ROW ACCESS POLICY p",
        ]);
    }

    #[test]
    fn policies_come_with_definitions() {
        let Statement::CreateTable(table) = statement(
            "CREATE TABLE t (a INT NOT NULL WITH MASKING POLICY s.p USING (a, b) COMMENT 'c', \
             b INT MASKING POLICY q) WITH ROW ACCESS POLICY r ON (a, b) COMMENT = 'c'",
        ) else {
            panic!()
        };
        assert_eq!(
            table.row_access,
            Some(RowFilter { policy: ObjectName::bare("R"), on: vec!["A".into(), "B".into()] })
        );
        let super::super::create_table::CreateTableSource::Columns { columns, .. } = table.source
        else {
            panic!()
        };
        assert_eq!(columns[0].masking.as_ref().map(|mask| mask.using.len()), Some(2));
        assert_eq!(columns[1].masking.as_ref().map(|mask| mask.using.len()), Some(0));
        let Statement::CreateView(view) = statement(
            "CREATE VIEW v (a COMMENT 'c' MASKING POLICY p, b) ROW ACCESS POLICY r ON (a) AS SELECT 1, 2",
        ) else {
            panic!()
        };
        assert!(view.row_access.is_some() && view.columns[0].masking.is_some());
        all_parse(&[
            "CREATE TABLE t (a WITH MASKING POLICY p, b) AS SELECT 1, 2",
            "ALTER TABLE t ADD COLUMN a INT WITH MASKING POLICY p USING (a, b) TAG (x = '1')",
        ]);
        unexpected("CREATE TABLE t (a INT MASKING POLICY)", ")");
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE MASKING POLICY p AS (a INT) RETURNS INT FROB", "FROB");
        unexpected("ALTER MASKING POLICY p SET FROB", "SET");
        unexpected("ALTER TABLE t ADD ROW ACCESS POLICY p", "");
        unexpected("ALTER TABLE t MODIFY a SET MASKING POLICY p, b SET NOT NULL", "NOT");
        unsupported(
            "CREATE MASKING POLICY p AS (a INT) RETURNS INT -> 1 EXEMPT_OTHER_POLICIES = TRUE",
            "EXEMPT_OTHER_POLICIES",
        );
    }
}
