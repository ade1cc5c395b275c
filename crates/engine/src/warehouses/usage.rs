//! The times in which warehouses ran, with their credits: as stored, and what is to be stored.

use std::collections::{BTreeMap, BTreeSet};

use frazil_catalog::account::MeteredTime;

/// How far back the times are kept at hand: the longest period of a resource monitor, and more.
pub(super) const KEPT_MICROS: i64 = 400 * 24 * 3600 * 1_000_000;

/// A warehouse and the start of the time.
type Key = (i64, i64);

#[derive(Debug, Default)]
pub(super) struct Usage {
    times: BTreeMap<Key, MeteredTime>,
    unstored: BTreeSet<Key>,
}

impl Usage {
    pub fn stored(times: Vec<MeteredTime>) -> Self {
        let times = times.into_iter().map(|time| ((time.warehouse_id, time.start_time), time));
        Usage { times: times.collect(), unstored: BTreeSet::new() }
    }

    /// Takes a time that is new, or has grown.
    pub fn add(&mut self, time: MeteredTime) {
        let key = (time.warehouse_id, time.start_time);
        if self.times.get(&key) != Some(&time) {
            self.unstored.insert(key);
            self.times.insert(key, time);
        }
    }

    pub fn unstored(&self) -> Vec<MeteredTime> {
        self.unstored.iter().filter_map(|key| self.times.get(key)).cloned().collect()
    }

    /// What was stored need not be stored again, unless it has grown since.
    pub fn note_stored(&mut self, stored: &[MeteredTime]) {
        for time in stored {
            let key = (time.warehouse_id, time.start_time);
            if self.times.get(&key) == Some(time) {
                self.unstored.remove(&key);
            }
        }
    }

    /// The credits of some warehouses since a time.
    pub fn credits(&self, since: i64, of: impl Fn(i64) -> bool) -> f64 {
        let times = self.times.values().filter(|time| of(time.warehouse_id));
        // A sum of nothing would be -0.
        times.map(|time| time.credits_since(since)).fold(0.0, |sum, credits| sum + credits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(warehouse_id: i64, start_time: i64, end_time: i64, credits: f64) -> MeteredTime {
        MeteredTime { warehouse_id, warehouse_name: "W".into(), start_time, end_time, credits }
    }

    #[test]
    fn times_grow_and_are_stored_once() {
        let mut usage = Usage::stored(vec![time(1, 0, 10, 1.0)]);
        assert!(usage.unstored().is_empty());
        usage.add(time(1, 0, 10, 1.0));
        assert!(usage.unstored().is_empty());
        usage.add(time(1, 0, 20, 2.0));
        let taken = usage.unstored();
        usage.add(time(1, 0, 30, 3.0));
        usage.note_stored(&taken);
        assert_eq!(usage.unstored(), [time(1, 0, 30, 3.0)]);
        usage.note_stored(&[time(1, 0, 30, 3.0)]);
        assert!(usage.unstored().is_empty());
    }

    #[test]
    fn credits_count_from_a_time_on() {
        let usage = Usage::stored(vec![time(1, 0, 10, 1.0), time(2, 10, 20, 4.0)]);
        assert_eq!(usage.credits(0, |_| true), 5.0);
        assert_eq!(usage.credits(15, |_| true), 2.0);
        assert_eq!(usage.credits(0, |id| id == 2), 4.0);
        assert_eq!(usage.credits(20, |_| true), 0.0);
    }
}
