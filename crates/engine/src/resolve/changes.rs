//! `FROM t CHANGES (…) AT (…) END (…)`: the changes of a table as a relation.

use datafusion::common::TableReference;
use frazil_catalog::{Relation as CatalogRelation, TableKind};
use frazil_common::{Code, Column, ObjectName, SqlType, UserError};
use frazil_lake::{CHANGE_ACTION, CHANGE_IS_UPDATE, CHANGE_ROW_ID, ChangeRange};
use frazil_planner::{Relation, TimeTravel};

use crate::resolve::objects::table_object;
use crate::resolve::policies::{Kept, protect};
use crate::resolve::relation::{absent, is_hidden, snapshot_of, version_at, within_reach};
use crate::statements::context::{StatementContext, Work};

/// The changes of a table after one state, up to another or the newest, as the roles see its rows
/// under the policies on it.
pub(crate) async fn relation(
    context: &StatementContext,
    work: &mut Work,
    name: &ObjectName,
    append_only: bool,
    from: &TimeTravel,
    to: Option<&TimeTravel>,
    depth: usize,
) -> Result<Relation, UserError> {
    let qualified = context.qualify(name)?;
    let view = work.lake()?.view().clone();
    if depth == 0 && is_hidden(context, &view, &qualified) {
        return Err(absent(&qualified));
    }
    let table = match view.relation(&qualified) {
        Some(CatalogRelation::Table(table)) => table,
        Some(CatalogRelation::View(_)) => return Err(UserError::unsupported("CHANGES of a view")),
        None => return Err(absent(&qualified)),
    };
    if table.kind == TableKind::Temporary {
        return Err(UserError::unsupported("CHANGES of a temporary table"));
    }
    let first = snapshot_of(context, from).await?;
    within_reach(context, &view, &table, from, first).await?;
    let last = match to {
        Some(to) => snapshot_of(context, to).await?,
        None => work.lake()?.snapshot(),
    };
    if last < first {
        return Err(UserError::new(
            Code::InvalidArgument,
            "The end of CHANGES must not be before its start.",
        ));
    }
    // The table must be there at both ends, and tracked in between.
    version_at(context, &table, first).await?;
    let end = version_at(context, &table, last).await?;
    if table.change_tracking.is_none_or(|since| since > first) {
        return Err(UserError::new(
            Code::TimeTravelUnavailable,
            format!(
                "Change tracking is not enabled or has been missing for the time range requested \
                 on table '{}'.",
                table.name.name
            ),
        ));
    }
    let range = ChangeRange { table: end.table.clone(), from: first, to: last, append_only };
    let full = &table.name;
    let reference =
        TableReference::full(full.database.clone(), full.schema.clone(), full.name.clone());
    let plan = context.shared.lake.changes(&range, &reference).await?;
    context.record.lock().snapshot = Some(last);
    let mut columns = end.table.column_list();
    columns.push(Column::new(CHANGE_ACTION, SqlType::TEXT, false));
    columns.push(Column::new(CHANGE_IS_UPDATE, SqlType::Boolean, false));
    columns.push(Column::new(CHANGE_ROW_ID, SqlType::TEXT, false));
    let relation = Relation {
        object: Some(table_object(&table)),
        name: Some(table.name.clone()),
        columns,
        plan,
        accesses: Vec::new(),
        hidden: 0,
    };
    let ids: Vec<i64> = end.table.columns.iter().map(|column| column.field_id).collect();
    let (relation, protected) =
        protect(context, work, relation, &ids, Kept::Nothing, depth).await?;
    let mut protections = context.protections.lock();
    if protected {
        protections.protect(&reference, relation.plan.clone());
    } else {
        protections.open(&reference);
    }
    drop(protections);
    Ok(relation)
}
