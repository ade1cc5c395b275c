//! UNDROP of tables, schemas, databases and tags, and what becomes of what can not come back.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use frazil_catalog::account::{
    AccountView, GrantTarget, MaskingPolicy, ObjectBody, ObjectFilter, ObjectHeader,
    RowAccessPolicy, Stage, Tag, now_micros,
};
use frazil_common::{
    Code, ObjectKind, ObjectName, ObjectRef, Privilege, UserError, quote_identifier,
};
use frazil_dialect::{ObjectWord, Undrop};
use frazil_governance::Requirement;

use crate::resolve::objects::{
    database_object, parents_of, schema as expect_schema, schema_object, table_object,
};

use crate::stages::location::table_stage_name;
use crate::statements::account_change::AccountChange;
use crate::statements::context::{StatementContext, Work};
use crate::statements::create_table::authorize_create;
use crate::statements::lookup::{described_status, schema_name, single};
use crate::statements::outcome::Outcome;
use crate::statements::reserved;
use crate::statements::retention::{Retention, longest_reach, reaches_back};

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    undrop: &Undrop,
) -> Result<Outcome, UserError> {
    let name = match undrop.kind {
        ObjectWord::Table => table(context, work, &undrop.name).await?,
        ObjectWord::Schema => schema(context, work, &undrop.name).await?,
        ObjectWord::Database => database(context, work, &undrop.name).await?,
        ObjectWord::Tag => tag(context, work, &undrop.name).await?,
        other => return Err(UserError::unsupported(format!("UNDROP {other}"))),
    };
    if context.describe_only {
        return described_status();
    }
    let kind = crate::statements::lookup::noun(undrop.kind);
    Outcome::status(format!("{kind} {name} successfully restored."))
}

fn purged(kind: &str, name: &str) -> UserError {
    UserError::new(
        Code::ObjectNotFound,
        format!("{kind} '{}' did not exist or was purged.", quote_identifier(name)),
    )
}

/// Demands OWNERSHIP of what is to come back; what another program made is ACCOUNTADMIN's. What the role may
/// not know of is absent, and so is what had an owner on record and has none any more: its policies are
/// forgotten with its owner.
async fn own(
    context: &StatementContext,
    object: ObjectRef,
    parents: Vec<ObjectRef>,
    absent: UserError,
) -> Result<(), UserError> {
    let accounts = &context.shared.accounts;
    let on_record = accounts.view().await?.owner(object.kind, object.id).is_some();
    let forgotten = !on_record && accounts.is_forgotten(object.kind, object.id).await?;
    if forgotten || !context.sees(&object, &parents) {
        return Err(absent);
    }
    context.authorize(&[Requirement::new(object, parents, Privilege::Ownership)])
}

async fn table(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
) -> Result<String, UserError> {
    let name = context.qualify(name)?;
    let view = work.lake()?.view().clone();
    let schema_id = expect_schema(&view, &name.database, &name.schema)?.schema_id;
    let now = context.facts.now_micros;
    let dropped = context
        .shared
        .catalog
        .dropped_tables(longest_reach(now), |row| {
            row.schema_id == Some(schema_id) && row.name == name.name
        })
        .await?
        .into_iter()
        .next();
    let retention = Retention::load(context).await?;
    let dropped = dropped
        .filter(|table| {
            let days = retention.table(&table.view, &table.object);
            table.dropped_micros >= reaches_back(now, days)
        })
        .ok_or_else(|| purged("Table", &name.name))?;
    let absent = purged("Table", &name.name);
    own(context, table_object(&dropped.object), parents_of(&view, &name), absent).await?;
    authorize_create(context, work, &name, Privilege::CreateTable)?;
    if view.relation(&name).is_some() {
        return Err(UserError::exists(quote_identifier(&name.name)));
    }
    if !context.describe_only {
        work.lake()?.undrop_table(&dropped)?;
    }
    Ok(name.name)
}

