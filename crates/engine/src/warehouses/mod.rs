//! Warehouses: where statements compute, with how many others, for how many credits.
//!
//! Each statement that computes takes a place in its session's warehouse, or waits for one. A
//! warehouse has a part of the server's threads and memory, by its size; a statement without one
//! has all of them. What the catalog says of a warehouse is the truth: every change is written
//! there first and read back.

mod class;
mod gate;
mod keeper;
mod meter;
mod monitors;
mod needs;
mod quota;
mod size;
mod usage;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use frazil_catalog::account::{
    AccountStore, Object, ObjectFilter, Warehouse, WarehouseEvent, now_micros,
};
use frazil_common::{Code, ObjectRef, UserError};
use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::limits::Limits;
use crate::run::runtime::QueryRuntime;
use crate::statements::account_change::AccountChange;
use crate::statements::context::cancelled;
use class::{Class, Noted};
use gate::{Gate, Pass};
use monitors::Monitors;
use usage::{KEPT_MICROS, Usage};

pub(crate) use class::ClassFacts;
pub(crate) use gate::Place;
pub(crate) use keeper::Keeper;
pub(crate) use monitors::monitor_object;
pub(crate) use needs::computes;
pub(crate) use size::Size;

/// All warehouses of a server, and its own places.
pub(crate) struct Warehouses {
    accounts: AccountStore,
    /// All threads and memory, for statements without a warehouse.
    runtime: Arc<QueryRuntime>,
    own: Arc<Gate>,
    queue_length: usize,
    require: bool,
    classes: RwLock<HashMap<i64, Arc<Class>>>,
    /// One at a time reads the catalog and takes over what it says.
    refreshing: tokio::sync::Mutex<()>,
    usage: Mutex<Usage>,
    monitors: Mutex<Monitors>,
    /// Triggers of monitors that were told of since the start.
    notifications: AtomicU64,
}

/// How a statement asks for a place.
pub(crate) struct Entry<'a> {
    pub query_id: Uuid,
    /// The session's warehouse.
    pub warehouse: Option<&'a str>,
    /// Whether the statement's roles may use a warehouse.
    pub usable: &'a (dyn Fn(&ObjectRef) -> bool + Sync),
    /// Seconds it waits at most, by its session; 0 for no limit.
    pub queued_timeout: i64,
    /// Others may wait for what it holds, so it must not wait behind them.
    pub holds_locks: bool,
    pub cancel: &'a CancellationToken,
}

/// A place; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    pub runtime: Arc<QueryRuntime>,
    /// The warehouse, where the statement has one.
    pub warehouse: Option<ClassFacts>,
    /// How long the statement waited.
    pub queued: Duration,
    pub place: Place,
    noted: Option<Noted>,
}

/// The smaller of two limits of which 0 is none.
pub(crate) fn tighter(a: i64, b: i64) -> i64 {
    match (a, b) {
        (0, limit) | (limit, 0) => limit,
        (a, b) => a.min(b),
    }
}

/// The error of a statement that had a place; where its warehouse's monitor cancelled it, that it did.
pub(crate) fn told(error: UserError, admission: &Option<Admission>) -> UserError {
    match admission.as_ref().and_then(|admission| admission.noted.as_ref()) {
        Some(noted) => noted.explain(error),
        None => error,
    }
}

impl Warehouses {
    /// Takes over the account's warehouses. Those that ran when the server stopped run on.
    pub async fn open(
        accounts: AccountStore,
        runtime: Arc<QueryRuntime>,
        limits: &Limits,
    ) -> Result<Arc<Self>, UserError> {
        let times = accounts.metered_times(now_micros() - KEPT_MICROS).await?;
        let warehouses = Arc::new(Warehouses {
            accounts,
            runtime,
            own: Gate::new(limits.concurrency),
            queue_length: limits.queue_length,
            require: limits.require_warehouse,
            classes: RwLock::default(),
            refreshing: tokio::sync::Mutex::default(),
            usage: Mutex::new(Usage::stored(times)),
            monitors: Mutex::default(),
            notifications: AtomicU64::new(0),
        });
        warehouses.take_over(true).await?;
        Ok(warehouses)
    }

    /// Takes over what the catalog says of the warehouses. To be called after every change.
    pub async fn refresh(&self) -> Result<(), UserError> {
        self.take_over(false).await
    }

    async fn take_over(&self, opening: bool) -> Result<(), UserError> {
        let _one_at_a_time = self.refreshing.lock().await;
        let objects = self.accounts.objects::<Warehouse>(ObjectFilter::default()).await?;
        let monitors = Monitors::load(&self.accounts).await?;
        {
            let mut known = self.monitors.lock();
            let older = std::mem::replace(&mut *known, monitors);
            known.remember(older);
        }
        let now = now_micros();
        let known: HashSet<i64> = objects.iter().map(|object| object.id).collect();
        let dropped: Vec<Arc<Class>> = {
            let mut classes = self.classes.write();
            for object in &objects {
                let class =
                    classes.entry(object.id).or_insert_with(|| Arc::new(Class::new(object)));
                class.apply(object, opening, now);
            }
            let (kept, dropped) = classes.drain().partition(|(id, _)| known.contains(id));
            *classes = kept;
            HashMap::into_values(dropped).collect()
        };
        for class in &dropped {
            class.stop_meter(now);
        }
        self.count(&dropped);
        Ok(())
    }

