//! Files side by side: each is read by one worker, their rows go into the table as one stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use frazil_catalog::TableInfo;
use frazil_common::UserError;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::options::OnError;
use super::rows::Pipeline;
use crate::run::execute::{on_query_threads, task_stream};
use crate::run::runtime::QueryRuntime;
use crate::stages::load_log::LoadLog;
use crate::statements::context::cancelled;
use crate::statements::outcome::schema_of;

/// Bytes of rows that are held until it is known whether their file is skipped. A larger file is
/// read twice.
const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;

type Sender = tokio::sync::mpsc::Sender<Result<RecordBatch, DataFusionError>>;

/// A load under way.
pub(super) struct Load {
    pipeline: Pipeline,
    log: Arc<LoadLog>,
    on_error: OnError,
    next: AtomicUsize,
    /// A worker failed: the others stop.
    failed: AtomicBool,
    loaded: Vec<AtomicU64>,
}

impl Load {
    pub fn new(pipeline: Pipeline, log: Arc<LoadLog>, on_error: OnError) -> Load {
        let loaded = (0..pipeline.file_count()).map(|_| AtomicU64::new(0)).collect();
        Load {
            pipeline,
            log,
            on_error,
            next: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            loaded,
        }
    }

    /// Rows of a file that went into the table.
    pub fn rows_loaded(&self, file: usize) -> u64 {
        self.loaded[file].load(Ordering::SeqCst)
    }

    /// Starts the workers; their rows are the stream.
    pub fn start(
        self: &Arc<Self>,
        runtime: &QueryRuntime,
        cancel: &CancellationToken,
        table: &TableInfo,
    ) -> SendableRecordBatchStream {
        let workers = runtime.thread_count.clamp(1, self.loaded.len().max(1));
        let (sender, receiver) = tokio::sync::mpsc::channel(2 * workers);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..workers {
            let (load, sender, cancel) = (Arc::clone(self), sender.clone(), cancel.clone());
            let context = Arc::new(TaskContext::from(runtime.state()));
            tasks.spawn_on(
                async move {
                    let result = tokio::select! {
                        result = load.work(&sender, context) => result,
                        () = cancel.cancelled() => Err(cancelled()),
                    };
                    if let Err(error) = result {
                        load.failed.store(true, Ordering::SeqCst);
                        // The reader may be gone; then nobody waits for the error.
                        let _ = sender.send(Err(DataFusionError::External(Box::new(error)))).await;
                    }
                },
                runtime.handle(),
            );
        }
        drop(sender);
        let schema = schema_of(&table.column_list());
        Box::pin(RecordBatchStreamAdapter::new(schema, task_stream(receiver, tasks)))
    }

    async fn work(&self, sender: &Sender, context: Arc<TaskContext>) -> Result<(), UserError> {
        loop {
            let file = self.next.fetch_add(1, Ordering::SeqCst);
            if file >= self.loaded.len() || self.failed.load(Ordering::SeqCst) {
                return Ok(());
            }
            let rows = match self.on_error {
                OnError::Abort | OnError::Continue => self.hand_on(file, sender, &context).await?,
                OnError::SkipFile(_) | OnError::SkipFilePercent(_) => {
                    self.whole_or_not(file, sender, &context).await?
                }
            };
            self.loaded[file].store(rows, Ordering::SeqCst);
        }
    }

    async fn hand_on(
        &self,
        file: usize,
        sender: &Sender,
        context: &Arc<TaskContext>,
    ) -> Result<u64, UserError> {
        let give = |batch| {
            let sender = sender.clone();
            async move { sender.send(Ok(batch)).await.is_ok() }
        };
        self.pipeline.run(file, &self.log, Arc::clone(context), usize::MAX, give).await
    }

    /// Hands on a file's rows only when the whole file was read and is not skipped.
    async fn whole_or_not(
        &self,
        file: usize,
        sender: &Sender,
        context: &Arc<TaskContext>,
    ) -> Result<u64, UserError> {
        let mut held = Vec::new();
        let mut bytes = 0;
        let give = |batch: RecordBatch| {
            bytes += batch.get_array_memory_size();
            if bytes <= HELD_BYTES_MAX {
                held.push(batch);
            } else {
                held.clear();
            }
            std::future::ready(true)
        };
        let rows =
            self.pipeline.run(file, &self.log, Arc::clone(context), usize::MAX, give).await?;
        let (parsed, errors) = {
            let log = self.log.file(file);
            (log.parsed, log.errors)
        };
        if self.on_error.skips(parsed, errors) {
            return Ok(0);
        }
        if bytes > HELD_BYTES_MAX {
            self.log.reset(file);
            return self.hand_on(file, sender, context).await;
        }
        for batch in held {
            if sender.send(Ok(batch)).await.is_err() {
                break;
            }
        }
        Ok(rows)
    }
}

/// The first rows that a load would bring.
///
/// # Errors
/// The first row that cannot be taken before that number is reached.
pub(super) async fn first_rows(
    runtime: &QueryRuntime,
    cancel: &CancellationToken,
    pipeline: Arc<Pipeline>,
    log: Arc<LoadLog>,
    count: usize,
) -> Result<Vec<RecordBatch>, UserError> {
    let context = Arc::new(TaskContext::from(runtime.state()));
    let work = on_query_threads(runtime, async move {
        let found = Mutex::new((Vec::new(), count));
        for file in 0..pipeline.file_count() {
            let give = |batch: RecordBatch| {
                let mut found = found.lock();
                let taken = batch.num_rows().min(found.1);
                found.0.push(batch.slice(0, taken));
                found.1 -= taken;
                std::future::ready(found.1 > 0)
            };
            // No row beyond the wanted number is looked at.
            let left = found.lock().1;
            pipeline.run(file, &log, Arc::clone(&context), left, give).await?;
            if found.lock().1 == 0 {
                break;
            }
        }
        Ok(found.into_inner().0)
    });
    tokio::select! {
        result = work => result,
        () = cancel.cancelled() => Err(cancelled()),
    }
}

/// Reads all files for what the log tells of them.
///
/// # Errors
/// Only what is no row's fault.
pub(super) async fn read_all(
    runtime: &QueryRuntime,
    cancel: &CancellationToken,
    pipeline: Arc<Pipeline>,
    log: Arc<LoadLog>,
) -> Result<(), UserError> {
    let context = Arc::new(TaskContext::from(runtime.state()));
    let work = on_query_threads(runtime, async move {
        for file in 0..pipeline.file_count() {
            let give = |_| std::future::ready(true);
            pipeline.run(file, &log, Arc::clone(&context), usize::MAX, give).await?;
        }
        Ok(())
    });
    tokio::select! {
        result = work => result,
        () = cancel.cancelled() => Err(cancelled()),
    }
}
