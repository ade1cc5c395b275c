//! Evaluates bound expressions at bind time (constants) and over batches (tests, defaults).

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::{ColumnarValue, Expr};
use datafusion::physical_expr::create_physical_expr;
use frazil_common::UserError;

use crate::error::user_error;
use crate::typed::TypedExpr;

/// The value of an expression that refers to no column.
pub fn evaluate_constant(expr: &TypedExpr) -> Result<ScalarValue, UserError> {
    if let Some(value) = expr.as_literal() {
        return Ok(value.clone());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)
        .map_err(|e| user_error(&e.into()))?;
    match run(&expr.expr, &batch)? {
        ColumnarValue::Scalar(value) => Ok(value),
        ColumnarValue::Array(array) => {
            ScalarValue::try_from_array(&array, 0).map_err(|e| user_error(&e))
        }
    }
}

/// The values of an expression over a batch whose columns it names.
pub fn evaluate_on(expr: &TypedExpr, batch: &RecordBatch) -> Result<ArrayRef, UserError> {
    run(&expr.expr, batch)?.into_array(batch.num_rows()).map_err(|e| user_error(&e))
}

fn run(expr: &Expr, batch: &RecordBatch) -> Result<ColumnarValue, UserError> {
    let inner = || {
        let schema = DFSchema::try_from(batch.schema())?;
        let physical = create_physical_expr(
            expr,
            &schema,
            &ExecutionProps::new(),
            &datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext::default(
            ),
        )?;
        physical.evaluate(batch)
    };
    inner().map_err(|e| user_error(&e))
}

/// Computes a call of literals now. An error stays in the expression, so that it is raised only
/// if the row is ever evaluated.
pub(crate) fn fold(value: TypedExpr) -> TypedExpr {
    let literals = match &value.expr {
        Expr::ScalarFunction(call) => call.args.iter().all(|a| matches!(a, Expr::Literal(..))),
        Expr::Cast(cast) => matches!(cast.expr.as_ref(), Expr::Literal(..)),
        _ => false,
    };
    if !literals {
        return value;
    }
    match evaluate_constant(&value) {
        Ok(result) => TypedExpr::literal(result, value.sql_type),
        Err(_) => value,
    }
}
