//! The registry over a real catalog and real models.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringViewArray,
};
use arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use frazil_catalog::Catalog;
use frazil_catalog::account::{AccountStore, Model, ModelVersionBody, Object, Place};
use frazil_common::{Code, Principal, SqlType, UserError};
use frazil_lake::ObjectFolder;
use frazil_ml::{Algorithm, OptionValue, Rows, Stop, TrainSpec};
use frazil_models::{
    Baseline, LoadedModel, Method, ModelsError, NewModel, NewVersion, PREDICTION, Registry, drift,
    find_version, training_statistics,
};
use parquet_variant::Variant;
use serde_json::{Value, json};

struct Fixture {
    folder: tempfile::TempDir,
    registry: Registry,
    actor: Principal,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.sqlite")).await.unwrap();
    let account = AccountStore::open(catalog).await.unwrap();
    let registry =
        Registry::new(account, ObjectFolder::local(&folder.path().join("models")).unwrap());
    let actor = Principal { user: "ANN".to_string(), role: "SYSADMIN".to_string() };
    Fixture { folder, registry, actor }
}

/// 300 rows; LATE is Y where X > 0.5 or the carrier is 'bad', missing X among them.
fn flights(shift: f64) -> RecordBatch {
    let x = |i: i32| (i % 17 != 0).then(|| f64::from(i % 100) / 100.0 + shift);
    let carrier = |i: i32| ["good", "bad", "fair"][(i % 3) as usize];
    let late = |i: i32| if x(i).unwrap_or(0.0) > 0.5 || i % 3 == 1 { "Y" } else { "N" };
    RecordBatch::try_from_iter([
        ("X", Arc::new(Float64Array::from_iter((0..300).map(x))) as ArrayRef),
        ("CARRIER", Arc::new(StringViewArray::from_iter_values((0..300).map(carrier))) as ArrayRef),
        ("LATE", Arc::new(StringViewArray::from_iter_values((0..300).map(late))) as ArrayRef),
    ])
    .unwrap()
}

fn gbt(trees: i64) -> Box<dyn frazil_ml::Model> {
    let batch = flights(0.0);
    let spec = TrainSpec {
        algorithm: Algorithm::Gbt,
        target: "LATE".to_string(),
        features: vec!["X".to_string(), "CARRIER".to_string()],
        options: BTreeMap::from([
            ("n_estimators".to_string(), OptionValue::Int(trees)),
            ("max_depth".to_string(), OptionValue::Int(3)),
        ]),
        threads: 1,
        stop: Default::default(),
    };
    frazil_ml::model::train(&spec, Rows { batches: std::slice::from_ref(&batch) }).unwrap()
}

fn svd() -> Box<dyn frazil_ml::Model> {
    let text = |f: fn(i32) -> i32| -> ArrayRef {
        Arc::new(StringViewArray::from_iter_values((0..60).map(|i| f(i).to_string())))
    };
    let batch = RecordBatch::try_from_iter([
        ("U", text(|i| i / 6)),
        ("I", text(|i| (i % 6) + (i / 6) % 3)),
        (
            "R",
            Arc::new(Float64Array::from_iter_values((0..60).map(|i| f64::from(1 + i % 5))))
                as ArrayRef,
        ),
    ])
    .unwrap();
    let spec = TrainSpec {
        algorithm: Algorithm::Svd,
        target: "R".to_string(),
        features: vec!["U".to_string(), "I".to_string()],
        options: BTreeMap::from([("n_factors".to_string(), OptionValue::Int(2))]),
        threads: 1,
        stop: Default::default(),
    };
    frazil_ml::model::train(&spec, Rows { batches: std::slice::from_ref(&batch) }).unwrap()
}

fn version(model: Box<dyn frazil_ml::Model>) -> NewVersion {
    NewVersion { name: None, comment: None, model, body: ModelVersionBody::default() }
}

fn new_model(name: &str, replace: bool) -> NewModel {
    NewModel {
        name: name.to_string(),
        place: Place::in_schema(1, 2),
        comment: Some("late flights".to_string()),
        replace,
    }
}

fn user_error(error: ModelsError) -> UserError {
    UserError::from(error)
}

impl Fixture {
    async fn create(&self, trees: i64) -> Object<Model> {
        self.registry
            .create_model(new_model("LATE", false), version(gbt(trees)), &self.actor)
            .await
            .unwrap()
            .0
    }

