//! What collected rows become.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringViewArray, new_null_array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use frazil_common::{Code, UserError};

use crate::kernel::{KernelResult, Rows};
use crate::made::MadeBytes;
use crate::number;
use crate::variant::{Value, append_key, build, row_to_value};

fn single(rows: &Rows) -> Rows {
    let (stop, made_max) = (rows.stop.clone(), rows.made_max.clone());
    Rows { inputs: Vec::new(), rows: 1, out: rows.out.clone(), stop, made_max }
}

fn column(rows: &Rows, index: usize) -> KernelResult<&ArrayRef> {
    Ok(&rows.input(index)?.array)
}

fn value(rows: &Rows, index: usize, row: usize) -> KernelResult<Option<Value>> {
    rows.check_at(row)?;
    Ok(row_to_value(column(rows, index)?.as_ref(), row)?)
}

/// (text, separator): empty text for no rows.
pub(super) fn listagg(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    let by = rows.texts(1)?;
    let mut out = String::new();
    let mut first = true;
    for row in 0..rows.rows {
        if let Some(text) = texts.get(row) {
            if !first {
                out.push_str(by.get(row).unwrap_or(""));
            }
            first = false;
            out.push_str(text);
        }
    }
    if out.len() > frazil_common::types::VARCHAR_LENGTH_MAX as usize {
        return Err(UserError::new(
            Code::StringTooLong,
            "String is too long and would be truncated",
        )
        .into());
    }
    Ok(Arc::new(StringViewArray::from(vec![out])))
}

/// About what a value takes in an array or object.
fn bytes_of(value: &Value) -> usize {
    /// A byte for its type, and one for where it lies.
    const EACH: usize = 2;
    EACH + match value {
        Value::Null | Value::Boolean(_) => 0,
        Value::Number { value, scale: 0 } if i32::try_from(*value).is_ok() => 4,
        Value::Date(_) => 4,
        Value::Number { .. } | Value::Double(_) | Value::Time(_) | Value::Timestamp { .. } => 8,
        Value::Text(text) => text.len(),
        Value::Binary(bytes) => bytes.len(),
        Value::List(items) => items.iter().map(bytes_of).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, item)| name.len() + bytes_of(item)).sum()
        }
    }
}

/// NULLs are left out.
pub(super) fn array_agg(rows: &Rows) -> KernelResult {
    let mut made = MadeBytes::new(rows.made_max.as_ref());
    let mut items = Vec::new();
    for row in 0..rows.rows {
        if let Some(item) = value(rows, 0, row)? {
            made.add_to_value(bytes_of(&item))?;
            items.push(item);
        }
    }
    build(1, |_| Ok(Some(Value::List(std::mem::take(&mut items)))))
}

/// Concatenates arrays, each value once.
pub(super) fn array_union_agg(rows: &Rows) -> KernelResult {
    // A multiset: each value as often as in the array that holds it most often.
    let mut made = MadeBytes::new(rows.made_max.as_ref());
    let mut taken: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut items = Vec::new();
    for row in 0..rows.rows {
        if let Some(Value::List(list)) = value(rows, 0, row)? {
            let mut here: HashMap<Vec<u8>, usize> = HashMap::new();
            for item in list {
                let mut key = Vec::new();
                append_key(&item, &mut key);
                let found = here.entry(key.clone()).or_insert(0);
                *found += 1;
                let held = taken.entry(key).or_insert(0);
                if *found > *held {
                    *held = *found;
                    made.add_to_value(bytes_of(&item))?;
                    items.push(item);
                }
            }
        }
    }
    build(1, |_| Ok(Some(Value::List(std::mem::take(&mut items)))))
}

/// (key, value): rows with a NULL in either are left out; a key twice is an error.
pub(super) fn object_agg(rows: &Rows) -> KernelResult {
    let keys = rows.texts(0)?;
    let mut made = MadeBytes::new(rows.made_max.as_ref());
    let mut fields = BTreeMap::new();
    for row in 0..rows.rows {
        let (Some(key), Some(item)) = (keys.get(row), value(rows, 1, row)?) else { continue };
        made.add_to_value(key.len() + bytes_of(&item))?;
        if fields.insert(key.to_string(), item).is_some() {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("Duplicate field key '{key}'"),
            )
            .into());
        }
    }
    build(1, |_| Ok(Some(Value::Object(std::mem::take(&mut fields)))))
}

