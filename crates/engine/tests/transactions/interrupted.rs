//! Statements that are cancelled, and what is left of them; sessions whose server was killed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use frazil_catalog::account::{AccountStore, SessionRow};
use frazil_catalog::{CATALOG_FILE, Catalog};
use frazil_common::{Code, UserError};
use frazil_engine::{LoginOk, Session, StatementRequest};
use tokio_util::sync::CancellationToken;

use super::{answer, login, open};

/// Never done in a test's time.
const ENDLESS: &str = "INSERT INTO t SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 2000000000)) a, \
                       TABLE(GENERATOR(ROWCOUNT => 100)) b WHERE RANDOM() > 0";

async fn run(session: &Arc<Session>, text: &str) -> Result<Vec<Vec<String>>, UserError> {
    answer(session, StatementRequest::new(text)).await
}

async fn cell(session: &Arc<Session>, text: &str) -> String {
    run(session, text).await.unwrap_or_else(|error| panic!("{text}: {error}"))[0][0].clone()
}

/// Runs a statement and cancels it after a time.
async fn cancelled_after(
    session: &Arc<Session>,
    text: &str,
    time: Duration,
) -> Result<Vec<Vec<String>>, UserError> {
    let mut request = StatementRequest::new(text);
    let cancel = CancellationToken::new();
    request.cancel = cancel.clone();
    let session = session.clone();
    let running = tokio::spawn(async move { answer(&session, request).await });
    tokio::time::sleep(time).await;
    cancel.cancel();
    running.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_statement_leaves_its_transaction_open() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let session = login(&engine).await.session;
    for statement in ["CREATE DATABASE d", "CREATE TABLE t (n INT)", "BEGIN"] {
        run(&session, statement).await.unwrap();
    }
    run(&session, "INSERT INTO t VALUES (1)").await.unwrap();
    let id = cell(&session, "SELECT CURRENT_TRANSACTION()").await;
    let error = cancelled_after(&session, ENDLESS, Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.code, Code::Cancelled);
    run(&session, "ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 1").await.unwrap();
    let error = run(&session, ENDLESS).await.unwrap_err();
    assert_eq!(error.code, Code::StatementTimeout);
    assert_eq!(cell(&session, "SELECT CURRENT_TRANSACTION()").await, id);
    run(&session, "INSERT INTO t VALUES (2)").await.unwrap();
    let other = login(&engine).await.session;
    assert_eq!(cell(&other, "SELECT COUNT(*) FROM t").await, "0");
    run(&session, "COMMIT").await.unwrap();
    assert_eq!(run(&other, "SELECT n FROM t ORDER BY n").await.unwrap(), [["1"], ["2"]]);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_as_cancelled_was_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let session = login(&engine).await.session;
    for statement in ["CREATE DATABASE d", "CREATE TABLE t (n INT)"] {
        run(&session, statement).await.unwrap();
    }
    let mut told = 0;
    for round in 0..150_u64 {
        let time = Duration::from_micros(round * 100);
        if round % 2 == 0 {
            told += u64::from(
                cancelled_after(&session, "INSERT INTO t VALUES (1)", time).await.is_ok(),
            );
            continue;
        }
        run(&session, "BEGIN").await.unwrap();
        run(&session, "INSERT INTO t VALUES (1)").await.unwrap();
        told += u64::from(cancelled_after(&session, "COMMIT", time).await.is_ok());
        run(&session, "ROLLBACK").await.unwrap();
    }
    // A commit that goes on behind the answer would come later.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(cell(&session, "SELECT COUNT(*) FROM t").await, told.to_string());
    engine.shutdown().await;
}

