//! What each kind of statement takes, from Snowflake's tables of required privileges; Frazil's own
//! statements (models, endpoints) from docs/.

use crate::access_cases::{clones, files, grants, keys, lookups};
use crate::policy_cases::policies_in_definitions;
use crate::tag_cases::tags;

/// What a statement does once it is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It runs.
    Allowed,
    /// It gets as far as this error, which says nothing of privileges.
    Until(u32),
    /// It lists the object, and without the privilege lists all but the object.
    Lists,
    /// Every role may.
    Open,
    /// Nobody may: the statement is refused by name.
    Unsupported,
}

#[derive(Debug, Clone)]
pub struct Case {
    /// What the administrator does before.
    pub prepare: &'static [&'static str],
    pub sql: &'static str,
    /// Sets of privileges, each of which suffices and has no part too many.
    pub least: &'static [&'static [&'static str]],
    pub expected: Expected,
    /// Code for an object that the role may not know of.
    pub hidden: u32,
    /// Without USAGE the object is as good as absent, whatever else is held.
    pub usable: bool,
    /// The statement tells that an object exists, as Snowflake's does.
    pub told: bool,
    /// The error it ends in comes before that of another privilege.
    pub early: bool,
}

impl Case {
    pub fn until(mut self, code: u32) -> Case {
        self.expected = Expected::Until(code);
        self
    }

    pub fn hidden(mut self, code: u32) -> Case {
        self.hidden = code;
        self
    }

    pub fn usable(mut self) -> Case {
        self.usable = true;
        self.hidden = 2043;
        self
    }

    pub fn early(mut self) -> Case {
        self.early = true;
        self
    }

    pub fn told(mut self) -> Case {
        self.told = true;
        self
    }
}

pub fn needs(
    prepare: &'static [&'static str],
    sql: &'static str,
    least: &'static [&'static [&'static str]],
) -> Case {
    Case {
        prepare,
        sql,
        least,
        expected: Expected::Allowed,
        hidden: 2003,
        usable: false,
        told: false,
        early: false,
    }
}

pub fn lists(
    prepare: &'static [&'static str],
    sql: &'static str,
    least: &'static [&'static [&'static str]],
) -> Case {
    Case { expected: Expected::Lists, ..needs(prepare, sql, least) }
}

pub fn open(sql: &'static str) -> Case {
    Case { expected: Expected::Open, ..needs(&[], sql, &[]) }
}

/// `IF EXISTS` and the like: nothing is done to a hidden object, and nothing is said of it.
pub fn quiet(prepare: &'static [&'static str], sql: &'static str) -> Case {
    Case { expected: Expected::Open, ..needs(prepare, sql, &[]) }
}

pub fn unsupported(prepare: &'static [&'static str], sql: &'static str) -> Case {
    Case { expected: Expected::Unsupported, ..needs(prepare, sql, &[]) }
}

pub const TABLE: &[&str] = &["CREATE TABLE d.s.{o}t (a INT, b VARCHAR) AS SELECT 1, 'x'"];
pub const TWO: &[&str] =
    &["CREATE TABLE d.s.{o}t (a INT, b VARCHAR)", "CREATE TABLE d.s.{o}u (a INT, b VARCHAR)"];
pub const VIEW: &[&str] =
    &["CREATE TABLE d.s.{c}t (a INT)", "CREATE VIEW d.s.{o}v AS SELECT a FROM d.s.{c}t"];
pub const SECURE_VIEW: &[&str] =
    &["CREATE TABLE d.s.{c}t (a INT)", "CREATE SECURE VIEW d.s.{o}v AS SELECT a FROM d.s.{c}t"];
pub const STAGE: &[&str] = &["CREATE STAGE d.s.{o}st"];
pub const FORMAT: &[&str] = &["CREATE FILE FORMAT d.s.{o}ff TYPE = CSV"];
pub const STAGE_AND_FORMAT: &[&str] =
    &["CREATE STAGE d.s.{o}st", "CREATE FILE FORMAT d.s.{o}ff TYPE = CSV"];
pub const TABLE_AND_STAGE: &[&str] = &[
    "CREATE TABLE d.s.{o}t (a INT)",
    "CREATE STAGE d.s.{o}st",
    "CREATE FILE FORMAT d.s.{o}ff TYPE = CSV",
];
pub const SEQUENCE: &[&str] = &["CREATE SEQUENCE d.s.{o}seq"];
pub const POINTS: &[&str] =
    &["CREATE TABLE d.s.{o}p AS SELECT SEQ4()::FLOAT AS x, 2 * SEQ4()::FLOAT AS y \
                           FROM TABLE(GENERATOR(ROWCOUNT => 20))"];
pub const MODEL: &[&str] = &[
    "CREATE TABLE d.s.{o}p AS SELECT SEQ4()::FLOAT AS x, 2 * SEQ4()::FLOAT AS y \
     FROM TABLE(GENERATOR(ROWCOUNT => 20))",
    "CREATE MODEL d.s.{o}m WITH VERSION v1 USING LINEAR TARGET y AS SELECT x, y FROM d.s.{o}p",
];
pub const ENDPOINT: &[&str] = &[
    "CREATE TABLE d.s.{c}p AS SELECT SEQ4()::FLOAT AS x, 2 * SEQ4()::FLOAT AS y \
     FROM TABLE(GENERATOR(ROWCOUNT => 20))",
    "CREATE MODEL d.s.{c}m WITH VERSION v1 USING LINEAR TARGET y AS SELECT x, y FROM d.s.{c}p",
    "CREATE ENDPOINT {o}e FROM MODEL d.s.{c}m",
];
pub const MASK: &[&str] = &["CREATE MASKING POLICY d.s.{o}mp AS (v INT) RETURNS INT -> 0"];
pub const ROWS: &[&str] =
    &["CREATE ROW ACCESS POLICY d.s.{o}rp AS (v INT) RETURNS BOOLEAN -> TRUE"];
