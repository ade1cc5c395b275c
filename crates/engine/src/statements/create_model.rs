//! CREATE MODEL … USING: training on a query's rows.

use std::collections::BTreeMap;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch, sort_to_indices, take};
use arrow::datatypes::SchemaRef;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use frazil_catalog::account::{ModelVersion, ModelVersionBody, Place, VersionSource};
use frazil_common::{
    Access, Code, Column, ObjectKind, ObjectRef, Privilege, QualifiedName, SqlType, UserError,
};
use frazil_dialect::{CreateMode, CreateModel, Evaluation, Training};
use frazil_governance::Requirement;
use frazil_ml::{Model, Rows, Stop, TrainSpec};
use frazil_models::{LoadedModel, NewModel, NewVersion, training_statistics};
use futures::TryStreamExt;
use serde_json::json;

use crate::history::access::note_changed;
use crate::models::{actor, algorithm, ml_error, model_object, options};
use crate::resolve::objects::{database_object, parents_of, schema, schema_object};
use crate::resolve::table_functions::apart_from_session;
use crate::resolve::training_sources::sources_of;
use crate::run::execute::{Operators, run_to_stream, user_error};
use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::{COUNT, Cell, Outcome, schema_of};
use crate::statements::query::{operators, plan};

/// Share of rows held out when EVALUATE does not say.
const SPLIT_DEFAULT: f64 = 0.2;

