//! GET_QUERY_OPERATOR_STATS: what each operator of a finished statement did.

use frazil_catalog::account::QueryFilter;
use frazil_common::{Code, SqlType, UserError};
use serde_json::{Value, json};

use super::history::{Arguments, Given, sight};
use super::{NUMBER, Rows, TEXT};
use crate::run::profile::Operator;
use crate::statements::context::StatementContext;
use crate::statements::outcome::Cell;

pub(super) async fn operators(
    context: &StatementContext,
    arguments: &Arguments,
) -> Result<Rows, UserError> {
    let given = Given::read(context, "GET_QUERY_OPERATOR_STATS", &["QUERY_ID"], arguments)?;
    let query_id = given.text("QUERY_ID")?.ok_or_else(|| {
        UserError::new(
            Code::InvalidArgument,
            "GET_QUERY_OPERATOR_STATS takes the id of a query that has ended.",
        )
    })?;
    let mut rows = Rows::new(
        "GET_QUERY_OPERATOR_STATS",
        &[
            ("QUERY_ID", TEXT),
            ("STEP_ID", NUMBER),
            ("OPERATOR_ID", NUMBER),
            ("PARENT_OPERATORS", SqlType::Array),
            ("OPERATOR_TYPE", TEXT),
            ("OPERATOR_STATISTICS", SqlType::Variant),
            ("EXECUTION_TIME_BREAKDOWN", SqlType::Variant),
            ("OPERATOR_ATTRIBUTES", SqlType::Variant),
        ],
    );
    let shared = &context.shared;
    shared.history.flush().await;
    let sight = sight(context).await?;
    let filter = QueryFilter { query_id: Some(query_id.clone()), sight, ..QueryFilter::default() };
    if shared.accounts.query_history(&filter).await?.is_empty() {
        return Err(UserError::new(
            Code::TimeTravelUnavailable,
            format!("Statement {query_id} not found"),
        ));
    }
    let Some(operators) = shared.accounts.query_operators(&query_id).await? else {
        return Ok(rows);
    };
    let operators: Vec<Operator> =
        serde_json::from_value(operators).map_err(UserError::internal)?;
    for operator in operators {
        let parents = operator.parent.map_or(Cell::Null, |parent| Cell::Json(json!([parent])));
        let json = |value: Value| Cell::Json(value);
        rows.push(vec![
            Cell::from(query_id.as_str()),
            Cell::Number(operator.step),
            Cell::Number(operator.id),
            parents,
            Cell::from(operator.kind),
            json(operator.statistics),
            json(operator.time),
            json(operator.attributes),
        ]);
    }
    Ok(rows)
}
