//! The catalog's statistics: which files a filter needs, and what the optimizer may know.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use frazil_catalog::{ColumnInfo, TableInfo};

use crate::partition::excludes;
use crate::version::{DataFile, TableVersion};
use crate::write::statistics::{from_text, is_cut};

/// What the catalog knows of a column in one file.
struct Known {
    min: Option<ScalarValue>,
    max: Option<ScalarValue>,
    nulls: Option<u64>,
    /// The bounds are values of the column.
    exact: bool,
}

fn known(file: &DataFile, column: &ColumnInfo, data_type: &DataType) -> Known {
    let unknown = Known { min: None, max: None, nulls: None, exact: false };
    if !column.is_written() {
        // Told of values in another type.
        return unknown;
    }
    let own = file.is_own();
    let Some(row) = file.statistics.iter().find(|s| s.field_id == column.field_id) else {
        // A column added after the file was written is NULL in it, unless it has a default. In a file
        // of another client it may be there with nothing told of it.
        return match &column.initial_default {
            None if own && !file.statistics.is_empty() && column.children.is_empty() => {
                Known { nulls: Some(file.rows), exact: true, ..unknown }
            }
            _ => unknown,
        };
    };
    // To another client a VARIANT's NULL is a value of its own, which it does not count.
    let counted = own || !column.sql_type.is_semi_structured();
    let nulls = u64::try_from(row.null_count).ok().filter(|_| counted);
    if *data_type == DataType::Float64 && row.contains_nan != Some(false) {
        // NaN is above every number, and outside these bounds.
        return Known { nulls, ..unknown };
    }
    let bound = |text: &Option<String>| text.as_deref().and_then(|t| from_text(t, data_type));
    let (min, max) = (bound(&row.min), bound(&row.max));
    if *data_type == DataType::Float64 {
        // Zeros of both signs are equal, and yet not one value that may stand for the column.
        let (min, max) = (float(min, !own, f32::next_down), float(max, !own, f32::next_up));
        let zero = [&min, &max]
            .iter()
            .any(|bound| matches!(bound, Some(ScalarValue::Float64(Some(value))) if *value == 0.0));
        return Known { min, max, nulls, exact: own && !zero };
    }
    let cut = [&row.min, &row.max].into_iter().flatten().any(|text| is_cut(text));
    Known { min, max, nulls, exact: own && !cut }
}

/// A float's bound. Other clients write those of their 32-bit floats with the digits that tell these
/// apart, which are not the values' own: such a bound is moved outwards by one of them.
fn float(
    bound: Option<ScalarValue>,
    foreign: bool,
    outwards: fn(f32) -> f32,
) -> Option<ScalarValue> {
    match bound {
        Some(ScalarValue::Float64(Some(value))) if foreign => {
            let moved = f64::from(outwards(value as f32));
            moved.is_finite().then_some(ScalarValue::Float64(Some(moved)))
        }
        other => other,
    }
}

struct FileBounds<'a> {
    version: &'a TableVersion,
    schema: &'a SchemaRef,
    files: &'a [usize],
}

impl FileBounds<'_> {
    fn bounds(
        &self,
        column: &Column,
        pick: impl Fn(Known) -> Option<ScalarValue>,
    ) -> Option<ArrayRef> {
        let info = self.version.table.column(&column.name)?;
        let data_type = self.schema.field_with_name(&column.name).ok()?.data_type();
        let null = ScalarValue::try_from(data_type).ok()?;
        let values = self.files.iter().map(|i| {
            pick(known(&self.version.files[*i], info, data_type)).unwrap_or_else(|| null.clone())
        });
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |k| k.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |k| k.max)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let info = self.version.table.column(&column.name)?;
        let data_type = self.schema.field_with_name(&column.name).ok()?.data_type();
        let counts =
            self.files.iter().map(|i| known(&self.version.files[*i], info, data_type).nulls);
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts = self.files.iter().map(|i| Some(self.version.files[*i].rows));
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let table = &self.version.table;
        table.partitioning.as_ref()?;
        let column = table.column(&column.name)?;
        let files = self.files.iter().map(|i| &self.version.files[*i]);
        Some(files.map(|file| excludes(table, file, column, values).then_some(false)).collect())
    }
}

/// The files that may hold rows the filter accepts.
pub fn prune(
    version: &TableVersion,
    schema: &SchemaRef,
    filter: Arc<dyn PhysicalExpr>,
    files: Vec<usize>,
) -> Vec<usize> {
    let Ok(predicate) =
        PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).try_build(filter)
    else {
        return files;
    };
    if predicate.always_true() {
        return files;
    }
    let statistics = FileBounds { version, schema, files: &files };
    match predicate.prune(&statistics) {
        Ok(keep) => files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(i, _)| *i).collect(),
        Err(error) => {
            tracing::debug!(%error, "files were not pruned");
            files
        }
    }
}

