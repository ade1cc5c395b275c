//! Failed logins by the name that was typed, for throttling. Names without a user are counted too,
//! so that a refusal does not tell which names exist.

use super::{AccountStore, Writer};
use crate::Result;

/// Counts are forgotten this long after the last failure, in microseconds.
const FORGOTTEN_AFTER: i64 = 24 * 3600 * 1_000_000;

/// Failures in a row under one login name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoginFailures {
    pub failures: i64,
    /// No password is looked at before this time (microseconds since 1970).
    pub locked_until: Option<i64>,
}

impl LoginFailures {
    /// Whether the name is locked at this time.
    pub fn is_locked(&self, now_micros: i64) -> bool {
        self.locked_until.is_some_and(|until| now_micros < until)
    }
}

impl AccountStore {
    /// What is known of a login name, upper case; nothing where the last login went well.
    pub async fn login_failures(&self, login_name: &str) -> Result<LoginFailures> {
        let row: Option<(i64, Option<i64>)> = sqlx::query_as(
            "SELECT failures, locked_until FROM frazil_login_failure WHERE login_name = $1",
        )
        .bind(login_name)
        .fetch_optional(&mut *self.reader().await?)
        .await?;
        Ok(row.map_or_else(LoginFailures::default, |(failures, locked_until)| LoginFailures {
            failures,
            locked_until,
        }))
    }
}

impl Writer<'_> {
    /// Counts a failure. The `most`th in a row locks the name for `lock_micros`; after a lock the
    /// count begins anew.
    pub async fn count_login_failure(
        &mut self,
        login_name: &str,
        now: i64,
        most: i64,
        lock_micros: i64,
    ) -> Result<LoginFailures> {
        sqlx::query(
            "DELETE FROM frazil_login_failure
             WHERE last_on < $1 AND (locked_until IS NULL OR locked_until < $2)",
        )
        .bind(now - FORGOTTEN_AFTER)
        .bind(now)
        .execute(&mut *self.connection)
        .await?;
        let (failures,): (i64,) = sqlx::query_as(
            "INSERT INTO frazil_login_failure (login_name, failures, last_on, locked_until)
             VALUES ($1, 1, $2, NULL)
             ON CONFLICT (login_name) DO UPDATE SET
                failures = CASE
                    WHEN frazil_login_failure.locked_until IS NULL
                        THEN frazil_login_failure.failures + 1
                    WHEN frazil_login_failure.locked_until > $2
                        THEN frazil_login_failure.failures
                    ELSE 1 END,
                last_on = excluded.last_on,
                locked_until = CASE
                    WHEN frazil_login_failure.locked_until > $2
                        THEN frazil_login_failure.locked_until END
             RETURNING failures",
        )
        .bind(login_name)
        .bind(now)
        .fetch_one(&mut *self.connection)
        .await?;
        let locked_until = (failures >= most).then_some(now + lock_micros);
        if locked_until.is_some() {
            self.lock_login(login_name, now, locked_until).await?;
        }
        Ok(LoginFailures { failures, locked_until })
    }

    /// Locks a login name until a time, or frees it.
    pub async fn lock_login(
        &mut self,
        login_name: &str,
        now: i64,
        until: Option<i64>,
    ) -> Result<()> {
        let Some(until) = until else { return self.clear_login_failures(login_name).await };
        sqlx::query(
            "INSERT INTO frazil_login_failure (login_name, failures, last_on, locked_until)
             VALUES ($1, 0, $2, $3)
             ON CONFLICT (login_name) DO UPDATE SET locked_until = excluded.locked_until",
        )
        .bind(login_name)
        .bind(now)
        .bind(until)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Forgets the failures of a login name.
    pub async fn clear_login_failures(&mut self, login_name: &str) -> Result<()> {
        sqlx::query("DELETE FROM frazil_login_failure WHERE login_name = $1")
            .bind(login_name)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}
