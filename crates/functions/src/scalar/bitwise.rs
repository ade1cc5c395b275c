//! Bitwise functions on integers, and on BINARY through [`super::binary`].

use frazil_common::SqlType;

use super::binary::{bits, is_binary};
use crate::arguments::{Arguments, SMALL_INTEGER};
use crate::kernel::{KernelResult, Rows};
use crate::registry::Registry;
use crate::typed::TypedExpr;

/// Results may use all 64 bits, so they have 38 digits.
const OUT: SqlType = SqlType::INTEGER;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["BITAND", "BIT_AND"], |a| match is_binary(&a, 0) {
        true => bits(&a, "and"),
        false => two(a, "frazil_bitand", |r| pair(r, |x, y| x & y)),
    });
    registry.add(&["BITOR", "BIT_OR"], |a| match is_binary(&a, 0) {
        true => bits(&a, "or"),
        false => two(a, "frazil_bitor", |r| pair(r, |x, y| x | y)),
    });
    registry.add(&["BITXOR", "BIT_XOR"], |a| match is_binary(&a, 0) {
        true => bits(&a, "xor"),
        false => two(a, "frazil_bitxor", |r| pair(r, |x, y| x ^ y)),
    });
    registry.add(&["BITSHIFTLEFT", "BIT_SHIFTLEFT"], |a| {
        two(a, "frazil_bitshiftleft", |r| {
            pair(r, |x, n| if n < 0 { x >> (-n).min(63) } else { shift_left(x, n) })
        })
    });
    registry.add(&["BITSHIFTRIGHT", "BIT_SHIFTRIGHT"], |a| {
        two(a, "frazil_bitshiftright", |r| {
            pair(r, |x, n| if n < 0 { shift_left(x, -n) } else { x >> n.min(63) })
        })
    });
    registry.add(&["BITNOT", "BIT_NOT"], |a| {
        a.expect(1..=1)?;
        a.kernel("frazil_bitnot", &[SMALL_INTEGER], OUT, |rows| {
            let values = rows.integers(0)?;
            rows.build_numbers(|row| Ok(values.get(row).map(|v| !v as i128)))
        })
    });
    registry.add(&["GETBIT"], |a| {
        two(a, "frazil_getbit", |r| {
            pair(r, |x, n| if (0..64).contains(&n) { (x >> n) & 1 } else { 0 })
        })
    });
}

fn shift_left(value: i64, by: i64) -> i64 {
    if by > 63 { 0 } else { value.wrapping_shl(by as u32) }
}

fn two(
    a: Arguments,
    name: &'static str,
    run: fn(&Rows) -> KernelResult,
) -> Result<TypedExpr, frazil_common::UserError> {
    a.expect(2..=2)?;
    a.kernel(name, &[SMALL_INTEGER], OUT, run)
}

fn pair(rows: &Rows, f: fn(i64, i64) -> i64) -> KernelResult {
    let (left, right) = (rows.integers(0)?, rows.integers(1)?);
    rows.build_numbers(|row| match (left.get(row), right.get(row)) {
        (Some(x), Some(y)) => Ok(Some(f(x, y) as i128)),
        _ => Ok(None),
    })
}