pub const MASK_AND_TABLE: &[&str] = &[
    "CREATE MASKING POLICY d.s.{o}mp AS (v INT) RETURNS INT -> 0",
    "CREATE TABLE d.s.{o}t (a INT)",
];
pub const MASKED: &[&str] = &[
    "CREATE MASKING POLICY d.s.{o}mp AS (v INT) RETURNS INT -> 0",
    "CREATE TABLE d.s.{o}t (a INT)",
    "ALTER TABLE d.s.{o}t ALTER COLUMN a SET MASKING POLICY d.s.{o}mp",
];
pub const ROWS_AND_TABLE: &[&str] = &[
    "CREATE ROW ACCESS POLICY d.s.{o}rp AS (v INT) RETURNS BOOLEAN -> TRUE",
    "CREATE TABLE d.s.{o}t (a INT)",
];
pub const FILTERED: &[&str] = &[
    "CREATE ROW ACCESS POLICY d.s.{o}rp AS (v INT) RETURNS BOOLEAN -> TRUE",
    "CREATE TABLE d.s.{o}t (a INT)",
    "ALTER TABLE d.s.{o}t ADD ROW ACCESS POLICY d.s.{o}rp ON (a)",
];
pub const SCHEMA: &[&str] = &["CREATE SCHEMA d.{o}s"];
pub const TWO_SCHEMAS: &[&str] = &["CREATE SCHEMA d.{o}s", "CREATE SCHEMA d.{o}two"];
pub const DATABASE: &[&str] = &["CREATE DATABASE {o}db"];
pub const WAREHOUSE: &[&str] = &["CREATE WAREHOUSE {o}w"];
pub const RESOURCE_MONITOR: &[&str] = &["CREATE RESOURCE MONITOR {o}m"];
pub const ROLE: &[&str] = &["CREATE ROLE {o}r"];
pub const DATABASE_ROLE: &[&str] = &["CREATE DATABASE ROLE d.{o}dr"];
pub const USER: &[&str] = &["CREATE USER {o}u"];
pub const TOKEN: &[&str] = &["CREATE USER {o}u", "ALTER USER {o}u ADD PROGRAMMATIC ACCESS TOKEN t"];

pub const MANAGE: &[&str] = &["MANAGE GRANTS ON ACCOUNT"];

pub fn cases() -> Vec<Case> {
    [
        queries(),
        changes(),
        creates(),
        clones(),
        keys(),
        alters(),
        policies(),
        tags(),
        policies_in_definitions(),
        drops(),
        grants(),
        lookups(),
        files(),
    ]
    .concat()
}

fn queries() -> Vec<Case> {
    const SELECT: &[&[&str]] = &[&["SELECT ON TABLE d.s.{o}t"]];
    const SELECT_VIEW: &[&[&str]] = &[&["SELECT ON VIEW d.s.{o}v"]];
    const PREDICT: &[&[&str]] = &[&["USAGE ON MODEL d.s.{o}m"]];
    vec![
        open("SELECT 1"),
        open("SELECT * FROM VALUES (1), (2)"),
        open("SELECT 1 FROM TABLE(GENERATOR(ROWCOUNT => 2))"),
        open("SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))"),
        needs(TABLE, "SELECT a FROM d.s.{o}t", SELECT),
        // Binding does not tell the columns of a table that is hidden.
        needs(TABLE, "SELECT missing FROM d.s.{o}t", SELECT).until(904).early(),
        needs(TABLE, "SELECT COUNT(*) FROM d.s.{o}t", SELECT),
        needs(TABLE, "SELECT (SELECT MAX(a) FROM d.s.{o}t)", SELECT),
        needs(TABLE, "SELECT 1 WHERE EXISTS (SELECT 1 FROM d.s.{o}t)", SELECT),
        needs(TABLE, "WITH q AS (SELECT * FROM d.s.{o}t) SELECT 1 FROM q", SELECT),
        needs(TABLE, "SELECT 1 UNION ALL SELECT a FROM d.s.{o}t", SELECT),
        needs(TABLE, "SELECT * FROM d.s.{o}t SAMPLE (10)", SELECT),
        needs(TABLE, "SELECT a FROM d.s.{o}t AT (OFFSET => 0)", SELECT),
        needs(
            TWO,
            "SELECT t.a FROM d.s.{o}t t JOIN d.s.{o}u u ON t.a = u.a",
            &[&["SELECT ON TABLE d.s.{o}t", "SELECT ON TABLE d.s.{o}u"]],
        ),
        needs(VIEW, "SELECT a FROM d.s.{o}v", SELECT_VIEW),
        needs(SECURE_VIEW, "SELECT a FROM d.s.{o}v", SELECT_VIEW),
        needs(VIEW, "SELECT a FROM d.s.{o}v AT (OFFSET => 0)", SELECT_VIEW).until(2).early(),
        needs(STAGE, "SELECT $1 FROM @d.s.{o}st", &[&["READ ON STAGE d.s.{o}st"]]).until(253006),
        needs(
            STAGE_AND_FORMAT,
            "SELECT $1 FROM @d.s.{o}st (FILE_FORMAT => 'd.s.{o}ff')",
            &[&["READ ON STAGE d.s.{o}st", "USAGE ON FILE FORMAT d.s.{o}ff"]],
        )
        .until(253006),
        needs(
            STAGE_AND_FORMAT,
            "SELECT * FROM TABLE(INFER_SCHEMA(LOCATION => '@d.s.{o}st', FILE_FORMAT => 'd.s.{o}ff'))",
            &[&["READ ON STAGE d.s.{o}st", "USAGE ON FILE FORMAT d.s.{o}ff"]],
        ),
        needs(SEQUENCE, "SELECT d.s.{o}seq.NEXTVAL", &[&["USAGE ON SEQUENCE d.s.{o}seq"]]),
        needs(MODEL, "SELECT d.s.{o}m!PREDICT(1::FLOAT)", PREDICT),
        needs(MODEL, "SELECT MODEL(d.s.{o}m, v1)!PREDICT(1::FLOAT)", PREDICT),
        needs(
            MODEL,
            "SELECT * FROM TABLE(MODEL_DRIFT(MODEL => 'd.s.{o}m', DATA => (SELECT x, y FROM d.s.{o}p)))",
            &[&["USAGE ON MODEL d.s.{o}m", "SELECT ON TABLE d.s.{o}p"]],
        ),
        needs(TABLE, "EXPLAIN SELECT a FROM d.s.{o}t", SELECT),
        needs(VIEW, "EXPLAIN SELECT a FROM d.s.{o}v", SELECT_VIEW),
        lists(
            TABLE,
            "SELECT table_name FROM d.information_schema.tables",
            &[&["ANY ON TABLE d.s.{o}t"]],
        ),
        lists(
            TABLE,
            "SELECT table_name, column_name FROM d.information_schema.columns",
            &[&["ANY ON TABLE d.s.{o}t"]],
        ),
        lists(
            VIEW,
            "SELECT table_name FROM d.information_schema.views",
            &[&["ANY ON VIEW d.s.{o}v"]],
        ),
        lists(
            SCHEMA,
            "SELECT schema_name FROM d.information_schema.schemata",
            &[&["ANY ON SCHEMA d.{o}s"]],
        ),
        lists(
            DATABASE,
            "SELECT database_name FROM d.information_schema.databases",
            &[&["ANY ON DATABASE {o}db"]],
        ),
        lists(
            STAGE,
            "SELECT stage_name FROM d.information_schema.stages",
            &[&["ANY ON STAGE d.s.{o}st"]],
        ),
        lists(
            FORMAT,
            "SELECT file_format_name FROM d.information_schema.file_formats",
            &[&["ANY ON FILE FORMAT d.s.{o}ff"]],
        ),
        lists(
            SEQUENCE,
            "SELECT sequence_name FROM d.information_schema.sequences",
            &[&["ANY ON SEQUENCE d.s.{o}seq"]],
        ),
    ]
}

