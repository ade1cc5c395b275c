//! ALTER ACCOUNT: parameters that objects, users and sessions inherit from the account.

use frazil_catalog::account::ParameterLevel;
use frazil_common::{Code, UserError};
use frazil_dialect::{AlterObject, AlterObjectAction, OptionValue};
use frazil_governance::system;
use serde_json::Value;

use crate::session::parameters::{Parameters, definition};
use crate::statements::account_change::AccountChange;
use crate::statements::context::StatementContext;
use crate::statements::lookup::described_status;
use crate::statements::outcome::Outcome;
use crate::statements::resource_monitor::{self, RESOURCE_MONITOR};
use crate::statements::retention::{RETENTION, days};
use crate::statements::session::parameter_text;

pub(crate) async fn run(
    context: &StatementContext,
    alter: &AlterObject,
) -> Result<Outcome, UserError> {
    if !context.model.includes(&context.roles, system::ACCOUNTADMIN) {
        return Err(UserError::new(
            Code::InsufficientPrivileges,
            "Insufficient privileges to operate on account: ACCOUNTADMIN is needed.",
        ));
    }
    let known = |key: &str| match key {
        RETENTION | RESOURCE_MONITOR => Ok(()),
        key if definition(key).is_some() => Ok(()),
        other => Err(UserError::unsupported(format!("ALTER ACCOUNT … {other}"))),
    };
    let mut settings: Vec<(&str, Option<Value>)> = Vec::new();
    match &alter.action {
        AlterObjectAction::Set(options) => {
            for (key, value) in options.iter() {
                known(key)?;
                let value = match key {
                    RESOURCE_MONITOR => {
                        resource_monitor::named_for_account(context, value).await?.map(Value::from)
                    }
                    RETENTION => Some(Value::from(days(value, false)?)),
                    _ => session_parameter(key, value)?,
                };
                settings.push((key, value));
            }
        }
        AlterObjectAction::Unset(keys) => {
            for key in keys {
                known(key)?;
                settings.push((key, None));
            }
        }
        _ => return Err(UserError::unsupported("this form of ALTER ACCOUNT")),
    }
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::begin(context).await?;
    for (key, value) in &settings {
        change.writer().set_parameter(ParameterLevel::Account, key, value.as_ref()).await?;
    }
    change.commit().await?;
    context.shared.warehouses.refresh().await?;
    Outcome::status("Statement executed successfully.")
}

/// A parameter of sessions, as it is kept; DEFAULT takes it back.
fn session_parameter(key: &str, value: &OptionValue) -> Result<Option<Value>, UserError> {
    if matches!(value, OptionValue::Word(word) if word.eq_ignore_ascii_case("DEFAULT")) {
        return Ok(None);
    }
    let mut checked = Parameters::default();
    checked.set(key, &parameter_text(key, value)?)?;
    Ok(Some(Value::from(checked.get(key))))
}
