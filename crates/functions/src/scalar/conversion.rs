//! TO_* and TRY_TO_* functions.

use datafusion::logical_expr::{Expr, lit};
use frazil_common::{Code, SqlType, TimeZoneKind, UserError};

use super::number_format::NumberFormat;
use crate::arguments::Arguments;
use crate::cast::{self, CastMode, cast, text_lit};
use crate::kernel::{KernelResult, Rows, call};
use crate::number;
use crate::registry::Registry;
use crate::temporal::Moment;
use crate::typed::TypedExpr;

type Bound = Result<TypedExpr, UserError>;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["TO_CHAR", "TO_VARCHAR"], to_char);
    registry.add(&["TO_NUMBER", "TO_DECIMAL", "TO_NUMERIC"], |a| to_number(a, CastMode::Explicit));
    registry.add(&["TRY_TO_NUMBER", "TRY_TO_DECIMAL", "TRY_TO_NUMERIC"], |a| {
        to_number(a, CastMode::Try)
    });
    registry.add(&["TO_DOUBLE"], |a| simple(a, 2, SqlType::Float, CastMode::Explicit));
    registry.add(&["TRY_TO_DOUBLE"], |a| simple(a, 2, SqlType::Float, CastMode::Try));
    registry.add(&["TO_BOOLEAN"], |a| simple(a, 1, SqlType::Boolean, CastMode::Explicit));
    registry.add(&["TRY_TO_BOOLEAN"], |a| simple(a, 1, SqlType::Boolean, CastMode::Try));
    registry.add(&["TO_BINARY"], |a| to_binary(a, CastMode::Explicit));
    registry.add(&["TRY_TO_BINARY"], |a| to_binary(a, CastMode::Try));
    registry.add(&["TO_DATE", "DATE"], |a| to_date(a, CastMode::Explicit));
    registry.add(&["TRY_TO_DATE"], |a| to_date(a, CastMode::Try));
    registry.add(&["TO_TIME", "TIME"], |a| to_time(a, CastMode::Explicit));
    registry.add(&["TRY_TO_TIME"], |a| to_time(a, CastMode::Try));
    registry.add(&["TO_TIMESTAMP", "TO_TIMESTAMP_NTZ", "TIMESTAMP_NTZ"], |a| {
        to_timestamp(a, SqlType::TIMESTAMP_NTZ, CastMode::Explicit)
    });
    registry.add(&["TO_TIMESTAMP_LTZ"], |a| {
        to_timestamp(a, SqlType::TIMESTAMP_LTZ, CastMode::Explicit)
    });
    registry
        .add(&["TO_TIMESTAMP_TZ"], |a| to_timestamp(a, SqlType::TIMESTAMP_TZ, CastMode::Explicit));
    registry.add(&["TRY_TO_TIMESTAMP", "TRY_TO_TIMESTAMP_NTZ"], |a| {
        to_timestamp(a, SqlType::TIMESTAMP_NTZ, CastMode::Try)
    });
    registry
        .add(&["TRY_TO_TIMESTAMP_LTZ"], |a| to_timestamp(a, SqlType::TIMESTAMP_LTZ, CastMode::Try));
    registry
        .add(&["TRY_TO_TIMESTAMP_TZ"], |a| to_timestamp(a, SqlType::TIMESTAMP_TZ, CastMode::Try));
    registry.add(&["TO_VARIANT"], |a| simple(a, 1, SqlType::Variant, CastMode::Explicit));
    registry.add(&["TO_OBJECT"], |a| simple(a, 1, SqlType::Object, CastMode::Explicit));
    registry.add(&["TO_ARRAY"], to_array);
}

fn simple(a: Arguments, most: usize, to: SqlType, mode: CastMode) -> Bound {
    a.expect(1..=most)?;
    cast(a.get(0)?.clone(), &to, mode, a.facts)
}

fn to_array(a: Arguments) -> Bound {
    a.expect(1..=1)?;
    let value = a.get(0)?.clone();
    if value.sql_type == SqlType::Array {
        return Ok(value);
    }
    let variant = cast(value, &SqlType::Variant, CastMode::Explicit, a.facts)?;
    cast(
        TypedExpr { sql_type: SqlType::Variant, ..variant },
        &SqlType::Array,
        CastMode::Explicit,
        a.facts,
    )
}

