//! QUERY_HASH: the same for texts that differ in blanks, comments and the case of what is not quoted.

use crate::session::secrets::digest;

/// Of the way in which texts are made alike.
pub(crate) const QUERY_HASH_VERSION: i64 = 1;
/// Hexadecimal digits of a hash.
const DIGITS: usize = 32;

/// The hash of a statement's text.
pub(crate) fn query_hash(text: &str) -> String {
    let mut hash = digest(&alike(text));
    hash.truncate(DIGITS);
    hash
}

/// How the part of a text that begins here ends, where it is one that blanks do not part.
fn quoted(rest: &str) -> Option<usize> {
    let after = |start: usize, end: &str| {
        let inner = rest.get(start..)?;
        Some(inner.find(end).map_or(rest.len(), |at| start + at + end.len()))
    };
    match rest.as_bytes().first()? {
        // A quote that is doubled begins the next part at once.
        b'\'' => {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == '\'' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            Some(end.map_or(rest.len(), |(at, _)| at + 1))
        }
        b'"' => after(1, "\""),
        b'$' if rest.starts_with("$$") => after(2, "$$"),
        _ => None,
    }
}

/// How long the comment is that begins here.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("--") || rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    let inner = rest.strip_prefix("/*")?;
    Some(inner.find("*/").map_or(rest.len(), |at| at + 4))
}

fn alike(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text.trim_end().trim_end_matches(';');
    let mut parted = false;
    while let Some(first) = rest.chars().next() {
        let (length, blank) = match (comment(rest), quoted(rest)) {
            (Some(length), _) => (length, true),
            (None, Some(length)) => (length, false),
            (None, None) => (first.len_utf8(), first.is_whitespace()),
        };
        let (part, after) = rest.split_at(length);
        if blank {
            parted = true;
        } else {
            if std::mem::take(&mut parted) && !made.is_empty() {
                made.push(' ');
            }
            match quoted(rest) {
                Some(_) => made.push_str(part),
                None => made.extend(first.to_uppercase()),
            }
        }
        rest = after;
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_case_make_no_difference() {
        let one = "SELECT a, 'It''s  x' FROM t WHERE b = \"b  B\"";
        let other = "  select A,\n'It''s  x' -- a note\nfrom /* of */ T where b = \"b  B\";\n";
        assert_eq!(alike(one), alike(other));
        assert_eq!(query_hash(one), query_hash(other));
        assert_eq!(query_hash(one).len(), DIGITS);
    }

    #[test]
    fn what_is_quoted_does() {
        assert_ne!(query_hash("SELECT 'a'"), query_hash("SELECT 'A'"));
        assert_ne!(query_hash("SELECT 'a  b'"), query_hash("SELECT 'a b'"));
        assert_ne!(query_hash("SELECT \"a\""), query_hash("SELECT \"A\""));
        assert_ne!(query_hash("SELECT $$a -- b$$"), query_hash("SELECT $$a $$"));
        assert_ne!(query_hash("SELECT 'a\\'--', 1"), query_hash("SELECT 'a\\'--', 2"));
        assert_eq!(alike("/* é"), "");
        assert_eq!(alike("'é"), "'é");
    }
}
