//! What is forgotten when, of the account and of single tables.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::logical_expr::{ident, lit};
use frazil_catalog::{TableInfo, TableKind};
use frazil_lake::{Lake, LakeSettings, NewClone};
use support::*;

fn settings() -> LakeSettings {
    LakeSettings {
        inlined_rows_max: 0,
        retention: Duration::ZERO,
        removal_delay: Duration::ZERO,
        ..LakeSettings::default()
    }
}

fn files(folder: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        count += if path.is_dir() { files(&path) } else { 1 };
    }
    count
}

async fn with_table(dir: &Path) -> (Lake, Arc<TableInfo>) {
    let lake = open_with(dir, settings()).await;
    let mut t = lake.begin(1).await.unwrap();
    t.create_database("D", false, None, None).unwrap();
    t.create_schema("D", "S", false, None, None).unwrap();
    t.create_table(new_table("T", TableKind::Permanent)).await.unwrap();
    t.commit(meta("made")).await.unwrap();
    let table = lake.view().await.unwrap().table(&name("T")).cloned().unwrap();
    (lake, table)
}

/// Replaces all rows.
async fn replace(lake: &Lake, from: i64, to: i64) -> i64 {
    let table = lake.view().await.unwrap().table(&name("T")).cloned().unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.truncate(&table).await.unwrap();
    t.append(&table, rows(from, to)).await.unwrap();
    t.commit(meta("replace")).await.unwrap()
}

