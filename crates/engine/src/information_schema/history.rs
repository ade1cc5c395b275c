//! The account's histories as table functions.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::ScalarValue;
use frazil_catalog::account::{
    LoginFilter, ObjectFilter, QueryFilter, QueryRecord, QuerySight, QueryState, Warehouse,
};
use frazil_common::{
    Code, ObjectKind, ObjectRef, Privilege, SqlType, UserError, fold_identifier, quote_identifier,
};
use frazil_functions::TypedExpr;
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::evaluate_constant;
use frazil_planner::FunctionValue;
use serde_json::json;

use super::{INSTANT, NUMBER, Rows, TEXT};
use crate::account_usage::{CREDITS, credits, metering};
use crate::history::pages;
use crate::session::ongoing::OngoingStatement;
use crate::statements::context::StatementContext;
use crate::statements::outcome::Cell;

const LIMIT_DEFAULT: i64 = 100;
const LIMIT_MAX: i64 = 10_000;
const MICROS_PER_MILLI: i64 = 1000;
const DAY_MICROS: i64 = 86_400_000_000;

pub(super) type Arguments = [(Option<String>, FunctionValue)];

/// A function's arguments by name; unnamed ones take the names in order.
pub(super) struct Given<'a> {
    context: &'a StatementContext,
    function: &'a str,
    values: Vec<(&'static str, &'a FunctionValue)>,
}