    async fn reload(&self) -> Object<Model> {
        self.registry.model(2, "LATE").await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn versions_aliases_and_the_default() {
    let f = fixture().await;
    let model = f.create(3).await;
    assert_eq!(model.owner.as_deref(), Some("SYSADMIN"));
    let first = f.registry.version(&model, None).await.unwrap();
    assert_eq!((first.name.as_str(), first.body.algorithm.as_str()), ("V1", "GBT"));
    assert_eq!(first.body.features, ["X", "CARRIER"]);
    assert_eq!(first.body.created_by, "ANN");
    let importance = first.body.importance.as_object().unwrap();
    let total: f64 = importance.values().map(|share| share.as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-6, "{importance:?}");

    let clash = f
        .registry
        .create_model(new_model("LATE", false), version(gbt(2)), &f.actor)
        .await
        .unwrap_err();
    assert_eq!(user_error(clash).code.number(), 2002);

    let second = f.registry.add_version(model.id, version(gbt(5)), &f.actor).await.unwrap();
    assert_eq!(second.name, "V2");
    let model = f.reload().await;
    assert_eq!(model.body.default_version, "V1");
    f.registry.set_alias(model.id, "CHAMPION", Some("V1"), &f.actor).await.unwrap();
    f.registry.set_alias(model.id, "CHAMPION", Some("LAST"), &f.actor).await.unwrap();
    f.registry.set_default_version(model.id, "CHAMPION", &f.actor).await.unwrap();
    let model = f.reload().await;
    let versions = f.registry.versions(model.id).await.unwrap();
    for (name, expected) in [
        (None, "V2"),
        (Some("DEFAULT"), "V2"),
        (Some("FIRST"), "V1"),
        (Some("LAST"), "V2"),
        (Some("V1"), "V1"),
        (Some("CHAMPION"), "V2"),
    ] {
        assert_eq!(find_version(&model, &versions, name).unwrap().name, expected, "{name:?}");
    }
    let missing = find_version(&model, &versions, Some("V9")).unwrap_err();
    assert_eq!(user_error(missing).code, Code::ObjectNotFound);

    for (alias, to) in [("V1", Some("V2")), ("LAST", Some("V2")), ("NOPE", None)] {
        assert!(f.registry.set_alias(model.id, alias, to, &f.actor).await.is_err(), "{alias}");
    }
    let named = NewVersion { name: Some("CHAMPION".to_string()), ..version(gbt(2)) };
    assert!(f.registry.add_version(model.id, named, &f.actor).await.is_err());
    let refused = f.registry.drop_version(model.id, "V2", &f.actor).await.unwrap_err();
    assert!(refused.to_string().contains("default version"), "{refused}");
    f.registry.set_alias(model.id, "CHAMPION", None, &f.actor).await.unwrap();
    f.registry.drop_version(model.id, "V1", &f.actor).await.unwrap();

    let history: Vec<(String, Option<String>, Option<String>)> = f
        .registry
        .history(model.id)
        .await
        .unwrap()
        .into_iter()
        .map(|change| (change.what, change.from_version, change.to_version))
        .collect();
    let v = |name: &str| Some(name.to_string());
    assert_eq!(
        history,
        [
            ("VERSION ADDED".to_string(), None, v("V1")),
            ("VERSION ADDED".to_string(), None, v("V2")),
            ("ALIAS SET".to_string(), None, v("V1")),
            ("ALIAS SET".to_string(), v("V1"), v("V2")),
            ("DEFAULT_VERSION SET".to_string(), v("V1"), v("V2")),
            ("ALIAS UNSET".to_string(), v("V2"), None),
            ("VERSION DROPPED".to_string(), v("V1"), None),
        ]
    );
}

#[tokio::test]
async fn files_are_shared_checked_and_removed() {
    let f = fixture().await;
    let model = f.create(3).await;
    f.registry.add_version(model.id, version(gbt(3)), &f.actor).await.unwrap();
    let versions = f.registry.versions(model.id).await.unwrap();
    assert_eq!(versions[0].file_sha256, versions[1].file_sha256, "training is deterministic");
    f.registry.drop_version(model.id, "V2", &f.actor).await.unwrap();
    // The file is still V1's.
    let loaded = f.registry.load(&versions[0]).await.unwrap();
    assert_eq!(loaded.digest(), versions[0].file_sha256);
    assert!(Arc::ptr_eq(&loaded, &f.registry.load(&versions[0]).await.unwrap()));

    let path = f.folder.path().join("models").join(&versions[0].body.file_path);
    let mut bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes, f.registry.file(&versions[0]).await.unwrap());
    bytes[10] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(f.registry.file(&versions[0]).await.unwrap_err(), ModelsError::Digest { .. }));

