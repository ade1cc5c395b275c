//! Trains and applies gradient boosting on Arrow IPC files, for comparison with other libraries.
//!
//! `gbt_cli train DATA.arrow TARGET OPTIONS.json MODEL.json [THREADS]`
//! `gbt_cli score MODEL DATA.arrow OUT.arrow [foreign [CATEGORIES.json]]`
//!
//! `score` writes columns `prediction`, and `p0`, `p1`, … for classifiers. `foreign` reads a
//! model saved by XGBoost; the data's columns are then taken in the model's order of names.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use frazil_ml::{Algorithm, OptionValue, Rows, TrainSpec, model};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["train", data, target, options, out, rest @ ..] => {
            let threads = rest.first().map_or(Ok(1), |t| t.parse())?;
            train(data, target, options, out, threads)
        }
        ["score", model, data, out] => score(model, data, out, None),
        ["score", model, data, out, "foreign"] => score(model, data, out, Some("{}".into())),
        ["score", model, data, out, "foreign", categories] => {
            score(model, data, out, Some(fs::read_to_string(categories)?))
        }
        _ => Err("usage: gbt_cli train DATA TARGET OPTIONS MODEL [THREADS] | \
                  gbt_cli score MODEL DATA OUT [foreign [CATEGORIES]]"
            .into()),
    }
}

fn read(path: &str) -> Outcome<Vec<RecordBatch>> {
    Ok(FileReader::try_new(File::open(path)?, None)?.collect::<Result<_, _>>()?)
}

fn train(data: &str, target: &str, options: &str, out: &str, threads: usize) -> Outcome<()> {
    let batches = read(data)?;
    let options: BTreeMap<String, OptionValue> =
        serde_json::from_str(&fs::read_to_string(options)?)?;
    let weight = match options.get("sample_weight") {
        Some(OptionValue::Text(name)) => name.clone(),
        _ => String::new(),
    };
    let schema = batches.first().ok_or("no rows")?.schema();
    let features = schema
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .filter(|n| n != target && *n != weight)
        .collect();
    let spec = TrainSpec {
        algorithm: Algorithm::Gbt,
        target: target.to_owned(),
        features,
        options,
        threads,
        stop: Default::default(),
    };
    let start = Instant::now();
    let model = model::train(&spec, Rows { batches: &batches })?;
    println!("train_seconds {:.3}", start.elapsed().as_secs_f64());
    fs::write(out, model.to_bytes()?)?;
    Ok(())
}

fn score(path: &str, data: &str, out: &str, foreign: Option<String>) -> Outcome<()> {
    let bytes = fs::read(path)?;
    let model = match foreign {
        None => model::load(Algorithm::Gbt, &bytes)?,
        Some(categories) => {
            model::load_xgboost(&bytes, None, &serde_json::from_str(&categories)?, None)?
        }
    };
    let batches = read(data)?;
    let rows = concat_batches(&batches.first().ok_or("no rows")?.schema(), &batches)?;
    let columns = model
        .signature()
        .features
        .iter()
        .map(|f| rows.column_by_name(&f.name).cloned().ok_or(format!("no column {}", f.name)))
        .collect::<Result<Vec<ArrayRef>, String>>()?;
    let start = Instant::now();
    let prediction = model.predict(&columns)?;
    println!("score_seconds {:.3}", start.elapsed().as_secs_f64());
    let mut answers = vec![("prediction".to_owned(), prediction)];
    if !model.signature().classes.is_empty() {
        let classes = model.predict_proba(&columns)?;
        answers.extend(classes.into_iter().enumerate().map(|(i, p)| (format!("p{i}"), p)));
    }
    let answers = RecordBatch::try_from_iter(answers)?;
    let mut writer = FileWriter::try_new(File::create(out)?, &answers.schema())?;
    writer.write(&answers)?;
    writer.finish()?;
    println!("importance {:?}", Arc::new(model.importance()));
    Ok(())
}
