//! ALTER TABLE.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use frazil_catalog::account::AccountView;
use frazil_catalog::{ColumnInfo, TableInfo, TableKind};
use frazil_common::{
    Code, ObjectKind, Privilege, QualifiedName, SqlType, UserError, quote_identifier,
};
use frazil_dialect::{
    AlterColumn, AlterColumnAction, AlterTable, AlterTableAction, ColumnDefinition, ConstraintKind,
    ObjectWord, Options,
};
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::evaluate_constant;
use frazil_lake::LakeTransaction;
use frazil_planner::{Resolved, plan_expression, sql_type};

use crate::statements::alter_object::complete;
use crate::statements::clone::keep_masking_tags;
use crate::statements::clustering::{clustering, refuse_hidden_keys, renamed};
use crate::statements::constraints;
use crate::statements::context::{StatementContext, Work, cancelled};
use crate::statements::create_table::{authorize_grants_of, authorize_move, definition};
use crate::statements::defaults;
use crate::statements::lookup::{Target, absent, described_status, expect, find};
use crate::statements::outcome::Outcome;
use crate::statements::policy::DefinedPolicies;
use crate::statements::query::plan_context;
use crate::statements::retention::RETENTION;
use crate::statements::table_options::{TableOptions, check_unset};
use crate::statements::tag::DefinedTags;

const DONE: &str = "Statement executed successfully.";

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    alter: &AlterTable,
) -> Result<Outcome, UserError> {
    let view = work.lake()?.view().clone();
    let Some(found) = find(context, &view, ObjectWord::Table, &alter.name).await? else {
        return if alter.if_exists {
            Outcome::status(DONE)
        } else {
            Err(absent(context, ObjectWord::Table, &alter.name))
        };
    };
    found.require(context, &[Privilege::Ownership])?;
    let Target::Table(table) = found.target else {
        return Err(UserError::internal("a table is no table"));
    };
    let name = &table.name;
    match &alter.action {
        AlterTableAction::AddColumns { if_not_exists, columns } => {
            add_columns(context, work, &table, columns, *if_not_exists).await?;
        }
        AlterTableAction::DropColumns { if_exists, columns } => {
            for column in columns {
                if *if_exists && table.column(column).is_none() {
                    continue;
                }
                let found = expect_column(&table, column)?;
                refuse_governing(context, &table, found).await?;
                if !context.describe_only {
                    let lake = work.lake()?;
                    // No policy may come on the column until it is gone.
                    lake.account().rules_version = Some(context.model.rules_version());
                    lake.drop_column(name, column)?;
                }
            }
        }
        AlterTableAction::RenameColumn { from, to } => {
            expect_column(&table, from)?;
            if !context.describe_only {
                let text = table.cluster_by.as_deref().and_then(|text| renamed(text, from, to));
                let lake = work.lake()?;
                lake.rename_column(name, from, to)?;
                if text.is_some() {
                    lake.alter_table(name, |table| {
                        table.cluster_by = text;
                        Ok(())
                    })?;
                }
            }
        }
        AlterTableAction::RenameTo(to) => {
            let to = complete(to, name);
            if (&to.database, &to.schema) != (&name.database, &name.schema) {
                authorize_move(context, work, &to, Privilege::CreateTable)?;
            }
            if !context.describe_only {
                let account = context.shared.accounts.view().await?;
                let lake = work.lake()?;
                keep_tags_of_moved(&account, lake, (ObjectKind::Table, table.table_id), name, &to);
                lake.rename_table(name, &to)?;
            }
        }
        AlterTableAction::SwapWith(other) => {
            let other = expect(context, &view, ObjectWord::Table, other).await?;
            other.require(context, &[Privilege::Ownership])?;
            let Target::Table(other) = other.target else {
                return Err(UserError::internal("a table is no table"));
            };
            if (&other.name.database, &other.name.schema) != (&name.database, &name.schema) {
                authorize_grants_of(context, &view, name)?;
                authorize_grants_of(context, &view, &other.name)?;
            }
            if !context.describe_only {
                let account = context.shared.accounts.view().await?;
                let lake = work.lake()?;
                let other_id = (ObjectKind::Table, other.table_id);
                let own = (ObjectKind::Table, table.table_id);
                keep_tags_of_moved(&account, lake, own, name, &other.name);
                keep_tags_of_moved(&account, lake, other_id, &other.name, name);
                lake.swap_tables(name, &other.name)?;
            }
        }
        AlterTableAction::AlterColumns(columns) => {
            for column in columns {
                alter_column(context, work, name, column).await?;
            }
        }
        AlterTableAction::Set(options) => set(context, work, &table, options)?,
        AlterTableAction::Unset(keys) => {
            for key in keys {
                check_unset("TABLE", key)?;
            }
            let has = |wanted: &str| keys.iter().any(|key| key == wanted);
            if !context.describe_only {
                work.lake()?.alter_table(name, |table| {
                    if has("COMMENT") {
                        table.comment = None;
                    }
                    if has(RETENTION) {
                        table.retention_days = None;
                    }
                    if has("CHANGE_TRACKING") {
                        table.change_tracking = None;
                    }
                    Ok(())
                })?;
            }
        }
        AlterTableAction::ClusterBy(keys) => {
            let keys = clustering(keys, &table.columns)?;
            refuse_hidden_keys(context, work, &table, keys.as_ref()).await?;
            if !context.describe_only {
                work.lake()?.cluster_table(name, keys)?;
            }
        }
        AlterTableAction::DropClusteringKey => {
            if !context.describe_only {
                work.lake()?.cluster_table(name, None)?;
            }
        }
        AlterTableAction::AddConstraint(constraint) => {
            if let ConstraintKind::PrimaryKey(columns) = &constraint.kind {
                for column in columns {
                    if expect_column(&table, column)?.nullable {
                        refuse_nulls(context, work, name, column).await?;
                    }
                }
            }
            if !context.describe_only {
                constraints::add(context, work, name, &[], std::slice::from_ref(constraint))?;
            }
        }
        AlterTableAction::DropConstraint(constraint) => {
            if !context.describe_only {
                constraints::drop(work, &table, constraint)?;
            }
        }
        AlterTableAction::SuspendRecluster | AlterTableAction::ResumeRecluster => {
            if table.sort_keys.is_empty() {
                return Err(UserError::new(
                    Code::InvalidStatement,
                    format!("Table {} is not clustered.", quote_identifier(&name.name)),
                ));
            }
            let suspended = alter.action == AlterTableAction::SuspendRecluster;
            if !context.describe_only {
                work.lake()?.alter_table(name, |table| {
                    table.recluster_suspended = suspended;
                    Ok(())
                })?;
            }
        }
    }
    if context.describe_only { described_status() } else { Outcome::status(DONE) }
}

