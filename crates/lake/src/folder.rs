//! A folder of the data directory that holds whole objects and no tables: files of stages, models.

use std::path::Path as FsPath;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::error::Result;
use crate::files::{DurableStore, NewObject};
use crate::local_disk::LocalDisk;

/// Objects by their path below the folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ObjectFolder {
    durable: Arc<dyn DurableStore>,
    objects: Arc<PrefixStore<Arc<dyn ObjectStore>>>,
    root: Path,
}

impl ObjectFolder {
    /// A folder of the local disk; it is made when the first object is put.
    ///
    /// # Errors
    /// The path cannot be made absolute.
    pub fn local(folder: &FsPath) -> Result<ObjectFolder> {
        let absolute = std::path::absolute(folder).map_err(crate::durable::io(folder))?;
        ObjectFolder::over(Arc::new(LocalDisk::of(&absolute)), &absolute)
    }

    /// The folder (absolute) on any store.
    ///
    /// # Errors
    /// The path is not absolute.
    pub fn over(durable: Arc<dyn DurableStore>, folder: &FsPath) -> Result<ObjectFolder> {
        let root = Path::from_absolute_path(folder).map_err(object_store::Error::from)?;
        let objects = Arc::new(PrefixStore::new(durable.objects(), root.clone()));
        Ok(ObjectFolder { durable, objects, root })
    }

    /// The objects, for readers that take parts of them.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects) as Arc<dyn ObjectStore>
    }

    /// Starts an object that appears, in place of the one of its name, when it is finished.
    pub async fn create(&self, path: &Path) -> Result<Box<dyn NewObject>> {
        self.durable.create(&self.root, &self.full(path)).await
    }

    /// Puts a whole object; it lasts when this returns.
    pub async fn put(&self, path: &Path, bytes: Bytes) -> Result<()> {
        let mut new = self.create(path).await?;
        new.write(bytes).await?;
        new.finish().await
    }

    /// A whole object.
    pub async fn get(&self, path: &Path) -> Result<Bytes> {
        Ok(self.objects.get(path).await?.bytes().await?)
    }

    /// All objects, or those below a folder in it, by path.
    pub async fn list(&self, below: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let mut found: Vec<ObjectMeta> = self.objects.list(below).try_collect().await?;
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }

    /// Removes an object; a missing one is an error.
    pub async fn delete(&self, path: &Path) -> Result<()> {
        Ok(self.objects.delete(path).await?)
    }

    /// Gives an object another name, which lasts when this returns. A crash may leave both names.
    pub async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        move_durably(self.durable.as_ref(), &self.root, &self.full(from), &self.full(to)).await
    }

    /// Removes everything below a folder in it.
    pub async fn clear(&self, below: &Path) -> Result<()> {
        self.durable.clear(&self.full(below)).await
    }

    /// Removes what broken-off writes left, last touched before `older_than`.
    pub async fn reap_unfinished(&self, older_than: SystemTime) -> Result<usize> {
        self.durable.reap_unfinished(&self.root, older_than).await
    }

    fn full(&self, path: &Path) -> Path {
        self.root.parts().chain(path.parts()).collect()
    }
}

/// Moves an object of a store. It is lost at no moment: not every store can rename, and where one
/// can, the new name need not last before the old one is gone.
pub(crate) async fn move_durably(
    durable: &dyn DurableStore,
    root: &Path,
    from: &Path,
    to: &Path,
) -> Result<()> {
    durable.duplicate(root, from, to).await?;
    Ok(durable.objects().delete(from).await?)
}
