//! `LINEAR`: ordinary least squares, ridge, lasso and elastic net.
//!
//! The objectives, and so the meaning of `alpha` and `l1_ratio`, are scikit-learn's:
//!
//! | penalty | minimised |
//! |---|---|
//! | `none` | `‖y - Xw‖²`; the shortest `w` if it is not unique |
//! | `l2` | `‖y - Xw‖² + alpha ‖w‖²` |
//! | `l1` | `‖y - Xw‖² / 2n + alpha ‖w‖₁` |
//! | `elasticnet` | `‖y - Xw‖² / 2n + alpha l1_ratio ‖w‖₁ + alpha (1 - l1_ratio) ‖w‖² / 2` |
//!
//! The intercept is never penalised. Text features are one-hot encoded over their sorted
//! categories; without a penalty and with an intercept the first category is the reference level
//! and has no column. A missing number is replaced by the feature's training mean
//! (`missing => 'mean'`) or refused (`missing => 'error'`); NULL and unseen text set no column.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use serde::{Deserialize, Serialize};

use crate::design::{self, Design, Encoding, Missing, mean};
use crate::encode;
use crate::linalg::{Cholesky, remove_span};
use crate::options::Options;
use crate::parallel::{sum_over_rows, with_threads};
use crate::{Algorithm, MlError, Model, Rows, Signature, Stop, Task, TrainSpec};

const KNOWN_OPTIONS: &[&str] =
    &["alpha", "fit_intercept", "l1_ratio", "max_iter", "missing", "penalty", "tol"];

const FORMAT: &str = "frazil-linear-1";

/// A column whose squared length not explained by the others is below this share is dependent.
const RANK_TOLERANCE: f64 = 1e-12;

/// What is added to the squared error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Penalty {
    None,
    L2 {
        alpha: f64,
    },
    /// `l1_ratio` 1 is the lasso.
    ElasticNet {
        alpha: f64,
        l1_ratio: f64,
    },
}

/// A fitted linear regression; coefficients are in the units of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearModel {
    format: String,
    signature: Signature,
    penalty: Penalty,
    fit_intercept: bool,
    encodings: Vec<Encoding>,
    intercept: f64,
    coefficients: Vec<f64>,
    /// Share of each feature: |coefficient| times the column's standard deviation.
    importance: Vec<f64>,
    rows: u64,
    /// Sweeps of coordinate descent; 0 where the solution is direct.
    iterations: u64,
    /// False when `max_iter` ended coordinate descent first.
    converged: bool,
}

struct Settings {
    penalty: Penalty,
    fit_intercept: bool,
    missing: Missing,
    max_iter: usize,
    tol: f64,
}

/// `missing => 'mean' | 'error'`.
pub(crate) fn missing_option(options: Options<'_>) -> Result<Missing, MlError> {
    Ok(match options.choice("missing", &["mean", "error"])? {
        Some("error") => Missing::Error,
        _ => Missing::Mean,
    })
}

impl Settings {
    fn read(spec: &TrainSpec) -> Result<Self, MlError> {
        let options = Options::new(&spec.options, KNOWN_OPTIONS)?;
        let written = options.choice("penalty", &["none", "l2", "l1", "elasticnet"])?;
        let alpha = options.number_from("alpha", 1.0, 0.0)?;
        let l1_ratio = options.number_from("l1_ratio", 0.5, 0.0)?;
        if l1_ratio > 1.0 {
            return Err(MlError::Invalid("option 'l1_ratio' must be from 0 to 1".to_owned()));
        }
        let kind = match written {
            Some(kind) => kind,
            None if options.has("l1_ratio") => "elasticnet",
            None if options.has("alpha") => "l2",
            None => "none",
        };
        if kind == "none" && options.has("alpha") {
            return Err(MlError::Invalid("option 'alpha' needs a penalty".to_owned()));
        }
        if kind != "elasticnet" && options.has("l1_ratio") {
            return Err(MlError::Invalid(
                "option 'l1_ratio' needs penalty => 'elasticnet'".to_owned(),
            ));
        }
        let penalty = match kind {
            _ if alpha == 0.0 => Penalty::None,
            "none" => Penalty::None,
            "l2" => Penalty::L2 { alpha },
            "l1" => Penalty::ElasticNet { alpha, l1_ratio: 1.0 },
            _ => Penalty::ElasticNet { alpha, l1_ratio },
        };
        Ok(Self {
            penalty,
            fit_intercept: options.flag("fit_intercept", true)?,
            missing: missing_option(options)?,
            max_iter: options.count_from("max_iter", 10_000, 1)?,
            tol: options.number_from("tol", 1e-10, 0.0)?,
        })
    }
}

