//! CREATE WAREHOUSE and ALTER WAREHOUSE.

use frazil_catalog::account::{NewObject, Object, Place, Warehouse, WarehouseEvent};
use frazil_common::{
    Code, ObjectKind, ObjectName, ObjectRef, Privilege, UserError, quote_identifier,
};
use frazil_dialect::{
    AlterWarehouse, AlterWarehouseAction, CreateWarehouse, ObjectWord, OptionValue, Options,
};
use frazil_governance::Requirement;
use serde_json::Value;

use crate::statements::account_change::AccountChange;
use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::{absent, described_status};
use crate::statements::option_values::{boolean, integer, optional_text, text, unknown};
use crate::statements::outcome::Outcome;
use crate::statements::resource_monitor::{self, RESOURCE_MONITOR};
use crate::statements::tag::DefinedTags;
use crate::warehouses::{Size, event_of};

const DONE: &str = "Statement executed successfully.";

/// Properties that are kept and shown. A warehouse is one cluster, whatever they say.
const KEPT: &[&str] = &[
    "WAREHOUSE_TYPE",
    MAX_CLUSTER_COUNT,
    MIN_CLUSTER_COUNT,
    "SCALING_POLICY",
    "ENABLE_QUERY_ACCELERATION",
    "QUERY_ACCELERATION_MAX_SCALE_FACTOR",
    "RESOURCE_CONSTRAINT",
];

const MAX_CLUSTER_COUNT: &str = "MAX_CLUSTER_COUNT";
const MIN_CLUSTER_COUNT: &str = "MIN_CLUSTER_COUNT";
/// Most clusters that Snowflake gives any size of warehouse.
const CLUSTERS_MAX: i64 = 300;
const SCALE_FACTOR_MAX: i64 = 100;
const TYPES: &[&str] = &["STANDARD", "SNOWPARK-OPTIMIZED"];
const SCALING_POLICIES: &[&str] = &["STANDARD", "ECONOMY"];
const RESOURCE_CONSTRAINTS: &[&str] = &[
    "STANDARD_GEN_1",
    "STANDARD_GEN_2",
    "MEMORY_1X",
    "MEMORY_1X_X86",
    "MEMORY_16X",
    "MEMORY_16X_X86",
    "MEMORY_64X",
    "MEMORY_64X_X86",
];

/// The value of one of [`KEPT`] as it is stored.
fn kept(key: &str, value: &OptionValue) -> Result<Value, UserError> {
    let words = match key {
        MAX_CLUSTER_COUNT | MIN_CLUSTER_COUNT => {
            return Ok(integer(key, value, 1..=CLUSTERS_MAX)?.into());
        }
        "QUERY_ACCELERATION_MAX_SCALE_FACTOR" => {
            return Ok(integer(key, value, 0..=SCALE_FACTOR_MAX)?.into());
        }
        "ENABLE_QUERY_ACCELERATION" => return Ok(boolean(key, value)?.into()),
        "SCALING_POLICY" => SCALING_POLICIES,
        "RESOURCE_CONSTRAINT" => RESOURCE_CONSTRAINTS,
        _ => TYPES,
    };
    let word = text(key, value)?.to_uppercase();
    match words.contains(&word.as_str()) {
        true => Ok(word.into()),
        false => Err(UserError::new(
            Code::InvalidArgument,
            format!(
                "invalid value [{value}] for parameter '{key}': {} is needed",
                words.join(" or ")
            ),
        )),
    }
}

/// Refuses fewer clusters at most than at least.
fn check_clusters(body: &Warehouse) -> Result<(), UserError> {
    let count = |key| body.options.get(key).and_then(Value::as_i64).unwrap_or(1);
    let (most, least) = (count(MAX_CLUSTER_COUNT), count(MIN_CLUSTER_COUNT));
    if least <= most {
        return Ok(());
    }
    Err(UserError::new(
        Code::InvalidArgument,
        format!(
            "invalid property combination '{MAX_CLUSTER_COUNT}'='{most}' and \
             '{MIN_CLUSTER_COUNT}'='{least}' for 'WAREHOUSE'"
        ),
    ))
}

fn is_cluster_count(key: &str) -> bool {
    matches!(key, MAX_CLUSTER_COUNT | MIN_CLUSTER_COUNT)
}

