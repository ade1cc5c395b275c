//! The registry: models, versions and aliases, with the files behind them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use frazil_catalog::account::{
    AccountStore, Endpoint, Model, ModelChange, ModelVersion, ModelVersionBody, NewModelVersion,
    NewObject, Object, ObjectFilter, Place, Writer,
};
use frazil_common::{Code, ObjectKind, Principal, SqlType, UserError};
use frazil_lake::ObjectFolder;
use frazil_ml::{Algorithm, MlError};
use parking_lot::Mutex;

use crate::versions::{RESERVED, find_version};
use crate::{EndpointTarget, LoadedModel, ModelFiles, ModelsError, Result, StoredFile};

/// Models kept in memory; the one not used for longest makes room.
const LOADED_MAX: usize = 64;

/// A model to be made with its first version.
#[derive(Debug, Clone)]
pub struct NewModel {
    pub name: String,
    pub place: Place,
    pub comment: Option<String>,
    /// OR REPLACE: a model of this name is dropped with its versions.
    pub replace: bool,
}

/// A version to be added. The registry fills in what the model itself tells: algorithm,
/// signature, features, importance, and the file.
#[derive(Debug)]
pub struct NewVersion {
    /// None names it `V1`, `V2` …
    pub name: Option<String>,
    pub comment: Option<String>,
    pub model: Box<dyn frazil_ml::Model>,
    pub body: ModelVersionBody,
}

/// The model registry. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) account: AccountStore,
    files: ModelFiles,
    loaded: Mutex<Loaded>,
    /// Held while files are registered or removed, so that a file about to be registered is not
    /// taken for an orphan.
    filing: tokio::sync::Mutex<()>,
    /// Grows with every change that may move an endpoint to another version.
    pub(crate) generation: AtomicU64,
    pub(crate) targets: Mutex<HashMap<String, (u64, Arc<EndpointTarget>)>>,
}

#[derive(Debug, Default)]
struct Loaded {
    /// By the file's digest and the type of the labels.
    models: HashMap<(String, SqlType), (u64, Arc<LoadedModel>)>,
    clock: u64,
}

impl Registry {
    /// `folder` holds the model files.
    pub fn new(account: AccountStore, folder: ObjectFolder) -> Self {
        Registry {
            inner: Arc::new(Inner {
                account,
                files: ModelFiles::new(folder),
                loaded: Mutex::default(),
                filing: tokio::sync::Mutex::default(),
                generation: AtomicU64::new(0),
                targets: Mutex::default(),
            }),
        }
    }

    /// Tells that models or endpoints were changed past the registry, as when a schema was
    /// dropped.
    pub fn invalidate(&self) {
        self.inner.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// The model of this name in a schema, or none.
    pub async fn model(&self, schema_id: i64, name: &str) -> Result<Option<Object<Model>>> {
        Ok(self.inner.account.object(schema_id, name, 0).await?)
    }

    /// A model's versions, oldest first.
    pub async fn versions(&self, model_id: i64) -> Result<Vec<ModelVersion>> {
        Ok(self.inner.account.model_versions(model_id).await?)
    }

    /// The version that a name means; see [`find_version`].
    ///
    /// # Errors
    /// The model has no such version.
    pub async fn version(&self, model: &Object<Model>, name: Option<&str>) -> Result<ModelVersion> {
        let versions = self.versions(model.id).await?;
        find_version(model, &versions, name).cloned()
    }

    /// Who moved which name of a model when, oldest first.
    pub async fn history(&self, model_id: i64) -> Result<Vec<ModelChange>> {
        Ok(self.inner.account.model_changes(model_id).await?)
    }

    /// The model of a version, from memory or from its file, whose digest is checked.
    ///
    /// # Errors
    /// The file is missing, damaged or unreadable.
    pub async fn load(&self, version: &ModelVersion) -> Result<Arc<LoadedModel>> {
        let label_type = label_type(version)?;
        let key = (version.file_sha256.clone(), label_type.clone().unwrap_or(SqlType::TEXT));
        if let Some(model) = self.inner.loaded.lock().get(&key) {
            return Ok(model);
        }
        let algorithm = algorithm(&version.body.algorithm)?;
        let bytes = self.inner.files.get(&version.body.file_path, &key.0).await?;
        let model = tokio::task::spawn_blocking(move || frazil_ml::model::load(algorithm, &bytes))
            .await
            .map_err(|error| ModelsError::Internal(error.to_string()))??;
        let model = Arc::new(LoadedModel::new(key.0.clone(), model, label_type)?);
        Ok(self.inner.loaded.lock().insert(key, model))
    }

    /// The bytes of a version's model file.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub async fn file(&self, version: &ModelVersion) -> Result<Vec<u8>> {
        self.inner.files.get(&version.body.file_path, &version.file_sha256).await
    }

