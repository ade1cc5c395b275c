//! The operator of a sealed plan: errors from below it do not tell of values.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{EmptyRelation, LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use frazil_common::hidden::shown;
use frazil_common::{Code, UserError};
use frazil_governance::{REDACTED, Sealed};
use futures::StreamExt;

use crate::run::execute::user_error;
use crate::run::one_input::{no_expressions, one_input};

pub(crate) const NAME: &str = "SealedExec";

/// Plans [`Sealed`] nodes.
#[derive(Debug)]
pub(crate) struct SealedPlanner;

#[async_trait::async_trait]
impl ExtensionPlanner for SealedPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(sealed) = node.as_any().downcast_ref::<Sealed>() else { return Ok(None) };
        let [input] = physical_inputs else {
            return Err(DataFusionError::Internal(format!("{NAME} has one input")));
        };
        let input = without_barrier(input);
        Ok(Some(Arc::new(SealedExec::new(input, sealed.redacts))))
    }
}

/// The limit that keeps conditions out has done its work by now, and would bring all partitions
/// together.
fn without_barrier(plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let all = usize::try_from(i64::MAX).unwrap_or(usize::MAX);
    if let Some(limit) = plan.downcast_ref::<GlobalLimitExec>()
        && limit.skip() == 0
        && limit.fetch().is_none_or(|fetch| fetch >= all)
    {
        return without_barrier(limit.input());
    }
    if let Some(limit) = plan.downcast_ref::<LocalLimitExec>()
        && limit.fetch() >= all
    {
        return without_barrier(limit.input());
    }
    plan.clone()
}

/// Hands on its input's batches.
#[derive(Debug)]
struct SealedExec {
    input: Arc<dyn ExecutionPlan>,
    redacts: bool,
    properties: Arc<PlanProperties>,
}

impl SealedExec {
    fn new(input: Arc<dyn ExecutionPlan>, redacts: bool) -> Self {
        let properties = Arc::clone(input.properties());
        SealedExec { input, redacts, properties }
    }
}

/// The error with its code alone, where its words may hold values.
fn redacted(error: DataFusionError) -> DataFusionError {
    let error = user_error(error);
    let told = match error.code {
        Code::Cancelled | Code::StatementTimeout | Code::ResourceLimit | Code::DiskFull => error,
        code => UserError::new(code, REDACTED),
    };
    DataFusionError::External(Box::new(told))
}

impl DisplayAs for SealedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(NAME)
    }
}

impl ExecutionPlan for SealedExec {
    fn name(&self) -> &str {
        NAME
    }

    one_input!(NAME, |own, input| SealedExec::new(input, own.redacts));

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    no_expressions!();

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if !self.redacts {
            return self.input.execute(partition, context);
        }
        let batches = self.input.execute(partition, context).map_err(redacted)?;
        let told = batches.map(|batch| batch.map_err(redacted));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), told)))
    }
}

/// A plan's lines as EXPLAIN shows them: what is sealed is not told.
pub(crate) fn logical_lines(plan: LogicalPlan) -> Result<Vec<String>> {
    let emptied = plan.transform_down_with_subqueries(|node| {
        if Sealed::of(&node).is_none() {
            return Ok(Transformed::no(node));
        }
        let empty = LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: node.schema().clone(),
        });
        let sealed = node.with_new_exprs(Vec::new(), vec![empty])?;
        Ok(Transformed::new(sealed, true, TreeNodeRecursion::Jump))
    })?;
    Ok(closed(&emptied.data.display_indent().to_string(), "Sealed"))
}

/// The same of operators.
pub(crate) fn physical_lines(plan: Arc<dyn ExecutionPlan>) -> Result<Vec<String>> {
    let emptied = plan.transform_down(|node| {
        let Some(sealed) = node.downcast_ref::<SealedExec>() else {
            return Ok(Transformed::no(node));
        };
        let empty = Arc::new(EmptyExec::new(sealed.schema()));
        let sealed = Arc::new(SealedExec::new(empty, sealed.redacts));
        Ok(Transformed::new(sealed as _, true, TreeNodeRecursion::Jump))
    })?;
    let text = datafusion::physical_plan::displayable(emptied.data.as_ref()).indent(true);
    Ok(without_paths(&emptied.data, closed(&text.to_string(), NAME)))
}

/// How many files a scan reads in the place of their paths, which are the server's own matter.
fn without_paths(plan: &Arc<dyn ExecutionPlan>, lines: Vec<String>) -> Vec<String> {
    let mut counts = Vec::new();
    let counted = plan.apply(|node| {
        let source = node.downcast_ref::<DataSourceExec>();
        let scan = source.and_then(|node| node.data_source().downcast_ref::<FileScanConfig>());
        if let Some(scan) = scan {
            counts.push(scan.file_groups.iter().map(|group| group.len()).sum::<usize>());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    let mut counts = counted.map(|_| counts).unwrap_or_default().into_iter();
    let shown = |line: String| match line.split_once(FILES) {
        Some((before, after)) if before.trim() == SCAN => {
            let rest = AFTER_FILES.iter().filter_map(|next| after.find(next)).min();
            let rest = rest.map_or("", |at| &after[at + 1..]);
            let count = counts.next().map_or_else(String::new, |count| count.to_string());
            format!("{before}files={count}{rest}")
        }
        _ => line,
    };
    lines.into_iter().map(shown).collect()
}

/// How the line of a scan of files begins, and what follows its list of files.
const SCAN: &str = "DataSourceExec:";
const FILES: &str = "file_groups={";
const AFTER_FILES: [&str; 5] =
    ["}, projection=", "}, limit=", "}, output_ordering", "}, statistics=", "}, file_type="];

/// The lines of a plan without those that stand for what is sealed.
fn closed(text: &str, name: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut below = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        if below.is_some_and(|sealed| depth > sealed) {
            continue;
        }
        below = (line.trim() == name).then_some(depth);
        lines.push(shown(line));
    }
    lines
}
