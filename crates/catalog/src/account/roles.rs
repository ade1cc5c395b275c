//! Roles, and their grants to roles and users.

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row};

use frazil_common::{Code, ObjectKind, Privilege, UserError, quote_identifier};

use super::error::{from_json, not_found, on_insert};
use super::{Writer, now_micros};
use crate::{CatalogError, RenamedSchema, Result};

/// A role: of the account, or of a database. A database role's name is `DATABASE.ROLE` as SQL
/// text; names of the account's roles have no dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub id: i64,
    pub name: String,
    pub comment: Option<String>,
    pub created_on: i64,
}

/// Who receives a role, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    Role(String),
    User(String),
}

/// A role granted to a role or user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleGrant {
    pub role: String,
    pub grantee: Grantee,
    /// The role that granted it; none for grants made with the account, or where it is gone.
    pub granted_by: Option<String>,
    pub created_on: i64,
}

impl Role {
    /// Whether it is a role of a database.
    pub fn is_of_database(&self) -> bool {
        self.name.contains('.')
    }

    fn from_row(row: &SqliteRow) -> Result<Self> {
        Ok(Role {
            id: row.try_get("role_id")?,
            name: row.try_get("name")?,
            comment: row.try_get("comment")?,
            created_on: row.try_get("created_on")?,
        })
    }
}

pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<Role>> {
    sqlx::query("SELECT * FROM frazil_role ORDER BY name")
        .fetch_all(connection)
        .await?
        .iter()
        .map(Role::from_row)
        .collect()
}

/// Role grants as (role id, granted to a user?, grantee id, grantor id, created on).
pub(super) async fn all_grants(
    connection: &mut SqliteConnection,
) -> Result<Vec<(i64, bool, i64, Option<i64>, i64)>> {
    Ok(sqlx::query_as(
        "SELECT role_id, grantee_kind = 'USER', grantee_id, granted_by, created_on
         FROM frazil_role_grant ORDER BY role_id, grantee_kind, grantee_id",
    )
    .fetch_all(connection)
    .await?)
}

