//! Conversion between SQL types, with Snowflake's rounding, texts and errors.

mod numeric;
mod semi_structured;
mod temporal;
mod text;

pub(crate) use temporal::{
    build_times, build_timestamps, temporal_to_text, text_to_date, text_to_time,
    text_to_timestamp_kernel,
};
pub(crate) use text::{binary_to_text, text_to_binary};

use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, lit};
use frazil_common::{Code, SqlType, TimeZoneKind, UserError};

use crate::error::FunctionError;
use crate::facts::Facts;
use crate::kernel::{KernelFn, KernelResult, Rows, call};
use crate::typed::TypedExpr;

/// How a conversion came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastMode {
    /// By the binder; text that is too long is an error.
    Implicit,
    /// By `CAST` or `::`; text that is too long is cut.
    Explicit,
    /// By `TRY_CAST`; failures, and text that is too long, are NULL.
    Try,
}

/// `Err` becomes NULL in TRY mode.
pub(crate) fn attempt<T>(lenient: bool, result: Result<T, UserError>) -> KernelResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(_) if lenient => Ok(None),
        Err(error) => Err(FunctionError::User(error)),
    }
}

/// The literal flag that casting kernels take as their last argument.
pub(crate) fn lenient(rows: &Rows, index: usize) -> KernelResult<bool> {
    Ok(rows.booleans(index)?.get(0).unwrap_or(false))
}

/// A conversion that Arrow does right and the optimizer understands.
fn native(value: TypedExpr, to: SqlType) -> TypedExpr {
    let expr = Expr::Cast(Cast::new(Box::new(value.expr), to.to_arrow()));
    crate::evaluate::fold(TypedExpr::new(expr, to, value.nullable))
}

fn impossible(from: &SqlType, to: &SqlType) -> UserError {
    UserError::new(
        Code::IncompatibleTypes,
        format!("invalid type for conversion: {from} cannot be converted to {to}"),
    )
}

/// Casts between types of single values: each takes about the time that reading its value takes.
const OF_SINGLE_VALUES: &[&str] = &[
    "frazil_binary_length",
    "frazil_binary_to_text",
    "frazil_boolean_to_number",
    "frazil_boolean_to_text",
    "frazil_float_to_boolean",
    "frazil_float_to_number",
    "frazil_float_to_text",
    "frazil_number_to_boolean",
    "frazil_number_to_text",
    "frazil_temporal_to_text",
    "frazil_text_fits",
    "frazil_text_length",
    "frazil_text_to_binary",
    "frazil_text_to_boolean",
    "frazil_text_to_date",
    "frazil_text_to_float",
    "frazil_text_to_number",
    "frazil_text_to_time",
    "frazil_text_to_timestamp",
    "frazil_time_to_time",
    "frazil_timestamp_to_date",
    "frazil_timestamp_to_time",
    "frazil_timestamp_to_timestamp",
    "frazil_to_number",
];

/// Whether a function of this name is a cast between types of single values.
pub fn is_cast(name: &str) -> bool {
    OF_SINGLE_VALUES.binary_search(&name).is_ok()
}

fn by_kernel(
    value: TypedExpr,
    to: &SqlType,
    mode: CastMode,
    name: &'static str,
    more: Vec<Expr>,
    run: KernelFn,
) -> TypedExpr {
    let mut args = vec![value.expr, lit(mode == CastMode::Try)];
    args.extend(more);
    let nullable = value.nullable || mode == CastMode::Try;
    call(name, args, to.clone(), nullable, run)
}

