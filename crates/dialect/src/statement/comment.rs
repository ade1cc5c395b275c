//! COMMENT ON.

use frazil_common::UserError;

use super::Statement;
use crate::identifier::{identifier, object_name_of_identifiers};
use crate::tokens::Tokens;

use frazil_common::ObjectName;

use super::common::ObjectWord;

/// `COMMENT [IF EXISTS] ON <kind> <name> IS '<text>'`.
#[derive(Debug, Clone, PartialEq)]
pub struct CommentOn {
    pub if_exists: bool,
    pub kind: ObjectWord,
    /// For a column: its table.
    pub name: ObjectName,
    /// Set for `COMMENT ON COLUMN table.column`.
    pub column: Option<String>,
    pub comment: String,
}

pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let if_exists = tokens.words("IF EXISTS");
    tokens.expect_words("ON")?;
    let kind = ObjectWord::parse(tokens)?;
    let position = tokens.position();
    let mut parts = tokens.name_parts()?;
    let column = if kind == ObjectWord::Column { parts.pop() } else { None };
    if column.is_some() && parts.is_empty() {
        return Err(tokens.invalid("a column's name needs its table before it.", position));
    }
    let name = object_name_of_identifiers(&parts)?;
    tokens.expect_words("IS")?;
    let comment = tokens.expect_text()?;
    let column = column.as_ref().map(identifier);
    Ok(Statement::Comment(CommentOn { if_exists, kind, name, column, comment }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{error, statement, unexpected};

    #[test]
    fn comments_objects_and_columns() {
        assert_eq!(
            statement("COMMENT IF EXISTS ON TABLE s.t IS 'it''s'"),
            Statement::Comment(CommentOn {
                if_exists: true,
                kind: ObjectWord::Table,
                name: ObjectName { database: None, schema: Some("S".into()), name: "T".into() },
                column: None,
                comment: "it's".into(),
            })
        );
        let Statement::Comment(comment) = statement("COMMENT ON COLUMN d.s.t.c IS ''") else {
            panic!()
        };
        assert_eq!(comment.column.as_deref(), Some("C"));
        assert_eq!(comment.name.to_string(), "D.S.T");
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("COMMENT ON TABLE t 'x'", "'x'");
        unexpected("COMMENT ON FROB t IS 'x'", "FROB");
        assert!(error("COMMENT ON COLUMN c IS 'x'").message.contains("table"));
    }
}
