//! What the change feed tells rows by.
//!
//! A row's own id counts all rows of its table: those that a policy hides from the reader would show as gaps.
//! So the feed has a digest of it, which nobody can compute who does not know the table's uuid.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use sha2::{Digest, Sha256};

/// Bytes of the digest that are told, in hexadecimal digits, as in Snowflake.
const BYTES: usize = 20;

/// The feed's id of the row with an id of a table.
pub(crate) fn row_identity(table_uuid: &str, row_id: Expr) -> Expr {
    let function = RowIdentity {
        key: table_uuid.to_string(),
        signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable),
    };
    ScalarUDF::from(function).call(vec![row_id])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RowIdentity {
    key: String,
    signature: Signature,
}

impl RowIdentity {
    fn digest(&self, row_id: i64) -> String {
        let whole = Sha256::new().chain_update(&self.key).chain_update(row_id.to_le_bytes());
        hex::encode(whole.finalize().get(..BYTES).unwrap_or_default())
    }
}

impl ScalarUDFImpl for RowIdentity {
    fn name(&self) -> &str {
        "row_identity"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(match args.args.first() {
            Some(ColumnarValue::Array(ids)) => {
                let ids = ids.as_primitive::<Int64Type>();
                let mut told = StringViewBuilder::with_capacity(ids.len());
                for id in ids {
                    told.append_option(id.map(|id| self.digest(id)));
                }
                ColumnarValue::Array(Arc::new(told.finish()) as ArrayRef)
            }
            Some(ColumnarValue::Scalar(ScalarValue::Int64(id))) => {
                ColumnarValue::Scalar(ScalarValue::Utf8View(id.map(|id| self.digest(id))))
            }
            _ => ColumnarValue::Scalar(ScalarValue::Utf8View(None)),
        })
    }
}
