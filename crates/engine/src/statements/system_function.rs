//! System functions that act on the server or ask its catalog: cancelling statements, ending
//! sessions and transactions, the value of a tag, definitions, clustering. They are carried
//! out once, before the query around them is planned, and stand in
//! it as their answer.

use std::ops::ControlFlow;
use std::time::Duration;

use datafusion::common::ScalarValue;
use frazil_common::{Code, ObjectRef, Privilege, UserError};
use frazil_dialect::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, SelectItem,
    SetExpr, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use frazil_dialect::{Call, ObjectWord};
use frazil_governance::system;
use uuid::Uuid;

use crate::resolve::tags::{effective, levels};
use crate::run::execute::run_to_spool;
use crate::session::Session;
use crate::session::savepoint::LostTransaction;
use crate::statements::clustering;
use crate::statements::context::{StatementContext, Work, cancelled};
use crate::statements::ddl::definition;
use crate::statements::lookup::{absent, find_reached, of_user};
use crate::statements::outcome::{Outcome, schema_of};
use crate::statements::query::{operators, plan};
use crate::statements::tag::tagged;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    CancelQuery,
    CancelAllQueries,
    AbortSession,
    AbortTransaction,
    Wait,
    GetTag,
    GetDdl,
    ClusteringInformation,
}

const ACTIONS: &[(&str, Action)] = &[
    ("SYSTEM$CANCEL_QUERY", Action::CancelQuery),
    ("SYSTEM$CANCEL_ALL_QUERIES", Action::CancelAllQueries),
    ("SYSTEM$ABORT_SESSION", Action::AbortSession),
    ("SYSTEM$ABORT_TRANSACTION", Action::AbortTransaction),
    ("SYSTEM$WAIT", Action::Wait),
    ("SYSTEM$GET_TAG", Action::GetTag),
    ("GET_DDL", Action::GetDdl),
    ("SYSTEM$CLUSTERING_INFORMATION", Action::ClusteringInformation),
];

fn action_of(function: &Function) -> Option<(&'static str, Action)> {
    let [part] = function.name.0.as_slice() else { return None };
    let name = &part.as_ident()?.value;
    ACTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).copied()
}

/// The query with its acting functions carried out; None for one that has none.
///
/// # Errors
/// Arguments that do not fit; a statement, session or transaction of somebody else.
pub(crate) async fn carried_out(
    context: &StatementContext,
    work: &mut Work,
    query: &Query,
) -> Result<Option<Box<Query>>, UserError> {
    let mut calls = Calls::default();
    // The visitor never breaks off.
    let _ = Visit::visit(query, &mut calls);
    if calls.found.is_empty() {
        return Ok(None);
    }
    let SetExpr::Select(select) = query.body.as_ref() else { return Err(misplaced()) };
    if !select.from.is_empty() || calls.queries > 1 {
        return Err(misplaced());
    }
    let mut answers = Vec::with_capacity(calls.found.len());
    for (name, action, function) in &calls.found {
        let arguments = arguments(context, work, name, function).await?;
        answers.push(match (action, arguments.as_slice()) {
            _ if context.describe_only => Some(String::new()),
            (Action::Wait, [amount]) => Some(wait(context, amount, "SECONDS").await?),
            (Action::Wait, [amount, unit]) => Some(wait(context, amount, unit).await?),
            (Action::GetTag, [tag, object, domain]) => {
                tag_value(context, tag, object, domain).await?
            }
            (Action::GetDdl, [kind, object]) => {
                Some(definition(context, work, kind, object, false).await?)
            }
            (Action::GetDdl, [kind, object, full]) => {
                let full = full.eq_ignore_ascii_case("true");
                Some(definition(context, work, kind, object, full).await?)
            }
            (Action::ClusteringInformation, [table]) => {
                Some(clustering::information(context, work, table, None).await?)
            }
            (Action::ClusteringInformation, [table, keys]) => {
                Some(clustering::information(context, work, table, Some(keys)).await?)
            }
            (action, [id]) => Some(act(context, *action, id).await?),
            _ => return Err(wrong_arguments(name)),
        });
    }
    let mut query = Box::new(query.clone());
    let _ = VisitMut::visit(query.as_mut(), &mut Answers(answers.into_iter()));
    Ok(Some(query))
}

/// CALL of an acting function; there are no other procedures.
pub(crate) async fn call(
    context: &StatementContext,
    work: &mut Work,
    call: &Call,
) -> Result<Outcome, UserError> {
    let Some((name, _)) = action_of(&call.function) else {
        return Err(UserError::unsupported(format!("CALL of {}", call.function.name)));
    };
    let mut query = frazil_dialect::parse_query("SELECT 1")?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = vec![SelectItem::ExprWithAlias {
            expr: Expr::Function(call.function.clone()),
            alias: Ident::with_quote('"', name),
        }];
    }
    super::query::run(context, work, &query).await
}

