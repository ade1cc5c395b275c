//! Carries user errors through DataFusion's and Arrow's error types and back.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use frazil_common::{Code, UserError};
use thiserror::Error;

/// Errors inside kernels.
#[derive(Debug, Error)]
pub enum FunctionError {
    #[error("{0}")]
    User(UserError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    DataFusion(#[from] DataFusionError),
}

impl From<UserError> for FunctionError {
    fn from(error: UserError) -> Self {
        FunctionError::User(error)
    }
}

impl From<FunctionError> for DataFusionError {
    fn from(error: FunctionError) -> Self {
        match error {
            FunctionError::User(error) => raise(error),
            FunctionError::Arrow(error) => DataFusionError::ArrowError(Box::new(error), None),
            FunctionError::DataFusion(error) => error,
        }
    }
}

impl From<FunctionError> for UserError {
    fn from(error: FunctionError) -> Self {
        match error {
            FunctionError::User(error) => error,
            FunctionError::Arrow(error) => user_error(&DataFusionError::from(error)),
            FunctionError::DataFusion(error) => user_error(&error),
        }
    }
}

/// A user error as the engine's error, to be found again by [`user_error`].
pub fn raise(error: UserError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The user error inside an engine error; other errors become the code that fits best.
pub fn user_error(error: &DataFusionError) -> UserError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        if let Some(found) = current.downcast_ref::<UserError>() {
            return found.clone();
        }
        if let Some(DataFusionError::External(inner)) = current.downcast_ref::<DataFusionError>()
            && let Some(found) = inner.downcast_ref::<UserError>()
        {
            return found.clone();
        }
        if let Some(DataFusionError::Shared(inner)) = current.downcast_ref::<DataFusionError>() {
            return user_error(inner);
        }
        if let Some(ArrowError::ExternalError(inner)) = current.downcast_ref::<ArrowError>() {
            if let Some(found) = inner.downcast_ref::<UserError>() {
                return found.clone();
            }
            if let Some(found) = inner.downcast_ref::<DataFusionError>() {
                return user_error(found);
            }
        }
        if let Some(arrow) = current.downcast_ref::<ArrowError>() {
            match arrow {
                ArrowError::DivideByZero => {
                    return UserError::new(Code::DivisionByZero, "Division by zero");
                }
                ArrowError::ArithmeticOverflow(text) => {
                    return UserError::new(
                        Code::NumericOutOfRange,
                        format!("Number out of representable range: {text}"),
                    );
                }
                _ => {}
            }
        }
        source = current.source();
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(text) => {
            UserError::new(Code::ResourceLimit, text.clone())
        }
        DataFusionError::NotImplemented(text) => UserError::unsupported(text),
        other => UserError::internal(other),
    }
}