fn changes() -> Vec<Case> {
    vec![
        needs(TABLE, "INSERT INTO d.s.{o}t VALUES (1, 'x')", &[&["INSERT ON TABLE d.s.{o}t"]]),
        needs(
            TWO,
            "INSERT INTO d.s.{o}t SELECT * FROM d.s.{o}u",
            &[&["INSERT ON TABLE d.s.{o}t", "SELECT ON TABLE d.s.{o}u"]],
        ),
        needs(
            TABLE,
            "INSERT OVERWRITE INTO d.s.{o}t VALUES (1, 'x')",
            &[&["INSERT ON TABLE d.s.{o}t", "DELETE ON TABLE d.s.{o}t"]],
        ),
        needs(TABLE, "UPDATE d.s.{o}t SET a = 2", &[&["UPDATE ON TABLE d.s.{o}t"]]),
        needs(
            TWO,
            "UPDATE d.s.{o}t SET a = u.a FROM d.s.{o}u u WHERE u.b = {o}t.b",
            &[&[
                "UPDATE ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}u",
            ]],
        ),
        needs(
            TWO,
            "UPDATE d.s.{o}t SET a = (SELECT MAX(a) FROM d.s.{o}u)",
            &[&["UPDATE ON TABLE d.s.{o}t", "SELECT ON TABLE d.s.{o}u"]],
        ),
        needs(TABLE, "DELETE FROM d.s.{o}t", &[&["DELETE ON TABLE d.s.{o}t"]]),
        needs(
            TWO,
            "DELETE FROM d.s.{o}t USING d.s.{o}u u WHERE u.a = {o}t.a",
            &[&[
                "DELETE ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}u",
            ]],
        ),
        needs(
            TWO,
            "DELETE FROM d.s.{o}t WHERE a IN (SELECT a FROM d.s.{o}u)",
            &[&[
                "DELETE ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}u",
            ]],
        ),
        needs(
            TWO,
            "MERGE INTO d.s.{o}t t USING d.s.{o}u u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = u.b",
            &[&[
                "UPDATE ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}u",
            ]],
        ),
        needs(
            TWO,
            "MERGE INTO d.s.{o}t t USING d.s.{o}u u ON t.a = u.a WHEN MATCHED THEN DELETE",
            &[&[
                "DELETE ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}u",
            ]],
        ),
        needs(
            TWO,
            "MERGE INTO d.s.{o}t t USING d.s.{o}u u ON t.a = u.a \
             WHEN NOT MATCHED THEN INSERT (a, b) VALUES (u.a, u.b)",
            &[&[
                "INSERT ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}u",
            ]],
        ),
        needs(
            TWO,
            "MERGE INTO d.s.{o}t t USING d.s.{o}u u ON t.a = u.a \
             WHEN MATCHED AND u.a = 1 THEN DELETE WHEN MATCHED THEN UPDATE ALL BY NAME \
             WHEN NOT MATCHED THEN INSERT ALL BY NAME",
            &[&[
                "INSERT ON TABLE d.s.{o}t",
                "UPDATE ON TABLE d.s.{o}t",
                "DELETE ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}t",
                "SELECT ON TABLE d.s.{o}u",
            ]],
        ),
        needs(
            TABLE,
            "TRUNCATE TABLE d.s.{o}t",
            &[&["TRUNCATE ON TABLE d.s.{o}t"], &["DELETE ON TABLE d.s.{o}t"]],
        ),
        quiet(TABLE, "TRUNCATE TABLE IF EXISTS d.s.{o}t"),
        open("BEGIN"),
        open("COMMIT"),
        open("BEGIN TRANSACTION NAME x"),
        open("ROLLBACK"),
        open("SET v = 1"),
        open("UNSET v"),
        needs(TABLE, "SET v = (SELECT MAX(a) FROM d.s.{o}t)", &[&["SELECT ON TABLE d.s.{o}t"]]),
        open("ALTER SESSION SET TIMEZONE = 'UTC'"),
        unsupported(&[], "CALL d.s.p()"),
        open("EXECUTE IMMEDIATE 'SELECT 1'"),
        needs(
            TABLE,
            "EXECUTE IMMEDIATE 'SELECT a FROM d.s.{o}t'",
            &[&["SELECT ON TABLE d.s.{o}t"]],
        ),
        needs(
            TWO,
            "INSERT ALL INTO d.s.{o}t (a) VALUES (x) SELECT a AS x FROM d.s.{o}u",
            &[&["INSERT ON TABLE d.s.{o}t", "SELECT ON TABLE d.s.{o}u"]],
        ),
    ]
}

