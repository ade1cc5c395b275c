//! JSON, objects, paths, and predicates on VARIANT values.

use std::collections::BTreeMap;

use frazil_common::{Code, SqlType, UserError};

use crate::arguments::Arguments;
use crate::cast::{CastMode, cast, text_lit};
use crate::kernel::{KernelResult, Rows, call};
use crate::operators::{get_path_kernel, path_index};
use crate::registry::Registry;
use crate::typed::TypedExpr;
use crate::variant::{Value, parse_json, parse_json_with, row_to_value, write_json};

type Bound = Result<TypedExpr, UserError>;
const TEXT: SqlType = SqlType::TEXT;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["PARSE_JSON"], |a| match repeats(&a)? {
        false => parse(a, "frazil_parse_json", parse_json_kernel),
        true => parse(a, "frazil_parse_json_repeats", parse_json_repeats),
    });
    registry.add(&["TRY_PARSE_JSON"], |a| match repeats(&a)? {
        false => parse(a, "frazil_try_parse_json", try_parse_json),
        true => parse(a, "frazil_try_parse_json_repeats", try_parse_json_repeats),
    });
    registry.add(&["CHECK_JSON"], |a| {
        a.expect(1..=1)?;
        let mut out = a.kernel("frazil_check_json", &[TEXT], TEXT, check_json)?;
        out.nullable = true;
        Ok(out)
    });
    registry.add(&["TO_JSON"], |a| {
        a.expect(1..=1)?;
        let args = vec![a.variant(0)?];
        Ok(a.call("frazil_to_json", args, TEXT, to_json))
    });
    registry
        .add(&["OBJECT_CONSTRUCT"], |a| construct(a, "frazil_object_construct", object_construct));
    registry.add(&["OBJECT_CONSTRUCT_KEEP_NULL"], |a| {
        construct(a, "frazil_object_construct_keep_null", object_construct_keep_null)
    });
    registry.add(&["OBJECT_INSERT"], |a| {
        a.expect(3..=4)?;
        let update = if a.len() > 3 { a.boolean(3)? } else { TypedExpr::boolean(false).expr };
        let args = vec![object(&a, 0)?, a.text(1)?, a.get(2)?.expr.clone(), update];
        Ok(a.call("frazil_object_insert", args, SqlType::Object, object_insert))
    });
    registry.add(&["OBJECT_DELETE"], |a| keys(a, "frazil_object_delete", object_delete));
    registry.add(&["OBJECT_PICK"], |a| keys(a, "frazil_object_pick", object_pick));
    registry.add(&["OBJECT_KEYS"], |a| {
        a.expect(1..=1)?;
        let args = vec![a.variant(0)?];
        Ok(a.call("frazil_object_keys", args, SqlType::Array, object_keys))
    });
    registry.add(&["GET"], |a| {
        a.expect(2..=2)?;
        path_index(a.get(0)?.clone(), a.get(1)?.clone(), a.facts)
    });
    registry.add(&["GET_IGNORE_CASE"], |a| {
        a.expect(2..=2)?;
        let args = vec![a.variant(0)?, a.text(1)?];
        Ok(a.call("frazil_get_ignore_case", args, SqlType::Variant, get_ignore_case))
    });
    registry.add(&["GET_PATH"], |a| {
        a.expect(2..=2)?;
        let args = vec![a.variant(0)?, a.text(1)?];
        Ok(a.call("frazil_get_path", args, SqlType::Variant, get_path_kernel))
    });
    registry.add(&["JSON_EXTRACT_PATH_TEXT"], |a| {
        a.expect(2..=2)?;
        let json = a.kernel_of("PARSE_JSON", 0)?;
        let args = vec![json.expr, a.text(1)?];
        let found = a.call("frazil_get_path", args, SqlType::Variant, get_path_kernel);
        cast(found, &TEXT, CastMode::Explicit, a.facts)
    });
    registry.add(&["TYPEOF"], |a| {
        a.expect(1..=1)?;
        let args = vec![a.variant(0)?];
        Ok(a.call("frazil_typeof", args, TEXT, type_of))
    });
    registry.add(&["STRIP_NULL_VALUE"], |a| {
        a.expect(1..=1)?;
        let args = vec![a.variant(0)?];
        Ok(a.call("frazil_strip_null_value", args, SqlType::Variant, strip_null_value))
    });
    for_kinds(registry);
}

