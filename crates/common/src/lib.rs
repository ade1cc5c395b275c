//! Words every part of Frazil shares: names, types, errors, principals, limits.
//!
//! Knows nothing of storage, SQL text or HTTP.

pub mod error;
pub mod hidden;
pub mod name;
pub mod principal;
pub mod types;

pub use error::{Code, Position, UserError, excerpt};
pub use name::{ObjectName, QualifiedName, fold_identifier, quote_identifier};
pub use principal::{Access, ObjectKind, ObjectRef, Principal, Privilege};
pub use types::{Column, SqlType, TimeZoneKind, VectorElement};

/// Number of a catalog snapshot; every commit makes the next one.
pub type SnapshotId = i64;
