//! Transactions of several sessions at once: locks, deadlocks, aborts, and histories in which no
//! update is lost, no read is torn and no guard is passed by two.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arrivals;
mod interrupted;
mod past;
mod repeated;
mod rules;
mod travel;
mod waiting;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use frazil_common::{Code, UserError};
use frazil_engine::{
    Credential, Engine, EngineSettings, LoginOk, LoginRequest, Session, StatementRequest, cell_text,
};

struct Account {
    engine: Arc<Engine>,
    _directory: tempfile::TempDir,
}

impl Account {
    async fn open(prepare: &[&str]) -> Account {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(directory.path()).await;
        let account = Account { engine, _directory: directory };
        let first = account.client().await;
        first.run("CREATE DATABASE d").await;
        for statement in prepare {
            first.run(statement).await;
        }
        account
    }

    async fn client(&self) -> Client {
        Client { session: login(&self.engine).await.session }
    }
}

async fn open(folder: &Path) -> Arc<Engine> {
    let mut settings = EngineSettings::new(folder);
    settings.threads = Some(2);
    settings.bootstrap_password = Some("a long password".to_string());
    Engine::open(settings).await.unwrap().0
}

async fn login(engine: &Engine) -> LoginOk {
    let request = LoginRequest::new("admin", Credential::Embedded);
    let done = engine.login(request).await.unwrap();
    // The first one comes before the schema.
    let _ = answer(&done.session, StatementRequest::new("USE SCHEMA d.public")).await;
    done
}

async fn answer(
    session: &Arc<Session>,
    request: StatementRequest,
) -> Result<Vec<Vec<String>>, UserError> {
    let result = session.execute(request).await?;
    let mut rows = Vec::new();
    for batch in result.rows.read_all()? {
        for row in 0..batch.num_rows() {
            let cells = result.columns.iter().zip(batch.columns());
            let cells = cells.map(|(column, array)| cell_text(column, array, row));
            rows.push(cells.map(Option::unwrap_or_default).collect());
        }
    }
    Ok(rows)
}

#[derive(Clone)]
struct Client {
    session: Arc<Session>,
}

impl Client {
    async fn try_run(&self, text: &str) -> Result<Vec<Vec<String>>, UserError> {
        answer(&self.session, StatementRequest::new(text)).await
    }

