//! Backups of a data directory, taken while a server uses it, and their restore.
//!
//! A backup folder holds any number of backups of one data directory:
//!
//! - `backups/<name>.json`: the backup's manifest. It is written last; a backup without one does
//!   not exist.
//! - `backups/<name>.sqlite`: the catalog, as one moment showed it.
//! - `data/`: the lake's files, under the names the catalog has for them.
//! - `objects/<sha256>`: files of stages and models, by content.
//!
//! Files are never changed once written, so a later backup copies only what is new.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use frazil_catalog::{CATALOG_FILE, Catalog, CatalogFile};
use frazil_common::SnapshotId;
use serde::{Deserialize, Serialize};

use crate::directory::{FORMAT_VERSION, around, make_private};
use crate::durable::{Content, content, copy_durably, io, sync_path, write_durably};
use crate::error::{LakeError, Result};
use crate::{Lake, LakeSettings};

/// Times a backup starts anew because clean-up removed a file between listing and copying it.
const TRIES_MAX: usize = 5;
/// Folders whose files are kept by content.
const CONTENT_FOLDERS: [&str; 2] = ["stages", MODELS];
const MODELS: &str = "models";
/// Whoever has this file of the backup folder locked takes a backup.
const LOCK: &str = "lock";

/// A file of a stage or a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptFile {
    /// Below the data directory.
    path: String,
    bytes: u64,
    /// Nanoseconds since 1970 UTC; an unchanged file is not read again.
    modified: u64,
    sha256: String,
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Orders by time.
    pub name: String,
    /// Layout of the data directory.
    pub format: String,
    /// The newest snapshot in it.
    pub snapshot: SnapshotId,
    /// When it was taken, in microseconds since 1970 UTC.
    pub taken_micros: i64,
    /// Files of the lake.
    pub data_files: usize,
    /// SHA-256 of files of the lake, by their path below its folder. Backups of versions that did not
    /// keep it have none.
    #[serde(default)]
    data: BTreeMap<String, String>,
    files: Vec<KeptFile>,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub files_done: usize,
    pub files: usize,
    /// Files that were there already.
    pub files_known: usize,
    pub bytes_copied: u64,
}

/// What a restore or a backup did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub manifest: Manifest,
    pub progress: Progress,
}

fn refuse(message: String) -> LakeError {
    LakeError::Directory(message)
}

/// Refuses a folder in a data directory, which takes files that its catalog does not name for what a
/// crash left.
fn check_apart(folder: &Path) -> Result<()> {
    match around(folder)? {
        None => Ok(()),
        Some(directory) => Err(refuse(format!(
            "{} lies in the data directory {}, whose upkeep would remove its files; choose a folder \
             outside",
            folder.display(),
            directory.display()
        ))),
    }
}

fn backups_folder(backup: &Path) -> PathBuf {
    backup.join("backups")
}

/// All backups in a folder, oldest first.
///
/// # Errors
/// A manifest cannot be read.
pub fn list(backup: &Path) -> Result<Vec<Manifest>> {
    let folder = backups_folder(backup);
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(io(&folder)(error)),
    };
    for entry in entries {
        let path = entry.map_err(io(&folder))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).map_err(io(&path))?;
            let manifest = serde_json::from_str(&text)
                .map_err(|error| LakeError::Damaged(format!("{}: {error}", path.display())))?;
            found.push(manifest);
        }
    }
    found.sort_by(|a: &Manifest, b: &Manifest| a.name.cmp(&b.name));
    Ok(found)
}

