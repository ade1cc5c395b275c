//! MERGE: the source joined to the target, and for each row the first clause that fits.

use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::{Column as PlanColumn, JoinType};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, lit, when};
use frazil_common::{Code, Position, Privilege, SqlType, UserError};
use frazil_dialect::{InsertSource, Merge, MergeAction, MergeClause, MergeClauseKind};
use frazil_functions::TypedExpr;
use sqlparser::ast::Ident;

use crate::binder::{Binder, Bound};
use crate::dml::{Target, check_qualifiers, column_index, identified};
use crate::error::Result;
use crate::join::join_plans;
use crate::relation::{
    DmlKind, MERGE_DELETE, MERGE_INSERT, MERGE_UPDATE, PlanContext, PlannedDml, TargetTable,
};
use crate::scope::{Env, Scope};

/// Plans a MERGE: what is done to which row of the target.
///
/// # Errors
/// As [`crate::plan_insert`]; clauses that do not fit their WHEN.
pub fn plan_merge(
    merge: &Merge,
    target: &TargetTable,
    ctx: &PlanContext<'_>,
) -> std::result::Result<PlannedDml, UserError> {
    let mut binder = Binder::new(ctx);
    let bound = binder.merge(merge, target)?;
    Ok(PlannedDml { planned: binder.finish(bound)?, kind: DmlKind::Merge })
}

/// One clause, bound.
struct Clause {
    /// The condition that selects its rows.
    applies: Expr,
    action: i8,
    /// New values in table order; None where nothing is written.
    values: Option<Vec<Expr>>,
}

impl Binder<'_> {
    fn merge(&mut self, merge: &Merge, target: &TargetTable) -> Result<Bound> {
        let Merge { table: _, position, alias, source, on, clauses } = merge;
        let Target { input, columns, identity, usage } = self.target(target, alias.as_deref())?;
        let source = self.cross_source(source)?;

        for clause in clauses {
            if let MergeAction::Update(assignments) = &clause.action {
                check_qualifiers(assignments, target, alias.as_deref())?;
            }
        }
        // A mark tells target rows from the NULLs of source rows without a match.
        let mark = self.unique_column("matched");
        let mut exprs: Vec<Expr> =
            input.plan.schema().columns().into_iter().map(Expr::Column).collect();
        exprs.push(lit(true).alias(&mark));
        let target_plan =
            LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input.plan))?);
        let inserts = clauses.iter().any(|clause| clause.kind == MergeClauseKind::NotMatched);
        let join_type = if inserts { JoinType::Left } else { JoinType::Inner };
        let source_scope = Rc::new(source.scope.clone());
        let probe = join_plans(&source.plan, &target_plan, JoinType::Inner, None)?;
        let scope = Rc::new(Scope::joined(input.scope, source.scope, &probe));
        let condition = self.condition(on, &Env::new(scope.clone(), "ON"))?;
        let plan = join_plans(&source.plan, &target_plan, join_type, Some(condition.expr))?;

        let matched = Expr::Column(PlanColumn::from_name(&mark)).is_not_null();
        let mut bound = Vec::with_capacity(clauses.len());
        for MergeClause { kind, condition, action } in clauses {
            let (scope, state) = match kind {
                MergeClauseKind::Matched => (scope.clone(), matched.clone()),
                MergeClauseKind::NotMatched => {
                    (source_scope.clone(), Expr::Column(PlanColumn::from_name(&mark)).is_null())
                }
            };
            let env = Env::new(scope, "WHEN");
            let applies = match condition {
                None => state,
                Some(condition) => state.and(self.condition(condition, &env)?.expr),
            };
            let (action, values) =
                self.merge_action(*kind, action, target, &columns, &source_scope, &env, *position)?;
            bound.push(Clause { applies, action, values });
        }
        // The right to insert alone does not read the rows that the source is matched with.
        let changes = |clause: &MergeClause| match &clause.action {
            MergeAction::Update(_) | MergeAction::UpdateAllByName | MergeAction::Delete => true,
            MergeAction::Insert { columns: _, values: _ } | MergeAction::InsertAllByName => false,
        };
        if clauses.iter().any(changes) {
            self.forget_unread(usage);
        }
        merge_output(self.unique_column("clause"), plan, bound, identity, target)
    }

    fn cross_source(&mut self, source: &sqlparser::ast::TableFactor) -> Result<crate::from::Input> {
        let item = sqlparser::ast::TableWithJoins { relation: source.clone(), joins: Vec::new() };
        Ok(crate::from::Input::new(self.plan_from(std::slice::from_ref(&item))?))
    }

    #[allow(clippy::too_many_arguments)]
    fn merge_action(
        &mut self,
        kind: MergeClauseKind,
        action: &MergeAction,
        target: &TargetTable,
        old: &[Expr],
        source: &Rc<Scope>,
        env: &Env,
        place: Position,
    ) -> Result<(i8, Option<Vec<Expr>>)> {
        let wrong = |what: &str| -> Result<(i8, Option<Vec<Expr>>)> {
            Err(UserError::syntax(format!("{what} is not allowed in this WHEN of MERGE"))
                .at(Some(place))
                .into())
        };
        let matched = kind == MergeClauseKind::Matched;
        match action {
            MergeAction::Update(_) | MergeAction::UpdateAllByName | MergeAction::Delete
                if !matched =>
            {
                wrong("UPDATE or DELETE")
            }
            MergeAction::Insert { columns: _, values: _ } | MergeAction::InsertAllByName
                if matched =>
            {
                wrong("INSERT")
            }
            MergeAction::Delete => {
                self.note_change(target, Privilege::Delete, Vec::new());
                Ok((MERGE_DELETE, None))
            }
            MergeAction::Update(assignments) => {
                let set = self.assignments(assignments, target, env)?;
                let names = assignments.iter().map(|a| a.column.clone()).collect();
                self.note_change(target, Privilege::Update, names);
                Ok((MERGE_UPDATE, Some(with_old(set, old))))
            }
            MergeAction::UpdateAllByName => {
                let set = self.values_by_name(target, source, place)?;
                let names = target.columns.iter().map(|c| c.column.name.clone()).collect();
                self.note_change(target, Privilege::Update, names);
                Ok((MERGE_UPDATE, Some(with_old(set, old))))
            }
            MergeAction::Insert { columns, values } => {
                let chosen: Vec<usize> = if columns.is_empty() {
                    (0..target.columns.len()).collect()
                } else {
                    columns
                        .iter()
                        .map(|(name, position)| column_index(target, name, *position))
                        .collect::<Result<_>>()?
                };
                if chosen.len() != values.len() {
                    return Err(UserError::new(
                        Code::InsertColumnCountMismatch,
                        format!(
                            "Insert value list does not match column list expecting {} but got {}",
                            chosen.len(),
                            values.len()
                        ),
                    )
                    .at(Some(place))
                    .into());
                }
                let mut given: Vec<Option<TypedExpr>> = vec![None; target.columns.len()];
                for (index, value) in chosen.into_iter().zip(values) {
                    if !InsertSource::is_default(value) {
                        given[index] = Some(self.expr(value, env)?);
                    }
                }
                self.insert_row(given, target)
            }
            MergeAction::InsertAllByName => {
                let given = self.values_by_name(target, source, place)?;
                self.insert_row(given, target)
            }
        }
    }

    fn insert_row(
        &mut self,
        given: Vec<Option<TypedExpr>>,
        target: &TargetTable,
    ) -> Result<(i8, Option<Vec<Expr>>)> {
        let values = given
            .into_iter()
            .zip(&target.columns)
            .map(|(value, column)| Ok(self.column_value(value, column)?.expr))
            .collect::<Result<Vec<_>>>()?;
        let names = target.columns.iter().map(|c| c.column.name.clone()).collect();
        self.note_change(target, Privilege::Insert, names);
        Ok((MERGE_INSERT, Some(values)))
    }

    /// The source's columns that have the names of the target's.
    fn values_by_name(
        &mut self,
        target: &TargetTable,
        source: &Rc<Scope>,
        place: Position,
    ) -> Result<Vec<Option<TypedExpr>>> {
        target
            .columns
            .iter()
            .map(|target_column| {
                let ident = Ident::with_quote('"', target_column.column.name.clone());
                let index = source.find(&[ident])?.ok_or_else(|| {
                    UserError::new(
                        Code::InvalidIdentifier,
                        format!(
                            "ALL BY NAME: the source has no column '{}'",
                            target_column.column.name
                        ),
                    )
                    .at(Some(place))
                })?;
                let column = &source.columns[index];
                for (usage, name) in &column.uses {
                    self.uses[*usage].columns.insert(name.clone());
                }
                Ok(Some(self.column_value(Some(column.typed()), target_column)?))
            })
            .collect()
    }
}

