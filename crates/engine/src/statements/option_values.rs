//! Values of `KEY = value` options, read as a type.

use frazil_common::{Code, UserError};
use frazil_dialect::OptionValue;

fn bad(key: &str, value: &OptionValue, wanted: &str) -> UserError {
    UserError::new(
        Code::InvalidArgument,
        format!("invalid value [{value}] for parameter '{key}': {wanted} is needed"),
    )
}

/// A string, word or number as text.
pub(crate) fn text(key: &str, value: &OptionValue) -> Result<String, UserError> {
    value.as_text().map(str::to_string).ok_or_else(|| bad(key, value, "a text"))
}

/// As [`text`]; NULL and the empty string are none.
pub(crate) fn optional_text(key: &str, value: &OptionValue) -> Result<Option<String>, UserError> {
    if *value == OptionValue::Null {
        return Ok(None);
    }
    Ok(Some(text(key, value)?).filter(|text| !text.is_empty()))
}

pub(crate) fn boolean(key: &str, value: &OptionValue) -> Result<bool, UserError> {
    value.as_boolean().ok_or_else(|| bad(key, value, "TRUE or FALSE"))
}

/// An integer within a range.
pub(crate) fn integer(
    key: &str,
    value: &OptionValue,
    range: std::ops::RangeInclusive<i64>,
) -> Result<i64, UserError> {
    value.as_integer().filter(|number| range.contains(number)).ok_or_else(|| {
        bad(key, value, &format!("an integer from {} to {}", range.start(), range.end()))
    })
}

/// A name given as a word or as a string, as identifiers are read: folded unless quoted.
pub(crate) fn name(key: &str, value: &OptionValue) -> Result<Option<String>, UserError> {
    match optional_text(key, value)? {
        None => Ok(None),
        Some(text) => Ok(Some(frazil_dialect::parse_object_name_text(&text)?.name)),
    }
}

/// The error for a property that the kind of object does not have.
pub(crate) fn unknown(kind: &str, key: &str) -> UserError {
    UserError::new(Code::InvalidStatement, format!("invalid property '{key}' for '{kind}'"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_read_as_their_type() {
        assert_eq!(integer("N", &OptionValue::Number("7".into()), 1..=9).unwrap(), 7);
        assert!(integer("N", &OptionValue::Number("10".into()), 1..=9).is_err());
        assert!(boolean("B", &OptionValue::Number("1".into())).is_err());
        assert_eq!(name("R", &OptionValue::Text("my_role".into())).unwrap().unwrap(), "MY_ROLE");
        assert_eq!(name("R", &OptionValue::Word("\"a b\"".into())).unwrap().unwrap(), "a b");
        assert_eq!(name("R", &OptionValue::Text(String::new())).unwrap(), None);
    }
}
