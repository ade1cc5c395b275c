//! Token rewriting before parsing: binds get their numbers, IDENTIFIER(…) becomes the name it
//! holds, `WITH m AS MODEL …` becomes the model itself.

use frazil_common::{Code, UserError, fold_identifier};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use crate::error::{DialectError, position};
use crate::name_argument::{IdentifierResolver, name_tokens};

/// Rewrites one statement; `binds` counts the `?` read so far in the whole text.
pub(crate) fn rewrite(
    tokens: Vec<TokenWithSpan>,
    binds: &mut usize,
    resolver: &dyn IdentifierResolver,
) -> Result<Vec<TokenWithSpan>, UserError> {
    refuse_flow(&tokens)?;
    crate::chains::check(&tokens)?;
    let tokens = number_binds(tokens, binds);
    let tokens = resolve_names(tokens, resolver)?;
    Ok(inline_models(unwrap_joins(tokens)))
}

fn is_word(token: Option<&TokenWithSpan>, text: &str) -> bool {
    matches!(token.map(|token| &token.token), Some(Token::Word(word))
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}

fn is(token: Option<&TokenWithSpan>, expected: &Token) -> bool {
    token.is_some_and(|token| token.token == *expected)
}

fn refuse_flow(tokens: &[TokenWithSpan]) -> Result<(), UserError> {
    match tokens.iter().find(|token| token.token == Token::LongArrow) {
        Some(token) => Err(DialectError::Unsupported {
            what: "flow operator ->>".to_string(),
            position: position(token.span.start),
        }
        .into()),
        None => Ok(()),
    }
}

/// `?` and `:1` become the placeholders `?1`, `?2`, …
fn number_binds(tokens: Vec<TokenWithSpan>, binds: &mut usize) -> Vec<TokenWithSpan> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token.token {
            Token::Placeholder(text) if text == "?" => {
                *binds += 1;
                out.push(TokenWithSpan::new(Token::Placeholder(format!("?{binds}")), token.span));
            }
            Token::Colon if begins_bind(out.last(), &token) => {
                let number = match tokens.peek() {
                    Some(TokenWithSpan { token: Token::Number(number, false), span })
                        if span.start == token.span.end && number.parse::<u32>().is_ok() =>
                    {
                        Some((number.clone(), Span::new(token.span.start, span.end)))
                    }
                    _ => None,
                };
                match number {
                    Some((number, span)) => {
                        tokens.next();
                        out.push(TokenWithSpan::new(
                            Token::Placeholder(format!("?{number}")),
                            span,
                        ));
                    }
                    None => out.push(token),
                }
            }
            _ => out.push(token),
        }
    }
    out
}

/// A colon after a value is a path or an object's key, not a bind.
fn begins_bind(before: Option<&TokenWithSpan>, colon: &TokenWithSpan) -> bool {
    match before.map(|before| (&before.token, before.span.end)) {
        None => true,
        Some((Token::Word(word), end)) => word.quote_style.is_none() && end != colon.span.start,
        Some((token, _)) => !matches!(
            token,
            Token::SingleQuotedString(_)
                | Token::Number(..)
                | Token::Placeholder(_)
                | Token::RParen
                | Token::RBracket
                | Token::RBrace
        ),
    }
}

/// `IDENTIFIER(x)` and `TABLE(x)` with a string, bind or variable inside become the name; so do
/// the locations of PUT, GET, LIST and REMOVE and the options of COPY given as binds.
fn resolve_names(
    tokens: Vec<TokenWithSpan>,
    resolver: &dyn IdentifierResolver,
) -> Result<Vec<TokenWithSpan>, UserError> {
    let staging = ["PUT", "GET", "LIST", "LS", "REMOVE", "RM"]
        .iter()
        .any(|word| is_word(tokens.first(), word));
    let copying = is_word(tokens.first(), "COPY");
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        let option = copying && is(out.last(), &Token::Eq);
        if (staging || option)
            && let Some(text) = bound_text(token, resolver)?
        {
            out.push(TokenWithSpan::new(Token::SingleQuotedString(text), token.span));
            index += 1;
            continue;
        }
        let wrapped = (is_word(Some(token), "IDENTIFIER") || table_function(&out, token))
            && is(tokens.get(index + 1), &Token::LParen)
            && is(tokens.get(index + 3), &Token::RParen);
        let argument = tokens.get(index + 2).filter(|_| wrapped);
        let text = match argument {
            Some(TokenWithSpan { token: Token::SingleQuotedString(text), .. }) => {
                Some(text.clone())
            }
            Some(argument) => bound_text(argument, resolver)?,
            None => None,
        };
        match (text, tokens.get(index + 3)) {
            (Some(text), Some(end)) => {
                let span = Span::new(token.span.start, end.span.end);
                for name in name_tokens(&text, position(span.start))? {
                    out.push(TokenWithSpan::new(name.token, span));
                }
                index += 4;
            }
            _ => {
                out.push(token.clone());
                index += 1;
            }
        }
    }
    Ok(out)
}