pub(crate) fn answer_columns() -> [(&'static str, SqlType); 7] {
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

pub(crate) fn answer(name: &QualifiedName, version: &ModelVersion) -> Result<Outcome, UserError> {
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
pub(crate) async fn site(
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
    context.committing.begin().await;
    let registry = &context.shared.registry;
    let (model, version) = registry.create_model(new, trained, &actor(context)).await?;
    note_changed(context, model_object(&name, model.id), Privilege::Write);
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
    context.committing.begin().await;
    let version = context.shared.registry.add_version(model_id, trained, &actor(context)).await?;
    note_changed(context, model_object(name, model_id), Privilege::Write);
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
    let mut options = options(&training.options)?;
    let planned = plan(context, work, &training.query, &context.text).await?;
    let lasting = reads_the_same_later(context, work, training, &planned.accesses).await;
    let by = training.evaluate.as_ref().and_then(|evaluate| evaluate.by.clone());
    let weight = weight_column(&planned.columns, &mut options);
    let set_aside = [Some(target.as_str()), by.as_deref(), weight.as_deref()];
    let features = features(&planned.columns, &set_aside, &training.features)?;
    let seed = match options.get("seed") {
        Some(frazil_ml::OptionValue::Int(seed)) => *seed as u64,
        _ => 0,
    };
    // A statement that is cancelled, or given up by its door, takes its fit with it.
    let ended = context.cancel.child_token();
    let _ends_with_the_statement = ended.clone().drop_guard();
    let spec = TrainSpec {
        algorithm,
        target,
        features,
        options,
        threads: context.runtime.thread_count,
        stop: Stop::when(move || ended.is_cancelled()),
    };
    frazil_ml::model::check_options(&spec).map_err(ml_error)?;
    let operators = operators(context, work, &planned).await?;
    if context.describe_only {
        return Ok(None);
    }
    let started = Instant::now();
    let (batches, reservation) = collect(context, operators, schema_of(&planned.columns)).await?;
    context.record.lock().count_plans();

    let target_type = planned
        .columns
        .iter()
        .find(|column| column.name == spec.target)
        .map(|column| column.sql_type.clone());
    let evaluate = training.evaluate.clone();
    let job = spec.clone();
    let label_type = target_type.clone();
    let Computed { model, metrics, statistics, rows, digest } =
        tokio::task::spawn_blocking(move || {
            // Counted until the fit has ended, also one that nobody waits for any more.
            let _reservation = reservation;
            compute(&job, batches, evaluate.as_ref(), label_type, seed)
        })
        .await
        .map_err(|error| UserError::internal(format!("training failed: {error}")))??;
    context.check_cancelled()?;

    let snapshot = context.record.lock().snapshot.or(Some(work.lake()?.snapshot()));
    let body = ModelVersionBody {
        source: VersionSource::Trained,
        query_text: Some(training.query_text.clone()),
        query_database: context.state.database.clone(),
        query_schema: context.state.schema.clone(),
        query_time: Some(context.facts.now_micros),
        query_parameters: context.parameters.all_set(),
        rows_digest: Some(digest),
        sources: sources_of(&planned),
        snapshot_id: snapshot.filter(|_| lasting),
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
        target_type: target_type.map(|sql_type| sql_type.storage_text()),
        ..ModelVersionBody::default()
    };
    Ok(Some(NewVersion { name: training.version.clone(), comment: None, model, body }))
}

/// Whether the query reads the same tables without the session's variables and temporary tables, of
/// which no snapshot has the rows, and takes nothing from sequences.
async fn reads_the_same_later(
    context: &StatementContext,
    work: &mut Work,
    training: &Training,
    accesses: &[Access],
) -> bool {
    let database = context.state.database.clone().unwrap_or_default();
    let schema = context.state.schema.clone().unwrap_or_default();
    let later = apart_from_session(context, &database, &schema);
    let planned = plan(&later, work, &training.query, &context.text).await;
    let draws = accesses.iter().any(|access| access.object.kind == ObjectKind::Sequence);
    !draws && planned.is_ok_and(|planned| planned.accesses == accesses)
}

/// The training query's rows, and the memory that training on them takes: it is reserved while they
/// come, so that a query with too many of them ends before they are all there.
async fn collect(
    context: &StatementContext,
    operators: Operators,
    schema: SchemaRef,
) -> Result<(Vec<RecordBatch>, MemoryReservation), UserError> {
    let pool = &context.runtime.state().runtime_env().memory_pool;
    let reservation = MemoryConsumer::new("model training").register(pool);
    let mut rows = run_to_stream(&context.runtime, operators, &context.cancel)?;
    let mut batches = Vec::new();
    let mut bytes: usize = 0;
    while let Some(batch) = rows.try_next().await.map_err(user_error)? {
        let more = batch.get_array_memory_size();
        reservation.try_grow(more).map_err(|_| too_large(bytes.saturating_add(more)))?;
        bytes += more;
        let batch = RecordBatch::try_new(schema.clone(), batch.columns().to_vec());
        batches.push(batch.map_err(UserError::internal)?);
    }
    // What the query's operators held is free for the sorted copy and the trainer's own bins.
    drop(rows);
    reservation.try_grow(bytes.saturating_mul(2)).map_err(|_| too_large(bytes))?;
    Ok((batches, reservation))
}

fn too_large(bytes: usize) -> UserError {
    UserError::new(
        Code::ResourceLimit,
        format!(
            "Training needs more memory than the limit allows: the rows of its query take {} MiB or \
             more, and training three times that. Train on a SAMPLE of the rows or on fewer columns, \
             use a larger warehouse, or raise --memory-limit.",
            bytes.div_ceil(1 << 20)
        ),
    )
}

/// The column that `sample_weight` names, spelled as the query has it.
fn weight_column(
    columns: &[Column],
    options: &mut BTreeMap<String, frazil_ml::OptionValue>,
) -> Option<String> {
    let Some(frazil_ml::OptionValue::Text(name)) = options.get_mut("sample_weight") else {
        return None;
    };
    let exact = columns.iter().any(|column| &column.name == name);
    let folded = name.to_uppercase();
    if !exact && columns.iter().any(|column| column.name == folded) {
        *name = folded;
    }
    Some(name.clone())
}

/// Feature names in signature order: those listed, or all but the ones set aside: the target, the
/// BY column and the weights.
fn features(
    columns: &[Column],
    set_aside: &[Option<&str>],
    listed: &[String],
) -> Result<Vec<String>, UserError> {
    let known = |name: &str| columns.iter().any(|column| column.name == name);
    let named = set_aside.iter().flatten().copied();
    for name in named.chain(listed.iter().map(String::as_str)) {
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
        .filter(|name| !set_aside.contains(&Some(name.as_str())))
        .collect();
    if features.is_empty() {
        return Err(UserError::new(
            Code::ModelError,
            "the training query has no column beside the target",
        ));
    }
    Ok(features)
}

/// What a fit gives.
struct Computed {
    model: Box<dyn Model>,
    metrics: serde_json::Value,
    statistics: serde_json::Value,
    /// Rows that it was fitted on.
    rows: usize,
    /// Of all rows of the query.
    digest: String,
}

/// Orders the rows, splits them, fits and measures. Deterministic in the rows as a set.
fn compute(
    spec: &TrainSpec,
    batches: Vec<RecordBatch>,
    evaluate: Option<&Evaluation>,
    label_type: Option<SqlType>,
    seed: u64,
) -> Result<Computed, UserError> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        return Err(UserError::new(Code::ModelError, "the training query gave no rows"));
    }
    // The query's row order depends on threads; the fit must not.
    let ordered = frazil_ml::split::canonical_order(&batches, &spec.stop).map_err(ml_error)?;
    drop(batches);
    let digest = frazil_ml::split::digest(&ordered, &spec.stop).map_err(ml_error)?;
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
        let measured = frazil_ml::parallel::with_threads(spec.threads, || {
            let signature = model.signature();
            frazil_ml::metrics::evaluate(model.as_ref(), signature, &columns, &target, &spec.stop)
        })
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
        label_type,
    )?;
    let statistics = training_statistics(&loaded, std::slice::from_ref(&train_rows), &spec.stop)?;
    let statistics = serde_json::to_value(statistics).map_err(UserError::internal)?;
    let metrics = serde_json::Value::Object(metrics);
    Ok(Computed { model, metrics, statistics, rows: train_rows.num_rows(), digest })
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
