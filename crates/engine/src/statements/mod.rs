//! The statements: one file each, or one per tight family. `run` is their only table.

pub(crate) mod access_token;
pub(crate) mod account_change;
pub(crate) mod alter_account;
pub(crate) mod alter_model;
pub(crate) mod alter_object;
pub(crate) mod alter_table;
pub(crate) mod clone;
mod clustering;
pub(crate) mod column_types;
pub(crate) mod comment;
pub(crate) mod constraints;
pub(crate) mod context;
pub(crate) mod copy_into_location;
pub(crate) mod copy_into_table;
pub(crate) mod create_endpoint;
pub(crate) mod create_model;
pub(crate) mod create_namespace;
pub(crate) mod create_stage;
pub(crate) mod create_table;
pub(crate) mod create_view;
pub(crate) mod create_warehouse;
pub(crate) mod database_role;
pub(crate) mod ddl;
mod ddl_governance;
pub(crate) mod defaults;
pub(crate) mod describe;
pub(crate) mod dml;
pub(crate) mod drop;
pub(crate) mod execute_immediate;
pub(crate) mod file_transfer;
pub(crate) mod grant;
pub(crate) mod grant_role;
pub(crate) mod import_model;
mod imported_privileges;
pub(crate) mod in_use;
pub(crate) mod lookup;
pub(crate) mod multi_insert;
pub(crate) mod option_values;
pub(crate) mod outcome;
pub(crate) mod ownership;
pub(crate) mod pivot_values;
pub(crate) mod policy;
pub(crate) mod principals;
pub(crate) mod query;
pub(crate) mod rename_database;
pub(crate) mod rename_schema;
pub(crate) mod reserved;
pub(crate) mod resource_monitor;
pub(crate) mod retention;
pub(crate) mod session;
pub(crate) mod show;
pub(crate) mod show_grants;
pub(crate) mod split;
pub(crate) mod system_function;
pub(crate) mod table_options;
pub(crate) mod tag;
pub(crate) mod transaction;
pub(crate) mod undrop;
pub(crate) mod use_object;

use frazil_common::UserError;
use frazil_dialect::Statement;

use crate::history::definitions;
use context::{StatementContext, Work};
use outcome::Outcome;

/// Whether a statement changes rows of tables, and so opens a transaction where AUTOCOMMIT is off.
pub(crate) fn is_dml(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Insert(_)
            | Statement::MultiInsert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_)
            | Statement::Truncate(_)
            | Statement::CopyIntoTable(_)
    )
}

/// Makes a statement's future straight on the heap: together the futures of all statements are
/// too large for a thread's stack.
#[inline(never)]
fn on_heap<F: Future>(make: impl FnOnce() -> F) -> std::pin::Pin<Box<F>> {
    Box::pin(make())
}

/// Runs one statement in its transaction.
pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    statement: &Statement,
) -> Result<Outcome, UserError> {
    let defined = on_heap(|| definitions::defined(context, work, statement)).await;
    let outcome = dispatch(context, work, statement).await?;
    context.record.lock().defined = defined;
    Ok(outcome)
}

