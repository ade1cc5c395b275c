//! What warehouses used: the times they ran with their credits, and what was done to them.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::{from_json, to_json};
use super::{AccountStore, Writer};
use crate::Result;

/// A stretch of time, within one hour, in which a warehouse ran. Times in microseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct MeteredTime {
    pub warehouse_id: i64,
    pub warehouse_name: String,
    pub start_time: i64,
    pub end_time: i64,
    pub credits: f64,
}

impl MeteredTime {
    /// Its credits at or after a time, in proportion.
    pub fn credits_since(&self, time: i64) -> f64 {
        if self.start_time >= time {
            return self.credits;
        }
        if self.end_time <= time {
            return 0.0;
        }
        let length = (self.end_time - self.start_time) as f64;
        self.credits * ((self.end_time - time) as f64 / length)
    }
}

/// Something done to a warehouse, in the words of WAREHOUSE_EVENTS_HISTORY.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WarehouseEvent {
    pub event_time: i64,
    pub warehouse_id: i64,
    pub warehouse_name: String,
    /// Such as `RESUME_WAREHOUSE`.
    pub event_name: String,
    /// Such as `WAREHOUSE_AUTORESUME`.
    pub event_reason: String,
    pub size: String,
    /// None for what the server did by itself.
    pub user: Option<String>,
    pub role: Option<String>,
    pub query_id: Option<String>,
}

/// A trigger of a resource monitor that was reached in a period.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Notification {
    pub event_id: i64,
    pub event_time: i64,
    pub monitor_id: i64,
    pub monitor_name: String,
    pub period_start: i64,
    pub percent: u32,
    pub used_credits: f64,
    pub credit_quota: Option<i64>,
    pub notify_users: Vec<String>,
}

impl MeteredTime {
    fn from_row(row: &SqliteRow) -> Result<Self> {
        Ok(MeteredTime {
            warehouse_id: row.try_get("warehouse_id")?,
            warehouse_name: row.try_get("warehouse_name")?,
            start_time: row.try_get("start_time")?,
            end_time: row.try_get("end_time")?,
            credits: row.try_get("credits")?,
        })
    }
}

impl AccountStore {
    /// The times in which warehouses ran that end after `from`, oldest first.
    pub async fn metered_times(&self, from: i64) -> Result<Vec<MeteredTime>> {
        sqlx::query(
            "SELECT * FROM frazil_metering WHERE end_time >= $1
             ORDER BY start_time, warehouse_id",
        )
        .bind(from)
        .fetch_all(&mut *self.reader().await?)
        .await?
        .iter()
        .map(MeteredTime::from_row)
        .collect()
    }

    /// The triggers that were reached in a closed range of times, newest first.
    pub async fn notifications(&self, from: i64, to: i64, limit: i64) -> Result<Vec<Notification>> {
        sqlx::query(
            "SELECT * FROM frazil_notification WHERE event_time BETWEEN $1 AND $2
             ORDER BY event_time DESC, event_id DESC LIMIT $3",
        )
        .bind(from)
        .bind(to)
        .bind(limit)
        .fetch_all(&mut *self.reader().await?)
        .await?
        .iter()
        .map(|row| {
            Ok(Notification {
                event_id: row.try_get("event_id")?,
                event_time: row.try_get("event_time")?,
                monitor_id: row.try_get("monitor_id")?,
                monitor_name: row.try_get("monitor_name")?,
                period_start: row.try_get("period_start")?,
                percent: row.try_get("percent")?,
                used_credits: row.try_get("used_credits")?,
                credit_quota: row.try_get("credit_quota")?,
                notify_users: from_json(row.try_get("notify_users")?)?,
            })
        })
        .collect()
    }

    /// What was done to warehouses since a time, newest first.
    pub async fn warehouse_events(&self, from: i64) -> Result<Vec<WarehouseEvent>> {
        sqlx::query(
            "SELECT * FROM frazil_warehouse_event WHERE event_time >= $1
             ORDER BY event_time DESC, event_id DESC",
        )
        .bind(from)
        .fetch_all(&mut *self.reader().await?)
        .await?
        .iter()
        .map(|row| {
            Ok(WarehouseEvent {
                event_time: row.try_get("event_time")?,
                warehouse_id: row.try_get("warehouse_id")?,
                warehouse_name: row.try_get("warehouse_name")?,
                event_name: row.try_get("event_name")?,
                event_reason: row.try_get("event_reason")?,
                size: row.try_get("size")?,
                user: row.try_get("user_name")?,
                role: row.try_get("role_name")?,
                query_id: row.try_get("query_id")?,
            })
        })
        .collect()
    }
}

impl Writer<'_> {
    /// Keeps times in which warehouses ran; one that began earlier is written over.
    pub async fn save_metered_times(&mut self, times: &[MeteredTime]) -> Result<()> {
        for time in times {
            sqlx::query(
                "INSERT INTO frazil_metering
                    (warehouse_id, warehouse_name, start_time, end_time, credits)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (warehouse_id, start_time) DO UPDATE SET
                    end_time = excluded.end_time, credits = excluded.credits",
            )
            .bind(time.warehouse_id)
            .bind(&time.warehouse_name)
            .bind(time.start_time)
            .bind(time.end_time)
            .bind(time.credits)
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(())
    }

    /// Keeps that a trigger was reached; tells whether that was not known of its period.
    pub async fn insert_notification(&mut self, notification: &Notification) -> Result<bool> {
        let inserted = sqlx::query(
            "INSERT INTO frazil_notification (monitor_id, period_start, percent, event_id,
                event_time, monitor_name, used_credits, credit_quota, notify_users)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        )
        .bind(notification.monitor_id)
        .bind(notification.period_start)
        .bind(notification.percent)
        .bind(self.next_id().await?)
        .bind(notification.event_time)
        .bind(&notification.monitor_name)
        .bind(notification.used_credits)
        .bind(notification.credit_quota)
        .bind(to_json(&notification.notify_users)?)
        .execute(&mut *self.connection)
        .await?;
        Ok(inserted.rows_affected() > 0)
    }

    /// Keeps what was done to a warehouse.
    pub async fn insert_warehouse_event(&mut self, event: &WarehouseEvent) -> Result<()> {
        sqlx::query(
            "INSERT INTO frazil_warehouse_event (event_id, event_time, warehouse_id,
                warehouse_name, event_name, event_reason, size, user_name, role_name, query_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(self.next_id().await?)
        .bind(event.event_time)
        .bind(event.warehouse_id)
        .bind(&event.warehouse_name)
        .bind(&event.event_name)
        .bind(&event.event_reason)
        .bind(&event.size)
        .bind(&event.user)
        .bind(&event.role)
        .bind(&event.query_id)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
