//! The design matrix of linear and logistic models, kept by column.
//!
//! A numeric feature is one column; a text feature is one 0/1 column per category (sorted), held
//! as codes so that a feature with thousands of categories costs four bytes a row.

use std::ops::Range;

use arrow::array::ArrayRef;
use serde::{Deserialize, Serialize};

use crate::encode::{self, NO_CODE};
use crate::{Feature, FeatureKind, MlError, Rows};

/// The most columns a design may have: its square is held in memory while fitting.
const MAX_WIDTH: usize = 6_000;

/// Rows handled at a time by the kernels, so that a block of columns stays in cache.
const BLOCK: usize = 256;

/// How one feature becomes design columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// One column; a missing value is read as `fill` (the training mean), or, when `fill` is
    /// `None`, makes the row's prediction NULL.
    Number { fill: Option<f64> },
    /// One 0/1 column per category, without the first when `drop_first`. NULL and categories not
    /// seen in training set none of them.
    OneHot { drop_first: bool },
}

/// How missing numbers are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The mean of the feature's training values takes their place, in training and scoring.
    Mean,
    /// Training refuses them; a row with one is scored NULL.
    Error,
}

/// One feature's columns in a [`Design`].
#[derive(Debug, Clone)]
enum Block {
    Number { index: usize, values: Vec<f64> },
    OneHot { start: usize, codes: Vec<u32> },
}

/// A design matrix; with `intercept` its last column is all ones.
#[derive(Debug, Clone)]
pub struct Design {
    rows: usize,
    width: usize,
    intercept: bool,
    blocks: Vec<Block>,
    /// Original value = stored value * scale + shift, per design column.
    shift: Vec<f64>,
    scale: Vec<f64>,
}

/// The number of design columns a feature takes.
fn columns_of(feature: &Feature, encoding: &Encoding) -> usize {
    match (&feature.kind, encoding) {
        (FeatureKind::Categorical { categories }, Encoding::OneHot { drop_first }) => {
            categories.len().saturating_sub(usize::from(*drop_first))
        }
        _ => 1,
    }
}

/// Names of the design columns: `feature`, or `feature=category`.
pub fn column_names(features: &[Feature], encodings: &[Encoding]) -> Vec<String> {
    let mut names = Vec::new();
    for (feature, encoding) in features.iter().zip(encodings) {
        match (&feature.kind, encoding) {
            (FeatureKind::Categorical { categories }, Encoding::OneHot { drop_first }) => names
                .extend(
                    categories
                        .iter()
                        .skip(usize::from(*drop_first))
                        .map(|category| format!("{}={category}", feature.name)),
                ),
            _ => names.push(feature.name.clone()),
        }
    }
    names
}

/// Sums values given per design column to one value per feature.
pub fn sum_by_feature(features: &[Feature], encodings: &[Encoding], values: &[f64]) -> Vec<f64> {
    let mut rest = values;
    features
        .iter()
        .zip(encodings)
        .map(|(feature, encoding)| {
            let (own, after) = rest.split_at(columns_of(feature, encoding).min(rest.len()));
            rest = after;
            own.iter().sum()
        })
        .collect()
}

/// Shares that sum to 1, or all 0 when nothing is above 0.
pub fn shares(values: Vec<f64>) -> Vec<f64> {
    let total: f64 = values.iter().sum();
    if total > 0.0 && total.is_finite() {
        values.into_iter().map(|value| value / total).collect()
    } else {
        vec![0.0; values.len()]
    }
}

