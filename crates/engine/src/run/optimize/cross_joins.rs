//! DataFusion's elimination of cross joins, kept from joins by IS NOT DISTINCT FROM.
//!
//! The rule takes a tree of inner joins apart and makes all of them anew as the topmost compares NULLs: where
//! one of them takes NULL for equal to NULL and another does not, rows would be lost or made up.

use std::sync::Arc;

use datafusion::common::NullEquality;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Join, JoinType, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// DataFusion's name of the rule.
const ELIMINATION: &str = "eliminate_cross_join";

/// Puts the rule in the place of DataFusion's own.
pub(super) fn keep_nulls_apart(rules: &mut [Arc<dyn OptimizerRule + Send + Sync>]) {
    for rule in rules {
        if rule.name() == ELIMINATION {
            *rule = Arc::new(NullsApart(Arc::clone(rule)));
        }
    }
}

/// The rule inside, on plans in which no inner join takes NULL for equal to NULL.
#[derive(Debug)]
struct NullsApart(Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for NullsApart {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match joins_nulls(&plan)? {
            true => Ok(Transformed::no(plan)),
            false => self.0.rewrite(plan, config),
        }
    }
}

fn joins_nulls(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(
            node,
            LogicalPlan::Join(Join {
                join_type: JoinType::Inner,
                null_equality: NullEquality::NullEqualsNull,
                ..
            })
        );
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