async fn schema(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
) -> Result<String, UserError> {
    let (database, name) = schema_name(context, name)?;
    let view = work.lake()?.view().clone();
    let parent = database_object(&view, &database)
        .ok_or_else(|| UserError::not_found("Database", quote_identifier(&database)))?;
    let now = context.facts.now_micros;
    let full = format!("{database}.{name}");
    let dropped = context
        .shared
        .catalog
        .dropped_schemas(longest_reach(now), |row| row.name == full)
        .await?
        .into_iter()
        // A database of the same name may have been there before.
        .find(|schema| {
            let then = schema.view.database(&schema.object.database);
            then.map(|found| found.database_id) == Some(parent.id)
        });
    let retention = Retention::load(context).await?;
    let dropped = dropped
        .filter(|schema| {
            let days = retention.schema(&schema.view, &schema.object);
            schema.dropped_micros >= reaches_back(now, days)
        })
        .ok_or_else(|| purged("Schema", &name))?;
    let object = schema_object(&dropped.object);
    own(context, object, vec![parent.clone()], purged("Schema", &name)).await?;
    context.authorize(&[Requirement::new(parent, Vec::new(), Privilege::CreateSchema)])?;
    reserved::check_schema(&name)?;
    if view.schema(&database, &name).is_some() {
        return Err(UserError::exists(quote_identifier(&name)));
    }
    if !context.describe_only {
        work.lake()?.undrop_schema(&dropped)?;
        context.session.set_namespace(Some(database), Some(name.clone()));
    }
    Ok(name)
}

async fn database(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
) -> Result<String, UserError> {
    let name = single(name)?;
    let view = work.lake()?.view().clone();
    let now = context.facts.now_micros;
    let dropped = context
        .shared
        .catalog
        .dropped_databases(longest_reach(now), |row| row.name == name)
        .await?
        .into_iter()
        .next();
    let retention = Retention::load(context).await?;
    let dropped = dropped
        .filter(|database| {
            let days = retention.database(&database.object);
            database.dropped_micros >= reaches_back(now, days)
        })
        .ok_or_else(|| purged("Database", &name))?;
    let object = ObjectRef {
        kind: ObjectKind::Database,
        id: dropped.object.database_id,
        name: quote_identifier(&name),
    };
    own(context, object, Vec::new(), purged("Database", &name)).await?;
    context.authorize(&[Requirement::global(Privilege::CreateDatabase)])?;
    reserved::check_database(&name)?;
    if view.database(&name).is_some() {
        return Err(UserError::exists(quote_identifier(&name)));
    }
    if !context.describe_only {
        work.lake()?.undrop_database(&dropped)?;
        context.session.set_namespace(Some(name.clone()), None);
    }
    Ok(name)
}

/// The last dropped tag of a name comes back with what it was on.
async fn tag(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
) -> Result<String, UserError> {
    let name = context.qualify(name)?;
    let view = work.lake()?.view().clone();
    let schema = expect_schema(&view, &name.database, &name.schema)?;
    let accounts = &context.shared.accounts;
    let days = Retention::load(context).await?.schema(&view, &schema);
    let since = reaches_back(context.facts.now_micros, days);
    let dropped = accounts
        .dropped_tags()
        .await?
        .into_iter()
        .find(|gone| gone.tag.place.schema_id == schema.schema_id && gone.tag.name == name.name)
        .filter(|gone| gone.dropped_on >= since)
        .ok_or_else(|| purged("Tag", &name.name))?;
    let id = dropped.tag.id;
    let object = ObjectRef { kind: ObjectKind::Tag, id, name: name.to_string() };
    own(context, object, parents_of(&view, &name), purged("Tag", &name.name)).await?;
    if accounts.object::<Tag>(schema.schema_id, &name.name, 0).await?.is_some() {
        return Err(UserError::exists(quote_identifier(&name.name)));
    }
    if !context.describe_only {
        let mut change = AccountChange::begin(context).await?;
        if !change.writer().undrop_tag(id, &name.name).await? {
            return Err(purged("Tag", &name.name));
        }
        change.commit().await?;
    }
    Ok(name.name)
}

/// Ends dropped tags that are out of reach.
async fn purge_tags(
    context: &StatementContext,
    retention: Retention,
    now: i64,
) -> Result<(), UserError> {
    let dropped = context.shared.accounts.dropped_tags().await?;
    if dropped.is_empty() {
        return Ok(());
    }
    let view = context.shared.catalog.head_view().await?;
    let mut change = AccountChange::begin(context).await?;
    for gone in dropped {
        let id = gone.tag.place.schema_id;
        let schema = view.schemas().find(|schema| schema.schema_id == id);
        let days = schema.map_or(retention.account(), |schema| retention.schema(&view, schema));
        if gone.dropped_on < reaches_back(now, days) {
            change.writer().purge_tag(gone.tag.id).await?;
        }
    }
    change.commit().await
}

