//! Tables that another client partitions: every file holds rows of one partition, and says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch, StringViewArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::prelude::SessionContext;
use frazil_catalog::{ColumnInfo, TableInfo, TableKind};
use frazil_common::SqlType;
use frazil_lake::{Lake, LakeError, LakeSettings, NewClone, NewTable};
use support::*;

fn parted() -> Vec<ColumnInfo> {
    vec![
        ColumnInfo::new("ID", INT, true),
        ColumnInfo::new("NAME", SqlType::TEXT, true),
        ColumnInfo::new("X", INT, true),
    ]
}

/// Rows of three regions (the third is NULL) with ids from `from` on.
fn regions(from: i64, to: i64) -> SendableRecordBatchStream {
    let ids: Vec<i64> = (from..to).collect();
    let names: StringViewArray =
        ids.iter().map(|i| ["a/b", "it's", ""].get((i % 4) as usize).copied()).collect();
    let xs = Int64Array::from_iter_values(ids.iter().map(|i| -i));
    let schema: Vec<_> = parted().iter().map(|c| c.to_column().to_field()).collect();
    let batch = RecordBatch::try_new(
        Arc::new(Schema::new(schema)),
        vec![Arc::new(Int64Array::from(ids)), Arc::new(names), Arc::new(xs)],
    );
    stream(batch.unwrap())
}

/// Sets partition keys (column id and transform) as DuckDB does.
async fn partition(lake: &Lake, keys: &[(i64, &str)]) {
    let table = table(lake).await;
    let mut sql = format!(
        "UPDATE ducklake_partition_info SET end_snapshot = (SELECT MAX(snapshot_id) + 1 FROM \
         ducklake_snapshot) WHERE table_id = {0} AND end_snapshot IS NULL;\
         INSERT INTO ducklake_snapshot SELECT snapshot_id + 1, snapshot_time, schema_version + 1, \
         next_catalog_id + 1, next_file_id FROM ducklake_snapshot ORDER BY 1 DESC LIMIT 1;\
         INSERT INTO ducklake_snapshot_changes SELECT MAX(snapshot_id), 'altered_table:{0}', NULL, \
         NULL, NULL FROM ducklake_snapshot;\
         INSERT INTO ducklake_partition_info SELECT next_catalog_id - 1, {0}, snapshot_id, NULL \
         FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1;",
        table.table_id
    );
    for (index, (column, transform)) in keys.iter().enumerate() {
        sql.push_str(&format!(
            "INSERT INTO ducklake_partition_column SELECT MAX(partition_id), {}, {index}, \
             {column}, '{transform}' FROM ducklake_partition_info;",
            table.table_id
        ));
    }
    let mut tx = lake.catalog().begin_write().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn table(lake: &Lake) -> Arc<TableInfo> {
    lake.view().await.unwrap().table(&name("T")).cloned().unwrap()
}

async fn open_parted(dir: &Path, settings: LakeSettings) -> Lake {
    let lake = open_with(dir, settings).await;
    let mut t = lake.begin(1).await.unwrap();
    t.create_database("D", false, None, None).unwrap();
    t.create_schema("D", "S", false, None, None).unwrap();
    let new = NewTable { columns: parted(), ..new_table("T", TableKind::Permanent) };
    t.create_table(new).await.unwrap();
    t.commit(meta("q")).await.unwrap();
    lake
}

/// Partition values and rows of the files that the newest snapshot names, and whether they are of
/// the table's present keys.
async fn files(lake: &Lake, table: &str) -> Vec<(Vec<Option<String>>, i64, bool)> {
    let view = lake.view().await.unwrap();
    let table = view.table(&name(table)).unwrap();
    let set = lake.catalog().files(table.table_id, view.snapshot).await.unwrap();
    let current = table.partitioning.as_ref().map(|keys| keys.partition_id);
    let mut files: Vec<_> = set
        .files
        .iter()
        .map(|visible| {
            let own = visible.file.partition.as_deref();
            let values = own.map(|own| own.values.clone()).unwrap_or_default();
            (values, visible.file.rows, own.map(|own| own.partition_id) == current)
        })
        .collect();
    files.sort();
    files
}

async fn append(lake: &Lake, rows: SendableRecordBatchStream) {
    let mut t = lake.begin(1).await.unwrap();
    let table = t.table(&name("T")).unwrap();
    t.append(&table, rows).await.unwrap();
    t.commit(meta("q")).await.unwrap();
}

/// Rows of the files that a filter leaves to be read.
async fn rows_to_read(lake: &Lake, filter: Expr) -> usize {
    let state = SessionContext::new().state();
    let plan = current(lake).await.scan(&state, None, &[filter], None).await.unwrap();
    let statistics =
        StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).unwrap();
    *statistics.num_rows.get_value().unwrap_or(&0)
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_string())).collect()
}

