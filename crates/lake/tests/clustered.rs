//! Tables with sort keys: rows lie sorted in files, and files that overlap are sorted anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, Float64Array, Int64Array, RecordBatch, StringViewArray};
use datafusion::arrow::datatypes::{Int64Type, Schema};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{ident, lit};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use frazil_catalog::{TableInfo, TableKind};
use frazil_lake::{Clustering, Lake, LakeSettings, NewTable, ROW_ID};
use support::*;

fn by_id() -> Option<Clustering> {
    Some(Clustering { text: "LINEAR(ID)".into(), columns: vec!["ID".into()] })
}

/// Rows whose ids are spread over `0..count`, from `first` on in steps of `step`.
fn spread(first: i64, step: i64, count: i64) -> SendableRecordBatchStream {
    // In no order: a step that shares no factor with the number of rows visits all.
    let all = (count - first + step - 1) / step;
    let ids: Vec<i64> = (0..all).map(|i| first + (i * 7919 % all) * step).collect();
    let names = StringViewArray::from_iter_values(ids.iter().map(|i| format!("n{i}")));
    let xs = Float64Array::from_iter_values(ids.iter().map(|i| *i as f64));
    let schema: Vec<_> = columns().iter().map(|c| c.to_column().to_field()).collect();
    let batch = RecordBatch::try_new(
        Arc::new(Schema::new(schema)),
        vec![Arc::new(Int64Array::from(ids)), Arc::new(names), Arc::new(xs)],
    )
    .unwrap();
    stream(batch)
}

async fn clustered(dir: &Path, settings: LakeSettings) -> (Lake, Arc<TableInfo>) {
    let lake = open_with(dir, settings).await;
    let mut t = lake.begin(1).await.unwrap();
    t.create_database("D", false, None, None).unwrap();
    t.create_schema("D", "S", false, None, None).unwrap();
    let new = NewTable { cluster_by: by_id(), ..new_table("T", TableKind::Permanent) };
    t.create_table(new).await.unwrap();
    t.commit(meta("q")).await.unwrap();
    let table = lake.view().await.unwrap().table(&name("T")).cloned().unwrap();
    (lake, table)
}

/// The ids in each data file that the newest snapshot names, in the order they lie.
async fn files(lake: &Lake, dir: &Path) -> Vec<Vec<i64>> {
    let table = lake.view().await.unwrap().table(&name("T")).cloned().unwrap();
    let snapshot = lake.catalog().head().await.unwrap();
    let set = lake.catalog().files(table.table_id, snapshot).await.unwrap();
    set.files
        .iter()
        .map(|file| {
            let path = dir.join("data").join(&table.path).join(&file.file.path);
            let file = std::fs::File::open(path).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
            reader
                .flat_map(|batch| {
                    let batch = batch.unwrap();
                    let ids = batch.column_by_name("ID").unwrap().as_primitive::<Int64Type>();
                    ids.values().to_vec()
                })
                .collect()
        })
        .collect()
}

