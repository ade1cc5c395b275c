//! Whether the account can be worked with.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use frazil_catalog::CATALOG_FILE;
use frazil_common::{Code, UserError};
use frazil_lake::Lake;
use object_store::path::Path as ObjectPath;

/// Time between two tries to write.
const EVERY: Duration = Duration::from_secs(1);
/// Where the writer is not free for so long, somebody is writing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The object that is written, in the folder of what ends with the process: of a block of a disk.
const OBJECT: &str = "health";
const OBJECT_BYTES: &[u8] = &[b'.'; 4096];

/// The last try to write.
#[derive(Debug, Default)]
pub(crate) struct WriteCheck {
    last: tokio::sync::Mutex<Option<(Instant, Result<(), UserError>)>>,
}

impl WriteCheck {
    /// Whether the catalog and the lake's store can be written; it is tried once a second at most.
    ///
    /// # Errors
    /// No write transaction can be begun, the catalog can only be read, or the store takes nothing: it is
    /// full, or its folder was moved away.
    pub async fn check(&self, lake: &Lake) -> Result<(), UserError> {
        let mut last = self.last.lock().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < EVERY
        {
            return outcome.clone();
        }
        let outcome = match tokio::time::timeout(PATIENCE, write(lake)).await {
            Ok(outcome) => outcome,
            Err(_) => Ok(()),
        };
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }
}

async fn write(lake: &Lake) -> Result<(), UserError> {
    lake.catalog().check_writable().await?;
    let folder = lake.store().folder("temp")?;
    let path = ObjectPath::from(OBJECT);
    folder.put(&path, Bytes::from_static(OBJECT_BYTES)).await?;
    folder.delete(&path).await?;
    Ok(())
}

/// Refuses a data directory that was used and whose catalog is gone: a new one would make it an empty
/// account, and its files orphans.
///
/// # Errors
/// The catalog is missing or empty beside the file `format`, or beside files in `data`.
pub(crate) fn refuse_lost_catalog(data_dir: &Path) -> Result<(), UserError> {
    let catalog = data_dir.join(CATALOG_FILE);
    let what = match std::fs::metadata(&catalog) {
        Ok(meta) if meta.len() > 0 => return Ok(()),
        Ok(_) => "empty",
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "missing",
        // Opening it tells more.
        Err(_) => return Ok(()),
    };
    // An empty `format` was left by a first opening that was broken off.
    let has_format = std::fs::metadata(data_dir.join("format")).is_ok_and(|meta| meta.len() > 0);
    let has_data =
        std::fs::read_dir(data_dir.join("data")).is_ok_and(|mut entries| entries.next().is_some());
    if !has_format && !has_data {
        return Ok(());
    }
    Err(UserError::new(
        Code::InvalidArgument,
        format!(
            "the catalog {} is {what}, and the data directory was used before: restore the catalog \
             or a backup. Where nothing was ever stored in it, remove the directory and start again.",
            catalog.display()
        ),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_used_directory_without_its_catalog_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        refuse_lost_catalog(&path.join("absent")).unwrap();
        refuse_lost_catalog(path).unwrap();
        std::fs::write(path.join("format"), "").unwrap();
        std::fs::create_dir(path.join("data")).unwrap();
        refuse_lost_catalog(path).unwrap();
        std::fs::create_dir(path.join("data").join("s")).unwrap();
        let error = refuse_lost_catalog(path).unwrap_err().message;
        assert!(error.contains("catalog.sqlite is missing"), "{error}");
        std::fs::remove_dir(path.join("data").join("s")).unwrap();
        std::fs::write(path.join("format"), "frazil 1\n").unwrap();
        std::fs::write(path.join(CATALOG_FILE), "").unwrap();
        let error = refuse_lost_catalog(path).unwrap_err().message;
        assert!(error.contains("catalog.sqlite is empty") && error.contains("backup"), "{error}");
        std::fs::write(path.join(CATALOG_FILE), "x").unwrap();
        refuse_lost_catalog(path).unwrap();
    }
}
