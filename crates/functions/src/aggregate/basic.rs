//! COUNT, SUM, AVG, MIN, MAX and their kin.

use std::sync::Arc;

use datafusion::functions_aggregate as native;
use datafusion::logical_expr::expr::{AggregateFunction as Aggregate, NullTreatment};
use datafusion::logical_expr::{AggregateUDF, Expr, lit};
use frazil_common::{Code, SqlType, UserError};

use super::collect::{self, Finish, Shape};
use super::number::{self, Kind};
use super::{AggregateCall, Registry, finish};
use crate::arguments::SMALL_INTEGER;
use crate::cast::{CastMode, cast};
use crate::facts::Facts;
use crate::kernel::{KernelResult, Rows, call as kernel_call};
use crate::operators;
use crate::typed::TypedExpr;

pub(super) type Bound = Result<TypedExpr, UserError>;

pub(super) fn register(registry: &mut Registry) {
    registry.add(&["COUNT"], count);
    registry.add(&["COUNT_IF"], |name, mut call, facts| {
        expect(name, &call, 1)?;
        let condition = implicit(call.args.remove(0), &SqlType::Boolean, facts)?;
        let one = TypedExpr::integer(1);
        let counted = operators::case(None, vec![(condition, one)], None, facts)?;
        call.args = vec![counted];
        count(name, call, facts)
    });
    registry.add(&["SUM"], sum);
    registry.add(&["AVG"], average);
    registry.add(&["MIN"], |name, call, _| {
        extreme(name, call, native::min_max::min_udaf(), ("frazil_min", finish::min_keyed))
    });
    registry.add(&["MAX"], |name, call, _| {
        extreme(name, call, native::min_max::max_udaf(), ("frazil_max", finish::max_keyed))
    });
    registry.add(&["ANY_VALUE"], |name, call, _| {
        expect(name, &call, 1)?;
        let to = call.args[0].sql_type.clone();
        let udaf = native::first_last::first_value_udaf();
        native_call(udaf, AggregateCall { distinct: false, order_by: vec![], ..call }, to, true)
    });
    registry.add(&["BITAND_AGG", "BIT_AND_AGG", "BIT_ANDAGG", "BITANDAGG"], |name, call, facts| {
        bits(name, call, native::bit_and_or_xor::bit_and_udaf(), facts)
    });
    registry.add(&["BITOR_AGG", "BIT_OR_AGG", "BIT_ORAGG", "BITORAGG"], |name, call, facts| {
        bits(name, call, native::bit_and_or_xor::bit_or_udaf(), facts)
    });
    registry.add(&["BITXOR_AGG", "BIT_XOR_AGG", "BIT_XORAGG", "BITXORAGG"], |name, call, facts| {
        bits(name, call, native::bit_and_or_xor::bit_xor_udaf(), facts)
    });
    registry.add(&["BOOLAND_AGG"], |name, call, facts| {
        booleans(name, call, native::bool_and_or::bool_and_udaf(), facts)
    });
    registry.add(&["BOOLOR_AGG"], |name, call, facts| {
        booleans(name, call, native::bool_and_or::bool_or_udaf(), facts)
    });
    registry.add(&["BOOLXOR_AGG"], |name, mut call, facts| {
        expect(name, &call, 1)?;
        call.args = vec![implicit(call.args.remove(0), &SqlType::Boolean, facts)?];
        collected("frazil_boolxor_agg", call, SqlType::Boolean, finish::boolxor)
    });
    registry.add(&["HASH_AGG"], |name, mut call, facts| {
        if call.args.is_empty() {
            return Err(arguments(name, 1, 0));
        }
        let hash = crate::scalar("HASH").ok_or_else(|| UserError::internal("HASH is missing"))?;
        call.args = vec![hash.bind(call.args, facts)?];
        let to = SqlType::Number { precision: 19, scale: 0 };
        collected("frazil_hash_agg", call, to, finish::hash_agg)
    });
    registry.add(&["APPROX_COUNT_DISTINCT", "HLL"], |name, mut call, _| {
        if call.args.is_empty() {
            return Err(arguments(name, 1, 0));
        }
        let args = call.args.iter().map(|v| v.expr.clone()).collect();
        call.args = vec![kernel_call("frazil_row_hash", args, SMALL_INTEGER, true, row_hash)];
        call.distinct = false;
        let udaf = native::approx_distinct::approx_distinct_udaf();
        let inner = aggregate_expr(udaf, call);
        // The sketch counts in unsigned integers.
        let expr = datafusion::logical_expr::cast(inner, SMALL_INTEGER.to_arrow());
        Ok(TypedExpr::new(expr, SMALL_INTEGER, false))
    });
}

