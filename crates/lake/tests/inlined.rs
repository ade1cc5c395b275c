//! Rows in the catalog database, their way into files, and upkeep: no snapshot's rows ever change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::{Expr, ident, lit};
use frazil_catalog::{ColumnInfo, TableInfo, TableKind};
use frazil_common::{SnapshotId, SqlType};
use frazil_lake::{Lake, LakeError, LakeSettings, LakeTransaction, NewTable, ROW_ID};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::*;

fn settings() -> LakeSettings {
    LakeSettings {
        inlined_deletes_max: 3,
        inlined_rows_max: 20,
        flush_rows: 50,
        flush_age: Duration::from_secs(3600),
        small_files_max: 3,
        removal_delay: Duration::ZERO,
        ..LakeSettings::default()
    }
}

async fn empty_table(dir: &Path) -> (Lake, Arc<TableInfo>) {
    empty_table_with(dir, settings()).await
}

async fn empty_table_with(dir: &Path, settings: LakeSettings) -> (Lake, Arc<TableInfo>) {
    let lake = open_with(dir, settings).await;
    let mut t = lake.begin(1).await.unwrap();
    t.create_database("D", false, None, None).unwrap();
    t.create_schema("D", "S", false, None, None).unwrap();
    t.create_table(new_table("T", TableKind::Permanent)).await.unwrap();
    t.commit(meta("create")).await.unwrap();
    let table = lake.view().await.unwrap().table(&name("T")).cloned().unwrap();
    (lake, table)
}

fn parquet_files(dir: &Path) -> usize {
    let mut count = 0;
    let mut folders = vec![dir.join("data")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => count += usize::from(!path.to_string_lossy().contains("-delete")),
            }
        }
    }
    count
}

/// Row id, id and name of every row, by row id.
async fn state(provider: Arc<dyn TableProvider>) -> Vec<(i64, i64, String)> {
    let frame = frame(provider).select(vec![ident(ROW_ID), ident("ID"), ident("NAME")]).unwrap();
    let mut rows = Vec::new();
    for batch in frame.collect().await.unwrap() {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let keys = batch.column(1).as_primitive::<Int64Type>();
        let names = batch.column(2).as_string_view();
        for row in 0..batch.num_rows() {
            rows.push((ids.value(row), keys.value(row), names.value(row).to_string()));
        }
    }
    rows.sort_unstable();
    rows
}

async fn state_at(lake: &Lake, snapshot: SnapshotId) -> Vec<(i64, i64, String)> {
    let version = lake.table_version_at(&name("T"), snapshot).await.unwrap();
    state(lake.scan(&version)).await
}