/// `value` as type `to`.
///
/// Errors with 002016 for types that do not convert; values that do not convert fail when the
/// expression runs, with the code of the target type.
pub fn cast(
    value: TypedExpr,
    to: &SqlType,
    mode: CastMode,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    use SqlType as T;
    let from = value.sql_type.clone();
    if from == *to || *to == T::Null {
        return Ok(value);
    }
    if from == T::Null {
        if value.is_null_literal() {
            return Ok(TypedExpr::null_of(to.clone()));
        }
        return Ok(native(value, to.clone()));
    }
    let relabelled = |value: TypedExpr| TypedExpr { sql_type: to.clone(), ..value };
    let zone = || text_lit(&facts.timezone.to_string());
    Ok(match (&from, to) {
        (T::Number { precision: p1, scale: s1 }, T::Number { precision: p2, scale: s2 }) => {
            let widening = s2 >= s1 && p2 - s2.min(p2) >= p1 - s1.min(p1);
            if widening && from.to_arrow() == to.to_arrow() {
                relabelled(value)
            } else if widening {
                native(value, to.clone())
            } else {
                by_kernel(
                    value,
                    to,
                    mode,
                    "frazil_to_number",
                    vec![lit(*p2 as i64)],
                    numeric::number_to_number,
                )
            }
        }
        (T::Number { .. }, T::Float) => native(value, T::Float),
        (T::Float, T::Number { precision, .. }) => by_kernel(
            value,
            to,
            mode,
            "frazil_float_to_number",
            vec![lit(*precision as i64)],
            numeric::float_to_number,
        ),
        (T::Varchar { .. }, T::Number { precision, .. }) => by_kernel(
            value,
            to,
            mode,
            "frazil_text_to_number",
            vec![lit(*precision as i64)],
            numeric::text_to_number,
        ),
        (T::Boolean, T::Number { .. }) => by_kernel(
            value,
            to,
            mode,
            "frazil_boolean_to_number",
            vec![],
            numeric::boolean_to_number,
        ),
        (T::Boolean, T::Float) => native(value, T::Float),
        (T::Varchar { .. }, T::Float) => {
            by_kernel(value, to, mode, "frazil_text_to_float", vec![], numeric::text_to_float)
        }
        (T::Number { .. }, T::Boolean) => by_kernel(
            value,
            to,
            mode,
            "frazil_number_to_boolean",
            vec![],
            numeric::number_to_boolean,
        ),
        (T::Float, T::Boolean) => {
            by_kernel(value, to, mode, "frazil_float_to_boolean", vec![], numeric::float_to_boolean)
        }
        (T::Varchar { .. }, T::Boolean) => {
            by_kernel(value, to, mode, "frazil_text_to_boolean", vec![], text::text_to_boolean)
        }
        (_, T::Varchar { length }) => return to_text(value, *length, mode, facts),
        (T::Varchar { .. }, T::Date) => {
            by_kernel(value, to, mode, "frazil_text_to_date", vec![], temporal::text_to_date)
        }
        // Digits beyond a declared scale are cut off.
        (T::Varchar { .. }, T::Time { scale: 0..6, nanos }) => {
            let read = cast(value, &T::Time { scale: 6, nanos: *nanos }, mode, facts)?;
            return cast(read, to, mode, facts);
        }
        (T::Varchar { .. }, T::Timestamp { zone, scale: 0..6, nanos }) => {
            let read = T::Timestamp { zone: *zone, scale: 6, nanos: *nanos };
            return cast(cast(value, &read, mode, facts)?, to, mode, facts);
        }
        (T::Varchar { .. }, T::Time { .. }) => {
            by_kernel(value, to, mode, "frazil_text_to_time", vec![], temporal::text_to_time)
        }
        (T::Varchar { .. }, T::Timestamp { .. }) => by_kernel(
            value,
            to,
            mode,
            "frazil_text_to_timestamp",
            vec![zone()],
            temporal::text_to_timestamp_kernel,
        ),
        (T::Number { .. }, T::Timestamp { zone, .. }) if mode == CastMode::Explicit => {
            let name = match zone {
                TimeZoneKind::Ntz => "TO_TIMESTAMP_NTZ",
                TimeZoneKind::Ltz => "TO_TIMESTAMP_LTZ",
                TimeZoneKind::Tz => "TO_TIMESTAMP_TZ",
            };
            let function = crate::scalar(name).ok_or_else(|| UserError::internal(name))?;
            let read = function.bind(vec![value], facts)?;
            return cast(read, to, mode, facts);
        }
        (T::Date, T::Timestamp { zone: TimeZoneKind::Ntz, .. }) => native(value, to.clone()),
        (T::Date, T::Timestamp { .. }) => {
            let wall = cast(value, &T::TIMESTAMP_NTZ, mode, facts)?;
            return cast(wall, to, mode, facts);
        }
        (T::Timestamp { .. }, T::Timestamp { scale, .. }) => {
            let (from_zone, from_scale) = match &from {
                T::Timestamp { zone, scale, .. } => (*zone, *scale),
                _ => (TimeZoneKind::Ntz, 9),
            };
            let same_zone = matches!(to, T::Timestamp { zone, .. } if *zone == from_zone);
            if same_zone && *scale >= from_scale && from.to_arrow() == to.to_arrow() {
                relabelled(value)
            } else {
                by_kernel(
                    value,
                    to,
                    mode,
                    "frazil_timestamp_to_timestamp",
                    vec![zone(), lit(*scale as i64)],
                    temporal::timestamp_zone_kernel,
                )
            }
        }
        (T::Timestamp { .. }, T::Date) => by_kernel(
            value,
            to,
            mode,
            "frazil_timestamp_to_date",
            vec![zone()],
            temporal::timestamp_to_date,
        ),
        (T::Timestamp { .. }, T::Time { .. }) => by_kernel(
            value,
            to,
            mode,
            "frazil_timestamp_to_time",
            vec![zone()],
            temporal::timestamp_to_time,
        ),
        (T::Time { scale: s1, .. }, T::Time { scale: s2, .. }) => {
            if s2 >= s1 && from.to_arrow() == to.to_arrow() {
                relabelled(value)
            } else {
                by_kernel(
                    value,
                    to,
                    mode,
                    "frazil_time_to_time",
                    vec![lit(*s2 as i64)],
                    temporal::time_to_time,
                )
            }
        }
        (T::Varchar { .. }, T::Binary { .. }) => by_kernel(
            value,
            to,
            mode,
            "frazil_text_to_binary",
            vec![text_lit("HEX")],
            text::text_to_binary,
        ),
        (T::Binary { length: l1 }, T::Binary { length: l2 }) => {
            if l2 >= l1 {
                relabelled(value)
            } else {
                by_kernel(
                    value,
                    to,
                    mode,
                    "frazil_binary_length",
                    vec![lit(*l2 as i64)],
                    text::binary_length,
                )
            }
        }
        (_, T::Variant) if from.is_semi_structured() => relabelled(value),
        (T::Variant, T::Object) => by_kernel(
            value,
            to,
            mode,
            "frazil_variant_to_object",
            vec![],
            semi_structured::variant_to_object,
        ),
        (T::Variant, T::Array) => by_kernel(
            value,
            to,
            mode,
            "frazil_variant_to_array",
            vec![],
            semi_structured::variant_to_array,
        ),
        (_, T::Variant) => {
            by_kernel(value, to, mode, "frazil_to_variant", vec![], semi_structured::to_variant)
        }
        (T::Vector { .. }, T::Array) => {
            by_kernel(value, to, mode, "frazil_to_variant", vec![], semi_structured::to_variant)
        }
        (T::Variant | T::Array, T::Vector { dimension, .. }) => by_kernel(
            value,
            to,
            mode,
            "frazil_variant_to_vector",
            vec![lit(*dimension as i64)],
            semi_structured::variant_to_vector,
        ),
        (T::Variant, _) => {
            let (precision, scale) = match to {
                T::Number { precision, scale } => (*precision, *scale),
                _ => (0, 0),
            };
            by_kernel(
                value,
                to,
                mode,
                "frazil_variant_to",
                vec![zone(), lit(precision as i64), lit(scale as i64)],
                semi_structured::variant_to,
            )
        }
        _ => return Err(impossible(&from, to)),
    })
}

