//! SHOW TAGS.

use frazil_catalog::account::Tag;
use frazil_common::UserError;

use super::schema_objects::objects;
use super::{INSTANT, Lister, Listing, TEXT};
use crate::statements::lookup::Target;
use crate::statements::outcome::Cell;

pub(super) async fn tags(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("allowed_values", TEXT),
        ("owner_role_type", TEXT),
        ("propagate", TEXT),
        ("on_conflict", TEXT),
    ];
    let mut listing = Listing::new(columns, "name");
    for (schema, tag, _) in objects::<Tag>(lister, Target::Tag).await? {
        let allowed = &tag.body.allowed_values;
        listing.rows.push(vec![
            Cell::Instant(tag.created_on),
            Cell::from(tag.name.as_str()),
            Cell::from(schema.database.as_str()),
            Cell::from(schema.name.as_str()),
            Cell::from(tag.owner.clone().unwrap_or_default()),
            Cell::from(tag.comment.clone().unwrap_or_default()),
            if allowed.is_empty() {
                Cell::Null
            } else {
                Cell::from(serde_json::Value::from(allowed.clone()).to_string())
            },
            Cell::from("ROLE"),
            Cell::from("NONE"),
            Cell::Null,
        ]);
    }
    Ok(listing)
}
