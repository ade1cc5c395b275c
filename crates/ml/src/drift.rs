//! How far a column has moved from what it was in training.
//!
//! **Population stability index**: `Σ (p - q) ln(p / q)` over bins, `p` and `q` the shares of
//! current and baseline rows. Bins of a numeric column are the baseline's deciles
//! ([`crate::statistics::bin_edges`]), of a text column its categories (the 1000 most frequent)
//! and one for all other values; NULL is a bin of its own. A share below 0.0001 is raised to it,
//! unless the bin is empty on both sides.
//!
//! **Kolmogorov–Smirnov**: the largest difference of the two empirical distributions, and its
//! two-sided p-value: exact up to 10 000 values a side, beyond that by the one-sample distribution
//! at `round(mn / (m + n))` values, as SciPy's `ks_2samp` chooses. NULLs are left out.

use std::collections::HashMap;

use arrow::array::ArrayRef;
use serde::{Deserialize, Serialize};

use crate::encode;
use crate::kolmogorov;
use crate::statistics::{FeatureStatistics, ValueStatistics, bin_counts, sorted_numbers};
use crate::{FeatureKind, MlError};

/// The least share a bin with rows on either side is given.
pub const LEAST_SHARE: f64 = 1e-4;

/// Up to this many values on both sides the p-value is exact.
const EXACT_LIMIT: usize = 10_000;

/// One figure of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftMetric {
    pub feature: String,
    /// `psi`, `ks_statistic`, `ks_p_value` (numeric), `unseen_share` (text),
    /// `null_share_baseline`, `null_share_current`, `mean_baseline`, `mean_current` (numeric).
    pub metric: String,
    /// `None` where the figure is not defined: a side has no values but NULL.
    pub value: Option<f64>,
    /// Rows of the current data, NULLs included.
    pub rows: u64,
}

/// Statistic and two-sided p-value of the two-sample Kolmogorov–Smirnov test over rising values;
/// `None` if a side is empty.
pub fn kolmogorov_smirnov(baseline: &[f64], current: &[f64]) -> Option<(f64, f64)> {
    if baseline.is_empty() || current.is_empty() {
        return None;
    }
    let (m, n) = (baseline.len(), current.len());
    let (mut i, mut j) = (0, 0);
    let mut statistic = 0.0f64;
    while i < m && j < n {
        // The distributions are compared after each distinct value, so ties move both.
        let value = if baseline[i] <= current[j] { baseline[i] } else { current[j] };
        i += baseline[i..].iter().take_while(|own| **own <= value).count();
        j += current[j..].iter().take_while(|own| **own <= value).count();
        statistic = statistic.max((i as f64 / m as f64 - j as f64 / n as f64).abs());
    }
    if m.max(n) <= EXACT_LIMIT {
        return Some(kolmogorov::two_sample_exact(m, n, statistic));
    }
    let (m, n) = (m.max(n) as f64, m.min(n) as f64);
    let effective = (m * n / (m + n)).round_ties_even();
    Some((statistic, kolmogorov::two_sided_survival(effective, statistic)))
}

/// Population stability index of rows per bin.
///
/// Errors if a side has no rows.
pub fn population_stability(baseline: &[u64], current: &[u64]) -> Result<f64, MlError> {
    let (before, after): (u64, u64) = (baseline.iter().sum(), current.iter().sum());
    if before == 0 || after == 0 {
        return Err(MlError::Invalid(format!(
            "drift needs rows on both sides; the {} has none",
            if before == 0 { "baseline" } else { "current data" }
        )));
    }
    let bins = baseline.iter().zip(current).filter(|(b, c)| **b > 0 || **c > 0);
    Ok(bins
        .map(|(b, c)| {
            let q = (*b as f64 / before as f64).max(LEAST_SHARE);
            let p = (*c as f64 / after as f64).max(LEAST_SHARE);
            (p - q) * (p / q).ln()
        })
        .sum())
}

/// Compares two columns of values, also of predictions. `kind` says whether as numbers or as text;
/// its categories don't matter.
///
/// Errors: a side without rows, a type that cannot be read as `kind` says.
pub fn compare(
    name: &str,
    baseline: &ArrayRef,
    current: &ArrayRef,
    kind: &FeatureKind,
) -> Result<Vec<DriftMetric>, MlError> {
    let statistics = FeatureStatistics::of(name, baseline, kind)?;
    let mut metrics = compare_with_statistics(&statistics, current)?;
    if matches!(kind, FeatureKind::Numeric) {
        let test =
            kolmogorov_smirnov(&sorted_numbers(name, baseline)?, &sorted_numbers(name, current)?);
        for metric in &mut metrics {
            match metric.metric.as_str() {
                "ks_statistic" => metric.value = test.map(|test| test.0),
                "ks_p_value" => metric.value = test.map(|test| test.1),
                _ => {}
            }
        }
    }
    Ok(metrics)
}

