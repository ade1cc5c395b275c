//! Files on their way into a commit.

use std::time::Duration;

use object_store::path::Path;

use crate::files::FileStore;

/// Time after which a file that was given up half written is looked for once more.
const LATE_FILE_PAUSE: Duration = Duration::from_secs(60);

/// Files that nobody answers for yet. A statement that is cancelled ends anywhere: dropped, this removes
/// them.
#[derive(Debug)]
pub(crate) struct Unclaimed {
    store: FileStore,
    paths: Vec<Path>,
    /// Whether the store may put them in their place later.
    in_the_making: bool,
}

impl Unclaimed {
    /// Finished files.
    pub fn new(store: &FileStore, paths: Vec<Path>) -> Unclaimed {
        Unclaimed { store: store.clone(), paths, in_the_making: false }
    }

    /// A file that is being written.
    pub fn in_the_making(store: &FileStore, path: Path) -> Unclaimed {
        Unclaimed { store: store.clone(), paths: vec![path], in_the_making: true }
    }

    /// One more.
    pub fn push(&mut self, path: Path) {
        self.paths.push(path);
    }

    /// One of them, if any is left.
    pub fn last(&self) -> Option<&Path> {
        self.paths.last()
    }

    /// That one is gone.
    pub fn pop(&mut self) {
        self.paths.pop();
    }

    /// Somebody answers for them now.
    pub fn claim(mut self) {
        self.take();
    }

    /// The same, for who does.
    pub fn take(&mut self) -> Vec<Path> {
        std::mem::take(&mut self.paths)
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if self.paths.is_empty() {
            return;
        }
        // Without a runtime the files stay as orphans until the next clean-up.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (store, paths) = (self.store.clone(), std::mem::take(&mut self.paths));
        let in_the_making = self.in_the_making;
        runtime.spawn(async move {
            store.remove(&paths).await;
            if in_the_making {
                tokio::time::sleep(LATE_FILE_PAUSE).await;
                store.remove(&paths).await;
            }
        });
    }
}
