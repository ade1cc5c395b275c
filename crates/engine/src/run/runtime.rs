//! The query runtime: threads, memory, DataFusion's settings.

use std::path::Path;
use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use frazil_common::UserError;
use frazil_functions::MadeBytesMax;

use crate::run::counted::CountRows;
use crate::run::filter_pushdown::keep_names_apart;
use crate::run::forgetful::ForgetProperties;
use crate::run::halved::HalveProjections;
use crate::run::optimize::logical_rules;
use crate::run::part_pool::PartPool;
use crate::run::sliced::SliceUnnested;
use crate::run::spill::{SpillFiles, SpilledBytes};
use crate::run::stoppable::StopMultiplying;
use crate::run::watched::CountWindows;

/// Deeply nested plans and expressions are walked recursively.
const STACK_BYTES: usize = 16 * 1024 * 1024;
/// What one call of a function may make, whatever the memory is: batches of long texts come to some
/// ten MiB, and Arrow's binary arrays end at two GiB.
const MADE_BYTES_LEAST: usize = 64 * 1024 * 1024;
const MADE_BYTES_MOST: usize = 1024 * 1024 * 1024;
/// Consumers named in an out-of-memory message.
const CONSUMERS_SHOWN: usize = 3;

/// Threads and memory shared by all statements, and the settings plans are run with.
pub struct QueryRuntime {
    /// None once dropped.
    threads: Option<tokio::runtime::Runtime>,
    handle: tokio::runtime::Handle,
    state: SessionState,
    plain_state: SessionState,
    task_context: Arc<TaskContext>,
    /// Of this runtime and its parts.
    spilled: Arc<SpilledBytes>,
    pub thread_count: usize,
    /// Bytes that operators may reserve together.
    pub memory_limit: usize,
}

impl QueryRuntime {
    /// Limits in bytes; operators spill below `spill_directory` when they may not grow.
    pub fn new(
        thread_count: usize,
        memory_limit: usize,
        spill_limit: u64,
        spill_directory: &Path,
    ) -> Result<Self, UserError> {
        let spilled = Arc::new(SpilledBytes::new(spill_limit));
        let environment = environment(memory_limit, spilled.clone(), spill_directory)?;
        Self::with_environment(thread_count, memory_limit, environment, spilled)
    }

    /// Threads of its own and a part of this runtime's memory; what the part reserves is reserved
    /// here too. `label` names the part in errors.
    pub fn part(
        &self,
        label: &str,
        thread_count: usize,
        memory_limit: usize,
    ) -> Result<Self, UserError> {
        let whole = self.state.runtime_env();
        let pool: Arc<dyn MemoryPool> =
            Arc::new(PartPool::new(label, memory_limit, whole.memory_pool.clone()));
        let environment = RuntimeEnv { memory_pool: pool, ..RuntimeEnv::clone(whole) };
        Self::with_environment(thread_count, memory_limit, environment, self.spilled.clone())
    }

    fn with_environment(
        thread_count: usize,
        memory_limit: usize,
        environment: RuntimeEnv,
        spilled: Arc<SpilledBytes>,
    ) -> Result<Self, UserError> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(thread_count)
            .thread_name("frazil-query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(UserError::internal)?;
        // No functions by name: plans hold theirs, and every statement copies the state.
        let state = SessionStateBuilder::new()
            .with_config(session_config(thread_count))
            .with_runtime_env(Arc::new(environment))
            .with_optimizer_rules(logical_rules())
            .with_physical_optimizer_rules(physical_rules())
            .with_query_planner(Arc::new(crate::run::asof::OwnNodes))
            .build();
        let handle = threads.handle().clone();
        let mut plain_state = SessionStateBuilder::new_from_existing(state.clone())
            .with_physical_optimizer_rules(Vec::new())
            .build();
        let options = Arc::clone(plain_state.config_options());
        plain_state.execution_props_mut().mark_start_execution(options);
        let task_context = Arc::new(TaskContext::from(&state));
        Ok(QueryRuntime {
            threads: Some(threads),
            handle,
            state,
            plain_state,
            task_context,
            spilled,
            thread_count,
            memory_limit,
        })
    }

    /// Where statements compute, apart from the threads that talk to clients.
    pub fn handle(&self) -> &tokio::runtime::Handle {
        &self.handle
    }

    /// State to optimise and run plans with.
    pub fn state(&self) -> &SessionState {
        &self.state
    }

    /// The same without rules on operators: constant plans have none that a rule would change.
    pub fn plain_state(&self) -> &SessionState {
        &self.plain_state
    }

    /// What one call of a function may make: all threads at once come to half of the memory.
    pub fn made_bytes_max(&self) -> MadeBytesMax {
        let share = self.memory_limit / (2 * self.thread_count.max(1));
        MadeBytesMax(share.clamp(MADE_BYTES_LEAST, MADE_BYTES_MOST))
    }

    /// Bytes that operators have spilled and that lie on the disk still.
    pub fn spilled_bytes(&self) -> u64 {
        self.spilled.used()
    }

    /// What operators are run with; the same for all plans.
    pub fn task_context(&self) -> Arc<TaskContext> {
        self.task_context.clone()
    }
}

impl std::fmt::Debug for QueryRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QueryRuntime({} threads, {} bytes)", self.thread_count, self.memory_limit)
    }
}

impl Drop for QueryRuntime {
    /// The last holder may be asynchronous itself and must not wait for the threads.
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

fn environment(
    memory_limit: usize,
    spilled: Arc<SpilledBytes>,
    spill_directory: &Path,
) -> Result<RuntimeEnv, UserError> {
    std::fs::create_dir_all(spill_directory).map_err(UserError::internal)?;
    let files = SpillFiles::new(spill_directory.to_path_buf(), spilled);
    let files = files.map_err(UserError::internal)?;
    let disk = DiskManagerBuilder::default().with_temp_file_factory(Arc::new(files));
    let consumers =
        std::num::NonZeroUsize::new(CONSUMERS_SHOWN).unwrap_or(std::num::NonZeroUsize::MIN);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(
            FairSpillPool::new(memory_limit),
            consumers,
        )))
        .with_disk_manager_builder(disk)
        .build()
        .map_err(UserError::internal)
}

/// DataFusion's rules, and ours where joins are placed for good.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    keep_names_apart(&mut rules);
    rules.insert(0, Arc::new(ForgetProperties));
    let place = rules.iter().position(|rule| rule.name() == "EnsureCooperative");
    let place = place.unwrap_or(rules.len());
    let own: [Arc<dyn PhysicalOptimizerRule + Send + Sync>; 5] = [
        Arc::new(SliceUnnested),
        Arc::new(CountWindows),
        Arc::new(StopMultiplying),
        Arc::new(HalveProjections),
        Arc::new(CountRows),
    ];
    rules.splice(place..place, own);
    rules
}

/// Settings measured to pay off on few cores (docs/benchmarks.md).
fn session_config(thread_count: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(thread_count)
        .with_batch_size(16_384)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    // Hash-partitioning both join sides costs more than it gives below a handful of cores.
    options.optimizer.repartition_joins = thread_count > 4;
    options.execution.skip_partial_aggregation_probe_ratio_threshold = 0.1;
    options.execution.collect_statistics = true;
    options.sql_parser.enable_ident_normalization = false;
    // DataFusion's plan knows of a CASE that it is not NULL where its operator does not.
    options.execution.skip_physical_aggregate_schema_check = true;
    config
}
