//! What stands in for another object, role or session gets no more than its own rights.

use frazil_common::Code;
use frazil_engine::{Credential, LoginRequest};

use crate::account::{Account, Client};

/// A user with these roles, and a session of it.
pub async fn user(account: &Account, admin: &Client, name: &str, roles: &[&str]) -> Client {
    let alone = "DEFAULT_SECONDARY_ROLES = ()";
    admin.run(&format!("CREATE USER {name} DEFAULT_ROLE = {} {alone}", roles[0])).await;
    for role in roles {
        admin.run(&format!("GRANT ROLE {role} TO USER {name}")).await;
    }
    account.login(name).await
}

pub async fn all(client: &Client, statements: &[&str]) {
    for statement in statements {
        client.run(statement).await;
    }
}

pub async fn code(client: &Client, text: &str) -> Option<u32> {
    client.try_run(text).await.err().map(|error| error.code.number())
}

/// Lets a role into database `d` and its schemas.
pub async fn lets_in(admin: &Client, role: &str) {
    admin.run(&format!("GRANT USAGE ON DATABASE d TO ROLE {role}")).await;
    admin.run(&format!("GRANT USAGE ON ALL SCHEMAS IN DATABASE d TO ROLE {role}")).await;
}

pub async fn value(client: &Client, text: &str) -> String {
    client.run(text).await[0][0].clone().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temporary_tables_do_not_replace_what_policies_and_views_read() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE DATABASE d",
            "CREATE SCHEMA d.s",
            "CREATE ROLE low",
            "CREATE TABLE d.s.t AS SELECT * FROM VALUES ('a', 1), ('b', 2) AS v(g, n)",
            "CREATE TABLE d.s.map AS SELECT 'a' AS g, 'LOW' AS r",
            "CREATE ROW ACCESS POLICY d.s.rp AS (arg VARCHAR) RETURNS BOOLEAN -> \
             EXISTS (SELECT 1 FROM d.s.map m WHERE m.g = arg AND m.r = CURRENT_ROLE())",
            "ALTER TABLE d.s.t ADD ROW ACCESS POLICY d.s.rp ON (g)",
            "CREATE SECURE VIEW d.s.v AS SELECT g FROM d.s.map",
            "GRANT SELECT ON TABLE d.s.t TO ROLE low",
            "GRANT SELECT ON VIEW d.s.v TO ROLE low",
        ],
    )
    .await;
    lets_in(&admin, "low").await;
    let low = user(&account, &admin, "eve", &["LOW"]).await;
    let count = "SELECT COUNT(*) FROM d.s.t";
    assert_eq!(value(&low, count).await, "1");
    low.run("CREATE TEMPORARY TABLE d.s.map AS SELECT 'b' AS g, 'LOW' AS r").await;
    assert_eq!(value(&low, "SELECT g FROM d.s.map").await, "b");
    assert_eq!(value(&low, count).await, "1");
    assert_eq!(value(&low, "SELECT MIN(n) FROM d.s.t").await, "1");
    assert_eq!(value(&low, "SELECT g FROM d.s.v").await, "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_one_role_has_that_role_alone() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE ROLE narrow",
            "CREATE ROLE wide",
            "CREATE DATABASE d",
            "CREATE TABLE d.public.secret AS SELECT 42 AS n",
            "GRANT ALL ON DATABASE d TO ROLE wide",
            "GRANT ALL ON SCHEMA d.public TO ROLE wide",
            "GRANT ALL ON TABLE d.public.secret TO ROLE wide",
            "CREATE USER u DEFAULT_ROLE = narrow DEFAULT_SECONDARY_ROLES = ('ALL')",
            "GRANT ROLE narrow TO USER u",
            "GRANT ROLE wide TO USER u",
        ],
    )
    .await;
    let own = account.login("U").await;
    assert_eq!(value(&own, "SELECT n FROM d.public.secret").await, "42");
    let id = value(&own, "SELECT LAST_QUERY_ID()").await;
    let made =
        admin.run("ALTER USER u ADD PROGRAMMATIC ACCESS TOKEN t ROLE_RESTRICTION = 'NARROW'").await;
    let held = account.login_with("U", Credential::AccessToken(made[0][1].clone().unwrap())).await;
    assert_eq!(code(&held, "SELECT n FROM d.public.secret").await, Some(2003));
    let _ = held.try_run("USE SECONDARY ROLES ALL").await;
    assert_eq!(code(&held, "SELECT n FROM d.public.secret").await, Some(2003));
    // Nor does it read what another role of its user was shown.
    let again = format!("SELECT * FROM TABLE(RESULT_SCAN('{id}'))");
    assert!(held.try_run(&again).await.is_err());
    assert_eq!(value(&own, &again).await, "42");
    // Nor the words of errors, which may quote it.
    admin.run("GRANT USAGE ON DATABASE d TO ROLE narrow").await;
    assert!(own.try_run("SELECT ('word' || n)::INT FROM d.public.secret").await.is_err());
    assert!(held.try_run("SELECT 'own' || 'word'::INT").await.is_err());
    let words = |range: &str| {
        format!(
            "SELECT COUNT_IF(ERROR_MESSAGE LIKE '%word%') || ' of ' || COUNT(ERROR_CODE) FROM \
             TABLE(d.INFORMATION_SCHEMA.QUERY_HISTORY({range})) WHERE QUERY_TEXT LIKE '%::INT%'"
        )
    };
    for range in ["", "END_TIME_RANGE_END => CURRENT_TIMESTAMP()"] {
        let words = words(range);
        assert_eq!(value(&own, &words).await, "2 of 2", "{range}");
        assert_eq!(value(&held, &words).await, "1 of 2", "{range}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_one_role_is_not_one_of_another_that_is_given_its_name() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    let anew = ["CREATE ROLE narrow", "GRANT ROLE narrow TO USER u"];
    all(&admin, &["CREATE USER u", anew[0], anew[1]]).await;
    let add = "ALTER USER u ADD PROGRAMMATIC ACCESS TOKEN";
    for (end, renamed) in [("DROP ROLE narrow", false), ("ALTER ROLE narrow RENAME TO other", true)]
    {
        let made = admin.run(&format!("{add} t ROLE_RESTRICTION = 'NARROW'")).await;
        let secret = || Credential::AccessToken(made[0][1].clone().unwrap());
        let open = account.login_with("U", secret()).await;
        assert_eq!(value(&open, "SELECT 'of ' || CURRENT_ROLE()").await, "of NARROW");
        let id = value(&open, "SELECT LAST_QUERY_ID()").await;
        all(&admin, &[end, anew[0], anew[1]]).await;
        assert!(account.engine.session_by_token(open.token()).await.is_err(), "{end}");
        assert!(!account.engine.session_is_open(open.session_id()).await.unwrap(), "{end}");
        let again = account.engine.login(LoginRequest::new("U", secret())).await;
        match renamed {
            // The token goes with the role it is held to.
            true => assert_eq!(Client::of(again.unwrap()).role(), "OTHER"),
            false => assert!(again.is_err()),
        }
        // Nor does a token of the new role read what that of the old one was shown.
        let made = admin.run(&format!("{add} fresh ROLE_RESTRICTION = 'NARROW'")).await;
        let fresh = Credential::AccessToken(made[0][1].clone().unwrap());
        let fresh = account.login_with("U", fresh).await;
        assert!(fresh.try_run(&format!("SELECT * FROM TABLE(RESULT_SCAN('{id}'))")).await.is_err());
        for token in ["t", "fresh"] {
            admin.run(&format!("ALTER USER u REMOVE PROGRAMMATIC ACCESS TOKEN {token}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_was_taken_away_gives_nothing_to_open_sessions() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE ROLE high",
            "CREATE DATABASE d",
            "CREATE TABLE d.public.t AS SELECT 1 AS n",
            "GRANT SELECT ON TABLE d.public.t TO ROLE high",
        ],
    )
    .await;
    lets_in(&admin, "high").await;
    let open = user(&account, &admin, "u", &["HIGH"]).await;
    let read = "SELECT n FROM d.public.t";
    assert_eq!(value(&open, read).await, "1");
    admin.run("REVOKE ROLE high FROM USER u").await;
    assert_eq!(code(&open, read).await, Some(2003));
    admin.run("GRANT ROLE high TO USER u").await;
    assert_eq!(value(&open, read).await, "1");
    // Another role of the name is another role.
    all(
        &admin,
        &["DROP ROLE high", "CREATE ROLE high", "GRANT SELECT ON TABLE d.public.t TO ROLE high"],
    )
    .await;
    lets_in(&admin, "high").await;
    assert_eq!(code(&open, read).await, Some(2003));
    // A disabled user's sessions end for good.
    admin.run("GRANT ROLE high TO USER u").await;
    assert_eq!(value(&open, read).await, "1");
    admin.run("ALTER USER u SET DISABLED = TRUE").await;
    admin.run("ALTER USER u SET DISABLED = FALSE").await;
    assert!(account.engine.session_by_token(open.token()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moves_keeps_its_masks_and_leaves_database_roles_behind() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE DATABASE d",
            "CREATE SCHEMA d.s",
            "CREATE SCHEMA d.w",
            "CREATE DATABASE e",
            "CREATE SCHEMA e.s",
            "CREATE ROLE low",
            "CREATE MASKING POLICY d.s.hide AS (v VARCHAR) RETURNS VARCHAR -> '***'",
            "CREATE TAG d.s.tg",
            "ALTER TAG d.s.tg SET MASKING POLICY d.s.hide",
            "ALTER SCHEMA d.s SET TAG d.s.tg = 'x'",
            "GRANT USAGE ON DATABASE e TO ROLE low",
            "GRANT USAGE, CREATE TABLE, CREATE VIEW ON ALL SCHEMAS IN DATABASE d TO ROLE low",
            "GRANT USAGE, CREATE TABLE ON SCHEMA e.s TO ROLE low",
            "CREATE DATABASE ROLE d.dr",
            "GRANT DATABASE ROLE d.dr TO ROLE low",
        ],
    )
    .await;
    lets_in(&admin, "low").await;
    for table in ["t", "u", "moved"] {
        admin.run(&format!("CREATE TABLE d.s.{table} AS SELECT 'secret' AS v")).await;
        admin.run(&format!("GRANT SELECT ON TABLE d.s.{table} TO DATABASE ROLE d.dr")).await;
        admin
            .run(&format!("GRANT OWNERSHIP ON TABLE d.s.{table} TO ROLE low COPY CURRENT GRANTS"))
            .await;
    }
    let low = user(&account, &admin, "u", &["LOW"]).await;
    assert_eq!(value(&low, "SELECT v FROM d.s.t").await, "***");
    low.run("ALTER TABLE d.s.t RENAME TO d.w.t").await;
    assert_eq!(value(&low, "SELECT v FROM d.w.t").await, "***");
    low.run("CREATE TABLE d.w.x AS SELECT 'plain' AS v").await;
    low.run("ALTER TABLE d.w.x SWAP WITH d.s.u").await;
    assert_eq!(value(&low, "SELECT v FROM d.w.x").await, "***");

    low.run("ALTER TABLE d.s.moved RENAME TO e.s.moved").await;
    low.run("CREATE TABLE e.s.copied CLONE d.w.t COPY GRANTS").await;
    admin.run("CREATE SCHEMA e.cloned CLONE d.s").await;
    admin.run("GRANT OWNERSHIP ON TABLE e.s.moved TO ROLE ACCOUNTADMIN COPY CURRENT GRANTS").await;
    for table in ["e.s.moved", "e.s.copied", "e.cloned.u", "d.w.t"] {
        let grants = admin.run(&format!("SHOW GRANTS ON TABLE {table}")).await;
        let to_dr =
            grants.iter().any(|row| row.iter().flatten().any(|cell| cell == "DATABASE_ROLE"));
        assert_eq!(to_dr, table == "d.w.t", "{table}: {grants:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn constraints_look_at_rows_that_a_policy_holds_back() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE DATABASE d",
            "CREATE ROLE low",
            "CREATE TABLE d.public.t AS SELECT * FROM VALUES (1, 'a'), (2, NULL) AS v(n, v)",
            "CREATE ROW ACCESS POLICY d.public.rp AS (n INT) RETURNS BOOLEAN -> n = 1",
            "ALTER TABLE d.public.t ADD ROW ACCESS POLICY d.public.rp ON (n)",
            "GRANT OWNERSHIP ON TABLE d.public.t TO ROLE low",
        ],
    )
    .await;
    lets_in(&admin, "low").await;
    let low = user(&account, &admin, "u", &["LOW"]).await;
    let nulls = Some(Code::NullNotAllowed.number());
    assert_eq!(code(&low, "ALTER TABLE d.public.t ALTER COLUMN v SET NOT NULL").await, nulls);
    assert_eq!(code(&low, "ALTER TABLE d.public.t ALTER COLUMN n SET NOT NULL").await, None);
    assert_eq!(value(&low, "SELECT COUNT(v) FROM d.public.t").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_objects_are_as_absent_ones() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE DATABASE d",
            "CREATE DATABASE hidden",
            "CREATE SCHEMA d.secret",
            "CREATE WAREHOUSE hidden_wh",
            "CREATE TABLE d.secret.x (realcol INT)",
            "CREATE ROLE low",
            "GRANT USAGE ON DATABASE d TO ROLE low",
            "GRANT USAGE ON SCHEMA d.public TO ROLE low",
            "GRANT CREATE ROW ACCESS POLICY ON SCHEMA d.public TO ROLE low",
        ],
    )
    .await;
    let low = user(&account, &admin, "u", &["LOW"]).await;
    for column in ["realcol", "nocol"] {
        for table in ["d.secret.x", "d.secret.y"] {
            let policy = format!(
                "CREATE ROW ACCESS POLICY d.public.p AS (a INT) RETURNS BOOLEAN -> \
                 EXISTS (SELECT 1 FROM {table} q WHERE q.{column} = a)"
            );
            assert_eq!(code(&low, &policy).await, Some(2003), "{policy}");
        }
    }
    for (database, schema, warehouse) in
        [("HIDDEN", "PUBLIC", "HIDDEN_WH"), ("ABSENT", "PUBLIC", "ABSENT"), ("D", "SECRET", "X")]
    {
        let request = LoginRequest {
            database: Some(database.to_string()),
            schema: Some(schema.to_string()),
            warehouse: Some(warehouse.to_string()),
            ..LoginRequest::new("U", Credential::Embedded)
        };
        let session = Client::of(account.engine.login(request).await.unwrap());
        let now = "SELECT CURRENT_DATABASE(), CURRENT_SCHEMA(), CURRENT_WAREHOUSE()";
        let expected = if database == "D" { Some("D".to_string()) } else { None };
        assert_eq!(session.run(now).await[0], [expected, None, None]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_read_stages_models_and_sequences_with_their_owners_rights() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE DATABASE d",
            "CREATE ROLE low",
            "CREATE SEQUENCE d.public.sq",
            "CREATE TABLE d.public.facts AS SELECT SEQ4() AS a, SEQ4() * 2 AS y \
             FROM TABLE(GENERATOR(ROWCOUNT => 50))",
            "CREATE MODEL d.public.m USING LINEAR TARGET y AS SELECT a, y FROM d.public.facts",
            "CREATE STAGE d.public.st",
            "COPY INTO @d.public.st/f FROM (SELECT 7) SINGLE = TRUE \
             FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE)",
            "CREATE VIEW d.public.of_stage AS SELECT $1 AS x FROM @d.public.st/f",
            "CREATE VIEW d.public.of_model AS SELECT ROUND(d.public.m!PREDICT(3)) AS x",
            "CREATE VIEW d.public.of_sequence AS SELECT d.public.sq.NEXTVAL > 0 AS x",
            "GRANT SELECT ON ALL VIEWS IN SCHEMA d.public TO ROLE low",
        ],
    )
    .await;
    lets_in(&admin, "low").await;
    let low = user(&account, &admin, "u", &["LOW"]).await;
    for (view, expected) in [("of_stage", "7"), ("of_model", "6"), ("of_sequence", "TRUE")] {
        assert_eq!(value(&low, &format!("SELECT x FROM d.public.{view}")).await, expected);
    }
    assert!(low.try_run("SELECT $1 FROM @d.public.st/f").await.is_err());
    assert!(low.try_run("SELECT d.public.m!PREDICT(3)").await.is_err());
    assert!(low.try_run("SELECT d.public.sq.NEXTVAL").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_of_a_managed_schema_decides_on_what_others_made_in_it() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE DATABASE d",
            "CREATE ROLE schema_owner",
            "CREATE ROLE table_owner",
            "CREATE ROLE reader",
            "GRANT USAGE ON DATABASE d TO ROLE schema_owner",
            "GRANT USAGE ON DATABASE d TO ROLE table_owner",
            "CREATE SCHEMA d.m WITH MANAGED ACCESS",
            "CREATE SCHEMA d.plain",
            "CREATE TABLE d.m.k (a INT)",
            "CREATE TABLE d.plain.k (a INT)",
            "GRANT OWNERSHIP ON TABLE d.m.k TO ROLE table_owner",
            "GRANT OWNERSHIP ON TABLE d.plain.k TO ROLE table_owner",
            "GRANT OWNERSHIP ON SCHEMA d.m TO ROLE schema_owner",
            "GRANT OWNERSHIP ON SCHEMA d.plain TO ROLE schema_owner",
        ],
    )
    .await;
    let owner = user(&account, &admin, "o", &["SCHEMA_OWNER"]).await;
    owner.run("GRANT SELECT ON TABLE d.m.k TO ROLE reader").await;
    assert_eq!(code(&owner, "SELECT * FROM d.m.k").await, Some(3001));
    let granted = owner.run("GRANT INSERT ON ALL TABLES IN SCHEMA d.m TO ROLE reader").await;
    assert!(format!("{granted:?}").contains("1 objects affected"), "{granted:?}");
    owner.run("REVOKE SELECT ON TABLE d.m.k FROM ROLE reader").await;
    // It may not make itself the one who decides on others' tables.
    let enable = "ALTER SCHEMA d.plain ENABLE MANAGED ACCESS";
    assert_eq!(code(&owner, enable).await, Some(3001));
    admin.run("GRANT MANAGE GRANTS ON ACCOUNT TO ROLE schema_owner").await;
    assert_eq!(code(&owner, enable).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_in_no_history() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    for text in [
        "CREATE USER p1 PASSWORD = 'S3cretOne1'",
        "EXECUTE IMMEDIATE 'CREATE USER p2 PASSWORD = ''S3cretTwo2'''",
        "EXECUTE IMMEDIATE $$ALTER USER p1 SET PASSWORD = 'S3cretThree3'$$",
        "EXPLAIN ALTER USER p1 SET PASSWORD = 'S3cretFour4'",
        "CREATE USER p3 PASSWORD = 'S3cretFive5' NOSUCH OPTION (",
        "ALTER USER p1 SET PASSWORD = 'S3cretSix6",
        "CREATE OR REPLACE USER IF NOT EXISTS p6 PASSWORD 'S3cretSeven7'",
    ] {
        let _ = admin.try_run(text).await;
    }
    let history = admin
        .run("SELECT QUERY_TEXT, ERROR_MESSAGE FROM SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY")
        .await;
    let kept = format!("{history:?}");
    assert!(kept.contains("P1") || kept.contains("p1"), "{kept}");
    assert!(!kept.contains("S3cret"), "{kept}");
}
