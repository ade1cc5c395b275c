//! Files that are not what was written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::path::{Path, PathBuf};

use datafusion::logical_expr::{ident, lit};
use frazil_common::UserError;
use frazil_lake::{Lake, LakeError, backup};
use support::*;

/// Rows that are left of those of `setup` by a delete file.
const LEFT: std::ops::Range<i64> = 20..100;

/// A closed data directory whose table has a data file and a delete file; both paths.
async fn make(dir: &Path) -> (PathBuf, PathBuf) {
    let (lake, _) = setup(dir).await;
    let mut t = lake.begin(1).await.unwrap();
    delete(&mut t, ident("ID").lt(lit(LEFT.start))).await;
    t.commit(meta("q")).await.unwrap();
    lake.catalog().close().await;
    let mut found = Vec::new();
    let mut folders = vec![dir.join("data")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    let deletes = |path: &PathBuf| path.to_str().unwrap().ends_with("-delete.parquet");
    let (delete, data): (Vec<_>, Vec<_>) = found.into_iter().partition(deletes);
    (data[0].clone(), delete[0].clone())
}

async fn read(lake: &Lake) -> Result<Vec<i64>, UserError> {
    let t = lake.begin(1).await?;
    let version = t.table_version(&t.table(&name("T")).unwrap()).await?;
    let batches = frame(lake.scan(&version)).collect().await.map_err(LakeError::from)?;
    let ids = batches.iter().flat_map(|batch| {
        use datafusion::arrow::array::AsArray;
        let column = batch.column(0).as_primitive::<datafusion::arrow::datatypes::Int64Type>();
        column.values().to_vec()
    });
    let mut ids: Vec<i64> = ids.collect();
    ids.sort_unstable();
    Ok(ids)
}

fn check_named(error: &UserError, dir: &Path, file: &Path) {
    let message = &error.message;
    assert!(message.contains("D.S.T") && message.contains("frazil doctor"), "{message}");
    assert!(message.contains(file.file_name().unwrap().to_str().unwrap()), "{message}");
    assert!(!message.contains(dir.to_str().unwrap().trim_start_matches('/')), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_file_is_told_by_table_and_name() {
    let dir = tempfile::tempdir().unwrap();
    let (data, delete) = make(dir.path()).await;
    for file in [&data, &delete] {
        let whole = std::fs::read(file).unwrap();
        for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
            std::fs::write(file, &whole[..length]).unwrap();
            let lake = open(dir.path()).await;
            let error = read(&lake).await.unwrap_err();
            check_named(&error, dir.path(), file);
            let report = lake.doctor().await.unwrap();
            assert_eq!(report.wrong_sizes.len(), 1, "{report:?}");
            lake.catalog().close().await;
        }
        std::fs::write(file, &whole).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_bit_gives_no_other_rows_and_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let backups = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("format"), "frazil 1\n").unwrap();
    let (data, delete) = make(dir.path()).await;
    let mut refused = 0;
    for file in [&data, &delete] {
        let whole = std::fs::read(file).unwrap();
        for at in (1..whole.len()).step_by(37) {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(file, changed).unwrap();
            let lake = open(dir.path()).await;
            match read(&lake).await {
                Ok(rows) => assert_eq!(rows, LEFT.collect::<Vec<_>>(), "{} {at}", file.display()),
                Err(error) => {
                    check_named(&error, dir.path(), file);
                    refused += 1;
                }
            }
            let report = lake.doctor().await.unwrap();
            let [found] = &report.damaged_files[..] else { panic!("{at} {report:?}") };
            assert!(!report.is_healthy() && found.contains("frazil-"), "{found}");
            lake.catalog().close().await;
        }
        let error = backup::backup(dir.path(), backups.path(), &mut |_| {}).await.unwrap_err();
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
        std::fs::write(file, &whole).unwrap();
    }
    assert!(refused > 10, "{refused}");
    backup::backup(dir.path(), backups.path(), &mut |_| {}).await.unwrap();
    let lake = open(dir.path()).await;
    assert_eq!(read(&lake).await.unwrap(), LEFT.collect::<Vec<_>>());
    assert!(lake.doctor().await.unwrap().is_healthy());
}
