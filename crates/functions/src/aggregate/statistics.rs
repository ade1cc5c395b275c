//! Deviations, correlations, regressions and percentiles.

use std::sync::Arc;

use datafusion::functions_aggregate as native;
use datafusion::logical_expr::{AggregateUDF, lit};
use frazil_common::{Code, SqlType, UserError};

use super::basic::{Bound, collected, expect, implicit, native_call, numeric, wrong_types};
use super::collect::Finish;
use super::{AggregateCall, Registry, finish};
use crate::facts::Facts;
use crate::typed::TypedExpr;

pub(super) fn register(registry: &mut Registry) {
    registry.add(&["STDDEV", "STDDEV_SAMP"], |n, c, f| one(n, c, native::stddev::stddev_udaf(), f));
    registry.add(&["STDDEV_POP"], |n, c, f| one(n, c, native::stddev::stddev_pop_udaf(), f));
    registry.add(&["VARIANCE", "VAR_SAMP", "VARIANCE_SAMP"], |n, c, f| {
        one(n, c, native::variance::var_samp_udaf(), f)
    });
    registry.add(&["VAR_POP", "VARIANCE_POP"], |n, c, f| {
        one(n, c, native::variance::var_pop_udaf(), f)
    });
    registry.add(&["CORR"], |n, c, f| two(n, c, native::correlation::corr_udaf(), f));
    registry.add(&["COVAR_POP"], |n, c, f| two(n, c, native::covariance::covar_pop_udaf(), f));
    registry.add(&["COVAR_SAMP"], |n, c, f| two(n, c, native::covariance::covar_samp_udaf(), f));
    registry.add(&["REGR_SLOPE"], |n, c, f| two(n, c, native::regr::regr_slope_udaf(), f));
    registry.add(&["REGR_INTERCEPT"], |n, c, f| two(n, c, native::regr::regr_intercept_udaf(), f));
    registry.add(&["REGR_R2"], |n, c, f| two(n, c, native::regr::regr_r2_udaf(), f));
    registry.add(&["REGR_AVGX"], |n, c, f| two(n, c, native::regr::regr_avgx_udaf(), f));
    registry.add(&["REGR_AVGY"], |n, c, f| two(n, c, native::regr::regr_avgy_udaf(), f));
    registry.add(&["REGR_SXX"], |n, c, f| two(n, c, native::regr::regr_sxx_udaf(), f));
    registry.add(&["REGR_SXY"], |n, c, f| two(n, c, native::regr::regr_sxy_udaf(), f));
    registry.add(&["REGR_SYY"], |n, c, f| two(n, c, native::regr::regr_syy_udaf(), f));
    registry.add(&["REGR_COUNT"], |name, call, facts| {
        expect(name, &call, 2)?;
        let count = super::find("COUNT").ok_or_else(|| UserError::internal("COUNT"))?;
        count.bind(AggregateCall { distinct: false, order_by: vec![], ..call }, facts)
    });
    registry.add(&["SKEW"], |n, c, f| moments(n, c, ("frazil_skew", finish::skew), f));
    registry.add(&["KURTOSIS"], |n, c, f| moments(n, c, ("frazil_kurtosis", finish::kurtosis), f));
    registry.add(&["MEDIAN"], |name, mut call, facts| {
        expect(name, &call, 1)?;
        call.args.insert(0, TypedExpr::float(0.5));
        percentile_cont(name, call, facts)
    });
    registry.add(&["APPROX_PERCENTILE"], |name, mut call, facts| {
        expect(name, &call, 2)?;
        call.args.swap(0, 1);
        call.args[1] = implicit(call.args[1].clone(), &SqlType::Float, facts)?;
        percentile_cont(name, call, facts)
    });
    registry.add(&["PERCENTILE_CONT"], percentile_cont);
    registry.add(&["PERCENTILE_DISC"], |name, call, facts| {
        let (call, value) = percentile(name, call, facts)?;
        collected("frazil_percentile_disc", call, value, finish::percentile_disc)
    });
}

fn floats(name: &str, call: &mut AggregateCall, facts: &Facts) -> Result<(), UserError> {
    let error = wrong_types(name, call);
    for value in &mut call.args {
        let number = numeric(value.clone(), facts).ok_or_else(|| error.clone())?;
        *value = implicit(number, &SqlType::Float, facts)?;
    }
    call.order_by.clear();
    Ok(())
}

fn one(name: &str, mut call: AggregateCall, udaf: Arc<AggregateUDF>, facts: &Facts) -> Bound {
    expect(name, &call, 1)?;
    floats(name, &mut call, facts)?;
    native_call(udaf, call, SqlType::Float, true)
}

fn two(name: &str, mut call: AggregateCall, udaf: Arc<AggregateUDF>, facts: &Facts) -> Bound {
    expect(name, &call, 2)?;
    floats(name, &mut call, facts)?;
    native_call(udaf, call, SqlType::Float, true)
}

fn moments(
    name: &str,
    mut call: AggregateCall,
    run: (&'static str, Finish),
    facts: &Facts,
) -> Bound {
    expect(name, &call, 1)?;
    floats(name, &mut call, facts)?;
    collected(run.0, call, SqlType::Float, run.1)
}

/// The collected arguments (value, fraction, descending) of a percentile, and the value's type.
///
/// The arguments are the fraction and, where the binder gave it, the typed ORDER BY value; without
/// it the ordering expression is read as FLOAT.
fn percentile(
    name: &str,
    mut call: AggregateCall,
    facts: &Facts,
) -> Result<(AggregateCall, SqlType), UserError> {
    let fraction = call.args.first().cloned().ok_or_else(|| wrong_types(name, &call))?;
    let fraction = implicit(fraction, &SqlType::Float, facts)?;
    match fraction.as_literal() {
        Some(datafusion::common::ScalarValue::Float64(Some(share)))
            if (0.0..=1.0).contains(share) => {}
        _ => {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("argument 1 to function {name} needs to be a constant from 0 to 1"),
            ));
        }
    }
    let descending = call.order_by.first().is_some_and(|o| !o.asc);
    let value = match (call.args.get(1), call.order_by.first()) {
        (Some(value), _) => value.clone(),
        (None, Some(order)) => TypedExpr::new(
            datafusion::logical_expr::cast(order.expr.clone(), SqlType::Float.to_arrow()),
            SqlType::Float,
            true,
        ),
        (None, None) => {
            return Err(UserError::new(
                Code::SyntaxError,
                format!("function {name} needs WITHIN GROUP (ORDER BY …)"),
            ));
        }
    };
    let kind = value.sql_type.clone();
    call.args = vec![value, fraction, TypedExpr::new(lit(descending), SqlType::Boolean, false)];
    call.order_by.clear();
    Ok((call, kind))
}

/// NUMBER gains three fraction digits.
fn percentile_cont(name: &'static str, call: AggregateCall, facts: &Facts) -> Bound {
    let (mut call, kind) = percentile(name, call, facts)?;
    let value = numeric(call.args[0].clone(), facts).ok_or_else(|| wrong_types(name, &call))?;
    let to = match value.sql_type {
        SqlType::Number { precision, scale } if kind.is_numeric() => {
            let more = 3.min(37 - scale);
            SqlType::Number { precision: (precision + more).min(38), scale: scale + more }
        }
        _ => SqlType::Float,
    };
    call.args[0] = value;
    collected("frazil_percentile_cont", call, to, finish::percentile_cont)
}
