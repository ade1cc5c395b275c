//! A column that cannot be read: it stands in the plan as a call that only fails, and a plan that
//! still has the call once it is optimised is refused. One that does not read the column runs.

use std::hash::{Hash, Hasher};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use frazil_common::UserError;

use crate::sealed::{REDACTED, Sealed};

const NAME: &str = "frazil_refused";

#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    error: UserError,
    returns: DataType,
    signature: Signature,
}

impl Hash for Refusal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.error.message, &self.returns).hash(state);
    }
}

impl ScalarUDFImpl for Refusal {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::External(Box::new(self.error.clone())))
    }
}

/// What stands in the place of a column that cannot be read.
pub(crate) fn refused(error: UserError, returns: DataType) -> Expr {
    // No rule may compute it, or take it for another one.
    let signature = Signature::nullary(Volatility::Volatile);
    ScalarUDF::from(Refusal { error, returns, signature }).call(Vec::new())
}

/// Why an optimised plan cannot run, where it reads such a column. Below a secure view it is not told.
///
/// # Errors
/// That of the column.
pub fn check_refusals(plan: &LogicalPlan) -> Result<()> {
    check(plan, 0)
}

/// `sealed` is the number of nodes above that keep the words of errors to themselves: the table's own
/// is one.
fn check(plan: &LogicalPlan, sealed: usize) -> Result<()> {
    plan.apply_expressions(|expr| {
        expr.apply(|part| {
            let Expr::ScalarFunction(call) = part else { return Ok(TreeNodeRecursion::Continue) };
            let Some(refusal) = call.func.inner().downcast_ref::<Refusal>() else {
                return Ok(TreeNodeRecursion::Continue);
            };
            let error = match sealed {
                0 | 1 => refusal.error.clone(),
                _ => UserError::new(refusal.error.code, REDACTED),
            };
            Err(DataFusionError::External(Box::new(error)))
        })
    })?;
    let sealed = sealed + usize::from(Sealed::of(plan).is_some_and(|node| node.redacts));
    plan.apply_subqueries(|subquery| {
        check(subquery, sealed).map(|()| TreeNodeRecursion::Continue)
    })?;
    plan.inputs().into_iter().try_for_each(|input| check(input, sealed))
}