impl Design {
    /// Reads the training rows. Numeric columns are centred (with an intercept) and scaled to
    /// unit deviation, which keeps the arithmetic well conditioned; [`Design::to_original`]
    /// undoes it, so that coefficients are always in the units of the data.
    pub fn fit(
        rows: Rows<'_>,
        features: &[Feature],
        drop_first: bool,
        missing: Missing,
        intercept: bool,
    ) -> Result<(Self, Vec<Encoding>), MlError> {
        let count = rows.batches.iter().map(|batch| batch.num_rows()).sum();
        if count == 0 {
            return Err(MlError::Invalid("there are no rows to train on".to_owned()));
        }
        let mut design = Self {
            rows: count,
            width: 0,
            intercept,
            blocks: Vec::with_capacity(features.len()),
            shift: Vec::new(),
            scale: Vec::new(),
        };
        let mut encodings = Vec::with_capacity(features.len());
        for feature in features {
            let encoding = match &feature.kind {
                FeatureKind::Numeric => {
                    let mut values = Vec::with_capacity(count);
                    for column in encode::gather(rows, &feature.name)? {
                        values.extend(encode::read_f64(&feature.name, &column)?);
                    }
                    let fill = design.push_number(&feature.name, values, missing)?;
                    Encoding::Number { fill }
                }
                FeatureKind::Categorical { categories } => {
                    let mut codes = Vec::with_capacity(count);
                    for column in encode::gather(rows, &feature.name)? {
                        codes.extend(encode::codes(&feature.name, &column, categories)?);
                    }
                    let absent = codes.iter().filter(|code| **code == NO_CODE).count();
                    if missing == Missing::Error && absent > 0 {
                        return Err(refused(&feature.name, absent));
                    }
                    let encoding = Encoding::OneHot { drop_first };
                    design.push_codes(codes, columns_of(feature, &encoding), drop_first);
                    encoding
                }
            };
            encodings.push(encoding);
            if design.width > MAX_WIDTH {
                return Err(MlError::Unsupported(format!(
                    "the features need more than {MAX_WIDTH} columns once text is one-hot encoded \
                     (reached at '{}'); leave out or group text with many distinct values",
                    feature.name
                )));
            }
        }
        Ok((design, encodings))
    }

    /// Reads columns to be scored, unscaled; also tells which rows have no score.
    pub fn for_scoring(
        features: &[Feature],
        encodings: &[Encoding],
        columns: &[ArrayRef],
    ) -> Result<(Self, Vec<bool>), MlError> {
        let rows = encode::check_columns(features, columns)?;
        let mut design = Self {
            rows,
            width: 0,
            intercept: false,
            blocks: Vec::with_capacity(features.len()),
            shift: Vec::new(),
            scale: Vec::new(),
        };
        let mut unscored = vec![false; rows];
        for ((feature, encoding), column) in features.iter().zip(encodings).zip(columns) {
            match (&feature.kind, encoding) {
                (FeatureKind::Categorical { categories }, Encoding::OneHot { drop_first }) => {
                    let codes = encode::codes(&feature.name, column, categories)?;
                    design.push_codes(codes, columns_of(feature, encoding), *drop_first);
                }
                (FeatureKind::Numeric, Encoding::Number { fill }) => {
                    let mut values = encode::read_f64(&feature.name, column)?;
                    for (value, unscored) in values.iter_mut().zip(&mut unscored) {
                        if value.is_nan() {
                            *unscored |= fill.is_none();
                            *value = fill.unwrap_or(0.0);
                        }
                    }
                    design.push_plain(values);
                }
                _ => {
                    return Err(MlError::Format(format!(
                        "the model file's encoding of '{}' does not fit its kind",
                        feature.name
                    )));
                }
            }
        }
        Ok((design, unscored))
    }

    fn push_plain(&mut self, values: Vec<f64>) {
        self.blocks.push(Block::Number { index: self.width, values });
        self.width += 1;
        self.shift.push(0.0);
        self.scale.push(1.0);
    }