/// The schema of each policy and tag, of dropped schemas too.
async fn governing(context: &StatementContext) -> Result<HashMap<GrantTarget, i64>, UserError> {
    let mut all = HashMap::new();
    add::<MaskingPolicy>(context, &mut all).await?;
    add::<RowAccessPolicy>(context, &mut all).await?;
    add::<Tag>(context, &mut all).await?;
    Ok(all)
}

async fn add<B: ObjectBody>(
    context: &StatementContext,
    all: &mut HashMap<GrantTarget, i64>,
) -> Result<(), UserError> {
    let objects = context.shared.accounts.objects::<B>(ObjectFilter::default()).await?;
    all.extend(objects.into_iter().map(|object| ((B::KIND, object.id), object.place.schema_id)));
    Ok(())
}

/// The schemas that can not come back and of which a policy, or a tag that masks, protects something that
/// is there or can come back: it must never be there without. `schemas` are those of policies and tags,
/// `gone` is what can not come back.
fn needed(
    account: &AccountView,
    schemas: &HashMap<GrantTarget, i64>,
    gone: &HashSet<GrantTarget>,
) -> HashSet<i64> {
    let mut needed = HashSet::new();
    for tag in account.tags.values().flatten() {
        let masks = !account.policies_on(ObjectKind::Tag, tag.tag).is_empty();
        if masks && !gone.contains(&tag.on) {
            needed.extend(schemas.get(&(ObjectKind::Tag, tag.tag)));
        }
    }
    for policy in account.policies.values().flatten() {
        let protects = match (policy.on.0, schemas.get(&policy.on)) {
            (ObjectKind::Tag, Some(schema)) => {
                needed.contains(schema) || !gone.contains(&(ObjectKind::Schema, *schema))
            }
            _ => !gone.contains(&policy.on),
        };
        if protects {
            needed.extend(schemas.get(&policy.policy));
        }
    }
    needed
}

/// How much longer the account keeps what is out of reach: an UNDROP or clone that began while it
/// was within reach must still find its policies when it commits.
const PURGE_GRACE_MICROS: i64 = 3_600_000_000;

/// Time between two looks through all that was dropped.
const PURGE_PAUSE_MICROS: i64 = 600_000_000;