fn with_old(set: Vec<Option<TypedExpr>>, old: &[Expr]) -> Vec<Expr> {
    set.into_iter()
        .zip(old)
        .map(|(value, old)| value.map_or_else(|| old.clone(), |value| value.expr))
        .collect()
}

/// For each joined row the first clause that applies; rows without one are left out.
fn merge_output(
    clause_name: String,
    plan: LogicalPlan,
    clauses: Vec<Clause>,
    identity: Vec<Expr>,
    target: &TargetTable,
) -> Result<Bound> {
    let mut choice: Option<datafusion::logical_expr::conditional_expressions::CaseBuilder> = None;
    for (index, clause) in clauses.iter().enumerate() {
        let number = lit(index as i32);
        choice = Some(match choice {
            None => when(clause.applies.clone(), number),
            Some(mut builder) => builder.when(clause.applies.clone(), number),
        });
    }
    let Some(choice) = choice else {
        return Err(UserError::syntax("MERGE needs a WHEN clause").into());
    };
    let mut exprs: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    exprs.push(choice.end()?.alias(&clause_name));
    let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
    let chosen = Expr::Column(PlanColumn::from_name(&clause_name));
    let plan = LogicalPlanBuilder::from(plan).filter(chosen.clone().is_not_null())?.build()?;

    let by_clause = |value: &dyn Fn(&Clause) -> Option<Expr>, null: Expr| -> Result<Expr> {
        let mut case: Option<datafusion::logical_expr::conditional_expressions::CaseBuilder> = None;
        for (index, clause) in clauses.iter().enumerate() {
            let Some(value) = value(clause) else { continue };
            let test = chosen.clone().eq(lit(index as i32));
            case = Some(match case {
                None => when(test, value),
                Some(mut builder) => builder.when(test, value),
            });
        }
        Ok(match case {
            None => null,
            Some(mut case) => case.otherwise(null)?,
        })
    };
    let action = by_clause(&|clause| Some(lit(clause.action)), lit(0i8))?;
    let mut values = Vec::with_capacity(target.columns.len());
    for (index, target_column) in target.columns.iter().enumerate() {
        let null = TypedExpr::null_of(target_column.column.sql_type.clone()).expr;
        let value =
            by_clause(&|clause| clause.values.as_ref().map(|values| values[index].clone()), null)?;
        values.push(value);
    }
    let mut bound = identified(plan, Some(action), identity, Some(values), target)?;
    for column in bound.columns.iter_mut().skip(4) {
        column.nullable = true;
    }
    debug_assert!(matches!(bound.columns[0].sql_type, SqlType::Number { precision: 3, scale: 0 }));
    Ok(bound)
}