/// Text of any value, cut or checked to a length.
fn to_text(
    value: TypedExpr,
    length: u32,
    mode: CastMode,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    use SqlType as T;
    let from = value.sql_type.clone();
    let to = T::Varchar { length };
    let stamp = |zone: TimeZoneKind| match zone {
        TimeZoneKind::Ntz => facts.formats.timestamp_ntz.as_str(),
        TimeZoneKind::Ltz => facts.formats.timestamp_ltz.as_str(),
        TimeZoneKind::Tz => facts.formats.timestamp_tz.as_str(),
    };
    let full = T::TEXT;
    let (name, more, run): (&'static str, Vec<Expr>, KernelFn) = match &from {
        T::Varchar { length: held } if *held <= length => {
            return Ok(TypedExpr { sql_type: to, ..value });
        }
        T::Varchar { .. } => {
            if mode == CastMode::Try {
                let args = vec![value.expr, lit(length as i64)];
                return Ok(call("frazil_text_fits", args, to, true, text::text_fits));
            }
            let cut = mode == CastMode::Explicit;
            return Ok(call(
                "frazil_text_length",
                vec![value.expr, lit(length as i64), lit(cut)],
                to,
                value.nullable,
                text::text_length,
            ));
        }
        T::Number { .. } => ("frazil_number_to_text", vec![], text::number_to_text),
        T::Float => ("frazil_float_to_text", vec![], text::float_to_text),
        T::Boolean => ("frazil_boolean_to_text", vec![], text::boolean_to_text),
        T::Binary { .. } => {
            ("frazil_binary_to_text", vec![text_lit(&facts.formats.binary)], text::binary_to_text)
        }
        T::Date => return Ok(format_temporal(value, &facts.formats.date, &to, facts)),
        T::Time { .. } => return Ok(format_temporal(value, &facts.formats.time, &to, facts)),
        T::Timestamp { zone, .. } => return Ok(format_temporal(value, stamp(*zone), &to, facts)),
        T::Variant | T::Object | T::Array => {
            ("frazil_variant_to_text", vec![], semi_structured::variant_to_text)
        }
        T::Vector { .. } => ("frazil_vector_to_text", vec![], semi_structured::vector_to_text),
        T::Null => return Err(impossible(&from, &to)),
    };
    let text = by_kernel(value, &full, mode, name, more, run);
    if matches!(from, T::Variant | T::Object | T::Array | T::Binary { .. })
        && length < crate::cast::full_length()
    {
        return to_text(text, length, mode, facts);
    }
    Ok(TypedExpr { sql_type: to, ..text })
}

pub(crate) fn full_length() -> u32 {
    frazil_common::types::VARCHAR_LENGTH_MAX
}

/// A Utf8View literal expression.
pub(crate) fn text_lit(text: &str) -> Expr {
    TypedExpr::text(text).expr
}

/// A date, time or timestamp written with a format.
pub(crate) fn format_temporal(
    value: TypedExpr,
    format: &str,
    to: &SqlType,
    facts: &Facts,
) -> TypedExpr {
    call(
        "frazil_temporal_to_text",
        vec![value.expr, text_lit(format), text_lit(&facts.timezone.to_string())],
        to.clone(),
        value.nullable,
        temporal::temporal_to_text,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_of_single_values_are_found_by_their_names() {
        assert!(OF_SINGLE_VALUES.is_sorted());
        assert!(is_cast("frazil_text_to_number"));
        assert!(!is_cast("frazil_repeat") && !is_cast("frazil_variant_to_array"));
    }
}