async fn ids_at(lake: &Lake, table: &str, snapshot: i64) -> Option<Vec<i64>> {
    let version = lake.table_version_at(&name(table), snapshot).await.ok()?;
    Some(ids(lake.scan(&version)).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_forgotten_do_not_come_back_from_a_cache() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = with_table(dir.path()).await;
    replace(&lake, 0, 50).await;
    // The last look at the table's files is from before they ended.
    assert_eq!(ids(current(&lake).await).await.len(), 50);
    let mut t = lake.begin(1).await.unwrap();
    t.truncate(&table).await.unwrap();
    t.commit(meta("truncate")).await.unwrap();
    assert!(lake.expire(&[]).await.unwrap().removed_files > 0);
    assert_eq!(ids(current(&lake).await).await, Vec::<i64>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_forgets_by_its_own_retention() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = with_table(dir.path()).await;
    let mut t = lake.begin(1).await.unwrap();
    let mut long = new_table("LONG", TableKind::Permanent);
    long.retention_days = Some(90);
    let long = t.create_table(long).await.unwrap();
    t.append(&long, rows(0, 10)).await.unwrap();
    t.commit(meta("long")).await.unwrap();
    let days =
        |_: &frazil_catalog::CatalogView, table: &TableInfo| table.retention_days.unwrap_or(0);

    let pinned = replace(&lake, 0, 50).await;
    let middle = replace(&lake, 50, 100).await;
    let shared = replace(&lake, 100, 150).await;
    let mut t = lake.begin(1).await.unwrap();
    let source = lake.table_version_at(&name("T"), shared).await.unwrap();
    let clone = NewClone {
        name: name("COPY"),
        kind: TableKind::Permanent,
        comment: None,
        retention_days: Some(90),
        change_tracking: None,
        defaults: HashMap::new(),
    };
    t.clone_table(&source, clone).await.unwrap();
    t.commit(meta("clone")).await.unwrap();
    let read = replace(&lake, 150, 200).await;
    let reader = lake.begin(7).await.unwrap();
    let last = replace(&lake, 200, 250).await;
    assert_eq!(files(&dir.path().join("data")), 6);

    // A pinned snapshot and one that an open transaction reads stay, and so does the clone's file.
    assert_eq!(lake.expire_tables(&[pinned], days).await.unwrap(), 2);
    assert_eq!(lake.expire(&[pinned]).await.unwrap().expired_snapshots, 0);
    assert_eq!(ids_at(&lake, "T", pinned).await.unwrap(), (0..50).collect::<Vec<_>>());
    assert_eq!(ids_at(&lake, "T", read).await.unwrap(), (150..200).collect::<Vec<_>>());
    assert_eq!(ids_at(&lake, "T", last).await.unwrap(), (200..250).collect::<Vec<_>>());
    assert_eq!(ids_at(&lake, "T", middle).await, None);
    assert_eq!(ids_at(&lake, "T", shared).await, None);
    assert_eq!(ids_at(&lake, "LONG", middle).await.unwrap().len(), 10);
    assert_eq!(ids_at(&lake, "COPY", last).await.unwrap(), (100..150).collect::<Vec<_>>());
    let version = reader.table_version(&table).await.unwrap();
    assert_eq!(ids(reader.scan(&version)).await.len(), 50);
    drop(reader);
    assert_eq!(lake.expire(&[pinned]).await.unwrap().removed_files, 1);
    assert_eq!(files(&dir.path().join("data")), 5);
    let report = lake.doctor().await.unwrap();
    assert!(report.is_healthy() && report.orphan_files.is_empty(), "{report:?}");

    // What is gone stays gone when the table is to keep more, and a pin does not bring it back.
    replace(&lake, 250, 300).await;
    assert_eq!(lake.expire_tables(&[middle], days).await.unwrap(), 3);
    assert_eq!(ids_at(&lake, "T", middle).await, None);
    assert_eq!(ids_at(&lake, "T", pinned).await, None);

    // A dropped table that is past its time does not come back without its rows.
    let mut t = lake.begin(1).await.unwrap();
    t.drop_table(&name("T")).unwrap();
    t.commit(meta("drop")).await.unwrap();
    assert_eq!(lake.expire_tables(&[], days).await.unwrap(), 1);
    lake.expire(&[]).await.unwrap();
    assert_eq!(files(&dir.path().join("data")), 2);
    let dropped = lake.catalog().dropped_tables(0, |_| true).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.undrop_table(&dropped[0]).unwrap();
    let error = t.commit(meta("undrop")).await.unwrap_err().to_string();
    assert!(error.contains("gone for good"), "{error}");
    assert_eq!(
        ids_at(&lake, "COPY", lake.catalog().head().await.unwrap()).await.unwrap().len(),
        50
    );
}

/// All rows of a table with their ids, at a snapshot.
async fn identified(lake: &Lake, snapshot: i64) -> Vec<(i64, i64)> {
    let version = lake.table_version_at(&name("T"), snapshot).await.unwrap();
    let scan = || lake.scan(&version);
    let ids = ids(scan()).await;
    let mut all = Vec::new();
    for id in ids {
        all.push((row_ids(scan(), ident("ID").eq(lit(id))).await[0], id));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_no_snapshot_shows_are_reclaimed() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = with_table(dir.path()).await;
    let mut t = lake.begin(1).await.unwrap();
    t.append(&table, rows(0, 100)).await.unwrap();
    let full = t.commit(meta("rows")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(delete(&mut t, ident("ID").lt(lit(30_i64))).await, 30);
    let pinned = t.commit(meta("delete")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(update(&mut t, ident("ID").gt_eq(lit(80_i64)), "new").await, 20);
    t.commit(meta("update")).await.unwrap();
    let before = identified(&lake, lake.catalog().head().await.unwrap()).await;
    let file_rows = async |lake: &Lake| -> Vec<i64> {
        let head = lake.catalog().head().await.unwrap();
        let set = lake.catalog().files(table.table_id, head).await.unwrap();
        let mut rows: Vec<i64> = set.files.iter().map(|visible| visible.file.rows).collect();
        rows.sort_unstable();
        rows
    };

    // Every snapshot is there: every row may be asked for.
    assert_eq!(lake.reclaim().await.unwrap(), 0);
    assert_eq!(file_rows(&lake).await, [20, 100]);
    // What the pinned one shows stays, with the snapshot it ended at.
    lake.expire(&[pinned]).await.unwrap();
    assert_eq!(lake.reclaim().await.unwrap(), 1);
    assert_eq!(file_rows(&lake).await, [20, 70]);
    assert_eq!(ids_at(&lake, "T", full).await, None);
    assert_eq!(ids_at(&lake, "T", pinned).await.unwrap(), (30..100).collect::<Vec<_>>());
    assert_eq!(identified(&lake, lake.catalog().head().await.unwrap()).await, before);
    assert_eq!(lake.reclaim().await.unwrap(), 0);
    // Nobody asks for it any more.
    lake.expire(&[]).await.unwrap();
    assert_eq!(lake.reclaim().await.unwrap(), 1);
    assert_eq!(file_rows(&lake).await, [20, 50]);
    assert_eq!(identified(&lake, lake.catalog().head().await.unwrap()).await, before);
    // A file without any row is taken out.
    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(delete(&mut t, ident("ID").lt(lit(79_i64))).await, 49);
    t.commit(meta("delete")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(delete(&mut t, ident("ID").lt(lit(80_i64))).await, 1);
    t.commit(meta("delete")).await.unwrap();
    lake.expire(&[]).await.unwrap();
    lake.reclaim().await.unwrap();
    lake.expire(&[]).await.unwrap();
    assert_eq!(file_rows(&lake).await, [20]);
    assert_eq!(files(&dir.path().join("data")), 1);
    let report = lake.doctor().await.unwrap();
    assert!(report.is_healthy() && report.orphan_files.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_keeps_less_than_the_account_is_rid_of_its_deleted_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = with_table(dir.path()).await;
    let mut t = lake.begin(1).await.unwrap();
    let mut long = new_table("LONG", TableKind::Permanent);
    long.retention_days = Some(90);
    t.create_table(long).await.unwrap();
    t.append(&table, rows(0, 100)).await.unwrap();
    let full = t.commit(meta("rows")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(delete(&mut t, ident("ID").lt(lit(30_i64))).await, 30);
    let last = t.commit(meta("delete")).await.unwrap();
    let days =
        |_: &frazil_catalog::CatalogView, table: &TableInfo| table.retention_days.unwrap_or(0);
    lake.expire_tables(&[], days).await.unwrap();
    assert_eq!(lake.expire(&[]).await.unwrap().expired_snapshots, 0);
    assert_eq!(lake.reclaim().await.unwrap(), 1);
    // The account still has the snapshot, the table does not.
    assert_eq!(ids_at(&lake, "T", full).await, None);
    assert_eq!(ids_at(&lake, "T", last).await.unwrap(), (30..100).collect::<Vec<_>>());
    assert_eq!(ids_at(&lake, "LONG", full).await.unwrap(), Vec::<i64>::new());
}
