//! The store of data files: an object store whose writes last once a commit names them.

use std::collections::HashSet;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;

use crate::error::Result;
use crate::folder::ObjectFolder;
use crate::local_disk::LocalDisk;
use crate::unclaimed::Unclaimed;

/// An object store, and what it takes to make its objects last. All bytes of the lake, of stages and
/// of models go through one of these: the local disk, a remote store, or one that fails on purpose in
/// a test.
#[async_trait]
pub trait DurableStore: Send + Sync + std::fmt::Debug {
    /// The objects.
    fn objects(&self) -> Arc<dyn ObjectStore>;

    /// Makes finished objects last, with the folders that lead to them from `root`. Whoever names
    /// an object in the catalog calls this first.
    async fn sync(&self, root: &Path, paths: &[Path]) -> Result<()>;

    /// Starts an object that is written in pieces. It takes the place of the one of its name, whole
    /// and lasting, when it is finished; until then nothing is seen of it. `root` as above.
    async fn create(&self, root: &Path, path: &Path) -> Result<Box<dyn NewObject>>;

    /// Puts a copy of a lasting object in the place `to`, whole and lasting. Copying there and making
    /// that last would leave part of it where the second fails. `root` as above.
    async fn duplicate(&self, root: &Path, from: &Path, to: &Path) -> Result<()> {
        let mut content = self.objects().get(from).await?.into_stream();
        let mut new = self.create(root, to).await?;
        while let Some(bytes) = content.try_next().await? {
            new.write(bytes).await?;
        }
        new.finish().await
    }

    /// Removes everything below `folder`, what broken-off writes left too.
    async fn clear(&self, folder: &Path) -> Result<()>;

    /// Removes what broken-off writes left below `root` and the object store does not list, last
    /// touched before `older_than`; gives the number of files.
    async fn reap_unfinished(&self, root: &Path, older_than: SystemTime) -> Result<usize>;
}

/// An object in the making. Dropping it gives it up.
#[async_trait]
pub trait NewObject: Send {
    /// Adds bytes at its end.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;

    /// Puts it in its place. After an error it is in its place as a whole or not at all.
    async fn finish(self: Box<Self>) -> Result<()>;
}

/// Data files by absolute path.
#[derive(Debug, Clone)]
pub struct FileStore {
    durable: Arc<dyn DurableStore>,
    store: Arc<dyn ObjectStore>,
    /// The data directory, absolute.
    root: PathBuf,
    /// Absolute folder of the lake's files.
    data: PathBuf,
    temporary: PathBuf,
    /// Files whose footers were compared with their checksums.
    checked: Arc<Mutex<HashSet<Path>>>,
}

const CHECKED_MAX: usize = 1 << 16;

impl FileStore {
    /// A store on the local disk, for the data directory `root` (absolute).
    pub fn local(root: &FsPath) -> FileStore {
        FileStore::over(Arc::new(LocalDisk::of(root)), root)
    }

    /// The data directory `root` (absolute) on any store.
    pub fn over(durable: Arc<dyn DurableStore>, root: &FsPath) -> FileStore {
        FileStore {
            store: durable.objects(),
            durable,
            root: root.to_path_buf(),
            data: root.join("data"),
            temporary: root.join("temp"),
            checked: Arc::default(),
        }
    }

    /// The object store below.
    pub fn object_store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Whether a file's footer was found to be what was written.
    pub(crate) fn is_checked(&self, path: &Path) -> bool {
        self.checked.lock().contains(path)
    }

    /// Notes that a file's footer is what was written: files never change.
    pub(crate) fn set_checked(&self, path: &Path) {
        let mut checked = self.checked.lock();
        if checked.len() >= CHECKED_MAX {
            checked.clear();
        }
        checked.insert(path.clone());
    }

    /// A folder beside the tables', on the same store.
    pub fn folder(&self, name: &str) -> Result<ObjectFolder> {
        ObjectFolder::over(Arc::clone(&self.durable), &self.root.join(name))
    }

    /// The folder of permanent tables' files.
    pub fn data_path(&self) -> &FsPath {
        &self.data
    }

    /// The folder of a session's temporary tables.
    pub fn session_path(&self, session_id: i64) -> PathBuf {
        self.temporary.join(session_id.to_string())
    }

    /// Removes the files of a session's temporary tables.
    pub async fn clear_session(&self, session_id: i64) -> Result<()> {
        self.durable.clear(&absolute(&self.session_path(session_id))?).await
    }

    /// Removes what sessions of an earlier run left; what stays is told and does no harm.
    pub async fn clear_sessions(&self) -> Result<()> {
        let folder = absolute(&self.temporary)?;
        for session in self.store.list_with_delimiter(Some(&folder)).await?.common_prefixes {
            if let Err(error) = self.durable.clear(&session).await {
                tracing::warn!(path = %session, %error, "could not remove temporary files");
            }
        }
        Ok(())
    }

    /// The object of a path as the catalog has it: below the data folder, or absolute.
    pub fn locate(&self, path: &str) -> Result<Path> {
        let full = if path.starts_with('/') { PathBuf::from(path) } else { self.data.join(path) };
        absolute(&full)
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

    /// Moves a data file; a crash may leave it in both places.
    pub(crate) async fn move_durably(&self, from: &Path, to: &Path) -> Result<()> {
        crate::folder::move_durably(self.durable.as_ref(), &self.data_root()?, from, to).await
    }

    /// Removes what broken-off writes left, last touched before `older_than`.
    pub async fn reap_unfinished(&self, older_than: SystemTime) -> Result<usize> {
        self.durable.reap_unfinished(&self.data_root()?, older_than).await
    }

    /// The data folder as an object path.
    fn data_root(&self) -> Result<Path> {
        absolute(&self.data)
    }

    /// Removes files; those already gone are no error. Where this is broken off the rest go all the same.
    pub async fn remove(&self, paths: &[Path]) {
        let mut left = Unclaimed::new(self, paths.to_vec());
        while let Some(path) = left.last() {
            if let Err(error) = self.store.delete(path).await
                && !matches!(error, object_store::Error::NotFound { .. })
            {
                // The file is an orphan now: clean-up finds it.
                tracing::warn!(%path, %error, "could not remove a file");
            }
            left.pop();
        }
    }
}

fn absolute(path: &FsPath) -> Result<Path> {
    Ok(Path::from_absolute_path(path).map_err(object_store::Error::from)?)
}
