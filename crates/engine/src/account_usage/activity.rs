//! QUERY_HISTORY and LOGIN_HISTORY.

use std::ops::ControlFlow;

use frazil_catalog::account::{LoginFilter, QueryFilter, QueryRecord};
use frazil_common::{SqlType, UserError};

use super::{CREDITS, INSTANT, NUMBER, Source, TEXT, Table, credits};
use crate::history::pages;
use crate::history::query_hash::{QUERY_HASH_VERSION, query_hash};
use crate::statements::outcome::Cell;

const MICROS_PER_MILLI: i64 = 1000;

const QUERY_COLUMNS: [(&str, SqlType); 43] = [
    ("QUERY_ID", TEXT),
    ("QUERY_TEXT", TEXT),
    ("DATABASE_ID", NUMBER),
    ("DATABASE_NAME", TEXT),
    ("SCHEMA_ID", NUMBER),
    ("SCHEMA_NAME", TEXT),
    ("QUERY_TYPE", TEXT),
    ("SESSION_ID", NUMBER),
    ("USER_NAME", TEXT),
    ("ROLE_NAME", TEXT),
    ("WAREHOUSE_ID", NUMBER),
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
    ("ROWS_INSERTED", NUMBER),
    ("ROWS_UPDATED", NUMBER),
    ("ROWS_DELETED", NUMBER),
    ("BYTES_SPILLED_TO_LOCAL_STORAGE", NUMBER),
    ("BYTES_SPILLED_TO_REMOTE_STORAGE", NUMBER),
    ("EXECUTION_TIME", NUMBER),
    ("QUEUED_PROVISIONING_TIME", NUMBER),
    ("QUEUED_REPAIR_TIME", NUMBER),
    ("QUEUED_OVERLOAD_TIME", NUMBER),
    ("TRANSACTION_BLOCKED_TIME", NUMBER),
    ("CREDITS_USED_CLOUD_SERVICES", CREDITS),
    ("RELEASE_VERSION", TEXT),
    ("IS_CLIENT_GENERATED_STATEMENT", SqlType::Boolean),
    ("TRANSACTION_ID", NUMBER),
    ("ROLE_TYPE", TEXT),
    ("QUERY_HASH", TEXT),
    ("QUERY_HASH_VERSION", NUMBER),
    ("ROWS_WRITTEN_TO_RESULT", NUMBER),
    ("SNAPSHOT_ID", NUMBER),
];

fn query_row(record: QueryRecord) -> Vec<Cell> {
    let elapsed = (record.end_time - record.start_time) / MICROS_PER_MILLI;
    let detail = record.detail.unwrap_or_default();
    let queued = detail.queued / MICROS_PER_MILLI;
    let blocked = detail.blocked / MICROS_PER_MILLI;
    let hash = query_hash(&record.query_text);
    let role_type = record.role.as_ref().map(|_| "ROLE");
    vec![
        Cell::from(record.query_id),
        Cell::from(record.query_text),
        Cell::from(record.database_id),
        Cell::from(record.database),
        Cell::from(record.schema_id),
        Cell::from(record.schema),
        Cell::from(record.query_type),
        Cell::Number(record.session_id),
        Cell::from(record.user),
        Cell::from(record.role),
        Cell::from(detail.warehouse_id),
        Cell::from(record.warehouse),
        Cell::from(detail.warehouse_size),
        Cell::from(detail.warehouse_type),
        Cell::from(detail.warehouse_id.map(|_| 1)),
        Cell::from(record.query_tag),
        Cell::from(record.state.as_str()),
        Cell::from(record.error_code.map(|code| format!("{code:06}"))),
        Cell::from(record.error_message),
        Cell::Instant(record.start_time),
        Cell::Instant(record.end_time),
        Cell::Number(elapsed),
        Cell::Number(record.bytes_scanned),
        Cell::Number(record.rows_produced),
        Cell::Number(record.rows_inserted),
        Cell::Number(record.rows_updated),
        Cell::Number(record.rows_deleted),
        Cell::Number(detail.bytes_spilled),
        Cell::Number(0),
        Cell::Number((elapsed - queued - blocked).max(0)),
        Cell::Number(0),
        Cell::Number(0),
        Cell::Number(queued),
        Cell::Number(blocked),
        credits(0.0),
        Cell::from(env!("CARGO_PKG_VERSION")),
        Cell::from(record.client_generated),
        // Snowflake's word for no transaction.
        Cell::Number(record.transaction_id.unwrap_or(0)),
        Cell::from(role_type),
        Cell::from(hash),
        Cell::Number(QUERY_HASH_VERSION),
        Cell::Number(record.rows_produced),
        Cell::from(record.snapshot_id),
    ]
}

/// Hands on every query that began before the statement.
pub(super) async fn each_query(
    source: &Source<'_>,
    mut take: impl FnMut(QueryRecord) -> Result<(), UserError>,
) -> Result<(), UserError> {
    let before = Some(source.context.facts.now_micros);
    let filter = QueryFilter { started_before: before, ..QueryFilter::default() };
    pages::each_query(source.context, filter, |record| {
        take(record).map(|()| ControlFlow::Continue(()))
    })
    .await
}

pub(super) async fn query_history(source: &Source<'_>) -> Result<Table, UserError> {
    let mut table = Table::new(source.context, "QUERY_HISTORY", &QUERY_COLUMNS);
    each_query(source, |record| table.push(query_row(record))).await?;
    Ok(table)
}

pub(super) async fn login_history(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("EVENT_TIMESTAMP", INSTANT),
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
    ];
    let mut table = Table::new(source.context, "LOGIN_HISTORY", &columns);
    pages::each_login(source.context, LoginFilter::default(), |login| {
        let row = vec![
            Cell::Instant(login.event_time),
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
        ];
        table.push(row).map(|()| ControlFlow::Continue(()))
    })
    .await?;
    Ok(table)
}

/// Sessions that are open, and those that have ended.
pub(super) async fn sessions(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("SESSION_ID", NUMBER),
        ("CREATED_ON", INSTANT),
        ("USER_NAME", TEXT),
        ("AUTHENTICATION_METHOD", TEXT),
        ("CLIENT_APPLICATION_VERSION", TEXT),
        ("CLIENT_APPLICATION_ID", TEXT),
        ("CLOSED_REASON", TEXT),
    ];
    let mut table = Table::new(source.context, "SESSIONS", &columns);
    let accounts = &source.context.shared.accounts;
    // First those that are open: one that ends meanwhile is among the ended ones.
    let open = accounts.sessions().await?;
    let account = accounts.view().await?;
    let ended = accounts.ended_sessions().await?;
    let over: std::collections::HashSet<i64> = ended.iter().map(|session| session.id).collect();
    let row =
        |id, created, user: Option<String>, factor: Option<String>, client: Option<String>| {
            let version = client.as_deref().and_then(|client| client.rsplit_once(' '));
            vec![
                Cell::Number(id),
                Cell::Instant(created),
                Cell::from(user),
                Cell::from(factor),
                Cell::from(version.map(|(_, version)| version.to_string())),
                Cell::from(client),
            ]
        };
    for session in open.into_iter().filter(|session| !over.contains(&session.id)) {
        let user = account.user_by_id(session.user_id).map(|user| user.name.clone());
        let state = session.state;
        let mut row = row(session.id, session.created_on, user, state.factor, state.client_name);
        row.push(Cell::Null);
        table.push(row)?;
    }
    for session in ended {
        let user = Some(session.user);
        let mut row =
            row(session.id, session.created_on, user, session.factor, session.client_name);
        row.push(Cell::from(session.reason));
        table.push(row)?;
    }
    Ok(table)
}
