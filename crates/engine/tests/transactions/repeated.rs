//! Requests that a client sends again because their answer was lost.

use std::sync::Arc;

use frazil_catalog::{CATALOG_FILE, Catalog};
use frazil_engine::{Session, StatementRequest, StoredResult, cell_text};
use uuid::Uuid;

use super::{Account, login, open};

fn request(text: &str, id: Uuid) -> StatementRequest {
    let mut request = StatementRequest::new(text);
    request.request_id = Some(id);
    request
}

fn first_cell(result: &StoredResult) -> String {
    let batches = result.rows.read_all().unwrap();
    cell_text(&result.columns[0], batches[0].column(0), 0).unwrap()
}

/// The answer to a request that is sent again, where it is not to be run.
async fn again(session: &Arc<Session>, text: &str, id: Uuid) -> Option<Arc<StoredResult>> {
    session.committed_before(&request(text, id)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_in_an_open_transaction_is_not_run_twice() {
    let account = Account::open(&["CREATE TABLE t (n INT)"]).await;
    let client = account.client().await;
    let (done, failed, first) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    client.run("BEGIN").await;
    let two = "INSERT INTO t VALUES (1), (2)";
    assert!(again(&client.session, two, done).await.is_none());
    let answer = client.session.execute(request(two, done)).await.unwrap();
    let wrong = "INSERT INTO t SELECT 1 / 0";
    client.session.execute(request(wrong, failed)).await.unwrap_err();
    let other = account.client().await;
    for _ in 0..2 {
        let repeated = again(&client.session, two, done).await.unwrap();
        assert_eq!(repeated.query_id, answer.query_id);
        assert_eq!(first_cell(&repeated), "2");
        // What failed has done nothing, and what another session does is its own.
        assert!(again(&client.session, wrong, failed).await.is_none());
        assert!(again(&other.session, two, done).await.is_none());
    }
    // Of a request of several statements nobody knows how far it came.
    let mut several = request("INSERT INTO t VALUES (3); SELECT 1 / 0", first);
    several.multi_statement_count = Some(2);
    client.session.execute(several.clone()).await.unwrap_err();
    let error = client.session.committed_before(&several).await.unwrap_err();
    assert!(error.message.contains("not run again"), "{}", error.message);
    assert_eq!(client.cell("SELECT COUNT(*) FROM t").await, "3");
    client.run("ROLLBACK").await;
    assert!(again(&client.session, two, done).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_the_account_are_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let session = login(&engine).await.session;
    for text in ["CREATE DATABASE d", "CREATE TABLE t AS SELECT 1.0::FLOAT AS x, 2.0::FLOAT AS y"] {
        session.execute(StatementRequest::new(text)).await.unwrap();
    }
    session.execute(StatementRequest::new("USE SCHEMA d.public")).await.unwrap();
    session.execute(StatementRequest::new("INSERT INTO t VALUES (2, 4), (3, 6)")).await.unwrap();
    let mut told = Vec::new();
    for text in [
        "CREATE USER bob",
        "CREATE ROLE r",
        "GRANT ROLE r TO USER bob",
        "CREATE MODEL m USING linear TARGET y AS SELECT x, y FROM t",
        "DROP USER bob",
    ] {
        let id = Uuid::new_v4();
        told.push((text, id, session.execute(request(text, id)).await.unwrap().query_id));
    }
    let (failed, text) = (Uuid::new_v4(), "DROP USER nobody");
    session.execute(request(text, failed)).await.unwrap_err();
    engine.shutdown().await;
    drop((session, engine));

    let engine = open(folder.path()).await;
    let session = login(&engine).await.session;
    for (text, id, query_id) in told {
        assert_eq!(again(&session, text, id).await.unwrap().query_id, query_id, "{text}");
    }
    assert!(again(&session, text, failed).await.is_none());
    engine.shutdown().await;
}

const WRITERS: u64 = 12;
const ROUNDS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_go_together_are_known_apart_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let first = login(&engine).await.session;
    for statement in ["CREATE DATABASE d", "CREATE TABLE t (n INT)"] {
        first.execute(StatementRequest::new(statement)).await.unwrap();
    }
    let mut sessions = Vec::new();
    for _ in 0..WRITERS {
        sessions.push(login(&engine).await.session);
    }
    let mut told = Vec::new();
    for _ in 0..ROUNDS {
        let mut all = Vec::new();
        for (number, session) in sessions.iter().enumerate() {
            let values = vec!["(1)"; number + 1].join(", ");
            let (id, text) = (Uuid::new_v4(), format!("INSERT INTO t VALUES {values}"));
            let session = session.clone();
            all.push(tokio::spawn(async move {
                let answer = session.execute(request(&text, id)).await.unwrap();
                assert_eq!(first_cell(&answer), (number + 1).to_string());
                (id, text, answer.query_id)
            }));
        }
        for one in all {
            told.push(one.await.unwrap());
        }
    }
    engine.shutdown().await;
    drop((first, sessions, engine));
    let catalog = Catalog::inspect(&folder.path().join(CATALOG_FILE)).await.unwrap();
    let commits = catalog.snapshots(-1).await.unwrap();
    catalog.close().await;
    let inserts = commits.iter().filter(|commit| commit.changes.contains("inlined_insert"));
    assert!(inserts.count() < told.len(), "no commits went together");

    let engine = open(folder.path()).await;
    let session = login(&engine).await.session;
    for (number, (id, text, query_id)) in told.iter().enumerate() {
        let repeated = again(&session, text, *id).await.unwrap();
        assert_eq!(repeated.query_id, *query_id);
        let rows = number as u64 % WRITERS + 1;
        assert_eq!(first_cell(&repeated), rows.to_string());
    }
    assert!(again(&session, "INSERT INTO t VALUES (1)", Uuid::new_v4()).await.is_none());
    engine.shutdown().await;
}
