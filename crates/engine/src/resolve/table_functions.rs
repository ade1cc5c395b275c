//! Table functions that need the catalog, a stage or a model.

use frazil_common::{Access, Code, Column, Privilege, SqlType, TimeZoneKind, UserError};
use frazil_models::{Baseline, DriftReport, drift};
use frazil_planner::{FunctionValue, Relation};

use crate::history::access::{note_stage, note_used};
use crate::models::{find_model, load, ml_error, model_object, stop_of};
use crate::resolve::results::batch_relation;
use crate::resolve::training_sources::authorize_statistics;
use crate::run::execute::{Operators, run_to_batches};
use crate::session::binds::ARRAY_BINDS;
use crate::session::parameters::Parameters;
use crate::stages::location::{missing_file, resolve_stage, select_files};
use crate::stages::{file_format, infer};
use crate::statements::context::{Pinned, StatementContext, Work};
use crate::statements::outcome::{COUNT, Cell, batch_of, schema_of};
use crate::statements::query::{operators, plan};

type Arguments = [(Option<String>, FunctionValue)];

pub(super) async fn call(
    context: &StatementContext,
    work: &mut Work,
    name: &str,
    arguments: &Arguments,
    depth: usize,
) -> Result<Relation, UserError> {
    let _ = depth;
    match name.rsplit('.').next().unwrap_or(name) {
        ARRAY_BINDS => match &context.array_binds {
            Some(rows) => batch_relation("array binds", rows.columns.clone(), rows.batch.clone()),
            None => Err(unknown(name)),
        },
        "INFER_SCHEMA" => infer_schema(context, arguments).await,
        "DIRECTORY" => directory(context, arguments).await,
        "MODEL_DRIFT" => model_drift(context, work, arguments).await,
        _ => match crate::information_schema::function(context, name, arguments).await? {
            Some(relation) => Ok(relation),
            None => Err(unknown(name)),
        },
    }
}

fn unknown(name: &str) -> UserError {
    UserError::new(Code::UnknownTableFunction, format!("Unknown table function {name}"))
}

fn argument<'a>(
    arguments: &'a Arguments,
    name: &str,
    position: usize,
) -> Option<&'a FunctionValue> {
    arguments
        .iter()
        .find(|(given, _)| given.as_deref().is_some_and(|given| given.eq_ignore_ascii_case(name)))
        .or_else(|| arguments.get(position).filter(|(given, _)| given.is_none()))
        .map(|(_, value)| value)
}

fn text(value: &FunctionValue) -> Option<String> {
    match value {
        FunctionValue::Text(text) => Some(text.clone()),
        FunctionValue::Identifier(name) => Some(name.to_string()),
        _ => None,
    }
}

fn required_text(arguments: &Arguments, name: &str, position: usize) -> Result<String, UserError> {
    argument(arguments, name, position).and_then(text).ok_or_else(|| {
        UserError::new(Code::InvalidArgument, format!("argument {name} (a text) is missing"))
    })
}

