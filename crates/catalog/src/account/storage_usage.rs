//! What databases and stages took on the disk, by day.

use sqlx::Row;

use super::{AccountStore, Writer};
use crate::Result;

/// What something takes at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSample {
    /// None for the files of stages.
    pub database: Option<(i64, String)>,
    pub bytes: u64,
}

/// What something took on average over a day.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageDay {
    /// Days since 1970 UTC.
    pub day: i64,
    /// None for the files of stages.
    pub database: Option<(i64, String)>,
    pub average_bytes: f64,
}

const DAY_MICROS: i64 = 86_400_000_000;

/// The day of a time in microseconds since 1970 UTC.
pub fn day_of(micros: i64) -> i64 {
    micros.div_euclid(DAY_MICROS)
}

/// Stands for the stages, where ids of databases do.
const STAGES: i64 = -1;

impl AccountStore {
    /// What was taken on each day, oldest first.
    pub async fn storage_days(&self) -> Result<Vec<StorageDay>> {
        sqlx::query(
            "SELECT usage_day, database_id, database_name, byte_sum, samples
             FROM frazil_storage_usage ORDER BY usage_day, database_id",
        )
        .fetch_all(&mut *self.reader().await?)
        .await?
        .iter()
        .map(|row| {
            let id: i64 = row.try_get("database_id")?;
            let (sum, samples): (f64, i64) = (row.try_get("byte_sum")?, row.try_get("samples")?);
            Ok(StorageDay {
                day: row.try_get("usage_day")?,
                database: match id {
                    STAGES => None,
                    _ => Some((id, row.try_get("database_name")?)),
                },
                average_bytes: sum / samples.max(1) as f64,
            })
        })
        .collect()
    }
}

impl Writer<'_> {
    /// Adds samples to a day's average.
    pub async fn add_storage_samples(&mut self, day: i64, samples: &[StorageSample]) -> Result<()> {
        for sample in samples {
            let (id, name) = match &sample.database {
                Some((id, name)) => (*id, name.as_str()),
                None => (STAGES, ""),
            };
            sqlx::query(
                "INSERT INTO frazil_storage_usage
                    (usage_day, database_id, database_name, byte_sum, samples)
                 VALUES ($1, $2, $3, $4, 1)
                 ON CONFLICT (usage_day, database_id) DO UPDATE SET
                    database_name = excluded.database_name,
                    byte_sum = frazil_storage_usage.byte_sum + excluded.byte_sum,
                    samples = frazil_storage_usage.samples + 1",
            )
            .bind(day)
            .bind(id)
            .bind(name)
            .bind(sample.bytes as f64)
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(())
    }

    /// Forgets the days before a time.
    pub(super) async fn prune_storage_days(&mut self, before: i64) -> Result<()> {
        sqlx::query("DELETE FROM frazil_storage_usage WHERE usage_day < $1")
            .bind(day_of(before))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}