fn for_kinds(registry: &mut Registry) {
    macro_rules! kinds {
        ($($is:literal, $as:literal, $kind:literal, $to:expr);* $(;)?) => {
            $(
                registry.add(&[$is], |a| is(a, $kind));
                registry.add(&[$as], |a| only(a, $to, $kind));
            )*
        };
    }
    kinds!(
        "IS_ARRAY", "AS_ARRAY", "array", SqlType::Array;
        "IS_OBJECT", "AS_OBJECT", "object", SqlType::Object;
        "IS_BOOLEAN", "AS_BOOLEAN", "boolean", SqlType::Boolean;
        "IS_INTEGER", "AS_INTEGER", "integer", SqlType::INTEGER;
        "IS_DOUBLE", "AS_DOUBLE", "double", SqlType::Float;
        "IS_REAL", "AS_REAL", "double", SqlType::Float;
        "IS_VARCHAR", "AS_VARCHAR", "varchar", TEXT;
        "IS_CHAR", "AS_CHAR", "varchar", TEXT;
        "IS_BINARY", "AS_BINARY", "binary", SqlType::BYTES;
        "IS_DATE", "AS_DATE", "date", SqlType::Date;
        "IS_TIME", "AS_TIME", "time", SqlType::TIME;
        "IS_TIMESTAMP_NTZ", "AS_TIMESTAMP_NTZ", "timestamp_ntz", SqlType::TIMESTAMP_NTZ;
        "IS_TIMESTAMP_LTZ", "AS_TIMESTAMP_LTZ", "timestamp_ltz", SqlType::TIMESTAMP_LTZ;
        "IS_TIMESTAMP_TZ", "AS_TIMESTAMP_TZ", "timestamp_ltz", SqlType::TIMESTAMP_TZ;
    );
    registry.add(&["IS_NULL_VALUE"], |a| is(a, "null"));
    registry.add(&["IS_DATE_VALUE"], |a| is(a, "date"));
    registry.add(&["IS_DECIMAL"], |a| is(a, "decimal"));
    registry.add(&["AS_DECIMAL", "AS_NUMBER"], |a| {
        let part = |index: usize, default: i64| {
            if a.len() > index { a.constant_integer(index) } else { Ok(default) }
        };
        let (precision, scale) = (part(1, 38)?, part(2, 0)?);
        if !(1..=38).contains(&precision) || !(0..=37).contains(&scale) {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("invalid precision or scale ({precision},{scale})"),
            ));
        }
        only(a, SqlType::Number { precision: precision as u8, scale: scale as u8 }, "decimal")
    });
}

impl Arguments<'_> {
    /// One argument through another function.
    fn kernel_of(&self, function: &str, index: usize) -> Bound {
        match crate::scalar(function) {
            Some(function) => function.bind(vec![self.get(index)?.clone()], self.facts),
            None => Err(UserError::internal(format!("{function} is missing"))),
        }
    }
}

fn object(a: &Arguments, index: usize) -> Result<datafusion::logical_expr::Expr, UserError> {
    match a.get(index)?.sql_type {
        SqlType::Object | SqlType::Variant | SqlType::Null => a.variant(index),
        _ => Err(a.wrong_types()),
    }
}

/// The parameter of PARSE_JSON: `d` lets an object name a field twice, `s` does not.
fn repeats(a: &Arguments) -> Result<bool, UserError> {
    a.expect(1..=2)?;
    if a.len() < 2 {
        return Ok(false);
    }
    match a.constant_text(1)?.as_str() {
        "d" => Ok(true),
        "s" => Ok(false),
        other => Err(UserError::new(
            Code::InvalidArgument,
            format!("Invalid parameter '{other}' of {}: 'd' or 's'", a.name),
        )),
    }
}

fn parse_json_repeats(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_variants(|row| match texts.get(row) {
        Some(text) => Ok(parse_json_with(text, true)?),
        None => Ok(None),
    })
}

