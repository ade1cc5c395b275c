//! Runs a governed plan on the query threads, into a spool or a stream.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use frazil_common::{Code, UserError};
use frazil_functions::StatementStop;
use frazil_governance::Governed;
use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use crate::run::apart::Turns;
use crate::run::optimize::{is_constant, optimize};
use crate::run::runtime::QueryRuntime;
use crate::run::slight;
use crate::run::spill::SPILL_FULL;
use crate::run::spool::{Spool, SpoolWriter};
use crate::run::watched::watched;
use crate::statements::context::cancelled;

/// Batches between the computation and its reader.
const STREAM_DEPTH: usize = 2;

/// How the refusal of an expression begins that rules were to replace: subqueries and outer columns alone
/// are such.
const UNPLANNED_QUERY: &str = "Physical plan does not support logical expression";
/// How the refusal of a query begins whose rows, and with them its columns, were found to be none.
const COLUMNLESS_QUERY: &str = "single expression required";

/// The user's error inside an error of the engine, or a fitting one.
pub(crate) fn user_error(error: DataFusionError) -> UserError {
    let root = error.find_root();
    if let DataFusionError::External(inner) = root
        && let Some(user) = inner.downcast_ref::<UserError>()
    {
        return user.clone();
    }
    if let DataFusionError::ArrowError(inner, _) = root {
        if inner.to_string().contains(SPILL_FULL) {
            return spill_full();
        }
        return arrow_error(inner);
    }
    if root.to_string().contains(SPILL_FULL) {
        return spill_full();
    }
    match root {
        DataFusionError::ResourcesExhausted(message) => UserError::new(
            Code::ResourceLimit,
            format!(
                "The statement needs more memory than the limit allows. Raise --memory-limit, use a \
                 larger warehouse, or make the statement smaller. ({message})"
            ),
        ),
        DataFusionError::NotImplemented(message) if message.starts_with(UNPLANNED_QUERY) => {
            UserError::new(
                Code::UnsupportedSubquery,
                "Unsupported subquery type cannot be evaluated",
            )
        }
        DataFusionError::Plan(message) if message.starts_with(COLUMNLESS_QUERY) => UserError::new(
            Code::UnsupportedSubquery,
            "Unsupported subquery type cannot be evaluated",
        ),
        DataFusionError::NotImplemented(message) => UserError::unsupported(message),
        DataFusionError::Execution(message)
            if message.contains("more than one row")
                || message.contains("more than one element") =>
        {
            UserError::new(Code::MultipleRows, "Single-row subquery returns more than one row.")
        }
        other => UserError::internal(other),
    }
}

fn spill_full() -> UserError {
    UserError::new(
        Code::ResourceLimit,
        "The statements that run have spilled as many bytes to disk as --spill-limit allows. Raise \
         it, give the server more memory with --memory-limit, or make the statement smaller.",
    )
}

fn arrow_error(error: &arrow::error::ArrowError) -> UserError {
    use arrow::error::ArrowError;
    match error {
        ArrowError::DivideByZero => UserError::new(Code::DivisionByZero, "Division by zero"),
        ArrowError::ArithmeticOverflow(message) => UserError::new(
            Code::NumericOutOfRange,
            format!("Numeric value out of range: {message}"),
        ),
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<UserError>() {
            Some(user) => user.clone(),
            None => match inner.downcast_ref::<DataFusionError>() {
                Some(DataFusionError::External(inner)) => inner
                    .downcast_ref::<UserError>()
                    .cloned()
                    .unwrap_or_else(|| UserError::internal(inner)),
                _ => UserError::internal(inner),
            },
        },
        ArrowError::CastError(message) | ArrowError::ComputeError(message) => {
            UserError::new(Code::FailedCast, message.clone())
        }
        other => UserError::internal(other),
    }
}

/// A plan's operators, ready to run.
pub(crate) struct Operators {
    pub plan: Arc<dyn ExecutionPlan>,
    /// The number of their rows where these are computed already: to hand them to another thread
    /// would take longer than to take them.
    pub computed: Option<usize>,
}

/// Optimises a governed plan and makes its operators.
pub(crate) async fn physical_plan(
    runtime: &QueryRuntime,
    plan: Governed<LogicalPlan>,
    cancel: &CancellationToken,
) -> Result<Arc<dyn ExecutionPlan>, UserError> {
    let plan = plan.into_inner();
    let state = if is_constant(&plan) { runtime.plain_state() } else { runtime.state() };
    let mut state = state.clone();
    let cancel = cancel.clone();
    let turns = Turns::new();
    let stop = StatementStop::when(move || {
        turns.let_others();
        cancel.is_cancelled()
    });
    let made_max = runtime.made_bytes_max();
    let extensions = &mut state.config_mut().options_mut().extensions;
    extensions.insert(stop.clone());
    extensions.insert(made_max.clone());
    let options = Arc::clone(state.config_options());
    state.execution_props_mut().mark_start_execution(options);
    on_query_threads(runtime, async move {
        let optimized = optimize(&state, &plan).map_err(user_error)?;
        let watched = watched(optimized, &stop, &made_max).map_err(user_error)?;
        state.query_planner().create_physical_plan(&watched, &state).await.map_err(user_error)
    })
    .await
}