/// Whether `TABLE` stands where a relation is expected.
fn table_function(before: &[TokenWithSpan], token: &TokenWithSpan) -> bool {
    is_word(Some(token), "TABLE")
        && before.last().is_some_and(|before| match &before.token {
            Token::Comma => true,
            Token::Word(word) => {
                matches!(word.keyword, Keyword::FROM | Keyword::JOIN | Keyword::USING)
            }
            _ => false,
        })
}

/// The text behind a bind or session variable; None for other tokens.
fn bound_text(
    token: &TokenWithSpan,
    resolver: &dyn IdentifierResolver,
) -> Result<Option<String>, UserError> {
    let Token::Placeholder(text) = &token.token else { return Ok(None) };
    let place = Some(position(token.span.start));
    if let Some(number) = text.strip_prefix('?') {
        let ordinal = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        return match ordinal.and_then(|ordinal| resolver.bind(ordinal)) {
            Some(text) => Ok(Some(text)),
            None => {
                Err(UserError::new(Code::BindMissing, format!("Bind variable ?{number} not set."))
                    .at(place))
            }
        };
    }
    let Some(name) =
        text.strip_prefix('$').filter(|name| !name.starts_with(|c: char| c.is_ascii_digit()))
    else {
        return Ok(None);
    };
    let name = fold_identifier(name);
    match resolver.variable(&name) {
        Some(text) => Ok(Some(text)),
        None => Err(UserError::new(
            Code::BindMissing,
            format!("Session variable '${name}' does not exist."),
        )
        .at(place)),
    }
}

/// The index of the parenthesis that closes the one at `open`.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth -= 1;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

/// `FROM ((SELECT …) AS a JOIN …)` loses its outer parentheses, which mean nothing there but cost
/// `sqlparser` a second reading at each level; generated SQL nests them deeply.
fn unwrap_joins(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let closers = closers(&tokens);
    let mut dropped = vec![false; tokens.len()];
    for index in 0..tokens.len() {
        if !is_word(tokens.get(index), "FROM") || !is(tokens.get(index + 1), &Token::LParen) {
            continue;
        }
        let Some(outer) = closers.get(index + 1).copied().flatten() else { continue };
        let Some(inner) = closers.get(index + 2).copied().flatten() else { continue };
        let joins = match tokens.get(inner + 1).map(|token| &token.token) {
            Some(Token::Word(word)) => {
                word.quote_style.is_some()
                    || !matches!(
                        word.keyword,
                        Keyword::UNION
                            | Keyword::INTERSECT
                            | Keyword::EXCEPT
                            | Keyword::MINUS
                            | Keyword::ORDER
                            | Keyword::LIMIT
                            | Keyword::OFFSET
                            | Keyword::FETCH
                    )
            }
            _ => false,
        };
        let aliased = match tokens.get(outer + 1).map(|token| &token.token) {
            None | Some(Token::RParen | Token::Comma) => false,
            Some(Token::Word(word)) => {
                word.quote_style.is_some()
                    || !matches!(
                        word.keyword,
                        Keyword::WHERE
                            | Keyword::GROUP
                            | Keyword::HAVING
                            | Keyword::QUALIFY
                            | Keyword::ORDER
                            | Keyword::LIMIT
                            | Keyword::UNION
                            | Keyword::INTERSECT
                            | Keyword::EXCEPT
                            | Keyword::MINUS
                    )
            }
            Some(_) => true,
        };
        // Only a join of two or more; a lone aliased subquery is read once as it is.
        let joined = tokens[inner..outer].iter().any(
            |token| matches!(&token.token, Token::Word(word) if word.keyword == Keyword::JOIN),
        );
        if joins && joined && !aliased && inner < outer {
            dropped[index + 1] = true;
            dropped[outer] = true;
        }
    }
    let mut keep = dropped.iter().map(|dropped| !dropped);
    tokens.retain(|_| keep.next().unwrap_or(true));
    tokens
}

