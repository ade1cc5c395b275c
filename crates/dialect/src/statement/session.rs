//! SET, UNSET, ALTER SESSION.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::Statement;
use super::options::keys;
use crate::tokens::Tokens;

use sqlparser::ast::Expr;

use super::options::Options;

/// `SET v = expr` or `SET (a, b) = (x, y)`.
#[derive(Debug, Clone, PartialEq)]
pub struct SetVariables {
    /// Names folded; as many as values, unless the one value is a subquery with that many columns.
    pub names: Vec<String>,
    pub values: Vec<Expr>,
}

/// `UNSET v` or `UNSET (a, b)`.
#[derive(Debug, Clone, PartialEq)]
pub struct UnsetVariables {
    pub names: Vec<String>,
}

/// `ALTER SESSION {SET k = v … | UNSET k, …}`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterSession {
    pub set: Options,
    pub unset: Vec<String>,
}

pub(super) fn parse_set(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let position = tokens.position();
    if !tokens.token(&Token::LParen) {
        let names = vec![tokens.identifier()?];
        tokens.expect(&Token::Eq)?;
        let values = vec![tokens.expr()?];
        return Ok(Statement::Set(SetVariables { names, values }));
    }
    let names = tokens.comma_separated(|tokens| tokens.identifier())?;
    tokens.expect(&Token::RParen)?;
    tokens.expect(&Token::Eq)?;
    let values = match tokens.expr()? {
        Expr::Tuple(values) => values,
        Expr::Nested(value) => vec![*value],
        value => vec![value],
    };
    let subquery = matches!(values.as_slice(), [Expr::Subquery(_)]);
    if !subquery && values.len() != names.len() {
        let message = format!("{} variables cannot take {} values.", names.len(), values.len());
        return Err(tokens.invalid(message, position));
    }
    Ok(Statement::Set(SetVariables { names, values }))
}

pub(super) fn parse_unset(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let names = if tokens.peek().token == Token::LParen {
        tokens.parenthesized(|tokens| tokens.identifier())?
    } else {
        vec![tokens.identifier()?]
    };
    Ok(Statement::Unset(UnsetVariables { names }))
}

/// After `ALTER SESSION`.
pub(super) fn parse_alter(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let (mut set, mut unset) = (Options::default(), Vec::new());
    if tokens.words("SET") {
        set = Options::parse_to_end(tokens, true)?;
    } else {
        tokens.expect_words("UNSET")?;
        unset = keys(tokens)?;
    }
    Ok(Statement::AlterSession(AlterSession { set, unset }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{error, statement, unexpected};

    #[test]
    fn variables() {
        let Statement::Set(set) = statement("SET v = 1 + 1") else { panic!() };
        assert_eq!((set.names, set.values.len()), (vec!["V".to_string()], 1));
        let Statement::Set(set) = statement("SET (a, b) = (1, 'x')") else { panic!() };
        assert_eq!((set.names.len(), set.values.len()), (2, 2));
        let Statement::Set(set) = statement("SET (a, b) = (SELECT 1, 2)") else { panic!() };
        assert_eq!((set.names.len(), set.values.len()), (2, 1));
        assert_eq!(
            statement("UNSET (a, b)"),
            Statement::Unset(UnsetVariables { names: vec!["A".into(), "B".into()] })
        );
    }

    #[test]
    fn parameters() {
        let Statement::AlterSession(alter) =
            statement("ALTER SESSION SET QUERY_TAG = 'x' TIMEZONE = 'UTC', AUTOCOMMIT = FALSE")
        else {
            panic!()
        };
        assert_eq!(alter.set.0.len(), 3);
        let Statement::AlterSession(alter) = statement("alter session unset query_tag, timezone")
        else {
            panic!()
        };
        assert_eq!(alter.unset, ["QUERY_TAG", "TIMEZONE"]);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("SET v 1", "1");
        unexpected("ALTER SESSION SET", "");
        unexpected("ALTER SESSION FROB", "FROB");
        assert!(error("SET (a, b) = (1, 2, 3)").message.contains("2 variables"));
    }
}
