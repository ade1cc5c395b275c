//! CREATE, ALTER and DROP RESOURCE MONITOR, and which monitor a warehouse and the account have.

use chrono::{DateTime, Datelike, NaiveTime, Utc};
use datafusion::common::ScalarValue;
use frazil_catalog::account::{
    self, MonitorFrequency, NewObject, Object, ObjectFilter, ParameterLevel, Place,
    ResourceMonitor, Warehouse, now_micros,
};
use frazil_common::{
    Code, ObjectKind, ObjectName, Privilege, SqlType, UserError, quote_identifier,
};
use frazil_dialect::{
    AlterResourceMonitor, CreateResourceMonitor, MonitorAction, MonitorTrigger, ObjectWord,
    OptionValue, Options,
};
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::{Facts, TypedExpr, evaluate_constant};
use frazil_governance::{Requirement, system};

use crate::statements::account_change::AccountChange;
use crate::statements::context::StatementContext;
use crate::statements::lookup::{absent, described_status};
use crate::statements::option_values::{integer, name, text, unknown};
use crate::statements::outcome::Outcome;
use crate::warehouses::monitor_object;

/// The account's parameter that holds its monitor's id.
pub(crate) const RESOURCE_MONITOR: &str = "RESOURCE_MONITOR";

const DONE: &str = "Statement executed successfully.";
const QUOTA_MAX: i64 = 1_000_000_000_000;
/// As many triggers of each kind as in Snowflake.
const NOTIFY_MAX: usize = 5;
const NOTIFIED_MAX: usize = 5;
/// In microseconds.
const DAY: i64 = 24 * 3600 * 1_000_000;

fn invalid(key: &str, value: &OptionValue) -> UserError {
    UserError::new(Code::InvalidArgument, format!("invalid value [{value}] for parameter '{key}'"))
}

/// A time in microseconds since 1970 UTC; one without a zone is in UTC, as in Snowflake.
fn instant(context: &StatementContext, key: &str, value: &OptionValue) -> Result<i64, UserError> {
    let given = TypedExpr::text(&text(key, value)?);
    let facts = Facts { timezone: chrono_tz::UTC, ..context.facts.clone() };
    let cast = cast(given, &SqlType::TIMESTAMP_LTZ, CastMode::Explicit, &facts)?;
    match evaluate_constant(&cast)? {
        ScalarValue::TimestampMicrosecond(Some(micros), _) => Ok(micros),
        _ => Err(invalid(key, value)),
    }
}

/// As [`instant`]; of a date alone at the present time of day.
fn start(
    context: &StatementContext,
    key: &str,
    value: &OptionValue,
    now: i64,
) -> Result<i64, UserError> {
    let at = instant(context, key, value)?;
    let is_date = !text(key, value)?.contains(':');
    Ok(if is_date && at.rem_euclid(DAY) == 0 { at + now.rem_euclid(DAY) } else { at })
}

fn apply(
    context: &StatementContext,
    body: &mut ResourceMonitor,
    options: &Options,
    triggers: Option<&[MonitorTrigger]>,
) -> Result<(), UserError> {
    let now = now_micros();
    for (key, value) in options.iter() {
        match key {
            "CREDIT_QUOTA" => {
                body.credit_quota = match value {
                    OptionValue::Null => None,
                    value => Some(integer(key, value, 1..=QUOTA_MAX)?),
                };
            }
            "FREQUENCY" => {
                body.frequency = match text(key, value)?.to_uppercase().as_str() {
                    "MONTHLY" => MonitorFrequency::Monthly,
                    "DAILY" => MonitorFrequency::Daily,
                    "WEEKLY" => MonitorFrequency::Weekly,
                    "YEARLY" => MonitorFrequency::Yearly,
                    "NEVER" => MonitorFrequency::Never,
                    _ => return Err(invalid(key, value)),
                };
            }
            "START_TIMESTAMP" => {
                body.start_time = match value {
                    OptionValue::Word(word) if word == "IMMEDIATELY" => now,
                    value => start(context, key, value, now)?,
                };
                if body.start_time < now {
                    return Err(UserError::new(
                        Code::StartTimePassed,
                        "The specified Start time has already passed.",
                    ));
                }
            }
            "END_TIMESTAMP" => {
                body.end_time = match value {
                    OptionValue::Null => None,
                    value => Some(instant(context, key, value)?),
                };
            }
            "NOTIFY_USERS" => {
                let names = value.as_list().into_iter().map(|value| name(key, value));
                let names: Vec<Option<String>> = names.collect::<Result<_, _>>()?;
                body.notify_users = names.into_iter().flatten().collect();
            }
            other => return Err(unknown("RESOURCE MONITOR", other)),
        }
    }
    let began = match options.get("END_TIMESTAMP") {
        Some(_) => body.start_time.max(now),
        None => body.start_time,
    };
    if body.end_time.is_some_and(|end| end <= began) {
        return Err(UserError::new(
            Code::InvalidArgument,
            "invalid value for parameter 'END_TIMESTAMP': it must lie after the start, and not have \
             passed.",
        ));
    }
    if let Some(triggers) = triggers {
        check_triggers(triggers)?;
        body.triggers = triggers.iter().map(stored).collect();
        body.triggers.sort_by_key(|trigger| trigger.percent);
    }
    Ok(())
}

