//! Files that nobody names are set aside before they are removed: where the end of the catalog's log
//! was lost and is found again, its last commits name them.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use chrono::{DateTime, NaiveDateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::Lake;
use crate::error::Result;

/// Folder in the data folder: `quarantine/<time>/<path in the data folder>`.
const FOLDER: &str = "quarantine";
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// The name of what is set aside at a time.
pub fn batch_name(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).format(TIME_FORMAT).to_string()
}

/// When a batch was set aside.
pub fn batch_time(name: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(name, TIME_FORMAT).ok().map(|time| time.and_utc())
}

/// What a repair did to files that nobody names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quarantined {
    /// Moved into quarantine.
    pub set_aside: usize,
    /// What broken-off writes left; removed.
    pub unfinished: usize,
    /// Moved back, for the catalog names them.
    pub put_back: usize,
}

impl Lake {
    /// Puts back files in quarantine that the catalog names and that are not there; sets aside
    /// those that no snapshot names and that were last written before `older_than`, which must be
    /// before every open transaction's start.
    pub async fn quarantine_orphans(&self, older_than: SystemTime) -> Result<Quarantined> {
        let mut done = Quarantined::default();
        let mut known: HashSet<Path> = HashSet::new();
        for (name, _) in self.catalog().file_paths().await? {
            known.insert(self.store().locate(&name)?);
        }
        let files = self.data_files().await?;
        let there: HashSet<&Path> = files.iter().map(|meta| &meta.location).collect();
        for (path, kept) in self.quarantined().await? {
            if known.contains(&path) && !there.contains(&path) {
                self.store().move_durably(&kept, &path).await?;
                done.put_back += 1;
            }
        }
        let limit = DateTime::<Utc>::from(older_than);
        let batch = batch_name(SystemTime::now());
        let root = self.data_root()?;
        for meta in &files {
            if meta.last_modified < limit && !known.contains(&meta.location) {
                let mut aside = root.clone().join(FOLDER).join(batch.as_str());
                aside.extend(meta.location.prefix_match(&root).into_iter().flatten());
                self.store().move_durably(&meta.location, &aside).await?;
                done.set_aside += 1;
            }
        }
        done.unfinished = self.store().reap_unfinished(older_than).await?;
        Ok(done)
    }

    /// Removes files that were set aside before a time; gives their number.
    pub async fn purge_quarantine(&self, before: SystemTime) -> Result<usize> {
        let before = DateTime::<Utc>::from(before);
        let mut old = Vec::new();
        let folder = self.data_root()?.join(FOLDER);
        for meta in self.listed(&folder).await? {
            let batch = meta.location.prefix_match(&folder).and_then(|mut parts| parts.next());
            let time = batch.and_then(|batch| batch_time(batch.as_ref()));
            if time.is_some_and(|time| time < before) {
                old.push(meta.location);
            }
        }
        self.store().remove(&old).await;
        Ok(old.len())
    }

    /// Files in quarantine by the place they were in; of several the last.
    pub(crate) async fn quarantined(&self) -> Result<HashMap<Path, Path>> {
        let root = self.data_root()?;
        let folder = root.clone().join(FOLDER);
        let mut found: Vec<Path> =
            self.listed(&folder).await?.into_iter().map(|meta| meta.location).collect();
        found.sort();
        let mut places = HashMap::new();
        for kept in found {
            let mut place = root.clone();
            place.extend(kept.prefix_match(&folder).into_iter().flatten().skip(1));
            places.insert(place, kept);
        }
        Ok(places)
    }

    /// All files in the data folder but those in quarantine.
    pub(crate) async fn data_files(&self) -> Result<Vec<ObjectMeta>> {
        let root = self.data_root()?;
        let aside = root.clone().join(FOLDER);
        let mut files = self.listed(&root).await?;
        files.retain(|meta| !meta.location.prefix_matches(&aside));
        Ok(files)
    }

    async fn listed(&self, folder: &Path) -> Result<Vec<ObjectMeta>> {
        Ok(self.store().object_store().list(Some(folder)).try_collect().await?)
    }

    fn data_root(&self) -> Result<Path> {
        self.store().locate(&self.store().data_path().display().to_string())
    }
}
