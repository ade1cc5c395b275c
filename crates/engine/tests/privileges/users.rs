//! Users: what a login leaves behind, passwords that must be changed, the last administrator, and
//! stages that are a user's own.

use frazil_common::{Code, UserError};
use frazil_engine::{Credential, LoginRequest};

use crate::account::{Account, Client};
use crate::substitutes::{all, code, user, value};

fn password(text: &str) -> Credential {
    Credential::Password(text.to_string())
}

async fn login(account: &Account, request: LoginRequest) -> Result<Client, UserError> {
    Ok(Client::of(account.engine.login(request).await?))
}

fn request(user: &str, credential: Credential, address: &str) -> LoginRequest {
    LoginRequest { client_ip: Some(address.to_string()), ..LoginRequest::new(user, credential) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_logins_leave_little_behind() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    admin.run("CREATE DATABASE d").await;
    let history = "SELECT COUNT(*), COALESCE(MAX(LENGTH(USER_NAME) + LENGTH(REPORTED_CLIENT_TYPE) + \
                   LENGTH(REPORTED_CLIENT_VERSION)), 0) FROM \
                   TABLE(d.information_schema.login_history(RESULT_LIMIT => 10000)) \
                   WHERE IS_SUCCESS = 'NO'";
    let long = "n".repeat(256);
    for credential in [
        password("wrong"),
        password("frzl_x"),
        Credential::AccessToken("frzl_x".to_string()),
        Credential::KeyPair("a.b.c".to_string()),
    ] {
        let refused = login(&account, request(&long, credential, "10.0.0.1")).await.err().unwrap();
        assert_eq!(refused.code, Code::AuthenticationFailed);
    }
    assert_eq!(admin.run(history).await, [[Some("0".to_string()), Some("0".to_string())]]);

    let client = format!("{} {}", "c".repeat(100_000), "v".repeat(100_000));
    for number in 0..150 {
        let credential = match number % 2 {
            0 => Credential::AccessToken("frzl_x".to_string()),
            _ => Credential::KeyPair("a.b.c".to_string()),
        };
        let asked =
            LoginRequest { client: client.clone(), ..request(&long[1..], credential, "10.0.0.2") };
        assert!(login(&account, asked).await.is_err());
    }
    let rows = admin.run(history).await;
    let [count, longest] = [0, 1].map(|at| rows[0][at].as_ref().unwrap().parse::<usize>().unwrap());
    // A minute may have ended in between.
    assert!((100..=150).contains(&count), "{count}");
    assert_eq!(longest, 255 + 128 + 128);
    // Others, and who may log in, are written down all the same.
    assert!(login(&account, request("admin", password("x"), "10.0.0.3")).await.is_err());
    let last = admin.run(history).await;
    assert_eq!(last[0][0], Some((count + 1).to_string()));
    assert!(
        login(&account, request("admin", password("a long password"), "10.0.0.2")).await.is_ok()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_that_must_be_changed_open_no_session() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    let enter = async |secret: &str| {
        let entered = login(&account, request("ann", password(secret), "10.0.0.1")).await;
        entered.err().map(|refused| refused.code.number())
    };
    admin.run("CREATE USER ann PASSWORD = 'first' MUST_CHANGE_PASSWORD = TRUE").await;
    assert_eq!(enter("first").await, Some(390_106));
    // Who does not know it is told no more than else.
    assert_eq!(enter("wrong").await, Some(390_100));
    admin.run("ALTER USER ann SET PASSWORD = 'second'").await;
    assert_eq!(enter("second").await, None);
    admin.run("ALTER USER ann SET PASSWORD = 'third' MUST_CHANGE_PASSWORD = TRUE").await;
    assert_eq!(enter("third").await, Some(390_106));
    // By another proof the user can change it.
    let added = admin.run("ALTER USER ann ADD PROGRAMMATIC ACCESS TOKEN t").await;
    let token = Credential::AccessToken(added[0][1].clone().unwrap());
    let ann = login(&account, request("ann", token, "10.0.0.1")).await.unwrap();
    assert!(ann.try_run("ALTER USER ann SET MUST_CHANGE_PASSWORD = FALSE").await.is_err());
    ann.run("ALTER USER ann SET PASSWORD = 'fourth'").await;
    assert_eq!(enter("fourth").await, None);
    admin.run("ALTER USER ann SET MUST_CHANGE_PASSWORD = TRUE").await;
    assert_eq!(enter("fourth").await, Some(390_106));
    admin.run("ALTER USER ann UNSET MUST_CHANGE_PASSWORD").await;
    assert_eq!(enter("fourth").await, None);

    let longest = "é".repeat(256);
    admin.run(&format!("ALTER USER ann SET PASSWORD = '{longest}'")).await;
    assert_eq!(enter(&longest).await, None);
    for refused in [format!("'{longest}e'"), "''".to_string()] {
        let sql = format!("ALTER USER ann SET PASSWORD = {refused}");
        assert_eq!(code(&admin, &sql).await, Some(Code::InvalidArgument.number()), "{sql}");
    }
    let sql = format!("CREATE USER eve LOGIN_NAME = '{}'", "e".repeat(256));
    assert_eq!(code(&admin, &sql).await, Some(Code::InvalidArgument.number()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_users_begin_with_all_their_roles() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    all(
        &admin,
        &[
            "CREATE ROLE one",
            "CREATE DATABASE d",
            "CREATE TABLE d.public.t AS SELECT 1 AS a",
            "GRANT USAGE ON DATABASE d TO ROLE one",
            "GRANT USAGE ON SCHEMA d.public TO ROLE one",
            "GRANT SELECT ON TABLE d.public.t TO ROLE one",
            "CREATE USER ann",
            "GRANT ROLE one TO USER ann",
        ],
    )
    .await;
    let told = async || {
        let shown = admin.try_run("SHOW USERS LIKE 'ANN'").await.unwrap();
        let place = shown.0.iter().position(|name| name == "default_secondary_roles").unwrap();
        let described = admin.run("DESCRIBE USER ann").await;
        let named =
            |row: &Vec<Option<String>>| row[0].as_deref() == Some("DEFAULT_SECONDARY_ROLES");
        let described = described.into_iter().find(named).unwrap();
        assert_eq!(shown.1[0][place], described[1]);
        assert_eq!(described[2].as_deref(), Some("[\"ALL\"]"));
        shown.1[0][place].clone().unwrap()
    };
    let reads = async || {
        let ann = account.login("ANN").await;
        assert_eq!(ann.role(), "PUBLIC");
        ann.try_run("SELECT a FROM d.public.t").await.is_ok()
    };
    assert_eq!((told().await.as_str(), reads().await), ("[\"ALL\"]", true));
    admin.run("ALTER USER ann SET DEFAULT_SECONDARY_ROLES = ()").await;
    assert_eq!((told().await.as_str(), reads().await), ("[]", false));
    admin.run("ALTER USER ann UNSET DEFAULT_SECONDARY_ROLES").await;
    assert_eq!((told().await.as_str(), reads().await), ("[\"ALL\"]", true));
    all(&admin, &["CREATE OR REPLACE USER ann DEFAULT_SECONDARY_ROLES = ()"]).await;
    all(&admin, &["GRANT ROLE one TO USER ann"]).await;
    assert_eq!((told().await.as_str(), reads().await), ("[]", false));
    // Who made the account holds every role, and begins with one.
    assert_eq!(
        admin.run("SELECT PARSE_JSON(CURRENT_SECONDARY_ROLES()):value::VARCHAR").await[0][0],
        Some(String::new())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_administrator_stays() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    let refused = async |client: &Client, texts: &[&str]| {
        for text in texts {
            let answer = client.try_run(text).await;
            let message = answer.err().map(|error| error.message).unwrap_or_default();
            assert!(message.contains("holds role ACCOUNTADMIN"), "{text}: {message}");
        }
    };
    refused(&admin, &["REVOKE ROLE accountadmin FROM USER admin"]).await;
    // A disabled user does not count, nor does one without the role.
    all(&admin, &["CREATE USER eve", "CREATE USER ann DISABLED = TRUE"]).await;
    admin.run("GRANT ROLE accountadmin TO USER ann").await;
    refused(&admin, &["REVOKE ROLE accountadmin FROM USER admin"]).await;
    all(&admin, &["ALTER USER ann SET DISABLED = FALSE"]).await;
    admin.run("REVOKE ROLE accountadmin FROM USER admin").await;
    // Now it is the other one's, whom users with less could take away.
    let ann = account.login("ANN").await;
    all(&ann, &["USE ROLE accountadmin", "GRANT ROLE useradmin TO USER eve"]).await;
    ann.run("GRANT OWNERSHIP ON USER ann TO ROLE useradmin").await;
    let eve = account.login("EVE").await;
    eve.run("USE ROLE useradmin").await;
    let taking =
        ["DROP USER ann", "ALTER USER ann SET DISABLED = TRUE", "CREATE OR REPLACE USER ann"];
    refused(&eve, &taking).await;
    // By way of another role, too.
    all(
        &ann,
        &[
            "CREATE ROLE heads",
            "GRANT ROLE accountadmin TO ROLE heads",
            "GRANT ROLE heads TO USER admin",
        ],
    )
    .await;
    eve.run("ALTER USER ann SET DISABLED = TRUE").await;
    let admin = account.login("ADMIN").await;
    admin.run("USE ROLE accountadmin").await;
    refused(
        &admin,
        &[
            "REVOKE ROLE heads FROM USER admin",
            "REVOKE ROLE accountadmin FROM ROLE heads",
            "DROP ROLE heads",
            "CREATE OR REPLACE ROLE heads",
        ],
    )
    .await;
    eve.run("DROP USER ann").await;
    assert_eq!(value(&admin, "SELECT CURRENT_ROLE()").await, "ACCOUNTADMIN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_stage_is_the_users_and_not_the_names() {
    let account = Account::open().await;
    let admin = account.login("ADMIN").await;
    admin.run("CREATE ROLE r").await;
    let ann = user(&account, &admin, "ann", &["R"]).await;
    let put = "COPY INTO @~/private.csv FROM (SELECT 'of the first') \
               FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE) SINGLE = TRUE";
    ann.run(put).await;
    // No role owns it.
    let owned = admin.run("SHOW GRANTS TO ROLE r").await;
    assert!(owned.is_empty(), "{owned:?}");
    // A renamed user keeps it, and who gets the name has another.
    admin.run("ALTER USER ann RENAME TO old").await;
    let second = user(&account, &admin, "ann", &["R"]).await;
    assert!(second.run("LIST @~").await.is_empty());
    let old = account.login("OLD").await;
    assert_eq!(value(&old, "SELECT $1 FROM @~/private.csv").await, "of the first");
    // A dropped or replaced user's files are gone, for its name and from the disk.
    second.run(&put.replace("first", "second")).await;
    let files = || {
        let below = account.directory().join("stages");
        let found = walk(&below);
        found.len()
    };
    assert_eq!(files(), 2);
    admin.run("DROP USER ann").await;
    assert_eq!(files(), 1);
    let third = user(&account, &admin, "ann", &["R"]).await;
    assert!(third.run("LIST @~").await.is_empty());
    third.run(&put.replace("first", "third")).await;
    admin.run("CREATE OR REPLACE USER ann").await;
    assert!(account.login("ANN").await.run("LIST @~").await.is_empty());
    assert_eq!(files(), 1);
    assert_eq!(old.run("LIST @~").await.len(), 1);
}

/// The files below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { open.push(path) } else { files.push(path) }
        }
    }
    files
}
