//! What DataFusion takes for known of the rows of grouping sets.
//!
//! A key that is one value before (`WHERE a = 1 GROUP BY ROLLUP (a)`), or equals another, is taken for that
//! afterwards too, though the rows of sets without it have NULL there: rows came in the wrong order. Above
//! such an aggregate stands an operator that tells nothing of its rows.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use crate::run::one_input::{no_expressions, one_input};

const NAME: &str = "GroupingSetsExec";

/// Puts a [`GroupingSetsExec`] above every aggregate by several sets of keys.
#[derive(Debug)]
pub(crate) struct ForgetGroupingKeys;

impl PhysicalOptimizerRule for ForgetGroupingKeys {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wrapped = plan.transform_up(|node| match node.downcast_ref::<AggregateExec>() {
            Some(aggregate) if !aggregate.group_expr().is_single() => {
                Ok(Transformed::yes(Arc::new(GroupingSetsExec::new(node)) as _))
            }
            _ => Ok(Transformed::no(node)),
        })?;
        Ok(wrapped.data)
    }

    fn name(&self) -> &str {
        "forget_grouping_keys"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Hands on its input's batches.
#[derive(Debug)]
struct GroupingSetsExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl GroupingSetsExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            input.properties().partitioning.clone(),
            input.properties().emission_type,
            input.properties().boundedness,
        );
        GroupingSetsExec { input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for GroupingSetsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl ExecutionPlan for GroupingSetsExec {
    fn name(&self) -> &str {
        NAME
    }

    one_input!(NAME, |_, input| GroupingSetsExec::new(input));

    no_expressions!();

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
