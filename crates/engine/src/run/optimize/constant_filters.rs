//! DataFusion's pushing down of filters, kept from aggregates that give a row of no rows.
//!
//! A condition on a column that is a constant looks at no column of the aggregate below, and the rule puts it
//! below the aggregate. Of a whole table (`SELECT 1 AS o, COUNT(*) FROM t`), and for the empty set among
//! grouping sets, the aggregate gives a row all the same, which the condition was to drop.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Puts the rule in the place of DataFusion's own.
pub(super) fn keep_constants_above(rules: &mut [Arc<dyn OptimizerRule + Send + Sync>]) {
    for rule in rules {
        if rule.name() == PushDownFilter::new().name() {
            *rule = Arc::new(ConstantsAbove(PushDownFilter::new()));
        }
    }
}

/// The rule inside, on all conditions but those that look at nothing of such an aggregate.
#[derive(Debug)]
struct ConstantsAbove(PushDownFilter);

impl OptimizerRule for ConstantsAbove {
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
        let LogicalPlan::Filter(filter) = plan else { return self.0.rewrite(plan, config) };
        // The rule makes one filter of several and goes on with that, past HAVING too.
        let mut conditions = split_conjunction_owned(filter.predicate.clone());
        let mut input = &filter.input;
        while let LogicalPlan::Filter(below) = input.as_ref() {
            conditions.extend(split_conjunction_owned(below.predicate.clone()));
            input = &below.input;
        }
        if !gives_a_row_of_none(input) {
            return self.0.rewrite(LogicalPlan::Filter(filter), config);
        }
        let (constants, others): (Vec<Expr>, Vec<Expr>) =
            conditions.into_iter().partition(|condition| condition.column_refs().is_empty());
        let Some(constant) = conjunction(constants) else {
            return self.0.rewrite(LogicalPlan::Filter(filter), config);
        };
        let Some(rest) = conjunction(others) else {
            return Ok(Transformed::no(LogicalPlan::Filter(filter)));
        };
        let below = LogicalPlan::Filter(Filter::try_new(rest, Arc::clone(input))?);
        self.0
            .rewrite(below, config)?
            .map_data(|below| Ok(LogicalPlan::Filter(Filter::try_new(constant, Arc::new(below))?)))
    }
}

fn gives_a_row_of_none(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Aggregate(aggregate) = plan else { return false };
    aggregate.group_expr.is_empty()
        || aggregate.group_expr.iter().any(|key| matches!(key, Expr::GroupingSet(_)))
}