fn check_triggers(triggers: &[MonitorTrigger]) -> Result<(), UserError> {
    for (action, most) in [
        (MonitorAction::Notify, NOTIFY_MAX),
        (MonitorAction::Suspend, 1),
        (MonitorAction::SuspendImmediate, 1),
    ] {
        if triggers.iter().filter(|trigger| trigger.action == action).count() > most {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("A resource monitor has at most {most} trigger(s) of the kind {action:?}."),
            ));
        }
    }
    if triggers.iter().any(|trigger| trigger.percent == 0) {
        return Err(UserError::new(
            Code::InvalidArgument,
            "A trigger of a resource monitor is ON 1 PERCENT or more.",
        ));
    }
    Ok(())
}

fn stored(trigger: &MonitorTrigger) -> account::MonitorTrigger {
    let action = match trigger.action {
        MonitorAction::Notify => account::MonitorAction::Notify,
        MonitorAction::Suspend => account::MonitorAction::Suspend,
        MonitorAction::SuspendImmediate => account::MonitorAction::SuspendImmediate,
    };
    account::MonitorTrigger { percent: trigger.percent, action }
}

/// A new monitor has both or none of the options that make its schedule.
fn check_schedule(options: &Options) -> Result<(), UserError> {
    let [interval, start] = ["FREQUENCY", "START_TIMESTAMP"].map(|key| options.get(key).is_some());
    if interval == start {
        return Ok(());
    }
    Err(UserError::new(
        Code::InvalidArgument,
        "FREQUENCY and START_TIMESTAMP of a resource monitor are given together.",
    ))
}

/// Users to notify must be there, and few but for administrators.
async fn check_users(context: &StatementContext, body: &ResourceMonitor) -> Result<(), UserError> {
    let account = context.shared.accounts.view().await?;
    if let Some(user) = body.notify_users.iter().find(|user| !account.users.contains_key(*user)) {
        return Err(UserError::not_found("User", quote_identifier(user)));
    }
    let is_other = |user: &&String| !context.model.may_assume(user, system::ACCOUNTADMIN);
    if body.notify_users.iter().filter(is_other).count() > NOTIFIED_MAX {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!("NOTIFY_USERS has at most {NOTIFIED_MAX} users that are no administrators."),
        ));
    }
    Ok(())
}

/// Monitors are made, and given to warehouses and the account, by ACCOUNTADMIN.
fn require_administrator(context: &StatementContext, what: &str) -> Result<(), UserError> {
    if context.model.includes(&context.roles, system::ACCOUNTADMIN) {
        return Ok(());
    }
    Err(UserError::new(
        Code::InsufficientPrivileges,
        format!("Insufficient privileges to {what}: ACCOUNTADMIN is needed."),
    ))
}

/// The first of the month, UTC: when monitors without a schedule begin to count.
fn month_start(now: i64) -> i64 {
    DateTime::<Utc>::from_timestamp_micros(now)
        .and_then(|now| now.date_naive().with_day(1))
        .map_or(now, |day| day.and_time(NaiveTime::MIN).and_utc().timestamp_micros())
}

pub(crate) async fn create(
    context: &StatementContext,
    create: &CreateResourceMonitor,
) -> Result<Outcome, UserError> {
    require_administrator(context, "create a resource monitor")?;
    check_schedule(&create.options)?;
    let mut body =
        ResourceMonitor { start_time: month_start(now_micros()), ..ResourceMonitor::default() };
    apply(context, &mut body, &create.options, Some(&create.triggers))?;
    check_users(context, &body).await?;
    let name = &create.name;
    let existing = context.shared.accounts.object::<ResourceMonitor>(0, name, 0).await?;
    if existing.is_some() {
        if create.mode.if_not_exists {
            return if context.describe_only {
                described_status()
            } else {
                Outcome::status(format!("{name} already exists, statement succeeded."))
            };
        }
        if !create.mode.or_replace {
            return Err(UserError::exists(quote_identifier(name)));
        }
    }
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::begin(context).await?;
    if let Some(existing) = &existing {
        remove(context, &mut change, existing).await?;
    }
    let new = NewObject {
        name: name.clone(),
        place: Place::default(),
        owner_role: context.role().to_string(),
        comment: None,
        body,
    };
    change.writer().create_object(new).await?;
    change.commit().await?;
    context.shared.warehouses.refresh().await?;
    Outcome::status(format!("Resource monitor {name} successfully created."))
}

