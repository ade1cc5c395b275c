//! Sessions: who is connected, where, with which settings and which open transaction.

pub(crate) mod arrival;
pub(crate) mod authenticate;
pub(crate) mod binds;
pub(crate) mod closing;
pub(crate) mod committing;
pub(crate) mod execute;
mod kept;
pub(crate) mod key_pair;
pub(crate) mod login;
pub(crate) mod ongoing;
pub mod parameters;
mod past;
mod records;
pub(crate) mod refusals;
pub(crate) mod repeated;
pub(crate) mod savepoint;
pub(crate) mod secrets;
pub(crate) mod transactions;
pub(crate) mod variables;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use frazil_catalog::account::SessionState as StoredState;
use frazil_common::{Code, ObjectName, QualifiedName, UserError};
use frazil_functions::TypedExpr;
use frazil_governance::SecondaryRoles;
use frazil_lake::LakeTransaction;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::api::{Changes, ResultReader, SessionContext};
use crate::engine::Shared;
use crate::stage_files::LoadedFile;
use login::stored_state;
use parameters::Parameters;
use savepoint::{LostTransaction, StatementSavepoint};
use transactions::Running;

/// Query ids kept for LAST_QUERY_ID.
const QUERY_IDS_KEPT: usize = 1000;

/// What a session remembers between statements.
#[derive(Debug, Clone)]
pub(crate) struct SessionState {
    pub database: Option<String>,
    pub schema: Option<String>,
    pub warehouse: Option<String>,
    pub role: String,
    /// The roles that count beside the primary one.
    pub secondary_roles: SecondaryRoles,
    pub parameters: Parameters,
    pub variables: HashMap<String, TypedExpr>,
    /// The same as the session's row keeps them.
    pub kept_variables: BTreeMap<String, serde_json::Value>,
    /// Oldest first; shared with the statements that run.
    pub query_ids: Arc<VecDeque<String>>,
}

/// A transaction opened by BEGIN, or by DML where AUTOCOMMIT is off.
pub(crate) struct OpenTransaction {
    pub lake: LakeTransaction,
    /// A statement failed under TRANSACTION_ABORT_ON_ERROR: only COMMIT and ROLLBACK go on, and
    /// both roll back.
    pub aborted: bool,
    /// Its entry among the running transactions, with the locks it holds.
    pub running: Arc<Running>,
    /// Statements whose changes it holds.
    pub done: Vec<DoneStatement>,
    /// Stage files to remove when it commits.
    pub purged: Vec<LoadedFile>,
    /// Of the statement that runs in it and writes.
    savepoint: Option<StatementSavepoint>,
    mark: TransactionMark,
}

/// A statement whose changes lie in an open transaction: for the commit's record, and for a request
/// that is sent again.
#[derive(Debug, Clone)]
pub(crate) struct DoneStatement {
    pub query_id: Uuid,
    /// The key of the request that it came with.
    pub request: Option<String>,
    pub changes: Changes,
}

/// What others may know of an open transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransactionFacts {
    pub id: String,
    pub name: Option<String>,
    pub started_micros: i64,
}

/// Shows a transaction's facts at its session as long as the transaction lives.
struct TransactionMark {
    facts: TransactionFacts,
    place: Arc<Mutex<Option<TransactionFacts>>>,
    last: Arc<Mutex<Option<String>>>,
}

impl Drop for TransactionMark {
    fn drop(&mut self) {
        *self.last.lock() = Some(self.facts.id.clone());
        *self.place.lock() = None;
    }
}

impl OpenTransaction {
    pub fn open(session: &Session, lake: LakeTransaction, name: Option<String>) -> Self {
        let running = session.shared.transactions.begin(session.id, &session.user, name.clone());
        let running = running.kept();
        let info = &running.info;
        let facts =
            TransactionFacts { id: info.id.to_string(), name, started_micros: info.started_micros };
        *session.open.lock() = Some(facts.clone());
        let (place, last) = (session.open.clone(), session.last_transaction.clone());
        let mark = TransactionMark { facts, place, last };
        OpenTransaction {
            lake,
            done: Vec::new(),
            purged: Vec::new(),
            aborted: false,
            savepoint: None,
            running: Arc::new(running),
            mark,
        }
    }

    pub fn id(&self) -> &str {
        &self.mark.facts.id
    }

    pub fn name(&self) -> Option<&str> {
        self.mark.facts.name.as_deref()
    }
}

