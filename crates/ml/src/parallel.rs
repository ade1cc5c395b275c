//! Work split over threads such that results do not depend on how many there are.

use std::ops::Range;

use rayon::prelude::*;

use crate::MlError;

/// The most parts a sum over rows is split into. A constant: the parts, and so the rounding of
/// their sum, must not depend on the machine.
const PARTS: usize = 16;

/// The most numbers all partial sums together may take (512 MB).
const PARTIAL_SUMS: usize = 64 << 20;

/// Runs `work` on its own pool of `threads` threads (at least one).
pub fn with_threads<T: Send>(
    threads: usize,
    work: impl FnOnce() -> Result<T, MlError> + Send,
) -> Result<T, MlError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|error| MlError::Invalid(format!("cannot start training threads: {error}")))?
        .install(work)
}

/// Adds up vectors of `length` computed over ranges of rows: `add` adds a range's share to its
/// second argument. Shares are summed in row order.
pub fn sum_over_rows(
    rows: usize,
    length: usize,
    add: impl Fn(Range<usize>, &mut [f64]) + Sync,
) -> Vec<f64> {
    let parts = PARTS.min(PARTIAL_SUMS / length.max(1)).min(rows / 512).max(1);
    let ranges: Vec<Range<usize>> =
        (0..parts).map(|part| rows * part / parts..rows * (part + 1) / parts).collect();
    let sums: Vec<Vec<f64>> = ranges
        .into_par_iter()
        .map(|range| {
            let mut sum = vec![0.0; length];
            add(range, &mut sum);
            sum
        })
        .collect();
    let mut total = vec![0.0; length];
    for sum in sums {
        total.iter_mut().zip(sum).for_each(|(total, value)| *total += value);
    }
    total
}