fn pick(rows: &Rows, index: Option<usize>) -> KernelResult {
    match index {
        Some(index) => {
            let at = arrow::array::UInt64Array::from(vec![index as u64]);
            Ok(take(column(rows, 0)?, &at, None)?)
        }
        None => Ok(new_null_array(&rows.out, 1)),
    }
}

/// The value that occurs most often; the first met among equals.
pub(super) fn mode(rows: &Rows) -> KernelResult {
    let mut counts: HashMap<Vec<u8>, (usize, usize)> = HashMap::new();
    for row in 0..rows.rows {
        if let Some(item) = value(rows, 0, row)? {
            let mut key = Vec::new();
            append_key(&item, &mut key);
            counts.entry(key).or_insert((0, row)).0 += 1;
        }
    }
    let best = counts.values().max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    pick(rows, best.map(|(_, row)| *row))
}

/// (value, n): the most frequent values with their counts, the first seen first among equals.
pub(super) fn top_k(rows: &Rows) -> KernelResult {
    let mut counts: HashMap<Vec<u8>, (i64, usize, Value)> = HashMap::new();
    for row in 0..rows.rows {
        if let Some(item) = value(rows, 0, row)? {
            let mut key = Vec::new();
            append_key(&item, &mut key);
            counts.entry(key).or_insert((0, row, item)).0 += 1;
        }
    }
    let limit = rows.integers(1)?;
    let limit = if rows.rows == 0 { 0 } else { limit.get(0).unwrap_or(1).max(0) as usize };
    let mut all: Vec<(i64, usize, Value)> = counts.into_values().collect();
    all.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let items: Vec<Value> = all
        .into_iter()
        .take(limit)
        .map(|(count, _, item)| Value::List(vec![item, Value::integer(count)]))
        .collect();
    let items = Value::List(items);
    crate::variant::build(1, |_| Ok(Some(items.clone())))
}

fn extreme_by(rows: &Rows, largest: bool) -> KernelResult {
    let mut best: Option<(Vec<u8>, usize)> = None;
    for row in 0..rows.rows {
        if let Some(item) = value(rows, 1, row)? {
            let mut key = Vec::new();
            append_key(&item, &mut key);
            let wins = best
                .as_ref()
                .is_none_or(|(held, _)| if largest { key > *held } else { key < *held });
            if wins {
                best = Some((key, row));
            }
        }
    }
    pick(rows, best.map(|(_, row)| row))
}

pub(super) fn min_by(rows: &Rows) -> KernelResult {
    extreme_by(rows, false)
}

pub(super) fn max_by(rows: &Rows) -> KernelResult {
    extreme_by(rows, true)
}

/// MIN_BY and MAX_BY with a count: (value, by, n) gives an array.
fn extreme_list(rows: &Rows, largest: bool) -> KernelResult {
    let limit = rows.integers(2)?;
    let mut keyed = Vec::new();
    for row in 0..rows.rows {
        if let Some(item) = value(rows, 1, row)? {
            let mut key = Vec::new();
            append_key(&item, &mut key);
            keyed.push((key, row));
        }
    }
    keyed.sort();
    if largest {
        keyed.sort_by(|a, b| b.0.cmp(&a.0));
    }
    let most = if rows.rows > 0 { limit.get(0).unwrap_or(0).max(0) as usize } else { 0 };
    let mut items = Vec::new();
    for (_, row) in keyed.into_iter().take(most) {
        items.push(value(rows, 0, row)?.unwrap_or(Value::Null));
    }
    build(1, |_| Ok(Some(Value::List(std::mem::take(&mut items)))))
}

pub(super) fn min_by_list(rows: &Rows) -> KernelResult {
    extreme_list(rows, false)
}

pub(super) fn max_by_list(rows: &Rows) -> KernelResult {
    extreme_list(rows, true)
}

/// MIN of a type that compares by its key.
pub(super) fn min_keyed(rows: &Rows) -> KernelResult {
    by_own_key(rows, false)
}

