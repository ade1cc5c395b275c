//! Window functions, and aggregates over windows.

mod navigation;
mod ranking;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use std::ops::RangeInclusive;

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{self, NullTreatment};
use datafusion::logical_expr::{
    Expr, SortExpr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use frazil_common::{Code, UserError};

use crate::aggregate::AggregateCall;
use crate::facts::Facts;
use crate::typed::TypedExpr;

/// A call with OVER.
#[derive(Debug, Clone, Default)]
pub struct WindowCall {
    pub args: Vec<TypedExpr>,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortExpr>,
    /// The frame as written, `None` where there is none.
    pub frame: Option<WindowFrame>,
    /// The current row's peers are told by its group: its sort key is of a type without distances.
    pub by_groups: bool,
    pub ignore_nulls: bool,
    pub distinct: bool,
}

pub(crate) type Binder = fn(&'static str, WindowCall, &Facts) -> Result<TypedExpr, UserError>;

/// A window function by its SQL name.
#[derive(Debug)]
pub struct WindowFunction {
    name: &'static str,
    binder: Binder,
}

impl WindowFunction {
    /// Binds a call. The expression holds one `Expr::WindowFunction`, perhaps inside casts.
    pub fn bind(&self, call: WindowCall, facts: &Facts) -> Result<TypedExpr, UserError> {
        (self.binder)(self.name, call, facts)
    }

    pub fn name(&self) -> &'static str {
        self.name
    }
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    functions: BTreeMap<&'static str, WindowFunction>,
}

impl Registry {
    pub fn add(&mut self, names: &[&'static str], binder: Binder) {
        for name in names {
            self.functions.insert(name, WindowFunction { name, binder });
        }
    }
}

static WINDOWS: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::default();
    register(&mut registry);
    registry
});

fn register(registry: &mut Registry) {
    for name in crate::aggregate::names() {
        registry.add(&[name], aggregate_over);
    }
    navigation::register(registry);
    ranking::register(registry);
}

fn expect(name: &str, call: &WindowCall, count: RangeInclusive<usize>) -> Result<(), UserError> {
    if count.contains(&call.args.len()) {
        return Ok(());
    }
    Err(UserError::new(
        Code::ArgumentCount,
        format!(
            "wrong number of arguments for function [{name}], expected {}, got {}",
            count.end(),
            call.args.len()
        ),
    ))
}

fn unbounded(units: WindowFrameUnits, end: WindowFrameBound) -> WindowFrame {
    let start = WindowFrameBound::Preceding(ScalarValue::UInt64(None));
    WindowFrame::new_bounds(units, start, end)
}

/// ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
fn whole_partition() -> WindowFrame {
    unbounded(WindowFrameUnits::Rows, WindowFrameBound::Following(ScalarValue::UInt64(None)))
}

/// ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
fn rows_to_current() -> WindowFrame {
    unbounded(WindowFrameUnits::Rows, WindowFrameBound::CurrentRow)
}

/// The frame of a call without one: all of the partition, or with ORDER BY what comes before the
/// current row and its peers.
fn default_frame(call: &WindowCall) -> WindowFrame {
    if call.by_groups {
        return unbounded(WindowFrameUnits::Groups, WindowFrameBound::CurrentRow);
    }
    WindowFrame::new((!call.order_by.is_empty()).then_some(false))
}

/// The call as an expression.
fn over(fun: WindowFunctionDefinition, call: WindowCall, frame: Option<WindowFrame>) -> Expr {
    let window_frame = frame.unwrap_or_else(|| default_frame(&call));
    Expr::WindowFunction(Box::new(expr::WindowFunction {
        fun,
        params: expr::WindowFunctionParams {
            args: call.args.into_iter().map(|v| v.expr).collect(),
            partition_by: call.partition_by,
            order_by: call.order_by,
            window_frame,
            filter: None,
            null_treatment: call.ignore_nulls.then_some(NullTreatment::IgnoreNulls),
            distinct: call.distinct,
        },
    }))
}

/// Aggregates that always see their whole partition where no frame is written.
const WHOLE: [&str; 21] = [
    "LISTAGG",
    "STRING_AGG",
    "ARRAY_AGG",
    "ARRAYAGG",
    "ARRAY_UNIQUE_AGG",
    "ARRAY_UNION_AGG",
    "OBJECT_AGG",
    "OBJECTAGG",
    "MEDIAN",
    "MODE",
    "PERCENTILE_CONT",
    "PERCENTILE_DISC",
    "APPROX_PERCENTILE",
    "APPROX_TOP_K",
    "HASH_AGG",
    "SKEW",
    "KURTOSIS",
    "MIN_BY",
    "MAX_BY",
    "APPROX_COUNT_DISTINCT",
    "HLL",
];

/// An aggregate over a window. With ORDER BY and no frame it runs from the partition's start to
/// the current row and its peers.
fn aggregate_over(
    name: &'static str,
    mut call: WindowCall,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let function = crate::aggregate::find(name)
        .ok_or_else(|| UserError::internal(format!("{name} is missing")))?;
    if WHOLE.contains(&name) && call.frame.is_none() {
        call.frame = Some(whole_partition());
    }
    let inner = AggregateCall {
        args: std::mem::take(&mut call.args),
        distinct: call.distinct,
        ignore_nulls: call.ignore_nulls,
        ..AggregateCall::default()
    };
    lift(function.bind(inner, facts)?, call)
}

/// Puts the one aggregate inside an expression over the call's window.
fn lift(value: TypedExpr, call: WindowCall) -> Result<TypedExpr, UserError> {
    let frame = call.frame.clone().unwrap_or_else(|| default_frame(&call));
    let lifted = value.expr.transform_down(|e| {
        let Expr::AggregateFunction(aggregate) = e else { return Ok(Transformed::no(e)) };
        let params = aggregate.params;
        let over = Expr::WindowFunction(Box::new(expr::WindowFunction {
            fun: WindowFunctionDefinition::AggregateUDF(aggregate.func),
            params: expr::WindowFunctionParams {
                args: params.args,
                partition_by: call.partition_by.clone(),
                order_by: call.order_by.clone(),
                window_frame: frame.clone(),
                filter: params.filter,
                null_treatment: params.null_treatment,
                distinct: params.distinct,
            },
        }));
        Ok(Transformed::new(over, true, TreeNodeRecursion::Jump))
    });
    let expr = lifted.map_err(|e| crate::error::user_error(&e))?.data;
    Ok(TypedExpr { expr, ..value })
}

pub(crate) fn find(name: &str) -> Option<&'static WindowFunction> {
    WINDOWS.functions.get(name)
}

/// Names of window functions that are no aggregates.
pub(crate) fn own_names() -> Vec<&'static str> {
    WINDOWS.functions.keys().copied().filter(|n| crate::aggregate::find(n).is_none()).collect()
}