pub(super) fn arguments(name: &str, wanted: usize, found: usize) -> UserError {
    let (code, few) = if found < wanted {
        (Code::ArgumentCount, "not enough")
    } else {
        (Code::TooManyArguments, "too many")
    };
    UserError::new(
        code,
        format!("{few} arguments for function [{name}], expected {wanted}, got {found}"),
    )
}

pub(super) fn expect(name: &str, call: &AggregateCall, count: usize) -> Result<(), UserError> {
    if call.args.len() == count { Ok(()) } else { Err(arguments(name, count, call.args.len())) }
}

pub(super) fn wrong_types(name: &str, call: &AggregateCall) -> UserError {
    if let [value] = call.args.as_slice() {
        return UserError::new(
            Code::UnsupportedAggregateType,
            format!("Function {name} does not support {} argument type", value.sql_type),
        );
    }
    let types: Vec<String> = call.args.iter().map(|v| v.sql_type.to_string()).collect();
    UserError::new(
        Code::InvalidArgumentTypes,
        format!("Invalid argument types for function '{name}': ({})", types.join(", ")),
    )
}

pub(super) fn implicit(value: TypedExpr, to: &SqlType, facts: &Facts) -> Bound {
    cast(value, to, CastMode::Implicit, facts)
}

pub(super) fn aggregate_expr(udaf: Arc<AggregateUDF>, call: AggregateCall) -> Expr {
    let args = call.args.into_iter().map(|v| v.expr).collect();
    let nulls = call.ignore_nulls.then_some(NullTreatment::IgnoreNulls);
    Expr::AggregateFunction(Aggregate::new_udf(
        udaf,
        args,
        call.distinct,
        call.filter.map(Box::new),
        call.order_by,
        nulls,
    ))
}

/// A call of one of the engine's own aggregates, whose result has the type's Arrow form.
pub(super) fn native_call(
    udaf: Arc<AggregateUDF>,
    call: AggregateCall,
    to: SqlType,
    nullable: bool,
) -> Bound {
    Ok(TypedExpr::new(aggregate_expr(udaf, call), to, nullable))
}

/// A call that collects its rows; ORDER BY keys become trailing arguments.
pub(super) fn collected(
    name: &'static str,
    call: AggregateCall,
    to: SqlType,
    run: Finish,
) -> Bound {
    let shape = Shape {
        order: call.order_by.iter().map(|o| (!o.asc, o.nulls_first)).collect(),
        distinct: call.distinct,
    };
    let mut args: Vec<Expr> = call.args.into_iter().map(|v| v.expr).collect();
    args.extend(call.order_by.into_iter().map(|o| o.expr));
    let udaf = collect::udaf(name, to.to_arrow(), shape, run);
    let expr = Expr::AggregateFunction(Aggregate::new_udf(
        udaf,
        args,
        false,
        call.filter.map(Box::new),
        vec![],
        None,
    ));
    Ok(TypedExpr::new(expr, to, true))
}

/// Hash of all arguments, NULL if any is NULL.
fn row_hash(rows: &Rows) -> KernelResult {
    let mut key = Vec::new();
    rows.build_integers(|row| {
        if rows.inputs.iter().any(|i| i.is_null(row)) {
            return Ok(None);
        }
        Ok(Some(crate::scalar::hash::row_hash(rows, row, &mut key)?))
    })
}

