//! Text → tokens, one list per statement.
//!
//! Strings, quoted names, comments, stage paths and file URIs are read here, by Snowflake's rules;
//! words, numbers and operators by `sqlparser`'s tokenizer.

use frazil_common::UserError;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use crate::dialect::FrazilDialect;
use crate::error::{DialectError, position};

/// Splits a text at its semicolons; whitespace and comments are left out, empty statements too.
pub(crate) fn lex(text: &str) -> Result<Vec<Vec<TokenWithSpan>>, UserError> {
    let mut lexer = Lexer {
        text,
        rest: 0,
        at: Location { line: 1, column: 1 },
        run: None,
        tokens: Vec::new(),
        statements: Vec::new(),
    };
    lexer.run_to_end()?;
    Ok(lexer.statements)
}

/// A text whose places can be turned into byte offsets.
pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    /// Byte offsets at which lines begin.
    lines: Vec<usize>,
    /// Columns are bytes.
    ascii: bool,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        Source { text, lines: lines.collect(), ascii: text.is_ascii() }
    }

    /// The byte offset of a location; the text's end for places beyond it.
    pub(crate) fn offset(&self, location: Location) -> usize {
        let index = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(start) = self.lines.get(index(location.line)) else { return self.text.len() };
        let column = index(location.column);
        if self.ascii {
            return start.saturating_add(column).min(self.text.len());
        }
        self.text[*start..]
            .char_indices()
            .nth(column)
            .map_or(self.text.len(), |(offset, _)| start + offset)
    }
}

struct Lexer<'a> {
    text: &'a str,
    /// Byte offset of what is not read yet.
    rest: usize,
    at: Location,
    /// Where a run of words and operators begins that `sqlparser` is to read.
    run: Option<(usize, Location)>,
    tokens: Vec<TokenWithSpan>,
    statements: Vec<Vec<TokenWithSpan>>,
}