pub(super) fn max_keyed(rows: &Rows) -> KernelResult {
    by_own_key(rows, true)
}

fn by_own_key(rows: &Rows, largest: bool) -> KernelResult {
    let mut best: Option<(Vec<u8>, usize)> = None;
    for row in 0..rows.rows {
        if let Some(item) = value(rows, 0, row)? {
            let mut key = Vec::new();
            append_key(&item, &mut key);
            let wins = best
                .as_ref()
                .is_none_or(|(held, _)| if largest { key > *held } else { key < *held });
            if wins {
                best = Some((key, row));
            }
        }
    }
    pick(rows, best.map(|(_, row)| row))
}

fn floats(rows: &Rows, index: usize) -> KernelResult<Vec<f64>> {
    let values = rows.floats(index)?;
    Ok((0..rows.rows).filter_map(|row| values.get(row)).collect())
}

fn float(value: Option<f64>) -> KernelResult {
    Ok(Arc::new(Float64Array::from(vec![value])))
}

/// Whether the first value of argument 1 asks for descending order.
fn fraction(rows: &Rows) -> KernelResult<f64> {
    Ok(rows.floats(1)?.get(0).unwrap_or(0.5))
}

/// (value, fraction, descending) by linear interpolation; NUMBER keeps exact digits.
pub(super) fn percentile_cont(rows: &Rows) -> KernelResult {
    if rows.rows == 0 {
        return Ok(new_null_array(&rows.out, 1));
    }
    let share = fraction(rows)?;
    let descending = rows.booleans(2)?.get(0).unwrap_or(false);
    match &rows.out {
        DataType::Float64 => {
            let mut values = floats(rows, 0)?;
            values.sort_by(f64::total_cmp);
            if descending {
                values.reverse();
            }
            let Some(last) = values.len().checked_sub(1) else { return float(None) };
            let place = share * last as f64;
            let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
            float(Some(low + (high - low) * (place - place.floor())))
        }
        _ => {
            let scale = match rows.out {
                DataType::Decimal128(_, scale) => scale as u8,
                _ => 0,
            };
            let input = rows.numbers(0)?;
            let mut values: Vec<i128> = (0..rows.rows).filter_map(|row| input.get(row)).collect();
            values.sort_unstable();
            if descending {
                values.reverse();
            }
            let result = match values.len().checked_sub(1) {
                None => None,
                Some(last) => {
                    let place = share * last as f64;
                    let (low, high) =
                        (values[place.floor() as usize], values[place.ceil() as usize]);
                    let weight = number::from_float(place - place.floor(), 18, 12).unwrap_or(0);
                    let exact = || {
                        let low = number::rescale(low, input.scale, scale)?;
                        let high = number::rescale(high, input.scale, scale)?;
                        let step = number::multiply_scaled(high.checked_sub(low)?, weight, 12)?;
                        low.checked_add(step)
                    };
                    Some(exact().ok_or_else(number::overflow)?)
                }
            };
            single(rows).build_numbers(|_| Ok(result))
        }
    }
}

/// (value, fraction, descending): the first value whose share reaches the fraction.
pub(super) fn percentile_disc(rows: &Rows) -> KernelResult {
    if rows.rows == 0 {
        return Ok(new_null_array(&rows.out, 1));
    }
    let share = fraction(rows)?;
    let descending = rows.booleans(2)?.get(0).unwrap_or(false);
    let mut keyed = Vec::new();
    for row in 0..rows.rows {
        if let Some(item) = value(rows, 0, row)? {
            let mut key = Vec::new();
            append_key(&item, &mut key);
            keyed.push((key, row));
        }
    }
    keyed.sort();
    if descending {
        keyed.reverse();
    }
    let place = ((share * keyed.len() as f64).ceil() as usize).max(1) - 1;
    pick(rows, keyed.get(place).map(|(_, row)| *row))
}

/// Sample skewness with the bias of its size removed.
pub(super) fn skew(rows: &Rows) -> KernelResult {
    let values = floats(rows, 0)?;
    let n = values.len() as f64;
    if values.len() < 3 {
        return float(None);
    }
    let mean = values.iter().sum::<f64>() / n;
    let m2 = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let m3 = values.iter().map(|v| (v - mean).powi(3)).sum::<f64>() / n;
    float((m2 > 0.0).then(|| (n * (n - 1.0)).sqrt() / (n - 2.0) * m3 / m2.powf(1.5)))
}

