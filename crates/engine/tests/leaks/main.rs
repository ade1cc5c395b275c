//! No role learns a secret that Snowflake's rules keep from it, whichever way it asks.
//!
//! Seeded random accounts: roles, grants by every way, masking and row access policies, tags that
//! mask, views plain and secure, clones of tables and schemas, secondary roles. Every value of the
//! secret columns is unlike any other text of the account. As every role, ways are tried on every
//! relation; a secret that comes back in a cell, a name or an error and that the model (`world.rs`)
//! does not allow is a failure, and so is a row, a value or a count that the model has not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../privileges/account.rs"]
mod account;
mod grants;
mod paths;
mod trial;
mod world;

use account::{Account, Client};
use frazil_engine::EndpointRows;
use rand::SeedableRng;
use rand::rngs::StdRng;
use trial::{Trial, secrets_in};
use world::{ROLES, World, role};

/// Seeds of every run; FRAZIL_LEAK_SEEDS tries more, from FRAZIL_LEAK_FIRST on.
const SEEDS: u64 = 2;

/// What an endpoint tells that serves a model of secrets: scores, and errors about what it was sent.
async fn endpoint(account: &Account, admin: &Client) -> Vec<String> {
    for text in [
        "CREATE MODEL d.s.served WITH VERSION v1 USING GBT TARGET num OPTIONS (n_estimators => 2) \
         AS SELECT 'zqmodelqz' || id AS secret, 'zqmodelqz' AS note, id, num FROM d.s.t0",
        "CREATE MODEL d.s.shared WITH VERSION v1 USING GBT TARGET num OPTIONS (n_estimators => 2) \
         AS SELECT 'zqmodelqz' || id AS secret, 'zqmodelqz' AS note, id, num FROM d.s.t0",
        "GRANT USAGE ON MODEL d.s.shared TO ROLE PUBLIC",
        "CREATE ENDPOINT served FROM MODEL d.s.served",
        "CREATE ENDPOINT closed FROM MODEL d.s.served",
        "GRANT USAGE ON ENDPOINT served TO ROLE PUBLIC",
    ] {
        admin.run(text).await;
    }
    let made = admin.run("ALTER USER worker ADD PROGRAMMATIC ACCESS TOKEN t").await;
    let token = made[0][1].clone().unwrap();
    let mut told = Vec::new();
    for (columns, values) in [
        (vec!["SECRET", "NOTE", "ID"], serde_json::json!(["x", "y", 1])),
        (vec!["SECRET", "NOTE", "ID"], serde_json::json!(["x", "y", "no number"])),
        (vec!["SECRET", "NOTE", "ID"], serde_json::json!([null, null, null])),
        (vec!["SECRET"], serde_json::json!([1])),
        (vec!["OTHER", "NOTE", "ID"], serde_json::json!(["x", "y", 1])),
    ] {
        let columns: Vec<String> = columns.into_iter().map(str::to_string).collect();
        for name in ["served", "closed"] {
            let rows = vec![values.as_array().unwrap().clone()];
            let rows = EndpointRows { columns: columns.clone(), rows };
            let reply = account.engine.invoke_endpoint(name, &token, None, rows).await;
            let text = format!("{reply:?}");
            if !secrets_in(&text).is_empty() {
                told.push(format!("the endpoint tells {text}"));
            }
            if name == "closed" && reply.is_ok() {
                told.push("an endpoint answers without USAGE".to_string());
            }
        }
    }
    told
}

