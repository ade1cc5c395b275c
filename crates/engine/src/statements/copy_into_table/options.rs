//! Copy options of COPY INTO table, the statement's over the stage's.

use std::collections::BTreeMap;

use frazil_common::{Code, UserError};
use serde_json::Value;

use crate::stages::scan::METADATA_COLUMNS;

/// What happens to a row that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnError {
    /// The statement fails and nothing is loaded.
    Abort,
    /// The row is left out.
    Continue,
    /// The file is left out once it has this many bad rows.
    SkipFile(u64),
    /// The file is left out when more than this percentage of its rows are bad.
    SkipFilePercent(u64),
}

impl OnError {
    fn parse(text: &str) -> Option<OnError> {
        let upper = text.to_uppercase();
        Some(match upper.as_str() {
            "ABORT_STATEMENT" => OnError::Abort,
            "CONTINUE" => OnError::Continue,
            "SKIP_FILE" => OnError::SkipFile(1),
            other => {
                let limit = other.strip_prefix("SKIP_FILE_")?;
                match limit.strip_suffix('%') {
                    Some(percent) => OnError::SkipFilePercent(
                        percent.parse::<u64>().ok().filter(|percent| *percent <= 100)?,
                    ),
                    None => {
                        OnError::SkipFile(limit.parse::<u64>().ok().filter(|limit| *limit > 0)?)
                    }
                }
            }
        })
    }

    /// Whether a file with these counts is left out.
    pub fn skips(self, parsed: i64, errors: i64) -> bool {
        match self {
            OnError::Abort | OnError::Continue => false,
            OnError::SkipFile(limit) => errors >= i64::try_from(limit).unwrap_or(i64::MAX),
            OnError::SkipFilePercent(percent) => {
                i128::from(errors) * 100 > i128::from(parsed) * i128::from(percent)
            }
        }
    }

    /// The column ERROR_LIMIT of the answer.
    pub fn limit(self, parsed: i64) -> i64 {
        match self {
            OnError::Abort => 1,
            OnError::Continue => parsed,
            OnError::SkipFile(limit) => i64::try_from(limit).unwrap_or(i64::MAX),
            OnError::SkipFilePercent(percent) => {
                i64::try_from(i128::from(parsed) * i128::from(percent) / 100).unwrap_or(i64::MAX)
            }
        }
    }
}

/// MATCH_BY_COLUMN_NAME.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchBy {
    Position,
    CaseSensitive,
    CaseInsensitive,
}

impl MatchBy {
    /// Whether a file's name stands for a column.
    pub fn matches(self, file: &str, column: &str) -> bool {
        match self {
            MatchBy::Position => false,
            MatchBy::CaseSensitive => file == column,
            MatchBy::CaseInsensitive => file.eq_ignore_ascii_case(column),
        }
    }
}

/// What VALIDATION_MODE asks for instead of loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validation {
    Rows(usize),
    Errors,
    /// Also of files that were loaded in part.
    AllErrors,
}

impl Validation {
    pub fn parse(text: &str) -> Result<Validation, UserError> {
        let rows = text
            .strip_prefix("RETURN_")
            .and_then(|rest| rest.strip_suffix("_ROWS"))
            .and_then(|count| count.parse::<usize>().ok())
            .filter(|count| *count > 0);
        match (text, rows) {
            ("RETURN_ERRORS", _) => Ok(Validation::Errors),
            ("RETURN_ALL_ERRORS", _) => Ok(Validation::AllErrors),
            (_, Some(rows)) => Ok(Validation::Rows(rows)),
            _ => Err(invalid("VALIDATION_MODE", text)),
        }
    }
}

/// All copy options, each with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CopyOptions {
    pub on_error: OnError,
    /// Bytes after which no further file is begun.
    pub size_limit: Option<u64>,
    pub purge: bool,
    pub return_failed_only: bool,
    pub match_by: MatchBy,
    /// INCLUDE_METADATA: table column and metadata column.
    pub include_metadata: Vec<(String, String)>,
    /// Text that is too long for its column is cut.
    pub truncate: bool,
    pub force: bool,
    pub load_uncertain: bool,
}

