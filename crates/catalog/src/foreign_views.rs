//! Views that another DuckLake client made: their texts name this catalog by a word that stands for it.

use frazil_common::quote_identifier;

/// A view as another client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignView {
    /// The query's text in its dialect.
    pub text: String,
    /// Names of the columns, where they are not the query's; as it keeps them.
    pub aliases: String,
}

impl ForeignView {
    /// The names of the columns, where they are not the query's.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut rest = self.aliases.as_str();
        while let Some((name, after)) = identifier(rest) {
            names.push(name);
            rest = after.trim_start_matches([',', ' ']);
        }
        names
    }
}

/// What stands for the catalog in a view's text.
const CATALOG: &str = "{DUCKLAKE_CATALOG}.";

/// The text with the catalog's name, and that of a schema behind it, in the words of this side; `schema`
/// tells a schema's database and name.
pub fn translated(text: &str, schema: impl Fn(&str) -> Option<(String, String)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if matches!(first, '\'' | '"') {
            let end = rest[1..].find(first).map_or(rest.len(), |at| at + 2);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        if let Some(after) = rest.strip_prefix(CATALOG)
            && let Some((name, after)) = identifier(after)
            && let Some((database, name)) = schema(&name)
        {
            out.push_str(&format!("{}.{}", quote_identifier(&database), quote_identifier(&name)));
            rest = after;
            continue;
        }
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    out
}

/// The identifier that a text begins with, and what follows.
fn identifier(text: &str) -> Option<(String, &str)> {
    if let Some(inner) = text.strip_prefix('"') {
        let mut at = 0;
        loop {
            let end = at + inner.get(at..)?.find('"')?;
            let after = inner.get(end + 1..)?;
            if !after.starts_with('"') {
                return Some((inner.get(..end)?.replace("\"\"", "\""), after));
            }
            at = end + 2;
        }
    }
    let plain = |c: char| c == '_' || c.is_alphanumeric();
    let end = text.find(|c| !plain(c)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_string(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogs_name_is_read_outside_of_quotes() {
        let schema = |name: &str| {
            name.split_once('.').map(|(database, schema)| (database.into(), schema.into()))
        };
        let read = |text: &str| translated(text, schema);
        assert_eq!(
            read(
                "SELECT K FROM {DUCKLAKE_CATALOG}.\"T.PUBLIC\".B JOIN {DUCKLAKE_CATALOG}.\"T.s\".\"C\""
            ),
            "SELECT K FROM T.PUBLIC.B JOIN T.\"s\".\"C\""
        );
        for same in [
            "SELECT '{DUCKLAKE_CATALOG}.\"T.PUBLIC\".B', \"{DUCKLAKE_CATALOG}.x\"",
            "SELECT 'it''s {DUCKLAKE_CATALOG}.\"T.P\"' FROM {DUCKLAKE_CATALOG}.main.b",
            "SELECT 'é' FROM {DUCKLAKE_CATALOG}.",
        ] {
            assert_eq!(read(same), same);
        }
    }

    #[test]
    fn names_of_columns_are_a_list() {
        let names = |aliases: &str| {
            ForeignView { text: String::new(), aliases: aliases.to_string() }.names()
        };
        assert_eq!(names(""), Vec::<String>::new());
        assert_eq!(names("\"x\",\"a \"\"b\"\"\""), ["x", "a \"b\""]);
    }
}
