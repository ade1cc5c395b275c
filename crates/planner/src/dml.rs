//! INSERT, UPDATE and DELETE as queries that yield what the sink writes.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::Column as PlanColumn;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, LogicalPlanBuilder, Projection, lit};
use frazil_common::{Access, Code, Column, Position, Privilege, SqlType, UserError};
use frazil_dialect::{Assignment, Delete, Insert, InsertSource, InsertTarget, Update};
use frazil_functions::TypedExpr;
use sqlparser::ast::{self, Expr as Syntax, TableWithJoins};

use crate::binder::{Binder, Bound};
use crate::error::{PlannerError, Result};
use crate::from::Input;
use crate::query::project;
use crate::relation::{
    DmlKind, IDENTITY_COLUMNS, METADATA_KEPT, PlanContext, PlannedDml, TargetColumn, TargetTable,
};
use crate::scope::{Env, Scope};

/// Plans an INSERT: the rows for all columns in table order.
///
/// # Errors
/// As [`crate::plan_query`]; columns that the table does not have or that are named twice.
pub fn plan_insert(
    insert: &Insert,
    target: &TargetTable,
    ctx: &PlanContext<'_>,
) -> std::result::Result<PlannedDml, UserError> {
    let mut binder = Binder::new(ctx);
    let bound = binder.insert(insert, target)?;
    Ok(PlannedDml { planned: binder.finish(bound)?, kind: DmlKind::Insert })
}

/// Plans an UPDATE: the identity of each row that changes and its new values.
///
/// # Errors
/// As [`plan_insert`].
pub fn plan_update(
    update: &Update,
    target: &TargetTable,
    ctx: &PlanContext<'_>,
) -> std::result::Result<PlannedDml, UserError> {
    let mut binder = Binder::new(ctx);
    let bound = binder.update(update, target)?;
    Ok(PlannedDml { planned: binder.finish(bound)?, kind: DmlKind::Update })
}

/// Plans a DELETE: the identity of each row that goes.
///
/// # Errors
/// As [`crate::plan_query`].
pub fn plan_delete(
    delete: &Delete,
    target: &TargetTable,
    ctx: &PlanContext<'_>,
) -> std::result::Result<PlannedDml, UserError> {
    let mut binder = Binder::new(ctx);
    let bound = binder.delete(delete, target)?;
    Ok(PlannedDml { planned: binder.finish(bound)?, kind: DmlKind::Delete })
}

/// The table a statement changes, in scope.
pub(crate) struct Target {
    pub input: Input,
    /// Its columns in table order.
    pub columns: Vec<Expr>,
    /// [`IDENTITY_COLUMNS`].
    pub identity: Vec<Expr>,
    /// Its entry in [`Binder::uses`].
    pub usage: usize,
}

