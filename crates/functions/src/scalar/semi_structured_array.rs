//! ARRAY functions.

use std::collections::HashMap;

use frazil_common::{Code, SqlType, UserError};

use crate::arguments::{Arguments, SMALL_INTEGER};
use crate::kernel::{KernelResult, Rows, call};
use crate::registry::Registry;
use crate::typed::TypedExpr;
use crate::variant::{Value, append_key, row_to_value, scalar_text};

type Bound = Result<TypedExpr, UserError>;
const INT: SqlType = SMALL_INTEGER;

/// Most elements ARRAY_GENERATE_RANGE makes.
const RANGE_MAX: i64 = 1_000_000;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["ARRAY_CONSTRUCT"], |a| construct(a, "frazil_array_construct", array_construct));
    registry.add(&["ARRAY_CONSTRUCT_COMPACT"], |a| {
        construct(a, "frazil_array_construct_compact", array_construct_compact)
    });
    registry.add(&["ARRAY_SIZE"], |a| {
        a.expect(1..=1)?;
        let args = vec![a.variant(0)?];
        Ok(a.call("frazil_array_size", args, INT, array_size))
    });
    registry.add(&["ARRAY_CONTAINS"], |a| {
        a.expect(2..=2)?;
        let args = vec![a.get(0)?.expr.clone(), array(&a, 1)?];
        Ok(a.call("frazil_array_contains", args, SqlType::Boolean, array_contains))
    });
    registry.add(&["ARRAY_POSITION"], |a| {
        a.expect(2..=2)?;
        let args = vec![a.get(0)?.expr.clone(), array(&a, 1)?];
        Ok(a.call("frazil_array_position", args, INT, array_position))
    });
    registry.add(&["ARRAY_APPEND"], |a| with_value(a, "frazil_array_append", array_append));
    registry.add(&["ARRAY_PREPEND"], |a| with_value(a, "frazil_array_prepend", array_prepend));
    registry.add(&["ARRAY_REMOVE"], |a| with_value(a, "frazil_array_remove", array_remove));
    registry.add(&["ARRAY_CAT"], |a| two(a, SqlType::Array, "frazil_array_cat", array_cat));
    registry.add(&["ARRAY_INTERSECTION"], |a| {
        two(a, SqlType::Array, "frazil_array_intersection", array_intersection)
    });
    registry
        .add(&["ARRAY_EXCEPT"], |a| two(a, SqlType::Array, "frazil_array_except", array_except));
    registry.add(&["ARRAYS_OVERLAP"], |a| {
        two(a, SqlType::Boolean, "frazil_arrays_overlap", arrays_overlap)
    });
    registry.add(&["ARRAY_SLICE"], |a| {
        a.expect(3..=3)?;
        let args = vec![array(&a, 0)?, a.integer(1)?, a.integer(2)?];
        Ok(a.call("frazil_array_slice", args, SqlType::Array, array_slice))
    });
    registry.add(&["ARRAY_DISTINCT"], |a| {
        one(a, SqlType::Array, "frazil_array_distinct", array_distinct)
    });
    registry
        .add(&["ARRAY_COMPACT"], |a| one(a, SqlType::Array, "frazil_array_compact", array_compact));
    registry
        .add(&["ARRAY_FLATTEN"], |a| one(a, SqlType::Array, "frazil_array_flatten", array_flatten));
    registry.add(&["ARRAY_MIN"], |a| one(a, SqlType::Variant, "frazil_array_min", array_min));
    registry.add(&["ARRAY_MAX"], |a| one(a, SqlType::Variant, "frazil_array_max", array_max));
    registry
        .add(&["ARRAY_REVERSE"], |a| one(a, SqlType::Array, "frazil_array_reverse", array_reverse));
    registry.add(&["ARRAY_SORT"], |a| {
        a.expect(1..=3)?;
        let flag = |index: usize| {
            if a.len() > index { a.boolean(index) } else { Ok(TypedExpr::boolean(true).expr) }
        };
        // NULLs come first where the order is descending, unless told.
        let nulls = if a.len() > 2 {
            a.boolean(2)?
        } else {
            TypedExpr::boolean(a.len() > 1 && a.get(1)?.as_boolean_literal() == Some(false)).expr
        };
        let args = vec![array(&a, 0)?, flag(1)?, nulls];
        Ok(a.call("frazil_array_sort", args, SqlType::Array, array_sort))
    });
    registry.add(&["ARRAYS_TO_OBJECT"], |a| {
        two(a, SqlType::Object, "frazil_arrays_to_object", arrays_to_object)
    });
    registry.add(&["ARRAYS_ZIP"], |a| {
        a.expect(1..=usize::MAX)?;
        let args = (0..a.len()).map(|index| array(&a, index)).collect::<Result<Vec<_>, _>>()?;
        Ok(a.call("frazil_arrays_zip", args, SqlType::Array, arrays_zip))
    });
    registry.add(&["ARRAY_TO_STRING"], |a| {
        a.expect(2..=2)?;
        let args = vec![array(&a, 0)?, a.text(1)?];
        Ok(a.call("frazil_array_to_string", args, SqlType::TEXT, array_to_string))
    });
    registry.add(&["ARRAY_INSERT"], |a| {
        a.expect(3..=3)?;
        let args = vec![array(&a, 0)?, a.integer(1)?, a.get(2)?.expr.clone()];
        Ok(a.call("frazil_array_insert", args, SqlType::Array, array_insert))
    });
    registry.add(&["ARRAY_REMOVE_AT"], |a| {
        a.expect(2..=2)?;
        let args = vec![array(&a, 0)?, a.integer(1)?];
        Ok(a.call("frazil_array_remove_at", args, SqlType::Array, array_remove_at))
    });
    registry.add(&["ARRAY_GENERATE_RANGE", "ARRAY_RANGE"], |a| {
        a.expect(2..=3)?;
        a.kernel("frazil_array_range", &[INT], SqlType::Array, array_range)
    });
    registry.add(&["SPLIT"], |a| {
        a.expect(2..=2)?;
        a.kernel("frazil_split", &[SqlType::TEXT], SqlType::Array, split)
    });
    registry.add(&["STRTOK_TO_ARRAY"], |a| {
        a.expect(1..=2)?;
        a.kernel("frazil_strtok_to_array", &[SqlType::TEXT], SqlType::Array, strtok_to_array)
    });
}

