//! ROW_NUMBER, RANK and other functions of a row's place.

use datafusion::functions_window as native;
use datafusion::logical_expr::{Expr, WindowUDF};
use frazil_common::{Code, SqlType, UserError};
use std::sync::Arc;

use super::{Registry, WindowCall, over};
use crate::aggregate::AggregateCall;
use crate::arguments::SMALL_INTEGER;
use crate::facts::Facts;
use crate::operators;
use crate::typed::TypedExpr;

type Bound = Result<TypedExpr, UserError>;

pub(super) fn register(registry: &mut Registry) {
    registry.add(&["ROW_NUMBER"], |name, call, _| {
        place(name, call, native::row_number::row_number_udwf(), false)
    });
    registry.add(&["RANK"], |name, call, _| place(name, call, native::rank::rank_udwf(), true));
    registry.add(&["DENSE_RANK"], |name, call, _| {
        place(name, call, native::rank::dense_rank_udwf(), true)
    });
    registry.add(&["PERCENT_RANK"], |name, call, _| {
        share(name, call, native::rank::percent_rank_udwf())
    });
    registry.add(&["CUME_DIST"], |name, call, _| {
        share(name, call, native::cume_dist::cume_dist_udwf())
    });
    registry.add(&["NTILE"], |name, mut call, _| {
        super::expect(name, &call, 1..=1)?;
        match call.args[0].as_integer_literal() {
            Some(n) if n > 0 => call.args = vec![TypedExpr::number(n as i128, 18, 0)],
            _ => {
                return Err(UserError::new(
                    Code::InvalidArgument,
                    "argument 1 to function NTILE needs to be a positive constant",
                ));
            }
        }
        ordered(name, &call)?;
        Ok(counted(over(native::ntile::ntile_udwf().into(), call, None)))
    });
    registry.add(&["RATIO_TO_REPORT"], ratio_to_report);
    registry.add(&["CONDITIONAL_TRUE_EVENT"], true_event);
    registry.add(&["CONDITIONAL_CHANGE_EVENT"], change_event);
}

fn ordered(name: &str, call: &WindowCall) -> Result<(), UserError> {
    if call.order_by.is_empty() {
        return Err(UserError::new(
            Code::SyntaxError,
            format!("Window function type [{name}] requires ORDER BY in window specification"),
        ));
    }
    Ok(())
}

/// The engine counts places in unsigned integers.
fn counted(expr: Expr) -> TypedExpr {
    let expr = datafusion::logical_expr::cast(expr, SMALL_INTEGER.to_arrow());
    TypedExpr::new(expr, SMALL_INTEGER, false)
}

fn place(name: &str, call: WindowCall, udwf: Arc<WindowUDF>, by_rank: bool) -> Bound {
    super::expect(name, &call, 0..=0)?;
    if by_rank {
        ordered(name, &call)?;
    }
    Ok(counted(over(udwf.into(), call, None)))
}

fn share(name: &str, call: WindowCall, udwf: Arc<WindowUDF>) -> Bound {
    super::expect(name, &call, 0..=0)?;
    ordered(name, &call)?;
    Ok(TypedExpr::new(over(udwf.into(), call, None), SqlType::Float, false))
}

/// The value's share in the partition's sum.
fn ratio_to_report(name: &'static str, mut call: WindowCall, facts: &Facts) -> Bound {
    super::expect(name, &call, 1..=1)?;
    let value = call.args[0].clone();
    call.order_by.clear();
    (call.frame, call.by_groups) = (None, false);
    let sum = super::aggregate_over("SUM", call, facts)?;
    let divide = crate::scalar("DIV0").ok_or_else(|| UserError::internal("DIV0 is missing"))?;
    let zero = TypedExpr::number(0, 1, 0);
    let is_zero = operators::binary(operators::BinaryOperator::Eq, sum.clone(), zero, facts)?;
    let ratio = divide.bind(vec![value, sum], facts)?;
    let null = TypedExpr::null_of(ratio.sql_type.clone());
    operators::case(None, vec![(is_zero, null)], Some(ratio), facts)
}

fn growing(mut call: WindowCall) -> WindowCall {
    call.frame = Some(super::rows_to_current());
    call
}

fn true_event(name: &'static str, mut call: WindowCall, facts: &Facts) -> Bound {
    super::expect(name, &call, 1..=1)?;
    ordered(name, &call)?;
    call.args[0] = crate::cast::cast(
        call.args[0].clone(),
        &SqlType::Boolean,
        crate::cast::CastMode::Implicit,
        facts,
    )?;
    super::aggregate_over("COUNT_IF", growing(call), facts)
}

fn change_event(name: &'static str, mut call: WindowCall, facts: &Facts) -> Bound {
    super::expect(name, &call, 1..=1)?;
    ordered(name, &call)?;
    let value = call.args.remove(0);
    // Values of any type are told apart by their hash, NULL stays NULL.
    let hash = crate::scalar("HASH").ok_or_else(|| UserError::internal("HASH is missing"))?;
    let hashed = hash.bind(vec![value.clone()], facts)?;
    let null = TypedExpr::null_of(hashed.sql_type.clone());
    let key = operators::case(None, vec![(operators::is_null(value), null)], Some(hashed), facts)?;
    let inner = AggregateCall { args: vec![key], ..AggregateCall::default() };
    let changes = crate::aggregate::change_event(inner)?;
    super::lift(changes, growing(call))
}
