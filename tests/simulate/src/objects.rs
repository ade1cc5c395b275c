//! Whole objects, as those of stages and models: put, replaced, moved and removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use frazil_lake::{LakeError, ObjectFolder};
use object_store::path::Path;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::faults::Faults;

/// Few, so that they meet each other.
const NAMES: [&str; 5] =
    ["1/a.csv", "1/b/c.csv", "2/a.csv", "ab/model.ubj", "quarantine/x/model.ubj"];

/// What is known of one object.
#[derive(Debug, Clone, Default)]
struct Known {
    /// What everybody reads.
    content: Option<Bytes>,
    /// What a crash may leave besides: of changes without an answer, and of removals, which need
    /// not last.
    besides: BTreeSet<Option<Bytes>>,
}

/// The objects of a history.
#[derive(Debug, Clone)]
pub struct Objects {
    folder: ObjectFolder,
    faults: Arc<Faults>,
    known: BTreeMap<&'static str, Known>,
    made: u64,
}

async fn read(folder: &ObjectFolder, name: &str) -> Result<Option<Bytes>, LakeError> {
    match folder.get(&Path::from(name)).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(LakeError::Store(object_store::Error::NotFound { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Objects {
    /// No objects in a folder.
    pub fn new(folder: ObjectFolder, faults: Arc<Faults>) -> Objects {
        Objects { folder, faults, known: BTreeMap::new(), made: 0 }
    }

    /// Does one random thing; gives a line for the log. `Err` is a broken promise.
    pub async fn step(&mut self, rng: &mut ChaCha8Rng) -> Result<String, String> {
        let name = NAMES[rng.random_range(0..NAMES.len())];
        let path = Path::from(name);
        match rng.random_range(0..10) {
            0..6 => {
                self.made += 1;
                let content = Bytes::from(format!("content {} of {name} ", self.made).repeat(5));
                let done = self.put(&path, &content, rng.random_range(1..4)).await;
                self.settle(name, Some(content), done, true).await
            }
            6..8 => {
                let done = self.folder.delete(&path).await;
                self.settle(name, None, done, false).await
            }
            _ => {
                let to = NAMES[rng.random_range(0..NAMES.len())];
                let Some(content) = self.known.entry(name).or_default().content.clone() else {
                    return Ok(format!("{name} is not there to be moved"));
                };
                if to == name {
                    return Ok(format!("{name} stays"));
                }
                let done = self.folder.rename(&path, &Path::from(to)).await;
                let again = done.as_ref().copied().map_err(|e| LakeError::Damaged(e.to_string()));
                let line = self.settle(to, Some(content), done, true).await?;
                Ok(format!("{line}, from {}", self.settle(name, None, again, false).await?))
            }
        }
    }

    async fn put(&self, path: &Path, content: &Bytes, parts: usize) -> Result<(), LakeError> {
        let mut new = self.folder.create(path).await?;
        for part in content.chunks(content.len().div_ceil(parts)) {
            new.write(Bytes::copy_from_slice(part)).await?;
        }
        new.finish().await
    }

    /// Notes that an object was to become `wanted`, and looks at what it is.
    async fn settle(
        &mut self,
        name: &'static str,
        wanted: Option<Bytes>,
        done: Result<(), LakeError>,
        lasts: bool,
    ) -> Result<String, String> {
        let length = wanted.as_ref().map(Bytes::len);
        let line = format!("{name} becomes {length:?}: {done:?}");
        let known = self.known.entry(name).or_default();
        let before = known.content.clone();
        if done.is_ok() {
            known.content = wanted.clone();
            match lasts {
                true => known.besides.clear(),
                false => drop(known.besides.insert(before)),
            }
            if self.faults.is_dead() {
                return Ok(line);
            }
        } else {
            known.besides.insert(wanted.clone());
            known.besides.insert(before.clone());
            if self.faults.is_dead() {
                return Ok(line);
            }
        }
        let paused = self.faults.pause(true);
        let found = read(&self.folder, name).await;
        self.faults.pause(paused);
        let found = found.map_err(|error| error.to_string())?;
        let known = self.known.entry(name).or_default();
        if found != known.content && !(done.is_err() && found == wanted) {
            return Err(format!("{line}, and reads {found:?} instead of {:?}", known.content));
        }
        known.content = found;
        Ok(line)
    }

    /// Whether a folder after a crash holds what it must.
    pub async fn check(&self, folder: &ObjectFolder) -> Result<(), String> {
        for (name, known) in &self.known {
            let found = read(folder, name).await.map_err(|error| error.to_string())?;
            if found != known.content && !known.besides.contains(&found) {
                return Err(format!("after the restart {name} is {found:?}, of {known:?}"));
            }
        }
        let listed = folder.list(None).await.map_err(|error| error.to_string())?;
        match listed.iter().find(|meta| !self.known.contains_key(meta.location.as_ref())) {
            Some(meta) => Err(format!("nobody made {}", meta.location)),
            None => Ok(()),
        }
    }
}
