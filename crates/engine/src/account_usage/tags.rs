//! TAGS and TAG_REFERENCES: the account's tags, and the objects and columns they were set on.

use frazil_catalog::account::{Object, ObjectFilter, Tag};
use frazil_common::{ObjectKind, SqlType, UserError};
use serde_json::Value;

use super::names::Names;
use super::{INSTANT, NUMBER, Source, TEXT, Table};
use crate::statements::outcome::Cell;

pub(super) async fn tags(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("TAG_ID", NUMBER),
        ("TAG_NAME", TEXT),
        ("TAG_SCHEMA_ID", NUMBER),
        ("TAG_SCHEMA", TEXT),
        ("TAG_DATABASE_ID", NUMBER),
        ("TAG_DATABASE", TEXT),
        ("TAG_OWNER", TEXT),
        ("TAG_COMMENT", TEXT),
        ("CREATED", INSTANT),
        ("LAST_ALTERED", INSTANT),
        ("DELETED", INSTANT),
        ("ALLOWED_VALUES", SqlType::Variant),
        ("OWNER_ROLE_TYPE", TEXT),
    ];
    let mut table = Table::new(source.context, "TAGS", &columns);
    let accounts = &source.context.shared.accounts;
    for tag in accounts.objects::<Tag>(ObjectFilter::default()).await? {
        table.push(row(source, tag, None))?;
    }
    for gone in accounts.dropped_tags().await? {
        table.push(row(source, gone.tag, Some(gone.dropped_on)))?;
    }
    Ok(table)
}

fn row(source: &Source<'_>, tag: Object<Tag>, deleted: Option<i64>) -> Vec<Cell> {
    let schema = source.view.schemas().find(|schema| schema.schema_id == tag.place.schema_id);
    let allowed = tag.body.allowed_values;
    vec![
        Cell::Number(tag.id),
        Cell::from(tag.name),
        Cell::Number(tag.place.schema_id),
        Cell::from(schema.map(|schema| schema.name.clone())),
        Cell::Number(tag.place.database_id),
        Cell::from(schema.map(|schema| schema.database.clone())),
        Cell::from(tag.owner.clone().filter(|_| deleted.is_none())),
        Cell::from(tag.comment),
        Cell::Instant(tag.created_on),
        Cell::Instant(tag.altered_on),
        deleted.map_or(Cell::Null, Cell::Instant),
        match allowed.is_empty() {
            true => Cell::Null,
            false => Cell::Json(allowed.into_iter().map(Value::from).collect()),
        },
        Cell::from(tag.owner.filter(|_| deleted.is_none()).map(|_| "ROLE")),
    ]
}

/// Only what tags were set on: what inherits them has no rows.
pub(super) async fn tag_references(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("TAG_DATABASE", TEXT),
        ("TAG_SCHEMA", TEXT),
        ("TAG_ID", NUMBER),
        ("TAG_NAME", TEXT),
        ("TAG_VALUE", TEXT),
        ("OBJECT_DATABASE", TEXT),
        ("OBJECT_SCHEMA", TEXT),
        ("OBJECT_ID", NUMBER),
        ("OBJECT_NAME", TEXT),
        ("OBJECT_DELETED", INSTANT),
        ("DOMAIN", TEXT),
        ("COLUMN_ID", NUMBER),
        ("COLUMN_NAME", TEXT),
        ("APPLY_METHOD", TEXT),
    ];
    let mut table = Table::new(source.context, "TAG_REFERENCES", &columns);
    let names = Names::load(source).await?;
    let account = source.context.shared.accounts.view().await?;
    let mut references: Vec<_> = account.tags.values().flatten().collect();
    references.sort_by_key(|reference| (reference.tag, reference.on, reference.column));
    for reference in references {
        let tag = names.get((ObjectKind::Tag, reference.tag));
        // Dropped tags and objects keep their values for UNDROP; meanwhile there are none.
        let (Some(tag), Some(on)) = (tag, names.get(reference.on)) else { continue };
        let column = on.column(reference.column);
        if reference.column != 0 && column.is_none() {
            continue;
        }
        let [tag_database, tag_schema, tag_name] = tag.cells();
        let [database, schema, name] = on.cells();
        table.push(vec![
            tag_database,
            tag_schema,
            Cell::Number(reference.tag),
            tag_name,
            Cell::from(reference.value.as_str()),
            database,
            schema,
            Cell::Number(reference.on.1),
            name,
            Cell::Null,
            Cell::from(match reference.on.0 {
                _ if column.is_some() => "COLUMN",
                ObjectKind::View => "TABLE",
                kind => kind.as_str(),
            }),
            Cell::from(column.map(|_| reference.column)),
            Cell::from(column),
            Cell::from("MANUAL"),
        ])?;
    }
    Ok(table)
}
