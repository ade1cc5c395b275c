//! INSERT, UPDATE, DELETE.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::Statement;
use crate::identifier::{identifier, object_name_of_identifiers};
use crate::tokens::Tokens;

use frazil_common::{ObjectName, Position};
use sqlparser::ast::{Expr, Query, TableWithJoins};

/// `INSERT [OVERWRITE] INTO table [(columns)] {VALUES … | query}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Insert {
    pub target: InsertTarget,
    pub overwrite: bool,
    pub source: InsertSource,
}

#[derive(Debug, Clone, PartialEq)]
pub struct InsertTarget {
    pub table: ObjectName,
    pub position: Position,
    /// Empty: all columns in table order.
    pub columns: Vec<(String, Position)>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum InsertSource {
    /// Rows of expressions; DEFAULT is an unquoted identifier `DEFAULT`
    /// (see [`InsertSource::is_default`]).
    Values(Vec<Vec<Expr>>),
    Query(Box<Query>),
}

impl InsertSource {
    /// Whether an expression of VALUES or SET is the word DEFAULT.
    pub fn is_default(expr: &Expr) -> bool {
        matches!(expr, Expr::Identifier(ident)
            if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("DEFAULT"))
    }
}

/// `UPDATE table [alias] SET … [FROM …] [WHERE …]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub table: ObjectName,
    pub position: Position,
    pub alias: Option<String>,
    pub assignments: Vec<Assignment>,
    pub from: Vec<TableWithJoins>,
    pub selection: Option<Expr>,
}

/// `column = value` of UPDATE and MERGE.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The qualifier before the column, if written.
    pub table: Option<ObjectName>,
    pub column: String,
    pub position: Position,
    pub value: Expr,
}

/// `DELETE FROM table [alias] [USING …] [WHERE …]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Delete {
    pub table: ObjectName,
    pub position: Position,
    pub alias: Option<String>,
    pub using: Vec<TableWithJoins>,
    pub selection: Option<Expr>,
}

pub(super) fn parse_insert(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let overwrite = tokens.words("OVERWRITE");
    if tokens.peek_words("ALL") || tokens.peek_words("FIRST") {
        let insert = super::multi_insert::parse(tokens, overwrite)?;
        return Ok(Statement::MultiInsert(Box::new(insert)));
    }
    tokens.expect_words("INTO")?;
    let _ = tokens.words("TABLE");
    let position = tokens.position();
    let table = tokens.name()?;
    let column_list = tokens.peek().token == Token::LParen
        && !["SELECT", "WITH", "VALUES"].iter().any(|word| tokens.peek_nth_word(1, word))
        && tokens.peek_nth(1).token != Token::LParen;
    let columns = if column_list {
        tokens.parenthesized(|tokens| tokens.placed_identifier())?
    } else {
        Vec::new()
    };
    let source = if tokens.words("VALUES") {
        InsertSource::Values(
            tokens.comma_separated(|tokens| tokens.parenthesized(|tokens| tokens.expr()))?,
        )
    } else {
        InsertSource::Query(tokens.query()?)
    };
    let target = InsertTarget { table, position, columns };
    Ok(Statement::Insert(Insert { target, overwrite, source }))
}

/// A table's name and, unless one of the words follows, its alias.
pub(super) fn target(
    tokens: &mut Tokens<'_>,
    stops: &[&str],
) -> Result<(ObjectName, Position, Option<String>), UserError> {
    let position = tokens.position();
    let table = tokens.name()?;
    let aliased = tokens.words("AS")
        || (tokens.peek_ident().is_some() && !stops.iter().any(|stop| tokens.peek_words(stop)));
    let alias = if aliased { Some(tokens.identifier()?) } else { None };
    Ok((table, position, alias))
}

/// `column = value`; a column of the table, perhaps qualified.
pub(super) fn assignment(tokens: &mut Tokens<'_>) -> Result<Assignment, UserError> {
    let position = tokens.position();
    let mut parts = tokens.name_parts()?;
    let column = parts.pop().as_ref().map(identifier).ok_or_else(|| tokens.unexpected())?;
    let table = if parts.is_empty() { None } else { Some(object_name_of_identifiers(&parts)?) };
    tokens.expect(&Token::Eq)?;
    let value = tokens.expr()?;
    Ok(Assignment { table, column, position, value })
}

