//! Users, roles and grants that are gone, as they were last: ACCOUNT_USAGE tells of them as long as of
//! queries.

use frazil_common::{ObjectKind, Privilege};
use sqlx::Row;

use super::error::parse_word;
use super::{AccountStore, GrantTarget, Grantee, User, Writer, now_micros};
use crate::Result;

/// A user who was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedUser {
    /// Without its password.
    pub user: User,
    pub has_password: bool,
    /// The role that owned it.
    pub owner: Option<String>,
    pub ended_on: i64,
}

/// A role that was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRole {
    pub role: super::Role,
    /// The role that owned it.
    pub owner: Option<String>,
    pub ended_on: i64,
}

/// A privilege that was taken back, or that ended with its role or object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedGrant {
    pub object: GrantTarget,
    /// The object's own name, where the account's tables had one.
    pub object_name: Option<String>,
    pub privilege: Privilege,
    pub role: String,
    pub grant_option: bool,
    pub granted_by: Option<String>,
    pub created_on: i64,
    pub ended_on: i64,
}

/// A role that was taken back, or whose grant ended with it or its grantee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRoleGrant {
    pub role: String,
    pub grantee: Grantee,
    pub granted_by: Option<String>,
    pub created_on: i64,
    pub ended_on: i64,
}

/// Copies the grants of privileges that meet a condition; `$1` is the time.
macro_rules! end_grants {
    ($condition:literal) => {
        concat!(
            "INSERT INTO frazil_ended_grant (object_kind, object_id, object_name, privilege,
                role_name, grant_option, granted_by, created_on, ended_on)
             SELECT g.object_kind, g.object_id,
                (SELECT o.name FROM frazil_object o WHERE o.object_id = g.object_id
                    AND o.kind = g.object_kind),
                g.privilege, r.name, g.grant_option, b.name, g.created_on, CAST($1 AS BIGINT)
             FROM frazil_grant g JOIN frazil_role r ON r.role_id = g.role_id
             LEFT JOIN frazil_role b ON b.role_id = g.granted_by WHERE ",
            $condition
        )
    };
}

/// Copies the grants of roles that meet a condition; `$1` is the time.
macro_rules! end_role_grants {
    ($condition:literal) => {
        concat!(
            "INSERT INTO frazil_ended_role_grant (role_name, grantee_kind, grantee_name, granted_by,
                created_on, ended_on)
             SELECT r.name, g.grantee_kind, COALESCE(u.name, h.name), b.name, g.created_on,
                CAST($1 AS BIGINT)
             FROM frazil_role_grant g JOIN frazil_role r ON r.role_id = g.role_id
             LEFT JOIN frazil_user u ON u.user_id = g.grantee_id AND g.grantee_kind = 'USER'
             LEFT JOIN frazil_role h ON h.role_id = g.grantee_id AND g.grantee_kind = 'ROLE'
             LEFT JOIN frazil_role b ON b.role_id = g.granted_by
             WHERE COALESCE(u.name, h.name) IS NOT NULL AND ",
            $condition
        )
    };
}

