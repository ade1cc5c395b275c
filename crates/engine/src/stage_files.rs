//! Bytes of internal stages: `stages/<stage id>/<path>`, by id and never by name.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use frazil_catalog::LOAD_METADATA_DAYS;
use frazil_catalog::account::now_micros;
use frazil_common::{Code, UserError};
use frazil_lake::{LakeError, NewObject, ObjectFolder};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};

use crate::api::{StageBytes, StageFile};

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;
/// Bytes collected before a part is written.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Their folder in the data directory.
pub const STAGES_FOLDER: &str = "stages";

/// Stage files in the data directory.
#[derive(Debug)]
pub struct StageFiles {
    folder: ObjectFolder,
    store: Arc<dyn ObjectStore>,
    /// Largest file taken, in bytes.
    file_bytes_max: u64,
    /// Held by those who put a file in place of another, and alone by those who remove one that must not
    /// have been replaced.
    replacing: tokio::sync::RwLock<()>,
}

/// A stage file as it was loaded.
#[derive(Debug, Clone)]
pub(crate) struct LoadedFile {
    stage_id: i64,
    path: String,
    digest: String,
}

impl LoadedFile {
    pub fn of(stage_id: i64, file: &StageFile) -> LoadedFile {
        LoadedFile { stage_id, path: file.path.clone(), digest: file.digest.clone() }
    }
}

/// The part of a store's tag that a copy of the data directory keeps. The store of a local folder begins it with
/// the number by which the disk knows the file, before the time of its change and its size.
pub(crate) fn lasting_tag(tag: &str) -> &str {
    match tag.split_once('-') {
        Some((_, lasting)) if lasting.contains('-') => lasting,
        _ => tag,
    }
}

/// What the disk said, without the place on the server that the errors around it name.
fn failed(
    action: &str,
    path: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> UserError {
    let mut innermost: &(dyn std::error::Error + 'static) = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if !innermost.is::<std::io::Error>() {
        innermost = &error;
    }
    tracing::warn!(path, %error, "a stage file could not be {action}");
    UserError::internal(format!("stage file '{path}' could not be {action}: {innermost}"))
}

/// Most bytes of a name between two slashes: local disks take 255, and one that is being written has a
/// number behind it.
const NAME_BYTES: usize = 240;
/// Most bytes of a path below a stage, as in stores of clouds.
const PATH_BYTES: usize = 1024;

/// Refuses names that not every store takes.
pub(crate) fn check_length(path: &str) -> Result<(), UserError> {
    let long = path.split('/').find(|name| name.len() > NAME_BYTES);
    let (what, length, most) = match long {
        Some(name) => ("a name in it", name.len(), NAME_BYTES),
        None => ("it", path.len(), PATH_BYTES),
    };
    if length <= most {
        return Ok(());
    }
    let shown: String = path.chars().take(60).collect();
    Err(UserError::new(
        Code::InvalidArgument,
        format!(
            "'{shown}…' cannot be the path of a file on a stage: {what} has {length} bytes, and at most \
             {most} are possible."
        ),
    ))
}

impl StageFiles {
    pub fn new(folder: ObjectFolder, file_bytes_max: u64) -> Self {
        StageFiles {
            store: folder.objects(),
            folder,
            file_bytes_max,
            replacing: tokio::sync::RwLock::default(),
        }
    }

    /// The store all stage files lie in; a stage's files are below its id.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    /// Where a stage's file lies in [`StageFiles::object_store`]. Refuses paths that climb out.
    pub fn location(stage_id: i64, path: &str) -> Result<Path, UserError> {
        let bad = |why: String| {
            UserError::new(
                Code::InvalidArgument,
                format!("'{path}' is not a path inside a stage: {why}"),
            )
        };
        if path.split('/').any(|part| part == ".." || part == ".") {
            return Err(bad("it has a '.' or '..' part".to_string()));
        }
        let path = path.trim_start_matches('/');
        Path::parse(format!("{stage_id}/{path}").trim_end_matches('/'))
            .map_err(|e| bad(e.to_string()))
    }

    /// Whether a file of this path can be put.
    pub fn check(stage_id: i64, path: &str) -> Result<(), UserError> {
        check_length(path)?;
        Self::location(stage_id, path).map(|_| ())
    }

    /// Removes everything below a stage.
    pub async fn delete_stage(&self, stage_id: i64) -> Result<(), UserError> {
        let stage = stage_id.to_string();
        let below = Path::from(stage.as_str());
        self.folder.clear(&below).await.map_err(|e| failed("removed", &stage, e))
    }

    /// Removes a file that was loaded; one that has come in its place stays.
    pub async fn delete_loaded(&self, file: &LoadedFile) -> Result<(), UserError> {
        let _alone = self.replacing.write().await;
        let found = self.head(file.stage_id, &file.path).await?;
        match found.is_some_and(|found| found.digest == file.digest) {
            true => self.delete(file.stage_id, &file.path).await,
            false => Ok(()),
        }
    }

    /// Removes what uploads that a crash broke off left; gives the number of files.
    pub async fn reap_unfinished(&self, older_than: SystemTime) -> Result<usize, UserError> {
        Ok(self.folder.reap_unfinished(older_than).await?)
    }

    /// The SHA-256 of a file; none where it is gone.
    async fn digest(&self, location: &Path, path: &str) -> Result<Option<Vec<u8>>, UserError> {
        let mut bytes = match self.store.get(location).await {
            Ok(found) => found.into_stream(),
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed("read", path, error)),
        };
        let mut digest = Sha256::new();
        while let Some(piece) = bytes.try_next().await.map_err(|e| failed("read", path, e))? {
            digest.update(&piece);
        }
        Ok(Some(digest.finalize().to_vec()))
    }

    async fn write(
        &self,
        upload: &mut dyn NewObject,
        path: &str,
        mut body: BoxStream<'static, Result<Bytes, std::io::Error>>,
        mut content: Option<&mut Sha256>,
    ) -> Result<u64, UserError> {
        let mut total = 0u64;
        let mut part: Vec<u8> = Vec::new();
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|e| failed("received", path, e))?;
            total += bytes.len() as u64;
            if total > self.file_bytes_max {
                return Err(UserError::new(
                    Code::ResourceLimit,
                    format!(
                        "File '{path}' is larger than {} bytes, the limit of --upload-limit for files on \
                         stages.",
                        self.file_bytes_max
                    ),
                ));
            }
            if let Some(content) = &mut content {
                content.update(&bytes);
            }
            part.extend_from_slice(&bytes);
            if part.len() >= PART_BYTES {
                let full = std::mem::take(&mut part);
                upload.write(full.into()).await.map_err(|e| failed("written", path, e))?;
            }
        }
        upload.write(part.into()).await.map_err(|e| failed("written", path, e))?;
        Ok(total)
    }
}

