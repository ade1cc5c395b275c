//! Tables through transactions: rows, time travel, conflicts, rollback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int8Array, Int64Array, RecordBatch, StringViewArray,
};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::logical_expr::{ident, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use frazil_catalog::account::{AccountStore, Writer};
use frazil_catalog::{ColumnInfo, TableKind};
use frazil_common::{Code, Column, ObjectKind, QualifiedName, SqlType};
use frazil_lake::{
    Clustering, FILE_COLUMN, LakeError, LakeSettings, NewTable, NewView, ROW_ID, ROW_NUMBER_COLUMN,
    SeveralActions,
};
use futures::StreamExt;
use support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_time_travel() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = setup(dir.path()).await;
    assert_eq!(ids(current(&lake).await).await, (0..100).collect::<Vec<_>>());
    let first = lake.catalog().head().await.unwrap();

    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(delete(&mut t, ident("ID").lt(lit(2_i64))).await, 2);
    assert_eq!(ids(t.scan(&t.table_version(&table).await.unwrap())).await.len(), 98);
    let second = t.commit(meta("q2")).await.unwrap();

    // More than the inlined limit goes into a delete file.
    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(delete(&mut t, ident("ID").lt(lit(20_i64))).await, 18);
    t.commit(meta("q3")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(delete(&mut t, ident("ID").lt(lit(30_i64))).await, 10);
    t.commit(meta("q4")).await.unwrap();
    assert_eq!(ids(current(&lake).await).await, (30..100).collect::<Vec<_>>());

    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(update(&mut t, ident("ID").eq(lit(50_i64)), "fifty").await, 1);
    t.commit(meta("q5")).await.unwrap();
    assert_eq!(text(current(&lake).await, 50).await, ["fifty"]);
    assert_eq!(row_ids(current(&lake).await, ident("ID").eq(lit(50_i64))).await, [50]);
    assert_eq!(row_ids(current(&lake).await, lit(true)).await, (30..100).collect::<Vec<_>>());

    let old = lake.table_version_at(&name("T"), first).await.unwrap();
    assert_eq!(ids(lake.scan(&old)).await.len(), 100);
    assert_eq!(text(lake.scan(&old), 50).await, ["n50"]);
    let old = lake.table_version_at(&name("T"), second).await.unwrap();
    assert_eq!(ids(lake.scan(&old)).await.len(), 98);

    let before = lake.catalog().snapshot_before_statement("q2").await.unwrap();
    assert_eq!(before, Some(first));
    assert_eq!(lake.catalog().snapshot_of_statement("q2").await.unwrap(), Some(second));
    let infos = lake.catalog().snapshots(-1).await.unwrap();
    assert_eq!(infos.len() as i64, lake.catalog().head().await.unwrap() + 1);
    let at = infos.iter().find(|i| i.snapshot == second).unwrap().micros;
    assert_eq!(lake.catalog().snapshot_at(at).await.unwrap(), second);
    assert_eq!(lake.catalog().snapshot_at(at - 1).await.unwrap(), first);

    let sizes = lake.catalog().table_sizes(lake.catalog().head().await.unwrap()).await.unwrap();
    assert_eq!(sizes.get(&table.table_id).unwrap().rows, 70);

    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(t.truncate(&table).await.unwrap(), 70);
    t.commit(meta("q6")).await.unwrap();
    assert_eq!(ids(current(&lake).await).await.len(), 0);
    let report = lake.doctor().await.unwrap();
    assert!(report.is_healthy(), "{report:?}");
    assert!(report.orphan_files.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_sees_its_own_changes_and_rolls_back() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = setup(dir.path()).await;
    let head = lake.catalog().head().await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.append(&table, rows(100, 110)).await.unwrap();
    assert_eq!(delete(&mut t, ident("ID").eq(lit(105_i64))).await, 1);
    assert_eq!(update(&mut t, ident("ID").gt_eq(lit(98_i64)), "late").await, 11);
    assert_eq!(update(&mut t, ident("ID").eq(lit(99_i64)), "later").await, 1);
    let version = t.table_version(&table).await.unwrap();
    assert_eq!(version.row_count(), 109);
    assert_eq!(ids(t.scan(&version)).await.len(), 109);
    assert_eq!(text(t.scan(&version), 99).await, ["later"]);
    assert_eq!(text(t.scan(&version), 108).await, ["late"]);
    assert_eq!(lake.catalog().head().await.unwrap(), head);
    assert_eq!(ids(current(&lake).await).await.len(), 100);
    t.rollback().await;
    assert!(lake.doctor().await.unwrap().orphan_files.is_empty());

    let mut t = lake.begin(1).await.unwrap();
    t.append(&table, rows(100, 110)).await.unwrap();
    update(&mut t, ident("ID").gt_eq(lit(98_i64)), "late").await;
    delete(&mut t, ident("ID").eq(lit(98_i64))).await;
    assert_eq!(t.commit(meta("q")).await.unwrap(), head + 1);
    assert_eq!(ids(current(&lake).await).await.len(), 109);
    assert_eq!(row_ids(current(&lake).await, ident("ID").eq(lit(99_i64))).await, [99]);
    let mut unique = row_ids(current(&lake).await, lit(true)).await;
    unique.dedup();
    assert_eq!(unique.len(), 109);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_transactions() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = setup(dir.path()).await;
    // Two that only insert never get in each other's way.
    let mut a = lake.begin(1).await.unwrap();
    let mut b = lake.begin(2).await.unwrap();
    a.append(&table, rows(100, 101)).await.unwrap();
    b.append(&table, rows(101, 102)).await.unwrap();
    a.commit(meta("a")).await.unwrap();
    b.commit(meta("b")).await.unwrap();
    assert_eq!(ids(current(&lake).await).await.len(), 102);
    assert_eq!(row_ids(current(&lake).await, lit(true)).await, (0..102).collect::<Vec<_>>());

    // Different rows of one file: both go.
    let mut a = lake.begin(1).await.unwrap();
    let mut b = lake.begin(2).await.unwrap();
    delete(&mut a, ident("ID").eq(lit(1_i64))).await;
    delete(&mut b, ident("ID").eq(lit(2_i64))).await;
    a.commit(meta("a")).await.unwrap();
    b.commit(meta("b")).await.unwrap();
    assert_eq!(ids(current(&lake).await).await.len(), 100);

    // The same row: the second loses, and leaves no file.
    let mut a = lake.begin(1).await.unwrap();
    let mut b = lake.begin(2).await.unwrap();
    update(&mut a, ident("ID").eq(lit(7_i64)), "a").await;
    update(&mut b, ident("ID").eq(lit(7_i64)), "b").await;
    a.commit(meta("a")).await.unwrap();
    let lost = b.commit(meta("b")).await.unwrap_err();
    assert!(matches!(lost, LakeError::Conflict { .. }), "{lost}");
    assert_eq!(text(current(&lake).await, 7).await, ["a"]);
    assert!(lake.doctor().await.unwrap().orphan_files.is_empty());

    // READ COMMITTED: the next statement sees what was committed meanwhile.
    let mut a = lake.begin(1).await.unwrap();
    delete(&mut a, ident("ID").eq(lit(10_i64))).await;
    let mut b = lake.begin(2).await.unwrap();
    b.append(&table, rows(200, 203)).await.unwrap();
    b.commit(meta("b")).await.unwrap();
    a.refresh().await.unwrap();
    let version = a.table_version(&table).await.unwrap();
    assert_eq!(version.row_count(), 102);
    a.commit(meta("a")).await.unwrap();

    // A dropped table takes no rows.
    let mut a = lake.begin(1).await.unwrap();
    a.append(&table, rows(300, 301)).await.unwrap();
    let mut b = lake.begin(2).await.unwrap();
    b.drop_table(&name("T")).unwrap();
    b.commit(meta("b")).await.unwrap();
    let lost = a.commit(meta("a")).await.unwrap_err();
    assert!(matches!(lost, LakeError::Conflict { .. }), "{lost}");

    // The same name twice.
    let mut a = lake.begin(1).await.unwrap();
    let mut b = lake.begin(2).await.unwrap();
    a.create_table(new_table("U", TableKind::Permanent)).await.unwrap();
    b.create_table(new_table("u", TableKind::Permanent)).await.unwrap();
    a.commit(meta("a")).await.unwrap();
    match b.commit(meta("b")).await.unwrap_err() {
        LakeError::User(error) => assert_eq!(error.code, Code::ObjectExists),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_and_null_checks() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = setup(dir.path()).await;
    let mut t = lake.begin(1).await.unwrap();
    let version = t.table_version(&table).await.unwrap();
    let batch = |actions: Vec<i8>, places: Vec<Option<i64>>, values: Vec<Option<i64>>| {
        let file =
            places.iter().map(|p| p.map(|_| 0)).collect::<datafusion::arrow::array::Int32Array>();
        let places = Int64Array::from(places);
        let names = StringViewArray::from_iter(values.iter().map(|v| v.map(|v| format!("m{v}"))));
        let xs = Float64Array::from_iter(values.iter().map(|v| v.map(|v| v as f64)));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("METADATA$ACTION", Arc::new(Int8Array::from(actions))),
            (FILE_COLUMN, Arc::new(file)),
            (ROW_NUMBER_COLUMN, Arc::new(places.clone())),
            (ROW_ID, Arc::new(places)),
            ("ID", Arc::new(Int64Array::from(values.clone()))),
            ("NAME", Arc::new(names)),
            ("X", Arc::new(xs)),
        ];
        stream(
            RecordBatch::try_from_iter_with_nullable(
                columns.into_iter().map(|(n, a)| (n, a, true)),
            )
            .unwrap(),
        )
    };
    let outcome = t
        .merge(
            &version,
            batch(vec![1, 2, 3], vec![Some(3), Some(4), None], vec![Some(3), None, Some(500)]),
            SeveralActions::Error,
        )
        .await
        .unwrap();
    assert_eq!((outcome.inserted, outcome.updated, outcome.deleted), (1, 1, 1));
    t.commit(meta("m")).await.unwrap();
    assert_eq!(ids(current(&lake).await).await.len(), 100);
    assert_eq!(text(current(&lake).await, 3).await, ["m3"]);
    assert_eq!(text(current(&lake).await, 500).await, ["m500"]);
    assert_eq!(row_ids(current(&lake).await, ident("ID").eq(lit(500_i64))).await.len(), 1);

    let mut t = lake.begin(1).await.unwrap();
    let version = t.table_version(&table).await.unwrap();
    let error = t
        .merge(
            &version,
            batch(vec![1, 2], vec![Some(8), Some(8)], vec![Some(8), None]),
            SeveralActions::Error,
        )
        .await
        .unwrap_err();
    match error {
        LakeError::User(error) => assert_eq!(error.code, Code::DuplicateRowInDml),
        other => panic!("{other}"),
    }
    let error = t
        .merge(&version, batch(vec![3], vec![None], vec![None]), SeveralActions::Error)
        .await
        .unwrap_err();
    match error {
        LakeError::User(error) => assert_eq!(error.code, Code::NullNotAllowed),
        other => panic!("{other}"),
    }

    // Of several actions for a row the first one, where that is asked for.
    let mut t = lake.begin(1).await.unwrap();
    let version = t.table_version(&table).await.unwrap();
    let outcome = t
        .merge(
            &version,
            batch(
                vec![1, 2, 1, 2, 1],
                vec![Some(8), Some(8), Some(8), Some(9), Some(9)],
                vec![Some(601), None, Some(602), None, Some(603)],
            ),
            SeveralActions::First,
        )
        .await
        .unwrap();
    assert_eq!((outcome.inserted, outcome.updated, outcome.deleted), (0, 1, 1));
    t.commit(meta("first")).await.unwrap();
    assert_eq!(text(current(&lake).await, 601).await, ["m601"]);
    assert!(text(current(&lake).await, 602).await.is_empty());
    assert!(text(current(&lake).await, 603).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_change_and_old_files_follow() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = setup(dir.path()).await;
    let mut t = lake.begin(1).await.unwrap();
    t.add_column(&name("T"), ColumnInfo::new("Y", INT, true), Some(lit_value(7))).await.unwrap();
    t.add_column(&name("T"), ColumnInfo::new("Z", SqlType::TEXT, true), None).await.unwrap();
    t.rename_column(&name("T"), "NAME", "LABEL").unwrap();
    t.drop_column(&name("T"), "X").unwrap();
    t.set_table_comment(&name("T"), Some("about".into())).unwrap();
    t.create_view(NewView {
        name: name("V"),
        text: "SELECT id FROM t".into(),
        foreign: None,
        columns: vec![frazil_common::Column::new("ID", INT, true)],
        column_comments: vec![None],
        secure: true,
        comment: None,
    })
    .unwrap();
    t.commit(meta("alter")).await.unwrap();
    let t = lake.begin(1).await.unwrap();
    let table = t.table(&name("T")).unwrap();
    let names: Vec<_> = table.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["ID", "LABEL", "Y", "Z"]);
    assert_eq!(table.comment.as_deref(), Some("about"));
    assert!(t.view().view(&name("V")).unwrap().secure);
    let version = t.table_version(&table).await.unwrap();
    let batches = frame(t.scan(&version))
        .filter(ident("LABEL").eq(lit("n5")).and(ident("Y").eq(lit(7_i64))))
        .unwrap()
        .select(vec![ident("ID"), ident("Y"), ident("Z")])
        .unwrap()
        .collect()
        .await
        .unwrap();
    let row = batches.iter().find(|b| b.num_rows() > 0).unwrap();
    assert_eq!(row.column(0).as_primitive::<Int64Type>().value(0), 5);
    assert_eq!(row.column(1).as_primitive::<Int64Type>().value(0), 7);
    assert!(row.column(2).is_null(0));
    // The old snapshot keeps the old shape.
    let old = lake.table_version_at(&name("T"), 1).await.unwrap();
    assert_eq!(text(lake.scan(&old), 5).await, ["n5"]);
    assert_eq!(old.table.columns.len(), 3);

    let mut t = lake.begin(1).await.unwrap();
    t.create_table(new_table("U", TableKind::Transient)).await.unwrap();
    t.commit(meta("u")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.swap_tables(&name("T"), &name("U")).unwrap();
    t.rename_table(&name("T"), &name("W")).unwrap();
    t.commit(meta("swap")).await.unwrap();
    let t = lake.begin(1).await.unwrap();
    assert!(t.table(&name("T")).is_err());
    assert_eq!(t.table(&name("U")).unwrap().columns.len(), 4);
    let table = t.table(&name("W")).unwrap();
    assert_eq!((table.columns.len(), table.kind), (3, TableKind::Transient));
    drop(t);
    let mut t = lake.begin(1).await.unwrap();
    assert!(t.create_database("D.S", false, None, None).is_err());
    // A database whose name begins alike stays when D goes.
    t.create_database("DE", false, None, None).unwrap();
    t.create_schema("DE", "S", false, None, None).unwrap();
    t.commit(meta("other")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.drop_database("D").unwrap();
    t.commit(meta("drop")).await.unwrap();
    let view = lake.view().await.unwrap();
    assert_eq!((view.databases().count(), view.tables().count()), (1, 0));
    assert!(view.schema("DE", "S").is_some());

    // The directory has one user at a time.
    let held = frazil_lake::DataDirectory::open(&dir.path().join("held")).unwrap();
    let refused = frazil_lake::DataDirectory::open(&dir.path().join("held")).unwrap_err();
    assert!(refused.to_string().contains("in use"), "{refused}");
    drop(held);
    assert!(frazil_lake::DataDirectory::open(&dir.path().join("held")).is_ok());
    assert!(lake.doctor().await.unwrap().is_healthy());
}

fn lit_value(value: i64) -> datafusion::scalar::ScalarValue {
    datafusion::scalar::ScalarValue::Int64(Some(value))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temporary_tables_shadow_and_go_with_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = setup(dir.path()).await;
    let head = lake.catalog().head().await.unwrap();
    let mut t = lake.begin(5).await.unwrap();
    let table = t.create_table(new_table("T", TableKind::Temporary)).await.unwrap();
    t.append(&table, rows(0, 10)).await.unwrap();
    assert_eq!(t.commit(meta("temp")).await.unwrap(), head);
    let mut t = lake.begin(5).await.unwrap();
    assert_eq!(delete(&mut t, ident("ID").lt(lit(4_i64))).await, 4);
    assert_eq!(update(&mut t, ident("ID").eq(lit(4_i64)), "four").await, 1);
    t.commit(meta("temp")).await.unwrap();
    let t = lake.begin(5).await.unwrap();
    let table = t.table(&name("T")).unwrap();
    assert_eq!(table.kind, TableKind::Temporary);
    let version = t.table_version(&table).await.unwrap();
    assert_eq!(ids(t.scan(&version)).await, [4, 5, 6, 7, 8, 9]);
    assert_eq!(text(t.scan(&version), 4).await, ["four"]);
    assert_eq!(ids(current(&lake).await).await.len(), 100);
    lake.drop_session(5).await;
    let t = lake.begin(5).await.unwrap();
    assert_eq!(t.table(&name("T")).unwrap().kind, TableKind::Permanent);
    assert_eq!(std::fs::read_dir(dir.path().join("temp")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (lake, table) = setup(dir.path()).await;
        let mut t = lake.begin(1).await.unwrap();
        t.append(&table, rows(100, 105)).await.unwrap();
        t.commit(meta("kept")).await.unwrap();
        let mut t = lake.begin(1).await.unwrap();
        t.append(&table, rows(105, 110)).await.unwrap();
        // As in a crash: the files are written, the commit never comes.
        std::mem::forget(t);
        lake.catalog().close().await;
    }
    let lake = open(dir.path()).await;
    assert_eq!(ids(current(&lake).await).await, (0..105).collect::<Vec<_>>());
    assert_eq!(lake.doctor().await.unwrap().orphan_files.len(), 1);
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let repaired = lake.quarantine_orphans(later).await.unwrap();
    assert_eq!((repaired.set_aside, repaired.put_back), (1, 0));
    let report = lake.doctor().await.unwrap();
    assert!(report.is_healthy() && report.orphan_files.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_and_pruning_come_from_the_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = setup(dir.path()).await;
    for start in [1000, 2000, 3000] {
        let mut t = lake.begin(1).await.unwrap();
        t.append(&table, rows(start, start + 10)).await.unwrap();
        t.commit(meta("i")).await.unwrap();
    }
    let provider = current(&lake).await;
    let plan = frame(Arc::clone(&provider))
        .filter(ident("ID").gt_eq(lit(2000_i64)).and(ident("ID").lt(lit(2005_i64))))
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap();
    let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
    assert_eq!(shown.matches(".parquet").count(), 1, "{shown}");
    let plan = frame(provider)
        .aggregate(vec![], vec![datafusion::functions_aggregate::expr_fn::count(lit(1_i64))])
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap();
    let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
    assert!(!shown.contains(".parquet"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_savepoint_takes_back_definitions_for_whoever_asks() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = setup(dir.path()).await;
    let mut t = lake.begin(1).await.unwrap();
    t.append(&table, rows(0, 5)).await.unwrap();
    let savepoint = t.savepoint();
    t.create_table(new_table("LATER", TableKind::Permanent)).await.unwrap();
    t.create_table(new_table("OWN", TableKind::Temporary)).await.unwrap();
    t.append(&table, rows(5, 9)).await.unwrap();
    assert!(t.permanent_view().table(&name("LATER")).is_some());
    assert!(t.permanent_view().table(&name("OWN")).is_none() && t.table(&name("OWN")).is_ok());
    t.restore(savepoint).await;
    for gone in ["LATER", "OWN"] {
        assert!(t.permanent_view().table(&name(gone)).is_none(), "{gone}");
        assert!(t.view().table(&name(gone)).is_none(), "{gone}");
    }
    let before = ids(current(&lake).await).await.len();
    t.commit(meta("kept")).await.unwrap();
    assert_eq!(ids(current(&lake).await).await.len(), before + 5);
}

/// The names of the data files below a folder.
fn data_files(folder: &std::path::Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(data_files(&entry.path())),
            false => files.push(entry.file_name().into_string().unwrap()),
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_given_up_leaves_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = setup(dir.path()).await;
    drop(lake);
    let settings = LakeSettings {
        inlined_rows_max: 0,
        target_file_bytes: 1,
        row_group_rows: 10,
        ..LakeSettings::default()
    };
    let lake = open_with(dir.path(), settings).await;
    let before = data_files(dir.path().join("data").as_path());
    let mut t = lake.begin(1).await.unwrap();
    // Rows for several files, and then none for ever.
    let schema = rows(0, 1).schema();
    let endless = rows(0, 100).chain(futures::stream::pending());
    let endless = Box::pin(RecordBatchStreamAdapter::new(schema, endless));
    let some_are_there = async {
        while data_files(dir.path().join("data").as_path()).len() < before.len() + 5 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        _ = t.append(&table, endless) => panic!("the rows have no end"),
        () = some_are_there => {}
    }
    let mut after = data_files(dir.path().join("data").as_path());
    for _ in 0..100 {
        if after.len() == before.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        after = data_files(dir.path().join("data").as_path());
    }
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_back_is_not_kept_for_dropped_objects() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = setup(dir.path()).await;
    let accounts = AccountStore::open(lake.catalog().clone()).await.unwrap();
    let mut transaction = accounts.begin().await.unwrap();
    let mut writer = Writer::on(&mut transaction);
    let on = (ObjectKind::Table, table.table_id);
    writer.register_object(on.0, on.1, "ACCOUNTADMIN", None).await.unwrap();
    transaction.commit().await.unwrap();
    let kept = async |snapshot| {
        let mut transaction = accounts.begin().await.unwrap();
        Writer::on(&mut transaction).kept_for_dropped(snapshot).await.unwrap()
    };
    let drop_table = async || {
        let mut t = lake.begin(1).await.unwrap();
        t.drop_table(&name("T")).unwrap();
        t.commit(meta("drop")).await.unwrap()
    };
    let begun = drop_table().await;
    assert_eq!(kept(begun).await, [on]);
    let dropped = lake.catalog().dropped_tables(0, |_| true).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.undrop_table(dropped.first().unwrap()).unwrap();
    t.commit(meta("undrop")).await.unwrap();
    assert!(kept(begun).await.is_empty());
    // Dropped once more, it is no longer what was looked at before.
    let again = drop_table().await;
    assert!(kept(begun).await.is_empty());
    assert_eq!(kept(again).await, [on]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_dropped_is_told_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let settings = LakeSettings { inlined_rows_max: 5, ..LakeSettings::default() };
    let lake = open_with(dir.path(), settings).await;
    let mut t = lake.begin(1).await.unwrap();
    t.create_database("D", false, None, None).unwrap();
    t.commit(meta("database")).await.unwrap();
    let at = |schema: &str, object: &str| QualifiedName::new("D", schema, object);
    let mut t = lake.begin(1).await.unwrap();
    for schema in ["S", "OTHER"] {
        t.create_schema("D", schema, false, Some(format!("comment on {schema}")), Some(3)).unwrap();
        for table in ["A", "B"] {
            let comment = Some(format!("comment on {table}"));
            let new = NewTable { name: at(schema, table), comment, ..kept(table) };
            t.create_table(new).await.unwrap();
        }
        t.create_view(NewView {
            name: at(schema, "V"),
            text: "SELECT 1 AS ONE".to_string(),
            foreign: None,
            columns: vec![Column { name: "ONE".to_string(), sql_type: INT, nullable: false }],
            column_comments: vec![Some("one".to_string())],
            secure: true,
            comment: None,
        })
        .unwrap();
    }
    t.commit(meta("schemas")).await.unwrap();
    // Rows in a file, and in the catalog.
    for (from, to) in [(0, 100), (100, 104)] {
        let mut t = lake.begin(1).await.unwrap();
        let table = t.view().table(&at("S", "A")).cloned().unwrap();
        t.append(&table, rows(from, to)).await.unwrap();
        t.commit(meta("rows")).await.unwrap();
    }
    let mut t = lake.begin(1).await.unwrap();
    t.drop_table(&at("OTHER", "A")).unwrap();
    t.commit(meta("a table")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.drop_view(&at("OTHER", "V")).unwrap();
    t.drop_table(&at("S", "A")).unwrap();
    t.commit(meta("both")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.drop_schema("D", "OTHER").unwrap();
    t.commit(meta("a schema")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.drop_schema("D", "S").unwrap();
    t.commit(meta("another")).await.unwrap();
    let catalog = lake.catalog();
    assert_eq!(catalog.dropped_tables(0, |_| true).await.unwrap().len(), 4);
    assert_eq!(catalog.dropped_views(0, |_| true).await.unwrap().len(), 2);
    assert_eq!(catalog.dropped_schemas(0, |_| true).await.unwrap().len(), 2);
    assert_told_as_it_was(&lake).await;
}

/// A table with all that can be told of one.
fn kept(table: &str) -> NewTable {
    let columns = vec!["ID".to_string()];
    NewTable {
        cluster_by: Some(Clustering { text: "LINEAR(ID)".into(), columns }),
        retention_days: Some(2),
        change_tracking: true,
        ..new_table(table, TableKind::Transient)
    }
}
