//! Grants on objects that do not exist yet.

use frazil_common::{ObjectKind, Privilege};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::error::parse_word;
use super::grants::NOBODY;
use super::{GrantTarget, Writer, now_micros};
use crate::Result;

/// A privilege that a role will get on every new object of a kind in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FutureGrant {
    /// A database or a schema.
    pub container: GrantTarget,
    pub object_kind: ObjectKind,
    /// OWNERSHIP makes the role the owner of the new object.
    pub privilege: Privilege,
    pub role: String,
    pub grant_option: bool,
    pub granted_by: Option<String>,
    pub created_on: i64,
}

pub(super) struct FutureRow {
    pub container: GrantTarget,
    pub object_kind: ObjectKind,
    pub privilege: Privilege,
    pub role_id: i64,
    pub grant_option: bool,
    /// [`NOBODY`] where it is not known.
    pub granted_by: i64,
    pub created_on: i64,
}

impl FutureRow {
    fn from_row(row: &SqliteRow) -> Result<Self> {
        Ok(FutureRow {
            container: (parse_word(row.try_get("container_kind")?)?, row.try_get("container_id")?),
            object_kind: parse_word(row.try_get("object_kind")?)?,
            privilege: parse_word(row.try_get("privilege")?)?,
            role_id: row.try_get("role_id")?,
            grant_option: row.try_get("grant_option")?,
            granted_by: row.try_get("granted_by")?,
            created_on: row.try_get("created_on")?,
        })
    }
}

pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<FutureRow>> {
    sqlx::query(
        "SELECT * FROM frazil_future_grant ORDER BY created_on, privilege, role_id, granted_by",
    )
    .fetch_all(connection)
    .await?
    .iter()
    .map(FutureRow::from_row)
    .collect()
}

/// The future grants that apply to a new object. Those of its schema hide those of its database,
/// as in Snowflake.
pub(super) async fn applicable(
    connection: &mut SqliteConnection,
    object_kind: ObjectKind,
    containers: &[GrantTarget],
) -> Result<Vec<FutureRow>> {
    for container in containers.iter().rev() {
        let rows: Vec<FutureRow> = sqlx::query(
            "SELECT * FROM frazil_future_grant
             WHERE container_kind = $1 AND container_id = $2 AND object_kind = $3
             ORDER BY created_on, privilege, role_id, granted_by",
        )
        .bind(container.0.as_str())
        .bind(container.1)
        .bind(object_kind.as_str())
        .fetch_all(&mut *connection)
        .await?
        .iter()
        .map(FutureRow::from_row)
        .collect::<Result<_>>()?;
        if !rows.is_empty() {
            return Ok(rows);
        }
    }
    Ok(Vec::new())
}

impl Writer<'_> {
    /// Promises a privilege on new objects; each grantor's promise stands for itself.
    ///
    /// # Errors
    /// An unknown role.
    pub async fn grant_future(
        &mut self,
        container: GrantTarget,
        object_kind: ObjectKind,
        privilege: Privilege,
        role: &str,
        grant_option: bool,
        granted_by: Option<&str>,
    ) -> Result<()> {
        let role_id = self.role_id(role).await?;
        let granted_by = self.optional_role_id(granted_by).await?;
        sqlx::query(
            "INSERT INTO frazil_future_grant (container_kind, container_id, object_kind,
                privilege, role_id, grant_option, granted_by, created_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (container_kind, container_id, object_kind, privilege, role_id, granted_by)
             DO UPDATE SET grant_option = frazil_future_grant.grant_option
                OR excluded.grant_option",
        )
        .bind(container.0.as_str())
        .bind(container.1)
        .bind(object_kind.as_str())
        .bind(privilege.as_str())
        .bind(role_id)
        .bind(grant_option)
        .bind(granted_by.unwrap_or(NOBODY))
        .bind(now_micros())
        .execute(&mut *self.connection)
        .await?;
        self.touch_security().await
    }

    /// What a schema promises of its future objects its copy in another database promises too, but
    /// to roles of that database.
    pub(super) async fn copy_future_grants(&mut self, from: i64, to: i64) -> Result<()> {
        sqlx::query(
            "INSERT INTO frazil_future_grant (container_kind, container_id, object_kind,
                privilege, role_id, grant_option, granted_by, created_on)
             SELECT container_kind, $3, object_kind, privilege, role_id, grant_option, granted_by,
                created_on FROM frazil_future_grant
             WHERE container_kind = $1 AND container_id = $2 AND role_id NOT IN
                (SELECT role_id FROM frazil_role WHERE name LIKE '%.%')
             ON CONFLICT (container_kind, container_id, object_kind, privilege, role_id, granted_by)
             DO NOTHING",
        )
        .bind(ObjectKind::Schema.as_str())
        .bind(from)
        .bind(to)
        .execute(&mut *self.connection)
        .await?;
        self.touch_security().await
    }

    /// Takes a promise back, whoever gave it: all who may do so act in the owner's place. Objects that
    /// exist keep their grants.
    ///
    /// # Errors
    /// An unknown role.
    pub async fn revoke_future(
        &mut self,
        container: GrantTarget,
        object_kind: ObjectKind,
        privilege: Privilege,
        role: &str,
    ) -> Result<bool> {
        let role_id = self.role_id(role).await?;
        let done = sqlx::query(
            "DELETE FROM frazil_future_grant WHERE container_kind = $1 AND container_id = $2
                AND object_kind = $3 AND privilege = $4 AND role_id = $5",
        )
        .bind(container.0.as_str())
        .bind(container.1)
        .bind(object_kind.as_str())
        .bind(privilege.as_str())
        .bind(role_id)
        .execute(&mut *self.connection)
        .await?;
        self.touch_security().await?;
        Ok(done.rows_affected() > 0)
    }
}
