//! A fit that is ended from outside ends soon, whatever the estimator and wherever it is.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use frazil_ml::{Algorithm, MlError, OptionValue, Rows, Stop, TrainSpec, model, split};

fn table(rows: usize) -> RecordBatch {
    let number = |k: usize| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(
            (0..rows).map(move |i| ((i * (k * 2 + 7919) + k) % 1009) as f64),
        ))
    };
    let text = |prefix: &'static str, modulus: usize, of: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            (0..rows).map(move |i| format!("{prefix}{}", i * of % modulus)),
        ))
    };
    RecordBatch::try_from_iter([
        ("a", number(1)),
        ("b", number(2)),
        ("u", text("u", 97, 31)),
        ("i", text("i", 53, 17)),
        ("y", number(5)),
        ("c", text("c", 3, 7)),
    ])
    .unwrap()
}

fn spec(
    algorithm: Algorithm,
    target: &str,
    features: &[&str],
    options: &[(&str, OptionValue)],
    stop: Stop,
) -> TrainSpec {
    TrainSpec {
        algorithm,
        target: target.to_owned(),
        features: features.iter().map(|name| (*name).to_owned()).collect(),
        options: options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        threads: 1,
        stop,
    }
}

/// Ends a computation when it asks for the `limit`-th time, and counts how often it asked.
fn ending_at(limit: usize) -> (Stop, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    (Stop::when(move || count.fetch_add(1, Ordering::Relaxed) + 1 >= limit), asked)
}

/// Name, estimator, target, features, options, and how often a whole fit asks at least: per tree
/// and level, per sweep, step of rows, or epoch.
type Job<'a> = (&'a str, Algorithm, &'a str, &'a [&'a str], Vec<(&'a str, OptionValue)>, usize);

#[test]
fn every_estimator_asks_often_and_ends_at_once() {
    let batches = [table(60_000)];
    let rows = Rows { batches: &batches };
    let int = OptionValue::Int;
    let jobs: [Job<'_>; 7] = [
        ("regression", Algorithm::Gbt, "y", &["a", "b", "u"], vec![("n_estimators", int(10))], 60),
        ("classes", Algorithm::Gbt, "c", &["a", "b"], vec![("n_estimators", int(4))], 60),
        ("least squares", Algorithm::Linear, "y", &["a", "b", "u"], vec![], 100),
        (
            "lasso",
            Algorithm::Linear,
            "y",
            &["a", "b", "u"],
            vec![("penalty", OptionValue::Text("l1".into())), ("alpha", OptionValue::Float(0.01))],
            3,
        ),
        ("two classes", Algorithm::Logistic, "c", &["a", "b"], vec![], 10),
        ("many columns", Algorithm::Logistic, "u", &["a", "i"], vec![("max_iter", int(1))], 100),
        ("ratings", Algorithm::Svd, "y", &["u", "i"], vec![("n_epochs", int(5))], 20),
    ];
    for (name, algorithm, target, features, options, least) in jobs {
        let (never, asked) = ending_at(usize::MAX);
        let whole = spec(algorithm, target, features, &options, never);
        // A factorisation of such numbers diverges; the epochs are run all the same.
        if let Err(error) = model::train(&whole, rows) {
            assert_eq!(algorithm, Algorithm::Svd, "{name}: {error}");
        }
        let total = asked.load(Ordering::Relaxed);
        assert!(total >= least, "{name}: asked {total} times");
        for limit in [1, 2, total / 3, total / 2, total - 1, total] {
            let limit = limit.max(1);
            let (stop, asked) = ending_at(limit);
            let error =
                model::train(&spec(algorithm, target, features, &options, stop), rows).unwrap_err();
            assert!(matches!(error, MlError::Stopped), "{name} at {limit} of {total}: {error}");
            let after = asked.load(Ordering::Relaxed) - limit;
            // Each part of a few sums asks once more.
            assert!(after <= 64, "{name} at {limit} of {total}: asked {after} times more");
        }
    }
}

#[test]
fn ordering_and_scoring_rows_end_too() {
    let batch = table(60_000);
    let (stop, _) = ending_at(5);
    let error = split::canonical_order(std::slice::from_ref(&batch), &stop).unwrap_err();
    assert!(matches!(error, MlError::Stopped));

    let fitted = model::train(
        &spec(Algorithm::Linear, "y", &["a", "b"], &[], Stop::default()),
        Rows { batches: std::slice::from_ref(&batch) },
    )
    .unwrap();
    let columns = [batch.column(0).clone(), batch.column(1).clone()];
    let (stop, _) = ending_at(2);
    assert!(matches!(model::predict_all(fitted.as_ref(), &columns, &stop), Err(MlError::Stopped)));
    let all = model::predict_all(fitted.as_ref(), &columns, &Stop::default()).unwrap();
    assert_eq!(&all, &fitted.predict(&columns).unwrap());
}
