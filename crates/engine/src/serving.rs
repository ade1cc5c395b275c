//! Endpoints: a token's role, the version served now, rows in, predictions out.

use std::collections::HashMap;

use frazil_common::{Code, ObjectKind, ObjectRef, Privilege, UserError, fold_identifier};
use frazil_governance::{Requirement, SecondaryRoles, authorize};
use frazil_models::{EndpointTarget, Method};
use std::sync::Arc;

use crate::api::{EndpointReply, EndpointRows};
use crate::engine::Engine;
use crate::session::secrets::digest;

/// Rows scored without a thread of their own: a fraction of a millisecond's work.
const ROWS_AT_ONCE: usize = 64;

impl Engine {
    /// Checks a programmatic access token and USAGE on the endpoint, and gives what it serves.
    async fn endpoint(
        &self,
        endpoint: &str,
        token: &str,
    ) -> Result<Arc<EndpointTarget>, UserError> {
        let shared = &self.shared;
        let invalid =
            || UserError::new(Code::AuthenticationFailed, "Programmatic access token is invalid.");
        let token = shared.accounts.access_token(&digest(token)).await?.ok_or_else(invalid)?;
        let view = shared.accounts.view().await?;
        let user = view.user_by_id(token.user_id).ok_or_else(invalid)?;
        if user.disabled || !token.is_valid(frazil_catalog::account::now_micros()) {
            return Err(invalid());
        }
        let model = shared.access_model().await?;
        let role = match (&token.role_restriction, &user.properties.default_role) {
            (Some(role), _) | (None, Some(role)) if model.may_assume(&user.name, role) => {
                role.clone()
            }
            (Some(_), _) => return Err(invalid()),
            _ => frazil_governance::system::PUBLIC.to_string(),
        };
        let secondary = match &token.role_restriction {
            None if user.properties.default_secondary_roles_all => SecondaryRoles::All,
            _ => SecondaryRoles::None,
        };
        let roles = model.effective_roles(&user.name, &role, &secondary);
        let name = fold_identifier(endpoint);
        let absent = || UserError::not_found("Endpoint", &name);
        let found = shared.registry.find_endpoint(&name).await?.ok_or_else(absent)?;
        let object = ObjectRef { kind: ObjectKind::Endpoint, id: found.id, name: name.clone() };
        authorize(&model, &roles, &[Requirement::new(object, Vec::new(), Privilege::Usage)])?;
        Ok(shared.registry.endpoint(&name).await?)
    }

    /// Scores rows at an endpoint by a method of its model, PREDICT where none is named. One
    /// request is scored by one version.
    ///
    /// # Errors
    /// A bad token, no USAGE, an unknown endpoint; a method that the model does not have; a column
    /// or value that does not fit, by name.
    pub async fn invoke_endpoint(
        &self,
        endpoint: &str,
        token: &str,
        method: Option<&str>,
        rows: EndpointRows,
    ) -> Result<EndpointReply, UserError> {
        let target = self.endpoint(endpoint, token).await?;
        let method = match method {
            None => Method::Predict,
            Some(name) => Method::named(name)?,
        };
        let columns = signature_names(&target, &rows.columns);
        let predictions = if rows.rows.len() <= ROWS_AT_ONCE {
            target.loaded.score_rows(method, &columns, &rows.rows)?
        } else {
            // Long work must not hold the threads that serve others.
            let target = Arc::clone(&target);
            tokio::task::spawn_blocking(move || {
                target.loaded.score_rows(method, &columns, &rows.rows)
            })
            .await
            .map_err(UserError::internal)??
        };
        Ok(EndpointReply {
            model: target.model.name.clone(),
            version: target.version.name.clone(),
            predictions,
        })
    }

    /// Whether an endpoint answers for this token.
    pub async fn ping_endpoint(&self, endpoint: &str, token: &str) -> Result<(), UserError> {
        self.endpoint(endpoint, token).await.map(drop)
    }
}

/// Column names of a request as the signature spells them, whatever their case.
fn signature_names(target: &EndpointTarget, given: &[String]) -> Vec<String> {
    let known: HashMap<String, String> = target
        .loaded
        .features()
        .into_iter()
        .map(|feature| (feature.name.to_uppercase(), feature.name))
        .collect();
    given.iter().map(|name| known.get(&name.to_uppercase()).unwrap_or(name).clone()).collect()
}
