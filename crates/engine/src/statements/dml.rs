//! INSERT, UPDATE, DELETE, MERGE and TRUNCATE: governed queries whose rows go into the lake.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_catalog::TableInfo;
use frazil_common::{Access, Code, ObjectKind, ObjectName, Privilege, UserError};
use frazil_dialect::{Delete, Insert, Merge, MergeAction, Statement, Truncate, Update};
use frazil_functions::TypedExpr;
use frazil_governance::{HiddenError, Requirement};
use frazil_lake::SeveralActions;
use frazil_planner::{
    PlannedDml, Resolved, TargetColumn, TargetTable, plan_delete, plan_insert, plan_merge,
    plan_update, references_of_delete, references_of_insert, references_of_merge,
    references_of_update,
};

use crate::history::access::{note_changed, note_written};
use crate::resolve::objects::{parents_of, table_object};
use crate::resolve::policies::Kept;
use crate::resolve::relation::{extended_relation, table_relation, target_table};
use crate::run::apart::apart;
use crate::run::execute::{Operators, run_to_stream};
use crate::statements::context::{StatementContext, Work};
use crate::statements::defaults;
use crate::statements::outcome::{Changes, Outcome};
use crate::statements::query::{described, operators, plan_context, resolve_all};
use crate::statements::transaction::lock;

/// The target of rows that are only added, with bound defaults.
pub(super) async fn insert_target(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
) -> Result<(Arc<TableInfo>, TargetTable), UserError> {
    let table = target_table(context, work, name)?;
    let relation = extended_relation(context, work, &table)?;
    let columns = target_columns(context, &table).await?;
    Ok((table, TargetTable { relation, columns }))
}

/// The target with its current rows and bound defaults.
async fn target(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
) -> Result<(Arc<TableInfo>, Arc<frazil_lake::TableVersion>, TargetTable), UserError> {
    let table = target_table(context, work, name)?;
    let version = work.lake()?.table_version(&table).await?;
    let relation = table_relation(context, work, version.clone(), Kept::Masked, 0).await?;
    let columns = target_columns(context, &table).await?;
    Ok((table, version, TargetTable { relation, columns }))
}

async fn target_columns(
    context: &StatementContext,
    table: &TableInfo,
) -> Result<Vec<TargetColumn>, UserError> {
    let mut columns = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let default: Option<TypedExpr> = defaults::bound(context, column).await?;
        columns.push(TargetColumn { column: column.to_column(), default });
    }
    Ok(columns)
}

/// Checks a privilege on the target and notes the write for the access history.
pub(super) fn authorize_write(
    context: &StatementContext,
    work: &mut Work,
    table: &TableInfo,
    privileges: &[Privilege],
    columns: Vec<String>,
) -> Result<(), UserError> {
    if table.kind == frazil_catalog::TableKind::Temporary {
        return Ok(());
    }
    let view = work.lake()?.view().clone();
    for privilege in privileges {
        context.authorize(&[Requirement::new(
            table_object(table),
            parents_of(&view, &table.name),
            *privilege,
        )])?;
        context.record.lock().accesses.push(Access {
            object: table_object(table),
            privilege: *privilege,
            columns: columns.clone(),
            on_behalf_of: None,
        });
    }
    Ok(())
}

/// The table that a statement changes, authorised and, for one that runs and changes rows that are
/// there, locked. While it waited another table may have taken the name, which is asked for and locked
/// like the first.
pub(super) async fn locked_target(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
    locks: bool,
    authorize: impl Fn(&mut Work, &TableInfo) -> Result<(), UserError>,
) -> Result<Arc<TableInfo>, UserError> {
    loop {
        let table = target_table(context, work, name)?;
        authorize(work, &table)?;
        if !locks {
            return Ok(table);
        }
        lock(context, work, &table).await?;
        if target_table(context, work, name)?.table_id == table.table_id {
            return Ok(table);
        }
    }
}

/// The planner lists the target's own scan as read; writing it needs no SELECT beyond what the
/// statement's expressions read.
fn rows_of(
    context: &StatementContext,
    work: &mut Work,
    dml: &PlannedDml,
) -> impl Future<Output = Result<Operators, UserError>> {
    note_written(context, &dml.planned);
    operators(context, work, &dml.planned)
}

