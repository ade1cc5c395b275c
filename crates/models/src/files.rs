//! Model files: named by the SHA-256 of their bytes, durable before they are registered.

use std::time::SystemTime;

use frazil_lake::{LakeError, ObjectFolder};
use object_store::path::Path;
use sha2::{Digest, Sha256};

use crate::{ModelsError, Result};

/// Folder for files set aside: `quarantine/<batch>/<file name>`.
const QUARANTINE: &str = "quarantine";

/// A folder of model files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    folder: ObjectFolder,
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

impl ModelFiles {
    pub fn new(folder: ObjectFolder) -> Self {
        ModelFiles { folder }
    }

    /// Stores bytes. A file of the same bytes is written anew: it may be damaged, or of a write
    /// that was never known to last.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn put(&self, bytes: Vec<u8>, extension: &str) -> Result<StoredFile> {
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let path = format!("{}/{sha256}.{extension}", &sha256[..2]);
        let stored = StoredFile { sha256, path: path.clone(), bytes: bytes.len() as u64 };
        self.folder.put(&located(&path)?, bytes.into()).await.map_err(of(&path))?;
        Ok(stored)
    }

    /// Reads a file and checks that it is what was stored.
    ///
    /// # Errors
    /// It is missing, or its bytes have changed.
    pub async fn get(&self, path: &str, sha256: &str) -> Result<Vec<u8>> {
        let bytes = self.folder.get(&located(path)?).await.map_err(of(path))?;
        let found = hex::encode(Sha256::digest(&bytes));
        if found == sha256 {
            Ok(bytes.into())
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
    /// The store refuses.
    pub async fn delete(&self, path: &str) -> Result<()> {
        match self.folder.delete(&located(path)?).await {
            Err(LakeError::Store(object_store::Error::NotFound { .. })) => Ok(()),
            other => other.map_err(of(path)),
        }
    }

    /// Moves a file into quarantine.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn set_aside(&self, path: &str, batch: &str) -> Result<()> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let to = located(&format!("{QUARANTINE}/{batch}/{name}"))?;
        self.folder.rename(&located(path)?, &to).await.map_err(of(path))
    }

    /// Moves a file of that name from quarantine to where it was.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn put_back(&self, batch: &str, name: &str) -> Result<()> {
        let from = located(&format!("{QUARANTINE}/{batch}/{name}"))?;
        let to = located(&format!("{}/{name}", name.get(..2).unwrap_or(name)))?;
        self.folder.rename(&from, &to).await.map_err(of(name))
    }

    /// Batch and name of every file in quarantine.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn quarantined(&self) -> Result<Vec<(String, String)>> {
        let below = Path::from(QUARANTINE);
        let found = self.folder.list(Some(&below)).await.map_err(of(QUARANTINE))?;
        let split = |path: &Path| {
            let mut parts = path.parts().skip(1).map(|part| part.as_ref().to_string());
            parts.next().zip(parts.next())
        };
        Ok(found.iter().filter_map(|meta| split(&meta.location)).collect())
    }

    /// Removes a batch from quarantine.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn purge(&self, batch: &str) -> Result<()> {
        let below = located(&format!("{QUARANTINE}/{batch}"))?;
        self.folder.clear(&below).await.map_err(of(batch))
    }

    /// Paths of all files but for those in quarantine, sorted.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn list(&self) -> Result<Vec<String>> {
        let found = self.folder.list(None).await.map_err(of(""))?;
        let aside = Path::from(QUARANTINE);
        let kept = found.iter().filter(|meta| !meta.location.prefix_matches(&aside));
        Ok(kept.map(|meta| meta.location.to_string()).collect())
    }

    /// Removes what broken-off writes left; gives the number of files. Nobody may be writing.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn reap_unfinished(&self) -> Result<usize> {
        self.folder.reap_unfinished(SystemTime::now()).await.map_err(of(""))
    }
}

fn located(path: &str) -> Result<Path> {
    Path::parse(path).map_err(|error| of(path)(object_store::Error::from(error).into()))
}

fn of(path: &str) -> impl FnOnce(LakeError) -> ModelsError {
    let path = path.to_string();
    move |source| ModelsError::File { path, source: Box::new(source) }
}
