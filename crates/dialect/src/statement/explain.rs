//! EXPLAIN.

use frazil_common::UserError;

use crate::tokens::Tokens;

use super::Statement;

/// `EXPLAIN [USING {TABULAR | JSON | TEXT}] <statement>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    pub format: ExplainFormat,
    pub statement: Box<Statement>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExplainFormat {
    #[default]
    Tabular,
    Json,
    Text,
}

pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let format = if tokens.words("USING") {
        match tokens.one_of(&["TABULAR", "JSON", "TEXT"]) {
            Some("TABULAR") => ExplainFormat::Tabular,
            Some("JSON") => ExplainFormat::Json,
            Some(_) => ExplainFormat::Text,
            None => return Err(tokens.unexpected()),
        }
    } else {
        ExplainFormat::default()
    };
    if tokens.peek_words("EXPLAIN") {
        return Err(tokens.unexpected());
    }
    let statement = Box::new(super::parse(tokens)?);
    Ok(Statement::Explain(Explain { format, statement }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{statement, unexpected};

    #[test]
    fn formats() {
        for (sql, format) in [
            ("EXPLAIN SELECT 1", ExplainFormat::Tabular),
            ("EXPLAIN USING TEXT DELETE FROM t", ExplainFormat::Text),
            ("EXPLAIN USING JSON INSERT INTO t SELECT 1", ExplainFormat::Json),
        ] {
            let Statement::Explain(explain) = statement(sql) else { panic!("{sql}") };
            assert_eq!(explain.format, format, "{sql}");
        }
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("EXPLAIN USING FROB SELECT 1", "FROB");
        unexpected("EXPLAIN explain SELECT 1", "explain");
    }
}