impl Binder<'_> {
    fn insert(&mut self, insert: &Insert, target: &TargetTable) -> Result<Bound> {
        let Insert { target: InsertTarget { table: _, position, columns }, overwrite, source } =
            insert;
        let chosen = chosen_columns(target, columns)?;
        let place = Some(*position);
        let bound = match source {
            InsertSource::Values(rows) => self.insert_values(rows, &chosen, target, place)?,
            InsertSource::Query(query) => {
                let bound = self.query(query)?;
                if bound.columns.len() != chosen.len() {
                    return Err(count_mismatch(chosen.len(), bound.columns.len(), place));
                }
                let mut given: Vec<Option<TypedExpr>> = vec![None; target.columns.len()];
                for (index, value) in chosen.iter().zip(bound.outputs()) {
                    given[*index] = Some(value);
                }
                let values = given
                    .into_iter()
                    .zip(&target.columns)
                    .map(|(value, column)| self.column_value(value, column))
                    .collect::<Result<Vec<_>>>()?;
                self.table_row(bound.plan, target, values)?
            }
        };
        let columns = chosen.iter().map(|i| target.columns[*i].column.name.clone()).collect();
        self.note_change(target, Privilege::Insert, columns);
        if *overwrite {
            self.note_change(target, Privilege::Delete, Vec::new());
        }
        Ok(bound)
    }

    fn insert_values(
        &mut self,
        rows: &[Vec<Syntax>],
        chosen: &[usize],
        target: &TargetTable,
        place: Option<Position>,
    ) -> Result<Bound> {
        let env = Env::new(Rc::new(Scope::empty()), "VALUES");
        let mut bound_rows = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != chosen.len() {
                return Err(count_mismatch(chosen.len(), row.len(), place));
            }
            let mut given: Vec<Option<TypedExpr>> = vec![None; target.columns.len()];
            for (index, expr) in chosen.iter().zip(row) {
                if !InsertSource::is_default(expr) {
                    given[*index] = Some(self.expr(expr, &env)?);
                }
            }
            bound_rows.push(given);
        }
        self.unify_columns(&mut bound_rows);
        let bound_rows = bound_rows
            .into_iter()
            .map(|given| {
                given
                    .into_iter()
                    .zip(&target.columns)
                    .map(|(value, column)| self.column_value(value, column))
                    .collect::<Result<Vec<_>>>()
            })
            .collect::<Result<Vec<_>>>()?;
        let Bound { plan, columns: _ } = self.value_rows(bound_rows)?;
        let values = plan
            .schema()
            .columns()
            .into_iter()
            .zip(&target.columns)
            .map(|(field, TargetColumn { column, default: _ })| {
                TypedExpr::new(Expr::Column(field), column.sql_type.clone(), true)
            })
            .collect();
        self.table_row(plan, target, values)
    }

    /// Several rows of VALUES are one relation, whose columns have one type each, before they are
    /// cast to the table's: 3 and 'd' are numbers, whatever the column.
    fn unify_columns(&self, rows: &mut [Vec<Option<TypedExpr>>]) {
        if rows.len() < 2 {
            return;
        }
        let width = rows.first().map_or(0, Vec::len);
        for index in 0..width {
            let given: Vec<TypedExpr> = rows.iter().filter_map(|row| row[index].clone()).collect();
            // Types without a common one are left to the column's.
            let Ok((unified, _)) = frazil_functions::coerce::unify(given, self.ctx.facts) else {
                continue;
            };
            let mut unified = unified.into_iter();
            for row in rows.iter_mut() {
                if row[index].is_some() {
                    row[index] = unified.next();
                }
            }
        }
    }

    /// A value, or the column's default, cast to the column's type.
    pub(crate) fn column_value(
        &self,
        value: Option<TypedExpr>,
        target: &TargetColumn,
    ) -> Result<TypedExpr> {
        let TargetColumn { column, default } = target;
        let value = value.or_else(|| default.clone()).unwrap_or_else(TypedExpr::null);
        self.cast_to(value, &column.sql_type).map_err(|error| {
            let error = UserError::from(error);
            UserError {
                message: format!("column {}: {}", column.name, error.message),
                code: error.code,
                position: error.position,
            }
            .into()
        })
    }

    pub(crate) fn table_row(
        &mut self,
        plan: LogicalPlan,
        target: &TargetTable,
        values: Vec<TypedExpr>,
    ) -> Result<Bound> {
        let names: Vec<String> = target.columns.iter().map(|c| c.column.name.clone()).collect();
        let Bound { plan, columns: _ } = project(plan, &names, &values)?;
        let columns = target.columns.iter().map(|c| c.column.clone()).collect();
        Ok(Bound { plan, columns })
    }

    fn update(&mut self, update: &Update, target: &TargetTable) -> Result<Bound> {
        let Update { table: _, position: _, alias, assignments, from, selection } = update;
        let Target { input, columns, identity, usage } = self.target(target, alias.as_deref())?;
        let input = self.beside_target(input, from)?;
        let scope = Rc::new(input.scope);
        let mut plan = input.plan;
        if let Some(selection) = selection {
            let filter = self.condition(selection, &Env::new(scope.clone(), "WHERE"))?;
            plan = LogicalPlanBuilder::from(plan).filter(filter.expr)?.build()?;
        }
        let env = Env::new(scope, "SET");
        check_qualifiers(assignments, target, alias.as_deref())?;
        let set = self.assignments(assignments, target, &env)?;
        if !from.is_empty() {
            plan = first_two_of_each(plan, &identity)?;
        }
        let values: Vec<Expr> = set
            .into_iter()
            .zip(&columns)
            .map(|(value, old)| value.map_or_else(|| old.clone(), |value| value.expr))
            .collect();
        self.note_change(
            target,
            Privilege::Update,
            assignments.iter().map(|assignment| assignment.column.clone()).collect(),
        );
        self.forget_unread(usage);
        identified(plan, None, identity, Some(values), target)
    }

    fn delete(&mut self, delete: &Delete, target: &TargetTable) -> Result<Bound> {
        let Delete { table: _, position: _, alias, using, selection } = delete;
        let Target { input, columns: _, identity, usage } =
            self.target(target, alias.as_deref())?;
        let input = self.beside_target(input, using)?;
        let scope = Rc::new(input.scope);
        let mut plan = input.plan;
        if let Some(selection) = selection {
            let filter = self.condition(selection, &Env::new(scope, "WHERE"))?;
            plan = LogicalPlanBuilder::from(plan).filter(filter.expr)?.build()?;
        }
        self.note_change(target, Privilege::Delete, Vec::new());
        self.forget_unread(usage);
        let mut bound = identified(plan, None, identity, None, target)?;
        if !using.is_empty() {
            bound.plan = LogicalPlan::Distinct(Distinct::All(Arc::new(bound.plan)));
        }
        Ok(bound)
    }

    /// Brings the table to change into scope.
    pub(crate) fn target(&mut self, target: &TargetTable, alias: Option<&str>) -> Result<Target> {
        let usage = self.uses.len();
        let alias = alias.map(|name| ast::TableAlias {
            explicit: true,
            name: ast::Ident::with_quote('"', name),
            columns: Vec::new(),
            at: None,
        });
        let input = Input::new(self.use_relation(&target.relation, alias.as_ref())?);
        let fields = input.plan.schema().columns();
        let columns = fields
            .iter()
            .take(target.columns.len())
            .map(|field| {
                let kept = fields.iter().find(|other| {
                    other.name.strip_prefix(METADATA_KEPT) == Some(field.name.as_str())
                });
                Expr::Column(kept.unwrap_or(field).clone())
            })
            .collect();
        let identity = IDENTITY_COLUMNS
            .iter()
            .map(|name| {
                fields
                    .iter()
                    .find(|field| field.name == *name)
                    .map(|field| Expr::Column(field.clone()))
                    .ok_or_else(|| {
                        PlannerError::from(UserError::internal(format!("the table lacks {name}")))
                    })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Target { input, columns, identity, usage })
    }

    fn beside_target(&mut self, target: Input, others: &[TableWithJoins]) -> Result<Input> {
        let mut input = target;
        for TableWithJoins { relation, joins } in others {
            if joins.is_empty() {
                input = self.cross(input, relation)?;
            } else {
                let (plan, scope) = self.plan_from(std::slice::from_ref(&TableWithJoins {
                    relation: relation.clone(),
                    joins: joins.clone(),
                }))?;
                input = self.cross_join(input, Input::new((plan, scope)))?;
            }
        }
        Ok(input)
    }

    /// The new values by column, cast to the columns' types.
    pub(crate) fn assignments(
        &mut self,
        assignments: &[Assignment],
        target: &TargetTable,
        env: &Env,
    ) -> Result<Vec<Option<TypedExpr>>> {
        let mut set: Vec<Option<TypedExpr>> = vec![None; target.columns.len()];
        for Assignment { table: _, column, position, value } in assignments {
            let index = column_index(target, column, *position)?;
            let value =
                if InsertSource::is_default(value) { None } else { Some(self.expr(value, env)?) };
            let value = self.column_value(value, &target.columns[index])?;
            if set[index].replace(value).is_some() {
                return Err(duplicate(column, *position));
            }
        }
        Ok(set)
    }

    /// Notes a change of the target.
    pub(crate) fn note_change(
        &mut self,
        target: &TargetTable,
        privilege: Privilege,
        columns: Vec<String>,
    ) {
        if let Some(object) = &target.relation.object {
            self.other_accesses.push(Access {
                object: object.clone(),
                privilege,
                columns,
                on_behalf_of: None,
            });
        }
    }

    /// A statement that reads none of its target's columns needs no SELECT on it.
    pub(crate) fn forget_unread(&mut self, usage: usize) {
        let entry = &mut self.uses[usage];
        if entry.columns == BTreeSet::new() {
            entry.object = None;
        }
    }
}

