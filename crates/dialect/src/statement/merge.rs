//! MERGE.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::{Statement, dml};
use crate::tokens::Tokens;

use frazil_common::{ObjectName, Position};
use sqlparser::ast::{Expr, TableFactor};

use super::dml::Assignment;

/// `MERGE INTO table [alias] USING source ON condition WHEN …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    pub table: ObjectName,
    pub position: Position,
    pub alias: Option<String>,
    pub source: TableFactor,
    pub on: Expr,
    pub clauses: Vec<MergeClause>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MergeClause {
    pub kind: MergeClauseKind,
    /// AND condition.
    pub condition: Option<Expr>,
    pub action: MergeAction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeClauseKind {
    Matched,
    NotMatched,
}

#[derive(Debug, Clone, PartialEq)]
pub enum MergeAction {
    Update(Vec<Assignment>),
    /// `UPDATE ALL BY NAME`.
    UpdateAllByName,
    Delete,
    /// Columns (empty: all in table order) and values.
    Insert {
        columns: Vec<(String, Position)>,
        values: Vec<Expr>,
    },
    /// `INSERT ALL BY NAME`.
    InsertAllByName,
}

pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    tokens.expect_words("INTO")?;
    let (table, position, alias) = dml::target(tokens, &["USING"])?;
    tokens.expect_words("USING")?;
    let source = tokens.sql(|parser| parser.parse_table_factor())?;
    tokens.expect_words("ON")?;
    let on = tokens.expr()?;
    let mut clauses = Vec::new();
    while tokens.words("WHEN") {
        clauses.push(clause(tokens)?);
    }
    if clauses.is_empty() {
        return Err(tokens.unexpected());
    }
    Ok(Statement::Merge(Merge { table, position, alias, source, on, clauses }))
}

fn clause(tokens: &mut Tokens<'_>) -> Result<MergeClause, UserError> {
    let kind = if tokens.words("NOT MATCHED") {
        MergeClauseKind::NotMatched
    } else {
        tokens.expect_words("MATCHED")?;
        MergeClauseKind::Matched
    };
    if tokens.peek_words("BY SOURCE") {
        return Err(tokens.unsupported("MERGE … WHEN NOT MATCHED BY SOURCE"));
    }
    let condition = if tokens.words("AND") { Some(tokens.expr()?) } else { None };
    tokens.expect_words("THEN")?;
    let action = match kind {
        MergeClauseKind::Matched if tokens.words("DELETE") => MergeAction::Delete,
        MergeClauseKind::Matched if tokens.words("UPDATE ALL BY NAME") => {
            MergeAction::UpdateAllByName
        }
        MergeClauseKind::Matched => {
            tokens.expect_words("UPDATE SET")?;
            MergeAction::Update(tokens.comma_separated(dml::assignment)?)
        }
        MergeClauseKind::NotMatched if tokens.words("INSERT ALL BY NAME") => {
            MergeAction::InsertAllByName
        }
        MergeClauseKind::NotMatched => {
            tokens.expect_words("INSERT")?;
            let columns = if tokens.peek().token == Token::LParen {
                tokens.parenthesized(|tokens| tokens.placed_identifier())?
            } else {
                Vec::new()
            };
            tokens.expect_words("VALUES")?;
            MergeAction::Insert { columns, values: tokens.parenthesized(|tokens| tokens.expr())? }
        }
    };
    Ok(MergeClause { kind, condition, action })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{statement, unexpected, unsupported};

    #[test]
    fn clauses_keep_their_order() {
        let Statement::Merge(merge) = statement(
            "MERGE INTO t AS x USING (SELECT * FROM u) AS y ON x.id = y.id \
             WHEN MATCHED AND y.gone THEN DELETE \
             WHEN MATCHED THEN UPDATE SET x.a = y.a, b = DEFAULT \
             WHEN NOT MATCHED AND y.a > 1 THEN INSERT (id, a) VALUES (y.id, y.a) \
             WHEN NOT MATCHED THEN INSERT VALUES (y.id, 1)",
        ) else {
            panic!()
        };
        assert_eq!(merge.alias.as_deref(), Some("X"));
        let [first, second, third, fourth] = merge.clauses.as_slice() else { panic!() };
        assert_eq!((first.kind, &first.action), (MergeClauseKind::Matched, &MergeAction::Delete));
        assert!(first.condition.is_some());
        assert!(matches!(&second.action, MergeAction::Update(list) if list.len() == 2));
        assert!(matches!(&third.action, MergeAction::Insert { columns, .. } if columns.len() == 2));
        assert!(
            matches!(&fourth.action, MergeAction::Insert { columns, .. } if columns.is_empty())
        );
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("MERGE INTO t USING u ON t.a = u.a", "");
        unexpected(
            "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN INSERT VALUES (1)",
            "INSERT",
        );
        unexpected("MERGE INTO t USING u ON t.a = u.a WHEN NOT MATCHED THEN DELETE", "DELETE");
        unsupported(
            "MERGE INTO t USING u ON t.a = u.a WHEN NOT MATCHED BY SOURCE THEN DELETE",
            "BY SOURCE",
        );
    }
}
