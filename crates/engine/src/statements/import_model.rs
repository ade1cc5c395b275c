//! CREATE MODEL … FROM @stage/file: models made elsewhere.

use std::time::Instant;

use frazil_catalog::account::{ModelVersionBody, VersionSource};
use frazil_common::{Code, Privilege, SqlType, UserError};
use frazil_dialect::{ImportModel, OptionValue};
use frazil_ml::{FeatureKind, Signature};
use frazil_models::{NewModel, NewVersion};
use futures::TryStreamExt;
use serde_json::json;

use crate::api::StageBytes;
use crate::history::access::{note_changed, note_stage};
use crate::models::{actor, ml_error, model_object};
use crate::stages::location::resolve_stage;
use crate::statements::context::{StatementContext, Work};
use crate::statements::create_model::{answer, answer_columns, site};
use crate::statements::outcome::Outcome;

/// Largest model file imported, in bytes.
const MODEL_FILE_BYTES_MAX: usize = 1 << 30;

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    import: &ImportModel,
) -> Result<Outcome, UserError> {
    let Some((name, place)) = site(context, work, &import.name, import.mode).await? else {
        return Outcome::status(format!(
            "{} already exists, statement succeeded.",
            import.name.name
        ));
    };
    let version = imported(context, import).await?;
    if context.describe_only {
        return Outcome::table(&answer_columns(), Vec::new());
    }
    let new = NewModel {
        name: name.name.clone(),
        place,
        comment: import.comment.clone(),
        replace: import.mode.or_replace,
    };
    context.committing.begin().await;
    let registry = &context.shared.registry;
    let (model, version) = registry.create_model(new, version, &actor(context)).await?;
    note_changed(context, model_object(&name, model.id), Privilege::Write);
    answer(&name, &version)
}

/// Reads a model file from a stage.
pub(crate) async fn imported(
    context: &StatementContext,
    import: &ImportModel,
) -> Result<NewVersion, UserError> {
    let format = import.format.as_deref().unwrap_or_default().to_uppercase();
    if !["XGBOOST", "LIGHTGBM"].contains(&format.as_str()) {
        return Err(match format.as_str() {
            "" => UserError::syntax("CREATE MODEL … FROM needs FORMAT = XGBOOST or LIGHTGBM"),
            other => UserError::unsupported(format!("CREATE MODEL … FORMAT = {other}")),
        });
    }
    if let Some((option, _)) = import.options.iter().next() {
        return Err(UserError::unsupported(format!("CREATE MODEL … FROM … {option}")));
    }
    if import.target.is_some() {
        return Err(UserError::unsupported("CREATE MODEL … FROM … TARGET"));
    }
    let location = resolve_stage(context, &import.location, Privilege::Read).await?;
    note_stage(context, &location, Privilege::Read);
    let started = Instant::now();
    let file =
        context.shared.stages.head(location.stage_id, &location.path).await?.ok_or_else(|| {
            UserError::new(
                Code::StageFileNotFound,
                format!("File '{}' does not exist in stage '{}'.", location.path, location.shown()),
            )
        })?;
    if file.size as usize > MODEL_FILE_BYTES_MAX {
        return Err(UserError::new(
            Code::ResourceLimit,
            format!(
                "The model file has {} bytes, at most {MODEL_FILE_BYTES_MAX} are read.",
                file.size
            ),
        ));
    }
    let bytes: Vec<u8> = context
        .shared
        .stages
        .get(location.stage_id, &location.path)
        .await?
        .try_fold(Vec::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        })
        .await
        .map_err(UserError::internal)?;
    let bytes = if location.path.ends_with(".gz") { gunzip(&bytes)? } else { bytes };
    let names: Vec<String> = import.features.iter().map(|feature| feature.name.clone()).collect();
    let (classes, label_type) = classes(&import.classes)?;
    let model = tokio::task::spawn_blocking(move || {
        let names = (!names.is_empty()).then_some(names.as_slice());
        let classes = (!classes.is_empty()).then_some(classes.as_slice());
        if format == "LIGHTGBM" {
            return frazil_ml::model::load_lightgbm(&bytes, names, classes);
        }
        frazil_ml::model::load_xgboost(&bytes, names, &Default::default(), classes)
    })
    .await
    .map_err(UserError::internal)?
    .map_err(ml_error)?;
    check_types(import, model.signature())?;
    let classifies = !model.signature().classes.is_empty();
    let body = ModelVersionBody {
        source: VersionSource::Imported,
        query_id: Some(context.query_id().to_string()),
        options: json!({"file": import.location}),
        evaluation: json!({}),
        metrics: json!({}),
        training_statistics: json!([]),
        seconds: started.elapsed().as_secs_f64(),
        target_type: classifies.then(|| label_type.storage_text()),
        ..ModelVersionBody::default()
    };
    Ok(NewVersion { name: import.version.clone(), comment: None, model, body })
}

/// CLASSES as labels, and the type PREDICT then answers: BOOLEAN or NUMBER where all of them are
/// such, else VARCHAR. XGBoost itself knows classes by number.
fn classes(given: &[OptionValue]) -> Result<(Vec<String>, SqlType), UserError> {
    let labels = given
        .iter()
        .map(|class| match class {
            OptionValue::Boolean(value) => Ok(value.to_string()),
            other => other.as_text().map(str::to_string).ok_or_else(|| {
                UserError::new(Code::InvalidArgument, format!("{other} in CLASSES is no label"))
            }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let all = |test: fn(&OptionValue) -> bool| given.iter().all(test);
    let label_type =
        if all(|class| matches!(class, OptionValue::Number(text) if text.parse::<i64>().is_ok())) {
            SqlType::INTEGER
        } else if all(|class| matches!(class, OptionValue::Boolean(_))) {
            SqlType::Boolean
        } else {
            SqlType::TEXT
        };
    Ok((labels, label_type))
}

/// Types of FEATURES must be what the file's own features take.
fn check_types(import: &ImportModel, signature: &Signature) -> Result<(), UserError> {
    for (given, feature) in import.features.iter().zip(&signature.features) {
        let Some(data_type) = &given.data_type else { continue };
        let sql_type = frazil_planner::sql_type(data_type)?;
        let text = matches!(sql_type, SqlType::Varchar { .. });
        let wanted = match feature.kind {
            FeatureKind::Numeric if text => "a number: the file keeps no categories of it",
            FeatureKind::Categorical { .. } if !text => "text: the file keeps categories of it",
            _ => continue,
        };
        return Err(UserError::new(
            Code::ModelError,
            format!("Feature {} is declared {sql_type}, but takes {wanted}.", given.name),
        ));
    }
    Ok(())
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, UserError> {
    use std::io::Read;
    let mut result = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .take(MODEL_FILE_BYTES_MAX as u64)
        .read_to_end(&mut result)
        .map_err(|error| {
            UserError::new(Code::ModelError, format!("the file is no gzip: {error}"))
        })?;
    Ok(result)
}
