//! Memory of a part of the server: a bound of its own within that of the whole.

use std::fmt;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// Grants what both its own bound and the whole pool grant.
#[derive(Debug)]
pub(crate) struct PartPool {
    label: String,
    own: FairSpillPool,
    whole: Arc<dyn MemoryPool>,
}

impl PartPool {
    /// `label` names the part in errors.
    pub fn new(label: &str, bytes: usize, whole: Arc<dyn MemoryPool>) -> Self {
        PartPool { label: label.to_string(), own: FairSpillPool::new(bytes), whole }
    }
}

impl fmt::Display for PartPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.label, self.whole)
    }
}

impl MemoryPool for PartPool {
    fn name(&self) -> &str {
        &self.label
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
        self.whole.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
        self.whole.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.whole.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.whole.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional).map_err(|error| match error.find_root() {
            // Operators spill on this kind of error alone.
            DataFusionError::ResourcesExhausted(message) => {
                DataFusionError::ResourcesExhausted(format!("{}: {message}", self.label))
            }
            _ => error,
        })?;
        self.whole
            .try_grow(reservation, additional)
            .inspect_err(|_| self.own.shrink(reservation, additional))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pools(part: usize, whole: usize) -> (Arc<dyn MemoryPool>, Arc<dyn MemoryPool>) {
        let whole: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(whole));
        (Arc::new(PartPool::new("part", part, whole.clone())), whole)
    }

    #[test]
    fn both_bounds_hold_and_both_count() {
        let (part, whole) = pools(100, 150);
        let one = MemoryConsumer::new("one").register(&part);
        one.try_grow(80).unwrap();
        let error = one.try_grow(30).unwrap_err().to_string();
        assert!(error.contains("part: "), "{error}");
        assert_eq!((part.reserved(), whole.reserved()), (80, 80));
        let other = MemoryConsumer::new("other").register(&whole);
        other.try_grow(60).unwrap();
        assert!(one.try_grow(15).is_err());
        assert_eq!((part.reserved(), whole.reserved()), (80, 140));
        drop(one);
        assert_eq!((part.reserved(), whole.reserved()), (0, 60));
    }
}
