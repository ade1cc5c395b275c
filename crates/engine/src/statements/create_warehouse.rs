//! CREATE WAREHOUSE and ALTER WAREHOUSE.

use frazil_catalog::account::{NewObject, Object, Place, Warehouse};
use frazil_common::{
    Code, ObjectKind, ObjectName, ObjectRef, Privilege, UserError, quote_identifier,
};
use frazil_dialect::{
    AlterWarehouse, AlterWarehouseAction, CreateWarehouse, ObjectWord, OptionValue, Options,
};
use frazil_governance::Requirement;

use crate::statements::account_change::AccountChange;
use crate::statements::context::StatementContext;
use crate::statements::lookup::{absent, described_status};
use crate::statements::option_values::{boolean, integer, json, optional_text, text, unknown};
use crate::statements::outcome::Outcome;

const DONE: &str = "Statement executed successfully.";

/// Sizes: the words accepted, and the word SHOW WAREHOUSES gives.
const SIZES: &[(&[&str], &str)] = &[
    (&["XSMALL", "X-SMALL"], "X-Small"),
    (&["SMALL"], "Small"),
    (&["MEDIUM"], "Medium"),
    (&["LARGE"], "Large"),
    (&["XLARGE", "X-LARGE"], "X-Large"),
    (&["XXLARGE", "X2LARGE", "2X-LARGE"], "2X-Large"),
    (&["XXXLARGE", "X3LARGE", "3X-LARGE"], "3X-Large"),
    (&["X4LARGE", "4X-LARGE"], "4X-Large"),
    (&["X5LARGE", "5X-LARGE"], "5X-Large"),
    (&["X6LARGE", "6X-LARGE"], "6X-Large"),
];

/// Properties that are kept and shown; queries run on the same threads whatever they say.
const KEPT: &[&str] = &[
    "WAREHOUSE_TYPE",
    "MAX_CLUSTER_COUNT",
    "MIN_CLUSTER_COUNT",
    "SCALING_POLICY",
    "MAX_CONCURRENCY_LEVEL",
    "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS",
    "ENABLE_QUERY_ACCELERATION",
    "QUERY_ACCELERATION_MAX_SCALE_FACTOR",
    "RESOURCE_CONSTRAINT",
];

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
                let wanted = text(key, value)?.to_uppercase();
                body.size = SIZES
                    .iter()
                    .find(|(words, _)| words.contains(&wanted.as_str()))
                    .map(|(_, shown)| shown.to_string())
                    .ok_or_else(|| {
                        UserError::new(
                            Code::InvalidArgument,
                            format!("invalid value [{value}] for parameter '{key}'"),
                        )
                    })?;
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
            "COMMENT" => *comment = optional_text(key, value)?,
            "WAIT_FOR_COMPLETION" if !create => {
                // Changes take effect at once.
                boolean(key, value)?;
            }
            "RESOURCE_MONITOR" => return Err(UserError::unsupported("RESOURCE_MONITOR")),
            key if KEPT.contains(&key) => {
                body.options.insert(key.to_string(), json(value));
            }
            other => return Err(unknown("WAREHOUSE", other)),
        }
    }
    Ok(())
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
            key if KEPT.contains(&key) => {
                body.options.remove(key);
            }
            other => return Err(unknown("WAREHOUSE", other)),
        }
    }
    Ok(())
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
    create: &CreateWarehouse,
) -> Result<Outcome, UserError> {
    let mut body = Warehouse::default();
    let mut comment = None;
    apply(&mut body, &mut comment, &create.options, true)?;
    context.authorize(&[Requirement::global(Privilege::CreateWarehouse)])?;
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
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::begin(context).await?;
    if let Some(existing) = &existing {
        change.writer().drop_object(ObjectKind::Warehouse, existing.id).await?;
    }
    let new = NewObject {
        name: name.clone(),
        place: Place::default(),
        owner_role: context.role().to_string(),
        comment,
        body,
    };
    change.writer().create_object(new).await?;
    change.commit().await?;
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
    match &alter.action {
        AlterWarehouseAction::Suspend => {
            if warehouse.body.suspended {
                return Err(UserError::new(
                    Code::WarehouseNotRunning,
                    format!("Invalid state. Warehouse '{name}' cannot be suspended."),
                ));
            }
            warehouse.body.suspended = true;
        }
        AlterWarehouseAction::Resume { if_suspended } => {
            if !warehouse.body.suspended && !if_suspended {
                return Err(UserError::new(
                    Code::WarehouseNotSuspended,
                    format!("Invalid state. Warehouse '{name}' cannot be resumed."),
                ));
            }
            warehouse.body.suspended = false;
        }
        AlterWarehouseAction::AbortAllQueries => {}
        AlterWarehouseAction::RenameTo(to) => warehouse.name.clone_from(to),
        AlterWarehouseAction::Set(options) => {
            apply(&mut warehouse.body, &mut warehouse.comment, options, false)?;
        }
        AlterWarehouseAction::Unset(keys) => {
            unset(&mut warehouse.body, &mut warehouse.comment, keys)?;
        }
    }
    if context.describe_only {
        return described_status();
    }
    if alter.action == AlterWarehouseAction::AbortAllQueries {
        abort_queries(context, |state| state.warehouse.as_deref() == Some(&name));
        return Outcome::status(DONE);
    }
    let mut change = AccountChange::begin(context).await?;
    change.writer().update_object(&warehouse).await?;
    change.commit().await?;
    Outcome::status(DONE)
}

/// Cancels what sessions in such a state run, this statement excepted.
fn abort_queries(
    context: &StatementContext,
    concerns: impl Fn(&crate::session::SessionState) -> bool,
) {
    let own = context.query_id().parse().ok();
    for session in context.shared.sessions.read().values() {
        if concerns(&session.state.lock()) {
            context.shared.results.cancel_session(session.id, own);
        }
    }
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