/// Backs the data directory up into the folder `backup`, which may hold earlier backups of it.
///
/// Needs no lock: a server may be writing. What it shows is one moment of the catalog.
///
/// # Errors
/// `data_dir` is no data directory, a file it names is missing, another backup goes into the folder, the
/// folder lies in a data directory, or the disk fails.
pub async fn backup(
    data_dir: &Path,
    backup: &Path,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report> {
    if let Some(fault) = crate::directory::format_fault(data_dir)? {
        return Err(refuse(format!("{}: {fault}", data_dir.display())));
    }
    check_apart(backup)?;
    let folder = backups_folder(backup);
    make_private(backup)?;
    std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    // Held until the end; that of a process which was killed is free.
    let _turn = turn(&folder)?;
    let earlier = list(backup)?;
    let mut tries = 0;
    loop {
        tries += 1;
        match take(data_dir, backup, &earlier, progress).await {
            Err(Interrupted::Vanished(path)) if tries >= TRIES_MAX => {
                return Err(LakeError::Damaged(format!(
                    "the catalog names {}, which is not there",
                    path.display()
                )));
            }
            Err(Interrupted::Vanished(_)) => {}
            Err(Interrupted::Failed(error)) => return Err(error),
            Ok(report) => return Ok(report),
        }
    }
}

/// One backup at a time goes into a folder: two would take each other's copy of the catalog for theirs.
fn turn(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let lock =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(refuse(format!(
            "another backup into {} is running; wait for its end, or use another folder",
            folder.parent().unwrap_or(folder).display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(io(&path)(error)),
    }
}

enum Interrupted {
    /// A file that the copied catalog names was removed meanwhile: a newer catalog does not.
    Vanished(PathBuf),
    Failed(LakeError),
}

impl<E: Into<LakeError>> From<E> for Interrupted {
    fn from(error: E) -> Self {
        Interrupted::Failed(error.into())
    }
}

async fn take(
    data_dir: &Path,
    backup: &Path,
    earlier: &[Manifest],
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, Interrupted> {
    let folder = backups_folder(backup);
    let partial = folder.join("partial.sqlite");
    remove_if_there(&partial)?;
    let source = CatalogFile::open(&data_dir.join(CATALOG_FILE)).await?;
    let taken_micros = chrono::Utc::now().timestamp_micros();
    let copied = source.copy_to(&partial).await;
    source.close().await;
    copied?;
    let copy = CatalogFile::open(&partial).await?;
    let snapshot = copy.head().await?;
    let data_path = copy.data_path().await?;
    let named = copy.file_paths().await?;
    let models = copy.model_digests().await?;
    copy.close().await;

    let kept = content_files(data_dir)?;
    if let Some(digest) = absent_model(&models, kept.iter().map(|(path, ..)| path.as_str())) {
        return Err(Interrupted::Vanished(data_dir.join(MODELS).join(digest)));
    }
    let mut progress = Progress { files: named.len() + kept.len(), ..Progress::default() };
    let known: HashMap<&String, &String> =
        earlier.iter().flat_map(|manifest| &manifest.data).collect();
    let mut data = BTreeMap::new();
    for (path, bytes) in &named {
        let relative = below(&data_path, path)?.to_string();
        let from = data_dir.join("data").join(&relative);
        let to = backup.join("data").join(&relative);
        let size = u64::try_from(*bytes).unwrap_or(0);
        let known = known.get(&relative).map(|sha256| sha256.as_str());
        let (sha256, copied) = keep_data(&from, &to, size, known)?;
        match copied {
            true => progress.bytes_copied += size,
            false => progress.files_known += 1,
        }
        data.insert(relative, sha256);
        progress.files_done += 1;
        report(progress);
    }

    let known: HashMap<(&str, u64, u64), &str> = earlier
        .iter()
        .flat_map(|manifest| &manifest.files)
        .map(|file| ((file.path.as_str(), file.bytes, file.modified), file.sha256.as_str()))
        .collect();
    let mut files = Vec::with_capacity(kept.len());
    for (path, bytes, modified) in kept {
        let object = |sha256: &str| backup.join("objects").join(sha256);
        let from = data_dir.join(&path);
        progress.files_done += 1;
        if let Some(sha256) = known.get(&(path.as_str(), bytes, modified))
            && object(sha256).exists()
        {
            progress.files_known += 1;
            let sha256 = (*sha256).to_string();
            files.push(KeptFile { path, bytes, modified, sha256 });
        } else {
            // A file may go between the listing and here. What the catalog does not name may: a
            // stage's file, or that of a model whose registration came later.
            let Some((sha256, size)) = keep_content(&from, backup)? else { continue };
            progress.bytes_copied += size;
            files.push(KeptFile { path, bytes: size, modified, sha256 });
        }
        report(progress);
    }

    if let Some(digest) = absent_model(&models, files.iter().map(|file| file.path.as_str())) {
        return Err(Interrupted::Vanished(data_dir.join(MODELS).join(digest)));
    }

    let name = format!(
        "{}-{snapshot}",
        chrono::DateTime::from_timestamp_micros(taken_micros)
            .unwrap_or_default()
            .format("%Y%m%dT%H%M%S%.6fZ")
    );
    let manifest = Manifest {
        name: name.clone(),
        format: FORMAT_VERSION.to_string(),
        snapshot,
        taken_micros,
        data_files: named.len(),
        data,
        files,
    };
    let catalog = folder.join(format!("{name}.sqlite"));
    sync_path(&partial)?;
    std::fs::rename(&partial, &catalog).map_err(io(&catalog))?;
    write_durably(&folder.join(format!("{name}.json")), &to_json(&manifest)?)?;
    Ok(Report { manifest, progress })
}

/// Makes the data directory `target` from the backup `name`, or from the newest one.
///
/// # Errors
/// There is no such backup, `target` exists and is not empty or lies in a data directory, or a file is
/// missing or damaged; `target` is then left as it was.
pub async fn restore(
    backup: &Path,
    name: Option<&str>,
    target: &Path,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report> {
    let mut backups = list(backup)?;
    let manifest = match name {
        None => backups.pop(),
        Some(name) => backups.into_iter().find(|manifest| manifest.name == name),
    };
    let Some(manifest) = manifest else {
        return Err(refuse(match name {
            Some(name) => format!("{} holds no backup named {name}", backup.display()),
            None => format!("{} holds no backup", backup.display()),
        }));
    };
    if manifest.format != FORMAT_VERSION {
        return Err(refuse(format!(
            "the backup is of format '{}'; this program reads '{FORMAT_VERSION}'",
            manifest.format
        )));
    }
    if std::fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(refuse(format!("{} exists and is not empty", target.display())));
    }
    check_apart(target)?;
    let mut partial = target.as_os_str().to_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(io(&partial))?;
    }
    let restored = fill(backup, &manifest, &partial, report).await;
    let progress = match restored {
        Ok(progress) => progress,
        Err(error) => {
            if let Err(left) = std::fs::remove_dir_all(&partial) {
                tracing::warn!(path = %partial.display(), error = %left, "a partial restore stays");
            }
            return Err(error);
        }
    };
    if target.exists() {
        std::fs::remove_dir(target).map_err(io(target))?;
    }
    std::fs::rename(&partial, target).map_err(io(target))?;
    if let Some(parent) = target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_path(parent)?;
    }
    Ok(Report { manifest, progress })
}

async fn fill(
    backup: &Path,
    manifest: &Manifest,
    target: &Path,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Progress> {
    make_private(target)?;
    for folder in crate::directory::FOLDERS {
        let folder = target.join(folder);
        std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    }
    let saved = backups_folder(backup).join(format!("{}.sqlite", manifest.name));
    let catalog_path = target.join(CATALOG_FILE);
    copy_durably(&saved, &catalog_path).map_err(io(&saved))?;
    let copy = CatalogFile::open(&catalog_path).await?;
    let named = copy.file_paths().await?;
    let data_path = copy.data_path().await?;
    let models = copy.model_digests().await?;
    copy.close().await;
    if let Some(digest) = absent_model(&models, manifest.files.iter().map(|f| f.path.as_str())) {
        return Err(LakeError::Damaged(format!(
            "backup {} does not hold the model file {digest}, which its catalog names; choose \
             another one",
            manifest.name
        )));
    }
    let mut progress =
        Progress { files: named.len() + manifest.files.len(), ..Progress::default() };
    for (path, _) in &named {
        let relative = below(&data_path, path)?;
        let from = backup.join("data").join(relative);
        let to = target.join("data").join(relative);
        let copied = copy_durably(&from, &to).map_err(io(&from))?;
        check_content(&copied, manifest.data.get(relative), &from, copied.intact)?;
        progress.bytes_copied += copied.bytes;
        progress.files_done += 1;
        report(progress);
    }
    for file in &manifest.files {
        let from = backup.join("objects").join(&file.sha256);
        let to = target.join(&file.path);
        if !is_below_content_folder(&file.path) {
            return Err(LakeError::Damaged(format!("the manifest names {}", file.path)));
        }
        let copied = copy_durably(&from, &to).map_err(io(&from))?;
        // What a stage has is as its user made it.
        check_content(&copied, Some(&file.sha256), &from, true)?;
        // COPY INTO tells by it that it has loaded the file.
        set_modified(&to, file.modified).map_err(io(&to))?;
        progress.bytes_copied += copied.bytes;
        progress.files_done += 1;
        report(progress);
    }
    write_durably(&target.join("format"), format!("{FORMAT_VERSION}\n").as_bytes())?;
    // Opening sets the paths right; the files' contents were compared while they were copied.
    let catalog = Catalog::open(&catalog_path).await?;
    let lake = Lake::open(catalog.clone(), target, LakeSettings::default()).await?;
    let found = lake.doctor_sizes().await?;
    drop(lake);
    catalog.close().await;
    if !found.is_healthy() {
        return Err(LakeError::Damaged(format!("the restored directory is not sound: {found:?}")));
    }
    Ok(progress)
}

/// Whether a file of the backup is still what was put there.
fn check_content(
    found: &Content,
    sha256: Option<&String>,
    from: &Path,
    intact: bool,
) -> Result<()> {
    if intact && sha256.is_none_or(|sha256| *sha256 == found.sha256) {
        return Ok(());
    }
    Err(LakeError::Damaged(format!(
        "{} has changed since it was backed up. Where the original is still there, remove this file and \
         back up again: it is then copied anew",
        from.display()
    )))
}

/// A catalog path below the data folder; files elsewhere cannot be backed up with it.
fn below<'a>(data_path: &str, path: &'a str) -> Result<&'a str> {
    if !path.starts_with('/') {
        return Ok(path);
    }
    path.strip_prefix(data_path)
        .ok_or_else(|| refuse(format!("{path} lies outside the data folder and is in no backup")))
}

fn is_below_content_folder(path: &str) -> bool {
    CONTENT_FOLDERS.iter().any(|folder| {
        path.strip_prefix(folder).is_some_and(|rest| {
            rest.starts_with('/') && rest.split('/').all(|part| part != ".." && part != ".")
        })
    })
}

/// A model file that is not among the files, which are named by their digests.
fn absent_model<'a>(
    digests: &'a [String],
    files: impl Iterator<Item = &'a str>,
) -> Option<&'a String> {
    let there: HashSet<&str> = files
        .filter_map(|path| path.strip_prefix(MODELS)?.rsplit('/').next()?.split('.').next())
        .collect();
    digests.iter().find(|digest| !there.contains(digest.as_str()))
}

