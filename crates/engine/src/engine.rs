//! The façade: opens a data directory, lets people in, gives results out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use frazil_catalog::Catalog;
use frazil_catalog::account::{AccountStore, AccountView, NewUser, UserProperties};
use frazil_common::UserError;
use frazil_governance::{AccessFacts, AccessModel, GrantFact};
use frazil_lake::{DataDirectory, Lake, MaintenanceReport};
use frazil_models::Registry;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use crate::api::{EngineSettings, QueryStatus, ResultReader, StageStore, StoredResult};
use crate::health::{WriteCheck, refuse_lost_catalog};
use crate::history::History;
use crate::maintenance::{Upkeep, findings, missing_models};
use crate::run::results::Results;
use crate::run::runtime::QueryRuntime;
use crate::session::Session;
use crate::session::login::Renewal;
use crate::session::ongoing::Ongoing;
use crate::session::refusals::Refusals;
use crate::session::transactions::Transactions;
use crate::stage_files::{STAGES_FOLDER, StageFiles};
use crate::statements::account_change::AccountChange;
use crate::warehouses::{Keeper, Warehouses};

/// Part of the machine's memory that statements may use when no limit is given.
const MEMORY_SHARE: f64 = 0.6;
/// Passwords checked at the same time.
const PASSWORD_CHECKS: usize = 2;
/// Memory limit where the machine's size cannot be read.
const MEMORY_DEFAULT: usize = 4 * 1024 * 1024 * 1024;

/// What all sessions share.
pub(crate) struct Shared {
    pub catalog: Catalog,
    pub accounts: AccountStore,
    pub lake: Lake,
    pub registry: Registry,
    pub runtime: Arc<QueryRuntime>,
    pub warehouses: Arc<Warehouses>,
    pub stages: Arc<StageFiles>,
    pub results: Results,
    pub history: History,
    pub sessions: RwLock<HashMap<i64, Arc<Session>>>,
    pub transactions: Transactions,
    /// The statements that run.
    pub ongoing: Ongoing,
    /// When dropped objects were last looked through, in microseconds since 1970 UTC.
    pub purged: AtomicI64,
    /// The authorisation model and the account version it was made from.
    access: Mutex<Option<(i64, Arc<AccessModel>)>>,
    pub write_check: WriteCheck,
    pub result_bytes_max: Option<u64>,
    pub sessions_per_user: u64,
    /// See [`EngineSettings`].
    pub region: Option<String>,
    pub organization: Option<String>,
    /// Turns for checking passwords.
    pub password_checks: tokio::sync::Semaphore,
    /// Renewals of a moment ago, by the digest of the master token that asked.
    pub renewals: tokio::sync::Mutex<HashMap<String, Renewal>>,
    pub refusals: Refusals,
    /// Holds the directory's lock as long as the engine lives.
    _data_directory: DataDirectory,
}

/// The engine. One per data directory.
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    upkeep: Upkeep,
    keeper: Keeper,
}

/// The password made for the first administrator when none was given.
pub struct GeneratedPassword {
    pub user: String,
    pub password: String,
}

/// What a repair did and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repair {
    /// Files nobody names that were moved into quarantine.
    pub set_aside: usize,
    /// Pieces of broken-off writes that were removed.
    pub unfinished: usize,
    /// Files moved back from quarantine.
    pub put_back: usize,
    /// Files removed from quarantine.
    pub purged: usize,
    /// One line for each finding that is left.
    pub findings: Vec<String>,
}

/// The engine's state at one moment, for monitoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauges {
    /// Sessions in memory.
    pub sessions: usize,
    /// Statements that run or wait.
    pub running: usize,
    /// Statements that have a place to compute.
    pub computing: usize,
    /// Statements that wait for one.
    pub queued: usize,
    /// Bytes that operators have reserved.
    pub memory_used_bytes: usize,
    /// Bytes that they may reserve together.
    pub memory_limit_bytes: usize,
    /// Bytes that operators have spilled to disk.
    pub spill_used_bytes: u64,
    /// Triggers of resource monitors that were reached since the start.
    pub monitor_notifications: u64,
}

