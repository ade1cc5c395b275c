//! Writes a commit's effects on the account's tables, in the commit's own transaction.

use super::commit::{NewSnapshot, conflict};
use crate::account::{PolicyReference, TagReference, Writer};
use crate::effects::AccountEffects;
use crate::error::Result;

/// Writes owners, grants, policies, tags and copies; local ids are those the commit has just made lasting.
pub async fn apply(new: &mut NewSnapshot<'_>, effects: &AccountEffects) -> Result<()> {
    if effects.is_empty() {
        return Ok(());
    }
    let ids = new.ids.clone();
    let id = |local: i64| ids.get(&local).copied().unwrap_or(local);
    let mut writer = Writer::on(new.transaction().await?);
    if let Some(seen) = effects.rules_version
        && !writer.claim_rules(seen).await?
    {
        return Err(conflict("the account", "policies, tags or roles were changed"));
    }
    for owner in &effects.owners {
        let containers = owner.containers.map(|(database, schema)| (id(database), schema.map(id)));
        writer.register_object(owner.kind, id(owner.id), &owner.role, containers).await?;
    }
    for copied in &effects.copied_grants {
        let (from, to) = (id(copied.from), id(copied.to));
        writer.copy_grants(copied.kind, from, to, copied.same_database).await?;
        if copied.owner {
            writer.copy_owner(copied.kind, from, to).await?;
        }
    }
    for copied in &effects.copied_policies {
        let (from, to) = ((copied.kind, id(copied.from)), (copied.kind, id(copied.to)));
        writer.copy_policies(from, to, &copied.columns).await?;
        writer.copy_tags(from, to, &copied.columns).await?;
    }
    for tag in &effects.tags {
        let (kind, object) = tag.on;
        writer.set_tag(&TagReference { on: (kind, id(object)), ..tag.clone() }).await?;
    }
    for policy in &effects.policies {
        let (kind, object) = policy.on;
        writer.set_policy(&PolicyReference { on: (kind, id(object)), ..policy.clone() }).await?;
    }
    for schema in &effects.managed_schemas {
        writer.set_managed_access(id(*schema), true).await?;
    }
    for (role, heir) in &effects.dropped_roles {
        writer.drop_role(*role, heir).await?;
    }
    writer.rename_databases(&effects.renamed_databases).await?;
    writer.rename_schemas(&effects.renamed_schemas).await?;
    for copied in &effects.copied_objects {
        let place = crate::account::Place::in_schema(id(copied.to_database), id(copied.to_schema));
        let (from, same) = (copied.from_schema, copied.same_database);
        writer.copy_schema_objects(from, place, &copied.role, same).await?;
    }
    for (kind, object) in &effects.left_database {
        writer.revoke_from_database_roles(*kind, id(*object)).await?;
    }
    for (kind, object) in &effects.forgotten {
        writer.forget_object(*kind, id(*object)).await?;
    }
    Ok(())
}