fn creates() -> Vec<Case> {
    const CREATE_TABLE: &str = "CREATE TABLE ON SCHEMA d.s";
    vec![
        needs(&[], "CREATE TABLE d.s.{c}t (a INT)", &[&[CREATE_TABLE]]),
        needs(&[], "CREATE TRANSIENT TABLE d.s.{c}t (a INT)", &[&[CREATE_TABLE]]),
        open("CREATE TEMPORARY TABLE d.s.{c}t (a INT)"),
        needs(&[], "CREATE TABLE IF NOT EXISTS d.s.{c}t (a INT)", &[&[CREATE_TABLE]]),
        needs(
            TABLE,
            "CREATE OR REPLACE TABLE d.s.{o}t (a INT)",
            &[&[CREATE_TABLE, "OWNERSHIP ON TABLE d.s.{o}t"]],
        )
        .told(),
        needs(
            TABLE,
            "CREATE TABLE d.s.{c}t AS SELECT * FROM d.s.{o}t",
            &[&[CREATE_TABLE, "SELECT ON TABLE d.s.{o}t"]],
        ),
        needs(
            TABLE,
            "CREATE TABLE d.s.{c}t LIKE d.s.{o}t",
            &[&[CREATE_TABLE, "SELECT ON TABLE d.s.{o}t"]],
        ),
        needs(
            TABLE,
            "CREATE VIEW d.s.{c}v AS SELECT a FROM d.s.{o}t",
            &[&["CREATE VIEW ON SCHEMA d.s", "SELECT ON TABLE d.s.{o}t"]],
        ),
        needs(
            VIEW,
            "CREATE OR REPLACE VIEW d.s.{o}v AS SELECT 1 AS a",
            &[&["CREATE VIEW ON SCHEMA d.s", "OWNERSHIP ON VIEW d.s.{o}v"]],
        )
        .told(),
        needs(&[], "CREATE DATABASE {c}db", &[&["CREATE DATABASE ON ACCOUNT"]]),
        needs(
            DATABASE,
            "CREATE OR REPLACE DATABASE {o}db",
            &[&["CREATE DATABASE ON ACCOUNT", "OWNERSHIP ON DATABASE {o}db"]],
        )
        .told(),
        needs(&[], "CREATE SCHEMA d.{c}s", &[&["CREATE SCHEMA ON DATABASE d"]]),
        needs(
            SCHEMA,
            "CREATE OR REPLACE SCHEMA d.{o}s",
            &[&["CREATE SCHEMA ON DATABASE d", "OWNERSHIP ON SCHEMA d.{o}s"]],
        )
        .told(),
        needs(DATABASE, "CREATE SCHEMA {o}db.{c}s", &[&["CREATE SCHEMA ON DATABASE {o}db"]]),
        needs(SCHEMA, "CREATE TABLE d.{o}s.t (a INT)", &[&["CREATE TABLE ON SCHEMA d.{o}s"]]),
        needs(SCHEMA, "CREATE STAGE d.{o}s.st", &[&["CREATE STAGE ON SCHEMA d.{o}s"]]),
        needs(&[], "CREATE WAREHOUSE {c}w", &[&["CREATE WAREHOUSE ON ACCOUNT"]]),
        needs(
            WAREHOUSE,
            "CREATE OR REPLACE WAREHOUSE {o}w",
            &[&["CREATE WAREHOUSE ON ACCOUNT", "OWNERSHIP ON WAREHOUSE {o}w"]],
        )
        .told(),
        needs(&[], "CREATE ROLE {c}r", &[&["CREATE ROLE ON ACCOUNT"]]),
        needs(
            ROLE,
            "CREATE OR REPLACE ROLE {o}r",
            &[&["CREATE ROLE ON ACCOUNT", "OWNERSHIP ON ROLE {o}r"]],
        )
        .told()
        .hidden(2043),
        needs(&[], "CREATE DATABASE ROLE d.{c}dr", &[&["CREATE DATABASE ROLE ON DATABASE d"]]),
        needs(&[], "CREATE SCHEMA d.{c}s WITH MANAGED ACCESS", &[&["CREATE SCHEMA ON DATABASE d"]]),
        needs(&[], "CREATE USER {c}u", &[&["CREATE USER ON ACCOUNT"]]),
        needs(
            USER,
            "CREATE OR REPLACE USER {o}u",
            &[&["CREATE USER ON ACCOUNT", "OWNERSHIP ON USER {o}u"]],
        )
        .told()
        .hidden(2043),
        needs(&[], "CREATE STAGE d.s.{c}st", &[&["CREATE STAGE ON SCHEMA d.s"]]),
        open("CREATE TEMPORARY STAGE d.s.{c}st"),
        needs(
            STAGE,
            "CREATE OR REPLACE STAGE d.s.{o}st",
            &[&["CREATE STAGE ON SCHEMA d.s", "OWNERSHIP ON STAGE d.s.{o}st"]],
        )
        .told(),
        needs(
            &[],
            "CREATE FILE FORMAT d.s.{c}ff TYPE = CSV",
            &[&["CREATE FILE FORMAT ON SCHEMA d.s"]],
        ),
        needs(&[], "CREATE SEQUENCE d.s.{c}seq", &[&["CREATE SEQUENCE ON SCHEMA d.s"]]),
        needs(
            POINTS,
            "CREATE MODEL d.s.{c}m USING LINEAR TARGET y AS SELECT x, y FROM d.s.{o}p",
            &[&["CREATE MODEL ON SCHEMA d.s", "SELECT ON TABLE d.s.{o}p"]],
        ),
        needs(
            MODEL,
            "CREATE OR REPLACE MODEL d.s.{o}m USING LINEAR TARGET y AS SELECT x, y FROM d.s.{o}p",
            &[&[
                "CREATE MODEL ON SCHEMA d.s",
                "SELECT ON TABLE d.s.{o}p",
                "OWNERSHIP ON MODEL d.s.{o}m",
            ]],
        )
        .told(),
        needs(
            STAGE,
            "CREATE MODEL d.s.{c}m FROM @d.s.{o}st/m.json FORMAT = XGBOOST",
            &[&["CREATE MODEL ON SCHEMA d.s", "READ ON STAGE d.s.{o}st"]],
        )
        .until(253006),
        needs(
            MODEL,
            "CREATE ENDPOINT {c}e FROM MODEL d.s.{o}m",
            &[&["CREATE ENDPOINT ON ACCOUNT", "USAGE ON MODEL d.s.{o}m"]],
        ),
    ]
}

