//! Writes a small lake, or prints what another DuckLake client left in it.
//!
//! `interop write DIR` makes tables `lake."D.S"."T"` and `lake."D.S"."TYPES"` with several
//! commits; `interop read DIR` prints the rows of every table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    Float32Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StringViewArray, StructArray, Time64MicrosecondArray, Time64NanosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use frazil_catalog::{Catalog, ColumnInfo, TableKind};
use frazil_common::{QualifiedName, SqlType, TimeZoneKind, VectorElement};
use frazil_lake::{
    CommitMeta, DataDirectory, FILE_COLUMN, Lake, LakeSettings, LakeTransaction, NewTable, ROW_ID,
    ROW_NUMBER_COLUMN,
};

const INT: SqlType = SqlType::Number { precision: 18, scale: 0 };

fn name(table: &str) -> QualifiedName {
    QualifiedName::new("D", "S", table)
}

fn stream(batch: RecordBatch) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(batch.schema(), futures::stream::iter([Ok(batch)])))
}

fn batch(columns: &[ColumnInfo], arrays: Vec<ArrayRef>) -> SendableRecordBatchStream {
    let fields: Vec<_> = columns.iter().map(|c| c.to_column().to_field()).collect();
    stream(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap())
}

fn numbers(columns: &[ColumnInfo], from: i64, to: i64) -> SendableRecordBatchStream {
    let ids: Vec<i64> = (from..to).collect();
    let names = StringViewArray::from_iter_values(ids.iter().map(|i| format!("n{i}")));
    batch(columns, vec![Arc::new(Int64Array::from(ids)), Arc::new(names)])
}

async fn rows(
    t: &LakeTransaction,
    filter: Expr,
    values: Vec<Expr>,
) -> (Arc<frazil_lake::TableVersion>, SendableRecordBatchStream) {
    let version = t.table_version(&t.table(&name("T")).unwrap()).await.unwrap();
    let mut exprs = vec![ident(FILE_COLUMN), ident(ROW_NUMBER_COLUMN), ident(ROW_ID)];
    exprs.extend(values);
    let frame = SessionContext::new().read_table(t.scan(&version)).unwrap();
    let frame = frame.filter(filter).unwrap().select(exprs).unwrap();
    let stream = frame.execute_stream().await.unwrap();
    (version, stream)
}

fn ts(zone: TimeZoneKind, nanos: bool) -> SqlType {
    SqlType::Timestamp { zone, scale: 9, nanos }
}