impl Writer<'_> {
    /// Keeps a user who is about to be dropped, and the roles it has.
    pub(super) async fn keep_ended_user(&mut self, user_id: i64) -> Result<()> {
        for statement in [
            "INSERT INTO frazil_ended_user (user_id, name, login_name, has_password,
                must_change_password, disabled, comment, created_on, last_login_on, body,
                owner_name, ended_on)
             SELECT u.user_id, u.name, u.login_name, u.password_hash IS NOT NULL,
                u.must_change_password, u.disabled, u.comment, u.created_on, u.last_login_on,
                u.body, r.name, CAST($1 AS BIGINT)
             FROM frazil_user u
             LEFT JOIN frazil_owner o ON o.object_kind = 'USER' AND o.object_id = u.user_id
             LEFT JOIN frazil_role r ON r.role_id = o.role_id WHERE u.user_id = $2",
            end_role_grants!("g.grantee_kind = 'USER' AND g.grantee_id = $2"),
        ] {
            self.keep_ended(statement, user_id).await?;
        }
        self.keep_ended_grants_on(ObjectKind::User, user_id).await
    }

    /// Keeps a role that is about to be dropped, and what it was granted and to whom.
    pub(super) async fn keep_ended_role(&mut self, role_id: i64) -> Result<()> {
        for statement in [
            "INSERT INTO frazil_ended_role (role_id, name, comment, created_on, owner_name,
                ended_on)
             SELECT r.role_id, r.name, r.comment, r.created_on, b.name, CAST($1 AS BIGINT)
             FROM frazil_role r
             LEFT JOIN frazil_owner o ON o.object_kind IN ('ROLE', 'DATABASE ROLE')
                AND o.object_id = r.role_id
             LEFT JOIN frazil_role b ON b.role_id = o.role_id WHERE r.role_id = $2",
            end_role_grants!("(g.role_id = $2 OR g.grantee_kind = 'ROLE' AND g.grantee_id = $2)"),
            end_grants!("g.role_id = $2"),
        ] {
            self.keep_ended(statement, role_id).await?;
        }
        Ok(())
    }

    /// Keeps the grants on an object, which are about to end.
    pub(super) async fn keep_ended_grants_on(&mut self, kind: ObjectKind, id: i64) -> Result<()> {
        sqlx::query(end_grants!("g.object_kind = $2 AND g.object_id = $3"))
            .bind(now_micros())
            .bind(kind.as_str())
            .bind(id)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Keeps what [`Writer::revoke_privilege`] is about to take back.
    pub(super) async fn keep_ended_grant(
        &mut self,
        object: GrantTarget,
        privilege: Privilege,
        role_id: i64,
        granted_by: i64,
    ) -> Result<()> {
        sqlx::query(end_grants!(
            "g.object_kind = $2 AND g.object_id = $3 AND g.privilege = $4 AND g.role_id = $5
             AND (g.granted_by = $6
                OR ($6 = 0 AND g.granted_by NOT IN (SELECT role_id FROM frazil_role)))"
        ))
        .bind(now_micros())
        .bind(object.0.as_str())
        .bind(object.1)
        .bind(privilege.as_str())
        .bind(role_id)
        .bind(granted_by)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Keeps what [`Writer::revoke_role`] is about to take back.
    pub(super) async fn keep_ended_role_grant(
        &mut self,
        role_id: i64,
        kind: &str,
        grantee_id: i64,
    ) -> Result<()> {
        sqlx::query(end_role_grants!(
            "g.role_id = $2 AND g.grantee_kind = $3 AND g.grantee_id = $4"
        ))
        .bind(now_micros())
        .bind(role_id)
        .bind(kind)
        .bind(grantee_id)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn keep_ended(&mut self, statement: &'static str, id: i64) -> Result<()> {
        sqlx::query(statement).bind(now_micros()).bind(id).execute(&mut *self.connection).await?;
        Ok(())
    }

    /// Forgets what ended before a time.
    pub(super) async fn prune_ended(&mut self, before: i64) -> Result<()> {
        for statement in [
            "DELETE FROM frazil_ended_user WHERE ended_on < $1",
            "DELETE FROM frazil_ended_role WHERE ended_on < $1",
            "DELETE FROM frazil_ended_session WHERE ended_on < $1",
            "DELETE FROM frazil_ended_grant WHERE ended_on < $1",
            "DELETE FROM frazil_ended_role_grant WHERE ended_on < $1",
        ] {
            sqlx::query(statement).bind(before).execute(&mut *self.connection).await?;
        }
        Ok(())
    }
}

impl AccountStore {
    /// Users who were dropped, the first one first.
    pub async fn ended_users(&self) -> Result<Vec<EndedUser>> {
        sqlx::query(
            "SELECT u.*, NULL AS password_hash FROM frazil_ended_user u ORDER BY ended_on, user_id",
        )
        .fetch_all(&mut *self.reader().await?)
        .await?
        .iter()
        .map(|row| {
            Ok(EndedUser {
                user: User::from_row(row)?,
                has_password: row.try_get("has_password")?,
                owner: row.try_get("owner_name")?,
                ended_on: row.try_get("ended_on")?,
            })
        })
        .collect()
    }

    /// Roles that were dropped, the first one first.
    pub async fn ended_roles(&self) -> Result<Vec<EndedRole>> {
        sqlx::query("SELECT * FROM frazil_ended_role ORDER BY ended_on, role_id")
            .fetch_all(&mut *self.reader().await?)
            .await?
            .iter()
            .map(|row| {
                Ok(EndedRole {
                    role: super::Role {
                        id: row.try_get("role_id")?,
                        name: row.try_get("name")?,
                        comment: row.try_get("comment")?,
                        created_on: row.try_get("created_on")?,
                    },
                    owner: row.try_get("owner_name")?,
                    ended_on: row.try_get("ended_on")?,
                })
            })
            .collect()
    }

    /// Privileges that roles had, the first ended first.
    pub async fn ended_grants(&self) -> Result<Vec<EndedGrant>> {
        sqlx::query(
            "SELECT * FROM frazil_ended_grant
             ORDER BY ended_on, object_kind, object_id, privilege, role_name, created_on",
        )
        .fetch_all(&mut *self.reader().await?)
        .await?
        .iter()
        .map(|row| {
            Ok(EndedGrant {
                object: (parse_word(row.try_get("object_kind")?)?, row.try_get("object_id")?),
                object_name: row.try_get("object_name")?,
                privilege: parse_word(row.try_get("privilege")?)?,
                role: row.try_get("role_name")?,
                grant_option: row.try_get("grant_option")?,
                granted_by: row.try_get("granted_by")?,
                created_on: row.try_get("created_on")?,
                ended_on: row.try_get("ended_on")?,
            })
        })
        .collect()
    }

    /// Roles that were granted and are not any more, the first ended first.
    pub async fn ended_role_grants(&self) -> Result<Vec<EndedRoleGrant>> {
        sqlx::query(
            "SELECT * FROM frazil_ended_role_grant
             ORDER BY ended_on, role_name, grantee_kind, grantee_name",
        )
        .fetch_all(&mut *self.reader().await?)
        .await?
        .iter()
        .map(|row| {
            let kind: String = row.try_get("grantee_kind")?;
            let name = row.try_get("grantee_name")?;
            Ok(EndedRoleGrant {
                role: row.try_get("role_name")?,
                grantee: if kind == "USER" { Grantee::User(name) } else { Grantee::Role(name) },
                granted_by: row.try_get("granted_by")?,
                created_on: row.try_get("created_on")?,
                ended_on: row.try_get("ended_on")?,
            })
        })
        .collect()
    }
}
