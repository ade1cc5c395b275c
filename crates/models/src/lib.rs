//! The model registry: models and versions, their files, scoring in SQL and over HTTP rows,
//! endpoints, drift.
//!
//! Knows nothing of HTTP or of SQL text. Arithmetic is `frazil_ml`'s; rows of the registry are
//! the catalog's.

mod drift;
mod endpoints;
mod error;
mod files;
mod loaded;
mod objects;
mod registry;
mod rows;
mod score;
mod versions;

pub use drift::{Baseline, BaselineKind, DriftReport, PREDICTION, drift, training_statistics};
pub use endpoints::EndpointTarget;
pub use error::{ModelsError, Result};
pub use files::{ModelFiles, StoredFile};
pub use loaded::{LoadedModel, Method, ModelFeature, ScoringMethod};
pub use registry::{NewModel, NewVersion, Registry};
pub use score::ScoreUdf;
pub use versions::find_version;