/// Sample excess kurtosis.
pub(super) fn kurtosis(rows: &Rows) -> KernelResult {
    let values = floats(rows, 0)?;
    let n = values.len() as f64;
    if values.len() < 4 {
        return float(None);
    }
    let mean = values.iter().sum::<f64>() / n;
    let m2 = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    let m4 = values.iter().map(|v| (v - mean).powi(4)).sum::<f64>();
    float((m2 > 0.0).then(|| {
        let variance = m2 / (n - 1.0);
        n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0)) * m4 / (variance * variance)
            - 3.0 * (n - 1.0).powi(2) / ((n - 2.0) * (n - 3.0))
    }))
}

/// True if exactly one value is true; NULL if there is none.
pub(super) fn boolxor(rows: &Rows) -> KernelResult {
    let values = rows.booleans(0)?;
    let known: Vec<bool> = (0..rows.rows).filter_map(|row| values.get(row)).collect();
    let result = (!known.is_empty()).then(|| known.iter().filter(|v| **v).count() == 1);
    single(rows).build_booleans(|_| Ok(result))
}

/// Sum of row hashes, which does not depend on the order of rows.
pub(super) fn hash_agg(rows: &Rows) -> KernelResult {
    let values = rows.numbers(0)?;
    let sum = (0..rows.rows)
        .filter_map(|row| values.get(row))
        .fold(0i64, |sum, v| sum.wrapping_add(v as i64));
    single(rows).build_numbers(|_| Ok(Some(sum as i128)))
}

/// Sum or average of distinct values.
fn distinct_numbers(rows: &Rows) -> KernelResult<(Option<i128>, usize, u8)> {
    let values = rows.numbers(0)?;
    let known: Vec<i128> = (0..rows.rows).filter_map(|row| values.get(row)).collect();
    let mut sum: i128 = 0;
    for value in &known {
        sum = sum.checked_add(*value).ok_or_else(number::overflow)?;
    }
    Ok(((!known.is_empty()).then_some(sum), known.len(), values.scale))
}

pub(super) fn sum_numbers(rows: &Rows) -> KernelResult {
    let (sum, _, _) = distinct_numbers(rows)?;
    single(rows).build_numbers(|_| Ok(sum))
}

pub(super) fn average_numbers(rows: &Rows) -> KernelResult {
    let (sum, count, scale) = distinct_numbers(rows)?;
    let out = match rows.out {
        DataType::Decimal128(_, out) => out as u8,
        _ => scale,
    };
    let result = match sum {
        Some(sum) => Some(
            number::divide_scaled(sum, count as i128, out - scale).ok_or_else(number::overflow)?,
        ),
        None => None,
    };
    single(rows).build_numbers(|_| Ok(result))
}

/// Number of times the value differs from the row before, for a frame that grows by rows.
pub(crate) fn change_event(rows: &Rows) -> KernelResult {
    // A NULL is no change, and neither is the same value after it.
    let mut last: Option<Vec<u8>> = None;
    let mut changes = 0usize;
    for row in 0..rows.rows {
        let Some(item) = value(rows, 0, row)? else { continue };
        let mut key = Vec::new();
        append_key(&item, &mut key);
        if last.as_ref().is_some_and(|last| *last != key) {
            changes += 1;
        }
        last = Some(key);
    }
    single(rows).build_integers(|_| Ok(Some(changes as i64)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::Int64Array;

    use super::*;
    use crate::kernel::Input;
    use crate::made::MadeBytesMax;

    #[test]
    fn an_array_is_bounded() {
        let made = |count: i64| {
            let array = Arc::new(Int64Array::from_iter_values(0..count));
            let inputs = vec![Input { array, constant: false }];
            let made_max = Some(MadeBytesMax(600));
            let out = DataType::Null;
            array_agg(&Rows { inputs, rows: count as usize, out, stop: None, made_max })
        };
        assert!(made(100).is_ok());
        let error = frazil_common::UserError::from(made(101).unwrap_err());
        assert_eq!(error.code, Code::ResourceLimit);
    }
}
