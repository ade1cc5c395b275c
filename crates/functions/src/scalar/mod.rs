//! Scalar functions, one file per family.

mod bitwise;
mod conditional;
mod context;
mod conversion;
mod date_time;
mod digest;
mod generate;
pub(crate) mod hash;
mod number_format;
mod numeric;
mod regular_expression;
mod semi_structured;
mod semi_structured_array;
pub(crate) mod string;
mod type_name;

use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    bitwise::register(registry);
    conditional::register(registry);
    context::register(registry);
    conversion::register(registry);
    date_time::register(registry);
    generate::register(registry);
    type_name::register(registry);
    hash::register(registry);
    numeric::register(registry);
    regular_expression::register(registry);
    semi_structured::register(registry);
    semi_structured_array::register(registry);
    string::register(registry);
}
