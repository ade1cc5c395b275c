//! Fitting a planned query's columns to a table: casts, order, defaults.

use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use frazil_common::{Column, UserError};
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::{Facts, TypedExpr};

use crate::relation::Planned;

/// Casts each column to the type of the target column at its place.
///
/// # Errors
/// A type that does not become the target's.
pub fn cast_columns(
    planned: Planned,
    target: &[Column],
    facts: &Facts,
) -> Result<Planned, UserError> {
    let columns = target
        .iter()
        .enumerate()
        .map(|(index, column)| (column.clone(), Some(index), None))
        .collect();
    arrange_columns(planned, columns, facts)
}

/// Makes the given columns: each from the query's column at an index, cast, or from its default;
/// NULL where it has neither.
///
/// # Errors
/// A type that does not become the target's.
pub fn arrange_columns(
    planned: Planned,
    columns: Vec<(Column, Option<usize>, Option<TypedExpr>)>,
    facts: &Facts,
) -> Result<Planned, UserError> {
    let sources: Vec<TypedExpr> = planned
        .plan
        .schema()
        .columns()
        .into_iter()
        .zip(&planned.columns)
        .map(|(field, column)| {
            TypedExpr::new(Expr::Column(field), column.sql_type.clone(), column.nullable)
        })
        .collect();
    let mut expressions = Vec::with_capacity(columns.len());
    let mut arranged = Vec::with_capacity(columns.len());
    for (index, (column, source, default)) in columns.into_iter().enumerate() {
        let value = match source {
            Some(source) => sources
                .get(source)
                .cloned()
                .ok_or_else(|| UserError::internal("a column to arrange is out of range"))?,
            None => default.unwrap_or_else(TypedExpr::null),
        };
        let value = cast(value, &column.sql_type, CastMode::Implicit, facts)?;
        expressions.push(value.expr.alias(format!("c{index}")));
        arranged.push(column);
    }
    let plan = LogicalPlanBuilder::from(planned.plan)
        .project(expressions)
        .and_then(LogicalPlanBuilder::build)
        .map_err(UserError::internal)?;
    Ok(Planned { plan, columns: arranged, accesses: planned.accesses })
}