impl<'a> Given<'a> {
    pub(super) fn read(
        context: &'a StatementContext,
        function: &'a str,
        names: &[&'static str],
        arguments: &'a Arguments,
    ) -> Result<Self, UserError> {
        let mut values: Vec<(&'static str, &FunctionValue)> = Vec::new();
        for (index, (name, value)) in arguments.iter().enumerate() {
            let known = match name {
                Some(name) => names.iter().find(|known| known.eq_ignore_ascii_case(name)),
                None => names.get(index),
            };
            let Some(known) = known else {
                return Err(UserError::new(
                    Code::InvalidArgument,
                    match name {
                        Some(name) => format!("Unknown argument '{name}' of function {function}."),
                        None => format!("Too many arguments for function {function}."),
                    },
                ));
            };
            if values.iter().any(|(earlier, _)| earlier == known) {
                return Err(UserError::new(
                    Code::InvalidArgument,
                    format!("Argument '{known}' of function {function} is given twice."),
                ));
            }
            values.push((known, value));
        }
        Ok(Given { context, function, values })
    }

    pub(super) fn function(&self) -> &str {
        self.function
    }

    pub(super) fn value(&self, name: &str) -> Option<&FunctionValue> {
        self.values
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
            .filter(|value| **value != FunctionValue::Null)
    }

    fn wrong(&self, name: &str) -> UserError {
        UserError::new(
            Code::InvalidArgument,
            format!("Invalid value for argument '{name}' of function {}.", self.function),
        )
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, UserError> {
        match self.value(name) {
            None => Ok(None),
            Some(FunctionValue::Text(text) | FunctionValue::Number(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(name)),
        }
    }

    fn integer(&self, name: &str) -> Result<Option<i64>, UserError> {
        match self.text(name)? {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| self.wrong(name)),
        }
    }

    fn limit(&self) -> Result<usize, UserError> {
        let limit = self.integer("RESULT_LIMIT")?.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(self.wrong("RESULT_LIMIT"));
        }
        usize::try_from(limit).map_err(UserError::internal)
    }

    /// A time in microseconds since 1970 UTC.
    pub(super) fn instant(&self, name: &str) -> Result<Option<i64>, UserError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let facts = &self.context.facts;
        let value = TypedExpr::text(&text);
        let value = cast(value, &SqlType::TIMESTAMP_LTZ, CastMode::Explicit, facts)?;
        match evaluate_constant(&value)? {
            ScalarValue::TimestampMicrosecond(Some(micros), _) => Ok(Some(micros)),
            _ => Err(self.wrong(name)),
        }
    }
}

/// Whether the role sees what other users did.
pub(super) fn sees_all(context: &StatementContext) -> bool {
    context.model.has_global(&context.roles, Privilege::Monitor)
}

/// What of the queries the role sees; none for all. What ran in a warehouse is seen by roles that may
/// monitor or operate it.
pub(super) async fn sight(context: &StatementContext) -> Result<Option<QuerySight>, UserError> {
    if sees_all(context) {
        return Ok(None);
    }
    let all = context.shared.accounts.objects::<Warehouse>(ObjectFilter::default()).await?;
    let seen = |id: i64, name: &str| {
        let name = quote_identifier(name);
        let warehouse = ObjectRef { kind: ObjectKind::Warehouse, id, name };
        [Privilege::Monitor, Privilege::Operate].into_iter().any(|privilege| {
            context.model.has_privilege(&context.roles, &warehouse, &[], privilege)
        })
    };
    let seen = all.iter().filter(|warehouse| seen(warehouse.id, &warehouse.name));
    Ok(Some(QuerySight {
        user: context.session.user.clone(),
        since: context.session.user_since,
        warehouses: seen.map(|warehouse| warehouse.id).collect(),
    }))
}

/// The record as the session is told it. An error may quote what another role was shown: a session that is
/// held to one role is told the words of its own, and of what ran in a warehouse that the role sees.
fn told(
    context: &StatementContext,
    sight: Option<&QuerySight>,
    record: QueryRecord,
) -> QueryRecord {
    let Some(sight) = sight.filter(|_| context.session.role_restriction.is_some()) else {
        return record;
    };
    let warehouse = record.detail.as_ref().and_then(|detail| detail.warehouse_id);
    let open = record.session_id == context.session.id
        || warehouse.is_some_and(|id| sight.warehouses.contains(&id));
    if open { record } else { QueryRecord { error_message: None, ..record } }
}

pub(super) async fn function(
    context: &StatementContext,
    name: &str,
    arguments: &Arguments,
) -> Result<Option<Rows>, UserError> {
    Ok(Some(match name {
        "QUERY_HISTORY"
        | "QUERY_HISTORY_BY_SESSION"
        | "QUERY_HISTORY_BY_USER"
        | "QUERY_HISTORY_BY_WAREHOUSE" => queries(context, name, arguments).await?,
        "LOGIN_HISTORY" | "LOGIN_HISTORY_BY_USER" => logins(context, name, arguments).await?,
        "NOTIFICATION_HISTORY" => notifications(context, name, arguments).await?,
        "WAREHOUSE_METERING_HISTORY" => warehouse_metering(context, name, arguments).await?,
        _ => return Ok(None),
    }))
}

/// Credits by hour in a range of days, for roles that may monitor the account.
async fn warehouse_metering(
    context: &StatementContext,
    name: &str,
    arguments: &Arguments,
) -> Result<Rows, UserError> {
    let names = ["DATE_RANGE_START", "DATE_RANGE_END", "WAREHOUSE_NAME"];
    let given = Given::read(context, name, &names, arguments)?;
    let Some(from) = given.instant("DATE_RANGE_START")? else {
        return Err(given.wrong("DATE_RANGE_START"));
    };
    let to = given.instant("DATE_RANGE_END")?.unwrap_or(i64::MAX);
    let warehouse = given.text("WAREHOUSE_NAME")?.map(|name| exact_or_folded(&name));
    let mut rows = Rows::new(
        "WAREHOUSE_METERING_HISTORY",
        &[
            ("START_TIME", INSTANT),
            ("END_TIME", INSTANT),
            ("WAREHOUSE_NAME", TEXT),
            ("CREDITS_USED", CREDITS),
            ("CREDITS_USED_COMPUTE", CREDITS),
            ("CREDITS_USED_CLOUD_SERVICES", CREDITS),
        ],
    );
    if !sees_all(context) {
        return Ok(rows);
    }
    context.shared.warehouses.save().await?;
    let times = context.shared.accounts.metered_times(from).await?;
    for ((hour, _), (name, used)) in metering::hours(times) {
        let in_range = hour + metering::HOUR > from && hour < to;
        if in_range && warehouse.as_ref().is_none_or(|wanted| *wanted == name) {
            rows.push(vec![
                Cell::Instant(hour),
                Cell::Instant(hour + metering::HOUR),
                Cell::from(name),
                credits(used),
                credits(used),
                credits(0.0),
            ]);
        }
    }
    Ok(rows)
}

/// What resource monitors told, for roles that may monitor the account. Nothing is sent anywhere: a
/// notification is done when it is kept here and in the log.
async fn notifications(
    context: &StatementContext,
    name: &str,
    arguments: &Arguments,
) -> Result<Rows, UserError> {
    let names = ["START_TIME", "END_TIME", "INTEGRATION_NAME", "RESULT_LIMIT"];
    let given = Given::read(context, name, &names, arguments)?;
    let to = given.instant("END_TIME")?.unwrap_or(context.facts.now_micros);
    let from = given.instant("START_TIME")?.unwrap_or(to - DAY_MICROS);
    let mut rows = Rows::new(
        "NOTIFICATION_HISTORY",
        &[
            ("CREATED", INSTANT),
            ("PROCESSED", INSTANT),
            ("MESSAGE_SOURCE", TEXT),
            ("INTEGRATION_NAME", TEXT),
            ("STATUS", TEXT),
            ("ERROR_MESSAGE", TEXT),
            ("ID", TEXT),
            ("ATTEMPT", NUMBER),
            ("MESSAGE_SOURCE_INFO", SqlType::Object),
        ],
    );
    let limit = i64::try_from(given.limit()?).unwrap_or(LIMIT_MAX);
    let of_integration = given.text("INTEGRATION_NAME")?.is_some_and(|name| !name.is_empty());
    if !sees_all(context) || of_integration {
        return Ok(rows);
    }
    for told in context.shared.accounts.notifications(from, to, limit).await? {
        rows.push(vec![
            Cell::Instant(told.event_time),
            Cell::Instant(told.event_time),
            Cell::from("RESOURCE_MONITOR"),
            Cell::Null,
            Cell::from("SUCCESS"),
            Cell::Null,
            Cell::from(told.event_id.to_string()),
            Cell::Number(1),
            Cell::Json(json!({
                "resourceMonitorName": told.monitor_name,
                "percent": told.percent,
                "usedCredits": told.used_credits,
                "creditQuota": told.credit_quota,
                "notifyUsers": told.notify_users,
            })),
        ]);
    }
    Ok(rows)
}

const RANGE: [&str; 4] = [
    "END_TIME_RANGE_START",
    "END_TIME_RANGE_END",
    "RESULT_LIMIT",
    "INCLUDE_CLIENT_GENERATED_STATEMENT",
];

async fn queries(
    context: &StatementContext,
    name: &str,
    arguments: &Arguments,
) -> Result<Rows, UserError> {
    let own: Option<&'static str> = match name {
        "QUERY_HISTORY_BY_SESSION" => Some("SESSION_ID"),
        "QUERY_HISTORY_BY_USER" => Some("USER_NAME"),
        "QUERY_HISTORY_BY_WAREHOUSE" => Some("WAREHOUSE_NAME"),
        _ => None,
    };
    let names: Vec<&'static str> = own.into_iter().chain(RANGE).collect();
    let given = Given::read(context, name, &names, arguments)?;
    let limit = given.limit()?;
    let (from, to) = (given.instant("END_TIME_RANGE_START")?, given.instant("END_TIME_RANGE_END")?);
    let mut filter = QueryFilter::default();
    match own {
        Some("SESSION_ID") => {
            filter.session_id = Some(given.integer("SESSION_ID")?.unwrap_or(context.session.id));
        }
        Some("USER_NAME") => {
            let user = given.text("USER_NAME")?;
            filter.user = Some(match user {
                Some(user) => exact_or_folded(&user),
                None => context.session.user.clone(),
            });
        }
        Some("WAREHOUSE_NAME") => {
            let warehouse = given.text("WAREHOUSE_NAME")?.map(|name| exact_or_folded(&name));
            filter.warehouse = warehouse.or_else(|| context.state.warehouse.clone());
        }
        _ => {}
    }
    let mut rows = query_rows();
    let sight = sight(context).await?;
    filter.sight.clone_from(&sight);
    // Looked up before the history is read: one that ends meanwhile is there then.
    let ongoing = match to {
        None => running(context, &filter),
        Some(_) => Vec::new(),
    };
    let mut found: Vec<(i64, String, Vec<Cell>)> = Vec::new();
    let row = |record: QueryRecord| {
        let record = told(context, sight.as_ref(), record);
        (record.start_time, record.query_id.clone(), query_row(record, None))
    };
    // The range is one of end times, so it can't be left to the store's range of start times.
    filter.started_before = to.map(|to| to.saturating_add(1));
    if from.is_none() && to.is_none() {
        filter.limit = i64::try_from(limit).ok();
        context.shared.history.flush().await;
        let ended = context.shared.accounts.query_history(&filter).await?;
        found.extend(ended.into_iter().map(row));
    } else {
        pages::each_query(context, filter, |record| {
            let ended = record.end_time;
            if from.is_none_or(|from| ended >= from) && to.is_none_or(|to| ended <= to) {
                found.push(row(record));
            }
            let enough = found.len() == limit;
            Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .await?;
    }
    let ended: HashSet<String> = found.iter().map(|(_, id, _)| id.clone()).collect();
    let ongoing = ongoing.into_iter().filter(|one| !ended.contains(&one.record.query_id));
    found.extend(ongoing.map(|OngoingStatement { record, status }| {
        (record.start_time, record.query_id.clone(), query_row(record, Some(status)))
    }));
    // The newest first, as the store gives them.
    found.sort_by(|one, other| (other.0, &other.1).cmp(&(one.0, &one.1)));
    for (_, _, row) in found.into_iter().take(limit) {
        rows.push(row);
    }
    Ok(rows)
}

/// The statements that run, of those that the filter selects.
fn running(context: &StatementContext, filter: &QueryFilter) -> Vec<OngoingStatement> {
    let locks = context.shared.transactions.locks();
    let waiting: HashSet<String> = locks
        .into_iter()
        .filter(|lock| lock.acquired_micros.is_none())
        .map(|lock| lock.query_id)
        .collect();
    let mut all = context.shared.ongoing.list(|query_id| waiting.contains(query_id));
    all.retain(|OngoingStatement { record, .. }| {
        let warehouse = record.detail.as_ref().and_then(|detail| detail.warehouse_id);
        let in_sight = filter.sight.as_ref().is_none_or(|sight| {
            (record.user == sight.user && record.start_time >= sight.since)
                || warehouse.is_some_and(|id| sight.warehouses.contains(&id))
        });
        in_sight
            && filter.user.as_ref().is_none_or(|user| *user == record.user)
            && filter.session_id.is_none_or(|id| id == record.session_id)
            && filter.warehouse.as_ref().is_none_or(|name| record.warehouse.as_ref() == Some(name))
    });
    all
}

/// A name given as text: quoted text is exact, other text is folded.
fn exact_or_folded(text: &str) -> String {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(exact) => exact.replace("\"\"", "\""),
        None => fold_identifier(text),
    }
}

fn query_rows() -> Rows {
    Rows::new(
        "QUERY_HISTORY",
        &[
            ("QUERY_ID", TEXT),
            ("QUERY_TEXT", TEXT),
            ("DATABASE_NAME", TEXT),
            ("SCHEMA_NAME", TEXT),
            ("QUERY_TYPE", TEXT),
            ("SESSION_ID", NUMBER),
            ("USER_NAME", TEXT),
            ("ROLE_NAME", TEXT),
            ("WAREHOUSE_NAME", TEXT),
            ("WAREHOUSE_SIZE", TEXT),
            ("WAREHOUSE_TYPE", TEXT),
            ("CLUSTER_NUMBER", NUMBER),
            ("QUERY_TAG", TEXT),
            ("EXECUTION_STATUS", TEXT),
            ("ERROR_CODE", TEXT),
            ("ERROR_MESSAGE", TEXT),
            ("START_TIME", INSTANT),
            ("END_TIME", INSTANT),
            ("TOTAL_ELAPSED_TIME", NUMBER),
            ("BYTES_SCANNED", NUMBER),
            ("ROWS_PRODUCED", NUMBER),
            ("COMPILATION_TIME", NUMBER),
            ("EXECUTION_TIME", NUMBER),
            ("QUEUED_PROVISIONING_TIME", NUMBER),
            ("QUEUED_REPAIR_TIME", NUMBER),
            ("QUEUED_OVERLOAD_TIME", NUMBER),
            ("TRANSACTION_BLOCKED_TIME", NUMBER),
            ("OUTBOUND_DATA_TRANSFER_CLOUD", TEXT),
            ("OUTBOUND_DATA_TRANSFER_REGION", TEXT),
            ("OUTBOUND_DATA_TRANSFER_BYTES", NUMBER),
            ("CREDITS_USED_CLOUD_SERVICES", NUMBER),
            ("RELEASE_VERSION", TEXT),
            ("IS_CLIENT_GENERATED_STATEMENT", SqlType::Boolean),
            ("ROWS_INSERTED", NUMBER),
            ("ROWS_UPDATED", NUMBER),
            ("ROWS_DELETED", NUMBER),
            ("SNAPSHOT_ID", NUMBER),
        ],
    )
}

/// How a statement ended, in the functions' words.
fn status_word(state: QueryState) -> &'static str {
    match state {
        QueryState::Success => "SUCCESS",
        QueryState::Fail => "FAILED_WITH_ERROR",
        QueryState::Incident => "FAILED_WITH_INCIDENT",
    }
}