impl Engine {
    /// Opens a data directory, making it and its account where absent.
    ///
    /// # Errors
    /// Another process has the directory open, it is of another version, or it is damaged.
    pub async fn open(
        settings: EngineSettings,
    ) -> Result<(Arc<Engine>, Option<GeneratedPassword>), UserError> {
        refuse_lost_catalog(&settings.data_dir)?;
        let directory = DataDirectory::open(&settings.data_dir)?;
        let catalog = Catalog::open(&directory.catalog_path()).await?;
        let accounts = AccountStore::open(catalog.clone()).await?;
        let threads = settings.threads.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get)
        });
        let memory = settings.memory_limit.unwrap_or_else(default_memory_limit);
        // It empties the folder of temporary files, in which the runtime has a place for spilling.
        let lake = Lake::open(catalog.clone(), directory.path(), Default::default()).await?;
        let limits = &settings.limits;
        let spill = directory.path().join("temp").join("spill");
        let runtime = QueryRuntime::new(threads, memory, limits.spill_bytes, &spill)?;
        let runtime = Arc::new(runtime);
        lake.use_runtime(runtime.state().runtime_env().clone());
        let registry = Registry::new(accounts.clone(), lake.store().folder("models")?);
        let stages =
            Arc::new(StageFiles::new(lake.store().folder(STAGES_FOLDER)?, limits.upload_bytes));
        let results = Results::open(&directory.results_path(), limits.kept_result_bytes)?;
        let warehouses = Warehouses::open(accounts.clone(), runtime.clone(), limits).await?;
        let shared = Arc::new(Shared {
            history: History::start(accounts.clone()),
            catalog,
            accounts,
            lake,
            registry,
            runtime,
            warehouses,
            stages,
            results,
            sessions: RwLock::default(),
            transactions: Transactions::default(),
            ongoing: Ongoing::default(),
            purged: AtomicI64::new(0),
            access: Mutex::default(),
            write_check: WriteCheck::default(),
            result_bytes_max: Some(limits.result_bytes),
            sessions_per_user: limits.sessions_per_user,
            region: settings.region.clone(),
            organization: settings.organization.clone(),
            password_checks: tokio::sync::Semaphore::new(PASSWORD_CHECKS),
            renewals: Default::default(),
            refusals: Refusals::default(),
            _data_directory: directory,
        });
        let generated = bootstrap(&shared, &settings).await?;
        crate::session::closing::sweep(&shared);
        let upkeep = Upkeep::start(&shared.lake, &shared.accounts);
        let keeper = Keeper::start(&shared.warehouses);
        Ok((Arc::new(Engine { shared, upkeep, keeper }), generated))
    }

    /// A finished result, to read again; none for those who were not shown it, nor where it holds a
    /// secret.
    pub fn result(&self, query_id: &Uuid, reader: &ResultReader) -> Option<Arc<StoredResult>> {
        self.shared.results.get(query_id, reader).and_then(Result::ok)
    }

    /// A result that some other means has shown to be the reader's own: a signed address. It is good as
    /// long as its user is.
    ///
    /// # Errors
    /// The account cannot be read.
    pub async fn result_by_address(
        &self,
        query_id: &Uuid,
    ) -> Result<Option<Arc<StoredResult>>, UserError> {
        let Some(stored) = self.shared.results.get_unchecked(query_id) else { return Ok(None) };
        let account = self.shared.accounts.view().await?;
        let user = account.user_by_id(stored.owner.user_id);
        Ok(user.is_some_and(|user| !user.disabled).then_some(stored))
    }

    /// Where a statement stands; none for those who may not read its result.
    pub fn query_status(&self, query_id: &Uuid, reader: &ResultReader) -> Option<QueryStatus> {
        self.shared.results.status(query_id, reader)
    }

    /// Whether a session of this process goes on, and its user and credential may still use it.
    ///
    /// # Errors
    /// The account cannot be read.
    pub async fn session_is_open(&self, session_id: i64) -> Result<bool, UserError> {
        let session = self.shared.sessions.read().get(&session_id).cloned();
        let Some(session) = session else { return Ok(false) };
        let now = frazil_catalog::account::now_micros();
        if !self.shared.credential_holds(session.user_id, &session.to_row(), now).await? {
            return Ok(false);
        }
        let account = self.shared.accounts.view().await?;
        Ok(account.user_by_id(session.user_id).is_some_and(|user| !user.disabled))
    }

    /// How much is going on.
    pub fn gauges(&self) -> Gauges {
        let runtime = &self.shared.runtime;
        Gauges {
            sessions: self.shared.sessions.read().len(),
            running: self.shared.results.running(),
            computing: self.shared.warehouses.computing(),
            queued: self.shared.warehouses.waiting(),
            memory_used_bytes: runtime.state().runtime_env().memory_pool.reserved(),
            memory_limit_bytes: runtime.memory_limit,
            spill_used_bytes: runtime.spilled_bytes(),
            monitor_notifications: self.shared.warehouses.notifications(),
        }
    }

    /// Whether the catalog answers, and it and the lake's store can be written.
    ///
    /// # Errors
    /// It does not, or cannot.
    pub async fn check_health(&self) -> Result<(), UserError> {
        self.shared.catalog.head_view().await?;
        self.shared.accounts.view().await?;
        self.shared.write_check.check(&self.shared.lake).await
    }

    /// Asks a running statement to stop.
    pub fn cancel(&self, query_id: &Uuid) -> bool {
        self.shared.results.cancel(query_id)
    }

    /// The files of internal stages.
    pub fn stage_store(&self) -> StageStore {
        self.shared.stages.clone()
    }

    /// The first administrator's name, for embedded use.
    ///
    /// # Errors
    /// No user holds ACCOUNTADMIN.
    pub async fn administrator(&self) -> Result<String, UserError> {
        use frazil_catalog::account::Grantee;
        let view = self.shared.accounts.view().await?;
        view.role_grants
            .iter()
            .filter(|grant| grant.role == frazil_governance::system::ACCOUNTADMIN)
            .find_map(|grant| match &grant.grantee {
                Grantee::User(user) => Some(user.clone()),
                Grantee::Role(_) => None,
            })
            .ok_or_else(|| UserError::internal("no user holds ACCOUNTADMIN"))
    }

    /// Does all upkeep at once, whatever is due: flush, merge, expiry, removal of files.
    ///
    /// # Errors
    /// Of the catalog or the disk.
    pub async fn maintain(&self) -> Result<MaintenanceReport, UserError> {
        crate::maintenance::all(&self.shared.lake, &self.shared.accounts).await
    }

    /// Sets files aside that neither a snapshot nor a model names, puts those back that are missed,
    /// then checks the rest. `purge` removes what was set aside by earlier repairs.
    ///
    /// # Errors
    /// Of the catalog or the disk.
    pub async fn repair(&self, purge: bool) -> Result<Repair, UserError> {
        // Upkeep has files in the making that no snapshot names yet.
        self.upkeep.stop().await;
        let (lake, registry) = (&self.shared.lake, &self.shared.registry);
        let now = SystemTime::now();
        let batch = frazil_lake::batch_name(now);
        // Nothing else runs on this engine yet, so every file that nobody names is an orphan. What
        // is missed goes back before anything is purged.
        let (models_back, models_aside) = registry.quarantine_unused(&batch).await?;
        let files = lake.quarantine_orphans(now).await?;
        let unfinished = files.unfinished
            + registry.reap_unfinished().await?
            + self.shared.stages.reap_unfinished(now).await?;
        let mut purged = 0;
        if purge {
            // The newest batch has the second this repair began in.
            let before = DateTime::from_timestamp(DateTime::<Utc>::from(now).timestamp(), 0);
            let before = SystemTime::from(before.unwrap_or_default());
            purged += lake.purge_quarantine(before).await?;
            purged += registry.purge_quarantine(|other| other < batch.as_str()).await?;
        }
        let mut all_findings = findings(lake.doctor().await?);
        all_findings.extend(missing_models(registry).await?);
        Ok(Repair {
            set_aside: files.set_aside + models_aside,
            unfinished,
            put_back: files.put_back + models_back,
            purged,
            findings: all_findings,
        })
    }

    /// Cancels what runs, writes the history and closes the catalog.
    pub async fn shutdown(&self) {
        self.shared.results.cancel_all();
        self.upkeep.stop().await;
        self.keeper.stop().await;
        if let Err(error) = self.shared.warehouses.save().await {
            tracing::warn!(%error, "credits of warehouses could not be written");
        }
        self.shared.history.flush().await;
        // A session holds what the engine holds, the data directory's lock too.
        self.shared.sessions.write().clear();
        self.shared.catalog.close().await;
    }
}

