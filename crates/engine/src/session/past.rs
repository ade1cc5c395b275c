//! Statements whose results are gone: how they ended, from the query history and the commits.

use std::sync::Arc;

use frazil_catalog::account::{QueryFilter, QueryRecord, QueryState};
use frazil_common::{Code, UserError};
use uuid::Uuid;

use crate::api::{PastEnd, PastStatement, ResultReader, StoredResult};
use crate::engine::{Engine, Shared};
use crate::session::Session;

/// The id of no session.
const NO_SESSION: i64 = 0;

/// What a client is told of a statement that the history and the commits do not know.
const LOST: &str = "The server restarted while this statement ran, and no commit of it is known. Where it \
                    was sent as one of several, QUERY_HISTORY has those that had ended.";

/// Who asks for an earlier statement.
struct Asker<'a> {
    user: &'a str,
    /// When the user was made: the history has names, which others may have had.
    since: i64,
    /// Where it is held to one role: the session that is told all of its own.
    held_in: Option<i64>,
}

impl Session {
    /// A finished result, to read again; none for those who were not shown it. A secret is shown to the
    /// session whose statement it answers, and but once.
    pub fn result(&self, query_id: &Uuid) -> Option<Arc<StoredResult>> {
        self.shared.results.get_in(query_id, self).and_then(Result::ok)
    }

    /// How a statement ended that is no longer among the results. None for one that was never here,
    /// and for another user's.
    ///
    /// # Errors
    /// The account or the catalog cannot be read.
    pub async fn past_statement(
        &self,
        query_id: &Uuid,
    ) -> Result<Option<PastStatement>, UserError> {
        let held_in = self.role_restriction.as_ref().map(|_| self.id);
        let asker = Asker { user: &self.user, since: self.user_since, held_in };
        self.shared.past_statement(query_id, asker).await
    }

    /// The error for a result that is not kept, or not any more.
    pub(crate) async fn lost_result(&self, query_id: &str) -> UserError {
        let unknown = || {
            UserError::new(Code::TimeTravelUnavailable, format!("Statement {query_id} not found"))
        };
        let Ok(id) = query_id.parse() else { return unknown() };
        match self.past_statement(&id).await {
            Ok(Some(past)) => past.error(&id),
            Ok(None) => unknown(),
            Err(error) => error,
        }
    }
}

impl Engine {
    /// As [`Session::past_statement`], for a reader without a session. Who is held to one role learns how
    /// a statement ended, but no words of its error.
    ///
    /// # Errors
    /// The account or the catalog cannot be read.
    pub async fn past_statement(
        &self,
        query_id: &Uuid,
        reader: &ResultReader,
    ) -> Result<Option<PastStatement>, UserError> {
        let account = self.shared.accounts.view().await?;
        let Some(user) = account.user_by_id(reader.user_id) else { return Ok(None) };
        let held_in = reader.restricted_role_id.map(|_| NO_SESSION);
        let asker = Asker { user: &user.name, since: user.created_on, held_in };
        self.shared.past_statement(query_id, asker).await
    }
}

impl Shared {
    async fn past_statement(
        &self,
        query_id: &Uuid,
        asker: Asker<'_>,
    ) -> Result<Option<PastStatement>, UserError> {
        let id = query_id.to_string();
        // Its record may be among those that wait to be written.
        self.history.flush().await;
        let filter = QueryFilter { query_id: Some(id.clone()), ..QueryFilter::default() };
        if let Some(record) = self.accounts.query_history(&filter).await?.pop() {
            let own = record.user == asker.user && record.start_time >= asker.since;
            return Ok(match asker.held_in {
                _ if !own => None,
                Some(session_id) if session_id == NO_SESSION => {
                    Some(PastStatement { error_message: None, ..past(record) })
                }
                // The history does not tell the role that a session was held to.
                Some(session_id) if record.session_id != session_id => None,
                _ => Some(past(record)),
            });
        }
        if !self.results.is_older(query_id) {
            return Ok(None);
        }
        // The history is written some time after the commit: a kill may come between them.
        let committed = self.catalog.snapshot_of_statement(&id).await?.is_some();
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
}

impl PastStatement {
    /// What is told in place of its result: a client whose statement is done must not run it again.
    pub fn error(&self, query_id: &Uuid) -> UserError {
        if self.end == PastEnd::Success {
            return UserError::new(
                Code::TimeTravelUnavailable,
                format!(
                    "Statement {query_id} ended with success, but its result is no longer kept: results \
                     are kept for 24 hours, until the server stops, and as far as --kept-results-limit \
                     allows."
                ),
            );
        }
        let number = self.error_number.and_then(|number| u32::try_from(number).ok());
        let code = number.and_then(Code::of_number).unwrap_or(Code::TimeTravelUnavailable);
        let words = self.error_message.as_deref().unwrap_or("its words are not told here");
        match self.end {
            PastEnd::Lost => UserError::new(code, words),
            _ => UserError::new(code, format!("Statement {query_id} failed: {words}")),
        }
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
