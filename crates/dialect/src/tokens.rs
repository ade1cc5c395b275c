//! A cursor over one statement's tokens: Frazil's clauses by word, expressions by `sqlparser`.

use frazil_common::{ObjectName, Position, UserError};
use sqlparser::ast::{DataType, Expr, Ident, Query};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use crate::error::{self, DialectError};
use crate::identifier::{identifier, object_name_of_identifiers};
use crate::lexer::Source;

/// Deep enough for generated SQL; `sqlparser` grows the stack where it recurses.
const RECURSION_LIMIT: usize = 400;

/// The tokens of one statement, read from left to right.
pub(crate) struct Tokens<'a> {
    parser: Parser<'a>,
    source: &'a Source<'a>,
    end: Location,
}

impl<'a> Tokens<'a> {
    /// `source` is the whole text the tokens' places refer to.
    pub(crate) fn new(
        dialect: &'a crate::dialect::FrazilDialect,
        source: &'a Source<'a>,
        tokens: Vec<TokenWithSpan>,
    ) -> Self {
        let end = tokens.last().map_or(Location { line: 1, column: 1 }, |token| token.span.end);
        let parser = Parser::new(dialect)
            .with_recursion_limit(RECURSION_LIMIT)
            .with_tokens_with_locations(tokens);
        Tokens { parser, source, end }
    }

    /// The next token, not read.
    pub(crate) fn peek(&self) -> &TokenWithSpan {
        self.parser.peek_token_ref()
    }

    /// The token `n` after the next.
    pub(crate) fn peek_nth(&self, n: usize) -> &TokenWithSpan {
        self.parser.peek_nth_token_ref(n)
    }

    pub(crate) fn advance(&mut self) -> TokenWithSpan {
        self.parser.next_token()
    }

    /// Where the next token stands.
    pub(crate) fn position(&self) -> Position {
        error::position(self.location())
    }

    fn location(&self) -> Location {
        match self.peek().token {
            Token::EOF => self.end,
            _ => self.peek().span.start,
        }
    }

    /// The byte where the next token begins; the end of the statement after the last.
    pub(crate) fn offset(&self) -> usize {
        self.source.offset(self.location())
    }

    /// The text from a byte offset up to the end of the last token read.
    pub(crate) fn text_since(&self, offset: usize) -> String {
        let end = self.source.offset(self.parser.get_current_token().span.end);
        self.source.text.get(offset..end).unwrap_or_default().to_string()
    }

    /// The error that the next token is not expected.
    pub(crate) fn unexpected(&self) -> UserError {
        error::unexpected(self.peek(), self.end)
    }

    /// The error that a part of the syntax at hand is not offered.
    pub(crate) fn unsupported(&self, what: impl Into<String>) -> UserError {
        DialectError::Unsupported { what: what.into(), position: self.position() }.into()
    }

    /// The error that a value is wrong.
    pub(crate) fn invalid(&self, message: impl Into<String>, position: Position) -> UserError {
        DialectError::Invalid { message: message.into(), position }.into()
    }

    pub(crate) fn at_end(&self) -> bool {
        self.peek().token == Token::EOF
    }

    fn is_word(token: &Token, word: &str) -> bool {
        matches!(token, Token::Word(found)
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }

    /// Whether the next tokens are these words (given in upper case, blank between).
    pub(crate) fn peek_words(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(n, word)| Self::is_word(&self.peek_nth(n).token, word))
    }

    /// Whether the token `n` after the next is the word.
    pub(crate) fn peek_nth_word(&self, n: usize, word: &str) -> bool {
        Self::is_word(&self.peek_nth(n).token, word)
    }

    /// Reads the words if they come next, all or none.
    pub(crate) fn words(&mut self, words: &str) -> bool {
        let found = self.peek_words(words);
        if found {
            for _ in words.split(' ') {
                self.parser.advance_token();
            }
        }
        found
    }

    /// Reads the words or fails at the first that differs.
    pub(crate) fn expect_words(&mut self, words: &str) -> Result<(), UserError> {
        for word in words.split(' ') {
            if !self.words(word) {
                return Err(self.unexpected());
            }
        }
        Ok(())
    }