impl Lexer<'_> {
    fn run_to_end(&mut self) -> Result<(), UserError> {
        while let Some(c) = self.peek() {
            match c {
                '\'' if self.hex_prefix() => self.skip_string()?,
                '\'' => self.string()?,
                '"' => self.quoted_name()?,
                '$' if self.starts_with("$$") => self.dollar_string()?,
                '-' if self.starts_with("--") => self.line_comment()?,
                '/' if self.starts_with("//") => self.line_comment()?,
                '/' if self.starts_with("/*") => self.block_comment()?,
                '@' => self.stage_path()?,
                ';' => {
                    self.flush()?;
                    self.bump();
                    self.end_statement();
                }
                '#' | '`' | '\\' => {
                    let error = DialectError::Unexpected {
                        found: c.to_string(),
                        position: position(self.at),
                    };
                    return Err(error.into());
                }
                c if c.is_whitespace() => {
                    self.flush()?;
                    self.bump();
                }
                'f' | 'F' if self.run.is_none() && self.file_uri() => self.bare_uri()?,
                _ => {
                    if self.run.is_none() {
                        self.run = Some((self.rest, self.at));
                    }
                    self.bump();
                }
            }
        }
        self.flush()?;
        self.end_statement();
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.text[self.rest..].chars().next()
    }

    fn starts_with(&self, prefix: &str) -> bool {
        self.text[self.rest..].starts_with(prefix)
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest += c.len_utf8();
        if c == '\n' {
            self.at = Location { line: self.at.line + 1, column: 1 };
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    /// Whether the quote at hand belongs to `X'…'`.
    fn hex_prefix(&self) -> bool {
        self.run.is_some_and(|(start, _)| {
            let run = &self.text[start..self.rest];
            let mut back = run.chars().rev();
            matches!(back.next(), Some('x' | 'X'))
                && !back.next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
        })
    }

    /// Only PUT and GET have URIs outside quotes.
    fn file_uri(&self) -> bool {
        let staging = self.tokens.first().is_some_and(|token| {
            matches!(&token.token, Token::Word(word)
                if word.quote_style.is_none()
                    && (word.value.eq_ignore_ascii_case("PUT") || word.value.eq_ignore_ascii_case("GET")))
        });
        staging
            && self.text[self.rest..]
                .get(..7)
                .is_some_and(|head| head.eq_ignore_ascii_case("file://"))
    }

    fn end_statement(&mut self) {
        if !self.tokens.is_empty() {
            self.statements.push(std::mem::take(&mut self.tokens));
        }
    }

    fn push(&mut self, token: Token, start: Location) {
        self.tokens.push(TokenWithSpan::new(token, Span::new(start, self.at)));
    }

    /// Gives the run of plain characters up to here to `sqlparser`.
    fn flush(&mut self) -> Result<(), UserError> {
        let Some((start, base)) = self.run.take() else { return Ok(()) };
        let dialect = FrazilDialect::for_tokens();
        let place = |location: Location| Location {
            line: base.line + location.line.saturating_sub(1),
            column: if location.line <= 1 {
                base.column + location.column.saturating_sub(1)
            } else {
                location.column
            },
        };
        let tokens = Tokenizer::new(&dialect, &self.text[start..self.rest])
            .tokenize_with_location()
            .map_err(|error| -> UserError {
                DialectError::Invalid {
                    message: format!("parse error: {}.", error.message),
                    position: position(place(error.location)),
                }
                .into()
            })?;
        for token in tokens {
            if matches!(token.token, Token::Whitespace(_)) {
                continue;
            }
            let span = Span::new(place(token.span.start), place(token.span.end));
            self.tokens.push(TokenWithSpan::new(token.token, span));
        }
        Ok(())
    }

    fn unterminated(&self) -> UserError {
        DialectError::Unterminated { position: position(self.at) }.into()
    }

    fn line_comment(&mut self) -> Result<(), UserError> {
        self.flush()?;
        while self.peek().is_some_and(|c| c != '\n') {
            self.bump();
        }
        Ok(())
    }

    fn block_comment(&mut self) -> Result<(), UserError> {
        self.flush()?;
        self.bump();
        self.bump();
        while !self.starts_with("*/") {
            if self.bump().is_none() {
                return Err(self.unterminated());
            }
        }
        self.bump();
        self.bump();
        Ok(())
    }

    fn skip_string(&mut self) -> Result<(), UserError> {
        self.bump();
        while let Some(c) = self.bump() {
            if c == '\'' {
                return Ok(());
            }
        }
        Err(self.unterminated())
    }

    fn string(&mut self) -> Result<(), UserError> {
        self.flush()?;
        let start = self.at;
        self.bump();
        let mut value = String::new();
        loop {
            match self.bump() {
                None => return Err(self.unterminated()),
                Some('\'') if self.peek() == Some('\'') => {
                    self.bump();
                    value.push('\'');
                }
                Some('\'') => break,
                Some('\\') => match self.escape() {
                    Some(c) => value.push(c),
                    None => return Err(self.unterminated()),
                },
                Some(c) => value.push(c),
            }
        }
        self.push(Token::SingleQuotedString(value), start);
        Ok(())
    }

    /// The character after a backslash; an escape that is none stands for its character.
    fn escape(&mut self) -> Option<char> {
        let c = self.bump()?;
        Some(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'x' => self.digits(16, 2, 2).unwrap_or('x'),
            'u' => self.digits(16, 4, 4).unwrap_or('u'),
            '0'..='7' => {
                self.rest -= 1;
                self.at.column -= 1;
                self.digits(8, 1, 3).unwrap_or(c)
            }
            other => other,
        })
    }

    /// A character given by its code; reads nothing where there are too few digits.
    fn digits(&mut self, radix: u32, least: usize, most: usize) -> Option<char> {
        let digits: String =
            self.text[self.rest..].chars().take(most).take_while(|c| c.is_digit(radix)).collect();
        if digits.len() < least {
            return None;
        }
        let c = u32::from_str_radix(&digits, radix).ok().and_then(char::from_u32)?;
        for _ in 0..digits.len() {
            self.bump();
        }
        Some(c)
    }

    fn quoted_name(&mut self) -> Result<(), UserError> {
        self.flush()?;
        let start = self.at;
        self.bump();
        let mut value = String::new();
        loop {
            match self.bump() {
                None => return Err(self.unterminated()),
                Some('"') if self.peek() == Some('"') => {
                    self.bump();
                    value.push('"');
                }
                Some('"') => break,
                Some(c) => value.push(c),
            }
        }
        self.push(Token::make_word(&value, Some('"')), start);
        Ok(())
    }

    /// `$$…$$`, nothing escaped; a string like any other from here on.
    fn dollar_string(&mut self) -> Result<(), UserError> {
        self.flush()?;
        let start = self.at;
        self.bump();
        self.bump();
        let from = self.rest;
        while !self.starts_with("$$") {
            if self.bump().is_none() {
                return Err(self.unterminated());
            }
        }
        let value = self.text[from..self.rest].to_string();
        self.bump();
        self.bump();
        self.push(Token::SingleQuotedString(value), start);
        Ok(())
    }

    /// `@stage/path`, `@~/path`, `@%table/path`, `@"db"."schema"."stage"/path`: becomes a string.
    fn stage_path(&mut self) -> Result<(), UserError> {
        self.flush()?;
        let start = self.at;
        let from = self.rest;
        self.bump();
        loop {
            match self.peek() {
                Some('"') => {
                    self.bump();
                    loop {
                        match self.bump() {
                            None => return Err(self.unterminated()),
                            Some('"') => break,
                            Some(_) => {}
                        }
                    }
                }
                Some(c) if c.is_whitespace() || matches!(c, '(' | ')' | ',' | ';' | '\'') => break,
                Some(_) => {
                    self.bump();
                }
                None => break,
            }
        }
        let value = self.text[from..self.rest].to_string();
        if value.len() == 1 {
            let error = DialectError::Unexpected { found: value, position: position(start) };
            return Err(error.into());
        }
        self.push(Token::SingleQuotedString(value), start);
        Ok(())
    }

    fn bare_uri(&mut self) -> Result<(), UserError> {
        let start = self.at;
        let from = self.rest;
        while self.peek().is_some_and(|c| !c.is_whitespace() && c != ';') {
            self.bump();
        }
        let value = self.text[from..self.rest].to_string();
        self.push(Token::SingleQuotedString(value), start);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        lex(text).unwrap().concat().iter().map(|token| token.token.to_string()).collect()
    }

    fn value(text: &str) -> String {
        match lex(text).unwrap().concat().as_slice() {
            [TokenWithSpan { token: Token::SingleQuotedString(value), .. }] => value.clone(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn statements_split_outside_quotes_and_comments() {
        let statements = lex("a ';' -- ;\n b \";\" /* ; */ ; $$ ; $$ // ;\n ;; @s/a;c").unwrap();
        assert_eq!(statements.iter().map(Vec::len).collect::<Vec<_>>(), [4, 1, 1, 1]);
    }

    /// Escapes as in Snowflake's "String & binary data types".
    #[test]
    fn strings_unescape() {
        assert_eq!(value(r"'a''b\'c\\d\n\t'"), "a'b'c\\d\n\t");
        assert_eq!(value(r"'\x41\u26c4\101\d\%'"), "A\u{26c4}Ad%");
        assert_eq!(value(r"'\xZZ\u12'"), "xZZu12");
        assert_eq!(value(r"$$it's \n $ raw$$"), r"it's \n $ raw");
    }

    #[test]
    fn stage_paths_become_strings() {
        for path in ["@s/a-b.c/*.csv", "@~/x", "@%t/x", "@\"D b\".\"S\".s//x", "@d.s.st/x=1/y"] {
            assert_eq!(value(path), path);
        }
        assert_eq!(shown("FROM @s(x)"), ["FROM", "'@s'", "(", "x", ")"]);
    }

    #[test]
    fn file_uris_need_put_or_get() {
        assert_eq!(shown("PUT file:///a/*x* @s"), ["PUT", "'file:///a/*x*'", "'@s'"]);
        assert_eq!(shown("SELECT file://x"), ["SELECT", "file", ":"]);
    }

    #[test]
    fn words_and_operators() {
        assert_eq!(shown("a::b=>c->d!=e"), ["a", "::", "b", "=>", "c", "->", "d", "<>", "e"]);
        assert_eq!(shown("X'ab' x.5e3 ?"), ["X'ab'", "x", ".5e3", "?"]);
        assert_eq!(shown("a\"b\"\"c\""), ["a", "\"b\"c\""]);
    }

    #[test]
    fn places_count_characters_over_lines() {
        let tokens = lex("é 'x\ny' a\n  @s b").unwrap().concat();
        let starts: Vec<_> =
            tokens.iter().map(|token| (token.span.start.line, token.span.start.column)).collect();
        assert_eq!(starts, [(1, 1), (1, 3), (2, 4), (3, 3), (3, 6)]);
        assert_eq!(Source::new("é 'x\ny' a").offset(Location { line: 2, column: 4 }), 9);
    }

    #[test]
    fn what_does_not_end_is_refused() {
        for text in ["'a", "\"a", "$$a", "/* a", "X'a", "@\"a", "'a\\"] {
            assert!(lex(text).unwrap_err().message.contains("<EOF>"), "{text}");
        }
        for text in ["@", "a # b", "`a`"] {
            assert!(lex(text).is_err(), "{text}");
        }
    }
}
