//! The end of sessions: by logout, by expiry, by an administrator.

use std::sync::{Arc, Weak};
use std::time::Duration;

use frazil_catalog::account::now_micros;
use frazil_common::{ObjectKind, UserError};

use crate::engine::Shared;
use crate::statements::account_change::AccountChange;

/// How often expired sessions are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Shared {
    /// Ends a session: what it runs stops, its open transaction is rolled back, its temporary
    /// objects go, its tokens no longer work.
    pub async fn close_session(&self, session_id: i64) -> Result<(), UserError> {
        self.results.cancel_session(session_id, None);
        let session = self.sessions.write().remove(&session_id);
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

    /// Ends the sessions that were not renewed in time.
    pub async fn close_expired_sessions(&self, now: i64) -> Result<(), UserError> {
        for row in self.accounts.sessions().await? {
            if row.master_expires_on < now {
                tracing::info!(session_id = row.id, "session expired");
                self.close_session(row.id).await?;
            }
        }
        Ok(())
    }
}

/// Ends expired sessions as long as the engine lives.
pub(crate) fn sweep(shared: &Arc<Shared>) {
    let shared: Weak<Shared> = Arc::downgrade(shared);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            let Some(shared) = shared.upgrade() else { return };
            if let Err(error) = shared.close_expired_sessions(now_micros()).await {
                tracing::warn!("expired sessions could not be closed: {error}");
            }
        }
    });
}
