//! SELECT and everything else that reads rows: plan, govern, run.

use frazil_common::{Column, ObjectRef, UserError};
use frazil_dialect::sqlparser::ast::Query;
use frazil_dialect::{Explain, Statement};
use frazil_governance::{Governed, govern};
use frazil_planner::{PlanContext, Planned, Reference, Resolved, plan_query, references};

use crate::resolve::objects::parents_by_object;
use crate::resolve::resolve;
use crate::run::apart::apart;
use crate::run::execute::{self, Operators, optimized, physical_plan, run_to_spool, user_error};
use crate::run::sealed::{logical_lines, physical_lines};
use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::{Cell, Outcome, schema_of};
use crate::statements::pivot_values::{self, written_out};
use crate::statements::system_function;
use frazil_common::SqlType;

/// Resolves and plans a query; `source` is the text its positions count in.
pub(crate) async fn plan(
    context: &StatementContext,
    work: &mut Work,
    query: &Query,
    source: &str,
) -> Result<Planned, UserError> {
    let written = written_out(context, work, query, source, pivot_values::Place::Statement).await?;
    let query = written.as_ref().unwrap_or(query);
    let empty = Resolved::default();
    let wanted = {
        let plan_context = plan_context(context, &empty, source);
        apart(source.len(), || references(query, &plan_context))?
    };
    let resolved = resolve(context, work, wanted, 0).await?;
    apart(source.len(), || plan_query(query, &plan_context(context, &resolved, source)))
}

pub(crate) fn plan_context<'a>(
    context: &'a StatementContext,
    resolved: &'a Resolved,
    source: &'a str,
) -> PlanContext<'a> {
    PlanContext::new(&context.facts, resolved, &context.binds, context.variables())
        .with_source(source)
        .with_stop(&context.stop)
}

/// Resolves what a list of references names.
pub(crate) async fn resolve_all(
    context: &StatementContext,
    work: &mut Work,
    wanted: Vec<Reference>,
) -> Result<Resolved, UserError> {
    resolve(context, work, wanted, 0).await
}

/// Passes a plan through governance and notes its accesses for the history.
pub(crate) fn governed(
    context: &StatementContext,
    work: &mut Work,
    planned: &Planned,
) -> Result<Governed<datafusion::logical_expr::LogicalPlan>, UserError> {
    let view = work.lake()?.view().clone();
    let containers = |object: &ObjectRef| parents_by_object(&view, object);
    let result = govern(
        planned.plan.clone(),
        &planned.accesses,
        &containers,
        &context.model,
        &context.roles,
        &context.protections.lock(),
    )?;
    let mut record = context.record.lock();
    record.accesses.extend(planned.accesses.iter().cloned());
    for policy in context.protections.lock().policies() {
        if !record.policies.contains(policy) {
            record.policies.push(policy.clone());
        }
    }
    drop(record);
    Ok(result)
}

/// A planned query as operators, ready to run.
pub(crate) async fn operators(
    context: &StatementContext,
    work: &mut Work,
    planned: &Planned,
) -> Result<Operators, UserError> {
    let plan = governed(context, work, planned)?;
    let operators = execute::operators(&context.runtime, plan, &context.cancel).await?;
    let mut record = context.record.lock();
    match operators.computed {
        Some(rows) => record.profile.add_values(rows),
        None => record.plans.push(operators.plan.clone()),
    }
    drop(record);
    Ok(operators)
}

/// Runs a SELECT.
pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    query: &Query,
) -> Result<Outcome, UserError> {
    let acted = system_function::carried_out(context, work, query).await?;
    let query = acted.as_deref().unwrap_or(query);
    let planned = plan(context, work, query, &context.text).await?;
    if context.describe_only {
        governed(context, work, &planned)?;
        return described(planned.columns);
    }
    let plan = operators(context, work, &planned).await?;
    let spool = run_to_spool(
        &context.runtime,
        plan,
        schema_of(&planned.columns),
        context.shared.results.directory(),
        context.query_id(),
        context.shared.result_bytes_max,
        &context.cancel,
    )
    .await?;
    Ok(Outcome::new(planned.columns, spool))
}

/// Columns without rows.
pub(crate) fn described(columns: Vec<Column>) -> Result<Outcome, UserError> {
    let writer = crate::run::spool::SpoolWriter::new(
        schema_of(&columns),
        std::path::Path::new("."),
        "described",
        None,
    );
    Ok(Outcome::new(columns, writer.finish()?))
}

/// EXPLAIN: the optimised logical plan and the operators, one line each. What lies below policies
/// and secure views is not told.
pub(crate) async fn explain(
    context: &StatementContext,
    work: &mut Work,
    explain: &Explain,
) -> Result<Outcome, UserError> {
    let columns = [("step", SqlType::TEXT), ("plan", SqlType::TEXT)];
    let planned = match explain.statement.as_ref() {
        Statement::Query(query) => plan(context, work, query, &context.text).await?,
        // The plan of a change is that of the rows it writes.
        other => match super::dml::planned(context, work, other).await? {
            Some(dml) => dml.planned,
            None => {
                return Err(UserError::unsupported(format!("EXPLAIN {}", other.kind().as_str())));
            }
        },
    };
    let plan = governed(context, work, &planned)?;
    if context.describe_only {
        return Outcome::table(&columns, Vec::new());
    }
    let logical = logical_lines(optimized(&context.runtime, &plan)?).map_err(user_error)?;
    let physical = physical_plan(&context.runtime, plan, &context.cancel).await?;
    let physical = physical_lines(physical).map_err(user_error)?;
    let mut rows = Vec::new();
    for (step, lines) in [("logical", logical), ("physical", physical)] {
        rows.extend(lines.into_iter().map(|line| vec![Cell::from(step), Cell::from(line)]));
    }
    Outcome::table(&columns, rows)
}
