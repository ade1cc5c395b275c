//! What is known of a statement when its result is gone, and results that are shown once.

use std::path::Path;

use frazil_catalog::account::{AccountStore, Writer, now_micros};
use frazil_catalog::{CATALOG_FILE, Catalog};
use frazil_common::Code;
use frazil_engine::{
    Credential, LoginOk, LoginRequest, PastEnd, ResultReader, Session, StatementRequest,
    new_query_id,
};
use uuid::Uuid;

use super::{answer, login, open};

async fn end(session: &Session, id: &Uuid) -> Option<PastEnd> {
    session.past_statement(id).await.unwrap().map(|past| past.end)
}

/// A kill before the history is written.
async fn forget_history(folder: &Path) {
    let catalog = Catalog::open(&folder.join(CATALOG_FILE)).await.unwrap();
    let accounts = AccountStore::open(catalog.clone()).await.unwrap();
    let mut transaction = accounts.begin().await.unwrap();
    let later = now_micros() + 1_000_000;
    Writer::on(&mut transaction).prune_history(later).await.unwrap();
    transaction.commit().await.unwrap();
    catalog.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_leaves_no_statement_without_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let LoginOk { session, tokens } = login(&engine).await;
    let mut ids = Vec::new();
    for text in [
        "CREATE DATABASE d",
        "CREATE USER bob",
        "CREATE TABLE t (n INT)",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t SELECT 1 / 0",
    ] {
        let request = StatementRequest::new(text);
        ids.push(request.query_id);
        assert_eq!(answer(&session, request).await.is_err(), text.contains('/'), "{text}");
    }
    let (inserted, failed) = (ids[3], ids[4]);
    // It began, and the server stopped.
    let (lost, no_time) = (new_query_id(), Uuid::new_v4());
    assert_eq!(end(&session, &lost).await, None);
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    engine.shutdown().await;
    drop((session, engine));

    let engine = open(folder.path()).await;
    let session = engine.session_by_token(&tokens.session_token).await.unwrap();
    assert_eq!(end(&session, &inserted).await, Some(PastEnd::Success));
    let past = session.past_statement(&failed).await.unwrap().unwrap();
    assert_eq!(past.end, PastEnd::Failed);
    assert_eq!(past.error_number, Some(i64::from(Code::DivisionByZero.number())));
    assert!(past.started_micros.is_some());
    let past = session.past_statement(&lost).await.unwrap().unwrap();
    assert_eq!(past.end, PastEnd::Lost);
    assert!(past.error_message.unwrap().contains("restarted"));
    assert_eq!(end(&session, &no_time).await, None);
    assert_eq!(end(&session, &new_query_id()).await, None);
    let request = LoginRequest::new("bob", Credential::Embedded);
    let bob = engine.login(request).await.unwrap().session;
    assert_eq!(end(&bob, &inserted).await, None);
    assert_eq!(engine.past_statement(&inserted, &bob.reader()).await.unwrap(), None);
    // Without a session; who is held to one role is told no words.
    let reader = session.reader();
    let past = engine.past_statement(&inserted, &reader).await.unwrap().unwrap();
    assert!(past.error(&inserted).message.contains("no longer kept"));
    let past = engine.past_statement(&failed, &reader).await.unwrap().unwrap();
    assert_eq!(past.error(&failed).code, Code::DivisionByZero);
    let held = ResultReader { restricted_role_id: Some(1), ..reader };
    let past = engine.past_statement(&failed, &held).await.unwrap().unwrap();
    assert_eq!((past.end, past.error_message), (PastEnd::Failed, None));
    for (id, words) in [(inserted, "no longer kept"), (failed, "Division by zero")] {
        for text in
            [format!("SELECT * FROM TABLE(RESULT_SCAN('{id}'))"), format!("DESCRIBE RESULT '{id}'")]
        {
            let error = answer(&session, StatementRequest::new(text)).await.unwrap_err();
            assert!(error.message.contains(words), "{error}");
        }
    }
    engine.shutdown().await;
    drop((session, bob, engine));

    forget_history(folder.path()).await;
    let engine = open(folder.path()).await;
    let session = engine.session_by_token(&tokens.session_token).await.unwrap();
    assert_eq!(end(&session, &inserted).await, Some(PastEnd::Success));
    assert_eq!(end(&session, &failed).await, Some(PastEnd::Lost));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_and_the_levels_of_parameters_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let first = login(&engine).await.session;
    answer(&first, StatementRequest::new("ALTER USER admin SET QUERY_TAG = 'own'")).await.unwrap();
    let LoginOk { session, tokens } = login(&engine).await;
    for text in [
        "SET (n, t, gone) = (1.50, 'é', 1)",
        "UNSET gone",
        "SET at = '2020-01-02 03:04:05.678'::TIMESTAMP_NTZ",
        "ALTER SESSION SET WEEK_START = 1",
    ] {
        answer(&session, StatementRequest::new(text)).await.unwrap();
    }
    let shown = "SELECT $n, $t, TO_VARCHAR($at), SYSTEM$TYPEOF($n)";
    let before = answer(&session, StatementRequest::new(shown)).await.unwrap();
    engine.shutdown().await;
    drop((first, session, engine));

    let engine = open(folder.path()).await;
    let session = engine.session_by_token(&tokens.session_token).await.unwrap();
    assert_eq!(answer(&session, StatementRequest::new(shown)).await.unwrap(), before);
    assert_eq!(before[0][..2], ["1.50", "é"]);
    answer(&session, StatementRequest::new("SELECT $gone")).await.unwrap_err();
    for (name, level) in [("QUERY_TAG", "USER"), ("WEEK_START", "SESSION"), ("TIMEZONE", "")] {
        let text = format!("SHOW PARAMETERS LIKE '{name}'");
        let rows = answer(&session, StatementRequest::new(text)).await.unwrap();
        assert_eq!(rows[0][3], level, "{name}");
    }
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_of_an_access_token_is_shown_once() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let session = login(&engine).await.session;
    for text in [
        "ALTER USER admin ADD PROGRAMMATIC ACCESS TOKEN t",
        "ALTER USER admin ROTATE PROGRAMMATIC ACCESS TOKEN t",
        "EXECUTE IMMEDIATE 'ALTER USER admin ADD PROGRAMMATIC ACCESS TOKEN u'",
    ] {
        let request = StatementRequest::new(text);
        let id = request.query_id;
        assert!(!answer(&session, request).await.unwrap()[0][1].is_empty(), "{text}");
        let scan = StatementRequest::new(format!("SELECT * FROM TABLE(RESULT_SCAN('{id}'))"));
        let error = answer(&session, scan).await.unwrap_err();
        assert_eq!(error.code, Code::TimeTravelUnavailable, "{text}");
        assert!(engine.result(&id, &session.reader()).is_none(), "{text}");
    }
    // What nobody waited for, and one of several statements, is asked for by its id: once.
    let mut request = StatementRequest::new("ALTER USER admin ADD PROGRAMMATIC ACCESS TOKEN w");
    request.detached = true;
    let id = request.query_id;
    answer(&session, request).await.unwrap();
    // Not by another session of the user, in no way.
    let other = login(&engine).await.session;
    let scan = || StatementRequest::new(format!("SELECT * FROM TABLE(RESULT_SCAN('{id}'))"));
    let described = || StatementRequest::new(format!("DESCRIBE RESULT '{id}'"));
    for asking in [&other, &session] {
        assert!(answer(asking, scan()).await.is_err());
        assert!(answer(asking, described()).await.is_err());
    }
    assert!(other.result(&id).is_none());
    assert!(engine.result(&id, &other.reader()).is_none());
    assert!(engine.result_by_address(&id).await.unwrap().is_none());
    assert_eq!(session.result(&id).unwrap().total_rows(), 1);
    assert!(session.result(&id).is_none());
    let mut request =
        StatementRequest::new("SELECT 1; ALTER USER admin ADD PROGRAMMATIC ACCESS TOKEN v");
    request.multi_statement_count = Some(2);
    let children = session.execute(request).await.unwrap().children.clone();
    let shown = |index: usize| session.result(&children[index].0);
    assert!(other.result(&children[1].0).is_none() && other.result(&children[0].0).is_some());
    assert_eq!(shown(1).unwrap().total_rows(), 1);
    assert!(shown(1).is_none());
    assert!(shown(0).is_some() && shown(0).is_some());
    engine.shutdown().await;
}
