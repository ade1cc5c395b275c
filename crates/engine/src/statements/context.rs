//! What every statement works with: the session's facts, binds, and its transaction.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use frazil_catalog::account::{ColumnSources, QueryDetail};
use frazil_catalog::{CatalogView, RenamedSchema};
use frazil_common::{ObjectName, ObjectRef, QualifiedName, UserError};
use frazil_dialect::Statement;
pub(crate) use frazil_functions::cancelled;
use frazil_functions::{Facts, StatementStop, TypedExpr};
use frazil_governance::{
    AccessModel, EffectiveRoles, PolicyUse, Protections, Requirement, authorize, is_database_role,
};
use frazil_lake::LakeTransaction;
use frazil_planner::TimeTravel;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use crate::engine::Shared;
use crate::history::access::Used;
use crate::history::definitions::Defined;
use crate::run::profile::Profile;
use crate::run::runtime::QueryRuntime;
use crate::session::binds::ArrayBinds;
use crate::session::committing::Committing;
use crate::session::execute::invoker_roles;
use crate::session::execute::output_formats;
use crate::session::parameters::Parameters;
use crate::session::repeated::RequestEntry;
use crate::session::transactions::Running;
use crate::session::{OpenTransaction, Session, SessionState};
use crate::stage_files::LoadedFile;
use crate::warehouses::Place;

/// The transaction a statement works in.
pub(crate) enum Work {
    /// Its own, committed when the statement succeeds.
    Auto(Box<LakeTransaction>),
    /// The session's open one; the guard keeps the session's other statements out.
    Open(OwnedMutexGuard<Option<OpenTransaction>>),
}

impl Work {
    /// Removes stage files once the transaction has committed.
    pub fn purge_after_commit(&mut self, context: &StatementContext, files: Vec<LoadedFile>) {
        match self {
            Work::Auto(_) => context.record.lock().purged.extend(files),
            Work::Open(guard) => {
                if let Some(open) = guard.as_mut() {
                    open.purged.extend(files);
                }
            }
        }
    }

    pub fn lake(&mut self) -> Result<&mut LakeTransaction, UserError> {
        match self {
            Work::Auto(lake) => Ok(lake),
            Work::Open(guard) => match guard.as_mut() {
                Some(open) => Ok(&mut open.lake),
                None => Err(UserError::internal("the open transaction is gone")),
            },
        }
    }
}

/// A state that every table is read at.
#[derive(Debug, Clone)]
pub(crate) struct Pinned {
    pub snapshot: i64,
    /// What asked for it, where it is bound to the tables' retention.
    pub travel: Option<TimeTravel>,
}

/// One statement's surroundings, fixed when it starts.
pub(crate) struct StatementContext {
    pub shared: Arc<Shared>,
    pub session: Arc<Session>,
    /// The threads and memory it computes with: its warehouse's, or the server's.
    pub runtime: Arc<QueryRuntime>,
    /// Its place among those that compute, where it has one.
    pub place: Option<Place>,
    pub facts: Facts,
    /// Session parameters with the statement's own on top.
    pub parameters: Parameters,
    pub state: SessionState,
    /// The roles that count for stages, models and sequences, where they are not the session's.
    pub on_behalf_of: Option<EffectiveRoles>,
    pub binds: Vec<TypedExpr>,
    /// Rows of an array bind, read by INSERT through an internal table function.
    pub array_binds: Option<ArrayBinds>,
    pub text: String,
    pub model: Arc<AccessModel>,
    pub roles: EffectiveRoles,
    pub cancel: CancellationToken,
    /// The same for those who look at it now and then.
    pub stop: StatementStop,
    pub describe_only: bool,
    /// Reads every table as it was, as replaying a training query does, and a view of the past.
    pub pinned: Option<Pinned>,
    /// The time and parameters of the statement itself, where it runs a query of the past again.
    pub present: Option<Box<(i64, Parameters)>>,
    /// Depth of EXECUTE IMMEDIATE.
    pub depth: usize,
    /// The policies on what the statement reads, filled while it is resolved.
    pub protections: Arc<parking_lot::Mutex<Protections>>,
    /// Facts for the history, filled while the statement runs.
    pub record: parking_lot::Mutex<Record>,
    /// What it uses beside its plans, within views and policies too.
    pub used: Arc<parking_lot::Mutex<Used>>,
    /// The transaction of an autocommit statement that locked a table; ends with the statement.
    pub running: parking_lot::Mutex<Option<Arc<Running>>>,
    /// What its commit notes of the client's request.
    pub request: Option<RequestEntry>,
    /// Begun with what it commits, be it rows or account objects.
    pub committing: Arc<Committing>,
}

