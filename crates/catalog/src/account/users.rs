//! Users.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use frazil_common::ObjectKind;

use super::error::{from_json, not_found, on_insert, to_json};
use super::{AccountStore, Stage, Writer, now_micros};
use crate::{CatalogError, Result};

/// Properties of a user that only describe, or set what a session begins with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UserProperties {
    pub display_name: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub default_role: Option<String>,
    pub default_warehouse: Option<String>,
    /// A database, or a database and schema, as SQL text.
    pub default_namespace: Option<String>,
    /// Public keys for key-pair logins: base64 of the DER SubjectPublicKeyInfo, no line breaks.
    pub rsa_public_key: Option<String>,
    pub rsa_public_key_2: Option<String>,
    /// Whether `DEFAULT_SECONDARY_ROLES = ('ALL')`: so it is for users that are made without a word of
    /// it. Rows of users that were made before that say FALSE, and keep it.
    pub default_secondary_roles_all: bool,
    /// None is a person, too.
    pub user_type: Option<UserType>,
    /// The time (microseconds since 1970 UTC) from which on the user may not log in any more.
    pub expires_on: Option<i64>,
}

/// What a user stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UserType {
    Person,
    /// A program: it has no password.
    Service,
    /// A program that logs in with a password.
    LegacyService,
}

impl UserType {
    /// Snowflake's word.
    pub fn as_str(self) -> &'static str {
        match self {
            UserType::Person => "PERSON",
            UserType::Service => "SERVICE",
            UserType::LegacyService => "LEGACY_SERVICE",
        }
    }
}

impl std::str::FromStr for UserType {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "PERSON" => Ok(UserType::Person),
            "SERVICE" => Ok(UserType::Service),
            "LEGACY_SERVICE" => Ok(UserType::LegacyService),
            other => Err(CatalogError::Damaged(format!("unknown type of user '{other}'"))),
        }
    }
}

impl UserProperties {
    /// The user's type, in Snowflake's word.
    pub fn type_word(&self) -> &'static str {
        self.user_type.unwrap_or(UserType::Person).as_str()
    }

    /// Whether the user's time is over.
    pub fn has_expired(&self, now_micros: i64) -> bool {
        self.expires_on.is_some_and(|until| until <= now_micros)
    }
}

/// A user of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: i64,
    pub name: String,
    /// What is typed at login, upper case.
    pub login_name: String,
    /// PHC string made by argon2; none for a user that can't log in with a password.
    pub password_hash: Option<String>,
    pub must_change_password: bool,
    pub disabled: bool,
    pub comment: Option<String>,
    pub created_on: i64,
    pub last_login_on: Option<i64>,
    pub properties: UserProperties,
}

/// A user to be made.
#[derive(Debug, Clone, Default)]
pub struct NewUser {
    pub name: String,
    /// The name in upper case where absent.
    pub login_name: Option<String>,
    pub password_hash: Option<String>,
    pub must_change_password: bool,
    pub disabled: bool,
    pub comment: Option<String>,
    pub properties: UserProperties,
    /// The role that will own the user.
    pub owner_role: String,
}

/// Name under which a user's stage is kept, outside any schema. No statement can form it.
pub fn user_stage_name(user_id: i64) -> String {
    format!("user {user_id}")
}

impl User {
    pub(super) fn from_row(row: &SqliteRow) -> Result<Self> {
        Ok(User {
            id: row.try_get("user_id")?,
            name: row.try_get("name")?,
            login_name: row.try_get("login_name")?,
            password_hash: row.try_get("password_hash")?,
            must_change_password: row.try_get("must_change_password")?,
            disabled: row.try_get("disabled")?,
            comment: row.try_get("comment")?,
            created_on: row.try_get("created_on")?,
            last_login_on: row.try_get("last_login_on")?,
            properties: from_json(row.try_get("body")?)?,
        })
    }
}

pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<User>> {
    sqlx::query("SELECT * FROM frazil_user ORDER BY name")
        .fetch_all(connection)
        .await?
        .iter()
        .map(User::from_row)
        .collect()
}

impl AccountStore {
    /// The user with this login name, as typed: case does not matter. Read afresh, so that a
    /// changed password counts at once.
    pub async fn user_by_login(&self, login_name: &str) -> Result<Option<User>> {
        sqlx::query("SELECT * FROM frazil_user WHERE login_name = $1")
            .bind(login_name.to_uppercase())
            .fetch_optional(&mut *self.reader().await?)
            .await?
            .as_ref()
            .map(User::from_row)
            .transpose()
    }