fn to_char(a: Arguments) -> Bound {
    a.expect(1..=2)?;
    let value = a.get(0)?.clone();
    if a.len() == 1 {
        return cast(value, &SqlType::TEXT, CastMode::Explicit, a.facts);
    }
    let nullable = a.nullable();
    match value.sql_type {
        SqlType::Date | SqlType::Time { .. } | SqlType::Timestamp { .. } => {
            if let Some(format) = a.get(1)?.as_text_literal() {
                return Ok(cast::format_temporal(value, &format, &SqlType::TEXT, a.facts));
            }
            let zone = text_lit(&a.facts.timezone.to_string());
            let args = vec![value.expr, a.text(1)?, zone];
            Ok(call(
                "frazil_temporal_to_text",
                args,
                SqlType::TEXT,
                nullable,
                cast::temporal_to_text,
            ))
        }
        SqlType::Number { .. } => {
            let args = vec![value.expr, a.text(1)?];
            Ok(call("frazil_format_number", args, SqlType::TEXT, nullable, format_number))
        }
        SqlType::Float => {
            let args = vec![value.expr, a.text(1)?];
            Ok(call("frazil_format_float", args, SqlType::TEXT, nullable, format_float))
        }
        SqlType::Binary { .. } => {
            let args = vec![value.expr, lit(false), a.text(1)?];
            Ok(call("frazil_binary_to_text", args, SqlType::TEXT, nullable, cast::binary_to_text))
        }
        _ => Err(a.wrong_types()),
    }
}

/// The parsed format of a row, kept while it stays the same.
#[derive(Default)]
struct Held(Option<(String, NumberFormat)>);

impl Held {
    fn get(&mut self, format: &str) -> Result<&NumberFormat, UserError> {
        if self.0.as_ref().is_none_or(|(held, _)| held != format) {
            self.0 = Some((format.to_string(), NumberFormat::parse(format)?));
        }
        self.0.as_ref().map(|(_, f)| f).ok_or_else(|| UserError::internal("number format"))
    }
}

fn format_number(rows: &Rows) -> KernelResult {
    let (values, formats) = (rows.numbers(0)?, rows.texts(1)?);
    let mut held = Held::default();
    rows.build_texts(|row| match (values.get(row), formats.get(row)) {
        (Some(value), Some(format)) => Ok(Some(held.get(format)?.write(value, values.scale))),
        _ => Ok(None),
    })
}

fn format_float(rows: &Rows) -> KernelResult {
    let (values, formats) = (rows.floats(0)?, rows.texts(1)?);
    let mut held = Held::default();
    rows.build_texts(|row| match (values.get(row), formats.get(row)) {
        (Some(value), Some(format)) => {
            let scaled = number::from_float(value, 38, 12)
                .or_else(|| {
                    number::from_float(value, 38, 0).and_then(|v| number::rescale(v, 0, 12))
                })
                .ok_or_else(number::overflow)?;
            Ok(Some(held.get(format)?.write(scaled, 12)))
        }
        _ => Ok(None),
    })
}

/// TO_NUMBER(value [, format] [, precision [, scale]]); NUMBER(38,0) unless told.
fn to_number(a: Arguments, mode: CastMode) -> Bound {
    a.expect(1..=4)?;
    let formatted = a.len() > 1 && a.get(1)?.sql_type.is_text();
    let first = if formatted { 2 } else { 1 };
    let number_at = |index: usize, default: i64, range: std::ops::RangeInclusive<i64>| {
        if a.len() <= index {
            return Ok(default);
        }
        let value = a.constant_integer(index)?;
        if range.contains(&value) {
            return Ok(value);
        }
        Err(UserError::new(
            Code::InvalidArgument,
            format!("invalid value [{value}] for parameter of function {}", a.name),
        ))
    };
    let precision = number_at(first, 38, 1..=38)? as u8;
    let scale = number_at(first + 1, 0, 0..=37)? as u8;
    let to = SqlType::Number { precision, scale };
    if formatted {
        let args = vec![a.text(0)?, lit(mode == CastMode::Try), a.text(1)?, lit(precision as i64)];
        return Ok(call("frazil_read_number", args, to, true, read_number));
    }
    cast(a.get(0)?.clone(), &to, mode, a.facts)
}

fn read_number(rows: &Rows) -> KernelResult {
    let (values, formats) = (rows.texts(0)?, rows.texts(2)?);
    let lenient = cast::lenient(rows, 1)?;
    let precision = rows.integers(3)?.get(0).unwrap_or(38) as u8;
    let scale = match rows.out {
        arrow::datatypes::DataType::Decimal128(_, scale) => scale as u8,
        _ => 0,
    };
    let mut held = Held::default();
    rows.build_numbers(|row| match (values.get(row), formats.get(row)) {
        (Some(text), Some(format)) => {
            let found = held
                .get(format)?
                .read(text)
                .and_then(|(value, found)| number::fit(value, found, precision, scale));
            cast::attempt(lenient, found.ok_or_else(|| number::not_recognized(text)))
        }
        _ => Ok(None),
    })
}

