//! The entry points: text → statements.

use frazil_common::{Code, Position, UserError};
use sqlparser::ast::{Expr, Query};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::dialect::FrazilDialect;
use crate::error::{DialectError, position};
use crate::lexer::{self, Source};
use crate::name_argument::{IdentifierResolver, NoIdentifiers};
use crate::rewrite::rewrite;
use crate::statement::{self, Statement};
use crate::tokens::Tokens;

/// One statement of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    pub statement: Statement,
    /// The statement as written, without the semicolon and the comments before it.
    pub text: String,
    /// Where it starts in the whole text.
    pub position: Position,
}

/// All statements of a text, separated by semicolons. Binds are numbered over the whole text:
/// the first `?` becomes the placeholder `?1`, as does `:1`.
///
/// # Errors
/// Syntax errors, placed in the whole text; an empty text.
pub fn parse_statements(text: &str) -> Result<Vec<Parsed>, UserError> {
    parse_statements_with(text, &NoIdentifiers)
}

/// As [`parse_statements`], with names for IDENTIFIER(?) and IDENTIFIER($variable).
///
/// # Errors
/// As [`parse_statements`]; a bind or variable the resolver doesn't know.
pub fn parse_statements_with(
    text: &str,
    resolver: &dyn IdentifierResolver,
) -> Result<Vec<Parsed>, UserError> {
    let statements = lexer::lex(text)?;
    if statements.is_empty() {
        return Err(DialectError::Empty.into());
    }
    let source = Source::new(text);
    let mut binds = 0;
    statements
        .into_iter()
        .map(|tokens| parse_one(&source, tokens, &mut binds, resolver, statement::parse))
        .collect()
}

/// The only statement of a text.
///
/// # Errors
/// As [`parse_statements`]; more than one statement.
pub fn parse_statement(text: &str) -> Result<Parsed, UserError> {
    parse_statement_with(text, &NoIdentifiers)
}

/// As [`parse_statement`], with names for IDENTIFIER(?) and IDENTIFIER($variable).
///
/// # Errors
/// As [`parse_statement`].
pub fn parse_statement_with(
    text: &str,
    resolver: &dyn IdentifierResolver,
) -> Result<Parsed, UserError> {
    let mut statements = parse_statements_with(text, resolver)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        _ => Err(UserError::new(
            Code::TooManyStatements,
            format!(
                "Actual statement count {} did not match the desired statement count 1.",
                statements.len() + 1
            ),
        )),
    }
}

/// A text that is one query, such as a view's.
///
/// # Errors
/// As [`parse_statement`]; a statement that is no query.
pub fn parse_query(text: &str) -> Result<Box<Query>, UserError> {
    parse_as(text, |tokens| tokens.query())
}

/// A text that is one expression, such as a column's default.
///
/// # Errors
/// As [`parse_statement`].
pub fn parse_expression(text: &str) -> Result<Expr, UserError> {
    parse_as(text, |tokens| tokens.expr())
}

