//! No role learns a secret that Snowflake's rules keep from it, whichever way it asks.
//!
//! Seeded random accounts: roles, grants, masking and row access policies, tags that mask, views
//! plain and secure, clones of tables and schemas, secondary roles. Every value of the secret columns is unlike any other text of the
//! account. As every role, every path is tried on every relation; a secret that comes back in a
//! cell, a name or an error and that the model (`world.rs`) does not allow is a failure, and so is
//! one that the model allows and SELECT does not show.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../privileges/account.rs"]
mod account;
mod world;

use std::collections::BTreeSet;

use account::{Account, Answer, Client};
use frazil_engine::EndpointRows;
use world::{ROLES, Relation, SECRETS, Seen, View, World, role};

/// Seeds of every run; FRAZIL_LEAK_SEEDS tries more.
const SEEDS: u64 = 2;

/// Texts of an answer: names, cells, or the error's words.
fn texts(answer: &Answer) -> Vec<String> {
    match answer {
        Ok((names, rows)) => {
            names.iter().cloned().chain(rows.iter().flatten().flatten().cloned()).collect()
        }
        Err(error) => vec![error.message.clone()],
    }
}

/// The secrets in a text: all of them begin and end alike.
fn secrets_in(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(start) = rest.find("zq") {
        let after = &rest[start..];
        match after.find("qz") {
            Some(end) => {
                found.insert(after[..end + 2].to_string());
                rest = &after[end + 2..];
            }
            None => break,
        }
    }
    found
}

fn secrets_of(answer: &Answer) -> BTreeSet<String> {
    texts(answer).iter().flat_map(|text| secrets_in(text)).collect()
}

struct Trial<'a> {
    world: &'a World,
    worker: &'a Client,
    role: usize,
    /// The one secondary role of the session.
    secondary: Option<usize>,
    /// By table: a time at which it was there and had no rows.
    since: &'a [String],
    faults: Vec<String>,
}