    // The same bytes heal the file.
    f.registry.add_version(model.id, version(gbt(3)), &f.actor).await.unwrap();
    f.registry.file(&versions[0]).await.unwrap();

    std::fs::write(path.with_file_name("unused.ubj"), b"x").unwrap();
    std::fs::write(path.with_file_name("broken-off.ubj#1"), b"x").unwrap();
    assert_eq!(f.registry.unused_files().await.unwrap().len(), 1);
    assert_eq!(f.registry.reap_unfinished().await.unwrap(), 1);
    f.registry.clean().await.unwrap();
    assert!(f.registry.unused_files().await.unwrap().is_empty() && path.exists());
    f.registry.drop_model(&model).await.unwrap();
    assert!(!path.exists());
    assert_eq!(f.registry.model(2, "LATE").await.unwrap(), None);
}

#[tokio::test]
async fn unused_files_are_set_aside_and_missed_ones_put_back() {
    let f = fixture().await;
    f.create(3).await;
    let model = f.registry.model(2, "LATE").await.unwrap().unwrap();
    let version = f.registry.versions(model.id).await.unwrap().remove(0);
    let path = f.folder.path().join("models").join(&version.body.file_path);
    let aside =
        |batch: &str, name: &str| f.folder.path().join("models/quarantine").join(batch).join(name);
    std::fs::write(path.with_file_name("orphan.ubj"), b"x").unwrap();
    assert_eq!(f.registry.quarantine_unused("b1").await.unwrap(), (0, 1));
    assert_eq!(std::fs::read(aside("b1", "orphan.ubj")).unwrap(), b"x");
    assert!(f.registry.unused_files().await.unwrap().is_empty());

    // The catalog lost the version when its file was set aside, and has it again.
    let name = path.file_name().unwrap().to_str().unwrap();
    std::fs::rename(&path, aside("b1", name)).unwrap();
    assert_eq!(f.registry.quarantine_unused("b2").await.unwrap(), (1, 0));
    assert!(path.exists());
    f.registry.file(&version).await.unwrap();

    assert_eq!(f.registry.purge_quarantine(|batch| batch < "b1").await.unwrap(), 0);
    assert_eq!(f.registry.purge_quarantine(|batch| batch < "b2").await.unwrap(), 1);
    assert!(!aside("b1", "orphan.ubj").exists() && path.exists());
}

#[tokio::test]
async fn replacing_drops_the_old_versions() {
    let f = fixture().await;
    let old = f.create(3).await;
    let (new, version_1) =
        f.registry.create_model(new_model("LATE", true), version(gbt(4)), &f.actor).await.unwrap();
    assert!(new.id > old.id);
    assert_eq!(version_1.name, "V1");
    assert!(f.registry.versions(old.id).await.unwrap().is_empty());
    assert!(f.registry.unused_files().await.unwrap().is_empty());
}

fn call(
    model: &Arc<LoadedModel>,
    method: Method,
    args: Vec<ColumnarValue>,
    rows: usize,
) -> ArrayRef {
    let methods = model.methods(&Stop::default());
    let method = methods.iter().find(|m| m.method == method).unwrap();
    let arg_fields =
        args.iter().map(|arg| Arc::new(Field::new("a", arg.data_type(), true))).collect();
    let value = method
        .udf
        .invoke_with_args(ScalarFunctionArgs {
            args,
            arg_fields,
            number_rows: rows,
            return_field: Arc::new(Field::new("r", method.returns.to_arrow(), true)),
            config_options: Arc::new(ConfigOptions::default()),
        })
        .unwrap();
    let array = value.to_array(rows).unwrap();
    assert_eq!(array.data_type(), &method.returns.to_arrow());
    assert_eq!(array.len(), rows);
    array
}

