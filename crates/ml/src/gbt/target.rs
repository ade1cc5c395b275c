//! The target and weight columns of a training request.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type};

use super::columns::{Strings, is_number, is_text, plain};
use super::options::{Settings, WantedTask};
use crate::encode::type_name;
use crate::{MlError, Rows, Task, TrainSpec};

/// Most classes a target may have: each costs a tree per round.
const MAX_CLASSES: usize = 1000;

/// From here on neighbouring whole numbers are one in double precision.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// What is learned, row by row.
#[derive(Debug)]
pub struct Target {
    pub task: Task,
    /// Values, or class codes.
    pub labels: Vec<f32>,
    /// Class labels in code order.
    pub classes: Vec<String>,
    /// Sample weights, 1 where none are given.
    pub weights: Vec<f32>,
    /// Whether a weight column was given.
    pub weighted: bool,
}

/// The batches' chunks of one column.
///
/// # Errors
/// [`MlError::Invalid`] when a batch has no such column.
pub fn column(rows: Rows<'_>, name: &str, role: &str) -> Result<Vec<ArrayRef>, MlError> {
    rows.batches
        .iter()
        .map(|b| {
            let array = b.column_by_name(name).ok_or_else(|| {
                MlError::Invalid(format!("{role} column {name} is not among the training columns"))
            })?;
            plain(array)
        })
        .collect()
}

/// Reads target and weights.
///
/// # Errors
/// [`MlError::Invalid`] for no rows, NULLs, one class, or values the task cannot use.
pub fn read(spec: &TrainSpec, settings: &Settings, rows: Rows<'_>) -> Result<Target, MlError> {
    let n: usize = rows.batches.iter().map(|b| b.num_rows()).sum();
    if n == 0 {
        return Err(MlError::Invalid("no rows to train on".into()));
    }
    if n > u32::MAX as usize - 1 {
        return Err(MlError::Unsupported(format!(
            "{n} training rows; at most {} are supported",
            u32::MAX - 1
        )));
    }
    let name = &spec.target;
    let chunks = column(rows, name, "target")?;
    let nulls: usize = chunks.iter().map(|c| c.logical_null_count()).sum();
    if nulls > 0 {
        return Err(MlError::Invalid(format!(
            "target {name} is NULL in {nulls} of {n} rows; filter them out first"
        )));
    }
    let (task, labels, classes) = read_labels(name, settings.task, &chunks, n)?;
    let (weights, weighted) = match &settings.sample_weight {
        None => (vec![1.0; n], false),
        Some(column_name) => (read_weights(column_name, rows)?, true),
    };
    Ok(Target { task, labels, classes, weights, weighted })
}

type Labels = (Task, Vec<f32>, Vec<String>);