fn array(a: &Arguments, index: usize) -> Result<datafusion::logical_expr::Expr, UserError> {
    match a.get(index)?.sql_type {
        SqlType::Array | SqlType::Variant | SqlType::Null => a.variant(index),
        SqlType::Vector { .. } => Ok(a.as_type(index, &SqlType::Array)?.expr),
        _ => Err(a.wrong_types()),
    }
}

fn one(a: Arguments, to: SqlType, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    a.expect(1..=1)?;
    let args = vec![array(&a, 0)?];
    Ok(a.call(name, args, to, run))
}

fn two(a: Arguments, to: SqlType, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    a.expect(2..=2)?;
    let args = vec![array(&a, 0)?, array(&a, 1)?];
    Ok(a.call(name, args, to, run))
}

fn with_value(a: Arguments, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    a.expect(2..=2)?;
    let args = vec![array(&a, 0)?, a.get(1)?.expr.clone()];
    Ok(a.call(name, args, SqlType::Array, run))
}

fn construct(a: Arguments, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    let args = a.values.iter().map(|v| v.expr.clone()).collect();
    Ok(call(name, args, SqlType::Array, false, run))
}

/// SQL NULLs become JSON nulls.
fn array_construct(rows: &Rows) -> KernelResult {
    rows.build_variants(|row| {
        let items = rows
            .inputs
            .iter()
            .map(|i| Ok(row_to_value(i.array.as_ref(), i.row(row))?.unwrap_or(Value::Null)))
            .collect::<Result<Vec<_>, UserError>>()?;
        Ok(Some(Value::List(items)))
    })
}

fn array_construct_compact(rows: &Rows) -> KernelResult {
    rows.build_variants(|row| {
        let mut items = Vec::new();
        for input in &rows.inputs {
            items.extend(row_to_value(input.array.as_ref(), input.row(row))?);
        }
        Ok(Some(Value::List(items)))
    })
}

fn array_size(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    rows.build_integers(|row| {
        Ok(values.get(row).and_then(|v| match v {
            parquet_variant::Variant::List(list) => Some(list.len() as i64),
            _ => None,
        }))
    })
}

fn list(value: Option<Value>) -> Option<Vec<Value>> {
    match value {
        Some(Value::List(items)) => Some(items),
        _ => None,
    }
}

fn key(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    append_key(value, &mut out);
    out
}

