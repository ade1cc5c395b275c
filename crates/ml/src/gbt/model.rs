//! The fitted model: a forest, its signature, and the scorer over Arrow columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use serde::{Deserialize, Serialize};

use super::columns::{self, Codes};
use super::objective::{Link, Loss, Objective, sigmoid};
use super::options::{Settings, WantedTask};
use super::score::{BLOCK, Block, Scorer};
use super::tree::Forest;
use super::{bins, boost, target};
use crate::formats::xgboost_schema;
use crate::{Algorithm, Feature, FeatureKind, MlError, Model, Rows, Signature, Task, TrainSpec};

/// Learner attribute that keeps what XGBoost's schema has no place for.
const ATTRIBUTE: &str = "frazil";

#[derive(Serialize, Deserialize)]
struct Facts {
    format: u32,
    signature: Signature,
}

/// A boosted forest with its signature.
#[derive(Debug)]
pub struct GbtModel {
    forest: Forest,
    signature: Signature,
    scorer: Scorer,
    /// Dictionaries of categorical features, in signature order.
    codes: Vec<Option<Codes>>,
}

/// Trains a model.
///
/// # Errors
/// [`MlError::Invalid`] for options, columns or targets that cannot be used; the text says which.
pub fn train(spec: &TrainSpec, rows: Rows<'_>) -> Result<GbtModel, MlError> {
    let settings = Settings::from_spec(spec)?;
    if spec.features.is_empty() {
        return Err(MlError::Invalid("a GBT model needs at least one feature".into()));
    }
    let target = target::read(spec, &settings, rows)?;
    let columns = spec
        .features
        .iter()
        .map(|name| target::column(rows, name, "feature"))
        .collect::<Result<Vec<_>, MlError>>()?;
    let loss = match (target.task, settings.task) {
        (_, WantedTask::Poisson) => Loss::Poisson,
        (Task::Binary, _) => Loss::Logistic,
        (Task::Multiclass, _) => Loss::Softmax(target.classes.len()),
        _ => Loss::SquaredError,
    };
    let objective = Objective::named(match loss {
        Loss::SquaredError => "reg:squarederror",
        Loss::Poisson => "count:poisson",
        Loss::Logistic => "binary:logistic",
        Loss::Softmax(_) => "multi:softprob",
    })?;
    let threads = spec.threads.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| MlError::Invalid(format!("cannot start {threads} training threads: {e}")))?;
    let (data, boosted) = pool.install(|| {
        let weights = target.weighted.then_some(target.weights.as_slice());
        let stop = &spec.stop;
        let data =
            bins::quantise(&spec.features, &columns, weights, settings.max_bin, threads, stop)?;
        let boosted = boost::boost(&data, &target, loss, &objective, &settings, stop)?;
        Ok::<_, MlError>((data, boosted))
    })?;

    let n_groups = loss.groups();
    let num_class = if matches!(loss, Loss::Softmax(_)) { n_groups as i64 } else { 0 };
    let document = xgboost_schema::objective_document(
        &objective,
        num_class,
        settings.scale_pos_weight,
        boosted.max_delta_step,
    );
    let mut attributes = BTreeMap::new();
    if let Some((round, loss)) = boosted.best {
        attributes.insert("best_iteration".to_owned(), round.to_string());
        attributes.insert("best_score".to_owned(), loss.to_string());
    }
    let n_trees = boosted.trees.len();
    let parallel = settings.parallel_trees;
    let signature = Signature {
        task: target.task,
        target: spec.target.clone(),
        features: data.features,
        classes: target.classes,
    };
    let forest = Forest {
        trees: boosted.trees,
        tree_group: (0..n_trees).map(|i| i / parallel % n_groups).collect(),
        tree_weight: None,
        n_groups,
        base_score: boosted.base_score,
        objective,
        objective_document: document,
        num_class,
        num_target: 1,
        num_parallel_tree: parallel as i64,
        iteration_indptr: (0..=n_trees / (n_groups * parallel))
            .map(|i| (i * n_groups * parallel) as i64)
            .collect(),
        n_features: signature.features.len(),
        feature_names: spec.features.clone(),
        feature_types: feature_types(&signature.features),
        dictionaries: Vec::new(),
        attributes,
    };
    Ok(GbtModel::new(forest, signature))
}

