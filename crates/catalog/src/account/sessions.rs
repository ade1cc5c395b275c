//! Sessions outlive a restart: tokens (as hashes), current names and parameters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::{from_json, to_json};
use super::{AccountStore, Writer, now_micros};
use crate::Result;

/// What a session has set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionState {
    pub database: Option<String>,
    pub schema: Option<String>,
    pub warehouse: Option<String>,
    pub role: Option<String>,
    /// `NONE`, `ALL` or a list of role names, as the engine writes it.
    pub secondary_roles: serde_json::Value,
    /// The only role the session may use, where its token says so.
    pub role_restriction: Option<String>,
    /// The id of that role.
    pub restricted_role_id: Option<i64>,
    /// Whether a transaction was open: after a restart its changes are lost.
    pub transaction_open: bool,
    /// Which one: its commit may have been the last thing the server did.
    pub transaction_id: Option<String>,
    /// Whether it has temporary tables, which end with the process.
    pub temporary_tables: bool,
    /// The access token that the session was opened with: it ends with it.
    pub access_token_id: Option<i64>,
    /// The fingerprint of its user's key that the session was opened with: it ends with that too.
    pub key_fingerprint: Option<String>,
    /// Session parameters that were set in it, upper-case names.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Those that its user had set when it began.
    pub user_parameters: BTreeMap<String, serde_json::Value>,
    /// Variables by name, as the engine writes their values.
    pub variables: BTreeMap<String, serde_json::Value>,
    pub client_name: Option<String>,
    pub client_version: Option<String>,
    pub client_environment: serde_json::Value,
}

/// A session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRow {
    pub id: i64,
    pub user_id: i64,
    pub session_expires_on: i64,
    pub master_expires_on: i64,
    pub created_on: i64,
    pub state: SessionState,
}

/// A session to be made. Hashes are hexadecimal SHA-256 of the tokens.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub user_id: i64,
    pub session_token_sha256: String,
    pub session_expires_on: i64,
    pub master_token_sha256: String,
    pub master_expires_on: i64,
    pub state: SessionState,
}

impl SessionRow {
    fn from_row(row: &SqliteRow) -> Result<Self> {
        Ok(SessionRow {
            id: row.try_get("session_id")?,
            user_id: row.try_get("user_id")?,
            session_expires_on: row.try_get("session_expires_on")?,
            master_expires_on: row.try_get("master_expires_on")?,
            created_on: row.try_get("created_on")?,
            state: from_json(row.try_get("body")?)?,
        })
    }
}

impl AccountStore {
    /// The session whose session token has this hash, expired or not.
    pub async fn session_by_token(&self, sha256: &str) -> Result<Option<SessionRow>> {
        sqlx::query("SELECT * FROM frazil_session WHERE session_token_sha256 = $1")
            .bind(sha256)
            .fetch_optional(&mut *self.reader().await?)
            .await?
            .as_ref()
            .map(SessionRow::from_row)
            .transpose()
    }

    /// The session whose master token has this hash, expired or not.
    pub async fn session_by_master_token(&self, sha256: &str) -> Result<Option<SessionRow>> {
        sqlx::query("SELECT * FROM frazil_session WHERE master_token_sha256 = $1")
            .bind(sha256)
            .fetch_optional(&mut *self.reader().await?)
            .await?
            .as_ref()
            .map(SessionRow::from_row)
            .transpose()
    }

    /// What a session has set; none where it has ended.
    pub async fn session_state(&self, session_id: i64) -> Result<Option<SessionState>> {
        let row = sqlx::query("SELECT body FROM frazil_session WHERE session_id = $1")
            .bind(session_id)
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        row.map(|row| from_json(row.try_get("body")?)).transpose()
    }

    /// All sessions, oldest first.
    pub async fn sessions(&self) -> Result<Vec<SessionRow>> {
        sqlx::query("SELECT * FROM frazil_session ORDER BY session_id")
            .fetch_all(&mut *self.reader().await?)
            .await?
            .iter()
            .map(SessionRow::from_row)
            .collect()
    }

    /// Notes a request that is done, and forgets those of before a time.
    pub async fn note_request(&self, request: &str, entry: &str, before: i64) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM frazil_request WHERE done_on < $1 OR request = $2")
            .bind(before)
            .bind(request)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO frazil_request (request, entry, done_on) VALUES ($1, $2, $3)")
            .bind(request)
            .bind(entry)
            .bind(now_micros())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// What was noted of a request.
    pub async fn noted_request(&self, request: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT entry FROM frazil_request WHERE request = $1")
            .bind(request)
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        Ok(row.map(|row| row.try_get("entry")).transpose()?)
    }

    /// Keeps what a session has set now.
    pub async fn save_session_state(&self, session_id: i64, state: &SessionState) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE frazil_session SET body = $2 WHERE session_id = $1")
            .bind(session_id)
            .bind(to_json(state)?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}

impl Writer<'_> {
    /// How many sessions a user has that have not expired at `now`.
    pub async fn sessions_of(&mut self, user_id: i64, now: i64) -> Result<u64> {
        let (count,): (i64,) = sqlx::query_as(
            "SELECT COUNT(*) FROM frazil_session WHERE user_id = $1 AND master_expires_on > $2",
        )
        .bind(user_id)
        .bind(now)
        .fetch_one(&mut *self.connection)
        .await?;
        Ok(count.unsigned_abs())
    }

    /// Opens a session.
    pub async fn create_session(&mut self, new: NewSession) -> Result<SessionRow> {
        let session = SessionRow {
            id: self.next_id().await?,
            user_id: new.user_id,
            session_expires_on: new.session_expires_on,
            master_expires_on: new.master_expires_on,
            created_on: now_micros(),
            state: new.state,
        };
        sqlx::query(
            "INSERT INTO frazil_session (session_id, user_id, session_token_sha256,
                session_expires_on, master_token_sha256, master_expires_on, created_on, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(session.id)
        .bind(session.user_id)
        .bind(&new.session_token_sha256)
        .bind(session.session_expires_on)
        .bind(&new.master_token_sha256)
        .bind(session.master_expires_on)
        .bind(session.created_on)
        .bind(to_json(&session.state)?)
        .execute(&mut *self.connection)
        .await?;
        Ok(session)
    }

    /// Gives a session new tokens; the old ones no longer open it.
    pub async fn renew_session(
        &mut self,
        session_id: i64,
        session_token: (&str, i64),
        master_token: (&str, i64),
    ) -> Result<()> {
        sqlx::query(
            "UPDATE frazil_session SET session_token_sha256 = $2, session_expires_on = $3,
                master_token_sha256 = $4, master_expires_on = $5
             WHERE session_id = $1",
        )
        .bind(session_id)
        .bind(session_token.0)
        .bind(session_token.1)
        .bind(master_token.0)
        .bind(master_token.1)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Ends a session. Its temporary objects are dropped apart.
    pub async fn delete_session(&mut self, session_id: i64) -> Result<bool> {
        let done = sqlx::query("DELETE FROM frazil_session WHERE session_id = $1")
            .bind(session_id)
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends the sessions whose master token expired before `now`, and says which.
    pub async fn delete_expired_sessions(&mut self, now: i64) -> Result<Vec<i64>> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "DELETE FROM frazil_session WHERE master_expires_on < $1 RETURNING session_id",
        )
        .bind(now)
        .fetch_all(&mut *self.connection)
        .await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }
}
