//! The common type of several values.

use datafusion::common::ScalarValue;
use frazil_common::{Code, SqlType, TimeZoneKind, UserError};

use crate::cast::{CastMode, cast};
use crate::facts::Facts;
use crate::typed::TypedExpr;

/// The type that both values convert to implicitly: for set operations, CASE, IN and comparisons.
pub fn common_type(a: &SqlType, b: &SqlType) -> Option<SqlType> {
    use SqlType as T;
    if a == b {
        return Some(a.clone());
    }
    Some(match (a, b) {
        (T::Null, other) | (other, T::Null) => other.clone(),
        (T::Number { precision: p1, scale: s1 }, T::Number { precision: p2, scale: s2 }) => {
            let scale = *s1.max(s2);
            let leading = (p1 - s1).max(p2 - s2);
            T::Number { precision: (leading + scale).clamp(1, 38), scale }
        }
        (T::Float, T::Number { .. } | T::Boolean) | (T::Number { .. } | T::Boolean, T::Float) => {
            T::Float
        }
        (T::Varchar { length: l1 }, T::Varchar { length: l2 }) => {
            T::Varchar { length: *l1.max(l2) }
        }
        (T::Binary { length: l1 }, T::Binary { length: l2 }) => T::Binary { length: *l1.max(l2) },
        (T::Varchar { .. }, T::Number { precision, scale })
        | (T::Number { precision, scale }, T::Varchar { .. }) => {
            // Room for the fraction a text may hold, as text is read at run time.
            let fraction = (*scale).clamp(5, 37);
            T::Number {
                precision: (precision - scale + fraction).max(18 + fraction).min(38),
                scale: fraction,
            }
        }
        (
            T::Varchar { .. },
            other @ (T::Float
            | T::Boolean
            | T::Date
            | T::Time { .. }
            | T::Timestamp { .. }
            | T::Binary { .. }),
        )
        | (
            other @ (T::Float
            | T::Boolean
            | T::Date
            | T::Time { .. }
            | T::Timestamp { .. }
            | T::Binary { .. }),
            T::Varchar { .. },
        ) => other.clone(),
        (T::Boolean, number @ T::Number { .. }) | (number @ T::Number { .. }, T::Boolean) => {
            number.clone()
        }
        (T::Date, stamp @ T::Timestamp { .. }) | (stamp @ T::Timestamp { .. }, T::Date) => {
            stamp.clone()
        }
        (T::Time { scale: s1, nanos: n1 }, T::Time { scale: s2, nanos: n2 }) => {
            T::Time { scale: *s1.max(s2), nanos: *n1 || *n2 }
        }
        (
            T::Timestamp { zone: z1, scale: s1, nanos: n1 },
            T::Timestamp { zone: z2, scale: s2, nanos: n2 },
        ) => {
            let zone = match (z1, z2) {
                (TimeZoneKind::Tz, _) | (_, TimeZoneKind::Tz) => TimeZoneKind::Tz,
                (TimeZoneKind::Ltz, _) | (_, TimeZoneKind::Ltz) => TimeZoneKind::Ltz,
                _ => TimeZoneKind::Ntz,
            };
            T::Timestamp { zone, scale: *s1.max(s2), nanos: *n1 || *n2 }
        }
        (T::Variant, _) | (_, T::Variant) => T::Variant,
        (T::Object, T::Varchar { .. }) | (T::Varchar { .. }, T::Object) => return None,
        (T::Vector { .. }, array @ T::Array) | (array @ T::Array, T::Vector { .. }) => {
            array.clone()
        }
        _ => return None,
    })
}

pub(crate) fn mismatch(a: &SqlType, b: &SqlType) -> UserError {
    UserError::new(
        Code::IncompatibleTypes,
        format!("Can not convert parameter of type [{b}] into expected type [{a}]"),
    )
}

/// Casts all values to their common type, for CASE, COALESCE, IN, UNION and VALUES.
pub fn unify(
    values: Vec<TypedExpr>,
    facts: &Facts,
) -> Result<(Vec<TypedExpr>, SqlType), UserError> {
    let mut common = SqlType::Null;
    for value in &values {
        common = common_type(&common, &value.sql_type)
            .ok_or_else(|| mismatch(&common, &value.sql_type))?;
    }
    let cast_all = values
        .into_iter()
        .map(|value| cast(value, &common, CastMode::Implicit, facts))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((cast_all, common))
}

