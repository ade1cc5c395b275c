//! DATABASES, SCHEMATA and INFORMATION_SCHEMA_CATALOG_NAME.

use super::{INSTANT, NUMBER, Rows, Scope, TEXT, yes_no};
use crate::statements::lookup::{of_database, of_schema};
use crate::statements::outcome::Cell;

pub(super) fn catalog_name(scope: &Scope<'_>) -> Rows {
    let mut rows = Rows::new("INFORMATION_SCHEMA_CATALOG_NAME", &[("CATALOG_NAME", TEXT)]);
    rows.push(vec![Cell::from(scope.database.name.as_str())]);
    rows
}

/// All visible databases of the account, whichever database's view is asked.
pub(super) fn databases(scope: &Scope<'_>) -> Rows {
    let mut rows = Rows::new(
        "DATABASES",
        &[
            ("DATABASE_NAME", TEXT),
            ("DATABASE_OWNER", TEXT),
            ("IS_TRANSIENT", TEXT),
            ("COMMENT", TEXT),
            ("CREATED", INSTANT),
            ("LAST_ALTERED", INSTANT),
            ("RETENTION_TIME", NUMBER),
            ("TYPE", TEXT),
            ("REPLICABLE_WITH_FAILOVER_GROUPS", TEXT),
            ("OWNER_ROLE_TYPE", TEXT),
        ],
    );
    for database in scope.view.databases() {
        let found = of_database(database.clone());
        if !found.is_visible(scope.context) {
            continue;
        }
        rows.push(vec![
            Cell::from(database.name.as_str()),
            scope.owner(&found.object),
            yes_no(database.transient),
            Cell::from(database.comment.clone()),
            Cell::Instant(database.created_micros),
            Cell::Instant(database.created_micros),
            Cell::Number(scope.retention.database(database).into()),
            Cell::from("STANDARD"),
            Cell::from("UNSET"),
            Cell::from("ROLE"),
        ]);
    }
    rows
}

pub(super) fn schemata(scope: &Scope<'_>) -> Rows {
    let mut rows = Rows::new(
        "SCHEMATA",
        &[
            ("CATALOG_NAME", TEXT),
            ("SCHEMA_NAME", TEXT),
            ("SCHEMA_OWNER", TEXT),
            ("IS_TRANSIENT", TEXT),
            ("IS_MANAGED_ACCESS", TEXT),
            ("RETENTION_TIME", NUMBER),
            ("DEFAULT_CHARACTER_SET_CATALOG", TEXT),
            ("DEFAULT_CHARACTER_SET_SCHEMA", TEXT),
            ("DEFAULT_CHARACTER_SET_NAME", TEXT),
            ("SQL_PATH", TEXT),
            ("CREATED", INSTANT),
            ("LAST_ALTERED", INSTANT),
            ("COMMENT", TEXT),
            ("REPLICABLE_WITH_FAILOVER_GROUPS", TEXT),
            ("OWNER_ROLE_TYPE", TEXT),
        ],
    );
    let row = |name: &str,
               owner: Cell,
               transient: bool,
               days: u16,
               created: i64,
               comment: Cell,
               role: Cell| {
        vec![
            Cell::from(scope.database.name.as_str()),
            Cell::from(name),
            owner,
            yes_no(transient),
            yes_no(false),
            Cell::Number(days.into()),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Instant(created),
            Cell::Instant(created),
            comment,
            Cell::from("UNSET"),
            role,
        ]
    };
    for schema in scope.schemas() {
        let owner = scope.owner(&of_schema(&scope.view, schema.clone()).object);
        let comment = Cell::from(schema.comment.clone());
        rows.push(row(
            &schema.name,
            owner,
            schema.transient,
            scope.retention.schema(&scope.view, &schema),
            schema.created_micros,
            comment,
            Cell::from("ROLE"),
        ));
    }
    let comment = Cell::from("Views describing the contents of schemas in this database");
    let created = scope.database.created_micros;
    let days = scope.retention.database(&scope.database);
    rows.push(row("INFORMATION_SCHEMA", Cell::Null, false, days, created, comment, Cell::Null));
    rows
}
