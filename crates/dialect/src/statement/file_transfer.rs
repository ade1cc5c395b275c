//! PUT, GET, LIST, REMOVE.

use frazil_common::UserError;

use super::Statement;
use super::options::{OptionValue, Options};
use crate::tokens::Tokens;

/// `PUT 'file://…' @stage[/path] [PARALLEL = n] [AUTO_COMPRESS = …] [SOURCE_COMPRESSION = …] [OVERWRITE = …] [THRESHOLD = n]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PutFiles {
    /// `file://…`, wildcards included.
    pub source: String,
    /// `@stage/path`.
    pub location: String,
    pub parallel: Option<i64>,
    pub auto_compress: Option<bool>,
    /// AUTO_DETECT, GZIP, …
    pub source_compression: Option<String>,
    pub overwrite: Option<bool>,
    /// Bytes above which the client sends a file in parts.
    pub threshold: Option<i64>,
}

/// `GET @stage[/path] 'file://…' [PARALLEL = n] [PATTERN = '…']`.
#[derive(Debug, Clone, PartialEq)]
pub struct GetFiles {
    pub location: String,
    pub target: String,
    pub parallel: Option<i64>,
    pub pattern: Option<String>,
}

/// `{LIST | LS} @stage[/path] [PATTERN = '…']`.
#[derive(Debug, Clone, PartialEq)]
pub struct ListFiles {
    pub location: String,
    pub pattern: Option<String>,
}

/// `{REMOVE | RM} @stage[/path] [PATTERN = '…']`.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoveFiles {
    pub location: String,
    pub pattern: Option<String>,
}

/// `@stage/path`, bare or quoted.
pub(super) fn location(tokens: &mut Tokens<'_>) -> Result<String, UserError> {
    let position = tokens.position();
    let text = tokens.expect_text()?;
    if text.starts_with('@') && text.len() > 1 {
        Ok(text)
    } else {
        Err(tokens
            .invalid(format!("'{text}' is no stage location; write @stage[/path]."), position))
    }
}

fn uri(tokens: &mut Tokens<'_>) -> Result<String, UserError> {
    let position = tokens.position();
    let text = tokens.expect_text()?;
    if text.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("file://")) {
        Ok(text)
    } else {
        Err(tokens.invalid(format!("'{text}' is no local file; write 'file://<path>'."), position))
    }
}

/// Takes a key out and reads its value, or fails at the statement's start of options.
fn take<T>(
    tokens: &Tokens<'_>,
    options: &mut Options,
    key: &str,
    read: impl Fn(&OptionValue) -> Option<T>,
) -> Result<Option<T>, UserError> {
    match options.take(key) {
        None => Ok(None),
        Some(value) => match read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(tokens.invalid(
                format!("invalid value {value} for property '{key}'."),
                tokens.position(),
            )),
        },
    }
}

fn text(value: &OptionValue) -> Option<String> {
    value.as_text().map(ToString::to_string)
}

pub(super) fn parse_put(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let source = uri(tokens)?;
    let location = location(tokens)?;
    let mut options = Options::default();
    let known = ["PARALLEL", "AUTO_COMPRESS", "SOURCE_COMPRESSION", "OVERWRITE", "THRESHOLD"];
    options.parse_known(tokens, &known)?;
    Ok(Statement::Put(PutFiles {
        source,
        location,
        parallel: take(tokens, &mut options, "PARALLEL", OptionValue::as_integer)?,
        auto_compress: take(tokens, &mut options, "AUTO_COMPRESS", OptionValue::as_boolean)?,
        source_compression: take(tokens, &mut options, "SOURCE_COMPRESSION", text)?,
        overwrite: take(tokens, &mut options, "OVERWRITE", OptionValue::as_boolean)?,
        threshold: take(tokens, &mut options, "THRESHOLD", OptionValue::as_integer)?,
    }))
}

pub(super) fn parse_get(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let location = location(tokens)?;
    let target = uri(tokens)?;
    let mut options = Options::default();
    options.parse_known(tokens, &["PARALLEL", "PATTERN"])?;
    Ok(Statement::Get(GetFiles {
        location,
        target,
        parallel: take(tokens, &mut options, "PARALLEL", OptionValue::as_integer)?,
        pattern: take(tokens, &mut options, "PATTERN", text)?,
    }))
}

fn pattern(tokens: &mut Tokens<'_>) -> Result<Option<String>, UserError> {
    if tokens.words("PATTERN") { tokens.equals_text().map(Some) } else { Ok(None) }
}

pub(super) fn parse_list(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let location = location(tokens)?;
    Ok(Statement::List(ListFiles { location, pattern: pattern(tokens)? }))
}

pub(super) fn parse_remove(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let location = location(tokens)?;
    Ok(Statement::Remove(RemoveFiles { location, pattern: pattern(tokens)? }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{error, statement, unexpected};

    #[test]
    fn puts_files() {
        let expected = PutFiles {
            source: "file:///tmp/a b/x*.csv".into(),
            location: "@\"D\".\"S\".\"st\"/dir".into(),
            parallel: Some(4),
            auto_compress: Some(false),
            source_compression: Some("AUTO_DETECT".into()),
            overwrite: Some(true),
            threshold: None,
        };
        let sql = "PUT 'file:///tmp/a b/x*.csv' '@\"D\".\"S\".\"st\"/dir' PARALLEL = 4 \
                   AUTO_COMPRESS = FALSE SOURCE_COMPRESSION = AUTO_DETECT OVERWRITE = TRUE";
        assert_eq!(statement(sql), Statement::Put(expected));
        let Statement::Put(put) = statement("put file:///tmp/x/*.csv @~/stage/a.b; ") else {
            panic!()
        };
        assert_eq!(
            (put.source.as_str(), put.location.as_str()),
            ("file:///tmp/x/*.csv", "@~/stage/a.b")
        );
        let Statement::Put(put) = statement("PUT file://C:\\t\\x.csv @%t") else { panic!() };
        assert_eq!((put.source.as_str(), put.location.as_str()), ("file://C:\\t\\x.csv", "@%t"));
    }

    #[test]
    fn gets_lists_and_removes_files() {
        let Statement::Get(get) = statement("GET @s/a file:///tmp/ PATTERN = '.*' PARALLEL = 2")
        else {
            panic!()
        };
        assert_eq!(
            (get.target.as_str(), get.pattern.as_deref(), get.parallel),
            ("file:///tmp/", Some(".*"), Some(2))
        );
        for sql in ["LIST @s/a PATTERN = 'x'", "LS @s/a PATTERN = 'x'"] {
            assert_eq!(
                statement(sql),
                Statement::List(ListFiles { location: "@s/a".into(), pattern: Some("x".into()) })
            );
        }
        for sql in ["REMOVE @s/a", "rm '@s/a'"] {
            assert_eq!(
                statement(sql),
                Statement::Remove(RemoveFiles { location: "@s/a".into(), pattern: None })
            );
        }
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("PUT file:///x @s FROB = 1", "FROB");
        unexpected("PUT file:///x", "");
        unexpected("LIST s", "s");
        assert!(error("PUT 's3://x' @s").message.contains("no local file"));
        assert!(error("LIST 's'").message.contains("no stage location"));
        assert!(error("PUT file:///x @s PARALLEL = many").message.contains("PARALLEL"));
    }
}
