//! Column bounds of a whole table, kept for other clients: they plan with them.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::commit::NewSnapshot;
use crate::changes::ColumnStatistics;
use crate::error::Result;

/// A column's flags and bounds: contains NULL, contains NaN, lowest, highest.
#[derive(Debug, Clone, Default, PartialEq)]
struct Bounds {
    null: Option<i64>,
    nan: Option<i64>,
    min: Option<String>,
    max: Option<String>,
}

/// What is on record of a table's columns.
pub struct Stored {
    types: HashMap<i64, String>,
    bounds: HashMap<i64, Bounds>,
}

/// Reads the types of a table's columns and the bounds on record.
pub async fn stored(new: &mut NewSnapshot<'_>, table_id: i64) -> Result<Stored> {
    type Found = (i64, i64, Option<i64>, Option<i64>, Option<String>, Option<String>);
    let rows: Vec<Found> = sqlx::query_as(
        "SELECT 0, column_id, NULL, NULL, column_type, NULL FROM ducklake_column \
         WHERE table_id = ?1 AND end_snapshot IS NULL UNION ALL \
         SELECT 1, column_id, contains_null, contains_nan, min_value, max_value \
         FROM ducklake_table_column_stats WHERE table_id = ?1",
    )
    .bind(table_id)
    .fetch_all(&mut **new.transaction().await?)
    .await?;
    let mut stored = Stored { types: HashMap::new(), bounds: HashMap::new() };
    for (part, column, null, nan, min, max) in rows {
        match part {
            0 => {
                stored.types.insert(column, min.unwrap_or_default());
            }
            _ => {
                stored.bounds.insert(column, Bounds { null, nan, min, max });
            }
        }
    }
    Ok(stored)
}

/// Widens the table's column bounds by those of new rows.
pub fn widen(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    stored: Stored,
    added: &[&ColumnStatistics],
) {
    let Stored { types, bounds: stored } = stored;
    let mut wanted = stored.clone();
    for statistics in added.iter().copied() {
        let Some(physical) = types.get(&statistics.field_id) else { continue };
        if !stored.is_empty() && !stored.contains_key(&statistics.field_id) {
            // The column is younger than other rows, which have its default or NULL: bounds of the
            // new rows would hide them.
            continue;
        }
        let entry = wanted
            .entry(statistics.field_id)
            .or_insert(Bounds { null: Some(0), ..Bounds::default() });
        if statistics.null_count > 0 {
            entry.null = Some(1);
        }
        if let Some(nan) = statistics.contains_nan {
            entry.nan = Some(i64::from(nan || entry.nan == Some(1)));
        }
        if statistics.value_count > 0
            && statistics.min.is_none()
            && statistics.contains_nan != Some(true)
        {
            // Values without a bound: no bound of the whole table holds any more.
            entry.min = None;
            entry.max = None;
            continue;
        }
        move_outward(physical, &mut entry.min, statistics.min.as_deref(), Ordering::Less);
        move_outward(physical, &mut entry.max, statistics.max.as_deref(), Ordering::Greater);
    }
    let changed = wanted.iter().filter(|(column, bounds)| stored.get(column) != Some(bounds));
    if changed.count() > 1 {
        // Which ones differs from commit to commit.
        new.batch.once();
    }
    for (column, bounds) in wanted {
        let statement = match stored.get(&column) {
            Some(same) if *same == bounds => continue,
            Some(_) => {
                "UPDATE ducklake_table_column_stats SET contains_null = ?, contains_nan = ?, \
                 min_value = ?, max_value = ? WHERE table_id = ? AND column_id = ?"
            }
            None => {
                "INSERT INTO ducklake_table_column_stats(contains_null, contains_nan, min_value, \
                 max_value, table_id, column_id) VALUES (?, ?, ?, ?, ?, ?)"
            }
        };
        let Bounds { null, nan, min, max } = bounds;
        let row = new.batch.statement(statement).bind(null).bind(nan).bind(min).bind(max);
        row.bind(table_id).bind(column);
    }
}

fn move_outward(
    physical: &str,
    bound: &mut Option<String>,
    value: Option<&str>,
    outward: Ordering,
) {
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
