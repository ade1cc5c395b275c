//! The ways to the values of a relation. `{r}` is its name, `{n}` the role's number.

use rand::Rng;
use rand::rngs::StdRng;

/// Statements that stand alone, and take SELECT.
const ALONE: &[&str] = &[
    "SELECT secret, COUNT(*) FROM {r} GROUP BY secret",
    "SELECT note FROM {r} ORDER BY note DESC LIMIT 3",
    "SELECT id FROM {r} ORDER BY secret LIMIT 1 OFFSET 2",
    "SELECT MAX(secret), MIN(note) FROM {r}",
    "SELECT ANY_VALUE(secret), MODE(note), MIN_BY(secret, id), MAX_BY(note, num) FROM {r}",
    "SELECT TO_JSON(APPROX_TOP_K(secret, 3)), ARRAY_AGG(note) FROM {r}",
    "SELECT ARRAY_UNIQUE_AGG(secret), OBJECT_AGG(id::VARCHAR, note::VARIANT) FROM {r}",
    "SELECT a.secret, b.note FROM {r} a JOIN {r} b ON a.secret = b.secret",
    "SELECT a.secret, b.note FROM {r} a ASOF JOIN {r} b MATCH_CONDITION (a.id >= b.id)",
    "SELECT a.id, q.s FROM {r} a, LATERAL (SELECT b.secret AS s FROM {r} b WHERE b.id = a.id) q",
    "SELECT f.value FROM {r}, LATERAL FLATTEN(SPLIT(secret, 't')) f",
    "SELECT secret FROM {r} NATURAL JOIN (SELECT id, note FROM {r})",
    "SELECT (SELECT MAX(note) FROM {r})",
    "SELECT * FROM (SELECT id, secret FROM {r}) PIVOT (MAX(secret) FOR id IN (1, 2, 11))",
    "SELECT * FROM (SELECT id, secret FROM {r}) PIVOT (COUNT(id) FOR secret IN (ANY))",
    "SELECT * FROM (SELECT id, secret, note FROM {r}) UNPIVOT (v FOR c IN (secret, note))",
    "SELECT secret FROM {r} QUALIFY ROW_NUMBER() OVER (ORDER BY secret DESC) < 4",
    "SELECT LAG(secret) OVER (ORDER BY id), FIRST_VALUE(note) OVER (ORDER BY note) FROM {r}",
    "WITH q AS (SELECT secret s FROM {r}) SELECT s FROM q WHERE EXISTS (SELECT 1 FROM {r} x WHERE x.secret = q.s)",
    "WITH RECURSIVE q AS (SELECT 1 AS n, MIN(secret) AS s FROM {r} UNION ALL SELECT n + 1, s FROM q WHERE n < 3) SELECT * FROM q",
    "SELECT OBJECT_CONSTRUCT(*) FROM {r}",
    "SELECT * EXCLUDE (id) RENAME (secret AS known) FROM {r}",
    "SELECT LISTAGG(secret, ',') FROM {r}",
    "SELECT TRANSFORM(ARRAY_CONSTRUCT(secret, note), x -> x || '!') FROM {r}",
    "SELECT REDUCE(ARRAY_CONSTRUCT(secret, note), '', (a, x) -> a || x) FROM {r}",
    "SELECT ROW_NUMBER() OVER (PARTITION BY secret ORDER BY note), secret FROM {r}",
    "SELECT note FROM {r} UNION SELECT secret FROM {r}",
    "SELECT note FROM {r} EXCEPT SELECT secret FROM {r}",
    "SELECT GREATEST(secret, note), COALESCE(NULLIF(secret, 'x'), note) FROM {r}",
    "SELECT secret FROM {r} AT (OFFSET => 0)",
    "SELECT secret FROM {r} BEFORE (STATEMENT => LAST_QUERY_ID())",
    "SELECT * FROM {r} WHERE secret LIKE 'zq%'",
    "SELECT * FROM {r} WHERE secret IN (SELECT note FROM {r}) OR CONTAINS(note, 'zq')",
    "SELECT TO_NUMBER(secret) FROM {r}",
    "SELECT TO_DATE(note) FROM {r}",
    "SELECT secret::TIMESTAMP_NTZ, note::BOOLEAN FROM {r}",
    "SELECT TO_BINARY(secret, 'HEX') FROM {r}",
    "SELECT PARSE_JSON(secret) FROM {r}",
    "SELECT DATE_TRUNC(secret, CURRENT_DATE()) FROM {r}",
    "SELECT REGEXP_LIKE('x', secret || '(') FROM {r}",
    "SELECT (SELECT secret FROM {r}) AS one",
    "SELECT id FROM {r} WHERE TO_NUMBER(note) > 0",
    "SELECT id FROM {r} WHERE id = 11 AND secret::INT > 0",
    "SELECT SUM(TO_NUMBER(secret)) FROM {r} GROUP BY note",
    "SELECT * FROM {r} SAMPLE (100)",
    "SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))",
];