/// Numbers among the options.
const NUMBERS: &[&str] = &["MAX_CONCURRENCY_LEVEL", "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS"];
/// Most statements of a warehouse at a time.
const CONCURRENCY_MAX: i64 = 1000;
/// Most seconds of a statement: one week, as in Snowflake.
const TIMEOUT_SECONDS_MAX: i64 = 604_800;

fn apply(
    body: &mut Warehouse,
    comment: &mut Option<String>,
    options: &Options,
    create: bool,
) -> Result<(), UserError> {
    for (key, value) in options.iter() {
        match key {
            "WAREHOUSE_SIZE" => {
                let size = Size::named(&text(key, value)?).ok_or_else(|| {
                    UserError::new(
                        Code::InvalidArgument,
                        format!("invalid value [{value}] for parameter '{key}'"),
                    )
                })?;
                body.size = size.shown().to_string();
            }
            "AUTO_SUSPEND" => {
                body.auto_suspend = match value {
                    OptionValue::Null => None,
                    value => Some(integer(key, value, 0..=i64::from(i32::MAX))?).filter(|s| *s > 0),
                };
            }
            "AUTO_RESUME" => body.auto_resume = boolean(key, value)?,
            "INITIALLY_SUSPENDED" if create => body.suspended = boolean(key, value)?,
            "STATEMENT_TIMEOUT_IN_SECONDS" => {
                body.statement_timeout = integer(key, value, 0..=TIMEOUT_SECONDS_MAX)?;
            }
            "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS" => {
                let seconds = integer(key, value, 0..=TIMEOUT_SECONDS_MAX)?;
                body.options.insert(key.to_string(), seconds.into());
            }
            "MAX_CONCURRENCY_LEVEL" => {
                let level = integer(key, value, 1..=CONCURRENCY_MAX)?;
                body.options.insert(key.to_string(), level.into());
            }
            "COMMENT" => *comment = optional_text(key, value)?,
            "WAIT_FOR_COMPLETION" if !create => {
                // Changes take effect at once.
                boolean(key, value)?;
            }
            // Looked up by `monitor_of`.
            RESOURCE_MONITOR => {}
            key if KEPT.contains(&key) => {
                body.options.insert(key.to_string(), kept(key, value)?);
            }
            other => return Err(unknown("WAREHOUSE", other)),
        }
    }
    match options.iter().any(|(key, _)| is_cluster_count(key)) {
        true => check_clusters(body),
        false => Ok(()),
    }
}

fn unset(
    body: &mut Warehouse,
    comment: &mut Option<String>,
    keys: &[String],
) -> Result<(), UserError> {
    let default = Warehouse::default();
    for key in keys {
        match key.as_str() {
            "WAREHOUSE_SIZE" => body.size.clone_from(&default.size),
            "AUTO_SUSPEND" => body.auto_suspend = default.auto_suspend,
            "AUTO_RESUME" => body.auto_resume = default.auto_resume,
            "STATEMENT_TIMEOUT_IN_SECONDS" => body.statement_timeout = default.statement_timeout,
            "COMMENT" => *comment = None,
            RESOURCE_MONITOR => body.resource_monitor = None,
            key if KEPT.contains(&key) || NUMBERS.contains(&key) => {
                body.options.remove(key);
            }
            other => return Err(unknown("WAREHOUSE", other)),
        }
    }
    match keys.iter().any(|key| is_cluster_count(key)) {
        true => check_clusters(body),
        false => Ok(()),
    }
}

/// The monitor that the options give the warehouse; none where they do not speak of one.
async fn monitor_of(
    context: &StatementContext,
    options: &Options,
) -> Result<Option<Option<i64>>, UserError> {
    match options.get(RESOURCE_MONITOR) {
        None => Ok(None),
        Some(value) => resource_monitor::named(context, value).await.map(Some),
    }
}

fn object_ref(warehouse: &Object<Warehouse>) -> ObjectRef {
    ObjectRef {
        kind: ObjectKind::Warehouse,
        id: warehouse.id,
        name: quote_identifier(&warehouse.name),
    }
}