impl Trial<'_> {
    /// Runs a statement whose answer may hold these secrets and no other.
    async fn ask(&mut self, sql: &str, allowed: &BTreeSet<String>) -> Answer {
        let answer = self.worker.try_run(sql).await;
        self.check(sql, &answer, allowed);
        answer
    }

    fn check(&mut self, sql: &str, answer: &Answer, allowed: &BTreeSet<String>) {
        // What the statement itself says is no news.
        let said = secrets_in(sql);
        for secret in secrets_of(answer) {
            if !allowed.contains(&secret) && !said.contains(&secret) {
                self.fault(sql, &format!("tells {secret}"));
            }
        }
    }

    fn fault(&mut self, sql: &str, what: &str) {
        self.faults.push(format!(
            "seed {} as {} with {:?}: {sql}\n  {what}",
            self.world.seed,
            role(self.role),
            self.secondary
        ));
    }

    /// Everything that can be asked of one relation.
    async fn relation(&mut self, relation: &Relation) {
        let name = format!("d.s.{}", relation.name);
        let mut paths = paths(&name, self.role);
        let since = &self.since[relation.table];
        for information in ["DEFAULT", "APPEND_ONLY"] {
            paths.push(format!(
                "SELECT * FROM {name} CHANGES (INFORMATION => {information}) AT (TIMESTAMP => \
                 '{since}'::TIMESTAMP_LTZ)"
            ));
        }
        match self.whole(relation, "d.s").await {
            None => {
                let none = BTreeSet::new();
                for sql in paths {
                    let answer = self.ask(&sql, &none).await;
                    if answer.is_ok() && reads(&sql) {
                        self.fault(&sql, "is allowed without SELECT");
                    }
                }
            }
            Some((allowed, fails)) => {
                for sql in paths {
                    let _ = self.ask(&sql, &allowed).await;
                }
                self.conditions(relation, &name, &allowed, fails).await;
            }
        }
    }

    /// All rows of a relation, or of its clone in another schema; none where SELECT is missing.
    async fn whole(
        &mut self,
        relation: &Relation,
        schema: &str,
    ) -> Option<(BTreeSet<String>, [bool; 2])> {
        let name = format!("{schema}.{}", relation.name);
        let seen = self.world.seen(self.role, self.secondary, relation);
        let Seen::Rows { secrets: allowed, rows, fails } = seen else {
            let sql = format!("SELECT * FROM {name}");
            if self.ask(&sql, &BTreeSet::new()).await.is_ok() {
                self.fault(&sql, "is allowed without SELECT");
            }
            return None;
        };
        let sql = format!("SELECT * FROM {name}");
        let answer = self.ask(&sql, &allowed).await;
        match (&answer, fails.contains(&true)) {
            (Ok((_, shown)), false) => {
                if secrets_of(&answer) != allowed || shown.len() != rows {
                    let got = (secrets_of(&answer), shown.len());
                    self.fault(&sql, &format!("shows {got:?}, expected {:?}", (&allowed, rows)));
                }
            }
            (Err(error), true) if error.message == "Error in secure object" => {}
            (answer, _) => self.fault(&sql, &format!("fails: {fails:?}, but {answer:?}")),
        }
        Some((allowed, fails))
    }

    /// A clone of the schema, made by the role itself: its tables and views keep their owners,
    /// grants and policies, also when it was dropped meanwhile.
    async fn cloned_schema(&mut self) {
        let none = BTreeSet::new();
        let schema = format!("d.copy_{}", self.role);
        let made = format!("CREATE SCHEMA {schema} CLONE d.s");
        if let Err(error) = self.ask(&made, &none).await {
            self.fault(&made, &format!("fails: {error}"));
            return;
        }
        for dropped in [false, true] {
            if dropped {
                for sql in [format!("DROP SCHEMA {schema}"), format!("UNDROP SCHEMA {schema}")] {
                    if let Err(error) = self.ask(&sql, &none).await {
                        self.fault(&sql, &format!("fails: {error}"));
                    }
                }
            }
            for relation in &self.world.relations {
                let _ = self.whole(relation, &schema).await;
            }
        }
        for relation in self.world.relations.iter().filter(|relation| relation.view.is_none()) {
            let name = format!("{schema}.{}", relation.name);
            let own = role(self.role);
            for sql in [
                format!("GRANT SELECT ON TABLE {name} TO ROLE {own}"),
                format!("GRANT OWNERSHIP ON TABLE {name} TO ROLE {own}"),
                format!("ALTER TABLE {name} DROP ALL ROW ACCESS POLICIES"),
                format!("ALTER TABLE {name} ALTER COLUMN secret UNSET MASKING POLICY"),
            ] {
                let _ = self.ask(&sql, &none).await;
            }
            let _ = self.whole(relation, &schema).await;
        }
        let ddl = format!("SELECT GET_DDL('schema', '{schema}')");
        let _ = self.ask(&ddl, &none).await;
        let _ = self.ask(&format!("DROP SCHEMA {schema}"), &none).await;
    }

    /// Conditions on single values: counts and errors tell whether one is there.
    async fn conditions(
        &mut self,
        relation: &Relation,
        name: &str,
        allowed: &BTreeSet<String>,
        fails: [bool; 2],
    ) {
        for row in [0, 3, 5, 10] {
            for (column, secret_column) in SECRETS.iter().enumerate() {
                if fails[column] {
                    continue;
                }
                let secret = self.world.secret(relation.table, row, column);
                let there = allowed.contains(&secret);
                let count =
                    format!("SELECT COUNT(*) FROM {name} WHERE {secret_column} = '{secret}'");
                match self.ask(&count, allowed).await {
                    Ok((_, rows))
                        if rows[0][0].as_deref() == Some(if there { "1" } else { "0" }) => {}
                    other => self.fault(&count, &format!("is there: {there}, but {other:?}")),
                }
                let divide = format!(
                    "SELECT COUNT(*) FROM {name} WHERE 1 / IFF({secret_column} = '{secret}', 0, 1) > 0"
                );
                match (self.ask(&divide, allowed).await, there) {
                    (Ok(_), false) => {}
                    (Err(error), true) if error.code.number() == 100_051 => {}
                    // A plain view's own condition may come after the query's.
                    (Err(_), false) if relation.view.as_ref().is_some_and(|v| !v.is_sealed()) => {}
                    (other, _) => self.fault(&divide, &format!("is there: {there}, but {other:?}")),
                }
            }
        }
        // Rows that are not seen are not told by conditions on columns that are not masked.
        let hidden = format!("SELECT COUNT(*) FROM {name} WHERE 1 / IFF(id = 11, 0, 1) > 0");
        let shown = format!("SELECT COUNT(*) FROM {name} WHERE id = 11");
        let shown = self.worker.try_run(&shown).await.map(|(_, rows)| rows[0][0].clone());
        let there = shown.as_ref().is_ok_and(|count| count.as_deref() == Some("1"));
        let sealed = relation.view.as_ref().is_none_or(View::is_sealed);
        match (self.worker.try_run(&hidden).await, there) {
            (Ok(_), false) => {}
            (Err(_), true) => {}
            // A plain view's own condition may come after the query's.
            (Err(_), false) if !sealed => {}
            (other, _) => self.fault(&hidden, &format!("is there: {there}, but {other:?}")),
        }
    }

    /// What the role learns of definitions.
    async fn definitions(&mut self) {
        let none = BTreeSet::new();
        for sql in [
            "SHOW TABLES IN SCHEMA d.s",
            "SHOW VIEWS IN SCHEMA d.s",
            "SHOW OBJECTS IN SCHEMA d.s",
            "SHOW COLUMNS IN SCHEMA d.s",
            "SHOW MASKING POLICIES IN SCHEMA d.s",
            "SHOW ROW ACCESS POLICIES IN SCHEMA d.s",
            "SHOW TAGS IN SCHEMA d.s",
            "SHOW MODELS IN SCHEMA d.s",
            "DESCRIBE ENDPOINT served",
            "DESCRIBE MODEL d.s.served",
            "SELECT GET_DDL('view', 'd.s.s0')",
            "SELECT GET_DDL('policy', 'd.s.m00')",
            "SELECT GET_DDL('schema', 'd.s', TRUE)",
            "SELECT GET_DDL('database', 'd')",
            "SELECT * FROM TABLE(d.information_schema.policy_references(policy_name => 'd.s.m00'))",
            "SELECT * FROM TABLE(d.information_schema.policy_references(policy_name => 'd.s.p0'))",
            "SELECT * FROM snowflake.account_usage.masking_policies",
            "SELECT * FROM snowflake.account_usage.row_access_policies",
            "SELECT * FROM snowflake.account_usage.policy_references",
            "SHOW GRANTS TO ROLE PUBLIC",
            "SELECT * FROM d.information_schema.tables",
            "SELECT * FROM d.information_schema.views",
            "SELECT * FROM d.information_schema.columns",
            "SELECT * FROM d.information_schema.table_privileges",
            "SELECT * FROM snowflake.account_usage.access_history",
        ] {
            let _ = self.ask(sql, &none).await;
        }
        for number in 0..self.world.tables.len() {
            for sql in [
                format!("DESCRIBE MASKING POLICY d.s.M{number}0"),
                format!("DESCRIBE MASKING POLICY d.s.M{number}1"),
                format!("DESCRIBE ROW ACCESS POLICY d.s.P{number}"),
                format!("DESCRIBE VIEW d.s.S{number}"),
            ] {
                let _ = self.ask(&sql, &none).await;
            }
            let counted = format!(
                "SELECT row_count FROM d.information_schema.tables WHERE table_name = 'T{number}'"
            );
            if let Ok((_, rows)) = self.ask(&counted, &none).await {
                let told = rows.iter().flatten().flatten().next().is_some();
                if told && self.world.tables[number].rows.is_some() {
                    self.fault(&counted, "tells the number of rows under a row access policy");
                }
            }
        }
    }

    /// The owner of a clone does not get at what the policies on it hide.
    async fn clones(&mut self, relation: &Relation) {
        let seen = self.world.seen(self.role, self.secondary, relation);
        let Seen::Rows { secrets: allowed, .. } = seen else {
            return;
        };
        let own = format!("d.s.own_{}_{}", relation.name, self.role);
        // Rows of others must not become the role's own.
        let region = role(self.role);
        for sql in [
            format!("CREATE OR REPLACE TABLE {own} CLONE d.s.{}", relation.name),
            format!("SELECT * FROM {own}"),
            format!("ALTER TABLE {own} ALTER COLUMN secret UNSET MASKING POLICY"),
            format!("ALTER TABLE {own} ALTER COLUMN note UNSET MASKING POLICY"),
            format!("ALTER TABLE {own} DROP ALL ROW ACCESS POLICIES"),
            format!("SELECT secret FROM {own}"),
            format!("SELECT note FROM {own}"),
            format!("UPDATE {own} SET region = '{region}'"),
            format!("SELECT * FROM {own}"),
            format!("DROP TABLE {own}"),
            format!("UNDROP TABLE {own}"),
            format!("SELECT * FROM {own}"),
            format!("ALTER TABLE {own} DROP ALL ROW ACCESS POLICIES"),
            format!("SELECT * FROM {own}"),
            format!("UPDATE {own} SET region = secret"),
            format!("UPDATE {own} SET num = TO_NUMBER(note)"),
            format!("SELECT region FROM {own}"),
            format!("DELETE FROM {own} WHERE TO_NUMBER(secret) > 1"),
            format!("SELECT * FROM {own} AT (OFFSET => 0)"),
            format!("DROP TABLE {own}"),
        ] {
            let _ = self.ask(&sql, &allowed).await;
        }
    }
}

