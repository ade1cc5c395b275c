//! Warehouses as classes: places, threads and memory, suspending and resuming.

use std::time::{Duration, Instant};

use frazil_common::Code;
use frazil_engine::Limits;

use crate::account::{Account, Client, ENDLESS};

const COUNT: &str = "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 10))";

async fn shown(client: &Client, column: &str) -> String {
    client.run("SHOW WAREHOUSES LIKE 'w'").await;
    client.value(&format!("SELECT \"{column}\" FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))")).await
}

/// A session without a warehouse, to look with.
async fn onlooker(account: &Account, warehouse: &str) -> Client {
    let client = account.client().await;
    client.run(&format!("CREATE WAREHOUSE w {warehouse}")).await;
    account.client().await
}

async fn user(account: &Account) -> Client {
    let client = account.client().await;
    client.run("USE WAREHOUSE w").await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warehouse_has_its_own_places() {
    let account = Account::open(Limits::default()).await;
    let onlooker = onlooker(&account, "MAX_CONCURRENCY_LEVEL = 1").await;
    let first = user(&account).await.start(ENDLESS);
    account.until(1, 0).await;
    let second = user(&account).await.start(ENDLESS);
    account.until(1, 1).await;
    assert_eq!(shown(&onlooker, "running").await, "1");
    assert_eq!(shown(&onlooker, "queued").await, "1");
    // Others do not wait.
    assert_eq!(onlooker.value(COUNT).await, "10");
    onlooker.run("ALTER WAREHOUSE w SET MAX_CONCURRENCY_LEVEL = 2").await;
    account.until(2, 0).await;
    let third = user(&account).await.start(ENDLESS);
    account.until(2, 1).await;
    onlooker.run("ALTER WAREHOUSE w ABORT ALL QUERIES").await;
    for statement in [first, second, third] {
        assert_eq!(statement.fails().await.code, Code::Cancelled);
    }
    assert_eq!(user(&account).await.value(COUNT).await, "10");
    let message =
        onlooker.fails("ALTER WAREHOUSE w SET MAX_CONCURRENCY_LEVEL = 0", Code::InvalidArgument);
    assert!(message.await.contains("MAX_CONCURRENCY_LEVEL"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_of_a_warehouse_hold_for_its_statements() {
    let account = Account::open(Limits::default()).await;
    let options = "MAX_CONCURRENCY_LEVEL = 1 STATEMENT_QUEUED_TIMEOUT_IN_SECONDS = 1
                   STATEMENT_TIMEOUT_IN_SECONDS = 3";
    let _onlooker = onlooker(&account, options).await;
    let client = user(&account).await;
    let running = user(&account).await.start(ENDLESS);
    account.until(1, 0).await;
    let message = client.fails(ENDLESS, Code::StatementTimeout).await;
    assert!(message.contains("STATEMENT_QUEUED_TIMEOUT_IN_SECONDS"), "{message}");
    assert_eq!(running.fails().await.code, Code::StatementTimeout);
    client.run("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 1").await;
    let message = client.fails(ENDLESS, Code::StatementTimeout).await;
    assert!(message.contains("timeout of 1 second"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_warehouse_resumes_for_a_statement_or_refuses_it() {
    let account = Account::open(Limits::default()).await;
    let onlooker = onlooker(&account, "INITIALLY_SUSPENDED = TRUE AUTO_RESUME = FALSE").await;
    let client = user(&account).await;
    client.run("CREATE TABLE t (a FLOAT, y FLOAT)").await;
    for text in [
        "SELECT * FROM t",
        "INSERT INTO t VALUES (1, 2)",
        "CREATE MODEL m USING LINEAR TARGET y AS SELECT * FROM t",
    ] {
        let message = client.fails(text, Code::NoActiveWarehouse).await;
        assert!(message.contains("'W' is suspended"), "{message}");
    }
    assert_eq!(client.value("SELECT 1").await, "1");
    client.run("ALTER WAREHOUSE w SET AUTO_RESUME = TRUE").await;
    assert_eq!(shown(&onlooker, "state").await, "SUSPENDED");
    client.run("INSERT INTO t VALUES (1, 2)").await;
    assert_eq!(shown(&onlooker, "state").await, "STARTED");
    // What runs when it is suspended goes on; what comes then resumes it.
    let running = client.start("SELECT COUNT(*) FROM TABLE(GENERATOR(TIMELIMIT => 2))");
    account.until(1, 0).await;
    onlooker.run("ALTER WAREHOUSE w SUSPEND").await;
    assert_eq!(shown(&onlooker, "state").await, "SUSPENDED");
    running.succeeds().await;
    assert_eq!(client.value("SELECT COUNT(*) FROM t").await, "1");
    assert_eq!(shown(&onlooker, "state").await, "STARTED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_warehouse_suspends_itself() {
    let account = Account::open(Limits::default()).await;
    let onlooker = onlooker(&account, "AUTO_SUSPEND = 1").await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while shown(&onlooker, "state").await != "SUSPENDED" {
        assert!(Instant::now() < deadline, "it runs on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let client = user(&account).await;
    let running = client.start("SELECT COUNT(*) FROM TABLE(GENERATOR(TIMELIMIT => 4))");
    account.until(1, 0).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(shown(&onlooker, "state").await, "STARTED");
    }
    running.succeeds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warehouse_has_its_part_of_the_memory() {
    let account = Account::open(Limits { spill_bytes: 0, ..Limits::default() }).await;
    // One thread of two, and so half of the 64 MiB.
    let onlooker = onlooker(&account, "WAREHOUSE_SIZE = XSMALL").await;
    let client = user(&account).await;
    // Both inputs of a join are larger than what it may keep.
    let large = "SELECT COUNT(*) FROM
                 (SELECT REPEAT('x', 1000) || SEQ8() AS a FROM TABLE(GENERATOR(ROWCOUNT => 100000)))
                 JOIN (SELECT REPEAT('x', 1000) || SEQ8() AS b FROM TABLE(GENERATOR(ROWCOUNT => 100000)))
                 ON a = b";
    let message = client.fails(large, Code::ResourceLimit).await;
    assert!(message.contains("warehouse W of size X-Small"), "{message}");
    assert_eq!(client.value(COUNT).await, "10");
    account.until_empty().await;
    onlooker.run("ALTER WAREHOUSE w SET WAREHOUSE_SIZE = LARGE").await;
    let message = client.fails(large, Code::ResourceLimit).await;
    assert!(!message.contains("X-Small"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warehouse_that_is_gone_or_not_granted_is_none() {
    let account = Account::open(Limits::default()).await;
    let onlooker = onlooker(&account, "INITIALLY_SUSPENDED = TRUE AUTO_RESUME = FALSE").await;
    let client = user(&account).await;
    client.fails(COUNT, Code::NoActiveWarehouse).await;
    onlooker.run("CREATE ROLE r").await;
    onlooker.run("GRANT ROLE r TO USER admin").await;
    client.run("USE ROLE r").await;
    assert_eq!(client.value(COUNT).await, "10");
    onlooker.run("GRANT USAGE ON WAREHOUSE w TO ROLE r").await;
    client.fails(COUNT, Code::NoActiveWarehouse).await;
    onlooker.run("DROP WAREHOUSE w").await;
    assert_eq!(client.value(COUNT).await, "10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_for_a_lock_leave_their_places_in_a_warehouse() {
    let account = Account::open(Limits::default()).await;
    let onlooker = onlooker(&account, "MAX_CONCURRENCY_LEVEL = 1").await;
    onlooker.run("CREATE TABLE t (a INT) AS SELECT 1").await;
    onlooker.run("BEGIN").await;
    onlooker.run("UPDATE t SET a = 2").await;
    let first = user(&account).await.start("UPDATE t SET a = a + 10");
    account.until(1, 0).await;
    let second = user(&account).await.start("UPDATE t SET a = a + 10");
    account.until(2, 0).await;
    assert_eq!(user(&account).await.value(COUNT).await, "10");
    // They are in the warehouse all the same.
    onlooker.run("ALTER WAREHOUSE w ABORT ALL QUERIES").await;
    for statement in [first, second] {
        assert_eq!(statement.fails().await.code, Code::Cancelled);
    }
    onlooker.run("COMMIT").await;
    assert_eq!(onlooker.value("SELECT a FROM t").await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warehouses_are_the_same_after_a_restart() {
    let account = Account::open(Limits::default()).await;
    let client = account.client().await;
    client.run("CREATE WAREHOUSE v INITIALLY_SUSPENDED = TRUE AUTO_RESUME = FALSE").await;
    client.run("CREATE WAREHOUSE w MAX_CONCURRENCY_LEVEL = 1").await;
    drop(client);
    let account = account.reopen().await;
    let client = account.client().await;
    assert_eq!(shown(&client, "state").await, "STARTED");
    client.run("USE WAREHOUSE v").await;
    client.fails(COUNT, Code::NoActiveWarehouse).await;
    let running = user(&account).await.start(ENDLESS);
    account.until(1, 0).await;
    let waiting = user(&account).await.start(ENDLESS);
    account.until(1, 1).await;
    waiting.cancel().await;
    running.cancel().await;
}
