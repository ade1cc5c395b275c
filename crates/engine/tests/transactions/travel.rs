//! The past is one: all of a statement reads the same, and asked again it is the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Account;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moment_has_one_state_while_others_commit() {
    let account = Account::open(&[
        "CREATE TABLE a (n INT)",
        "INSERT INTO a VALUES (0)",
        "CREATE TABLE b (n INT)",
        "INSERT INTO b VALUES (0)",
    ])
    .await;
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (client, done) = (account.client().await, Arc::clone(&done));
        async move {
            while !done.load(Ordering::SeqCst) {
                for statement in
                    ["BEGIN", "UPDATE a SET n = n - 1", "UPDATE b SET n = n + 1", "COMMIT"]
                {
                    client.run(statement).await;
                }
            }
        }
    });
    let reader = account.client().await;
    for _ in 0..100 {
        let at = "AT (OFFSET => 0)";
        let sum = format!("SELECT (SELECT n FROM a {at}) + (SELECT n FROM b {at})");
        assert_eq!(reader.cell(&sum).await, "0");
        let now = reader.cell("SELECT SYSDATE()::VARCHAR").await;
        let then = format!("SELECT n FROM a AT (TIMESTAMP => '{now}'::TIMESTAMP_NTZ)");
        let first = reader.cell(&then).await;
        tokio::task::yield_now().await;
        assert_eq!(reader.cell(&then).await, first, "at {now}");
    }
    done.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    assert_ne!(reader.cell("SELECT n FROM b").await, "0");
}
