//! Properties of tables, schemas and databases in CREATE and ALTER … SET: each has its effect or
//! is refused.

use frazil_common::UserError;
use frazil_dialect::{OptionValue, Options};

use crate::statements::option_values::{boolean, optional_text, unknown};
use crate::statements::retention::{RETENTION, days};

/// What the properties say; unset ones are none.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct TableOptions {
    pub retention_days: Option<u16>,
    pub change_tracking: Option<bool>,
    /// ALTER … SET COMMENT; the inner none removes it.
    pub comment: Option<Option<String>>,
}

impl TableOptions {
    /// Reads the properties of an object; `kind` is its kind as messages name it.
    pub fn read(kind: &str, options: &Options, transient: bool) -> Result<Self, UserError> {
        let mut read = TableOptions::default();
        for (key, value) in options.iter() {
            match key.to_uppercase().as_str() {
                RETENTION => read.retention_days = Some(days(value, transient)?),
                "CHANGE_TRACKING" if kind == "TABLE" => {
                    read.change_tracking = Some(boolean(key, value)?);
                }
                "COMMENT" => read.comment = Some(optional_text(key, value)?),
                other => refuse_effect(kind, other, Some(value))?,
            }
        }
        Ok(read)
    }
}

/// Keys that UNSET may name besides COMMENT, DATA_RETENTION_TIME_IN_DAYS and CHANGE_TRACKING:
/// taking away what can not be set changes nothing.
pub(crate) fn check_unset(kind: &str, key: &str) -> Result<(), UserError> {
    match key {
        "COMMENT" | RETENTION => Ok(()),
        "CHANGE_TRACKING" if kind == "TABLE" => Ok(()),
        other => refuse_effect(kind, other, None),
    }
}

/// Properties without an effect here pass only with the value that asks for none.
fn refuse_effect(kind: &str, key: &str, value: Option<&OptionValue>) -> Result<(), UserError> {
    let none = match key {
        "DEFAULT_DDL_COLLATION" => match value {
            None => true,
            Some(value) => optional_text(key, value)?.is_none_or(|collation| collation == "utf8"),
        },
        "ENABLE_SCHEMA_EVOLUTION" if kind == "TABLE" => match value {
            None => true,
            Some(value) => !boolean(key, value)?,
        },
        "MAX_DATA_EXTENSION_TIME_IN_DAYS" => value.is_none(),
        _ => return Err(unknown(kind, key)),
    };
    match (none, value) {
        (false, Some(value)) => Err(UserError::unsupported(format!("{key} = {value}"))),
        _ => Ok(()),
    }
}
