//! GROUP BY, HAVING, DISTINCT, windows, QUALIFY.

use super::harness::World;
use frazil_common::Code;

#[test]
fn group_by() {
    let w = World::new();
    assert_eq!(w.ok("SELECT COUNT(*), SUM(salary), MIN(id) FROM emp"), ["5|1000|1"]);
    assert_eq!(
        w.sorted("SELECT dept, COUNT(*) FROM emp GROUP BY dept"),
        ["10|2", "20|2", "NULL|1"]
    );
    assert_eq!(
        w.sorted("SELECT dept + 1 AS d, COUNT(*) FROM emp GROUP BY d"),
        ["11|2", "21|2", "NULL|1"]
    );
    assert_eq!(
        w.sorted("SELECT dept, MAX(salary) FROM emp GROUP BY 1 HAVING COUNT(*) > 1"),
        ["10|200", "20|300"]
    );
    assert_eq!(
        w.sorted("SELECT dept, COUNT(*) AS n FROM emp GROUP BY ALL"),
        ["10|2", "20|2", "NULL|1"]
    );
    assert_eq!(w.sorted("SELECT dept + 1 + 1 FROM emp GROUP BY dept + 1"), ["12", "22", "NULL"]);
    assert_eq!(
        w.ok("SELECT dept FROM emp GROUP BY dept ORDER BY SUM(salary) DESC LIMIT 1"),
        ["NULL"]
    );
    assert_eq!(w.sorted("SELECT SUM(id) AS s, s * 2 FROM emp"), ["15|30"]);
    assert_eq!(w.ok("SELECT COUNT(DISTINCT dept), COUNT(dept) FROM emp"), ["2|4"]);
    assert_eq!(
        w.names("SELECT COUNT(*), count( distinct dept ) FROM emp"),
        ["COUNT(*)", "COUNT( DISTINCT DEPT )"]
    );
}

#[test]
fn misuse_of_aggregates() {
    let w = World::new();
    let error = w.error("SELECT name, COUNT(*) FROM emp GROUP BY dept");
    assert_eq!(error.code, Code::NotAGroupByExpression);
    assert_eq!(
        error.message,
        "'EMP.NAME' in select clause is neither an aggregate nor in the group by clause."
    );
    assert!(w.rows("SELECT id FROM emp WHERE COUNT(*) > 1").is_err());
    assert!(w.rows("SELECT SUM(COUNT(*)) FROM emp").is_err());
    assert!(w.rows("SELECT COUNT(*) FROM emp GROUP BY COUNT(*)").is_err());
    assert!(w.rows("SELECT id FROM emp HAVING id > 1").is_err());
    assert_eq!(w.error("SELECT id FROM emp GROUP BY 7").code, Code::NotAGroupByExpression);
}

/// "GROUP BY GROUPING SETS", "GROUP BY ROLLUP", "GROUP BY CUBE", "GROUPING".
#[test]
fn grouping_sets() {
    let w = World::new();
    assert_eq!(
        w.sorted(
            "SELECT a, COUNT(*), GROUPING(a) FROM pairs WHERE a IS NOT NULL GROUP BY ROLLUP (a)"
        ),
        ["1|2|0", "2|1|0", "NULL|3|1"]
    );
    assert_eq!(
        w.sorted("SELECT a, b, COUNT(*) FROM pairs WHERE a = 1 GROUP BY CUBE (a, b)"),
        ["1|1|1", "1|2|1", "1|NULL|2", "NULL|1|1", "NULL|2|1", "NULL|NULL|2"]
    );
    assert_eq!(
        w.sorted("SELECT a, b, COUNT(*) FROM pairs WHERE a = 1 GROUP BY GROUPING SETS ((a), (b))"),
        ["1|NULL|2", "NULL|1|1", "NULL|2|1"]
    );
    assert_eq!(
        w.sorted("SELECT a + 1 AS x, COUNT(*) FROM pairs WHERE a = 1 GROUP BY ROLLUP (a + 1)"),
        ["2|2", "NULL|2"]
    );
}

#[test]
fn distinct_rows() {
    let w = World::new();
    assert_eq!(w.sorted("SELECT DISTINCT a, b FROM pairs"), ["1|1", "1|2", "2|2", "NULL|3"]);
    // 1 and 1.0 are one VARIANT value; keys compare as the values do.
    assert_eq!(
        w.ok("SELECT COUNT(*) FROM (SELECT DISTINCT PARSE_JSON(column1) AS v FROM VALUES \
              ('[1,2]'), ('[1, 2]'), ('{\"a\":1}'), (NULL))"),
        ["3"]
    );
    assert_eq!(
        w.sorted(
            "SELECT v:k::INT AS k, COUNT(*) FROM (SELECT PARSE_JSON(column1) AS v FROM VALUES \
                  ('{\"k\":1}'), ('{\"k\":1}'), ('{\"k\":2}')) GROUP BY v"
        ),
        ["1|2", "2|1"]
    );
    assert_eq!(
        w.ok("SELECT v FROM (SELECT PARSE_JSON(column1) AS v FROM VALUES ('2'), ('10'), ('1')) \
              ORDER BY v"),
        ["1", "2", "10"]
    );
}

#[test]
fn windows() {
    let w = World::new();
    assert_eq!(
        w.ok("SELECT id, ROW_NUMBER() OVER (PARTITION BY dept ORDER BY id) AS r FROM emp \
              ORDER BY id"),
        ["1|1", "2|2", "3|1", "4|1", "5|2"]
    );
    assert_eq!(
        w.ok("SELECT id, SUM(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) \
              FROM emp ORDER BY id"),
        ["1|1", "2|3", "3|5", "4|7", "5|9"]
    );
    assert_eq!(
        w.ok(
            "SELECT id FROM emp QUALIFY ROW_NUMBER() OVER (PARTITION BY dept ORDER BY id DESC) = 1 \
              ORDER BY id"
        ),
        ["2", "4", "5"]
    );
    assert_eq!(
        w.ok("SELECT id, RANK() OVER (ORDER BY dept) AS r FROM emp QUALIFY r = 1 ORDER BY id"),
        ["1", "2"].map(|id| format!("{id}|1"))
    );
    assert_eq!(
        w.sorted("SELECT dept, SUM(SUM(salary)) OVER () FROM emp GROUP BY dept"),
        ["10|1000", "20|1000", "NULL|1000"]
    );
    assert_eq!(
        w.ok("SELECT LAG(id, 1, 0) OVER (ORDER BY id) FROM emp ORDER BY id LIMIT 2"),
        ["0", "1"]
    );
    assert_eq!(
        w.error("SELECT id FROM emp WHERE ROW_NUMBER() OVER (ORDER BY id) = 1").code,
        Code::InvalidStatement
    );
    assert!(w.rows("SELECT ROW_NUMBER() FROM emp").is_err());
}