/// Checks the options alone.
pub(crate) fn check_options(spec: &TrainSpec) -> Result<(), MlError> {
    Settings::read(spec).map(drop)
}

/// Fits a linear regression.
///
/// Options: `penalty` (`none`, `l2`, `l1`, `elasticnet`; by default `none`, `l2` where `alpha` is
/// given, `elasticnet` where `l1_ratio` is), `alpha` (1.0), `l1_ratio` (0.5), `fit_intercept`
/// (TRUE), `missing` (`mean`), and for coordinate descent `max_iter` (10000 sweeps) and `tol`
/// (1e-10: the largest change of a prediction, in deviations of the target, that ends it).
///
/// Errors: unknown or contradictory options, no rows, a target or feature that is not a number or
/// text, missing target values.
pub fn train(spec: &TrainSpec, rows: Rows<'_>) -> Result<LinearModel, MlError> {
    let settings = Settings::read(spec)?;
    let features = encode::features(rows, &spec.features)?;
    let mut target = encode::numeric_target(rows, &spec.target)?;
    let drop_first = settings.fit_intercept && settings.penalty == Penalty::None;
    let (design, encodings) =
        Design::fit(rows, &features, drop_first, settings.missing, settings.fit_intercept)?;
    let offset = if settings.fit_intercept { mean(target.iter().copied()) } else { 0.0 };
    target.iter_mut().for_each(|value| *value -= offset);

    let fit =
        with_threads(spec.threads, || Problem::new(&design, &target, &spec.stop).solve(&settings))?;
    spec.stop.check()?;

    let spread: Vec<f64> = fit
        .weights
        .iter()
        .zip(&fit.deviations)
        .map(|(weight, deviation)| weight.abs() * deviation)
        .collect();
    let importance = design::shares(design::sum_by_feature(&features, &encodings, &spread));
    let mut coefficients = fit.weights;
    let mut intercept = offset + fit.intercept;
    design.to_original(&mut coefficients, &mut intercept);
    if let Some(basis) = &fit.null_space {
        // The shortest solution is asked for in the units of the data.
        let before = coefficients.clone();
        remove_span(&mut coefficients, basis, &spec.stop)?;
        if settings.fit_intercept {
            let means = column_means(&design, &spec.stop);
            spec.stop.check()?;
            for ((after, before), mean) in coefficients.iter().zip(&before).zip(&means) {
                intercept -= (after - before) * mean;
            }
        }
    }
    if !settings.fit_intercept {
        intercept = 0.0;
    }
    if coefficients.iter().any(|value| !value.is_finite()) || !intercept.is_finite() {
        return Err(MlError::Invalid(
            "the least-squares solution is not finite; check the scale of the features".to_owned(),
        ));
    }
    Ok(LinearModel {
        format: FORMAT.to_owned(),
        signature: Signature {
            task: Task::Regression,
            target: spec.target.clone(),
            features,
            classes: Vec::new(),
        },
        penalty: settings.penalty,
        fit_intercept: settings.fit_intercept,
        encodings,
        intercept,
        coefficients,
        importance,
        rows: design.rows() as u64,
        iterations: fit.iterations,
        converged: fit.converged,
    })
}

