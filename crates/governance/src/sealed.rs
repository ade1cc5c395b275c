//! A plan that is closed to what is above it: the rows a policy or a secure view works on.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::DFSchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    Expr, Extension, Limit, LogicalPlan, UserDefinedLogicalNodeCore, lit,
};

/// What is told of an error from below.
pub const REDACTED: &str = "Error in secure object";

/// Hands on the rows of its input. Conditions from above are not tried below it, where their errors
/// would tell of rows that are not shown, and errors from below do not tell of values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sealed {
    pub input: LogicalPlan,
    /// Columns that conditions from above may not look through; none: no column at all.
    closed: Option<Vec<String>>,
    /// Whether the words of errors from below are kept to itself.
    pub redacts: bool,
}

impl Sealed {
    /// Seals a plan as a whole: no condition from above is tried below.
    pub fn whole(input: LogicalPlan, redacts: bool) -> LogicalPlan {
        // A condition on no column passes any node but a limit.
        let input = LogicalPlan::Limit(Limit {
            skip: None,
            fetch: Some(Box::new(lit(i64::MAX))),
            input: Arc::new(input),
        });
        Sealed { input, closed: None, redacts }.plan()
    }

    /// Seals some columns of a plan all of whose rows are shown.
    pub(crate) fn columns(input: LogicalPlan, closed: Vec<String>) -> LogicalPlan {
        Sealed { input, closed: Some(closed), redacts: true }.plan()
    }

    fn plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The node a plan is, if it is one of these.
    pub fn of(plan: &LogicalPlan) -> Option<&Sealed> {
        match plan {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
            _ => None,
        }
    }
}

impl PartialOrd for Sealed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for Sealed {
    fn name(&self) -> &str {
        "Sealed"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        match &self.closed {
            Some(closed) => closed.iter().cloned().collect(),
            None => self.input.schema().fields().iter().map(|f| f.name().clone()).collect(),
        }
    }

    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Sealed")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.into_iter().next() {
            Some(input) => Ok(Sealed { input, ..self.clone() }),
            None => Err(DataFusionError::Internal("a sealed plan has one input".into())),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}
