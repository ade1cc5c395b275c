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
                   WHERE QUERY_TEXT LIKE '%private of%'";
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
        admin.run(end).await;
        assert!(!open().await.unwrap(), "{end}");
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
