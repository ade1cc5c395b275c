//! Work that takes long without waiting, on threads that also talk to clients.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

/// Texts up to this many bytes are parsed and planned in less time than a change of threads costs.
const SHORT_TEXT: usize = 4096;

/// Does what a statement of so many bytes asks for where others can go on meanwhile: the thread's other
/// tasks (answers, cancellations, health) move to another one first. Short ones are done at once.
pub(crate) fn apart<T>(text_bytes: usize, work: impl FnOnce() -> T) -> T {
    if text_bytes <= SHORT_TEXT || !has_many_threads() {
        return work();
    }
    tokio::task::block_in_place(work)
}

fn has_many_threads() -> bool {
    Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// After so long others that wait for the thread have a turn.
const TURN: Duration = Duration::from_millis(20);

/// Time in which another thread takes the tasks of this one.
const TAKEN_OVER: Duration = Duration::from_micros(100);

thread_local! {
    /// The work that looked last on this thread, and since when others had no turn.
    static SINCE: Cell<Option<(u64, Instant)>> = const { Cell::new(None) };
}

/// The turns of others beside a piece of work that computes for long without waiting: a join that looks
/// for pairs and finds none, an aggregate over a long frame. What waits behind it on a thread would wait
/// until its end, with other threads idle.
#[derive(Debug)]
pub(crate) struct Turns(u64);

impl Turns {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Turns(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Hands the thread's other tasks to another thread, if this work went on for a while. Asked often.
    pub fn let_others(&self) {
        let now = Instant::now();
        let since = match SINCE.get() {
            Some((work, since)) if work == self.0 => since,
            _ => now,
        };
        if now.duration_since(since) < TURN {
            SINCE.set(Some((self.0, since)));
            return;
        }
        if has_many_threads() {
            tokio::task::block_in_place(|| std::thread::sleep(TAKEN_OVER));
        }
        SINCE.set(Some((self.0, Instant::now())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_thread_does_it_itself() {
        assert_eq!(apart(1 << 20, || 7), 7);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_go_on_meanwhile() {
        let (told, other) = std::sync::mpsc::channel();
        // Queued on the one worker, which goes on with it only once it is taken over.
        let long = tokio::spawn(async move {
            tokio::spawn(async move { told.send(()) });
            apart(1 << 20, move || other.recv_timeout(std::time::Duration::from_secs(30)).is_ok())
        });
        assert!(long.await.is_ok_and(|heard| heard));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_have_their_turns() {
        let (told, other) = std::sync::mpsc::channel();
        let long = tokio::spawn(async move {
            tokio::spawn(async move { told.send(()) });
            let (turns, begun) = (Turns::new(), Instant::now());
            while begun.elapsed() < Duration::from_secs(30) {
                turns.let_others();
                if other.try_recv().is_ok() {
                    return true;
                }
            }
            false
        });
        assert!(long.await.is_ok_and(|heard| heard));
    }

    #[tokio::test]
    async fn on_one_thread_there_are_no_turns() {
        let turns = Turns::new();
        let begun = Instant::now();
        while begun.elapsed() < 2 * TURN {
            turns.let_others();
        }
    }
}
