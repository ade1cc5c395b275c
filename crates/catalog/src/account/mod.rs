//! Frazil's own objects: users, roles, grants, warehouses, stages, models, sessions, history.
//!
//! Reads go through [`AccountStore`]; writes through [`Writer`], which works on one connection in
//! a write transaction, so that changes that belong together (an object, its owner, its grants)
//! commit together. Ids come from one counter and are never used again.

mod bootstrap;
mod copies;
mod ended;
mod error;
mod future;
mod grants;
mod history;
mod login_failures;
mod metering;
mod model_versions;
mod objects;
mod ownership;
mod parameters;
mod policies;
mod roles;
mod schema;
mod sequences;
mod sessions;
mod storage_usage;
mod tags;
mod tokens;
mod users;
mod view;

use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::sqlite::SqliteConnection;

use crate::{Catalog, ReadConnection, Result, WriteTransaction};

pub use ended::{EndedGrant, EndedRole, EndedRoleGrant, EndedUser};
pub use future::FutureGrant;
pub use grants::{Grant, GrantTarget};
pub use history::{
    AccessRecord, AccessedObject, ColumnSource, ColumnSources, LoginFilter, LoginRecord, Protected,
    QueryDetail, QueryFilter, QueryRecord, QuerySight, QueryState,
};
pub use login_failures::LoginFailures;
pub use metering::{MeteredTime, Notification, WarehouseEvent};
pub(crate) use model_versions::model_digests;
pub use model_versions::{
    ModelChange, ModelVersion, ModelVersionBody, NewModelVersion, TrainingSource, VersionSource,
};
pub use objects::{
    Endpoint, FileFormat, MaskingPolicy, Model, MonitorAction, MonitorFrequency, MonitorTrigger,
    NewObject, Object, ObjectBody, ObjectFilter, ObjectHeader, Place, PolicyRule, ResourceMonitor,
    RowAccessPolicy, Sequence, Stage, Tag, Warehouse,
};
pub use parameters::ParameterLevel;
pub use policies::PolicyReference;
pub use roles::{Grantee, Role, RoleGrant};
pub use sessions::{EndedSession, NewSession, SessionRow, SessionState, Standing};
pub use storage_usage::{StorageDay, StorageSample, day_of};
pub use tags::{DroppedTag, TagReference};
pub use tokens::{AccessToken, NewAccessToken};
pub use users::{NewUser, User, UserProperties, UserType, user_stage_name};
pub use view::AccountView;

/// Microseconds since 1970 UTC.
pub fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// Frazil's own tables in the catalog's database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccountStore {
    catalog: Catalog,
    view: Arc<Mutex<Option<Arc<AccountView>>>>,
}

impl AccountStore {
    /// Opens the account of a catalog. Makes what is missing: the tables, and on a new database
    /// the account itself with its system roles, their hierarchy and their privileges.
    ///
    /// # Errors
    /// A database written by a newer version; database errors.
    pub async fn open(catalog: Catalog) -> Result<Self> {
        let store = AccountStore { catalog, view: Arc::default() };
        let mut transaction = store.begin().await?;
        bootstrap::migrate(Writer::on(&mut transaction)).await?;
        transaction.commit().await?;
        Ok(store)
    }

    /// The account of a catalog that is only looked at, as it is.
    pub fn inspect(catalog: Catalog) -> Self {
        AccountStore { catalog, view: Arc::default() }
    }

    /// Starts a write transaction; hand it to [`Writer::on`]. There is one at a time: whoever
    /// holds it must not ask for another, nor call a writing method of this store.
    ///
    /// # Errors
    /// Database errors, such as a lock that another program holds for too long.
    pub async fn begin(&self) -> Result<WriteTransaction> {
        self.catalog.begin_write().await
    }

    /// Grows with each change of the account that this process has made, before its client hears of it.
    pub fn changes(&self) -> u64 {
        self.catalog.account_changes()
    }

    async fn reader(&self) -> Result<ReadConnection> {
        self.catalog.reader().await
    }
}

/// Changes to the account's objects, on a connection with an open write transaction.
#[derive(Debug)]
pub struct Writer<'c> {
    connection: &'c mut SqliteConnection,
}

impl<'c> Writer<'c> {
    /// Joins a write transaction that is open on this connection; the caller commits it.
    pub fn on(connection: &'c mut SqliteConnection) -> Self {
        Writer { connection }
    }

    /// The next id of the account's objects.
    pub async fn next_id(&mut self) -> Result<i64> {
        next_value(self.connection, "id").await
    }

    /// Takes the turn of a change to what statements are checked against: which policies and tags are where,
    /// which role has which. Whether nobody has changed any of it since the version the caller looked at.
    ///
    /// # Errors
    /// Database errors.
    pub async fn claim_rules(&mut self, seen: i64) -> Result<bool> {
        let version = next_value(self.connection, RULES_VERSION).await?;
        self.touch_security().await?;
        Ok(version == seen + 1)
    }

    /// Tells every [`AccountView`] that users, roles, grants or owners changed.
    async fn touch_security(&mut self) -> Result<()> {
        next_value(self.connection, SECURITY_VERSION).await?;
        Ok(())
    }
}

/// Counter of changes to users, roles, grants and owners.
const SECURITY_VERSION: &str = "security_version";

/// Counter of the changes that [`Writer::claim_rules`] orders.
const RULES_VERSION: &str = "rules_version";

/// Adds one to a counter and returns it, starting at 1.
async fn next_value(connection: &mut SqliteConnection, counter: &'static str) -> Result<i64> {
    let (value,): (i64,) = sqlx::query_as(
        "INSERT INTO frazil_counter (name, value) VALUES ($1, 1)
         ON CONFLICT (name) DO UPDATE SET value = frazil_counter.value + 1
         RETURNING value",
    )
    .bind(counter)
    .fetch_one(connection)
    .await?;
    Ok(value)
}

#[cfg(test)]
mod tests;
