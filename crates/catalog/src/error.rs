//! What can go wrong in the catalog.

use frazil_common::{Code, UserError};

/// An error of the metadata database, or of what it was asked to do.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The database below failed.
    #[error("catalog database: {0}")]
    Database(#[from] sqlx::Error),
    /// A value in the database is not of its column's type.
    #[error("catalog value: {0}")]
    Value(#[from] arrow::error::ArrowError),
    /// The file is no catalog this version can use.
    #[error("{0}")]
    Format(String),
    /// Rows that contradict each other.
    #[error("catalog is damaged: {0}")]
    Damaged(String),
    /// Another transaction changed what this one read or wrote.
    #[error("conflict on {object}: {reason}")]
    Conflict {
        /// The object's name as SQL text.
        object: String,
        /// What the other transaction did.
        reason: String,
    },
    /// A fault of the statement, in Snowflake's words.
    #[error("{0}")]
    User(UserError),
}

/// Whether SQLite waited for another process's lock in vain: BUSY, whatever its extension.
fn is_busy(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    error.code().and_then(|code| code.parse::<i32>().ok()).is_some_and(|code| code & 0xff == 5)
}

impl From<UserError> for CatalogError {
    fn from(error: UserError) -> Self {
        CatalogError::User(error)
    }
}

impl From<CatalogError> for UserError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::User(error) => error,
            CatalogError::Conflict { object, reason } => UserError::new(
                Code::TransactionConflict,
                format!("Transaction was aborted: concurrent change of {object} ({reason})."),
            ),
            CatalogError::Database(error) if is_busy(&error) => UserError::new(
                Code::LockTimeout,
                "Another process, such as DuckDB, holds the catalog's database locked for writing. Nothing was \
                 changed; try again once it is done.",
            ),
            other => UserError::internal(other),
        }
    }
}

/// Result of catalog calls.
pub type Result<T, E = CatalogError> = std::result::Result<T, E>;
