//! CREATE DATABASE and CREATE SCHEMA. Each becomes the session's current one.

use frazil_common::{ObjectKind, Privilege, QualifiedName, UserError};
use frazil_dialect::{CreateDatabase, CreateSchema, Persistence};
use frazil_governance::Requirement;

use crate::resolve::objects::{database_object, schema_object};
use crate::statements::alter_object::require_manage_grants;
use crate::statements::clone;
use crate::statements::context::{StatementContext, Work};
use crate::statements::drop::drop_database;
use crate::statements::in_use::{Container, refuse_used_outside};
use crate::statements::outcome::Outcome;
use crate::statements::ownership::{Made, made};
use crate::statements::reserved;
use crate::statements::table_options::TableOptions;
use crate::statements::tag::DefinedTags;

/// Name of the schema every database starts with.
const PUBLIC: &str = "PUBLIC";

pub(crate) async fn database(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateDatabase,
) -> Result<Outcome, UserError> {
    let transient = create.persistence == Persistence::Transient;
    let options = TableOptions::read("DATABASE", &create.options, transient)?;
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
        let container = Container::Database { name, id: existing.id };
        refuse_used_outside(context, &view, container).await?;
    } else if create.mode.if_not_exists && reserved::is_database(name) {
        return Outcome::status(format!("{name} already exists, statement succeeded."));
    } else {
        reserved::check_database(name)?;
    }
    let source = match &create.clone {
        Some(source) => Some(clone::database_source(context, work, source, transient).await?),
        None => None,
    };
    let tags = DefinedTags::find(context, work, &create.tags, std::iter::empty()).await?;
    if context.describe_only {
        return Outcome::status(done);
    }
    if view.database(name).is_some() {
        drop_database(context, work, name).await?;
    }
    let lake = work.lake()?;
    let database =
        lake.create_database(name, transient, create.comment.clone(), options.retention_days)?;
    let named = QualifiedName::new(name, "", "");
    made(context, lake, Made { kind: ObjectKind::Database, id: database.database_id, name: named });
    tags.record_container(lake, (ObjectKind::Database, database.database_id));
    match &source {
        Some(source) => clone::database(context, work, source, &database).await?,
        None => {
            let schema = lake.create_schema(name, PUBLIC, transient, None, None)?;
            let (kind, id) = (ObjectKind::Schema, schema.schema_id);
            made(context, lake, Made { kind, id, name: QualifiedName::new(name, PUBLIC, "") });
        }
    }
    context.session.set_namespace(Some(name.clone()), Some(PUBLIC.to_string()));
    Outcome::status(done)
}

pub(crate) async fn schema(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateSchema,
) -> Result<Outcome, UserError> {
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
        let (database, schema) = (existing.database.as_str(), existing.name.as_str());
        let container = Container::Schema { database, schema, id: existing.schema_id };
        refuse_used_outside(context, &view, container).await?;
    } else if create.mode.if_not_exists && name == reserved::INFORMATION_SCHEMA {
        return Outcome::status(format!("{name} already exists, statement succeeded."));
    } else {
        reserved::check_schema(name)?;
    }
    // What a transient database holds is transient too.
    let transient = create.persistence == Persistence::Transient
        || view.database(&database).is_some_and(|database| database.transient);
    let options = TableOptions::read("SCHEMA", &create.options, transient)?;
    let source = match &create.clone {
        Some(source) => Some(clone::schema_source(context, work, source, transient).await?),
        None => None,
    };
    if create.managed_access && source.is_some() {
        // The tables keep their owners.
        require_manage_grants(context)?;
    }
    let tags = DefinedTags::find(context, work, &create.tags, std::iter::empty()).await?;
    if context.describe_only {
        return Outcome::status(done);
    }
    let lake = work.lake()?;
    if view.schema(&database, name).is_some() {
        lake.drop_schema(&database, name)?;
    }
    let schema = lake.create_schema(
        &database,
        name,
        transient,
        create.comment.clone(),
        options.retention_days,
    )?;
    let named = QualifiedName::new(&database, name, "");
    made(context, lake, Made { kind: ObjectKind::Schema, id: schema.schema_id, name: named });
    tags.record_container(lake, (ObjectKind::Schema, schema.schema_id));
    if create.managed_access {
        lake.account().managed_schemas.push(schema.schema_id);
    }
    if let Some(source) = &source {
        clone::schema(context, work, source, &schema).await?;
    }
    context.session.set_namespace(Some(database), Some(name.clone()));
    Outcome::status(done)
}
