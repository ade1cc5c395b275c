//! `LOGISTIC`: binary and multinomial logistic regression.
//!
//! Minimises `‖w‖² / 2 + c Σ loss` as scikit-learn's `LogisticRegression` does (`c` 1.0), or the
//! loss alone with `penalty => 'none'`; the intercept is never penalised. Two classes give one
//! column of coefficients (for the second class); more give one per class, by the softmax.
//!
//! Features are encoded as for `LINEAR`: text one-hot over its sorted categories, without a
//! reference level unless there is no penalty; missing numbers take the training mean or are
//! refused; NULL and unseen text set no column.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use serde::{Deserialize, Serialize};

use crate::design::{self, Design, Encoding, Missing, dot};
use crate::encode;
use crate::linalg::Cholesky;
use crate::linear::missing_option;
use crate::options::Options;
use crate::parallel::{sum_over_rows, with_threads};
use crate::{Algorithm, MlError, Model, Rows, Signature, Stop, Task, TrainSpec};

const KNOWN_OPTIONS: &[&str] =
    &["c", "class_weight", "fit_intercept", "max_iter", "missing", "penalty", "tol"];

const FORMAT: &str = "frazil-logistic-1";

/// The most classes: each has its own coefficients.
const MAX_CLASSES: usize = 1_000;

/// Up to this many parameters Newton's equations are solved directly, beyond it by conjugate
/// gradients, which never hold the Hessian.
const DIRECT_PARAMETERS: usize = 700;

const RANK_TOLERANCE: f64 = 1e-13;

/// A fitted logistic regression; coefficients are in the units of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogisticModel {
    format: String,
    signature: Signature,
    /// `None` without a penalty.
    c: Option<f64>,
    fit_intercept: bool,
    encodings: Vec<Encoding>,
    /// One per set of coefficients: one for two classes, else one per class.
    intercepts: Vec<f64>,
    /// Per set, one value per design column.
    coefficients: Vec<Vec<f64>>,
    importance: Vec<f64>,
    rows: u64,
    iterations: u64,
    /// False when `max_iter` ended the fit first, as with separable classes and no penalty.
    converged: bool,
}

struct Settings {
    c: Option<f64>,
    fit_intercept: bool,
    balanced: bool,
    missing: Missing,
    max_iter: usize,
    tol: f64,
}

impl Settings {
    fn read(spec: &TrainSpec) -> Result<Self, MlError> {
        let options = Options::new(&spec.options, KNOWN_OPTIONS)?;
        let c = match options.choice("penalty", &["l2", "none"])? {
            Some("none") if options.has("c") => {
                return Err(MlError::Invalid("option 'c' needs penalty => 'l2'".to_owned()));
            }
            Some("none") => None,
            _ => Some(options.number("c")?.unwrap_or(1.0)),
        };
        if c.is_some_and(|c| c <= 0.0) {
            return Err(MlError::Invalid("option 'c' must be above 0".to_owned()));
        }
        Ok(Self {
            c,
            fit_intercept: options.flag("fit_intercept", true)?,
            balanced: options.choice("class_weight", &["balanced"])?.is_some(),
            missing: missing_option(options)?,
            max_iter: options.count_from("max_iter", 100, 1)?,
            tol: options.number_from("tol", 1e-8, 0.0)?,
        })
    }
}

/// Checks the options alone.
pub(crate) fn check_options(spec: &TrainSpec) -> Result<(), MlError> {
    Settings::read(spec).map(drop)
}

