//! CREATE ENDPOINT and ALTER ENDPOINT.

use frazil_common::{ObjectKind, ObjectRef, Privilege, UserError};
use frazil_dialect::{AlterEndpoint, AlterEndpointAction, CreateEndpoint};
use frazil_governance::{HiddenError, Requirement};

use crate::models::{actor, find_model};
use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::Outcome;

/// An endpoint as an object of the account.
pub(crate) fn endpoint_object(name: &str, id: i64) -> ObjectRef {
    ObjectRef { kind: ObjectKind::Endpoint, id, name: frazil_common::quote_identifier(name) }
}

pub(crate) async fn create(
    context: &StatementContext,
    _work: &mut Work,
    create: &CreateEndpoint,
) -> Result<Outcome, UserError> {
    context.authorize(&[Requirement::global(Privilege::CreateEndpoint)])?;
    let registry = &context.shared.registry;
    if let Some(existing) = registry.find_endpoint(&create.name).await? {
        if create.mode.if_not_exists {
            return Outcome::status(format!(
                "{} already exists, statement succeeded.",
                create.name
            ));
        }
        if !create.mode.or_replace {
            return Err(UserError::exists(frazil_common::quote_identifier(&create.name)));
        }
        let object = endpoint_object(&create.name, existing.id);
        context.authorize(&[Requirement::new(object, Vec::new(), Privilege::Ownership)])?;
    }
    // Who serves a model must be allowed to use it; callers then need the endpoint alone.
    let found = find_model(context, &create.model, Privilege::Usage).await?;
    registry.version(&found.model, create.version.as_deref()).await?;
    if !context.describe_only {
        context.committing.begin().await;
        registry
            .create_endpoint(
                &create.name,
                &found.model,
                create.version.as_deref(),
                create.comment.clone(),
                create.mode.or_replace,
                &actor(context),
            )
            .await?;
    }
    Outcome::status(format!("Endpoint {} successfully created.", create.name))
}

pub(crate) async fn alter(
    context: &StatementContext,
    _work: &mut Work,
    alter: &AlterEndpoint,
) -> Result<Outcome, UserError> {
    let done = "Statement executed successfully.";
    let registry = &context.shared.registry;
    let found = registry
        .find_endpoint(&alter.name)
        .await?
        .map(|endpoint| endpoint_object(&alter.name, endpoint.id))
        .filter(|object| context.sees(object, &[]));
    let Some(object) = found else {
        if alter.if_exists {
            return Outcome::status(done);
        }
        return Err(UserError::not_found("Endpoint", frazil_common::quote_identifier(&alter.name)));
    };
    context.authorize(&[Requirement::new(object, Vec::new(), Privilege::Operate)
        .or(Privilege::Ownership)
        .hidden_as(HiddenError::DoesNotExist)])?;
    if context.describe_only {
        return Outcome::status(done);
    }
    context.committing.begin().await;
    match &alter.action {
        AlterEndpointAction::SetVersion(version) => {
            registry.set_endpoint_version(&alter.name, Some(version)).await?;
        }
        AlterEndpointAction::UnsetVersion => {
            registry.set_endpoint_version(&alter.name, None).await?;
        }
        other => {
            return Err(UserError::unsupported(format!("ALTER ENDPOINT … {other:?}")));
        }
    }
    Outcome::status(done)
}
