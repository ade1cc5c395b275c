//! Arrow columns as numbers and codes, the form every estimator starts from.
//!
//! Any Arrow number, decimal or boolean is read as `f64`, with NaN for a missing value (NULL or
//! NaN). Text is categorical: its values are replaced by their place in a sorted list.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use crate::{Feature, FeatureKind, MlError, Rows};

/// The code of a value that is NULL or not among the known categories.
pub const NO_CODE: u32 = u32::MAX;

/// Whether a type holds text, also behind a dictionary.
pub fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Whether a type is read as a number.
pub fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => true,
        DataType::Dictionary(_, values) => is_number(values),
        other => other.is_numeric(),
    }
}

/// A type in the words of whoever wrote the query.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Timestamp(..) => "TIMESTAMP".to_owned(),
        DataType::Null => "NULL".to_owned(),
        DataType::Struct(_) => "VARIANT".to_owned(),
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary => "BINARY".to_owned(),
        DataType::Dictionary(_, values) => type_name(values),
        other => other.to_string(),
    }
}

fn unusable(name: &str, data_type: &DataType) -> MlError {
    MlError::Invalid(format!(
        "column '{name}' has type {}, which is neither a number, a boolean nor text; convert it in \
         the query",
        type_name(data_type)
    ))
}

