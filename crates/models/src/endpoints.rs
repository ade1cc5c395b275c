//! Endpoints: names under which models are served, each resolved to one version at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use frazil_catalog::account::{
    Endpoint, Model, ModelVersion, NewObject, Object, ObjectFilter, Place, Writer,
};
use frazil_common::{ObjectKind, Principal, UserError};

use crate::registry::model_error;
use crate::versions::find_version;
use crate::{LoadedModel, Registry, Result};

/// What an endpoint serves now. A call keeps the one it got, whatever is switched meanwhile.
#[derive(Debug)]
pub struct EndpointTarget {
    pub endpoint: Object<Endpoint>,
    pub model: Object<Model>,
    pub version: ModelVersion,
    pub loaded: Arc<LoadedModel>,
}

impl Registry {
    /// The endpoint of this name, or none.
    pub async fn find_endpoint(&self, name: &str) -> Result<Option<Object<Endpoint>>> {
        Ok(self.inner.account.object(0, name, 0).await?)
    }

    /// All endpoints by name.
    pub async fn endpoints(&self) -> Result<Vec<Object<Endpoint>>> {
        Ok(self.inner.account.objects(ObjectFilter::default()).await?)
    }

    /// What an endpoint serves now. From memory until the registry changes.
    ///
    /// # Errors
    /// There is no such endpoint, it is suspended, or its model or version is gone.
    pub async fn endpoint(&self, name: &str) -> Result<Arc<EndpointTarget>> {
        // Read before the catalog is: a change in between makes the answer stale at once.
        let generation = self.inner.generation.load(Ordering::SeqCst);
        let known = self.inner.targets.lock().get(name).cloned();
        if let Some((at, target)) = known
            && at == generation
        {
            return Ok(target);
        }
        let target = Arc::new(self.resolve_endpoint(name).await?);
        let mut targets = self.inner.targets.lock();
        targets.retain(|_, (at, _)| *at == generation);
        targets.insert(name.to_string(), (generation, Arc::clone(&target)));
        Ok(target)
    }

    async fn resolve_endpoint(&self, name: &str) -> Result<EndpointTarget> {
        let endpoint = self
            .find_endpoint(name)
            .await?
            .ok_or_else(|| UserError::not_found("Endpoint", name))?;
        if endpoint.body.suspended {
            return Err(model_error(format!("Endpoint '{name}' is suspended.")));
        }
        let model =
            self.inner.account.object_by_id::<Model>(endpoint.body.model_id).await?.ok_or_else(
                || model_error(format!("The model of endpoint '{name}' was dropped.")),
            )?;
        let version = self.version(&model, endpoint.body.version.as_deref()).await?;
        let loaded = self.load(&version).await?;
        Ok(EndpointTarget { endpoint, model, version, loaded })
    }

    /// Makes an endpoint. Without a version it follows the model's default version; an alias is
    /// taken for the version it means now.
    ///
    /// # Errors
    /// The name is taken and `replace` is not set; the version does not exist; its model can't be
    /// loaded.
    pub async fn create_endpoint(
        &self,
        name: &str,
        model: &Object<Model>,
        version: Option<&str>,
        comment: Option<String>,
        replace: bool,
        actor: &Principal,
    ) -> Result<Object<Endpoint>> {
        let version = self.pin(model, version).await?;
        let mut transaction = self.inner.account.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        if replace && let Some(old) = writer.object::<Endpoint>(0, name, 0).await? {
            writer.drop_object(ObjectKind::Endpoint, old.id).await?;
        }
        let endpoint = writer
            .create_object(NewObject {
                name: name.to_string(),
                place: Place::default(),
                owner_role: actor.role.clone(),
                comment,
                body: Endpoint { model_id: model.id, version, suspended: false },
            })
            .await?;
        transaction.commit().await?;
        self.invalidate();
        Ok(endpoint)
    }

    /// ALTER ENDPOINT … SET VERSION; none lets it follow the default version again. Calls that
    /// have begun end with the version they began with.
    ///
    /// # Errors
    /// The endpoint, its model or the version is gone; the version's model can't be loaded.
    pub async fn set_endpoint_version(&self, name: &str, version: Option<&str>) -> Result<()> {
        let endpoint = self
            .find_endpoint(name)
            .await?
            .ok_or_else(|| UserError::not_found("Endpoint", name))?;
        let model =
            self.inner.account.object_by_id::<Model>(endpoint.body.model_id).await?.ok_or_else(
                || model_error(format!("The model of endpoint '{name}' was dropped.")),
            )?;
        let version = self.pin(&model, version).await?;
        self.alter_endpoint(name, |endpoint| endpoint.body.version = version).await
    }

    /// Changes an endpoint's name, comment or state.
    ///
    /// # Errors
    /// The endpoint is gone; the new name is taken.
    pub async fn alter_endpoint(
        &self,
        name: &str,
        change: impl FnOnce(&mut Object<Endpoint>) + Send,
    ) -> Result<()> {
        let mut transaction = self.inner.account.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        let mut endpoint = writer
            .object::<Endpoint>(0, name, 0)
            .await?
            .ok_or_else(|| UserError::not_found("Endpoint", name))?;
        change(&mut endpoint);
        writer.update_object(&endpoint).await?;
        transaction.commit().await?;
        self.invalidate();
        Ok(())
    }

    /// Removes an endpoint; false if there was none.
    ///
    /// # Errors
    /// The catalog refuses.
    pub async fn drop_endpoint(&self, name: &str) -> Result<bool> {
        let mut transaction = self.inner.account.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        let Some(endpoint) = writer.object::<Endpoint>(0, name, 0).await? else {
            return Ok(false);
        };
        writer.drop_object(ObjectKind::Endpoint, endpoint.id).await?;
        transaction.commit().await?;
        self.invalidate();
        Ok(true)
    }

    /// The version to pin, loaded once so that a switch never meets a broken file.
    async fn pin(&self, model: &Object<Model>, name: Option<&str>) -> Result<Option<String>> {
        let versions = self.versions(model.id).await?;
        let version = find_version(model, &versions, name)?;
        self.load(version).await?;
        Ok(name.map(|_| version.name.clone()))
    }
}
