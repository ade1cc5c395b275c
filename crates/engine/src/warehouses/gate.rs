//! A door with so many places behind it and a line before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lets so many statements through at a time; the others wait in the order they came.
#[derive(Debug)]
pub(crate) struct Gate {
    permits: Arc<Semaphore>,
    level: Mutex<Level>,
    inside: AtomicUsize,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Level {
    places: usize,
    /// Places taken away while statements were in them; they go when these leave.
    owed: usize,
}

/// The line is as long as it may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineFull;

impl Gate {
    pub fn new(places: usize) -> Arc<Gate> {
        let places = places.max(1);
        Arc::new(Gate {
            permits: Arc::new(Semaphore::new(places)),
            level: Mutex::new(Level { places, owed: 0 }),
            inside: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Changes the number of places. Statements inside stay.
    pub fn set_places(&self, places: usize) {
        let places = places.max(1);
        let mut level = self.level.lock();
        if places > level.places {
            let more = places - level.places;
            let paid = more.min(level.owed);
            level.owed -= paid;
            self.permits.add_permits(more - paid);
        } else {
            let fewer = level.places - places;
            level.owed += fewer - self.permits.forget_permits(fewer);
        }
        level.places = places;
    }

    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Takes a place when there is one, waiting behind at most `line` others.
    pub async fn enter(self: &Arc<Self>, line: usize) -> Result<Pass, LineFull> {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _in_line = InLine::join(self, line)?;
                // The semaphore is never closed.
                self.permits.clone().acquire_owned().await.map_err(|_| LineFull)?
            }
        };
        Ok(self.pass(Some(permit)))
    }

    /// Goes in beside the places: for a statement that others inside may wait for.
    pub fn enter_beside(self: &Arc<Self>) -> Pass {
        self.pass(None)
    }

    fn pass(self: &Arc<Self>, permit: Option<OwnedSemaphorePermit>) -> Pass {
        self.inside.fetch_add(1, Ordering::SeqCst);
        Pass { gate: self.clone(), permit }
    }
}

/// A statement that waits; counted until it goes in or away.
struct InLine<'a>(&'a Gate);

impl<'a> InLine<'a> {
    fn join(gate: &'a Gate, line: usize) -> Result<Self, LineFull> {
        let joined = gate.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |waiting| {
            (waiting < line).then_some(waiting + 1)
        });
        joined.map(|_| InLine(gate)).map_err(|_| LineFull)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place behind the gate, free again when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Pass {
    fn free_place(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let mut level = self.gate.level.lock();
        if level.owed > 0 {
            level.owed -= 1;
            permit.forget();
        }
    }

    /// Takes a place where one is free, and is beside them otherwise.
    fn take_place(&mut self) {
        if self.permit.is_none() {
            self.permit = self.gate.permits.clone().try_acquire_owned().ok();
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.inside.fetch_sub(1, Ordering::SeqCst);
        self.free_place();
    }
}

/// A pass in the statement's own hands. Cheap to clone; free again when the last one is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Place(Arc<Mutex<Pass>>);

impl Place {
    pub fn new(pass: Pass) -> Place {
        Place(Arc::new(Mutex::new(pass)))
    }

    /// Leaves the place to others for as long as the statement waits for something. After that it does
    /// not wait for a place again, as others may wait for what it has got meanwhile.
    pub fn step_aside(&self) -> Aside<'_> {
        self.0.lock().free_place();
        Aside(self)
    }
}

/// A statement that is inside and has no place.
#[derive(Debug)]
pub(crate) struct Aside<'a>(&'a Place);

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        self.0.0.lock().take_place();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn places_are_taken_in_order_and_the_line_ends() {
        let gate = Gate::new(1);
        let first = gate.enter(1).await.unwrap();
        let second = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter(1).await }
        });
        while gate.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.enter(1).await.unwrap_err(), LineFull);
        let beside = gate.enter_beside();
        assert_eq!(gate.inside(), 2);
        drop(beside);
        drop(first);
        let second = second.await.unwrap().unwrap();
        assert_eq!((gate.inside(), gate.waiting()), (1, 0));
        drop(second);
        assert_eq!(gate.inside(), 0);
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_the_line() {
        let gate = Gate::new(1);
        let first = gate.enter(1).await.unwrap();
        let tried = tokio::time::timeout(Duration::from_millis(5), gate.enter(1)).await;
        assert!(tried.is_err());
        assert_eq!(gate.waiting(), 0);
        drop(first);
        assert!(gate.enter(0).await.is_ok());
    }

    #[tokio::test]
    async fn whoever_steps_aside_leaves_the_place_to_others() {
        let gate = Gate::new(1);
        let place = Place::new(gate.enter(0).await.unwrap());
        let aside = place.step_aside();
        let other = gate.enter(0).await.unwrap();
        // The place is taken: it goes on beside it.
        drop(aside);
        assert_eq!(gate.inside(), 2);
        drop(place.step_aside());
        drop(other);
        // The place is free: it is taken again.
        drop(place.step_aside());
        assert_eq!(gate.enter(0).await.unwrap_err(), LineFull);
        // One place fewer in the meantime.
        gate.set_places(2);
        let second = gate.enter(0).await.unwrap();
        gate.set_places(1);
        let aside = place.step_aside();
        assert_eq!(gate.enter(0).await.unwrap_err(), LineFull);
        drop(second);
        drop(aside);
        assert_eq!(gate.enter(0).await.unwrap_err(), LineFull);
        drop(place);
        assert_eq!(gate.inside(), 0);
        assert!(gate.enter(0).await.is_ok());
    }

    #[tokio::test]
    async fn the_number_of_places_changes_under_way() {
        let gate = Gate::new(3);
        let inside = [gate.enter(0).await.unwrap(), gate.enter(0).await.unwrap()];
        gate.set_places(1);
        assert_eq!(gate.enter(0).await.unwrap_err(), LineFull);
        drop(inside);
        let one = gate.enter(0).await.unwrap();
        assert_eq!(gate.enter(0).await.unwrap_err(), LineFull);
        gate.set_places(2);
        let two = gate.enter(0).await.unwrap();
        gate.set_places(1);
        gate.set_places(2);
        assert_eq!(gate.enter(0).await.unwrap_err(), LineFull);
        drop((one, two));
        let _all = [gate.enter(0).await.unwrap(), gate.enter(0).await.unwrap()];
        assert_eq!(gate.enter(0).await.unwrap_err(), LineFull);
    }
}
