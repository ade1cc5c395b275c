//! CREATE STAGE, CREATE FILE FORMAT, CREATE SEQUENCE: objects of a schema kept by the account store.

use std::collections::BTreeMap;

use frazil_catalog::account::{FileFormat, NewObject, Object, ObjectBody, Place, Sequence, Stage};
use frazil_common::{ObjectKind, ObjectName, ObjectRef, Privilege, QualifiedName, UserError};
use frazil_dialect::{CreateFileFormat, CreateMode, CreateSequence, CreateStage, Persistence};
use frazil_governance::Requirement;

use crate::resolve::objects::{database_object, parents_of, schema, schema_object};
use crate::stages::file_format;
use crate::statements::account_change::AccountChange;
use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::Outcome;
use crate::statements::tag::DefinedTags;

/// What was found under the wanted name, after all checks.
pub(crate) struct Site<B> {
    pub name: QualifiedName,
    pub place: Place,
    pub existing: Option<Object<B>>,
}

/// Checks privileges and the name; None when IF NOT EXISTS leaves things as they are.
pub(crate) async fn site<B: ObjectBody>(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
    mode: CreateMode,
    temporary: bool,
    privilege: Privilege,
) -> Result<Option<Site<B>>, UserError> {
    let name = context.qualify(name)?;
    let view = work.lake()?.view().clone();
    let schema = schema(&view, &name.database, &name.schema)?;
    let database = view
        .database(&name.database)
        .map(|database| database.database_id)
        .ok_or_else(|| UserError::not_found("Database", &name.database))?;
    let parents: Vec<ObjectRef> = database_object(&view, &name.database).into_iter().collect();
    let mut requirement = Requirement::new(schema_object(&schema), parents, privilege);
    if temporary {
        // A temporary object is the session's own: the schema need only be usable.
        requirement = requirement.or(Privilege::Usage);
    }
    context.authorize(&[requirement])?;
    let session = if temporary { context.session.id } else { 0 };
    let existing = context
        .shared
        .accounts
        .object::<B>(schema.schema_id, &name.name, session)
        .await?
        .filter(|found| (found.place.session_id != 0) == temporary);
    if let Some(found) = &existing {
        if mode.if_not_exists {
            return Ok(None);
        }
        if !mode.or_replace {
            return Err(UserError::exists(frazil_common::quote_identifier(&name.name)));
        }
        if !temporary {
            let object = ObjectRef { kind: B::KIND, id: found.id, name: name.to_string() };
            let parents = parents_of(&view, &name);
            context.authorize(&[Requirement::new(object, parents, Privilege::Ownership)])?;
        }
    }
    let place = Place { database_id: database, schema_id: schema.schema_id, session_id: session };
    Ok(Some(Site { name, place, existing }))
}

/// Replaces what stood there and makes the new object.
pub(crate) async fn make<B: ObjectBody>(
    context: &StatementContext,
    site: Site<B>,
    comment: Option<String>,
    body: B,
) -> Result<Object<B>, UserError> {
    make_tagged(context, site, comment, body, &DefinedTags::default()).await
}

async fn make_tagged<B: ObjectBody>(
    context: &StatementContext,
    site: Site<B>,
    comment: Option<String>,
    body: B,
    tags: &DefinedTags,
) -> Result<Object<B>, UserError> {
    let mut transaction = AccountChange::begin(context).await?;
    if site.existing.is_some()
        && matches!(B::KIND, ObjectKind::MaskingPolicy | ObjectKind::RowAccessPolicy)
    {
        transaction.claim_rules(context).await?;
    }
    let mut writer = transaction.writer();
    if let Some(existing) = &site.existing {
        writer.drop_object(B::KIND, existing.id).await?;
    }
    let object = writer
        .create_object(NewObject {
            name: site.name.name.clone(),
            place: site.place,
            owner_role: context.role().to_string(),
            comment,
            body,
        })
        .await?;
    tags.write(&mut writer, (B::KIND, object.id)).await?;
    transaction.commit().await?;
    if B::KIND == ObjectKind::Stage
        && let Some(existing) = &site.existing
    {
        context.shared.stages.delete_stage(existing.id).await?;
    }
    Ok(object)
}

pub(crate) fn kept(name: &ObjectName) -> Result<Outcome, UserError> {
    Outcome::status(format!("{} already exists, statement succeeded.", name.name))
}

pub(crate) async fn stage(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateStage,
) -> Result<Outcome, UserError> {
    if let Some(url) = &create.url {
        return Err(UserError::unsupported(format!("CREATE STAGE … URL = '{url}'")));
    }
    if let Some((option, _)) = create.options.iter().next() {
        return Err(UserError::unsupported(format!("CREATE STAGE … {option}")));
    }
    let temporary = create.persistence == Persistence::Temporary;
    let formats = file_format::to_json(&create.file_format);
    // A wrong option is told now, not when the first file is read.
    if !formats.contains_key("FORMAT_NAME") {
        file_format::build(&formats)?;
    }
    let found =
        site::<Stage>(context, work, &create.name, create.mode, temporary, Privilege::CreateStage)
            .await?;
    let Some(site) = found else { return kept(&create.name) };
    let tags = DefinedTags::find(context, work, &create.tags, std::iter::empty()).await?;
    if temporary && !tags.is_empty() {
        return Err(UserError::unsupported("tags on a temporary stage"));
    }
    let done = format!("Stage area {} successfully created.", create.name.name);
    if !context.describe_only {
        let directory = create.directory.get("ENABLE").and_then(|value| value.as_boolean());
        let body = Stage {
            file_format: formats,
            copy_options: file_format::to_json(&create.copy_options),
            directory: directory.unwrap_or_default(),
        };
        make_tagged(context, site, create.comment.clone(), body, &tags).await?;
    }
    Outcome::status(done)
}

pub(crate) async fn file_format(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateFileFormat,
) -> Result<Outcome, UserError> {
    let mut options: BTreeMap<String, serde_json::Value> = file_format::to_json(&create.options);
    file_format::build(&options)?;
    let format_type = options
        .remove("TYPE")
        .and_then(|value| value.as_str().map(str::to_uppercase))
        .unwrap_or_else(|| "CSV".to_string());
    let found = site::<FileFormat>(
        context,
        work,
        &create.name,
        create.mode,
        create.persistence == Persistence::Temporary,
        Privilege::CreateFileFormat,
    )
    .await?;
    let Some(site) = found else { return kept(&create.name) };
    if !context.describe_only {
        let body = FileFormat { format_type, options };
        make(context, site, create.comment.clone(), body).await?;
    }
    Outcome::status(format!("File format {} successfully created.", create.name.name))
}

pub(crate) async fn sequence(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateSequence,
) -> Result<Outcome, UserError> {
    let found = site::<Sequence>(
        context,
        work,
        &create.name,
        create.mode,
        false,
        Privilege::CreateSequence,
    )
    .await?;
    let Some(site) = found else { return kept(&create.name) };
    if !context.describe_only {
        let mut transaction = AccountChange::begin(context).await?;
        let mut writer = transaction.writer();
        if let Some(existing) = &site.existing {
            writer.drop_object(ObjectKind::Sequence, existing.id).await?;
        }
        writer
            .create_sequence(NewObject {
                name: site.name.name.clone(),
                place: site.place,
                owner_role: context.role().to_string(),
                comment: create.comment.clone(),
                body: Sequence {
                    start: create.start,
                    increment: create.increment,
                    ordered: create.order.unwrap_or(true),
                },
            })
            .await?;
        transaction.commit().await?;
    }
    Outcome::status(format!("Sequence {} successfully created.", create.name.name))
}
