//! Random values and sequences: RANDOM, UNIFORM, NORMAL, RANDSTR, SEQ1–SEQ8.

use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::logical_expr::lit;
use frazil_common::{Code, SqlType, UserError};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::arguments::{Arguments, SMALL_INTEGER};
use crate::kernel::{KernelResult, Rows, call_volatile};
use crate::number;
use crate::registry::Registry;
use crate::typed::TypedExpr;

type Bound = Result<TypedExpr, UserError>;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["RANDOM"], |a| {
        a.expect(0..=1)?;
        let args = if a.len() > 0 { vec![lit(a.constant_integer(0)?)] } else { vec![] };
        let to = SqlType::Number { precision: 19, scale: 0 };
        Ok(call_volatile("frazil_random", args, to, random))
    });
    registry.add(&["UNIFORM"], uniform);
    registry.add(&["NORMAL"], |a| {
        a.expect(3..=3)?;
        let args = vec![
            a.float(0)?,
            a.float(1)?,
            a.as_type(2, &SqlType::Number { precision: 19, scale: 0 })?.expr,
        ];
        Ok(call_volatile("frazil_normal", args, SqlType::Float, normal))
    });
    registry.add(&["RANDSTR"], |a| {
        a.expect(2..=2)?;
        let args =
            vec![a.integer(0)?, a.as_type(1, &SqlType::Number { precision: 19, scale: 0 })?.expr];
        Ok(call_volatile("frazil_randstr", args, SqlType::TEXT, randstr))
    });
    registry.add(&["SEQ1"], |a| sequence(a, 3));
    registry.add(&["SEQ2"], |a| sequence(a, 5));
    registry.add(&["SEQ4"], |a| sequence(a, 10));
    registry.add(&["SEQ8"], |a| sequence(a, 18));
}

/// A seeded call gives the same values for the same rows in order; batches continue by a counter
/// that is fresh for each seedless call.
fn generator(seed: Option<i64>) -> StdRng {
    match seed {
        Some(seed) => StdRng::seed_from_u64(seed as u64),
        None => StdRng::seed_from_u64(rand::rng().next_u64()),
    }
}

fn random(rows: &Rows) -> KernelResult {
    let seed = if rows.inputs.is_empty() { None } else { rows.integers(0)?.get(0) };
    let mut source = generator(seed);
    rows.build_numbers(|_| Ok(Some(source.next_u64() as i64 as i128)))
}

/// UNIFORM(min, max, generator): integers if both bounds are, else FLOAT. The third argument is
/// the source of chance: one value per row.
fn uniform(a: Arguments) -> Bound {
    a.expect(3..=3)?;
    let source = a.as_type(2, &SqlType::Number { precision: 19, scale: 0 })?.expr;
    let whole = |i: usize| matches!(a.values[i].sql_type, SqlType::Number { scale: 0, .. });
    if whole(0) && whole(1) {
        let args = vec![a.integer(0)?, a.integer(1)?, source];
        return Ok(call_volatile("frazil_uniform", args, SMALL_INTEGER, uniform_integer));
    }
    let args = vec![a.float(0)?, a.float(1)?, source];
    Ok(call_volatile("frazil_uniform_float", args, SqlType::Float, uniform_float))
}

fn row_source(value: i128) -> StdRng {
    StdRng::seed_from_u64(value as u64)
}

fn uniform_integer(rows: &Rows) -> KernelResult {
    let (low, high, source) = (rows.integers(0)?, rows.integers(1)?, rows.numbers(2)?);
    rows.build_integers(|row| match (low.get(row), high.get(row), source.get(row)) {
        (Some(low), Some(high), Some(source)) if low <= high => {
            Ok(Some(row_source(source).random_range(low..=high)))
        }
        (Some(_), Some(_), Some(_)) => {
            Err(UserError::new(Code::InvalidArgument, "UNIFORM needs min <= max").into())
        }
        _ => Ok(None),
    })
}

fn uniform_float(rows: &Rows) -> KernelResult {
    let (low, high, source) = (rows.floats(0)?, rows.floats(1)?, rows.numbers(2)?);
    rows.build_floats(|row| match (low.get(row), high.get(row), source.get(row)) {
        (Some(low), Some(high), Some(source)) => {
            Ok(Some(low + (high - low) * row_source(source).random::<f64>()))
        }
        _ => Ok(None),
    })
}

/// Box and Muller's transform.
fn normal(rows: &Rows) -> KernelResult {
    let (mean, deviation, source) = (rows.floats(0)?, rows.floats(1)?, rows.numbers(2)?);
    rows.build_floats(|row| match (mean.get(row), deviation.get(row), source.get(row)) {
        (Some(mean), Some(deviation), Some(source)) => {
            let mut source = row_source(source);
            let (u, v): (f64, f64) = (1.0 - source.random::<f64>(), source.random());
            let z = (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos();
            Ok(Some(mean + deviation * z))
        }
        _ => Ok(None),
    })
}

fn randstr(rows: &Rows) -> KernelResult {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (lengths, source) = (rows.integers(0)?, rows.numbers(1)?);
    rows.build_texts(|row| match (lengths.get(row), source.get(row)) {
        (Some(length), Some(value)) => {
            let mut source = row_source(value);
            let text: String = (0..length.clamp(0, 1 << 20))
                .map(|_| LETTERS[source.random_range(0..62)] as char)
                .collect();
            Ok(Some(text))
        }
        _ => Ok(None),
    })
}

/// Each bound call counts on its own; the literal argument names the counter.
fn sequence(a: Arguments, precision: u8) -> Bound {
    a.expect(0..=1)?;
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let to = SqlType::Number { precision, scale: 0 };
    Ok(call_volatile("frazil_seq", vec![lit(id as i64), lit(precision as i64)], to, seq))
}

/// Rows counted so far by each live call.
static COUNTERS: std::sync::LazyLock<std::sync::Mutex<std::collections::HashMap<i64, i64>>> =
    std::sync::LazyLock::new(Default::default);

fn seq(rows: &Rows) -> KernelResult {
    let id = rows.integers(0)?.get(0).unwrap_or(0);
    let digits = rows.integers(1)?.get(0).unwrap_or(18);
    let start = {
        let mut counters = COUNTERS.lock().unwrap_or_else(|e| e.into_inner());
        // Calls of long finished statements are forgotten.
        if counters.len() > 4096 {
            counters.retain(|held, _| *held + 2048 > id);
        }
        let next = counters.entry(id).or_insert(0);
        let start = *next;
        *next += rows.rows as i64;
        start
    };
    let size = number::power_of_ten(digits.clamp(1, 18) as u8).unwrap_or(i128::MAX) as i64;
    rows.build_integers(|row| Ok(Some((start + row as i64) % size)))
}