    /// The user with this exact name.
    pub async fn user(&self, name: &str) -> Result<Option<User>> {
        sqlx::query("SELECT * FROM frazil_user WHERE name = $1")
            .bind(name)
            .fetch_optional(&mut *self.reader().await?)
            .await?
            .as_ref()
            .map(User::from_row)
            .transpose()
    }
}

impl Writer<'_> {
    /// Makes a user.
    ///
    /// # Errors
    /// The name or login name is taken; the owner role is unknown.
    pub async fn create_user(&mut self, new: NewUser) -> Result<User> {
        let user = User {
            id: self.next_id().await?,
            login_name: new.login_name.unwrap_or_else(|| new.name.clone()).to_uppercase(),
            name: new.name,
            password_hash: new.password_hash,
            must_change_password: new.must_change_password,
            disabled: new.disabled,
            comment: new.comment,
            created_on: now_micros(),
            last_login_on: None,
            properties: new.properties,
        };
        sqlx::query(
            "INSERT INTO frazil_user (user_id, name, login_name, password_hash,
                must_change_password, disabled, comment, created_on, last_login_on, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(user.id)
        .bind(&user.name)
        .bind(&user.login_name)
        .bind(&user.password_hash)
        .bind(user.must_change_password)
        .bind(user.disabled)
        .bind(&user.comment)
        .bind(user.created_on)
        .bind(user.last_login_on)
        .bind(to_json(&user.properties)?)
        .execute(&mut *self.connection)
        .await
        .map_err(|error| on_insert(error, &user.name))?;
        self.register_object(ObjectKind::User, user.id, &new.owner_role, None).await?;
        Ok(user)
    }

    /// Writes back every changed property of a user, found by id.
    ///
    /// # Errors
    /// The new name or login name is taken; no user has this id.
    pub async fn update_user(&mut self, user: &User) -> Result<()> {
        let done = sqlx::query(
            "UPDATE frazil_user SET name = $2, login_name = $3, password_hash = $4,
                must_change_password = $5, disabled = $6, comment = $7, body = $8
             WHERE user_id = $1",
        )
        .bind(user.id)
        .bind(&user.name)
        .bind(user.login_name.to_uppercase())
        .bind(&user.password_hash)
        .bind(user.must_change_password)
        .bind(user.disabled)
        .bind(&user.comment)
        .bind(to_json(&user.properties)?)
        .execute(&mut *self.connection)
        .await
        .map_err(|error| on_insert(error, &user.name))?;
        if done.rows_affected() == 0 {
            return Err(not_found(ObjectKind::User, &user.name));
        }
        self.touch_security().await
    }

    /// Notes a successful login.
    pub async fn record_login(&mut self, user_id: i64) -> Result<()> {
        sqlx::query("UPDATE frazil_user SET last_login_on = $2 WHERE user_id = $1")
            .bind(user_id)
            .bind(now_micros())
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Removes a user with its tokens, role grants, sessions, parameters and stage. Gives the id of the
    /// stage, whose files are to be removed.
    pub async fn drop_user(&mut self, user_id: i64) -> Result<Option<i64>> {
        self.keep_ended_user(user_id).await?;
        self.delete_sessions_of(user_id).await?;
        for statement in [
            "DELETE FROM frazil_token_role WHERE token_id IN
                (SELECT token_id FROM frazil_access_token WHERE user_id = $1)",
            "DELETE FROM frazil_access_token WHERE user_id = $1",
            "DELETE FROM frazil_role_grant WHERE grantee_kind = 'USER' AND grantee_id = $1",
            "DELETE FROM frazil_parameter WHERE level = 'USER' AND object_id = $1",
            "DELETE FROM frazil_user WHERE user_id = $1",
        ] {
            sqlx::query(statement).bind(user_id).execute(&mut *self.connection).await?;
        }
        self.forget_object(ObjectKind::User, user_id).await?;
        let stage = self.object::<Stage>(0, &user_stage_name(user_id), 0).await?;
        if let Some(stage) = &stage {
            self.drop_object(ObjectKind::Stage, stage.id).await?;
        }
        Ok(stage.map(|stage| stage.id))
    }
}
