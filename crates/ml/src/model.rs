//! One door to every estimator: train by algorithm, load by algorithm.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use rayon::prelude::*;

use crate::forest::{self, ForestModel};
use crate::gbt::{self, GbtModel};
use crate::lightgbm::LightGbmModel;
use crate::{Algorithm, MlError, Model, Rows, Stop, TrainSpec, linear, logistic, svd};

/// Rows scored at a time where a whole table is.
const PART_ROWS: usize = 16_384;

/// Trains the estimator the specification names.
///
/// # Errors
/// [`MlError`] telling which option, column or value cannot be used.
pub fn train(spec: &TrainSpec, rows: Rows<'_>) -> Result<Box<dyn Model>, MlError> {
    Ok(match spec.algorithm {
        Algorithm::Gbt => Box::new(gbt::train(spec, rows)?),
        Algorithm::RandomForest => Box::new(forest::train(spec, rows)?),
        Algorithm::Linear => Box::new(linear::train(spec, rows)?),
        Algorithm::Logistic => Box::new(logistic::train(spec, rows)?),
        Algorithm::Svd => Box::new(svd::train(spec, rows)?),
        Algorithm::Lightgbm => return Err(not_trained()),
    })
}

fn not_trained() -> MlError {
    MlError::Unsupported("training with LIGHTGBM; it is a format of CREATE MODEL … FROM".to_owned())
}

/// Reads a model saved by LightGBM as text. `feature_names` and `classes` as for
/// [`load_xgboost`].
///
/// # Errors
/// As for [`load_xgboost`].
pub fn load_lightgbm(
    bytes: &[u8],
    feature_names: Option<&[String]>,
    classes: Option<&[String]>,
) -> Result<Box<dyn Model>, MlError> {
    Ok(Box::new(LightGbmModel::from_text(bytes, feature_names, classes)?))
}

/// Checks the options of a specification without any rows.
///
/// # Errors
/// An unknown option, or a value that does not fit.
pub fn check_options(spec: &TrainSpec) -> Result<(), MlError> {
    match spec.algorithm {
        Algorithm::Gbt => gbt::options::Settings::from_spec(spec).map(drop),
        Algorithm::RandomForest => forest::check_options(spec),
        Algorithm::Linear => linear::check_options(spec),
        Algorithm::Logistic => logistic::check_options(spec),
        Algorithm::Svd => svd::check_options(spec),
        Algorithm::Lightgbm => Err(not_trained()),
    }
}

/// Reads a model file written by [`Model::to_bytes`].
///
/// # Errors
/// [`MlError::Format`] for a file that is broken or of another algorithm.
pub fn load(algorithm: Algorithm, bytes: &[u8]) -> Result<Box<dyn Model>, MlError> {
    Ok(match algorithm {
        Algorithm::Gbt => Box::new(GbtModel::from_bytes(bytes)?),
        Algorithm::RandomForest => Box::new(ForestModel::from_bytes(bytes)?),
        Algorithm::Linear => Box::new(linear::LinearModel::from_bytes(bytes)?),
        Algorithm::Logistic => Box::new(logistic::LogisticModel::from_bytes(bytes)?),
        Algorithm::Svd => Box::new(svd::SvdModel::from_bytes(bytes)?),
        Algorithm::Lightgbm => Box::new(LightGbmModel::from_bytes(bytes)?),
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

/// [`Model::predict`] for many rows, in parts on the current rayon pool.
///
/// # Errors
/// As [`Model::predict`]; [`MlError::Stopped`].
pub fn predict_all(
    model: &dyn Model,
    columns: &[ArrayRef],
    stop: &Stop,
) -> Result<ArrayRef, MlError> {
    let parts = in_parts(columns, stop, |part| Ok(vec![model.predict(part)?]))?;
    joined(&parts, 0)
}

/// [`Model::predict_proba`] for many rows, in parts on the current rayon pool.
///
/// # Errors
/// As [`Model::predict_proba`]; [`MlError::Stopped`].
pub fn predict_proba_all(
    model: &dyn Model,
    columns: &[ArrayRef],
    stop: &Stop,
) -> Result<Vec<ArrayRef>, MlError> {
    let parts = in_parts(columns, stop, |part| model.predict_proba(part))?;
    (0..parts.first().map_or(0, Vec::len)).map(|class| joined(&parts, class)).collect()
}

fn in_parts(
    columns: &[ArrayRef],
    stop: &Stop,
    score: impl Fn(&[ArrayRef]) -> Result<Vec<ArrayRef>, MlError> + Sync,
) -> Result<Vec<Vec<ArrayRef>>, MlError> {
    let rows = columns.first().map_or(0, |column| column.len());
    (0..rows.div_ceil(PART_ROWS).max(1))
        .into_par_iter()
        .map(|part| {
            stop.check()?;
            let start = part * PART_ROWS;
            let part: Vec<ArrayRef> = columns
                .iter()
                .map(|column| column.slice(start, PART_ROWS.min(column.len() - start)))
                .collect();
            score(&part)
        })
        .collect()
}

fn joined(parts: &[Vec<ArrayRef>], place: usize) -> Result<ArrayRef, MlError> {
    let arrays: Vec<&dyn Array> =
        parts.iter().filter_map(|part| part.get(place)).map(AsRef::as_ref).collect();
    Ok(concat(&arrays)?)
}
