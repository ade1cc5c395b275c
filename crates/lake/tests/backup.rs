//! Backups and restores of a data directory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};

use frazil_lake::backup::{self, Progress, Report};
use frazil_lake::{LakeError, Result};
use support::*;

async fn back_up(data_dir: &Path, folder: &Path) -> Result<Report> {
    backup::backup(data_dir, folder, &mut |_: Progress| {}).await
}

async fn restore(folder: &Path, target: &Path) -> Result<Report> {
    backup::restore(folder, None, target, &mut |_: Progress| {}).await
}

/// A data directory with a table, and a backup of it.
struct Kept {
    folder: tempfile::TempDir,
    data_dir: PathBuf,
    backups: PathBuf,
}

impl Kept {
    async fn make() -> Kept {
        let folder = tempfile::tempdir().unwrap();
        let (data_dir, backups) = (folder.path().join("lake"), folder.path().join("backups"));
        let opened = frazil_lake::DataDirectory::open(&data_dir).unwrap();
        let (lake, _) = setup(&data_dir).await;
        back_up(&data_dir, &backups).await.unwrap();
        lake.catalog().clone().close().await;
        drop(opened);
        Kept { folder, data_dir, backups }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("restored")
    }

    /// The backup's one file of the table.
    fn file(&self) -> PathBuf {
        let mut folder = self.backups.join("data");
        while folder.is_dir() {
            folder = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        }
        folder
    }

    /// Changes some bytes of the file, as disks do.
    fn damage(&self) {
        let mut content = std::fs::read(self.file()).unwrap();
        let middle = content.len() / 2;
        content[middle..middle + 16].iter_mut().for_each(|byte| *byte ^= 0x55);
        std::fs::write(self.file(), content).unwrap();
    }

    /// Makes manifests as they were before they had the digests of data files.
    fn forget_digests(&self) {
        for entry in std::fs::read_dir(self.backups.join("backups")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let text = std::fs::read(&path).unwrap();
                let mut manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
                let digests = manifest.as_object_mut().unwrap().remove("data").unwrap();
                assert_eq!(digests.as_object().unwrap().len(), 1);
                std::fs::write(&path, manifest.to_string()).unwrap();
            }
        }
    }

    async fn rows(&self) -> Vec<i64> {
        let lake = open(&self.target()).await;
        ids(current(&lake).await).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_data_file_is_not_restored_and_can_be_taken_anew() {
    let kept = Kept::make().await;
    kept.damage();
    let error = restore(&kept.backups, &kept.target()).await.unwrap_err();
    assert!(matches!(error, LakeError::Damaged(_)), "{error}");
    assert!(error.to_string().contains(kept.file().to_str().unwrap()), "{error}");
    assert!(!kept.target().exists());
    // A later backup has the same digest of it.
    let again = back_up(&kept.data_dir, &kept.backups).await.unwrap();
    assert_eq!((again.progress.files_known, again.progress.bytes_copied), (1, 0));
    restore(&kept.backups, &kept.target()).await.unwrap_err();
    std::fs::remove_file(kept.file()).unwrap();
    let again = back_up(&kept.data_dir, &kept.backups).await.unwrap();
    assert!(again.progress.bytes_copied > 0);
    restore(&kept.backups, &kept.target()).await.unwrap();
    assert_eq!(kept.rows().await, (0..100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_without_digests_are_restored_and_compared_by_the_next_one() {
    let kept = Kept::make().await;
    kept.forget_digests();
    restore(&kept.backups, &kept.target()).await.unwrap();
    assert_eq!(kept.rows().await, (0..100).collect::<Vec<_>>());
    let again = back_up(&kept.data_dir, &kept.backups).await.unwrap();
    assert_eq!((again.progress.files_known, again.progress.bytes_copied), (1, 0));

    let kept = Kept::make().await;
    kept.forget_digests();
    kept.damage();
    let again = back_up(&kept.data_dir, &kept.backups).await.unwrap();
    assert_eq!(again.progress.files_known, 0);
    restore(&kept.backups, &kept.target()).await.unwrap();
    assert_eq!(kept.rows().await, (0..100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_into_a_data_directory() {
    let kept = Kept::make().await;
    let link = kept.folder.path().join("link");
    std::os::unix::fs::symlink(kept.data_dir.join("data"), &link).unwrap();
    let inside = kept.data_dir.join("data");
    let places = [
        kept.data_dir.clone(),
        inside.join("a/b"),
        kept.backups.join("../lake/data/a"),
        link.join("a"),
    ];
    for place in &places {
        for error in [back_up(&kept.data_dir, place).await, restore(&kept.backups, place).await] {
            let error = error.unwrap_err();
            assert!(matches!(error, LakeError::Directory(_)), "{error}");
        }
    }
    assert!(!inside.join("a").exists() && !kept.data_dir.join("backups").exists());
    let error = restore(&kept.backups, &inside.join("a")).await.unwrap_err().to_string();
    assert!(error.contains("lies in the data directory"), "{error}");
    // Where the file `format` was lost it still is one.
    std::fs::remove_file(kept.data_dir.join("format")).unwrap();
    restore(&kept.backups, &inside.join("a")).await.unwrap_err();
}