/// A column that is set may be qualified, by the target's alias or else its name.
pub(crate) fn check_qualifiers(
    assignments: &[Assignment],
    target: &TargetTable,
    alias: Option<&str>,
) -> Result<()> {
    for Assignment { table, column, position, value: _ } in assignments {
        let Some(table) = table else { continue };
        let known = match (alias, &target.relation.name) {
            (Some(alias), _) => table.schema.is_none() && table.name == alias,
            (None, Some(own)) => {
                table.name == own.name
                    && table.schema.as_ref().is_none_or(|schema| *schema == own.schema)
                    && table.database.as_ref().is_none_or(|database| *database == own.database)
            }
            (None, None) => true,
        };
        if !known {
            let name = format!("{table}.{column}");
            return Err(UserError::invalid_identifier(name).at(Some(*position)).into());
        }
    }
    Ok(())
}

/// The columns an INSERT gives, as indexes in table order.
pub(crate) fn chosen_columns(
    target: &TargetTable,
    columns: &[(String, Position)],
) -> Result<Vec<usize>> {
    if columns.is_empty() {
        return Ok((0..target.columns.len()).collect());
    }
    let mut chosen = Vec::with_capacity(columns.len());
    for (name, position) in columns {
        let index = column_index(target, name, *position)?;
        if chosen.contains(&index) {
            return Err(duplicate(name, *position));
        }
        chosen.push(index);
    }
    Ok(chosen)
}

