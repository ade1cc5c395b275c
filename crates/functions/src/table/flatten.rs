//! FLATTEN: the elements of arrays and the fields of objects as rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Builder, ListArray, NullBufferBuilder, StringViewBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::logical_expr::ScalarUDF;
use frazil_common::{Code, SqlType, UserError};

use super::list_udf;
use crate::kernel::{KernelResult, Rows};
use crate::operators::{parse_path, walk};
use crate::variant::{Repeated, Value, VariantBuilder};

/// Rows made until the next look whether the statement goes on.
const ROWS_UNCHECKED: usize = 1024;

/// Columns of one output row: KEY, PATH, INDEX, VALUE, THIS.
pub(super) fn fields() -> Fields {
    let variant = SqlType::Variant.to_arrow();
    Fields::from(vec![
        Field::new("key", DataType::Utf8View, true),
        Field::new("path", DataType::Utf8View, true),
        Field::new("index", DataType::Int64, true),
        Field::new("value", variant.clone(), true),
        Field::new("this", variant, true),
    ])
}

/// `frazil_flatten(variant, path text, outer boolean, recursive boolean, mode text)` →
/// List<Struct{key, path, index, value, this}>. `mode` is `BOTH`, `OBJECT` or `ARRAY`. With OUTER
/// an input without rows gives one row of NULLs.
pub fn flatten_udf() -> Arc<ScalarUDF> {
    let item = Field::new("item", DataType::Struct(fields()), true);
    list_udf("frazil_flatten", DataType::List(Arc::new(item)), flatten)
}

/// Collects output rows.
struct Output<'a> {
    input: &'a Rows,
    keys: StringViewBuilder,
    paths: StringViewBuilder,
    indexes: Int64Builder,
    values: VariantBuilder,
    containers: VariantBuilder,
    rows: usize,
}

#[derive(Clone, Copy)]
struct Options {
    recursive: bool,
    objects: bool,
    arrays: bool,
}

/// A name that needs no brackets in a path.
fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}

impl Output<'_> {
    fn push(
        &mut self,
        key: Option<&str>,
        path: &str,
        index: Option<i64>,
        value: &Value,
        this: &Repeated,
    ) -> KernelResult<()> {
        if self.rows.is_multiple_of(ROWS_UNCHECKED) {
            self.input.check()?;
        }
        self.keys.append_option(key);
        self.paths.append_value(path);
        self.indexes.append_option(index);
        self.values.append(Some(value));
        // Each element has the whole container beside it.
        self.containers.append_repeated(this)?;
        self.rows += 1;
        Ok(())
    }

    fn expand(&mut self, value: &Value, path: &str, options: Options) -> KernelResult<()> {
        match value {
            Value::List(items) => {
                let rows = if options.arrays { items.len() } else { 0 };
                let this = self.containers.repeated(value, rows);
                for (index, item) in items.iter().enumerate() {
                    let inner = format!("{path}[{index}]");
                    if options.arrays {
                        self.push(None, &inner, Some(index as i64), item, &this)?;
                    }
                    if options.recursive {
                        self.expand(item, &inner, options)?;
                    }
                }
            }
            Value::Object(fields) => {
                let rows = if options.objects { fields.len() } else { 0 };
                let this = self.containers.repeated(value, rows);
                for (name, item) in fields {
                    let inner = if !is_plain(name) {
                        format!("{path}['{name}']")
                    } else if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    if options.objects {
                        self.push(Some(name), &inner, None, item, &this)?;
                    }
                    if options.recursive {
                        self.expand(item, &inner, options)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn flatten(rows: &Rows) -> KernelResult {
    let values = rows.variants(0)?;
    let paths = rows.texts(1)?;
    let outer = rows.booleans(2)?;
    let recursive = rows.booleans(3)?;
    let modes = rows.texts(4)?;
    let mut out = Output {
        input: rows,
        keys: StringViewBuilder::new(),
        paths: StringViewBuilder::new(),
        indexes: Int64Builder::new(),
        values: VariantBuilder::with_capacity(rows.rows),
        containers: VariantBuilder::with_capacity(rows.rows),
        rows: 0,
    };
    let mut lengths = Vec::with_capacity(rows.rows);
    for row in 0..rows.rows {
        let before = out.rows;
        let mode = modes.get(row).unwrap_or("BOTH").to_ascii_uppercase();
        let options = Options {
            recursive: recursive.get(row).unwrap_or(false),
            objects: mode != "ARRAY",
            arrays: mode != "OBJECT",
        };
        if !matches!(mode.as_str(), "BOTH" | "ARRAY" | "OBJECT") {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("Invalid value '{mode}' for MODE of FLATTEN"),
            )
            .into());
        }
        let path = paths.get(row).unwrap_or("");
        let start = match values.get(row) {
            Some(value) => walk(value, &parse_path(path)?).map(|v| Value::decode(&v)),
            None => None,
        };
        if let Some(value) = &start {
            out.expand(value, path, options)?;
        }
        if out.rows == before && outer.get(row).unwrap_or(false) {
            out.keys.append_null();
            out.paths.append_value(path);
            out.indexes.append_null();
            out.values.append_null();
            out.containers.append(start.as_ref());
            out.rows += 1;
        }
        lengths.push(out.rows - before);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(out.keys.finish()),
        Arc::new(out.paths.finish()),
        Arc::new(out.indexes.finish()),
        Arc::new(out.values.finish()),
        Arc::new(out.containers.finish()),
    ];
    lists(fields(), columns, lengths)
}

/// One list per input row.
pub(super) fn lists(fields: Fields, columns: Vec<ArrayRef>, lengths: Vec<usize>) -> KernelResult {
    let mut nulls = NullBufferBuilder::new(lengths.len());
    nulls.append_n_non_nulls(lengths.len());
    let item = Field::new("item", DataType::Struct(fields.clone()), true);
    let rows = StructArray::try_new(fields, columns, None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(Arc::new(item), offsets, Arc::new(rows), nulls.finish())?))
}
