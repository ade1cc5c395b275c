//! Checks that catalog and files agree.

use std::collections::HashSet;
use std::time::SystemTime;

use object_store::path::Path;

use crate::Lake;
use crate::error::{LakeError, Result};

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoctorReport {
    /// Contradictions in the catalog database.
    pub catalog_faults: Vec<String>,
    /// Files the catalog names that are not there,
    pub missing_files: Vec<String>,
    /// and those of them that lie in quarantine.
    pub recoverable_files: Vec<String>,
    /// Files whose size is not what the catalog says.
    pub wrong_sizes: Vec<String>,
    /// Files that are not what was written, with what is wrong.
    pub damaged_files: Vec<String>,
    /// Files that no snapshot names; of a broken transaction, or of one that is still open.
    pub orphan_files: Vec<String>,
}

impl DoctorReport {
    /// Nothing wrong; orphans cost space only.
    pub fn is_healthy(&self) -> bool {
        self.catalog_faults.is_empty()
            && self.missing_files.is_empty()
            && self.recoverable_files.is_empty()
            && self.wrong_sizes.is_empty()
            && self.damaged_files.is_empty()
    }
}

impl Lake {
    /// Checks the catalog, and reads every file it names.
    pub async fn doctor(&self) -> Result<DoctorReport> {
        self.examine(None).await
    }

    /// The same without reading the files.
    pub(crate) async fn doctor_sizes(&self) -> Result<DoctorReport> {
        self.look(None, false).await
    }

    /// Checks beside a running server: files written after `orphans_before` that no snapshot
    /// names are taken for those of its open transactions.
    pub async fn examine(&self, orphans_before: Option<SystemTime>) -> Result<DoctorReport> {
        self.look(orphans_before, true).await
    }

    async fn look(&self, orphans_before: Option<SystemTime>, read: bool) -> Result<DoctorReport> {
        let limit = orphans_before.map(chrono::DateTime::<chrono::Utc>::from);
        let mut report = DoctorReport {
            catalog_faults: self.catalog().integrity().await?,
            ..DoctorReport::default()
        };
        let mut known: HashSet<Path> = HashSet::new();
        for (name, size) in self.catalog().file_paths().await? {
            let path = self.store().locate(&name)?;
            if size >= 0 {
                match object_store::ObjectStoreExt::head(self.store().object_store(), &path).await {
                    Ok(meta) if meta.size == size as u64 => {
                        if read && let Some(fault) = self.fault(&name, &path, meta.size).await? {
                            report.damaged_files.push(format!("{name}: {fault}"));
                        }
                    }
                    Ok(_) => report.wrong_sizes.push(name),
                    Err(object_store::Error::NotFound { .. }) => report.missing_files.push(name),
                    Err(error) => return Err(error.into()),
                }
            }
            known.insert(path);
        }
        if !report.missing_files.is_empty() {
            // Upkeep may have removed them since: what counts is whether they are still named.
            let named: HashSet<String> =
                self.catalog().file_paths().await?.into_iter().map(|(name, _)| name).collect();
            report.missing_files.retain(|name| named.contains(name));
            let kept = self.quarantined().await?;
            for name in std::mem::take(&mut report.missing_files) {
                match kept.contains_key(&self.store().locate(&name)?) {
                    true => report.recoverable_files.push(name),
                    false => report.missing_files.push(name),
                }
            }
        }
        for meta in self.data_files().await? {
            let young = limit.is_some_and(|limit| meta.last_modified >= limit);
            if !young && !known.contains(&meta.location) {
                report.orphan_files.push(meta.location.to_string());
            }
        }
        Ok(report)
    }

    /// What is wrong with the content of a file of this size.
    async fn fault(&self, name: &str, path: &Path, size: u64) -> Result<Option<String>> {
        if !name.ends_with(".parquet") {
            return Ok(None);
        }
        match crate::checksum::fault(self.store(), path, size).await {
            // Upkeep has removed it meanwhile.
            Err(LakeError::Store(object_store::Error::NotFound { .. })) => Ok(None),
            other => other,
        }
    }
}