fn feature_types(features: &[Feature]) -> Vec<String> {
    features
        .iter()
        .map(|f| match f.kind {
            FeatureKind::Numeric => "float".to_owned(),
            FeatureKind::Categorical { .. } => "c".to_owned(),
        })
        .collect()
}

impl GbtModel {
    fn new(forest: Forest, signature: Signature) -> Self {
        let codes = signature
            .features
            .iter()
            .map(|f| match &f.kind {
                FeatureKind::Numeric => None,
                FeatureKind::Categorical { categories } => Some(Codes::new(categories)),
            })
            .collect();
        GbtModel { scorer: Scorer::new(&forest), forest, signature, codes }
    }

    /// Reads a file written by [`Model::to_bytes`].
    ///
    /// # Errors
    /// [`MlError::Format`] for a broken file or one without a signature.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlError> {
        let forest = xgboost_schema::read(bytes)?;
        match stored_signature(&forest)? {
            Some(signature) => Ok(GbtModel::new(forest, signature)),
            None => Err(MlError::Format(
                "the XGBoost file has no stored signature; create the model FROM the file instead"
                    .into(),
            )),
        }
    }

    /// Reads a model saved by XGBoost, JSON or UBJSON.
    ///
    /// `feature_names` are needed when the file has none, `categories` give the dictionary of a
    /// categorical feature by name (the file's own is used otherwise; without either the feature
    /// takes integer codes), `classes` the labels in code order.
    ///
    /// # Errors
    /// [`MlError`] telling what is broken, missing or not supported.
    pub fn from_xgboost(
        bytes: &[u8],
        feature_names: Option<&[String]>,
        categories: &BTreeMap<String, Vec<String>>,
        classes: Option<&[String]>,
    ) -> Result<Self, MlError> {
        let forest = xgboost_schema::read(bytes)?;
        let stored = stored_signature(&forest)?;
        let names = names_for(&forest, feature_names)?;
        for name in categories.keys() {
            if !names.contains(name) {
                return Err(MlError::Invalid(format!(
                    "categories are given for {name}, which is not a feature of the model"
                )));
            }
        }
        let features = names
            .into_iter()
            .enumerate()
            .map(|(i, name)| {
                let known = stored.as_ref().and_then(|s| s.features.get(i)).map(|f| &f.kind);
                let kind = match (categories.get(&name), forest.dictionaries.get(i), known) {
                    (Some(given), _, _) => FeatureKind::Categorical { categories: given.clone() },
                    (None, _, Some(kind)) => kind.clone(),
                    (None, Some(Some(own)), None) => {
                        FeatureKind::Categorical { categories: own.clone() }
                    }
                    _ => FeatureKind::Numeric,
                };
                Feature { name, kind }
            })
            .collect();
        let (task, classes) = task_of(&forest, classes, stored.as_ref())?;
        let signature = Signature {
            task,
            target: stored.map_or_else(String::new, |s| s.target),
            features,
            classes,
        };
        Ok(GbtModel::new(forest, signature))
    }

    /// The trees and their parameters.
    pub fn forest(&self) -> &Forest {
        &self.forest
    }

    /// Margins (sums of trees, before the link function) of rows: one array per output.
    ///
    /// # Errors
    /// [`MlError::Invalid`] when the columns do not fit the signature.
    pub fn margins(&self, columns: &[ArrayRef]) -> Result<Vec<Vec<f32>>, MlError> {
        let features = &self.signature.features;
        if columns.len() != features.len() {
            return Err(MlError::Invalid(format!(
                "the model takes {} columns, {} are given",
                features.len(),
                columns.len()
            )));
        }
        let rows = columns.first().map_or(0, |c| c.len());
        let columns = columns
            .iter()
            .zip(features)
            .map(|(c, f)| {
                if c.len() != rows {
                    return Err(MlError::Invalid(format!(
                        "column {} has {} rows, others have {rows}",
                        f.name,
                        c.len()
                    )));
                }
                columns::plain(c)
            })
            .collect::<Result<Vec<_>, MlError>>()?;
        let groups = self.forest.n_groups;
        let mut out = vec![vec![0.0f32; rows]; groups];
        let mut block = Block::new(features.len());
        let mut margins = vec![0.0f32; groups * BLOCK];
        let mut start = 0;
        while start < rows {
            let count = BLOCK.min(rows - start);
            for (f, (column, codes)) in columns.iter().zip(&self.codes).enumerate() {
                let part = &mut block.feature_mut(f)[..count];
                match codes {
                    None => columns::read_numbers(column, start, part),
                    Some(codes) => codes.read(column, start, part),
                }
                .map_err(|e| match e {
                    MlError::Invalid(m) => {
                        MlError::Invalid(format!("feature {}: {m}", features[f].name))
                    }
                    other => other,
                })?;
            }
            self.scorer.margins(&block, count, &mut margins);
            for (g, out) in out.iter_mut().enumerate() {
                out[start..start + count].copy_from_slice(&margins[g * BLOCK..g * BLOCK + count]);
            }
            start += count;
        }
        Ok(out)
    }

    /// What XGBoost's `Booster.predict` answers, one array per output, except that classifiers
    /// with several classes always give probabilities.
    ///
    /// # Errors
    /// As [`GbtModel::margins`].
    pub fn raw(&self, columns: &[ArrayRef]) -> Result<Vec<Vec<f32>>, MlError> {
        let mut out = self.margins(columns)?;
        let rows = out.first().map_or(0, Vec::len);
        if self.forest.n_groups == 1 || self.forest.objective.link != Link::Softmax {
            out.iter_mut().for_each(|m| self.forest.objective.transform(m));
            return Ok(out);
        }
        let mut row = vec![0.0f32; out.len()];
        for i in 0..rows {
            row.iter_mut().zip(&out).for_each(|(r, m)| *r = m[i]);
            self.forest.objective.transform(&mut row);
            out.iter_mut().zip(&row).for_each(|(m, r)| m[i] = *r);
        }
        Ok(out)
    }

    /// Probability of the second class.
    fn binary(&self, columns: &[ArrayRef]) -> Result<Vec<f32>, MlError> {
        let mut p = self.raw(columns)?.swap_remove(0);
        if self.forest.objective.name == "binary:logitraw" {
            p.iter_mut().for_each(|m| *m = sigmoid(*m));
        }
        Ok(p)
    }
}

