//! SHOW MODELS, VERSIONS IN MODEL, FUNCTIONS IN MODEL and ENDPOINTS.

use std::collections::BTreeMap;

use frazil_catalog::SchemaInfo;
use frazil_catalog::account::{Endpoint, Model, ModelVersion, Object, ObjectFilter};
use frazil_common::{ObjectKind, ObjectRef, Privilege, UserError, quote_identifier};
use frazil_dialect::{ObjectWord, ShowScope};
use frazil_models::{Method, find_version};
use serde_json::{Value, json};

use super::schema_objects::objects;
use super::{INSTANT, Lister, Listing, TEXT, TerseKind};
use crate::statements::lookup::{Target, expect};
use crate::statements::outcome::{COUNT, Cell};

fn json_list(names: impl IntoIterator<Item = String>) -> String {
    Value::from_iter(names).to_string()
}

pub(super) async fn models(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("model_type", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("comment", TEXT),
        ("owner", TEXT),
        ("default_version_name", TEXT),
        ("versions", TEXT),
        ("aliases", TEXT),
        ("owner_role_type", TEXT),
    ];
    let mut listing = Listing::new(columns, "name").terse(TerseKind::Null);
    for (schema, model, _) in objects::<Model>(lister, Target::Model).await? {
        let versions = lister.context.shared.registry.versions(model.id).await?;
        let mut aliases: BTreeMap<String, String> = system_aliases(&model, &versions)
            .into_iter()
            .map(|(alias, version)| (alias.to_string(), version))
            .collect();
        for version in &versions {
            for alias in &version.aliases {
                aliases.insert(alias.clone(), version.name.clone());
            }
        }
        listing.rows.push(vec![
            Cell::Instant(model.created_on),
            Cell::from(model.name.as_str()),
            Cell::from("USER_MODEL"),
            Cell::from(schema.database.as_str()),
            Cell::from(schema.name.as_str()),
            Cell::from(model.comment.clone()),
            Cell::from(model.owner.clone().unwrap_or_default()),
            Cell::from(model.body.default_version.as_str()),
            Cell::from(json_list(versions.iter().map(|version| version.name.clone()))),
            Cell::from(json!(aliases).to_string()),
            Cell::from("ROLE"),
        ]);
    }
    Ok(listing)
}

/// DEFAULT, FIRST and LAST, and the versions they mean.
fn system_aliases(model: &Object<Model>, versions: &[ModelVersion]) -> Vec<(&'static str, String)> {
    ["DEFAULT", "FIRST", "LAST"]
        .into_iter()
        .filter_map(|alias| {
            let version = find_version(model, versions, Some(alias)).ok()?;
            Some((alias, version.name.clone()))
        })
        .collect()
}

async fn model_in_scope(
    lister: &Lister<'_>,
) -> Result<(std::sync::Arc<SchemaInfo>, Object<Model>), UserError> {
    let Some(ShowScope::Object(ObjectWord::Model, Some(name))) = &lister.show.scope else {
        return Err(UserError::syntax("SHOW VERSIONS and SHOW FUNCTIONS take IN MODEL <name>."));
    };
    let found = expect(lister.context, &lister.view, ObjectWord::Model, name).await?;
    found.require(lister.context, &[Privilege::Usage, Privilege::Read])?;
    let full = lister.context.qualify(name)?;
    let schema = lister.view.schema(&full.database, &full.schema).cloned();
    match (found.target, schema) {
        (Target::Model(model), Some(schema)) => Ok((schema, model)),
        _ => Err(UserError::internal("a model without a schema")),
    }
}

/// What the version's task is called where clients ask for it.
fn task(version: &ModelVersion) -> Value {
    version.body.signature.get("task").cloned().unwrap_or(Value::Null)
}

/// The record of a version: how it was made and what was measured.
pub(crate) fn metadata(version: &ModelVersion) -> Value {
    let body = &version.body;
    json!({
        "algorithm": body.algorithm,
        "metrics": body.metrics,
        "feature_importance": body.importance,
        "options": body.options,
        "evaluation": body.evaluation,
        "rows": body.rows,
        "seconds": body.seconds,
        "snapshot_id": body.snapshot_id,
        "query_id": body.query_id,
        "query_text": body.query_text,
        "target_type": body.target_type,
        "file_sha256": version.file_sha256,
        "file_bytes": body.file_bytes,
        "created_by": body.created_by,
    })
}

