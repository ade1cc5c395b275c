//! SHOW DATABASES and SHOW SCHEMAS.

use frazil_common::UserError;
use frazil_dialect::ShowScope;

use super::{Area, INSTANT, Lister, Listing, TEXT, TerseKind};
use crate::statements::lookup::{of_database, of_schema};
use crate::statements::outcome::Cell;

fn flag(value: bool) -> Cell {
    Cell::from(if value { "Y" } else { "N" })
}

/// Days of time travel, as SHOW gives them: snapshots are kept until they are expired by hand.
pub(super) const RETENTION_DAYS: &str = "1";

pub(super) fn databases(lister: &Lister<'_>) -> Listing {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("is_default", TEXT),
        ("is_current", TEXT),
        ("origin", TEXT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("options", TEXT),
        ("retention_time", TEXT),
        ("kind", TEXT),
        ("budget", TEXT),
        ("owner_role_type", TEXT),
    ];
    let mut listing = Listing::new(columns, "name").terse(TerseKind::Null);
    let current = lister.context.state.database.as_deref();
    for database in lister.view.databases() {
        let found = of_database(database.clone());
        if !found.is_visible(lister.context) {
            continue;
        }
        listing.rows.push(vec![
            Cell::Instant(database.created_micros),
            Cell::from(database.name.as_str()),
            flag(false),
            flag(current == Some(database.name.as_str())),
            Cell::from(""),
            lister.owner(&found.object),
            Cell::from(database.comment.clone().unwrap_or_default()),
            Cell::from(if database.transient { "TRANSIENT" } else { "" }),
            Cell::from(RETENTION_DAYS),
            Cell::from("STANDARD"),
            Cell::Null,
            Cell::from("ROLE"),
        ]);
    }
    listing
}

pub(super) async fn schemas(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("is_default", TEXT),
        ("is_current", TEXT),
        ("database_name", TEXT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("options", TEXT),
        ("retention_time", TEXT),
        ("owner_role_type", TEXT),
        ("budget", TEXT),
    ];
    let mut listing = Listing::new(columns, "name").terse(TerseKind::Null);
    let state = &lister.context.state;
    // Without IN it is the current database's schemas, not those of the current schema.
    let area = match (&lister.show.scope, &state.database) {
        (None, Some(database)) => Area::Database(database.clone()),
        (None, None) => Area::Account,
        (Some(ShowScope::Schema(_)), _) => {
            return Err(UserError::syntax("SHOW SCHEMAS IN names a database or the account."));
        }
        _ => lister.area().await?,
    };
    let managed = lister.context.shared.accounts.view().await?.managed_schemas.clone();
    for database in lister.view.databases() {
        let in_area = match &area {
            Area::Database(name) => database.name == *name,
            _ => true,
        };
        if !in_area || !of_database(database.clone()).is_visible(lister.context) {
            continue;
        }
        let mut rows = Vec::new();
        for schema in lister.view.schemas_in(&database.name) {
            let found = of_schema(&lister.view, schema.clone());
            if !found.is_visible(lister.context) {
                continue;
            }
            let current = state.database.as_deref() == Some(&schema.database)
                && state.schema.as_deref() == Some(&schema.name);
            rows.push((
                schema.name.clone(),
                vec![
                    Cell::Instant(schema.created_micros),
                    Cell::from(schema.name.as_str()),
                    flag(false),
                    flag(current),
                    Cell::from(schema.database.as_str()),
                    lister.owner(&found.object),
                    Cell::from(schema.comment.clone().unwrap_or_default()),
                    Cell::from(options(schema.transient, managed.contains(&schema.schema_id))),
                    Cell::from(RETENTION_DAYS),
                    Cell::from("ROLE"),
                    Cell::Null,
                ],
            ));
        }
        rows.push((
            "INFORMATION_SCHEMA".to_string(),
            vec![
                Cell::Instant(database.created_micros),
                Cell::from("INFORMATION_SCHEMA"),
                flag(false),
                flag(false),
                Cell::from(database.name.as_str()),
                Cell::from(""),
                Cell::from("Views describing the contents of schemas in this database"),
                Cell::from(""),
                Cell::from(RETENTION_DAYS),
                Cell::from(""),
                Cell::Null,
            ],
        ));
        rows.sort_by(|left, right| left.0.cmp(&right.0));
        listing.rows.extend(rows.into_iter().map(|(_, row)| row));
    }
    Ok(listing)
}

fn options(transient: bool, managed: bool) -> String {
    let words = [(transient, "TRANSIENT"), (managed, "MANAGED ACCESS")];
    let said: Vec<&str> = words.iter().filter(|(said, _)| *said).map(|(_, word)| *word).collect();
    said.join(", ")
}
