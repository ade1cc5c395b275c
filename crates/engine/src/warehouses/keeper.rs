//! Lets time pass for the warehouses as long as the engine lives.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Warehouses;

const TICK_EVERY: Duration = Duration::from_secs(1);
/// Ticks between two writes of what was counted.
const SAVE_EVERY: u32 = 10;
/// Ticks between two looks for history that is too old.
const PRUNE_EVERY: u32 = 3600;

/// The background work; it holds no warehouse while it waits.
pub(crate) struct Keeper {
    stop: CancellationToken,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Starts on the current runtime.
    pub fn start(warehouses: &Arc<Warehouses>) -> Keeper {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(Arc::downgrade(warehouses), stop.clone()));
        Keeper { stop, task: tokio::sync::Mutex::new(Some(task)) }
    }

    /// Stops after the work in hand.
    pub async fn stop(&self) {
        self.stop.cancel();
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::warn!(%error, "the keeper of the warehouses was broken off");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn run(warehouses: Weak<Warehouses>, stop: CancellationToken) {
    let mut ticks = 0_u32;
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK_EVERY) => {}
            () = stop.cancelled() => return,
        }
        let Some(warehouses) = warehouses.upgrade() else { return };
        if let Err(error) = warehouses.tick().await {
            tracing::warn!(%error, "warehouses could not be looked after");
        }
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(SAVE_EVERY)
            && let Err(error) = warehouses.save().await
        {
            tracing::warn!(%error, "credits of warehouses could not be written");
        }
        if ticks.is_multiple_of(PRUNE_EVERY)
            && let Err(error) = warehouses.prune_history().await
        {
            tracing::warn!(%error, "old history could not be removed");
        }
    }
}