fn read_labels(
    name: &str,
    wanted: WantedTask,
    chunks: &[ArrayRef],
    n: usize,
) -> Result<Labels, MlError> {
    let data_type = chunks[0].data_type().clone();
    let classes_wanted = matches!(wanted, WantedTask::Binary | WantedTask::Multiclass);
    if is_text(&data_type) {
        let mut names = BTreeSet::new();
        for chunk in chunks {
            if let Some(strings) = Strings::of(chunk) {
                for i in 0..chunk.len() {
                    if let Some(s) = strings.get(i)
                        && !names.contains(s)
                    {
                        names.insert(s.to_owned());
                        check_class_count(name, names.len())?;
                    }
                }
            }
        }
        let classes: Vec<String> = names.into_iter().collect();
        let task = class_task(name, wanted, &classes)?;
        let mut labels = Vec::with_capacity(n);
        for chunk in chunks {
            if let Some(strings) = Strings::of(chunk) {
                labels.extend((0..chunk.len()).filter_map(|i| {
                    let s = strings.get(i)?;
                    let code = classes.binary_search_by(|c| c.as_str().cmp(s)).ok()?;
                    Some(code as f32)
                }));
            }
        }
        return Ok((task, labels, classes));
    }
    if !is_number(&data_type) {
        return Err(MlError::Invalid(format!(
            "target {name} has type {}; a target is a number, a boolean or text",
            type_name(&data_type)
        )));
    }
    let boolean = data_type == DataType::Boolean;
    let values = numbers(chunks)?;
    let infinite = values.iter().filter(|v| !v.is_finite()).count();
    if infinite > 0 {
        return Err(MlError::Invalid(format!(
            "target {name} is not a finite number in {infinite} of {n} rows"
        )));
    }
    if !(classes_wanted || boolean && wanted == WantedTask::Auto) {
        if wanted == WantedTask::Poisson && values.iter().any(|&v| v < 0.0) {
            return Err(MlError::Invalid(format!(
                "target {name} has negative values; count:poisson needs counts"
            )));
        }
        return Ok((Task::Regression, values.iter().map(|&v| v as f32).collect(), Vec::new()));
    }
    let mut distinct: Vec<f64> = Vec::new();
    for &v in &values {
        if let Err(at) = distinct.binary_search_by(|d| d.total_cmp(&(v + 0.0))) {
            distinct.insert(at, v + 0.0);
            check_class_count(name, distinct.len())?;
        }
    }
    if let Some(large) = distinct.iter().find(|v| v.abs() >= EXACT_MAX) {
        return Err(MlError::Invalid(format!(
            "target {name} has the value {large}, too large to tell classes apart; cast it to text"
        )));
    }
    // As a cast to VARCHAR writes them.
    let decimals = match data_type {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => usize::try_from(scale).ok(),
        _ => None,
    };
    let classes: Vec<String> = distinct
        .iter()
        .map(|&v| match (boolean, v == 0.0, decimals) {
            (true, true, _) => "false".to_owned(),
            (true, false, _) => "true".to_owned(),
            (_, _, Some(decimals)) => format!("{v:.decimals$}"),
            _ => v.to_string(),
        })
        .collect();
    let task = class_task(name, wanted, &classes)?;
    let labels = values
        .iter()
        .map(|v| distinct.binary_search_by(|d| d.total_cmp(&(v + 0.0))).unwrap_or(0) as f32)
        .collect();
    Ok((task, labels, classes))
}

fn check_class_count(name: &str, count: usize) -> Result<(), MlError> {
    if count > MAX_CLASSES {
        return Err(MlError::Invalid(format!(
            "target {name} has more than {MAX_CLASSES} distinct values, too many for classes"
        )));
    }
    Ok(())
}

fn class_task(name: &str, wanted: WantedTask, classes: &[String]) -> Result<Task, MlError> {
    match (classes, wanted) {
        (_, WantedTask::Regression | WantedTask::Poisson) => {
            Err(MlError::Invalid(format!("target {name} is text; regression needs a number")))
        }
        ([only], _) => Err(MlError::Invalid(format!(
            "target {name} is '{only}' in every row; two classes are needed"
        ))),
        ([_, _], WantedTask::Multiclass) => Ok(Task::Multiclass),
        ([_, _], _) => Ok(Task::Binary),
        (more, WantedTask::Binary) => Err(MlError::Invalid(format!(
            "target {name} has {} distinct values; a binary task needs two",
            more.len()
        ))),
        _ => Ok(Task::Multiclass),
    }
}

fn numbers(chunks: &[ArrayRef]) -> Result<Vec<f64>, MlError> {
    let mut out = Vec::new();
    for chunk in chunks {
        let cast = arrow::compute::cast(chunk, &DataType::Float64)?;
        let values = cast.as_primitive::<Float64Type>();
        out.extend(values.iter().map(|v| v.unwrap_or(f64::NAN)));
    }
    Ok(out)
}

fn read_weights(name: &str, rows: Rows<'_>) -> Result<Vec<f32>, MlError> {
    let chunks = column(rows, name, "sample_weight")?;
    if !is_number(chunks[0].data_type()) {
        return Err(MlError::Invalid(format!("sample_weight column {name} is not a number")));
    }
    let weights = numbers(&chunks)?;
    let bad = weights.iter().filter(|w| !(w.is_finite() && **w >= 0.0)).count();
    if bad > 0 {
        return Err(MlError::Invalid(format!(
            "sample_weight column {name} is NULL, negative or infinite in {bad} rows"
        )));
    }
    if weights.iter().all(|&w| w == 0.0) {
        return Err(MlError::Invalid(format!("sample_weight column {name} is 0 in every row")));
    }
    Ok(weights.iter().map(|&w| w as f32).collect())
}
