//! Select lists, filters, sorting, limits, names.

use super::harness::World;
use frazil_common::Code;

#[test]
fn projections_and_filters() {
    let w = World::new();
    assert_eq!(w.ok("SELECT 1"), ["1"]);
    assert_eq!(
        w.sorted("SELECT id, name FROM emp WHERE salary > 150"),
        ["2|bob", "3|cid", "4|dan"]
    );
    assert_eq!(w.sorted("SELECT * FROM dept"), ["10|sales", "20|lab", "30|none"]);
    assert_eq!(w.sorted("SELECT d.* FROM dept d WHERE d.id = 10"), ["10|sales"]);
    assert_eq!(w.sorted("SELECT emp.id FROM emp WHERE emp.dept IS NULL"), ["4"]);
    assert_eq!(w.sorted("SELECT db.public.emp.id FROM db.public.emp WHERE id = 1"), ["1"]);
    assert_eq!(w.sorted("SELECT $2 FROM dept WHERE $1 = 20"), ["lab"]);
    assert_eq!(w.sorted("SELECT e.$1 FROM emp e WHERE e.$1 < 3"), ["1", "2"]);
    assert_eq!(w.ok("SELECT CASE WHEN 1 = 2 THEN 'a' ELSE 'b' END"), ["b"]);
    assert_eq!(w.sorted("SELECT id FROM emp WHERE id IN (1, 3, 9)"), ["1", "3"]);
    assert_eq!(w.sorted("SELECT id FROM emp WHERE (id, dept) IN ((1, 10), (2, 20))"), ["1"]);
    assert_eq!(w.sorted("SELECT id FROM emp WHERE name LIKE ANY ('a%', '%d')"), ["1", "3"]);
    assert_eq!(w.sorted("SELECT id FROM emp WHERE id BETWEEN 2 AND 3"), ["2", "3"]);
    assert_eq!(w.sorted("SELECT id FROM emp WHERE dept IS DISTINCT FROM 10"), ["3", "4", "5"]);
}

/// "SELECT": an alias may be used in the other clauses; a column of the same name wins.
#[test]
fn lateral_aliases() {
    let w = World::new();
    assert_eq!(w.sorted("SELECT id + 1 AS x, x * 2 AS y FROM emp WHERE x > 5"), ["6|12"]);
    assert_eq!(w.sorted("SELECT id * 10 AS salary FROM emp WHERE salary = 100"), ["10"]);
    assert_eq!(w.error("SELECT y + 1 AS x, x AS y FROM emp").code, Code::InvalidIdentifier);
}

/// "ORDER BY": NULLs are last in ascending order and first in descending order.
#[test]
fn order_by() {
    let w = World::new();
    assert_eq!(
        w.ok("SELECT salary FROM emp ORDER BY salary"),
        ["100", "200", "300", "400", "NULL"]
    );
    assert_eq!(
        w.ok("SELECT salary FROM emp ORDER BY 1 DESC"),
        ["NULL", "400", "300", "200", "100"]
    );
    assert_eq!(w.ok("SELECT salary s FROM emp ORDER BY s DESC NULLS LAST LIMIT 2"), ["400", "300"]);
    assert_eq!(w.ok("SELECT name FROM emp ORDER BY id DESC LIMIT 2 OFFSET 1"), ["dan", "cid"]);
    assert_eq!(w.ok("SELECT -id AS id FROM emp ORDER BY id LIMIT 1"), ["-5"]);
    assert_eq!(w.ok("SELECT TOP 2 id FROM emp ORDER BY id"), ["1", "2"]);
    assert_eq!(w.ok("SELECT id FROM emp ORDER BY id FETCH FIRST 1 ROWS ONLY"), ["1"]);
    assert_eq!(w.ok("SELECT id FROM emp ORDER BY ALL LIMIT 1"), ["1"]);
    assert_eq!(w.ok("SELECT DISTINCT dept FROM emp ORDER BY dept"), ["10", "20", "NULL"]);
    assert_eq!(w.error("SELECT id FROM emp ORDER BY 2").code, Code::NotAGroupByExpression);
}

