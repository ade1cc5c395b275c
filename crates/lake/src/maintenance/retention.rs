//! Removes files that no snapshot names, once nobody can be reading them.

use object_store::path::Path;

use crate::Lake;
use crate::error::Result;

impl Lake {
    /// Removes files scheduled before a time (microseconds since 1970 UTC) and before every open
    /// transaction began; gives their number. A file that any table still names stays.
    pub(super) async fn remove_scheduled(&self, before_micros: i64) -> Result<usize> {
        let oldest = self.active().lock().values().map(|active| active.began_micros).min();
        let before = before_micros.min(oldest.unwrap_or(i64::MAX));
        let names = self.catalog().scheduled_files(before).await?;
        if names.is_empty() {
            return Ok(0);
        }
        let mut paths =
            names.iter().map(|name| self.store().locate(name)).collect::<Result<Vec<Path>>>()?;
        // Files elsewhere were there before another client added them: they are not ours to remove.
        let root = self.store().locate(&self.store().data_path().display().to_string())?;
        paths.retain(|path| path.prefix_matches(&root));
        self.store().remove(&paths).await;
        self.catalog().unschedule_files(&names).await?;
        Ok(paths.len())
    }
}
