//! A lake with one table, and short ways to read and change it.
#![allow(dead_code)]

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, AsArray, Float64Array, Int64Array, RecordBatch, StringViewArray,
};
use datafusion::arrow::datatypes::{Int64Type, Schema};
use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use frazil_catalog::{Catalog, ColumnInfo, TableInfo, TableKind};
use frazil_common::{QualifiedName, SqlType};
use frazil_lake::{
    CommitMeta, FILE_COLUMN, Lake, LakeSettings, LakeTransaction, NewTable, ROW_ID,
    ROW_NUMBER_COLUMN, TableVersion,
};

pub const INT: SqlType = SqlType::Number { precision: 18, scale: 0 };

/// A lake with these settings.
pub async fn open_with(dir: &Path, settings: LakeSettings) -> Lake {
    std::fs::create_dir_all(dir.join("data")).unwrap();
    let catalog = Catalog::open(&dir.join("catalog.sqlite")).await.unwrap();
    Lake::open(catalog, dir, settings).await.unwrap()
}

/// A lake that writes files always.
pub async fn open(dir: &Path) -> Lake {
    let settings =
        LakeSettings { inlined_deletes_max: 3, inlined_rows_max: 0, ..LakeSettings::default() };
    open_with(dir, settings).await
}

pub fn name(table: &str) -> QualifiedName {
    QualifiedName::new("D", "S", table)
}

pub fn columns() -> Vec<ColumnInfo> {
    vec![
        ColumnInfo::new("ID", INT, false),
        ColumnInfo::new("NAME", SqlType::TEXT, true),
        ColumnInfo::new("X", SqlType::Float, true),
    ]
}

pub fn new_table(table: &str, kind: TableKind) -> NewTable {
    NewTable {
        name: name(table),
        columns: columns(),
        kind,
        comment: None,
        cluster_by: None,
        retention_days: None,
        change_tracking: false,
    }
}

pub fn stream(batch: RecordBatch) -> SendableRecordBatchStream {
    let schema = batch.schema();
    Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(batch)])))
}

pub fn rows(from: i64, to: i64) -> SendableRecordBatchStream {
    let ids: Vec<i64> = (from..to).collect();
    let names = StringViewArray::from_iter_values(ids.iter().map(|i| format!("n{i}")));
    let xs = Float64Array::from_iter_values(ids.iter().map(|i| *i as f64 / 2.0));
    let schema: Vec<_> = columns().iter().map(|c| c.to_column().to_field()).collect();
    let batch = RecordBatch::try_new(
        Arc::new(Schema::new(schema)),
        vec![Arc::new(Int64Array::from(ids)), Arc::new(names), Arc::new(xs)],
    )
    .unwrap();
    stream(batch)
}

pub async fn setup(dir: &Path) -> (Lake, Arc<TableInfo>) {
    let lake = open(dir).await;
    let mut t = lake.begin(1).await.unwrap();
    t.create_database("D", false, None, None).unwrap();
    t.create_schema("D", "S", false, Some("the schema".into()), None).unwrap();
    let table = t.create_table(new_table("T", TableKind::Permanent)).await.unwrap();
    assert_eq!(t.append(&table, rows(0, 100)).await.unwrap(), 100);
    t.commit(meta("q1")).await.unwrap();
    let table = lake.view().await.unwrap().table(&name("T")).cloned().unwrap();
    (lake, table)
}

pub fn meta(query: &str) -> CommitMeta {
    CommitMeta { query_id: Some(query.into()), ..CommitMeta::default() }
}

pub fn frame(provider: Arc<dyn TableProvider>) -> DataFrame {
    SessionContext::new().read_table(provider).unwrap()
}

pub async fn ids(provider: Arc<dyn TableProvider>) -> Vec<i64> {
    let batches = frame(provider).select(vec![ident("ID")]).unwrap().collect().await.unwrap();
    let mut all: Vec<i64> = batches
        .iter()
        .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect();
    all.sort_unstable();
    all
}

pub async fn text(provider: Arc<dyn TableProvider>, id: i64) -> Vec<String> {
    let batches = frame(provider)
        .filter(ident("ID").eq(lit(id)))
        .unwrap()
        .select(vec![ident("NAME")])
        .unwrap()
        .collect()
        .await
        .unwrap();
    batches
        .iter()
        .flat_map(|b| {
            let a = b.column(0).as_string_view();
            (0..a.len()).map(|i| a.value(i).to_string()).collect::<Vec<_>>()
        })
        .collect()
}