/// Means of the design columns in the units of the data.
fn column_means(design: &Design, stop: &Stop) -> Vec<f64> {
    let count = design.rows() as f64;
    let ones = vec![1.0; design.rows()];
    let sums = sum_over_rows(design.rows(), design.full_width(), stop, |range, out| {
        design.add_transposed(range.clone(), &ones[range], out);
    });
    sums[..design.width()]
        .iter()
        .zip(design.scale().iter().zip(design.shift()))
        .map(|(sum, (scale, shift))| sum / count * scale + shift)
        .collect()
}

/// The normal equations of a centred problem, in the design's stored units.
struct Problem<'a> {
    design: &'a Design,
    target: &'a [f64],
    stop: &'a Stop,
    /// Sum of each column.
    sums: Vec<f64>,
    /// Lower triangle of the centred `XᵀX`, row-major.
    gram: Vec<f64>,
    /// Centred `Xᵀy`.
    right: Vec<f64>,
}

struct Fit {
    weights: Vec<f64>,
    intercept: f64,
    deviations: Vec<f64>,
    /// Set where columns depend on each other; in the units of the data.
    null_space: Option<Vec<Vec<f64>>>,
    iterations: u64,
    converged: bool,
}

impl<'a> Problem<'a> {
    fn new(design: &'a Design, target: &'a [f64], stop: &'a Stop) -> Self {
        let (rows, width, full) = (design.rows(), design.width(), design.full_width());
        let square = sum_over_rows(rows, full * full, stop, |range, out| {
            design.add_gram(range, None, out);
        });
        let ones = vec![1.0; rows];
        let sums = sum_over_rows(rows, full, stop, |range, out| {
            design.add_transposed(range.clone(), &ones[range], out);
        });
        let count = rows as f64;
        let centred = full > width;
        let mut gram = vec![0.0; width * width];
        for i in 0..width {
            for j in 0..=i {
                let product = square[i * full + j];
                let centre = if centred { sums[i] * sums[j] / count } else { 0.0 };
                gram[i * width + j] = product - centre;
            }
        }
        let mut problem = Self { design, target, stop, sums, gram, right: Vec::new() };
        problem.right = problem.centred_transposed(target);
        problem
    }

    /// `Xᵀ r` of the centred columns.
    fn centred_transposed(&self, residuals: &[f64]) -> Vec<f64> {
        let full = self.design.full_width();
        let width = self.design.width();
        let mut products = sum_over_rows(self.design.rows(), full, self.stop, |range, out| {
            self.design.add_transposed(range.clone(), &residuals[range], out);
        });
        if full > width {
            let mean = products[width] / self.design.rows() as f64;
            for (product, sum) in products.iter_mut().zip(&self.sums) {
                *product -= sum * mean;
            }
        }
        products.truncate(width);
        products
    }

    /// The intercept that goes with `weights`: minus the mean of the columns' part.
    fn intercept(&self, weights: &[f64]) -> f64 {
        if self.design.full_width() == self.design.width() {
            return 0.0;
        }
        let count = self.design.rows() as f64;
        -weights.iter().zip(&self.sums).map(|(weight, sum)| weight * sum).sum::<f64>() / count
    }

    fn residuals(&self, weights: &[f64]) -> Vec<f64> {
        let mut all = weights.to_vec();
        all.push(self.intercept(weights));
        let mut residuals = vec![0.0; self.design.rows()];
        self.design.multiply(0..self.design.rows(), &all, &mut residuals);
        for (residual, target) in residuals.iter_mut().zip(self.target) {
            *residual = target - *residual;
        }
        residuals
    }

    fn deviations(&self) -> Vec<f64> {
        let (width, count) = (self.design.width(), self.design.rows() as f64);
        let centred = self.design.full_width() > width;
        (0..width)
            .map(|i| {
                let mean = if centred { 0.0 } else { self.sums[i] / count };
                (self.gram[i * width + i] / count - mean * mean).max(0.0).sqrt()
            })
            .collect()
    }