/// Whether a path gives rows, which takes SELECT.
fn reads(sql: &str) -> bool {
    let words = ["SELECT", "WITH", "CREATE OR REPLACE TABLE"];
    words.iter().any(|word| sql.starts_with(word)) && !sql.contains('@')
}

/// The ways to the values of a relation.
fn paths(name: &str, number: usize) -> Vec<String> {
    let mut all: Vec<String> = [
        "SELECT secret, COUNT(*) FROM {r} GROUP BY secret",
        "SELECT note FROM {r} ORDER BY note DESC LIMIT 3",
        "SELECT MAX(secret), MIN(note) FROM {r}",
        "SELECT a.secret, b.note FROM {r} a JOIN {r} b ON a.secret = b.secret",
        "SELECT (SELECT MAX(note) FROM {r})",
        "WITH q AS (SELECT secret s FROM {r}) SELECT s FROM q WHERE EXISTS (SELECT 1 FROM {r} x WHERE x.secret = q.s)",
        "SELECT OBJECT_CONSTRUCT(*) FROM {r}",
        "SELECT LISTAGG(secret, ',') FROM {r}",
        "SELECT ROW_NUMBER() OVER (PARTITION BY secret ORDER BY note), secret FROM {r}",
        "SELECT note FROM {r} UNION SELECT secret FROM {r}",
        "SELECT secret FROM {r} AT (OFFSET => 0)",
        "SELECT * FROM {r} WHERE secret LIKE 'zq%'",
        "SELECT TO_NUMBER(secret) FROM {r}",
        "SELECT TO_DATE(note) FROM {r}",
        "SELECT PARSE_JSON(secret) FROM {r}",
        "SELECT id FROM {r} WHERE TO_NUMBER(note) > 0",
        "SELECT id FROM {r} WHERE id = 11 AND secret::INT > 0",
        "SELECT * FROM {r} SAMPLE (100)",
        "EXPLAIN SELECT secret FROM {r} WHERE note = 'x' AND id < 3",
        "DESCRIBE TABLE {r}",
        "SELECT GET_DDL('table', '{r}')",
        "SELECT * FROM TABLE(d.information_schema.policy_references(ref_entity_name => '{r}', ref_entity_domain => 'table'))",
        "CREATE OR REPLACE TABLE d.s.kept_{n} AS SELECT * FROM {r}",
        "SELECT * FROM d.s.kept_{n}",
        "CREATE OR REPLACE TABLE d.s.kept_{n} AS SELECT TO_NUMBER(secret) AS a FROM {r}",
        "COPY INTO @d.s.st/out_{n}/ FROM (SELECT secret, note FROM {r}) FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE) OVERWRITE = TRUE",
        "SELECT $1, $2 FROM @d.s.st/out_{n}/",
        "REMOVE @d.s.st/out_{n}/",
        "CREATE OR REPLACE MODEL d.s.model_{n} WITH VERSION v1 USING GBT TARGET num OPTIONS (n_estimators => 2) AS SELECT secret, note, id, num FROM {r}",
        "DESCRIBE MODEL d.s.model_{n}",
        "SHOW VERSIONS IN MODEL d.s.model_{n}",
        "SELECT d.s.model_{n}!PREDICT(*) FROM {r}",
        "SELECT * FROM TABLE(MODEL_DRIFT(MODEL => 'd.s.model_{n}', DATA => (SELECT secret, note, id, num FROM {r})))",
        "DROP MODEL IF EXISTS d.s.model_{n}",
    ]
    .iter()
    .map(|text| text.replace("{r}", name).replace("{n}", &number.to_string()))
    .collect();
    all.push("DROP TABLE IF EXISTS d.s.kept_{n}".replace("{n}", &number.to_string()));
    all
}

