//! A plan that is closed to what is above it: the rows a policy or a secure view works on.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchemaRef, Spans};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, Extension, Limit, LogicalPlan, LogicalPlanBuilder, Subquery, UserDefinedLogicalNodeCore,
    lit,
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
    ///
    /// # Errors
    /// An internal one.
    pub fn whole(input: LogicalPlan, redacts: bool) -> Result<LogicalPlan> {
        let input = with_sealed_subqueries(input, redacts)?;
        // A condition on no column passes any node but a limit.
        let input = LogicalPlan::Limit(Limit {
            skip: None,
            fetch: Some(Box::new(lit(i64::MAX))),
            input: Arc::new(input),
        });
        Ok(Sealed { input, closed: None, redacts }.plan())
    }

    /// Seals some columns of a plan all of whose rows are shown.
    pub(crate) fn columns(input: LogicalPlan, closed: Vec<String>) -> Result<LogicalPlan> {
        let input = with_sealed_subqueries(input, true)?;
        Ok(Sealed { input, closed: Some(closed), redacts: true }.plan())
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

/// Subqueries that read nothing of the rows they stand beside run once, beside the whole query and so
/// outside the seal of what they stand in: each gets a seal of its own.
fn with_sealed_subqueries(plan: LogicalPlan, redacts: bool) -> Result<LogicalPlan> {
    let sealed = plan.transform_down_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let sealed = expr.transform_down(|part| seal_subquery(part, redacts))?;
            Ok(sealed.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(sealed.data)
}

fn seal_subquery(expr: Expr, redacts: bool) -> Result<Transformed<Expr>> {
    let stands_alone = |subquery: &Subquery| {
        subquery.subquery.all_out_ref_exprs().is_empty() && Sealed::of(&subquery.subquery).is_none()
    };
    let seal = |input: LogicalPlan, spans: &Spans| {
        Expr::ScalarSubquery(Subquery {
            subquery: Arc::new(Sealed { input, closed: None, redacts }.plan()),
            outer_ref_columns: Vec::new(),
            spans: spans.clone(),
        })
    };
    Ok(match expr {
        Expr::ScalarSubquery(subquery) if stands_alone(&subquery) => {
            let input = Arc::unwrap_or_clone(subquery.subquery);
            Transformed::yes(seal(input, &subquery.spans))
        }
        // It would be made a number of rows, of which the plan and its profile tell.
        Expr::Exists(Exists { subquery, negated }) if stands_alone(&subquery) => {
            let found = LogicalPlanBuilder::from(Arc::unwrap_or_clone(subquery.subquery))
                .limit(0, Some(1))?
                .aggregate(Vec::<Expr>::new(), vec![count(lit(1i64))])?
                .build()?;
            let found = seal(found, &subquery.spans);
            let is_true = if negated { found.eq(lit(0i64)) } else { found.gt(lit(0i64)) };
            Transformed::yes(is_true.is_true())
        }
        other => Transformed::no(other),
    })
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