fn try_parse_json_repeats(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_variants(|row| {
        Ok(texts.get(row).and_then(|t| parse_json_with(t, true).ok().flatten()))
    })
}

fn parse(a: Arguments, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    a.expect(1..=2)?;
    let args = vec![a.text(0)?];
    Ok(a.call(name, args, SqlType::Variant, run))
}

fn parse_json_kernel(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_variants(|row| match texts.get(row) {
        Some(text) => Ok(parse_json(text)?),
        None => Ok(None),
    })
}

fn try_parse_json(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_variants(|row| Ok(texts.get(row).and_then(|t| parse_json(t).ok().flatten())))
}

fn check_json(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_texts(|row| Ok(texts.get(row).and_then(|t| parse_json(t).err().map(|e| e.message))))
}

fn to_json(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    rows.build_texts(|row| {
        Ok(values.get(row).map(|v| {
            let mut out = String::new();
            write_json(&v, &mut out);
            out
        }))
    })
}

/// Pairs of key and value of any type.
fn construct(a: Arguments, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    if !a.len().is_multiple_of(2) {
        return Err(UserError::new(
            Code::ArgumentCount,
            format!("function [{}] needs an even number of arguments, got {}", a.name, a.len()),
        ));
    }
    let mut args = Vec::with_capacity(a.len());
    for index in 0..a.len() {
        if index % 2 == 0 {
            args.push(a.text(index)?);
        } else {
            args.push(a.get(index)?.expr.clone());
        }
    }
    Ok(call(name, args, SqlType::Object, false, run))
}

fn build_object(rows: &Rows, keep_null: bool) -> KernelResult {
    let keys = (0..rows.inputs.len())
        .step_by(2)
        .map(|i| rows.texts(i))
        .collect::<KernelResult<Vec<_>>>()?;
    rows.build_variants(|row| {
        let mut fields = BTreeMap::new();
        for (index, keys) in keys.iter().enumerate() {
            let Some(key) = keys.get(row) else { continue };
            let input = rows.input(index * 2 + 1)?;
            let value = row_to_value(input.array.as_ref(), input.row(row))?;
            let Some(value) = value.or(keep_null.then_some(Value::Null)) else { continue };
            if fields.insert(key.to_string(), value).is_some() {
                return Err(UserError::new(
                    Code::InvalidArgument,
                    format!("Duplicate field key '{key}'"),
                )
                .into());
            }
        }
        Ok(Some(Value::Object(fields)))
    })
}

fn object_construct(rows: &Rows) -> KernelResult {
    build_object(rows, false)
}

fn object_construct_keep_null(rows: &Rows) -> KernelResult {
    build_object(rows, true)
}

/// A NULL value removes the key on update and is left out on insert.
fn object_insert(rows: &Rows) -> KernelResult {
    let (objects, keys) = (rows.variants(0)?, rows.texts(1)?);
    let values = rows.input(2)?;
    let update = rows.booleans(3)?;
    rows.build_variants(|row| {
        let (Some(Value::Object(mut fields)), Some(key), Some(update)) =
            (objects.value(row), keys.get(row), update.get(row))
        else {
            return Ok(None);
        };
        let value = row_to_value(values.array.as_ref(), values.row(row))?;
        if fields.contains_key(key) && !update {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("Duplicate field key '{key}'"),
            )
            .into());
        }
        match value {
            Some(value) => {
                fields.insert(key.to_string(), value);
            }
            None => {
                fields.remove(key);
            }
        }
        Ok(Some(Value::Object(fields)))
    })
}

/// (object, key, …); a key may be an array of keys.
fn keys(a: Arguments, name: &'static str, run: fn(&Rows) -> KernelResult) -> Bound {
    a.expect(2..=usize::MAX)?;
    let mut args = vec![object(&a, 0)?];
    for index in 1..a.len() {
        args.push(a.get(index)?.expr.clone());
    }
    Ok(a.call(name, args, SqlType::Object, run))
}

fn named(rows: &Rows, row: usize) -> KernelResult<Vec<String>> {
    let mut names = Vec::new();
    for index in 1..rows.inputs.len() {
        let input = rows.input(index)?;
        match row_to_value(input.array.as_ref(), input.row(row))? {
            Some(Value::Text(name)) => names.push(name),
            Some(Value::List(items)) => names.extend(items.into_iter().filter_map(|v| match v {
                Value::Text(name) => Some(name),
                _ => None,
            })),
            _ => {}
        }
    }
    Ok(names)
}