pub(crate) fn column_index(target: &TargetTable, name: &str, position: Position) -> Result<usize> {
    target
        .columns
        .iter()
        .position(|c| c.column.name == name)
        .ok_or_else(|| UserError::invalid_identifier(name).at(Some(position)).into())
}

fn duplicate(name: &str, position: Position) -> PlannerError {
    UserError::new(Code::DuplicateColumn, format!("duplicate column name '{name}'"))
        .at(Some(position))
        .into()
}

pub(crate) fn count_mismatch(
    expected: usize,
    found: usize,
    place: Option<Position>,
) -> PlannerError {
    UserError::new(
        Code::InsertColumnCountMismatch,
        format!(
            "Insert value list does not match column list expecting {expected} but got {found}"
        ),
    )
    .at(place)
    .into()
}

/// At most two rows for each row of the target: where a join matches several, the first one that comes
/// counts, and the second tells that there are several.
fn first_two_of_each(plan: LogicalPlan, identity: &[Expr]) -> Result<LogicalPlan> {
    use datafusion::logical_expr::ExprFunctionExt;
    let number = datafusion::functions_window::expr_fn::row_number()
        .partition_by(identity.to_vec())
        .build()?;
    let name = number.schema_name().to_string();
    let plan = LogicalPlanBuilder::from(plan).window(vec![number])?.build()?;
    let two = Expr::Column(PlanColumn::from_name(name)).lt_eq(lit(2u64));
    Ok(LogicalPlanBuilder::from(plan).filter(two)?.build()?)
}

/// The output of UPDATE, DELETE and MERGE.
pub(crate) fn identified(
    plan: LogicalPlan,
    action: Option<Expr>,
    identity: Vec<Expr>,
    values: Option<Vec<Expr>>,
    target: &TargetTable,
) -> Result<Bound> {
    let mut exprs = Vec::new();
    let mut columns = Vec::new();
    if let Some(action) = action {
        exprs.push(action.alias(crate::relation::METADATA_ACTION));
        let sql_type = SqlType::Number { precision: 3, scale: 0 };
        columns.push(Column::new(crate::relation::METADATA_ACTION, sql_type, false));
    }
    for (expr, name) in identity.into_iter().zip(IDENTITY_COLUMNS) {
        exprs.push(expr.alias(name));
        columns.push(Column::new(name, SqlType::Number { precision: 18, scale: 0 }, true));
    }
    for (expr, TargetColumn { column, default: _ }) in
        values.into_iter().flatten().zip(&target.columns)
    {
        exprs.push(expr.alias(&column.name));
        columns.push(column.clone());
    }
    let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
    Ok(Bound { plan, columns })
}
