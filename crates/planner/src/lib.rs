//! The binder: syntax tree and resolved objects → DataFusion's logical plan, with Snowflake's
//! rules for names, types and NULLs.
//!
//! Planning does no IO. [`references`] tells what a statement needs; the engine resolves it; then
//! [`plan_query`] and its like build the plan. Every syntax node is taken apart field by field, so
//! that a part nobody thought of is refused and never dropped.

mod aggregate;
mod arrange;
mod asof;
mod binder;
mod dml;
mod error;
mod expr;
mod from;
mod join;
mod lateral_row;
mod marks;
mod merge;
mod multi_insert;
mod names;
mod nullable;
mod outer_marks;
mod pivot;
mod plan_size;
mod query;
mod references;
mod relation;
mod sample;
mod scope;
mod select;
mod select_list;
mod set_operation;
mod single_row;
mod source_text;
mod table_function;
mod timed_rows;
mod travel;
mod types;
mod values;
mod with;

#[cfg(test)]
mod tests;

use frazil_common::{Access, UserError};
use frazil_functions::TypedExpr;
use sqlparser::ast::{Expr, Query};

pub use arrange::{arrange_columns, cast_columns};
pub use asof::AsofJoin;
pub use dml::{plan_delete, plan_insert, plan_update};
pub use error::PlannerError;
pub use marks::optimizer_rules;
pub use merge::plan_merge;
pub use multi_insert::plan_insert_branch;
pub use references::{
    references, references_of_delete, references_of_expression, references_of_insert,
    references_of_merge, references_of_multi_insert, references_of_update,
};
pub use relation::{
    DmlKind, FunctionValue, IDENTITY_COLUMNS, MERGE_DELETE, MERGE_INSERT, MERGE_UPDATE,
    METADATA_ACTION, METADATA_FILE, METADATA_FILE_ROW_NUMBER, METADATA_KEPT, METADATA_ROW_ID,
    ModelFeature, ModelMethod, PlanContext, Planned, PlannedDml, Reference, Relation, Resolved,
    ResolvedModel, ResolvedSequence, TargetColumn, TargetTable, TimeTravel,
};
pub use travel::time_travel;
pub use types::sql_type;

/// Plans a query.
///
/// # Errors
/// Names that are not there or ambiguous, types that do not fit, syntax that is not offered.
pub fn plan_query(query: &Query, ctx: &PlanContext<'_>) -> Result<Planned, UserError> {
    let mut binder = binder::Binder::new(ctx);
    let bound = binder.query(query)?;
    Ok(binder.finish(bound)?)
}

/// Binds an expression over the columns of a relation, or over none.
///
/// Its columns are those of the relation's plan, unqualified where the plan's fields are.
///
/// # Errors
/// As [`plan_query`].
pub fn plan_expression(
    expr: &Expr,
    relation: Option<&Relation>,
    ctx: &PlanContext<'_>,
) -> Result<TypedExpr, UserError> {
    let mut binder = binder::Binder::new(ctx);
    Ok(binder.expression_over(expr, relation, "expression")?)
}

/// As [`plan_expression`], with what the expression's queries read. A condition is planned to stand in a
/// filter, where EXISTS and IN may compare with the relation's columns in any way.
///
/// # Errors
/// As [`plan_query`].
pub fn plan_expression_and_accesses(
    expr: &Expr,
    relation: &Relation,
    is_condition: bool,
    ctx: &PlanContext<'_>,
) -> Result<(TypedExpr, Vec<Access>), UserError> {
    let mut binder = binder::Binder::new(ctx);
    let clause = if is_condition { "WHERE" } else { "expression" };
    let bound = binder.expression_over(expr, Some(relation), clause)?;
    Ok((bound, binder.accesses()))
}

/// Computes an expression that refers to no column.
///
/// # Errors
/// As [`plan_query`], and what computing it raises.
pub fn evaluate_expression(expr: &Expr, ctx: &PlanContext<'_>) -> Result<TypedExpr, UserError> {
    let mut binder = binder::Binder::new(ctx);
    Ok(binder.constant(expr, "expression")?)
}
