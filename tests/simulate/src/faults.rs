//! When a call to the outside fails, and how. Everything is drawn from one seed.

use std::time::Duration;

use parking_lot::Mutex;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Reading an object, or a listing.
    Read,
    /// Writing an object or a part of one.
    Write,
    Delete,
    /// Making objects last.
    Sync,
    /// Reading the catalog.
    CatalogRead,
    /// A durable change of the catalog.
    CatalogWrite,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Work,
    /// It does nothing and answers an error.
    Fail,
    /// It works, but answers an error.
    WorkAndFail,
    /// The process dies before it has an effect.
    Die,
    /// The process dies halfway through it.
    DieHalfway,
    /// The process dies after it, before the answer is heard.
    WorkAndDie,
    /// The process has died before.
    Dead,
}

#[derive(Debug)]
struct State {
    rng: ChaCha8Rng,
    calls: u64,
    die_at: Option<u64>,
    /// The same, counted in changes of the catalog.
    die_at_change: Option<u64>,
    changes: u64,
    dead: bool,
    paused: bool,
    /// Calls of a thousand that answer an error.
    error_rate: u32,
    /// Calls of a thousand that answer late.
    late_rate: u32,
    /// The disk is full for calls in this range.
    full: Option<std::ops::Range<u64>>,
    /// A catalog change took effect although its caller got an error.
    in_doubt: bool,
}

/// The faults of one run.
#[derive(Debug)]
pub struct Faults {
    state: Mutex<State>,
}

impl Faults {
    /// The faults that a seed stands for.
    pub fn new(seed: u64) -> Faults {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6661_756c_7473);
        // One run in ten ends by itself, one in three dies within a change of the catalog.
        let kind = rng.random_range(0..10);
        let die_at = (4..10).contains(&kind).then(|| rng.random_range(5..220));
        let die_at_change = (1..4).contains(&kind).then(|| rng.random_range(1..15));
        let full = rng.random_bool(0.25).then(|| {
            let from = rng.random_range(5..300);
            from..from + rng.random_range(3..60)
        });
        let error_rate = if rng.random_bool(0.5) { rng.random_range(1..40) } else { 0 };
        let late_rate = if rng.random_bool(0.2) { 20 } else { 0 };
        Faults {
            state: Mutex::new(State {
                rng,
                calls: 0,
                die_at,
                die_at_change,
                changes: 0,
                dead: false,
                paused: false,
                error_rate,
                late_rate,
                full,
                in_doubt: false,
            }),
        }
    }

    /// Decides a call's fate; a late answer is waited for here.
    pub async fn judge(&self, call: Call) -> Verdict {
        let (verdict, late) = {
            let mut state = self.state.lock();
            let verdict = state.judge(call);
            let rate = state.late_rate;
            (verdict, !state.paused && rate > 0 && state.rng.random_ratio(rate, 1000))
        };
        if late {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        verdict
    }

    /// Whether the process has died.
    pub fn is_dead(&self) -> bool {
        self.state.lock().dead
    }

    /// Ends the process where it did not die by itself.
    pub fn die(&self) {
        self.state.lock().dead = true;
    }

    /// Lets all calls through, for the checker's own reads; gives what it was before.
    pub fn pause(&self, paused: bool) -> bool {
        std::mem::replace(&mut self.state.lock().paused, paused)
    }

    /// Whether a catalog change took effect unheard since the last question.
    pub fn take_in_doubt(&self) -> bool {
        std::mem::take(&mut self.state.lock().in_doubt)
    }

    /// Calls made so far.
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// A number below `limit` from the same seed.
    pub fn below(&self, limit: usize) -> usize {
        self.state.lock().rng.random_range(0..limit.max(1))
    }
}

impl State {
    fn judge(&mut self, call: Call) -> Verdict {
        if self.paused {
            return Verdict::Work;
        }
        if self.dead {
            return Verdict::Dead;
        }
        self.calls += 1;
        self.changes += u64::from(call == Call::CatalogWrite);
        if self.die_at.is_some_and(|at| self.calls >= at)
            || self.die_at_change.is_some_and(|at| self.changes >= at)
        {
            self.dead = true;
            let verdict = match self.rng.random_range(0..3) {
                0 => Verdict::Die,
                1 => Verdict::DieHalfway,
                _ => Verdict::WorkAndDie,
            };
            self.in_doubt |= call == Call::CatalogWrite && verdict != Verdict::Die;
            return verdict;
        }
        let full = self.full.as_ref().is_some_and(|range| range.contains(&self.calls));
        if full && matches!(call, Call::Write | Call::CatalogWrite) {
            return Verdict::Fail;
        }
        if self.error_rate > 0 && self.rng.random_ratio(self.error_rate, 1000) {
            // Half of the lost answers belong to calls that worked.
            let worked = call != Call::Sync && self.rng.random_bool(0.5);
            if worked {
                self.in_doubt |= call == Call::CatalogWrite;
                return Verdict::WorkAndFail;
            }
            return Verdict::Fail;
        }
        Verdict::Work
    }
}
