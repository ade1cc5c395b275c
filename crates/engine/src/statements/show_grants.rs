//! SHOW GRANTS and SHOW FUTURE GRANTS.

use std::collections::HashMap;

use frazil_catalog::CatalogView;
use frazil_catalog::account::{
    AccountView, Endpoint, FileFormat, FutureGrant, Grant, Grantee as RoleGrantee, MaskingPolicy,
    Model, Object, ObjectBody, ObjectFilter, ResourceMonitor, RowAccessPolicy, Sequence, Stage,
    Tag, Warehouse,
};
use frazil_common::{
    ObjectKind, ObjectName, Privilege, QualifiedName, SqlType, UserError, quote_identifier,
};
use frazil_dialect::{Grantee, GranteeKind, ObjectWord, ShowGrants};
use frazil_governance::{is_database_role, system};

use crate::account_usage;
use crate::resolve::objects::{schema_object, table_object, view_object};
use crate::statements::context::{StatementContext, Work};
use crate::statements::database_role;
use crate::statements::lookup::{account_object, expect, expect_scope, of_role, of_user, single};
use crate::statements::outcome::{Cell, Outcome};
use crate::statements::show::{INSTANT, TEXT};

/// The account as SHOW GRANTS calls it.
const ACCOUNT: &str = "FRAZIL";

const ON_OBJECTS: [(&str, SqlType); 8] = [
    ("created_on", INSTANT),
    ("privilege", TEXT),
    ("granted_on", TEXT),
    ("name", TEXT),
    ("granted_to", TEXT),
    ("grantee_name", TEXT),
    ("grant_option", TEXT),
    ("granted_by", TEXT),
];
const OF_ROLES: [(&str, SqlType); 5] = [
    ("created_on", INSTANT),
    ("role", TEXT),
    ("granted_to", TEXT),
    ("grantee_name", TEXT),
    ("granted_by", TEXT),
];
const FUTURE: [(&str, SqlType); 7] = [
    ("created_on", INSTANT),
    ("privilege", TEXT),
    ("grant_on", TEXT),
    ("name", TEXT),
    ("grant_to", TEXT),
    ("grantee_name", TEXT),
    ("grant_option", TEXT),
];

