//! Roles of a database: CREATE and ALTER DATABASE ROLE, and their names.

use frazil_catalog::CatalogView;
use frazil_catalog::account::Role;
use frazil_common::{ObjectKind, ObjectName, ObjectRef, Privilege, UserError, quote_identifier};
use frazil_dialect::{CreateDatabaseRole, parse_object_name_text};
use frazil_governance::Requirement;

use crate::resolve::objects::database_object;
use crate::statements::account_change::AccountChange;
use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::{Found, Target, described_status, no_current_database};
use crate::statements::outcome::Outcome;

/// The role's name in the account: `DATABASE.ROLE` as SQL text.
pub(crate) fn full_name(
    context: &StatementContext,
    name: &ObjectName,
) -> Result<String, UserError> {
    if name.database.is_some() {
        return Err(UserError::syntax(format!("'{name}' is no name of a database role.")));
    }
    let database = name.schema.clone().or_else(|| context.state.database.clone());
    let database = database.ok_or_else(no_current_database)?;
    Ok(format!("{}.{}", quote_identifier(&database), quote_identifier(&name.name)))
}

/// The database and the last part of a database role's name.
fn parts(role: &Role) -> Option<(String, String)> {
    if !role.is_of_database() {
        return None;
    }
    let name = parse_object_name_text(&role.name).ok()?;
    Some((name.schema?, name.name))
}

/// The database whose role it is; none for a role of the account.
pub(crate) fn database_of(role: &Role) -> Option<String> {
    parts(role).map(|(database, _)| database)
}

/// The last part of a database role's name.
pub(crate) fn short_name(role: &Role) -> Option<String> {
    parts(role).map(|(_, name)| name)
}

/// Names of the account's roles have no dot, so that they are never taken for a database's.
pub(crate) fn refuse_dot(name: &str) -> Result<(), UserError> {
    if name.contains('.') {
        return Err(UserError::unsupported(format!("a role name with a dot ({name})")));
    }
    Ok(())
}

pub(crate) fn found(view: &CatalogView, role: Role) -> Found {
    let database = database_of(&role);
    Found {
        object: ObjectRef { kind: ObjectKind::DatabaseRole, id: role.id, name: role.name.clone() },
        parents: database.and_then(|name| database_object(view, &name)).into_iter().collect(),
        target: Target::DatabaseRole(role),
    }
}

pub(crate) async fn create(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateDatabaseRole,
) -> Result<Outcome, UserError> {
    let full = full_name(context, &create.name)?;
    let view = work.lake()?.view().clone();
    let database = create.name.schema.clone().or_else(|| context.state.database.clone());
    let database = database.unwrap_or_default();
    let parent = database_object(&view, &database)
        .ok_or_else(|| UserError::not_found("Database", quote_identifier(&database)))?;
    context.authorize(&[Requirement::new(
        parent.clone(),
        Vec::new(),
        Privilege::CreateDatabaseRole,
    )])?;
    let account = context.shared.accounts.view().await?;
    let existing = account.roles.get(&full).cloned();
    if let Some(existing) = &existing {
        if create.mode.if_not_exists {
            return Outcome::status(format!(
                "{} already exists, statement succeeded.",
                create.name.name
            ));
        }
        if !create.mode.or_replace {
            return Err(UserError::exists(quote_identifier(&create.name.name)));
        }
        found(&view, existing.clone()).require(context, &[Privilege::Ownership])?;
    }
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::begin(context).await?;
    let mut writer = change.writer();
    if let Some(existing) = &existing {
        writer.drop_role(existing.id, context.role()).await?;
    }
    writer
        .create_database_role(&full, parent.id, create.comment.as_deref(), context.role())
        .await?;
    change.commit().await?;
    Outcome::status(format!("Database role {} successfully created.", create.name.name))
}

pub(crate) async fn rename(
    context: &StatementContext,
    mut role: Role,
    from: &ObjectName,
    to: &ObjectName,
) -> Result<(), UserError> {
    let to = ObjectName { schema: to.schema.clone().or(from.schema.clone()), ..to.clone() };
    let to = full_name(context, &to)?;
    let renamed = Role { name: to.clone(), ..role.clone() };
    if database_of(&renamed) != database_of(&role) {
        return Err(UserError::unsupported("ALTER DATABASE ROLE … RENAME TO another database"));
    }
    if context.describe_only {
        return Ok(());
    }
    role.name = to;
    let mut change = AccountChange::begin(context).await?;
    change.writer().update_role(&role).await?;
    change.commit().await
}