/// Fits a logistic regression; the classes are the target's distinct values, sorted.
///
/// Options: `penalty` (`l2` or `none`), `c` (1.0, the inverse of the penalty's strength),
/// `fit_intercept` (TRUE), `class_weight` (`balanced`: classes weigh the same in sum), `missing`
/// (`mean`), `max_iter` (100 Newton steps), `tol` (1e-8: the relative step that ends the fit).
///
/// Errors: unknown options, no rows, fewer than two classes, missing target values.
pub fn train(spec: &TrainSpec, rows: Rows<'_>) -> Result<LogisticModel, MlError> {
    let settings = Settings::read(spec)?;
    let features = encode::features(rows, &spec.features)?;
    let (classes, labels) = encode::class_target(rows, &spec.target)?;
    if classes.len() < 2 {
        return Err(MlError::Invalid(format!(
            "target '{}' has only the class {}; a classifier needs two",
            spec.target,
            classes.first().map_or("(none)", String::as_str)
        )));
    }
    if classes.len() > MAX_CLASSES {
        return Err(MlError::Unsupported(format!(
            "target '{}' has {} classes; LOGISTIC takes up to {MAX_CLASSES}",
            spec.target,
            classes.len()
        )));
    }
    let drop_first = settings.fit_intercept && settings.c.is_none();
    let (design, encodings) =
        Design::fit(rows, &features, drop_first, settings.missing, settings.fit_intercept)?;

    let problem = Problem::new(&design, &labels, classes.len(), &settings, &spec.stop);
    let (fit, deviations) =
        with_threads(spec.threads, || Ok((problem.newton(&settings)?, problem.deviations())))?;
    spec.stop.check()?;

    let full = design.full_width();
    let width = design.width();
    let mut spread = vec![0.0; width];
    let mut intercepts = Vec::new();
    let mut coefficients = Vec::new();
    for set in fit.parameters.chunks(full) {
        let mut weights = set[..width].to_vec();
        for ((spread, weight), deviation) in spread.iter_mut().zip(&weights).zip(&deviations) {
            *spread += weight.abs() * deviation;
        }
        let mut intercept = set.get(width).copied().unwrap_or(0.0);
        design.to_original(&mut weights, &mut intercept);
        if !intercept.is_finite() || weights.iter().any(|weight| !weight.is_finite()) {
            return Err(MlError::Invalid(
                "the logistic fit is not finite; check the scale of the features".to_owned(),
            ));
        }
        intercepts.push(if settings.fit_intercept { intercept } else { 0.0 });
        coefficients.push(weights);
    }
    let importance = design::shares(design::sum_by_feature(&features, &encodings, &spread));
    Ok(LogisticModel {
        format: FORMAT.to_owned(),
        signature: Signature {
            task: if classes.len() == 2 { Task::Binary } else { Task::Multiclass },
            target: spec.target.clone(),
            features,
            classes,
        },
        c: settings.c,
        fit_intercept: settings.fit_intercept,
        encodings,
        intercepts,
        coefficients,
        importance,
        rows: design.rows() as u64,
        iterations: fit.iterations,
        converged: fit.converged,
    })
}

struct Fit {
    parameters: Vec<f64>,
    iterations: u64,
    converged: bool,
}

/// The objective over the stored (centred and scaled) columns.
///
/// Parameters are laid out set by set, each with the design's full width.
struct Problem<'a> {
    design: &'a Design,
    labels: &'a [u32],
    stop: &'a Stop,
    /// Sets of coefficients: 1 for two classes.
    sets: usize,
    /// Weight of each row's loss.
    weights: Vec<f64>,
    /// Strength of the squared penalty per design column.
    penalties: Vec<f64>,
}

/// `1 / (1 + exp(-z))` without overflow.
fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

/// `ln(1 + exp(z))` without overflow.
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

/// Replaces scores (one slice per class) by probabilities; gives each row's log-sum-exp.
fn softmax(scores: &mut [Vec<f64>]) -> Vec<f64> {
    let rows = scores.first().map_or(0, Vec::len);
    (0..rows)
        .map(|row| {
            let top = scores.iter().map(|own| own[row]).fold(f64::NEG_INFINITY, f64::max);
            let mut sum = 0.0;
            for own in scores.iter_mut() {
                own[row] = (own[row] - top).exp();
                sum += own[row];
            }
            for own in scores.iter_mut() {
                own[row] /= sum;
            }
            top + sum.ln()
        })
        .collect()
}

impl<'a> Problem<'a> {
    fn new(
        design: &'a Design,
        labels: &'a [u32],
        classes: usize,
        settings: &Settings,
        stop: &'a Stop,
    ) -> Self {
        let mut class_weights = vec![1.0; classes];
        if settings.balanced {
            let mut counts = vec![0u64; classes];
            labels.iter().for_each(|label| counts[*label as usize] += 1);
            for (weight, count) in class_weights.iter_mut().zip(counts) {
                *weight = labels.len() as f64 / (classes as f64 * count as f64);
            }
        }
        let strength = settings.c.map_or(0.0, f64::recip);
        let mut penalties: Vec<f64> =
            design.scale().iter().map(|scale| strength / (scale * scale)).collect();
        penalties.resize(design.full_width(), 0.0);
        Self {
            design,
            labels,
            stop,
            sets: if classes == 2 { 1 } else { classes },
            weights: labels.iter().map(|label| class_weights[*label as usize]).collect(),
            penalties,
        }
    }