fn to_binary(a: Arguments, mode: CastMode) -> Bound {
    a.expect(1..=2)?;
    if a.len() == 1 || !a.get(0)?.sql_type.is_text() {
        return cast(a.get(0)?.clone(), &SqlType::BYTES, mode, a.facts);
    }
    let args = vec![a.text(0)?, lit(mode == CastMode::Try), a.text(1)?];
    Ok(call("frazil_text_to_binary", args, SqlType::BYTES, true, cast::text_to_binary))
}

fn lenient_lit(mode: CastMode) -> Expr {
    lit(mode == CastMode::Try)
}

fn to_date(a: Arguments, mode: CastMode) -> Bound {
    a.expect(1..=2)?;
    let value = a.get(0)?.clone();
    match value.sql_type {
        SqlType::Varchar { .. } if a.len() == 2 => {
            let args = vec![value.expr, lenient_lit(mode), a.text(1)?];
            Ok(call("frazil_read_date", args, SqlType::Date, true, cast::text_to_date))
        }
        SqlType::Number { .. } => {
            let stamp = epoch_timestamp(&a, SqlType::TIMESTAMP_NTZ)?;
            cast(stamp, &SqlType::Date, mode, a.facts)
        }
        _ => cast(value, &SqlType::Date, mode, a.facts),
    }
}

fn to_time(a: Arguments, mode: CastMode) -> Bound {
    a.expect(1..=2)?;
    let value = a.get(0)?.clone();
    if value.sql_type.is_text() && a.len() == 2 {
        let args = vec![value.expr, lenient_lit(mode), a.text(1)?];
        return Ok(call("frazil_read_time", args, SqlType::TIME, true, cast::text_to_time));
    }
    cast(value, &SqlType::TIME, mode, a.facts)
}

fn to_timestamp(a: Arguments, to: SqlType, mode: CastMode) -> Bound {
    a.expect(1..=2)?;
    let value = a.get(0)?.clone();
    match value.sql_type {
        SqlType::Varchar { .. } if a.len() == 2 && a.get(1)?.sql_type.is_text() => {
            let zone = text_lit(&a.facts.timezone.to_string());
            let args = vec![value.expr, lenient_lit(mode), zone, a.text(1)?];
            Ok(call("frazil_read_timestamp", args, to, true, cast::text_to_timestamp_kernel))
        }
        SqlType::Number { .. } | SqlType::Float => epoch_timestamp(&a, to),
        _ => cast(value, &to, mode, a.facts),
    }
}

/// TO_TIMESTAMP(number [, scale]): seconds, or units of 10^-scale seconds.
fn epoch_timestamp(a: &Arguments, to: SqlType) -> Bound {
    let scale = if a.len() > 1 { a.constant_integer(1)? } else { 0 };
    if !(0..=9).contains(&scale) {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!("invalid value [{scale}] for parameter 'scale'"),
        ));
    }
    let value = match a.get(0)?.sql_type {
        SqlType::Float => a.as_type(0, &SqlType::Number { precision: 38, scale: 9 })?,
        _ => a.get(0)?.clone(),
    };
    let wall = match to {
        // An LTZ or TZ of a count is that instant.
        SqlType::Timestamp { zone: TimeZoneKind::Ntz, .. } => to.clone(),
        _ => SqlType::TIMESTAMP_LTZ,
    };
    let args = vec![value.expr, lit(scale)];
    let stamp = call("frazil_epoch_timestamp", args, wall, value.nullable, epoch_kernel);
    cast(stamp, &to, CastMode::Implicit, a.facts)
}

fn epoch_kernel(rows: &Rows) -> KernelResult {
    let values = rows.numbers(0)?;
    let scale = rows.integers(1)?.get(0).unwrap_or(0) as u8;
    cast::build_timestamps(rows, chrono_tz::Tz::UTC, |row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        let total = values.scale + scale;
        let nanos = number::rescale(value, total, 9).ok_or_else(number::overflow)?;
        let seconds = i64::try_from(nanos.div_euclid(1_000_000_000))
            .map_err(|_| crate::temporal::out_of_range("Timestamp"))?;
        let moment = Moment { seconds, nanos: nanos.rem_euclid(1_000_000_000) as u32 };
        Ok(Some((moment, Some(0))))
    })
}
