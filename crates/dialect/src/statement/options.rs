//! `KEY = value` lists: properties, copy options, file formats.

use std::fmt;

use frazil_common::{UserError, quote_identifier};
use sqlparser::tokenizer::Token;

use crate::tokens::Tokens;

/// The value of a property.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionValue {
    /// A quoted string, escapes resolved.
    Text(String),
    /// A number as written, with its sign.
    Number(String),
    Boolean(bool),
    Null,
    /// An unquoted word, upper-cased (`CSV`, `SKIP_FILE_10%`), or a name as SQL text: folded, and
    /// quoted where it must be (`DB.S."f"`).
    Word(String),
    /// `(a, b)` or `[a, b]`.
    List(Vec<OptionValue>),
    /// `(KEY = value …)` or `(KEY => value, …)`.
    Map(Options),
}

impl OptionValue {
    /// The text of a string, a word or a number.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            OptionValue::Text(text) | OptionValue::Word(text) | OptionValue::Number(text) => {
                Some(text)
            }
            _ => None,
        }
    }

    /// The integer a number, or a string holding one, stands for.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            OptionValue::Number(text) | OptionValue::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// TRUE or FALSE, also as a string.
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            OptionValue::Boolean(value) => Some(*value),
            OptionValue::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            OptionValue::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// The values of a list; a single value counts as a list of one.
    pub fn as_list(&self) -> Vec<&OptionValue> {
        match self {
            OptionValue::List(values) => values.iter().collect(),
            other => vec![other],
        }
    }
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionValue::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            OptionValue::Number(text) | OptionValue::Word(text) => f.write_str(text),
            OptionValue::Boolean(value) => f.write_str(if *value { "TRUE" } else { "FALSE" }),
            OptionValue::Null => f.write_str("NULL"),
            OptionValue::List(values) => {
                f.write_str("(")?;
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    value.fmt(f)?;
                }
                f.write_str(")")
            }
            OptionValue::Map(options) => write!(f, "({options})"),
        }
    }
}

/// Properties in the order they were written; keys are upper case and unique.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options(pub Vec<(String, OptionValue)>);

impl Options {
    /// The value of a key given in upper case.
    pub fn get(&self, key: &str) -> Option<&OptionValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Takes a key out, so that what is left over can be refused.
    pub fn take(&mut self, key: &str) -> Option<OptionValue> {
        let index = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(index).1)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &OptionValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{key} = {value}")?;
        }
        Ok(())
    }
}

/// Lists and maps within each other.
const MOST_NESTING: usize = 16;

impl Options {
    /// Reads `KEY = value` as long as the next word is one of the keys; blanks or commas between.
    pub(super) fn parse_known(
        &mut self,
        tokens: &mut Tokens<'_>,
        keys: &[&str],
    ) -> Result<(), UserError> {
        while keys.iter().any(|key| tokens.peek_words(key)) {
            self.parse_one(tokens, 0)?;
            if tokens.peek().token == Token::Comma {
                tokens.advance();
            }
        }
        Ok(())
    }

    /// Reads `KEY = value` up to the statement's end; at least one where `required`.
    pub(super) fn parse_to_end(tokens: &mut Tokens<'_>, required: bool) -> Result<Self, UserError> {
        let mut options = Options::default();
        if tokens.at_end() && !required {
            return Ok(options);
        }
        loop {
            options.parse_one(tokens, 0)?;
            let comma = tokens.token(&Token::Comma);
            if tokens.at_end() && !comma {
                return Ok(options);
            }
        }
    }

    /// Reads `(KEY = value …)`; `=>` stands for `=`, commas are optional.
    pub(super) fn parse_parenthesized(tokens: &mut Tokens<'_>) -> Result<Self, UserError> {
        Self::parse_nested(tokens, 0)
    }

    fn parse_nested(tokens: &mut Tokens<'_>, depth: usize) -> Result<Self, UserError> {
        let mut options = Options::default();
        tokens.expect(&Token::LParen)?;
        while !tokens.token(&Token::RParen) {
            options.parse_one(tokens, depth)?;
            let _ = tokens.token(&Token::Comma);
        }
        Ok(options)
    }