/// Statements that tell of the relation, and take less than SELECT or more.
const ABOUT: &[&str] = &[
    "EXPLAIN SELECT secret FROM {r} WHERE note = 'x' AND id < 3",
    "EXPLAIN SELECT COUNT(*) FROM {r} a JOIN {r} b ON a.note = b.note WHERE a.secret > 'b'",
    "DESCRIBE TABLE {r}",
    "SHOW COLUMNS IN TABLE {r}",
    "SHOW GRANTS ON TABLE {r}",
    "SHOW PRIMARY KEYS IN TABLE {r}",
    "SELECT GET_DDL('table', '{r}')",
    "SELECT SYSTEM$CLUSTERING_INFORMATION('{r}', '(secret)')",
    "SELECT * FROM TABLE(GET_QUERY_OPERATOR_STATS(LAST_QUERY_ID()))",
    "SELECT * FROM TABLE(d.information_schema.tag_references('{r}', 'table'))",
    "SELECT * FROM TABLE(d.information_schema.policy_references(ref_entity_name => '{r}', ref_entity_domain => 'table'))",
];

/// Statements that are one way together.
const TOGETHER: &[&[&str]] = &[
    &[
        "CREATE OR REPLACE TABLE d.s.kept_{n} AS SELECT * FROM {r}",
        "SELECT * FROM d.s.kept_{n}",
        "CREATE OR REPLACE TABLE d.s.kept_{n} AS SELECT TO_NUMBER(secret) AS a FROM {r}",
        "DROP TABLE IF EXISTS d.s.kept_{n}",
    ],
    &[
        "CREATE OR REPLACE TEMPORARY TABLE d.s.own_temporary AS SELECT secret, note FROM {r}",
        "SELECT * FROM d.s.own_temporary",
        "DROP TABLE IF EXISTS d.s.own_temporary",
    ],
    &[
        "SET held = (SELECT MAX(secret) FROM {r})",
        "SELECT $held",
        "SHOW VARIABLES",
        "UNSET held",
        "EXECUTE IMMEDIATE 'SELECT note FROM {r}'",
    ],
    &[
        "CREATE OR REPLACE TABLE d.s.sink_{n} (a VARCHAR, b VARCHAR, c INT)",
        "INSERT INTO d.s.sink_{n} SELECT secret, note, id FROM {r}",
        "INSERT ALL INTO d.s.sink_{n} VALUES (s, s, 1) SELECT secret AS s FROM {r}",
        "MERGE INTO d.s.sink_{n} k USING {r} x ON k.c = x.id WHEN MATCHED THEN UPDATE SET a = x.note WHEN NOT MATCHED THEN INSERT (a, c) VALUES (x.secret, x.id)",
        "UPDATE d.s.sink_{n} SET b = x.secret FROM {r} x WHERE c = x.id",
        "SELECT * FROM d.s.sink_{n}",
        "DELETE FROM d.s.sink_{n} USING {r} x WHERE a = x.secret AND TO_NUMBER(x.note) > 0",
        "INSERT INTO d.s.sink_{n} (c) SELECT secret FROM {r}",
        "DROP TABLE d.s.sink_{n}",
    ],
    &[
        "CREATE OR REPLACE VIEW d.s.view_{n} AS SELECT secret, note FROM {r}",
        "SELECT * FROM d.s.view_{n}",
        "CREATE OR REPLACE SECURE VIEW d.s.view_{n} AS SELECT MAX(secret) AS s FROM {r}",
        "SELECT * FROM d.s.view_{n}",
        "DROP VIEW IF EXISTS d.s.view_{n}",
    ],
    &[
        "COPY INTO @d.s.st/out_{n}/ FROM (SELECT secret, note FROM {r}) FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE) OVERWRITE = TRUE",
        "SELECT $1, $2 FROM @d.s.st/out_{n}/",
        "COPY INTO @d.s.st/out_{n}/ FROM {r} FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE) OVERWRITE = TRUE",
        "SELECT $1, $2, $3, $4 FROM @d.s.st/out_{n}/",
        "LIST @d.s.st/out_{n}/",
        "REMOVE @d.s.st/out_{n}/",
    ],
    &[
        "CREATE OR REPLACE MODEL d.s.model_{n} WITH VERSION v1 USING GBT TARGET num OPTIONS (n_estimators => 2) AS SELECT secret, note, id, num FROM {r}",
        "DESCRIBE MODEL d.s.model_{n}",
        "SHOW VERSIONS IN MODEL d.s.model_{n}",
        "SELECT secret, note, d.s.model_{n}!PREDICT(*) FROM {r}",
        "SELECT * FROM TABLE(MODEL_DRIFT(MODEL => 'd.s.model_{n}', DATA => (SELECT secret, note, id, num FROM {r})))",
        "DROP MODEL IF EXISTS d.s.model_{n}",
    ],
    &[
        "CREATE OR REPLACE MODEL d.s.labels_{n} WITH VERSION v1 USING GBT TARGET note OPTIONS (n_estimators => 2) AS SELECT id, num, note FROM {r}",
        "DESCRIBE MODEL d.s.labels_{n}",
        "SHOW VERSIONS IN MODEL d.s.labels_{n}",
        "SHOW FUNCTIONS IN MODEL d.s.labels_{n}",
        "SELECT d.s.labels_{n}!PREDICT(*) FROM (SELECT SEQ4() AS id, SEQ4() * SEQ4() AS num FROM TABLE(GENERATOR(ROWCOUNT => 12)))",
        "SELECT d.s.labels_{n}!PREDICT_PROBA(*) FROM (SELECT SEQ4() AS id, SEQ4() * SEQ4() AS num FROM TABLE(GENERATOR(ROWCOUNT => 12)))",
        "DROP MODEL IF EXISTS d.s.labels_{n}",
    ],
];

