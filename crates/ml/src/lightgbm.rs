//! Models trained by LightGBM: read from its text format, scored as LightGBM scores them, in
//! double precision and tree by tree.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::design::shares;
use crate::encode::{self, NO_CODE};
use crate::formats::lightgbm_text::{self, Decision, LightGbmForest, LightGbmTree, MissingKind};
use crate::{Algorithm, Feature, FeatureKind, MlError, Model, Signature, Task};

const FORMAT: &str = "frazil-lightgbm-1";

/// Values this near to zero count as zero where zero is missing.
const ZERO: f64 = 1e-35;

/// Rows scored by one worker at a time.
const ROWS: usize = 4096;

/// From sums of leaves to predictions.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Link {
    Identity,
    /// `sign(x) x²`, where the square root of the target was learned.
    Square,
    Exp,
    /// With its steepness.
    Sigmoid(f64),
    Softmax,
    /// One sigmoid per class.
    OneVersusAll(f64),
}

/// A LightGBM model with its signature.
#[derive(Debug)]
pub struct LightGbmModel {
    text: String,
    forest: LightGbmForest,
    link: Link,
    signature: Signature,
}

/// What a stored file holds: LightGBM's own text, and the signature it lacks.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: String,
    signature: Signature,
    text: String,
}

/// Task and link of an objective line.
fn objective(line: &str, outputs: usize) -> Result<(Task, Link), MlError> {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or("");
    let rest: Vec<&str> = words.collect();
    let steepness = || {
        let written = rest.iter().find_map(|word| word.strip_prefix("sigmoid:"));
        written.map_or(Ok(1.0), |text| {
            text.parse::<f64>()
                .map_err(|_| MlError::Format(format!("LightGBM model: objective '{line}'")))
        })
    };
    let root = rest.contains(&"sqrt");
    Ok(match name {
        "binary" => (Task::Binary, Link::Sigmoid(steepness()?)),
        "multiclass" => (Task::Multiclass, Link::Softmax),
        "multiclassova" => (Task::Multiclass, Link::OneVersusAll(steepness()?)),
        "cross_entropy" => (Task::Regression, Link::Sigmoid(1.0)),
        "poisson" | "gamma" | "tweedie" => (Task::Regression, Link::Exp),
        "regression" if root => (Task::Regression, Link::Square),
        "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" | "lambdarank"
        | "rank_xendcg" => (Task::Regression, Link::Identity),
        // A custom objective keeps no name; its sums are the predictions, as in LightGBM.
        "" if outputs == 1 => (Task::Regression, Link::Identity),
        other => {
            return Err(MlError::Unsupported(format!(
                "LightGBM objective '{other}' with {outputs} outputs"
            )));
        }
    })
}

impl LightGbmModel {
    /// Reads a file saved by LightGBM's `save_model`. `feature_names` rename the features by
    /// position; `classes` are the labels in code order, `0`, `1`, … when left out.
    ///
    /// # Errors
    /// [`MlError`] telling what is broken, missing or not supported.
    pub fn from_text(
        bytes: &[u8],
        feature_names: Option<&[String]>,
        classes: Option<&[String]>,
    ) -> Result<Self, MlError> {
        let forest = lightgbm_text::read(bytes)?;
        let (task, _) = objective(&forest.objective, forest.outputs)?;
        let count = match task {
            Task::Binary => 2,
            Task::Multiclass => forest.outputs,
            _ => 0,
        };
        let classes = match classes {
            Some(given) if count == 0 => {
                return Err(MlError::Invalid(format!(
                    "objective {} predicts a number; the classes {} do not apply",
                    forest.objective,
                    given.join(", ")
                )));
            }
            Some(given) if given.len() != count => {
                return Err(MlError::Invalid(format!(
                    "the model has {count} classes, {} labels are given",
                    given.len()
                )));
            }
            Some(given) => given.to_vec(),
            None => (0..count).map(|class| class.to_string()).collect(),
        };
        let names = match feature_names {
            Some(given) if given.len() != forest.feature_names.len() => {
                return Err(MlError::Invalid(format!(
                    "the model has {} features, {} names are given",
                    forest.feature_names.len(),
                    given.len()
                )));
            }
            Some(given) => given.to_vec(),
            None => forest.feature_names.clone(),
        };
        let features = names
            .into_iter()
            .zip(kinds(&forest)?)
            .map(|(name, kind)| Feature { name, kind })
            .collect();
        let signature = Signature { task, target: String::new(), features, classes };
        let text = String::from_utf8_lossy(bytes).into_owned();
        Self::new(text, forest, signature)
    }