/// Ends what the account still keeps of objects that can not come back any more: their grants,
/// and the stages, formats, sequences and models of schemas, with their files.
pub(crate) async fn purge(context: &StatementContext) -> Result<(), UserError> {
    let shared = &context.shared;
    let now = now_micros();
    if now - shared.purged.load(Ordering::Relaxed) < PURGE_PAUSE_MICROS {
        return Ok(());
    }
    shared.purged.store(now, Ordering::Relaxed);
    let now = now - PURGE_GRACE_MICROS;
    let retention = Retention::load(context).await?;
    purge_tags(context, retention, now).await?;
    let begun = shared.catalog.head_view().await?.snapshot;
    let kept: HashSet<GrantTarget> =
        shared.accounts.kept_for_dropped().await?.into_iter().collect();
    if kept.is_empty() {
        return Ok(());
    }
    let since = longest_reach(now);
    let mut within: HashSet<(ObjectKind, i64)> = HashSet::new();
    let concerns = |kind: ObjectKind| kept.iter().any(|object| object.0 == kind);
    if concerns(ObjectKind::Table) {
        for gone in shared.catalog.dropped_tables(since, |_| true).await? {
            let days = retention.table(&gone.view, &gone.object);
            if gone.dropped_micros >= reaches_back(now, days) {
                within.insert((ObjectKind::Table, gone.object.table_id));
            }
        }
    }
    if concerns(ObjectKind::Schema) || concerns(ObjectKind::View) || concerns(ObjectKind::Table) {
        for gone in shared.catalog.dropped_schemas(since, |_| true).await? {
            let days = retention.schema(&gone.view, &gone.object);
            if gone.dropped_micros < reaches_back(now, days) {
                continue;
            }
            let schema = &gone.object;
            within.insert((ObjectKind::Schema, schema.schema_id));
            let (database, name) = (&schema.database, &schema.name);
            // What went with a schema comes back with it, whatever its own retention.
            within.extend(
                gone.view.tables_in(database, name).map(|t| (ObjectKind::Table, t.table_id)),
            );
            within
                .extend(gone.view.views_in(database, name).map(|v| (ObjectKind::View, v.view_id)));
        }
    }
    if concerns(ObjectKind::Database) || concerns(ObjectKind::Schema) {
        for gone in shared.catalog.dropped_databases(since, |_| true).await? {
            let days = retention.database(&gone.object);
            if gone.dropped_micros < reaches_back(now, days) {
                continue;
            }
            within.insert((ObjectKind::Database, gone.object.database_id));
            for schema in gone.view.schemas_in(&gone.object.name) {
                within.insert((ObjectKind::Schema, schema.schema_id));
                let (database, name) = (&schema.database, &schema.name);
                within.extend(
                    gone.view.tables_in(database, name).map(|t| (ObjectKind::Table, t.table_id)),
                );
                within.extend(
                    gone.view.views_in(database, name).map(|v| (ObjectKind::View, v.view_id)),
                );
            }
        }
    }
    let mut change = AccountChange::begin(context).await?;
    // What has come back since, or came back and went again, was looked at too early.
    let mut gone: HashSet<GrantTarget> =
        change.writer().kept_for_dropped(begun).await?.into_iter().collect();
    gone.retain(|on| kept.contains(on) && !within.contains(on));
    let needed = needed(&*shared.accounts.view().await?, &governing(context).await?, &gone);
    let mut removed: Vec<ObjectHeader> = Vec::new();
    let mut stages: Vec<i64> = Vec::new();
    for (kind, id) in gone.iter().filter(|on| on.0 != ObjectKind::Schema || !needed.contains(&on.1))
    {
        change.writer().forget_object(*kind, *id).await?;
        if *kind == ObjectKind::Schema {
            removed.extend(change.writer().drop_objects_in_schema(*id).await?);
        }
        if *kind == ObjectKind::Table {
            let mut writer = change.writer();
            let stage = writer.object::<Stage>(0, &table_stage_name(*id), 0).await?;
            if let Some(stage) = stage {
                writer.drop_object(ObjectKind::Stage, stage.id).await?;
                stages.push(stage.id);
            }
        }
    }
    change.commit().await?;
    let of_schemas = removed.iter().filter(|object| object.kind == ObjectKind::Stage);
    stages.extend(of_schemas.map(|object| object.id));
    for stage in stages {
        shared.stages.delete_stage(stage).await?;
    }
    if removed.iter().any(|object| object.kind == ObjectKind::Model) {
        shared.registry.invalidate();
        shared.registry.clean().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use frazil_catalog::account::{PolicyReference, TagReference};

    use super::*;

    #[test]
    fn schemas_stay_while_their_policies_protect_what_can_come_back() {
        let (table, other) = ((ObjectKind::Table, 1), (ObjectKind::Table, 2));
        let (mask, tag) = ((ObjectKind::MaskingPolicy, 3), (ObjectKind::Tag, 4));
        let (policies, tags) = ((ObjectKind::Schema, 5), (ObjectKind::Schema, 6));
        let schemas = HashMap::from([(mask, policies.1), (tag, tags.1)]);
        let policy =
            |on: GrantTarget| PolicyReference { policy: mask, on, column: 1, arguments: vec![1] };
        let mut account = AccountView::default();
        let stay = |account: &AccountView, gone: &[GrantTarget]| {
            let gone = gone.iter().copied().collect();
            let mut stay: Vec<i64> = needed(account, &schemas, &gone).into_iter().collect();
            stay.sort_unstable();
            stay
        };
        account.policies.insert(table, vec![policy(table)]);
        assert_eq!(stay(&account, &[policies]), [policies.1]);
        assert!(stay(&account, &[policies, table]).is_empty());
        // By a tag: both schemas are needed as long as something has the tag.
        account.policies = HashMap::from([(tag, vec![policy(tag)])]);
        let on = TagReference { tag: tag.1, on: other, column: 1, value: String::new() };
        account.tags.insert(other, vec![on]);
        assert_eq!(stay(&account, &[policies, tags]), [policies.1, tags.1]);
        assert!(stay(&account, &[policies, tags, other]).is_empty());
        // The tag's own schema is there.
        assert_eq!(stay(&account, &[policies, other]), [policies.1]);
        // A tag that does not mask keeps nothing.
        account.policies.clear();
        assert!(stay(&account, &[policies, tags]).is_empty());
    }
}
