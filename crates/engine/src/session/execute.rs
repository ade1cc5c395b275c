//! Running a request: parse, one transaction per statement, answer, history.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use frazil_catalog::CommitMeta;
use frazil_catalog::account::{QueryDetail, now_micros};
use frazil_common::{Code, ObjectRef, Privilege, UserError};
use frazil_dialect::{Parsed, Statement, parse_statements_with};
use frazil_functions::{Facts, OutputFormats, StatementStop, TypedExpr};
use frazil_governance::{AccessModel, Requirement, SecondaryRoles};
use frazil_lake::LakeError;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::{Changes, StatementRequest, StoredResult};
use crate::run::apart::apart;
use crate::session::arrival::{Arrival, Moment};
use crate::session::binds::{ArrayBinds, Names, scalar_binds, staged};
use crate::session::login::session_gone;
use crate::session::parameters::Parameters;
use crate::session::repeated::RequestEntry;
use crate::session::{DoneStatement, Session, SessionState};
use crate::statements;
use crate::statements::context::{
    Namespace, Record, StatementContext, Work, cancelled, commits_first, reads_only,
};
use crate::statements::outcome::Outcome;
use crate::warehouses::{Admission, Entry, computes, tighter, told};

/// Times an autocommit statement is tried again after losing a race.
const RETRIES_MAX: usize = 20;
/// Type number of a multi-statement answer.
const MULTI_STATEMENT: u32 = 0xA000;

impl Session {
    /// Runs SQL text and keeps the result under the request's query id.
    ///
    /// # Errors
    /// The user's error, which is kept under the query id too.
    pub async fn execute(
        self: &Arc<Self>,
        request: StatementRequest,
    ) -> Result<Arc<StoredResult>, UserError> {
        let results = &self.shared.results;
        results.start(request.query_id, self, request.cancel.clone());
        let mut guard = Unfinished { session: Some(self.clone()), query_id: request.query_id };
        let result = match self.closed.load(Ordering::SeqCst) {
            true => Err(session_gone()),
            // Large: on the heap it is not once more in the future of each that waits for it.
            false => Box::pin(self.execute_text(&request)).await,
        };
        let result = match result {
            Err(error) if !request.describe_only => Err(self.abort_on_error(&request, error).await),
            other => other,
        };
        self.used.store(now_micros(), Ordering::SeqCst);
        results.finish(request.query_id, self.reader(), result.clone(), now_micros());
        if !request.detached && result.as_ref().is_ok_and(|stored| stored.secret_of.is_some()) {
            results.forget(&request.query_id);
        }
        guard.session = None;
        result
    }

    /// Ends the open transaction where an error is to do so, wherever it comes from; gives the error.
    async fn abort_on_error(&self, request: &StatementRequest, error: UserError) -> UserError {
        let parameters = self.statement_parameters(request);
        let aborts =
            parameters.is_ok_and(|parameters| parameters.get_bool("TRANSACTION_ABORT_ON_ERROR"));
        match aborts {
            true => statements::transaction::fail(self).await.err().unwrap_or(error),
            false => error,
        }
    }

