//! Table functions as kernels that give a list of rows, which the planner unnests.

mod flatten;
mod split;

pub use flatten::flatten_udf;
pub use split::{split_to_table_udf, strtok_split_to_table_udf};

/// Names of table functions.
pub(crate) const NAMES: [&str; 3] = ["FLATTEN", "SPLIT_TO_TABLE", "STRTOK_SPLIT_TO_TABLE"];
