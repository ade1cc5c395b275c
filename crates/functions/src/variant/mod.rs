//! VARIANT, OBJECT and ARRAY values: codec, JSON text, order.

mod codec;
mod json;
mod sort_key;
mod value;

pub use codec::{Repeated, VariantBuilder, VariantColumn, column_to_variants, row_to_value};
pub use json::{parse_json, parse_json_with, to_json_pretty, to_json_string, write_json};
pub(crate) use sort_key::sort_key;
pub use sort_key::{append_key, sort_key_udf};
pub use value::Value;

pub(crate) use codec::build;
pub(crate) use json::{json_text, scalar_text};
