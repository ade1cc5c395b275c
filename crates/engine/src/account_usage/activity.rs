//! QUERY_HISTORY and LOGIN_HISTORY.

use std::ops::ControlFlow;

use frazil_catalog::account::{LoginFilter, QueryFilter, QueryRecord};
use frazil_common::{SqlType, UserError};

use super::{INSTANT, NUMBER, Source, TEXT, Table};
use crate::history::pages;
use crate::statements::outcome::Cell;

const MICROS_PER_MILLI: i64 = 1000;

const QUERY_COLUMNS: [(&str, SqlType); 33] = [
    ("QUERY_ID", TEXT),
    ("QUERY_TEXT", TEXT),
    ("DATABASE_NAME", TEXT),
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
    ("RELEASE_VERSION", TEXT),
    ("SNAPSHOT_ID", NUMBER),
];

fn query_row(record: QueryRecord) -> Vec<Cell> {
    let elapsed = (record.end_time - record.start_time) / MICROS_PER_MILLI;
    let detail = record.detail.unwrap_or_default();
    let queued = detail.queued / MICROS_PER_MILLI;
    vec![
        Cell::from(record.query_id),
        Cell::from(record.query_text),
        Cell::from(record.database),
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
        Cell::Number((elapsed - queued).max(0)),
        Cell::Number(0),
        Cell::Number(0),
        Cell::Number(queued),
        Cell::from(env!("CARGO_PKG_VERSION")),
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