/// Full names of all objects privileges can be on.
type Names = HashMap<(ObjectKind, i64), String>;

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    show: &ShowGrants,
    limit: Option<u64>,
) -> Result<Outcome, UserError> {
    let view = work.lake()?.view().clone();
    let account = context.shared.accounts.view().await?;
    let own = |name: &str| {
        let user = RoleGrantee::User(name.to_string());
        roles_of(&account, &user)
    };
    let (columns, mut rows): (&[(&str, SqlType)], Vec<Vec<Cell>>) = match show {
        ShowGrants::Mine => (&OF_ROLES, own(&context.session.user)),
        ShowGrants::OnAccount => {
            let name = ACCOUNT.to_string();
            (&ON_OBJECTS, on_object(context, &account, &account_object(), &name))
        }
        ShowGrants::On { kind: ObjectWord::Database, name }
            if account_usage::is_shared(&name.name, &view)
                && account_usage::is_seen(&context.model, &context.roles) =>
        {
            let all = account.grants_on(ObjectKind::Account, 0).iter();
            let held = all.filter(|grant| grant.privilege == Privilege::ImportedPrivileges);
            (&ON_OBJECTS, held.map(imported).collect())
        }
        ShowGrants::On { kind, name } => {
            let found = expect(context, &view, *kind, name).await?;
            let name = found.object.name.clone();
            (&ON_OBJECTS, on_object(context, &account, &found.object, &name))
        }
        ShowGrants::To(grantee) => match grantee.kind {
            GranteeKind::User => {
                let name = single(&grantee.name)?;
                let user = account
                    .users
                    .get(&name)
                    .filter(|user| {
                        name == context.session.user || of_user((*user).clone()).is_visible(context)
                    })
                    .ok_or_else(|| UserError::not_found("User", quote_identifier(&name)))?;
                (&OF_ROLES, own(&user.name))
            }
            _ => {
                let role = role_name(context, &view, &account, grantee)?;
                let names = names(context, &view).await?;
                (&ON_OBJECTS, to_role(&account, &names, &role))
            }
        },
        ShowGrants::OfRole(_) | ShowGrants::OfDatabaseRole(_) => {
            let name = match show {
                ShowGrants::OfDatabaseRole(name) => {
                    database_role_name(context, &view, &account, name)?
                }
                ShowGrants::OfRole(name) => {
                    let name = single(name)?;
                    check_role(context, &account, &name)?;
                    name
                }
                _ => return Err(UserError::internal("SHOW GRANTS of neither role")),
            };
            let rows = account
                .role_grants
                .iter()
                .filter(|grant| grant.role == name)
                .map(|grant| {
                    let (kind, grantee) = match &grant.grantee {
                        RoleGrantee::Role(name) => (role_kind(name), name),
                        RoleGrantee::User(name) => ("USER", name),
                    };
                    vec![
                        Cell::Instant(grant.created_on),
                        Cell::from(name.as_str()),
                        Cell::from(kind),
                        Cell::from(grantee.as_str()),
                        Cell::from(grant.granted_by.clone().unwrap_or_default()),
                    ]
                })
                .collect();
            (&OF_ROLES, rows)
        }
        ShowGrants::FutureIn(scope) => {
            let container = expect_scope(context, &view, scope).await?;
            let target = (container.object.kind, container.object.id);
            let grants = account.future_grants.iter().filter(|grant| grant.container == target);
            let name = container.object.name;
            (&FUTURE, grants.map(|grant| future_row(grant, &name)).collect())
        }
        ShowGrants::FutureTo(grantee) => {
            let role = role_name(context, &view, &account, grantee)?;
            let names = names(context, &view).await?;
            let rows = account
                .future_grants
                .iter()
                .filter(|grant| grant.role == role)
                .filter_map(|grant| Some(future_row(grant, names.get(&grant.container)?)))
                .collect();
            (&FUTURE, rows)
        }
    };
    let most = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    rows.truncate(if context.describe_only { 0 } else { most });
    Outcome::table(columns, rows)
}

fn role_name(
    context: &StatementContext,
    view: &CatalogView,
    account: &AccountView,
    grantee: &Grantee,
) -> Result<String, UserError> {
    match grantee.kind {
        GranteeKind::Role => {
            let name = single(&grantee.name)?;
            check_role(context, account, &name)?;
            Ok(name)
        }
        GranteeKind::DatabaseRole => database_role_name(context, view, account, &grantee.name),
        GranteeKind::Share => Err(UserError::unsupported("shares")),
        GranteeKind::User => Err(UserError::unsupported("future grants to a user")),
    }
}

/// A database role that the roles hold or may know of, by its full name.
fn database_role_name(
    context: &StatementContext,
    view: &CatalogView,
    account: &AccountView,
    name: &ObjectName,
) -> Result<String, UserError> {
    let full = database_role::full_name(context, name)?;
    let visible = account.roles.get(&full).is_some_and(|role| {
        context.model.includes(&context.roles, &full)
            || database_role::found(view, role.clone()).is_visible(context)
    });
    if visible { Ok(full) } else { Err(UserError::not_found("Database role", full)) }
}

/// What a grantee is.
fn role_kind(name: &str) -> &'static str {
    if is_database_role(name) { "DATABASE_ROLE" } else { "ROLE" }
}

/// A role's grants are seen by those who hold the role or may know of it.
fn check_role(
    context: &StatementContext,
    account: &AccountView,
    name: &str,
) -> Result<(), UserError> {
    let visible = account.roles.get(name).is_some_and(|role| {
        context.model.may_assume(&context.session.user, name)
            || of_role(role.clone()).is_visible(context)
    });
    if visible { Ok(()) } else { Err(UserError::not_found("Role", quote_identifier(name))) }
}

fn word(value: bool) -> Cell {
    Cell::from(if value { "true" } else { "false" })
}

fn granted_on(kind: ObjectKind) -> String {
    kind.as_str().replace(' ', "_")
}

