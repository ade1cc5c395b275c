//! Work that takes long without waiting, on threads that also talk to clients.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Texts up to this many bytes are parsed and planned in less time than a change of threads costs.
const SHORT_TEXT: usize = 4096;

/// Does what a statement of so many bytes asks for where others can go on meanwhile: the thread's other
/// tasks (answers, cancellations, health) move to another one first. Short ones are done at once.
pub(crate) fn apart<T>(text_bytes: usize, work: impl FnOnce() -> T) -> T {
    let many_threads = Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if text_bytes <= SHORT_TEXT || !many_threads {
        return work();
    }
    tokio::task::block_in_place(work)
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
}
