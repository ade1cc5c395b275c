//! Reading inside VARIANT values: `v:a.b[0]`, `o['k']`, `a[i]`.

use frazil_common::{Code, SqlType, UserError};
use parquet_variant::Variant;

use crate::cast::{CastMode, cast, text_lit};
use crate::facts::Facts;
use crate::kernel::{KernelResult, Rows, call};
use crate::typed::TypedExpr;
use crate::variant::Value;

fn container(value: TypedExpr) -> Result<TypedExpr, UserError> {
    match value.sql_type {
        SqlType::Variant | SqlType::Object | SqlType::Array | SqlType::Null => Ok(value),
        other => Err(UserError::new(
            Code::InvalidArgumentTypes,
            format!("Invalid argument types for function 'GET': ({other}, VARCHAR)"),
        )),
    }
}

/// `value:key` — the field of that name, exactly.
pub fn path_get(value: TypedExpr, key: &str) -> Result<TypedExpr, UserError> {
    let value = container(value)?;
    let args = vec![value.expr, text_lit(key)];
    Ok(call("frazil_get", args, SqlType::Variant, true, get_kernel))
}

/// `value[index]`: a field by text, an element by number from 0. A negative number gives NULL.
pub fn path_index(
    value: TypedExpr,
    index: TypedExpr,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    if let SqlType::Vector { .. } = value.sql_type {
        let array = cast(value, &SqlType::Array, CastMode::Implicit, facts)?;
        let item = path_index(array, index, facts)?;
        return cast(item, &SqlType::Float, CastMode::Implicit, facts);
    }
    let value = container(value)?;
    let index = match index.sql_type {
        SqlType::Varchar { .. } => index,
        SqlType::Variant => cast(index, &SqlType::TEXT, CastMode::Implicit, facts)?,
        _ => cast(index, &crate::arguments::SMALL_INTEGER, CastMode::Implicit, facts)?,
    };
    let args = vec![value.expr, index.expr];
    Ok(call("frazil_get", args, SqlType::Variant, true, get_kernel))
}

fn element<'a>(value: &Variant<'a, 'a>, index: i64) -> Option<Variant<'a, 'a>> {
    match value {
        Variant::List(list) => list.get(usize::try_from(index).ok()?),
        _ => None,
    }
}

fn field<'a>(value: &Variant<'a, 'a>, name: &str) -> Option<Variant<'a, 'a>> {
    match value {
        Variant::Object(object) => object.get(name),
        _ => None,
    }
}

pub(crate) fn get_kernel(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    if let Ok(names) = rows.texts(1) {
        return rows.build_variants(|row| match (values.get(row), names.get(row)) {
            (Some(value), Some(name)) => {
                let found = match name.parse::<i64>() {
                    Ok(index) if matches!(value, Variant::List(_)) => element(&value, index),
                    _ => field(&value, name),
                };
                Ok(found.map(|v| Value::decode(&v)))
            }
            _ => Ok(None),
        });
    }
    let indexes = rows.integers(1)?;
    rows.build_variants(|row| match (values.get(row), indexes.get(row)) {
        (Some(value), Some(index)) => Ok(element(&value, index).map(|v| Value::decode(&v))),
        _ => Ok(None),
    })
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Field(String),
    Index(i64),
}

/// Splits `a.b[0]['c']`.
pub(crate) fn parse_path(path: &str) -> Result<Vec<Step>, UserError> {
    let bad =
        || UserError::new(Code::InvalidArgument, format!("Invalid path expression: '{path}'"));
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (inside, after) = match after.chars().next() {
                Some(quote @ ('\'' | '"')) => {
                    let (name, after) =
                        after.get(1..).and_then(|a| a.split_once(quote)).ok_or_else(bad)?;
                    (Step::Field(name.to_string()), after.strip_prefix(']').ok_or_else(bad)?)
                }
                _ => {
                    let (number, after) = after.split_once(']').ok_or_else(bad)?;
                    (Step::Index(number.trim().parse().map_err(|_| bad())?), after)
                }
            };
            steps.push(inside);
            rest = after;
            continue;
        }
        rest = rest.strip_prefix(['.', ':']).unwrap_or(rest);
        if let Some(after) = rest.strip_prefix('"') {
            let (name, after) = after.split_once('"').ok_or_else(bad)?;
            steps.push(Step::Field(name.to_string()));
            rest = after;
        } else {
            let end = rest.find(['.', '[', ':']).unwrap_or(rest.len());
            if end == 0 {
                return Err(bad());
            }
            steps.push(Step::Field(rest[..end].to_string()));
            rest = &rest[end..];
        }
    }
    Ok(steps)
}

pub(crate) fn walk<'a>(value: Variant<'a, 'a>, steps: &[Step]) -> Option<Variant<'a, 'a>> {
    let mut current = value;
    for step in steps {
        current = match step {
            Step::Field(name) => field(&current, name)?,
            Step::Index(index) => element(&current, *index)?,
        };
    }
    Some(current)
}

/// (variant, path) → variant
pub(crate) fn get_path_kernel(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    let paths = rows.texts(1)?;
    let mut held: Option<(String, Vec<Step>)> = None;
    rows.build_variants(|row| {
        let (Some(value), Some(path)) = (values.get(row), paths.get(row)) else { return Ok(None) };
        if held.as_ref().is_none_or(|(text, _)| text != path) {
            held = Some((path.to_string(), parse_path(path)?));
        }
        let steps = held.as_ref().map(|(_, s)| s.as_slice()).unwrap_or(&[]);
        Ok(walk(value, steps).map(|v| Value::decode(&v)))
    })
}
