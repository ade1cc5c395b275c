//! Objects whose properties are a typed JSON body: warehouses, stages, file formats, sequences,
//! models and endpoints.

use std::collections::BTreeMap;

use frazil_common::{ObjectKind, SqlType};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::error::{from_json, not_found, on_insert, parse_word, to_json};
use super::{AccountStore, Writer, now_micros};
use crate::Result;

/// The properties of one kind of object.
pub trait ObjectBody: Serialize + DeserializeOwned + Send + Sync {
    const KIND: ObjectKind;
}

macro_rules! body {
    ($($name:ident),*) => {
        $(impl ObjectBody for $name { const KIND: ObjectKind = ObjectKind::$name; })*
    };
}
body!(
    Warehouse,
    ResourceMonitor,
    Stage,
    FileFormat,
    Sequence,
    Model,
    Endpoint,
    MaskingPolicy,
    RowAccessPolicy,
    Tag
);

/// A warehouse: a name that queries run under, and their limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Warehouse {
    /// Snowflake's word, such as `X-Small`.
    pub size: String,
    /// Seconds; none never suspends.
    pub auto_suspend: Option<i64>,
    pub auto_resume: bool,
    pub suspended: bool,
    /// Seconds a statement may run; 0 for no limit.
    pub statement_timeout: i64,
    /// The id of its resource monitor.
    pub resource_monitor: Option<i64>,
    /// Other properties as written, upper-case names.
    pub options: BTreeMap<String, serde_json::Value>,
}

impl Default for Warehouse {
    fn default() -> Self {
        Warehouse {
            size: "X-Small".to_string(),
            auto_suspend: Some(600),
            auto_resume: true,
            suspended: false,
            statement_timeout: 0,
            resource_monitor: None,
            options: BTreeMap::new(),
        }
    }
}

/// How often a resource monitor begins to count anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum MonitorFrequency {
    #[default]
    Monthly,
    Daily,
    Weekly,
    Yearly,
    Never,
}

/// What a trigger of a resource monitor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MonitorAction {
    Notify,
    /// Nothing starts; what runs goes on.
    Suspend,
    /// What runs is cancelled too.
    SuspendImmediate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorTrigger {
    /// Of the quota.
    pub percent: u32,
    pub action: MonitorAction,
}

/// Limits the credits of warehouses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceMonitor {
    /// Credits a period; none never triggers.
    pub credit_quota: Option<i64>,
    pub frequency: MonitorFrequency,
    /// Start of the first period.
    pub start_time: i64,
    /// When its warehouses are suspended, whatever they used.
    pub end_time: Option<i64>,
    pub notify_users: Vec<String>,
    pub triggers: Vec<MonitorTrigger>,
}

/// An internal stage. Its bytes lie under its id.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stage {
    /// FILE_FORMAT options, upper-case names; FORMAT_NAME for a named format.
    pub file_format: BTreeMap<String, serde_json::Value>,
    /// COPY_OPTIONS, upper-case names.
    pub copy_options: BTreeMap<String, serde_json::Value>,
    /// DIRECTORY = (ENABLE = TRUE).
    pub directory: bool,
}

/// A named file format.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FileFormat {
    /// `CSV`, `PARQUET`, `JSON` …
    pub format_type: String,
    /// Options other than TYPE, upper-case names.
    #[serde(default)]
    pub options: BTreeMap<String, serde_json::Value>,
}

/// A sequence; its next value is kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    pub start: i64,
    pub increment: i64,
    pub ordered: bool,
}

/// A model; its versions are rows of their own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Name of the default version; empty until the first version is added.
    pub default_version: String,
    /// Number of the last version that was named automatically (V1, V2 …).
    pub last_automatic: i64,
}

/// A name under which a model is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub model_id: i64,
    /// None follows the model's default version.
    pub version: Option<String>,
    #[serde(default)]
    pub suspended: bool,
}

/// What a policy computes from its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRule {
    /// Names and types of the arguments.
    pub arguments: Vec<(String, SqlType)>,
    pub returns: SqlType,
    /// The expression as SQL text.
    pub body: String,
}

