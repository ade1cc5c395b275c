//! Users, roles and grants, those that are gone too.

use frazil_catalog::account::{EndedUser, Grantee, Role, User};
use frazil_common::{ObjectKind, Privilege, SqlType, UserError};
use frazil_governance::is_database_role;

use super::names::{Named, Names};
use super::{INSTANT, NUMBER, Source, TEXT, Table};
use crate::statements::outcome::Cell;

fn instant(time: Option<i64>) -> Cell {
    time.map_or(Cell::Null, Cell::Instant)
}

pub(super) async fn users(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("USER_ID", NUMBER),
        ("NAME", TEXT),
        ("CREATED_ON", INSTANT),
        ("DELETED_ON", INSTANT),
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
        ("LAST_SUCCESS_LOGIN", INSTANT),
        ("EXPIRES_AT", INSTANT),
        ("LOCKED_UNTIL_TIME", INSTANT),
        ("HAS_RSA_PUBLIC_KEY", SqlType::Boolean),
        ("OWNER", TEXT),
        ("DEFAULT_SECONDARY_ROLE", TEXT),
        ("TYPE", TEXT),
    ];
    let mut table = Table::new(source.context, "USERS", &columns);
    let accounts = &source.context.shared.accounts;
    let account = accounts.view().await?;
    for user in account.users.values() {
        let failures = accounts.login_failures(&user.login_name).await?;
        let locked = failures.is_locked(source.context.facts.now_micros);
        let until = failures.locked_until.filter(|_| locked);
        let owner = account.owner(ObjectKind::User, user.id).map(str::to_string);
        table.push(user_row(user, user.password_hash.is_some(), owner, until, None))?;
    }
    for EndedUser { user, has_password, owner, ended_on } in accounts.ended_users().await? {
        table.push(user_row(&user, has_password, owner, None, Some(ended_on)))?;
    }
    Ok(table)
}

fn user_row(
    user: &User,
    has_password: bool,
    owner: Option<String>,
    locked_until: Option<i64>,
    deleted: Option<i64>,
) -> Vec<Cell> {
    let properties = &user.properties;
    vec![
        Cell::Number(user.id),
        Cell::from(user.name.as_str()),
        Cell::Instant(user.created_on),
        instant(deleted),
        Cell::from(user.login_name.as_str()),
        Cell::from(properties.display_name.clone()),
        Cell::from(properties.first_name.clone()),
        Cell::from(properties.last_name.clone()),
        Cell::from(properties.email.clone()),
        Cell::from(user.must_change_password),
        Cell::from(has_password),
        Cell::from(user.comment.clone()),
        Cell::from(user.disabled),
        Cell::from(properties.default_warehouse.clone()),
        Cell::from(properties.default_namespace.clone()),
        Cell::from(properties.default_role.clone()),
        instant(user.last_login_on),
        instant(properties.expires_on),
        instant(locked_until),
        Cell::from(properties.rsa_public_key.is_some()),
        Cell::from(owner),
        Cell::from(if properties.default_secondary_roles_all { "ALL" } else { "" }),
        Cell::from(properties.type_word()),
    ]
}

pub(super) async fn roles(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("ROLE_ID", NUMBER),
        ("CREATED_ON", INSTANT),
        ("DELETED_ON", INSTANT),
        ("NAME", TEXT),
        ("COMMENT", TEXT),
        ("OWNER", TEXT),
        ("ROLE_TYPE", TEXT),
        ("OWNER_ROLE_TYPE", TEXT),
    ];
    let mut table = Table::new(source.context, "ROLES", &columns);
    let accounts = &source.context.shared.accounts;
    let account = accounts.view().await?;
    let row = |role: &Role, owner: Option<String>, deleted: Option<i64>| {
        vec![
            Cell::Number(role.id),
            Cell::Instant(role.created_on),
            instant(deleted),
            Cell::from(role.name.as_str()),
            Cell::from(role.comment.clone()),
            Cell::from(owner.clone()),
            Cell::from(role_word(&role.name)),
            Cell::from(owner.map(|_| "ROLE")),
        ]
    };
    for role in account.roles.values() {
        let kind = match role.is_of_database() {
            true => ObjectKind::DatabaseRole,
            false => ObjectKind::Role,
        };
        table.push(row(role, account.owner(kind, role.id).map(str::to_string), None))?;
    }
    for gone in accounts.ended_roles().await? {
        table.push(row(&gone.role, gone.owner, Some(gone.ended_on)))?;
    }
    Ok(table)
}

/// What a role is.
fn role_word(name: &str) -> &'static str {
    if is_database_role(name) { "DATABASE_ROLE" } else { "ROLE" }
}

/// A row of GRANTS_TO_ROLES.
struct Granted {
    created: Option<i64>,
    privilege: Privilege,
    on: ObjectKind,
    object: Option<Named>,
    role: String,
    grant_option: bool,
    by: Option<String>,
    deleted: Option<i64>,
}

impl Granted {
    fn cells(mut self) -> Vec<Cell> {
        if self.privilege == Privilege::ImportedPrivileges {
            // Told as what they give, as in Snowflake.
            self.privilege = Privilege::Usage;
            self.on = ObjectKind::Database;
            self.object = Some(Named { name: super::DATABASE.to_string(), ..Named::default() });
        }
        let Named { database, schema, name, .. } = self.object.clone().unwrap_or_default();
        let kind = self.on.as_str().replace(' ', "_");
        vec![
            instant(self.created),
            instant(self.deleted.or(self.created)),
            Cell::from(self.privilege.as_str()),
            Cell::from(kind),
            Cell::from(self.object.map(|_| name)),
            Cell::from(database),
            Cell::from(schema),
            Cell::from(role_word(&self.role)),
            Cell::from(self.role),
            Cell::from(self.grant_option),
            Cell::from(self.by.clone()),
            instant(self.deleted),
            Cell::from(self.by.as_deref().map(role_word)),
        ]
    }
}

