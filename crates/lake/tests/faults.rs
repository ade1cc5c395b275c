//! Files that are missing, and files that nobody names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::fs::File;
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

fn make_old(path: &Path) {
    let two_days = Duration::from_secs(2 * 24 * 60 * 60);
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - two_days).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_nobody_names_go_beside_running_statements() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, table) = setup(dir.path()).await;
    let data = dir.path().join("data");
    let [named] = &parquet_files(&data)[..] else { panic!("one file") };
    make_old(named);
    let folder = named.parent().unwrap();
    // A reader that began before them, and what a transaction has that is open for long.
    let reader = lake.begin(2).await.unwrap();
    let mut open = lake.begin(1).await.unwrap();
    open.append(&table, rows(100, 110)).await.unwrap();
    let staged = parquet_files(&data).into_iter().find(|path| path != named).unwrap();
    make_old(&staged);
    for name in ["frazil-a.parquet", "ducklake-b-delete.parquet", "frazil-c.parquet#3"] {
        std::fs::write(folder.join(name), "x").unwrap();
        make_old(&folder.join(name));
    }
    let others = [folder.join("frazil-young.parquet"), folder.join("of_a_user.parquet")];
    others.iter().for_each(|path| std::fs::write(path, "x").unwrap());
    make_old(&others[1]);
    // What a broken-off write left is older than all transactions.
    let cleared = lake.clear_orphans().await.unwrap();
    assert_eq!((cleared.set_aside, cleared.unfinished), (0, 1));
    let before = parquet_files(&data);
    open.commit(meta("q")).await.unwrap();
    assert_eq!(lake.clear_orphans().await.unwrap().set_aside, 0);
    assert_eq!(parquet_files(&data), before);
    reader.rollback().await;
    let later = lake.begin(3).await.unwrap();
    assert_eq!(lake.clear_orphans().await.unwrap().set_aside, 2);
    later.rollback().await;

    let mut left = vec![named.clone(), staged];
    left.extend(others.clone());
    left.sort();
    let aside = parquet_files(&data.join("quarantine"));
    assert_eq!(aside.len(), 2, "{aside:?}");
    let there = parquet_files(&data).into_iter().filter(|path| !aside.contains(path));
    assert_eq!(there.collect::<Vec<_>>(), left);
    assert_eq!(ids(current(&lake).await).await.len(), 110);
    assert!(lake.doctor().await.unwrap().is_healthy());
}