impl Shared {
    /// The authorisation model of the account as it is now.
    pub async fn access_model(&self) -> Result<Arc<AccessModel>, UserError> {
        self.access_model_of(self.accounts.view().await?)
    }

    /// That of a view of the account.
    pub fn access_model_of(&self, view: Arc<AccountView>) -> Result<Arc<AccessModel>, UserError> {
        if let Some((version, model)) = &*self.access.lock()
            && *version == view.version
        {
            return Ok(model.clone());
        }
        use frazil_catalog::account::Grantee;
        let mut facts =
            AccessFacts { roles: view.roles.keys().cloned().collect(), ..AccessFacts::default() };
        for grant in &view.role_grants {
            match &grant.grantee {
                Grantee::Role(role) => {
                    facts.role_grants.push((grant.role.clone(), role.clone()));
                }
                Grantee::User(user) => {
                    facts.user_roles.push((grant.role.clone(), user.clone()));
                }
            }
        }
        for grant in view.grants.values().flatten() {
            facts.grants.push(GrantFact {
                object_kind: grant.object_kind,
                object_id: grant.object_id,
                privilege: grant.privilege,
                role: grant.role.clone(),
                grant_option: grant.grant_option,
            });
        }
        facts.rules_version = view.rules_version;
        facts.managed_schemas.extend(&view.managed_schemas);
        for (object, role) in &view.owners {
            facts.owners.push((*object, role.clone()));
        }
        let model = Arc::new(AccessModel::new(&facts));
        *self.access.lock() = Some((view.version, model.clone()));
        Ok(model)
    }
}

