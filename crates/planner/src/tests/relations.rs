//! FROM, joins, subqueries, common table expressions, set operations, table functions.

use super::harness::World;
use frazil_common::Code;

#[test]
fn joins() {
    let w = World::new();
    assert_eq!(
        w.sorted("SELECT e.id, d.title FROM emp e JOIN dept d ON e.dept = d.id"),
        ["1|sales", "2|sales", "3|lab", "5|lab"]
    );
    assert_eq!(
        w.sorted("SELECT e.id, title FROM emp e, dept d WHERE e.dept = d.id AND e.id < 3"),
        ["1|sales", "2|sales"]
    );
    assert_eq!(
        w.sorted(
            "SELECT e.id, d.title FROM emp e LEFT JOIN dept d ON e.dept = d.id WHERE e.id > 3"
        ),
        ["4|NULL", "5|lab"]
    );
    assert_eq!(
        w.sorted("SELECT e.id, d.id FROM emp e RIGHT OUTER JOIN dept d ON e.dept = d.id"),
        ["1|10", "2|10", "3|20", "5|20", "NULL|30"]
    );
    assert_eq!(
        w.sorted("SELECT e.id, d.id FROM emp e FULL JOIN dept d ON e.dept = d.id"),
        ["1|10", "2|10", "3|20", "4|NULL", "5|20", "NULL|30"]
    );
    assert_eq!(w.ok("SELECT 1 FROM emp CROSS JOIN dept").len(), 15);
    assert_eq!(w.error("SELECT * FROM emp e JOIN dept d ON id = 1").code, Code::AmbiguousColumn);
}

/// "JOIN": columns of USING and NATURAL are shown once, the left's first.
#[test]
fn join_using() {
    let w = World::new();
    assert_eq!(
        w.names("SELECT * FROM emp JOIN dept USING (id)"),
        ["ID", "NAME", "DEPT", "SALARY", "TITLE"]
    );
    let l = "(SELECT column1 AS k, column2 AS a FROM VALUES (1, 'x'), (2, 'y'))";
    let r = "(SELECT column1 AS k, column2 AS b FROM VALUES (2, 'p'), (3, 'q'))";
    assert_eq!(w.sorted(&format!("SELECT * FROM {l} NATURAL JOIN {r}")), ["2|y|p"]);
    assert_eq!(
        w.sorted(&format!("SELECT k, a, b FROM {l} FULL JOIN {r} USING (k)")),
        ["1|x|NULL", "2|y|p", "3|NULL|q"]
    );
    assert_eq!(
        w.sorted(&format!("SELECT l.k, r.k FROM {l} l RIGHT JOIN {r} r USING (k)")),
        ["2|2", "NULL|3"]
    );
    assert_eq!(
        w.sorted(&format!("SELECT r.* FROM {l} l RIGHT JOIN {r} r USING (k)")),
        ["2|p", "3|q"]
    );
}

#[test]
fn subqueries() {
    let w = World::new();
    assert_eq!(w.ok("SELECT id FROM emp WHERE salary = (SELECT MAX(salary) FROM emp)"), ["4"]);
    assert_eq!(
        w.sorted("SELECT id FROM emp WHERE dept IN (SELECT id FROM dept WHERE title = 'lab')"),
        ["3", "5"]
    );
    assert_eq!(
        w.sorted("SELECT id FROM dept d WHERE EXISTS (SELECT 1 FROM emp e WHERE e.dept = d.id)"),
        ["10", "20"]
    );
    assert_eq!(
        w.sorted("SELECT id FROM dept d WHERE NOT EXISTS (SELECT 1 FROM emp WHERE dept = d.id)"),
        ["30"]
    );
    assert_eq!(
        w.sorted("SELECT d.id, (SELECT COUNT(*) FROM emp e WHERE e.dept = d.id) FROM dept d"),
        ["10|2", "20|2", "30|0"]
    );
    // NOT IN over a NULL is never true.
    assert_eq!(w.sorted("SELECT id FROM dept WHERE id NOT IN (SELECT dept FROM emp)"), [""; 0]);
    assert_eq!(
        w.sorted("SELECT id FROM emp WHERE (id, dept) IN (SELECT 1, 10 UNION ALL SELECT 2, 20)"),
        ["1"]
    );
    assert_eq!(w.sorted("SELECT x FROM (SELECT id AS x FROM dept) t WHERE t.x > 10"), ["20", "30"]);
    assert_eq!(
        w.sorted("SELECT id FROM emp WHERE salary > ALL (SELECT 150 UNION ALL SELECT 250)"),
        ["3", "4"]
    );
    assert_eq!(w.sorted("SELECT id FROM emp WHERE id = ANY (SELECT 2)"), ["2"]);
    assert_eq!(
        w.sorted("SELECT id, id IN (SELECT 1) FROM dept"),
        ["10|false", "20|false", "30|false"]
    );
    assert_eq!(
        w.sorted("SELECT id, EXISTS (SELECT 1 FROM emp e WHERE e.dept = dept.id) FROM dept"),
        ["10|true", "20|true", "30|false"]
    );
}