/// A query's row; `running` is the status of one that has not ended.
fn query_row(record: QueryRecord, running: Option<&'static str>) -> Vec<Cell> {
    let counted = |count: i64| match running {
        Some(_) => Cell::Null,
        None => Cell::Number(count),
    };
    let ended = match running {
        Some(_) => Cell::Null,
        None => Cell::Instant(record.end_time),
    };
    let elapsed = (record.end_time - record.start_time) / MICROS_PER_MILLI;
    let detail = record.detail.unwrap_or_default();
    let queued = detail.queued / MICROS_PER_MILLI;
    let blocked = detail.blocked / MICROS_PER_MILLI;
    let cluster = detail.warehouse_id.map(|_| 1);
    vec![
        Cell::from(record.query_id),
        Cell::from(record.query_text),
        Cell::from(record.database),
        Cell::from(record.schema),
        Cell::from(record.query_type),
        Cell::Number(record.session_id),
        Cell::from(record.user),
        Cell::from(record.role),
        Cell::from(record.warehouse),
        Cell::from(detail.warehouse_size),
        Cell::from(detail.warehouse_type),
        Cell::from(cluster),
        Cell::from(record.query_tag),
        Cell::from(running.unwrap_or_else(|| status_word(record.state))),
        Cell::from(record.error_code.map(|code| format!("{code:06}"))),
        Cell::from(record.error_message),
        Cell::Instant(record.start_time),
        ended,
        Cell::Number(elapsed),
        counted(record.bytes_scanned),
        counted(record.rows_produced),
        Cell::Null,
        Cell::Number((elapsed - queued - blocked).max(0)),
        Cell::Number(0),
        Cell::Number(0),
        Cell::Number(queued),
        Cell::Number(blocked),
        Cell::Null,
        Cell::Null,
        Cell::Number(0),
        Cell::Number(0),
        Cell::from(env!("CARGO_PKG_VERSION")),
        Cell::from(false),
        counted(record.rows_inserted),
        counted(record.rows_updated),
        counted(record.rows_deleted),
        Cell::from(record.snapshot_id),
    ]
}