const INSERTED: &str = "number of rows inserted";
const UPDATED: &str = "number of rows updated";
const DELETED: &str = "number of rows deleted";
const MULTI_JOINED: &str = "number of multi-joined rows updated";

pub(super) fn counts_described(names: &[&str]) -> Result<Outcome, UserError> {
    let columns = names
        .iter()
        .map(|name| frazil_common::Column::new(*name, crate::statements::outcome::COUNT, false));
    described(columns.collect())
}

/// What a statement is planned for: EXPLAIN locks nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Explain,
    Run,
}

/// A statement ready to run: its table, the rows it starts from, what it will do.
type Ready = (Arc<TableInfo>, Arc<frazil_lake::TableVersion>, PlannedDml);

/// The plan of a statement that changes rows, for EXPLAIN; none for other statements.
pub(crate) async fn planned(
    context: &StatementContext,
    work: &mut Work,
    statement: &Statement,
) -> Result<Option<PlannedDml>, UserError> {
    let (.., dml) = match statement {
        Statement::Insert(insert) => {
            return Ok(Some(insert_plan(context, work, insert, Purpose::Explain).await?.1));
        }
        Statement::Update(update) => update_plan(context, work, update, Purpose::Explain).await?,
        Statement::Delete(delete) => delete_plan(context, work, delete, Purpose::Explain).await?,
        Statement::Merge(merge) => merge_plan(context, work, merge, Purpose::Explain).await?,
        _ => return Ok(None),
    };
    Ok(Some(dml))
}

async fn insert_plan(
    context: &StatementContext,
    work: &mut Work,
    statement: &Insert,
    purpose: Purpose,
) -> Result<(Arc<TableInfo>, PlannedDml), UserError> {
    let mut privileges = vec![Privilege::Insert];
    if statement.overwrite {
        privileges.push(Privilege::Delete);
    }
    let locks = statement.overwrite && purpose == Purpose::Run;
    locked_target(context, work, &statement.target.table, locks, |work, table| {
        let written = statement.target.columns.iter().map(|(name, _)| name.clone()).collect();
        authorize_write(context, work, table, &privileges, written)
    })
    .await?;
    let (table, target) = insert_target(context, work, &statement.target.table).await?;
    let empty = Resolved { relations: HashMap::new(), ..Default::default() };
    let wanted = references_of_insert(statement, &plan_context(context, &empty, &context.text))?;
    let resolved = resolve_all(context, work, wanted).await?;
    let dml = apart(context.text.len(), || {
        plan_insert(statement, &target, &plan_context(context, &resolved, &context.text))
    })?;
    Ok((table, dml))
}

pub(crate) async fn insert(
    context: &StatementContext,
    work: &mut Work,
    statement: &Insert,
) -> Result<Outcome, UserError> {
    let (table, dml) = insert_plan(context, work, statement, Purpose::Run).await?;
    let plan = rows_of(context, work, &dml).await?;
    if context.describe_only {
        return counts_described(&[INSERTED]);
    }
    let rows = run_to_stream(&context.runtime, plan, &context.cancel)?;
    if statement.overwrite {
        work.lake()?.truncate(&table).await?;
    }
    let inserted = work.lake()?.append(&table, rows).await?;
    Outcome::counts(&[(INSERTED, inserted)], Changes { inserted, ..Changes::default() })
}

async fn update_plan(
    context: &StatementContext,
    work: &mut Work,
    statement: &Update,
    purpose: Purpose,
) -> Result<Ready, UserError> {
    locked_target(context, work, &statement.table, purpose == Purpose::Run, |work, table| {
        let written = statement.assignments.iter().map(|a| a.column.clone()).collect();
        authorize_write(context, work, table, &[Privilege::Update], written)
    })
    .await?;
    let (table, version, target) = target(context, work, &statement.table).await?;
    let empty = Resolved::default();
    let wanted = references_of_update(statement, &plan_context(context, &empty, &context.text))?;
    let resolved = resolve_all(context, work, wanted).await?;
    let dml = plan_update(statement, &target, &plan_context(context, &resolved, &context.text))?;
    Ok((table, version, dml))
}