    fn push_number(
        &mut self,
        name: &str,
        mut values: Vec<f64>,
        missing: Missing,
    ) -> Result<Option<f64>, MlError> {
        if values.iter().any(|value| value.is_infinite()) {
            return Err(MlError::Invalid(format!("feature '{name}' has infinite values")));
        }
        let absent = values.iter().filter(|value| value.is_nan()).count();
        let fill = match missing {
            Missing::Error if absent > 0 => return Err(refused(name, absent)),
            Missing::Error => None,
            Missing::Mean if absent == values.len() => {
                return Err(MlError::Invalid(format!("feature '{name}' has no values")));
            }
            Missing::Mean => Some(mean(values.iter().copied().filter(|value| !value.is_nan()))),
        };
        if absent > 0 {
            let fill = fill.unwrap_or(0.0);
            for value in values.iter_mut().filter(|value| value.is_nan()) {
                *value = fill;
            }
        }
        let (least, most) = range(&values);
        let centre = mean(values.iter().copied());
        let shift = if self.intercept { centre } else { 0.0 };
        let spread = mean(values.iter().map(|value| (value - shift) * (value - shift))).sqrt();
        // A constant column must become exactly zero: rounding in its mean is not information.
        let constant = self.intercept && least == most;
        let scale = if constant || spread == 0.0 || !spread.is_finite() { 1.0 } else { spread };
        for value in &mut values {
            *value = if constant { 0.0 } else { (*value - shift) / scale };
        }
        self.blocks.push(Block::Number { index: self.width, values });
        self.width += 1;
        self.shift.push(shift);
        self.scale.push(scale);
        Ok(fill)
    }

    fn push_codes(&mut self, mut codes: Vec<u32>, columns: usize, drop_first: bool) {
        if drop_first {
            for code in &mut codes {
                *code = match *code {
                    NO_CODE | 0 => NO_CODE,
                    code => code - 1,
                };
            }
        }
        self.blocks.push(Block::OneHot { start: self.width, codes });
        self.width += columns;
        self.shift.extend(std::iter::repeat_n(0.0, columns));
        self.scale.extend(std::iter::repeat_n(1.0, columns));
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns without the intercept.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of columns with the intercept, if there is one.
    pub fn full_width(&self) -> usize {
        self.width + usize::from(self.intercept)
    }

    /// Units of the data in one unit of each stored column.
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }

    /// What was taken from each column before scaling, in the units of the data.
    pub fn shift(&self) -> &[f64] {
        &self.shift
    }

    /// `out += Σ weight x²` of every column, the last place for the intercept if there is one.
    pub fn add_squares(&self, range: Range<usize>, weights: &[f64], out: &mut [f64]) {
        for block in &self.blocks {
            match block {
                Block::Number { index, values } => {
                    let parts = values[range.clone()].iter().zip(weights);
                    out[*index] += parts.map(|(value, weight)| weight * value * value).sum::<f64>();
                }
                Block::OneHot { start, codes } => {
                    for (code, weight) in codes[range.clone()].iter().zip(weights) {
                        if *code != NO_CODE {
                            out[start + *code as usize] += weight;
                        }
                    }
                }
            }
        }
        if self.intercept {
            out[self.width] += weights.iter().sum::<f64>();
        }
    }

    /// Turns weights of the stored columns into weights in the units of the data, and moves what
    /// centring took away into the intercept.
    pub fn to_original(&self, weights: &mut [f64], intercept: &mut f64) {
        for ((weight, scale), shift) in weights.iter_mut().zip(&self.scale).zip(&self.shift) {
            *weight /= scale;
            *intercept -= *weight * shift;
        }
    }

    /// `out = X[range] * weights` (+ the last weight where the design has an intercept).
    pub fn multiply(&self, range: Range<usize>, weights: &[f64], out: &mut [f64]) {
        let constant =
            if self.intercept { weights.get(self.width).copied().unwrap_or(0.0) } else { 0.0 };
        out.fill(constant);
        for block in &self.blocks {
            match block {
                Block::Number { index, values } => {
                    let weight = weights[*index];
                    for (out, value) in out.iter_mut().zip(&values[range.clone()]) {
                        *out += weight * value;
                    }
                }
                Block::OneHot { start, codes } => {
                    for (out, code) in out.iter_mut().zip(&codes[range.clone()]) {
                        if *code != NO_CODE {
                            *out += weights[start + *code as usize];
                        }
                    }
                }
            }
        }
    }

