//! Seeded crash runs of the lake.
//!
//! A seed stands for a history of interleaved transactions, of changes to users, roles, grants and
//! owners, and of objects as stages and models have them; and for the faults that meet it: the process
//! dies between any two calls or halfway through one, unsynced bytes are lost or torn, the disk is full,
//! the store and the catalog answer errors, late, or not at all. After the restart every acknowledged
//! commit must be there and no other, with the owners and grants that belong to it; the catalog must
//! be sound; objects must be whole; and after clean-up the files must be exactly those the catalog
//! names.

pub mod account;
pub mod catalog;
pub mod disk;
pub mod faults;
pub mod history;
pub mod objects;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use frazil_catalog::account::AccountStore;
use frazil_catalog::{CATALOG_FILE, Catalog, CatalogStore, SqliteStore};
use frazil_lake::{FileStore, Lake, LakeSettings, ObjectFolder};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use account::{Accounts, Facts};
use catalog::FaultyCatalog;
use disk::SimulatedDisk;
use faults::Faults;
use history::History;
use objects::Objects;

const STEPS: usize = 110;

/// What a run did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Calls to the disk and the catalog.
    pub calls: u64,
    /// Acknowledged commits.
    pub commits: usize,
    /// Files rid of rows that no snapshot showed any more.
    pub reclaimed: usize,
    /// Schemas that came back with their tables.
    pub undropped_schemas: usize,
    /// Whether the process died before the history's end.
    pub died: bool,
    /// Whether a commit was under way then.
    pub in_doubt: bool,
}