/// Makes the first administrator on a new data directory.
async fn bootstrap(
    shared: &Shared,
    settings: &EngineSettings,
) -> Result<Option<GeneratedPassword>, UserError> {
    if !shared.accounts.view().await?.users.is_empty() {
        return Ok(None);
    }
    let name = frazil_common::fold_identifier(&settings.bootstrap_user);
    let given = settings.bootstrap_password.as_ref().filter(|password| !password.is_empty());
    let (password, generated) = match given {
        Some(password) => (password.clone(), false),
        None => (crate::session::secrets::random_secret(), true),
    };
    let hash = crate::session::secrets::hash_password(&password)?;
    let mut transaction = AccountChange::on(&shared.accounts).await?;
    let mut writer = transaction.writer();
    let role = frazil_governance::system::ACCOUNTADMIN.to_string();
    writer
        .create_user(NewUser {
            name: name.clone(),
            login_name: None,
            password_hash: Some(hash),
            must_change_password: false,
            disabled: false,
            comment: Some("Administrator made at first start".to_string()),
            // Who holds all roles begins without secondary ones: USE ROLE would change nothing.
            properties: UserProperties {
                default_role: Some(role.clone()),
                ..UserProperties::default()
            },
            owner_role: role.clone(),
        })
        .await?;
    writer.grant_role(&role, &frazil_catalog::account::Grantee::User(name.clone()), None).await?;
    transaction.commit().await?;
    Ok(generated.then_some(GeneratedPassword { user: name, password }))
}

fn default_memory_limit() -> usize {
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok()
    });
    total.map_or(MEMORY_DEFAULT, |kibibytes| (kibibytes as f64 * 1024.0 * MEMORY_SHARE) as usize)
}
