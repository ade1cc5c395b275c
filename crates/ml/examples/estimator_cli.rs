//! Runs one request against the estimators, for comparing them with reference libraries.
//!
//! `estimator_cli REQUEST.json` prints a JSON answer. Data are Arrow IPC files. Requests:
//! - `{"action": "train", "data": FILE, "test": FILE, "spec": TrainSpec, "recommend": [[user, k]]}`
//!   answers coefficients, predictions, probabilities, metrics, importance, model bytes' length.
//! - `{"action": "drift", "baseline": FILE, "current": FILE}` compares every column.
//! - `{"action": "metrics", "target": […], "predicted": […], "probabilities": [[…]]}` evaluates
//!   plain numbers, without a model.

use std::error::Error;
use std::fs::File;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Float64Type;
use arrow::ipc::reader::FileReader;
use frazil_ml::{
    Algorithm, FeatureKind, Model, Rows, Stop, TrainSpec, drift, encode, linear, logistic, metrics,
    split, svd,
};
use serde_json::{Value, json};

type Answer = Result<Value, Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: estimator_cli REQUEST.json")?;
    let request: Value = serde_json::from_reader(File::open(path)?)?;
    let answer = match request["action"].as_str() {
        Some("train") => train(&request)?,
        Some("drift") => compare(&request)?,
        Some("metrics") => evaluate(&request)?,
        other => return Err(format!("unknown action {other:?}").into()),
    };
    println!("{answer}");
    Ok(())
}

fn read(request: &Value, name: &str) -> Result<Vec<RecordBatch>, Box<dyn Error>> {
    let path = request[name].as_str().ok_or_else(|| format!("'{name}' must name a file"))?;
    Ok(FileReader::try_new(File::open(path)?, None)?.collect::<Result<_, _>>()?)
}

fn whole(request: &Value, name: &str) -> Result<RecordBatch, Box<dyn Error>> {
    let batches = read(request, name)?;
    let first = batches.first().ok_or_else(|| format!("'{name}' has no batches"))?;
    Ok(concat_batches(&first.schema(), &batches)?)
}

fn numbers(array: &ArrayRef) -> Vec<Option<f64>> {
    array.as_primitive::<Float64Type>().iter().collect()
}

fn train(request: &Value) -> Answer {
    let spec: TrainSpec = serde_json::from_value(request["spec"].clone())?;
    let mut batches = read(request, "data")?;
    if request["canonical"].as_bool() == Some(true) {
        batches = split::canonical_order(&batches, &Stop::default())?;
    }
    let rows = Rows { batches: &batches };
    let mut coefficients = Vec::new();
    let mut converged = true;
    let model: Box<dyn Model> = match spec.algorithm {
        Algorithm::Linear => {
            let model = linear::train(&spec, rows)?;
            coefficients = model.coefficients();
            converged = model.converged();
            Box::new(linear::LinearModel::from_bytes(&model.to_bytes()?)?)
        }
        Algorithm::Logistic => {
            let model = logistic::train(&spec, rows)?;
            coefficients = model.coefficients();
            converged = model.converged();
            Box::new(logistic::LogisticModel::from_bytes(&model.to_bytes()?)?)
        }
        Algorithm::Svd => {
            let model = svd::train(&spec, rows)?;
            Box::new(svd::SvdModel::from_bytes(&model.to_bytes()?)?)
        }
        Algorithm::Gbt | Algorithm::RandomForest | Algorithm::Lightgbm => {
            return Err("this is no estimator of this program".into());
        }
    };
    let mut answer = json!({
        "coefficients": coefficients,
        "converged": converged,
        "importance": model.importance(),
        "bytes": model.to_bytes()?.len(),
    });
    if request["test"].is_string() {
        let test = whole(request, "test")?;
        let columns: Vec<ArrayRef> = model
            .signature()
            .features
            .iter()
            .map(|feature| encode::column(&test, &feature.name).cloned())
            .collect::<Result<_, _>>()?;
        answer["predictions"] = json!(numbers(&model.predict(&columns)?));
        if let Ok(chances) = model.predict_proba(&columns) {
            answer["probabilities"] = json!(chances.iter().map(numbers).collect::<Vec<_>>());
        }
        let target = encode::column(&test, &spec.target)?;
        answer["metrics"] = json!(metrics::evaluate(
            model.as_ref(),
            model.signature(),
            &columns,
            target,
            &Stop::default()
        )?);
    }
    if let Some(users) = request["recommend"].as_array() {
        let mut lists = Vec::new();
        for user in users {
            let name = user[0].as_str().ok_or("a user must be text")?;
            let k = user[1].as_u64().ok_or("k must be a number")? as usize;
            lists.push(model.recommend(name, k)?);
        }
        answer["recommended"] = json!(lists);
    }
    Ok(answer)
}

fn compare(request: &Value) -> Answer {
    let (baseline, current) = (whole(request, "baseline")?, whole(request, "current")?);
    let mut all = Vec::new();
    for (field, column) in baseline.schema().fields().iter().zip(baseline.columns()) {
        let kind = if encode::is_text(field.data_type()) {
            FeatureKind::Categorical { categories: Vec::new() }
        } else {
            FeatureKind::Numeric
        };
        let now = encode::column(&current, field.name())?;
        all.extend(drift::compare(field.name(), column, now, &kind)?);
    }
    Ok(json!(all))
}

fn evaluate(request: &Value) -> Answer {
    let list = |name: &str| -> Result<Vec<f64>, Box<dyn Error>> {
        Ok(serde_json::from_value(request[name].clone())?)
    };
    let target = list("target")?;
    Ok(match request["kind"].as_str() {
        Some("regression") => {
            let predicted = list("predicted")?;
            json!({
                "rmse": metrics::rmse(&target, &predicted),
                "mae": metrics::mae(&target, &predicted),
                "r2": metrics::r2(&target, &predicted),
            })
        }
        Some("binary") => {
            let chance = list("predicted")?;
            let positive: Vec<bool> = target.iter().map(|value| *value > 0.5).collect();
            let predicted: Vec<bool> = chance.iter().map(|chance| *chance > 0.5).collect();
            let (precision, recall, f1) = metrics::precision_recall_f1(&positive, &predicted);
            json!({
                "log_loss": metrics::log_loss(&positive, &chance),
                "auc": metrics::auc(&positive, &chance),
                "brier": metrics::brier(&positive, &chance),
                "accuracy": metrics::accuracy(&positive, &predicted),
                "precision": precision,
                "recall": recall,
                "f1": f1,
            })
        }
        _ => {
            let codes = |values: Vec<f64>| values.into_iter().map(|v| v as u32).collect::<Vec<_>>();
            let (target, predicted) = (codes(target), codes(list("predicted")?));
            let chances: Vec<Vec<f64>> = serde_json::from_value(request["probabilities"].clone())?;
            let slices: Vec<&[f64]> = chances.iter().map(Vec::as_slice).collect();
            json!({
                "log_loss": metrics::log_loss_multiclass(&target, &slices),
                "accuracy": metrics::accuracy(&target, &predicted),
                "f1_macro": metrics::f1_macro(&target, &predicted),
            })
        }
    })
}
