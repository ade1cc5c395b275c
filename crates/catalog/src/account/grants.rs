//! Privileges held by roles.

use frazil_common::{ObjectKind, Privilege};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::error::parse_word;
use super::{Writer, now_micros};
use crate::Result;

/// A privilege on an object, held by a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub object_kind: ObjectKind,
    pub object_id: i64,
    pub privilege: Privilege,
    pub role: String,
    /// Whether the role may pass it on.
    pub grant_option: bool,
    /// None for what the account began with, and where the role is gone.
    pub granted_by: Option<String>,
    pub created_on: i64,
}

/// The object a privilege is granted on. The account is `(Account, 0)`.
pub type GrantTarget = (ObjectKind, i64);

/// `granted_by` of what the account began with.
pub(super) const NOBODY: i64 = 0;

/// A grant row whose roles are ids.
pub(super) struct GrantRow {
    pub object: GrantTarget,
    pub privilege: Privilege,
    pub role_id: i64,
    pub grant_option: bool,
    pub granted_by: i64,
    pub created_on: i64,
}

pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<GrantRow>> {
    sqlx::query(
        "SELECT * FROM frazil_grant
         ORDER BY object_kind, object_id, privilege, role_id, created_on, granted_by",
    )
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        Ok(GrantRow {
            object: (parse_word(row.try_get("object_kind")?)?, row.try_get("object_id")?),
            privilege: parse_word(row.try_get("privilege")?)?,
            role_id: row.try_get("role_id")?,
            grant_option: row.try_get("grant_option")?,
            granted_by: row.try_get("granted_by")?,
            created_on: row.try_get("created_on")?,
        })
    })
    .collect()
}

impl Writer<'_> {
    /// Grants a privilege; each grantor's grant stands for itself. Granted again by the same one, it
    /// keeps its age and may gain the grant option.
    ///
    /// # Errors
    /// An unknown role.
    pub async fn grant_privilege(
        &mut self,
        object: GrantTarget,
        privilege: Privilege,
        role: &str,
        grant_option: bool,
        granted_by: Option<&str>,
    ) -> Result<()> {
        let role_id = self.role_id(role).await?;
        let granted_by = self.optional_role_id(granted_by).await?;
        self.insert_grant(object, privilege, role_id, grant_option, granted_by).await?;
        self.touch_security().await
    }

    pub(super) async fn insert_grant(
        &mut self,
        object: GrantTarget,
        privilege: Privilege,
        role_id: i64,
        grant_option: bool,
        granted_by: Option<i64>,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO frazil_grant (object_kind, object_id, privilege, role_id, grant_option,
                granted_by, created_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (object_kind, object_id, privilege, role_id, granted_by)
             DO UPDATE SET grant_option = frazil_grant.grant_option OR excluded.grant_option",
        )
        .bind(object.0.as_str())
        .bind(object.1)
        .bind(privilege.as_str())
        .bind(role_id)
        .bind(grant_option)
        .bind(granted_by.unwrap_or(NOBODY))
        .bind(now_micros())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Takes back what one grantor gave, or only its grant option; false if there was none. No
    /// grantor stands for all that are gone, too.
    ///
    /// # Errors
    /// An unknown role.
    pub async fn revoke_privilege(
        &mut self,
        object: GrantTarget,
        privilege: Privilege,
        role: &str,
        granted_by: Option<&str>,
        grant_option_only: bool,
    ) -> Result<bool> {
        let role_id = self.role_id(role).await?;
        let granted_by = self.optional_role_id(granted_by).await?;
        if !grant_option_only {
            let granted_by = granted_by.unwrap_or(NOBODY);
            self.keep_ended_grant(object, privilege, role_id, granted_by).await?;
        }
        let statement = if grant_option_only {
            "UPDATE frazil_grant SET grant_option = FALSE
             WHERE object_kind = $1 AND object_id = $2 AND privilege = $3 AND role_id = $4
             AND (granted_by = $5
                OR ($5 = 0 AND granted_by NOT IN (SELECT role_id FROM frazil_role)))"
        } else {
            "DELETE FROM frazil_grant
             WHERE object_kind = $1 AND object_id = $2 AND privilege = $3 AND role_id = $4
             AND (granted_by = $5
                OR ($5 = 0 AND granted_by NOT IN (SELECT role_id FROM frazil_role)))"
        };
        let done = sqlx::query(statement)
            .bind(object.0.as_str())
            .bind(object.1)
            .bind(privilege.as_str())
            .bind(role_id)
            .bind(granted_by.unwrap_or(NOBODY))
            .execute(&mut *self.connection)
            .await?;
        self.touch_security().await?;
        Ok(done.rows_affected() > 0)
    }
}