/// Two values of one type for a comparison. A literal takes the column's type where that loses
/// nothing, so that the column stays bare and files can be pruned by it.
pub fn comparable(
    left: TypedExpr,
    right: TypedExpr,
    facts: &Facts,
) -> Result<(TypedExpr, TypedExpr), UserError> {
    use SqlType as T;
    if left.sql_type == right.sql_type {
        return Ok((left, right));
    }
    let fitting = |literal: &TypedExpr, to: &T| {
        exact_literal(literal, to, facts).or_else(|| end_of_range(literal, to, facts))
    };
    if right.as_literal().is_some() && left.as_literal().is_none() {
        if let Some(literal) = fitting(&right, &left.sql_type) {
            return Ok((left, literal));
        }
    } else if left.as_literal().is_some()
        && right.as_literal().is_none()
        && let Some(literal) = fitting(&left, &right.sql_type)
    {
        return Ok((literal, right));
    }
    let common = match (&left.sql_type, &right.sql_type) {
        // A VARIANT is compared as the other side's type.
        (T::Variant, T::Null) | (T::Null, T::Variant) => T::Variant,
        (T::Variant, T::Number { precision: _, scale })
        | (T::Number { precision: _, scale }, T::Variant) => {
            let scale = (*scale).max(12);
            T::Number { precision: 38, scale }
        }
        (T::Variant, other) | (other, T::Variant) if !other.is_semi_structured() => other.clone(),
        (a, b) => common_type(a, b).ok_or_else(|| mismatch(a, b))?,
    };
    let common = match common {
        T::Varchar { .. } => T::TEXT,
        other => other,
    };
    Ok((
        cast(left, &common, CastMode::Implicit, facts)?,
        cast(right, &common, CastMode::Implicit, facts)?,
    ))
}

/// For a literal beyond the years that nanoseconds reach, the end of these: every value compares with
/// both alike.
fn end_of_range(literal: &TypedExpr, to: &SqlType, facts: &Facts) -> Option<TypedExpr> {
    use SqlType as T;
    let T::Timestamp { zone, nanos: true, .. } = to else { return None };
    match common_type(&literal.sql_type, to)? {
        T::Timestamp { zone: common, .. } if common == *zone && *zone != TimeZoneKind::Tz => {}
        _ => return None,
    }
    let micros = T::Timestamp { zone: *zone, scale: 6, nanos: false };
    let value = cast(literal.clone(), &micros, CastMode::Implicit, facts).ok()?;
    let ScalarValue::TimestampMicrosecond(Some(count), zone) = value.as_literal()? else {
        return None;
    };
    let end = if *count < 0 { i64::MIN } else { i64::MAX };
    let end = ScalarValue::TimestampNanosecond(Some(end), zone.clone());
    count.checked_mul(1000).is_none().then(|| TypedExpr::literal(end, to.clone()))
}

/// The literal in the other side's type, if it means the same there.
fn exact_literal(literal: &TypedExpr, to: &SqlType, facts: &Facts) -> Option<TypedExpr> {
    use SqlType as T;
    let sensible = match (&literal.sql_type, to) {
        (T::Null, _) => return Some(TypedExpr::null_of(to.clone())),
        (T::Number { .. }, T::Number { .. })
        | (T::Varchar { .. }, T::Varchar { .. })
        | (T::Number { .. }, T::Float)
        | (T::Timestamp { zone: TimeZoneKind::Ntz, .. }, T::Date)
        | (T::Varchar { .. }, T::Date | T::Timestamp { .. } | T::Time { .. }) => true,
        _ => false,
    };
    if !sensible {
        return None;
    }
    if let (T::Varchar { .. }, T::Varchar { .. }) = (&literal.sql_type, to) {
        return Some(TypedExpr { sql_type: to.clone(), ..literal.clone() });
    }
    let cast_to = |to: &T| {
        let value = cast(literal.clone(), to, CastMode::Implicit, facts).ok()?;
        value.as_literal().is_some().then_some(value)
    };
    let result = cast_to(to)?;
    match (&literal.sql_type, to) {
        (T::Number { .. }, T::Number { .. }) | (T::Timestamp { .. }, T::Date) => {
            // Going back must give the same value.
            let back = cast(result.clone(), &literal.sql_type, CastMode::Implicit, facts).ok()?;
            (back.as_literal()? == literal.as_literal()?).then_some(result)
        }
        (T::Varchar { .. }, T::Date) => {
            // '1994-01-01 12:00' is no date; then both sides compare as timestamps.
            let stamp = cast_to(&T::TIMESTAMP_NTZ)?;
            let again = cast(result.clone(), &T::TIMESTAMP_NTZ, CastMode::Implicit, facts).ok()?;
            match (again.as_literal()?, stamp.as_literal()?) {
                (
                    ScalarValue::TimestampMicrosecond(a, _),
                    ScalarValue::TimestampMicrosecond(b, _),
                ) if a == b => Some(result),
                _ => None,
            }
        }
        _ => Some(result),
    }
}
