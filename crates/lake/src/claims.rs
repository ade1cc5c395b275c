//! Tables of which open transactions change rows, and tables of which upkeep moves rows: no table is
//! both at once. A transaction names the rows it takes away by their place, so moved ones would be there
//! twice for it.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Claims {
    tables: Mutex<HashMap<i64, Table>>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// Open transactions that change its rows.
    claims: usize,
    /// Rounds of upkeep that move its rows or are about to.
    moves: usize,
}

impl Claims {
    fn change(&self, table_id: i64, change: impl FnOnce(&mut Table)) {
        let mut tables = self.tables.lock();
        let table = tables.entry(table_id).or_default();
        change(table);
        if table.claims == 0 && table.moves == 0 {
            tables.remove(&table_id);
        }
        drop(tables);
        self.changed.notify_waiters();
    }

    pub fn add(&self, table_id: i64) {
        self.change(table_id, |table| table.claims += 1);
    }

    /// Not where upkeep moves the rows.
    pub fn add_unless_moving(&self, table_id: i64) -> bool {
        let mut tables = self.tables.lock();
        let table = tables.entry(table_id).or_default();
        if table.moves > 0 {
            return false;
        }
        table.claims += 1;
        true
    }

    pub fn remove(&self, table_id: i64) {
        self.change(table_id, |table| table.claims = table.claims.saturating_sub(1));
    }

    pub fn contains(&self, table_id: i64) -> bool {
        self.tables.lock().get(&table_id).is_some_and(|table| table.claims > 0)
    }

    fn moves(&self, table_id: i64) -> bool {
        self.tables.lock().get(&table_id).is_some_and(|table| table.moves > 0)
    }

    /// Begins to move rows; none where an open transaction changes some.
    pub fn begin_move(&self, table_id: i64) -> Option<Moving<'_>> {
        let mut tables = self.tables.lock();
        let table = tables.entry(table_id).or_default();
        if table.claims > 0 {
            return None;
        }
        table.moves += 1;
        Some(Moving { claims: self, table_id })
    }

    /// Begins to move rows before those who come later may change some; none where others go on doing so
    /// for this time.
    pub async fn begin_move_next(&self, table_id: i64, time: Duration) -> Option<Moving<'_>> {
        self.change(table_id, |table| table.moves += 1);
        let moving = Moving { claims: self, table_id };
        let free = self.until(|| !self.contains(table_id));
        tokio::time::timeout(time, free).await.ok().map(|()| moving)
    }

    /// Waits until no rows are being moved.
    pub async fn until_moved(&self, table_id: i64) {
        self.until(|| !self.moves(table_id)).await;
    }

    async fn until(&self, reached: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if reached() {
                return;
            }
            changed.await;
        }
    }
}

/// Rows of a table are being moved until this is dropped.
#[derive(Debug)]
pub(crate) struct Moving<'a> {
    claims: &'a Claims,
    table_id: i64,
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.claims.change(self.table_id, |table| table.moves = table.moves.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn rows_are_not_moved_while_they_are_changed() {
        let claims = Claims::default();
        claims.add(1);
        claims.add(1);
        assert!(claims.begin_move(1).is_none());
        assert!(claims.begin_move(2).is_some());
        claims.remove(1);
        assert!(claims.begin_move_next(1, Duration::from_millis(1)).await.is_none());
        claims.until_moved(1).await;
        let next = claims.begin_move_next(1, LONG);
        tokio::pin!(next);
        assert!(futures::poll!(next.as_mut()).is_pending());
        // Those who come now wait, though nothing is moved yet.
        let waits = claims.until_moved(1);
        tokio::pin!(waits);
        assert!(futures::poll!(waits.as_mut()).is_pending());
        claims.remove(1);
        let moving = next.await.unwrap();
        assert!(futures::poll!(waits.as_mut()).is_pending());
        assert!(!claims.add_unless_moving(1));
        drop(moving);
        waits.await;
        assert!(claims.add_unless_moving(1));
        claims.remove(1);
        assert!(claims.tables.lock().is_empty());
    }
}
