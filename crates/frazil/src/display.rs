//! Results as people read them: aligned tables, JSON lines, CSV.

use arrow::array::RecordBatch;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use frazil_common::{Column, SqlType, UserError};
use frazil_engine::{StoredResult, cell_text};

use crate::cli::Format;

/// Most rows shown in a table; the rest is counted.
const TABLE_ROWS_MAX: u64 = 10_000;

/// Rows of a result as texts, up to a limit.
pub fn text_rows(
    result: &StoredResult,
    rows_max: u64,
) -> Result<Vec<Vec<Option<String>>>, UserError> {
    let mut rows = Vec::new();
    for index in 0..result.rows.batch_rows().len() {
        let batch = result.rows.read_batch(index)?;
        for row in 0..batch.num_rows() {
            if rows.len() as u64 >= rows_max {
                return Ok(rows);
            }
            rows.push(row_texts(&result.columns, &batch, row));
        }
    }
    Ok(rows)
}

fn row_texts(columns: &[Column], batch: &RecordBatch, row: usize) -> Vec<Option<String>> {
    columns
        .iter()
        .zip(batch.columns())
        .map(|(column, array)| cell_text(column, array, row))
        .collect()
}

fn is_number(column: &Column) -> bool {
    column.sql_type.is_numeric()
}

/// Columns wrap at this width where the whole table would not fit.
const COLUMN_WIDTH: u16 = 60;
/// Up to this many rows are shown one below the other where no table fits.
const RECORDS_MAX: usize = 200;

/// Characters in a line of the terminal; none where the output is no terminal.
pub fn terminal_width() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| usize::from(terminal.size().1))
}

/// Rows for people: a table where it fits into `width`, with wrapped texts if need be, else each
/// row as a list of its values. Without a width nothing wraps.
pub fn table(
    columns: &[(String, bool)],
    rows: &[Vec<Option<String>>],
    width: Option<usize>,
) -> String {
    let whole = aligned(columns, rows, false);
    let fits = |text: &str| {
        width.is_none_or(|width| text.lines().all(|line| line.chars().count() <= width))
    };
    if fits(&whole) {
        return whole;
    }
    let wrapped = aligned(columns, rows, true);
    if fits(&wrapped) || rows.len() > RECORDS_MAX {
        return wrapped;
    }
    records(columns, rows)
}

/// One line per value, a rule between rows.
fn records(columns: &[(String, bool)], rows: &[Vec<Option<String>>]) -> String {
    let width = columns.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        text.push_str(&format!("─── row {} ───\n", index + 1));
        for ((name, _), value) in columns.iter().zip(row) {
            let value = value.as_deref().unwrap_or("NULL");
            let indented = value.replace('\n', &format!("\n{:width$} │ ", ""));
            text.push_str(&format!("{name:width$} │ {indented}\n"));
        }
    }
    text.trim_end().to_string()
}

/// A table with aligned columns: numbers to the right.
fn aligned(columns: &[(String, bool)], rows: &[Vec<Option<String>>], wrap: bool) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(name, _)| name));
    for row in rows {
        table.add_row(row.iter().map(|value| value.as_deref().unwrap_or("NULL")));
    }
    for (index, (_, right)) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            if *right {
                column.set_cell_alignment(CellAlignment::Right);
            }
            if wrap {
                let limit = Width::Fixed(COLUMN_WIDTH);
                column.set_constraint(ColumnConstraint::UpperBoundary(limit));
            }
        }
    }
    table.to_string()
}

/// A result in the asked format.
pub fn render(result: &StoredResult, format: Format) -> Result<String, UserError> {
    let names: Vec<(String, bool)> =
        result.columns.iter().map(|column| (column.name.clone(), is_number(column))).collect();
    let limit = if format == Format::Table { TABLE_ROWS_MAX } else { u64::MAX };
    let rows = text_rows(result, limit)?;
    let typed: Vec<bool> = result
        .columns
        .iter()
        .map(|column| is_number(column) || column.sql_type == SqlType::Boolean)
        .collect();
    Ok(render_rows(&names, &typed, &rows, result.total_rows(), format, terminal_width()))
}

/// Rows in the asked format; `bare` tells which columns JSON writes without quotes, `width` how
/// wide a table may be.
pub fn render_rows(
    names: &[(String, bool)],
    bare: &[bool],
    rows: &[Vec<Option<String>>],
    total: u64,
    format: Format,
    width: Option<usize>,
) -> String {
    match format {
        Format::Table => {
            let mut text = table(names, rows, width);
            let shown = rows.len() as u64;
            let plural = if total == 1 { "" } else { "s" };
            if shown < total {
                text.push_str(&format!("\n{total} row{plural}, the first {shown} shown\n"));
            } else {
                text.push_str(&format!("\n{total} row{plural}\n"));
            }
            text
        }
        Format::Json => {
            let mut text = String::new();
            for row in rows {
                let fields: Vec<String> = names
                    .iter()
                    .zip(row)
                    .zip(bare)
                    .map(|(((name, _), value), bare)| {
                        let name = serde_json::Value::from(name.as_str());
                        let value = match value {
                            None => "null".to_string(),
                            Some(value) if *bare && json_bare(value) => value.to_lowercase(),
                            Some(value) => serde_json::Value::from(value.as_str()).to_string(),
                        };
                        format!("{name}:{value}")
                    })
                    .collect();
                text.push_str(&format!("{{{}}}\n", fields.join(",")));
            }
            text
        }
        Format::Csv => {
            let mut text = String::new();
            let header: Vec<String> = names.iter().map(|(name, _)| csv_field(name)).collect();
            text.push_str(&format!("{}\n", header.join(",")));
            for row in rows {
                let fields: Vec<String> = row
                    .iter()
                    .map(|value| value.as_deref().map_or_else(String::new, csv_field))
                    .collect();
                text.push_str(&format!("{}\n", fields.join(",")));
            }
            text
        }
    }
}

/// Whether a text is a JSON number or boolean as it stands.
fn json_bare(text: &str) -> bool {
    let lower = text.to_lowercase();
    lower == "true" || lower == "false" || serde_json::from_str::<serde_json::Number>(text).is_ok()
}

fn csv_field(text: &str) -> String {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_quote_what_needs_quotes() {
        let names = [("A".to_string(), true), ("B".to_string(), false)];
        let rows =
            vec![vec![Some("1".to_string()), Some("x, \"y\"".to_string())], vec![None, None]];
        let csv = render_rows(&names, &[true, false], &rows, 2, Format::Csv, None);
        assert_eq!(csv, "A,B\n1,\"x, \"\"y\"\"\"\n,\n");
        let json = render_rows(&names, &[true, false], &rows, 2, Format::Json, None);
        assert_eq!(json, "{\"A\":1,\"B\":\"x, \\\"y\\\"\"}\n{\"A\":null,\"B\":null}\n");
    }

    #[test]
    fn tables_wrap_and_then_become_lists() {
        let names = [("NAME".to_string(), false), ("SIZE".to_string(), true)];
        let long = "word ".repeat(40);
        let rows =
            vec![vec![Some(long), Some("7".to_string())], vec![None, Some("12".to_string())]];
        let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest(&table(&names, &rows, None)) > 200);
        assert!(widest(&table(&names, &rows, Some(80))) <= 80);
        let list = table(&names, &rows, Some(40));
        assert!(list.starts_with("─── row 1 ───\nNAME │ word"), "{list}");
        assert!(list.ends_with("NAME │ NULL\nSIZE │ 12"), "{list}");
    }
}
