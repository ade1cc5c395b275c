//! `RANDOM_FOREST`: many deep trees, each grown on its own sample of rows and, at each node, of
//! features, and averaged.
//!
//! It is one round of gradient boosting with parallel trees, as XGBoost's `XGBRFClassifier` and
//! `XGBRFRegressor` are, and its file is an XGBoost file.

use arrow::array::ArrayRef;

use crate::gbt::{self, GbtModel};
use crate::{Algorithm, MlError, Model, OptionValue, Rows, Signature, TrainSpec};

/// What a forest is unless its options say otherwise: name, value.
const DEFAULTS: [(&str, OptionValue); 6] = [
    ("learning_rate", OptionValue::Float(1.0)),
    ("max_depth", OptionValue::Int(12)),
    ("subsample", OptionValue::Float(0.8)),
    ("colsample_bynode", OptionValue::Float(0.5)),
    ("reg_lambda", OptionValue::Float(1e-5)),
    ("min_child_weight", OptionValue::Float(1.0)),
];

/// Options of boosting that mean nothing for one round of trees.
const REFUSED: [&str; 7] = [
    "early_stopping_rounds",
    "eta",
    "learning_rate",
    "num_boost_round",
    "num_parallel_tree",
    "scale_pos_weight",
    "validation_fraction",
];

/// A forest; scored and stored as the boosted model it is.
#[derive(Debug)]
pub struct ForestModel(GbtModel);

/// The boosting request that grows the forest.
fn boosting(spec: &TrainSpec) -> Result<TrainSpec, MlError> {
    if let Some(name) = spec.options.keys().find(|name| REFUSED.contains(&name.as_str())) {
        return Err(MlError::Invalid(format!(
            "option '{name}' belongs to GBT; a RANDOM_FOREST has n_estimators trees of one round"
        )));
    }
    let mut options = spec.options.clone();
    let trees = options.remove("n_estimators").unwrap_or(OptionValue::Int(100));
    options.insert("num_parallel_tree".to_owned(), trees);
    options.insert("n_estimators".to_owned(), OptionValue::Int(1));
    for (name, value) in DEFAULTS {
        let aliases: &[&str] = match name {
            "reg_lambda" => &["reg_lambda", "lambda"],
            _ => &[name],
        };
        if !aliases.iter().any(|alias| options.contains_key(*alias)) {
            options.insert(name.to_owned(), value);
        }
    }
    Ok(TrainSpec { options, ..spec.clone() })
}

/// Checks the options alone.
pub(crate) fn check_options(spec: &TrainSpec) -> Result<(), MlError> {
    gbt::options::Settings::from_spec(&boosting(spec)?).map(drop)
}

/// Fits a forest.
///
/// Options: `n_estimators` (100 trees), `max_depth` (12), `subsample` (0.8 of the rows per tree),
/// `colsample_bynode` (0.5 of the features per node), `min_child_weight` (1), and those of GBT but
/// the ones about rounds.
///
/// # Errors
/// As for GBT.
pub fn train(spec: &TrainSpec, rows: Rows<'_>) -> Result<ForestModel, MlError> {
    gbt::train(&boosting(spec)?, rows).map(ForestModel)
}

impl ForestModel {
    /// Reads a file written by [`Model::to_bytes`].
    ///
    /// # Errors
    /// [`MlError::Format`] for a broken file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlError> {
        GbtModel::from_bytes(bytes).map(ForestModel)
    }
}

impl Model for ForestModel {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RandomForest
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn predict(&self, columns: &[ArrayRef]) -> Result<ArrayRef, MlError> {
        self.0.predict(columns)
    }

    fn predict_proba(&self, columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, MlError> {
        self.0.predict_proba(columns)
    }

    fn importance(&self) -> Vec<f64> {
        self.0.importance()
    }

    fn to_bytes(&self) -> Result<Vec<u8>, MlError> {
        self.0.to_bytes()
    }

    fn extension(&self) -> &'static str {
        self.0.extension()
    }
}
