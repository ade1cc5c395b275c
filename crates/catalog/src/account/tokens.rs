//! Programmatic access tokens. Only the SHA-256 of a secret is kept.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::on_insert;
use super::{AccountStore, Writer, now_micros};
use crate::Result;

/// A programmatic access token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    pub id: i64,
    pub user_id: i64,
    pub name: String,
    /// The one role a session opened with it may use, by the name it has; where it is gone, by that
    /// it had.
    pub role_restriction: Option<String>,
    /// The id of that role.
    pub role_id: Option<i64>,
    /// Whether the role was dropped: another one of its name is not meant.
    pub role_gone: bool,
    pub comment: Option<String>,
    pub created_on: i64,
    pub created_by: String,
    pub expires_on: i64,
    pub disabled: bool,
    pub last_used_on: Option<i64>,
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewAccessToken {
    pub user_id: i64,
    pub name: String,
    /// Hexadecimal SHA-256 of the secret.
    pub secret_sha256: String,
    pub role_restriction: Option<String>,
    /// The id of that role; where it is not given, of the role that has the name.
    pub role_id: Option<i64>,
    pub comment: Option<String>,
    pub created_by: String,
    pub expires_on: i64,
}

/// Reads tokens with the roles they are held to.
macro_rules! tokens {
    ($conditions:literal) => {
        concat!(
            "SELECT t.*, held.role_id AS held_role_id, r.name AS held_role_name
             FROM frazil_access_token t
             LEFT JOIN frazil_token_role held ON held.token_id = t.token_id
             LEFT JOIN frazil_role r ON r.role_id = held.role_id ",
            $conditions
        )
    };
}

impl AccessToken {
    fn from_row(row: &SqliteRow) -> Result<Self> {
        let written: Option<String> = row.try_get("role_restriction")?;
        let known: Option<String> = row.try_get("held_role_name")?;
        let role_gone = written.is_some() && known.is_none();
        Ok(AccessToken {
            id: row.try_get("token_id")?,
            user_id: row.try_get("user_id")?,
            name: row.try_get("name")?,
            role_restriction: written.map(|written| known.unwrap_or(written)),
            role_id: row.try_get("held_role_id")?,
            role_gone,
            comment: row.try_get("comment")?,
            created_on: row.try_get("created_on")?,
            created_by: row.try_get("created_by")?,
            expires_on: row.try_get("expires_on")?,
            disabled: row.try_get("disabled")?,
            last_used_on: row.try_get("last_used_on")?,
        })
    }

    /// Whether it opens the door at this time.
    pub fn is_valid(&self, now_micros: i64) -> bool {
        !self.disabled && !self.role_gone && now_micros < self.expires_on
    }
}

impl AccountStore {
    /// The token whose secret has this SHA-256. The caller checks [`AccessToken::is_valid`].
    pub async fn access_token(&self, secret_sha256: &str) -> Result<Option<AccessToken>> {
        sqlx::query(tokens!("WHERE t.secret_sha256 = $1"))
            .bind(secret_sha256)
            .fetch_optional(&mut *self.reader().await?)
            .await?
            .as_ref()
            .map(AccessToken::from_row)
            .transpose()
    }

    /// A token by its id. The caller checks [`AccessToken::is_valid`].
    pub async fn access_token_by_id(&self, token_id: i64) -> Result<Option<AccessToken>> {
        sqlx::query(tokens!("WHERE t.token_id = $1"))
            .bind(token_id)
            .fetch_optional(&mut *self.reader().await?)
            .await?
            .as_ref()
            .map(AccessToken::from_row)
            .transpose()
    }

    /// A user's tokens by name.
    pub async fn access_tokens(&self, user_id: i64) -> Result<Vec<AccessToken>> {
        sqlx::query(tokens!("WHERE t.user_id = $1 ORDER BY t.name"))
            .bind(user_id)
            .fetch_all(&mut *self.reader().await?)
            .await?
            .iter()
            .map(AccessToken::from_row)
            .collect()
    }
}