/// Tells what a role sees in the place of a column's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskingPolicy {
    pub rule: PolicyRule,
}

/// Tells which rows a role sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowAccessPolicy {
    pub rule: PolicyRule,
}

/// A tag. Its values are kept apart, with what they are on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tag {
    /// Empty: any value.
    pub allowed_values: Vec<String>,
}

/// Where an object lives: all zero for objects of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Place {
    pub database_id: i64,
    pub schema_id: i64,
    /// The session whose temporary object this is; 0 for permanent ones.
    pub session_id: i64,
}

impl Place {
    /// A permanent object in a schema.
    pub fn in_schema(database_id: i64, schema_id: i64) -> Self {
        Place { database_id, schema_id, session_id: 0 }
    }

    /// A temporary object in a schema.
    pub fn temporary(database_id: i64, schema_id: i64, session_id: i64) -> Self {
        Place { database_id, schema_id, session_id }
    }

    fn containers(self) -> Option<(i64, Option<i64>)> {
        (self.schema_id != 0).then_some((self.database_id, Some(self.schema_id)))
    }
}

/// An object with its properties.
#[derive(Debug, Clone, PartialEq)]
pub struct Object<B> {
    pub id: i64,
    pub name: String,
    pub place: Place,
    /// The owning role's name.
    pub owner: Option<String>,
    pub comment: Option<String>,
    pub created_on: i64,
    pub altered_on: i64,
    pub body: B,
}

/// An object to be made.
#[derive(Debug, Clone)]
pub struct NewObject<B> {
    pub name: String,
    pub place: Place,
    pub owner_role: String,
    pub comment: Option<String>,
    pub body: B,
}

/// What is left to clean up after an object was dropped with its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHeader {
    pub kind: ObjectKind,
    pub id: i64,
    pub name: String,
    pub place: Place,
}

/// Which objects to list. Unset fields do not restrict.
#[derive(Debug, Clone, Copy, Default)]
pub struct ObjectFilter {
    pub database_id: Option<i64>,
    pub schema_id: Option<i64>,
    /// Temporary objects are listed for this session only; for none where unset.
    pub session_id: Option<i64>,
}

const COLUMNS: &str = "SELECT o.object_id, o.kind, o.database_id, o.schema_id, o.session_id,
    o.name, o.comment, o.created_on, o.altered_on, o.body, r.name AS owner
    FROM frazil_object o
    LEFT JOIN frazil_owner w ON w.object_kind = o.kind AND w.object_id = o.object_id
    LEFT JOIN frazil_role r ON r.role_id = w.role_id
    WHERE o.kind = ";

impl<B: ObjectBody> Object<B> {
    fn from_row(row: &SqliteRow) -> Result<Self> {
        Ok(Object {
            id: row.try_get("object_id")?,
            name: row.try_get("name")?,
            place: place(row)?,
            owner: row.try_get("owner")?,
            comment: row.try_get("comment")?,
            created_on: row.try_get("created_on")?,
            altered_on: row.try_get("altered_on")?,
            body: from_json(row.try_get("body")?)?,
        })
    }
}

fn place(row: &SqliteRow) -> Result<Place> {
    Ok(Place {
        database_id: row.try_get("database_id")?,
        schema_id: row.try_get("schema_id")?,
        session_id: row.try_get("session_id")?,
    })
}

fn select<B: ObjectBody>() -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(COLUMNS);
    query.push_bind(B::KIND.as_str());
    query
}

/// The object of this name that a session sees: its own temporary one hides a permanent one.
fn by_name<B: ObjectBody>(schema_id: i64, name: &str, session_id: i64) -> QueryBuilder<Sqlite> {
    let mut query = select::<B>();
    query.push(" AND o.schema_id = ").push_bind(schema_id);
    query.push(" AND o.name = ").push_bind(name.to_string());
    query.push(" AND o.session_id IN (0, ").push_bind(session_id);
    query.push(") ORDER BY o.session_id DESC LIMIT 1");
    query
}

fn by_id<B: ObjectBody>(id: i64) -> QueryBuilder<Sqlite> {
    let mut query = select::<B>();
    query.push(" AND o.object_id = ").push_bind(id);
    query
}