pub(super) async fn versions(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("aliases", TEXT),
        ("comment", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("model_name", TEXT),
        ("is_default_version", TEXT),
        ("functions", TEXT),
        ("metadata", TEXT),
        ("user_data", TEXT),
        ("model_attributes", TEXT),
        ("size", COUNT),
        ("runnable_in", TEXT),
        ("inference_services", TEXT),
    ];
    let mut listing = Listing::new(columns, "name");
    let (schema, model) = model_in_scope(lister).await?;
    let registry = &lister.context.shared.registry;
    let versions = registry.versions(model.id).await?;
    let system = system_aliases(&model, &versions);
    for version in &versions {
        let of_system = system.iter().filter(|(_, named)| *named == version.name);
        let aliases =
            version.aliases.iter().cloned().chain(of_system.map(|(alias, _)| alias.to_string()));
        let loaded = registry.load(version).await?;
        let functions = Method::ALL.into_iter().filter(|method| loaded.returns(*method).is_some());
        let attributes = json!({ "framework": version.body.algorithm, "task": task(version) });
        listing.rows.push(vec![
            Cell::Instant(version.created_on),
            Cell::from(version.name.as_str()),
            Cell::from(json_list(aliases)),
            Cell::from(version.comment.clone()),
            Cell::from(schema.database.as_str()),
            Cell::from(schema.name.as_str()),
            Cell::from(model.name.as_str()),
            Cell::from((version.name == model.body.default_version).to_string()),
            Cell::from(json_list(functions.map(|method| method.as_str().to_string()))),
            Cell::from(metadata(version).to_string()),
            Cell::from("{}"),
            Cell::from(attributes.to_string()),
            Cell::Number(i64::try_from(version.body.file_bytes).unwrap_or(i64::MAX)),
            Cell::from("[\"WAREHOUSE\"]"),
            Cell::from("[]"),
        ]);
    }
    Ok(listing)
}

pub(super) async fn functions(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("name", TEXT),
        ("min_num_arguments", COUNT),
        ("max_num_arguments", COUNT),
        ("arguments", TEXT),
        ("return_type", TEXT),
        ("description", TEXT),
        ("language", TEXT),
        ("is_partitioned", TEXT),
    ];
    let mut listing = Listing::new(columns, "name");
    let (_, model) = model_in_scope(lister).await?;
    let registry = &lister.context.shared.registry;
    let version = registry.version(&model, lister.show.version.as_deref()).await?;
    let loaded = registry.load(&version).await?;
    for method in Method::ALL {
        let Some(returns) = loaded.returns(method) else { continue };
        let arguments = loaded.arguments(method);
        let types: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let count = i64::try_from(arguments.len()).unwrap_or(i64::MAX);
        listing.rows.push(vec![
            Cell::from(method.as_str()),
            Cell::Number(count),
            Cell::Number(count),
            Cell::from(format!("({}) RETURN {returns}", types.join(", "))),
            Cell::from(returns.to_string()),
            Cell::Null,
            Cell::Null,
            Cell::from("N"),
        ]);
    }
    Ok(listing)
}

pub(super) async fn endpoints(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("state", TEXT),
        ("database_name", TEXT),
        ("schema_name", TEXT),
        ("model_name", TEXT),
        ("version_name", TEXT),
        ("follows_default", TEXT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("updated_on", INSTANT),
        ("owner_role_type", TEXT),
    ];
    let mut listing = Listing::new(columns, "name");
    let accounts = &lister.context.shared.accounts;
    for endpoint in accounts.objects::<Endpoint>(ObjectFilter::default()).await? {
        let object = ObjectRef {
            kind: ObjectKind::Endpoint,
            id: endpoint.id,
            name: quote_identifier(&endpoint.name),
        };
        if !lister.context.sees(&object, &[]) {
            continue;
        }
        let model = accounts.object_by_id::<Model>(endpoint.body.model_id).await?;
        let schema = model.as_ref().and_then(|model| {
            lister.view.schemas().find(|schema| schema.schema_id == model.place.schema_id)
        });
        let version = endpoint
            .body
            .version
            .clone()
            .or_else(|| model.as_ref().map(|model| model.body.default_version.clone()));
        listing.rows.push(vec![
            Cell::Instant(endpoint.created_on),
            Cell::from(endpoint.name.as_str()),
            Cell::from(if endpoint.body.suspended { "SUSPENDED" } else { "READY" }),
            Cell::from(schema.map(|schema| schema.database.clone())),
            Cell::from(schema.map(|schema| schema.name.clone())),
            Cell::from(model.map(|model| model.name)),
            Cell::from(version),
            Cell::from(if endpoint.body.version.is_none() { "Y" } else { "N" }),
            Cell::from(endpoint.owner.clone().unwrap_or_default()),
            Cell::from(endpoint.comment.clone().unwrap_or_default()),
            Cell::Instant(endpoint.altered_on),
            Cell::from("ROLE"),
        ]);
    }
    Ok(listing)
}