/// What a statement leaves in the history besides its answer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Record {
    pub namespace: Namespace,
    pub snapshot: Option<i64>,
    /// The plans it runs, until they are counted.
    pub plans: Vec<Arc<dyn ExecutionPlan>>,
    /// What the operators of the plans did that have run.
    pub profile: Profile,
    /// How it computed, where it did.
    pub detail: Option<QueryDetail>,
    pub accesses: Vec<frazil_common::Access>,
    /// Where the values of written columns come from.
    pub written: Vec<(ObjectRef, Vec<ColumnSources>)>,
    /// What was used beside the plans.
    pub used: Used,
    /// What the statement defined, altered or dropped.
    pub defined: Option<Defined>,
    /// Policies in the plans that ran.
    pub policies: Vec<PolicyUse>,
    /// Stage files to remove once the statement has committed.
    pub purged: Vec<LoadedFile>,
    /// Former and new names of databases, for the sessions once the statement has committed.
    pub renamed: Vec<(String, String)>,
    /// The same of schemas.
    pub renamed_schemas: Vec<RenamedSchema>,
    /// Whether what it was checked against has changed since.
    pub lost_race: bool,
}

/// Where a statement was in the catalog as it looked at it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Namespace {
    database: Option<(String, i64)>,
    schema: Option<(String, i64)>,
    /// The transaction that was open.
    pub transaction_id: Option<i64>,
}

impl Namespace {
    /// The ids of the current database and schema.
    pub fn of(context: &StatementContext, view: &CatalogView) -> Namespace {
        let SessionState { database, schema, .. } = &context.state;
        let found = database.as_deref().and_then(|name| view.database(name));
        let inner = found.zip(schema.as_deref());
        let inner = inner.and_then(|(database, name)| view.schema(&database.name, name));
        let transaction_id = context.facts.transaction_id.as_ref();
        Namespace {
            database: found.map(|found| (found.name.clone(), found.database_id)),
            schema: inner.map(|found| (found.name.clone(), found.schema_id)),
            transaction_id: transaction_id.and_then(|id| id.parse().ok()),
        }
    }

    /// The ids of a database and its schema, where these are still the ones.
    pub fn ids(
        &self,
        database: &Option<String>,
        schema: &Option<String>,
    ) -> (Option<i64>, Option<i64>) {
        let same = |known: &Option<(String, i64)>, name: &Option<String>| {
            known.as_ref().filter(|(known, _)| Some(known) == name.as_ref()).map(|(_, id)| *id)
        };
        let database = same(&self.database, database);
        (database, database.and_then(|_| same(&self.schema, schema)))
    }
}

impl Record {
    /// Counts what the plans did that have run, and lets go of them and what they hold.
    pub fn count_plans(&mut self) {
        for plan in std::mem::take(&mut self.plans) {
            self.profile.add(plan.as_ref());
        }
    }
}

impl StatementContext {
    pub fn query_id(&self) -> &str {
        &self.facts.query_id
    }

    pub fn variables(&self) -> &HashMap<String, TypedExpr> {
        &self.state.variables
    }

    /// The same statement seen from inside a view: the view's database and schema, no binds.
    pub fn for_view(&self, database: &str, schema: &str) -> StatementContext {
        let mut state = self.state.clone();
        state.database = Some(database.to_string());
        state.schema = Some(schema.to_string());
        let mut facts = self.facts.clone();
        facts.database = state.database.clone();
        facts.schema = state.schema.clone();
        StatementContext {
            shared: self.shared.clone(),
            session: self.session.clone(),
            runtime: self.runtime.clone(),
            place: self.place.clone(),
            facts,
            parameters: self.parameters.clone(),
            state,
            on_behalf_of: self.on_behalf_of.clone(),
            binds: Vec::new(),
            array_binds: None,
            text: String::new(),
            model: self.model.clone(),
            roles: self.roles.clone(),
            cancel: self.cancel.clone(),
            stop: self.stop.clone(),
            describe_only: self.describe_only,
            pinned: self.pinned.clone(),
            present: self.present.clone(),
            depth: self.depth,
            protections: self.protections.clone(),
            record: parking_lot::Mutex::default(),
            used: self.used.clone(),
            running: parking_lot::Mutex::default(),
            request: None,
            committing: self.committing.clone(),
        }
    }