/// Sets a file's time of change, in nanoseconds since 1970 UTC.
fn set_modified(path: &Path, nanos: u64) -> std::io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_modified(UNIX_EPOCH + Duration::from_nanos(nanos))?;
    file.sync_all()
}

/// Files of stages and models: path below the data directory, size, time of change.
fn content_files(data_dir: &Path) -> Result<Vec<(String, u64, u64)>> {
    let mut files = Vec::new();
    for folder in CONTENT_FOLDERS {
        let aside = data_dir.join(folder).join("quarantine");
        let mut folders = vec![data_dir.join(folder)];
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io(&folder)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(io(&folder))?;
                let Ok(meta) = entry.metadata() else { continue };
                if meta.is_dir() {
                    if entry.path() != aside {
                        folders.push(entry.path());
                    }
                    continue;
                }
                let modified = meta
                    .modified()
                    .ok()
                    .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
                    .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
                if crate::local_disk::is_unfinished(&entry.file_name().to_string_lossy()) {
                    continue;
                }
                let path = entry.path();
                let relative = path.strip_prefix(data_dir).unwrap_or(&path);
                files.push((relative.display().to_string(), meta.len(), modified));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Keeps a file of the lake under its name, if it is not there already. Tells its digest, and whether it
/// was copied.
fn keep_data(
    from: &Path,
    to: &Path,
    size: u64,
    known: Option<&str>,
) -> Result<(String, bool), Interrupted> {
    let of_source = |read: std::io::Result<Content>| match read {
        Ok(content) if content.bytes == size && content.intact => Ok(content.sha256),
        Ok(content) if content.bytes == size => {
            remove_if_there(to)?;
            Err(Interrupted::Failed(refuse(format!(
                "{} is not what was written: its checksum is another. `frazil doctor` lists all such \
                 files",
                from.display()
            ))))
        }
        Ok(content) => Err(Interrupted::Failed(LakeError::Damaged(format!(
            "{} has {} bytes, the catalog says {size}",
            from.display(),
            content.bytes
        )))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Interrupted::Vanished(from.to_path_buf()))
        }
        Err(error) => Err(Interrupted::Failed(io(from)(error))),
    };
    if std::fs::metadata(to).is_ok_and(|meta| meta.len() == size) {
        if let Some(sha256) = known {
            return Ok((sha256.to_string(), false));
        }
        // Of a backup that has no digests.
        let sha256 = of_source(content(from))?;
        if content(to).is_ok_and(|kept| kept.sha256 == sha256) {
            return Ok((sha256, false));
        }
    }
    Ok((of_source(copy_durably(from, to))?, true))
}

/// Keeps a file under the digest of its content; nothing where it is gone.
fn keep_content(from: &Path, backup: &Path) -> Result<Option<(String, u64)>> {
    let objects = backup.join("objects");
    let partial = objects.join("partial");
    let copied = match copy_durably(from, &partial) {
        Ok(copied) => copied,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(from)(error)),
    };
    let to = objects.join(&copied.sha256);
    std::fs::rename(&partial, &to).map_err(io(&to))?;
    sync_path(&objects)?;
    Ok(Some((copied.sha256, copied.bytes)))
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(path)(error)),
        _ => Ok(()),
    }
}

fn to_json(manifest: &Manifest) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(manifest)
        .map_err(|error| LakeError::Damaged(format!("the manifest cannot be written: {error}")))
}
