//! A value that may be NULL, whatever it is made of.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// `frazil_nullable(value)`: the value. Fields that it makes allow NULL, and no rule sees through it: one that
/// is left of a column that is never NULL must have the type of one that may be.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Nullable {
    signature: Signature,
}

static NULLABLE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    // Stable, so that it is not computed of constants while planning.
    let signature = Signature::any(1, Volatility::Stable);
    Arc::new(ScalarUDF::from(Nullable { signature }))
});

pub(crate) fn nullable_udf() -> Arc<ScalarUDF> {
    NULLABLE.clone()
}

impl ScalarUDFImpl for Nullable {
    fn name(&self) -> &str {
        "frazil_nullable"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let argument = arguments.first().cloned();
        argument.ok_or_else(|| exec_datafusion_err!("frazil_nullable takes a value"))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.into_iter().next();
        value.ok_or_else(|| exec_datafusion_err!("frazil_nullable takes a value"))
    }
}
