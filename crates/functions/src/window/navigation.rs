//! LAG, LEAD, FIRST_VALUE, LAST_VALUE and NTH_VALUE.

use std::sync::Arc;

use datafusion::functions_window as native;
use datafusion::logical_expr::{WindowFrame, WindowUDF};
use frazil_common::{Code, UserError};

use super::{Registry, WindowCall, over};
use crate::cast::{CastMode, cast};
use crate::facts::Facts;
use crate::typed::TypedExpr;

type Bound = Result<TypedExpr, UserError>;

pub(super) fn register(registry: &mut Registry) {
    registry.add(&["LAG"], |n, c, f| shift(n, c, native::lead_lag::lag_udwf(), f));
    registry.add(&["LEAD"], |n, c, f| shift(n, c, native::lead_lag::lead_udwf(), f));
    registry.add(&["FIRST_VALUE"], |n, c, _| nth(n, c, native::nth_value::first_value_udwf()));
    registry.add(&["LAST_VALUE"], |n, c, _| nth(n, c, native::nth_value::last_value_udwf()));
    registry.add(&["NTH_VALUE"], |name, mut call, _| {
        super::expect(name, &call, 2..=2)?;
        match call.args[1].as_integer_literal() {
            Some(n) if n > 0 => call.args[1] = TypedExpr::number(n as i128, 18, 0),
            _ => {
                return Err(UserError::new(
                    Code::InvalidArgument,
                    "argument 2 to function NTH_VALUE needs to be a positive constant",
                ));
            }
        }
        let to = call.args[0].sql_type.clone();
        let frame = frame(&mut call);
        Ok(TypedExpr::new(over(native::nth_value::nth_value_udwf().into(), call, frame), to, true))
    });
}

/// (value [, offset [, default]])
fn shift(name: &str, mut call: WindowCall, udwf: Arc<WindowUDF>, facts: &Facts) -> Bound {
    super::expect(name, &call, 1..=3)?;
    if call.order_by.is_empty() {
        return Err(UserError::new(
            Code::SyntaxError,
            format!("Window function type [{name}] requires ORDER BY in window specification"),
        ));
    }
    let to = call.args[0].sql_type.clone();
    let mut nullable = true;
    if let Some(offset) = call.args.get(1) {
        let offset = offset.as_integer_literal().ok_or_else(|| {
            UserError::new(
                Code::InvalidArgument,
                format!("argument 2 to function {name} needs to be constant"),
            )
        })?;
        call.args[1] = TypedExpr::number(offset as i128, 18, 0);
    }
    let mut to = to;
    if let Some(default) = call.args.get(2).cloned() {
        // The result holds both the value and the default.
        let common = crate::coerce::common_type(&to, &default.sql_type)
            .ok_or_else(|| crate::coerce::mismatch(&to, &default.sql_type))?;
        call.args[0] = cast(call.args[0].clone(), &common, CastMode::Implicit, facts)?;
        let default = cast(default, &common, CastMode::Implicit, facts)?;
        if default.as_literal().is_none() {
            return Err(UserError::unsupported(format!(
                "{name} with a default that is no constant"
            )));
        }
        nullable = default.nullable || call.args[0].nullable;
        call.args[2] = default;
        to = common;
    }
    call.frame = None;
    Ok(TypedExpr::new(over(udwf.into(), call, None), to, nullable))
}

/// Without a frame the whole partition counts, as Snowflake has it for these functions.
fn frame(call: &mut WindowCall) -> Option<WindowFrame> {
    Some(call.frame.take().unwrap_or_else(super::whole_partition))
}

fn nth(name: &str, mut call: WindowCall, udwf: Arc<WindowUDF>) -> Bound {
    super::expect(name, &call, 1..=1)?;
    let to = call.args[0].sql_type.clone();
    let frame = frame(&mut call);
    Ok(TypedExpr::new(over(udwf.into(), call, frame), to, true))
}