pub(crate) async fn update(
    context: &StatementContext,
    work: &mut Work,
    statement: &Update,
) -> Result<Outcome, UserError> {
    let (_, version, dml) = update_plan(context, work, statement, Purpose::Run).await?;
    let plan = rows_of(context, work, &dml).await?;
    if context.describe_only {
        return counts_described(&[UPDATED, MULTI_JOINED]);
    }
    let rows = run_to_stream(&context.runtime, plan, &context.cancel)?;
    let done = work.lake()?.update(&version, rows).await?;
    if done.multi_joined > 0 && context.parameters.get_bool("ERROR_ON_NONDETERMINISTIC_UPDATE") {
        return Err(UserError::new(
            Code::DuplicateRowInDml,
            "Duplicate row detected during DML action",
        ));
    }
    Outcome::counts(
        &[(UPDATED, done.updated), (MULTI_JOINED, done.multi_joined)],
        Changes { updated: done.updated, ..Changes::default() },
    )
}

async fn delete_plan(
    context: &StatementContext,
    work: &mut Work,
    statement: &Delete,
    purpose: Purpose,
) -> Result<Ready, UserError> {
    locked_target(context, work, &statement.table, purpose == Purpose::Run, |work, table| {
        authorize_write(context, work, table, &[Privilege::Delete], Vec::new())
    })
    .await?;
    let (table, version, target) = target(context, work, &statement.table).await?;
    let empty = Resolved::default();
    let wanted = references_of_delete(statement, &plan_context(context, &empty, &context.text))?;
    let resolved = resolve_all(context, work, wanted).await?;
    let dml = plan_delete(statement, &target, &plan_context(context, &resolved, &context.text))?;
    Ok((table, version, dml))
}

pub(crate) async fn delete(
    context: &StatementContext,
    work: &mut Work,
    statement: &Delete,
) -> Result<Outcome, UserError> {
    let (_, version, dml) = delete_plan(context, work, statement, Purpose::Run).await?;
    let plan = rows_of(context, work, &dml).await?;
    if context.describe_only {
        return counts_described(&[DELETED]);
    }
    let rows = run_to_stream(&context.runtime, plan, &context.cancel)?;
    let deleted = work.lake()?.delete(&version, rows).await?.rows;
    Outcome::counts(&[(DELETED, deleted)], Changes { deleted, ..Changes::default() })
}

/// Which of insert, update and delete a MERGE may do.
fn merge_actions(statement: &Merge) -> (bool, bool, bool) {
    let has = |wanted: fn(&MergeAction) -> bool| {
        statement.clauses.iter().any(|clause| wanted(&clause.action))
    };
    (
        has(|action| matches!(action, MergeAction::Insert { .. } | MergeAction::InsertAllByName)),
        has(|action| matches!(action, MergeAction::Update { .. } | MergeAction::UpdateAllByName)),
        has(|action| matches!(action, MergeAction::Delete)),
    )
}

async fn merge_plan(
    context: &StatementContext,
    work: &mut Work,
    statement: &Merge,
    purpose: Purpose,
) -> Result<Ready, UserError> {
    let (inserts, updates, deletes) = merge_actions(statement);
    let privileges: Vec<Privilege> =
        [(inserts, Privilege::Insert), (updates, Privilege::Update), (deletes, Privilege::Delete)]
            .into_iter()
            .filter_map(|(used, privilege)| used.then_some(privilege))
            .collect();
    locked_target(context, work, &statement.table, purpose == Purpose::Run, |work, table| {
        authorize_write(context, work, table, &privileges, Vec::new())
    })
    .await?;
    let (table, version, target) = target(context, work, &statement.table).await?;
    let empty = Resolved::default();
    let wanted = references_of_merge(statement, &plan_context(context, &empty, &context.text))?;
    let resolved = resolve_all(context, work, wanted).await?;
    let dml = plan_merge(statement, &target, &plan_context(context, &resolved, &context.text))?;
    Ok((table, version, dml))
}

