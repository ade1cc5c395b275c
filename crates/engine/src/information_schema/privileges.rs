//! APPLICABLE_ROLES, ENABLED_ROLES, OBJECT_PRIVILEGES and TABLE_PRIVILEGES.

use frazil_catalog::account::{AccountView, FileFormat, Grantee, Model, Sequence, Stage};
use frazil_common::{ObjectKind, ObjectRef, Privilege, UserError};

use super::schema_objects::objects;
use super::{INSTANT, Rows, Scope, TEXT, yes_no};
use crate::statements::lookup::{Target, of_database, of_role, of_schema, of_table, of_view};
use crate::statements::outcome::Cell;

/// The roles granted to the user, directly or through others, by the grant that gives them.
pub(super) async fn applicable_roles(scope: &Scope<'_>) -> Result<Rows, UserError> {
    let mut rows = Rows::new(
        "APPLICABLE_ROLES",
        &[("GRANTEE", TEXT), ("ROLE_NAME", TEXT), ("ROLE_OWNER", TEXT), ("IS_GRANTABLE", TEXT)],
    );
    let context = scope.context;
    let account = context.shared.accounts.view().await?;
    let user = context.session.user.as_str();
    for grant in &account.role_grants {
        let (applies, grantee) = match &grant.grantee {
            Grantee::User(name) => (name == user, name),
            Grantee::Role(name) => (context.model.may_assume(user, name), name),
        };
        let Some(role) = account.roles.get(&grant.role).filter(|_| applies) else { continue };
        rows.push(vec![
            Cell::from(grantee.as_str()),
            Cell::from(grant.role.as_str()),
            scope.owner(&of_role(role.clone()).object),
            yes_no(false),
        ]);
    }
    Ok(rows)
}

/// The roles in force now.
pub(super) async fn enabled_roles(scope: &Scope<'_>) -> Result<Rows, UserError> {
    let mut rows = Rows::new("ENABLED_ROLES", &[("ROLE_NAME", TEXT), ("ROLE_OWNER", TEXT)]);
    let account = scope.context.shared.accounts.view().await?;
    for role in account.roles.values() {
        if scope.context.model.includes(&scope.context.roles, &role.name) {
            let owner = scope.owner(&of_role(role.clone()).object);
            rows.push(vec![Cell::from(role.name.as_str()), owner]);
        }
    }
    Ok(rows)
}

/// An object with the parts of its name.
struct Named {
    object: ObjectRef,
    schema: Option<String>,
    name: String,
}

async fn visible_objects(scope: &Scope<'_>) -> Result<Vec<Named>, UserError> {
    let mut all = vec![Named {
        object: of_database(scope.database.clone()).object,
        schema: None,
        name: scope.database.name.clone(),
    }];
    for schema in scope.schemas() {
        let found = of_schema(&scope.view, schema.clone());
        all.push(Named {
            object: found.object,
            schema: Some(schema.name.clone()),
            name: schema.name.clone(),
        });
        for table in scope.view.tables_in(&schema.database, &schema.name) {
            let found = of_table(&scope.view, table.clone());
            // Temporary tables have no grants.
            if found.object.id >= 0 && found.is_visible(scope.context) {
                all.push(Named {
                    object: found.object,
                    schema: Some(schema.name.clone()),
                    name: table.name.name.clone(),
                });
            }
        }
        for view in scope.view.views_in(&schema.database, &schema.name) {
            let found = of_view(&scope.view, view.clone());
            if found.is_visible(scope.context) {
                all.push(Named {
                    object: found.object,
                    schema: Some(schema.name.clone()),
                    name: view.name.name.clone(),
                });
            }
        }
    }
    let mut account_object = |kind: ObjectKind, id: i64, schema: &str, name: &str| {
        all.push(Named {
            object: ObjectRef { kind, id, name: name.to_string() },
            schema: Some(schema.to_string()),
            name: name.to_string(),
        });
    };
    for (schema, object) in objects::<Stage>(scope, Target::Stage).await? {
        account_object(ObjectKind::Stage, object.id, &schema.name, &object.name);
    }
    for (schema, object) in objects::<FileFormat>(scope, Target::FileFormat).await? {
        account_object(ObjectKind::FileFormat, object.id, &schema.name, &object.name);
    }
    for (schema, object) in objects::<Sequence>(scope, Target::Sequence).await? {
        account_object(ObjectKind::Sequence, object.id, &schema.name, &object.name);
    }
    for (schema, object) in objects::<Model>(scope, Target::Model).await? {
        account_object(ObjectKind::Model, object.id, &schema.name, &object.name);
    }
    Ok(all)
}

