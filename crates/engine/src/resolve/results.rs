//! RESULT_SCAN: an earlier result as a relation, for its user alone.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::TableReference;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use frazil_common::{Column, UserError};
use frazil_governance::INTERNAL_SCHEMA;
use frazil_planner::Relation;
use uuid::Uuid;

use crate::api::StoredResult;
use crate::run::spool::Spool;
use crate::statements::context::StatementContext;

/// Who keeps a spool.
trait HoldsSpool: std::fmt::Debug + Send + Sync {
    fn spool(&self) -> &Spool;
}

impl HoldsSpool for StoredResult {
    fn spool(&self) -> &Spool {
        &self.rows
    }
}

impl HoldsSpool for Spool {
    fn spool(&self) -> &Spool {
        self
    }
}

/// A stored result, read batch by batch.
#[derive(Debug)]
struct StoredRows {
    result: Arc<dyn HoldsSpool>,
    schema: SchemaRef,
}

impl PartitionStream for StoredRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let result = self.result.clone();
        let schema = self.schema.clone();
        let batches = (0..result.spool().batch_rows().len()).map(move |index| {
            let batch = result
                .spool()
                .read_batch(index)
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok(arrow::array::RecordBatch::try_new(schema.clone(), batch.columns().to_vec())?)
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(batches)))
    }
}

pub(super) async fn result_relation(
    context: &StatementContext,
    query_id: &str,
) -> Result<Relation, UserError> {
    let reader = context.session.reader();
    let known = query_id.parse::<Uuid>().ok();
    let Some(result) = known.and_then(|id| context.shared.results.get(&id, &reader)) else {
        return Err(context.session.lost_result(query_id).await);
    };
    let result = result?;
    let id = result.query_id;
    rows_relation(&format!("result {id}"), result.columns.clone(), result)
}

/// Rows set aside while a statement runs, as an internal relation of the given name.
pub(crate) fn spool_relation(
    name: &str,
    columns: Vec<Column>,
    rows: Arc<Spool>,
) -> Result<Relation, UserError> {
    rows_relation(name, columns, rows)
}

/// A stored result as an internal relation of the given name.
fn rows_relation(
    name: &str,
    columns: Vec<Column>,
    result: Arc<dyn HoldsSpool>,
) -> Result<Relation, UserError> {
    // Names may repeat in a result; inside the plan each field needs its own.
    let unique: Vec<Column> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            Column::new(format!("c{index}"), column.sql_type.clone(), column.nullable)
        })
        .collect();
    let schema = crate::statements::outcome::schema_of(&unique);
    let stream = Arc::new(StoredRows { result, schema: schema.clone() });
    let table = StreamingTable::try_new(schema, vec![stream]).map_err(UserError::internal)?;
    let plan = LogicalPlanBuilder::scan(
        TableReference::partial(INTERNAL_SCHEMA, name.to_string()),
        provider_as_source(Arc::new(table)),
        None,
    )
    .and_then(LogicalPlanBuilder::build)
    .map_err(UserError::internal)?;
    Ok(Relation { object: None, name: None, columns, plan, accesses: Vec::new(), hidden: 0 })
}

/// Batches in memory as an internal relation: SHOW-like tables, drift rows.
pub(crate) fn batch_relation(
    name: &str,
    columns: Vec<Column>,
    batch: arrow::array::RecordBatch,
) -> Result<Relation, UserError> {
    let table = datafusion::datasource::MemTable::try_new(batch.schema(), vec![vec![batch]])
        .map_err(UserError::internal)?;
    let plan = LogicalPlanBuilder::scan(
        TableReference::partial(INTERNAL_SCHEMA, name.to_string()),
        provider_as_source(Arc::new(table)),
        None,
    )
    .and_then(LogicalPlanBuilder::build)
    .map_err(UserError::internal)?;
    Ok(Relation { object: None, name: None, columns, plan, accesses: Vec::new(), hidden: 0 })
}
