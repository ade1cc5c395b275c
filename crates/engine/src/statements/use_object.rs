//! USE: the session's current database, schema, warehouse and role.

use frazil_common::{Code, ObjectName, UserError, quote_identifier};
use frazil_dialect::{ObjectWord, SecondaryRoles, Use};

use crate::session::SessionState;
use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::{cannot_be_performed, described_status, find, of_schema};
use crate::statements::outcome::Outcome;

/// Schema that USE DATABASE makes current where the database has it.
const DEFAULT_SCHEMA: &str = "PUBLIC";

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    target: &Use,
) -> Result<Outcome, UserError> {
    match target {
        Use::Database(name) => database(context, work, name).await,
        Use::Schema(name) => schema(context, work, name).await,
        Use::Name(name) if name.schema.is_none() => database(context, work, &name.name).await,
        Use::Name(name) => schema(context, work, name).await,
        Use::Warehouse(name) => warehouse(context, work, name).await,
        Use::Role(name) => role(context, name).await,
        Use::SecondaryRoles(roles) => secondary_roles(context, roles).await,
    }
}

async fn database(
    context: &StatementContext,
    work: &mut Work,
    name: &str,
) -> Result<Outcome, UserError> {
    let view = work.lake()?.view().clone();
    let found = find(context, &view, ObjectWord::Database, &ObjectName::bare(name)).await?;
    if found.is_none() {
        return Err(cannot_be_performed());
    }
    let schema = view
        .schema(name, DEFAULT_SCHEMA)
        .filter(|schema| of_schema(&view, (*schema).clone()).is_visible(context))
        .map(|schema| schema.name.clone());
    change(context, move |state| {
        state.database = Some(name.to_string());
        state.schema = schema.clone();
    })
    .await
}

async fn schema(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
) -> Result<Outcome, UserError> {
    let view = work.lake()?.view().clone();
    let found = find(context, &view, ObjectWord::Schema, name).await?;
    if found.is_none() {
        return Err(cannot_be_performed());
    }
    let database = name.schema.clone().or_else(|| context.state.database.clone());
    change(context, move |state| {
        state.database = database.clone();
        state.schema = Some(name.name.clone());
    })
    .await
}

async fn warehouse(
    context: &StatementContext,
    work: &mut Work,
    name: &str,
) -> Result<Outcome, UserError> {
    let view = work.lake()?.view().clone();
    let found = find(context, &view, ObjectWord::Warehouse, &ObjectName::bare(name)).await?;
    if found.is_none() {
        return Err(cannot_be_performed());
    }
    change(context, move |state| state.warehouse = Some(name.to_string())).await
}

async fn role(context: &StatementContext, name: &str) -> Result<Outcome, UserError> {
    if let Some(only) = &context.session.role_restriction
        && only != name
    {
        return Err(UserError::new(
            Code::RoleNotAssigned,
            format!(
                "The session was opened with an access token that is restricted to role '{}'.",
                quote_identifier(only)
            ),
        ));
    }
    if !context.shared.accounts.view().await?.roles.contains_key(name) {
        return Err(cannot_be_performed());
    }
    if !context.model.may_assume(&context.session.user, name) {
        return Err(UserError::new(
            Code::RoleNotAssigned,
            format!(
                "Requested role '{}' is not assigned to the executing user. Specify another role \
                 to activate.",
                quote_identifier(name)
            ),
        ));
    }
    change(context, move |state| state.role = name.to_string()).await
}

async fn secondary_roles(
    context: &StatementContext,
    roles: &SecondaryRoles,
) -> Result<Outcome, UserError> {
    let all = match roles {
        SecondaryRoles::All => true,
        SecondaryRoles::None => false,
        SecondaryRoles::List(_) => {
            return Err(UserError::unsupported("USE SECONDARY ROLES with a list of roles"));
        }
    };
    if all && context.session.role_restriction.is_some() {
        return Err(UserError::new(
            Code::RoleNotAssigned,
            "The session was opened with an access token that is restricted to one role: \
             secondary roles can not be used.",
        ));
    }
    change(context, move |state| state.secondary_roles = all).await
}

/// Changes the session's state; the end of the statement stores it.
async fn change(
    context: &StatementContext,
    change: impl Fn(&mut SessionState),
) -> Result<Outcome, UserError> {
    if context.describe_only {
        return described_status();
    }
    change(&mut context.session.state.lock());
    Outcome::status("Statement executed successfully.")
}