#[test]
fn lateral_queries() {
    let w = World::new();
    assert_eq!(
        w.sorted(
            "SELECT d.id, x.n FROM dept d, LATERAL (SELECT COUNT(*) AS n FROM emp e \
             WHERE e.dept = d.id) x"
        ),
        ["10|2", "20|2", "30|0"]
    );
    assert_eq!(
        w.sorted(
            "SELECT d.id, x.id FROM dept d LEFT JOIN LATERAL (SELECT e.id FROM emp e \
             WHERE e.dept = d.id) x"
        ),
        ["10|1", "10|2", "20|3", "20|5", "30|NULL"]
    );
}

#[test]
fn common_table_expressions() {
    let w = World::new();
    assert_eq!(
        w.sorted("WITH t AS (SELECT id FROM dept) SELECT a.id FROM t a JOIN t b USING (id)"),
        ["10", "20", "30"]
    );
    assert_eq!(
        w.ok("WITH t (x) AS (SELECT 1), u AS (SELECT x + 1 AS y FROM t) SELECT y FROM u"),
        ["2"]
    );
    // A name of WITH shadows a table; inside its own query it is the table.
    assert_eq!(w.ok("WITH dept AS (SELECT id FROM dept WHERE id = 10) SELECT * FROM dept"), ["10"]);
    assert_eq!(
        w.ok("WITH t AS (SELECT 1 AS x) SELECT * FROM (WITH t AS (SELECT 2 AS x) SELECT * FROM t)"),
        ["2"]
    );
}

#[test]
fn recursive_common_table_expressions() {
    let w = World::new();
    assert_eq!(
        w.ok("WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5) \
              SELECT n FROM c ORDER BY n"),
        ["1", "2", "3", "4", "5"]
    );
    assert_eq!(
        w.ok("WITH RECURSIVE f AS (SELECT 1 AS a, 1 AS b UNION ALL \
              SELECT b, a + b FROM f WHERE b < 20) SELECT a FROM f ORDER BY a"),
        ["1", "1", "2", "3", "5", "8", "13"]
    );
}

#[test]
fn set_operations() {
    let w = World::new();
    assert_eq!(
        w.sorted("SELECT dept FROM emp UNION SELECT id FROM dept"),
        ["10", "20", "30", "NULL"]
    );
    assert_eq!(w.sorted("SELECT 1 UNION ALL SELECT 1.5 UNION ALL SELECT 2"), ["1.0", "1.5", "2.0"]);
    assert_eq!(w.sorted("SELECT dept FROM emp INTERSECT SELECT id FROM dept"), ["10", "20"]);
    assert_eq!(w.sorted("SELECT dept FROM emp EXCEPT SELECT id FROM dept"), ["NULL"]);
    assert_eq!(w.sorted("SELECT id FROM dept MINUS SELECT 10"), ["20", "30"]);
    assert_eq!(w.sorted("SELECT NULL UNION SELECT NULL"), ["NULL"]);
    assert_eq!(w.ok("SELECT 2 AS x UNION ALL SELECT 1 ORDER BY x"), ["1", "2"]);
    assert_eq!(w.ok("(SELECT 3 AS x) UNION ALL (SELECT 1) ORDER BY 1 LIMIT 1"), ["1"]);
    assert_eq!(w.error("SELECT 1 UNION SELECT 1, 2").code, Code::SetOperationColumnCountMismatch);
    assert_eq!(
        w.sorted("SELECT 1 AS a, 'x' AS b UNION ALL BY NAME SELECT 'y' AS b, 2 AS a"),
        ["1|x", "2|y"]
    );
    assert_eq!(w.sorted("SELECT 1 AS a UNION ALL BY NAME SELECT 'y' AS b"), ["1|NULL", "NULL|y"]);
    let chain = vec!["SELECT 1"; 300].join(" UNION ALL ");
    assert_eq!(w.ok(&format!("SELECT SUM($1) FROM ({chain})")), ["300"]);
}

