//! A consistent copy of the database, taken while others write.

use std::path::Path;

use frazil_common::SnapshotId;
use sqlx::SqlitePool;

use super::{files, snapshots};
use crate::error::Result;

/// A catalog file that is only read: nothing is migrated or brought up to date.
#[derive(Debug)]
pub struct CatalogFile {
    pool: SqlitePool,
}

impl CatalogFile {
    /// Opens a catalog file for reading, also beside a server that writes to it.
    pub async fn open(path: &Path) -> Result<CatalogFile> {
        Ok(CatalogFile { pool: super::reading::open(path, 1).await? })
    }

    /// Writes the database as it is now to the file `to`, which must not exist.
    pub async fn copy_to(&self, to: &Path) -> Result<()> {
        // One read transaction: writers go on beside it.
        sqlx::query("VACUUM INTO ?").bind(to.display().to_string()).execute(&self.pool).await?;
        Ok(())
    }

    /// Number of the newest snapshot.
    pub async fn head(&self) -> Result<SnapshotId> {
        Ok(snapshots::head(&mut *self.pool.acquire().await?).await?.snapshot)
    }

    /// Path below the data folder (absolute ones as they are) and size of every file that any
    /// snapshot reads; paths of files that wait for their removal are left out.
    pub async fn file_paths(&self) -> Result<Vec<(String, i64)>> {
        let mut paths = files::all_paths(&mut *self.pool.acquire().await?).await?;
        paths.retain(|(_, bytes)| *bytes >= 0);
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// Digests of the files that versions of models name; none in a catalog without an account.
    pub async fn model_digests(&self) -> Result<Vec<String>> {
        let mut connection = self.pool.acquire().await?;
        if !super::files::has_table(&mut connection, "frazil_model_version").await? {
            return Ok(Vec::new());
        }
        crate::account::model_digests(&mut connection).await
    }

    /// The absolute data folder that the catalog was last used with, with a slash at its end.
    pub async fn data_path(&self) -> Result<String> {
        Ok(sqlx::query_scalar(
            "SELECT value FROM ducklake_metadata WHERE key = 'data_path' AND scope IS NULL",
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Ends the connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
