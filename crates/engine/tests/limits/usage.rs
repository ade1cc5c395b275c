//! SNOWFLAKE.ACCOUNT_USAGE tells what happened.

use frazil_common::Code;
use frazil_engine::Limits;

use crate::account::{Account, Client};

const COUNT: &str = "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 10))";

async fn usage(client: &Client, columns: &str, view: &str, rest: &str) -> Vec<Vec<String>> {
    client.run(&format!("SELECT {columns} FROM SNOWFLAKE.ACCOUNT_USAGE.{view} {rest}")).await
}

fn rows(expected: &[&[&str]]) -> Vec<Vec<String>> {
    expected.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credits_and_events_of_warehouses() {
    let account = Account::open(Limits::default()).await;
    let client = account.client().await;
    client.run("CREATE WAREHOUSE w WAREHOUSE_SIZE = '6X-LARGE' INITIALLY_SUSPENDED = TRUE").await;
    client.run(COUNT).await;
    client.run("ALTER WAREHOUSE w SUSPEND").await;
    client.run("ALTER WAREHOUSE w SET WAREHOUSE_SIZE = XSMALL").await;
    client.run("DROP WAREHOUSE w").await;
    // One minute at 512 credits an hour.
    let expected = rows(&[&["W", "8.533333333", "0.000000000"]]);
    let columns = "WAREHOUSE_NAME, CREDITS_USED, CREDITS_USED_CLOUD_SERVICES";
    assert_eq!(usage(&client, columns, "WAREHOUSE_METERING_HISTORY", "").await, expected);
    let columns = "SERVICE_TYPE, CREDITS_BILLED, USAGE_DATE = CURRENT_DATE()";
    let expected = rows(&[&["WAREHOUSE_METERING", "8.533333333", "TRUE"]]);
    assert_eq!(usage(&client, columns, "METERING_DAILY_HISTORY", "").await, expected);
    let columns = "SERVICE_TYPE, NAME, CREDITS_USED, TIMESTAMPDIFF(minute, START_TIME, END_TIME)";
    let expected = rows(&[&["WAREHOUSE_METERING", "W", "8.533333333", "60"]]);
    assert_eq!(usage(&client, columns, "METERING_HISTORY", "").await, expected);
    let function = |rest: &str| {
        format!(
            "SELECT WAREHOUSE_NAME, CREDITS_USED FROM TABLE(INFORMATION_SCHEMA.\
             WAREHOUSE_METERING_HISTORY(DATE_RANGE_START => {rest}))"
        )
    };
    let today = client.run(&function("CURRENT_DATE() - 1")).await;
    assert_eq!(today, rows(&[&["W", "8.533333333"]]));
    let other = client.run(&function("CURRENT_DATE() - 1, WAREHOUSE_NAME => 'x'")).await;
    assert!(other.is_empty());
    let later = client.run(&function("CURRENT_DATE() + 2")).await;
    assert!(later.is_empty());
    let events = usage(
        &client,
        "EVENT_REASON, USER_NAME, SIZE",
        "WAREHOUSE_EVENTS_HISTORY",
        "WHERE WAREHOUSE_NAME = 'W' ORDER BY TIMESTAMP",
    )
    .await;
    let expected = rows(&[
        &["WAREHOUSE_CREATE", "ADMIN", "6X-Large"],
        &["WAREHOUSE_AUTORESUME", "", "6X-Large"],
        &["WAREHOUSE_SUSPEND", "ADMIN", "6X-Large"],
        &["WAREHOUSE_RESIZE", "ADMIN", "X-Small"],
        &["WAREHOUSE_DROP", "ADMIN", "X-Small"],
    ]);
    assert_eq!(events, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_with_their_tag_warehouse_and_wait() {
    let account = Account::open(Limits::default()).await;
    let client = account.client().await;
    client.run("CREATE WAREHOUSE w WAREHOUSE_SIZE = MEDIUM MAX_CONCURRENCY_LEVEL = 1").await;
    let other = account.client().await;
    other.run("USE WAREHOUSE w").await;
    let first = other.start("SELECT COUNT(*) FROM TABLE(GENERATOR(TIMELIMIT => 2))");
    account.until(1, 0).await;
    client.run("ALTER SESSION SET QUERY_TAG = 'nightly'").await;
    client.run("SELECT COUNT(*) + 1 FROM TABLE(GENERATOR(ROWCOUNT => 10))").await;
    first.succeeds().await;
    client.fails("SELECT * FROM nowhere", Code::ObjectNotFound).await;
    let columns = "QUERY_TYPE, WAREHOUSE_NAME, WAREHOUSE_SIZE, EXECUTION_STATUS, ERROR_CODE,
                   QUEUED_OVERLOAD_TIME > 500, ROWS_PRODUCED";
    let rest = "WHERE QUERY_TAG = 'nightly' AND QUERY_TYPE = 'SELECT' ORDER BY START_TIME";
    let found = usage(&client, columns, "QUERY_HISTORY", rest).await;
    assert_eq!(found[0], ["SELECT", "W", "Medium", "SUCCESS", "", "TRUE", "1"]);
    assert_eq!(found[1][3..5], ["FAIL", "002003"]);
    let load = "ROUND(SUM(AVG_RUNNING) * 300) >= 2, ROUND(SUM(AVG_QUEUED_LOAD) * 300) >= 1";
    let found = usage(&client, load, "WAREHOUSE_LOAD_HISTORY", "").await;
    assert_eq!(found, rows(&[&["TRUE", "TRUE"]]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_and_principals_of_the_account() {
    let account = Account::open(Limits::default()).await;
    let client = account.client().await;
    client
        .run("CREATE TABLE t (a INT NOT NULL, b VARCHAR(5) COMMENT 'bee') AS SELECT 1, 'x'")
        .await;
    client.run("CREATE SECURE VIEW v AS SELECT a FROM t").await;
    client.run("CREATE ROLE reader").await;
    client.run("CREATE USER rita").await;
    client.run("GRANT ROLE reader TO USER rita").await;
    client.run("GRANT SELECT ON TABLE t TO ROLE reader").await;
    let tables = usage(
        &client,
        "TABLE_CATALOG, TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ROW_COUNT",
        "TABLES",
        "ORDER BY TABLE_NAME",
    );
    let expected =
        rows(&[&["D", "PUBLIC", "T", "BASE TABLE", "1"], &["D", "PUBLIC", "V", "VIEW", ""]]);
    assert_eq!(tables.await, expected);
    let columns = usage(
        &client,
        "COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, COMMENT",
        "COLUMNS",
        "WHERE TABLE_NAME = 'T' ORDER BY 2",
    );
    let expected =
        rows(&[&["A", "1", "NO", "NUMBER", "", ""], &["B", "2", "YES", "TEXT", "5", "bee"]]);
    assert_eq!(columns.await, expected);
    let text = usage(&client, "VIEW_DEFINITION", "VIEWS", "");
    assert_eq!(text.await, rows(&[&[""]]));
    let users = usage(&client, "NAME, DISABLED", "USERS", "ORDER BY NAME");
    assert_eq!(users.await, rows(&[&["ADMIN", "FALSE"], &["RITA", "FALSE"]]));
    let held = usage(
        &client,
        "PRIVILEGE, GRANTED_ON, TABLE_CATALOG, TABLE_SCHEMA, NAME",
        "GRANTS_TO_ROLES",
        "WHERE GRANTEE_NAME = 'READER'",
    );
    assert_eq!(held.await, rows(&[&["SELECT", "TABLE", "D", "PUBLIC", "T"]]));
    let held = usage(&client, "ROLE", "GRANTS_TO_USERS", "WHERE GRANTEE_NAME = 'RITA'");
    assert_eq!(held.await, rows(&[&["READER"]]));
    client.run("SELECT a FROM v").await;
    let names = "DIRECT_OBJECTS_ACCESSED[0]:objectName, BASE_OBJECTS_ACCESSED[0]:objectName,
                 BASE_OBJECTS_ACCESSED[0]:columns[0]:columnName, ARRAY_SIZE(OBJECTS_MODIFIED)";
    let rest = "WHERE QUERY_ID = LAST_QUERY_ID()";
    let touched = usage(&client, names, "ACCESS_HISTORY", rest).await;
    assert_eq!(touched, rows(&[&["\"D.PUBLIC.V\"", "\"D.PUBLIC.T\"", "\"A\"", "0"]]));
    client.run("INSERT INTO t SELECT 2, 'y'").await;
    let touched = usage(&client, "OBJECTS_MODIFIED[0]:objectName", "ACCESS_HISTORY", rest).await;
    assert_eq!(touched, rows(&[&["\"D.PUBLIC.T\""]]));
    for view in ["DATABASES", "SCHEMATA", "ROLES", "LOGIN_HISTORY"] {
        let found = usage(&client, "COUNT(*) > 0", view, "").await;
        assert_eq!(found, rows(&[&["TRUE"]]), "{view}");
    }
    let described = client.run("DESCRIBE VIEW SNOWFLAKE.ACCOUNT_USAGE.ROLES").await;
    assert_eq!(described[0][..2], ["ROLE_ID", "NUMBER(18,0)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_those_who_may_monitor_the_account_see_it() {
    let account = Account::open(Limits::default()).await;
    let client = account.client().await;
    client.run("CREATE ROLE r").await;
    client.run("GRANT ROLE r TO USER admin").await;
    client.run("USE ROLE r").await;
    let sql = "SELECT * FROM SNOWFLAKE.ACCOUNT_USAGE.USERS";
    let hidden = client.fails(sql, Code::ObjectNotFound).await;
    let absent = client.fails(&sql.replace("USERS", "NOTHING"), Code::ObjectNotFound).await;
    assert_eq!(hidden, absent.replace("NOTHING", "USERS"));
    client.run("USE ROLE ACCOUNTADMIN").await;
    client.run("GRANT MONITOR ON ACCOUNT TO ROLE r").await;
    client.run("USE ROLE r").await;
    assert_eq!(client.run(sql).await.len(), 1);
    // Nobody puts a database of his own before it.
    client.run("USE ROLE ACCOUNTADMIN").await;
    client.fails("CREATE DATABASE SNOWFLAKE", Code::ObjectExists).await;
    assert_eq!(client.run(sql).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_of_tables_databases_and_stages() {
    let account = Account::open(Limits::default()).await;
    let client = account.client().await;
    client.run("CREATE DATABASE bytes").await;
    let fill = "AS SELECT SEQ4() AS n FROM TABLE(GENERATOR(ROWCOUNT => 1000))";
    client.run(&format!("CREATE TABLE bytes.public.t {fill}")).await;
    client.run(&format!("CREATE TABLE bytes.public.gone {fill}")).await;
    client.run("DROP TABLE bytes.public.gone").await;
    let metrics = async |table: &str| {
        let columns = "ACTIVE_BYTES > 0, TIME_TRAVEL_BYTES > 0, RETAINED_FOR_CLONE_BYTES > 0, \
             DELETED, TABLE_DROPPED IS NOT NULL";
        let own = format!("WHERE TABLE_CATALOG = 'BYTES' AND TABLE_NAME = '{table}'");
        let all = usage(&client, columns, "TABLE_STORAGE_METRICS", &own).await;
        let view = "BYTES.INFORMATION_SCHEMA.TABLE_STORAGE_METRICS";
        assert_eq!(client.run(&format!("SELECT {columns} FROM {view} {own}")).await, all);
        all
    };
    assert_eq!(metrics("T").await, rows(&[&["TRUE", "FALSE", "FALSE", "FALSE", "FALSE"]]));
    assert_eq!(metrics("GONE").await, rows(&[&["FALSE", "TRUE", "FALSE", "TRUE", "TRUE"]]));
    client.run("CREATE TABLE bytes.public.c CLONE bytes.public.t").await;
    assert_eq!(metrics("C").await, rows(&[&["FALSE", "FALSE", "FALSE", "FALSE", "FALSE"]]));
    client.run("TRUNCATE TABLE bytes.public.t").await;
    assert_eq!(metrics("T").await, rows(&[&["FALSE", "TRUE", "FALSE", "FALSE", "FALSE"]]));

    let columns =
        "USAGE_DATE = SYSDATE()::DATE, STORAGE_BYTES > 0, STAGE_BYTES = 0, FAILSAFE_BYTES";
    let expected = rows(&[&["TRUE", "TRUE", "TRUE", "0.000000"]]);
    assert_eq!(usage(&client, columns, "STORAGE_USAGE", "").await, expected);
    let columns = "AVERAGE_DATABASE_BYTES > 0";
    let of_database = "WHERE DATABASE_NAME = 'BYTES'";
    let history = usage(&client, columns, "DATABASE_STORAGE_USAGE_HISTORY", of_database).await;
    assert_eq!(history, rows(&[&["TRUE"]]));
    let stages = usage(&client, "AVERAGE_STAGE_BYTES", "STAGE_STORAGE_USAGE_HISTORY", "").await;
    assert_eq!(stages, rows(&[&["0.000000"]]));
}