/// Headers as Snowflake's documentation prints them.
#[test]
fn output_names() {
    let w = World::new();
    assert_eq!(
        w.names("SELECT 1, id, emp.name, id+1, \"ID\" AS \"x y\" FROM emp"),
        ["1", "ID", "NAME", "ID+1", "x y"]
    );
    assert_eq!(w.names("SELECT id, id FROM emp"), ["ID", "ID"]);
    assert_eq!(w.ok("SELECT id, id FROM emp ORDER BY 1 LIMIT 1"), ["1|1"]);
    assert_eq!(w.names("SELECT $1 FROM emp"), ["$1"]);
    assert_eq!(w.names("SELECT * FROM VALUES (1, 2)"), ["COLUMN1", "COLUMN2"]);
}

#[test]
fn star_options() {
    let w = World::new();
    assert_eq!(w.names("SELECT * EXCLUDE (name, dept) FROM emp"), ["ID", "SALARY"]);
    assert_eq!(w.names("SELECT * EXCLUDE name FROM emp"), ["ID", "DEPT", "SALARY"]);
    assert_eq!(w.names("SELECT * ILIKE '%a%' FROM emp"), ["NAME", "SALARY"]);
    assert_eq!(w.names("SELECT * RENAME (id AS key) FROM dept"), ["KEY", "TITLE"]);
    assert_eq!(w.ok("SELECT * REPLACE (id + 1 AS id) FROM dept ORDER BY 1 LIMIT 1"), ["11|sales"]);
    assert_eq!(w.error("SELECT * EXCLUDE nope FROM emp").code, Code::InvalidIdentifier);
}

#[test]
fn errors_of_names() {
    let w = World::new();
    let error = w.error("SELECT id,\n  nope FROM emp");
    assert_eq!(error.code, Code::InvalidIdentifier);
    assert_eq!(error.message, "invalid identifier 'NOPE'");
    assert_eq!(error.position, Some(frazil_common::Position { line: 2, column: 3 }));
    assert_eq!(w.error("SELECT id FROM emp, dept").code, Code::AmbiguousColumn);
    let error = w.error("SELECT coalesc(id, 1) FROM emp");
    assert_eq!(error.code, Code::UnknownFunction);
    assert!(error.message.contains("COALESCE"), "{}", error.message);
    assert_eq!(w.error("SELECT * FROM nowhere").code, Code::ObjectNotFound);
    assert_eq!(w.error("SELECT e.id FROM emp AS f").code, Code::InvalidIdentifier);
}

#[test]
fn variables_and_binds() {
    let mut w = World::new();
    w.binds = vec![frazil_functions::TypedExpr::integer(3)];
    w.variables.insert("V".into(), frazil_functions::TypedExpr::text("bob"));
    assert_eq!(w.ok("SELECT id FROM emp WHERE id = ?1"), ["3"]);
    assert_eq!(w.ok("SELECT id FROM emp WHERE name = $v"), ["2"]);
    assert_eq!(w.ok("SELECT id FROM emp ORDER BY id LIMIT ?1"), ["1", "2", "3"]);
    assert_eq!(w.error("SELECT ?2").code, Code::BindMissing);
    assert_eq!(w.error("SELECT $nope").code, Code::InvalidIdentifier);
}

#[test]
fn values_and_types() {
    let w = World::new();
    assert_eq!(
        w.ok("SELECT column1, column2 FROM VALUES (1, 'a'), (2.5, 'bc') ORDER BY 1"),
        ["1.0|a", "2.5|bc"]
    );
    assert_eq!(w.ok("SELECT x FROM (VALUES (1), (2)) AS v (x) WHERE x > 1"), ["2"]);
    assert_eq!(
        w.types("SELECT 1, 1.5, 'abc', TRUE, NULL, 1e1"),
        ["NUMBER(1,0)", "NUMBER(2,1)", "VARCHAR(3)", "BOOLEAN", "NULL", "FLOAT"]
    );
    assert_eq!(w.ok("SELECT '12'::INT + 1"), ["13"]);
    assert_eq!(w.ok("SELECT DATE '2024-02-28' + INTERVAL '2 days'"), ["2024-03-01"]);
    assert_eq!(w.ok("SELECT DATEADD(month, 1, '2024-01-31'::DATE)"), ["2024-02-29"]);
    assert_eq!(w.ok("SELECT EXTRACT(year FROM DATE '2024-02-28')"), ["2024"]);
}

