//! Users, roles, grants, definitions, SHOW, DESCRIBE and INFORMATION_SCHEMA through the engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use frazil_common::{Code, UserError};
use frazil_engine::{
    Credential, Engine, EngineSettings, LoginRequest, Session, StatementRequest, backup, cell_text,
    inspect,
};

struct Account {
    engine: Arc<Engine>,
    _directory: tempfile::TempDir,
}

impl Account {
    async fn open() -> Account {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = EngineSettings::new(directory.path());
        settings.bootstrap_password = Some("a long password".to_string());
        let (engine, _) = Engine::open(settings).await.unwrap();
        Account { engine, _directory: directory }
    }

    async fn login(&self, user: &str, credential: Credential) -> Result<Client, UserError> {
        let request = LoginRequest::new(user, credential);
        Ok(Client { session: self.engine.login(request).await?.session })
    }

    async fn admin(&self) -> Client {
        self.login("admin", Credential::Embedded).await.unwrap()
    }
}

struct Client {
    session: Arc<Session>,
}

type Row = Vec<Option<String>>;

impl Client {
    async fn try_run(&self, text: &str) -> Result<(Vec<String>, Vec<Row>), UserError> {
        let result = self.session.execute(StatementRequest::new(text)).await?;
        let mut rows = Vec::new();
        for batch in result.rows.read_all()? {
            for row in 0..batch.num_rows() {
                let cells = result.columns.iter().zip(batch.columns());
                rows.push(cells.map(|(column, array)| cell_text(column, array, row)).collect());
            }
        }
        Ok((result.columns.iter().map(|column| column.name.clone()).collect(), rows))
    }

