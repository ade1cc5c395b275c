//! GRANT and REVOKE of roles, of the account and of databases.

use frazil_catalog::account::{AccountView, Grantee as RoleGrantee, Role, RoleGrant};
use frazil_common::{Code, UserError, quote_identifier};
use frazil_dialect::{GrantRole, GrantedRole, Grantee, GranteeKind, RevokeRole};
use frazil_governance::{may_grant_role, system};

use crate::statements::account_change::AccountChange;
use crate::statements::context::{StatementContext, Work};
use crate::statements::database_role;
use crate::statements::grant::system_role_kept;
use crate::statements::lookup::{described_status, role_object, single};
use crate::statements::outcome::Outcome;

const DONE: &str = "Statement executed successfully.";

fn named<'a>(
    context: &StatementContext,
    account: &'a AccountView,
    granted: &GrantedRole,
) -> Result<&'a Role, UserError> {
    let (noun, name) = if granted.of_database {
        ("Database role", database_role::full_name(context, &granted.name)?)
    } else {
        ("Role", single(&granted.name)?)
    };
    account.roles.get(&name).filter(|role| role.is_of_database() == granted.of_database).ok_or_else(
        || {
            let shown = if granted.of_database { name } else { quote_identifier(&name) };
            UserError::not_found(noun, shown)
        },
    )
}

/// A role that is granted or revoked, and who gets or loses it.
fn role_and_grantee(
    context: &StatementContext,
    work: &mut Work,
    account: &AccountView,
    role: &GrantedRole,
    grantee: &Grantee,
    granting: bool,
) -> Result<(String, RoleGrantee), UserError> {
    let granted = named(context, account, role)?;
    let of_role = |of_database: bool| {
        let other = GrantedRole { of_database, name: grantee.name.clone() };
        named(context, account, &other)
    };
    let grantee = match grantee.kind {
        GranteeKind::Role => RoleGrantee::Role(of_role(false)?.name.clone()),
        GranteeKind::DatabaseRole => {
            let other = of_role(true)?;
            let of = database_role::database_of;
            if of(granted).is_none() || of(granted) != of(other) {
                return Err(UserError::new(
                    Code::InvalidStatement,
                    format!(
                        "Only roles of the same database can be granted to database role '{}'.",
                        other.name
                    ),
                ));
            }
            RoleGrantee::Role(other.name.clone())
        }
        GranteeKind::User => {
            let name = single(&grantee.name)?;
            if !account.users.contains_key(&name) {
                return Err(UserError::not_found("User", quote_identifier(&name)));
            }
            RoleGrantee::User(name)
        }
        GranteeKind::Share => return Err(UserError::unsupported("shares")),
    };
    let to_role = match &grantee {
        RoleGrantee::Role(name) if granting => Some(name.as_str()),
        _ => None,
    };
    let object = if granted.is_of_database() {
        database_role::found(work.lake()?.view(), granted.clone()).object
    } else {
        role_object(granted)
    };
    may_grant_role(&context.model, &context.roles, &object, to_role)?;
    Ok((granted.name.clone(), grantee))
}

pub(crate) async fn grant_role(
    context: &StatementContext,
    work: &mut Work,
    grant: &GrantRole,
) -> Result<Outcome, UserError> {
    let account = context.shared.accounts.view().await?;
    let (role, grantee) = role_and_grantee(context, work, &account, &grant.role, &grant.to, true)?;
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::begin(context).await?;
    change.claim_rules(context).await?;
    change.writer().grant_role(&role, &grantee, Some(context.role())).await?;
    change.commit().await?;
    Outcome::status(DONE)
}

pub(crate) async fn revoke_role(
    context: &StatementContext,
    work: &mut Work,
    revoke: &RevokeRole,
) -> Result<Outcome, UserError> {
    let account = context.shared.accounts.view().await?;
    let (role, grantee) =
        role_and_grantee(context, work, &account, &revoke.role, &revoke.from, false)?;
    if context.describe_only {
        return described_status();
    }
    let came_with_account = |grant: &RoleGrant| {
        grant.role == role && grant.grantee == grantee && grant.granted_by.is_none()
    };
    if let RoleGrantee::Role(heir) = &grantee
        && system::ALL.contains(&heir.as_str())
        && system::ALL.contains(&role.as_str())
        && account.role_grants.iter().any(came_with_account)
    {
        return Err(system_role_kept(&format!("role {role}"), heir));
    }
    let mut change = AccountChange::keeping_administrator(context).await?;
    change.writer().revoke_role(&role, &grantee).await?;
    change.commit().await?;
    Outcome::status(DONE)
}
