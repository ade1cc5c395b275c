//! What LPAD, RPAD, POSITION and the bit functions do with BINARY: bytes in place of characters.

use frazil_common::{Code, SqlType, UserError};

use crate::arguments::{Arguments, SMALL_INTEGER};
use crate::cast::text_lit;
use crate::kernel::{KernelResult, Rows};
use crate::typed::TypedExpr;

/// Whether an argument is BINARY.
pub(super) fn is_binary(a: &Arguments, index: usize) -> bool {
    a.values.get(index).is_some_and(|v| matches!(v.sql_type, SqlType::Binary { .. }))
}

/// LPAD and RPAD of BINARY: the bytes to pad with must be given.
pub(super) fn pad(a: &Arguments, left: bool) -> Result<TypedExpr, UserError> {
    a.expect(3..=3)?;
    let args = vec![a.get(0)?.expr.clone(), a.integer(1)?, a.as_type(2, &SqlType::BYTES)?.expr];
    Ok(match left {
        true => a.call("frazil_binary_lpad", args, SqlType::BYTES, |rows| padded(rows, true)),
        false => a.call("frazil_binary_rpad", args, SqlType::BYTES, |rows| padded(rows, false)),
    })
}

fn padded(rows: &Rows, left: bool) -> KernelResult {
    let (values, lengths, pads) = (rows.bytes(0)?, rows.integers(1)?, rows.bytes(2)?);
    rows.build_bytes(|row| {
        let (Some(value), Some(length), Some(pad)) =
            (values.get(row), lengths.get(row), pads.get(row))
        else {
            return Ok(None);
        };
        let length = length.max(0) as usize;
        if length > frazil_common::types::VARCHAR_LENGTH_MAX as usize {
            return Err(UserError::new(
                Code::StringTooLong,
                "String is too long and would be truncated",
            )
            .into());
        }
        rows.room_for(length)?;
        if value.len() >= length {
            return Ok(Some(value[..length].to_vec()));
        }
        let filler = pad.iter().copied().cycle().take(length - value.len());
        let mut out = Vec::with_capacity(length);
        if left {
            out.extend(filler);
            out.extend_from_slice(value);
        } else {
            out.extend_from_slice(value);
            out.extend(filler);
        }
        Ok(Some(out))
    })
}

/// POSITION and CHARINDEX of BINARY: the place of the first byte, from 1; 0 where it is not there.
pub(super) fn position(a: &Arguments) -> Result<TypedExpr, UserError> {
    a.expect(2..=3)?;
    let start = if a.len() > 2 { a.integer(2)? } else { TypedExpr::number(1, 18, 0).expr };
    let args =
        vec![a.as_type(0, &SqlType::BYTES)?.expr, a.as_type(1, &SqlType::BYTES)?.expr, start];
    Ok(a.call("frazil_binary_position", args, SMALL_INTEGER, |rows| {
        let (parts, values, starts) = (rows.bytes(0)?, rows.bytes(1)?, rows.integers(2)?);
        rows.build_integers(|row| {
            let (Some(part), Some(value), Some(start)) =
                (parts.get(row), values.get(row), starts.get(row))
            else {
                return Ok(None);
            };
            let from = start.max(1) as usize - 1;
            let Some(rest) = value.get(from..) else { return Ok(Some(0)) };
            let found = match part.len() {
                0 => Some(0),
                length => rest.windows(length).position(|window| window == part),
            };
            Ok(Some(found.map_or(0, |at| (from + at + 1) as i64)))
        })
    }))
}

/// BITAND, BITOR and BITXOR of BINARY: of one length, or the shorter one padded with zeros at its
/// left or right end, as the third argument says.
pub(super) fn bits(a: &Arguments, op: &'static str) -> Result<TypedExpr, UserError> {
    a.expect(2..=3)?;
    let side = if a.len() > 2 { a.constant_text(2)?.to_uppercase() } else { String::new() };
    if !matches!(side.as_str(), "" | "LEFT" | "RIGHT") {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!("Invalid value '{side}' for the padding of {}: LEFT or RIGHT", a.name),
        ));
    }
    let args = vec![
        a.as_type(0, &SqlType::BYTES)?.expr,
        a.as_type(1, &SqlType::BYTES)?.expr,
        text_lit(&side),
        text_lit(op),
    ];
    Ok(a.call("frazil_binary_bits_of", args, SqlType::BYTES, combined))
}

fn combined(rows: &Rows) -> KernelResult {
    let (left, right) = (rows.bytes(0)?, rows.bytes(1)?);
    let (sides, ops) = (rows.texts(2)?, rows.texts(3)?);
    let side = sides.get(0).unwrap_or("");
    let op: fn(u8, u8) -> u8 = match ops.get(0) {
        Some("and") => |x, y| x & y,
        Some("or") => |x, y| x | y,
        _ => |x, y| x ^ y,
    };
    let widened = |value: &[u8], length: usize| {
        let mut out = vec![0u8; length - value.len()];
        match side {
            "LEFT" => out.extend_from_slice(value),
            _ => out.splice(0..0, value.iter().copied()).for_each(drop),
        }
        out
    };
    rows.build_bytes(|row| {
        let (Some(x), Some(y)) = (left.get(row), right.get(row)) else { return Ok(None) };
        if x.len() != y.len() && side.is_empty() {
            return Err(UserError::new(
                Code::InvalidArgument,
                "The lengths of two BINARY values differ: name the side to pad, LEFT or RIGHT",
            )
            .into());
        }
        let length = x.len().max(y.len());
        let (x, y) = (widened(x, length), widened(y, length));
        Ok(Some(x.into_iter().zip(y).map(|(x, y)| op(x, y)).collect::<Vec<u8>>()))
    })
}