impl Writer<'_> {
    /// Makes a token.
    ///
    /// # Errors
    /// The user has a token of this name; the role it is to be held to is unknown.
    pub async fn create_access_token(&mut self, new: NewAccessToken) -> Result<AccessToken> {
        let role_id = match (&new.role_restriction, new.role_id) {
            (Some(role), None) => Some(self.role_id(role).await?),
            (Some(_), known) => known,
            (None, _) => None,
        };
        let token = AccessToken {
            id: self.next_id().await?,
            user_id: new.user_id,
            name: new.name,
            role_restriction: new.role_restriction,
            role_id,
            role_gone: false,
            comment: new.comment,
            created_on: now_micros(),
            created_by: new.created_by,
            expires_on: new.expires_on,
            disabled: false,
            last_used_on: None,
        };
        sqlx::query(
            "INSERT INTO frazil_access_token (token_id, user_id, name, secret_sha256,
                role_restriction, comment, created_on, created_by, expires_on, disabled,
                last_used_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL)",
        )
        .bind(token.id)
        .bind(token.user_id)
        .bind(&token.name)
        .bind(&new.secret_sha256)
        .bind(&token.role_restriction)
        .bind(&token.comment)
        .bind(token.created_on)
        .bind(&token.created_by)
        .bind(token.expires_on)
        .bind(token.disabled)
        .execute(&mut *self.connection)
        .await
        .map_err(|error| on_insert(error, &token.name))?;
        if let Some(role_id) = role_id {
            sqlx::query("INSERT INTO frazil_token_role (token_id, role_id) VALUES ($1, $2)")
                .bind(token.id)
                .bind(role_id)
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(token)
    }

    /// Gives a token a new secret and expiry (rotation).
    pub async fn rotate_access_token(
        &mut self,
        token_id: i64,
        secret_sha256: &str,
        expires_on: i64,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE frazil_access_token SET secret_sha256 = $2, expires_on = $3
             WHERE token_id = $1",
        )
        .bind(token_id)
        .bind(secret_sha256)
        .bind(expires_on)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Moves the end of a token's life.
    pub async fn expire_access_token(&mut self, token_id: i64, expires_on: i64) -> Result<()> {
        sqlx::query("UPDATE frazil_access_token SET expires_on = $2 WHERE token_id = $1")
            .bind(token_id)
            .bind(expires_on)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Renames, comments, enables or disables a token.
    pub async fn update_access_token(&mut self, token: &AccessToken) -> Result<()> {
        sqlx::query(
            "UPDATE frazil_access_token SET name = $2, comment = $3, disabled = $4
             WHERE token_id = $1",
        )
        .bind(token.id)
        .bind(&token.name)
        .bind(&token.comment)
        .bind(token.disabled)
        .execute(&mut *self.connection)
        .await
        .map_err(|error| on_insert(error, &token.name))?;
        Ok(())
    }

    /// Notes that a token was used.
    pub async fn record_token_use(&mut self, token_id: i64) -> Result<()> {
        sqlx::query("UPDATE frazil_access_token SET last_used_on = $2 WHERE token_id = $1")
            .bind(token_id)
            .bind(now_micros())
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// Removes a token; false if there was none.
    pub async fn drop_access_token(&mut self, user_id: i64, name: &str) -> Result<bool> {
        sqlx::query(
            "DELETE FROM frazil_token_role WHERE token_id IN
                (SELECT token_id FROM frazil_access_token WHERE user_id = $1 AND name = $2)",
        )
        .bind(user_id)
        .bind(name)
        .execute(&mut *self.connection)
        .await?;
        let done = sqlx::query("DELETE FROM frazil_access_token WHERE user_id = $1 AND name = $2")
            .bind(user_id)
            .bind(name)
            .execute(&mut *self.connection)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}
