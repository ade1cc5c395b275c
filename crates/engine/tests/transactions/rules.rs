//! Statements on policies, tags and roles at the same moment: each is checked against what the other did.

use std::sync::Arc;

use super::{Account, Client};

const ROUNDS: usize = 12;

/// Both statements at once; whether each succeeded.
async fn both(first: &Client, second: &Client, texts: [String; 2]) -> (bool, bool) {
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    let [one, other] = texts;
    let start = |client: &Client, text: String| {
        let (client, barrier) = (client.clone(), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            client.try_run(&text).await.is_ok()
        })
    };
    let (one, other) = (start(first, one), start(second, other));
    (one.await.unwrap(), other.await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_policy_protects_is_decided_by_one_statement_after_another() {
    let account = Account::open(&[]).await;
    let (first, second) = (account.client().await, account.client().await);
    for round in 0..ROUNDS {
        let mask = |name: &str| {
            format!("CREATE MASKING POLICY {name}{round} AS (v VARCHAR) RETURNS VARCHAR -> 'h'")
        };
        first.run(&format!("CREATE TABLE t{round} (a VARCHAR, b VARCHAR)")).await;
        first.run(&format!("INSERT INTO t{round} VALUES ('x', 'y')")).await;
        first.run(&mask("p")).await;
        first.run(&mask("q")).await;
        let set = |column: &str, policy: &str| {
            format!(
                "ALTER TABLE t{round} MODIFY COLUMN {column} SET MASKING POLICY {policy}{round}"
            )
        };
        let drop = format!("DROP MASKING POLICY p{round}");
        let (dropped, is_set) = both(&first, &second, [drop, set("a", "p")]).await;
        assert!(dropped != is_set, "a policy was dropped and set");
        let read = format!("SELECT a FROM t{round}");
        assert_eq!(first.run(&read).await[0][0], if is_set { "h" } else { "x" });

        first.run(&mask("o")).await;
        let (one, other) = both(&first, &second, [set("b", "q"), set("b", "o")]).await;
        assert!(one != other, "a policy took the place of another");

        first
            .run(&format!(
                "CREATE ROW ACCESS POLICY f{round} AS (v VARCHAR) RETURNS BOOLEAN -> TRUE"
            ))
            .await;
        first.run(&format!("CREATE TABLE s{round} (a INT, b VARCHAR)")).await;
        let add = format!("ALTER TABLE s{round} ADD ROW ACCESS POLICY f{round} ON (b)");
        let column = format!("ALTER TABLE s{round} DROP COLUMN b");
        let (added, gone) = both(&first, &second, [add, column]).await;
        assert!(added != gone, "a column went that a policy looks at");
        first.run(&format!("SELECT a FROM s{round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_never_have_each_other() {
    let account = Account::open(&[]).await;
    let (first, second) = (account.client().await, account.client().await);
    for round in 0..ROUNDS {
        first.run(&format!("CREATE ROLE a{round}")).await;
        first.run(&format!("CREATE ROLE b{round}")).await;
        let texts = [
            format!("GRANT ROLE a{round} TO ROLE b{round}"),
            format!("GRANT ROLE b{round} TO ROLE a{round}"),
        ];
        let (one, other) = both(&first, &second, texts).await;
        assert!(one != other, "a cycle of roles");
    }
}

/// Sessions, their temporary tables and their open transactions are in the database, whatever its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_database_takes_its_sessions_along() {
    let account = Account::open(&["CREATE TABLE t (n INT)", "CREATE DATABASE other"]).await;
    let (admin, one) = (account.client().await, account.client().await);
    one.run("CREATE TEMPORARY TABLE own (n INT)").await;
    one.run("BEGIN").await;
    one.run("INSERT INTO t VALUES (1)").await;
    one.run("INSERT INTO own VALUES (2)").await;
    admin.run("ALTER DATABASE d RENAME TO e").await;
    assert_eq!(one.cell("SELECT CURRENT_DATABASE()").await, "E");
    assert_eq!(one.run("SELECT t.n, own.n FROM t, e.public.own").await, [["1", "2"]]);
    one.run("COMMIT").await;
    admin.run("ALTER DATABASE other SWAP WITH e").await;
    assert_eq!(one.cell("SELECT CURRENT_DATABASE()").await, "OTHER");
    one.run("INSERT INTO own SELECT n + 5 FROM t").await;
    assert_eq!(one.run("SELECT n FROM other.public.own ORDER BY n").await, [["2"], ["6"]]);
    assert_eq!(admin.cell("SELECT n FROM other.public.t").await, "1");
    assert_eq!(admin.cell("SELECT COUNT(*) FROM e.information_schema.tables").await, "0");
}
