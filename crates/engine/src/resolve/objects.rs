//! Names and ids of objects for authorisation: what they are, and what contains them.

use std::sync::Arc;

use frazil_catalog::account::{Place, Sequence};
use frazil_catalog::{CatalogView, SchemaInfo, TableInfo, ViewInfo};
use frazil_common::{
    Code, ObjectKind, ObjectName, ObjectRef, Privilege, QualifiedName, UserError, quote_identifier,
};
use frazil_governance::Requirement;
use frazil_planner::ResolvedSequence;

use crate::statements::context::StatementContext;
use crate::statements::defaults::{Counter, next_value};

pub(crate) fn table_object(table: &TableInfo) -> ObjectRef {
    ObjectRef { kind: ObjectKind::Table, id: table.table_id, name: table.name.to_string() }
}

pub(crate) fn view_object(view: &ViewInfo) -> ObjectRef {
    ObjectRef { kind: ObjectKind::View, id: view.view_id, name: view.name.to_string() }
}

pub(crate) fn schema_object(schema: &SchemaInfo) -> ObjectRef {
    ObjectRef {
        kind: ObjectKind::Schema,
        id: schema.schema_id,
        name: format!("{}.{}", quote_identifier(&schema.database), quote_identifier(&schema.name)),
    }
}

/// A database by name.
pub(crate) fn database_object(view: &CatalogView, name: &str) -> Option<ObjectRef> {
    view.database(name).map(|database| ObjectRef {
        kind: ObjectKind::Database,
        id: database.database_id,
        name: quote_identifier(&database.name),
    })
}

/// The database and schema that contain an object of that full name.
pub(crate) fn parents_of(view: &CatalogView, name: &QualifiedName) -> Vec<ObjectRef> {
    database_object(view, &name.database)
        .into_iter()
        .chain(view.schema(&name.database, &name.schema).map(|schema| schema_object(schema)))
        .collect()
}

/// Containers of any object the catalog view knows by id.
pub(crate) fn parents_by_object(view: &CatalogView, object: &ObjectRef) -> Vec<ObjectRef> {
    match object.kind {
        ObjectKind::Schema => view
            .schemas()
            .find(|schema| schema.schema_id == object.id)
            .and_then(|schema| database_object(view, &schema.database))
            .into_iter()
            .collect(),
        kind if kind.in_schema() => match frazil_dialect::parse_object_name_text(&object.name) {
            Ok(ObjectName { database: Some(database), schema: Some(schema), name }) => {
                parents_of(view, &QualifiedName::new(database, schema, name))
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// A schema that must exist, with the words DDL uses when it does not.
pub(crate) fn schema(
    view: &CatalogView,
    database: &str,
    name: &str,
) -> Result<Arc<SchemaInfo>, UserError> {
    view.schema(database, name).cloned().ok_or_else(|| {
        UserError::new(
            Code::ObjectNotFound,
            format!(
                "Schema '{}.{}' does not exist or not authorized.",
                quote_identifier(database),
                quote_identifier(name)
            ),
        )
    })
}

/// Where the account store files an object of that full name.
pub(crate) fn place(view: &CatalogView, name: &QualifiedName) -> Result<Place, UserError> {
    let schema = schema(view, &name.database, &name.schema)?;
    let database = view
        .database(&name.database)
        .ok_or_else(|| UserError::not_found("Database", quote_identifier(&name.database)))?;
    Ok(Place::in_schema(database.database_id, schema.schema_id))
}

/// A sequence's next value, as an expression.
pub(crate) async fn sequence(
    context: &StatementContext,
    name: &ObjectName,
) -> Result<ResolvedSequence, UserError> {
    let name = context.qualify(name)?;
    let absent = || UserError::not_found("Sequence", &name);
    let view = context.shared.catalog.head_view().await?;
    let schema = view.schema(&name.database, &name.schema).ok_or_else(absent)?;
    let found = context
        .shared
        .accounts
        .object::<Sequence>(schema.schema_id, &name.name, 0)
        .await?
        .ok_or_else(absent)?;
    let object = ObjectRef { kind: ObjectKind::Sequence, id: found.id, name: name.to_string() };
    context.authorize(&[Requirement::new(
        object.clone(),
        parents_of(&view, &name),
        Privilege::Usage,
    )])?;
    let source = Counter::Sequence {
        accounts: context.shared.accounts.clone(),
        id: found.id,
        step: found.body.increment,
    };
    Ok(ResolvedSequence { object, next: next_value(source) })
}
