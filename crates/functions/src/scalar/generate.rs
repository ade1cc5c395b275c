//! Random values and sequences: RANDOM, UNIFORM, NORMAL, RANDSTR, SEQ1–SEQ8.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::Decimal128Array;
use arrow::datatypes::DataType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use frazil_common::types::VARCHAR_LENGTH_MAX;
use frazil_common::{Code, SqlType, UserError};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::arguments::{Arguments, SMALL_INTEGER};
use crate::kernel::{KernelResult, Rows, call_volatile};
use crate::made::too_long;
use crate::number;
use crate::registry::Registry;
use crate::typed::TypedExpr;

type Bound = Result<TypedExpr, UserError>;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["RANDOM"], |a| {
        a.expect(0..=1)?;
        Ok(random(if a.len() > 0 { Some(a.constant_integer(0)?) } else { None }))
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

/// RANDOM: one call of a statement. Its values are a function of the seed and the number of rows
/// the call has answered, so that batches continue each other.
#[derive(Debug)]
struct Random {
    /// As written; calls that are written alike are equal, as those of every function are.
    given: Option<i64>,
    seed: u64,
    drawn: AtomicU64,
    signature: Signature,
}

impl PartialEq for Random {
    fn eq(&self, other: &Self) -> bool {
        self.given == other.given
    }
}

impl Eq for Random {}

impl Hash for Random {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.given.hash(state);
    }
}

const RANDOM_TYPE: SqlType = SqlType::Number { precision: 19, scale: 0 };

fn random(given: Option<i64>) -> TypedExpr {
    let function = Random {
        given,
        seed: given.map_or_else(|| rand::rng().next_u64(), |seed| seed as u64),
        drawn: AtomicU64::new(0),
        signature: Signature::nullary(Volatility::Volatile),
    };
    let expr = Arc::new(ScalarUDF::from(function)).call(Vec::new());
    TypedExpr::new(expr, RANDOM_TYPE, false)
}

impl ScalarUDFImpl for Random {
    fn name(&self) -> &str {
        "frazil_random"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> EngineResult<DataType> {
        Ok(RANDOM_TYPE.to_arrow())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let rows = args.number_rows as u64;
        let first = self.drawn.fetch_add(rows, Ordering::Relaxed);
        let values = (first..first + rows).map(|row| split_mix(self.seed, row) as i64 as i128);
        let array = Decimal128Array::from_iter_values(values).with_precision_and_scale(19, 0)?;
        Ok(ColumnarValue::Array(Arc::new(array)))
    }
}

/// The value at a place of a generator's sequence: Steele, Lea and Flood's SplitMix64.
fn split_mix(seed: u64, place: u64) -> u64 {
    let mut state = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
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

/// Letters that RANDSTR makes between two looks at whether the statement goes on.
const LETTERS_UNCHECKED: usize = 64 * 1024;

fn randstr(rows: &Rows) -> KernelResult {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (lengths, source) = (rows.integers(0)?, rows.numbers(1)?);
    rows.build_texts(|row| match (lengths.get(row), source.get(row)) {
        (Some(length), Some(value)) => {
            if length > i64::from(VARCHAR_LENGTH_MAX) {
                return Err(too_long().into());
            }
            let mut source = row_source(value);
            let length = usize::try_from(length).unwrap_or_default();
            let mut text = String::with_capacity(length);
            while text.len() < length {
                // A text alone can take a second.
                rows.check()?;
                let part = LETTERS_UNCHECKED.min(length - text.len());
                text.extend((0..part).map(|_| LETTERS[source.random_range(0..62)] as char));
            }
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