fn roles_of(account: &AccountView, grantee: &RoleGrantee) -> Vec<Vec<Cell>> {
    let RoleGrantee::User(name) = grantee else { return Vec::new() };
    account
        .role_grants
        .iter()
        .filter(|grant| grant.grantee == *grantee)
        .map(|grant| {
            vec![
                Cell::Instant(grant.created_on),
                Cell::from(grant.role.as_str()),
                Cell::from("USER"),
                Cell::from(name.as_str()),
                Cell::from(grant.granted_by.clone().unwrap_or_default()),
            ]
        })
        .collect()
}

fn on_object(
    context: &StatementContext,
    account: &AccountView,
    object: &frazil_common::ObjectRef,
    name: &str,
) -> Vec<Vec<Cell>> {
    let on = granted_on(object.kind);
    let owner = context.model.owner(object).unwrap_or(system::ACCOUNTADMIN);
    let mut rows: Vec<Vec<Cell>> = account
        .grants_on(object.kind, object.id)
        .iter()
        .filter(|grant| grant.privilege != Privilege::ImportedPrivileges)
        .map(|grant| {
            vec![
                Cell::Instant(grant.created_on),
                Cell::from(grant.privilege.as_str()),
                Cell::from(on.as_str()),
                Cell::from(name),
                Cell::from(role_kind(&grant.role)),
                Cell::from(grant.role.as_str()),
                word(grant.grant_option),
                Cell::from(grant.granted_by.clone().unwrap_or_default()),
            ]
        })
        .collect();
    if matches!(object.kind, ObjectKind::Role | ObjectKind::DatabaseRole) {
        // Holding a role shows as USAGE on it.
        let held = account.role_grants.iter().filter(|grant| {
            let shown = if is_database_role(&grant.role) {
                grant.role.clone()
            } else {
                quote_identifier(&grant.role)
            };
            shown == object.name
        });
        rows.extend(held.map(|grant| {
            let (kind, grantee) = match &grant.grantee {
                RoleGrantee::Role(name) => (role_kind(name), name),
                RoleGrantee::User(name) => ("USER", name),
            };
            vec![
                Cell::Instant(grant.created_on),
                Cell::from(Privilege::Usage.as_str()),
                Cell::from(on.as_str()),
                Cell::from(name),
                Cell::from(kind),
                Cell::from(grantee.as_str()),
                word(false),
                Cell::from(grant.granted_by.clone().unwrap_or_default()),
            ]
        }));
    }
    if object.kind != ObjectKind::Account {
        let since = account.owned_since.get(&(object.kind, object.id)).copied();
        rows.push(vec![
            since.map_or(Cell::Null, Cell::Instant),
            Cell::from(Privilege::Ownership.as_str()),
            Cell::from(on.as_str()),
            Cell::from(name),
            Cell::from("ROLE"),
            Cell::from(owner),
            word(true),
            Cell::from(owner),
        ]);
    }
    rows
}

/// IMPORTED PRIVILEGES are told as what they give, as in Snowflake.
fn imported(grant: &Grant) -> Vec<Cell> {
    vec![
        Cell::Instant(grant.created_on),
        Cell::from(Privilege::Usage.as_str()),
        Cell::from(ObjectKind::Database.as_str()),
        Cell::from(account_usage::DATABASE),
        Cell::from(role_kind(&grant.role)),
        Cell::from(grant.role.as_str()),
        word(grant.grant_option),
        Cell::from(grant.granted_by.clone().unwrap_or_default()),
    ]
}