fn variant(array: &ArrayRef, row: usize) -> Variant<'_, '_> {
    let array = array.as_struct();
    let part = |at: usize| array.column(at).as_binary_view();
    Variant::new(part(0).value(row), part(1).value(row))
}

#[tokio::test]
async fn scoring_in_sql_answers_what_the_model_answers() {
    let model = Arc::new(LoadedModel::new("d1", gbt(10), None).unwrap());
    let batch = flights(0.0);
    let columns = vec![batch.column(0).clone(), batch.column(1).clone()];
    let args: Vec<ColumnarValue> = columns.iter().cloned().map(ColumnarValue::Array).collect();
    let codes = model.model().predict(&columns).unwrap();
    let codes = codes.as_primitive::<Float64Type>();
    let classes = &model.signature().classes;
    assert_eq!(classes, &["N", "Y"]);

    let labels = call(&model, Method::Predict, args.clone(), 300);
    let labels = labels.as_string_view();
    let truth = batch.column(2).as_string_view();
    for row in 0..300 {
        assert_eq!(labels.value(row), classes[codes.value(row) as usize]);
    }
    let right = (0..300).filter(|row| labels.value(*row) == truth.value(*row)).count();
    assert!(right >= 290, "{right} of 300");

    let probabilities = model.model().predict_proba(&columns).unwrap();
    let objects = call(&model, Method::PredictProba, args, 300);
    for row in 0..300 {
        let variant = variant(&objects, row);
        let object = variant.as_object().unwrap();
        assert_eq!(object.len(), 2);
        for (class, column) in classes.iter().zip(&probabilities) {
            let expected = column.as_primitive::<Float64Type>().value(row);
            assert_eq!(object.get(class), Some(Variant::Double(expected)));
        }
    }

    // A constant argument counts for every row, and other numbers are cast.
    let mixed = vec![
        ColumnarValue::Array(Arc::new(Int64Array::from(vec![Some(0), Some(1), None]))),
        ColumnarValue::Scalar(ScalarValue::Utf8View(Some("fair".to_string()))),
    ];
    let labels = call(&model, Method::Predict, mixed, 3);
    assert_eq!(labels.as_string_view().value(0), "N");
    assert_eq!(labels.as_string_view().value(1), "Y");
}

#[tokio::test]
async fn methods_belong_to_tasks_and_functions_to_files() {
    let classifier = Arc::new(LoadedModel::new("d1", gbt(2), None).unwrap());
    let names = |model: &Arc<LoadedModel>| -> Vec<(Method, SqlType)> {
        model.methods(&Stop::default()).into_iter().map(|m| (m.method, m.returns)).collect()
    };
    assert_eq!(
        names(&classifier),
        [(Method::Predict, SqlType::TEXT), (Method::PredictProba, SqlType::Object)]
    );
    let recommender = Arc::new(LoadedModel::new("d2", svd(), None).unwrap());
    assert_eq!(
        names(&recommender),
        [(Method::Predict, SqlType::Float), (Method::Recommend, SqlType::Array)]
    );
    let udf = |model: &Arc<LoadedModel>| model.methods(&Stop::default())[0].udf.clone();
    assert_eq!(udf(&classifier), udf(&classifier));
    assert_ne!(udf(&classifier), udf(&Arc::new(LoadedModel::new("d3", gbt(2), None).unwrap())));
    assert_eq!(
        classifier.features().iter().map(|f| f.sql_type.to_arrow()).collect::<Vec<_>>(),
        [DataType::Float64, DataType::Utf8View]
    );
    let error = classifier.score(Method::Recommend, &[], 0, &Stop::default()).unwrap_err();
    assert_eq!(user_error(error).code, Code::UnknownFunction);
}

