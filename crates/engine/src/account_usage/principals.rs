//! Users, roles and grants.

use frazil_catalog::account::Grantee;
use frazil_common::{ObjectKind, Privilege, SqlType, UserError};

use super::{INSTANT, NUMBER, Source, TEXT, Table};
use crate::statements::outcome::Cell;
use crate::statements::show_grants;

pub(super) async fn users(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("USER_ID", NUMBER),
        ("NAME", TEXT),
        ("CREATED_ON", INSTANT),
        ("LOGIN_NAME", TEXT),
        ("DISPLAY_NAME", TEXT),
        ("FIRST_NAME", TEXT),
        ("LAST_NAME", TEXT),
        ("EMAIL", TEXT),
        ("MUST_CHANGE_PASSWORD", SqlType::Boolean),
        ("HAS_PASSWORD", SqlType::Boolean),
        ("COMMENT", TEXT),
        ("DISABLED", SqlType::Boolean),
        ("DEFAULT_WAREHOUSE", TEXT),
        ("DEFAULT_NAMESPACE", TEXT),
        ("DEFAULT_ROLE", TEXT),
        ("HAS_RSA_PUBLIC_KEY", SqlType::Boolean),
        ("LAST_SUCCESS_LOGIN", INSTANT),
        ("OWNER", TEXT),
    ];
    let mut table = Table::new(source.context, "USERS", &columns);
    let account = source.context.shared.accounts.view().await?;
    for user in account.users.values() {
        let properties = &user.properties;
        table.push(vec![
            Cell::Number(user.id),
            Cell::from(user.name.as_str()),
            Cell::Instant(user.created_on),
            Cell::from(user.login_name.as_str()),
            Cell::from(properties.display_name.clone()),
            Cell::from(properties.first_name.clone()),
            Cell::from(properties.last_name.clone()),
            Cell::from(properties.email.clone()),
            Cell::from(user.must_change_password),
            Cell::from(user.password_hash.is_some()),
            Cell::from(user.comment.clone()),
            Cell::from(user.disabled),
            Cell::from(properties.default_warehouse.clone()),
            Cell::from(properties.default_namespace.clone()),
            Cell::from(properties.default_role.clone()),
            Cell::from(properties.rsa_public_key.is_some()),
            user.last_login_on.map_or(Cell::Null, Cell::Instant),
            Cell::from(account.owner(ObjectKind::User, user.id).map(str::to_string)),
        ])?;
    }
    Ok(table)
}

pub(super) async fn roles(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("ROLE_ID", NUMBER),
        ("CREATED_ON", INSTANT),
        ("NAME", TEXT),
        ("COMMENT", TEXT),
        ("OWNER", TEXT),
        ("ROLE_TYPE", TEXT),
    ];
    let mut table = Table::new(source.context, "ROLES", &columns);
    let account = source.context.shared.accounts.view().await?;
    for role in account.roles.values() {
        let (kind, word) = match role.is_of_database() {
            true => (ObjectKind::DatabaseRole, "DATABASE_ROLE"),
            false => (ObjectKind::Role, "ROLE"),
        };
        table.push(vec![
            Cell::Number(role.id),
            Cell::Instant(role.created_on),
            Cell::from(role.name.as_str()),
            Cell::from(role.comment.clone()),
            Cell::from(account.owner(kind, role.id).map(str::to_string)),
            Cell::from(word),
        ])?;
    }
    Ok(table)
}

pub(super) async fn grants_to_roles(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("CREATED_ON", INSTANT),
        ("PRIVILEGE", TEXT),
        ("GRANTED_ON", TEXT),
        ("NAME", TEXT),
        ("GRANTED_TO", TEXT),
        ("GRANTEE_NAME", TEXT),
        ("GRANT_OPTION", SqlType::Boolean),
        ("GRANTED_BY", TEXT),
    ];
    let mut table = Table::new(source.context, "GRANTS_TO_ROLES", &columns);
    let account = source.context.shared.accounts.view().await?;
    let names = show_grants::names(source.context, &source.view).await?;
    let name_of = |kind, id| names.get(&(kind, id)).cloned();
    let mut grants: Vec<_> = account.grants.values().flatten().collect();
    grants.sort_by_key(|grant| (grant.object_kind, grant.object_id, grant.privilege, &grant.role));
    for grant in grants {
        table.push(vec![
            Cell::Instant(grant.created_on),
            Cell::from(grant.privilege.as_str()),
            Cell::from(grant.object_kind.as_str()),
            Cell::from(name_of(grant.object_kind, grant.object_id)),
            Cell::from("ROLE"),
            Cell::from(grant.role.as_str()),
            Cell::from(grant.grant_option),
            Cell::from(grant.granted_by.clone()),
        ])?;
    }
    let mut owners: Vec<_> = account.owners.iter().collect();
    owners.sort();
    for ((kind, id), role) in owners {
        table.push(vec![
            Cell::Null,
            Cell::from(Privilege::Ownership.as_str()),
            Cell::from(kind.as_str()),
            Cell::from(name_of(*kind, *id)),
            Cell::from("ROLE"),
            Cell::from(role.as_str()),
            Cell::from(true),
            Cell::Null,
        ])?;
    }
    for grant in &account.role_grants {
        let Grantee::Role(grantee) = &grant.grantee else { continue };
        table.push(vec![
            Cell::Instant(grant.created_on),
            Cell::from(Privilege::Usage.as_str()),
            Cell::from(ObjectKind::Role.as_str()),
            Cell::from(grant.role.as_str()),
            Cell::from("ROLE"),
            Cell::from(grantee.as_str()),
            Cell::from(false),
            Cell::from(grant.granted_by.clone()),
        ])?;
    }
    Ok(table)
}

pub(super) async fn grants_to_users(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("CREATED_ON", INSTANT),
        ("ROLE", TEXT),
        ("GRANTED_TO", TEXT),
        ("GRANTEE_NAME", TEXT),
        ("GRANTED_BY", TEXT),
    ];
    let mut table = Table::new(source.context, "GRANTS_TO_USERS", &columns);
    let account = source.context.shared.accounts.view().await?;
    for grant in &account.role_grants {
        let Grantee::User(grantee) = &grant.grantee else { continue };
        table.push(vec![
            Cell::Instant(grant.created_on),
            Cell::from(grant.role.as_str()),
            Cell::from("USER"),
            Cell::from(grantee.as_str()),
            Cell::from(grant.granted_by.clone()),
        ])?;
    }
    Ok(table)
}
