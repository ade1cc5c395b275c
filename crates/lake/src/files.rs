//! The store of data files: an object store whose writes last once a commit names them.

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::error::{LakeError, Result};

/// Data files by absolute path.
#[derive(Debug, Clone)]
pub struct FileStore {
    store: Arc<dyn ObjectStore>,
    /// Absolute folder of the lake's files.
    data: PathBuf,
    temporary: PathBuf,
}

impl FileStore {
    /// A store on the local disk, for the data directory `root` (absolute).
    pub fn local(root: &FsPath) -> FileStore {
        FileStore {
            store: Arc::new(LocalFileSystem::new()),
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
        let data = self.data.clone();
        let work = move || -> Result<()> {
            let mut folders: Vec<PathBuf> = Vec::new();
            for path in paths {
                let file = PathBuf::from(format!("/{path}"));
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
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(LakeError::Damaged(format!("file sync was broken off: {error}"))),
        }
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

fn sync_path(path: &FsPath) -> Result<()> {
    std::fs::File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| LakeError::Io { path: path.display().to_string(), source })
}
