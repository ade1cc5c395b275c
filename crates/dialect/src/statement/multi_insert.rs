//! INSERT ALL and INSERT FIRST: the rows of one query into several tables.

use frazil_common::UserError;
use sqlparser::ast::{Expr, Query};
use sqlparser::tokenizer::Token;

use super::dml::InsertTarget;
use crate::tokens::Tokens;

/// `INSERT [OVERWRITE] {ALL | FIRST} … query`.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiInsert {
    pub overwrite: bool,
    /// A row goes to the first condition it meets only.
    pub first: bool,
    /// The conditions of WHEN in order.
    pub conditions: Vec<Expr>,
    pub branches: Vec<InsertBranch>,
    pub source: Box<Query>,
}

/// One `INTO table [(columns)] [VALUES (…)]`.
#[derive(Debug, Clone, PartialEq)]
pub struct InsertBranch {
    pub when: BranchWhen,
    pub target: InsertTarget,
    /// Expressions over the query's columns, DEFAULT among them; without them all its columns.
    pub values: Option<Vec<Expr>>,
}

/// Which rows a branch takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchWhen {
    /// All of them.
    Always,
    /// Those that meet the condition of that index.
    Condition(usize),
    /// ELSE: those that meet no condition.
    Otherwise,
}

/// What follows `INSERT [OVERWRITE]`, from ALL or FIRST on.
pub(super) fn parse(tokens: &mut Tokens<'_>, overwrite: bool) -> Result<MultiInsert, UserError> {
    let first = tokens.words("FIRST");
    if !first {
        tokens.expect_words("ALL")?;
    }
    let mut conditions = Vec::new();
    let mut branches = Vec::new();
    if first || tokens.peek_words("WHEN") {
        while conditions.is_empty() || tokens.peek_words("WHEN") {
            tokens.expect_words("WHEN")?;
            conditions.push(tokens.expr()?);
            tokens.expect_words("THEN")?;
            targets(tokens, BranchWhen::Condition(conditions.len() - 1), &mut branches)?;
        }
        if tokens.words("ELSE") {
            targets(tokens, BranchWhen::Otherwise, &mut branches)?;
        }
    } else {
        targets(tokens, BranchWhen::Always, &mut branches)?;
    }
    let source = tokens.query()?;
    Ok(MultiInsert { overwrite, first, conditions, branches, source })
}

/// At least one INTO.
fn targets(
    tokens: &mut Tokens<'_>,
    when: BranchWhen,
    branches: &mut Vec<InsertBranch>,
) -> Result<(), UserError> {
    tokens.expect_words("INTO")?;
    loop {
        let position = tokens.position();
        let table = tokens.name()?;
        let listed = tokens.peek().token == Token::LParen
            && !["SELECT", "WITH", "VALUES"].iter().any(|word| tokens.peek_nth_word(1, word))
            && tokens.peek_nth(1).token != Token::LParen;
        let columns = if listed {
            tokens.parenthesized(|tokens| tokens.placed_identifier())?
        } else {
            Vec::new()
        };
        let values = if tokens.words("VALUES") {
            Some(tokens.parenthesized(|tokens| tokens.expr())?)
        } else {
            None
        };
        let target = InsertTarget { table, position, columns };
        branches.push(InsertBranch { when, target, values });
        if !tokens.words("INTO") {
            return Ok(());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::Statement;
    use crate::test_support::{statement, unexpected};

    fn parsed(sql: &str) -> MultiInsert {
        let Statement::MultiInsert(insert) = statement(sql) else { panic!("{sql}") };
        *insert
    }

    #[test]
    fn without_conditions() {
        let insert = parsed(
            "INSERT OVERWRITE ALL INTO t1 INTO d.s.t2 (a, b) VALUES (x, DEFAULT) \
             SELECT x, y FROM src",
        );
        assert!(insert.overwrite && !insert.first && insert.conditions.is_empty());
        let [one, two] = insert.branches.as_slice() else { panic!() };
        assert_eq!((one.when, &one.values), (BranchWhen::Always, &None));
        assert_eq!(two.target.columns.len(), 2);
        assert_eq!(two.values.as_ref().unwrap().len(), 2);
        let insert = parsed("INSERT ALL INTO t1 (SELECT 1)");
        assert!(insert.branches[0].target.columns.is_empty());
    }

    #[test]
    fn with_conditions() {
        let insert = parsed(
            "INSERT FIRST WHEN n > 100 THEN INTO t1 WHEN n > 10 THEN INTO t1 INTO t2 (a) \
             ELSE INTO t2 WITH c AS (SELECT 1 n) SELECT n FROM c",
        );
        assert!(insert.first);
        assert_eq!(insert.conditions.len(), 2);
        let whens: Vec<_> = insert.branches.iter().map(|branch| branch.when).collect();
        use BranchWhen::{Condition, Otherwise};
        assert_eq!(whens, [Condition(0), Condition(1), Condition(1), Otherwise]);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("INSERT FIRST INTO t SELECT 1", "INTO");
        unexpected("INSERT ALL SELECT 1", "SELECT");
        unexpected("INSERT ALL WHEN a THEN SELECT 1", "SELECT");
        unexpected("INSERT ALL INTO t VALUES 1 SELECT 1", "1");
    }
}
