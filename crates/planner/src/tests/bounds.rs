//! Statements whose plans would grow without bound.

use super::harness::World;
use frazil_common::Code;

#[test]
fn large_aliases_are_computed_once() {
    let w = World::new();
    let mut sql = "SELECT id AS a0".to_string();
    for n in 1..20 {
        sql += &format!(", a{0} + a{0} AS a{n}", n - 1);
    }
    let rows = w.ok(&format!("{sql} FROM emp WHERE id = 1"));
    assert!(rows[0].starts_with("1|2|4|8|16|"), "{rows:?}");
    assert!(rows[0].ends_with("|524288"), "{rows:?}");
    // Where rows are grouped an alias may be what they are grouped by, so that it is written out.
    let error = w.error(&format!("{sql} FROM emp GROUP BY ALL"));
    assert_eq!(error.code, Code::ResourceLimit, "{}", error.message);
}

#[test]
fn the_operand_of_a_case_is_not_copied() {
    let w = World::new();
    let mut case = "id".to_string();
    for _ in 0..25 {
        case = format!("CASE {case} WHEN 1 THEN 3 WHEN 3 THEN 1 ELSE 7 END");
    }
    let rows = w.sorted(&format!("SELECT id, {case} FROM emp WHERE id <= 3"));
    assert_eq!(rows, ["1|3", "2|7", "3|1"]);
}

#[test]
fn what_is_still_copied_is_bounded() {
    let w = World::new();
    let mut value = "id".to_string();
    for _ in 0..19 {
        value = format!("COALESCE({value}, dept)");
    }
    let error = w.error(&format!("SELECT {value} FROM emp"));
    assert_eq!(error.code, Code::ResourceLimit, "{}", error.message);
}

#[test]
fn subqueries_nest_to_a_bound() {
    let w = World::new();
    let nested = |depth: usize| format!("{}1{}", "(SELECT ".repeat(depth), ")".repeat(depth));
    assert_eq!(w.ok(&format!("SELECT {}", nested(5))), ["1"]);
    let error = w.error(&format!("SELECT {}", nested(13)));
    assert_eq!(error.code, Code::ResourceLimit);
    assert!(error.message.contains("nested too deeply"), "{}", error.message);
}

#[test]
fn grouping_sets_are_bounded() {
    let w = World::new();
    let cube = "CUBE(id, name, dept, salary, id + 1, id + 2, id + 3)";
    let error = w.error(&format!("SELECT COUNT(*) FROM emp GROUP BY {cube}, {cube}, {cube}"));
    assert_eq!(error.code, Code::NotAGroupByExpression);
    assert!(error.message.contains("512"), "{}", error.message);
    let columns: Vec<String> = (0..1000).map(|n| format!("id + {n}")).collect();
    let error =
        w.error(&format!("SELECT COUNT(*) FROM emp GROUP BY ROLLUP({})", columns.join(",")));
    assert_eq!(error.code, Code::NotAGroupByExpression);
}
