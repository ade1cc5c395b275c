//! Columns that rows have beside those of their table, for the engine alone.
//!
//! Their names begin with a character that no column of a table has in its own, so a table's columns
//! may have any other name: a change feed that is stored has METADATA$ROW_ID for one.

/// The character.
pub const MARK: char = '\0';
/// Place of the row's file among those of the table's version.
pub const FILE: &str = "\0FILE";
/// The row's position in its file, from 0.
pub const FILE_ROW_NUMBER: &str = "\0FILE_ROW_NUMBER";
/// The row's lasting id.
pub const ROW_ID: &str = "\0ROW_ID";
/// What the name of a column follows whose values are kept beside masked ones.
pub const KEPT: &str = "\0KEPT$";
/// What a MERGE does to the row.
pub const ACTION: &str = "\0ACTION";

/// Whether a column is one of these.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with(MARK)
}

/// The text of a plan as people may read it.
pub fn shown(plan: &str) -> String {
    plan.replace(MARK, "METADATA$")
}
