//! INSERT ALL and INSERT FIRST: one branch at a time over the rows of the query.

use std::rc::Rc;

use datafusion::logical_expr::LogicalPlanBuilder;
use frazil_common::{Code, Privilege, UserError};
use frazil_dialect::{BranchWhen, InsertBranch, InsertSource, InsertTarget, MultiInsert};
use frazil_functions::TypedExpr;
use frazil_functions::operators;

use crate::binder::{Binder, Bound};
use crate::dml::{chosen_columns, count_mismatch};
use crate::error::Result;
use crate::relation::{DmlKind, PlanContext, PlannedDml, Relation, TargetTable};
use crate::scope::{Env, Scope};

/// Plans a branch of a multi-table INSERT: the rows of `source`, the query's result, that the
/// branch takes, for all columns of its table in table order.
///
/// # Errors
/// As [`crate::plan_insert`].
pub fn plan_insert_branch(
    insert: &MultiInsert,
    branch: &InsertBranch,
    source: &Relation,
    target: &TargetTable,
    ctx: &PlanContext<'_>,
) -> std::result::Result<PlannedDml, UserError> {
    let mut binder = Binder::new(ctx);
    let bound = binder.insert_branch(insert, branch, source, target)?;
    Ok(PlannedDml { planned: binder.finish(bound)?, kind: DmlKind::Insert })
}

impl Binder<'_> {
    fn insert_branch(
        &mut self,
        insert: &MultiInsert,
        branch: &InsertBranch,
        source: &Relation,
        target: &TargetTable,
    ) -> Result<Bound> {
        let InsertBranch { when, target: InsertTarget { table: _, position, columns }, values } =
            branch;
        let place = Some(*position);
        let (mut plan, scope) = self.use_relation(source, None)?;
        let scope = Rc::new(scope);
        if let Some(condition) = self.branch_condition(insert, *when, &scope)? {
            plan = LogicalPlanBuilder::from(plan).filter(condition.expr)?.build()?;
        }
        let chosen = chosen_columns(target, columns)?;
        let mut given: Vec<Option<TypedExpr>> = vec![None; target.columns.len()];
        match values {
            None => {
                let found: Vec<TypedExpr> = scope
                    .columns
                    .iter()
                    .filter(|column| column.in_star)
                    .map(|column| column.typed())
                    .collect();
                if found.len() != chosen.len() {
                    return Err(count_mismatch(chosen.len(), found.len(), place));
                }
                for (index, value) in chosen.iter().zip(found) {
                    given[*index] = Some(value);
                }
            }
            Some(values) => {
                if values.len() != chosen.len() {
                    return Err(count_mismatch(chosen.len(), values.len(), place));
                }
                let env = Env::new(scope, "VALUES");
                for (index, value) in chosen.iter().zip(values) {
                    if !InsertSource::is_default(value) {
                        given[*index] = Some(self.expr(value, &env)?);
                    }
                }
            }
        }
        let values = given
            .into_iter()
            .zip(&target.columns)
            .map(|(value, column)| self.column_value(value, column))
            .collect::<Result<Vec<_>>>()?;
        let bound = self.table_row(plan, target, values)?;
        let columns = chosen.iter().map(|i| target.columns[*i].column.name.clone()).collect();
        self.note_change(target, Privilege::Insert, columns);
        if insert.overwrite {
            self.note_change(target, Privilege::Delete, Vec::new());
        }
        Ok(bound)
    }

    /// The rows a branch takes; none: all.
    fn branch_condition(
        &mut self,
        insert: &MultiInsert,
        when: BranchWhen,
        scope: &Rc<Scope>,
    ) -> Result<Option<TypedExpr>> {
        let facts = self.ctx.facts;
        // A row that an earlier condition took, for FIRST and ELSE; then the branch's own.
        let (before, own) = match when {
            BranchWhen::Always => return Ok(None),
            BranchWhen::Condition(index) => {
                let before = if insert.first { index } else { 0 };
                let own = insert.conditions.get(index).ok_or_else(|| {
                    UserError::new(Code::Internal, "a branch names a condition that is not there")
                })?;
                (before, Some(own))
            }
            BranchWhen::Otherwise => (insert.conditions.len(), None),
        };
        let env = Env::new(scope.clone(), "WHEN");
        let mut all: Option<TypedExpr> = None;
        let earlier = insert.conditions.iter().take(before).map(|condition| (condition, true));
        for (condition, negated) in earlier.chain(own.map(|condition| (condition, false))) {
            let value = self.condition(condition, &env)?;
            let value = operators::is_true(value, negated, facts)?;
            all = Some(match all {
                None => value,
                Some(all) => operators::and(all, value, facts)?,
            });
        }
        Ok(all)
    }
}
