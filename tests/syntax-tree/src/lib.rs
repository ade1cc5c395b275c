//! What two syntax trees differ in, by fields and variants: for tests that nothing a text can say is
//! dropped in silence.
//!
//! A tree is what `#[derive(Debug)]` writes of a value ([`parse`]); its nodes' fields and variants
//! come from the source that defines them ([`Types`]), so that a new one is seen without a list.
// Faults of a test's own support end the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod debug;
mod source;

pub use debug::{Node, parse};
pub use source::{Differences, PartOf, Types, parser};

/// One part of the syntax: a field of a node (`Node.field`), or a variant (`Node::Variant`).
pub type Part = String;