async fn logins(
    context: &StatementContext,
    name: &str,
    arguments: &Arguments,
) -> Result<Rows, UserError> {
    let by_user = name == "LOGIN_HISTORY_BY_USER";
    let names: Vec<&'static str> = by_user
        .then_some("USER_NAME")
        .into_iter()
        .chain(["TIME_RANGE_START", "TIME_RANGE_END", "RESULT_LIMIT"])
        .collect();
    let given = Given::read(context, name, &names, arguments)?;
    let limit = given.limit()?;
    let (from, to) = (given.instant("TIME_RANGE_START")?, given.instant("TIME_RANGE_END")?);
    let user = match given.text("USER_NAME")? {
        Some(user) => Some(exact_or_folded(&user)),
        None => by_user.then(|| context.session.user.clone()),
    };
    let all = sees_all(context);
    let mut rows = Rows::new(
        "LOGIN_HISTORY",
        &[
            ("EVENT_TIMESTAMP", INSTANT),
            ("EVENT_ID", NUMBER),
            ("EVENT_TYPE", TEXT),
            ("USER_NAME", TEXT),
            ("CLIENT_IP", TEXT),
            ("REPORTED_CLIENT_TYPE", TEXT),
            ("REPORTED_CLIENT_VERSION", TEXT),
            ("FIRST_AUTHENTICATION_FACTOR", TEXT),
            ("SECOND_AUTHENTICATION_FACTOR", TEXT),
            ("IS_SUCCESS", TEXT),
            ("ERROR_CODE", NUMBER),
            ("ERROR_MESSAGE", TEXT),
            ("RELATED_EVENT_ID", NUMBER),
            ("CONNECTION", TEXT),
        ],
    );
    if !all && user.as_ref().is_some_and(|user| *user != context.session.user) {
        return Ok(rows);
    }
    let user = if all { user } else { Some(context.session.user.clone()) };
    let since = (!all).then_some(context.session.user_since);
    let from = from.max(since);
    // At most so many rows that they are read at once.
    let limit = i64::try_from(limit).ok();
    let filter = LoginFilter { user, from, to, limit, offset: 0 };
    for login in context.shared.accounts.login_history(&filter).await? {
        rows.push(vec![
            Cell::Instant(login.event_time),
            Cell::Null,
            Cell::from("LOGIN"),
            Cell::from(login.user),
            Cell::from(login.client_ip),
            Cell::from(login.client_name),
            Cell::from(login.client_version),
            Cell::from(login.factor),
            Cell::Null,
            Cell::from(if login.success { "YES" } else { "NO" }),
            Cell::from(login.error_code),
            Cell::from(login.error_message),
            Cell::Null,
            Cell::Null,
        ]);
    }
    Ok(rows)
}
