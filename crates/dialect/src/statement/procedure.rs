//! CALL, EXECUTE IMMEDIATE.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::Statement;
use crate::tokens::Tokens;

use sqlparser::ast::{Expr, Function};

/// `CALL name(arguments)`; also model methods `CALL m!METHOD(…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub function: Function,
}

/// `EXECUTE IMMEDIATE {'<sql>' | $variable} [USING (a, b)]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecuteImmediate {
    /// A string literal, a session variable (placeholder `$name`) or a bind (placeholder `?n`).
    pub statement: Expr,
    pub using: Vec<String>,
}

pub(super) fn parse_call(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let position = tokens.position();
    let start = tokens.unexpected();
    match tokens.expr()? {
        Expr::Function(function) => Ok(Statement::Call(Call { function })),
        _ => Err(start.at(Some(position))),
    }
}

pub(super) fn parse_execute_immediate(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    if tokens.peek_words("FROM") {
        return Err(tokens.unsupported("EXECUTE IMMEDIATE FROM"));
    }
    let known =
        matches!(&tokens.peek().token, Token::SingleQuotedString(_) | Token::Placeholder(_));
    if !known {
        return Err(tokens.unexpected());
    }
    let statement = tokens.sql(|parser| parser.parse_prefix())?;
    let using = if tokens.words("USING") {
        tokens.parenthesized(|tokens| tokens.identifier())?
    } else {
        Vec::new()
    };
    Ok(Statement::ExecuteImmediate(ExecuteImmediate { statement, using }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, statement, unexpected, unsupported};

    #[test]
    fn calls() {
        let Statement::Call(call) = statement("CALL d.s.p(1, a => 'x')") else { panic!() };
        assert_eq!(call.function.name.to_string(), "d.s.p");
        let Statement::Call(call) = statement("CALL m!FORECAST(3)") else { panic!() };
        assert_eq!(call.function.name.to_string(), "m.!FORECAST");
    }

    #[test]
    fn executes_text() {
        for sql in ["EXECUTE IMMEDIATE 'SELECT 1'", "EXECUTE IMMEDIATE $$SELECT 1$$"] {
            let Statement::ExecuteImmediate(execute) = statement(sql) else { panic!("{sql}") };
            assert_eq!(execute.statement.to_string(), "'SELECT 1'");
        }
        all_parse(&["EXECUTE IMMEDIATE $stmt USING (a, b)", "EXECUTE IMMEDIATE ?"]);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CALL p", "p");
        unexpected("EXECUTE IMMEDIATE SELECT 1", "SELECT");
        unsupported("EXECUTE IMMEDIATE FROM @s/f.sql", "EXECUTE IMMEDIATE FROM");
        unsupported("EXECUTE TASK t", "EXECUTE TASK");
    }
}