#[async_trait::async_trait]
impl StageBytes for StageFiles {
    async fn put(
        &self,
        stage_id: i64,
        path: &str,
        body: BoxStream<'static, Result<Bytes, std::io::Error>>,
    ) -> Result<u64, UserError> {
        Self::check(stage_id, path)?;
        let location = Self::location(stage_id, path)?;
        let refused = |error: LakeError| failed("written", path, error);
        // Where it fails, what was written is given up with it.
        let mut upload = self.folder.create(&location).await.map_err(refused)?;
        let before = self.head(stage_id, path).await?.filter(is_remembered);
        let mut content = before.is_some().then(Sha256::new);
        let total = self.write(upload.as_mut(), path, body, content.as_mut()).await?;
        let content = content.map(|content| content.finalize().to_vec());
        let same = match (&before, &content) {
            (Some(before), Some(content)) if before.size == total => {
                self.digest(&location, path).await?.as_ref() == Some(content)
            }
            _ => false,
        };
        let _replacing = self.replacing.read().await;
        if same && self.head(stage_id, path).await? == before {
            // It stays the file that COPY INTO has loaded, or has not.
            return Ok(total);
        }
        upload.finish().await.map_err(refused)?;
        Ok(total)
    }

    async fn get(
        &self,
        stage_id: i64,
        path: &str,
    ) -> Result<BoxStream<'static, Result<Bytes, std::io::Error>>, UserError> {
        let location = Self::location(stage_id, path)?;
        let absent = |error: &object_store::Error| {
            matches!(error, object_store::Error::NotFound { .. }) || check_length(path).is_err()
        };
        let found = self.store.get(&location).await.map_err(|e| match e {
            error if absent(&error) => UserError::new(
                Code::StageFileNotFound,
                format!("File '{path}' does not exist in the stage."),
            ),
            other => failed("read", path, other),
        })?;
        Ok(found.into_stream().map_err(std::io::Error::other).boxed())
    }

    async fn head(&self, stage_id: i64, path: &str) -> Result<Option<StageFile>, UserError> {
        let location = Self::location(stage_id, path)?;
        match self.store.head(&location).await {
            // A store below a folder tells where the file lies in the whole one.
            Ok(found) => Ok(Some(describe(stage_id, &ObjectMeta { location, ..found }))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            // The disk has no names that are so long.
            Err(_) if check_length(path).is_err() => Ok(None),
            Err(error) => Err(failed("read", path, error)),
        }
    }

    async fn list(&self, stage_id: i64, prefix: &str) -> Result<Vec<StageFile>, UserError> {
        let folder = Path::from(stage_id.to_string());
        let found =
            self.folder.list(Some(&folder)).await.map_err(|e| failed("listed", prefix, e))?;
        let mut files: Vec<StageFile> = found.iter().map(|meta| describe(stage_id, meta)).collect();
        files.retain(|file| file.path.starts_with(prefix));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    async fn delete(&self, stage_id: i64, path: &str) -> Result<(), UserError> {
        let location = Self::location(stage_id, path)?;
        self.folder.delete(&location).await.map_err(|e| failed("removed", path, e))
    }
}

/// Whether a load of the file is remembered still. An older one that comes again is a new file.
fn is_remembered(file: &StageFile) -> bool {
    let days = LOAD_METADATA_DAYS * MICROS_PER_DAY;
    file.modified_micros > now_micros().saturating_sub(days)
}

fn describe(stage_id: i64, meta: &ObjectMeta) -> StageFile {
    let location = meta.location.as_ref();
    let path = location.strip_prefix(&format!("{stage_id}/")).unwrap_or(location);
    StageFile {
        path: path.to_string(),
        size: meta.size,
        digest: meta.e_tag.clone().unwrap_or_default(),
        modified_micros: meta.last_modified.timestamp_micros(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn body(text: &'static str) -> BoxStream<'static, Result<Bytes, std::io::Error>> {
        futures::stream::iter([Ok(Bytes::from_static(text.as_bytes()))]).boxed()
    }

    #[tokio::test]
    async fn files_are_kept_by_stage_and_path() {
        let directory = tempfile::tempdir().unwrap();
        let stages = StageFiles::new(ObjectFolder::local(directory.path()).unwrap(), 10);
        stages.put(7, "a/b.csv", body("1,2")).await.unwrap();
        stages.put(8, "a/b.csv", body("other")).await.unwrap();
        assert_eq!(stages.head(7, "a/b.csv").await.unwrap().unwrap().path, "a/b.csv");
        let listed = stages.list(7, "a/").await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].path.as_str(), listed[0].size), ("a/b.csv", 3));
        assert!(stages.put(7, "../8/x", body("no")).await.is_err());
        let error = stages.put(7, "large", body("more than ten bytes")).await.unwrap_err();
        assert_eq!(error.code, Code::ResourceLimit);
        assert!(stages.head(7, "large").await.unwrap().is_none());
        let before = stages.head(7, "a/b.csv").await.unwrap().unwrap();
        // The same content leaves the file as it is, other content of the same length does not.
        assert_eq!(stages.put(7, "a/b.csv", body("1,2")).await.unwrap(), 3);
        assert_eq!(stages.head(7, "a/b.csv").await.unwrap().unwrap(), before);
        stages.put(7, "a/b.csv", body("1,3")).await.unwrap();
        assert_ne!(stages.head(7, "a/b.csv").await.unwrap().unwrap().digest, before.digest);
        // Names that the disk does not take.
        for path in ["é".repeat(121), ["d"; 600].join("/")] {
            let error = stages.put(7, &path, body("1")).await.unwrap_err();
            assert_eq!(error.code, Code::InvalidArgument);
            assert!(stages.head(7, &path).await.is_ok_and(|found| found.is_none()));
        }
        stages.put(7, &"é".repeat(120), body("1")).await.unwrap();
        let taken = stages.put(7, &["d"; 512].join("/"), body("1")).await.unwrap();
        assert_eq!(taken, 1);
        // What the disk says is told, where on it is not.
        stages.put(7, "file", body("1")).await.unwrap();
        let error = stages.put(7, "file/below", body("1")).await.unwrap_err();
        assert!(!error.message.contains(directory.path().to_str().unwrap()), "{}", error.message);
        stages.delete_stage(7).await.unwrap();
        assert!(stages.list(7, "").await.unwrap().is_empty());
        assert_eq!(stages.list(8, "").await.unwrap().len(), 1);
    }
}
