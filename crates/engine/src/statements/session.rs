//! ALTER SESSION, SET and UNSET: parameters and variables of the session.

use datafusion::common::ScalarValue;
use frazil_common::{Code, UserError};
use frazil_dialect::sqlparser::ast::{Expr, Query, SelectItem, SetExpr};
use frazil_dialect::{AlterSession, OptionValue, SetVariables, Statement, UnsetVariables};
use frazil_functions::TypedExpr;

use crate::run::execute::run_to_spool;
use crate::session::parameters::{Parameters, definition};
use crate::session::{Session, variables};
use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::described_status;
use crate::statements::outcome::{Outcome, schema_of};
use crate::statements::query::{operators, plan};

const DONE: &str = "Statement executed successfully.";
/// Longest text or binary value a variable holds, in bytes, as in Snowflake.
const VARIABLE_BYTES_MAX: usize = 256;

/// The value of a parameter as [`Parameters::set`] reads it.
pub(crate) fn parameter_text(name: &str, value: &OptionValue) -> Result<String, UserError> {
    match value {
        OptionValue::Boolean(value) => Ok(value.to_string()),
        other => other.as_text().map(str::to_string).ok_or_else(|| {
            UserError::new(
                Code::InvalidArgument,
                format!("invalid value [{other}] for parameter '{name}'"),
            )
        }),
    }
}

fn known(name: &str) -> Result<(), UserError> {
    match definition(&name.to_uppercase()) {
        Some(_) => Ok(()),
        None => Err(UserError::new(Code::InvalidArgument, format!("invalid parameter '{name}'"))),
    }
}

fn apply(parameters: &mut Parameters, alter: &AlterSession) -> Result<(), UserError> {
    for (name, value) in alter.set.iter() {
        if matches!(value, OptionValue::Word(word) if word.eq_ignore_ascii_case("DEFAULT")) {
            known(name)?;
            parameters.unset(name);
        } else {
            parameters.set(name, &parameter_text(name, value)?)?;
        }
    }
    for name in &alter.unset {
        known(name)?;
        parameters.unset(name);
    }
    Ok(())
}

/// Whether a statement gives AUTOCOMMIT another value, and so ends an open transaction first: what came
/// after would be told as committed on its own and lie in it.
pub(crate) fn changes_autocommit(session: &Session, statement: &Statement) -> bool {
    let Statement::AlterSession(alter) = statement else { return false };
    let before = session.state.lock().parameters.clone();
    let mut after = before.clone();
    apply(&mut after, alter).is_ok()
        && after.get_bool("AUTOCOMMIT") != before.get_bool("AUTOCOMMIT")
}

pub(crate) async fn alter(
    context: &StatementContext,
    alter: &AlterSession,
) -> Result<Outcome, UserError> {
    // Tried on a copy first, so that one bad value leaves all as it was.
    apply(&mut context.state.parameters.clone(), alter)?;
    if context.describe_only {
        return described_status();
    }
    apply(&mut context.session.state.lock().parameters, alter)?;
    Outcome::status(DONE)
}

/// `SELECT e1, e2 …` over the values, or the subquery that gives all of them.
fn values_query(set: &SetVariables) -> Result<Box<Query>, UserError> {
    if let [Expr::Subquery(query)] = set.values.as_slice()
        && set.names.len() > 1
    {
        return Ok(query.clone());
    }
    let mut query = frazil_dialect::parse_query("SELECT 1")?;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(UserError::internal("a SELECT is no SELECT"));
    };
    select.projection = set.values.iter().cloned().map(SelectItem::UnnamedExpr).collect();
    Ok(query)
}

pub(crate) async fn set(
    context: &StatementContext,
    work: &mut Work,
    set: &SetVariables,
) -> Result<Outcome, UserError> {
    let query = values_query(set)?;
    let planned = plan(context, work, &query, &context.text).await?;
    if planned.columns.len() != set.names.len() {
        return Err(UserError::new(
            Code::ColumnCountMismatch,
            format!("{} variables cannot take {} values.", set.names.len(), planned.columns.len()),
        ));
    }
    let operators = operators(context, work, &planned).await?;
    if context.describe_only {
        return described_status();
    }
    let rows = run_to_spool(
        &context.runtime,
        operators,
        schema_of(&planned.columns),
        context.shared.results.directory(),
        &format!("{}-set", context.query_id()),
        context.shared.result_bytes_max,
        &context.cancel,
    )
    .await?;
    if rows.total_rows() > 1 {
        return Err(UserError::new(
            Code::MultipleRows,
            "Single-row subquery returns more than one row.",
        ));
    }
    let batch = rows.read_all()?.into_iter().find(|batch| batch.num_rows() > 0);
    let mut values = Vec::with_capacity(set.names.len());
    for (index, column) in planned.columns.iter().enumerate() {
        let value = match &batch {
            Some(batch) => {
                let value = ScalarValue::try_from_array(batch.column(index), 0)
                    .map_err(UserError::internal)?;
                TypedExpr::literal(value, column.sql_type.clone())
            }
            None => TypedExpr::null_of(column.sql_type.clone()),
        };
        check_size(&set.names[index], &value)?;
        values.push((variables::stored(&value)?, value));
    }
    let mut state = context.session.state.lock();
    for (name, (kept, value)) in set.names.iter().zip(values) {
        state.variables.insert(name.clone(), value);
        state.kept_variables.insert(name.clone(), kept);
    }
    drop(state);
    Outcome::status(DONE)
}

fn check_size(name: &str, value: &TypedExpr) -> Result<(), UserError> {
    let bytes = match value.as_literal() {
        Some(ScalarValue::Utf8View(Some(text)) | ScalarValue::Utf8(Some(text))) => text.len(),
        Some(ScalarValue::Binary(Some(bytes))) => bytes.len(),
        _ => 0,
    };
    if bytes > VARIABLE_BYTES_MAX {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!(
                "Assignment to '{name}' not done because value exceeds size limit for variables. \
                 Its size is {bytes}; the limit is {VARIABLE_BYTES_MAX} (internal storage size in \
                 bytes)."
            ),
        ));
    }
    Ok(())
}

pub(crate) async fn unset(
    context: &StatementContext,
    unset: &UnsetVariables,
) -> Result<Outcome, UserError> {
    if context.describe_only {
        return described_status();
    }
    let mut state = context.session.state.lock();
    for name in &unset.names {
        state.variables.remove(name);
        state.kept_variables.remove(name);
    }
    drop(state);
    Outcome::status(DONE)
}