    /// Makes a model with its first version, which becomes the default version.
    ///
    /// # Errors
    /// 002002 where the name is taken and `replace` is not set; a replaced model that an
    /// endpoint serves.
    pub async fn create_model(
        &self,
        new: NewModel,
        version: NewVersion,
        actor: &Principal,
    ) -> Result<(Object<Model>, ModelVersion)> {
        let filing = self.inner.filing.lock().await;
        let (file, mut body) = self.store(&version).await?;
        let mut transaction = self.inner.account.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        let old = writer.object::<Model>(new.place.schema_id, &new.name, 0).await?;
        let mut replaced = false;
        if let Some(old) = old.filter(|_| new.replace) {
            self.refuse_served(&old, None).await?;
            writer.drop_object(ObjectKind::Model, old.id).await?;
            replaced = true;
        }
        let mut model = writer
            .create_object(NewObject {
                name: new.name,
                place: new.place,
                owner_role: actor.role.clone(),
                comment: new.comment,
                body: Model::default(),
            })
            .await?;
        body.created_by = actor.user.clone();
        let version =
            add(&mut writer, &mut model, version.name, version.comment, file, body, actor).await?;
        transaction.commit().await?;
        self.invalidate();
        if replaced {
            self.remove_unused().await?;
        }
        drop(filing);
        Ok((model, version))
    }

    /// Adds a version to a model. The default version stays where it is.
    ///
    /// # Errors
    /// The model is gone, or has a version or alias of this name.
    pub async fn add_version(
        &self,
        model_id: i64,
        version: NewVersion,
        actor: &Principal,
    ) -> Result<ModelVersion> {
        let _filing = self.inner.filing.lock().await;
        let (file, mut body) = self.store(&version).await?;
        body.created_by = actor.user.clone();
        let mut transaction = self.inner.account.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        let mut model = writer.model(model_id).await?;
        let added =
            add(&mut writer, &mut model, version.name, version.comment, file, body, actor).await?;
        transaction.commit().await?;
        self.invalidate();
        Ok(added)
    }

    /// SET DEFAULT_VERSION. Endpoints that follow it switch at once.
    ///
    /// # Errors
    /// The model or the version is gone.
    pub async fn set_default_version(
        &self,
        model_id: i64,
        version: &str,
        actor: &Principal,
    ) -> Result<()> {
        let mut transaction = self.inner.account.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        let mut model = writer.model(model_id).await?;
        let versions = writer.model_versions(model_id).await?;
        let to = find_version(&model, &versions, Some(version))?.name.clone();
        let from = std::mem::replace(&mut model.body.default_version, to.clone());
        writer.update_object(&model).await?;
        let change = change(model_id, "DEFAULT_VERSION SET", actor);
        writer
            .record_model_change(&ModelChange {
                from_version: Some(from),
                to_version: Some(to),
                ..change
            })
            .await?;
        transaction.commit().await?;
        self.invalidate();
        Ok(())
    }