fn expect_column<'t>(table: &'t TableInfo, name: &str) -> Result<&'t ColumnInfo, UserError> {
    table.column(name).ok_or_else(|| {
        UserError::new(
            Code::InvalidIdentifier,
            format!("column '{}' does not exist", quote_identifier(name)),
        )
    })
}

/// A column that a policy on other columns or on the rows looks at stays.
async fn refuse_governing(
    context: &StatementContext,
    table: &TableInfo,
    column: &ColumnInfo,
) -> Result<(), UserError> {
    let account = context.shared.accounts.view().await?;
    let id = column.field_id;
    let policies = account.policies_on(ObjectKind::Table, table.table_id);
    match policies.iter().find(|policy| policy.column != id && policy.arguments.contains(&id)) {
        None => Ok(()),
        Some(policy) => Err(UserError::new(
            Code::InvalidStatement,
            format!(
                "Column {} cannot be dropped: a {} on the table depends on it.",
                quote_identifier(&column.name),
                policy.policy.0.as_str().to_lowercase()
            ),
        )),
    }
}

fn set(
    context: &StatementContext,
    work: &mut Work,
    table: &TableInfo,
    options: &Options,
) -> Result<(), UserError> {
    if let Some((key, _)) = options.iter().find(|(key, _)| key.starts_with("STAGE_")) {
        return Err(UserError::unsupported(format!("ALTER TABLE … SET {key}")));
    }
    let transient = table.kind != TableKind::Permanent;
    let options = TableOptions::read("TABLE", options, transient)?;
    if !context.describe_only {
        work.lake()?.alter_table(&table.name, |table| {
            if let Some(comment) = options.comment {
                table.comment = comment;
            }
            if let Some(days) = options.retention_days {
                table.retention_days = Some(days);
            }
            if let Some(tracking) = options.change_tracking {
                // Set again, tracking goes on from where it began.
                let since = table.change_tracking.unwrap_or(0);
                table.change_tracking = tracking.then_some(since);
            }
            Ok(())
        })?;
    }
    Ok(())
}

