//! What a column looked like in training: a small sketch kept with each model version.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef};
use serde::{Deserialize, Serialize};

use crate::design::mean;
use crate::encode;
use crate::{FeatureKind, MlError};

/// The most categories a sketch counts on their own: the most frequent ones, equal ones by text.
pub const MAX_CATEGORIES: usize = 1_000;

/// Statistics of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureStatistics {
    pub name: String,
    /// Rows, NULLs included.
    pub count: u64,
    /// Rows that are NULL (or NaN).
    pub nulls: u64,
    pub values: ValueStatistics,
}

/// Statistics of the values that are not NULL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ValueStatistics {
    /// `None` where there are no (finite) values, or for `std` fewer than two.
    Numeric {
        mean: Option<f64>,
        /// Of a sample: divided by one less than the number of values.
        std: Option<f64>,
        min: Option<f64>,
        max: Option<f64>,
        /// Rising upper bounds of the bins but the last, see [`bin_edges`].
        edges: Vec<f64>,
        /// Values per bin; one more than `edges`.
        counts: Vec<u64>,
    },
    Categorical {
        /// Number of distinct values.
        distinct: u64,
        /// The counted categories, sorted by text, with their rows.
        categories: Vec<(String, u64)>,
        /// Rows of the categories beyond [`MAX_CATEGORIES`].
        other: u64,
    },
}

impl FeatureStatistics {
    /// Reads a column. `kind` says whether as numbers or as text; its categories don't matter.
    pub fn of(name: &str, column: &ArrayRef, kind: &FeatureKind) -> Result<Self, MlError> {
        match kind {
            FeatureKind::Numeric => {
                let values = sorted_numbers(name, column)?;
                Ok(Self {
                    name: name.to_owned(),
                    count: column.len() as u64,
                    nulls: (column.len() - values.len()) as u64,
                    values: of_numbers(&values),
                })
            }
            FeatureKind::Categorical { .. } => {
                let text = encode::read_text(name, column)?;
                let mut counts: HashMap<&str, u64> = HashMap::new();
                for value in text.iter().flatten() {
                    *counts.entry(value).or_default() += 1;
                }
                let distinct = counts.len() as u64;
                let mut ranked: Vec<(&str, u64)> = counts.into_iter().collect();
                ranked.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
                let rest = ranked.split_off(ranked.len().min(MAX_CATEGORIES));
                ranked.sort_unstable();
                Ok(Self {
                    name: name.to_owned(),
                    count: column.len() as u64,
                    nulls: text.null_count() as u64,
                    values: ValueStatistics::Categorical {
                        distinct,
                        categories: ranked.into_iter().map(|(k, n)| (k.to_owned(), n)).collect(),
                        other: rest.iter().map(|(_, rows)| rows).sum(),
                    },
                })
            }
        }
    }

    /// Share of rows that are NULL; `None` without rows.
    pub fn null_share(&self) -> Option<f64> {
        (self.count > 0).then(|| self.nulls as f64 / self.count as f64)
    }
}

/// The values of a numeric column that are not missing, rising.
pub fn sorted_numbers(name: &str, column: &ArrayRef) -> Result<Vec<f64>, MlError> {
    let mut values = encode::read_f64(name, column)?;
    values.retain(|value| !value.is_nan());
    values.sort_unstable_by(f64::total_cmp);
    Ok(values)
}

fn of_numbers(sorted: &[f64]) -> ValueStatistics {
    let finite = |value: f64| value.is_finite().then_some(value);
    let centre = mean(sorted.iter().copied());
    let squares = mean(sorted.iter().map(|value| (value - centre) * (value - centre)));
    let count = sorted.len() as f64;
    let edges = bin_edges(sorted);
    ValueStatistics::Numeric {
        mean: finite(centre),
        std: finite((squares * count / (count - 1.0)).sqrt()),
        min: sorted.first().copied().and_then(finite),
        max: sorted.last().copied().and_then(finite),
        counts: bin_counts(sorted, &edges),
        edges,
    }
}

/// The quantile of rising values at `share`, interpolated linearly between the two nearest.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let (low, high, part) = (sorted[below], sorted[above], place - place.floor());
    if low == high {
        low
    } else if part >= 0.5 {
        high - (high - low) * (1.0 - part)
    } else {
        low + (high - low) * part
    }
}

