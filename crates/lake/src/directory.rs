//! The data directory: layout, version, and the lock that keeps a second server out.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{LakeError, Result};

/// Version of the layout, kept in the file `format`.
pub(crate) const FORMAT_VERSION: &str = "frazil 1";
pub(crate) const FOLDERS: [&str; 5] = ["data", "temp", "stages", "results", "models"];

/// An open data directory. The lock is held until it is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Opens or makes the directory and takes its lock.
    ///
    /// Fails when another process holds the lock or when the layout is of another version.
    pub fn open(path: &Path) -> Result<DataDirectory> {
        let io = |at: &Path| {
            let path = at.display().to_string();
            move |source| LakeError::Io { path, source }
        };
        std::fs::create_dir_all(path).map_err(io(path))?;
        let path = path.canonicalize().map_err(io(path))?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock_path)
            .map_err(io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The text only helps the reader of the message.
                let _ = lock.read_to_string(&mut holder);
                let holder = holder.trim();
                let by =
                    if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                return Err(LakeError::Directory(format!(
                    "the data directory {} is in use by another server{by}",
                    path.display()
                )));
            }
            Err(TryLockError::Error(source)) => return Err(io(&lock_path)(source)),
        }
        lock.set_len(0).map_err(io(&lock_path))?;
        lock.write_all(std::process::id().to_string().as_bytes()).map_err(io(&lock_path))?;
        let format_path = path.join("format");
        match std::fs::read_to_string(&format_path) {
            Ok(found) if found.trim() == FORMAT_VERSION => {}
            Ok(found) => {
                return Err(LakeError::Directory(format!(
                    "{} holds data of format '{}'; this server reads '{FORMAT_VERSION}'",
                    path.display(),
                    found.trim()
                )));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::write(&format_path, format!("{FORMAT_VERSION}\n"))
                    .map_err(io(&format_path))?;
            }
            Err(source) => return Err(io(&format_path)(source)),
        }
        for folder in FOLDERS {
            let folder = path.join(folder);
            std::fs::create_dir_all(&folder).map_err(io(&folder))?;
        }
        Ok(DataDirectory { path, _lock: lock })
    }

    /// Whether a process holds the directory's lock.
    pub fn is_in_use(path: &Path) -> Result<bool> {
        let lock_path = path.join("lock");
        let lock = match File::open(&lock_path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(source) => {
                return Err(LakeError::Io { path: lock_path.display().to_string(), source });
            }
        };
        // A shared lock, so that two who look do not see each other.
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(source)) => {
                Err(LakeError::Io { path: lock_path.display().to_string(), source })
            }
        }
    }

    /// The directory's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The catalog's SQLite file.
    pub fn catalog_path(&self) -> PathBuf {
        self.path.join("catalog.sqlite")
    }

    /// Bytes of stages, by stage id.
    pub fn stages_path(&self) -> PathBuf {
        self.path.join("stages")
    }

    /// Spooled results.
    pub fn results_path(&self) -> PathBuf {
        self.path.join("results")
    }

    /// Artifacts of model versions.
    pub fn models_path(&self) -> PathBuf {
        self.path.join("models")
    }
}