fn alters() -> Vec<Case> {
    const OWN_TABLE: &[&[&str]] = &[&["OWNERSHIP ON TABLE d.s.{o}t"]];
    const OWN_VIEW: &[&[&str]] = &[&["OWNERSHIP ON VIEW d.s.{o}v"]];
    const RENAME_SCHEMA: &[&[&str]] =
        &[&["OWNERSHIP ON SCHEMA d.{o}s", "CREATE SCHEMA ON DATABASE d"]];
    const SWAP_SCHEMAS: &[&[&str]] =
        &[&["OWNERSHIP ON SCHEMA d.{o}s", "OWNERSHIP ON SCHEMA d.{o}two"]];
    const OWN_USER: &[&[&str]] = &[&["OWNERSHIP ON USER {o}u"]];
    const OWN_MODEL: &[&[&str]] = &[&["OWNERSHIP ON MODEL d.s.{o}m"]];
    const OWN_STAGE: &[&[&str]] = &[&["OWNERSHIP ON STAGE d.s.{o}st"]];
    let mut cases = vec![
        needs(
            TABLE,
            "ALTER TABLE d.s.{o}t RENAME TO d.other.{c}t",
            &[&["OWNERSHIP ON TABLE d.s.{o}t", "CREATE TABLE ON SCHEMA d.other"]],
        ),
        needs(
            TWO,
            "ALTER TABLE d.s.{o}t SWAP WITH d.s.{o}u",
            &[&["OWNERSHIP ON TABLE d.s.{o}t", "OWNERSHIP ON TABLE d.s.{o}u"]],
        ),
        quiet(TABLE, "ALTER TABLE IF EXISTS d.s.{o}t RENAME TO d.s.{c}t"),
        needs(VIEW, "ALTER VIEW d.s.{o}v RENAME TO d.s.{c}v", OWN_VIEW),
        needs(VIEW, "ALTER VIEW d.s.{o}v SET SECURE", OWN_VIEW),
        needs(VIEW, "ALTER VIEW d.s.{o}v SET COMMENT = 'c'", OWN_VIEW),
        quiet(VIEW, "ALTER VIEW IF EXISTS d.s.{o}v SET SECURE"),
        needs(SCHEMA, "ALTER SCHEMA d.{o}s SET COMMENT = 'c'", &[&["MODIFY ON SCHEMA d.{o}s"]]),
        needs(SCHEMA, "ALTER SCHEMA d.{o}s UNSET COMMENT", &[&["MODIFY ON SCHEMA d.{o}s"]]),
        needs(SCHEMA, "ALTER SCHEMA d.{o}s RENAME TO d.{c}s", RENAME_SCHEMA),
        needs(TWO_SCHEMAS, "ALTER SCHEMA d.{o}s SWAP WITH d.{o}two", SWAP_SCHEMAS),
        needs(DATABASE, "ALTER DATABASE {o}db SET COMMENT = 'c'", &[&["MODIFY ON DATABASE {o}db"]]),
        needs(ROLE, "ALTER ROLE {o}r SET COMMENT = 'c'", &[&["OWNERSHIP ON ROLE {o}r"]]),
        needs(ROLE, "ALTER ROLE {o}r RENAME TO {c}r", &[&["OWNERSHIP ON ROLE {o}r"]]),
        needs(
            DATABASE_ROLE,
            "ALTER DATABASE ROLE d.{o}dr RENAME TO d.{c}dr",
            &[&["OWNERSHIP ON DATABASE ROLE d.{o}dr"]],
        ),
        needs(
            SCHEMA,
            "ALTER SCHEMA d.{o}s ENABLE MANAGED ACCESS",
            &[&["OWNERSHIP ON SCHEMA d.{o}s"]],
        ),
        needs(USER, "ALTER USER {o}u SET COMMENT = 'c'", OWN_USER),
        needs(USER, "ALTER USER {o}u SET PASSWORD = 'another long one'", OWN_USER),
        needs(USER, "ALTER USER {o}u SET DISABLED = TRUE", OWN_USER),
        needs(USER, "ALTER USER {o}u ABORT ALL QUERIES", OWN_USER),
        unsupported(USER, "ALTER USER {o}u RESET PASSWORD"),
        needs(TOKEN, "ALTER USER {o}u ADD PROGRAMMATIC ACCESS TOKEN other", OWN_USER),
        needs(
            TOKEN,
            "ALTER USER {o}u MODIFY PROGRAMMATIC ACCESS TOKEN t SET COMMENT = 'c'",
            OWN_USER,
        ),
        needs(
            TOKEN,
            "ALTER USER {o}u MODIFY PROGRAMMATIC ACCESS TOKEN t RENAME TO other",
            OWN_USER,
        ),
        needs(TOKEN, "ALTER USER {o}u ROTATE PROGRAMMATIC ACCESS TOKEN t", OWN_USER),
        needs(TOKEN, "ALTER USER {o}u REMOVE PROGRAMMATIC ACCESS TOKEN t", OWN_USER),
        needs(STAGE, "ALTER STAGE d.s.{o}st SET COMMENT = 'c'", OWN_STAGE),
        needs(STAGE, "ALTER STAGE d.s.{o}st RENAME TO d.s.{c}st", OWN_STAGE),
        unsupported(STAGE, "ALTER STAGE d.s.{o}st REFRESH"),
        needs(
            FORMAT,
            "ALTER FILE FORMAT d.s.{o}ff SET SKIP_HEADER = 1",
            &[&["OWNERSHIP ON FILE FORMAT d.s.{o}ff"]],
        ),
        needs(
            SEQUENCE,
            "ALTER SEQUENCE d.s.{o}seq SET INCREMENT = 2",
            &[&["OWNERSHIP ON SEQUENCE d.s.{o}seq"]],
        ),
        needs(WAREHOUSE, "ALTER WAREHOUSE {o}w SUSPEND", &[&["OPERATE ON WAREHOUSE {o}w"]]),
        needs(
            &["CREATE WAREHOUSE {o}w INITIALLY_SUSPENDED = TRUE"],
            "ALTER WAREHOUSE {o}w RESUME",
            &[&["OPERATE ON WAREHOUSE {o}w"]],
        ),
        needs(
            WAREHOUSE,
            "ALTER WAREHOUSE {o}w ABORT ALL QUERIES",
            &[&["OPERATE ON WAREHOUSE {o}w"]],
        ),
        needs(
            WAREHOUSE,
            "ALTER WAREHOUSE {o}w SET COMMENT = 'c'",
            &[&["MODIFY ON WAREHOUSE {o}w"]],
        ),
        needs(WAREHOUSE, "ALTER WAREHOUSE {o}w UNSET COMMENT", &[&["MODIFY ON WAREHOUSE {o}w"]]),
        needs(
            WAREHOUSE,
            "ALTER WAREHOUSE {o}w RENAME TO {c}w",
            &[&["OWNERSHIP ON WAREHOUSE {o}w"]],
        ),
        quiet(WAREHOUSE, "ALTER WAREHOUSE IF EXISTS {o}w SUSPEND"),
        needs(
            MODEL,
            "ALTER MODEL d.s.{o}m ADD VERSION v2 USING LINEAR TARGET y AS SELECT x, y FROM d.s.{o}p",
            &[&["OWNERSHIP ON MODEL d.s.{o}m", "SELECT ON TABLE d.s.{o}p"]],
        ),
        needs(
            &[
                "CREATE TABLE d.s.{c}p AS SELECT SEQ4()::FLOAT AS x, 2 * SEQ4()::FLOAT AS y \
                 FROM TABLE(GENERATOR(ROWCOUNT => 20))",
                "CREATE MODEL d.s.{o}m USING LINEAR TARGET y AS SELECT x, y FROM d.s.{c}p",
                "CREATE STAGE d.s.{o}st",
            ],
            "ALTER MODEL d.s.{o}m ADD VERSION v2 FROM @d.s.{o}st/m.json FORMAT = XGBOOST",
            &[&["OWNERSHIP ON MODEL d.s.{o}m", "READ ON STAGE d.s.{o}st"]],
        )
        .until(253006),
        needs(MODEL, "ALTER MODEL d.s.{o}m SET DEFAULT_VERSION = v1", OWN_MODEL),
        needs(MODEL, "ALTER MODEL d.s.{o}m SET COMMENT = 'c'", OWN_MODEL),
        needs(MODEL, "ALTER MODEL d.s.{o}m UNSET COMMENT", OWN_MODEL),
        needs(MODEL, "ALTER MODEL d.s.{o}m VERSION v1 SET ALIAS = best", OWN_MODEL),
        needs(MODEL, "ALTER MODEL d.s.{o}m VERSION v1 UNSET ALIAS", OWN_MODEL),
        needs(MODEL, "ALTER MODEL d.s.{o}m MODIFY VERSION v1 SET COMMENT = 'c'", OWN_MODEL),
        needs(
            &[
                "CREATE TABLE d.s.{c}p AS SELECT SEQ4()::FLOAT AS x, 2 * SEQ4()::FLOAT AS y \
                 FROM TABLE(GENERATOR(ROWCOUNT => 20))",
                "CREATE MODEL d.s.{o}m WITH VERSION v1 USING LINEAR TARGET y AS SELECT x, y FROM d.s.{c}p",
                "ALTER MODEL d.s.{o}m ADD VERSION v2 USING LINEAR TARGET y AS SELECT x, y FROM d.s.{c}p",
            ],
            "ALTER MODEL d.s.{o}m DROP VERSION v2",
            OWN_MODEL,
        ),
        needs(
            MODEL,
            "ALTER MODEL d.s.{o}m RENAME TO d.other.{c}m",
            &[&["OWNERSHIP ON MODEL d.s.{o}m", "CREATE MODEL ON SCHEMA d.other"]],
        ),
        quiet(MODEL, "ALTER MODEL IF EXISTS d.s.{o}m SET COMMENT = 'c'"),
        needs(ENDPOINT, "ALTER ENDPOINT {o}e SET VERSION v1", &[&["OPERATE ON ENDPOINT {o}e"]]),
        needs(ENDPOINT, "ALTER ENDPOINT {o}e UNSET VERSION", &[&["OPERATE ON ENDPOINT {o}e"]]),
        quiet(ENDPOINT, "ALTER ENDPOINT IF EXISTS {o}e UNSET VERSION"),
        unsupported(ENDPOINT, "ALTER ENDPOINT {o}e RENAME TO {c}e"),
        unsupported(ENDPOINT, "ALTER ENDPOINT {o}e SUSPEND"),
        unsupported(ENDPOINT, "ALTER ENDPOINT {o}e RESUME"),
        unsupported(ENDPOINT, "ALTER ENDPOINT {o}e SET COMMENT = 'c'"),
        unsupported(ENDPOINT, "ALTER ENDPOINT {o}e UNSET COMMENT"),
    ];
    for action in [
        "ALTER TABLE d.s.{o}t RENAME TO d.s.{c}t",
        "ALTER TABLE d.s.{o}t ADD COLUMN c INT",
        "ALTER TABLE d.s.{o}t DROP COLUMN a",
        "ALTER TABLE d.s.{o}t RENAME COLUMN a TO c",
        "ALTER TABLE d.s.{o}t ALTER COLUMN a SET NOT NULL",
        "ALTER TABLE d.s.{o}t ALTER COLUMN a DROP NOT NULL",
        "ALTER TABLE d.s.{o}t ALTER COLUMN b SET DATA TYPE VARCHAR(16777216)",
        "ALTER TABLE d.s.{o}t ALTER COLUMN a DROP DEFAULT",
        "ALTER TABLE d.s.{o}t ALTER COLUMN a COMMENT 'c'",
        "ALTER TABLE d.s.{o}t ALTER COLUMN a UNSET COMMENT",
        "ALTER TABLE d.s.{o}t SET COMMENT = 'c'",
        "ALTER TABLE d.s.{o}t UNSET COMMENT",
        "ALTER TABLE d.s.{o}t CLUSTER BY (a)",
        "ALTER TABLE d.s.{o}t DROP CLUSTERING KEY",
    ] {
        cases.push(needs(TABLE, action, OWN_TABLE));
    }
    cases.push(needs(TABLE, "ALTER TABLE d.s.{o}t ALTER COLUMN a SET DEFAULT 1", OWN_TABLE));
    cases
}

