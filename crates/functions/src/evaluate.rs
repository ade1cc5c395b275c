//! Evaluates bound expressions at bind time (constants) and over batches (tests, defaults).

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::{ColumnarValue, Expr};
use datafusion::physical_expr::create_physical_expr;
use frazil_common::UserError;

use crate::error::user_error;
use crate::made::MadeBytesMax;
use crate::stop::StatementStop;
use crate::typed::TypedExpr;

/// The value of an expression that refers to no column.
pub fn evaluate_constant(expr: &TypedExpr) -> Result<ScalarValue, UserError> {
    evaluate_constant_with(expr, ExecutionProps::new())
}

fn evaluate_constant_with(
    expr: &TypedExpr,
    props: ExecutionProps,
) -> Result<ScalarValue, UserError> {
    if let Some(value) = expr.as_literal() {
        return Ok(value.clone());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)
        .map_err(|e| user_error(&e.into()))?;
    match run_with(&expr.expr, &batch, props)? {
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
    run_with(expr, batch, ExecutionProps::new())
}

fn run_with(
    expr: &Expr,
    batch: &RecordBatch,
    props: ExecutionProps,
) -> Result<ColumnarValue, UserError> {
    let inner = || {
        let schema = DFSchema::try_from(batch.schema())?;
        let physical = create_physical_expr(
            expr,
            &schema,
            &props,
            &datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext::default(
            ),
        )?;
        physical.evaluate(batch)
    };
    inner().map_err(|e| user_error(&e))
}

/// Bytes of a text that is an argument or the result of what is computed at bind time.
const FOLDED_TEXT_MAX: usize = 64 * 1024;
/// How often a kernel may ask whether to go on before its call is left to the running statement,
/// which can be stopped.
const FOLDED_CHECKS_MAX: usize = 256;

thread_local! {
    /// How often the call that is being computed has asked.
    static FOLDED_CHECKS: Cell<usize> = const { Cell::new(0) };
}

/// Options under which a kernel gives up what takes long or makes much.
static FOLDED: LazyLock<Arc<ConfigOptions>> = LazyLock::new(|| {
    let mut options = ConfigOptions::default();
    options.extensions.insert(MadeBytesMax(FOLDED_TEXT_MAX));
    options.extensions.insert(StatementStop::when(|| {
        FOLDED_CHECKS.with(|checks| {
            checks.set(checks.get() + 1);
            checks.get() > FOLDED_CHECKS_MAX
        })
    }));
    Arc::new(options)
});

/// Whether an argument is small enough for its call to be computed at bind time.
fn is_small_literal(expr: &Expr) -> bool {
    let Expr::Literal(value, _) = expr else { return false };
    match value {
        ScalarValue::Utf8View(Some(text)) | ScalarValue::Utf8(Some(text)) => {
            text.len() <= FOLDED_TEXT_MAX
        }
        ScalarValue::Binary(Some(bytes)) => bytes.len() <= FOLDED_TEXT_MAX,
        ScalarValue::Struct(held) => held.get_buffer_memory_size() <= FOLDED_TEXT_MAX,
        _ => true,
    }
}

/// Computes a call of literals now, unless it takes long or makes much: then it is left to the
/// running statement, which can be stopped. An error stays in the expression, so that it is raised
/// only if the row is ever evaluated.
pub(crate) fn fold(value: TypedExpr) -> TypedExpr {
    let literals = match &value.expr {
        Expr::ScalarFunction(call) => call.args.iter().all(is_small_literal),
        Expr::Cast(cast) => is_small_literal(cast.expr.as_ref()),
        _ => false,
    };
    if !literals {
        return value;
    }
    FOLDED_CHECKS.with(|checks| checks.set(0));
    let props =
        ExecutionProps { config_options: Some(Arc::clone(&FOLDED)), ..ExecutionProps::new() };
    match evaluate_constant_with(&value, props) {
        Ok(result) => TypedExpr::literal(result, value.sql_type),
        Err(_) => value,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::facts::Facts;

    fn call(name: &str, args: Vec<TypedExpr>) -> TypedExpr {
        crate::scalar(name).unwrap().bind(args, &Facts::default()).unwrap()
    }

    #[test]
    fn what_makes_much_is_not_computed_at_bind_time() {
        let repeated = |n: i64| call("REPEAT", vec![TypedExpr::text("ab"), TypedExpr::integer(n)]);
        assert_eq!(repeated(2).as_text_literal().as_deref(), Some("abab"));
        assert!(repeated(40_000).as_literal().is_none());
        assert!(repeated(1_000_000).as_literal().is_none());
        for name in ["LPAD", "RPAD"] {
            let padded = |n| call(name, vec![TypedExpr::text("ab"), TypedExpr::integer(n)]);
            assert!(padded(5).as_literal().is_some() && padded(1_000_000).as_literal().is_none());
        }
        assert!(call("SPACE", vec![TypedExpr::integer(1_000_000)]).as_literal().is_none());
        let long = TypedExpr::text(&"a".repeat(FOLDED_TEXT_MAX));
        let longer = TypedExpr::text(&"a".repeat(FOLDED_TEXT_MAX + 1));
        assert!(call("LENGTH", vec![long.clone()]).as_literal().is_some());
        assert!(call("LENGTH", vec![longer]).as_literal().is_none());
        // Small arguments, and much to do.
        assert!(call("EDITDISTANCE", vec![long.clone(), long]).as_literal().is_none());
    }
}