fn stored_signature(forest: &Forest) -> Result<Option<Signature>, MlError> {
    let Some(text) = forest.attributes.get(ATTRIBUTE) else {
        return Ok(None);
    };
    let facts: Facts = serde_json::from_str(text)
        .map_err(|e| MlError::Format(format!("the stored signature cannot be read: {e}")))?;
    let signature = facts.signature;
    let fits = signature.features.len() == forest.n_features
        && match signature.task {
            Task::Binary => forest.n_groups == 1 && signature.classes.len() == 2,
            Task::Multiclass => forest.n_groups == signature.classes.len(),
            Task::Regression => true,
            Task::Recommendation => false,
        };
    if !fits {
        return Err(MlError::Format(
            "the stored signature does not fit the trees of the file".into(),
        ));
    }
    Ok(Some(signature))
}

fn names_for(forest: &Forest, given: Option<&[String]>) -> Result<Vec<String>, MlError> {
    let own = &forest.feature_names;
    let n = forest.n_features;
    let Some(given) = given else {
        return match own.len() {
            0 => Ok((0..n).map(|i| format!("f{i}")).collect()),
            len if len == n => Ok(own.clone()),
            len => {
                Err(MlError::Format(format!("XGBoost model: {len} feature names for {n} features")))
            }
        };
    };
    if given.len() != n {
        return Err(MlError::Invalid(format!(
            "the model has {n} features, {} names are given",
            given.len()
        )));
    }
    let fold = |v: &[String]| v.iter().map(|s| s.to_uppercase()).collect::<Vec<_>>();
    let (mut a, mut b) = (fold(own), fold(given));
    let moved = a != b;
    a.sort();
    b.sort();
    if moved && a == b {
        return Err(MlError::Invalid(format!(
            "the features are given in another order than the model's: {}",
            own.join(", ")
        )));
    }
    Ok(given.to_vec())
}