#[tokio::test]
async fn labels_have_the_type_of_the_target() {
    let target = |values: ArrayRef| {
        let batch = flights(0.0);
        RecordBatch::try_from_iter([("X", batch.column(0).clone()), ("T", values)]).unwrap()
    };
    let trained = |values: ArrayRef, algorithm: Algorithm| {
        let mut options = BTreeMap::new();
        if algorithm == Algorithm::Gbt {
            options.insert("task".to_string(), OptionValue::Text("multiclass".to_string()));
            options.insert("n_estimators".to_string(), OptionValue::Int(2));
        }
        let spec = TrainSpec {
            algorithm,
            target: "T".to_string(),
            features: vec!["X".to_string()],
            options,
            threads: 1,
            stop: Stop::default(),
        };
        frazil_ml::model::train(&spec, Rows { batches: &[target(values)] }).unwrap()
    };
    let tens = Decimal128Array::from_iter_values((0..300).map(|i| i % 3 * 10));

    let cases: [(ArrayRef, SqlType, &[&str], [Value; 3]); 4] = [
        (
            Arc::new(BooleanArray::from_iter((0..300).map(|i| Some(i % 3 == 1)))),
            SqlType::Boolean,
            &["false", "true"],
            [json!(false), json!(true), json!(true)],
        ),
        (
            Arc::new(Int64Array::from_iter_values((0..300).map(|i| i % 3 * 10 - 10))),
            SqlType::Number { precision: 18, scale: 0 },
            &["-10", "0", "10"],
            [json!(-10), json!(0), json!(10)],
        ),
        (
            Arc::new(tens.with_precision_and_scale(3, 1).unwrap()),
            SqlType::Number { precision: 3, scale: 1 },
            &["0.0", "1.0", "2.0"],
            [json!(0.0), json!(1.0), json!(2.0)],
        ),
        (
            Arc::new(Float64Array::from_iter_values((0..300).map(|i| f64::from(i % 3) / 2.0))),
            SqlType::Float,
            &["0", "0.5", "1"],
            [json!(0), json!(0.5), json!(1)],
        ),
    ];
    for (values, sql_type, classes, expected) in cases {
        for algorithm in [Algorithm::Gbt, Algorithm::Logistic] {
            let model = trained(values.clone(), algorithm);
            assert_eq!(model.signature().classes, classes, "{algorithm:?} {sql_type}");
            let loaded = Arc::new(LoadedModel::new("d", model, Some(sql_type.clone())).unwrap());
            let method = &loaded.methods(&Stop::default())[0];
            assert_eq!(method.returns, sql_type);
            let x: ArrayRef = Arc::new(Float64Array::from_iter_values([0.1, 0.5, 0.9]));
            let answers = loaded
                .score(Method::Predict, std::slice::from_ref(&x), 3, &Stop::default())
                .unwrap();
            assert_eq!(answers.data_type(), &sql_type.to_arrow());
            // Every answer is a value the target has, and JSON has the same one.
            let codes = loaded.model().predict(&[x]).unwrap();
            let codes = codes.as_primitive::<Float64Type>();
            let rows: Vec<Vec<Value>> = [0.1, 0.5, 0.9].map(|x| vec![json!(x)]).to_vec();
            let json = loaded.score_rows(Method::Predict, &["X".to_string()], &rows).unwrap();
            for (row, json) in json.iter().enumerate() {
                let code = codes.value(row) as usize;
                let same = (0..300).find(|at| answers.slice(row, 1) == values.slice(*at, 1));
                assert!(same.is_some(), "{algorithm:?} {sql_type}");
                assert_eq!(json, &expected[code], "{algorithm:?} {sql_type}");
            }
        }
    }
    let error = LoadedModel::new("d", gbt(2), Some(SqlType::INTEGER)).unwrap_err();
    assert!(user_error(error).message.contains("Class 'N'"));
}

#[tokio::test]
async fn recommendations_are_arrays_of_items_and_scores() {
    let model = Arc::new(LoadedModel::new("d2", svd(), None).unwrap());
    let users = StringViewArray::from(vec![Some("0"), None, Some("new")]);
    let args = vec![
        ColumnarValue::Array(Arc::new(users)),
        ColumnarValue::Scalar(ScalarValue::Int64(Some(2))),
    ];
    let answer = call(&model, Method::Recommend, args, 3);
    assert!(answer.is_null(1) && answer.is_valid(0) && answer.is_valid(2));
    for (row, user) in [(0, "0"), (2, "new")] {
        let expected = model.model().recommend(user, 2).unwrap();
        let variant = variant(&answer, row);
        let list = variant.as_list().unwrap();
        assert_eq!(list.len(), expected.len());
        for (entry, (item, score)) in list.iter().zip(expected) {
            let entry = entry.as_object().unwrap().clone();
            assert_eq!(entry.get("item").unwrap().as_string(), Some(item.as_str()));
            assert_eq!(entry.get("score"), Some(Variant::Double(score)));
        }
    }
    let one: ArrayRef = Arc::new(StringViewArray::from(vec!["0"]));
    let negative: ArrayRef = Arc::new(Int64Array::from(vec![-1]));
    assert!(model.score(Method::Recommend, &[one, negative], 1, &Stop::default()).is_err());
}