    async fn run(&self, text: &str) -> (Vec<String>, Vec<Row>) {
        self.try_run(text).await.unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The texts of one column.
    async fn column(&self, text: &str, column: &str) -> Vec<String> {
        let (columns, rows) = self.run(text).await;
        let at = columns.iter().position(|name| name == column).expect(column);
        rows.into_iter().map(|row| row[at].clone().unwrap_or_default()).collect()
    }

    /// The first cell of the first row.
    async fn status(&self, text: &str) -> String {
        self.run(text).await.1[0][0].clone().unwrap_or_default()
    }

    async fn fails(&self, text: &str) -> UserError {
        match self.try_run(text).await {
            Err(error) => error,
            Ok(_) => panic!("{text} should fail"),
        }
    }
}

async fn with_table(client: &Client) {
    for text in [
        "CREATE DATABASE d",
        "CREATE SCHEMA d.s",
        "CREATE TABLE d.s.t (a INT NOT NULL, b VARCHAR(10) DEFAULT 'x' COMMENT 'bee')",
        "INSERT INTO d.s.t VALUES (1, 'one'), (2, 'two')",
        "CREATE VIEW d.s.v AS SELECT a FROM d.s.t",
    ] {
        client.run(text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn use_moves_the_session_and_hidden_names_are_as_absent() {
    let account = Account::open().await;
    let admin = account.admin().await;
    with_table(&admin).await;
    admin.run("USE DATABASE d").await;
    assert_eq!(admin.session.current().schema.as_deref(), Some("PUBLIC"));
    admin.run("USE SCHEMA s").await;
    assert_eq!(admin.session.current().schema.as_deref(), Some("S"));
    admin.run("USE d.public").await;
    assert_eq!(admin.session.current().schema.as_deref(), Some("PUBLIC"));
    for text in ["USE DATABASE nope", "USE SCHEMA d.nope", "USE WAREHOUSE nope", "USE ROLE nope"] {
        assert_eq!(admin.fails(text).await.code, Code::ObjectNotFoundOrNotAuthorized, "{text}");
    }
    admin.run("USE ROLE PUBLIC").await;
    assert_eq!(admin.fails("USE DATABASE d").await.code, Code::ObjectNotFoundOrNotAuthorized);
    admin.run("USE ROLE ACCOUNTADMIN").await;
    admin.run("USE SECONDARY ROLES ALL").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_and_parameters() {
    let account = Account::open().await;
    let admin = account.admin().await;
    with_table(&admin).await;
    admin.run("SET v = (SELECT MAX(a) + 1 FROM d.s.t)").await;
    assert_eq!(admin.status("SELECT $v").await, "3");
    admin.run("SET (x, y) = ('p', 2)").await;
    assert_eq!(admin.column("SHOW VARIABLES", "name").await, ["V", "X", "Y"]);
    assert_eq!(admin.column("SHOW VARIABLES LIKE 'x'", "value").await, ["p"]);
    admin.run("UNSET (x, y)").await;
    assert_eq!(admin.column("SHOW VARIABLES", "name").await, ["V"]);
    admin.run("ALTER SESSION SET TIMEZONE = 'UTC', WEEK_START = 1").await;
    let text = "SHOW PARAMETERS LIKE 'timezone' IN SESSION";
    assert_eq!(admin.column(text, "value").await, ["UTC"]);
    assert_eq!(admin.column(text, "level").await, ["SESSION"]);
    admin.run("ALTER SESSION UNSET TIMEZONE").await;
    assert_eq!(admin.column(text, "value").await, ["America/Los_Angeles"]);
    admin.fails("ALTER SESSION SET NO_SUCH_THING = 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_are_granted_used_and_revoked() {
    let account = Account::open().await;
    let admin = account.admin().await;
    with_table(&admin).await;
    admin.run("CREATE ROLE reader COMMENT = 'reads'").await;
    admin.run("CREATE USER rita PASSWORD = 'secret words' DEFAULT_ROLE = reader").await;
    admin.run("GRANT ROLE reader TO USER rita").await;
    let password = || Credential::Password("secret words".to_string());
    let rita = account.login("rita", password()).await.unwrap();
    assert_eq!(rita.session.current().role, "READER");
    assert_eq!(rita.fails("SELECT * FROM d.s.t").await.code, Code::ObjectNotFound);
    for text in [
        "GRANT USAGE ON DATABASE d TO ROLE reader",
        "GRANT USAGE ON SCHEMA d.s TO ROLE reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA d.s TO ROLE reader",
        "GRANT SELECT ON FUTURE TABLES IN SCHEMA d.s TO ROLE reader",
    ] {
        admin.run(text).await;
    }
    assert_eq!(rita.run("SELECT * FROM d.s.t").await.1.len(), 2);
    admin.run("CREATE TABLE d.s.t2 (a INT)").await;
    assert_eq!(rita.run("SELECT * FROM d.s.t2").await.1.len(), 0);
    // Seen, but not to be changed.
    assert_eq!(rita.fails("DROP TABLE d.s.t").await.code, Code::InsufficientPrivileges);
    assert_eq!(
        rita.fails("ALTER TABLE d.s.t DROP COLUMN b").await.code,
        Code::InsufficientPrivileges
    );
    assert_eq!(rita.fails("DROP VIEW d.s.v").await.code, Code::ObjectNotFound);
    assert_eq!(rita.column("SHOW TABLES IN DATABASE d", "name").await, ["T", "T2"]);
    assert!(rita.column("SHOW VIEWS IN DATABASE d", "name").await.is_empty());
    let error = rita.fails("GRANT SELECT ON TABLE d.s.t TO ROLE PUBLIC").await;
    assert_eq!(error.code, Code::InsufficientPrivileges);
    assert_eq!(rita.fails("CREATE ROLE x").await.code, Code::InsufficientPrivileges);

    let grants = admin.column("SHOW GRANTS TO ROLE reader", "privilege").await;
    assert_eq!(grants.iter().filter(|privilege| *privilege == "SELECT").count(), 2);
    assert_eq!(admin.column("SHOW GRANTS OF ROLE reader", "grantee_name").await, ["RITA"]);
    let future = "SHOW FUTURE GRANTS IN SCHEMA d.s";
    assert_eq!(admin.column(future, "name").await, ["D.S.<TABLE>"]);
    let on = admin.column("SHOW GRANTS ON TABLE d.s.t", "privilege").await;
    assert_eq!(on, ["SELECT", "OWNERSHIP"]);

    admin.run("REVOKE SELECT ON TABLE d.s.t FROM ROLE reader").await;
    assert_eq!(rita.fails("SELECT * FROM d.s.t").await.code, Code::ObjectNotFound);
    admin.run("GRANT ALL PRIVILEGES ON SCHEMA d.s TO ROLE PUBLIC").await;
    admin.run("GRANT OWNERSHIP ON TABLE d.s.t TO ROLE reader REVOKE CURRENT GRANTS").await;
    assert_eq!(rita.status("DROP TABLE d.s.t").await, "T successfully dropped.");
    admin.run("ALTER USER rita SET DISABLED = TRUE").await;
    assert!(account.login("rita", password()).await.is_err());
    assert_eq!(admin.status("DROP USER rita").await, "RITA successfully dropped.");
    assert_eq!(admin.status("DROP ROLE reader").await, "READER successfully dropped.");
    assert!(admin.fails("DROP ROLE accountadmin").await.message.contains("System role"));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_have_no_password_and_users_expire() {
    let account = Account::open().await;
    let admin = account.admin().await;
    let password = || Credential::Password("secret words".to_string());
    let refused = async || match account.login("rita", password()).await {
        Ok(_) => panic!("rita logged in"),
        Err(error) => error.code,
    };
    admin.run("CREATE USER rita PASSWORD = 'secret words'").await;
    account.login("rita", password()).await.unwrap();
    admin.run("ALTER USER rita SET TYPE = SERVICE").await;
    assert_eq!(refused().await, Code::AuthenticationRejected);
    let wrong = Credential::Password("other words".to_string());
    let error = account.login("rita", wrong).await.err().unwrap();
    assert_eq!(error.code, Code::AuthenticationFailed);
    let error = admin.fails("ALTER USER rita SET PASSWORD = 'third words'").await;
    assert_eq!(error.message, "Cannot set PASSWORD on users with TYPE=SERVICE.");
    admin.run("ALTER USER rita SET TYPE = LEGACY_SERVICE").await;
    let rita = account.login("rita", password()).await.unwrap();
    admin.run("ALTER USER rita SET DAYS_TO_EXPIRY = 0").await;
    assert_eq!(refused().await, Code::UserDisabled);
    // What is open goes on.
    rita.run("SELECT 1").await;
    admin.run("ALTER USER rita SET DAYS_TO_EXPIRY = 1").await;
    account.login("rita", password()).await.unwrap();
    admin.run("ALTER USER rita UNSET DAYS_TO_EXPIRY").await;
    account.engine.close_session(&rita.session).await.unwrap();
    let sessions = "SELECT authentication_method, closed_reason, COUNT(*) AS n \
         FROM snowflake.account_usage.sessions WHERE user_name = 'RITA' GROUP BY 1, 2";
    assert_eq!(
        admin.run(&format!("{sessions} HAVING closed_reason IS NOT NULL")).await.1,
        [[Some("PASSWORD".into()), Some("UNKNOWN".into()), Some("1".into())]]
    );
    admin.run("DROP USER rita").await;
    assert_eq!(
        admin.run(&format!("{sessions} ORDER BY 2")).await.1,
        [
            [Some("PASSWORD".into()), Some("DROP_USER".into()), Some("2".into())],
            [Some("PASSWORD".into()), Some("UNKNOWN".into()), Some("1".into())]
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_inherit_what_the_account_sets() {
    let account = Account::open().await;
    let admin = account.admin().await;
    admin.run("CREATE USER rita TIMEZONE = 'Asia/Tokyo'").await;
    admin.run("ALTER ACCOUNT SET TIMEZONE = 'UTC', STATEMENT_TIMEOUT_IN_SECONDS = 600").await;
    let timezone = "SHOW PARAMETERS LIKE 'TIMEZONE'";
    // As with users' parameters, those of open sessions stay.
    assert_eq!(admin.column(timezone, "level").await, [""]);
    let later = account.admin().await;
    assert_eq!(later.column(timezone, "value").await, ["UTC"]);
    assert_eq!(later.column(timezone, "level").await, ["ACCOUNT"]);
    let rita = account.login("rita", Credential::Embedded).await.unwrap();
    assert_eq!(rita.column(timezone, "level").await, ["USER"]);
    let seconds = "SHOW PARAMETERS LIKE 'STATEMENT_TIMEOUT_IN_SECONDS'";
    assert_eq!(rita.column(seconds, "value").await, ["600"]);
    rita.run("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 30").await;
    rita.run("ALTER SESSION UNSET STATEMENT_TIMEOUT_IN_SECONDS").await;
    assert_eq!(rita.column(seconds, "level").await, ["ACCOUNT"]);
    let error = rita.fails("ALTER ACCOUNT SET TIMEZONE = 'UTC'").await;
    assert_eq!(error.code, Code::InsufficientPrivileges);
    admin.run("ALTER ACCOUNT UNSET TIMEZONE, STATEMENT_TIMEOUT_IN_SECONDS").await;
    let last = account.admin().await;
    assert_eq!(last.column(timezone, "value").await, ["America/Los_Angeles"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_choose_where_their_own_sessions_begin() {
    let account = Account::open().await;
    let admin = account.admin().await;
    admin.run("CREATE ROLE reader").await;
    admin.run("CREATE USER rita PASSWORD = 'secret words'").await;
    admin.run("CREATE USER other").await;
    admin.run("GRANT ROLE reader TO USER rita").await;
    let password = || Credential::Password("secret words".to_string());
    let rita = account.login("rita", password()).await.unwrap();
    rita.run("ALTER USER rita SET TIMEZONE = 'Asia/Tokyo' DEFAULT_ROLE = reader").await;
    rita.run("ALTER USER rita SET DEFAULT_NAMESPACE = 'd.s' DEFAULT_WAREHOUSE = w").await;
    let later = account.login("rita", password()).await.unwrap();
    assert_eq!(later.session.current().role, "READER");
    assert_eq!(later.column("SHOW PARAMETERS LIKE 'TIMEZONE'", "value").await, ["Asia/Tokyo"]);
    assert_eq!(later.column("SHOW PARAMETERS LIKE 'TIMEZONE'", "level").await, ["USER"]);
    later.run("ALTER SESSION SET TIMEZONE = 'UTC'").await;
    assert_eq!(later.column("SHOW PARAMETERS LIKE 'TIMEZONE'", "level").await, ["SESSION"]);
    // The level is where it was set, whatever the values are.
    later.run("ALTER SESSION SET TIMEZONE = 'Asia/Tokyo'").await;
    assert_eq!(later.column("SHOW PARAMETERS LIKE 'TIMEZONE'", "level").await, ["SESSION"]);
    later.run("ALTER SESSION SET TIMEZONE = 'UTC'").await;
    later.run("ALTER SESSION UNSET TIMEZONE").await;
    assert_eq!(later.column("SHOW PARAMETERS LIKE 'TIMEZONE'", "value").await, ["Asia/Tokyo"]);
    later.run("ALTER USER rita UNSET TIMEZONE").await;
    assert_eq!(later.column("SHOW PARAMETERS LIKE 'TIMEZONE'", "level").await, ["USER"]);
    // A role to begin with is one that was granted.
    later.run("ALTER USER rita SET DEFAULT_ROLE = accountadmin").await;
    let third = account.login("rita", password()).await.unwrap();
    assert_eq!(third.session.current().role, "PUBLIC");
    for text in [
        "ALTER USER rita SET DISABLED = FALSE",
        "ALTER USER rita SET TIMEZONE = 'UTC' LOGIN_NAME = 'admin2'",
        "ALTER USER rita SET DEFAULT_SECONDARY_ROLES = ('ALL')",
        "ALTER USER rita SET MUST_CHANGE_PASSWORD = FALSE",
        "ALTER USER rita SET MINS_TO_UNLOCK = 0 WEEK_START = 1",
        "ALTER USER rita SET COMMENT = 'c'",
        "ALTER USER rita RENAME TO rosa",
    ] {
        // Without a privilege on it the user itself is as one that is absent.
        let code = rita.fails(text).await.code;
        assert_eq!(code, Code::ObjectNotFoundOrNotAuthorized, "{text}");
    }
    let code = rita.fails("ALTER USER other SET TIMEZONE = 'UTC'").await.code;
    assert_eq!(code, Code::ObjectNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_open_sessions_until_they_are_removed() {
    let account = Account::open().await;
    let admin = account.admin().await;
    admin.run("CREATE ROLE narrow").await;
    admin.run("GRANT ROLE narrow TO USER admin").await;
    let added =
        admin.run("ALTER USER ADD PROGRAMMATIC ACCESS TOKEN ci ROLE_RESTRICTION = 'NARROW'").await;
    assert_eq!(added.0, ["token_name", "token_secret"]);
    let secret = added.1[0][1].clone().unwrap();
    let token = |secret: &str| Credential::AccessToken(secret.to_string());
    let session = account.login("admin", token(&secret)).await.unwrap();
    assert_eq!(session.session.current().role, "NARROW");
    assert_eq!(session.fails("USE ROLE ACCOUNTADMIN").await.code, Code::RoleNotAssigned);
    assert_eq!(session.fails("USE SECONDARY ROLES ALL").await.code, Code::RoleNotAssigned);
    let error = session.fails("ALTER USER ADD PROGRAMMATIC ACCESS TOKEN wide").await;
    assert_eq!(error.code, Code::InsufficientPrivileges);

    let rotated = admin
        .run("ALTER USER ROTATE PROGRAMMATIC ACCESS TOKEN ci EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 0")
        .await;
    let fresh = rotated.1[0][1].clone().unwrap();
    assert!(account.login("admin", token(&secret)).await.is_err());
    assert!(account.login("admin", token(&fresh)).await.is_ok());
    let tokens = "SHOW USER PROGRAMMATIC ACCESS TOKENS";
    assert_eq!(admin.column(tokens, "status").await, ["ACTIVE", "EXPIRED"]);
    admin.run("ALTER USER REMOVE PROGRAMMATIC ACCESS TOKEN ci").await;
    assert!(account.login("admin", token(&fresh)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_altered() {
    let account = Account::open().await;
    let admin = account.admin().await;
    with_table(&admin).await;
    admin.run("USE SCHEMA d.s").await;
    admin.run("ALTER TABLE t ADD COLUMN c INT DEFAULT 7, d FLOAT").await;
    assert_eq!(admin.run("SELECT c, d FROM t").await.1[0], [Some("7".to_string()), None]);
    admin.run("ALTER TABLE t ADD COLUMN IF NOT EXISTS c INT").await;
    assert_eq!(admin.fails("ALTER TABLE t ADD COLUMN c INT").await.code, Code::DuplicateColumn);
    admin.fails("ALTER TABLE t ADD COLUMN e INT NOT NULL").await;
    assert_eq!(admin.fails("ALTER TABLE t ALTER d SET NOT NULL").await.code, Code::NullNotAllowed);
    admin.run("ALTER TABLE t ALTER c SET NOT NULL").await;
    assert_eq!(
        admin.fails("INSERT INTO t (a, c) VALUES (3, NULL)").await.code,
        Code::NullNotAllowed
    );
    admin.run("ALTER TABLE t ALTER c DROP NOT NULL").await;
    admin.run("ALTER TABLE t ALTER b SET DATA TYPE VARCHAR(20)").await;
    admin.fails("ALTER TABLE t ALTER b SET DATA TYPE VARCHAR(5)").await;
    admin.run("ALTER TABLE t RENAME COLUMN d TO e").await;
    admin.run("ALTER TABLE t DROP COLUMN e").await;
    admin.run("COMMENT ON COLUMN t.a IS 'key'").await;
    admin.run("ALTER TABLE t SET COMMENT = 'table'").await;
    let (columns, rows) = admin.run("DESC TABLE t").await;
    assert_eq!(
        columns,
        [
            "name",
            "type",
            "kind",
            "null?",
            "default",
            "primary key",
            "unique key",
            "check",
            "expression",
            "comment",
            "policy name",
            "privacy domain"
        ]
    );
    let shown: Vec<(&str, &str, &str)> = rows
        .iter()
        .map(|row| {
            let cell = |at: usize| row[at].as_deref().unwrap_or("-");
            (cell(0), cell(1), cell(9))
        })
        .collect();
    assert_eq!(
        shown,
        [("A", "NUMBER(38,0)", "key"), ("B", "VARCHAR(20)", "bee"), ("C", "NUMBER(38,0)", "-")]
    );
    admin.run("CREATE TABLE u (z INT)").await;
    admin.run("ALTER TABLE t SWAP WITH u").await;
    assert_eq!(admin.column("DESC TABLE t", "name").await, ["Z"]);
    admin.run("ALTER TABLE t RENAME TO w").await;
    assert_eq!(admin.column("SHOW TABLES", "name").await, ["U", "W"]);
    assert_eq!(admin.column("SHOW TABLES LIKE 'u'", "comment").await, ["table"]);
    assert_eq!(admin.column("SHOW TABLES LIKE 'u'", "rows").await, ["2"]);
    assert_eq!(
        admin.status("DROP TABLE IF EXISTS nope").await,
        "Drop statement executed successfully (NOPE already dropped)."
    );
    assert_eq!(admin.fails("DROP TABLE nope").await.code, Code::ObjectNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_shown_described_and_dropped() {
    let account = Account::open().await;
    let admin = account.admin().await;
    with_table(&admin).await;
    admin.run("USE SCHEMA d.s").await;
    for text in [
        "CREATE STAGE st COMMENT = 'files'",
        "CREATE FILE FORMAT ff TYPE = CSV SKIP_HEADER = 1",
        "CREATE SEQUENCE sq START = 5 INCREMENT = 2",
        "CREATE WAREHOUSE wh WAREHOUSE_SIZE = MEDIUM",
        "ALTER WAREHOUSE wh SUSPEND",
        "ALTER WAREHOUSE wh SET COMMENT = 'work'",
        "ALTER STAGE st RENAME TO st2",
        "ALTER FILE FORMAT ff SET SKIP_HEADER = 2",
        "ALTER SEQUENCE sq SET INCREMENT 3",
        "ALTER VIEW v RENAME TO v2",
        "ALTER SCHEMA s SET COMMENT = 'schema'",
        "COMMENT ON DATABASE d IS 'database'",
        "COMMENT ON VIEW v2 IS 'view'",
    ] {
        admin.run(text).await;
    }
    assert_eq!(admin.column("SHOW STAGES", "name").await, ["ST2"]);
    assert_eq!(admin.column("SHOW FILE FORMATS", "type").await, ["CSV"]);
    assert_eq!(admin.column("SHOW SEQUENCES", "next_value").await, ["5"]);
    assert_eq!(admin.column("SHOW WAREHOUSES", "state").await, ["SUSPENDED"]);
    assert_eq!(admin.column("SHOW WAREHOUSES LIKE 'W%'", "size").await, ["Medium"]);
    assert_eq!(admin.column("SHOW VIEWS", "comment").await, ["view"]);
    assert_eq!(admin.column("SHOW DATABASES LIKE 'd'", "comment").await, ["database"]);
    assert_eq!(
        admin.column("SHOW SCHEMAS IN DATABASE d", "name").await,
        ["INFORMATION_SCHEMA", "PUBLIC", "S"]
    );
    assert_eq!(admin.column("SHOW OBJECTS", "kind").await, ["TABLE", "VIEW"]);
    assert_eq!(admin.column("SHOW COLUMNS IN TABLE t", "column_name").await, ["A", "B"]);
    assert_eq!(admin.run("SHOW TERSE TABLES").await.0.len(), 5);
    assert_eq!(admin.column("SHOW ROLES LIMIT 2", "name").await, ["ACCOUNTADMIN", "PUBLIC"]);
    assert_eq!(admin.column("SHOW USERS", "name").await, ["ADMIN"]);
    assert_eq!(
        admin.fails("SHOW TABLES IN SCHEMA d.nope").await.code,
        Code::ObjectNotFoundOrNotAuthorized
    );
    for text in [
        "SHOW FUNCTIONS LIKE 'ABS'",
        "SHOW PROCEDURES",
        "SHOW MODELS",
        "SHOW ENDPOINTS",
        "SHOW TRANSACTIONS",
        "SHOW LOCKS",
        "SHOW PRIMARY KEYS IN TABLE t",
        "SHOW STREAMS",
        "SHOW TASKS",
        "SHOW TAGS LIKE 'x' IN SCHEMA d.s",
        "DESC SCHEMA s",
        "DESC DATABASE d",
        "DESC STAGE st2",
        "DESC FILE FORMAT ff",
        "DESC SEQUENCE sq",
        "DESC WAREHOUSE wh",
        "DESC USER admin",
        "DESC VIEW v2",
        "DESC RESULT LAST_QUERY_ID()",
    ] {
        let described = {
            let mut request = StatementRequest::new(text);
            request.describe_only = true;
            admin.session.execute(request).await.unwrap_or_else(|e| panic!("{text}: {e}"))
        };
        assert_eq!(described.total_rows(), 0, "{text}");
        assert_eq!(admin.run(text).await.0.len(), described.columns.len(), "{text}");
    }
    admin.run("BEGIN").await;
    assert_eq!(admin.column("SHOW TRANSACTIONS", "state").await, ["running"]);
    admin.run("ROLLBACK").await;
    for (text, gone) in [
        ("DROP STAGE st2", "ST2"),
        ("DROP FILE FORMAT ff", "FF"),
        ("DROP SEQUENCE sq", "SQ"),
        ("DROP WAREHOUSE wh", "WH"),
        ("DROP VIEW v2", "V2"),
        ("DROP SCHEMA s", "S"),
        ("DROP DATABASE d", "D"),
    ] {
        assert_eq!(admin.status(text).await, format!("{gone} successfully dropped."));
    }
    assert_eq!(admin.session.current().database, None);
    assert_eq!(admin.session.current().warehouse, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_schema_takes_its_objects_along() {
    let account = Account::open().await;
    let admin = account.admin().await;
    with_table(&admin).await;
    admin.run("CREATE STAGE d.s.st").await;
    admin.fails("DROP SCHEMA d.s RESTRICT").await;
    admin.run("DROP SCHEMA d.s").await;
    admin.run("CREATE SCHEMA d.s").await;
    assert!(admin.column("SHOW STAGES IN SCHEMA d.s", "name").await.is_empty());
    assert!(admin.column("SHOW TABLES IN SCHEMA d.s", "name").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn information_schema_lists_what_the_role_sees() {
    let account = Account::open().await;
    let admin = account.admin().await;
    with_table(&admin).await;
    let text = "SELECT table_name, row_count FROM d.information_schema.tables \
                WHERE table_schema = 'S' ORDER BY 1";
    let rows = admin.run(text).await.1;
    let cell = |text: &str| Some(text.to_string());
    assert_eq!(rows, [vec![cell("T"), cell("2")], vec![cell("V"), None]]);
    let text = "SELECT data_type, character_maximum_length, is_nullable \
                FROM d.information_schema.columns WHERE table_name = 'T' ORDER BY ordinal_position";
    let rows = admin.run(text).await.1;
    assert_eq!(rows[0], [cell("NUMBER"), None, cell("NO")]);
    assert_eq!(rows[1], [cell("TEXT"), cell("10"), cell("YES")]);
    for view in [
        "DATABASES",
        "SCHEMATA",
        "VIEWS",
        "STAGES",
        "FILE_FORMATS",
        "SEQUENCES",
        "APPLICABLE_ROLES",
        "ENABLED_ROLES",
        "OBJECT_PRIVILEGES",
        "TABLE_PRIVILEGES",
        "FUNCTIONS",
        "PROCEDURES",
        "PACKAGES",
        "LOAD_HISTORY",
        "TABLE_CONSTRAINTS",
        "REFERENTIAL_CONSTRAINTS",
        "MODELS",
        "MODEL_VERSIONS",
        "INFORMATION_SCHEMA_CATALOG_NAME",
    ] {
        admin.run(&format!("SELECT * FROM d.information_schema.{view}")).await;
        admin.run(&format!("DESC VIEW d.information_schema.{view}")).await;
    }
    assert_eq!(
        admin.fails("SELECT * FROM d.information_schema.nope").await.code,
        Code::ObjectNotFound
    );
    let text = "SELECT query_text, execution_status FROM \
                TABLE(d.information_schema.query_history_by_session(result_limit => 5)) \
                WHERE query_text LIKE '%nope%'";
    // The statement that asks is there too, as it holds the word.
    let rows = admin.run(text).await.1;
    assert_eq!((&rows[0][1], &rows[1][1]), (&cell("RUNNING"), &cell("FAILED_WITH_ERROR")));
    let text = "SELECT DISTINCT user_name FROM TABLE(d.information_schema.login_history())";
    assert_eq!(admin.run(text).await.1, [vec![cell("ADMIN")]]);
    let error = admin
        .fails("SELECT * FROM TABLE(d.information_schema.query_history(result_limit => 0))")
        .await;
    assert_eq!(error.code, Code::InvalidArgument);
}

/// The only file below a folder.
fn only_file(folder: &Path) -> PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Two backups at once into one folder would take each other's copy of the catalog for theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_backup_at_a_time_goes_into_a_folder() {
    let account = Account::open().await;
    let folder = account._directory.path();
    let backups = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (|_| {}, |_| {});
    let (first, second) = tokio::join!(
        backup::backup(folder, backups.path(), &mut one),
        backup::backup(folder, backups.path(), &mut other)
    );
    first.unwrap();
    let shared = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    // Both hold password hashes and all data.
    let apart = tempfile::tempdir().unwrap();
    let (made, restored) = (apart.path().join("a/backup"), apart.path().join("restored"));
    backup::backup(folder, &made, &mut |_| {}).await.unwrap();
    backup::restore(&made, None, &restored, &mut |_| {}).await.unwrap();
    assert_eq!((shared(&made), shared(&restored)), (0, 0));
    let error = second.unwrap_err().to_string();
    assert!(error.contains("another backup") && error.contains("is running"), "{error}");
    let again = backup::backup(folder, backups.path(), &mut |_| {}).await;
    assert_eq!(again.map(|_| backup::list(backups.path()).unwrap().len()).unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_model_file_is_found_and_no_backup_is_taken_of_it() {
    let account = Account::open().await;
    let admin = account.admin().await;
    for text in [
        "CREATE DATABASE d",
        "CREATE TABLE points (x FLOAT, y FLOAT)",
        "INSERT INTO points SELECT SEQ4()::FLOAT, 3 * SEQ4()::FLOAT FROM \
         TABLE(GENERATOR(ROWCOUNT => 50))",
        "CREATE MODEL line USING LINEAR TARGET y AS SELECT x, y FROM points",
    ] {
        admin.run(text).await;
    }
    let folder = account._directory.path();
    assert_eq!(inspect(folder).await.unwrap(), [""; 0]);
    let backups = tempfile::tempdir().unwrap();
    let mut ignored = |_| {};
    backup::backup(folder, backups.path(), &mut ignored).await.unwrap();
    let file = only_file(&folder.join("models"));
    std::fs::remove_file(&file).unwrap();
    let digest = file.file_stem().unwrap().to_string_lossy().into_owned();
    let digest = digest.split('.').next().unwrap();
    assert_eq!(inspect(folder).await.unwrap(), [format!("missing model file: {digest}")]);
    let error = backup::backup(folder, backups.path(), &mut ignored).await.unwrap_err();
    assert!(error.to_string().contains(digest), "{error}");
    account.engine.check_health().await.unwrap();
}
