//! How good predictions are. Definitions and edge cases are scikit-learn's.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Float64Type;

use crate::design::mean;
use crate::encode::{self, NO_CODE};
use crate::model::{predict_all, predict_proba_all};
use crate::{MlError, Model, Signature, Stop, Task};

/// Root of the mean squared error.
pub fn rmse(actual: &[f64], predicted: &[f64]) -> f64 {
    mean(actual.iter().zip(predicted).map(|(y, p)| (y - p) * (y - p))).sqrt()
}

/// Mean absolute error.
pub fn mae(actual: &[f64], predicted: &[f64]) -> f64 {
    mean(actual.iter().zip(predicted).map(|(y, p)| (y - p).abs()))
}

/// Mean of prediction minus actual: above 0, the model predicts too much.
pub fn mean_error(actual: &[f64], predicted: &[f64]) -> f64 {
    mean(actual.iter().zip(predicted).map(|(y, p)| p - y))
}

/// Share of the target's variance explained. A constant target gives 1 for exact predictions and
/// 0 otherwise.
pub fn r2(actual: &[f64], predicted: &[f64]) -> f64 {
    let centre = mean(actual.iter().copied());
    let total = mean(actual.iter().map(|y| (y - centre) * (y - centre)));
    let left = mean(actual.iter().zip(predicted).map(|(y, p)| (y - p) * (y - p)));
    if total > 0.0 { 1.0 - left / total } else { f64::from(u8::from(left == 0.0)) }
}

fn clipped(probability: f64) -> f64 {
    probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON)
}

/// Mean of minus the logarithm of the probability given to what happened. Probabilities are
/// clipped to [ε, 1 - ε], ε = 2.2e-16.
pub fn log_loss(positive: &[bool], probability: &[f64]) -> f64 {
    mean(positive.iter().zip(probability).map(|(hit, p)| {
        let p = clipped(*p);
        if *hit { -p.ln() } else { -(1.0 - p).ln() }
    }))
}

/// Mean squared difference of probability and outcome.
pub fn brier(positive: &[bool], probability: &[f64]) -> f64 {
    mean(positive.iter().zip(probability).map(|(hit, p)| (p - f64::from(u8::from(*hit))).powi(2)))
}

/// Area under the ROC curve: the chance that a positive row scores above a negative one, ties
/// counting half. `None` with only one class.
pub fn auc(positive: &[bool], score: &[f64]) -> Option<f64> {
    let mut order: Vec<usize> = (0..score.len().min(positive.len())).collect();
    order.sort_unstable_by(|a, b| score[*a].total_cmp(&score[*b]));
    let positives = positive.iter().filter(|hit| **hit).count() as f64;
    let negatives = order.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let mut below = 0.0;
    let mut area = 0.0;
    let mut start = 0;
    while start < order.len() {
        let same = order[start..].iter().take_while(|row| score[**row] == score[order[start]]);
        let tied: Vec<bool> = same.map(|row| positive[*row]).collect();
        let hits = tied.iter().filter(|hit| **hit).count() as f64;
        let misses = tied.len() as f64 - hits;
        area += hits * (below + misses / 2.0);
        below += misses;
        // NaN equals nothing, itself included.
        start += tied.len().max(1);
    }
    Some(area / (positives * negatives))
}

/// Share of rows predicted right.
pub fn accuracy<T: PartialEq>(actual: &[T], predicted: &[T]) -> f64 {
    mean(actual.iter().zip(predicted).map(|(y, p)| f64::from(u8::from(y == p))))
}

/// Precision, recall and F1 of one class; each is 0 where its denominator is.
pub fn precision_recall_f1(actual: &[bool], predicted: &[bool]) -> (f64, f64, f64) {
    let pairs = || actual.iter().zip(predicted);
    let hits = pairs().filter(|(y, p)| **y && **p).count() as f64;
    let claimed = predicted.iter().filter(|p| **p).count() as f64;
    let real = actual.iter().filter(|y| **y).count() as f64;
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    (share(hits, claimed), share(hits, real), share(2.0 * hits, claimed + real))
}

