//! Making the crate's errors for the account's own objects.

use frazil_common::{ObjectKind, UserError};

use crate::CatalogError;

/// An absent object of a kind.
pub(super) fn not_found(kind: ObjectKind, name: &str) -> CatalogError {
    CatalogError::User(UserError::not_found(noun(kind), name))
}

/// Turns a broken UNIQUE constraint into Snowflake's "already exists".
pub(super) fn on_insert(error: sqlx::Error, name: &str) -> CatalogError {
    match error.as_database_error() {
        Some(database) if database.is_unique_violation() => {
            CatalogError::User(UserError::exists(name))
        }
        _ => CatalogError::Database(error),
    }
}

/// Reads a stored JSON body.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> crate::Result<T> {
    serde_json::from_str(text).map_err(|error| CatalogError::Damaged(error.to_string()))
}

/// Writes a JSON body.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> crate::Result<String> {
    serde_json::to_string(value).map_err(|error| CatalogError::Damaged(error.to_string()))
}

/// Reads a word of an enum stored as text.
pub(super) fn parse_word<T: std::str::FromStr>(text: &str) -> crate::Result<T> {
    text.parse().map_err(|_| CatalogError::Damaged(format!("unknown word '{text}'")))
}

/// The kind as Snowflake's messages begin with it.
fn noun(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Account => "Account",
        ObjectKind::Database => "Database",
        ObjectKind::Schema => "Schema",
        ObjectKind::Table | ObjectKind::View => "Object",
        ObjectKind::Stage => "Stage",
        ObjectKind::FileFormat => "File format",
        ObjectKind::Sequence => "Sequence",
        ObjectKind::Model => "Model",
        ObjectKind::Warehouse => "Warehouse",
        ObjectKind::Role => "Role",
        ObjectKind::User => "User",
        ObjectKind::Endpoint => "Endpoint",
        ObjectKind::DatabaseRole => "Database role",
        ObjectKind::MaskingPolicy => "Masking policy",
        ObjectKind::RowAccessPolicy => "Row access policy",
        ObjectKind::Tag => "Tag",
        ObjectKind::ResourceMonitor => "Resource monitor",
    }
}
