//! The check that a correlated scalar subquery gives at most one row.

use std::sync::{Arc, LazyLock};

use arrow::array::{BooleanArray, cast::AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use frazil_common::{Code, UserError};

/// `frazil_single_row(count)`: TRUE, or an error if the count is above one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleRow {
    signature: Signature,
}

static SINGLE_ROW: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    // Stable, so that no rule moves it to where the error would not be raised.
    let signature = Signature::exact(vec![DataType::Int64], Volatility::Stable);
    Arc::new(ScalarUDF::from(SingleRow { signature }))
});

pub(crate) fn single_row_udf() -> Arc<ScalarUDF> {
    SINGLE_ROW.clone()
}

impl ScalarUDFImpl for SingleRow {
    fn name(&self) -> &str {
        "frazil_single_row"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let several = arrays
            .iter()
            .filter_map(|array| array.as_primitive_opt::<Int64Type>())
            .any(|counts| counts.iter().flatten().any(|count| count > 1));
        if several {
            return Err(frazil_functions::raise(UserError::new(
                Code::MultipleRows,
                "Single-row subquery returns more than one row.",
            )));
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(vec![true; args.number_rows]))))
    }
}