    pub fn qualify(&self, name: &ObjectName) -> Result<QualifiedName, UserError> {
        self.state.qualify(name)
    }

    /// The role that owns what this statement creates.
    pub fn role(&self) -> &str {
        &self.state.role
    }

    pub fn authorize(&self, requirements: &[Requirement]) -> Result<(), UserError> {
        authorize(&self.model, self.on_behalf_of.as_ref().unwrap_or(&self.roles), requirements)
    }

    /// The same with the rights of the owner of a view or policy on the stages, models and sequences
    /// that its text names.
    pub fn of_owner(mut self, owner: &str) -> StatementContext {
        self.on_behalf_of = Some(self.model.role_alone(owner));
        self
    }

    /// The same at another time and with other parameters.
    pub fn at(mut self, now_micros: i64, parameters: Parameters) -> StatementContext {
        let present = (self.facts.now_micros, self.parameters.clone());
        self.set_time(now_micros, parameters);
        self.present.get_or_insert_with(|| Box::new(present));
        self
    }

    fn set_time(&mut self, now_micros: i64, parameters: Parameters) {
        let facts = &mut self.facts;
        facts.now_micros = now_micros;
        facts.timezone = parameters.timezone();
        facts.week_start = parameters.get_number("WEEK_START") as u8;
        facts.week_of_year_policy = parameters.get_number("WEEK_OF_YEAR_POLICY") as u8;
        facts.formats = output_formats(&parameters);
        self.parameters = parameters;
    }

    /// The same at present: what protects rows is not what it was in the past.
    pub fn at_present(mut self) -> StatementContext {
        self.pinned = None;
        if let Some(present) = self.present.take() {
            let (now_micros, parameters) = *present;
            self.set_time(now_micros, parameters);
        }
        self
    }

    /// The same as the text of a view asks: INVOKER_ROLE is the view's owner there, and in the policies on
    /// what the view reads.
    pub fn invoked_by(mut self, owner: &str) -> StatementContext {
        self.facts.invoker_role = (!is_database_role(owner)).then(|| owner.to_string());
        self.facts.invoker_roles = invoker_roles(&self.model, owner);
        self
    }

    /// Whose temporary objects names may mean: in the texts of views and policies nobody's.
    pub fn temporary_session(&self) -> i64 {
        if self.on_behalf_of.is_some() { 0 } else { self.session.id }
    }

    /// Whether the role may know of the object: SHOW and INFORMATION_SCHEMA list no others.
    pub fn sees(&self, object: &ObjectRef, parents: &[ObjectRef]) -> bool {
        self.model.is_visible(&self.roles, object, parents)
    }

    pub fn check_cancelled(&self) -> Result<(), UserError> {
        if self.cancel.is_cancelled() { Err(cancelled()) } else { Ok(()) }
    }
}

/// Whether a statement only reads, and so needs no commit.
pub(crate) fn reads_only(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Query(_)
            | Statement::Explain(_)
            | Statement::Show(_)
            | Statement::ShowGrants(..)
            | Statement::Describe(_)
            | Statement::DescribeResult(_)
            | Statement::DescribeTransaction(_)
            | Statement::Put(_)
            | Statement::Get(_)
            | Statement::List(_)
            | Statement::CopyIntoLocation(_)
    )
}

/// Whether a statement ends an open transaction first, as DDL does.
pub(crate) fn commits_first(statement: &Statement) -> bool {
    use Statement::*;
    matches!(
        statement,
        CreateTable(_)
            | CreateView(_)
            | CreateDatabase(_)
            | CreateSchema(_)
            | CreateWarehouse(_)
            | CreateResourceMonitor(_)
            | CreateRole(_)
            | CreateDatabaseRole(_)
            | CreateUser(_)
            | CreateStage(_)
            | CreateFileFormat(_)
            | CreateSequence(_)
            | CreateModel(_)
            | ImportModel(_)
            | CreateEndpoint(_)
            | CreatePolicy(_)
            | AlterPolicy(_)
            | SetPolicy(_)
            | CreateTag(_)
            | AlterTag(_)
            | SetTags(_)
            | AlterTable(_)
            | AlterObject(_)
            | AlterWarehouse(_)
            | AlterResourceMonitor(_)
            | AlterUserAccessToken(_)
            | AlterModel(_)
            | AlterEndpoint(_)
            | Drop(_)
            | Undrop(_)
            | Grant(_)
            | GrantRole(_)
            | GrantOwnership(_)
            | Revoke(_)
            | RevokeRole(_)
            | Comment(_)
    )
}
