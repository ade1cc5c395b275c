//! Models as statements see them: names, privileges, scoring methods, option values.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use frazil_catalog::account::{Model, ModelVersion, Object};
use frazil_common::{
    Code, ObjectKind, ObjectName, ObjectRef, Principal, Privilege, QualifiedName, UserError,
};
use frazil_dialect::{OptionValue, Options};
use frazil_governance::Requirement;
use frazil_ml::{Algorithm, Stop};
use frazil_models::LoadedModel;
use frazil_planner::{ModelFeature, ModelMethod, ResolvedModel};

use crate::resolve::objects::parents_of;
use crate::statements::context::{StatementContext, cancelled};

/// A model found by name, after its privilege check.
pub(crate) struct FoundModel {
    pub name: QualifiedName,
    pub model: Object<Model>,
}

impl FoundModel {
    pub fn object(&self) -> ObjectRef {
        model_object(&self.name, self.model.id)
    }
}

pub(crate) fn model_object(name: &QualifiedName, id: i64) -> ObjectRef {
    ObjectRef { kind: ObjectKind::Model, id, name: name.to_string() }
}

/// Finds a model and checks one privilege on it.
///
/// # Errors
/// 002003 for a model that is absent or hidden.
pub(crate) async fn find_model(
    context: &StatementContext,
    name: &ObjectName,
    privilege: Privilege,
) -> Result<FoundModel, UserError> {
    let name = context.qualify(name)?;
    let absent = || UserError::not_found("Model", &name);
    let view = context.shared.catalog.head_view().await?;
    let schema = view.schema(&name.database, &name.schema).ok_or_else(absent)?;
    let model =
        context.shared.registry.model(schema.schema_id, &name.name).await?.ok_or_else(absent)?;
    let object = model_object(&name, model.id);
    context.authorize(&[Requirement::new(object, parents_of(&view, &name), privilege)])?;
    Ok(FoundModel { name, model })
}

/// A model version ready to score in a query. Its USAGE is checked with the plan's accesses.
pub(crate) async fn resolve_model(
    context: &StatementContext,
    name: &ObjectName,
    version: Option<&str>,
) -> Result<ResolvedModel, UserError> {
    let found = find_model(context, name, Privilege::Usage).await?;
    let (version, loaded) = load(context, &found.model, version).await?;
    let features = loaded
        .features()
        .into_iter()
        .map(|feature| ModelFeature { name: feature.name, sql_type: feature.sql_type })
        .collect();
    let methods: HashMap<String, ModelMethod> = loaded
        .methods(&stop_of(context))
        .into_iter()
        .map(|method| {
            (
                method.method.as_str().to_string(),
                ModelMethod {
                    udf: method.udf,
                    returns: method.returns,
                    extra_arguments: method.arguments,
                    takes_features: method.takes_features,
                },
            )
        })
        .collect();
    Ok(ResolvedModel { object: found.object(), version: version.name, features, methods })
}

/// A version by name, alias or default, with its model in memory.
pub(crate) async fn load(
    context: &StatementContext,
    model: &Object<Model>,
    version: Option<&str>,
) -> Result<(ModelVersion, Arc<LoadedModel>), UserError> {
    let version = context.shared.registry.version(model, version).await?;
    let loaded = context.shared.registry.load(&version).await?;
    Ok((version, loaded))
}

/// Ends what is computed for a statement once the statement is cancelled.
pub(crate) fn stop_of(context: &StatementContext) -> Stop {
    let cancel = context.cancel.clone();
    Stop::when(move || cancel.is_cancelled())
}

pub(crate) fn actor(context: &StatementContext) -> Principal {
    Principal { user: context.session.user.clone(), role: context.role().to_string() }
}

/// The estimator a word names.
///
/// # Errors
/// An unknown word; the known ones are listed.
pub(crate) fn algorithm(word: &str) -> Result<Algorithm, UserError> {
    match word {
        "GBT" => Ok(Algorithm::Gbt),
        "RANDOM_FOREST" => Ok(Algorithm::RandomForest),
        "LINEAR" => Ok(Algorithm::Linear),
        "LOGISTIC" => Ok(Algorithm::Logistic),
        "SVD" => Ok(Algorithm::Svd),
        other => Err(UserError::unsupported(format!(
            "estimator {other}; the estimators are GBT, RANDOM_FOREST, LINEAR, LOGISTIC \
             and SVD"
        ))),
    }
}

/// `OPTIONS (name => value)` as the trainers read them.
///
/// # Errors
/// A value that is neither number, text, boolean nor a list of such.
pub(crate) fn options(
    options: &Options,
) -> Result<BTreeMap<String, frazil_ml::OptionValue>, UserError> {
    options
        .iter()
        .map(|(name, value)| Ok((name.to_lowercase(), option_value(name, value)?)))
        .collect()
}

fn option_value(name: &str, value: &OptionValue) -> Result<frazil_ml::OptionValue, UserError> {
    if let Some(flag) = value.as_boolean() {
        return Ok(frazil_ml::OptionValue::Bool(flag));
    }
    if let Some(number) = value.as_integer() {
        return Ok(frazil_ml::OptionValue::Int(number));
    }
    if let Some(text) = value.as_text() {
        return Ok(match text.parse::<f64>() {
            Ok(number) => frazil_ml::OptionValue::Float(number),
            Err(_) => frazil_ml::OptionValue::Text(text.to_string()),
        });
    }
    let list = value.as_list();
    if list.is_empty() {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!("option {name} has a value that cannot be read"),
        ));
    }
    list.into_iter()
        .map(|value| option_value(name, value))
        .collect::<Result<Vec<_>, _>>()
        .map(frazil_ml::OptionValue::List)
}

/// An error of training or scoring in the user's words.
pub(crate) fn ml_error(error: frazil_ml::MlError) -> UserError {
    match error {
        frazil_ml::MlError::Unsupported(what) => UserError::unsupported(what),
        frazil_ml::MlError::Stopped => cancelled(),
        other => UserError::new(Code::ModelError, other.to_string()),
    }
}
