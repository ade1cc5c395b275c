//! SHOW DATABASE ROLES.

use frazil_catalog::account::Grantee;
use frazil_common::UserError;

use super::{Area, INSTANT, Lister, Listing, TEXT};
use crate::statements::database_role::{database_of, found, short_name};
use crate::statements::outcome::{COUNT, Cell};

pub(super) async fn database_roles(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("is_default", TEXT),
        ("is_current", TEXT),
        ("is_inherited", TEXT),
        ("granted_to_roles", COUNT),
        ("granted_to_database_roles", COUNT),
        ("granted_database_roles", COUNT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("owner_role_type", TEXT),
    ];
    let mut listing = Listing::new(columns, "name");
    let context = lister.context;
    let account = context.shared.accounts.view().await?;
    let area = lister.area().await?;
    let in_area = |database: &str| match &area {
        Area::Account => true,
        Area::Database(name) | Area::Schema(name, _) => name == database,
        Area::Relation(relation) => relation.database == database,
    };
    for role in account.roles.values() {
        let (Some(database), Some(name)) = (database_of(role), short_name(role)) else { continue };
        let found = found(&lister.view, role.clone());
        let held = context.model.includes(&context.roles, &role.name);
        if !in_area(&database) || !(held || found.is_visible(context)) {
            continue;
        }
        let count = |matches: &dyn Fn(&str, &str) -> bool| {
            let number = account
                .role_grants
                .iter()
                .filter(|grant| match &grant.grantee {
                    Grantee::Role(grantee) => matches(&grant.role, grantee),
                    Grantee::User(_) => false,
                })
                .count();
            Cell::from(number as i64)
        };
        let own = role.name.as_str();
        listing.rows.push(vec![
            Cell::Instant(role.created_on),
            Cell::from(name),
            Cell::from("N"),
            Cell::from("N"),
            Cell::from(if held { "Y" } else { "N" }),
            count(&|role, grantee| role == own && !grantee.contains('.')),
            count(&|role, grantee| role == own && grantee.contains('.')),
            count(&|_, grantee| grantee == own),
            lister.owner(&found.object),
            Cell::from(role.comment.clone().unwrap_or_default()),
            Cell::from("ROLE"),
        ]);
    }
    Ok(listing)
}