fn policies() -> Vec<Case> {
    const OWN_MASK: &[&[&str]] = &[&["OWNERSHIP ON MASKING POLICY d.s.{o}mp"]];
    vec![
        needs(
            &[],
            "CREATE MASKING POLICY d.s.{c}mp AS (v INT) RETURNS INT -> 0",
            &[&["CREATE MASKING POLICY ON SCHEMA d.s"]],
        ),
        needs(
            &[],
            "CREATE ROW ACCESS POLICY d.s.{c}rp AS (v INT) RETURNS BOOLEAN -> TRUE",
            &[&["CREATE ROW ACCESS POLICY ON SCHEMA d.s"]],
        ),
        needs(MASK, "ALTER MASKING POLICY d.s.{o}mp SET BODY -> 1", OWN_MASK),
        needs(MASK, "ALTER MASKING POLICY d.s.{o}mp RENAME TO d.s.{c}mp", OWN_MASK),
        needs(MASK, "ALTER MASKING POLICY d.s.{o}mp SET COMMENT = 'c'", OWN_MASK),
        needs(
            ROWS,
            "ALTER ROW ACCESS POLICY d.s.{o}rp SET BODY -> FALSE",
            &[&["OWNERSHIP ON ROW ACCESS POLICY d.s.{o}rp"]],
        ),
        needs(
            MASK_AND_TABLE,
            "ALTER TABLE d.s.{o}t ALTER COLUMN a SET MASKING POLICY d.s.{o}mp FORCE",
            &[&["APPLY ON MASKING POLICY d.s.{o}mp", "OWNERSHIP ON TABLE d.s.{o}t"]],
        ),
        needs(
            MASKED,
            "ALTER TABLE d.s.{o}t ALTER COLUMN a UNSET MASKING POLICY",
            &[&["APPLY ON MASKING POLICY d.s.{o}mp", "OWNERSHIP ON TABLE d.s.{o}t"]],
        ),
        needs(
            ROWS_AND_TABLE,
            "ALTER TABLE d.s.{o}t ADD ROW ACCESS POLICY d.s.{o}rp ON (a)",
            &[&["APPLY ON ROW ACCESS POLICY d.s.{o}rp", "OWNERSHIP ON TABLE d.s.{o}t"]],
        ),
        needs(
            FILTERED,
            "ALTER TABLE d.s.{o}t DROP ROW ACCESS POLICY d.s.{o}rp",
            &[&["APPLY ON ROW ACCESS POLICY d.s.{o}rp", "OWNERSHIP ON TABLE d.s.{o}t"]],
        ),
        needs(
            FILTERED,
            "ALTER TABLE d.s.{o}t DROP ALL ROW ACCESS POLICIES",
            &[&["APPLY ON ROW ACCESS POLICY d.s.{o}rp", "OWNERSHIP ON TABLE d.s.{o}t"]],
        ),
        needs(MASK, "DROP MASKING POLICY d.s.{o}mp", OWN_MASK),
        needs(
            ROWS,
            "DROP ROW ACCESS POLICY d.s.{o}rp",
            &[&["OWNERSHIP ON ROW ACCESS POLICY d.s.{o}rp"]],
        ),
        needs(
            MASK,
            "DESCRIBE MASKING POLICY d.s.{o}mp",
            &[&["APPLY ON MASKING POLICY d.s.{o}mp"], &["OWNERSHIP ON MASKING POLICY d.s.{o}mp"]],
        ),
        needs(
            ROWS,
            "DESCRIBE ROW ACCESS POLICY d.s.{o}rp",
            &[&["APPLY ON ROW ACCESS POLICY d.s.{o}rp"]],
        ),
        needs(MASK, "COMMENT ON MASKING POLICY d.s.{o}mp IS 'c'", OWN_MASK),
        needs(
            ROWS,
            "COMMENT ON ROW ACCESS POLICY d.s.{o}rp IS 'c'",
            &[&["OWNERSHIP ON ROW ACCESS POLICY d.s.{o}rp"]],
        ),
        lists(MASK, "SHOW MASKING POLICIES IN ACCOUNT", &[&["APPLY ON MASKING POLICY d.s.{o}mp"]]),
        lists(
            ROWS,
            "SHOW ROW ACCESS POLICIES IN ACCOUNT",
            &[&["APPLY ON ROW ACCESS POLICY d.s.{o}rp"]],
        ),
        needs(
            MASK,
            "GRANT APPLY ON MASKING POLICY d.s.{o}mp TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON MASKING POLICY d.s.{o}mp"]],
        ),
        needs(
            ROWS,
            "GRANT APPLY ON ROW ACCESS POLICY d.s.{o}rp TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON ROW ACCESS POLICY d.s.{o}rp"]],
        ),
    ]
}

