//! NOT IN whose value is a constant.
//!
//! DataFusion makes a join of NOT IN that knows of NULLs by its keys. A constant is no key: the condition went
//! below the join, where the NULLs that make the answer unknown were lost, and `5 NOT IN (1, NULL)` was true.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// DataFusion's name of the rule that makes the joins.
const DECORRELATION: &str = "decorrelate_predicate_subquery";

/// Puts [`ConstantNotIn`] behind the rule that makes the joins.
pub(super) fn keep_unknown(rules: &mut Vec<Arc<dyn OptimizerRule + Send + Sync>>) {
    if let Some(place) = rules.iter().position(|rule| rule.name() == DECORRELATION) {
        rules.insert(place + 1, Arc::new(ConstantNotIn));
    }
}

/// Where the condition looks at no column of the left, a row of the right for which it is unknown counts as
/// one for which it is true.
#[derive(Debug)]
struct ConstantNotIn;

impl OptimizerRule for ConstantNotIn {
    fn name(&self) -> &str {
        "constant_not_in"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = plan else { return Ok(Transformed::no(plan)) };
        let anti = join.join_type == JoinType::LeftAnti && join.null_aware && join.on.is_empty();
        match join.filter {
            Some(filter) if anti && !looks_at(&filter, &join.left) => {
                let filter = Some(Expr::IsNotFalse(Box::new(filter)));
                let join = Join { filter, null_aware: false, ..join };
                Ok(Transformed::yes(LogicalPlan::Join(join)))
            }
            filter => Ok(Transformed::no(LogicalPlan::Join(Join { filter, ..join }))),
        }
    }
}

fn looks_at(condition: &Expr, plan: &LogicalPlan) -> bool {
    condition.column_refs().into_iter().any(|column| plan.schema().has_column(column))
}
