//! The cases of grants, of looking at objects, and of files.

use crate::cases::*;

pub fn grants() -> Vec<Case> {
    const OWN_TABLE: &[&[&str]] = &[MANAGE, &["OWNERSHIP ON TABLE d.s.{o}t"]];
    const OWN_ROLE: &[&[&str]] = &[MANAGE, &["OWNERSHIP ON ROLE {o}r"]];
    const ROLE_AND_OTHER: &[&str] = &["CREATE ROLE {o}r", "CREATE ROLE {c}r"];
    const SCHEMA_AND_TABLE: &[&str] = &["CREATE SCHEMA d.{o}s", "CREATE TABLE d.{o}s.t (a INT)"];
    vec![
        needs(&[], "GRANT CREATE ROLE ON ACCOUNT TO ROLE {r}", &[MANAGE]),
        needs(TABLE, "GRANT SELECT ON TABLE d.s.{o}t TO ROLE public", OWN_TABLE),
        needs(TABLE, "GRANT ALL ON TABLE d.s.{o}t TO ROLE public", OWN_TABLE),
        needs(
            &[
                "CREATE TABLE d.s.{o}t (a INT)",
                "CREATE ROLE {c}r",
                "GRANT SELECT ON TABLE d.s.{o}t TO ROLE {c}r",
            ],
            "REVOKE SELECT ON TABLE d.s.{o}t FROM ROLE {c}r",
            OWN_TABLE,
        )
        .told(),
        needs(
            SCHEMA_AND_TABLE,
            "GRANT SELECT ON ALL TABLES IN SCHEMA d.{o}s TO ROLE public",
            &[MANAGE],
        ),
        needs(
            SCHEMA_AND_TABLE,
            "GRANT SELECT ON FUTURE TABLES IN SCHEMA d.{o}s TO ROLE public",
            &[MANAGE],
        ),
        needs(
            SCHEMA_AND_TABLE,
            "REVOKE SELECT ON FUTURE TABLES IN SCHEMA d.{o}s FROM ROLE public",
            &[MANAGE],
        ),
        needs(
            TABLE,
            "GRANT OWNERSHIP ON TABLE d.s.{o}t TO ROLE {r} REVOKE CURRENT GRANTS",
            OWN_TABLE,
        ),
        needs(ROLE_AND_OTHER, "GRANT ROLE {o}r TO ROLE {c}r", OWN_ROLE).told(),
        needs(ROLE_AND_OTHER, "REVOKE ROLE {o}r FROM ROLE {c}r", OWN_ROLE).told(),
        needs(
            &["CREATE DATABASE ROLE d.{o}dr", "CREATE ROLE {c}r"],
            "GRANT DATABASE ROLE d.{o}dr TO ROLE {c}r",
            &[MANAGE, &["OWNERSHIP ON DATABASE ROLE d.{o}dr"]],
        )
        .told(),
        needs(
            &["CREATE DATABASE ROLE d.{o}dr", "CREATE USER {c}u"],
            "GRANT DATABASE ROLE d.{o}dr TO USER {c}u",
            &[MANAGE, &["OWNERSHIP ON DATABASE ROLE d.{o}dr"]],
        )
        .told(),
        needs(
            DATABASE_ROLE,
            "GRANT USAGE ON DATABASE ROLE d.{o}dr TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON DATABASE ROLE d.{o}dr"]],
        ),
        needs(
            DATABASE,
            "GRANT USAGE ON DATABASE {o}db TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON DATABASE {o}db"]],
        ),
        needs(
            SCHEMA,
            "GRANT USAGE ON SCHEMA d.{o}s TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON SCHEMA d.{o}s"]],
        ),
        needs(
            VIEW,
            "GRANT SELECT ON VIEW d.s.{o}v TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON VIEW d.s.{o}v"]],
        ),
        needs(
            STAGE,
            "GRANT READ ON STAGE d.s.{o}st TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON STAGE d.s.{o}st"]],
        ),
        needs(
            FORMAT,
            "GRANT USAGE ON FILE FORMAT d.s.{o}ff TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON FILE FORMAT d.s.{o}ff"]],
        ),
        needs(
            SEQUENCE,
            "GRANT USAGE ON SEQUENCE d.s.{o}seq TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON SEQUENCE d.s.{o}seq"]],
        ),
        needs(
            MODEL,
            "GRANT USAGE ON MODEL d.s.{o}m TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON MODEL d.s.{o}m"]],
        ),
        needs(
            ENDPOINT,
            "GRANT USAGE ON ENDPOINT {o}e TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON ENDPOINT {o}e"]],
        ),
        needs(
            WAREHOUSE,
            "GRANT USAGE ON WAREHOUSE {o}w TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON WAREHOUSE {o}w"]],
        ),
        needs(
            RESOURCE_MONITOR,
            "GRANT MODIFY ON RESOURCE MONITOR {o}m TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON RESOURCE MONITOR {o}m"]],
        ),
        needs(
            USER,
            "GRANT MONITOR ON USER {o}u TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON USER {o}u"]],
        ),
        needs(
            ROLE,
            "GRANT USAGE ON ROLE {o}r TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON ROLE {o}r"]],
        ),
    ]
}