fn drops() -> Vec<Case> {
    vec![
        needs(TABLE, "DROP TABLE d.s.{o}t", &[&["OWNERSHIP ON TABLE d.s.{o}t"]]),
        needs(VIEW, "DROP VIEW d.s.{o}v", &[&["OWNERSHIP ON VIEW d.s.{o}v"]]),
        needs(SCHEMA, "DROP SCHEMA d.{o}s", &[&["OWNERSHIP ON SCHEMA d.{o}s"]]),
        needs(DATABASE, "DROP DATABASE {o}db", &[&["OWNERSHIP ON DATABASE {o}db"]]),
        needs(STAGE, "DROP STAGE d.s.{o}st", &[&["OWNERSHIP ON STAGE d.s.{o}st"]]),
        needs(FORMAT, "DROP FILE FORMAT d.s.{o}ff", &[&["OWNERSHIP ON FILE FORMAT d.s.{o}ff"]]),
        needs(SEQUENCE, "DROP SEQUENCE d.s.{o}seq", &[&["OWNERSHIP ON SEQUENCE d.s.{o}seq"]]),
        needs(MODEL, "DROP MODEL d.s.{o}m", &[&["OWNERSHIP ON MODEL d.s.{o}m"]]),
        needs(ENDPOINT, "DROP ENDPOINT {o}e", &[&["OWNERSHIP ON ENDPOINT {o}e"]]),
        needs(WAREHOUSE, "DROP WAREHOUSE {o}w", &[&["OWNERSHIP ON WAREHOUSE {o}w"]]),
        needs(ROLE, "DROP ROLE {o}r", &[&["OWNERSHIP ON ROLE {o}r"]]),
        needs(
            DATABASE_ROLE,
            "DROP DATABASE ROLE d.{o}dr",
            &[&["OWNERSHIP ON DATABASE ROLE d.{o}dr"]],
        ),
        needs(USER, "DROP USER {o}u", &[&["OWNERSHIP ON USER {o}u"]]),
        quiet(TABLE, "DROP TABLE IF EXISTS d.s.{o}t"),
        quiet(VIEW, "DROP VIEW IF EXISTS d.s.{o}v"),
        quiet(SCHEMA, "DROP SCHEMA IF EXISTS d.{o}s"),
        quiet(ROLE, "DROP ROLE IF EXISTS {o}r"),
        quiet(USER, "DROP USER IF EXISTS {o}u"),
        // The other kind of relation is not told either.
        needs(VIEW, "DROP TABLE d.s.{o}v", &[&["OWNERSHIP ON VIEW d.s.{o}v"]]).until(2078).early(),
    ]
}