async fn try_seed(seed: u64) -> Vec<String> {
    let world = World::new(seed);
    let account = Account::open().await;
    let admin = account.login("admin").await;
    for text in [
        "CREATE DATABASE w",
        "GRANT MONITOR ON DATABASE w TO ROLE PUBLIC",
        "CREATE DATABASE d",
        "CREATE USER worker DEFAULT_SECONDARY_ROLES = ()",
        "CREATE USER other DEFAULT_SECONDARY_ROLES = ()",
    ] {
        admin.run(text).await;
    }
    admin.run("GRANT CREATE DATABASE ON ACCOUNT TO ROLE PUBLIC").await;
    let mut since = Vec::new();
    for text in world.statements() {
        if text.starts_with("INSERT INTO d.s.T") {
            let now = admin.run("SELECT CURRENT_TIMESTAMP()::VARCHAR").await;
            since.push(now[0][0].clone().unwrap());
        }
        admin.run(&text).await;
    }
    let mut faults = grants::foreign(&world, &admin).await;
    // The path is one: who sees all is shown all.
    let changed = format!(
        "SELECT COUNT(*) > 0 FROM d.s.t0 CHANGES (INFORMATION => DEFAULT) AT (TIMESTAMP => \
         '{}'::TIMESTAMP_LTZ)",
        since[0]
    );
    assert_eq!(
        admin.run(&changed).await[0][0].as_deref().map(str::to_uppercase),
        Some("TRUE".into())
    );
    // What nobody but the administrator holds anything on.
    for text in [
        "CREATE STAGE d.s.hidden",
        "COPY INTO @d.s.hidden/t0/data.csv FROM (SELECT 'zqstageqz') FILE_FORMAT = (TYPE = CSV \
         COMPRESSION = NONE) SINGLE = TRUE",
        "CREATE FILE FORMAT d.s.lines TYPE = CSV",
        "GRANT USAGE ON FILE FORMAT d.s.lines TO ROLE PUBLIC",
        "CREATE SEQUENCE d.s.counts COMMENT = 'zqsequenceqz'",
    ] {
        admin.run(text).await;
    }
    let worker = account.login("worker").await;
    let other = account.login("other").await;
    faults.extend(endpoint(&account, &admin).await);
    for number in 0..ROLES {
        for client in [&worker, &other] {
            client.run("USE SECONDARY ROLES NONE").await;
            client.run(&format!("USE ROLE {}", role(number))).await;
        }
        let mut trial = Trial {
            world: &world,
            worker: &worker,
            role: number,
            secondary: None,
            since: &since,
            random: StdRng::seed_from_u64(seed * ROLES as u64 + number as u64),
            faults: Vec::new(),
        };
        trial.definitions().await;
        for relation in &world.relations {
            trial.relation(relation).await;
            if relation.view.is_none() {
                trial.clones(relation).await;
            }
        }
        trial.cloned_schema().await;
        if seed % ROLES as u64 == number as u64 {
            trial.cloned_database().await;
        }
        // A secondary role brings its grants, and not what policies show it.
        let secondary = (number + 1) % ROLES;
        worker.run(&format!("USE SECONDARY ROLES {}", role(secondary))).await;
        trial.secondary = Some(secondary);
        trial.all("d.s").await;
        worker.run("USE SECONDARY ROLES NONE").await;
        trial.secondary = None;
        trial.all("d.s").await;
        // A result is its user's alone, whatever the roles.
        worker.run("SELECT 'zq' || 'resultqz' AS a").await;
        let id = worker.run("SELECT LAST_QUERY_ID()").await[0][0].clone().unwrap();
        for scan in [
            format!("SELECT * FROM TABLE(RESULT_SCAN('{id}'))"),
            format!("DESCRIBE RESULT '{id}'"),
            format!("SELECT * FROM TABLE(GET_QUERY_OPERATOR_STATS('{id}'))"),
        ] {
            match other.try_run(&scan).await {
                Err(_) => {}
                Ok(rows) => trial.fault(&scan, &format!("of another user gives {rows:?}")),
            }
            if worker.try_run(&scan).await.is_err() {
                trial.fault(&scan, "fails for its own user");
            }
        }
        grants::reached(&mut trial).await;
        grants::managed(&mut trial, &admin, &other).await;
        grants::revoked(&mut trial, &admin).await;
        faults.extend(trial.faults);
    }
    faults.extend(grants::moved(&world, &admin, &worker, &since).await);
    faults.extend(grants::disabled(&world, &account, &admin, &worker).await);
    faults
}

/// As the server's threads have: a statement's frames are large in this build.
const STACK_BYTES: usize = 16 << 20;

#[test]
fn no_role_learns_what_is_kept_from_it() {
    let given = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .unwrap();
    let first = given("FRAZIL_LEAK_FIRST").unwrap_or(1);
    let mut faults = Vec::new();
    for seed in first..first + given("FRAZIL_LEAK_SEEDS").unwrap_or(SEEDS) {
        faults.extend(runtime.block_on(async { tokio::spawn(try_seed(seed)).await.unwrap() }));
    }
    assert!(faults.is_empty(), "{} leaks:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn secrets_are_found_in_texts() {
    let found = secrets_in("value 'zq1t0r1c0qz' and zq1t0r2c0qz, but zq alone");
    assert_eq!(found.len(), 2);
}