    /// Points an alias to a version, or with none takes it away.
    ///
    /// # Errors
    /// The version does not exist; the alias is a version's name or a reserved word; the alias to
    /// take away does not exist.
    pub async fn set_alias(
        &self,
        model_id: i64,
        alias: &str,
        version: Option<&str>,
        actor: &Principal,
    ) -> Result<()> {
        let mut transaction = self.inner.account.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        let model = writer.model(model_id).await?;
        let versions = writer.model_versions(model_id).await?;
        let old = versions.iter().find(|v| v.aliases.iter().any(|a| a == alias));
        let (to, what) = match version {
            Some(version) => {
                refuse_taken(alias, versions.iter().filter(|v| v.name == alias).count() > 0)?;
                (Some(find_version(&model, &versions, Some(version))?), "ALIAS SET")
            }
            None if old.is_none() => return Err(UserError::not_found("Alias", alias).into()),
            None => (None, "ALIAS UNSET"),
        };
        writer.set_model_alias(model_id, alias, to.map(|v| v.id)).await?;
        writer
            .record_model_change(&ModelChange {
                alias: Some(alias.to_string()),
                from_version: old.map(|v| v.name.clone()),
                to_version: to.map(|v| v.name.clone()),
                ..change(model_id, what, actor)
            })
            .await?;
        transaction.commit().await?;
        self.invalidate();
        Ok(())
    }

