//! A model file as a tree of values, the same for JSON and UBJSON.
//!
//! Numbers keep the width the model format gives them: floats are `f32`, parsed from the decimal
//! text directly, so that no second rounding can move a threshold.

use crate::MlError;

/// Deepest nesting accepted, so that a hostile file cannot exhaust the stack.
pub const MAX_DEPTH: usize = 64;

/// One value of a model document. Arrays of numbers are packed.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    List(Vec<Value>),
    /// Members in file order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// A text value.
    pub fn text(value: impl Into<String>) -> Self {
        Value::Text(value.into())
    }

    /// A map from pairs.
    pub fn map<const N: usize>(pairs: [(&str, Value); N]) -> Self {
        Value::Map(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }

    /// Member `key` of a map.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(pairs) => pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Member `key`, or an error that names it.
    pub fn need(&self, key: &str) -> Result<&Value, MlError> {
        self.get(key).ok_or_else(|| MlError::Format(format!("XGBoost model: '{key}' is missing")))
    }

    /// Text member `key`.
    pub fn need_text(&self, key: &str) -> Result<&str, MlError> {
        match self.need(key)? {
            Value::Text(s) => Ok(s),
            _ => Err(wrong(key, "a text")),
        }
    }

    /// Integer member `key`; the format writes parameters as text.
    pub fn need_int(&self, key: &str) -> Result<i64, MlError> {
        match self.need(key)? {
            Value::Int(i) => Ok(*i),
            Value::Text(s) => s.trim().parse().map_err(|_| wrong(key, "an integer")),
            _ => Err(wrong(key, "an integer")),
        }
    }

    /// Array of integers (also booleans) at `key`.
    pub fn need_ints(&self, key: &str) -> Result<Vec<i64>, MlError> {
        self.need(key)?.as_ints().ok_or_else(|| wrong(key, "an array of integers"))
    }

    /// Array of floats at `key`.
    pub fn need_floats(&self, key: &str) -> Result<Vec<f32>, MlError> {
        self.need(key)?.as_floats().ok_or_else(|| wrong(key, "an array of numbers"))
    }

    /// Array of texts at `key`.
    pub fn need_texts(&self, key: &str) -> Result<Vec<String>, MlError> {
        self.need(key)?
            .items()
            .and_then(|items| {
                items
                    .iter()
                    .map(|v| match v {
                        Value::Text(s) => Some(s.clone()),
                        _ => None,
                    })
                    .collect()
            })
            .ok_or_else(|| wrong(key, "an array of texts"))
    }

    /// Items of an unpacked (or empty) array.
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Value::List(v) => Some(v),
            Value::Ints(v) if v.is_empty() => Some(&[]),
            Value::Floats(v) if v.is_empty() => Some(&[]),
            _ => None,
        }
    }

    /// The integers of an array, if it holds nothing else.
    pub fn as_ints(&self) -> Option<Vec<i64>> {
        match self {
            Value::Ints(v) => Some(v.clone()),
            Value::Floats(v) if v.is_empty() => Some(Vec::new()),
            Value::List(v) => v
                .iter()
                .map(|x| match x {
                    Value::Int(i) => Some(*i),
                    Value::Bool(b) => Some(i64::from(*b)),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }

    /// The numbers of an array, if it holds nothing else.
    pub fn as_floats(&self) -> Option<Vec<f32>> {
        match self {
            Value::Floats(v) => Some(v.clone()),
            Value::Ints(v) => Some(v.iter().map(|&i| i as f32).collect()),
            Value::List(v) => v
                .iter()
                .map(|x| match x {
                    Value::Int(i) => Some(*i as f32),
                    Value::Float(f) => Some(*f),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
}

fn wrong(key: &str, what: &str) -> MlError {
    MlError::Format(format!("XGBoost model: '{key}' should be {what}"))
}
