//! CREATE DATABASE and CREATE SCHEMA. Each becomes the session's current one.

use frazil_common::{ObjectKind, Privilege, QualifiedName, UserError};
use frazil_dialect::{CreateDatabase, CreateSchema, Persistence};
use frazil_governance::Requirement;

use crate::resolve::objects::{database_object, schema_object};
use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::Outcome;

/// Name of the schema every database starts with.
const PUBLIC: &str = "PUBLIC";
const ACCEPTED_OPTIONS: &[&str] =
    &["DATA_RETENTION_TIME_IN_DAYS", "MAX_DATA_EXTENSION_TIME_IN_DAYS", "DEFAULT_DDL_COLLATION"];

fn check_options(options: &frazil_dialect::Options, what: &str) -> Result<(), UserError> {
    match options.iter().find(|(name, _)| !ACCEPTED_OPTIONS.contains(&name.to_uppercase().as_str()))
    {
        Some((name, _)) => Err(UserError::unsupported(format!("{what} … {name}"))),
        None => Ok(()),
    }
}

pub(crate) async fn database(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateDatabase,
) -> Result<Outcome, UserError> {
    check_options(&create.options, "CREATE DATABASE")?;
    if create.clone.is_some() {
        return Err(UserError::unsupported("CREATE DATABASE … CLONE"));
    }
    context.authorize(&[Requirement::global(Privilege::CreateDatabase)])?;
    let name = &create.name;
    let done = format!("Database {name} successfully created.");
    let view = work.lake()?.view().clone();
    if let Some(existing) = database_object(&view, name) {
        if create.mode.if_not_exists {
            return Outcome::status(format!("{name} already exists, statement succeeded."));
        }
        if !create.mode.or_replace {
            return Err(UserError::exists(frazil_common::quote_identifier(name)));
        }
        context.authorize(&[Requirement::new(
            existing.clone(),
            Vec::new(),
            Privilege::Ownership,
        )])?;
        if !context.describe_only {
            crate::statements::drop::drop_database(context, work, name).await?;
        }
    }
    if context.describe_only {
        return Outcome::status(done);
    }
    let transient = create.persistence == Persistence::Transient;
    let lake = work.lake()?;
    lake.create_database(name, transient, create.comment.clone())?;
    lake.create_schema(name, PUBLIC, transient, None)?;
    let mut record = context.record.lock();
    record.created.push((ObjectKind::Database, QualifiedName::new(name, "", "")));
    record.created.push((ObjectKind::Schema, QualifiedName::new(name, PUBLIC, "")));
    drop(record);
    context.session.set_namespace(Some(name.clone()), Some(PUBLIC.to_string()));
    Outcome::status(done)
}

pub(crate) async fn schema(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateSchema,
) -> Result<Outcome, UserError> {
    check_options(&create.options, "CREATE SCHEMA")?;
    if create.clone.is_some() {
        return Err(UserError::unsupported("CREATE SCHEMA … CLONE"));
    }
    let database = match &create.name.schema {
        Some(database) => database.clone(),
        None => context.state.database.clone().ok_or_else(|| {
            UserError::new(
                frazil_common::Code::NoCurrentDatabase,
                "Cannot perform CREATE SCHEMA. This session does not have a current database. Call \
                 'USE DATABASE', or use a qualified name.",
            )
        })?,
    };
    let name = &create.name.name;
    let view = work.lake()?.view().clone();
    let parent = database_object(&view, &database).ok_or_else(|| {
        UserError::not_found("Database", frazil_common::quote_identifier(&database))
    })?;
    context.authorize(&[Requirement::new(parent.clone(), Vec::new(), Privilege::CreateSchema)])?;
    let done = format!("Schema {name} successfully created.");
    if let Some(existing) = view.schema(&database, name) {
        if create.mode.if_not_exists {
            return Outcome::status(format!("{name} already exists, statement succeeded."));
        }
        if !create.mode.or_replace {
            return Err(UserError::exists(frazil_common::quote_identifier(name)));
        }
        context.authorize(&[Requirement::new(
            schema_object(existing),
            vec![parent],
            Privilege::Ownership,
        )])?;
        if !context.describe_only {
            crate::statements::drop::drop_schema(context, work, &database, name).await?;
        }
    }
    if context.describe_only {
        return Outcome::status(done);
    }
    let transient = create.persistence == Persistence::Transient;
    work.lake()?.create_schema(&database, name, transient, create.comment.clone())?;
    let full = QualifiedName::new(&database, name, "");
    let mut record = context.record.lock();
    if create.managed_access {
        record.managed.push(full.clone());
    }
    record.created.push((ObjectKind::Schema, full));
    drop(record);
    context.session.set_namespace(Some(database), Some(name.clone()));
    Outcome::status(done)
}
