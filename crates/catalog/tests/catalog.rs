//! Commits, definitions, counters and times of the catalog.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use frazil_catalog::changes::{ColumnStatistics, NewDataFile, NewInlinedRows, TableChange};
use frazil_catalog::{
    Catalog, CatalogChange, CatalogError, ColumnInfo, CommitMeta, CommitRequest, ConstraintInfo,
    ConstraintKind, DatabaseInfo, SchemaInfo, SortBy, SortKey, TableInfo, TableKind,
};
use frazil_common::{Code, QualifiedName, SqlType, TimeZoneKind, VectorElement};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("frazil-{name}-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
    fn file(&self) -> PathBuf {
        self.0.join("catalog.sqlite")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn types() -> Vec<SqlType> {
    vec![
        SqlType::Number { precision: 9, scale: 0 },
        SqlType::Number { precision: 38, scale: 10 },
        SqlType::Float,
        SqlType::Varchar { length: 5 },
        SqlType::BYTES,
        SqlType::Boolean,
        SqlType::Date,
        SqlType::Time { scale: 9, nanos: true },
        SqlType::TIMESTAMP_NTZ,
        SqlType::Timestamp { zone: TimeZoneKind::Ltz, scale: 3, nanos: false },
        SqlType::TIMESTAMP_TZ,
        SqlType::Object,
        SqlType::Array,
        SqlType::Vector { element: VectorElement::Int, dimension: 3 },
    ]
}

fn table(id: i64, schema_id: i64, name: &str) -> Arc<TableInfo> {
    let mut table = TableInfo {
        table_id: id,
        schema_id,
        name: QualifiedName::new("D", "S", name),
        uuid: uuid::Uuid::now_v7().to_string(),
        path: format!("s/{name}/"),
        columns: types()
            .into_iter()
            .enumerate()
            .map(|(i, ty)| ColumnInfo::new(format!("C{i}"), ty, i % 2 == 0))
            .collect(),
        kind: TableKind::Transient,
        comment: Some("it's a table".into()),
        cluster_by: Some("LINEAR(C1, C0)".into()),
        sort_keys: [2, 1]
            .map(|id| SortKey { by: SortBy::Column(id), descending: false, nulls_first: false })
            .into(),
        partitioning: None,
        recluster_suspended: true,
        constraints: vec![
            ConstraintInfo {
                name: "K".into(),
                kind: ConstraintKind::PrimaryKey,
                columns: vec![1, 2],
                comment: Some("the key".into()),
                created_micros: 7,
            },
            ConstraintInfo {
                name: "F".into(),
                kind: ConstraintKind::ForeignKey { table_id: id, columns: vec![1] },
                columns: vec![3],
                comment: None,
                created_micros: 8,
            },
        ],
        retention_days: Some(3),
        change_tracking: Some(0),
        created_micros: 0,
        last_field_id: 0,
        defined_at: 0,
    };
    table.columns[0].default = Some("1 + 1".into());
    table.assign_field_ids();
    Arc::new(table)
}

fn start() -> Vec<CatalogChange> {
    vec![
        CatalogChange::CreateDatabase(Arc::new(DatabaseInfo {
            database_id: -1,
            name: "D".into(),
            comment: None,
            transient: false,
            retention_days: Some(7),
            created_micros: 0,
        })),
        CatalogChange::CreateSchema(Arc::new(SchemaInfo {
            schema_id: -2,
            database: "D".into(),
            name: "S".into(),
            ducklake_name: "D.S".into(),
            uuid: "u".into(),
            path: "s/".into(),
            comment: None,
            transient: false,
            retention_days: Some(7),
            created_micros: 0,
        })),
        CatalogChange::CreateTable(table(-3, -2, "T")),
    ]
}

async fn commit(
    catalog: &Catalog,
    changes: Vec<CatalogChange>,
    query: &str,
) -> Result<i64, CatalogError> {
    let request = CommitRequest {
        base: catalog.head().await?,
        changes,
        tables: Vec::new(),
        loads: Vec::new(),
        relocations: vec![],
        account: Default::default(),
        meta: CommitMeta { query_id: Some(query.into()), ..CommitMeta::default() },
    };
    Ok(catalog.commit(request).await?.snapshot)
}

async fn open(path: &Path) -> Catalog {
    Catalog::open(path).await.unwrap()
}

#[tokio::test]
async fn definitions_come_back_as_they_were_committed() {
    let folder = Folder::new("definitions");
    let catalog = open(&folder.file()).await;
    assert_eq!(catalog.head_view().await.unwrap().databases().count(), 0);
    commit(&catalog, start(), "q").await.unwrap();
    catalog.close().await;

    let catalog = open(&folder.file()).await;
    let view = catalog.head_view().await.unwrap();
    let name = QualifiedName::new("D", "S", "T");
    let found = view.table(&name).unwrap();
    let wanted = table(-3, -2, "T");
    assert_eq!(found.columns, wanted.columns);
    assert_eq!(found.kind, TableKind::Transient);
    assert_eq!(found.comment, wanted.comment);
    assert_eq!(found.cluster_by, wanted.cluster_by);
    assert_eq!(found.sort_keys, wanted.sort_keys);
    assert!(found.recluster_suspended);
    let mut constraints = wanted.constraints.clone();
    constraints[1].kind = ConstraintKind::ForeignKey { table_id: found.table_id, columns: vec![1] };
    assert_eq!(found.constraints, constraints);
    assert_eq!(found.retention_days, Some(3));
    assert!(found.change_tracking.is_some_and(|since| since > 0));
    assert_eq!(found.path, "s/T/");
    assert!(found.table_id > 0 && found.created_micros > 0);
    assert_eq!(view.tables_in("D", "S").count(), 1);
    assert_eq!(view.tables_in("D", "").count(), 0);
    // Nothing of it in the snapshot before.
    assert_eq!(catalog.view(0).await.unwrap().databases().count(), 0);
    assert!(catalog.view(99).await.is_err());
    assert!(catalog.integrity().await.unwrap().is_empty());
}

#[tokio::test]
async fn renamed_databases_keep_their_schemas_at_every_snapshot() {
    let folder = Folder::new("renamed");
    let catalog = open(&folder.file()).await;
    let first = commit(&catalog, start(), "q").await.unwrap();
    let [_, schema, _] = start().try_into().unwrap();
    let before = catalog.head_view().await.unwrap().database("D").unwrap().clone();
    let after = Arc::new(DatabaseInfo { name: "E".into(), ..DatabaseInfo::clone(&before) });
    let rename = |before: &Arc<DatabaseInfo>, after: &Arc<DatabaseInfo>| {
        vec![CatalogChange::AlterDatabase { before: before.clone(), after: after.clone() }]
    };
    let renamed = commit(&catalog, rename(&before, &after), "r").await.unwrap();
    let again = QualifiedName::new("E", "S", "T");
    assert!(catalog.head_view().await.unwrap().table(&again).is_some());
    // What was begun before is a lost race: of a schema, and of another name.
    for lost in [vec![schema.clone()], rename(&before, &after)] {
        let error = commit(&catalog, lost, "s").await.unwrap_err();
        assert!(matches!(error, CatalogError::Conflict { .. }), "{error}");
    }
    // Another database takes the name, with a schema of the same name.
    commit(&catalog, start(), "other").await.unwrap();
    let (one, two) = (after, catalog.head_view().await.unwrap().database("D").unwrap().clone());
    let swap = CatalogChange::SwapDatabases { first: one.clone(), second: two.clone() };
    let swapped = commit(&catalog, vec![swap], "swap").await.unwrap();
    catalog.close().await;

    let catalog = open(&folder.file()).await;
    for (snapshot, name, id) in [
        (first, "D", one.database_id),
        (renamed, "E", one.database_id),
        (swapped - 1, "D", two.database_id),
        (swapped - 1, "E", one.database_id),
        (swapped, "D", one.database_id),
        (swapped, "E", two.database_id),
    ] {
        let view = catalog.view(snapshot).await.unwrap();
        assert_eq!(view.database(name).unwrap().database_id, id, "{name} at {snapshot}");
        assert!(view.table(&QualifiedName::new(name, "S", "T")).is_some(), "{name} at {snapshot}");
        assert_eq!(view.schemas_in(name).count(), 1, "{name} at {snapshot}");
        assert!(view.database_by_id(id).is_some_and(|found| found.name == name));
    }
    assert_eq!(catalog.view(first).await.unwrap().databases().count(), 1);
    assert!(catalog.integrity().await.unwrap().is_empty());
}

#[tokio::test]
async fn names_that_differ_only_in_case_are_refused() {
    let folder = Folder::new("names");
    let catalog = open(&folder.file()).await;
    commit(&catalog, start(), "q").await.unwrap();
    let schema = catalog.head_view().await.unwrap().schema("D", "S").unwrap().schema_id;
    for name in ["T", "t"] {
        let error =
            commit(&catalog, vec![CatalogChange::CreateTable(table(-1, schema, name))], "r")
                .await
                .unwrap_err();
        match error {
            CatalogError::User(error) => assert_eq!(error.code, Code::ObjectExists),
            other => panic!("{other}"),
        }
    }
    assert_eq!(catalog.head().await.unwrap(), 1);
}

#[tokio::test]
async fn counters_never_give_a_value_twice() {
    let folder = Folder::new("counters");
    let catalog = open(&folder.file()).await;
    let id = catalog.create_counter(10, 5).await.unwrap();
    assert_eq!(catalog.next_values(id, 3).await.unwrap(), 10);
    catalog.close().await;
    let catalog = open(&folder.file()).await;
    assert_eq!(catalog.next_values(id, 1).await.unwrap(), 25);
    assert!(catalog.next_values(id + 1, 1).await.is_err());
    assert!(catalog.next_values(id, u64::MAX).await.is_err());
}

#[tokio::test]
async fn snapshots_are_found_by_time_and_statement() {
    let folder = Folder::new("times");
    let catalog = open(&folder.file()).await;
    let first = commit(&catalog, start(), "one").await.unwrap();
    let schema = catalog.head_view().await.unwrap().schema("D", "S").unwrap().schema_id;
    let change = CatalogChange::CreateTable(table(-1, schema, "U"));
    let second = commit(&catalog, vec![change], "two").await.unwrap();
    let infos = catalog.snapshots(-1).await.unwrap();
    assert_eq!(infos.len(), 3);
    assert_eq!(infos[2].query_id.as_deref(), Some("two"));
    assert!(infos.is_sorted_by_key(|i| i.micros));
    assert_eq!(catalog.snapshot_at(infos[1].micros).await.unwrap(), first);
    assert_eq!(catalog.snapshot_at(infos[2].micros - 1).await.unwrap(), first);
    assert_eq!(catalog.snapshot_at(i64::MAX).await.unwrap(), second);
    assert!(catalog.snapshot_at(0).await.is_err());
    assert_eq!(catalog.snapshot_before_statement("two").await.unwrap(), Some(first));
    assert_eq!(catalog.snapshot_of_statement("two").await.unwrap(), Some(second));
    assert_eq!(catalog.snapshot_of_statement("three").await.unwrap(), None);
    assert_eq!(catalog.statement_with_prefix("tw").await.unwrap().as_deref(), Some("two"));
    assert_eq!(catalog.statement_with_prefix("").await.unwrap().as_deref(), Some("two"));
    assert_eq!(catalog.statement_with_prefix("on").await.unwrap().as_deref(), Some("one"));
    assert_eq!(catalog.statement_with_prefix("n").await.unwrap(), None);
    assert_eq!(catalog.statement_with_prefix("p").await.unwrap(), None);
}

/// A clock that was a day ahead for a commit and was set back: later commits are seen all the same.
#[tokio::test]
async fn a_clock_that_is_set_back_hides_no_commit() {
    const DAY: i64 = 24 * 3600 * 1_000_000;
    let folder = Folder::new("clock");
    let catalog = open(&folder.file()).await;
    let first = commit(&catalog, start(), "one").await.unwrap();
    let schema = catalog.head_view().await.unwrap().schema("D", "S").unwrap().schema_id;
    let create = |name: &str| vec![CatalogChange::CreateTable(table(-1, schema, name))];
    let ahead = commit(&catalog, create("T2"), "two").await.unwrap();
    let mut writer = catalog.begin_write().await.unwrap();
    sqlx::query(
        "UPDATE ducklake_snapshot SET snapshot_time = strftime('%Y-%m-%d %H:%M:%f', 'now', '+1 day') \
         || '000+00' WHERE snapshot_id = ?",
    )
    .bind(ahead)
    .execute(&mut *writer)
    .await
    .unwrap();
    writer.commit().await.unwrap();
    catalog.close().await;
    let catalog = open(&folder.file()).await;
    let last = commit(&catalog, create("T3"), "three").await.unwrap();
    let infos = catalog.snapshots(-1).await.unwrap();
    let micros: Vec<i64> = infos.iter().map(|info| info.micros).collect();
    assert!(micros.is_sorted_by(|one, next| one < next), "{micros:?}");
    let (began, set_to) = (micros[1], micros[2]);
    // The time was cut to milliseconds.
    let now = set_to - DAY + 1000;
    assert!(began <= now, "{began} {now}");
    assert_eq!(catalog.snapshot_asked_for(now, now).await.unwrap(), last);
    assert_eq!(catalog.snapshot_asked_for(began - 1, now).await.unwrap(), first - 1);
    // Nobody knows when the clock was wrong.
    for micros in [began, now - 1] {
        match catalog.snapshot_asked_for(micros, now).await.unwrap_err() {
            CatalogError::User(error) => assert!(error.message.contains("clock"), "{error:?}"),
            other => panic!("{other}"),
        }
    }
    // The day is over, and all times tell again.
    let later = now + 2 * DAY;
    assert_eq!(catalog.snapshot_asked_for(now, later).await.unwrap(), first);
    assert_eq!(catalog.snapshot_asked_for(later, later).await.unwrap(), last);
}

/// A snapshot that outlives its successors is not taken for what was current in their time.
#[tokio::test]
async fn times_of_expired_snapshots_are_not_answered() {
    let folder = Folder::new("gaps");
    let catalog = open(&folder.file()).await;
    let first = commit(&catalog, start(), "one").await.unwrap();
    let schema = catalog.head_view().await.unwrap().schema("D", "S").unwrap().schema_id;
    for name in ["T2", "T3", "T4"] {
        let change = CatalogChange::CreateTable(table(-1, schema, name));
        commit(&catalog, vec![change], name).await.unwrap();
    }
    let times: Vec<i64> =
        catalog.snapshots(-1).await.unwrap().iter().map(|info| info.micros).collect();
    let at = |snapshot: i64| times[usize::try_from(snapshot).unwrap()];
    assert_eq!(catalog.current_until(first).await.unwrap(), Some(at(first + 1)));
    let mut writer = catalog.begin_write().await.unwrap();
    sqlx::query("DELETE FROM ducklake_snapshot WHERE snapshot_id = ?")
        .bind(first + 1)
        .execute(&mut *writer)
        .await
        .unwrap();
    writer.commit().await.unwrap();
    catalog.close().await;
    let catalog = open(&folder.file()).await;
    for micros in [at(first), at(first + 2) - 1] {
        match catalog.snapshot_at(micros).await.unwrap_err() {
            CatalogError::User(error) => assert_eq!(error.code, Code::TimeTravelUnavailable),
            other => panic!("{other}"),
        }
    }
    assert_eq!(catalog.snapshot_at(at(first) - 1).await.unwrap(), first - 1);
    assert_eq!(catalog.snapshot_at(at(first + 2)).await.unwrap(), first + 2);
    assert_eq!(catalog.snapshot_at(i64::MAX).await.unwrap(), first + 3);
    assert_eq!(catalog.current_until(first).await.unwrap(), Some(at(first)));
    assert_eq!(catalog.current_until(first + 2).await.unwrap(), Some(at(first + 3)));
    assert_eq!(catalog.current_until(first + 3).await.unwrap(), None);
}

#[tokio::test]
async fn files_of_a_snapshot_stay_the_same() {
    let folder = Folder::new("files");
    let catalog = open(&folder.file()).await;
    commit(&catalog, start(), "q").await.unwrap();
    let view = catalog.head_view().await.unwrap();
    let info = view.tables().next().cloned().unwrap();
    let add = |path: &str, low: i64, high: i64| CommitRequest {
        base: view.snapshot,
        tables: vec![TableChange {
            table_id: info.table_id,
            table_name: info.name.to_string(),
            base: None,
            defined_at: info.defined_at,
            inlined: vec![],
            added: vec![NewDataFile {
                path: path.into(),
                rows: 10,
                bytes: 100,
                footer_bytes: 10,
                keeps_row_ids: false,
                partition: None,
                statistics: vec![ColumnStatistics {
                    field_id: 1,
                    value_count: 10,
                    min: Some(low.to_string()),
                    max: Some(high.to_string()),
                    ..ColumnStatistics::default()
                }],
            }],
            deletes: Vec::new(),
            ended_files: Vec::new(),
            ended_inlined_rows: Vec::new(),
        }],
        ..CommitRequest::default()
    };
    let one = catalog.commit(add("a.parquet", 9, 10)).await.unwrap().snapshot;
    assert_eq!(catalog.files(info.table_id, one).await.unwrap().files.len(), 1);
    let two = catalog.commit(add("b.parquet", 100, 200)).await.unwrap().snapshot;
    let files = catalog.files(info.table_id, two).await.unwrap();
    let starts: Vec<_> = files.files.iter().map(|f| f.file.row_id_start).collect();
    assert_eq!(starts, [Some(0), Some(10)]);
    assert_eq!(catalog.files(info.table_id, one).await.unwrap().files.len(), 1);
    // Bounds of the whole table compare as numbers: "100" is above "9".
    let bounds: (String, String) = sqlx::query_as(
        "SELECT min_value, max_value FROM ducklake_table_column_stats WHERE column_id = 1",
    )
    .fetch_one(&mut *catalog.reader().await.unwrap())
    .await
    .unwrap();
    assert_eq!(bounds, ("9".to_string(), "200".to_string()));
    let sizes = catalog.table_sizes(two).await.unwrap();
    assert_eq!((sizes[&info.table_id].rows, sizes[&info.table_id].bytes), (20, 200));
}

/// A catalog from before a migration: it is opened, changed once, and stays so.
#[tokio::test]
async fn view_aliases_lose_their_blanks() {
    let folder = Folder::new("aliases");
    let before = [
        ("TWO", "\"A\", \"B\"", "\"A\",\"B\""),
        ("ONE", "\"A\"", "\"A\""),
        // What looks like an end is part of the name.
        ("ODD", "\"A\"\", \"\"B\"", "\"A\"\", \"\"B\""),
    ];
    {
        let catalog = Catalog::open(&folder.file()).await.unwrap();
        let mut writer = catalog.begin_write().await.unwrap();
        sqlx::query("DELETE FROM frazil_migration").execute(&mut *writer).await.unwrap();
        for (name, aliases, _) in before {
            sqlx::query(
                "INSERT INTO ducklake_view VALUES (1, 'u', 0, NULL, 0, ?, 'duckdb', 'SELECT 1', ?)",
            )
            .bind(name)
            .bind(aliases)
            .execute(&mut *writer)
            .await
            .unwrap();
        }
        writer.commit().await.unwrap();
        catalog.close().await;
    }
    for _ in 0..2 {
        let catalog = Catalog::open(&folder.file()).await.unwrap();
        for (name, _, after) in before {
            let aliases: String =
                sqlx::query_scalar("SELECT column_aliases FROM ducklake_view WHERE view_name = ?")
                    .bind(name)
                    .fetch_one(&mut *catalog.reader().await.unwrap())
                    .await
                    .unwrap();
            assert_eq!(aliases, after, "{name}");
        }
    }
}

/// A table of one column whose rows are kept in the catalog.
fn numbers(id: i64, schema_id: i64, name: &str) -> Arc<TableInfo> {
    let mut numbers = TableInfo::clone(&table(id, schema_id, name));
    numbers.columns = vec![ColumnInfo::new("N", SqlType::Number { precision: 18, scale: 0 }, true)];
    (numbers.cluster_by, numbers.sort_keys, numbers.constraints) = (None, vec![], vec![]);
    numbers.assign_field_ids();
    Arc::new(numbers)
}

/// A commit of rows for such a table, as it was at `base`.
fn adds(values: &[i64], info: &TableInfo, base: i64) -> CommitRequest {
    let field = Field::new("N", DataType::Int64, true);
    let rows = RecordBatch::try_new(
        Arc::new(Schema::new(vec![field])),
        vec![Arc::new(Int64Array::from(values.to_vec()))],
    )
    .unwrap();
    CommitRequest {
        base,
        tables: vec![TableChange {
            table_id: info.table_id,
            table_name: info.name.to_string(),
            base: None,
            defined_at: info.defined_at,
            inlined: vec![NewInlinedRows { rows, row_ids: None, statistics: vec![] }],
            added: vec![],
            deletes: vec![],
            ended_files: vec![],
            ended_inlined_rows: vec![],
        }],
        ..CommitRequest::default()
    }
}

/// A process goes by what it knows of its last commit, while another one commits between.
#[tokio::test]
async fn commits_of_two_processes_take_each_row_id_once() {
    let folder = Folder::new("two");
    let catalogs = [open(&folder.file()).await, open(&folder.file()).await];
    commit(&catalogs[0], start(), "q").await.unwrap();
    let schema = catalogs[0].head_view().await.unwrap().schema("D", "S").unwrap().schema_id;
    for name in ["N", "M"] {
        let created = vec![CatalogChange::CreateTable(numbers(-1, schema, name))];
        commit(&catalogs[0], created, name).await.unwrap();
    }
    let of = |name: &str| QualifiedName::new("D", "S", name);
    let mut expected: [Vec<i64>; 2] = Default::default();
    let mut last = catalogs[0].head().await.unwrap();
    for (round, step) in "aaaabbaabbbabaaAAabBBaabbAabB".bytes().cycle().take(116).enumerate() {
        let catalog = &catalogs[usize::from(step.eq_ignore_ascii_case(&b'b'))];
        let table = usize::from(step.is_ascii_uppercase());
        let view = catalog.head_view().await.unwrap();
        // Some began before the last commits.
        let base = view.snapshot - i64::from(round % 7 == 3) * 2;
        let values: Vec<i64> = (0..1 + round as i64 % 3).map(|n| round as i64 * 10 + n).collect();
        let info = view.table(&of(["N", "M"][table])).unwrap();
        last += 1;
        assert_eq!(catalog.commit(adds(&values, info, base)).await.unwrap().snapshot, last);
        expected[table].extend(values);
    }
    for (name, expected) in ["N", "M"].iter().zip(expected) {
        let view = catalogs[1].head_view().await.unwrap();
        let info = view.table(&of(name)).unwrap();
        let mut found = Vec::new();
        for history in catalogs[1].inlined_history(info.table_id, last).await.unwrap() {
            let rows = &history.batch.rows;
            let values = rows.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
            let ids = history.batch.row_ids.iter().copied();
            found.extend(ids.zip(values.values().iter().copied()));
        }
        found.sort_unstable();
        assert_eq!(found, (0_i64..).zip(expected).collect::<Vec<_>>(), "{name}");
        let sizes = catalogs[1].table_sizes(last).await.unwrap();
        assert_eq!(sizes[&info.table_id].rows, found.len() as u64, "{name}");
    }
    // What was altered by the other one is not written over.
    let view = catalogs[0].head_view().await.unwrap();
    let info = view.table(&of("N")).unwrap();
    catalogs[0].commit(adds(&[1], info, last)).await.unwrap();
    let dropped = vec![CatalogChange::DropTable(Arc::clone(info))];
    commit(&catalogs[1], dropped, "drop").await.unwrap();
    let error = catalogs[0].commit(adds(&[2], info, last + 1)).await.unwrap_err();
    assert!(matches!(error, CatalogError::Conflict { .. }), "{error}");
}

/// Snapshots that another process made may be gone again, and their numbers free.
#[tokio::test]
async fn a_commit_is_never_older_than_one_that_another_process_forgot() {
    let folder = Folder::new("forgotten");
    let catalogs = [open(&folder.file()).await, open(&folder.file()).await];
    commit(&catalogs[0], start(), "q").await.unwrap();
    let schema = catalogs[0].head_view().await.unwrap().schema("D", "S").unwrap().schema_id;
    let created = vec![CatalogChange::CreateTable(numbers(-1, schema, "N"))];
    commit(&catalogs[0], created, "N").await.unwrap();
    let view = catalogs[0].head_view().await.unwrap();
    let info = view.table(&QualifiedName::new("D", "S", "N")).unwrap();
    // Twice, so that the next one need not read.
    for value in [1, 2] {
        catalogs[0].commit(adds(&[value], info, view.snapshot)).await.unwrap();
    }
    for value in [3, 4] {
        catalogs[1].commit(adds(&[value], info, view.snapshot)).await.unwrap();
    }
    catalogs[1].expire(i64::MAX, &[]).await.unwrap();
    let before = catalogs[1].head().await.unwrap();
    let outcome = catalogs[0].commit(adds(&[5], info, view.snapshot)).await.unwrap();
    assert_eq!(outcome.snapshot, before + 1);
    assert_eq!(catalogs[1].head().await.unwrap(), before + 1);
    let history = catalogs[1].inlined_history(info.table_id, before + 1).await.unwrap();
    let mut ids: Vec<i64> = history.iter().flat_map(|part| part.batch.row_ids.to_vec()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3, 4]);
}

/// Tables come and go for good, with the tables their rows lie in, while everything is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reads_the_whole_catalog_sees_one_moment() {
    let folder = Folder::new("moments");
    let catalog = open(&folder.file()).await;
    commit(&catalog, start(), "q").await.unwrap();
    let schema = catalog.head_view().await.unwrap().schema("D", "S").unwrap().schema_id;
    let writer = tokio::spawn({
        let catalog = catalog.clone();
        async move {
            for _ in 0..60 {
                let created = vec![CatalogChange::CreateTable(numbers(-1, schema, "N"))];
                commit(&catalog, created, "create").await.unwrap();
                let view = catalog.head_view().await.unwrap();
                let info = view.table(&QualifiedName::new("D", "S", "N")).unwrap();
                catalog.commit(adds(&[1, 2, 3], info, view.snapshot)).await.unwrap();
                let dropped = vec![CatalogChange::DropTable(Arc::clone(info))];
                commit(&catalog, dropped, "drop").await.unwrap();
                catalog.expire(i64::MAX, &[]).await.unwrap();
            }
        }
    });
    let mut seen = 0;
    while !writer.is_finished() {
        let head = catalog.head().await.unwrap();
        let rows: u64 = catalog.table_sizes(head).await.unwrap().values().map(|s| s.rows).sum();
        assert!(rows == 0 || rows == 3, "{rows} rows");
        let counted: u64 = catalog.inlined_counts().await.unwrap().iter().map(|c| c.1).sum();
        assert!(counted == 0 || counted == 3, "{counted} rows in the catalog");
        catalog.head_view().await.unwrap();
        seen += rows + counted;
    }
    writer.await.unwrap();
    assert!(seen > 0, "never looked while the rows were there");
}
