//! One case for every field of a statement. `{n}` is the number of the case, for names of the
//! account; other names are in a schema of the case's own.

/// What setting the field does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The answer, or what the probes show, differs.
    Used,
    /// It means what its absence means, for this reason.
    Nothing(&'static str),
    /// An error that has this word.
    Refused(&'static str),
}

#[derive(Debug)]
pub struct Case {
    pub prepare: &'static [&'static str],
    pub base: &'static str,
    pub sql: &'static str,
    /// Asked after each of the two.
    pub probes: &'static [&'static str],
    pub effect: Effect,
    /// The field, where the two trees do not tell it: one does not parse, or sets more than one.
    pub part: Option<&'static str>,
}

impl Case {
    pub const fn part(self, part: &'static str) -> Case {
        Case { part: Some(part), ..self }
    }
}

pub const fn used(
    prepare: &'static [&'static str],
    base: &'static str,
    sql: &'static str,
    probes: &'static [&'static str],
) -> Case {
    Case { prepare, base, sql, probes, effect: Effect::Used, part: None }
}

pub const fn nothing(
    prepare: &'static [&'static str],
    base: &'static str,
    sql: &'static str,
    probes: &'static [&'static str],
    why: &'static str,
) -> Case {
    Case { prepare, base, sql, probes, effect: Effect::Nothing(why), part: None }
}

pub const fn refused(
    prepare: &'static [&'static str],
    base: &'static str,
    sql: &'static str,
    word: &'static str,
) -> Case {
    Case { prepare, base, sql, probes: &[], effect: Effect::Refused(word), part: None }
}

/// Statements whose clauses tell only where there are files; their own tests put some.
pub const WITH_FILES: &[&str] = &[
    "CopyIntoTable.",
    "CopyIntoLocation.",
    "TransformQuery.",
    "TransformItem.",
    "ImportModel.",
    "ModelSignatureColumn.",
];

pub const T: &[&str] =
    &["CREATE TABLE t (a INT, b VARCHAR)", "INSERT INTO t VALUES (1, 'x'), (2, 'y')"];
pub const T_AND_U: &[&str] = &[
    "CREATE TABLE t (a INT, b VARCHAR)",
    "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
    "CREATE TABLE u (a INT, b VARCHAR)",
    "INSERT INTO u VALUES (1, 'new')",
];
pub const ROWS: &[&str] = &["SELECT * FROM t ORDER BY 1, 2"];
pub const DESCRIBED: &[&str] = &["DESCRIBE TABLE t", "SHOW TABLES LIKE 'T'"];
pub const STAGE: &[&str] = &[
    "CREATE STAGE st",
    "CREATE FILE FORMAT ff TYPE = CSV SKIP_HEADER = 1",
    "CREATE TABLE t (a INT, b VARCHAR)",
];
pub const MODEL: &[&str] = &[
    "CREATE TABLE p AS SELECT SEQ4()::FLOAT AS x, SEQ4()::FLOAT AS z, 2 * SEQ4()::FLOAT AS y \
     FROM TABLE(GENERATOR(ROWCOUNT => 50))",
    "CREATE MODEL m WITH VERSION v1 USING LINEAR TARGET y AS SELECT x, y FROM p",
];
const NAMED_K: &[&str] = &["SELECT COUNT(*) FROM d.information_schema.table_constraints \
     WHERE constraint_name = 'K' AND table_schema = CURRENT_SCHEMA()"];
const IMPORTED: &[&str] = &["SHOW IMPORTED KEYS IN TABLE t"];
const U: &[&str] = &["CREATE TABLE u (b INT PRIMARY KEY, a INT UNIQUE, UNIQUE (a, b))"];
pub const VERSIONS: &[&str] = &["SHOW VERSIONS IN MODEL m", "SHOW MODELS"];

