//! Statements whose plans would grow without bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::harness::World;
use crate::{plan_query, references};
use frazil_common::Code;
use frazil_functions::StatementStop;

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
fn plans_that_share_others_are_bounded() {
    let w = World::new();
    let doubled = |times: usize, body: &str| {
        let mut sql = "WITH c0 AS (SELECT id AS a FROM emp WHERE id = 1)".to_string();
        for n in 1..=times {
            sql += &format!(", c{n} AS ({})", body.replace("LAST", &format!("c{}", n - 1)));
        }
        format!("{sql} SELECT COUNT(*) FROM c{times}")
    };
    let joined = "SELECT x.a FROM LAST x, LAST y";
    let within = "SELECT a FROM LAST WHERE a IN (SELECT a FROM LAST)";
    let computed = "SELECT a + (SELECT MAX(a) FROM LAST) AS a FROM LAST";
    for body in [joined, within, computed, "SELECT a FROM LAST UNION SELECT a FROM LAST"] {
        assert_eq!(w.ok(&doubled(4, body)), ["1"]);
        let error = w.error(&doubled(59, body));
        assert_eq!(error.code, Code::ResourceLimit, "{}", error.message);
        assert!(error.message.contains("more than 50000 nodes"), "{}", error.message);
    }
    // Each reads the one before once: that is a chain, and as long as it is written.
    assert_eq!(w.ok(&doubled(100, "SELECT a FROM LAST")), ["1"]);
}

#[test]
fn long_chains_of_conditions_find_the_same_rows() {
    let w = World::new();
    let or: Vec<String> = (2..300).map(|n| format!("(id = {n} AND dept IS NULL)")).collect();
    let and: Vec<String> = (2..300).map(|n| format!("id <> {n}")).collect();
    let rows: Vec<String> = (2..300).map(|n| format!("({n}, 1)")).collect();
    for condition in [
        format!("id = 1 OR {}", or.join(" OR ")),
        format!("id < 300 AND {}", and.join(" AND ")),
        format!("NOT ((id, 1) IN ({}))", rows.join(", ")),
    ] {
        let found = w.ok(&format!("SELECT id FROM emp WHERE id < 3 AND ({condition})"));
        assert_eq!(found, ["1"], "{}", condition.get(..40).unwrap_or_default());
    }
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

#[test]
fn a_stopped_statement_is_not_bound_to_its_end() {
    let world = World::new();
    let sql = "SELECT id, id + 1 FROM (SELECT id FROM emp WHERE id > 1 AND id < 9) ORDER BY id";
    let query = frazil_dialect::parse_query(sql).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let planned = |last: usize| {
        asked.store(0, Ordering::Relaxed);
        let count = Arc::clone(&asked);
        let stop = StatementStop::when(move || count.fetch_add(1, Ordering::Relaxed) >= last);
        world.with_context(
            sql,
            |ctx| references(&query, ctx),
            |ctx| plan_query(&query, &ctx.with_stop(&stop)),
        )
    };
    planned(usize::MAX).unwrap();
    // The queries and their expressions, with the parts of these.
    assert!(asked.load(Ordering::Relaxed) > 10);
    let error = planned(5).unwrap_err();
    assert_eq!((error.code, asked.load(Ordering::Relaxed)), (Code::Cancelled, 6));
}