impl Writer<'_> {
    /// The id of a role.
    ///
    /// # Errors
    /// There is no such role.
    pub async fn role_id(&mut self, name: &str) -> Result<i64> {
        let found: Option<(i64,)> =
            sqlx::query_as("SELECT role_id FROM frazil_role WHERE name = $1")
                .bind(name)
                .fetch_optional(&mut *self.connection)
                .await?;
        found.map(|(id,)| id).ok_or_else(|| not_found(ObjectKind::Role, name))
    }

    /// Whether a user who is not disabled holds the role, directly or by one that inherits it, as this
    /// transaction has it.
    pub async fn has_enabled_holder(&mut self, role: &str) -> Result<bool> {
        let (found,): (bool,) = sqlx::query_as(
            "WITH RECURSIVE holding (role_id) AS (
                SELECT role_id FROM frazil_role WHERE name = $1
                UNION
                SELECT g.grantee_id FROM frazil_role_grant g
                JOIN holding h ON h.role_id = g.role_id WHERE g.grantee_kind = 'ROLE')
             SELECT EXISTS (SELECT 1 FROM frazil_role_grant g
                JOIN holding h ON h.role_id = g.role_id
                JOIN frazil_user u ON u.user_id = g.grantee_id
                WHERE g.grantee_kind = 'USER' AND NOT u.disabled)",
        )
        .bind(role)
        .fetch_one(&mut *self.connection)
        .await?;
        Ok(found)
    }

    async fn user_id(&mut self, name: &str) -> Result<i64> {
        let found: Option<(i64,)> =
            sqlx::query_as("SELECT user_id FROM frazil_user WHERE name = $1")
                .bind(name)
                .fetch_optional(&mut *self.connection)
                .await?;
        found.map(|(id,)| id).ok_or_else(|| not_found(ObjectKind::User, name))
    }

    /// Makes a role, owned by another.
    ///
    /// # Errors
    /// The name is taken; the owner is unknown.
    pub async fn create_role(
        &mut self,
        name: &str,
        comment: Option<&str>,
        owner_role: &str,
    ) -> Result<Role> {
        let role = self.insert_role(name, comment).await?;
        self.register_object(ObjectKind::Role, role.id, owner_role, None).await?;
        Ok(role)
    }

    /// Makes a role of a database, which may use that database. Its name is its full name.
    ///
    /// # Errors
    /// As [`Writer::create_role`].
    pub async fn create_database_role(
        &mut self,
        name: &str,
        database_id: i64,
        comment: Option<&str>,
        owner_role: &str,
    ) -> Result<Role> {
        let role = self.insert_role(name, comment).await?;
        let kind = ObjectKind::DatabaseRole;
        self.register_object(kind, role.id, owner_role, Some((database_id, None))).await?;
        let database = (ObjectKind::Database, database_id);
        self.insert_grant(database, Privilege::Usage, role.id, false, None).await?;
        Ok(role)
    }

    pub(super) async fn insert_role(&mut self, name: &str, comment: Option<&str>) -> Result<Role> {
        let role = Role {
            id: self.next_id().await?,
            name: name.to_string(),
            comment: comment.map(str::to_string),
            created_on: now_micros(),
        };
        sqlx::query(
            "INSERT INTO frazil_role (role_id, name, comment, created_on)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(role.id)
        .bind(&role.name)
        .bind(&role.comment)
        .bind(role.created_on)
        .execute(&mut *self.connection)
        .await
        .map_err(|error| on_insert(error, name))?;
        self.touch_security().await?;
        Ok(role)
    }

    /// Renames a role or sets its comment.
    ///
    /// # Errors
    /// The new name is taken.
    pub async fn update_role(&mut self, role: &Role) -> Result<()> {
        sqlx::query("UPDATE frazil_role SET name = $2, comment = $3 WHERE role_id = $1")
            .bind(role.id)
            .bind(&role.name)
            .bind(&role.comment)
            .execute(&mut *self.connection)
            .await
            .map_err(|error| on_insert(error, &role.name))?;
        self.touch_security().await
    }

    /// Gives the roles of databases, and what else knows these by name, their new names.
    ///
    /// # Errors
    /// Database errors.
    pub async fn rename_databases(&mut self, names: &[(String, String)]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let prefix = |database: &str| format!("{}.", quote_identifier(database));
        let roles: Vec<(i64, String)> = sqlx::query_as("SELECT role_id, name FROM frazil_role")
            .fetch_all(&mut *self.connection)
            .await?;
        let mut renamed: Vec<(i64, String)> = Vec::new();
        for (id, name) in roles {
            let new = names.iter().find_map(|(from, to)| {
                name.strip_prefix(&prefix(from)).map(|own| format!("{}{own}", prefix(to)))
            });
            renamed.extend(new.map(|new| (id, new)));
        }
        // Names are unique at every moment: exchanged ones go by one that no role can have.
        for (id, _) in &renamed {
            self.set_role_name(*id, &format!("..{id}")).await?;
        }
        for (id, name) in &renamed {
            self.set_role_name(*id, name).await?;
        }
        for (table, key, field) in [
            ("frazil_session", "session_id", "database"),
            ("frazil_model_version", "version_id", "query_database"),
        ] {
            self.change_bodies(table, key, |body| {
                let name = body.get(field).and_then(serde_json::Value::as_str);
                let Some((_, to)) = names.iter().find(|(from, _)| Some(from.as_str()) == name)
                else {
                    return false;
                };
                body[field] = to.as_str().into();
                true
            })
            .await?;
        }
        self.touch_security().await
    }

    /// Gives sessions and models that know schemas by name the new names.
    ///
    /// # Errors
    /// Database errors.
    pub async fn rename_schemas(&mut self, names: &[RenamedSchema]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        for (table, key, [database, schema]) in [
            ("frazil_session", "session_id", ["database", "schema"]),
            ("frazil_model_version", "version_id", ["query_database", "query_schema"]),
        ] {
            self.change_bodies(table, key, |body| {
                let told = |field: &str| body.get(field).and_then(serde_json::Value::as_str);
                let place = (told(database), told(schema));
                let found = names
                    .iter()
                    .find(|name| place == (Some(name.database.as_str()), Some(name.from.as_str())));
                let Some(name) = found else { return false };
                body[schema] = name.to.as_str().into();
                true
            })
            .await?;
        }
        self.touch_security().await
    }

    /// Writes the bodies of a table's rows again that `change` says it has changed.
    async fn change_bodies(
        &mut self,
        table: &'static str,
        key: &'static str,
        change: impl Fn(&mut serde_json::Value) -> bool,
    ) -> Result<()> {
        let read = format!("SELECT {key}, body FROM {table}");
        let rows: Vec<(i64, String)> =
            sqlx::query_as(AssertSqlSafe(read)).fetch_all(&mut *self.connection).await?;
        for (id, body) in rows {
            let mut body: serde_json::Value = from_json(&body)?;
            if change(&mut body) {
                let write = format!("UPDATE {table} SET body = $2 WHERE {key} = $1");
                sqlx::query(AssertSqlSafe(write))
                    .bind(id)
                    .bind(body.to_string())
                    .execute(&mut *self.connection)
                    .await?;
            }
        }
        Ok(())
    }

    async fn set_role_name(&mut self, role_id: i64, name: &str) -> Result<()> {
        sqlx::query("UPDATE frazil_role SET name = $2 WHERE role_id = $1")
            .bind(role_id)
            .bind(name)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Removes a role. What it owned passes to `heir`, the role that drops it; its grants end.
    ///
    /// # Errors
    /// The heir is unknown or is the role itself.
    pub async fn drop_role(&mut self, role_id: i64, heir: &str) -> Result<()> {
        let heir_id = self.role_id(heir).await?;
        if heir_id == role_id {
            return Err(CatalogError::User(UserError::new(
                Code::InvalidArgument,
                format!("Role '{heir}' can not be dropped while it is the current role."),
            )));
        }
        self.keep_ended_role(role_id).await?;
        sqlx::query("UPDATE frazil_owner SET role_id = $2, created_on = $3 WHERE role_id = $1")
            .bind(role_id)
            .bind(heir_id)
            .bind(now_micros())
            .execute(&mut *self.connection)
            .await?;
        for statement in [
            "DELETE FROM frazil_grant WHERE role_id = $1",
            "DELETE FROM frazil_future_grant WHERE role_id = $1",
            "DELETE FROM frazil_role_grant WHERE role_id = $1",
            "DELETE FROM frazil_role_grant WHERE grantee_kind = 'ROLE' AND grantee_id = $1",
            "DELETE FROM frazil_role WHERE role_id = $1",
        ] {
            sqlx::query(statement).bind(role_id).execute(&mut *self.connection).await?;
        }
        self.forget_object(ObjectKind::DatabaseRole, role_id).await?;
        self.forget_object(ObjectKind::Role, role_id).await
    }

    /// Grants a role; granting it again changes nothing.
    ///
    /// # Errors
    /// An unknown role or user. Circles are governance's to refuse.
    pub async fn grant_role(
        &mut self,
        role: &str,
        grantee: &Grantee,
        granted_by: Option<&str>,
    ) -> Result<()> {
        let role_id = self.role_id(role).await?;
        let (kind, grantee_id) = self.grantee(grantee).await?;
        let granted_by = self.optional_role_id(granted_by).await?;
        sqlx::query(
            "INSERT INTO frazil_role_grant
                (role_id, grantee_kind, grantee_id, granted_by, created_on)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (role_id, grantee_kind, grantee_id) DO NOTHING",
        )
        .bind(role_id)
        .bind(kind)
        .bind(grantee_id)
        .bind(granted_by)
        .bind(now_micros())
        .execute(&mut *self.connection)
        .await?;
        self.touch_security().await
    }

    /// Takes a role back; false if it was not granted.
    ///
    /// # Errors
    /// An unknown role or user.
    pub async fn revoke_role(&mut self, role: &str, grantee: &Grantee) -> Result<bool> {
        let role_id = self.role_id(role).await?;
        let (kind, grantee_id) = self.grantee(grantee).await?;
        self.keep_ended_role_grant(role_id, kind, grantee_id).await?;
        let done = sqlx::query(
            "DELETE FROM frazil_role_grant
             WHERE role_id = $1 AND grantee_kind = $2 AND grantee_id = $3",
        )
        .bind(role_id)
        .bind(kind)
        .bind(grantee_id)
        .execute(&mut *self.connection)
        .await?;
        self.touch_security().await?;
        Ok(done.rows_affected() > 0)
    }

    pub(super) async fn optional_role_id(&mut self, role: Option<&str>) -> Result<Option<i64>> {
        match role {
            Some(role) => Ok(Some(self.role_id(role).await?)),
            None => Ok(None),
        }
    }

    async fn grantee(&mut self, grantee: &Grantee) -> Result<(&'static str, i64)> {
        Ok(match grantee {
            Grantee::Role(name) => ("ROLE", self.role_id(name).await?),
            Grantee::User(name) => ("USER", self.user_id(name).await?),
        })
    }
}
