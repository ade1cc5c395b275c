//! One door to every estimator: train by algorithm, load by algorithm.

use std::collections::BTreeMap;

use crate::gbt::{self, GbtModel};
use crate::{Algorithm, MlError, Model, Rows, TrainSpec, linear, logistic, svd};

/// Trains the estimator the specification names.
///
/// # Errors
/// [`MlError`] telling which option, column or value cannot be used.
pub fn train(spec: &TrainSpec, rows: Rows<'_>) -> Result<Box<dyn Model>, MlError> {
    Ok(match spec.algorithm {
        Algorithm::Gbt => Box::new(gbt::train(spec, rows)?),
        Algorithm::Linear => Box::new(linear::train(spec, rows)?),
        Algorithm::Logistic => Box::new(logistic::train(spec, rows)?),
        Algorithm::Svd => Box::new(svd::train(spec, rows)?),
    })
}

/// Reads a model file written by [`Model::to_bytes`].
///
/// # Errors
/// [`MlError::Format`] for a file that is broken or of another algorithm.
pub fn load(algorithm: Algorithm, bytes: &[u8]) -> Result<Box<dyn Model>, MlError> {
    Ok(match algorithm {
        Algorithm::Gbt => Box::new(GbtModel::from_bytes(bytes)?),
        Algorithm::Linear => Box::new(linear::LinearModel::from_bytes(bytes)?),
        Algorithm::Logistic => Box::new(logistic::LogisticModel::from_bytes(bytes)?),
        Algorithm::Svd => Box::new(svd::SvdModel::from_bytes(bytes)?),
    })
}

/// Reads a model saved by XGBoost (JSON or UBJSON). What is loaded can be saved with
/// [`Model::to_bytes`] and read again with [`load`].
///
/// `feature_names` rename the features by position, and are `f0`, `f1`, … when neither they nor
/// the file name them. `categories` give dictionaries of categorical features by feature name;
/// a feature without one, here or in the file, takes integer codes. `classes` are the labels in
/// code order, `0`, `1`, … when left out.
///
/// # Errors
/// [`MlError::Format`] for a broken file, [`MlError::Unsupported`] for a booster or objective
/// that is not offered, [`MlError::Invalid`] for names or labels that do not fit the model.
pub fn load_xgboost(
    bytes: &[u8],
    feature_names: Option<&[String]>,
    categories: &BTreeMap<String, Vec<String>>,
    classes: Option<&[String]>,
) -> Result<Box<dyn Model>, MlError> {
    Ok(Box::new(GbtModel::from_xgboost(bytes, feature_names, categories, classes)?))
}
