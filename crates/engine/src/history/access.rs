//! What a statement read and wrote, as the access history keeps it.

use frazil_catalog::TableInfo;
use frazil_catalog::account::{
    AccessRecord, AccessedObject, ColumnSource, ColumnSources, Protected,
};
use frazil_common::{Access, ObjectKind, ObjectRef, Privilege};
use frazil_planner::Planned;

use crate::history::definitions::Defined;
use crate::history::lineage::Lineage;
use crate::resolve::objects::table_object;
use crate::stages::location::StageLocation;
use crate::statements::context::{Record, StatementContext};

/// Whether a use of an object changes its rows or files.
pub(crate) fn writes(privilege: &str) -> bool {
    let all = [
        Privilege::Insert,
        Privilege::Update,
        Privilege::Delete,
        Privilege::Truncate,
        Privilege::Write,
    ];
    all.iter().any(|known| known.as_str() == privilege)
}

/// What a statement uses that is in none of its plans.
#[derive(Debug, Default, Clone)]
pub(crate) struct Used {
    accesses: Vec<Access>,
    stages: Vec<StageUse>,
}

/// A use of a stage's files.
#[derive(Debug, Clone)]
struct StageUse {
    id: i64,
    name: String,
    kind: &'static str,
    privilege: Privilege,
    direct: bool,
}

/// Notes that a statement reads (READ) or changes (WRITE) files of a stage.
pub(crate) fn note_stage(
    context: &StatementContext,
    location: &StageLocation,
    privilege: Privilege,
) {
    context.used.lock().stages.push(StageUse {
        id: location.stage_id,
        name: location.history_name.clone(),
        kind: location.kind.as_str(),
        privilege,
        direct: context.on_behalf_of.is_none(),
    });
}

/// Notes what is used beside the statement's plans: `named` where the statement itself names it.
pub(crate) fn note_used(
    context: &StatementContext,
    accesses: impl IntoIterator<Item = Access>,
    named: bool,
) {
    let direct = named && context.on_behalf_of.is_none();
    let role = (!direct).then(|| context.role().to_string());
    let noted = accesses.into_iter().map(|access| Access {
        on_behalf_of: access.on_behalf_of.or_else(|| role.clone()),
        ..access
    });
    context.used.lock().accesses.extend(noted);
}

/// The sources of the rows of a query that are stored under an internal name, for what is written of them.
pub(crate) struct Stored {
    name: String,
    columns: Vec<ColumnSources>,
}

impl Stored {
    pub fn of(name: &str, planned: &Planned) -> Self {
        let mut follow = Follow::default();
        let columns = planned.columns.iter().enumerate();
        Stored {
            name: name.to_string(),
            columns: columns
                .map(|(index, column)| follow.column(&column.name, planned, index))
                .collect(),
        }
    }
}

/// Notes that the statement changes an object as a whole, without any column of it.
pub(crate) fn note_changed(context: &StatementContext, object: ObjectRef, privilege: Privilege) {
    context.record.lock().accesses.push(Access {
        object,
        privilege,
        columns: Vec::new(),
        on_behalf_of: None,
    });
}

/// Notes where the columns come from that the rows of a plan are written to.
pub(crate) fn note_written(context: &StatementContext, planned: &Planned) {
    written_of(context, planned, Follow::default());
}

/// The same of a plan over rows that were stored.
pub(crate) fn note_written_of(context: &StatementContext, planned: &Planned, stored: &Stored) {
    let columns = |of: fn(&ColumnSources) -> &Vec<ColumnSource>| {
        stored.columns.iter().map(|column| of(column).clone()).collect()
    };
    let base = Lineage::default().knowing(&stored.name, columns(|column| &column.sources));
    let direct = Lineage::direct().knowing(&stored.name, columns(|column| &column.direct));
    written_of(context, planned, Follow { base, direct });
}

fn written_of(context: &StatementContext, planned: &Planned, mut follow: Follow) {
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

/// The same of the clone of a table, whose columns have the values of the source's.
pub(crate) fn note_cloned(context: &StatementContext, from: &TableInfo, to: &TableInfo) {
    let names = |table: &TableInfo| -> Vec<String> {
        table.columns.iter().map(|column| column.name.clone()).collect()
    };
    let used = |table: &TableInfo, privilege: Privilege| Access {
        object: table_object(table),
        privilege,
        columns: names(table),
        on_behalf_of: None,
    };
    let object = from.name.to_string();
    let columns = names(to).into_iter().map(|column| {
        let source = vec![ColumnSource { object: object.clone(), column: column.clone() }];
        ColumnSources { column, sources: source.clone(), direct: source }
    });
    let mut record = context.record.lock();
    record.accesses.extend([used(from, Privilege::Select), used(to, Privilege::Insert)]);
    record.written.push((table_object(to), columns.collect()));
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
    let used = &record.used;
    let nothing = record.accesses.is_empty() && used.accesses.is_empty() && used.stages.is_empty();
    if nothing && record.defined.is_none() {
        return None;
    }
    let mut objects: Vec<AccessedObject> = Vec::new();
    for access in record.accesses.iter().chain(&used.accesses) {
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
                objects.push(AccessedObject { direct, ..accessed(&access.object, privilege) });
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
    for stage in &used.stages {
        let object = ObjectRef { kind: ObjectKind::Stage, id: stage.id, name: stage.name.clone() };
        let object = AccessedObject {
            direct: stage.direct,
            stage_kind: Some(stage.kind.to_string()),
            ..accessed(&object, stage.privilege.as_str())
        };
        if !objects.contains(&object) {
            objects.push(object);
        }
    }
    objects.extend(record.policies.iter().map(|used| AccessedObject {
        protects: Some(Protected {
            kind: used.on.kind,
            id: used.on.id,
            name: used.on.name.clone(),
            column: used.column.clone(),
        }),
        ..accessed(&used.policy, Privilege::Apply.as_str())
    }));
    objects.extend(record.defined.iter().map(|Defined { object, operation }| AccessedObject {
        defined_by: Some((*operation).to_string()),
        ..accessed(object, Privilege::Ownership.as_str())
    }));
    Some(AccessRecord {
        query_id: query_id.to_string(),
        query_start_time: started,
        user: user.to_string(),
        objects,
    })
}

/// A use of an object, of which no more is known yet.
fn accessed(object: &ObjectRef, privilege: &str) -> AccessedObject {
    AccessedObject {
        kind: object.kind,
        id: object.id,
        name: object.name.clone(),
        privilege: privilege.to_string(),
        columns: Vec::new(),
        direct: false,
        sources: Vec::new(),
        protects: None,
        stage_kind: None,
        defined_by: None,
    }
}
