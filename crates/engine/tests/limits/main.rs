//! Every limit of a server, hit: the error names it, and others are answered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod account;
mod monitors;
mod training;
mod usage;
mod warehouses;

use account::{Account, ENDLESS};
use frazil_common::Code;
use frazil_engine::Limits;
use futures::StreamExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spilled_bytes() {
    let limits = Limits { spill_bytes: 1 << 20, ..Limits::default() };
    let account = Account::open(limits).await;
    let client = account.client().await;
    let sort = "CREATE TABLE sorted AS SELECT RANDOM() AS a, REPEAT('x', 100) || SEQ8() AS b
                FROM TABLE(GENERATOR(ROWCOUNT => 1500000)) ORDER BY 1";
    let message = client.fails(sort, Code::ResourceLimit).await;
    assert!(message.contains("--spill-limit"), "{message}");
    assert_eq!(client.value("SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 10))").await, "10");
    account.until_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn result_bytes() {
    let limits = Limits { result_bytes: 100_000, ..Limits::default() };
    let account = Account::open(limits).await;
    let client = account.client().await;
    let rows = "SELECT SEQ8() AS a FROM TABLE(GENERATOR(ROWCOUNT => 100000))";
    let message = client.fails(rows, Code::ResourceLimit).await;
    assert!(message.contains("--result-limit"), "{message}");
    client.run(&format!("CREATE TABLE kept AS {rows}")).await;
    assert_eq!(client.value("SELECT COUNT(*) FROM kept").await, "100000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploaded_bytes() {
    let limits = Limits { upload_bytes: 1000, ..Limits::default() };
    let account = Account::open(limits).await;
    let client = account.client().await;
    client.run("CREATE STAGE s").await;
    let transfer = client
        .session
        .execute(frazil_engine::StatementRequest::new("PUT file:///nowhere/a.csv @s"))
        .await
        .unwrap();
    let stage = transfer.transfer.as_ref().unwrap().stage_id;
    let store = account.engine.stage_store();
    let body = |bytes: usize| {
        let pieces =
            vec![0u8; bytes].chunks(300).map(|c| Ok(c.to_vec().into())).collect::<Vec<_>>();
        futures::stream::iter(pieces).boxed()
    };
    let error = store.put(stage, "large.csv", body(1001)).await.unwrap_err();
    assert_eq!(error.code, Code::ResourceLimit);
    assert!(error.message.contains("--upload-limit"), "{error}");
    assert_eq!(store.put(stage, "small.csv", body(1000)).await.unwrap(), 1000);
    assert_eq!(client.run("LIST @s").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_a_user() {
    let limits = Limits { sessions_per_user: 3, ..Limits::default() };
    let account = Account::open(limits).await;
    let first = account.client().await;
    first.run("CREATE USER rita").await;
    let second = account.client().await;
    let error = account.login("admin").await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, Code::ResourceLimit);
    assert!(error.message.contains("--sessions-per-user"), "{error}");
    // Others are let in, and a place that is given up is free.
    account.login("rita").await.unwrap();
    account.engine.close_session(&second.session).await.unwrap();
    account.login("admin").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_wait() {
    let limits = Limits { concurrency: 1, queue_length: 1, ..Limits::default() };
    let account = Account::open(limits).await;
    let client = account.client().await;
    client.run("CREATE TABLE t (a INT)").await;
    let running = account.client().await.start(ENDLESS);
    account.until(1, 0).await;
    let waiting = account.client().await.start("INSERT INTO t VALUES (1)");
    account.until(1, 1).await;
    let message = client.fails("SELECT * FROM t", Code::ResourceLimit).await;
    assert!(message.contains("--queue-length"), "{message}");
    // What reads no rows is answered.
    client.run("SHOW TABLES").await;
    assert_eq!(client.value("SELECT 1").await, "1");
    assert_eq!(running.cancel().await.code, Code::Cancelled);
    waiting.succeeds().await;
    assert_eq!(client.value("SELECT COUNT(*) FROM t").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_in_the_queue_and_at_work() {
    let limits = Limits { concurrency: 1, ..Limits::default() };
    let account = Account::open(limits).await;
    let client = account.client().await;
    client.run("ALTER SESSION SET STATEMENT_QUEUED_TIMEOUT_IN_SECONDS = 1").await;
    let running = account.client().await.start(ENDLESS);
    account.until(1, 0).await;
    let message = client.fails(ENDLESS, Code::StatementTimeout).await;
    assert!(message.contains("STATEMENT_QUEUED_TIMEOUT_IN_SECONDS"), "{message}");
    let waiting = account.client().await.start(ENDLESS);
    account.until(1, 1).await;
    assert_eq!(waiting.cancel().await.code, Code::Cancelled);
    running.cancel().await;
    account.until(0, 0).await;
    client.run("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 1").await;
    let message = client.fails(ENDLESS, Code::StatementTimeout).await;
    assert!(message.contains("timeout of 1 second"), "{message}");
    client.run("ALTER SESSION UNSET STATEMENT_TIMEOUT_IN_SECONDS").await;
    client.run("SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 10))").await;
}

/// Those who hold the places wait for locks; the holder of the locks must get on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_never_waits_behind_those_that_wait_for_it() {
    let limits = Limits { concurrency: 1, queue_length: 10, ..Limits::default() };
    let account = Account::open(limits).await;
    let holder = account.client().await;
    holder.run("CREATE TABLE t (a INT) AS SELECT 1").await;
    holder.run("BEGIN").await;
    holder.run("UPDATE t SET a = 2").await;
    let waits = account.client().await.start("UPDATE t SET a = a + 10");
    account.until(1, 0).await;
    holder.run("UPDATE t SET a = a + 1").await;
    holder.run("COMMIT").await;
    waits.succeeds().await;
    assert_eq!(holder.value("SELECT a FROM t").await, "13");
}

/// Those who wait for a lock keep nobody else from computing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_for_a_lock_leave_their_places() {
    let limits = Limits { concurrency: 1, queue_length: 10, ..Limits::default() };
    let account = Account::open(limits).await;
    let holder = account.client().await;
    holder.run("CREATE TABLE t (a INT) AS SELECT 1").await;
    holder.run("CREATE TABLE other (a INT) AS SELECT 1").await;
    holder.run("BEGIN").await;
    holder.run("UPDATE t SET a = 2").await;
    let mut waiting = Vec::new();
    for number in 1..=3 {
        waiting.push(account.client().await.start("UPDATE t SET a = a + 10"));
        account.until(number, 0).await;
    }
    let reader = account.client().await;
    assert_eq!(reader.value("SELECT COUNT(*) FROM other").await, "1");
    // The place is taken when they have the lock: they go on, as others wait for them.
    let computing = reader.start(ENDLESS);
    account.until(4, 0).await;
    holder.run("COMMIT").await;
    for statement in waiting {
        statement.succeeds().await;
    }
    account.until(1, 0).await;
    computing.cancel().await;
    assert_eq!(holder.value("SELECT a FROM t").await, "32");
    // The place was given back once and not more often.
    let computing = reader.start(ENDLESS);
    account.until(1, 0).await;
    let queued = account.client().await.start("SELECT COUNT(*) FROM other");
    account.until(1, 1).await;
    computing.cancel().await;
    queued.succeeds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_a_server() {
    let account = Account::open(Limits { spill_bytes: 0, ..Limits::default() }).await;
    let client = account.client().await;
    // Both inputs of a join are larger than what it may keep.
    let large = "SELECT COUNT(*) FROM
                 (SELECT REPEAT('x', 1000) || SEQ8() AS a FROM TABLE(GENERATOR(ROWCOUNT => 100000)))
                 JOIN (SELECT REPEAT('x', 1000) || SEQ8() AS b FROM TABLE(GENERATOR(ROWCOUNT => 100000)))
                 ON a = b";
    // So are the rows that an aggregate keeps.
    let kept = "SELECT ARRAY_SIZE(ARRAY_AGG(REPEAT('x', 1000) || SEQ8()))
                FROM TABLE(GENERATOR(ROWCOUNT => 100000))";
    // And the values that a function makes for a batch of rows.
    let made = "SELECT MAX(LENGTH(REPEAT(SEQ8()::VARCHAR, 1000000)))
                FROM TABLE(GENERATOR(ROWCOUNT => 1000))";
    let bytes = "SELECT MAX(LENGTH(LPAD(X'AB', 1000000 + SEQ8(), X'FF')))
                 FROM TABLE(GENERATOR(ROWCOUNT => 1000))";
    // And those of frames that hold most of a partition, until they are handed on.
    let framed = "SELECT MAX(ARRAY_SIZE(x)) FROM (SELECT ARRAY_AGG(REPEAT('x', 1000)) OVER
                  (ORDER BY n ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS x
                  FROM (SELECT SEQ8() AS n FROM TABLE(GENERATOR(ROWCOUNT => 1000))))";
    // And those that a lambda makes, which computes with few elements at a time where it can.
    let lambda = |body: &str| {
        format!(
            "SELECT ARRAY_SIZE(TRANSFORM(ARRAY_GENERATE_RANGE(0, 100 + n), x -> {body}))
             FROM (SELECT SEQ8() AS n FROM TABLE(GENERATOR(ROWCOUNT => 1)))"
        )
    };
    assert_eq!(client.value(&lambda("LENGTH(REPEAT('a', 1000000 + x))")).await, "100");
    let lambda = lambda("REPEAT('a', 1000000 + x)");
    for text in [large, kept, made, bytes, framed, &lambda] {
        let message = client.fails(text, Code::ResourceLimit).await;
        assert!(message.contains("--memory-limit"), "{message}");
    }
    assert_eq!(client.value("SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 10))").await, "10");
}

/// The values of a batch of rows come to far more together than may be held at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_sliding_frames_are_handed_on() {
    let account = Account::open(Limits::default()).await;
    let client = account.client().await;
    let query = "SELECT MAX(ARRAY_SIZE(x)) || ' ' || SUM(ARRAY_SIZE(x)) FROM
                 (SELECT ARRAY_AGG(t) OVER (ORDER BY n ROWS BETWEEN 99 PRECEDING AND CURRENT ROW) AS x
                  FROM (SELECT REPEAT('x', 1000) AS t, SEQ8() AS n
                        FROM TABLE(GENERATOR(ROWCOUNT => 4000))))";
    assert_eq!(client.value(query).await, "100 395050");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warehouse_can_be_required() {
    let account = Account::open(Limits { require_warehouse: true, ..Limits::default() }).await;
    let client = account.client().await;
    client.run("CREATE TABLE t (a INT)").await;
    client.fails("SELECT * FROM t", Code::NoActiveWarehouse).await;
    client.fails("INSERT INTO t VALUES (1)", Code::NoActiveWarehouse).await;
    assert_eq!(client.value("SELECT 1").await, "1");
}
