//! Files that appear whole or not at all, and outlive a power loss.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::checksum::Check;
use crate::error::{LakeError, Result};

const COPY_BUFFER: usize = 1 << 20;

/// What was read of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub bytes: u64,
    /// In hexadecimal digits.
    pub sha256: String,
    /// Whether it is what was written, as far as it tells.
    pub intact: bool,
}

/// The error of a path.
pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> LakeError {
    let path = path.display().to_string();
    move |source| LakeError::Io { path, source }
}

/// Copies a file so that the copy appears whole or not at all, and lasts. Tells what was read.
pub fn copy_durably(from: &Path, to: &Path) -> std::io::Result<Content> {
    let mut source = File::open(from)?;
    let folder = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut partial = to.as_os_str().to_os_string();
    partial.push(".copying");
    let mut file = File::create(&partial)?;
    let content = pass(&mut source, &mut file)?;
    file.sync_all()?;
    std::fs::rename(&partial, to)?;
    File::open(folder)?.sync_all()?;
    Ok(content)
}

/// What a file holds.
pub fn content(path: &Path) -> std::io::Result<Content> {
    pass(&mut File::open(path)?, &mut std::io::sink())
}

fn pass(from: &mut File, to: &mut impl Write) -> std::io::Result<Content> {
    let mut check = Check::of(from)?;
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0_u8; COPY_BUFFER];
    loop {
        let read = match from.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            let intact = check.is_none_or(Check::holds);
            return Ok(Content { bytes, sha256: hex::encode(hasher.finalize()), intact });
        }
        hasher.update(&buffer[..read]);
        if let Some(check) = &mut check {
            check.update(&buffer[..read]);
        }
        to.write_all(&buffer[..read])?;
        bytes += read as u64;
    }
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
