//! MODEL_DRIFT: how far the data, and the model's answers to it, moved from training.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray, new_empty_array,
};
use arrow::compute::concat;
use arrow::datatypes::Schema;
use frazil_common::{Column, SqlType};
use frazil_ml::drift::{DriftMetric, compare, compare_with_statistics};
use frazil_ml::model::{predict_all, predict_proba_all};
use frazil_ml::statistics::FeatureStatistics;
use frazil_ml::{Feature, FeatureKind, MlError, Stop, Task};

use crate::rows::column_of;
use crate::{LoadedModel, ModelsError, Result};

/// The feature name under which the model's own answers are compared: the estimate of a
/// regression or rating, the second class's probability of a binary classifier, the label of a
/// classifier with more classes.
pub const PREDICTION: &str = "PREDICTION";

/// What current data is compared with.
#[derive(Debug, Clone, Copy)]
pub enum Baseline<'a> {
    /// The training rows at the pinned snapshot.
    Rows(&'a [RecordBatch]),
    /// The sketch kept with the version, when the rows are gone.
    Statistics(&'a [FeatureStatistics]),
}

/// Which baseline a report rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaselineKind {
    TrainingRows,
    TrainingStatistics,
}

impl BaselineKind {
    pub fn as_str(self) -> &'static str {
        match self {
            BaselineKind::TrainingRows => "TRAINING ROWS",
            BaselineKind::TrainingStatistics => "TRAINING STATISTICS",
        }
    }
}

/// Figures per feature in signature order, then those of the prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftReport {
    pub baseline: BaselineKind,
    pub metrics: Vec<DriftMetric>,
}

impl DriftReport {
    /// The columns of [`DriftReport::to_batch`].
    pub fn columns() -> Vec<Column> {
        vec![
            Column::new("FEATURE", SqlType::TEXT, false),
            Column::new("METRIC", SqlType::TEXT, false),
            Column::new("VALUE", SqlType::Float, true),
            Column::new("ROWS", SqlType::Number { precision: 18, scale: 0 }, false),
            Column::new("BASELINE", SqlType::TEXT, false),
        ]
    }

    /// One row per figure.
    ///
    /// # Errors
    /// An internal error if the columns do not fit together.
    pub fn to_batch(&self) -> Result<RecordBatch> {
        let fields: Vec<_> = Self::columns().iter().map(Column::to_field).collect();
        let metrics = &self.metrics;
        let texts = |text: fn(&DriftMetric) -> &str| -> ArrayRef {
            Arc::new(StringViewArray::from_iter_values(metrics.iter().map(text)))
        };
        let baseline = std::iter::repeat_n(self.baseline.as_str(), metrics.len());
        RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            vec![
                texts(|metric| &metric.feature),
                texts(|metric| &metric.metric),
                Arc::new(Float64Array::from_iter(metrics.iter().map(|metric| metric.value))),
                Arc::new(Int64Array::from_iter_values(metrics.iter().map(|m| m.rows as i64))),
                Arc::new(StringViewArray::from_iter_values(baseline)),
            ],
        )
        .map_err(|error| ModelsError::Internal(error.to_string()))
    }
}

/// Compares current rows with the baseline, feature by feature, and the model's answers.
///
/// # Errors
/// A feature has no column, a side has no rows, or values can't be read as the feature needs.
pub fn drift(
    model: &LoadedModel,
    baseline: Baseline<'_>,
    current: &[RecordBatch],
    stop: &Stop,
) -> Result<DriftReport> {
    let now = columns(model, current, stop)?;
    let mut metrics = Vec::new();
    let kind = match baseline {
        Baseline::Rows(rows) => {
            for (before, now) in columns(model, rows, stop)?.iter().zip(&now) {
                stop.check()?;
                metrics.extend(compare(&now.name, &before.values, &now.values, &now.kind)?);
            }
            BaselineKind::TrainingRows
        }
        Baseline::Statistics(statistics) => {
            for now in &now {
                let before =
                    statistics.iter().find(|one| one.name == now.name).ok_or_else(|| {
                        MlError::Invalid(format!(
                            "no training statistics are kept of '{}'",
                            now.name
                        ))
                    })?;
                metrics.extend(compare_with_statistics(before, &now.values)?);
            }
            BaselineKind::TrainingStatistics
        }
    };
    Ok(DriftReport { baseline: kind, metrics })
}

/// The sketch to keep with a version: of every feature, and of the model's answers to the rows.
///
/// # Errors
/// As [`drift`].
pub fn training_statistics(
    model: &LoadedModel,
    rows: &[RecordBatch],
    stop: &Stop,
) -> Result<Vec<FeatureStatistics>> {
    columns(model, rows, stop)?
        .iter()
        .map(|column| {
            stop.check()?;
            Ok(FeatureStatistics::of(&column.name, &column.values, &column.kind)?)
        })
        .collect()
}

/// A column to compare, of all batches.
struct Compared {
    name: String,
    kind: FeatureKind,
    values: ArrayRef,
}

/// The features in signature order, and the prediction.
fn columns(model: &LoadedModel, batches: &[RecordBatch], stop: &Stop) -> Result<Vec<Compared>> {
    let features = &model.signature().features;
    let mut columns = features
        .iter()
        .map(|feature| {
            Ok(Compared {
                name: feature.name.clone(),
                kind: feature.kind.clone(),
                values: gather(feature, batches)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let values: Vec<ArrayRef> = columns.iter().map(|column| Arc::clone(&column.values)).collect();
    columns.push(prediction(model, &values, stop)?);
    Ok(columns)
}

fn gather(feature: &Feature, batches: &[RecordBatch]) -> Result<ArrayRef> {
    let Some(first) = batches.first() else {
        let data_type = match feature.kind {
            FeatureKind::Numeric => SqlType::Float.to_arrow(),
            FeatureKind::Categorical { .. } => SqlType::TEXT.to_arrow(),
        };
        return Ok(new_empty_array(&data_type));
    };
    let names: Vec<String> =
        first.schema().fields().iter().map(|field| field.name().clone()).collect();
    let at = column_of(&feature.name, &names)?;
    let parts: Vec<_> = batches.iter().map(|batch| batch.column(at).as_ref()).collect();
    Ok(concat(&parts).map_err(MlError::from)?)
}

fn prediction(model: &LoadedModel, values: &[ArrayRef], stop: &Stop) -> Result<Compared> {
    let name = PREDICTION.to_string();
    let inner = model.model();
    Ok(match model.signature().task {
        Task::Regression | Task::Recommendation => {
            Compared { name, kind: FeatureKind::Numeric, values: predict_all(inner, values, stop)? }
        }
        Task::Binary => {
            let second =
                predict_proba_all(inner, values, stop)?.into_iter().nth(1).ok_or_else(|| {
                    ModelsError::Internal("a binary model without a second class".to_string())
                })?;
            Compared { name, kind: FeatureKind::Numeric, values: second }
        }
        Task::Multiclass => Compared {
            name,
            kind: FeatureKind::Categorical { categories: Vec::new() },
            values: model.labels(&predict_all(inner, values, stop)?)?,
        },
    })
}