    fn new(text: String, forest: LightGbmForest, signature: Signature) -> Result<Self, MlError> {
        let (_, link) = objective(&forest.objective, forest.outputs)?;
        Ok(Self { text, forest, link, signature })
    }

    /// Reads a file written by [`Model::to_bytes`].
    ///
    /// # Errors
    /// [`MlError::Format`] for a broken file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlError> {
        let stored: Stored = serde_json::from_slice(bytes)
            .map_err(|error| MlError::Format(format!("not a {FORMAT} file: {error}")))?;
        let forest = lightgbm_text::read(stored.text.as_bytes())?;
        if stored.format != FORMAT || stored.signature.features.len() != forest.feature_names.len()
        {
            return Err(MlError::Format(format!("not a {FORMAT} file")));
        }
        Self::new(stored.text, forest, stored.signature)
    }

    /// What LightGBM's `predict` answers: one vector per output.
    fn raw(&self, columns: &[ArrayRef]) -> Result<Vec<Vec<f64>>, MlError> {
        let features = &self.signature.features;
        let rows = encode::check_columns(features, columns)?;
        let columns = features
            .iter()
            .zip(columns)
            .map(|(feature, column)| read(feature, column))
            .collect::<Result<Vec<_>, _>>()?;
        let outputs = self.forest.outputs;
        let parts: Vec<Vec<f64>> = (0..rows.div_ceil(ROWS))
            .into_par_iter()
            .map(|part| {
                let range = part * ROWS..rows.min((part + 1) * ROWS);
                let mut row = vec![0.0; columns.len()];
                let mut out = Vec::with_capacity(range.len() * outputs);
                for at in range {
                    row.iter_mut().zip(&columns).for_each(|(value, column)| *value = column[at]);
                    let start = out.len();
                    out.resize(start + outputs, 0.0);
                    self.one(&row, &mut out[start..]);
                }
                out
            })
            .collect();
        let mut answers = vec![Vec::with_capacity(rows); outputs];
        for row in parts.iter().flat_map(|part| part.chunks(outputs)) {
            answers.iter_mut().zip(row).for_each(|(answer, value)| answer.push(*value));
        }
        Ok(answers)
    }

    fn one(&self, row: &[f64], out: &mut [f64]) {
        let outputs = self.forest.outputs;
        for (place, tree) in self.forest.trees.iter().enumerate() {
            out[place % outputs] += leaf(tree, row);
        }
        if self.forest.average {
            let count = (self.forest.trees.len() / outputs) as f64;
            out.iter_mut().for_each(|value| *value /= count);
        }
        match self.link {
            Link::Identity => {}
            Link::Square => out.iter_mut().for_each(|value| *value *= value.abs()),
            Link::Exp => out.iter_mut().for_each(|value| *value = value.exp()),
            Link::Sigmoid(steep) | Link::OneVersusAll(steep) => {
                out.iter_mut().for_each(|value| *value = 1.0 / (1.0 + (-steep * *value).exp()));
            }
            Link::Softmax => {
                let top = out.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let mut sum = 0.0;
                for value in out.iter_mut() {
                    *value = (*value - top).exp();
                    sum += *value;
                }
                out.iter_mut().for_each(|value| *value /= sum);
            }
        }
    }
}

/// The kind of each feature: a dictionary where the frame's columns had one, integer codes where
/// only the file says that they are categories.
fn kinds(forest: &LightGbmForest) -> Result<Vec<FeatureKind>, MlError> {
    let dictionaries = &forest.pandas_categories;
    let told = forest.categorical.iter().filter(|kind| **kind == Some(true)).count();
    let unused = forest.categorical.iter().filter(|kind| kind.is_none()).count();
    if !dictionaries.is_empty() && told != dictionaries.len() {
        // A categorical column without any use cannot be told from a numeric one.
        return Err(MlError::Unsupported(format!(
            "a LightGBM model with {} categorical columns of which {told} are used and {unused} \
             columns without use: the dictionaries cannot be matched to columns",
            dictionaries.len()
        )));
    }
    let mut next = dictionaries.iter();
    Ok(forest
        .categorical
        .iter()
        .map(|kind| match kind {
            Some(true) => match next.next() {
                Some(categories) => FeatureKind::Categorical { categories: categories.clone() },
                None => FeatureKind::Numeric,
            },
            _ => FeatureKind::Numeric,
        })
        .collect())
}

