//! SPLIT_TO_TABLE and STRTOK_SPLIT_TO_TABLE.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, StringViewBuilder};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::logical_expr::ScalarUDF;

use super::flatten::lists;
use super::list_udf;
use crate::kernel::{KernelResult, Rows};
use crate::scalar::string::tokens;

/// Columns of one output row: INDEX from 1, VALUE.
fn fields() -> Fields {
    Fields::from(vec![
        Field::new("index", DataType::Int64, true),
        Field::new("value", DataType::Utf8View, true),
    ])
}

fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Struct(fields()), true)))
}

/// `frazil_split_to_table(text, delimiter)` → List<Struct{index, value}>.
pub fn split_to_table_udf() -> Arc<ScalarUDF> {
    list_udf("frazil_split_to_table", list_type(), |rows| {
        split(rows, |text, by| if by.is_empty() { vec![text] } else { text.split(by).collect() })
    })
}

/// `frazil_strtok_split_to_table(text, delimiters)` → List<Struct{index, value}>.
pub fn strtok_split_to_table_udf() -> Arc<ScalarUDF> {
    list_udf("frazil_strtok_split_to_table", list_type(), |rows| split(rows, tokens))
}

fn split(rows: &Rows, cut: for<'a> fn(&'a str, &str) -> Vec<&'a str>) -> KernelResult {
    let (texts, by) = (rows.texts(0)?, rows.texts(1)?);
    let mut indexes = Int64Builder::new();
    let mut values = StringViewBuilder::new();
    let mut lengths = Vec::with_capacity(rows.rows);
    for row in 0..rows.rows {
        let parts = match (texts.get(row), by.get(row)) {
            (Some(text), Some(by)) => cut(text, by),
            _ => Vec::new(),
        };
        lengths.push(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            indexes.append_value(index as i64 + 1);
            values.append_value(part);
        }
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(indexes.finish()), Arc::new(values.finish())];
    lists(fields(), columns, lengths)
}
