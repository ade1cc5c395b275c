//! The rows of GENERATOR(TIMELIMIT => s): numbers counted up until the time is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

const BATCH_ROWS: i64 = 8192;

#[derive(Debug)]
struct TimedRows {
    schema: SchemaRef,
    seconds: u64,
    rows_max: i64,
}

/// A table of one column that ends after `seconds` from the start of its reading, or after
/// `rows_max` rows.
pub(crate) fn table(
    schema: SchemaRef,
    seconds: u64,
    rows_max: i64,
) -> Result<Arc<dyn TableProvider>> {
    let rows = Arc::new(TimedRows { schema: schema.clone(), seconds, rows_max });
    Ok(Arc::new(StreamingTable::try_new(schema, vec![rows])?))
}

impl PartitionStream for TimedRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let (schema, rows_max) = (self.schema.clone(), self.rows_max);
        let batches = futures::stream::unfold(0_i64, move |next| {
            let schema = schema.clone();
            async move {
                // Other tasks, and a cancellation, get their turn.
                tokio::task::yield_now().await;
                if next >= rows_max || Instant::now() >= end {
                    return None;
                }
                let last = next.saturating_add(BATCH_ROWS).min(rows_max);
                let numbers = Arc::new(Int64Array::from_iter_values(next..last));
                Some((RecordBatch::try_new(schema, vec![numbers]).map_err(Into::into), last))
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}
