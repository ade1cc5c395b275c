//! Changes of Frazil's own catalog tables, applied once each, in order.

/// SQL that runs once per catalog.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Never changes and is never used again.
    pub name: &'static str,
    /// One or more statements.
    pub sql: &'static str,
}

/// Migrations of the catalog's own tables beyond its first shape.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    // DuckDB reads names without blanks between them alone, and with one view nothing else. Names with
    // quotes in them are left: they could hold what looks like an end.
    name: "view_aliases_without_blanks",
    sql: "UPDATE ducklake_view SET column_aliases = replace(column_aliases, '\", \"', '\",\"') \
          WHERE column_aliases NOT LIKE '%\"\"%'",
}];
