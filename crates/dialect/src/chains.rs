//! A bound on chains of operators.
//!
//! `a + b + c` and `q UNION r UNION s` become trees as deep as the chain is long; whoever walks or
//! drops such a tree uses stack for each link. Nesting has its own bound in the parser.

use frazil_common::UserError;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{DialectError, position};

/// Links one chain may have.
const MOST_LINKS: usize = 4000;

/// NOTs that may follow one another. The parser has its own bound on nesting, but beyond it takes
/// a NOT for a name.
const MOST_NOTS: usize = 100;

/// Links of the chains that are open at one level of parentheses.
#[derive(Default)]
struct Level {
    operators: usize,
    set_operators: usize,
}

/// Fails where a chain grows too long.
pub(crate) fn check(tokens: &[TokenWithSpan]) -> Result<(), UserError> {
    let mut levels = vec![Level::default()];
    let mut nots = 0;
    for token in tokens {
        match &token.token {
            Token::Word(word) if word.quote_style.is_none() && word.keyword == Keyword::NOT => {
                nots += 1;
                if nots > MOST_NOTS {
                    return Err(DialectError::TooComplex {
                        what: "nested too deeply",
                        position: position(token.span.start),
                    }
                    .into());
                }
            }
            Token::LParen => {}
            _ => nots = 0,
        }
        match &token.token {
            Token::LParen | Token::LBrace => levels.push(Level::default()),
            Token::LBracket => {
                count(&mut levels, token)?;
                levels.push(Level::default());
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                levels.pop();
                if levels.is_empty() {
                    levels.push(Level::default());
                }
            }
            Token::Comma => {
                if let Some(level) = levels.last_mut() {
                    level.operators = 0;
                }
            }
            Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                Keyword::SELECT
                | Keyword::FROM
                | Keyword::WHERE
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::QUALIFY
                | Keyword::ORDER
                | Keyword::ON
                | Keyword::WHEN
                | Keyword::THEN
                | Keyword::ELSE
                | Keyword::VALUES => {
                    if let Some(level) = levels.last_mut() {
                        level.operators = 0;
                    }
                }
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::MINUS => {
                    if let Some(level) = levels.last_mut() {
                        level.operators = 0;
                        level.set_operators += 1;
                        refuse(level.set_operators, token)?;
                    }
                }
                Keyword::AND
                | Keyword::OR
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::AT => count(&mut levels, token)?,
                _ => {}
            },
            Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_)
            | Token::HexStringLiteral(_)
            | Token::SemiColon => {}
            // Operators of all sorts, and the period of `a.b`.
            _ => count(&mut levels, token)?,
        }
    }
    Ok(())
}

fn count(levels: &mut [Level], token: &TokenWithSpan) -> Result<(), UserError> {
    match levels.last_mut() {
        Some(level) => {
            level.operators += 1;
            refuse(level.operators, token)
        }
        None => Ok(()),
    }
}

fn refuse(links: usize, token: &TokenWithSpan) -> Result<(), UserError> {
    if links <= MOST_LINKS {
        return Ok(());
    }
    Err(DialectError::TooComplex {
        what: "more than 4000 operators in one expression",
        position: position(token.span.start),
    }
    .into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use frazil_common::Code;

    use crate::parse_statement;

    #[test]
    fn long_chains_are_errors() {
        for link in [" + 1", " OR a", "::INT", ":a", " UNION SELECT 1", "[0]", " IS NULL"] {
            let sql = format!("SELECT a{}", link.repeat(50_000));
            assert_eq!(parse_statement(&sql).unwrap_err().code, Code::ResourceLimit, "{link}");
        }
    }

    #[test]
    fn nested_nots_are_errors() {
        for not in ["NOT ", "NOT ("] {
            let sql = |n: usize| {
                let closed = if not.ends_with('(') { ")".repeat(n) } else { String::new() };
                format!("SELECT {}a{closed}", not.repeat(n))
            };
            parse_statement(&sql(100)).unwrap();
            let error = parse_statement(&sql(1000)).unwrap_err();
            assert_eq!(error.code, Code::ResourceLimit, "{not}");
            assert!(error.message.contains("nested too deeply"), "{}", error.message);
        }
    }

    #[test]
    fn chains_within_the_bound_parse() {
        for link in [" + 1", " OR a = 1", "::INT", " UNION ALL SELECT 1"] {
            parse_statement(&format!("SELECT a{}", link.repeat(1900))).unwrap();
        }
        parse_statement(&format!("SELECT a{}", ", a + 1 AS b".repeat(20_000))).unwrap();
        parse_statement(&format!("INSERT INTO t VALUES (1){}", ", (-1::INT)".repeat(20_000)))
            .unwrap();
    }
}