/// A column as numbers: NaN for NULL, 0 and 1 for booleans, decimals divided by their scale.
pub fn read_f64(name: &str, column: &ArrayRef) -> Result<Vec<f64>, MlError> {
    let data_type = column.data_type();
    if !is_number(data_type) && data_type != &DataType::Null {
        return Err(if is_text(data_type) {
            MlError::Invalid(format!("column '{name}' is text where a number is needed"))
        } else {
            unusable(name, data_type)
        });
    }
    if let Some(column) = column.as_any().downcast_ref::<BooleanArray>() {
        return Ok(column
            .iter()
            .map(|value| value.map_or(f64::NAN, |value| f64::from(u8::from(value))))
            .collect());
    }
    if let Some(column) = column.as_any().downcast_ref::<Decimal128Array>() {
        // One correctly rounded division per value, as a decimal literal would be read.
        let scale = 10f64.powi(i32::from(column.scale()));
        return Ok(column
            .iter()
            .map(|value| value.map_or(f64::NAN, |value| value as f64 / scale))
            .collect());
    }
    let floats = cast(column, &DataType::Float64)?;
    let floats: &Float64Array = floats.as_primitive::<Float64Type>();
    if floats.null_count() == 0 {
        return Ok(floats.values().to_vec());
    }
    Ok(floats.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

/// A column as text, whatever its type; a number is written as a cast to VARCHAR writes it.
pub fn read_text(name: &str, column: &ArrayRef) -> Result<StringArray, MlError> {
    let data_type = column.data_type();
    if data_type.is_floating() {
        let floats = cast(column, &DataType::Float64)?;
        let floats = floats.as_primitive::<Float64Type>();
        // 1, not 1.0.
        return Ok(floats.iter().map(|value| value.map(|value| value.to_string())).collect());
    }
    if data_type != &DataType::Utf8 && data_type.is_nested() && !is_text(data_type) {
        return Err(unusable(name, data_type));
    }
    let text = cast(column, &DataType::Utf8)?;
    Ok(text.as_string::<i32>().clone())
}

/// The distinct values of a column as sorted text (by bytes), NULLs left out.
pub fn categories(name: &str, columns: &[ArrayRef]) -> Result<Vec<String>, MlError> {
    let mut found = BTreeSet::new();
    for column in columns {
        let text = read_text(name, column)?;
        for value in text.iter().flatten() {
            if !found.contains(value) {
                found.insert(value.to_owned());
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Class labels of a target: text sorted by bytes, numbers by value. Both as text, NULLs left out.
pub fn class_labels(name: &str, columns: &[ArrayRef]) -> Result<Vec<String>, MlError> {
    let mut labels = categories(name, columns)?;
    if columns.iter().all(|column| is_number(column.data_type())) {
        // Stable: labels that are not numbers (true, false) keep their order.
        labels.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b),
            _ => a.cmp(b),
        });
    }
    Ok(labels)
}

/// The place of each value in `categories`; [`NO_CODE`] for NULL and unseen values.
pub fn codes(name: &str, column: &ArrayRef, categories: &[String]) -> Result<Vec<u32>, MlError> {
    let places: HashMap<&str, u32> =
        categories.iter().zip(0u32..).map(|(category, place)| (category.as_str(), place)).collect();
    let text = read_text(name, column)?;
    Ok(text
        .iter()
        .map(|value| value.and_then(|value| places.get(value).copied()).unwrap_or(NO_CODE))
        .collect())
}

/// One column of every batch, found by its exact name.
pub fn gather(rows: Rows<'_>, name: &str) -> Result<Vec<ArrayRef>, MlError> {
    rows.batches.iter().map(|batch| column(batch, name).cloned()).collect()
}

/// A column of a batch by its exact name.
pub fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, MlError> {
    batch.column_by_name(name).ok_or_else(|| {
        let known: Vec<&str> =
            batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
        MlError::Invalid(format!(
            "the training query has no column '{name}'; it has {}",
            known.join(", ")
        ))
    })
}

/// The features named, each numeric or categorical by its type; categories are read from the rows.
pub fn features(rows: Rows<'_>, names: &[String]) -> Result<Vec<Feature>, MlError> {
    if names.is_empty() {
        return Err(MlError::Invalid("a model needs at least one feature".to_owned()));
    }
    names
        .iter()
        .map(|name| {
            let columns = gather(rows, name)?;
            let Some(first) = columns.first() else {
                return Err(MlError::Invalid("there are no rows to train on".to_owned()));
            };
            let kind = if is_text(first.data_type()) {
                FeatureKind::Categorical { categories: categories(name, &columns)? }
            } else if is_number(first.data_type()) {
                FeatureKind::Numeric
            } else {
                return Err(unusable(name, first.data_type()));
            };
            Ok(Feature { name: name.clone(), kind })
        })
        .collect()
}

/// A target column as numbers. A missing or infinite value is an error that counts them.
pub fn numeric_target(rows: Rows<'_>, name: &str) -> Result<Vec<f64>, MlError> {
    let mut values = Vec::with_capacity(rows.batches.iter().map(RecordBatch::num_rows).sum());
    for column in gather(rows, name)? {
        values.extend(read_f64(name, &column)?);
    }
    let missing = values.iter().filter(|value| !value.is_finite()).count();
    refuse_missing_target(name, missing)?;
    Ok(values)
}

/// A target column as class labels and codes. A missing value is an error that counts them.
pub fn class_target(rows: Rows<'_>, name: &str) -> Result<(Vec<String>, Vec<u32>), MlError> {
    let columns = gather(rows, name)?;
    let labels = class_labels(name, &columns)?;
    let mut values = Vec::new();
    for column in &columns {
        values.extend(codes(name, column, &labels)?);
    }
    refuse_missing_target(name, values.iter().filter(|code| **code == NO_CODE).count())?;
    Ok((labels, values))
}

fn refuse_missing_target(name: &str, missing: usize) -> Result<(), MlError> {
    if missing > 0 {
        return Err(MlError::Invalid(format!(
            "target '{name}' has {missing} rows that are NULL or not finite; leave them out with \
             WHERE {name} IS NOT NULL"
        )));
    }
    Ok(())
}

/// The common length of `columns`, which must be one per feature.
pub fn check_columns(features: &[Feature], columns: &[ArrayRef]) -> Result<usize, MlError> {
    if features.len() != columns.len() {
        return Err(MlError::Invalid(format!(
            "the model has {} features, not {}",
            features.len(),
            columns.len()
        )));
    }
    let rows = columns.first().map_or(0, |column| column.len());
    if columns.iter().any(|column| column.len() != rows) {
        return Err(MlError::Invalid("feature columns differ in length".to_owned()));
    }
    Ok(rows)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, DictionaryArray, Int64Array, StringViewArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn numbers_of_every_kind() {
        let ints: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(-3)]));
        let read = read_f64("i", &ints).unwrap();
        assert_eq!((read[0], read[2]), (1.0, -3.0));
        assert!(read[1].is_nan());

        let decimals: ArrayRef = Arc::new(
            Decimal128Array::from(vec![Some(110), None]).with_precision_and_scale(10, 2).unwrap(),
        );
        let read = read_f64("d", &decimals).unwrap();
        assert_eq!(read[0], 1.1);
        assert!(read[1].is_nan());

        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]));
        let read = read_f64("b", &flags).unwrap();
        assert_eq!((read[0], read[1]), (1.0, 0.0));
        assert!(read[2].is_nan());

        let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
        assert!(read_f64("t", &text).unwrap_err().to_string().contains("'t' is text"));
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![1]));
        assert!(read_f64("d", &dates).unwrap_err().to_string().contains("type DATE"));
    }

    #[test]
    fn categories_are_sorted_and_coded() {
        let view: ArrayRef = Arc::new(StringViewArray::from(vec![Some("b"), None, Some("a")]));
        let dictionary: ArrayRef =
            Arc::new(vec!["c", "a"].into_iter().collect::<DictionaryArray<Int32Type>>());
        let known = categories("x", &[view.clone(), dictionary.clone()]).unwrap();
        assert_eq!(known, ["a", "b", "c"]);
        assert_eq!(codes("x", &view, &known).unwrap(), [1, NO_CODE, 0]);
        assert_eq!(codes("x", &dictionary, &known[..2]).unwrap(), [NO_CODE, 0]);
    }

    #[test]
    fn numeric_labels_sort_by_value() {
        let ints: ArrayRef = Arc::new(Int64Array::from(vec![10, 9, -1, 9]));
        assert_eq!(class_labels("y", &[ints]).unwrap(), ["-1", "9", "10"]);
    }
}