fn value_at(rows: &Rows, index: usize, row: usize) -> KernelResult<Option<Value>> {
    let input = rows.input(index)?;
    Ok(row_to_value(input.array.as_ref(), input.row(row))?)
}

fn array_contains(rows: &Rows) -> KernelResult {
    let arrays = rows.variants(1)?;
    rows.build_booleans(|row| {
        let Some(items) = list(arrays.value(row)) else { return Ok(None) };
        // SQL NULL is found as the null of an array; where there is none, nothing is known.
        let Some(wanted) = value_at(rows, 0, row)? else {
            return Ok(items.contains(&Value::Null).then_some(true));
        };
        let wanted = key(&wanted);
        Ok(Some(items.iter().any(|v| key(v) == wanted)))
    })
}

fn array_position(rows: &Rows) -> KernelResult {
    let arrays = rows.variants(1)?;
    rows.build_integers(|row| {
        let Some(items) = list(arrays.value(row)) else { return Ok(None) };
        let wanted = key(&value_at(rows, 0, row)?.unwrap_or(Value::Null));
        Ok(items.iter().position(|v| key(v) == wanted).map(|p| p as i64))
    })
}

fn array_append(rows: &Rows) -> KernelResult {
    let arrays = rows.variants(0)?;
    rows.build_variants(|row| {
        let Some(mut items) = list(arrays.value(row)) else { return Ok(None) };
        items.push(value_at(rows, 1, row)?.unwrap_or(Value::Null));
        Ok(Some(Value::List(items)))
    })
}

fn array_prepend(rows: &Rows) -> KernelResult {
    let arrays = rows.variants(0)?;
    rows.build_variants(|row| {
        let Some(mut items) = list(arrays.value(row)) else { return Ok(None) };
        items.insert(0, value_at(rows, 1, row)?.unwrap_or(Value::Null));
        Ok(Some(Value::List(items)))
    })
}

fn array_remove(rows: &Rows) -> KernelResult {
    let arrays = rows.variants(0)?;
    rows.build_variants(|row| {
        let Some(mut items) = list(arrays.value(row)) else { return Ok(None) };
        let Some(value) = value_at(rows, 1, row)? else { return Ok(None) };
        let wanted = key(&value);
        items.retain(|v| key(v) != wanted);
        Ok(Some(Value::List(items)))
    })
}

fn lists(rows: &Rows, row: usize) -> KernelResult<Option<(Vec<Value>, Vec<Value>)>> {
    let (left, right) = (rows.variants(0)?, rows.variants(1)?);
    Ok(match (list(left.value(row)), list(right.value(row))) {
        (Some(a), Some(b)) => Some((a, b)),
        _ => None,
    })
}

fn array_cat(rows: &Rows) -> KernelResult {
    rows.build_variants(|row| {
        Ok(lists(rows, row)?.map(|(mut a, b)| {
            a.extend(b);
            Value::List(a)
        }))
    })
}

/// How often each value occurs.
fn counts(items: &[Value]) -> HashMap<Vec<u8>, usize> {
    let mut out = HashMap::new();
    for item in items {
        *out.entry(key(item)).or_insert(0) += 1;
    }
    out
}

/// Both keep duplicates as multisets do.
fn multiset(rows: &Rows, keep_found: bool) -> KernelResult {
    rows.build_variants(|row| {
        Ok(lists(rows, row)?.map(|(a, b)| {
            let mut held = counts(&b);
            let kept = a.into_iter().filter(|v| {
                let found = match held.get_mut(&key(v)) {
                    Some(n) if *n > 0 => {
                        *n -= 1;
                        true
                    }
                    _ => false,
                };
                found == keep_found
            });
            Value::List(kept.collect())
        }))
    })
}

fn array_intersection(rows: &Rows) -> KernelResult {
    multiset(rows, true)
}

fn array_except(rows: &Rows) -> KernelResult {
    multiset(rows, false)
}

fn arrays_overlap(rows: &Rows) -> KernelResult {
    rows.build_booleans(|row| {
        Ok(lists(rows, row)?.map(|(a, b)| {
            let held = counts(&b);
            a.iter().any(|v| held.contains_key(&key(v)))
        }))
    })
}

