//! Objectives: link functions, gradients and intercepts, in XGBoost's single-precision steps.

use crate::MlError;

/// Smallest probability distance from 0 and 1 an intercept may have.
const EDGE: f32 = 1e-6;
/// Smallest second derivative of the logistic and softmax losses.
const MIN_HESSIAN: f32 = 1e-16;

/// From the sum of trees to the prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Identity,
    Sigmoid,
    Exp,
    /// 1 when the margin is positive.
    Step,
    Softmax,
}

/// A loss by its XGBoost name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objective {
    pub name: String,
    pub link: Link,
}

impl Objective {
    /// The objective called `name`.
    ///
    /// # Errors
    /// [`MlError::Unsupported`] for a name that is not known here.
    pub fn named(name: &str) -> Result<Self, MlError> {
        let link = match name {
            "reg:squarederror"
            | "reg:linear"
            | "reg:squaredlogerror"
            | "reg:pseudohubererror"
            | "reg:absoluteerror"
            | "reg:quantileerror"
            | "reg:expectileerror"
            | "binary:logitraw" => Link::Identity,
            n if n.starts_with("rank:") => Link::Identity,
            "reg:logistic" | "binary:logistic" => Link::Sigmoid,
            "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" => Link::Exp,
            "binary:hinge" => Link::Step,
            "multi:softmax" | "multi:softprob" => Link::Softmax,
            _ => {
                return Err(MlError::Unsupported(format!(
                    "XGBoost objective '{name}' is not supported"
                )));
            }
        };
        Ok(Objective { name: name.to_owned(), link })
    }

    /// Whether predictions are class probabilities or class numbers.
    pub fn is_classifier(&self) -> bool {
        self.name.starts_with("multi:")
            || matches!(self.name.as_str(), "binary:logistic" | "binary:hinge")
    }

    /// The margin that an intercept in prediction space stands for.
    pub fn margin_of(&self, score: f32) -> f32 {
        match self.link {
            Link::Sigmoid => {
                let p = score.clamp(EDGE, 1.0 - EDGE);
                -(1.0 / p - 1.0).ln()
            }
            Link::Exp => score.ln(),
            _ => score,
        }
    }

    /// Turns one row's margins into predictions in place.
    pub fn transform(&self, margins: &mut [f32]) {
        match self.link {
            Link::Identity => {}
            Link::Sigmoid => margins.iter_mut().for_each(|m| *m = sigmoid(*m)),
            Link::Exp => margins.iter_mut().for_each(|m| *m = m.exp()),
            Link::Step => margins.iter_mut().for_each(|m| *m = if *m > 0.0 { 1.0 } else { 0.0 }),
            Link::Softmax => softmax(margins),
        }
    }
}

/// Logistic function as XGBoost computes it, overflow guard included.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / ((-x).min(88.7).exp() + 1.0)
}

/// Softmax in place: exponentials in f32, their sum in f64, the quotient in f32.
pub fn softmax(row: &mut [f32]) {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0f64;
    for v in row.iter_mut() {
        *v = (*v - top).exp();
        sum += f64::from(*v);
    }
    let sum = sum as f32;
    row.iter_mut().for_each(|v| *v /= sum);
}

/// A loss that can be trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    SquaredError,
    /// Logistic loss on labels in [0, 1].
    Logistic,
    /// Poisson deviance with a log link.
    Poisson,
    /// Softmax cross-entropy over this many classes.
    Softmax(usize),
}

impl Loss {
    /// Trees per boosting round.
    pub fn groups(self) -> usize {
        match self {
            Loss::Softmax(k) => k,
            _ => 1,
        }
    }