/// What the owner of a clone `{o}` tries, to get at what the policies on it hide.
pub const OWNERS: &[&str] = &[
    "SELECT * FROM {o}",
    "ALTER TABLE {o} ALTER COLUMN secret UNSET MASKING POLICY",
    "ALTER TABLE {o} ALTER COLUMN note UNSET MASKING POLICY",
    "ALTER TABLE {o} DROP ALL ROW ACCESS POLICIES",
    "CREATE OR REPLACE MASKING POLICY d.s.shows_{n} AS (val VARCHAR) RETURNS VARCHAR -> val",
    "ALTER TABLE {o} ALTER COLUMN secret SET MASKING POLICY d.s.shows_{n}",
    "ALTER TABLE {o} ALTER COLUMN note SET MASKING POLICY d.s.shows_{n} FORCE",
    "SELECT secret FROM {o}",
    "SELECT note FROM {o}",
    "ALTER TABLE {o} UNSET TAG d.s.G0, d.s.G1, d.s.G2, d.s.GS",
    "ALTER TABLE {o} ALTER COLUMN secret SET DATA TYPE VARIANT",
    "ALTER TABLE {o} ALTER COLUMN secret SET DATA TYPE VARCHAR(3)",
    "ALTER TABLE {o} RENAME COLUMN note TO known",
    "SELECT known FROM {o}",
    "ALTER TABLE {o} RENAME COLUMN known TO note",
    "UPDATE {o} SET region = 'R{n}'",
    "SELECT * FROM {o}",
    "DROP TABLE {o}",
    "UNDROP TABLE {o}",
    "SELECT * FROM {o}",
    "ALTER TABLE {o} RENAME TO d.own_{n}.moved",
    "SELECT * FROM d.own_{n}.moved",
    "CREATE TABLE d.own_{n}.again CLONE d.own_{n}.moved",
    "SELECT secret, note FROM d.own_{n}.again",
    "CREATE TABLE {o} (secret VARCHAR, note VARCHAR)",
    "ALTER TABLE d.own_{n}.again SWAP WITH {o}",
    "SELECT secret, note FROM d.own_{n}.again UNION SELECT secret, note FROM {o}",
    "DROP TABLE {o}",
    "ALTER TABLE d.own_{n}.moved RENAME TO {o}",
    "ALTER TABLE {o} DROP ALL ROW ACCESS POLICIES",
    "SELECT * FROM {o}",
    "UPDATE {o} SET region = secret",
    "UPDATE {o} SET num = TO_NUMBER(note)",
    "SELECT region FROM {o}",
    "DELETE FROM {o} WHERE TO_NUMBER(secret) > 1",
    "SELECT * FROM {o} AT (OFFSET => 0)",
    "ALTER TABLE {o} DROP COLUMN secret",
    "SELECT secret FROM {o} BEFORE (STATEMENT => LAST_QUERY_ID())",
    "CREATE OR REPLACE TABLE d.own_{n}.again CLONE {o} BEFORE (STATEMENT => LAST_QUERY_ID(-2))",
    "SELECT * FROM d.own_{n}.again",
    "CREATE OR REPLACE TABLE {o} (a INT)",
    "DROP TABLE {o}",
    "UNDROP TABLE {o}",
    "ALTER TABLE {o} RENAME TO d.own_{n}.new",
    "UNDROP TABLE {o}",
    "SELECT * FROM {o}",
    "DROP TABLE IF EXISTS {o}",
    "DROP SCHEMA d.own_{n}",
];

