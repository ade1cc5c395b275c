//! Scoring as a DataFusion function, identified by the model file's digest.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use frazil_common::{SqlType, UserError};
use frazil_ml::Stop;

use crate::{LoadedModel, Method};

/// `model!METHOD(…)`. Two are equal when they ask the same of the same model file, with answers of
/// the same type.
#[derive(Debug)]
pub struct ScoreUdf {
    name: String,
    method: Method,
    model: Arc<LoadedModel>,
    returns: DataType,
    signature: Signature,
    stop: Stop,
}

impl ScoreUdf {
    pub(crate) fn new(
        method: Method,
        model: Arc<LoadedModel>,
        returns: SqlType,
        stop: Stop,
    ) -> Self {
        let arguments: Vec<DataType> =
            model.arguments(method).iter().map(SqlType::to_arrow).collect();
        ScoreUdf {
            name: format!("frazil_{}_{}", method.as_str().to_lowercase(), model.digest()),
            method,
            returns: returns.to_arrow(),
            signature: Signature::exact(arguments, Volatility::Immutable),
            model,
            stop,
        }
    }

    /// Hexadecimal SHA-256 of the model file.
    pub fn digest(&self) -> &str {
        self.model.digest()
    }
}

impl PartialEq for ScoreUdf {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.returns == other.returns
    }
}

impl Eq for ScoreUdf {}

impl Hash for ScoreUdf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for ScoreUdf {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let columns = arguments
            .args
            .iter()
            .map(|argument| argument.to_array(rows))
            .collect::<Result<Vec<_>>>()?;
        self.model
            .score(self.method, &columns, rows, &self.stop)
            .map(ColumnarValue::Array)
            .map_err(|error| DataFusionError::External(Box::new(UserError::from(error))))
    }
}