#[tokio::test]
async fn rows_are_scored_as_in_sql() {
    let model = LoadedModel::new("d1", gbt(10), None).unwrap();
    let batch = flights(0.0);
    let (x, carrier) =
        (batch.column(0).as_primitive::<Float64Type>(), batch.column(1).as_string_view());
    let rows: Vec<Vec<Value>> = (0..300)
        .map(|row| {
            let x = if x.is_null(row) { Value::Null } else { json!(x.value(row)) };
            vec![json!(carrier.value(row)), json!("ignored"), x]
        })
        .collect();
    let columns = ["carrier", "extra", "x"].map(String::from);
    let answers = model.score_rows(Method::Predict, &columns, &rows).unwrap();
    let expected =
        model.score(Method::Predict, &batch.columns()[..2], 300, &Stop::default()).unwrap();
    let expected = expected.as_string_view();
    for (row, answer) in answers.iter().enumerate() {
        assert_eq!(answer, expected.value(row));
    }
    let probabilities = model.score_rows(Method::PredictProba, &columns, &rows[..1]).unwrap();
    let columns_of_classes = model.model().predict_proba(&batch.columns()[..2]).unwrap();
    let value = |class: usize| columns_of_classes[class].as_primitive::<Float64Type>().value(0);
    assert_eq!(probabilities, [json!({"N": value(0), "Y": value(1)})]);

    for (columns, row, words) in [
        (vec!["X"], vec![json!(1)], "Column 'CARRIER' is missing"),
        (vec!["X", "CARRIER"], vec![json!("much"), json!("bad")], "is not a number"),
        (vec!["X", "CARRIER"], vec![json!(1)], "Row 1 has 1 values for 2 columns"),
        (vec!["x", "X ", "Carrier", "cARRIER"], vec![json!(1); 4], "ambiguous"),
        (vec!["X", "CARRIER"], vec![json!(1), json!([1])], "is not a text"),
    ] {
        let columns: Vec<String> = columns.into_iter().map(String::from).collect();
        let error = model.score_rows(Method::Predict, &columns, &[row]).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    // Numbers may come as text, as from CSV.
    let columns = ["X", "CARRIER"].map(String::from);
    let text = model.score_rows(Method::Predict, &columns, &[vec![json!("0.9"), json!("good")]]);
    let number = model.score_rows(Method::Predict, &columns, &[vec![json!(0.9), json!("good")]]);
    assert_eq!(text.unwrap(), number.unwrap());
}

#[tokio::test]
async fn endpoints_follow_or_pin() {
    let f = fixture().await;
    let model = f.create(1).await;
    f.registry.add_version(model.id, version(gbt(20)), &f.actor).await.unwrap();
    let r = &f.registry;
    r.create_endpoint("E", &model, None, None, false, &f.actor).await.unwrap();
    let clash = r.create_endpoint("E", &model, None, None, false, &f.actor).await.unwrap_err();
    assert_eq!(user_error(clash).code, Code::ObjectExists);
    let serves = async || r.endpoint("E").await.unwrap().version.name.clone();
    assert_eq!(serves().await, "V1");
    assert!(Arc::ptr_eq(&r.endpoint("E").await.unwrap(), &r.endpoint("E").await.unwrap()));
    r.set_default_version(model.id, "V2", &f.actor).await.unwrap();
    assert_eq!(serves().await, "V2");
    r.set_endpoint_version("E", Some("FIRST")).await.unwrap();
    assert_eq!(serves().await, "V1");
    assert_eq!(r.find_endpoint("E").await.unwrap().unwrap().body.version.as_deref(), Some("V1"));
    assert!(r.set_endpoint_version("E", Some("V9")).await.is_err());
    assert_eq!(serves().await, "V1");
    assert!(r.drop_version(model.id, "V1", &f.actor).await.is_err(), "an endpoint serves it");
    assert!(r.drop_model(&model).await.is_err());
    r.set_endpoint_version("E", None).await.unwrap();
    assert_eq!(serves().await, "V2");
    r.alter_endpoint("E", |endpoint| endpoint.body.suspended = true).await.unwrap();
    assert!(r.endpoint("E").await.unwrap_err().to_string().contains("suspended"));
    assert!(r.drop_endpoint("E").await.unwrap());
    assert!(!r.drop_endpoint("E").await.unwrap());
    assert_eq!(user_error(r.endpoint("E").await.unwrap_err()).code, Code::ObjectNotFound);
    r.drop_model(&f.reload().await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_under_load_fails_nothing_and_mixes_nothing() {
    let f = fixture().await;
    let model = f.create(1).await;
    f.registry.add_version(model.id, version(gbt(20)), &f.actor).await.unwrap();
    f.registry.create_endpoint("E", &model, None, None, false, &f.actor).await.unwrap();
    let columns: Vec<String> = ["X", "CARRIER"].map(String::from).to_vec();
    let row = vec![vec![json!(0.7), json!("good")]];
    let mut expected = BTreeMap::new();
    for version in f.registry.versions(model.id).await.unwrap() {
        let loaded = f.registry.load(&version).await.unwrap();
        let answer = loaded.score_rows(Method::PredictProba, &columns, &row).unwrap();
        expected.insert(version.name, answer);
    }
    assert_ne!(expected["V1"], expected["V2"]);
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (registry, columns, row) = (f.registry.clone(), columns.clone(), row.clone());
            let expected = expected.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    let target = registry.endpoint("E").await.unwrap();
                    let answer =
                        target.loaded.score_rows(Method::PredictProba, &columns, &row).unwrap();
                    assert_eq!(answer, expected[&target.version.name]);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for turn in 0..10 {
        let version = if turn % 2 == 0 { "V2" } else { "V1" };
        f.registry.set_default_version(model.id, version, &f.actor).await.unwrap();
        assert_eq!(f.registry.endpoint("E").await.unwrap().version.name, version);
    }
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn drift_of_features_and_prediction() {
    let model = LoadedModel::new("d1", gbt(10), None).unwrap();
    let before = [flights(0.0)];
    let same = drift(&model, Baseline::Rows(&before), &before, &Stop::default()).unwrap();
    let value = |report: &frazil_models::DriftReport, feature: &str, metric: &str| {
        report
            .metrics
            .iter()
            .find(|m| m.feature == feature && m.metric == metric)
            .unwrap_or_else(|| panic!("no {metric} of {feature}"))
            .value
    };
    for feature in ["X", "CARRIER", PREDICTION] {
        assert_eq!(value(&same, feature, "psi"), Some(0.0), "{feature}");
    }
    assert_eq!(value(&same, "X", "ks_p_value"), Some(1.0));
    // Shifted by 1, every value of X is above all there were.
    let after = [flights(1.0).slice(0, 100), flights(1.0).slice(100, 200)];
    let moved = drift(&model, Baseline::Rows(&before), &after, &Stop::default()).unwrap();
    assert_eq!(value(&moved, "X", "ks_statistic"), Some(1.0));
    assert_eq!(value(&moved, "CARRIER", "psi"), Some(0.0));
    assert!(value(&moved, PREDICTION, "psi").unwrap() > 0.1);

    let sketch = training_statistics(&model, &before, &Stop::default()).unwrap();
    let stored = serde_json::to_value(&sketch).unwrap();
    let sketch: Vec<_> = serde_json::from_value(stored).unwrap();
    let sketched = drift(&model, Baseline::Statistics(&sketch), &after, &Stop::default()).unwrap();
    for feature in ["X", "CARRIER", PREDICTION] {
        assert_eq!(value(&sketched, feature, "psi"), value(&moved, feature, "psi"));
    }
    assert_eq!(value(&sketched, "X", "ks_statistic"), None);
    let batch = sketched.to_batch().unwrap();
    assert_eq!(batch.num_rows(), sketched.metrics.len());
    assert_eq!(batch.column(4).as_string_view().value(0), "TRAINING STATISTICS");

    let unnamed = after[0].project(&[0]).unwrap();
    let error = drift(&model, Baseline::Rows(&before), &[unnamed], &Stop::default()).unwrap_err();
    assert!(error.to_string().contains("Column 'CARRIER' is missing"), "{error}");
    assert!(drift(&model, Baseline::Rows(&before), &[], &Stop::default()).is_err());
}