async fn add_columns(
    context: &StatementContext,
    work: &mut Work,
    table: &Arc<TableInfo>,
    columns: &[ColumnDefinition],
    if_not_exists: bool,
) -> Result<(), UserError> {
    let rows = work.lake()?.table_version(table).await?.row_count();
    for column in columns {
        if table.column(&column.name).is_some() {
            if if_not_exists {
                continue;
            }
            return Err(UserError::new(
                Code::DuplicateColumn,
                format!("column '{}' already exists", quote_identifier(&column.name)),
            ));
        }
        let tagged = std::iter::once((&column.name, column.tags.as_slice()));
        let tags = DefinedTags::find(context, work, &[], tagged).await?;
        let info = definition(context, column).await?;
        let there = work.lake()?.view().table(&table.name).cloned();
        let mut known: Vec<_> = there
            .iter()
            .flat_map(|table| &table.columns)
            .map(|column| (column.name.as_str(), &column.sql_type))
            .collect();
        known.push((&column.name, &info.sql_type));
        let masks = std::iter::once((&column.name, column.masking.as_ref()));
        let policies = DefinedPolicies::find(context, work, None, masks, &known).await?;
        if !policies.is_empty() && table.kind == TableKind::Temporary {
            return Err(UserError::unsupported("policies on a temporary table"));
        }
        let drawn = info.default.as_deref().map(defaults::draws).transpose()?.unwrap_or(false);
        if (info.autoincrement.is_some() || drawn) && rows > 0 {
            return Err(UserError::new(
                Code::InvalidStatement,
                format!(
                    "Cannot add column '{}' with AUTOINCREMENT or a sequence to non-empty table '{}'.",
                    column.name, table.name.name
                ),
            ));
        }
        let initial = if drawn { None } else { initial_value(context, &info)? };
        if rows > 0 && !info.nullable && initial.as_ref().is_none_or(ScalarValue::is_null) {
            return Err(UserError::new(
                Code::InvalidStatement,
                format!(
                    "Non-nullable column '{}' cannot be added to non-empty table '{}' unless it \
                     has a non-null default value.",
                    column.name, table.name.name
                ),
            ));
        }
        if !context.describe_only {
            let lake = work.lake()?;
            lake.add_column(&table.name, info, initial).await?;
            if let Some(changed) = lake.view().table(&table.name).cloned() {
                tags.record_table(lake, &changed);
                policies.record_table(lake, &changed)?;
            }
            constraints::add(context, work, &table.name, std::slice::from_ref(column), &[])?;
        }
    }
    Ok(())
}

/// What rows already there get: the default's value now.
fn initial_value(
    context: &StatementContext,
    column: &ColumnInfo,
) -> Result<Option<ScalarValue>, UserError> {
    let Some(text) = &column.default else { return Ok(None) };
    let expression = frazil_dialect::parse_expression(text)?;
    let empty = Resolved::default();
    let value = plan_expression(&expression, None, &plan_context(context, &empty, text))?;
    let value = cast(value, &column.sql_type, CastMode::Implicit, &context.facts)?;
    evaluate_constant(&value).map(Some)
}

async fn alter_column(
    context: &StatementContext,
    work: &mut Work,
    table: &QualifiedName,
    alter: &AlterColumn,
) -> Result<(), UserError> {
    let info = work.lake()?.table(table)?;
    let column = expect_column(&info, &alter.column)?.clone();
    if !column.is_written()
        && !matches!(
            alter.action,
            AlterColumnAction::SetComment(_) | AlterColumnAction::UnsetComment
        )
    {
        return Err(UserError::unsupported(format!(
            "ALTER COLUMN {} of table {table}, which is of DuckDB's type {}",
            quote_identifier(&column.name),
            column.foreign_type()
        )));
    }
    let change: Box<dyn FnOnce(&mut ColumnInfo) + Send> = match &alter.action {
        AlterColumnAction::SetNotNull => {
            refuse_nulls(context, work, table, &column.name).await?;
            Box::new(|column| column.nullable = false)
        }
        AlterColumnAction::DropNotNull => Box::new(|column| column.nullable = true),
        AlterColumnAction::SetDataType(data_type) => {
            let wanted = sql_type(data_type)?;
            check_widening(&column, &wanted)?;
            let shape = ColumnInfo::new(&column.name, wanted, column.nullable);
            Box::new(move |column| {
                column.sql_type = shape.sql_type;
                column.physical_type = shape.physical_type;
            })
        }
        AlterColumnAction::SetDefault(expression, text) => {
            let text = defaults::checked(context, expression, text, &column.sql_type).await?;
            let mut wanted = ColumnInfo {
                default: Some(text),
                autoincrement: None,
                foreign_default: false,
                ..column.clone()
            };
            wanted.ducklake_default = defaults::for_other_clients(context, &wanted)?;
            Box::new(move |column| *column = wanted)
        }
        AlterColumnAction::DropDefault => Box::new(|column| {
            column.default = None;
            column.ducklake_default = None;
            column.foreign_default = false;
            column.autoincrement = None;
        }),
        AlterColumnAction::SetComment(comment) => {
            let comment = Some(comment.clone()).filter(|text| !text.is_empty());
            Box::new(move |column| column.comment = comment)
        }
        AlterColumnAction::UnsetComment => Box::new(|column| column.comment = None),
    };
    if !context.describe_only {
        work.lake()?.alter_column(table, &column.name, change)?;
    }
    Ok(())
}

