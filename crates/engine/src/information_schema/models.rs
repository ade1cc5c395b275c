//! MODELS and MODEL_VERSIONS.

use frazil_catalog::account::Model;
use frazil_common::UserError;
use serde_json::Value;

use super::schema_objects::objects;
use super::{INSTANT, NUMBER, Rows, Scope, TEXT, count, yes_no};
use crate::statements::lookup::Target;
use crate::statements::outcome::Cell;
use crate::statements::show::metadata;

pub(super) async fn models(scope: &Scope<'_>) -> Result<Rows, UserError> {
    let mut rows = Rows::new(
        "MODELS",
        &[
            ("MODEL_CATALOG", TEXT),
            ("MODEL_SCHEMA", TEXT),
            ("MODEL_NAME", TEXT),
            ("MODEL_OWNER", TEXT),
            ("DEFAULT_VERSION_NAME", TEXT),
            ("VERSION_COUNT", NUMBER),
            ("COMMENT", TEXT),
            ("CREATED", INSTANT),
            ("LAST_ALTERED", INSTANT),
        ],
    );
    for (schema, model) in objects::<Model>(scope, Target::Model).await? {
        let versions = scope.context.shared.registry.versions(model.id).await?;
        rows.push(vec![
            Cell::from(schema.database.as_str()),
            Cell::from(schema.name.as_str()),
            Cell::from(model.name.as_str()),
            Cell::from(model.owner),
            Cell::from(model.body.default_version),
            count(versions.len() as u64),
            Cell::from(model.comment),
            Cell::Instant(model.created_on),
            Cell::Instant(model.altered_on),
        ]);
    }
    Ok(rows)
}

pub(super) async fn versions(scope: &Scope<'_>) -> Result<Rows, UserError> {
    let mut rows = Rows::new(
        "MODEL_VERSIONS",
        &[
            ("CATALOG_NAME", TEXT),
            ("SCHEMA_NAME", TEXT),
            ("MODEL_NAME", TEXT),
            ("MODEL_VERSION_NAME", TEXT),
            ("MODEL_VERSION_ALIASES", TEXT),
            ("COMMENT", TEXT),
            ("OWNER", TEXT),
            ("IS_DEFAULT_VERSION", TEXT),
            ("ALGORITHM", TEXT),
            ("FEATURES", TEXT),
            ("SNAPSHOT_ID", NUMBER),
            ("ROW_COUNT", NUMBER),
            ("BYTES", NUMBER),
            ("METRICS", TEXT),
            ("METADATA", TEXT),
            ("CREATED", INSTANT),
        ],
    );
    for (schema, model) in objects::<Model>(scope, Target::Model).await? {
        for version in scope.context.shared.registry.versions(model.id).await? {
            rows.push(vec![
                Cell::from(schema.database.as_str()),
                Cell::from(schema.name.as_str()),
                Cell::from(model.name.as_str()),
                Cell::from(version.name.as_str()),
                Cell::from(Value::from_iter(version.aliases.iter().cloned()).to_string()),
                Cell::from(version.comment.clone()),
                Cell::from(model.owner.clone()),
                yes_no(version.name == model.body.default_version),
                Cell::from(version.body.algorithm.as_str()),
                Cell::from(Value::from_iter(version.body.features.iter().cloned()).to_string()),
                Cell::from(version.body.snapshot_id),
                count(version.body.rows),
                count(version.body.file_bytes),
                Cell::from(version.body.metrics.to_string()),
                Cell::from(metadata(&version).to_string()),
                Cell::Instant(version.created_on),
            ]);
        }
    }
    Ok(rows)
}
