//! The data directory: layout, version, and the lock that keeps a second server out.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use frazil_catalog::CATALOG_FILE;

use crate::durable::{io, write_durably};
use crate::error::{LakeError, Result};

/// Version of the layout, kept in the file `format`.
pub(crate) const FORMAT_VERSION: &str = "frazil 1";
pub(crate) const FOLDERS: [&str; 5] = ["data", "temp", "stages", "results", "models"];

/// What is wrong with a data directory's file `format`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatFault {
    /// There is a catalog, so there was a version: the file was lost, or its content was.
    #[error(
        "the file 'format' is {}, which a power loss may leave; `frazil doctor --repair` writes it \
         anew where the catalog is whole",
        if *empty { "empty" } else { "missing" }
    )]
    Lost { empty: bool },
    /// Of a program that this one knows nothing of.
    #[error(
        "the file 'format' says '{0}', and this program reads '{FORMAT_VERSION}' alone; open the \
         directory with the version of Frazil that made it, or restore a backup of this version"
    )]
    Unknown(String),
}

/// Looks at the file `format` of a data directory. A directory without a catalog has no fault: it
/// is made at its first opening.
pub fn format_fault(path: &Path) -> Result<Option<FormatFault>> {
    let format_path = path.join("format");
    let found = match std::fs::read(&format_path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(io(&format_path)(source)),
    };
    // Some file systems leave zeros where content was lost.
    let text = found.as_deref().map(|found| String::from_utf8_lossy(found));
    let text =
        text.as_deref().map(|text| text.trim_matches(|c: char| c == '\0' || c.is_whitespace()));
    match text {
        Some(FORMAT_VERSION) => Ok(None),
        None | Some("") if !path.join(CATALOG_FILE).exists() => Ok(None),
        None => Ok(Some(FormatFault::Lost { empty: false })),
        Some("") => Ok(Some(FormatFault::Lost { empty: true })),
        Some(other) => Ok(Some(FormatFault::Unknown(other.to_string()))),
    }
}

/// An open data directory. The lock is held until it is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: Lock,
}

/// Of the file `lock`, whose text tells who holds it, and of the directory itself: the file may be taken
/// for a left-over and removed.
#[derive(Debug)]
struct Lock {
    _file: File,
    _directory: File,
}

/// Which directory is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirectoryIdentity {
    device: u64,
    inode: u64,
}

impl DirectoryIdentity {
    /// None where there is none.
    pub fn of(path: &Path) -> Option<DirectoryIdentity> {
        let meta = std::fs::metadata(path).ok()?;
        Some(DirectoryIdentity { device: meta.dev(), inode: meta.ino() })
    }
}

impl DataDirectory {
    /// Opens or makes the directory and takes its lock.
    ///
    /// Fails when another process holds the lock or when the layout is of another version. A
    /// directory made here is its owner's alone; of another one that others may enter the log tells.
    pub fn open(path: &Path) -> Result<DataDirectory> {
        if path.exists() && !path.is_dir() {
            return Err(LakeError::Directory(format!(
                "{} is a file, not a folder: a data directory is a folder",
                path.display()
            )));
        }
        make_private(path)?;
        let path = path.canonicalize().map_err(io(path))?;
        warn_if_shared(&path);
        let lock = DataDirectory::lock(&path)?;
        if let Some(fault) = format_fault(&path)? {
            return Err(LakeError::Directory(format!("{}: {fault}", path.display())));
        }
        let format_path = path.join("format");
        if !std::fs::read(&format_path).is_ok_and(|found| !found.is_empty()) {
            write_durably(&format_path, format!("{FORMAT_VERSION}\n").as_bytes())?;
        }
        for folder in FOLDERS {
            let folder = path.join(folder);
            std::fs::create_dir_all(&folder).map_err(io(&folder))?;
        }
        Ok(DataDirectory { path, _lock: lock })
    }

    fn lock(path: &Path) -> Result<Lock> {
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock_path)
            .map_err(io(&lock_path))?;
        let directory = File::open(path).map_err(io(path))?;
        match lock.try_lock().and_then(|()| directory.try_lock()) {
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
        Ok(Lock { _file: lock, _directory: directory })
    }

    /// Writes the file `format` anew where it was lost. Whoever calls this has seen that the
    /// directory's catalog is one of this version.
    ///
    /// # Errors
    /// Another process has the directory open, or the disk fails.
    pub fn repair_format(path: &Path) -> Result<bool> {
        let path = path.canonicalize().map_err(io(path))?;
        let _lock = DataDirectory::lock(&path)?;
        let lost = matches!(format_fault(&path)?, Some(FormatFault::Lost { .. }));
        if lost {
            write_durably(&path.join("format"), format!("{FORMAT_VERSION}\n").as_bytes())?;
        }
        Ok(lost)
    }

