//! Aggregate functions.

mod array;
mod basic;
mod collect;
mod finish;
mod number;
mod statistics;
mod watch;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use datafusion::logical_expr::{Expr, SortExpr};
use frazil_common::UserError;

use crate::facts::Facts;
use crate::typed::TypedExpr;

pub use collect::value_bytes;
pub use watch::{Watch, counting_watch, watched};

/// A call of an aggregate function.
#[derive(Debug, Clone, Default)]
pub struct AggregateCall {
    pub args: Vec<TypedExpr>,
    pub distinct: bool,
    pub filter: Option<Expr>,
    /// WITHIN GROUP (ORDER BY …).
    pub order_by: Vec<SortExpr>,
    pub ignore_nulls: bool,
}

pub(crate) type Binder = fn(&'static str, AggregateCall, &Facts) -> Result<TypedExpr, UserError>;

/// An aggregate function by its SQL name.
#[derive(Debug)]
pub struct AggregateFunction {
    name: &'static str,
    binder: Binder,
}

impl AggregateFunction {
    /// Binds a call. The expression holds one `Expr::AggregateFunction`, perhaps inside casts.
    pub fn bind(&self, call: AggregateCall, facts: &Facts) -> Result<TypedExpr, UserError> {
        (self.binder)(self.name, call, facts)
    }

    pub fn name(&self) -> &'static str {
        self.name
    }
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    functions: BTreeMap<&'static str, AggregateFunction>,
}

impl Registry {
    pub fn add(&mut self, names: &[&'static str], binder: Binder) {
        for name in names {
            self.functions.insert(name, AggregateFunction { name, binder });
        }
    }
}

static AGGREGATES: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::default();
    register(&mut registry);
    registry
});

fn register(registry: &mut Registry) {
    array::register(registry);
    basic::register(registry);
    statistics::register(registry);
}

pub(crate) fn find(name: &str) -> Option<&'static AggregateFunction> {
    AGGREGATES.functions.get(name)
}

pub(crate) fn names() -> Vec<&'static str> {
    AGGREGATES.functions.keys().copied().collect()
}

/// Number of changes of a value from row to row, for CONDITIONAL_CHANGE_EVENT.
pub(crate) fn change_event(call: AggregateCall) -> Result<TypedExpr, UserError> {
    let to = crate::arguments::SMALL_INTEGER;
    basic::collected("frazil_change_event", call, to, finish::change_event)
}