pub fn lookups() -> Vec<Case> {
    const ANY_TABLE: &[&[&str]] = &[&["ANY ON TABLE d.s.{o}t"]];
    const ANY_VIEW: &[&[&str]] = &[&["ANY ON VIEW d.s.{o}v"]];
    const ANY_STAGE: &[&[&str]] = &[&["ANY ON STAGE d.s.{o}st"]];
    const ANY_FORMAT: &[&[&str]] = &[&["ANY ON FILE FORMAT d.s.{o}ff"]];
    const ANY_SEQUENCE: &[&[&str]] = &[&["ANY ON SEQUENCE d.s.{o}seq"]];
    const ANY_MODEL: &[&[&str]] = &[&["ANY ON MODEL d.s.{o}m"]];
    const ANY_SCHEMA: &[&[&str]] = &[&["ANY ON SCHEMA d.{o}s"]];
    const ANY_DATABASE: &[&[&str]] = &[&["ANY ON DATABASE {o}db"]];
    const ANY_WAREHOUSE: &[&[&str]] = &[&["ANY ON WAREHOUSE {o}w"]];
    const ANY_ENDPOINT: &[&[&str]] = &[&["ANY ON ENDPOINT {o}e"]];
    const ANY_USER: &[&[&str]] = &[&["ANY ON USER {o}u"]];
    const ANY_ROLE: &[&[&str]] = &[&["ANY ON ROLE {o}r"]];
    vec![
        needs(DATABASE, "USE DATABASE {o}db", &[&["USAGE ON DATABASE {o}db"]]).usable(),
        needs(DATABASE, "USE {o}db", &[&["USAGE ON DATABASE {o}db"]]).usable(),
        needs(SCHEMA, "USE SCHEMA d.{o}s", &[&["USAGE ON SCHEMA d.{o}s"]]).usable(),
        needs(WAREHOUSE, "USE WAREHOUSE {o}w", &[&["USAGE ON WAREHOUSE {o}w"]]).usable(),
        open("USE ROLE {r}"),
        open("USE SECONDARY ROLES NONE"),
        lists(TABLE, "SHOW TABLES IN ACCOUNT", ANY_TABLE),
        lists(TABLE, "SHOW OBJECTS IN ACCOUNT", ANY_TABLE),
        lists(TABLE, "SHOW COLUMNS IN ACCOUNT", ANY_TABLE),
        lists(TABLE, "SHOW TABLES IN SCHEMA d.s", ANY_TABLE),
        needs(TABLE, "SHOW COLUMNS IN TABLE d.s.{o}t", ANY_TABLE).hidden(2043),
        needs(SCHEMA, "SHOW TABLES IN SCHEMA d.{o}s", ANY_SCHEMA).hidden(2043),
        needs(DATABASE, "SHOW SCHEMAS IN DATABASE {o}db", ANY_DATABASE).hidden(2043),
        lists(VIEW, "SHOW VIEWS IN ACCOUNT", ANY_VIEW),
        lists(SCHEMA, "SHOW SCHEMAS IN ACCOUNT", ANY_SCHEMA),
        lists(DATABASE, "SHOW DATABASES", ANY_DATABASE),
        lists(STAGE, "SHOW STAGES IN ACCOUNT", ANY_STAGE),
        lists(FORMAT, "SHOW FILE FORMATS IN ACCOUNT", ANY_FORMAT),
        lists(SEQUENCE, "SHOW SEQUENCES IN ACCOUNT", ANY_SEQUENCE),
        lists(MODEL, "SHOW MODELS IN ACCOUNT", ANY_MODEL),
        needs(MODEL, "SHOW VERSIONS IN MODEL d.s.{o}m", ANY_MODEL),
        needs(MODEL, "SHOW FUNCTIONS IN MODEL d.s.{o}m", ANY_MODEL),
        lists(ENDPOINT, "SHOW ENDPOINTS", ANY_ENDPOINT),
        lists(WAREHOUSE, "SHOW WAREHOUSES", ANY_WAREHOUSE),
        lists(RESOURCE_MONITOR, "SHOW RESOURCE MONITORS", &[&["ANY ON RESOURCE MONITOR {o}m"]]),
        lists(USER, "SHOW USERS", ANY_USER),
        lists(ROLE, "SHOW ROLES", ANY_ROLE),
        needs(
            TOKEN,
            "SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER {o}u",
            &[&["OWNERSHIP ON USER {o}u"]],
        ),
        lists(
            DATABASE_ROLE,
            "SHOW DATABASE ROLES IN DATABASE d",
            &[&["ANY ON DATABASE ROLE d.{o}dr"]],
        ),
        needs(
            DATABASE_ROLE,
            "SHOW GRANTS OF DATABASE ROLE d.{o}dr",
            &[&["ANY ON DATABASE ROLE d.{o}dr"]],
        ),
        open("SHOW PARAMETERS"),
        open("SHOW VARIABLES"),
        open("SHOW TRANSACTIONS"),
        open("SHOW LOCKS"),
        open("SHOW FUNCTIONS"),
        open("SHOW BUILTIN FUNCTIONS"),
        open("SHOW GRANTS"),
        open("SHOW GRANTS ON ACCOUNT"),
        open("SHOW GRANTS TO ROLE {r}"),
        needs(TABLE, "SHOW GRANTS ON TABLE d.s.{o}t", ANY_TABLE),
        needs(SCHEMA, "SHOW FUTURE GRANTS IN SCHEMA d.{o}s", ANY_SCHEMA),
        needs(ROLE, "SHOW GRANTS TO ROLE {o}r", ANY_ROLE),
        needs(USER, "SHOW GRANTS TO USER {o}u", ANY_USER),
        needs(ROLE, "SHOW GRANTS OF ROLE {o}r", ANY_ROLE),
        needs(ROLE, "SHOW FUTURE GRANTS TO ROLE {o}r", ANY_ROLE),
        needs(TABLE, "DESCRIBE TABLE d.s.{o}t", ANY_TABLE),
        needs(VIEW, "DESCRIBE VIEW d.s.{o}v", ANY_VIEW),
        needs(VIEW, "DESCRIBE TABLE d.s.{o}v", ANY_VIEW),
        needs(SCHEMA, "DESCRIBE SCHEMA d.{o}s", ANY_SCHEMA).hidden(2043),
        needs(DATABASE, "DESCRIBE DATABASE {o}db", ANY_DATABASE).hidden(2043),
        needs(STAGE, "DESCRIBE STAGE d.s.{o}st", ANY_STAGE),
        needs(FORMAT, "DESCRIBE FILE FORMAT d.s.{o}ff", ANY_FORMAT),
        needs(SEQUENCE, "DESCRIBE SEQUENCE d.s.{o}seq", ANY_SEQUENCE),
        needs(MODEL, "DESCRIBE MODEL d.s.{o}m", ANY_MODEL),
        needs(ENDPOINT, "DESCRIBE ENDPOINT {o}e", ANY_ENDPOINT).hidden(2043),
        needs(WAREHOUSE, "DESCRIBE WAREHOUSE {o}w", ANY_WAREHOUSE).hidden(2043),
        needs(USER, "DESCRIBE USER {o}u", ANY_USER).hidden(2043),
        open("DESCRIBE RESULT LAST_QUERY_ID()"),
        // Own ones need nothing; this one is not there.
        open("DESCRIBE TRANSACTION 1").early(),
        needs(TABLE, "COMMENT ON TABLE d.s.{o}t IS 'c'", &[&["OWNERSHIP ON TABLE d.s.{o}t"]]),
        needs(TABLE, "COMMENT ON COLUMN d.s.{o}t.a IS 'c'", &[&["OWNERSHIP ON TABLE d.s.{o}t"]]),
        needs(VIEW, "COMMENT ON VIEW d.s.{o}v IS 'c'", &[&["OWNERSHIP ON VIEW d.s.{o}v"]]),
        needs(SCHEMA, "COMMENT ON SCHEMA d.{o}s IS 'c'", &[&["MODIFY ON SCHEMA d.{o}s"]]),
        needs(DATABASE, "COMMENT ON DATABASE {o}db IS 'c'", &[&["MODIFY ON DATABASE {o}db"]]),
        needs(STAGE, "COMMENT ON STAGE d.s.{o}st IS 'c'", &[&["OWNERSHIP ON STAGE d.s.{o}st"]]),
        needs(
            FORMAT,
            "COMMENT ON FILE FORMAT d.s.{o}ff IS 'c'",
            &[&["OWNERSHIP ON FILE FORMAT d.s.{o}ff"]],
        ),
        needs(
            SEQUENCE,
            "COMMENT ON SEQUENCE d.s.{o}seq IS 'c'",
            &[&["OWNERSHIP ON SEQUENCE d.s.{o}seq"]],
        ),
        needs(MODEL, "COMMENT ON MODEL d.s.{o}m IS 'c'", &[&["OWNERSHIP ON MODEL d.s.{o}m"]]),
        needs(ENDPOINT, "COMMENT ON ENDPOINT {o}e IS 'c'", &[&["OWNERSHIP ON ENDPOINT {o}e"]]),
        needs(WAREHOUSE, "COMMENT ON WAREHOUSE {o}w IS 'c'", &[&["MODIFY ON WAREHOUSE {o}w"]]),
        needs(ROLE, "COMMENT ON ROLE {o}r IS 'c'", &[&["OWNERSHIP ON ROLE {o}r"]]),
        needs(
            DATABASE_ROLE,
            "COMMENT ON DATABASE ROLE d.{o}dr IS 'c'",
            &[&["OWNERSHIP ON DATABASE ROLE d.{o}dr"]],
        ),
        needs(
            RESOURCE_MONITOR,
            "COMMENT ON RESOURCE MONITOR {o}m IS 'c'",
            &[&["OWNERSHIP ON RESOURCE MONITOR {o}m"]],
        ),
        needs(
            RESOURCE_MONITOR,
            "ALTER RESOURCE MONITOR {o}m SET CREDIT_QUOTA = 5",
            &[&["MODIFY ON RESOURCE MONITOR {o}m"]],
        ),
        quiet(RESOURCE_MONITOR, "ALTER RESOURCE MONITOR IF EXISTS {o}m SET CREDIT_QUOTA = 5"),
        needs(
            RESOURCE_MONITOR,
            "DROP RESOURCE MONITOR {o}m",
            &[&["OWNERSHIP ON RESOURCE MONITOR {o}m"]],
        ),
        needs(USER, "COMMENT ON USER {o}u IS 'c'", &[&["OWNERSHIP ON USER {o}u"]]),
    ]
}