/// "FLATTEN": its examples.
#[test]
fn flatten() {
    let w = World::new();
    assert_eq!(
        w.ok("SELECT index, value FROM TABLE(FLATTEN(INPUT => PARSE_JSON('[1,77]')))"),
        ["0|1", "1|77"]
    );
    assert_eq!(
        w.ok("SELECT f.* FROM TABLE(FLATTEN(INPUT => PARSE_JSON('{\"a\":1, \"b\":[77,88]}'), \
              OUTER => TRUE)) f"),
        [r#"1|a|a|NULL|1|{"a":1,"b":[77,88]}"#, r#"1|b|b|NULL|[77,88]|{"a":1,"b":[77,88]}"#]
    );
    assert_eq!(
        w.ok("SELECT key, path, value FROM TABLE(FLATTEN(INPUT => \
              PARSE_JSON('{\"a\":1, \"b\":[77,88]}'), PATH => 'b'))"),
        ["NULL|b[0]|77", "NULL|b[1]|88"]
    );
    assert_eq!(w.ok("SELECT * FROM TABLE(FLATTEN(INPUT => PARSE_JSON('[]')))"), [""; 0]);
    assert_eq!(
        w.ok("SELECT key, value FROM TABLE(FLATTEN(INPUT => PARSE_JSON('[]'), OUTER => TRUE))"),
        ["NULL|NULL"]
    );
    assert_eq!(
        w.sorted(
            "SELECT t.k, f.seq, f.value::INT + 1 FROM (SELECT 1 AS k, PARSE_JSON('{\"v\":[5,6]}') \
             AS o) t, LATERAL FLATTEN(INPUT => t.o:v) f"
        ),
        ["1|1|6", "1|1|7"]
    );
    assert_eq!(
        w.sorted(
            "SELECT s.index, s.value FROM (SELECT 'a,b' AS t) x, LATERAL \
                  SPLIT_TO_TABLE(x.t, ',') AS s"
        ),
        ["1|a", "2|b"]
    );
    assert_eq!(
        w.error("SELECT * FROM TABLE(FLATTEN(INPUT => 'x'))").code,
        Code::InvalidArgumentTypes
    );
}

/// "GENERATOR": rows without columns; SEQ4 counts from 0.
#[test]
fn generator() {
    let w = World::new();
    assert_eq!(
        w.ok("SELECT SEQ4() FROM TABLE(GENERATOR(ROWCOUNT => 3)) ORDER BY 1"),
        ["0", "1", "2"]
    );
    assert_eq!(w.ok("SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 1000000)) v"), ["1000000"]);
    assert_eq!(w.ok("SELECT SUM(SEQ8()) FROM TABLE(GENERATOR(ROWCOUNT => 1000))"), ["499500"]);
    assert_eq!(w.sorted("SELECT SEQ4() FROM dept WHERE id > 10"), ["0", "1"]);
    assert_eq!(
        w.ok(
            "SELECT ROW_NUMBER() OVER (ORDER BY SEQ4()) AS r FROM TABLE(GENERATOR(ROWCOUNT => 2)) \
              ORDER BY r"
        ),
        ["1", "2"]
    );
}

#[test]
fn samples() {
    let w = World::new();
    assert_eq!(w.ok("SELECT id FROM emp SAMPLE (100)").len(), 5);
    assert_eq!(w.ok("SELECT id FROM emp SAMPLE (0)").len(), 0);
    assert_eq!(w.ok("SELECT id FROM emp TABLESAMPLE BERNOULLI (3 ROWS)").len(), 3);
    let sample = "SELECT COUNT(*) FROM (SELECT SEQ4() AS n FROM TABLE(GENERATOR(ROWCOUNT => \
                  10000))) SAMPLE BERNOULLI (20) SEED (7)";
    let count: i64 = w.ok(sample)[0].parse().unwrap();
    assert!((1500..2500).contains(&count), "{count}");
    assert_eq!(w.error("SELECT * FROM emp SAMPLE (101)").code, Code::InvalidArgument);
}

#[test]
fn pivot_and_unpivot() {
    let w = World::new();
    let sales = "(SELECT column1 AS k, column2 AS m, column3 AS x FROM VALUES (1,'a',10),\
                 (1,'a',5),(1,'b',2),(2,'b',7))";
    assert_eq!(
        w.sorted(&format!("SELECT * FROM {sales} PIVOT (SUM(x) FOR m IN ('a', 'b'))")),
        ["1|15|2", "2|NULL|7"]
    );
    assert_eq!(
        w.names(&format!("SELECT * FROM {sales} PIVOT (SUM(x) FOR m IN ('a', 'b'))")),
        ["K", "'a'", "'b'"]
    );
    let wide =
        "(SELECT column1 AS k, column2 AS jan, column3 AS feb FROM VALUES (1,10,20),(2,NULL,5))";
    assert_eq!(
        w.sorted(&format!("SELECT * FROM {wide} UNPIVOT (sales FOR month IN (jan, feb))")),
        ["1|FEB|20", "1|JAN|10", "2|FEB|5"]
    );
}

#[test]
fn accesses_name_used_columns() {
    let w = World::new();
    let planned =
        w.plan("SELECT e.name FROM emp e JOIN dept d ON e.dept = d.id WHERE e.salary > 1").unwrap();
    let of = |name: &str| {
        planned.accesses.iter().find(|a| a.object.name.ends_with(name)).unwrap().columns.clone()
    };
    assert_eq!(of("EMP"), ["DEPT", "NAME", "SALARY"]);
    assert_eq!(of("DEPT"), ["ID"]);
}

/// "FLATTEN": an alias list renames, several functions follow one another, OUTER keeps rows.
#[test]
fn flatten_chains() {
    let w = World::new();
    let rows = "(SELECT column1 AS k, PARSE_JSON(column2) AS v FROM VALUES \
                (1, '[[1,2],[3]]'), (2, '[]'))";
    assert_eq!(
        w.sorted(&format!(
            "SELECT t.k, b.value FROM {rows} t, LATERAL FLATTEN(t.v) a, LATERAL FLATTEN(a.value) b"
        )),
        ["1|1", "1|2", "1|3"]
    );
    assert_eq!(
        w.sorted(&format!(
            "SELECT k, a.index FROM {rows} t, TABLE(FLATTEN(INPUT => t.v, OUTER => TRUE)) a"
        )),
        ["1|0", "1|1", "2|NULL"]
    );
    assert_eq!(
        w.sorted(&format!(
            "SELECT f.x FROM {rows} t JOIN TABLE(FLATTEN(t.v)) AS f (s, k, p, x) ON f.x > 0"
        )),
        ["1"]
    );
    assert_eq!(
        w.ok(&format!("SELECT COUNT(*) FROM {rows}, LATERAL FLATTEN(v, RECURSIVE => TRUE)")),
        ["5"]
    );
}

/// Snowflake: "Single-row subquery returns more than one row."
#[test]
fn scalar_subqueries_of_several_rows() {
    let w = World::new();
    assert_eq!(
        w.sorted("SELECT id, (SELECT title FROM dept d WHERE d.id = e.dept) FROM emp e"),
        ["1|sales", "2|sales", "3|lab", "4|NULL", "5|lab"]
    );
    assert_eq!(
        w.error("SELECT id, (SELECT name FROM emp e WHERE e.dept = d.id) FROM dept d").code,
        Code::MultipleRows
    );
    assert!(w.rows("SELECT (SELECT id FROM dept)").is_err());
    assert_eq!(
        w.sorted("SELECT id FROM emp e WHERE salary > (SELECT AVG(salary) FROM emp f WHERE f.dept = e.dept)"),
        ["2"]
    );
    assert_eq!(w.ok("SELECT SUM((SELECT MAX(id) FROM dept)) FROM emp"), ["150"]);
    assert_eq!(
        w.sorted("SELECT CASE WHEN id IN (SELECT dept FROM emp) THEN 1 ELSE 0 END FROM dept"),
        ["0", "1", "1"]
    );
    // 30 is not among the departments, one of which is NULL.
    assert_eq!(
        w.sorted("SELECT id, id IN (SELECT dept FROM emp) FROM dept"),
        ["10|true", "20|true", "30|NULL"]
    );
    assert_eq!(
        w.sorted("SELECT id FROM dept d WHERE id = 10 OR EXISTS (SELECT 1 FROM emp WHERE dept = d.id AND id = 3)"),
        ["10", "20"]
    );
}

#[test]
fn joins_of_many_tables() {
    let w = World::new();
    assert_eq!(
        w.sorted(
            "SELECT a.id, b.id, c.title FROM emp a JOIN emp b ON a.dept = b.dept AND a.id < b.id \
             LEFT JOIN dept c ON c.id = a.dept AND c.title <> 'lab'"
        ),
        ["1|2|sales", "3|5|NULL"]
    );
    assert_eq!(
        w.sorted("SELECT e.id FROM (emp e JOIN dept d ON e.dept = d.id) WHERE d.title = 'lab'"),
        ["3", "5"]
    );
    assert_eq!(
        w.sorted("SELECT e.id FROM emp e JOIN dept d ON e.dept = d.id AND d.id IN (SELECT 20)"),
        ["3", "5"]
    );
    assert_eq!(
        w.sorted(
            "SELECT PARSE_JSON('1') = a.v FROM (SELECT PARSE_JSON('1') AS v) a JOIN \
                  (SELECT PARSE_JSON('1') AS v) b ON a.v = b.v"
        ),
        ["true"]
    );
}
