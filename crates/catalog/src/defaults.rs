//! Column defaults in DuckLake's own columns: what other clients insert where a column is left out.

use frazil_common::SqlType;

use crate::objects::ColumnInfo;

/// A default as DuckLake keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DucklakeDefault {
    /// A value in DuckLake's text form.
    Literal(String),
    /// An expression in DuckDB's dialect.
    Expression(String),
}

/// The word for no default.
const NONE: &str = "NULL";

impl DucklakeDefault {
    /// A value; the word NULL needs quotes, or it would be none.
    pub fn literal(text: String) -> DucklakeDefault {
        match text.eq_ignore_ascii_case(NONE) {
            true => DucklakeDefault::Expression(quoted(&text)),
            false => DucklakeDefault::Literal(text),
        }
    }

    /// Stands for a default that no other client can compute: an INSERT that needs it fails there,
    /// which would else write NULL.
    pub fn refusing(column: &str) -> DucklakeDefault {
        let text =
            format!("the default of column {column} is computed by Frazil alone: give a value");
        DucklakeDefault::Expression(format!("error({})", quoted(&text)))
    }

    /// Whether it stands for a default of ours.
    pub fn is_refusing(&self) -> bool {
        matches!(self, DucklakeDefault::Expression(text) if text.starts_with("error('the default of"))
    }

    /// Reads the columns `default_value` and `default_value_type`.
    pub(crate) fn read(value: Option<String>, kind: Option<&str>) -> Option<DucklakeDefault> {
        let value = value?;
        match kind {
            Some("expression") => Some(DucklakeDefault::Expression(value)),
            _ if value == NONE => None,
            _ => Some(DucklakeDefault::Literal(value)),
        }
    }

    /// The columns `default_value` and `default_value_type`.
    pub(crate) fn columns(default: Option<&DucklakeDefault>) -> (&str, &'static str) {
        match default {
            None => (NONE, "literal"),
            Some(DucklakeDefault::Literal(text)) => (text, "literal"),
            Some(DucklakeDefault::Expression(text)) => (text, "expression"),
        }
    }

    /// The value or expression.
    pub fn text(&self) -> &str {
        match self {
            DucklakeDefault::Literal(text) | DucklakeDefault::Expression(text) => text,
        }
    }

    /// As one text, by which a change of another client is found.
    pub(crate) fn tag(&self) -> String {
        let (value, kind) = DucklakeDefault::columns(Some(self));
        format!("{kind}:{value}")
    }

    /// The default in the dialect of this side; none where that would not surely be the same.
    pub(crate) fn to_sql(&self, column: &ColumnInfo) -> Option<String> {
        // Their storage is not what the logical type reads.
        let plain = match column.physical_type.as_str() {
            "int64" => matches!(column.sql_type, SqlType::Number { .. }),
            "timestamp_ns" => crate::physical::from_physical(&column.physical_type)
                .is_some_and(|plain| plain.to_arrow() == column.sql_type.to_arrow()),
            _ => true,
        };
        if !plain {
            return None;
        }
        match self {
            DucklakeDefault::Literal(text) if column.physical_type == "blob" => {
                let bytes = blob_bytes(text)?;
                let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
                Some(format!("TO_BINARY('{hex}', 'HEX')"))
            }
            DucklakeDefault::Literal(text) if is_number(text, &column.physical_type) => {
                Some(text.clone())
            }
            DucklakeDefault::Literal(text) => Some(string(text)),
            DucklakeDefault::Expression(text) => expression(text, &column.physical_type),
        }
    }
}

/// Whether the text of a value is a number in any dialect.
fn is_number(text: &str, physical: &str) -> bool {
    let exact = ["int", "uint", "decimal"].iter().any(|kind| physical.starts_with(kind));
    let digits = text.strip_prefix('-').unwrap_or(text);
    let parts = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    exact && plain(parts.0) && plain(parts.1)
}

/// A string literal of DuckDB's dialect.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A string literal of this side's dialect.
fn string(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// DuckDB's text of bytes: `\xFF` for those that are no plain letters.
pub fn blob_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' | b'\'' | b'"' | 0..=31 | 127.. => text.push_str(&format!("\\x{byte:02X}")),
            plain => text.push(char::from(*plain)),
        }
    }
    text
}

