//! Quantised training data: cuts per feature, and bins packed by groups of features.
//!
//! Only one column per worker is ever held as floats; the table itself stays in Arrow and in
//! bins of one or two bytes.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef};
use rayon::prelude::*;

use super::columns::{Codes, Strings, is_number, is_text, read_numbers};
use super::sketch::quantiles;
use crate::encode::type_name;
use crate::{Feature, FeatureKind, MlError, Stop};

/// Histogram cells of a feature whose bins are bytes.
pub const BYTE_SLOTS: usize = 256;
/// Histogram cells of a feature whose bins are words packed side by side.
pub const WORD_SLOTS: usize = 512;
/// Most distinct values of a categorical feature.
const MAX_CATEGORIES: usize = 65_000;
/// Rows read at a time while binning.
const CHUNK: usize = 4096;

/// How one feature is cut.
#[derive(Debug)]
pub struct Cuts {
    /// Upper bounds: bin `b` holds `cuts[b-1] <= x < cuts[b]`. Empty for categories.
    pub values: Vec<f32>,
    /// Bins with values; the bin of that number is the missing one.
    pub n_bins: usize,
    pub categorical: bool,
    /// A threshold below every value, for splits that part missing from present.
    pub below: f32,
}

/// Where a feature's bins lie.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub group: usize,
    pub lane: usize,
}

/// Bins of one or more features, row-major: `features.len()` (1, 2, 4 or 8) per row.
#[derive(Debug)]
pub enum Group {
    Bytes {
        features: Vec<usize>,
        bins: Vec<u8>,
    },
    Words {
        features: Vec<usize>,
        bins: Vec<u16>,
    },
    /// One feature with more than [`WORD_SLOTS`] cells.
    Wide {
        feature: usize,
        bins: Vec<u16>,
        slots: usize,
    },
}

impl Group {
    /// The features in lane order.
    pub fn features(&self) -> &[usize] {
        match self {
            Group::Bytes { features, .. } | Group::Words { features, .. } => features,
            Group::Wide { feature, .. } => std::slice::from_ref(feature),
        }
    }

    /// Histogram cells.
    pub fn cells(&self) -> usize {
        match self {
            Group::Bytes { features, .. } => features.len() * BYTE_SLOTS,
            Group::Words { features, .. } => features.len() * WORD_SLOTS,
            Group::Wide { slots, .. } => *slots,
        }
    }

    /// First cell of a lane.
    pub fn offset(&self, lane: usize) -> usize {
        match self {
            Group::Bytes { .. } => lane * BYTE_SLOTS,
            Group::Words { .. } => lane * WORD_SLOTS,
            Group::Wide { .. } => 0,
        }
    }

    /// Bin of a row.
    #[inline]
    pub fn bin(&self, row: usize, lane: usize) -> usize {
        match self {
            Group::Bytes { features, bins } => bins[row * features.len() + lane].into(),
            Group::Words { features, bins } => bins[row * features.len() + lane].into(),
            Group::Wide { bins, .. } => bins[row].into(),
        }
    }
}

/// The whole training table in bins.
#[derive(Debug)]
pub struct Binned {
    pub rows: usize,
    pub cuts: Vec<Cuts>,
    pub places: Vec<Place>,
    pub groups: Vec<Group>,
    pub features: Vec<Feature>,
}

enum Column {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
}

/// Cuts and bins every column. Runs on the current rayon pool.
///
/// # Errors
/// [`MlError::Invalid`] for a column that is neither numeric nor text, holds an infinite value,
/// or has too many categories; [`MlError::Stopped`].
pub fn quantise(
    names: &[String],
    columns: &[Vec<ArrayRef>],
    weights: Option<&[f32]>,
    max_bin: usize,
    threads: usize,
    stop: &Stop,
) -> Result<Binned, MlError> {
    let rows = columns.first().map_or(0, |c| c.iter().map(|a| a.len()).sum());
    // Sorting dominates; columns are independent, so the order of work does not matter.
    let done = names
        .par_iter()
        .zip(columns)
        .map(|(name, chunks)| {
            stop.check()?;
            one_column(name, chunks, rows, weights, max_bin, stop)
        })
        .collect::<Result<Vec<_>, MlError>>()?;
    let mut cuts = Vec::new();
    let mut bins = Vec::new();
    let mut features = Vec::new();
    for (feature, cut, column) in done {
        features.push(feature);
        cuts.push(cut);
        bins.push(column);
    }
    stop.check()?;
    let (groups, places) = pack(bins, &cuts, rows, threads);
    Ok(Binned { rows, cuts, places, groups, features })
}