fn task_of(
    forest: &Forest,
    given: Option<&[String]>,
    stored: Option<&Signature>,
) -> Result<(Task, Vec<String>), MlError> {
    let objective = &forest.objective;
    let raw_classes = objective.name == "binary:logitraw" && given.is_some();
    let (task, count) = if objective.link == Link::Softmax {
        (Task::Multiclass, forest.n_groups)
    } else if objective.is_classifier() || raw_classes {
        if forest.n_groups != 1 {
            return Err(MlError::Unsupported(
                "XGBoost models with several binary targets are not supported".into(),
            ));
        }
        (Task::Binary, 2)
    } else if forest.n_groups != 1 {
        return Err(MlError::Unsupported(format!(
            "XGBoost models with {} regression outputs are not supported",
            forest.n_groups
        )));
    } else {
        if given.is_some() {
            return Err(MlError::Invalid(format!(
                "objective {} predicts a number; classes do not apply",
                objective.name
            )));
        }
        return Ok((Task::Regression, Vec::new()));
    };
    let classes = match (given, stored) {
        (Some(given), _) => given.to_vec(),
        (None, Some(s)) => s.classes.clone(),
        (None, None) => (0..count).map(|i| i.to_string()).collect(),
    };
    if classes.len() != count {
        return Err(MlError::Invalid(format!(
            "the model has {count} classes, {} labels are given",
            classes.len()
        )));
    }
    Ok((task, classes))
}

fn doubles(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

impl Model for GbtModel {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Gbt
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(&self, columns: &[ArrayRef]) -> Result<ArrayRef, MlError> {
        match self.signature.task {
            Task::Binary => {
                let p = self.binary(columns)?;
                Ok(doubles(p.into_iter().map(|p| f64::from(u8::from(p > 0.5)))))
            }
            Task::Multiclass => {
                let margins = self.margins(columns)?;
                let rows = margins.first().map_or(0, Vec::len);
                Ok(doubles((0..rows).map(|i| {
                    let mut best = 0;
                    for (class, m) in margins.iter().enumerate() {
                        if m[i] > margins[best][i] {
                            best = class;
                        }
                    }
                    best as f64
                })))
            }
            _ => {
                let values = self.raw(columns)?.swap_remove(0);
                Ok(doubles(values.into_iter().map(f64::from)))
            }
        }
    }

    fn predict_proba(&self, columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, MlError> {
        match self.signature.task {
            Task::Binary => {
                let p = self.binary(columns)?;
                let no = doubles(p.iter().map(|p| f64::from(1.0 - p)));
                Ok(vec![no, doubles(p.into_iter().map(f64::from))])
            }
            Task::Multiclass => Ok(self
                .raw(columns)?
                .into_iter()
                .map(|p| doubles(p.into_iter().map(f64::from)))
                .collect()),
            _ => Err(MlError::Unsupported(
                "PREDICT_PROBA is not a method of regression models".into(),
            )),
        }
    }

    fn importance(&self) -> Vec<f64> {
        self.forest.importance()
    }

    fn to_bytes(&self) -> Result<Vec<u8>, MlError> {
        let facts = Facts { format: 1, signature: self.signature.clone() };
        let text = serde_json::to_string(&facts)
            .map_err(|e| MlError::Format(format!("the signature cannot be written: {e}")))?;
        let mut forest = self.forest.clone();
        forest.attributes.insert(ATTRIBUTE.to_owned(), text);
        forest.feature_names = self.signature.features.iter().map(|f| f.name.clone()).collect();
        Ok(xgboost_schema::write_json(&forest))
    }

    fn extension(&self) -> &'static str {
        "json"
    }
}