    fn solve(self, settings: &Settings) -> Result<Fit, MlError> {
        self.stop.check()?;
        match settings.penalty {
            Penalty::None => self.direct(0.0),
            Penalty::L2 { alpha } => self.direct(alpha),
            Penalty::ElasticNet { alpha, l1_ratio } => {
                self.coordinate_descent(settings, alpha * l1_ratio, alpha * (1.0 - l1_ratio))
            }
        }
    }

    fn direct(self, alpha: f64) -> Result<Fit, MlError> {
        let width = self.design.width();
        let penalties: Vec<f64> =
            self.design.scale().iter().map(|scale| alpha / (scale * scale)).collect();
        let mut matrix = self.gram.clone();
        for (i, penalty) in penalties.iter().enumerate() {
            matrix[i * width + i] += penalty;
        }
        let cholesky = Cholesky::new(&matrix, width, RANK_TOLERANCE, self.stop)?;
        let mut weights = cholesky.solve(&self.right);
        // Normal equations square the condition number; correcting with residuals taken from the
        // rows themselves gives the lost digits back.
        for _ in 0..3 {
            self.stop.check()?;
            let mut gradient = self.centred_transposed(&self.residuals(&weights));
            for ((gradient, weight), penalty) in gradient.iter_mut().zip(&weights).zip(&penalties) {
                *gradient -= penalty * weight;
            }
            let step = cholesky.solve(&gradient);
            weights.iter_mut().zip(step).for_each(|(weight, step)| *weight += step);
        }
        let mut null_space = None;
        if alpha == 0.0 && cholesky.rank() < width {
            let mut basis = cholesky.null_space(self.stop)?;
            for vector in &mut basis {
                let scales = vector.iter_mut().zip(self.design.scale());
                scales.for_each(|(value, scale)| *value /= scale);
            }
            null_space = Some(basis);
        }
        Ok(Fit {
            intercept: self.intercept(&weights),
            deviations: self.deviations(),
            weights,
            null_space,
            iterations: 0,
            converged: true,
        })
    }

    fn coordinate_descent(self, settings: &Settings, l1: f64, l2: f64) -> Result<Fit, MlError> {
        let width = self.design.width();
        let count = self.design.rows() as f64;
        let mut gram = self.gram.clone();
        for i in 0..width {
            for j in 0..i {
                gram[j * width + i] = gram[i * width + j];
            }
        }
        let thresholds: Vec<f64> =
            self.design.scale().iter().map(|scale| count * l1 / scale).collect();
        let ridges: Vec<f64> =
            self.design.scale().iter().map(|scale| count * l2 / (scale * scale)).collect();
        let target_deviation = mean(self.target.iter().map(|value| value * value)).sqrt();
        let enough = settings.tol * target_deviation;
        let mut weights = vec![0.0f64; width];
        // Gradient of the squared error without the own column's share: Xᵀ(y - Xw).
        let mut open = self.right.clone();
        let mut iterations = 0;
        let mut converged = false;
        while iterations < settings.max_iter && !converged {
            iterations += 1;
            let mut largest = 0.0f64;
            self.stop.check()?;
            for j in 0..width {
                let own = gram[j * width + j];
                if own <= 0.0 {
                    continue;
                }
                let pull = open[j] + own * weights[j];
                let shrunk = pull.signum() * (pull.abs() - thresholds[j]).max(0.0);
                let weight = shrunk / (own + ridges[j]);
                let step = weight - weights[j];
                if step != 0.0 {
                    weights[j] = weight;
                    let row = &gram[j * width..(j + 1) * width];
                    open.iter_mut().zip(row).for_each(|(open, entry)| *open -= step * entry);
                    largest = largest.max(step.abs() * (own / count).sqrt());
                }
            }
            converged = largest <= enough;
        }
        Ok(Fit {
            intercept: self.intercept(&weights),
            deviations: self.deviations(),
            weights,
            null_space: None,
            iterations: iterations as u64,
            converged,
        })
    }
}