    async fn run(&self, text: &str) -> Vec<Vec<String>> {
        self.try_run(text).await.unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    async fn cell(&self, text: &str) -> String {
        self.run(text).await[0][0].clone()
    }

    /// Waits until a statement of this session stands in the queue for a lock.
    async fn waits(&self) {
        loop {
            self.run("SHOW LOCKS").await;
            let waiting = "SELECT COUNT(*) FROM TABLE(RESULT_SCAN(LAST_QUERY_ID())) WHERE \"status\" = 'WAITING'";
            if self.cell(waiting).await != "0" {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_waits_for_the_transaction_that_changed_the_table() {
    let account = Account::open(&["CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)"]).await;
    let (one, two, watcher) =
        (account.client().await, account.client().await, account.client().await);
    one.run("BEGIN NAME first").await;
    one.run("UPDATE t SET n = n + 1").await;
    watcher.run("SHOW TRANSACTIONS").await;
    let name = "SELECT \"name\" FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))";
    assert_eq!(watcher.cell(name).await, "FIRST");
    // Without patience the statement fails and says who is in the way.
    two.run("ALTER SESSION SET LOCK_TIMEOUT = 0").await;
    let error = two.try_run("DELETE FROM t").await.unwrap_err();
    assert_eq!(error.code, Code::LockTimeout);
    assert!(error.message.contains("has locked table"), "{}", error.message);
    // INSERT does not wait.
    two.run("INSERT INTO t VALUES (10)").await;
    two.run("ALTER SESSION UNSET LOCK_TIMEOUT").await;
    let second = tokio::spawn({
        let two = two.clone();
        async move { two.run("UPDATE t SET n = n + 100").await }
    });
    watcher.waits().await;
    one.run("COMMIT").await;
    second.await.unwrap();
    // The second update saw what the first one committed.
    assert_eq!(
        watcher.cell("SELECT LISTAGG(n, ',') WITHIN GROUP (ORDER BY n) FROM t").await,
        "102,110"
    );
    watcher.run("SHOW LOCKS").await;
    assert_eq!(watcher.cell("SELECT COUNT(*) FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_ends_one_statement_and_no_transaction() {
    let prepare = [
        "CREATE TABLE a (n INT)",
        "INSERT INTO a VALUES (0)",
        "CREATE TABLE b (n INT)",
        "INSERT INTO b VALUES (0)",
    ];
    let account = Account::open(&prepare).await;
    let (one, two, watcher) =
        (account.client().await, account.client().await, account.client().await);
    one.run("BEGIN").await;
    two.run("BEGIN").await;
    one.run("UPDATE a SET n = n + 1").await;
    two.run("UPDATE b SET n = n + 10").await;
    let waiting = tokio::spawn({
        let one = one.clone();
        async move { one.run("UPDATE b SET n = n + 1").await }
    });
    watcher.waits().await;
    let error = two.try_run("UPDATE a SET n = n + 10").await.unwrap_err();
    assert!(error.message.contains("deadlock"), "{}", error.message);
    two.run("COMMIT").await;
    waiting.await.unwrap();
    one.run("COMMIT").await;
    assert_eq!(watcher.run("SELECT a.n, b.n FROM a, b").await, [["1", "11"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_can_be_aborted_from_outside() {
    let account = Account::open(&["CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)"]).await;
    let (one, two) = (account.client().await, account.client().await);
    one.run("BEGIN").await;
    one.run("UPDATE t SET n = 2").await;
    let id = one.cell("SELECT CURRENT_TRANSACTION()").await;
    let answer = two.cell(&format!("SELECT SYSTEM$ABORT_TRANSACTION({id})")).await;
    assert_eq!(answer, format!("Aborted transaction id: {id}"));
    two.run("ALTER SESSION SET LOCK_TIMEOUT = 0").await;
    two.run("UPDATE t SET n = n + 10").await;
    // What comes next was meant as a part of the transaction.
    for statement in ["INSERT INTO t VALUES (5)", "SELECT 1", "COMMIT"] {
        let error = one.try_run(statement).await.unwrap_err();
        assert_eq!(error.code, Code::TransactionConflict, "{statement}: {}", error.message);
    }
    one.run("INSERT INTO t VALUES (7)").await;
    assert_eq!(two.run("SELECT n FROM t ORDER BY n").await, [["7"], ["11"]]);
    let error = two.try_run("SELECT SYSTEM$ABORT_TRANSACTION(1)").await.unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_described_after_their_end() {
    let account = Account::open(&["CREATE TABLE t (n INT)"]).await;
    let (one, two) = (account.client().await, account.client().await);
    let mut last = String::new();
    for (end, state) in [("COMMIT", "committed"), ("ROLLBACK", "rolled back"), ("", "committed")] {
        one.run("BEGIN NAME batch").await;
        one.run("INSERT INTO t VALUES (1)").await;
        let id = one.cell("SELECT CURRENT_TRANSACTION()").await;
        assert_eq!(one.cell("SELECT LAST_TRANSACTION()").await, last);
        let describe = format!("DESCRIBE TRANSACTION {id}");
        let running = one.run(&describe).await;
        let session = one.cell("SELECT CURRENT_SESSION()").await;
        assert_eq!(running[0][..4], [&id, "ADMIN", &session, "BATCH"]);
        assert_eq!(running[0][5..], ["running", ""]);
        // DDL commits.
        one.run(if end.is_empty() { "CREATE TABLE u (n INT)" } else { end }).await;
        let ended = two.run(&describe).await;
        assert_eq!(ended[0][..5], running[0][..5]);
        assert_eq!(ended[0][5], state, "{end}");
        assert!(ended[0][6] >= ended[0][4]);
        assert_eq!(one.cell("SELECT LAST_TRANSACTION()").await, id);
        last = id;
    }
    assert_eq!(two.cell("SELECT LAST_TRANSACTION()").await, "");
    for statement in ["CREATE USER eve PASSWORD = 'a long password'", "CREATE ROLE eve"] {
        two.run(statement).await;
    }
    let mut request = LoginRequest::new("eve", Credential::Password("a long password".into()));
    request.role = Some("PUBLIC".into());
    let eve = Client { session: account.engine.login(request).await.unwrap().session };
    let error = eve.try_run(&format!("DESCRIBE TRANSACTION {last}")).await.unwrap_err();
    assert_eq!(error.code, Code::ObjectNotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_waits_for_a_lock_can_be_aborted_as_a_transaction() {
    let account = Account::open(&["CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)"]).await;
    let (holder, waiter, other) =
        (account.client().await, account.client().await, account.client().await);
    holder.run("BEGIN").await;
    holder.run("UPDATE t SET n = 2").await;
    let waiting = {
        let waiter = waiter.clone();
        tokio::spawn(async move { waiter.try_run("UPDATE t SET n = 3").await })
    };
    other.waits().await;
    let id = "SELECT \"transaction\" FROM TABLE(RESULT_SCAN(LAST_QUERY_ID(-2))) \
              WHERE \"status\" = 'WAITING'";
    let id = other.cell(id).await;
    other.run(&format!("SELECT SYSTEM$ABORT_TRANSACTION({id})")).await;
    assert_eq!(waiting.await.unwrap().unwrap_err().code, Code::Cancelled);
    holder.run("COMMIT").await;
    assert_eq!(other.cell("SELECT n FROM t").await, "2");
}

/// A transaction's rows lie in the form that the table had when they were written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_that_is_widened_meanwhile_ends_a_transaction_in_its_words() {
    let account = Account::open(&["CREATE TABLE t (n NUMBER(10, 0))"]).await;
    let (one, two) = (account.client().await, account.client().await);
    one.run("BEGIN").await;
    one.run("INSERT INTO t VALUES (1)").await;
    two.run("ALTER TABLE t ALTER COLUMN n SET DATA TYPE NUMBER(20, 0)").await;
    for statement in ["INSERT INTO t VALUES (2)", "COMMIT"] {
        let error = one.try_run(statement).await.unwrap_err();
        assert_eq!(error.code, Code::TransactionConflict, "{statement}: {}", error.message);
    }
    assert!(two.run("SELECT n FROM t").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_that_make_the_same_object_at_once_do_not_mind() {
    let account = Account::open(&[]).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(account.client().await);
    }
    for (made, dropped) in [
        ("TABLE IF NOT EXISTS d.public.o (a INT)", "TABLE d.public.o"),
        ("VIEW IF NOT EXISTS d.public.v AS SELECT 1 AS a", "VIEW d.public.v"),
        ("SCHEMA IF NOT EXISTS d.o", "SCHEMA d.o"),
        ("STAGE IF NOT EXISTS d.public.o", "STAGE d.public.o"),
        ("ROLE IF NOT EXISTS o", "ROLE o"),
    ] {
        for _ in 0..5 {
            let made = format!("CREATE {made}");
            let all = clients.iter().map(|client| client.try_run(&made));
            for answer in futures::future::join_all(all).await {
                assert!(answer.is_ok(), "{made}: {answer:?}");
            }
            clients[0].run(&format!("DROP {dropped}")).await;
        }
    }
}

/// INSERT waits for nobody, so that files come between two statements of a transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_changes_rows_that_came_after_its_first_change() {
    let account = Account::open(&[
        "CREATE TABLE d.public.t AS SELECT SEQ4() AS id, 0 AS v FROM TABLE(GENERATOR(ROWCOUNT => 1000))",
    ])
    .await;
    let (one, other) = (account.client().await, account.client().await);
    for (round, second) in [
        "UPDATE d.public.t SET v = v + 1 WHERE id >= 100001 AND id < 100011",
        "DELETE FROM d.public.t WHERE id >= 200001 AND id < 200011",
    ]
    .into_iter()
    .enumerate()
    {
        one.run("BEGIN").await;
        one.run("UPDATE d.public.t SET v = 1 WHERE id = 5").await;
        other
            .run(&format!(
                "INSERT INTO d.public.t SELECT {} + SEQ4(), 0 FROM TABLE(GENERATOR(ROWCOUNT => 1000))",
                (round + 1) * 100_000
            ))
            .await;
        one.run(second).await;
        one.run("COMMIT").await;
    }
    let found = other.run("SELECT COUNT(*), SUM(v) FROM d.public.t").await;
    assert_eq!(found, [["2990", "11"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_can_abort_the_transaction() {
    let account = Account::open(&["CREATE TABLE t (n INT)"]).await;
    let one = account.client().await;
    one.run("BEGIN").await;
    one.run("INSERT INTO t VALUES (1)").await;
    one.try_run("INSERT INTO t VALUES (1 / 0)").await.unwrap_err();
    one.run("COMMIT").await;
    assert_eq!(one.cell("SELECT COUNT(*) FROM t").await, "1");
    one.run("ALTER SESSION SET TRANSACTION_ABORT_ON_ERROR = TRUE").await;
    one.run("BEGIN").await;
    one.run("INSERT INTO t VALUES (2)").await;
    one.try_run("INSERT INTO t VALUES (1 / 0)").await.unwrap_err();
    for statement in ["INSERT INTO t VALUES (3)", "SELECT 1", "BEGIN", "CREATE TABLE u (n INT)"] {
        let error = one.try_run(statement).await.unwrap_err();
        assert!(error.message.contains("aborted by an earlier error"), "{statement}: {error}");
    }
    one.run("COMMIT").await;
    assert_eq!(one.cell("SELECT COUNT(*) FROM t").await, "1");
    // What fails before it runs counts too.
    for wrong in ["INSRT INTO t VALUES (2)", "SELECT 1; SELECT 2", "EXECUTE IMMEDIATE 'selec'"] {
        one.run("BEGIN").await;
        one.run("INSERT INTO t VALUES (2)").await;
        one.try_run(wrong).await.unwrap_err();
        one.run("COMMIT").await;
        assert_eq!(one.cell("SELECT COUNT(*) FROM t").await, "1", "{wrong}");
    }
    one.run("INSERT INTO t VALUES (4)").await;
    assert_eq!(one.cell("SELECT COUNT(*) FROM t").await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_transaction_keeps_no_lock() {
    let account = Account::open(&["CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)"]).await;
    let (one, other) = (account.client().await, account.client().await);
    one.run("ALTER SESSION SET TRANSACTION_ABORT_ON_ERROR = TRUE").await;
    one.run("BEGIN").await;
    one.run("UPDATE t SET n = 2").await;
    one.try_run("SELECT 1 / 0").await.unwrap_err();
    // Its changes are gone, and nobody waits for it.
    other.run("ALTER SESSION SET LOCK_TIMEOUT = 1").await;
    other.run("UPDATE t SET n = n + 10").await;
    assert_eq!(other.run("SHOW LOCKS").await.len(), 0);
    one.try_run("SELECT 1").await.unwrap_err();
    one.run("ROLLBACK").await;
    assert_eq!(one.cell("SELECT n FROM t").await, "11");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_value_of_autocommit_commits_the_open_transaction() {
    let account = Account::open(&["CREATE TABLE t (n INT)"]).await;
    let (one, other) = (account.client().await, account.client().await);
    let count = "SELECT COUNT(*) FROM t";
    one.run("ALTER SESSION SET AUTOCOMMIT = FALSE").await;
    one.run("INSERT INTO t VALUES (1)").await;
    // The value that it has, and one that is none.
    one.run("ALTER SESSION SET AUTOCOMMIT = FALSE, QUERY_TAG = 'x'").await;
    let wrong = "ALTER SESSION SET AUTOCOMMIT = TRUE, TIMEZONE = 'Nowhere/None'";
    one.try_run(wrong).await.unwrap_err();
    assert_eq!(other.cell(count).await, "0");
    one.run("ALTER SESSION UNSET AUTOCOMMIT").await;
    assert_eq!(other.cell(count).await, "1");
    one.run("INSERT INTO t VALUES (2)").await;
    assert_eq!(other.cell(count).await, "2");
    one.run("BEGIN").await;
    one.run("INSERT INTO t VALUES (3)").await;
    one.run("ALTER SESSION SET AUTOCOMMIT = FALSE").await;
    one.run("ROLLBACK").await;
    assert_eq!(other.cell(count).await, "3");
    // In one request: what comes after goes by the new value.
    one.run("INSERT INTO t VALUES (4)").await;
    let mut both =
        StatementRequest::new("ALTER SESSION SET AUTOCOMMIT = TRUE; INSERT INTO t VALUES (5)");
    both.multi_statement_count = Some(2);
    one.session.execute(both).await.unwrap();
    assert_eq!(other.cell(count).await, "5");
    // A transaction that has failed is not committed behind the client's back.
    one.run("ALTER SESSION SET TRANSACTION_ABORT_ON_ERROR = TRUE").await;
    one.run("BEGIN").await;
    one.try_run("INSERT INTO t SELECT 1 / 0").await.unwrap_err();
    one.try_run("ALTER SESSION SET AUTOCOMMIT = FALSE").await.unwrap_err();
    one.run("ROLLBACK").await;
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

const WRITERS: u64 = 4;
const STEPS: u64 = 6;
const ACCOUNTS: u64 = 5;

/// What one writer was told is committed.
#[derive(Default)]
struct Acknowledged {
    transfers: Vec<(u64, u64, u64)>,
    increments: u64,
    items: Vec<(u64, String)>,
}

/// One writer's part of a history.
async fn write(client: Client, writer: u64, seed: u64) -> Acknowledged {
    let mut random = Random(seed * 1000 + writer + 1);
    let mut done = Acknowledged::default();
    for step in 0..STEPS {
        match random.below(4) {
            0 => {
                client.run("UPDATE counter SET n = n + 1").await;
                done.increments += 1;
            }
            1 => {
                let (list, item) = (random.below(2), format!("{writer}.{step}"));
                client
                    .run(&format!("UPDATE list SET items = items || '{item};' WHERE id = {list}"))
                    .await;
                done.items.push((list, item));
            }
            kind => {
                let from = random.below(ACCOUNTS);
                let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
                let amount = 1 + random.below(20);
                if kind == 2 {
                    client
                        .run(&format!(
                            "UPDATE bank SET balance = balance + CASE id WHEN {from} THEN -{amount} \
                             ELSE {amount} END WHERE id IN ({from}, {to})"
                        ))
                        .await;
                    done.transfers.push((from, to, amount));
                } else if transfer(&client, from, to, amount, random.below(3) == 0).await {
                    done.transfers.push((from, to, amount));
                }
            }
        }
    }
    done
}

/// A transfer in several statements over two tables; false where it was given up.
async fn transfer(client: &Client, from: u64, to: u64, amount: u64, backwards: bool) -> bool {
    let log = format!("UPDATE ledger SET moved = moved + {amount}");
    let take = format!("UPDATE bank SET balance = balance - {amount} WHERE id = {from}");
    let give = format!("UPDATE bank SET balance = balance + {amount} WHERE id = {to}");
    let statements = if backwards { [log, take, give] } else { [take, give, log] };
    client.run("BEGIN").await;
    for statement in &statements {
        // Two orders of locking make deadlocks.
        if let Err(error) = client.try_run(statement).await {
            assert!(error.message.contains("deadlock"), "{error}");
            client.run("ROLLBACK").await;
            return false;
        }
    }
    client.run("COMMIT").await;
    true
}

/// Reads while others write: every state seen must be one between two transactions.
async fn read(client: Client, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut lists: Vec<String> = vec![String::new(); 2];
    while !stop.load(Ordering::SeqCst) {
        let sums = client.run("SELECT COUNT(*), SUM(balance) FROM bank").await;
        assert_eq!(sums, [[ACCOUNTS.to_string(), (ACCOUNTS * 100).to_string()]], "a torn read");
        for (list, items) in
            client.run("SELECT items FROM list ORDER BY id").await.iter().enumerate()
        {
            assert!(
                items[0].starts_with(&lists[list]),
                "items vanished: {} then {}",
                lists[list],
                items[0]
            );
            lists[list].clone_from(&items[0]);
        }
    }
    lists
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn histories_lose_nothing() {
    for seed in 1..=4 {
        let account = Account::open(&[
            "CREATE TABLE bank (id INT, balance INT)",
            "INSERT INTO bank SELECT SEQ4(), 100 FROM TABLE(GENERATOR(ROWCOUNT => 5))",
            "CREATE TABLE counter (n INT)",
            "INSERT INTO counter VALUES (0)",
            "CREATE TABLE list (id INT, items VARCHAR)",
            "INSERT INTO list VALUES (0, ''), (1, '')",
            "CREATE TABLE ledger (moved INT)",
            "INSERT INTO ledger VALUES (0)",
        ])
        .await;
        let stop = Arc::new(AtomicBool::new(false));
        let reader = tokio::spawn(read(account.client().await, Arc::clone(&stop)));
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            writers.push(tokio::spawn(write(account.client().await, writer, seed)));
        }
        let mut all = Vec::new();
        for writer in writers {
            all.push(writer.await.unwrap());
        }
        stop.store(true, Ordering::SeqCst);
        reader.await.unwrap();
        let client = account.client().await;
        let increments: u64 = all.iter().map(|done| done.increments).sum();
        assert_eq!(
            client.cell("SELECT n FROM counter").await,
            increments.to_string(),
            "seed {seed}"
        );
        let mut balances = vec![100_i64; ACCOUNTS as usize];
        for (from, to, amount) in all.iter().flat_map(|done| &done.transfers) {
            balances[*from as usize] -= *amount as i64;
            balances[*to as usize] += *amount as i64;
        }
        let found = client.run("SELECT balance FROM bank ORDER BY id").await;
        let found: Vec<i64> = found.iter().map(|row| row[0].parse().unwrap()).collect();
        assert_eq!(found, balances, "seed {seed}: an update was lost");
        for (list, row) in client.run("SELECT items FROM list ORDER BY id").await.iter().enumerate()
        {
            let kept: Vec<&str> = row[0].split_terminator(';').collect();
            for done in &all {
                let own: Vec<&str> = done
                    .items
                    .iter()
                    .filter(|(at, _)| *at == list as u64)
                    .map(|(_, item)| item.as_str())
                    .collect();
                // Each writer's items are all there, once, in its order.
                let of_writer: Vec<&str> =
                    kept.iter().copied().filter(|item| own.contains(item)).collect();
                assert_eq!(of_writer, own, "seed {seed}");
            }
            let wanted: usize =
                all.iter().flat_map(|d| &d.items).filter(|(at, _)| *at == list as u64).count();
            assert_eq!(kept.len(), wanted, "seed {seed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_guard_in_the_statement_holds() {
    let account = Account::open(&[
        "CREATE TABLE duty (id INT, on_call BOOLEAN)",
        "INSERT INTO duty VALUES (0, TRUE), (1, TRUE), (2, TRUE), (3, TRUE)",
    ])
    .await;
    let mut leavers = Vec::new();
    for id in 0..4 {
        let client = account.client().await;
        leavers.push(tokio::spawn(async move {
            client
                .run(&format!(
                    "UPDATE duty SET on_call = FALSE WHERE id = {id} \
                     AND (SELECT COUNT(*) FROM duty WHERE on_call) > 1"
                ))
                .await
        }));
    }
    for leaver in leavers {
        leaver.await.unwrap();
    }
    let left = account.client().await.cell("SELECT COUNT(*) FROM duty WHERE on_call").await;
    assert_eq!(left, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_are_there_with_their_objects_and_grants_with_what_comes_back() {
    let account = Account::open(&[]).await;
    let client = account.client().await;
    for statement in [
        "CREATE ROLE maker",
        "CREATE ROLE reader",
        "GRANT ROLE maker TO USER admin",
        "GRANT USAGE, CREATE SCHEMA ON DATABASE d TO ROLE maker",
        "GRANT USAGE, CREATE TABLE ON SCHEMA d.public TO ROLE maker",
        "GRANT SELECT ON FUTURE TABLES IN SCHEMA d.public TO ROLE reader",
        "USE ROLE maker",
        "CREATE TABLE d.public.t (a INT)",
        "CREATE SCHEMA d.s",
        "CREATE TABLE d.s.u (a INT)",
        "DROP TABLE d.public.t",
        "UNDROP TABLE d.public.t",
        "DROP SCHEMA d.s",
        "UNDROP SCHEMA d.s",
    ] {
        client.run(statement).await;
    }
    for object in ["TABLE d.public.t", "SCHEMA d.s", "TABLE d.s.u"] {
        client.run(&format!("SHOW GRANTS ON {object}")).await;
        let owner = "SELECT \"grantee_name\" FROM TABLE(RESULT_SCAN(LAST_QUERY_ID())) \
                     WHERE \"privilege\" = 'OWNERSHIP'";
        assert_eq!(client.cell(owner).await, "MAKER", "{object}");
    }
    client.run("SHOW GRANTS ON TABLE d.public.t").await;
    let reader = "SELECT COUNT(*) FROM TABLE(RESULT_SCAN(LAST_QUERY_ID())) \
                  WHERE \"privilege\" = 'SELECT' AND \"grantee_name\" = 'READER'";
    assert_eq!(client.cell(reader).await, "1");
}