/// For each opening parenthesis the index of its closing one.
fn closers(tokens: &[TokenWithSpan]) -> Vec<Option<usize>> {
    let mut closers = vec![None; tokens.len()];
    let mut open = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => open.push(index),
            Token::RParen => {
                if let Some(opening) = open.pop() {
                    closers[opening] = Some(index);
                }
            }
            _ => {}
        }
    }
    closers
}

/// A model named in WITH.
struct ModelAlias {
    alias: Token,
    model: Vec<TokenWithSpan>,
    version: Option<TokenWithSpan>,
}

/// `WITH mv AS MODEL m VERSION v SELECT mv!F(…)` becomes `SELECT MODEL(m, v)!F(…)`.
fn inline_models(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut aliases = Vec::new();
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        if is_word(Some(token), "WITH")
            && let Some((next, ctes)) = with_list(&tokens, index + 1, &mut aliases)
        {
            if !ctes.is_empty() {
                kept.push(token.clone());
                kept.extend(ctes);
            }
            index = next;
            continue;
        }
        kept.push(token.clone());
        index += 1;
    }
    if aliases.is_empty() { kept } else { replace_aliases(kept, &aliases) }
}

/// Reads a WITH list that names at least one model: where it ends, and what is left of it.
fn with_list(
    tokens: &[TokenWithSpan],
    start: usize,
    aliases: &mut Vec<ModelAlias>,
) -> Option<(usize, Vec<TokenWithSpan>)> {
    let mut index = start;
    let mut left: Vec<TokenWithSpan> = Vec::new();
    let mut found = Vec::new();
    loop {
        let item = index;
        let alias = tokens.get(index)?;
        if !matches!(alias.token, Token::Word(_)) {
            return None;
        }
        index += 1;
        let model = is_word(tokens.get(index), "AS") && is_word(tokens.get(index + 1), "MODEL");
        if model {
            index += 2;
            let name = index;
            loop {
                if !matches!(tokens.get(index)?.token, Token::Word(_)) {
                    return None;
                }
                index += 1;
                if !is(tokens.get(index), &Token::Period) {
                    break;
                }
                index += 1;
            }
            let model = tokens[name..index].to_vec();
            let mut version = None;
            if is_word(tokens.get(index), "VERSION") {
                version = Some(tokens.get(index + 1)?.clone());
                index += 2;
            }
            found.push(ModelAlias { alias: alias.token.clone(), model, version });
        } else {
            if is(tokens.get(index), &Token::LParen) {
                index = closing(tokens, index)? + 1;
            }
            if !is_word(tokens.get(index), "AS") || !is(tokens.get(index + 1), &Token::LParen) {
                return None;
            }
            index = closing(tokens, index + 1)? + 1;
            if let (false, Some(comma)) = (left.is_empty(), tokens.get(item - 1)) {
                left.push(TokenWithSpan::new(Token::Comma, comma.span));
            }
            left.extend_from_slice(&tokens[item..index]);
        }
        if !is(tokens.get(index), &Token::Comma) {
            break;
        }
        index += 1;
    }
    if found.is_empty() {
        return None;
    }
    aliases.extend(found);
    Some((index, left))
}