    fn size(&self) -> usize {
        self.sets * self.design.full_width()
    }

    fn scores(&self, range: Range<usize>, parameters: &[f64]) -> Vec<Vec<f64>> {
        parameters
            .chunks(self.design.full_width())
            .map(|set| {
                let mut out = vec![0.0; range.len()];
                self.design.multiply(range.clone(), set, &mut out);
                out
            })
            .collect()
    }

    fn probabilities(&self, range: Range<usize>, parameters: &[f64]) -> Vec<Vec<f64>> {
        let mut scores = self.scores(range, parameters);
        if self.sets == 1 {
            scores.iter_mut().flatten().for_each(|score| *score = sigmoid(*score));
        } else {
            softmax(&mut scores);
        }
        scores
    }

    /// The objective and its gradient.
    fn evaluate(&self, parameters: &[f64]) -> (f64, Vec<f64>) {
        let full = self.design.full_width();
        let size = self.size();
        let mut sums = sum_over_rows(self.design.rows(), size + 1, self.stop, |range, out| {
            let labels = &self.labels[range.clone()];
            let weights = &self.weights[range.clone()];
            let mut scores = self.scores(range.clone(), parameters);
            let mut loss = 0.0;
            if self.sets == 1 {
                for ((score, label), weight) in scores[0].iter_mut().zip(labels).zip(weights) {
                    let hit = f64::from(*label);
                    loss += weight * (softplus(*score) - hit * *score);
                    *score = weight * (sigmoid(*score) - hit);
                }
            } else {
                let own: Vec<f64> = labels
                    .iter()
                    .enumerate()
                    .map(|(row, label)| scores[*label as usize][row])
                    .collect();
                let logs = softmax(&mut scores);
                for ((log, own), weight) in logs.iter().zip(own).zip(weights) {
                    loss += weight * (log - own);
                }
                for (class, scores) in scores.iter_mut().enumerate() {
                    for ((score, label), weight) in scores.iter_mut().zip(labels).zip(weights) {
                        let hit = f64::from(u8::from(*label as usize == class));
                        *score = weight * (*score - hit);
                    }
                }
            }
            for (residuals, out) in scores.iter().zip(out.chunks_mut(full)) {
                self.design.add_transposed(range.clone(), residuals, out);
            }
            out[size] += loss;
        });
        let mut value = sums.pop().unwrap_or(0.0);
        for (set, gradient) in parameters.chunks(full).zip(sums.chunks_mut(full)) {
            for ((weight, gradient), penalty) in set.iter().zip(gradient).zip(&self.penalties) {
                value += penalty * weight * weight / 2.0;
                *gradient += penalty * weight;
            }
        }
        (value, sums)
    }

    fn newton(&self, settings: &Settings) -> Result<Fit, MlError> {
        let size = self.size();
        let mut parameters = vec![0.0; size];
        let (mut value, mut gradient) = self.evaluate(&parameters);
        let mut fit = Fit { parameters: Vec::new(), iterations: 0, converged: false };
        let mut first_rank = None;
        while (fit.iterations as usize) < settings.max_iter && !fit.converged {
            fit.iterations += 1;
            self.stop.check()?;
            let step = if size <= DIRECT_PARAMETERS {
                let (step, rank) = self.direct_step(&parameters, &gradient)?;
                // Curvature that fades away means coefficients growing without end: classes that
                // can be told apart without error have no best fit.
                if rank < *first_rank.get_or_insert(rank) {
                    break;
                }
                step
            } else {
                self.conjugate_gradient_step(&parameters, &gradient)?
            };
            let slope = -dot(&step, &gradient);
            let relative = step
                .iter()
                .zip(&parameters)
                .map(|(step, weight)| step.abs() / weight.abs().max(1.0))
                .fold(0.0, f64::max);
            let mut length = 1.0;
            let mut moved = false;
            for _ in 0..40 {
                self.stop.check()?;
                let tried: Vec<f64> = parameters
                    .iter()
                    .zip(&step)
                    .map(|(weight, step)| weight - length * step)
                    .collect();
                let (tried_value, tried_gradient) = self.evaluate(&tried);
                // Near the optimum the gain drowns in rounding; a tiny full step is then taken.
                let slack = 1e-14 * value.abs();
                if tried_value <= value + 1e-4 * length * slope + slack {
                    (parameters, value, gradient) = (tried, tried_value, tried_gradient);
                    moved = true;
                    break;
                }
                length /= 2.0;
            }
            fit.converged = relative <= settings.tol;
            if !moved {
                break;
            }
        }
        fit.parameters = parameters;
        Ok(fit)
    }