impl LinearModel {
    /// Reads a model file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlError> {
        let model: Self = serde_json::from_slice(bytes)
            .map_err(|error| MlError::Format(format!("not a linear model file: {error}")))?;
        let width = design::column_names(&model.signature.features, &model.encodings).len();
        if model.format != FORMAT
            || model.encodings.len() != model.signature.features.len()
            || model.coefficients.len() != width
        {
            return Err(MlError::Format(format!("not a {FORMAT} file")));
        }
        Ok(model)
    }

    /// `(intercept)` and then each design column (`feature` or `feature=category`), each with one
    /// value, in the units of the data.
    pub fn coefficients(&self) -> Vec<(String, Vec<f64>)> {
        let names = design::column_names(&self.signature.features, &self.encodings);
        std::iter::once(("(intercept)".to_owned(), vec![self.intercept]))
            .chain(names.into_iter().zip(self.coefficients.iter().map(|value| vec![*value])))
            .collect()
    }

    /// False when the iteration limit ended the fit.
    pub fn converged(&self) -> bool {
        self.converged
    }
}

impl Model for LinearModel {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Linear
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(&self, columns: &[ArrayRef]) -> Result<ArrayRef, MlError> {
        let (design, unscored) =
            Design::for_scoring(&self.signature.features, &self.encodings, columns)?;
        let mut values = vec![0.0; design.rows()];
        design.multiply(0..design.rows(), &self.coefficients, &mut values);
        let scores: Float64Array = values
            .into_iter()
            .zip(unscored)
            .map(|(value, unscored)| (!unscored).then_some(value + self.intercept))
            .collect();
        Ok(Arc::new(scores))
    }

    fn predict_proba(&self, _columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, MlError> {
        Err(MlError::Unsupported("LINEAR models have no class probabilities".to_owned()))
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

    fn spec(features: &[&str], options: &[(&str, OptionValue)]) -> TrainSpec {
        TrainSpec {
            algorithm: Algorithm::Linear,
            target: "y".to_owned(),
            features: features.iter().map(|name| (*name).to_owned()).collect(),
            options: options
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect::<BTreeMap<_, _>>(),
            threads: 2,
            stop: Stop::default(),
        }
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> [RecordBatch; 1] {
        [RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )
        .unwrap()]
    }

    fn floats(values: &[f64]) -> ArrayRef {
        Arc::new(Float64Array::from(values.to_vec()))
    }

    fn named(model: &LinearModel) -> BTreeMap<String, f64> {
        model.coefficients().into_iter().map(|(name, values)| (name, values[0])).collect()
    }

    fn close(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-9, "{got} is not {want}");
    }

    #[test]
    fn exact_line_with_reference_level() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let g = ["b", "a", "c", "a", "b", "c"];
        let y: Vec<f64> = x
            .iter()
            .zip(g)
            .map(|(x, g)| 1e6 + 2.0 * x + [0.0, 10.0, -5.0][g.as_bytes()[0] as usize - 97])
            .collect();
        let batches = batch(vec![
            ("x", floats(&x)),
            ("g", Arc::new(StringArray::from(g.to_vec()))),
            ("y", floats(&y)),
        ]);
        let model = train(&spec(&["x", "g"], &[]), Rows { batches: &batches }).unwrap();
        let coefficients = named(&model);
        assert_eq!(coefficients.len(), 4);
        for (name, want) in [("(intercept)", 1e6), ("x", 2.0), ("g=b", 10.0), ("g=c", -5.0)] {
            assert!((coefficients[name] - want).abs() < 1e-7, "{coefficients:?}");
        }
        let unseen: ArrayRef = Arc::new(StringArray::from(vec![Some("z"), None]));
        let scored = model.predict(&[floats(&[1.0, f64::NAN]), unseen]).unwrap();
        let scored = scored.as_primitive::<Float64Type>();
        assert!((scored.value(0) - (1e6 + 2.0)).abs() < 1e-7);
        assert!((scored.value(1) - (1e6 + 7.0)).abs() < 1e-7, "missing x is its mean, 3.5");
        let again = LinearModel::from_bytes(&model.to_bytes().unwrap()).unwrap();
        assert_eq!(again, model);
    }

