//! Upkeep in the background: the lake's tables are tidied, old snapshots expire.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use frazil_catalog::account::AccountStore;
use frazil_catalog::{CATALOG_FILE, Catalog};
use frazil_common::{Code, UserError};
use frazil_lake::{DataDirectory, DoctorReport, FormatFault, Lake, MaintenanceReport};
use frazil_models::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::health::refuse_lost_catalog;
use crate::statements::retention::Retention;
use crate::storage_usage;

/// Time between two looks at the tables.
const TIDY_EVERY: Duration = Duration::from_secs(5);
/// Time between two expiries.
const EXPIRE_EVERY: Duration = Duration::from_secs(10 * 60);
/// Time between two looks for files that nobody names: all files are listed.
const ORPHANS_EVERY: Duration = Duration::from_secs(60 * 60);
/// The first one lets short uses of a data directory pass.
const EXPIRE_FIRST: Duration = Duration::from_secs(60);
/// Beside a running server, younger files may belong to its open transactions.
const OPEN_TRANSACTION_AGE: Duration = Duration::from_secs(60 * 60);

/// The background work of an engine; it ends with it.
pub(crate) struct Upkeep {
    stop: CancellationToken,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Upkeep {
    /// Starts on the current runtime.
    pub fn start(lake: &Lake, accounts: &AccountStore) -> Upkeep {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(lake.clone(), accounts.clone(), stop.clone()));
        Upkeep { stop, task: tokio::sync::Mutex::new(Some(task)) }
    }

    /// Stops after the work in hand.
    pub async fn stop(&self) {
        self.stop.cancel();
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::warn!(%error, "upkeep was broken off");
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn run(lake: Lake, accounts: AccountStore, stop: CancellationToken) {
    let mut expire_at = Instant::now() + EXPIRE_FIRST;
    let mut orphans_at = expire_at;
    while !stop.is_cancelled() {
        match lake.tidy().await {
            Ok(report) => tracing::debug!(?report, "tables tidied"),
            Err(error) => tracing::warn!(%error, "tables could not be tidied"),
        }
        if Instant::now() >= expire_at {
            expire_at = Instant::now() + EXPIRE_EVERY;
            if let Err(error) = expire(&lake, &accounts).await {
                tracing::warn!(%error, "old snapshots could not be removed");
            }
            if let Err(error) = storage_usage::sample(&lake, &accounts).await {
                tracing::warn!(%error, "the storage in use could not be noted");
            }
        }
        if Instant::now() >= orphans_at {
            orphans_at = Instant::now() + ORPHANS_EVERY;
            match lake.clear_orphans().await {
                Ok(done) => tracing::debug!(?done, "files that nobody names set aside"),
                Err(error) => tracing::warn!(%error, "files that nobody names stay"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(TIDY_EVERY) => {}
            () = lake.many_inlined() => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Models can be trained again at the snapshots they were trained at: those stay.
async fn expire(lake: &Lake, accounts: &AccountStore) -> Result<MaintenanceReport, UserError> {
    let pinned = accounts.model_snapshots().await?;
    let retention = Retention::of(accounts).await?;
    lake.expire_tables(&pinned, |view, table| retention.table(view, table)).await?;
    let mut report = lake.expire(&pinned).await?;
    report.reclaimed_files = lake.reclaim().await?;
    tracing::debug!(?report, "old snapshots removed");
    Ok(report)
}

/// All upkeep, due or not.
pub(crate) async fn all(
    lake: &Lake,
    accounts: &AccountStore,
) -> Result<MaintenanceReport, UserError> {
    let tidied = lake.tidy_all().await;
    let expired = expire(lake, accounts).await?;
    let orphans = lake.clear_orphans().await?;
    let tidied = tidied?;
    Ok(MaintenanceReport {
        flushed_tables: tidied.flushed_tables,
        merged_tables: tidied.merged_tables,
        orphan_files: orphans.set_aside,
        ..expired
    })
}

/// Lines for people, one for each finding.
pub(crate) fn findings(report: DoctorReport) -> Vec<String> {
    let mut findings = Vec::new();
    for (what, found) in [
        ("catalog fault", report.catalog_faults),
        ("missing file", report.missing_files),
        (
            "missing file, in quarantine, where `frazil doctor --repair` puts it back from",
            report.recoverable_files,
        ),
        ("file of wrong size", report.wrong_sizes),
        ("damaged file", report.damaged_files),
        ("orphan file", report.orphan_files),
    ] {
        findings.extend(found.into_iter().map(|found| format!("{what}: {found}")));
    }
    findings
}

/// Lines for people, one for each model file that a version names and that is not there.
pub(crate) async fn missing_models(models: &Registry) -> Result<Vec<String>, UserError> {
    let missing = models.missing_files().await?;
    Ok(missing.into_iter().map(|digest| format!("missing model file: {digest}")).collect())
}

/// Writes a data directory's file `format` anew where it was lost and the catalog is whole and of
/// this program's version; gives whether it did.
///
/// # Errors
/// The catalog cannot be read, or another process has the directory open.
pub async fn repair_format(data_dir: &Path) -> Result<bool, UserError> {
    if !matches!(frazil_lake::format_fault(data_dir)?, Some(FormatFault::Lost { .. })) {
        return Ok(false);
    }
    refuse_lost_catalog(data_dir)?;
    let catalog = Catalog::inspect(&data_dir.join(CATALOG_FILE)).await?;
    let faults = catalog.integrity().await?;
    catalog.close().await;
    match faults.first() {
        None => Ok(DataDirectory::repair_format(data_dir)?),
        Some(fault) => Err(UserError::new(
            Code::InvalidArgument,
            format!("the file 'format' is lost and the catalog is damaged: {fault}"),
        )),
    }
}

/// Checks a data directory without changing it, also while a server runs on it; one line per
/// finding, none when all is well.
///
/// # Errors
/// The directory holds no catalog, or one of another version.
pub async fn inspect(data_dir: &Path) -> Result<Vec<String>, UserError> {
    let catalog_path = data_dir.join(CATALOG_FILE);
    let fault = frazil_lake::format_fault(data_dir)?;
    if let Some(fault @ FormatFault::Unknown(_)) = fault {
        return Ok(vec![format!("format: {fault}")]);
    }
    refuse_lost_catalog(data_dir)?;
    let served = DataDirectory::is_in_use(data_dir)?;
    let catalog = Catalog::inspect(&catalog_path).await?;
    let lake = Lake::inspect(catalog.clone(), data_dir)?;
    let before = served.then(|| SystemTime::now() - OPEN_TRANSACTION_AGE);
    let mut findings = findings(lake.examine(before).await?);
    findings.extend(fault.map(|fault| format!("format: {fault}")));
    let models =
        Registry::new(AccountStore::inspect(catalog.clone()), lake.store().folder("models")?);
    findings.extend(missing_models(&models).await?);
    if !served {
        let unused = models.unused_files().await?;
        findings.extend(unused.into_iter().map(|file| format!("orphan model file: {file}")));
    }
    catalog.close().await;
    Ok(findings)
}
