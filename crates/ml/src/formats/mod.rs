//! Model file formats: the document tree they share, their two encodings, and their schema.

pub mod document;
pub mod lightgbm_text;
pub mod xgboost_json;
pub mod xgboost_schema;
pub mod xgboost_ubj;