pub(crate) async fn alter(
    context: &StatementContext,
    alter: &AlterResourceMonitor,
) -> Result<Outcome, UserError> {
    let found = context.shared.accounts.object::<ResourceMonitor>(0, &alter.name, 0).await?;
    let found = found.filter(|monitor| context.sees(&monitor_object(monitor), &[]));
    let Some(mut monitor) = found else {
        return if alter.if_exists {
            Outcome::status(DONE)
        } else {
            let name = ObjectName::bare(alter.name.clone());
            Err(absent(context, ObjectWord::ResourceMonitor, &name))
        };
    };
    let needed = Requirement::new(monitor_object(&monitor), Vec::new(), Privilege::Modify);
    context.authorize(&[needed])?;
    apply(context, &mut monitor.body, &alter.options, alter.triggers.as_deref())?;
    check_users(context, &monitor.body).await?;
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::begin(context).await?;
    change.writer().update_object(&monitor).await?;
    change.commit().await?;
    context.shared.warehouses.refresh().await?;
    Outcome::status(DONE)
}

/// DROP, once it is allowed.
pub(crate) async fn drop(
    context: &StatementContext,
    monitor: &Object<ResourceMonitor>,
) -> Result<(), UserError> {
    let mut change = AccountChange::begin(context).await?;
    remove(context, &mut change, monitor).await?;
    change.commit().await?;
    context.shared.warehouses.refresh().await
}

/// Drops a monitor; what it watched is watched no more.
async fn remove(
    context: &StatementContext,
    change: &mut AccountChange,
    monitor: &Object<ResourceMonitor>,
) -> Result<(), UserError> {
    let all = context.shared.accounts.objects::<Warehouse>(ObjectFilter::default()).await?;
    let mut writer = change.writer();
    for warehouse in all {
        let Some(mut warehouse) = writer.object_by_id::<Warehouse>(warehouse.id).await? else {
            continue;
        };
        if warehouse.body.resource_monitor == Some(monitor.id) {
            warehouse.body.resource_monitor = None;
            writer.update_object(&warehouse).await?;
        }
    }
    let of_account = context.shared.accounts.parameters(ParameterLevel::Account).await?;
    if of_account.get(RESOURCE_MONITOR).and_then(serde_json::Value::as_i64) == Some(monitor.id) {
        writer.set_parameter(ParameterLevel::Account, RESOURCE_MONITOR, None).await?;
    }
    writer.drop_object(ObjectKind::ResourceMonitor, monitor.id).await?;
    Ok(())
}

/// The id of the monitor that `RESOURCE_MONITOR = name` names; none for NULL.
pub(crate) async fn named(
    context: &StatementContext,
    value: &OptionValue,
) -> Result<Option<i64>, UserError> {
    require_administrator(context, "assign a resource monitor")?;
    let Some(name) = name(RESOURCE_MONITOR, value)? else { return Ok(None) };
    let found = context.shared.accounts.object::<ResourceMonitor>(0, &name, 0).await?;
    match found {
        Some(monitor) => Ok(Some(monitor.id)),
        None => Err(absent(context, ObjectWord::ResourceMonitor, &ObjectName::bare(name))),
    }
}

/// As [`named`], for the account: a monitor that notifies users watches warehouses alone.
pub(crate) async fn named_for_account(
    context: &StatementContext,
    value: &OptionValue,
) -> Result<Option<i64>, UserError> {
    let id = named(context, value).await?;
    let all = context.shared.accounts.objects::<ResourceMonitor>(ObjectFilter::default()).await?;
    match all.iter().find(|monitor| Some(monitor.id) == id) {
        Some(monitor) if !monitor.body.notify_users.is_empty() => Err(UserError::new(
            Code::InvalidArgument,
            format!(
                "Resource monitor '{}' has NOTIFY_USERS, which one of the account may not.",
                monitor.name
            ),
        )),
        _ => Ok(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_are_few_and_above_zero() {
        let trigger = |percent, action| MonitorTrigger { percent, action };
        let notify = |count| vec![trigger(50, MonitorAction::Notify); count];
        assert!(check_triggers(&notify(5)).is_ok());
        assert!(check_triggers(&notify(6)).is_err());
        assert!(check_triggers(&[trigger(0, MonitorAction::Notify)]).is_err());
        assert!(check_triggers(&[trigger(9, MonitorAction::Suspend); 2]).is_err());
    }

    #[test]
    fn months_begin_at_midnight_of_their_first_day() {
        let start = month_start(1_700_000_000_000_000);
        assert_eq!(start, 1_698_796_800_000_000);
        assert_eq!(month_start(start), start);
    }
}