/// F1 averaged over the classes that occur in either side.
pub fn f1_macro(actual: &[u32], predicted: &[u32]) -> f64 {
    let mut classes: Vec<u32> = actual.iter().chain(predicted).copied().collect();
    classes.sort_unstable();
    classes.dedup();
    let of_class = |class: &u32| {
        let side = |codes: &[u32]| codes.iter().map(|code| code == class).collect::<Vec<_>>();
        precision_recall_f1(&side(actual), &side(predicted)).2
    };
    mean(classes.iter().map(of_class))
}

/// Log loss over several classes; `probabilities` has one slice per class. A code outside them
/// (a class the model does not know) counts as probability ε.
pub fn log_loss_multiclass(actual: &[u32], probabilities: &[&[f64]]) -> f64 {
    mean(actual.iter().enumerate().map(|(row, class)| {
        let probability = probabilities.get(*class as usize).map_or(0.0, |own| own[row]);
        -clipped(probability).ln()
    }))
}

fn named(metrics: &[(&str, f64)]) -> Vec<(String, f64)> {
    metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

/// Scores `columns` (signature order) and compares with `target`.
///
/// Regression and recommendation: `rmse`, `mae`, `r2`, `mean_error`. Binary, for the second class
/// at probability one half: `log_loss`, `auc` (left out with only one class), `accuracy`,
/// `precision`, `recall`, `f1`, `brier`. Multiclass: `log_loss`, `accuracy`, `f1_macro`; a class
/// the model does not know counts as wrong.
///
/// Rows without a target or a prediction are left out; if there are any, `skipped_rows` counts
/// them. Errors: no rows left, an unknown class in a binary target.
pub fn evaluate(
    model: &dyn Model,
    signature: &Signature,
    columns: &[ArrayRef],
    target: &ArrayRef,
    stop: &Stop,
) -> Result<Vec<(String, f64)>, MlError> {
    let mut metrics;
    let total = target.len();
    let used;
    match signature.task {
        Task::Regression | Task::Recommendation => {
            let predicted = predict_all(model, columns, stop)?;
            let actual = encode::read_f64(&signature.target, target)?;
            let predicted = encode::read_f64("prediction", &predicted)?;
            let (actual, predicted): (Vec<f64>, Vec<f64>) = actual
                .into_iter()
                .zip(predicted)
                .filter(|(y, p)| !y.is_nan() && !p.is_nan())
                .unzip();
            used = refuse_empty(actual.len())?;
            metrics = named(&[
                ("rmse", rmse(&actual, &predicted)),
                ("mae", mae(&actual, &predicted)),
                ("r2", r2(&actual, &predicted)),
                ("mean_error", mean_error(&actual, &predicted)),
            ]);
        }
        Task::Binary | Task::Multiclass => {
            let chances = predict_proba_all(model, columns, stop)?;
            let codes = class_codes(signature, target)?;
            let keep: Vec<usize> = (0..total)
                .filter(|row| !target.is_null(*row) && chances.iter().all(|own| !own.is_null(*row)))
                .collect();
            used = refuse_empty(keep.len())?;
            let actual: Vec<u32> = keep.iter().map(|row| codes[*row]).collect();
            let chances: Vec<Vec<f64>> = chances
                .iter()
                .map(|own| {
                    let own = own.as_primitive::<Float64Type>();
                    keep.iter().map(|row| own.value(*row)).collect()
                })
                .collect();
            metrics = if signature.task == Task::Binary {
                binary(signature, &actual, &chances)?
            } else {
                multiclass(&actual, &chances)
            };
        }
    }
    if used < total {
        metrics.push(("skipped_rows".to_owned(), (total - used) as f64));
    }
    Ok(metrics)
}

fn refuse_empty(rows: usize) -> Result<usize, MlError> {
    if rows == 0 {
        return Err(MlError::Invalid("there are no rows to evaluate on".to_owned()));
    }
    Ok(rows)
}

/// Codes of the target's labels. A target kept in another numeric type than in training (1 and
/// 1.0) still finds its class, by value.
fn class_codes(signature: &Signature, target: &ArrayRef) -> Result<Vec<u32>, MlError> {
    let mut codes = encode::codes(&signature.target, target, &signature.classes)?;
    let classes: Vec<f64> =
        signature.classes.iter().map(|class| class.parse().unwrap_or(f64::NAN)).collect();
    if encode::is_number(target.data_type()) && classes.iter().all(|class| !class.is_nan()) {
        let values = encode::read_f64(&signature.target, target)?;
        for (code, value) in codes.iter_mut().zip(values).filter(|(code, _)| **code == NO_CODE) {
            if let Some(place) = classes.iter().position(|class| *class == value) {
                *code = place as u32;
            }
        }
    }
    Ok(codes)
}

fn binary(
    signature: &Signature,
    actual: &[u32],
    chances: &[Vec<f64>],
) -> Result<Vec<(String, f64)>, MlError> {
    let unknown = actual.iter().filter(|code| **code == NO_CODE).count();
    let [_, probability] = chances else {
        return Err(MlError::Format("a binary model must have two classes".to_owned()));
    };
    if unknown > 0 {
        return Err(MlError::Invalid(format!(
            "target '{}' has {unknown} rows that are none of the model's classes {}",
            signature.target,
            signature.classes.join(", ")
        )));
    }
    let positive: Vec<bool> = actual.iter().map(|code| *code == 1).collect();
    let predicted: Vec<bool> = probability.iter().map(|p| *p > 0.5).collect();
    let (precision, recall, f1) = precision_recall_f1(&positive, &predicted);
    let mut metrics = named(&[("log_loss", log_loss(&positive, probability))]);
    metrics.extend(auc(&positive, probability).map(|value| ("auc".to_owned(), value)));
    metrics.extend(named(&[
        ("accuracy", accuracy(&positive, &predicted)),
        ("precision", precision),
        ("recall", recall),
        ("f1", f1),
        ("brier", brier(&positive, probability)),
    ]));
    Ok(metrics)
}

fn multiclass(actual: &[u32], chances: &[Vec<f64>]) -> Vec<(String, f64)> {
    let predicted: Vec<u32> = (0..actual.len())
        .map(|row| {
            let mut best = 0;
            for class in 1..chances.len() {
                if chances[class][row] > chances[best][row] {
                    best = class;
                }
            }
            best as u32
        })
        .collect();
    let slices: Vec<&[f64]> = chances.iter().map(Vec::as_slice).collect();
    named(&[
        ("log_loss", log_loss_multiclass(actual, &slices)),
        ("accuracy", accuracy(actual, &predicted)),
        ("f1_macro", f1_macro(actual, &predicted)),
    ])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-12, "{got} is not {want}");
    }

    // Expected values from scikit-learn 1.9.
    #[test]
    fn regression_values() {
        let (y, p) = ([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]);
        close(rmse(&y, &p), 0.375f64.sqrt());
        close(mae(&y, &p), 0.5);
        close(r2(&y, &p), 0.948_608_137_044_967_9);
        close(mean_error(&y, &p), 0.25);
        close(r2(&[1.0, 1.0], &[1.0, 1.0]), 1.0);
        close(r2(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
    }

    #[test]
    fn binary_values() {
        let y = [false, false, true, true, true];
        let p = [0.1, 0.4, 0.4, 0.8, 0.0];
        close(auc(&y, &p).unwrap(), 3.5 / 6.0 - 0.0);
        assert_eq!(auc(&[true, true], &[0.1, 0.2]), None);
        close(
            log_loss(&y, &p),
            -(0.9f64.ln() + 0.6f64.ln() + 0.4f64.ln() + 0.8f64.ln() + f64::EPSILON.ln()) / 5.0,
        );
        close(brier(&y, &p), (0.01 + 0.16 + 0.36 + 0.04 + 1.0) / 5.0);
        let predicted = [true, false, false, true, false];
        let (precision, recall, f1) = precision_recall_f1(&y, &predicted);
        close(precision, 0.5);
        close(recall, 1.0 / 3.0);
        close(f1, 0.4);
        assert_eq!(precision_recall_f1(&[true], &[false]), (0.0, 0.0, 0.0));
    }

    #[test]
    fn multiclass_values() {
        close(f1_macro(&[0, 1, 2, 0, 1, 2], &[0, 2, 1, 0, 0, 1]), 0.8 / 3.0);
        let chances: [&[f64]; 3] = [&[0.7, 0.2], &[0.2, 0.3], &[0.1, 0.5]];
        close(log_loss_multiclass(&[0, 2], &chances), -(0.7f64.ln() + 0.5f64.ln()) / 2.0);
    }
}
