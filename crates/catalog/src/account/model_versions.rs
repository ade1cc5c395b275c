//! Versions of models, their aliases, and who moved which name when.

use std::collections::BTreeMap;

use frazil_common::{ObjectKind, SnapshotId};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::error::{from_json, not_found, on_insert, to_json};
use super::{AccountStore, Model, Object, Writer, now_micros};
use crate::Result;

/// How a version came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionSource {
    /// By a training statement.
    #[default]
    Trained,
    /// From a model file on a stage.
    Imported,
}

/// An object whose rows a training query read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingSource {
    pub kind: ObjectKind,
    pub id: i64,
}

/// What is known of a version; enough to train it again at the same snapshot.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelVersionBody {
    pub source: VersionSource,
    /// `GBT`, `LINEAR`, `LOGISTIC`, `SVD`.
    pub algorithm: String,
    /// Extension of the model file, such as `json`.
    pub extension: String,
    /// Text of the training query; none for imported versions.
    pub query_text: Option<String>,
    /// Current database and schema when the query was written: its bare names mean these.
    pub query_database: Option<String>,
    pub query_schema: Option<String>,
    /// When it was run, in microseconds since 1970: what CURRENT_TIMESTAMP was.
    pub query_time: Option<i64>,
    /// Session parameters that were set when it was run.
    pub query_parameters: BTreeMap<String, serde_json::Value>,
    /// Digest of its rows, held-out ones too: whether a later run of it gave the same.
    pub rows_digest: Option<String>,
    /// What it read, below views too; none where that is not known, as in versions of before.
    pub sources: Option<Vec<TrainingSource>>,
    /// The snapshot the training query read.
    pub snapshot_id: Option<SnapshotId>,
    pub query_id: Option<String>,
    /// Features, target, classes, as the ML crate writes them.
    pub signature: serde_json::Value,
    /// OPTIONS as given.
    pub options: serde_json::Value,
    /// EVALUATE as given.
    pub evaluation: serde_json::Value,
    pub metrics: serde_json::Value,
    /// Share of each feature.
    pub importance: serde_json::Value,
    /// Sketch of the training rows: the drift baseline when the snapshot is gone.
    pub training_statistics: serde_json::Value,
    /// Path of the model file in the model store.
    pub file_path: String,
    /// Bytes of the model file.
    pub file_bytes: u64,
    /// Rows of the training query.
    pub rows: u64,
    /// Seconds that training took.
    pub seconds: f64,
    pub features: Vec<String>,
    /// SQL type of the target, as text.
    pub target_type: Option<String>,
    pub created_by: String,
}

/// A version of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelVersion {
    pub id: i64,
    pub model_id: i64,
    pub name: String,
    pub aliases: Vec<String>,
    pub comment: Option<String>,
    pub created_on: i64,
    /// Hexadecimal SHA-256 of the model file.
    pub file_sha256: String,
    pub body: ModelVersionBody,
}

/// A version to be added.
#[derive(Debug, Clone)]
pub struct NewModelVersion {
    pub model_id: i64,
    pub name: String,
    pub comment: Option<String>,
    pub file_sha256: String,
    pub body: ModelVersionBody,
}

/// One move of an alias or of the default version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelChange {
    pub model_id: i64,
    /// `VERSION ADDED`, `VERSION DROPPED`, `ALIAS SET`, `ALIAS UNSET`, `DEFAULT_VERSION SET`.
    pub what: String,
    pub alias: Option<String>,
    pub from_version: Option<String>,
    pub to_version: Option<String>,
    pub user: String,
    pub role: String,
    pub changed_on: i64,
}

impl ModelVersion {
    fn from_row(row: &SqliteRow) -> Result<Self> {
        Ok(ModelVersion {
            id: row.try_get("version_id")?,
            model_id: row.try_get("model_id")?,
            name: row.try_get("name")?,
            aliases: Vec::new(),
            comment: row.try_get("comment")?,
            created_on: row.try_get("created_on")?,
            file_sha256: row.try_get("file_sha256")?,
            body: from_json(row.try_get("body")?)?,
        })
    }
}

async fn versions(connection: &mut SqliteConnection, model_id: i64) -> Result<Vec<ModelVersion>> {
    let mut versions: Vec<ModelVersion> =
        sqlx::query("SELECT * FROM frazil_model_version WHERE model_id = $1 ORDER BY version_id")
            .bind(model_id)
            .fetch_all(&mut *connection)
            .await?
            .iter()
            .map(ModelVersion::from_row)
            .collect::<Result<_>>()?;
    let aliases: Vec<(String, i64)> = sqlx::query_as(
        "SELECT alias, version_id FROM frazil_model_alias WHERE model_id = $1 ORDER BY alias",
    )
    .bind(model_id)
    .fetch_all(connection)
    .await?;
    let mut by_version: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (alias, version) in aliases {
        by_version.entry(version).or_default().push(alias);
    }
    for version in &mut versions {
        version.aliases = by_version.remove(&version.id).unwrap_or_default();
    }
    Ok(versions)
}

impl AccountStore {
    /// A model's versions, oldest first, with their aliases.
    pub async fn model_versions(&self, model_id: i64) -> Result<Vec<ModelVersion>> {
        versions(&mut *self.reader().await?, model_id).await
    }

