#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::Float64Type;

use super::GbtModel;
use crate::{Algorithm, MlError, Model, OptionValue, Rows, Task, TrainSpec};

fn spec(features: &[&str], options: &[(&str, OptionValue)], threads: usize) -> TrainSpec {
    TrainSpec {
        algorithm: Algorithm::Gbt,
        target: "y".into(),
        features: features.iter().map(|f| (*f).into()).collect(),
        options: options.iter().map(|(k, v)| ((*k).into(), v.clone())).collect(),
        threads,
        stop: Default::default(),
    }
}

fn int(i: i64) -> OptionValue {
    OptionValue::Int(i)
}

fn train(spec: &TrainSpec, batch: RecordBatch) -> Result<GbtModel, MlError> {
    super::train(spec, Rows { batches: &[batch] })
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

fn floats(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

fn values(array: &ArrayRef) -> Vec<f64> {
    array.as_primitive::<Float64Type>().values().to_vec()
}

/// Mixed columns with gaps, enough rows for several work chunks.
fn mixed(n: usize) -> (RecordBatch, Vec<ArrayRef>) {
    let noise = |i: usize, k: u64| {
        let mut x = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (k << 17);
        x ^= x >> 31;
        x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((x >> 40) as f64) / f64::from(1u32 << 24)
    };
    let a: ArrayRef =
        Arc::new(Float64Array::from_iter((0..n).map(|i| (i % 7 != 0).then(|| noise(i, 1)))));
    let b = floats((0..n).map(|i| noise(i, 2)));
    let few: ArrayRef = Arc::new(StringArray::from_iter(
        (0..n).map(|i| (i % 11 != 0).then(|| ["x", "y", "z"][(noise(i, 3) * 3.0) as usize])),
    ));
    let many: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..n).map(|i| format!("k{:03}", (noise(i, 4) * 300.0) as usize)),
    ));
    let y = floats((0..n).map(|i| {
        let wave = if i % 7 != 0 { noise(i, 1) * 3.0 } else { 1.0 };
        wave + noise(i, 2) + (noise(i, 4) * 10.0).floor() % 3.0 + noise(i, 5) * 0.1
    }));
    let features = vec![a.clone(), b.clone(), few.clone(), many.clone()];
    (batch(vec![("a", a), ("b", b), ("few", few), ("many", many), ("y", y)]), features)
}

const MIXED: [&str; 4] = ["a", "b", "few", "many"];

#[test]
fn one_stump_is_what_the_formula_says() {
    let x = floats([1.0, 2.0, 3.0, 4.0]);
    let y = floats([0.0, 0.0, 10.0, 10.0]);
    let options = [("n_estimators", int(1)), ("max_depth", int(1))];
    let model = train(&spec(&["x"], &options, 1), batch(vec![("x", x.clone()), ("y", y)])).unwrap();
    // Mean 5; left: -(2 * 5) / (2 + 1) * 0.3 = -1.
    assert_eq!(values(&model.predict(&[x]).unwrap()), [4.0, 4.0, 6.0, 6.0]);
    let tree = &model.forest().trees[0];
    assert_eq!((tree.value[0], tree.len()), (3.0, 3));
    assert_eq!(model.importance(), vec![1.0]);
}

#[test]
fn missing_values_find_their_side() {
    let x: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(2.0), None, None]));
    let y = floats([0.0, 10.0, 10.0, 10.0]);
    let options = [("n_estimators", int(50)), ("max_depth", int(2))];
    let model = train(&spec(&["x"], &options, 1), batch(vec![("x", x.clone()), ("y", y)])).unwrap();
    let p = values(&model.predict(&[x]).unwrap());
    assert!(p[0] < 1.0 && p[2] > 9.0, "{p:?}");
}

#[test]
fn one_and_two_threads_give_the_same_bytes() {
    let (rows, columns) = mixed(70_000);
    let options = [
        ("n_estimators", int(5)),
        ("subsample", OptionValue::Float(0.8)),
        ("colsample_bytree", OptionValue::Float(0.8)),
        ("seed", int(7)),
    ];
    let one = train(&spec(&MIXED, &options, 1), rows.clone()).unwrap();
    let two = train(&spec(&MIXED, &options, 2), rows).unwrap();
    assert_eq!(one.to_bytes().unwrap(), two.to_bytes().unwrap());
    assert_eq!(one.raw(&columns).unwrap(), two.raw(&columns).unwrap());
}

#[test]
fn batches_do_not_change_the_model() {
    let (rows, _) = mixed(1000);
    let s = spec(&MIXED, &[("n_estimators", int(3))], 1);
    let whole = train(&s, rows.clone()).unwrap();
    let parts = [rows.slice(0, 300), rows.slice(300, 0), rows.slice(300, 700)];
    let split = super::train(&s, Rows { batches: &parts }).unwrap();
    assert_eq!(whole.to_bytes().unwrap(), split.to_bytes().unwrap());
}

