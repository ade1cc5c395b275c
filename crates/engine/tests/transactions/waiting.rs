//! Statements that waited for a lock, and transactions that others wait for.

use std::time::Duration;

use frazil_catalog::account::now_micros;
use frazil_common::{Code, UserError};
use tokio::task::JoinHandle;

use super::{Account, Client};

type Rows = Result<Vec<Vec<String>>, UserError>;

impl Client {
    fn start(&self, text: &str) -> JoinHandle<Rows> {
        let (client, text) = (self.clone(), text.to_string());
        tokio::spawn(async move { client.try_run(&text).await })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_took_the_name_meanwhile_needs_its_own_privileges() {
    let account = Account::open(&[
        "CREATE ROLE r",
        "GRANT ROLE r TO USER admin",
        "GRANT USAGE ON DATABASE d TO ROLE r",
        "GRANT USAGE ON SCHEMA d.public TO ROLE r",
    ])
    .await;
    let (holder, reader, owner) =
        (account.client().await, account.client().await, account.client().await);
    reader.run("USE ROLE r").await;
    reader.run("USE SECONDARY ROLES NONE").await;
    for text in [
        "TRUNCATE TABLE t",
        "DELETE FROM t",
        "UPDATE t SET n = 0",
        "INSERT OVERWRITE INTO t VALUES (7)",
        "INSERT OVERWRITE ALL INTO t VALUES (a) SELECT 1 AS a",
        "MERGE INTO t USING (SELECT 1 AS x) ON n = x WHEN NOT MATCHED THEN INSERT VALUES (x)",
    ] {
        for statement in [
            "CREATE OR REPLACE TABLE t AS SELECT 1 AS n",
            "CREATE OR REPLACE TABLE other AS SELECT 100 AS n",
            "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLE t TO ROLE r",
            "GRANT SELECT ON TABLE other TO ROLE r",
        ] {
            owner.run(statement).await;
        }
        holder.run("BEGIN").await;
        holder.run("UPDATE t SET n = n + 1").await;
        let waiting = reader.start(text);
        owner.waits().await;
        owner.run("ALTER TABLE t SWAP WITH other").await;
        holder.run("ROLLBACK").await;
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.code, Code::InsufficientPrivileges, "{text}: {}", error.message);
        assert_eq!(owner.run("SELECT t.n, other.n FROM t, other").await, [["100", "1"]], "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_took_the_name_meanwhile_is_locked() {
    let account = Account::open(&[
        "CREATE TABLE t AS SELECT 1::INT AS n",
        "CREATE TABLE other AS SELECT 100::INT AS n",
    ])
    .await;
    let (one, two, three) =
        (account.client().await, account.client().await, account.client().await);
    one.run("BEGIN").await;
    one.run("UPDATE t SET n = n + 1").await;
    two.run("BEGIN").await;
    let waiting = two.start("UPDATE t SET n = n + 1");
    three.waits().await;
    three.run("ALTER TABLE t SWAP WITH other").await;
    one.run("ROLLBACK").await;
    waiting.await.unwrap().unwrap();
    three.run("ALTER SESSION SET LOCK_TIMEOUT = 0").await;
    let error = three.try_run("UPDATE t SET n = n * 10").await.unwrap_err();
    assert_eq!(error.code, Code::LockTimeout, "{}", error.message);
    two.run("COMMIT").await;
    three.run("UPDATE t SET n = n * 10").await;
    assert_eq!(three.run("SELECT t.n, other.n FROM t, other").await, [["1010", "1"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_transaction_ends_when_others_wait_for_it() {
    let account = Account::open(&["CREATE TABLE t AS SELECT 1::INT AS n"]).await;
    let (holder, other) = (account.client().await, account.client().await);
    holder.run("BEGIN").await;
    holder.run("UPDATE t SET n = n + 1").await;
    let id = holder.cell("SELECT CURRENT_TRANSACTION()").await;
    let sweep_after = async |seconds: i64| {
        account.engine.sweep_sessions(now_micros() + seconds * 1_000_000).await.unwrap();
    };
    // Nobody waits.
    sweep_after(3000).await;
    assert_eq!(holder.cell("SELECT CURRENT_TRANSACTION()").await, id);
    let waiting = other.start("UPDATE t SET n = n + 10");
    let watcher = account.client().await;
    watcher.waits().await;
    // Its session did something four minutes ago.
    sweep_after(240).await;
    assert_eq!(holder.cell("SELECT CURRENT_TRANSACTION()").await, id);
    // Its session runs something.
    let running = holder.start("SELECT SYSTEM$WAIT(1)");
    while account.engine.gauges().running < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    sweep_after(3000).await;
    running.await.unwrap().unwrap();
    assert_eq!(holder.cell("SELECT CURRENT_TRANSACTION()").await, id);
    assert!(!waiting.is_finished());

    sweep_after(301).await;
    waiting.await.unwrap().unwrap();
    assert_eq!(watcher.cell("SELECT n FROM t").await, "11");
    for statement in ["INSERT INTO t VALUES (5)", "COMMIT"] {
        let error = holder.try_run(statement).await.unwrap_err();
        assert_eq!(error.code, Code::TransactionConflict, "{statement}: {}", error.message);
        assert!(error.message.contains("idle"), "{}", error.message);
    }
    holder.run("UPDATE t SET n = n + 1").await;
    assert_eq!(watcher.cell("SELECT n FROM t").await, "12");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_tells_of_statements_that_run_and_of_those_that_wait() {
    let account = Account::open(&["CREATE TABLE t AS SELECT 1::INT AS n"]).await;
    let (one, two, three) =
        (account.client().await, account.client().await, account.client().await);
    one.run("BEGIN").await;
    one.run("UPDATE t SET n = 2").await;
    let waiting = two.start("UPDATE t SET n = 3");
    three.waits().await;
    let told = "SELECT EXECUTION_STATUS, END_TIME IS NULL, ROWS_PRODUCED IS NULL, TRANSACTION_BLOCKED_TIME >= 0 \
                FROM TABLE(d.INFORMATION_SCHEMA.QUERY_HISTORY()) WHERE QUERY_TEXT = 'UPDATE t SET n = 3'";
    assert_eq!(three.run(told).await, [["BLOCKED", "TRUE", "TRUE", "TRUE"]]);
    // The statement that asks runs itself.
    let running = "SELECT QUERY_TYPE, QUERY_ID = LAST_QUERY_ID() FROM \
                   TABLE(d.INFORMATION_SCHEMA.QUERY_HISTORY_BY_SESSION()) WHERE EXECUTION_STATUS = 'RUNNING'";
    assert_eq!(three.run(running).await, [["SELECT", "FALSE"]]);
    // A range of end times is one of statements that have ended.
    let ended = "SELECT COUNT(*) FROM TABLE(d.INFORMATION_SCHEMA.QUERY_HISTORY(\
                 END_TIME_RANGE_END => CURRENT_TIMESTAMP())) WHERE END_TIME IS NULL";
    assert_eq!(three.cell(ended).await, "0");
    tokio::time::sleep(Duration::from_millis(20)).await;
    one.run("COMMIT").await;
    waiting.await.unwrap().unwrap();
    let told = "SELECT EXECUTION_STATUS, END_TIME IS NULL, TRANSACTION_BLOCKED_TIME >= 20, \
                TRANSACTION_BLOCKED_TIME <= TOTAL_ELAPSED_TIME FROM \
                TABLE(d.INFORMATION_SCHEMA.QUERY_HISTORY()) WHERE QUERY_TEXT = 'UPDATE t SET n = 3'";
    assert_eq!(three.run(told).await, [["SUCCESS", "FALSE", "TRUE", "TRUE"]]);
    let gone = "SELECT COUNT(*) FROM TABLE(d.INFORMATION_SCHEMA.QUERY_HISTORY()) \
                WHERE EXECUTION_STATUS = 'BLOCKED'";
    assert_eq!(three.cell(gone).await, "0");
}
