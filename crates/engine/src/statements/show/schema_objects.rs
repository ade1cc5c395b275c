//! SHOW STAGES, FILE FORMATS and SEQUENCES.

use frazil_catalog::SchemaInfo;
use frazil_catalog::account::{FileFormat, Object, ObjectBody, ObjectFilter, Sequence, Stage};
use frazil_common::{SqlType, UserError};
use serde_json::{Map, Value};

use super::{INSTANT, Lister, Listing, TEXT, TerseKind};
use crate::statements::lookup::{Found, Target, of_schema_object};
use crate::statements::outcome::{COUNT, Cell};

/// The visible objects of a kind in the area of a SHOW, by schema and name.
pub(super) async fn objects<B: ObjectBody + Clone>(
    lister: &Lister<'_>,
    target: fn(Object<B>) -> Target,
) -> Result<Vec<(std::sync::Arc<SchemaInfo>, Object<B>, Found)>, UserError> {
    let area = lister.area().await?;
    let mut all = Vec::new();
    for schema in lister.schemas(&area) {
        let filter = ObjectFilter {
            schema_id: Some(schema.schema_id),
            session_id: Some(lister.context.session.id),
            ..ObjectFilter::default()
        };
        for object in lister.context.shared.accounts.objects::<B>(filter).await? {
            let found = of_schema_object(&lister.view, &schema, object.clone(), target);
            if found.is_visible(lister.context) || found.is_governed(lister.context) {
                all.push((schema.clone(), object, found));
            }
        }
    }
    Ok(all)
}

fn owner<B>(object: &Object<B>) -> Cell {
    Cell::from(object.owner.clone().unwrap_or_default())
}

fn comment<B>(object: &Object<B>) -> Cell {
    Cell::from(object.comment.clone().unwrap_or_default())
}

pub(super) async fn stages(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("url", TEXT),
        ("has_credentials", TEXT),
        ("has_encryption_key", TEXT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("region", TEXT),
        ("type", TEXT),
        ("cloud", TEXT),
        ("notification_channel", TEXT),
        ("storage_integration", TEXT),
        ("endpoint", TEXT),
        ("owner_role_type", TEXT),
        ("directory_enabled", TEXT),
    ];
    let mut listing = Listing::new(columns, "name").terse(TerseKind::Null);
    for (schema, stage, _) in objects::<Stage>(lister, Target::Stage).await? {
        let kind = if stage.place.session_id == 0 { "INTERNAL" } else { "INTERNAL TEMPORARY" };
        listing.rows.push(vec![
            Cell::Instant(stage.created_on),
            Cell::from(stage.name.as_str()),
            Cell::from(schema.database.as_str()),
            Cell::from(schema.name.as_str()),
            Cell::from(""),
            Cell::from("N"),
            Cell::from("N"),
            owner(&stage),
            comment(&stage),
            Cell::Null,
            Cell::from(kind),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::from("ROLE"),
            Cell::from(if stage.body.directory { "Y" } else { "N" }),
        ]);
    }
    Ok(listing)
}

/// A format's options with its type, as JSON text.
pub(crate) fn format_options(format: &FileFormat) -> String {
    let mut all = Map::new();
    all.insert("TYPE".to_string(), Value::from(format.format_type.as_str()));
    all.extend(format.options.iter().map(|(key, value)| (key.clone(), value.clone())));
    Value::Object(all).to_string()
}

pub(super) async fn file_formats(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("type", TEXT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("format_options", TEXT),
        ("owner_role_type", TEXT),
    ];
    let mut listing = Listing::new(columns, "name").terse(TerseKind::Null);
    for (schema, format, _) in objects::<FileFormat>(lister, Target::FileFormat).await? {
        listing.rows.push(vec![
            Cell::Instant(format.created_on),
            Cell::from(format.name.as_str()),
            Cell::from(schema.database.as_str()),
            Cell::from(schema.name.as_str()),
            Cell::from(format.body.format_type.as_str()),
            owner(&format),
            comment(&format),
            Cell::from(format_options(&format.body)),
            Cell::from("ROLE"),
        ]);
    }
    Ok(listing)
}

/// Columns of SHOW and DESCRIBE SEQUENCE.
pub(crate) fn sequence_columns() -> Vec<(&'static str, SqlType)> {
    vec![
        ("name", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("next_value", COUNT),
        ("interval", COUNT),
        ("created_on", INSTANT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("owner_role_type", TEXT),
        ("ordered", TEXT),
    ]
}

/// A sequence's row of SHOW and DESCRIBE.
pub(crate) fn sequence_row(
    database: &str,
    schema: &str,
    sequence: &Object<Sequence>,
    next_value: i64,
) -> Vec<Cell> {
    vec![
        Cell::from(sequence.name.as_str()),
        Cell::from(database),
        Cell::from(schema),
        Cell::Number(next_value),
        Cell::Number(sequence.body.increment),
        Cell::Instant(sequence.created_on),
        owner(sequence),
        comment(sequence),
        Cell::from("ROLE"),
        Cell::from(if sequence.body.ordered { "Y" } else { "N" }),
    ]
}

pub(super) async fn sequences(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let mut listing = Listing::new(sequence_columns(), "name").terse(TerseKind::Null);
    for (schema, sequence, _) in objects::<Sequence>(lister, Target::Sequence).await? {
        let next = lister.context.shared.accounts.peek_sequence(sequence.id).await?;
        listing.rows.push(sequence_row(&schema.database, &schema.name, &sequence, next));
    }
    Ok(listing)
}