/// How many rows have `{s}` in the column `{c}`.
const PROBES: &[&str] = &[
    "SELECT COUNT(*) FROM {r} WHERE {c} = '{s}'",
    "SELECT COUNT(*) FROM {r} WHERE {c} IN (SELECT '{s}')",
    "SELECT COUNT(*) FROM {r} WHERE {c} LIKE '%' || '{s}'",
    "SELECT COUNT(*) FROM {r} WHERE {c} BETWEEN '{s}' AND '{s}'",
    "SELECT COUNT(*) FROM {r} WHERE HASH({c}) = HASH('{s}')",
    "SELECT COUNT(*) FROM {r} JOIN (SELECT '{s}' AS k) q ON {c} = k",
    "SELECT COUNT(id) FROM (SELECT '{s}' AS k) q LEFT JOIN {r} ON {c} = k",
    "SELECT COUNT(*) FROM {r} a WHERE EXISTS (SELECT 1 FROM {r} b WHERE b.id = a.id AND b.{c} = '{s}')",
    "SELECT COUNT(DISTINCT CASE WHEN {c} = '{s}' THEN id END) FROM {r}",
    "SELECT COALESCE(SUM(IFF({c} = '{s}', 1, 0)), 0) FROM {r}",
    "SELECT COUNT(*) FROM (SELECT {c} AS k FROM {r} GROUP BY {c} HAVING {c} = '{s}')",
    "SELECT COUNT(*) FROM (SELECT id FROM {r} QUALIFY MAX({c}) OVER (PARTITION BY id) = '{s}')",
    "SELECT COUNT(*) FROM {r} WHERE ARRAY_SIZE(FILTER(ARRAY_CONSTRUCT({c}), x -> x = '{s}')) = 1",
    "SELECT COUNT(*) FROM {r}, LATERAL FLATTEN(SPLIT({c}, ',')) f WHERE f.value::VARCHAR = '{s}'",
    "SELECT COUNT(*) FROM (SELECT {c} FROM {r} INTERSECT SELECT '{s}')",
];

