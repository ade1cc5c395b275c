//! Statements whose results are gone: how they ended, from the query history and the commits.

use frazil_catalog::account::{QueryFilter, QueryRecord, QueryState};
use frazil_common::{Code, UserError};
use uuid::Uuid;

use crate::api::{PastEnd, PastStatement};
use crate::session::Session;

/// What a client is told of a statement that the history and the commits do not know.
const LOST: &str = "The server restarted while this statement ran, and no commit of it is known. Where it \
                    was sent as one of several, QUERY_HISTORY has those that had ended.";

impl Session {
    /// How a statement ended that is no longer among the results. None for one that was never here,
    /// and for another user's.
    ///
    /// # Errors
    /// The account or the catalog cannot be read.
    pub async fn past_statement(
        &self,
        query_id: &Uuid,
    ) -> Result<Option<PastStatement>, UserError> {
        let id = query_id.to_string();
        let filter = QueryFilter { query_id: Some(id.clone()), ..QueryFilter::default() };
        if let Some(record) = self.shared.accounts.query_history(&filter).await?.pop() {
            return Ok(self.was_shown(&record).then(|| past(record)));
        }
        if !self.shared.results.is_older(query_id) {
            return Ok(None);
        }
        // The history is written some time after the commit: a kill may come between them.
        let committed = self.shared.catalog.snapshot_of_statement(&id).await?.is_some();
        Ok(Some(match committed {
            true => PastStatement {
                end: PastEnd::Success,
                started_micros: None,
                error_number: None,
                error_message: None,
            },
            false => PastStatement {
                end: PastEnd::Lost,
                started_micros: None,
                error_number: Some(i64::from(Code::TransactionConflict.number())),
                error_message: Some(LOST.to_string()),
            },
        }))
    }

    /// Whether a statement was this user's. The history does not tell the role that a session was held
    /// to: one that is held reads its own.
    fn was_shown(&self, record: &QueryRecord) -> bool {
        record.user == self.user
            && record.start_time >= self.user_since
            && (self.role_restriction.is_none() || record.session_id == self.id)
    }
}

fn past(record: QueryRecord) -> PastStatement {
    let cancelled = record.error_code == Some(i64::from(Code::Cancelled.number()));
    PastStatement {
        end: match record.state {
            QueryState::Success => PastEnd::Success,
            QueryState::Fail if cancelled => PastEnd::Cancelled,
            QueryState::Fail => PastEnd::Failed,
            QueryState::Incident => PastEnd::Lost,
        },
        started_micros: Some(record.start_time),
        error_number: record.error_code,
        error_message: record.error_message,
    }
}
