//! What tables and stages take on the disk: samples of it by day, and the account's tables.

use std::collections::BTreeMap;

use frazil_catalog::account::{AccountStore, StorageSample, day_of, now_micros};
use frazil_catalog::{Catalog, CatalogView, TableStorage};
use frazil_common::UserError;
use frazil_lake::{Lake, ObjectFolder};

use crate::stage_files::STAGES_FOLDER;
use crate::statements::account_change::AccountChange;

/// The bytes of all files that are kept for a table.
pub(crate) fn total(storage: TableStorage) -> u64 {
    storage.active + storage.time_travel + storage.retained_for_clones
}

/// What each database and all stages take now.
async fn samples(
    catalog: &Catalog,
    view: &CatalogView,
    stages: &ObjectFolder,
) -> Result<Vec<StorageSample>, UserError> {
    let storage = catalog.table_storage().await?;
    let mut databases: BTreeMap<(i64, String), u64> = BTreeMap::new();
    for database in view.databases() {
        databases.entry((database.database_id, database.name.clone())).or_default();
    }
    let mut add = |database: Option<(i64, String)>, table: i64| {
        if let (Some(database), Some(storage)) = (database, storage.get(&table)) {
            *databases.entry(database).or_default() += total(*storage);
        }
    };
    for table in view.tables() {
        let database = view.database(&table.name.database);
        add(database.map(|found| (found.database_id, found.name.clone())), table.table_id);
    }
    for dropped in catalog.dropped_tables(0, |_| true).await? {
        let database = dropped.view.database(&dropped.object.name.database);
        let database = database.map(|found| (found.database_id, found.name.clone()));
        add(database, dropped.object.table_id);
    }
    let files = stages.list(None).await?;
    let mut samples =
        vec![StorageSample { database: None, bytes: files.iter().map(|file| file.size).sum() }];
    samples.extend(
        databases
            .into_iter()
            .map(|(database, bytes)| StorageSample { database: Some(database), bytes }),
    );
    Ok(samples)
}

/// Adds what is taken now to the day's average.
pub(crate) async fn sample(lake: &Lake, accounts: &AccountStore) -> Result<(), UserError> {
    let view = lake.view().await?;
    let stages = lake.store().folder(STAGES_FOLDER)?;
    let samples = samples(lake.catalog(), &view, &stages).await?;
    let mut change = AccountChange::on(accounts).await?;
    change.writer().add_storage_samples(day_of(now_micros()), &samples).await?;
    change.commit().await
}
