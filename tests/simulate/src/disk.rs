//! A disk that loses what was not synced when the process dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use frazil_lake::{DurableStore, LakeError, NewObject};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};
use parking_lot::Mutex;

use crate::faults::{Call, Faults, Verdict};

/// The disk. Cheap to clone; clones share the content.
#[derive(Debug, Clone)]
pub struct SimulatedDisk {
    inner: Arc<InMemory>,
    lasting: Arc<Mutex<Lasting>>,
    faults: Arc<Faults>,
}

/// What a crash leaves.
#[derive(Debug, Default)]
struct Lasting {
    synced: BTreeSet<Path>,
    /// Deleted objects that were synced: a crash may bring them back.
    deleted: BTreeMap<Path, Bytes>,
    /// Whole objects whose place was taken without an answer: what was there before, which a crash
    /// may bring back.
    replaced: BTreeMap<Path, Option<Bytes>>,
}

fn failure(what: &str) -> Error {
    Error::Generic { store: "simulated disk", source: what.to_string().into() }
}

fn dead() -> Error {
    failure("the process has died")
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new(faults: Arc<Faults>) -> SimulatedDisk {
        SimulatedDisk { inner: Arc::new(InMemory::new()), lasting: Arc::default(), faults }
    }

    /// What a restart finds: synced objects whole, of others all, a part or nothing; of deleted
    /// ones some are back.
    pub async fn after_crash(&self, faults: Arc<Faults>) -> Result<SimulatedDisk> {
        let after = SimulatedDisk::new(faults);
        let objects: Vec<ObjectMeta> = self.inner.list(None).try_collect().await?;
        for meta in objects {
            let bytes = self.inner.get(&meta.location).await?.bytes().await?;
            let synced = self.lasting.lock().synced.contains(&meta.location);
            let before = self.lasting.lock().replaced.get(&meta.location).cloned();
            let kept = match self.faults.below(3) {
                0 if before.is_some() => match before.flatten() {
                    Some(bytes) => bytes,
                    None => continue,
                },
                _ if before.is_some() => bytes,
                _ if synced => bytes,
                0 => continue,
                1 => bytes.slice(0..self.faults.below(bytes.len())),
                _ => bytes,
            };
            after.keep(&meta.location, kept).await?;
        }
        let deleted = self.lasting.lock().deleted.clone();
        for (path, bytes) in deleted {
            if self.faults.below(2) == 0 && self.inner.head(&path).await.is_err() {
                after.keep(&path, bytes).await?;
            }
        }
        Ok(after)
    }

    async fn keep(&self, path: &Path, bytes: Bytes) -> Result<()> {
        self.inner.put(path, bytes.into()).await?;
        self.lasting.lock().synced.insert(path.clone());
        Ok(())
    }

    /// Every object's path.
    pub async fn paths(&self) -> Result<BTreeSet<Path>> {
        self.inner.list(None).map_ok(|meta| meta.location).try_collect().await
    }

    async fn put_judged(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        match self.faults.judge(Call::Write).await {
            Verdict::Work => self.inner.put_opts(location, payload, opts).await,
            Verdict::Fail => Err(failure("no space left on device")),
            Verdict::WorkAndFail => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(failure("the answer was lost"))
            }
            Verdict::DieHalfway => {
                let bytes = Bytes::from(payload.iter().flatten().copied().collect::<Vec<u8>>());
                let part = bytes.slice(0..self.faults.below(bytes.len()));
                self.inner.put_opts(location, part.into(), opts).await?;
                Err(dead())
            }
            Verdict::WorkAndDie => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(dead())
            }
            Verdict::Die | Verdict::Dead => Err(dead()),
        }
    }

    /// Puts a whole object in its place; without an answer nobody knows whether that lasts.
    async fn finish_judged(&self, location: &Path, bytes: Bytes) -> Result<(), LakeError> {
        let verdict = self.faults.judge(Call::Write).await;
        match verdict {
            Verdict::Fail => return Err(failure("no space left on device").into()),
            Verdict::Die | Verdict::Dead => return Err(dead().into()),
            _ => {}
        }
        let before = match self.inner.get(location).await {
            Ok(found) => Some(found.bytes().await?),
            Err(_) => None,
        };
        self.inner.put(location, bytes.into()).await?;
        let mut lasting = self.lasting.lock();
        if verdict == Verdict::Work {
            lasting.replaced.remove(location);
            lasting.synced.insert(location.clone());
            return Ok(());
        }
        lasting.replaced.entry(location.clone()).or_insert(before);
        match verdict {
            Verdict::WorkAndFail => Err(failure("the answer was lost").into()),
            _ => Err(dead().into()),
        }
    }

    async fn delete_judged(&self, location: Path) -> Result<Path> {
        let verdict = self.faults.judge(Call::Delete).await;
        match verdict {
            Verdict::Fail => return Err(failure("input/output error")),
            Verdict::Die | Verdict::DieHalfway | Verdict::Dead => return Err(dead()),
            Verdict::Work | Verdict::WorkAndFail | Verdict::WorkAndDie => {}
        }
        if self.lasting.lock().synced.contains(&location) {
            let bytes = self.inner.get(&location).await?.bytes().await?;
            let mut lasting = self.lasting.lock();
            lasting.synced.remove(&location);
            lasting.replaced.remove(&location);
            lasting.deleted.insert(location.clone(), bytes);
        }
        self.inner.delete(&location).await?;
        match verdict {
            Verdict::Work => Ok(location),
            Verdict::WorkAndFail => Err(failure("the answer was lost")),
            _ => Err(dead()),
        }
    }

    async fn read_judged(&self) -> Result<()> {
        match self.faults.judge(Call::Read).await {
            Verdict::Work => Ok(()),
            Verdict::Fail | Verdict::WorkAndFail => Err(failure("input/output error")),
            _ => Err(dead()),
        }
    }
}

