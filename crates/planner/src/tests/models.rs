//! Methods of models and sequences.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Float64Array, cast::AsArray};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use frazil_common::{Code, ObjectKind, ObjectName, ObjectRef, Privilege, SqlType};

use super::harness::World;
use crate::*;

/// A model of two features that scores `10 * a + b`; RANK takes one extra argument.
fn world() -> World {
    let mut w = World::new();
    let score = |name: &str, count: usize| {
        Arc::new(create_udf(
            name,
            vec![DataType::Float64; count],
            DataType::Float64,
            Volatility::Immutable,
            Arc::new(|args: &[ColumnarValue]| {
                let arrays = ColumnarValue::values_to_arrays(args)?;
                let at = |column: usize, row: usize| -> f64 {
                    arrays[column].as_primitive::<Float64Type>().value(row)
                };
                let rows = arrays[0].len();
                let scores = (0..rows).map(|row| at(0, row) * 10.0 + at(1, row));
                Ok(ColumnarValue::Array(Arc::new(Float64Array::from_iter_values(scores))))
            }),
        ))
    };
    let method = |udf, extra_arguments| ModelMethod {
        udf,
        returns: SqlType::Float,
        extra_arguments,
        takes_features: true,
    };
    let model = ResolvedModel {
        object: ObjectRef { kind: ObjectKind::Model, id: 1, name: "DB.PUBLIC.M".into() },
        version: "V1".into(),
        features: ["A", "B"]
            .map(|name| ModelFeature { name: name.into(), sql_type: SqlType::Float })
            .to_vec(),
        methods: HashMap::from([
            ("PREDICT".to_string(), method(score("m_predict", 2), vec![])),
            ("RANK".to_string(), method(score("m_rank", 3), vec![SqlType::Float])),
        ]),
    };
    for version in [None, Some("V1".to_string())] {
        w.models.insert(Reference::Model { name: ObjectName::bare("M"), version }, model.clone());
    }
    w
}

#[test]
fn arguments_by_place_name_and_star() {
    let w = world();
    let from = "FROM pairs WHERE b = 2 AND a = 1";
    assert_eq!(w.ok(&format!("SELECT m!PREDICT(a, b) {from}")), ["12.0"]);
    assert_eq!(w.ok(&format!("SELECT m!PREDICT(b => a, a => b) {from}")), ["21.0"]);
    assert_eq!(w.ok(&format!("SELECT MODEL(m, v1)!PREDICT(*) {from}")), ["12.0"]);
    assert_eq!(w.ok(&format!("SELECT m!RANK(a, b, 7) {from}")), ["12.0"]);
    let planned = w.plan("SELECT m!PREDICT(*) FROM pairs").unwrap();
    let usage = planned.accesses.iter().find(|a| a.object.kind == ObjectKind::Model).unwrap();
    assert_eq!(usage.privilege, Privilege::Usage);
    let table = planned.accesses.iter().find(|a| a.object.kind == ObjectKind::Table).unwrap();
    assert_eq!(table.columns, ["A", "B"]);
}

#[test]
fn wrong_calls() {
    let w = world();
    let error = w.error("SELECT m!PREDICT(1) FROM pairs");
    assert_eq!(error.code, Code::ArgumentCount);
    assert!(error.message.contains('B'), "{error}");
    assert_eq!(w.error("SELECT m!PREDICT(1, 2, 3)").code, Code::ArgumentCount);
    assert_eq!(w.error("SELECT m!PREDICT(a => 1, c => 2)").code, Code::InvalidIdentifier);
    assert_eq!(w.error("SELECT m!EXPLAIN(1, 2)").code, Code::UnknownFunction);
    assert_eq!(w.error("SELECT other!PREDICT(1, 2)").code, Code::ObjectNotFound);
}

#[test]
fn sequences() {
    let mut w = world();
    let next = frazil_functions::TypedExpr::integer(42);
    let object = ObjectRef { kind: ObjectKind::Sequence, id: 2, name: "DB.PUBLIC.S".into() };
    w.sequences.insert(
        Reference::Sequence { name: ObjectName::bare("S") },
        ResolvedSequence { object, next },
    );
    assert_eq!(w.ok("SELECT s.NEXTVAL"), ["42"]);
}
