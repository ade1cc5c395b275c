//! Columns of other clients' types that have a counterpart here: their values are converted where they
//! are read.

mod nested;
mod texts;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, RecordBatch, StringViewArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, FieldRef, Float64Type, Schema, Time64MicrosecondType, TimeUnit,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::Result as PlanResult;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use frazil_catalog::{ColumnInfo, TableInfo};
use frazil_common::{UserError, quote_identifier};

use crate::error::LakeError;
use nested::Nested;

/// Values of which one has no counterpart. Which one is not told: policies may hide it.
#[derive(Debug)]
struct Misfit;

impl From<ArrowError> for Misfit {
    fn from(_: ArrowError) -> Misfit {
        Misfit
    }
}

/// The least number of more digits than a NUMBER has.
const NUMBER_END: u128 = 10_u128.pow(38);

/// What keeps a column from being read at all.
pub fn unread(table: &TableInfo, column: &ColumnInfo) -> LakeError {
    LakeError::User(UserError::unsupported(format!(
        "reading column {} of table {}: its type {} is another client's and has no counterpart here",
        quote_identifier(&column.name),
        table.name,
        column.foreign_type()
    )))
}

fn misfit(table: &str, column: &ColumnInfo) -> LakeError {
    LakeError::User(UserError::unsupported(format!(
        "a value in column {} of {table}: another client wrote a {} that has no counterpart in {}",
        quote_identifier(&column.name),
        column.foreign_type(),
        column.sql_type
    )))
}

/// The values of a file's column.
fn of_file(column: &ColumnInfo, array: &ArrayRef) -> Result<ArrayRef, Misfit> {
    match column.physical_type.as_str() {
        "uuid" => uuids(array),
        "int128" | "uint128" => numbers(array, &column.sql_type.to_arrow()),
        "timetz" => times(array),
        _ => Nested::of_file(&column.physical_type, &column.children, array)?.encoded(),
    }
}

/// The values of a column that the catalog database keeps; rows `gone` are none.
pub fn of_catalog(
    table: &TableInfo,
    column: &ColumnInfo,
    array: &ArrayRef,
    gone: &[i64],
) -> Result<ArrayRef, LakeError> {
    let read = || -> Result<ArrayRef, Misfit> {
        let here = |row: usize| array.is_valid(row) && gone.binary_search(&(row as i64)).is_err();
        let Some(kept) = array.as_string_view_opt() else {
            // Lists that look like a VECTOR's.
            return of_file(column, array);
        };
        let texts = (0..kept.len()).map(|row| here(row).then(|| kept.value(row)));
        match column.physical_type.as_str() {
            "uuid" | "timetz" => Ok(Arc::new(texts.collect::<StringViewArray>())),
            "int128" | "uint128" => {
                let all =
                    texts.map(|text| text.map(number).transpose()).collect::<Result<_, _>>()?;
                decimals(all, &column.sql_type.to_arrow())
            }
            physical => {
                Nested::of_texts(physical, &column.children, &texts.collect::<Vec<_>>())?.encoded()
            }
        }
    };
    read().map_err(|_| misfit(&table.name.to_string(), column))
}

/// The text of each UUID.
fn uuids(array: &ArrayRef) -> Result<ArrayRef, Misfit> {
    let Some(bytes) = array.as_fixed_size_binary_opt() else { return text(array) };
    let all = bytes.iter().map(|bytes| {
        let id = bytes.map(uuid::Uuid::from_slice).transpose().map_err(|_| Misfit)?;
        Ok(id.map(|id| id.hyphenated().to_string()))
    });
    Ok(Arc::new(all.collect::<Result<StringViewArray, Misfit>>()?))
}

fn text(array: &ArrayRef) -> Result<ArrayRef, Misfit> {
    match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Ok(cast(array, &DataType::Utf8View)?)
        }
        _ => Err(Misfit),
    }
}

fn number(text: &str) -> Result<i128, Misfit> {
    let number: i128 = text.parse().map_err(|_| Misfit)?;
    (number.unsigned_abs() < NUMBER_END).then_some(number).ok_or(Misfit)
}

fn decimals(values: Vec<Option<i128>>, data_type: &DataType) -> Result<ArrayRef, Misfit> {
    let DataType::Decimal128(precision, scale) = data_type else { return Err(Misfit) };
    let all = Decimal128Array::from(values);
    Ok(Arc::new(all.with_precision_and_scale(*precision, *scale)?))
}

