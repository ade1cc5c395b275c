//! CREATE MODEL: training on a query's rows, and import of a model file.

use std::time::Instant;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch, sort_to_indices, take};
use datafusion::execution::memory_pool::MemoryConsumer;
use frazil_catalog::account::{ModelVersion, ModelVersionBody, Place, VersionSource};
use frazil_common::{
    Code, Column, ObjectKind, ObjectRef, Privilege, QualifiedName, SqlType, UserError,
};
use frazil_dialect::{CreateMode, CreateModel, Evaluation, ImportModel, Training};
use frazil_governance::Requirement;
use frazil_ml::{Model, Rows, TrainSpec};
use frazil_models::{LoadedModel, NewModel, NewVersion, training_statistics};
use futures::TryStreamExt;
use serde_json::json;

use crate::api::StageBytes;
use crate::models::{actor, algorithm, ml_error, options};
use crate::resolve::objects::{database_object, parents_of, schema, schema_object};
use crate::run::execute::run_to_batches;
use crate::stages::location::resolve_stage;
use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::{COUNT, Cell, Outcome, schema_of};
use crate::statements::query::{operators, plan};

/// Share of rows held out when EVALUATE does not say.
const SPLIT_DEFAULT: f64 = 0.2;
/// Largest model file imported, in bytes.
const MODEL_FILE_BYTES_MAX: usize = 1 << 30;

