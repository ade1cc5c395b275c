//! Column bounds of a whole table, kept for other clients: they plan with them.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

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
#[derive(Debug)]
pub struct Stored {
    types: HashMap<i64, String>,
    bounds: HashMap<i64, Bounds>,
}

/// The types of the columns of table `?1`, and the bounds on record.
pub const STORED: &str = "SELECT 0, column_id, NULL, NULL, column_type, NULL FROM ducklake_column \
     WHERE table_id = ?1 AND end_snapshot IS NULL UNION ALL \
     SELECT 1, column_id, contains_null, contains_nan, min_value, max_value \
     FROM ducklake_table_column_stats WHERE table_id = ?1";

impl Stored {
    /// What the rows of [`STORED`] tell.
    pub fn from_rows(rows: &[SqliteRow]) -> Result<Stored> {
        let mut stored = Stored { types: HashMap::new(), bounds: HashMap::new() };
        for row in rows {
            let (part, column): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let (null, nan) = (row.try_get(2)?, row.try_get(3)?);
            let (min, max): (Option<String>, _) = (row.try_get(4)?, row.try_get(5)?);
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
}

/// Reads the types of a table's columns and the bounds on record.
pub async fn stored(new: &mut NewSnapshot<'_>, table_id: i64) -> Result<Stored> {
    let transaction = new.transaction().await?;
    let rows = sqlx::query(STORED).bind(table_id).fetch_all(&mut **transaction).await?;
    Stored::from_rows(&rows)
}

/// Widens the table's column bounds by those of new rows; gives what is on record then.
pub fn widen(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    stored: Stored,
    added: &[&ColumnStatistics],
) -> Stored {
    let Stored { types, bounds: stored } = stored;
    let mut wanted = stored.clone();
    // Rows without a bound on record, as another client's files without statistics or dates after the year
    // 9999: bounds of other rows would hide them.
    let open = |bounds: &Bounds| bounds.min.is_none() || bounds.max.is_none();
    let unbounded = stored.iter().filter(|(_, bounds)| open(bounds));
    let mut unbounded: HashSet<i64> = unbounded.map(|(column, _)| *column).collect();
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
        let nan_is_known = entry.nan.is_some() || !stored.contains_key(&statistics.field_id);
        match statistics.contains_nan {
            Some(true) => entry.nan = Some(1),
            Some(false) if nan_is_known => entry.nan = Some(entry.nan.unwrap_or(0)),
            _ => {}
        }
        if statistics.value_count > 0
            && (statistics.min.is_none() || statistics.max.is_none())
            && statistics.contains_nan != Some(true)
        {
            // Values without a bound: no bound of the whole table holds any more.
            unbounded.insert(statistics.field_id);
        }
        if unbounded.contains(&statistics.field_id) {
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
    for (column, bounds) in &wanted {
        let statement = match stored.get(column) {
            Some(same) if same == bounds => continue,
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
        let row = new.batch.statement(statement).bind(*null).bind(*nan).bind(min).bind(max);
        row.bind(table_id).bind(*column);
    }
    Stored { types, bounds: wanted }
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