impl AccountStore {
    /// The object of this name that a session sees, or none. `schema_id` is 0 for warehouses and
    /// endpoints; `session_id` 0 sees no temporary objects.
    pub async fn object<B: ObjectBody>(
        &self,
        schema_id: i64,
        name: &str,
        session_id: i64,
    ) -> Result<Option<Object<B>>> {
        self.found(by_name::<B>(schema_id, name, session_id)).await
    }

    /// The object with this id, or none.
    pub async fn object_by_id<B: ObjectBody>(&self, id: i64) -> Result<Option<Object<B>>> {
        self.found(by_id::<B>(id)).await
    }

    async fn found<B: ObjectBody>(
        &self,
        mut query: QueryBuilder<Sqlite>,
    ) -> Result<Option<Object<B>>> {
        let row = query.build().fetch_optional(&mut *self.reader().await?).await?;
        row.as_ref().map(Object::from_row).transpose()
    }

    /// Objects of a kind by schema and name.
    pub async fn objects<B: ObjectBody>(&self, filter: ObjectFilter) -> Result<Vec<Object<B>>> {
        let mut query = select::<B>();
        query.push(" AND o.session_id IN (0, ").push_bind(filter.session_id.unwrap_or(0));
        query.push(")");
        if let Some(database) = filter.database_id {
            query.push(" AND o.database_id = ").push_bind(database);
        }
        if let Some(schema) = filter.schema_id {
            query.push(" AND o.schema_id = ").push_bind(schema);
        }
        query.push(" ORDER BY o.database_id, o.schema_id, o.name, o.session_id");
        query
            .build()
            .fetch_all(&mut *self.reader().await?)
            .await?
            .iter()
            .map(Object::from_row)
            .collect()
    }
}

