//! SHOW DATABASES and SHOW SCHEMAS.

use std::sync::Arc;

use frazil_catalog::{CatalogView, DatabaseInfo, SchemaInfo};
use frazil_common::UserError;
use frazil_dialect::ShowScope;

use super::{Area, INSTANT, Lister, Listing, TEXT, TerseKind};
use crate::account_usage;
use crate::statements::lookup::{of_database, of_schema};
use crate::statements::outcome::Cell;
use crate::statements::retention::{longest_reach, reaches_back};

fn flag(value: bool) -> Cell {
    Cell::from(if value { "Y" } else { "N" })
}

pub(super) async fn databases(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let mut columns = vec![
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
    lister.with_history(&mut columns);
    let mut listing = Listing::new(columns, "name").terse(TerseKind::Null);
    let current = lister.context.state.database.as_deref();
    let mut push = |database: &Arc<DatabaseInfo>, dropped: Option<i64>| {
        let found = of_database(database.clone());
        if !found.is_visible(lister.context) {
            return;
        }
        let mut row = vec![
            Cell::Instant(database.created_micros),
            Cell::from(database.name.as_str()),
            flag(false),
            flag(dropped.is_none() && current == Some(database.name.as_str())),
            Cell::from(""),
            lister.owner(&found.object),
            Cell::from(database.comment.clone().unwrap_or_default()),
            Cell::from(if database.transient { "TRANSIENT" } else { "" }),
        ];
        row.extend(lister.lifetime(lister.retention.database(database), dropped));
        row.extend([Cell::from("STANDARD"), Cell::Null, Cell::from("ROLE")]);
        listing.rows.push(row);
    };
    for database in lister.view.databases() {
        push(database, None);
    }
    if lister.show.history {
        let now = lister.context.facts.now_micros;
        let catalog = &lister.context.shared.catalog;
        for gone in catalog.dropped_databases(longest_reach(now), |_| true).await? {
            let days = lister.retention.database(&gone.object);
            if gone.dropped_micros >= reaches_back(now, days) {
                push(&gone.object, Some(gone.dropped_micros));
            }
        }
    }
    Ok(listing)
}

pub(super) async fn schemas(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let mut columns = vec![
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
    lister.with_history(&mut columns);
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
    let now = lister.context.facts.now_micros;
    let mut gone = Vec::new();
    if lister.show.history {
        let catalog = &lister.context.shared.catalog;
        gone = catalog.dropped_schemas(longest_reach(now), |_| true).await?;
        gone.retain(|gone| {
            let days = lister.retention.schema(&gone.view, &gone.object);
            gone.dropped_micros >= reaches_back(now, days)
        });
    }
    for database in lister.view.databases() {
        let in_area = match &area {
            Area::Database(name) => database.name == *name,
            _ => true,
        };
        if !in_area || !of_database(database.clone()).is_visible(lister.context) {
            continue;
        }
        let mut rows = Vec::new();
        let mut push = |view: &CatalogView, schema: &Arc<SchemaInfo>, dropped: Option<i64>| {
            let found = of_schema(view, schema.clone());
            if !found.is_visible(lister.context) {
                return;
            }
            let current = dropped.is_none()
                && state.database.as_deref() == Some(&schema.database)
                && state.schema.as_deref() == Some(&schema.name);
            let managed = managed.contains(&schema.schema_id);
            let mut row = vec![
                Cell::Instant(schema.created_micros),
                Cell::from(schema.name.as_str()),
                flag(false),
                flag(current),
                Cell::from(database.name.as_str()),
                lister.owner(&found.object),
                Cell::from(schema.comment.clone().unwrap_or_default()),
                Cell::from(options(schema.transient, managed)),
            ];
            row.extend(lister.lifetime(lister.retention.schema(view, schema), dropped));
            row.extend([Cell::from("ROLE"), Cell::Null]);
            rows.push((schema.name.clone(), row));
        };
        for schema in lister.view.schemas_in(&database.name) {
            push(&lister.view, schema, None);
        }
        for gone in &gone {
            let parent = gone.view.database(&gone.object.database);
            if parent.map(|parent| parent.database_id) == Some(database.database_id) {
                push(&gone.view, &gone.object, Some(gone.dropped_micros));
            }
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
            ]
            .into_iter()
            .chain(lister.lifetime(lister.retention.database(database), None))
            .chain([Cell::from(""), Cell::Null])
            .collect(),
        ));
        rows.sort_by(|left, right| left.0.cmp(&right.0));
        listing.rows.extend(rows.into_iter().map(|(_, row)| row));
    }
    if matches!(area, Area::Database(_)) && lister.holds_account_usage(&area) {
        let current = state.schema.as_deref() == Some(account_usage::SCHEMA);
        let mut row = vec![
            Cell::Null,
            Cell::from(account_usage::SCHEMA),
            flag(false),
            flag(current && state.database.as_deref() == Some(account_usage::DATABASE)),
            Cell::from(account_usage::DATABASE),
            Cell::from(""),
            Cell::from(""),
            Cell::from(""),
        ];
        row.extend(lister.lifetime(0, None));
        row.extend([Cell::from(""), Cell::Null]);
        listing.rows.push(row);
    }
    Ok(listing)
}

fn options(transient: bool, managed: bool) -> String {
    let words = [(transient, "TRANSIENT"), (managed, "MANAGED ACCESS")];
    let said: Vec<&str> = words.iter().filter(|(said, _)| *said).map(|(_, word)| *word).collect();
    said.join(", ")
}
