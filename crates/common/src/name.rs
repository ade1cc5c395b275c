//! Identifiers: folding, quoting, and names of one to three parts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Folds an unquoted identifier as Snowflake does: to upper case.
pub fn fold_identifier(text: &str) -> String {
    text.to_uppercase()
}

/// Quotes an identifier where SQL text needs it; plain upper-case names stay as they are.
pub fn quote_identifier(name: &str) -> String {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_uppercase() || c == '_')
        && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == '$');
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A name as written: parts already folded or taken exactly, missing parts filled by the session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectName {
    pub database: Option<String>,
    pub schema: Option<String>,
    pub name: String,
}

impl ObjectName {
    pub fn bare(name: impl Into<String>) -> Self {
        ObjectName { database: None, schema: None, name: name.into() }
    }

    /// The full name, with missing parts from the session's current database and schema.
    pub fn qualify(&self, database: Option<&str>, schema: Option<&str>) -> Option<QualifiedName> {
        Some(QualifiedName {
            database: self.database.as_deref().or(database)?.to_string(),
            schema: self.schema.as_deref().or(schema)?.to_string(),
            name: self.name.clone(),
        })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.database, &self.schema].into_iter().flatten() {
            write!(f, "{}.", quote_identifier(part))?;
        }
        f.write_str(&quote_identifier(&self.name))
    }
}

/// A full name; its `Display` is valid SQL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QualifiedName {
    pub database: String,
    pub schema: String,
    pub name: String,
}

impl QualifiedName {
    pub fn new(
        database: impl Into<String>,
        schema: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        QualifiedName { database: database.into(), schema: schema.into(), name: name.into() }
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}",
            quote_identifier(&self.database),
            quote_identifier(&self.schema),
            quote_identifier(&self.name)
        )
    }
}
