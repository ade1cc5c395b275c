//! Counters.

use super::writer::WriterTurn;

use crate::error::{CatalogError, Result};

/// Takes `count` values of a counter; gives the first.
pub async fn next_values(tx: &mut WriterTurn, counter: i64, count: u64) -> Result<i64> {
    let row: Option<(i64, i64)> =
        sqlx::query_as("SELECT next_value, step FROM frazil_number_series WHERE counter_id = ?")
            .bind(counter)
            .fetch_optional(&mut **tx)
            .await?;
    let (first, step) =
        row.ok_or_else(|| CatalogError::Damaged(format!("counter {counter} is missing")))?;
    let next = i64::try_from(count)
        .ok()
        .and_then(|count| step.checked_mul(count))
        .and_then(|distance| first.checked_add(distance))
        .ok_or_else(|| CatalogError::Damaged(format!("counter {counter} has no value left")))?;
    sqlx::query("UPDATE frazil_number_series SET next_value = ? WHERE counter_id = ?")
        .bind(next)
        .bind(counter)
        .execute(&mut **tx)
        .await?;
    Ok(first)
}
