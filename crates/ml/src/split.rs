//! Training rows in an order of their own, and the rows held out from training.
//!
//! A query may return the same rows in another order each time it runs. Training must not depend
//! on that: rows are first brought into [`canonical_order`], and only then split by place.

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::row::{RowConverter, SortField};

use crate::{MlError, Stop};

/// Rows per batch of [`canonical_order`]'s result.
const BATCH_ROWS: usize = 65_536;

/// Brings rows into an order that depends on nothing but their contents: by a 128-bit hash of all
/// column values. Rows with the same values are interchangeable; two different rows sharing a hash
/// are out of reach (one chance in 10^26 for a million rows).
///
/// The order mixes similar rows, which suits training. Beside the input and the result it holds
/// 32 bytes a row. Batches must share one schema.
///
/// # Errors
/// [`MlError::Stopped`]; columns of a type that has no order.
pub fn canonical_order(batches: &[RecordBatch], stop: &Stop) -> Result<Vec<RecordBatch>, MlError> {
    let Some(first) = batches.first() else {
        return Ok(Vec::new());
    };
    let schema = first.schema();
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut keys: Vec<(u128, u32, u32)> = Vec::with_capacity(rows);
    if schema.fields().is_empty() {
        return Ok(batches.to_vec());
    }
    each_hash(batches, stop, |hash, place, row| {
        keys.push((hash, number(place)?, number(row)?));
        Ok(())
    })?;
    stop.check()?;
    // Parts by the hash's first byte are sorted alone, to look at the flag between them.
    keys.sort_unstable_by_key(|(hash, _, _)| (hash >> 120) as u8);
    for part in keys.chunk_by_mut(|a, b| a.0 >> 120 == b.0 >> 120) {
        stop.check()?;
        part.sort_unstable();
    }
    let inputs: Vec<&RecordBatch> = batches.iter().collect();
    keys.chunks(BATCH_ROWS)
        .map(|keys| {
            stop.check()?;
            let places: Vec<(usize, usize)> =
                keys.iter().map(|(_, batch, row)| (*batch as usize, *row as usize)).collect();
            Ok(interleave_record_batch(&inputs, &places)?)
        })
        .collect()
}

/// A digest of rows in any order: that of other rows, or of columns of other names or types, differs.
///
/// # Errors
/// As of [`canonical_order`].
pub fn digest(batches: &[RecordBatch], stop: &Stop) -> Result<String, MlError> {
    let (mut sum, mut count) = (0_u128, 0_u128);
    if let Some(first) = batches.first() {
        for field in first.schema().fields() {
            let column = format!("{} {}", field.name(), field.data_type());
            sum = sum.rotate_left(1).wrapping_add(hash(column.as_bytes()));
        }
    }
    each_hash(batches, stop, |hash, _, _| {
        sum = sum.wrapping_add(hash);
        count += 1;
        Ok(())
    })?;
    Ok(format!("{count}:{sum:032x}"))
}

/// Calls `take` with the hash of every row, the place of its batch, and its own in the batch.
fn each_hash(
    batches: &[RecordBatch],
    stop: &Stop,
    mut take: impl FnMut(u128, usize, usize) -> Result<(), MlError>,
) -> Result<(), MlError> {
    let Some(first) = batches.first() else { return Ok(()) };
    let schema = first.schema();
    let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    for (place, batch) in batches.iter().enumerate() {
        let mut start = 0;
        while start < batch.num_rows() {
            stop.check()?;
            let length = BATCH_ROWS.min(batch.num_rows() - start);
            let encoded = converter.convert_columns(batch.slice(start, length).columns())?;
            for (row, bytes) in encoded.iter().enumerate() {
                take(hash(bytes.as_ref()), place, start + row)?;
            }
            start += length;
        }
    }
    Ok(())
}

fn number(value: usize) -> Result<u32, MlError> {
    u32::try_from(value)
        .map_err(|_| MlError::Unsupported("more than four billion rows or batches".to_owned()))
}

/// Multiplies to 128 bits and folds the halves together: one multiplication mixes every bit.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

// Odd constants without pattern: digits of π, e, √2 and the golden ratio.
const KEYS: [u64; 4] =
    [0x243f_6a88_85a3_08d3, 0xb7e1_5162_8aed_2a6b, 0x6a09_e667_f3bc_c909, 0x9e37_79b9_7f4a_7c15];

/// A 128-bit hash in two independent lanes. Kept as it is: retraining a stored
/// version relies on the order it gives.
fn hash(bytes: &[u8]) -> u128 {
    let length = bytes.len() as u64;
    let (mut low, mut high) = (KEYS[0] ^ length, KEYS[1].wrapping_add(length));
    for part in bytes.chunks(16) {
        let mut block = [0u8; 16];
        block[..part.len()].copy_from_slice(part);
        let block = u128::from_le_bytes(block);
        let (a, b) = (block as u64, (block >> 64) as u64);
        low = fold(a ^ low, b ^ KEYS[2]).wrapping_add(low.rotate_left(23) ^ b);
        high = fold(b ^ high, a ^ KEYS[3]).wrapping_add(high.rotate_left(41) ^ a);
    }
    let (low, high) = (mix(low ^ high.rotate_left(32)), mix(high.wrapping_add(low)));
    u128::from(high) << 64 | u128::from(low)
}