pub(crate) async fn create(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateWarehouse,
) -> Result<Outcome, UserError> {
    let mut body = Warehouse::default();
    let mut comment = None;
    apply(&mut body, &mut comment, &create.options, true)?;
    context.authorize(&[Requirement::global(Privilege::CreateWarehouse)])?;
    body.resource_monitor = monitor_of(context, &create.options).await?.flatten();
    let name = &create.name;
    let existing = context.shared.accounts.object::<Warehouse>(0, name, 0).await?;
    if let Some(existing) = &existing {
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
        context.authorize(&[Requirement::new(
            object_ref(existing),
            Vec::new(),
            Privilege::Ownership,
        )])?;
    }
    if !body.suspended {
        context.shared.warehouses.check_quota(name, body.resource_monitor)?;
    }
    let tags = DefinedTags::find(context, work, &create.tags, std::iter::empty()).await?;
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::begin(context).await?;
    if let Some(existing) = &existing {
        change.writer().drop_object(ObjectKind::Warehouse, existing.id).await?;
        change.writer().insert_warehouse_event(&dropped(context, existing)).await?;
    }
    let new = NewObject {
        name: name.clone(),
        place: Place::default(),
        owner_role: context.role().to_string(),
        comment,
        body,
    };
    let made = change.writer().create_object(new).await?;
    tags.write(&mut change.writer(), (ObjectKind::Warehouse, made.id)).await?;
    let event = event_of(&made, "CREATE_WAREHOUSE");
    let event = WarehouseEvent { event_reason: "WAREHOUSE_CREATE".to_string(), ..event };
    change.writer().insert_warehouse_event(&by_user(context, event)).await?;
    change.commit().await?;
    context.shared.warehouses.refresh().await?;
    // As in Snowflake, a new warehouse becomes the session's current one.
    context.session.state.lock().warehouse = Some(name.clone());
    Outcome::status(format!("Warehouse {name} successfully created."))
}

fn required(action: &AlterWarehouseAction) -> Privilege {
    match action {
        AlterWarehouseAction::Suspend
        | AlterWarehouseAction::Resume { .. }
        | AlterWarehouseAction::AbortAllQueries => Privilege::Operate,
        AlterWarehouseAction::Set(_) | AlterWarehouseAction::Unset(_) => Privilege::Modify,
        AlterWarehouseAction::RenameTo(_) => Privilege::Ownership,
    }
}

pub(crate) async fn alter(
    context: &StatementContext,
    alter: &AlterWarehouse,
) -> Result<Outcome, UserError> {
    let name = match alter.name.clone().or_else(|| context.state.warehouse.clone()) {
        Some(name) => name,
        None => {
            return Err(UserError::new(
                Code::InvalidStatement,
                "This session does not have a current warehouse. Call 'USE WAREHOUSE', or name \
                 one.",
            ));
        }
    };
    let found = context
        .shared
        .accounts
        .object::<Warehouse>(0, &name, 0)
        .await?
        .filter(|warehouse| context.sees(&object_ref(warehouse), &[]));
    let Some(mut warehouse) = found else {
        return if alter.if_exists {
            Outcome::status(DONE)
        } else {
            Err(absent(context, ObjectWord::Warehouse, &ObjectName::bare(name)))
        };
    };
    context.authorize(&[Requirement::new(
        object_ref(&warehouse),
        Vec::new(),
        required(&alter.action),
    )])?;
    let monitor = match &alter.action {
        AlterWarehouseAction::Set(options) => monitor_of(context, options).await?,
        AlterWarehouseAction::Unset(keys) if keys.iter().any(|key| key == RESOURCE_MONITOR) => {
            resource_monitor::named(context, &OptionValue::Null).await?;
            None
        }
        AlterWarehouseAction::Resume { .. } => {
            let own = warehouse.body.resource_monitor;
            context.shared.warehouses.check_quota(&warehouse.name, own)?;
            None
        }
        _ => None,
    };
    let mut comment = warehouse.comment.clone();
    let event = changed(&mut warehouse, &mut comment, &alter.action)?;
    if context.describe_only {
        return described_status();
    }
    let Some(event) = event else {
        context.shared.warehouses.abort(warehouse.id);
        return Outcome::status(DONE);
    };
    let mut change = AccountChange::begin(context).await?;
    // It may have been resumed or suspended meanwhile: what is changed is what is there now.
    let now = change.writer().object_by_id::<Warehouse>(warehouse.id).await?;
    let Some(mut warehouse) = now else {
        return Err(absent(context, ObjectWord::Warehouse, &ObjectName::bare(name)));
    };
    let mut comment = warehouse.comment.clone();
    changed(&mut warehouse, &mut comment, &alter.action)?;
    warehouse.comment = comment;
    if let Some(monitor) = monitor {
        warehouse.body.resource_monitor = monitor;
    }
    change.writer().update_object(&warehouse).await?;
    let event = WarehouseEvent { size: warehouse.body.size.clone(), ..by_user(context, event) };
    change.writer().insert_warehouse_event(&event).await?;
    change.commit().await?;
    context.shared.warehouses.refresh().await?;
    Outcome::status(DONE)
}

