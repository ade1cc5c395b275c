//! Model files: named by the SHA-256 of their bytes, durable before they are registered.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::{ModelsError, Result};

/// Folder in the root for files set aside: `quarantine/<batch>/<file name>`.
const QUARANTINE: &str = "quarantine";

/// A folder of model files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    root: Arc<PathBuf>,
}

/// A file as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Hexadecimal SHA-256 of the bytes.
    pub sha256: String,
    /// Relative to the folder, with `/`.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// Distinguishes files that are being written at the same time.
static WRITES: AtomicU64 = AtomicU64::new(0);

impl ModelFiles {
    /// The folder is made when the first file is stored.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        ModelFiles { root: Arc::new(root.into()) }
    }

    /// Stores bytes; storing the same bytes again keeps the file that is there.
    ///
    /// # Errors
    /// The file system refuses.
    pub async fn put(&self, bytes: Vec<u8>, extension: &str) -> Result<StoredFile> {
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let path = format!("{}/{sha256}.{extension}", &sha256[..2]);
        let stored = StoredFile { sha256, path: path.clone(), bytes: bytes.len() as u64 };
        let target = self.root.join(&path);
        self.blocking(path, move || write_durably(&target, &bytes)).await?;
        Ok(stored)
    }

    /// Reads a file and checks that it is what was stored.
    ///
    /// # Errors
    /// It is missing, or its bytes have changed.
    pub async fn get(&self, path: &str, sha256: &str) -> Result<Vec<u8>> {
        let target = self.root.join(path);
        let bytes = self.blocking(path.to_string(), move || fs::read(target)).await?;
        let found = hex::encode(Sha256::digest(&bytes));
        if found == sha256 {
            Ok(bytes)
        } else {
            Err(ModelsError::Digest {
                path: path.to_string(),
                registered: sha256.to_string(),
                found,
            })
        }
    }

    /// Removes a file; a missing one is no error.
    ///
    /// # Errors
    /// The file system refuses.
    pub async fn delete(&self, path: &str) -> Result<()> {
        let target = self.root.join(path);
        self.blocking(path.to_string(), move || match fs::remove_file(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
        .await
    }

    /// Moves a file into quarantine.
    ///
    /// # Errors
    /// The file system refuses.
    pub async fn set_aside(&self, path: &str, batch: &str) -> Result<()> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let from = self.root.join(path);
        let to = self.root.join(QUARANTINE).join(batch).join(name);
        self.blocking(path.to_string(), move || move_durably(&from, &to)).await
    }

    /// Moves a file of that name from quarantine to where it was.
    ///
    /// # Errors
    /// The file system refuses.
    pub async fn put_back(&self, batch: &str, name: &str) -> Result<()> {
        let from = self.root.join(QUARANTINE).join(batch).join(name);
        let to = self.root.join(name.get(..2).unwrap_or(name)).join(name);
        self.blocking(name.to_string(), move || move_durably(&from, &to)).await
    }

    /// Batch and name of every file in quarantine.
    ///
    /// # Errors
    /// The file system refuses.
    pub async fn quarantined(&self) -> Result<Vec<(String, String)>> {
        let folder = self.root.join(QUARANTINE);
        let paths = self.blocking(String::new(), move || list(&folder)).await?;
        let split = |path: &String| {
            path.split_once('/').map(|(batch, name)| (batch.to_string(), name.to_string()))
        };
        Ok(paths.iter().filter_map(split).collect())
    }

    /// Removes a batch from quarantine.
    ///
    /// # Errors
    /// The file system refuses.
    pub async fn purge(&self, batch: &str) -> Result<()> {
        let folder = self.root.join(QUARANTINE).join(batch);
        self.blocking(batch.to_string(), move || fs::remove_dir_all(folder)).await
    }

    /// Paths of all files, unfinished ones too, but for those in quarantine, sorted.
    ///
    /// # Errors
    /// The file system refuses.
    pub async fn list(&self) -> Result<Vec<String>> {
        let root = Arc::clone(&self.root);
        let mut paths = self.blocking(String::new(), move || list(&root)).await?;
        paths.retain(|path| !path.starts_with(QUARANTINE));
        Ok(paths)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        path: String,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result.map_err(|source| ModelsError::File { path, source }),
            Err(error) => Err(ModelsError::Internal(error.to_string())),
        }
    }
}

/// Writes beside the target, flushes to the disk, then moves into place and flushes the folder:
/// a crash leaves the whole file or none.
fn write_durably(target: &Path, bytes: &[u8]) -> io::Result<()> {
    if target.exists() {
        return Ok(());
    }
    let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let unfinished = folder.join(format!("unfinished-{}-{number}", std::process::id()));
    let mut file = fs::File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&unfinished, target)?;
    for folder in folder.ancestors().take(2) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn move_durably(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    fs::rename(from, to)?;
    for folder in folder.ancestors().take(3).chain(from.parent()) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn list(root: &Path) -> io::Result<Vec<String>> {
    let mut paths = Vec::new();
    let folders = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(paths),
        other => other?,
    };
    for folder in folders {
        let folder = folder?;
        if folder.file_type()?.is_dir() {
            for file in fs::read_dir(folder.path())? {
                let (folder, file) = (folder.file_name(), file?.file_name());
                paths.push(format!("{}/{}", folder.to_string_lossy(), file.to_string_lossy()));
            }
        }
    }
    paths.sort();
    Ok(paths)
}