fn replace_aliases(tokens: Vec<TokenWithSpan>, aliases: &[ModelAlias]) -> Vec<TokenWithSpan> {
    let folded = |token: &Token| match token {
        Token::Word(word) if word.quote_style.is_none() => Some(fold_identifier(&word.value)),
        Token::Word(word) => Some(word.value.clone()),
        _ => None,
    };
    let mut out = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate() {
        let called = is(tokens.get(index + 1), &Token::ExclamationMark)
            && !(index > 0 && is(tokens.get(index - 1), &Token::Period));
        let name = folded(&token.token).filter(|_| called);
        let alias = aliases.iter().find(|alias| name.is_some() && folded(&alias.alias) == name);
        let Some(alias) = alias else {
            out.push(token.clone());
            continue;
        };
        let mut push = |token_: Token| out.push(TokenWithSpan::new(token_, token.span));
        if alias.version.is_some() {
            push(Token::make_keyword("MODEL"));
            push(Token::LParen);
        }
        for part in &alias.model {
            push(part.token.clone());
        }
        if let Some(version) = &alias.version {
            push(Token::Comma);
            push(version.token.clone());
            push(Token::RParen);
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::lexer::lex;
    use crate::name_argument::NoIdentifiers;

    struct Known;

    impl IdentifierResolver for Known {
        fn bind(&self, ordinal: usize) -> Option<String> {
            ["d.s.\"t\"", "@\"st\"/x"].get(ordinal).map(ToString::to_string)
        }

        fn variable(&self, name: &str) -> Option<String> {
            (name == "V").then(|| "u".to_string())
        }
    }

    fn rewritten(sql: &str) -> String {
        let tokens = lex(sql).unwrap().concat();
        let tokens = rewrite(tokens, &mut 0, &Known).unwrap();
        tokens.iter().map(|token| token.token.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn binds_are_numbered() {
        assert_eq!(rewritten("SELECT ?, ? + :7"), "SELECT ?1 , ?2 + ?7");
        assert_eq!(rewritten("VALUES (:1,:2)"), "VALUES ( ?1 , ?2 )");
        assert_eq!(rewritten("{'a':1, 'b' :2}"), "{ 'a' : 1 , 'b' : 2 }");
        assert_eq!(rewritten("v:a[0]:b"), "v : a [ 0 ] : b");
        assert_eq!(rewritten("$1 + $x + t.$2"), "$1 + $x + t . $2");
    }

    #[test]
    fn names_keep_the_numbers_of_later_binds() {
        assert_eq!(rewritten("DROP TABLE IDENTIFIER(?)"), "DROP TABLE d . s . \"t\"");
        assert_eq!(rewritten("FROM identifier(?) WHERE a = ?"), "FROM d . s . \"t\" WHERE a = ?2");
        assert_eq!(rewritten("FROM TABLE($v), TABLE('a.b')"), "FROM u , a . b");
        assert_eq!(rewritten("FROM IDENTIFIER($V)"), "FROM u");
        assert_eq!(rewritten("FROM TABLE(RESULT_SCAN(?))"), "FROM TABLE ( RESULT_SCAN ( ?1 ) )");
        assert_eq!(rewritten("PUT ? ?"), "PUT 'd.s.\"t\"' '@\"st\"/x'");
    }

    #[test]
    fn unknown_names_are_refused() {
        for (sql, resolver) in [
            ("FROM IDENTIFIER(?)", &NoIdentifiers as &dyn IdentifierResolver),
            ("FROM IDENTIFIER($v)", &NoIdentifiers),
            ("FROM IDENTIFIER(:9)", &Known),
        ] {
            let error = rewrite(lex(sql).unwrap().concat(), &mut 0, resolver).unwrap_err();
            assert_eq!(error.code, Code::BindMissing, "{sql}");
        }
        for text in ["a b", "", "a.", "1", "a;b", "'x'"] {
            assert!(
                name_tokens(text, position(sqlparser::tokenizer::Location { line: 1, column: 1 }))
                    .is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn models_of_with_are_inlined() {
        assert_eq!(
            rewritten("WITH mv AS MODEL d.m VERSION v1 SELECT mv!PREDICT(a)"),
            "SELECT MODEL ( d . m , v1 ) ! PREDICT ( a )"
        );
        assert_eq!(
            rewritten(
                "WITH x AS (SELECT 1), mv AS MODEL m, y(a) AS (SELECT 2) SELECT MV!PREDICT(a)"
            ),
            "WITH x AS ( SELECT 1 ) , y ( a ) AS ( SELECT 2 ) SELECT m ! PREDICT ( a )"
        );
        assert_eq!(rewritten("SELECT a AS MODEL FROM t"), "SELECT a AS MODEL FROM t");
    }

    #[test]
    fn outer_parentheses_of_joins_go() {
        assert_eq!(
            rewritten("SELECT * FROM ((SELECT 1) AS a JOIN (SELECT 2) AS b) WHERE x"),
            "SELECT * FROM ( SELECT 1 ) AS a JOIN ( SELECT 2 ) AS b WHERE x"
        );
        for sql in [
            "SELECT * FROM ( ( SELECT 1 ) AS a JOIN b ) AS c",
            "SELECT * FROM ( ( SELECT 1 ) UNION ( SELECT 2 ) )",
            "SELECT * FROM ( ( SELECT 1 ) AS a )",
        ] {
            assert_eq!(rewritten(sql), sql);
        }
    }

    #[test]
    fn the_flow_operator_is_refused() {
        let tokens = lex("SHOW TABLES ->> SELECT * FROM $1").unwrap().concat();
        let error = rewrite(tokens, &mut 0, &Known).unwrap_err();
        assert!(error.message.contains("->>"), "{error}");
    }
}