/// Whole numbers: DuckDB writes those of 128 bits as floats, and reads what these are.
fn numbers(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, Misfit> {
    match array.data_type() {
        DataType::Float64 => {
            let whole = |value: f64| {
                let beyond = value.fract() != 0.0 || value.abs() >= NUMBER_END as f64;
                (!beyond && value.is_finite()).then_some(value as i128).ok_or(Misfit)
            };
            let values = array.as_primitive::<Float64Type>().iter();
            decimals(values.map(|v| v.map(whole).transpose()).collect::<Result<_, _>>()?, data_type)
        }
        other if other.is_integer() => Ok(cast(array, data_type)?),
        DataType::Decimal128(_, 0) => Ok(cast(array, data_type)?),
        _ => Err(Misfit),
    }
}

/// Times of day with a zone: in files they are in UTC, and the zone is lost.
fn times(array: &ArrayRef) -> Result<ArrayRef, Misfit> {
    if array.data_type() != &DataType::Time64(TimeUnit::Microsecond) {
        return text(array);
    }
    let shape = |micros: i64| {
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        let fraction = format!(".{micros:06}");
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        format!("{hours:02}:{minutes:02}:{:02}{fraction}+00", seconds % 60)
    };
    let values = array.as_primitive::<Time64MicrosecondType>();
    Ok(Arc::new(values.iter().map(|v| v.map(shape)).collect::<StringViewArray>()))
}

/// A column of a file in its counterpart's type.
#[derive(Debug, Clone)]
pub struct ConvertedExpr {
    pub inner: Arc<dyn PhysicalExpr>,
    pub target: FieldRef,
    pub column: Arc<ColumnInfo>,
    /// The table's name as SQL text.
    pub table: Arc<str>,
}

impl PartialEq for ConvertedExpr {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
            && self.target == other.target
            && self.table == other.table
            && self.column == other.column
    }
}

impl Eq for ConvertedExpr {}

impl Hash for ConvertedExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
        self.target.hash(state);
        self.table.hash(state);
    }
}

impl fmt::Display for ConvertedExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

impl PhysicalExpr for ConvertedExpr {
    fn data_type(&self, _: &Schema) -> PlanResult<DataType> {
        Ok(self.target.data_type().clone())
    }

    fn nullable(&self, _: &Schema) -> PlanResult<bool> {
        Ok(self.target.is_nullable())
    }

    fn return_field(&self, _: &Schema) -> PlanResult<FieldRef> {
        Ok(Arc::clone(&self.target))
    }

    fn evaluate(&self, batch: &RecordBatch) -> PlanResult<ColumnarValue> {
        let array = self.inner.evaluate(batch)?.into_array(batch.num_rows())?;
        let converted = of_file(&self.column, &array);
        Ok(ColumnarValue::Array(converted.map_err(|_| misfit(&self.table, &self.column))?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> PlanResult<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(inner), true) => {
                Ok(Arc::new(ConvertedExpr { inner, ..ConvertedExpr::clone(&self) }))
            }
            _ => Err(LakeError::Damaged("one child expected".into()).into()),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::arrow::array::{Float64Array, Time64MicrosecondArray};
    use datafusion::arrow::datatypes::Decimal128Type;

    use super::*;

    #[test]
    fn numbers_beyond_a_number_are_refused() {
        let target = DataType::Decimal128(38, 0);
        let read = |value: f64| {
            let array: ArrayRef = Arc::new(Float64Array::from(vec![Some(value), None]));
            numbers(&array, &target).map(|all| all.as_primitive::<Decimal128Type>().value(0))
        };
        assert_eq!(read(-5.0).unwrap(), -5);
        assert_eq!(read(1e22).unwrap(), 10_000_000_000_000_000_000_000);
        for beyond in [1e38, -2e38, f64::NAN, f64::INFINITY, 0.5] {
            assert!(read(beyond).is_err(), "{beyond}");
        }
        assert_eq!(
            number("-99999999999999999999999999999999999999").unwrap(),
            -(10_i128.pow(38) - 1)
        );
        assert!(number("100000000000000000000000000000000000000").is_err());
        assert!(number("340282366920938463463374607431768211455").is_err());
    }

    #[test]
    fn times_are_told_as_duckdb_tells_them() {
        let array: ArrayRef =
            Arc::new(Time64MicrosecondArray::from(vec![25_496_789_000, 0, 86_399_999_999]));
        let read = times(&array).unwrap();
        let texts: Vec<&str> = read.as_string_view().iter().flatten().collect();
        assert_eq!(texts, ["07:04:56.789+00", "00:00:00+00", "23:59:59.999999+00"]);
    }
}