/// A column as LightGBM sees it: numbers, or codes of a dictionary; NaN for missing and unseen.
fn read(feature: &Feature, column: &ArrayRef) -> Result<Vec<f64>, MlError> {
    match &feature.kind {
        FeatureKind::Numeric => encode::read_f64(&feature.name, column),
        FeatureKind::Categorical { categories } => {
            let codes = encode::codes(&feature.name, column, categories)?;
            let number = |code: u32| if code == NO_CODE { f64::NAN } else { f64::from(code) };
            Ok(codes.into_iter().map(number).collect())
        }
    }
}

fn leaf(tree: &LightGbmTree, row: &[f64]) -> f64 {
    if tree.feature.is_empty() {
        return tree.leaf[0];
    }
    let mut node = 0usize;
    loop {
        let value = row[tree.feature[node] as usize];
        let left = match tree.decision[node] {
            Decision::Number { threshold, missing, default_left } => {
                let zero = value.abs() <= ZERO;
                match missing {
                    MissingKind::NaN if value.is_nan() => default_left,
                    MissingKind::Zero if zero || value.is_nan() => default_left,
                    _ if value.is_nan() => 0.0 <= threshold,
                    _ => value <= threshold,
                }
            }
            Decision::Category { first, words } => {
                // A code is cut to a whole number; negative and missing ones go right.
                let code = if value.is_nan() { -1 } else { value as i64 };
                let word = code / 32;
                code >= 0
                    && word < i64::from(words)
                    && tree.bits[first as usize + word as usize] >> (code % 32) & 1 == 1
            }
        };
        let next = if left { tree.left[node] } else { tree.right[node] };
        match usize::try_from(next) {
            Ok(next) => node = next,
            Err(_) => return tree.leaf[(-1 - next) as usize],
        }
    }
}