#[test]
fn semi_structured_paths() {
    let w = World::new();
    assert_eq!(w.ok("SELECT PARSE_JSON('{\"a\":{\"b\":[1,2]}}'):a.b[1]::INT"), ["2"]);
    assert_eq!(w.ok("SELECT o['k'] FROM (SELECT OBJECT_CONSTRUCT('k', 5) AS o)"), ["5"]);
}

/// Functions with a syntax of their own.
#[test]
fn special_forms() {
    let w = World::new();
    for (sql, value) in [
        ("SELECT POSITION('b' IN 'abc')", "2"),
        ("SELECT TRIM('  a ')", "a"),
        ("SELECT LTRIM('00a0', '0')", "a0"),
        ("SELECT SUBSTRING('hello', 2, 3)", "ell"),
        ("SELECT CEIL(1.2), FLOOR(-1.2)", "2|-2"),
        ("SELECT DATE_TRUNC('month', '2024-05-17'::DATE)", "2024-05-01"),
        ("SELECT DATEDIFF(day, '2024-01-01'::DATE, '2024-03-01'::DATE)", "60"),
        ("SELECT DATE_PART(year, '2024-05-17'::DATE)", "2024"),
        ("SELECT LAST_DAY('2024-02-10'::DATE, month)", "2024-02-29"),
        ("SELECT IFF(1 > 2, 'a', 'b')", "b"),
        ("SELECT NVL(NULL, 3)", "3"),
        ("SELECT TRY_CAST('x' AS INT)", "NULL"),
        ("SELECT 'a' || 'b' || 1", "ab1"),
        ("SELECT NOT TRUE IS TRUE", "false"),
        ("SELECT 'abc' RLIKE 'a.c'", "true"),
        ("SELECT 'ABC' ILIKE 'a%'", "true"),
        ("SELECT [1, 2][1]", "2"),
        ("SELECT {'a': 1}:a", "1"),
        ("SELECT OBJECT_CONSTRUCT(*) FROM dept WHERE id = 10", r#"{"ID":10,"TITLE":"sales"}"#),
        ("SELECT '2024-01-31'::DATE + INTERVAL '1 month, 1 day'", "2024-03-01"),
        ("SELECT '2024-03-01'::DATE - INTERVAL '1 day'", "2024-02-29"),
        ("SELECT CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END", "b"),
        ("SELECT CURRENT_USER, CURRENT_ROLE()", "FRAZIL|ACCOUNTADMIN"),
        ("SELECT x'0aff'::VARCHAR", "0AFF"),
    ] {
        assert_eq!(w.ok(sql), [value], "{sql}");
    }
}

/// A column's `TIMESTAMP_TZ` groups and sorts by its instant.
#[test]
fn zoned_timestamps_compare_by_instant() {
    let w = World::new();
    let rows = "(SELECT column1::TIMESTAMP_TZ AS t FROM VALUES ('2024-01-01 12:00:00 +0000'), \
                ('2024-01-01 13:00:00 +0100'), ('2024-01-01 11:00:00 +0000'))";
    assert_eq!(w.ok(&format!("SELECT COUNT(*) FROM (SELECT DISTINCT t FROM {rows})")), ["2"]);
    assert_eq!(
        w.ok(&format!("SELECT COUNT(*) AS n FROM {rows} GROUP BY t ORDER BY t")),
        ["1", "2"]
    );
}

#[test]
fn long_chains_do_not_exhaust_the_stack() {
    let w = World::new();
    let terms = vec!["id <> 7"; 2000].join(" AND ");
    assert!(w.plan(&format!("SELECT id FROM emp WHERE {terms}")).is_ok());
}

/// Every use of an alias sees the value of its row, also where calls differ.
#[test]
fn volatile_aliases_are_computed_once() {
    let w = World::new();
    assert_eq!(w.ok("SELECT RANDOM() AS r, r - r FROM dept LIMIT 1").len(), 1);
    let row = w.ok("SELECT RANDOM() AS r, r AS s, RANDOM() AS t FROM dept LIMIT 1");
    let values: Vec<&str> = row[0].split('|').collect();
    assert_eq!(values[0], values[1]);
    assert_ne!(values[0], values[2]);
    let kept = w.ok("SELECT UNIFORM(0, 1, RANDOM()) AS x FROM TABLE(GENERATOR(ROWCOUNT => 100)) \
                     WHERE x = 1");
    assert!(kept.iter().all(|x| x == "1"), "{kept:?}");
}
