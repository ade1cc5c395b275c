//! Files that appear whole or not at all, and outlive a power loss.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{LakeError, Result};

/// The error of a path.
pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> LakeError {
    let path = path.display().to_string();
    move |source| LakeError::Io { path, source }
}

/// Copies a file so that the copy appears whole or not at all, and lasts.
pub fn copy_durably(from: &Path, to: &Path) -> std::io::Result<u64> {
    let mut source = File::open(from)?;
    let folder = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut partial = to.as_os_str().to_os_string();
    partial.push(".copying");
    let mut file = File::create(&partial)?;
    let bytes = std::io::copy(&mut source, &mut file)?;
    file.sync_all()?;
    std::fs::rename(&partial, to)?;
    File::open(folder)?.sync_all()?;
    Ok(bytes)
}

/// Writes a file so that it appears whole or not at all, and lasts.
pub fn write_durably(to: &Path, content: &[u8]) -> Result<()> {
    let mut partial = to.as_os_str().to_os_string();
    partial.push(".writing");
    let partial = PathBuf::from(partial);
    let mut file = File::create(&partial).map_err(io(&partial))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(io(&partial))?;
    std::fs::rename(&partial, to).map_err(io(to))?;
    sync_path(to.parent().unwrap_or(Path::new(".")))
}

/// Makes a file's content, or a folder's entries, last.
pub fn sync_path(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io(path))
}
