//! Bodies to rows: every shape becomes columns and one vector of values per row.

use std::collections::HashMap;

use frazil_engine::EndpointRows;
use serde_json::Value;

use super::errors::ServingError;
use super::wire::{Record, Request, Split};

/// The accepted kinds of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    Json,
    Csv,
}

/// The kind of a body by its Content-Type; JSON where none is given.
pub fn media(content_type: Option<&str>) -> Result<Media, ServingError> {
    let essence =
        content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match essence.as_str() {
        "" | "application/json" => Ok(Media::Json),
        "text/csv" | "application/csv" => Ok(Media::Csv),
        other => Err(ServingError::UnsupportedMediaType(format!(
            "the content type '{other}' is not supported: send application/json or text/csv"
        ))),
    }
}

/// Reads a body.
///
/// # Errors
/// Says which row (counted from 1, as in the engine's messages) and column is wrong.
pub fn rows(media: Media, body: &[u8]) -> Result<EndpointRows, ServingError> {
    let rows = match media {
        Media::Json => json_rows(body)?,
        Media::Csv => csv_rows(body)?,
    };
    let mut seen = HashMap::new();
    for column in &rows.columns {
        if seen.insert(column, ()).is_some() {
            return Err(ServingError::BadRequest(format!("column '{column}' is given twice")));
        }
    }
    if rows.rows.is_empty() {
        return Err(ServingError::BadRequest("the request has no rows".into()));
    }
    Ok(rows)
}

fn json_rows(body: &[u8]) -> Result<EndpointRows, ServingError> {
    // Read as a plain value first: an untagged reader cannot say where the syntax is wrong.
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| ServingError::BadRequest(format!("the body is not JSON: {error}")))?;
    let request = serde_json::from_value(value).map_err(|_| {
        ServingError::BadRequest(
            "the body must be {\"records\": [{…}]}, {\"dataframe_records\": [{…}]}, \
             {\"dataframe_split\": {\"columns\": […], \"data\": [[…]]}}, \
             {\"columns\": […], \"data\": [[…]]}, or a list of objects"
                .into(),
        )
    })?;
    match request {
        Request::Records { records }
        | Request::DataframeRecords { dataframe_records: records }
        | Request::List(records) => from_records(records),
        Request::DataframeSplit { dataframe_split: split } | Request::Split(split) => {
            from_split(split)
        }
    }
}

fn from_records(records: Vec<Record>) -> Result<EndpointRows, ServingError> {
    let columns: Vec<String> =
        records.first().map(|first| first.keys().cloned().collect()).unwrap_or_default();
    let mut rows = Vec::with_capacity(records.len());
    for (index, mut record) in records.into_iter().enumerate() {
        let mut row = Vec::with_capacity(columns.len());
        for column in &columns {
            let value = record.remove(column).ok_or_else(|| {
                ServingError::BadRequest(format!("row {} has no column '{column}'", index + 1))
            })?;
            row.push(scalar(value, index, column)?);
        }
        if let Some(extra) = record.keys().next() {
            return Err(ServingError::BadRequest(format!(
                "row {} has a column '{extra}' that row 1 has not",
                index + 1
            )));
        }
        rows.push(row);
    }
    Ok(EndpointRows { columns, rows })
}

fn from_split(split: Split) -> Result<EndpointRows, ServingError> {
    let Split { columns, data } = split;
    let mut rows = Vec::with_capacity(data.len());
    for (index, values) in data.into_iter().enumerate() {
        if values.len() != columns.len() {
            return Err(ServingError::BadRequest(format!(
                "row {} has {} values for {} columns",
                index + 1,
                values.len(),
                columns.len()
            )));
        }
        let row = values
            .into_iter()
            .zip(&columns)
            .map(|(value, column)| scalar(value, index, column))
            .collect::<Result<_, _>>()?;
        rows.push(row);
    }
    Ok(EndpointRows { columns, rows })
}

fn scalar(value: Value, row: usize, column: &str) -> Result<Value, ServingError> {
    if value.is_object() || value.is_array() {
        return Err(ServingError::BadRequest(format!(
            "row {}, column '{column}': a number, text, boolean or null is expected",
            row + 1
        )));
    }
    Ok(value)
}

/// CSV with a header line. Cells stay text, so that the model's own column types decide how they
/// read; empty cells are missing values.
fn csv_rows(body: &[u8]) -> Result<EndpointRows, ServingError> {
    let bad =
        |error: csv::Error| ServingError::BadRequest(format!("the CSV is not valid: {error}"));
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(body);
    let columns: Vec<String> =
        reader.headers().map_err(bad)?.iter().map(|name| name.trim().to_string()).collect();
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(bad)?;
        if record.len() != columns.len() {
            return Err(ServingError::BadRequest(format!(
                "row {} has {} values for {} columns",
                index + 1,
                record.len(),
                columns.len()
            )));
        }
        let row = record.iter().map(|cell| match cell {
            "" => Value::Null,
            cell => Value::String(cell.to_string()),
        });
        rows.push(row.collect());
    }
    Ok(EndpointRows { columns, rows })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn every_shape_gives_the_same_rows() {
        let expected = vec![vec![json!(1), json!("x")], vec![json!(null), json!("y")]];
        for body in [
            r#"{"records":[{"a":1,"b":"x"},{"a":null,"b":"y"}]}"#,
            r#"{"dataframe_records":[{"a":1,"b":"x"},{"b":"y","a":null}]}"#,
            r#"{"dataframe_split":{"index":[0,1],"columns":["a","b"],"data":[[1,"x"],[null,"y"]]}}"#,
            r#"{"columns":["a","b"],"data":[[1,"x"],[null,"y"]]}"#,
            r#"[{"a":1,"b":"x"},{"a":null,"b":"y"}]"#,
        ] {
            let found = rows(Media::Json, body.as_bytes()).unwrap();
            assert_eq!(found.columns, ["a", "b"], "{body}");
            assert_eq!(found.rows, expected, "{body}");
        }
        let found = rows(Media::Csv, b"a,b\n1,x\n,\"y, z\"\n").unwrap();
        assert_eq!(found.rows, [vec![json!("1"), json!("x")], vec![json!(null), json!("y, z")]]);
    }

    fn message(media: Media, body: &str) -> String {
        rows(media, body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_row_and_column() {
        assert_eq!(message(Media::Json, r#"[{"a":1,"b":2},{"a":1}]"#), "row 2 has no column 'b'");
        assert!(message(Media::Json, r#"[{"a":[1]}]"#).contains("row 1, column 'a'"));
        assert!(message(Media::Json, r#"{"columns":["a"],"data":[[1],[1,2]]}"#).contains("row 2"));
        assert!(message(Media::Csv, "a,b\n1,2\n3\n").contains("row 2 has 1 values"));
        assert!(message(Media::Json, r#"{"columns":["a","a"],"data":[[1,2]]}"#).contains("twice"));
        assert!(message(Media::Json, "{").contains("not JSON"));
        assert!(message(Media::Json, r#"{"x":1}"#).contains("records"));
        assert!(message(Media::Csv, "a,b\n").contains("no rows"));
    }

    #[test]
    fn content_types_are_matched_by_essence() {
        assert_eq!(media(Some("application/json; charset=utf-8")).unwrap(), Media::Json);
        assert_eq!(media(None).unwrap(), Media::Json);
        assert_eq!(media(Some("text/csv")).unwrap(), Media::Csv);
        assert!(media(Some("application/xml")).is_err());
    }
}
