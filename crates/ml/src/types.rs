//! The words every estimator shares: what a feature is, what is learned, what a model answers.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, RecordBatch};
use serde::{Deserialize, Serialize};

use crate::{MlError, Stop};

/// How a feature's values are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Any Arrow number, decimal or boolean, read as a number; NULL and NaN are missing.
    Numeric,
    /// Text (or a number that is only a code). The code of a value is its place in this list;
    /// a value outside the list is *unseen*, and an estimator says how it treats it.
    Categorical { categories: Vec<String> },
}

/// One model input, in signature order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    pub name: String,
    pub kind: FeatureKind,
}

/// What the model learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Regression,
    Binary,
    Multiclass,
    /// Ratings of items by users (SVD).
    Recommendation,
}

/// Inputs and outputs of a model, as stored with each version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    pub task: Task,
    pub target: String,
    pub features: Vec<Feature>,
    /// Class labels in code order; empty for regression and recommendation.
    pub classes: Vec<String>,
}

/// The estimator asked for in `CREATE MODEL … USING`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Algorithm {
    Gbt,
    RandomForest,
    Linear,
    Logistic,
    Svd,
    /// Read from LightGBM's files; not trained here.
    Lightgbm,
}

/// An option value of `OPTIONS (name => value)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OptionValue {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<OptionValue>),
}

/// Everything a training run needs besides its rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrainSpec {
    pub algorithm: Algorithm,
    /// Column of the batches that holds the target.
    pub target: String,
    /// Columns used as features, in signature order.
    pub features: Vec<String>,
    /// Option names are lower case. An unknown name is an error that lists the known ones.
    pub options: BTreeMap<String, OptionValue>,
    /// Worker threads. The trained bytes do not depend on it.
    pub threads: usize,
    /// Ends the fit early, with [`MlError::Stopped`].
    #[serde(skip)]
    pub stop: Stop,
}

/// A fitted model: scores Arrow columns, and is kept as one file.
///
/// `columns` are always one array per signature feature, in signature order, equal lengths.
pub trait Model: Send + Sync + std::fmt::Debug {
    fn algorithm(&self) -> Algorithm;
    fn signature(&self) -> &Signature;
    /// Regression: Float64 values. Classification: Float64 *class codes* (index into
    /// `signature().classes`). Recommendation: Float64 estimated rating.
    fn predict(&self, columns: &[ArrayRef]) -> Result<ArrayRef, MlError>;
    /// One Float64 array per class, in class order. Error for a task without classes.
    fn predict_proba(&self, columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, MlError>;
    /// Share of each feature in the model, in signature order, summing to 1 (or all 0).
    fn importance(&self) -> Vec<f64>;
    /// The model file's bytes; the same model gives the same bytes.
    fn to_bytes(&self) -> Result<Vec<u8>, MlError>;
    /// File name extension of [`Model::to_bytes`], such as `json`.
    fn extension(&self) -> &'static str;
    /// The `k` best unseen items for each user of SVD models as (item, score), best first.
    fn recommend(&self, _user: &str, _k: usize) -> Result<Vec<(String, f64)>, MlError> {
        Err(MlError::Unsupported(format!(
            "RECOMMEND is not a method of {:?} models",
            self.algorithm()
        )))
    }
}

/// The rows a model is fitted on; all batches share one schema.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub batches: &'a [RecordBatch],
}