impl std::fmt::Display for SimulatedDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("simulated disk")
    }
}

#[async_trait]
impl ObjectStore for SimulatedDisk {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.put_judged(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { disk: self.clone(), location: location.clone(), parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read_judged().await?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let disk = self.clone();
        locations
            .then(move |location| {
                let disk = disk.clone();
                async move { disk.delete_judged(location?).await }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let disk = self.clone();
        let listed = self.inner.list(prefix);
        futures::stream::once(async move { disk.read_judged().await })
            .map_ok(move |()| futures::stream::empty().boxed())
            .try_flatten()
            .chain(listed)
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read_judged().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.read_judged().await?;
        let bytes = self.inner.get(from).await?.bytes().await?;
        let _ = options;
        self.put_judged(to, bytes.into(), PutOptions::default()).await.map(|_| ())
    }
}

/// A write in parts; it appears as a whole at its end.
#[derive(Debug)]
struct Upload {
    disk: SimulatedDisk,
    location: Path,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.push(data);
        let faults = Arc::clone(&self.disk.faults);
        Box::pin(async move {
            match faults.judge(Call::Write).await {
                Verdict::Work => Ok(()),
                Verdict::Fail | Verdict::WorkAndFail => Err(failure("no space left on device")),
                _ => Err(dead()),
            }
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let payload: PutPayload = self.parts.iter().flat_map(|part| part.iter().cloned()).collect();
        self.disk.put_judged(&self.location, payload, PutOptions::default()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

/// A whole object in the making.
struct Whole {
    disk: SimulatedDisk,
    location: Path,
    bytes: Vec<u8>,
}

#[async_trait]
impl NewObject for Whole {
    async fn write(&mut self, bytes: Bytes) -> Result<(), LakeError> {
        match self.disk.faults.judge(Call::Write).await {
            Verdict::Work => {
                self.bytes.extend_from_slice(&bytes);
                Ok(())
            }
            Verdict::Fail | Verdict::WorkAndFail => Err(failure("no space left on device").into()),
            _ => Err(dead().into()),
        }
    }

    async fn finish(self: Box<Self>) -> Result<(), LakeError> {
        self.disk.finish_judged(&self.location, self.bytes.into()).await
    }
}

#[async_trait]
impl DurableStore for SimulatedDisk {
    fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.clone())
    }

    async fn sync(&self, _: &Path, paths: &[Path]) -> Result<(), LakeError> {
        let verdict = self.faults.judge(Call::Sync).await;
        let reached = match verdict {
            Verdict::Work | Verdict::WorkAndDie => paths.len(),
            Verdict::DieHalfway => self.faults.below(paths.len()),
            _ => 0,
        };
        for path in &paths[..reached] {
            self.inner.head(path).await?;
            let mut lasting = self.lasting.lock();
            lasting.replaced.remove(path);
            lasting.synced.insert(path.clone());
        }
        match verdict {
            Verdict::Work => Ok(()),
            Verdict::Fail | Verdict::WorkAndFail => {
                Err(failure("fsync: input/output error").into())
            }
            _ => Err(dead().into()),
        }
    }

    async fn create(&self, _: &Path, path: &Path) -> Result<Box<dyn NewObject>, LakeError> {
        let (disk, location) = (self.clone(), path.clone());
        Ok(Box::new(Whole { disk, location, bytes: Vec::new() }))
    }

    async fn clear(&self, folder: &Path) -> Result<(), LakeError> {
        let found: Vec<ObjectMeta> = self.list(Some(folder)).try_collect().await?;
        for meta in found {
            self.delete_judged(meta.location).await?;
        }
        Ok(())
    }

    async fn reap_unfinished(&self, _: &Path, _: SystemTime) -> Result<usize, LakeError> {
        Ok(0)
    }
}