async fn dispatch(
    context: &StatementContext,
    work: &mut Work,
    statement: &Statement,
) -> Result<Outcome, UserError> {
    use Statement as S;
    match statement {
        S::Query(query) => on_heap(|| query::run(context, work, query)).await,
        S::Explain(explain) => on_heap(|| query::explain(context, work, explain)).await,
        S::Insert(insert) => on_heap(|| dml::insert(context, work, insert)).await,
        S::MultiInsert(insert) => on_heap(|| multi_insert::run(context, work, insert)).await,
        S::Update(update) => on_heap(|| dml::update(context, work, update)).await,
        S::Delete(delete) => on_heap(|| dml::delete(context, work, delete)).await,
        S::Merge(merge) => on_heap(|| dml::merge(context, work, merge)).await,
        S::Truncate(truncate) => on_heap(|| dml::truncate(context, work, truncate)).await,
        S::CreateTable(create) => on_heap(|| create_table::run(context, work, create)).await,
        S::CreateView(create) => on_heap(|| create_view::run(context, work, create)).await,
        S::CreateDatabase(create) => {
            on_heap(|| create_namespace::database(context, work, create)).await
        }
        S::CreateSchema(create) => {
            on_heap(|| create_namespace::schema(context, work, create)).await
        }
        S::CreateWarehouse(create) => {
            on_heap(|| create_warehouse::create(context, work, create)).await
        }
        S::AlterWarehouse(alter) => on_heap(|| create_warehouse::alter(context, alter)).await,
        S::CreateResourceMonitor(create) => {
            on_heap(|| resource_monitor::create(context, create)).await
        }
        S::AlterResourceMonitor(alter) => on_heap(|| resource_monitor::alter(context, alter)).await,
        S::CreateRole(create) => on_heap(|| principals::create_role(context, work, create)).await,
        S::CreateDatabaseRole(create) => {
            on_heap(|| database_role::create(context, work, create)).await
        }
        S::CreateUser(create) => on_heap(|| principals::create_user(context, work, create)).await,
        S::AlterUserAccessToken(alter) => {
            on_heap(|| principals::access_token(context, alter)).await
        }
        S::CreateStage(create) => on_heap(|| create_stage::stage(context, work, create)).await,
        S::CreateFileFormat(create) => {
            on_heap(|| create_stage::file_format(context, work, create)).await
        }
        S::CreateSequence(create) => {
            on_heap(|| create_stage::sequence(context, work, create)).await
        }
        S::CreateModel(create) => on_heap(|| create_model::train(context, work, create)).await,
        S::ImportModel(import) => on_heap(|| import_model::run(context, work, import)).await,
        S::AlterModel(alter) => on_heap(|| alter_model::run(context, work, alter)).await,
        S::CreateEndpoint(create) => {
            on_heap(|| create_endpoint::create(context, work, create)).await
        }
        S::AlterEndpoint(alter) => on_heap(|| create_endpoint::alter(context, work, alter)).await,
        S::CreatePolicy(create) => on_heap(|| policy::create(context, work, create)).await,
        S::AlterPolicy(alter) => on_heap(|| policy::alter(context, work, alter)).await,
        S::SetPolicy(set) => on_heap(|| policy::set(context, work, set)).await,
        S::CreateTag(create) => on_heap(|| tag::create(context, work, create)).await,
        S::AlterTag(alter) => on_heap(|| tag::alter(context, work, alter)).await,
        S::SetTags(set) => on_heap(|| tag::set(context, work, set)).await,
        S::AlterTable(alter) => on_heap(|| alter_table::run(context, work, alter)).await,
        S::AlterObject(alter) => on_heap(|| alter_object::run(context, work, alter)).await,
        S::AlterSession(alter) => on_heap(|| session::alter(context, alter)).await,
        S::Drop(drop) => on_heap(|| drop::run(context, work, drop)).await,
        S::Undrop(undrop) => on_heap(|| undrop::run(context, work, undrop)).await,
        S::Use(target) => on_heap(|| use_object::run(context, work, target)).await,
        S::Grant(grant) => on_heap(|| grant::grant(context, work, grant)).await,
        S::Revoke(revoke) => on_heap(|| grant::revoke(context, work, revoke)).await,
        S::GrantRole(grant) => on_heap(|| grant_role::grant_role(context, work, grant)).await,
        S::RevokeRole(revoke) => on_heap(|| grant_role::revoke_role(context, work, revoke)).await,
        S::GrantOwnership(grant) => on_heap(|| grant::grant_ownership(context, work, grant)).await,
        S::Set(set) => on_heap(|| session::set(context, work, set)).await,
        S::Unset(unset) => on_heap(|| session::unset(context, unset)).await,
        S::Show(show) => on_heap(|| show::run(context, work, show)).await,
        S::ShowGrants(show, limit) => {
            on_heap(|| show_grants::run(context, work, show, *limit)).await
        }
        S::Describe(describe) => on_heap(|| describe::run(context, work, describe)).await,
        S::DescribeTransaction(describe) => transaction::describe(context, describe),
        S::DescribeResult(describe) => on_heap(|| describe::result(context, describe)).await,
        S::Comment(comment) => on_heap(|| comment::run(context, work, comment)).await,
        S::Put(put) => on_heap(|| file_transfer::put(context, work, put)).await,
        S::Get(get) => on_heap(|| file_transfer::get(context, work, get)).await,
        S::List(list) => on_heap(|| file_transfer::list(context, work, list)).await,
        S::Remove(remove) => on_heap(|| file_transfer::remove(context, work, remove)).await,
        S::CopyIntoTable(copy) => on_heap(|| copy_into_table::run(context, work, copy)).await,
        S::CopyIntoLocation(copy) => on_heap(|| copy_into_location::run(context, work, copy)).await,
        S::Call(call) => on_heap(|| system_function::call(context, work, call)).await,
        S::ExecuteImmediate(_) => {
            Err(UserError::internal("EXECUTE IMMEDIATE reached the statement table"))
        }
        S::Begin(_) | S::Commit | S::Rollback => {
            Err(UserError::internal("transaction control reached the statement table"))
        }
    }
}
