//! CREATE SEQUENCE.

use frazil_common::UserError;

use super::Statement;
use super::common::comment;
use super::create::CreateHead;
use crate::tokens::Tokens;

use frazil_common::ObjectName;

use super::common::CreateMode;

#[derive(Debug, Clone, PartialEq)]
pub struct CreateSequence {
    pub mode: CreateMode,
    pub name: ObjectName,
    pub start: i64,
    pub increment: i64,
    pub order: Option<bool>,
    pub comment: Option<String>,
}

pub(super) fn parse(tokens: &mut Tokens<'_>, head: CreateHead) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.name()?;
    mode.if_not_exists(tokens);
    let _ = tokens.words("WITH");
    let mut sequence =
        CreateSequence { mode, name, start: 1, increment: 1, order: None, comment: None };
    loop {
        if tokens.one_of(&["START WITH", "START"]).is_some() {
            tokens.optional_equals();
            sequence.start = tokens.integer()?;
        } else if tokens.one_of(&["INCREMENT BY", "INCREMENT"]).is_some() {
            tokens.optional_equals();
            let position = tokens.position();
            sequence.increment = tokens.integer()?;
            if sequence.increment == 0 {
                return Err(tokens.invalid("INCREMENT must not be 0.", position));
            }
        } else if tokens.words("ORDER") {
            sequence.order = Some(true);
        } else if tokens.words("NOORDER") {
            sequence.order = Some(false);
        } else if sequence.comment.is_none() && tokens.peek_words("COMMENT") {
            sequence.comment = comment(tokens)?;
        } else {
            return Ok(Statement::CreateSequence(sequence));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{error, statement, unexpected};

    #[test]
    fn clauses_in_any_order() {
        for (sql, start, increment, order) in [
            ("CREATE SEQUENCE s", 1, 1, None),
            ("CREATE SEQUENCE s START = 5 INCREMENT = -2 ORDER", 5, -2, Some(true)),
            (
                "CREATE OR REPLACE SEQUENCE s WITH START WITH 5 INCREMENT BY 2 NOORDER COMMENT = 'x'",
                5,
                2,
                Some(false),
            ),
        ] {
            let Statement::CreateSequence(create) = statement(sql) else { panic!("{sql}") };
            assert_eq!(
                (create.start, create.increment, create.order),
                (start, increment, order),
                "{sql}"
            );
        }
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE SEQUENCE s START x", "x");
        unexpected("CREATE SEQUENCE s FROB", "FROB");
        assert!(error("CREATE SEQUENCE s INCREMENT 0").message.contains("INCREMENT"));
    }
}