    /// First and second derivative for a one-output loss.
    pub fn gradient(self, margin: f32, label: f32, weight: f32, max_delta_step: f32) -> [f32; 2] {
        match self {
            Loss::SquaredError => [(margin - label) * weight, weight],
            Loss::Logistic => {
                let p = sigmoid(margin);
                [(p - label) * weight, (p * (1.0 - p)).max(MIN_HESSIAN) * weight]
            }
            Loss::Poisson => {
                [(margin.exp() - label) * weight, (margin + max_delta_step).exp() * weight]
            }
            // Rows of a softmax need all margins: `softmax_gradient`.
            Loss::Softmax(_) => [0.0, 0.0],
        }
    }

    /// Mean loss contribution of one row, for early stopping (squared error for regression).
    pub fn row_loss(self, margins: &[f32], label: f32) -> f64 {
        let m = f64::from(margins.first().copied().unwrap_or(0.0));
        let y = f64::from(label);
        match self {
            Loss::SquaredError => (m - y) * (m - y),
            Loss::Logistic => (-m.abs()).exp().ln_1p() + m.max(0.0) - m * y,
            Loss::Poisson => m.exp() - y * m,
            Loss::Softmax(_) => {
                let top = margins.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f64 = margins.iter().map(|v| f64::from(v - top).exp()).sum();
                sum.ln() + f64::from(top) - f64::from(margins[label as usize])
            }
        }
    }

    /// The intercept XGBoost estimates from the data, in prediction space.
    pub fn intercept(self, labels: &[f32], weights: &[f32], plain: bool) -> Vec<f32> {
        let total: f64 = weights.iter().map(|&w| f64::from(w)).sum();
        match self {
            Loss::Softmax(k) => {
                let mut share = vec![0.0f64; k];
                for (y, w) in labels.iter().zip(weights) {
                    share[*y as usize] += f64::from(*w);
                }
                let logs: Vec<f32> =
                    share.iter().map(|s| ((s / total) as f32 + EDGE).ln()).collect();
                let mean = (logs.iter().map(|&l| f64::from(l)).sum::<f64>() / k as f64) as f32;
                logs.iter().map(|l| l - mean).collect()
            }
            // Reweighted classes: one Newton step from margin 0.
            Loss::Logistic if !plain => {
                let (mut g, mut h) = (0.0f64, 0.0f64);
                for (y, w) in labels.iter().zip(weights) {
                    let [dg, dh] = self.gradient(0.0, *y, *w, 0.0);
                    g += f64::from(dg);
                    h += f64::from(dh);
                }
                vec![sigmoid((-g / h) as f32)]
            }
            _ => {
                let sum: f64 =
                    labels.iter().zip(weights).map(|(&y, &w)| f64::from(y) * f64::from(w)).sum();
                vec![(sum / total) as f32]
            }
        }
    }
}

/// Derivatives of softmax cross-entropy for one class of one row.
pub fn softmax_gradient(p: f32, is_label: bool, weight: f32) -> [f32; 2] {
    let g = if is_label { p - 1.0 } else { p };
    let h = (2.0 * p * (1.0 - p) * weight).max(MIN_HESSIAN);
    [g * weight, h]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn intercepts_match_the_data() {
        let w = [1.0f32; 4];
        let y = [0.0f32, 1.0, 1.0, 1.0];
        assert_eq!(Loss::SquaredError.intercept(&y, &w, true), vec![0.75]);
        assert_eq!(Loss::Logistic.intercept(&y, &w, true), vec![0.75]);
        let s = Loss::Softmax(2).intercept(&y, &w, true);
        assert!((s[1] - s[0] - 3.0f32.ln()).abs() < 1e-4 && (s[0] + s[1]).abs() < 1e-6);
    }

    #[test]
    fn margins_invert_the_link() {
        let o = Objective::named("binary:logistic").unwrap();
        assert!((sigmoid(o.margin_of(0.3)) - 0.3).abs() < 1e-6);
        assert!(o.margin_of(0.0).is_finite() && o.margin_of(1.0).is_finite());
        assert!(Objective::named("survival:aft").is_err());
        assert_eq!(sigmoid(-1000.0), 1.0 / (88.7f32.exp() + 1.0));
    }
}