/// Bytes of a column in memory, by which sides of a join are compared; `stored` is its size in the
/// files.
fn decoded_bytes(data_type: &DataType, rows: u64, stored: u64) -> u64 {
    match data_type.primitive_width() {
        Some(width) => rows.saturating_mul(width as u64),
        None => match data_type {
            DataType::Boolean => rows / 8,
            // A view of 16 bytes, and the text of those that are longer.
            DataType::Utf8View => rows.saturating_mul(16).saturating_add(stored),
            _ => stored,
        },
    }
}

/// Statistics over files for the visible columns.
pub fn file_statistics(table: &TableInfo, files: &[&DataFile], schema: &SchemaRef) -> Statistics {
    let rows: u64 = files.iter().map(|f| f.live_rows()).sum();
    let deletes = files.iter().any(|f| !f.deleted.is_empty());
    let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let mut bytes = 0_u64;
    let column_statistics = table
        .columns
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            let mut exact = !deletes;
            let mut bounded = true;
            let mut nulls = Some(0_u64);
            let mut min: Option<ScalarValue> = None;
            let mut max: Option<ScalarValue> = None;
            let mut stored = 0_i64;
            for file in files {
                let facts = known(file, column, field.data_type());
                exact &= facts.exact;
                nulls = nulls.zip(facts.nulls).map(|(a, b)| a + b);
                if let Some(row) = file.statistics.iter().find(|s| s.field_id == column.field_id) {
                    stored += row.bytes.max(0);
                }
                if facts.nulls == Some(file.rows) {
                    continue;
                }
                match (facts.min, facts.max) {
                    (Some(low), Some(high)) => {
                        if min.as_ref().is_none_or(|m| low < *m) {
                            min = Some(low);
                        }
                        if max.as_ref().is_none_or(|m| high > *m) {
                            max = Some(high);
                        }
                    }
                    _ => bounded = false,
                }
            }
            let decoded = decoded_bytes(field.data_type(), rows, stored.max(0) as u64);
            bytes = bytes.saturating_add(decoded);
            let bound = |value: Option<ScalarValue>| match value {
                Some(value) if bounded && exact => Precision::Exact(value),
                Some(value) if bounded => Precision::Inexact(value),
                _ => Precision::Absent,
            };
            let mut statistics = ColumnStatistics::new_unknown();
            statistics.min_value = bound(min);
            statistics.max_value = bound(max);
            statistics.null_count = match nulls {
                Some(count) if !deletes => Precision::Exact(size(count)),
                Some(count) => Precision::Inexact(size(count)),
                None => Precision::Absent,
            };
            statistics.byte_size = Precision::Inexact(size(decoded));
            statistics
        })
        .collect();
    Statistics {
        num_rows: Precision::Exact(size(rows)),
        total_byte_size: Precision::Inexact(size(bytes)),
        column_statistics,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use frazil_common::SqlType;
    use object_store::path::Path;
    use uuid::Uuid;

    use super::*;
    use crate::version::FileKey;

    fn file(name: &str, statistics: Vec<frazil_catalog::changes::ColumnStatistics>) -> DataFile {
        let key =
            if name.is_empty() { FileKey::Staged(Uuid::nil()) } else { FileKey::Committed(1) };
        DataFile {
            key,
            path: Path::from(name),
            name: name.to_string(),
            rows: 10,
            bytes: 100,
            footer_bytes: 10,
            row_id_start: 0,
            keeps_row_ids: false,
            partition: None,
            statistics,
            names: None,
            deleted: Arc::default(),
            delete_file: None,
            begun: 1,
        }
    }

    fn bounded(field_id: i64, nan: Option<bool>) -> frazil_catalog::changes::ColumnStatistics {
        frazil_catalog::changes::ColumnStatistics {
            field_id,
            value_count: 10,
            min: Some("1.0".to_string()),
            max: Some("2.0".to_string()),
            contains_nan: nan,
            ..Default::default()
        }
    }

    #[test]
    fn what_is_not_told_of_a_file_is_not_known() {
        let mut column = ColumnInfo::new("F", SqlType::Float, true);
        column.field_id = 7;
        let of =
            |name: &str, statistics| known(&file(name, statistics), &column, &DataType::Float64);
        for name in ["frazil-1.parquet", "ducklake-1.parquet"] {
            assert!(of(name, vec![bounded(7, Some(false))]).max.is_some(), "{name}");
            // NaN, which may be there, is above the bound.
            assert!(of(name, vec![bounded(7, None)]).max.is_none(), "{name}");
            assert!(of(name, vec![bounded(7, Some(true))]).max.is_none(), "{name}");
            assert_eq!(of(name, vec![]).nulls, None, "{name}");
        }
        // A file of ours that tells of other columns is older than this one; of others nobody knows.
        assert_eq!(of("frazil-1.parquet", vec![bounded(1, None)]).nulls, Some(10));
        assert_eq!(of("", vec![bounded(1, None)]).nulls, Some(10));
        assert_eq!(of("ducklake-1.parquet", vec![bounded(1, None)]).nulls, None);
    }
}
