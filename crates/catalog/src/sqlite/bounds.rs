//! Column bounds of a whole table, kept for other clients: they plan with them.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::commit::NewSnapshot;
use crate::changes::ColumnStatistics;
use crate::error::Result;

/// Widens the table's column bounds by those of new rows.
pub async fn widen_statistics(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    added: &[&ColumnStatistics],
) -> Result<()> {
    let types: HashMap<i64, String> = sqlx::query_as::<_, (i64, String)>(
        "SELECT column_id, column_type FROM ducklake_column WHERE table_id = ? AND end_snapshot IS NULL",
    )
    .bind(table_id)
    .fetch_all(&mut **new.tx)
    .await?
    .into_iter()
    .collect();
    type Stored = (i64, Option<i64>, Option<i64>, Option<String>, Option<String>);
    let stored: HashMap<i64, Stored> = sqlx::query_as::<_, Stored>(
        "SELECT column_id, contains_null, contains_nan, min_value, max_value \
         FROM ducklake_table_column_stats WHERE table_id = ?",
    )
    .bind(table_id)
    .fetch_all(&mut **new.tx)
    .await?
    .into_iter()
    .map(|row| (row.0, row))
    .collect();
    let mut wanted = stored.clone();
    for statistics in added.iter().copied() {
        let Some(physical) = types.get(&statistics.field_id) else { continue };
        if !stored.is_empty() && !stored.contains_key(&statistics.field_id) {
            // The column is younger than other rows, which have its default or NULL: bounds of the
            // new rows would hide them.
            continue;
        }
        let entry = wanted.entry(statistics.field_id).or_insert((
            statistics.field_id,
            Some(0),
            None,
            None,
            None,
        ));
        if statistics.null_count > 0 {
            entry.1 = Some(1);
        }
        if let Some(nan) = statistics.contains_nan {
            entry.2 = Some(i64::from(nan || entry.2 == Some(1)));
        }
        if statistics.value_count > 0
            && statistics.min.is_none()
            && statistics.contains_nan != Some(true)
        {
            // Values without a bound: no bound of the whole table holds any more.
            entry.3 = None;
            entry.4 = None;
            continue;
        }
        widen(physical, &mut entry.3, statistics.min.as_deref(), Ordering::Less);
        widen(physical, &mut entry.4, statistics.max.as_deref(), Ordering::Greater);
    }
    for (field, row) in wanted {
        match stored.get(&field) {
            Some(same) if *same == row => continue,
            Some(_) => {
                sqlx::query(
                    "UPDATE ducklake_table_column_stats SET contains_null = ?, contains_nan = ?, \
                     min_value = ?, max_value = ? WHERE table_id = ? AND column_id = ?",
                )
                .bind(row.1)
                .bind(row.2)
                .bind(row.3)
                .bind(row.4)
                .bind(table_id)
                .bind(field)
                .execute(&mut **new.tx)
                .await?;
            }
            None => {
                sqlx::query(
                    "INSERT INTO ducklake_table_column_stats VALUES (?, ?, ?, ?, ?, ?, NULL)",
                )
                .bind(table_id)
                .bind(field)
                .bind(row.1)
                .bind(row.2)
                .bind(row.3)
                .bind(row.4)
                .execute(&mut **new.tx)
                .await?;
            }
        }
    }
    Ok(())
}

fn widen(physical: &str, bound: &mut Option<String>, value: Option<&str>, outward: Ordering) {
    let Some(value) = value else { return };
    let wider = match bound.as_deref() {
        None => true,
        Some(current) => compare(physical, value, current) == outward,
    };
    if wider {
        *bound = Some(value.to_string());
    }
}

/// Compares two values in DuckLake's text form.
fn compare(physical: &str, left: &str, right: &str) -> Ordering {
    if physical.starts_with("int") || physical.starts_with("uint") {
        if let (Ok(l), Ok(r)) = (left.parse::<i128>(), right.parse::<i128>()) {
            return l.cmp(&r);
        }
    } else if physical.starts_with("float") {
        if let (Ok(l), Ok(r)) = (left.parse::<f64>(), right.parse::<f64>()) {
            return l.total_cmp(&r);
        }
    } else if physical.starts_with("decimal") {
        let unscaled = |text: &str| text.replace('.', "").parse::<i128>();
        if let (Ok(l), Ok(r)) = (unscaled(left), unscaled(right)) {
            return l.cmp(&r);
        }
    }
    left.cmp(right)
}
