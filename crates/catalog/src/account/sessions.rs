//! Sessions outlive a restart: tokens (as hashes), current names and parameters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::{from_json, to_json};
use super::{AccountStore, SECURITY_VERSION, Writer, now_micros};
use crate::{Head, Result};

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
    /// The word of LOGIN_HISTORY for how it was opened.
    pub factor: Option<String>,
    /// Session parameters that were set in it, upper-case names.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Those that its user had set when it began.
    pub user_parameters: BTreeMap<String, serde_json::Value>,
    /// Those that the account had set then.
    pub account_parameters: BTreeMap<String, serde_json::Value>,
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

/// Why a session ended, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SessionEnd {
    Unknown,
    /// Nobody renewed it.
    Abandoned,
    DropUser,
}

impl SessionEnd {
    /// Snowflake's word.
    fn as_str(self) -> &'static str {
        match self {
            SessionEnd::Unknown => "UNKNOWN",
            SessionEnd::Abandoned => "ABANDONED",
            SessionEnd::DropUser => "DROP_USER",
        }
    }
}

/// A session that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedSession {
    pub id: i64,
    pub user: String,
    pub created_on: i64,
    /// The word of LOGIN_HISTORY for how it was opened.
    pub factor: Option<String>,
    pub client_name: Option<String>,
    /// Why, in Snowflake's word.
    pub reason: String,
    pub ended_on: i64,
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

/// How things stand when a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Grows with each change of the account.
    pub security_version: i64,
    pub head: Head,
}

/// A session by its token, with what [`Standing`] tells: all of one moment, in one question.
const ARRIVAL: &str = "SELECT s.*, c.value AS security_version, h.snapshot_id, h.schema_version \
     FROM frazil_session s, (SELECT value FROM frazil_counter WHERE name = $2) c, \
     (SELECT snapshot_id, schema_version FROM ducklake_snapshot \
      ORDER BY snapshot_id DESC LIMIT 1) h WHERE s.session_token_sha256 = $1";

impl AccountStore {
    /// The session whose session token has this hash, expired or not, and how things stand.
    pub async fn arrival(&self, sha256: &str) -> Result<Option<(SessionRow, Standing)>> {
        let row = sqlx::query(ARRIVAL)
            .bind(sha256)
            .bind(SECURITY_VERSION)
            .fetch_optional(&mut *self.reader().await?)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let head = Head {
            snapshot: row.try_get("snapshot_id")?,
            schema_version: row.try_get("schema_version")?,
        };
        let standing = Standing { security_version: row.try_get("security_version")?, head };
        Ok(Some((SessionRow::from_row(&row)?, standing)))
    }

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

    /// Sessions that have ended, the oldest first.
    pub async fn ended_sessions(&self) -> Result<Vec<EndedSession>> {
        sqlx::query("SELECT * FROM frazil_ended_session ORDER BY session_id")
            .fetch_all(&mut *self.reader().await?)
            .await?
            .iter()
            .map(|row| {
                Ok(EndedSession {
                    id: row.try_get("session_id")?,
                    user: row.try_get("user_name")?,
                    created_on: row.try_get("created_on")?,
                    factor: row.try_get("factor")?,
                    client_name: row.try_get("client_name")?,
                    reason: row.try_get("reason")?,
                    ended_on: row.try_get("ended_on")?,
                })
            })
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
        let found = sqlx::query("SELECT * FROM frazil_session WHERE session_id = $1")
            .bind(session_id)
            .fetch_optional(&mut *self.connection)
            .await?;
        let Some(row) = found else { return Ok(false) };
        let session = SessionRow::from_row(&row)?;
        let abandoned = session.master_expires_on < now_micros();
        let reason = if abandoned { SessionEnd::Abandoned } else { SessionEnd::Unknown };
        self.keep_ended_session(&session, reason).await?;
        let done = sqlx::query("DELETE FROM frazil_session WHERE session_id = $1")
            .bind(session_id)
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends the sessions of a user who is about to be dropped.
    pub(super) async fn delete_sessions_of(&mut self, user_id: i64) -> Result<()> {
        let rows = sqlx::query("SELECT * FROM frazil_session WHERE user_id = $1")
            .bind(user_id)
            .fetch_all(&mut *self.connection)
            .await?;
        for row in &rows {
            self.keep_ended_session(&SessionRow::from_row(row)?, SessionEnd::DropUser).await?;
        }
        sqlx::query("DELETE FROM frazil_session WHERE user_id = $1")
            .bind(user_id)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn keep_ended_session(&mut self, session: &SessionRow, reason: SessionEnd) -> Result<()> {
        sqlx::query(
            "INSERT INTO frazil_ended_session (session_id, user_name, created_on, factor,
                client_name, reason, ended_on)
             SELECT CAST($1 AS BIGINT), name, CAST($2 AS BIGINT), CAST($3 AS TEXT),
                CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS BIGINT)
             FROM frazil_user WHERE user_id = $7 ON CONFLICT (session_id) DO NOTHING",
        )
        .bind(session.id)
        .bind(session.created_on)
        .bind(&session.state.factor)
        .bind(&session.state.client_name)
        .bind(reason.as_str())
        .bind(now_micros())
        .bind(session.user_id)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
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
