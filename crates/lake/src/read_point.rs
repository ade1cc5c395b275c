//! A newest snapshot that was read before the transaction that is to see it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use frazil_catalog::{CatalogView, Head};
use frazil_common::SnapshotId;

use crate::error::Result;
use crate::{Active, Lake};

/// After so long the newest snapshot is asked for again: another process may have committed.
const FRESH_FOR: Duration = Duration::from_millis(50);

/// A place in the lake's history for a transaction that is about to begin. What can be read there stays
/// until this is dropped.
#[derive(Debug)]
pub struct ReadPoint {
    lake: Lake,
    /// Its number among the open transactions; none once a transaction has it.
    number: Option<u64>,
    head: Option<(Head, Instant)>,
}

impl ReadPoint {
    pub(crate) fn new(lake: Lake) -> ReadPoint {
        let number = lake.next_number();
        let began_micros = chrono::Utc::now().timestamp_micros();
        lake.active().lock().insert(number, Active { began_micros, snapshot: -1 });
        ReadPoint { lake, number: Some(number), head: None }
    }

    /// Notes what was the newest snapshot after this was made.
    pub fn set(&mut self, head: Head) {
        self.note(head.snapshot);
        self.head = Some((head, Instant::now()));
    }

    /// Whether what was noted is of this moment.
    pub fn is_fresh(&self) -> bool {
        self.head.is_some_and(|(_, noted)| noted.elapsed() < FRESH_FOR)
    }

    fn note(&self, snapshot: SnapshotId) {
        if let Some(number) = self.number
            && let Some(active) = self.lake.active().lock().get_mut(&number)
        {
            active.snapshot = snapshot;
        }
    }

    /// The number for a transaction that reads a snapshot, and keeps it from here on.
    pub(crate) fn hand_over(mut self, snapshot: SnapshotId) -> u64 {
        self.note(snapshot);
        self.number.take().unwrap_or_default()
    }

    /// The definitions of the newest snapshot: the one that was noted, where it is of this moment and no
    /// commit of this process came after it, or else the one that is read now.
    pub(crate) async fn view(&self) -> Result<Arc<CatalogView>> {
        let catalog = self.lake.catalog();
        if self.is_fresh()
            && let Some((head, _)) = self.head
            && head.snapshot >= catalog.last_commit()
            && let Some(view) = catalog.view_of(head).await?
        {
            return Ok(view);
        }
        Ok(catalog.head_view().await?)
    }
}

impl Drop for ReadPoint {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.lake.active().lock().remove(&number);
        }
    }
}
