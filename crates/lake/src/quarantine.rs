//! Files that nobody names are set aside before they are removed: where the end of the catalog's log
//! was lost and is found again, its last commits name them.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use chrono::{DateTime, NaiveDateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::Lake;
use crate::error::{LakeError, Result};

/// Folder in the data folder: `quarantine/<time>/<path in the data folder>`.
const FOLDER: &str = "quarantine";
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// Names of files that this program makes, and DuckDB does. Others are nobody's business until they are
/// in the catalog.
const OWN_NAMES: [&str; 2] = ["frazil-", "ducklake-"];

/// Files that no snapshot named when they were found.
#[derive(Debug)]
pub(crate) struct Suspects {
    files: Vec<Path>,
    /// Transactions of lower numbers may have written them.
    before: u64,
}

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
        let orphans = files
            .iter()
            .filter(|meta| meta.last_modified < limit && !known.contains(&meta.location))
            .map(|meta| &meta.location);
        done.set_aside = self.set_aside(orphans).await?;
        done.unfinished = self.store().reap_unfinished(older_than).await?;
        Ok(done)
    }

    /// Sets aside, beside running statements, the files that crashes and failures left: those that no
    /// snapshot names, of which the last write is [`LakeSettings::orphan_age`] ago, and which no
    /// transaction that is open can still commit. While there are such transactions, all wait for their
    /// end; the next call looks again.
    ///
    /// [`LakeSettings::orphan_age`]: crate::LakeSettings::orphan_age
    pub async fn clear_orphans(&self) -> Result<Quarantined> {
        let mut done = Quarantined::default();
        let Some(aged) = SystemTime::now().checked_sub(self.settings().orphan_age) else {
            return Ok(done);
        };
        let oldest = self.active().lock().values().map(|active| active.began_micros).min();
        let oldest = oldest.and_then(DateTime::from_timestamp_micros).map(SystemTime::from);
        let before = oldest.map_or(aged, |oldest| oldest.min(aged));
        done.unfinished = self.store().reap_unfinished(before).await?;
        let earlier = self.suspects().lock().take();
        let suspects = match earlier {
            Some(suspects) => suspects,
            None => self.find_suspects(aged).await?,
        };
        // Clocks are set, so that times alone do not tell what an open transaction may have written.
        if self.active().lock().keys().any(|number| *number < suspects.before) {
            *self.suspects().lock() = Some(suspects);
            return Ok(done);
        }
        let named = self.file_names().await?;
        let orphans = suspects.files.iter().filter(|path| !is_named(&named, path));
        done.set_aside = self.set_aside(orphans).await?;
        Ok(done)
    }

    async fn find_suspects(&self, written_before: SystemTime) -> Result<Suspects> {
        let limit = DateTime::<Utc>::from(written_before);
        let files = self.data_files().await?;
        // Whoever begins later has written none of them.
        let before = self.coming_number();
        let named = self.file_names().await?;
        let files = files
            .into_iter()
            .filter(|meta| meta.last_modified < limit && is_own(&meta.location))
            .filter(|meta| !is_named(&named, &meta.location))
            .map(|meta| meta.location)
            .collect();
        Ok(Suspects { files, before })
    }

    /// Names of all files in the catalog, without their folders: another client may have written the way
    /// to a file in other words, and no two files of these names are the same.
    async fn file_names(&self) -> Result<HashSet<String>> {
        let paths = self.catalog().file_paths().await?.into_iter();
        let name = |path: String| path.rsplit('/').next().map(str::to_string);
        Ok(paths.filter_map(|(path, _)| name(path)).collect())
    }

    /// Moves files into quarantine; gives their number.
    async fn set_aside(&self, files: impl Iterator<Item = &Path>) -> Result<usize> {
        let batch = batch_name(SystemTime::now());
        let root = self.data_root()?;
        let mut count = 0;
        for path in files {
            let mut aside = root.clone().join(FOLDER).join(batch.as_str());
            aside.extend(path.prefix_match(&root).into_iter().flatten());
            match self.store().move_durably(path, &aside).await {
                // Whoever wrote it has removed it.
                Err(LakeError::Store(object_store::Error::NotFound { .. })) => {}
                moved => {
                    moved?;
                    count += 1;
                }
            }
        }
        Ok(count)
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

/// Whether a file is a data file by its name.
fn is_own(path: &Path) -> bool {
    let name = path.filename().unwrap_or_default();
    name.ends_with(".parquet") && OWN_NAMES.iter().any(|own| name.starts_with(own))
}

fn is_named(names: &HashSet<String>, path: &Path) -> bool {
    path.filename().is_some_and(|name| names.contains(name))
}