/// One privilege that one role holds on an object.
struct Held {
    grantor: Option<String>,
    grantee: String,
    privilege: Privilege,
    grantable: bool,
    created: Option<i64>,
}

/// Everything held on an object, ownership first.
fn held_on(scope: &Scope<'_>, account: &AccountView, object: &ObjectRef) -> Vec<Held> {
    let owner = scope.context.model.owner(object).unwrap_or_default().to_string();
    let mut all = vec![Held {
        grantor: Some(owner.clone()),
        grantee: owner,
        privilege: Privilege::Ownership,
        grantable: true,
        created: None,
    }];
    all.extend(account.grants_on(object.kind, object.id).iter().map(|grant| Held {
        grantor: grant.granted_by.clone(),
        grantee: grant.role.clone(),
        privilege: grant.privilege,
        grantable: grant.grant_option,
        created: Some(grant.created_on),
    }));
    all
}

pub(super) async fn object_privileges(scope: &Scope<'_>) -> Result<Rows, UserError> {
    let mut rows = Rows::new(
        "OBJECT_PRIVILEGES",
        &[
            ("GRANTOR", TEXT),
            ("GRANTEE", TEXT),
            ("OBJECT_CATALOG", TEXT),
            ("OBJECT_SCHEMA", TEXT),
            ("OBJECT_NAME", TEXT),
            ("OBJECT_TYPE", TEXT),
            ("PRIVILEGE_TYPE", TEXT),
            ("IS_GRANTABLE", TEXT),
            ("CREATED", INSTANT),
        ],
    );
    let account = scope.context.shared.accounts.view().await?;
    for named in visible_objects(scope).await? {
        for held in held_on(scope, &account, &named.object) {
            rows.push(vec![
                Cell::from(held.grantor),
                Cell::from(held.grantee),
                Cell::from(scope.database.name.as_str()),
                Cell::from(named.schema.clone()),
                Cell::from(named.name.as_str()),
                Cell::from(named.object.kind.as_str()),
                Cell::from(held.privilege.as_str()),
                yes_no(held.grantable),
                held.created.map_or(Cell::Null, Cell::Instant),
            ]);
        }
    }
    Ok(rows)
}

pub(super) async fn table_privileges(scope: &Scope<'_>) -> Result<Rows, UserError> {
    let mut rows = Rows::new(
        "TABLE_PRIVILEGES",
        &[
            ("GRANTOR", TEXT),
            ("GRANTEE", TEXT),
            ("TABLE_CATALOG", TEXT),
            ("TABLE_SCHEMA", TEXT),
            ("TABLE_NAME", TEXT),
            ("PRIVILEGE_TYPE", TEXT),
            ("IS_GRANTABLE", TEXT),
            ("WITH_HIERARCHY", TEXT),
            ("CREATED", INSTANT),
        ],
    );
    let account = scope.context.shared.accounts.view().await?;
    for named in visible_objects(scope).await? {
        if !matches!(named.object.kind, ObjectKind::Table | ObjectKind::View) {
            continue;
        }
        for held in held_on(scope, &account, &named.object) {
            rows.push(vec![
                Cell::from(held.grantor),
                Cell::from(held.grantee),
                Cell::from(scope.database.name.as_str()),
                Cell::from(named.schema.clone()),
                Cell::from(named.name.as_str()),
                Cell::from(held.privilege.as_str()),
                yes_no(held.grantable),
                yes_no(false),
                held.created.map_or(Cell::Null, Cell::Instant),
            ]);
        }
    }
    Ok(rows)
}
