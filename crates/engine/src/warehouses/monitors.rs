//! Resource monitors: warehouses stop when their quota is used up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use frazil_catalog::account::{
    AccountStore, Notification, Object, ObjectFilter, ParameterLevel, ResourceMonitor, now_micros,
};
use frazil_common::{Code, ObjectKind, ObjectRef, UserError, quote_identifier};
use serde_json::Value;

use super::class::Class;
use super::quota::{Verdict, judge};
use super::{ClassFacts, Warehouses};
use crate::statements::account_change::AccountChange;
use crate::statements::resource_monitor::RESOURCE_MONITOR;

/// The monitors of the account, as the catalog has them.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    by_id: HashMap<i64, Arc<Object<ResourceMonitor>>>,
    /// The one that watches all warehouses.
    account: Option<i64>,
    /// What was told of each monitor's period: its start and the highest percentage.
    told: HashMap<i64, (i64, u32)>,
}

impl Monitors {
    pub async fn load(accounts: &AccountStore) -> Result<Self, UserError> {
        let all = accounts.objects::<ResourceMonitor>(ObjectFilter::default()).await?;
        let of_account = accounts.parameters(ParameterLevel::Account).await?;
        Ok(Monitors {
            by_id: all.into_iter().map(|monitor| (monitor.id, Arc::new(monitor))).collect(),
            account: of_account.get(RESOURCE_MONITOR).and_then(Value::as_i64),
            told: HashMap::new(),
        })
    }

    /// Takes over what an older state has told.
    pub fn remember(&mut self, older: Monitors) {
        self.told = older.told;
        self.told.retain(|id, _| self.by_id.contains_key(id));
    }

    fn over(&self, own: Option<i64>) -> Vec<Arc<Object<ResourceMonitor>>> {
        let ids = self.account.iter().chain(own.iter());
        ids.filter_map(|id| self.by_id.get(id)).cloned().collect()
    }
}

/// A monitor as privileges name it.
pub(crate) fn monitor_object(monitor: &Object<ResourceMonitor>) -> ObjectRef {
    ObjectRef {
        kind: ObjectKind::ResourceMonitor,
        id: monitor.id,
        name: quote_identifier(&monitor.name),
    }
}

impl Warehouses {
    /// What the warehouses under a monitor have used in its present period.
    pub fn credits_under(&self, monitor: &Object<ResourceMonitor>) -> f64 {
        self.count(&self.all());
        self.verdict(monitor).used
    }

    /// `ACCOUNT` or `WAREHOUSE`; none for a monitor that watches nothing.
    pub fn level_of(&self, monitor: i64) -> Option<&'static str> {
        if self.monitors.lock().account == Some(monitor) {
            return Some("ACCOUNT");
        }
        let classes = self.all();
        let watches = |class: &Arc<Class>| class.facts().resource_monitor == Some(monitor);
        classes.iter().any(watches).then_some("WAREHOUSE")
    }

    /// The name of a monitor.
    pub fn monitor_name(&self, id: i64) -> Option<String> {
        self.monitors.lock().by_id.get(&id).map(|monitor| monitor.name.clone())
    }

    fn verdict(&self, monitor: &Object<ResourceMonitor>) -> Verdict {
        let of_account = self.monitors.lock().account == Some(monitor.id);
        let watched: Vec<i64> = self
            .all()
            .iter()
            .map(|class| class.facts())
            .filter(|facts| facts.resource_monitor == Some(monitor.id))
            .map(|facts| facts.id)
            .collect();
        judge(&monitor.body, now_micros(), |since| {
            self.usage.lock().credits(since, |id| of_account || watched.contains(&id))
        })
    }

    /// Refuses to run a warehouse whose monitor, or the account's, has no credits left.
    ///
    /// # Errors
    /// 090073.
    pub fn check_quota(&self, warehouse: &str, own: Option<i64>) -> Result<(), UserError> {
        let over = self.monitors.lock().over(own);
        if over.is_empty() {
            return Ok(());
        }
        self.count(&self.all());
        match over.iter().find(|monitor| self.verdict(monitor).suspend) {
            None => Ok(()),
            Some(monitor) => Err(UserError::new(
                Code::QuotaExceeded,
                format!(
                    "Warehouse '{warehouse}' cannot be resumed because resource monitor '{}' has \
                     exceeded its quota.",
                    monitor.name
                ),
            )),
        }
    }

    /// Suspends what has no credits left, and tells of the triggers that are reached.
    pub(super) async fn enforce(&self) -> Result<(), UserError> {
        let (monitors, account) = {
            let monitors = self.monitors.lock();
            let all: Vec<_> = monitors.by_id.values().cloned().collect();
            (all, monitors.account)
        };
        if monitors.is_empty() {
            return Ok(());
        }
        self.count(&self.all());
        for monitor in monitors {
            let verdict = self.verdict(&monitor);
            if let Err(error) = self.tell(&monitor, &verdict).await {
                // What has no credits left is suspended all the same, and telling is tried again.
                tracing::warn!(%error, "a notification of a resource monitor could not be kept");
            }
            if !verdict.suspend {
                continue;
            }
            let under = |facts: &ClassFacts| {
                account == Some(monitor.id) || facts.resource_monitor == Some(monitor.id)
            };
            for class in self.all() {
                let facts = class.facts();
                if !under(&facts) {
                    continue;
                }
                if !facts.suspended {
                    self.suspend(class.id, "RESOURCE_MONITOR_SUSPEND").await?;
                }
                if verdict.immediately {
                    let quota = monitor.body.credit_quota.unwrap_or_default();
                    class.abort_because(&format!(
                        "by resource monitor '{}': {:.2} of its quota of {quota} credits are used, \
                         and warehouse '{}' was suspended immediately.",
                        monitor.name, verdict.used, facts.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// Tells of each reached trigger once a period, in the log and in NOTIFICATION_HISTORY.
    async fn tell(
        &self,
        monitor: &Object<ResourceMonitor>,
        verdict: &Verdict,
    ) -> Result<(), UserError> {
        let Some(percent) = verdict.notify else { return Ok(()) };
        let told = self.monitors.lock().told.get(&monitor.id).copied();
        if told.is_some_and(|told| told >= (verdict.period, percent)) {
            return Ok(());
        }
        let notification = Notification {
            event_time: now_micros(),
            monitor_id: monitor.id,
            monitor_name: monitor.name.clone(),
            period_start: verdict.period,
            percent,
            used_credits: verdict.used,
            credit_quota: monitor.body.credit_quota,
            notify_users: monitor.body.notify_users.clone(),
            ..Notification::default()
        };
        let mut change = AccountChange::on(&self.accounts).await?;
        // A server that stopped in between has told it.
        let new = change.writer().insert_notification(&notification).await?;
        change.commit().await?;
        self.monitors.lock().told.insert(monitor.id, (verdict.period, percent));
        if new {
            self.notifications.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                monitor = monitor.name,
                percent,
                used_credits = verdict.used,
                credit_quota = monitor.body.credit_quota,
                notify = monitor.body.notify_users.join(", "),
                "a trigger of a resource monitor is reached"
            );
        }
        Ok(())
    }

    /// How many triggers of resource monitors were told of since the start.
    pub fn notifications(&self) -> u64 {
        self.notifications.load(Ordering::Relaxed)
    }
}
