//! ASOF JOIN's operator: both inputs arrive by key and value, and are walked side by side.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{SortOptions, interleave};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, OrderingRequirements, Partitioning, PhysicalExpr,
    PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, ReplaceChildrenOptions,
};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use frazil_planner::AsofJoin;
use futures::StreamExt;

use crate::run::sealed::SealedPlanner;

/// The engine's planner, which knows our own nodes besides DataFusion's.
#[derive(Debug)]
pub(crate) struct OwnNodes;

#[async_trait::async_trait]
impl QueryPlanner for OwnNodes {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![
            Arc::new(AsofPlanner),
            Arc::new(SealedPlanner),
        ])
        .create_physical_plan(plan, session)
        .await
    }
}

/// Plans [`AsofJoin`] nodes.
#[derive(Debug)]
struct AsofPlanner;

#[async_trait::async_trait]
impl ExtensionPlanner for AsofPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(join) = node.as_any().downcast_ref::<AsofJoin>() else { return Ok(None) };
        let [left, right] = physical_inputs else {
            return Err(DataFusionError::Internal("an ASOF JOIN has two inputs".into()));
        };
        let schema = Arc::new(UserDefinedLogicalNode::schema(join).as_arrow().clone());
        let exec = AsofJoinExec::new(
            left.clone(),
            right.clone(),
            join.keys,
            join.descending,
            join.strict,
            schema,
        );
        Ok(Some(Arc::new(exec)))
    }
}

#[derive(Debug)]
struct AsofJoinExec {
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    keys: usize,
    descending: bool,
    strict: bool,
    properties: Arc<PlanProperties>,
}

impl AsofJoinExec {
    fn new(
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
        keys: usize,
        descending: bool,
        strict: bool,
        schema: SchemaRef,
    ) -> Self {
        let partitions = left.output_partitioning().partition_count();
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        AsofJoinExec { left, right, keys, descending, strict, properties }
    }

    /// The last columns of an input: its keys, then its value.
    fn sides(&self, input: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn PhysicalExpr>> {
        let schema = input.schema();
        let first = schema.fields().len().saturating_sub(self.keys + 1);
        (first..schema.fields().len())
            .map(|index| {
                Arc::new(Column::new(schema.field(index).name(), index)) as Arc<dyn PhysicalExpr>
            })
            .collect()
    }

    fn options(&self, index: usize) -> SortOptions {
        SortOptions { descending: self.descending && index == self.keys, nulls_first: true }
    }

    fn ordering(&self, input: &Arc<dyn ExecutionPlan>) -> Option<OrderingRequirements> {
        let sorts = self
            .sides(input)
            .into_iter()
            .enumerate()
            .map(|(index, expr)| PhysicalSortExpr { expr, options: self.options(index) });
        LexOrdering::new(sorts).map(OrderingRequirements::from)
    }
}

impl DisplayAs for AsofJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let direction = if self.descending { "next" } else { "previous" };
        let equal = if self.strict { "exclusive" } else { "inclusive" };
        write!(f, "AsofJoinExec: keys={}, {direction}, {equal}", self.keys)
    }
}

