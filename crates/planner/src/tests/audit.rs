//! No part of the syntax is dropped: patterns name every field, clauses are used or refused.

use super::harness::World;
use frazil_common::Code;

/// Syntax nodes that the binder takes apart: their patterns must name every field.
const NODES: &[&str] = &[
    "Query",
    "Select",
    "Cte",
    "With",
    "Function",
    "FunctionArgumentList",
    "WindowSpec",
    "WindowFrame",
    "OrderByExpr",
    "OrderBy",
    "Fetch",
    "Top",
    "TableSample",
    "Join",
    "Values",
    "TableWithJoins",
    "WildcardAdditionalOptions",
    "TableAlias",
    "Interval",
    "Insert",
    "Update",
    "Delete",
    "Merge",
    "MergeClause",
    "Assignment",
    "LimitOffset",
    "Cast",
    "Case",
    "Like",
    "ILike",
    "InList",
    "InSubquery",
    "Between",
    "Trim",
    "Substring",
    "Extract",
    "Derived",
    "Pivot",
    "Unpivot",
    "SetOperation",
];

fn sources() -> Vec<(&'static str, &'static str)> {
    vec![
        ("aggregate.rs", include_str!("../aggregate.rs")),
        ("dml.rs", include_str!("../dml.rs")),
        ("expr/column.rs", include_str!("../expr/column.rs")),
        ("expr/function.rs", include_str!("../expr/function.rs")),
        ("expr/literal.rs", include_str!("../expr/literal.rs")),
        ("expr/mod.rs", include_str!("../expr/mod.rs")),
        ("expr/model.rs", include_str!("../expr/model.rs")),
        ("expr/operator.rs", include_str!("../expr/operator.rs")),
        ("expr/subquery.rs", include_str!("../expr/subquery.rs")),
        ("expr/lambda.rs", include_str!("../expr/lambda.rs")),
        ("expr/search.rs", include_str!("../expr/search.rs")),
        ("expr/window.rs", include_str!("../expr/window.rs")),
        ("asof.rs", include_str!("../asof.rs")),
        ("from.rs", include_str!("../from.rs")),
        ("join.rs", include_str!("../join.rs")),
        ("merge.rs", include_str!("../merge.rs")),
        ("pivot.rs", include_str!("../pivot.rs")),
        ("query.rs", include_str!("../query.rs")),
        ("sample.rs", include_str!("../sample.rs")),
        ("select.rs", include_str!("../select.rs")),
        ("select_list.rs", include_str!("../select_list.rs")),
        ("set_operation.rs", include_str!("../set_operation.rs")),
        ("table_function.rs", include_str!("../table_function.rs")),
        ("values.rs", include_str!("../values.rs")),
        ("with.rs", include_str!("../with.rs")),
    ]
}

#[test]
fn patterns_name_every_field() {
    for (file, text) in sources() {
        for (index, _) in text.match_indices("..") {
            let before = &text[..index];
            let after = text[index + 2..].trim_start();
            // `, .. }` and `{ .. }` end a pattern; `..base` fills a struct.
            if !after.starts_with('}') {
                continue;
            }
            let open = before.rfind('{').unwrap();
            let node = before[..open].trim_end();
            let node = node.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let line = before.matches('\n').count() + 1;
            assert!(!NODES.contains(&node), "{file}:{line} drops fields of {node}");
        }
    }
}

/// A clause that is not offered is refused by name.
#[test]
fn refused_clauses() {
    let w = World::new();
    let cases = [
        ("SELECT id FROM emp FOR UPDATE", "FOR UPDATE"),
        ("SELECT id FROM emp START WITH id = 1 CONNECT BY PRIOR id = dept", "CONNECT BY"),
        ("SELECT name COLLATE 'en' FROM emp", "COLLATE"),
        ("SELECT id::GEOGRAPHY FROM emp", "GEOGRAPHY"),
        (
            "SELECT * FROM emp MATCH_RECOGNIZE (PARTITION BY id ORDER BY id MEASURES 1 AS x \
             PATTERN (a+) DEFINE a AS TRUE)",
            "MATCH_RECOGNIZE",
        ),
    ];
    for (sql, word) in cases {
        let error = w.error(sql);
        assert!(
            matches!(
                error.code,
                Code::Unsupported
                    | Code::SyntaxError
                    | Code::UnknownFunction
                    | Code::UnknownUserFunction
                    | Code::UnknownTableFunction
            ),
            "{sql}: {error}"
        );
        assert!(error.message.contains(word), "{sql}: {error}");
    }
}

/// A clause that is offered changes the plan: with it the rows differ.
#[test]
fn used_clauses() {
    let w = World::new();
    let base = w.ok("SELECT id FROM emp").len();
    for clause in [
        "WHERE id > 2",
        "LIMIT 1",
        "ORDER BY id OFFSET 2",
        "QUALIFY ROW_NUMBER() OVER (ORDER BY id) = 1",
        "FETCH FIRST 2 ROWS ONLY",
        "SAMPLE (2 ROWS)",
        "GROUP BY id HAVING COUNT(*) > 1",
        "EXCEPT SELECT 1",
    ] {
        let rows = w.ok(&format!("SELECT id FROM emp {clause}")).len();
        assert_ne!(rows, base, "{clause}");
    }
}