pub fn files() -> Vec<Case> {
    const READ: &[&[&str]] = &[&["READ ON STAGE d.s.{o}st"]];
    const WRITE: &[&[&str]] = &[&["WRITE ON STAGE d.s.{o}st"]];
    vec![
        needs(STAGE, "PUT file:///tmp/x.csv @d.s.{o}st", WRITE),
        needs(STAGE, "GET @d.s.{o}st file:///tmp/", READ),
        needs(STAGE, "LIST @d.s.{o}st", READ),
        needs(STAGE, "REMOVE @d.s.{o}st", WRITE),
        needs(
            TABLE_AND_STAGE,
            "COPY INTO d.s.{o}t FROM @d.s.{o}st",
            &[&["INSERT ON TABLE d.s.{o}t", "READ ON STAGE d.s.{o}st"]],
        ),
        needs(
            TABLE_AND_STAGE,
            "COPY INTO d.s.{o}t FROM @d.s.{o}st PURGE = TRUE",
            &[&["INSERT ON TABLE d.s.{o}t", "READ ON STAGE d.s.{o}st", "WRITE ON STAGE d.s.{o}st"]],
        ),
        needs(
            TABLE_AND_STAGE,
            "COPY INTO d.s.{o}t FROM @d.s.{o}st FILE_FORMAT = (FORMAT_NAME = 'd.s.{o}ff')",
            &[&[
                "INSERT ON TABLE d.s.{o}t",
                "READ ON STAGE d.s.{o}st",
                "USAGE ON FILE FORMAT d.s.{o}ff",
            ]],
        ),
        needs(
            TABLE_AND_STAGE,
            "COPY INTO d.s.{o}t FROM (SELECT $1 FROM @d.s.{o}st)",
            &[&["INSERT ON TABLE d.s.{o}t", "READ ON STAGE d.s.{o}st"]],
        ),
        needs(TABLE, "COPY INTO d.s.{o}t", &[&["OWNERSHIP ON TABLE d.s.{o}t"]]),
        needs(
            TABLE_AND_STAGE,
            "COPY INTO @d.s.{o}st FROM d.s.{o}t",
            &[&["WRITE ON STAGE d.s.{o}st", "SELECT ON TABLE d.s.{o}t"]],
        ),
        needs(
            TABLE_AND_STAGE,
            "COPY INTO @d.s.{o}st FROM (SELECT a FROM d.s.{o}t)",
            &[&["WRITE ON STAGE d.s.{o}st", "SELECT ON TABLE d.s.{o}t"]],
        ),
    ]
}

