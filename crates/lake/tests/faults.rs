//! Files that are missing, and files that nobody names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use datafusion::logical_expr::{ident, lit};
use frazil_common::{Code, UserError};
use frazil_lake::LakeError;
use support::*;

fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(parquet_files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(60)
}

fn check_message(error: UserError, dir: &Path, file: &str) {
    assert_eq!(error.code, Code::Internal);
    let message = error.message;
    assert!(message.contains("D.S.T") && message.contains("frazil doctor"), "{message}");
    assert!(message.contains(file), "{message}");
    assert!(!message.contains(dir.to_str().unwrap()), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_file_is_told_by_table_and_id() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = setup(dir.path()).await;
    let files = parquet_files(&dir.path().join("data"));
    let [file] = &files[..] else { panic!("{files:?}") };
    let name = file.file_name().unwrap().to_str().unwrap().to_string();
    std::fs::remove_file(file).unwrap();
    let error = frame(current(&lake).await).collect().await.unwrap_err();
    check_message(UserError::from(LakeError::from(error)), dir.path(), &format!("0 ('{name}')"));
    let report = lake.doctor().await.unwrap();
    assert!(!report.is_healthy() && report.missing_files.len() == 1, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_delete_file_is_told_by_table_and_id() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (lake, _) = setup(dir.path()).await;
        let mut t = lake.begin(1).await.unwrap();
        delete(&mut t, ident("ID").lt(lit(20_i64))).await;
        t.commit(meta("q")).await.unwrap();
        lake.catalog().close().await;
    }
    let files = parquet_files(&dir.path().join("data"));
    let file = files.iter().find(|f| f.to_str().unwrap().ends_with("-delete.parquet")).unwrap();
    std::fs::remove_file(file).unwrap();
    let lake = open(dir.path()).await;
    let t = lake.begin(1).await.unwrap();
    let error = t.table_version(&t.table(&name("T")).unwrap()).await.unwrap_err();
    check_message(error.into(), dir.path(), file.file_name().unwrap().to_str().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_commits_that_were_lost_and_found_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = dir.path().join("catalog.sqlite");
    let saved = dir.path().join("earlier.sqlite");
    let (lake, table) = setup(dir.path()).await;
    lake.catalog().close().await;
    drop(lake);
    std::fs::copy(&catalog, &saved).unwrap();
    let lake = open(dir.path()).await;
    let mut t = lake.begin(1).await.unwrap();
    t.append(&table, rows(100, 110)).await.unwrap();
    t.commit(meta("last")).await.unwrap();
    lake.catalog().close().await;
    drop(lake);
    let before = parquet_files(&dir.path().join("data"));
    assert_eq!(before.len(), 2);

    // The end of the log is lost: the last commit's file belongs to nobody.
    let newest = dir.path().join("newest.sqlite");
    std::fs::rename(&catalog, &newest).unwrap();
    std::fs::rename(&saved, &catalog).unwrap();
    let lake = open(dir.path()).await;
    let repaired = lake.quarantine_orphans(later()).await.unwrap();
    assert_eq!((repaired.set_aside, repaired.put_back), (1, 0));
    let report = lake.doctor().await.unwrap();
    assert!(report.is_healthy() && report.orphan_files.is_empty(), "{report:?}");
    let aside = parquet_files(&dir.path().join("data/quarantine"));
    assert_eq!(aside.len(), 1);
    let again = lake.quarantine_orphans(later()).await.unwrap();
    assert_eq!((again.set_aside, again.put_back), (0, 0));
    // What was set aside just now is not old.
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    assert_eq!(lake.purge_quarantine(hour_ago).await.unwrap(), 0);
    lake.expire(&[]).await.unwrap();
    assert_eq!(parquet_files(&dir.path().join("data/quarantine")), aside);
    lake.catalog().close().await;
    drop(lake);

    // It is found again.
    std::fs::remove_file(&catalog).unwrap();
    std::fs::rename(&newest, &catalog).unwrap();
    let lake = open(dir.path()).await;
    let report = lake.doctor().await.unwrap();
    assert!(!report.is_healthy(), "{report:?}");
    assert_eq!((report.missing_files.len(), report.recoverable_files.len()), (0, 1));
    let repaired = lake.quarantine_orphans(later()).await.unwrap();
    assert_eq!((repaired.set_aside, repaired.put_back), (0, 1));
    assert_eq!(parquet_files(&dir.path().join("data")), before);
    assert_eq!(ids(current(&lake).await).await.len(), 110);
    assert!(lake.doctor().await.unwrap().is_healthy());

    let orphan = dir.path().join("data/nobody.parquet");
    std::fs::write(&orphan, "x").unwrap();
    assert_eq!(lake.quarantine_orphans(later()).await.unwrap().set_aside, 1);
    assert!(!orphan.exists());
    assert_eq!(lake.purge_quarantine(later()).await.unwrap(), 1);
    assert_eq!(parquet_files(&dir.path().join("data")), before);
}
