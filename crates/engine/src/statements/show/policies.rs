//! SHOW MASKING POLICIES and SHOW ROW ACCESS POLICIES.

use frazil_catalog::SchemaInfo;
use frazil_catalog::account::{MaskingPolicy, Object, RowAccessPolicy};
use frazil_common::UserError;
use frazil_dialect::ShowObject;

use super::schema_objects::objects;
use super::{INSTANT, Lister, Listing, TEXT, TerseKind};
use crate::statements::lookup::Target;
use crate::statements::outcome::Cell;

pub(super) async fn policies(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("kind", TEXT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("owner_role_type", TEXT),
        ("options", TEXT),
    ];
    let mut listing = Listing::new(columns, "name").terse(TerseKind::Null);
    if lister.show.object == ShowObject::MaskingPolicies {
        for (schema, policy, _) in objects::<MaskingPolicy>(lister, Target::MaskingPolicy).await? {
            listing.rows.push(row(&schema, &policy, "MASKING_POLICY"));
        }
    } else {
        for (schema, policy, _) in
            objects::<RowAccessPolicy>(lister, Target::RowAccessPolicy).await?
        {
            listing.rows.push(row(&schema, &policy, "ROW_ACCESS_POLICY"));
        }
    }
    Ok(listing)
}

fn row<B>(schema: &SchemaInfo, policy: &Object<B>, kind: &str) -> Vec<Cell> {
    vec![
        Cell::Instant(policy.created_on),
        Cell::from(policy.name.as_str()),
        Cell::from(schema.database.as_str()),
        Cell::from(schema.name.as_str()),
        Cell::from(kind),
        Cell::from(policy.owner.clone().unwrap_or_default()),
        Cell::from(policy.comment.clone().unwrap_or_default()),
        Cell::from("ROLE"),
        Cell::from(""),
    ]
}