fn invalid(name: &str, value: impl std::fmt::Display) -> UserError {
    UserError::new(Code::InvalidArgument, format!("invalid value [{value}] for parameter '{name}'"))
}

/// Reads options by upper-case name.
///
/// # Errors
/// An unknown option, or a value it does not take.
pub(super) fn read(options: &BTreeMap<String, Value>) -> Result<CopyOptions, UserError> {
    let mut result = CopyOptions {
        on_error: OnError::Abort,
        size_limit: None,
        purge: false,
        return_failed_only: false,
        match_by: MatchBy::Position,
        include_metadata: Vec::new(),
        truncate: false,
        force: false,
        load_uncertain: false,
    };
    for (name, value) in options {
        let flag = || match value {
            Value::Bool(flag) => Ok(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(invalid(name, value)),
        };
        let text = || value.as_str().ok_or_else(|| invalid(name, value));
        match name.as_str() {
            "ON_ERROR" => {
                let text = text()?;
                result.on_error = OnError::parse(text).ok_or_else(|| invalid(name, text))?;
            }
            "SIZE_LIMIT" => {
                let bytes = value.as_u64().filter(|bytes| *bytes > 0);
                result.size_limit = Some(bytes.ok_or_else(|| invalid(name, value))?);
            }
            "PURGE" => result.purge = flag()?,
            "RETURN_FAILED_ONLY" => result.return_failed_only = flag()?,
            "MATCH_BY_COLUMN_NAME" => {
                result.match_by = match text()?.to_uppercase().as_str() {
                    "NONE" => MatchBy::Position,
                    "CASE_SENSITIVE" => MatchBy::CaseSensitive,
                    "CASE_INSENSITIVE" => MatchBy::CaseInsensitive,
                    other => return Err(invalid(name, other)),
                }
            }
            "INCLUDE_METADATA" => result.include_metadata = metadata(value)?,
            "ENFORCE_LENGTH" => result.truncate = !flag()?,
            "TRUNCATECOLUMNS" => result.truncate = flag()?,
            "FORCE" => result.force = flag()?,
            "LOAD_UNCERTAIN_FILES" => result.load_uncertain = flag()?,
            other => return Err(UserError::unsupported(format!("COPY INTO … {other}"))),
        }
    }
    if result.force && result.load_uncertain {
        return Err(UserError::new(
            Code::InvalidArgument,
            "FORCE and LOAD_UNCERTAIN_FILES cannot be used together.",
        ));
    }
    if !result.include_metadata.is_empty() && result.match_by == MatchBy::Position {
        return Err(UserError::new(
            Code::InvalidArgument,
            "INCLUDE_METADATA can only be used with MATCH_BY_COLUMN_NAME.",
        ));
    }
    Ok(result)
}

fn metadata(value: &Value) -> Result<Vec<(String, String)>, UserError> {
    let entries = value.as_object().ok_or_else(|| invalid("INCLUDE_METADATA", value))?;
    entries
        .iter()
        .map(|(column, source)| {
            let source = source.as_str().unwrap_or_default().to_uppercase();
            match METADATA_COLUMNS.contains(&source.as_str()) {
                true => Ok((column.clone(), source)),
                false => Err(invalid("INCLUDE_METADATA", source)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn limits_of_skipped_files() {
        assert_eq!(OnError::parse("skip_file"), Some(OnError::SkipFile(1)));
        assert_eq!(OnError::parse("SKIP_FILE_3"), Some(OnError::SkipFile(3)));
        assert_eq!(OnError::parse("SKIP_FILE_10%"), Some(OnError::SkipFilePercent(10)));
        assert_eq!(OnError::parse("SKIP_FILE_0"), None);
        assert_eq!(OnError::parse("SKIP_FILE_101%"), None);
        assert!(OnError::SkipFile(2).skips(10, 2));
        assert!(!OnError::SkipFile(3).skips(10, 2));
        // Snowflake skips when the percentage is exceeded.
        assert!(!OnError::SkipFilePercent(20).skips(10, 2));
        assert!(OnError::SkipFilePercent(19).skips(10, 2));
    }
}
