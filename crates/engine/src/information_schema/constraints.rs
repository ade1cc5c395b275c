//! TABLE_CONSTRAINTS and REFERENTIAL_CONSTRAINTS.

use std::sync::Arc;

use frazil_catalog::ConstraintKind;

use super::relations::visible_tables;
use super::{INSTANT, Rows, Scope, TEXT, yes_no};
use crate::statements::constraints::references;
use crate::statements::lookup::of_table;
use crate::statements::outcome::Cell;

pub(super) fn table_constraints(scope: &Scope<'_>) -> Rows {
    let mut rows = Rows::new(
        "TABLE_CONSTRAINTS",
        &[
            ("CONSTRAINT_CATALOG", TEXT),
            ("CONSTRAINT_SCHEMA", TEXT),
            ("CONSTRAINT_NAME", TEXT),
            ("TABLE_CATALOG", TEXT),
            ("TABLE_SCHEMA", TEXT),
            ("TABLE_NAME", TEXT),
            ("CONSTRAINT_TYPE", TEXT),
            ("IS_DEFERRABLE", TEXT),
            ("INITIALLY_DEFERRED", TEXT),
            ("ENFORCED", TEXT),
            ("COMMENT", TEXT),
            ("CREATED", INSTANT),
            ("LAST_ALTERED", INSTANT),
            ("RELY", TEXT),
        ],
    );
    for table in visible_tables(scope) {
        let whole = references(&scope.view, &table);
        for constraint in &table.constraints {
            let kind = match &constraint.kind {
                ConstraintKind::PrimaryKey => "PRIMARY KEY",
                ConstraintKind::Unique => "UNIQUE",
                ConstraintKind::ForeignKey { .. } => "FOREIGN KEY",
            };
            let there = whole.iter().any(|reference| reference.own.name == constraint.name);
            if matches!(constraint.kind, ConstraintKind::ForeignKey { .. }) && !there {
                continue;
            }
            let place = || {
                [Cell::from(table.name.database.as_str()), Cell::from(table.name.schema.as_str())]
            };
            let mut row = place().to_vec();
            row.push(Cell::from(constraint.name.as_str()));
            row.extend(place());
            row.extend([
                Cell::from(table.name.name.as_str()),
                Cell::from(kind),
                yes_no(false),
                yes_no(true),
                yes_no(false),
                Cell::from(constraint.comment.clone()),
                Cell::Instant(constraint.created_micros),
                Cell::Instant(constraint.created_micros),
                yes_no(false),
            ]);
            rows.push(row);
        }
    }
    rows
}

pub(super) fn referential_constraints(scope: &Scope<'_>) -> Rows {
    let mut rows = Rows::new(
        "REFERENTIAL_CONSTRAINTS",
        &[
            ("CONSTRAINT_CATALOG", TEXT),
            ("CONSTRAINT_SCHEMA", TEXT),
            ("CONSTRAINT_NAME", TEXT),
            ("UNIQUE_CONSTRAINT_CATALOG", TEXT),
            ("UNIQUE_CONSTRAINT_SCHEMA", TEXT),
            ("UNIQUE_CONSTRAINT_NAME", TEXT),
            ("MATCH_OPTION", TEXT),
            ("UPDATE_RULE", TEXT),
            ("DELETE_RULE", TEXT),
            ("COMMENT", TEXT),
            ("CREATED", INSTANT),
            ("LAST_ALTERED", INSTANT),
        ],
    );
    for table in visible_tables(scope) {
        for reference in references(&scope.view, &table) {
            // As SHOW IMPORTED KEYS: what it refers to may be hidden.
            if !of_table(&scope.view, Arc::clone(&reference.table)).is_visible(scope.context) {
                continue;
            }
            rows.push(vec![
                Cell::from(table.name.database.as_str()),
                Cell::from(table.name.schema.as_str()),
                Cell::from(reference.own.name.as_str()),
                Cell::from(reference.table.name.database.as_str()),
                Cell::from(reference.table.name.schema.as_str()),
                Cell::from(reference.key.name.as_str()),
                Cell::from("FULL"),
                Cell::from("NO ACTION"),
                Cell::from("NO ACTION"),
                Cell::from(reference.own.comment.clone()),
                Cell::Instant(reference.own.created_micros),
                Cell::Instant(reference.own.created_micros),
            ]);
        }
    }
    rows
}