/// INFER_SCHEMA(LOCATION => '@stage/path', FILE_FORMAT => 'name' [, FILES, IGNORE_CASE]).
async fn infer_schema(
    context: &StatementContext,
    arguments: &Arguments,
) -> Result<Relation, UserError> {
    let location = required_text(arguments, "LOCATION", 0)?;
    let location = resolve_stage(context, &location, Privilege::Read).await?;
    note_stage(context, &location, Privilege::Read);
    let mut own = std::collections::BTreeMap::new();
    if let Some(format) = argument(arguments, "FILE_FORMAT", 1).and_then(text) {
        own.insert("FORMAT_NAME".to_string(), serde_json::Value::from(format));
    }
    let names = match argument(arguments, "FILES", 2) {
        Some(FunctionValue::List(values)) => {
            Some(values.iter().filter_map(text).collect::<Vec<_>>())
        }
        Some(value) => text(value).map(|name| vec![name]),
        None => None,
    };
    let fold = matches!(argument(arguments, "IGNORE_CASE", 3), Some(FunctionValue::Boolean(true)));
    let format = file_format::effective(context, &location.file_format, &own).await?;
    let (files, missing) = select_files(context, &location, names.as_deref(), None).await?;
    if let Some(path) = missing.first() {
        return Err(missing_file(&location, path));
    }
    let columns = [
        ("COLUMN_NAME", SqlType::TEXT),
        ("TYPE", SqlType::TEXT),
        ("NULLABLE", SqlType::Boolean),
        ("EXPRESSION", SqlType::TEXT),
        ("FILENAMES", SqlType::TEXT),
        ("ORDER_ID", COUNT),
    ];
    let columns: Vec<Column> =
        columns.iter().map(|(name, ty)| Column::new(*name, ty.clone(), true)).collect();
    let found = infer::columns(context, &location, &files, &format).await?;
    let rows: Vec<Vec<Cell>> = found
        .into_iter()
        .enumerate()
        .map(|(index, column)| {
            let name = if fold { column.name.to_uppercase() } else { column.name };
            vec![
                Cell::from(name),
                Cell::from(column.sql_type),
                Cell::from(column.nullable),
                Cell::from(column.expression),
                Cell::from(column.files.join(", ")),
                Cell::from(index as i64),
            ]
        })
        .collect();
    let batch = batch_of(&columns, &rows)?;
    batch_relation("infer_schema", columns, batch)
}

/// DIRECTORY(@stage): the stage's files, as they are now.
async fn directory(
    context: &StatementContext,
    arguments: &Arguments,
) -> Result<Relation, UserError> {
    let location = required_text(arguments, "STAGE", 0)?;
    let location = resolve_stage(context, &location, Privilege::Read).await?;
    note_stage(context, &location, Privilege::Read);
    if !location.directory {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!(
                "Stage '{}' has no directory table. Create it with DIRECTORY = (ENABLE = TRUE).",
                location.full_name
            ),
        ));
    }
    let instant = SqlType::Timestamp { zone: TimeZoneKind::Ltz, scale: 3, nanos: false };
    let columns = [
        ("RELATIVE_PATH", SqlType::TEXT),
        ("SIZE", COUNT),
        ("LAST_MODIFIED", instant),
        ("MD5", SqlType::TEXT),
        ("ETAG", SqlType::TEXT),
        ("FILE_URL", SqlType::TEXT),
    ];
    let columns: Vec<Column> =
        columns.iter().map(|(name, ty)| Column::new(*name, ty.clone(), true)).collect();
    let (files, _) = select_files(context, &location, None, None).await?;
    let rows: Vec<Vec<Cell>> = files
        .into_iter()
        .map(|file| {
            vec![
                Cell::from(file.path),
                Cell::from(i64::try_from(file.size).unwrap_or(i64::MAX)),
                Cell::Instant(file.modified_micros),
                // The store keeps a tag, not a digest; files have no URL of their own here.
                Cell::Null,
                Cell::from(file.digest),
                Cell::Null,
            ]
        })
        .collect();
    let batch = batch_of(&columns, &rows)?;
    batch_relation("directory", columns, batch)
}

