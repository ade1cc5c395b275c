//! What a request read of the catalog as it came in serves its first statement, and no longer.

use frazil_engine::{LoginOk, StatementRequest};

use super::{Account, answer, login};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_request_read_as_it_came_hides_no_commit_after_it() {
    let account = Account::open(&["CREATE TABLE t (n INT)"]).await;
    let LoginOk { session, tokens } = login(&account.engine).await;
    let other = account.client().await;
    for round in 1..=20 {
        let (known, arrival) = account.engine.arrival(&tokens.session_token).await.unwrap();
        assert_eq!(known.id(), session.id());
        // Definitions too, every other time.
        let definition = match round % 2 {
            0 => "CREATE OR REPLACE TABLE u AS SELECT COUNT(*) AS n FROM t",
            _ => "CREATE OR REPLACE TABLE u (n INT, other INT)",
        };
        other.run(definition).await;
        other.run("INSERT INTO t VALUES (1)").await;
        let mut request = StatementRequest::new("SELECT COUNT(*) FROM t");
        request.arrival = Some(arrival);
        // It serves once: a second statement of the request sees what came between.
        for count in [round, round + 1] {
            let rows = answer(&session, request.clone()).await.unwrap();
            assert_eq!(rows[0][0], count.to_string());
            other.run("INSERT INTO t VALUES (1)").await;
            request.query_id = frazil_engine::new_query_id();
        }
        other.run("DELETE FROM t WHERE n = 1").await;
        for _ in 0..round {
            other.run("INSERT INTO t VALUES (1)").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_taken_while_a_request_comes_in_are_of_no_use_to_it() {
    let account = Account::open(&[
        "CREATE TABLE t (n INT)",
        "CREATE ROLE r",
        "GRANT ROLE r TO USER admin",
        "GRANT USAGE ON DATABASE d TO ROLE r",
        "GRANT USAGE ON SCHEMA d.public TO ROLE r",
    ])
    .await;
    let LoginOk { session, tokens } = login(&account.engine).await;
    let other = account.client().await;
    for statement in ["USE SECONDARY ROLES NONE", "USE ROLE r"] {
        session.execute(StatementRequest::new(statement)).await.unwrap();
    }
    for round in 0..12 {
        let (_, arrival) = account.engine.arrival(&tokens.session_token).await.unwrap();
        let statement = match round % 2 {
            0 => "GRANT SELECT ON TABLE d.public.t TO ROLE r",
            _ => "REVOKE SELECT ON TABLE d.public.t FROM ROLE r",
        };
        other.run(statement).await;
        let mut request = StatementRequest::new("SELECT COUNT(*) FROM d.public.t");
        request.arrival = Some(arrival);
        assert_eq!(answer(&session, request).await.is_ok(), round % 2 == 0, "round {round}");
    }
}
