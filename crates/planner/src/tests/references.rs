//! What statements refer to.

use std::collections::HashMap;
use std::sync::Arc;

use crate::*;
use frazil_common::ObjectName;
use frazil_functions::Facts;

fn found(sql: &str) -> Vec<Reference> {
    let facts = Facts { last_query_ids: Arc::new(["abc".to_string()].into()), ..Facts::default() };
    let (resolved, variables) = (Resolved::default(), HashMap::new());
    let ctx = PlanContext::new(&facts, &resolved, &[], &variables);
    let query = frazil_dialect::parse_query(sql).unwrap();
    references(&query, &ctx).unwrap_or_else(|error| panic!("{sql}\n{error}"))
}

fn table(name: &str) -> Reference {
    Reference::Table { name: ObjectName::bare(name), travel: None }
}

#[test]
fn tables_and_common_tables() {
    assert_eq!(found("SELECT * FROM t JOIN u ON t.a = u.a"), [table("T"), table("U")]);
    assert_eq!(found("WITH t AS (SELECT * FROM t) SELECT * FROM t, T"), [table("T")]);
    assert_eq!(found("WITH c AS (SELECT 1), d AS (SELECT * FROM c) SELECT * FROM d"), []);
    assert_eq!(
        found("WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c) SELECT * FROM c"),
        []
    );
    assert_eq!(
        found("SELECT (SELECT MAX(a) FROM t) WHERE EXISTS (SELECT 1 FROM u)"),
        [table("T"), table("U")]
    );
    assert_eq!(found("SELECT * FROM TABLE('t')"), [table("T")]);
    assert_eq!(found("SELECT * FROM TABLE(FLATTEN(INPUT => PARSE_JSON('[]')))"), []);
    assert_eq!(
        found("SELECT * FROM information_schema.tables"),
        [Reference::Table {
            name: ObjectName {
                database: None,
                schema: Some("INFORMATION_SCHEMA".into()),
                name: "TABLES".into()
            },
            travel: None
        }]
    );
}

#[test]
fn travel_and_functions() {
    let at = |travel| Reference::Table { name: ObjectName::bare("T"), travel: Some(travel) };
    assert_eq!(found("SELECT * FROM t AT (OFFSET => -60 * 5)"), [at(TimeTravel::AtOffset(-300))]);
    assert_eq!(
        found("SELECT * FROM t BEFORE (STATEMENT => 'q1')"),
        [at(TimeTravel::BeforeStatement("q1".into()))]
    );
    assert_eq!(
        found("SELECT * FROM t AT (TIMESTAMP => '2024-01-01 00:00:00'::TIMESTAMP) AS x"),
        [at(TimeTravel::AtTimestamp(1_704_067_200_000_000))]
    );
    assert_eq!(
        found("SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))"),
        [Reference::ResultScan { query_id: "abc".into() }]
    );
    let functions =
        found("SELECT * FROM TABLE(MODEL_DRIFT(MODEL => 'm', DATA => (SELECT * FROM t)))");
    let [Reference::TableFunction { name, arguments }] = functions.as_slice() else {
        panic!("{functions:?}");
    };
    assert_eq!(name, "MODEL_DRIFT");
    assert_eq!(arguments[0], (Some("MODEL".into()), FunctionValue::Text("m".into())));
    assert!(matches!(&arguments[1].1, FunctionValue::Query(_)));
}

#[test]
fn stages_models_and_sequences() {
    let stages = found("SELECT $1 FROM @s/dir (FILE_FORMAT => 'f', PATTERN => '.*')");
    assert_eq!(
        stages,
        [Reference::Stage {
            path: "@s/dir".into(),
            options: vec![("FILE_FORMAT".into(), "f".into()), ("PATTERN".into(), ".*".into())]
        }]
    );
    let models = found("SELECT m!PREDICT(a), MODEL(m, v1)!PREDICT_PROBA(*) FROM t");
    let model = |version: Option<&str>| Reference::Model {
        name: ObjectName::bare("M"),
        version: version.map(str::to_string),
    };
    assert_eq!(models, [model(None), model(Some("V1")), table("T")]);
    assert_eq!(found("SELECT s.NEXTVAL"), [Reference::Sequence { name: ObjectName::bare("S") }]);
}