fn parse_as<T>(
    text: &str,
    parse: impl FnOnce(&mut Tokens<'_>) -> Result<T, UserError>,
) -> Result<T, UserError> {
    let mut statements = lexer::lex(text)?;
    let (Some(tokens), true) = (statements.pop(), statements.is_empty()) else {
        return Err(DialectError::Empty.into());
    };
    let tokens = rewrite(tokens, &mut 0, &NoIdentifiers)?;
    let source = &Source::new(text);
    let dialect = FrazilDialect::new(tokens.len());
    let mut tokens = Tokens::new(&dialect, source, tokens);
    let parsed = parse(&mut tokens)?;
    tokens.expect_end()?;
    Ok(parsed)
}

fn parse_one(
    source: &Source<'_>,
    tokens: Vec<TokenWithSpan>,
    binds: &mut usize,
    resolver: &dyn IdentifierResolver,
    parse: impl FnOnce(&mut Tokens<'_>) -> Result<Statement, UserError>,
) -> Result<Parsed, UserError> {
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return Err(DialectError::Empty.into());
    };
    let (start, end) = (first.span.start, last.span.end);
    let tokens = rewrite(tokens, binds, resolver)?;
    let dialect = FrazilDialect::new(tokens.len());
    let mut cursor = Tokens::new(&dialect, source, tokens);
    let statement = parse(&mut cursor)
        .and_then(|statement| cursor.expect_end().map(|()| statement))
        .map_err(|error| blame_subquery(source, cursor.into_tokens(), error))?;
    let slice = source.text.get(source.offset(start)..source.offset(end)).unwrap_or_default();
    Ok(Parsed { statement, text: slice.to_string(), position: position(start) })
}

/// Subqueries looked at for the cause of an error.
const MOST_BLAMED: usize = 200;

/// `sqlparser` reads `(` in FROM as a subquery and, where that fails, as a join, so that a fault
/// inside a subquery is reported at its first word. The innermost subquery that doesn't parse by
/// itself has the fault's true place.
fn blame_subquery(source: &Source<'_>, tokens: Vec<TokenWithSpan>, error: UserError) -> UserError {
    if error.code != Code::SyntaxError {
        return error;
    }
    let mut open = Vec::new();
    let mut looked_at = 0;
    for (end, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => open.push(end + 1),
            Token::RParen => {
                let Some(start) = open.pop() else { return error };
                let subquery = matches!(&tokens[start].token, Token::Word(word)
                    if matches!(word.keyword, Keyword::SELECT | Keyword::WITH));
                if !subquery {
                    continue;
                }
                looked_at += 1;
                if looked_at > MOST_BLAMED {
                    return error;
                }
                let part = tokens[start..=end].to_vec();
                let dialect = FrazilDialect::new(part.len());
                let mut cursor = Tokens::new(&dialect, source, part);
                if let Err(inner) = cursor.query().and_then(|_| cursor.expect(&Token::RParen)) {
                    return inner;
                }
            }
            _ => {}
        }
    }
    error
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::StatementKind;

    #[test]
    fn statements_keep_their_text_and_place() {
        let text =
            "/* x */ SELECT ';' AS a ;\n-- c\n  BEGIN;;\n\tINSERT INTO t VALUES (?, ?) -- end\n; ";
        let parsed = parse_statements(text).unwrap();
        let found: Vec<_> = parsed
            .iter()
            .map(|one| {
                (one.text.as_str(), one.position.line, one.position.column, one.statement.kind())
            })
            .collect();
        assert_eq!(
            found,
            [
                ("SELECT ';' AS a", 1, 9, StatementKind::Select),
                ("BEGIN", 3, 3, StatementKind::Begin),
                ("INSERT INTO t VALUES (?, ?)", 4, 2, StatementKind::Insert),
            ]
        );
    }

    #[test]
    fn binds_are_numbered_over_the_whole_text() {
        let parsed = parse_statements("SELECT ?; SELECT ?").unwrap();
        let Statement::Query(query) = &parsed[1].statement else { panic!() };
        assert_eq!(query.to_string(), "SELECT ?2");
    }

    #[test]
    fn errors_are_placed_in_the_whole_text() {
        let error = parse_statements("SELECT 1;\n  SELEC 2").unwrap_err();
        assert_eq!(error.message, "syntax error line 2 at position 2 unexpected 'SELEC'.");
        assert_eq!(error.position, Some(Position { line: 2, column: 3 }));
        let error = parse_statement("SELECT a FROM t WHERE ORDER BY a,").unwrap_err();
        assert_eq!(error.code, Code::SyntaxError);
        let error = parse_statement("SELECT (1").unwrap_err();
        assert_eq!(error.message, "syntax error line 1 at position 9 unexpected '<EOF>'.");
    }

    #[test]
    fn nothing_and_too_much() {
        for text in ["", " ; -- x\n;", "/* x */"] {
            assert_eq!(parse_statements(text).unwrap_err().code, Code::EmptyStatement, "{text}");
        }
        assert_eq!(
            parse_statement("SELECT 1; SELECT 2").unwrap_err().code,
            Code::TooManyStatements
        );
        assert!(parse_expression("1 2").is_err());
        assert!(parse_query("DROP TABLE t").is_err());
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        for (open, close) in [
            ("(", ")"),
            ("SELECT * FROM (", ")"),
            ("NOT ", ""),
            ("CASE WHEN ", " END"),
            ("[", "]"),
            ("- ", ""),
        ] {
            let sql = format!("SELECT {}1{}", open.repeat(2000), close.repeat(2000));
            assert!(parse_statement(&sql).is_err(), "{open}");
        }
        let sql = format!("SELECT {}1{}", "(".repeat(100), ")".repeat(100));
        assert!(parse_statement(&sql).is_ok());
        let mut sql = "SELECT * FROM t".to_string();
        for _ in 0..60 {
            sql = format!("SELECT * FROM ( {sql} )");
        }
        assert!(parse_statement(&sql).is_ok());
    }

    #[test]
    fn kinds_have_words_and_numbers() {
        let kind = |sql: &str| parse_statement(sql).unwrap().statement.kind();
        for (sql, word, id) in [
            ("SELECT 1", "SELECT", 0x1000),
            ("INSERT INTO t SELECT 1", "INSERT", 0x3100),
            ("MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", "MERGE", 0x3400),
            ("COPY INTO t FROM @s", "COPY", 0x3600),
            ("COPY INTO @s FROM t", "UNLOAD", 0x3700),
            ("USE WAREHOUSE w", "USE_WAREHOUSE", 0x4303),
            ("SHOW TABLES", "SHOW", 0x4400),
            ("COMMIT", "COMMIT", 0x5100),
            ("CREATE TABLE t (a INT)", "CREATE_TABLE", 0x6000),
            ("CREATE TABLE t AS SELECT 1 a", "CREATE_TABLE_AS_SELECT", 0x6000),
            ("PUT file:///x @s", "PUT_FILES", 0x7102),
            ("GET @s file:///x", "GET_FILES", 0x7101),
            ("CALL p()", "CALL", 0x9000),
        ] {
            assert_eq!((kind(sql).as_str(), kind(sql).statement_type_id()), (word, id), "{sql}");
        }
    }
}
