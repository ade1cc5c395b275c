//! Table functions as kernels that give a list of rows, which the planner unnests.

mod flatten;
mod split;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::{ScalarUDF, Volatility};

use crate::kernel::{KernelFn, udf_with};

pub use flatten::flatten_udf;
pub use split::{split_to_table_udf, strtok_split_to_table_udf};

/// Names of table functions.
pub(crate) const NAMES: [&str; 3] = ["FLATTEN", "SPLIT_TO_TABLE", "STRTOK_SPLIT_TO_TABLE"];

/// A function that makes a list of rows. It is not computed into a plan, where a list would be as long as
/// the table that it becomes, and where rules spell it out.
fn list_udf(name: &'static str, returns: DataType, run: KernelFn) -> Arc<ScalarUDF> {
    udf_with(name, returns, Volatility::Volatile, run)
}