    /// Statements that have a place.
    pub fn computing(&self) -> usize {
        let classes = self.classes.read();
        self.own.inside() + classes.values().map(|class| class.gate.inside()).sum::<usize>()
    }

    /// Statements that wait for a place.
    pub fn waiting(&self) -> usize {
        let classes = self.classes.read();
        self.own.waiting() + classes.values().map(|class| class.gate.waiting()).sum::<usize>()
    }

    fn class_named(&self, name: &str) -> Option<Arc<Class>> {
        self.classes.read().values().find(|class| class.is_named(name)).cloned()
    }

    /// What a warehouse is like; none where there is none of this name.
    pub fn facts(&self, name: &str) -> Option<ClassFacts> {
        self.class_named(name).map(|class| class.facts())
    }

    /// The warehouse that a statement runs or waits in.
    pub fn of_statement(&self, query_id: &Uuid) -> Option<ObjectRef> {
        let classes = self.classes.read();
        classes.values().find(|class| class.has(query_id)).map(|class| class.object())
    }

    /// Cancels what runs and waits in a warehouse.
    pub fn abort(&self, id: i64) -> usize {
        self.classes.read().get(&id).map_or(0, |class| class.abort())
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// 000606 for a warehouse that is suspended for good, or none where one is required; 090073 for
    /// one without credits; a line that is full; a wait that took too long or was cancelled.
    pub async fn admit(&self, entry: Entry<'_>) -> Result<Admission, UserError> {
        let class = entry.warehouse.and_then(|name| self.class_named(name));
        // A warehouse that was dropped, or that the role may not use, is none.
        let Some(class) = class.filter(|class| (entry.usable)(&class.object())) else {
            if self.require {
                return Err(no_warehouse());
            }
            let (pass, queued) = self.enter(&self.own, &entry, entry.queued_timeout).await?;
            return Ok(Admission {
                runtime: self.runtime.clone(),
                warehouse: None,
                queued,
                place: Place::new(pass),
                noted: None,
            });
        };
        let facts = class.facts();
        if facts.suspended && !facts.auto_resume {
            return Err(suspended(&facts.name));
        }
        self.check_class(&class).await?;
        let noted = class.note(entry.query_id, entry.cancel.clone());
        let timeout = tighter(entry.queued_timeout, facts.queued_timeout);
        let entered = self.enter(&class.gate, &entry, timeout).await;
        let (pass, queued) = entered.map_err(|error| noted.explain(error))?;
        self.check_class(&class).await?;
        // It may have been suspended while the statement waited.
        self.resume_for_statement(&class, entry.query_id).await?;
        Ok(Admission {
            runtime: class.runtime(&self.runtime)?,
            warehouse: Some(class.facts()),
            queued,
            place: Place::new(pass),
            noted: Some(noted),
        })
    }

    async fn enter(
        &self,
        gate: &Arc<Gate>,
        entry: &Entry<'_>,
        queued_timeout: i64,
    ) -> Result<(Pass, Duration), UserError> {
        if entry.holds_locks {
            return Ok((gate.enter_beside(), Duration::ZERO));
        }
        let started = Instant::now();
        let timeout = async {
            match u64::try_from(queued_timeout) {
                Ok(seconds) if seconds > 0 => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            entered = gate.enter(self.queue_length) => match entered {
                Ok(pass) => Ok((pass, started.elapsed())),
                Err(_) => Err(self.line_full(gate)),
            },
            () = entry.cancel.cancelled() => Err(cancelled()),
            () = timeout => Err(UserError::new(
                Code::StatementTimeout,
                format!(
                    "Statement was queued for {queued_timeout} second(s), the limit of \
                     STATEMENT_QUEUED_TIMEOUT_IN_SECONDS, and was canceled."
                ),
            )),
        }
    }

    fn line_full(&self, gate: &Arc<Gate>) -> UserError {
        let places = match Arc::ptr_eq(gate, &self.own) {
            true => "--concurrency",
            false => "the warehouse's MAX_CONCURRENCY_LEVEL",
        };
        UserError::new(
            Code::ResourceLimit,
            format!(
                "{} statements run and {} wait, the limit of --queue-length. Try again later, or \
                 raise it, or {places}.",
                gate.inside(),
                gate.waiting()
            ),
        )
    }

    /// Refuses a statement where a monitor has no credits left, and does not wait for the next
    /// look at it to suspend the warehouse.
    async fn check_class(&self, class: &Class) -> Result<(), UserError> {
        let facts = class.facts();
        let checked = self.check_quota(&facts.name, facts.resource_monitor);
        if checked.is_err() && !facts.suspended {
            self.suspend(class.id, "RESOURCE_MONITOR_SUSPEND").await?;
        }
        checked
    }

    /// AUTO_RESUME.
    async fn resume_for_statement(&self, class: &Class, query_id: Uuid) -> Result<(), UserError> {
        if !class.facts().suspended {
            return Ok(());
        }
        let mut change = AccountChange::on(&self.accounts).await?;
        let found = change.writer().object_by_id::<Warehouse>(class.id).await?;
        match found {
            // Dropped by now: the statement keeps the place it has.
            None => return Ok(()),
            Some(warehouse) if !warehouse.body.suspended => {}
            Some(warehouse) if !warehouse.body.auto_resume => {
                return Err(suspended(&warehouse.name));
            }
            Some(mut warehouse) => {
                warehouse.body.suspended = false;
                let event = WarehouseEvent {
                    event_reason: "WAREHOUSE_AUTORESUME".to_string(),
                    query_id: Some(query_id.to_string()),
                    ..event_of(&warehouse, "RESUME_WAREHOUSE")
                };
                change.writer().update_object(&warehouse).await?;
                change.writer().insert_warehouse_event(&event).await?;
                change.commit().await?;
            }
        }
        self.refresh().await
    }

    /// AUTO_SUSPEND and the like: the server suspends a warehouse by itself.
    async fn suspend(&self, id: i64, reason: &str) -> Result<(), UserError> {
        let mut change = AccountChange::on(&self.accounts).await?;
        let found = change.writer().object_by_id::<Warehouse>(id).await?;
        if let Some(mut warehouse) = found.filter(|warehouse| !warehouse.body.suspended) {
            warehouse.body.suspended = true;
            let event = WarehouseEvent {
                event_reason: reason.to_string(),
                ..event_of(&warehouse, "SUSPEND_WAREHOUSE")
            };
            change.writer().update_object(&warehouse).await?;
            change.writer().insert_warehouse_event(&event).await?;
            change.commit().await?;
        }
        self.refresh().await
    }

    /// What time brings: counts credits, suspends what has been idle long enough or has none left.
    async fn tick(&self) -> Result<(), UserError> {
        let now = now_micros();
        for class in self.all() {
            if class.tick(now) {
                self.suspend(class.id, "WAREHOUSE_AUTOSUSPEND").await?;
            }
        }
        self.enforce().await
    }

    /// Counts what warehouses used up to now.
    fn count(&self, classes: &[Arc<Class>]) {
        let now = now_micros();
        for class in classes {
            let times = class.take_metered(now);
            let mut usage = self.usage.lock();
            times.into_iter().for_each(|time| usage.add(time));
        }
    }

    fn all(&self) -> Vec<Arc<Class>> {
        self.classes.read().values().cloned().collect()
    }

    /// Forgets the account's history of more than a year ago.
    async fn prune_history(&self) -> Result<(), UserError> {
        let mut change = AccountChange::on(&self.accounts).await?;
        change.writer().prune_history(now_micros() - KEPT_MICROS).await?;
        change.commit().await
    }

    /// Writes the times in which warehouses ran, up to now.
    pub async fn save(&self) -> Result<(), UserError> {
        self.count(&self.all());
        let times = self.usage.lock().unstored();
        if times.is_empty() {
            return Ok(());
        }
        let mut change = AccountChange::on(&self.accounts).await?;
        change.writer().save_metered_times(&times).await?;
        change.commit().await?;
        self.usage.lock().note_stored(&times);
        Ok(())
    }
}

/// An event of a warehouse, now.
pub(crate) fn event_of(warehouse: &Object<Warehouse>, name: &str) -> WarehouseEvent {
    WarehouseEvent {
        event_time: now_micros(),
        warehouse_id: warehouse.id,
        warehouse_name: warehouse.name.clone(),
        event_name: name.to_string(),
        size: warehouse.body.size.clone(),
        ..WarehouseEvent::default()
    }
}

const NO_WAREHOUSE: &str = "No active warehouse selected in the current session.";

/// 000606: a statement computes, and there is nowhere to.
fn no_warehouse() -> UserError {
    UserError::new(
        Code::NoActiveWarehouse,
        format!("{NO_WAREHOUSE} Select an active warehouse with the 'use warehouse' command."),
    )
}

fn suspended(name: &str) -> UserError {
    UserError::new(
        Code::NoActiveWarehouse,
        format!(
            "{NO_WAREHOUSE} Warehouse '{name}' is suspended and has AUTO_RESUME = FALSE: resume it \
             with ALTER WAREHOUSE … RESUME, or select another with the 'use warehouse' command."
        ),
    )
}
