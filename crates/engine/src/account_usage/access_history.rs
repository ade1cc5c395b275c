//! ACCESS_HISTORY: the objects and columns that each query read and wrote.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use frazil_catalog::account::{AccessRecord, AccessedObject, ColumnSource, ColumnSources};
use frazil_common::{ObjectKind, Privilege, SqlType, UserError};
use serde_json::{Value, json};

use super::{INSTANT, Source, TEXT, Table};
use crate::history::access::writes;
use crate::history::pages;
use crate::statements::outcome::Cell;

const COLUMNS: [(&str, SqlType); 10] = [
    ("QUERY_ID", TEXT),
    ("QUERY_START_TIME", INSTANT),
    ("USER_NAME", TEXT),
    ("DIRECT_OBJECTS_ACCESSED", SqlType::Array),
    ("BASE_OBJECTS_ACCESSED", SqlType::Array),
    ("OBJECTS_MODIFIED", SqlType::Array),
    ("OBJECT_MODIFIED_BY_DDL", SqlType::Object),
    ("POLICIES_REFERENCED", SqlType::Array),
    ("PARENT_QUERY_ID", TEXT),
    ("ROOT_QUERY_ID", TEXT),
];

pub(super) async fn access_history(source: &Source<'_>) -> Result<Table, UserError> {
    let mut table = Table::new(source.context, "ACCESS_HISTORY", &COLUMNS);
    pages::each_access(source.context, |record| {
        table.push(row(&record)).map(|()| ControlFlow::Continue(()))
    })
    .await?;
    Ok(table)
}

fn row(record: &AccessRecord) -> Vec<Cell> {
    let read = |object: &&AccessedObject| {
        !writes(&object.privilege) && object.protects.is_none() && object.defined_by.is_none()
    };
    let direct = record.objects.iter().filter(read).filter(|object| object.direct);
    // What is below views, and tables that were named themselves.
    let base = record
        .objects
        .iter()
        .filter(read)
        .filter(|object| object.kind != ObjectKind::View)
        .map(read_object);
    vec![
        Cell::from(record.query_id.as_str()),
        Cell::Instant(record.query_start_time),
        Cell::from(record.user.as_str()),
        Cell::Json(direct.map(read_object).collect()),
        Cell::Json(merged(base)),
        Cell::Json(modified(record)),
        defined(record).map_or(Cell::Null, Cell::Json),
        Cell::Json(policies(record)),
        Cell::Null,
        Cell::Null,
    ]
}

/// The kind as the history tells it: `Table`, `Stage`, `File format`.
fn domain(kind: ObjectKind) -> String {
    let lower = kind.as_str().to_lowercase();
    let mut letters = lower.chars();
    letters
        .next()
        .map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
}

fn named(kind: ObjectKind, id: i64, name: &str) -> Value {
    let mut object = json!({ "objectDomain": domain(kind), "objectName": name });
    // A table that the statement made had no lasting id yet.
    if id >= 0 {
        object["objectId"] = json!(id);
    }
    object
}

fn columns(names: &[String]) -> Value {
    names.iter().map(|name| json!({ "columnName": name })).collect()
}

fn read_object(object: &AccessedObject) -> Value {
    let mut value = used(object);
    if matches!(object.kind, ObjectKind::Table | ObjectKind::View) {
        value["columns"] = columns(&object.columns);
    }
    value
}

/// An object without its columns.
fn used(object: &AccessedObject) -> Value {
    let mut value = named(object.kind, object.id, &object.name);
    if let Some(kind) = &object.stage_kind {
        value["stageKind"] = json!(kind);
    }
    value
}

/// What the statement defined, altered or dropped.
fn defined(record: &AccessRecord) -> Option<Value> {
    record.objects.iter().find_map(|object| {
        let mut value = named(object.kind, object.id, &object.name);
        value["operationType"] = json!(object.defined_by.as_ref()?);
        value["properties"] = json!({});
        Some(value)
    })
}

/// One entry for each object, with the columns of all.
fn merged(objects: impl Iterator<Item = Value>) -> Value {
    let mut all: Vec<Value> = Vec::new();
    for object in objects {
        let key = |value: &Value| (value["objectDomain"].clone(), value["objectName"].clone());
        match all.iter_mut().find(|known| key(known) == key(&object)) {
            Some(known) => {
                if let (Some(columns), Some(more)) =
                    (known["columns"].as_array().cloned(), object["columns"].as_array())
                {
                    let new = more.iter().filter(|column| !columns.contains(column)).cloned();
                    known["columns"] = columns.iter().cloned().chain(new).collect();
                }
            }
            None => all.push(object),
        }
    }
    Value::Array(all)
}

fn source(record: &AccessRecord, source: &ColumnSource) -> Value {
    let known = record.objects.iter().find(|object| object.name == source.object);
    let (kind, id) = known.map_or((ObjectKind::Table, -1), |object| (object.kind, object.id));
    let mut value = named(kind, id, &source.object);
    value["columnName"] = json!(source.column);
    value
}

fn modified(record: &AccessRecord) -> Value {
    let mut all: Vec<Written<'_>> = Vec::new();
    for object in record.objects.iter().filter(|object| writes(&object.privilege)) {
        let same =
            |known: &Written<'_>| (known.object.kind, known.object.id) == (object.kind, object.id);
        let place = all.iter().position(same).unwrap_or_else(|| {
            all.push(Written { object, columns: BTreeMap::new() });
            all.len() - 1
        });
        let columns = &mut all[place].columns;
        for column in &object.columns {
            columns.entry(column).or_default();
        }
        for written in &object.sources {
            columns.entry(&written.column).or_default().push(written);
        }
    }
    all.into_iter()
        .map(|Written { object, columns }| {
            let mut value = used(object);
            if matches!(object.kind, ObjectKind::Stage | ObjectKind::Model) {
                return value;
            }
            value["columns"] = columns
                .into_iter()
                .map(|(column, written)| {
                    let values = |of: fn(&ColumnSources) -> &Vec<ColumnSource>| -> Value {
                        let all = written.iter().copied().flat_map(of);
                        all.map(|from| source(record, from)).collect()
                    };
                    let base = values(|written| &written.sources);
                    let direct = values(|written| &written.direct);
                    json!({ "columnName": column, "directSources": direct, "baseSources": base })
                })
                .collect();
            value
        })
        .collect()
}

/// An object that was changed, and where the values of its columns come from.
struct Written<'a> {
    object: &'a AccessedObject,
    columns: BTreeMap<&'a str, Vec<&'a ColumnSources>>,
}

/// The policies of a query by what they are on.
fn policies(record: &AccessRecord) -> Value {
    let mut all: Vec<Value> = Vec::new();
    let used = record.objects.iter().filter(|object| object.privilege == Privilege::Apply.as_str());
    for (policy, on) in used.filter_map(|object| Some((object, object.protects.as_ref()?))) {
        let told = json!({
            "policyName": policy.name,
            "policyId": policy.id,
            "policyKind": policy.kind.as_str().replace(' ', "_"),
        });
        let object = named(on.kind, on.id, &on.name);
        let place = all.iter().position(|known| known["objectName"] == object["objectName"]);
        let place = place.unwrap_or_else(|| {
            all.push(object);
            all.len() - 1
        });
        let (list, told) = match &on.column {
            Some(column) => ("columns", json!({ "columnName": column, "policies": [told] })),
            None => ("policies", told),
        };
        match all[place][list].as_array_mut() {
            Some(known) => known.push(told),
            None => all[place][list] = json!([told]),
        }
    }
    Value::Array(all)
}