pub(super) async fn grants_to_roles(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("CREATED_ON", INSTANT),
        ("MODIFIED_ON", INSTANT),
        ("PRIVILEGE", TEXT),
        ("GRANTED_ON", TEXT),
        ("NAME", TEXT),
        ("TABLE_CATALOG", TEXT),
        ("TABLE_SCHEMA", TEXT),
        ("GRANTED_TO", TEXT),
        ("GRANTEE_NAME", TEXT),
        ("GRANT_OPTION", SqlType::Boolean),
        ("GRANTED_BY", TEXT),
        ("DELETED_ON", INSTANT),
        ("GRANTED_BY_ROLE_TYPE", TEXT),
    ];
    let mut table = Table::new(source.context, "GRANTS_TO_ROLES", &columns);
    let accounts = &source.context.shared.accounts;
    let account = accounts.view().await?;
    let names = Names::load(source).await?;
    let gone = source.gone_names().await?;
    // The object, and when it was dropped.
    let found = |target| match (names.get(target), gone.get(&target)) {
        (Some(named), _) => (Some(named.clone()), None),
        (None, Some((named, dropped))) => (Some(named.clone()), Some(*dropped)),
        (None, None) => (None, None),
    };
    let mut grants: Vec<_> = account.grants.values().flatten().collect();
    grants.sort_by_key(|grant| (grant.object_kind, grant.object_id, grant.privilege, &grant.role));
    for grant in grants {
        let (object, deleted) = found((grant.object_kind, grant.object_id));
        let row = Granted {
            created: Some(grant.created_on),
            privilege: grant.privilege,
            on: grant.object_kind,
            object,
            role: grant.role.clone(),
            grant_option: grant.grant_option,
            by: grant.granted_by.clone(),
            deleted,
        };
        table.push(row.cells())?;
    }
    let mut owners: Vec<_> = account.owners.iter().collect();
    owners.sort();
    for (target, role) in owners {
        let (object, deleted) = found(*target);
        let row = Granted {
            created: account.owned_since.get(target).copied(),
            privilege: Privilege::Ownership,
            on: target.0,
            object,
            role: role.clone(),
            grant_option: true,
            by: None,
            deleted,
        };
        table.push(row.cells())?;
    }
    let of_role = |role: &str, grantee: &str, by: Option<String>, created, deleted| Granted {
        created: Some(created),
        privilege: Privilege::Usage,
        on: match is_database_role(role) {
            true => ObjectKind::DatabaseRole,
            false => ObjectKind::Role,
        },
        object: Some(Named { name: role.to_string(), ..Named::default() }),
        role: grantee.to_string(),
        grant_option: false,
        by,
        deleted,
    };
    for grant in &account.role_grants {
        let Grantee::Role(grantee) = &grant.grantee else { continue };
        let by = grant.granted_by.clone();
        table.push(of_role(&grant.role, grantee, by, grant.created_on, None).cells())?;
    }
    for grant in accounts.ended_grants().await? {
        let own = grant.object_name.map(|name| Named { name, ..Named::default() });
        let row = Granted {
            created: Some(grant.created_on),
            privilege: grant.privilege,
            on: grant.object.0,
            object: found(grant.object).0.or(own),
            role: grant.role,
            grant_option: grant.grant_option,
            by: grant.granted_by,
            deleted: Some(grant.ended_on),
        };
        table.push(row.cells())?;
    }
    for grant in accounts.ended_role_grants().await? {
        let Grantee::Role(grantee) = &grant.grantee else { continue };
        let ended = Some(grant.ended_on);
        let row = of_role(&grant.role, grantee, grant.granted_by, grant.created_on, ended);
        table.push(row.cells())?;
    }
    Ok(table)
}

pub(super) async fn grants_to_users(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("CREATED_ON", INSTANT),
        ("DELETED_ON", INSTANT),
        ("ROLE", TEXT),
        ("GRANTED_TO", TEXT),
        ("GRANTEE_NAME", TEXT),
        ("GRANTED_BY", TEXT),
    ];
    let mut table = Table::new(source.context, "GRANTS_TO_USERS", &columns);
    let accounts = &source.context.shared.accounts;
    let account = accounts.view().await?;
    let mut push = |role: &str, grantee: &Grantee, by: &Option<String>, created, deleted| {
        let Grantee::User(grantee) = grantee else { return Ok(()) };
        table.push(vec![
            Cell::Instant(created),
            instant(deleted),
            Cell::from(role),
            Cell::from("USER"),
            Cell::from(grantee.as_str()),
            Cell::from(by.clone()),
        ])
    };
    for grant in &account.role_grants {
        push(&grant.role, &grant.grantee, &grant.granted_by, grant.created_on, None)?;
    }
    for grant in accounts.ended_role_grants().await? {
        let ended = Some(grant.ended_on);
        push(&grant.role, &grant.grantee, &grant.granted_by, grant.created_on, ended)?;
    }
    Ok(table)
}
