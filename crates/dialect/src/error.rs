//! Syntax errors, in Snowflake's words and placed in the text.

use frazil_common::{Code, Position, UserError};
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// What goes wrong while reading SQL text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialectError {
    /// A token that may not stand where it stands.
    #[error("syntax error line {} at position {} unexpected '{found}'.", .position.line, .position.column.saturating_sub(1))]
    Unexpected { found: String, position: Position },
    /// A string, comment or quoted name that doesn't end.
    #[error("parse error line {} at position {} near '<EOF>'.", .position.line, .position.column.saturating_sub(1))]
    Unterminated { position: Position },
    #[error("Empty SQL statement.")]
    Empty,
    /// Nesting or length beyond what is parsed.
    #[error("SQL statement is too complex: {what}.")]
    TooComplex { what: &'static str, position: Position },
    #[error("Unsupported feature '{what}'.")]
    Unsupported { what: String, position: Position },
    #[error("{message}")]
    Invalid { message: String, position: Position },
}

impl From<DialectError> for UserError {
    fn from(error: DialectError) -> Self {
        let message = error.to_string();
        let (code, position) = match error {
            DialectError::Unexpected { position, .. } | DialectError::Unterminated { position } => {
                (Code::SyntaxError, Some(position))
            }
            DialectError::Empty => (Code::EmptyStatement, None),
            DialectError::TooComplex { position, .. } => (Code::ResourceLimit, Some(position)),
            DialectError::Unsupported { position, .. } => (Code::Unsupported, Some(position)),
            DialectError::Invalid { position, .. } => (Code::SyntaxError, Some(position)),
        };
        UserError::new(code, message).at(position)
    }
}

/// The place of a token.
pub(crate) fn position(location: Location) -> Position {
    Position { line: location.line.max(1), column: location.column.max(1) }
}

/// A token as Snowflake shows it in `unexpected '…'`.
pub(crate) fn found(token: &Token) -> String {
    match token {
        Token::EOF => "<EOF>".to_string(),
        Token::SingleQuotedString(text) => format!("'{text}'"),
        other => other.to_string(),
    }
}

/// `token` is not expected here; `end` is where the statement ends.
pub(crate) fn unexpected(token: &TokenWithSpan, end: Location) -> UserError {
    let place = if token.token == Token::EOF { end } else { token.span.start };
    DialectError::Unexpected { found: found(&token.token), position: position(place) }.into()
}

/// Translates an error of `sqlparser`; `next` is the token its parser stopped at.
pub(crate) fn from_parser(error: ParserError, next: &TokenWithSpan, end: Location) -> UserError {
    let text = match error {
        ParserError::RecursionLimitExceeded => {
            return DialectError::TooComplex {
                what: "nested too deeply",
                position: position(if next.token == Token::EOF { end } else { next.span.start }),
            }
            .into();
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let (message, place) = split_location(&text);
    let Some(token) = message.rsplit_once(", found: ").map(|(_, token)| token) else {
        return unexpected(next, end);
    };
    let (found, place) = match place {
        Some(place) if token != "EOF" => (token.to_string(), place),
        _ if token == "EOF" => ("<EOF>".to_string(), position(end)),
        _ => return unexpected(next, end),
    };
    DialectError::Unexpected { found, position: place }.into()
}

/// Splits `message at Line: 1, Column: 8`.
fn split_location(text: &str) -> (&str, Option<Position>) {
    let Some((message, place)) = text.rsplit_once(" at Line: ") else { return (text, None) };
    let Some((line, column)) = place.split_once(", Column: ") else { return (text, None) };
    match (line.parse(), column.parse()) {
        (Ok(line), Ok(column)) if line > 0 => (message, Some(Position { line, column })),
        _ => (message, None),
    }
}
