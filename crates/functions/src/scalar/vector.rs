//! VECTOR functions: products, distances and similarity of two vectors of one dimension.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use frazil_common::{SqlType, UserError};

use crate::arguments::Arguments;
use crate::kernel::{KernelResult, Rows};
use crate::registry::Registry;
use crate::typed::TypedExpr;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["VECTOR_INNER_PRODUCT"], |a| pair(a, "frazil_vector_inner_product", inner));
    registry.add(&["VECTOR_L1_DISTANCE"], |a| pair(a, "frazil_vector_l1_distance", l1));
    registry.add(&["VECTOR_L2_DISTANCE"], |a| pair(a, "frazil_vector_l2_distance", l2));
    registry
        .add(&["VECTOR_COSINE_SIMILARITY"], |a| pair(a, "frazil_vector_cosine_similarity", cosine));
}

fn pair(
    a: Arguments,
    name: &'static str,
    run: fn(&Rows) -> KernelResult,
) -> Result<TypedExpr, UserError> {
    a.expect(2..=2)?;
    let dimension = |index: usize| match a.get(index)?.sql_type {
        SqlType::Vector { dimension, .. } => Ok(Some(dimension)),
        SqlType::Null => Ok(None),
        _ => Err(a.wrong_types()),
    };
    let (left, right) = (dimension(0)?, dimension(1)?);
    if left.is_some() && right.is_some() && left != right {
        return Err(a.wrong_types());
    }
    let args = a.values.iter().map(|value| value.expr.clone()).collect();
    Ok(a.call(name, args, SqlType::Float, run))
}

/// One row's elements as FLOAT.
fn elements(rows: &Rows, index: usize, row: usize) -> KernelResult<Option<ArrayRef>> {
    let input = rows.input(index)?;
    if input.is_null(row) {
        return Ok(None);
    }
    let row = input.row(row);
    let items = match input.array.data_type() {
        DataType::FixedSizeList(..) => input.array.as_fixed_size_list().value(row),
        _ => input.array.as_list::<i32>().value(row),
    };
    Ok(Some(cast(&items, &DataType::Float64)?))
}

fn with(rows: &Rows, compute: impl Fn(&[f64], &[f64]) -> Option<f64>) -> KernelResult {
    rows.build_floats(|row| {
        let (Some(left), Some(right)) = (elements(rows, 0, row)?, elements(rows, 1, row)?) else {
            return Ok(None);
        };
        let (left, right) =
            (left.as_primitive::<Float64Type>(), right.as_primitive::<Float64Type>());
        if left.null_count() + right.null_count() > 0 {
            return Ok(None);
        }
        Ok(compute(left.values(), right.values()))
    })
}

fn sum(left: &[f64], right: &[f64], of: impl Fn(f64, f64) -> f64) -> f64 {
    left.iter().zip(right).map(|(a, b)| of(*a, *b)).sum()
}

fn inner(rows: &Rows) -> KernelResult {
    with(rows, |left, right| Some(sum(left, right, |a, b| a * b)))
}

fn l1(rows: &Rows) -> KernelResult {
    with(rows, |left, right| Some(sum(left, right, |a, b| (a - b).abs())))
}

fn l2(rows: &Rows) -> KernelResult {
    with(rows, |left, right| Some(sum(left, right, |a, b| (a - b) * (a - b)).sqrt()))
}

/// A vector of length zero has no direction.
fn cosine(rows: &Rows) -> KernelResult {
    with(rows, |left, right| {
        let length = |of: &[f64]| sum(of, of, |a, b| a * b).sqrt();
        let lengths = length(left) * length(right);
        (lengths != 0.0).then(|| sum(left, right, |a, b| a * b) / lengths)
    })
}
