//! A bound on what plans grow to. A common table expression is planned once, and all that read it share
//! its plan; but whoever walks the plan comes by it once for each of them, and with a few that each read
//! the one before twice, it comes by the first more often than it can count.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::{Expr, LogicalPlan};
use frazil_common::{Code, UserError};

use crate::binder::Bound;
use crate::error::Result;

/// Nodes of a statement's plan with everything shared written out.
pub(crate) const PLAN_NODES_MAX: usize = 50_000;

/// How many nodes the plans have that others are made of.
#[derive(Default)]
pub(crate) struct PlanSizes {
    /// By the place of the node in memory.
    known: Sizes,
    /// Keeps those places taken.
    kept: Vec<Rc<Bound>>,
}

type Sizes = HashMap<usize, usize>;

impl PlanSizes {
    /// Looks at a plan that others will be made of.
    ///
    /// # Errors
    /// It has too many nodes.
    pub fn keep(&mut self, bound: &Rc<Bound>) -> Result<()> {
        let sizes = self.check(&bound.plan)?;
        self.known.extend(sizes);
        self.kept.push(Rc::clone(bound));
        Ok(())
    }

    /// The sizes of what is new in the plan.
    ///
    /// # Errors
    /// It has too many nodes.
    pub fn check(&self, plan: &LogicalPlan) -> Result<Sizes> {
        let mut sizes = Sizes::new();
        self.add(plan, &mut sizes)?;
        Ok(sizes)
    }

    fn add(&self, node: &LogicalPlan, sizes: &mut Sizes) -> Result<usize> {
        let place = std::ptr::from_ref(node).addr();
        if let Some(size) = self.known.get(&place).or_else(|| sizes.get(&place)) {
            return Ok(*size);
        }
        let mut size = 1;
        for input in node.inputs() {
            size += self.add(input, sizes)?;
        }
        for subquery in subqueries(node)? {
            size += self.add(&subquery, sizes)?;
        }
        if size > PLAN_NODES_MAX {
            return Err(too_large().into());
        }
        sizes.insert(place, size);
        Ok(size)
    }
}

fn subqueries(node: &LogicalPlan) -> Result<Vec<Arc<LogicalPlan>>> {
    let mut found = Vec::new();
    node.apply_expressions(|expr| {
        expr.apply(|part| {
            if let Expr::Exists(Exists { subquery, negated: _ })
            | Expr::InSubquery(InSubquery { subquery, expr: _, negated: _ })
            | Expr::SetComparison(SetComparison { subquery, expr: _, op: _, quantifier: _ })
            | Expr::ScalarSubquery(subquery) = part
            {
                found.push(Arc::clone(&subquery.subquery));
            }
            Ok::<_, DataFusionError>(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

fn too_large() -> UserError {
    UserError::new(
        Code::ResourceLimit,
        format!(
            "SQL statement is too complex: its plan has more than {PLAN_NODES_MAX} nodes once common \
             table expressions and views are written out."
        ),
    )
}
