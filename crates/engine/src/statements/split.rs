//! Splitting a script into its statements, without running anything.

use frazil_common::UserError;

/// One statement of a script, and where it starts (counted from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitStatement {
    pub text: String,
    pub line: u64,
    pub column: u64,
}

/// Splits at semicolons outside quotes, `$$` and comments. Nothing is parsed, so that statements
/// before a faulty one can run.
///
/// # Errors
/// A quote or comment that never ends.
pub fn split_statements(text: &str) -> Result<Vec<SplitStatement>, UserError> {
    let mut statements = Vec::new();
    let (mut line, mut column) = (1u64, 1u64);
    let mut start: Option<(usize, u64, u64)> = None;
    let mut rest = text.char_indices().peekable();
    let mut closing: Option<&str> = None;
    while let Some((index, character)) = rest.next() {
        let tail = &text[index..];
        let mut width = 1;
        if let Some(end) = closing {
            if tail.starts_with(end) {
                width = end.chars().count();
                closing = None;
            } else if end == "'" && character == '\\' {
                width = 2;
            }
        } else if tail.starts_with("--") || tail.starts_with("//") {
            closing = Some("\n");
            width = 2;
        } else if tail.starts_with("/*") {
            closing = Some("*/");
            width = 2;
        } else if tail.starts_with("$$") {
            closing = Some("$$");
            start.get_or_insert((index, line, column));
            width = 2;
        } else if character == '\'' {
            closing = Some("'");
            start.get_or_insert((index, line, column));
        } else if character == '"' {
            closing = Some("\"");
            start.get_or_insert((index, line, column));
        } else if character == ';' {
            if let Some((from, line, column)) = start.take() {
                statements.push(SplitStatement {
                    text: text[from..index].to_string(),
                    line,
                    column,
                });
            }
        } else if !character.is_whitespace() {
            start.get_or_insert((index, line, column));
        }
        let mut last = character;
        for _ in 1..width {
            if last == '\n' {
                line += 1;
                column = 1;
            } else {
                column += 1;
            }
            match rest.next() {
                Some((_, next)) => last = next,
                None => break,
            }
        }
        if last == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    match closing {
        Some("\n") | None => {}
        Some(end) => return Err(UserError::syntax(format!("parse error: missing closing {end}"))),
    }
    if let Some((from, line, column)) = start {
        let text = text[from..].trim_end().to_string();
        statements.push(SplitStatement { text, line, column });
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn semicolons_inside_quotes_and_comments_do_not_split() {
        let text =
            "-- first; not a statement\nselect ';' ; /* ; */ select $$a;b$$;\n\n select \"x;y\"";
        let found = split_statements(text).unwrap();
        let texts: Vec<&str> = found.iter().map(|statement| statement.text.trim()).collect();
        assert_eq!(texts, ["select ';'", "select $$a;b$$", "select \"x;y\""]);
        assert_eq!((found[0].line, found[0].column), (2, 1));
        assert_eq!((found[2].line, found[2].column), (4, 2));
        assert!(split_statements("select 'open").is_err());
        assert!(split_statements("  -- nothing\n").unwrap().is_empty());
    }
}