async fn insert(t: &mut LakeTransaction, from: i64, to: i64) {
    let table = t.table(&name("T")).unwrap();
    t.append(&table, rows(from, to)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_rows_lie_in_the_catalog_and_keep_their_ids() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = empty_table(dir.path()).await;
    let mut t = lake.begin(1).await.unwrap();
    insert(&mut t, 0, 5).await;
    // A transaction reads, changes and deletes what it has not committed.
    assert_eq!(ids(t.scan(&t.table_version(&table).await.unwrap())).await, [0, 1, 2, 3, 4]);
    assert_eq!(update(&mut t, ident("ID").eq(lit(1_i64)), "one").await, 1);
    assert_eq!(delete(&mut t, ident("ID").eq(lit(4_i64))).await, 1);
    assert_eq!(text(t.scan(&t.table_version(&table).await.unwrap()), 1).await, ["one"]);
    let first = t.commit(meta("first")).await.unwrap();
    assert_eq!(parquet_files(dir.path()), 0);
    assert_eq!(state(current(&lake).await).await.len(), 4);
    let mut unique: Vec<i64> = state(current(&lake).await).await.iter().map(|r| r.0).collect();
    unique.dedup();
    assert_eq!(unique, [0, 1, 2, 3]);

    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(update(&mut t, ident("ID").eq(lit(2_i64)), "two").await, 1);
    assert_eq!(delete(&mut t, ident("ID").eq(lit(0_i64))).await, 1);
    let second = t.commit(meta("second")).await.unwrap();
    let before = state_at(&lake, first).await;
    let after = state_at(&lake, second).await;
    let id_of = |rows: &[(i64, i64, String)], key: i64| {
        rows.iter().find(|row| row.1 == key).map(|row| (row.0, row.2.clone()))
    };
    let (old, new) = (id_of(&before, 2).unwrap(), id_of(&after, 2).unwrap());
    assert_eq!((old.0, old.1.as_str(), new.1.as_str()), (new.0, "n2", "two"));
    assert_eq!(id_of(&after, 0), None);

    // Many rows go to a file, and few changed rows of it come to the catalog.
    let mut t = lake.begin(1).await.unwrap();
    insert(&mut t, 100, 200).await;
    t.commit(meta("many")).await.unwrap();
    assert_eq!(parquet_files(dir.path()), 1);
    let mut t = lake.begin(1).await.unwrap();
    let before = id_of(&state(current(&lake).await).await, 150).unwrap();
    assert_eq!(update(&mut t, ident("ID").eq(lit(150_i64)), "x").await, 1);
    t.commit(meta("changed")).await.unwrap();
    assert_eq!(parquet_files(dir.path()), 1);
    let after = id_of(&state(current(&lake).await).await, 150).unwrap();
    assert_eq!((before.0, after.1.as_str()), (after.0, "x"));

    // A transaction of many small statements goes to a file after all.
    let mut t = lake.begin(1).await.unwrap();
    for start in 0..40 {
        insert(&mut t, 1000 + 10 * start, 1010 + 10 * start).await;
    }
    assert_eq!(t.table_version(&table).await.unwrap().row_count(), 503);
    t.commit(meta("statements")).await.unwrap();
    assert_eq!(parquet_files(dir.path()), 2);
    assert_eq!(state(current(&lake).await).await.len(), 503);

    let mut t = lake.begin(1).await.unwrap();
    assert_eq!(t.truncate(&table).await.unwrap(), 503);
    insert(&mut t, 7, 8).await;
    t.commit(meta("truncate")).await.unwrap();
    assert_eq!(ids(current(&lake).await).await, [7]);
    assert_eq!(state_at(&lake, second).await.len(), 3);
    assert!(lake.doctor().await.unwrap().is_healthy());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_inlined_row_has_one_winner() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = empty_table(dir.path()).await;
    let mut t = lake.begin(1).await.unwrap();
    insert(&mut t, 0, 5).await;
    t.commit(meta("insert")).await.unwrap();
    let mut a = lake.begin(1).await.unwrap();
    let mut b = lake.begin(2).await.unwrap();
    let mut c = lake.begin(3).await.unwrap();
    update(&mut a, ident("ID").eq(lit(1_i64)), "a").await;
    update(&mut b, ident("ID").eq(lit(1_i64)), "b").await;
    update(&mut c, ident("ID").eq(lit(2_i64)), "c").await;
    a.commit(meta("a")).await.unwrap();
    assert!(matches!(b.commit(meta("b")).await.unwrap_err(), LakeError::Conflict { .. }));
    c.commit(meta("c")).await.unwrap();
    assert_eq!(text(current(&lake).await, 1).await, ["a"]);
    assert_eq!(text(current(&lake).await, 2).await, ["c"]);

    // Upkeep leaves rows where they are while a transaction changes some of them.
    let mut late = lake.begin(1).await.unwrap();
    update(&mut late, ident("ID").eq(lit(3_i64)), "late").await;
    let table = lake.view().await.unwrap().table(&name("T")).cloned().unwrap();
    assert!(!lake.flush(table.table_id).await.unwrap());
    late.commit(meta("late")).await.unwrap();
    assert_eq!(text(current(&lake).await, 3).await, ["late"]);

    // Rows moved to a file between a statement's reading and its writing are not where they were.
    let mut slow = lake.begin(1).await.unwrap();
    let version = slow.table_version(&table).await.unwrap();
    let chosen = chosen(&lake, &version, ident("ID").eq(lit(3_i64)), vec![]).await;
    assert!(lake.flush(table.table_id).await.unwrap());
    slow.delete(&version, chosen).await.unwrap();
    assert!(matches!(slow.commit(meta("s")).await.unwrap_err(), LakeError::Conflict { .. }));
    assert_eq!(text(current(&lake).await, 3).await, ["late"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_in_a_group_are_all_there_and_lose_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = empty_table(dir.path()).await;
    let before = lake.catalog().head().await.unwrap();
    let mut tasks = Vec::new();
    for writer in 0..8_i64 {
        let (lake, table) = (lake.clone(), table.clone());
        tasks.push(tokio::spawn(async move {
            let mut snapshots = Vec::new();
            for row in 0..20 {
                let mut t = lake.begin(writer).await.unwrap();
                let key = writer * 1000 + row;
                t.append(&table, rows(key, key + 1)).await.unwrap();
                snapshots.push(t.commit(meta(&format!("w{key}"))).await.unwrap());
            }
            snapshots
        }));
    }
    let mut snapshots = Vec::new();
    for task in tasks {
        snapshots.extend(task.await.unwrap());
    }
    // Those that only add rows may share a snapshot; none is left out.
    snapshots.sort_unstable();
    snapshots.dedup();
    let head = lake.catalog().head().await.unwrap();
    assert_eq!(snapshots, (before + 1..=head).collect::<Vec<_>>());
    let rows = state(current(&lake).await).await;
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), (0..160).collect::<Vec<_>>());
    let query = lake.catalog().snapshot_of_statement("w3007").await.unwrap().unwrap();
    assert!(state_at(&lake, query).await.iter().any(|row| row.1 == 3007));
    let earlier = lake.catalog().snapshot_before_statement("w3007").await.unwrap().unwrap();
    assert_eq!(earlier, query - 1);
    assert!(!state_at(&lake, earlier).await.iter().any(|row| row.1 == 3007));

    // One of a group may lose without the others.
    let mut losers = 0;
    let mut ready = Vec::new();
    for writer in 0..8_i64 {
        let mut t = lake.begin(writer).await.unwrap();
        update(&mut t, ident("ID").eq(lit(writer / 2)), "twice").await;
        ready.push(t);
    }
    // Only now: one that begins after another's commit would not lose to it.
    let commits = ready.into_iter().map(|t| tokio::spawn(async move { t.commit(meta("u")).await }));
    let tasks: Vec<_> = commits.collect();
    for task in tasks {
        losers += usize::from(task.await.unwrap().is_err());
    }
    assert_eq!(losers, 4);
    let rows = state(current(&lake).await).await;
    assert_eq!(rows.iter().filter(|row| row.2 == "twice").count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_change_while_they_are_flushed_stay_right() {
    let dir = tempfile::tempdir().unwrap();
    // So overdue that the flush does not give way to the writer.
    let (lake, table) =
        empty_table_with(dir.path(), LakeSettings { flush_rows: 1, ..settings() }).await;
    let mut t = lake.begin(1).await.unwrap();
    insert(&mut t, 0, 5).await;
    let first = t.commit(meta("insert")).await.unwrap();
    let writer = {
        let lake = lake.clone();
        tokio::spawn(async move {
            let mut done = 0_i64;
            while done < 80 {
                let mut t = lake.begin(1).await.unwrap();
                update(&mut t, ident("ID").eq(lit(done % 5)), &format!("u{done}")).await;
                match t.commit(meta(&format!("u{done}"))).await {
                    Ok(_) => done += 1,
                    // The flush moved the row: as an autocommit statement, try again.
                    Err(LakeError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    };
    let mut flushed = 0;
    while !writer.is_finished() {
        match lake.flush(table.table_id).await {
            Ok(done) => flushed += usize::from(done),
            Err(LakeError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    writer.await.unwrap();
    assert!(flushed > 0);
    let head = lake.catalog().head().await.unwrap();
    let mut names = -1;
    for snapshot in first..=head {
        let rows = state_at(&lake, snapshot).await;
        let ids: Vec<_> = rows.iter().map(|row| (row.0, row.1)).collect();
        assert_eq!(ids, (0..5).map(|id| (id, id)).collect::<Vec<_>>(), "snapshot {snapshot}");
        let query = (0..80).filter(|n| rows.iter().any(|row| row.2 == format!("u{n}"))).max();
        // The newest name never goes back.
        assert!(query.unwrap_or(-1) >= names, "snapshot {snapshot}");
        names = query.unwrap_or(-1);
    }
    assert_eq!(names, 79);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_stay_where_they_are_while_a_transaction_changes_some() {
    let dir = tempfile::tempdir().unwrap();
    let settings = LakeSettings { flush_rows: 10, ..settings() };
    let (lake, table) = empty_table_with(dir.path(), settings).await;
    let mut t = lake.begin(1).await.unwrap();
    insert(&mut t, 0, 5).await;
    t.commit(meta("insert")).await.unwrap();
    let three = || ident("ID").eq(lit(3_i64));
    let mut open = lake.begin(1).await.unwrap();
    assert_eq!(update(&mut open, three(), "once").await, 1);
    for number in 1..8 {
        let mut t = lake.begin(2).await.unwrap();
        insert(&mut t, number * 10, number * 10 + 10).await;
        t.commit(meta(&format!("more{number}"))).await.unwrap();
    }
    // Overdue, and still not moved; what came last went to files.
    assert!(!lake.flush(table.table_id).await.unwrap());
    assert!(parquet_files(dir.path()) > 0);
    open.refresh().await.unwrap();
    let version = open.table_version(&table).await.unwrap();
    assert_eq!(text(open.scan(&version), 3).await, ["once"]);
    assert_eq!(version.row_count(), 75);
    assert_eq!(update(&mut open, three(), "twice").await, 1);
    open.commit(meta("open")).await.unwrap();
    assert!(lake.flush(table.table_id).await.unwrap());
    assert_eq!(text(current(&lake).await, 3).await, ["twice"]);
    assert_eq!(state(current(&lake).await).await.len(), 75);

    // Another client may move them: the transaction does not see both places.
    let mut t = lake.begin(1).await.unwrap();
    insert(&mut t, 100, 105).await;
    t.commit(meta("again")).await.unwrap();
    let mut open = lake.begin(1).await.unwrap();
    assert_eq!(update(&mut open, ident("ID").eq(lit(103_i64)), "late").await, 1);
    let other = Lake::inspect(lake.catalog().clone(), dir.path()).unwrap();
    assert!(other.flush(table.table_id).await.unwrap());
    open.refresh().await.unwrap();
    let version = open.table_version(&table).await;
    assert!(matches!(version, Err(LakeError::Conflict { .. })));
    open.rollback().await;
    assert_eq!(text(current(&lake).await, 103).await, ["n103"]);
}

/// What every snapshot showed when it was the newest.
type History = BTreeMap<SnapshotId, Vec<(i64, i64, String)>>;

async fn check(lake: &Lake, history: &History, what: &str) {
    for (snapshot, rows) in history {
        assert_eq!(&state_at(lake, *snapshot).await, rows, "{what}: snapshot {snapshot}");
    }
}

/// Random statements and upkeep; no snapshot may ever change, and rows keep their ids.
async fn run_history(seed: u64, steps: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, table) = empty_table(dir.path()).await;
    let mut random = StdRng::seed_from_u64(seed);
    let mut model: BTreeMap<i64, String> = BTreeMap::new();
    let mut history = History::new();
    let mut next = 0_i64;
    for step in 0..steps {
        let what = format!("seed {seed} step {step}");
        let mut t = lake.begin(1).await.unwrap();
        let mut wrote = false;
        for _ in 0..random.random_range(1..3) {
            let key: i64 = random.random_range(0..next.max(1));
            let many = random.random_range(0..4) == 0;
            let upper = key + if many { 40 } else { 2 };
            let range: Expr = ident("ID").gt_eq(lit(key)).and(ident("ID").lt(lit(upper)));
            match random.random_range(0..10) {
                0..=4 => {
                    let count = if many { 30 } else { random.random_range(1..4) };
                    insert(&mut t, next, next + count).await;
                    model.extend((next..next + count).map(|id| (id, format!("n{id}"))));
                    next += count;
                    wrote = true;
                }
                5..=7 => {
                    let name = format!("s{step}");
                    let changed = update(&mut t, range, &name).await;
                    for (_, value) in model.range_mut(key..upper) {
                        value.clone_from(&name);
                    }
                    wrote |= changed > 0;
                }
                _ => {
                    let gone = delete(&mut t, range).await;
                    model.retain(|id, _| *id < key || *id >= upper);
                    wrote |= gone > 0;
                }
            }
        }
        let snapshot = t.commit(meta(&format!("q{step}"))).await.unwrap();
        let rows = state_at(&lake, snapshot).await;
        let mut seen: Vec<(i64, String)> = rows.iter().map(|r| (r.1, r.2.clone())).collect();
        seen.sort_unstable();
        assert_eq!(seen, model.clone().into_iter().collect::<Vec<_>>(), "{what}");
        let mut ids: Vec<i64> = rows.iter().map(|r| r.0).collect();
        ids.dedup();
        assert_eq!(ids.len(), rows.len(), "{what}: row ids repeat");
        if let Some((_, before)) = history.last_key_value() {
            let known: BTreeMap<i64, i64> = before.iter().map(|r| (r.1, r.0)).collect();
            for (row_id, key, _) in &rows {
                assert_eq!(known.get(key).unwrap_or(row_id), row_id, "{what}: a row id changed");
            }
        }
        if wrote {
            history.insert(snapshot, rows);
        }
        match random.random_range(0..8) {
            0 => {
                lake.flush(table.table_id).await.unwrap();
                check(&lake, &history, &format!("{what} flush")).await;
            }
            1 => {
                lake.merge(table.table_id).await.unwrap();
                check(&lake, &history, &format!("{what} merge")).await;
            }
            2 => {
                // As after a restart: nothing is known but what the disk has.
                lake.catalog().close().await;
                lake = open_with(dir.path(), settings()).await;
                check(&lake, &history, &format!("{what} reopen")).await;
            }
            _ => {}
        }
    }
    lake.expire(&[]).await.unwrap();
    check(&lake, &history, "removal").await;
    let report = lake.doctor().await.unwrap();
    assert!(report.is_healthy() && report.orphan_files.is_empty(), "{seed}: {report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upkeep_changes_no_snapshot() {
    for seed in 0..6 {
        run_history(seed, 25).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inlined_rows_follow_a_changed_definition() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = empty_table(dir.path()).await;
    let mut t = lake.begin(1).await.unwrap();
    insert(&mut t, 0, 3).await;
    let old = t.commit(meta("insert")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    let seven = datafusion::scalar::ScalarValue::Int64(Some(7));
    t.add_column(&name("T"), ColumnInfo::new("Y", INT, true), Some(seven)).await.unwrap();
    t.rename_column(&name("T"), "NAME", "LABEL").unwrap();
    t.drop_column(&name("T"), "X").unwrap();
    t.commit(meta("alter")).await.unwrap();
    let look = async |lake: &Lake| {
        let frame = frame(current(lake).await).sort(vec![ident("ID").sort(true, true)]).unwrap();
        let batches = frame
            .select(vec![ident("ID"), ident("LABEL"), ident("Y"), ident(ROW_ID)])
            .unwrap()
            .collect()
            .await
            .unwrap();
        datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string()
    };
    let shown = look(&lake).await;
    assert!(shown.contains("| 2  | n2    | 7 | 2"), "{shown}");
    assert_eq!(state_at(&lake, old).await.len(), 3);
    assert!(lake.flush(table.table_id).await.unwrap());
    assert_eq!(look(&lake).await, shown);
    assert_eq!(state_at(&lake, old).await[2], (2, 2, "n2".to_string()));
    assert_eq!(
        text(lake.scan(&lake.table_version_at(&name("T"), old).await.unwrap()), 1).await,
        ["n1"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_keeps_what_is_pinned_and_removes_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = empty_table(dir.path()).await;
    let mut t = lake.begin(1).await.unwrap();
    insert(&mut t, 0, 50).await;
    let pinned = t.commit(meta("one")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.truncate(&table).await.unwrap();
    insert(&mut t, 50, 100).await;
    let middle = t.commit(meta("two")).await.unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.truncate(&table).await.unwrap();
    insert(&mut t, 100, 150).await;
    let last = t.commit(meta("three")).await.unwrap();
    // Within the retention time nothing goes.
    assert_eq!(lake.expire(&[]).await.unwrap().expired_snapshots, 0);
    lake.catalog().close().await;
    let short = LakeSettings { retention: Duration::ZERO, ..settings() };
    let lake = open_with(dir.path(), short).await;
    // An open transaction protects its snapshot's files.
    let reader = lake.begin(5).await.unwrap();
    let version = lake.table_version_at(&name("T"), middle).await.unwrap();
    let report = lake.expire(&[pinned]).await.unwrap();
    assert!(report.expired_snapshots >= 2 && report.removed_files == 0, "{report:?}");
    assert_eq!(ids(lake.scan(&version)).await.len(), 50);
    assert!(lake.table_version_at(&name("T"), middle).await.is_err());
    drop(reader);
    assert_eq!(lake.expire(&[pinned]).await.unwrap().removed_files, 1);
    assert_eq!(parquet_files(dir.path()), 2);
    assert_eq!(state_at(&lake, pinned).await.len(), 50);
    assert_eq!(state_at(&lake, last).await.len(), 50);
    let report = lake.expire(&[]).await.unwrap();
    assert_eq!((report.expired_snapshots, report.removed_files), (1, 1));
    assert_eq!(ids(current(&lake).await).await, (100..150).collect::<Vec<_>>());
    // A dropped table goes as a whole when its last snapshot does.
    let mut t = lake.begin(1).await.unwrap();
    t.drop_table(&name("T")).unwrap();
    t.commit(meta("drop")).await.unwrap();
    lake.expire(&[]).await.unwrap();
    assert_eq!(parquet_files(dir.path()), 0);
    let report = lake.doctor().await.unwrap();
    assert!(report.is_healthy() && report.orphan_files.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_other_types_keep_files() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = empty_table(dir.path()).await;
    for (table, ty) in [("V", SqlType::Variant), ("Z", SqlType::TIMESTAMP_TZ)] {
        let columns = vec![ColumnInfo::new("ID", INT, true), ColumnInfo::new("C", ty, true)];
        let mut t = lake.begin(1).await.unwrap();
        let new = NewTable {
            name: name(table),
            columns: columns.clone(),
            kind: TableKind::Permanent,
            comment: None,
            cluster_by: None,
            retention_days: None,
            change_tracking: false,
        };
        let info = t.create_table(new).await.unwrap();
        assert!(!info.can_inline());
        let fields: Vec<_> = columns.iter().map(|c| c.to_column().to_field()).collect();
        let schema = Arc::new(datafusion::arrow::datatypes::Schema::new(fields));
        let nulls = datafusion::arrow::array::RecordBatch::try_new(
            Arc::clone(&schema),
            schema
                .fields()
                .iter()
                .map(|f| datafusion::arrow::array::new_null_array(f.data_type(), 1))
                .collect(),
        )
        .unwrap();
        t.append(&info, stream(nulls)).await.unwrap();
        t.commit(meta(table)).await.unwrap();
    }
    assert_eq!(parquet_files(dir.path()), 2);
}

/// A value that another client may inline, and we cannot read, is that table's matter alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_cannot_be_read_stops_no_other_tables_upkeep() {
    let dir = tempfile::tempdir().unwrap();
    let eager = LakeSettings { flush_age: Duration::ZERO, ..settings() };
    let (lake, _) = empty_table_with(dir.path(), eager).await;
    let columns =
        vec![ColumnInfo::new("ID", INT, true), ColumnInfo::new("AT", SqlType::TIMESTAMP_NTZ, true)];
    let mut t = lake.begin(1).await.unwrap();
    for other in ["U", "V", "W"] {
        t.create_table(new_table(other, TableKind::Permanent)).await.unwrap();
    }
    let bad = NewTable { columns: columns.clone(), ..new_table("BAD", TableKind::Permanent) };
    t.create_table(bad).await.unwrap();
    t.commit(meta("create")).await.unwrap();
    let bad = lake.view().await.unwrap().table(&name("BAD")).cloned().unwrap();
    let fill = async |from: i64| {
        let mut t = lake.begin(1).await.unwrap();
        for other in ["T", "U", "V", "W"] {
            let table = t.table(&name(other)).unwrap();
            t.append(&table, rows(from, from + 1)).await.unwrap();
        }
        t.commit(meta("fill")).await.unwrap();
    };
    fill(0).await;
    let fields: Vec<_> = columns.iter().map(|c| c.to_column().to_field()).collect();
    let schema = Arc::new(datafusion::arrow::datatypes::Schema::new(fields));
    let null = |data_type| datafusion::arrow::array::new_null_array(data_type, 1);
    let nulls = schema.fields().iter().map(|field| null(field.data_type())).collect();
    let nulls = datafusion::arrow::array::RecordBatch::try_new(Arc::clone(&schema), nulls).unwrap();
    let mut t = lake.begin(1).await.unwrap();
    t.append(&bad, stream(nulls)).await.unwrap();
    t.commit(meta("bad")).await.unwrap();
    let mut tx = lake.catalog().begin_write().await.unwrap();
    let sql = "SELECT table_name FROM ducklake_inlined_data_tables WHERE table_id = ?";
    let place: String =
        sqlx::query_scalar(sql).bind(bad.table_id).fetch_one(&mut *tx).await.unwrap();
    let sql = format!("UPDATE \"{place}\" SET \"AT\" = 'infinity'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();

    let told = |error: LakeError| {
        let error = frazil_common::UserError::from(error);
        assert_eq!(error.code, frazil_common::Code::Unsupported, "{error}");
        assert!(error.message.contains("AT of D.S.BAD"), "{error}");
        // Policies may hide the value.
        assert!(!error.message.contains("infinity"), "{error}");
    };
    let left = async || {
        let counts = lake.catalog().inlined_counts().await.unwrap();
        counts.into_iter().map(|(table, _)| table).collect::<Vec<_>>()
    };
    told(lake.tidy().await.unwrap_err());
    assert_eq!(left().await, [bad.table_id]);
    // It is left alone for a while.
    fill(1).await;
    assert_eq!(lake.tidy().await.unwrap().flushed_tables, 4);
    fill(2).await;
    told(lake.tidy_all().await.unwrap_err());
    assert_eq!(left().await, [bad.table_id]);
    lake.reclaim().await.unwrap();
    let head = lake.catalog().head().await.unwrap();
    let version = lake.table_version_at(&name("BAD"), head).await.unwrap();
    told(frame(lake.scan(&version)).collect().await.unwrap_err().into());
    // What reads another column reads it.
    assert_eq!(frame(lake.scan(&version)).count().await.unwrap(), 1);
    assert_eq!(ids(current(&lake).await).await, [0, 1, 2]);
}
