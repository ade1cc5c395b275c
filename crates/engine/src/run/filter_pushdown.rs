//! DataFusion's pushing down of filters, kept from rows whose columns share a name.
//!
//! Its operators look for the columns of a filter among their input's by name and take the first of that name.
//! Over a join of two tables that both have a column `V`, a filter on the one would become one on the
//! other. Where a name is there twice no filter goes down: the parts below are looked at on their own.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::{ExecutionPlan, PlanProperties, ReplaceChildrenOptions};

use crate::run::one_input::{no_expressions, shown_by_name};

/// DataFusion's name of the rule, in both of its phases.
const PUSHDOWN: &str = "FilterPushdown";

const NAME: &str = "ApartExec";

/// Puts the rule in the place of DataFusion's own.
pub(crate) fn keep_names_apart(rules: &mut [Arc<dyn PhysicalOptimizerRule + Send + Sync>]) {
    for rule in rules {
        if rule.name().starts_with(PUSHDOWN) {
            *rule = Arc::new(FilterPushdownApart(Arc::clone(rule)));
        }
    }
}

/// The rule inside, run on each part of a plan in which no input's columns share a name.
#[derive(Debug)]
struct FilterPushdownApart(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for FilterPushdownApart {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut cut = false;
        let inputs = plan.children().into_iter().map(Arc::clone).collect::<Vec<_>>();
        let mut parts = Vec::with_capacity(inputs.len());
        for input in inputs {
            let part = input.transform_down(|node| {
                if !shares_a_name(&node.schema()) {
                    return Ok(Transformed::no(node));
                }
                cut = true;
                let apart = ApartExec::new(self.optimize(node, options)?);
                Ok(Transformed::new(Arc::new(apart) as _, true, TreeNodeRecursion::Jump))
            })?;
            parts.push(part.data);
        }
        if !cut {
            return self.0.optimize(plan, options);
        }
        let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let plan = self.0.optimize(plan.replace_children(parts, anew)?, options)?;
        let whole = plan.transform_down(|node| match node.downcast_ref::<ApartExec>() {
            None => Ok(Transformed::no(node)),
            Some(apart) => {
                let within = Arc::clone(&apart.within);
                Ok(Transformed::new(within, true, TreeNodeRecursion::Jump))
            }
        })?;
        Ok(whole.data)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn shares_a_name(schema: &Schema) -> bool {
    let mut names = HashSet::with_capacity(schema.fields().len());
    !schema.fields().iter().all(|field| names.insert(field.name()))
}

/// A part of a plan that takes no filters, while the rule runs.
#[derive(Debug)]
struct ApartExec {
    within: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl ApartExec {
    fn new(within: Arc<dyn ExecutionPlan>) -> Self {
        let properties = Arc::clone(within.properties());
        ApartExec { within, properties }
    }
}

shown_by_name!(ApartExec, NAME);

impl ExecutionPlan for ApartExec {
    fn name(&self) -> &str {
        NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    no_expressions!();

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Err(DataFusionError::Internal(format!("{NAME} is no part of a plan that runs")))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::all_unsupported(result))
    }
}
