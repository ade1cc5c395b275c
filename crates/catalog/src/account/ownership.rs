//! Who owns each object, and what happens to grants when objects come and go.

use frazil_common::{ObjectKind, Privilege};
use sqlx::sqlite::SqliteConnection;

use super::error::parse_word;
use super::{AccountStore, GrantTarget, Writer, future, now_micros};
use crate::Result;

/// Owned objects as (object, role id, since when).
pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<(GrantTarget, i64, i64)>> {
    let rows: Vec<(String, i64, i64, i64)> =
        sqlx::query_as("SELECT object_kind, object_id, role_id, created_on FROM frazil_owner")
            .fetch_all(connection)
            .await?;
    rows.into_iter()
        .map(|(kind, id, role, since)| Ok(((parse_word(&kind)?, id), role, since)))
        .collect()
}

/// Ids of the schemas with managed access.
pub(super) async fn managed_schemas(connection: &mut SqliteConnection) -> Result<Vec<i64>> {
    let rows: Vec<(i64,)> =
        sqlx::query_as("SELECT schema_id FROM frazil_managed_schema").fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

impl AccountStore {
    /// Tables, views, schemas and databases that are gone while the account still has an owner on
    /// record for them.
    pub async fn kept_for_dropped(&self) -> Result<Vec<GrantTarget>> {
        kept_for_dropped(&mut *self.reader().await?, i64::MAX).await
    }

    /// Whether the account kept an owner, grants and policies of an object once, and no longer does.
    pub async fn is_forgotten(&self, kind: ObjectKind, id: i64) -> Result<bool> {
        let found: Option<(i64,)> = sqlx::query_as(
            "SELECT object_id FROM frazil_forgotten WHERE object_kind = $1 AND object_id = $2",
        )
        .bind(kind.as_str())
        .bind(id)
        .fetch_optional(&mut *self.reader().await?)
        .await?;
        Ok(found.is_some())
    }
}

/// What was gone at `snapshot` and is so still, while it has an owner on record.
async fn kept_for_dropped(
    connection: &mut SqliteConnection,
    snapshot: i64,
) -> Result<Vec<GrantTarget>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT object_kind, object_id FROM frazil_owner
         WHERE (object_kind = 'TABLE' AND object_id NOT IN
             (SELECT table_id FROM ducklake_table WHERE end_snapshot IS NULL OR end_snapshot > $1))
         OR (object_kind = 'VIEW' AND object_id NOT IN
             (SELECT view_id FROM ducklake_view WHERE end_snapshot IS NULL OR end_snapshot > $1))
         OR (object_kind = 'SCHEMA' AND object_id NOT IN
             (SELECT schema_id FROM ducklake_schema WHERE end_snapshot IS NULL OR end_snapshot > $1))
         OR (object_kind = 'DATABASE' AND object_id NOT IN
             (SELECT database_id FROM frazil_database WHERE end_snapshot IS NULL OR end_snapshot > $1))",
    )
    .bind(snapshot)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|(kind, id)| Ok((parse_word(&kind)?, id))).collect()
}

