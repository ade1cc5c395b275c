//! SQL text → [`Statement`].
//!
//! Queries and expressions are parsed by `sqlparser` with Snowflake's dialect, extended through
//! its hooks; statements are parsed here, clause by clause, so that every clause is either kept in
//! a field or refused by name. Knows nothing of the catalog.

mod chains;
mod dialect;
mod error;
mod identifier;
mod kind;
mod lexer;
mod name_argument;
mod parse;
mod rewrite;
pub mod statement;
#[cfg(test)]
mod test_support;
mod tokens;

pub use dialect::COLUMN_LIST;
pub use error::DialectError;
pub use identifier::{
    expression_identifier, identifier, like_all_patterns, model_of_function, object_name,
    object_name_of_identifiers, stage_location,
};
pub use kind::StatementKind;
pub use name_argument::{IdentifierResolver, NoIdentifiers, parse_object_name_text};
pub use parse::{
    Parsed, parse_expression, parse_query, parse_statement, parse_statement_with, parse_statements,
    parse_statements_with,
};
pub use statement::*;

/// The syntax tree of queries and expressions.
pub use sqlparser;