pub const CASES: &[Case] = &[
    // CREATE TABLE
    used(T, "CREATE TABLE t (c INT)", "CREATE OR REPLACE TABLE t (c INT)", DESCRIBED),
    used(T, "CREATE TABLE t (c INT)", "CREATE TABLE IF NOT EXISTS t (c INT)", DESCRIBED),
    used(&[], "CREATE TABLE t (a INT)", "CREATE TRANSIENT TABLE t (a INT)", DESCRIBED),
    nothing(
        &[],
        "CREATE TABLE t (a INT)",
        "CREATE TABLE t (a INT) CLUSTER BY (a)",
        &["DESCRIBE TABLE t"],
        "a key of the layout, told by SHOW TABLES",
    ),
    used(&[], "CREATE TABLE t (a INT)", "CREATE TABLE t (a INT) CLUSTER BY (a)", DESCRIBED),
    used(&[], "CREATE TABLE t (a INT)", "CREATE TABLE t (a INT) COMMENT = 'c'", DESCRIBED),
    used(
        &["CREATE TABLE t (a INT)", "GRANT SELECT ON TABLE t TO ROLE public"],
        "CREATE OR REPLACE TABLE t (a INT)",
        "CREATE OR REPLACE TABLE t (a INT) COPY GRANTS",
        &["SHOW GRANTS ON TABLE t"],
    ),
    used(
        &[],
        "CREATE TABLE t (a INT)",
        "CREATE TABLE t (a INT) CHANGE_TRACKING = TRUE",
        &["SHOW TABLES LIKE 'T'"],
    ),
    used(&[], "CREATE TABLE t (a INT)", "CREATE TABLE t (a INT, b INT)", DESCRIBED),
    used(&[], "CREATE TABLE t (a INT)", "CREATE TABLE t (a INT, PRIMARY KEY (a))", DESCRIBED),
    used(
        &[],
        "CREATE TABLE t (a INT, PRIMARY KEY (a))",
        "CREATE TABLE t (a INT, CONSTRAINT k PRIMARY KEY (a))",
        NAMED_K,
    ),
    used(
        &[],
        "CREATE TABLE t (a INT, CONSTRAINT k PRIMARY KEY (a))",
        "CREATE TABLE t (a INT, CONSTRAINT k PRIMARY KEY (a) COMMENT 'c')",
        &["SHOW PRIMARY KEYS IN TABLE t"],
    )
    .part("TableConstraint.comment"),
    used(
        U,
        "CREATE TABLE t (a INT, CONSTRAINT k FOREIGN KEY (a) REFERENCES u (a))",
        "CREATE TABLE t (a INT, b INT, CONSTRAINT k FOREIGN KEY (a, b) REFERENCES u (a, b))",
        IMPORTED,
    )
    .part("ConstraintKind::ForeignKey.columns"),
    used(
        U,
        "CREATE TABLE t (a INT, CONSTRAINT k FOREIGN KEY (a) REFERENCES u)",
        "CREATE TABLE t (a INT, CONSTRAINT k FOREIGN KEY (a) REFERENCES u (a))",
        IMPORTED,
    ),
    used(
        T,
        "CREATE TABLE s AS SELECT a FROM t",
        "CREATE TABLE s (z) AS SELECT a FROM t",
        &["DESCRIBE TABLE s"],
    ),
    used(
        T,
        "CREATE TABLE s (z) AS SELECT a FROM t",
        "CREATE TABLE s (z FLOAT) AS SELECT a FROM t",
        &["DESCRIBE TABLE s"],
    ),
    used(
        T,
        "CREATE TABLE s (z FLOAT) AS SELECT a FROM t",
        "CREATE TABLE s (z FLOAT, PRIMARY KEY (z)) AS SELECT a FROM t",
        &["DESCRIBE TABLE s"],
    ),
    refused(
        T,
        "CREATE TABLE s CLONE t",
        "CREATE TABLE s CLONE t AT (OFFSET => -80000)",
        "Time travel data",
    ),
    // Columns
    used(&[], "CREATE TABLE t (a INT)", "CREATE TABLE t (a INT NOT NULL)", DESCRIBED),
    used(&[], "CREATE TABLE t (a INT)", "CREATE TABLE t (a INT DEFAULT 1)", DESCRIBED),
    used(&[], "CREATE TABLE t (a INT)", "CREATE TABLE t (a INT AUTOINCREMENT)", DESCRIBED),
    used(
        &[],
        "CREATE TABLE t (a INT AUTOINCREMENT)",
        "CREATE TABLE t (a INT AUTOINCREMENT START 5)",
        DESCRIBED,
    ),
    used(
        &[],
        "CREATE TABLE t (a INT AUTOINCREMENT)",
        "CREATE TABLE t (a INT AUTOINCREMENT INCREMENT 5)",
        DESCRIBED,
    ),
    nothing(
        &[],
        "CREATE TABLE t (a INT AUTOINCREMENT)",
        "CREATE TABLE t (a INT AUTOINCREMENT NOORDER)",
        DESCRIBED,
        "numbers are handed out in order anyway",
    ),
    refused(
        &[],
        "CREATE TABLE t (b VARCHAR)",
        "CREATE TABLE t (b VARCHAR COLLATE 'en')",
        "COLLATE",
    ),
    used(&[], "CREATE TABLE t (a INT)", "CREATE TABLE t (a INT COMMENT 'c')", DESCRIBED),
    used(&[], "CREATE TABLE t (a INT)", "CREATE TABLE t (a INT PRIMARY KEY)", DESCRIBED),
    used(&[], "CREATE TABLE t (a INT)", "CREATE TABLE t (a INT UNIQUE)", DESCRIBED),
    used(U, "CREATE TABLE t (a INT)", "CREATE TABLE t (a INT REFERENCES u (a))", IMPORTED),
    used(
        &[],
        "CREATE TABLE t (a INT UNIQUE)",
        "CREATE TABLE t (a INT CONSTRAINT k UNIQUE)",
        NAMED_K,
    ),
    // CREATE VIEW
    used(
        &["CREATE VIEW v AS SELECT 1 AS a"],
        "CREATE VIEW v AS SELECT 2 AS a",
        "CREATE OR REPLACE VIEW v AS SELECT 2 AS a",
        &["SELECT * FROM v"],
    ),
    refused(
        &[],
        "CREATE VIEW v AS SELECT 1 AS a",
        "CREATE TEMPORARY VIEW v AS SELECT 1 AS a",
        "TEMPORARY",
    ),
    used(
        &[],
        "CREATE VIEW v AS SELECT 1 AS a",
        "CREATE SECURE VIEW v AS SELECT 1 AS a",
        &["SHOW VIEWS LIKE 'V'"],
    ),
    refused(
        &[],
        "CREATE VIEW v AS SELECT 1 AS a",
        "CREATE RECURSIVE VIEW v AS SELECT 1 AS a",
        "RECURSIVE",
    ),
    used(
        &[],
        "CREATE VIEW v AS SELECT 1 AS a",
        "CREATE VIEW v (b) AS SELECT 1 AS a",
        &["DESCRIBE VIEW v"],
    ),
    used(
        &[],
        "CREATE VIEW v (b) AS SELECT 1 AS a",
        "CREATE VIEW v (b COMMENT 'c') AS SELECT 1 AS a",
        &["DESCRIBE VIEW v"],
    ),
    used(
        &[],
        "CREATE VIEW v AS SELECT 1 AS a",
        "CREATE VIEW v COMMENT = 'c' AS SELECT 1 AS a",
        &["SHOW VIEWS LIKE 'V'"],
    ),
    used(
        &["CREATE VIEW v AS SELECT 1 AS a", "GRANT SELECT ON VIEW v TO ROLE public"],
        "CREATE OR REPLACE VIEW v AS SELECT 1 AS a",
        "CREATE OR REPLACE VIEW v COPY GRANTS AS SELECT 1 AS a",
        &["SHOW GRANTS ON VIEW v"],
    ),
    refused(
        &[],
        "CREATE VIEW v AS SELECT 1 AS a",
        "CREATE VIEW v CHANGE_TRACKING = TRUE AS SELECT 1 AS a",
        "CHANGE_TRACKING",
    ),
    // Databases and schemas
    used(&["CREATE DATABASE {n}"], "CREATE DATABASE {n}", "CREATE DATABASE IF NOT EXISTS {n}", &[]),
    used(
        &[],
        "CREATE DATABASE {n}",
        "CREATE TRANSIENT DATABASE {n}",
        &["SHOW DATABASES LIKE '{n}'"],
    ),
    used(
        &["CREATE DATABASE of_{n}", "CREATE SCHEMA of_{n}.more"],
        "CREATE DATABASE {n}",
        "CREATE DATABASE {n} CLONE of_{n}",
        &["SHOW SCHEMAS IN DATABASE {n}"],
    ),
    refused(
        &["CREATE DATABASE of_{n}"],
        "CREATE DATABASE {n} CLONE of_{n}",
        "CREATE DATABASE {n} CLONE of_{n} AT (OFFSET => -80000)",
        "Time travel data",
    ),
    used(
        &[],
        "CREATE DATABASE {n}",
        "CREATE DATABASE {n} COMMENT = 'c'",
        &["SHOW DATABASES LIKE '{n}'"],
    ),
    refused(&[], "CREATE DATABASE {n}", "CREATE DATABASE {n} LOG_LEVEL = 'DEBUG'", "LOG_LEVEL"),
    used(&["CREATE SCHEMA d.{n}"], "CREATE SCHEMA d.{n}", "CREATE SCHEMA IF NOT EXISTS d.{n}", &[]),
    used(
        &[],
        "CREATE SCHEMA d.{n}",
        "CREATE TRANSIENT SCHEMA d.{n}",
        &["SHOW SCHEMAS LIKE '{n}' IN DATABASE d"],
    ),
    used(
        &[],
        "CREATE SCHEMA d.{n}",
        "CREATE SCHEMA d.{n} WITH MANAGED ACCESS",
        &["SHOW SCHEMAS LIKE '{n}' IN DATABASE d"],
    ),
    used(
        &["CREATE SCHEMA d.of_{n}", "CREATE TABLE d.of_{n}.t (a INT)"],
        "CREATE SCHEMA d.{n}",
        "CREATE SCHEMA d.{n} CLONE d.of_{n}",
        &["SHOW TABLES IN SCHEMA d.{n}"],
    ),
    used(
        &[],
        "CREATE SCHEMA d.{n}",
        "CREATE SCHEMA d.{n} COMMENT = 'c'",
        &["SHOW SCHEMAS LIKE '{n}' IN DATABASE d"],
    ),
    refused(&[], "CREATE SCHEMA d.{n}", "CREATE SCHEMA d.{n} LOG_LEVEL = 'DEBUG'", "LOG_LEVEL"),
    // Principals and warehouses
    used(&["CREATE ROLE {n}"], "CREATE ROLE {n}", "CREATE ROLE IF NOT EXISTS {n}", &[]),
    used(&[], "CREATE ROLE {n}", "CREATE ROLE {n} COMMENT = 'c'", &["SHOW ROLES LIKE '{n}'"]),
    used(
        &["CREATE DATABASE ROLE d.{n}"],
        "CREATE DATABASE ROLE d.{n}",
        "CREATE DATABASE ROLE IF NOT EXISTS d.{n}",
        &[],
    ),
    used(
        &[],
        "CREATE DATABASE ROLE d.{n}",
        "CREATE DATABASE ROLE d.{n} COMMENT = 'c'",
        &["SHOW DATABASE ROLES IN DATABASE d"],
    ),
    used(&["CREATE USER {n}"], "CREATE USER {n}", "CREATE USER IF NOT EXISTS {n}", &[]),
    used(&[], "CREATE USER {n}", "CREATE USER {n} EMAIL = 'a@b.c'", &["DESCRIBE USER {n}"]),
    used(
        &["CREATE WAREHOUSE {n}"],
        "CREATE WAREHOUSE {n}",
        "CREATE WAREHOUSE IF NOT EXISTS {n}",
        &[],
    ),
    used(
        &[],
        "CREATE WAREHOUSE {n}",
        "CREATE WAREHOUSE {n} WAREHOUSE_SIZE = LARGE",
        &["SHOW WAREHOUSES LIKE '{n}'"],
    ),
    used(
        &["CREATE WAREHOUSE {n}_a", "CREATE WAREHOUSE {n}_b"],
        "ALTER WAREHOUSE SET COMMENT = 'c'",
        "ALTER WAREHOUSE {n}_a SET COMMENT = 'c'",
        &["SHOW WAREHOUSES LIKE '{n}%'"],
    ),
    used(&[], "ALTER WAREHOUSE {n} SUSPEND", "ALTER WAREHOUSE IF EXISTS {n} SUSPEND", &[]),
    used(
        &["CREATE WAREHOUSE {n}"],
        "ALTER WAREHOUSE {n} RESUME",
        "ALTER WAREHOUSE {n} RESUME IF SUSPENDED",
        &[],
    ),
    // Stages, formats, sequences
    used(STAGE, "CREATE STAGE st", "CREATE STAGE IF NOT EXISTS st", &[]),
    used(&[], "CREATE STAGE st", "CREATE TEMPORARY STAGE st", &["SHOW STAGES"]),
    refused(&[], "CREATE STAGE st", "CREATE STAGE st URL = 's3://x/y'", "URL"),
    used(
        &[],
        "CREATE STAGE st",
        "CREATE STAGE st FILE_FORMAT = (TYPE = CSV SKIP_HEADER = 1)",
        &["DESCRIBE STAGE st"],
    ),
    used(
        &[],
        "CREATE STAGE st",
        "CREATE STAGE st DIRECTORY = (ENABLE = TRUE)",
        &["DESCRIBE STAGE st"],
    ),
    nothing(
        &[],
        "CREATE STAGE st",
        "CREATE STAGE st ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
        &["DESCRIBE STAGE st"],
        "bytes of internal stages lie on the server's own disk",
    ),
    used(
        &[],
        "CREATE STAGE st",
        "CREATE STAGE st COPY_OPTIONS = (PURGE = TRUE)",
        &["DESCRIBE STAGE st"],
    ),
    used(&[], "CREATE STAGE st", "CREATE STAGE st COMMENT = 'c'", &["SHOW STAGES"]),
    refused(
        &[],
        "CREATE STAGE st",
        "CREATE STAGE st STORAGE_INTEGRATION = x",
        "STORAGE_INTEGRATION",
    ),
    used(STAGE, "CREATE FILE FORMAT ff", "CREATE FILE FORMAT IF NOT EXISTS ff", &[]),
    used(
        &[],
        "CREATE FILE FORMAT ff",
        "CREATE TEMPORARY FILE FORMAT ff",
        &["CREATE FILE FORMAT ff"],
    ),
    used(
        &[],
        "CREATE FILE FORMAT ff",
        "CREATE FILE FORMAT ff SKIP_HEADER = 1",
        &["DESCRIBE FILE FORMAT ff"],
    ),
    used(
        &[],
        "CREATE FILE FORMAT ff",
        "CREATE FILE FORMAT ff COMMENT = 'c'",
        &["SHOW FILE FORMATS"],
    ),
    used(&["CREATE SEQUENCE s"], "CREATE SEQUENCE s", "CREATE SEQUENCE IF NOT EXISTS s", &[]),
    used(&[], "CREATE SEQUENCE s", "CREATE SEQUENCE s START 5", &["SELECT s.NEXTVAL"]),
    used(&[], "CREATE SEQUENCE s", "CREATE SEQUENCE s INCREMENT 5", &["SHOW SEQUENCES"]),
    used(&[], "CREATE SEQUENCE s", "CREATE SEQUENCE s NOORDER", &["SHOW SEQUENCES"]),
    used(&[], "CREATE SEQUENCE s", "CREATE SEQUENCE s COMMENT = 'c'", &["SHOW SEQUENCES"]),
    // Models and endpoints
    used(
        MODEL,
        "CREATE MODEL m USING LINEAR TARGET y AS SELECT x, y FROM p",
        "CREATE MODEL IF NOT EXISTS m USING LINEAR TARGET y AS SELECT x, y FROM p",
        VERSIONS,
    ),
    used(
        MODEL,
        "CREATE MODEL k USING LINEAR TARGET y AS SELECT x, y FROM p",
        "CREATE MODEL k USING LINEAR TARGET y COMMENT = 'c' AS SELECT x, y FROM p",
        &["SHOW MODELS"],
    ),
    used(
        MODEL,
        "CREATE MODEL k USING LINEAR TARGET y AS SELECT x, y FROM p",
        "CREATE MODEL k WITH VERSION w USING LINEAR TARGET y AS SELECT x, y FROM p",
        &[],
    ),
    refused(
        MODEL,
        "CREATE MODEL k USING LINEAR TARGET y AS SELECT x, y FROM p",
        "CREATE MODEL k USING LINEAR AS SELECT x, y FROM p",
        "TARGET",
    ),
    used(
        MODEL,
        "CREATE MODEL k USING LINEAR TARGET y AS SELECT x, z, y FROM p",
        "CREATE MODEL k USING LINEAR TARGET y FEATURES (x) AS SELECT x, z, y FROM p",
        &["DESCRIBE MODEL k"],
    ),
    used(
        MODEL,
        "CREATE MODEL k USING LINEAR TARGET y AS SELECT x, y FROM p",
        "CREATE MODEL k USING LINEAR TARGET y OPTIONS (alpha => 0.5) AS SELECT x, y FROM p",
        &["DESCRIBE MODEL k"],
    ),
    used(
        MODEL,
        "CREATE MODEL k USING LINEAR TARGET y AS SELECT x, y FROM p",
        "CREATE MODEL k USING LINEAR TARGET y EVALUATE (SPLIT 0.5) AS SELECT x, y FROM p",
        &["DESCRIBE MODEL k"],
    ),
    used(
        MODEL,
        "CREATE MODEL k USING LINEAR TARGET y EVALUATE (SPLIT 0.2) AS SELECT x, y FROM p",
        "CREATE MODEL k USING LINEAR TARGET y EVALUATE (SPLIT 0.5) AS SELECT x, y FROM p",
        &["DESCRIBE MODEL k"],
    ),
    used(
        MODEL,
        "CREATE MODEL k USING LINEAR TARGET y EVALUATE (SPLIT 0.2) AS SELECT x, z, y FROM p",
        "CREATE MODEL k USING LINEAR TARGET y EVALUATE (SPLIT 0.2 BY z) AS SELECT x, z, y FROM p",
        &["DESCRIBE MODEL k"],
    ),
    used(&[], "ALTER MODEL m SET COMMENT = 'c'", "ALTER MODEL IF EXISTS m SET COMMENT = 'c'", &[]),
    used(MODEL, "ALTER MODEL m DROP VERSION w", "ALTER MODEL m DROP VERSION IF EXISTS w", &[]),
    used(
        &[
            "CREATE TABLE p AS SELECT SEQ4()::FLOAT AS x, 2 * SEQ4()::FLOAT AS y FROM TABLE(GENERATOR(ROWCOUNT => 50))",
            "CREATE MODEL m WITH VERSION v1 USING LINEAR TARGET y AS SELECT x, y FROM p",
            "ALTER MODEL m VERSION v1 SET ALIAS = a",
            "ALTER MODEL m VERSION v1 SET ALIAS = b",
        ],
        "ALTER MODEL m VERSION v1 UNSET ALIAS",
        "ALTER MODEL m VERSION v1 UNSET ALIAS a",
        VERSIONS,
    ),
    used(
        MODEL,
        "CREATE ENDPOINT {n}e FROM MODEL m",
        "CREATE OR REPLACE ENDPOINT {n}e FROM MODEL m VERSION v1",
        &["DESCRIBE ENDPOINT {n}e"],
    )
    .part("CreateEndpoint.version"),
    used(
        MODEL,
        "CREATE ENDPOINT {n}e FROM MODEL m",
        "CREATE ENDPOINT {n}e FROM MODEL m COMMENT = 'c'",
        &["DESCRIBE ENDPOINT {n}e"],
    ),
    used(
        &[
            "CREATE TABLE p AS SELECT SEQ4()::FLOAT AS x, 2 * SEQ4()::FLOAT AS y FROM TABLE(GENERATOR(ROWCOUNT => 50))",
            "CREATE MODEL m USING LINEAR TARGET y AS SELECT x, y FROM p",
            "CREATE ENDPOINT {n}e FROM MODEL m",
        ],
        "CREATE ENDPOINT {n}e FROM MODEL m",
        "CREATE ENDPOINT IF NOT EXISTS {n}e FROM MODEL m",
        &[],
    ),
    used(
        &[],
        "ALTER ENDPOINT {n}e UNSET VERSION",
        "ALTER ENDPOINT IF EXISTS {n}e UNSET VERSION",
        &[],
    ),
    // Policies
    used(
        &["CREATE MASKING POLICY p AS (v INT) RETURNS INT -> 1"],
        "CREATE MASKING POLICY p AS (v INT) RETURNS INT -> 0",
        "CREATE MASKING POLICY IF NOT EXISTS p AS (v INT) RETURNS INT -> 0",
        &[],
    ),
    used(
        &[],
        "CREATE MASKING POLICY p AS (v INT) RETURNS INT -> 0",
        "CREATE MASKING POLICY p AS (v INT, w INT) RETURNS INT -> 0",
        &["DESCRIBE MASKING POLICY p"],
    ),
    used(
        &[],
        "CREATE MASKING POLICY p AS (v INT) RETURNS INT -> 0",
        "CREATE MASKING POLICY p AS (v INT) RETURNS INT -> 0 COMMENT = 'c'",
        &["SHOW MASKING POLICIES"],
    ),
    used(
        &[],
        "ALTER MASKING POLICY p UNSET COMMENT",
        "ALTER MASKING POLICY IF EXISTS p UNSET COMMENT",
        &[],
    ),
    used(
        &[],
        "ALTER TABLE t DROP ALL ROW ACCESS POLICIES",
        "ALTER TABLE IF EXISTS t DROP ALL ROW ACCESS POLICIES",
        &[],
    ),
    used(
        &[
            "CREATE TABLE t (a INT, b INT)",
            "INSERT INTO t VALUES (1, 2)",
            "CREATE MASKING POLICY p AS (v INT, w INT) RETURNS INT -> w",
        ],
        "ALTER TABLE t ALTER a SET MASKING POLICY p",
        "ALTER TABLE t ALTER a SET MASKING POLICY p USING (a, b)",
        ROWS,
    ),
    used(
        &[
            "CREATE TABLE t (a INT, b INT)",
            "INSERT INTO t VALUES (1, 2)",
            "CREATE MASKING POLICY p AS (v INT) RETURNS INT -> 0",
        ],
        "ALTER TABLE t ALTER a SET MASKING POLICY p",
        "ALTER TABLE t ALTER a SET MASKING POLICY p, COLUMN b SET MASKING POLICY p",
        ROWS,
    )
    .part("SetPolicy.actions"),
    used(
        &[
            "CREATE TABLE t (a INT, b INT)",
            "CREATE MASKING POLICY p AS (v INT) RETURNS INT -> v",
            "ALTER TABLE t ALTER a SET MASKING POLICY p",
        ],
        "ALTER TABLE t ALTER a SET MASKING POLICY p",
        "ALTER TABLE t ALTER a SET MASKING POLICY p FORCE",
        &[],
    ),
    used(
        &[
            "CREATE TABLE t (a INT, b INT)",
            "CREATE ROW ACCESS POLICY p AS (v INT, w INT) RETURNS BOOLEAN -> TRUE",
        ],
        "ALTER TABLE t ADD ROW ACCESS POLICY p ON (a)",
        "ALTER TABLE t ADD ROW ACCESS POLICY p ON (a, b)",
        &[],
    ),
    used(
        &[
            "CREATE TABLE t (a INT)",
            "INSERT INTO t VALUES (1)",
            "CREATE ROW ACCESS POLICY p AS (v INT) RETURNS BOOLEAN -> TRUE",
            "CREATE ROW ACCESS POLICY q AS (v INT) RETURNS BOOLEAN -> FALSE",
            "ALTER TABLE t ADD ROW ACCESS POLICY p ON (a)",
        ],
        "ALTER TABLE t DROP ROW ACCESS POLICY p",
        "ALTER TABLE t DROP ROW ACCESS POLICY p, ADD ROW ACCESS POLICY q ON (a)",
        &["SELECT * FROM t"],
    ),
    // ALTER, DROP, COMMENT
    used(
        &[],
        "ALTER USER {n} ADD PROGRAMMATIC ACCESS TOKEN t",
        "ALTER USER IF EXISTS {n} ADD PROGRAMMATIC ACCESS TOKEN t",
        &[],
    ),
    used(
        &["CREATE USER {n}"],
        "ALTER USER ADD PROGRAMMATIC ACCESS TOKEN {n}",
        "ALTER USER {n} ADD PROGRAMMATIC ACCESS TOKEN {n}",
        &["SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER {n}"],
    ),
    used(&[], "ALTER VIEW v SET SECURE", "ALTER VIEW IF EXISTS v SET SECURE", &[]),
    used(&[], "ALTER TABLE t DROP COLUMN a", "ALTER TABLE IF EXISTS t DROP COLUMN a", &[]),
    used(T, "ALTER TABLE t ADD COLUMN a INT", "ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT", &[]),
    used(T, "ALTER TABLE t ADD COLUMN c INT", "ALTER TABLE t ADD COLUMN c INT, e INT", DESCRIBED),
    used(T, "ALTER TABLE t DROP COLUMN c", "ALTER TABLE t DROP COLUMN IF EXISTS c", DESCRIBED),
    used(
        &["CREATE TABLE t (a INT, b INT, c INT)"],
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t DROP COLUMN a, b",
        DESCRIBED,
    ),
    used(&[], "COMMENT ON TABLE t IS 'c'", "COMMENT IF EXISTS ON TABLE t IS 'c'", &[]),
    used(T, "COMMENT ON TABLE t IS 'c'", "COMMENT ON COLUMN t.a IS 'c'", DESCRIBED)
        .part("CommentOn.column"),
    used(&[], "DROP TABLE t", "DROP TABLE IF EXISTS t", &[]),
    used(
        &["CREATE SCHEMA d.{n}", "CREATE TABLE d.{n}.t (a INT)"],
        "DROP SCHEMA d.{n}",
        "DROP SCHEMA d.{n} RESTRICT",
        &[],
    )
    .refuse("RESTRICT"),
    nothing(
        &["CREATE SCHEMA d.{n}", "CREATE TABLE d.{n}.t (a INT)"],
        "DROP SCHEMA d.{n}",
        "DROP SCHEMA d.{n} CASCADE",
        &[],
        "the default",
    ),
    used(&[], "TRUNCATE TABLE t", "TRUNCATE TABLE IF EXISTS t", &[]),
];

impl Case {
    /// The statement is understood, and its meaning is an error that has this word.
    pub const fn refuse(self, word: &'static str) -> Case {
        Case { effect: Effect::Refused(word), ..self }
    }
}
