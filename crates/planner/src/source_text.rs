//! Names of output columns without an alias: the source text of the select item.

use std::cell::OnceCell;

use sqlparser::dialect::SnowflakeDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// The statement's text, split into tokens when first needed.
#[derive(Debug)]
pub(crate) struct SourceText {
    text: String,
    tokens: OnceCell<Vec<TokenWithSpan>>,
}

impl SourceText {
    pub fn new(text: &str) -> Self {
        SourceText { text: text.to_string(), tokens: OnceCell::new() }
    }

    fn tokens(&self) -> &[TokenWithSpan] {
        self.tokens.get_or_init(|| {
            if self.text.is_empty() {
                return Vec::new();
            }
            Tokenizer::new(&SnowflakeDialect {}, &self.text)
                .tokenize_with_location()
                .unwrap_or_default()
        })
    }

    /// The texts of the select items after the SELECT at a place, upper case and with white space
    /// collapsed. None if the text does not show `count` items there.
    pub fn select_items(&self, select: Location, count: usize) -> Option<Vec<String>> {
        if select.line == 0 {
            return None;
        }
        let tokens = self.tokens();
        let start = tokens.binary_search_by_key(&select, |token| token.span.start).ok()?;
        let mut rest = tokens.get(start + 1..)?;
        let first_real = |tokens: &[TokenWithSpan]| {
            tokens.iter().position(|t| !matches!(t.token, Token::Whitespace(_)))
        };
        // What may stand between SELECT and the items.
        while let Some(index) = first_real(rest) {
            let Token::Word(word) = &rest[index].token else { break };
            match word.keyword {
                Keyword::DISTINCT | Keyword::ALL => rest = &rest[index + 1..],
                Keyword::TOP => {
                    rest = &rest[index + 1..];
                    let number = first_real(rest)?;
                    match rest[number].token {
                        Token::Number(..) => rest = &rest[number + 1..],
                        _ => return None,
                    }
                }
                _ => break,
            }
        }
        let mut items = Vec::with_capacity(count);
        let mut current = String::new();
        let mut depth = 0usize;
        for token in rest {
            match &token.token {
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace if depth == 0 => break,
                Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
                Token::SemiColon if depth == 0 => break,
                Token::Comma if depth == 0 => {
                    items.push(finish(&current));
                    current.clear();
                    continue;
                }
                Token::Word(word) if depth == 0 && items.len() + 1 == count && ends_list(word) => {
                    break;
                }
                _ => {}
            }
            match &token.token {
                Token::Whitespace(_) => current.push(' '),
                Token::EOF => {}
                other => current.push_str(&other.to_string()),
            }
        }
        items.push(finish(&current));
        (items.len() == count).then_some(items)
    }
}

fn ends_list(word: &sqlparser::tokenizer::Word) -> bool {
    word.quote_style.is_none()
        && matches!(
            word.keyword,
            Keyword::FROM
                | Keyword::WHERE
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::QUALIFY
                | Keyword::ORDER
                | Keyword::LIMIT
                | Keyword::OFFSET
                | Keyword::FETCH
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::MINUS
                | Keyword::INTERSECT
        )
}

/// Upper case, white space collapsed.
pub(crate) fn finish(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn items(text: &str, count: usize) -> Option<Vec<String>> {
        SourceText::new(text).select_items(Location { line: 1, column: 1 }, count)
    }

    /// Headers as Snowflake's documentation prints them, such as
    /// `CONCAT('GEORGE WASHINGTON ', 'CARVER')`.
    #[test]
    fn items_keep_their_text_in_upper_case() {
        assert_eq!(
            items("SELECT CONCAT('George Washington ', 'Carver'), a+1 FROM t", 2).unwrap(),
            ["CONCAT('GEORGE WASHINGTON ', 'CARVER')", "A+1"]
        );
        assert_eq!(
            items("select distinct (select max(b) from u),\n  count( * ) from t", 2).unwrap(),
            ["(SELECT MAX(B) FROM U)", "COUNT( * )"]
        );
        assert_eq!(items("select top 3 a, b", 2).unwrap(), ["A", "B"]);
        assert_eq!(items("select a, b from t", 3), None);
    }
}
