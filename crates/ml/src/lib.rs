//! Arithmetic of models: training, scoring, formats, metrics, drift.
//!
//! Arrow in, Arrow out; deterministic; no IO, no clock, no SQL.

pub mod design;
pub mod drift;
pub mod encode;
pub mod forest;
pub mod formats;
pub mod gbt;
pub mod kolmogorov;
pub mod lightgbm;
pub mod linalg;
pub mod linear;
pub mod logistic;
pub mod metrics;
pub mod model;
pub mod options;
pub mod parallel;
pub mod split;
pub mod statistics;
pub mod stop;
pub mod svd;
pub mod types;

pub use stop::Stop;
pub use types::*;

/// Why a model could not be trained, read or applied.
#[derive(Debug, thiserror::Error)]
pub enum MlError {
    /// The request makes no sense as written (unknown option, wrong type, no rows …).
    #[error("{0}")]
    Invalid(String),
    /// Understood, but not offered.
    #[error("{0}")]
    Unsupported(String),
    /// A model file that cannot be read.
    #[error("{0}")]
    Format(String),
    /// Ended from outside by [`Stop`].
    #[error("the computation was stopped")]
    Stopped,
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}
