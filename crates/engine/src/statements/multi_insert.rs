//! INSERT ALL and INSERT FIRST: the query runs once; each branch reads its rows.

use std::sync::Arc;

use frazil_catalog::TableInfo;
use frazil_common::{Privilege, UserError};
use frazil_dialect::MultiInsert;
use frazil_planner::{Resolved, TargetTable, plan_insert_branch, references_of_multi_insert};

use crate::history::access::{Stored, note_written_of};
use crate::resolve::relation::target_table;
use crate::resolve::results::spool_relation;
use crate::run::execute::{run_to_spool, run_to_stream};
use crate::statements::context::{StatementContext, Work};
use crate::statements::dml::{authorize_write, counts_described, insert_target};
use crate::statements::outcome::{Changes, Outcome, schema_of};
use crate::statements::query::{self, operators, plan_context, resolve_all};
use crate::statements::transaction::lock;

/// The tables of the branches as first named, authorised.
fn named_tables(
    context: &StatementContext,
    work: &mut Work,
    statement: &MultiInsert,
) -> Result<Vec<Arc<TableInfo>>, UserError> {
    let mut tables: Vec<Arc<TableInfo>> = Vec::new();
    for branch in &statement.branches {
        let table = target_table(context, work, &branch.target.table)?;
        let mut privileges = vec![Privilege::Insert];
        if statement.overwrite {
            privileges.push(Privilege::Delete);
        }
        let written = branch.target.columns.iter().map(|(name, _)| name.clone()).collect();
        authorize_write(context, work, &table, &privileges, written)?;
        if !tables.iter().any(|known| known.name == table.name) {
            tables.push(table);
        }
    }
    Ok(tables)
}

/// Those tables, locked where rows of theirs are overwritten. Where another table has taken a name in
/// the meantime, all is asked for again.
async fn locked_tables(
    context: &StatementContext,
    work: &mut Work,
    statement: &MultiInsert,
) -> Result<Vec<Arc<TableInfo>>, UserError> {
    let ids = |tables: &[Arc<TableInfo>]| -> Vec<i64> {
        tables.iter().map(|table| table.table_id).collect()
    };
    loop {
        let tables = named_tables(context, work, statement)?;
        if !statement.overwrite {
            return Ok(tables);
        }
        // All in the same order, so that two of these do not wait for each other.
        let mut sorted = tables.clone();
        sorted.sort_by_key(|table| table.table_id);
        for table in &sorted {
            lock(context, work, table).await?;
        }
        if ids(&named_tables(context, work, statement)?) == ids(&tables) {
            return Ok(tables);
        }
    }
}

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    statement: &MultiInsert,
) -> Result<Outcome, UserError> {
    let mut targets: Vec<(Arc<TableInfo>, TargetTable)> = Vec::new();
    let named = locked_tables(context, work, statement).await?;
    // With their columns of the answer.
    let mut tables: Vec<(Arc<TableInfo>, String, u64)> = named
        .into_iter()
        .map(|table| {
            let label = format!("number of rows inserted into {}", table.name.name);
            (table, label, 0)
        })
        .collect();
    for branch in &statement.branches {
        targets.push(insert_target(context, work, &branch.target.table).await?);
    }
    let source = query::plan(context, work, &statement.source, &context.text).await?;
    let empty = Resolved::default();
    let wanted =
        references_of_multi_insert(statement, &plan_context(context, &empty, &context.text))?;
    let resolved = resolve_all(context, work, wanted).await?;
    let plan = operators(context, work, &source).await?;
    if context.describe_only {
        let labels: Vec<&str> = tables.iter().map(|(_, label, _)| label.as_str()).collect();
        return counts_described(&labels);
    }
    let name = format!("insert {}", context.query_id());
    let rows = run_to_spool(
        &context.runtime,
        plan,
        schema_of(&source.columns),
        context.shared.results.directory(),
        &name,
        context.shared.result_bytes_max,
        &context.cancel,
    )
    .await?;
    let stored = Stored::of(&name, &source);
    let relation = spool_relation(&name, source.columns, Arc::new(rows))?;
    if statement.overwrite {
        for (table, ..) in &tables {
            work.lake()?.truncate(table).await?;
        }
    }
    for (branch, (table, target)) in statement.branches.iter().zip(&targets) {
        let plan_context = plan_context(context, &resolved, &context.text);
        let dml = plan_insert_branch(statement, branch, &relation, target, &plan_context)?;
        note_written_of(context, &dml.planned, &stored);
        let plan = operators(context, work, &dml.planned).await?;
        let rows = run_to_stream(&context.runtime, plan, &context.cancel)?;
        let inserted = work.lake()?.append(table, rows).await?;
        if let Some(entry) = tables.iter_mut().find(|(known, ..)| known.name == table.name) {
            entry.2 += inserted;
        }
    }
    let counts: Vec<(&str, u64)> =
        tables.iter().map(|(_, label, inserted)| (label.as_str(), *inserted)).collect();
    let inserted = tables.iter().map(|(.., inserted)| inserted).sum();
    Outcome::counts(&counts, Changes { inserted, ..Changes::default() })
}
