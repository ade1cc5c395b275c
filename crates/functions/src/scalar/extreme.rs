//! GREATEST and LEAST: one kernel over all values, so that no value is computed twice.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::kernels::{cmp, zip};
use arrow::compute::{and, is_not_null, is_null, or, take};
use arrow::datatypes::DataType;
use frazil_common::{SqlType, UserError};

use super::conditional::Bound;
use crate::arguments::Arguments;
use crate::coerce::unify;
use crate::kernel::{Input, KernelFn, KernelResult, Rows, call};
use crate::operators::needs_key;
use crate::registry::Registry;
use crate::typed::TypedExpr;

pub(super) fn register(registry: &mut Registry) {
    registry.add(&["GREATEST"], |a| {
        bind(a, false, "frazil_greatest", |rows| extreme(rows, true, false))
    });
    registry
        .add(&["LEAST"], |a| bind(a, false, "frazil_least", |rows| extreme(rows, false, false)));
    registry.add(&["GREATEST_IGNORE_NULLS"], |a| {
        bind(a, true, "frazil_greatest_ignore_nulls", |rows| extreme(rows, true, true))
    });
    registry.add(&["LEAST_IGNORE_NULLS"], |a| {
        bind(a, true, "frazil_least_ignore_nulls", |rows| extreme(rows, false, true))
    });
}

fn bind(a: Arguments, ignore_nulls: bool, name: &'static str, run: KernelFn) -> Bound {
    a.expect(1..=usize::MAX)?;
    let (mut values, to) = unify(a.values, a.facts)?;
    if to == SqlType::Null {
        return Ok(TypedExpr::null());
    }
    if values.len() == 1 {
        return values.pop().ok_or_else(|| UserError::internal("no values"));
    }
    let nullable = match ignore_nulls {
        true => values.iter().all(|value| value.nullable),
        false => values.iter().any(|value| value.nullable),
    };
    // Values of these types compare by a key, which the kernel makes by itself.
    let run = if needs_key(&to) { keyed(name).unwrap_or(run) } else { run };
    Ok(call(name, values.into_iter().map(|value| value.expr).collect(), to, nullable, run))
}

/// The kernel of that name over values that compare by a key.
fn keyed(name: &str) -> Option<KernelFn> {
    Some(match name {
        "frazil_greatest" => |rows| extreme_by_key(rows, true, false),
        "frazil_least" => |rows| extreme_by_key(rows, false, false),
        "frazil_greatest_ignore_nulls" => |rows| extreme_by_key(rows, true, true),
        "frazil_least_ignore_nulls" => |rows| extreme_by_key(rows, false, true),
        _ => return None,
    })
}

/// A value of each row.
fn whole(input: &Input, rows: usize) -> KernelResult {
    if !input.constant {
        return Ok(Arc::clone(&input.array));
    }
    Ok(take(&input.array, &UInt32Array::from(vec![0; rows]), None)?)
}

/// Where the first of two columns is the result. Of equal values it is the first.
fn first_wins(
    first: &ArrayRef,
    second: &ArrayRef,
    largest: bool,
    ignore_nulls: bool,
) -> KernelResult<BooleanArray> {
    let wins = match largest {
        true => cmp::gt_eq(first, second)?,
        false => cmp::lt_eq(first, second)?,
    };
    // Where one of both is NULL the comparison is NULL too.
    let (values, _) = wins.clone().into_parts();
    let known = BooleanArray::new(values, None);
    let both = and(&is_not_null(first)?, &is_not_null(second)?)?;
    let compared = and(&known, &both)?;
    let by_null = if ignore_nulls { is_null(second)? } else { is_null(first)? };
    Ok(or(&compared, &by_null)?)
}

fn extreme(rows: &Rows, largest: bool, ignore_nulls: bool) -> KernelResult {
    let mut best = whole(rows.input(0)?, rows.rows)?;
    for input in rows.inputs.iter().skip(1) {
        rows.check()?;
        let value = whole(input, rows.rows)?;
        let wins = first_wins(&best, &value, largest, ignore_nulls)?;
        best = zip::zip(&wins, &best, &value)?;
    }
    Ok(best)
}

fn extreme_by_key(rows: &Rows, largest: bool, ignore_nulls: bool) -> KernelResult {
    let key = |value: &ArrayRef| -> KernelResult {
        let inputs = vec![Input { array: Arc::clone(value), constant: false }];
        let (stop, made_max) = (rows.stop.clone(), rows.made_max.clone());
        let one = Rows { inputs, rows: rows.rows, out: DataType::Binary, stop, made_max };
        crate::variant::sort_key(&one)
    };
    let mut best = whole(rows.input(0)?, rows.rows)?;
    let mut best_key = key(&best)?;
    for input in rows.inputs.iter().skip(1) {
        rows.check()?;
        let value = whole(input, rows.rows)?;
        let value_key = key(&value)?;
        let wins = first_wins(&best_key, &value_key, largest, ignore_nulls)?;
        best = zip::zip(&wins, &best, &value)?;
        best_key = zip::zip(&wins, &best_key, &value_key)?;
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{AsArray, Float64Array};
    use arrow::datatypes::Float64Type;
    use datafusion::common::Column;
    use datafusion::logical_expr::Expr;

    use super::*;
    use crate::facts::Facts;
    use crate::size::nodes_up_to;

    fn floats(inputs: Vec<Vec<Option<f64>>>, ignore_nulls: bool) -> Vec<Option<f64>> {
        let rows = inputs[0].len();
        let inputs = inputs
            .into_iter()
            .map(|values| Input { array: Arc::new(Float64Array::from(values)), constant: false })
            .collect();
        let out = DataType::Float64;
        let rows = Rows { inputs, rows, out, stop: None, made_max: None };
        let out = extreme(&rows, true, ignore_nulls).unwrap();
        out.as_primitive::<Float64Type>().iter().collect()
    }

    #[test]
    fn nulls_and_nan() {
        let values = || {
            vec![
                vec![Some(1.0), None, Some(3.0), None],
                vec![Some(2.0), Some(5.0), None, None],
                vec![Some(0.0), Some(6.0), Some(7.0), None],
            ]
        };
        assert_eq!(floats(values(), false), [Some(2.0), None, None, None]);
        assert_eq!(floats(values(), true), [Some(2.0), Some(6.0), Some(7.0), None]);
        let nan = floats(vec![vec![Some(1.0)], vec![Some(f64::NAN)]], false);
        assert!(nan[0].unwrap().is_nan());
    }

    #[test]
    fn grows_with_its_arguments_alone() {
        let facts = Facts::default();
        let column = |n: usize| {
            let column = Expr::Column(Column::from_name(format!("c{n}")));
            TypedExpr::new(column, SqlType::Float, true)
        };
        for name in ["GREATEST", "LEAST", "GREATEST_IGNORE_NULLS", "LEAST_IGNORE_NULLS"] {
            let function = crate::scalar(name).unwrap();
            let value = function.bind((0..20).map(column).collect(), &facts).unwrap();
            assert_eq!(nodes_up_to(&value.expr, 1000), 21, "{name}");
        }
    }

    #[test]
    fn division_with_zeros_grows_with_its_depth() {
        let facts = Facts::default();
        for name in ["DIV0", "DIV0NULL"] {
            let function = crate::scalar(name).unwrap();
            let column = Expr::Column(Column::from_name("a"));
            let mut value = TypedExpr::new(column, SqlType::Float, true);
            for _ in 0..15 {
                value = function.bind(vec![TypedExpr::integer(1), value], &facts).unwrap();
            }
            assert!(nodes_up_to(&value.expr, 1000) < 100, "{name}");
        }
    }
}