/// What an endpoint tells that serves a model of secrets: scores, and errors about what it was sent.
async fn endpoint(account: &Account, admin: &Client) -> Vec<String> {
    for text in [
        "CREATE MODEL d.s.served WITH VERSION v1 USING GBT TARGET num OPTIONS (n_estimators => 2) \
         AS SELECT secret, note, id, num FROM d.s.t0",
        "CREATE ENDPOINT served FROM MODEL d.s.served",
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
        let columns = columns.into_iter().map(str::to_string).collect();
        let rows = EndpointRows { columns, rows: vec![values.as_array().unwrap().clone()] };
        let reply = account.engine.invoke_endpoint("served", &token, None, rows).await;
        let text = format!("{reply:?}");
        if !secrets_in(&text).is_empty() {
            told.push(format!("the endpoint tells {text}"));
        }
    }
    told
}

async fn try_seed(seed: u64) -> Vec<String> {
    let world = World::new(seed);
    let account = Account::open().await;
    let admin = account.login("admin").await;
    for text in ["CREATE DATABASE d", "CREATE USER worker", "CREATE USER other"] {
        admin.run(text).await;
    }
    let mut since = Vec::new();
    for text in world.statements() {
        if text.starts_with("INSERT") {
            let now = admin.run("SELECT CURRENT_TIMESTAMP()::VARCHAR").await;
            since.push(now[0][0].clone().unwrap());
        }
        admin.run(&text).await;
    }
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
    let worker = account.login("worker").await;
    let other = account.login("other").await;
    let mut faults = endpoint(&account, &admin).await;
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
        // A secondary role brings its grants, and not what policies show it.
        let secondary = (number + 1) % ROLES;
        worker.run(&format!("USE SECONDARY ROLES {}", role(secondary))).await;
        trial.secondary = Some(secondary);
        for relation in &world.relations {
            let _ = trial.whole(relation, "d.s").await;
        }
        worker.run("USE SECONDARY ROLES NONE").await;
        trial.secondary = None;
        for relation in &world.relations {
            let _ = trial.whole(relation, "d.s").await;
        }
        // A result is its user's alone, whatever the roles.
        worker.run("SELECT 'zq' || 'resultqz' AS a").await;
        let id = worker.run("SELECT LAST_QUERY_ID()").await[0][0].clone().unwrap();
        let scan = format!("SELECT * FROM TABLE(RESULT_SCAN('{id}'))");
        match other.try_run(&scan).await {
            Err(_) => {}
            Ok(rows) => trial.fault(&scan, &format!("of another user gives {rows:?}")),
        }
        if worker.try_run(&scan).await.is_err() {
            trial.fault(&scan, "fails for its own user");
        }
        faults.extend(trial.faults);
    }
    faults
}

/// As the server's threads have: a statement's frames are large in this build.
const STACK_BYTES: usize = 16 << 20;

#[test]
fn no_role_learns_what_is_kept_from_it() {
    let seeds = std::env::var("FRAZIL_LEAK_SEEDS").ok().and_then(|text| text.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .unwrap();
    let mut faults = Vec::new();
    for seed in 1..=seeds.unwrap_or(SEEDS) {
        faults.extend(runtime.block_on(async { tokio::spawn(try_seed(seed)).await.unwrap() }));
    }
    assert!(faults.is_empty(), "{} leaks:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn secrets_are_found_in_texts() {
    let found = secrets_in("value 'zq1t0r1c0qz' and zq1t0r2c0qz, but zq alone");
    assert_eq!(found.len(), 2);
}