fn one_column(
    name: &str,
    chunks: &[ArrayRef],
    rows: usize,
    weights: Option<&[f32]>,
    max_bin: usize,
    stop: &Stop,
) -> Result<(Feature, Cuts, Column), MlError> {
    let data_type = chunks[0].data_type();
    if is_text(data_type) {
        return text_column(name, chunks, rows, stop);
    }
    if !is_number(data_type) {
        return Err(MlError::Invalid(format!(
            "feature {name} has type {}; GBT takes numbers, booleans and text",
            type_name(data_type)
        )));
    }
    let mut values = vec![0.0f32; rows];
    let mut at = 0;
    for chunk in chunks {
        read_numbers(chunk, 0, &mut values[at..at + chunk.len()])?;
        at += chunk.len();
    }
    if values.iter().any(|v| v.is_infinite()) {
        return Err(MlError::Invalid(format!(
            "feature {name} has a value too large for a single-precision number"
        )));
    }
    stop.check()?;
    let cut = numeric_cuts(&values, weights, max_bin);
    stop.check()?;
    let column = if cut.n_bins < BYTE_SLOTS
        || cut.n_bins == BYTE_SLOTS && !values.iter().any(|v| v.is_nan())
    {
        Column::Bytes(values.iter().map(|&v| bin_of(&cut, v) as u8).collect())
    } else {
        Column::Words(values.iter().map(|&v| bin_of(&cut, v) as u16).collect())
    };
    let feature = Feature { name: name.to_owned(), kind: FeatureKind::Numeric };
    Ok((feature, cut, column))
}

fn text_column(
    name: &str,
    chunks: &[ArrayRef],
    rows: usize,
    stop: &Stop,
) -> Result<(Feature, Cuts, Column), MlError> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for chunk in chunks {
        stop.check()?;
        if let Some(strings) = Strings::of(chunk) {
            let mut last = None;
            for i in 0..chunk.len() {
                let s = strings.get(i);
                // Sorted and clustered columns repeat values.
                if s != last
                    && let Some(s) = s
                    && names.insert(s)
                    && names.len() > MAX_CATEGORIES
                {
                    return Err(MlError::Invalid(format!(
                        "feature {name} has more than {MAX_CATEGORIES} distinct texts; leave it \
                         out or group its values"
                    )));
                }
                last = s;
            }
        }
    }
    let categories: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let codes = Codes::new(&categories);
    let n_bins = categories.len().max(1);
    let mut buffer = [0.0f32; CHUNK];
    let mut bins: Vec<u16> = Vec::with_capacity(rows);
    for chunk in chunks {
        let mut start = 0;
        while start < chunk.len() {
            stop.check()?;
            let part = &mut buffer[..CHUNK.min(chunk.len() - start)];
            codes.read(chunk, start, part)?;
            bins.extend(part.iter().map(|v| if v.is_nan() { n_bins as u16 } else { *v as u16 }));
            start += part.len();
        }
    }
    let cut = Cuts { values: Vec::new(), n_bins, categorical: true, below: 0.0 };
    let column = if n_bins < BYTE_SLOTS {
        Column::Bytes(bins.iter().map(|&b| b as u8).collect())
    } else {
        Column::Words(bins)
    };
    let feature = Feature { name: name.to_owned(), kind: FeatureKind::Categorical { categories } };
    Ok((feature, cut, column))
}

/// The bin of a value; the bin count itself for a missing one.
pub fn bin_of(cut: &Cuts, v: f32) -> usize {
    if v.is_nan() {
        return cut.n_bins;
    }
    cut.values.partition_point(|&c| c <= v).min(cut.n_bins - 1)
}

/// Quantile cuts of a numeric column.
fn numeric_cuts(values: &[f32], weights: Option<&[f32]>, max_bin: usize) -> Cuts {
    let Some(quantiles) = quantiles(values, weights, max_bin) else {
        // Nothing to cut: one bin that no value reaches.
        return Cuts { values: vec![1e-5], n_bins: 1, categorical: false, below: -1e-5 };
    };
    let (low, high) = (quantiles.low, quantiles.high);
    let mut cuts = quantiles.cuts;
    cuts.push(high + (high.abs() + 1e-5));
    Cuts { n_bins: cuts.len(), values: cuts, categorical: false, below: low - (low.abs() + 1e-5) }
}

