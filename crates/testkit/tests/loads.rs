//! COPY INTO table when several sessions load at once, and of files too large to hold back.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use frazil_engine::Session;
use frazil_testkit::{TestEngine, rows, run};

const LINES: &str = "FILE_FORMAT = (TYPE = CSV FIELD_DELIMITER = NONE COMPRESSION = NONE)";

async fn count(session: &Arc<Session>, table: &str) -> String {
    let result = run(session, &format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
    rows(&result).unwrap()[0][0].clone().unwrap()
}

async fn staged(test: &TestEngine) -> Arc<Session> {
    let session = test.session().await.unwrap();
    for sql in [
        "CREATE DATABASE test".to_string(),
        "CREATE STAGE st".to_string(),
        "CREATE TABLE t (a INT)".to_string(),
        format!(
            "COPY INTO @st/a.csv FROM (SELECT SEQ4() FROM TABLE(GENERATOR(ROWCOUNT => 1000))) \
             {LINES} SINGLE = TRUE"
        ),
    ] {
        run(&session, &sql).await.unwrap();
    }
    session
}

async fn other(test: &TestEngine) -> Arc<Session> {
    let session = test.session().await.unwrap();
    run(&session, "USE SCHEMA test.public").await.unwrap();
    session
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_that_load_at_once_load_a_file_once() {
    let test = TestEngine::open().await.unwrap();
    let session = staged(&test).await;
    let mut loads = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let session = other(&test).await;
        loads.spawn(async move {
            let result = run(&session, "COPY INTO t FROM @st").await.unwrap();
            rows(&result).unwrap()[0][0].clone().unwrap()
        });
    }
    let answers = loads.join_all().await;
    let loaded = answers.iter().filter(|answer| *answer == "st/a.csv").count();
    let idle = answers.iter().filter(|answer| answer.contains("0 files processed")).count();
    assert_eq!((loaded, idle), (1, 5), "{answers:?}");
    assert_eq!(count(&session, "t").await, "1000");
    // FORCE loads beside others without a conflict.
    let mut loads = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let session = other(&test).await;
        loads.spawn(async move {
            run(&session, "COPY INTO t FROM @st FORCE = TRUE").await.unwrap();
        });
    }
    loads.join_all().await;
    assert_eq!(count(&session, "t").await, "4000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_transaction_with_the_same_file_fails() {
    let test = TestEngine::open().await.unwrap();
    let first = staged(&test).await;
    let second = other(&test).await;
    for session in [&first, &second] {
        run(session, "BEGIN").await.unwrap();
        run(session, "COPY INTO t FROM @st").await.unwrap();
    }
    run(&first, "COMMIT").await.unwrap();
    let error = run(&second, "COMMIT").await.unwrap_err();
    assert_eq!(error.code.number(), 625, "{error}");
    assert_eq!(count(&first, "t").await, "1000");
    // A TRUNCATE forgets what was loaded before it, and not what came since.
    run(&first, "BEGIN").await.unwrap();
    run(&first, "TRUNCATE TABLE t").await.unwrap();
    run(&second, "COPY INTO t FROM @st FORCE = TRUE").await.unwrap();
    run(&first, "COMMIT").await.unwrap();
    assert_eq!(count(&first, "t").await, "1000");
    let again = run(&second, "COPY INTO t FROM @st").await.unwrap();
    assert!(rows(&again).unwrap()[0][0].as_ref().unwrap().contains("0 files processed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_is_skipped_whole_beside_others() {
    let test = TestEngine::open().await.unwrap();
    let session = staged(&test).await;
    for sql in [
        "CREATE STAGE many",
        "CREATE TABLE wide (a INT, b VARCHAR)",
        // Two files larger than what a worker holds back, the last row of one of them bad.
        "COPY INTO @many/good FROM (SELECT SEQ4(), REPEAT('x', 1000) FROM \
         TABLE(GENERATOR(ROWCOUNT => 40000))) FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE) \
         SINGLE = TRUE MAX_FILE_SIZE = 100000000",
        "COPY INTO @many/bad FROM (SELECT IFF(SEQ4() = 39999, 'oops', SEQ4()::VARCHAR), \
         REPEAT('x', 1000) FROM TABLE(GENERATOR(ROWCOUNT => 40000))) \
         FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE) SINGLE = TRUE MAX_FILE_SIZE = 100000000",
        "COPY INTO @many/small/part FROM (SELECT SEQ4(), 'y' FROM \
         TABLE(GENERATOR(ROWCOUNT => 5000))) FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE) \
         MAX_FILE_SIZE = 100",
    ] {
        run(&session, sql).await.unwrap();
    }
    let answer = run(&session, "COPY INTO wide FROM @many ON_ERROR = SKIP_FILE").await.unwrap();
    let answer = rows(&answer).unwrap();
    let failed: Vec<_> = answer
        .iter()
        .filter(|row| row[1].as_deref() == Some("LOAD_FAILED"))
        .map(|row| row[0].clone().unwrap())
        .collect();
    assert_eq!(failed, ["many/bad"]);
    assert!(answer.len() > 3, "{answer:?}");
    assert_eq!(count(&session, "wide").await, "45000");
    assert_eq!(count(&session, "wide WHERE b = 'y'").await, "5000");
}