    /// Whether a process holds the directory's lock.
    pub fn is_in_use(path: &Path) -> Result<bool> {
        for place in [path.join("lock"), path.to_path_buf()] {
            let lock = match File::open(&place) {
                Ok(lock) => lock,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(io(&place)(source)),
            };
            // A shared lock, so that two who look do not see each other.
            match lock.try_lock_shared() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(true),
                Err(TryLockError::Error(source)) => return Err(io(&place)(source)),
            }
        }
        Ok(false)
    }

    /// The directory's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The catalog's file.
    pub fn catalog_path(&self) -> PathBuf {
        self.path.join(CATALOG_FILE)
    }

    /// Spooled results.
    pub fn results_path(&self) -> PathBuf {
        self.path.join("results")
    }
}

/// The data directory that a path is or lies in, whether or not there is something at the path.
pub(crate) fn around(path: &Path) -> Result<Option<PathBuf>> {
    let whole = std::path::absolute(path).map_err(io(path))?;
    let Some(there) = whole.ancestors().find_map(|folder| folder.canonicalize().ok()) else {
        return Ok(None);
    };
    let is_data_directory = |folder: &&Path| {
        // The file `format` may be lost.
        folder.join(CATALOG_FILE).is_file()
            && (folder.join("format").is_file() || folder.join("data").is_dir())
    };
    Ok(there.ancestors().find(is_data_directory).map(Path::to_path_buf))
}

/// Makes a folder that nobody but its owner may enter: it will hold password hashes and all data.
/// One that is there keeps its mode.
pub(crate) fn make_private(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io(parent))?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(io(path)(source)),
    }
}

/// Whether group or others may enter or list a folder.
fn is_shared(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o055 != 0)
}

fn warn_if_shared(path: &Path) {
    if is_shared(path) {
        tracing::warn!(
            "other users of this machine may be able to read the data directory {path}, which holds \
             password hashes and all data: chmod 700 {path}",
            path = path.display()
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_lock_file_lets_no_second_server_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let first = DataDirectory::open(path).unwrap();
        std::fs::remove_file(path.join("lock")).unwrap();
        assert!(DataDirectory::is_in_use(path).unwrap());
        let error = DataDirectory::open(path).unwrap_err().to_string();
        assert!(error.contains("is in use by another server"), "{error}");
        drop(first);
        assert!(!DataDirectory::is_in_use(path).unwrap());
        drop(DataDirectory::open(path).unwrap());
    }

    #[test]
    fn a_lost_format_is_told_and_repaired_and_an_unknown_one_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let format = path.join("format");
        // A directory whose first opening was broken off opens.
        std::fs::write(&format, "").unwrap();
        drop(DataDirectory::open(path).unwrap());
        assert_eq!(std::fs::read_to_string(&format).unwrap(), "frazil 1\n");
        assert!(!path.join("format.writing").exists());

        std::fs::write(path.join(CATALOG_FILE), "x").unwrap();
        for content in [Some(""), Some("\0\0\0\0"), None] {
            match content {
                Some(content) => std::fs::write(&format, content).unwrap(),
                None => std::fs::remove_file(&format).unwrap(),
            }
            let error = DataDirectory::open(path).unwrap_err().to_string();
            let what = if content.is_some() { "is empty" } else { "is missing" };
            assert!(error.contains(what) && error.contains("doctor --repair"), "{error}");
            assert!(DataDirectory::repair_format(path).unwrap());
            assert!(!DataDirectory::repair_format(path).unwrap());
            drop(DataDirectory::open(path).unwrap());
        }

        std::fs::write(&format, "frazil 9\n").unwrap();
        assert!(!DataDirectory::repair_format(path).unwrap());
        let error = DataDirectory::open(path).unwrap_err().to_string();
        assert!(error.contains("'frazil 9'") && error.contains("'frazil 1'"), "{error}");
        assert_eq!(std::fs::read_to_string(&format).unwrap(), "frazil 9\n");
    }

    #[test]
    fn a_directory_in_use_is_not_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let open = DataDirectory::open(dir.path()).unwrap();
        assert!(DataDirectory::is_in_use(dir.path()).unwrap());
        let error = DataDirectory::repair_format(dir.path()).unwrap_err().to_string();
        assert!(error.contains("in use"), "{error}");
        drop(open);
        assert!(!DataDirectory::is_in_use(dir.path()).unwrap());
    }

    #[test]
    fn a_new_directory_is_its_owners_alone_and_a_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/data");
        drop(DataDirectory::open(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!is_shared(&path));
        // What its owner opened to others stays as it is.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_shared(&path));
        drop(DataDirectory::open(&path).unwrap());
        assert!(is_shared(&path));
        let error = DataDirectory::open(&path.join("format")).unwrap_err().to_string();
        assert!(error.contains("is a file, not a folder"), "{error}");
    }
}