    /// Weight of row pairs of sets in the Hessian: `p_k (δ_kl - p_l)` times the row's weight.
    fn curvature(&self, range: Range<usize>, chances: &[Vec<f64>], k: usize, l: usize) -> Vec<f64> {
        let pairs = chances[k].iter().zip(&chances[l]).zip(&self.weights[range]);
        pairs.map(|((p, q), weight)| weight * p * if k == l { 1.0 - p } else { -q }).collect()
    }

    /// Newton's step, and the rank of the Hessian.
    fn direct_step(
        &self,
        parameters: &[f64],
        gradient: &[f64],
    ) -> Result<(Vec<f64>, usize), MlError> {
        let (full, size) = (self.design.full_width(), self.size());
        let square = full * full;
        let pairs: Vec<(usize, usize)> =
            (0..self.sets).flat_map(|k| (0..=k).map(move |l| (k, l))).collect();
        let blocks =
            sum_over_rows(self.design.rows(), pairs.len() * square, self.stop, |range, out| {
                let chances = self.probabilities(range.clone(), parameters);
                for ((k, l), out) in pairs.iter().zip(out.chunks_mut(square)) {
                    let weights = self.curvature(range.clone(), &chances, *k, *l);
                    self.design.add_gram(range.clone(), Some(&weights), out);
                }
            });
        let mut hessian = vec![0.0; size * size];
        for ((k, l), block) in pairs.iter().zip(blocks.chunks(square)) {
            for i in 0..full {
                for j in 0..=i {
                    let entry = block[i * full + j];
                    hessian[(k * full + i) * size + l * full + j] = entry;
                    hessian[(k * full + j) * size + l * full + i] = entry;
                }
            }
        }
        for set in 0..self.sets {
            for (i, penalty) in self.penalties.iter().enumerate() {
                hessian[(set * full + i) * (size + 1)] += penalty;
            }
        }
        // Adding the same to every class changes no probability. The solution with sum 0 over the
        // classes is meant (every iterate has it), so curvature is put in that direction.
        if self.sets > 1 {
            for i in 0..full {
                let trace: f64 =
                    (0..self.sets).map(|set| hessian[(set * full + i) * (size + 1)]).sum();
                let extra = trace / (self.sets * self.sets) as f64;
                for (k, l) in &pairs {
                    hessian[(k * full + i) * size + l * full + i] += extra;
                }
            }
        }
        let cholesky = Cholesky::new(&hessian, size, RANK_TOLERANCE, self.stop)?;
        Ok((cholesky.solve(gradient), cholesky.rank()))
    }

    /// Hessian times `direction`.
    fn hessian_product(&self, parameters: &[f64], direction: &[f64]) -> Vec<f64> {
        let full = self.design.full_width();
        let mut product =
            sum_over_rows(self.design.rows(), self.size(), self.stop, |range, out| {
                let chances = self.probabilities(range.clone(), parameters);
                let mut along = self.scores(range.clone(), direction);
                for (row, weight) in self.weights[range.clone()].iter().enumerate() {
                    let mean: f64 = if self.sets == 1 {
                        chances[0][row] * along[0][row]
                    } else {
                        chances.iter().zip(&along).map(|(p, along)| p[row] * along[row]).sum()
                    };
                    for (p, along) in chances.iter().zip(along.iter_mut()) {
                        along[row] = weight * p[row] * (along[row] - mean);
                    }
                }
                for (values, out) in along.iter().zip(out.chunks_mut(full)) {
                    self.design.add_transposed(range.clone(), values, out);
                }
            });
        for (product, direction) in product.chunks_mut(full).zip(direction.chunks(full)) {
            for ((product, direction), penalty) in
                product.iter_mut().zip(direction).zip(&self.penalties)
            {
                *product += penalty * direction;
            }
        }
        product
    }

