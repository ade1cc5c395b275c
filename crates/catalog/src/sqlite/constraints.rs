//! A table's constraints as the text of a tag.

use super::commit::NewSnapshot;
use crate::error::{CatalogError, Result};
use crate::objects::{ConstraintInfo, ConstraintKind, TableInfo};

/// The constraints as text, with lasting ids; none for none.
pub fn text(new: &NewSnapshot<'_>, table: &TableInfo) -> Result<Option<String>> {
    if table.constraints.is_empty() {
        return Ok(None);
    }
    let mut constraints = table.constraints.clone();
    for constraint in &mut constraints {
        if let ConstraintKind::ForeignKey { table_id, .. } = &mut constraint.kind {
            *table_id = new.id(*table_id);
        }
    }
    let text = serde_json::to_string(&constraints);
    text.map(Some).map_err(|error| CatalogError::Damaged(error.to_string()))
}

/// The constraints of a text.
pub fn read(text: Option<String>) -> Result<Vec<ConstraintInfo>> {
    match text {
        None => Ok(Vec::new()),
        Some(text) => serde_json::from_str(&text)
            .map_err(|error| CatalogError::Damaged(format!("constraints: {error}"))),
    }
}
