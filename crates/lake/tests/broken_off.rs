//! Statements and commits that fail or are cancelled while files are made: none of the files stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int8Array, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{ident, lit};
use frazil_catalog::{Catalog, TableKind};
use frazil_lake::{
    DurableStore, FileStore, Lake, LakeError, LakeSettings, NewObject, SeveralActions,
};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use support::*;
use tokio::sync::Notify;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Error,
    Stall,
}

/// The local disk; of the calls that make files last one fails, or answers never.
#[derive(Debug)]
struct Disk {
    objects: Arc<LocalFileSystem>,
    fault: Fault,
    /// Calls until then; 0 is none.
    until: AtomicUsize,
    stalled: Notify,
}

#[async_trait]
impl DurableStore for Disk {
    fn objects(&self) -> Arc<dyn ObjectStore> {
        self.objects.clone()
    }

    async fn sync(&self, _: &ObjectPath, _: &[ObjectPath]) -> Result<(), LakeError> {
        let left = self.until.load(Ordering::SeqCst);
        self.until.store(left.saturating_sub(1), Ordering::SeqCst);
        match (left, self.fault) {
            (1, Fault::Error) => Err(LakeError::Damaged("the disk fails".into())),
            (1, Fault::Stall) => {
                self.stalled.notify_one();
                std::future::pending().await
            }
            _ => Ok(()),
        }
    }

    async fn create(
        &self,
        _: &ObjectPath,
        path: &ObjectPath,
    ) -> Result<Box<dyn NewObject>, LakeError> {
        panic!("{path} is no data file")
    }

    async fn clear(&self, _: &ObjectPath) -> Result<(), LakeError> {
        Ok(())
    }

    async fn reap_unfinished(&self, _: &ObjectPath, _: SystemTime) -> Result<usize, LakeError> {
        Ok(0)
    }
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path)),
        }
    }
    found
}

/// Rows of a MERGE: what is to be done with each, its place, and its values.
async fn merge_rows(lake: &Lake, t: &frazil_lake::LakeTransaction) -> SendableRecordBatchStream {
    let table = t.table(&name("T")).unwrap();
    let version = t.table_version(&table).await.unwrap();
    let values = vec![ident("ID"), ident("NAME"), ident("X")];
    let found = chosen(lake, &version, ident("ID").lt(lit(20_i64)), values).await;
    let schema = found.schema();
    let batches: Vec<RecordBatch> = found.try_collect().await.unwrap();
    let rows = concat_batches(&schema, &batches).unwrap();
    // Half of them are changed, and half come once more as new ones.
    let actions = (0..rows.num_rows()).map(|row| if row % 2 == 0 { 1_i8 } else { 3 });
    let actions: ArrayRef = Arc::new(Int8Array::from_iter_values(actions));
    let mut fields = vec![Arc::new(Field::new("ACTION", DataType::Int8, false))];
    fields.extend(schema.fields().iter().cloned());
    let columns = std::iter::once(actions).chain(rows.columns().iter().cloned()).collect();
    stream(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap())
}

/// A MERGE and a DELETE, and their commit.
async fn change(lake: &Lake) -> Result<(), LakeError> {
    let mut t = lake.begin(1).await?;
    let rows = merge_rows(lake, &t).await;
    let table = t.table(&name("T"))?;
    let version = t.table_version(&table).await?;
    t.merge(&version, rows, SeveralActions::Error).await?;
    let version = t.table_version(&table).await?;
    let gone = chosen(lake, &version, ident("ID").gt(lit(80_i64)), vec![]).await;
    t.delete(&version, gone).await?;
    t.commit(meta("q")).await.map(drop)
}

async fn leaves_no_file(fault: Fault) {
    let mut met = 0;
    for number in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("data")).unwrap();
        let disk = Arc::new(Disk {
            objects: Arc::new(LocalFileSystem::new()),
            fault,
            until: AtomicUsize::new(0),
            stalled: Notify::new(),
        });
        let catalog = Catalog::open(&root.join("catalog.sqlite")).await.unwrap();
        let settings =
            LakeSettings { inlined_deletes_max: 3, inlined_rows_max: 0, ..LakeSettings::default() };
        let store = FileStore::over(disk.clone(), &root);
        let lake = Lake::open_on(catalog, store, settings).await.unwrap();
        let mut t = lake.begin(1).await.unwrap();
        t.create_database("D", false, None, None).unwrap();
        t.create_schema("D", "S", false, None, None).unwrap();
        let table = t.create_table(new_table("T", TableKind::Permanent)).await.unwrap();
        t.append(&table, rows(0, 100)).await.unwrap();
        t.commit(meta("q1")).await.unwrap();
        let before = files(&root.join("data"));

        disk.until.store(number, Ordering::SeqCst);
        let own = lake.clone();
        let mut work = tokio::spawn(async move { change(&own).await });
        tokio::select! {
            done = &mut work => match done.unwrap() {
                Ok(()) => break,
                Err(error) => assert!(error.to_string().contains("the disk fails"), "{error}"),
            },
            () = disk.stalled.notified() => work.abort(),
        }
        met += 1;
        if fault == Fault::Stall {
            assert!(work.await.unwrap_err().is_cancelled());
        }
        // Files of what was cancelled are removed behind its back.
        for _ in 0..500 {
            if files(&root.join("data")) == before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(files(&root.join("data")), before, "{fault:?} at {number}");
        assert_eq!(ids(current(&lake).await).await.len(), 100);
    }
    // Two files of the MERGE, and the delete file.
    assert!(met >= 3, "{met}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_leaves_no_file() {
    leaves_no_file(Fault::Error).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_leaves_no_file() {
    leaves_no_file(Fault::Stall).await;
}
