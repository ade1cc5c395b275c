//! The local disk behind [`DurableStore`].

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::directory::DirectoryIdentity;
use crate::durable::{io, sync_path};
use crate::error::{LakeError, Result};
use crate::files::{DurableStore, NewObject};

/// The local disk; objects are files by absolute path.
#[derive(Debug)]
pub(crate) struct LocalDisk {
    objects: Arc<LocalFileSystem>,
    /// The data directory, and which it was in the beginning.
    home: PathBuf,
    identity: Option<DirectoryIdentity>,
}

impl LocalDisk {
    /// The disk of a data directory.
    pub fn of(home: &FsPath) -> LocalDisk {
        LocalDisk {
            objects: Arc::new(LocalFileSystem::new()),
            home: home.to_path_buf(),
            identity: DirectoryIdentity::of(home),
        }
    }

    /// Fails where the data directory was moved or removed: folders would be made again in its place, and
    /// their files belong to no catalog.
    fn check_home(&self) -> Result<()> {
        if self.identity.is_none() || DirectoryIdentity::of(&self.home) == self.identity {
            return Ok(());
        }
        Err(LakeError::Directory(format!(
            "the data directory {} was moved or removed while it was in use: nothing can be written; stop the \
             server and start it on the directory's new place",
            self.home.display()
        )))
    }
}

#[async_trait]
impl DurableStore for LocalDisk {
    fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects) as Arc<dyn ObjectStore>
    }

    async fn sync(&self, root: &Path, paths: &[Path]) -> Result<()> {
        self.check_home()?;
        let root = local_path(root);
        let files: Vec<PathBuf> = paths.iter().map(local_path).collect();
        blocking(move || {
            files.iter().try_for_each(|file| sync_path(file))?;
            sync_folders(&root, &files)
        })
        .await
    }

    async fn create(&self, root: &Path, path: &Path) -> Result<Box<dyn NewObject>> {
        if path.filename().is_none_or(is_unfinished) {
            // The name of a broken-off write: no listing would show it.
            let source = std::io::Error::from(std::io::ErrorKind::InvalidFilename);
            return Err(LakeError::Io { path: path.to_string(), source });
        }
        self.check_home()?;
        let (root, target) = (local_path(root), local_path(path));
        let new = blocking(move || NewFile::open(root, target)).await?;
        Ok(Box::new(new))
    }

    async fn duplicate(&self, root: &Path, from: &Path, to: &Path) -> Result<()> {
        // Another name of the same bytes, which last already: large files cost nothing.
        self.objects.copy(from, to).await?;
        self.sync(root, std::slice::from_ref(to)).await
    }

    async fn clear(&self, folder: &Path) -> Result<()> {
        let folder = local_path(folder);
        blocking(move || match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(&folder)(error)),
            _ => Ok(()),
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
                        std::fs::remove_file(&path).map_err(io(&path))?;
                        removed += 1;
                    }
                }
            }
            Ok(removed)
        })
        .await
    }
}

/// A file in the making, under a name that listings leave out. Its content is on the disk before
/// it takes the place of the one of its name, so that a crash leaves either whole.
struct NewFile {
    file: Arc<File>,
    /// Where it is until it is finished.
    partial: Option<PathBuf>,
    target: PathBuf,
    root: PathBuf,
}

impl NewFile {
    fn open(root: PathBuf, target: PathBuf) -> Result<NewFile> {
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(io(folder))?;
        }
        for number in 1_u64.. {
            let mut partial = target.as_os_str().to_os_string();
            partial.push(format!("#{number}"));
            let partial = PathBuf::from(partial);
            match OpenOptions::new().write(true).create_new(true).open(&partial) {
                Ok(file) => {
                    let file = Arc::new(file);
                    return Ok(NewFile { file, partial: Some(partial), target, root });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io(&partial)(error)),
            }
        }
        Err(LakeError::Damaged(format!("no name is left beside {}", target.display())))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(partial) = self.partial.take()
            && let Err(error) = std::fs::remove_file(&partial)
        {
            tracing::warn!(path = %partial.display(), %error, "a broken-off write stays");
        }
    }
}

