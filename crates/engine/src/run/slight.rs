//! Plans of so little work that handing it to another thread takes longer than doing it, such as
//! `SELECT 1` and the rows of `INSERT … VALUES`: their rows are computed where they are asked for.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, ScalarValue};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{ColumnarValue, Expr, LogicalPlan, Projection, Values};
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_plan::ExecutionPlan;

use crate::run::optimize::is_constant;

/// Expressions of a slight plan.
const EXPRESSIONS_MAX: usize = 1_000;

/// Whether a plan is constant, small, and without any function but casts of single values: nothing in
/// it takes long, or needs a rule of the optimizer.
pub(crate) fn is_slight(plan: &LogicalPlan) -> bool {
    is_constant(plan) && expressions(plan).is_some_and(|count| count <= EXPRESSIONS_MAX)
}

/// The number of a plan's expressions; none where one may take long.
fn expressions(plan: &LogicalPlan) -> Option<usize> {
    let mut count = 0;
    let mut slight = true;
    let walked = plan.apply_expressions(|expr| {
        expr.apply(|part| {
            count += 1;
            slight &= match part {
                Expr::Literal(..)
                | Expr::Column(_)
                | Expr::Alias(_)
                | Expr::Cast(_)
                | Expr::TryCast(_)
                | Expr::Negative(_) => true,
                Expr::ScalarFunction(call) => frazil_functions::is_cast(call.func.name()),
                _ => false,
            };
            let go_on = slight && count <= EXPRESSIONS_MAX;
            Ok(if go_on { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })
    });
    if walked.is_err() || !slight {
        return None;
    }
    for input in plan.inputs() {
        count += expressions(input)?;
    }
    Some(count)
}

/// An operator that gives the rows of a slight plan, and their number.
pub(crate) fn computed(
    plan: &LogicalPlan,
    state: &SessionState,
) -> Result<(Arc<dyn ExecutionPlan>, usize)> {
    let rows = rows(plan, state)?;
    let (schema, count) = (rows.schema(), rows.num_rows());
    Ok((MemorySourceConfig::try_new_exec(&[vec![rows]], schema, None)?, count))
}

fn rows(plan: &LogicalPlan, state: &SessionState) -> Result<RecordBatch> {
    match plan {
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => placeholder(),
        LogicalPlan::EmptyRelation(empty) => {
            Ok(RecordBatch::new_empty(Arc::clone(empty.schema.inner())))
        }
        LogicalPlan::Values(Values { schema, values }) => {
            let one = placeholder()?;
            let nothing = DFSchema::empty();
            let columns = (0..schema.fields().len()).map(|column| {
                let scalars = values.iter().map(|row| {
                    let expr = row.get(column).ok_or_else(|| uneven(schema))?;
                    match value(expr, &one, &nothing, state)? {
                        ColumnarValue::Scalar(scalar) => Ok(scalar),
                        ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0),
                    }
                });
                ScalarValue::iter_to_array(scalars.collect::<Result<Vec<_>>>()?)
            });
            let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
            batch(Arc::clone(schema.inner()), columns, values.len())
        }
        LogicalPlan::Projection(Projection { expr, input, schema, .. }) => {
            let from = rows(input, state)?;
            let count = from.num_rows();
            let columns = expr
                .iter()
                .map(|expr| value(expr, &from, input.schema(), state)?.into_array(count))
                .collect::<Result<Vec<ArrayRef>>>()?;
            batch(Arc::clone(schema.inner()), columns, count)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let from = rows(&alias.input, state)?;
            let count = from.num_rows();
            batch(Arc::clone(alias.schema.inner()), from.columns().to_vec(), count)
        }
        other => Err(DataFusionError::Internal(format!("no slight plan: {}", other.display()))),
    }
}

/// One row without columns.
fn placeholder() -> Result<RecordBatch> {
    batch(Arc::new(Schema::empty()), Vec::new(), 1)
}

fn batch(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

fn value(
    expr: &Expr,
    rows: &RecordBatch,
    schema: &DFSchema,
    state: &SessionState,
) -> Result<ColumnarValue> {
    let outside = PhysicalPlanningContext::default();
    create_physical_expr(expr, schema, state.execution_props(), &outside)?.evaluate(rows)
}

fn uneven(schema: &DFSchema) -> DataFusionError {
    DataFusionError::Internal(format!("a row of VALUES is shorter than {schema}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::compute::concat_batches;
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::session_state::SessionStateBuilder;
    use datafusion::functions_aggregate::expr_fn::sum;
    use datafusion::logical_expr::{LogicalPlanBuilder, col, lit};
    use datafusion::physical_plan::collect;
    use frazil_common::SqlType;
    use frazil_functions::cast::{CastMode, cast};
    use frazil_functions::{Facts, TypedExpr};

    use super::*;

    fn number(text: &str) -> Expr {
        let to = SqlType::Number { precision: 9, scale: 2 };
        cast(TypedExpr::text(text), &to, CastMode::Implicit, &Facts::default()).unwrap().expr
    }

    fn values() -> LogicalPlanBuilder {
        let rows = vec![vec![lit(1_i64), lit("x")], vec![lit(2_i64), lit(ScalarValue::Utf8(None))]];
        LogicalPlanBuilder::values(rows).unwrap()
    }

    /// The rows as text, and their number.
    async fn shown(state: &SessionState, plan: Arc<dyn ExecutionPlan>) -> (String, usize) {
        let schema = plan.schema();
        let batches = collect(plan, state.task_ctx()).await.unwrap();
        assert!(batches.iter().all(|batch| batch.schema() == schema));
        let count = batches.iter().map(RecordBatch::num_rows).sum();
        let rows = concat_batches(&schema, &batches).unwrap();
        (pretty_format_batches(&[rows]).unwrap().to_string(), count)
    }

    #[tokio::test]
    async fn rows_are_those_of_the_planned_operators() {
        let state = SessionStateBuilder::new().with_default_features().build();
        let row = || LogicalPlanBuilder::empty(true);
        for plan in [
            row().project(vec![lit(1_i64).alias("a"), number("12.345").alias("b")]).unwrap(),
            row().project(Vec::<Expr>::new()).unwrap(),
            LogicalPlanBuilder::empty(false).project(vec![lit("none").alias("a")]).unwrap(),
            values(),
            values().alias("v").unwrap().project(vec![(-col("v.column1")).alias("m")]).unwrap(),
        ] {
            let plan = plan.build().unwrap();
            assert!(is_slight(&plan), "{plan}");
            let (ours, count) = computed(&plan, &state).unwrap();
            let theirs = state.create_physical_plan(&plan).await.unwrap();
            assert_eq!(ours.schema(), theirs.schema());
            assert_eq!(shown(&state, ours).await, (shown(&state, theirs).await.0, count));
        }
    }

    #[test]
    fn what_may_take_long_is_not_slight() {
        let of = |expr: Expr| values().project(vec![expr]).unwrap().build().unwrap();
        assert!(!is_slight(&of(col("column1") * lit(3_i64))));
        let upper = frazil_functions::scalar("UPPER").unwrap();
        let text = TypedExpr::new(col("column2"), SqlType::TEXT, true);
        assert!(is_slight(&of(text.expr.clone())));
        assert!(!is_slight(&of(upper.bind(vec![text], &Facts::default()).unwrap().expr)));
        let many = (0..EXPRESSIONS_MAX as i64 + 1).map(|n| vec![lit(n)]).collect();
        assert!(!is_slight(&LogicalPlanBuilder::values(many).unwrap().build().unwrap()));
        assert!(!is_slight(&values().limit(0, Some(1)).unwrap().build().unwrap()));
        let total = values().aggregate(Vec::<Expr>::new(), vec![sum(col("column1"))]).unwrap();
        assert!(!is_slight(&total.build().unwrap()));
    }

    #[test]
    fn a_value_that_does_not_convert_is_the_users_error() {
        let state = SessionStateBuilder::new().with_default_features().build();
        let plan = LogicalPlanBuilder::empty(true).project(vec![number("twelve")]).unwrap();
        let error = computed(&plan.build().unwrap(), &state).unwrap_err();
        let error = crate::run::execute::user_error(error);
        assert_ne!(error.code, frazil_common::Code::Internal, "{error}");
    }
}