impl ExecutionPlan for AsofJoinExec {
    fn name(&self) -> &str {
        "AsofJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        if self.keys == 0 {
            return InputDistributionRequirements::new(vec![Distribution::SinglePartition; 2]);
        }
        let keys = |input| {
            let mut columns = self.sides(input);
            columns.truncate(self.keys);
            Distribution::KeyPartitioned(columns)
        };
        InputDistributionRequirements::co_partitioned(vec![keys(&self.left), keys(&self.right)])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.ordering(&self.left), self.ordering(&self.right)]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.left, &self.right]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut children = children.into_iter();
        match (children.next(), children.next()) {
            (Some(left), Some(right)) => Ok(Arc::new(AsofJoinExec::new(
                left,
                right,
                self.keys,
                self.descending,
                self.strict,
                self.schema(),
            ))),
            _ => Err(DataFusionError::Internal("an ASOF JOIN has two inputs".into())),
        }
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let left = self.left.execute(partition, context.clone())?;
        let right = self.right.execute(partition, context)?;
        let types = |input: &Arc<dyn ExecutionPlan>| -> Vec<SortField> {
            self.sides(input)
                .iter()
                .enumerate()
                .filter_map(|(index, column)| {
                    let data_type = column.data_type(input.schema().as_ref()).ok()?;
                    Some(SortField::new_with_options(data_type, self.options(index)))
                })
                .collect()
        };
        let fields = types(&self.left);
        let walk = Walk {
            left,
            right: Right {
                rows: right,
                orders: RowConverter::new(types(&self.right))?,
                keys: RowConverter::new(fields[..self.keys].to_vec())?,
                current: None,
                ended: false,
            },
            orders: RowConverter::new(fields.clone())?,
            keys: RowConverter::new(fields[..self.keys].to_vec())?,
            key_count: self.keys,
            strict: self.strict,
            schema: self.schema(),
            candidate: None,
        };
        let stream = futures::stream::try_unfold(walk, |mut walk| async move {
            Ok(walk.next().await?.map(|batch| (batch, walk)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }
}

/// A batch of one side with the bytes its rows sort by.
struct Side {
    batch: RecordBatch,
    /// Keys and value.
    orders: Rows,
    keys: Option<Rows>,
}

impl Side {
    fn new(
        batch: RecordBatch,
        orders: &mut RowConverter,
        keys: &mut RowConverter,
        key_count: usize,
    ) -> Result<Side> {
        let first = batch.num_columns() - key_count - 1;
        let columns = &batch.columns()[first..];
        let order_rows = orders.convert_columns(columns)?;
        let key_rows = match key_count {
            0 => None,
            _ => Some(keys.convert_columns(&columns[..key_count])?),
        };
        Ok(Side { batch, orders: order_rows, keys: key_rows })
    }
}

/// The right input and the place reached in it.
struct Right {
    rows: SendableRecordBatchStream,
    orders: RowConverter,
    keys: RowConverter,
    current: Option<(Arc<Side>, usize)>,
    ended: bool,
}

impl Right {
    /// The next row that is not yet passed.
    async fn peek(&mut self, key_count: usize) -> Result<Option<(Arc<Side>, usize)>> {
        loop {
            if let Some((side, row)) = &self.current
                && *row < side.batch.num_rows()
            {
                return Ok(Some((side.clone(), *row)));
            }
            if self.ended {
                return Ok(None);
            }
            match self.rows.next().await.transpose()? {
                None => {
                    self.ended = true;
                    self.current = None;
                }
                Some(batch) => {
                    let side = Side::new(batch, &mut self.orders, &mut self.keys, key_count)?;
                    self.current = Some((Arc::new(side), 0));
                }
            }
        }
    }

    fn pass(&mut self) {
        if let Some((_, row)) = &mut self.current {
            *row += 1;
        }
    }
}

struct Walk {
    left: SendableRecordBatchStream,
    right: Right,
    orders: RowConverter,
    keys: RowConverter,
    key_count: usize,
    strict: bool,
    schema: SchemaRef,
    /// The last row of the right that was passed.
    candidate: Option<(Arc<Side>, usize)>,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.left.next().await.transpose()? {
                None => return Ok(None),
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => return self.join(batch).await.map(Some),
            }
        }
    }

    /// Joins one batch of the left.
    async fn join(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let left = Side::new(batch, &mut self.orders, &mut self.keys, self.key_count)?;
        let width = left.batch.num_columns() - self.key_count - 1;
        let known = |row: usize| left.batch.columns()[width..].iter().all(|c| c.is_valid(row));
        // Batches of the right that rows of this batch point into; 0 stands for no row.
        let mut used: Vec<Arc<Side>> = Vec::new();
        let mut places: Vec<(usize, usize)> = Vec::with_capacity(left.batch.num_rows());
        for row in 0..left.batch.num_rows() {
            if !known(row) {
                places.push((0, 0));
                continue;
            }
            let order = left.orders.row(row);
            while let Some((side, at)) = self.right.peek(self.key_count).await? {
                let other = side.orders.row(at);
                let passes = if self.strict { other < order } else { other <= order };
                if !passes {
                    break;
                }
                self.candidate = Some((side, at));
                self.right.pass();
            }
            let found =
                self.candidate.as_ref().filter(|(side, at)| match (&side.keys, &left.keys) {
                    (Some(theirs), Some(own)) => theirs.row(*at) == own.row(row),
                    _ => true,
                });
            places.push(match found {
                None => (0, 0),
                Some((side, at)) => {
                    if used.last().is_none_or(|last| !Arc::ptr_eq(last, side)) {
                        used.push(side.clone());
                    }
                    (used.len(), *at)
                }
            });
        }
        let mut columns: Vec<ArrayRef> = left.batch.columns()[..width].to_vec();
        for (index, field) in self.schema.fields()[width..].iter().enumerate() {
            let nothing = new_null_array(field.data_type(), 1);
            let mut sources: Vec<&dyn Array> = vec![nothing.as_ref()];
            sources.extend(used.iter().map(|side| side.batch.column(index).as_ref()));
            columns.push(interleave(&sources, &places)?);
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}