/// What an object keeps when it moves to another schema: it must not show more than before. Database
/// roles hold nothing outside of their database.
pub(crate) fn keep_tags_of_moved(
    account: &AccountView,
    lake: &mut LakeTransaction,
    (kind, id): (ObjectKind, i64),
    from: &QualifiedName,
    to: &QualifiedName,
) {
    if id < 0 || (&from.database, &from.schema) == (&to.database, &to.schema) {
        return;
    }
    keep_masking_tags(account, lake, (kind, id, from), (id, to));
    if from.database != to.database {
        lake.account().left_database.push((kind, id));
    }
}

/// SET NOT NULL needs a column without NULLs, in rows that a policy holds back from the role too.
async fn refuse_nulls(
    context: &StatementContext,
    work: &mut Work,
    table: &QualifiedName,
    column: &str,
) -> Result<(), UserError> {
    if context.describe_only {
        return Ok(());
    }
    let lake = work.lake()?;
    let table = lake.table(table)?;
    let nulls = lake.nulls(&table, column).await?;
    // Reading the column is work for the threads that compute.
    let found = tokio::select! {
        found = context.runtime.handle().spawn(nulls) => found.map_err(UserError::internal)??,
        () = context.cancel.cancelled() => return Err(cancelled()),
    };
    if found {
        return Err(UserError::new(
            Code::NullNotAllowed,
            format!("column {column} contains null values. Not null constraint cannot be added."),
        ));
    }
    Ok(())
}

/// A column's type can only take in more values of the same storage: longer text, longer binary,
/// more digits before the point.
fn check_widening(column: &ColumnInfo, wanted: &SqlType) -> Result<(), UserError> {
    let from = &column.sql_type;
    let refuse = |because: &str| {
        Err(UserError::new(
            Code::IncompatibleTypes,
            format!("cannot change column {} from type {from} to {wanted}{because}", column.name),
        ))
    };
    match (from, wanted) {
        (from, wanted) if from == wanted => Ok(()),
        (SqlType::Varchar { length: old }, SqlType::Varchar { length: new }) if new >= old => {
            Ok(())
        }
        (SqlType::Varchar { .. }, SqlType::Varchar { .. }) => {
            refuse(" because reducing the byte-length of a varchar is not supported.")
        }
        (SqlType::Binary { length: old }, SqlType::Binary { length: new }) if new >= old => Ok(()),
        (
            SqlType::Number { precision: old, scale },
            SqlType::Number { precision: new, scale: new_scale },
        ) => {
            if scale != new_scale {
                refuse(" because changing the scale of a number is not supported.")
            } else if new < old {
                refuse(" because reducing the precision of a number is not supported.")
            } else {
                Ok(())
            }
        }
        _ => refuse(""),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn column(sql_type: SqlType) -> ColumnInfo {
        ColumnInfo::new("C", sql_type, true)
    }

    #[test]
    fn types_widen_and_never_narrow() {
        let number = |precision, scale| SqlType::Number { precision, scale };
        let text = |length| SqlType::Varchar { length };
        check_widening(&column(text(5)), &text(10)).unwrap();
        check_widening(&column(number(10, 2)), &number(38, 2)).unwrap();
        assert!(check_widening(&column(text(10)), &text(5)).is_err());
        assert!(check_widening(&column(number(10, 2)), &number(10, 3)).is_err());
        assert!(check_widening(&column(number(10, 2)), &number(9, 2)).is_err());
        assert!(check_widening(&column(text(10)), &SqlType::Float).is_err());
    }
}
