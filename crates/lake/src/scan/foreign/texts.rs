//! DuckDB's texts of nested values: `[1, NULL, 'a, b']`, `{'a': 1}`, `{k=1}`.

use super::Misfit;

/// What stands for NULL.
pub const NULL: &str = "NULL";

/// Calls `found` with the place of each character that is in no quotes and no brackets.
fn outside(text: &str, mut found: impl FnMut(usize, char)) -> Result<(), Misfit> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, character) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match character {
            '\\' if quoted => escaped = true,
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.checked_sub(1).ok_or(Misfit)?,
            other if depth == 0 => found(at, other),
            _ => {}
        }
    }
    if quoted || escaped || depth > 0 { Err(Misfit) } else { Ok(()) }
}

/// What stands between the brackets.
pub fn items(text: &str, open: char, close: char) -> Result<Vec<&str>, Misfit> {
    let inner = text.strip_prefix(open).and_then(|text| text.strip_suffix(close)).ok_or(Misfit)?;
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let mut commas = Vec::new();
    outside(inner, |at, character| {
        if character == ',' {
            commas.push(at);
        }
    })?;
    let mut all = Vec::with_capacity(commas.len() + 1);
    let mut from = 0;
    for at in commas.into_iter().chain([inner.len()]) {
        all.push(inner.get(from..at).ok_or(Misfit)?.trim_matches(' '));
        from = at + 1;
    }
    Ok(all)
}

/// A name or key, and the value that belongs to it.
pub fn pair(text: &str, between: char) -> Result<(&str, &str), Misfit> {
    let mut first = None;
    outside(text, |at, character| {
        if character == between && first.is_none() {
            first = Some(at);
        }
    })?;
    let (name, value) = text.split_at_checked(first.ok_or(Misfit)?).ok_or(Misfit)?;
    Ok((name.trim_matches(' '), value.get(1..).ok_or(Misfit)?.trim_matches(' ')))
}

/// The text that a token without brackets stands for; none for NULL.
pub fn plain(token: &str) -> Result<Option<String>, Misfit> {
    if token == NULL {
        return Ok(None);
    }
    let Some(inner) = token.strip_prefix('\'') else {
        // What is written without quotes has nothing that would need them.
        let odd = token.is_empty() || token.contains(['\'', '"', '[', ']', '{', '}']);
        return if odd { Err(Misfit) } else { Ok(Some(token.to_string())) };
    };
    let inner = inner.strip_suffix('\'').ok_or(Misfit)?;
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        text.push(match character {
            '\\' => match rest.next() {
                Some(escaped @ ('\\' | '\'')) => escaped,
                _ => return Err(Misfit),
            },
            '\'' => return Err(Misfit),
            other => other,
        });
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Texts as DuckDB 1.5.5 writes them into its inlined tables.
    #[test]
    fn texts_of_nested_values_are_taken_apart() {
        let list = r#"['\'x\\y"z
 ', 'NULL', NULL, a\, '', ' ', '[x]', 'q(\'x\')', [1, 2]]"#;
        let found = items(list, '[', ']').unwrap();
        let texts: Vec<Option<String>> = found[..8].iter().map(|t| plain(t).unwrap()).collect();
        let wanted = [
            Some("'x\\y\"z\n "),
            Some("NULL"),
            None,
            Some("a\\"),
            Some(""),
            Some(" "),
            Some("[x]"),
            Some("q('x')"),
        ];
        assert_eq!(texts.iter().map(Option::as_deref).collect::<Vec<_>>(), wanted);
        assert_eq!(items(found[8], '[', ']').unwrap(), ["1", "2"]);
        assert!(items("[]", '[', ']').unwrap().is_empty());
        let map = items("{k=1, 'a=b, c'={'a': 3}}", '{', '}').unwrap();
        assert_eq!(pair(map[0], '=').unwrap(), ("k", "1"));
        let (key, value) = pair(map[1], '=').unwrap();
        assert_eq!(plain(key).unwrap().as_deref(), Some("a=b, c"));
        assert_eq!(pair(items(value, '{', '}').unwrap()[0], ':').unwrap(), ("'a'", "3"));
    }

    #[test]
    fn what_may_mean_something_else_is_refused() {
        for token in ["'it''s'", "CAST('2020-01-01' AS DATE)", "'a", "'a\\n'", "'nan'::DOUBLE", ""]
        {
            assert!(plain(token).is_err(), "{token}");
        }
        for text in ["[1", "1, 2", "['a]", "[1]]", "['a\\']"] {
            assert!(items(text, '[', ']').is_err(), "{text}");
        }
        assert!(pair("'a=b'", '=').is_err());
    }
}
