//! Scalar functions, one file per family.

mod binary;
mod bitwise;
mod conditional;
mod context;
mod conversion;
mod date_time;
mod digest;
mod extreme;
mod generate;
pub(crate) mod hash;
mod ip;
mod number_format;
mod numeric;
mod regular_expression;
pub(crate) mod search;
mod semi_structured;
mod semi_structured_array;
pub(crate) mod string;
mod type_name;
mod url;
mod vector;

use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    bitwise::register(registry);
    conditional::register(registry);
    context::register(registry);
    conversion::register(registry);
    date_time::register(registry);
    extreme::register(registry);
    generate::register(registry);
    type_name::register(registry);
    hash::register(registry);
    ip::register(registry);
    numeric::register(registry);
    regular_expression::register(registry);
    semi_structured::register(registry);
    semi_structured_array::register(registry);
    string::register(registry);
    url::register(registry);
    vector::register(registry);
}
