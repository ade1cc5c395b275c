//! What can go wrong with models.

use frazil_catalog::CatalogError;
use frazil_common::{Code, UserError};
use frazil_lake::LakeError;
use frazil_ml::MlError;

/// An error of the registry, of a model file, or of a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// A fault of the statement, in Snowflake's words.
    #[error("{0}")]
    User(UserError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Model(#[from] MlError),
    /// The model file can't be read or written.
    #[error("model file {path}: {source}")]
    File { path: String, source: Box<LakeError> },
    /// The model file is not the one that was registered.
    #[error("model file {path} is damaged: its SHA-256 is {found}, registered was {registered}")]
    Digest { path: String, registered: String, found: String },
    /// A fault of Frazil itself.
    #[error("{0}")]
    Internal(String),
}

impl From<UserError> for ModelsError {
    fn from(error: UserError) -> Self {
        ModelsError::User(error)
    }
}

impl From<ModelsError> for UserError {
    fn from(error: ModelsError) -> Self {
        match error {
            ModelsError::User(error) => error,
            ModelsError::Catalog(error) => error.into(),
            ModelsError::Model(MlError::Unsupported(what)) => {
                UserError::new(Code::Unsupported, format!("Unsupported feature: {what}"))
            }
            ModelsError::Model(MlError::Stopped) => {
                UserError::new(Code::Cancelled, "SQL execution canceled")
            }
            ModelsError::Model(error) => UserError::new(Code::ModelError, error.to_string()),
            error @ (ModelsError::File { .. }
            | ModelsError::Digest { .. }
            | ModelsError::Internal(_)) => UserError::internal(error),
        }
    }
}

/// Result of registry calls.
pub type Result<T, E = ModelsError> = std::result::Result<T, E>;
