//! The store of data files: an object store whose writes last once a commit names them.

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::durable::sync_path;
use crate::error::{LakeError, Result};

/// An object store, and what it takes to make its objects last. All bytes of the lake go through
/// one of these: the local disk, a remote store, or one that fails on purpose in a test.
#[async_trait]
pub trait DurableStore: Send + Sync + std::fmt::Debug {
    /// The objects.
    fn objects(&self) -> Arc<dyn ObjectStore>;

    /// Makes finished objects last, with the folders that lead to them from `root`. Whoever names
    /// an object in the catalog calls this first.
    async fn sync(&self, root: &Path, paths: &[Path]) -> Result<()>;

    /// Removes what broken-off writes left below `root` and the object store does not list, last
    /// touched before `older_than`; gives the number of files.
    async fn reap_unfinished(&self, root: &Path, older_than: SystemTime) -> Result<usize>;
}

/// Data files by absolute path.
#[derive(Debug, Clone)]
pub struct FileStore {
    durable: Arc<dyn DurableStore>,
    store: Arc<dyn ObjectStore>,
    /// Absolute folder of the lake's files.
    data: PathBuf,
    temporary: PathBuf,
}

impl FileStore {
    /// A store on the local disk, for the data directory `root` (absolute).
    pub fn local(root: &FsPath) -> FileStore {
        FileStore::over(Arc::new(LocalDisk::default()), root)
    }

    /// The data directory `root` (absolute) on any store.
    pub fn over(durable: Arc<dyn DurableStore>, root: &FsPath) -> FileStore {
        FileStore {
            store: durable.objects(),
            durable,
            data: root.join("data"),
            temporary: root.join("temp"),
        }
    }

    /// The object store below.
    pub fn object_store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The folder of permanent tables' files.
    pub fn data_path(&self) -> &FsPath {
        &self.data
    }

    /// The folder of a session's temporary tables.
    pub fn session_path(&self, session_id: i64) -> PathBuf {
        self.temporary.join(session_id.to_string())
    }

    /// The folder of all sessions' temporary tables.
    pub fn temporary_path(&self) -> &FsPath {
        &self.temporary
    }

    /// The object of a path as the catalog has it: below the data folder, or absolute.
    pub fn locate(&self, path: &str) -> Result<Path> {
        let full = if path.starts_with('/') { PathBuf::from(path) } else { self.data.join(path) };
        Ok(Path::from_absolute_path(full).map_err(object_store::Error::from)?)
    }

    /// Reads a part of a file.
    pub async fn read(&self, path: &Path, range: std::ops::Range<u64>) -> Result<Bytes> {
        Ok(self.store.get_range(path, range).await?)
    }

    /// Makes finished files last: each file, then each folder that holds one.
    pub async fn sync(&self, paths: Vec<Path>) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        self.durable.sync(&self.data_root()?, &paths).await
    }

    /// Removes what broken-off writes left, last touched before `older_than`.
    pub async fn reap_unfinished(&self, older_than: SystemTime) -> Result<usize> {
        self.durable.reap_unfinished(&self.data_root()?, older_than).await
    }

    /// The data folder as an object path.
    fn data_root(&self) -> Result<Path> {
        Ok(Path::from_absolute_path(&self.data).map_err(object_store::Error::from)?)
    }

    /// Removes files; those already gone are no error.
    pub async fn remove(&self, paths: &[Path]) {
        for path in paths {
            if let Err(error) = self.store.delete(path).await
                && !matches!(error, object_store::Error::NotFound { .. })
            {
                // The file is an orphan now; `cleanup_orphans` finds it.
                tracing::warn!(%path, %error, "could not remove a file");
            }
        }
    }
}

/// The local disk.
#[derive(Debug)]
struct LocalDisk {
    objects: Arc<LocalFileSystem>,
}

impl Default for LocalDisk {
    fn default() -> Self {
        LocalDisk { objects: Arc::new(LocalFileSystem::new()) }
    }
}

#[async_trait]
impl DurableStore for LocalDisk {
    fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects) as Arc<dyn ObjectStore>
    }

    async fn sync(&self, root: &Path, paths: &[Path]) -> Result<()> {
        let data = local_path(root);
        let files: Vec<PathBuf> = paths.iter().map(local_path).collect();
        blocking(move || {
            let mut folders: Vec<PathBuf> = Vec::new();
            for file in files {
                sync_path(&file)?;
                let mut folder = file.parent();
                // New folders must last too, up to the data folder.
                while let Some(current) = folder {
                    if !folders.iter().any(|f| f == current) {
                        folders.push(current.to_path_buf());
                    }
                    if current == data || !current.starts_with(&data) {
                        break;
                    }
                    folder = current.parent();
                }
            }
            folders.iter().try_for_each(|folder| sync_path(folder))
        })
        .await
    }

    async fn reap_unfinished(&self, root: &Path, older_than: SystemTime) -> Result<usize> {
        let root = local_path(root);
        blocking(move || {
            let mut removed = 0;
            let mut folders = vec![root];
            while let Some(folder) = folders.pop() {
                let Ok(entries) = std::fs::read_dir(&folder) else { continue };
                for entry in entries.flatten() {
                    let Ok(kind) = entry.file_type() else { continue };
                    if kind.is_dir() {
                        folders.push(entry.path());
                        continue;
                    }
                    let stale = entry
                        .metadata()
                        .and_then(|meta| meta.modified())
                        .is_ok_and(|modified| modified < older_than);
                    if stale && is_unfinished(&entry.file_name().to_string_lossy()) {
                        let path = entry.path();
                        std::fs::remove_file(&path).map_err(|source| LakeError::Io {
                            path: path.display().to_string(),
                            source,
                        })?;
                        removed += 1;
                    }
                }
            }
            Ok(removed)
        })
        .await
    }
}

/// `LocalFileSystem` writes below the name `<object>#<number>` and renames at the end; its
/// listings leave such names out.
fn is_unfinished(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(object, number)| {
        !object.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}

fn local_path(path: &Path) -> PathBuf {
    PathBuf::from(format!("/{path}"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(LakeError::Damaged(format!("file work was broken off: {error}"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn broken_off_writes_are_reaped_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let table = root.join("data/s/t");
        std::fs::create_dir_all(&table).unwrap();
        for name in ["a.parquet", "a.parquet#1", "b.parquet#27", "c#d.parquet", "e.parquet#"] {
            std::fs::write(table.join(name), b"x").unwrap();
        }
        let store = FileStore::local(&root);
        let past = SystemTime::UNIX_EPOCH;
        assert_eq!(store.reap_unfinished(past).await.unwrap(), 0);
        let future = SystemTime::now() + std::time::Duration::from_secs(60);
        assert_eq!(store.reap_unfinished(future).await.unwrap(), 2);
        let mut left: Vec<String> = std::fs::read_dir(&table)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["a.parquet", "c#d.parquet", "e.parquet#"]);
    }
}