/// What the rows of sessions hold.
async fn session_rows(folder: &Path) -> Vec<SessionRow> {
    let catalog = Catalog::inspect(&folder.join(CATALOG_FILE)).await.unwrap();
    let rows = AccountStore::inspect(catalog.clone()).sessions().await.unwrap();
    catalog.close().await;
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_before_a_kill_is_not_told_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let LoginOk { session, tokens } = login(&engine).await;
    for statement in ["CREATE DATABASE d", "CREATE TABLE t (n INT)", "BEGIN"] {
        run(&session, statement).await.unwrap();
    }
    run(&session, "INSERT INTO t VALUES (1)").await.unwrap();
    let row = session_rows(folder.path()).await.remove(0);
    assert!(row.state.transaction_open);
    run(&session, "COMMIT").await.unwrap();
    engine.shutdown().await;
    drop((session, engine));
    // That the transaction ended is written some time after the answer: a kill may come first.
    let catalog = Catalog::open(&folder.path().join(CATALOG_FILE)).await.unwrap();
    let accounts = AccountStore::open(catalog.clone()).await.unwrap();
    accounts.save_session_state(row.id, &row.state).await.unwrap();
    catalog.close().await;

    let engine = open(folder.path()).await;
    let session = engine.session_by_token(&tokens.session_token).await.unwrap();
    run(&session, "COMMIT").await.unwrap();
    assert_eq!(cell(&session, "SELECT COUNT(*) FROM d.public.t").await, "1");
    // One that was not committed is lost.
    run(&session, "BEGIN").await.unwrap();
    run(&session, "INSERT INTO d.public.t VALUES (2)").await.unwrap();
    engine.shutdown().await;
    drop((session, engine));
    let engine = open(folder.path()).await;
    let session = engine.session_by_token(&tokens.session_token).await.unwrap();
    let error = run(&session, "COMMIT").await.unwrap_err();
    assert_eq!(error.code, Code::TransactionConflict);
    assert_eq!(cell(&session, "SELECT COUNT(*) FROM d.public.t").await, "1");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_its_temporary_tables() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let LoginOk { session, tokens } = login(&engine).await;
    for statement in [
        "CREATE DATABASE d",
        "CREATE TABLE orders AS SELECT 1 AS n",
        "CREATE TEMPORARY TABLE orders (n INT)",
    ] {
        run(&session, statement).await.unwrap();
    }
    let LoginOk { session: other, tokens: others } = login(&engine).await;
    run(&other, "CREATE TEMPORARY TABLE short (n INT)").await.unwrap();
    run(&other, "DROP TABLE short").await.unwrap();
    engine.shutdown().await;
    drop((session, other, engine));

    let engine = open(folder.path()).await;
    let gone = engine.session_by_token(&tokens.session_token).await.map(|_| ()).unwrap_err();
    assert_eq!(gone.code, Code::SessionGone, "{}", gone.message);
    assert!(gone.message.contains("temporary"), "{}", gone.message);
    assert!(engine.session_by_token(&tokens.session_token).await.is_err());
    // Who has none any more goes on.
    let other = engine.session_by_token(&others.session_token).await.unwrap();
    assert_eq!(cell(&other, "SELECT COUNT(*) FROM d.public.orders").await, "1");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_beside_each_other_keep_each_others_temporary_rows() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let session = login(&engine).await.session;
    for statement in [
        "CREATE DATABASE d",
        "CREATE TEMPORARY TABLE mine (n INT)",
        "CREATE TEMPORARY TABLE one (n INT)",
        "INSERT INTO one VALUES (0)",
    ] {
        run(&session, statement).await.unwrap();
    }
    let mut all = Vec::new();
    for number in 0..40 {
        let session = session.clone();
        let text = match number % 2 {
            0 => format!("INSERT INTO mine SELECT {number} FROM TABLE(GENERATOR(ROWCOUNT => 1))"),
            _ => "UPDATE one SET n = n + 1".to_string(),
        };
        all.push(tokio::spawn(async move { run(&session, &text).await }));
    }
    for done in all {
        done.await.unwrap().unwrap();
    }
    assert_eq!(cell(&session, "SELECT COUNT(*) FROM mine").await, "20");
    assert_eq!(cell(&session, "SELECT n FROM one").await, "20");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn insert_overwrite_all_locks_its_targets_and_upkeep_leaves_them() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let session = login(&engine).await.session;
    for statement in [
        "CREATE DATABASE d",
        "CREATE TABLE x (n INT)",
        "CREATE TABLE y (n INT)",
        "INSERT INTO x VALUES (1)",
        "INSERT INTO y VALUES (1)",
        "BEGIN",
        "INSERT OVERWRITE ALL INTO x VALUES (a) INTO y VALUES (a) SELECT 1 AS a",
    ] {
        run(&session, statement).await.unwrap();
    }
    let other = login(&engine).await.session;
    run(&other, "ALTER SESSION SET LOCK_TIMEOUT = 0").await.unwrap();
    for table in ["x", "y"] {
        let error = run(&other, &format!("UPDATE {table} SET n = n + 1")).await.unwrap_err();
        assert_eq!(error.code, Code::LockTimeout, "{table}");
    }
    run(&session, "COMMIT").await.unwrap();
    // While a statement that has the lock is computing, upkeep moves no rows of its table.
    run(&session, "BEGIN").await.unwrap();
    let slow = tokio::spawn({
        let session = session.clone();
        let text = "UPDATE x SET n = (SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 8000000)) \
                    WHERE RANDOM() IS NOT NULL)";
        async move { run(&session, text).await }
    });
    loop {
        run(&other, "SHOW LOCKS").await.unwrap();
        if cell(&other, "SELECT COUNT(*) FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))").await != "0" {
            break;
        }
    }
    assert!(!slow.is_finished(), "the statement was too fast for this test");
    engine.maintain().await.unwrap();
    slow.await.unwrap().unwrap();
    run(&session, "COMMIT").await.unwrap();
    assert_eq!(cell(&other, "SELECT n FROM x").await, "8000000");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_could_not_be_noted_is_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let session = login(&engine).await.session;
    for statement in ["CREATE DATABASE d", "CREATE TABLE t (n INT)"] {
        run(&session, statement).await.unwrap();
    }
    // Another program writes for longer than the server waits.
    let catalog = Catalog::open(&folder.path().join(CATALOG_FILE)).await.unwrap();
    let accounts = AccountStore::open(catalog.clone()).await.unwrap();
    let writing = accounts.begin().await.unwrap();
    run(&session, "BEGIN").await.unwrap_err();
    drop(writing);
    catalog.close().await;
    assert_eq!(cell(&session, "SELECT COALESCE(CURRENT_TRANSACTION(), 'none')").await, "none");
    run(&session, "INSERT INTO t VALUES (1)").await.unwrap();
    let other = login(&engine).await.session;
    assert_eq!(cell(&other, "SELECT COUNT(*) FROM t").await, "1");
    engine.shutdown().await;
}
