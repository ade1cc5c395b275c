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
pub(crate) const MIGRATIONS: &[Migration] = &[];