pub fn clones() -> Vec<Case> {
    vec![
        needs(
            TABLE,
            "CREATE TABLE d.s.{c}t CLONE d.s.{o}t",
            &[&["CREATE TABLE ON SCHEMA d.s", "SELECT ON TABLE d.s.{o}t"]],
        ),
        needs(
            SCHEMA,
            "CREATE SCHEMA d.{c}s CLONE d.{o}s",
            &[&["CREATE SCHEMA ON DATABASE d", "USAGE ON SCHEMA d.{o}s"]],
        ),
        needs(
            DATABASE,
            "CREATE DATABASE {c}db CLONE {o}db",
            &[&["CREATE DATABASE ON ACCOUNT", "USAGE ON DATABASE {o}db"]],
        ),
    ]
}

pub fn keys() -> Vec<Case> {
    const TWO_DATABASES: &[&str] = &["CREATE DATABASE {o}db", "CREATE DATABASE {o}other"];
    const KEYS: &[&str] = &[
        "CREATE TABLE d.s.{o}t (a INT PRIMARY KEY, b VARCHAR) CLUSTER BY (a)",
        "CREATE TABLE d.s.{o}u (a INT UNIQUE)",
    ];
    let own = |action| needs(KEYS, action, &[&["OWNERSHIP ON TABLE d.s.{o}t"]]);
    vec![
        needs(
            KEYS,
            "ALTER TABLE d.s.{o}t ADD FOREIGN KEY (a) REFERENCES d.s.{o}u (a)",
            &[&["OWNERSHIP ON TABLE d.s.{o}t", "REFERENCES ON TABLE d.s.{o}u"]],
        ),
        own("ALTER TABLE d.s.{o}t DROP PRIMARY KEY"),
        own("ALTER TABLE d.s.{o}t ADD UNIQUE (b)"),
        own("ALTER TABLE d.s.{o}t SUSPEND RECLUSTER"),
        own("ALTER TABLE d.s.{o}t RESUME RECLUSTER"),
        needs(
            DATABASE,
            "ALTER DATABASE {o}db RENAME TO {c}db",
            &[&["OWNERSHIP ON DATABASE {o}db", "CREATE DATABASE ON ACCOUNT"]],
        ),
        needs(
            TWO_DATABASES,
            "ALTER DATABASE {o}db SWAP WITH {o}other",
            &[&["OWNERSHIP ON DATABASE {o}db", "OWNERSHIP ON DATABASE {o}other"]],
        ),
    ]
}
