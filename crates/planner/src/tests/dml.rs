//! What INSERT, UPDATE, DELETE and MERGE yield for the sink.

use super::harness::{World, run};
use crate::*;
use frazil_common::{Code, Privilege, UserError};
use frazil_dialect::{Statement, parse_statement};
use frazil_functions::TypedExpr;

fn target(w: &World, name: &str, default: Option<(usize, TypedExpr)>) -> TargetTable {
    let relation = w.tables[name].clone();
    let mut columns: Vec<TargetColumn> = relation
        .columns
        .iter()
        .map(|column| TargetColumn { column: column.clone(), default: None })
        .collect();
    if let Some((index, value)) = default {
        columns[index].default = Some(value);
    }
    TargetTable { relation, columns }
}

fn planned(w: &World, table: &str, sql: &str) -> Result<PlannedDml, UserError> {
    let target = target(w, table, Some((1, TypedExpr::text("new"))));
    match parse_statement(sql)?.statement {
        Statement::Insert(s) => w.with_context(
            sql,
            |ctx| references_of_insert(&s, ctx),
            |ctx| plan_insert(&s, &target, ctx),
        ),
        Statement::Update(s) => w.with_context(
            sql,
            |ctx| references_of_update(&s, ctx),
            |ctx| plan_update(&s, &target, ctx),
        ),
        Statement::Delete(s) => w.with_context(
            sql,
            |ctx| references_of_delete(&s, ctx),
            |ctx| plan_delete(&s, &target, ctx),
        ),
        Statement::Merge(s) => w.with_context(
            sql,
            |ctx| references_of_merge(&s, ctx),
            |ctx| plan_merge(&s, &target, ctx),
        ),
        other => panic!("{other:?}"),
    }
}

fn rows(w: &World, table: &str, sql: &str) -> Vec<String> {
    let planned = planned(w, table, sql).unwrap_or_else(|error| panic!("{sql}\n{error}"));
    let mut rows = run(planned.planned.plan).unwrap_or_else(|error| panic!("{sql}\n{error}"));
    rows.sort();
    rows
}

#[test]
fn insert() {
    let w = World::new();
    assert_eq!(
        rows(&w, "DEPT", "INSERT INTO dept VALUES (1, 'a'), ('2', DEFAULT)"),
        ["1|a", "2|new"]
    );
    assert_eq!(rows(&w, "DEPT", "INSERT INTO dept (title) VALUES ('a')"), ["NULL|a"]);
    assert_eq!(
        rows(&w, "DEPT", "INSERT INTO dept (id) SELECT id FROM emp WHERE id < 3"),
        ["1|new", "2|new"]
    );
    assert_eq!(
        rows(&w, "DEPT", "INSERT INTO dept VALUES ((SELECT MAX(id) FROM emp), 'x')"),
        ["5|x"]
    );
    let error = planned(&w, "DEPT", "INSERT INTO dept VALUES (1)").unwrap_err();
    assert_eq!(error.code, Code::InsertColumnCountMismatch);
    let error = planned(&w, "DEPT", "INSERT INTO dept (nope) VALUES (1)").unwrap_err();
    assert_eq!(error.code, Code::InvalidIdentifier);
    let access = planned(&w, "DEPT", "INSERT INTO dept (id) VALUES (1)").unwrap().planned.accesses;
    assert_eq!(access.len(), 1);
    assert_eq!(access[0].privilege, Privilege::Insert);
    assert_eq!(access[0].columns, ["ID"]);
}

#[test]
fn update() {
    let w = World::new();
    assert_eq!(
        rows(&w, "DEPT", "UPDATE dept SET title = UPPER(title) WHERE id > 10"),
        ["0|1|101|20|LAB", "0|2|102|30|NONE"]
    );
    assert_eq!(
        rows(&w, "DEPT", "UPDATE dept SET title = DEFAULT WHERE id = 10"),
        ["0|0|100|10|new"]
    );
    assert_eq!(
        rows(
            &w,
            "DEPT",
            "UPDATE dept d SET title = e.name FROM emp e WHERE e.dept = d.id AND e.id = 3"
        ),
        ["0|1|101|20|cid"]
    );
    // Two employees match: the second one is there to tell of it.
    assert_eq!(
        rows(
            &w,
            "DEPT",
            "UPDATE dept SET id = 1 FROM emp WHERE emp.dept = dept.id AND dept.id = 10"
        )
        .len(),
        2
    );
    let error = planned(&w, "DEPT", "UPDATE dept SET id = 1, id = 2").unwrap_err();
    assert_eq!(error.code, Code::DuplicateColumn);
}

#[test]
fn delete() {
    let w = World::new();
    assert_eq!(rows(&w, "DEPT", "DELETE FROM dept WHERE id = 20"), ["0|1|101"]);
    assert_eq!(rows(&w, "DEPT", "DELETE FROM dept").len(), 3);
    assert_eq!(
        rows(&w, "DEPT", "DELETE FROM dept USING emp WHERE emp.dept = dept.id"),
        ["0|0|100", "0|1|101"]
    );
    assert_eq!(
        rows(
            &w,
            "DEPT",
            "DELETE FROM dept WHERE id NOT IN (SELECT dept FROM emp WHERE dept IS NOT NULL)"
        ),
        ["0|2|102"]
    );
    let accesses = planned(&w, "DEPT", "DELETE FROM dept").unwrap().planned.accesses;
    assert_eq!(accesses.len(), 1);
    assert_eq!(accesses[0].privilege, Privilege::Delete);
}

#[test]
fn merge() {
    let w = World::new();
    let sql = "MERGE INTO dept t USING (SELECT column1 AS k, column2 AS v FROM VALUES (10, 'x'), \
               (20, 'y'), (99, 'z'), (98, NULL)) s ON t.id = s.k \
               WHEN MATCHED AND s.v = 'x' THEN DELETE \
               WHEN MATCHED THEN UPDATE SET title = s.v \
               WHEN NOT MATCHED AND v IS NOT NULL THEN INSERT (id, title) VALUES (s.k, s.v)";
    assert_eq!(
        rows(&w, "DEPT", sql),
        ["1|0|1|101|20|y", "2|0|0|100|NULL|NULL", "3|NULL|NULL|NULL|99|z"]
    );
    let error = planned(
        &w,
        "DEPT",
        "MERGE INTO dept t USING emp s ON t.id = s.id WHEN MATCHED THEN INSERT VALUES (1, 'a')",
    );
    assert!(error.is_err());
}