    /// Reads the first of the phrases that comes next.
    pub(crate) fn one_of<'w>(&mut self, phrases: &[&'w str]) -> Option<&'w str> {
        phrases.iter().copied().find(|phrase| self.words(phrase))
    }

    pub(crate) fn token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    pub(crate) fn expect(&mut self, token: &Token) -> Result<(), UserError> {
        if self.token(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// An optional `=`.
    pub(crate) fn optional_equals(&mut self) {
        let _ = self.token(&Token::Eq);
    }

    pub(crate) fn peek_ident(&self) -> Option<Ident> {
        match &self.peek().token {
            Token::Word(word) => Some(word.to_ident(self.peek().span)),
            _ => None,
        }
    }

    /// One identifier, folded.
    pub(crate) fn identifier(&mut self) -> Result<String, UserError> {
        match self.peek_ident() {
            Some(ident) => {
                self.parser.advance_token();
                Ok(identifier(&ident))
            }
            None => Err(self.unexpected()),
        }
    }

    /// An identifier, or a string taken as one, exactly.
    pub(crate) fn identifier_or_text(&mut self) -> Result<String, UserError> {
        match self.text_literal() {
            Some(text) => Ok(text),
            None => self.identifier(),
        }
    }

    /// An identifier with its place.
    pub(crate) fn placed_identifier(&mut self) -> Result<(String, Position), UserError> {
        let position = self.position();
        Ok((self.identifier()?, position))
    }

    /// The parts of a dotted name, a left-out schema as an empty part.
    pub(crate) fn name_parts(&mut self) -> Result<Vec<Ident>, UserError> {
        let mut parts = Vec::new();
        loop {
            match self.peek_ident() {
                Some(ident) => {
                    self.parser.advance_token();
                    parts.push(ident);
                }
                None if parts.len() == 1 && self.peek().token == Token::Period => {
                    parts.push(Ident::new(""));
                }
                None => return Err(self.unexpected()),
            }
            if !self.token(&Token::Period) {
                return Ok(parts);
            }
        }
    }

    /// A name of one to three parts.
    pub(crate) fn name(&mut self) -> Result<ObjectName, UserError> {
        let parts = self.name_parts()?;
        object_name_of_identifiers(&parts)
    }

    /// A string literal, if it comes next.
    pub(crate) fn text_literal(&mut self) -> Option<String> {
        match &self.peek().token {
            Token::SingleQuotedString(text) => {
                let text = text.clone();
                self.parser.advance_token();
                Some(text)
            }
            _ => None,
        }
    }

    pub(crate) fn expect_text(&mut self) -> Result<String, UserError> {
        self.text_literal().ok_or_else(|| self.unexpected())
    }

    /// `['='] 'text'`.
    pub(crate) fn equals_text(&mut self) -> Result<String, UserError> {
        self.optional_equals();
        self.expect_text()
    }

    /// A whole number, perhaps negative.
    pub(crate) fn integer(&mut self) -> Result<i64, UserError> {
        let negative = match self.peek().token {
            Token::Minus => true,
            Token::Plus => false,
            _ => return self.unsigned_integer(),
        };
        self.parser.advance_token();
        let value = self.unsigned_integer()?;
        Ok(if negative { -value } else { value })
    }

    fn unsigned_integer(&mut self) -> Result<i64, UserError> {
        match &self.peek().token {
            Token::Number(text, false) => match text.parse::<i64>() {
                Ok(value) => {
                    self.parser.advance_token();
                    Ok(value)
                }
                Err(_) => Err(self.unexpected()),
            },
            _ => Err(self.unexpected()),
        }
    }

    /// Items between parentheses, separated by commas; at least one.
    pub(crate) fn parenthesized<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, UserError>,
    ) -> Result<Vec<T>, UserError> {
        self.expect(&Token::LParen)?;
        let items = self.comma_separated(&mut item)?;
        self.expect(&Token::RParen)?;
        Ok(items)
    }

    pub(crate) fn comma_separated<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, UserError>,
    ) -> Result<Vec<T>, UserError> {
        let mut items = vec![item(self)?];
        while self.token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Runs a method of `sqlparser` and translates its error.
    pub(crate) fn sql<T>(
        &mut self,
        parse: impl FnOnce(&mut Parser<'a>) -> Result<T, ParserError>,
    ) -> Result<T, UserError> {
        parse(&mut self.parser)
            .map_err(|error| error::from_parser(error, self.parser.peek_token_ref(), self.end))
    }

    pub(crate) fn expr(&mut self) -> Result<Expr, UserError> {
        self.sql(|parser| parser.parse_expr())
    }

    pub(crate) fn query(&mut self) -> Result<Box<Query>, UserError> {
        self.sql(|parser| parser.parse_query())
    }

    pub(crate) fn data_type(&mut self) -> Result<DataType, UserError> {
        self.sql(|parser| parser.parse_data_type())
    }

    /// All tokens, read or not.
    pub(crate) fn into_tokens(self) -> Vec<TokenWithSpan> {
        self.parser.into_tokens()
    }

    /// Nothing may follow.
    pub(crate) fn expect_end(&self) -> Result<(), UserError> {
        if self.at_end() { Ok(()) } else { Err(self.unexpected()) }
    }
}