struct Machine {
    lake: Lake,
    store: AccountStore,
    objects: ObjectFolder,
    disk: SimulatedDisk,
    catalog: Arc<FaultyCatalog>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn start(
    folder: &Path,
    disk: SimulatedDisk,
    faults: &Arc<Faults>,
    retention: Duration,
) -> Result<Machine, String> {
    let folder = folder.canonicalize().map_err(text)?;
    let file = folder.join(CATALOG_FILE);
    let database = SqliteStore::open(&file).await.map_err(text)?;
    let catalog = Arc::new(FaultyCatalog::new(database, Arc::clone(faults), &file));
    let store = FileStore::over(Arc::new(disk.clone()), &folder);
    // Small limits, so that short histories meet every way rows are kept.
    let settings = LakeSettings {
        inlined_deletes_max: 3,
        inlined_rows_max: 12,
        flush_rows: 40,
        small_files_max: 3,
        removal_delay: Duration::ZERO,
        retention,
        orphan_age: Duration::ZERO,
        ..LakeSettings::default()
    };
    let over = Catalog::over(Arc::clone(&catalog) as Arc<dyn CatalogStore>);
    let lake = Lake::open_on(over.clone(), store, settings).await.map_err(text)?;
    let objects = lake.store().folder("stages").map_err(text)?;
    let store = AccountStore::open(over).await.map_err(text)?;
    Ok(Machine { lake, store, objects, disk, catalog })
}

/// Every table has an owner, and so has every one that can come back; nothing else has. (Where the
/// past is `forgotten`, the records of what went with it are the account's upkeep to remove.)
async fn check_owners(lake: &Lake, facts: &Facts, forgotten: bool) -> Result<(), String> {
    let view = lake.view().await.map_err(text)?;
    let gone = lake.catalog().dropped_tables(0, |_| true).await.map_err(text)?;
    let live = view.tables().map(|table| table.table_id);
    let tables: BTreeSet<i64> =
        live.chain(gone.iter().map(|dropped| dropped.object.table_id)).collect();
    let owned: BTreeSet<i64> = facts.owners.keys().copied().collect();
    match owned == tables || (forgotten && owned.is_superset(&tables)) {
        true => Ok(()),
        false => Err(format!("owned are {owned:?} of the tables {tables:?}")),
    }
}

/// Runs one seed.
///
/// # Errors
/// A promise that was broken, in words.
pub async fn run(seed: u64) -> Result<Outcome, String> {
    let faults = Arc::new(Faults::new(seed));
    // Some lakes keep no past, so that upkeep takes rows that nobody sees any more.
    let forgets = seed % 4 == 3;
    let retention = if forgets { Duration::ZERO } else { LakeSettings::default().retention };
    // The data folder keeps its place, for the catalog's paths and the disk's agree on it.
    let parent = tempfile::tempdir().map_err(text)?;
    let (folder, aside) = (parent.path().join("data-dir"), parent.path().join("crashed"));
    std::fs::create_dir(&folder).map_err(text)?;
    faults.pause(true);
    let disk = SimulatedDisk::new(Arc::clone(&faults));
    let machine = start(&folder, disk, &faults, retention).await?;
    history::prepare(&machine.lake).await.map_err(text)?;
    faults.pause(false);
    let accounts = Accounts::new(machine.store.clone(), Arc::clone(&faults), Facts::default(), 0);
    let objects = Objects::new(machine.objects.clone(), Arc::clone(&faults));
    let mut history = History::new(
        machine.lake.clone(),
        accounts,
        objects,
        Arc::clone(&faults),
        ChaCha8Rng::seed_from_u64(seed),
    );
    for _ in 0..STEPS {
        if faults.is_dead() {
            break;
        }
        if let Err(fault) = history.step().await {
            return Err(format!("{fault}\n  {}", history.log.join("\n  ")));
        }
    }
    let log = history.log.join("\n  ");
    let outcome = Outcome {
        calls: faults.calls(),
        commits: history.commits,
        reclaimed: history.reclaimed,
        undropped_schemas: history.undropped_schemas,
        died: faults.is_dead(),
        in_doubt: history.in_doubt.is_some(),
    };
    // Open transactions are lost, as those of a dead process are.
    faults.die();
    let (committed, in_doubt, snapshots) =
        (history.committed.clone(), history.in_doubt.clone(), history.snapshots.clone());
    let (known, facts_in_doubt) =
        (history.accounts.facts.clone(), history.accounts.in_doubt.clone());
    let objects = history.objects.clone();
    let (dropped, dropped_schemas) = (history.dropped.clone(), history.dropped_schemas.clone());
    drop(history);
    faults.pause(true);
    std::fs::create_dir(&aside).map_err(text)?;
    machine.catalog.after_crash(&aside).map_err(text)?;
    machine.catalog.close().await;
    let disk = machine.disk.after_crash(Arc::clone(&faults)).await.map_err(text)?;
    std::fs::remove_dir_all(&folder).map_err(text)?;
    std::fs::rename(&aside, &folder).map_err(text)?;

    let machine = start(&folder, disk, &faults, retention).await?;
    let found = history::contents(&machine.lake, None).await?;
    if found != committed && Some(&found) != in_doubt.as_ref() {
        return Err(format!(
            "after the restart {found:?}, where {committed:?} was acknowledged\n  {log}"
        ));
    }
    let facts = Facts::read(&machine.store).await?;
    let told = facts.clone().of_tables(&known);
    if told != known && facts_in_doubt != Some(told) {
        return Err(format!("on record is {facts:?}, where {known:?} was acknowledged\n  {log}"));
    }
    check_owners(&machine.lake, &facts, forgets)
        .await
        .map_err(|fault| format!("{fault}\n  {log}"))?;
    objects.check(&machine.objects).await.map_err(|fault| format!("{fault}\n  {log}"))?;
    // Of no table: the snapshots that there are.
    let there = machine.lake.catalog().whole_snapshots(0).await.map_err(text)?;
    for (snapshot, expected) in &snapshots {
        if forgets && !there.contains(snapshot) {
            continue;
        }
        let then = history::contents(&machine.lake, Some(*snapshot)).await?;
        if then != *expected {
            return Err(format!(
                "snapshot {snapshot} reads {then:?} instead of {expected:?}\n  {log}"
            ));
        }
    }
    let report = machine.lake.doctor().await.map_err(text)?;
    if !report.is_healthy() {
        return Err(format!("{report:?}\n  {log}"));
    }
    // No transaction is open: what the crash left goes at once.
    machine.lake.clear_orphans().await.map_err(text)?;
    let orphans = machine.lake.doctor().await.map_err(text)?.orphan_files;
    if !orphans.is_empty() {
        return Err(format!("clean-up left {orphans:?}\n  {log}"));
    }
    let later = SystemTime::now() + Duration::from_secs(60);
    machine.lake.quarantine_orphans(later).await.map_err(text)?;
    machine.lake.purge_quarantine(later).await.map_err(text)?;
    // Files scheduled for removal have no size in the list, and may be gone already.
    machine.lake.expire(&[]).await.map_err(text)?;
    let mut named = BTreeSet::new();
    for (path, _) in machine.lake.catalog().file_paths().await.map_err(text)? {
        named.insert(machine.lake.store().locate(&path).map_err(text)?);
    }
    let mut there = machine.disk.paths().await.map_err(text)?;
    let data = machine.lake.store().locate("").map_err(text)?;
    there.retain(|path| path.prefix_matches(&data));
    if named != there {
        return Err(format!(
            "files without a row: {:?}; rows without a file: {:?}",
            there.difference(&named).collect::<Vec<_>>(),
            named.difference(&there).collect::<Vec<_>>()
        ));
    }
    // The lake goes on.
    machine.objects.clear(&object_store::path::Path::default()).await.map_err(text)?;
    let accounts = Accounts::new(machine.store.clone(), Arc::clone(&faults), facts, 1 << 32);
    let mut history = History::new(
        machine.lake.clone(),
        accounts,
        Objects::new(machine.objects.clone(), Arc::clone(&faults)),
        Arc::clone(&faults),
        ChaCha8Rng::seed_from_u64(seed.wrapping_add(1)),
    );
    history.committed = found;
    history.dropped = dropped;
    history.dropped_schemas = dropped_schemas;
    history.start_ids_at(1 << 32);
    faults.pause(true);
    for _ in 0..10 {
        history.step().await?;
    }
    drop(history);
    machine.catalog.close().await;
    Ok(outcome)
}
