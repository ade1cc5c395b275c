//! What DataFusion takes for known of rows, and is not so.
//!
//! A key of grouping sets that is one value before (`WHERE a = 1 GROUP BY ROLLUP (a)`), or equals another, is
//! taken for that afterwards too, though the rows of sets without it have NULL there: rows came in the wrong
//! order. Of a union, what the branches have as constants, equal columns and orders is put together in ways that
//! its own check of a plan does not follow: an ORDER BY sorted each branch by other columns, and was refused.
//! Above such operators stands one that tells nothing of its rows, and that no ORDER BY passes.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, PlanProperties};

use crate::run::one_input::{no_expressions, one_input, shown_by_name};

pub(crate) const NAME: &str = "ForgetfulExec";

/// Puts a [`ForgetfulExec`] above every aggregate by several sets of keys, and above unions with branches
/// of which more is known than their orders.
#[derive(Debug)]
pub(crate) struct ForgetProperties;

impl PhysicalOptimizerRule for ForgetProperties {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wrapped = plan.transform_up(|node| match misleads(node.as_ref()) {
            true => Ok(Transformed::yes(Arc::new(ForgetfulExec::new(node)) as _)),
            false => Ok(Transformed::no(node)),
        })?;
        Ok(wrapped.data)
    }

    fn name(&self) -> &str {
        "forget_properties"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn misleads(node: &dyn ExecutionPlan) -> bool {
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        return !aggregate.group_expr().is_single();
    }
    node.downcast_ref::<UnionExec>().is_some_and(|union| {
        let mut branches = union.inputs().iter();
        branches.any(|branch| !branch.equivalence_properties().eq_group().is_empty())
    })
}

/// Hands on its input's batches. No filters come down to it: those of the statement are below by then.
#[derive(Debug)]
struct ForgetfulExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl ForgetfulExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            input.properties().partitioning.clone(),
            input.properties().emission_type,
            input.properties().boundedness,
        );
        ForgetfulExec { input, properties: Arc::new(properties) }
    }
}

shown_by_name!(ForgetfulExec, NAME);

impl ExecutionPlan for ForgetfulExec {
    fn name(&self) -> &str {
        NAME
    }

    one_input!(NAME, |_, input| ForgetfulExec::new(input), maintains_input_order: false);

    no_expressions!();

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