/// Makes the change an action asks for, and gives its event; none where nothing is changed.
fn changed(
    warehouse: &mut Object<Warehouse>,
    comment: &mut Option<String>,
    action: &AlterWarehouseAction,
) -> Result<Option<WarehouseEvent>, UserError> {
    let (name, reason) = match action {
        AlterWarehouseAction::Suspend => {
            if warehouse.body.suspended {
                return Err(invalid_state(Code::WarehouseNotRunning, &warehouse.name, "suspended"));
            }
            warehouse.body.suspended = true;
            ("SUSPEND_WAREHOUSE", "WAREHOUSE_SUSPEND")
        }
        AlterWarehouseAction::Resume { if_suspended } => {
            if !warehouse.body.suspended && !if_suspended {
                return Err(invalid_state(Code::WarehouseNotSuspended, &warehouse.name, "resumed"));
            }
            warehouse.body.suspended = false;
            ("RESUME_WAREHOUSE", "WAREHOUSE_RESUME")
        }
        AlterWarehouseAction::AbortAllQueries => return Ok(None),
        AlterWarehouseAction::RenameTo(to) => {
            warehouse.name.clone_from(to);
            ("ALTER_WAREHOUSE", "WAREHOUSE_RENAME")
        }
        AlterWarehouseAction::Set(options) => {
            let size = warehouse.body.size.clone();
            apply(&mut warehouse.body, comment, options, false)?;
            match warehouse.body.size == size {
                true => ("ALTER_WAREHOUSE", "WAREHOUSE_ALTER"),
                false => ("RESIZE_CLUSTER", "WAREHOUSE_RESIZE"),
            }
        }
        AlterWarehouseAction::Unset(keys) => {
            unset(&mut warehouse.body, comment, keys)?;
            ("ALTER_WAREHOUSE", "WAREHOUSE_ALTER")
        }
    };
    let event = event_of(warehouse, name);
    Ok(Some(WarehouseEvent { event_reason: reason.to_string(), ..event }))
}

fn invalid_state(code: Code, name: &str, done: &str) -> UserError {
    UserError::new(code, format!("Invalid state. Warehouse '{name}' cannot be {done}."))
}

/// An event that a statement brings about.
fn by_user(context: &StatementContext, event: WarehouseEvent) -> WarehouseEvent {
    WarehouseEvent {
        user: Some(context.session.user.clone()),
        role: Some(context.role().to_string()),
        query_id: Some(context.query_id().to_string()),
        ..event
    }
}

/// The event of a warehouse that a statement drops.
pub(crate) fn dropped(context: &StatementContext, warehouse: &Object<Warehouse>) -> WarehouseEvent {
    let event = event_of(warehouse, "DROP_WAREHOUSE");
    by_user(context, WarehouseEvent { event_reason: "WAREHOUSE_DROP".to_string(), ..event })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use frazil_dialect::Statement;

    fn options(text: &str) -> Options {
        let text = format!("CREATE WAREHOUSE w {text}");
        match frazil_dialect::parse_statement(&text).unwrap().statement {
            Statement::CreateWarehouse(create) => create.options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sizes_and_limits_are_read_in_all_their_spellings() {
        let mut body = Warehouse::default();
        let mut comment = None;
        let given = options("WAREHOUSE_SIZE = 'X2LARGE' AUTO_SUSPEND = 0 COMMENT = 'c'");
        apply(&mut body, &mut comment, &given, true).unwrap();
        assert_eq!(body.size, "2X-Large");
        assert_eq!(body.auto_suspend, None);
        assert_eq!(comment.as_deref(), Some("c"));
        assert!(apply(&mut body, &mut comment, &options("WAREHOUSE_SIZE = HUGE"), true).is_err());
        assert!(apply(&mut body, &mut comment, &options("COLOUR = RED"), true).is_err());
        let late = options("INITIALLY_SUSPENDED = TRUE");
        assert!(apply(&mut body, &mut comment, &late, false).is_err());
    }
}