    fn conjugate_gradient_step(
        &self,
        parameters: &[f64],
        gradient: &[f64],
    ) -> Result<Vec<f64>, MlError> {
        let full = self.design.full_width();
        // One preconditioner for all classes keeps every direction's sum over the classes at 0.
        let mut diagonal = sum_over_rows(self.design.rows(), full, self.stop, |range, out| {
            let chances = self.probabilities(range.clone(), parameters);
            for set in 0..self.sets {
                let weights = self.curvature(range.clone(), &chances, set, set);
                self.design.add_squares(range.clone(), &weights, out);
            }
        });
        for (diagonal, penalty) in diagonal.iter_mut().zip(&self.penalties) {
            *diagonal = *diagonal / self.sets as f64 + penalty;
        }
        let precondition = |residual: &[f64]| -> Vec<f64> {
            let scaled = residual.chunks(full).flat_map(|set| {
                set.iter()
                    .zip(&diagonal)
                    .map(|(value, diagonal)| if *diagonal > 0.0 { value / diagonal } else { 0.0 })
            });
            scaled.collect()
        };
        let mut step = vec![0.0; self.size()];
        let mut residual = gradient.to_vec();
        let mut scaled = precondition(&residual);
        let mut direction = scaled.clone();
        let mut size = dot(&residual, &scaled);
        let first = size;
        for _ in 0..2 * self.size().max(100) {
            self.stop.check()?;
            if size <= 1e-16 * first || size <= 0.0 {
                break;
            }
            let product = self.hessian_product(parameters, &direction);
            let curvature = dot(&direction, &product);
            if curvature <= 0.0 {
                break;
            }
            let length = size / curvature;
            for ((step, residual), (direction, product)) in
                step.iter_mut().zip(&mut residual).zip(direction.iter().zip(&product))
            {
                *step += length * direction;
                *residual -= length * product;
            }
            scaled = precondition(&residual);
            let next = dot(&residual, &scaled);
            for (direction, scaled) in direction.iter_mut().zip(&scaled) {
                *direction = scaled + next / size * *direction;
            }
            size = next;
        }
        Ok(step)
    }

    /// Standard deviation of each stored column.
    fn deviations(&self) -> Vec<f64> {
        let full = self.design.full_width();
        let ones = vec![1.0; self.design.rows()];
        let squares = sum_over_rows(self.design.rows(), full, self.stop, |range, out| {
            self.design.add_squares(range.clone(), &ones[range], out);
        });
        let sums = sum_over_rows(self.design.rows(), full, self.stop, |range, out| {
            self.design.add_transposed(range.clone(), &ones[range], out);
        });
        let count = self.design.rows() as f64;
        let moments = squares.iter().zip(&sums).take(self.design.width());
        moments
            .map(|(square, sum)| (square / count - (sum / count).powi(2)).max(0.0).sqrt())
            .collect()
    }
}

impl LogisticModel {
    /// Reads a model file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlError> {
        let model: Self = serde_json::from_slice(bytes)
            .map_err(|error| MlError::Format(format!("not a logistic model file: {error}")))?;
        let width = design::column_names(&model.signature.features, &model.encodings).len();
        let classes = model.signature.classes.len();
        let sets = if classes == 2 { 1 } else { classes };
        if model.format != FORMAT
            || classes < 2
            || model.encodings.len() != model.signature.features.len()
            || model.intercepts.len() != sets
            || model.coefficients.len() != sets
            || model.coefficients.iter().any(|set| set.len() != width)
        {
            return Err(MlError::Format(format!("not a {FORMAT} file")));
        }
        Ok(model)
    }

    /// `(intercept)` and then each design column (`feature` or `feature=category`); one value for
    /// two classes (the log-odds of the second), else one per class in class order.
    pub fn coefficients(&self) -> Vec<(String, Vec<f64>)> {
        let names = design::column_names(&self.signature.features, &self.encodings);
        let columns = names.into_iter().enumerate().map(|(column, name)| {
            (name, self.coefficients.iter().map(|set| set[column]).collect())
        });
        std::iter::once(("(intercept)".to_owned(), self.intercepts.clone()))
            .chain(columns)
            .collect()
    }

    /// False when the iteration limit ended the fit, as with separable classes and no penalty.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// Probabilities per class, and which rows have none.
    fn chances(&self, columns: &[ArrayRef]) -> Result<(Vec<Vec<f64>>, Vec<bool>), MlError> {
        let (design, unscored) =
            Design::for_scoring(&self.signature.features, &self.encodings, columns)?;
        let mut scores: Vec<Vec<f64>> = self
            .coefficients
            .iter()
            .zip(&self.intercepts)
            .map(|(set, intercept)| {
                let mut out = vec![0.0; design.rows()];
                design.multiply(0..design.rows(), set, &mut out);
                out.iter_mut().for_each(|score| *score += intercept);
                out
            })
            .collect();
        if let [score] = scores.as_slice() {
            let first = score.iter().map(|score| sigmoid(-score)).collect();
            let second = score.iter().map(|score| sigmoid(*score)).collect();
            return Ok((vec![first, second], unscored));
        }
        softmax(&mut scores);
        Ok((scores, unscored))
    }
}