/// MODEL_DRIFT(MODEL => 'name', DATA => (SELECT …) [, VERSION => 'v']).
async fn model_drift(
    context: &StatementContext,
    work: &mut Work,
    arguments: &Arguments,
) -> Result<Relation, UserError> {
    let name = required_text(arguments, "MODEL", 0)?;
    let name = frazil_dialect::parse_object_name_text(&name)?;
    let found = find_model(context, &name, Privilege::Usage).await?;
    let used = Access {
        object: model_object(&found.name, found.model.id),
        privilege: Privilege::Usage,
        columns: Vec::new(),
        on_behalf_of: None,
    };
    note_used(context, [used], true);
    let version = argument(arguments, "VERSION", 2).and_then(text);
    let (version, loaded) = load(context, &found.model, version.as_deref()).await?;
    let Some(FunctionValue::Query(query)) = argument(arguments, "DATA", 1) else {
        return Err(UserError::new(
            Code::InvalidArgument,
            "argument DATA (a query in parentheses) is missing",
        ));
    };
    let planned = plan(context, work, query, &context.text).await?;
    note_used(context, planned.accesses.iter().cloned(), true);
    let current_columns = planned.columns.clone();
    let current = operators(context, work, &planned).await?;
    let columns = DriftReport::columns();
    if context.describe_only {
        return batch_relation("model_drift", columns.clone(), batch_of(&columns, &[])?);
    }
    let current = named_batches(context, &current_columns, current).await?;
    let statistics: Vec<frazil_ml::statistics::FeatureStatistics> =
        serde_json::from_value(version.body.training_statistics.clone())
            .map_err(UserError::internal)?;
    let baseline = training_rows(context, work, &version.body).await;
    if baseline.is_none() && !statistics.is_empty() {
        authorize_statistics(context, work, &found, &version.body).await?;
    }
    let stop = stop_of(context);
    let report = tokio::task::spawn_blocking(move || {
        let baseline = match &baseline {
            Some(rows) => Baseline::Rows(rows),
            None => Baseline::Statistics(&statistics),
        };
        drift(&loaded, baseline, &current, &stop)
    })
    .await
    .map_err(UserError::internal)?
    .map_err(UserError::from)?;
    batch_relation("model_drift", columns, report.to_batch()?)
}

async fn named_batches(
    context: &StatementContext,
    columns: &[Column],
    operators: Operators,
) -> Result<Vec<arrow::array::RecordBatch>, UserError> {
    let schema = schema_of(columns);
    run_to_batches(&context.runtime, operators, &context.cancel)
        .await?
        .into_iter()
        .map(|batch| {
            arrow::array::RecordBatch::try_new(schema.clone(), batch.columns().to_vec())
                .map_err(UserError::internal)
        })
        .collect()
}

/// The statement without what a query that is run again later has no more: the variables and temporary
/// tables of its session. Others may have their names.
pub(crate) fn apart_from_session(
    context: &StatementContext,
    database: &str,
    schema: &str,
) -> StatementContext {
    let mut inner = context.for_view(database, schema);
    inner.state.variables.clear();
    inner.on_behalf_of.get_or_insert_with(|| context.roles.clone());
    inner
}

async fn digest(
    context: &StatementContext,
    rows: Vec<arrow::array::RecordBatch>,
) -> Result<String, UserError> {
    let stop = stop_of(context);
    tokio::task::spawn_blocking(move || frazil_ml::split::digest(&rows, &stop))
        .await
        .map_err(UserError::internal)?
        .map_err(ml_error)
}

/// The training query's rows at the pinned snapshot and at the time of training; None where they cannot be
/// read any more, or are others, as those of RANDOM() are.
async fn training_rows(
    context: &StatementContext,
    work: &mut Work,
    body: &frazil_catalog::account::ModelVersionBody,
) -> Option<Vec<arrow::array::RecordBatch>> {
    let text = body.query_text.as_ref()?;
    let snapshot = body.snapshot_id?;
    let database = body.query_database.clone().unwrap_or_default();
    let schema = body.query_schema.clone().unwrap_or_default();
    let mut inner = apart_from_session(context, &database, &schema);
    inner.pinned = Some(Pinned { snapshot, travel: None });
    if let Some(time) = body.query_time {
        let mut parameters = Parameters::default();
        for (name, value) in &body.query_parameters {
            parameters.set_json(name, value).ok()?;
        }
        inner = inner.at(time, parameters);
    }
    let query = frazil_dialect::parse_query(text).ok()?;
    let rows = async {
        let planned = plan(&inner, work, &query, text).await?;
        let columns = planned.columns.clone();
        let operators = operators(&inner, work, &planned).await?;
        note_used(context, planned.accesses, false);
        let rows = named_batches(context, &columns, operators).await?;
        let same = match body.rows_digest.clone() {
            // Versions of before have none.
            None => true,
            Some(trained) => digest(context, rows.clone()).await? == trained,
        };
        Ok::<_, UserError>(Some(rows).filter(|_| same))
    };
    match rows.await {
        Ok(rows) => rows,
        Err(error) => {
            // The answer's BASELINE column tells that the stored statistics were used instead.
            tracing::info!("training rows of a model cannot be read: {}", error.message);
            None
        }
    }
}
