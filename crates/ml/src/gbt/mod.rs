//! Histogram gradient boosting: training, scoring, and models that come from XGBoost files.
//!
//! The arithmetic follows XGBoost's `hist` method, so that its settings mean the same here and a
//! model file predicts the same in both.

pub mod bins;
mod boost;
pub mod columns;
mod grow;
mod histogram;
mod model;
pub mod objective;
pub mod options;
mod sampling;
pub mod score;
mod sketch;
mod split;
mod target;
pub mod tree;

pub use model::{GbtModel, train};

#[cfg(test)]
mod tests;