    pub(super) fn parse_one(
        &mut self,
        tokens: &mut Tokens<'_>,
        depth: usize,
    ) -> Result<(), UserError> {
        let position = tokens.position();
        let key = tokens.identifier()?;
        if !tokens.token(&Token::Eq) {
            tokens.expect(&Token::RArrow)?;
        }
        let value = OptionValue::parse_at(tokens, depth)?;
        if self.get(&key).is_some() {
            return Err(tokens.invalid(format!("duplicate property '{key}'."), position));
        }
        self.0.push((key, value));
        Ok(())
    }
}

impl OptionValue {
    /// Reads one value.
    pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<OptionValue, UserError> {
        Self::parse_at(tokens, 0)
    }

    fn parse_at(tokens: &mut Tokens<'_>, depth: usize) -> Result<OptionValue, UserError> {
        if depth > MOST_NESTING {
            return Err(tokens.unexpected());
        }
        if let Some(text) = tokens.text_literal() {
            return Ok(OptionValue::Text(text));
        }
        match &tokens.peek().token {
            Token::Number(text, _) => {
                let text = text.clone();
                tokens.advance();
                Ok(OptionValue::Number(text))
            }
            Token::Minus | Token::Plus => {
                let sign = if tokens.advance().token == Token::Minus { "-" } else { "" };
                match &tokens.peek().token {
                    Token::Number(text, _) => {
                        let text = format!("{sign}{text}");
                        tokens.advance();
                        Ok(OptionValue::Number(text))
                    }
                    _ => Err(tokens.unexpected()),
                }
            }
            Token::Word(word) if word.quote_style.is_none() => {
                let simple = match word.value.to_ascii_uppercase().as_str() {
                    "TRUE" => Some(OptionValue::Boolean(true)),
                    "FALSE" => Some(OptionValue::Boolean(false)),
                    "NULL" => Some(OptionValue::Null),
                    _ => None,
                };
                match simple {
                    Some(value) => {
                        tokens.advance();
                        Ok(value)
                    }
                    None => Self::word(tokens),
                }
            }
            Token::Word(_) => Self::word(tokens),
            Token::LBracket => {
                tokens.advance();
                Self::list(tokens, &Token::RBracket, depth)
            }
            Token::LParen => {
                let map = matches!(tokens.peek_nth(1).token, Token::Word(_))
                    && matches!(tokens.peek_nth(2).token, Token::Eq | Token::RArrow);
                if map {
                    return Options::parse_nested(tokens, depth + 1).map(OptionValue::Map);
                }
                tokens.advance();
                Self::list(tokens, &Token::RParen, depth)
            }
            _ => Err(tokens.unexpected()),
        }
    }

    /// A word, a dotted name, or a word that goes on with `-word` or `%`.
    fn word(tokens: &mut Tokens<'_>) -> Result<OptionValue, UserError> {
        let mut text = String::new();
        for (index, part) in tokens.name_parts()?.iter().enumerate() {
            if index > 0 {
                text.push('.');
            }
            if !part.value.is_empty() || part.quote_style.is_some() {
                text.push_str(&quote_identifier(&crate::identifier::identifier(part)));
            }
        }
        while tokens.token(&Token::Minus) {
            text.push('-');
            text.push_str(&tokens.identifier()?);
        }
        if tokens.token(&Token::Mod) {
            text.push('%');
        }
        Ok(OptionValue::Word(text))
    }

    fn list(tokens: &mut Tokens<'_>, end: &Token, depth: usize) -> Result<OptionValue, UserError> {
        let mut values = Vec::new();
        while !tokens.token(end) {
            if !values.is_empty() {
                tokens.expect(&Token::Comma)?;
            }
            values.push(Self::parse_at(tokens, depth + 1)?);
        }
        Ok(OptionValue::List(values))
    }
}

/// Reads `UNSET`'s keys: `a, b`, commas optional.
pub(super) fn keys(tokens: &mut Tokens<'_>) -> Result<Vec<String>, UserError> {
    let mut keys = vec![tokens.identifier()?];
    while tokens.token(&Token::Comma) || !tokens.at_end() {
        keys.push(tokens.identifier()?);
    }
    Ok(keys)
}