/// A bijection of 64-bit numbers that spreads every bit (SplitMix64's finaliser).
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Which rows are held out: `fraction` of them, rounded to whole rows, those with the smallest
/// hash of seed and place. With two rows or more and a fraction above 0 and below 1, both parts
/// have at least one row.
///
/// Rows must be in [`canonical_order`] for the split to be repeatable.
pub fn holdout_mask(rows: usize, seed: u64, fraction: f64) -> Vec<bool> {
    let fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
    let mut count = (rows as f64 * fraction).round() as usize;
    if rows >= 2 && fraction > 0.0 && fraction < 1.0 {
        count = count.clamp(1, rows - 1);
    }
    let mut mask = vec![false; rows];
    if count == 0 {
        return mask;
    }
    let start = mix(seed ^ KEYS[3]);
    let mut order: Vec<(u64, usize)> = (0..rows)
        .map(|row| (mix(start.wrapping_add((row as u64 + 1).wrapping_mul(KEYS[3]))), row))
        .collect();
    if count < rows {
        order.select_nth_unstable(count);
    }
    for (_, row) in &order[..count] {
        mask[*row] = true;
    }
    mask
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray, UInt32Array};
    use arrow::compute::{concat_batches, take_record_batch};

    use super::*;

    #[test]
    fn a_digest_is_of_the_rows_and_not_of_their_order() {
        let all = batch(1000);
        let digest = |batches: &[RecordBatch]| digest(batches, &Stop::default()).unwrap();
        let parts = [all.slice(700, 300), all.slice(0, 700)];
        assert_eq!(digest(&parts), digest(std::slice::from_ref(&all)));
        assert_ne!(digest(&parts), digest(&parts[..1]));
        assert_ne!(digest(&parts), digest(&[parts[0].clone(), parts[0].clone(), parts[1].clone()]));
        let swapped = all.project(&[1, 0]).unwrap();
        assert_ne!(digest(&[swapped]), digest(std::slice::from_ref(&all)));
        assert_eq!(digest(&[]), digest(&[]));
    }

    fn batch(rows: u32) -> RecordBatch {
        let x: ArrayRef = Arc::new(Float64Array::from_iter(
            (0..rows).map(|i| (i % 11 != 0).then(|| f64::from(i % 97))),
        ));
        let g: ArrayRef =
            Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("g{}", i % 89))));
        RecordBatch::try_from_iter([("x", x), ("g", g)]).unwrap()
    }

    #[test]
    fn order_depends_on_contents_alone() {
        let whole = batch(10_000);
        let turned: UInt32Array = (0..10_000u32).map(|i| (i * 7919 + 13) % 10_000).collect();
        let shuffled = take_record_batch(&whole, &turned).unwrap();
        let parts = [shuffled.slice(0, 3), shuffled.slice(3, 0), shuffled.slice(3, 9_997)];
        let stop = Stop::default();
        let one = canonical_order(std::slice::from_ref(&whole), &stop).unwrap();
        let two = canonical_order(&parts, &stop).unwrap();
        let join = |batches: &[RecordBatch]| concat_batches(&whole.schema(), batches).unwrap();
        assert_eq!(join(&one), join(&two));
        assert_ne!(join(&one), whole);
        assert!(canonical_order(&[], &stop).unwrap().is_empty());
    }

    #[test]
    fn hash_tells_neighbours_apart() {
        let mut seen = std::collections::HashSet::new();
        for length in 0..40usize {
            for bit in 0..length * 8 {
                let mut bytes = vec![0u8; length];
                bytes[bit / 8] = 1 << (bit % 8);
                assert!(seen.insert(hash(&bytes)));
            }
            assert!(seen.insert(hash(&vec![0u8; length])));
        }
        // Kept: a change would reorder the rows of every stored training run.
        assert_eq!(hash(b"frazil"), 0x31c6_ac1c_9b17_ad43_0779_2c4d_c916_39b9);
    }

    #[test]
    fn holdout_has_the_asked_share() {
        let mask = holdout_mask(1_000, 1, 0.2);
        assert_eq!(mask.iter().filter(|held| **held).count(), 200);
        assert_eq!(mask, holdout_mask(1_000, 1, 0.2));
        assert_ne!(mask, holdout_mask(1_000, 2, 0.2));
        let first_half = mask[..500].iter().filter(|held| **held).count();
        assert!((70..130).contains(&first_half), "{first_half}");
        for (rows, fraction, held) in
            [(2, 0.2, 1), (3, 0.99, 2), (1, 0.2, 0), (0, 0.2, 0), (5, 0.0, 0), (5, 1.0, 5)]
        {
            let mask = holdout_mask(rows, 0, fraction);
            assert_eq!(mask.iter().filter(|held| **held).count(), held, "{rows} {fraction}");
        }
    }
}