/// Packs columns side by side, `take` of them per group.
fn side_by_side<T: Copy + Default + Send + Sync>(
    columns: Vec<(usize, Vec<T>)>,
    rows: usize,
    threads: usize,
) -> Vec<(Vec<usize>, Vec<T>)> {
    // Wide rows save memory traffic, but every worker should have a few groups. Sums do not
    // depend on the grouping: each cell is summed in row order.
    let wanted = columns.len().div_ceil(2 * threads.max(1)).max(1);
    let mut jobs: Vec<Vec<(usize, Vec<T>)>> = Vec::new();
    let mut rest = columns.into_iter();
    while rest.len() > 0 {
        let most = wanted.min(rest.len());
        let width = [8, 4, 2, 1].into_iter().find(|&w| w <= most).unwrap_or(1);
        jobs.push(rest.by_ref().take(width).collect());
    }
    jobs.into_par_iter()
        .map(|job| {
            let width = job.len();
            let mut bins = vec![T::default(); rows * width];
            for (lane, (_, column)) in job.iter().enumerate() {
                for (row, b) in bins.chunks_exact_mut(width).zip(column) {
                    row[lane] = *b;
                }
            }
            (job.into_iter().map(|(f, _)| f).collect(), bins)
        })
        .collect()
}

fn pack(
    columns: Vec<Column>,
    cuts: &[Cuts],
    rows: usize,
    threads: usize,
) -> (Vec<Group>, Vec<Place>) {
    let mut places = vec![Place { group: 0, lane: 0 }; columns.len()];
    let mut groups = Vec::new();
    let (mut bytes, mut words) = (Vec::new(), Vec::new());
    for (f, column) in columns.into_iter().enumerate() {
        match column {
            Column::Bytes(bins) => bytes.push((f, bins)),
            Column::Words(bins) if cuts[f].n_bins < WORD_SLOTS => words.push((f, bins)),
            Column::Words(bins) => {
                groups.push(Group::Wide { feature: f, bins, slots: cuts[f].n_bins + 1 })
            }
        }
    }
    for (features, bins) in side_by_side(words, rows, threads) {
        groups.push(Group::Words { features, bins });
    }
    for (features, bins) in side_by_side(bytes, rows, threads) {
        groups.push(Group::Bytes { features, bins });
    }
    for (group, g) in groups.iter().enumerate() {
        for (lane, f) in g.features().iter().enumerate() {
            places[*f] = Place { group, lane };
        }
    }
    (groups, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_their_values() {
        let cut = numeric_cuts(&[3.0, 1.0, f32::NAN, 2.0, 1.0], None, 256);
        assert_eq!(cut.values[..2], [2.0, 3.0]);
        assert_eq!(cut.n_bins, 3);
        let bins: Vec<usize> =
            [1.0, 2.5, 3.0, 99.0, -5.0, f32::NAN].iter().map(|&v| bin_of(&cut, v)).collect();
        assert_eq!(bins, [0, 1, 2, 2, 0, 3]);
    }

    #[test]
    fn every_feature_has_its_place() {
        let columns: Vec<Column> = (0..21)
            .map(|f| match f % 7 {
                0 => Column::Words(vec![f; 3]),
                _ => Column::Bytes(vec![f as u8; 3]),
            })
            .collect();
        let cuts: Vec<Cuts> = (0..21)
            .map(|f| Cuts {
                values: Vec::new(),
                n_bins: if f == 14 { 5000 } else { 250 },
                categorical: true,
                below: 0.0,
            })
            .collect();
        for threads in [1, 2, 16] {
            let (groups, places) = pack(
                (0..21)
                    .map(|i| match &columns[i] {
                        Column::Words(v) => Column::Words(v.clone()),
                        Column::Bytes(v) => Column::Bytes(v.clone()),
                    })
                    .collect(),
                &cuts,
                3,
                threads,
            );
            for (f, place) in places.iter().enumerate() {
                let bin = groups[place.group].bin(1, place.lane);
                assert_eq!(bin, f);
                assert_eq!(groups[place.group].features()[place.lane], f);
            }
        }
    }
}