async fn write(lake: &Lake) {
    let columns =
        vec![ColumnInfo::new("ID", INT, false), ColumnInfo::new("NAME", SqlType::TEXT, true)];
    let mut t = lake.begin(1).await.unwrap();
    t.create_database("D", false, None, None).unwrap();
    t.create_schema("D", "S", false, None, None).unwrap();
    let new = |table: &str, columns: &[ColumnInfo]| NewTable {
        name: name(table),
        columns: columns.to_vec(),
        kind: TableKind::Permanent,
        comment: Some("made here".into()),
        cluster_by: None,
        retention_days: None,
        change_tracking: false,
    };
    t.create_table(new("T", &columns)).await.unwrap();
    t.commit(CommitMeta::default()).await.unwrap();
    let table = lake.view().await.unwrap().table(&name("T")).cloned().unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.append(&table, numbers(&columns, 0, 1000)).await.unwrap();
    println!("insert {}", t.commit(CommitMeta::default()).await.unwrap());
    let mut t = lake.begin(1).await.unwrap();
    let (version, stream) = rows(&t, ident("ID").lt(lit(5_i64)), vec![]).await;
    t.delete(&version, stream).await.unwrap();
    println!("small delete {}", t.commit(CommitMeta::default()).await.unwrap());
    let mut t = lake.begin(1).await.unwrap();
    let (version, stream) = rows(&t, ident("ID").lt(lit(500_i64)), vec![]).await;
    t.delete(&version, stream).await.unwrap();
    println!("large delete {}", t.commit(CommitMeta::default()).await.unwrap());
    let mut t = lake.begin(1).await.unwrap();
    let new_name = lit(datafusion::scalar::ScalarValue::Utf8View(Some("up".into())));
    let (version, stream) =
        rows(&t, ident("ID").gt_eq(lit(990_i64)), vec![ident("ID"), new_name]).await;
    t.update(&version, stream).await.unwrap();
    t.append(&table, numbers(&columns, 2000, 2010)).await.unwrap();
    let (version, stream) = rows(&t, ident("ID").eq(lit(2005_i64)), vec![]).await;
    t.delete(&version, stream).await.unwrap();
    println!("update {}", t.commit(CommitMeta::default()).await.unwrap());
    let mut t = lake.begin(1).await.unwrap();
    t.rename_column(&name("T"), "NAME", "LABEL").unwrap();
    let initial = datafusion::scalar::ScalarValue::Int64(Some(7));
    t.add_column(&name("T"), ColumnInfo::new("Y", INT, true), Some(initial)).await.unwrap();
    println!("alter {}", t.commit(CommitMeta::default()).await.unwrap());

    let types: Vec<(&str, SqlType, ArrayRef)> = vec![
        ("I", INT, Arc::new(Int64Array::from(vec![Some(1), None]))),
        (
            "DEC",
            SqlType::Number { precision: 38, scale: 10 },
            Arc::new(
                Decimal128Array::from(vec![Some(-12_345_678_901), None])
                    .with_precision_and_scale(38, 10)
                    .unwrap(),
            ),
        ),
        (
            "DEC9",
            SqlType::Number { precision: 9, scale: 2 },
            Arc::new(
                Decimal128Array::from(vec![Some(-123_456), None])
                    .with_precision_and_scale(9, 2)
                    .unwrap(),
            ),
        ),
        (
            "BIG",
            SqlType::INTEGER,
            Arc::new(
                Decimal128Array::from(vec![Some(5), None]).with_precision_and_scale(38, 0).unwrap(),
            ),
        ),
        ("F", SqlType::Float, Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1.5)]))),
        ("V", SqlType::TEXT, Arc::new(StringViewArray::from(vec![Some("é'x"), None]))),
        ("B", SqlType::BYTES, Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None]))),
        ("BO", SqlType::Boolean, Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("DA", SqlType::Date, Arc::new(Date32Array::from(vec![Some(18_262), None]))),
        (
            "TI",
            SqlType::TIME,
            Arc::new(Time64MicrosecondArray::from(vec![Some(3_600_000_001), None])),
        ),
        (
            "TIN",
            SqlType::Time { scale: 9, nanos: true },
            Arc::new(Time64NanosecondArray::from(vec![Some(1), None])),
        ),
        (
            "N",
            ts(TimeZoneKind::Ntz, false),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1_577_836_800_000_001), None])),
        ),
        (
            "NN",
            ts(TimeZoneKind::Ntz, true),
            Arc::new(TimestampNanosecondArray::from(vec![Some(1_577_836_800_000_000_001), None])),
        ),
        (
            "L",
            ts(TimeZoneKind::Ltz, false),
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(1_577_836_800_000_000), None])
                    .with_timezone("UTC"),
            ),
        ),
        (
            "LN",
            ts(TimeZoneKind::Ltz, true),
            Arc::new(
                TimestampNanosecondArray::from(vec![Some(1_577_836_800_000_000_001), None])
                    .with_timezone("UTC"),
            ),
        ),
        ("TZ", ts(TimeZoneKind::Tz, false), {
            let DataType::Struct(fields) = ts(TimeZoneKind::Tz, false).to_arrow() else { panic!() };
            Arc::new(StructArray::new(
                fields,
                vec![
                    Arc::new(
                        TimestampMicrosecondArray::from(vec![1_577_836_800_000_000, 0])
                            .with_timezone("UTC"),
                    ),
                    Arc::new(Int32Array::from(vec![60, 0])),
                ],
                Some(vec![true, false].into()),
            ))
        }),
        ("VAR", SqlType::Variant, {
            let json: ArrayRef = Arc::new(StringArray::from(vec![Some(r#"{"a":[1,"x"]}"#), None]));
            let array = parquet_variant_compute::json_to_variant(&json).unwrap();
            let DataType::Struct(fields) = SqlType::Variant.to_arrow() else { panic!() };
            let inner = array.inner();
            Arc::new(StructArray::new(
                fields,
                vec![
                    Arc::clone(inner.column_by_name("metadata").unwrap()),
                    Arc::clone(inner.column_by_name("value").unwrap()),
                ],
                inner.nulls().cloned(),
            ))
        }),
        ("VE", SqlType::Vector { element: VectorElement::Float, dimension: 2 }, {
            let DataType::List(item) =
                (SqlType::Vector { element: VectorElement::Float, dimension: 2 }).to_arrow()
            else {
                panic!()
            };
            Arc::new(ListArray::new(
                item,
                OffsetBuffer::from_lengths([2, 0]),
                Arc::new(Float32Array::from(vec![1.0, 2.0])),
                Some(vec![true, false].into()),
            ))
        }),
    ];
    let columns: Vec<ColumnInfo> =
        types.iter().map(|(n, ty, _)| ColumnInfo::new(*n, ty.clone(), true)).collect();
    let mut t = lake.begin(1).await.unwrap();
    let table = t.create_table(new("TYPES", &columns)).await.unwrap();
    let arrays = types.into_iter().map(|(_, _, array)| array).collect();
    t.append(&table, batch(&columns, arrays)).await.unwrap();
    println!("types {}", t.commit(CommitMeta::default()).await.unwrap());

    let columns =
        vec![ColumnInfo::new("ID", INT, false), ColumnInfo::new("NAME", SqlType::TEXT, true)];
    let mut t = lake.begin(1).await.unwrap();
    t.create_table(new("TINY", &columns)).await.unwrap();
    t.commit(CommitMeta::default()).await.unwrap();
    let mut times = Vec::new();
    for i in 0..200 {
        let started = Instant::now();
        let mut t = lake.begin(1).await.unwrap();
        let table = t.table(&name("TINY")).unwrap();
        t.append(&table, numbers(&columns, i, i + 1)).await.unwrap();
        t.commit(CommitMeta::default()).await.unwrap();
        times.push(started.elapsed());
    }
    times.sort();
    println!("one-row commit: min {:?}, median {:?}, p95 {:?}", times[0], times[100], times[190]);
    let started = Instant::now();
    let t = lake.begin(1).await.unwrap();
    let version = t.table_version(&t.table(&name("TINY")).unwrap()).await.unwrap();
    let frame = SessionContext::new().read_table(t.scan(&version)).unwrap();
    let rows: usize = frame.collect().await.unwrap().iter().map(|b| b.num_rows()).sum();
    println!("scan of {rows} files: {:?}", started.elapsed());
}

async fn read(lake: &Lake) {
    let view = lake.view().await.unwrap();
    for table in view.tables() {
        let t = lake.begin(1).await.unwrap();
        let version = t.table_version(table).await.unwrap();
        println!("{} at {}: {} rows", table.name, version.snapshot, version.row_count());
        let frame = SessionContext::new().read_table(t.scan(&version)).unwrap();
        let batches = match frame.collect().await {
            Ok(batches) => batches,
            Err(error) => {
                println!("{error}");
                continue;
            }
        };
        let counted: usize = batches.iter().map(|b| b.num_rows()).sum();
        assert_eq!(counted as u64, version.row_count());
        let some: Vec<RecordBatch> = batches
            .iter()
            .filter(|b| b.num_rows() > 0)
            .map(|b| b.slice(0, b.num_rows().min(4)))
            .take(4)
            .collect();
        println!("{}", pretty_format_batches(&some).unwrap());
        let mut ids: Vec<i64> = batches
            .iter()
            .flat_map(|b| {
                let at = b.schema().index_of(ROW_ID).unwrap();
                b.column(at)
                    .as_primitive::<datafusion::arrow::datatypes::Int64Type>()
                    .values()
                    .to_vec()
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), counted, "row ids repeat");
    }
    println!("{:?}", lake.doctor().await.unwrap());
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().expect("write or read");
    let dir = PathBuf::from(arguments.next().expect("a folder"));
    let directory = DataDirectory::open(&dir).unwrap();
    let catalog = Catalog::open(&directory.catalog_path()).await.unwrap();
    let lake = Lake::open(catalog, directory.path(), LakeSettings::default()).await.unwrap();
    match verb.as_str() {
        "write" => write(&lake).await,
        _ => read(&lake).await,
    }
}
