//! What aggregates that collect their rows look at while they compute.
//!
//! Over a sliding frame such an aggregate computes once for each row, of all rows in the frame, and the
//! operator that asks for the values neither waits nor counts what it holds until it hands a batch on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::logical_expr::AggregateUDF;
use frazil_common::UserError;

use super::collect::Collect;
use crate::made::{MadeBytes, MadeBytesMax};
use crate::stop::StatementStop;

/// Rows of a slice of which a sliding frame's values are made, unless they are large.
const SLICE_ROWS: usize = 256;

/// Bytes that the values of a slice of rows come to, unless one value alone has more.
const SLICE_BYTES: usize = 32 * 1024 * 1024;

/// What the aggregates of one operator look at.
#[derive(Debug, Clone)]
pub struct Watch(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    stop: StatementStop,
    held_max: Option<MadeBytesMax>,
    /// Bytes of the values that are made and not yet handed on.
    held: AtomicUsize,
    slice_rows: Arc<AtomicUsize>,
}

impl Watch {
    /// Values are made until the statement is to stop.
    #[must_use]
    pub fn stopping(stop: StatementStop) -> Self {
        Self::new(stop, None)
    }

    /// And while those that are not handed on have fewer bytes than so many.
    #[must_use]
    pub fn counting(stop: StatementStop, held_max: MadeBytesMax) -> Self {
        Self::new(stop, Some(held_max))
    }

    fn new(stop: StatementStop, held_max: Option<MadeBytesMax>) -> Self {
        let slice_rows = Arc::new(AtomicUsize::new(SLICE_ROWS));
        Watch(Arc::new(Watched { stop, held_max, held: AtomicUsize::new(0), slice_rows }))
    }

    /// Of how many rows values may be made before they are handed on; follows what is made of a row.
    #[must_use]
    pub fn slice_rows(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0.slice_rows)
    }

    /// Values of so many bytes ([`value_bytes`](crate::value_bytes)) are with the next operator.
    pub fn handed_on(&self, bytes: usize) {
        let less = |held: usize| Some(held.saturating_sub(bytes));
        // The closure always gives a value.
        let _ = self.0.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    pub(super) fn stop(&self) -> &StatementStop {
        &self.0.stop
    }

    pub(super) fn counts(&self) -> bool {
        self.0.held_max.is_some()
    }

    /// A value of so many bytes is made.
    ///
    /// # Errors
    /// The values that are not handed on have more bytes than they may.
    pub(super) fn made(&self, bytes: usize) -> Result<(), UserError> {
        let rows = (SLICE_BYTES / bytes.max(1)).clamp(1, SLICE_ROWS);
        self.0.slice_rows.store(rows, Ordering::Relaxed);
        let held = self.0.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        MadeBytes::new(self.0.held_max.as_ref()).add(held)
    }
}

/// The aggregate with something to look at, where it collects its rows.
#[must_use]
pub fn watched(aggregate: &AggregateUDF, watch: &Watch) -> Option<AggregateUDF> {
    let collect = aggregate.inner().downcast_ref::<Collect>()?;
    Some(AggregateUDF::from(collect.watched_by(watch.clone())))
}

/// What counts the bytes of the aggregate's values; `None` where all are of one size.
#[must_use]
pub fn counting_watch(aggregate: &AggregateUDF) -> Option<&Watch> {
    aggregate.inner().downcast_ref::<Collect>()?.counting_watch()
}
