//! COMMENT ON.

use frazil_common::{ObjectKind, Privilege, UserError};
use frazil_dialect::{CommentOn, ObjectWord};

use crate::statements::account_change::AccountChange;
use crate::statements::context::{StatementContext, Work};
use crate::statements::lookup::{Found, Target, absent, described_status, find, object_kind};
use crate::statements::outcome::Outcome;

const DONE: &str = "Statement executed successfully.";

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    comment: &CommentOn,
) -> Result<Outcome, UserError> {
    let view = work.lake()?.view().clone();
    let of_column = comment.kind == ObjectWord::Column;
    // A column's relation is named without its kind.
    let kind = match comment.kind {
        ObjectWord::Column => {
            let name = context.qualify(&comment.name)?;
            if view.view(&name).is_some() { ObjectWord::View } else { ObjectWord::Table }
        }
        other => other,
    };
    object_kind(kind).map_err(|_| UserError::unsupported(format!("COMMENT ON {kind}")))?;
    let Some(found) = find(context, &view, kind, &comment.name).await? else {
        return if comment.if_exists {
            Outcome::status(DONE)
        } else {
            Err(absent(context, kind, &comment.name))
        };
    };
    found.require(context, &[required(found.object.kind)])?;
    let text = Some(comment.comment.clone()).filter(|text| !text.is_empty());
    if !of_column {
        if context.describe_only {
            return described_status();
        }
        set_comment(context, work, found, text).await?;
        return Outcome::status(DONE);
    }
    let column = comment.column.as_deref().unwrap_or_default();
    match &found.target {
        Target::Table(table) => {
            if table.column(column).is_none() {
                return Err(UserError::invalid_identifier(column));
            }
            if context.describe_only {
                return described_status();
            }
            work.lake()?.alter_column(&table.name, column, |found| found.comment = text)?;
        }
        Target::View(view) => {
            let index = view
                .columns
                .iter()
                .position(|found| found.name == column)
                .ok_or_else(|| UserError::invalid_identifier(column))?;
            if context.describe_only {
                return described_status();
            }
            let columns = view.columns.len();
            work.lake()?.alter_view(&view.name, |found| {
                found.column_comments.resize(columns, None);
                found.column_comments[index] = text;
            })?;
        }
        _ => return Err(UserError::internal("a column outside a table or view")),
    }
    Outcome::status(DONE)
}

/// The privilege that changing a comment takes.
fn required(kind: ObjectKind) -> Privilege {
    match kind {
        ObjectKind::Warehouse | ObjectKind::Database | ObjectKind::Schema => Privilege::Modify,
        _ => Privilege::Ownership,
    }
}

/// Sets or removes the comment of an object; the caller has checked the privilege.
pub(crate) async fn set_comment(
    context: &StatementContext,
    work: &mut Work,
    found: Found,
    comment: Option<String>,
) -> Result<(), UserError> {
    let lake = work.lake()?;
    match found.target {
        Target::Table(table) => return Ok(lake.set_table_comment(&table.name, comment)?),
        Target::View(view) => {
            lake.alter_view(&view.name, |view| view.comment = comment)?;
            return Ok(());
        }
        Target::Schema(schema) => {
            let name = &schema.name;
            return Ok(
                lake.alter_schema(&schema.database, name, |schema| schema.comment = comment)?
            );
        }
        Target::Database(database) => {
            return Ok(lake.alter_database(&database.name, |found| found.comment = comment)?);
        }
        Target::Model(mut model) => {
            model.comment = comment;
            context.committing.begin().await;
            return Ok(context.shared.registry.update_model(&model).await?);
        }
        target => {
            let mut change = AccountChange::begin(context).await?;
            let mut writer = change.writer();
            match target {
                Target::Stage(mut stage) => {
                    stage.comment = comment;
                    writer.update_object(&stage).await?;
                }
                Target::FileFormat(mut format) => {
                    format.comment = comment;
                    writer.update_object(&format).await?;
                }
                Target::Sequence(mut sequence) => {
                    sequence.comment = comment;
                    writer.update_object(&sequence).await?;
                }
                Target::MaskingPolicy(mut policy) => {
                    policy.comment = comment;
                    writer.update_object(&policy).await?;
                }
                Target::RowAccessPolicy(mut policy) => {
                    policy.comment = comment;
                    writer.update_object(&policy).await?;
                }
                Target::Tag(mut tag) => {
                    tag.comment = comment;
                    writer.update_object(&tag).await?;
                }
                Target::Endpoint(mut endpoint) => {
                    endpoint.comment = comment;
                    writer.update_object(&endpoint).await?;
                }
                Target::Warehouse(mut warehouse) => {
                    warehouse.comment = comment;
                    writer.update_object(&warehouse).await?;
                }
                Target::ResourceMonitor(mut monitor) => {
                    monitor.comment = comment;
                    writer.update_object(&monitor).await?;
                }
                Target::Role(mut role) | Target::DatabaseRole(mut role) => {
                    role.comment = comment;
                    writer.update_role(&role).await?;
                }
                Target::User(mut user) => {
                    user.comment = comment;
                    writer.update_user(&user).await?;
                }
                Target::Table(_)
                | Target::View(_)
                | Target::Schema(_)
                | Target::Database(_)
                | Target::Model(_) => {
                    return Err(UserError::internal("a comment was set twice"));
                }
            }
            change.commit().await?;
        }
    }
    Ok(())
}