    async fn execute_text(
        self: &Arc<Self>,
        request: &StatementRequest,
    ) -> Result<Arc<StoredResult>, UserError> {
        let names = Names { binds: &request.binds, state: &self.state };
        let parse = || parse_statements_with(&request.text, &names);
        let mut parsed = match apart(request.text.len(), parse) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.record_unparsed(request, &error).await;
                return Err(error);
            }
        };
        if parsed.is_empty() {
            return Err(UserError::new(Code::EmptyStatement, "Empty SQL statement."));
        }
        let parameters = self.statement_parameters(request)?;
        let allowed = request
            .multi_statement_count
            .map_or_else(|| parameters.get_number("MULTI_STATEMENT_COUNT"), i64::from);
        if parsed.len() as i64 != allowed && !(allowed == 0 || parsed.len() == 1 && allowed == 1) {
            return Err(UserError::new(
                Code::TooManyStatements,
                format!(
                    "Actual statement count {} did not match the desired statement count {allowed}.",
                    parsed.len()
                ),
            ));
        }
        if parsed.len() == 1 {
            let statement = parsed.remove(0);
            return self.execute_one(request, statement, request.query_id, &parameters).await;
        }
        let mut children = Vec::with_capacity(parsed.len());
        for statement in parsed {
            // One before may have changed them.
            let parameters = self.statement_parameters(request)?;
            let query_id = Uuid::now_v7();
            self.shared.results.start(query_id, self, request.cancel.clone());
            let result = self.execute_one(request, statement, query_id, &parameters).await;
            let finished = result.clone();
            self.shared.results.finish(query_id, self.reader(), finished, now_micros());
            children.push((query_id, result?.statement_type_id));
        }
        let outcome = Outcome::status("Multiple statements executed successfully.")?;
        let mut stored = self.stored(request.query_id, MULTI_STATEMENT, outcome, 0);
        stored.children = children;
        Ok(Arc::new(stored))
    }

    async fn execute_one(
        self: &Arc<Self>,
        request: &StatementRequest,
        parsed: Parsed,
        query_id: Uuid,
        parameters: &Parameters,
    ) -> Result<Arc<StoredResult>, UserError> {
        let started = now_micros();
        let kind = parsed.statement.kind();
        let record = Arc::new(parking_lot::Mutex::new(Record::default()));
        let cancel = request.cancel.child_token();
        let timer = Timer::start(self.statement_timeout(parameters), &cancel);
        let _begun = (!request.describe_only)
            .then(|| self.note_begun(&parsed, query_id, parameters, started, kind));
        let result = self
            .run_retrying(request, &parsed, query_id, parameters, &cancel, &record)
            .await
            .map_err(|error| timer.explain(error));
        let result = match request.describe_only {
            true => result,
            false => self.save_after(&parsed.statement).await.and(result),
        };
        let number_of_binds = request.binds.len() as u32;
        let history = self.history_record(
            request,
            &parsed,
            query_id,
            parameters,
            started,
            kind,
            &result,
            &record.lock(),
        );
        self.shared.history.record(history.0, history.1).await;
        if !request.describe_only {
            self.state.lock().remember_query(query_id.to_string());
        }
        let outcome = result?;
        let mut stored = self.stored(
            query_id,
            outcome.statement_type_id.unwrap_or(kind.statement_type_id()),
            outcome,
            number_of_binds,
        );
        stored.array_bind_supported = matches!(parsed.statement, Statement::Insert(_));
        Ok(Arc::new(stored))
    }

    /// Runs a statement in its transaction; an autocommit one that lost a race runs again.
    async fn run_retrying(
        self: &Arc<Self>,
        request: &StatementRequest,
        parsed: &Parsed,
        query_id: Uuid,
        parameters: &Parameters,
        cancel: &CancellationToken,
        record: &Arc<parking_lot::Mutex<Record>>,
    ) -> Result<Outcome, UserError> {
        let mut tries = 0;
        // The place is kept while the statement is tried again.
        let mut admission = None;
        // What was read when the request came serves the first try of its first statement.
        let mut arrival = request.arrival.as_ref().and_then(Arrival::take);
        loop {
            let before = std::mem::take(&mut *record.lock()).detail;
            let mut context = self
                .statement_context(request, parsed, query_id, parameters, cancel, &arrival)
                .await?;
            let statement = match &request.bind_stage {
                Some(stage) => staged(&parsed.statement, stage)?,
                None => match ArrayBinds::take(request, &parsed.statement)? {
                    Some((statement, arrays)) => {
                        context.binds.clear();
                        context.array_binds = Some(arrays);
                        statement
                    }
                    None => parsed.statement.clone(),
                },
            };
            let statement = statements::execute_immediate::unwrapped(&mut context, statement)?;
            if admission.is_none() && !request.describe_only && computes(&statement) {
                self.shared.ongoing.queue(context.query_id());
                let admitted = self.admit(&context, query_id).await?;
                self.shared.ongoing.compute(context.query_id(), detail(&admitted));
                admission = Some(admitted);
            }
            context.request = RequestEntry::of(request, self.user_id, query_id);
            if let Some(admission) = &admission {
                context.runtime = admission.runtime.clone();
                context.place = Some(admission.place.clone());
                let blocked = before.map_or(0, |before| before.blocked);
                context.record.lock().detail = Some(QueryDetail { blocked, ..detail(admission) });
            }
            context.facts.transaction_id = self.open.lock().as_ref().map(|open| open.id.clone());
            // A commit that began is waited for: its outcome is what the client must hear.
            let stopped = async {
                cancel.cancelled().await;
                context.committing.ended().await;
            };
            let result = tokio::select! {
                result = self.run_in_transaction(&context, &statement, query_id, arrival.take()) => result,
                () = stopped => {
                    self.undo_cancelled().await;
                    Err(Failure::User(cancelled()))
                }
            };
            context.record.lock().count_plans();
            context.record.lock().used = std::mem::take(&mut context.used.lock());
            *record.lock() = context.record.lock().clone();
            match result {
                Ok(outcome) => return Ok(outcome),
                Err(Failure::LostRace(_)) if tries < RETRIES_MAX => {
                    tries += 1;
                    // A short pause that grows, so that contenders spread out.
                    tokio::time::sleep(Duration::from_millis(2 * tries as u64)).await;
                }
                Err(Failure::LostRace(e) | Failure::User(e)) => return Err(told(e, &admission)),
            }
        }
    }

    /// Waits for the statement's place. One whose transaction is open may hold locks that those who
    /// have the places wait for: it goes in beside them.
    async fn admit(
        &self,
        context: &StatementContext,
        query_id: Uuid,
    ) -> Result<Admission, UserError> {
        let usable = |warehouse: &ObjectRef| {
            let usage = Requirement::new(warehouse.clone(), Vec::new(), Privilege::Usage);
            context.authorize(&[usage]).is_ok()
        };
        let entry = Entry {
            query_id,
            warehouse: context.state.warehouse.as_deref(),
            usable: &usable,
            queued_timeout: context.parameters.get_number("STATEMENT_QUEUED_TIMEOUT_IN_SECONDS"),
            holds_locks: self.open.lock().is_some(),
            cancel: &context.cancel,
        };
        self.shared.warehouses.admit(entry).await
    }

    async fn run_in_transaction(
        self: &Arc<Self>,
        context: &StatementContext,
        statement: &Statement,
        query_id: Uuid,
        arrival: Option<Moment>,
    ) -> Result<Outcome, Failure> {
        let mut guard = self.transaction.clone().lock_owned().await;
        if let Some(open) = guard.as_mut() {
            open.undo_statement().await;
        }
        if !context.describe_only
            && let Some(answer) = self.end_lost_transaction(statement)
        {
            return answer.map_err(Failure::User);
        }
        if let Some(open) = guard.as_ref()
            && open.aborted
            && !matches!(statement, Statement::Commit | Statement::Rollback)
        {
            return Err(Failure::User(statements::transaction::is_aborted(open)));
        }
        match statement {
            Statement::Begin(begin) => {
                return statements::transaction::begin(context, &mut guard, begin)
                    .await
                    .map_err(Failure::User);
            }
            Statement::Commit => {
                context.committing.begin().await;
                return statements::transaction::commit(context, &mut guard)
                    .await
                    .map_err(Failure::User);
            }
            Statement::Rollback => {
                return statements::transaction::rollback(&mut guard).await.map_err(Failure::User);
            }
            _ => {}
        }
        if !context.describe_only
            && guard.is_some()
            && (commits_first(statement)
                || statements::session::changes_autocommit(self, statement))
        {
            context.committing.begin().await;
            let committed = statements::transaction::commit_before(context, &mut guard).await;
            context.committing.end();
            committed.map_err(Failure::User)?;
        }
        let writes = !reads_only(statement) && !context.describe_only;
        if guard.is_none()
            && writes
            && statements::is_dml(statement)
            && !context.parameters.get_bool("AUTOCOMMIT")
        {
            statements::transaction::open(context, &mut guard, None)
                .await
                .map_err(Failure::User)?;
        }
        if let Some(open) = guard.as_mut() {
            open.lake.refresh().await.map_err(|e| Failure::User(e.into()))?;
            if writes {
                open.begin_statement();
            }
            context.record.lock().namespace = Namespace::of(context, open.lake.view());
            let mut work = Work::Open(guard);
            let outcome = match statements::run(context, &mut work, statement).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    if let Work::Open(guard) = &mut work
                        && let Some(open) = guard.as_mut()
                    {
                        open.undo_statement().await;
                    }
                    return Err(Failure::User(error));
                }
            };
            if let Work::Open(guard) = &mut work
                && let Some(open) = guard.as_mut()
                && writes
            {
                open.keep_statement();
                open.done.push(DoneStatement {
                    query_id,
                    request: context.request.as_ref().map(|request| request.key.clone()),
                    changes: outcome.changes,
                });
            }
            return Ok(outcome);
        }
        // Statements of their own transaction do not wait for each other.
        drop(guard);
        let lake = &self.shared.lake;
        let point = arrival.map_or_else(|| lake.read_point(), |moment| moment.point);
        let lake = lake.begin_at(self.id, point).await.map_err(|e| Failure::User(e.into()))?;
        context.record.lock().namespace = Namespace::of(context, lake.view());
        let mut work = Work::Auto(Box::new(lake));
        let outcome = statements::run(context, &mut work, statement).await;
        let Work::Auto(mut lake) = work else {
            return Err(Failure::User(UserError::internal("the transaction changed hands")));
        };
        match outcome {
            Ok(outcome) if writes => {
                let request = context.request.as_ref();
                let entry = request.map(|request| request.entry(query_id, outcome.changes));
                let meta = CommitMeta {
                    query_id: Some(query_id.to_string()),
                    statements: entry.into_iter().collect(),
                    user: Some(self.user.clone()),
                    message: None,
                };
                // Held until the answer: from here on the statement is no longer cancelled.
                context.committing.begin().await;
                let read = lake.snapshot();
                if lake.account().changes_rules() {
                    lake.account().rules_version = Some(context.model.rules_version());
                }
                match lake.commit(meta).await {
                    Ok(snapshot) => {
                        if snapshot == read
                            && commits_first(statement)
                            && let Some(request) = request
                        {
                            self.note_request(request, query_id, outcome.changes).await;
                        }
                        let purged = std::mem::take(&mut context.record.lock().purged);
                        statements::ownership::purge(context, &purged).await;
                        statements::rename_database::follow(context);
                        statements::rename_schema::follow(context);
                        if matches!(statement, Statement::Drop(_)) {
                            // The drop is done; what is left of older ones is no part of it.
                            if let Err(error) = statements::undrop::purge(context).await {
                                tracing::warn!(%error, "could not purge what was dropped");
                            }
                        }
                        Ok(outcome)
                    }
                    Err(error @ LakeError::Conflict { .. }) => Err(Failure::LostRace(error.into())),
                    Err(error) => Err(failed(statement, error.into())),
                }
            }
            Ok(outcome) => {
                lake.rollback().await;
                Ok(outcome)
            }
            Err(error) => {
                lake.rollback().await;
                match context.record.lock().lost_race {
                    true => Err(Failure::LostRace(error)),
                    false => Err(failed(statement, error)),
                }
            }
        }
    }

    /// Writes what the statement changed of the session into its row. A transaction that ended is
    /// noted behind the client's back: nothing is lost when that is late.
    ///
    /// # Errors
    /// What was opened could not be noted, and is undone: after a restart nothing would tell that it is lost.
    async fn save_after(self: &Arc<Self>, statement: &Statement) -> Result<(), UserError> {
        let warn = |error: &UserError| tracing::warn!("a session could not be stored: {error}");
        if matches!(statement, Statement::Commit | Statement::Rollback) {
            let session = self.clone();
            tokio::spawn(async move { session.save().await.inspect_err(warn) });
            return Ok(());
        }
        match self.save().await.inspect_err(warn) {
            Err(error) if self.undo_unsaved().await => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives up the transaction, or the first temporary tables, that the session's row does not tell of.
    async fn undo_unsaved(&self) -> bool {
        let (transaction_id, temporary_tables) = {
            let saved = self.saved.lock().await;
            (saved.transaction_id.clone(), saved.temporary_tables)
        };
        let mut undone = false;
        let mut guard = self.transaction.lock().await;
        if guard.as_ref().is_some_and(|open| Some(open.id()) != transaction_id.as_deref())
            && let Some(open) = guard.take()
        {
            open.lake.rollback().await;
            undone = true;
        }
        drop(guard);
        if !temporary_tables && self.shared.lake.has_temporary_tables(self.id) {
            self.shared.lake.drop_session(self.id).await;
            undone = true;
        }
        undone
    }

    /// The tighter limit of the session and its warehouse, in seconds.
    fn statement_timeout(&self, parameters: &Parameters) -> i64 {
        let own = parameters.get_number("STATEMENT_TIMEOUT_IN_SECONDS");
        let warehouse = self.state.lock().warehouse.clone();
        let facts = warehouse.and_then(|name| self.shared.warehouses.facts(&name));
        tighter(own, facts.map_or(0, |facts| facts.statement_timeout))
    }

    fn statement_parameters(&self, request: &StatementRequest) -> Result<Parameters, UserError> {
        let mut parameters = self.state.lock().parameters.clone();
        for (name, value) in &request.parameters {
            parameters.set_json(name, value)?;
        }
        Ok(parameters)
    }

    pub(crate) async fn statement_context(
        self: &Arc<Self>,
        request: &StatementRequest,
        parsed: &Parsed,
        query_id: Uuid,
        parameters: &Parameters,
        cancel: &CancellationToken,
        arrival: &Option<Moment>,
    ) -> Result<StatementContext, UserError> {
        let mut state = self.state.lock().clone();
        if self.role_restriction.is_some() {
            // What a token is held to is one role, whatever roles the user has besides.
            state.secondary_roles = SecondaryRoles::None;
        }
        let accounts = &self.shared.accounts;
        let model = match arrival.as_ref().and_then(|moment| moment.account_version(accounts)) {
            Some(version) => self.shared.access_model_of(accounts.view_of(version).await?)?,
            None => self.shared.access_model().await?,
        };
        let roles = model.session_roles(&self.user, &state.role, &state.secondary_roles);
        let available: Vec<String> =
            model.available_roles(&self.user).into_iter().map(str::to_string).collect();
        let active = model.names_of(&roles).map(str::to_string).collect();
        // Where the primary role was taken from the user, it is no more told than it counts.
        let role = Some(&state.role).filter(|role| model.may_assume(&self.user, role));
        let facts = Facts {
            now_micros: now_micros(),
            timezone: parameters.timezone(),
            user: self.user.clone(),
            role: role.cloned().unwrap_or_default(),
            account: "FRAZIL".to_string(),
            region: self.shared.region.clone(),
            organization: self.shared.organization.clone(),
            client: self.client.clone(),
            database: state.database.clone(),
            schema: state.schema.clone(),
            warehouse: state.warehouse.clone(),
            session_id: self.id,
            query_id: query_id.to_string(),
            last_query_ids: state.query_ids.clone(),
            server_version: env!("CARGO_PKG_VERSION").to_string(),
            week_start: parameters.get_number("WEEK_START") as u8,
            week_of_year_policy: parameters.get_number("WEEK_OF_YEAR_POLICY") as u8,
            formats: output_formats(parameters),
            transaction_id: None,
            last_transaction_id: self.last_transaction.lock().clone(),
            statement: parsed.text.clone(),
            secondary_roles: secondary_roles(&state, &available),
            available_roles: available,
            active_roles: active,
            invoker_role: role.cloned(),
            invoker_roles: invoker_roles(&model, role.map_or("", String::as_str)),
        };
        let binds: Vec<TypedExpr> = scalar_binds(&request.binds, &facts)?;
        let cancelled = cancel.clone();
        Ok(StatementContext {
            shared: self.shared.clone(),
            session: self.clone(),
            runtime: self.shared.runtime.clone(),
            place: None,
            facts,
            parameters: parameters.clone(),
            state,
            on_behalf_of: None,
            binds,
            array_binds: None,
            text: request.text.clone(),
            model,
            roles,
            cancel: cancel.clone(),
            stop: StatementStop::when(move || cancelled.is_cancelled()),
            describe_only: request.describe_only,
            pinned: None,
            present: None,
            depth: 0,
            protections: Arc::default(),
            record: parking_lot::Mutex::default(),
            used: Arc::default(),
            running: parking_lot::Mutex::default(),
            request: None,
            committing: Arc::default(),
        })
    }

    pub(crate) fn stored(
        &self,
        query_id: Uuid,
        statement_type_id: u32,
        outcome: Outcome,
        number_of_binds: u32,
    ) -> StoredResult {
        // Clients expect no statistics where no row was touched.
        let changed = outcome.changes != Changes::default();
        let changes = changed.then_some(outcome.changes);
        StoredResult {
            query_id,
            statement_type_id,
            columns: outcome.columns,
            rows: outcome.rows,
            context: self.current(),
            transfer: outcome.transfer,
            children: Vec::new(),
            owner: self.reader(),
            number_of_binds,
            array_bind_supported: false,
            prefers_json: outcome.prefers_json,
            rows_affected: outcome.rows_affected,
            changes,
            secret_of: outcome.shows_secret.then_some(self.id),
            finished_micros: now_micros(),
        }
    }
}

/// A role and those it inherits.
pub(crate) fn invoker_roles(model: &AccessModel, role: &str) -> Vec<String> {
    model.names_of(&model.role_alone(role)).map(str::to_string).collect()
}

/// The secondary roles and the word that chose them.
fn secondary_roles(state: &SessionState, available: &[String]) -> (String, String) {
    let listed = |roles: &[String]| {
        let others = roles.iter().filter(|role| **role != state.role);
        others.map(String::as_str).collect::<Vec<_>>().join(",")
    };
    match &state.secondary_roles {
        SecondaryRoles::None => Default::default(),
        SecondaryRoles::All => (listed(available), "ALL".to_string()),
        SecondaryRoles::Listed(roles) => (listed(roles), listed(roles)),
    }
}

pub(crate) fn output_formats(parameters: &Parameters) -> OutputFormats {
    let timestamp = |name: &str| {
        let own = parameters.get(name);
        if own.is_empty() { parameters.get("TIMESTAMP_OUTPUT_FORMAT") } else { own }.to_string()
    };
    OutputFormats {
        date: parameters.get("DATE_OUTPUT_FORMAT").to_string(),
        time: parameters.get("TIME_OUTPUT_FORMAT").to_string(),
        timestamp_ntz: timestamp("TIMESTAMP_NTZ_OUTPUT_FORMAT"),
        timestamp_ltz: timestamp("TIMESTAMP_LTZ_OUTPUT_FORMAT"),
        timestamp_tz: timestamp("TIMESTAMP_TZ_OUTPUT_FORMAT"),
        binary: parameters.get("BINARY_OUTPUT_FORMAT").to_string(),
    }
}

/// What the history keeps of a statement's place.
fn detail(admission: &Admission) -> QueryDetail {
    let warehouse = admission.warehouse.as_ref();
    QueryDetail {
        warehouse_id: warehouse.map(|warehouse| warehouse.id),
        warehouse_size: warehouse.map(|warehouse| warehouse.size.shown().to_string()),
        warehouse_type: warehouse.map(|warehouse| warehouse.warehouse_type.clone()),
        queued: i64::try_from(admission.queued.as_micros()).unwrap_or(i64::MAX),
        ..QueryDetail::default()
    }
}

/// Why a statement did not finish.
enum Failure {
    /// Another commit got in the way; trying again may succeed.
    LostRace(UserError),
    User(UserError),
}

/// What an error means. A name that another session has taken since the statement looked is there when it
/// looks again: it has words for that.
fn failed(statement: &Statement, error: UserError) -> Failure {
    let minds = statement.create_mode().is_none_or(|mode| !mode.or_replace && !mode.if_not_exists);
    match error.code {
        Code::ObjectExists if !minds => Failure::LostRace(error),
        _ => Failure::User(error),
    }
}

/// Marks a statement as ended when its future is dropped midway.
struct Unfinished {
    /// None once it has ended.
    session: Option<Arc<Session>>,
    query_id: Uuid,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            let results = &session.shared.results;
            session.used.store(now_micros(), Ordering::SeqCst);
            results.finish(self.query_id, session.reader(), Err(cancelled()), now_micros());
        }
    }
}

/// STATEMENT_TIMEOUT_IN_SECONDS: cancels the statement, and says why.
struct Timer {
    seconds: i64,
    expired: Arc<std::sync::atomic::AtomicBool>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Timer {
    fn start(seconds: i64, cancel: &CancellationToken) -> Timer {
        let expired = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let task = (seconds > 0).then(|| {
            let (expired, cancel) = (expired.clone(), cancel.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
                expired.store(true, Ordering::SeqCst);
                cancel.cancel();
            })
        });
        Timer { seconds, expired, task }
    }

    fn explain(&self, error: UserError) -> UserError {
        if error.code == Code::Cancelled && self.expired.load(Ordering::SeqCst) {
            return UserError::new(
                Code::StatementTimeout,
                format!(
                    "Statement reached its statement or warehouse timeout of {} second(s) and was \
                     canceled.",
                    self.seconds
                ),
            );
        }
        error
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