    #[test]
    fn dependent_columns_get_the_shortest_solution() {
        // y = x1 alone, x2 = 2 x1: the shortest solution of w1 + 2 w2 = 1 is (0.2, 0.4).
        let x = [1.0, 4.0, 2.0, 7.0];
        let double: Vec<f64> = x.iter().map(|x| 2.0 * x).collect();
        let batches = batch(vec![
            ("x1", floats(&x)),
            ("x2", floats(&double)),
            ("k", floats(&[3.0; 4])),
            ("y", floats(&x.map(|x| x + 5.0))),
        ]);
        let model = train(&spec(&["x1", "x2", "k"], &[]), Rows { batches: &batches }).unwrap();
        let coefficients = named(&model);
        close(coefficients["x1"], 0.2);
        close(coefficients["x2"], 0.4);
        close(coefficients["k"], 0.0);
        close(coefficients["(intercept)"], 5.0);
    }

    #[test]
    fn ridge_and_lasso_of_one_column() {
        // Centred x = (-1, 0, 1), y = (-2, 0, 2): x'x = 2, x'y = 4.
        let batches =
            batch(vec![("x", floats(&[1.0, 2.0, 3.0])), ("y", floats(&[-2.0, 0.0, 2.0]))]);
        let rows = Rows { batches: &batches };
        let fit = |options: &[(&str, OptionValue)]| {
            named(&train(&spec(&["x"], options), rows).unwrap())["x"]
        };
        close(fit(&[("alpha", OptionValue::Int(1))]), 4.0 / 3.0);
        let l1 = ("penalty", OptionValue::Text("L1".to_owned()));
        close(fit(&[l1.clone(), ("alpha", OptionValue::Float(0.5))]), (4.0 - 1.5) / 2.0);
        close(fit(&[l1, ("alpha", OptionValue::Float(5.0))]), 0.0);
        let net = ("l1_ratio", OptionValue::Float(0.5));
        close(fit(&[net, ("alpha", OptionValue::Float(0.5))]), (4.0 - 0.75) / (2.0 + 0.75));
        close(fit(&[("fit_intercept", OptionValue::Bool(false))]), 4.0 / 14.0);
    }

    #[test]
    fn missing_values_can_be_refused() {
        let x: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(3.0)]));
        let batches = batch(vec![("x", x), ("y", floats(&[1.0, 2.0, 3.0]))]);
        let rows = Rows { batches: &batches };
        let refuse = [("missing", OptionValue::Text("error".to_owned()))];
        let error = train(&spec(&["x"], &refuse), rows).unwrap_err().to_string();
        assert!(error.contains("feature 'x' is missing in 1 rows"), "{error}");
        assert!(train(&spec(&["x"], &[]), rows).is_ok());
        let error = train(&spec(&["nope"], &[]), rows).unwrap_err().to_string();
        assert!(error.contains("no column 'nope'"), "{error}");
    }

    #[test]
    fn bytes_do_not_depend_on_threads() {
        let x: Vec<f64> = (0..5000).map(|i| f64::from(i * 37 % 1009)).collect();
        let z: Vec<f64> = (0..5000).map(|i| f64::from(i * 91 % 757).sqrt()).collect();
        let y: Vec<f64> = x.iter().zip(&z).map(|(x, z)| x.sin() + z).collect();
        let batches = batch(vec![("x", floats(&x)), ("z", floats(&z)), ("y", floats(&y))]);
        let mut one = spec(&["x", "z"], &[]);
        one.threads = 1;
        let two = TrainSpec { threads: 2, ..one.clone() };
        let fit =
            |spec: &TrainSpec| train(spec, Rows { batches: &batches }).unwrap().to_bytes().unwrap();
        assert_eq!(fit(&one), fit(&two));
    }
}
