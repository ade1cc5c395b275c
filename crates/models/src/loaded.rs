//! A model in memory: what it takes, what it answers, and its answers over Arrow arrays.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray, UInt32Array};
use arrow::compute::{TakeOptions, cast, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::logical_expr::ScalarUDF;
use frazil_common::{Code, SqlType, UserError};
use frazil_ml::{Feature, FeatureKind, Model, Signature, Stop, Task};

use crate::objects::{ProbabilityObjects, recommendations};
use crate::{ModelsError, Result, ScoreUdf};

/// The type of `k` in `RECOMMEND(user, k)`; its Arrow type is Int64.
const COUNT: SqlType = SqlType::Number { precision: 18, scale: 0 };

/// What a model can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// The estimate: a number, or the label of the likeliest class.
    Predict,
    /// An object of class label → probability.
    PredictProba,
    /// The best items for a user, as an array of {item, score}.
    Recommend,
}

impl Method {
    pub const ALL: [Method; 3] = [Method::Predict, Method::PredictProba, Method::Recommend];

    /// The name in SQL, upper case.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Predict => "PREDICT",
            Method::PredictProba => "PREDICT_PROBA",
            Method::Recommend => "RECOMMEND",
        }
    }

    /// The method of that name, in any case.
    ///
    /// # Errors
    /// There is none; the message names those there are.
    pub fn named(name: &str) -> std::result::Result<Method, UserError> {
        let known =
            Method::ALL.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name));
        known.ok_or_else(|| {
            let names = Method::ALL.map(Method::as_str).join(", ");
            let message = format!("Unknown function {}: models have {names}.", name.to_uppercase());
            UserError::new(Code::UnknownFunction, message)
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A feature as SQL sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFeature {
    pub name: String,
    /// FLOAT or VARCHAR.
    pub sql_type: SqlType,
}

/// A method as the planner binds it.
#[derive(Debug, Clone)]
pub struct ScoringMethod {
    pub method: Method,
    pub udf: Arc<ScalarUDF>,
    pub returns: SqlType,
    /// Whether the features are its arguments, in signature order.
    pub takes_features: bool,
    /// Its arguments where it takes no features.
    pub arguments: Vec<SqlType>,
}

/// A model file that was read, with the SHA-256 that identifies it.
#[derive(Debug)]
pub struct LoadedModel {
    digest: String,
    model: Box<dyn Model>,
    /// The type a classifier's PREDICT answers: the target's.
    label_type: SqlType,
    /// The class labels in that type, in code order.
    labels: ArrayRef,
}

impl LoadedModel {
    /// A classifier's labels become values of `label_type`, VARCHAR where it is not known.
    ///
    /// # Errors
    /// A label that is no value of the type.
    pub fn new(
        digest: impl Into<String>,
        model: Box<dyn Model>,
        label_type: Option<SqlType>,
    ) -> Result<Self> {
        let classes = &model.signature().classes;
        let label_type = label_type.filter(|_| !classes.is_empty()).unwrap_or(SqlType::TEXT);
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(classes));
        let labels = fit(&texts, &label_type.to_arrow())?;
        if let Some(at) = (0..labels.len()).find(|at| labels.is_null(*at)) {
            return Err(ModelsError::User(UserError::new(
                Code::ModelError,
                format!("Class '{}' of the model is no {label_type}.", classes[at]),
            )));
        }
        Ok(LoadedModel { digest: digest.into(), model, label_type, labels })
    }

    /// Hexadecimal SHA-256 of the model file.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub fn model(&self) -> &dyn Model {
        self.model.as_ref()
    }

    /// The type a classifier's PREDICT answers; VARCHAR for models without classes.
    pub fn label_type(&self) -> &SqlType {
        &self.label_type
    }

    pub fn signature(&self) -> &Signature {
        self.model.signature()
    }

    /// The features, in signature order.
    pub fn features(&self) -> Vec<ModelFeature> {
        self.signature()
            .features
            .iter()
            .map(|feature| ModelFeature {
                name: feature.name.clone(),
                sql_type: feature_type(feature),
            })
            .collect()
    }

    /// What a method returns, or none where the model doesn't have it.
    pub fn returns(&self, method: Method) -> Option<SqlType> {
        match (method, self.signature().task) {
            (Method::Predict, Task::Regression | Task::Recommendation) => Some(SqlType::Float),
            (Method::Predict, Task::Binary | Task::Multiclass) => Some(self.label_type.clone()),
            (Method::PredictProba, Task::Binary | Task::Multiclass) => Some(SqlType::Object),
            (Method::Recommend, Task::Recommendation) => Some(SqlType::Array),
            (Method::PredictProba, Task::Regression | Task::Recommendation)
            | (Method::Recommend, Task::Regression | Task::Binary | Task::Multiclass) => None,
        }
    }

    /// Types of a method's arguments, in order.
    pub fn arguments(&self, method: Method) -> Vec<SqlType> {
        match method {
            Method::Predict | Method::PredictProba => {
                self.signature().features.iter().map(feature_type).collect()
            }
            Method::Recommend => vec![SqlType::TEXT, COUNT],
        }
    }

    /// The methods the model has, ready for the planner. `stop` ends long answers.
    pub fn methods(self: &Arc<Self>, stop: &Stop) -> Vec<ScoringMethod> {
        Method::ALL
            .into_iter()
            .filter_map(|method| {
                let returns = self.returns(method)?;
                let takes_features = method != Method::Recommend;
                Some(ScoringMethod {
                    method,
                    udf: Arc::new(ScalarUDF::new_from_impl(ScoreUdf::new(
                        method,
                        Arc::clone(self),
                        returns.clone(),
                        stop.clone(),
                    ))),
                    returns,
                    takes_features,
                    arguments: if takes_features { Vec::new() } else { self.arguments(method) },
                })
            })
            .collect()
    }

    /// Answers a method for arrays of equal length, one per argument. Each is cast to the
    /// argument's type where it has another.
    ///
    /// # Errors
    /// The model has no such method; the arguments do not fit; `stop` ended it.
    pub fn score(
        &self,
        method: Method,
        columns: &[ArrayRef],
        rows: usize,
        stop: &Stop,
    ) -> Result<ArrayRef> {
        if self.returns(method).is_none() {
            return Err(no_method(method, self.model()));
        }
        let arguments = self.arguments(method);
        if arguments.len() != columns.len() {
            return Err(ModelsError::User(UserError::new(
                Code::ArgumentCount,
                format!(
                    "{method} takes {} arguments, {} are given.",
                    arguments.len(),
                    columns.len()
                ),
            )));
        }
        let columns = columns
            .iter()
            .zip(&arguments)
            .map(|(column, argument)| fit(column, &argument.to_arrow()))
            .collect::<Result<Vec<_>>>()?;
        match method {
            Method::Predict => self.predict(&columns),
            Method::PredictProba => self.predict_proba(&columns, rows),
            Method::Recommend => self.recommend(&columns, stop),
        }
    }

    fn predict(&self, columns: &[ArrayRef]) -> Result<ArrayRef> {
        let estimates = self.model.predict(columns)?;
        match self.signature().task {
            Task::Regression | Task::Recommendation => Ok(estimates),
            Task::Binary | Task::Multiclass => self.labels(&estimates),
        }
    }

    /// Class codes as labels, values of the target's type.
    pub(crate) fn labels(&self, codes: &ArrayRef) -> Result<ArrayRef> {
        let codes = codes.as_primitive_opt::<Float64Type>().ok_or_else(|| {
            ModelsError::Internal(format!("class codes of type {}", codes.data_type()))
        })?;
        let places: UInt32Array = codes.iter().map(|code| code.map(|code| code as u32)).collect();
        take(&self.labels, &places, Some(TakeOptions { check_bounds: true }))
            .map_err(|_| ModelsError::Internal("the model answers a class it does not have".into()))
    }

    fn predict_proba(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let probabilities = self.model.predict_proba(columns)?;
        let slices = probabilities
            .iter()
            .map(|column| match column.as_primitive_opt::<Float64Type>() {
                Some(column) => Ok(column.values().as_ref()),
                None => Err(ModelsError::Internal(format!(
                    "probabilities of type {}",
                    column.data_type()
                ))),
            })
            .collect::<Result<Vec<&[f64]>>>()?;
        ProbabilityObjects::new(&self.signature().classes)?.build(rows, &slices)
    }

    fn recommend(&self, columns: &[ArrayRef], stop: &Stop) -> Result<ArrayRef> {
        let users = columns[0].as_string_view();
        let counts: &Int64Array = columns[1].as_primitive::<Int64Type>();
        let lists = users
            .iter()
            .zip(counts)
            .map(|(user, count)| match (user, count) {
                (Some(user), Some(count)) => {
                    let count = usize::try_from(count).map_err(|_| {
                        UserError::new(
                            Code::InvalidArgument,
                            format!("RECOMMEND needs a count of at least 0, not {count}."),
                        )
                    })?;
                    stop.check()?;
                    Ok(Some(self.model.recommend(user, count)?))
                }
                _ => Ok(None),
            })
            .collect::<Result<Vec<_>>>()?;
        recommendations(&lists)
    }
}

fn feature_type(feature: &Feature) -> SqlType {
    match feature.kind {
        FeatureKind::Numeric => SqlType::Float,
        FeatureKind::Categorical { .. } => SqlType::TEXT,
    }
}

fn fit(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if column.data_type() == to {
        return Ok(Arc::clone(column));
    }
    cast(column, to).map_err(|error| ModelsError::Model(error.into()))
}

pub(crate) fn no_method(method: Method, model: &dyn Model) -> ModelsError {
    ModelsError::User(UserError::new(
        Code::UnknownFunction,
        format!("Unknown function {method}: a {:?} model does not have it.", model.algorithm()),
    ))
}