impl Writer<'_> {
    /// What was gone at `snapshot` already and has not come back since, while the account still has an
    /// owner on record for it. Nothing comes back while this writer has its turn.
    pub async fn kept_for_dropped(&mut self, snapshot: i64) -> Result<Vec<GrantTarget>> {
        kept_for_dropped(&mut *self.connection, snapshot).await
    }

    /// Records a new object's owner, and gives it the grants promised on its database or schema.
    /// `containers`: the ids of its database and, where it is in one, its schema. A promise of
    /// OWNERSHIP overrides `owner_role`.
    ///
    /// Databases, schemas, tables and views, whose existence is DuckLake's, come here too.
    ///
    /// # Errors
    /// An unknown role.
    pub async fn register_object(
        &mut self,
        kind: ObjectKind,
        id: i64,
        owner_role: &str,
        containers: Option<(i64, Option<i64>)>,
    ) -> Result<()> {
        let mut owner = self.role_id(owner_role).await?;
        let containers: Vec<GrantTarget> = containers
            .into_iter()
            .flat_map(|(database, schema)| {
                [Some((ObjectKind::Database, database)), schema.map(|id| (ObjectKind::Schema, id))]
            })
            .flatten()
            .collect();
        for promise in future::applicable(self.connection, kind, &containers).await? {
            if promise.privilege == Privilege::Ownership {
                owner = promise.role_id;
            } else {
                self.insert_grant(
                    (kind, id),
                    promise.privilege,
                    promise.role_id,
                    promise.grant_option,
                    Some(promise.granted_by),
                )
                .await?;
            }
        }
        self.set_owner_id(kind, id, owner).await?;
        self.touch_security().await
    }

    /// GRANT OWNERSHIP. Without `copy_grants` all grants on the object end, else they stay, and those
    /// that the former owner gave are the new one's.
    ///
    /// # Errors
    /// An unknown role.
    pub async fn transfer_ownership(
        &mut self,
        kind: ObjectKind,
        id: i64,
        to_role: &str,
        copy_grants: bool,
    ) -> Result<()> {
        let role_id = self.role_id(to_role).await?;
        if copy_grants {
            self.hand_over_grants(kind, id, role_id).await?;
        } else {
            self.keep_ended_grants_on(kind, id).await?;
            self.delete_grants(kind, id).await?;
        }
        self.set_owner_id(kind, id, role_id).await?;
        self.touch_security().await
    }

    /// Makes grants that an object's owner gave those of another role.
    async fn hand_over_grants(&mut self, kind: ObjectKind, id: i64, to: i64) -> Result<()> {
        let owner: Option<(i64,)> = sqlx::query_as(
            "SELECT role_id FROM frazil_owner WHERE object_kind = $1 AND object_id = $2",
        )
        .bind(kind.as_str())
        .bind(id)
        .fetch_optional(&mut *self.connection)
        .await?;
        let Some((owner,)) = owner.filter(|(owner,)| *owner != to) else { return Ok(()) };
        for statement in [
            "INSERT INTO frazil_grant (object_kind, object_id, privilege, role_id, grant_option,
                granted_by, created_on)
             SELECT object_kind, object_id, privilege, role_id, grant_option, $4, created_on
             FROM frazil_grant WHERE object_kind = $1 AND object_id = $2 AND granted_by = $3
             ON CONFLICT (object_kind, object_id, privilege, role_id, granted_by)
             DO UPDATE SET grant_option = frazil_grant.grant_option OR excluded.grant_option",
            "DELETE FROM frazil_grant
             WHERE object_kind = $1 AND object_id = $2 AND granted_by = $3 AND granted_by <> $4",
        ] {
            sqlx::query(statement)
                .bind(kind.as_str())
                .bind(id)
                .bind(owner)
                .bind(to)
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    /// Ends the grants on a dropped object and forgets its owner and the policies and tags on
    /// it. For a
    /// database or schema, the promises on it end too.
    pub async fn forget_object(&mut self, kind: ObjectKind, id: i64) -> Result<()> {
        self.forget_policies_on((kind, id)).await?;
        self.forget_tags_on((kind, id)).await?;
        self.delete_grants(kind, id).await?;
        for statement in [
            // What had an owner must not come back as one that never had any, without its policies.
            "INSERT INTO frazil_forgotten (object_kind, object_id)
             SELECT object_kind, object_id FROM frazil_owner WHERE object_kind = $1
                AND object_id = $2 AND object_kind IN ('TABLE', 'SCHEMA', 'DATABASE')
             ON CONFLICT (object_kind, object_id) DO NOTHING",
            "DELETE FROM frazil_owner WHERE object_kind = $1 AND object_id = $2",
            "DELETE FROM frazil_future_grant WHERE container_kind = $1 AND container_id = $2",
        ] {
            sqlx::query(statement)
                .bind(kind.as_str())
                .bind(id)
                .execute(&mut *self.connection)
                .await?;
        }
        if kind == ObjectKind::Schema {
            return self.set_managed_access(id, false).await;
        }
        self.touch_security().await
    }

    /// WITH MANAGED ACCESS: whether the schema's owner alone decides on grants of what is in it.
    pub async fn set_managed_access(&mut self, schema_id: i64, managed: bool) -> Result<()> {
        let statement = if managed {
            "INSERT INTO frazil_managed_schema (schema_id) VALUES ($1)
             ON CONFLICT (schema_id) DO NOTHING"
        } else {
            "DELETE FROM frazil_managed_schema WHERE schema_id = $1"
        };
        sqlx::query(statement).bind(schema_id).execute(&mut *self.connection).await?;
        self.touch_security().await
    }

    /// The grants on one object also on another of its kind, as with CREATE OR REPLACE … COPY GRANTS;
    /// of a schema, the future ones too.
    pub async fn copy_grants(
        &mut self,
        kind: ObjectKind,
        from: i64,
        to: i64,
        same_database: bool,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO frazil_grant (object_kind, object_id, privilege, role_id, grant_option,
                granted_by, created_on)
             SELECT object_kind, $3, privilege, role_id, grant_option, granted_by, created_on
             FROM frazil_grant WHERE object_kind = $1 AND object_id = $2 AND ($4 OR role_id NOT IN
                (SELECT role_id FROM frazil_role WHERE name LIKE '%.%'))
             ON CONFLICT (object_kind, object_id, privilege, role_id, granted_by) DO NOTHING",
        )
        .bind(kind.as_str())
        .bind(from)
        .bind(to)
        .bind(same_database)
        .execute(&mut *self.connection)
        .await?;
        if kind == ObjectKind::Schema {
            return self.copy_future_grants(from, to).await;
        }
        self.touch_security().await
    }

    /// Ends what roles of a database (their names alone have a dot) hold on an object.
    pub async fn revoke_from_database_roles(&mut self, kind: ObjectKind, id: i64) -> Result<()> {
        sqlx::query(
            "DELETE FROM frazil_grant WHERE object_kind = $1 AND object_id = $2 AND role_id IN
                (SELECT role_id FROM frazil_role WHERE name LIKE '%.%')",
        )
        .bind(kind.as_str())
        .bind(id)
        .execute(&mut *self.connection)
        .await?;
        self.touch_security().await
    }

    async fn delete_grants(&mut self, kind: ObjectKind, id: i64) -> Result<()> {
        sqlx::query("DELETE FROM frazil_grant WHERE object_kind = $1 AND object_id = $2")
            .bind(kind.as_str())
            .bind(id)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    pub(super) async fn set_owner_id(
        &mut self,
        kind: ObjectKind,
        id: i64,
        role_id: i64,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO frazil_owner (object_kind, object_id, role_id, created_on)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (object_kind, object_id) DO UPDATE SET role_id = excluded.role_id,
                created_on = CASE WHEN frazil_owner.role_id = excluded.role_id
                    THEN frazil_owner.created_on ELSE excluded.created_on END",
        )
        .bind(kind.as_str())
        .bind(id)
        .bind(role_id)
        .bind(now_micros())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