fn object_delete(rows: &Rows) -> KernelResult {
    let objects = rows.variants(0)?;
    rows.build_variants(|row| match objects.value(row) {
        Some(Value::Object(mut fields)) => {
            for name in named(rows, row)? {
                fields.remove(&name);
            }
            Ok(Some(Value::Object(fields)))
        }
        _ => Ok(None),
    })
}

fn object_pick(rows: &Rows) -> KernelResult {
    let objects = rows.variants(0)?;
    rows.build_variants(|row| match objects.value(row) {
        Some(Value::Object(mut fields)) => {
            let names = named(rows, row)?;
            fields.retain(|name, _| names.contains(name));
            Ok(Some(Value::Object(fields)))
        }
        _ => Ok(None),
    })
}

fn object_keys(rows: &Rows) -> KernelResult {
    let objects = rows.variants(0)?;
    rows.build_variants(|row| match objects.value(row) {
        Some(Value::Object(fields)) => {
            Ok(Some(Value::List(fields.into_keys().map(Value::Text).collect())))
        }
        _ => Ok(None),
    })
}

/// An exact name wins over one that differs in case.
fn get_ignore_case(rows: &Rows) -> KernelResult {
    let (objects, names) = (rows.variants(0)?, rows.texts(1)?);
    rows.build_variants(|row| match (objects.value(row), names.get(row)) {
        (Some(Value::Object(mut fields)), Some(name)) => Ok(fields.remove(name).or_else(|| {
            fields.into_iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v)
        })),
        _ => Ok(None),
    })
}

fn type_of(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    rows.build_texts(|row| Ok(values.value(row).map(|v| v.type_name())))
}

fn strip_null_value(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    rows.build_variants(|row| Ok(values.value(row).filter(|v| *v != Value::Null)))
}

/// Kinds of values that IS_* asks for and AS_* lets through; the literal names one.
fn holds(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => *value == Value::Null,
        "array" => matches!(value, Value::List(_)),
        "object" => matches!(value, Value::Object(_)),
        "boolean" => matches!(value, Value::Boolean(_)),
        "integer" => matches!(value, Value::Number { scale: 0, .. }),
        "decimal" => matches!(value, Value::Number { .. }),
        "double" => matches!(value, Value::Double(_) | Value::Number { .. }),
        "varchar" => matches!(value, Value::Text(_)),
        "binary" => matches!(value, Value::Binary(_)),
        "date" => matches!(value, Value::Date(_)),
        "time" => matches!(value, Value::Time(_)),
        "timestamp_ntz" => matches!(value, Value::Timestamp { instant: false, .. }),
        "timestamp_ltz" => matches!(value, Value::Timestamp { instant: true, .. }),
        _ => false,
    }
}

fn is(a: Arguments, kind: &str) -> Bound {
    a.expect(1..=1)?;
    let args = vec![a.variant(0)?, text_lit(kind)];
    Ok(a.call("frazil_is", args, SqlType::Boolean, is_kernel))
}

fn is_kernel(rows: &Rows) -> KernelResult {
    let (values, kinds) = (rows.variants(0)?, rows.texts(1)?);
    let kind = kinds.get(0).unwrap_or("");
    rows.build_booleans(|row| Ok(values.value(row).map(|v| holds(kind, &v))))
}

/// The value if it holds that type, else NULL.
fn only(a: Arguments, to: SqlType, kind: &str) -> Bound {
    a.expect(1..=3)?;
    let args = vec![a.variant(0)?, text_lit(kind)];
    let value = a.call("frazil_as", args, SqlType::Variant, as_kernel);
    cast(value, &to, CastMode::Explicit, a.facts)
}

fn as_kernel(rows: &Rows) -> KernelResult {
    let (values, kinds) = (rows.variants(0)?, rows.texts(1)?);
    let kind = kinds.get(0).unwrap_or("");
    rows.build_variants(|row| Ok(values.value(row).filter(|v| holds(kind, v))))
}