fn doubles(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

impl Model for LightGbmModel {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Lightgbm
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(&self, columns: &[ArrayRef]) -> Result<ArrayRef, MlError> {
        let mut answers = self.raw(columns)?;
        Ok(match self.signature.task {
            Task::Binary => {
                doubles(answers.swap_remove(0).into_iter().map(|p| f64::from(u8::from(p > 0.5))))
            }
            Task::Multiclass => {
                let rows = answers.first().map_or(0, Vec::len);
                doubles((0..rows).map(|row| {
                    let mut best = 0;
                    for (class, own) in answers.iter().enumerate() {
                        if own[row] > answers[best][row] {
                            best = class;
                        }
                    }
                    best as f64
                }))
            }
            _ => doubles(answers.swap_remove(0)),
        })
    }

    fn predict_proba(&self, columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, MlError> {
        let mut answers = match self.signature.task {
            Task::Binary | Task::Multiclass => self.raw(columns)?,
            _ => {
                return Err(MlError::Unsupported(
                    "PREDICT_PROBA is not a method of regression models".into(),
                ));
            }
        };
        if let [second] = answers.as_slice() {
            answers.insert(0, second.iter().map(|p| 1.0 - p).collect());
        }
        Ok(answers.into_iter().map(doubles).collect())
    }

    /// Shares of the total gain.
    fn importance(&self) -> Vec<f64> {
        let mut gains = vec![0.0; self.signature.features.len()];
        for tree in &self.forest.trees {
            for (feature, gain) in tree.feature.iter().zip(&tree.gain) {
                gains[*feature as usize] += gain;
            }
        }
        shares(gains)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, MlError> {
        let stored = Stored {
            format: FORMAT.to_owned(),
            signature: self.signature.clone(),
            text: self.text.clone(),
        };
        serde_json::to_vec(&stored).map_err(|error| MlError::Format(error.to_string()))
    }

    fn extension(&self) -> &'static str {
        "json"
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{AsArray, StringArray};
    use arrow::datatypes::Float64Type;

    use super::*;

    /// Two trees by hand: x <= 1 (missing goes left) and the category b or c.
    const FILE: &str = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\n\
        max_feature_idx=1\nobjective=OBJECTIVE\nfeature_names=x g\nfeature_infos=[0:9] 0:1:2\n\
        tree_sizes=1 1\n\nTree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nsplit_gain=3\n\
        threshold=1\ndecision_type=10\nleft_child=-1\nright_child=-2\nleaf_value=0.5 -0.25\n\
        is_linear=0\nshrinkage=1\n\n\nTree=1\nnum_leaves=2\nnum_cat=1\nsplit_feature=1\n\
        split_gain=1\nthreshold=0\ndecision_type=1\nleft_child=-1\nright_child=-2\n\
        leaf_value=1 2\ncat_boundaries=0 1\ncat_threshold=6\nis_linear=0\nshrinkage=0.1\n\n\n\
        end of trees\n\npandas_categorical:[[\"a\", \"b\", \"c\"]]\n";

    fn columns() -> Vec<ArrayRef> {
        vec![
            Arc::new(Float64Array::from(vec![Some(1.0), Some(1.5), None, Some(0.0)])),
            Arc::new(StringArray::from(vec![Some("a"), Some("b"), Some("z"), None])),
        ]
    }

    fn values(array: &ArrayRef) -> Vec<f64> {
        array.as_primitive::<Float64Type>().values().to_vec()
    }

    #[test]
    fn trees_are_walked() {
        let file = FILE.replace("OBJECTIVE", "regression");
        let model = LightGbmModel::from_text(file.as_bytes(), None, None).unwrap();
        assert_eq!(values(&model.predict(&columns()).unwrap()), [2.5, 0.75, 2.5, 2.5]);
        assert_eq!(model.importance(), [0.75, 0.25]);
        let again = LightGbmModel::from_bytes(&model.to_bytes().unwrap()).unwrap();
        assert_eq!(again.signature, model.signature);
        assert_eq!(again.forest, model.forest);

        let file = FILE.replace("OBJECTIVE", "binary sigmoid:2");
        let labels = ["no".to_string(), "yes".to_string()];
        let model = LightGbmModel::from_text(file.as_bytes(), None, Some(&labels)).unwrap();
        let chances = model.predict_proba(&columns()).unwrap();
        assert_eq!(values(&chances[1])[1], 1.0 / (1.0 + (-1.5f64).exp()));
        assert_eq!(model.signature.classes, labels);
    }

    #[test]
    fn broken_files_are_told() {
        let file = FILE.replace("OBJECTIVE", "regression");
        for (from, to, words) in [
            ("tree\nversion", "wood\nversion", "does not begin with 'tree'"),
            ("version=v4", "version=v9", "version v9"),
            ("end of trees", "", "ends too early"),
            ("threshold=1\n", "threshold=one\n", "tree 0: LightGBM model: 'threshold' holds 'one'"),
            ("leaf_value=0.5 -0.25", "leaf_value=0.5", "has 1 values, not 2"),
            ("right_child=-2", "right_child=0", "node 0 has the child 0"),
            ("right_child=-2", "right_child=-9", "node 0 has the child -9"),
            ("split_feature=1", "split_feature=7", "feature 7"),
            ("cat_boundaries=0 1", "cat_boundaries=1 0", "do not rise"),
            ("is_linear=0", "is_linear=1", "linear trees"),
            ("objective=regression", "objective=odd", "objective 'odd'"),
            ("0:1:2", "none", "cannot be matched"),
        ] {
            let broken = file.replacen(from, to, 1);
            assert_ne!(broken, file, "{from}");
            let error = LightGbmModel::from_text(broken.as_bytes(), None, None).unwrap_err();
            assert!(error.to_string().contains(words), "{from}: {error}");
        }
        let names = ["only".to_string()];
        let error = LightGbmModel::from_text(file.as_bytes(), Some(&names), None).unwrap_err();
        assert!(error.to_string().contains("2 features, 1 names"), "{error}");
    }
}
