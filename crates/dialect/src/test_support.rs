//! What the statements' tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use frazil_common::{Code, UserError};

use crate::{Statement, parse_statement};

/// The statement a text stands for.
#[track_caller]
pub(crate) fn statement(sql: &str) -> Statement {
    match parse_statement(sql) {
        Ok(parsed) => parsed.statement,
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// Every text parses.
#[track_caller]
pub(crate) fn all_parse(texts: &[&str]) {
    for sql in texts {
        statement(sql);
    }
}

#[track_caller]
pub(crate) fn error(sql: &str) -> UserError {
    match parse_statement(sql) {
        Ok(parsed) => panic!("{sql}: parsed as {:?}", parsed.statement),
        Err(error) => error,
    }
}

/// The text is refused at the first place `token` stands in it; what follows a blank or a closing
/// parenthesis in `token` only helps to find the place.
#[track_caller]
pub(crate) fn unexpected(sql: &str, token: &str) {
    let found = error(sql);
    let (offset, shown) = match token {
        "" => (sql.len(), "<EOF>"),
        ")" => (sql.find(')').expect("the token is in the text"), ")"),
        token => (
            sql.find(token).expect("the token is in the text"),
            token.split([' ', ')']).next().unwrap_or_default(),
        ),
    };
    let expected = format!("syntax error line 1 at position {offset} unexpected '{shown}'.");
    assert_eq!((found.code, found.message), (Code::SyntaxError, expected), "{sql}");
}

/// The text is refused as a feature that is not offered, which the message names.
#[track_caller]
pub(crate) fn unsupported(sql: &str, what: &str) {
    let found = error(sql);
    assert_eq!(found.code, Code::Unsupported, "{sql}: {found}");
    assert!(found.message.contains(what), "{sql}: {found}");
    assert!(found.position.is_some(), "{sql}: no position");
}