#[async_trait]
impl NewObject for NewFile {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let (file, target) = (Arc::clone(&self.file), self.target.clone());
        blocking(move || (&*file).write_all(&bytes).map_err(io(&target))).await
    }

    async fn finish(mut self: Box<Self>) -> Result<()> {
        blocking(move || {
            self.file.sync_all().map_err(io(&self.target))?;
            if let Some(partial) = &self.partial {
                std::fs::rename(partial, &self.target).map_err(io(&self.target))?;
            }
            self.partial = None;
            sync_folders(&self.root, std::slice::from_ref(&self.target))
        })
        .await
    }
}

/// Makes the folders' entries that lead from `root` to the files last.
fn sync_folders(root: &FsPath, files: &[PathBuf]) -> Result<()> {
    let mut folders: Vec<&FsPath> = Vec::new();
    for file in files {
        let mut folder = file.parent();
        // New folders must last too, up to the root.
        while let Some(current) = folder {
            if !folders.contains(&current) {
                folders.push(current);
            }
            if current == root || !current.starts_with(root) {
                break;
            }
            folder = current.parent();
        }
    }
    folders.into_iter().try_for_each(sync_path)
}

/// `LocalFileSystem` writes below the name `<object>#<number>` and renames at the end, as
/// [`NewFile`] does; its listings leave such names out.
pub(crate) fn is_unfinished(name: &str) -> bool {
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
    use crate::files::FileStore;

    fn names(folder: &FsPath) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

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
        assert_eq!(names(&table), ["a.parquet", "c#d.parquet", "e.parquet#"]);
    }

    #[tokio::test]
    async fn a_new_object_is_seen_when_it_is_finished_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let folder = FileStore::local(&root).folder("stages").unwrap();
        let path = Path::from("7/a.csv");
        folder.put(&path, Bytes::from_static(b"old")).await.unwrap();
        let mut new = folder.create(&path).await.unwrap();
        new.write(Bytes::from_static(b"ne")).await.unwrap();
        assert_eq!(folder.get(&path).await.unwrap(), "old");
        assert_eq!(folder.list(None).await.unwrap().len(), 1);
        new.write(Bytes::from_static(b"w")).await.unwrap();
        new.finish().await.unwrap();
        assert_eq!(folder.get(&path).await.unwrap(), "new");
        let mut given_up = folder.create(&path).await.unwrap();
        given_up.write(Bytes::from_static(b"half")).await.unwrap();
        drop(given_up);
        assert_eq!(names(&root.join("stages/7")), ["a.csv"]);
        assert!(folder.create(&Path::parse("7/a.csv#1").unwrap()).await.is_err());
        folder.rename(&path, &Path::from("aside/7/a.csv")).await.unwrap();
        assert!(folder.get(&path).await.is_err());
        folder.clear(&Path::from("aside")).await.unwrap();
        folder.clear(&Path::from("aside")).await.unwrap();
        assert_eq!(names(&root.join("stages")), ["7"]);
    }

    #[tokio::test]
    async fn nothing_is_written_into_a_directory_that_took_the_place_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("lake");
        std::fs::create_dir(&root).unwrap();
        let folder = FileStore::local(&root).folder("stages").unwrap();
        let path = Path::from("a");
        let put = || folder.put(&path, Bytes::from_static(b"x"));
        put().await.unwrap();
        std::fs::rename(&root, root.with_extension("moved")).unwrap();
        for made_again in [false, true] {
            if made_again {
                std::fs::create_dir(&root).unwrap();
            }
            let error = put().await.unwrap_err().to_string();
            assert!(error.contains("was moved or removed"), "{error}");
            assert!(!root.join("stages").exists());
        }
    }
}