#[test]
fn a_model_comes_back_from_its_file() {
    let (rows, columns) = mixed(3000);
    for depth in [1, 6, 11] {
        let s = spec(&MIXED, &[("n_estimators", int(5)), ("max_depth", int(depth))], 2);
        let model = train(&s, rows.clone()).unwrap();
        let bytes = model.to_bytes().unwrap();
        let back = GbtModel::from_bytes(&bytes).unwrap();
        assert_eq!(back.signature(), model.signature());
        assert_eq!(back.raw(&columns).unwrap(), model.raw(&columns).unwrap());
        assert_eq!(back.to_bytes().unwrap(), bytes);
        let ubj = crate::formats::xgboost_schema::write_ubj(back.forest());
        let foreign = GbtModel::from_xgboost(&ubj, None, &dictionaries(&model), None).unwrap();
        assert_eq!(foreign.raw(&columns).unwrap(), model.raw(&columns).unwrap());
    }
}

fn dictionaries(model: &GbtModel) -> BTreeMap<String, Vec<String>> {
    model
        .signature()
        .features
        .iter()
        .filter_map(|f| match &f.kind {
            crate::FeatureKind::Categorical { categories } => {
                Some((f.name.clone(), categories.clone()))
            }
            crate::FeatureKind::Numeric => None,
        })
        .collect()
}

#[test]
fn one_row_scores_as_in_a_block_and_unseen_is_missing() {
    let (rows, columns) = mixed(500);
    let model = train(&spec(&MIXED, &[("n_estimators", int(5))], 1), rows).unwrap();
    let all = values(&model.predict(&columns).unwrap());
    for i in [0, 127, 128, 499] {
        let row: Vec<ArrayRef> = columns.iter().map(|c| c.slice(i, 1)).collect();
        assert_eq!(values(&model.predict(&row).unwrap())[0], all[i]);
    }
    let mut unseen: Vec<ArrayRef> = columns.iter().map(|c| c.slice(1, 1)).collect();
    let mut null = unseen.clone();
    unseen[3] = Arc::new(StringArray::from(vec!["never seen"]));
    null[3] = Arc::new(StringArray::from(vec![None::<&str>]));
    assert_eq!(values(&model.predict(&unseen).unwrap()), values(&model.predict(&null).unwrap()));
}

#[test]
fn classes_come_from_text_and_booleans() {
    let x = floats((0..60).map(f64::from));
    let text: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..60).map(|i| ["low", "mid", "high"][i / 20])));
    let s = spec(&["x"], &[("n_estimators", int(20))], 1);
    let model = train(&s, batch(vec![("x", x.clone()), ("y", text)])).unwrap();
    assert_eq!(model.signature().task, Task::Multiclass);
    assert_eq!(model.signature().classes, ["high", "low", "mid"]);
    let codes = values(&model.predict(std::slice::from_ref(&x)).unwrap());
    assert_eq!((codes[0], codes[30], codes[59]), (1.0, 2.0, 0.0));
    let p = model.predict_proba(std::slice::from_ref(&x)).unwrap();
    let sum: f64 = p.iter().map(|c| values(c)[5]).sum();
    assert!((sum - 1.0).abs() < 1e-6);

    let flags: ArrayRef = Arc::new(BooleanArray::from_iter((0..60).map(|i| Some(i >= 30))));
    let model = train(&s, batch(vec![("x", x.clone()), ("y", flags)])).unwrap();
    assert_eq!(model.signature().classes, ["false", "true"]);
    assert!(values(&model.predict_proba(&[x]).unwrap()[1])[59] > 0.9);
}

#[test]
fn numbers_are_classes_when_asked() {
    let x = floats((0..20).map(f64::from));
    let y: ArrayRef = Arc::new(Int64Array::from_iter_values((0..20).map(|i| i64::from(i > 9))));
    let rows = batch(vec![("x", x), ("y", y)]);
    let plain = train(&spec(&["x"], &[], 1), rows.clone()).unwrap();
    assert_eq!(plain.signature().task, Task::Regression);
    let options = [("task", OptionValue::Text("binary".into()))];
    let model = train(&spec(&["x"], &options, 1), rows).unwrap();
    assert_eq!(model.signature().task, Task::Binary);
    assert_eq!(model.signature().classes, ["0", "1"]);
}

#[test]
fn a_monotone_model_never_falls() {
    let x = floats((0..200).map(f64::from));
    let y = floats((0..200).map(|i| f64::from(i) + if i % 3 == 0 { 60.0 } else { 0.0 }));
    let options = [("monotone_constraints", OptionValue::List(vec![int(1)]))];
    let model = train(&spec(&["x"], &options, 1), batch(vec![("x", x.clone()), ("y", y)])).unwrap();
    let p = values(&model.predict(&[x]).unwrap());
    assert!(p.windows(2).all(|w| w[0] <= w[1]));
}