/// One connection's session.
pub struct Session {
    pub(crate) id: i64,
    pub(crate) user: String,
    pub(crate) user_id: i64,
    /// When the user was made, in microseconds: what is told of its name before is another's.
    pub(crate) user_since: i64,
    pub(crate) client: String,
    /// A token's role restriction: the only role this session may use.
    pub(crate) role_restriction: Option<String>,
    pub(crate) restricted_role_id: Option<i64>,
    /// The id of the access token that it was opened with.
    pub(crate) access_token_id: Option<i64>,
    /// The fingerprint of its user's key that it was opened with.
    pub(crate) key_fingerprint: Option<String>,
    /// How it was opened, in the word of LOGIN_HISTORY.
    pub(crate) factor: Option<String>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Mutex<SessionState>,
    pub(crate) transaction: Arc<tokio::sync::Mutex<Option<OpenTransaction>>>,
    /// Facts of the transaction in there, for those who must not wait for it.
    pub(crate) open: Arc<Mutex<Option<TransactionFacts>>>,
    /// The last one that ended here since the server started: LAST_TRANSACTION.
    pub(crate) last_transaction: Arc<Mutex<Option<String>>>,
    /// A transaction was open when the server stopped, or was aborted from outside: its changes are
    /// gone, and the client must learn of it before anything else runs.
    pub(crate) lost_transaction: Mutex<Option<LostTransaction>>,
    /// It has ended: what comes late, of a request that had found it before, does not run.
    pub(crate) closed: AtomicBool,
    /// When the last statement of those that have ended did so, in microseconds.
    pub(crate) used: AtomicI64,
    /// What the session's row holds.
    pub(crate) saved: tokio::sync::Mutex<StoredState>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}, {})", self.id, self.user)
    }
}

impl Session {
    pub fn id(&self) -> i64 {
        self.id
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    /// Who reads results here.
    pub fn reader(&self) -> ResultReader {
        ResultReader {
            user_id: self.user_id,
            user: self.user.clone(),
            // Rows of sessions that were opened before roles went by id have none.
            restricted_role_id: self
                .role_restriction
                .as_ref()
                .map(|_| self.restricted_role_id.unwrap_or_default()),
        }
    }

    /// The client program, as it named itself at login.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// The current objects and role.
    pub fn current(&self) -> SessionContext {
        let state = self.state.lock();
        SessionContext {
            user: self.user.clone(),
            database: state.database.clone(),
            schema: state.schema.clone(),
            warehouse: state.warehouse.clone(),
            role: state.role.clone(),
        }
    }

    /// Makes a database and schema the current ones.
    pub(crate) fn set_namespace(&self, database: Option<String>, schema: Option<String>) {
        let mut state = self.state.lock();
        state.database = database;
        state.schema = schema;
    }

    /// What a restart must find again.
    pub(crate) fn to_row(&self) -> StoredState {
        let transaction_id = self.open.lock().as_ref().map(|open| open.id.clone());
        let lost = self.lost_transaction.lock().is_some();
        let state = self.state.lock();
        StoredState {
            transaction_open: transaction_id.is_some() || lost,
            transaction_id,
            temporary_tables: self.shared.lake.has_temporary_tables(self.id),
            access_token_id: self.access_token_id,
            key_fingerprint: self.key_fingerprint.clone(),
            factor: self.factor.clone(),
            restricted_role_id: self.restricted_role_id,
            ..stored_state(&state, self.role_restriction.as_deref(), &self.client)
        }
    }

    /// Writes the session's row where it is out of date.
    pub(crate) async fn save(&self) -> Result<(), UserError> {
        // The lock is held while writing, so that an older state never overwrites a newer one.
        let mut saved = self.saved.lock().await;
        let current = self.to_row();
        if *saved != current {
            self.shared.accounts.save_session_state(self.id, &current).await?;
            *saved = current;
        }
        Ok(())
    }

    /// A session parameter's value in force, as text.
    pub fn parameter(&self, name: &str) -> String {
        self.state.lock().parameters.get(name).to_string()
    }

    /// All session parameters with typed values.
    pub fn parameters(&self) -> Vec<(String, serde_json::Value)> {
        self.state.lock().parameters.to_json()
    }
}

impl SessionState {
    /// Completes a name from the session's current database and schema.
    pub fn qualify(&self, name: &ObjectName) -> Result<QualifiedName, UserError> {
        if name.database.is_none() && self.database.is_none() {
            return Err(UserError::new(
                Code::NoCurrentDatabase,
                "Cannot perform operation. This session does not have a current database. Call \
                 'USE DATABASE', or use a qualified name.",
            ));
        }
        if name.schema.is_none() && self.schema.is_none() {
            return Err(UserError::new(
                Code::NoCurrentSchema,
                "Cannot perform operation. This session does not have a current schema. Call \
                 'USE SCHEMA', or use a qualified name.",
            ));
        }
        name.qualify(self.database.as_deref(), self.schema.as_deref())
            .ok_or_else(|| UserError::internal("a name could not be completed"))
    }

    pub fn remember_query(&mut self, query_id: String) {
        let ids = Arc::make_mut(&mut self.query_ids);
        if ids.len() >= QUERY_IDS_KEPT {
            ids.pop_front();
        }
        ids.push_back(query_id);
    }
}
