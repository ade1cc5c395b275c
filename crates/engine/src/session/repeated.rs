//! Requests that a client sends again because their answer was lost: what has committed does not run
//! again, over a restart either.

use std::fmt::Display;
use std::sync::Arc;

use frazil_catalog::account::now_micros;
use frazil_common::{Code, UserError};
use frazil_dialect::{AccessTokenAction, Statement, parse_statements_with};
use uuid::Uuid;

use crate::api::{Changes, StatementRequest, StoredResult};
use crate::session::binds::Names;
use crate::session::{DoneStatement, Session};
use crate::statements::dml;
use crate::statements::outcome::Outcome;

/// How long a request is noted apart from commits: clients give up sooner.
const NOTED_MICROS: i64 = 24 * 3600 * 1_000_000;

/// What a commit notes of the request it was asked for by, among the entries for its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestEntry {
    pub key: String,
    /// The request has this one statement.
    pub alone: bool,
}

impl RequestEntry {
    /// That of a statement of a request; none where the client gave it no id.
    pub fn of(request: &StatementRequest, user_id: i64, query_id: Uuid) -> Option<RequestEntry> {
        let key = key(user_id, &request.request_id?);
        Some(RequestEntry { key, alone: query_id == request.query_id })
    }

    /// With what the answer needs: commits that go together share the rest of what is kept of a commit.
    pub fn entry(&self, query_id: impl Display, changes: Changes) -> String {
        let Changes { inserted, updated, deleted } = changes;
        format!("{}{query_id} {inserted},{updated},{deleted}", self.key)
    }
}

/// What entries of a request begin with. By user and not by session: each request of the SQL API has a
/// session of its own.
fn key(user_id: i64, request_id: &Uuid) -> String {
    format!("request {user_id}.{request_id} ")
}

/// The query id and the changes in the rest of an entry.
fn parse(rest: &str) -> Option<(Uuid, Changes)> {
    let (query_id, counts) = rest.split_once(' ')?;
    let mut counts = counts.split(',').map(str::parse::<u64>);
    let mut next = || counts.next()?.ok();
    let changes = Changes { inserted: next()?, updated: next()?, deleted: next()? };
    Some((query_id.parse().ok()?, changes))
}

/// Whether a statement's answer holds a secret.
fn makes_secret(statement: &Statement) -> bool {
    let Statement::AlterUserAccessToken(alter) = statement else { return false };
    matches!(alter.action, AccessTokenAction::Add(_) | AccessTokenAction::Rotate(_))
}

impl Session {
    /// The answer to a request that is sent again and of which an earlier attempt has committed, or lies
    /// in the open transaction; none where nothing has, so that it is to be run.
    ///
    /// # Errors
    /// Of several statements some are done: which ones have not is for the client to decide.
    pub async fn committed_before(
        &self,
        request: &StatementRequest,
    ) -> Result<Option<Arc<StoredResult>>, UserError> {
        let Some(request_id) = &request.request_id else { return Ok(None) };
        let key = key(self.user_id, request_id);
        let (query_id, changes) = match self.done_in_transaction(&key).await {
            Some(done) => (done.query_id, done.changes),
            None => match self.committed(&key).await? {
                Some(committed) => committed,
                None => return Ok(None),
            },
        };
        let names = Names { binds: &request.binds, state: &self.state };
        let mut parsed = parse_statements_with(&request.text, &names)?;
        let (Some(parsed), true) = (parsed.pop(), parsed.is_empty()) else {
            return Err(UserError::new(
                Code::TransactionConflict,
                format!(
                    "The answer to this request was lost, and at least one of its statements is \
                     done (query id {query_id}): it is not run again. Look into \
                     QUERY_HISTORY or the tables, and send the statements that are missing."
                ),
            ));
        };
        if let Some(kept) = self.result(&query_id) {
            return Ok(Some(kept));
        }
        if makes_secret(&parsed.statement) {
            return Err(UserError::new(
                Code::TimeTravelUnavailable,
                format!(
                    "Statement {query_id} ended with success, but its answer was lost, and the secret in \
                     it is not kept. Rotate the token, or remove it and add another one."
                ),
            ));
        }
        let mut outcome = match dml::told(&parsed.statement, changes) {
            Some(outcome) => outcome?,
            None => Outcome::status("Statement executed successfully.")?,
        };
        outcome.changes = changes;
        let kind = parsed.statement.kind().statement_type_id();
        let stored = Arc::new(self.stored(query_id, kind, outcome, request.binds.len() as u32));
        let now = stored.finished_micros;
        self.shared.results.finish(query_id, self.reader(), Ok(stored.clone()), now);
        self.state.lock().remember_query(query_id.to_string());
        Ok(Some(stored))
    }

    /// Notes a request whose statement has changed the account and made no snapshot that could name it.
    pub(crate) async fn note_request(
        &self,
        request: &RequestEntry,
        query_id: Uuid,
        changes: Changes,
    ) {
        let before = now_micros() - NOTED_MICROS;
        let entry = request.entry(query_id, changes);
        // The statement is done all the same.
        if let Err(error) = self.shared.accounts.note_request(&request.key, &entry, before).await {
            tracing::warn!(%error, "a request could not be noted");
        }
    }

    /// The statement of a request whose changes lie in the session's open transaction.
    async fn done_in_transaction(&self, key: &str) -> Option<DoneStatement> {
        let open = self.transaction.lock().await;
        let mut done = open.as_ref()?.done.iter().rev();
        done.find(|done| done.request.as_deref() == Some(key)).cloned()
    }

    /// What the commit that names a request knows of it: the query id and the rows changed.
    async fn committed(&self, key: &str) -> Result<Option<(Uuid, Changes)>, UserError> {
        let entry = match self.shared.catalog.statement_with_prefix(key).await? {
            Some(entry) => entry,
            None => match self.shared.accounts.noted_request(key).await? {
                Some(entry) => entry,
                None => return Ok(None),
            },
        };
        let parsed = entry.strip_prefix(key).and_then(parse);
        let unread =
            || UserError::internal(format!("what is kept of a request cannot be read: {entry}"));
        parsed.map(Some).ok_or_else(unread)
    }
}