    /// Sets a version's comment.
    ///
    /// # Errors
    /// The model has no such version.
    pub async fn set_version_comment(
        &self,
        model_id: i64,
        version: &str,
        comment: Option<String>,
    ) -> Result<()> {
        let mut transaction = self.inner.account.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        let model = writer.model(model_id).await?;
        let versions = writer.model_versions(model_id).await?;
        let mut version = find_version(&model, &versions, Some(version))?.clone();
        version.comment = comment;
        writer.update_model_version(&version).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Renames a model, moves it to another schema, or sets its comment: whatever differs.
    ///
    /// # Errors
    /// The new name is taken.
    pub async fn update_model(&self, model: &Object<Model>) -> Result<()> {
        let mut transaction = self.inner.account.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        // The body is moved by this registry alone: keep what it is now.
        let now = writer.model(model.id).await?;
        writer.update_object(&Object { body: now.body, ..model.clone() }).await?;
        transaction.commit().await?;
        self.invalidate();
        Ok(())
    }

    /// Removes a version.
    ///
    /// # Errors
    /// It is the default version, or an endpoint serves it.
    pub async fn drop_version(
        &self,
        model_id: i64,
        version: &str,
        actor: &Principal,
    ) -> Result<()> {
        let _filing = self.inner.filing.lock().await;
        let mut transaction = self.inner.account.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        let model = writer.model(model_id).await?;
        let versions = writer.model_versions(model_id).await?;
        let version = find_version(&model, &versions, Some(version))?;
        if version.name == model.body.default_version {
            return Err(model_error(format!(
                "Version '{}' is the default version of model '{}' and can not be dropped.",
                version.name, model.name
            )));
        }
        self.refuse_served(&model, Some(&version.name)).await?;
        writer.drop_model_version(version.id).await?;
        writer
            .record_model_change(&ModelChange {
                from_version: Some(version.name.clone()),
                ..change(model_id, "VERSION DROPPED", actor)
            })
            .await?;
        transaction.commit().await?;
        self.invalidate();
        self.remove_unused().await
    }

    /// Removes a model with its versions.
    ///
    /// # Errors
    /// An endpoint serves it.
    pub async fn drop_model(&self, model: &Object<Model>) -> Result<()> {
        let _filing = self.inner.filing.lock().await;
        self.refuse_served(model, None).await?;
        let mut transaction = self.inner.account.begin().await?;
        Writer::on(&mut transaction).drop_object(ObjectKind::Model, model.id).await?;
        transaction.commit().await?;
        self.invalidate();
        self.remove_unused().await
    }

    /// Removes files that no version uses, such as those of a crashed training statement or of a
    /// dropped schema.
    ///
    /// # Errors
    /// The file system or the catalog refuses.
    pub async fn clean(&self) -> Result<()> {
        let _filing = self.inner.filing.lock().await;
        self.remove_unused().await
    }

    /// Removes what writes that a crash broke off left; gives the number of files.
    ///
    /// # Errors
    /// The file system refuses.
    pub async fn reap_unfinished(&self) -> Result<usize> {
        let _filing = self.inner.filing.lock().await;
        self.inner.files.reap_unfinished().await
    }

    /// Paths of files that no version uses.
    ///
    /// # Errors
    /// The file system or the catalog refuses.
    pub async fn unused_files(&self) -> Result<Vec<String>> {
        let used: HashSet<String> = self.inner.account.model_digests().await?.into_iter().collect();
        let mut files = self.inner.files.list().await?;
        files.retain(|path| {
            let name = path.rsplit('/').next().unwrap_or(path);
            !used.contains(name.split('.').next().unwrap_or(name))
        });
        Ok(files)
    }

    /// Digests that a version names and that no file has.
    ///
    /// # Errors
    /// The file system or the catalog refuses.
    pub async fn missing_files(&self) -> Result<Vec<String>> {
        let there = self.inner.files.list().await?;
        let there: HashSet<&str> = there
            .iter()
            .map(|path| path.rsplit('/').next().unwrap_or(path))
            .map(|name| name.split('.').next().unwrap_or(name))
            .collect();
        // Asked after the listing, so that a file removed since is no longer named.
        let mut named = self.inner.account.model_digests().await?;
        named.retain(|digest| !there.contains(digest.as_str()));
        if !named.is_empty() {
            // One that was filed since is there now.
            let now = self.inner.files.list().await?;
            named.retain(|digest| !now.iter().any(|path| path.contains(digest.as_str())));
        }
        named.sort();
        Ok(named)
    }

    /// Puts back files in quarantine that a version uses and that are not there, and sets aside
    /// those that no version uses; gives the numbers of both.
    ///
    /// # Errors
    /// The file system or the catalog refuses.
    pub async fn quarantine_unused(&self, batch: &str) -> Result<(usize, usize)> {
        let _filing = self.inner.filing.lock().await;
        let files = &self.inner.files;
        let used: HashSet<String> = self.inner.account.model_digests().await?.into_iter().collect();
        let there = files.list().await?;
        let mut put_back = 0;
        for (from, name) in files.quarantined().await? {
            let lost = !there.iter().any(|path| path.ends_with(&format!("/{name}")));
            if lost && used.contains(name.split('.').next().unwrap_or(&name)) {
                files.put_back(&from, &name).await?;
                put_back += 1;
            }
        }
        let unused = self.unused_files().await?;
        for path in &unused {
            files.set_aside(path, batch).await?;
        }
        Ok((put_back, unused.len()))
    }

    /// Removes the batches of files set aside that are chosen; gives the number of files.
    ///
    /// # Errors
    /// The file system refuses.
    pub async fn purge_quarantine(&self, chosen: impl Fn(&str) -> bool) -> Result<usize> {
        let mut files = self.inner.files.quarantined().await?;
        files.retain(|(batch, _)| chosen(batch));
        let batches: HashSet<&String> = files.iter().map(|(batch, _)| batch).collect();
        for batch in batches {
            self.inner.files.purge(batch).await?;
        }
        Ok(files.len())
    }

    async fn remove_unused(&self) -> Result<()> {
        for path in self.unused_files().await? {
            self.inner.files.delete(&path).await?;
        }
        Ok(())
    }

    /// Stores the file, and completes what is known of the version.
    async fn store(&self, version: &NewVersion) -> Result<(StoredFile, ModelVersionBody)> {
        let model = version.model.as_ref();
        let file = self.inner.files.put(model.to_bytes()?, model.extension()).await?;
        let signature = model.signature();
        let features: Vec<String> = signature.features.iter().map(|f| f.name.clone()).collect();
        let importance: serde_json::Map<String, serde_json::Value> =
            features.iter().cloned().zip(model.importance().into_iter().map(Into::into)).collect();
        let body = ModelVersionBody {
            algorithm: algorithm_name(model.algorithm())?,
            extension: model.extension().to_string(),
            signature: to_json(signature)?,
            importance: importance.into(),
            file_path: file.path.clone(),
            file_bytes: file.bytes,
            features,
            ..version.body.clone()
        };
        Ok((file, body))
    }

    /// Refuses when an endpoint would lose what it serves.
    async fn refuse_served(&self, model: &Object<Model>, version: Option<&str>) -> Result<()> {
        let endpoints = self.inner.account.objects::<Endpoint>(ObjectFilter::default()).await?;
        let serving = endpoints.iter().find(|endpoint| {
            endpoint.body.model_id == model.id
                && (version.is_none() || endpoint.body.version.as_deref() == version)
        });
        match serving {
            Some(endpoint) => Err(model_error(format!(
                "Model '{}' can not be dropped: endpoint '{}' serves it.",
                model.name, endpoint.name
            ))),
            None => Ok(()),
        }
    }
}

impl Loaded {
    fn get(&mut self, key: &(String, SqlType)) -> Option<Arc<LoadedModel>> {
        self.clock += 1;
        let (used, model) = self.models.get_mut(key)?;
        *used = self.clock;
        Some(Arc::clone(model))
    }