/// Compares a column with a stored sketch, for when the training rows are gone. The same figures
/// as [`compare`], but without the training values the Kolmogorov–Smirnov ones are `None`.
pub fn compare_with_statistics(
    baseline: &FeatureStatistics,
    current: &ArrayRef,
) -> Result<Vec<DriftMetric>, MlError> {
    let name = &baseline.name;
    let mut metrics: Vec<(&str, Option<f64>)> = Vec::new();
    let now;
    let present;
    match &baseline.values {
        ValueStatistics::Numeric { edges, counts, mean, .. } => {
            let values = sorted_numbers(name, current)?;
            now = bin_counts(&values, edges);
            present = values.len();
            metrics.push(("psi", Some(index(baseline, counts, current, &now, present)?)));
            metrics.push(("ks_statistic", None));
            metrics.push(("ks_p_value", None));
            metrics.push(("mean_baseline", *mean));
            let average = crate::design::mean(values.iter().copied());
            metrics.push(("mean_current", average.is_finite().then_some(average)));
        }
        ValueStatistics::Categorical { categories, other, distinct } => {
            let text = encode::read_text(name, current)?;
            let places: HashMap<&str, usize> = categories
                .iter()
                .enumerate()
                .map(|(place, (category, _))| (category.as_str(), place))
                .collect();
            let mut counts = vec![0u64; categories.len() + 1];
            for value in text.iter().flatten() {
                counts[places.get(value).copied().unwrap_or(categories.len())] += 1;
            }
            let mut before: Vec<u64> = categories.iter().map(|(_, rows)| *rows).collect();
            before.push(*other);
            now = counts;
            present = now.iter().sum::<u64>() as usize;
            metrics.push(("psi", Some(index(baseline, &before, current, &now, present)?)));
            // Beyond the counted categories, rare ones cannot be told from unseen ones.
            let known = *distinct as usize == categories.len() && present > 0;
            let unseen = now[categories.len()] as f64 / present as f64;
            metrics.push(("unseen_share", known.then_some(unseen)));
        }
    }
    metrics.push(("null_share_baseline", baseline.null_share()));
    let missing = current.len() - present;
    metrics.push(("null_share_current", Some(missing as f64 / current.len() as f64)));
    Ok(metrics
        .into_iter()
        .map(|(metric, value)| DriftMetric {
            feature: name.clone(),
            metric: metric.to_owned(),
            value,
            rows: current.len() as u64,
        })
        .collect())
}

/// The index over the value bins and the NULL bin.
fn index(
    baseline: &FeatureStatistics,
    before: &[u64],
    current: &ArrayRef,
    now: &[u64],
    present: usize,
) -> Result<f64, MlError> {
    let missing = (current.len() - present) as u64;
    let before: Vec<u64> = before.iter().copied().chain([baseline.nulls]).collect();
    let now: Vec<u64> = now.iter().copied().chain([missing]).collect();
    population_stability(&before, &now).map_err(|error| match error {
        MlError::Invalid(text) => MlError::Invalid(format!("column '{}': {text}", baseline.name)),
        other => other,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray};

    use super::*;

    fn numbers(values: Vec<Option<f64>>) -> ArrayRef {
        Arc::new(Float64Array::from(values))
    }

    fn value(metrics: &[DriftMetric], name: &str) -> Option<f64> {
        metrics.iter().find(|metric| metric.metric == name).unwrap().value
    }

    #[test]
    fn ties_move_both_distributions() {
        let (d, p) = kolmogorov_smirnov(&[1.0, 1.0, 2.0], &[1.0, 1.0, 2.0]).unwrap();
        assert_eq!((d, p), (0.0, 1.0));
        // After 1: 2/3 against 1/3.
        let (d, p) = kolmogorov_smirnov(&[1.0, 1.0, 2.0], &[1.0, 2.0, 2.0]).unwrap();
        assert!((d - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(p, 1.0);
        assert_eq!(kolmogorov_smirnov(&[], &[1.0]), None);
    }

    #[test]
    fn constant_column_that_moves() {
        let before = numbers(vec![Some(7.0); 50]);
        let same = compare("k", &before, &before, &FeatureKind::Numeric).unwrap();
        assert_eq!(value(&same, "psi"), Some(0.0));
        assert_eq!(value(&same, "ks_p_value"), Some(1.0));
        let after = numbers(vec![Some(6.0); 50]);
        let moved = compare("k", &before, &after, &FeatureKind::Numeric).unwrap();
        let want = 2.0 * (1.0 - LEAST_SHARE) * (1.0 / LEAST_SHARE).ln();
        assert!((value(&moved, "psi").unwrap() - want).abs() < 1e-12);
        assert_eq!(value(&moved, "ks_statistic"), Some(1.0));
    }

    #[test]
    fn nulls_are_counted_apart() {
        let before = numbers(vec![Some(1.0), Some(2.0), None, None]);
        let after = numbers(vec![None, None, None, None]);
        let metrics = compare("x", &before, &after, &FeatureKind::Numeric).unwrap();
        assert_eq!(value(&metrics, "null_share_baseline"), Some(0.5));
        assert_eq!(value(&metrics, "null_share_current"), Some(1.0));
        assert_eq!(value(&metrics, "ks_statistic"), None);
        assert!(value(&metrics, "psi").unwrap() > 0.0);
        let error = compare("x", &before, &numbers(vec![]), &FeatureKind::Numeric).unwrap_err();
        assert!(error.to_string().contains("current data has none"), "{error}");
    }

    #[test]
    fn unseen_categories_have_a_bin() {
        let before: ArrayRef = Arc::new(StringArray::from(vec!["a", "a", "b", "b"]));
        let after: ArrayRef = Arc::new(StringArray::from(vec!["a", "a", "b", "z"]));
        let kind = FeatureKind::Categorical { categories: Vec::new() };
        let metrics = compare("g", &before, &after, &kind).unwrap();
        assert_eq!(value(&metrics, "unseen_share"), Some(0.25));
        let want = (0.25f64 - 0.5) * 0.5f64.ln() + (0.25 - LEAST_SHARE) * (0.25 / LEAST_SHARE).ln();
        assert!((value(&metrics, "psi").unwrap() - want).abs() < 1e-12);
    }
}