fn relations(tokens: &mut Tokens<'_>) -> Result<Vec<TableWithJoins>, UserError> {
    tokens.comma_separated(|tokens| tokens.sql(|parser| parser.parse_table_and_joins()))
}

fn selection(tokens: &mut Tokens<'_>) -> Result<Option<Expr>, UserError> {
    if tokens.words("WHERE") { tokens.expr().map(Some) } else { Ok(None) }
}

pub(super) fn parse_update(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let (table, position, alias) = target(tokens, &["SET"])?;
    tokens.expect_words("SET")?;
    let assignments = tokens.comma_separated(assignment)?;
    let from = if tokens.words("FROM") { relations(tokens)? } else { Vec::new() };
    let selection = selection(tokens)?;
    Ok(Statement::Update(Update { table, position, alias, assignments, from, selection }))
}

pub(super) fn parse_delete(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    tokens.expect_words("FROM")?;
    let (table, position, alias) = target(tokens, &["USING", "WHERE"])?;
    let using = if tokens.words("USING") { relations(tokens)? } else { Vec::new() };
    let selection = selection(tokens)?;
    Ok(Statement::Delete(Delete { table, position, alias, using, selection }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{statement, unexpected};

    #[test]
    fn inserts_values_and_queries() {
        let Statement::Insert(insert) =
            statement("INSERT OVERWRITE INTO d.s.t (a, \"b\") VALUES (1, DEFAULT), (?, 'x')")
        else {
            panic!()
        };
        assert!(insert.overwrite);
        assert_eq!(insert.target.columns[1].0, "b");
        assert_eq!(insert.target.columns[1].1, Position { line: 1, column: 33 });
        let InsertSource::Values(rows) = insert.source else { panic!() };
        assert_eq!(rows.len(), 2);
        assert!(InsertSource::is_default(&rows[0][1]));
        assert_eq!(rows[1][0].to_string(), "?1");
        for sql in [
            "INSERT INTO t SELECT 1",
            "INSERT INTO t (SELECT 1)",
            "INSERT INTO t (a) (SELECT 1)",
            "INSERT INTO t WITH c AS (SELECT 1) SELECT * FROM c",
            "INSERT INTO t (WITH c AS (SELECT 1) SELECT * FROM c)",
            "INSERT INTO t ((SELECT 1) UNION ALL (SELECT 2))",
            "INSERT INTO t SELECT $1, parse_json($2) FROM VALUES (1, '{}')",
        ] {
            let Statement::Insert(insert) = statement(sql) else { panic!("{sql}") };
            assert!(matches!(insert.source, InsertSource::Query(_)), "{sql}");
        }
    }

    #[test]
    fn updates() {
        let Statement::Update(update) = statement(
            "UPDATE s.t AS x SET a = 1, x.b = u.b + 1 FROM u JOIN v ON u.i = v.i, w WHERE x.i = u.i",
        ) else {
            panic!()
        };
        assert_eq!(update.alias.as_deref(), Some("X"));
        assert_eq!(update.assignments[1].table, Some(ObjectName::bare("X")));
        assert_eq!(update.assignments[1].column, "B");
        assert_eq!((update.from.len(), update.selection.is_some()), (2, true));
        let Statement::Update(update) = statement("UPDATE t SET a = DEFAULT") else { panic!() };
        assert_eq!((update.alias, update.selection), (None, None));
    }

    #[test]
    fn deletes() {
        let Statement::Delete(delete) =
            statement("DELETE FROM t x USING u, (SELECT 1 AS i) v WHERE x.i = u.i AND v.i = u.i")
        else {
            panic!()
        };
        assert_eq!((delete.alias.as_deref(), delete.using.len()), (Some("X"), 2));
        let Statement::Delete(delete) = statement("DELETE FROM t") else { panic!() };
        assert_eq!((delete.alias, delete.selection), (None, None));
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("INSERT t VALUES (1)", "t");
        unexpected("INSERT INTO t (a) VALUES 1", "1");
        unexpected("INSERT INTO t VALUES (1) FROB", "FROB");
        unexpected("UPDATE t WHERE a = 1", "a =");
        unexpected("UPDATE t SET a 1", "1");
        unexpected("DELETE t", "t");
        unexpected("DELETE FROM t LIMIT 1", "1");
    }
}
