//! What statements leave behind, and what is told of them: results, errors, histories, plans.

use frazil_common::Code;
use frazil_engine::Credential;

use crate::account::{Account, Client};
use crate::substitutes::{all, code, lets_in, user, value};

/// The words of a statement's error.
async fn refusal(client: &Client, text: &str) -> String {
    client.try_run(text).await.err().map(|error| error.message).unwrap_or_default()
}

async fn last_query(client: &Client) -> String {
    value(client, "SELECT LAST_QUERY_ID()").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_read_again_by_those_alone_who_met_them() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(&admin, &["CREATE ROLE one", "CREATE ROLE two"]).await;
    let ann = user(&account, &admin, "ann", &["ONE"]).await;
    let eve = user(&account, &admin, "eve", &["TWO"]).await;
    let met = refusal(&ann, "SELECT 'secret'::INT").await;
    assert!(met.contains("secret"), "{met}");
    let id = last_query(&ann).await;
    for text in [format!("SELECT * FROM TABLE(RESULT_SCAN('{id}'))"), format!("DESC RESULT '{id}'")]
    {
        assert!(refusal(&ann, &text).await.contains("secret"), "{text}");
        let told = refusal(&eve, &text).await;
        assert!(told.contains("not found") && !told.contains("secret"), "{text}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_given_a_name_is_not_given_what_its_former_user_left() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    admin.run("CREATE DATABASE d").await;
    all(&admin, &["CREATE ROLE one", "GRANT USAGE ON DATABASE d TO ROLE one"]).await;
    let ann = user(&account, &admin, "ann", &["ONE"]).await;
    ann.run("SELECT 'private of ann'").await;
    let id = last_query(&ann).await;
    let history = "SELECT COUNT(*) FROM TABLE(d.INFORMATION_SCHEMA.QUERY_HISTORY()) \
                   WHERE QUERY_TEXT LIKE '%private of%' AND EXECUTION_STATUS = 'SUCCESS'";
    let logins = "SELECT COUNT(*) FROM TABLE(d.INFORMATION_SCHEMA.LOGIN_HISTORY())";
    let scan = format!("SELECT * FROM TABLE(RESULT_SCAN('{id}'))");
    assert_eq!(value(&ann, history).await, "1");
    assert_eq!(value(&ann, logins).await, "1");
    assert_eq!(value(&ann, &scan).await, "private of ann");
    admin.run("DROP USER ann").await;
    let another = user(&account, &admin, "ann", &["ONE"]).await;
    assert_eq!(value(&another, history).await, "0");
    assert_eq!(value(&another, logins).await, "1");
    assert_eq!(code(&another, &scan).await, Some(707));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_open_until_its_user_is_disabled_or_dropped() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    admin.run("CREATE ROLE one").await;
    for end in ["ALTER USER ann SET DISABLED = TRUE", "DROP USER ann"] {
        let ann = user(&account, &admin, "ann", &["ONE"]).await;
        let open = || account.engine.session_is_open(ann.session_id());
        assert!(open().await.unwrap());
        let shown = ann.start("SELECT 1").1.await.unwrap().unwrap().query_id;
        let address = || account.engine.result_by_address(&shown);
        assert!(address().await.unwrap().is_some());
        admin.run(end).await;
        assert!(!open().await.unwrap(), "{end}");
        assert!(address().await.unwrap().is_none(), "{end}");
        admin.run("DROP USER IF EXISTS ann").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_with_the_access_token_that_opened_them() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    admin.run("CREATE ROLE one").await;
    let own = user(&account, &admin, "ann", &["ONE"]).await;
    let enter = async |name: &str| {
        let made = admin.run(&format!("ALTER USER ann ADD PROGRAMMATIC ACCESS TOKEN {name}")).await;
        account.login_with("ANN", Credential::AccessToken(made[0][1].clone().unwrap())).await
    };
    let engine = &account.engine;
    let stays = enter("stays").await;
    for end in [
        "ALTER USER ann REMOVE PROGRAMMATIC ACCESS TOKEN t",
        "ALTER USER ann MODIFY PROGRAMMATIC ACCESS TOKEN t SET DISABLED = TRUE",
        "ALTER USER ann ROTATE PROGRAMMATIC ACCESS TOKEN t EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 0",
    ] {
        let opened = enter("t").await;
        let comment = "ALTER USER ann MODIFY PROGRAMMATIC ACCESS TOKEN t SET COMMENT = 'c'";
        admin.run(comment).await;
        assert!(engine.session_is_open(opened.session_id()).await.unwrap(), "{end}");
        assert!(engine.session_by_token(opened.token()).await.is_ok(), "{end}");
        admin.run(end).await;
        assert!(!engine.session_is_open(opened.session_id()).await.unwrap(), "{end}");
        assert!(engine.session_by_token(opened.token()).await.is_err(), "{end}");
        assert!(engine.renew(opened.master_token()).await.is_err(), "{end}");
        for left in [&own, &stays] {
            assert!(engine.session_by_token(left.token()).await.is_ok(), "{end}");
            assert!(engine.session_is_open(left.session_id()).await.unwrap(), "{end}");
        }
        let _ = admin.try_run("ALTER USER ann REMOVE PROGRAMMATIC ACCESS TOKEN t").await;
    }
    // One that takes its own away has its answer, and ends with the next request or renewal.
    let remove = "ALTER USER ann REMOVE PROGRAMMATIC ACCESS TOKEN t";
    let last = enter("t").await;
    last.run(remove).await;
    let gone = engine.session_by_token(last.token()).await.err().map(|error| error.code);
    assert_eq!(gone, Some(Code::SessionGone));
    let last = enter("t").await;
    last.run(remove).await;
    let gone = engine.renew(last.master_token()).await.err().map(|error| error.code);
    assert_eq!(gone, Some(Code::SessionGone));
    assert!(engine.session_by_token(last.token()).await.is_err());
    assert!(engine.renew(stays.master_token()).await.is_ok());
}

/// A public key as ALTER USER takes it.
fn key_of(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

/// What a client sends that has the private key of the tests.
fn signed(user: &str) -> Credential {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};
    let der = STANDARD.decode(key_of(include_str!("../data/key_pair.pub.pem"))).unwrap();
    let fingerprint = STANDARD.encode(Sha256::digest(der));
    let now = chrono::Utc::now().timestamp();
    let claims = serde_json::json!({
        "iss": format!("ACME.{user}.SHA256:{fingerprint}"),
        "sub": format!("ACME.{user}"),
        "iat": now,
        "exp": now + 60,
    });
    let key = include_bytes!("../data/key_pair.pem");
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(key).unwrap();
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    Credential::KeyPair(jsonwebtoken::encode(&header, &claims, &key).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_with_the_key_that_opened_them() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    admin.run("CREATE ROLE one").await;
    let own = user(&account, &admin, "ann", &["ONE"]).await;
    let key = key_of(include_str!("../data/key_pair.pub.pem"));
    let other = key_of(include_str!("../data/other_key.pub.pem"));
    let engine = &account.engine;
    for (slot, end) in [
        ("RSA_PUBLIC_KEY", "UNSET RSA_PUBLIC_KEY".to_string()),
        ("RSA_PUBLIC_KEY_2", "UNSET RSA_PUBLIC_KEY_2".to_string()),
        ("RSA_PUBLIC_KEY", format!("SET RSA_PUBLIC_KEY = '{other}'")),
    ] {
        admin.run(&format!("ALTER USER ann SET {slot} = '{key}'")).await;
        let opened = account.login_with("ANN", signed("ANN")).await;
        opened.run("SELECT 1").await;
        // What leaves the key where it is, if under the other name, ends nothing.
        admin.run("ALTER USER ann SET COMMENT = 'c'").await;
        let (first, second) = ("RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2");
        let another = if slot == first { second } else { first };
        admin.run(&format!("ALTER USER ann SET {another} = '{other}'")).await;
        assert!(engine.session_is_open(opened.session_id()).await.unwrap(), "{end}");
        assert!(engine.session_by_token(opened.token()).await.is_ok(), "{end}");
        admin.run(&format!("ALTER USER ann {end}")).await;
        assert!(!engine.session_is_open(opened.session_id()).await.unwrap(), "{end}");
        assert!(engine.session_by_token(opened.token()).await.is_err(), "{end}");
        assert!(engine.renew(opened.master_token()).await.is_err(), "{end}");
        assert!(engine.session_by_token(own.token()).await.is_ok(), "{end}");
        admin.run("ALTER USER ann UNSET RSA_PUBLIC_KEY, RSA_PUBLIC_KEY_2").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_a_stage_go_on_to_those_who_may_have_them_still() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE DATABASE d",
            "CREATE SCHEMA d.s",
            "CREATE ROLE low",
            "CREATE STAGE d.s.st",
            "CREATE TABLE d.s.t (a INT)",
            "GRANT READ, WRITE ON STAGE d.s.st TO ROLE low",
            "GRANT OWNERSHIP ON TABLE d.s.t TO ROLE low",
        ],
    )
    .await;
    lets_in(&admin, "low").await;
    let low = user(&account, &admin, "eve", &["LOW"]).await;
    let stage = async |location: &str| {
        let (_, ended) = low.start(&format!("PUT file:///tmp/x @{location}"));
        ended.await.unwrap().unwrap().transfer.as_ref().unwrap().stage_id
    };
    let (named, of_table, of_user) =
        (stage("d.s.st").await, stage("d.s.%t").await, stage("~").await);
    let may = async |client: &Client, stage: i64, write: bool| {
        account.engine.may_transfer(client.session_id(), stage, write).await.unwrap()
    };
    for stage in [named, of_table, of_user] {
        assert!(may(&low, stage, true).await && may(&low, stage, false).await, "{stage}");
    }
    assert!(may(&admin, named, true).await && !may(&admin, of_user, false).await);
    admin.run("REVOKE WRITE ON STAGE d.s.st FROM ROLE low").await;
    assert!(may(&low, named, false).await && !may(&low, named, true).await);
    admin.run("REVOKE USAGE ON SCHEMA d.s FROM ROLE low").await;
    for stage in [named, of_table] {
        assert!(!may(&low, stage, false).await, "{stage}");
    }
    admin.run("GRANT USAGE ON SCHEMA d.s TO ROLE low").await;
    admin.run("REVOKE READ ON STAGE d.s.st FROM ROLE low").await;
    admin.run("GRANT OWNERSHIP ON TABLE d.s.t TO ROLE ACCOUNTADMIN REVOKE CURRENT GRANTS").await;
    for stage in [named, of_table] {
        assert!(!may(&low, stage, false).await, "{stage}");
    }
    assert!(may(&low, of_user, true).await);
    admin.run("DROP STAGE d.s.st").await;
    assert!(!may(&admin, named, false).await);
}

/// The plans and errors of queries over what policies and secure views ask once, beside the query.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_policies_and_secure_views_ask_once_is_sealed_too() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE DATABASE d",
            "CREATE SCHEMA d.s",
            "CREATE ROLE low",
            "CREATE TABLE d.s.hidden AS SELECT 'carol' AS who, 'topsecret' AS word, 3 AS most",
            "CREATE TABLE d.s.t AS SELECT * FROM VALUES (1, 'a'), (4, 'b') AS v(id, name)",
            "CREATE TABLE d.s.u CLONE d.s.t",
            "CREATE SECURE VIEW d.s.fails AS SELECT id FROM d.s.t \
             WHERE id > (SELECT MAX(word::INT) FROM d.s.hidden)",
            "CREATE SECURE VIEW d.s.few AS SELECT id FROM d.s.t \
             WHERE id > (SELECT MAX(most) FROM d.s.hidden WHERE who = 'carol')",
            "CREATE SECURE VIEW d.s.none AS SELECT id FROM d.s.t \
             WHERE NOT EXISTS (SELECT 1 FROM d.s.hidden WHERE who = 'carol')",
            "CREATE MASKING POLICY d.s.known AS (v VARCHAR) RETURNS VARCHAR -> CASE WHEN EXISTS \
             (SELECT 1 FROM d.s.hidden WHERE who = 'carol') THEN '*' ELSE v END",
            "ALTER TABLE d.s.t MODIFY COLUMN name SET MASKING POLICY d.s.known",
            "CREATE ROW ACCESS POLICY d.s.unread AS (v INT) RETURNS BOOLEAN -> \
             v > (SELECT MAX(word::INT) FROM d.s.hidden)",
            "ALTER TABLE d.s.u ADD ROW ACCESS POLICY d.s.unread ON (id)",
            "GRANT SELECT ON ALL VIEWS IN SCHEMA d.s TO ROLE low",
            "GRANT SELECT ON TABLE d.s.t TO ROLE low",
            "GRANT SELECT ON TABLE d.s.u TO ROLE low",
        ],
    )
    .await;
    lets_in(&admin, "low").await;
    let low = user(&account, &admin, "eve", &["LOW"]).await;
    for text in ["SELECT * FROM d.s.fails", "SELECT COUNT(*) FROM d.s.u"] {
        let told = refusal(&low, text).await;
        assert!(!told.is_empty() && !told.contains("topsecret"), "{text}: {told}");
    }
    assert_eq!(value(&low, "SELECT LISTAGG(id) FROM d.s.few").await, "4");
    assert_eq!(value(&low, "SELECT COUNT(*) FROM d.s.none").await, "0");
    assert_eq!(value(&low, "SELECT LISTAGG(name) FROM d.s.t").await, "**");
    for from in ["d.s.few", "d.s.none", "d.s.t"] {
        let plan = format!("{:?}", low.run(&format!("EXPLAIN SELECT * FROM {from}")).await);
        low.run(&format!("SELECT * FROM {from}")).await;
        let profile = "SELECT * FROM TABLE(GET_QUERY_OPERATOR_STATS(LAST_QUERY_ID()))";
        let profile = format!("{:?}", low.run(profile).await);
        for told in [plan, profile] {
            for word in ["carol", "WHO", "MOST", "HIDDEN", "hidden"] {
                assert!(!told.contains(word), "{from}: {told}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_loads_quote_nothing_that_policies_hide() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE DATABASE d",
            "CREATE SCHEMA d.s",
            "USE SCHEMA d.s",
            "CREATE ROLE low",
            "CREATE STAGE st",
            "COPY INTO @st/f FROM (SELECT 7 AS x, 'x9000' AS amount) \
             FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE)",
            "CREATE MASKING POLICY stars AS (v INT) RETURNS INT -> 0",
            "CREATE TAG kind",
            "CREATE TABLE plain (x INT, amount INT)",
            "CREATE TABLE masked (x INT, amount INT WITH MASKING POLICY stars)",
            "CREATE TABLE tagged (x INT, amount INT WITH TAG (kind = 'm'))",
            "ALTER TAG kind SET MASKING POLICY stars",
        ],
    )
    .await;
    lets_in(&admin, "low").await;
    let low = user(&account, &admin, "eve", &["LOW"]).await;
    for (table, hidden) in [("plain", false), ("masked", true), ("tagged", true)] {
        admin.run(&format!("COPY INTO {table} FROM @st/f ON_ERROR = CONTINUE")).await;
        let id = last_query(&admin).await;
        admin.run(&format!("GRANT SELECT, INSERT ON TABLE d.s.{table} TO ROLE low")).await;
        let upper = table.to_uppercase();
        let asked = [
            format!(
                "SELECT first_error_message FROM d.information_schema.load_history \
                 WHERE table_name = '{upper}'"
            ),
            format!(
                "SELECT first_error_message FROM TABLE(d.information_schema.copy_history( \
                 TABLE_NAME => 'd.s.{table}', START_TIME => DATEADD(hour, -1, CURRENT_TIMESTAMP())))"
            ),
            format!("SELECT * FROM TABLE(VALIDATE(d.s.{table}, JOB_ID => '{id}'))"),
        ];
        for text in asked {
            assert!(format!("{:?}", admin.run(&text).await).contains("x9000"), "{text}");
            let told = low.run(&text).await;
            assert_eq!(told.len(), 1, "{text}");
            assert_eq!(format!("{told:?}").contains("x9000"), !hidden, "{text}: {told:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_monitors_or_operates_a_warehouse_sees_what_ran_in_it() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE DATABASE d",
            "CREATE ROLE worker",
            "CREATE ROLE watcher",
            "CREATE WAREHOUSE w",
            "CREATE WAREHOUSE other",
            "GRANT USAGE ON WAREHOUSE w TO ROLE worker",
            "GRANT USAGE ON WAREHOUSE other TO ROLE worker",
            "GRANT USAGE ON WAREHOUSE w TO ROLE watcher",
        ],
    )
    .await;
    lets_in(&admin, "worker").await;
    lets_in(&admin, "watcher").await;
    let ann = user(&account, &admin, "ann", &["WORKER"]).await;
    let eve = user(&account, &admin, "eve", &["WATCHER"]).await;
    let computed =
        |number: u32| format!("SELECT COUNT(*) + {number} FROM TABLE(GENERATOR(ROWCOUNT => 10))");
    ann.run("USE WAREHOUSE w").await;
    ann.run(&computed(100)).await;
    let id = last_query(&ann).await;
    ann.run("USE WAREHOUSE other").await;
    ann.run(&computed(200)).await;
    let elsewhere = last_query(&ann).await;
    let seen = async |function: &str| {
        let texts = format!(
            "SELECT LISTAGG(QUERY_ID, ',') FROM TABLE(d.INFORMATION_SCHEMA.{function}) \
             WHERE USER_NAME = 'ANN'"
        );
        value(&eve, &texts).await
    };
    let functions = [
        "QUERY_HISTORY()",
        "QUERY_HISTORY(END_TIME_RANGE_END => CURRENT_TIMESTAMP())",
        "QUERY_HISTORY_BY_WAREHOUSE('w')",
        "QUERY_HISTORY_BY_USER('ann')",
    ];
    let profile =
        |id: &str| format!("SELECT COUNT(*) FROM TABLE(GET_QUERY_OPERATOR_STATS('{id}'))");
    for privilege in ["MONITOR", "OPERATE"] {
        for function in functions {
            assert_eq!(seen(function).await, "", "{function}");
        }
        assert_eq!(code(&eve, &profile(&id)).await, Some(707));
        admin.run(&format!("GRANT {privilege} ON WAREHOUSE w TO ROLE watcher")).await;
        for function in functions {
            assert_eq!(seen(function).await, id, "{privilege}: {function}");
        }
        assert_eq!(seen("QUERY_HISTORY_BY_WAREHOUSE('other')").await, "");
        assert_eq!(code(&eve, &profile(&id)).await, None);
        assert_eq!(code(&eve, &profile(&elsewhere)).await, Some(707));
        admin.run(&format!("REVOKE {privilege} ON WAREHOUSE w FROM ROLE watcher")).await;
    }
    // A warehouse of the same name is another one.
    admin.run("DROP WAREHOUSE w").await;
    admin.run("CREATE WAREHOUSE w").await;
    admin.run("GRANT MONITOR ON WAREHOUSE w TO ROLE watcher").await;
    assert_eq!(seen("QUERY_HISTORY()").await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_operates_a_warehouse_stops_what_runs_in_it() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE ROLE worker",
            "CREATE ROLE watcher",
            "CREATE WAREHOUSE w",
            "GRANT USAGE ON WAREHOUSE w TO ROLE worker",
            "GRANT MONITOR ON WAREHOUSE w TO ROLE watcher",
        ],
    )
    .await;
    let ann = user(&account, &admin, "ann", &["WORKER"]).await;
    let eve = user(&account, &admin, "eve", &["WATCHER"]).await;
    ann.run("USE WAREHOUSE w").await;
    for grant in [
        "GRANT OPERATE ON WAREHOUSE w TO ROLE watcher",
        "GRANT OWNERSHIP ON USER ann TO ROLE watcher",
    ] {
        let (id, running) = ann.start(
            "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 1000000000)) a, \
             TABLE(GENERATOR(ROWCOUNT => 1000000000)) b WHERE RANDOM() = 0",
        );
        let in_warehouse = || async {
            admin.run("SHOW WAREHOUSES LIKE 'w'").await;
            let running = "SELECT \"running\" FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))";
            value(&admin, running).await == "1"
        };
        while !in_warehouse().await {}
        let cancel = format!("SELECT SYSTEM$CANCEL_QUERY('{id}')");
        assert!(value(&eve, &cancel).await.contains("not currently executing"));
        admin.run(grant).await;
        assert!(value(&eve, &cancel).await.contains("terminated"), "{grant}");
        let ended = running.await.unwrap();
        assert_eq!(ended.err().map(|error| error.code), Some(Code::Cancelled));
        admin.run("REVOKE OPERATE ON WAREHOUSE w FROM ROLE watcher").await;
    }
}
