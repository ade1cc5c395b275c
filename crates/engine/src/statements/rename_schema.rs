//! ALTER SCHEMA … RENAME TO and SWAP WITH, within a database. What is kept by ids stays with the schema; what
//! names it by text is found under the new name alone.

use frazil_catalog::{RenamedSchema, SchemaInfo};
use frazil_common::{ObjectName, Privilege, UserError, quote_identifier};
use frazil_dialect::ObjectWord;
use frazil_governance::Requirement;

use crate::resolve::objects::database_object;
use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::{absent, find};
use crate::statements::rename_database::move_sequences;
use crate::statements::reserved;

pub(crate) async fn rename(
    context: &StatementContext,
    work: &mut Work,
    schema: &SchemaInfo,
    to: &ObjectName,
) -> Result<(), UserError> {
    within(schema, to)?;
    let to = &to.name;
    let view = work.lake()?.view().clone();
    let parent = database_object(&view, &schema.database)
        .ok_or_else(|| UserError::not_found("Database", quote_identifier(&schema.database)))?;
    context.authorize(&[Requirement::new(parent, Vec::new(), Privilege::CreateSchema)])?;
    reserved::check_schema(to)?;
    if view.schema(&schema.database, to).is_some() {
        return Err(UserError::exists(quote_identifier(to)));
    }
    if context.describe_only {
        return Ok(());
    }
    done(context, work, vec![renamed(schema, to)], |lake| {
        lake.rename_schema(&schema.database, &schema.name, to)
    })
}

pub(crate) async fn swap(
    context: &StatementContext,
    work: &mut Work,
    schema: &SchemaInfo,
    other: &ObjectName,
) -> Result<(), UserError> {
    within(schema, other)?;
    let named = ObjectName { schema: Some(schema.database.clone()), ..other.clone() };
    let view = work.lake()?.view().clone();
    let Some(found) = find(context, &view, ObjectWord::Schema, &named).await? else {
        return Err(absent(context, ObjectWord::Schema, other));
    };
    found.require(context, &[Privilege::Ownership])?;
    let Some(second) = view.schema(&schema.database, &other.name).cloned() else {
        return Err(absent(context, ObjectWord::Schema, other));
    };
    if context.describe_only || second.schema_id == schema.schema_id {
        return Ok(());
    }
    let names = vec![renamed(schema, &second.name), renamed(&second, &schema.name)];
    done(context, work, names, |lake| {
        lake.swap_schemas(&schema.database, &schema.name, &second.name)
    })
}

/// The new name may tell the database, but no other one: what is in the schema has grants, masking tags and
/// retention from its database.
fn within(schema: &SchemaInfo, name: &ObjectName) -> Result<(), UserError> {
    if name.database.is_some() {
        return Err(UserError::syntax("A schema's name has at most two parts."));
    }
    match &name.schema {
        Some(database) if *database != schema.database => {
            Err(UserError::unsupported("ALTER SCHEMA … to another database"))
        }
        _ => Ok(()),
    }
}

fn renamed(schema: &SchemaInfo, to: &str) -> RenamedSchema {
    RenamedSchema {
        database: schema.database.clone(),
        from: schema.name.clone(),
        to: to.to_string(),
    }
}

fn done(
    context: &StatementContext,
    work: &mut Work,
    names: Vec<RenamedSchema>,
    rename: impl FnOnce(&mut frazil_lake::LakeTransaction) -> frazil_lake::Result<()>,
) -> Result<(), UserError> {
    move_sequences(work, |database, schema| {
        let found = names.iter().find(|name| name.database == database && name.from == schema);
        found.map(|name| (name.database.clone(), name.to.clone()))
    })?;
    let lake = work.lake()?;
    rename(lake)?;
    lake.account().renamed_schemas.extend(names.clone());
    context.record.lock().renamed_schemas.extend(names);
    Ok(())
}

/// Sessions stay in the schema that they are in.
pub(crate) fn follow(context: &StatementContext) {
    let names = std::mem::take(&mut context.record.lock().renamed_schemas);
    if names.is_empty() {
        return;
    }
    for session in context.shared.sessions.read().values() {
        let mut state = session.state.lock();
        let now = names.iter().find(|name| {
            state.database.as_ref() == Some(&name.database)
                && state.schema.as_ref() == Some(&name.from)
        });
        if let Some(name) = now {
            state.schema = Some(name.to.clone());
        }
    }
    context.shared.registry.invalidate();
}