/// The bytes that [`blob_text`] stands for; none for what is no such text.
pub fn blob_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        match first {
            b'\\' => {
                let digits = after.strip_prefix(b"x")?.get(..2)?;
                let digits = std::str::from_utf8(digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = after.get(3..)?;
            }
            plain if plain.is_ascii() => {
                bytes.push(*plain);
                rest = after;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

/// The few expressions of DuckDB that mean the same here.
fn expression(text: &str, physical: &str) -> Option<String> {
    let text = text.trim();
    match (text.to_ascii_lowercase().as_str(), physical) {
        ("now()" | "current_timestamp" | "get_current_timestamp()", "timestamptz") => {
            return Some("CURRENT_TIMESTAMP()".to_string());
        }
        ("now()" | "current_timestamp" | "localtimestamp", "timestamp") => {
            return Some("CURRENT_TIMESTAMP()".to_string());
        }
        ("current_date" | "today()", "date") => return Some("CURRENT_DATE()".to_string()),
        _ => {}
    }
    if let Some(value) = unquoted(text) {
        return Some(string(&value));
    }
    // `CAST('2020-01-01' AS "DATE")`, to the column's own type.
    let inner = text.strip_prefix("CAST(")?.strip_suffix(')')?;
    let (value, to) = inner.rsplit_once(" AS ")?;
    let value = unquoted(value)?;
    let same = match to.trim_matches('"') {
        "BOOLEAN" => physical == "boolean",
        "DATE" => physical == "date",
        "TIME" => physical == "time",
        "TIMESTAMP" => physical == "timestamp",
        "TIMESTAMP WITH TIME ZONE" => physical == "timestamptz",
        "VARCHAR" => physical == "varchar",
        _ => false,
    };
    match (same, value.as_str()) {
        (true, "t") if physical == "boolean" => Some("TRUE".to_string()),
        (true, "f") if physical == "boolean" => Some("FALSE".to_string()),
        (true, _) => Some(string(&value)),
        (false, _) => None,
    }
}

/// What a string literal of DuckDB holds; none for anything else.
fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let single = inner.replace("''", "");
    (!single.contains('\'')).then(|| inner.replace("''", "'"))
}

#[cfg(test)]
mod tests {
    use frazil_common::SqlType;

    use super::*;

    fn sql(default: DucklakeDefault, physical: &str) -> Option<String> {
        let sql_type = crate::physical::from_physical(physical).unwrap_or(SqlType::TEXT);
        let mut column = ColumnInfo::new("C", sql_type, true);
        column.physical_type = physical.to_string();
        default.to_sql(&column)
    }

    #[test]
    fn what_is_not_surely_the_same_is_not_taken_over() {
        let expression = |text: &str| DucklakeDefault::Expression(text.to_string());
        let some = |text: &str| Some(text.to_string());
        assert_eq!(sql(expression("CAST('t' AS BOOLEAN)"), "boolean"), some("TRUE"));
        assert_eq!(sql(expression("CAST('2020-05-05' AS \"DATE\")"), "date"), some("'2020-05-05'"));
        assert_eq!(sql(expression("CAST('5' AS INTEGER)"), "varchar"), None);
        assert_eq!(sql(expression("'it''s \\n'"), "varchar"), some("'it''s \\\\n'"));
        for text in ["('a' || 'b')", "'a' || 'b'", "random()", "(7 // 2)"] {
            assert_eq!(sql(expression(text), "varchar"), None, "{text}");
        }
        assert_eq!(sql(DucklakeDefault::Literal("-7".into()), "int32"), some("-7"));
        assert_eq!(sql(DucklakeDefault::Literal("7".into()), "varchar"), some("'7'"));
        let blob = sql(DucklakeDefault::Literal("\\x00\\xFFab".into()), "blob");
        assert_eq!(blob, some("TO_BINARY('00FF6162', 'HEX')"));
    }

    #[test]
    fn bytes_have_a_text() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(blob_bytes(&blob_text(&all)), Some(all));
        assert_eq!(blob_bytes("\\y"), None);
        assert_eq!(blob_bytes("é"), None);
    }

    #[test]
    fn the_word_null_is_a_value_in_quotes_alone() {
        let word = DucklakeDefault::literal("NULL".to_string());
        let (value, kind) = DucklakeDefault::columns(Some(&word));
        assert_eq!((value, kind), ("'NULL'", "expression"));
        assert_eq!(DucklakeDefault::read(Some(value.into()), Some(kind)), Some(word));
        assert_eq!(DucklakeDefault::read(Some("NULL".into()), Some("literal")), None);
    }
}