/// A plan's operators; those of a slight plan have its rows already.
pub(crate) async fn operators(
    runtime: &QueryRuntime,
    plan: Governed<LogicalPlan>,
    cancel: &CancellationToken,
) -> Result<Operators, UserError> {
    if slight::is_slight(plan.get()) {
        let (plan, rows) =
            slight::computed(plan.get(), runtime.plain_state()).map_err(user_error)?;
        return Ok(Operators { plan, computed: Some(rows) });
    }
    let plan = physical_plan(runtime, plan, cancel).await?;
    Ok(Operators { plan, computed: None })
}

/// Optimises only, for EXPLAIN.
pub(crate) fn optimized(
    runtime: &QueryRuntime,
    plan: &Governed<LogicalPlan>,
) -> Result<LogicalPlan, UserError> {
    optimize(runtime.state(), plan.get()).map_err(user_error)
}

/// Runs a future on the query threads; dropping the caller ends it.
pub(crate) async fn on_query_threads<T: Send + 'static>(
    runtime: &QueryRuntime,
    future: impl Future<Output = Result<T, UserError>> + Send + 'static,
) -> Result<T, UserError> {
    let mut task = tokio::task::JoinSet::new();
    task.spawn_on(future, runtime.handle());
    match task.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(error)) if error.is_cancelled() => Err(cancelled()),
        Some(Err(error)) => Err(UserError::internal(format!("a computation failed: {error}"))),
        None => Err(UserError::internal("a computation vanished")),
    }
}

/// Runs a plan to its end into a spool named by the query id. Cancelling stops it at once.
pub(crate) async fn run_to_spool(
    runtime: &QueryRuntime,
    operators: Operators,
    schema: SchemaRef,
    directory: &Path,
    name: &str,
    bytes_max: Option<u64>,
    cancel: &CancellationToken,
) -> Result<Spool, UserError> {
    let context = runtime.task_context();
    let mut writer = SpoolWriter::new(schema.clone(), directory, name, bytes_max);
    let Operators { plan, computed } = operators;
    let work = async move {
        let mut stream = execute_stream(plan, context).map_err(user_error)?;
        while let Some(batch) = stream.next().await {
            writer.write(&fit(&batch.map_err(user_error)?, &schema)?)?;
        }
        writer.finish()
    };
    if computed.is_some() {
        return work.await;
    }
    tokio::select! {
        result = on_query_threads(runtime, work) => result,
        () = cancel.cancelled() => Err(cancelled()),
    }
}

/// Gives a batch the result's schema, whose fields are named as the user sees them.
fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, UserError> {
    for (column, field) in batch.columns().iter().zip(schema.fields()) {
        if column.data_type() != field.data_type() {
            return Err(UserError::internal(format!(
                "column {} is {} but was planned as {}",
                field.name(),
                column.data_type(),
                field.data_type()
            )));
        }
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)
        .map_err(UserError::internal)
}

/// Runs a plan on the query threads and hands its batches over a bounded channel.
pub(crate) fn run_to_stream(
    runtime: &QueryRuntime,
    operators: Operators,
    cancel: &CancellationToken,
) -> Result<SendableRecordBatchStream, UserError> {
    let context = runtime.task_context();
    let Operators { plan, computed } = operators;
    let schema = plan.schema();
    // Whoever writes the rows knows nothing of the engine's errors.
    let explained = |error| DataFusionError::External(Box::new(user_error(error)));
    if computed.is_some() {
        let rows = execute_stream(plan, context).map_err(user_error)?;
        let rows = rows.map_err(explained);
        return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)));
    }
    let (sender, receiver) = tokio::sync::mpsc::channel(STREAM_DEPTH);
    let cancel = cancel.clone();
    let mut task = tokio::task::JoinSet::new();
    task.spawn_on(
        async move {
            let work = async {
                let mut stream = match execute_stream(plan, context) {
                    Ok(stream) => stream,
                    Err(error) => {
                        // The reader may be gone; then nobody waits for the error.
                        let _ = sender.send(Err(error)).await;
                        return;
                    }
                };
                while let Some(batch) = stream.next().await {
                    if sender.send(batch.map_err(explained)).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = work => {}
                () = cancel.cancelled() => {
                    let error = DataFusionError::External(Box::new(cancelled()));
                    let _ = sender.send(Err(error)).await;
                }
            }
        },
        runtime.handle(),
    );
    let stream = task_stream(receiver, task);
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
}

/// What tasks send, as a stream that owns them. A task that ends by a panic ends the stream with an
/// error: its rows must never look complete.
pub(crate) fn task_stream(
    receiver: tokio::sync::mpsc::Receiver<Result<RecordBatch, DataFusionError>>,
    tasks: tokio::task::JoinSet<()>,
) -> futures::stream::BoxStream<'static, Result<RecordBatch, DataFusionError>> {
    futures::stream::unfold((receiver, tasks), |(mut receiver, mut tasks)| async move {
        if let Some(batch) = receiver.recv().await {
            return Some((batch, (receiver, tasks)));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                let error = UserError::internal(format!("a computation failed: {error}"));
                return Some((Err(DataFusionError::External(Box::new(error))), (receiver, tasks)));
            }
        }
        None
    })
    .boxed()
}

/// Runs a plan and keeps all its batches; for results known to be small.
pub(crate) async fn run_to_batches(
    runtime: &QueryRuntime,
    operators: Operators,
    cancel: &CancellationToken,
) -> Result<Vec<RecordBatch>, UserError> {
    run_to_stream(runtime, operators, cancel)?.try_collect().await.map_err(user_error)
}
