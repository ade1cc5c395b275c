//! What a statement read and wrote, as the access history keeps it.

use frazil_catalog::TableInfo;
use frazil_catalog::account::{
    AccessRecord, AccessedObject, ColumnSource, ColumnSources, Protected,
};
use frazil_common::{Access, ObjectRef, Privilege};
use frazil_planner::Planned;

use crate::history::lineage::Lineage;
use crate::resolve::objects::table_object;
use crate::statements::context::{Record, StatementContext};

/// Whether a use of an object changes its rows.
pub(crate) fn writes(privilege: &str) -> bool {
    let all = [Privilege::Insert, Privilege::Update, Privilege::Delete, Privilege::Truncate];
    all.iter().any(|known| known.as_str() == privilege)
}

/// Notes where the columns come from that the rows of a plan are written to.
pub(crate) fn note_written(context: &StatementContext, planned: &Planned) {
    let mut follow = Follow::default();
    let mut written: Vec<(ObjectRef, Vec<ColumnSources>)> = Vec::new();
    for Access { object, privilege, columns, on_behalf_of } in &planned.accesses {
        let changes = matches!(privilege, Privilege::Insert | Privilege::Update);
        if !changes || on_behalf_of.is_some() {
            continue;
        }
        // The values come after the rows' identity, under the names of the table's columns.
        let place = |name: &String| planned.columns.iter().rposition(|found| found.name == *name);
        let found = columns.iter().filter_map(|name| Some((name, place(name)?)));
        let found = found.map(|(name, index)| follow.column(name, planned, index));
        written.push((object.clone(), found.collect()));
    }
    context.record.lock().written.extend(written);
}

/// The same of a table made AS SELECT.
pub(crate) fn note_created(context: &StatementContext, table: &TableInfo, planned: &Planned) {
    let mut follow = Follow::default();
    let columns = table.columns.iter().enumerate();
    let columns: Vec<ColumnSources> =
        columns.map(|(index, column)| follow.column(&column.name, planned, index)).collect();
    let object = table_object(table);
    let mut record = context.record.lock();
    record.accesses.push(Access {
        object: object.clone(),
        privilege: Privilege::Insert,
        columns: columns.iter().map(|column| column.column.clone()).collect(),
        on_behalf_of: None,
    });
    record.written.push((object, columns));
}

/// Follows the columns of one plan.
struct Follow {
    base: Lineage,
    direct: Lineage,
}

impl Default for Follow {
    fn default() -> Self {
        Follow { base: Lineage::default(), direct: Lineage::direct() }
    }
}

impl Follow {
    fn column(&mut self, name: &str, planned: &Planned, index: usize) -> ColumnSources {
        let known = index < planned.plan.schema().fields().len();
        let follow = |lineage: &mut Lineage| -> Vec<ColumnSource> {
            match known {
                true => lineage.sources(&planned.plan, index).iter().cloned().collect(),
                false => Vec::new(),
            }
        };
        ColumnSources {
            column: name.to_string(),
            sources: follow(&mut self.base),
            direct: follow(&mut self.direct),
        }
    }
}

/// What the history keeps of a statement; none where it touched nothing.
pub(crate) fn access_record(
    query_id: &str,
    started: i64,
    user: &str,
    record: &Record,
) -> Option<AccessRecord> {
    if record.accesses.is_empty() {
        return None;
    }
    let mut objects: Vec<AccessedObject> = Vec::new();
    for access in &record.accesses {
        let direct = access.on_behalf_of.is_none();
        let privilege = access.privilege.as_str();
        let known = objects.iter_mut().find(|known| {
            (known.kind, known.id) == (access.object.kind, access.object.id)
                && known.privilege == privilege
                && known.direct == direct
        });
        let object = match known {
            Some(known) => known,
            None => {
                objects.push(AccessedObject {
                    kind: access.object.kind,
                    id: access.object.id,
                    name: access.object.name.clone(),
                    privilege: privilege.to_string(),
                    columns: Vec::new(),
                    direct,
                    sources: Vec::new(),
                    protects: None,
                });
                let Some(added) = objects.last_mut() else { continue };
                added
            }
        };
        for column in &access.columns {
            if !object.columns.contains(column) {
                object.columns.push(column.clone());
            }
        }
    }
    for (written, columns) in &record.written {
        let place = objects.iter_mut().find(|object| {
            (object.kind, object.id) == (written.kind, written.id) && writes(&object.privilege)
        });
        let Some(object) = place else { continue };
        for ColumnSources { column, sources, direct } in columns {
            match object.sources.iter_mut().find(|known| known.column == *column) {
                Some(known) => {
                    for (all, more) in [(&mut known.sources, sources), (&mut known.direct, direct)]
                    {
                        all.extend(more.iter().cloned());
                        all.sort();
                        all.dedup();
                    }
                }
                None => object.sources.push(ColumnSources {
                    column: column.clone(),
                    sources: sources.clone(),
                    direct: direct.clone(),
                }),
            }
        }
    }
    objects.extend(record.policies.iter().map(|used| AccessedObject {
        kind: used.policy.kind,
        id: used.policy.id,
        name: used.policy.name.clone(),
        privilege: Privilege::Apply.as_str().to_string(),
        columns: Vec::new(),
        direct: false,
        sources: Vec::new(),
        protects: Some(Protected {
            kind: used.on.kind,
            id: used.on.id,
            name: used.on.name.clone(),
            column: used.column.clone(),
        }),
    }));
    Some(AccessRecord {
        query_id: query_id.to_string(),
        query_start_time: started,
        user: user.to_string(),
        objects,
    })
}