fn answer_columns() -> [(&'static str, SqlType); 7] {
    [
        ("model", SqlType::TEXT),
        ("version", SqlType::TEXT),
        ("algorithm", SqlType::TEXT),
        ("metrics", SqlType::TEXT),
        ("rows", COUNT),
        ("seconds", SqlType::TEXT),
        ("snapshot", COUNT),
    ]
}

fn answer(name: &QualifiedName, version: &ModelVersion) -> Result<Outcome, UserError> {
    let body = &version.body;
    let row = vec![
        Cell::from(name.to_string()),
        Cell::from(version.name.as_str()),
        Cell::from(body.algorithm.as_str()),
        Cell::from(body.metrics.to_string()),
        Cell::from(body.rows as i64),
        Cell::from(format!("{:.2}", body.seconds)),
        Cell::from(body.snapshot_id),
    ];
    Outcome::table(&answer_columns(), vec![row])
}

/// Where a model goes, after all checks; None when IF NOT EXISTS keeps the old one.
async fn site(
    context: &StatementContext,
    work: &mut Work,
    name: &frazil_common::ObjectName,
    mode: CreateMode,
) -> Result<Option<(QualifiedName, Place)>, UserError> {
    let name = context.qualify(name)?;
    let view = work.lake()?.view().clone();
    let schema = schema(&view, &name.database, &name.schema)?;
    let database: Vec<ObjectRef> = database_object(&view, &name.database).into_iter().collect();
    let place = Place::in_schema(
        database.first().map(|object| object.id).unwrap_or_default(),
        schema.schema_id,
    );
    context.authorize(&[Requirement::new(
        schema_object(&schema),
        database,
        Privilege::CreateModel,
    )])?;
    if let Some(existing) = context.shared.registry.model(schema.schema_id, &name.name).await? {
        if mode.if_not_exists {
            return Ok(None);
        }
        if !mode.or_replace {
            return Err(UserError::exists(frazil_common::quote_identifier(&name.name)));
        }
        context.authorize(&[Requirement::new(
            ObjectRef { kind: ObjectKind::Model, id: existing.id, name: name.to_string() },
            parents_of(&view, &name),
            Privilege::Ownership,
        )])?;
    }
    Ok(Some((name, place)))
}

pub(crate) async fn train(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateModel,
) -> Result<Outcome, UserError> {
    let Some((name, place)) = site(context, work, &create.name, create.mode).await? else {
        return Outcome::status(format!(
            "{} already exists, statement succeeded.",
            create.name.name
        ));
    };
    let Some(trained) = fit(context, work, &create.training).await? else {
        return Outcome::table(&answer_columns(), Vec::new());
    };
    let new = NewModel {
        name: name.name.clone(),
        place,
        comment: create.comment.clone(),
        replace: create.mode.or_replace,
    };
    let (_, version) = context.shared.registry.create_model(new, trained, &actor(context)).await?;
    answer(&name, &version)
}

/// ALTER MODEL … ADD VERSION … USING …: the same on a model that exists.
pub(crate) async fn add_version(
    context: &StatementContext,
    work: &mut Work,
    name: &QualifiedName,
    model_id: i64,
    training: &Training,
) -> Result<Outcome, UserError> {
    let Some(trained) = fit(context, work, training).await? else {
        return Outcome::table(&answer_columns(), Vec::new());
    };
    let version = context.shared.registry.add_version(model_id, trained, &actor(context)).await?;
    answer(name, &version)
}

/// Runs the training query and fits the model; None when only described.
async fn fit(
    context: &StatementContext,
    work: &mut Work,
    training: &Training,
) -> Result<Option<NewVersion>, UserError> {
    let algorithm = algorithm(&training.estimator)
        .map_err(|error| error.at(Some(training.estimator_position)))?;
    let target = training.target.clone().ok_or_else(|| {
        UserError::syntax("CREATE MODEL needs TARGET column before AS")
            .at(Some(training.estimator_position))
    })?;
    let options = options(&training.options)?;
    let planned = plan(context, work, &training.query, &context.text).await?;
    let by = training.evaluate.as_ref().and_then(|evaluate| evaluate.by.clone());
    let features = features(&planned.columns, &target, by.as_deref(), &training.features)?;
    let operators = operators(context, work, &planned).await?;
    if context.describe_only {
        return Ok(None);
    }
    let started = Instant::now();
    let batches = run_to_batches(&context.shared.runtime, operators, &context.cancel).await?;
    let schema = schema_of(&planned.columns);
    let batches = batches
        .into_iter()
        .map(|batch| RecordBatch::try_new(schema.clone(), batch.columns().to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(UserError::internal)?;
    let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
    let pool = &context.shared.runtime.state().runtime_env().memory_pool;
    let reservation = MemoryConsumer::new("model training").register(pool);
    // Input, its sorted copy, and the trainer's own bins.
    reservation.try_grow(bytes.saturating_mul(3)).map_err(crate::run::execute::user_error)?;

    let seed = match options.get("seed") {
        Some(frazil_ml::OptionValue::Int(seed)) => *seed as u64,
        _ => 0,
    };
    let spec = TrainSpec {
        algorithm,
        target,
        features,
        options,
        threads: context.shared.runtime.thread_count,
    };
    let evaluate = training.evaluate.clone();
    let job = spec.clone();
    let (model, metrics, statistics, rows) =
        tokio::task::spawn_blocking(move || compute(&job, batches, evaluate.as_ref(), seed))
            .await
            .map_err(|error| UserError::internal(format!("training failed: {error}")))??;
    context.check_cancelled()?;
    drop(reservation);

    let target_type = planned
        .columns
        .iter()
        .find(|column| column.name == spec.target)
        .map(|column| column.sql_type.storage_text());
    let snapshot = context.record.lock().snapshot.or(Some(work.lake()?.snapshot()));
    let body = ModelVersionBody {
        source: VersionSource::Trained,
        query_text: Some(training.query_text.clone()),
        query_database: context.state.database.clone(),
        query_schema: context.state.schema.clone(),
        snapshot_id: snapshot,
        query_id: Some(context.query_id().to_string()),
        options: serde_json::to_value(&spec.options).map_err(UserError::internal)?,
        evaluation: json!({
            "split": training.evaluate.as_ref().map_or(SPLIT_DEFAULT, |e| e.split),
            "by": by,
            "seed": seed,
        }),
        metrics,
        training_statistics: statistics,
        rows: rows as u64,
        seconds: started.elapsed().as_secs_f64(),
        target_type,
        ..ModelVersionBody::default()
    };
    Ok(Some(NewVersion { name: training.version.clone(), comment: None, model, body }))
}

/// Feature names in signature order: those listed, or all but the target and the BY column.
fn features(
    columns: &[Column],
    target: &str,
    by: Option<&str>,
    listed: &[String],
) -> Result<Vec<String>, UserError> {
    let known = |name: &str| columns.iter().any(|column| column.name == name);
    for name in std::iter::once(target).chain(by).chain(listed.iter().map(String::as_str)) {
        if !known(name) {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            return Err(UserError::new(
                Code::InvalidIdentifier,
                format!(
                    "invalid identifier '{name}': the training query has the columns {}",
                    names.join(", ")
                ),
            ));
        }
    }
    if !listed.is_empty() {
        return Ok(listed.to_vec());
    }
    let features: Vec<String> = columns
        .iter()
        .map(|column| column.name.clone())
        .filter(|name| name != target && Some(name.as_str()) != by)
        .collect();
    if features.is_empty() {
        return Err(UserError::new(
            Code::ModelError,
            "the training query has no column beside the target",
        ));
    }
    Ok(features)
}

type Computed = (Box<dyn Model>, serde_json::Value, serde_json::Value, usize);

/// Orders the rows, splits them, fits and measures. Deterministic in the rows as a set.
fn compute(
    spec: &TrainSpec,
    batches: Vec<RecordBatch>,
    evaluate: Option<&Evaluation>,
    seed: u64,
) -> Result<Computed, UserError> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        return Err(UserError::new(Code::ModelError, "the training query gave no rows"));
    }
    // The query's row order depends on threads; the fit must not.
    let ordered = frazil_ml::split::canonical_order(&batches).map_err(ml_error)?;
    drop(batches);
    let schema = ordered[0].schema();
    let all = concat_batches(&schema, &ordered).map_err(UserError::internal)?;
    drop(ordered);
    let fraction = evaluate.map_or(SPLIT_DEFAULT, |evaluate| evaluate.split);
    let held_out = match evaluate.and_then(|evaluate| evaluate.by.as_deref()) {
        Some(by) => last_rows(&all, by, fraction)?,
        None => frazil_ml::split::holdout_mask(rows, seed, fraction),
    };
    let keep: BooleanArray = held_out.iter().map(|held| Some(!held)).collect();
    let hold: BooleanArray = held_out.iter().map(|held| Some(*held)).collect();
    let train_rows = filter_record_batch(&all, &keep).map_err(UserError::internal)?;
    let test_rows = filter_record_batch(&all, &hold).map_err(UserError::internal)?;
    drop(all);
    let model = frazil_ml::model::train(spec, Rows { batches: std::slice::from_ref(&train_rows) })
        .map_err(ml_error)?;
    let columns = columns_of(
        &test_rows,
        &model.signature().features.iter().map(|f| f.name.clone()).collect::<Vec<_>>(),
    )?;
    let mut metrics = serde_json::Map::new();
    if test_rows.num_rows() > 0 {
        let target = column_of(&test_rows, &spec.target)?;
        let measured =
            frazil_ml::metrics::evaluate(model.as_ref(), model.signature(), &columns, &target)
                .map_err(ml_error)?;
        for (name, value) in measured {
            metrics.insert(name, json!(value));
        }
    }
    metrics.insert("rows_evaluated".to_string(), json!(test_rows.num_rows()));
    let bytes = model.to_bytes().map_err(ml_error)?;
    let loaded = LoadedModel::new(
        "training",
        frazil_ml::model::load(spec.algorithm, &bytes).map_err(ml_error)?,
    );
    let statistics = training_statistics(&loaded, std::slice::from_ref(&train_rows))?;
    let statistics = serde_json::to_value(statistics).map_err(UserError::internal)?;
    Ok((model, serde_json::Value::Object(metrics), statistics, train_rows.num_rows()))
}

fn column_of(batch: &RecordBatch, name: &str) -> Result<ArrayRef, UserError> {
    batch
        .column_by_name(name)
        .cloned()
        .ok_or_else(|| UserError::internal(format!("column {name} is missing")))
}

fn columns_of(batch: &RecordBatch, names: &[String]) -> Result<Vec<ArrayRef>, UserError> {
    names.iter().map(|name| column_of(batch, name)).collect()
}

/// Holds out the rows with the largest values of a column.
fn last_rows(batch: &RecordBatch, by: &str, fraction: f64) -> Result<Vec<bool>, UserError> {
    let column = column_of(batch, by)?;
    if column.null_count() > 0 {
        return Err(UserError::new(
            Code::ModelError,
            format!("EVALUATE (SPLIT … BY {by}): the column has {} NULLs", column.null_count()),
        ));
    }
    let order = sort_to_indices(&column, None, None).map_err(|error| {
        UserError::new(Code::ModelError, format!("EVALUATE cannot order by {by}: {error}"))
    })?;
    let rows = batch.num_rows();
    let train = rows - ((rows as f64) * fraction).round() as usize;
    // Equal values stay on one side: the boundary's value decides.
    let mut mask = vec![false; rows];
    if train < rows {
        let sorted = take(&column, &order, None).map_err(UserError::internal)?;
        let boundary = sorted.slice(train, 1);
        let at_least =
            arrow::compute::kernels::cmp::gt_eq(&column, &arrow::array::Scalar::new(boundary))
                .map_err(UserError::internal)?;
        for (row, held) in mask.iter_mut().enumerate() {
            *held = at_least.value(row);
        }
    }
    Ok(mask)
}

pub(crate) async fn import(
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
    let (_, version) = context.shared.registry.create_model(new, version, &actor(context)).await?;
    answer(&name, &version)
}

/// Reads a model file from a stage.
pub(crate) async fn imported(
    context: &StatementContext,
    import: &ImportModel,
) -> Result<NewVersion, UserError> {
    let format = import.format.as_deref().unwrap_or_default().to_uppercase();
    if format != "XGBOOST" {
        return Err(match format.as_str() {
            "" => UserError::syntax("CREATE MODEL … FROM needs FORMAT = XGBOOST"),
            other => UserError::unsupported(format!("CREATE MODEL … FORMAT = {other}")),
        });
    }
    if let Some((option, _)) = import.options.iter().next() {
        return Err(UserError::unsupported(format!("CREATE MODEL … FROM … {option}")));
    }
    let location = resolve_stage(context, &import.location, Privilege::Read).await?;
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
    let classes: Vec<String> =
        import.classes.iter().filter_map(|class| class.as_text().map(str::to_string)).collect();
    let model = tokio::task::spawn_blocking(move || {
        frazil_ml::model::load_xgboost(
            &bytes,
            (!names.is_empty()).then_some(names.as_slice()),
            &Default::default(),
            (!classes.is_empty()).then_some(classes.as_slice()),
        )
    })
    .await
    .map_err(UserError::internal)?
    .map_err(ml_error)?;
    let body = ModelVersionBody {
        source: VersionSource::Imported,
        query_id: Some(context.query_id().to_string()),
        options: json!({"file": import.location}),
        evaluation: json!({}),
        metrics: json!({}),
        training_statistics: json!([]),
        seconds: started.elapsed().as_secs_f64(),
        ..ModelVersionBody::default()
    };
    Ok(NewVersion { name: import.version.clone(), comment: None, model, body })
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