    /// `out += Xᵀ[range] * residuals`, the last place for the intercept if there is one.
    pub fn add_transposed(&self, range: Range<usize>, residuals: &[f64], out: &mut [f64]) {
        for block in &self.blocks {
            match block {
                Block::Number { index, values } => {
                    out[*index] += dot(&values[range.clone()], residuals);
                }
                Block::OneHot { start, codes } => {
                    for (code, residual) in codes[range.clone()].iter().zip(residuals) {
                        if *code != NO_CODE {
                            out[start + *code as usize] += residual;
                        }
                    }
                }
            }
        }
        if self.intercept {
            out[self.width] += residuals.iter().sum::<f64>();
        }
    }

    /// Adds `Xᵀ[range] diag(weights) X[range]` to the lower triangle of `out`, a row-major square
    /// matrix of [`Design::full_width`].
    pub fn add_gram(&self, range: Range<usize>, weights: Option<&[f64]>, out: &mut [f64]) {
        let size = self.full_width();
        let ones = [1.0; BLOCK];
        let mut weighted: Vec<Vec<f64>> = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let end = (start + BLOCK).min(range.end);
            let part = match weights {
                Some(weights) => &weights[start - range.start..end - range.start],
                None => &ones[..end - start],
            };
            let mut numbers: Vec<(usize, &[f64])> = Vec::new();
            let mut codes: Vec<(usize, &[u32])> = Vec::new();
            for block in &self.blocks {
                match block {
                    Block::Number { index, values } => numbers.push((*index, &values[start..end])),
                    Block::OneHot { start: first, codes: own } => {
                        codes.push((*first, &own[start..end]));
                    }
                }
            }
            if self.intercept {
                numbers.push((self.width, &ones[..end - start]));
            }
            weighted.resize_with(numbers.len(), Vec::new);
            for (weighted, (_, values)) in weighted.iter_mut().zip(&numbers) {
                weighted.clear();
                weighted.extend(values.iter().zip(part).map(|(value, weight)| value * weight));
            }
            for (place, (row, _)) in numbers.iter().enumerate() {
                for (column, values) in &numbers[..=place] {
                    out[row * size + column] += dot(&weighted[place], values);
                }
            }
            for (place, (first, own)) in codes.iter().enumerate() {
                for (at, code) in own.iter().enumerate() {
                    if *code == NO_CODE {
                        continue;
                    }
                    let row = first + *code as usize;
                    out[row * size + row] += part[at];
                    for (weighted, (column, _)) in weighted.iter().zip(&numbers) {
                        out[row.max(*column) * size + row.min(*column)] += weighted[at];
                    }
                    // Blocks come in rising order of columns, so `other` is left of `row`.
                    for (other_first, other) in &codes[..place] {
                        if other[at] != NO_CODE {
                            out[row * size + other_first + other[at] as usize] += part[at];
                        }
                    }
                }
            }
            start = end;
        }
    }
}

fn refused(name: &str, absent: usize) -> MlError {
    MlError::Invalid(format!(
        "feature '{name}' is missing in {absent} rows and the option missing is 'error'; use \
         missing => 'mean' or leave the rows out"
    ))
}

fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
        (least.min(*value), most.max(*value))
    })
}

/// Mean by compensated summation (Neumaier), so that it does not lose digits on long columns.
pub fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost, mut count) = (0.0f64, 0.0f64, 0u64);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
        count += 1;
    }
    (sum + lost) / count as f64
}

/// Inner product with eight partial sums: quick, and independent of anything but its input.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0f64; 8];
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let (a_parts, b_parts) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = a_parts.remainder().iter().zip(b_parts.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_parts.zip(b_parts) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
    ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7)) + tail
}
