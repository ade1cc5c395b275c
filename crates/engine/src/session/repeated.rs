//! Requests that a client sends again because their answer was lost: what has committed does not run
//! again, over a restart either.

use std::sync::Arc;

use frazil_common::{Code, UserError};
use frazil_dialect::parse_statements_with;
use uuid::Uuid;

use crate::api::{Changes, StatementRequest, StoredResult};
use crate::session::Session;
use crate::session::binds::Names;
use crate::statements::dml;
use crate::statements::outcome::Outcome;

/// The entry that a commit makes for the request it was asked for by, among those for its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestEntry {
    pub entry: String,
    /// The request has this one statement.
    pub alone: bool,
}

impl RequestEntry {
    /// That of a statement of a request; none where the client gave it no id.
    pub fn of(request: &StatementRequest, user: &str, query_id: Uuid) -> Option<RequestEntry> {
        let entry = entry(user, &request.request_id?);
        Some(RequestEntry { entry, alone: query_id == request.query_id })
    }
}

/// By user and not by session: each request of the SQL API has a session of its own.
fn entry(user: &str, request_id: &Uuid) -> String {
    format!("request {user}.{request_id}")
}

impl Session {
    /// The answer to a request that is sent again and of which an earlier attempt has committed; none
    /// where nothing has, so that it is to be run.
    ///
    /// # Errors
    /// Of several statements some have committed: which ones have not is for the client to decide.
    pub async fn committed_before(
        &self,
        request: &StatementRequest,
    ) -> Result<Option<Arc<StoredResult>>, UserError> {
        let Some(request_id) = &request.request_id else { return Ok(None) };
        let catalog = &self.shared.catalog;
        let entry = entry(&self.user, request_id);
        let Some(snapshot) = catalog.snapshot_of_statement(&entry).await? else {
            return Ok(None);
        };
        let commits = catalog.snapshots(snapshot - 1).await?;
        let commit = commits.first().filter(|commit| commit.snapshot == snapshot);
        let query_id = commit
            .and_then(|commit| Uuid::parse_str(commit.query_id.as_deref()?).ok())
            .unwrap_or(request.query_id);
        let names = Names { binds: &request.binds, state: &self.state };
        let mut parsed = parse_statements_with(&request.text, &names)?;
        let (Some(parsed), true) = (parsed.pop(), parsed.is_empty()) else {
            return Err(UserError::new(
                Code::TransactionConflict,
                format!(
                    "The answer to this request was lost, and at least one of its statements has \
                     been committed (query id {query_id}): it is not run again. Look into \
                     QUERY_HISTORY or the tables, and send the statements that are missing."
                ),
            ));
        };
        if let Some(Ok(kept)) = self.shared.results.get(&query_id)
            && kept.is_readable_by(&self.reader())
        {
            return Ok(Some(kept));
        }
        let rows = commit.and_then(|commit| commit.rows);
        let changes =
            rows.map(|[inserted, updated, deleted]| Changes { inserted, updated, deleted });
        let mut outcome = match changes.and_then(|changes| dml::told(&parsed.statement, changes)) {
            Some(outcome) => outcome?,
            None => Outcome::status("Statement executed successfully.")?,
        };
        outcome.changes = changes.unwrap_or_default();
        let kind = parsed.statement.kind().statement_type_id();
        let stored = Arc::new(self.stored(query_id, kind, outcome, request.binds.len() as u32));
        let now = stored.finished_micros;
        self.shared.results.finish(query_id, Ok(stored.clone()), now);
        self.state.lock().remember_query(query_id.to_string());
        Ok(Some(stored))
    }
}
