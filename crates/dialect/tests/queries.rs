//! The query syntax Snowflake's documentation shows and its clients send.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use frazil_dialect::sqlparser::ast::{
    Expr, GroupByExpr, JoinOperator, Query, Select, SelectItem, SetExpr, TableFactor, TableVersion,
};
use frazil_dialect::{
    Statement, like_all_patterns, parse_expression, parse_query, parse_statement,
};

fn query(sql: &str) -> Query {
    *parse_query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn select(sql: &str) -> Select {
    match *query(sql).body {
        SetExpr::Select(select) => *select,
        other => panic!("{sql}: {other:?}"),
    }
}

fn relation(sql: &str) -> TableFactor {
    select(sql).from.remove(0).relation
}

/// One query a line.
#[test]
fn accepted() {
    let mut refused = Vec::new();
    for sql in include_str!("accepted_queries.sql").lines() {
        match parse_statement(sql).map(|parsed| parsed.statement) {
            Ok(Statement::Query(_) | Statement::Call(_)) => {}
            Ok(other) => refused.push(format!("{sql}\n    {other:?}")),
            Err(error) => refused.push(format!("{sql}\n    {error}")),
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn refused_where_they_go_wrong() {
    for (sql, position) in [
        ("SELECT * FROM t LIMIT 5, 6", 23),
        ("SELECT * FROM t AS OF TIMESTAMP '2020'", 22),
        ("SELECT a FROM", 13),
        ("SELECT a FROM t WHERE", 21),
        ("SELECT a b c FROM t", 11),
        ("SELECT (1 + 2 FROM t", 14),
        ("SELECT a FROM t GROUP BY", 24),
        ("SELECT CASE WHEN a THEN 1 FROM t", 26),
        ("SELECT * FROM (SELECT a FRM, FROM t WHERE) x JOIN u ON a = b", 41),
        ("SELECT * FROM (SELECT * FROM (SELECT a FROM t GROUP BY) y) x", 54),
        ("SELECT a IN (SELECT b FROM), 1", 26),
        ("SELECT a FROM t ORDER BY", 24),
        ("SELECT a FROM t JOIN u ON", 25),
        ("SELECT 1 UNION", 14),
        ("WITH c AS SELECT 1", 10),
    ] {
        let error = parse_statement(sql).unwrap_err();
        let prefix = format!("syntax error line 1 at position {position} unexpected ");
        assert!(error.message.starts_with(&prefix), "{sql}: {}", error.message);
    }
}

#[test]
fn time_travel_stands_before_the_alias() {
    let TableFactor::Table { version, alias, .. } =
        relation("SELECT * FROM t AT (TIMESTAMP => '2020-01-01'::TIMESTAMP) AS x")
    else {
        panic!()
    };
    assert!(matches!(version, Some(TableVersion::Function(Expr::Function(_)))));
    assert_eq!(alias.unwrap().name.value, "x");
}

#[test]
fn subqueries_may_be_named_arguments() {
    let TableFactor::TableFunction { expr: Expr::Function(function), .. } =
        relation("SELECT * FROM TABLE(MODEL_DRIFT(MODEL => 'm', DATA => (SELECT * FROM t)))")
    else {
        panic!()
    };
    assert_eq!(function.to_string(), "MODEL_DRIFT(MODEL => 'm', DATA => (SELECT * FROM t))");
}

#[test]
fn paths_and_casts() {
    for (sql, shown) in [
        ("a:b.c[0]::INT", "a:b.c[0]::INT"),
        ("a:b::NUMBER(38, 0)", "a:b::NUMBER(38, 0)"),
        ("1 :: INT", "1::INT"),
        ("-a::INT", "-a::INT"),
        ("{*}", "OBJECT_CONSTRUCT(*)"),
        ("{* EXCLUDE (a)}", "OBJECT_CONSTRUCT(* EXCLUDE (a))"),
        ("{'a': 1}", "{'a': 1}"),
        ("a ILIKE ANY ('x', 'y')", "a ILIKE ANY ('x', 'y')"),
    ] {
        assert_eq!(parse_expression(sql).unwrap().to_string(), shown);
    }
}

#[test]
fn like_all_keeps_its_patterns() {
    let Expr::Like { pattern, any: false, .. } = parse_expression("a LIKE ALL ('x%', b)").unwrap()
    else {
        panic!()
    };
    assert_eq!(like_all_patterns(&pattern).unwrap().len(), 2);
    let Expr::Like { pattern, .. } = parse_expression("a LIKE 'x'").unwrap() else { panic!() };
    assert!(like_all_patterns(&pattern).is_none());
}

#[test]
fn clauses_reach_the_tree() {
    let found =
        select("SELECT a, b, FROM t GROUP BY ALL QUALIFY ROW_NUMBER() OVER (ORDER BY a) = 1");
    assert_eq!(found.projection.len(), 2);
    assert!(matches!(found.group_by, GroupByExpr::All(_)));
    assert!(found.qualify.is_some());

    let found = select("SELECT * EXCLUDE (a) REPLACE (1 AS b) RENAME (c AS d) FROM t");
    let [SelectItem::Wildcard(options)] = found.projection.as_slice() else { panic!() };
    assert!(
        options.opt_exclude.is_some()
            && options.opt_replace.is_some()
            && options.opt_rename.is_some()
    );

    let found = select("SELECT * FROM a ASOF JOIN b MATCH_CONDITION (a.t >= b.t) ON a.i = b.i");
    assert!(matches!(found.from[0].joins[0].join_operator, JoinOperator::AsOf { .. }));

    let found = select("SELECT SUM(a) OVER w FROM t WINDOW w AS (ORDER BY b)");
    assert_eq!(found.named_window.len(), 1);

    let TableFactor::Table { sample: Some(_), .. } =
        relation("SELECT * FROM t SAMPLE BERNOULLI (10) SEED (1)")
    else {
        panic!()
    };
}

/// Nested joins in parentheses, as Snowpark writes them, must not double the work at each level.
#[test]
fn nested_joins_parse_in_linear_work() {
    let mut sql = "SELECT 1 AS a".to_string();
    for _ in 0..40 {
        sql = format!(
            "SELECT * FROM (( {sql} ) AS SNOWPARK_LEFT INNER JOIN ( SELECT 2 AS b ) AS SNOWPARK_RIGHT ON (a = b))"
        );
    }
    query(&sql);
}
