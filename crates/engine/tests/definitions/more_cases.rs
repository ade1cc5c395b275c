//! The cases of DML, grants, looking, the session and files.

use crate::cases::*;

const MASKED_BY_TAG: &[&str] = &[
    "CREATE TAG tag",
    "CREATE TABLE t (a INT, b VARCHAR) WITH TAG (tag = 'v')",
    "INSERT INTO t VALUES (5, 'five')",
    "CREATE MASKING POLICY mp AS (v INT) RETURNS INT -> 0",
    "CREATE MASKING POLICY mq AS (v VARCHAR) RETURNS VARCHAR -> 'x'",
];
const MONITOR: &[&str] = &["CREATE RESOURCE MONITOR {n}"];
const MONITORS: &[&str] = &["SHOW RESOURCE MONITORS LIKE '{n}'"];

pub const MORE: &[Case] = &[
    // Resource monitors
    used(
        MONITOR,
        "CREATE RESOURCE MONITOR {n}",
        "CREATE RESOURCE MONITOR IF NOT EXISTS {n}",
        MONITORS,
    ),
    used(
        &[],
        "CREATE RESOURCE MONITOR {n}",
        "CREATE RESOURCE MONITOR {n} WITH CREDIT_QUOTA = 5",
        MONITORS,
    ),
    used(
        &[],
        "CREATE RESOURCE MONITOR {n}",
        "CREATE RESOURCE MONITOR {n} TRIGGERS ON 90 PERCENT DO SUSPEND",
        MONITORS,
    ),
    used(
        &[],
        "ALTER RESOURCE MONITOR {n} SET CREDIT_QUOTA = 5",
        "ALTER RESOURCE MONITOR IF EXISTS {n} SET CREDIT_QUOTA = 5",
        &[],
    ),
    used(
        MONITOR,
        "ALTER RESOURCE MONITOR {n} TRIGGERS ON 90 PERCENT DO SUSPEND",
        "ALTER RESOURCE MONITOR {n} SET CREDIT_QUOTA = 5 TRIGGERS ON 90 PERCENT DO SUSPEND",
        MONITORS,
    ),
    used(
        MONITOR,
        "ALTER RESOURCE MONITOR {n} SET CREDIT_QUOTA = 5",
        "ALTER RESOURCE MONITOR {n} SET CREDIT_QUOTA = 5 TRIGGERS ON 90 PERCENT DO SUSPEND",
        MONITORS,
    ),
    used(
        &[],
        "CREATE RESOURCE MONITOR {n} TRIGGERS ON 90 PERCENT DO SUSPEND",
        "CREATE RESOURCE MONITOR {n} TRIGGERS ON 80 PERCENT DO SUSPEND",
        MONITORS,
    ),
    // DML
    used(T_AND_U, "INSERT INTO t SELECT * FROM u", "INSERT OVERWRITE INTO t SELECT * FROM u", ROWS),
    used(T, "INSERT INTO t VALUES (5, '6')", "INSERT INTO t (b, a) VALUES (5, '6')", ROWS),
    used(T, "UPDATE t SET b = 'z' WHERE x.a = 1", "UPDATE t AS x SET b = 'z' WHERE x.a = 1", ROWS)
        .part("Update.alias"),
    used(T, "UPDATE t SET b = 'z'", "UPDATE t SET b = 'z', a = 9", ROWS),
    used(T_AND_U, "UPDATE t SET b = 'z'", "UPDATE t SET b = 'z' FROM u WHERE u.a = t.a", ROWS)
        .part("Update.from"),
    used(T, "UPDATE t SET b = 'z'", "UPDATE t SET b = 'z' WHERE a = 1", ROWS),
    used(T_AND_U, "UPDATE t SET b = 'z'", "UPDATE t SET u.b = 'z'", ROWS)
        .refuse("U.B")
        .part("Assignment.table"),
    used(T, "DELETE FROM t WHERE x.a = 1", "DELETE FROM t AS x WHERE x.a = 1", ROWS)
        .part("Delete.alias"),
    used(T_AND_U, "DELETE FROM t", "DELETE FROM t USING u WHERE u.a = t.a", ROWS)
        .part("Delete.using"),
    used(T, "DELETE FROM t", "DELETE FROM t WHERE a = 1", ROWS),
    used(
        T_AND_U,
        "MERGE INTO t USING u ON x.a = u.a WHEN MATCHED THEN DELETE",
        "MERGE INTO t AS x USING u ON x.a = u.a WHEN MATCHED THEN DELETE",
        ROWS,
    )
    .part("Merge.alias"),
    used(
        T_AND_U,
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (7, 'n')",
        ROWS,
    ),
    used(
        T_AND_U,
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND u.a > 1 THEN DELETE",
        ROWS,
    ),
    used(
        T_AND_U,
        "MERGE INTO t USING u ON FALSE WHEN NOT MATCHED THEN INSERT VALUES (5, '6')",
        "MERGE INTO t USING u ON FALSE WHEN NOT MATCHED THEN INSERT (b, a) VALUES (5, '6')",
        ROWS,
    ),
    used(
        T_AND_U,
        "MERGE INTO t USING u ON FALSE WHEN NOT MATCHED THEN INSERT (a) VALUES (5)",
        "MERGE INTO t USING u ON FALSE WHEN NOT MATCHED THEN INSERT (a, b) VALUES (5, 'x')",
        ROWS,
    )
    .part("MergeAction::Insert.values"),
    used(
        T_AND_U,
        "INSERT ALL INTO t VALUES (k, '1') SELECT a AS k FROM u",
        "INSERT OVERWRITE ALL INTO t VALUES (k, '1') SELECT a AS k FROM u",
        ROWS,
    ),
    used(
        T_AND_U,
        "INSERT ALL WHEN k > 0 THEN INTO t VALUES (k, '1') WHEN k > -1 THEN INTO t VALUES (k, '2') SELECT a AS k FROM u",
        "INSERT FIRST WHEN k > 0 THEN INTO t VALUES (k, '1') WHEN k > -1 THEN INTO t VALUES (k, '2') SELECT a AS k FROM u",
        ROWS,
    ),
    used(
        T_AND_U,
        "INSERT ALL WHEN k > 0 THEN INTO t VALUES (k, '1') SELECT a AS k FROM u",
        "INSERT ALL WHEN k > 0 THEN INTO t VALUES (k, '1') WHEN k > -1 THEN INTO t VALUES (k, '2') SELECT a AS k FROM u",
        ROWS,
    )
    .part("MultiInsert.conditions"),
    used(
        T_AND_U,
        "INSERT ALL INTO t VALUES (k, '1') SELECT a AS k FROM u",
        "INSERT ALL INTO t VALUES (k, '1') INTO t VALUES (k, '2') SELECT a AS k FROM u",
        ROWS,
    ),
    used(
        T_AND_U,
        "INSERT ALL INTO t SELECT a, b FROM u",
        "INSERT ALL INTO t VALUES (7, b) SELECT a, b FROM u",
        ROWS,
    ),
    // Grants
    used(
        T,
        "GRANT SELECT ON TABLE t TO ROLE public",
        "GRANT SELECT ON TABLE t TO ROLE public WITH GRANT OPTION",
        &["SHOW GRANTS ON TABLE t"],
    ),
    used(
        &["CREATE TABLE t (a INT)", "GRANT SELECT ON TABLE t TO ROLE public"],
        "GRANT OWNERSHIP ON TABLE t TO ROLE sysadmin",
        "GRANT OWNERSHIP ON TABLE t TO ROLE sysadmin COPY CURRENT GRANTS",
        &["SHOW GRANTS ON TABLE t"],
    ),
    used(
        &["CREATE ROLE {n}", "CREATE ROLE {n}_b"],
        "GRANT ROLE {n} TO ROLE {n}_b",
        "GRANT DATABASE ROLE {n} TO ROLE {n}_b",
        &[],
    )
    .refuse("Database role"),
    used(
        &["CREATE TABLE t (a INT)", "GRANT SELECT ON TABLE t TO ROLE public WITH GRANT OPTION"],
        "REVOKE SELECT ON TABLE t FROM ROLE public",
        "REVOKE GRANT OPTION FOR SELECT ON TABLE t FROM ROLE public",
        &["SHOW GRANTS ON TABLE t"],
    ),
    used(
        &[
            "CREATE TABLE t (a INT)",
            "CREATE ROLE {n}",
            "GRANT ROLE {n} TO USER admin",
            "GRANT USAGE ON DATABASE d TO ROLE {n}",
            "GRANT USAGE ON ALL SCHEMAS IN DATABASE d TO ROLE {n}",
            "GRANT SELECT ON TABLE t TO ROLE {n} WITH GRANT OPTION",
            "USE ROLE {n}",
            "GRANT SELECT ON TABLE t TO ROLE public",
            "USE ROLE accountadmin",
        ],
        "REVOKE SELECT ON TABLE t FROM ROLE {n}",
        "REVOKE SELECT ON TABLE t FROM ROLE {n} CASCADE",
        &["SHOW GRANTS ON TABLE t"],
    ),
    // Tags
    used(
        &["CREATE TAG tag"],
        "CREATE TAG tag",
        "CREATE TAG IF NOT EXISTS tag",
        &[],
    ),
    used(&[], "CREATE TAG tag", "CREATE TAG tag ALLOWED_VALUES 'x'", &["SHOW TAGS"]),
    used(&[], "CREATE TAG tag", "CREATE TAG tag COMMENT = 'c'", &["SHOW TAGS"]),
    used(&[], "ALTER TAG tag UNSET COMMENT", "ALTER TAG IF EXISTS tag UNSET COMMENT", &[]),
    used(
        &["CREATE TAG tag"],
        "ALTER TAG tag ADD ALLOWED_VALUES 'x'",
        "ALTER TAG tag ADD ALLOWED_VALUES 'x', 'y'",
        &["SHOW TAGS"],
    ),
    used(
        &["CREATE TAG tag ALLOWED_VALUES 'x', 'y', 'z'"],
        "ALTER TAG tag DROP ALLOWED_VALUES 'x'",
        "ALTER TAG tag DROP ALLOWED_VALUES 'x', 'y'",
        &["SHOW TAGS"],
    ),
    used(
        &["CREATE TAG tag COMMENT = 'c'"],
        "ALTER TAG tag UNSET COMMENT",
        "ALTER TAG tag SET COMMENT = 'd'",
        &["SHOW TAGS"],
    ),
    used(
        MASKED_BY_TAG,
        "ALTER TAG tag SET MASKING POLICY mp",
        "ALTER TAG tag SET MASKING POLICY mp, MASKING POLICY mq",
        ROWS,
    ),
    used(
        &[
            "CREATE TAG tag",
            "CREATE MASKING POLICY mp AS (v INT) RETURNS INT -> 0",
            "CREATE MASKING POLICY mq AS (v INT) RETURNS INT -> 1",
            "ALTER TAG tag SET MASKING POLICY mp",
        ],
        "ALTER TAG tag SET MASKING POLICY mq",
        "ALTER TAG tag SET MASKING POLICY mq FORCE",
        &[],
    ),
    used(
        &[
            "CREATE TAG tag",
            "CREATE TABLE t (a INT, b VARCHAR) WITH TAG (tag = 'v')",
            "INSERT INTO t VALUES (5, 'five')",
            "CREATE MASKING POLICY mp AS (v INT) RETURNS INT -> 0",
            "CREATE MASKING POLICY mq AS (v VARCHAR) RETURNS VARCHAR -> 'x'",
            "ALTER TAG tag SET MASKING POLICY mp, MASKING POLICY mq",
        ],
        "ALTER TAG tag UNSET MASKING POLICY mp",
        "ALTER TAG tag UNSET MASKING POLICY mp, MASKING POLICY mq",
        ROWS,
    ),
    used(
        &["CREATE TAG tag"],
        "ALTER TABLE t SET TAG tag = 'v'",
        "ALTER TABLE IF EXISTS t SET TAG tag = 'v'",
        &[],
    ),
    used(
        &["CREATE SCHEMA d.{n}_other", "CREATE TAG tag", "USE SCHEMA d.public"],
        "ALTER SCHEMA SET TAG d.{n}_other.tag = 'v'",
        "ALTER SCHEMA d.{n}_other SET TAG d.{n}_other.tag = 'v'",
        &["SELECT SYSTEM$GET_TAG('d.{n}_other.tag', 'd.{n}_other', 'schema')"],
    ),
    used(
        &["CREATE TAG tag", "CREATE TABLE t (a INT)"],
        "ALTER TABLE t SET TAG tag = 'v'",
        "ALTER TABLE t ALTER a SET TAG tag = 'v'",
        &["SELECT SYSTEM$GET_TAG('tag', 't', 'table')"],
    ),
    used(
        &["CREATE TAG tag", "CREATE TAG other", "CREATE TABLE t (a INT)"],
        "ALTER TABLE t SET TAG tag = 'v'",
        "ALTER TABLE t SET TAG tag = 'v', other = 'w'",
        &["SELECT SYSTEM$GET_TAG('other', 't', 'table')"],
    ),
    used(
        &["CREATE TAG tag", "CREATE TAG other", "CREATE TABLE t (a INT) TAG (tag = 'v', other = 'w')"],
        "ALTER TABLE t UNSET TAG tag",
        "ALTER TABLE t UNSET TAG tag, other",
        &["SELECT SYSTEM$GET_TAG('other', 't', 'table')"],
    ),
    used(
        &["CREATE TAG tag"],
        "CREATE TABLE k (a INT)",
        "CREATE TABLE k (a INT) WITH TAG (tag = 'v')",
        &["SELECT SYSTEM$GET_TAG('tag', 'k', 'table')"],
    ),
    used(
        &["CREATE TAG tag"],
        "CREATE TABLE k (a INT)",
        "CREATE TABLE k (a INT WITH TAG (tag = 'v'))",
        &["SELECT SYSTEM$GET_TAG('tag', 'k.a', 'column')"],
    ),
    used(
        &["CREATE SCHEMA d.{n}_t", "CREATE TAG d.{n}_t.tag"],
        "CREATE SCHEMA d.{n}_k",
        "CREATE SCHEMA d.{n}_k WITH TAG (d.{n}_t.tag = 'v')",
        &["SELECT SYSTEM$GET_TAG('d.{n}_t.tag', 'd.{n}_k', 'schema')"],
    ),
    used(
        &["CREATE SCHEMA d.{n}_t", "CREATE TAG d.{n}_t.tag"],
        "CREATE DATABASE {n}_k",
        "CREATE DATABASE {n}_k WITH TAG (d.{n}_t.tag = 'v')",
        &["SELECT SYSTEM$GET_TAG('d.{n}_t.tag', '{n}_k', 'database')"],
    ),
    used(
        &["CREATE TAG tag"],
        "CREATE STAGE k",
        "CREATE STAGE k WITH TAG (tag = 'v')",
        &["SELECT SYSTEM$GET_TAG('tag', 'k', 'stage')"],
    ),
    used(
        &["CREATE TAG tag"],
        "CREATE WAREHOUSE {n}_k",
        "CREATE WAREHOUSE {n}_k WITH TAG (tag = 'v')",
        &["SELECT SYSTEM$GET_TAG('tag', '{n}_k', 'warehouse')"],
    ),
    used(
        &["CREATE TAG tag"],
        "CREATE ROLE {n}_k",
        "CREATE ROLE {n}_k WITH TAG (tag = 'v')",
        &["SELECT SYSTEM$GET_TAG('tag', '{n}_k', 'role')"],
    ),
    used(
        &["CREATE TAG tag"],
        "CREATE USER {n}_k",
        "CREATE USER {n}_k WITH TAG (tag = 'v')",
        &["SELECT SYSTEM$GET_TAG('tag', '{n}_k', 'user')"],
    ),
    used(
        &["CREATE MASKING POLICY mp AS (v INT) RETURNS INT -> 0"],
        "CREATE TABLE k (a INT, b INT)",
        "CREATE TABLE k (a INT WITH MASKING POLICY mp, b INT)",
        &["SELECT GET_DDL('table', 'k')"],
    ),
    used(
        &["CREATE MASKING POLICY mp AS (v INT, w INT) RETURNS INT -> w"],
        "CREATE TABLE k (a INT WITH MASKING POLICY mp, b INT)",
        "CREATE TABLE k (a INT WITH MASKING POLICY mp USING (a, b), b INT)",
        &[],
    ),
    used(
        &["CREATE ROW ACCESS POLICY rp AS (v INT) RETURNS BOOLEAN -> FALSE"],
        "CREATE TABLE k AS SELECT 1 AS a",
        "CREATE TABLE k WITH ROW ACCESS POLICY rp ON (a) AS SELECT 1 AS a",
        &["SELECT * FROM k"],
    ),
    used(
        &["CREATE ROW ACCESS POLICY rp AS (v INT, w INT) RETURNS BOOLEAN -> FALSE"],
        "CREATE TABLE k (a INT, b INT) WITH ROW ACCESS POLICY rp ON (a)",
        "CREATE TABLE k (a INT, b INT) WITH ROW ACCESS POLICY rp ON (a, b)",
        &[],
    ),
    used(
        &["CREATE MASKING POLICY mp AS (v INT) RETURNS INT -> 0"],
        "CREATE VIEW k (a) AS SELECT 1::INT",
        "CREATE VIEW k (a WITH MASKING POLICY mp) AS SELECT 1::INT",
        &["SELECT * FROM k"],
    ),
    used(
        &["CREATE ROW ACCESS POLICY rp AS (v INT) RETURNS BOOLEAN -> FALSE"],
        "CREATE VIEW k (a) AS SELECT 1::INT",
        "CREATE VIEW k (a) WITH ROW ACCESS POLICY rp ON (a) AS SELECT 1::INT",
        &["SELECT * FROM k"],
    ),
    used(
        &["CREATE TAG tag", "CREATE TABLE k (a INT) TAG (tag = 'v')"],
        "CREATE OR REPLACE TABLE k (a INT)",
        "CREATE OR REPLACE TABLE k (a INT) COPY TAGS",
        &["SELECT SYSTEM$GET_TAG('tag', 'k', 'table')"],
    ),
    used(
        &["CREATE TAG tag"],
        "CREATE VIEW k (a) AS SELECT 1",
        "CREATE VIEW k (a) WITH TAG (tag = 'v') AS SELECT 1",
        &["SELECT SYSTEM$GET_TAG('tag', 'k', 'table')"],
    ),
    used(
        &["CREATE TAG tag"],
        "CREATE VIEW k (a) AS SELECT 1",
        "CREATE VIEW k (a WITH TAG (tag = 'v')) AS SELECT 1",
        &["SELECT SYSTEM$GET_TAG('tag', 'k.a', 'column')"],
    ),
    // Looking
    used(MODEL, "DESCRIBE MODEL m", "DESCRIBE MODEL m VERSION nope", &[]).refuse("nope"),
    refused(T, "DESCRIBE TABLE t", "DESCRIBE TABLE t TYPE = STAGE", "TYPE = STAGE"),
    used(
        &[],
        "DESCRIBE RESULT LAST_QUERY_ID()",
        "DESCRIBE RESULT '01890000-0000-7000-8000-000000000000'",
        &[],
    )
    .refuse("no commit of it is known"),
    used(&[], "DESCRIBE TRANSACTION 1", "DESCRIBE TRANSACTION 2", &[]).refuse("'2'"),
    used(T, "SHOW GRANTS ON TABLE t", "SHOW GRANTS ON TABLE t LIMIT 0", &[]),
    used(T, "SHOW TABLES", "SHOW TERSE TABLES", &[]),
    used(
        &["CREATE TABLE t (a INT)", "DROP TABLE t"],
        "SHOW TABLES",
        "SHOW TABLES HISTORY",
        &[],
    ),
    used(T, "SHOW TABLES", "SHOW TABLES LIKE 'x%'", &[]),
    used(T, "SHOW TABLES", "SHOW TABLES IN SCHEMA d.public", &[]),
    used(T, "SHOW TABLES", "SHOW TABLES STARTS WITH 'X'", &[]),
    used(T_AND_U, "SHOW TABLES", "SHOW TABLES LIMIT 1", &[]),
    used(T_AND_U, "SHOW TABLES LIMIT 1", "SHOW TABLES LIMIT 1 FROM 'T'", &[]),
    used(MODEL, "SHOW FUNCTIONS IN MODEL m", "SHOW FUNCTIONS IN MODEL m VERSION nope", &[])
        .refuse("nope"),
    // Session
    used(
        &[],
        "ALTER SESSION SET QUERY_TAG = 'a'",
        "ALTER SESSION SET QUERY_TAG = 'b'",
        &["SHOW PARAMETERS LIKE 'QUERY_TAG'"],
    ),
    used(
        &["ALTER SESSION SET QUERY_TAG = 'a', WEEK_START = 1"],
        "ALTER SESSION UNSET QUERY_TAG",
        "ALTER SESSION UNSET QUERY_TAG, WEEK_START",
        &["SHOW PARAMETERS LIKE 'WEEK_START'"],
    ),
    used(&[], "SET (v) = (1)", "SET (v, w) = (1, 2)", &["SHOW VARIABLES"])
        .part("SetVariables.names"),
    used(&[], "SET v = 1", "SET v = 2", &["SHOW VARIABLES"]).part("SetVariables.values"),
    used(&["SET (v, w) = (1, 2)"], "UNSET v", "UNSET (v, w)", &["SHOW VARIABLES"]),
    used(
        &["SET one = 1"],
        "EXECUTE IMMEDIATE 'SELECT ?'",
        "EXECUTE IMMEDIATE 'SELECT ?' USING (one)",
        &[],
    ),
    used(&[], "BEGIN", "BEGIN NAME x", &["SHOW TRANSACTIONS", "ROLLBACK"]),
    used(
        &[],
        "ALTER SCHEMA SET COMMENT = 'c'",
        "ALTER SCHEMA d.public SET COMMENT = 'c'",
        &["SHOW SCHEMAS LIKE 'PUBLIC' IN DATABASE d"],
    ),
    // Files
    used(STAGE, "PUT file:///tmp/x @st", "PUT file:///tmp/x @st THRESHOLD = 7", &[]),
    used(STAGE, "PUT file:///tmp/x @st", "PUT file:///tmp/x @st PARALLEL = 7", &[]),
    used(STAGE, "PUT file:///tmp/x @st", "PUT file:///tmp/x @st AUTO_COMPRESS = FALSE", &[]),
    used(STAGE, "PUT file:///tmp/x @st", "PUT file:///tmp/x @st SOURCE_COMPRESSION = GZIP", &[]),
    used(STAGE, "PUT file:///tmp/x @st", "PUT file:///tmp/x @st OVERWRITE = TRUE", &[]),
    used(STAGE, "GET @st file:///tmp/", "GET @st file:///tmp/ PARALLEL = 7", &[]),
    refused(STAGE, "GET @st file:///tmp/", "GET @st file:///tmp/ PATTERN = '('", "pattern"),
    refused(STAGE, "LIST @st", "LIST @st PATTERN = '('", "pattern"),
    refused(STAGE, "REMOVE @st", "REMOVE @st PATTERN = '('", "pattern"),
];