impl Model for LogisticModel {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Logistic
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(&self, columns: &[ArrayRef]) -> Result<ArrayRef, MlError> {
        let (chances, unscored) = self.chances(columns)?;
        let codes: Float64Array = unscored
            .iter()
            .enumerate()
            .map(|(row, unscored)| {
                let mut best = 0;
                for class in 1..chances.len() {
                    if chances[class][row] > chances[best][row] {
                        best = class;
                    }
                }
                (!unscored).then_some(best as f64)
            })
            .collect();
        Ok(Arc::new(codes))
    }

    fn predict_proba(&self, columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, MlError> {
        let (chances, unscored) = self.chances(columns)?;
        let arrays = chances.into_iter().map(|own| {
            let values: Float64Array = own
                .into_iter()
                .zip(&unscored)
                .map(|(value, unscored)| (!unscored).then_some(value))
                .collect();
            Arc::new(values) as ArrayRef
        });
        Ok(arrays.collect())
    }

    fn importance(&self) -> Vec<f64> {
        self.importance.clone()
    }

    fn to_bytes(&self) -> Result<Vec<u8>, MlError> {
        serde_json::to_vec(self).map_err(|error| MlError::Format(error.to_string()))
    }

    fn extension(&self) -> &'static str {
        "json"
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use arrow::array::{AsArray, RecordBatch, StringArray};
    use arrow::datatypes::Float64Type;

    use super::*;
    use crate::OptionValue;

    fn spec(options: &[(&str, OptionValue)]) -> TrainSpec {
        TrainSpec {
            algorithm: Algorithm::Logistic,
            target: "y".to_owned(),
            features: vec!["x".to_owned(), "g".to_owned()],
            options: options
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect::<BTreeMap<_, _>>(),
            threads: 1,
            stop: Stop::default(),
        }
    }

    fn rows(classes: &[&str]) -> [RecordBatch; 1] {
        let count = 3_000u32;
        let x: ArrayRef = Arc::new(Float64Array::from_iter_values(
            (0..count).map(|i| 100.0 + f64::from(i * 7 % 31)),
        ));
        let g: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..count).map(|i| ["u", "v", "w"][(i * i % 7 % 3) as usize]),
        ));
        let y: ArrayRef =
            Arc::new(StringArray::from_iter_values((0..count).map(|i| {
                classes[((i * 7 % 31 + i * 13 % 17) / 6 % classes.len() as u32) as usize]
            })));
        [RecordBatch::try_from_iter([("x", x), ("g", g), ("y", y)]).unwrap()]
    }

    #[test]
    fn intercept_only_is_the_log_odds() {
        let x: ArrayRef = Arc::new(Float64Array::from(vec![2.0; 4]));
        let g: ArrayRef = Arc::new(StringArray::from(vec!["u"; 4]));
        let y: ArrayRef = Arc::new(StringArray::from(vec!["no", "yes", "yes", "yes"]));
        let batch = [RecordBatch::try_from_iter([("x", x), ("g", g), ("y", y)]).unwrap()];
        let none = [("penalty", OptionValue::Text("none".to_owned()))];
        let model = train(&spec(&none), Rows { batches: &batch }).unwrap();
        let coefficients = model.coefficients();
        assert_eq!(coefficients.len(), 2, "the only category is the reference level");
        assert!((coefficients[0].1[0] - 3f64.ln()).abs() < 1e-10);
        assert_eq!(coefficients[1].1, [0.0]);
        assert!(model.converged());
    }

    /// At the optimum the derivative of the objective is zero, computed here from its definition.
    fn stationary(model: &LogisticModel, batch: &RecordBatch, c: f64) {
        let columns = [batch.column(0).clone(), batch.column(1).clone()];
        let chances = model.predict_proba(&columns).unwrap();
        let x = batch.column(0).as_primitive::<Float64Type>();
        let g = batch.column(1).as_string::<i32>();
        let y = batch.column(2).as_string::<i32>();
        let sets = model.intercepts.len();
        for set in 0..sets {
            let class = if sets == 1 { 1 } else { set };
            let own = chances[class].as_primitive::<Float64Type>();
            let mut sums = [0.0; 5];
            for row in 0..batch.num_rows() {
                let hit = y.value(row) == model.signature.classes[class];
                let residual = c * (own.value(row) - f64::from(u8::from(hit)));
                sums[0] += residual;
                sums[1] += residual * x.value(row);
                sums[2 + (g.value(row).as_bytes()[0] - b'u') as usize] += residual;
            }
            for (sum, weight) in sums[1..].iter_mut().zip(&model.coefficients[set]) {
                *sum += weight;
            }
            assert!(sums.iter().all(|sum| sum.abs() < 1e-6), "{sums:?}");
        }
    }

    #[test]
    fn optimum_of_the_penalised_objective() {
        for classes in [&["a", "b"][..], &["a", "b", "c"][..]] {
            let batch = rows(classes);
            let c = [("c", OptionValue::Float(0.5))];
            let model = train(&spec(&c), Rows { batches: &batch }).unwrap();
            assert!(model.converged());
            stationary(&model, &batch[0], 0.5);
            let threaded = TrainSpec { threads: 2, ..spec(&c) };
            let threaded = train(&threaded, Rows { batches: &batch }).unwrap();
            assert_eq!(threaded.to_bytes().unwrap(), model.to_bytes().unwrap());
            let again = LogisticModel::from_bytes(&model.to_bytes().unwrap()).unwrap();
            assert_eq!(again, model);
        }
    }

    #[test]
    fn conjugate_gradients_find_the_same_optimum() {
        let batch = rows(&["a", "b", "c"]);
        let model = train(&spec(&[]), Rows { batches: &batch }).unwrap();
        let features = model.signature.features.clone();
        let rows = Rows { batches: &batch };
        let (design, _) = Design::fit(rows, &features, false, Missing::Mean, true).unwrap();
        let (_, labels) = encode::class_target(rows, "y").unwrap();
        let settings = Settings::read(&spec(&[])).unwrap();
        let stop = Stop::default();
        let problem = Problem::new(&design, &labels, 3, &settings, &stop);
        let point: Vec<f64> = (0..problem.size()).map(|i| (i as f64).sin() / 9.0).collect();
        let centre: Vec<f64> =
            (0..5).map(|j| (point[j] + point[5 + j] + point[10 + j]) / 3.0).collect();
        let point: Vec<f64> = point.iter().enumerate().map(|(i, p)| p - centre[i % 5]).collect();
        let (_, gradient) = problem.evaluate(&point);
        let (direct, _) = problem.direct_step(&point, &gradient).unwrap();
        let iterated = problem.conjugate_gradient_step(&point, &gradient).unwrap();
        for (a, b) in direct.iter().zip(&iterated) {
            assert!((a - b).abs() < 1e-6, "{direct:?} {iterated:?}");
        }
    }

    #[test]
    fn separable_classes_do_not_converge() {
        let x: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        let g: ArrayRef = Arc::new(StringArray::from(vec!["u", "v", "u", "v", "u", "v"]));
        let y: ArrayRef = Arc::new(StringArray::from(vec!["n", "n", "n", "y", "y", "y"]));
        let batch = [RecordBatch::try_from_iter([("x", x), ("g", g), ("y", y)]).unwrap()];
        let none = [("penalty", OptionValue::Text("none".to_owned()))];
        let model = train(&spec(&none), Rows { batches: &batch }).unwrap();
        assert!(!model.converged());
        let best = train(&spec(&[]), Rows { batches: &batch }).unwrap();
        assert!(best.converged());
    }

    #[test]
    fn one_class_is_refused() {
        let batch = rows(&["a"]);
        let error = train(&spec(&[]), Rows { batches: &batch }).unwrap_err().to_string();
        assert!(error.contains("only the class a"), "{error}");
    }
}