#[test]
fn early_stopping_ends_and_says_where() {
    let (rows, _) = mixed(2000);
    let options = [("n_estimators", int(2000)), ("early_stopping_rounds", int(5))];
    let model = train(&spec(&MIXED, &options, 2), rows).unwrap();
    let best: usize = model.forest().attributes["best_iteration"].parse().unwrap();
    assert_eq!(model.forest().trees.len(), best + 1);
    assert!(best < 1999);
}

#[test]
fn weights_stand_for_repeated_rows() {
    let x = floats([1.0, 2.0, 3.0]);
    let y = floats([1.0, 5.0, 2.0]);
    let w = floats([1.0, 3.0, 2.0]);
    let weighted = train(
        &spec(&["x"], &[("sample_weight", OptionValue::Text("w".into()))], 1),
        batch(vec![("x", x.clone()), ("y", y), ("w", w)]),
    )
    .unwrap();
    let repeated = train(
        &spec(&["x"], &[], 1),
        batch(vec![
            ("x", floats([1.0, 2.0, 2.0, 2.0, 3.0, 3.0])),
            ("y", floats([1.0, 5.0, 5.0, 5.0, 2.0, 2.0])),
        ]),
    )
    .unwrap();
    let a = values(&weighted.predict(std::slice::from_ref(&x)).unwrap());
    let b = values(&repeated.predict(&[x]).unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
}

#[test]
fn unusable_rows_are_told() {
    let x = floats([1.0, 2.0]);
    let tell = |y: ArrayRef| {
        train(&spec(&["x"], &[], 1), batch(vec![("x", x.clone()), ("y", y)]))
            .unwrap_err()
            .to_string()
    };
    assert!(tell(Arc::new(Float64Array::from(vec![Some(1.0), None]))).contains("NULL in 1 of 2"));
    assert!(tell(Arc::new(StringArray::from(vec!["a", "a"]))).contains("two classes"));
    assert!(tell(floats([f64::NAN, 1.0])).contains("finite"));
    let empty = batch(vec![("x", floats([])), ("y", floats([]))]);
    let e = train(&spec(&["x"], &[], 1), empty).unwrap_err();
    assert!(e.to_string().contains("no rows"));
    let e = train(&spec(&["z"], &[], 1), batch(vec![("x", x.clone()), ("y", x.clone())]));
    assert!(e.unwrap_err().to_string().contains("feature column z"));
    assert!(
        train(&spec(&["x"], &[], 1), batch(vec![("x", floats([1e300, 1.0])), ("y", x.clone())]))
            .unwrap_err()
            .to_string()
            .contains("too large")
    );
}

#[test]
fn damaged_files_are_errors() {
    let (rows, _) = mixed(200);
    let options = [("n_estimators", int(2)), ("max_depth", int(2))];
    let bytes = train(&spec(&MIXED, &options, 1), rows).unwrap().to_bytes().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    for end in (0..bytes.len()).step_by(7) {
        assert!(GbtModel::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
    }
    let damage = [
        ("\"left_children\":[1", "\"left_children\":[0"),
        ("\"left_children\":[1", "\"left_children\":[9999"),
        ("\"tree_info\":[0", "\"tree_info\":[5"),
        ("\"name\":\"gbtree\"", "\"name\":\"gblinear\""),
        ("\"version\":[3", "\"version\":[9"),
        ("reg:squarederror", "survival:aft"),
        ("\"num_class\":\"0\",\"num_feature\":\"4\"", "\"num_class\":\"0\",\"num_feature\":\"1\""),
        ("\"split_type\":[", "\"split_type\":[7,"),
        ("\"base_score\":\"[", "\"base_score\":\"[x"),
    ];
    for (from, to) in damage {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from}");
        let result = GbtModel::from_bytes(broken.as_bytes());
        assert!(result.is_err(), "{from} -> {to}");
    }
}

#[test]
fn changed_bytes_never_crash() {
    let (rows, columns) = mixed(200);
    let options = [("n_estimators", int(2)), ("max_depth", int(3))];
    let model = train(&spec(&MIXED, &options, 1), rows).unwrap();
    let row: Vec<ArrayRef> = columns.iter().map(|c| c.slice(0, 2)).collect();
    let json = model.to_bytes().unwrap();
    let ubj = crate::formats::xgboost_schema::write_ubj(model.forest());
    let mut loaded = 0;
    for file in [json, ubj] {
        for i in 0..3000usize {
            let mut bytes = file.clone();
            let at = i.wrapping_mul(2_654_435_761) % bytes.len();
            bytes[at] = b"0912-,[]{}:\"eL\xff\x00"[i % 16];
            // Either it is refused, or it scores: both are fine, a crash is not.
            if let Ok(changed) = GbtModel::from_xgboost(&bytes, None, &dictionaries(&model), None) {
                let _ = changed.predict(&row);
                let _ = changed.to_bytes();
                loaded += 1;
            }
        }
    }
    assert!(loaded > 0 && loaded < 6000);
}