/// From (inclusive) to (exclusive); negative positions count from the end.
fn array_slice(rows: &Rows) -> KernelResult {
    let (arrays, from, to) = (rows.variants(0)?, rows.integers(1)?, rows.integers(2)?);
    rows.build_variants(|row| {
        let (Some(items), Some(from), Some(to)) =
            (list(arrays.value(row)), from.get(row), to.get(row))
        else {
            return Ok(None);
        };
        let size = items.len() as i64;
        let place = |p: i64| (if p < 0 { size + p } else { p }).clamp(0, size) as usize;
        let (from, to) = (place(from), place(to));
        Ok(Some(Value::List(items.get(from..to).unwrap_or(&[]).to_vec())))
    })
}

fn map_list(rows: &Rows, f: impl Fn(Vec<Value>) -> Option<Value>) -> KernelResult {
    let arrays = rows.variants(0)?;
    rows.build_variants(|row| Ok(list(arrays.value(row)).and_then(&f)))
}

fn array_distinct(rows: &Rows) -> KernelResult {
    map_list(rows, |items| {
        let mut seen = std::collections::HashSet::new();
        Some(Value::List(items.into_iter().filter(|v| seen.insert(key(v))).collect()))
    })
}

fn array_compact(rows: &Rows) -> KernelResult {
    map_list(rows, |items| {
        Some(Value::List(items.into_iter().filter(|v| *v != Value::Null).collect()))
    })
}

fn array_reverse(rows: &Rows) -> KernelResult {
    map_list(rows, |items| Some(Value::List(items.into_iter().rev().collect())))
}

fn array_flatten(rows: &Rows) -> KernelResult {
    let arrays = rows.variants(0)?;
    rows.build_variants(|row| {
        let Some(items) = list(arrays.value(row)) else { return Ok(None) };
        let mut out = Vec::new();
        for item in items {
            match item {
                Value::List(inner) => out.extend(inner),
                Value::Null => return Ok(None),
                _ => {
                    return Err(UserError::new(
                        Code::InvalidArgument,
                        "Not an array: ARRAY_FLATTEN needs an array of arrays",
                    )
                    .into());
                }
            }
        }
        Ok(Some(Value::List(out)))
    })
}

fn array_min(rows: &Rows) -> KernelResult {
    map_list(rows, |items| items.into_iter().filter(|v| *v != Value::Null).min_by_key(key))
}

fn array_max(rows: &Rows) -> KernelResult {
    map_list(rows, |items| items.into_iter().filter(|v| *v != Value::Null).max_by_key(key))
}

fn array_sort(rows: &Rows) -> KernelResult {
    let (arrays, ascending, nulls) = (rows.variants(0)?, rows.booleans(1)?, rows.booleans(2)?);
    rows.build_variants(|row| {
        let Some(items) = list(arrays.value(row)) else { return Ok(None) };
        let (empty, mut known): (Vec<Value>, Vec<Value>) =
            items.into_iter().partition(|v| *v == Value::Null);
        known.sort_by_cached_key(key);
        if ascending.get(row) == Some(false) {
            known.reverse();
        }
        if nulls.get(row) == Some(true) {
            known.splice(0..0, empty);
        } else {
            known.extend(empty);
        }
        Ok(Some(Value::List(known)))
    })
}

/// Keys with values of the same places; a NULL key is left out.
fn arrays_to_object(rows: &Rows) -> KernelResult {
    rows.build_variants(|row| {
        let Some((keys, values)) = lists(rows, row)? else { return Ok(None) };
        if keys.len() != values.len() {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!(
                    "Key array and value array had unequal lengths in ARRAYS_TO_OBJECT: {} and {}",
                    keys.len(),
                    values.len()
                ),
            )
            .into());
        }
        let mut fields = std::collections::BTreeMap::new();
        for (key, value) in keys.into_iter().zip(values) {
            match key {
                Value::Null => {}
                Value::Text(name) => {
                    fields.insert(name, value);
                }
                other => {
                    fields.insert(scalar_text(&other), value);
                }
            }
        }
        Ok(Some(Value::Object(fields)))
    })
}

/// Objects of the values at each place, named `$1`, `$2`, …; a shorter array gives nulls.
fn arrays_zip(rows: &Rows) -> KernelResult {
    let arrays = (0..rows.inputs.len())
        .map(|index| rows.variants(index))
        .collect::<KernelResult<Vec<_>>>()?;
    rows.build_variants(|row| {
        let all: Option<Vec<Vec<Value>>> = arrays.iter().map(|a| list(a.value(row))).collect();
        let Some(all) = all else { return Ok(None) };
        let longest = all.iter().map(Vec::len).max().unwrap_or(0);
        if longest == 0 {
            return Ok(Some(Value::List(vec![Value::Object(Default::default())])));
        }
        let items = (0..longest).map(|place| {
            let fields = all.iter().enumerate().map(|(index, items)| {
                let value = items.get(place).cloned().unwrap_or(Value::Null);
                (format!("${}", index + 1), value)
            });
            Value::Object(fields.collect())
        });
        Ok(Some(Value::List(items.collect())))
    })
}

