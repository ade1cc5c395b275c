//! BEGIN, START TRANSACTION, COMMIT, ROLLBACK.

use frazil_common::UserError;

use super::Statement;
use crate::tokens::Tokens;

/// `{BEGIN [WORK | TRANSACTION] | START TRANSACTION} [NAME n]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Begin {
    pub name: Option<String>,
}

fn name(tokens: &mut Tokens<'_>) -> Result<Option<String>, UserError> {
    if tokens.words("NAME") { tokens.identifier().map(Some) } else { Ok(None) }
}

/// After BEGIN; a block of Snowflake Scripting begins with the same word.
pub(super) fn parse_begin(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let _ = tokens.one_of(&["WORK", "TRANSACTION"]);
    if !tokens.at_end() && !tokens.peek_words("NAME") {
        return Err(tokens.unsupported("Snowflake Scripting (BEGIN … END)"));
    }
    Ok(Statement::Begin(Begin { name: name(tokens)? }))
}

pub(super) fn parse_start(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    Ok(Statement::Begin(Begin { name: name(tokens)? }))
}

pub(super) fn parse_commit(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let _ = tokens.words("WORK");
    Ok(Statement::Commit)
}

pub(super) fn parse_rollback(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let _ = tokens.words("WORK");
    Ok(Statement::Rollback)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{statement, unexpected, unsupported};

    #[test]
    fn transactions() {
        for sql in ["BEGIN", "BEGIN WORK", "BEGIN TRANSACTION", "START TRANSACTION"] {
            assert_eq!(statement(sql), Statement::Begin(Begin { name: None }), "{sql}");
        }
        assert_eq!(statement("BEGIN NAME t1"), Statement::Begin(Begin { name: Some("T1".into()) }));
        assert_eq!(statement("commit work"), Statement::Commit);
        assert_eq!(statement("ROLLBACK"), Statement::Rollback);
    }

    #[test]
    fn blocks_are_refused_by_name() {
        unsupported("BEGIN SELECT 1", "Snowflake Scripting");
        unsupported("DECLARE x INT", "Snowflake Scripting");
        unexpected("COMMIT AND CHAIN", "AND");
        unexpected("ROLLBACK TO SAVEPOINT s", "TO");
    }
}