    /// Keeps a model and gives it back; or the one that came first.
    fn insert(&mut self, key: (String, SqlType), model: Arc<LoadedModel>) -> Arc<LoadedModel> {
        if let Some(first) = self.get(&key) {
            return first;
        }
        if self.models.len() >= LOADED_MAX {
            let oldest = self.models.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.models.remove(&oldest);
            }
        }
        self.models.insert(key, (self.clock, Arc::clone(&model)));
        model
    }
}

async fn add(
    writer: &mut Writer<'_>,
    model: &mut Object<Model>,
    name: Option<String>,
    comment: Option<String>,
    file: StoredFile,
    body: ModelVersionBody,
    actor: &Principal,
) -> Result<ModelVersion> {
    let versions = writer.model_versions(model.id).await?;
    let taken = |name: &str| {
        versions.iter().any(|v| v.name == name || v.aliases.iter().any(|alias| alias == name))
    };
    let name = match name {
        Some(name) => name,
        None => loop {
            model.body.last_automatic += 1;
            let name = format!("V{}", model.body.last_automatic);
            if !taken(&name) {
                break name;
            }
        },
    };
    refuse_taken(&name, taken(&name))?;
    let version = writer
        .create_model_version(NewModelVersion {
            model_id: model.id,
            name,
            comment,
            file_sha256: file.sha256,
            body,
        })
        .await?;
    if model.body.default_version.is_empty() {
        model.body.default_version = version.name.clone();
    }
    writer.update_object(model).await?;
    writer
        .record_model_change(&ModelChange {
            to_version: Some(version.name.clone()),
            ..change(model.id, "VERSION ADDED", actor)
        })
        .await?;
    Ok(version)
}

fn refuse_taken(name: &str, taken: bool) -> Result<()> {
    if taken {
        Err(UserError::exists(name).into())
    } else if RESERVED.contains(&name) {
        Err(model_error(format!("'{name}' is reserved and can not name a version or alias.")))
    } else {
        Ok(())
    }
}

fn change(model_id: i64, what: &str, actor: &Principal) -> ModelChange {
    ModelChange {
        model_id,
        what: what.to_string(),
        alias: None,
        from_version: None,
        to_version: None,
        user: actor.user.clone(),
        role: actor.role.clone(),
        changed_on: 0,
    }
}

pub(crate) fn model_error(message: String) -> ModelsError {
    ModelsError::User(UserError::new(Code::ModelError, message))
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| ModelsError::Internal(error.to_string()))
}

/// The word of `USING`.
fn algorithm_name(algorithm: Algorithm) -> Result<String> {
    match to_json(&algorithm)? {
        serde_json::Value::String(name) => Ok(name),
        other => Err(ModelsError::Internal(format!("algorithm written as {other}"))),
    }
}

/// The type of a classifier's labels, where the version tells it.
fn label_type(version: &ModelVersion) -> Result<Option<SqlType>> {
    let target = version.body.target_type.as_ref();
    Ok(target.map(|target| target.parse::<SqlType>()).transpose()?)
}

fn algorithm(name: &str) -> Result<Algorithm> {
    serde_json::from_value(name.into()).map_err(|_| {
        ModelsError::Model(MlError::Unsupported(format!("models of algorithm {name}")))
    })
}
