//! What follows a commit of definitions: new objects get their owner, dropped ones lose their
//! grants.

use frazil_catalog::account::Stage;
use frazil_common::{ObjectKind, UserError};

use crate::stages::location::table_stage_name;
use crate::statements::account_change::AccountChange;
use crate::statements::context::StatementContext;

/// Removes stage files that were loaded with PURGE. The load is committed by now and remembered, so
/// a file that stays is no error, and is not loaded again.
pub(crate) async fn purge(context: &StatementContext, files: &[(i64, String)]) {
    use crate::api::StageBytes;
    for (stage_id, path) in files {
        if let Err(error) = context.shared.stages.delete(*stage_id, path).await {
            tracing::warn!("a loaded file could not be removed: {}", error.message);
        }
    }
}

/// Registers owners of what the statement made and forgets what it dropped.
pub(crate) async fn after_commit(context: &StatementContext) -> Result<(), UserError> {
    let record = context.record.lock().clone();
    purge(context, &record.purged).await;
    if record.created.is_empty() && record.forgotten.is_empty() && record.copy_grants.is_empty() {
        return Ok(());
    }
    let view = context.shared.catalog.head_view().await?;
    let mut transaction = AccountChange::begin(context).await?;
    let mut writer = transaction.writer();
    let id_of = |kind: ObjectKind, name: &frazil_common::QualifiedName| match kind {
        ObjectKind::Database => view.database(&name.database).map(|found| found.database_id),
        ObjectKind::Schema => {
            view.schema(&name.database, &name.schema).map(|found| found.schema_id)
        }
        ObjectKind::Table => view.table(name).map(|found| found.table_id),
        ObjectKind::View => view.view(name).map(|found| found.view_id),
        _ => None,
    };
    for (kind, name) in &record.created {
        // Another session may have dropped it since.
        let Some(id) = id_of(*kind, name) else { continue };
        let database = view.database(&name.database).map(|found| found.database_id);
        let schema = view.schema(&name.database, &name.schema).map(|found| found.schema_id);
        let containers = match kind {
            ObjectKind::Database => None,
            ObjectKind::Schema => database.map(|database| (database, None)),
            _ => database.map(|database| (database, schema)),
        };
        writer.register_object(*kind, id, context.role(), containers).await?;
    }
    for name in &record.managed {
        if let Some(id) = id_of(ObjectKind::Schema, name) {
            writer.set_managed_access(id, true).await?;
        }
    }
    for role in &record.dropped_roles {
        writer.drop_role(*role, context.role()).await?;
    }
    for (kind, old, name) in &record.copy_grants {
        if let Some(id) = id_of(*kind, name) {
            writer.copy_grants(*kind, *old, id).await?;
        }
    }
    for (kind, id) in &record.forgotten {
        writer.forget_object(*kind, *id).await?;
    }
    let mut stages = Vec::new();
    for (kind, id) in &record.forgotten {
        if *kind == ObjectKind::Table
            && let Some(stage) = writer.object::<Stage>(0, &table_stage_name(*id), 0).await?
        {
            writer.drop_object(ObjectKind::Stage, stage.id).await?;
            stages.push(stage.id);
        }
    }
    transaction.commit().await?;
    for stage in stages {
        context.shared.stages.delete_stage(stage).await?;
    }
    let schemas: Vec<i64> = record
        .forgotten
        .iter()
        .filter(|(kind, _)| *kind == ObjectKind::Schema)
        .map(|(_, id)| *id)
        .collect();
    crate::statements::drop::clean_up_schemas(context, &schemas).await
}