/// Bounds of the bins drift is measured in: the nine deciles. A bin holds what is above the bound
/// before it and at most its own; the first and last are open.
///
/// A value so frequent that deciles fall together gets a bin of its own: the largest number below
/// it becomes a bound, too. So a constant column has three bins: below, equal, above. Bounds that
/// are not finite are left out; without values there are none, and one bin.
pub fn bin_edges(sorted: &[f64]) -> Vec<f64> {
    if sorted.is_empty() {
        return Vec::new();
    }
    let deciles: Vec<f64> =
        (1..10).map(|decile| quantile(sorted, f64::from(decile) / 10.0)).collect();
    let mut edges = Vec::new();
    for pair in deciles.windows(2) {
        if pair[0] == pair[1] {
            edges.push(pair[0].next_down());
        }
    }
    edges.extend(deciles);
    edges.retain(|edge| edge.is_finite());
    // Adding 0 turns -0 into 0, so that equal bounds are equal bits.
    edges.iter_mut().for_each(|edge| *edge += 0.0);
    edges.sort_unstable_by(f64::total_cmp);
    edges.dedup();
    edges
}

/// Values per bin.
pub fn bin_counts(sorted: &[f64], edges: &[f64]) -> Vec<u64> {
    let mut before = 0;
    let mut counts: Vec<u64> = edges
        .iter()
        .map(|edge| {
            let upto = sorted.partition_point(|value| value <= edge);
            let own = upto - before;
            before = upto;
            own as u64
        })
        .collect();
    counts.push((sorted.len() - before) as u64);
    counts
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray};

    use super::*;

    #[test]
    fn numbers() {
        let column: ArrayRef = Arc::new(Float64Array::from_iter(
            (0..=100).map(|i| Some(f64::from(i))).chain([None, Some(f64::NAN)]),
        ));
        let statistics = FeatureStatistics::of("x", &column, &FeatureKind::Numeric).unwrap();
        assert_eq!((statistics.count, statistics.nulls), (103, 2));
        let ValueStatistics::Numeric { mean, std, min, max, edges, counts } = &statistics.values
        else {
            panic!("numeric expected");
        };
        assert_eq!((*mean, *min, *max), (Some(50.0), Some(0.0), Some(100.0)));
        // Sum of squares 85 850 over 100 degrees of freedom.
        assert!((std.unwrap() - 858.5f64.sqrt()).abs() < 1e-12);
        assert_eq!(edges, &[10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]);
        assert_eq!(counts, &[11, 10, 10, 10, 10, 10, 10, 10, 10, 10]);
        let json = serde_json::to_string(&statistics).unwrap();
        assert_eq!(serde_json::from_str::<FeatureStatistics>(&json).unwrap(), statistics);
    }

    #[test]
    fn frequent_values_have_their_own_bin() {
        assert_eq!(bin_edges(&[5.0; 4]), [5.0f64.next_down(), 5.0]);
        assert_eq!(bin_counts(&[4.0, 5.0, 5.0, 6.0], &bin_edges(&[5.0; 4])), [1, 2, 1]);
        assert_eq!(bin_edges(&[-0.0, 0.0]), [0.0f64.next_down(), 0.0]);
        assert!(bin_edges(&[]).is_empty());
        assert_eq!(bin_counts(&[1.0, 2.0], &[]), [2]);
    }

    #[test]
    fn categories() {
        let many: Vec<String> =
            (0..1500).map(|i| format!("c{i:04}")).chain(vec!["b".to_owned(); 3]).collect();
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(many));
        let kind = FeatureKind::Categorical { categories: Vec::new() };
        let statistics = FeatureStatistics::of("g", &column, &kind).unwrap();
        let ValueStatistics::Categorical { distinct, categories, other } = statistics.values else {
            panic!("categorical expected");
        };
        assert_eq!((distinct, categories.len(), other), (1501, MAX_CATEGORIES, 501));
        assert_eq!(categories[0], ("b".to_owned(), 3));
        assert_eq!(categories[1].0, "c0000");
    }
}