/// What the role learns of definitions, of what others did, and of what it holds nothing on.
pub const DEFINITIONS: &[&str] = &[
    "SHOW TABLES IN SCHEMA d.s",
    "SHOW VIEWS IN SCHEMA d.s",
    "SHOW OBJECTS IN SCHEMA d.s",
    "SHOW COLUMNS IN SCHEMA d.s",
    "SHOW STAGES IN SCHEMA d.s",
    "SHOW MASKING POLICIES IN SCHEMA d.s",
    "SHOW ROW ACCESS POLICIES IN SCHEMA d.s",
    "SHOW TAGS IN SCHEMA d.s",
    "SHOW MODELS IN SCHEMA d.s",
    "SHOW TRANSACTIONS IN ACCOUNT",
    "SHOW LOCKS IN ACCOUNT",
    "SHOW USERS",
    "SHOW GRANTS TO ROLE PUBLIC",
    "SHOW FUTURE GRANTS IN SCHEMA d.s",
    "DESCRIBE ENDPOINT served",
    "DESCRIBE MODEL d.s.served",
    "SHOW VERSIONS IN MODEL d.s.served",
    "SELECT d.s.served!PREDICT('x', 'y', 1)",
    "SELECT * FROM TABLE(MODEL_DRIFT(MODEL => 'd.s.shared', DATA => (SELECT 'x' AS secret, 'y' AS note, 1 AS id, 1.0::FLOAT AS num)))",
    "SELECT d.s.shared!PREDICT('x', 'y', 1)",
    "SELECT GET_DDL('view', 'd.s.s0')",
    "SELECT GET_DDL('policy', 'd.s.m00')",
    "SELECT GET_DDL('schema', 'd.s', TRUE)",
    "SELECT GET_DDL('database', 'd')",
    "SELECT * FROM d.s.map0",
    "SELECT $1 FROM @d.s.hidden",
    "SELECT $1 FROM @d.s.hidden/t0/data.csv",
    "LIST @d.s.hidden",
    "CREATE OR REPLACE TEMPORARY TABLE d.s.loaded (a VARCHAR, b VARCHAR, c VARCHAR, d VARCHAR, e VARCHAR)",
    "COPY INTO d.s.loaded FROM @d.s.hidden",
    "SELECT * FROM d.s.loaded",
    "SELECT * FROM TABLE(INFER_SCHEMA(LOCATION => '@d.s.hidden', FILE_FORMAT => 'd.s.lines'))",
    "SELECT d.s.counts.NEXTVAL",
    "SELECT * FROM TABLE(d.information_schema.policy_references(policy_name => 'd.s.m00'))",
    "SELECT * FROM TABLE(d.information_schema.policy_references(policy_name => 'd.s.p0'))",
    "SELECT * FROM TABLE(d.information_schema.query_history(result_limit => 1000)) WHERE user_name <> 'WORKER'",
    "SELECT * FROM TABLE(d.information_schema.query_history_by_user(user_name => 'ADMIN', result_limit => 1000))",
    "SELECT * FROM TABLE(d.information_schema.copy_history(table_name => 'd.s.t0', start_time => DATEADD(hour, -1, CURRENT_TIMESTAMP())))",
    "SELECT * FROM snowflake.account_usage.query_history",
    "SELECT * FROM snowflake.account_usage.masking_policies",
    "SELECT * FROM snowflake.account_usage.row_access_policies",
    "SELECT * FROM snowflake.account_usage.policy_references",
    "SELECT * FROM snowflake.account_usage.access_history",
    "SELECT * FROM snowflake.account_usage.views",
    "SELECT * FROM d.information_schema.tables",
    "SELECT * FROM d.information_schema.views",
    "SELECT * FROM d.information_schema.columns",
    "SELECT * FROM d.information_schema.table_privileges",
];

fn filled(text: &str, name: &str, number: usize) -> String {
    text.replace("{r}", name).replace("{n}", &number.to_string())
}

/// Some of the ways, by chance; whether each gives rows, which takes SELECT.
pub fn some(random: &mut StdRng, name: &str, number: usize) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for text in ALONE {
        if random.random_bool(0.3) {
            all.push((filled(text, name, number), text.contains("{r}")));
        }
    }
    for text in ABOUT {
        if random.random_bool(0.3) {
            all.push((filled(text, name, number), false));
        }
    }
    for texts in TOGETHER {
        if random.random_bool(0.2) {
            let takes = |text: &str| text.contains("{r}");
            all.extend(texts.iter().map(|text| (filled(text, name, number), takes(text))));
        }
    }
    all
}

/// One way to count a value.
pub fn probe(random: &mut StdRng, name: &str, column: &str, value: &str) -> String {
    let text = PROBES[random.random_range(0..PROBES.len())];
    text.replace("{r}", name).replace("{c}", column).replace("{s}", value)
}
