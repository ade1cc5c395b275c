//! Aggregates, windows and FLATTEN, run by the engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringViewArray,
};
use arrow::datatypes::{Field, Schema};
use datafusion::logical_expr::{Expr, col};
use datafusion::prelude::SessionContext;
use frazil_common::SqlType;
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::{
    AggregateCall, Facts, TypedExpr, WindowCall, aggregate, user_error, window,
};
use support::*;

const INT: SqlType = SqlType::Number { precision: 18, scale: 0 };
const MONEY: SqlType = SqlType::Number { precision: 12, scale: 2 };

/// k: group, i: integers, m: NUMBER(12,2), f: floats, s: text, o: order, t: booleans.
fn batch() -> RecordBatch {
    let k = StringViewArray::from(vec!["a", "a", "b", "a", "b", "b"]);
    let i = Int64Array::from(vec![Some(1), Some(2), Some(2), None, Some(4), Some(2)]);
    let m = Decimal128Array::from(vec![Some(100), Some(250), Some(105), None, Some(333), Some(1)])
        .with_precision_and_scale(12, 2)
        .unwrap();
    let f = Float64Array::from(vec![1.0, 2.0, 3.0, 4.0, 5.0, 9.0]);
    let s =
        StringViewArray::from(vec![Some("x"), Some("y"), Some("z"), None, Some("x"), Some("z")]);
    let o = Int64Array::from(vec![3, 1, 2, 6, 5, 4]);
    let t = BooleanArray::from(vec![true, false, true, false, true, true]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("k", Arc::new(k)),
        ("i", Arc::new(i)),
        ("m", Arc::new(m)),
        ("f", Arc::new(f)),
        ("s", Arc::new(s)),
        ("o", Arc::new(o)),
        ("t", Arc::new(t)),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(n, c)| Field::new(*n, c.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, c)| c).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn c(name: &str) -> TypedExpr {
    let sql_type = match name {
        "k" | "s" => SqlType::TEXT,
        "m" => MONEY,
        "f" => SqlType::Float,
        "t" => SqlType::Boolean,
        _ => INT,
    };
    TypedExpr::new(col(name), sql_type, true)
}

fn texts(array: &ArrayRef) -> Vec<String> {
    let array = arrow::array::AsArray::as_string_view(array.as_ref()).clone();
    (0..array.len())
        .map(|r| if array.is_null(r) { "NULL".into() } else { array.value(r).to_string() })
        .collect()
}

fn as_text(value: TypedExpr) -> Expr {
    cast(value, &SqlType::TEXT, CastMode::Explicit, &Facts::default()).unwrap().expr.alias("out")
}

/// Values of the aggregate for groups a and b.
async fn grouped(name: &str, call: AggregateCall) -> Vec<String> {
    let value = aggregate(name).unwrap().bind(call, &Facts::default()).unwrap();
    // The text is made above the aggregate, as a planner does.
    let sql_type = value.sql_type.clone();
    let result = SessionContext::new()
        .read_batches(vec![batch().slice(0, 3), batch().slice(3, 3)])
        .unwrap()
        .aggregate(vec![col("k")], vec![value.expr.alias("v")])
        .unwrap()
        .sort(vec![col("k").sort(true, false)])
        .unwrap()
        .select(vec![as_text(TypedExpr::new(col("v"), sql_type, true))])
        .unwrap()
        .collect()
        .await;
    match result {
        Ok(batches) => batches.iter().flat_map(|b| texts(b.column(0))).collect(),
        Err(e) => vec![format!("!{}", user_error(&e).code.number())],
    }
}

async fn plain(name: &str, args: Vec<TypedExpr>) -> Vec<String> {
    grouped(name, AggregateCall { args, ..AggregateCall::default() }).await
}

#[tokio::test]
async fn numbers() {
    assert_eq!(plain("COUNT", vec![]).await, ["3", "3"]);
    assert_eq!(plain("COUNT", vec![c("i")]).await, ["2", "3"]);
    assert_eq!(plain("COUNT", vec![c("i"), c("s")]).await, ["2", "3"]);
    assert_eq!(plain("COUNT_IF", vec![c("t")]).await, ["1", "3"]);
    assert_eq!(plain("SUM", vec![c("i")]).await, ["3", "8"]);
    assert_eq!(plain("SUM", vec![c("m")]).await, ["3.50", "4.39"]);
    assert_eq!(plain("AVG", vec![c("i")]).await, ["1.500000", "2.666667"]);
    assert_eq!(plain("AVG", vec![c("m")]).await, ["1.75000000", "1.46333333"]);
    assert_eq!(plain("AVG", vec![c("f")]).await[1], "5.666666666666667");
    assert_eq!(plain("MIN", vec![c("m")]).await, ["1.00", "0.01"]);
    assert_eq!(plain("MAX", vec![c("s")]).await, ["y", "z"]);
    assert_eq!(plain("MEDIAN", vec![c("i")]).await, ["1.500", "2.000"]);
    assert_eq!(plain("MODE", vec![c("i")]).await[1], "2");
    assert_eq!(plain("STDDEV", vec![c("f")]).await[0], "1.5275252316519465");
    assert_eq!(plain("VAR_POP", vec![c("i")]).await[0], "0.25");
    assert!(plain("SKEW", vec![c("f")]).await[0].starts_with("0.93521952958"));
    assert_eq!(plain("CORR", vec![c("f"), c("f")]).await[0], "1");
    assert_eq!(plain("REGR_COUNT", vec![c("i"), c("f")]).await, ["2", "3"]);
    assert_eq!(plain("APPROX_COUNT_DISTINCT", vec![c("s")]).await, ["2", "2"]);
    assert_eq!(plain("BITOR_AGG", vec![c("i")]).await, ["3", "6"]);
    assert_eq!(plain("BOOLAND_AGG", vec![c("t")]).await, ["false", "true"]);
    assert_eq!(plain("BOOLXOR_AGG", vec![c("t")]).await, ["true", "false"]);
    assert_eq!(plain("MAX_BY", vec![c("s"), c("o")]).await, ["NULL", "x"]);
    assert_eq!(plain("MIN_BY", vec![c("s"), c("o"), i(2)]).await, [r#"["y","x"]"#, r#"["z","z"]"#]);
    assert_eq!(plain("ANY_VALUE", vec![c("k")]).await, ["a", "b"]);
}

#[tokio::test]
async fn overflow_is_an_error() {
    let huge = n("99999999999999999999999999999999999999");
    let facts = Facts::default();
    let value =
        frazil_functions::operators::case(None, vec![(c("t"), huge.clone())], Some(huge), &facts)
            .unwrap();
    assert_eq!(plain("SUM", vec![value]).await, [code(100046)]);
}

#[tokio::test]
async fn distinct_and_order() {
    let distinct = |arg: &str| AggregateCall {
        args: vec![c(arg)],
        distinct: true,
        ..AggregateCall::default()
    };
    assert_eq!(grouped("COUNT", distinct("i")).await, ["2", "2"]);
    assert_eq!(grouped("SUM", distinct("i")).await, ["3", "6"]);
    assert_eq!(grouped("AVG", distinct("i")).await, ["1.500000", "3.000000"]);
    let ordered = |args, descending: bool| AggregateCall {
        args,
        order_by: vec![col("o").sort(!descending, false)],
        ..AggregateCall::default()
    };
    assert_eq!(grouped("LISTAGG", ordered(vec![c("s"), t("|")], false)).await, ["y|x", "z|z|x"]);
    assert_eq!(
        grouped("ARRAY_AGG", ordered(vec![c("s")], true)).await,
        [r#"["x","y"]"#, r#"["x","z","z"]"#]
    );
    assert_eq!(plain("ARRAY_UNIQUE_AGG", vec![c("i")]).await[0], "[1,2]");
    assert_eq!(plain("OBJECT_AGG", vec![c("o"), c("s")]).await[0], r#"{"1":"y","3":"x"}"#);
    assert_eq!(plain("OBJECT_AGG", vec![c("s"), c("i")]).await, [code(1008)]);
    let percentile = AggregateCall {
        args: vec![n("0.5"), c("m")],
        order_by: vec![col("m").sort(true, false)],
        ..AggregateCall::default()
    };
    assert_eq!(grouped("PERCENTILE_CONT", percentile.clone()).await, ["1.75000", "1.05000"]);
    assert_eq!(grouped("PERCENTILE_DISC", percentile).await, ["1.00", "1.05"]);
}

/// Values of the window call in the order of column o.
async fn windowed(name: &str, call: WindowCall) -> Vec<String> {
    let value = window(name).unwrap().bind(call, &Facts::default()).unwrap();
    let sql_type = value.sql_type.clone();
    let result = SessionContext::new()
        .read_batch(batch())
        .unwrap()
        .select(vec![col("o"), value.expr.alias("v")])
        .unwrap()
        .sort(vec![col("o").sort(true, false)])
        .unwrap()
        .select(vec![as_text(TypedExpr::new(col("v"), sql_type, true))])
        .unwrap()
        .collect()
        .await
        .unwrap();
    result.iter().flat_map(|b| texts(b.column(0))).collect()
}

fn by_o(args: Vec<TypedExpr>) -> WindowCall {
    WindowCall { args, order_by: vec![col("o").sort(true, false)], ..WindowCall::default() }
}

#[tokio::test]
async fn windows() {
    // In the order of o: f = 2, 3, 1, 9, 5, 4; i = 2, 2, 1, 2, 4, NULL.
    assert_eq!(windowed("ROW_NUMBER", by_o(vec![])).await, ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(windowed("SUM", by_o(vec![c("i")])).await, ["2", "4", "5", "7", "11", "11"]);
    assert_eq!(
        windowed("LAG", by_o(vec![c("i"), i(1), i(0)])).await,
        ["0", "2", "2", "1", "2", "4"]
    );
    assert_eq!(windowed("LEAD", by_o(vec![c("s")])).await, ["z", "x", "z", "x", "NULL", "NULL"]);
    assert_eq!(windowed("FIRST_VALUE", by_o(vec![c("f")])).await, ["2"; 6]);
    assert_eq!(windowed("LAST_VALUE", by_o(vec![c("f")])).await, ["4"; 6]);
    let ignoring = WindowCall { ignore_nulls: true, ..by_o(vec![c("i")]) };
    assert_eq!(windowed("LAST_VALUE", ignoring).await, ["4"; 6]);
    assert_eq!(
        windowed("CONDITIONAL_CHANGE_EVENT", by_o(vec![c("i")])).await,
        ["0", "0", "1", "2", "3", "3"]
    );
    assert_eq!(
        windowed("CONDITIONAL_TRUE_EVENT", by_o(vec![c("t")])).await,
        ["0", "1", "2", "3", "4", "4"]
    );
    assert_eq!(windowed("NTILE", by_o(vec![i(3)])).await, ["1", "1", "2", "2", "3", "3"]);
    assert_eq!(
        windowed("MEDIAN", WindowCall { args: vec![c("f")], ..WindowCall::default() }).await,
        ["3.5"; 6]
    );
    let ranked = WindowCall { order_by: vec![col("k").sort(true, false)], ..WindowCall::default() };
    assert_eq!(windowed("RANK", ranked.clone()).await, ["1", "4", "1", "4", "4", "1"]);
    assert_eq!(windowed("DENSE_RANK", ranked).await, ["1", "2", "1", "2", "2", "1"]);
    let share =
        WindowCall { args: vec![c("m")], partition_by: vec![col("k")], ..WindowCall::default() };
    assert_eq!(windowed("RATIO_TO_REPORT", share).await[0], "0.71428571");
}

#[tokio::test]
async fn sliding_frames() {
    use datafusion::common::ScalarValue;
    use datafusion::logical_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};
    let frame = WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(Some(1))),
        WindowFrameBound::CurrentRow,
    );
    let call = |args| WindowCall { frame: Some(frame.clone()), ..by_o(args) };
    assert_eq!(windowed("SUM", call(vec![c("i")])).await, ["2", "4", "3", "3", "6", "4"]);
    assert_eq!(windowed("AVG", call(vec![c("i")])).await[2], "1.500000");
    assert_eq!(windowed("ARRAY_AGG", call(vec![c("i")])).await[4], "[2,4]");
}

#[test]
fn a_collecting_aggregate_looks_and_counts() {
    use std::sync::atomic::{AtomicBool, Ordering};

    use datafusion::physical_expr::aggregate::AggregateExprBuilder;
    use datafusion::physical_expr::expressions::col as column;
    use frazil_functions::{
        MadeBytesMax, StatementStop, Watch, counting_watch, value_bytes, watched,
    };

    let bound = aggregate("ARRAY_AGG").unwrap();
    let call = AggregateCall { args: vec![c("s")], ..AggregateCall::default() };
    let Expr::AggregateFunction(call) = bound.bind(call, &Facts::default()).unwrap().expr else {
        panic!("no aggregate")
    };
    let stopped = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stopped);
    let stop = StatementStop::when(move || asked.load(Ordering::Relaxed));
    let watch = Watch::counting(stop, MadeBytesMax(2000));
    let udaf = watched(&call.func, &watch).unwrap();
    assert!(counting_watch(&call.func).is_none() && counting_watch(&udaf).is_some());
    let schema = Arc::new(Schema::new(vec![Field::new("s", SqlType::TEXT.to_arrow(), true)]));
    let text =
        |length: usize| Arc::new(StringViewArray::from(vec!["x".repeat(length)])) as ArrayRef;
    let expr = AggregateExprBuilder::new(Arc::new(udaf), vec![column("s", &schema).unwrap()])
        .schema(schema)
        .alias("a")
        .build()
        .unwrap();
    let mut rows = expr.create_sliding_accumulator().unwrap();
    rows.update_batch(&[text(900)]).unwrap();
    let made = rows.evaluate().unwrap().to_array().unwrap();
    // Two of them may be held, and a third one when the first is gone.
    rows.evaluate().unwrap();
    let error = user_error(&rows.evaluate().unwrap_err());
    assert_eq!(error.code, frazil_common::Code::ResourceLimit);
    watch.handed_on(2 * value_bytes(made.as_ref()));
    rows.evaluate().unwrap();
    // Of large values few are made at a time.
    assert_eq!(watch.slice_rows().load(Ordering::Relaxed), 256);
    rows.update_batch(&[text(1 << 20)]).unwrap();
    rows.evaluate().unwrap_err();
    assert!(watch.slice_rows().load(Ordering::Relaxed) < 32);
    stopped.store(true, Ordering::Relaxed);
    let error = user_error(&rows.evaluate().unwrap_err());
    assert_eq!(error.code, frazil_common::Code::Cancelled);
}

#[test]
fn flatten_lists_fields_and_elements() {
    use arrow::array::AsArray;
    let call = |text: &str, recursive: bool, outer: bool| {
        let value = json(text);
        let args = vec![value.expr, t("").expr, b(outer).expr, b(recursive).expr, t("BOTH").expr];
        let expr = frazil_functions::table::flatten_udf().call(args);
        let typed = TypedExpr::new(expr, SqlType::Null, true);
        let batch = batch().slice(0, 1);
        let lists = frazil_functions::evaluate_on(&typed, &batch).unwrap();
        let rows = lists.as_list::<i32>().value(0);
        let rows = rows.as_struct().clone();
        let paths = texts(rows.column(1));
        let values: Vec<String> = (0..rows.len())
            .map(|r| {
                frazil_functions::variant::to_json_string(rows.column(3).as_ref(), r)
                    .unwrap_or_else(|| "NULL".into())
            })
            .collect();
        paths.into_iter().zip(values).collect::<Vec<_>>()
    };
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    };
    assert_eq!(call("[1, 77]", false, false), pairs(&[("[0]", "1"), ("[1]", "77")]));
    assert_eq!(
        call(r#"{"a":1, "b":[77,88]}"#, true, false),
        pairs(&[("a", "1"), ("b", "[77,88]"), ("b[0]", "77"), ("b[1]", "88")])
    );
    assert_eq!(call("[]", false, false), pairs(&[]));
    assert_eq!(call("[]", false, true), pairs(&[("", "NULL")]));
}

/// Every name has one kind or several, and none is empty.
#[test]
fn names_are_known() {
    let names = frazil_functions::names();
    assert!(names.len() > 300, "{}", names.len());
    for wanted in ["IFF", "SUM", "ROW_NUMBER", "FLATTEN", "DATEADD"] {
        assert!(names.iter().any(|(n, _)| *n == wanted), "{wanted}");
    }
}