fn misplaced() -> UserError {
    UserError::unsupported("system functions that act, outside SELECT without FROM")
}

/// Collects the acting calls of a query, in order.
#[derive(Default)]
struct Calls {
    found: Vec<(&'static str, Action, Function)>,
    queries: usize,
}

impl Visitor for Calls {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expression
            && let Some((name, action)) = action_of(function)
        {
            self.found.push((name, action, function.clone()));
        }
        ControlFlow::Continue(())
    }
}

/// Puts the answers in the places of the calls, in the same order.
struct Answers(std::vec::IntoIter<Option<String>>);

impl VisitorMut for Answers {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expression
            && action_of(function).is_some()
            && let Some(answer) = self.0.next()
        {
            *expression = match answer {
                Some(answer) => Expr::value(Value::SingleQuotedString(answer)),
                None => Expr::value(Value::Null),
            };
        }
        ControlFlow::Continue(())
    }
}

/// The arguments as texts.
async fn arguments(
    context: &StatementContext,
    work: &mut Work,
    name: &str,
    function: &Function,
) -> Result<Vec<String>, UserError> {
    let FunctionArguments::List(list) = &function.args else { return Err(wrong_arguments(name)) };
    let mut query = frazil_dialect::parse_query("SELECT 1")?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = list
            .args
            .iter()
            .map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => {
                    Ok(SelectItem::UnnamedExpr(expression.clone()))
                }
                _ => Err(wrong_arguments(name)),
            })
            .collect::<Result<Vec<_>, _>>()?;
    }
    let planned = plan(context, work, &query, &context.text).await?;
    let rows = run_to_spool(
        &context.runtime,
        operators(context, work, &planned).await?,
        schema_of(&planned.columns),
        context.shared.results.directory(),
        &format!("{}-arguments", context.query_id()),
        None,
        &context.cancel,
    )
    .await?;
    let batches = rows.read_all()?;
    let batch = batches
        .iter()
        .find(|batch| batch.num_rows() > 0)
        .ok_or_else(|| UserError::internal("a row without FROM is missing"))?;
    batch
        .columns()
        .iter()
        .map(|column| {
            let value = ScalarValue::try_from_array(column, 0).map_err(UserError::internal)?;
            if value.is_null() { Err(wrong_arguments(name)) } else { Ok(value.to_string()) }
        })
        .collect()
}

fn wrong_arguments(name: &str) -> UserError {
    UserError::new(Code::ArgumentCount, format!("Invalid arguments for function {name}."))
}

/// Waits, as long as the statement is not cancelled.
async fn wait(context: &StatementContext, amount: &str, unit: &str) -> Result<String, UserError> {
    let invalid = || wrong_arguments("SYSTEM$WAIT");
    let number: u64 = amount.parse().map_err(|_| invalid())?;
    let milliseconds: u64 = match unit.to_ascii_uppercase().as_str() {
        "MILLISECONDS" => 1,
        "SECONDS" => 1000,
        "MINUTES" => 60_000,
        "HOURS" => 3_600_000,
        "DAYS" => 86_400_000,
        _ => return Err(invalid()),
    };
    let pause = Duration::from_millis(number.checked_mul(milliseconds).ok_or_else(invalid)?);
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(format!("waited {number} {}", unit.to_lowercase())),
        () = context.cancel.cancelled() => Err(cancelled()),
    }
}

fn no_session(id: &str) -> UserError {
    UserError::new(Code::InvalidArgument, format!("Session '{id}' does not exist."))
}

async fn act(
    context: &StatementContext,
    action: Action,
    argument: &str,
) -> Result<String, UserError> {
    match action {
        Action::CancelQuery => cancel_query(context, argument).await,
        Action::CancelAllQueries => {
            let id = session_id(context, argument)?;
            let own = context.query_id().parse().ok();
            let count = context.shared.results.cancel_session(id, own);
            Ok(format!("{count} queries cancelled."))
        }
        Action::AbortSession => {
            let id = session_id(context, argument)?;
            if id == context.session.id {
                return Err(UserError::new(
                    Code::InvalidStatement,
                    "A session can not abort itself.",
                ));
            }
            context.shared.close_session(id).await?;
            Ok(format!("Session {id} aborted."))
        }
        Action::AbortTransaction => abort_transaction(context, argument).await,
        Action::Wait => Err(wrong_arguments("SYSTEM$WAIT")),
        Action::GetTag => Err(wrong_arguments("SYSTEM$GET_TAG")),
        Action::GetDdl => Err(wrong_arguments("GET_DDL")),
        Action::ClusteringInformation => Err(wrong_arguments("SYSTEM$CLUSTERING_INFORMATION")),
    }
}

