//! Names that the system's own objects have, though they lie in no catalog.

use frazil_common::{UserError, quote_identifier};

use crate::account_usage;

/// The schema of every database that tells of its objects.
pub(crate) const INFORMATION_SCHEMA: &str = "INFORMATION_SCHEMA";

/// Whether a database of this name would hide the one that tells of the account.
pub(crate) fn is_database(name: &str) -> bool {
    name == account_usage::DATABASE
}

/// Refuses a new name of a database.
///
/// # Errors
/// 002002 for the system's own.
pub(crate) fn check_database(name: &str) -> Result<(), UserError> {
    match is_database(name) {
        true => Err(UserError::exists(quote_identifier(name))),
        false => Ok(()),
    }
}

/// The same of a schema.
pub(crate) fn check_schema(name: &str) -> Result<(), UserError> {
    match name == INFORMATION_SCHEMA {
        true => Err(UserError::exists(quote_identifier(name))),
        false => Ok(()),
    }
}
