//! VALUES.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Values};
use frazil_common::{Column, UserError};
use frazil_functions::TypedExpr;
use frazil_functions::coerce::unify;
use sqlparser::ast;

use crate::binder::{Binder, Bound};
use crate::error::{Result, refuse};
use crate::query::project;
use crate::scope::{Env, Scope};

impl Binder<'_> {
    pub(crate) fn values(&mut self, values: &ast::Values) -> Result<Bound> {
        let ast::Values { explicit_row, value_keyword, rows } = values;
        refuse(*explicit_row, "VALUES ROW(…)")?;
        refuse(*value_keyword, "VALUE")?;
        let env = Env::new(Rc::new(Scope::empty()), "VALUES");
        let mut bound_rows = Vec::with_capacity(rows.len());
        for ast::Parens { opening_token: _, content, closing_token: _ } in rows {
            bound_rows.push(self.exprs(content, &env)?);
        }
        self.value_rows(bound_rows)
    }

    /// Rows of expressions as a relation with the columns COLUMN1, COLUMN2, ….
    pub(crate) fn value_rows(&mut self, rows: Vec<Vec<TypedExpr>>) -> Result<Bound> {
        let width = rows.first().map_or(0, Vec::len);
        if width == 0 || rows.iter().any(|row| row.len() != width) {
            return Err(UserError::syntax("rows of VALUES differ in length").into());
        }
        let count = rows.len();
        let mut by_column: Vec<Vec<TypedExpr>> =
            (0..width).map(|_| Vec::with_capacity(count)).collect();
        for row in rows {
            for (column, value) in by_column.iter_mut().zip(row) {
                column.push(value);
            }
        }
        let mut columns = Vec::with_capacity(width);
        let mut cells: Vec<std::vec::IntoIter<TypedExpr>> = Vec::with_capacity(width);
        for (index, values) in by_column.into_iter().enumerate() {
            let (values, sql_type) = unify(values, self.ctx.facts)?;
            let nullable = values.iter().any(|value| value.nullable);
            columns.push(Column::new(format!("COLUMN{}", index + 1), sql_type, nullable));
            cells.push(values.into_iter());
        }
        let rows: Vec<Vec<Expr>> = (0..count)
            .map(|_| cells.iter_mut().filter_map(Iterator::next).map(|v| v.expr).collect())
            .collect();
        let simple = rows.iter().flatten().all(is_self_contained);
        if simple {
            let fields = columns
                .iter()
                .map(|c| {
                    let field = Field::new(&c.name, c.sql_type.to_arrow(), c.nullable);
                    (None, Arc::new(field))
                })
                .collect();
            let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
            let plan = LogicalPlan::Values(Values { schema, values: rows });
            return Ok(Bound { plan, columns });
        }
        // Subqueries cannot stand in a Values node: one projection per row.
        let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
        let inputs = rows
            .into_iter()
            .map(|row| {
                let row: Vec<TypedExpr> = row
                    .into_iter()
                    .zip(&columns)
                    .map(|(expr, c)| TypedExpr::new(expr, c.sql_type.clone(), c.nullable))
                    .collect();
                project(LogicalPlanBuilder::empty(true).build()?, &names, &row)
            })
            .collect::<Result<Vec<_>>>()?;
        self.union_all(inputs)
    }
}

/// Whether an expression can stand in a Values node: no column, no subquery.
fn is_self_contained(expr: &Expr) -> bool {
    !expr
        .exists(|node| {
            Ok(matches!(
                node,
                Expr::Column(_)
                    | Expr::OuterReferenceColumn(..)
                    | Expr::ScalarSubquery(_)
                    | Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::SetComparison(_)
            ))
        })
        .unwrap_or(true)
}