fn array_to_string(rows: &Rows) -> KernelResult {
    let (arrays, by) = (rows.variants(0)?, rows.texts(1)?);
    rows.build_texts(|row| match (list(arrays.value(row)), by.get(row)) {
        (Some(items), Some(by)) => {
            let parts: Vec<String> = items
                .iter()
                .map(|v| if *v == Value::Null { String::new() } else { scalar_text(v) })
                .collect();
            Ok(Some(parts.join(by)))
        }
        _ => Ok(None),
    })
}

fn array_insert(rows: &Rows) -> KernelResult {
    let (arrays, at) = (rows.variants(0)?, rows.integers(1)?);
    rows.build_variants(|row| {
        let (Some(mut items), Some(at)) = (list(arrays.value(row)), at.get(row)) else {
            return Ok(None);
        };
        let size = items.len() as i64;
        let at = if at < 0 { (size + at).max(0) } else { at } as usize;
        if at > 1_000_000 {
            return Err(UserError::new(
                Code::InvalidArgument,
                "ARRAY_INSERT position is too large",
            )
            .into());
        }
        while items.len() < at {
            items.push(Value::Null);
        }
        items.insert(at, value_at(rows, 2, row)?.unwrap_or(Value::Null));
        Ok(Some(Value::List(items)))
    })
}

fn array_remove_at(rows: &Rows) -> KernelResult {
    let (arrays, at) = (rows.variants(0)?, rows.integers(1)?);
    rows.build_variants(|row| {
        let (Some(mut items), Some(at)) = (list(arrays.value(row)), at.get(row)) else {
            return Ok(None);
        };
        let place = if at < 0 { items.len() as i64 + at } else { at };
        if let Ok(place) = usize::try_from(place)
            && place < items.len()
        {
            items.remove(place);
        }
        Ok(Some(Value::List(items)))
    })
}

/// Start (inclusive) to stop (exclusive) by step.
fn array_range(rows: &Rows) -> KernelResult {
    let (from, to) = (rows.integers(0)?, rows.integers(1)?);
    let step = if rows.inputs.len() > 2 { Some(rows.integers(2)?) } else { None };
    rows.build_variants(|row| {
        let step = match &step {
            Some(s) => s.get(row),
            None => Some(1),
        };
        let (Some(from), Some(to), Some(step)) = (from.get(row), to.get(row), step) else {
            return Ok(None);
        };
        if step == 0 {
            return Err(
                UserError::new(Code::InvalidArgument, "The step of a range cannot be 0").into()
            );
        }
        let mut items = Vec::new();
        let mut at = from;
        while (step > 0 && at < to) || (step < 0 && at > to) {
            items.push(Value::integer(at));
            if items.len() as i64 > RANGE_MAX {
                return Err(UserError::new(
                    Code::ResourceLimit,
                    format!("a range has more than {RANGE_MAX} elements"),
                )
                .into());
            }
            at += step;
        }
        Ok(Some(Value::List(items)))
    })
}

fn split(rows: &Rows) -> KernelResult {
    let (texts, by) = (rows.texts(0)?, rows.texts(1)?);
    rows.build_variants(|row| match (texts.get(row), by.get(row)) {
        (Some(text), Some("")) => Ok(Some(Value::List(vec![Value::Text(text.into())]))),
        (Some(text), Some(by)) => {
            Ok(Some(Value::List(text.split(by).map(|t| Value::Text(t.into())).collect())))
        }
        _ => Ok(None),
    })
}

fn strtok_to_array(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    let by = if rows.inputs.len() > 1 { Some(rows.texts(1)?) } else { None };
    rows.build_variants(|row| {
        let by = match &by {
            Some(b) => b.get(row),
            None => Some(" "),
        };
        match (texts.get(row), by) {
            (Some(text), Some(by)) => Ok(Some(Value::List(
                super::string::tokens(text, by)
                    .into_iter()
                    .map(|t| Value::Text(t.into()))
                    .collect(),
            ))),
            _ => Ok(None),
        }
    })
}
