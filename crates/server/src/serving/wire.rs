//! Bodies of the scoring requests and replies.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One row, by column name. Keeps the order of the keys as far as the JSON reader does.
pub type Record = Map<String, Value>;

/// The accepted JSON bodies.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// `{"records": [{…}]}`
    Records { records: Vec<Record> },
    /// `{"dataframe_records": [{…}]}`
    DataframeRecords { dataframe_records: Vec<Record> },
    /// `{"dataframe_split": {"columns": […], "data": [[…]]}}`
    DataframeSplit { dataframe_split: Split },
    /// `{"columns": […], "data": [[…]]}`
    Split(Split),
    /// `[{…}]`
    List(Vec<Record>),
}

/// What pandas writes with `orient="split"`; its index is of no use here.
#[derive(Debug, Deserialize)]
pub struct Split {
    pub columns: Vec<String>,
    pub data: Vec<Vec<Value>>,
}

/// What may stand behind the `?` of an invocation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvocationQuery {
    /// The model's method; PREDICT where none is named.
    pub method: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Reply {
    pub predictions: Vec<Value>,
    pub model: String,
    pub version: String,
}