/// Bytes that tell rows apart, NULL if any argument is NULL.
fn row_key(rows: &Rows) -> KernelResult {
    rows.build_bytes(|row| {
        let mut key = Vec::new();
        for input in &rows.inputs {
            match crate::variant::row_to_value(input.array.as_ref(), input.row(row))? {
                Some(value) => crate::variant::append_key(&value, &mut key),
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    })
}

/// COUNT(*) has no arguments; COUNT(a, b) counts rows where both are known. A JSON null in a
/// VARIANT does not count.
fn count(_: &'static str, mut call: AggregateCall, facts: &Facts) -> Bound {
    let to = SMALL_INTEGER;
    let strip = crate::scalar("STRIP_NULL_VALUE")
        .ok_or_else(|| UserError::internal("STRIP_NULL_VALUE is missing"))?;
    for value in &mut call.args {
        if value.sql_type == SqlType::Variant {
            *value = strip.bind(vec![value.clone()], facts)?;
        }
    }
    let udaf = native::count::count_udaf();
    match call.args.as_slice() {
        [] => call.args = vec![TypedExpr::new(lit(1i64), SMALL_INTEGER, false)],
        [one] => {
            if call.distinct {
                call.args = vec![crate::operators::sort_key(one.clone())];
            }
        }
        many => {
            let args = many.iter().map(|v| v.expr.clone()).collect();
            call.args = vec![kernel_call("frazil_row_key", args, SqlType::BYTES, true, row_key)];
        }
    }
    call.order_by.clear();
    native_call(udaf, call, to, false)
}

/// Numbers and floats as they are, text and booleans as numbers.
pub(super) fn numeric(value: TypedExpr, facts: &Facts) -> Option<TypedExpr> {
    match value.sql_type {
        SqlType::Number { .. } | SqlType::Float => Some(value),
        SqlType::Varchar { .. } | SqlType::Variant | SqlType::Null => {
            implicit(value, &SqlType::Float, facts).ok()
        }
        SqlType::Boolean => {
            implicit(value, &SqlType::Number { precision: 1, scale: 0 }, facts).ok()
        }
        _ => None,
    }
}

fn sum(name: &'static str, mut call: AggregateCall, facts: &Facts) -> Bound {
    expect(name, &call, 1)?;
    let error = wrong_types(name, &call);
    let value = numeric(call.args.remove(0), facts).ok_or(error)?;
    call.order_by.clear();
    let kind = value.sql_type.clone();
    call.args = vec![value];
    match kind {
        SqlType::Number { scale, .. } => {
            let to = SqlType::Number { precision: 38, scale };
            if call.distinct {
                return collected("frazil_sum_distinct", call, to, finish::sum_numbers);
            }
            native_call(number::udaf(Kind::Sum, scale), call, to, true)
        }
        _ => native_call(native::sum::sum_udaf(), call, SqlType::Float, true),
    }
}

/// As a division: the scale grows by six, to at most twelve.
fn average(name: &'static str, mut call: AggregateCall, facts: &Facts) -> Bound {
    expect(name, &call, 1)?;
    let error = wrong_types(name, &call);
    let value = numeric(call.args.remove(0), facts).ok_or(error)?;
    call.order_by.clear();
    let kind = value.sql_type.clone();
    call.args = vec![value];
    match kind {
        SqlType::Number { scale, .. } => {
            let out = scale.max((scale + 6).min(12));
            let to = SqlType::Number { precision: 38, scale: out };
            if call.distinct {
                return collected("frazil_avg_distinct", call, to, finish::average_numbers);
            }
            native_call(number::udaf(Kind::Average { more: out - scale }, scale), call, to, true)
        }
        _ => native_call(native::average::avg_udaf(), call, SqlType::Float, true),
    }
}

fn extreme(
    name: &'static str,
    mut call: AggregateCall,
    udaf: Arc<AggregateUDF>,
    keyed: (&'static str, Finish),
) -> Bound {
    expect(name, &call, 1)?;
    call.distinct = false;
    call.order_by.clear();
    let to = call.args[0].sql_type.clone();
    if crate::operators::needs_key(&to) {
        return collected(keyed.0, call, to, keyed.1);
    }
    if to == SqlType::Float {
        let value = call.args.remove(0).expr;
        call.args =
            vec![kernel_call("frazil_float_order", vec![value], SMALL_INTEGER, true, order)];
        let found = native_call(udaf, call, SMALL_INTEGER, true)?;
        let value = vec![found.expr];
        return Ok(kernel_call("frazil_float_at", value, SqlType::Float, true, float_at));
    }
    native_call(udaf, call, to, true)
}

/// Where a FLOAT stands among all, with one zero, and one NaN above the rest. The engine's own MIN and MAX of
/// floats begin each group with the finite extremes, and let NaN win by chance.
fn order(rows: &Rows) -> KernelResult {
    let values = rows.floats(0)?;
    rows.build_integers(|row| {
        Ok(values.get(row).map(|value| {
            let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
            turned(value.to_bits() as i64)
        }))
    })
}

/// The FLOAT that stands there.
fn float_at(rows: &Rows) -> KernelResult {
    let values = rows.integers(0)?;
    rows.build_floats(|row| Ok(values.get(row).map(|at| f64::from_bits(turned(at) as u64))))
}

/// The bits of a float as a number of the same order, and back: below zero, more bits are less.
fn turned(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn bits(
    name: &'static str,
    mut call: AggregateCall,
    udaf: Arc<AggregateUDF>,
    facts: &Facts,
) -> Bound {
    expect(name, &call, 1)?;
    call.args = vec![implicit(call.args.remove(0), &SMALL_INTEGER, facts)?];
    let bits = native_call(udaf, call, SMALL_INTEGER, true)?;
    // Results may use all 64 bits.
    let expr = datafusion::logical_expr::cast(bits.expr, SqlType::INTEGER.to_arrow());
    Ok(TypedExpr::new(expr, SqlType::INTEGER, true))
}

fn booleans(
    name: &'static str,
    mut call: AggregateCall,
    udaf: Arc<AggregateUDF>,
    facts: &Facts,
) -> Bound {
    expect(name, &call, 1)?;
    call.args = vec![implicit(call.args.remove(0), &SqlType::Boolean, facts)?];
    native_call(udaf, call, SqlType::Boolean, true)
}
