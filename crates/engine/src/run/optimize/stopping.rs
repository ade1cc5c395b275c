//! Rules that look whether the statement goes on before they touch a node: optimizing a large text takes
//! seconds, and a task that is not waiting is not cancelled.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use frazil_functions::StatementStop;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

#[derive(Debug)]
struct Stopping(Rule);

impl OptimizerRule for Stopping {
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
        if let Some(stop) = config.options().extensions.get::<StatementStop>() {
            stop.check().map_err(|error| DataFusionError::External(Box::new(error)))?;
        }
        self.0.rewrite(plan, config)
    }
}

/// The rules, each of which ends with 000604 when the statement is cancelled.
pub(crate) fn stopping(rules: Vec<Rule>) -> Vec<Rule> {
    rules.into_iter().map(|rule| Arc::new(Stopping(rule)) as Rule).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use datafusion::execution::session_state::SessionStateBuilder;
    use datafusion::logical_expr::{LogicalPlanBuilder, col, lit};
    use datafusion::optimizer::Optimizer;
    use frazil_common::Code;

    use super::*;
    use crate::run::execute::user_error;

    #[test]
    fn a_cancelled_statement_is_not_optimized_to_its_end() {
        let rules = Optimizer::default().rules;
        let all = rules.len();
        let mut state = SessionStateBuilder::new().with_optimizer_rules(stopping(rules)).build();
        let plan = LogicalPlanBuilder::values(vec![vec![lit(1)], vec![lit(2)]])
            .unwrap()
            .filter(col("column1").gt(lit(1)))
            .unwrap()
            .build()
            .unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let until = |last: usize| {
            let count = Arc::clone(&count);
            StatementStop::when(move || count.fetch_add(1, Ordering::Relaxed) >= last)
        };
        state.config_mut().options_mut().extensions.insert(until(usize::MAX));
        state.optimize(&plan).unwrap();
        assert!(asked.swap(0, Ordering::Relaxed) >= all);
        state.config_mut().options_mut().extensions.insert(until(3));
        let error = user_error(state.optimize(&plan).unwrap_err());
        assert_eq!((error.code, asked.load(Ordering::Relaxed)), (Code::Cancelled, 4));
    }
}