/// What is gone is told as the whole account knew it right before, whatever was read for it.
pub async fn assert_told_as_it_was(lake: &Lake) {
    let catalog = lake.catalog();
    for gone in catalog.dropped_tables(0, |_| true).await.unwrap() {
        let then = catalog.view(gone.dropped_at - 1).await.unwrap();
        assert_eq!(then.table_by_id(gone.object.table_id), Some(&gone.object));
        assert!(then.schemas().eq(gone.view.schemas()));
        assert!(then.databases().eq(gone.view.databases()));
        let sizes = catalog.table_sizes(then.snapshot).await.unwrap();
        let own = catalog.sizes_at(&[(gone.object.table_id, then.snapshot)]).await.unwrap();
        assert_eq!(own, [sizes.get(&gone.object.table_id).copied().unwrap_or_default()]);
    }
    for gone in catalog.dropped_views(0, |_| true).await.unwrap() {
        let then = catalog.view(gone.dropped_at - 1).await.unwrap();
        assert_eq!(then.view(&gone.object.name), Some(&gone.object));
    }
    for gone in catalog.dropped_schemas(0, |_| true).await.unwrap() {
        let then = catalog.view(gone.dropped_at - 1).await.unwrap();
        let (database, schema) = (&gone.object.database, &gone.object.name);
        assert_eq!(then.schema(database, schema), gone.view.schema(database, schema));
        assert!(then.tables_in(database, schema).eq(gone.view.tables_in(database, schema)));
        assert!(then.views_in(database, schema).eq(gone.view.views_in(database, schema)));
    }
}

/// Sort and partition keys at snapshots that do not show their table, which other clients refuse.
pub async fn keys_without_a_table(lake: &Lake) -> i64 {
    let shown = |alias: &str| {
        format!(
            "{alias}.begin_snapshot <= x.snapshot_id \
             AND ({alias}.end_snapshot IS NULL OR {alias}.end_snapshot > x.snapshot_id)"
        )
    };
    let sql = format!(
        "SELECT COUNT(*) FROM ducklake_snapshot x \
         JOIN (SELECT table_id, begin_snapshot, end_snapshot FROM ducklake_sort_info UNION ALL \
         SELECT table_id, begin_snapshot, end_snapshot FROM ducklake_partition_info) k ON {} \
         WHERE NOT EXISTS (SELECT 1 FROM ducklake_table t WHERE t.table_id = k.table_id AND {})",
        shown("k"),
        shown("t")
    );
    let mut tx = lake.catalog().begin_write().await.unwrap();
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *tx).await.unwrap()
}

pub fn identity() -> Vec<Expr> {
    vec![ident(FILE_COLUMN), ident(ROW_NUMBER_COLUMN), ident(ROW_ID)]
}

pub async fn chosen(
    lake: &Lake,
    version: &Arc<TableVersion>,
    filter: Expr,
    values: Vec<Expr>,
) -> SendableRecordBatchStream {
    let exprs: Vec<Expr> = identity().into_iter().chain(values).collect();
    frame(lake.scan(version))
        .filter(filter)
        .unwrap()
        .select(exprs)
        .unwrap()
        .execute_stream()
        .await
        .unwrap()
}

pub async fn delete(t: &mut LakeTransaction, filter: Expr) -> u64 {
    let table = t.table(&name("T")).unwrap();
    let version = t.table_version(&table).await.unwrap();
    let rows = chosen(t.lake(), &version, filter, vec![]).await;
    t.delete(&version, rows).await.unwrap().rows
}

pub async fn update(t: &mut LakeTransaction, filter: Expr, to: &str) -> u64 {
    let table = t.table(&name("T")).unwrap();
    let version = t.table_version(&table).await.unwrap();
    let to = datafusion::scalar::ScalarValue::Utf8View(Some(to.into()));
    let values = vec![ident("ID"), lit(to), ident("X")];
    let rows = chosen(t.lake(), &version, filter, values).await;
    t.update(&version, rows).await.unwrap().updated
}

pub async fn current(lake: &Lake) -> Arc<dyn TableProvider> {
    let t = lake.begin(9).await.unwrap();
    let table = t.table(&name("T")).unwrap();
    let version = t.table_version(&table).await.unwrap();
    t.scan(&version)
}

pub async fn row_ids(provider: Arc<dyn TableProvider>, filter: Expr) -> Vec<i64> {
    let batches = frame(provider)
        .filter(filter)
        .unwrap()
        .select(vec![ident(ROW_ID)])
        .unwrap()
        .collect()
        .await
        .unwrap();
    let mut all: Vec<i64> = batches
        .iter()
        .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect();
    all.sort_unstable();
    all
}