fn is_sorted(ids: &[i64]) -> bool {
    ids.windows(2).all(|pair| pair[0] <= pair[1])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_leaves_sorted_files() {
    let dir = tempfile::tempdir().unwrap();
    let settings = LakeSettings { inlined_rows_max: 0, ..LakeSettings::default() };
    let (lake, table) = clustered(dir.path(), settings).await;
    let mut t = lake.begin(1).await.unwrap();
    t.append(&table, spread(0, 1, 1009)).await.unwrap();
    t.commit(meta("q")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(update(&mut t, ident("ID").gt_eq(lit(500_i64)), "new").await, 509);
    t.commit(meta("q")).await.unwrap();
    let found = files(&lake, dir.path()).await;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [1009, 509]);
    assert!(found.iter().all(|file| is_sorted(file)), "{found:?}");
    assert_eq!(ids(current(&lake).await).await, (0..1009).collect::<Vec<_>>());
    assert_eq!(text(current(&lake).await, 600).await, ["new"]);
    assert_eq!(text(current(&lake).await, 400).await, ["n400"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flush_and_merge_sort_and_keep_every_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        LakeSettings { inlined_rows_max: 10, small_files_max: 3, ..LakeSettings::default() };
    let (lake, table) = clustered(dir.path(), settings).await;
    let mut seen = Vec::new();
    for step in 0..4 {
        let mut t = lake.begin(1).await.unwrap();
        // A file, and rows in the catalog.
        t.append(&table, spread(step, 4, 400)).await.unwrap();
        t.commit(meta("q")).await.unwrap();
        let mut t = lake.begin(1).await.unwrap();
        t.append(&table, spread(1000 - step * 10, 1, 1005 - step * 10)).await.unwrap();
        t.commit(meta("q")).await.unwrap();
        let mut t = lake.begin(1).await.unwrap();
        delete(&mut t, ident("ID").eq(lit(step * 40 + 1))).await;
        t.commit(meta("q")).await.unwrap();
        let mut t = lake.begin(1).await.unwrap();
        update(&mut t, ident("ID").eq(lit(step * 40 + 2)), &format!("u{step}")).await;
        t.commit(meta("q")).await.unwrap();
        let snapshot = lake.catalog().head().await.unwrap();
        let rows = row_ids(current(&lake).await, lit(true)).await;
        seen.push((snapshot, ids(current(&lake).await).await, rows));
    }
    let before = files(&lake, dir.path()).await.len();
    lake.tidy_all().await.unwrap();
    let found = files(&lake, dir.path()).await;
    assert!(found.len() < before, "{} files of {before}", found.len());
    assert!(found.iter().all(|file| is_sorted(file)), "{found:?}");
    for (snapshot, expected, rows) in seen {
        let version = lake.table_version_at(&name("T"), snapshot).await.unwrap();
        assert_eq!(ids(lake.scan(&version)).await, expected, "snapshot {snapshot}");
        assert_eq!(row_ids(lake.scan(&version), lit(true)).await, rows, "snapshot {snapshot}");
    }
    assert_eq!(text(current(&lake).await, 82).await, ["u2"]);
    let report = lake.doctor().await.unwrap();
    assert!(report.is_healthy() && report.orphan_files.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crowded_files_are_sorted_apart_unless_that_is_suspended() {
    let dir = tempfile::tempdir().unwrap();
    // Every file is large, so that none is merged for being small.
    let settings = LakeSettings {
        inlined_rows_max: 0,
        small_file_bytes: 0,
        target_file_bytes: 4096,
        row_group_rows: 100,
        ..LakeSettings::default()
    };
    let (lake, table) = clustered(dir.path(), settings).await;
    for first in 0..6 {
        let mut t = lake.begin(1).await.unwrap();
        t.append(&table, spread(first, 6, 600)).await.unwrap();
        t.commit(meta("q")).await.unwrap();
    }
    let columns = ["ID".to_string()];
    let crowded = lake.clustering_information(&table, &columns).await.unwrap();
    assert!(crowded.files >= 6 && crowded.average_depth >= 6.0, "{crowded:?}");

    let mut t = lake.begin(1).await.unwrap();
    t.alter_table(&name("T"), |table| {
        table.recluster_suspended = true;
        Ok(())
    })
    .unwrap();
    t.commit(meta("q")).await.unwrap();
    assert_eq!(lake.tidy().await.unwrap().merged_tables, 0);

    let before = lake.catalog().head().await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.alter_table(&name("T"), |table| {
        table.recluster_suspended = false;
        Ok(())
    })
    .unwrap();
    t.commit(meta("q")).await.unwrap();
    let report = lake.tidy_all().await.unwrap();
    assert_eq!(report.merged_tables, 1);
    let sorted = lake.clustering_information(&table, &columns).await.unwrap();
    assert!(sorted.average_depth < 2.0, "{sorted:?}");
    assert_eq!(ids(current(&lake).await).await, (0..600).collect::<Vec<_>>());
    // There is nothing left to do.
    let head = lake.catalog().head().await.unwrap();
    assert_eq!(lake.tidy_all().await.unwrap().merged_tables, 0);
    assert_eq!(lake.catalog().head().await.unwrap(), head);
    let old = lake.table_version_at(&name("T"), before).await.unwrap();
    assert_eq!(ids(lake.scan(&old)).await.len(), 600);
    // A filter on the key reads few files.
    let plan = frame(current(&lake).await)
        .filter(ident("ID").eq(lit(300_i64)))
        .unwrap()
        .select(vec![ident(ROW_ID)])
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap();
    let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
    assert!(shown.matches(".parquet").count() <= 2, "{shown}");
}

async fn drop_and_undrop(lake: &Lake, other: &str) -> Arc<TableInfo> {
    let mut t = lake.begin(1).await.unwrap();
    t.drop_table(&name("T")).unwrap();
    t.commit(meta("drop")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.create_table(new_table(other, TableKind::Permanent)).await.unwrap();
    t.commit(meta("other")).await.unwrap();
    assert_told_as_it_was(lake).await;
    let dropped = lake.catalog().dropped_tables(0, |_| true).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.undrop_table(dropped.first().unwrap()).unwrap();
    t.commit(meta("undrop")).await.unwrap();
    assert_eq!(keys_without_a_table(lake).await, 0);
    lake.view().await.unwrap().table(&name("T")).cloned().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_come_back_with_their_table_and_leave_the_gap_out() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, before) = clustered(dir.path(), LakeSettings::default()).await;
    let mut t = lake.begin(1).await.unwrap();
    let by = Clustering { text: "LINEAR(id)".into(), columns: vec!["ID".into()] };
    t.cluster_table(&name("T"), Some(by)).unwrap();
    t.commit(meta("cluster")).await.unwrap();
    for other in ["U", "V"] {
        let table = drop_and_undrop(&lake, other).await;
        assert_eq!(table.cluster_by.as_deref(), Some("LINEAR(id)"));
        assert_eq!(table.sort_keys, before.sort_keys);
    }
    // Keys that another client has set since do not have the text of ours.
    let mut tx = lake.catalog().begin_write().await.unwrap();
    for sql in [
        "UPDATE ducklake_sort_info SET begin_snapshot = begin_snapshot - 1 \
         WHERE end_snapshot IS NULL",
        "UPDATE ducklake_table SET begin_snapshot = begin_snapshot - 1 \
         WHERE table_name = 'T' AND end_snapshot IS NULL",
    ] {
        sqlx::raw_sql(sql).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    lake.catalog().close().await;
    let lake = open_with(dir.path(), LakeSettings::default()).await;
    let table = drop_and_undrop(&lake, "W").await;
    assert_eq!(table.cluster_by.as_deref(), Some("LINEAR(ID)"));
    assert_eq!(table.sort_keys, before.sort_keys);
}
