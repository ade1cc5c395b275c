//! How a table's rows lie in its files: DuckLake's sort keys.

use std::collections::HashMap;

use frazil_common::SnapshotId;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::commit::NewSnapshot;
use super::tables::quoted;
use crate::error::Result;
use crate::objects::{ColumnInfo, SortBy, SortKey, TableInfo};

/// Dialect of the names we write.
const DIALECT: &str = "duckdb";

/// A table's sort keys as the catalog has them.
#[derive(Debug, Default)]
pub struct StoredSort {
    /// Snapshot since which they are the table's.
    pub begin: SnapshotId,
    /// Expression, dialect, descending, NULLs first; in order.
    keys: Vec<(String, String, bool, bool)>,
}

impl StoredSort {
    /// The keys over the table's columns.
    pub fn keys(&self, columns: &[ColumnInfo]) -> Vec<SortKey> {
        let key = |(text, dialect, descending, nulls_first): &(String, String, bool, bool)| {
            let column = columns.iter().find(|column| names(text, &column.name));
            SortKey {
                by: match column {
                    Some(column) => SortBy::Column(column.field_id),
                    None => SortBy::Expression { text: text.clone(), dialect: dialect.clone() },
                },
                descending: *descending,
                nulls_first: *nulls_first,
            }
        };
        self.keys.iter().map(key).collect()
    }

    /// The keys as CLUSTER BY shows them, for a table that another client sorts.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.keys.iter().map(|(text, ..)| plain(text)).collect();
        format!("LINEAR({})", texts.join(", "))
    }
}

/// A quoted name that needs no quotes, without them.
fn plain(expression: &str) -> &str {
    let unquoted = expression.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let needless = |text: &&str| {
        text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    unquoted.filter(needless).unwrap_or(expression)
}

/// Whether an expression is a column's name. DuckDB's names have no case.
fn names(expression: &str, column: &str) -> bool {
    let unquoted = expression.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match unquoted {
        Some(text) => text.replace("\"\"", "\"").eq_ignore_ascii_case(column),
        None => expression.eq_ignore_ascii_case(column),
    }
}

/// Sort keys by table.
pub async fn load(
    connection: &mut SqliteConnection,
    snapshot: SnapshotId,
    wanted: &str,
) -> Result<HashMap<i64, StoredSort>> {
    type Row = (i64, i64, String, Option<String>, Option<String>, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT i.table_id, i.begin_snapshot, e.expression, e.dialect, e.sort_direction, \
         e.null_order FROM ducklake_sort_info i JOIN ducklake_sort_expression e \
         ON e.sort_id = i.sort_id AND e.table_id = i.table_id WHERE i.begin_snapshot <= ?1 \
         AND (i.end_snapshot IS NULL OR i.end_snapshot > ?1){wanted} \
         ORDER BY i.table_id, e.sort_key_index"
    )))
    .persistent(wanted.is_empty())
    .bind(snapshot)
    .fetch_all(&mut *connection)
    .await?;
    let mut tables: HashMap<i64, StoredSort> = HashMap::new();
    for (table, begin, expression, dialect, direction, nulls) in rows {
        let stored = tables.entry(table).or_default();
        stored.begin = begin;
        stored.keys.push((
            expression,
            dialect.unwrap_or_default(),
            direction.is_some_and(|direction| direction.eq_ignore_ascii_case("DESC")),
            nulls.is_some_and(|order| order.eq_ignore_ascii_case("NULLS_FIRST")),
        ));
    }
    Ok(tables)
}

/// The keys as rows: expression, dialect, direction, order of NULLs.
fn expressions(table: &TableInfo) -> Vec<(String, String, &'static str, &'static str)> {
    let expression = |key: &SortKey| {
        let (text, dialect) = match &key.by {
            SortBy::Column(id) => {
                let column = table.columns.iter().find(|column| column.field_id == *id)?;
                (quoted(&column.name), DIALECT.to_string())
            }
            SortBy::Expression { text, dialect } => (text.clone(), dialect.clone()),
        };
        let direction = if key.descending { "DESC" } else { "ASC" };
        let nulls = if key.nulls_first { "NULLS_FIRST" } else { "NULLS_LAST" };
        Some((text, dialect, direction, nulls))
    };
    table.sort_keys.iter().filter_map(expression).collect()
}

/// Writes a table's sort keys where they, their columns' names or their text changed.
pub async fn set_sort_keys(
    new: &mut NewSnapshot<'_>,
    table_id: i64,
    before: Option<&TableInfo>,
    after: &TableInfo,
) -> Result<()> {
    let wanted = expressions(after);
    let former = before.map(expressions).unwrap_or_default();
    let text = before.and_then(|table| table.cluster_by.as_deref());
    if wanted == former && after.cluster_by.as_deref() == text {
        return Ok(());
    }
    end(new, table_id).await?;
    if wanted.is_empty() {
        return Ok(());
    }
    let sort_id = new.next_catalog_id;
    new.next_catalog_id += 1;
    sqlx::query("INSERT INTO ducklake_sort_info VALUES (?, ?, ?, NULL)")
        .bind(sort_id)
        .bind(table_id)
        .bind(new.snapshot)
        .execute(&mut **new.transaction().await?)
        .await?;
    for (index, (text, dialect, direction, nulls)) in wanted.into_iter().enumerate() {
        sqlx::query("INSERT INTO ducklake_sort_expression VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(sort_id)
            .bind(table_id)
            .bind(i64::try_from(index).unwrap_or(i64::MAX))
            .bind(text)
            .bind(dialect)
            .bind(direction)
            .bind(nulls)
            .execute(&mut **new.transaction().await?)
            .await?;
    }
    Ok(())
}

/// Ends a table's sort keys.
async fn end(new: &mut NewSnapshot<'_>, table_id: i64) -> Result<()> {
    sqlx::query(
        "UPDATE ducklake_sort_info SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
    )
    .bind(new.snapshot)
    .bind(table_id)
    .execute(&mut **new.transaction().await?)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_a_column_or_not() {
        assert!(names("a", "A") && names("\"A\"", "A") && names("\"a \"\"b\"", "a \"b"));
        assert!(!names("(a + 1)", "A") && !names("\"a", "A"));
        assert_eq!([plain("\"A_1\""), plain("\"a\""), plain("\"1\"")], ["A_1", "\"a\"", "\"1\""]);
    }
}
