//! The end of sessions: by logout, by expiry, by an administrator.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use frazil_catalog::account::{SessionState, now_micros};
use frazil_common::{ObjectKind, UserError};

use crate::engine::{Engine, Shared};
use crate::session::key_pair;
use crate::session::savepoint::LostTransaction;
use crate::statements::account_change::AccountChange;

/// How often expired sessions and abandoned transactions are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long a session may do nothing while others wait for its transaction, as in Snowflake.
const ABANDONED_AFTER: Duration = Duration::from_secs(5 * 60);

impl Shared {
    /// Ends a session: what it runs stops, its open transaction is rolled back, its temporary
    /// objects go, its tokens no longer work.
    pub async fn close_session(&self, session_id: i64) -> Result<(), UserError> {
        let session = self.sessions.write().remove(&session_id);
        if let Some(session) = &session {
            // Before the rest stops: what begins from here on looks first.
            session.closed.store(true, Ordering::SeqCst);
        }
        self.results.cancel_session(session_id, None);
        if let Some(session) = session
            && let Some(open) = session.transaction.lock().await.take()
        {
            open.lake.rollback().await;
        }
        self.lake.drop_session(session_id).await;
        let mut change = AccountChange::on(&self.accounts).await?;
        let dropped = change.writer().drop_objects_of_session(session_id).await?;
        change.writer().delete_session(session_id).await?;
        change.commit().await?;
        for object in dropped.iter().filter(|object| object.kind == ObjectKind::Stage) {
            self.stages.delete_stage(object.id).await?;
        }
        Ok(())
    }

    /// Ends the sessions that were not renewed in time, or whose access token or key is no longer good.
    pub async fn close_expired_sessions(&self, now: i64) -> Result<(), UserError> {
        for row in self.accounts.sessions().await? {
            if row.master_expires_on < now {
                tracing::info!(session_id = row.id, "session expired");
                self.close_session(row.id).await?;
            }
        }
        self.close_revoked_sessions(now, None).await
    }

    /// Whether the access token that a session was opened with is good at a time, and the role that both
    /// are held to has the name that the session knows it by: another one may have it by now. So it is
    /// where there was no token.
    async fn token_holds(
        &self,
        token_id: Option<i64>,
        restriction: Option<&str>,
        now: i64,
    ) -> Result<bool, UserError> {
        let Some(token_id) = token_id else { return Ok(true) };
        let token = self.accounts.access_token_by_id(token_id).await?;
        Ok(token.is_some_and(|token| {
            token.is_valid(now) && token.role_restriction.as_deref() == restriction
        }))
    }

    /// Whether a user has the key with this fingerprint.
    async fn key_holds(&self, user_id: i64, fingerprint: &str) -> Result<bool, UserError> {
        let account = self.accounts.view().await?;
        let Some(user) = account.user_by_id(user_id) else { return Ok(false) };
        let keys = [&user.properties.rsa_public_key, &user.properties.rsa_public_key_2];
        let mut known = keys.into_iter().flatten().filter_map(|key| key_pair::fingerprint(key));
        Ok(known.any(|known| known == fingerprint))
    }

    /// Whether the access token or the key that a session was opened with is good at a time.
    pub async fn credential_holds(
        &self,
        user_id: i64,
        state: &SessionState,
        now: i64,
    ) -> Result<bool, UserError> {
        if let Some(fingerprint) = &state.key_fingerprint
            && !self.key_holds(user_id, fingerprint).await?
        {
            return Ok(false);
        }
        self.token_holds(state.access_token_id, state.role_restriction.as_deref(), now).await
    }

    /// Ends the sessions whose access token or key no longer holds; but for one.
    pub async fn close_revoked_sessions(
        &self,
        now: i64,
        except: Option<i64>,
    ) -> Result<(), UserError> {
        for row in self.accounts.sessions().await? {
            if Some(row.id) != except
                && !self.credential_holds(row.user_id, &row.state, now).await?
            {
                tracing::info!(session_id = row.id, "session ended with its access token or key");
                self.close_session(row.id).await?;
            }
        }
        Ok(())
    }

    async fn sweep_sessions(&self, now: i64) -> Result<(), UserError> {
        // One that cannot be closed keeps no lock from being released.
        let closed = self.close_expired_sessions(now).await;
        self.abort_abandoned_transactions(now).await?;
        closed
    }

    /// Rolls back transactions that hold a lock others wait for and whose sessions do nothing: their
    /// clients may be gone.
    pub async fn abort_abandoned_transactions(&self, now: i64) -> Result<(), UserError> {
        let idle_since = now - ABANDONED_AFTER.as_micros() as i64;
        for transaction in self.transactions.waited_for() {
            let session = self.sessions.read().get(&transaction.session_id).cloned();
            let Some(session) = session else { continue };
            // Whoever has the transaction runs something in it.
            let Ok(slot) = session.transaction.try_lock() else { continue };
            if self.results.runs(session.id) || session.used.load(Ordering::SeqCst) > idle_since {
                continue;
            }
            let id = transaction.id.to_string();
            if session.abort_open(slot, &id, LostTransaction::Abandoned(id.clone())).await? {
                let user = &transaction.user;
                tracing::info!(session_id = session.id, id, user, "abandoned transaction aborted");
            }
        }
        Ok(())
    }
}

impl Engine {
    /// Ends what was given up by a time, in microseconds since 1970: expired sessions, and transactions
    /// that others wait for. This happens by itself every minute.
    ///
    /// # Errors
    /// The account cannot be read or written.
    pub async fn sweep_sessions(&self, now: i64) -> Result<(), UserError> {
        self.shared.sweep_sessions(now).await
    }
}

/// Ends expired sessions and abandoned transactions as long as the engine lives.
pub(crate) fn sweep(shared: &Arc<Shared>) {
    let shared: Weak<Shared> = Arc::downgrade(shared);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            let Some(shared) = shared.upgrade() else { return };
            if let Err(error) = shared.sweep_sessions(now_micros()).await {
                tracing::warn!("expired sessions could not be closed: {error}");
            }
        }
    });
}