    /// The history of a model's names, oldest first.
    pub async fn model_changes(&self, model_id: i64) -> Result<Vec<ModelChange>> {
        sqlx::query("SELECT * FROM frazil_model_change WHERE model_id = $1 ORDER BY change_id")
            .bind(model_id)
            .fetch_all(&mut *self.reader().await?)
            .await?
            .iter()
            .map(|row| {
                Ok(ModelChange {
                    model_id: row.try_get("model_id")?,
                    what: row.try_get("what")?,
                    alias: row.try_get("alias")?,
                    from_version: row.try_get("from_version")?,
                    to_version: row.try_get("to_version")?,
                    user: row.try_get("user_name")?,
                    role: row.try_get("role_name")?,
                    changed_on: row.try_get("changed_on")?,
                })
            })
            .collect()
    }

    /// The snapshots that training queries of kept versions read.
    pub async fn model_snapshots(&self) -> Result<Vec<SnapshotId>> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT body FROM frazil_model_version")
            .fetch_all(&mut *self.reader().await?)
            .await?;
        let mut snapshots = Vec::new();
        for (body,) in rows {
            let body: ModelVersionBody = from_json(&body)?;
            snapshots.extend(body.snapshot_id);
        }
        Ok(snapshots)
    }

    /// Digests of all model files that some version uses.
    pub async fn model_digests(&self) -> Result<Vec<String>> {
        model_digests(&mut *self.reader().await?).await
    }
}

/// Digests of all model files that some version in an account uses.
pub(crate) async fn model_digests(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar("SELECT DISTINCT file_sha256 FROM frazil_model_version")
        .fetch_all(&mut *connection)
        .await?)
}

impl Writer<'_> {
    /// A model's versions, oldest first, as this transaction has them.
    pub async fn model_versions(&mut self, model_id: i64) -> Result<Vec<ModelVersion>> {
        versions(self.connection, model_id).await
    }

    /// Adds a version.
    ///
    /// # Errors
    /// The model has a version or alias of this name.
    pub async fn create_model_version(&mut self, new: NewModelVersion) -> Result<ModelVersion> {
        let version = ModelVersion {
            id: self.next_id().await?,
            model_id: new.model_id,
            name: new.name,
            aliases: Vec::new(),
            comment: new.comment,
            created_on: now_micros(),
            file_sha256: new.file_sha256,
            body: new.body,
        };
        sqlx::query(
            "INSERT INTO frazil_model_version
                (version_id, model_id, name, comment, created_on, file_sha256, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(version.id)
        .bind(version.model_id)
        .bind(&version.name)
        .bind(&version.comment)
        .bind(version.created_on)
        .bind(&version.file_sha256)
        .bind(to_json(&version.body)?)
        .execute(&mut *self.connection)
        .await
        .map_err(|error| on_insert(error, &version.name))?;
        Ok(version)
    }

    /// Sets a version's comment or body, found by id.
    pub async fn update_model_version(&mut self, version: &ModelVersion) -> Result<()> {
        sqlx::query(
            "UPDATE frazil_model_version SET comment = $2, body = $3 WHERE version_id = $1",
        )
        .bind(version.id)
        .bind(&version.comment)
        .bind(to_json(&version.body)?)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Removes a version and its aliases.
    pub async fn drop_model_version(&mut self, version_id: i64) -> Result<()> {
        for statement in [
            "DELETE FROM frazil_model_alias WHERE version_id = $1",
            "DELETE FROM frazil_model_version WHERE version_id = $1",
        ] {
            sqlx::query(statement).bind(version_id).execute(&mut *self.connection).await?;
        }
        Ok(())
    }

    /// Points an alias to a version, or with none takes it away.
    pub async fn set_model_alias(
        &mut self,
        model_id: i64,
        alias: &str,
        version_id: Option<i64>,
    ) -> Result<()> {
        match version_id {
            Some(version_id) => {
                sqlx::query(
                    "INSERT INTO frazil_model_alias (model_id, alias, version_id)
                     VALUES ($1, $2, $3)
                     ON CONFLICT (model_id, alias) DO UPDATE SET version_id = excluded.version_id",
                )
                .bind(model_id)
                .bind(alias)
                .bind(version_id)
                .execute(&mut *self.connection)
                .await?;
            }
            None => {
                sqlx::query("DELETE FROM frazil_model_alias WHERE model_id = $1 AND alias = $2")
                    .bind(model_id)
                    .bind(alias)
                    .execute(&mut *self.connection)
                    .await?;
            }
        }
        Ok(())
    }

    /// The model with this id, to be changed.
    ///
    /// # Errors
    /// It is gone.
    pub async fn model(&mut self, model_id: i64) -> Result<Object<Model>> {
        self.object_by_id(model_id)
            .await?
            .ok_or_else(|| not_found(ObjectKind::Model, &model_id.to_string()))
    }

    /// Notes a move of a name; `changed_on` is set here.
    pub async fn record_model_change(&mut self, change: &ModelChange) -> Result<()> {
        sqlx::query(
            "INSERT INTO frazil_model_change (change_id, model_id, what, alias, from_version,
                to_version, user_name, role_name, changed_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(self.next_id().await?)
        .bind(change.model_id)
        .bind(&change.what)
        .bind(&change.alias)
        .bind(&change.from_version)
        .bind(&change.to_version)
        .bind(&change.user)
        .bind(&change.role)
        .bind(now_micros())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
