//! IDENTIFIER(…): names given as strings, binds or session variables.

use frazil_common::{Code, ObjectName, Position, UserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::DialectError;
use crate::lexer;

/// Knows the values of binds and session variables that name objects.
pub trait IdentifierResolver {
    /// The text of the bind at `ordinal`, counted from 0 over the whole text.
    fn bind(&self, ordinal: usize) -> Option<String>;
    /// The text of the session variable, its name in upper case.
    fn variable(&self, name: &str) -> Option<String>;
}

/// Knows none: IDENTIFIER(?) and IDENTIFIER($v) are errors, IDENTIFIER('name') works.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoIdentifiers;

impl IdentifierResolver for NoIdentifiers {
    fn bind(&self, _ordinal: usize) -> Option<String> {
        None
    }

    fn variable(&self, _name: &str) -> Option<String> {
        None
    }
}

/// The name a text such as `db.schema."Table"` stands for.
///
/// # Errors
/// A text that is no object name.
pub fn parse_object_name_text(text: &str) -> Result<ObjectName, UserError> {
    let tokens = name_tokens(text, Position { line: 1, column: 1 })?;
    let idents: Vec<_> = tokens
        .into_iter()
        .filter_map(|token| match token.token {
            Token::Word(word) => Some(word.into_ident(token.span)),
            _ => None,
        })
        .collect();
    crate::identifier::object_name_of_identifiers(&idents)
}

/// The tokens of a name given as text: words and periods by turns.
pub(crate) fn name_tokens(text: &str, place: Position) -> Result<Vec<TokenWithSpan>, UserError> {
    let invalid = || -> UserError {
        DialectError::Invalid { message: format!("invalid identifier '{text}'."), position: place }
            .into()
    };
    let statements = lexer::lex(text).map_err(|_| invalid())?;
    let [tokens] = statements.as_slice() else { return Err(invalid()) };
    let well_formed = tokens.len() % 2 == 1
        && tokens.iter().enumerate().all(|(index, token)| match token.token {
            Token::Word(_) => index % 2 == 0,
            Token::Period => index % 2 == 1,
            _ => false,
        });
    if well_formed {
        Ok(tokens.clone())
    } else {
        Err(invalid().at(None))
            .map_err(|error: UserError| UserError { code: Code::InvalidIdentifier, ..error })
    }
}