/// SYSTEM$GET_TAG: the value of a tag on an object, its own or inherited.
async fn tag_value(
    context: &StatementContext,
    tag: &str,
    object: &str,
    domain: &str,
) -> Result<Option<String>, UserError> {
    let view = context.shared.catalog.head_view().await?;
    let name = frazil_dialect::parse_object_name_text(tag)?;
    let found = find_reached(context, &view, ObjectWord::Tag, &name)
        .await?
        .ok_or_else(|| absent(context, ObjectWord::Tag, &name))?;
    let asked = tagged(context, &view, object, domain).await?;
    let account = context.shared.accounts.view().await?;
    let column = asked.column.map(|(_, id)| id);
    let levels = levels(&asked.object, &asked.parents, column);
    let known = effective(&account, &levels).into_iter().find(|on| on.tag == found.object.id);
    Ok(known.map(|on| on.value.clone()))
}

/// A session that the role may act on.
fn session_id(context: &StatementContext, text: &str) -> Result<i64, UserError> {
    let id: i64 = text.trim().parse().map_err(|_| no_session(text))?;
    let session = context.shared.sessions.read().get(&id).cloned();
    session
        .filter(|session| stoppable(context, session))
        .map(|s| s.id)
        .ok_or_else(|| no_session(text))
}

/// Users stop their own sessions, account administrators all.
fn stoppable(context: &StatementContext, session: &Session) -> bool {
    session.user == context.session.user
        || context.model.includes(&context.roles, system::ACCOUNTADMIN)
}

/// Whether the role may stop a statement: one of a session that it may act on, of a user that it owns, or
/// in a warehouse that it may operate.
async fn may_cancel(
    context: &StatementContext,
    session: &Session,
    query_id: &Uuid,
) -> Result<bool, UserError> {
    let (model, roles) = (&context.model, &context.roles);
    let operates =
        |warehouse: ObjectRef| model.has_privilege(roles, &warehouse, &[], Privilege::Operate);
    if stoppable(context, session)
        || context.shared.warehouses.of_statement(query_id).is_some_and(operates)
    {
        return Ok(true);
    }
    let account = context.shared.accounts.view().await?;
    let user = account.user_by_id(session.user_id).cloned();
    Ok(user.is_some_and(|user| {
        model.has_privilege(roles, &of_user(user).object, &[], Privilege::Ownership)
    }))
}

async fn cancel_query(context: &StatementContext, text: &str) -> Result<String, UserError> {
    let query_id = Uuid::parse_str(text.trim())
        .map_err(|_| UserError::new(Code::InvalidArgument, format!("Invalid UUID: {text}")))?;
    let owner = context.shared.results.session_of(&query_id);
    let session = owner.and_then(|id| context.shared.sessions.read().get(&id).cloned());
    let may = match session {
        Some(session) => may_cancel(context, &session, &query_id).await?,
        None => false,
    };
    if may && context.shared.results.cancel(&query_id) {
        Ok(format!("query [{query_id}] terminated."))
    } else {
        Ok("Identified SQL statement is not currently executing.".to_string())
    }
}

/// Cancels the statement that is a transaction by itself and holds or waits for a lock, as SHOW LOCKS
/// lists it. Tells whether there was one.
fn cancel_statement_of(context: &StatementContext, transaction_id: &str) -> bool {
    let locks = context.shared.transactions.locks();
    let lock = locks.iter().find(|lock| lock.transaction.id.to_string() == transaction_id);
    let Some(lock) = lock else { return false };
    let session = context.shared.sessions.read().get(&lock.transaction.session_id).cloned();
    session.is_some_and(|session| stoppable(context, &session))
        && Uuid::parse_str(&lock.query_id).is_ok_and(|id| context.shared.results.cancel(&id))
}

/// Rolls back the open transaction of a session, after stopping what runs in it.
async fn abort_transaction(context: &StatementContext, text: &str) -> Result<String, UserError> {
    let id = text.trim();
    let holds = |session: &Session| session.open.lock().as_ref().is_some_and(|open| open.id == id);
    let found = context.shared.sessions.read().values().find(|session| holds(session)).cloned();
    if found.is_none() && cancel_statement_of(context, id) {
        return Ok(format!("Aborted transaction id: {id}"));
    }
    let session = found.filter(|session| stoppable(context, session)).ok_or_else(|| {
        UserError::new(Code::InvalidArgument, format!("Transaction '{id}' does not exist."))
    })?;
    if session.id == context.session.id {
        return Err(UserError::new(
            Code::InvalidStatement,
            "A session ends its own transaction with ROLLBACK.",
        ));
    }
    context.shared.results.cancel_session(session.id, None);
    let slot = session.transaction.lock().await;
    if !session.abort_open(slot, id, LostTransaction::Aborted(id.to_string())).await? {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!("Transaction '{id}' ended before it could be aborted."),
        ));
    }
    Ok(format!("Aborted transaction id: {id}"))
}
