//! Snowflake's SQL functions, operators and casts as DataFusion expressions.
//!
//! Binding maps a name and typed arguments to an expression whose Arrow type always equals
//! [`frazil_common::SqlType::to_arrow`] of its SQL type. Kernels hold a signature only; what they
//! need of the session comes as literal arguments, written at bind time from [`Facts`].

pub mod aggregate;
mod arguments;
pub mod cast;
pub mod coerce;
mod error;
mod evaluate;
mod facts;
mod kernel;
mod lambda;
mod made;
mod number;
pub mod operators;
mod options;
mod registry;
pub mod scalar;
mod size;
mod stop;
pub mod table;
pub mod temporal;
mod typed;
pub mod variant;
pub mod window;

pub use aggregate::{
    AggregateCall, AggregateFunction, Watch, counting_watch, value_bytes, watched,
};
pub use cast::is_cast;
pub use error::{FunctionError, raise, user_error};
pub use evaluate::{evaluate_constant, evaluate_on};
pub use facts::{Facts, OutputFormats};
pub use lambda::{Lambda, LambdaKind, lambda_column};
pub use made::MadeBytesMax;
pub use registry::{ScalarFunction, names, scalar};
pub use scalar::search::{search, searchable};
pub use size::{is_small, nodes_up_to};
pub use stop::{StatementStop, cancelled};
pub use typed::TypedExpr;
pub use window::{WindowCall, WindowFunction};

/// The aggregate function of that upper-case name.
pub fn aggregate(name: &str) -> Option<&'static AggregateFunction> {
    aggregate::find(name)
}

/// The window function of that upper-case name; aggregates are window functions too.
pub fn window(name: &str) -> Option<&'static WindowFunction> {
    window::find(name)
}
