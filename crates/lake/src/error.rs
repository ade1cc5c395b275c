//! What can go wrong with rows at rest.

use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use frazil_catalog::{CatalogError, TableInfo};
use frazil_common::{Code, UserError};

/// An error of the lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// Another transaction changed the same rows or definitions; a fresh transaction may succeed.
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
    #[error(transparent)]
    Catalog(CatalogError),
    /// The rows to write could not be computed; holds the query's own error.
    #[error(transparent)]
    Query(DataFusionError),
    #[error("arrow: {0}")]
    Arrow(#[from] ArrowError),
    #[error("parquet: {0}")]
    Parquet(#[from] ParquetError),
    #[error("file store: {0}")]
    Store(#[from] object_store::Error),
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
    /// The data directory or backup is in use, of another version, or not what was asked for.
    #[error("{0}")]
    Directory(String),
    /// The catalog names a file that is not there.
    #[error(
        "Data of table {table} is missing: file {file} is not there. Run `frazil doctor` on the data \
         directory."
    )]
    MissingFile {
        /// The table's name as SQL text.
        table: String,
        /// The file's id and name.
        file: String,
    },
    /// A file that the catalog names is not what was written.
    #[error(
        "Data of table {table} cannot be read: file {file} is damaged ({what}). Run `frazil doctor` on \
         the data directory."
    )]
    DamagedFile {
        /// The table's name as SQL text.
        table: String,
        /// The file's id and name.
        file: String,
        /// What the reader stumbled on.
        what: String,
    },
    /// Files and catalog contradict each other.
    #[error("data is damaged: {0}")]
    Damaged(String),
}

/// Result of lake calls.
pub type Result<T, E = LakeError> = std::result::Result<T, E>;

impl LakeError {
    /// The same; where a file was not found or cannot be read, that it is this file of this table.
    pub(crate) fn of_file(self, table: &TableInfo, file: String) -> LakeError {
        match self {
            LakeError::Store(object_store::Error::NotFound { .. }) => {
                LakeError::MissingFile { table: table.name.to_string(), file }
            }
            LakeError::Parquet(_) | LakeError::Arrow(_) | LakeError::Damaged(_) => {
                let what = match self {
                    LakeError::Parquet(error) => error.to_string(),
                    LakeError::Arrow(error) => error.to_string(),
                    LakeError::Damaged(what) => what,
                    other => other.to_string(),
                };
                LakeError::DamagedFile { table: table.name.to_string(), file, what }
            }
            other => other,
        }
    }
}

impl From<UserError> for LakeError {
    fn from(error: UserError) -> Self {
        LakeError::User(error)
    }
}

impl From<CatalogError> for LakeError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::User(error) => LakeError::User(error),
            CatalogError::Conflict { object, reason } => LakeError::Conflict { object, reason },
            other => LakeError::Catalog(other),
        }
    }
}

impl From<DataFusionError> for LakeError {
    fn from(error: DataFusionError) -> Self {
        // A user's error travels through operators as an external one.
        let found = match error.find_root() {
            DataFusionError::External(inner) => {
                inner.downcast_ref::<UserError>().cloned().or_else(|| {
                    match inner.downcast_ref::<LakeError>() {
                        Some(LakeError::User(user)) => Some(user.clone()),
                        _ => None,
                    }
                })
            }
            _ => None,
        };
        match found {
            Some(user) => LakeError::User(user),
            None => LakeError::Query(error),
        }
    }
}

impl From<LakeError> for DataFusionError {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::Query(error) => error,
            LakeError::User(user) => DataFusionError::External(Box::new(user)),
            of_file @ (LakeError::MissingFile { .. } | LakeError::DamagedFile { .. }) => {
                DataFusionError::External(Box::new(UserError::from(of_file)))
            }
            other => DataFusionError::External(Box::new(other)),
        }
    }
}

impl From<LakeError> for UserError {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::User(user) => user,
            LakeError::Conflict { object, reason } => UserError::new(
                Code::TransactionConflict,
                format!("Transaction was aborted: concurrent change of {object} ({reason})."),
            ),
            LakeError::Catalog(error) => error.into(),
            of_file @ (LakeError::MissingFile { .. } | LakeError::DamagedFile { .. }) => {
                UserError::new(Code::Internal, of_file.to_string())
            }
            LakeError::Directory(message) => UserError::new(Code::InvalidArgument, message),
            other => UserError::internal(other),
        }
    }
}
