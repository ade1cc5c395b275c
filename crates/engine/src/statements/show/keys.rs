//! SHOW PRIMARY KEYS, UNIQUE KEYS, IMPORTED KEYS and EXPORTED KEYS.

use std::sync::Arc;

use frazil_catalog::{ConstraintInfo, ConstraintKind, TableInfo};
use frazil_common::UserError;

use super::relations::visible_tables;
use super::{Area, INSTANT, Lister, Listing, TEXT};
use crate::statements::constraints::{Reference, column_names, references};
use crate::statements::outcome::{COUNT, Cell};

/// Primary or unique keys, a row for each column.
pub(super) async fn keys(lister: &Lister<'_>, kind: &ConstraintKind) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("table_name", TEXT),
        ("column_name", TEXT),
        ("key_sequence", COUNT),
        ("constraint_name", TEXT),
        ("rely", TEXT),
        ("comment", TEXT),
    ];
    let mut listing = Listing::new(columns, "table_name");
    for table in visible_tables(lister, &lister.area().await?) {
        for key in table.constraints.iter().filter(|key| key.kind == *kind) {
            for (index, column) in column_names(&table, &key.columns).into_iter().enumerate() {
                listing.rows.push(vec![
                    Cell::Instant(key.created_micros),
                    Cell::from(table.name.database.as_str()),
                    Cell::from(table.name.schema.as_str()),
                    Cell::from(table.name.name.as_str()),
                    Cell::from(column),
                    sequence(index),
                    Cell::from(key.name.as_str()),
                    Cell::from("false"),
                    Cell::from(key.comment.clone()),
                ]);
            }
        }
    }
    Ok(listing)
}

fn sequence(index: usize) -> Cell {
    Cell::Number(i64::try_from(index + 1).unwrap_or(i64::MAX))
}

/// Foreign keys, a row for each column: those of the tables looked at, or those that refer to them.
pub(super) async fn foreign_keys(
    lister: &Lister<'_>,
    exported: bool,
) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("pk_database_name", TEXT),
        ("pk_schema_name", TEXT),
        ("pk_table_name", TEXT),
        ("pk_column_name", TEXT),
        ("fk_database_name", TEXT),
        ("fk_schema_name", TEXT),
        ("fk_table_name", TEXT),
        ("fk_column_name", TEXT),
        ("key_sequence", COUNT),
        ("update_rule", TEXT),
        ("delete_rule", TEXT),
        ("fk_name", TEXT),
        ("pk_name", TEXT),
        ("deferrability", TEXT),
        ("rely", TEXT),
        ("comment", TEXT),
    ];
    let mut listing = Listing::new(columns, "fk_table_name");
    let area = lister.area().await?;
    // Both sides must be visible.
    let visible = visible_tables(lister, &Area::Account);
    let shows = |table: &TableInfo| visible.iter().any(|other| other.table_id == table.table_id);
    for table in &visible {
        for reference in references(&lister.view, table) {
            let looked_at = if exported { &reference.table.name } else { &table.name };
            if area.holds(looked_at) && shows(&reference.table) {
                listing.rows.extend(rows(table, &reference));
            }
        }
    }
    Ok(listing)
}

fn rows(table: &Arc<TableInfo>, reference: &Reference<'_>) -> Vec<Vec<Cell>> {
    let Reference { own, table: other, key, columns } = reference;
    let own: &ConstraintInfo = own;
    columns
        .iter()
        .enumerate()
        .map(|(index, (from, to))| {
            vec![
                Cell::Instant(own.created_micros),
                Cell::from(other.name.database.as_str()),
                Cell::from(other.name.schema.as_str()),
                Cell::from(other.name.name.as_str()),
                Cell::from(to.as_str()),
                Cell::from(table.name.database.as_str()),
                Cell::from(table.name.schema.as_str()),
                Cell::from(table.name.name.as_str()),
                Cell::from(from.as_str()),
                sequence(index),
                Cell::from("NO ACTION"),
                Cell::from("NO ACTION"),
                Cell::from(own.name.as_str()),
                Cell::from(key.name.as_str()),
                Cell::from("NOT DEFERRABLE"),
                Cell::from("false"),
                Cell::from(own.comment.clone()),
            ]
        })
        .collect()
}