pub(crate) async fn merge(
    context: &StatementContext,
    work: &mut Work,
    statement: &Merge,
) -> Result<Outcome, UserError> {
    let (_, version, dml) = merge_plan(context, work, statement, Purpose::Run).await?;
    let plan = rows_of(context, work, &dml).await?;
    let names = merge_names(statement);
    if context.describe_only {
        return counts_described(&names);
    }
    let rows = run_to_stream(&context.runtime, plan, &context.cancel)?;
    let several = match context.parameters.get_bool("ERROR_ON_NONDETERMINISTIC_MERGE") {
        true => SeveralActions::Error,
        false => SeveralActions::First,
    };
    let done = work.lake()?.merge(&version, rows, several).await;
    let done = done.map_err(|error| without_rows(context, error.into()))?;
    let changes = Changes { inserted: done.inserted, updated: done.updated, deleted: done.deleted };
    named_counts(&names, changes)
}

/// The error of a MERGE that meets a row twice. It quotes the row as it is written, with what policies
/// hide from who asks.
fn without_rows(context: &StatementContext, error: UserError) -> UserError {
    if error.code != Code::DuplicateRowInDml || context.protections.lock().policies().is_empty() {
        return error;
    }
    UserError::new(error.code, error.message.lines().next().unwrap_or_default())
}

fn named_counts(names: &[&'static str], changes: Changes) -> Result<Outcome, UserError> {
    let counts: Vec<(&str, u64)> = names
        .iter()
        .map(|name| {
            let count = match *name {
                INSERTED => changes.inserted,
                UPDATED => changes.updated,
                _ => changes.deleted,
            };
            (*name, count)
        })
        .collect();
    Outcome::counts(&counts, changes)
}

/// The answer of a statement of which only the rows are known that it changed. That of an UPDATE has
/// no number of multi-joined rows then.
pub(crate) fn told(statement: &Statement, changes: Changes) -> Option<Result<Outcome, UserError>> {
    let names = match statement {
        Statement::Insert(_) => vec![INSERTED],
        Statement::Update(_) => vec![UPDATED],
        Statement::Delete(_) => vec![DELETED],
        Statement::Merge(merge) => merge_names(merge),
        _ => return None,
    };
    Some(named_counts(&names, changes))
}

fn merge_names(statement: &Merge) -> Vec<&'static str> {
    let (inserts, updates, deletes) = merge_actions(statement);
    [(inserts, INSERTED), (updates, UPDATED), (deletes, DELETED)]
        .into_iter()
        .filter_map(|(used, name)| used.then_some(name))
        .collect()
}

pub(crate) async fn truncate(
    context: &StatementContext,
    work: &mut Work,
    statement: &Truncate,
) -> Result<Outcome, UserError> {
    match target_table(context, work, &statement.name) {
        Err(error) if statement.if_exists && error.code == Code::ObjectNotFound => {
            return Outcome::status("Statement executed successfully.");
        }
        other => other?,
    };
    let runs = !context.describe_only;
    let account = context.shared.accounts.view().await?;
    let table = locked_target(context, work, &statement.name, runs, |work, table| {
        if table.kind == frazil_catalog::TableKind::Temporary {
            return Ok(());
        }
        let view = work.lake()?.view().clone();
        let object = table_object(table);
        // Who may delete rows may delete those that a row access policy shows, TRUNCATE takes all.
        let all_shown = account
            .policies_on(object.kind, object.id)
            .iter()
            .all(|on| on.policy.0 != ObjectKind::RowAccessPolicy);
        let mut requirement =
            Requirement::new(object, parents_of(&view, &table.name), Privilege::Truncate);
        if all_shown {
            requirement = requirement.or(Privilege::Delete);
        }
        context.authorize(&[requirement.hidden_as(HiddenError::DoesNotExist)])
    })
    .await?;
    if runs {
        work.lake()?.truncate(&table).await?;
        if table.kind != frazil_catalog::TableKind::Temporary {
            note_changed(context, table_object(&table), Privilege::Truncate);
        }
    }
    Outcome::status("Statement executed successfully.")
}
