//! Says whose file it is that cannot be read, whatever the reader stumbles on.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::parquet::errors::ParquetError;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use datafusion_datasource::morsel::{Morsel, MorselPlan, MorselPlanner, Morselizer};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::caught::{caught, words};
use crate::error::LakeError;
use crate::version::TableVersion;

/// What the files of a table are called in messages.
#[derive(Debug)]
pub struct FileNames {
    table: String,
    /// By place.
    files: HashMap<Path, String>,
}

impl FileNames {
    /// Of a version's files.
    pub fn of(version: &TableVersion) -> FileNames {
        let files = version.files.iter().map(|file| (file.path.clone(), file.described()));
        FileNames { table: version.table.name.to_string(), files: files.collect() }
    }

    fn file(&self, path: &Path) -> String {
        self.files.get(path).cloned().unwrap_or_default()
    }

    /// The error of a file that is not there.
    pub fn missing(&self, path: &Path) -> LakeError {
        LakeError::MissingFile { table: self.table.clone(), file: self.file(path) }
    }

    /// The error of a file that cannot be read. Where it lies is not told.
    pub fn damaged(&self, path: &Path, what: &str) -> LakeError {
        let what = what.replace(path.as_ref(), path.filename().unwrap_or_default());
        LakeError::DamagedFile { table: self.table.clone(), file: self.file(path), what }
    }
}

/// A source of Parquet files whose errors tell the table and the file.
#[derive(Clone)]
pub struct GuardedSource {
    inner: Arc<dyn FileSource>,
    names: Arc<FileNames>,
}

impl GuardedSource {
    /// Over another source.
    pub fn new(inner: Arc<dyn FileSource>, names: Arc<FileNames>) -> GuardedSource {
        GuardedSource { inner, names }
    }

    fn over(&self, inner: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        Arc::new(GuardedSource { inner, names: Arc::clone(&self.names) })
    }
}

impl FileSource for GuardedSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        self.inner.create_file_opener(object_store, base_config, partition)
    }

    fn create_morselizer(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let inner = self.inner.create_morselizer(object_store, base_config, partition)?;
        Ok(Box::new(GuardedFiles { inner, names: Arc::clone(&self.names) }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.inner.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        self.over(self.inner.with_batch_size(batch_size))
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.inner.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.inner.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn file_type(&self) -> &str {
        self.inner.file_type()
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_extra(t, f)
    }

    fn supports_repartitioning(&self) -> bool {
        self.inner.supports_repartitioning()
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let pushed = self.inner.try_pushdown_filters(filters, config)?;
        let updated_node = pushed.updated_node.map(|inner| self.over(inner));
        Ok(FilterPushdownPropagation { filters: pushed.filters, updated_node })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        eq_properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        let pushed = self.inner.try_pushdown_sort(order, eq_properties)?;
        Ok(pushed.map(|inner| self.over(inner)))
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.inner.reorder_files(files)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let pushed = self.inner.try_pushdown_projection(projection)?;
        Ok(pushed.map(|inner| self.over(inner)))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }
}

#[derive(Debug)]
struct GuardedFiles {
    inner: Box<dyn Morselizer>,
    names: Arc<FileNames>,
}

/// A file that is being read.
#[derive(Debug, Clone)]
struct Guard {
    names: Arc<FileNames>,
    path: Path,
}

impl Guard {
    fn broken_off(&self, what: &str) -> DataFusionError {
        self.names.damaged(&self.path, what).into()
    }

    /// The same where it has another reason than the file.
    fn named(&self, error: DataFusionError) -> DataFusionError {
        let what = match error.find_root() {
            DataFusionError::ParquetError(inner) => Some(inner.to_string()),
            DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
                ArrowError::ParquetError(what) => Some(what.clone()),
                _ => None,
            },
            DataFusionError::External(inner) => match inner.downcast_ref::<LakeError>() {
                Some(LakeError::Damaged(what)) => Some(what.clone()),
                _ => inner.downcast_ref::<ParquetError>().map(ToString::to_string),
            },
            _ => None,
        };
        what.map_or(error, |what| self.broken_off(&what))
    }

    fn run<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        match caught(work) {
            Ok(done) => done.map_err(|error| self.named(error)),
            Err(panic) => Err(self.broken_off(&panic)),
        }
    }

    fn planner(&self, inner: Box<dyn MorselPlanner>) -> Box<dyn MorselPlanner> {
        Box::new(GuardedPlanner { inner, guard: self.clone() })
    }
}

impl Morselizer for GuardedFiles {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        let path = file.object_meta.location.clone();
        let guard = Guard { names: Arc::clone(&self.names), path };
        let planner = guard.run(|| self.inner.plan_file(file))?;
        Ok(guard.planner(planner))
    }
}

#[derive(Debug)]
struct GuardedPlanner {
    inner: Box<dyn MorselPlanner>,
    guard: Guard,
}

impl MorselPlanner for GuardedPlanner {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let GuardedPlanner { inner, guard } = *self;
        let Some(mut plan) = guard.run(move || inner.plan())? else { return Ok(None) };
        let morsels = plan.take_morsels().into_iter().map(|inner| {
            Box::new(GuardedMorsel { inner, guard: guard.clone() }) as Box<dyn Morsel>
        });
        let morsels = morsels.collect();
        let planners = plan.take_ready_planners().into_iter().map(|inner| guard.planner(inner));
        let planners = planners.collect();
        let pending = plan.take_pending_planner();
        let mut guarded = MorselPlan::new().with_morsels(morsels).with_planners(planners);
        if let Some(pending) = pending {
            guarded.set_pending_planner(async move {
                let ready = AssertUnwindSafe(pending.into_future()).catch_unwind().await;
                match ready {
                    Ok(planner) => {
                        planner.map(|p| guard.planner(p)).map_err(|error| guard.named(error))
                    }
                    Err(panic) => Err(guard.broken_off(&words(panic.as_ref()))),
                }
            });
        }
        Ok(Some(guarded))
    }
}

#[derive(Debug)]
struct GuardedMorsel {
    inner: Box<dyn Morsel>,
    guard: Guard,
}

impl Morsel for GuardedMorsel {
    fn into_stream(self: Box<Self>) -> BoxStream<'static, Result<RecordBatch>> {
        let GuardedMorsel { inner, guard } = *self;
        let stream = AssertUnwindSafe(inner.into_stream()).catch_unwind();
        let named = stream.map(move |next| match next {
            Ok(batch) => batch.map_err(|error| guard.named(error)),
            Err(panic) => Err(guard.broken_off(&words(panic.as_ref()))),
        });
        named.boxed()
    }
}
