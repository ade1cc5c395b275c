//! Work split over threads such that results do not depend on how many there are.

use std::ops::Range;

use rayon::prelude::*;

use crate::{MlError, Stop};

/// The most parts a sum over rows is split into. A constant: the parts, and so the rounding of
/// their sum, must not depend on the machine.
const PARTS: usize = 16;

/// Multiplications between two looks at the stop flag: a tenth of a second or so.
const STEP_WORK: usize = 128 << 20;

/// Rows summed at a time are a multiple of this, so that blocked kernels stay whole.
const STEP_ROWS: usize = 256;

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
///
/// Once `stop` is set the rest of the rows is left out: whoever asked for the sums must look at
/// the flag before using them.
pub fn sum_over_rows(
    rows: usize,
    length: usize,
    stop: &Stop,
    add: impl Fn(Range<usize>, &mut [f64]) + Sync,
) -> Vec<f64> {
    let parts = PARTS.min(PARTIAL_SUMS / length.max(1)).min(rows / 512).max(1);
    let ranges: Vec<Range<usize>> =
        (0..parts).map(|part| rows * part / parts..rows * (part + 1) / parts).collect();
    let step = (STEP_WORK / length.max(1)).clamp(1, 64 * STEP_ROWS).div_ceil(STEP_ROWS) * STEP_ROWS;
    let sums: Vec<Vec<f64>> = ranges
        .into_par_iter()
        .map(|range| {
            let mut sum = vec![0.0; length];
            let mut start = range.start;
            while start < range.end && !stop.is_set() {
                let end = (start + step).min(range.end);
                add(start..end, &mut sum);
                start = end;
            }
            sum
        })
        .collect();
    let mut total = vec![0.0; length];
    for sum in sums {
        total.iter_mut().zip(sum).for_each(|(total, value)| *total += value);
    }
    total
}
