//! Names of scalar functions and how they bind.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use frazil_common::UserError;

use crate::arguments::Arguments;
use crate::facts::Facts;
use crate::typed::TypedExpr;

pub(crate) type Binder = fn(Arguments) -> Result<TypedExpr, UserError>;

/// A scalar function by its SQL name.
#[derive(Debug)]
pub struct ScalarFunction {
    name: &'static str,
    binder: Binder,
}

impl ScalarFunction {
    /// Binds a call: checks arguments, inserts casts, picks the result type.
    pub fn bind(&self, args: Vec<TypedExpr>, facts: &Facts) -> Result<TypedExpr, UserError> {
        (self.binder)(Arguments { name: self.name, values: args, facts })
    }

    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// Collects functions while families register theirs.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    functions: BTreeMap<&'static str, ScalarFunction>,
}

impl Registry {
    pub fn add(&mut self, names: &[&'static str], binder: Binder) {
        for name in names {
            self.functions.insert(name, ScalarFunction { name, binder });
        }
    }
}

static SCALARS: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::default();
    crate::scalar::register(&mut registry);
    registry
});

/// The scalar function of that upper-case name.
pub fn scalar(name: &str) -> Option<&'static ScalarFunction> {
    SCALARS.functions.get(name)
}

/// All function names with their kind: `SCALAR`, `AGGREGATE`, `WINDOW` or `TABLE`.
pub fn names() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&'static str, &'static str)> =
        SCALARS.functions.keys().map(|name| (*name, "SCALAR")).collect();
    all.extend(crate::aggregate::names().into_iter().map(|name| (name, "AGGREGATE")));
    all.extend(crate::window::own_names().into_iter().map(|name| (name, "WINDOW")));
    all.extend(crate::table::NAMES.iter().map(|name| (*name, "TABLE")));
    all.sort();
    all
}
