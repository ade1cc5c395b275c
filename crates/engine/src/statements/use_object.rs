//! USE: the session's current database, schema, warehouse and role.

use frazil_catalog::CatalogView;
use frazil_common::{Code, ObjectName, Privilege, UserError, quote_identifier};
use frazil_dialect::{ObjectWord, SecondaryRoles, Use};
use frazil_governance::{SecondaryRoles as InForce, is_database_role};

use crate::account_usage;
use crate::session::SessionState;
use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::{Found, cannot_be_performed, described_status, find, of_schema};
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

/// What is used takes USAGE; without it the object is as good as absent.
fn usable(context: &StatementContext, found: Option<Found>) -> Result<(), UserError> {
    let usable = found.is_some_and(|found| found.require(context, &[Privilege::Usage]).is_ok());
    if usable { Ok(()) } else { Err(cannot_be_performed()) }
}

/// Whether a database is the one with ACCOUNT_USAGE, and the roles may read that.
fn reads_account_usage(
    context: &StatementContext,
    view: &CatalogView,
    database: Option<&str>,
) -> bool {
    database.is_some_and(|database| account_usage::is_shared(database, view))
        && account_usage::is_seen(&context.model, &context.roles)
}

async fn database(
    context: &StatementContext,
    work: &mut Work,
    name: &str,
) -> Result<Outcome, UserError> {
    let view = work.lake()?.view().clone();
    if reads_account_usage(context, &view, Some(name)) {
        return change(context, move |state| {
            state.database = Some(name.to_string());
            state.schema = None;
        })
        .await;
    }
    let found = find(context, &view, ObjectWord::Database, &ObjectName::bare(name)).await?;
    usable(context, found)?;
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
    let database = name.schema.clone().or_else(|| context.state.database.clone());
    let shared = name.name == account_usage::SCHEMA
        && reads_account_usage(context, &view, database.as_deref());
    if !shared {
        usable(context, find(context, &view, ObjectWord::Schema, name).await?)?;
    }
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
    usable(context, found)?;
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
    let known = context.shared.accounts.view().await?.roles.contains_key(name);
    // A database role works through the roles that hold it.
    if !known || is_database_role(name) {
        return Err(cannot_be_performed());
    }
    if !context.model.may_assume(&context.session.user, name) {
        return Err(not_assigned(name));
    }
    change(context, move |state| state.role = name.to_string()).await
}

fn not_assigned(role: &str) -> UserError {
    UserError::new(
        Code::RoleNotAssigned,
        format!(
            "Requested role '{}' is not assigned to the executing user. Specify another role to \
             activate.",
            quote_identifier(role)
        ),
    )
}

async fn secondary_roles(
    context: &StatementContext,
    roles: &SecondaryRoles,
) -> Result<Outcome, UserError> {
    let secondary = match roles {
        SecondaryRoles::All => InForce::All,
        SecondaryRoles::None => InForce::None,
        SecondaryRoles::List(names) => {
            for name in names {
                if !context.model.may_assume(&context.session.user, name) {
                    return Err(not_assigned(name));
                }
            }
            InForce::Listed(names.clone())
        }
    };
    if secondary != InForce::None && context.session.role_restriction.is_some() {
        return Err(UserError::new(
            Code::RoleNotAssigned,
            "The session was opened with an access token that is restricted to one role: \
             secondary roles can not be used.",
        ));
    }
    change(context, move |state| state.secondary_roles.clone_from(&secondary)).await
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