fn always_files() -> LakeSettings {
    LakeSettings { inlined_rows_max: 0, ..LakeSettings::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_holds_one_partition_whatever_writes_it() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_parted(dir.path(), always_files()).await;
    append(&lake, regions(0, 40)).await;
    partition(&lake, &[(2, "identity")]).await;
    append(&lake, regions(100, 140)).await;
    let expected = |rows: i64| {
        let mut parts = vec![(vec![], 40, false), (vec![None], rows, true)];
        parts.extend(["", "a/b", "it's"].map(|value| (some(&[value]), rows, true)));
        parts
    };
    assert_eq!(files(&lake, "T").await, expected(10));

    // Changed rows go to the partitions of their new values, with their ids.
    let before = row_ids(current(&lake).await, ident("ID").gt_eq(lit(130_i64))).await;
    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(update(&mut t, ident("ID").gt_eq(lit(130_i64)), "new").await, 10);
    t.commit(meta("q")).await.unwrap();
    assert_eq!(row_ids(current(&lake).await, ident("ID").gt_eq(lit(130_i64))).await, before);
    let own: Vec<_> = files(&lake, "T").await;
    assert!(own.contains(&(some(&["new"]), 10, true)), "{own:?}");

    // Merges join files of one partition alone.
    append(&lake, regions(200, 240)).await;
    assert!(lake.tidy_all().await.unwrap().merged_tables > 0);
    let mut merged = expected(20);
    merged.push((some(&["new"]), 10, true));
    merged.sort();
    assert_eq!(files(&lake, "T").await, merged);
    let all: Vec<i64> = (0..40).chain(100..140).chain(200..240).collect();
    assert_eq!(ids(current(&lake).await).await, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_in_the_catalog_are_flushed_by_partition() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_parted(dir.path(), LakeSettings::default()).await;
    append(&lake, regions(0, 8)).await;
    partition(&lake, &[(2, "identity"), (1, "bucket(2)")]).await;
    append(&lake, regions(8, 16)).await;
    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(delete(&mut t, ident("ID").eq(lit(3_i64))).await, 1);
    t.commit(meta("q")).await.unwrap();
    assert!(files(&lake, "T").await.is_empty());
    let before = row_ids(current(&lake).await, lit(true)).await;
    lake.tidy_all().await.unwrap();
    let flushed = files(&lake, "T").await;
    assert!(flushed.len() > 4 && flushed.iter().all(|(values, _, own)| values.len() == 2 && *own));
    // The deleted row went along, with the snapshot it ended at.
    assert_eq!(flushed.iter().map(|(_, rows, _)| rows).sum::<i64>(), 16);
    assert_eq!(row_ids(current(&lake).await, lit(true)).await, before);
    assert_eq!(ids(current(&lake).await).await, (0..16).filter(|id| *id != 3).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_leave_other_partitions_unread() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_parted(dir.path(), always_files()).await;
    partition(&lake, &[(1, "bucket(8)"), (2, "identity")]).await;
    append(&lake, regions(0, 8000)).await;
    for id in [0_i64, 17, 7999] {
        let filter = ident("ID").eq(lit(id));
        assert_eq!(
            ids(frame(current(&lake).await).filter(filter.clone()).unwrap().into_view()).await,
            [id]
        );
        let read = rows_to_read(&lake, filter).await;
        assert!((1..2000).contains(&read), "{read} rows for {id}");
    }
    let several = ident("ID").in_list(vec![lit(1_i64), lit(2_i64)], false);
    assert!(rows_to_read(&lake, several).await < 4000);
    let name = ident("NAME").eq(lit("a/b"));
    assert_eq!(rows_to_read(&lake, name.clone()).await, 2000);
    // Other keys since: these files are read by their statistics alone.
    partition(&lake, &[(3, "bucket(8)")]).await;
    append(&lake, regions(8000, 8100)).await;
    assert_eq!(rows_to_read(&lake, name).await, 2000 + 100);
    assert_eq!(rows_to_read(&lake, ident("ID").eq(lit(4000_i64))).await, 8000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_has_partition_keys_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_parted(dir.path(), always_files()).await;
    partition(&lake, &[(1, "bucket(2)")]).await;
    append(&lake, regions(0, 8)).await;
    partition(&lake, &[(2, "identity")]).await;
    append(&lake, regions(8, 16)).await;
    let mut t = lake.begin(1).await.unwrap();
    let source = t.table_version(&table(&lake).await).await.unwrap();
    let clone = NewClone {
        name: name("C"),
        kind: TableKind::Permanent,
        comment: None,
        retention_days: None,
        change_tracking: None,
        defaults: HashMap::new(),
    };
    let clone = t.clone_table(&source, clone).await.unwrap();
    t.append(&clone, regions(16, 20)).await.unwrap();
    t.commit(meta("q")).await.unwrap();
    let ids = |table: &TableInfo| table.partitioning.as_ref().unwrap().partition_id;
    let view = lake.view().await.unwrap();
    let clone = view.table(&name("C")).unwrap();
    let own_id = ids(clone);
    assert!(own_id > ids(table(&lake).await.as_ref()));
    let (own, source) = (files(&lake, "C").await, files(&lake, "T").await);
    assert_eq!(own.len(), source.len() + 4);
    assert_eq!(own.iter().filter(|(_, _, current)| *current).count(), 8);
    for file in &source {
        assert!(own.contains(file), "{file:?}");
    }

    // Gone and back.
    let mut t = lake.begin(1).await.unwrap();
    t.drop_table(&name("C")).unwrap();
    t.commit(meta("q")).await.unwrap();
    assert_told_as_it_was(&lake).await;
    let dropped = lake.catalog().dropped_tables(0, |_| true).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.undrop_table(dropped.first().unwrap()).unwrap();
    t.commit(meta("q")).await.unwrap();
    assert_eq!(files(&lake, "C").await, own);
    assert_eq!(keys_without_a_table(&lake).await, 0);
    let view = lake.view().await.unwrap();
    assert_eq!(ids(view.table(&name("C")).unwrap()), own_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_not_understood_refuse_writes_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_parted(dir.path(), LakeSettings::default()).await;
    append(&lake, regions(0, 8)).await;
    partition(&lake, &[(2, "truncate(3)")]).await;
    let mut t = lake.begin(1).await.unwrap();
    let table = t.table(&name("T")).unwrap();
    let refused = t.append(&table, regions(8, 9)).await.unwrap_err();
    let LakeError::User(error) = refused else { panic!("{refused}") };
    assert!(error.message.contains("partitioned by truncate(3) of column NAME"), "{error}");
    assert_eq!(delete(&mut t, ident("ID").eq(lit(3_i64))).await, 1);
    t.commit(meta("q")).await.unwrap();
    // Upkeep leaves the rows to the other client.
    assert_eq!(lake.tidy_all().await.unwrap().flushed_tables, 0);
    assert_eq!(ids(current(&lake).await).await, [0, 1, 2, 4, 5, 6, 7]);
}
