//! Owners and grants that come and go with definitions: they are part of the same commit.

use frazil_catalog::{CopiedGrants, NewOwner};
use frazil_common::{ObjectKind, QualifiedName};
use frazil_lake::LakeTransaction;

use crate::stage_files::LoadedFile;
use crate::statements::context::StatementContext;

/// An object the statement makes, by the id the transaction knows it under.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub kind: ObjectKind,
    pub id: i64,
    /// The full name; what is in no schema leaves parts empty.
    pub name: QualifiedName,
}

/// Tells the commit of a new object's owner, and of the schema and database whose promises it gets.
pub(crate) fn made(context: &StatementContext, lake: &mut LakeTransaction, made: Made) {
    let view = lake.view().clone();
    let name = &made.name;
    let database = view.database(&name.database).map(|found| found.database_id);
    let schema = view.schema(&name.database, &name.schema).map(|found| found.schema_id);
    let containers = match made.kind {
        ObjectKind::Database => None,
        ObjectKind::Schema => database.map(|database| (database, None)),
        _ => database.map(|database| (database, schema)),
    };
    lake.account().owners.push(NewOwner {
        kind: made.kind,
        id: made.id,
        role: context.role().to_string(),
        containers,
    });
}

/// COPY GRANTS: the same, with the grants of another object in the place of what is promised.
pub(crate) fn made_with_grants(
    context: &StatementContext,
    lake: &mut LakeTransaction,
    made: Made,
    from: i64,
    same_database: bool,
) {
    let Made { kind, id, name: _ } = made;
    let role = context.role().to_string();
    lake.account().owners.push(NewOwner { kind, id, role, containers: None });
    let copied = CopiedGrants { kind, from, to: id, owner: false, same_database };
    lake.account().copied_grants.push(copied);
}

/// An object that can not come back loses its grants.
pub(crate) fn gone(lake: &mut LakeTransaction, kind: ObjectKind, id: i64) {
    lake.account().forgotten.push((kind, id));
}

/// Removes stage files that were loaded with PURGE. The load is committed by now and remembered, so
/// a file that stays is no error, and is not loaded again.
pub(crate) async fn purge(context: &StatementContext, files: &[LoadedFile]) {
    for file in files {
        if let Err(error) = context.shared.stages.delete_loaded(file).await {
            tracing::warn!("a loaded file could not be removed: {}", error.message);
        }
    }
}