impl Writer<'_> {
    /// The object of this name that a session sees, as this transaction has it.
    pub async fn object<B: ObjectBody>(
        &mut self,
        schema_id: i64,
        name: &str,
        session_id: i64,
    ) -> Result<Option<Object<B>>> {
        let mut query = by_name::<B>(schema_id, name, session_id);
        let row = query.build().fetch_optional(&mut *self.connection).await?;
        row.as_ref().map(Object::from_row).transpose()
    }

    /// The object with this id, as this transaction has it.
    pub async fn object_by_id<B: ObjectBody>(&mut self, id: i64) -> Result<Option<Object<B>>> {
        let mut query = by_id::<B>(id);
        let row = query.build().fetch_optional(&mut *self.connection).await?;
        row.as_ref().map(Object::from_row).transpose()
    }

    /// The permanent objects of a kind in a schema, as this transaction has them.
    pub(super) async fn permanent<B: ObjectBody>(
        &mut self,
        schema_id: i64,
    ) -> Result<Vec<Object<B>>> {
        let mut query = select::<B>();
        query.push(" AND o.session_id = 0 AND o.schema_id = ").push_bind(schema_id);
        query.push(" ORDER BY o.object_id");
        let rows = query.build().fetch_all(&mut *self.connection).await?;
        rows.iter().map(Object::from_row).collect()
    }

    /// Makes an object with its owner and the grants promised in its schema.
    ///
    /// # Errors
    /// The name is taken at that place; the owner role is unknown.
    pub async fn create_object<B: ObjectBody>(&mut self, new: NewObject<B>) -> Result<Object<B>> {
        let owner_role = new.owner_role.clone();
        let object = self.insert_object(new).await?;
        let containers = object.place.containers();
        self.register_object(B::KIND, object.id, &owner_role, containers).await?;
        Ok(Object { owner: Some(owner_role), ..object })
    }

    /// Makes an object outside any schema that is no role's, such as the stage of a user.
    ///
    /// # Errors
    /// The name is taken.
    pub async fn create_unowned<B: ObjectBody>(
        &mut self,
        name: String,
        body: B,
    ) -> Result<Object<B>> {
        let place = Place::default();
        let new = NewObject { name, place, owner_role: String::new(), comment: None, body };
        self.insert_object(new).await
    }

    async fn insert_object<B: ObjectBody>(&mut self, new: NewObject<B>) -> Result<Object<B>> {
        let now = now_micros();
        let object = Object {
            id: self.next_id().await?,
            name: new.name,
            place: new.place,
            owner: None,
            comment: new.comment,
            created_on: now,
            altered_on: now,
            body: new.body,
        };
        sqlx::query(
            "INSERT INTO frazil_object (object_id, kind, database_id, schema_id, session_id,
                name, comment, created_on, altered_on, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)",
        )
        .bind(object.id)
        .bind(B::KIND.as_str())
        .bind(object.place.database_id)
        .bind(object.place.schema_id)
        .bind(object.place.session_id)
        .bind(&object.name)
        .bind(&object.comment)
        .bind(now)
        .bind(to_json(&object.body)?)
        .execute(&mut *self.connection)
        .await
        .map_err(|error| on_insert(error, &object.name))?;
        Ok(object)
    }

    /// Writes back an object's name, place, comment and body, found by id.
    ///
    /// # Errors
    /// The new name is taken; no object has this id.
    pub async fn update_object<B: ObjectBody>(&mut self, object: &Object<B>) -> Result<()> {
        let done = sqlx::query(
            "UPDATE frazil_object SET database_id = $2, schema_id = $3, name = $4, comment = $5,
                altered_on = $6, body = $7
             WHERE object_id = $1 AND kind = $8",
        )
        .bind(object.id)
        .bind(object.place.database_id)
        .bind(object.place.schema_id)
        .bind(&object.name)
        .bind(&object.comment)
        .bind(now_micros())
        .bind(to_json(&object.body)?)
        .bind(B::KIND.as_str())
        .execute(&mut *self.connection)
        .await
        .map_err(|error| on_insert(error, &object.name))?;
        if done.rows_affected() == 0 {
            return Err(not_found(B::KIND, &object.name));
        }
        Ok(())
    }

    /// Removes an object with its grants; for a model with its versions, for a sequence with its
    /// counter, for a tag with its values. False if there was none.
    pub async fn drop_object(&mut self, kind: ObjectKind, id: i64) -> Result<bool> {
        self.keep_ended_grants_on(kind, id).await?;
        let done = sqlx::query("DELETE FROM frazil_object WHERE object_id = $1 AND kind = $2")
            .bind(id)
            .bind(kind.as_str())
            .execute(&mut *self.connection)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        for statement in [
            "DELETE FROM frazil_sequence_value WHERE sequence_id = $1",
            "DELETE FROM frazil_model_alias WHERE model_id = $1",
            "DELETE FROM frazil_model_version WHERE model_id = $1",
            "DELETE FROM frazil_tag_reference WHERE tag_id = $1",
        ] {
            sqlx::query(statement).bind(id).execute(&mut *self.connection).await?;
        }
        self.forget_object(kind, id).await?;
        Ok(true)
    }

    /// Removes every object in a schema that is being dropped, and says which.
    pub async fn drop_objects_in_schema(&mut self, schema_id: i64) -> Result<Vec<ObjectHeader>> {
        self.drop_where("schema_id", schema_id).await
    }

    /// Removes a session's temporary objects, and says which.
    pub async fn drop_objects_of_session(&mut self, session_id: i64) -> Result<Vec<ObjectHeader>> {
        self.drop_where("session_id", session_id).await
    }

    async fn drop_where(&mut self, column: &'static str, id: i64) -> Result<Vec<ObjectHeader>> {
        if id == 0 {
            return Ok(Vec::new());
        }
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT object_id, kind, database_id, schema_id, session_id, name
             FROM frazil_object WHERE ",
        );
        query.push(column).push(" = ").push_bind(id).push(" ORDER BY object_id");
        let headers: Vec<ObjectHeader> = query
            .build()
            .fetch_all(&mut *self.connection)
            .await?
            .iter()
            .map(|row| {
                Ok(ObjectHeader {
                    kind: parse_word(row.try_get("kind")?)?,
                    id: row.try_get("object_id")?,
                    name: row.try_get("name")?,
                    place: place(row)?,
                })
            })
            .collect::<Result<_>>()?;
        for header in &headers {
            self.drop_object(header.kind, header.id).await?;
        }
        Ok(headers)
    }
}
