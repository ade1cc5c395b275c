//! Scoring rows of JSON values, as the serving door receives them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Builder, StringViewBuilder};
use arrow::datatypes::Float64Type;
use frazil_common::{Code, SqlType, UserError};
use frazil_ml::{Feature, FeatureKind, Stop, Task};
use serde_json::Value;

use crate::loaded::no_method;
use crate::{LoadedModel, Method, ModelsError, Result};

impl LoadedModel {
    /// Answers PREDICT or PREDICT_PROBA for rows, as SQL would for the same values. `columns`
    /// name the values of each row, in any order and letter case where that is unambiguous;
    /// columns that are no features are ignored.
    ///
    /// # Errors
    /// A feature without a column, rows of other lengths, a value that does not fit its feature.
    pub fn score_rows(
        &self,
        method: Method,
        columns: &[String],
        rows: &[Vec<Value>],
    ) -> Result<Vec<Value>> {
        if let Some((at, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != columns.len())
        {
            return Err(invalid(format!(
                "Row {} has {} values for {} columns.",
                at + 1,
                row.len(),
                columns.len()
            )));
        }
        let arrays = self
            .signature()
            .features
            .iter()
            .map(|feature| read(feature, column_of(&feature.name, columns)?, rows))
            .collect::<Result<Vec<_>>>()?;
        match method {
            Method::Predict => self.predicted(&arrays),
            Method::PredictProba => self.probabilities(&arrays),
            Method::Recommend => Err(invalid("RECOMMEND takes no rows of features.".to_string())),
        }
    }

    fn predicted(&self, arrays: &[ArrayRef]) -> Result<Vec<Value>> {
        let rows = arrays.first().map_or(0, |array| array.len());
        match self.signature().task {
            Task::Regression | Task::Recommendation => {
                let answers = self.score(Method::Predict, arrays, rows, &Stop::default())?;
                Ok(answers.as_primitive::<Float64Type>().iter().map(Value::from).collect())
            }
            Task::Binary | Task::Multiclass => {
                let labels: Vec<Value> = self
                    .signature()
                    .classes
                    .iter()
                    .map(|label| json_label(label, self.label_type()))
                    .collect();
                let codes = self.model().predict(arrays)?;
                let codes = codes.as_primitive::<Float64Type>();
                Ok(codes
                    .iter()
                    .map(|code| code.and_then(|code| labels.get(code as usize)).cloned().into())
                    .collect())
            }
        }
    }

    fn probabilities(&self, arrays: &[ArrayRef]) -> Result<Vec<Value>> {
        if self.returns(Method::PredictProba).is_none() {
            return Err(no_method(Method::PredictProba, self.model()));
        }
        let columns = self.model().predict_proba(arrays)?;
        let rows = arrays.first().map_or(0, |array| array.len());
        let classes = &self.signature().classes;
        Ok((0..rows)
            .map(|row| {
                classes
                    .iter()
                    .zip(&columns)
                    .map(|(class, column)| {
                        (class.clone(), column.as_primitive::<Float64Type>().value(row).into())
                    })
                    .collect::<serde_json::Map<String, Value>>()
                    .into()
            })
            .collect())
    }
}

/// The place of a feature's column: the exact name first, else the only one that differs in
/// letter case.
pub(crate) fn column_of(feature: &str, columns: &[String]) -> Result<usize> {
    if let Some(at) = columns.iter().position(|column| column == feature) {
        return Ok(at);
    }
    let mut similar =
        columns.iter().enumerate().filter(|(_, column)| column.eq_ignore_ascii_case(feature));
    match (similar.next(), similar.next()) {
        (Some((at, _)), None) => Ok(at),
        (Some(_), Some(_)) => Err(invalid(format!(
            "Column '{feature}' is ambiguous: it differs in letter case only."
        ))),
        (None, _) => Err(invalid(format!("Column '{feature}' is missing."))),
    }
}

fn read(feature: &Feature, column: usize, rows: &[Vec<Value>]) -> Result<ArrayRef> {
    let values = rows.iter().map(|row| row.get(column).unwrap_or(&Value::Null));
    let unfit = |row: usize, value: &Value, wanted: &str| {
        invalid(format!(
            "Row {}: value {value} of column '{}' is not {wanted}.",
            row + 1,
            feature.name
        ))
    };
    Ok(match &feature.kind {
        FeatureKind::Numeric => {
            let mut numbers = Float64Builder::with_capacity(rows.len());
            for (row, value) in values.enumerate() {
                numbers.append_option(number(value).map_err(|()| unfit(row, value, "a number"))?);
            }
            Arc::new(numbers.finish())
        }
        FeatureKind::Categorical { .. } => {
            let mut texts = StringViewBuilder::with_capacity(rows.len());
            for (row, value) in values.enumerate() {
                texts.append_option(
                    text(value).map_err(|()| unfit(row, value, "a text, number or boolean"))?,
                );
            }
            Arc::new(texts.finish())
        }
    })
}

/// A class label as JSON has it: what PREDICT gives in SQL, in the type nearest to it.
fn json_label(label: &str, sql_type: &SqlType) -> Value {
    match sql_type {
        SqlType::Boolean => Value::from(label == "true"),
        // A number JSON cannot write stays text.
        sql_type if sql_type.is_numeric() => {
            label.parse::<serde_json::Number>().map_or_else(|_| Value::from(label), Value::from)
        }
        _ => Value::from(label),
    }
}

/// As a cast to FLOAT reads it; an empty text is missing, as CSV writes NULL.
fn number(value: &Value) -> Result<Option<f64>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(f64::from(u8::from(*value)))),
        Value::Number(value) => value.as_f64().map(Some).ok_or(()),
        Value::String(value) if value.trim().is_empty() => Ok(None),
        Value::String(value) => value.trim().parse().map(Some).map_err(|_| ()),
        Value::Array(_) | Value::Object(_) => Err(()),
    }
}

/// As a cast to VARCHAR writes it.
fn text(value: &Value) -> Result<Option<String>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(value.to_string())),
        Value::Number(value) => Ok(Some(match (value.as_i64(), value.as_f64()) {
            (None, Some(float)) => float.to_string(),
            _ => value.to_string(),
        })),
        Value::String(value) => Ok(Some(value.clone())),
        Value::Array(_) | Value::Object(_) => Err(()),
    }
}

fn invalid(message: String) -> ModelsError {
    ModelsError::User(UserError::new(Code::InvalidArgument, message))
}