fn to_role(account: &AccountView, names: &Names, role: &str) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for grant in account.grants_to(role) {
        if grant.privilege == Privilege::ImportedPrivileges {
            rows.push(imported(grant));
            continue;
        }
        // The object of a grant may be gone.
        let Some(name) = names.get(&(grant.object_kind, grant.object_id)) else { continue };
        rows.push(vec![
            Cell::Instant(grant.created_on),
            Cell::from(grant.privilege.as_str()),
            Cell::from(granted_on(grant.object_kind)),
            Cell::from(name.as_str()),
            Cell::from(role_kind(role)),
            Cell::from(role),
            word(grant.grant_option),
            Cell::from(grant.granted_by.clone().unwrap_or_default()),
        ]);
    }
    for grant in &account.role_grants {
        if grant.grantee == RoleGrantee::Role(role.to_string()) {
            rows.push(vec![
                Cell::Instant(grant.created_on),
                Cell::from(Privilege::Usage.as_str()),
                Cell::from(role_kind(&grant.role)),
                Cell::from(grant.role.as_str()),
                Cell::from(role_kind(role)),
                Cell::from(role),
                word(false),
                Cell::from(grant.granted_by.clone().unwrap_or_default()),
            ]);
        }
    }
    let mut owned: Vec<_> = account
        .owners
        .iter()
        .filter(|(object, owner)| owner.as_str() == role && object.0 != ObjectKind::Account)
        .filter_map(|(object, _)| Some((object.0, names.get(object)?, object)))
        .collect();
    owned.sort();
    for (kind, name, object) in owned {
        let since = account.owned_since.get(object).copied();
        rows.push(vec![
            since.map_or(Cell::Null, Cell::Instant),
            Cell::from(Privilege::Ownership.as_str()),
            Cell::from(granted_on(kind)),
            Cell::from(name.as_str()),
            Cell::from("ROLE"),
            Cell::from(role),
            word(true),
            Cell::from(role),
        ]);
    }
    rows
}

fn future_row(grant: &FutureGrant, container: &str) -> Vec<Cell> {
    let on = granted_on(grant.object_kind);
    vec![
        Cell::Instant(grant.created_on),
        Cell::from(grant.privilege.as_str()),
        Cell::from(on.as_str()),
        Cell::from(format!("{container}.<{on}>")),
        Cell::from(role_kind(&grant.role)),
        Cell::from(grant.role.as_str()),
        word(grant.grant_option),
    ]
}

pub(crate) async fn names(
    context: &StatementContext,
    view: &CatalogView,
) -> Result<Names, UserError> {
    let account = context.shared.accounts.view().await?;
    let mut names = Names::new();
    names.insert((ObjectKind::Account, 0), ACCOUNT.to_string());
    for database in view.databases() {
        let name = quote_identifier(&database.name);
        names.insert((ObjectKind::Database, database.database_id), name);
    }
    for schema in view.schemas() {
        names.insert((ObjectKind::Schema, schema.schema_id), schema_object(schema).name);
    }
    for table in view.tables() {
        names.insert((ObjectKind::Table, table.table_id), table_object(table).name);
    }
    for found in view.views() {
        names.insert((ObjectKind::View, found.view_id), view_object(found).name);
    }
    for role in account.roles.values() {
        if role.is_of_database() {
            names.insert((ObjectKind::DatabaseRole, role.id), role.name.clone());
        } else {
            names.insert((ObjectKind::Role, role.id), quote_identifier(&role.name));
        }
    }
    for user in account.users.values() {
        names.insert((ObjectKind::User, user.id), quote_identifier(&user.name));
    }
    add::<Stage>(context, view, &mut names).await?;
    add::<FileFormat>(context, view, &mut names).await?;
    add::<Sequence>(context, view, &mut names).await?;
    add::<Model>(context, view, &mut names).await?;
    add::<Warehouse>(context, view, &mut names).await?;
    add::<ResourceMonitor>(context, view, &mut names).await?;
    add::<MaskingPolicy>(context, view, &mut names).await?;
    add::<RowAccessPolicy>(context, view, &mut names).await?;
    add::<Tag>(context, view, &mut names).await?;
    add::<Endpoint>(context, view, &mut names).await?;
    Ok(names)
}

async fn add<B: ObjectBody>(
    context: &StatementContext,
    view: &CatalogView,
    names: &mut Names,
) -> Result<(), UserError> {
    let objects: Vec<Object<B>> = context.shared.accounts.objects(ObjectFilter::default()).await?;
    for object in objects {
        let schema = view.schemas().find(|schema| schema.schema_id == object.place.schema_id);
        let name = match schema {
            Some(schema) => {
                QualifiedName::new(&schema.database, &schema.name, &object.name).to_string()
            }
            None => quote_identifier(&object.name),
        };
        names.insert((B::KIND, object.id), name);
    }
    Ok(())
}
